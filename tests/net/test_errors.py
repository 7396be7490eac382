"""Bad input: each has a message that says what is wrong, where, and what to do; and nothing that is programmed is lost.

What is asked for in a message is asked for by its words, so that whoever changes them reads it here.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from harness import Host, programs
from netns import is_only_user, run, wait_for
from objects import bgp_peer, block_affinity, node_object, to_yaml
from speaker import MARKER, Speaker, end_of_rib, message, open_message, update
from test_restart import Traffic, Watch, assert_no_reset, sessions

EXAMPLES = Path(__file__).resolve().parents[2] / "etc/examples"
TAKES = 40  # s: it begins early

EX_OK, EX_CONFIG, EX_OSERR = 0, 78, 71
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


@pytest.fixture
def pair(new_cluster):
    """Two nodes with a pod each, up and running."""
    cluster = new_cluster()
    for index in (1, 2):
        cluster.add_node(f"node-{index}").add_pod(f"pod-{index}")
    cluster.start()
    cluster.wait_converged()
    cluster.wait_local()
    return cluster


class Unharmed:
    """Between the nodes of a cluster nothing is lost, no session ends and no right route is touched."""

    def __init__(self, cluster):
        self.nodes = cluster.nodes
        self.traffic = Traffic(*cluster.pods[:2])
        self.watch = Watch(*self.nodes)
        self.before = {node: sessions(node) for node in self.nodes}

    def check(self, why):
        self.traffic.check(why)
        self.watch.check(why)
        for node in self.nodes:
            assert_no_reset(self.before[node], node, why)


def start_badly(node, words=None, env=None, timeout=60):
    """Runs the daemon, which must end by itself; (exit status, what it said)."""
    words = words or [programs() / "calidrisd", "-f", "-c", node.config_file]
    done = subprocess.run(node.command(words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(env or {})}, check=False)
    return done.returncode, done.stdout + done.stderr


def as_nobody(node):
    """Words before a command that make it somebody's who may not use the node's control socket. Where there is nobody else, in
    an ordinary user's namespace, the socket is closed for its owner, too."""
    if not is_only_user():
        return [*POWERLESS, "--reuid=65534", "--regid=65534", "--clear-groups"]
    node.socket.chmod(0)
    return POWERLESS


def problems(node):
    return "\n".join(node.show("status")["problems"])


def wait_problem(node, pattern, timeout=10):
    wait_for(lambda: re.search(pattern, problems(node)), lambda: f"{pattern!r} among the problems:\n{problems(node)}", timeout)


def wait_no_problem(node, pattern, timeout=10):
    wait_for(lambda: not re.search(pattern, problems(node)), lambda: f"no {pattern!r}:\n{problems(node)}", timeout)


# Configuration

BAD_CONFIGURATIONS = [
    ("bgp:\n  hold_time: 2\n", r":2:14: bgp\.hold_time: .*2.* 3 to 65535"),
    ("bgp:\n  listen_port: 99999\n", r":2:16: bgp\.listen_port: .*1 to 65535"),
    ("bgp:\n  router_id: 1.2.3\n", r":2:14: bgp\.router_id: .*IPv4 address"),
    ("bgp:\n  graceful_restart:\n    restart_time: many\n", r":3:19: bgp\.graceful_restart\.restart_time: .*many"),
    ("node:\n  name: one two\n", r":2:9: node\.name: .*no blanks"),
    ("node:\n  colour: red\n", r":2:3: node\.colour: unknown key"),
    ("colour: red\n", r":1:1: colour: unknown"),
    ("kernel:\n  protocol: 2\n", r":2:13: kernel\.protocol: .*5 to 255"),
    ("datastore:\n  type: zookeeper\n", r":2:9: datastore\.type: .*file"),
    ("datastore:\n  directory: here\n", r":2:14: datastore\.directory: .*absolute"),
    ("control:\n  socket: " + "/x" * 80 + "\n", r":2:11: control\.socket: .*107"),
    ("log: loud\n", r":1:1: log: is a section"),
    ("node: [\n", r":2:1: "),
    ("node:\n\tname: x\n", r":2:1: "),
    ("- node\n", r":1:1: "),
    ("bgp:\n  hold_time: 9\n  hold_time: 10\n", r":3:3: bgp\.hold_time: "),
    ("bgp:\n  hold_time: 1\nkernel:\n  table: -1\n", r":2:14: bgp\.hold_time(.|\n)*:4:10: kernel\.table"),
]


