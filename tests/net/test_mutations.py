"""Samples of every message, cut short at every octet and changed at random, over live sessions. What the daemon must do with
a message cut short is known exactly; of one that was changed, that it is judged somehow: by a NOTIFICATION that is one, or
by going on. Whatever comes in, what goes out to others is well-formed, and in the end nothing is left of it.

CALIDRIS_SEED: another seed; CALIDRIS_SECONDS: how long the random part takes."""

import os
import random
import struct
import time

import pytest

from arena import Arena
from malformed import FLAGS, GOOD
from speaker import KEEPALIVE, attribute, capability, message, nlri

TAKES = 40  # s: it begins early

SEED, SECONDS = int(os.environ.get("CALIDRIS_SEED", 7606)), float(os.environ.get("CALIDRIS_SECONDS", 12))
PLAYERS = 1000
HEADER = 19
ALL_CAPABILITIES = b"".join((
    capability(5, bytes.fromhex("000100010002")), capability(6), capability(64, bytes.fromhex("80010001018000020180")),
    capability(69, bytes.fromhex("0001010100020103")), capability(70),
    capability(71, bytes.fromhex("0001010000000100020180000001")), capability(73, b"\6player\7example"), capability(200, b"xyz")))


def openings(player):
    """An OPEN with every capability, one in RFC 9072's form, and one without any."""
    def body(options):
        return struct.pack("!BHH", 4, player.as_number, 0) + player.identifier + options
    capabilities = player.capabilities() + ALL_CAPABILITIES
    return {"OPEN": body(bytes([len(capabilities) + 2, 2, len(capabilities)]) + capabilities),
            "extended OPEN": body(struct.pack("!BBHBH", 255, 255, len(capabilities) + 3, 2, len(capabilities)) + capabilities),
            "plain OPEN": body(b"\0")}


def updates(player):
    """UPDATEs with every attribute, of both families, and the smallest ones."""
    path = [player.as_number] * player.ebgp + [65100, 65101]
    wide = b"".join(number.to_bytes(2 if player.old else 4, "big") for number in path)
    listed = attribute(1, b"\0") + attribute(2, bytes([2, len(path)]) + wide)
    listed += attribute(4, bytes(4), 0x80) + (b"" if player.ebgp else attribute(5, b"\0\0\0\xc8"))
    listed += b"".join(attribute(code, value, FLAGS[code]) for code, value in GOOD.items() if code not in (1, 4, 5))
    listed += attribute(99, b"nobody knows", 0xc0) + attribute(98, b"nor wants", 0x80)
    four = listed + attribute(3, player.hop(4))
    gone = nlri(player.extra[4]) + nlri(player.mark[4])
    routes = nlri(player.victim[4]) + nlri(player.bystander[4]) + b"\0"
    reach = attribute(14, b"\0\2\1\x20" + player.hop(6) + b"\xfe\x80" + bytes(13) + b"\7\0" + nlri(player.victim[6]) +
                      nlri(player.bystander[6]), 0x80)
    unreach = attribute(15, b"\0\2\1" + nlri(player.extra[6]) + nlri(player.mark[6]), 0x80)
    six = reach + listed + unreach

    def body(withdrawn, attributes, prefixes):
        return (len(withdrawn).to_bytes(2, "big") + withdrawn + len(attributes).to_bytes(2, "big") + attributes + prefixes)
    return {"UPDATE": body(gone, four, routes), "IPv6 UPDATE": body(b"", six, b""), "mixed UPDATE": body(gone, six + attribute(
        3, player.hop(4)), routes), "withdrawal": body(gone, b"", b""), "End-of-RIB": bytes(4),
            "IPv6 End-of-RIB": body(b"", attribute(15, b"\0\2\1", 0x80), b"")}


OTHERS = {
    "ROUTE-REFRESH": (5, b"\0\1\0\1"), "BoRR": (5, b"\0\2\1\1"), "EoRR": (5, b"\0\2\2\1"),
    "NOTIFICATION with a text": (3, b"\6\2\x0bback at nine"), "Hard Reset": (3, b"\6\x09\6\2\3bye"),
    "OPEN error with data": (3, b"\2\7\1\4\0\2\0\1"),
}


def samples(player):
    """[(name, type, body)]"""
    return [*((name, 1, body) for name, body in openings(player).items()),
            *((name, 2, body) for name, body in updates(player).items()),
            *((name, kind, body) for name, (kind, body) in OTHERS.items())]


LENGTHS = {1: 1, 3: 4, 4: 4, 5: 4, 6: 0, 7: 8, 9: 4, 35: 4}
UNITS = {8: 4, 10: 4, 16: 8, 25: 20, 32: 12}


