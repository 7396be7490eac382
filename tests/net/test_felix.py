"""Beside a Felix that runs: what is its stays its, the kernel's routes are the source for workloads, nobody fights."""

import json
import re
import sys
from pathlib import Path

import pytest

from harness import wait_for
from objects import ip_pool, node_object, workload_endpoint

FELIX = Path(__file__).with_name("felix.py")
NORMAL, ELEVATED = 2147483647 - 1024, 2147483647 - 512
VXLAN4, VXLAN6 = "10.250.0.0/16", "fd00:10:250::/48"


class Felix:
    """The stand-in on a node: wants its workloads' routes, a blackhole for each local block, and what else it is told."""

    def __init__(self, node):
        self.node, self.path, self.routes = node, node.directory / "felix.json", {}
        for block in node.blocks:
            self.routes[block] = ["blackhole", "80", 0]
        self.write()
        self.process = node.spawn([sys.executable, "-B", FELIX, self.path], "felix.log")

    def write(self):
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"routes": [[prefix, *rest] for prefix, rest in self.routes.items()]}))
        new.rename(self.path)

    def pod(self, pod, metric=1024):
        for address in pod.addresses:
            self.routes[address] = [f"dev {pod.interface} scope link", "3", metric]
        self.write()

    def lines(self):
        return (self.node.directory / "felix.log").read_text().splitlines()

    def deeds(self):
        return [line for line in self.lines() if not line.startswith("round")]

    def round(self):
        return sum(line.startswith("round") for line in self.lines())

    def wait_rounds(self, more):
        target = self.round() + more
        wait_for(lambda: self.round() >= target, f"{more} rounds of Felix")

    def wait_quiet(self, rounds=5):
        """So many rounds in a row with nothing to do."""
        def quiet():
            lines = self.lines()[-rounds - 1:]
            return len(lines) > rounds and all(line.startswith("round") for line in lines)
        wait_for(quiet, lambda: "Felix has nothing to do:\n" + "\n".join(self.lines()[-20:]))


@pytest.fixture
def cluster(new_cluster):
    """Two nodes; on the first one Felix has the workloads, of which no object speaks there, and VXLAN."""
    cluster = new_cluster()
    one, two = cluster.add_node("node-1"), cluster.add_node("node-2")
    for node in (one, two):
        cluster.write(node_object(node.name, node.addresses, ipv4VXLANTunnelAddr=f"10.250.{node.index}.63",
                                  ipv6VXLANTunnelAddr=f"fd00:10:250:{node.index}::3f"))
    cluster.write(ip_pool(VXLAN4, name="vxlan4", vxlanMode="Always"), ip_pool(VXLAN6, name="vxlan6", vxlanMode="Always"))
    one.configure({"kernel": {"workload_routes": False, "audit_interval": 1, "takeover": "bird felix"}})
    # Felix's VXLAN: the devices, one end, one route.
    one.ip(f"link add vxlan.calico address 66:00:00:00:00:01 type vxlan id 4096 dstport 4789 local {one.ip4} nolearning",
           "addr add 10.250.1.63/32 dev vxlan.calico", "link set vxlan.calico mtu 1450 up",
           "neigh add 10.250.2.63 lladdr 66:00:00:00:00:02 dev vxlan.calico nud permanent")
    one.run("bridge", "fdb", "add", "66:00:00:00:00:02", "dev", "vxlan.calico", "dst", two.ip4, "self", "permanent")
    for name in ("near", "borrowed"):
        block = 99 if name == "borrowed" else None
        pod = one.add_pod(name, [f"10.244.{block}.5", f"fd00:10:244:{block}::5"] if block else None, publish=False)
        pod.cni_host_side_settings()
    two.add_pod("far")
    cluster.felix = Felix(one)
    cluster.felix.routes["10.250.2.0/26"] = ["via 10.250.2.63 dev vxlan.calico onlink", "3", 0]
    cluster.start()
    for pod in one.pods:
        cluster.felix.pod(pod)
    cluster.felix.wait_quiet()
    return cluster


