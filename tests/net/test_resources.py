"""What a node costs: with 100 peers less than 4 MB, and next to no time while nothing happens; and how it lives with few
descriptors."""

import os
import re
import time

import pytest

from harness import Host, programs
from netns import is6, wait_for
from objects import block_affinity, ipam_block, node_object
from speaker import Speaker, update
from test_restart import sessions, wait_settled

PEERS = 100
# KiB, and 4 MB is the promise. Of both families it is 200 sessions, half of them held back, and 500 objects.
RESIDENT = {(4,): 4096, (4, 6): 4900}


def cpu_seconds(node):
    with open(f"/proc/{node.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(node):
    return len(os.listdir(f"/proc/{node.process.pid}/fd"))


class Crowd:
    """A node in a mesh with 100 others, which are one scripted speaker: each with its Node object, a block of each family
    and a session for all families."""

    def __init__(self, cluster, speaker, host):
        self.cluster, self.speaker, self.host = cluster, speaker, host
        self.node = cluster.add_node("node-1", config={"log": {"level": "info"}})
        for number in range(10):
            self.node.add_pod(f"pod-{number}")
        self.blocks = []
        host.ip(*(f"addr add {address} dev eth0{' nodad' if is6(address) else ''}"
                  for number in range(PEERS) for address in self.addresses(number)))
        for number in range(PEERS):
            self.add_peer(number)

    def of_families(self, four, six):
        return [text for text in (four, six) if (6 if is6(text) else 4) in self.cluster.families]

    def addresses(self, number):
        return self.of_families(f"172.18.0.{100 + number}/24", f"fd00:18::{0x100 + number:x}/64")

    def add_peer(self, number):
        name, addresses = f"peer-{number}", self.addresses(number)
        blocks = self.of_families(f"10.244.{100 + number}.0/26", f"fd00:10:244:{0x100 + number:x}::/122")
        self.cluster.write(node_object(name, addresses), *(block_affinity(name, block) for block in blocks),
                           *(ipam_block(name, block, []) for block in blocks))
        hops = [address.split("/")[0] for address in addresses]
        self.speaker.add(hops[0], 64512, restart_time=120, families=self.cluster.families,
                         updates=[update([block], hop) for block, hop in zip(blocks, hops)])
        self.blocks += blocks

    def wait_up(self, timeout=30):
        wait_for(lambda: len(sessions(self.node)) == PEERS, lambda: f"{PEERS} sessions: {self.node.show('status')['peers']}",
                 timeout)
        wanted = len(self.cluster.families) * (PEERS + 10 + 1)
        wait_for(lambda: self.node.show("status")["kernel"]["installed"] == wanted, "all routes", timeout)


@pytest.fixture
def crowd(new_cluster, request):
    cluster = new_cluster(families=getattr(request, "param", (4,)))
    host = cluster.add_host(Host, "crowd", addresses=["172.18.0.99/24", "fd00:18::99/64"], publish=False)
    with Speaker(host) as speaker:
        yield Crowd(cluster, speaker, host)


@pytest.mark.parametrize("crowd", RESIDENT, indirect=True, ids=["IPv4", "both families"])
def test_a_hundred_peers(crowd):
    node, most = crowd.node, RESIDENT[crowd.cluster.families]
    node.start()
    crowd.wait_up()
    wait_settled(node)
    resident = node.resident()
    print(f"{resident} KiB with {PEERS} peers\n{node.calidris('show', 'memory')}")
    assert resident < most, node.calidris("show", "memory")
    assert descriptors(node) < PEERS + 20
    routes = {route["dst"] for route in node.routes() if route.get("protocol") == "bgp"}
    assert set(crowd.blocks) <= routes

    # Nothing happens now but 100 keepalives in half a minute.
    turns, cpu, start = node.show("status")["loop"]["turns"], cpu_seconds(node), time.monotonic()
    time.sleep(3)
    seconds = time.monotonic() - start
    used, shown = cpu_seconds(node) - cpu, node.show("loop")
    turned = shown["loop"]["turns"] - turns
    assert sum(row["turns"] for row in shown["histogram"]) == shown["histogram"][-1]["turns_below"] == shown["loop"]["turns"]
    assert shown["loop"]["worst_turn"] * 1e6 <= shown["histogram"][-1]["below_us"]
    print(f"{used:.2f} s of CPU and {turned} turns of the loop in {seconds:.1f} s")
    assert used <= 0.02
    assert turned < 40

    # All of them go and come back, as when a switch restarts: the size stays.
    for _round in range(3):
        crowd.speaker.hang_up()
        wait_for(lambda: not sessions(node) or crowd.speaker.established() == PEERS, "they go")
        crowd.wait_up()
    print(f"{node.resident()} KiB after {PEERS} sessions came and went three times")
    assert node.resident() < most, node.calidris("show", "memory")
    assert descriptors(node) < PEERS + 20


def test_few_descriptors(crowd):
    """Too few for all peers: it says so and what to do, the sessions that fit work, nothing spins; and with more, all come up."""
    node = crowd.node
    node.process = node.spawn(["prlimit", "--nofile=1024:1024", programs() / "calidrisd", "-f", "-c", node.config_file],
                              "calidrisd.log")
    node.wait_up()
    crowd.wait_up()
    node.run("prlimit", "--nofile=60:", "--pid", node.process.pid)
    crowd.speaker.hang_up()
    node.wait_log(r"Too many open files.*(LimitNOFILE|nofile)")
    wait_for(lambda: len(sessions(node)) > 20, lambda: f"as many sessions as fit: {len(sessions(node))}")
    assert any(re.search(r"Too many open files", problem) for problem in node.show("status")["problems"])
    cpu, lines, start = cpu_seconds(node), len(node.log_text().splitlines()), time.monotonic()
    time.sleep(2)
    seconds = time.monotonic() - start
    assert cpu_seconds(node) - cpu < 0.1 * seconds
    assert len(node.log_text().splitlines()) - lines <= PEERS, "each peer says so once"
    # The operator is heard all the time.
    for _ in range(5):
        assert node.show("status")["node"] == node.name
    node.run("prlimit", "--nofile=1024:", "--pid", node.process.pid)
    crowd.wait_up()
