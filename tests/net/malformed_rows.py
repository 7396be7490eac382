"""The rows of the malformed-input table: what is said where, and what it must cause. malformed.py is the language of it."""

import struct

from malformed import (THE_ATTRIBUTE, AGGREGATOR, AIGP, AS4_AGGREGATOR, AS4_PATH, AS_PATH, ATOMIC_AGGREGATE,
                       CLUSTER_LIST, COMMUNITIES, CONFED_SEQUENCE, CONFED_SET, EXT_COMMUNITIES, FLAGS, GOOD,
                       GOOD_MED, GOOD_VALUES, IPV6_EXT_COMMUNITIES, LARGE_COMMUNITIES, LOCAL_PREF, ME, MED, MP_REACH,
                       MP_UNREACH, NAMES, NEXT_HOP, OPTIONAL, ORIGIN, ORIGINATOR_ID, OTC, PREFIX_SID, SEQUENCE, SET,
                       STATES, TRANSITIVE, Path, Raw, Update, aggregator, body, case, closed, discard, expect,
                       extended_parameters, family, fine, four_octet, header, in_states, opening, reach, reset, taw,
                       unreach)
from speaker import attribute, capability, message


def headers():
    """Rows 1 to 4."""
    yield from in_states("1", "marker not all ones", "i4", Raw(b"\xff" * 15 + b"\xfe\0\x13\4"), reset(1, 1, b""))
    yield from in_states("1", "zeros", "e4", Raw(bytes(19)), reset(1, 1, b""))
    for length in (0, 18):
        yield from in_states("2", f"length {length}", "i4", header(struct.pack("!HB", length, 2)),
                             reset(1, 2, struct.pack("!H", length)), STATES if length == 18 else STATES[2:])
    for kind, length, name in ((1, 28, "OPEN"), (2, 22, "UPDATE"), (3, 20, "NOTIFICATION"), (5, 22, "ROUTE-REFRESH"),
                               (1, 4097, "OPEN")):
        yield from case("2", f"{name} of length {length}", "e4",
                        header(struct.pack("!HB", length, kind) + bytes(length - 19)),
                        reset(1, 2, struct.pack("!H", length)), "OpenSent" if kind == 1 else "Established")
    for kind in (0, 6, 255):
        yield from in_states("3", f"message of type {kind}", "i4", header(struct.pack("!HB", 19, kind)),
                             reset(1, 3, bytes([kind])), STATES if kind == 0 else STATES[2:])
    yield from in_states("4", "KEEPALIVE of length 20", "e4", header(struct.pack("!HB", 20, 4) + b"\0"),
                         reset(1, 2, struct.pack("!H", 20)))
    yield from case("4", "KEEPALIVE of length 4096", "i4", header(struct.pack("!HB", 4096, 4) + bytes(4077)),
                    reset(1, 2, struct.pack("!H", 4096)))


def opens():
    """Rows 5 to 12."""
    def bad(row, what, where, says, expected):
        return case(row, what, where, says, expected, "OpenSent")
    for version in (0, 3, 5):
        yield from bad("5", f"version {version}", "i4 e4o", opening(version=version), reset(2, 1, b"\0\4"))
    yield from bad("6", "AS 0", "i4 e4o", opening(as_number=0), reset(2, 2))
    yield from bad("6", "another AS", "i4o e4o", opening(as_number=64999), reset(2, 2))
    yield from bad("6", "another AS in the capability", "i4 e4", opening(parameters=b"\2\6" + four_octet(70013)),
                   reset(2, 2))
    yield from bad("6", "AS 0 in the capability", "i4 e4", opening(parameters=b"\2\6" + four_octet(0)), reset(2, 2))
    yield from bad("6", "AS_TRANS without the capability", "e4o", opening(as_number=23456), reset(2, 2))
    yield from bad("7", "identifier 0", "i4 e4", opening(identifier=bytes(4)), reset(2, 3))
    yield from bad("7", "our identifier inside the AS", "i4 i4o", opening(identifier=lambda at: at.our_identifier),
                   reset(2, 3))
    yield from bad("7", "our identifier from another AS (RFC 6286)", "e4",
                   opening(identifier=lambda at: at.our_identifier),
                   fine())
    yield from bad("8", "unknown optional parameter", "i4 e4o", opening(parameters=b"\x63\2\0\0"), reset(2, 4))
    yield from bad("8", "authentication parameter", "e4", opening(parameters=b"\1\1\0"), reset(2, 4))
    yield from bad("8", "unknown parameter in the extended form", "i4", extended_parameters(b"\x63\0\2\0\0"),
                   reset(2, 4))
    for hold in (1, 2):
        yield from bad("9", f"hold time {hold}", "i4 e4", opening(hold=hold), reset(2, 6))
    yield from bad("9", "hold time 3", "e4", opening(hold=65535), fine())
    for what, says in (
            ("parameters shorter than they say", opening(parameters=b"\2\4" + capability(2, b""), length=4)),
            ("parameters longer than they say", opening(parameters=b"\2\1" + capability(2, b""))),
            ("total length too large", opening(length=200)),
            ("total length too small", opening(length=2)),
            ("octets behind the parameters", opening(body_tail=b"\0\0\0")),
            ("half a parameter header", opening(parameters=b"\2")),
            ("capability overrun", opening(parameters=b"\2\2\2\5")),
            ("capability header cut short", opening(parameters=b"\2\1\2")),
            ("last capability overrun", opening(parameters=b"\2\6" + capability(2, b"") + b"\x41\4\0\0")),
            ("extended form, parameter overrun", extended_parameters(b"\2\0\x09\2\0")),
            ("extended form, capability overrun", extended_parameters(b"\2\0\2\2\1")),
            ("extended form, total too large", extended_parameters(b"\2\0\2\2\0", total=300)),
            ("extended form, total too small", extended_parameters(b"\2\0\2\2\0", total=4)),
            ("extended form, nothing but its mark", Raw(lambda at: message(
                1, struct.pack("!BHH", 4, at.as_number, 0) + at.identifier + b"\1\xff")))):
        yield from bad("10", what, "i4 e4o", says, reset(2, 0))
    yield from bad("10", "extended form as it should be", "i4 e4", extended_parameters(), fine())
    for what, extra in (("graceful restart of 1 octet", capability(64, b"\0")),
                        ("graceful restart with half a family", capability(64, b"\0\x78\0\1\1")),
                        ("multiprotocol of 3 octets", capability(1, b"\0\1\0")),
                        ("multiprotocol of 5 octets", capability(1, b"\0\1\0\1\0")),
                        ("multiprotocol of no octet", capability(1, b"")),
                        ("long-lived graceful restart of 6 octets", capability(71, bytes(6))),
                        ("host name longer than its capability", capability(73, b"\x09ab\0")),
                        ("host name with octets behind it", capability(73, b"\2ab\0\0")),
                        ("add-path of 3 octets", capability(69, bytes(3))),
                        ("extended next hop of 5 octets", capability(5, bytes(5))),
                        ("4-octet AS of 3 octets", capability(65, bytes(3))),
                        ("route refresh with a value", capability(2, b"\0"))):
        yield from bad("11", what, "i4 e4", opening(capabilities=extra), fine())
    for what, extra in (("unknown capability", capability(200, b"\1\2\3")), ("capability 0", capability(0, b"")),
                        ("unknown capability of 100 octets", capability(239, bytes(100))),
                        ("multiprotocol twice", capability(1, b"\0\1\0\1")),
                        ("route refresh three times", capability(2, b"") * 2),
                        ("a family nobody knows", capability(1, b"\0\x19\0\x46"))):
        yield from bad("12", what, "i4 e4o", opening(capabilities=extra), fine())


