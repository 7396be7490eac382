"""A cluster to look at: three nodes and a route reflector in network namespaces, two pods a node, real BGP, real routes.

usage: demo.py [--build DIR] [--keep] [--ipip]

With --ipip the pools are IP-in-IP, and all of it runs on a kernel of its own (tests/uml.py): the host's may not have it.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/net")]
import capture  # noqa: E402 (needs the path)
import harness  # noqa: E402
import ns  # noqa: E402
import objects  # noqa: E402
import uml  # noqa: E402

# Inside a kernel of its own everything is a terminal: whether somebody looks is said from outside.
INSIDE, PLAIN = "CALIDRIS_DEMO_INSIDE", "CALIDRIS_DEMO_PLAIN"
TERMINAL = sys.stdout.isatty() and PLAIN not in os.environ


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


def tunnel_address(node):
    return node.blocks[0].replace("0/26", "63")


def build(cluster, ipip):
    if ipip:
        cluster.write(objects.ip_pool(harness.POOL4, ipipMode="Always"))
    cluster.add_reflector("reflector")
    for number in (1, 2, 3):
        node = cluster.add_node(f"node-{number}")
        if ipip:
            thing = objects.node_object(node.name, node.addresses)
            thing["spec"]["bgp"]["ipv4IPIPTunnelAddr"] = tunnel_address(node)
            cluster.write(thing)
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


def show_tunnel(cluster):
    node, far = workers(cluster)[0], workers(cluster)[-1]
    source, target = node.pods[0], far.pods[0]
    title(f"{node.name}: tunl0")
    print(node.run("ip", "-br", "addr", "show", "dev", "tunl0"), end="")
    print("".join(line for line in node.run("ip", "route").splitlines(True) if " dev tunl0 " in line), end="")
    title(f"{source.pod} pings {target.pod} once; what passes {node.name}'s interfaces")
    with capture.capture(node, "tunl0") as inner, capture.capture(node, "eth0") as outer:
        source.run("ping", "-n", "-c", 1, "-W", 2, target.ip4)
        pairs = {source.ip4, target.ip4}, {node.ip4, far.ip4}
        for device, packets, ends in (("tunl0", inner(), pairs[0]), ("eth0", outer(), pairs[1])):
            found = [packet for packet in packets if set(capture.addresses_of(packet)) == ends and
                     capture.protocol_of(packet) in (1, capture.IPIP)]
            if not found:
                raise AssertionError(f"nothing of it passes {device}")
            for packet in found:
                print(f"{device:<6} {capture.describe(packet)}")


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
        title("Three nodes and a route reflector, each in a network namespace, two pods a node" +
              (", IP-in-IP between them" if options.ipip else ""))
        build(cluster, options.ipip)
        cluster.start()
        converge(cluster)
        show(cluster)
        matrix(cluster)
        if options.ipip:
            show_tunnel(cluster)
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


def run_in_kernel(options):
    """This program once more, on a kernel that has IP-in-IP. It ends with us, whatever happens."""
    if options.keep:
        sys.exit("demo: KEEP=1 and IPIP=1 do not go together: the kernel of the demo ends with it")
    os.environ[INSIDE] = "1"
    if not TERMINAL:
        os.environ[PLAIN] = "1"
    title("Booting a kernel that has IP-in-IP (user-mode Linux, without privilege)")
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    try:
        status, text = uml.run([sys.executable, "-B", *sys.argv], live=sys.stdout)
    except uml.Unavailable as unavailable:
        sys.exit(f"demo: {unavailable}")
    except KeyboardInterrupt:
        sys.exit(130)
    if status is None:
        sys.exit(f"demo: {text}")
    sys.exit(status)


def main():
    parser = argparse.ArgumentParser(description="A cluster to look at.")
    parser.add_argument("--build", default="build")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--ipip", action="store_true")
    options = parser.parse_args()
    if options.ipip and INSIDE not in os.environ:
        run_in_kernel(options)
    run(options)


if __name__ == "__main__":
    main()
