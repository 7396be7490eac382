"""Starts while etcd cannot be reached or does not want us, with a cache and without; clusters of three; many keys."""

import json
import re
import shutil
import subprocess

import pytest

from etcd import RESOURCES, Etcd, Pki
from harness import programs, wait_for
from objects import ip_pool, ipam_block, node_object, workload_endpoint


def status(node):
    return node.show("status")["datastore"]


def wait_sync(node, timeout=20):
    wait_for(lambda: status(node)["in_sync"], lambda: f"in sync\n{node.log_tail()}", timeout)


def wait_problem(node, *words, timeout=20):
    return wait_for(lambda: all(word in (status(node)["problem"] or "") for word in words),
                    lambda: f"{words} in {status(node)['problem']!r}\n{node.log_tail()}", timeout)


def routes(node):
    return sorted((route["dst"], route.get("gateway", ""), route.get("dev", "")) for route in node.routes(4)
                  if route.get("protocol") == "bgp")


@pytest.fixture
def make(new_cluster):
    def make_with(**options):
        cluster = new_cluster(datastore=lambda cluster: Etcd(cluster, **options), families=(4,))
        cluster.add_node("node-1", blocks=["10.244.1.0/26"])
        return cluster
    return make_with


def test_the_cache_stands_in(make):
    """A node that boots while etcd is away has its last known state: routes, peers, announcements."""
    cluster = make()
    one, two = cluster.nodes[0], cluster.add_node("node-2")
    pod = one.add_pod("a")
    cluster.start()
    cluster.wait_converged()
    before, cache = routes(one), one.directory / "datastore.cache"
    assert (pod.ip4, "", pod.interface) in before
    wait_for(lambda: cache.exists() and cache.stat().st_mode & 0o777 == 0o600, "the cache is there, and private")
    one.terminate()
    cluster.datastore.members[0].kill()
    for route in before:
        one.ip(f"route del {'blackhole ' if not route[2] else ''}{route[0]}")  # as after a boot
    one.start()
    wait_for(lambda: status(one)["cached"], lambda: f"the cache stands in\n{one.log_tail()}")
    wait_for(lambda: routes(one) == before, lambda: f"all routes are back: {routes(one)}")
    assert not status(one)["in_sync"] and re.search(r"UTC", status(one)["cached_at"])
    assert "From the cache of" in one.calidris("show", "status")
    assert "start from the cache" in one.log_text()
    wait_for(lambda: two.route("10.244.1.0/26"), "the block is announced")
    writes = one.show("status")["kernel"]["writes"]
    # It is there again, with a change.
    cluster.datastore.members[0].start()
    cluster.write(ip_pool("10.70.0.0/16", name="new"))
    wait_sync(one)
    wait_for(lambda: any(row["name"] == "new" for row in one.show("objects")["objects"]), "what is new comes")
    assert not status(one)["cached"]
    assert routes(one) == before and one.show("status")["kernel"]["writes"] == writes, "and nothing else changes"


def test_without_a_cache_nothing_is_touched(make):
    cluster = make()
    one = cluster.nodes[0]
    pod = one.add_pod("a")
    cluster.start()
    wait_for(lambda: one.route(pod.ip4), "the pod's route")
    before = routes(one)
    one.terminate()
    cluster.datastore.members[0].kill()
    (one.directory / "datastore.cache").write_bytes(b"calidris cache 1\nnonsense")
    one.start()
    wait_problem(one, "onnect")
    wait_for(lambda: "no start from the cache" in one.log_text(), "the broken cache is refused with a reason")
    assert routes(one) == before, "kernel routes stay until the datastore has been read"
    assert status(one)["objects"] == 0
    cluster.datastore.members[0].start()
    wait_sync(one)
    wait_for(lambda: not one.show("status")["restart"]["in_progress"], "the start is complete")
    assert routes(one) == before and one.show("status")["kernel"]["deletes"] == 0


def test_certificates(make, tmp_path):
    """A server that a foreign authority signed, a client that it did not sign, then the right ones: files are read anew."""
    own, foreign = (Pki(tmp_path / name) for name in ("own", "foreign"))
    for pki in (own, foreign):
        pki.issue("etcd", "172.18.0.254").issue("node")
    cluster = make(pki=own)
    node = cluster.nodes[0]
    used = tmp_path / "used"
    shutil.copytree(foreign.directory, used)
    node.configure({"datastore": {"etcd": {**cluster.datastore.config(node)["etcd"],
                                           "ca_file": str(used / "ca.pem"), "cert_file": str(used / "node.pem"),
                                           "key_file": str(used / "node.key")}}})
    node.start()
    wait_problem(node, "certificate")
    for name in ("ca.pem", "ca.key"):
        shutil.copy(own.directory / name, used / name)
    wait_problem(node, "lert")  # the server's: it does not take ours
    assert status(node)["objects"] == 0
    for name in ("node.pem", "node.key"):
        shutil.copy(own.directory / name, used / name)
    wait_sync(node)
    node.configure({"datastore": {"etcd": {**cluster.datastore.config(node)["etcd"], "ca_file": "/no/such/file"}}})
    node.terminate()
    node.start()
    wait_problem(node, "/no/such/file")


