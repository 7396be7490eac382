"""BMP: what stations learn is what is there, whatever happens to them, to the sessions and to the routes meanwhile."""

import contextlib
import dataclasses
import ipaddress
import random
import socket
import struct
import time

import pytest

from harness import Host, wait_for
from objects import bgp_peer, ip_pool
from routes import PARTIAL, Table, differences, random_routes, updates_of, withdrawals_of
from speaker import NOTIFICATION, Speaker, capability, end_of_rib, message
from station import (GLOBAL, LOC_RIB, PEER_UP, ROUTE_MONITORING, SHOWN, STATISTICS, Key, Report, Station, Wrong, shown_route)

TAKES = 60  # s: it begins early

OUR_AS, OTHER_AS = 64512, 65001
LOCAL = Key(LOC_RIB, "")


def keyed(routes):
    return {(route.prefix, route.path_id): route for route in routes}


def as_reported(routes):
    """What nobody knows is marked Partial on its way through us."""
    return {key: dataclasses.replace(route, others=tuple((code, flags | PARTIAL, value) for code, flags, value in route.others))
            for key, route in routes.items()}


class Scene:
    """A daemon that reports everything, scripted peers of it on one host, stations on another."""

    def __init__(self, cluster, **bmp):
        self.cluster = cluster
        cluster.write(ip_pool("10.0.0.0/8", "everything4"), ip_pool("fd00::/8", "everything6"))
        self.node = cluster.add_reflector("ours", peers=False)
        self.host = cluster.add_host(Host, "peers", publish=False, blocks=[])
        self.collector = cluster.add_host(Host, "collector", publish=False, blocks=[])
        self.hops = {4: [f"172.18.0.{number}" for number in range(200, 205)],
                     6: [f"fd00:18::{number:x}" for number in range(0x2000, 0x2005)]}
        self.speaker = Speaker(self.host)
        self.peers, self.sources, self.with_paths = {}, {}, set()
        self.bmp = {"adj_rib_in": "both", "adj_rib_out": True, "statistics_interval": 1, "connect_retry_time": 1,
                    "connect_retry_max": 1, **bmp}

    def __enter__(self):
        self.speaker.__enter__()
        return self

    def __exit__(self, *error):
        self.speaker.__exit__(*error)

    def start(self, *stations):
        self.node.configure({"bmp": {**self.bmp, "stations": " ".join(station.endpoint for station in stations)}})
        self.node.start()

    def reload(self, **bmp):
        self.node.configure({"bmp": bmp})
        self.node.calidris("reload")

    def routes(self, number, count, internal=True, **options):
        """Of each family, of peer `number`; nobody else has these prefixes."""
        first = {} if internal else {"first_as": OTHER_AS}
        return random_routes(number, number, count, hops=self.hops, internal=internal, **first, **options)

    def add_peer(self, number, routes=(), as_number=OUR_AS, family=4, add_path=False, **options):
        """add_path: both ways, for both families."""
        if add_path:
            options["more"] = capability(69, struct.pack("!HBBHBB", 1, 1, 3, 2, 1, 3))
        address = f"172.18.0.{100 + number}" if family == 4 else f"fd00:18::{0x100 + number:x}"
        self.host.ip(f"addr add {address}/{24 if family == 4 else 64} dev eth0{'' if family == 4 else ' nodad'}")
        peer = self.speaker.add(address, as_number, f"192.0.2.{number}", keep=True,
                                updates=updates_of(list(routes), add_path=add_path), **options)
        self.peers[address], self.sources[address] = peer, keyed(routes)
        self.cluster.write(bgp_peer(f"peer-{number}", node="ours", peerIP=address, asNumber=as_number,
                                    families=["IPv4", "IPv6"], keepOriginalNextHop=True,
                                    **({"addPath": "Both"} if add_path else {})))
        if add_path:
            self.with_paths.add(address)
        return address

    def say(self, address, data, announced=(), withdrawn=()):
        self.speaker.say(self.peers[address], data)
        for route in withdrawn:
            self.sources[address].pop((route.prefix, route.path_id), None)
        self.sources[address].update(keyed(announced))

    def announce(self, address, routes):
        self.say(address, b"".join(updates_of(routes, add_path=address in self.with_paths)), announced=routes)

    def withdraw(self, address, routes):
        self.say(address, b"".join(withdrawals_of(routes, add_path=address in self.with_paths)), withdrawn=routes)

    # What must be true at rest

    def settled(self, report, views=("pre", "post", "out"), loc_rib=True, downs=()):
        """What is wrong with the report; empty if nothing is."""
        up = {address for address in self.peers if address not in downs}
        keys = {Key(GLOBAL, address) for address in up} | ({LOCAL} if loc_rib else set())
        if report.peers.keys() != keys:
            return f"peers {sorted(report.peers)}, not {sorted(keys)}"
        for address in sorted(up):
            problem = self.wrong_peer(report, address, views)
            if problem:
                return f"{address}: {problem}"
        return self.wrong_loc_rib(report) if loc_rib else ""

    def wrong_peer(self, report, address, views):
        sent = Table(add_path=(4, 6) if address in self.with_paths else ())
        for body in list(self.peers[address].updates):
            sent.update(body)
        wanted = {"pre": as_reported(self.sources[address]), "post": as_reported(self.sources[address]), "out": sent.routes}
        for view, table in report.peers[Key(GLOBAL, address)].tables.items():
            problem = differences(wanted[view] if view in views else {}, dict(table.routes)) if view in wanted else ""
            if problem:
                return f"{view}: {problem}"
        return ""

    def wrong_loc_rib(self, report):
        shown = {(row["prefix"], 0): shown_route(row) for row in self.node.show("routes")["routes"] if row["best"]}
        found = dict(report.loc_rib())
        fields = [name for name in SHOWN if name != "med"]
        return differences(shown, found, fields) or differences(
            {key: route for key, route in shown.items() if route.med is not None},
            {key: found[key] for key, route in shown.items() if route.med is not None}, ["med"])

    def wait_settled(self, station, timeout=30, after=0, **options):
        """Until the station knows all of it, and after End-of-RIB of all tables."""
        problem = ["nothing was compared"]

        def right(report):
            problem[0] = "" if report.complete(views=options.get("views", ("pre", "post", "out"))) else "End-of-RIB is missing"
            problem[0] = problem[0] or self.settled(report, **options)
            return not problem[0]
        try:
            return station.wait(right, "the report is right", timeout, after)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{problem[0]}\n{self.node.calidris('show', 'bmp')}") from None

    def station(self, station):
        """Its row of `show bmp`."""
        return next(row for row in self.node.show("bmp")["stations"] if row["station"] == station.endpoint)


