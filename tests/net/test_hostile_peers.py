"""Peers that mean no good, or are badly broken: pieces and floods, stalls and resets in every state, connections in numbers,
two at once. Whatever they do, their own session comes to the state it should, the others notice nothing, and memory and
descriptors stay bounded."""

import contextlib
import os
import random
import struct
import time
from pathlib import Path

import pytest

from arena import Arena
from netns import wait_for
from objects import bgp_peer
from speaker import KEEPALIVE, attribute, capability, end_of_rib, message, nlri

SHORT, LONG = 1, 600  # s, restart times: one that is soon over, and one that no test sees the end of
CEASE, COLLISION = 6, 7
PATIENCE = 40  # s, for what takes some milliseconds; the machine may have other things to do


@pytest.fixture(scope="module")
def everybody():
    with Arena(120, config={"bgp": {"idle_hold_time": 1, "idle_hold_max": 1, "send_hold_time": 3}}) as arena:
        arena.start()
        arena.fresh = iter(arena.players)
        yield arena


@pytest.fixture
def arena(everybody):
    """The daemon that all tests share: afterwards nobody has suffered, and what the test opened is closed again."""
    before = descriptors(everybody)
    yield everybody
    for link in everybody.swarm.links:
        if link not in [player.link for player in (*everybody.observers, *everybody.witnesses)] and not link.over:
            link.hang_up()
    everybody.swarm.wait(lambda: not set(everybody.inside.link.routes) - everybody.witnessed, "its routes are gone")
    everybody.swarm.wait(lambda: descriptors(everybody) <= before, lambda: f"descriptors: {descriptors(everybody)}")
    everybody.fence()
    everybody.assert_untouched()


def descriptors(arena):
    """How many the daemon has, without those of the thread that writes routes, which it starts when there is much to write."""
    pid = arena.node.process.pid
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    pairs = {line.split()[6] for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:] if line.split()[4] == "0005"}
    return len([name for name in found if name.removeprefix("socket:[").removesuffix("]") not in pairs])


def state(arena, player):
    return arena.peers()[player.name]["state"]


def wait_state(arena, player, *wanted):
    arena.swarm.wait(lambda: state(arena, player) in wanted,
                     lambda: f"{player.name} {wanted}, not {state(arena, player)}")


def wait_routes(arena, *players, which="bystander", there=True):
    arena.swarm.wait(lambda: all((getattr(player, which)[family] in observer.link.routes) == there for player in players
                                 for family in (4, 6) for observer in arena.observers),
                     f"routes of {len(players)} players {'there' if there else 'gone'}")


def wait_up(arena, *players):
    """Their routes may be heard of before they have heard the KEEPALIVE that makes their sessions."""
    arena.swarm.wait(lambda: all(player.link.established or player.link.over for player in players), "the sessions")
    gone = [(player.name, player.link.end, player.link.notification) for player in players if player.link.over]
    assert not gone, gone


# Pieces and amounts

def test_octet_by_octet(arena):
    """A write of one octet after the other, OPEN and everything else, on several sessions at once."""
    players = [next(arena.fresh) for _ in range(6)]
    for number, player in enumerate(players):
        player.greet(arena.swarm, player.announce(player.bystander), message(5, b"\0\1\0\1"))
        player.link.piece = (1, 1, 2, 3, 18, 20)[number]
    wait_routes(arena, *players)
    arena.swarm.wait(lambda: all(not player.link.outbox for player in players), "all is said")
    wait_up(arena, *players)


def test_a_thousand_at_once(arena):
    """The handshake and thousands of messages in one write; what is said last counts."""
    player = next(arena.fresh)
    storm = b"".join(player.update([player.victim[4]], more=attribute(4, struct.pack("!I", number), 0x80)) +
                     message(KEEPALIVE)
                     for number in range(5000))
    player.greet(arena.swarm, storm, player.announce(player.bystander))
    wait_routes(arena, player)
    arena.fence()
    assert arena.inside.link.routes[player.victim[4]][4][1] == struct.pack("!I", 4999)
    # The newest state wins: others are not told all of it.
    assert arena.inside.link.changes[player.victim[4]] < 2500


