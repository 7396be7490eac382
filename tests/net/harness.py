"""Clusters in network namespaces: nodes with real veths, pods wired as Calico's CNI plugin wires them, real daemons.

    with Cluster() as cluster:
        one, two = cluster.add_node("node-1"), cluster.add_node("node-2")
        pod = two.add_pod("web-0")
        cluster.start()
        cluster.wait_converged()
        assert one.routes()[...]

Everything is inside the caller's own mount, network and process namespaces (../ns.py), so nothing of it touches the host or
outlives the caller. A cluster's files are below /run/calidris, which is private as well.
"""

import contextlib
import hashlib
import ipaddress
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests"))
import ns  # noqa: E402 (needs the path)
from netns import SLOWNESS, Namespace, Ping, announce, is6, run, wait_for  # noqa: E402
from objects import (bgp_configuration, bgp_peer, block_affinity, ip_pool, ipam_block, node_object,  # noqa: E402
                     to_yaml, workload_endpoint)

ROOT = Path("/run/calidris")
VETH_MAC = "ee:ee:ee:ee:ee:ee"
VETH_LINK_LOCAL = "fe80::ecee:eeff:feee:eeee"
POOL4, POOL6 = "10.244.0.0/16", "fd00:10:244::/48"


def programs():
    """The directory that holds calidrisd and calidris."""
    return Path(os.environ.get("CALIDRIS_BUILD", TOP / "build"))


class Pod(Namespace):
    def __init__(self, node, name, addresses, namespace="default"):
        super().__init__(node.cluster, f"pod-{name}" if namespace == "default" else f"pod-{namespace}-{name}")
        self.node, self.pod, self.kube_namespace = node, name, namespace
        self.addresses = addresses
        self.interface = interface_name(name, namespace)

    @property
    def ip4(self):
        return next((address for address in self.addresses if not is6(address)), None)

    @property
    def ip6(self):
        return next((address for address in self.addresses if is6(address)), None)

    def wire(self, cni=False):
        """As the CNI plugin does; `cni` adds the host side's route and settings, which are otherwise the daemon's work."""
        # The host's end gets its MAC before it comes up: its link-local address is made of it, and is the pods' IPv6 gateway.
        self.node.ip(
            f"link add {self.interface} address {VETH_MAC} mtu 1500 type veth peer name eth0 netns {self.name}",
            f"link set {self.interface} up")
        lines = ["link set eth0 up"]
        if self.ip4:
            lines += [f"addr add {self.ip4}/32 dev eth0", "route add 169.254.1.1 dev eth0 scope link",
                      "route add default via 169.254.1.1 dev eth0"]
        if self.ip6:
            lines += [f"addr add {self.ip6}/128 dev eth0 nodad", f"route add default via {VETH_LINK_LOCAL} dev eth0"]
        self.ip(*lines)
        if cni:
            self.cni_host_side()

    def cni_host_side(self, replace=False):
        self.cni_host_side_settings()
        self.node.ip(*(f"route {'replace' if replace else 'add'} {address} dev {self.interface} scope link" for address in self.addresses))

    def cni_host_side_settings(self):
        with self.node.inside():
            self.sysctl(f"net.ipv4.conf.{self.interface}.proxy_arp", 1)
            self.sysctl(f"net.ipv4.conf.{self.interface}.forwarding", 1)
            self.sysctl(f"net.ipv4.neigh.{self.interface}.proxy_delay", 0)
            self.sysctl(f"net.ipv6.conf.{self.interface}.proxy_ndp", 1)

    def start_ping(self, address, interval=0.005):
        return Ping(self, address, interval)

    def pings(self, address, timeout=1):
        done = self.run("ping", "-n", "-q", "-c", 1, "-W", timeout, address, check=False)
        return done.returncode == 0

    def object(self):
        return workload_endpoint(self.node.name, self.pod, self.interface, self.addresses, self.kube_namespace)

    def publish(self):
        self.node.publish_block()
        self.cluster.write(self.object())

    def remove(self):
        """The pod ends: its object, its address, its veth."""
        self.node.pods.remove(self)
        self.cluster.delete(self.object())
        self.node.publish_block()
        self.node.ip(f"link del {self.interface}")
        self.delete()
        self.cluster.namespaces.remove(self)


