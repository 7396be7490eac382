"""Route reflectors as a deployment of their own: no kernel routes, clients from the datastore and by range, pairs with equal
and with different cluster ids, the way from a mesh to reflectors and back without an outage, clients that are stuck."""

import json
import re
import subprocess

import pytest

from harness import Host, programs
from netns import wait_for
from objects import bgp_configuration, bgp_peer
from peers import BirdNode, FrrNode
from speaker import Speaker, update
from test_restart import Traffic, Watch, assert_no_reset, sessions, wait_settled

TAKES = 50  # s: it begins early

TO_REFLECTORS = {"nodeSelector": "!has(route-reflector)", "peerSelector": "has(route-reflector)"}
CLUSTER_IDS = {"one cluster": ("10.0.0.1", "10.0.0.1"), "two clusters": ("10.0.0.1", "10.0.0.2")}


def add_reflectors(cluster, ids):
    return [cluster.add_reflector(f"reflector-{number}", cluster_id=cluster_id, peers=False)
            for number, cluster_id in enumerate(ids, 1)]


def told_by(node, reflectors, prefix):
    """Whether each of the reflectors has told the node this prefix."""
    rows = json.dumps(node.show("routes", prefix, "all"))
    return all(reflector.ip4.replace(".", "_") in rows for reflector in reflectors)


@pytest.mark.parametrize("ids", CLUSTER_IDS.values(), ids=CLUSTER_IDS)
def test_mesh_to_reflectors_and_back(new_cluster, ids):
    """Reflectors and BGPPeers are added, then the mesh is turned off; and the other way round. Not a packet is lost, no kernel
    route is touched, and no session that stays is reset."""
    cluster = new_cluster()
    nodes = [cluster.add_node(f"node-{index}") for index in (1, 2, 3)]
    for node in nodes:
        node.add_pod(f"pod-{node.index}")
    cluster.start()
    cluster.wait_converged()
    cluster.wait_local()
    wait_settled(*nodes)
    traffic, watch = Traffic(*cluster.pods), Watch(*nodes)

    reflectors = add_reflectors(cluster, ids)
    for reflector in reflectors:
        reflector.start()
    before = {node: sessions(node) for node in nodes}
    cluster.write(bgp_peer("to-reflectors", **TO_REFLECTORS), bgp_peer("between-reflectors", nodeSelector="has(route-reflector)",
                                                                       peerSelector="has(route-reflector)"))
    blocks = {node: [block for other in nodes if other is not node for block in other.blocks] for node in nodes}
    for node in nodes:
        wait_for(lambda node=node: all(told_by(node, reflectors, block) for block in blocks[node]),
                 lambda node=node: json.dumps([node.show("routes", block, "all") for block in blocks[node]], indent=1))
    traffic.check("reflectors are there")
    for node in nodes:
        assert_no_reset(before[node], node, "reflectors")

    before = {node: {name: since for name, since in sessions(node).items() if not name.startswith("Mesh")} for node in nodes}
    cluster.write(bgp_configuration(mesh=False))
    for node in nodes:
        wait_for(lambda node=node: not any(name.startswith("Mesh") for name in sessions(node)), lambda: sessions(nodes[0]))
    traffic.check("the mesh is off")
    watch.check("the way from the mesh to reflectors")
    assert not cluster.missing_routes()
    for node in nodes:
        assert_no_reset(before[node], node, "the end of the mesh")
    for reflector in reflectors:
        assert not [route for route in reflector.routes() if route.get("protocol") == "bgp"]

    # One of two reflectors goes: the other carries everything.
    reflectors[0].kill()
    traffic.check("one reflector is away")
    reflectors[0].start()
    wait_settled(*cluster.nodes)

    cluster.write(bgp_configuration(mesh=True))
    for node in nodes:
        wait_for(lambda node=node: sum(name.startswith("Mesh") for name in sessions(node)) == 2, lambda: sessions(nodes[0]))
    wait_for(lambda: all(json.dumps(node.show("routes", block, "all")).count('"Mesh_') for node in nodes
                         for block in blocks[node]), "the mesh has told all")
    cluster.delete(bgp_peer("to-reflectors"))
    for node in nodes:
        wait_for(lambda node=node: len(sessions(node)) == 2, lambda: sessions(nodes[0]))
    watch.check("the way back")
    traffic.end("the way back")