def test_messages_across_reads(arena):
    """A stream cut at places of all kinds, in the middle of headers too."""
    player, noise = next(arena.fresh), random.Random(7)
    stream = b"".join(player.update([player.prefix(number % 4, 4)]) + player.update([player.prefix(number % 4, 6)])
                      for number in range(3000))
    player.greet(arena.swarm)
    while stream:
        size = noise.choice((1, 5, 17, 18, 19, 20, 100, 4096, 65536, 70000))
        player.link.say(stream[:size])
        stream = stream[size:]
        while player.link.outbox:
            arena.swarm.turn()
    wait_routes(arena, player, which="mark")
    wait_up(arena, player)


def test_nothing_to_route_to(arena):
    """Prefixes that no route leads to, loopback and multicast and the like: ignored, and not what stands beside them."""
    player = next(arena.fresh)
    none = ["127.0.0.0/8", "127.0.0.53/32", "224.0.0.0/4", "255.255.255.255/32", "0.1.0.0/16", "fe80::/10", "ff02::/16",
            "::1/128"]
    player.greet(arena.swarm, *(player.update([prefix, player.victim[6 if ":" in prefix else 4]]) for prefix in none),
                 player.announce(player.bystander))
    wait_routes(arena, player)
    wait_routes(arena, player, which="victim")
    assert not {row["prefix"] for row in arena.node.show("routes", "all")["routes"]} & set(none)
    wait_up(arena, player)
    arena.node.wait_log(rf"{player.name}: announces \S+, which is nothing to route to: ignored")


def test_trickle(arena):
    """Octets that come, but no message: the hold timer is for messages (RFC 4271 6.5)."""
    player = next(arena.fresh)
    player.greet(arena.swarm, player.announce(player.bystander), hold=3)
    wait_routes(arena, player)
    start, whole = time.monotonic(), message(2, bytes(4) + bytes(1000))
    for octet in whole:
        player.link.say(bytes([octet]))
        arena.swarm.turn(0.05)
        pause = time.monotonic() + 0.1
        while time.monotonic() < pause and not player.link.over:
            arena.swarm.turn(0.05)
        if player.link.over:
            break
    assert player.link.notification == (4, 0, b""), player.link.notification
    assert time.monotonic() - start > 2
    wait_routes(arena, player, there=False)


# Floods

def round_trip(arena):
    """How long it takes a witness to be heard of by the observers, in seconds."""
    start = time.monotonic()
    arena.fence()
    return time.monotonic() - start


def churn(player, noise, rounds):
    """Announcements and withdrawals of a player's routes in any order."""
    said = []
    for _ in range(rounds):
        family, number = noise.choice((4, 6)), noise.randrange(8)
        prefix = player.prefix(number, family)
        med = attribute(4, struct.pack("!I", noise.randrange(2**32)), 0x80)
        said.append(withdrawal(prefix) if noise.random() < 0.4 else player.update([prefix], more=med))
    return b"".join(said)


def withdrawal(prefix):
    if ":" not in prefix:
        gone = nlri(prefix)
        return message(2, struct.pack("!H", len(gone)) + gone + b"\0\0")
    gone = attribute(15, b"\0\2\1" + nlri(prefix), 0x80)
    return message(2, b"\0\0" + struct.pack("!H", len(gone)) + gone)


def final(player, said):
    """{prefix: MED} that is left of a churn."""
    left, at = {}, 0
    while at < len(said):
        length, = struct.unpack_from("!H", said, at + 16)
        watcher = type(player.link)(None, None, None, True)
        watcher.routes = left
        watcher.learn(said[at + 19:at + length])
        at += length
    return {prefix: attributes[4][1] for prefix, attributes in left.items()}


