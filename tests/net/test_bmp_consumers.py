"""BMP as others read it: pmacct's collector keeps the tables that are there, and tshark has nothing to complain about."""

import collections
import dataclasses
import json
import random
import re
import socket

import pytest

from harness import wait_for
from routes import Route, Table, differences
from station import GLOBAL, PEER_UP, Station, shown_route
from test_bmp import OTHER_AS, Scene, churn
from wire import Capture

TAKES = 30  # s: it begins early

ORIGINS = {"i": 0, "e": 1, "u": 2}
# What pmbmpd writes; MED 0 looks like none, and long lists are cut.
WRITTEN = ("prefix", "next_hop", "origin", "as_path", "local_pref", "communities", "large_communities")


class Pmbmpd:
    """pmacct's BMP collector on a host; what it has understood, from the log that it writes."""

    def __init__(self, host):
        self.log = host.directory / "pmbmpd.json"
        config = host.directory / "pmbmpd.conf"
        config.write_text(f"bmp_daemon_ip: {host.ip4}\nbmp_daemon_port: 11019\nbmp_daemon_max_peers: 10\n"
                          f"bmp_daemon_msglog_file: {self.log}\nbmp_daemon_msglog_output: json\n")
        self.endpoint = f"{host.ip4}:11019"
        self.process = host.spawn(["pmbmpd", "-f", config], "pmbmpd.log")
        wait_for(lambda: "waiting for BMP data" in host.logs()["pmbmpd.log"], "pmbmpd listens")
        self.read, self.kinds = 0, collections.Counter()
        self.tables, self.up, self.statistics = collections.defaultdict(dict), {}, {}
        self.said = collections.defaultdict(list)

    def follow(self):
        """Reads what was written since; itself."""
        data = self.log.read_bytes() if self.log.exists() else b""
        end = data.rfind(b"\n") + 1
        for line in data[self.read:end].splitlines():
            self.take(json.loads(line))
        self.read = end
        return self

    def take(self, row):
        kind = row.get("bmp_msg_type", row["event_type"])
        self.kinds[kind] += 1
        address = row.get("peer_ip")
        if kind == "route_monitor":
            view = "loc" if row.get("is_loc") else "out" if row.get("is_out") else "post" if row.get("is_post") else "pre"
            table = self.tables[address, view]
            if row["log_type"] == "update":
                table[row["ip_prefix"], 0] = self.route(row)
            elif row["log_type"] == "withdraw":
                table.pop((row["ip_prefix"], 0), None)
        elif kind == "peer_up":
            self.up[address] = row
        elif kind == "peer_down":
            self.up.pop(address)
            for key in [key for key in self.tables if key[0] == address]:
                self.tables[key].clear()
            self.said[kind].append(row)
        elif kind == "stats":
            self.statistics[address, row["counter_type"], row.get("afi")] = row["counter_value"]
        else:
            self.said[kind].append(row)

    @staticmethod
    def route(row):
        words = {key: tuple(row.get(key, "").split()) for key in ("as_path", "comms", "lcomms")}
        return Route(row["ip_prefix"], row["bgp_nexthop"], origin=ORIGINS[row["origin"]],
                     as_path=tuple(map(int, words["as_path"])), local_pref=row.get("local_pref"),
                     communities=words["comms"], large_communities=words["lcomms"])


@pytest.fixture
def scene(new_cluster):
    with Scene(new_cluster(mesh=False, pools=False)) as made:
        yield made


def modest(routes):
    return [dataclasses.replace(route, as_path=route.as_path[:20]) for route in routes]