def states():
    """Row 13, RFC 6608."""
    messages = {"UPDATE": Raw(message(2, bytes(4))), "KEEPALIVE": Raw(message(4)),
                "ROUTE-REFRESH": Raw(message(5, b"\0\1\0\1")),
                "OPEN": opening()}
    for name, state, subcode in (("UPDATE", "OpenSent", 1), ("KEEPALIVE", "OpenSent", 1),
                                 ("ROUTE-REFRESH", "OpenSent", 1),
                                 ("UPDATE", "OpenConfirm", 2), ("OPEN", "OpenConfirm", 2),
                                 ("ROUTE-REFRESH", "OpenConfirm", 2), ("OPEN", "Established", 3)):
        yield from case("13", f"{name} in {state}", "i4 e4o", messages[name], reset(5, subcode, b""), state)


def victim(number=4):
    return lambda at: at.nlri(at.victim[number])


def lengths():
    """Rows 14 to 16."""
    for what, says in (("withdrawn routes longer than the message", body(5, b"", 0, b"")),
                       ("by far", body(65535, b"", 0, b"")),
                       ("attributes longer than the message", body(0, b"", 1, b"")),
                       ("by far", body(0, b"", 65535, attribute(ORIGIN, b"\0"))),
                       ("no room for the attributes' length", Raw(message(2, b"\0\2\x08\x0a"))),
                       ("both together", Raw(message(2, b"\0\4\x18\x0a\0\0\0\4" + attribute(ORIGIN, b"\0")[:3])))):
        yield from case("14", what, "i4 e4o", says, reset(3, 1))
    for what, octets in (("prefix longer than 32", b"\x21\x0a\0\0\0\0"), ("of 255", b"\xff" + bytes(32)),
                         ("prefix cut short", b"\x18\x0a\1"), ("no prefix behind its length", b"\x08")):
        yield from case("15", what, "i4 e4o", Update(routes=octets), reset(3, 10))
        yield from case("15", f"good one, then {what}", "e4",
                        Update(routes=lambda at, octets=octets: victim()(at) + octets),
                        reset(3, 10))
        yield from case("15", f"withdrawn {what}", "i4 e6", Update(withdrawn=octets), reset(3, 10))
    overruns = {"overrun by one": struct.pack("!BBB", TRANSITIVE, COMMUNITIES, 5) + bytes(4),
                "overrun by far, extended": struct.pack("!BBH", TRANSITIVE | 0x10, COMMUNITIES, 65535) + bytes(4),
                "one octet left": b"\xc0", "two octets left": b"\xc0\x08", "three octets left, extended": b"\xd0\x08\0",
                "unknown attribute overrun": b"\xc0\x80\x02\0"}
    for what, octets in overruns.items():
        blame = {1: 0}.get(len(octets), octets[1] if len(octets) > 1 else 0)
        yield from case("16", what, "i4 e4o e6 i6", Update(more=[octets]), taw(blame, data=octets))
    yield from case("16", "withdrawn and announced alike go", "i4 e4",
                    Update(more=[b"\xc0"], withdrawn=lambda at: at.nlri(at.extra[4])),
                    taw(0, data=b"\xc0", gone=(4, "extra")))
    yield from case("16", "MP_REACH overrun", "i4 e4", Update(more=[b"\x80\x0e\x30\0\2\1\x10"]),
                    reset(3, 9, b"\x80\x0e\x30\0\2\1\x10", MP_REACH))
    yield from case("16", "MP_UNREACH overrun", "i4 e6", Update(more=[b"\x80\x0f\x30\0\2\1"]),
                    reset(3, 9, b"\x80\x0f\x30\0\2\1", MP_UNREACH))
    yield from case("16", "attributes of zero length in front, then an overrun", "e4",
                    Update(first=[attribute(ATOMIC_AGGREGATE, b"")], more=[b"\xc0\x08\x05\0"]),
                    taw(COMMUNITIES, data=b"\xc0\x08\x05\0"))


