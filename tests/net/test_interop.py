"""Every daemon of peers.py beside ours: thousands of routes in both directions, and every attribute compared.

One network has them all: our reflector (AS 64512), of each daemon one host in the same AS and one in another, and a host
whose many addresses are scripted speakers:

    feeder ─→ daemon ─→ ours ─→ sinks          what a daemon says to us arrives
                  └──→ twin                    what a daemon says to one in our place, octet by octet
    sources ─→ ours ─→ daemon                  what we say to a daemon arrives: its own listing
                └──→ sinks                     the same, octet by octet

Inside the AS a daemon and ours are each other's reflection clients, with one session for both families; between ASes each
family has its own session. ours dials the internal ones, the daemons the external ones.
"""

import dataclasses
import re

import pytest

import interop_table
from foreign import FEATURES, Session
from harness import TOP, run, wait_for
from interop import (CLUSTER_ID, FAMILIES, OUR_AS, Surroundings, brought_in, heard, kind_name, reflected, router_id, sent_out)
from objects import bgp_peer, node_object
from peers import ALL, PEERS
from routes import FIELDS, by_prefix, differences, random_routes, updates_of, withdrawals_of

TAKES = 50  # s: it begins early

SEED = 7
FED, SOURCED = 100, 300  # routes of a family: of each daemon, of each source


@dataclasses.dataclass
class Row:
    """A daemon on one side of the AS border, and what belongs to it."""
    kind: type
    internal: bool
    number: int
    host: object = None
    feeder: object = None
    sessions: list = dataclasses.field(default_factory=list)  # with us
    fed: list = dataclasses.field(default_factory=list)       # the routes it passes on or announces
    twins: dict = dataclasses.field(default_factory=dict)     # {family: scripted peer}

    @property
    def name(self):
        return f"{kind_name(self.kind)}-{'internal' if self.internal else 'external'}"

    @property
    def as_number(self):
        return OUR_AS if self.internal else 65100 + self.number

    def told(self):
        """{prefix: Route}: what its twin heard."""
        return heard(*self.twins.values())


ROWS = [Row(kind, internal, number) for number, (kind, internal) in
        enumerate(((kind, internal) for kind in PEERS for internal in (True, False)), 1)]


