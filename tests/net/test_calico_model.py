"""Fields of Calico's objects and its environment that change what reaches the kernel: who programs cluster routes, who
encrypts, hosts that a peer is reachable by, names that an address is found by."""

import contextlib
import json
import socket
from pathlib import Path

import pytest

from harness import SLOWNESS, announce, run, wait_for
from objects import bgp_configuration, bgp_peer, block_affinity, ip_pool, ipam_block, node_object

NAME = "fabric.calidris.test"
IPIP_POOL, IPIP_BLOCK = "10.245.0.0/16", "10.245.2.0/26"


class Hosts:
    """/etc/hosts as all see it in here."""

    def __init__(self, directory):
        self.path, self.original = directory / "hosts", Path("/etc/hosts").read_text()
        self.path.write_text(self.original)
        run(["mount", "--bind", self.path, "/etc/hosts"])

    def say(self, *lines):
        self.path.write_text(self.original + "".join(f"\n{line}" for line in lines) + "\n")

    def close(self):
        run(["umount", "/etc/hosts"])


@pytest.fixture(scope="module")
def cluster(new_shared_cluster):
    """Three nodes; the first one's address is found by a name."""
    cluster = new_shared_cluster()
    cluster.hosts_file = Hosts(cluster.directory)
    nodes = [cluster.add_node(f"node-{index}") for index in (1, 2, 3)]
    cluster.hosts_file.say(f"{nodes[1].ip4} {NAME}")
    nodes[0].configure({"node": {"ip": "autodetect", "ip_autodetection_method": f"can-reach={NAME}",
                                 "autodetection_interval": "1s"}})
    for node in nodes[:2]:
        node.add_pod(f"pod-{node.index}")
    cluster.start()
    cluster.wait_converged()
    yield cluster
    with contextlib.suppress(Exception):
        cluster.hosts_file.close()


def test_address_by_name(cluster):
    """can-reach: the name's address is looked up again, what was found stays while it cannot be."""
    one, two = cluster.nodes[:2]
    status = lambda: one.show("status")
    wait_for(lambda: status()["ipv4_address_from"] == "autodetection", lambda: one.calidris("show", "status"))
    assert status()["ipv4_address"] == one.ip4
    second = "172.18.0.200"
    one.ip(f"addr add {second}/16 dev eth0", f"route add 192.0.2.1 via {two.ip4} src {second}")
    assert status()["ipv4_address"] == one.ip4
    cluster.hosts_file.say(f"192.0.2.1 {NAME}")
    wait_for(lambda: status()["ipv4_address"] == second, lambda: one.calidris("show", "status"))
    cluster.hosts_file.say()
    wait_for(lambda: f"address of {NAME} cannot be looked up" in one.calidris("show", "problems"),
             lambda: one.calidris("show", "problems"), 60)
    assert status()["ipv4_address"] == second
    cluster.hosts_file.say(f"{two.ip4} {NAME}")
    wait_for(lambda: status()["ipv4_address"] == one.ip4, lambda: one.calidris("show", "status"), 60)
    wait_for(lambda: not one.show("problems")["problems"], lambda: one.calidris("show", "problems"))
    cluster.wait_converged(60)


def test_reachable_by_of_ipv6(cluster):
    """A host route to the peer, with IPv6's metric, that next hops with its address lead through, too."""
    one, two, three = cluster.nodes
    pod, far = one.pods[0], two.pods[0]
    block, host = two.blocks[1], f"{two.ip6}/128"
    leads = lambda to: (one.route(to) or {}).get("gateway")
    peer = {"node": one.name, "peerIP": two.ip6, "asNumber": 64512, "families": ["ipv6"]}
    wait_for(lambda: leads(block) == two.ip6, lambda: str(one.routes(6)))
    cluster.write(bgp_peer("by-three", **peer, reachableBy=three.ip6))
    wait_for(lambda: leads(host) == three.ip6, lambda: str(one.routes(6)))
    assert one.route(host)["metric"] == 1024
    wait_for(lambda: leads(block) == three.ip6, lambda: str(one.routes(6)), 30)
    wait_for(lambda: pod.pings(far.ip6), "pods reach each other by the third node", 30)
    cluster.write(bgp_peer("by-three", **peer))
    wait_for(lambda: not one.route(host) and leads(block) == two.ip6, lambda: str(one.routes(6)), 30)
    cluster.delete(bgp_peer("by-three", **peer))
    cluster.wait_converged(60)