def flags_and_copies():
    """Rows 17 to 20."""
    for code in NAMES:
        if code in (MP_REACH, MP_UNREACH):
            continue
        for flip in (0x40, 0x80, 0xc0):
            if FLAGS[code] ^ flip == 0 and flip != 0xc0:
                continue
            wrong = FLAGS[code] ^ flip
            reaction = discard() if code == AIGP else taw()
            where = "i4" if flip == 0x40 else "e4x" if flip == 0x80 else "i6" if code != NEXT_HOP else "e4o"
            yield from case("17", f"{NAMES[code]} with flags {wrong:02x}", where, Update(flags={code: wrong}), reaction)
    yield from case("17", "unused flags are ignored", "i4 e4 i6",
                    Update(flags={ORIGIN: 0x4f & ~0x10, MED: 0x8f & ~0x10}), fine())
    yield from case("17", "Partial on a well-known one", "i4 e4", Update(flags={ORIGIN: 0x60}), fine())

    for code, second in ((ORIGIN, b"\2"), (MED, struct.pack("!I", 9)), (MED, b"\0"),
                         (NEXT_HOP, bytes([172, 18, 0, 99])),
                         (AS_PATH, b""), (AS_PATH, b"\x09"), (COMMUNITIES, b"")):
        where = "i4 e4o" if code == NEXT_HOP else "i4 e6"
        first = {COMMUNITIES: GOOD[COMMUNITIES]} if code == COMMUNITIES else {}
        yield from case("18", f"{NAMES[code]} twice, the second {second.hex() or 'empty'}", where,
                        Update(first, more=[(code, second)]),
                        discard(code, attributes={MED: GOOD_MED, ORIGIN: b"\0", **first}))
    yield from case("18", "the first one malformed", "i4 e6", Update({MED: b"\0"}, more=[(MED, GOOD_MED)]),
                    taw(MED, data=attribute(MED, b"\0", OPTIONAL)))
    yield from case("18", "unknown attribute twice", "i4 e4", Update(more=[(128, b"first"), (128, b"second")]),
                    discard(128, attributes={128: b"first"}))
    yield from case("19", "MP_REACH twice", "i6 e6o", Update(more=[(MP_REACH, reach(6))]), reset(3, 1))
    yield from case("19", "MP_REACH twice, of two families", "i6", Update(more=[(MP_REACH, reach(4))]), reset(3, 1))
    yield from case("19", "MP_UNREACH twice", "i4 e6",
                    Update(more=[(MP_UNREACH, unreach(6)), (MP_UNREACH, unreach(6))]),
                    reset(3, 1))
    yield from case("19", "MP_UNREACH twice, families nobody knows", "e4",
                    Update(more=[(MP_UNREACH, b"\0\x19\x46"), (MP_UNREACH, b"\0\x19\x46")]), reset(3, 1))

    for code, where in ((ORIGIN, "i4 e4o i6 e6"), (AS_PATH, "i4 e4o i6 e6"), (NEXT_HOP, "i4 e4o"),
                        (LOCAL_PREF, "i4 i6 i4o")):
        yield from case("20", f"no {NAMES[code]}", where, Update({code: None}), taw(code, data=bytes([code])))
    yield from case("20", "no attribute at all", "i4 e4", Update(bare=True, routes=victim()), taw(ORIGIN, data=b"\1"))
    yield from case("20", "MP_REACH's next hop is not the NLRI field's", "i6 e6", Update(routes=victim()),
                    taw(NEXT_HOP, data=b"\3", gone=(4, 6)))
    yield from case("20", "NEXT_HOP beside MP_REACH is of no concern", "i6 e6", Update({NEXT_HOP: bytes([0, 0, 0, 0])}),
                    fine())
    yield from case("20", "no LOCAL_PREF from another AS", "e4 e6", Update(),
                    fine(attributes={LOCAL_PREF: struct.pack("!I", 100)}))