def judge_of(observer):
    """Whether what is told to an observer is as the RFCs want it; it speaks 4-octet AS numbers."""
    def judge(attributes):
        for code, (flags, value) in attributes.items():
            wrong = (code in FLAGS and flags & 0xc0 != FLAGS[code]) or len(value) != LENGTHS.get(code, len(value)) or (
                code in UNITS and (not value or len(value) % UNITS[code])) or code in (17, 18) or (
                code not in FLAGS and flags & 0xe0 != 0xe0)
            assert not wrong, f"attribute {code}: {flags:02x} {value.hex()}"
        assert {1, 2} <= set(attributes) and ({3, 14} & set(attributes)), attributes
        inside = {5, 9, 10, 26, 40} & set(attributes)
        assert (5 in inside) if not observer.ebgp or observer.as_number == 64512 else not inside, attributes
        path = attributes[2][1]
        while path:
            kind, count = path[0], path[1]
            numbers = struct.unpack_from(f"!{count}I", path, 2)
            assert kind in ((2, 3) if observer.as_number == 64512 else (2,)) and count and 0 not in numbers, attributes[2]
            path = path[2 + 4 * count:]
    return judge


@pytest.fixture(scope="module")
def arena():
    with Arena(PLAYERS) as arena:
        arena.start()
        for observer in arena.observers:
            observer.link.judge = judge_of(observer)
        arena.resident = arena.node.resident()
        yield arena
        arena.swarm.wait(lambda: set(arena.inside.link.routes) == arena.witnessed, "no route is left")
        arena.fence()
        arena.assert_untouched()


class Trial:
    """One session that says one thing behind what must come before it."""

    def __init__(self, what, kind, cut, expected, shut=False):
        self.what, self.kind, self.cut, self.expected, self.shut = what, kind, cut, expected, shut

    def begin(self, arena, player):
        self.player = player
        player.link = arena.swarm.dial(player.ip4)
        preface = b"" if self.kind == 1 else player.open() + message(KEEPALIVE)
        if self.shut:
            player.link.say(preface, self.cut)
            player.link.half_close_when_said()
        else:
            player.link.say(preface, self.cut, message(KEEPALIVE), player.update([player.mark[4]]))

    def decided(self, arena):
        return self.player.link.over or self.player.mark[4] in arena.inside.link.routes

    def outcome(self):
        link = self.player.link
        return link.notification[:2] if link.notification else "closed" if link.over else "alive"


def prefixes_end(body, withdrawn, attributes):
    """Where a prefix behind the attributes of an UPDATE ends."""
    at = 4 + withdrawn + attributes
    yield at
    while at < len(body):
        at += 1 + (body[at] + 7) // 8
        yield at


def expected_of_cut(kind, body, length):
    """What a body cut to this length must cause."""
    if length < {1: 10, 2: 4, 3: 2, 5: 4}[kind]:
        return 1, 2
    if kind == 1:
        return 2, 0
    if kind == 2:
        withdrawn, = struct.unpack_from("!H", body)
        attributes, = struct.unpack_from("!H", body, 2 + withdrawn)
        if length < 4 + withdrawn + attributes:
            return 3, 1
        return "alive" if length in prefixes_end(body, withdrawn, attributes) else (3, 10)
    return "closed" if kind == 3 else "alive"


def plan(player):
    """[(sample, its type, length, way)]: every sample at every octet, with the header's length as it then is, with the length
    of the whole and then the end, and with the length of the whole and other messages behind it."""
    for name, kind, body in samples(player):
        for length in range(len(body)):
            if kind == 2 or not player.old:
                yield name, kind, length, "alone"
            if player.ebgp and not player.old:
                yield name, kind, length, "then the end"
            elif kind == 2 and length % 3 == 0:
                yield name, kind, length, "then more"


def trial(player, name, kind, length, way):
    body = next(body for each, _kind, body in samples(player) if each == name)
    what, cut = f"{name} cut to {length} of {len(body)}, {way}", message(kind, body)[:HEADER + length]
    if way == "alone":
        return Trial(what, kind, message(kind, body[:length]), expected_of_cut(kind, body, length))
    if way == "then the end":
        return Trial(what, kind, cut, "closed", shut=True)
    return Trial(what, kind, cut + message(KEEPALIVE) * 40, None)


