"""One semantics over all datastores: the same objects give the same routes and sessions, the same changes change the same,
and bad objects are refused alike, whichever backend they come from."""

import pytest

from etcd import Etcd
from harness import Files, wait_for
from kube import Kube
from objects import bgp_configuration, bgp_peer, ip_pool, thing

BACKENDS = [Files, Etcd, Kube]


@pytest.fixture(scope="module", params=BACKENDS, ids=lambda backend: backend.kind)
def cluster(request, new_shared_cluster):
    cluster = new_shared_cluster(datastore=request.param)
    for number in (1, 2, 3):
        node = cluster.add_node(f"node-{number}", labels={"rack": f"r{number}"})
        node.add_pod(f"a-{number}")
    cluster.start()
    cluster.wait_converged()
    yield cluster
    cluster.close()


def status(node):
    return node.show("status")["datastore"]


def kernel_routes(node):
    return {(route["dst"], route.get("gateway"), route.get("dev"), route.get("type"))
            for route in node.routes() if route.get("protocol") == "bgp"}


def test_every_pod_reaches_every_pod(cluster):
    cluster.assert_all_ping()
    for node in cluster.nodes:
        assert status(node)["backend"] == cluster.datastore.kind
        assert status(node)["in_sync"] and not status(node)["cached"]
        assert status(node)["refused"] == 0, node.calidris("show", "problems")


def test_a_pod_comes_and_goes(cluster):
    first, last = cluster.nodes[0], cluster.nodes[2]
    pod = last.add_pod("live")
    wait_for(lambda: first.pods[0].pings(pod.ip4), "the new pod answers from another node", 5)
    assert first.pods[0].pings(pod.ip6)
    address = pod.ip4
    pod.remove()
    wait_for(lambda: not last.route(address), "the route of the removed pod goes")


def test_a_borrowed_address_has_a_route_of_its_own(cluster):
    first, second = cluster.nodes[:2]
    pod = second.add_pod("borrower", addresses=["10.244.1.40"])
    wait_for(lambda: first.route("10.244.1.40"), "the borrowed address is routed to the node that uses it")
    assert first.route("10.244.1.40")["gateway"] == second.ip4
    assert first.pods[0].pings("10.244.1.40")
    pod.remove()
    wait_for(lambda: not first.route("10.244.1.40"), "the route goes with the pod")


def test_a_block_comes_and_goes(cluster):
    first, second = cluster.nodes[:2]
    second.blocks.append("10.244.77.0/26")
    second.publish()
    wait_for(lambda: first.route("10.244.77.0/26"), "the new block is routed")
    assert second.route("10.244.77.0/26")["type"] == "blackhole"
    second.withdraw_block("10.244.77.0/26")
    wait_for(lambda: not first.route("10.244.77.0/26") and not second.route("10.244.77.0/26"), "the block is gone")


def test_a_pool_that_is_not_exported(cluster):
    first, second = cluster.nodes[:2]
    cluster.write(ip_pool("10.244.2.0/24", name="quiet", disableBGPExport=True))
    wait_for(lambda: not first.route("10.244.2.0/26"), "a block of a pool with disableBGPExport is withdrawn")
    assert second.route("10.244.2.0/26")
    cluster.delete(ip_pool("10.244.2.0/24", name="quiet"))
    wait_for(lambda: first.route("10.244.2.0/26"), "it is announced again")


def test_peers_by_selector(cluster):
    first, second, third = cluster.nodes
    before = {node.name: kernel_routes(node) for node in cluster.nodes}
    cluster.write(bgp_peer("all", nodeSelector="has(rack)", peerSelector="has(rack)"), bgp_configuration(mesh=False))
    wait_for(lambda: [row["name"] for row in first.show("peers")["peers"] if row["name"].startswith("Node_")],
             "the peers come from the BGPPeer now")
    cluster.wait_converged()
    cluster.write(bgp_peer("all", nodeSelector="rack == 'r1'", peerSelector="has(rack)"))
    wait_for(lambda: not third.route("10.244.2.0/26"), "nodes outside the selector do not peer with each other")
    assert third.route("10.244.1.0/26") and first.route("10.244.2.0/26")
    cluster.write(bgp_configuration(mesh=True))
    cluster.delete(bgp_peer("all"))
    cluster.wait_converged()
    for node in cluster.nodes:
        wait_for(lambda node=node: kernel_routes(node) == before[node.name], lambda node=node: f"as before: {node.name}")


def test_a_bad_object_keeps_its_last_good_version(cluster):
    first, second = cluster.nodes[:2]
    cluster.write(bgp_peer("rr", node="node-1", peerIP="172.18.0.99", asNumber=64999))
    wait_for(lambda: any(row["address"] == "172.18.0.99" for row in first.show("peers")["peers"]), "the peer is there")
    cluster.write(bgp_peer("rr", node="node-1", peerIP="nonsense", asNumber=64999))

    def refusal():
        return next((row for row in first.show("status")["problems"] if "BGPPeer rr" in row), None)
    line = wait_for(refusal, "the bad object is named")
    assert "spec.peerIP" in line and "last good version stays in force" in line and "rr" in line.split(":")[0], line
    assert any(row["address"] == "172.18.0.99" for row in first.show("peers")["peers"])
    assert status(second)["refused"] == 1 and status(second)["in_sync"]
    cluster.delete(bgp_peer("rr"))
    wait_for(lambda: not any(row["address"] == "172.18.0.99" for row in first.show("peers")["peers"]), "it goes")
    wait_for(lambda: not refusal(), "and so does the problem")


def test_an_unknown_field_is_named(cluster):
    first = cluster.nodes[0]
    cluster.write(thing("IPPool", "odd", {"cidr": "10.99.0.0/16", "colour": "green"}))
    wait_for(lambda: any("spec.colour" in row for row in first.show("status")["problems"]), "the field is named")
    assert status(first)["refused"] == 0
    cluster.delete(thing("IPPool", "odd", {}))
    wait_for(lambda: not any("spec.colour" in row for row in first.show("status")["problems"]), "and forgotten")


def test_felix_is_compared(cluster):
    """What Felix is told and is done otherwise here."""
    node = cluster.nodes[0]
    told = lambda: any("spec.vxlanPort is 8472" in line for line in node.show("problems")["problems"])
    felix = thing("FelixConfiguration", "default", {"vxlanPort": 8472})
    cluster.write(felix)
    wait_for(told, lambda: node.calidris("show", "problems"))
    cluster.delete(felix)
    wait_for(lambda: not told(), lambda: node.calidris("show", "problems"))


def test_restart_changes_no_route(cluster):
    second = cluster.nodes[1]
    before = kernel_routes(second)
    second.kill()
    second.start()
    wait_for(lambda: not second.show("status")["restart"]["in_progress"], "the start is complete")
    assert kernel_routes(second) == before
    assert second.show("status")["kernel"]["deletes"] == 0
    cluster.wait_converged()
