"""The same routes to ours and to BIRD, and what leaves is the same: every route and every attribute.

Where they are meant to differ, BIRD is told to do as ours does, or the difference is taken away here:

- BIRD leaves a third party's next hop alone where the peer could reach it (RFC 4271 5.1.3 allows it), ours never: it has
  `next hop self` towards other ASes;
- BIRD adds its link-local address to IPv6 next hops on the link, ours does so on sessions over links only (docs/rfc.md);
- BIRD knows its cluster's identifier on the sessions of clients only, so others' routes with it are accepted there, against
  RFC 4456 8: no such route is given.

Scripted sources (a reflection client, an internal peer that is none, two external ones) give both the same random routes, of
which many share a prefix: what each tells the sinks of the same four kinds shows which one it chose, what it may not
tell, and how it changed it; or, where all paths are sent (ADD-PATH), all of that for each. Then some routes are taken back, others change, a source goes.
"""

import random

import pytest

from foreign import Session
from interop import CLUSTER_ID, FAMILIES, OUR_AS, Surroundings, heard
from netns import wait_for
from peers import BirdNode
from routes import OPTIONAL, PARTIAL, TRANSITIVE, Route, differences, random_attributes, updates_of, withdrawals_of
from speaker import capability

TAKES = 50  # s: it begins early

PREFIXES = 400  # of each family
ROUTER_ID = "192.0.2.1"  # of both: they do not know each other
KINDS = {"client": OUR_AS, "internal": OUR_AS, "external": 65001, "other": 65002}
ALL_PATHS = capability(69, b"\0\1\1\1" + b"\0\2\1\1")  # wants to receive several paths of both families
WELL_KNOWN = ("65535:65281", "65535:65282", "65535:65283")  # NO_EXPORT, NO_ADVERTISE, NO_EXPORT_SUBCONFED


