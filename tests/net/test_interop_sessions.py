"""Sessions with every daemon that has what they need: signatures, TTL security, short hold times under load, 2-octet AS
numbers, limits. The daemons of a test stand around one of ours, all at the same time."""

import contextlib
import dataclasses
import json
import re
import struct
import time

import pytest

from interop import OUR_AS, circle, heard, kinds_with
from netns import wait_for
from routes import (AS4_AGGREGATOR, AS4_PATH, AS_TRANS, OPTIONAL, TRANSITIVE, by_prefix, differences, narrow, packed,
                    path_value, random_routes, updates_of, withdrawals_of)

TAKES = 50  # s: it begins early


@pytest.fixture
def around(new_cluster):
    """Makes a circle; its speaker ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda kinds, **options: stack.enter_context(circle(new_cluster, kinds, **options))


def counter(host, *names):
    """The sum of some of the kernel's counters of a host's network."""
    return sum(map(int, re.findall(r"^\w+\s+(\d+)", host.run("nstat", "-asz", *names), re.M)))


# Who may speak

def test_md5(around):
    """RFC 2385: with a wrong password nothing comes up, whoever dials; with the right one everything."""
    ring = around(kinds_with("md5"), theirs={"password": "sandpiper"}, spec={"password": "curlew"})
    ring.launch()
    ring.cluster.start()
    for host in (ring.ours, *ring.hosts.values()):
        wait_for(lambda h=host: counter(h, "TcpExtTCPMD5Failure", "TcpExtTCPMD5Unexpected") >= 2,
                 f"{host.name}'s kernel drops what is signed otherwise")
    assert {ring.shown(host)["established"] for host in ring.hosts.values()} == {0}
    ring.configure(password="sandpiper")
    ring.wait_established()
    # Without a password it is no better.
    ring.configure()
    before = counter(ring.ours, "TcpExtTCPMD5Unexpected")
    wait_for(lambda: counter(ring.ours, "TcpExtTCPMD5Unexpected") > before, "our kernel drops what is signed")


@pytest.mark.parametrize("side", ["theirs", "ours"])
def test_gtsm(around, side):
    """RFC 5082: packets with less than the greatest TTL are dropped by the side that asks for it, and only then."""
    one, other = ({"ttl_security": 1}, {"passive": True}) if side == "theirs" else ({}, {"ttlSecurity": 1})
    # They dial where it is for them to judge: some look at a caller's TTL a moment after they have answered.
    ring = around(kinds_with("gtsm") if side == "theirs" else kinds_with(), numbers=lambda number: 65100 + number, theirs=one,
                  spec=other)
    ring.launch()
    ring.cluster.start()
    for host in ring.hosts.values() if side == "theirs" else (ring.ours,):
        wait_for(lambda h=host: counter(h, "TcpExtTCPMinTTLDrop") >= 2, f"{host.name}'s kernel drops what comes from afar", 30)
    # The other side may think it is up, if the first packets came before the limit was set.
    up = [host.name for host in ring.hosts.values()
          if (host.established(host.session) if side == "theirs" else ring.shown(host)["established"])]
    assert not up, up
    if side == "theirs":
        ring.configure(passive=True, ttlSecurity=1)
        ring.wait_established(60)
        assert {ring.shown(host)["ttl_security"] for host in ring.hosts.values()} == {1}


# Timers

HOLD = 6  # s


def test_hold_time(around):
    """A hold time of few seconds while the table is loaded and emptied, again and again, for longer than that."""
    ring = around(kinds_with(), reflector=True, numbers=lambda number: 65100 + number, theirs={"hold": HOLD},
                  spec={"holdTime": f"{HOLD}s"})
    many = random_routes(3, 99, 4000, hops=ring.hops, internal=True)
    source = ring.scripted("source", ring.as_number)
    sink = ring.scripted("sink", ring.as_number)
    ring.launch()
    ring.cluster.start()
    ring.wait_established()
    assert {ring.shown(host)["timers"]["hold_time"] for host in ring.hosts.values()} == {HOLD}
    end = time.monotonic() + 2 * HOLD
    while time.monotonic() < end:
        for make, count in ((updates_of, len(many)), (withdrawals_of, 0)):
            for family, peer in source.items():
                ring.speaker.say(peer, b"".join(make([route for route in many if route.family == family])))
            wait_for(lambda c=count: len(heard(*sink.values())) == c, lambda c=count: f"{c} routes; {len(heard(*sink.values()))}", 30)
    assert {host.name: ring.shown(host)["established"] for host in ring.hosts.values()} == dict.fromkeys(ring.hosts, 1)


# Old speakers

def old_form(route):
    """As a speaker of 2-octet numbers must get it (RFC 6793 4.2.2)."""
    others = list(route.others)
    if any(number > 65535 for number in route.as_path):
        others.append((AS4_PATH, OPTIONAL | TRANSITIVE, path_value(route.as_path).hex()))
    aggregator = route.aggregator
    if aggregator and aggregator[0] > 65535:
        others.append((AS4_AGGREGATOR, OPTIONAL | TRANSITIVE, struct.pack("!I", aggregator[0]).hex() + packed(aggregator[1]).hex()))
        aggregator = (AS_TRANS, aggregator[1])
    return route.with_(as_path=tuple(map(narrow, route.as_path)), aggregator=aggregator, others=tuple(sorted(others)))


@pytest.mark.parametrize("aggregator", [True, False], ids=["", "no-aggregator"])
def test_old_speakers(around, aggregator):
    """RFC 6793: through speakers of 2-octet numbers paths of 4-octet ones come unharmed, in both directions."""
    ring = around(kinds_with("old", "relay", *(["old aggregator"] if aggregator else [])), reflector=True, numbers=lambda number: 65100 + number,
                  families=(4,), theirs={"four_octets": False})

    def some_routes(number, first_as):
        routes = random_routes(11, number, 200, hops=ring.hops, families=(4,), internal=False, first_as=first_as)
        return [route if aggregator else route.with_(aggregator=None) for route in routes]

    given = some_routes(90, 65001)
    ring.scripted("source", 65001, given)
    sink = ring.scripted("sink", 65002)
    for host in ring.hosts.values():
        # Beside the daemon: one who feeds it, as old as itself, and one who hears what it tells others.
        host.feeder_address, host.listener_address = ring.scripts.pair()[4], ring.scripts.pair()[4]
        beside = [dataclasses.replace(host.session, remote=address, remote_as=number)
                  for address, number in ((host.feeder_address, 65300 + host.number), (host.listener_address, 65400 + host.number))]
        host.fed = some_routes(host.number, 65300 + host.number)
        ring.speaker.add(host.feeder_address, 65300 + host.number, families=(4,), four_octets=False,
                         updates=updates_of(host.fed, four_octets=False))
        host.listener = ring.speaker.add(host.listener_address, 65400 + host.number, families=(4,), four_octets=False, keep=True)
        host.launch(host.session, *beside)
    ring.cluster.start()
    ring.wait_established()
    for host in ring.hosts.values():
        assert not ring.shown(host)["capabilities"]["four_octet_as"]
        mine = by_prefix(host.fed)

        def theirs(host=host, mine=mine):
            return {prefix: route for prefix, route in heard(sink[4]).items() if prefix in mine}

        wait_for(lambda f=theirs, m=mine: f().keys() == m.keys(), lambda h=host: f"{h.name}'s routes in the sink")
        wanted = {prefix: route.with_(as_path=(OUR_AS, host.as_number, *route.as_path)) for prefix, route in mine.items()}
        assert not differences(wanted, theirs(), ("as_path", "aggregator", "communities", "large_communities", "origin")), host.name
        # The other way: what the daemon tells a third is what it got from us, itself in front.
        source = by_prefix(given)

        def ours(host=host, source=source):
            table = heard(host.listener, four_octets=False)
            return {prefix: route for prefix, route in table.items() if prefix in source}

        wait_for(lambda f=ours, m=source: f().keys() == m.keys(), lambda h=host: f"our routes beyond {h.name}")
        wanted = {prefix: old_form(route.with_(as_path=(host.as_number, OUR_AS, *route.as_path))) for prefix, route in source.items()}
        assert not differences(wanted, ours(), ("as_path", "aggregator", "communities", "large_communities", "origin")), host.name


# Default routes and limits

def test_default_route(around):
    """A default route of every daemon, by the option for it where there is one: our node keeps the one it has, and knows theirs."""
    ring = around(kinds_with(), families=(4,))
    for host in ring.hosts.values():
        host.session.default_originate = host.has("default originate")
        host.launch(host.session, networks=() if host.session.default_originate else ("0.0.0.0/0",))
    ring.cluster.start()
    ring.wait_established()

    def announced():
        text = ring.ours.calidris("-o", "json", "show", "routes", "0.0.0.0/0", "all", check=False).stdout
        return {route["from"] for route in json.loads(text)["routes"]} if text.startswith("{") else set()

    everyone = {ring.shown(host)["name"] for host in ring.hosts.values()}
    wait_for(lambda: announced() == everyone, lambda: f"0.0.0.0/0 of everyone: {announced()}", 30)
    default = ring.ours.route("default")
    assert default["gateway"] == "172.18.0.254", default


def test_their_limit(around):
    """Each ends the session with Cease/1 when we tell more than it takes: we try again, more and more seldom."""
    ring = around(kinds_with("max-prefix"), reflector=True, numbers=lambda number: 65100 + number, theirs={"max_prefix": 50})
    ring.scripted("source", 65001, random_routes(5, 91, 100, hops=ring.hops, internal=False, first_as=65001))
    ring.launch()
    ring.cluster.start()
    for host in ring.hosts.values():
        ring.ours.wait_log(rf"{ring.shown(host)['name']}: down: received .*Maximum Number of Prefixes", 40)
    # Whoever comes back at once is met with pauses that grow: 1, 2, 4, 8 s.
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > 10, "ten seconds", 20)
    tries = {host.name: ring.shown(host)["established"] for host in ring.hosts.values()}
    assert max(tries.values()) <= 6, tries