class Matrix(Surroundings):
    def __init__(self, cluster):
        super().__init__(cluster, cluster.add_reflector("ours", CLUSTER_ID, peers=False))
        self.peer_all([row for row in ROWS if row.internal])

    def peer_all(self, rows, **spec):
        """Our sessions with these daemons; the internal ones have one BGPPeer together."""
        if any(row.internal for row in rows):
            self.cluster.write(bgp_peer("internal", node="ours", peerSelector="has(interop)", **spec))
        for row in rows:
            for session in () if row.internal else row.sessions:
                self.peer_with(f"{row.name}-{session.families[0]}", session.local, row.as_number, passive=True, **spec)

    # The daemons

    def add(self, row):
        row.host = self.cluster.add_host(row.kind, row.name, blocks=[], publish=False)
        cluster_id = f"10.0.1.{row.number}"
        us, them = self.ours, row.host
        options = {"client": True, "cluster_id": cluster_id} if row.internal and row.kind.has("reflector") else {}
        row.fed = self.fed(row)
        twin, feeder = self.scripts.pair(), self.scripts.pair()
        if row.internal:
            hops = {6: them.ip6}
            row.sessions = [Session(them.ip4, us.ip4, row.as_number, OUR_AS, passive=True, next_hops=hops, **options)]
            extra = [Session(them.ip4, twin[4], row.as_number, OUR_AS, next_hops=hops, **options),
                     Session(them.ip6, us.ip6, row.as_number, OUR_AS, (6,), **options)]
            row.twins = dict.fromkeys(FAMILIES, self.speaker.add(twin[4], OUR_AS, families=FAMILIES, keep=True))
            self.cluster.write(node_object(row.name, them.addresses, as_number=row.as_number, labels={"interop": row.name}))
        else:
            row.sessions = [Session(them.address(family), us.address(family), row.as_number, OUR_AS, (family,))
                            for family in FAMILIES]
            extra = [Session(them.address(family), twin[family], row.as_number, OUR_AS, (family,)) for family in FAMILIES]
            row.twins = {family: self.speaker.add(twin[family], OUR_AS, router_id(twin[family]),
                                                  families=(family,), keep=True) for family in FAMILIES}
            self.peer_all([row])
        if row.kind.has("relay"):
            feeder_as = row.as_number if row.internal else 65200 + row.number
            extra.append(Session(them.ip4, feeder[4], row.as_number, feeder_as, **options))
            row.feeder = self.speaker.add(feeder[4], feeder_as, updates=updates_of(row.fed))
            row.host.launch(*row.sessions, *extra)
        else:
            row.host.launch(*row.sessions, *extra, announced=row.fed)

    def fed(self, row):
        first = {} if row.internal else {"first_as": 65200 + row.number if row.kind.has("relay") else row.as_number}
        return random_routes(SEED, row.number, FED, hops=self.hops, internal=row.internal, **first)

    # What happens

    def start(self):
        with self.speaker:
            self.source = {
                True: random_routes(SEED, 201, SOURCED, hops=self.hops, internal=True),
                False: random_routes(SEED, 202, SOURCED, hops=self.hops, internal=False, first_as=65001)}
            self.sources = {True: self.scripted("source-internal", OUR_AS, self.source[True]),
                            False: self.scripted("source-external", 65001, self.source[False])}
            self.sinks = {True: self.scripted("sink-internal", OUR_AS), False: self.scripted("sink-external", 65002)}
            for row in ROWS:
                self.add(row)
            self.cluster.start()
            self.wait_exchanged()
            yield self

    def sunk(self, internal):
        """{prefix: Route}: what a sink has heard from us."""
        return heard(*self.sinks[internal].values())

    def total(self):
        return 2 * (2 * SOURCED + len(ROWS) * FED)

    def wait_exchanged(self):
        for row in ROWS:
            for session in row.sessions:
                row.host.wait_established(session)
            mine = by_prefix(row.fed).keys()
            wait_for(lambda r=row, m=mine: m <= r.told().keys(), lambda r=row: f"{r.name} tells its twin its routes", 60)
        for internal in (True, False):
            wait_for(lambda i=internal: len(self.sunk(i)) == self.total(),
                     lambda i=internal: f"{self.total()} routes in a sink; {len(self.sunk(i))}", 60)


@pytest.fixture(scope="module")
def matrix(new_shared_cluster):
    yield from Matrix(new_shared_cluster(mesh=False)).start()


def rows_with(*features, internal=(True, False)):
    """The rows whose daemon has these features; what the others lack, and why, is in their tables (peer_*.py)."""
    rows = [row for row in ROWS if all(map(row.kind.has, features)) and row.internal in internal]
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name)


# Daemons and what they can do

@pytest.mark.parametrize("kind", ALL, ids=kind_name)
def test_present(kind):
    """All of them are here, or it is said why not."""
    if kind.absent():
        pytest.skip(kind.absent())
    assert kind in PEERS


def test_tables():
    """Each thing a daemon lacks is one of those that are asked for, and has its reason."""
    for kind in ALL:
        assert kind.package and kind.lacks.keys() <= FEATURES.keys() and all(kind.lacks.values()), kind
        assert kind.hides.keys() <= set(FIELDS), kind


def test_document():
    """docs/interop.md says what the tables say, and names the versions that are here."""
    text = (TOP / "docs/interop.md").read_text()
    assert interop_table.table() in text and interop_table.reasons() in text, "run tests/net/interop_table.py"
    for kind in ALL:
        version = re.search(rf"\| {kind.package} \| (\S+) \|", text).group(1)
        here = run(["dpkg-query", "-W", "-f", "${Version}", kind.package])
        assert here.startswith(version), f"{kind.package} is {here}, docs/interop.md names {version}"
    for name, tests in re.findall(r"`(test_\w+\.py)(?::(\w+))?`", text):
        source = (TOP / "tests/net" / name).read_text()
        assert not tests or f"def {tests}(" in source, f"{name}:{tests}"


CAPABILITIES = {
    "enhanced_route_refresh": "enhanced refresh",
    "graceful_restart_families": "graceful restart",
}