class Host(Namespace):
    """A machine on the fabric: eth0 with its addresses, a block of each family, pods. No daemon yet."""

    def __init__(self, cluster, name, index, *, segment, addresses, blocks, as_number=None, labels=None, cluster_id=None):
        super().__init__(cluster, name)
        self.index, self.segment = index, segment
        self.addresses, self.blocks = addresses, blocks
        self.as_number, self.labels, self.cluster_id = as_number, dict(labels or {}), cluster_id
        self.pods, self.processes = [], []
        self.directory = cluster.directory / name
        self.directory.mkdir()
        self.next_ordinal = 1
        segment.attach(self)
        with self.inside():
            # As kubelet's prerequisites have it on every node.
            self.sysctl("net.ipv4.ip_forward", 1)
            self.sysctl("net.ipv6.conf.all.forwarding", 1)

    def address(self, family):
        """Without its length; None if the host has none of the family."""
        found = next((address for address in self.addresses if is6(address) == (family == 6)), None)
        return found.split("/")[0] if found else None

    ip4 = property(lambda self: self.address(4))
    ip6 = property(lambda self: self.address(6))

    def add_pod(self, name, addresses=None, namespace="default", cni=False, publish=True, wire=True):
        if addresses is None:
            addresses = [str(ipaddress.ip_network(block)[self.next_ordinal]) for block in self.blocks]
            self.next_ordinal += 1
        pod = Pod(self, name, addresses, namespace)
        self.pods.append(pod)
        if wire:
            pod.wire(cni)
        if publish:
            pod.publish()
        return pod

    def objects(self):
        yield node_object(self.name, self.addresses, as_number=self.as_number, labels=self.labels,
                          cluster_id=self.cluster_id)
        for block in self.blocks:
            yield block_affinity(self.name, block)

    def publish(self):
        for thing in self.objects():
            self.cluster.write(thing)
        self.publish_block()

    def publish_block(self):
        """The IPAM blocks with what their addresses are used for, addresses borrowed from other nodes' blocks included."""
        for host in self.cluster.hosts:
            for block in host.blocks:
                self.cluster.write(ipam_block(host.name, block, self.cluster.pods))

    def withdraw_block(self, block):
        """It gives up a block."""
        self.blocks.remove(block)
        self.cluster.delete(block_affinity(self.name, block))
        self.cluster.delete(ipam_block(self.name, block, []))

    def withdraw(self):
        """Its objects go, as when a node is deleted from the cluster."""
        for pod in self.pods:
            self.cluster.delete(pod.object())
        for block in self.blocks:
            self.cluster.delete(ipam_block(self.name, block, []))
        for thing in self.objects():
            self.cluster.delete(thing)

    def spawn(self, words, log, env=None):
        """A daemon of this host, its output in a log file."""
        output = (self.directory / log).open("ab")
        process = self.popen(words, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})
        output.close()
        self.processes.append(process)
        return process

    def logs(self):
        return {path.name: path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log"))}

    def stop(self):
        for process in self.processes:
            self.cluster.end(process)
        self.processes.clear()

    def delete(self):
        """Off the network at once: the kernel takes namespaces apart when it has time, and until then this machine would
        answer beside another one that got its address."""
        run(["ip", "-n", self.cluster.fabric.name, "link", "del", self.port], check=False)
        super().delete()


class Node(Host):
    """A host with calidrisd."""

    def __init__(self, *arguments, config=None, **options):
        super().__init__(*arguments, **options)
        self.process, self.options = None, []
        self.socket = self.directory / "calidris.sock"
        self.config_file = self.directory / "calidris.yaml"
        self.config = {"node": {"name": self.name}, "datastore": self.cluster.datastore.config(self),
                       "control": {"socket": str(self.socket)}, "log": {"level": "debug"}}
        self.configure(config or {})

    def configure(self, changes):
        """Merges {"section": {"key": value}} into the configuration file; None removes a key."""
        for section, keys in changes.items():
            merged = {**self.config.get(section, {}), **keys}
            self.config[section] = {key: value for key, value in merged.items() if value is not None}
        self.write_config(to_yaml({section: keys for section, keys in self.config.items() if keys}))

    def write_config(self, text):
        """Into place by rename: a daemon that is reloading must not find half a file."""
        temporary = self.config_file.with_suffix(".new")
        temporary.write_text(text)
        temporary.rename(self.config_file)

    def start(self, wait=True, env=None, program=None):
        words = [program or programs() / "calidrisd", "-f", "-c", self.config_file, *self.options]
        self.process = self.spawn(words, "calidrisd.log", env)
        if wait:
            self.wait_up()

    def wait_up(self, timeout=10):
        wait_for(self.answers, lambda: f"{self.name}'s control socket answers\n{self.log_tail()}", timeout)

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name}: calidrisd ended with status {self.process.returncode}\n{self.log_tail()}")
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0

    def log_text(self):
        return self.logs().get("calidrisd.log", "")

    def log_tail(self, lines=30):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def wait_log(self, pattern, timeout=10):
        return wait_for(lambda: re.search(pattern, self.log_text()), lambda: f"{pattern!r} in the log\n{self.log_tail()}",
                        timeout)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def terminate(self, timeout=10):
        """An ordinary stop; returns the exit status."""
        self.process.terminate()
        status = self.process.wait(timeout * SLOWNESS)
        self.processes.remove(self.process)
        return status

    def kill(self):
        """kill -9: no goodbye."""
        self.process.kill()
        self.process.wait(5 * SLOWNESS)
        self.processes.remove(self.process)

    def calidris(self, *words, check=True):
        """The client's answer as text, or with check=False the finished process."""
        return run([programs() / "calidris", "-s", self.socket, *words], check)

    def show(self, *words):
        """`calidris -o json show ...`, parsed; no key may be there twice."""
        def unique(pairs):
            assert len(dict(pairs)) == len(pairs), f"show {' '.join(words)}: a key twice among {[key for key, _ in pairs]}"
            return dict(pairs)
        return json.loads(self.calidris("-o", "json", "show", *words), object_pairs_hook=unique)

    def resident(self):
        """Resident memory in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def anonymous(self):
        """The part of it that is the daemon's own, in KiB: what leaks grow. Code comes and goes as it is used."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", status).group(1))


