"""What Calico's BIRD and Felix left in the kernel is taken over without a packet lost; and the way back."""

import pytest

from harness import wait_for
from objects import ip_pool

FOREIGN = ["10.77.0.0/16 via 172.18.0.254 dev eth0 proto static", "10.78.0.0/16 via 172.18.0.254 dev eth0 proto zebra",
           "10.79.0.0/16 via 172.18.0.254 dev eth0 proto boot", "unreachable 10.80.0.0/16 proto 186 table 77"]


@pytest.fixture
def cluster(new_cluster):
    """Three nodes as Calico leaves them when its daemons stop: blocks by BIRD, local ones by Felix, pods by both."""
    cluster = new_cluster(families=(4,))
    for number in (1, 2, 3):
        node = cluster.add_node(f"node-{number}")
        node.add_pod(f"pod-{number}", cni=True)
        node.configure({"kernel": {"programming": False}})
    for node in cluster.nodes:
        pod = node.pods[0]
        # The pod's route by Felix 3.31 (metric 0), and a newer one's of a pod that is gone.
        node.ip(*(f"route add {other.blocks[0]} via {other.ip4} dev eth0 proto bird onlink"
                  for other in cluster.nodes if other is not node),
                f"route add blackhole {node.blocks[0]} proto 80",
                "route add 10.244.9.0/26 via 172.18.0.9 dev eth0 proto bird onlink",
                "route add 10.244.8.0/26 via 172.18.0.8 dev eth0 proto 80 onlink",
                f"route add 10.244.{node.index}.60 dev {pod.interface} proto boot scope link",
                *(f"route add {route}" for route in FOREIGN))
    cluster.start()
    return cluster


def left_over(node):
    """Routes that are BIRD's or Felix's."""
    return [route for route in node.routes(4) if route.get("protocol") in ("bird", "80") or
            (route.get("protocol") == "boot" and route.get("dev", "").startswith("cali"))]


def sessions_up(cluster):
    for node in cluster.nodes:
        wait_for(lambda n=node: n.show("status")["peers"]["up"] == 2, "sessions")
        wait_for(lambda n=node: not n.show("status")["restart"]["in_progress"], "the start ends", 30)


def plan(node):
    return {(row["prefix"], row["deed"]) for row in node.show("takeover")["takeover"]}


def test_taken_over_under_traffic(cluster):
    sessions_up(cluster)
    node = cluster.nodes[0]
    before = {other.name: other.run("ip", "route") for other in cluster.nodes}
    # The dry run: nothing has been touched so far, and all that would be is named.
    assert plan(node) == {
        ("10.244.1.1/32", "add"), ("10.244.1.1/32", "remove"), ("10.244.1.60/32", "remove"),
        ("10.244.1.0/26", "replace"), ("10.244.2.0/26", "add"), ("10.244.2.0/26", "remove"),
        ("10.244.3.0/26", "add"), ("10.244.3.0/26", "remove"), ("10.244.8.0/26", "remove"), ("10.244.9.0/26", "remove")}
    assert before == {other.name: other.run("ip", "route") for other in cluster.nodes}
    ping = cluster.pods[0].start_ping(cluster.pods[2].ip4, 0.001)
    ping.wait_received(100)
    for each in cluster.nodes:
        each.configure({"kernel": {"programming": True, "takeover": "bird felix"}})
        each.reload()
    for each in cluster.nodes:
        wait_for(lambda n=each: not left_over(n), lambda n=each: f"{n.name}: {left_over(n)}")
    cluster.wait_converged()
    for each in cluster.nodes:
        assert plan(each) == set()
        for route in FOREIGN[:3]:
            assert each.route(route.split()[0]), route
        assert "10.80.0.0/16" in each.run("ip", "route", "show", "table", 77)
    ping.wait_received(ping.received + 100)
    # The way back: stopping leaves everything, as BIRD and Felix will find and replace it.
    for each in cluster.nodes:
        routes = each.run("ip", "route")
        assert each.terminate() == 0
        assert each.run("ip", "route") == routes
    ping.wait_received(ping.received + 100)
    ping.stop()
    assert ping.lost == 0, f"{ping.lost} lost"


def test_without_the_word_others_routes_stay(cluster):
    sessions_up(cluster)
    node = cluster.nodes[0]
    node.configure({"kernel": {"programming": True, "metric": "priority"}})
    node.reload()
    cluster.hosts = [node]
    wait_for(lambda: node.show("status")["kernel"]["installed"] >= 4, "our routes are there")
    assert {route["dst"] for route in left_over(node)} == \
        {"10.244.1.1", "10.244.1.60", "10.244.2.0/26", "10.244.3.0/26", "10.244.8.0/26", "10.244.9.0/26"}


def test_teardown_removes_what_is_ours_alone(new_cluster):
    cluster = new_cluster(pools=False)
    for cidr in ("10.244.0.0/16", "fd00:10:244::/48"):
        cluster.write(ip_pool(cidr))
    cluster.write(ip_pool("10.99.0.0/16", name="tunnelled", vxlanMode="Always"))
    for number in (1, 2):
        cluster.add_node(f"node-{number}").add_pod(f"pod-{number}")
    node = cluster.nodes[0]
    node.ip(*(f"route add {route}" for route in FOREIGN))
    before = {family: sorted(node.run("ip", f"-{family}", "route", "show", "proto", "static").splitlines())
              for family in (4, 6)}
    cluster.start()
    cluster.wait_converged()
    wait_for(lambda: "vxlan.calico" in node.run("ip", "link"), "the device")
    node.calidris("teardown")
    assert node.process.wait(60) == 0
    assert not [route for route in node.routes() if route.get("protocol") == "bgp"]
    assert "vxlan.calico" not in node.run("ip", "link")
    assert before == {family: sorted(node.run("ip", f"-{family}", "route", "show", "proto", "static").splitlines())
                      for family in (4, 6)}
    for route in FOREIGN[:3]:
        assert node.route(route.split()[0]), route
    assert "10.80.0.0/16" in node.run("ip", "route", "show", "table", 77)
    # The others have heard of it at once, and it can come back.
    wait_for(lambda: not cluster.nodes[1].route(node.blocks[0]), "the other node's route goes")
    node.start()
    cluster.wait_converged()