def test_program_cluster_routes(cluster):
    """Who writes the routes of which pools: what is left to others is not in the kernel, blackholes included, and is
    announced all the same."""
    one, two = cluster.nodes[:2]
    plain, own = two.blocks[0], one.blocks[0]
    there = lambda *prefixes: [bool(one.route(prefix)) for prefix in prefixes]
    has = lambda prefix: any(route["prefix"] == prefix for route in one.show("routes")["routes"])
    say = lambda value: cluster.write(bgp_configuration(programClusterRoutes=value))
    say("EnabledNoEncapOnly")
    wait_for(lambda: one.show("objects", "BGPConfiguration"), "the configuration")
    cluster.write(ip_pool(IPIP_POOL, name="tunneled", ipipMode="Always"), block_affinity(two.name, IPIP_BLOCK),
                  ipam_block(two.name, IPIP_BLOCK, []))
    wait_for(lambda: has(IPIP_BLOCK), lambda: one.calidris("show", "routes"))
    # IP-in-IP is Felix's: neither its route nor, on the block's own node, its blackhole.
    wait_for(lambda: there(plain, own, IPIP_BLOCK) == [True, True, False], lambda: str(one.routes()))
    assert not two.route(IPIP_BLOCK)
    for value in ("EnabledIPIPOnly", "Disabled"):
        if value == "EnabledIPIPOnly":
            # What this would ask for needs a kernel with IP-in-IP.
            for thing in (ip_pool(IPIP_POOL, name="tunneled"), block_affinity(two.name, IPIP_BLOCK)):
                cluster.delete(thing)
            wait_for(lambda: not has(IPIP_BLOCK), lambda: one.calidris("show", "routes"))
        say(value)
        wait_for(lambda: there(plain, own) == [False, False], lambda: str(one.routes()))
        assert has(plain) and has(own)
        assert "left to others by programClusterRoutes" in one.calidris("explain", plain.split("/")[0])
        # Workloads are nobody's cluster routes.
        assert one.route(one.pods[0].ip4)
    sessions = {peer["name"]: peer["state"] for peer in one.show("peers")["peers"]}
    say("Enabled")
    wait_for(lambda: there(plain, own) == [True, True], lambda: str(one.routes()))
    say("Disabled")
    wait_for(lambda: there(plain, own) == [False, False], lambda: str(one.routes()))
    # What it is if nothing is said.
    cluster.write(bgp_configuration())
    wait_for(lambda: there(plain, own) == [True, True], lambda: str(one.routes()))
    assert {peer["name"]: peer["state"] for peer in one.show("peers")["peers"]} == sessions
    wait_for(lambda: one.pods[0].pings(two.pods[0].ip4), "pods reach each other", 30 * SLOWNESS)


