"""What Calico's BIRD and Felix left in the kernel is taken over without a packet lost; and the way back."""

import re

import pytest

from harness import programs, wait_for
from objects import bgp_configuration, ip_pool, node_object

FOREIGN = ["10.77.0.0/16 via 172.18.0.254 dev eth0 proto static", "10.78.0.0/16 via 172.18.0.254 dev eth0 proto zebra",
           "10.79.0.0/16 via 172.18.0.254 dev eth0 proto boot", "unreachable 10.80.0.0/16 proto static table 77"]
FOREIGN6 = ["fd00:77::/48 via fd00:18::fffe dev eth0 proto static", "fd00:79::/48 via fd00:18::fffe dev eth0 proto boot"]


@pytest.fixture
def cluster(new_cluster):
    """Three nodes as Calico leaves them when its daemons stop: blocks by BIRD, local ones by Felix, pods by both."""
    cluster = new_cluster()
    for number in (1, 2, 3):
        node = cluster.add_node(f"node-{number}")
        node.add_pod(f"pod-{number}", cni=True)
        node.configure({"kernel": {"programming": False}})
    for node in cluster.nodes:
        pod = node.pods[0]
        # The pod's route by Felix 3.31 (metric 0), and a newer one's of a pod that is gone.
        block4, block6 = node.blocks
        # Sorted by protocol: a batch of ip(8) gets confused when it comes back to an earlier one.
        node.ip(*(f"route add {block} via {other.address(6 if ':' in block else 4)} dev eth0 proto 12 onlink"
                  for other in cluster.nodes if other is not node for block in other.blocks),
                "route add 10.244.9.0/26 via 172.18.0.9 dev eth0 proto 12 onlink",
                f"route add {ip6(node, 9, 0)}/122 via fd00:18::9 dev eth0 proto 12 onlink",
                f"route add blackhole {block4} proto 80", f"route add blackhole {block6} proto 80 metric 1024",
                "route add 10.244.8.0/26 via 172.18.0.8 dev eth0 proto 80 onlink",
                f"route add 10.244.{node.index}.60 dev {pod.interface} proto boot scope link",
                f"route add {ip6(node, node.index, 0x3c)} dev {pod.interface} proto boot",
                *(f"route add {route}" for route in FOREIGN + FOREIGN6))
    return cluster


def ip6(node, block, ordinal):
    """An address of a block that no node has, or another one of the node's."""
    own = node.blocks[1].split("/")[0]
    return re.sub(r"[0-9a-f]+::$", f"{block:x}::" + (f"{ordinal:x}" if ordinal else ""), own)


def left_over(node):
    """Routes that are BIRD's or Felix's."""
    return [route for route in node.routes() if route.get("protocol") in ("bird", "80") or
            (route.get("protocol") == "boot" and route.get("dev", "").startswith("cali"))]


def tables(node):
    return node.run("ip", "route", "show", "table", "all") + node.run("ip", "-6", "route", "show", "table", "all")


def sessions_up(cluster):
    for node in cluster.nodes:
        wait_for(lambda n=node: n.show("status")["peers"]["up"] == 2, "sessions")
        wait_for(lambda n=node: not n.show("status")["restart"]["in_progress"], "the start ends", 30)


def plan(node):
    return {(row["prefix"], row["deed"]) for row in node.show("takeover")["takeover"]}


def dry_run(node, *options):
    """({(prefix, deed)}, the whole text) of the offline dry run, which has changed nothing."""
    before = tables(node)
    text = node.run(programs() / "calidrisd", "--dry-run", "-c", node.config_file, *options)
    assert tables(node) == before
    found = set(re.findall(r"(?m)^(add|replace|remove|wait) +(\S+) ", text))
    return {(prefix, deed) for deed, prefix in found}, text


def blocks_of_others(cluster, node):
    return {block for other in cluster.nodes if other is not node for block in other.blocks}