@pytest.fixture
def scene(new_cluster):
    with Scene(new_cluster(mesh=False, pools=False)) as made:
        yield made


# ---- All there is ----

def test_everything(scene):
    """Each table of each peer and the selection, of a station that is there from the start and of one that comes later;
    all attributes compared with what was sent by and to the peers."""
    inside = scene.add_peer(1, scene.routes(1, 600))
    outside = scene.add_peer(2, scene.routes(2, 600, internal=False), OTHER_AS)
    scene.add_peer(3, as_number=65002)
    six = scene.add_peer(4, scene.routes(4, 200), family=6)
    with Station(scene.collector, scene.collector.ip4) as first, Station(scene.collector, scene.collector.ip6, 1790) as later:
        scene.start(first)
        report = scene.wait_settled(first)
        scene.reload(stations=f"{first.endpoint} {later.endpoint}")
        second = scene.wait_settled(later)
        assert [station["state"] for station in scene.node.show("bmp")["stations"]] == ["up", "up"]
        for found in (report, second):
            assert dict(found.information) == {1: b"calidrisd 0.1.0", 2: b"ours"}
            check_peers(scene, found, {inside: OUR_AS, outside: OTHER_AS, six: OUR_AS})

        def arrived():
            row = scene.station(later)
            return (row["bytes_sent"], row["messages"], row["bytes_queued"]) == (second.octets, sum(second.messages.values()), 0)
        wait_for(arrived, "all that was sent has arrived")
        row = scene.station(later)
        assert row["overruns"] == 0 and row["last_error"] == "" and row["connected"] == 1
        # Routes with equal attributes share a message in the state, too.
        assert second.messages[ROUTE_MONITORING] < 1.2 * report.messages[ROUTE_MONITORING]


