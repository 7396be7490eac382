"""FRR as the other node: once as a member of the mesh, once as the route reflector. It takes both families on one session."""

import json

import pytest

from harness import wait_for
from peers import FrrNode

BGPD = """
router bgp 64512
 bgp router-id {ip4}
 no bgp default ipv4-unicast
 no bgp network import-check
 bgp graceful-restart
 {cluster}
{neighbors}
 address-family ipv4 unicast
{networks4}{activate4} exit-address-family
 address-family ipv6 unicast
{networks6}{activate6} exit-address-family
"""


def bgpd(frr, nodes, reflector=False):
    """One session for both families with each node, over IPv4."""
    neighbors, activate4, activate6 = "", "", ""
    for node in nodes:
        neighbors += f" neighbor {node.ip4} remote-as 64512\n neighbor {node.ip4} timers connect 1\n"
        neighbors += f" neighbor {node.ip4} update-source {frr.ip4}\n"
        for family in (4, 6):
            text = f"  neighbor {node.ip4} activate\n"
            if reflector:
                text += f"  neighbor {node.ip4} route-reflector-client\n"
            if family == 4:
                activate4 += text
            else:
                activate6 += text + f"  neighbor {node.ip4} route-map own6 out\n"
    networks = {4: "", 6: ""}
    for block in frr.blocks:
        networks[6 if ":" in block else 4] += f"  network {block}\n"
    own6 = "" if reflector else f"route-map own6 permit 10\n set ipv6 next-hop global {frr.ip6}\n"
    if reflector:
        own6 = "route-map own6 permit 10\n"
    return own6 + BGPD.format(ip4=frr.ip4, neighbors=neighbors, networks4=networks[4], networks6=networks[6],
                              activate4=activate4, activate6=activate6,
                              cluster="bgp cluster-id 10.0.0.1" if reflector else "")


def frr_routes(frr, family, prefix):
    return json.loads(frr.vtysh(f"show bgp ipv{family} unicast {prefix} json"))


@pytest.fixture
def mesh(new_cluster):
    cluster = new_cluster()
    one, two = cluster.add_node("node-1"), cluster.add_node("node-2")
    frr = cluster.add_host(FrrNode, "frr-3")
    for host in (one, two, frr):
        host.add_pod(f"pod-{host.index}", cni=host is frr)
    frr.start(bgpd(frr, [one, two]))
    cluster.start()
    return cluster


def wait_blocks(cluster):
    """Everybody's route to everybody's blocks. FRR's IPv6 next hop has a link-local part, which is the gateway then."""
    for host in cluster.hosts:
        for other in cluster.hosts:
            for block in other.blocks if other is not host else ():
                wait_for(lambda h=host, b=block: "gateway" in (h.route(b) or {}), f"{host.name}'s route to {block}", 30)


def test_mesh_with_frr(mesh):
    one, _two, frr = mesh.hosts
    wait_blocks(mesh)
    mesh.assert_all_ping()
    assert one.route(frr.blocks[1])["gateway"].startswith("fe80:")
    peer = one.show("peers", frr.ip4)["peer"]
    assert peer["capabilities"]["families"] == "ipv4, ipv6"
    # The IPv6 session is not needed: FRR takes both families on the IPv4 one.
    assert one.show("peers", frr.ip6)["peer"]["state"] != "Established"
    path = frr_routes(frr, 4, one.blocks[0])["paths"][0]
    assert path["locPrf"] == 2147482623
    assert path["nexthops"][0]["ip"] == one.ip4
    path = frr_routes(frr, 6, one.blocks[1])["paths"][0]
    assert path["nexthops"][0]["ip"] == one.ip6


def test_frr_asks_again(mesh):
    """Route refresh in both directions changes nothing and resets nothing."""
    one, _two, frr = mesh.hosts
    wait_blocks(mesh)
    before = one.show("peers", frr.ip4)["peer"]
    frr.vtysh(f"clear bgp {one.ip4} soft in")
    wait_for(lambda: one.show("peers", frr.ip4)["peer"]["messages"] != before["messages"], "FRR's request came")
    assert all(frr.route(block) for block in one.blocks)
    assert one.show("peers", frr.ip4)["peer"]["established"] == before["established"]
    mesh.assert_all_ping()


def test_frr_reflects(new_cluster):
    cluster = new_cluster(mesh=False)
    frr = cluster.add_reflector("frr-1", kind=FrrNode)
    one, two = cluster.add_node("node-2"), cluster.add_node("node-3")
    for node in (one, two):
        node.add_pod(f"pod-{node.index}")
    frr.start(bgpd(frr, [one, two], reflector=True))
    cluster.start()
    cluster.wait_converged()
    cluster.assert_all_ping()
    assert one.show("routes", two.blocks[0], "all")["routes"][0]["next_hop"] == two.ip4
    assert one.show("routes", two.blocks[1], "all")["routes"][0]["next_hop"] == two.ip6


def test_calidris_reflects_for_frr(new_cluster):
    cluster = new_cluster(mesh=False)
    reflector = cluster.add_reflector("reflector-1")
    node = cluster.add_node("node-2")
    frr = cluster.add_host(FrrNode, "frr-3")
    node.add_pod("pod-2")
    frr.add_pod("pod-3", cni=True)
    frr.start(bgpd(frr, [reflector]))
    cluster.start()
    cluster.wait_converged()
    wait_for(lambda: all(frr.route(block) for block in node.blocks), "FRR has the node's blocks", 30)
    cluster.assert_all_ping()
    path = frr_routes(frr, 4, node.blocks[0])["paths"][0]
    assert path["originatorId"] == node.ip4
    assert path["clusterList"]["list"] == ["10.0.0.1"]
    assert path["nexthops"][0]["ip"] == node.ip4