def test_dry_run_before_the_start(cluster):
    """Beside daemons that run, without privilege over them: it needs no socket, and speaks to nobody."""
    node, pod = cluster.nodes[0], cluster.nodes[0].pods[0]
    hosts = {f"{pod.ip4}/32", f"{pod.ip6}/128"}
    stale4, stale6 = "10.244.1.60/32", f"{ip6(node, 1, 0x3c)}/128"
    gone = {"10.244.8.0/26", "10.244.9.0/26", f"{ip6(node, 9, 0)}/122"}
    found, text = dry_run(node, "--takeover=bird,felix")
    # IPv6 routes of workloads have the metric that ours have: they are replaced.
    assert found == {(f"{pod.ip4}/32", "add"), (f"{pod.ip4}/32", "remove"), (f"{pod.ip6}/128", "replace"),
                     (stale4, "remove"), (stale6, "remove"), *((block, "replace") for block in node.blocks),
                     *((block, "wait") for block in blocks_of_others(cluster, node) | gone)}, text
    assert "stays until BGP has told its routes" in text
    # Who is not named keeps what he has.
    found, text = dry_run(node, "--takeover=bird")
    assert found == {(f"{pod.ip4}/32", "add"), (f"{pod.ip6}/128", "replace"), *((block, "replace") for block in node.blocks),
                     *((block, "wait") for block in blocks_of_others(cluster, node) | gone - {"10.244.8.0/26"})}, text
    found, text = dry_run(node)
    assert found == {(f"{pod.ip4}/32", "add"), (f"{pod.ip6}/128", "replace"),
                     *((block, "replace") for block in node.blocks)}, text
    assert hosts == {prefix for prefix, deed in found if deed != "replace" or prefix.endswith("/128")}
    # What a tunnel would need.
    cluster.write(node_object(node.name, node.addresses, ipv4VXLANTunnelAddr="10.244.1.63"),
                  node_object(cluster.nodes[1].name, cluster.nodes[1].addresses, ipv4VXLANTunnelAddr="10.244.2.63"),
                  ip_pool("10.244.0.0/16", vxlanMode="Always"))
    found, text = dry_run(node)
    assert "device: add vxlan.calico (IPPool" in text
    assert ("10.244.2.0/26", "wait") in found and "no such interface" in text
    # Mistakes are told, and nothing is done.
    for option, status in (("--takeover=dog", 78), ("--takeover", 64)):
        done = node.run(programs() / "calidrisd", "--dry-run", "-c", node.config_file, option, check=False)
        assert done.returncode == status and not done.stdout, done.stderr
        assert status != 78 or 'option --takeover: kernel.takeover: "dog" is not allowed' in done.stderr
    node.configure({"datastore": {"directory": "/nowhere"}})
    done = node.run(programs() / "calidrisd", "--dry-run", "-c", node.config_file, check=False)
    assert done.returncode == 69 and "/nowhere" in done.stderr


def test_the_option_is_taken_and_outlives_reloads(cluster):
    node = cluster.nodes[0]
    node.configure({"kernel": {"programming": True}})
    node.options = ["--takeover=felix"]
    cluster.write(bgp_configuration(mesh=False))
    node.start()
    assert "kernel.takeover" not in node.config_file.read_text()
    wait_for(lambda: not node.show("status")["restart"]["in_progress"], "the start ends", 30)
    bird = {block for block in blocks_of_others(cluster, node)} | {"10.244.9.0/26", f"{ip6(node, 9, 0)}/122"}
    wait_for(lambda: {route["dst"] for route in left_over(node)} == bird, lambda: str(left_over(node)))
    node.calidris("reload")
    # A second daemon touches nothing while one serves.
    done = node.run(programs() / "calidrisd", "--teardown", "-c", node.config_file, check=False)
    assert done.returncode == 71 and "answers" in done.stderr, done.stderr
    assert {route["dst"] for route in left_over(node)} == bird
    node.calidris("teardown")
    assert node.process.wait(15) == 0
    assert {route["dst"] for route in left_over(node)} == bird
    assert not [route for route in node.routes() if route.get("protocol") == "bgp"]
    node.processes.remove(node.process)