def test_flood(arena):
    """Peers that announce and withdraw as fast as they can, for seconds: others are served meanwhile, and what they see at
    the end is the last word on each prefix."""
    players, noise = [next(arena.fresh) for _ in range(4)], random.Random(17)
    for player in players:
        player.greet(arena.swarm)
    arena.swarm.wait(lambda: all(player.link.established for player in players), "the sessions")
    storms = {player: churn(player, noise, 4000) for player in players}
    resident, slowest, deadline = [], 0, time.monotonic() + 4
    while time.monotonic() < deadline:
        for player in players:
            if len(player.link.outbox) < 200000:
                player.link.say(storms[player])
        slowest = max(slowest, round_trip(arena))
        resident.append(arena.node.resident())
    assert slowest < PATIENCE, f"{slowest} s to be heard of among floods"
    assert max(resident) < resident[0] + 4096, resident
    for player in players:
        player.link.say(player.announce(player.bystander), churn(player, noise, 50))
    arena.swarm.wait(lambda: not any(player.link.outbox for player in players), "the floods are over")
    last = {player: churn(player, noise, 400) for player in players}
    for player in players:
        # A clean beginning, so that the model knows all that is there.
        player.link.say(*(withdrawal(player.prefix(number, family)) for number in range(8) for family in (4, 6)),
                        last[player])
    expected = {prefix: med for player in players for prefix, med in final(player, last[player]).items()}

    def told():
        found = {prefix: attributes[4][1] for prefix, attributes in arena.inside.link.routes.items()
                 if prefix not in arena.witnessed}
        return found == expected
    arena.swarm.wait(told, "the observer sees what is left")
    assert all(player.link.established for player in players)


def test_refreshes_in_numbers(arena):
    """Thousands of ROUTE-REFRESHes in one write are no thousands of tables."""
    player, source = next(arena.fresh), next(arena.fresh)
    source.greet(arena.swarm,
                 *(source.update([source.prefix(number, family)]) for number in range(8) for family in (4, 6)))
    player.greet(arena.swarm)
    arena.swarm.wait(lambda: player.link.updates > 0 and len(arena.inside.link.routes) >= 16, "the table")
    before, resident = player.link.updates, arena.node.resident()
    player.link.say(message(5, b"\0\1\0\1") * 10000, message(5, b"\0\2\0\1") * 10000, player.announce(player.bystander))
    wait_routes(arena, player)
    assert round_trip(arena) < PATIENCE
    assert player.link.updates > before
    assert player.link.updates - before < 20000 * 16 / 4, player.link.updates - before
    assert arena.node.resident() < resident + 2048


# Stalls

def test_deaf(arena):
    """A peer that stops reading while it gets a table: what waits for it is bounded, the others are served, and when it has
    taken nothing for the send hold time its session ends (RFC 9687), whatever it says itself."""
    source, noise = next(arena.fresh), random.Random(3)
    deaf = [next(arena.fresh) for _ in range(20)]
    source.greet(arena.swarm)
    many = [f"10.{200 + high}.{middle}.{low}/32" for high in range(2) for middle in range(100) for low in range(100)]

    def table():
        # Each with attributes of its own, so that they do not share UPDATEs.
        return b"".join(source.update(many[at:at + 5], more=attribute(8, noise.randbytes(8), 0xc0))
                        for at in range(0, len(many), 5))
    for player in deaf:
        player.greet(arena.swarm, player.announce(player.bystander), receive_buffer=4096)
    wait_routes(arena, *deaf)
    before = arena.node.resident()
    for player in deaf:
        player.link.listen(False)
    source.link.say(table())
    arena.swarm.wait(lambda: many[-1] in arena.inside.link.routes and many[-1] in arena.outside.link.routes,
                     "the table")
    full, start = arena.node.resident(), time.monotonic()
    source.link.say(table(), table(), table())
    arena.swarm.wait(lambda: not source.link.outbox, "the source is heard")
    assert round_trip(arena) < PATIENCE
    # They keep their sessions alive as if nothing were the matter.
    for player in deaf:
        player.link.say(message(KEEPALIVE))
    assert arena.node.resident() - full < 3072, (before, full, arena.node.resident())
    arena.swarm.wait(lambda: all(state(arena, player) != "Established" for player in deaf), "their sessions end", 25)
    assert time.monotonic() - start > 1.5
    for player in deaf:
        assert "send hold timer expired" in arena.peers()[player.name]["last_error"]
        assert any("send hold timer expired" in line for line in arena.log_of(player))
        player.link.listen(True)
    wait_routes(arena, *deaf, there=False)
    # What they find in the socket is whole messages and then the end.
    arena.swarm.wait(lambda: all(player.link.over for player in deaf), "they see the end")
    # And they may come back.
    for player in deaf:
        player.greet(arena.swarm, player.announce(player.bystander))
    wait_routes(arena, *deaf)


