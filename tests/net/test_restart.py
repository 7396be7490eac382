"""A restart is not an outage: pods ping each other while daemons are killed, stopped, replaced, reconfigured, and while
their objects vanish. No packet may be lost, and nothing that is right in the kernel may be written again."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness import Host, programs
from netns import is6, wait_for
from objects import bgp_peer, node_object
from speaker import Speaker, update

TAKES = 60  # s: it begins early

INTERVAL = 0.002


class Traffic:
    """Pings between pods, both ways and of both families, and none of them may be lost."""

    def __init__(self, *pods):
        pairs = [(source, target) for source in pods for target in pods if source.node is not target.node]
        self.pings = {f"{source.pod} to {address}": source.start_ping(address, INTERVAL)
                      for source, target in pairs for address in target.addresses}
        self.go_on()

    def go_on(self, count=25):
        """Until each has so many answers more."""
        wanted = {name: ping.received + count for name, ping in self.pings.items()}
        for name, ping in self.pings.items():
            ping.wait_received(wanted[name])

    def check(self, after):
        self.go_on()
        lost = {name: f"{ping.lost} of {ping.received + ping.lost}" for name, ping in self.pings.items() if ping.lost}
        assert not lost, f"packets lost after {after}: {lost}"

    def end(self, after):
        self.check(after)
        for ping in self.pings.values():
            ping.stop()


class Watch:
    """What happens to the routes of these nodes' kernels, as `ip monitor route` tells."""

    def __init__(self, *nodes):
        self.nodes = nodes
        self.files = {(node, family): node.directory / f"monitor-{family}" for node in nodes for family in (4, 6)}
        self.processes = []
        for (node, family), path in self.files.items():
            with path.open("w") as output:
                self.processes.append(node.popen(["ip", f"-{family}", "monitor", "route"], stdout=output,
                                                 stderr=subprocess.STDOUT))
        self.marks = {}
        for node in nodes:
            self.mark(node)

    def mark(self, node):
        """A route of somebody else's comes and goes, and the monitors have seen it: they have seen all before it."""
        number = next(node.cluster.numbers)
        for family, prefix in ((4, f"198.18.{number % 256}.0/24"), (6, f"2001:db8:{number:x}::/64")):
            def seen(path=self.files[node, family], prefix=prefix):
                # Again and again: a monitor that has just been started may not listen yet.
                node.ip(f"route add unreachable {prefix} proto static metric 7",
                        f"route del unreachable {prefix} proto static metric 7")
                return prefix in path.read_text()
            wait_for(seen, f"{node.name}: ip monitor shows a route of family {family}")

    def rows(self):
        for node in self.nodes:
            self.mark(node)
        return [f"{node.name}: {row}" for (node, _family), path in self.files.items()
                for row in path.read_text().splitlines() if "proto static" not in row and "proto bgp" in row]

    def check(self, after):
        rows = self.rows()
        assert not rows, f"kernel routes touched by {after}:\n" + "\n".join(rows)


def settled(node):
    """The start is over: stale routes are gone, End-of-RIB went out."""
    return not node.show("status")["restart"]["in_progress"]


def wait_settled(*nodes, timeout=20):
    for node in nodes:
        wait_for(lambda node=node: settled(node), lambda node=node: f"{node.name}: {node.show('status')['restart']}", timeout)


def sessions(node, earliest=False):
    """{name: when it was established at the latest, or at the earliest, in seconds of our clock} of those that are: asking takes
    its time. Not of IPv6 sessions: those between nodes are there only until the IPv4 session has taken over."""
    before = time.monotonic()
    peers = node.show("peers")["peers"]
    now = before if earliest else time.monotonic()
    return {peer["name"]: now - peer["since"] for peer in peers
            if peer["state"] == "Established" and not is6(peer["address"])}


def assert_no_reset(before, node, why):
    after = sessions(node, earliest=True)
    reset = [name for name, since in before.items() if name not in after or after[name] > since + 0.2]
    assert not reset, f"{node.name}: sessions reset by {why}: {reset}\n{node.log_tail()}"


def assert_untouched(node, why):
    """The counters of a daemon that found everything right."""
    kernel = node.show("status")["kernel"]
    bad = {key: kernel[key] for key in ("writes", "deletes", "errors", "stale", "unresolved", "failed") if kernel[key]}
    assert not bad, f"{node.name} after {why}: {bad}\n{node.log_tail()}"
    assert kernel["adopted"] == kernel["wanted"] == kernel["installed"] > 0


