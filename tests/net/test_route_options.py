"""What a BGPPeer may say of the routes of its session, against BIRD as the fabric: AS paths, local AS, graceful shutdown
in both roles, first ASes. All of it changes on the live session unless BGP itself forces a new one."""

import re

import pytest

from netns import run, wait_for
from objects import bgp_peer
from peers import BirdNode

TOR = """
log stderr all;
router id {ip4};
protocol device {{ scan time 2; }}
protocol static {{ ipv4; route 10.50.{index}.0/24 blackhole; route 10.60.0.0/24 blackhole; }}
template bgp node {{
  local {ip4} as {own};
  multihop;
  connect delay time 1; connect retry time 2; error wait time 1, 2;
  {options}
  ipv4 {{ import all; export filter {{ {export} accept; }}; }};
}}
protocol bgp one from node {{ neighbor {node} as {node_as}; }}
"""


class Tor(BirdNode):
    """A router of the fabric in an AS of its own."""

    @property
    def own(self):
        return 65100 + self.index

    def begin(self, node, **changes):
        self.settings = {"options": "", "export": "", "node": node.ip4, "node_as": 64512, "own": self.own}
        self.start(self.text(changes))

    def text(self, changes):
        self.settings.update(changes)
        return TOR.format(ip4=self.ip4, index=self.index, **self.settings)

    def change(self, **changes):
        self.config_file.write_text(self.text(changes))
        self.birdc("configure")

    def attribute(self, prefix, name):
        """Of the route that the node sent: its text, None without the route or the attribute."""
        shown = run(["birdc", "-s", self.socket, "show", "route", prefix, "protocol", "one", "all"], check=False).stdout
        found = re.search(rf"BGP\.{name}: (.*)", shown)
        return found and found.group(1).strip()


