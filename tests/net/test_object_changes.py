"""BGPFilters, communities, pools, priorities and settings of peers on a running node between two BIRD routers: what each
change does to what the routers see, and that it touches the sessions and kernel routes that it must and no others."""

import contextlib

import pytest

from netns import wait_for
from objects import bgp_configuration, bgp_peer, ip_pool, node_object, thing
from test_route_options import Tor

OUTSIDE = "10.60.0.0/24"  # both routers have it


def bgp_filter(name, **spec):
    return thing("BGPFilter", name, spec)


class Fabric:
    """node-1 between two routers, and node-2 in the mesh with it."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.secrets = cluster.directory / "secrets"
        self.node, self.other = (cluster.add_node(f"node-{index}", config={"datastore": {"secrets": str(self.secrets)}})
                                 for index in (1, 2))
        self.tors = [cluster.add_host(Tor, f"tor-{index}", blocks=[], publish=False) for index in (3, 4)]
        self.specs = [{"node": "node-1", "peerIP": tor.ip4, "asNumber": tor.own} for tor in self.tors]
        self.block = self.node.blocks[0]
        for tor in self.tors:
            tor.begin(self.node)
        self.write()
        self.node.add_pod("pod-1")
        cluster.start()
        cluster.wait_local()
        for tor in self.tors:
            self.wait(tor, self.block, "as_path", "64512")
            wait_for(lambda tor=tor: self.route(OUTSIDE, tor), "the fabric's route is there", 30)
        wait_for(lambda: self.other.route(self.block), "the mesh has the block", 30)
        # Until then what is stale stays in the kernel, and would count later.
        self.node.wait_log("start complete", 30)

    def write(self):
        self.cluster.write(*(bgp_peer(tor.name, **spec) for tor, spec in zip(self.tors, self.specs)))

    def say(self, index=0, **changes):
        """None takes a field out."""
        self.specs[index].update(changes)
        self.write()

    @staticmethod
    def wait(tor, prefix, name, value):
        wait_for(lambda: tor.attribute(prefix, name) == value,
                 lambda: f"{tor.name}: {name} of {prefix} is {tor.attribute(prefix, name)}, not {value}", 30)

    def gone(self, tor, prefix):
        self.wait(tor, prefix, "origin", None)

    def there(self, tor, prefix):
        self.wait(tor, prefix, "origin", "IGP")

    def route(self, prefix, tor):
        """The router's route as the node has it, whatever became of it."""
        return next((route for route in self.node.show("routes", "all")["routes"]
                     if route["prefix"] == prefix and route["from"].startswith("Node_" + tor.ip4.replace(".", "_"))), None)

    def sessions(self):
        return {peer["name"]: self.node.show("peers", peer["name"])["peer"]["established"]
                for peer in self.node.show("peers")["peers"]}

    def writes(self):
        kernel = self.node.show("status")["kernel"]
        return kernel["writes"] + kernel["deletes"]

    def explain(self, address):
        return self.node.calidris("-o", "json", "explain", address)

    @contextlib.contextmanager
    def change(self, kernel=0, resets=()):
        """What is done inside writes at most so many kernel routes and resets the sessions with these routers only."""
        sessions, writes = self.sessions(), self.writes()
        yield
        expected = {name: count + any(name.endswith(tor.ip4.replace(".", "_")) for tor in resets)
                    for name, count in sessions.items()}
        wait_for(lambda: self.sessions() == expected, lambda: f"{sessions}, then {self.sessions()}")
        assert self.writes() - writes <= kernel


@pytest.fixture(scope="module")
def fabric(new_shared_cluster):
    return Fabric(new_shared_cluster(families=(4,)))


