"""tshark as the judge of everything we send: sessions with peers that make us say whatever we can say are captured; each
kind of message must be among what was sent, and nothing of it may be complained about.

Three tables. PEERS: who is there, and what makes us say more to one than to another. SEEN: what must have been seen, by the
peer it is for and tshark's fields, all in one message. ENDINGS: how sessions end, by whose doing and with which NOTIFICATION.
A new capability, attribute or message is a row, or an option of a peer and a row.
"""

import collections
import contextlib
import re
import signal
import socket
import struct
from pathlib import Path

import pytest

from arena import Arena
from harness import TOP, Host
from malformed_rows import CASES
from netns import Timeout, wait_for
from objects import bgp_peer, ip_pool
from speaker import (KEEPALIVE, NOTIFICATION, ROUTE_REFRESH, UPDATE, Speaker, announcement, attribute, capability, message, nlri,
                     open_message)
from station import Station
from test_linklocal import link_local, wire
from test_malformed import Trial
from test_mrt import LISTS, as_path, prefixes
from wire import Capture

AS = 64512
OPEN = 1
BMP_PORT = 11019

# ---- Who is there


class Who(collections.namedtuple("Who", "name as_number spec script")):
    """A scripted peer: its AS, what its BGPPeer says besides, how it speaks."""


def who(name, as_number=AS, spec=None, **script):
    return Who(name, as_number, {"families": ["IPv4", "IPv6"], **(spec or {})}, script)


def graceful(seconds, notification):
    """RFC 4724's capability for both families; notification: with RFC 8538's bit."""
    return capability(64, struct.pack("!H", (0x4000 if notification else 0) | seconds) + b"\0\1\1\x80\0\2\1\x80")


def lasting(seconds):
    """RFC 9494's, for both families."""
    return capability(71, b"".join(b"\0" + bytes([afi, 1, 0x80]) + seconds.to_bytes(3, "big") for afi in (1, 2)))


CLIENT = {"routeReflectorClient": "true"}
PEERS = [
    # It has the routes that the others are told of.
    who("source", spec=CLIENT, more=capability(6)),
    who("client", spec=CLIENT, hold=3, restart_time=60),
    who("external", 65020),
    who("old", 65021, four_octets=False),
    who("six", spec={**CLIENT, "families": ["IPv6"]}, families=(6,)),
    who("asker", spec=CLIENT, more=capability(70)),
    who("asked", 65022),
    who("wide", 65023, spec={"localASNumber": 4200000000, "asPathPrepend": 2}),
    who("plain", 65024, spec={"families": ["IPv4"]}, families=(4,)),
    who("lasting", spec={**CLIENT, "longLivedStaleTime": "60s"}, more=graceful(1, False) + lasting(60)),
    who("patient", spec={**CLIENT, "longLivedStaleTime": "60s"}, more=graceful(1, False) + lasting(60)),
    # Several paths of a prefix, the two of them having one each; messages of more than 4,096 octets.
    who("paths", spec=CLIENT, more=capability(69, b"\0\1\1\3\0\2\1\3")),
    who("long", spec=CLIENT, more=capability(6)),
    # Those of ENDINGS.
    who("gone", 65030),
    who("down", 65031),
    who("silent", 65032, hold=3, keepalive=False),
    who("changed", 65033),
    who("hard", more=graceful(60, True)),
    who("second", 65034),
    who("many", 65035, spec={"prefixLimit": {"maximum": 2, "action": "Restart"}}),
]
# And a real one at the end of a cable that has link-local addresses only.
CABLE = "cable"
STATION = "station"  # which is told everything by BMP
# They would hold up our own End-of-RIB markers: a start is over when no session comes up any more.
LATE = "plain", "silent"
NUMBERS = {one.name: number for number, one in enumerate(PEERS, 10)}
ONE = {one.name: one for one in PEERS}

# ---- What must have been seen

