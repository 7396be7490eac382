"""Malformed input over live sessions: each case of malformed.py by a peer of its own, many at once, and the exact reaction.

Each peer has routes besides the one its case is about, and says one more thing after its case; what other peers see of all
this is what counts. Whatever one of them does to the others shows as their failure.
"""

import contextlib
import re

import pytest

from arena import Arena
from malformed import GOOD_MED, MED, NAMES, THE_ATTRIBUTE, Update
from malformed_rows import CASES
from netns import Timeout
from speaker import KEEPALIVE, attribute, message

AT_ONCE = 300
REACTIONS = {"AD": "attribute ignored", "TAW": "its routes are treated as withdrawn",
             "FAMILY": "its address family is ignored until the session restarts"}


class Trial:
    """A case, the peer that stages it, and what came of it."""

    def __init__(self, arena, case, player):
        self.arena, self.case, self.player = arena, case, player
        player.old, player.family, player.extended = case.where.old, case.where.family, case.where.extended
        player.hops, player.paths = case.where.hops, case.where.paths
        self.says, self.expect = case.says, case.expect
        self.problems = []
        self.ends = self.expect.kind in ("RESET", "CLOSED")

    def check(self, ok, what):
        if not ok:
            self.problems.append(what)

    # What it does

    def begin(self):
        player, state = self.player, self.case.state
        if state == "Established":
            player.greet(self.arena.swarm, player.announce(player.victim, player.bystander, player.extra))
        else:
            player.link = self.arena.swarm.dial(player.ip4)
            player.link.say(*([player.open()] if state == "OpenConfirm" else []))

    def ready(self):
        """It has got where its case begins."""
        link, seen = self.player.link, self.arena.inside.link.routes
        if self.case.state != "Established":
            return link.opening is not None
        return link.established and all(self.player.extra[family] in seen for family in (4, 6))

    def commit(self):
        player = self.player
        self.said = self.says.octets(player)
        player.link.say(self.said)
        if self.case.state != "Established":
            player.link.say(message(KEEPALIVE), player.announce(player.victim, player.bystander, player.extra))
        for family in (4, 6) if self.expect.lost == 4 else (6, 4):
            player.link.say(player.update([player.mark[family]]))

    def done(self):
        last = 6 if self.expect.lost == 4 else 4
        return self.player.link.over or self.player.mark[last] in self.arena.inside.link.routes

    # What must have come of it

    def judge(self, peers, log):
        if self.ends:
            self.judge_end(peers[self.player.name])
        else:
            self.judge_life(peers[self.player.name])
        self.judge_routes()
        self.judge_log(log)
        return self.problems

    def judge_end(self, row):
        link, expected = self.player.link, self.expect
        self.check(link.over and row["state"] != "Established", f"the session goes on: {row['state']}")
        found = link.notification and link.notification[:2]
        self.check(found == expected.code, f"NOTIFICATION {found}, not {expected.code}")
        if expected.data is not None and found == expected.code and found:
            data = self.blamed() if expected.data is THE_ATTRIBUTE else expected.data
            self.check(link.notification[2] == data, f"its data {link.notification[2].hex()}, not {data.hex()}")
        self.check(expected.says is None or expected.says in row["last_error"], f"last error: {row['last_error']}")

    def judge_life(self, row):
        link = self.player.link
        self.check(not link.over,
                   f"the session ended: {link.end}, NOTIFICATION {link.notification}, {row['last_error']}")
        self.check(row["state"] == "Established", row["state"])

    def gone(self):
        """What routes of the player must not be there, as (which, family)."""
        expected, player = self.expect, self.player
        if self.ends:
            return {(which, family) for which in ("victim", "bystander", "extra", "mark") for family in (4, 6)}
        gone = {(which, expected.lost) for which in ("victim", "bystander", "extra", "mark") if expected.lost}
        default = (player.family,) if expected.kind == "TAW" else ()
        for each in default if expected.gone is None else expected.gone:
            gone.add(("extra", 4) if each == "extra" else ("victim", each))
        return gone

    def judge_routes(self):
        gone = self.gone()
        for name, observer in (("an iBGP peer", self.arena.inside), ("an eBGP peer", self.arena.outside)):
            for which in ("victim", "bystander", "extra", "mark"):
                for family in (4, 6):
                    there = getattr(self.player, which)[family] in observer.link.routes
                    self.check(there == ((which, family) not in gone),
                               f"{name} {'has' if there else 'lacks'} the IPv{family} route {which}")
                    changes = observer.link.changes[getattr(self.player, which)[family]]
                    self.check(not there or which == "victim" or changes == 1,
                               f"{which} of IPv{family} came {changes} times")
        family = 4 if self.expect.lost == 6 else 6 if self.expect.lost == 4 else self.player.family
        seen = self.arena.inside.link.routes.get(self.player.victim[family])
        if seen is None or self.expect.kind == "TAW":
            return
        default = {MED: GOOD_MED} if isinstance(self.says,
                                                Update) and not self.says.bare and self.expect.kind != "FAMILY" else {}
        for code, value in {**default, **self.expect.attributes}.items():
            found = seen.get(code, (0, None))[1]
            self.check(found == value,
                       f"attribute {code} arrives as {found and found.hex()}, not {value and value.hex()}")

    def blame(self):
        if self.expect.blame is not None:
            return self.expect.blame
        changed = [*self.says.change, *self.says.flags]
        return changed[-1] if len(set(changed)) == 1 else None

    def blamed(self):
        return self.says.blamed(self.player, self.blame())

    def judge_log(self, log):
        expected, name = self.expect, re.escape(self.player.name)
        if not isinstance(self.says, Update) or expected.kind not in (*REACTIONS, "RESET"):
            line = rf"{name}: (malformed UPDATE|broken UPDATE|down)"
            wanted = expected.kind not in REACTIONS and expected.kind != "OK" and self.case.state == "Established"
            self.check(bool(re.search(line, log)) == wanted,
                       "the log says" + ("nothing" if wanted else f": {re.findall(line, log)}"))
            return
        blame = self.blame()
        if blame is None:
            pattern = ""
        elif expected.data is False:
            pattern = rf"\({NAMES[blame]}: "
        else:
            data = expected.data if isinstance(expected.data, bytes) else self.blamed()
            shown = " ".join(f"{octet:02x}" for octet in data[:24]) + (" ..." if len(data) > 24 else "")
            what = NAMES.get(blame, f"attribute {blame}" if blame else "no attribute")
            pattern = rf"\({re.escape(what)}: {re.escape(shown)}\)"
        start = "down: broken UPDATE: " if expected.code else "malformed UPDATE: "
        end = "" if expected.code else rf".*: {re.escape(REACTIONS[expected.kind])}"
        self.check(re.search(rf"{name}: {start}[^\n]*{pattern}{end}", log), f"not in the log: {start}...{pattern}{end}")


