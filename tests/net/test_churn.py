"""A cluster of 30 nodes under random changes for a while: then each node's kernel must hold what an independent model
computes from the objects, sessions that nothing forced to end must never have ended, and nobody may have grown.

The seed is printed; CALIDRIS_SEED repeats a run (as far as time does), CALIDRIS_CHURN_SECONDS makes it longer.
"""

import collections
import ipaddress
import os
import random
import re
import time

import pytest

from files import Files, key_of
from harness import Cluster, Node, interface_name
from model import Machine, Model
from netns import announce, is6, run, wait_for
from objects import (bgp_configuration, bgp_peer, block_affinity, ip_pool, ipam_block, node_object,
                     workload_endpoint)

TAKES = 95  # s: it begins early

SECONDS = float(os.environ.get("CALIDRIS_CHURN_SECONDS", 0))
POOLS = ["10.244.0.0/16", "fd00:10:244::/48", "10.245.0.0/16", "fd00:10:245::/48"]
SETTINGS = {
    # A session that is reset and cannot come up again leaves its routes as stale ones until the restart time is over.
    "bgp": {"connect_retry_time": 1, "idle_hold_time": 1, "idle_hold_max": 2, "max_paths": 64,
            "graceful_restart": {"restart_time": 4}},
    "log": {"level": os.environ.get("CALIDRIS_CHURN_LOG", "info")},
}
FOREIGN = ["unreachable 198.18.{}.0/24 proto static metric 3", "10.250.{}.0/24 dev lo proto static metric 50",
           "unreachable 2001:db8:{}::/64 proto static metric 3"]
OUR_PROTOCOL = ("bgp", "186")

# How much a daemon may take and grow, in KiB; with sanitizers, more. Code that left the resident set after the start comes
# back as it is used, which counts as growth here.
FACTOR = int(os.environ.get("CALIDRIS_SIZE_FACTOR", 1))
RESIDENT, GROWTH = 5120 * FACTOR, (768 + 1024) * FACTOR


# After how many seconds a file that is away counts as removed (datastore/file.c: GONE_DELAY), less what a busy machine adds.
GONE = 0.2


class Pod:
    """A workload without a namespace of its own: an interface on its node, and objects."""

    def __init__(self, node, name, addresses):
        self.node, self.pod, self.addresses, self.kube_namespace = node, name, addresses, "default"
        self.interface = interface_name(name)

    def object(self):
        return workload_endpoint(self.node.name, self.pod, self.interface, self.addresses)

    def plug(self):
        self.node.ip(f"link add {self.interface} type veth peer name p{self.interface[4:]}",
                     f"link set p{self.interface[4:]} up", f"link set {self.interface} up")

    def unplug(self):
        self.node.ip(f"link del {self.interface}")