@rows_with()
def test_session(matrix, row):
    """What the daemon announces is what its table says; who dials is who should."""
    families = {(4,): "ipv4", (6,): "ipv6", (4, 6): "ipv4, ipv6"}
    for session in row.sessions:
        peer = matrix.ours.show("peers", session.local)["peer"]
        capabilities = peer["capabilities"]
        assert peer["state"] == "Established"
        assert peer["dialled_by"] == ("this node" if row.internal else "the peer")
        assert capabilities["families"] == families[session.families]
        assert capabilities["four_octet_as"] and capabilities["route_refresh"]
        assert capabilities["router_id"] == row.host.ip4
        for key, feature in CAPABILITIES.items():
            assert bool(capabilities[key]) == row.kind.has(feature), (key, capabilities)
        assert bool(capabilities["hostname"]) == row.kind.has("hostname"), capabilities


@rows_with()
def test_from_daemon(matrix, row):
    """What a daemon tells is what we pass on."""
    mine = by_prefix(row.fed)
    told = {prefix: route for prefix, route in row.told().items() if prefix in mine}
    assert len(told) == 2 * FED
    wanted = {prefix: reflected(route, row.host.ip4) if row.internal else brought_in(route) for prefix, route in told.items()}
    sunk = {prefix: route for prefix, route in matrix.sunk(True).items() if prefix in mine}
    # A link-local next hop is for those on the link it came from (RFC 2545 3).
    wanted = {prefix: route.with_(next_hop=route.next_hop.split()[0]) for prefix, route in wanted.items()}
    assert not differences(wanted, sunk)


@rows_with()
def test_to_daemon(matrix, row):
    """A daemon's own listing has what the sink of its kind got; but not what it has told us itself."""
    mine = by_prefix(row.fed)
    for session in row.sessions:
        sunk = {prefix: route for prefix, route in matrix.sunk(row.internal).items()
                if prefix not in mine and route.family in session.families}
        wanted = row.host.listed(sunk, session)

        def problem(wanted=wanted, session=session):
            found = {prefix: route for prefix, route in row.host.learned(session).items() if prefix not in mine}
            return differences(wanted, found, [name for name in FIELDS if name not in row.kind.hides])

        wait_for(lambda: not problem(), problem, 20)


@pytest.mark.parametrize("internal", [True, False], ids=["internal", "external"])
def test_sinks(matrix, internal):
    """What we make of the sources' routes."""
    wanted = {}
    for inside, routes in matrix.source.items():
        for route in routes:
            wanted[route.prefix] = (
                sent_out(route, matrix.ours.address(route.family)) if not internal
                else reflected(route, router_id(matrix.sources[True][route.family].address)) if inside else brought_in(route))
    assert not differences(wanted, {prefix: route for prefix, route in matrix.sunk(internal).items() if prefix in wanted})


# Refresh

def received(matrix, session):
    """{type: count} of the messages that we got from it."""
    return {row["type"]: row["received"] for row in matrix.ours.show("peers", session.local)["peer"]["messages"]}


@rows_with("asks again")
def test_they_ask_again(matrix, row):
    """A refresh changes nothing; with RFC 7313 nothing is missing between its marks either."""
    for session in row.sessions:
        before, routes = received(matrix, session), row.host.learned(session)
        row.host.refresh(session)
        wait_for(lambda s=session, b=before: received(matrix, s)["ROUTE-REFRESH"] >= b["ROUTE-REFRESH"] + len(s.families),
                 lambda s=session: f"{row.name} asks for its routes again: {received(matrix, s)}")
        wait_for(lambda s=session, r=routes: row.host.learned(s).keys() == r.keys(), "the routes are there")
        assert received(matrix, session)["OPEN"] == before["OPEN"]


@rows_with("refresh", internal=(False,))
def test_we_ask_again(matrix, row):
    """Ours asks when it judges routes otherwise than before; with RFC 7313 what comes is between marks."""
    mine = by_prefix(row.fed)

    def asked(session):
        peer = matrix.ours.show("peers", session.local)["peer"]
        return (next(one["sent"] for one in peer["messages"] if one["type"] == "ROUTE-REFRESH"),
                peer["updates"]["prefixes_received"])

    before = {session.local: asked(session) for session in row.sessions}
    heard_before = {session.local: received(matrix, session) for session in row.sessions}
    matrix.peer_all([row], enforceFirstAS=False)
    for session in row.sessions:
        count, prefixes = before[session.local]
        wait_for(lambda s=session, c=count: asked(s)[0] > c, lambda: f"ours asks {row.name}")
        wait_for(lambda s=session, p=prefixes: asked(s)[1] >= p + FED, lambda s=session: f"{row.name} tells all again: {asked(s)}")
        wait_for(lambda s=session: received(matrix, s)["ROUTE-REFRESH"]
                 >= heard_before[s.local]["ROUTE-REFRESH"] + 2 * row.kind.has("marks"), lambda: f"{row.name} marks begin and end")
        assert received(matrix, session)["OPEN"] == heard_before[session.local]["OPEN"]
    assert {prefix for prefix in matrix.sunk(True) if prefix in mine} == mine.keys()