def well_known():
    """Rows 21 to 25."""
    everywhere = "i4 e4x i6x e6 i4o e4p i6p"
    for value in (b"", b"\0\0", bytes(300), b"\3", b"\xff"):
        yield from case("21", f"ORIGIN {value[:4].hex() or 'empty'}{'...' * (len(value) > 4)}", everywhere,
                        Update({ORIGIN: value}),
                        taw())
    for what, path in (("segment type 0", Path((0, ME, 65100))), ("segment type 5", Path((5, ME, 65100))),
                       ("segment type 255", Path((SEQUENCE, ME, 65100), (255, 65100))),
                       ("segment of zero length", Path((SEQUENCE, ME, 65100), (SEQUENCE,))),
                       ("segment of zero length first", Path((SEQUENCE,), (SEQUENCE, ME, 65100))),
                       ("segment overrun by one", Path((SEQUENCE, ME, 65100), (SEQUENCE, 65101), count=2)),
                       ("segment overrun by far", Path((SEQUENCE, ME, 65100), count=255)),
                       ("half a segment header", Path((SEQUENCE, ME, 65100), tail=b"\2")),
                       ("an octet too many", Path((SEQUENCE, ME, 65100), tail=b"\0"))):
        yield from case("22", what, "i4 e4x e6 i4o", Update({AS_PATH: path}), taw())
    yield from case("22", "numbers of the other width", "i4 e4",
                    Update({AS_PATH: Path((SEQUENCE, ME, 65100, 65101), width=2)}), taw())
    yield from case("22", "numbers of 4 octets from an old peer", "i4o e4o",
                    Update({AS_PATH: Path((SEQUENCE, ME, 65100, 65101), width=4)}), taw())
    yield from case("22", "AS_CONFED_SEQUENCE from another AS", "e4 e6o",
                    Update({AS_PATH: Path((CONFED_SEQUENCE, ME), (SEQUENCE, 65100))}),
                    taw())
    yield from case("22", "the first AS is not the peer's", "e4 e6x e4o",
                    Update({AS_PATH: Path((SEQUENCE, 65100, ME))}),
                    taw(data=False))
    yield from case("22", "empty path from another AS", "e4 e6", Update({AS_PATH: b""}), taw(data=False))
    yield from case("22", "empty path inside the AS", "i4 i6x i4o", Update({AS_PATH: b""}),
                    fine(attributes={AS_PATH: b""}))
    yield from case("23", "AS 0", "i4 e4x i6 e4o", Update({AS_PATH: Path((SEQUENCE, ME, 65100, 0))}), taw())
    yield from case("23", "AS 0 in a second segment", "e6",
                    Update({AS_PATH: Path((SEQUENCE, ME), (SEQUENCE, 0, 65100))}), taw())
    yield from case("23", "AS 0 in AS4_PATH", "i4o e4o", Update({AS4_PATH: Path((SEQUENCE, 0), width=4)}),
                    discard(attributes={AS4_PATH: None}))
    yield from case("23", "AS 0 in AS4_AGGREGATOR", "i4o e6o",
                    Update({AGGREGATOR: aggregator(23456), AS4_AGGREGATOR: bytes(4) + bytes([10, 0, 0, 1])}),
                    discard(AS4_AGGREGATOR, attributes={AS4_AGGREGATOR: None,
                                                        AGGREGATOR: struct.pack("!I", 23456) + bytes([10, 0, 0, 1])}))
    for kind, name in ((SET, "AS_SET"), (CONFED_SET, "AS_CONFED_SET")):
        yield from case("24", name, "i4 e4x i6 e4o",
                        Update({AS_PATH: Path((SEQUENCE, ME, 65100), (kind, 65101, 65102))}), taw())
        yield from case("24", f"{name} alone", "i4 e6", Update({AS_PATH: Path((kind, ME, 65101))}), taw())
        yield from case("24", f"{name} in AS4_PATH", "i4o e4o e6o", Update({AS4_PATH: Path((kind, 70013), width=4)}),
                        taw())
    for value in (b"", bytes(3), bytes([10, 0, 0, 1, 0]), bytes(16)):
        yield from case("25", f"NEXT_HOP of length {len(value)}", "i4 e4x i4o", Update({NEXT_HOP: value}), taw())
    for address in ((0, 0, 0, 0), (127, 0, 0, 1), (224, 0, 0, 5), (255, 255, 255, 255), (0, 1, 2, 3)):
        yield from case("25", "NEXT_HOP " + ".".join(map(str, address)), "i4 e4", Update({NEXT_HOP: bytes(address)}),
                        taw(data=False))
    for text, octets in (("::", bytes(16)), ("::1", bytes(15) + b"\1"), ("ff02::1", b"\xff\2" + bytes(13) + b"\1")):
        yield from case("25", f"next hop {text}", "i6 e6", Update({MP_REACH: reach(6, octets)}), taw())
    yield from case("25", "our own address", "i4 e4", Update({NEXT_HOP: lambda at: at.our_hop(4)}),
                    expect("OK", gone=(4,)))
    yield from case("25", "our own address", "i6 e6", Update({MP_REACH: lambda at: reach(6, at.our_hop(6))(at)}),
                    expect("OK", gone=(6,)))


