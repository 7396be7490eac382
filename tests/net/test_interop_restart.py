"""Graceful restart beside every daemon that has it, in both roles, with traffic: nothing may be lost.

A node of ours and one host of each daemon in its AS, a session for each family, pods on all of them. Daemons that do not
write to the kernel have the routes to our pods from the start.
"""

import pytest

from foreign import Session
from harness import wait_for
from interop import OUR_AS, kind_name, kinds_with
from objects import bgp_peer
from test_restart import Traffic, Watch

TAKES = 45  # s: it begins early

EXTRA = "10.99.0.0/24"  # announced before the restart, and not after it


class Neighbourhood:
    """Our node, and hosts of these kinds; sessions by BGPPeers. ways_back: none of them needs its daemon for the way to our
    pods, so that what is lost is lost by us."""

    def __init__(self, cluster, kinds, networks=(), ways_back=False, **options):
        self.cluster = cluster
        self.ours = cluster.add_node("ours")
        self.ours.add_pod("pod-ours")
        self.hosts = []
        for kind in kinds:
            host = cluster.add_host(kind, kind_name(kind), publish=False)
            host.add_pod(f"pod-{host.name}", cni=True, publish=False)
            self.peer(host)
            sessions = [Session(host.address(family), self.ours.address(family), OUR_AS, OUR_AS, (family,), **options)
                        for family in (4, 6)]
            if ways_back or not kind.kernel:
                host.ip(*(f"route add {block} via {self.ours.address(6 if ':' in block else 4)} metric 1" for block in self.ours.blocks))
            host.launch(*sessions, networks=[*host.blocks, *networks])
            self.hosts.append(host)
        cluster.start()
        for host in self.hosts:
            for session in host.sessions:
                host.wait_established(session)
            self.wait_both_ways(host)

    def peer(self, host, **spec):
        for family in (4, 6):
            self.cluster.write(bgp_peer(f"{host.name}-{family}", node="ours", peerIP=host.address(family), asNumber=OUR_AS, **spec))

    def wait_both_ways(self, host):
        for block in host.blocks:
            wait_for(lambda b=block: self.ours.route(b), lambda b=block: f"our route to {host.name}'s {b}")
        for session in host.sessions:
            wait_for(lambda s=session: self.blocks(s.families[0]) <= host.learned(s).keys(),
                     lambda: f"{host.name} has our blocks\n{host.tell()}")
        for block in self.ours.blocks if host.kernel else ():
            wait_for(lambda b=block: host.route(b), lambda b=block: f"{host.name}'s kernel has {b}")

    def blocks(self, family):
        return {block for block in self.ours.blocks if (":" in block) == (family == 6)}

    def shown(self, host, family=4):
        return self.ours.show("peers", host.address(family))["peer"]

    def stale(self, host):
        return sum(row["stale"] for family in (4, 6) for row in self.shown(host, family)["routes"])


def each_with(*features):
    return pytest.mark.parametrize("kind", kinds_with(*features), ids=kind_name)


@each_with("graceful restart")
def test_theirs(new_cluster, kind):
    """The daemon dies and comes back with one network less: its routes stay, until its End-of-RIB says which went."""
    there = Neighbourhood(new_cluster(mesh=False), [kind], networks=[EXTRA], ways_back=True)
    host, = there.hosts
    wait_for(lambda: there.ours.route(EXTRA), "the network that will go")
    traffic = Traffic(there.ours.pods[0], host.pods[0])
    watch = Watch(there.ours)
    before = {family: there.shown(host, family)["established"] for family in (4, 6)}
    host.crash()
    for family in (4, 6):
        wait_for(lambda f=family: there.shown(host, f)["state"] != "Established", "the sessions are down")
    assert there.stale(host) == 3
    traffic.check(f"{kind.__name__} died")
    watch.check(f"{kind.__name__} died")
    host.networks = host.blocks
    host.forget(EXTRA)
    host.begin()
    for family in (4, 6):
        wait_for(lambda f=family: there.shown(host, f)["established"] > before[f], lambda: f"it is back\n{host.tell()}", 40)
    wait_for(lambda: not there.ours.route(EXTRA), lambda: f"what it no longer has goes\n{there.ours.log_tail()}")
    wait_for(lambda: there.stale(host) == 0, "nothing is stale")
    there.wait_both_ways(host)
    traffic.end(f"{kind.__name__} came back")
    assert not [row for row in watch.rows() if EXTRA not in row]


@each_with("helper")
def test_ours(new_cluster, kind):
    """Ours dies and comes back: the daemon keeps our routes meanwhile, and our kernel keeps theirs."""
    there = Neighbourhood(new_cluster(mesh=False), [kind])
    host, = there.hosts
    traffic = Traffic(there.ours.pods[0], host.pods[0])
    watch = Watch(there.ours)
    there.ours.kill()
    for session in host.sessions:
        wait_for(lambda s=session: not host.established(s), lambda: f"{host.name} has noticed")
        assert there.blocks(session.families[0]) <= host.learned(session).keys(), f"{host.name} keeps our routes"
    traffic.check("ours died")
    there.ours.start()
    for session in host.sessions:
        host.wait_established(session, 40)
    there.wait_both_ways(host)
    wait_for(lambda: not there.ours.show("status")["restart"]["in_progress"], "our restart is over", 30)
    traffic.end("ours came back")
    watch.check("ours came back")


@each_with("notification restart")
def test_theirs_with_notification(new_cluster, kind):
    """RFC 8538: the daemon resets the session, and its routes stay."""
    there = Neighbourhood(new_cluster(mesh=False), [kind], ways_back=True, notification=True)
    host, = there.hosts
    assert there.shown(host)["capabilities"]["graceful_restart_notification"]
    traffic = Traffic(there.ours.pods[0], host.pods[0])
    watch = Watch(there.ours)
    before = {family: there.shown(host, family)["established"] for family in (4, 6)}
    for session in host.sessions:
        host.reset(session)
    for family in (4, 6):
        wait_for(lambda f=family: there.shown(host, f)["established"] > before[f], lambda: f"it is back\n{host.tell()}", 40)
    there.ours.wait_log("Administrative Reset")
    wait_for(lambda: there.stale(host) == 0, "nothing is stale")
    there.wait_both_ways(host)
    traffic.end(f"{kind.__name__} reset the session")
    watch.check(f"{kind.__name__} reset the session")


@each_with("notification helper")
def test_ours_with_notification(new_cluster, kind):
    """RFC 8538: ours resets the session for a new identifier, and the daemon keeps our routes."""
    there = Neighbourhood(new_cluster(mesh=False), [kind], notification=True)
    host, = there.hosts
    watch = Watch(host, *([there.ours] if kind.has("notification restart") else []))
    before = {family: there.shown(host, family)["established"] for family in (4, 6)}
    there.ours.configure({"bgp": {"router_id": "192.0.2.77"}})
    there.ours.reload()
    # One that writes to its kernel is watched there: it may be back before we look.
    for session in () if host.kernel else host.sessions:
        wait_for(lambda s=session: not host.established(s), lambda: f"{host.name} has noticed")
        assert there.blocks(session.families[0]) <= host.learned(session).keys(), f"{host.name} keeps our routes"
    for family in (4, 6):
        wait_for(lambda f=family: there.shown(host, f)["established"] > before[f], lambda: f"it is back\n{host.tell()}", 40)
    there.wait_both_ways(host)
    watch.check("ours reset the session")
