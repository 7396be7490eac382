"""Peers in a VRF: two routers with the same address announce the same prefix, one to the node, one in the node's VRF.

Runs on a kernel of its own (uml.py), since the host's may have no VRFs."""

import pytest

from harness import wait_for
from objects import bgp_peer
from tables import Router, ours
from test_restart import Watch, wait_settled

KERNEL = "uml"
TAKES = 60  # s: it begins early

TABLE, MOVED = 1001, 1002
SHARED, FAR, NEAR = "10.60.0.0/24", "10.50.3.0/24", "10.50.2.0/24"
SIX = "fd50:3::/64"
IN_VRF, IN_VRF6, FAR6 = "172.18.0.101", "fd00:18::101/64", "fd00:18::9/64"
PASSWORD = "in the VRF"

ROUTER6 = f"""
protocol static six {{{{ ipv6; route {SIX} blackhole; }}}}
protocol bgp node6 {{{{
  local fd00:18::9 as {{own}};
  neighbor fd00:18::101 as 64512;
  password "other";
  connect delay time 1; connect retry time 2; error wait time 1, 2;
  ipv6 {{{{ import all; export where source = RTS_STATIC; }}}};
}}}}
"""


class Arena:
    def __init__(self, cluster):
        self.cluster = cluster
        self.node = cluster.add_node("node-1")
        self.pod = self.node.add_pod("web-0")
        self.block = self.node.blocks[0]
        self.near = cluster.add_host(Router, "near", blocks=[], addresses=["172.18.0.9/24"])
        self.near.begin(self.node.ip4, [NEAR, SHARED])
        self.make_vrf(TABLE)
        self.far = cluster.add_host(Router, "far", blocks=[], addresses=["172.18.0.9/24"], segment=cluster.segment("red", []))
        cluster.fabric.ip(f"link add red-node type veth peer name eth1 netns {self.node.name}",
                          "link set red-node master red up")
        self.wire()
        # It only waits: the node has to dial, bound to the VRF. In IPv6 the router dials.
        self.far.ip(f"addr add {FAR6} dev eth0 nodad")
        self.far.begin(IN_VRF, [FAR, SHARED], f'passive; password "{PASSWORD}";', ROUTER6.format(own=self.far.own))
        self.say("near", self.near)
        self.say("far", self.far, vrf="red", password=PASSWORD)
        cluster.write(bgp_peer("far6", peerIP="fd00:18::9", asNumber=self.far.own, vrf="red", passive=True, password="other"))
        cluster.start()

    def make_vrf(self, table):
        self.node.ip(f"link add red type vrf table {table}", "link set red up")

    def wire(self):
        self.node.ip("link set eth1 master red up", f"addr replace {IN_VRF}/24 dev eth1", f"addr replace {IN_VRF6} dev eth1 nodad")

    def say(self, name, router, **fields):
        self.cluster.write(bgp_peer(name, peerIP=router.ip4, asNumber=router.own, **fields))

    def of_node(self):
        return {self.pod.ip4: self.pod.interface, self.block: "blackhole"}

    def of_near(self):
        return {NEAR: self.near.ip4, SHARED: self.near.ip4, **self.of_node()}

    def of_far(self):
        return {FAR: self.far.ip4, SHARED: self.far.ip4, **self.of_node()}

    def wait_table(self, table, expected, timeout=40):
        wait_for(lambda: ours(self.node, table) == expected,
                 lambda: f"table {table} is {expected}, not {ours(self.node, table)}\n{self.node.log_tail()}", timeout)

    def wait_six(self, table):
        wait_for(lambda: SIX in [route["dst"] for route in self.node.routes(6, table)],
                 lambda: f"{SIX} in table {table}\n{self.node.calidris('show', 'peers')}{self.node.log_tail()}", 60)
        assert [route["dev"] for route in self.node.routes(6, table) if route["dst"] == SIX] == ["eth1"]

    def device(self, prefix, table):
        return next(route["dev"] for route in self.node.routes(4, table) if route["dst"] == prefix)

    def peer(self):
        return self.node.show("peers", "Global_172_18_0_9_vrf_red")["peer"]


@pytest.fixture(scope="module")
def arena(new_shared_cluster):
    made = Arena(new_shared_cluster(mesh=False, families=(4,)))
    made.wait_table("main", made.of_near())
    made.wait_table(TABLE, made.of_far())
    return made


