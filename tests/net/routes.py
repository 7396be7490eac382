"""BGP routes with all their attributes in one form: made at random, put into UPDATE messages, read from them.

The form is what every daemon's own listing is brought into (peer_*.py), so that routes can be compared wherever they are
seen. It is written from the RFCs, apart from the daemon's codec: two readings that must agree.
"""

import dataclasses
import ipaddress
import random
import struct

from speaker import (AFI, AS_PATH, LOCAL_PREF, MP_REACH, MP_UNREACH, NEXT_HOP, ORIGIN, UPDATE, attribute, message, nlri)

MED, ATOMIC_AGGREGATE, AGGREGATOR, COMMUNITIES, ORIGINATOR_ID, CLUSTER_LIST = 4, 6, 7, 8, 9, 10
EXT_COMMUNITIES, AS4_PATH, AS4_AGGREGATOR, LARGE_COMMUNITIES = 16, 17, 18, 32
AS_TRANS = 23456
OPTIONAL, TRANSITIVE, PARTIAL, EXTENDED = 0x80, 0x40, 0x20, 0x10
ROOM = 4096 - 19 - 4


@dataclasses.dataclass(frozen=True)
class Route:
    """Absent attributes are None or empty; `others` holds (code, flags, value in hex) of those without a field here."""
    prefix: str
    next_hop: str
    origin: int = 0
    as_path: tuple = ()
    med: int = None
    local_pref: int = None
    communities: tuple = ()      # "65000:1"
    ext_communities: tuple = ()  # 16 digits in hex each
    large_communities: tuple = ()
    aggregator: tuple = None     # (AS, address)
    atomic: bool = False
    originator_id: str = None
    cluster_list: tuple = ()
    others: tuple = ()
    path_id: int = 0

    def with_(self, **changes):
        return dataclasses.replace(self, **changes)

    def sorted_(self):
        """Sets of communities have no order; some daemons keep them sorted their own way."""
        return self.with_(communities=by_number(self.communities), ext_communities=tuple(sorted(self.ext_communities)),
                          large_communities=by_number(self.large_communities))

    @property
    def family(self):
        return 6 if ":" in self.prefix else 4


FIELDS = tuple(field.name for field in dataclasses.fields(Route))


def differences(wanted, found, fields=FIELDS, most=5):
    """What is wrong with `found`, a text; empty if nothing is. Both are {key: Route}; only `fields` are compared."""
    rows = [f"missing: {wanted[key]}" for key in sorted(wanted.keys() - found.keys())[:most]]
    rows += [f"too many: {found[key]}" for key in sorted(found.keys() - wanted.keys())[:most]]
    wrong = 0
    for key in wanted.keys() & found.keys():
        one, other = wanted[key].sorted_(), found[key].sorted_()
        bad = [f"{name} {getattr(other, name)!r}, not {getattr(one, name)!r}" for name in fields
               if getattr(one, name) != getattr(other, name)]
        wrong += bool(bad)
        if bad and wrong <= most:
            rows.append(f"{key}: {'; '.join(bad)}")
    if not rows:
        return ""
    count = f"{len(wanted.keys() - found.keys())} missing, {len(found.keys() - wanted.keys())} too many, {wrong} different"
    return "\n".join([f"{count} of {len(wanted)}:", *rows])


# Into messages

def narrow(number):
    """A number that a speaker of 2-octet ones can read (RFC 6793)."""
    return AS_TRANS if number > 65535 else number


def path_value(path, four_octets=True):
    """AS_SEQUENCEs of at most 255."""
    out = b""
    for start in range(0, len(path), 255):
        part = list(path[start:start + 255])
        if not four_octets:
            part = list(map(narrow, part))
        out += struct.pack(f"!BB{len(part)}{'I' if four_octets else 'H'}", 2, len(part), *part)
    return out


def packed(address):
    return ipaddress.ip_address(address).packed


def community_value(values, code):
    return b"".join(struct.pack(f"!{len(value.split(':'))}{code}", *map(int, value.split(":"))) for value in values)


