"""A scripted BGP speaker: as many peers as wanted behind one thread, to do what no honest daemon does.

    with Speaker(host) as speaker:
        speaker.add(address, 64512, updates=[update(["10.1.0.0/26"], address)])

Each peer listens on its own address inside the host's namespace and answers the daemon's OPEN with its script: OPEN,
KEEPALIVE, its UPDATEs, End-of-RIB; then it keeps the session alive, unless the script says otherwise. Only what tests need
of RFC 4271 is here.
"""

import collections
import contextlib
import ipaddress
import selectors
import socket
import struct
import threading
import time

OPEN, UPDATE, NOTIFICATION, KEEPALIVE, ROUTE_REFRESH = 1, 2, 3, 4, 5
MARKER = b"\xff" * 16
AFI = {4: 1, 6: 2}
IGP, ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF, MP_REACH, MP_UNREACH = 0, 1, 2, 3, 5, 14, 15
NORMAL_PREFERENCE = 2147483647 - 1024


def message(kind, body=b""):
    return MARKER + struct.pack("!HB", 19 + len(body), kind) + body


def capability(code, value=b""):
    return bytes([code, len(value)]) + value


def open_message(as_number, router_id, hold=90, families=(4, 6), restart_time=None, restarting=False, four_octets=True,
                 more=b""):
    """restart_time: offers graceful restart for all families, forwarding kept; None does not offer it. more: further
    capabilities, as capability() makes them."""
    capabilities = b"".join(capability(1, struct.pack("!HBB", AFI[family], 0, 1)) for family in families)
    capabilities += capability(2) + more
    if four_octets:
        capabilities += capability(65, struct.pack("!I", as_number))
    if restart_time is not None:
        tuples = b"".join(struct.pack("!HBB", AFI[family], 1, 0x80) for family in families)
        capabilities += capability(64, struct.pack("!H", (0x8000 if restarting else 0) | restart_time) + tuples)
    narrow = as_number if as_number < 65536 else 23456
    body = struct.pack("!BHH4sB", 4, narrow, hold, ipaddress.ip_address(router_id).packed,
                       len(capabilities) + 2)
    return message(OPEN, body + bytes([2, len(capabilities)]) + capabilities)


