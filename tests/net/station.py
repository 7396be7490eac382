"""A scripted BMP station: what a router reports, read by the letter of RFC 7854, 8671 and 9069, and kept as tables.

    with Station(host, address) as station:
        report = station.wait()              # the newest connection's
        report.peers[key].tables["pre"].routes

What no router may do fails when the station ends, and when a report is looked at by wait_for(). A station can be told to
read nothing, or little at a time, and to hang up in several ways.
"""

import collections
import contextlib
import ipaddress
import selectors
import socket
import struct
import threading
import time

from netns import wait_for
from routes import Route, Table

PORT = 11019
ROUTE_MONITORING, STATISTICS, PEER_DOWN, PEER_UP, INITIATION, TERMINATION = range(6)
GLOBAL, LOC_RIB = 0, 3
FLAG_V, FLAG_L, FLAG_A, FLAG_O = 0x80, 0x40, 0x20, 0x10
VIEWS = {0: "pre", FLAG_L: "post", FLAG_O | FLAG_L: "out"}
Key = collections.namedtuple("Key", "kind address")


class Wrong(AssertionError):
    """What no router may say."""


def must(condition, text):
    if not condition:
        raise Wrong(text)


def tlvs(data):
    found, at = [], 0
    while at < len(data):
        kind, length = struct.unpack_from("!HH", data, at)
        must(at + 4 + length <= len(data), f"a TLV of {length} octets where {len(data) - at - 4} are left")
        found.append((kind, data[at + 4:at + 4 + length]))
        at += 4 + length
    return found


def take_bgp(data, kind):
    """One whole message, and what follows."""
    must(data[:16] == b"\xff" * 16, "no BGP marker")
    length, found = struct.unpack_from("!HB", data, 16)
    must(19 <= length <= len(data), f"a BGP message of {length} octets in {len(data)}")
    must(found == kind, f"a BGP message of type {found}, not {kind}")
    return data[:length], data[length:]


def capabilities(opening):
    """{code: [values]} of a whole OPEN."""
    found, at = collections.defaultdict(list), 29
    while at < len(opening):
        must(opening[at] == 2, f"optional parameter {opening[at]}")
        end = at + 2 + opening[at + 1]
        at += 2
        while at < end:
            found[opening[at]].append(opening[at + 2:at + 2 + opening[at + 1]])
            at += 2 + opening[at + 1]
    return found


def add_path(sender, receiver):
    """Families in which `sender` puts path identifiers into prefixes (RFC 7911 4)."""
    def modes(opening):
        return {{1: 4, 2: 6}[afi]: mode for value in capabilities(opening)[69]
                for afi, _safi, mode in struct.iter_unpack("!HBB", value)}
    theirs = modes(receiver)
    return {family for family, mode in modes(sender).items() if mode & 2 and theirs.get(family, 0) & 1}


class Reported:
    """A peer that is up, or Loc-RIB."""

    def __init__(self, key, as_number, identifier, when, body):
        self.key, self.as_number, self.identifier, self.up_at = key, as_number, identifier, when
        self.local = body[:16]
        self.local_port, self.remote_port = struct.unpack_from("!HH", body, 16)
        self.sent, rest = take_bgp(body[20:], 1)
        self.received, rest = take_bgp(rest, 1)
        self.information = tlvs(rest)
        incoming, outgoing = add_path(self.received, self.sent), add_path(self.sent, self.received)
        self.tables = {"pre": Table(add_path=incoming), "post": Table(add_path=incoming), "out": Table(add_path=outgoing),
                       "loc": Table()}
        self.updates = collections.Counter()
        self.statistics = {}  # {(type, family or None): value}