def stage(arena):
    """All cases, so many at a time; {index of the case: problems}."""
    trials = [Trial(arena, case, player) for case, player in zip(CASES, arena.players)]
    found = {}
    for at in range(0, len(trials), AT_ONCE):
        wave = trials[at:at + AT_ONCE]
        for trial in wave:
            trial.begin()
        arena.swarm.wait(lambda wave=wave: all(trial.ready() for trial in wave),
                         lambda wave=wave: described(wave, "ready"))
        before = arena.peers()
        for trial in wave:
            trial.commit()
        with contextlib.suppress(Timeout):  # who is not done fails by what has come of it
            arena.swarm.wait(lambda wave=wave: all(trial.done() for trial in wave), "", 10)
        arena.fence()
        peers, log = arena.peers(), arena.node.log_text()
        for number, trial in enumerate(wave, at):
            found[number] = trial.judge(peers, log)
            row = peers[trial.player.name]
            was = before[trial.player.name]
            if row["state"] == was["state"] == "Established" and row["since"] < was["since"]:
                found[number].append("the session was reset")
        for trial in wave:
            if not trial.player.link.over:
                trial.player.link.hang_up()
        arena.swarm.wait(lambda: not set(arena.inside.link.routes) - arena.witnessed, "the routes of the last wave go")
    return found


def described(wave, what):
    waiting = [trial for trial in wave if not getattr(trial, what)()]
    lines = [f"{name_of(trial.case)}: {trial.player.link.end}, NOTIFICATION {trial.player.link.notification}"
             for trial in waiting[:10]]
    return f"{len(waiting)} not {what}, among them\n" + "\n".join(lines)


def name_of(case):
    return f"{case.row}-{case.what}-{case.where.text}".replace(" ", "_")


@pytest.fixture(scope="module")
def found():
    kinds = "".join("e" if case.where.ebgp else "i" for case in CASES)
    with Arena(len(CASES), kinds=kinds) as arena:
        arena.start()
        problems = stage(arena)
        arena.assert_untouched()
        yield problems


LONG = [(2, "UPDATE", 4097), (2, "UPDATE", 65535), (3, "NOTIFICATION", 4097), (5, "ROUTE-REFRESH", 65535),
        (4, "KEEPALIVE", 4097),
        (1, "OPEN", 4097)]


@pytest.mark.parametrize("offered", [False, True], ids=["not_offered", "offered"])
def test_extended_messages(offered):
    """Row 2 with RFC 8654 4: what is longer than 4,096 octets is an error for who has not said that it takes it, and for
    OPEN and KEEPALIVE always."""
    with Arena(len(LONG), config={"bgp": {"extended_messages": offered}}) as arena:
        arena.start()
        for player in arena.players:
            player.greet(arena.swarm, player.announce(player.bystander))
        arena.swarm.wait(lambda: all(player.bystander[6] in arena.inside.link.routes for player in arena.players),
                         "all are up")
        for player, (kind, _name, length) in zip(arena.players, LONG):
            # Whole ones, so that those that are taken do not wait for their end.
            attributes = attribute(99, bytes(length - 30), 0xc0)
            body = {2: b"\0\0" + len(attributes).to_bytes(2, "big") + attributes, 3: b"\6\2".ljust(length - 19, b"x"),
                    5: b"\0\1\x77\1".ljust(length - 19, b"x")}.get(kind, bytes(length - 19))
            player.link.say(message(kind, body.ljust(length - 19, b"\0")), player.update([player.mark[4]]))
        arena.swarm.wait(lambda: all(player.link.over or player.mark[4] in arena.inside.link.routes for player in arena.players),
                         "all are judged")
        for player, (kind, name, length) in zip(arena.players, LONG):
            error = (1, 2, length.to_bytes(2, "big"))
            expected = None if offered and kind in (2, 3, 5) else error
            assert player.link.notification == expected, (name, length, player.link.notification)
            assert player.link.over == (expected is not None or kind == 3), (name, length)
        arena.fence()
        arena.assert_untouched()


@pytest.mark.parametrize("number", range(len(CASES)), ids=map(name_of, CASES))
def test_case(number, found):
    assert not found[number], "\n".join(found[number])