def attributes_of(route, next_hops, four_octets):
    """{code: encoded attribute}, everything but MP_REACH_NLRI."""
    out = {ORIGIN: attribute(ORIGIN, bytes([route.origin])),
           AS_PATH: attribute(AS_PATH, path_value(route.as_path, four_octets))}

    def put(code, value, flags):
        out[code] = attribute(code, value, flags)

    if next_hops:
        put(NEXT_HOP, next_hops, TRANSITIVE)
    if route.med is not None:
        put(MED, struct.pack("!I", route.med), OPTIONAL)
    if route.local_pref is not None:
        put(LOCAL_PREF, struct.pack("!I", route.local_pref), TRANSITIVE)
    if route.atomic:
        put(ATOMIC_AGGREGATE, b"", TRANSITIVE)
    if route.aggregator:
        number, address = route.aggregator
        put(AGGREGATOR, (struct.pack("!I", number) if four_octets else struct.pack("!H", narrow(number))) + packed(address), OPTIONAL | TRANSITIVE)
    if route.communities:
        put(COMMUNITIES, community_value(route.communities, "H"), OPTIONAL | TRANSITIVE)
    if route.originator_id:
        put(ORIGINATOR_ID, packed(route.originator_id), OPTIONAL)
    if route.cluster_list:
        put(CLUSTER_LIST, b"".join(map(packed, route.cluster_list)), OPTIONAL)
    if route.ext_communities:
        put(EXT_COMMUNITIES, bytes.fromhex("".join(route.ext_communities)), OPTIONAL | TRANSITIVE)
    if route.large_communities:
        put(LARGE_COMMUNITIES, community_value(route.large_communities, "I"), OPTIONAL | TRANSITIVE)
    if not four_octets and any(number > 65535 for number in route.as_path):
        put(AS4_PATH, path_value(route.as_path), OPTIONAL | TRANSITIVE)
    if not four_octets and route.aggregator and route.aggregator[0] > 65535:
        put(AS4_AGGREGATOR, struct.pack("!I", route.aggregator[0]) + packed(route.aggregator[1]), OPTIONAL | TRANSITIVE)
    for code, flags, value in route.others:
        put(code, bytes.fromhex(value), flags)
    return out


def path_prefix(route, add_path):
    return (struct.pack("!I", route.path_id) if add_path else b"") + nlri(route.prefix)


def updates_of(routes, four_octets=True, add_path=False):
    """One UPDATE for each run of routes that differ in their prefix alone."""
    messages, last, room, prefixes = [], None, 0, b""

    def finish():
        if last is not None:
            messages.append(one_update(last, prefixes, four_octets))

    for route in routes:
        same = route.with_(prefix="::/0" if route.family == 6 else "0.0.0.0/0", path_id=0)
        piece = path_prefix(route, add_path)
        if same != last or len(piece) > room:
            finish()
            last, prefixes = same, b""
            room = ROOM - sum(map(len, attributes_of(route, b"", four_octets).values())) - 64
        prefixes += piece
        room -= len(piece)
    finish()
    return messages


def one_update(route, prefixes, four_octets):
    hop = b"".join(map(packed, route.next_hop.split()))
    plain = route.family == 4 and len(hop) == 4
    attributes = attributes_of(route, hop if plain else b"", four_octets)
    if not plain:
        value = struct.pack("!HBB", AFI[route.family], 1, len(hop)) + hop + b"\0" + prefixes
        attributes[MP_REACH], prefixes = attribute(MP_REACH, value, OPTIONAL), b""
    body = b"".join(attributes[code] for code in sorted(attributes))
    return message(UPDATE, struct.pack("!HH", 0, len(body)) + body + prefixes)


def withdrawals_of(routes, add_path=False):
    """UPDATEs that take these routes back."""
    messages = []
    for family in (4, 6):
        pieces = [path_prefix(route, add_path) for route in routes if route.family == family]
        for start in range(0, len(pieces), 150):
            part = b"".join(pieces[start:start + 150])
            if family == 4:
                messages.append(message(UPDATE, struct.pack("!H", len(part)) + part + b"\0\0"))
            else:
                unreach = attribute(MP_UNREACH, struct.pack("!HB", AFI[6], 1) + part, OPTIONAL)
                messages.append(message(UPDATE, struct.pack("!HH", 0, len(unreach)) + unreach))
    return messages


# From messages

def read_prefixes(data, family, add_path):
    """[(prefix, path identifier)]"""
    out, at = [], 0
    while at < len(data):
        path_id = 0
        if add_path:
            path_id, = struct.unpack_from("!I", data, at)
            at += 4
        length = data[at]
        octets = (length + 7) // 8
        address = data[at + 1:at + 1 + octets] + bytes((4 if family == 4 else 16) - octets)
        out.append((f"{ipaddress.ip_address(address)}/{length}", path_id))
        at += 1 + octets
    return out


def read_path(data, four_octets):
    out, at, width = [], 0, 4 if four_octets else 2
    while at < len(data):
        kind, count = data[at], data[at + 1]
        assert kind == 2, f"AS_PATH segment of type {kind}"
        out += struct.unpack_from(f"!{count}{'I' if four_octets else 'H'}", data, at + 2)
        at += 2 + count * width
    return tuple(out)


def read_communities(data, width, parts):
    size = width * parts
    return tuple(":".join(str(int.from_bytes(data[at + n * width:at + (n + 1) * width], "big")) for n in range(parts))
                 for at in range(0, len(data), size))


