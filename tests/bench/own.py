"""What only this daemon does, so that nobody stands beside it: from objects to routes, from a death to the last route, starts
beside routes that are there, changes among many objects.

usage: own.py [--only PATTERN] [--results FILE]      (part of make bench)"""

import argparse
import collections
import ipaddress
import itertools
import json
import re
import socket
import statistics
import struct
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/net"), str(TOP / "tests/bench")]
import ns  # noqa: E402 (needs the path)
from harness import Cluster, Host, interface_name  # noqa: E402
from netns import wait_for  # noqa: E402
from objects import bgp_peer, block_affinity, ip_pool, node_object, to_yaml, workload_endpoint  # noqa: E402
from speaker import Speaker, nlri, update  # noqa: E402

RTM_NEWROUTE, RTM_DELROUTE, SO_RCVBUFFORCE = 24, 25, 33
RTMGRP_ROUTES = 0x40 | 0x400  # IPv4 and IPv6


class Kernel:
    """The changes of a namespace's routes, as netlink tells them: (when, new or gone, prefix)."""

    def __init__(self, namespace):
        with namespace.inside():
            self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.bind((0, RTMGRP_ROUTES))
        self.socket.settimeout(30)

    def read(self):
        """The next datagram's changes."""
        octets, now, at, found = self.socket.recv(1 << 16), time.monotonic(), 0, []
        while at + 16 <= len(octets):
            length, kind = struct.unpack_from("=IH", octets, at)
            family, bits = octets[at + 16], octets[at + 17]
            if kind in (RTM_NEWROUTE, RTM_DELROUTE) and family in (socket.AF_INET, socket.AF_INET6):
                found.append((now, kind, self.destination(octets[at + 28:at + length], family, bits)))
            at += (length + 3) & ~3
        return found

    @staticmethod
    def destination(attributes, family, bits):
        at = 0
        while at + 4 <= len(attributes):
            length, kind = struct.unpack_from("=HH", attributes, at)
            if kind == 1:
                return f"{socket.inet_ntop(family, attributes[at + 4:at + length])}/{bits}"
            at += (length + 3) & ~3
        return "default"

    def wait(self, kind, prefixes):
        """When the last of these came (or went)."""
        missing, when = set(prefixes), 0
        while missing:
            for now, what, prefix in self.read():
                if what == kind and prefix in missing:
                    missing.discard(prefix)
                    when = now
        return when

    def quiet(self):
        """What is waiting to be read is not wanted."""
        self.socket.settimeout(0.2)
        count = collections.Counter()
        try:
            while True:
                count.update(kind for _now, kind, _prefix in self.read())
        except TimeoutError:
            self.socket.settimeout(30)
        return count


