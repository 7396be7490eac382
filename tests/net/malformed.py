"""Malformed input and what it must cause: RFC 4271 6, RFC 7606 and their neighbours as one table of what a peer says.

A case says its UPDATE as the change of a good one: the sender's route `victim` of one family, with attributes replaced, left
out (None), or put in front, behind. Where it is tried, a word each: i or e, an iBGP or eBGP peer; 4 or 6, the family of the
routes; then x, the attribute has the extended length form, o, the peer speaks 2-octet AS numbers, h, IPv4 routes may have IPv6
next hops, and p, prefixes have path identifiers (RFC 7911). What it must cause is one of the functions below.
"""

import collections
import itertools
import struct

from speaker import attribute, capability, message

ORIGIN, AS_PATH, NEXT_HOP, MED, LOCAL_PREF, ATOMIC_AGGREGATE, AGGREGATOR, COMMUNITIES = range(1, 9)
ORIGINATOR_ID, CLUSTER_LIST, MP_REACH, MP_UNREACH, EXT_COMMUNITIES, AS4_PATH, AS4_AGGREGATOR = 9, 10, 14, 15, 16, 17, 18
IPV6_EXT_COMMUNITIES, AIGP, LARGE_COMMUNITIES, OTC, PREFIX_SID = 25, 26, 32, 35, 40

WELL_KNOWN, OPTIONAL, TRANSITIVE = 0x40, 0x80, 0xc0
NAMES = {
    ORIGIN: "ORIGIN", AS_PATH: "AS_PATH", NEXT_HOP: "NEXT_HOP", MED: "MULTI_EXIT_DISC", LOCAL_PREF: "LOCAL_PREF",
    ATOMIC_AGGREGATE: "ATOMIC_AGGREGATE", AGGREGATOR: "AGGREGATOR", COMMUNITIES: "COMMUNITIES",
    ORIGINATOR_ID: "ORIGINATOR_ID", CLUSTER_LIST: "CLUSTER_LIST", MP_REACH: "MP_REACH_NLRI",
    MP_UNREACH: "MP_UNREACH_NLRI",
    EXT_COMMUNITIES: "EXTENDED COMMUNITIES", AS4_PATH: "AS4_PATH", AS4_AGGREGATOR: "AS4_AGGREGATOR",
    IPV6_EXT_COMMUNITIES: "IPv6 EXTENDED COMMUNITIES", AIGP: "AIGP", LARGE_COMMUNITIES: "LARGE_COMMUNITY", OTC: "OTC",
    PREFIX_SID: "BGP Prefix-SID",
}
FLAGS = {code: WELL_KNOWN for code in (ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF, ATOMIC_AGGREGATE)}
FLAGS.update({code: OPTIONAL for code in (MED, ORIGINATOR_ID, CLUSTER_LIST, MP_REACH, MP_UNREACH, AIGP)})
FLAGS.update({code: TRANSITIVE for code in NAMES if code not in FLAGS})
# Values as they should be; by these a change of flags or a duplicate is made.
GOOD = {
    ORIGIN: b"\0", MED: struct.pack("!I", 77), LOCAL_PREF: struct.pack("!I", 200), ATOMIC_AGGREGATE: b"",
    COMMUNITIES: bytes.fromhex("fde90001"), ORIGINATOR_ID: bytes([10, 9, 9, 9]), CLUSTER_LIST: bytes([10, 9, 9, 8]),
    EXT_COMMUNITIES: bytes.fromhex("0002fde900000064"), AS4_AGGREGATOR: bytes.fromhex("0001117d0a000001"),
    IPV6_EXT_COMMUNITIES: bytes(20), AIGP: bytes.fromhex("01000b0000000000000010"), OTC: bytes.fromhex("0000fde9"),
    LARGE_COMMUNITIES: bytes.fromhex("0000fde90000000100000002"), PREFIX_SID: bytes.fromhex("01000700000000000001"),
}

SET, SEQUENCE, CONFED_SEQUENCE, CONFED_SET = 1, 2, 3, 4
ME = "the eBGP peer's AS, nothing on iBGP"
GOOD_MED = struct.pack("!I", 77)  # what all good parts of a case carry, so that one sees whether they arrived


