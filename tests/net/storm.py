"""A peer that does anything at random, and knows what must be left of it: what its connections have said, by the RFCs' rules.

A Conversation is one connection; its `routes` are what the daemon must have of it as long as it lives: a connection that has
ended leaves nothing, once the time of a graceful restart is over. Nothing else need be remembered: how it came to this end
does not matter."""

import collections
import struct
import time

from arena import SENDS_PATHS
from malformed import GOOD, ORIGIN, Path, SEQUENCE, SET, Update
from speaker import KEEPALIVE, attribute, capability, end_of_rib, message

OUR_AS, FOREIGN_AS = 64512, 65100
GRACEFUL = capability(64, b"\x80\1\0\1\1\x80\0\2\1\x80")  # for a second
ENHANCED_REFRESH = capability(70)
DEFAULT_PREFERENCE = 100

# What was announced: what of it is compared with what others are told.
Route = collections.namedtuple("Route", "preference path origin med communities unknown looped")


class Conversation:
    """routes: {(prefix, path identifier): Route}; the identifier is 0 where there are none."""

    def __init__(self, player, link, graceful, hold):
        self.player, self.link, self.graceful, self.hold = player, link, graceful, hold
        self.old, self.paths = player.old, player.paths
        self.routes, self.lost, self.stale = {}, set(), {}
        self.last_event = "OPEN"
        self.doomed = False  # the daemon must end it
        self.said_at = 0

    def __str__(self):
        state = "over" if self.link.over else "established" if self.link.established else "not established"
        return (f"{state}{', doomed' * self.doomed}, {len(self.link.outbox)} octets to say, hold time {self.hold}"
                f"{', graceful' * self.graceful}, last said {self.last_event}")

    def say(self, octets):
        self.link.say(octets)

    # What it may say, each with its effect

    def announce(self, prefixes, route, path_id):
        """Prefixes of one family."""
        family = 6 if ":" in prefixes[0] else 4
        self.say(self.encode(prefixes, route, path_id))
        if family not in self.lost:
            for key in self.keys(prefixes, path_id):
                self.routes[key] = route
                self.stale.get(family, set()).discard(key)

    def keys(self, prefixes, path_id):
        return [(prefix, path_id if self.paths else 0) for prefix in prefixes]

    def as_agreed(self):
        """The player as it is on this connection: another one may be of another kind."""
        self.player.old, self.player.paths = self.old, self.paths
        return self.player

    def encode(self, prefixes, route, path_id):
        more = attribute(4, struct.pack("!I", route.med), 0x80) if route.med is not None else b""
        more += attribute(8, route.communities, 0xc0) if route.communities else b""
        more += attribute(200, route.unknown, 0xc0) if route.unknown is not None else b""
        player = self.as_agreed()
        octets = player.update(prefixes, as_path=route.path, local_pref=None if player.ebgp else route.preference,
                               more=more, encode=lambda prefix: player.nlri(prefix, path_id))
        return octets.replace(attribute(ORIGIN, b"\0"), attribute(ORIGIN, bytes([route.origin])), 1)

    def withdraw(self, prefixes, path_id):
        family, player = 6 if ":" in prefixes[0] else 4, self.as_agreed()
        gone = b"".join(player.nlri(prefix, path_id) for prefix in prefixes)
        if family == 6:
            gone = attribute(15, b"\0\2\1" + gone, 0x80)
            self.say(message(2, b"\0\0" + struct.pack("!H", len(gone)) + gone))
        else:
            self.say(message(2, struct.pack("!H", len(gone)) + gone + b"\0\0"))
        self.forget(self.keys(prefixes, path_id), family)

    def forget(self, keys, family):
        if family not in self.lost:
            for key in keys:
                self.routes.pop(key, None)
                self.stale.get(family, set()).discard(key)

    def blunder(self, update, prefix, effect):
        """An UPDATE of malformed.py's about this prefix; the effect is one of withdraw, lose, reset."""
        player, family = self.as_agreed(), 6 if ":" in prefix else 4
        player.family, player.extended = family, False
        kept, player.victim = player.victim, {family: prefix}
        self.say(update.octets(player))
        player.victim = kept
        if effect == "reset":
            self.doomed = True
        elif effect == "withdraw":
            self.forget(self.keys([prefix], 7), family)
        else:
            self.lost.add(family)
            for key in self.of_family(family):
                del self.routes[key]

    def of_family(self, family):
        return {key for key in self.routes if (":" in key[0]) == (family == 6)}

    def refresh_begin(self, family):
        """RFC 7313: what is not said again until the end is gone."""
        self.say(message(5, struct.pack("!HBB", 1 if family == 4 else 2, 1, 1)))
        if family not in self.lost:
            self.stale[family] = self.of_family(family)

    def refresh_end(self, family):
        self.say(message(5, struct.pack("!HBB", 1 if family == 4 else 2, 2, 1)))
        for key in self.stale.pop(family, ()):
            self.routes.pop(key, None)

    def finish_refreshes(self):
        for family in list(self.stale):
            self.refresh_end(family)


