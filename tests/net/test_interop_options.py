"""What a BGPPeer may say beyond Calico's fields, beside every daemon that can do its part."""

import re

import pytest

from foreign import Session
from interop import OUR_AS, Circle, kind_name, kinds_with
from netns import wait_for
from objects import bgp_peer


def external(number):
    return 65100 + number


@pytest.fixture
def circle(new_cluster):
    """Makes a circle around a node of ours, which starts at once."""
    def make(kinds, **options):
        cluster = new_cluster(mesh=False)
        made = Circle(cluster, cluster.add_node("ours"), kinds, **options)
        cluster.start()
        return made
    return make


def test_dynamic(circle):
    """They dial one that knows them by their network alone."""
    ring = circle(kinds_with(), families=(4, 6))
    for host in ring.hosts.values():
        ring.cluster.delete(bgp_peer(host.name))
    ring.cluster.write(bgp_peer("everybody", node="ours", peerRange="172.18.0.0/24", asNumber=OUR_AS, families=["IPv4", "IPv6"]))
    for host in ring.hosts.values():
        host.launch(host.session, networks=[f"10.98.{host.number}.0/24"])
    ring.wait_established()
    for host in ring.hosts.values():
        for prefix in host.networks:
            wait_for(lambda p=prefix: ring.ours.route(p), lambda h=host, p=prefix: f"{p} of {h.name}\n{h.tell()}")
        wait_for(lambda h=host: set(ring.ours.blocks) <= h.learned(h.session).keys(), lambda h=host: f"our blocks at {h.name}")


def test_our_limit(circle):
    """Each tells more than we take: the session ends, the daemon says why, and it comes back when we take more."""
    ring = circle(kinds_with(), spec={"prefixLimit": {"maximum": 3}})
    for host in ring.hosts.values():
        host.launch(host.session, networks=[f"10.98.{host.number}.{part}/32" for part in range(5)])
    for host in ring.hosts.values():
        wait_for(lambda h=host: ring.shown(h)["state"] == "Idle" and "the limit is 3" in ring.shown(h)["info"],
                 lambda h=host: f"{h.name}: {ring.shown(h)['info']}", 40)
        wait_for(lambda h=host: re.search(r"max[\w -]*prefix", h.tell(), re.I),
                 lambda h=host: f"{h.name} knows why:\n{h.tell()}")
    ring.configure(prefixLimit={"maximum": 5})
    ring.wait_established(60)
    for host in ring.hosts.values():
        wait_for(lambda h=host: all(map(ring.ours.route, h.networks)), f"all routes of {host.name}")


def test_graceful_shutdown(circle):
    """RFC 8326: they see the community on what we tell; without a reset it comes and goes."""
    ring = circle(kinds_with(), numbers=external)
    ring.launch()
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