class Where(collections.namedtuple("Where", "text ebgp family extended old hops paths")):
    """Who says it; `player` is the peer, `victim` and so on its prefixes: see Player of arena.py."""

    @classmethod
    def parse(cls, text):
        return cls(text, text[0] == "e", int(text[1]), "x" in text, "o" in text, "h" in text,
                   2 * ("p" in text))


class Path:
    """An AS_PATH of (type, numbers...) segments, in the peer's width; `count` lies about the last one's length."""

    def __init__(self, *segments, count=None, tail=b"", width=None):
        self.segments, self.count, self.tail, self.width = segments, count, tail, width

    def __call__(self, at):
        width = self.width or (2 if at.old else 4)
        data = b""
        for kind, *numbers in self.segments:
            own = [at.as_number] if at.ebgp else []
            numbers = list(itertools.chain.from_iterable(own if number is ME else [number] for number in numbers))
            last = (kind, *numbers)
            data += bytes([kind, len(numbers)]) + b"".join(number.to_bytes(width, "big") for number in numbers)
            size = len(numbers) * width + 2
        if self.count is not None:
            data = data[:-size] + bytes([last[0], self.count]) + data[len(data) - size + 2:]
        return data + self.tail


GOOD_PATH = Path((SEQUENCE, ME, 65100))


def aggregator(number):
    return lambda at: number.to_bytes(2 if at.old else 4, "big") + bytes([10, 0, 0, 1])


GOOD_VALUES = {**GOOD, AS_PATH: GOOD_PATH, AGGREGATOR: aggregator(65100), AS4_PATH: Path((SEQUENCE, 70013), width=4),
               NEXT_HOP: lambda at: at.hop(4), MP_REACH: lambda at: reach(at.family if at.family == 6 else 6)(at)}


def reach(family, hop=None, prefixes=None, tail=b"", length=None):
    """The value of an MP_REACH_NLRI of the victim, or with `hop` octets, `prefixes` octets, a length field that lies."""
    def value(at):
        octets = at.hop(family) if hop is None else hop
        routes = at.nlri(at.victim[family]) if prefixes is None else prefixes
        return (struct.pack("!HBB", 1 if family == 4 else 2, 1, len(octets) if length is None else length) + octets +
                b"\0" +
                routes + tail)
    return value


def unreach(family, prefixes=None, tail=b""):
    return lambda at: (struct.pack("!HB", 1 if family == 4 else 2, 1) +
                       (at.nlri(at.victim[family]) if prefixes is None else prefixes) + tail)


class Update:
    """A good UPDATE but for these changes. `first` and `more`: (code, value) or octets in front of or behind the others."""

    def __init__(self, change=None, *, flags=None, first=(), more=(), routes=None, withdrawn=b"", bare=False):
        self.change, self.flags, self.first, self.more = change or {}, flags or {}, first, more
        self.routes, self.withdrawn, self.bare = routes, withdrawn, bare

    def attribute(self, at, code, value):
        value = value(at) if callable(value) else value
        flags = self.flags.get(code, FLAGS.get(code, TRANSITIVE))
        if at.extended and (code in self.change or code in self.flags) and len(value) < 256:
            return struct.pack("!BBH", flags | 0x10, code, len(value)) + value
        return attribute(code, value, flags)

    def parts(self, at):
        """[(code or None, octets)] in the order they are sent."""
        default = {} if self.bare else {ORIGIN: b"\0", AS_PATH: GOOD_PATH, MED: GOOD_MED}
        if not self.bare and not at.ebgp:
            default[LOCAL_PREF] = GOOD[LOCAL_PREF]
        if not self.bare and at.family == 4:
            default[NEXT_HOP] = GOOD_VALUES[NEXT_HOP]
        if not self.bare and at.family == 6:
            default[MP_REACH] = reach(6)
        for code in self.flags:
            default.setdefault(code, GOOD_VALUES.get(code))
        wanted = {**default, **self.change}
        order = sorted(wanted, key=lambda code: (code != MP_REACH, code))
        parts = [(code, self.attribute(at, code, wanted[code])) for code in order if wanted[code] is not None]

        def extra(item):
            return (None, item(at) if callable(item) else item) if not isinstance(item, tuple) else (
                item[0], self.attribute(at, *item))
        return [extra(item) for item in self.first] + parts + [extra(item) for item in self.more]

    def octets(self, at):
        attributes = b"".join(octets for _code, octets in self.parts(at))
        withdrawn = self.withdrawn(at) if callable(self.withdrawn) else self.withdrawn
        routes = self.routes(at) if callable(self.routes) else self.routes
        if routes is None:
            routes = at.nlri(at.victim[4]) if at.family == 4 and not self.bare else b""
        body = struct.pack("!H", len(withdrawn)) + withdrawn + struct.pack("!H", len(attributes)) + attributes + routes
        return message(2, body)

    def blamed(self, at, code):
        """The octets of the last attribute with this code."""
        return [octets for each, octets in self.parts(at) if each == code][-1]


