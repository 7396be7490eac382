"""etcd goes away, comes back, forgets, is cut off, loses its leader, refuses us, or holds nonsense: no route changes for
that, and what changed meanwhile is made good by a diff."""

import pytest

from etcd import RESOURCES, Etcd
from harness import wait_for
from objects import ip_pool


@pytest.fixture(scope="module")
def cluster(new_shared_cluster):
    cluster = new_shared_cluster(datastore=Etcd, families=(4,))
    for number in (1, 2):
        cluster.add_node(f"node-{number}")
    cluster.start()
    cluster.wait_converged()
    yield cluster
    cluster.close()


def status(node):
    return node.show("status")["datastore"]


def wait_sync(node, timeout=20):
    wait_for(lambda: status(node)["in_sync"], lambda: f"in sync\n{node.log_tail()}", timeout)


def wait_problem(node, *words, timeout=20):
    """The datastore's problem is told in these words."""
    return wait_for(lambda: all(word in (status(node)["problem"] or "") for word in words),
                    lambda: f"{words} in {status(node)['problem']!r}\n{node.log_tail()}", timeout)


class Untouched:
    """What must not change while the datastore is away: sessions, routes, and that nothing is written to the kernel."""

    def __init__(self, cluster):
        self.cluster, self.before = cluster, {node.name: self.look(node) for node in cluster.nodes}

    @staticmethod
    def look(node):
        state = node.show("status")
        return {"routes": sorted((route["dst"], route.get("gateway", "")) for route in node.routes(4)),
                "writes": state["kernel"]["writes"], "deletes": state["kernel"]["deletes"],
                "sessions": sorted((row["address"], row["state"], row.get("established_transitions"))
                                   for row in node.show("peers")["peers"])}

    def check(self):
        for node in self.cluster.nodes:
            assert self.look(node) == self.before[node.name], node.name


def pools(node):
    return {row["name"] for row in node.show("objects")["objects"] if row["kind"] == "IPPool"}


def test_a_restart_changes_nothing(cluster):
    member, untouched = cluster.datastore.members[0], Untouched(cluster)
    member.kill()
    for node in cluster.nodes:
        wait_problem(node, "onnect")
        assert "172.18.0.254:2379" in node.calidris("show", "problems")
    untouched.check()
    member.start()
    for node in cluster.nodes:
        wait_sync(node)
        assert status(node)["changes"] == status(node)["objects"], "nothing was new"
    cluster.write(ip_pool("10.77.0.0/16", name="after"))
    wait_for(lambda: all("after" in pools(node) for node in cluster.nodes), "the watch goes on")
    cluster.delete(ip_pool("10.77.0.0/16", name="after"))
    wait_for(lambda: not any("after" in pools(node) for node in cluster.nodes), "and tells of deletions")
    untouched.check()


def test_what_was_missed_and_compacted_is_a_diff(cluster):
    node, etcd, untouched = cluster.nodes[0], cluster.datastore, Untouched(cluster)
    cluster.write(ip_pool("10.70.0.0/16", name="doomed"), ip_pool("10.71.0.0/16", name="changed"))
    wait_for(lambda: {"doomed", "changed"} <= pools(node), "both pools are known")
    changes, revision = status(node)["changes"], int(status(node)["revision"])
    with away(cluster, node):
        cluster.delete(ip_pool("10.70.0.0/16", name="doomed"))
        cluster.write(ip_pool("10.72.0.0/16", name="changed"), ip_pool("10.73.0.0/16", name="fresh"))
        etcd.compact()
    wait_for(lambda: "fresh" in pools(node), lambda: f"what is new is known\n{node.log_tail()}")
    wait_for(lambda: "doomed" not in pools(node), "what is gone is gone")
    assert status(node)["changes"] == changes + 3, "one object came, one changed, one went: no more"
    assert int(status(node)["revision"]) > revision
    assert "compacted" in node.log_text()
    untouched.check()
    for name in ("changed", "fresh"):
        cluster.delete(ip_pool("10.0.0.0/8", name=name))
    wait_for(lambda: not {"changed", "fresh"} & pools(node), "cleaned up")


class away:
    """The node's daemon is stopped in its tracks, and its connections are cut: then it goes on."""

    def __init__(self, cluster, node):
        self.cluster, self.node = cluster, node

    def __enter__(self):
        self.cluster.datastore.members[0].kill()
        wait_for(lambda: not status(self.node)["in_sync"], "the node notices")
        self.cluster.fabric.ip(f"route add unreachable {self.node.ip4}/32")
        self.cluster.datastore.members[0].start()

    def __exit__(self, *_error):
        self.cluster.fabric.ip(f"route del unreachable {self.node.ip4}/32")


def test_compaction_under_load(cluster):
    """Everything is compacted all the time while pools change and a node starts: it gets all of it in the end."""
    node, etcd, untouched = cluster.nodes[1], cluster.datastore, Untouched(cluster)
    etcd.put_many((f"{RESOURCES}/workloadendpoints/default/other-k8s-w{i}-eth0", "{}") for i in range(2000))
    node.kill()
    node.start(wait=False)
    for number in range(40):
        cluster.write(ip_pool(f"10.{100 + number}.0.0/16", name=f"load-{number}"))
        etcd.compact()
        if number % 2:
            cluster.delete(ip_pool(f"10.{99 + number}.0.0/16", name=f"load-{number - 1}"))
    wanted = {f"load-{number}" for number in range(1, 40, 2)}
    node.wait_up()
    for one in cluster.nodes:
        wait_for(lambda one=one: {name for name in pools(one) if name.startswith("load")} == wanted,
                 lambda one=one: f"the pools that are left: {pools(one)}\n{one.log_tail()}")
    for name in wanted:
        cluster.delete(ip_pool("10.0.0.0/8", name=name))
    for one in cluster.nodes:
        wait_for(lambda one=one: not any(name.startswith("load") for name in pools(one)), "they go")
        wait_sync(one)
    cluster.wait_converged()
    assert untouched.look(cluster.nodes[0])["deletes"] == untouched.before["node-1"]["deletes"]


