"""A night's worth of session events in a minute: many peers that do anything at random, good and bad, in any order; and now and
then a moment of calm, in which the RIB and what two observers were told must be exactly what the peers' last words make.

CALIDRIS_SEED: another seed; CALIDRIS_SECONDS: how long it takes, 45 unless said otherwise.
"""

import os
import random
import struct
import time

from arena import OUR_AS, RECEIVES_PATHS, Arena
from malformed import AS_PATH, COMMUNITIES, LOCAL_PREF, MED, MP_REACH, NEXT_HOP, ORIGIN
from netns import wait_for
from storm import Actor

TAKES = 40  # s: it begins early

SEED, SECONDS = int(os.environ.get("CALIDRIS_SEED", 4271)), float(os.environ.get("CALIDRIS_SECONDS", 45))
PLAYERS, ROUND = 60, 8
# In the order of preference: RFC 4271 9.1.2.2. There are no MEDs but of one AS, and no routes but of directly connected peers.


def standing_routes(actors):
    """{prefix: [(player, route, path identifier)]} of all that stands."""
    found = {}
    for actor in actors:
        talk = actor.standing()
        for (prefix, path_id), route in (talk.routes if talk else {}).items():
            found.setdefault(prefix, []).append((actor.player, route, path_id))
    return found


def best_of(candidates):
    """Of those that are no loops; None if there are no others."""
    good = [one for one in candidates if not one[1].looped]
    if not good:
        return None
    good.sort(key=lambda one: (-one[1].preference, len(one[1].path), one[1].origin))
    rank = [one for one in good if rank_of(one) == rank_of(good[0])]
    # MED counts between routes of the same neighbouring AS only: the first ASes that are there are one another's only.
    rank = [one for one in rank if not any(other[1].path[0] == one[1].path[0] and (other[1].med or 0) < (one[1].med or 0)
                                           for other in rank)]
    return min(rank, key=lambda one: (not one[0].ebgp, one[0].identifier, one[2]))


def rank_of(one):
    return -one[1].preference, len(one[1].path), one[1].origin


def path_octets(path):
    return bytes([2, len(path)]) + b"".join(struct.pack("!I", number) for number in path)


def told_of(player, route, prefix, outside=False):
    """{code: value} that others must be told of this route; None: it has no such attribute."""
    return {ORIGIN: bytes([route.origin]), AS_PATH: path_octets((OUR_AS,) * outside + route.path),
            LOCAL_PREF: None if outside else struct.pack("!I", route.preference),
            COMMUNITIES: route.communities or None,
            MED: struct.pack("!I", route.med) if route.med is not None and not outside else None, 200: route.unknown,
            **({} if outside else {MP_REACH if ":" in prefix else NEXT_HOP: player.hop(6 if ":" in prefix else 4)})}


def only(attributes, codes):
    return {code: attributes.get(code, (0, None))[1] for code in codes}


def differences(arena, standing):
    """What the observers have been told and what they should have been, up to ten differences."""
    wrong, best = [], {prefix: best_of(routes) for prefix, routes in standing.items()}
    wanted = {prefix: one for prefix, one in best.items() if one}
    for name, observer in (("inside", arena.inside), ("outside", arena.outside)):
        told = {prefix: attributes for prefix,
                attributes in observer.link.routes.items() if prefix not in arena.witnessed}
        wrong += [f"{name}: {prefix} is told" for prefix in sorted(set(told) - set(wanted))]
        wrong += [f"{name}: {prefix} is not told" for prefix in sorted(set(wanted) - set(told))]
        for prefix in sorted(set(told) & set(wanted)):
            player, route, _path_id = wanted[prefix]
            values = told_of(player, route, prefix, observer is arena.outside)
            found = only(told[prefix], values)
            if found != values:
                wrong.append(f"{name}: {prefix} of {player.name}: {found}, not {values}")
    return wrong[:10]


def path_differences(collector, standing, witnessed):
    """The same of whoever is told of all paths (RFC 7911)."""
    told, wanted = {}, {}
    for (prefix, _path_id), attributes in collector.link.routes.items():
        if prefix not in witnessed:
            values = only(attributes,
                          (ORIGIN, AS_PATH, LOCAL_PREF, COMMUNITIES, MED, 200, MP_REACH if ":" in prefix else NEXT_HOP))
            told.setdefault(prefix, []).append(sorted(values.items()))
    for prefix, routes in standing.items():
        good = [sorted(told_of(player, route, prefix).items()) for player, route,
                _path_id in routes if not route.looped]
        if good:
            wanted[prefix] = good
    return [f"all paths: {prefix}: {told.get(prefix)}, not {wanted.get(prefix)}" for prefix in sorted({*told, *wanted})
            if sorted(told.get(prefix, []), key=repr) != sorted(wanted.get(prefix, []), key=repr)][:3]