def test_by_annotation(cluster):
    """What Calico's API has no fields for, as an API server keeps it: each of a peer's options, who the peer is included."""
    one, _two, three = cluster.nodes
    name = f"Node_{three.ip4.replace('.', '_')}"
    spec = {"node": one.name, "peerIP": three.ip4, "asNumber": 64512}
    shown = lambda node=one, peer=name: node.show("peers", peer)["peer"]

    def say(spec, **options):
        peer = bgp_peer("annotated", **spec)
        peer["metadata"]["annotations"] = {f"calidris.io/{key}": value for key, value in options.items()}
        cluster.write(peer)

    say(spec, holdTime="33", passive="true", families="ipv4", addPath="Off", gracefulShutdown="true", longLivedStaleTime="1h",
        prefixLimit='{"maximum": 5000, "warning": 80, "restartTime": "10m"}',
        bfd='{"enabled": true, "transmitInterval": 400, "receiveInterval": 400, "detectMultiplier": 5}')
    wait_for(lambda: any(peer["name"] == name and peer["state"] == "Established" for peer in one.show("peers")["peers"]),
             lambda: one.calidris("show", "peers"), 40)
    peer = shown()
    assert (peer["timers"]["hold_time_proposed"], peer["timers"]["hold_time"]) == (33, 33)
    assert peer["passive"] and peer["graceful_shutdown"] and peer["timers"]["long_lived_stale_time"] == 3600
    limit = peer["prefix_limit"]
    assert (limit["maximum"], limit["warning"], limit["restart_time"]) == (5000, 4000, 600)
    wait_for(lambda: [family["family"] for family in shown()["routes"] if family["end_of_rib_sent"]] == ["ipv4"],
             lambda: one.calidris("show", "peers", name), 40)
    wait_for(lambda: any(row["state"] == "Up" for row in one.show("bfd")["bfd"]), lambda: one.calidris("show", "bfd"), 30)
    say(spec, shutdown="true", shutdownMessage="moved to rack 7")
    wait_for(lambda: shown()["state"] == "Idle", lambda: one.calidris("show", "peers"))
    three.wait_log("moved to rack 7")
    # Who they are, likewise.
    say({"node": one.name}, peerRange="172.18.7.0/24", peerLimit="7")
    wait_for(lambda: "172.18.7.0/24" in one.calidris("show", "dynamic"), lambda: one.calidris("show", "dynamic"))
    say({"node": one.name}, interface="eth7")
    wait_for(lambda: "Node_eth7" in one.calidris("show", "peers"), lambda: one.calidris("show", "peers"))
    # One that cannot be: what was said last stays.
    say({"node": one.name}, interface="eth7", peerRange="10.0.0.0/8")
    wait_for(lambda: "spec.interface" in one.calidris("show", "problems"), lambda: one.calidris("show", "problems"))
    assert "Node_eth7" in one.calidris("show", "peers")
    cluster.delete(bgp_peer("annotated", **spec))
    cluster.wait_converged(60)
    wait_for(lambda: not one.show("problems")["problems"], lambda: one.calidris("show", "problems"))


def test_wireguard(cluster):
    """Between two nodes with keys packets are Felix's to lead: BGP's routes stay out of the kernel, for that family alone."""
    one, two, three = cluster.nodes
    keyed = lambda node, key="nrA1nYe1XhS7hYtVYqCjjVxFUEyPDNJYmmHUmCcpEiM=": {
        **node_object(node.name, node.addresses, wireguard={"interfaceIPv4Address": f"10.244.{node.index}.60"}),
        "status": {"wireguardPublicKey": key}}
    plain = lambda node: node_object(node.name, node.addresses)
    there = lambda node: [bool(one.route(block)) for block in node.blocks]
    has = lambda prefix: any(route["prefix"] == prefix for route in one.show("routes")["routes"])
    missing = lambda: any("wireguard.cali is missing" in line for line in one.show("problems")["problems"])
    wait_for(lambda: there(two) + there(three) == [True] * 4, lambda: str(one.routes()))
    # One key alone is nobody to speak with.
    cluster.write(keyed(two))
    cluster.write(keyed(one))
    wait_for(lambda: there(two) == [False, True], lambda: str(one.routes()))
    assert has(two.blocks[0]) and there(three) == [True, True] and missing()
    assert "reached by WireGuard" in one.calidris("explain", two.blocks[0].split("/")[0])
    one.ip("link add wireguard.cali type veth peer name other", "link set wireguard.cali up")
    wait_for(lambda: not missing(), lambda: one.calidris("show", "problems"))
    # Another node gets a key, and loses it: what a restart finds is the same.
    cluster.write(keyed(three))
    wait_for(lambda: there(three) == [False, True], lambda: str(one.routes()))
    one.terminate()
    one.start()
    wait_for(lambda: one.show("status")["datastore"]["in_sync"] and there(two) + there(three) == [False, True] * 2,
             lambda: str(one.routes()), 30)
    cluster.write(plain(three))
    wait_for(lambda: there(three) == [True, True], lambda: str(one.routes()), 30)
    assert there(two) == [False, True]
    cluster.write(plain(one))
    wait_for(lambda: there(two) == [True, True], lambda: str(one.routes()), 30)
    cluster.write(plain(two))
    one.ip("link del wireguard.cali")
    wait_for(lambda: not missing(), lambda: one.calidris("show", "problems"))


