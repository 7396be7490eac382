"""A route reflector and any number of scripted peers of it, iBGP clients and eBGP ones, that a test speaks for.

    with Arena(players=300) as arena:
        arena.start()
        player = arena.players[0]
        link = player.establish(arena.swarm)

The daemon dials nobody: each player is a passive BGPPeer with both families, which the player's test may use as it likes. Two
more, the observers, see what the daemon exports, inside the AS and outside; and the witnesses have routes that nothing may
happen to.
"""

import ipaddress
import struct

from harness import Cluster, Host
from netns import wait_for
from objects import bgp_peer, ip_pool, node_object
from speaker import KEEPALIVE, MP_UNREACH, attribute, capability, end_of_rib, message, nlri, update
from swarm import Swarm

OUR_AS, OTHER_AS = 64512, 65001
PER_HOST = 8  # /26 and /64 of each player
RECEIVES_PATHS, SENDS_PATHS = 1, 2  # of Player.paths: RFC 7911 4


class Player:
    """A peer: its addresses, its AS, and prefixes of its own."""

    def __init__(self, index, as_number):
        self.index, self.as_number, self.ebgp = index, as_number, as_number != OUR_AS
        self.ip4 = f"172.18.{16 + index // 200}.{1 + index % 200}"
        self.ip6 = f"fd00:18::{0x1000 + index:x}"
        self.name = f"Node_{self.ip4.replace('.', '_')}"
        self.identifier = ipaddress.ip_address(self.ip4).packed
        # What its sessions are to be like (see Where of malformed.py), and what is said on them at the moment.
        self.old = self.hops = self.paths = self.long = False
        self.family, self.extended = 4, False
        self.our_identifier = ipaddress.ip_address("172.18.0.1").packed
        self.link = None
        base4 = int(ipaddress.ip_address("10.0.0.0")) + index * PER_HOST * 64
        base6 = int(ipaddress.ip_address("fd00:10::")) + index * PER_HOST * 2**64
        # What cases are about, and what must not suffer from them.
        self.victim, self.bystander, self.extra, self.mark = (
            {4: f"{ipaddress.ip_address(base4 + number * 64)}/26",
             6: f"{ipaddress.ip_address(base6 + number * 2**64)}/64"}
            for number in range(4))

    def prefix(self, number, family=4):
        """Further ones: number below PER_HOST."""
        first = ipaddress.ip_network(self.victim[family])
        return f"{first.network_address + number * first.num_addresses}/{first.prefixlen}"

    def nlri(self, prefix, path_id=7):
        """As its sessions write it."""
        return struct.pack("!I", path_id) + nlri(prefix) if self.paths & SENDS_PATHS else nlri(prefix)

    def hop(self, family):
        return ipaddress.ip_address(self.ip4 if family == 4 else self.ip6).packed

    def our_hop(self, family):
        return ipaddress.ip_address("172.18.0.1" if family == 4 else "fd00:18::1").packed

    def capabilities(self):
        found = capability(1, b"\0\1\0\1") + capability(1, b"\0\2\0\1") + capability(2)
        found += capability(5, b"\0\1\0\1\0\2") if self.hops else b""
        found += capability(6) if self.long else b""
        found += capability(69, bytes([0, 1, 1, self.paths, 0, 2, 1, self.paths])) if self.paths else b""
        return found if self.old else found + capability(65, struct.pack("!I", self.as_number))

    def open(self, hold=0, more=b""):
        listed = self.capabilities() + more
        return message(1, struct.pack("!BHH", 4, min(self.as_number, 65535), hold) + self.identifier +
                       bytes([len(listed) + 2, 2, len(listed)]) + listed)

    def update(self, prefixes, **options):
        """A good one; prefixes of one family."""
        family = 6 if ":" in prefixes[0] else 4
        options.setdefault("as_path", [self.as_number, 65100] if self.ebgp else [65100])
        options.setdefault("local_pref", None if self.ebgp else 200)
        return update(prefixes, self.ip4 if family == 4 else self.ip6, width=2 if self.old else 4,
                      **{"encode": self.nlri, **options})

    def announce(self, *sets):
        """UPDATEs for these sets of prefixes, such as player.victim."""
        return b"".join(self.update([prefixes[family] for prefixes in sets]) for family in (4, 6))

    def withdraw(self, *sets):
        gone = [b"".join(self.nlri(prefixes[family]) for prefixes in sets) for family in (4, 6)]
        unreach = attribute(MP_UNREACH, b"\0\2\1" + gone[1], 0x80)
        return (message(2, struct.pack("!H", len(gone[0])) + gone[0] + b"\0\0") +
                message(2, struct.pack("!HH", 0, len(unreach)) + unreach))

    def greet(self, swarm, *more, hold=0, **options):
        """Dials, and says all of it at once: OPEN, KEEPALIVE, what is given, End-of-RIB."""
        self.link = swarm.dial(self.ip4, **options)
        self.link.say(self.open(hold), message(KEEPALIVE), *more, end_of_rib(4), end_of_rib(6))
        return self.link


