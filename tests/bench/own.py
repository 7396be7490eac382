"""What only this daemon does, so that nobody stands beside it: from objects to routes, from a death to the last route, starts
beside routes that are there, changes among many objects.

usage: own.py [--only PATTERN] [--results FILE]      (part of make bench)"""

import argparse
import ipaddress
import itertools
import json
import re
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/net"), str(TOP / "tests/bench")]
import ns  # noqa: E402 (needs the path)
from changes import changes  # noqa: E402
from harness import Cluster, Host, interface_name  # noqa: E402
from measure import RTM_DELROUTE, RTM_NEWROUTE, Kernel, middle  # noqa: E402
from netns import wait_for  # noqa: E402
from objects import bgp_peer, block_affinity, to_yaml, workload_endpoint  # noqa: E402
from speaker import Speaker, nlri, update  # noqa: E402

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
        for row in record[name] if isinstance(record[name], list) else ():
            print("  " + ", ".join(f"{key} {value:.5g}" if isinstance(value, float) else f"{key} {value:,}" if key != "what"
                                   else value for key, value in row.items()), flush=True)
        for what, value in record[name].items() if isinstance(record[name], dict) else ():
            value = ", ".join(f"{key} {number:.5g}" for key, number in value.items()) if isinstance(value, dict) else f"{value:.5g}"
            print(f"  {what}: {value}", flush=True)
        options.results.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
