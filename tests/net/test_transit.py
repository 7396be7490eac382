"""Path attributes that nobody here knows, on their way through: RFC 4271 5. What is optional and transitive goes on, octet for
octet and with Partial set, to iBGP peers (by reflection) and to other ASes; what is only optional goes no further; and
attributes that leave no room for themselves take nothing else with them."""

import ipaddress
import random

import pytest

from arena import Arena
from speaker import attribute, message, nlri

OPTIONAL, TRANSITIVE, PARTIAL, EXTENDED = 0x80, 0x40, 0x20, 0x10
# Those of the registry that are no concern of a node's, from before the registry, and of nobody at all.
CODES = [0, 11, 12, 13, 19, 20, 21, 22, 23, 24, 27, 28, 29, 30, 31, 33, 34, 36, 37, 38, 39, 41, 99, 127, 128, 129, 200,
         240,
         253, 254, 255]
WHOLE_MESSAGE, WHOLE_EXTENDED = 4096, 65535
noise = random.Random(4271)


def unknown(code, value, flags=OPTIONAL | TRANSITIVE):
    return attribute(code, value, flags)


def extended(code, value, flags=OPTIONAL | TRANSITIVE):
    return bytes([flags | EXTENDED, code]) + len(value).to_bytes(2, "big") + value


# What is added to a good UPDATE, and {code: value} of what must arrive.
GOES_ON = {
    **{f"code {code}": (unknown(code, bytes([code, 1, 2])), {code: bytes([code, 1, 2])}) for code in CODES},
    "empty": (unknown(99, b""), {99: b""}),
    "255 octets": (unknown(99, bytes(range(255))), {99: bytes(range(255))}),
    "256 octets": (unknown(99, bytes(range(256))), {99: bytes(range(256))}),
    "extended length for 3 octets": (extended(99, b"abc"), {99: b"abc"}),
    "extended length for nothing": (extended(99, b""), {99: b""}),
    "Partial already": (unknown(99, b"p", OPTIONAL | TRANSITIVE | PARTIAL), {99: b"p"}),
    "all flags there are": (unknown(99, b"f", 0xef), {99: b"f"}),
    "two, descending": (unknown(200, b"two") + unknown(99, b"one"), {99: b"one", 200: b"two"}),
    "seven in disorder": (b"".join(unknown(code, bytes([code]) * code) for code in (254, 99, 128, 41, 255, 20, 200)),
                          {code: bytes([code]) * code for code in (254, 99, 128, 41, 255, 20, 200)}),
    "all at once": (b"".join(unknown(code, bytes([code])) for code in reversed(CODES)),
                    {code: bytes([code]) for code in CODES}),
    "what looks like an attribute": (unknown(99, attribute(1, b"\2") * 3), {99: attribute(1, b"\2") * 3}),
    "two of 1,500 octets": (unknown(99, bytes(1500)) + unknown(98, b"\xff" * 1500),
                            {98: b"\xff" * 1500, 99: bytes(1500)}),
    "noise of 3,000 octets": (unknown(254, found := noise.randbytes(3000)), {254: found}),
}
GOES_NOWHERE = {f"code {code}": unknown(code, b"local", OPTIONAL) for code in CODES}
GOES_NOWHERE["3,000 octets"] = unknown(99, bytes(3000), OPTIONAL)
GOES_NOWHERE["partial, though not transitive"] = unknown(99, b"x", OPTIONAL | PARTIAL)


@pytest.fixture(scope="module")
def arena():
    with Arena(2 * max(len(GOES_ON), len(GOES_NOWHERE)) + 200, kinds="ie") as arena:
        arena.start()
        arena.fresh = iter(arena.players)
        yield arena
        arena.assert_untouched()


def seen(observer, prefix):
    """{code: (flags, value)} of what an observer has of those codes nobody knows."""
    return {code: found for code, found in observer.link.routes[prefix].items() if code in CODES or code == 98}