class Report:
    """One connection, as far as it was read."""

    def __init__(self):
        self.inbox, self.octets = b"", 0
        self.messages = collections.Counter()
        self.information, self.termination, self.closed = None, None, False
        self.peers = {}
        self.downs, self.ups = [], []  # (key, reason, data), keys, as they came
        self.latest = 0

    def feed(self, data):
        self.octets += len(data)
        self.inbox += data
        at = 0
        while len(self.inbox) - at >= 6:
            version, length, kind = struct.unpack_from("!BIB", self.inbox, at)
            must(version == 3, f"version {version}")
            must(6 <= length <= 70000, f"a message of {length} octets")
            if len(self.inbox) - at < length:
                break
            self.take(kind, self.inbox[at + 6:at + length])
            at += length
        self.inbox = self.inbox[at:]

    def take(self, kind, body):
        must(self.termination is None, "a message after Termination")
        must((kind == INITIATION) == (self.information is None), "Initiation is not the first, or comes again")
        self.messages[kind] += 1
        if kind == INITIATION:
            self.information = tlvs(body)
            must({1, 2} <= {code for code, _value in self.information}, "Initiation without sysDescr and sysName")
        elif kind == TERMINATION:
            self.termination = dict(tlvs(body))
            must(len(self.termination.get(1, b"")) == 2, "Termination without a reason")
        else:
            self.about_peer(kind, body)

    def about_peer(self, kind, body):
        peer_type, flags, distinguisher = struct.unpack_from("!BB8s", body)
        must(peer_type in (GLOBAL, LOC_RIB), f"peer type {peer_type}")
        must(distinguisher == bytes(8), "a distinguisher")
        as_number, identifier, seconds, micros = struct.unpack_from("!I4sII", body, 26)
        must(micros < 1000000, f"{micros} microseconds")
        when = seconds + micros / 1e6
        must(abs(time.time() - when) < 3600, f"at {when}, in another hour")
        self.latest = max(self.latest, when)
        if peer_type == LOC_RIB:
            must(flags == 0 and body[10:26] == bytes(16), "Loc-RIB with flags or an address")
            key = Key(LOC_RIB, "")
        else:
            must(flags & FLAG_V or body[10:22] == bytes(12), "an IPv4 address with more before it")
            address = body[10:26] if flags & FLAG_V else body[22:26]
            key = Key(GLOBAL, str(ipaddress.ip_address(address)))
        rest = body[42:]
        if kind == PEER_UP:
            must(key not in self.peers, f"{key} is up and comes up again")
            self.peers[key] = Reported(key, as_number, str(ipaddress.ip_address(identifier)), when, rest)
            self.ups.append(key)
            return
        must(key in self.peers, f"message {kind} about {key}, which is not up")
        peer = self.peers[key]
        must(when >= peer.up_at, f"{key}: at {when}, before it was up at {peer.up_at}")
        must((as_number, str(ipaddress.ip_address(identifier))) == (peer.as_number, peer.identifier), f"{key} is another one")
        if kind == PEER_DOWN:
            del self.peers[key]
            self.downs.append((key, rest[0], rest[1:]))
        elif kind == STATISTICS:
            self.statistics(peer, rest)
        else:
            must(kind == ROUTE_MONITORING, f"message {kind}")
            self.routes(peer, flags, rest)

    @staticmethod
    def routes(peer, flags, data):
        view = "loc" if peer.key.kind == LOC_RIB else VIEWS.get(flags & (FLAG_L | FLAG_O))
        must(view, f"flags {flags:02x}")
        update, rest = take_bgp(data, 2)
        must(not rest, "something behind the UPDATE")
        table = peer.tables[view]
        table.four_octets = not flags & FLAG_A
        table.update(update[19:])
        peer.updates[view] += 1

    @staticmethod
    def statistics(peer, data):
        count, = struct.unpack_from("!I", data)
        found = tlvs(data[4:])
        must(len(found) == count, f"{len(found)} statistics, not {count}")
        for kind, value in found:
            gauge = kind in (7, 8, 9, 10) or kind >= 14
            family = None
            if kind in (9, 10, 16, 17):
                afi, safi = struct.unpack("!HB", value[:3])
                must(safi == 1, f"SAFI {safi}")
                family, value = {1: 4, 2: 6}[afi], value[3:]
            must(len(value) == (8 if gauge else 4), f"statistic {kind} of {len(value)} octets")
            peer.statistics[kind, family] = int.from_bytes(value, "big")

    def table(self, address, view="pre"):
        """{(prefix, path identifier): Route} that a peer's table holds; of Loc-RIB without an address."""
        key = Key(GLOBAL, address) if address else Key(LOC_RIB, "")
        return self.peers[key].tables[view].routes

    def loc_rib(self):
        return self.table("", "loc")

    def complete(self, families=(4, 6), views=("pre",)):
        """Whether End-of-RIB has come for all tables of all peers."""
        return self.information is not None and all(
            set(families) <= peer.tables[view].markers
            for key, peer in self.peers.items() for view in (("loc",) if key.kind == LOC_RIB else views))