def local_pref(node, prefix):
    """Of the best route, as the node has it; None if it has none."""
    done = node.calidris("-o", "json", "show", "routes", prefix, check=False)
    rows = json.loads(done.stdout)["routes"] if done.returncode == 0 else []
    return next((row["local_pref"] for row in rows if row["best"]), None)


def kernel_events(node, felix, rounds):
    """The lines that `ip monitor` prints of routes while Felix makes so many rounds."""
    path = node.directory / "monitor.log"
    process = node.spawn(["ip", "monitor", "route"], "monitor.log")
    felix.wait_rounds(rounds)
    node.processes.remove(process)
    process.kill()
    process.wait(5)
    return path.read_text().splitlines()


def vxlan_state(node):
    return (node.run("ip", "-d", "addr", "show", "dev", "vxlan.calico"), node.run("ip", "route", "show", "dev", "vxlan.calico"),
            node.run("bridge", "fdb", "show", "dev", "vxlan.calico"), node.run("ip", "neigh", "show", "dev", "vxlan.calico"))


def test_nobody_fights_and_the_kernel_is_the_source(cluster):
    one, two = cluster.nodes
    near, borrowed = one.pods
    far, felix = two.pods[0], cluster.felix
    before = vxlan_state(one)
    # The block as a whole; an address outside of it on its own, though no object names the workload.
    for address in borrowed.addresses:
        length = 128 if ":" in address else 32
        wait_for(lambda p=f"{address}/{length}": local_pref(two, p) == NORMAL, lambda: two.calidris("show", "routes"))
    for block in two.blocks:
        wait_for(lambda b=block: one.route(b), "the way to the other node")
    assert not two.route(near.ip4)
    assert one.calidris("explain", borrowed.ip4).count("a route of the kernel to a workload, priority 1024")
    for pod in one.pods:
        for mine, its in zip(pod.addresses, far.addresses):
            wait_for(lambda p=pod, a=its: p.pings(a), f"{pod.name} reaches {its}")
    pings = [pod.start_ping(address, 0.002) for pod in one.pods for address in far.addresses]
    for ping in pings:
        ping.wait_received(50)
    wait_for(lambda: not one.show("status")["restart"]["in_progress"], "the start ends", 30)
    # Felix's blackhole for the local block, IPv6 at our metric, and ours: the latter steps back.
    felix.wait_quiet()
    # Settled: nobody writes anything any more, over rounds of Felix and audits of ours.
    writes = one.show("status")["kernel"]
    events = kernel_events(one, felix, 30)
    assert not events, events[:10]
    after = one.show("status")["kernel"]
    assert [after[key] - writes[key] for key in ("writes", "deletes", "repaired")] == [0, 0, 0]
    for ping in pings:
        ping.wait_received(ping.received + 50)
        ping.stop()
    assert [ping.lost for ping in pings] == [0] * len(pings)
    # A workload moves: priority 512 while it does. (Felix deletes before it adds: no traffic is counted here.)
    felix.pod(borrowed, 512)
    for address in borrowed.addresses:
        length = 128 if ":" in address else 32
        wait_for(lambda p=f"{address}/{length}": local_pref(two, p) == ELEVATED, lambda: two.calidris("show", "routes"))
        assert two.route(address)["metric"] == 512
    # One inside the block stands out of it then.
    felix.pod(near, 512)
    wait_for(lambda: local_pref(two, f"{near.ip4}/32") == ELEVATED, lambda: two.calidris("show", "routes"))
    for pod in (borrowed, near):
        felix.pod(pod)
    wait_for(lambda: local_pref(two, f"{near.ip4}/32") is None, lambda: two.calidris("show", "routes"))
    felix.wait_quiet()
    # What is Felix's is as it was: devices, entries, addresses, its routes; nothing of ours on its interfaces.
    assert vxlan_state(one) == before
    assert not [route for route in one.routes() if route.get("protocol") == "bgp" and
                (route["dev"].startswith("cali") or route["dev"].endswith("calico"))]
    assert one.show("problems")["problems"] == []