class Arena:
    def __init__(self, players, config=None, kinds="ie", passive=True):
        """kinds: the ASes of the players in turn, i for ours and e for the other one. passive: the daemon dials none of
        them; otherwise all but the observers and witnesses."""
        self.cluster = Cluster(mesh=False, pools=False)
        self.players = [Player(index,
                               OUR_AS if kinds[index % len(kinds)] == "i" else OTHER_AS) for index in range(players)]
        self.inside, self.outside = Player(players, OUR_AS), Player(players + 1, 65002)
        self.inside.hops = True
        self.witnesses = [Player(players + 2, OUR_AS), Player(players + 3, OTHER_AS)]
        everybody = [*self.players, self.inside, self.outside, *self.witnesses]
        timers = {"idle_hold_time": 1, "idle_hold_max": 1}
        segment = self.cluster.segment("lan", ["172.18.0.254/16", "fd00:18::fffe/64"])
        self.node = self.cluster.add_reflector("node-1", peers=False, segment=segment,
                                               addresses=["172.18.0.1/16", "fd00:18::1/64"],
                                               config={"bgp": timers, **(config or {})})
        self.host = self.cluster.add_host(Host, "players", segment=segment, publish=False, blocks=[], addresses=[
            address for player in everybody for address in (f"{player.ip4}/16", f"{player.ip6}/64")])
        self.cluster.write(ip_pool("10.0.0.0/8"), ip_pool("fd00:10::/32"))
        for player in everybody:
            role = "player" if player in self.players else "observer"
            player.object = node_object(f"player-{player.index}", [f"{player.ip4}/16", f"{player.ip6}/64"],
                                        as_number=player.as_number, labels={"role": role})
            self.cluster.write(player.object)
        for role, waits in (("player", passive), ("observer", True)):
            self.cluster.write(bgp_peer(f"{role}s", node="node-1", peerSelector=f"role == '{role}'", passive=waits,
                                        extendedNextHop="true"))
        self.swarm = Swarm(self.host, self.node)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_error):
        if kind is not None:
            print(self.node.log_tail(60))
        self.swarm.close_all()
        self.cluster.close()

    def start(self):
        """The daemon, the observers' sessions and the witnesses'."""
        self.node.start()
        count = len(self.players) + len(self.observers) + len(self.witnesses)
        wait_for(lambda: sum(peer["state"] != "Idle" for peer in self.peers().values()) == count,
                 "the daemon knows its peers")
        for observer in self.observers:
            observer.greet(self.swarm, watch=True)
        for witness in self.witnesses:
            witness.greet(self.swarm, witness.announce(witness.bystander))
        self.swarm.wait(lambda: all(self.witnessed <= set(observer.link.routes) for observer in self.observers),
                        lambda: f"the observers' sessions: {[observer.link.end for observer in self.observers]}")
        self.before = self.peers()

    @property
    def observers(self):
        return self.inside, self.outside

    @property
    def witnessed(self):
        """The witnesses' routes."""
        return {witness.bystander[family] for witness in self.witnesses for family in (4, 6)}

    def fence(self):
        """Until the observers have seen all that follows from what the daemon has handled: a witness's route comes and goes."""
        witness = self.witnesses[0]
        fences = {witness.victim[family] for family in (4, 6)}
        for says, there in ((witness.announce(witness.victim), True), (witness.withdraw(witness.victim), False)):
            witness.link.say(says)
            self.swarm.wait(lambda there=there: all((prefix in observer.link.routes) == there for prefix in fences
                                                    for observer in self.observers), "the witness's route")

    def assert_untouched(self):
        """No session of the observers and witnesses has ended, no route of the witnesses has been touched."""
        now = self.peers()
        for player in (*self.observers, *self.witnesses):
            assert not player.link.over, f"{player.name}: {player.link.end}, {player.link.notification}"
            row, was = now[player.name], self.before[player.name]
            assert row["state"] == "Established" and row["since"] >= was["since"], (row, was)
        for observer in self.observers:
            changes = {prefix: observer.link.changes[prefix] for prefix in self.witnessed}
            assert set(changes.values()) == {1} and self.witnessed <= set(observer.link.routes), changes

    def peers(self):
        """{name: its row} of `show peers`, IPv4 sessions."""
        return {peer["name"]: peer for peer in self.node.show("peers")["peers"] if ":" not in peer["address"]}

    def log_of(self, player):
        return [line for line in self.node.log_text().splitlines() if f" {player.name}: " in line]
