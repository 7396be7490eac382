"""A cluster as the demo has it: nodes, a reflector, pods that reach each other; pods and nodes come and go."""

import pytest

from harness import wait_for


@pytest.fixture(params=["mesh", "reflector"])
def cluster(request, new_cluster):
    mesh = request.param == "mesh"
    cluster = new_cluster(mesh=mesh)
    if not mesh:
        cluster.add_reflector("reflector")
    for number in (1, 2, 3):
        node = cluster.add_node(f"node-{number}")
        for letter in "ab":
            node.add_pod(f"{letter}-{number}")
    cluster.start()
    cluster.wait_converged()
    return cluster


def workers(cluster):
    return [node for node in cluster.nodes if node.blocks]


def test_every_pod_reaches_every_pod(cluster):
    cluster.assert_all_ping()


def test_a_pod_is_added_and_removed_live(cluster):
    first, last = workers(cluster)[0], workers(cluster)[-1]
    writes = {node.name: node.show("status")["kernel"]["writes"] for node in workers(cluster)}
    pod = last.add_pod("live")
    wait_for(lambda: first.pods[0].pings(pod.ip4), "the new pod answers from another node", 5)
    assert first.pods[0].pings(pod.ip6)
    # Its block is announced already: nobody else's kernel has anything to change.
    for node in workers(cluster)[:-1]:
        assert node.show("status")["kernel"]["writes"] == writes[node.name]
    address = pod.ip4
    pod.remove()
    wait_for(lambda: not last.route(address), "the route of the removed pod goes")
    assert not first.pods[0].pings(address)


def test_a_node_leaves(cluster):
    first, last = workers(cluster)[0], workers(cluster)[-1]
    blocks = list(last.blocks)
    cluster.remove(last)
    wait_for(lambda: not any(first.route(block) for block in blocks), "routes to the node that left go")
    cluster.assert_all_ping()


def test_reflector_keeps_its_kernel_clean(cluster):
    for node in cluster.nodes:
        ours = [route for route in node.routes() if route.get("protocol") == "bgp"]
        assert bool(ours) == bool(node.blocks), node.name


def test_status_speaks(cluster):
    for node in cluster.nodes:
        status = node.show("status")
        assert status["datastore"]["in_sync"] is True
        assert status["kernel"]["failed"] == status["kernel"]["unresolved"] == 0
        # Three workers in a mesh have two peers each; a reflector has all of them, and they have it alone. An IPv6
        # session that came up first goes when the IPv4 session has delivered both families.
        want = 2 if len(cluster.nodes) == 3 else 1 if node.blocks else 3
        wait_for(lambda n=node, w=want: n.show("status")["peers"]["up"] == w,
                 lambda n=node: f"{want} sessions; {n.calidris('show', 'peers')}")