def addresses(data, width):
    return [str(ipaddress.ip_address(data[at:at + width])) for at in range(0, len(data), width)]


READERS = {
    ORIGIN: ("origin", lambda data, _four: data[0]),
    AS_PATH: ("as_path", read_path),
    NEXT_HOP: ("next_hop", lambda data, _four: addresses(data, 4)[0]),
    MED: ("med", lambda data, _four: int.from_bytes(data, "big")),
    LOCAL_PREF: ("local_pref", lambda data, _four: int.from_bytes(data, "big")),
    ATOMIC_AGGREGATE: ("atomic", lambda _data, _four: True),
    AGGREGATOR: ("aggregator", lambda data, _four: (int.from_bytes(data[:-4], "big"), addresses(data[-4:], 4)[0])),
    COMMUNITIES: ("communities", lambda data, _four: read_communities(data, 2, 2)),
    ORIGINATOR_ID: ("originator_id", lambda data, _four: addresses(data, 4)[0]),
    CLUSTER_LIST: ("cluster_list", lambda data, _four: tuple(addresses(data, 4))),
    EXT_COMMUNITIES: ("ext_communities", lambda data, _four: tuple(data[at:at + 8].hex() for at in range(0, len(data), 8))),
    LARGE_COMMUNITIES: ("large_communities", lambda data, _four: read_communities(data, 4, 3)),
}


def read_attributes(data):
    """[(code, flags, value)]"""
    out, at = [], 0
    while at < len(data):
        flags, code = data[at], data[at + 1]
        length, header = (struct.unpack_from("!H", data, at + 2)[0], 4) if flags & EXTENDED else (data[at + 2], 3)
        out.append((code, flags & ~EXTENDED, data[at + header:at + header + length]))
        at += header + length
    assert at == len(data), "attributes longer than their field"
    return out


def read_values(attributes, four_octets=True):
    """{field of Route: value}"""
    values, others = {}, []
    for code, flags, value in attributes:
        if code in READERS:
            name, reader = READERS[code]
            values[name] = reader(value, four_octets)
        else:
            others.append((code, flags, value.hex()))
    return {**values, "others": tuple(sorted(others))}


def family_of(mp_value):
    return {1: 4, 2: 6}[int.from_bytes(mp_value[:2], "big")]


def read_next_hop(data):
    return " ".join(addresses(data, 16 if len(data) > 4 else 4))


def route_of(data, prefix, path_id=0):
    """A route from its attributes as MRT files hold them: MP_REACH_NLRI is but the next hop there (RFC 6396 4.3.4), and is
    missing in BIRD's where the route is one of IPv4 and the next hop of IPv6."""
    attributes = read_attributes(data)
    values = {"next_hop": "", **read_values([one for one in attributes if one[0] != MP_REACH])}
    for code, _flags, value in attributes:
        if code == MP_REACH:
            hop = value[1:1 + value[0]] if value[0] == len(value) - 1 else value[4:4 + value[3]]
            values["next_hop"] = read_next_hop(hop)
    return Route(prefix, path_id=path_id, **values)


class Table:
    """What a session has told: {(prefix, path identifier): Route}, from the UPDATEs in their order."""

    def __init__(self, four_octets=True, add_path=()):
        self.routes, self.markers = {}, set()
        self.four_octets, self.add_path = four_octets, set(add_path)  # families with path identifiers

    def update(self, body):
        withdrawn = struct.unpack_from("!H", body)[0]
        length, = struct.unpack_from("!H", body, 2 + withdrawn)
        end = 4 + withdrawn + length
        attributes = read_attributes(body[4 + withdrawn:end])
        if len(body) == 4:
            self.markers.add(4)
        self.withdraw(body[2:2 + withdrawn], 4)
        reached, plain = [(4, body[end:], None)], []
        for code, flags, value in attributes:
            if code == MP_REACH:
                hop = value[4:4 + value[3]]
                reached.append((family_of(value), value[5 + value[3]:], read_next_hop(hop)))
            elif code == MP_UNREACH:
                self.withdraw(value[3:], family_of(value))
                if len(value) == 3 and len(attributes) == 1:
                    self.markers.add(family_of(value))
            else:
                plain.append((code, flags, value))
        values = read_values(plain, self.four_octets)
        for family, data, hop in reached:
            for prefix, path_id in read_prefixes(data, family, family in self.add_path):
                self.routes[prefix, path_id] = Route(prefix, path_id=path_id, **{**values, **({"next_hop": hop} if hop else {})})

    def withdraw(self, data, family):
        for key in read_prefixes(data, family, family in self.add_path):
            self.routes.pop(key, None)


