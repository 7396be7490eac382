"""Peers whose routes go into a kernel table of their own (kernelTable): a node between two routers that announce the same
and different prefixes."""

import pytest

from harness import programs, wait_for
from objects import bgp_peer
from tables import MARK, Router, ours, table_of
from test_restart import Watch, wait_settled

TABLE, OTHER, FRRS = 300, 77, 78
SHARED = "10.60.0.0/24"


class Arena:
    def __init__(self, cluster):
        self.cluster = cluster
        self.node = cluster.add_node("node-1")
        self.pod = self.node.add_pod("web-0")
        self.near, self.far = (cluster.add_host(Router, name, blocks=[]) for name in ("near", "far"))
        self.near.begin(self.node.ip4, ["10.50.2.0/24", SHARED])
        self.far.begin(self.node.ip4, ["10.50.3.0/24", SHARED])
        self.block = self.node.blocks[0]
        self.say(self.near)
        self.say(self.far, kernelTable=TABLE)
        # Somebody else's route there.
        self.node.ip(f"route add 192.0.2.0/24 via {self.near.ip4} proto static table {TABLE}",
                     f"route add 192.0.2.0/24 via {self.near.ip4} proto static table {OTHER}",
                     # FRR's routes have the same protocol as ours.
                     f"route add 192.0.2.0/24 via {self.near.ip4} proto bgp table {FRRS}")
        cluster.start()

    def say(self, router, **fields):
        self.cluster.write(bgp_peer(router.name, peerIP=router.ip4, asNumber=router.own, **fields))

    def of_node(self):
        """What this node has in any table of ours."""
        return {self.pod.ip4: self.pod.interface, self.block: "blackhole"}

    def of_near(self):
        return {"10.50.2.0/24": self.near.ip4, SHARED: self.near.ip4, **self.of_node()}

    def of_far(self):
        return {"10.50.3.0/24": self.far.ip4, SHARED: self.far.ip4, **self.of_node()}

    def wait_table(self, table, expected, timeout=30):
        wait_for(lambda: ours(self.node, table) == expected,
                 lambda: f"table {table} is {expected}, not {ours(self.node, table)}\n{self.node.log_tail()}", timeout)

    def foreign_is_there(self):
        return all(table_of(self.node, table).get("192.0.2.0/24") == (self.near.ip4, protocol)
                   for table, protocol in ((TABLE, "static"), (OTHER, "static"), (FRRS, "bgp")))


@pytest.fixture(scope="module")
def arena(new_shared_cluster):
    made = Arena(new_shared_cluster(mesh=False, families=(4,)))
    made.wait_table("main", made.of_near())
    made.wait_table(TABLE, made.of_far())
    return made


def test_routes_do_not_mix(arena):
    node = arena.node
    assert arena.foreign_is_there()
    # This node's own routes are announced to both; what one router says is not told to the other.
    for router in (arena.near, arena.far):
        router.wait_has(arena.block)
    assert not arena.far.has("10.50.2.0/24")
    assert not arena.near.has("10.50.3.0/24")
    far = {route["prefix"]: route for route in node.show("routes", "table", str(TABLE))["routes"]}
    assert set(far) == {"10.50.3.0/24", SHARED, arena.block} | ({f"{arena.pod.ip4}/32"} & set(far))
    assert far[SHARED]["next_hop"] == arena.far.ip4
    assert far[SHARED]["table"] == TABLE
    near = {route["prefix"]: route for route in node.show("routes")["routes"]}
    assert near[SHARED]["next_hop"] == arena.near.ip4
    assert "10.50.3.0/24" not in near


def test_commands_say_the_table(arena):
    node = arena.node
    peers = {peer["address"]: peer["table"] for peer in node.show("peers")["peers"]}
    assert peers == {arena.near.ip4: 254, arena.far.ip4: TABLE}
    assert f"table {TABLE}" in node.calidris("show", "peers")
    kernel = {route["prefix"]: route for route in node.show("kernel", "table", str(TABLE))["kernel"]}
    assert kernel["10.50.3.0/24"]["state"] == "installed"
    assert kernel["10.50.3.0/24"]["table"] == TABLE
    assert "10.50.2.0/24" not in kernel
    told = node.calidris("explain", "10.60.0.1", "table", str(TABLE))
    assert f"via {arena.far.ip4}" in told
    assert arena.near.ip4 not in told
    assert f"via {arena.near.ip4}" in node.calidris("explain", "10.60.0.1")
    refused = node.calidris("show", "routes", "table", "999", check=False)
    assert refused.returncode
    assert "999" in refused.stderr
    tables = node.show("status")["tables"]
    assert [(row["table"], row["installed"]) for row in tables] == [(TABLE, len(arena.of_far()) + 1)]


