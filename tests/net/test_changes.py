"""Changes of a running cluster, one at a time: what must follow, and that no session ends which nothing forces to."""

import pytest

from netns import wait_for
from test_restart import Traffic, assert_no_reset, sessions


@pytest.fixture
def mesh(new_cluster):
    cluster = new_cluster()
    for index in (1, 2, 3):
        cluster.add_node(f"node-{index}").add_pod(f"pod-{index}")
    cluster.start()
    cluster.wait_converged()
    cluster.wait_local()
    return cluster


def test_other_ipv6_address(mesh):
    """A node's IPv6 routes are told over its IPv4 sessions: these stay, and tell the new next hop."""
    one, two, three = mesh.nodes
    traffic = Traffic(two.pods[0], three.pods[0])
    before = {node: sessions(node) for node in mesh.nodes}
    block = next(block for block in one.blocks if ":" in block)
    one.ip("addr add fd00:18::1:1/64 dev eth0 nodad")
    one.addresses[1] = "fd00:18::1:1/64"
    one.publish()
    for node in (two, three):
        wait_for(lambda node=node: node.route(block).get("gateway") == "fd00:18::1:1",
                 lambda node=node: f"{node.name}: {node.route(block)}\n{one.calidris('explain', block.split('/')[0])}")
    one.ip("addr del fd00:18::1/64 dev eth0")
    for node in mesh.nodes:
        assert_no_reset(before[node], node, "another IPv6 address")
    assert two.pods[0].pings(one.pods[0].ip6)
    traffic.end("another node's new address")


def test_a_machine_is_replaced(mesh):
    """Another machine with the addresses of one that left: its neighbours believe the old one to be there until they are
    told, and the session comes up at once when they are."""
    one, _two, old = mesh.nodes
    addresses = old.addresses
    mesh.remove(old)
    new = mesh.add_node("node-4", addresses=addresses)
    new.start()
    for node, other in ((one, new), (new, one)):
        wait_for(lambda n=node, o=other: any(peer["address"] == o.ip4 and peer["state"] == "Established"
                                             for peer in n.show("peers")["peers"]),
                 lambda n=node: n.calidris("show", "peers"), 12)
    mesh.wait_converged(12)