# Changes

def prefixes(matrix, internal, mine):
    return {prefix for prefix in matrix.sunk(internal) if prefix in mine}


@rows_with()
def test_withdrawn(matrix, row):
    """Half of what a daemon told goes, the other half stays; then all of it is there again, changed."""
    mine = by_prefix(row.fed)
    gone, changed = row.fed[::2], [route.with_(med=4711) for route in row.fed]
    if row.kind.has("relay"):
        matrix.speaker.say(row.feeder, b"".join(withdrawals_of(gone)))
    else:
        row.host.change(gone=gone)
    left = {route.prefix for route in row.fed[1::2]}
    for internal in (True, False):
        wait_for(lambda i=internal: prefixes(matrix, i, mine) == left, lambda: f"half of {row.name}'s routes are left", 20)
    if row.kind.has("relay"):
        matrix.speaker.say(row.feeder, b"".join(updates_of(changed)))
    else:
        row.host.change(new=changed)

    def problem():
        told = {prefix: route for prefix, route in row.told().items() if prefix in mine}
        sunk = {prefix: route for prefix, route in matrix.sunk(True).items() if prefix in mine}
        wanted = {prefix: reflected(route, row.host.ip4) if row.internal else brought_in(route) for prefix, route in told.items()}
        wanted = {prefix: route.with_(next_hop=route.next_hop.split()[0]) for prefix, route in wanted.items()}
        return differences(wanted, sunk) or differences(mine, sunk, ())

    wait_for(lambda: not problem(), problem, 20)


def test_all_withdrawn(matrix):
    """Our sources' routes go and come, and every daemon follows."""
    routes = [route for inside in matrix.source.values() for route in inside]
    lost = {route.prefix for route in routes[::3]}
    for internal, peers in matrix.sources.items():
        for family, peer in peers.items():
            theirs = [route for route in matrix.source[internal] if route.family == family and route.prefix in lost]
            matrix.speaker.say(peer, b"".join(withdrawals_of(theirs)))
    for row in ROWS:
        for session in row.sessions:
            wait_for(lambda r=row, s=session: not lost & r.host.learned(s).keys(), lambda r=row: f"{r.name} loses the routes", 20)
            wanted = {route.prefix for route in routes if route.family in session.families} - lost
            assert wanted <= row.host.learned(session).keys(), row.name


# Farewells

@rows_with("hears refusals", internal=(True,))
def test_refused(matrix, row):
    """A peer that dials its IPv6 session although the IPv4 session carries both families is told so."""
    wait_for(lambda: "carries both families" in row.host.tell(), lambda: f"our words\n{row.host.tell()}")


def test_reason_we_give(matrix):
    """To the internal ones; RFC 9003, and with those who have RFC 8538 inside a Hard Reset."""
    rows = [row for row in ROWS if row.internal]
    words = "back at noon, maybe"
    matrix.peer_all(rows, shutdown=True, shutdownMessage=words)
    for row in rows:
        if row.kind.has("reads shutdown message"):
            wait_for(lambda r=row: words in r.host.tell(), lambda r=row: f"{r.name} shows our words\n{r.host.tell()}")
        for session in row.sessions:
            wait_for(lambda r=row, s=session: not r.host.established(s), lambda r=row: f"{r.name}'s session has ended")


@rows_with("shutdown message", internal=(False,))
def test_reason_they_give(matrix, row):
    for session in row.sessions:
        text = f"rack {row.number} moves"
        row.host.shut(session, text)
        wait_for(lambda s=session: text in matrix.ours.show("peers", s.local)["peer"]["last_error"],
                 lambda s=session: f"the reason of {row.name}: {matrix.ours.show('peers', s.local)['peer']['last_error']}")