def kill(node):
    node.kill()
    node.start()


def terminate(node):
    assert node.terminate() == 0
    node.start()


@pytest.fixture
def mesh(new_cluster):
    """Three nodes, two pods each."""
    cluster = new_cluster()
    for index in (1, 2, 3):
        node = cluster.add_node(f"node-{index}")
        for number in (1, 2):
            node.add_pod(f"pod-{index}-{number}")
    cluster.start()
    cluster.wait_converged()
    cluster.wait_local()
    wait_settled(*cluster.nodes)
    return cluster


@pytest.fixture
def reflected(new_cluster):
    """Two nodes that know each other only through a route reflector, which is the last of the nodes."""
    cluster = new_cluster(mesh=False)
    for index in (1, 2):
        cluster.add_node(f"node-{index}").add_pod(f"pod-{index}")
    cluster.add_reflector("reflector")
    cluster.start()
    cluster.wait_converged()
    cluster.wait_local()
    wait_settled(*cluster.nodes)
    return cluster


@pytest.mark.parametrize("topology", ["mesh", "reflected"])
def test_kill_and_stop(topology, request):
    """Source, destination, reflector; kill -9 and SIGTERM."""
    cluster = request.getfixturevalue(topology)
    traffic = Traffic(cluster.pods[0], cluster.pods[-1])
    watch = Watch(*cluster.nodes)
    for way in (kill, terminate):
        for node in cluster.nodes:
            way(node)
            wait_settled(*cluster.nodes)
            why = f"{way.__name__} of {node.name}"
            if node.blocks:
                assert_untouched(node, why)
            traffic.check(why)
    watch.check("restarts")
    traffic.end("restarts")


@pytest.mark.parametrize("topology", ["mesh", "reflected"])
def test_all_at_once(topology, request):
    """Every daemon at once, as an upgrade of a DaemonSet in a hurry does it: all of them wait for each other then."""
    cluster = request.getfixturevalue(topology)
    traffic = Traffic(cluster.pods[0], cluster.pods[-1])
    watch = Watch(*cluster.nodes)
    for node in cluster.nodes:
        node.kill()
    cluster.start()
    wait_settled(*cluster.nodes)
    for node in cluster.nodes:
        if node.blocks:
            assert_untouched(node, "a restart of all nodes")
    watch.check("a restart of all nodes")
    traffic.end("a restart of all nodes")


def test_killed_again_while_starting(mesh):
    """A daemon that is killed at every stage of its start, and at last left alone. But not while it has sessions on which it has
    not said everything again: then RFC 4724 4.2 wants its peers to drop what they kept."""
    node = mesh.nodes[1]

    def kill_again(log_before):
        node.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: " T " in Path(f"/proc/{node.process.pid}/stat").read_text(), "it stands still")
        if "-> OpenConfirm" in node.log_text()[len(log_before):]:
            node.process.send_signal(signal.SIGCONT)
            wait_settled(*mesh.nodes)
            wait_for(lambda: not any(row["stale"] for other in mesh.nodes for row in other.show("routes", "all")["routes"]),
                     "its peers have heard it all")
        node.kill()
    traffic = Traffic(mesh.pods[0], node.pods[0])
    watch = Watch(*mesh.nodes)
    node.kill()
    for delay in (0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1):
        log_before = node.log_text()
        node.start(wait=False)
        time.sleep(delay)  # nothing to wait for: the point is to hit it anywhere
        kill_again(log_before)
    node.start()
    wait_settled(*mesh.nodes)
    assert_untouched(node, "a row of kills")
    watch.check("a row of kills")
    traffic.end("a row of kills")


def test_upgrade(mesh):
    """A new binary in the place of the running one, and one at another path."""
    node = mesh.nodes[0]
    traffic = Traffic(node.pods[0], mesh.pods[-1])
    watch = Watch(*mesh.nodes)
    for name in ("calidrisd-new", "calidrisd-newer"):
        program = node.directory / name
        shutil.copy2(programs() / "calidrisd", program)
        assert node.terminate() == 0
        node.start(program=program)
        wait_settled(*mesh.nodes)
        assert_untouched(node, "an upgrade")
    # In place: the running daemon keeps its deleted file until it is restarted.
    replacement = program.with_suffix(".tmp")
    shutil.copy2(programs() / "calidrisd", replacement)
    replacement.rename(program)
    node.calidris("show", "status")
    node.kill()
    node.start(program=program)
    wait_settled(*mesh.nodes)
    assert_untouched(node, "an upgrade in place")
    watch.check("an upgrade")
    traffic.end("an upgrade")
    # Restarts leave no files behind, and a daemon that was stopped no socket.
    files = sorted(path.name for path in node.directory.iterdir())
    terminate(node)
    kill(node)
    assert sorted(path.name for path in node.directory.iterdir()) == files
    assert node.terminate() == 0
    assert not node.socket.exists()
    assert node.calidris("show", "status", check=False).returncode == 3