@pytest.mark.parametrize("text, pattern", BAD_CONFIGURATIONS, ids=[str(number) for number in range(len(BAD_CONFIGURATIONS))])
def test_bad_configuration_at_start(text, pattern, new_cluster):
    node = new_cluster().add_node("node-1")
    node.write_config(text)
    status, said = start_badly(node)
    assert status == EX_CONFIG
    assert re.search(re.escape(str(node.config_file)) + pattern, said), said
    status, said = start_badly(node, [programs() / "calidrisd", "-t", "-c", node.config_file])
    assert status == EX_CONFIG and re.search(pattern, said), said


def test_what_else_keeps_it_from_starting(new_cluster):
    node = new_cluster().add_node("node-1")
    daemon, good = programs() / "calidrisd", node.config_file.read_text()
    for words, env, expected, pattern in (
            ([daemon, "-c", "/nonexistent.yaml"], {}, EX_CONFIG, r"/nonexistent\.yaml: cannot be read: No such file"),
            ([daemon, "-c", node.directory], {}, EX_CONFIG, rf"{node.directory}: .*[Dd]irectory"),
            ([daemon, "-c", node.config_file], {"AS": "none"}, EX_CONFIG, r"environment variable AS: node\.as: .*none"),
            ([daemon, "-c", node.config_file], {"IP": "10.0.0.256"}, EX_CONFIG, r"variable IP: node\.ip: "),
            ([daemon, "--nonsense"], {}, 64, r"unrecognized option(.|\n)*usage"),
            ([daemon, "more"], {}, 64, r"unexpected argument \"more\"")):
        status, said = start_badly(node, words, env)
        assert status == expected and re.search(pattern, said), (status, said)
    for text, pattern in ((good + "user: nosuchuser\n", r'"nosuchuser" does not exist: create it'),
                          (good + "control:\n  group: nosuchgroup\n", r"nosuchgroup"),
                          (good + "control:\n  socket: /proc/nowhere/sock\n", r"/proc/nowhere/sock: .*No such file")):
        # The later section counts for what it says, so the former one must go.
        node.write_config(re.sub(r"control:\n  socket: /run.*\n", "", text))
        status, said = start_badly(node)
        assert status == EX_OSERR and re.search(pattern, said), (status, said)


def test_bad_configuration_on_reload(pair):
    node = pair.nodes[0]
    unharmed = Unharmed(pair)
    good = node.config_file.read_text()
    dump = node.calidris("-o", "json", "show", "status")
    for text, pattern in BAD_CONFIGURATIONS[:4]:
        node.write_config(text)
        before = len(node.log_text())
        node.reload()
        wait_for(lambda before=before: "stays in force" in node.log_text()[before:], "the refusal is logged")
        assert re.search(re.escape(str(node.config_file)) + pattern, node.log_text()[before:])
        answer = node.calidris("reload", check=False)
        assert answer.returncode != 0
        assert re.search(pattern, answer.stdout + answer.stderr), answer
    node.config_file.unlink()
    answer = node.calidris("reload", check=False)
    assert answer.returncode != 0 and "cannot be read" in answer.stdout + answer.stderr, answer
    assert node.process.poll() is None and dump
    unharmed.check("bad reloads")
    # And a good one works afterwards.
    node.write_config(good.replace("level: debug", "level: warning"))
    assert node.calidris("reload", check=False).returncode == EX_OK
    assert re.search(r"log\.level: debug -> warning", node.log_text())
    unharmed.check("a good reload after bad ones")


# Objects