class Waves:
    """Two halves of the players take turns: who has ended its session by an error is not heard for a second."""

    def __init__(self, arena):
        half = len(arena.players) // 2
        self.arena, self.halves, self.ended = arena, [arena.players[:half], arena.players[half:]], [0, 0]

    def next(self):
        self.arena.swarm.wait(lambda: time.monotonic() > self.ended[0] + 1.2, "the second is over")
        return self.halves[0]

    def over(self):
        for player in self.halves[0]:
            if player.link and not player.link.over:
                player.link.hang_up()
        self.halves.reverse()
        self.ended = [self.ended[1], time.monotonic()]


def test_cut_short(arena):
    problems, count, waves = [], 0, Waves(arena)
    for old in (False, True):
        todo = {}
        for player in arena.players[:2]:
            player.old = old
            todo[player.ebgp] = list(plan(player))
        while any(todo.values()):
            trials = []
            for player in waves.next():
                player.old = old
                if todo[player.ebgp]:
                    trials.append(trial(player, *todo[player.ebgp].pop()))
                    trials[-1].begin(arena, player)
            arena.swarm.wait(lambda trials=trials: all(each.decided(arena) for each in trials), lambda trials=trials: str(
                [each.what for each in trials if not each.decided(arena)][:10]))
            problems += [f"{each.what}: {each.outcome()}, not {each.expected}" for each in trials
                         if each.expected is not None and each.outcome() != each.expected]
            count += len(trials)
            waves.over()
    assert not problems, f"{len(problems)} of {count}:\n" + "\n".join(problems[:20])
    assert count > 4000, count


# Random changes

def changed(noise, octets):
    """A few octets replaced, inserted, deleted, doubled, moved, at random."""
    octets = bytearray(octets)
    for _ in range(noise.choice((1, 1, 1, 2, 3, 8))):
        at = noise.randrange(len(octets) + 1)
        how = noise.randrange(7)
        if how == 0 and octets:
            octets[at % len(octets)] = noise.choice((0, 1, 0x7f, 0x80, 0xff, noise.randrange(256)))
        elif how == 1 and octets:
            octets[at % len(octets)] ^= 1 << noise.randrange(8)
        elif how == 2:
            octets[at:at] = noise.randbytes(noise.choice((1, 1, 2, 4, 40)))
        elif how == 3:
            del octets[at:at + noise.choice((1, 1, 2, 4, 40))]
        elif how == 4:
            octets[at:at] = octets[at:at + noise.choice((1, 3, 7, 30))]
        elif how == 5 and octets:
            octets[at % len(octets)] = (octets[at % len(octets)] + noise.choice((-1, 1, 16))) % 256
        else:
            other = noise.randrange(len(octets) + 1)
            octets[at:at + 4] = octets[other:other + noise.choice((1, 4, 12))]
    return bytes(octets[:4000])


def whole(noise, kind, body):
    """A changed message; its header's length is right, mostly."""
    if noise.random() < 0.05:
        return changed(noise, message(kind, body))
    return message(kind, changed(noise, body))


def talk(noise, player):
    """Changed OPENs, or a good one and changed messages of all kinds behind it."""
    known = samples(player)
    if noise.random() < 0.25:
        _name, kind, body = known[noise.randrange(3)]
        return [whole(noise, kind, body)]
    said = [player.open(more=ALL_CAPABILITIES if noise.random() < 0.5 else b"") + message(KEEPALIVE)]
    for _ in range(noise.choice((1, 5, 30))):
        _name, kind, body = noise.choice(known[3:9] if noise.random() < 0.9 else known[9:])
        said.append(whole(noise, kind, body))
    return said


def test_changed(arena):
    """Many thousands of changed messages, most of them UPDATEs on sessions that have come up, OPENs on others."""
    noise, count, ended, waves = random.Random(SEED), 0, {}, Waves(arena)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        wave = waves.next()
        for player in wave:
            player.old = noise.random() < 0.3
            player.link = arena.swarm.dial(player.ip4)
            said = talk(noise, player)
            count += len(said)
            # Whatever is half a message by now becomes a whole one by this, or is none.
            player.link.say(*said, message(KEEPALIVE) * 230)
            player.link.half_close_when_said()
        arena.swarm.wait(lambda wave=wave: all(player.link.over for player in wave), "all are over")
        for player in wave:
            code = player.link.notification and player.link.notification[:2]
            ended[code] = ended.get(code, 0) + 1
        waves.over()
    # Errors of all kinds were found; and no code that is none for what was said.
    assert {code and code[0] for code in ended} <= {None, 1, 2, 3, 5, 7, 6}, ended
    assert len(ended) > 10 and count > 1000 * SECONDS / 4, (count, ended)
    arena.fence()
    assert arena.node.resident() < arena.resident + 8192, (arena.resident, arena.node.resident())
