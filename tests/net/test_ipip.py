"""IP-in-IP pools through tunl0: a real cluster's table row by row, the packets inside and outside, and changes.

Runs on a kernel of its own (uml.py), since the host's may have no IP-in-IP."""

import ipaddress
import json
import socket
import struct

import pytest

from capture import addresses_of, capture, protocol_of
from harness import wait_for
from netns import run
from objects import ip_pool, node_object, workload_endpoint

KERNEL = "uml"
TAKES = 60  # s: it begins early

POOL = "10.244.0.0/16"
OLD = {"kernel": {"metric": 0}}


# Table B of a real cluster, as `route -n` prints it (without Ref and Use): `*` is the blackhole of the node's own block.

TABLE = """
0.0.0.0         10.12.0.1       0.0.0.0         UG    0      ens192
10.12.0.0       0.0.0.0         255.255.0.0     U     0      ens192
192.168.0.0     10.12.22.1      255.255.255.0   UG    0      tunl0
192.168.1.0     0.0.0.0         255.255.255.0   U     0      *
192.168.1.2     0.0.0.0         255.255.255.255 UH    0      cali0005aea454a
192.168.1.10    0.0.0.0         255.255.255.255 UH    0      calid9d486e54a8
192.168.1.12    0.0.0.0         255.255.255.255 UH    0      calied9d42cb137
192.168.2.0     10.12.22.3      255.255.255.0   UG    0      tunl0
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]


def table_of(node):
    rows = []
    for route in node.routes(4):
        network = ipaddress.ip_network("0.0.0.0/0" if route["dst"] == "default" else route["dst"])
        flags = "U" + ("G" if "gateway" in route else "") + ("H" if network.prefixlen == 32 else "")
        device = "*" if route.get("type") == "blackhole" else route["dev"]
        rows.append([str(network.network_address), route.get("gateway", "0.0.0.0"), str(network.netmask), flags,
                     str(route.get("metric", 0)), device])
    return rows


def rename_uplink(node, gateway):
    node.ip("link set eth0 down", "link set eth0 name ens192", "link set ens192 up",
            f"route add default via {gateway} dev ens192")


def test_table_row_by_row(new_cluster):
    cluster = new_cluster(families=(4,), pools=False)
    cluster.write(ip_pool("192.168.0.0/16", ipipMode="Always", blockSize=24))
    segment = cluster.segment("lan", ["10.12.0.1/16"])
    for index, name in enumerate(("k8s-master-1", "k8s-worker-1", "k8s-worker-2")):
        node = cluster.add_node(name, segment=segment, addresses=[f"10.12.22.{index + 1}/16"],
                                blocks=[f"192.168.{index}.0/24"], config=OLD)
        rename_uplink(node, "10.12.0.1")
    node, far = cluster.nodes[1], cluster.nodes[2]
    for row in ROWS:
        if row[5].startswith("cali"):
            number = row[0].rpartition(".")[2]
            node.ip(f"link add {row[5]} type veth peer name p{number}", f"link set {row[5]} up", f"link set p{number} up")
            cluster.write(workload_endpoint(node.name, f"pod-{number}", row[5], [row[0]]))
    cluster.start()
    wait_for(lambda: sorted(table_of(node)) == sorted(ROWS), lambda: "\n".join(map(str, table_of(node))) +
             node.calidris("show", "problems") + node.log_tail())
    # Said once, as the tunnels have no addresses here, and nothing else is wrong.
    assert [text.split(":")[0] for text in node.show("problems")["problems"]] == \
        ["Node k8s-worker-1 has no spec.bgp.ipv4IPIPTunnelAddr"]
    near_pod = node.add_pod("near", ["192.168.1.99"])
    far_pod = far.add_pod("far", ["192.168.2.6"])
    wait_for(lambda: near_pod.pings(far_pod.ip4), "pods reach each other")
    captures(node, near_pod, far_pod, "ens192", ("10.12.22.2", "10.12.22.3"))


def captures(node, near_pod, far_pod, uplink, outer):
    """The pod's packet on tunl0, and the same inside protocol 4 between the nodes on the wire; two hops on its way."""
    inner = (near_pod.ip4, far_pod.ip4)
    with capture(node, "tunl0") as tunnel, capture(node, uplink) as wire:
        answer = near_pod.run("ping", "-n", "-c", 1, "-W", 2, far_pod.ip4)
        inside = [packet for packet in tunnel() if addresses_of(packet) == inner]
        outside = [packet for packet in wire() if addresses_of(packet) == outer and protocol_of(packet) == 4]
    assert "ttl=62" in answer
    assert len(inside) == len(outside) == 1
    assert protocol_of(inside[0]) == socket.IPPROTO_ICMP
    payload = outside[0][(outside[0][0] & 15) * 4:]
    assert payload == inside[0]
    assert struct.unpack("!H", outside[0][2:4])[0] == len(inside[0]) + 20


# A cluster on two networks with a router that knows no pod.

def make(new_cluster, mode):
    cluster = new_cluster(families=(4,), pools=False)
    networks = [cluster.segment(name, [f"172.{number}.0.254/24"]) for name, number in (("lan-a", 18), ("lan-b", 19))]
    for index, network in ((1, 0), (2, 0), (3, 1)):
        node = cluster.add_node(f"node-{index}", segment=networks[network], addresses=[f"172.{18 + network}.0.{index}/24"])
        set_tunnel(cluster, node, f"10.244.{index}.63")
        node.add_pod(f"pod-{index}")
    cluster.write(ip_pool(POOL, ipipMode=mode))
    cluster.start()
    return cluster