def check_peers(scene, report, ases):
    for address, as_number in ases.items():
        found, peer = report.peers[Key(GLOBAL, address)], scene.peers[address]
        shown = scene.node.show("peers", address)["peer"]
        assert found.as_number == as_number
        assert found.identifier == f"192.0.2.{int(ipaddress.ip_address(address)) % 256 % 100}"
        assert found.sent[19:] == peer.opens[-1], "our OPEN, octet by octet"
        assert found.received == peer.script.opening, "the peer's OPEN, octet by octet"
        assert found.information == [(4, shown["name"].encode())]
        remote = peer.connection.sock.getsockname()[:2]
        local = peer.connection.sock.getpeername()[:2]
        assert (found.remote_port, found.local_port) == (remote[1], local[1])
        octets = ipaddress.ip_address(local[0]).packed
        assert found.local == bytes(16 - len(octets)) + octets
    found = report.peers[LOCAL]
    assert (found.as_number, found.identifier) == (OUR_AS, scene.node.ip4)
    assert found.sent == found.received and (found.local_port, found.remote_port) == (0, 0) and found.local == bytes(16)
    assert found.information == [(3, b"global")]


def test_statistics(scene):
    routes = scene.routes(1, 100)
    inside = scene.add_peer(1, routes)
    outside = scene.add_peer(2, scene.routes(2, 50, internal=False), OTHER_AS)
    with Station(scene.collector, scene.collector.ip4) as station:
        scene.start(station)
        report = scene.wait_settled(station)
        loop = [dataclasses.replace(route, as_path=(OUR_AS, 65005)) for route in routes[:3]]
        mine = [dataclasses.replace(route, originator_id=scene.node.ip4) for route in routes[3:5]]
        # Twice what is there, withdrawals of what is not, loops; and attributes that must be treated as a withdrawal.
        scene.say(inside, b"".join(updates_of(routes[10:20])))
        scene.say(inside, b"".join(withdrawals_of(scene.routes(9, 7))))
        scene.announce(inside, loop)
        scene.announce(inside, mine)
        scene.say(inside, malformed(routes[20]), withdrawn=[routes[20]])

        def right(report):
            found, other = (report.peers[Key(GLOBAL, address)].statistics for address in (inside, outside))
            own = report.peers[LOCAL].statistics
            # The families' routes are 100 each, one of which is gone; everything that is accepted is selected.
            return (found.get((1, None)) == 10 and found[2, None] == 14 and found[4, None] >= 1 and found[5, None] >= 1 and
                    found[11, None] == 1 and found[12, None] == 1 and found[7, None] == 199 and found[9, 4] == 99 and
                    found[9, 6] == 100 and found[15, None] == 100 == found[17, 4] + found[17, 6] and
                    other[7, None] == 100 and other[9, 6] == 50 and other[1, None] == 0 and
                    other[15, None] == own[8, None] - 100 and own[8, None] == 199 - 5 + 100 == own[10, 4] + own[10, 6])
        station.wait(right, lambda: f"statistics: { {key: peer.statistics for key, peer in report.peers.items()} }")
        sixth = report.messages[STATISTICS]
        wait_for(lambda: report.messages[STATISTICS] >= sixth + 6, "they come every second")


def malformed(route):
    """Its announcement with an ORIGIN that there is not: RFC 7606 has the route withdrawn."""
    assert route.family == 4
    update = bytearray(updates_of([dataclasses.replace(route, origin=0)])[0])
    at = update.index(b"\x40\x01\x01\x00")
    update[at + 3] = 77
    return bytes(update)