class Segment:
    """A switched network: a bridge in the fabric's namespace, with the router's addresses if it has any."""

    def __init__(self, cluster, name, gateways=()):
        self.cluster, self.name, self.gateways = cluster, name, list(gateways)
        self.ports = itertools.count(1)
        cluster.fabric.ip(f"link add {name} type bridge", f"link set {name} up",
                          *(f"addr add {address} dev {name}" for address in self.gateways))

    def attach(self, host):
        port = f"{self.name[:7]}-p{next(self.ports)}"
        self.cluster.fabric.ip(f"link add {port} type veth peer name eth0 netns {host.name}",
                               f"link set {port} master {self.name} up")
        lines = ["link set eth0 up"]
        lines += [f"addr add {address} dev eth0{' nodad' if is6(address) else ''}" for address in host.addresses]
        lines += [f"route add default via {gateway.split('/')[0]} dev eth0" for gateway in self.gateways]
        host.ip(*lines)
        for address in host.addresses:
            announce(host, address.split("/")[0])
        host.port = port

    def cut(self, host, down=True):
        """Pulls the host's cable, or plugs it in again."""
        self.cluster.fabric.ip(f"link set {host.port} {'down' if down else 'up'}")

    def block(self, host, blocked=True):
        """Nothing passes any more, but nobody loses the carrier: what a switch does that has died inside."""
        self.cluster.fabric.ip(f"link set {host.port} {'nomaster' if blocked else f'master {self.name}'}")