def test_its_routes_at_our_places_stay(cluster):
    """Felix may write cluster routes, too: IPv6 has one metric for all, so these meet ours."""
    one, two = cluster.nodes
    near, far, felix = one.pods[0], two.pods[0], cluster.felix
    block = two.blocks[1]
    for there in two.blocks:
        wait_for(lambda b=there: one.route(b) and one.route(b)["protocol"] == "bgp", "our routes")
    wait_for(lambda: not one.show("status")["restart"]["in_progress"], "the start ends", 30)
    wait_for(lambda: near.pings(far.ip6), "pods reach each other")
    ping = near.start_ping(far.ip6, 0.002)
    ping.wait_received(50)
    felix.routes[block] = [f"via {two.ip6} dev eth0 onlink", "80", 0]
    felix.write()
    wait_for(lambda: [route["protocol"] for route in one.routes(6) if route["dst"] == block] == ["80"], "its route")
    felix.wait_quiet()
    assert not kernel_events(one, felix, 10)
    assert "left to Felix" in one.calidris("explain", far.ip6)
    del felix.routes[block]
    felix.write()
    wait_for(lambda: [route["protocol"] for route in one.routes(6) if route["dst"] == block] == ["bgp"], "our route again")
    felix.wait_quiet()
    ping.wait_received(ping.received + 50)
    ping.stop()
    # Felix removes its route before anyone can know: what is lost is lost in that moment.
    assert ping.lost <= 25, ping.lost


def test_workloads_come_and_go_without_objects(cluster):
    one, two = cluster.nodes
    felix = cluster.felix
    # An object for a workload that Felix has not let live (a migration's target): not announced.
    cluster.write(workload_endpoint(one.name, "target", "calitarget", ["10.244.98.5", "fd00:10:244:98::5"]))
    pods = [one.add_pod(f"pod-{number}", [f"10.244.97.{number}", f"fd00:10:244:97::{number:x}"], publish=False)
            for number in range(1, 21)]
    for pod in pods:
        felix.pod(pod)
    for pod in pods:
        for address in pod.addresses:
            wait_for(lambda a=address: two.route(a), lambda a=address: f"{a}: {two.calidris('show', 'routes')}")
    assert not two.route("10.244.98.5") and not two.route("fd00:10:244:98::5")
    # The start, a reload and a restart read what is there.
    one.reload()
    one.terminate()
    one.start()
    wait_for(lambda: all(two.route(address) for pod in pods for address in pod.addresses), "they are announced again")
    # The CNI plugin's route has metric 0: still the normal priority.
    one.ip(f"route add 10.244.97.99 dev {pods[0].interface} scope link")
    felix.routes["10.244.97.99"] = [f"dev {pods[0].interface} scope link", "3", 0]
    felix.write()
    wait_for(lambda: local_pref(two, "10.244.97.99/32") == NORMAL, lambda: two.calidris("show", "routes"))
    # An interface that gets its name later.
    one.ip("link add temporary type veth peer name other", "link set temporary up", "link set other up",
           "route add 10.244.97.98 dev temporary scope link metric 1024")
    felix.routes["10.244.97.98"] = ["dev calirenamed scope link", "3", 1024]
    felix.write()
    one.ip("link set temporary down", "link set temporary name calirenamed", "link set calirenamed up")
    wait_for(lambda: local_pref(two, "10.244.97.98/32") == NORMAL, lambda: two.calidris("show", "routes"))
    for pod in pods:
        for address in pod.addresses:
            del felix.routes[address]
    felix.write()
    wait_for(lambda: not any(two.route(address) for pod in pods for address in pod.addresses), "they are gone")


def test_the_protocol_that_felix_removes_is_warned_of(cluster):
    one = cluster.nodes[0]
    one.configure({"kernel": {"protocol": 80}})
    one.reload()
    wait_for(lambda: any(re.search("kernel.protocol is 80", text) for text in one.show("problems")["problems"]),
             lambda: one.calidris("show", "problems"))