def test_a_partition_is_noticed_and_healed(cluster):
    """Packets vanish: nobody says that the connection is gone."""
    node, untouched = cluster.nodes[0], Untouched(cluster)
    cluster.fabric.ip(f"route add blackhole {node.ip4}/32")
    cluster.write(ip_pool("10.70.0.0/16", name="meanwhile"))
    wait_for(lambda: "meanwhile" in pools(cluster.nodes[1]), "the other node goes on")
    wait_for(lambda: not status(node)["in_sync"], "the silence is noticed", 60)
    assert "meanwhile" not in pools(node)
    untouched.check()
    cluster.fabric.ip(f"route del blackhole {node.ip4}/32")
    wait_for(lambda: "meanwhile" in pools(node), "what was missed comes", 40)
    wait_sync(node)
    cluster.delete(ip_pool("10.70.0.0/16", name="meanwhile"))
    wait_for(lambda: "meanwhile" not in pools(node), "the watch is alive")
    untouched.check()


def test_another_cluster_is_a_diff(cluster):
    """Restored from a backup: the revisions start anew, and the daemon must not wait for the old ones to come."""
    node, etcd, untouched = cluster.nodes[0], cluster.datastore, Untouched(cluster)
    member, written = etcd.members[0], dict(etcd.written)
    member.kill()
    member.wipe()
    member.start()
    etcd.put_many(written.items())
    cluster.write(ip_pool("10.70.0.0/16", name="restored"))
    wait_for(lambda: "restored" in pools(node), lambda: f"the new cluster is read\n{node.log_tail()}")
    cluster.delete(ip_pool("10.70.0.0/16", name="restored"))
    wait_for(lambda: "restored" not in pools(node), "and watched")
    untouched.check()


BAD = {
    "not-json": (b'{"kind": "IPPool", "spec": ', "is not JSON"),
    "not-utf8": (b'{"kind": "IPPool\xff"}', "is not JSON"),
    "empty-list": (b"[]", "expected a JSON object"),
    "deep": (b"[" * 100000, "is not JSON"),
    "deep-list": (b'{"a":' + b"[" * 90 + b"]" * 90 + b"}", "nested too deep"),
    "wrong-kind": (b'{"apiVersion":"projectcalico.org/v3","kind":"Node","metadata":{"name":"wrong-kind"}}', "expected IPPool"),
    "wrong-name": (b'{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"x"},"spec":{}}', "the key says"),
    "bad-field": (b'{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"bad-field"},'
                  b'"spec":{"cidr":"10.0.0.0/99"}}', "spec.cidr"),
    "twice": (b'{"apiVersion":"projectcalico.org/v3","kind":"IPPool","kind":"IPPool"}', "duplicate"),
    "nul": (b'{"kind":"\\u0000"}', "is not JSON"),
    "huge": (b'{"kind":"' + b"x" * 1400000 + b'"}', "expected IPPool"),
}


def test_hostile_values_keep_the_last_good_version(cluster):
    node, etcd, untouched = cluster.nodes[0], cluster.datastore, Untouched(cluster)
    for name in BAD:
        cluster.write(ip_pool("10.70.0.0/16", name=name))
    wait_for(lambda: set(BAD) <= pools(node), "the good versions are known")
    for name, (value, _reason) in BAD.items():
        etcd.put(f"{RESOURCES}/ippools/{name}", value)
    etcd.put(f"{RESOURCES}/ippools/never/good", "{}")
    etcd.put(b"/calico/resources/v3/projectcalico.org/ippools/\xff\x00x", "{}")
    etcd.put("/calico/ipam/v2/assignment/ipv4/block/10.9.9.0-2x", '{"cidr":"10.9.9.0/26"}')
    etcd.put("/calico/ipam/v2/assignment/ipv4/nonsense", "{}")
    wait_for(lambda: status(node)["refused"] == len(BAD) + 3, lambda: node.calidris("show", "problems"))
    problems = node.show("problems")["problems"]
    for name, (_value, reason) in BAD.items():
        line = next(line for line in problems if f"/ippools/{name}:" in line)
        assert reason in line and "the last good version stays in force" in line, line
    assert set(BAD) <= pools(node)
    # A restart of etcd gives it all again, and of the daemon the good versions from nowhere: they are gone from etcd.
    etcd.members[0].restart()
    wait_for(lambda: not status(node)["in_sync"] or int(status(node)["revision"]) >= etcd.revision(), "noticed")
    wait_sync(node)
    assert set(BAD) <= pools(node)
    for name in BAD:
        etcd.remove(f"{RESOURCES}/ippools/{name}")
    for key in (f"{RESOURCES}/ippools/never/good", "/calico/ipam/v2/assignment/ipv4/block/10.9.9.0-2x",
                "/calico/ipam/v2/assignment/ipv4/nonsense"):
        etcd.remove(key)
    wait_for(lambda: status(node)["refused"] == 0, lambda: node.calidris("show", "problems"))
    assert not set(BAD) & pools(node)
    untouched.check()