class Station:
    def __init__(self, host, address, port=PORT):
        self.host, self.address, self.port = host, address, port
        self.reports, self.error = [], None
        self.reading, self.sip, self.pause = True, 1 << 18, 0.0  # octets at a time, and the time between
        self.sock = self.listener = None
        self.selector = selectors.DefaultSelector()
        self.wake_read, self.wake_write = socket.socketpair()
        self.selector.register(self.wake_read, selectors.EVENT_READ)
        self.asked = collections.deque()
        self.ending = False
        self.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)

    @property
    def endpoint(self):
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_error):
        self.ending = True
        self.ask(lambda: None)
        self.thread.join()
        self.hang_up_now()
        if self.listener:
            self.listener.close()
        self.wake_read.close()
        self.wake_write.close()
        if self.error and kind is None:
            raise self.error

    # What tests ask for

    def ask(self, action):
        self.asked.append(action)
        self.wake_write.send(b"x")

    def read(self, reading=True, sip=1 << 18, pause=0.0):
        """Everything at once, or nothing, or `sip` octets with a pause in between."""
        self.reading, self.sip, self.pause = reading, sip, pause
        self.ask(self.watch)

    def hang_up(self, reset=False):
        self.ask(lambda: self.hang_up_now(reset))

    def away(self):
        """Nobody listens."""
        def action():
            self.hang_up_now()
            self.selector.unregister(self.listener)
            self.listener.close()
            self.listener = None
        self.ask(action)
        wait_for(lambda: self.listener is None, "the station is away")

    def back(self):
        self.ask(self.listen)
        wait_for(lambda: self.listener is not None, "the station is back")

    @property
    def report(self):
        """The newest connection's; an error of the station's is raised here."""
        if self.error:
            raise self.error
        return self.reports[-1] if self.reports else None

    def wait(self, condition=lambda report: True, what="a report", timeout=20, after=0):
        """The newest report, not one of the first `after`, once the condition holds of it."""
        def found():
            report = self.report
            if len(self.reports) <= after:
                return None
            try:
                return report if condition(report) else None
            except (KeyError, RuntimeError):  # a peer that is not up; a table that changes while it is looked at
                return None
        return wait_for(found, lambda: f"{what}; {len(self.reports)} connections, the last: "
                        f"{dict(self.report.messages) if self.reports else None}", timeout)

    # The thread

    def listen(self):
        with self.host.inside():
            family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
            self.listener = socket.create_server((self.address, self.port), family=family, backlog=8)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)

    def serve(self):
        try:
            while not self.ending:
                for key, _events in self.selector.select(0.5):
                    if key.fileobj is self.wake_read:
                        self.wake_read.recv(100)
                        while self.asked:
                            self.asked.popleft()()
                    elif key.fileobj is self.listener:
                        self.accept()
                    elif key.fileobj is self.sock:
                        self.take()
        except BaseException as error:  # shown by the test that owns this
            self.error = error

    def accept(self):
        with contextlib.suppress(BlockingIOError):
            sock, _address = self.listener.accept()
            # One that does not read does not see the end of the connection before.
            self.hang_up_now()
            self.sock = sock
            self.reports.append(Report())
            self.watch()

    def watch(self):
        if not self.sock:
            return
        with contextlib.suppress(KeyError):
            self.selector.unregister(self.sock)
        if self.reading:
            self.selector.register(self.sock, selectors.EVENT_READ)

    def take(self):
        try:
            data = self.sock.recv(self.sip)
        except OSError:
            data = b""
        if not data:
            self.hang_up_now()
            return
        self.reports[-1].feed(data)
        if self.pause:
            time.sleep(self.pause)

    def hang_up_now(self, reset=False):
        if not self.sock:
            return
        with contextlib.suppress(KeyError):
            self.selector.unregister(self.sock)
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.sock = None
        self.reports[-1].closed = True


# What the daemon shows, in the same form

ORIGINS = {"IGP": 0, "EGP": 1, "incomplete": 2}
NAMED = {"no-export": "65535:65281", "no-advertise": "65535:65282"}


def shown_route(row):
    """A row of `calidris -o json show routes` as a Route, of what both forms have."""
    hop = row["next_hop"] or ("::" if ":" in row["prefix"] else "0.0.0.0")
    words = {key: tuple(row.get(key, "").split()) for key in ("as_path", "communities", "large_communities", "cluster_list")}
    return Route(row["prefix"], hop, origin=ORIGINS[row["origin"]], as_path=tuple(map(int, words["as_path"])),
                 med=int(row["med"]) if "med" in row else None, local_pref=row["local_pref"],
                 communities=tuple(NAMED.get(word, word) for word in words["communities"]),
                 large_communities=words["large_communities"], originator_id=row.get("originator_id"),
                 cluster_list=words["cluster_list"], path_id=row["path_id"])


SHOWN = ("prefix", "next_hop", "origin", "as_path", "med", "communities", "large_communities", "originator_id", "cluster_list")
