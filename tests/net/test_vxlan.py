"""VXLAN pools: devices, entries of the other nodes, routes; two networks with a router that knows no pod between them."""

import hashlib
import json

import pytest

from harness import wait_for
from netns import is6, run
from objects import ip_pool, node_object

POOLS = {4: "10.244.0.0/16", 6: "fd00:10:244::/48"}
DEVICES = {4: "vxlan.calico", 6: "vxlan-v6.calico"}


def device_mac(name, family):
    digest = hashlib.sha1((name + ("-v6" if family == 6 else "")).encode()).hexdigest()
    return "66:" + ":".join(digest[i:i + 2] for i in range(0, 10, 2))


def tunnel_address(node, family):
    return f"10.244.{node.index}.63" if family == 4 else f"fd00:10:244:{node.index:x}::3f"


def node_with_tunnel(node):
    return node_object(node.name, node.addresses, ipv4VXLANTunnelAddr=tunnel_address(node, 4),
                       ipv6VXLANTunnelAddr=tunnel_address(node, 6))


def set_pools(cluster, mode):
    for cidr in POOLS.values():
        cluster.write(ip_pool(cidr, vxlanMode=mode))


def make(new_cluster, mode, mesh=True):
    """Two nodes on one network, one on another."""
    cluster = new_cluster(mesh=mesh, pools=False)
    networks = [cluster.segment(name, [f"172.{number}.0.254/24", f"fd00:{number}::fffe/64"])
                for name, number in (("lan-a", 18), ("lan-b", 19))]
    for index, network in ((1, 0), (2, 0), (3, 1)):
        number = 18 + network
        node = cluster.add_node(f"node-{index}", segment=networks[network],
                                addresses=[f"172.{number}.0.{index}/24", f"fd00:{number}::{index}/64"])
        cluster.write(node_with_tunnel(node))
        node.add_pod(f"pod-{index}")
    set_pools(cluster, mode)
    cluster.start()
    return cluster


def links(node):
    return {link["ifname"]: link for link in json.loads(run(["ip", "-n", node.name, "-d", "-j", "link", "show"]))}


def ways(node):
    """{block: (gateway, device)} of the routes to other nodes' blocks."""
    return {route["dst"]: (route.get("gateway"), route["dev"]) for route in node.routes()
            if "gateway" in route and route["dst"] != "default"}


def expected(cluster, node, mode):
    found = {}
    for other in cluster.nodes:
        for block in other.blocks if other is not node else ():
            family = 6 if is6(block) else 4
            near = other.segment is node.segment
            if mode == "Always" or (mode == "CrossSubnet" and not near):
                found[block] = (tunnel_address(other, family), DEVICES[family])
            else:
                # Without encapsulation, the way to another network's node is the way through the router.
                router = next(gateway for gateway in node.segment.gateways if is6(gateway) == is6(block)).split("/")[0]
                found[block] = (other.address(family) if near else router, "eth0")
    return found


def wait_ways(cluster, mode):
    for node in cluster.nodes:
        wait_for(lambda node=node: ways(node) == expected(cluster, node, mode),
                 lambda node=node: f"{node.name}: {ways(node)}, should be {expected(cluster, node, mode)}\n"
                 f"{node.calidris('show', 'problems')}\n{node.log_tail()}", 20)


def entries(node, device):
    """({tunnel address: MAC}, {MAC: node}) that are permanent."""
    neigh = json.loads(run(["ip", "-n", node.name, "-j", "neigh", "show", "dev", device, "nud", "permanent"]) or "[]")
    fdb = json.loads(run(["bridge", "-n", node.name, "-j", "fdb", "show", "dev", device]) or "[]")
    return ({row["dst"]: row["lladdr"] for row in neigh if "lladdr" in row},
            {row["mac"]: row["dst"] for row in fdb if "dst" in row})


def expected_entries(cluster, node, family):
    others = [other for other in cluster.nodes if other is not node]
    return ({tunnel_address(other, family): device_mac(other.name, family) for other in others},
            {device_mac(other.name, family): other.address(family) for other in others})


def wait_entries(cluster):
    for node in cluster.nodes:
        for family, device in DEVICES.items():
            wait_for(lambda n=node, d=device, f=family: entries(n, d) == expected_entries(cluster, n, f),
                     lambda n=node, d=device, f=family: f"{n.name} {d}: {entries(n, d)}, "
                     f"should be {expected_entries(cluster, n, f)}")