def interface_name(pod, namespace="default"):
    return "cali" + hashlib.sha1(f"{namespace}.{pod}".encode()).hexdigest()[:11]


class Files:
    """The file datastore: an object each."""

    kind = "file"

    def __init__(self, cluster):
        self.directory = cluster.objects

    def config(self, _node):
        return {"directory": str(self.directory)}

    def file_of(self, thing):
        parts = [thing["kind"], thing["metadata"].get("namespace"), thing["metadata"]["name"]]
        return self.directory / ("-".join(filter(None, parts)).replace("/", "-").replace(":", "-") + ".yaml")

    def write(self, *things):
        """Into place by rename, as careful writers do; a file that would not change is left alone."""
        for thing in things:
            path, text = self.file_of(thing), to_yaml(thing)
            if path.exists() and path.read_text() == text:
                continue
            temporary = path.with_name(f".{path.name}.new")
            temporary.write_text(text)
            temporary.rename(path)

    def delete(self, thing):
        self.file_of(thing).unlink(missing_ok=True)

    def close(self):
        """Nothing of it runs."""


class Cluster:
    """Hosts on a fabric, and the directory of objects that they share."""

    def __init__(self, mesh=True, as_number=64512, families=(4, 6), pools=True, datastore=None):
        if "CALIDRIS_NS_PID" not in os.environ:
            raise RuntimeError("a cluster needs namespaces of its own: ns.enter() first")
        self.directory = ROOT
        self.families, self.as_number = families, as_number
        self.namespaces, self.hosts, self.processes, self.segments = [], [], [], {}
        self.numbers = itertools.count(1)
        shutil.rmtree(ROOT, ignore_errors=True)
        self.objects = ROOT / "objects"
        self.objects.mkdir(parents=True)
        self.fabric = Namespace(self, "fabric")
        with self.fabric.inside():
            self.fabric.sysctl("net.ipv4.ip_forward", 1)
            self.fabric.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.datastore = (datastore or Files)(self)
        self.write(bgp_configuration(mesh=mesh, as_number=as_number))
        if pools:
            self.write(*(ip_pool(cidr) for cidr, family in ((POOL4, 4), (POOL6, 6)) if family in families))

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def close(self):
        """Ends what was started and removes the namespaces, whatever state they are in."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for process in self.processes:
            process.wait()
        self.datastore.close()
        for namespace in reversed(self.namespaces):
            namespace.delete()
        self.processes, self.namespaces, self.hosts = [], [], []

    # Processes

    def popen(self, command, stdin=subprocess.DEVNULL, **arguments):
        process = subprocess.Popen([str(word) for word in command], stdin=stdin,
                                   preexec_fn=ns.die_with_parent, **arguments)
        self.processes.append(process)
        return process

    def end(self, process, timeout=5):
        process.terminate()
        try:
            process.wait(timeout * SLOWNESS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.processes.remove(process)

    # Objects

    def file_of(self, thing):
        return self.datastore.file_of(thing)

    def write(self, *things):
        self.datastore.write(*things)

    def delete(self, thing):
        self.datastore.delete(thing)

    # Hosts

    def segment(self, name="lan", gateways=None):
        """With a default gateway as any network has it: without a default route there is no proxy ARP for 169.254.1.1."""
        if name not in self.segments:
            if gateways is None:
                own = {4: "172.18.0.254/24", 6: "fd00:18::fffe/64"}
                gateways = [own[family] for family in self.families]
            self.segments[name] = Segment(self, name, gateways)
        return self.segments[name]

    def add_host(self, kind, name, *, segment=None, addresses=None, blocks=None, publish=True, **options):
        index = len(self.hosts) + 1
        if addresses is None:
            own = {4: f"172.18.0.{index}/24", 6: f"fd00:18::{index:x}/64"}
            addresses = [own[family] for family in self.families]
        if blocks is None:
            own = {4: f"10.244.{index}.0/26", 6: f"fd00:10:244:{index:x}::/122"}
            blocks = [own[family] for family in self.families]
        host = kind(self, name, index, segment=segment or self.segment(), addresses=addresses, blocks=blocks, **options)
        self.hosts.append(host)
        if publish:
            host.publish()
        return host

    def add_node(self, name, **options):
        return self.add_host(Node, name, **options)

    def add_reflector(self, name, cluster_id="10.0.0.1", peers=True, kind=Node, **options):
        """A route reflector without workloads; `peers` makes everyone its client, as Calico's documentation does it."""
        if kind is Node:
            options["config"] = {"kernel": {"programming": False}, **options.get("config", {})}
        host = self.add_host(kind, name, blocks=[], cluster_id=cluster_id, labels={"route-reflector": "true"}, **options)
        if peers:
            self.write(bgp_peer("to-reflectors", nodeSelector="all()", peerSelector="route-reflector == 'true'"))
        return host

    @property
    def nodes(self):
        return [host for host in self.hosts if isinstance(host, Node)]

    @property
    def pods(self):
        return [pod for host in self.hosts for pod in host.pods]

    def start(self):
        for node in self.nodes:
            node.start(wait=False)
        for node in self.nodes:
            node.wait_up()

    def remove(self, host):
        """A node leaves the cluster for good: its daemon, its objects, its machine."""
        host.stop()
        host.withdraw()
        self.hosts.remove(host)
        for namespace in [*host.pods, host]:
            namespace.delete()
            self.namespaces.remove(namespace)

    # What is waited for

    def missing_routes(self):
        """(node, block) pairs for which the node's kernel has no route to the block via the node that owns it."""
        missing = []
        for node in self.nodes:
            if node.config.get("kernel", {}).get("programming") is False:
                continue
            have = {(route["dst"], route.get("gateway")) for route in node.routes()}
            for other in self.hosts:
                for block in other.blocks if other is not node else ():
                    if (block, other.address(6 if is6(block) else 4)) not in have:
                        missing.append((node.name, block))
        return missing

    def wait_converged(self, timeout=30):
        wait_for(lambda: not self.missing_routes(), lambda: f"routes everywhere; missing {self.missing_routes()}", timeout)

    def wait_local(self, timeout=15):
        """Every pod's own routes on its own node."""
        def missing():
            return [(pod.node.name, address) for pod in self.pods for address in pod.addresses
                    if isinstance(pod.node, Node) and (pod.node.route(address) or {}).get("dev") != pod.interface]
        wait_for(lambda: not missing(), lambda: f"routes to local pods; missing {missing()}", timeout)

    def ping_matrix(self, family=4, pods=None, at_once=48):
        """{(source, destination): whether it answered}, every pod from every pod."""
        pods = pods or self.pods
        pairs = [(source, target) for source in pods for target in pods]
        answered = {}
        for start in range(0, len(pairs), at_once):
            running = []
            for source, target in pairs[start:start + at_once]:
                address = target.ip6 if family == 6 else target.ip4
                words = ["ping", "-n", "-q", "-c", 1, "-W", 2, address]
                running.append((source, target, source.popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)))
            for source, target, process in running:
                answered[source, target] = process.wait() == 0
                self.processes.remove(process)
        return answered

    def assert_all_ping(self):
        for family in self.families:
            silent = [f"{source.pod} to {target.pod}" for (source, target), ok in self.ping_matrix(family).items() if not ok]
            assert not silent, f"IPv{family}, no answer: {', '.join(silent)}"