def test_kill_writes_nothing_anew(arena):
    node = arena.node
    watch = Watch(node)
    node.kill()
    node.start()
    wait_settled(node, timeout=30)
    arena.wait_table(TABLE, arena.of_far())
    watch.check("kill -9")
    tables = node.show("status")["tables"]
    assert [(row["adopted"], row["writes"]) for row in tables] == [(len(arena.of_far()) + 1, 0)]
    assert arena.foreign_is_there()


def test_a_pod_comes_and_goes_in_both(arena):
    pod = arena.node.add_pod("web-1")
    wait_for(lambda: ours(arena.node, TABLE).get(pod.ip4) == pod.interface, "the new pod's route in the table")
    pod.remove()
    arena.wait_table(TABLE, arena.of_far())
    arena.wait_table("main", arena.of_near())


def test_another_table(arena):
    arena.say(arena.far, kernelTable=OTHER)
    arena.wait_table(OTHER, arena.of_far())
    arena.wait_table(TABLE, {})
    assert arena.foreign_is_there()
    # The node's own table by its number is no other one.
    arena.say(arena.far, kernelTable=254)
    arena.wait_table(OTHER, {})
    wait_for(lambda: ours(arena.node, "main").get("10.50.3.0/24") == arena.far.ip4, "all in one table", 30)
    assert "tables" not in arena.node.show("status")
    arena.say(arena.far, kernelTable=OTHER)
    arena.wait_table(OTHER, arena.of_far())
    arena.wait_table("main", arena.of_near())


def test_what_an_earlier_run_has_left_goes(arena):
    arena.say(arena.far, kernelTable=TABLE)
    arena.wait_table(TABLE, arena.of_far())
    arena.node.kill()
    arena.cluster.delete(bgp_peer(arena.far.name))
    arena.node.start()
    arena.wait_table(TABLE, {}, 60)
    wait_for(lambda: MARK not in table_of(arena.node, TABLE), "the mark goes, too")
    arena.wait_table("main", arena.of_near())
    assert arena.foreign_is_there()
    arena.say(arena.far, kernelTable=TABLE)
    arena.wait_table(TABLE, arena.of_far())


def test_callers_of_a_range(arena):
    arena.cluster.write(bgp_peer(arena.far.name, peerRange=f"{arena.far.ip4}/32", asNumber=arena.far.own, kernelTable=OTHER))
    arena.wait_table(OTHER, arena.of_far())
    arena.wait_table(TABLE, {})
    arena.cluster.write(bgp_peer(arena.far.name, peerRange=f"{arena.far.ip4}/32", asNumber=arena.far.own, kernelTable=TABLE))
    arena.wait_table(TABLE, arena.of_far())
    arena.wait_table(OTHER, {})
    arena.say(arena.far, kernelTable=TABLE)
    arena.wait_table(TABLE, arena.of_far())
    assert arena.foreign_is_there()


def test_teardown(arena):
    """Of what runs, and of what a daemon that was killed has left."""
    node = arena.node
    node.calidris("teardown")
    node.process.wait(30)
    node.processes.remove(node.process)
    assert ours(node, TABLE) == ours(node, "main") == {}
    node.start()
    arena.wait_table(TABLE, arena.of_far())
    node.kill()
    node.run(programs() / "calidrisd", "--teardown", "-c", node.config_file)
    assert ours(node, TABLE) == ours(node, "main") == {}
    assert arena.foreign_is_there()
    node.start()
    arena.wait_table(TABLE, arena.of_far())


def test_the_peer_goes(arena):
    arena.cluster.delete(bgp_peer(arena.far.name))
    arena.wait_table(TABLE, {})
    arena.wait_table("main", arena.of_near())
    assert arena.foreign_is_there()
    assert [peer["address"] for peer in arena.node.show("peers")["peers"]] == [arena.near.ip4]