@pytest.mark.parametrize("mesh", [True, False], ids=["mesh", "no-bgp"])
@pytest.mark.parametrize("mode", ["Always", "CrossSubnet"])
def test_pods_reach_each_other(new_cluster, mode, mesh):
    cluster = make(new_cluster, mode, mesh)
    wait_ways(cluster, mode)
    wait_entries(cluster)
    cluster.wait_local()
    for node in cluster.nodes:
        for family, device in DEVICES.items():
            link = links(node)[device]
            data = link["linkinfo"]["info_data"]
            assert link["linkinfo"]["info_kind"] == "vxlan"
            assert (data["id"], data["port"], data.get("learning")) == (4096, 4789, False)
            assert data.get("local", data.get("local6")) == node.address(family)
            assert link["address"] == device_mac(node.name, family)
            assert link["mtu"] == 1500 - (70 if family == 6 else 50)
            addresses = run(["ip", "-n", node.name, "-o", "addr", "show", "dev", device])
            assert f"{tunnel_address(node, family)}/{128 if family == 6 else 32}" in addresses
    cluster.assert_all_ping()


def test_a_restart_writes_nothing(new_cluster):
    cluster = make(new_cluster, "Always")
    wait_ways(cluster, "Always")
    wait_entries(cluster)
    node = cluster.nodes[0]
    before = {name: link["ifindex"] for name, link in links(node).items()}
    pod, other = cluster.pods[0], cluster.pods[2]
    wait_for(lambda: pod.pings(other.ip4), "pods reach each other")
    node.terminate()
    assert pod.pings(other.ip4) and ways(node) == expected(cluster, node, "Always")
    node.start()
    wait_for(lambda: not node.show("status")["restart"]["in_progress"], "the start ends", 20)
    assert {name: link["ifindex"] for name, link in links(node).items()} == before
    status = node.show("status")["kernel"]
    assert (status["writes"], status["deletes"]) == (0, 0), status
    wait_entries(cluster)


def test_what_others_break_is_mended(new_cluster):
    cluster = make(new_cluster, "CrossSubnet")
    wait_ways(cluster, "CrossSubnet")
    node = cluster.nodes[0]
    node.ip("link del vxlan.calico")
    wait_ways(cluster, "CrossSubnet")
    wait_entries(cluster)
    node.ip("link set vxlan-v6.calico down mtu 1300", f"addr del {tunnel_address(node, 4)}/32 dev {DEVICES[4]}")
    wait_for(lambda: links(node)[DEVICES[6]]["mtu"] == 1430, "the MTU is back")
    wait_ways(cluster, "CrossSubnet")
    wait_entries(cluster)
    wait_for(lambda: tunnel_address(node, 4) in run(["ip", "-n", node.name, "-o", "addr", "show", "dev", DEVICES[4]]),
             "the address is back")
    # The uplink's MTU changes.
    node.ip("link set eth0 mtu 1400")
    wait_for(lambda: (links(node)[DEVICES[4]]["mtu"], links(node)[DEVICES[6]]["mtu"]) == (1350, 1330), "the MTU follows")
    # A device with other settings is no use.
    node.terminate()
    node.ip("link del vxlan.calico", "link add vxlan.calico type vxlan id 7 dstport 8472 local 172.18.0.1")
    node.start()
    wait_for(lambda: links(node).get(DEVICES[4], {}).get("linkinfo", {}).get("info_data", {}).get("id") == 4096,
             lambda: f"the device is made anew: {links(node).get(DEVICES[4])}")
    wait_ways(cluster, "CrossSubnet")
    wait_entries(cluster)
    cluster.assert_all_ping()


def test_nodes_and_pools_change(new_cluster):
    cluster = make(new_cluster, "Always")
    wait_ways(cluster, "Always")
    for mode in ("CrossSubnet", "Always"):
        set_pools(cluster, mode)
        wait_ways(cluster, mode)
    leaving = cluster.nodes[1]
    cluster.remove(leaving)
    wait_ways(cluster, "Always")
    wait_entries(cluster)
    set_pools(cluster, "Never")
    for node in cluster.nodes:
        wait_for(lambda n=node: not set(DEVICES.values()) & set(links(n)), "the devices go")
    wait_ways(cluster, "Never")


def test_an_interface_that_is_no_tunnel_is_told(new_cluster):
    cluster = new_cluster(families=(4,), pools=False)
    node = cluster.add_node("node-1")
    cluster.write(node_object(node.name, node.addresses, ipv4VXLANTunnelAddr="10.244.1.63"))
    node.ip("link add vxlan.calico type veth peer name other")
    cluster.start()
    cluster.write(ip_pool(POOLS[4], vxlanMode="Always"))
    wait_for(lambda: any("vxlan.calico: there is an interface of this name that is no vxlan device" in text
                         for text in node.show("problems")["problems"]), lambda: node.calidris("show", "problems"))
    node.ip("link del vxlan.calico")
    wait_for(lambda: links(node).get("vxlan.calico", {}).get("linkinfo", {}).get("info_kind") == "vxlan", "it is made")
    wait_for(lambda: not node.show("problems")["problems"], lambda: node.calidris("show", "problems"))
