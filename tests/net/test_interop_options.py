"""What a BGPPeer may say beyond Calico's fields, beside every daemon that can do its part."""

import contextlib
import dataclasses
import re

import pytest

from foreign import Session
from interop import OUR_AS, circle, kind_name, kinds_with, reflected, router_id
from netns import wait_for
from objects import bgp_peer
from routes import FIELDS, differences, random_routes, updates_of, withdrawals_of
from speaker import capability

TAKES = 40  # s: it begins early


def external(number):
    return 65100 + number


@pytest.fixture
def around(new_cluster):
    """Makes a circle; its speaker ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda kinds, **options: stack.enter_context(circle(new_cluster, kinds, **options))


def test_dynamic(around):
    """They dial one that knows them by their network alone."""
    ring = around(kinds_with(), families=(4, 6))
    for host in ring.hosts.values():
        ring.cluster.delete(bgp_peer(host.name))
    ring.cluster.write(bgp_peer("everybody", node="ours", peerRange="172.18.0.0/24", asNumber=OUR_AS, families=["IPv4", "IPv6"]))
    for host in ring.hosts.values():
        host.launch(host.session, networks=[f"10.98.{host.number}.0/24"])
    ring.cluster.start()
    ring.wait_established()
    for host in ring.hosts.values():
        for prefix in host.networks:
            wait_for(lambda p=prefix: ring.ours.route(p), lambda h=host, p=prefix: f"{p} of {h.name}\n{h.tell()}")
        wait_for(lambda h=host: set(ring.ours.blocks) <= h.learned(h.session).keys(), lambda h=host: f"our blocks at {h.name}")


def test_our_limit(around):
    """Each tells more than we take: the session ends, the daemon says why, and it comes back when we take more."""
    ring = around(kinds_with(), spec={"prefixLimit": {"maximum": 3}})
    for host in ring.hosts.values():
        host.launch(host.session, networks=[f"10.98.{host.number}.{part}/32" for part in range(5)])
    ring.cluster.start()
    for host in ring.hosts.values():
        wait_for(lambda h=host: ring.shown(h)["state"] == "Idle" and "the limit is 3" in ring.shown(h)["info"],
                 lambda h=host: f"{h.name}: {ring.shown(h)['info']}", 40)
        wait_for(lambda h=host: re.search(r"max[\w -]*prefix", h.tell(), re.I),
                 lambda h=host: f"{h.name} knows why:\n{h.tell()}")
    ring.configure(prefixLimit={"maximum": 5})
    ring.wait_established(60)
    for host in ring.hosts.values():
        wait_for(lambda h=host: all(map(ring.ours.route, h.networks)), f"all routes of {host.name}")


def test_graceful_shutdown(around):
    """RFC 8326: they see the community on what we tell; without a reset it comes and goes."""
    ring = around(kinds_with(), numbers=external)
    ring.launch()
    ring.cluster.start()
    ring.wait_established()

    def marked(host):
        found = host.learned(host.session)
        return {prefix: "65535:0" in found[prefix].communities for prefix in ring.ours.blocks if prefix in found}

    for spec, wanted in (({}, False), ({"gracefulShutdown": True}, True), ({}, False)):
        ring.configure(**spec)
        for host in ring.hosts.values():
            wait_for(lambda h=host, w=wanted: marked(h) == dict.fromkeys(ring.ours.blocks, w), lambda h=host: f"{h.name}: {marked(h)}")
    assert {ring.shown(host)["established"] for host in ring.hosts.values()} == {1}


def gateway_of(route):
    return route["gateway"] if "gateway" in route else route["via"]["host"]


@pytest.mark.parametrize("kind", kinds_with("ipv6 next hops"), ids=kind_name)
def test_ipv6_only(new_cluster, kind):
    """RFC 8950: our node has no IPv4 address of its own, but IPv4 pods: they are reached over IPv6 next hops, both ways."""
    cluster = new_cluster(mesh=False)
    gateway = "fd00:18::fffe"
    cluster.segment(gateways=[f"{gateway}/64"])
    ours = cluster.add_node("ours", addresses=["fd00:18::1/64"])
    ours.add_pod("pod-ours")
    host = cluster.add_host(kind, kind_name(kind), publish=False)
    host.add_pod("pod-theirs", cni=True, publish=False)
    for one in (ours, host):
        one.ip(f"route add 0.0.0.0/0 via inet6 {gateway}")  # what makes the pods' 169.254.1.1 answer
    cluster.write(bgp_peer("fabric", node="ours", peerIP=host.ip6, asNumber=OUR_AS, families=["IPv4", "IPv6"], extendedNextHop=True))
    session = Session(host.ip6, ours.ip6, OUR_AS, OUR_AS, next_hops={4: host.ip6}, ext_next_hop=True)
    if not kind.kernel:
        host.ip(*(f"route add {block} via inet6 {ours.ip6}" for block in ours.blocks))
    host.launch(session, networks=host.blocks)
    cluster.start()
    host.wait_established(session)
    assert ours.show("peers", host.ip6)["peer"]["capabilities"]["extended_next_hop"]
    for block in host.blocks:
        wait_for(lambda b=block: ours.route(b), lambda b=block: f"our route to {b}\n{ours.log_tail()}")
        # FRR names its link-local address, too, and that one is the gateway then.
        assert gateway_of(ours.route(block)) == host.ip6 or gateway_of(ours.route(block)).startswith("fe80:")
    for block in ours.blocks:
        wait_for(lambda b=block: b in host.learned(session), lambda b=block: f"{b} at {host.name}\n{host.tell()}\n{ours.log_tail()}")
        assert host.learned(session)[block].next_hop in (ours.ip6, "")
        wait_for(lambda b=block: host.route(b), lambda b=block: f"{host.name}'s kernel has {b}")
        assert gateway_of(host.route(block)) == ours.ip6
    one, two = ours.pods[0], host.pods[0]
    for source, target in ((one, two), (two, one)):
        for address in target.addresses:
            assert source.pings(address), f"{source.name} to {address}"


# Several paths of a prefix

SHARED = 30  # prefixes that every source has, of each family


def same_prefixes(hops, sources):
    """[[Route]] of each source: the same prefixes, each with attributes of its own."""
    return [[route.with_(prefix=shared.prefix, path_id=number) for route, shared in zip(
        random_routes(23, 60 + number, SHARED, hops={family: [hops[family][number]] for family in hops}, internal=True),
        random_routes(23, 60, SHARED, hops=hops, internal=True))] for number in range(1, sources + 1)]


def by_hop(routes):
    """{(prefix, next hop): Route}: the sources have a next hop each. Path identifiers are the sender's business, and BIRD shows
    none."""
    known = [(route.prefix, route.path_id) for route in routes if route.path_id]
    assert len(set(known)) == len(known), "a path identifier twice"
    return {(route.prefix, route.next_hop): route.with_(path_id=0) for route in routes}


def test_paths_to_them(around):
    """RFC 7911: all clients get every source's path, and one less when a source takes its own back."""
    ring = around(kinds_with("add-path"), reflector=True, theirs={"add_path": True}, spec={"addPath": "Both"})
    given = same_prefixes(ring.hops, 3)
    sources = [ring.scripted(f"source-{number}", OUR_AS, routes) for number, routes in enumerate(given)]
    ring.launch()
    ring.cluster.start()
    ring.wait_established()

    def wait_paths(routes):
        for host in ring.hosts.values():
            wanted = {key: reflected(route, router_id(peers[route.family].address)) for routes_of_one, peers in routes
                      for key, route in by_hop(routes_of_one).items()}
            wanted = host.listed(wanted, host.session)
            fields = [name for name in FIELDS if name not in host.hides]
            wait_for(lambda h=host, w=wanted: not differences(w, by_hop(h.paths(h.session)), fields),
                     lambda h=host, w=wanted: f"{h.name}: {differences(w, by_hop(h.paths(h.session)), fields)}")

    wait_paths(list(zip(given, sources)))
    for family, peer in sources[1].items():
        ring.speaker.say(peer, b"".join(withdrawals_of([route for route in given[1] if route.family == family])))
    wait_paths([(given[0], sources[0]), (given[2], sources[2])])