TYPE, CODES = "bgp.type", "bgp.update.path_attribute.type_code"
GR, REFRESH = "bgp.cap.gr.timers", "bgp.route_refresh"
MP_REACH, MP_UNREACH = "bgp.update.path_attribute.mp_reach_nlri", "bgp.update.path_attribute.mp_unreach_nlri"
COMMUNITY, LLGR_STALE = "bgp.update.path_attribute.community", "0xffff0006"
BMP, BMP_FLAGS = "bmp.type", "bmp.peer.flags"
PATH_ID = "bgp.nlri_path_id"
SEGMENT = "bgp.update.path_attribute.as_path_segment"
INTERNAL = {1, 2, 5, 9, 10}  # what a reflected route has at least
BOTH = ("11.0.4.0", {"bgp.nlri_prefix": "11.0.4.0"}), ("2001:db8:4::", {"bgp.mp_reach_nlri_ipv6_prefix": "2001:db8:4::"})

SEEN = [
    ("OPEN with every capability", "client", {TYPE: OPEN, "bgp.cap.type": {1, 2, 64, 65, 70, 73}, "bgp.cap.mp.afi": {1, 2}}),
    ("OPEN of the first boot", "client", {TYPE: OPEN, f"{GR}.restart_flag": 1, f"{GR}.notification_flag": 1}),
    ("OPEN later", "changed", {TYPE: OPEN, f"{GR}.restart_flag": 0}),
    ("OPEN without capabilities", "plain", {TYPE: OPEN, "bgp.open.opt.len": 0, "bgp.cap.type": None}),
    ("OPEN of a 4-octet AS", "wide", {TYPE: OPEN, "bgp.open.myas": 23456, "bgp.cap.4as": 4200000000}),
    ("OPEN of one who keeps routes for long", "lasting", {TYPE: OPEN, "bgp.cap.type": {64, 71}}),
    ("LLGR_STALE", "patient", {TYPE: UPDATE, "bgp.nlri_prefix": "11.0.200.0", f"{COMMUNITY}_wellknown": LLGR_STALE}),
    ("KEEPALIVE", "client", {TYPE: KEEPALIVE}),
    *((f"End-of-RIB of IPv4 to {name}", name, {TYPE: UPDATE, "bgp.length": 23}) for name in ("client", "external", "old")),
    *((f"End-of-RIB of IPv6 to {name}", name, {TYPE: UPDATE, "bgp.length": 30, f"{MP_UNREACH}.afi": 2, CODES: 15})
      for name in ("client", "six", "old")),
    # UPDATEs: inside the AS, to other ASes, to a peer with 2-octet AS numbers.
    *((f"the attributes of {prefix} to a client", "client", {TYPE: UPDATE, CODES: {code}, **prefix_is})
      for prefix, prefix_is in BOTH for code in (1, 2, 4, 5, 6, 7, 8, 9, 10, 16, 25, 26, 32, 35, 40, 200)),
    *((f"the attributes of {prefix} to another AS", "external", {TYPE: UPDATE, CODES: {code}, **prefix_is})
      for prefix, prefix_is in BOTH for code in (1, 2, 6, 7, 8, 16, 25, 32, 35, 200)),
    *((f"the attributes of {prefix} to 2-octet speakers", "old", {TYPE: UPDATE, CODES: {code}, **prefix_is})
      for prefix, prefix_is in BOTH for code in (1, 2, 6, 7, 8, 16, 17, 18, 25, 32, 35, 200)),
    ("AS_TRANS in AS_PATH", "old", {TYPE: UPDATE, f"{SEGMENT}.as2": 23456, f"{SEGMENT}.as4": 4200000001}),
    ("little more than a route", "client", {TYPE: UPDATE, CODES: INTERNAL, "bgp.nlri_prefix": "11.0.0.0"}),
    ("attributes of the extended length", "client", {TYPE: UPDATE, "bgp.update.path_attribute.flags.extended_length": 1,
                                                      "bgp.nlri_prefix": "11.0.8.0"}),
    ("an AS_PATH of more than 255 numbers", "external", {TYPE: UPDATE, f"{SEGMENT}.length": {255, 1},
                                                         "bgp.nlri_prefix": "11.0.12.0"}),
    ("a local AS of 4 octets, three times", "wide", {TYPE: UPDATE, f"{SEGMENT}.length": 3, f"{SEGMENT}.as4": 4200000000}),
    ("the Partial bit", "client", {TYPE: UPDATE, CODES: 200, "bgp.update.path_attribute.flags.partial": 1}),
    ("our own routes of IPv4", "client", {TYPE: UPDATE, "bgp.nlri_prefix": "10.244.1.0"}),
    ("our own routes of IPv6", "six", {TYPE: UPDATE, "bgp.mp_reach_nlri_ipv6_prefix": "fd00:10:244:1::"}),
    ("withdrawals of IPv4", "client", {TYPE: UPDATE, "bgp.withdrawn_prefix": "11.0.0.0"}),
    ("withdrawals of IPv6", "six", {TYPE: UPDATE, "bgp.mp_unreach_nlri_ipv6_prefix": "2001:db8::"}),
    # RFC 8950, RFC 2545: over a link without addresses.
    ("OPEN with extended next hops", CABLE, {TYPE: OPEN, "bgp.cap.type": {1, 5}, "bgp.cap.enh.afi": 1, "bgp.cap.enh.safi": 1,
                                             "bgp.cap.enh.nhafi": 2}),
    ("IPv4 routes with an IPv6 next hop", CABLE, {TYPE: UPDATE, f"{MP_REACH}.afi": 1, CODES: 14,
                                                  "bgp.mp_reach_nlri_ipv4_prefix": "11.0.4.0"}),
    ("withdrawals of IPv4 there", CABLE, {TYPE: UPDATE, "bgp.withdrawn_prefix": "11.0.0.0"}),
    ("IPv6 routes with a link-local next hop", CABLE, {TYPE: UPDATE, f"{MP_REACH}.afi": 2,
                                                       "bgp.mp_reach_nlri_ipv6_prefix": "2001:db8:4::"}),
    # RFC 7911: each path with its number. RFC 8654.
    ("OPEN with ADD-PATH", "paths", {TYPE: OPEN, "bgp.cap.type": 69}),
    *((f"each path to {prefix}", "paths", {TYPE: UPDATE, PATH_ID: str.isdigit, f"{SEGMENT}.as4": number, **prefix_is})
      for prefix, prefix_is in BOTH for number in (4200000001, 65020)),
    ("withdrawals of IPv4 paths", "paths", {TYPE: UPDATE, "bgp.withdrawn_prefix": "11.0.0.0", PATH_ID: str.isdigit}),
    ("withdrawals of IPv6 paths", "paths", {TYPE: UPDATE, "bgp.mp_unreach_nlri_ipv6_prefix": "2001:db8::",
                                            PATH_ID: str.isdigit}),
    ("OPEN with extended messages", "long", {TYPE: OPEN, "bgp.cap.type": 6}),
    ("a message of more than 4,096 octets", "long", {"bgp.length": lambda length: int(length) > 4096}),
    # BMP: RFC 7854 4, RFC 8671, RFC 9069.
    *((f"BMP {what}", STATION, {BMP: kind}) for kind, what in enumerate((
        "Route Monitoring", "Statistics Report", "Peer Down", "Peer Up", "Initiation", "Termination"))),
    *((f"BMP {what}", STATION, {BMP: 0, "bmp.peer.type": 0, f"{BMP_FLAGS}.post_policy": post, f"{BMP_FLAGS}.adj_rib_out": out,
                                "bgp.nlri_prefix": "11.0.4.0"})
      for what, post, out in (("Adj-RIB-In, before policy", 0, 0), ("Adj-RIB-In, after policy", 1, 0), ("Adj-RIB-Out", 1, 1))),
    ("BMP Loc-RIB", STATION, {BMP: 0, "bmp.peer.type": 3, "bgp.mp_reach_nlri_ipv6_prefix": "2001:db8:4::"}),
    ("BMP of AS numbers of 2 octets", STATION, {BMP: 0, f"{BMP_FLAGS}.as_path": 1, f"{BMP_FLAGS}.adj_rib_out": 1,
                                                "bgp.nlri_prefix": "11.0.4.0"}),
    ("BMP peer with an IPv6 address", STATION, {BMP: 3, f"{BMP_FLAGS}.ipv6": 1}),
    # BFD: RFC 5880.
    *((f"BFD in the state {state}", CABLE, {"bfd.version": 1, "bfd.sta": sta}) for state, sta in (("Down", "0x01"), ("Up", "0x03"))),
    ("BFD answers to polls", CABLE, {"bfd.flags.f": 1}),
    # Route refresh: asked by them, between markers; asked by us.
    *((f"{what} of AFI {afi}", to, {TYPE: ROUTE_REFRESH, f"{REFRESH}.afi": afi, f"{REFRESH}.safi": 1, f"{REFRESH}.subtype": subtype})
      for what, to, subtype in (("ROUTE-REFRESH", "asked", 0), ("BoRR", "asker", 1), ("EoRR", "asker", 2)) for afi in (1, 2)),
]