def test_export_filter(fabric):
    """Operations in order, an Accept ahead of the built-in filter, a Reject; of this peer's session alone."""
    tor, other = fabric.tors
    rule = {"action": "Accept", "cidr": fabric.block, "matchOperator": "Equal",
            "operations": [{"addCommunity": {"value": "65001:100"}}, {"addCommunity": {"value": "65001:1:2"}},
                           {"prependASPath": {"prefix": [65010, 65011]}}]}
    with fabric.change():
        fabric.cluster.write(bgp_filter("tor", exportV4=[rule]))
        fabric.say(filters=["missing", "tor"])
        # A filter's path stands left of the node's own AS.
        fabric.wait(tor, fabric.block, "as_path", "65010 65011 64512")
        assert tor.attribute(fabric.block, "community") == "(65001,100)"
        assert tor.attribute(fabric.block, "large_community") == "(65001, 1, 2)"
        assert other.attribute(fabric.block, "as_path") == "64512"
        assert "BGPFilter missing, which BGPPeers name, is not there" in fabric.node.calidris("show", "problems")
        assert "BGPFilter tor, exportV4[0]" in fabric.explain(fabric.block.split("/")[0])
    with fabric.change():
        fabric.cluster.write(bgp_filter("tor", exportV4=[{"action": "Reject"}]))
        fabric.gone(tor, fabric.block)
        assert other.attribute(fabric.block, "as_path") == "64512" and fabric.other.route(fabric.block)
    with fabric.change():
        # One that makes no sense changes nothing.
        fabric.cluster.write(bgp_filter("tor", exportV4=[{"action": "Accept", "vrf": "blue"}]))
        fabric.node.wait_log(r"BGPFilter tor: spec.exportV4\[0\].vrf: not a known field; the last good version")
        assert tor.attribute(fabric.block, "origin") is None
    with fabric.change():
        fabric.cluster.delete(bgp_filter("tor"))
        fabric.say(filters=None)
        fabric.wait(tor, fabric.block, "as_path", "64512")


def test_import_filter(fabric):
    """What comes in is judged anew in place, and the kernel follows where the best route does."""
    tor, other = fabric.tors
    with fabric.change(kernel=2):
        fabric.cluster.write(bgp_filter("in", importV4=[
            {"action": "Reject", "cidr": OUTSIDE, "matchOperator": "Equal", "peerType": "eBGP", "asPathPrefix": [tor.own]}]))
        fabric.say(filters=["in"])
        wait_for(lambda: "rejected" in fabric.route(OUTSIDE, tor)["state"], lambda: str(fabric.route(OUTSIDE, tor)))
        assert "rejected" not in fabric.route(OUTSIDE, other)["state"]
        assert "BGPFilter in, importV4[0]" in fabric.explain("10.60.0.1")
    with fabric.change(kernel=4):
        fabric.cluster.write(bgp_filter("in", importV4=[
            {"action": "Accept", "cidr": "10.0.0.0/8", "matchOperator": "In", "prefixLength": {"min": 24, "max": 24},
             "operations": [{"setPriority": {"value": 700}}]}]))
        wait_for(lambda: fabric.route(OUTSIDE, tor)["local_pref"] == 2147483647 - 700,
                 lambda: str(fabric.route(OUTSIDE, tor)))
        wait_for(lambda: (fabric.node.route(OUTSIDE) or {}).get("metric") == 700, lambda: str(fabric.node.route(OUTSIDE)))
    with fabric.change(kernel=4):
        fabric.say(filters=None)
        fabric.cluster.delete(bgp_filter("in"))
        wait_for(lambda: fabric.route(OUTSIDE, tor)["local_pref"] == 100, "as it was")


def test_interface_condition(fabric):
    """Of what is received by the way to its next hop, of what is announced by the workload's interface; it follows both."""
    tor = fabric.tors[0]
    pod = fabric.node.pods[0]
    rules = [{"action": "Reject", "interface": "eth1"}, {"action": "Accept", "interface": "eth*"}, {"action": "Reject"}]
    export = [{"action": "Accept", "interface": "cali*"}, {"action": "Reject"}]
    with fabric.change(kernel=4):
        fabric.cluster.write(bgp_filter("by-interface", importV4=rules, exportV4=export))
        fabric.say(filters=["by-interface"])
        fabric.there(tor, f"{pod.ip4}/32")
        fabric.gone(tor, fabric.block)
        wait_for(lambda: "rejected" not in fabric.route(OUTSIDE, tor)["state"], lambda: str(fabric.route(OUTSIDE, tor)))
        assert "BGPFilter by-interface, importV4[1]" in fabric.explain("10.60.0.1")
    # The router's two routes go and come back, and where they go in between is of no interest.
    with fabric.change(kernel=10):
        fabric.node.ip("link add eth1 type veth peer name eth2", "link set eth1 up", "link set eth2 up",
                       f"route add {tor.ip4}/32 dev eth1")
        wait_for(lambda: "rejected" in fabric.route(OUTSIDE, tor)["state"], lambda: str(fabric.route(OUTSIDE, tor)))
        fabric.node.ip("link del eth1")
        wait_for(lambda: "rejected" not in fabric.route(OUTSIDE, tor)["state"], lambda: str(fabric.route(OUTSIDE, tor)))
    with fabric.change(kernel=4):
        fabric.say(filters=None)
        fabric.cluster.delete(bgp_filter("by-interface"))
        fabric.there(tor, fabric.block)