def test_old_peer(scene):
    """A peer without 4-octet AS numbers: what it says is reported with them, what it is sent as it is, marked so."""
    wide = [dataclasses.replace(route, as_path=(4200000001, 65005)) for route in scene.routes(1, 20)]
    scene.add_peer(1, wide)
    plain = [dataclasses.replace(route, as_path=(OTHER_AS, 65006), aggregator=None)
             for route in scene.routes(2, 20, internal=False)]
    old = scene.add_peer(2, (), OTHER_AS, four_octets=False)
    scene.peers[old].script.after_open += b"".join(updates_of(plain, four_octets=False))
    with Station(scene.collector, scene.collector.ip4) as station:
        scene.start(station)

        def right(report):
            found = report.peers[Key(GLOBAL, old)].tables
            return (dict(found["pre"].routes) == as_reported(keyed(plain)) and len(found["out"].routes) == 40 and
                    {route.as_path for route in found["out"].routes.values()} == {(OUR_AS, 23456, 65005)})
        report = station.wait(right, "the old peer's tables")
        assert not report.peers[Key(GLOBAL, old)].tables["out"].four_octets
        assert all(17 in [code for code, _flags, _value in route.others] for route in report.table(old, "out").values())


def test_add_path(scene):
    """Several paths of a prefix, to and from a peer: with their identifiers, as the peer's OPENs have it."""
    def paths(number):
        return [dataclasses.replace(route, path_id=path_id, med=path_id)
                for route in scene.routes(number, 40, unknown=False) for path_id in (number, 10 + number)]
    one, two = (scene.add_peer(number, paths(number), add_path=True) for number in (1, 2))
    outside = scene.add_peer(3, scene.routes(3, 30, internal=False, unknown=False), OTHER_AS, add_path=True)
    plain = scene.add_peer(4, scene.routes(4, 30, unknown=False))
    with Station(scene.collector, scene.collector.ip4) as station, Station(scene.collector, scene.collector.ip6) as later:
        scene.start(station)
        report = scene.wait_settled(station)
        assert len(report.table(one)) == 160 and {path_id for _prefix, path_id in report.table(one)} == {1, 11}
        # The same prefixes from both: what the third is sent has several paths.
        scene.announce(two, [dataclasses.replace(route, path_id=7) for route in paths(1)[:40]])
        scene.withdraw(one, paths(1)[1:20:2])
        scene.wait_settled(station)
        scene.reload(stations=f"{station.endpoint} {later.endpoint}")
        scene.wait_settled(later)
        sent = report.table(outside, "out")
        assert len({prefix for prefix, _path_id in sent}) < len(sent), "several paths of one prefix"
        assert {path_id for _prefix, path_id in report.table(plain, "out")} == {0}


# ---- Changes ----

def test_changes(scene):
    """What comes, changes, goes and is rejected, in all tables."""
    rng = random.Random(5)
    routes = scene.routes(1, 500)
    inside = scene.add_peer(1, routes)
    outside = scene.add_peer(2, scene.routes(2, 300, internal=False), OTHER_AS)
    with Station(scene.collector, scene.collector.ip4) as station:
        scene.start(station)
        report = scene.wait_settled(station)
        for _round in range(8):
            some = rng.sample(routes, 150)
            scene.withdraw(inside, some[:50])
            scene.announce(inside, [dataclasses.replace(route, med=rng.randint(1, 9)) for route in some[50:]])
        scene.wait_settled(station)
        # The same prefixes from two: the better one is selected, and both are reported.
        mine = [dataclasses.replace(route, as_path=(OTHER_AS, 1, 2, 3, 4, 5), local_pref=None) for route in routes[:100]]
        scene.announce(outside, mine)
        scene.wait_settled(station)
        # What is rejected is in the first table and not in the second.
        loops = [dataclasses.replace(route, as_path=(OTHER_AS, OUR_AS)) for route in mine[:40]]
        scene.announce(outside, loops)

        def rejected(found):
            pre, post = found.table(outside), found.table(outside, "post")
            return (all(pre[key].as_path == (OTHER_AS, OUR_AS) for key in keyed(loops)) and
                    pre.keys() - post.keys() == keyed(loops).keys())
        station.wait(rejected, "loops are no longer accepted")
        scene.announce(outside, mine[:40])
        scene.wait_settled(station)
        assert len(station.reports) == 1 and report.downs == []