RELOADS = [
    ("hold and keepalive time", {"bgp": {"hold_time": 30, "keepalive_time": 5}}),
    ("retry times", {"bgp": {"connect_retry_time": 2, "idle_hold_time": 2, "idle_hold_max": 9}}),
    ("graceful restart", {"bgp": {"graceful_restart": None, "max_paths": 4}}),
    ("log level", {"log": {"level": "warning"}}),
    ("audit interval", {"kernel": {"audit_interval": 7}}),
    ("no onlink", {"kernel": {"onlink": False}}),
    ("a fixed metric", {"kernel": {"metric": 0}}),
    ("another fixed metric", {"kernel": {"metric": 77}}),
    ("metric by priority", {"kernel": {"metric": "priority", "onlink": True}}),
    ("another protocol number", {"kernel": {"protocol": 187}}),
    ("the protocol number of before", {"kernel": {"protocol": 186}}),
]


def test_reload(mesh):
    """SIGHUP with other settings: sessions stay, routes are rewritten in place where a setting is about them."""
    node = mesh.nodes[0]
    traffic = Traffic(node.pods[0], mesh.pods[-1])
    before = {each: sessions(each) for each in mesh.nodes}
    assert all(before.values())
    for what, changes in RELOADS:
        node.configure(changes)
        node.calidris("reload")
        settings = node.config["kernel"] if "kernel" in node.config else {}
        wait_for(lambda: as_configured(node, settings), lambda: f"routes after {what}: {node.routes()}")
        for each in mesh.nodes:
            assert_no_reset(before[each], each, what)
        traffic.check(what)
    node.reload()
    node.wait_log("config|reload")
    assert_no_reset(before[node], node, "SIGHUP")
    traffic.end("SIGHUP")


def as_configured(node, settings):
    """Whether our routes are there once each, and as these settings have them."""
    protocol, metric = settings.get("protocol", 186), settings.get("metric", "priority")
    names = {186: ("bgp", "186"), 187: ("isis", "187")}
    ours = [route for route in node.routes() if route.get("protocol") in (*names[186], *names[187])]
    wanted = 2 * (len(node.pods) + len(node.blocks) // 2 + sum(len(other.blocks) // 2 for other in node.cluster.hosts
                                                              if other is not node))
    for route in ours:
        if route["protocol"] not in names[protocol]:
            return False
        if "gateway" not in route:
            continue
        if ("onlink" in route.get("flags", [])) != settings.get("onlink", True):
            return False
        expected = 1024 if metric == "priority" else metric or (1024 if ":" in route["dst"] else 0)
        if route.get("metric", 0) != expected:
            return False
    return len(ours) == wanted


def test_objects_vanish_and_return(mesh):
    """The directory of objects is deleted, and recreated with the same objects: nothing may come of it."""
    traffic = Traffic(mesh.pods[0], mesh.pods[-1])
    watch = Watch(*mesh.nodes)
    before = {node: sessions(node) for node in mesh.nodes}
    files = {path.name: path.read_text() for path in mesh.objects.iterdir()}
    for _round in range(2):
        shutil.rmtree(mesh.objects)
        for node in mesh.nodes:
            wait_for(lambda node=node: not node.show("status")["datastore"]["in_sync"], f"{node.name} sees that it is gone")
            assert str(mesh.objects) in "\n".join(node.show("status")["problems"])
        traffic.check("the objects' directory went")
        mesh.objects.mkdir()
        for name, text in files.items():
            (mesh.objects / name).write_text(text)
        for node in mesh.nodes:
            wait_for(lambda node=node: node.show("status")["datastore"]["in_sync"], f"{node.name} sees that it is back")
            assert_no_reset(before[node], node, "the objects' directory")
    watch.check("the objects' directory")
    # It is really read again: a change is seen.
    pod = mesh.nodes[0].add_pod("late")
    mesh.wait_local()
    assert mesh.pods[-1].pings(pod.ip4)
    traffic.end("the objects' directory came back")