# ---- How sessions end


class Ending(collections.namedtuple("Ending", "peer what code fields act")):
    pass


def remove(scene):
    scene.cluster.delete(bgp_peer("gone"))


def shut_down(scene):
    scene.configure("down", shutdown=True, shutdownMessage="Wartung bis 12 Uhr ☕")


def stay_silent(_scene):
    """Its hold time is 3 s."""


def change(scene):
    scene.configure("changed", localASNumber=64999)


def remove_hard(scene):
    scene.cluster.delete(bgp_peer("hard"))


def call_again(scene):
    """A second connection beside an Established session."""
    with scene.host.inside(), socket.socket() as sock:
        sock.bind((scene.address["second"], 0))
        sock.connect((scene.node.ip4, 179))
        sock.sendall(open_message(65034, "10.9.1.1"))
        sock.settimeout(40)
        scene.calls = b""
        with contextlib.suppress(ConnectionResetError):
            while data := sock.recv(4096):
                scene.calls += data


def stop_dead(scene):
    """The daemon at the end of the cable answers nobody any more."""
    scene.far.process.send_signal(signal.SIGSTOP)


def announce_many(scene):
    path = attribute(1, b"\0") + attribute(2, as_path(65035))
    scene.speaker.say(scene.peers["many"], announcement(path, prefixes(4, 100, 5), scene.address["many"]))