BAD_OBJECTS = [
    ("BGPPeer", "spec:\n  peerIP: nowhere\n  asNumber: 64512\n", r":6:11: BGPPeer bad: spec\.peerIP: .*'nowhere'"),
    ("BGPPeer", "spec:\n  peerIP: 10.0.0.1\n  asNumber: 0\n", r":7:13: BGPPeer bad: spec\.asNumber: "),
    ("BGPPeer", "spec:\n  nodeSelector: 'rack == '\n  peerIP: 10.0.0.1\n  asNumber: 1\n",
     r":6:17: BGPPeer bad: spec\.nodeSelector: "),
    ("IPPool", "spec:\n  cidr: 10.0.0.0/40\n", r":6:9: IPPool bad: spec\.cidr: .*10\.0\.0\.0/40"),
    ("IPPool", "spec: {}\n", r"IPPool bad: spec\.cidr: "),
    ("Node", "spec:\n  bgp:\n    ipv4Address: 1.2.3\n", r":7:18: Node bad: spec\.bgp\.ipv4Address: "),
    ("BlockAffinity", "spec:\n  cidr: 10.0.0.0/26\n  node: n\n  state: perhaps\n",
     r":8:10: BlockAffinity bad: spec\.state: .*perhaps"),
    ("WorkloadEndpoint", "spec:\n  node: n\n  interfaceName: cali0123456789abcdef\n  ipNetworks: [10.0.0.1/32]\n",
     r":7:18: WorkloadEndpoint (default/)?bad: spec\.interfaceName: .*15"),
    ("Gadget", "spec: {}\n", r":2:7: .*Gadget.* not a known kind"),
    ("BGPPeer", "spec:\n  peerIP: {\n", r"bad\.yaml:\d+:\d+: "),
]


def bad_object(kind, spec):
    return f"apiVersion: projectcalico.org/v3\nkind: {kind}\nmetadata:\n  name: bad\n{spec}"


def test_bad_objects(pair):
    """Alone and among good ones: named with file, line and reason, while everything else applies."""
    node = pair.nodes[0]
    unharmed = Unharmed(pair)
    path = pair.objects / "bad.yaml"
    for kind, spec, pattern in BAD_OBJECTS:
        before = len(node.log_text())
        path.write_text(bad_object(kind, spec))
        wait_problem(node, pattern)
        assert re.search(rf"(warning|error) datastore: {re.escape(str(path))}", node.log_text()[before:]), node.log_tail()
        # There never was a good one.
        assert "last good" not in problems(node) + node.log_text()[before:], node.log_text()[before:]
    unharmed.check("bad objects")
    # In front of a good one: the good one applies.
    path.write_text(bad_object(*BAD_OBJECTS[0][:2]) + "---\n" + to_yaml(block_affinity("node-1", "10.244.99.0/26")))
    wait_for(lambda: pair.nodes[1].route("10.244.99.0/26"), "the good object's route at the other node")
    path.unlink()
    wait_for(lambda: not pair.nodes[1].route("10.244.99.0/26"), "the route is withdrawn")
    wait_no_problem(node, "bad")
    assert node.show("status")["datastore"]["refused"] == 0


def test_dry_run_over_bad_objects(new_cluster):
    """What a start would not take is named before there is one, as the daemon names it."""
    cluster = new_cluster()
    node = cluster.add_node("node-1")
    (cluster.objects / "bad.yaml").write_text(bad_object(*BAD_OBJECTS[1][:2]))
    (cluster.objects / "cut.yaml").write_text("kind: Node\nmeta")
    status, said = start_badly(node, [programs() / "calidrisd", "--dry-run", "-c", node.config_file])
    assert status == EX_OK
    assert re.search(r"\nproblem: \S+/bad\.yaml:7:13: BGPPeer bad: spec\.asNumber: .*; the object is not in force\n", said), said
    assert re.search(r"\nproblem: \S+/cut\.yaml:\d+:\d+: [^:].*; nothing of it is in force\n", said), said


def test_last_good_version_stays(pair):
    """Objects in use become bad: their last good version stays in force, also while the file is no YAML at all."""
    unharmed = Unharmed(pair)
    node = pair.nodes[0]
    for host, pattern, replacement in ((pair.nodes[1], r"ipv4Address: \S+", "ipv4Address: 1.2.3"),
                                       (pair.nodes[0], r"ipv4Address: \S+", "ipv4Address: [")):
        path = pair.file_of(node_object(host.name, host.addresses))
        good = path.read_text()
        path.write_text(re.sub(pattern, replacement, good))
        for each in pair.nodes:
            wait_problem(each, rf"{path.name}:\d+:\d+: ")
        assert "last good version" in problems(node)
        unharmed.check(f"{host.name}'s object gone bad")
        path.write_text("")
        wait_problem(node, rf"{path.name}: is empty")
        unharmed.check(f"{host.name}'s object emptied")
        path.write_text(good)
        for each in pair.nodes:
            wait_no_problem(each, path.name)
    unharmed.check("objects gone bad and mended")