@pytest.mark.parametrize("old", [False, True], ids=["4-octet", "2-octet"])
def test_goes_on(arena, old):
    """From iBGP and eBGP peers in turn, each in both families; and a second time, when all of them know it already."""
    staged = []
    for name, (octets, values) in GOES_ON.items():
        player = next(arena.fresh)
        player.old = old
        updates = [player.update([player.victim[family]], more=octets) for family in (4, 6)]
        staged.append((name, player, values))
        player.greet(arena.swarm, *updates, *updates, player.announce(player.bystander))
    arena.swarm.wait(lambda: all(player.bystander[6] in arena.inside.link.routes for _name, player, _values in staged),
                     "all routes")
    arena.fence()
    for name, player, values in staged:
        for family in (4, 6):
            for observer in arena.observers:
                found = seen(observer, player.victim[family])
                assert {code: value for code, (_flags, value) in found.items()} == values, (name, family)
                assert {flags & ~EXTENDED for flags,
                        _value in found.values()} == {OPTIONAL | TRANSITIVE | PARTIAL}, name
                assert not seen(observer, player.bystander[family]), name


def test_goes_nowhere(arena):
    staged = []
    for name, octets in GOES_NOWHERE.items():
        player = next(arena.fresh)
        staged.append((name, player))
        player.greet(arena.swarm, *(player.update([player.victim[family]], more=octets) for family in (4, 6)))
    arena.swarm.wait(lambda: all(player.victim[6] in arena.inside.link.routes for _name, player in staged),
                     "all routes")
    arena.fence()
    for name, player in staged:
        for observer in arena.observers:
            for family in (4, 6):
                assert not seen(observer, player.victim[family]), name
        assert not any("malformed" in line for line in arena.log_of(player)), name


def test_changed_and_gone(arena):
    """Another value is another route; and the next UPDATE without it has nothing left of it."""
    for player in (next(arena.fresh), next(arena.fresh)):
        prefix = player.victim[4]
        player.greet(arena.swarm)
        for value in (b"one", b"two", b"", b"x" * 700, None):
            player.link.say(player.update([prefix], more=unknown(254, value) if value is not None else b""))
            expected = {} if value is None else {254: value}
            for observer in arena.observers:
                arena.swarm.wait(lambda observer=observer: prefix in observer.link.routes and expected == {
                    code: found for code, (_flags, found) in seen(observer, prefix).items()}, f"{value!r} arrives")


def fits(player, family, observer, length, whole=WHOLE_MESSAGE):
    """Whether an UPDATE with one route and an unknown attribute of that length has room on the way to the observer."""
    outside = observer.ebgp
    path = 4 * (2 if player.ebgp else 1) + (4 if outside else 0) + 2
    total = 19 + 4 + 4 + (3 + path) + (4 + length)                  # header, lengths, ORIGIN, AS_PATH, the attribute
    total += 0 if outside else 7                                    # LOCAL_PREF
    total += 14 if not outside and not player.ebgp else 0           # ORIGINATOR_ID, CLUSTER_LIST
    prefix = len(nlri(player.victim[family]))
    total += 7 + prefix if family == 4 else 4 + 3 + 1 + 16 + 1 + prefix  # NEXT_HOP and NLRI, or MP_REACH_NLRI
    return total <= whole


def longest(player, family, whole=WHOLE_MESSAGE):
    """The longest unknown attribute that the player itself can send with this route."""
    return whole - len(player.update([player.victim[family]], more=unknown(99, bytes(1000)))) + 1000


def test_no_room(arena):
    """Attributes that fit when they came and no longer do: to whom they do not fit, the route is not told, and what was told
    of it before is withdrawn; everybody else has it, as all else goes on."""
    staged = []
    for spare in range(0, 36):
        for player in (next(arena.fresh), next(arena.fresh)):
            family = 4 if spare % 2 else 6
            length = longest(player, family) - spare // 2
            prefix = player.victim[family]
            large = player.update([prefix], more=unknown(99, noise.randbytes(length)))
            assert len(large) <= WHOLE_MESSAGE
            staged.append((player, family, length))
            # A plain one, then the large one, then one more route.
            player.greet(arena.swarm, player.update([prefix]), large, player.announce(player.bystander))
    arena.swarm.wait(lambda: all(player.bystander[6] in arena.inside.link.routes for player, _family,
                                 _length in staged),
                     "all routes")
    arena.fence()
    outcomes = set()
    for player, family, length in staged:
        for observer in arena.observers:
            expected = fits(player, family, observer, length)
            assert (player.victim[family] in observer.link.routes) == expected, (player.name, family,
                                                                                 observer.as_number, length)
            assert not expected or len(seen(observer, player.victim[family])[99][1]) == length
            outcomes.add((observer.as_number, player.ebgp, family, expected))
            assert all(player.bystander[each] in observer.link.routes for each in (4, 6))
        assert not player.link.over
    # Both outcomes were there wherever both are possible.
    assert len(outcomes) >= 12, outcomes
    arena.node.wait_log(r"is not announced: its attributes do not fit a message of 4096 octets")
    # The routes themselves are there, and used.
    player, family, _length = staged[0]
    rows = arena.node.show("routes", player.victim[family])["routes"]
    assert any(row["best"] for row in rows), rows
    # And back to an ordinary one.
    for player, family, _length in staged:
        player.link.say(player.update([player.victim[family]]))
    arena.swarm.wait(lambda: all(player.victim[family] in observer.link.routes and not seen(observer,
                                                                                            player.victim[family])
                                 for player, family, _length in staged for observer in arena.observers),
                     "all routes again")