def test_pmbmpd(scene):
    """All tables of all peers, after the state, after changes, after the end of a session; statistics and last words."""
    rng = random.Random(3)
    routes = modest(scene.routes(1, 800))
    inside = scene.add_peer(1, routes)
    outside = scene.add_peer(2, modest(scene.routes(2, 400, internal=False)), OTHER_AS)
    six = scene.add_peer(3, modest(scene.routes(3, 100)), family=6)
    consumer = Pmbmpd(scene.collector)
    scene.start(consumer)
    problem = [""]

    def right():
        problem[0] = wrong(scene, consumer.follow())
        return not problem[0]

    def wait_right(what):
        wait_for(right, lambda: f"{what}: {problem[0]}", 40)
    wait_right("what it was told at first")
    assert [(row["bmp_init_info_sysname"], row["bmp_init_info_sysdescr"]) for row in consumer.said["init"]] == [
        ("ours", "calidrisd 0.1.0")]
    shown = scene.node.show("peers", inside)["peer"]
    assert consumer.up[inside]["local_ip"] == scene.node.ip4 and consumer.up[inside]["bgp_id"] == "192.0.2.1"
    assert bytes.fromhex(consumer.up[inside]["bmp_peer_up_info_4"].replace("-", "")).decode() == shown["name"]
    assert consumer.up["0.0.0.0"]["peer_type_str"] == "Loc-RIB Instance Peer"
    churn(scene, inside, routes, rng, 2000)
    wait_right("after changes")
    scene.peers[outside].connection.sock.shutdown(socket.SHUT_RDWR)
    wait_for(lambda: consumer.follow().said["peer_down"], "the end of a session")
    assert consumer.said["peer_down"][0]["reason_type"] == 4 and consumer.said["peer_down"][0]["peer_ip"] == outside
    wait_right("after the session came back")

    def counted():
        found = consumer.follow().statistics
        both = [found.get((inside, kind, None)) for kind in (7, 15)]
        return both == [len(scene.sources[inside]), len(consumer.tables[inside, "out"])] and found.get(
            ("0.0.0.0", 8, None)) == len(consumer.tables["0.0.0.0", "loc"]) and (six, 9, 1) in found
    wait_for(counted, lambda: f"statistics: {consumer.statistics}")
    scene.node.terminate()
    wait_for(lambda: consumer.follow().said["term"], "Termination")
    assert consumer.said["term"][0]["bmp_term_info_reason"] == "Session administratively closed"
    assert not consumer.up


def wrong(scene, consumer):
    """What of its tables is not what is there; empty if nothing is."""
    if consumer.up.keys() != scene.peers.keys() | {"0.0.0.0"}:
        return f"peers {sorted(consumer.up)}"
    for address, peer in scene.peers.items():
        sent = Table()
        for body in list(peer.updates):
            sent.update(body)
        for view, wanted in (("pre", scene.sources[address]), ("post", scene.sources[address]), ("out", sent.routes)):
            text = differences(wanted, consumer.tables[address, view], WRITTEN)
            if text:
                return f"{address} {view}: {text}"
    shown = {(row["prefix"], 0): shown_route(row) for row in scene.node.show("routes")["routes"] if row["best"]}
    return differences(shown, consumer.tables["0.0.0.0", "loc"],
                       [field for field in WRITTEN if field not in ("local_pref",)])


def is_fine(message):
    """tshark 4.0 takes the TLVs behind Peer Up's OPENs (RFC 7854 4.10) for a third message, which is too short or has a
    wrong marker. test_bmp.py and pmbmpd know them."""
    ups = sum(int(kind) == PEER_UP for kind in message.fields["bmp.type"])
    if not ups:
        return not message.complaints
    known = [text for text in message.complaints if re.match("malformed packet|Marker is not all ones|Length is invalid", text)]
    return (len(known) == len(message.complaints) <= 2 * ups and
            sum(kind == "1" for kind in message.fields["bgp.type"]) == 2 * ups)


def test_tshark(scene):
    """Every kind of message and of Peer Down; no malformed octet and no warning in any of them."""
    routes = scene.routes(1, 100)
    one = scene.add_peer(1, routes)
    two = scene.add_peer(2, scene.routes(2, 60, internal=False), OTHER_AS)
    three = scene.add_peer(3, as_number=65002)
    scene.add_peer(4, scene.routes(4, 50), family=6)
    with Station(scene.collector, scene.collector.ip4) as station:
        capture = Capture(scene.collector)
        scene.start(station)
        report = scene.wait_settled(station)
        scene.withdraw(one, routes[:50])
        scene.peers[two].connection.sock.shutdown(socket.SHUT_RDWR)
        scene.speaker.say(scene.peers[three], bytes(19))
        wait_for(lambda: len(report.downs) == 2, "two sessions end")
        scene.wait_settled(station, timeout=40)
        scene.reload(adj_rib_in="post-policy")
        scene.wait_settled(station, views=("post", "out"))
        wait_for(lambda: all((7, None) in peer.statistics or key.kind != GLOBAL for key, peer in report.peers.items()), "statistics")
        assert scene.node.terminate() == 0
        station.wait(lambda found: found.termination, "Termination")
        found = [message for message in capture.messages(options=["-d", "tcp.port==11019,bmp"])
                 if message.protocol == "bmp"]
        assert {message.source for message in found} == {scene.node.ip4}
        complaints = [message for message in found if not is_fine(message)]
        assert not complaints, f"{len(complaints)}: {complaints[0]}"
        kinds = collections.Counter(int(kind, 0) for message in found for kind in message.fields["bmp.type"])
        assert kinds == +report.messages
        reasons = {int(value, 0) for message in found for value in message.fields.get("bmp.peer.down.reason", ())}
        assert reasons == {1, 2, 4, 5, 6}
        types = {int(value, 0) for message in found for value in message.fields.get("bmp.stats.type", ())}
        assert types == {0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 15, 17}