def test_node_object_missing(pair):
    """Said in the log and in the status; routes to local pods stay, and its return brings the peers back."""
    node, other = pair.nodes
    traffic = Traffic(*[node.add_pod(f"more-{number}") for number in (1, 2)])
    pair.wait_local()
    pair.delete(node_object(node.name, node.addresses))
    wait_problem(node, 'no Node object "node-1".*node.name or NODENAME')
    node.wait_log('no Node object "node-1".*node.name or NODENAME')
    wait_for(lambda: not node.show("peers")["peers"], "no peers")
    assert all(node.route(pod.ip4) and node.route(pod.ip6) for pod in node.pods)
    traffic.check("the loss of the Node object")
    node.publish()
    wait_no_problem(node, "no Node object")
    pair.wait_converged()
    assert other.pods[0].pings(node.pods[0].ip4)
    traffic.end("the return of the Node object")


def test_directory_missing_at_start(new_cluster):
    """It is named, nothing is removed, and all starts when it appears; so too when a parent of it is missing."""
    cluster = new_cluster()
    node, other = cluster.add_node("node-1"), cluster.add_node("node-2")
    pod = node.add_pod("pod-1", cni=True)
    other.add_pod("pod-2")
    other.start()
    away = cluster.directory / "deep" / "er" / "objects"
    node.configure({"datastore": {"directory": str(away)}})
    node.ip("route add 10.244.2.0/26 via 172.18.0.2 proto bgp metric 1024 onlink dev eth0")
    node.start()
    wait_problem(node, rf"{away}: .*No such file or directory.*nothing is known yet")
    assert node.show("status")["datastore"]["in_sync"] is False
    assert node.show("status")["datastore"]["problem"]
    assert node.route("10.244.2.0/26"), "what is in the kernel stays while nothing is known"
    away.parent.mkdir(parents=True)
    shutil.copytree(cluster.objects, cluster.directory / "copy")
    (cluster.directory / "copy").rename(away)
    cluster.wait_converged()
    cluster.wait_local()
    wait_no_problem(node, "No such file")
    assert other.pods[0].pings(pod.ip4) and other.pods[0].pings(pod.ip6)


# The process and the machine

def test_second_daemon(pair):
    """On the same socket: it says who is there and ends; the first is not disturbed."""
    node = pair.nodes[0]
    unharmed = Unharmed(pair)
    status, said = start_badly(node)
    assert status == EX_OSERR
    assert re.search(rf"another calidrisd \(pid \d+\) answers on {node.socket}; stop it, or set control\.socket", said), said
    assert node.show("status")["node"] == node.name
    unharmed.check("a second daemon")


def test_second_daemon_of_another_user(pair):
    """That may not ask the first whether it is there: it does not take the socket for a dead one's."""
    node = pair.nodes[0]
    unharmed = Unharmed(pair)
    node.directory.chmod(0o777)
    status, said = start_badly(node, [*as_nobody(node), programs() / "calidrisd", "-c", node.config_file])
    assert status == EX_OSERR and str(node.socket) in said, said
    assert node.show("status")["node"] == node.name
    unharmed.check("a second daemon of another user")


def test_no_privilege(pair):
    node = pair.nodes[0]
    unharmed = Unharmed(pair)
    other = node.directory / "nobody"
    other.mkdir()
    other.chmod(0o777)
    config = other / "calidris.yaml"
    config.write_text(node.config_file.read_text().replace(str(node.socket), str(other / "calidris.sock")))
    status, said = start_badly(node, [*POWERLESS, programs() / "calidrisd", "-c", config])
    assert status == EX_OSERR
    assert re.search(r"kernel routes: Operation not permitted: CAP_NET_ADMIN is missing: run as root, or grant it", said), said
    assert not (other / "calidris.sock").exists()
    unharmed.check("a start without privilege")