class Changing(Cluster):
    """A cluster whose objects are kept in Files, and the things that happen to it."""

    def __init__(self, seed, **options):
        self.rng = random.Random(seed)
        self.files = None
        super().__init__(pools=False, **options)
        self.files = Files(self.objects, self.rng)
        self.workloads = {}  # by address family's first address: Pod
        self.owners = {}  # {block: node or None}
        self.states = {}  # {block: state} if not confirmed
        self.extra_peers, self.pool_exports = {}, {cidr: True for cidr in POOLS}
        self.default = {"mesh": options.get("mesh", True), "as_number": 64512}
        self.counter, self.tally = 0, collections.Counter()
        self.forced = set()  # nodes, and pairs of nodes, whose sessions something forced to end since the last look
        self.starting = []  # nodes that may not have read all objects yet
        self.victims = []  # those to whom such things happen: the others' sessions must live through it all

    # Objects go to Files

    def write(self, *things):
        for thing in things:
            if self.files:
                self.files.put(thing)
            else:
                super().write(thing)

    def delete(self, thing):
        self.files.remove(key_of(thing))

    def write_default(self):
        spec = dict(self.default)
        self.write(bgp_configuration(spec.pop("mesh"), spec.pop("as_number"), **spec))

    def write_pool(self, cidr):
        self.write(ip_pool(cidr, name=f"pool-{POOLS.index(cidr)}",
                           **({} if self.pool_exports[cidr] else {"disableBGPExport": True})))

    def write_node(self, node):
        self.write(node_object(node.name, node.addresses, as_number=node.as_number, labels=node.labels,
                               cluster_id=node.cluster_id))

    def write_block(self, block):
        """The affinity and the IPAM block, as they are now."""
        owner = self.owners[block]
        if owner:
            self.write(block_affinity(owner.name, block, state=self.states.get(block, "confirmed")))
        self.write(ipam_block(owner.name if owner else "nobody", block, self.workloads.values()))

    def write_blocks_of(self, addresses):
        for block in self.owners:
            if any(ipaddress.ip_address(address) in ipaddress.ip_network(block) for address in addresses):
                self.write_block(block)

    # The start

    def populate(self, count, reflectors=0):
        (self.objects / "BGPConfiguration-default.yaml").unlink()
        self.write_default()
        for cidr in POOLS:
            self.write_pool(cidr)
        for index in range(count):
            self.new_node()
        for index in range(reflectors):
            self.new_reflector(f"reflector-{index + 1}", f"10.0.0.{index + 1}")
        for node in self.workers():
            for _ in range(2):
                self.new_block(node)
        for _ in range(2 * count):
            self.add_pod()

    def add_node_of(self, name, **options):
        node = self.add_host(Node, name, publish=False, blocks=[], config=SETTINGS, **options)
        with node.inside():
            # As systemd has it; otherwise the removal of an address takes others of its subnet with it.
            node.sysctl("net.ipv4.conf.all.promote_secondaries", 1)
        node.ip(*(f"route add {route.format(node.index)}" for route in FOREIGN))
        return node

    def new_node(self):
        self.counter += 1
        number = self.unused_host(1)
        node = self.add_node_of(
            f"node-{self.counter}", addresses=[f"172.18.0.{number}/24", f"fd00:18::{number:x}/64"],
            as_number=self.rng.choice([None, 64512]), labels={"rack": f"r{number % 4}"})
        self.write_node(node)
        return node

    def new_reflector(self, name, cluster_id):
        number = self.unused_host(1)
        node = self.add_node_of(name, addresses=[f"172.18.0.{number}/24", f"fd00:18::{number:x}/64"],
                                cluster_id=cluster_id, labels={"route-reflector": "true"})
        node.configure({"kernel": {"programming": False}})
        self.write_node(node)
        self.write(bgp_peer("to-reflectors", nodeSelector="all()", peerSelector="route-reflector == 'true'"))
        return node

    def new_block(self, node):
        self.counter += 1
        high, low = self.rng.choice([4, 5]), self.counter
        block = self.rng.choice([f"10.24{high}.{low % 256}.{low // 256 * 64}/26", f"fd00:10:24{high}:{low:x}::/122"])
        self.owners[block] = node
        self.write_block(block)

    def workers(self):
        return [node for node in self.nodes if not node.cluster_id]

    # What happens. Each has a weight; what forces sessions to end adds to self.forced.

    def choose_victims(self):
        workers, others = self.workers(), [node for node in self.nodes if node.cluster_id]
        self.victims = self.rng.sample(workers, len(workers) // 3) + others[:1]
        self.forced.clear()

    def victim(self):
        """A worker of the victims."""
        return self.rng.choice([node for node in self.victims if node in self.hosts and not node.cluster_id] or
                               self.workers())

    def free_address(self, block):
        taken = {address for pod in self.workloads.values() for address in pod.addresses}
        network = ipaddress.ip_network(block)
        return next(str(network[i]) for i in range(1, network.num_addresses) if str(network[i]) not in taken)

    def choose_addresses(self, node):
        """Of this node's blocks mostly, sometimes of another's: borrowed."""
        found = []
        for family in self.rng.choice([(4, 6), (4, 6), (4,), (6,)]):
            blocks = [block for block in self.owners if is6(block) == (family == 6)]
            own = [block for block in blocks if self.owners[block] is node]
            if own and self.rng.random() < 0.8:
                blocks = own
            if blocks:
                found.append(self.free_address(self.rng.choice(blocks)))
        return found

    def add_pod(self):
        node = self.rng.choice(self.workers())
        addresses = self.choose_addresses(node)
        if not addresses:
            return
        self.counter += 1
        pod = Pod(node, f"pod-{self.counter}", addresses)
        self.workloads[pod.pod] = pod
        steps = [pod.plug, lambda: self.write(pod.object())]
        self.rng.shuffle(steps)
        for step in steps:
            step()
        self.write_blocks_of(addresses)

    def remove_pod(self):
        pod = self.random_pod()
        if pod:
            self.drop_pod(pod)

    def random_pod(self):
        return self.rng.choice(list(self.workloads.values())) if self.workloads else None

    def drop_pod(self, pod):
        del self.workloads[pod.pod]
        steps = [pod.unplug, lambda: self.delete(pod.object())]
        self.rng.shuffle(steps)
        for step in steps:
            step()
        self.write_blocks_of(pod.addresses)

    def move_pod(self):
        """To another node, with its addresses."""
        pod = self.random_pod()
        others = [node for node in self.workers() if pod and node is not pod.node]
        if not others:
            return
        old = pod.object()
        pod.unplug()
        pod.node = self.rng.choice(others)
        pod.plug()
        self.write(pod.object())
        self.delete(old)
        self.write_blocks_of(pod.addresses)

    def renumber_pod(self):
        pod = self.random_pod()
        if not pod:
            return
        old, addresses = pod.addresses, self.choose_addresses(pod.node)
        if addresses:
            pod.addresses = addresses
            self.write(pod.object())
            self.write_blocks_of([*old, *addresses])

    def flap_interface(self):
        pod = self.random_pod()
        if pod:
            pod.node.ip(f"link set {pod.interface} down", f"link set {pod.interface} up")

    def add_block(self):
        self.new_block(self.rng.choice(self.workers()))

    def remove_block(self):
        blocks = [block for block in self.owners if self.owners[block]]
        if len(blocks) < 10:
            return
        block = self.rng.choice(blocks)
        self.delete(block_affinity(self.owners[block].name, block))
        self.owners[block] = None
        self.states.pop(block, None)
        if any(ipaddress.ip_address(address) in ipaddress.ip_network(block)
               for pod in self.workloads.values() for address in pod.addresses):
            self.write_block(block)  # nobody's now, but in use
        else:
            self.delete(ipam_block("", block, []))
            del self.owners[block]

    def move_block(self):
        """To another node; those of its pods that stay borrow from there on."""
        block = self.rng.choice(list(self.owners))
        if self.owners[block]:
            self.delete(block_affinity(self.owners[block].name, block))
        self.owners[block] = self.rng.choice(self.workers())
        self.states.pop(block, None)
        self.write_block(block)

    def change_state(self):
        block = self.rng.choice([block for block in self.owners if self.owners[block]])
        self.states[block] = self.rng.choice(["confirmed", "confirmed", "pending", "pendingDeletion"])
        self.write_block(block)

    def add_node(self, *_arguments, **_options):
        if len(self.workers()) > self.most_nodes:
            return
        self.files.mend()  # it has no last good version to fall back to
        node = self.new_node()
        self.forced.add(node.name)
        self.start_node(node)

    def start_node(self, node):
        node.start(wait=False)
        self.starting.append(node)

    def wait_read(self):
        """Those that are starting have read everything once, and so have a last good version of it."""
        for node in self.starting:
            if node in self.hosts:
                node.wait_up()
                wait_for(lambda node=node: node.show("status")["datastore"]["in_sync"], f"{node.name} has read the objects")
        self.starting.clear()

    def remove_node(self):
        if len(self.workers()) < self.most_nodes - 4:
            return
        node = self.victim()
        self.forced.add(node.name)
        for pod in [pod for pod in self.workloads.values() if pod.node is node]:
            self.drop_pod(pod)
        for block in [block for block, owner in self.owners.items() if owner is node]:
            self.delete(block_affinity(node.name, block))
            self.owners[block] = None
            self.states.pop(block, None)
            self.write_block(block)
        steps = [node.stop, lambda: self.delete(node_object(node.name, []))]
        self.rng.shuffle(steps)
        for step in steps:
            step()
        self.hosts.remove(node)
        node.delete()
        self.namespaces.remove(node)

    def restart_daemon(self):
        self.files.mend()
        node = self.rng.choice([node for node in self.victims if node in self.hosts] or self.nodes)
        self.forced.add(node.name)
        self.rng.choice([node.kill, node.terminate])()
        self.start_node(node)

    def reload_daemon(self):
        node = self.rng.choice(self.nodes)
        node.wait_up()
        node.configure({"bgp": {"keepalive_time": self.rng.choice([0, 20])},
                        "kernel": {"audit_interval": self.rng.choice([30, 60])}})
        node.reload()

    def relabel_node(self):
        node = self.rng.choice(self.workers())
        node.labels = {"rack": f"r{self.rng.randrange(4)}", "seen": str(self.counter)}
        self.write_node(node)

    def add_peer(self):
        """BGPPeers that change nothing for sessions there are: to nobody, or to nodes that are peers already."""
        self.counter += 1
        name = f"peer-{self.counter}"
        racks = self.rng.sample(range(4), 2)
        spec = self.rng.choice([
            {"peerIP": f"172.18.0.{self.rng.randrange(200, 250)}", "asNumber": 64999},
            {"nodeSelector": f"rack == 'r{racks[0]}'", "peerSelector": f"rack == 'r{racks[1]}'",
             "keepaliveTime": f"{self.rng.randrange(5, 30)}s"},
            {"nodeSelector": f"rack == 'r{racks[0]}'", "peerSelector": f"rack == 'r{racks[1]}'",
             "maxRestartTime": f"{self.rng.randrange(3, 6)}s"},
        ])
        if "peerSelector" in spec and not self.default["mesh"]:
            return
        self.extra_peers[name] = spec
        self.write(bgp_peer(name, **spec))

    def remove_peer(self):
        if self.extra_peers:
            name = self.rng.choice(list(self.extra_peers))
            spec = self.extra_peers.pop(name)
            self.delete(bgp_peer(name))
            for node in self.nodes:
                if node.ip4 == spec.get("peerIP"):
                    self.forced.add(frozenset([node.name, spec["node"]]))

    def change_export(self):
        cidr = self.rng.choice(POOLS[2:])
        self.pool_exports[cidr] = not self.pool_exports[cidr]
        self.write_pool(cidr)

    def change_priority(self):
        self.default[f"ipv{self.rng.choice([4, 6])}NormalRoutePriority"] = self.rng.choice([1024, 900, 2000])
        self.write_default()

    def change_harmless(self):
        self.default["logSeverityScreen"] = self.rng.choice(["Info", "Debug", "Warning"])
        self.default["nodeMeshMaxRestartTime"] = f"{self.rng.randrange(3, 6)}s"
        self.write_default()

    def rewrite(self):
        self.files.rewrite(self.random_key())

    def move_object(self):
        self.files.move(self.random_key())

    def spoil(self):
        self.wait_read()
        self.files.spoil(self.random_key())

    def add_bad_object(self):
        self.files.add_bad_to(self.random_key())

    def litter(self):
        self.files.litter()

    def random_key(self):
        return self.rng.choice(sorted(self.files.in_force))

    def vandalize(self):
        """Somebody deletes routes of ours."""
        node = self.rng.choice(self.workers())
        rows = [route for route in node.routes(self.rng.choice([4, 6])) if route.get("protocol") in OUR_PROTOCOL]
        for route in self.rng.sample(rows, min(len(rows), 3)):
            kind = route.get("type", "unicast")
            run(["ip", "-n", node.name, *(["-6"] if is6(route["dst"]) else []), "route", "del",
                 *([kind] if kind != "unicast" else []), route["dst"], "metric", route.get("metric", 0)], check=False)

    # What forces sessions to end

    def change_as(self):
        node = self.victim()
        before = node.as_number or self.default["as_number"]
        node.as_number = self.rng.choice([None, 64512, 64512, 64513, 4200000001])
        if before != (node.as_number or self.default["as_number"]):
            self.forced.add(node.name)
        self.write_node(node)

    def change_address(self):
        """Another IPv4 or IPv6 address: the new one is there first, or the old one goes first and takes all routes along."""
        node = self.victim()
        self.forced.add(node.name)
        self.counter += 1
        position = self.rng.randrange(2)
        old = node.addresses[position]
        new = f"fd00:18::1:{self.counter:x}/64" if position else f"172.18.0.{self.unused_host(100)}/24"
        node.addresses[position] = new
        steps = [lambda: node.ip(f"addr add {new} dev eth0{' nodad' if position else ''}"),
                 lambda: node.ip(f"addr del {old} dev eth0"), lambda: self.write_node(node)]
        self.rng.shuffle(steps)
        for step in steps:
            step()
        # The kernel drops what went through the old address's network with it; others' routes are others' to restore.
        gateway = node.segment.gateways[position].split("/")[0]
        node.ip(f"route replace default via {gateway} dev eth0")
        announce(node, new.split("/")[0])

    def unused_host(self, first):
        """The first host number of the segment that nobody has now; others may have had it before."""
        taken = {address for node in self.nodes for address in node.addresses}
        return next(number for number in range(first, 200)
                    if not {f"172.18.0.{number}/24", f"fd00:18::{number:x}/64"} & taken)

    def misconfigure_peer(self):
        """A BGPPeer with the wrong AS between two nodes of a mesh: their IPv4 session cannot be."""
        if not self.default["mesh"]:
            return
        one, two = self.victim(), self.rng.choice(self.workers())
        if one is two:
            return
        self.forced.add(frozenset([one.name, two.name]))
        self.counter += 1
        spec = {"node": one.name, "peerIP": two.ip4, "asNumber": 64777}
        self.extra_peers[f"peer-{self.counter}"] = spec
        self.write(bgp_peer(f"peer-{self.counter}", **spec))

    # Looking

    def machines(self):
        return {node.name: Machine([pod.interface for pod in self.workloads.values() if pod.node is node],
                                   node.config.get("kernel", {}).get("programming", True))
                for node in self.nodes}

    def expected(self):
        return Model(self.files.in_force.values(), self.machines()).tables()

    @staticmethod
    def actual(node):
        table = {}
        for route in node.routes():
            if route.get("protocol") in OUR_PROTOCOL:
                if route.get("type") == "blackhole":
                    what = "blackhole"
                elif "nexthops" in route:
                    what = frozenset(hop["gateway"] for hop in route["nexthops"])
                else:
                    what = frozenset([route["gateway"]]) if "gateway" in route else route["dev"]
                prefix = route["dst"] if "/" in route["dst"] else f"{route['dst']}/{128 if is6(route['dst']) else 32}"
                table[prefix, route.get("metric", 0)] = what
        return table

    def differences(self, expected, nodes):
        found = []
        for node in nodes:
            actual = self.actual(node)
            for key in sorted(set(actual) | set(expected.get(node.name, {}))):
                have, want = actual.get(key), expected.get(node.name, {}).get(key)
                if have != want:
                    found.append(f"{node.name}: {key[0]} metric {key[1]}: is {have}, should be {want}")
        return found

    def check_tables(self, when, timeout=40):
        for node in self.nodes:
            node.wait_up()
        expected = self.expected()
        wrong = list(self.nodes)
        routes = sum(map(len, expected.values()))
        started = time.monotonic()

        def all_right():
            wrong[:] = [node for node in wrong if self.differences(expected, [node])]
            return not wrong

        wait_for(all_right, lambda: f"the kernels as the model has them after {when} (seed {self.seed})\n" +
                 "\n".join(self.differences(expected, wrong)[:40]) + self.explain(expected, wrong), timeout)
        # All at the same time, and it stays so.
        assert not self.differences(expected, self.nodes)
        print(f"{when}: {len(self.nodes)} nodes, {routes} routes as computed, {time.monotonic() - started:.1f} s later")
        for node in self.nodes:
            foreign = [route for route in node.routes() if route.get("protocol") == "static"]
            assert len(foreign) == len(FOREIGN), f"{node.name}: others' routes were touched: {foreign}"

    def explain(self, expected, wrong):
        """What the daemons say of the first difference: at the node, and at the nodes that are or should be the gateways."""
        node = wrong[0]
        actual, wanted = self.actual(node), expected.get(node.name, {})
        key = next(key for key in sorted(set(actual) | set(wanted)) if actual.get(key) != wanted.get(key))
        gateways = [hop for what in (actual.get(key), wanted.get(key)) if isinstance(what, frozenset) for hop in what]
        others = [other for other in self.nodes if other is not node and
                  any(address.split("/")[0] in gateways for address in other.addresses)]
        address = key[0].split("/")[0]
        for each in self.nodes:
            (each.directory / "peers").write_text(each.calidris("-o", "json", "show", "peers"))
        return "".join(f"\n\n{each.name}:\n{each.calidris('explain', address)}{each.log_tail(15)}" for each in (node, *others))

    def sessions(self, earliest=False):
        """{(node, peer's address): when it came up at the latest, or at the earliest} of the established ones. An IPv6 session between two nodes ends when the
        IPv4 one has taken its place: once no start is going on, that is over."""
        for node in self.nodes:
            wait_for(lambda node=node: not node.show("status")["restart"]["in_progress"],
                     lambda node=node: f"{node.name}'s start ends: {node.show('status')['restart']}", 30)
        found = {}
        for node in self.nodes:
            asked = time.monotonic()
            peers = node.show("peers")["peers"]
            now = asked if earliest else time.monotonic()
            for peer in peers:
                if peer["state"] == "Established":
                    found[node.name, peer["address"]] = now - peer["since"]
        return found

    def check_sessions(self, before, when):
        """None of those that nothing forced to end has ended."""
        by_address = {address.split("/")[0]: node.name for node in self.nodes for address in node.addresses}
        after = self.sessions(earliest=True)
        reset = []
        kept = 0
        for (name, address), since in before.items():
            other = by_address.get(address)
            if other is None or self.forced & {"all", name, other, frozenset([name, other])}:
                continue
            kept += 1
            if after.get((name, address), time.monotonic()) > since + 0.5:
                reset.append(f"{name} with {other} ({address})")
        print(f"{when}: {kept} sessions nothing forced to end, {len(reset)} ended")
        if self.files.longest_gap > GONE:
            print(f"{when}: a file was away for {self.files.longest_gap:.2f} s, which is meant to end sessions")
            self.files.longest_gap = 0
            return
        assert not reset, f"sessions ended without need during {when} (seed {self.seed}):\n" + "\n".join(reset) + \
            self.endings(reset)

    def endings(self, reset):
        """What the daemon that most of them have in common says."""
        names = collections.Counter(name for text in reset for name in re.findall(r"(?:node|reflector)-\d+", text))
        node = next(node for node in self.nodes if node.name == names.most_common(1)[0][0])
        lines = [line for line in node.log_text().splitlines() if not re.search("Established|added for", line)]
        return f"\n{node.name}:\n" + "\n".join(lines[-60:])

    def check_size(self, before, when):
        """None is large, and those that ran all the time have not grown much; nor do they keep descriptors."""
        sizes = {node: node.resident() for node in self.nodes}
        grown = {node: sizes[node] - before[node.process.pid] for node in self.nodes if node.process.pid in before}
        print(f"{when}: {max(sizes.values())} KiB at most, up to {max(grown.values())} more than before")
        for node in self.nodes:
            assert sizes[node] < RESIDENT, f"{node.name}: {sizes[node]} KiB\n{node.calidris('show', 'memory')}"
            assert grown.get(node, 0) < GROWTH, f"{node.name}: grown by {grown[node]} KiB\n{node.calidris('show', 'memory')}"
            peers = len(node.show("peers")["peers"])
            files = len(os.listdir(f"/proc/{node.process.pid}/fd"))
            assert files < peers + 20, f"{node.name}: {files} descriptors for {peers} peers"

    # Running

    def storm(self, events, seconds, pace):
        """Random events until the time is over; at their own pace, so that there are bursts and pauses."""
        names, weights = zip(*events.items())
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            name = self.rng.choices(names, weights)[0]
            self.tally[name] += 1
            getattr(self, name)()
            if self.rng.random() < 0.3:
                time.sleep(self.rng.random() * pace)


CALM = {
    "add_pod": 12, "remove_pod": 9, "move_pod": 6, "renumber_pod": 3, "flap_interface": 3, "add_block": 4,
    "remove_block": 3, "move_block": 3, "change_state": 3, "add_node": 1, "remove_node": 1, "restart_daemon": 2,
    "reload_daemon": 2, "relabel_node": 2, "add_peer": 3, "remove_peer": 2, "change_export": 1, "change_priority": 1,
    "change_harmless": 1, "rewrite": 6, "move_object": 3, "spoil": 2, "add_bad_object": 2, "litter": 2, "vandalize": 2,
}
FORCING = {**CALM, "change_as": 4, "change_address": 4, "misconfigure_peer": 2}


def seed_of_run():
    return int(os.environ.get("CALIDRIS_SEED", 0)) or random.SystemRandom().randrange(1, 10 ** 6)


@pytest.fixture
def changing(new_cluster):
    def make(nodes, reflectors=0, seed=None, **options):
        cluster = new_cluster(seed, kind=Changing, **options)
        cluster.seed, cluster.most_nodes = seed, nodes
        print(f"seed {seed}")
        cluster.populate(nodes, reflectors)
        return cluster

    return make


def churn(cluster, rounds):
    """rounds: (what it is called, events, seconds, what happens first)"""
    cluster.start()
    cluster.check_tables("the start", 60)
    for when, events, seconds, first in rounds:
        cluster.choose_victims()
        before = cluster.sessions()
        sizes = {node.process.pid: node.resident() for node in cluster.nodes}
        first(cluster)
        cluster.storm(events, SECONDS or seconds, 0.1)
        cluster.check_tables(when)
        cluster.check_sessions(before, when)
        cluster.check_size(sizes, when)
    print("events:", ", ".join(f"{count} {name}" for name, count in sorted(cluster.tally.items())))


def nothing(_cluster):
    pass


def mesh_off(cluster):
    cluster.forced.add("all")
    cluster.default["mesh"] = False
    cluster.write_default()


def mesh_on(cluster):
    cluster.forced.add("all")
    cluster.default["mesh"] = True
    cluster.write_default()


def other_as(cluster):
    cluster.forced.add("all")
    cluster.default["as_number"] = 64600
    cluster.write_default()


def usual_as(cluster):
    cluster.forced.add("all")
    cluster.default["as_number"] = 64512
    cluster.write_default()


def test_mesh(changing):
    """30 nodes that all know each other."""
    cluster = changing(30, seed=seed_of_run())
    churn(cluster, [
        ("calm changes", CALM, 14, nothing),
        ("changes that force resets", FORCING, 12, nothing),
        ("no mesh", CALM, 4, mesh_off),
        ("a mesh again", CALM, 4, mesh_on),
        ("another AS", CALM, 4, other_as),
        ("the usual AS", CALM, 4, usual_as),
    ])


def test_reflectors(changing):
    """Two route reflectors of clusters of their own, no mesh."""
    cluster = changing(10, reflectors=2, seed=seed_of_run(), mesh=False)
    churn(cluster, [
        ("calm changes", CALM, 8, nothing),
        ("changes that force resets", FORCING, 7, nothing),
    ])