def middle(times):
    ordered = sorted(times)
    return {"p50": statistics.median(ordered), "p99": ordered[len(ordered) * 99 // 100], "of": len(ordered)}


def pods(node, first, count):
    """Veths for so many pods, all in place: (pod's name, interface, address)."""
    rows = [(f"pod-{index}", interface_name(f"pod-{index}"), str(ipaddress.ip_address("10.244.128.0") + index))
            for index in range(first, first + count)]
    node.ip(*(line for _pod, interface, _address in rows
              for line in (f"link add {interface} type veth peer name p{interface[4:]}", f"link set {interface} up",
                           f"link set p{interface[4:]} up")))
    return rows


def place(cluster, things):
    """Objects' files, ready to be renamed into place: [(from, to)]."""
    moves = []
    for thing in things:
        path = cluster.file_of(thing)
        hidden = path.with_name(f".{path.name}")
        hidden.write_text(to_yaml(thing))
        moves.append((hidden, path))
    return moves


def appear():
    """A workload's object appears: until its route is in the kernel."""
    with Cluster(mesh=False, families=(4,)) as cluster:
        node = cluster.add_node("node-1")
        node.start()
        cluster.wait_converged()
        kernel, times = Kernel(node), []
        singles, crowd = pods(node, 0, 200), pods(node, 1000, 500)
        moves = place(cluster, [workload_endpoint("node-1", *row[:2], [row[2]]) for row in singles + crowd])
        kernel.quiet()
        for (hidden, path), (_pod, _interface, address) in zip(moves, singles):
            began = time.monotonic()
            hidden.rename(path)
            times.append(kernel.wait(RTM_NEWROUTE, [f"{address}/32"]) - began)
        began = time.monotonic()
        for hidden, path in moves[len(singles):]:
            hidden.rename(path)
        last = kernel.wait(RTM_NEWROUTE, [f"{row[2]}/32" for row in crowd]) - began
        return {"one workload's object to its route, s": middle(times), "500 at once to the last route, s": last}


def peer_host(cluster, *more):
    """A machine of scripted peers, with these addresses besides its own."""
    host = cluster.add_host(Host, "peers", blocks=[])
    host.ip(*(f"addr add {address}/24 dev eth0" for address in more))
    return host


def announce():
    """A block becomes this node's: until a peer has heard of it."""
    with Cluster(mesh=False, families=(4,)) as cluster:
        node, host = cluster.add_node("node-1"), peer_host(cluster)
        cluster.write(bgp_peer("peer", node="node-1", peerIP=host.ip4, asNumber=64512))
        with Speaker(host) as speaker:
            peer, times = speaker.add(host.ip4, 64512, keep=True, families=(4,)), []
            node.start()
            wait_for(lambda: speaker.established() == 1, "the session")
            for index in range(200):
                block = f"10.244.{32 + index // 4}.{index % 4 * 64}/26"
                (hidden, path), = place(cluster, [block_affinity("node-1", block)])
                before = len(peer.updates)
                began = time.monotonic()
                hidden.rename(path)
                while not any(nlri(block) in body for body in peer.updates[before:]):
                    if time.monotonic() > began + 30:
                        raise AssertionError(f"{block} was not announced")
                    time.sleep(0.0001)  # the resolution of what is measured
                times.append(time.monotonic() - began)
        return {"a block's object until a peer has heard of it, s": middle(times)}


def dead_peer():
    """A peer's connection ends: until the last of its 10,000 routes is gone, and until it has left 10,000 ECMP groups."""
    prefixes = [str(network) for network in itertools.islice(ipaddress.ip_network("16.0.0.0/8").subnets(new_prefix=26), 10000)]
    result = {}
    for what, count, kind in (("the last one is gone", 1, RTM_DELROUTE), ("the last has one gateway less", 2, RTM_NEWROUTE)):
        with Cluster(mesh=False, families=(4,)) as cluster:
            node, host = cluster.add_node("node-1", config={"bgp": {"max_paths": 2}}), peer_host(cluster, "172.18.0.77")
            addresses = [host.ip4, "172.18.0.77"][:count]
            with Speaker(host) as speaker:
                for address in addresses:
                    speaker.add(address, 64512, families=(4,), updates=[update(prefixes[at:at + 700], address)
                                                                        for at in range(0, len(prefixes), 700)])
                    cluster.write(bgp_peer(f"peer-{address}", node="node-1", peerIP=address, asNumber=64512))
                node.start()
                wait_for(lambda: sum(row["received"] for row in node.show("peers")["peers"]) == count * len(prefixes) and
                         node.show("status")["kernel"]["installed"] >= len(prefixes), "all routes", 60)
                kernel = Kernel(node)
                wait_for(lambda: not kernel.quiet(), "quiet")
                began = time.monotonic()
                speaker.leave(speaker.peers[addresses[-1]])
                result[f"a peer of 10,000 routes ends, until {what}, s"] = kernel.wait(kind, prefixes) - began
    return result


def adopted():
    """A start beside 20,000 routes of the process before."""
    prefixes = [str(network) for network in itertools.islice(ipaddress.ip_network("16.0.0.0/8").subnets(new_prefix=26), 20000)]
    with Cluster(mesh=False, families=(4,)) as cluster:
        node, host = cluster.add_node("node-1"), peer_host(cluster)
        cluster.write(bgp_peer("peer", node="node-1", peerIP=host.ip4, asNumber=64512, maxRestartTime="120s"))
        with Speaker(host) as speaker:
            speaker.add(host.ip4, 64512, families=(4,), restart_time=120,
                        updates=[update(prefixes[at:at + 700], host.ip4) for at in range(0, len(prefixes), 700)])
            node.start()
            wait_for(lambda: node.show("status")["kernel"]["installed"] >= len(prefixes), "all routes", 60)
            node.kill()
            kernel = Kernel(node)
            kernel.quiet()
            began = time.monotonic()
            node.start()
            wait_for(lambda: sum(row["received"] for row in node.show("peers")["peers"]) == len(prefixes) and
                     not node.show("status")["restart"]["in_progress"] and
                     node.show("status")["kernel"]["installed"] >= len(prefixes), "in sync again", 60)
            took, seen = time.monotonic() - began, kernel.quiet()
            return {"a start beside 20,000 adopted routes, until in sync, s": took,
                    "routes written or removed meanwhile": seen[RTM_NEWROUTE] + seen[RTM_DELROUTE]}


def cpu(node):
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{node.process.pid}/task").glob("*/schedstat")) / 1e9


def settled(node):
    """Until it rests; the CPU time used so far."""
    while True:
        before = cpu(node)
        time.sleep(0.4)  # longer than anything waits before it acts; what is measured is the CPU time meanwhile
        if cpu(node) - before < 0.0005:
            return cpu(node)


def changes(factor=1.0):
    """One object of many changes: CPU until all is settled."""
    nodes, blocks, peers = int(5000 * factor), int(20000 * factor), int(2500 * factor)

    def address(index, network="10.1.0.0"):
        return str(ipaddress.ip_address(network) + index)

    def machine(index, **more):
        return node_object(f"n{index}", [f"{address(index + 1)}/16"], labels={"rack": f"r{index % 100}", **more})

    with Cluster(mesh=False, families=(4,), pools=False) as cluster:
        node = cluster.add_node("node-1", config={"node": {"name": "n1"}, "log": {"level": "info"}}, publish=False)
        cluster.write(ip_pool("16.0.0.0/6"), *map(machine, range(nodes)),
                      *(block_affinity(f"n{index % nodes}", f"{address(64 * index, '16.0.0.0')}/26") for index in range(blocks)),
                      *(bgp_peer(f"p{index}", nodeSelector=f"rack == 'r{index % 100}'", peerIP=address(index + 1, "10.2.0.0"),
                                 asNumber=65000 + index % 100) for index in range(peers)))
        began = time.monotonic()
        node.start()
        wait_for(lambda: node.show("status")["datastore"]["in_sync"], "in sync", 120)
        took, start_cpu = time.monotonic() - began, settled(node)
        row = f"{nodes:,} nodes, {blocks:,} blocks, {peers:,} BGPPeers: "
        result = {row + "until in sync, s": took, row + "CPU for it, s": start_cpu, row + "resident, MB": node.resident() / 1024}
        for what, thing in (("another node's label", lambda i: machine(77, x=f"v{i}")),
                            ("a block moves between other nodes", lambda i: block_affinity(f"n{200 + i}", f"{address(0, '16.0.200.0')}/26")),
                            ("another node's BGPPeer", lambda i: bgp_peer("p5", nodeSelector="rack == 'r5'", peerIP=address(6, "10.2.0.0"),
                                                                          asNumber=64000 + i)),
                            ("a BGPPeer of this node", lambda i: bgp_peer("p1", nodeSelector="rack == 'r1'", peerIP=address(2, "10.2.0.0"),
                                                                          asNumber=64000 + i))):
            spent = []
            for index in range(5):
                before = settled(node)
                cluster.write(thing(index))
                time.sleep(0.1)  # the event is on its way; settled() waits for what it causes
                spent.append(settled(node) - before)
            result[row + f"{what}, CPU, s"] = min(spent)
        return result


MEASURED = {"appear": appear, "announce": announce, "dead-peer": dead_peer, "adopted": adopted, "changes": changes,
            "changes-eighth": lambda: changes(0.125)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--results", type=Path, default=TOP / "build/bench-own.json")
    options = parser.parse_args()
    ns.enter()
    record = {}
    for name, measure in MEASURED.items():
        if not re.search(options.only, name):
            continue
        record[name] = measure()
        for what, value in record[name].items():
            value = ", ".join(f"{key} {number:.5g}" for key, number in value.items()) if isinstance(value, dict) else f"{value:.5g}"
            print(f"  {what}: {value}", flush=True)
        options.results.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