def test_read_only_settings(new_cluster):
    """/proc/sys read-only, as containers have it: routes are written, and what could not be set is named."""
    cluster = new_cluster()
    node, other = cluster.add_node("node-1"), cluster.add_node("node-2")
    pods = [node.add_pod("pod-1"), other.add_pod("pod-2")]
    other.start()
    script = 'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && exec "$@"'
    node.process = node.spawn(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh",
                               programs() / "calidrisd", "-f", "-c", node.config_file], "calidrisd.log")
    node.wait_up()
    cluster.wait_converged()
    cluster.wait_local()
    wait_problem(node, rf"{pods[0].interface}/\S+.*Read-only file system.*make /proc/sys writable")
    node.wait_log(r"Read-only file system.*make /proc/sys writable")
    # Proxy ARP is the node's to set then; IPv6 needs none for a pod that knows the veth's link-local address.
    pods[0].cni_host_side_settings()
    assert pods[1].pings(pods[0].ip4) and pods[1].pings(pods[0].ip6)


def test_missing_interface(pair):
    """A workload whose interface is not there (yet): named; its route is written when it comes."""
    node = pair.nodes[0]
    unharmed = Unharmed(pair)
    pod = node.add_pod("late", wire=False)
    wait_problem(node, r"2 routes wait for an interface")
    kernel = {row["prefix"]: row for row in node.show("kernel")["kernel"]}
    for address in (f"{pod.ip4}/32", f"{pod.ip6}/128"):
        assert kernel[address]["state"] == "unresolved"
        assert re.search(rf"interface {pod.interface}: no such interface", kernel[address]["reason"]), kernel[address]
    assert pod.interface in node.calidris("-o", "json", "explain", pod.ip4)
    unharmed.watch.check("a missing interface")
    pod.wire()
    pair.wait_local()
    wait_no_problem(node, "wait for an interface")
    wait_for(lambda: pair.pods[1].pings(pod.ip4) and pair.pods[1].pings(pod.ip6), "the late pod answers")
    unharmed.traffic.check("a late interface")


def test_no_ipv6_in_the_kernel(pair):
    """IPv6 switched off on a node: IPv4 works on, and what the kernel refuses is said with its own words."""
    node, other = pair.nodes
    with node.inside():
        for name in ("all", "default"):
            node.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", 1)
    ping = other.pods[0].start_ping(node.pods[0].ip4, 0.005)
    ping.wait_received(20)
    node.kill()
    node.start()
    wait_problem(node, r"were refused; show kernel lists them")
    node.wait_log(r"the kernel refused: Permission denied: IPv6 is disabled on nexthop device")
    wait_for(lambda: node.route(other.blocks[0]) and node.route(node.pods[0].ip4), "IPv4 routes")
    ping.wait_received(ping.received + 20)
    assert ping.stop().lost == 0
    with node.inside():
        for name in ("all", "default"):
            node.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", 0)
    wait_for(lambda: node.route(node.pods[0].ip6), "the IPv6 route to the pod, once the kernel takes it", 40)
    wait_no_problem(node, r"[1-9]\d* were refused")


# Peers

def test_port_in_use(new_cluster):
    """Somebody else has the BGP port: said in the log and the status, tried again until it is free."""
    cluster = new_cluster()
    node, other = cluster.add_node("node-1"), cluster.add_node("node-2")
    with node.inside():
        squatter = socket.create_server(("::", 179), family=socket.AF_INET6, dualstack_ipv6=True)
    node.start()
    pattern = r"cannot listen on .*:179: .*Address already in use; another BGP daemon"
    node.wait_log(pattern)
    wait_problem(node, pattern)
    assert len(re.findall(pattern, node.log_text())) == 1, "said once"
    squatter.close()
    wait_no_problem(node, "cannot listen", 15)
    other.start()
    cluster.wait_converged(15)