def test_longest_path(arena):
    """The longest AS_PATH a message holds: as long as it fits with what is added to it, it is passed on unchanged."""
    staged = []
    for numbers in (255, 256, 510, 511, 600, 900, 990, 1000):
        for player in (next(arena.fresh), next(arena.fresh)):
            path = [player.as_number] * player.ebgp + [65100 + number % 300 for number in range(numbers - player.ebgp)]
            segments = b"".join(bytes([2, len(part)]) + b"".join(one.to_bytes(4, "big") for one in part)
                                for part in (path[at:at + 255] for at in range(0, len(path), 255)))
            body = (attribute(1, b"\0") + attribute(2, segments) +
                    attribute(3, ipaddress.ip_address(player.ip4).packed) +
                    (b"" if player.ebgp else attribute(5, bytes(4))))
            whole = message(2, b"\0\0" + len(body).to_bytes(2, "big") + body + nlri(player.victim[4]))
            assert len(whole) <= WHOLE_MESSAGE, len(whole)
            staged.append((player, segments, len(whole)))
            player.greet(arena.swarm, whole, player.announce(player.bystander))
    arena.swarm.wait(lambda: all(player.bystander[6] in arena.inside.link.routes for player, _path, _size in staged),
                     "all routes")
    arena.fence()
    for player, segments, whole in staged:
        inside, outside = (observer.link.routes.get(player.victim[4]) for observer in arena.observers)
        assert (inside is not None) == (whole + (7 if player.ebgp else 14) <= WHOLE_MESSAGE)
        assert inside is None or inside[2][1] == segments
        # A first segment of 255 is full: our AS gets one of its own.
        full = segments[1] == 255
        grown = b"\2\1" + (64512).to_bytes(4, "big") + segments if full else (
            b"\2" + bytes([segments[1] + 1]) + (64512).to_bytes(4, "big") + segments[2:])
        size_outside = whole + len(grown) - len(segments) - (0 if player.ebgp else 7)
        assert (outside is not None) == (size_outside <= WHOLE_MESSAGE), (player.name, size_outside)
        assert outside is None or outside[2][1] == grown


def test_longest_path_for_old_peers(arena):
    """A peer of 2-octet AS numbers gets large ones in AS4_PATH (RFC 6793 4.2.2): two paths, which must fit together."""
    observer, player = sorted((next(arena.fresh) for _ in range(2)), key=lambda one: one.ebgp)
    assert not observer.ebgp
    observer.old = True
    observer.greet(arena.swarm, watch=True)
    player.greet(arena.swarm)
    first = [player.as_number] if player.ebgp else []
    for numbers in (10, 250, 600, 640, 660, 700, 900):
        path = first + [70000 + number for number in range(numbers)]
        parts = [path[at:at + 255] for at in range(0, len(path), 255)]
        narrow, wide = (b"".join(bytes([2, len(part)]) + b"".join((number if width == 4 or number < 65536 else 23456)
                                                                  .to_bytes(width, "big") for number in part)
                                 for part in parts) for width in (2, 4))
        body = attribute(1, b"\0") + attribute(2, wide) + attribute(3, player.hop(4))
        body += b"" if player.ebgp else attribute(5, bytes(4))
        player.link.say(message(2, b"\0\0" + len(body).to_bytes(2, "big") + body + nlri(player.victim[4])))
        for says, there in ((player.announce(player.mark), True), (player.withdraw(player.mark), False)):
            player.link.say(says)
            arena.swarm.wait(lambda there=there: (player.mark[4] in observer.link.routes) == there, "all that came before it")
        # ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF, ORIGINATOR_ID, CLUSTER_LIST, AS4_PATH, the prefix.
        room = 19 + 4 + 4 + len(attribute(2, narrow)) + 7 + 7 + 14 + len(attribute(17,
                                                                                   wide)) + len(nlri(player.victim[4]))
        found = observer.link.routes.get(player.victim[4])
        assert (found is not None) == (room - (14 if player.ebgp else 0) <= WHOLE_MESSAGE), (numbers, room)
        assert found is None or (found[2][1], found[17][1]) == (narrow, wide)