def test_paths_from_them(around):
    """RFC 7911 the other way: of each daemon every path that it has."""
    ring = around(kinds_with("add-path"), reflector=True, theirs={"add_path": True}, spec={"addPath": "Both"})
    for host in ring.hosts.values():
        host.session.client, host.session.cluster_id = host.has("reflector"), f"10.0.1.{host.number}"
        host.given = [[route.with_(prefix=route.prefix.replace("10.60.", f"10.{host.number}.").replace(":3c:", f":{host.number}:"))
                       for route in routes] for routes in same_prefixes(ring.hops, 3)]
        if not host.has("relay"):
            host.launch(host.session, announced=[route for routes in host.given for route in routes])
            continue
        addresses = [ring.scripts.pair()[4] for _ in host.given]
        host.feeders = [ring.speaker.add(address, OUR_AS, updates=updates_of(routes)) for address, routes in zip(addresses, host.given)]
        host.launch(host.session, *(dataclasses.replace(host.session, remote=address, add_path=False) for address in addresses))
    ring.cluster.start()
    ring.wait_established()

    def paths(host):
        """{(prefix, next hop): path identifier}"""
        name = ring.shown(host)["name"]
        return {(route["prefix"], route["next_hop"]): route["path_id"]
                for route in ring.ours.show("routes", "all")["routes"] if route["from"] == name and not route["rejected"]}

    def wait_paths(host, given):
        wanted = {(route.prefix, route.next_hop) for routes in given for route in routes}
        wait_for(lambda: paths(host).keys() == wanted, lambda: f"{host.name}: {len(paths(host).keys() & wanted)} of {len(wanted)}, "
                 f"{len(paths(host).keys() - wanted)} too many\n{host.tell()[-3000:]}", 40)
        found = paths(host)
        assert len({(prefix, path_id) for (prefix, _hop), path_id in found.items()}) == len(found)

    for host in ring.hosts.values():
        wait_paths(host, host.given)
    for host in ring.hosts.values():
        if host.has("relay"):
            ring.speaker.say(host.feeders[1], b"".join(withdrawals_of(host.given[1])))
        else:
            host.change(gone=host.given[1])
    for host in ring.hosts.values():
        wait_paths(host, [host.given[0], host.given[2]])


# Long messages

def test_extended_messages(around):
    """RFC 8654: a route of more than 4096 octets goes to those who take it; the others keep their session and lack it."""
    ring = around(kinds_with(), reflector=True)
    ordinary, *long_ones = random_routes(31, 70, 4, hops=ring.hops, internal=True)
    long_ones = [route.with_(as_path=tuple(range(1, 1200 + 200 * number))) for number, route in enumerate(long_ones)]
    ring.scripted("source", OUR_AS, [ordinary, *long_ones], more=capability(6))
    ring.launch()
    ring.cluster.start()
    ring.wait_established()
    for host in ring.hosts.values():
        able = host.has("extended messages")
        assert ring.shown(host)["capabilities"]["extended_message"] == able, host.name
        wanted = {route.prefix: route.as_path for route in ([ordinary, *long_ones] if able else [ordinary])}

        def found(host=host):
            return {prefix: route.as_path for prefix, route in host.learned(host.session).items() if prefix in every}

        every = {route.prefix for route in (ordinary, *long_ones)}
        wait_for(lambda f=found, w=wanted: f() == w, lambda h=host, f=found: f"{h.name}: {({p: len(a) for p, a in f().items()})}")
        assert ring.shown(host)["established"] == 1