def rib_differences(arena, standing):
    """The same of all routes in the RIB, best or not."""
    rows = arena.node.show("routes", "all")["routes"]
    have = {(row["prefix"], row["from"], row["path_id"]): row for row in rows if row["prefix"] not in arena.witnessed}
    want = {(prefix, player.name, path_id): route for prefix, routes in standing.items() for player, route,
            path_id in routes}
    wrong = [f"RIB: {key} is there" for key in sorted(set(have) - set(want))]
    wrong += [f"RIB: {key} is not there" for key in sorted(set(want) - set(have))]
    for key in sorted(set(have) & set(want)):
        row, route = have[key], want[key]
        if row["rejected"] != route.looped or row["stale"] or row["as_path"] != " ".join(map(str, route.path)):
            wrong.append(f"RIB: {key}: {row}, not {route}")
    return wrong[:10]


def storm(arena, actors, noise, seconds):
    """Everybody at once."""
    deadline, events = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        now = time.monotonic()
        for actor in noise.sample(actors, 5):
            # Who has not been heard yet waits, mostly.
            if actor.talk and len(actor.talk.link.outbox) > 100000:
                continue
            actor.act()
            events += 1
        for actor in actors:
            actor.keep_alive(now)
        if noise.random() < 0.01:
            operate(arena, noise.choice(actors), now)
        arena.swarm.turn(0.002)
    return events


def operate(arena, actor, now):
    """A peer's object goes, or comes back once the daemon has seen that it was gone."""
    if actor.left_at is None:
        actor.leave()
    elif now > actor.left_at + 1 and actor.player.name not in arena.peers():
        actor.come_back()


def keep_alive(actors):
    now = time.monotonic()
    for actor in actors:
        actor.keep_alive(now)


def calm(arena, actors):
    """The peers fall silent; what they last said has been heard, and everybody was told."""
    wait_for(lambda: not {actor.player.name for actor in actors if actor.left_at} & set(arena.peers()), "they are gone")
    for actor in actors:
        if actor.left_at:
            actor.come_back()
        actor.calm()

    def quiet():
        keep_alive(actors)
        return all(actor.settled() for actor in actors)
    arena.swarm.wait(quiet, lambda: "not settled: " + "; ".join(
        f"{actor}:\n" + "\n".join(arena.log_of(actor.player)[-8:]) for actor in actors if not actor.settled()), 30)


def check(arena, actors):
    """In the calm: what stands is in the RIB, and the best of it is what the observers were told. A session may still end
    meanwhile, by its hold timer: then what stands is less."""
    calm(arena, actors)
    problems = []

    def right(differ):
        keep_alive(actors)
        problems[:] = differ(standing_routes(actors))
        return not problems
    for differ in (lambda standing: differences(arena, standing),
                   lambda standing: path_differences(arena.collector, standing, arena.witnessed),
                   lambda standing: rib_differences(arena, standing)):
        arena.swarm.wait(lambda differ=differ: right(differ), lambda: "\n".join(problems), 20)


def test_storm():
    """The storm, with a look at what it has left every few seconds."""
    noise = random.Random(SEED)
    shared = [f"10.99.{number}.0/24" for number in range(1, 41)] + [f"fd00:10:99:{number:x}::/64" for number in range(1,
                                                                                                                      41)]
    timers = {"idle_hold_time": 1, "idle_hold_max": 1, "send_hold_time": 5}
    with Arena(PLAYERS, config={"bgp": timers, "log": {"level": "info"}}) as arena:
        arena.start()
        arena.collector = arena.players.pop(0)
        arena.collector.paths = RECEIVES_PATHS
        arena.collector.greet(arena.swarm, watch=True).path_ids = True
        actors = [Actor(arena, player, random.Random(noise.random()), shared) for player in arena.players]
        deadline, events, sizes = time.monotonic() + SECONDS, 0, []
        while time.monotonic() < deadline:
            events += storm(arena, actors, noise, ROUND)
            check(arena, actors)
            sizes.append(arena.node.resident())
            count = sum(map(len, standing_routes(actors).values()))
            print(f"seed {SEED}: {events} events, {count} routes left, {sizes[-1]} KiB")
        assert events > SECONDS * 20, events
        assert sizes[-1] < sizes[0] + 4096, sizes
        the_morning_after(arena, actors)
        arena.fence()
        arena.assert_untouched()


def the_morning_after(arena, actors):
    """Everybody goes, nothing is left; and everybody can come back."""
    for actor in actors:
        for link in [*(talk.link for talk in actor.talks), *actor.others]:
            link.hang_up()
    arena.swarm.wait(lambda: all(set(observer.link.routes) == arena.witnessed for observer in arena.observers),
                     "no route is left", 20)
    idle_hold_over = time.monotonic() + 1.1
    arena.swarm.wait(lambda: time.monotonic() > idle_hold_over, "idle hold time")
    arena.swarm.wait(lambda: all(player.name in arena.peers() for player in arena.players), "all are known")
    for player in arena.players:
        player.old = player.paths = False
        player.greet(arena.swarm, player.announce(player.bystander))
    arena.swarm.wait(lambda: all(player.bystander[6] in arena.outside.link.routes for player in arena.players),
                     "all come back")