def test_down_longer_than_restart_time(new_cluster):
    """A daemon that stays away longer than it promised loses its routes at the others, then; and only its own. Its return
    brings them back."""
    cluster = new_cluster()
    for index in (1, 2, 3):
        node = cluster.add_node(f"node-{index}", config={"bgp": {"connect_retry_time": 1, "graceful_restart": {"restart_time": 2}}})
        node.add_pod(f"pod-{index}")
    cluster.start()
    cluster.wait_converged()
    cluster.wait_local()
    wait_settled(*cluster.nodes)
    one, two, three = cluster.nodes
    bystanders = Traffic(one.pods[0], three.pods[0])
    before = sessions(one)

    start = time.monotonic()
    two.kill()
    gone = [(node, block) for node in (one, three) for block in two.blocks]
    while time.monotonic() < start + 1.5:
        assert all(node.route(block) for node, block in gone), "removed before the restart time was over"
        time.sleep(0.1)
    wait_for(lambda: not any(node.route(block) for node, block in gone), "its routes go", 5)
    assert time.monotonic() - start > 1.9
    assert two.route(one.blocks[0]) and two.route(two.pods[0].ip4), "its own kernel keeps what it has"
    assert one.wait_log("restart time is over")

    two.start()
    wait_for(lambda: all(node.route(block) for node, block in gone), "its routes return")
    wait_settled(*cluster.nodes)
    assert_untouched(two, "a long absence")
    assert one.pods[0].pings(two.pods[0].ip4) and one.pods[0].pings(two.pods[0].ip6)
    assert_no_reset({name: since for name, since in before.items() if not name.endswith("_2")}, one, "another's absence")
    bystanders.end("the absence of a third node")


def test_one_of_two_reflectors_away(new_cluster):
    """Past its restart time: the other reflector carries everything."""
    cluster = new_cluster(mesh=False)
    for index in (1, 2):
        cluster.add_node(f"node-{index}").add_pod(f"pod-{index}")
    reflectors = [cluster.add_reflector(f"reflector-{index}") for index in (1, 2)]
    for node in cluster.nodes:
        node.configure({"bgp": {"connect_retry_time": 1, "graceful_restart": {"restart_time": 1}}})
    cluster.start()
    cluster.wait_converged()
    cluster.wait_local()
    wait_settled(*cluster.nodes)
    traffic = Traffic(*cluster.pods)
    watch = Watch(*cluster.nodes)
    for reflector in reflectors:
        reflector.kill()
        for node in cluster.nodes[:2]:
            name = f"Global_{reflector.ip4.replace('.', '_')}"
            wait_for(lambda node=node, name=name: f"{name}: its restart time is over" in node.log_text() or
                     node_lost(node, reflector), lambda node=node: f"{node.name} gives it up\n{node.log_tail()}")
        traffic.check(f"{reflector.name} away")
        reflector.start()
        wait_settled(*cluster.nodes)
    watch.check("one reflector of two away")
    traffic.end("one reflector of two away")


def node_lost(node, reflector):
    """No route of this reflector is left at the node."""
    peers = node.show("peers")["peers"]
    return all(peer["received"] == 0 for peer in peers if peer["address"] in (reflector.ip4, reflector.ip6))


def test_stale_routes(mesh):
    """Pod, block and node deleted while the daemon was down: what they left in the kernel goes once the daemon knows, not
    before; what is right is not touched."""
    one, two, three = mesh.nodes
    traffic = Traffic(one.pods[0], two.pods[0])
    extra = ["10.244.77.0/26", "fd00:10:244:77::/122"]
    one.blocks += extra
    one.publish()
    two_stale = [f"10.244.{three.index}.0/26", f"fd00:10:244:{three.index:x}::/122"]
    wait_for(lambda: all(one.route(block) and two.route(block) for block in extra), "the further blocks' routes")
    one.kill()
    two.kill()

    gone = one.pods[1]
    pod_addresses = list(gone.addresses)
    mesh.delete(gone.object())
    one.pods.remove(gone)
    for block in extra:
        one.withdraw_block(block)
    one.publish_block()
    mesh.remove(three)
    stale = {one: pod_addresses + extra + two_stale, two: extra + two_stale}

    # Without its objects a daemon knows nothing, so it must not remove anything either.
    away = mesh.objects.rename(mesh.objects.with_name("away"))
    for node in (one, two):
        node.start()
        wait_for(lambda node=node: node.show("status")["datastore"]["problem"], f"{node.name}: the directory is missing")
    watch = Watch(one, two)
    traffic.check("starts without objects")
    for node, routes in stale.items():
        missing = [prefix for prefix in routes if not node.route(prefix)]
        assert not missing, f"{node.name} removed {missing} before it knew the objects"
        kernel = node.show("status")["kernel"]
        assert (kernel["writes"], kernel["deletes"]) == (0, 0)
        assert kernel["stale"] == len([route for route in node.routes() if route.get("protocol") == "bgp"])
    watch.check("starts without objects")

    away.rename(mesh.objects)
    for node, routes in stale.items():
        wait_for(lambda node=node, routes=routes: not any(map(node.route, routes)), f"{node.name}'s stale routes go", 20)
        kernel = node.show("status")["kernel"]
        assert (kernel["writes"], kernel["deletes"], kernel["stale"]) == (0, len(routes), 0), kernel
    touched = watch.rows()
    assert all("Deleted" in row for row in touched), touched
    traffic.end("the removal of stale routes")