@pytest.mark.parametrize("ids", CLUSTER_IDS.values(), ids=CLUSTER_IDS)
def test_pair(new_cluster, ids):
    """A pair, each other's peers: every client's routes are at both, with the next hop they came with; what a reflector has
    told the other comes back to nobody."""
    cluster = new_cluster(mesh=False, families=(4,))
    nodes = [cluster.add_node(f"node-{index}") for index in (1, 2)]
    first, second = add_reflectors(cluster, ids)
    # The first node is a client of the first reflector only, the second one of both.
    cluster.write(bgp_peer("a", node="node-1", peerIP=first.ip4, asNumber=64512),
                  bgp_peer("b", node="node-2", peerSelector="has(route-reflector)"),
                  bgp_peer("pair", node="reflector-1", peerIP=second.ip4, asNumber=64512))
    cluster.start()
    cluster.wait_converged()
    wait_settled(*cluster.nodes)
    block, hop = nodes[0].blocks[0], nodes[0].ip4
    # RFC 4456 7: in one cluster the second reflector does not take what the first one has reflected.
    def at_second():
        return second.show("routes", block, "all")["routes"]
    wait_for(at_second, lambda: second.log_tail())
    accepted = [route for route in at_second() if route.get("best")]
    same = ids[0] == ids[1]
    wait_for(lambda: bool([route for route in at_second() if route.get("best")]) != same, lambda: json.dumps(at_second(), indent=1))
    if same:
        assert all("cluster" in json.dumps(route).lower() for route in at_second()), at_second()
    for route in accepted:
        assert hop in json.dumps(route)
    # The client of both has it, over the node that owns it.
    assert nodes[1].route(block)["gateway"] == hop
    # Nothing comes back to where it is from, nor goes in circles: every session is quiet.
    messages = {reflector: updates_sent(reflector) for reflector in (first, second)}
    nodes[0].add_pod("late")
    first.calidris("show", "status")
    assert {reflector: updates_sent(reflector) for reflector in (first, second)} == messages
    assert [route["from"] for route in first.show("routes", block, "all")["routes"]].count(None) == 0


def updates_sent(node):
    total = 0
    for peer in node.show("peers")["peers"]:
        messages = node.show("peers", peer["name"])["peer"]["messages"]
        total += next(row["sent"] for row in messages if row["type"] == "UPDATE")
    return total


def test_clients_by_range(new_cluster):
    """A reflector that knows of its clients only where they are from: nodes find it by a selector, it is killed and comes
    back, and no packet is lost, though it cannot know whom it waits for."""
    cluster = new_cluster(mesh=False)
    nodes = [cluster.add_node(f"node-{index}") for index in (1, 2, 3)]
    for node in nodes:
        node.add_pod(f"pod-{node.index}")
        node.configure({"bgp": {"connect_retry_time": 1}})
    reflector, = add_reflectors(cluster, ("10.0.0.1",))
    cluster.write(bgp_peer("to-reflectors", reversePeering="Manual", **TO_REFLECTORS),
                  bgp_peer("clients4", node=reflector.name, peerRange="172.18.0.0/24", asNumber=64512),
                  bgp_peer("clients6", node=reflector.name, peerRange="fd00:18::/64", asNumber=64512))
    cluster.start()
    cluster.wait_converged()
    cluster.wait_local()
    assert {peer["name"].split("_")[0] for peer in reflector.show("peers")["peers"]} == {"Dynamic"}
    wait_settled(*cluster.nodes)
    traffic, watch = Traffic(*cluster.pods), Watch(*nodes)
    for way in (lambda: reflector.terminate(), lambda: reflector.kill()):
        way()
        traffic.go_on()
        reflector.start()
        wait_settled(*cluster.nodes, timeout=40)
        wait_for(lambda: reflector.show("status")["ipv4"]["routes"] >= 3, lambda: reflector.show("status"))
        traffic.check("the reflector's restart")
    assert not cluster.missing_routes()
    watch.check("the reflector's restarts")
    traffic.end("the reflector's restarts")


BIRD = """
log stderr all;
router id {own};
protocol device {{ scan time 2; }}
protocol kernel {{ ipv4 {{ import none; export all; }}; }}
protocol static {{ ipv4; route {block} blackhole; }}
protocol bgp reflector {{
  local {own} as 64512;
  neighbor {peer} as 64512;
  multihop; password "sesame"; connect delay time 1; connect retry time 1;
  ipv4 {{ import all; export where source = RTS_STATIC; next hop self; gateway recursive; }};
}}
protocol direct {{ ipv4; }}
"""

FRR = """
router bgp 64512
 bgp router-id {own}
 neighbor {peer} remote-as 64512
 neighbor {peer} password sesame
 neighbor {peer} timers connect 1
 address-family ipv4 unicast
  network {block}
 exit-address-family
"""


def test_foreign_clients_by_range(new_cluster):
    """BIRD and FRR call, are let in by their range and its password, and have each other's routes by way of the reflector."""
    cluster = new_cluster(mesh=False, families=(4,))
    reflector, = add_reflectors(cluster, ("10.0.0.1",))
    cluster.write(bgp_peer("clients", node=reflector.name, peerRange="172.18.0.0/24", asNumber=64512, password="sesame"))
    bird, frr = cluster.add_host(BirdNode, "bird"), cluster.add_host(FrrNode, "frr")
    reflector.start()
    wait_for(lambda: reflector.show("dynamic")["ranges"], lambda: reflector.log_tail())
    bird.start(BIRD.format(own=bird.ip4, peer=reflector.ip4, block=bird.blocks[0]))
    frr.ip(f"route add blackhole {frr.blocks[0]}")
    frr.start(FRR.format(own=frr.ip4, peer=reflector.ip4, block=frr.blocks[0]))
    for host, other in ((bird, frr), (frr, bird)):
        wait_for(lambda host=host, other=other: (host.route(other.blocks[0]) or {}).get("gateway") == other.ip4,
                 lambda host=host: (reflector.show("peers"), host.routes()))
    assert {peer["name"] for peer in reflector.show("peers")["peers"]} == {
        f"Dynamic_{host.ip4.replace('.', '_')}" for host in (bird, frr)}