def test_sessions_end(scene):
    """Reasons of Peer Down, and that everything of the peer is told anew."""
    ours = [scene.routes(number, 100) for number in (1, 2, 3, 4)]
    one, two, three, four = (scene.add_peer(number, routes) for number, routes in enumerate(ours, 1))
    with Station(scene.collector, scene.collector.ip4) as station:
        scene.start(station)
        report = scene.wait_settled(station)
        shutdown = message(NOTIFICATION, b"\x06\x02\x04done")
        scene.speaker.say(scene.peers[one], shutdown)
        scene.peers[two].connection.sock.shutdown(socket.SHUT_RDWR)
        scene.speaker.say(scene.peers[three], message(99))
        scene.cluster.delete(bgp_peer("peer-4"))
        scene.peers.pop(four)
        wait_for(lambda: len(report.downs) == 4, lambda: f"four ends: {report.downs}")
        downs = {key.address: (reason, data) for key, reason, data in report.downs}
        assert downs[one] == (3, shutdown)
        assert downs[two] == (4, b"")
        assert downs[three][0] == 1 and downs[three][1][18:21] == b"\x03\x01\x03"
        assert downs[four] == (1, message(NOTIFICATION, b"\x06\x03"))
        scene.wait_settled(station, timeout=40)
        assert len(station.reports) == 1
        assert [report.ups.count(Key(GLOBAL, address)) for address in (one, two, three, four)] == [2, 2, 2, 1]


def test_peer_restarts_gracefully(scene):
    """Its session ends, its routes stay selected; what it says again is reported again, what it does not is gone."""
    routes = scene.routes(1, 200)
    address = scene.add_peer(1, routes, restart_time=60)
    with Station(scene.collector, scene.collector.ip4) as station, Station(scene.collector, scene.collector.ip6) as later:
        scene.start(station)
        report = scene.wait_settled(station)
        peer = scene.peers[address]
        # It comes back with half of it, and End-of-RIB when the test says so.
        peer.script = type(peer.script)(OUR_AS, "192.0.2.1", restart_time=60, restarting=True, updates=updates_of(routes[:200]),
                                        markers=False, keep=True)
        scene.sources[address] = keyed(routes[:200])
        peer.connection.sock.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: len(report.downs) == 1 and Key(GLOBAL, address) in report.peers and
                 len(report.table(address)) == 200, "half of it is back")
        assert report.downs[0][1] == 4
        assert len(report.loc_rib()) == 400
        assert sum(row["stale"] for row in scene.node.show("routes")["routes"]) == 200
        # A station that comes now is not told what only the session before has said.
        scene.reload(stations=f"{station.endpoint} {later.endpoint}")
        later.wait(lambda found: len(found.table(address)) == 200 and len(found.loc_rib()) == 400 and
                   found.loc_rib().keys() == report.loc_rib().keys(), "the later station's tables")
        for family in (4, 6):
            scene.speaker.say(peer, end_of_rib(family))
        scene.wait_settled(station)
        scene.wait_settled(later)


def test_route_refresh_tells_no_lies(scene):
    """What a refresh leaves out goes without a withdrawal (RFC 7313): the station learns it."""
    routes = scene.routes(1, 100)
    address = scene.add_peer(1, routes, more=bytes([70, 0]))
    with Station(scene.collector, scene.collector.ip4) as station:
        scene.start(station)
        scene.wait_settled(station)
        ipv4 = [route for route in routes if route.family == 4]
        begin, end = (message(5, struct.pack("!HBB", 1, mark, 1)) for mark in (1, 2))
        scene.say(address, begin + b"".join(updates_of(ipv4[:30])) + end, withdrawn=ipv4[30:])
        scene.wait_settled(station)
        assert len(station.report.table(address)) == 130


# ---- Stations ----