def test_passwords(make):
    cluster = make(options=["--auth-token", "simple"])
    node, etcd = cluster.nodes[0], cluster.datastore
    etcd.enable_auth("calico", "right")
    node.start()
    wait_problem(node, "user name is empty")
    credentials = {**etcd.config(node)["etcd"], "username": "calico", "password": "wrong"}
    node.terminate()
    node.configure({"datastore": {"etcd": credentials}})
    node.start()
    wait_problem(node, "authentication failed")
    assert "wrong" not in node.log_text() and "wrong" not in node.calidris("show", "config", check=False).stdout
    node.terminate()
    node.configure({"datastore": {"etcd": {**credentials, "password": "right"}}})
    node.start()
    wait_sync(node)
    # Tokens are in the server's memory: the restarted one knows none of them.
    etcd.members[0].kill()
    etcd.members[0].start()
    etcd.token = etcd.call("auth/authenticate", {"name": "root", "password": "root"})["token"]
    wait_sync(node)
    cluster.write(ip_pool("10.70.0.0/16", name="new"))
    wait_for(lambda: any(row["name"] == "new" for row in node.show("objects")["objects"]), "the watch goes on")


def test_three_members(make):
    """One dies, the leader dies, the majority dies; with each that is left the node goes on as it can."""
    cluster = make(members=3)
    node, etcd = cluster.nodes[0], cluster.datastore
    node.start()
    wait_sync(node)
    for number in range(3):
        leader = wait_for(etcd.leader, "there is a leader")
        leader.kill()
        wait_for(etcd.leader, "there is another leader")
        cluster.write(ip_pool(f"10.{70 + number}.0.0/16", name=f"new-{number}"))
        wait_for(lambda number=number: any(row["name"] == f"new-{number}" for row in node.show("objects")["objects"]),
                 lambda: f"changes come from who is left\n{node.log_tail()}")
        leader.start()
    # The member in use loses the others, and knows nothing new from then on: it says so, and so does the node.
    wait_sync(node)
    location = status(node)["location"]
    others = [member for member in etcd.members if member.url != location]
    assert len(others) == 2
    for member in others:
        member.kill()
    wait_for(lambda: not status(node)["in_sync"], lambda: f"the member without a leader is not believed\n{node.log_tail()}")
    for member in others:
        member.start(wait=False)
    for member in others:
        member.wait_up()
    wait_sync(node)


def test_a_hundred_thousand_keys(make):
    """Most are other nodes' workloads; memory is that of what concerns this node."""
    cluster = make()
    node, etcd = cluster.nodes[0], cluster.datastore
    node.start()
    wait_sync(node)
    small = node.resident()
    node.terminate()
    value = json.dumps(workload_endpoint("other", "pod-0", "cali0123456789a", ["10.1.2.3"]))
    etcd.put_many((f"{RESOURCES}/workloadendpoints/default/other-k8s-w{i}-eth0", value) for i in range(97000))
    nodes = [node_object(f"n{i}", [f"10.50.{i // 250}.{i % 250 + 1}/16"]) for i in range(1000)]
    etcd.put_many((f"{RESOURCES}/nodes/{thing['metadata']['name']}", json.dumps(thing)) for thing in nodes)
    etcd.put_many((f"/calico/ipam/v2/assignment/ipv4/block/10.{100 + i // 256}.{i % 256}.0-26",
                   json.dumps(ipam_block(f"n{i}", f"10.{100 + i // 256}.{i % 256}.0/26", [])["spec"]))
                  for i in range(1000))
    node.start()
    wait_sync(node, 60)
    assert status(node)["objects"] >= 2000
    peak = next(row["bytes"] for row in node.show("memory")["memory"] if row["what"] == "resident_peak") // 1024
    print(small, peak, node.resident())
    assert peak < small + 24 * 1024, f"{peak} KiB at its peak, {small} KiB without keys"
    cluster.write(ip_pool("10.70.0.0/16", name="new"))
    wait_for(lambda: any(row["name"] == "new" for row in node.show("objects")["objects"]), "the watch works")


def test_a_plugin_that_is_missing(make):
    """The daemon alone, without what the package has beside it: it says what is missing, and does not start."""
    cluster = make()
    node = cluster.nodes[0]
    alone = cluster.directory / "alone"
    alone.mkdir()
    shutil.copy(programs() / "calidrisd", alone)
    node.start(wait=False, program=alone / "calidrisd")
    assert node.process.wait(20) == 71
    node.processes.clear()
    cluster.processes.remove(node.process)
    assert "the datastore etcdv3 needs a plugin that cannot be loaded" in node.log_text()
    assert "datastore-remote.so" in node.log_text()
    assert subprocess.run([alone / "calidrisd", "--version"], check=True, capture_output=True).stdout