def test_slow_reader(arena):
    """A peer that reads now and then stays, and in the end has what everybody has."""
    source, slow = next(arena.fresh), next(arena.fresh)
    noise = random.Random(5)
    source.greet(arena.swarm)
    slow.greet(arena.swarm, watch=True, receive_buffer=4096)
    arena.swarm.wait(lambda: slow.link.established, "the session")
    slow.link.listen(False)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        source.link.say(churn(source, noise, 2000))
        arena.swarm.wait(lambda: not source.link.outbox, "the churn is said")
        slow.link.listen(True)
        arena.swarm.turn(0.1)
        slow.link.listen(False)
        arena.swarm.turn(0.3)
    slow.link.listen(True)
    source.link.say(source.announce(source.bystander))
    wait_routes(arena, source)
    arena.fence()
    arena.swarm.wait(lambda: set(slow.link.routes) == set(arena.inside.link.routes),
                     lambda: f"not the same: {set(slow.link.routes) ^ set(arena.inside.link.routes)}")
    assert slow.link.established and arena.peers()[slow.name]["state"] == "Established"


# Ends in every state

def say_nothing(_player):
    return b""


STAGES = {
    "nothing said": (say_nothing, "OpenSent"),
    "half a header": (lambda player: player.open()[:7], "OpenSent"),
    "half an OPEN": (lambda player: player.open()[:40], "OpenSent"),
    "OPEN": (lambda player: player.open(more=player.more), "OpenConfirm"),
    "OPEN and half a KEEPALIVE": (lambda player: player.open(more=player.more) + message(KEEPALIVE)[:18],
                                  "OpenConfirm"),
    "Established": (lambda player: player.open(more=player.more) + message(KEEPALIVE) +
                    player.announce(player.bystander),
                    "Established"),
    "Established, half an UPDATE": (lambda player: player.open(more=player.more) + message(KEEPALIVE) +
                                    player.announce(player.bystander) + player.announce(player.victim)[:30],
                                    "Established"),
    "Established, end of RIB": (lambda player: player.open(more=player.more) + message(KEEPALIVE) + end_of_rib(4) +
                                end_of_rib(6) + player.announce(player.bystander), "Established"),
}
ENDS = {"RST": lambda link: link.reset(), "FIN": lambda link: link.hang_up(),
        "half-close": lambda link: link.half_close()}


