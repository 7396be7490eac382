"""Nodes whose objects do not say their addresses: they find them, and each says its own in its Node object, by which the
others find it. What an object gives is never written."""

import pytest

from etcd import Etcd
from harness import wait_for
from kube import Kube
from node_objects import VIEWS, EtcdNodes, add_node, status


WRITTEN = "Node object says what it should"


@pytest.fixture(scope="module", params=[Etcd, Kube], ids=["etcdv3", "kubernetes"])
def cluster(request, new_shared_cluster):
    cluster = new_shared_cluster(datastore=request.param)
    # Unset, as Calico's own defaults are; autodetect; an address, and an AS number.
    add_node(cluster, "node-1", config={"node": {"name": "node-1", "ip6": "autodetect"}})
    add_node(cluster, "node-2", config={"node": {"name": "node-2", "ip": "autodetect", "ip6": "autodetect"}})
    add_node(cluster, "node-3", config={"node": {"name": "node-3", "ip": "172.18.0.3", "ip6": "fd00:18::3/64", "as": 64512}})
    cluster.start()
    yield cluster
    cluster.close()


@pytest.fixture
def nodes(cluster):
    return VIEWS[type(cluster.datastore)](cluster)


def test_they_find_each_other(cluster, nodes):
    cluster.wait_converged()
    for number, node in enumerate(cluster.nodes, 1):
        wanted = (f"172.18.0.{number}/24", f"fd00:18::{number}/64", 64512 if number == 3 else None)
        assert nodes.said(node.name) == wanted
        assert status(node)["ipv4_address_known"] and status(node)["ipv6_address_known"]
        assert 1 <= node.log_text().count(WRITTEN) <= 2, "nobody writes what is there"
    assert [status(node)["ipv4_address_from"] for node in cluster.nodes] == ["object", "autodetection", "configuration"]
    if isinstance(nodes, EtcdNodes):
        node = nodes.read("node-2")
        assert (node["kind"], node["apiVersion"], node["metadata"]["name"]) == ("Node", "projectcalico.org/v3", "node-2")
        assert {"address": "172.18.0.2/24", "type": "CalicoNodeIP"} in node["spec"]["addresses"]


def test_a_restart_writes_nothing(cluster, nodes):
    node = cluster.nodes[1]
    cluster.wait_converged()
    said, written = nodes.said("node-2"), node.log_text().count(WRITTEN)
    node.kill()
    node.start()
    cluster.wait_converged()
    wait_for(lambda: not status(node)["restart"]["in_progress"], "the start is complete")
    assert nodes.said("node-2") == said and node.log_text().count(WRITTEN) == written


def move(node, address, other):
    node.ip(f"addr del {other}/24 dev eth0", f"addr add {address}/24 dev eth0", "route add default via 172.18.0.254")


def sessions(node):
    return {row["address"] for row in node.show("peers")["peers"] if row["state"] == "Established"}


def test_a_change_is_followed(cluster, nodes):
    one, two, three = cluster.nodes
    cluster.wait_converged()
    move(one, "172.18.0.21", one.ip4)
    move(two, "172.18.0.22", two.ip4)
    wait_for(lambda: nodes.said("node-2")[0] == "172.18.0.22/24", lambda: f"{nodes.said('node-2')}\n{two.log_tail()}")
    wait_for(lambda: "172.18.0.22" in sessions(three), lambda: f"{sessions(three)}: one with the new address")
    # Who found an address only because there was none keeps what its object says since.
    assert nodes.said("node-1")[0] == "172.18.0.1/24"
    move(one, one.ip4, "172.18.0.21")
    move(two, two.ip4, "172.18.0.22")
    wait_for(lambda: nodes.said("node-2")[0] == "172.18.0.2/24", "it is followed back")
    cluster.wait_converged()


def test_somebody_else_writes(cluster, nodes):
    """Over what a node says of itself it is said again; over what the object gives, the object counts."""
    one, two = cluster.nodes[:2]
    before = nodes.said("node-2")
    for node in ("node-1", "node-2"):
        nodes.write(node, "172.18.0.99/24")
    wait_for(lambda: nodes.said("node-2") == before, lambda: f"{nodes.said('node-2')}\n{two.log_tail()}")
    wait_for(lambda: status(one)["ipv4_address"] == "172.18.0.99", "the object's address is used")
    assert nodes.said("node-1")[0] == "172.18.0.99/24"
    nodes.write("node-1", "172.18.0.1/24")
    cluster.wait_converged()