def test_one_prefix_in_two_worlds(arena):
    assert arena.near.ip4 == arena.far.ip4
    assert arena.device(SHARED, "main") == "eth0"
    assert arena.device(SHARED, TABLE) == "eth1"
    for router in (arena.near, arena.far):
        router.wait_has(arena.block)
    assert not arena.far.has(NEAR)
    assert not arena.near.has(FAR)
    arena.wait_six(TABLE)
    assert SIX not in [route["dst"] for route in arena.node.routes(6, "main")]
    peers = {peer["name"]: (peer["vrf"], peer["table"]) for peer in arena.node.show("peers")["peers"]}
    assert peers == {"Global_172_18_0_9": (None, 254), "Global_172_18_0_9_vrf_red": ("red", TABLE),
                     "Global_fd00_18__9_vrf_red": ("red", TABLE)}
    assert {route["prefix"] for route in arena.node.show("routes", "vrf", "red")["routes"]} >= {FAR, SHARED, arena.block}
    told = arena.node.calidris("explain", "10.60.0.1", "vrf", "red")
    assert "dev eth1" in told
    assert "dev eth0" not in told


def test_pods_are_reached_and_a_kill_loses_nothing(arena):
    """The pod's answers need a rule: the pod itself is in no VRF, and its routes are those of the main table."""
    node = arena.node
    node.ip(f"rule add to {FAR} lookup {TABLE} pref 900")
    source = FAR.replace(".0/24", ".1")
    wait_for(lambda: arena.pod.pings(source), "the router in the VRF answers the pod", 30)
    assert arena.far.run("ping", "-n", "-q", "-c", 1, "-W", 4, "-I", source, arena.pod.ip4)
    ping = arena.pod.start_ping(source, 0.02)
    ping.wait_received(10)
    watch = Watch(node)
    node.kill()
    node.start()
    wait_settled(node, timeout=40)
    arena.wait_table(TABLE, arena.of_far())
    watch.check("kill -9")
    ping.wait_received(ping.received + 10)
    lost = ping.lost
    ping.stop()
    assert not lost
    assert [(row["vrf"], row["adopted"], row["writes"]) for row in node.show("status")["tables"]] == \
        [("red", len(arena.of_far()) + 2, 0)]


def test_who_calls_in_the_vrf_finds_his_peer(arena):
    """Now it is the router that dials."""
    arena.say("far", arena.far, vrf="red", passive=True, password=PASSWORD)
    arena.far.stop()
    arena.far.begin_again(f'password "{PASSWORD}";')
    wait_for(lambda: arena.peer()["state"] == "Established" and arena.peer()["dialled_by"] == "the peer", arena.peer, 40)
    arena.wait_table(TABLE, arena.of_far())
    assert arena.node.show("peers", "Global_172_18_0_9")["peer"]["established"] == 1
    arena.say("far", arena.far, vrf="red", password=PASSWORD)


def test_a_table_is_of_one_kind(arena):
    """The VRF's table cannot be that of peers outside it as well."""
    node = arena.node
    arena.say("near", arena.near, kernelTable=TABLE)
    wait_for(lambda: any(f"table {TABLE} is that of VRF red" in problem for problem in node.show("problems")["problems"]),
             lambda: node.calidris("show", "problems"))
    arena.wait_table("main", arena.of_node())
    arena.wait_table(TABLE, arena.of_far())
    arena.say("near", arena.near)
    arena.wait_table("main", arena.of_near())


def test_the_device_goes_and_comes_with_another_table(arena):
    node = arena.node
    node.ip("link del red")
    wait_for(lambda: "there is no VRF red: ip link add" in arena.peer()["info"], arena.peer)
    arena.wait_table(TABLE, {})
    arena.wait_table("main", arena.of_near())
    arena.make_vrf(MOVED)
    arena.wire()
    arena.wait_table(MOVED, arena.of_far(), 90)
    arena.wait_six(MOVED)
    assert not ours(node, TABLE)
    # Where object and device disagree there is no session, and the reason is said.
    arena.say("far", arena.far, vrf="red", kernelTable=TABLE, password=PASSWORD)
    wait_for(lambda: any(f"kernelTable is {TABLE}, but VRF red has table {MOVED}" in problem
                         for problem in node.show("problems")["problems"]), lambda: node.calidris("show", "problems"))
    arena.wait_table(MOVED, arena.of_node())
    arena.say("far", arena.far, vrf="red", kernelTable=MOVED, password=PASSWORD)
    arena.wait_table(MOVED, arena.of_far(), 60)


def test_what_an_earlier_run_has_left_goes(arena):
    arena.node.kill()
    arena.cluster.delete(bgp_peer("far"))
    arena.cluster.delete(bgp_peer("far6"))
    arena.node.start()
    arena.wait_table(MOVED, {}, 60)
    arena.wait_table("main", arena.of_near())
    assert len(arena.node.show("peers")["peers"]) == 1
