"""Two connections at once with one peer (RFC 4271 6.8), in each state the first one can be in: one survives, the one that the
side with the larger identifier dialled; the other one gets a Cease/7; and the session comes up with what it was told there."""

import socket

import pytest

from arena import Arena
from speaker import KEEPALIVE, capability, message

CEASE_COLLISION = (6, 7)
GRACEFUL = capability(64, b"\0\x78\0\1\1\x80\0\2\1\x80")
# The state of the daemon's own connection when the peer dials; whether the daemon's identifier is the larger one.
CASES = [(stage, ours, kind) for stage in ("Connect", "OpenSent", "OpenConfirm", "Established",
                                           "Established, graceful restart")
         for ours in (False, True) for kind in "ie"]


class Duel:
    """A peer that the daemon dials and that dials the daemon."""

    def __init__(self, arena, player, stage, ours):
        self.arena, self.player, self.stage, self.ours = arena, player, stage, ours
        self.graceful = GRACEFUL if "graceful" in stage else b""
        if ours:
            player.identifier = bytes([1, 1, player.index, 1])
        self.plugs = []
        self.accepted = self.deafen() if stage == "Connect" else arena.swarm.listen(player.ip4)

    def deafen(self):
        """A listener whose queue is full: SYNs get no answer."""
        with self.arena.host.inside():
            listener = socket.create_server((self.player.ip4, 179), backlog=0)
            self.plugs.append(listener)
            for _ in range(3):
                plug = socket.socket()
                plug.setblocking(False)
                plug.connect_ex((self.player.ip4, 179))
                self.plugs.append(plug)
        return []

    def close(self):
        for plug in self.plugs:
            plug.close()

    def hello(self, prefixes):
        player = self.player
        return player.open(more=self.graceful) + message(KEEPALIVE) + player.announce(prefixes)

    @property
    def state(self):
        return self.arena.peers()[self.player.name]["state"]

    def prepare(self):
        """The daemon's connection gets as far as the case has it."""
        if self.stage == "Connect":
            return self.state == "Connect"
        if not self.accepted or self.accepted[-1].opening is None:
            return False
        first, word = self.accepted[-1], self.stage.partition(",")[0]
        if not getattr(first, "greeted", False):
            first.greeted = True
            first.say({"OpenSent": b"", "OpenConfirm": self.player.open(more=self.graceful)}.get(word) or (
                self.hello(self.player.victim) if word == "Established" else b""))
        return self.state == word

    def strike(self):
        self.second = self.arena.swarm.dial(self.player.ip4)
        self.second.say(self.hello(self.player.bystander))

    def outcome(self):
        """What must be: which connection survives, how the other one ends, and which routes there are."""
        player = self.player
        if self.stage == "Connect":
            return self.second, None, None, player.bystander
        first = self.accepted[0]
        if self.stage.startswith("Established"):
            # A mere second connection proves nothing; with graceful restart the peer must have lost its state.
            return ((self.second, first, None, player.bystander) if self.graceful else
                    (first, self.second, CEASE_COLLISION, player.victim))
        if self.ours:
            return first, self.second, CEASE_COLLISION, player.victim
        return self.second, first, CEASE_COLLISION, player.bystander

    def finish(self):
        """What a peer says that still has something to say on the connection that survives."""
        winner = self.outcome()[0]
        if winner is not self.second and not self.stage.startswith("Established"):
            hello = self.hello(self.player.victim)
            winner.say(hello if self.stage == "OpenSent" else hello[len(self.player.open(more=self.graceful)):])


@pytest.fixture(scope="module")
def duels():
    kinds = "".join(kind for _stage, _ours, kind in CASES)
    with Arena(len(CASES), kinds=kinds, passive=False, config={"bgp": {"connect_retry_time": 60}}) as arena:
        duels = [Duel(arena, player, stage, ours) for player, (stage, ours, _kind) in zip(arena.players, CASES)]
        arena.start()
        arena.swarm.wait(lambda: all([duel.prepare() for duel in duels]),
                         lambda: f"prepared: {[(duel.stage, duel.state) for duel in duels if not duel.prepare()]}")
        for duel in duels:
            duel.strike()
        arena.swarm.wait(lambda: all(duel.second.opening or duel.second.over for duel in duels), "each is answered")
        for duel in duels:
            duel.finish()
        arena.swarm.wait(lambda: all(duel.state == "Established" for duel in duels),
                         lambda: f"{[(duel.stage, duel.ours, duel.state) for duel in duels if duel.state != 'Established']}")
        for duel in duels:
            duel.player.link = duel.outcome()[0]
            duel.player.link.say(duel.player.announce(duel.player.mark))
        arena.swarm.wait(lambda: all(duel.player.mark[6] in arena.inside.link.routes for duel in duels),
                         "the survivors are heard")
        arena.fence()
        yield dict(zip(CASES, duels))
        for duel in duels:
            duel.close()
        arena.assert_untouched()


@pytest.mark.parametrize("case", CASES,
                         ids=lambda case: f"{case[0]}-{'ours' if case[1] else 'theirs'}-{case[2]}".replace(" ", "_"))
def test_collision(case, duels):
    duel = duels[case]
    survivor, loser, notification, routes = duel.outcome()
    assert survivor.established and survivor.notification is None, (survivor.end, survivor.notification)
    if loser is not None:
        assert loser.over and (loser.notification and loser.notification[:2]) == notification, (loser.end,
                                                                                                loser.notification)
    found = duel.arena.inside.link.routes
    for which in (duel.player.victim, duel.player.bystander):
        for family in (4, 6):
            # Over a graceful restart the first connection's routes stay until the peer says it has told all.
            if which is routes or not duel.graceful:
                assert (which[family] in found) == (which is routes), (which[family], which is routes)
    if duel.graceful:
        assert duel.player.victim[4] in found
        survivor.say(message(2, bytes(4)), message(2, b"\0\0\0\6\x80\x0f\3\0\2\1"))
        duel.arena.swarm.wait(lambda: not {duel.player.victim[family] for family in (4, 6)} & set(found),
                              "old routes go")
    peer = duel.arena.node.show("peers", duel.player.name)["peer"]
    assert peer["dialled_by"] == ("the peer" if survivor is duel.second else "this node")
    assert peer["established"] == (2 if duel.graceful else 1)