def by_length(row, code, good, bad, where, reaction):
    """Values of wrong lengths; `good` is cut or continued."""
    for length in bad:
        value = (good * (length // len(good) + 1))[:length]
        yield from case(row, f"{NAMES[code]} of length {length}", where, Update({code: value}), reaction)


def optional():
    """Rows 26 to 38."""
    gone = lambda code: {code: None}  # noqa: E731 (a word in the table below)
    yield from by_length("26", MED, GOOD[MED], (0, 3, 5, 260), "i4 e4x i6 e6o", taw())
    yield from by_length("27", LOCAL_PREF, GOOD[LOCAL_PREF], (0, 3, 5), "i4 i6x i4o", taw())
    default = {LOCAL_PREF: struct.pack("!I", 100)}
    yield from by_length("27", LOCAL_PREF, GOOD[LOCAL_PREF], (0, 3, 4, 5), "e4 e6x e4o", discard(attributes=default))
    yield from by_length("28", ATOMIC_AGGREGATE, b"\0", (1, 4, 256), "i4 e4x i6",
                         discard(attributes=gone(ATOMIC_AGGREGATE)))
    yield from by_length("29", AGGREGATOR, bytes.fromhex("0000fde90a000001"), (0, 6, 7, 9), "i4 e4x i6",
                         discard(attributes=gone(AGGREGATOR)))
    yield from by_length("29", AGGREGATOR, bytes.fromhex("fde90a000001fde9"), (0, 5, 8), "i4o e4o",
                         discard(attributes=gone(AGGREGATOR)))
    yield from case("29", "AGGREGATOR with AS 0", "i4 e4x i6 e4o", Update({AGGREGATOR: aggregator(0)}),
                    discard(attributes=gone(AGGREGATOR)))
    yield from by_length("30", COMMUNITIES, GOOD[COMMUNITIES], (0, 1, 5, 259), "i4 e4x i6 e6o", taw())
    yield from by_length("31", ORIGINATOR_ID, GOOD[ORIGINATOR_ID], (0, 3, 5), "i4 i6x", taw())
    yield from by_length("31", ORIGINATOR_ID, GOOD[ORIGINATOR_ID], (0, 4, 5), "e4 e6x",
                         discard(attributes=gone(ORIGINATOR_ID)))
    yield from by_length("32", CLUSTER_LIST, GOOD[CLUSTER_LIST], (0, 3, 6), "i4 i6x", taw())
    yield from by_length("32", CLUSTER_LIST, GOOD[CLUSTER_LIST], (0, 4, 6), "e4 e6x",
                         discard(attributes=gone(CLUSTER_LIST)))
    yield from by_length("33", EXT_COMMUNITIES, GOOD[EXT_COMMUNITIES], (0, 7, 9, 260), "i4 e4x i6 e6o", taw())
    yield from by_length("34", IPV6_EXT_COMMUNITIES, GOOD[IPV6_EXT_COMMUNITIES], (0, 16, 21), "i4 e4x i6", taw())
    yield from by_length("35", LARGE_COMMUNITIES, GOOD[LARGE_COMMUNITIES], (0, 8, 13), "i4 e4x i6 e6o", taw())
    for what, value, where in (("from an AS4 peer", GOOD_VALUES[AS4_PATH], "i4 e4 i6"),
                               ("with a set from an AS4 peer", Path((SET, 70013), width=4), "i4 e4x"),
                               ("empty", b"", "i4o e4o"),
                               ("of length 7", Path((SEQUENCE, 70013), width=4, tail=b"\0"), "i4o e4o"),
                               ("of a segment type nobody knows", Path((9, 70013), width=4), "i4o e6o"),
                               ("with an overrun", Path((SEQUENCE, 70013), width=4, count=2), "i4o e4o"),
                               ("with an empty segment", Path((SEQUENCE,), (SEQUENCE, 70013), width=4), "i4o e4o")):
        yield from case("36", f"AS4_PATH {what}", where, Update({AS4_PATH: value}),
                        discard(attributes={AS4_PATH: None}))
        yield from case("36", f"AS4_PATH {what}, before AS_PATH", where.split()[0],
                        Update(first=[(AS4_PATH, value)]), discard(AS4_PATH, attributes={AS4_PATH: None}))
    yield from case("36", "AS4_AGGREGATOR from an AS4 peer", "i4 e4 i6", Update({AS4_AGGREGATOR: GOOD[AS4_AGGREGATOR]}),
                    discard(attributes={AS4_AGGREGATOR: None, AGGREGATOR: None}))
    yield from by_length("36", AS4_AGGREGATOR, GOOD[AS4_AGGREGATOR], (0, 6, 9), "i4o e4o",
                         discard(attributes=gone(AS4_AGGREGATOR)))
    yield from by_length("37", OTC, GOOD[OTC], (0, 3, 5), "i4 e4x i6 e6o", taw())
    for what, code, value in (("TLV of length 10", AIGP, "01000a00000000000010"), ("TLV overrun", AIGP, "02000500"),
                              ("TLV of length 2", AIGP, "020002"), ("empty", AIGP, ""), ("of one octet", AIGP, "01"),
                              ("label index of length 6", PREFIX_SID, "010006000000000001"),
                              ("SRGB of length 7", PREFIX_SID, "03000700000000000001"),
                              ("SRGB of length 9", PREFIX_SID, "030009000000000000000001"),
                              ("TLV overrun", PREFIX_SID, "05000200"), ("empty", PREFIX_SID, "")):
        yield from case("38", f"{NAMES[code]}: {what}", "i4 e4x i6", Update({code: bytes.fromhex(value)}),
                        discard(attributes=gone(code)))
    for code in (AIGP, PREFIX_SID):
        yield from case("38", f"{NAMES[code]} from another AS", "e4 e6", Update({code: GOOD[code]}),
                        discard(attributes=gone(code)))
        yield from case("38", f"{NAMES[code]} inside the AS", "i4 i6", Update({code: GOOD[code]}),
                        fine(attributes={code: GOOD[code]}))


def multiprotocol():
    """Rows 39 to 41."""
    for length in (0, 1, 2):
        yield from case("39", f"MP_REACH of length {length}", "i4 e4o", Update({MP_REACH: bytes(length)}),
                        reset(3, 9, THE_ATTRIBUTE))
        yield from case("40", f"MP_UNREACH of length {length}", "i4 e6", Update({MP_UNREACH: bytes(length)}),
                        reset(3, 9, THE_ATTRIBUTE))
    hop = bytes.fromhex("fd000018000000000000000000000099")
    broken = {
        "of length 4": bytes.fromhex("00020100"),
        "without the reserved octet": b"\0\2\1\x10" + hop,
        "next hop longer than the attribute": reach(6, length=255),
        "next hop of 4 octets": reach(6, hop[:4]), "of 0 octets": reach(6, b""), "of 15": reach(6, hop[:15]),
        "of 17": reach(6, hop + b"\0"), "of 24": reach(6, hop + bytes(8)), "of 33": reach(6, hop * 2 + b"\0"),
        "prefix longer than 128": reach(6, prefixes=b"\x81" + bytes(17)),
        "of 255": reach(6, prefixes=b"\xff" + bytes(32)),
        "prefix cut short": reach(6, tail=b"\x40\xfd"), "nothing behind its length": reach(6, tail=b"\x08"),
    }
    for what, value in broken.items():
        yield from case("39", f"MP_REACH {what}", "i6 e6o e6p", Update({MP_REACH: value}), family(6))
        yield from case("39", f"MP_REACH {what}, beside IPv4 routes", "i4x", Update({MP_REACH: value}),
                        family(6, attributes={MED: GOOD_MED}))
    for what, value in (("prefix longer than 32", reach(4, prefixes=b"\x21\x0a\0\0\0\0")),
                        ("next hop of 5 octets", reach(4, bytes(5))),
                        ("IPv6 next hop that was not negotiated", reach(4, hop)),
                        ("prefix cut short", reach(4, tail=b"\x18\x0a"))):
        yield from case("39", f"IPv4 in MP_REACH: {what}", "i6 e6", Update({MP_REACH: value}), family(4))
    for wrong in (0x40, 0xc0, 0x00):
        yield from case("39", f"MP_REACH with flags {wrong:02x}", "i6 e6x", Update(flags={MP_REACH: wrong}), family(6))
        yield from case("40", f"MP_UNREACH with flags {wrong:02x}", "i4 e4x",
                        Update({MP_UNREACH: unreach(6)}, flags={MP_UNREACH: wrong}),
                        family(6, attributes={MED: GOOD_MED}))
    for what, value in (("prefix longer than 128", unreach(6, b"\x81" + bytes(17))),
                        ("prefix cut short", unreach(6, tail=b"\x40\xfd"))):
        yield from case("40", f"MP_UNREACH alone: {what}", "i4 e4o", Update({MP_UNREACH: value}, bare=True), family(6))
        yield from case("40", f"MP_UNREACH beside IPv4 routes: {what}", "i4 e4o", Update({MP_UNREACH: value}),
                        family(6, attributes={MED: GOOD_MED}))
    yield from case("40", "MP_UNREACH of IPv4, cut short", "i6 e6", Update({MP_UNREACH: unreach(4, b"\x18\x0a")}),
                    family(4, attributes={MED: GOOD_MED}))
    yield from case("39", "a family that was not negotiated", "i4 e6",
                    Update(more=[(MP_UNREACH, b"\0\1\x80" + bytes(9))]),
                    discard(MP_UNREACH))

    bad_origin = {ORIGIN: b"\3"}
    nothing = "nothing announced"
    yield from case("41", f"bad ORIGIN, {nothing}", "i4 e4o", Update(bad_origin, bare=True), reset(3, 6, THE_ATTRIBUTE))
    yield from case("41", "bad ORIGIN, only withdrawn", "i4 e4o", Update(bad_origin, bare=True, withdrawn=victim()),
                    reset(3, 6, THE_ATTRIBUTE))
    yield from case("41", "bad ORIGIN beside MP_UNREACH", "i6 e6x",
                    Update({**bad_origin, MP_UNREACH: unreach(6)}, bare=True),
                    reset(3, 6, THE_ATTRIBUTE, ORIGIN))
    yield from case("41", "bad ORIGIN beside an MP_REACH without routes", "i6 e6",
                    Update({**bad_origin, MP_REACH: reach(6, prefixes=b"")}), reset(3, 6, THE_ATTRIBUTE, ORIGIN))
    yield from case("41", f"wrong length, {nothing}", "i4x", Update({MED: b"\0"}, bare=True),
                    reset(3, 5, THE_ATTRIBUTE))
    yield from case("41", f"wrong flags, {nothing}", "e4", Update({MED: GOOD_MED}, flags={MED: 0xc0}, bare=True),
                    reset(3, 4, THE_ATTRIBUTE))
    yield from case("41", f"bad path, {nothing}", "e4", Update({AS_PATH: Path((9, ME))}, bare=True), reset(3, 11))
    yield from case("41", f"overrun, {nothing}", "i4 e4", Update(more=[b"\x40\1\5\0"], bare=True), reset(3, 1))
    yield from case("41", "an octet too many, only withdrawn", "i4 e4",
                    Update(more=[b"\x40"], bare=True, withdrawn=victim()), reset(3, 1))
    yield from case("41", "broken MP_UNREACH with others", "i4 e4",
                    Update({MP_UNREACH: unreach(6, b"\x40\xfd"), ORIGIN: b"\0"}, bare=True),
                    reset(3, 9, THE_ATTRIBUTE, MP_UNREACH))
    yield from case("41", "attribute discard is no reason", "i4 e4",
                    Update({ATOMIC_AGGREGATE: b"\0"}, bare=True, withdrawn=victim()), expect("AD", gone=(4,)))
    yield from case("41", "nothing wrong, nothing announced", "i4 e4",
                    Update(bare=True, more=[attribute(ORIGIN, b"\0")]),
                    fine(attributes={MED: None}))


def hops():
    """Row 39 with RFC 8950 3: IPv4 routes whose next hop is of IPv6."""
    def told(hop):
        return Update({NEXT_HOP: None, MP_REACH: reach(4, hop)}, routes=b"")
    hop = bytes.fromhex("fd000018000000000000000000000099")
    link_local = b"\xfe\x80" + bytes(13) + b"\7"
    yield from case("39", "IPv4 over an IPv6 next hop", "i4h e4h i4ho", told(hop), fine())
    yield from case("39", "IPv4 over a global and a link-local next hop", "i4h e4hx", told(hop + link_local), fine())
    yield from case("39", "IPv4 over an IPv4 next hop in MP_REACH", "i4h i4 e4", told(bytes([172, 18, 0, 99])), fine())
    for size in (0, 1, 5, 12, 15, 17, 24, 31, 33, 48):
        yield from case("39", f"IPv4 over a next hop of {size} octets", "i4h e4hx", told((hop * 3)[:size]), family(4))
    for text, octets in (("::", bytes(16)), ("::1", bytes(15) + b"\1"), ("ff02::1", b"\xff\2" + bytes(13) + b"\1")):
        yield from case("25", f"IPv4 over the next hop {text}", "i4h e4h", told(octets), taw(MP_REACH))
    yield from case("20", "the NLRI field's next hop is NEXT_HOP, not MP_REACH's", "i4h e4h",
                    Update({NEXT_HOP: None, MP_REACH: reach(4, hop, prefixes=b"")}), taw(NEXT_HOP, data=b"\3"))


def paths():
    """RFC 7911 3: prefixes with path identifiers. The good ones are of path 7."""
    where, six = "i4p e4p", "i6p e6p"
    for what, octets in (("cut short", bytes(3)), ("with nothing behind it", bytes(4)),
                         ("and no prefix", bytes(4) + b"\x18"),
                         ("and a prefix longer than 32", bytes(4) + b"\x21\x0a\0\0\0\0")):
        yield from case("15", f"path identifier {what}", where, Update(routes=octets), reset(3, 10))
        yield from case("15", f"good one, then a path identifier {what}", where,
                        Update(routes=lambda at, octets=octets: victim()(at) + octets), reset(3, 10))
        yield from case("15", f"withdrawn, path identifier {what}", where, Update(withdrawn=octets), reset(3, 10))
    for what, octets in (("cut short", bytes(3)), ("with nothing behind it", bytes(4)),
                         ("and a prefix longer than 128", bytes(4) + b"\x81" + bytes(17))):
        yield from case("39", f"MP_REACH, path identifier {what}", six, Update({MP_REACH: reach(6, tail=octets)}),
                        family(6))
        yield from case("40", f"MP_UNREACH, path identifier {what}", where, Update({MP_UNREACH: unreach(6, octets)}),
                        family(6, attributes={MED: GOOD_MED}))
    yield from case("18", "another path is withdrawn", where, Update(bare=True, withdrawn=other_path(4)),
                    fine(attributes={MED: None}))
    yield from case("18", "another path is withdrawn", six,
                    Update({MP_UNREACH: lambda at: unreach(6, other_path(6)(at))(at)},
                                                                   bare=True), fine(attributes={MED: None}))
    yield from case("21", "bad ORIGIN of another path", where, Update({ORIGIN: b"\7"}, routes=other_path(4)),
                    taw(gone=()))
    yield from case("21", "bad ORIGIN of both paths", where,
                    Update({ORIGIN: b"\7"}, routes=lambda at: other_path(4)(at) + victim()(at)), taw())
    yield from case("18", "the same path twice", where, Update(routes=lambda at: victim()(at) * 2), fine())


def other_path(number):
    return lambda at: at.nlri(at.victim[number], 8)


def unknown():
    """Rows 42, 43; more in test_transit.py."""
    for code in (0, 99, 128, 254, 255):
        yield from case("42", f"unknown well-known attribute {code}", "i4 e6x",
                        Update(more=[attribute(code, b"\7", 0x40)]),
                        reset(3, 2, attribute(code, b"\7", 0x40), code or None))
        yield from case("43", f"unknown transitive attribute {code}", "i4 e6",
                        Update(more=[attribute(code, b"\7\7", 0xc0)]),
                        fine(attributes={code: b"\7\7"}))
        yield from case("43", f"unknown attribute {code} that is not transitive", "i4 e4",
                        Update(more=[attribute(code, b"\7\7", 0x80)]),
                        fine(attributes={code: None}))


def refreshes():
    """Row 44: RFC 2918, RFC 7313 5."""
    yield from case("44", "of an unknown family", "i4 e4o", Raw(message(5, b"\0\x19\0\x46")),
                    fine(attributes={MED: None}))
    yield from case("44", "of an unknown subtype", "i4 e4", Raw(message(5, b"\0\1\x09\1")),
                    fine(attributes={MED: None}))
    yield from case("44", "of an unknown subtype, longer", "i4", Raw(message(5, b"\0\1\x09\1\0\0")),
                    fine(attributes={MED: None}))
    yield from case("44", "with filters nobody negotiated", "i4 e4", Raw(message(5, b"\0\1\0\1\1\x80\0\2\0\0")),
                    reset(1, 2, b"\0\x1d"))
    for subtype in (1, 2):
        whole = message(5, b"\0\1" + bytes([subtype]) + b"\1\0")
        yield from case("44", f"subtype {subtype} with a body of 5", "i4 e4", Raw(whole), reset(7, 1, whole))
        yield from case("44", f"subtype {subtype} of an unknown family, body of 5", "i4",
                        Raw(message(5, b"\0\x19" + bytes([subtype]) + b"\x46\0")),
                        reset(7, 1, message(5, b"\0\x19" + bytes([subtype]) + b"\x46\0")))
    yield from case("44", "end of a refresh that never began", "i4 e4", Raw(message(5, b"\0\1\2\1")),
                    fine(attributes={MED: None}))


def notifications():
    """Row 45: RFC 9003 2, RFC 8538 3."""
    for what, octets in (("text longer than the message", b"\6\2\xffbye"), ("text length 0", b"\6\2\0"),
                         ("no text at all", b"\6\2"),
                         ("octets behind the text", b"\6\4\3byebye"),
                         ("text that is not UTF-8", b"\6\2\4\xff\xfe\xc0\x80"),
                         ("text with controls", b"\6\2\x09a\nb\0c\x1b[2J"),
                         ("text of 255 octets", b"\6\2\xff" + b"z" * 255),
                         ("half a character at the end", b"\6\2\4abc\xe2"),
                         ("a Hard Reset with nothing inside", b"\6\x09"),
                         ("a Hard Reset with half a NOTIFICATION", b"\6\x09\6"),
                         ("a Hard Reset of a Hard Reset", b"\6\x09\6\x09\6\2\3bye"),
                         ("an unknown code", b"\xc8\xc8data"), ("code 0", b"\0\0"),
                         ("4,000 octets of data", b"\6\2" + bytes(4000))):
        yield from case("45", what, "i4 e4", Raw(message(3, octets)), closed(says="received"))
    yield from in_states("45", "text longer than the message", "i4", Raw(message(3, b"\6\2\xffbye")),
                         closed(says="received"), STATES[:2])


def markers():
    """Row 46."""
    junk = attribute(200, b"junk", 0xc0)
    unchanged = fine(attributes={MED: None})
    yield from case("46", "junk alone", "i4 e4", Update(more=[junk], bare=True), unchanged)
    yield from case("46", "an empty MP_UNREACH with junk", "i4 e6",
                    Update({MP_UNREACH: b"\0\2\1"}, more=[junk], bare=True), unchanged)
    yield from case("46", "an empty MP_REACH", "i6 e6", Update({MP_REACH: reach(6, prefixes=b"")}), unchanged)
    yield from case("46", "an empty MP_REACH and an empty MP_UNREACH", "i6",
                    Update({MP_REACH: reach(6, prefixes=b""), MP_UNREACH: b"\0\2\1"}), unchanged)
    yield from case("46", "the marker of an unknown family", "i4 e4", Update({MP_UNREACH: b"\0\x19\x46"}, bare=True),
                    expect("AD", MP_UNREACH, gone=(), attributes={MED: None}))
    yield from case("46", "a marker with a known error", "e4", Update({ORIGIN: b"\0\0"}, bare=True),
                    reset(3, 5, THE_ATTRIBUTE))


def together():
    """Several errors in one UPDATE: the strongest reaction counts, in whatever order."""
    weak, strong = {ATOMIC_AGGREGATE: b"\0"}, {COMMUNITIES: b"\1"}
    yield from case("all", "discard and withdraw", "i4 e4x i6 e6o", Update({**weak, **strong}), taw(COMMUNITIES))
    yield from case("all", "withdraw and discard", "i4 e6", Update(strong, more=[(ATOMIC_AGGREGATE, b"\0")]),
                    taw(COMMUNITIES))
    yield from case("all", "discard, withdraw and reset", "i4 e4x i6 e6o",
                    Update({**weak, **strong}, more=[attribute(99, b"\7", 0x40)]),
                    reset(3, 2, attribute(99, b"\7", 0x40), 99))
    yield from case("all", "reset, withdraw and discard", "i4 e6",
                    Update({**weak, **strong}, first=[attribute(99, b"\7", 0x40)]),
                    reset(3, 2, attribute(99, b"\7", 0x40), 99))
    yield from case("all", "withdraw in the attributes, reset in the routes", "i4 e4",
                    Update(strong, routes=b"\x21\x0a\0\0\0\0"),
                    reset(3, 10, b"\x21\x0a\0\0\0\0", 0))
    yield from case("all", "family and withdraw: both", "i4 e4", Update({**strong, MP_REACH: reach(6, bytes(5))}),
                    family(6, MP_REACH, gone=(4, 6)))
    yield from case("all", "a good family beside a withdrawn one: both go", "i6 e6",
                    Update({**strong, NEXT_HOP: GOOD_VALUES[NEXT_HOP]}, routes=victim()), taw(COMMUNITIES, gone=(4, 6)))


CASES = [one for part in (headers, opens, states, lengths, flags_and_copies, well_known, optional, multiprotocol, hops,
                          paths, unknown, refreshes, notifications, markers, together) for one in part()]
