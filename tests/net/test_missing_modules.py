"""On a kernel without IP-in-IP, VXLAN and IPv6 the daemon says what is missing and who waits for it, and all else works."""

import os
from pathlib import Path

import pytest

from harness import wait_for
from objects import ip_pool, node_object

KERNEL = "uml"
MODULES = "veth bridge"

MODES = {"plain": {}, "tunnelled": {"ipipMode": "Always"}, "spread": {"vxlanMode": "Always"}}
CIDR = {"plain": "10.244.0.0/16", "tunnelled": "10.245.0.0/16", "spread": "10.246.0.0/16"}
# What each missing module makes impossible, as it is told.
MISSING = {"tunl0: making the device: Operation not supported: the kernel has no module ipip; routes through it wait "
           "(IPPool tunnelled)",
           "vxlan.calico: making the device: Operation not supported: the kernel has no module vxlan; routes through it wait "
           "(IPPool spread)",
           "vxlan-v6.calico: making the device: Operation not supported: the kernel has no module vxlan; routes through it "
           "wait (IPPool six)",
           "the kernel has no IPv6: no module ipv6, or ipv6.disable=1: IPv6 routes wait for it, show kernel lists them"}
# Nodes and what each route of theirs waits for.
WAITS = {"10.245.": "tunl0: no such interface", "10.246.": "vxlan.calico: no such interface",
         "fd00:10:244:": "vxlan-v6.calico: no such interface"}


@pytest.fixture
def cluster(new_cluster):
    """Three nodes with a block in each of three pools; their objects have IPv6, too."""
    cluster = new_cluster(families=(4,), pools=False)
    for name, modes in MODES.items():
        cluster.write(ip_pool(CIDR[name], name=name, **modes))
    cluster.write(ip_pool("fd00:10:244::/48", name="six", vxlanMode="Always"))
    for index in (1, 2, 3):
        blocks = [cidr.replace("0.0/16", f"{index}.0/26") for cidr in CIDR.values()] + [f"fd00:10:244:{index}::/122"]
        node = cluster.add_node(f"node-{index}", blocks=blocks)
        thing = node_object(node.name, [*node.addresses, f"fd00:18::{index}/64"], ipv4VXLANTunnelAddr=f"10.246.{index}.63",
                            ipv6VXLANTunnelAddr=f"fd00:10:244:{index}::3f")
        thing["spec"]["bgp"]["ipv4IPIPTunnelAddr"] = f"10.245.{index}.63"
        cluster.write(thing)
        node.add_pod(f"pod-{index}", [f"10.244.{index}.1"])
    cluster.start()
    return cluster


def problems(node):
    return set(node.show("problems")["problems"])


def test_what_is_missing_is_told_and_the_rest_works(cluster):
    for node in cluster.nodes:
        wait_for(lambda n=node: problems(n) >= MISSING, lambda n=node: "\n".join(problems(n)) + n.log_tail(60))
        for text in MISSING:
            assert text in node.log_text()
    one, two = cluster.nodes[:2]
    cluster.wait_local()
    for node in cluster.nodes:
        wait_for(lambda n=node: n.show("status")["peers"]["up"] == 2, lambda n=node: n.calidris("show", "peers"))
        for other in cluster.nodes:
            if other is not node:
                wait_for(lambda n=node, o=other: n.route(o.blocks[0]), "plain routes")
    # Nothing else is wrong but that these routes wait, each with its reason.
    for node in cluster.nodes:
        assert all(text.startswith("kernel: ") for text in problems(node) - MISSING), problems(node)
        for row in node.show("kernel")["kernel"]:
            reason = next((text for begin, text in WAITS.items() if row["prefix"].startswith(begin)), None)
            if reason and row["class"] != "block":
                assert row["state"] == "unresolved" and reason in row["reason"], row
            elif ":" in row["prefix"]:
                assert row["state"] == "failed" and "not supported" in row["reason"], row
            else:
                assert row["state"] == "installed", row
    cluster.assert_all_ping()
    # Under traffic: what is missing is tried again and again, and costs nobody a packet.
    ping = cluster.pods[0].start_ping(cluster.pods[2].ip4, 0.01)
    ping.wait_received(150)
    # The modules come: nobody has to start anything anew.
    Path("/proc/sys/kernel/modprobe").write_text(os.environ["CALIDRIS_UML_MODPROBE"])
    for node in (one, two):
        other = two if node is one else one
        wait_for(lambda n=node, o=other: (n.route(o.blocks[1]) or {}).get("dev") == "tunl0",
                 lambda n=node: n.calidris("show", "kernel"), 60)
        wait_for(lambda n=node, o=other: (n.route(o.blocks[2]) or {}).get("dev") == "vxlan.calico",
                 lambda n=node: n.calidris("show", "kernel"), 60)
        assert not any("module ipip" in text or "vxlan.calico:" in text for text in problems(node)), problems(node)
    ping.stop()
    assert ping.lost == 0
