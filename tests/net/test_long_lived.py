"""Long-lived graceful restart (RFC 9494) beside the daemons that have it: as the helper of theirs, and they of ours."""

import pytest

from foreign import Session
from harness import wait_for
from objects import bgp_peer, ip_pool
from peers import PEERS, BirdNode

TAKES = 30  # s: it begins early

STALE = "65535:6"
SHORT, LONG = 2, 600
OWN = "10.99.0.0/24"
KINDS = [kind for kind in PEERS if kind.has("long-lived") and kind.has("graceful restart")]


class Lasting:
    """A node, the daemon that will go away (of our AS), and two BIRDs in other ASes: one knows RFC 9494, one does not."""

    def __init__(self, cluster, kind):
        self.cluster = cluster
        self.node = cluster.add_node("node-1", config={"bgp": {"graceful_restart": {
            "restart_time": SHORT, "long_lived_stale_time": LONG}}})
        self.goes = self.host(kind, "goes")
        self.knows, self.does_not = self.host(BirdNode, "knows"), self.host(BirdNode, "does-not")
        # Those of other ASes hear of what is outside the pools, too.
        cluster.write(ip_pool("10.99.0.0/16", name="outside"))
        self.peer(self.goes, 64512)
        self.peer(self.knows, 65001)
        self.peer(self.does_not, 65002)
        self.session = self.session_of(self.goes, 64512, long_lived=LONG)
        self.listener = self.session_of(self.knows, 65001, long_lived=0)
        self.ignorant = self.session_of(self.does_not, 65002)
        self.goes.launch(self.session, networks=[OWN])
        self.knows.launch(self.listener)
        self.does_not.launch(self.ignorant)
        self.block = self.node.blocks[0]

    def host(self, kind, name):
        return self.cluster.add_host(kind, name, blocks=[], publish=False)

    def peer(self, host, as_number):
        self.cluster.write(bgp_peer(host.name, node=self.node.name, peerIP=host.ip4, asNumber=as_number))

    def session_of(self, host, as_number, **options):
        return Session(host.ip4, self.node.ip4, as_number, 64512, families=(4,), passive=False, restart_time=SHORT, **options)

    def communities(self, host, session, prefix):
        """What the host has of the prefix; None if nothing."""
        route = host.learned(session).get(prefix)
        return route and route.communities

    def shown(self):
        return self.node.show("peers", self.goes.ip4)["peer"]

    def route(self):
        return next((route for route in self.node.show("routes", "all")["routes"] if route["prefix"] == OWN), {"state": "none"})


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def lasting(request, new_cluster):
    made = Lasting(new_cluster(mesh=False, families=(4,)), request.param)
    made.cluster.start()
    made.goes.wait_established(made.session)
    for host, session in ((made.knows, made.listener), (made.does_not, made.ignorant)):
        wait_for(lambda host=host, session=session: made.communities(host, session, OWN) == (), "the route is told", 30)
    wait_for(lambda: made.communities(made.goes, made.session, made.block) is not None, "and ours too", 30)
    return made


def test_we_help(lasting):
    capabilities = lasting.shown()["capabilities"]
    assert capabilities["long_lived_graceful_restart"]
    assert capabilities["long_lived_stale_time_ipv4"] == LONG
    lasting.goes.crash()
    wait_for(lambda: lasting.route()["state"] == "best, stale", lambda: str(lasting.route()))
    wait_for(lambda: lasting.route()["state"] == "best, long-lived stale", lambda: str(lasting.route()))
    assert "ipv4 routes are used last for 9m" in lasting.shown()["info"]
    wait_for(lambda: lasting.communities(lasting.knows, lasting.listener, OWN) == (STALE,), "who knows is told")
    wait_for(lambda: lasting.communities(lasting.does_not, lasting.ignorant, OWN) is None, "who does not loses it")
    assert lasting.node.route(OWN)
    lasting.goes.begin()
    lasting.goes.wait_established(lasting.session)
    wait_for(lambda: lasting.route()["state"] == "best", lambda: str(lasting.route()), 30)
    for host, session in ((lasting.knows, lasting.listener), (lasting.does_not, lasting.ignorant)):
        wait_for(lambda host=host, session=session: lasting.communities(host, session, OWN) == (), "fresh again")


def test_we_are_helped(lasting):
    lasting.node.kill()
    wait_for(lambda: STALE in (lasting.communities(lasting.goes, lasting.session, lasting.block) or ()),
             lambda: f"kept, and marked: {lasting.communities(lasting.goes, lasting.session, lasting.block)}\n{lasting.goes.tell()}", 20)
    lasting.node.start()
    lasting.goes.wait_established(lasting.session)
    wait_for(lambda: lasting.communities(lasting.goes, lasting.session, lasting.block) == (),
             lambda: f"fresh again\n{lasting.goes.tell()}", 30)
