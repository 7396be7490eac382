"""Many scripted peers, driven by the test itself: no thread, nothing happens but inside turn() and wait().

    swarm = Swarm(host, node)
    link = swarm.dial(address)
    link.say(open_message(...) + message(KEEPALIVE))
    swarm.wait(lambda: link.established, "the session")

A link says exactly the bytes it is given and keeps what it hears: the OPEN, the NOTIFICATION, how the connection ended, and,
if it watches, the routes it has been told (RFC 4271's Adj-RIB-In, by the rules of the RFCs alone) and how often each changed.
"""

import collections
import contextlib
import errno
import ipaddress
import selectors
import socket
import struct
import time

from netns import SLOWNESS, Timeout
from speaker import KEEPALIVE, MP_REACH, MP_UNREACH, NOTIFICATION, OPEN, UPDATE

ROUTE_REFRESH = 5
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Broken(AssertionError):
    """The daemon said something that is no BGP."""


def attributes_of(data):
    """{code: (flags, value)} of a path attribute field, in the order of their coming."""
    found, at = {}, 0
    while at < len(data):
        flags, code = data[at], data[at + 1]
        length, head = (struct.unpack_from("!H", data, at + 2)[0], 4) if flags & 0x10 else (data[at + 2], 3)
        value = data[at + head:at + head + length]
        if len(value) < length or code in found:
            raise Broken(f"attribute {code} overruns or occurs twice: {data.hex()}")
        found[code] = flags, value
        at += head + length
    return found