class Pair:
    """Ours and BIRD, each with its own copies of the scripted speakers."""

    def __init__(self, cluster, seed, add_path):
        self.rng, self.add_path = random.Random(seed), add_path
        ours = cluster.add_reflector("ours", CLUSTER_ID, peers=False, config={"bgp": {"router_id": ROUTER_ID}})
        self.around = Surroundings(cluster, ours)
        self.speaker = self.around.speaker
        bird = cluster.add_host(BirdNode, "bird", blocks=[], publish=False)
        bird.router_id = ROUTER_ID
        self.hosts = {"ours": ours, "bird": bird}
        self.sources, self.sinks, self.given = {}, {}, {}
        sessions = []
        for number, (kind, as_number) in enumerate(KINDS.items(), 1):
            self.given[kind] = self.routes_of(kind)
            for role, peers in (("source", self.sources), ("sink", self.sinks)):
                updates = updates_of(self.given[kind].values()) if role == "source" else ()
                for name, host in self.hosts.items():
                    address = self.around.scripts.pair()[4]
                    many = add_path and role == "sink"
                    peers[kind, name] = self.speaker.add(
                        address, as_number, f"192.0.2.{number + (10 if role == 'source' else 20)}", keep=True, updates=updates,
                        more=ALL_PATHS if many else b"")
                    if host is ours:
                        self.around.peer_with(f"{role}-{kind}", address, as_number, families=["IPv4", "IPv6"],
                                              routeReflectorClient="true" if kind == "client" else "false",
                                              addPath="Send" if many else "Off")
                    else:
                        sessions.append(Session(host.ip4, address, OUR_AS, as_number, restart_time=None, next_hops={6: host.ip6},
                                                next_hop_self=as_number != OUR_AS, add_path=many,
                                                client=kind == "client", cluster_id=CLUSTER_ID if kind == "client" else None))
        bird.launch(*sessions)

    # What is given

    def routes_of(self, kind):
        """{prefix: Route} of one source: more than half of all prefixes."""
        out = {}
        for family in FAMILIES:
            index = 0
            while index < PREFIXES:
                same = self.attributes(kind, family)
                for _ in range(self.rng.choice([1, 1, 3])):
                    prefix = f"10.77.{index // 256}.{index % 256}/32" if family == 4 else f"fd01:77:{index:x}::/48"
                    if index and self.rng.random() < 0.6:
                        out[prefix] = same.with_(prefix=prefix)
                    index += 1
        return out

    def attributes(self, kind, family):
        rng, internal = self.rng, KINDS[kind] == OUR_AS
        # Few values, so that later steps of the decision are reached.
        route = random_attributes(rng, internal=internal, next_hop=rng.choice(self.around.hops[family]), first_as=KINDS[kind])
        if rng.random() < 0.7:
            route = route.with_(local_pref=rng.choice([100, 100, 200]) if internal else None, med=rng.choice([None, 0, 10, 20]),
                                origin=rng.choice([0, 0, 2]), as_path=route.as_path[:2])
        changes = [
            (0.05, lambda r: r.with_(communities=(*r.communities, rng.choice(WELL_KNOWN)))),
            (0.03, lambda r: r.with_(as_path=(*r.as_path, OUR_AS))),
            (0.05, lambda r: r.with_(ext_communities=(*r.ext_communities, "4002fde800000001"))),  # not transitive
            (0.05, lambda r: r.with_(others=((211, OPTIONAL, "aabb"),))),  # neither
            (0.05, lambda r: r.with_(others=((212, OPTIONAL | TRANSITIVE | PARTIAL, "cc"),))),
        ]
        if internal:
            changes += [
                (0.2, lambda r: r.with_(cluster_list=tuple(f"10.0.9.{rng.randint(1, 3)}" for _ in range(rng.randint(1, 3))),
                                        originator_id=f"192.0.2.{rng.randint(50, 60)}")),
                (0.03, lambda r: r.with_(originator_id=ROUTER_ID, cluster_list=("10.0.9.9",))),
            ]
        if kind == "client":
            changes.append((0.03, lambda r: r.with_(originator_id="192.0.2.99", cluster_list=("10.0.9.9", CLUSTER_ID))))
        for odds, change in changes:
            if rng.random() < odds:
                route = change(route)
        return route

    # What comes out

    def told(self, kind, name):
        """{(prefix, which of its paths): Route}; the host's own addresses have one name for both, link-local ones are left out."""
        host = self.hosts[name]
        own = {host.ip4: "self", host.ip6: "self"}

        def form(route):
            hop = route.next_hop.split()[0]
            return route.with_(next_hop=own.get(hop, hop), path_id=0).sorted_()

        table = heard(self.sinks[kind, name], add_path=FAMILIES) if self.add_path else heard(self.sinks[kind, name])
        # Several paths of a prefix are told apart by what they say: identifiers are the sender's business.
        return {(route.prefix, repr(route) if self.add_path else ""): route for route in map(form, table.values())}

    def problem(self):
        """What differs; a text, empty if nothing does."""
        for kind in KINDS:
            text = differences(self.told(kind, "bird"), self.told(kind, "ours"))
            if text:
                return f"to {kind}: {text}"
        return ""

    def tell(self, kind, messages):
        """One source says this to both."""
        for name in self.hosts:
            self.speaker.say(self.sources[kind, name], b"".join(messages))

    def wait_same(self, after, sources=tuple(KINDS)):
        """A route more of each source, which every sink is told of, shows that all before it was read."""
        last = []
        for kind in sources:
            number = next(self.around.cluster.numbers)
            prefix = f"10.78.{number // 256}.{number % 256}/32"
            internal = KINDS[kind] == OUR_AS
            route = Route(prefix, self.around.hops[4][0], as_path=() if internal else (KINDS[kind],), local_pref=100 if internal else None)
            last.append((kind, prefix))
            self.tell(kind, updates_of([route]))

        def arrived(name):
            prefixes = {sink: {prefix for prefix, _path in self.told(sink, name)} for sink in KINDS}
            return all(prefix in prefixes[sink] for kind, prefix in last for sink in KINDS
                       if (kind, sink) != ("internal", "internal"))

        for name in self.hosts:
            wait_for(lambda n=name: arrived(n), f"{name} is done with {after}", 30)
        wait_for(lambda: not self.problem(), lambda: f"after {after}: {self.problem()}", 10)


@pytest.fixture
def pair(new_cluster, request):
    made = Pair(new_cluster(mesh=False), *request.param)
    with made.speaker:
        made.around.cluster.start()
        for peer in (*made.sources.values(), *made.sinks.values()):
            wait_for(lambda p=peer: p.established, f"{peer.address}'s session")
        yield made


@pytest.mark.parametrize("pair", [(1, False), (2, False), (3, True), (4, True)], indirect=True,
                         ids=lambda param: f"{'all' if param[1] else 'best'}-{param[0]}")
def test_side_by_side(pair):
    pair.wait_same("everything")
    told = pair.told("client", "ours")
    prefixes = {prefix for prefix, _path in told}
    assert len(prefixes) > PREFIXES
    assert len(told) > 1.3 * len(prefixes) if pair.add_path else len(told) == len(prefixes)
    for kind, given in pair.given.items():
        gone = pair.rng.sample(sorted(given), len(given) // 3)
        pair.tell(kind, withdrawals_of([given[prefix] for prefix in gone]))
        changed = pair.routes_of(kind)
        pair.tell(kind, updates_of(route for prefix, route in changed.items() if pair.rng.random() < 0.4))
    pair.wait_same("changes")
    for name in pair.hosts:
        pair.speaker.leave(pair.sources["client", name])
    pair.wait_same("the client's end", [kind for kind in KINDS if kind != "client"])