def test_prefix_advertisements(fabric):
    """Communities of the default object, and of the node's own in its place."""
    tor = fabric.tors[0]
    default = {"communities": [{"name": "c1", "value": "65001:100"}],
               "prefixAdvertisements": [{"cidr": "10.0.0.0/8", "communities": ["c1", "65001:200"]}]}
    own = {"prefixAdvertisements": [{"cidr": fabric.block, "communities": ["65001:7:8"]}]}
    node = thing("BGPConfiguration", "node.node-1", own)
    with fabric.change():
        fabric.cluster.write(bgp_configuration(**default))
        fabric.wait(tor, fabric.block, "community", "(65001,100) (65001,200)")
    with fabric.change():
        fabric.cluster.write(node)
        fabric.wait(tor, fabric.block, "large_community", "(65001, 7, 8)")
        assert tor.attribute(fabric.block, "community") is None
    with fabric.change():
        fabric.cluster.delete(node)
        fabric.cluster.write(bgp_configuration())
        fabric.wait(tor, fabric.block, "large_community", None)
        fabric.wait(tor, fabric.block, "community", None)


def test_pool_and_priority(fabric):
    tor, others = fabric.tors[0], fabric.other.blocks[0]
    # node-2 withdraws its block, too.
    with fabric.change(kernel=1):
        fabric.cluster.write(ip_pool("10.244.0.0/16", disableBGPExport=True))
        fabric.gone(tor, fabric.block)
        wait_for(lambda: not fabric.node.route(others), "node-2's block is gone")
    with fabric.change(kernel=1):
        fabric.cluster.write(ip_pool("10.244.0.0/16", disabled=True))
        fabric.there(tor, fabric.block)
        wait_for(lambda: fabric.node.route(others), "node-2's block is back")
        fabric.cluster.write(ip_pool("10.244.0.0/16"))
    # The workload's route has the priority for its metric, and so has what node-2 announces: there before the old one goes.
    with fabric.change(kernel=4):
        fabric.cluster.write(bgp_configuration(ipv4NormalRoutePriority=900))
        wait_for(lambda: fabric.node.route(others)["metric"] == 900, lambda: str(fabric.node.route(others)))
        wait_for(lambda: any(route["prefix"] == fabric.block and route["local_pref"] == 2147483647 - 900
                             for route in fabric.node.show("routes", "all")["routes"]), "another priority")
    with fabric.change(kernel=4):
        fabric.cluster.write(bgp_configuration())
        wait_for(lambda: fabric.node.route(others)["metric"] == 1024, lambda: str(fabric.node.route(others)))
        wait_for(lambda: any(route["prefix"] == fabric.block and route["local_pref"] == 2147483647 - 1024
                             for route in fabric.node.show("routes", "all")["routes"]), "the priority as it was")


def test_drain(fabric):
    """A cordoned node asks by itself to be used last, and is used again when it is no longer cordoned."""
    tor = fabric.tors[0]
    plain = node_object("node-1", fabric.node.addresses)
    with fabric.change():
        fabric.cluster.write({**plain, "spec": {**plain["spec"], "unschedulable": True}})
        fabric.wait(tor, fabric.block, "community", "(65535,0)")
        assert fabric.node.show("status")["graceful_shutdown"]
    with fabric.change():
        fabric.cluster.write({**plain, "metadata": {**plain["metadata"],
                                                    "annotations": {"calidris.io/gracefulShutdown": "true"}}})
        wait_for(lambda: fabric.node.show("status")["graceful_shutdown"], "by annotation, too")
    with fabric.change():
        fabric.node.publish()
        fabric.wait(tor, fabric.block, "community", None)