def test_peers_that_do_not_come_up(pair):
    """Nobody there, nobody listening, no way there, the wrong AS: each is told apart."""
    node = pair.nodes[0]
    unharmed = Unharmed(pair)
    fabric = pair.add_host(Host, "fabric-1", publish=False)
    closed = pair.add_host(Host, "fabric-2", publish=False)
    node.ip("route add unreachable 192.0.2.0/24")
    with Speaker(fabric) as speaker:
        peer = speaker.add(fabric.ip4, 65001)
        pair.write(bgp_peer("absent", node="node-1", peerIP="172.18.0.77", asNumber=64999),
                   bgp_peer("closed", node="node-1", peerIP=closed.ip4, asNumber=64999),
                   bgp_peer("no-way", node="node-1", peerIP="192.0.2.7", asNumber=64999),
                   bgp_peer("other-as", node="node-1", peerIP=fabric.ip4, asNumber=64888))
        wait_problem(node, r"peer Node_172_18_0_77 \(172\.18\.0\.77\) is not up: \w+, connect: (No route to host|no answer)")
        wait_problem(node, rf"{closed.ip4}\) is not up: \w+, connect: Connection refused")
        wait_problem(node, r"\(192\.0\.2\.7\) is not up: \w+, connect: (No route to host|Network is unreachable)")
        wait_problem(node, rf"{fabric.ip4}\) is not up: \w+, .*64888.*65001")
        # Bad Peer AS, and not at a rate that would be an attack.
        assert peer.notifications[0] == (2, 2)
        assert peer.accepted < 5
        unharmed.check("peers that do not come up")
        pair.write(bgp_peer("other-as", node="node-1", peerIP=fabric.ip4, asNumber=65001))
        wait_no_problem(node, fabric.ip4, 15)


