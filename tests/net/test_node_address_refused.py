"""What the datastore refuses of what a node says of itself is said, and stops nothing."""

from etcd import RESOURCES, Etcd
from harness import Files, wait_for
from kube import Kube, problems, stand_in
from node_objects import EtcdNodes, KubeNodes, add_node, status, text64
from objects import node_object


@stand_in
def test_conflicts_are_tried_again(new_cluster):
    cluster = new_cluster(datastore=Kube, families=(4,))
    fault = cluster.datastore.api.fail(r"PATCH /api/v1/nodes/node-1/status", status=409, count=2)
    node = add_node(cluster, "node-1")
    cluster.start()
    wait_for(lambda: fault.met == 2 and KubeNodes(cluster).said("node-1")[0], lambda: f"it is written\n{node.log_tail()}")
    assert cluster.datastore.api.count("PATCH") == 3 and "other nodes do not know" not in node.log_text()


@stand_in
def test_what_is_forbidden_is_said_once(new_cluster):
    cluster = new_cluster(datastore=Kube, families=(4,))
    client = cluster.datastore.client
    allowed = client.get("ClusterRole", "calidris")
    client.apply({**allowed, "metadata": {"name": "calidris"},
                  "rules": [rule for rule in allowed["rules"] if "nodes/status" not in rule["resources"]]})
    node = add_node(cluster, "node-1")
    cluster.start()
    wait_for(lambda: "nodes/status (etc/kubernetes/rbac.yaml)" in problems(node), lambda: problems(node))
    assert status(node)["datastore"]["in_sync"] and status(node)["ipv4_address"] == "172.18.0.1"
    assert "the other nodes do not know it" in node.calidris("show", "status")
    client.apply({**allowed, "metadata": {"name": "calidris"}})
    wait_for(lambda: KubeNodes(cluster).said("node-1")[0] == "172.18.0.1/24", "it is tried again")
    wait_for(lambda: "node.ip" not in problems(node), lambda: problems(node))
    assert node.log_text().count("other nodes do not know what this node says of itself") == 1


def test_an_etcd_user_who_may_only_read(new_cluster):
    cluster = new_cluster(datastore=Etcd, families=(4,))
    etcd = cluster.datastore
    node = add_node(cluster, "node-1")
    section = node.config["datastore"]
    node.configure({"datastore": {"etcd": {**section["etcd"], "username": "calidris", "password": "word"}}})
    etcd.enable_auth("calidris", "word")
    cluster.start()
    wait_for(lambda: "permission denied" in problems(node), lambda: f"{problems(node)}\n{node.log_tail()}")
    assert "to read and write the key of its own Node" in problems(node) and status(node)["datastore"]["in_sync"]
    key = f"{RESOURCES}/nodes/node-1"
    etcd.call("auth/role/grant", {"name": "reader", "perm": {"permType": "READWRITE", "key": text64(key)}})
    wait_for(lambda: EtcdNodes(cluster).said("node-1")[0] == "172.18.0.1/24", lambda: f"it is written\n{node.log_tail()}")
    wait_for(lambda: status(node)["ipv4_address_known"], "and comes back")


def test_files_are_left_alone(new_cluster):
    """They are the administrator's: then it is said that others do not know the address."""
    cluster = new_cluster(datastore=Files, families=(4,))
    node = cluster.add_node("node-1", publish=False, config={"node": {"name": "node-1", "ip": "autodetect"}})
    unset = cluster.add_node("node-2", publish=False)
    cluster.write(node_object("node-1", []), node_object("node-2", []))
    before = {path.name: path.read_text() for path in cluster.objects.iterdir()}
    cluster.start()
    wait_for(lambda: status(node)["ipv4_address"] == "172.18.0.1", "the address is found")
    assert not status(node)["ipv4_address_known"]
    assert "write it into the Node object, as spec.bgp.ipv4Address" in problems(node)
    assert not status(unset)["ipv4_address"], "and none is looked for that nobody could know"
    cluster.write(node_object("node-1", ["172.18.0.1/24"]))
    wait_for(lambda: status(node)["ipv4_address_known"] and "spec.bgp" not in problems(node), lambda: problems(node))
    after = {path.name: path.read_text() for path in cluster.objects.iterdir() if path.name != "Node-node-1.yaml"}
    assert after.items() <= before.items()
