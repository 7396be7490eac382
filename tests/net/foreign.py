"""What hosts with another project's routing daemon have in common: the sessions they are told to have, and what can be
asked of them. peer_*.py has a class for each daemon."""

import contextlib
import dataclasses

from harness import Host
from netns import is6, wait_for
from routes import by_prefix


@dataclasses.dataclass
class Session:
    """A BGP session as the foreign daemon shall have it. What a daemon lacks (`Foreign.lacks`) must not be asked of it."""
    local: str
    remote: str
    local_as: int
    remote_as: int
    families: tuple = (4, 6)
    passive: bool = False
    client: bool = False        # the remote is our route reflection client
    cluster_id: str = None
    hold: int = 90
    password: str = None
    ttl_security: int = None    # hops
    restart_time: int = 120     # graceful restart; None: not offered
    notification: bool = False  # graceful restart over NOTIFICATIONs too (RFC 8538)
    long_lived: int = None      # long-lived graceful restart (RFC 9494), s; 0: offered for the remote's sake; None: not
    four_octets: bool = True
    next_hops: dict = None      # {family: address} that own routes carry where the session's address is of another family
    next_hop_self: bool = False  # always: third parties' next hops are replaced too
    ext_next_hop: bool = False  # IPv4 routes over IPv6 next hops (RFC 8950)
    add_path: bool = False      # several paths of a prefix, both ways (RFC 7911)
    max_prefix: int = None
    default_originate: bool = False

    @property
    def internal(self):
        return self.local_as == self.remote_as

    @property
    def name(self):
        """Unique in a configuration, and a word in all of them."""
        return "to_" + self.remote.replace(".", "_").replace(":", "_")


# What a scenario may need of a daemon. A class says what it lacks, and why; what it does not name it has.
FEATURES = {
    "relay": "passes on what other speakers announce",
    "reflector": "reflects routes (RFC 4456)",
    "refresh": "sends its routes again when asked to (RFC 2918)",
    "asks again": "can be told to ask for routes again (RFC 2918)",
    "enhanced refresh": "announces that it marks where a refresh begins and ends (RFC 7313)",
    "marks": "really marks it (RFC 7313)",
    "graceful restart": "restarts, and its routes stay (RFC 4724)",
    "helper": "keeps the routes of a peer that restarts (RFC 4724)",
    "notification restart": "its routes stay over NOTIFICATIONs too (RFC 8538)",
    "notification helper": "keeps a peer's routes over NOTIFICATIONs too (RFC 8538)",
    "long-lived": "long-lived graceful restart (RFC 9494)",
    "md5": "TCP MD5 signatures (RFC 2385)",
    "gtsm": "TTL security (RFC 5082)",
    "shutdown message": "gives a reason when it shuts a session down (RFC 9003)",
    "reads shutdown message": "shows the reason that its peer gives (RFC 9003)",
    "hears refusals": "shows why its connection is refused (RFC 4486)",
    "hostname": "announces its host's name (draft-walton-bgp-hostname-capability)",
    "old": "can be a speaker of 2-octet AS numbers (RFC 6793)",
    "old aggregator": "as such keeps AGGREGATOR and AS4_PATH apart",
    "max-prefix": "ends a session with too many routes (RFC 4486)",
    "default originate": "announces a default route to one peer",
    "add-path": "several paths of a prefix (RFC 7911)",
    "ipv6 next hops": "IPv4 routes over IPv6 next hops (RFC 8950)",
    "link-local": "sessions between link-local addresses",
    "extended messages": "messages of more than 4096 octets (RFC 8654)",
}


class Foreign(Host):
    """Sessions are known by the remote's address."""

    package = None  # the distribution's
    kernel = False  # it writes the routes it learns to the kernel
    lacks = {}      # {feature: reason}
    hides = {}      # {field of Route: why its listing does not have it}

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.sessions = []

    @classmethod
    def absent(cls):
        """Why it cannot run where we are; empty if it can."""
        return ""

    @classmethod
    def has(cls, feature):
        assert feature in FEATURES, feature
        return feature not in cls.lacks

    def launch(self, *sessions, networks=()):
        """Starts the daemon with these sessions; networks are prefixes it originates itself."""
        self.sessions, self.networks = sessions, networks
        self.begin()

    def begin(self):
        """Starts what crash() or stop() ended, with the same configuration."""
        raise NotImplementedError

    def forget(self, network):
        """Before begin(): what it would remember of a network that it no longer shall have."""

    @contextlib.contextmanager
    def apart(self):
        """No session comes up meanwhile; what is forwarded is not affected."""
        routes = [f"unreachable {session.remote}/{128 if is6(session.remote) else 32}" for session in self.sessions]
        self.ip(*(f"route add {route}" for route in routes))
        yield
        self.ip(*(f"route del {route}" for route in routes))

    def established(self, session):
        raise NotImplementedError

    def wait_established(self, session, timeout=30):
        wait_for(lambda: self.established(session), lambda: f"{self.name}: session with {session.remote}\n{self.tell()}", timeout)

    def paths(self, session):
        """[Route] of what came over a session and is in use or could be."""
        raise NotImplementedError

    def learned(self, session):
        """{prefix: Route}, of sessions that have one path of each."""
        return by_prefix(self.paths(session))

    def listed(self, wanted, _session):
        """The routes as its listing should show them: with what it adds when it takes them in, and leaves out."""
        return {prefix: route.with_(**{name: None for name in self.hides}) for prefix, route in wanted.items()}

    def refresh(self, session):
        """Asks the peer for its routes of all families again."""
        raise NotImplementedError

    def shut(self, session, text=""):
        """Administrative shutdown, with a reason."""
        raise NotImplementedError

    def reset(self, session):
        """Ends a session with a NOTIFICATION that is no Hard Reset, and begins it anew."""
        raise NotImplementedError

    def tell(self):
        """What a person would want to see of a session that is not as it should be."""
        return "\n".join(text[-1500:] for text in self.logs().values())

    def crash(self):
        """The BGP daemon ends without a goodbye; what it runs beside goes on."""
        self.end_bgp(9)

    def end_bgp(self, signal_number):
        process = self.bgp
        process.send_signal(signal_number)
        process.wait(40)
        self.processes.remove(process)
        self.cluster.processes.remove(process)

    def listen(self, program, words, log, **options):
        """The BGP daemon itself, which crash() ends."""
        self.bgp = self.spawn([program, *words], log, **options)
        return self.bgp