class Raw:
    """A message as it is: octets, or a function of the peer."""

    def __init__(self, octets):
        self.make = octets if callable(octets) else lambda at: octets

    def octets(self, at):
        return self.make(at)


def body(withdrawn_length, withdrawn, attributes_length, rest):
    return Raw(message(2,
                       struct.pack("!H", withdrawn_length) + withdrawn + struct.pack("!H", attributes_length) + rest))


# What must happen

class Expect(collections.namedtuple("Expect", "kind blame data gone attributes lost code says")):
    """kind: one of OK, AD, TAW, FAMILY, RESET, CLOSED.
    blame: the attribute the log names (0: none), by default the one that was changed. data: the octets it shows.
    gone: the families whose victim is gone. attributes: {code: value, None for none} that an iBGP peer sees on the victim.
    lost: the family that is ignored from now on. code: of the NOTIFICATION. says: words of the log or `last_error`."""


def expect(kind, blame=None, data=None, gone=None, attributes=None, lost=None, code=None, says=None):
    return Expect(kind, blame, data, gone, attributes or {}, lost, code, says)


def taw(blame=None, **more):
    """Treat-as-withdraw: the victim goes, all else stays."""
    return expect("TAW", blame, **more)


def discard(blame=None, **more):
    """Attribute discard: the route is there without it."""
    return expect("AD", blame, gone=(), **more)


def fine(**more):
    """Nothing is wrong with it, or nothing that anybody should care about."""
    more.setdefault("gone", ())
    return expect("OK", **more)


def family(number, blame=None, **more):
    """The family's routes go, and what comes of it later is ignored (RFC 4760 7)."""
    return expect("FAMILY", blame, lost=number, **more)


THE_ATTRIBUTE = "the attribute, whole"


def reset(code, subcode, data=None, blame=None, **more):
    """NOTIFICATION, its data if the RFC says what they are, and all routes go."""
    return expect("RESET", blame, data, code=(code, subcode), **more)


def closed(says=None):
    """The connection is closed without a word."""
    return expect("CLOSED", says=says)


Case = collections.namedtuple("Case", "row what where says expect state")


def case(row, what, where, says, expected, state="Established"):
    return [Case(row, what, Where.parse(word), says, expected, state) for word in where.split()]


def header(octets):
    return Raw(b"\xff" * 16 + octets)


def opening(version=4, as_number=None, hold=0, identifier=None, capabilities=None, parameters=None, length=None,
            body_tail=b""):
    """An OPEN; capabilities are added to those that every peer has, parameters replace them all."""
    def make(at):
        number = at.as_number if as_number is None else as_number
        options = parameters
        if options is None:
            listed = at.capabilities() + (capabilities or b"")
            options = bytes([2, len(listed)]) + listed
        start = struct.pack("!BHH", version, min(number, 23456) if number > 65535 else number, hold)
        name = at.identifier if identifier is None else identifier(at) if callable(identifier) else identifier
        return message(1, start + name + bytes([len(options) if length is None else length]) + options + body_tail)
    return Raw(make)


def four_octet(number):
    return capability(65, struct.pack("!I", number))


def extended_parameters(*parameters, total=None):
    """RFC 9072's form: parameters with lengths of 2 octets; `total` lies."""
    def make(at):
        listed = b"".join(parameters) or struct.pack("!BH", 2, len(at.capabilities())) + at.capabilities()
        start = struct.pack("!BHH", 4, at.as_number, 0) + at.identifier
        return message(1, start + b"\xff\xff" + struct.pack("!H", len(listed) if total is None else total) + listed)
    return Raw(make)


STATES = ("OpenSent", "OpenConfirm", "Established")


def in_states(row, what, where, says, expected, states=STATES):
    return [one for state in states for one in case(row, f"{what} in {state}", where, says, expected, state)]