def by_prefix(routes):
    """{prefix: Route} of routes of which no two have one prefix."""
    out = {route.prefix: route for route in routes}
    assert len(out) == len(routes), "a prefix twice"
    return out


WELL_KNOWN = {"graceful-shutdown": "65535:0", "blackhole": "65535:666", "llgr-stale": "65535:6", "no-llgr": "65535:7",
              "no-export": "65535:65281", "no-advertise": "65535:65282"}


def community(text):
    """By its number, whatever a daemon calls it."""
    return WELL_KNOWN.get(text.lower().replace("_", "-"), text)


EXT_KINDS = {"rt": 2, "ro": 3, "soo": 3}


def ext_community(kind, key, value):
    """A route target ("rt") or route origin ("ro", "soo") of AS or IPv4 address `key`, in 16 digits."""
    sub = EXT_KINDS[kind.lower()]
    if "." in key:
        return f"01{sub:02x}{packed(key).hex()}{int(value):04x}"
    if int(key) > 65535:
        return f"02{sub:02x}{int(key):08x}{int(value):04x}"
    return f"00{sub:02x}{int(key):04x}{int(value):08x}"


# At random

UNKNOWN_CODES = (199, 213, 241)


def random_ext(rng):
    """Route targets and origins of the three forms that every daemon has a name for."""
    kind, sub = rng.choice([0x00, 0x01, 0x02]), rng.choice([2, 3])
    head = {0x00: lambda: struct.pack("!HI", rng.randint(1, 65535), rng.getrandbits(32)),
            0x01: lambda: struct.pack("!IH", rng.randint(1 << 24, 223 << 24), rng.getrandbits(16)),
            0x02: lambda: struct.pack("!IH", rng.randint(65536, 1 << 31), rng.getrandbits(16))}[kind]
    return (bytes([kind, sub]) + head()).hex()


def some(rng, make, most, odds=0.5):
    """Mostly a few, sorted and without repetition; some daemons keep sets."""
    if rng.random() > odds:
        return ()
    return tuple(sorted({make() for _ in range(rng.randint(1, most))}))


def by_number(values):
    return tuple(sorted(values, key=lambda value: tuple(map(int, value.split(":")))))


def random_path(rng, ases):
    length = rng.choice([0, 1, 1, 2, 3, 5, 20]) if rng.random() < 0.97 else 300
    return tuple(rng.choice(ases) if rng.random() < 0.3 else rng.choice([rng.randint(1, 64000), rng.randint(65552, 4199999999)])
                 for _ in range(length))


def random_attributes(rng, *, internal, next_hop, first_as=None, unknown=True):
    """A Route without a prefix. internal: as within an AS (LOCAL_PREF); else first_as leads the path."""
    path = random_path(rng, (65010, 65011, 4200000001))
    others = []
    if unknown and rng.random() < 0.3:
        others.append((rng.choice(UNKNOWN_CODES), OPTIONAL | TRANSITIVE | rng.choice([0, PARTIAL]),
                       rng.randbytes(rng.choice([0, 1, 4, 60, 300])).hex()))
    return Route(
        "", next_hop, origin=rng.randint(0, 2), as_path=path if internal else (first_as, *path),
        med=rng.choice([None, 0, 1, rng.getrandbits(32)]),
        local_pref=rng.choice([0, 100, 2147482623, rng.getrandbits(32)]) if internal else None,
        communities=by_number(some(rng, lambda: f"{rng.randint(1, 65000)}:{rng.getrandbits(16)}", 12)),
        ext_communities=some(rng, lambda: random_ext(rng), 6, 0.3),
        large_communities=by_number(some(rng, lambda: ":".join(str(rng.getrandbits(32)) for _ in range(3)), 6, 0.3)),
        aggregator=(rng.choice([65020, 4200000020]), "192.0.2.1") if rng.random() < 0.2 else None,
        atomic=rng.random() < 0.2, others=tuple(others))


def random_routes(seed, number, count, *, hops, families=(4, 6), **options):
    """`count` routes of each family inside 10.NUMBER.0.0/16 and fd01:NUMBER::/32, which nobody else has. Some share all
    attributes. hops: {family: [next hops]}."""
    rng = random.Random(f"{seed} {number}")
    out = []
    for family in families:
        index = 0
        while index < count:
            same = random_attributes(rng, next_hop=rng.choice(hops[family]), **options)
            for _ in range(min(rng.choice([1, 1, 2, 7]), count - index)):
                prefix = f"10.{number}.{index // 64}.{index % 64 * 4}/30" if family == 4 else f"fd01:{number:x}:{index:x}::/48"
                out.append(same.with_(prefix=str(ipaddress.ip_network(prefix))))
                index += 1
    return out