def nlri(prefix):
    network = ipaddress.ip_network(prefix)
    return bytes([network.prefixlen]) + network.network_address.packed[:(network.prefixlen + 7) // 8]


def attribute(code, value, flags=0x40):
    if len(value) > 255:
        return struct.pack("!BBH", flags | 0x10, code, len(value)) + value
    return bytes([flags, code, len(value)]) + value


def update(prefixes, next_hop, as_path=(), local_pref=NORMAL_PREFERENCE, width=4, more=b"", encode=nlri):
    """One UPDATE; prefixes and next hop of one family. local_pref None leaves it out, as on eBGP. width: octets of an AS
    number. more: further attributes. encode: how a prefix is written."""
    family = ipaddress.ip_network(prefixes[0]).version
    routes = b"".join(map(encode, prefixes))
    numbers = b"".join(number.to_bytes(width, "big") for number in as_path)
    segment = bytes([2, len(as_path)]) + numbers if as_path else b""
    attributes = attribute(ORIGIN, bytes([IGP])) + attribute(AS_PATH, segment)
    hop = ipaddress.ip_address(next_hop).packed
    if family == 4:
        attributes += attribute(NEXT_HOP, hop)
    if local_pref is not None:
        attributes += attribute(LOCAL_PREF, struct.pack("!I", local_pref))
    if family == 6:
        value = struct.pack("!HBB", AFI[6], 1, len(hop)) + hop + b"\0" + routes
        attributes, routes = attribute(MP_REACH, value, 0x80) + attributes, b""
    attributes += more
    return message(UPDATE, struct.pack("!HH", 0, len(attributes)) + attributes + routes)


def announcement(attributes, prefixes, next_hop, path_id=None):
    """One UPDATE with these attributes, NEXT_HOP or MP_REACH_NLRI added; prefixes of one family, with a path identifier if
    the session has them."""
    family = ipaddress.ip_network(prefixes[0]).version
    number = b"" if path_id is None else struct.pack("!I", path_id)
    hop, routes = ipaddress.ip_address(next_hop).packed, b"".join(number + nlri(prefix) for prefix in prefixes)
    if family == 4 and len(hop) == 4:
        attributes += attribute(NEXT_HOP, hop)
    else:
        value = struct.pack("!HBB", AFI[family], 1, len(hop)) + hop + b"\0" + routes
        attributes, routes = attribute(MP_REACH, value, 0x80) + attributes, b""
    return message(UPDATE, struct.pack("!HH", 0, len(attributes)) + attributes + routes)


def end_of_rib(family):
    if family == 4:
        return message(UPDATE, struct.pack("!HH", 0, 0))
    attributes = attribute(MP_UNREACH, struct.pack("!HB", AFI[6], 1), 0x80)
    return message(UPDATE, struct.pack("!HH", 0, len(attributes)) + attributes)


class Script:
    """What one peer says. `after_open` is sent, as it is, once the daemon's OPEN was read. keep: the bodies of the UPDATEs
    it gets on its connection are kept."""

    def __init__(self, as_number, router_id, *, hold=90, families=(4, 6), restart_time=None, restarting=False, updates=(),
                 markers=True, keepalive=True, keep=False, four_octets=True, more=b""):
        self.keep = keep
        self.opening = open_message(as_number, router_id, hold, families, restart_time, restarting, four_octets, more)
        self.after_open = message(KEEPALIVE) + b"".join(updates)
        if markers:
            self.after_open += b"".join(map(end_of_rib, families))
        self.interval = hold / 3 if keepalive and hold else None


class Connection:
    def __init__(self, peer, sock):
        self.peer, self.sock, self.inbox = peer, sock, b""
        self.outbox = bytearray(peer.script.opening)
        self.next_keepalive = None

    def take(self, data):
        """Yields (type, body) of each complete message."""
        self.inbox += data
        while len(self.inbox) >= 19:
            length, kind = struct.unpack_from("!HB", self.inbox, 16)
            if len(self.inbox) < length:
                return
            body, self.inbox = self.inbox[19:length], self.inbox[length:]
            yield kind, body


class Peer:
    def __init__(self, address, listener, script):
        self.address, self.listener, self.script = address, listener, script
        self.connection = None
        self.accepted, self.established = 0, 0
        self.notifications, self.last_words = [], b""
        self.received, self.refreshes = 0, []
        self.opens, self.updates = [], []


class Speaker:
    def __init__(self, host):
        self.host, self.peers = host, {}
        self.selector = selectors.DefaultSelector()
        self.wake_read, self.wake_write = socket.socketpair()
        self.selector.register(self.wake_read, selectors.EVENT_READ)
        self.ending, self.error = False, None
        self.to_send = collections.deque()
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_error):
        self.ending = True
        self.wake_write.send(b"x")
        self.thread.join()
        for peer in self.peers.values():
            self.drop(peer)
            peer.listener.close()
        self.wake_read.close()
        self.wake_write.close()
        if self.error:
            raise self.error

    def add(self, address, as_number, router_id=None, port=179, **script):
        """A peer on this address, which the host must have; it has one connection at a time, the last."""
        with self.host.inside():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            listener = socket.create_server((address, port), family=family, backlog=8)
        listener.setblocking(False)
        peer = Peer(address, listener, Script(as_number, router_id or address, **script))
        self.peers[address] = peer
        self.selector.register(listener, selectors.EVENT_READ, peer)
        self.wake_write.send(b"x")
        return peer

    def say(self, peer, data):
        """These octets, on the connection that the peer has by then."""
        self.to_send.append((peer, data))
        self.wake_write.send(b"x")

    def leave(self, peer):
        """It goes for good: no connection, and nobody listens."""
        self.selector.unregister(peer.listener)
        peer.listener.close()
        if peer.connection:
            peer.connection.sock.shutdown(socket.SHUT_RDWR)

    def hang_up(self):
        """All connections end, and are accepted anew."""
        for peer in list(self.peers.values()):
            if peer.connection:
                peer.connection.sock.shutdown(socket.SHUT_RDWR)

    def established(self):
        return sum(peer.connection is not None and peer.connection.next_keepalive is not None
                   for peer in list(self.peers.values()))

    # The thread

    def serve(self):
        try:
            while not self.ending:
                for key, events in self.selector.select(0.5):
                    self.serve_one(key, events)
                self.keep_alive()
        except BaseException as error:  # shown by the test that owns this
            self.error = error

    def serve_one(self, key, events):
        if key.fileobj is self.wake_read:
            self.wake_read.recv(100)
            while self.to_send:
                peer, data = self.to_send.popleft()
                if peer.connection:
                    peer.connection.outbox += data
                    self.talk(peer.connection, 0)
        elif isinstance(key.data, Peer):
            self.accept(key.data)
        else:
            self.talk(key.data, events)

    def accept(self, peer):
        with contextlib.suppress(BlockingIOError):
            sock, _address = peer.listener.accept()
            sock.setblocking(False)
            self.drop(peer)
            peer.accepted += 1
            peer.connection = Connection(peer, sock)
            self.selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, peer.connection)

    def drop(self, peer):
        if peer.connection:
            with contextlib.suppress(KeyError):
                self.selector.unregister(peer.connection.sock)
            peer.connection.sock.close()
            peer.connection = None

    def talk(self, connection, events):
        try:
            if events & selectors.EVENT_READ:
                data = connection.sock.recv(65536)
                if not data:
                    return self.drop(connection.peer)
                for kind, body in connection.take(data):
                    self.react(connection, kind, body)
            if connection.outbox:
                del connection.outbox[:connection.sock.send(connection.outbox)]
        except BlockingIOError:
            pass
        except OSError:
            return self.drop(connection.peer)
        self.selector.modify(connection.sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.outbox else 0),
                             connection)
        return None

    def react(self, connection, kind, body):
        peer, script = connection.peer, connection.peer.script
        if kind == OPEN:
            peer.opens.append(body)
            peer.updates.clear()
            connection.outbox += script.after_open
            peer.established += 1
            connection.next_keepalive = time.monotonic() + script.interval if script.interval else float("inf")
        elif kind == UPDATE:
            peer.received += 1
            if script.keep:
                peer.updates.append(body)
        elif kind == NOTIFICATION:
            peer.notifications.append((body[0], body[1]))
            peer.last_words = body[2:]
        elif kind == ROUTE_REFRESH:
            peer.refreshes.append(body)

    def keep_alive(self):
        now = time.monotonic()
        for peer in list(self.peers.values()):
            connection = peer.connection
            if connection and connection.next_keepalive is not None and connection.next_keepalive <= now:
                connection.next_keepalive = now + peer.script.interval
                connection.outbox += message(KEEPALIVE)
                self.talk(connection, 0)