def cpu_seconds(node):
    fields = open(f"/proc/{node.process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def drain(sock):
    """What the daemon says until it closes; None if it does not close in time."""
    data = b""
    with contextlib.suppress(OSError):
        while True:
            more = sock.recv(65536)
            if not more:
                break
            data += more
    return data


class Attacker:
    """Raw connections from a peer's address (or anybody's) to a node's BGP port."""

    def __init__(self, host, node):
        self.host, self.node, self.sockets = host, node, []

    def connect(self):
        with self.host.inside():
            sock = socket.create_connection((self.node.ip4, 179), timeout=60)
        self.sockets.append(sock)
        return sock

    def close(self):
        for sock in self.sockets:
            sock.close()


@pytest.fixture
def attacked(pair):
    """A node with a further peer, which is the attacker's; the other node's session must not suffer."""
    node = pair.nodes[0]
    host = pair.add_host(Host, "attacker", publish=False)
    node.configure({"bgp": {"idle_hold_time": 1, "idle_hold_max": 1, "connect_retry_time": 60}})
    node.calidris("reload")
    unharmed = Unharmed(pair)
    pair.write(bgp_peer("attacker", node="node-1", peerIP=host.ip4, asNumber=65001))
    wait_problem(node, host.ip4)
    attacker = Attacker(host, node)
    yield node, host, attacker, unharmed
    attacker.close()


def test_garbage(attacked):
    """Bytes that are no BGP: a NOTIFICATION where the RFC wants one, the reason in the log, and the next one may try."""
    node, host, attacker, unharmed = attacked
    for data, code in ((os.urandom(4096), (1, 1)),
                       (MARKER + b"\0\5\1", (1, 2)),
                       (MARKER + b"\xff\xff\4", (1, 2)),
                       (MARKER + b"\0\x13\x09", (1, 3)),
                       (message(1, b"\3" + b"\0" * 9), (2, 1)),
                       (message(4), (5, 1))):
        def attempt(data=data, code=code):
            sock = attacker.connect()
            with contextlib.suppress(OSError):
                sock.sendall(data)
            said = drain(sock)
            # Behind our OPEN, unless it was too early after the last error.
            at = said.rfind(MARKER + b"\0")
            return said and said[at + 18] == 3 and tuple(said[at + 19:at + 21]) == code
        wait_for(attempt, f"NOTIFICATION {code} for {data[:30].hex()}", 10)
    assert re.search(r"not up: .*" , problems(node))
    assert re.search(rf"{host.ip4.replace('.', '_')}: .*(marker|Connection Not Synchronized)", node.log_text()), node.log_tail()
    unharmed.check("garbage")


def test_strangers(attacked):
    """Connections of somebody who is no peer: refused at once, in any number, and the log is not flooded."""
    node, host, attacker, unharmed = attacked
    host.ip("addr add 172.18.0.66/24 dev eth0")
    before = len(node.log_text().splitlines())
    start = cpu_seconds(node)
    with host.inside():
        for _ in range(300):
            with contextlib.suppress(OSError):
                sock = socket.create_connection((node.ip4, 179), timeout=5, source_address=("172.18.0.66", 0))
                said = drain(sock)
                sock.close()
                assert said == b"" or said[18] == 3
    assert len(node.log_text().splitlines()) - before < 30
    node.wait_log(r"172\.18\.0\.66.*(no|not a|unknown) .*peer|172\.18\.0\.66.*not configured")
    assert cpu_seconds(node) - start < 1
    unharmed.check("strangers")


def test_stalling(attacked):
    """Connections that say nothing, half a message, an OPEN and nothing more; hundreds of them."""
    node, host, attacker, unharmed = attacked
    before = node.anonymous()
    start = cpu_seconds(node)
    for number in range(200):
        sock = attacker.connect()
        with contextlib.suppress(OSError):
            sock.sendall([b"", MARKER[:7], MARKER + b"\x10\0\1", open_message(65001, host.ip4)][number % 4])
    unharmed.traffic.go_on(200)
    assert node.anonymous() - before < 256
    assert cpu_seconds(node) - start < 1
    # Of one peer it keeps the last only; those that go are given a moment to read why.
    wait_for(lambda: len(os.listdir(f"/proc/{node.process.pid}/fd")) < 25, "the descriptors are given back", 5)
    unharmed.check("stalling connections")


def established(attacker, host, receive_buffer=None):
    """A connection that has come up."""
    sock = attacker.connect()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.sendall(open_message(65001, host.ip4, families=(4,), restart_time=120) + message(4) + end_of_rib(4))
    return sock


def test_flood(attacked):
    """A peer that sends 100,000 routes as fast as it can and goes, twice: the others do not notice, and the second time takes
    no memory that the first one has not."""
    node, host, attacker, unharmed = attacked
    prefixes = [f"20.{high}.{middle}.{low}/32" for high in range(10) for middle in range(40) for low in range(250)]
    flood = b"".join(update(prefixes[at:at + 500], host.ip4, [65001], None) for at in range(0, len(prefixes), 500))
    sizes = []
    for _round in range(2):
        sock = established(attacker, host)
        sock.settimeout(60)
        sock.sendall(flood)
        wait_for(lambda: node.show("status")["kernel"]["installed"] > len(prefixes), "all of them in the kernel", 60)
        unharmed.traffic.check("a flood of routes")
        sizes.append(node.anonymous())
        # Not kept for its restart: it is no peer any more.
        node.cluster.delete(bgp_peer("attacker"))
        wait_for(lambda: node.show("status")["kernel"]["wanted"] < 20, "its routes are gone from the kernel", 60)
        sock.close()
        node.cluster.write(bgp_peer("attacker", node="node-1", peerIP=host.ip4, asNumber=65001))
        wait_problem(node, host.ip4)
    assert sizes[1] < sizes[0] + 2048, sizes  # less than what 24 octets a route would be
    unharmed.traffic.check("the end of a flood")
    for each in unharmed.nodes:
        assert_no_reset(unharmed.before[each], each, "a flood")


def test_bad_updates(attacked):
    """RFC 7606: a route of a bad UPDATE is withdrawn, the session stays; what breaks the framing ends it, with the reason."""
    node, host, attacker, unharmed = attacked
    name = f"Node_{host.ip4.replace('.', '_')}"
    sock = established(attacker, host)
    wait_for(lambda: name in sessions(node), "the attacker's session")
    sock.sendall(update(["20.0.0.0/24", "20.0.1.0/24"], host.ip4, [65001], None))
    wait_for(lambda: node.route("20.0.0.0/24") and node.route("20.0.1.0/24"), "its routes")
    bad = bytearray(update(["20.0.0.0/24"], host.ip4, [65001], None))
    bad[bad.index(b"\x40\x01\x01") + 3] = 7  # an ORIGIN there is not
    sock.sendall(bytes(bad))
    wait_for(lambda: not node.route("20.0.0.0/24"), "treated as withdrawn")
    assert node.route("20.0.1.0/24") and name in sessions(node)
    assert re.search(rf"{name}.*ORIGIN", node.log_text()), node.log_tail()
    sock.sendall(message(2, struct.pack("!HH", 0, 4000)))
    wait_for(lambda: name not in sessions(node), "the session ends")
    wait_problem(node, rf"{name} .*is not up: .*")
    assert re.search(rf"warning bgp: {name}: down: .*(UPDATE|attribute)", node.log_text()), node.log_tail()
    unharmed.traffic.check("bad updates")


def test_deaf_peer(attacked):
    """A peer that keeps its session alive and never reads: what waits for it is bounded."""
    node, host, attacker, unharmed = attacked
    name = f"Node_{host.ip4.replace('.', '_')}"
    sock = established(attacker, host, receive_buffer=2048)
    wait_for(lambda: name in sessions(node), "the attacker's session")
    before = node.anonymous()
    churn = [block_affinity("node-1", f"10.244.{number}.0/26") for number in range(100, 140)]
    for _round in range(5):
        node.cluster.write(*churn)
        wait_for(lambda: unharmed.nodes[1].route("10.244.139.0/26"), "the other node has what changed")
        for thing in churn:
            node.cluster.delete(thing)
        wait_for(lambda: not unharmed.nodes[1].route("10.244.139.0/26"), "the other node no longer has it")
        sock.sendall(message(4))
    assert node.anonymous() - before < 512
    unharmed.traffic.check("a deaf peer")
    for each in unharmed.nodes:
        assert_no_reset(unharmed.before[each], each, "a deaf peer")


def test_control_socket_is_not_for_everybody(pair):
    node = pair.nodes[0]
    answer = run(node.command([*as_nobody(node), programs() / "calidris", "-s", node.socket, "show", "status"]), check=False)
    assert answer.returncode == 3
    assert re.search(r"Permission denied", answer.stderr), answer.stderr


# What is asked

LONG = "a-node-with-as-long-a-name-as-cloud-providers-make-them-of-its-address-its-region-and-what-it-is-for.compute.internal"
CHANGES = {"dump mrt", "reset", "reload", "teardown"}


def arguments_of(command, node):
    """What a command may be asked with, by the first of its arguments."""
    pod, peer = node.pods[0], node.show("peers")["peers"][0]["name"]
    first = re.match(r"\[?(\w*)", command["arguments"]).group(1)
    return {"": [[]], "table": [[]], "NAME": [[], [peer]], "KIND": [[], ["nodes"], ["bgpfilter"]],
            "PREFIX": [[], ["all"], [pod.ip4], [pod.ip6, "all"]],
            "ADDRESS": [[pod.ip4], [pod.ip6], ["172.18.0.77"], ["2001:db8::1"]]}[first]


def test_every_command_fits_into_100_columns(pair):
    """Long names, long addresses, and an object of each kind: no line is longer, and all of it is JSON, too."""
    node = pair.nodes[0]
    for path in ("bgpfilters", "bgppeers", "ipamblocks", "services"):
        shutil.copy(EXAMPLES / f"{path}.yaml", pair.objects / f"example-{path}.yaml")
    pair.write(node_object(LONG, ["172.18.0.77/24", "fd00:18:0:1234:5678:9abc:def0:1234/64"]),
               block_affinity(LONG, "10.244.77.0/26"), block_affinity(LONG, "fd00:10:244:1234:5678:9abc:def0:0/122"),
               bgp_peer(f"{LONG}-and-its-switch", peerIP="fd00:18:0:1234:5678:9abc:def0:4321", asNumber=4200000001,
                        bfd={"enabled": True}, filters=["tor"]),
               bgp_peer("whoever-calls", peerRange="172.18.0.128/25"))
    wait_for(lambda: any(peer["name"].endswith("_4321") for peer in node.show("peers")["peers"]), "the long peers")
    wait_for(lambda: node.show("objects", "bgpfilter")["objects"], "the examples")
    for command in json.loads(node.calidris("-o", "json", "help"))["commands"]:
        if command["command"] in CHANGES:
            continue
        for arguments in arguments_of(command, node):
            words = [*command["command"].split(), *arguments]
            answer = node.calidris(*words, check=False)
            if answer.returncode == 1:  # no BFD on a peer, no route
                assert answer.stderr.startswith("calidris: ") and not answer.stdout, (words, answer)
                continue
            assert answer.returncode == 0 and answer.stdout, (words, answer)
            assert max(map(len, answer.stdout.splitlines())) <= 100, (words, answer.stdout)
            json.loads(node.calidris("-o", "json", *words))