def test_ecmp_width(fabric):
    """Both routers' routes side by side, then one, then as many as the configuration says."""
    both = lambda: sum(route["prefix"] == OUTSIDE and (route["best"] or route["multipath"])
                       for route in fabric.node.show("routes", "all")["routes"])
    fabric.tors[0].change(export="bgp_path.empty; bgp_path.prepend(65300);")
    fabric.tors[1].change(export="bgp_path.empty; bgp_path.prepend(65300);")
    with fabric.change(kernel=8):
        fabric.say(enforceFirstAS=False)
        fabric.say(1, enforceFirstAS=False)
        wait_for(lambda: both() == 2, lambda: str(fabric.node.show("routes", "all")["routes"]), 30)
    with fabric.change(kernel=1):
        fabric.cluster.write({**bgp_configuration(), "metadata": {"name": "default",
                                                                  "annotations": {"calidris.io/maxPaths": "1"}}})
        wait_for(lambda: both() == 1, lambda: str(fabric.node.show("routes", "all")["routes"]))
        wait_for(lambda: "nexthops" not in fabric.node.route(OUTSIDE), lambda: str(fabric.node.route(OUTSIDE)))
    with fabric.change(kernel=1):
        fabric.cluster.write(bgp_configuration())
        wait_for(lambda: len(fabric.node.route(OUTSIDE).get("nexthops", [])) == 2,
                 lambda: str(fabric.node.route(OUTSIDE)))


def test_settings_of_a_peer(fabric):
    """Most wait for the next session or change in place; BGP itself forces a new one for some."""
    with fabric.change():
        fabric.say(holdTime="33s", keepaliveTime="11s", maxRestartTime="99s", numAllowedLocalASNumbers=2)
    with fabric.change():
        fabric.say(nextHopMode="Self", reversePeering="Manual", addPathLimit=3)


def test_password_from_a_secret(fabric):
    """A file that stands for a Secret: without it there is no password, its change is another session's."""
    tor = fabric.tors[0]
    established = lambda: fabric.node.show("peers", tor.ip4)["peer"]["state"] == "Established"
    with fabric.change():
        fabric.say(password={"secretKeyRef": {"name": "bgp", "key": "tor"}})
        wait_for(lambda: "bgp/tor: No such file" in fabric.node.calidris("show", "problems"), "the missing Secret is told")
    with fabric.change(kernel=4, resets=(tor,)):
        tor.change(options='password "s3cret";')
        (fabric.secrets / "bgp").mkdir(parents=True)
        (fabric.secrets / "bgp" / "tor").write_text("s3cret\n")
        wait_for(lambda: "bgp/tor" not in fabric.node.calidris("show", "problems"), lambda: fabric.node.calidris("show", "problems"), 5)
        wait_for(established, lambda: fabric.node.calidris("show", "peers"), 40)
    with fabric.change():
        # The same in another way.
        fabric.say(password="s3cret")


def test_reachable_by(fabric):
    """A host route of the peer's own: next hops with its address lead through the gateway, and back."""
    tor, gateway = fabric.tors[0], fabric.other  # a node forwards
    host, prefix = f"{tor.ip4}/32", f"10.50.{tor.index}.0/24"
    leads = lambda to: (fabric.node.route(to) or {}).get("gateway")
    wait_for(lambda: leads(prefix) == tor.ip4, lambda: str(fabric.node.route(prefix)), 40)
    with fabric.change(kernel=3):
        fabric.say(reachableBy=gateway.ip4)
        wait_for(lambda: leads(host) == gateway.ip4, lambda: str(fabric.node.route(host)))
        assert fabric.node.route(host).get("metric", 0) == 0
        wait_for(lambda: leads(prefix) == gateway.ip4, lambda: str(fabric.node.route(prefix)))
    with fabric.change(kernel=3):
        fabric.say(reachableBy=None)
        wait_for(lambda: not fabric.node.route(host), lambda: str(fabric.node.route(host)))
        wait_for(lambda: leads(prefix) == tor.ip4, lambda: str(fabric.node.route(prefix)))


def test_other_nodes(fabric):
    """A node comes, is selected by its label, and goes: its own sessions come, change and go, and no others."""
    sessions, writes = fabric.sessions(), fabric.writes()
    name = "172_18_0_77"
    far = lambda **labels: node_object("far", ["172.18.0.77/24"], labels=labels)
    selects = bgp_peer("by-label", node="node-1", peerSelector="has(colour)")

    def expect(*more):
        names = lambda: {peer["name"] for peer in fabric.node.show("peers")["peers"]}
        wait_for(lambda: names() == {*sessions, *more}, lambda: str(names()))

    fabric.cluster.write(far())
    expect(f"Mesh_{name}")
    fabric.cluster.write(selects)
    fabric.cluster.write(far(colour="blue"))
    expect(f"Node_{name}")
    fabric.cluster.write(far())
    expect(f"Mesh_{name}")
    fabric.cluster.write(far(colour="red"))
    expect(f"Node_{name}")
    fabric.cluster.delete(far())
    expect()
    fabric.cluster.delete(selects)
    assert fabric.sessions() == sessions
    assert fabric.writes() == writes