def prefixes_of(data, family, path_ids=False):
    """Prefixes as text; with path identifiers (prefix, identifier) each."""
    found, at, size = [], 0, 4 if family == 4 else 16
    while at < len(data):
        if path_ids:
            path_id, = struct.unpack_from("!I", data, at)
            at += 4
        length = data[at]
        octets = data[at + 1:at + 1 + (length + 7) // 8]
        if length > size * 8 or len(octets) < (length + 7) // 8:
            raise Broken(f"prefixes: {data.hex()}")
        prefix = f"{ipaddress.ip_address(octets.ljust(size, bytes(1)))}/{length}"
        found.append((prefix, path_id) if path_ids else prefix)
        at += 1 + len(octets)
    return found


class Link:
    """One TCP connection to the daemon."""

    def __init__(self, swarm, sock, address, watch):
        self.swarm, self.sock, self.address, self.watch = swarm, sock, address, watch
        self.connected, self.blocked = False, False
        self.outbox, self.inbox = bytearray(), b""
        self.piece = None  # at most so many octets a write
        self.reading, self.last_words = True, False
        self.opening, self.notification, self.end = None, None, None
        self.path_ids = False  # what is heard has path identifiers (RFC 7911)
        self.judge = None  # is shown the attributes of each route that is learned
        self.keepalives, self.updates, self.refreshes = 0, 0, []
        self.routes, self.markers, self.changes = {}, set(), collections.Counter()

    @property
    def established(self):
        return self.opening is not None and self.keepalives > 0 and self.end is None

    @property
    def over(self):
        return self.end is not None

    def say(self, *data):
        self.outbox += b"".join(data)
        self.swarm.interest(self)

    def listen(self, reading):
        """Reads what comes, or lets it wait in the socket."""
        self.reading = reading
        self.swarm.interest(self)

    def hang_up(self):
        """Closes the connection in order."""
        self.swarm.close(self, "closed by us")

    def reset(self):
        """Closes the connection with a RST."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.swarm.close(self, "reset by us")

    def half_close_when_said(self):
        """Once all is sent that is to be said."""
        self.last_words = True
        self.swarm.interest(self)

    def half_close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    # What is heard

    def hear(self, data):
        data = self.inbox + data if self.inbox else data
        at = 0
        while len(data) - at >= 19:
            length, kind = struct.unpack_from("!HB", data, at + 16)
            if length < 19 or data[at:at + 16] != b"\xff" * 16:
                raise Broken(f"{self.address} got a header {data[at:at + 19].hex()}")
            if len(data) - at < length:
                break
            if kind == UPDATE:
                self.updates += 1
                if self.watch:
                    self.learn(data[at + 19:at + length])
            else:
                self.note(kind, data[at + 19:at + length])
            at += length
        self.inbox = data[at:]

    def note(self, kind, body):
        if kind == OPEN:
            self.opening = body
        elif kind == KEEPALIVE:
            self.keepalives += 1
        elif kind == NOTIFICATION:
            if self.notification or len(body) < 2:
                raise Broken(f"{self.address} got a NOTIFICATION {body.hex()} after {self.notification}")
            self.notification = body[0], body[1], body[2:]
        elif kind == ROUTE_REFRESH:
            self.refreshes.append(body)
        else:
            raise Broken(f"{self.address} got a message of type {kind}")

    def learn(self, body):
        """An UPDATE: what it withdraws, then what it announces."""
        size, = struct.unpack_from("!H", body)
        withdrawn, rest = body[2:2 + size], body[2 + size:]
        size, = struct.unpack_from("!H", rest)
        attributes, announced = attributes_of(rest[2:2 + size]), rest[2 + size:]
        if not withdrawn and not announced and set(attributes) <= {MP_UNREACH}:
            gone = attributes.get(MP_UNREACH, (0, b"\0\1\1"))[1]
            if len(gone) == 3:
                self.markers.add(4 if gone[:2] == b"\0\1" else 6)
        def prefixes(data, family):
            return prefixes_of(data, family, self.path_ids)
        lost, found = prefixes(withdrawn, 4), {prefix: attributes for prefix in prefixes(announced, 4)}
        if MP_UNREACH in attributes:
            value = attributes[MP_UNREACH][1]
            lost += prefixes(value[3:], 4 if value[1] == 1 else 6)
        if MP_REACH in attributes:
            value = attributes[MP_REACH][1]
            kept = {**attributes, MP_REACH: (attributes[MP_REACH][0], value[4:4 + value[3]])}
            found.update((prefix, kept) for prefix in prefixes(value[5 + value[3]:], 4 if value[1] == 1 else 6))
        if found and self.judge:
            self.judge(attributes)
        for prefix in lost:
            self.routes.pop(prefix, None)
        self.routes.update(found)
        self.changes.update((*lost, *found))


class Swarm:
    def __init__(self, host, node):
        """host: where the peers are, with all their addresses; node: whom they dial."""
        self.host, self.node = host, node
        self.selector = selectors.DefaultSelector()
        self.links, self.listeners = [], []

    def close_all(self):
        for link in self.links:
            if not link.over:
                self.close(link, "the end")
        for listener in self.listeners:
            listener.close()
        self.selector.close()

    def dial(self, address, watch=False, receive_buffer=None):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.host.inside():
            sock = socket.socket(family)
        sock.setblocking(False)
        # As every honest peer does; and the port is free as soon as the connection is gone.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        sock.bind((address, 0))
        error = sock.connect_ex((self.node.ip6 if ":" in address else self.node.ip4, 179))
        if error not in (0, errno.EINPROGRESS):
            raise OSError(error, f"connect from {address}")
        link = Link(self, sock, address, watch)
        self.links.append(link)
        self.selector.register(sock, selectors.EVENT_WRITE, link)
        return link

    def listen(self, address, watch=False):
        """A list that the daemon's connections to this address are added to."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.host.inside():
            listener = socket.create_server((address, 179), family=family, backlog=64)
        listener.setblocking(False)
        self.listeners.append(listener)
        accepted = []

        def accept():
            sock, _peer = listener.accept()
            sock.setblocking(False)
            link = Link(self, sock, address, watch)
            link.connected = True
            self.links.append(link)
            accepted.append(link)
            self.selector.register(sock, selectors.EVENT_READ, link)

        self.selector.register(listener, selectors.EVENT_READ, accept)
        return accepted

    def interest(self, link):
        if link.over:
            return
        events = selectors.EVENT_READ if link.reading and link.connected else 0
        if link.outbox or link.last_words or not link.connected:
            events |= selectors.EVENT_WRITE
        key = self.selector.get_map().get(link.sock)
        if key is None and events:
            self.selector.register(link.sock, events, link)
        elif key is not None and not events:
            self.selector.unregister(link.sock)
        elif key is not None and key.events != events:
            self.selector.modify(link.sock, events, link)

    def close(self, link, how):
        if link.over:
            return
        with contextlib.suppress(KeyError):
            self.selector.unregister(link.sock)
        link.sock.close()
        link.end = how

    def turn(self, timeout=0.02):
        for key, events in self.selector.select(timeout):
            link = key.data
            if not isinstance(link, Link):
                link()
                continue
            try:
                if events & selectors.EVENT_WRITE:
                    self.write(link)
                if events & selectors.EVENT_READ and not link.over:
                    self.read(link)
            except ConnectionResetError:
                self.close(link, "reset")
            except BrokenPipeError:
                self.drain(link)
            except ConnectionError as error:
                self.close(link, str(error))

    def write(self, link):
        if not link.connected:
            error = link.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise ConnectionRefusedError(error, "refused")
            link.connected = True
        if link.outbox:
            with contextlib.suppress(BlockingIOError):
                del link.outbox[:link.sock.send(link.outbox[:link.piece] if link.piece else link.outbox)]
        if link.last_words and not link.outbox:
            link.last_words = False
            link.half_close()
        self.interest(link)

    def read(self, link):
        with contextlib.suppress(BlockingIOError):
            data = link.sock.recv(262144)
            if not data:
                self.close(link, "closed")
            else:
                link.hear(data)

    def drain(self, link):
        """Its last words may still wait to be read."""
        link.outbox.clear()
        self.interest(link)
        self.read(link)

    def wait(self, condition, what, timeout=20):
        """Turns until condition() is true and returns its value; what may be a function that describes the state."""
        deadline = time.monotonic() + timeout * SLOWNESS
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise Timeout(f"not within {timeout * SLOWNESS:.0f} s: {what() if callable(what) else what}")
            self.turn()
