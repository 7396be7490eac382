"""A cluster to look at: three nodes and a route reflector in network namespaces, two pods a node, real BGP, real routes.

usage: demo.py [--build DIR] [--keep]
"""

import argparse
import os
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/net")]
import harness  # noqa: E402 (needs the path)
import ns  # noqa: E402

TERMINAL = sys.stdout.isatty()


class Demo(harness.Cluster):
    """A cluster whose daemons may outlive the program that started them."""

    keep = False

    def popen(self, command, **arguments):
        if not self.keep:
            return super().popen(command, **arguments)
        process = harness.subprocess.Popen([str(word) for word in command], stdin=harness.subprocess.DEVNULL, **arguments)
        self.processes.append(process)
        return process


def title(text):
    print(f"\n\033[1m{text}\033[0m" if TERMINAL else f"\n== {text}", flush=True)


def progress(text, end=False):
    """One line that is written over on a terminal; elsewhere only its last state is printed."""
    if TERMINAL:
        print(f"\r\033[K{text}", end="\n" if end else "", flush=True)
    elif end:
        print(text, flush=True)


def wait(what, state, total, timeout=60):
    """Shows how much of it is there until it all is; returns the seconds it took."""
    began = time.monotonic()
    while True:
        there, took = state(), time.monotonic() - began
        progress(f"{what}: {there} of {total}, {took:.2f} s", end=there == total)
        if there == total:
            return took
        if took > timeout:
            print()
            raise harness.Timeout(f"{what}: only {there} of {total} after {timeout} s")
        time.sleep(0.02)


def workers(cluster):
    return [node for node in cluster.nodes if node.blocks]


def build(cluster):
    cluster.add_reflector("reflector")
    for number in (1, 2, 3):
        node = cluster.add_node(f"node-{number}")
        for letter in "ab":
            node.add_pod(f"pod-{number}{letter}")


def converge(cluster):
    total = sum(len(other.blocks) for node in workers(cluster) for other in workers(cluster) if other is not node)
    wait("routes to the other nodes' blocks", lambda: total - len(cluster.missing_routes()), total)
    pods = sum(len(pod.addresses) for pod in cluster.pods)
    wait("routes to local pods", lambda: sum(bool(pod.node.route(address)) for pod in cluster.pods
                                             for address in pod.addresses), pods)


def show(cluster):
    for node in cluster.nodes:
        title(f"{node.name}: calidris show peers")
        print(node.calidris("show", "peers"), end="")
    for node in cluster.nodes:
        title(f"{node.name}: ip route; ip -6 route")
        print(node.run("ip", "route"), end="")
        print("".join(line for line in node.run("ip", "-6", "route").splitlines(True) if not line.startswith("fe80:")), end="")


def matrix(cluster):
    pods = cluster.pods
    for family in cluster.families:
        answered = cluster.ping_matrix(family)
        title(f"IPv{family}: every pod pings every pod")
        print(" " * 8 + "  ".join(f"{pod.pod:>6}" for pod in pods))
        for source in pods:
            print(f"{source.pod:<8}" + "  ".join(f"{'ok' if answered[source, target] else 'LOST':>6}" for target in pods))
        if not all(answered.values()):
            raise AssertionError("some pods do not answer")


def live_pod(cluster):
    title("A pod is added to node-3 while everything runs; node-1's pod pings it")
    source, node = workers(cluster)[0].pods[0], workers(cluster)[-1]
    pod = node.add_pod("pod-live", publish=False)
    began = time.monotonic()
    pod.publish()
    wait_seconds = 10
    while not source.pings(pod.ip4, timeout=0.05):
        if time.monotonic() - began > wait_seconds:
            raise harness.Timeout(f"pod-live does not answer after {wait_seconds} s")
    took = time.monotonic() - began
    print(f"{pod.ip4} answers {1000 * took:.0f} ms after its object was written (the ping itself included)")
    print(node.calidris("explain", pod.ip4), end="")


def node_leaves(cluster):
    title("node-2 leaves the cluster: its routes go from the others")
    node = workers(cluster)[1]
    blocks, rest = list(node.blocks), [other for other in workers(cluster) if other is not node]
    cluster.remove(node)
    total = len(blocks) * len(rest)
    wait("routes removed", lambda: sum(not other.route(block) for block in blocks for other in rest), total)
    for other in rest:
        print(f"{other.name}: " + (other.run("ip", "route", "show", "proto", "bgp").replace("\n", "\n        ").strip()))


def keep_text(cluster):
    pid = os.environ["CALIDRIS_NS_PID"]
    user = "" if os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split()[2] != "1" else "-U --preserve-credentials "
    node = workers(cluster)[0]
    title("The cluster stays up")
    print(f"a shell inside:   nsenter -t {pid} {user}-m -n -p\n"
          f"then, on a node:  ip netns exec {node.name} ip route\n"
          f"                  {harness.programs() / 'calidris'} -s {node.socket} show status\n"
          f"in a pod:         ip netns exec pod-pod-1a ping {workers(cluster)[-1].pods[0].ip4}\n"
          f"objects to edit:  {cluster.objects} (in there)\n"
          f"to end it all:    kill {pid}")


def run(options):
    os.environ["CALIDRIS_BUILD"] = str(Path(options.build).resolve())
    ns.enter()
    Demo.keep = options.keep
    cluster = Demo(mesh=False)
    try:
        title("Three nodes and a route reflector, each in a network namespace, two pods a node")
        build(cluster)
        cluster.start()
        converge(cluster)
        show(cluster)
        matrix(cluster)
        live_pod(cluster)
        node_leaves(cluster)
        if options.keep:
            keep_text(cluster)
            sys.stdout.flush()
            os._exit(ns.KEEP)
    except AssertionError as error:
        for host in cluster.hosts:
            for name, text in host.logs().items():
                print(f"\n-- {host.name}: {name}\n" + "\n".join(text.splitlines()[-15:]), file=sys.stderr)
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        cluster.close()
    print("\nDone; everything is cleaned up.")


def main():
    parser = argparse.ArgumentParser(description="A cluster to look at.")
    parser.add_argument("--build", default="build")
    parser.add_argument("--keep", action="store_true")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