def test_dead_peers_do_not_hold_up_the_start(mesh):
    """A peer that is configured and never answers is waited for while sessions come up, not longer; nor one that is up and
    keeps its promise of End-of-RIB for itself. Live routes are kept throughout, stale ones until then."""
    one, two, three = mesh.nodes
    traffic = Traffic(one.pods[0], two.pods[0])
    three.stop()  # its objects stay, its daemon does not answer any more
    fabric = mesh.add_host(Host, "fabric-1", publish=False)
    mesh.write(node_object("node-dead", ["172.18.0.99/24", "fd00:18::99/64"]),
               bgp_peer("dead", peerIP="172.18.0.98", asNumber=64999),
               bgp_peer("silent", node="node-1", peerIP=fabric.ip4, asNumber=65001))
    third = [block for block in three.blocks]
    with Speaker(fabric) as speaker:
        speaker.add(fabric.ip4, 65001, families=(4,), restart_time=120, markers=False,
                    updates=[update(["20.0.0.0/24"], fabric.ip4, [65001], None)])
        wait_for(lambda: one.route("20.0.0.0/24"), "the silent peer's route")
        watch = Watch(one)
        one.kill()
        started = time.monotonic()
        one.start()
        wait_for(lambda: len(sessions(one)) == 2, "the sessions with those that live")
        while not settled(one):
            # It may be complete since it was asked.
            assert all(map(one.route, third)) or settled(one), "a dead peer's routes went before the start was complete"
            assert time.monotonic() < started + 60
            time.sleep(0.2)
        assert 8 < time.monotonic() - started < 60, "not for the 120 s of the restart time"
        assert "the peers that are up" in one.show("status")["restart"]["ended"]
        wait_for(lambda: not any(map(one.route, third)), "the dead node's routes go")
        kernel = one.show("status")["kernel"]
        assert (kernel["writes"], kernel["deletes"]) == (0, len(third))
        assert sorted(row.split("Deleted ")[1].split()[0] for row in watch.rows()) == sorted(third)
        traffic.end("a start with dead peers")


@pytest.mark.parametrize("markers", ["End-of-RIB", "no graceful restart"])
def test_many_routes(markers, new_cluster):
    """A peer with 20,000 routes: a restart takes over every one of them, though they come for a while."""
    cluster = new_cluster(families=(4,))
    node = cluster.add_node("node-1", config={"log": {"level": "info"}})
    fabric = cluster.add_host(Host, "fabric-1", publish=False)
    cluster.write(bgp_peer("tor", peerIP=fabric.ip4, asNumber=65001))
    prefixes = [f"20.{high}.{low}.0/26" for high in range(80) for low in range(250)]
    updates = [update(prefixes[start:start + 500], fabric.ip4, [65001], None) for start in range(0, len(prefixes), 500)]
    with Speaker(fabric) as speaker:
        speaker.add(fabric.ip4, 65001, updates=updates, families=(4,), markers=markers == "End-of-RIB",
                    restart_time=120 if markers == "End-of-RIB" else None)
        node.start()
        wait_for(lambda: node.show("status")["kernel"]["installed"] == len(prefixes) + 1,
                 lambda: f"all of them: {node.show('status')['kernel']}", 30)
        wait_settled(node)
        node.kill()
        node.start()
        wait_settled(node, timeout=40)
        assert_untouched(node, "a restart with many routes")
        assert node.show("status")["kernel"]["adopted"] == len(prefixes) + 1