def churn(scene, address, routes, rng, changes):
    """Random changes of the peer's routes, a hundred at a time."""
    for _ in range(changes // 100):
        some = rng.sample(routes, 100)
        scene.withdraw(address, some[:20])
        scene.announce(address, [dataclasses.replace(route, med=rng.randint(1, 1000000)) for route in some[20:]])


def test_slow_station(scene):
    """It reads little at a time while the state is told and routes and sessions come and go: in the end it knows what is."""
    rng = random.Random(7)
    routes = scene.routes(1, 2000)
    scene.bmp.update(buffer=64 << 20)
    inside = scene.add_peer(1, routes)
    other = scene.add_peer(2, scene.routes(2, 1000, internal=False), OTHER_AS)
    with Station(scene.collector, scene.collector.ip4) as quick, Station(scene.collector, scene.collector.ip6) as slow:
        scene.start(quick)
        scene.wait_settled(quick)
        slow.read(sip=3000, pause=0.002)
        scene.reload(stations=f"{quick.endpoint} {slow.endpoint}")
        report = slow.wait(lambda found: found.messages[ROUTE_MONITORING] > 50, "the state is being told")
        assert scene.station(slow)["state"] == "dumping"
        churn(scene, inside, routes, rng, 3000)
        scene.peers[other].connection.sock.shutdown(socket.SHUT_RDWR)
        churn(scene, inside, routes, rng, 3000)
        wait_for(lambda: len(quick.report.downs) == 1, "the end of a session")
        assert report.messages[ROUTE_MONITORING] > 0 and not report.complete(), "it is still being told the state"
        scene.wait_settled(quick, timeout=60)
        slow.read()
        scene.wait_settled(slow, timeout=60)
        assert len(slow.reports) == 1 and slow.report.ups.count(Key(GLOBAL, other)) == 2


def test_stalled_station(scene):
    """One that does not read costs a fixed amount of memory, is cut off, and learns everything when it reads again; the
    others and the sessions do not notice."""
    rng = random.Random(9)
    routes = scene.routes(1, 2000)
    inside = scene.add_peer(1, routes, hold=9)
    scene.bmp.update(buffer=4 << 20)
    with Station(scene.collector, scene.collector.ip4) as quick, Station(scene.collector, scene.collector.ip6) as stalled:
        scene.start(quick)
        scene.wait_settled(quick)
        stalled.read(False)
        scene.reload(stations=f"{quick.endpoint} {stalled.endpoint}")
        wait_for(lambda: scene.station(stalled)["bytes_queued"] > 0, "the station's socket is full")
        before, highest = scene.node.resident(), 0
        deadline = time.monotonic() + 400
        while scene.station(stalled)["overruns"] < 2:
            assert time.monotonic() < deadline, scene.node.calidris("show", "bmp")
            churn(scene, inside, routes, rng, 2000)
            row = scene.station(stalled)
            highest = max(highest, scene.node.resident())
            assert row["bytes_queued"] < scene.bmp["buffer"] + 400000, row
        assert highest - before < 4 * 1024 + 3000, f"{before} KiB, then {highest} KiB"
        assert "reads too slowly" in scene.station(stalled)["last_error"]
        assert len(quick.reports) == 1 and quick.report.downs == []
        scene.wait_settled(quick, timeout=60)
        stalled.read()
        scene.wait_settled(stalled, timeout=60, after=2)
        assert scene.node.show("peers", inside)["peer"]["established"] == 1


def test_station_comes_and_goes(scene):
    """It is not there yet, hangs up, resets the connection in the middle of things, goes and comes back."""
    routes = scene.routes(1, 1500)
    scene.add_peer(1, routes)
    with Station(scene.collector, scene.collector.ip4) as station:
        station.away()
        scene.start(station)
        wait_for(lambda: "Connection refused" in scene.station(station)["last_error"], "nobody is there")
        assert scene.station(station)["state"] in ("waiting", "connecting")
        problem = f"BMP station {station.endpoint} is not told anything: cannot connect: Connection refused"
        assert problem in scene.node.calidris("show", "problems")
        station.back()
        scene.wait_settled(station)
        assert "BMP" not in scene.node.calidris("show", "problems")
        for number in range(1, 7):
            station.read(sip=2000, pause=0.001)
            station.hang_up(reset=number % 2 == 0)
            station.wait(lambda found: found.messages[ROUTE_MONITORING] > 20 * number, "a new connection", after=number)
        station.read()
        scene.wait_settled(station, after=6)
        row = scene.station(station)
        assert row["connected"] == 7 and row["overruns"] == 0, row
        assert re_matches(row["last_error"], "the station closed the connection", "connection lost: Connection reset by peer",
                          "connection lost: Broken pipe"), row
        station.away()
        wait_for(lambda: scene.station(station)["state"] != "up", "it is gone")
        scene.node.wait_log("station .*: cannot connect: Connection refused")
        station.back()
        scene.wait_settled(station, after=7)


def re_matches(text, *allowed):
    return text in allowed


def test_back_off(scene):
    """RFC 7854 3.2: the time between attempts doubles up to a limit."""
    scene.bmp.update(connect_retry_time=1, connect_retry_max=4)
    with Station(scene.collector, scene.collector.ip4) as station:
        station.away()
        scene.start(station)
        waits = []

        def enough():
            found = scene.station(station)["retry_in"]
            if found and (not waits or found > waits[-1]):
                waits.append(found)
            return len(waits) > 1 and waits[-1] > 2.2
        wait_for(enough, lambda: f"longer waits: {waits}")
        assert all(wait <= 4 for wait in waits)
        station.back()
        station.wait(lambda report: report.information, "it is found", 10)


def test_stations_say_something(scene):
    """What a station sends is nobody's concern, however much of it."""
    scene.add_peer(1, scene.routes(1, 50))
    with Station(scene.collector, scene.collector.ip4) as station:
        scene.start(station)
        scene.wait_settled(station)
        station.sock.setblocking(True)
        station.sock.sendall(bytes(3000000))
        scene.withdraw(next(iter(scene.peers)), scene.routes(1, 50)[:10])
        scene.wait_settled(station)
        assert len(station.reports) == 1


def test_anything_in_any_order(scene):
    """Routes, sessions, settings and stations do what they like; when they rest, every station knows what is."""
    rng = random.Random(11)
    routes = {number: scene.routes(number, 250, internal=number != 2) for number in (1, 2, 3)}
    addresses = {number: scene.add_peer(number, routes[number], OTHER_AS if number == 2 else OUR_AS) for number in routes}
    scene.add_peer(4, as_number=65002)
    scene.bmp.update(buffer=1 << 20)
    places = [(scene.collector.ip4, 11019), (scene.collector.ip6, 11019), (scene.collector.ip4, 1790)]
    with contextlib.ExitStack() as stack:
        stations = [stack.enter_context(Station(scene.collector, *place)) for place in places]
        settings = {"adj_rib_in": "both", "adj_rib_out": True, "loc_rib": True}
        scene.start(*stations)
        scene.wait_settled(stations[0])

        def change(number):
            churn(scene, addresses[number], routes[number], rng, 400)

        def end_session(number):
            peer = scene.peers[addresses[number]]
            before = peer.established
            peer.connection.sock.shutdown(socket.SHUT_RDWR)
            wait_for(lambda: peer.established > before, "the session is back", 40)
            scene.sources[addresses[number]] = keyed(routes[number])

        def say_again(number):
            known = list(scene.sources[addresses[number]].values())
            scene.speaker.say(scene.peers[addresses[number]], b"".join(updates_of(known[:50])))

        def station_does(number):
            station = stations[number - 1]
            rng.choice([lambda: station.read(False), station.read, lambda: station.read(sip=1500, pause=0.001),
                        station.hang_up, lambda: station.hang_up(reset=True)])()

        def reload(_number):
            settings.update(rng.choice([{"adj_rib_in": rng.choice(["both", "post-policy", "pre-policy", "off"])},
                                        {"adj_rib_out": rng.random() < 0.5}, {"loc_rib": rng.random() < 0.5}]))
            chosen = rng.sample(stations, rng.randint(1, 3))
            scene.reload(stations=" ".join(station.endpoint for station in chosen), **settings)

        for _step in range(120):
            rng.choice([change, change, change, end_session, say_again, station_does, station_does, station_does, reload])(
                rng.choice(list(routes)))
        for station in stations:
            station.read()
        views = {"both": ("pre", "post"), "post-policy": ("post",), "pre-policy": ("pre",), "off": ()}[settings["adj_rib_in"]]
        scene.reload(stations=" ".join(station.endpoint for station in stations))
        for station in stations:
            scene.wait_settled(station, timeout=60, views=views + (("out",) if settings["adj_rib_out"] else ()),
                               loc_rib=settings["loc_rib"])


# ---- Configuration ----

def test_reload(scene):
    """Stations are added and removed, other tables are reported, nothing is: others notice nothing."""
    scene.add_peer(1, scene.routes(1, 200))
    scene.add_peer(2, scene.routes(2, 100, internal=False), OTHER_AS)
    address = next(iter(scene.peers))
    with Station(scene.collector, scene.collector.ip4) as one, Station(scene.collector, scene.collector.ip6) as two:
        scene.start(one, two)
        scene.wait_settled(one)
        report = scene.wait_settled(two)
        scene.reload(stations=two.endpoint)
        gone = one.wait(lambda found: found.termination and found.closed, "a goodbye")
        assert gone.termination[1] == b"\0\4", "for good"
        assert len(scene.node.show("bmp")["stations"]) == 1
        # Other tables: the peers are no longer monitored, and are again (RFC 7854 4.9, reason 5).
        for settings, views, loc_rib in (({"adj_rib_in": "post-policy", "adj_rib_out": False}, ("post",), True),
                                         ({"loc_rib": False}, ("post",), False),
                                         ({"adj_rib_in": "pre-policy", "loc_rib": True}, ("pre",), True),
                                         ({"adj_rib_in": "off", "adj_rib_out": True}, ("out",), True),
                                         ({"adj_rib_in": "both"}, ("pre", "post", "out"), True)):
            scene.reload(**settings)
            scene.wait_settled(two, views=views, loc_rib=loc_rib)
        reasons = [reason for _key, reason, _data in report.downs]
        assert len(two.reports) == 1 and reasons.count(5) == 2 * 4 and reasons.count(6) == 1, reasons
        # Nothing at all, and everything again: the sessions that were up before keep their OPENs only as understood.
        scene.reload(stations=None)
        two.wait(lambda found: found.termination, "a goodbye")
        assert scene.node.show("bmp")["stations"] == []
        scene.reload(stations=one.endpoint)
        later = scene.wait_settled(one, after=1)
        assert later.peers[Key(GLOBAL, address)].sent[19:] == scene.peers[address].opens[-1]
        assert all(scene.node.show("peers", peer)["peer"]["established"] == 1 for peer in scene.peers)


def test_bad_configuration(scene):
    scene.add_peer(1, scene.routes(1, 10))
    with Station(scene.collector, scene.collector.ip4) as station:
        scene.start(station)
        scene.wait_settled(station)
        scene.node.configure({"bmp": {"stations": "collector:11019"}})
        done = scene.node.calidris("reload", check=False)
        assert done.returncode != 0 and "bmp.stations" in done.stdout + done.stderr and "ADDRESS:PORT" in done.stdout + done.stderr
        scene.wait_settled(station)
        assert len(station.reports) == 1


# ---- Restarts ----

def test_daemon_stops_and_dies(scene):
    scene.add_peer(1, scene.routes(1, 100))
    with Station(scene.collector, scene.collector.ip4) as station:
        scene.start(station)
        report = scene.wait_settled(station)
        assert scene.node.terminate() == 0
        station.wait(lambda found: found.termination and found.closed, "a goodbye")
        assert report.termination == {1: b"\0\0", 0: b"the daemon stops"}
        # The session was left to graceful restart: no NOTIFICATION, event ManualStop; then Loc-RIB's own reason.
        assert [(key.kind, reason, data) for key, reason, data in report.downs] == [
            (GLOBAL, 2, b"\0\2"), (LOC_RIB, 6, b"\0\3\0\6global")]
        scene.node.start()
        report = scene.wait_settled(station, after=1)
        scene.node.kill()
        station.wait(lambda found: found.closed, "the connection ends")
        assert report.termination is None
        scene.node.start()
        scene.wait_settled(station, after=2)


def test_station_is_strict():
    """The tests' own station does not let everything pass."""
    for data in (b"\4\0\0\0\6\4", b"\3\0\0\0\6\0", b"\3\0\0\0\6\4", b"\3\0\0\0\x05\4", b"\3\0\0\0\6\5",
                 b"\3\0\0\0\x0a\4\0\1\0\x09", bytes.fromhex("030000003000") + bytes(42)):
        with pytest.raises(Wrong):
            Report().feed(data)
    report = Report()
    report.feed(bytes.fromhex("0300000010") + b"\4\0\1\0\1a\0\2\0\1b")
    with pytest.raises(Wrong):  # a peer that is not up
        report.feed(bytes.fromhex("0300000030") + bytes([PEER_UP - 1]) + bytes(42))
