"""What the tests beside other daemons share: a host with scripted speakers, and all daemons around one of ours."""

import contextlib
import ipaddress

from foreign import Session
from harness import Host
from objects import bgp_peer, ip_pool
from peers import PEERS
from routes import PARTIAL, TRANSITIVE, Table, by_prefix, updates_of
from speaker import Speaker

OUR_AS, CLUSTER_ID = 64512, "10.0.0.1"
FAMILIES = (4, 6)


def kind_name(kind):
    return kind.__name__.removesuffix("Node").lower()


def kinds_with(*features):
    """The daemons that have these features; what the others lack, and why, is in their tables (peer_*.py)."""
    return [kind for kind in PEERS if all(map(kind.has, features))]


class Scripts(Host):
    """Scripted speakers, each on an IPv4 and an IPv6 address of its own."""

    next_number = 100

    def pair(self):
        """{family: address}"""
        number, self.next_number = self.next_number, self.next_number + 1
        found = {4: f"172.18.0.{number}", 6: f"fd00:18::{number:x}"}
        self.ip(f"addr add {found[4]}/24 dev eth0", f"addr add {found[6]}/64 dev eth0 nodad")
        return found


def router_id(address):
    """Of a scripted speaker on this address."""
    return f"192.0.2.{int(ipaddress.ip_address(address)) & 0xff}"


def heard(*peers, **options):
    """{prefix: Route}: what scripted speakers have heard, each on the connection it has; {(prefix, path identifier): Route}
    with the option add_path of routes.Table."""
    out = []
    for peer in dict.fromkeys(peers):
        table = Table(**options)
        for body in list(peer.updates):
            table.update(body)
        out += table.routes.items()
    return dict(out) if options.get("add_path") else by_prefix([route for _key, route in out])


class Surroundings:
    """One of ours with scripted speakers and other daemons around it, all in one network."""

    def __init__(self, cluster, ours, as_number=OUR_AS):
        self.cluster, self.ours, self.as_number = cluster, ours, as_number
        self.scripts = cluster.add_host(Scripts, "scripts", blocks=[], publish=False)
        self.speaker = Speaker(self.scripts)
        # Next hops that nobody has: what is announced with them is nobody's own.
        self.hops = {family: [str(ipaddress.ip_address(address) + 100) for _ in range(8)
                              for address in [self.scripts.pair()[family]]] for family in FAMILIES}
        cluster.write(ip_pool("10.0.0.0/8", "everything4"), ip_pool("fd00::/8", "everything6"))

    def peer_with(self, name, address, as_number, **spec):
        self.cluster.write(bgp_peer(name, node=self.ours.name, peerIP=address, asNumber=as_number, **spec))

    def scripted(self, name, as_number, updates=(), spec=None, **options):
        """A speaker beside us with a session for each family; {family: scripted peer}."""
        out = {}
        for family, address in self.scripts.pair().items():
            mine = [one for one in updates if one.family == family]
            out[family] = self.speaker.add(address, as_number, router_id(address), families=(family,), keep=True,
                                           updates=updates_of(mine, options.get("four_octets", True)), **options)
            self.peer_with(f"{name}-{family}", address, as_number, **(spec or {}))
        return out


class Circle(Surroundings):
    """A host of each of these daemons, with one session with us, over IPv4 and for both families unless `families` says
    otherwise. theirs: options of their Sessions; ours: fields of our BGPPeers; numbers: AS of each host, by its number."""

    def __init__(self, cluster, ours, kinds, numbers=lambda _number: OUR_AS, families=FAMILIES, theirs=None, spec=None, **options):
        super().__init__(cluster, ours, **options)
        self.hosts, self.families = {}, families
        for number, kind in enumerate(kinds, 1):
            host = cluster.add_host(kind, kind_name(kind), blocks=[], publish=False)
            host.number, host.as_number = number, numbers(number)
            host.session = Session(host.ip4, ours.ip4, host.as_number, self.as_number, families, next_hops={6: host.ip6},
                                   **(theirs or {}))
            self.hosts[host.name] = host
        self.configure(**(spec or {}))

    def configure(self, **spec):
        """Our side of all the sessions."""
        for host in self.hosts.values():
            self.peer_with(host.name, host.ip4, host.as_number, families=[f"IPv{family}" for family in self.families], **spec)

    def launch(self, **options):
        for host in self.hosts.values():
            host.launch(host.session, **options)

    def wait_established(self, timeout=40):
        for host in self.hosts.values():
            host.wait_established(host.session, timeout)

    def shown(self, host):
        return self.ours.show("peers", host.ip4)["peer"]


@contextlib.contextmanager
def circle(new_cluster, kinds, *, reflector=False, **options):
    """A circle around a node of ours, or a reflector, with its speaker at work; ours is to be started."""
    cluster = new_cluster(mesh=False)
    ours = cluster.add_reflector("ours", CLUSTER_ID, peers=False) if reflector else cluster.add_node("ours")
    made = Circle(cluster, ours, kinds, **options)
    with made.speaker:
        yield made


# What we do with a route

def partial(others):
    """Unknown transitive attributes are passed on, with a note that somebody did not know them (RFC 4271 5)."""
    return tuple((code, flags | PARTIAL, value) for code, flags, value in others if flags & TRANSITIVE)


def reflected(route, originator):
    """From an internal peer to another."""
    return route.with_(originator_id=route.originator_id or originator, cluster_list=(CLUSTER_ID, *route.cluster_list),
                       others=partial(route.others))


def brought_in(route):
    """From an external peer to an internal one."""
    return route.with_(local_pref=100, others=partial(route.others))


def sent_out(route, next_hop, as_number=OUR_AS):
    """To an external peer."""
    return route.with_(as_path=(as_number, *route.as_path), next_hop=next_hop, med=None, local_pref=None, originator_id=None,
                       cluster_list=(), others=partial(route.others))
