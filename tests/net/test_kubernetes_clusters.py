"""Other kinds of Kubernetes clusters: the newer group of Calico's objects, podCIDRs instead of an IPAM, many nodes."""

from harness import wait_for
from kube import Kube, hears, stand_in, wait_in_sync
from kube_client import as_kept
from objects import block_affinity, ipam_block, node_object, thing

NODES = 1000


@stand_in
def test_the_newer_group_of_calicos_objects(new_cluster):
    cluster = new_cluster(datastore=lambda cluster: Kube(cluster, group="projectcalico.org/v3"))
    one, two = cluster.add_node("node-1"), cluster.add_node("node-2")
    cluster.start()
    cluster.wait_converged()
    hears(cluster, one)
    assert "those of projectcalico.org/v3" in two.log_text()
    assert not cluster.datastore.api.count(r"GET /apis/crd\.")


@stand_in
def test_pod_cidrs_as_blocks(new_cluster):
    """host-local IPAM: no affinities; a node's blocks are its podCIDRs, of whatever size."""
    cluster = new_cluster(datastore=Kube)
    cidrs = {"node-1": ["10.244.1.0/24", "fd00:10:244:1::/64"], "node-2": ["10.244.2.0/24", "fd00:10:244:2::/64"]}
    for name, blocks in cidrs.items():
        node = cluster.add_node(name, blocks=[])
        node.configure({"datastore": {"kubernetes": {**node.config["datastore"]["kubernetes"], "use_pod_cidr": True}}})
        cluster.write({**node_object(name, node.addresses), "status": {"podCIDRs": blocks}})
    cluster.start()
    one, two = cluster.nodes
    for block in cidrs["node-2"]:
        wait_for(lambda block=block: one.route(block), lambda: f"the other node's podCIDR is routed\n{one.log_tail()}")
        assert two.route(block)["type"] == "blackhole"
    assert not cluster.datastore.api.count(r"blockaffinities\?|ipamblocks\?")


@stand_in
def test_node_status_without_a_subresource(new_cluster):
    """As Calico's own definition has it: the object itself is written. What does not fit is said there, and logged."""
    cluster = new_cluster(datastore=lambda cluster: Kube(cluster, subresource=False), families=(4,))
    node = cluster.add_node("node-1", blocks=[])
    client, api = cluster.datastore.client, cluster.datastore.api
    blocks = [block_affinity("node-1", f"10.{200 + number // 256}.{number % 256}.0/26") for number in range(2500)]
    wish = thing("CalicoNodeStatus", "about-one", {"node": "node-1", "classes": ["Agent", "Routes"], "updatePeriodSeconds": 1})
    cluster.write(wish)
    cluster.start()

    def told():
        return client.get("CalicoNodeStatus", "about-one")
    wait_for(lambda: told().get("status", {}).get("agent", {}).get("birdV4", {}).get("state") == "Ready",
             lambda: f"the status is filled in\n{node.log_tail()}")
    assert "calidris.io/omitted" not in told()["metadata"].get("annotations", {})
    assert api.count("PATCH .*caliconodestatuses/about-one/status") == 1, "asked for once"
    resource = api.resources["crd.projectcalico.org", "v1", "blockaffinities"]
    with api.changed:
        for block in blocks:
            api.store(resource, (None, block["metadata"]["name"]), as_kept(block), new=True)
    omitted = wait_for(lambda: told()["metadata"].get("annotations", {}).get("calidris.io/omitted"), "what is left out is said", 40)
    assert omitted.endswith("of 2500 ipv4 prefixes are listed")
    wait_for(lambda: "not all routes fit into it" in node.log_text(), "and logged")
    kinds = {row["type"] for row in told()["status"]["routes"]["routesV4"]}
    assert kinds == {"RIB", "FIB"} and len(told()["status"]["routes"]["routesV4"]) == 4000
    # An object that goes while it is written says nothing about the subresource.
    cluster.delete(wish)
    with api.changed:
        for block in blocks:
            api.store(resource, (None, block["metadata"]["name"]), None)
    cluster.write(wish)
    wait_for(lambda: told().get("status", {}).get("routes") and "calidris.io/omitted" not in
             told()["metadata"].get("annotations", {}), "all of it fits again", 40)


@stand_in
def test_a_node_among_a_thousand(new_cluster):
    """Stays below 20 MB resident: Nodes as kubelets keep them, an affinity and a block each, and a mesh of all of them."""
    cluster = new_cluster(datastore=Kube, families=(4,))
    api = cluster.datastore.api
    status = {"images": [{"names": [f"registry.example.org/image-{number}@sha256:{'0' * 64}"], "sizeBytes": number}
                         for number in range(40)],
              "conditions": [{"type": f"Condition{number}", "message": "kubelet is fine" * 5} for number in range(5)]}
    plurals = {plural: resource for (_group, _version, plural), resource in api.resources.items()}
    with api.changed:
        for number in range(NODES):
            name, block = f"other-{number}", f"10.{128 + number // 256}.{number % 256}.0/26"
            for plural, object in (("nodes", {**as_kept(node_object(name, [f"172.20.{number // 250}.{number % 250 + 1}/16"])),
                                              "status": status}),
                                   ("blockaffinities", as_kept(block_affinity(name, block))),
                                   ("ipamblocks", {**ipam_block(name, block, [])})):
                api.store(plurals[plural], (None, object["metadata"]["name"]), object, new=True)
    node = cluster.add_node("node-1")
    cluster.start()
    wait_in_sync(node)
    assert sum(row["kind"] == "Node" for row in node.show("objects", "Node")["objects"]) == NODES + 1
    wait_for(lambda: node.resident() < 20000, lambda: f"{node.resident()} KiB resident", 5)
    assert api.count(r"GET /api/v1/nodes\?limit=500&continue=") == 2