@pytest.mark.parametrize("graceful", [False, True], ids=["plain", "graceful-restart"])
@pytest.mark.parametrize("end", ENDS)
def test_ends(arena, end, graceful):
    """Each way to end a connection in each state: the session is down, its routes are gone (with graceful restart, when its
    time is over), and it can come back at once."""
    staged = []
    for what, (says, reached) in STAGES.items():
        player = next(arena.fresh) if not arena.players[-len(staged) - 1].link else arena.players[-len(staged) - 1]
        player.restart = (LONG if "half" in what else SHORT) if graceful else 0
        player.more = capability(64, struct.pack("!HHBBHBB", player.restart, 1, 1, 0x80, 2, 1, 0x80)) if graceful else b""
        player.link = arena.swarm.dial(player.ip4)
        player.link.say(says(player))
        staged.append((what, player, reached))
    arena.swarm.wait(lambda: all(player.link.opening for _what, player, _reached in staged), "their OPENs")
    for what, player, reached in staged:
        wait_state(arena, player, reached)
    up = [player for _what, player, reached in staged if reached == "Established"]
    kept = [player for player in up if player.restart == LONG]
    wait_routes(arena, *up)
    start = time.monotonic()
    for _what, player, _reached in staged:
        ENDS[end](player.link)
    arena.swarm.wait(lambda: all(state(arena, player) not in ("OpenSent", "OpenConfirm", "Established")
                                 for _what, player, _reached in staged), "the sessions are down")
    wait_routes(arena, *(player for player in up if player not in kept), there=False)
    if graceful:
        assert time.monotonic() - start >= SHORT
        arena.fence()
        assert kept and all(player.bystander[4] in arena.inside.link.routes for player in kept)
        assert all(stale(arena, player) == [True] for player in kept)
    for _what, player, _reached in staged:
        if end == "half-close":
            arena.swarm.wait(lambda player=player: player.link.over, "the daemon closes its half, too")
        player.greet(arena.swarm, player.announce(player.bystander))
    wait_up(arena, *(player for _what, player, _reached in staged))
    arena.swarm.wait(lambda: all(stale(arena, player) == [False] for player in kept), "what was kept is new")
    wait_routes(arena, *(player for _what, player, _reached in staged))
    assert not any(player.link.over for _what, player, _reached in staged)


def stale(arena, player):
    return [row["stale"] for row in arena.node.show("routes", player.bystander[4])["routes"]]


# Connections in numbers

def test_silent_connections(arena):
    """500 connections of a peer that say nothing: one is kept, and its session may still come up; so with 500 of strangers."""
    player = next(arena.fresh)
    resident, before = arena.node.resident(), descriptors(arena)
    links = [arena.swarm.dial(player.ip4) for _ in range(500)]
    arena.swarm.wait(lambda: all(link.connected or link.over for link in links), "500 connections")
    arena.swarm.wait(lambda: sum(not link.over for link in links) <= 1, "all but one are closed")
    assert all(link.notification is None or link.notification[:2] == (CEASE, COLLISION) for link in links)
    assert arena.node.resident() < resident + 1024
    arena.swarm.wait(lambda: descriptors(arena) <= before + 3, lambda: f"{descriptors(arena)} descriptors")
    assert round_trip(arena) < PATIENCE
    player.greet(arena.swarm, player.announce(player.bystander))
    wait_routes(arena, player)


def test_strangers(arena):
    """Connections and OPENs of somebody who is no peer: closed without a word, whatever he says."""
    arena.host.ip("addr add 172.18.250.1/16 dev eth0", "addr add fd00:18::dead/64 dev eth0 nodad")
    player = next(arena.fresh)
    resident, lines = arena.node.resident(), len(arena.node.log_text().splitlines())
    links = []
    for number in range(500):
        link = arena.swarm.dial("172.18.250.1" if number % 2 else "fd00:18::dead")
        link.say([b"", player.open() + message(KEEPALIVE), b"GET / HTTP/1.0\r\n\r\n", os.urandom(3000)][number % 4])
        links.append(link)
    arena.swarm.wait(lambda: all(link.over for link in links),
                     lambda: f"closed: {sum(link.over for link in links)} of 500")
    assert not any(link.opening or link.keepalives or link.notification for link in links)
    assert arena.node.resident() < resident + 512
    assert len([line for line in arena.node.log_text().splitlines()[lines:] if "172.18.250.1" in line or "dead" in line]) < 20
    assert round_trip(arena) < PATIENCE