TEXT = "bgp.notify.communication"
ENDINGS = [
    Ending("gone", "its BGPPeer is removed", (6, 3), {}, remove),
    Ending("down", "shut down with a text", (6, 2), {TEXT: "Wartung bis 12 Uhr ☕"}, shut_down),
    Ending("silent", "its hold time is over", (4, 0), {}, stay_silent),
    Ending("changed", "a change that BGP cannot make in place", (6, 6), {}, change),
    Ending("hard", "a Hard Reset, since it would keep the routes otherwise", (6, 9), {}, remove_hard),
    Ending("second", "it calls a second time", (6, 7), {}, call_again),
    Ending(CABLE, "BFD says that it is dead, so its routes are not to be kept", (6, 9), {"bgp.notify.minor_data": "06:0a"},
           stop_dead),
    Ending("many", "more prefixes than its limit", (6, 1), {}, announce_many),
]


class Scene:
    """A node, all of PEERS beside it on a host of their own, and what happens between them."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.node = cluster.add_node("node-1", cluster_id="10.0.0.1", config={
            "kernel": {"programming": False}, "bgp": {"idle_hold_time": 1, "idle_hold_max": 1, "connect_retry_time": 1}})
        self.host = cluster.add_host(Host, "peers-2", publish=False, blocks=[], addresses=[
            address for number in NUMBERS.values() for address in (f"172.18.0.{number}/24", f"fd00:18::{number:x}/64")])
        self.address = {one.name: f"fd00:18::{NUMBERS[one.name]:x}" if one.spec["families"] == ["IPv6"]
                        else f"172.18.0.{NUMBERS[one.name]}" for one in PEERS}
        self.spec = {one.name: {"node": "node-1", "peerIP": self.address[one.name], "asNumber": one.as_number, **one.spec} for one in PEERS}
        self.collector = cluster.add_host(Host, "collector-4", publish=False, blocks=[])
        self.address[STATION] = self.collector.ip4
        # What lies in no pool is not passed on.
        cluster.write(ip_pool("11.0.0.0/8"), ip_pool("2001:db8::/32"))
        for name in self.spec:
            if name not in LATE:
                self.configure(name)
        self.far = cluster.add_node("node-3", as_number=65040, config={"kernel": {"programming": False}})
        wire(self.node, self.far)
        for node in (self.node, self.far):
            cluster.write(bgp_peer(f"{CABLE}-{node.name}", node=node.name, interface="eth1", bfd={"enabled": True}))

    @staticmethod
    def next_hop(name, family):
        return f"172.18.0.{NUMBERS[name]}" if family == 4 else f"fd00:18::{NUMBERS[name]:x}"

    def configure(self, name, **changes):
        self.spec[name].update(changes)
        self.cluster.write(bgp_peer(name, **self.spec[name]))

    def play(self):
        self.address[CABLE], ours = link_local(self.far), {self.node.ip4, self.node.ip6, link_local(self.node)}
        capture = Capture(self.node, "eth0", "eth1")
        self.far.start()
        with Speaker(self.host) as self.speaker, Station(self.collector, self.collector.ip4, BMP_PORT) as self.station:
            self.node.configure({"bmp": {"stations": self.station.endpoint, "adj_rib_in": "both", "adj_rib_out": True,
                                         "statistics_interval": 1, "connect_retry_time": 1}})
            self.peers = {one.name: self.speaker.add(self.address[one.name], one.as_number, f"10.9.0.{NUMBERS[one.name]}",
                                                     keep=True, **one.script) for one in PEERS}
            # It knows no capabilities at all (RFC 5492 3).
            self.peers["plain"].script.after_open = message(NOTIFICATION, b"\2\4")
            self.node.start()
            wait_for(lambda: set(self.states().values()) == {"Established"}, self.states)
            wait_for(lambda: "start complete" in self.node.log_text(), "the start is complete")
            self.announce()
            self.withdraw()
            self.refresh()
            self.lose_lasting()
            for name in LATE:
                self.configure(name)
            wait_for(lambda: len(self.peers["plain"].opens) > 1, "an OPEN once more")
            self.counted = {name: self.node.show("peers", self.address[name])["peer"]["messages"]
                            for name in ("source", "external", "old", "six")}
            self.end_sessions()
            self.node.configure({"bmp": {"stations": None}})
            self.node.calidris("reload")
            wait_for(lambda: self.station.report.closed, "the station is no longer told")
            capture.end()
        two_octets = {self.address[one.name] for one in PEERS if one.script.get("four_octets") is False}
        said = capture.messages(two_octets, ["-d", f"tcp.port=={BMP_PORT},bmp"])
        return [message for message in said if message.source in ours]

    def states(self):
        return {peer["address"]: peer["state"] for peer in self.node.show("peers")["peers"]}

    def wait_told(self, what, *names):
        """Until these peers have UPDATEs with all these octets."""
        names = names or ("client", "external", "old", "asker", "asked", "wide")
        wait_for(lambda: all(octets in b"".join(self.peers[name].updates) for octets in what for name in names),
                 lambda: f"{what} at all of {names}")

    def announce(self):
        lists = [make(number) for number, make in enumerate(LISTS)]
        lists.append(attribute(1, b"\0") + attribute(2, as_path(*range(1000, 1255))) + attribute(5, b"\0\0\0\7"))
        for family in (4, 6):
            for number, attributes in enumerate(lists):
                self.speaker.say(self.peers["source"],
                                 announcement(attributes, prefixes(family, 4 * number, 4), self.next_hop("source", family)))
        for family in (4, 6):
            self.speaker.say(self.peers["external"], announcement(
                attribute(1, b"\0") + attribute(2, as_path(65020)), prefixes(family, 4, 4), self.next_hop("external", family)))
        many = b"".join(struct.pack("!HH", 65010, number) for number in range(1200))
        self.speaker.say(self.peers["source"], announcement(LISTS[0](0) + attribute(8, many, 0xc0), ["11.0.201.0/24"],
                                                            self.next_hop("source", 4)))
        self.wait_told([nlri("11.0.201.0/24")], "long")
        wait_for(lambda: len(self.far.show("routes")["routes"]) >= 8 * len(lists), "the routes at the end of the cable")
        last = [nlri(prefixes(family, 4 * len(lists) - 1, 1)[0]) for family in (4, 6)]
        self.wait_told(last)
        self.wait_told(last[1:], "six")

    def withdraw(self):
        gone = {family: b"".join(map(nlri, prefixes(family, 0, 4))) for family in (4, 6)}
        unreach = attribute(15, b"\0\2\1" + gone[6], 0x80)
        for peer in self.peers.values():
            peer.updates.clear()
        for body in (struct.pack("!H", len(gone[4])) + gone[4] + b"\0\0", struct.pack("!HH", 0, len(unreach)) + unreach):
            self.speaker.say(self.peers["source"], message(UPDATE, body))
        self.wait_told([nlri(prefixes(4, 0, 1)[0])], "client", "external", "old")
        self.wait_told([nlri(prefixes(6, 0, 1)[0])], "client", "external", "old", "six")
        wait_for(lambda: not {prefixes(family, 0, 1)[0] for family in (4, 6)} &
                 {route["prefix"] for route in self.far.show("routes")["routes"]}, "withdrawn at the end of the cable")

    def refresh(self):
        for afi in (1, 2):
            self.speaker.say(self.peers["asker"], message(ROUTE_REFRESH, struct.pack("!HBB", afi, 0, 1)))
        wait_for(lambda: len(self.peers["asker"].refreshes) == 4, lambda: f"markers: {self.peers['asker'].refreshes}")
        # What is checked of its paths changes, so they are wanted again.
        self.configure("asked", enforceFirstAS="false")
        wait_for(lambda: len(self.peers["asked"].refreshes) == 2, "we ask for its routes")

    def lose_lasting(self):
        """It dies, and does not come back within its restart time."""
        peer = self.peers["lasting"]
        self.speaker.say(peer, announcement(LISTS[0](9), ["11.0.200.0/24"], self.address["lasting"]))
        self.wait_told([nlri("11.0.200.0/24")], "patient")
        self.peers["patient"].updates.clear()
        peer.script.opening = peer.script.after_open = b""
        peer.connection.sock.shutdown(socket.SHUT_RDWR)
        self.wait_told([nlri("11.0.200.0/24")], "patient")

    def end_sessions(self):
        for ending in ENDINGS:
            ending.act(self)
        for ending in ENDINGS:
            wait_for(lambda ending=ending: self.said_goodbye(ending), lambda ending=ending: f"NOTIFICATION to {ending.peer}")
        # It comes back with what has changed.
        wait_for(lambda: len(self.peers["changed"].opens) > 1, "the changed session comes again")

    def said_goodbye(self, ending):
        if ending.act is call_again:
            return self.calls.count(b"\xff" * 16)
        if ending.act is stop_dead:
            return [state for address, state in self.states().items() if address.startswith("fe80")] != ["Established"]
        return ending.code in self.peers[ending.peer].notifications


@pytest.fixture(scope="module")
def scene(new_shared_cluster):
    scene = Scene(new_shared_cluster(mesh=False))
    try:
        scene.said = scene.play()
    except BaseException:
        print(scene.node.log_tail(60))
        raise
    scene.cluster.close()  # the arena needs the place
    return scene


def is_excused(message, text):
    """What tshark 4.0 does not know, and is judged by other tests: what stands behind the OPENs of a Peer Up (RFC 9736's
    Information TLVs), which it takes for further messages; messages of more than 4,096 octets (RFC 8654)."""
    length = re.fullmatch(r"Length is invalid (\d+)", text)
    if message.has({BMP: 3}) and message.fields[TYPE][:2] == ["1", "1"]:
        return length or text in ("Marker is not all ones", "malformed packet")
    return length and 4096 < int(length.group(1)) < 65536


def complaints(said):
    return [f"frame {message.frame} to {message.target}, {message.protocol} of type {message.fields.get('bgp.type')}: {text}"
            for message in said for text in message.complaints if not is_excused(message, text)]


def test_no_complaints(scene):
    assert not complaints(scene.said)


@pytest.mark.parametrize("row", SEEN, ids=lambda row: row[0].replace(" ", "-") if isinstance(row, tuple) else None)
def test_seen(scene, row):
    _name, to, fields = row
    assert any(message.has(fields) for message in scene.said if message.target == scene.address[to]), fields


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.peer)
def test_ending(scene, ending):
    goodbyes = [message for message in scene.said
                if message.target == scene.address[ending.peer] and message.kind == NOTIFICATION]
    assert [message.notification for message in goodbyes] == [ending.code], ending.what
    assert goodbyes[0].has(ending.fields), goodbyes[0].fields


def test_all_was_dissected(scene):
    """tshark has found as many messages of each type as we say that we have sent."""
    names = {OPEN: "OPEN", UPDATE: "UPDATE", NOTIFICATION: "NOTIFICATION", ROUTE_REFRESH: "ROUTE-REFRESH"}
    for name, rows in scene.counted.items():
        found = collections.Counter(names[message.kind] for message in scene.said
                                    if message.target == scene.address[name] and message.kind in names)
        sent = {row["type"]: row["sent"] for row in rows if row["type"] in names.values() and row["sent"]}
        assert found == sent, name


def test_long_messages(scene):
    """Only to those who have offered to take them, and to the station."""
    long = {message.target for message in scene.said for length in message.fields.get("bgp.length", ()) if int(length) > 4096}
    assert long == {scene.address[name] for name in ("long", CABLE, STATION)}


def test_everything_of_the_tables(scene):
    """What the sources' tables can write has been said to somebody above."""
    codes = {f"attribute {number}" for number in re.findall(r"^\tCODE_\w+ = (\d+),", source("bgp/codec/attr.c"), re.M)}
    codes |= {f"capability {number}" for number in re.findall(r"^    \{(\d+), \"[\w-]+\", ", source("bgp/codec/open.c"), re.M)}
    assert len(codes) > 25
    said = {f"attribute {code}" for message in scene.said for code in message.fields.get(CODES, ())}
    said |= {f"capability {code}" for message in scene.said for code in message.fields.get("bgp.cap.type", ())}
    assert not codes - said, "a peer that makes us say it, and a row, are missing"