def set_tunnel(cluster, node, address):
    thing = node_object(node.name, node.addresses)
    if address:
        thing["spec"]["bgp"]["ipv4IPIPTunnelAddr"] = address
    cluster.write(thing)


def ways(node):
    return {route["dst"]: (route.get("gateway"), route["dev"]) for route in node.routes(4)
            if "gateway" in route and route["dst"] != "default"}


def expected_ways(cluster, node, mode):
    found = {}
    for other in cluster.nodes:
        near = other.segment is node.segment
        if other is node:
            continue
        if mode == "Always" or (mode == "CrossSubnet" and not near):
            found[other.blocks[0]] = (other.ip4, "tunl0")
        else:
            # Without encapsulation, the way to another network's node is the way through the router.
            found[other.blocks[0]] = (other.ip4 if near else node.segment.gateways[0].split("/")[0], "eth0")
    return found


def wait_ways(cluster, mode):
    for node in cluster.nodes:
        wait_for(lambda n=node: ways(n) == expected_ways(cluster, n, mode),
                 lambda n=node: f"{n.name}: {ways(n)}, should be {expected_ways(cluster, n, mode)}\n"
                 f"{n.calidris('show', 'problems')}\n{n.log_tail()}")


def tunnel(node):
    return json.loads(run(["ip", "-n", node.name, "-d", "-j", "addr", "show", "dev", "tunl0"]))[0]


@pytest.mark.parametrize("mode", ["Always", "CrossSubnet"])
def test_pods_reach_each_other(new_cluster, mode):
    cluster = make(new_cluster, mode)
    wait_ways(cluster, mode)
    cluster.wait_local()
    for node in cluster.nodes:
        found = tunnel(node)
        assert "UP" in found["flags"] and found["mtu"] == 1480
        assert [(row["local"], row["prefixlen"]) for row in found["addr_info"] if row["family"] == "inet"] == \
            [(f"10.244.{node.index}.63", 32)]
        assert node.show("problems")["problems"] == []
    cluster.assert_all_ping()
    # The host itself speaks with its tunnel address, so that the answer comes back through the tunnel.
    node, far = cluster.nodes[0], cluster.pods[2]
    assert "bytes from" in node.run("ping", "-n", "-c", 1, "-W", 2, far.ip4)
    captures(node, cluster.pods[0], far, "eth0", (node.ip4, far.node.ip4))


def test_modes_change_under_traffic(new_cluster):
    """Within one network, where every mode has a way: no packet is lost."""
    cluster = make(new_cluster, "Always")
    wait_ways(cluster, "Always")
    near, other = cluster.pods[0], cluster.pods[1]
    wait_for(lambda: near.pings(other.ip4), "pods reach each other")
    ping = near.start_ping(other.ip4, 0.002)
    ping.wait_received(50)
    for mode in ("CrossSubnet", "Always", "Never", "Always"):
        cluster.write(ip_pool(POOL, ipipMode=mode))
        wait_ways(cluster, mode)
        ping.wait_received(ping.received + 50)
    ping.stop()
    assert ping.lost == 0, f"{ping.lost} of {ping.lost + ping.received} lost"


def test_a_restart_writes_nothing(new_cluster):
    cluster = make(new_cluster, "CrossSubnet")
    wait_ways(cluster, "CrossSubnet")
    node = cluster.nodes[0]
    near, far = cluster.pods[0], cluster.pods[2]
    wait_for(lambda: near.pings(far.ip4), "pods reach each other")
    ping = near.start_ping(far.ip4, 0.002)
    ping.wait_received(50)
    node.kill()
    node.start()
    wait_for(lambda: not node.show("status")["restart"]["in_progress"], "the start ends", 30)
    status = node.show("status")["kernel"]
    assert (status["writes"], status["deletes"]) == (0, 0), status
    ping.stop()
    assert ping.lost == 0


def test_what_others_break_is_mended(new_cluster):
    cluster = make(new_cluster, "Always")
    wait_ways(cluster, "Always")
    node = cluster.nodes[0]
    node.ip("link set tunl0 down mtu 1300", "addr add 10.99.0.1/32 dev tunl0")
    wait_for(lambda: tunnel(node)["mtu"] == 1480 and "UP" in tunnel(node)["flags"], "tunl0 is up again")
    wait_ways(cluster, "Always")
    wait_for(lambda: [row["local"] for row in tunnel(node)["addr_info"] if row["family"] == "inet"] == ["10.244.1.63"],
             "its address is the only one")
    set_tunnel(cluster, node, "10.244.1.62")
    wait_for(lambda: [row["local"] for row in tunnel(node)["addr_info"] if row["family"] == "inet"] == ["10.244.1.62"],
             "its address follows the Node object")
    node.configure({"kernel": {"ipip_mtu": 1440}})
    node.reload()
    wait_for(lambda: tunnel(node)["mtu"] == 1440, "the MTU follows the configuration")
    cluster.assert_all_ping()
    cluster.write(ip_pool(POOL))
    wait_for(lambda: not [row for row in tunnel(node)["addr_info"] if row["family"] == "inet"],
             "without a pool that needs it tunl0 has no address of ours")
