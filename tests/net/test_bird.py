"""BIRD 2 as the other node, configured the way Calico configures its own: once as a member of the mesh, once as the route
reflector. Both families; one session each, as BIRD's nodes have it."""

import pytest

from harness import wait_for
from objects import bgp_peer
from peers import BirdNode

COMMON = """
log stderr all;
router id {ip4};
protocol device {{ scan time 2; }}
protocol direct {{ ipv4; ipv6; interface -"cali*", "*"; }}
protocol kernel kernel4 {{ ipv4 {{ import all; export all; }}; learn; persist; graceful restart; merge paths on; }}
protocol kernel kernel6 {{ ipv6 {{ import all; export all; }}; learn; persist; graceful restart; merge paths on; }}
"""

BLOCKS = """
protocol static blocks4 {{ ipv4; route {block4} blackhole; }}
protocol static blocks6 {{ ipv6; route {block6} blackhole; }}
"""

# Calico's export: its own blocks with the LOCAL_PREF that its priority stands for.
SESSION = """
protocol bgp {name} {{
  local {own} as 64512;
  neighbor {peer} as 64512;
  multihop;
  {passive}
  connect delay time 1; connect retry time 2; error wait time 1, 2;
  graceful restart; {reflector}
  ipv{family} {{
    add paths on; gateway recursive; import all;
    export filter {{ if source = RTS_STATIC then {{ bgp_local_pref = 2147482623; accept; }} {reexport} reject; }};
  }};
}}
"""


def sessions(bird, nodes, reflector=False):
    text = ""
    for node in nodes:
        for family in (4, 6):
            own, peer = bird.address(family), node.address(family)
            text += SESSION.format(
                name=f"n{node.index}_{family}", own=own, peer=peer, family=family,
                # The higher address as a string dials, as Calico's nodes decide it.
                passive="passive on;" if peer > own and not reflector else "",
                reflector="rr client; rr cluster id 10.0.0.1;" if reflector else "",
                reexport="if source = RTS_BGP then accept;" if reflector else "")
    return text


def bird_routes(bird, family):
    return bird.birdc("show", "route", "table", f"master{family}", "all")


@pytest.fixture
def mesh(new_cluster):
    cluster = new_cluster()
    one, two = cluster.add_node("node-1"), cluster.add_node("node-2")
    bird = cluster.add_host(BirdNode, "bird-3")
    for host in (one, two, bird):
        host.add_pod(f"pod-{host.index}", cni=host is bird)
    bird.start((COMMON + BLOCKS).format(ip4=bird.ip4, block4=bird.blocks[0], block6=bird.blocks[1])
               + sessions(bird, [one, two]))
    cluster.start()
    cluster.wait_converged()
    return cluster


def test_mesh_with_bird(mesh):
    one, two, bird = mesh.hosts
    wait_for(lambda: all(bird.route(block) for node in (one, two) for block in node.blocks),
             lambda: f"BIRD's kernel has the nodes' blocks\n{bird.birdc('show', 'protocols', 'all')}", 30)
    mesh.assert_all_ping()

    def established():
        return {peer["address"] for peer in one.show("peers")["peers"] if peer["state"] == "Established"}
    # A session per family with BIRD, one for both with the other Calidris node: a second one goes once the first carries IPv6.
    wait_for(lambda: established() == {bird.ip4, bird.ip6, two.ip4}, lambda: one.calidris("show", "peers"))
    text = bird_routes(bird, 4)
    assert "BGP.local_pref: 2147482623" in text
    assert f"BGP.next_hop: {one.ip4}" in text


def test_bird_restarts_gracefully(mesh):
    one, _two, bird = mesh.hosts
    ping = one.pods[0].start_ping(bird.pods[0].ip4)
    ping.wait_received(5)
    before = one.show("peers", bird.ip4)["peer"]["established"]
    bird.processes[0].kill()
    bird.processes[0].wait()
    bird.processes.clear()
    wait_for(lambda: one.show("peers", bird.ip4)["peer"]["state"] != "Established", "the session is down")
    assert one.route(bird.blocks[0]), "kept over the restart"
    bird.start(bird.config_file.read_text())
    wait_for(lambda: one.show("peers", bird.ip4)["peer"]["established"] > before, "BIRD is back", 30)
    ping.wait_received(ping.received + 20)
    assert ping.stop().lost == 0


def test_calidris_restarts_gracefully_beside_bird(mesh):
    one, _two, bird = mesh.hosts
    ping = bird.pods[0].start_ping(one.pods[0].ip4)
    ping.wait_received(5)
    one.kill()
    wait_for(lambda: "Established" not in bird.birdc("show", "protocols", "n1_4"), "BIRD has noticed")
    assert bird.route(one.blocks[0]), "BIRD keeps our routes"
    one.start()
    wait_for(lambda: "Established" in bird.birdc("show", "protocols", "n1_4"), "BIRD is back", 30)
    ping.wait_received(ping.received + 20)
    assert ping.stop().lost == 0
    assert bird.route(one.blocks[0])


def test_bird_reflects(new_cluster):
    cluster = new_cluster(mesh=False)
    bird = cluster.add_reflector("bird-1", kind=BirdNode, peers=False)
    cluster.write(bgp_peer("bird", nodeSelector="all()", peerSelector="route-reflector == 'true'", maxRestartTime="3s"))
    one, two = cluster.add_node("node-2"), cluster.add_node("node-3")
    for node in (one, two):
        node.add_pod(f"pod-{node.index}")
    bird.start(COMMON.format(ip4=bird.ip4) + sessions(bird, [one, two], reflector=True))
    cluster.start()
    cluster.wait_converged()
    cluster.assert_all_ping()
    route = one.show("routes", two.blocks[0], "all")["routes"][0]
    assert route["next_hop"] == two.ip4
    peers = {peer["address"]: peer["state"] for peer in one.show("peers")["peers"]}
    assert peers == {bird.ip4: "Established", bird.ip6: "Established"}
    # A node that leaves takes its routes along, through the reflector, when its restart time is over.
    cluster.remove(two)
    wait_for(lambda: not one.route("10.244.3.0/26"), "the route to the node that left goes", 30)


def test_calidris_reflects_for_bird(new_cluster):
    cluster = new_cluster(mesh=False)
    reflector = cluster.add_reflector("reflector-1")
    node = cluster.add_node("node-2")
    bird = cluster.add_host(BirdNode, "bird-3")
    node.add_pod("pod-2")
    bird.add_pod("pod-3", cni=True)
    bird.start((COMMON + BLOCKS).format(ip4=bird.ip4, block4=bird.blocks[0], block6=bird.blocks[1])
               + sessions(bird, [reflector], reflector=False))
    cluster.start()
    cluster.wait_converged()
    wait_for(lambda: all(bird.route(block) for block in node.blocks), "BIRD has the node's blocks", 30)
    cluster.assert_all_ping()
    text = bird_routes(bird, 4)
    assert f"BGP.originator_id: {node.ip4}" in text
    assert "BGP.cluster_list: 10.0.0.1" in text
    assert f"BGP.next_hop: {node.ip4}" in text