def test_routes_through_tunnels(cluster):
    """What a peer of another AS sends is passed on inside the AS, but not while it leads through a tunnel's device."""
    one, two, three = cluster.nodes
    peers = [bgp_peer("to-two", node=one.name, peerIP=two.ip4, asNumber=65002, reversePeering="Manual"),
             bgp_peer("to-one", node=two.name, peerIP=one.ip4, asNumber=64512, localASNumber=65002, reversePeering="Manual")]
    block = two.blocks[0]

    def told():
        """To node-3: whether, and why."""
        rows = json.loads(one.calidris("-o", "json", "explain", block.split("/")[0])).get("export") or []
        return next(((row["announced"], row["reason"]) for row in rows
                     if row["peer"] == f"Mesh_{three.ip4.replace('.', '_')}"), (False, "nothing is said"))
    cluster.write(*peers)
    wait_for(lambda: told()[0], lambda: one.calidris("explain", block.split("/")[0]), 60)
    one.ip("link add up.calico type veth peer name other", "link set up.calico up", "link set other up",
           f"route add {two.ip4} dev up.calico")
    wait_for(lambda: told() == (False, "leads through a VXLAN device"), lambda: str(told()))
    one.ip(f"route del {two.ip4} dev up.calico", "link del up.calico")
    wait_for(lambda: told()[0], lambda: str(told()), 60)
    for peer in peers:
        cluster.delete(peer)
    cluster.wait_converged(60)


def speak(pod, protocol):
    """A gratuitous ARP, as the guest's kernel sends it, or a RARP, as its hypervisor does."""
    if protocol == "arp":
        announce(pod, pod.ip4)
        return
    with pod.inside():
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x8035))
    with sock:
        sock.bind(("eth0", 0x8035))
        mac = sock.getsockname()[4]
        sock.send(b"\xff" * 6 + mac + bytes.fromhex("8035" "0001" "0800" "06" "04" "0003") + mac + bytes(4) + mac + bytes(4))


@pytest.mark.parametrize("protocol", ["arp", "rarp"])
def test_live_migration(cluster, protocol):
    """A machine comes from node-2 to node-1: silent, nothing leads there; its first words bring all packets, and the better
    priority goes when the migration is over and everybody has had time."""
    one, two, three = cluster.nodes
    one.configure({"kernel": {"migration_time": "2s"}})
    one.reload()
    address = f"10.244.2.5{1 if protocol == 'arp' else 2}"
    pod = one.add_pod(f"vm-{protocol}", [address], publish=False)
    metric = lambda node: (node.route(address) or {}).get("metric")
    say = lambda **spec: cluster.write({**pod.object(), "spec": {**pod.object()["spec"], **spec}})
    say(liveMigration="Target")
    wait_for(lambda: any(row["name"].endswith(pod.object()["metadata"]["name"])
                         for row in one.show("objects", "WorkloadEndpoint")["objects"]), lambda: one.calidris("show", "objects"))
    assert not one.route(address) and not three.route(address)
    # What others say there is nothing to go by.
    announce(pod, "10.244.2.9")
    assert not one.route(address)
    speak(pod, protocol)
    wait_for(lambda: (metric(one), metric(three)) == (512, 512), lambda: f"{one.routes()}\n{three.routes()}")
    # A restart in the middle of it finds what was.
    one.kill()
    one.start()
    wait_for(lambda: one.show("status")["datastore"]["in_sync"], lambda: one.calidris("show", "status"))
    one.wait_log("start complete", 30)
    assert metric(one) == 512
    say()
    wait_for(lambda: (metric(one), metric(three)) == (1024, 1024), lambda: f"{one.routes()}\n{three.routes()}", 30)
    assert not one.show("problems")["problems"]
    cluster.delete(pod.object())
    wait_for(lambda: not three.route(address), lambda: str(three.routes()))