BLUNDERS = [
    (Update({ORIGIN: b"\7"}), "withdraw"), (Update({2: Path((9, 65001))}), "withdraw"),
    (Update({2: Path((SEQUENCE, 65001, 65100), (SET, 65101))}), "withdraw"), (Update({4: b"\0"}), "withdraw"),
    (Update({8: b"\1\2\3"}), "withdraw"), (Update(more=[b"\xc0\x08\x20\0"]), "withdraw"),
    (Update({1: None}), "withdraw"),
    (Update(more=[attribute(99, b"\7", 0x40)]), "reset"), (Update({14: b"\0\2"}), "reset"),
    (Update(more=[(15, b"\0\2\1"), (15, b"\0\2\1")]), "reset"),
    (Update({8: b"\1"}, routes=b"\x21\x0a\0\0\0\0"), "reset"),
]
# Malformed with and without path identifiers.
LOSSES = {4: Update({15: b"\0\1\1\xff"}, bare=True), 6: Update({15: b"\0\2\1\xff"}, bare=True)}
BREAKAGES = [message(4, b"\0"), bytes(19), message(9), message(1, b"\4"), b"\xff" * 16 + b"\0\x13\0",
             message(2, b"\0\5\0\0")]
assert GOOD[ORIGIN] == b"\0"