@pytest.fixture
def wide(arena):
    """Two observers that take extended messages, inside and outside."""
    observers = sorted((next(arena.fresh) for _ in range(2)), key=lambda one: one.ebgp)
    for observer in observers:
        observer.long = True
        observer.greet(arena.swarm, watch=True)
    arena.swarm.wait(lambda: all(arena.witnessed <= set(observer.link.routes) for observer in observers), "their sessions")
    yield observers
    for observer in observers:
        observer.link.hang_up()


def test_extended_no_room(arena, wide):
    """Attributes of 65,000 octets: told to those who take them and for whom they fit, and nothing is told to the others."""
    staged = []
    for spare in range(0, 24):
        player, family = next(arena.fresh), 4 if spare % 4 < 2 else 6
        length = longest(player, family, WHOLE_EXTENDED) - spare
        large = player.update([player.victim[family]], more=unknown(99, noise.randbytes(length)))
        assert len(large) == WHOLE_EXTENDED - spare
        staged.append((player, family, length))
        player.greet(arena.swarm, player.update([player.victim[family]]), large, player.announce(player.bystander))
    seers = [*arena.observers, *wide]
    arena.swarm.wait(lambda: all(player.bystander[each] in observer.link.routes for player, _family, _length in staged
                                 for observer in seers for each in (4, 6)), "all routes")
    arena.fence()

    def settled():
        return all((player.victim[family] in observer.link.routes) == fits(player, family, observer, length, WHOLE_EXTENDED)
                   for player, family, length in staged for observer in wide)
    arena.swarm.wait(settled, "what fits is told, and nothing else")
    for player, family, length in staged:
        for observer in wide:
            found = observer.link.routes.get(player.victim[family])
            assert found is None or len(found[99][1]) == length
        assert not any(player.victim[family] in observer.link.routes for observer in arena.observers)
        assert player.link.established
    assert {fits(player, family, observer, length, WHOLE_EXTENDED) for player, family, length in staged
            for observer in wide} == {True, False}


def test_extended_path(arena, wide):
    """An AS_PATH that fills an extended message: through the RIB, to those who take it, and shown."""
    staged = []
    for numbers in (2000, 10000, 16200, 16280):
        for player in (next(arena.fresh), next(arena.fresh)):
            path = [player.as_number] * player.ebgp + [70000 + number for number in range(numbers - player.ebgp)]
            parts = [path[at:at + 255] for at in range(0, len(path), 255)]
            segments = b"".join(bytes([2, len(part)]) + b"".join(one.to_bytes(4, "big") for one in part) for part in parts)
            body = attribute(1, b"\0") + attribute(2, segments) + attribute(3, player.hop(4))
            body += b"" if player.ebgp else attribute(5, bytes(4))
            whole = message(2, b"\0\0" + len(body).to_bytes(2, "big") + body + nlri(player.victim[4]))
            assert 8000 < len(whole) <= WHOLE_EXTENDED
            staged.append((player, path, segments, len(whole)))
            player.greet(arena.swarm, whole, player.announce(player.bystander))
    inside, outside = wide
    arena.swarm.wait(lambda: all(player.bystander[6] in observer.link.routes for player, *_rest in staged for observer in wide),
                     "all routes")

    def expected(player, segments, whole):
        """The paths that those inside and outside are told."""
        grown = b"\2\1" + (64512).to_bytes(4, "big") + segments
        return (segments if whole + (7 if player.ebgp else 14) <= WHOLE_EXTENDED else None,
                grown if whole + 6 - (0 if player.ebgp else 7) <= WHOLE_EXTENDED else None)

    def told():
        return all(expected(player, segments, whole) == tuple(
            observer.link.routes.get(player.victim[4], {2: (0, None)})[2][1] for observer in (inside, outside))
            for player, _path, segments, whole in staged)
    arena.swarm.wait(told, "the paths")
    for player, path, _segments, _whole in staged:
        rows = arena.node.show("routes", player.victim[4])["routes"]
        assert [row["as_path"] for row in rows if row["from"] == player.name] == [" ".join(map(str, path))]
        assert "70000" in arena.node.calidris("explain", player.victim[4].split("/")[0])