def test_taken_over_under_traffic(cluster):
    cluster.start()
    sessions_up(cluster)
    node, pod = cluster.nodes[0], cluster.nodes[0].pods[0]
    others = blocks_of_others(cluster, node)
    before = {other.name: tables(other) for other in cluster.nodes}
    # Nothing has been touched so far, and all that would be is named.
    block4, block6 = node.blocks
    others6 = {block for block in others if ":" in block}
    assert plan(node) == {
        ("10.244.1.1/32", "add"), ("10.244.1.1/32", "remove"), ("10.244.1.60/32", "remove"), (f"{pod.ip6}/128", "replace"),
        (f"{ip6(node, 1, 0x3c)}/128", "remove"), (block4, "replace"), (block6, "replace"),
        *((block, deed) for block in others - others6 for deed in ("add", "remove")),
        *((block, "replace") for block in others6),
        ("10.244.8.0/26", "remove"), ("10.244.9.0/26", "remove"), (f"{ip6(node, 9, 0)}/122", "remove")}
    assert before == {other.name: tables(other) for other in cluster.nodes}
    pings = [cluster.pods[0].start_ping(address, 0.001) for address in cluster.pods[2].addresses]
    for ping in pings:
        ping.wait_received(100)
    for each in cluster.nodes:
        each.configure({"kernel": {"programming": True, "takeover": "bird felix"}})
        each.reload()
    for each in cluster.nodes:
        wait_for(lambda n=each: not left_over(n), lambda n=each: f"{n.name}: {left_over(n)}")
    cluster.wait_converged()
    for each in cluster.nodes:
        assert plan(each) == set()
        for route in FOREIGN[:3] + FOREIGN6:
            assert each.route(route.split()[0]), route
        assert "10.80.0.0/16" in each.run("ip", "route", "show", "table", 77)
    for ping in pings:
        ping.wait_received(ping.received + 100)
    # The way back: stopping leaves everything, as BIRD and Felix will find and replace it.
    for each in cluster.nodes:
        routes = tables(each)
        assert each.terminate() == 0
        assert tables(each) == routes
    for each in cluster.nodes:
        block4, block6 = each.blocks
        each.ip(*(f"route replace {block} via {other.address(6 if ':' in block else 4)} dev eth0 proto 12 onlink"
                  for other in cluster.nodes if other is not each for block in other.blocks),
                f"route replace blackhole {block4} proto 80", f"route replace blackhole {block6} proto 80 metric 1024")
        each.pods[0].cni_host_side(replace=True)
    for ping in pings:
        ping.wait_received(ping.received + 100)
    # What is left of ours goes then.
    for each in cluster.nodes:
        each.run(programs() / "calidrisd", "--teardown", "-c", each.config_file)
        assert not [route for route in each.routes() if route.get("protocol") == "bgp"]
        assert {route["dst"] for route in left_over(each)} == \
            {*each.blocks, *blocks_of_others(cluster, each), *each.pods[0].addresses}, tables(each)
    for ping in pings:
        ping.wait_received(ping.received + 100)
        ping.stop()


def test_without_the_word_others_routes_stay(cluster):
    cluster.start()
    sessions_up(cluster)
    node = cluster.nodes[0]
    node.configure({"kernel": {"programming": True, "metric": "priority"}})
    node.reload()
    cluster.hosts = [node]
    wait_for(lambda: node.show("status")["kernel"]["installed"] >= 4, "our routes are there")
    # What stands where we want ours is replaced all the same: IPv6 routes have one metric, whoever makes them.
    wait_for(lambda: {route["dst"] for route in left_over(node)} ==
             {"10.244.1.1", "10.244.1.60", "10.244.2.0/26", "10.244.3.0/26", "10.244.8.0/26", "10.244.9.0/26",
              f"{ip6(node, 1, 0x3c)}", f"{ip6(node, 9, 0)}/122"}, lambda: str(left_over(node)))


def test_teardown_removes_what_is_ours_alone(new_cluster):
    cluster = new_cluster(pools=False)
    for cidr in ("10.244.0.0/16", "fd00:10:244::/48"):
        cluster.write(ip_pool(cidr))
    cluster.write(ip_pool("10.99.0.0/16", name="tunnelled", vxlanMode="Always"))
    for number in (1, 2):
        cluster.add_node(f"node-{number}").add_pod(f"pod-{number}")
    node = cluster.nodes[0]
    node.ip(*(f"route add {route}" for route in FOREIGN))
    before = {family: sorted(node.run("ip", f"-{family}", "route", "show", "proto", "static").splitlines())
              for family in (4, 6)}
    cluster.start()
    cluster.wait_converged()
    wait_for(lambda: "vxlan.calico" in node.run("ip", "link"), "the device")
    node.calidris("teardown")
    assert node.process.wait(60) == 0
    assert not [route for route in node.routes() if route.get("protocol") == "bgp"]
    assert "vxlan.calico" not in node.run("ip", "link")
    assert before == {family: sorted(node.run("ip", f"-{family}", "route", "show", "proto", "static").splitlines())
                      for family in (4, 6)}
    for route in FOREIGN[:3]:
        assert node.route(route.split()[0]), route
    assert "10.80.0.0/16" in node.run("ip", "route", "show", "table", 77)
    # The others have heard of it at once, and it can come back.
    wait_for(lambda: not cluster.nodes[1].route(node.blocks[0]), "the other node's route goes")
    node.start()
    cluster.wait_converged()