class Actor:
    """A player of the arena with a mind of its own. `shared` are prefixes that many players announce."""

    def __init__(self, arena, player, noise, shared):
        self.arena, self.player, self.noise = arena, player, noise
        self.prefixes = shared + [player.prefix(number, family) for number in range(3) for family in (4, 6)]
        self.talks, self.others = [], []
        self.left_at = None  # since when the daemon's objects do not know it

    # The operator's doing

    def leave(self):
        """Its Node object goes: its sessions end, and it is a stranger."""
        self.arena.cluster.delete(self.player.object)
        self.left_at = time.monotonic()
        for talk in self.talks:
            talk.doomed = True

    def come_back(self):
        """What was dialled meanwhile ends first: the daemon may come to it only when it knows the player again."""
        for talk in self.talks:
            talk.link.reset()
        self.arena.cluster.write(self.player.object)
        self.left_at = None

    # Choices

    def some_prefixes(self):
        family = self.noise.choice((4, 6))
        known = [prefix for prefix in self.prefixes if (":" in prefix) == (family == 6)]
        return self.noise.sample(known, min(len(known), self.noise.choice((1, 1, 2, 5, 20))))

    def some_path(self):
        """7 is what blunders are about."""
        return self.noise.choice((7, 7, 1, 0, 2**32 - 1))

    def some_route(self):
        noise, player = self.noise, self.player
        path = [player.as_number] * player.ebgp + [FOREIGN_AS + number for number in range(noise.randrange(1, 5))]
        looped = noise.random() < 0.03
        return Route(noise.choice((50, 100, 100, 200, 2**32 - 1)) if not player.ebgp else DEFAULT_PREFERENCE,
                     tuple(path + [OUR_AS] * looped), noise.randrange(3),
                     noise.choice((None, 0, 7)) if player.ebgp else None,
                     noise.choice((b"", b"\xfd\xe8\0\1", b"\xfd\xe8\0\1\xfd\xe8\0\2")),
                     noise.choice((None, b"", b"\1\2\3", noise.randbytes(300))), looped)

    @property
    def talk(self):
        """The latest connection that is not over, as far as is known; None if there is none."""
        return next((talk for talk in reversed(self.talks) if not talk.link.over and not talk.doomed), None)

    # Events

    def act(self):
        noise = self.noise
        if not self.talk:
            noise.choices((self.connect, self.connect_badly), (8, 1))[0]()
            return
        choices = ((self.announce, 30), (self.withdraw, 15), (self.burst, 6), (self.blunder, 8), (self.refresh, 4),
                   (self.lose_family, 0.6), (self.break_it, 1.5), (self.end_it, 2.5), (self.be_deaf, 2),
                   (self.hear_again, 4),
                   (self.dial_twice, 1.5), (self.ask, 2), (self.marker, 1), (self.dribble, 1))
        event, = noise.choices([each for each, _weight in choices], [weight for _each, weight in choices])
        self.talk.last_event = event.__name__
        event()

    def connect(self):
        noise, player = self.noise, self.player
        player.old, player.paths = noise.random() < 0.2, noise.choice((0, 0, 0, SENDS_PATHS))
        graceful, hold = noise.random() < 0.25, noise.choice((0, 0, 0, 3, 9))
        more = (GRACEFUL if graceful else b"") + ENHANCED_REFRESH
        link = self.arena.swarm.dial(player.ip4, receive_buffer=noise.choice((None, None, 4096)))
        talk = Conversation(player, link, graceful, hold)
        talk.say(player.open(hold, more) + message(KEEPALIVE))
        if noise.random() < 0.8:
            talk.say(end_of_rib(4) + end_of_rib(6))
        link.piece = noise.choice((None, None, None, 7, 100))
        talk.doomed = self.left_at is not None
        self.talks = [each for each in self.talks if not each.link.over] + [talk]
        for _ in range(0 if talk.doomed else noise.randrange(4)):
            self.announce()

    def connect_badly(self):
        """A connection that says nothing, or nothing good."""
        noise, player = self.noise, self.player
        link = self.arena.swarm.dial(player.ip4)
        link.say(noise.choice((b"", player.open()[:noise.randrange(1, 40)], noise.randbytes(60),
                               noise.choice(BREAKAGES),
                               player.open().replace(player.identifier, bytes(4)), player.open(hold=1))))
        self.others.append(link)

    def announce(self):
        self.talk.announce(self.some_prefixes(), self.some_route(), self.some_path())

    def withdraw(self):
        self.talk.withdraw(self.some_prefixes(), self.some_path())

    def burst(self):
        for _ in range(self.noise.choice((20, 100, 300))):
            (self.announce if self.noise.random() < 0.6 else self.withdraw)()

    def blunder(self):
        update, effect = self.noise.choice(BLUNDERS if self.noise.random() < 0.15 else BLUNDERS[:7])
        self.talk.blunder(update, self.some_prefixes()[0], effect)

    def lose_family(self):
        family = self.noise.choice((4, 6))
        if not self.talk.lost:
            self.talk.blunder(LOSSES[family],
                              next(prefix for prefix in self.prefixes if (":" in prefix) == (family == 6)), "lose")

    def refresh(self):
        family = self.noise.choice((4, 6))
        if family in self.talk.stale:
            self.talk.refresh_end(family)
        elif not self.talk.graceful:
            self.talk.refresh_begin(family)

    def ask(self):
        self.talk.say(message(5, self.noise.choice((b"\0\1\0\1", b"\0\2\0\1", b"\0\x19\0\x46", b"\0\1\x77\1"))) *
                      self.noise.choice((1, 1, 50)))

    def marker(self):
        self.talk.say(end_of_rib(self.noise.choice((4, 6))))

    def dribble(self):
        self.talk.link.piece = self.noise.choice((None, 1, 13))

    def break_it(self):
        self.talk.say(self.noise.choice(BREAKAGES))
        self.talk.doomed = True

    def end_it(self):
        talk, how = self.talk, self.noise.randrange(6)
        if how == 0:
            talk.link.reset()
        elif how == 1:
            talk.link.hang_up()
        elif how == 2:
            talk.say(self.encoded_piece())
            talk.link.half_close_when_said()
        elif how == 3:
            talk.say(message(3, b"\6\2\3bye"))
        elif how == 4:
            talk.say(message(3, b"\6\x09\6\4"))
        else:
            talk.hold_forgotten = True
            if talk.hold == 3:
                talk.doomed = True
            return
        talk.doomed = True

    def encoded_piece(self):
        whole = self.talk.encode(self.some_prefixes(), self.some_route(), self.some_path())
        return whole[:self.noise.randrange(len(whole))]

    def be_deaf(self):
        self.talk.link.listen(False)

    def hear_again(self):
        self.talk.link.listen(True)

    def dial_twice(self):
        """A second connection while there is one."""
        (self.connect if self.noise.random() < 0.5 else self.connect_badly)()

    # Time

    def keep_alive(self, now):
        for talk in self.talks:
            if talk.hold and not talk.link.over and not getattr(talk, "hold_forgotten",
                                                                False) and now - talk.said_at > 0.7:
                talk.said_at = now
                talk.say(message(KEEPALIVE))

    # What is left

    def calm(self):
        """Nothing more comes, all is read."""
        for talk in self.talks:
            talk.link.piece = None
            talk.link.listen(True)
            if not talk.link.over and not talk.doomed:
                talk.finish_refreshes()
                talk.say(end_of_rib(4) + end_of_rib(6))

    def __str__(self):
        return f"{self.player.name}: " + " and ".join(map(str, self.talks))

    def settled(self):
        """Those that are doomed are over, at most one connection is up, and all it has to say is said."""
        live = [talk for talk in self.talks if not talk.link.over]
        return not any(talk.doomed or talk.link.outbox for talk in live) and (
            len([talk for talk in live if talk.link.established]) <= 1)

    def standing(self):
        """The conversation that counts now; None if there is none."""
        live = [talk for talk in self.talks if talk.link.established]
        return live[0] if live else None
