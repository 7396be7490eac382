"""What a node costs: a hundred peers in less than 4 MB, and next to no time while nothing happens."""

import os
import time
from pathlib import Path

import pytest

from harness import Host, wait_for
from objects import node_object
from speaker import Speaker, update

PEERS = 100


@pytest.fixture
def busy_node(new_cluster):
    """A node whose hundred mesh peers, all on one host, announce a block each."""
    cluster = new_cluster(families=(4,))
    segment = cluster.segment("lan", ["172.18.255.254/16"])
    # The highest address as a string dials everybody.
    node = cluster.add_node("node-1", segment=segment, addresses=["172.18.9.9/16"], blocks=["10.244.255.0/26"])
    addresses = [f"172.18.1.{number + 1}" for number in range(PEERS)]
    others = cluster.add_host(Host, "others", segment=segment, addresses=[f"{address}/16" for address in addresses],
                              blocks=[], publish=False)
    cluster.write(*(node_object(f"peer-{number}", [f"{address}/16"]) for number, address in enumerate(addresses)))
    for _ in range(3):
        node.add_pod(f"pod-{_}")
    with Speaker(others) as speaker:
        for number, address in enumerate(addresses):
            block = f"10.244.{number}.0/26"
            speaker.add(address, 64512, families=(4,), restart_time=120, updates=[update([block], address)])
        node.start()
        wait_for(lambda: node.show("status")["peers"]["up"] == PEERS, lambda: node.calidris("show", "peers"), 30)
        wait_for(lambda: node.show("status")["kernel"]["installed"] >= PEERS + 4, lambda: node.calidris("show", "status"))
        yield node


def ticks(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_resident_memory_with_100_peers(busy_node):
    assert len([route for route in busy_node.routes(4) if route.get("protocol") == "bgp"]) == PEERS + 4
    print(f"resident with {PEERS} peers: {busy_node.resident()} KiB")
    assert busy_node.resident() < 4 * 1000


def test_idle_costs_nothing(busy_node):
    before, began = ticks(busy_node.process), time.monotonic()
    # Nothing to wait for: this is about what happens when nothing does.
    time.sleep(3)
    spent = (ticks(busy_node.process) - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)
    assert spent < 0.01, f"{100 * spent:.1f} % of a processor"


def test_descriptors(busy_node):
    """One a session, and a handful of its own."""
    assert len(os.listdir(f"/proc/{busy_node.process.pid}/fd")) <= PEERS + 20