class Rack:
    """A node between two routers, each with a BGPPeer of its own."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.node = cluster.add_node("node-1")
        self.tors = [cluster.add_host(Tor, f"tor-{index}", blocks=[]) for index in (2, 3)]
        self.specs = [{"peerIP": tor.ip4, "asNumber": tor.own} for tor in self.tors]
        self.block = self.node.blocks[0]
        for tor in self.tors:
            tor.begin(self.node)
        self.write()
        cluster.start()
        for tor in self.tors:
            wait_for(lambda tor=tor: tor.attribute(self.block, "as_path") == "64512", f"{tor.name} has the node's block", 30)
        wait_for(lambda: self.routes("10.60.0.0/24"), "the fabric's route is there", 30)

    def write(self):
        self.cluster.write(*(bgp_peer(tor.name, **spec) for tor, spec in zip(self.tors, self.specs)))

    def say(self, index, **changes):
        """None takes a field out."""
        self.specs[index].update(changes)
        self.write()

    def resets(self):
        return [self.node.show("peers", tor.ip4)["peer"]["established"] for tor in self.tors]

    def routes(self, prefix):
        """{router: its route}, whatever became of it."""
        return {route["from"]: route for route in self.node.show("routes", "all")["routes"] if route["prefix"] == prefix}

    def best(self, prefix):
        return next((route["next_hop"] for route in self.routes(prefix).values() if route["best"]), None)


@pytest.fixture
def rack(new_cluster):
    return Rack(new_cluster(mesh=False, families=(4,)))


def test_prepend_and_local_as(rack):
    tor, other = rack.tors
    before = rack.resets()
    rack.say(0, asPathPrepend=2)
    wait_for(lambda: tor.attribute(rack.block, "as_path") == "64512 64512 64512", "our AS three times")
    assert other.attribute(rack.block, "as_path") == "64512"
    rack.say(0, asPathPrepend=None)
    wait_for(lambda: tor.attribute(rack.block, "as_path") == "64512", "our AS once again")
    assert rack.resets() == before
    # Another AS number in the OPEN takes a new session.
    tor.change(node_as=65000)
    rack.say(0, localASNumber=65000, asPathPrepend=1)
    wait_for(lambda: tor.attribute(rack.block, "as_path") == "65000 65000", "the session's AS alone", 30)
    assert rack.resets()[1] == before[1]
    # With the router's own AS number the session is an internal one.
    other.change(node_as=other.own)
    rack.say(1, localASNumber=other.own)
    wait_for(lambda: other.attribute(rack.block, "local_pref") == "2147482623", "inside the AS", 30)
    assert not other.attribute(rack.block, "as_path")
    assert other.attribute(rack.block, "next_hop") == rack.node.ip4


def test_own_as_in_the_path(rack):
    """As a fabric does it that all nodes of an AS are behind: allowed so often, in place."""
    tor = rack.tors[0]
    before = rack.resets()
    prefix = f"10.50.{tor.index}.0/24"
    wait_for(lambda: rack.best(prefix) == tor.ip4, "the route is used", 30)
    tor.change(export="bgp_path.prepend(64512);")
    wait_for(lambda: rack.best(prefix) is None, "a loop")
    name = rack.node.show("peers", tor.ip4)["peer"]["name"]
    assert "our own AS" in rack.routes(prefix)[name]["state"]
    rack.say(0, numAllowedLocalASNumbers=1)
    wait_for(lambda: rack.best(prefix) == tor.ip4, "one is allowed")
    tor.change(export="bgp_path.prepend(64512); bgp_path.prepend(64512);")
    wait_for(lambda: rack.best(prefix) is None, "two are not")
    assert rack.resets() == before


def test_graceful_shutdown_of_a_session_and_of_the_node(rack):
    tor, other = rack.tors
    before = rack.resets()
    community = "(65535,0)"
    first = rack.best("10.60.0.0/24")
    leaving = 0 if first == tor.ip4 else 1
    stays = rack.tors[1 - leaving]
    rack.say(leaving, gracefulShutdown=True)
    wait_for(lambda: rack.tors[leaving].attribute(rack.block, "community") == community, "the neighbour is asked")
    wait_for(lambda: rack.best("10.60.0.0/24") == stays.ip4, "and its routes are used last here")
    assert stays.attribute(rack.block, "community") is None
    rack.node.configure({"bgp": {"graceful_shutdown": {"announce": True}}})
    rack.node.reload()
    wait_for(lambda: stays.attribute(rack.block, "community") == community, "now all neighbours are")
    assert "Graceful shutdown announced" in rack.node.calidris("show", "status")
    assert rack.node.show("peers", stays.ip4)["peer"]["graceful_shutdown"]
    rack.node.configure({"bgp": {"graceful_shutdown": None}})
    rack.node.reload()
    rack.say(leaving, gracefulShutdown=None)
    for router in (tor, other):
        wait_for(lambda router=router: router.attribute(rack.block, "as_path") == "64512"
                 and router.attribute(rack.block, "community") is None, "over")
    assert rack.resets() == before


def test_a_router_that_leaves_is_used_last(rack):
    before = rack.resets()
    first = rack.best("10.60.0.0/24")
    leaving, stays = rack.tors if first == rack.tors[0].ip4 else reversed(rack.tors)
    leaving.change(export="bgp_community.add((65535, 0));")
    wait_for(lambda: rack.best("10.60.0.0/24") == stays.ip4, "the other router is used")
    name = rack.node.show("peers", leaving.ip4)["peer"]["name"]
    wait_for(lambda: rack.routes("10.60.0.0/24").get(name, {}).get("local_pref") == 0, lambda: rack.routes("10.60.0.0/24"))
    rack.node.configure({"bgp": {"graceful_shutdown": {"honour": False}}})
    rack.node.reload()
    wait_for(lambda: rack.best("10.60.0.0/24") == first, "unless we do not honour it")
    assert rack.resets() == before


def test_first_as(rack):
    """A route server leaves its own AS out."""
    tor = rack.tors[0]
    prefix = f"10.50.{tor.index}.0/24"
    tor.change(options="rs client;", export="bgp_path.prepend(65300);")
    rack.node.wait_log(r"malformed UPDATE: .*AS_PATH", 30)
    assert not rack.routes(prefix)
    before = rack.resets()
    rack.say(0, enforceFirstAS=False)
    wait_for(lambda: rack.best(prefix) == tor.ip4, "its routes are asked for again and taken")
    rack.say(0, enforceFirstAS=None)
    wait_for(lambda: not rack.routes(prefix), "and are no longer")
    assert rack.resets() == before


def test_prefix_limit(rack):
    """Two routes where one is allowed: the session ends, the router learns why, the operator sees when it comes back."""
    tor = rack.tors[0]
    before = rack.resets()
    rack.say(0, prefixLimit={"maximum": 2, "warning": 100})
    rack.node.wait_log(r"2 ipv4 routes received, its limit is 2\n")
    rack.say(0, prefixLimit={"maximum": 1, "restartTime": "1h"})
    peer = lambda: rack.node.show("peers", tor.ip4)["peer"]
    wait_for(lambda: peer()["state"] == "Idle", "the session is over")
    assert re.fullmatch(r"down: 2 ipv4 routes received, the limit is 1; tried again in (59m\d\ds|1h00m)", peer()["info"])
    assert peer()["prefix_limit"] == {"maximum": 1, "warning": 1, "action": "end the session", "restart_time": 3600}
    wait_for(lambda: "Maximum number of prefixes reached" in tor.logs()["bird.log"], lambda: tor.logs()["bird.log"])
    assert "2 ipv4 routes received, the limit is 1" in rack.node.calidris("show", "problems")
    rack.say(0, prefixLimit={"maximum": 1, "action": "Warn"})
    wait_for(lambda: peer()["state"] == "Established", lambda: str(peer()), 30)
    wait_for(lambda: rack.routes("10.60.0.0/24").get(peer()["name"]), "with all its routes")
    rack.say(0, prefixLimit={"maximum": 1})
    wait_for(lambda: peer()["state"] == "Idle", "and over again")
    assert peer()["info"].endswith(f"calidris reset {peer()['name']}")
    rack.say(0, prefixLimit={"maximum": 3})
    wait_for(lambda: peer()["state"] == "Established", lambda: str(peer()), 30)
    assert rack.resets() == [before[0] + 2, before[1]]
    # The operator's way to the same.
    assert rack.node.calidris("reset", "nobody", check=False).returncode == 1
    assert peer()["name"] in rack.node.calidris("reset", tor.ip4)
    wait_for(lambda: rack.resets() == [before[0] + 3, before[1]], "reset once", 30)