def source(path):
    return (Path(TOP) / path).read_text()


# ---- What malformed messages are answered with

def answers():
    """A case for each NOTIFICATION that malformed messages are answered with, and each size of its data."""
    found = {}
    for case in CASES:
        if case.expect.code:
            data = case.expect.data
            found.setdefault((case.expect.code, len(data) if isinstance(data, bytes) else data), case)
    return list(found.values())


ANSWERS = answers()


@pytest.fixture(scope="module")
def rebukes():
    """{case's number: (what was said to its player, what the player had said)}."""
    kinds = "".join("e" if case.where.ebgp else "i" for case in ANSWERS)
    with Arena(len(ANSWERS), kinds=kinds) as arena:
        arena.start()
        capture = Capture(arena.node)
        trials = [Trial(arena, case, player) for case, player in zip(ANSWERS, arena.players)]
        for act in ("begin", "commit"):
            for trial in trials:
                getattr(trial, act)()
            if act == "begin":
                arena.swarm.wait(lambda: all(trial.ready() for trial in trials), "the players are ready")
        with contextlib.suppress(Timeout):
            arena.swarm.wait(lambda: all(trial.player.link.over for trial in trials), "", 10)
        capture.end()
        old = {player.ip4 for player in arena.players if player.old}
        messages = capture.messages(old)
        yield {number: ([message for message in messages if (message.source, message.target) == (arena.node.ip4, player.ip4)],
                        [message for message in messages if message.source == player.ip4])
               for number, player in enumerate(arena.players)}


@pytest.mark.parametrize("number", range(len(ANSWERS)), ids=[f"{case.row}-{case.what}".replace(" ", "-") for case in ANSWERS])
def test_rebuke(rebukes, number):
    said, _heard = rebukes[number]
    assert not complaints(said)
    assert [message.notification for message in said if message.kind == NOTIFICATION] == [ANSWERS[number].expect.code]


def test_the_judge_is_not_blind(rebukes):
    """It complains about what the players said."""
    assert sum(bool(complaints(heard)) for _said, heard in rebukes.values()) > len(rebukes) / 4