CROWD, FIRST, DEAF = "10.128.0.0/16", "10.128.0.1", 20


def test_stuck_clients(new_cluster):
    """Clients that have stopped reading cost the reflector next to nothing and the others nothing, until RFC 9687's send hold
    timer ends them."""
    cluster = new_cluster(mesh=False, families=(4,))
    node = cluster.add_reflector("reflector", peers=False, config={"log": {"level": "info"}, "bgp": {"send_hold_time": 8}})
    crowd = cluster.add_host(Host, "crowd", publish=False)
    feeder = cluster.add_host(Host, "feeder", publish=False)
    # Small buffers: what is not read is soon not taken any more.
    for host, key in ((node, "wmem"), (crowd, "rmem")):
        with host.inside():
            host.sysctl(f"net.ipv4.tcp_{key}", "4096 16384 65536")
    crowd.ip(f"route add local {CROWD} dev lo")
    node.ip(f"route add {CROWD} via {crowd.ip4}")
    prefixes = [f"10.244.{number >> 6}.{(number & 63) << 2}/32" for number in range(1 << 14)]
    prefixes += [f"10.244.{number >> 6}.{((number & 63) << 2) + low}/32" for number in range(1 << 14) for low in (1, 2)]
    cluster.write(bgp_peer("clients", peerRange=CROWD, peerLimit=1000), bgp_peer("feeder", peerIP=feeder.ip4, asNumber=64512))
    words = [programs() / "tests/tools/bgp_storm", "-t", node.ip4, "-f", FIRST, "-n", 200, "-d", DEAF, "-H", 30, "-w", -1]
    with Speaker(feeder) as speaker:
        node.start()
        wait_for(lambda: len(node.show("dynamic")["ranges"]) == 1, lambda: node.show("dynamic"))
        storm = crowd.popen(words, stdout=subprocess.PIPE, text=True)
        wait_for(lambda: node.show("status")["peers"]["up"] == 200, lambda: node.show("status")["peers"])
        before = node.resident()
        # Each with attributes of its own, so that they are large enough to fill the sockets of those who do not read.
        updates = [update([prefix], feeder.ip4, local_pref=100 + number % 9999) for number, prefix in enumerate(prefixes)]
        speaker.add(feeder.ip4, 64512, families=(4,), updates=updates)
        wait_for(lambda: node.show("status")["ipv4"]["routes"] == len(prefixes), lambda: node.show("status")["ipv4"])
        healthy, deaf = range(DEAF + 1, 201, 20), range(1, DEAF + 1)
        wait_for(lambda: all(up_to_date(node, number) for number in healthy), lambda: node.show("peers", "10.128.0.21"), 30)
        stuck = [number for number in deaf if not up_to_date(node, number)]
        assert len(stuck) == DEAF
        grown = node.resident() - before
        print(f"{len(stuck)} of {DEAF} are stuck; {grown} KiB more for {len(prefixes)} routes")
        assert grown < 64000, node.calidris("show", "memory")
        # They are told that they are not worth waiting for, and nobody else is.
        wait_for(lambda: node.show("status")["peers"]["up"] == 200 - len(stuck) + 1, lambda: node.show("status")["peers"], 60)
        assert re.search(r"send hold timer expired: the peer has taken nothing for 8 s", node.log_text())
        assert len(re.findall("down: ", node.log_text())) <= len(stuck) + 1
        storm.terminate()
        lost = re.search(r"lost (\d+)", storm.communicate(timeout=80)[0])
        assert int(lost.group(1)) <= DEAF


def up_to_date(node, number):
    """Whether this client has been given everything."""
    return node.show("peers", f"10.128.0.{number}")["peer"]["updates"]["up_to_date"]


def test_programming_of_a_reflector(new_cluster):
    """What a reflector that does not program selects is kept out of the FIB, not only out of the kernel; a reload changes that."""
    cluster = new_cluster()
    reflector, node = cluster.add_reflector("reflector"), cluster.add_node("node-1")
    cluster.start()
    wait_for(lambda: set(node.blocks) <= {row["prefix"] for row in reflector.show("routes")["routes"]}, "the node's blocks")
    assert not reflector.show("kernel")["kernel"]
    assert "keeps BGP's routes to itself" in reflector.calidris("explain", node.blocks[0].split("/")[0])
    reflector.configure({"kernel": {"programming": True}})
    reflector.reload()
    wait_for(lambda: all(reflector.route(block) for block in node.blocks), lambda: reflector.routes())