def test_half_of_everything(arena):
    """From many peers at once: connections that stop somewhere in their OPEN. Others come up beside them."""
    stuck, good = [arena.players[number] for number in range(0, 40)], [arena.players[number] for number in range(40,
                                                                                                                 60)]
    for number, player in enumerate(stuck):
        player.link = arena.swarm.dial(player.ip4)
        player.link.say(player.open()[:number])
    for player in good:
        player.greet(arena.swarm, player.announce(player.bystander))
    wait_routes(arena, *good)
    assert {state(arena, player) for player in stuck} == {"OpenSent"}
    # They go on where they stopped.
    for number, player in enumerate(stuck):
        player.link.say(player.open()[number:], message(KEEPALIVE), player.announce(player.bystander))
    wait_routes(arena, *stuck)


def test_reconnects_without_end(arena):
    """A peer that comes up and goes, again and again, as fast as it can: no routes stay, and nothing grows."""
    player = next(arena.fresh)
    sizes = []
    for number in range(60):
        player.greet(arena.swarm, player.announce(player.bystander))
        arena.swarm.wait(lambda: player.link.established or player.link.over, "up or refused")
        [player.link.reset, player.link.hang_up][number % 2]()
        sizes.append(arena.node.resident())
    wait_routes(arena, player, there=False)
    assert sizes[-1] < sizes[20] + 512, sizes
    arena.swarm.wait(lambda: try_again(arena, player), "it comes up once more")
    wait_routes(arena, player)


def try_again(arena, player):
    """A dial that is refused for a while after an error is done again."""
    if player.link.over:
        player.greet(arena.swarm, player.announce(player.bystander))
    return player.link.established


def test_crowd_of_a_range(arena):
    """Dynamic neighbours that say nothing, nonsense, a little, and go: of whoever is not up nothing stays, the limit holds,
    and the others are served."""
    count = 150
    addresses = [f"172.18.{200 + number // 200}.{1 + number % 200}" for number in range(count)]
    arena.host.ip(*(f"addr add {address}/16 dev eth0" for address in addresses))
    thing = bgp_peer("crowd", node="node-1", peerRange="172.18.200.0/22", peerLimit=100)
    arena.cluster.write(thing)
    wait_for(lambda: arena.node.show("dynamic")["ranges"], "the range")
    noise, resident, before = random.Random(9), arena.node.resident(), descriptors(arena)

    def opening(address, as_number=65009):
        identifier = bytes(int(part) for part in address.split("."))
        return message(1, struct.pack("!BHH", 4, as_number, 0) + identifier + b"\0")
    sayings = (lambda address: b"", lambda address: opening(address)[:noise.randrange(1, 29)], lambda address: os.urandom(40),
               lambda address: opening(address, 0), lambda address: opening(address) + message(KEEPALIVE) + message(9),
               lambda address: opening(address) + message(KEEPALIVE), lambda address: opening(address) + message(2, b"\xff" * 9))
    for _round in range(12):
        links = []
        for address in noise.sample(addresses, count):
            link = arena.swarm.dial(address)
            link.say(noise.choice(sayings)(address))
            links.append(link)
        arena.swarm.wait(lambda links=links: all(link.connected or link.over for link in links), "all have dialled")
        assert round_trip(arena) < PATIENCE
        assert len(arena.node.show("peers")["peers"]) <= 2 * (len(arena.players) + 4) + 100
        for link in links:
            noise.choice((link.reset, link.hang_up))()
    # One that behaves, among them.
    good = arena.swarm.dial(addresses[0])
    good.say(opening(addresses[0]), message(KEEPALIVE))
    arena.swarm.wait(lambda: good.established, lambda: f"{good.end}, {good.notification}")
    good.hang_up()
    arena.swarm.wait(lambda: arena.node.show("dynamic")["ranges"][0]["peers"] == 0, lambda: str(arena.node.show("dynamic")))
    arena.swarm.wait(lambda: descriptors(arena) <= before, lambda: f"{descriptors(arena)} descriptors, {before} before")
    assert arena.node.resident() < resident + 2048
    arena.cluster.delete(thing)
    wait_for(lambda: not arena.node.show("dynamic")["ranges"], "no range")
