"""One object changes among 5,000 nodes, 20,000 blocks and 2,500 BGPPeers: what that costs until all is settled, and whether it
costs less where there are fewer."""

import ipaddress
import shutil
import statistics
import time

from harness import Cluster, interface_name
from measure import PATIENCE, Instructions, cpu, spend
from netns import wait_for
from objects import bgp_configuration, bgp_peer, block_affinity, ip_pool, node_object, workload_endpoint

NODES, BLOCKS, PEERS = 5000, 20000, 2500
RACKS = 100  # each with 1 % of the nodes and of the BGPPeers
REFLECTORS = 4
TIMES = 5  # that each change is made, for its time
COUNTED = 3  # and then for its instructions: what else happens meanwhile is not in all of them
WORKLOADS = TIMES + COUNTED


def address(index, network="10.1.0.0"):
    return str(ipaddress.ip_address(network) + index)


def machine(index, host=None, **labels):
    """The first ones are route reflectors, whom everybody dials."""
    role = {"route-reflector": "true"} if 10 <= index < 10 + REFLECTORS else {}
    return node_object(f"n{index}", [f"{address(host or index + 1)}/16"], labels={"rack": f"r{index % RACKS}", **role, **labels})


def block(index, owner):
    return block_affinity(f"n{owner}", f"{address(64 * index, '16.0.0.0')}/26")


def peer(index, as_number):
    return bgp_peer(f"p{index}", nodeSelector=f"rack == 'r{index % RACKS}'", peerIP=address(index + 1, "10.2.0.0"), asNumber=as_number)


def workload(index, owner):
    return workload_endpoint(owner, f"pod-{index}", interface_name(f"pod-{index}"), [address(index, "17.0.0.0")])


# What changes, and how, the i-th time; `count` are the nodes that there are. This node is n1, in the rack r1.
CHANGES = {
    "WorkloadEndpoint of this node appears": lambda i, count: workload(i, "n1"),
    "WorkloadEndpoint of another node appears": lambda i, count: workload(1000 + i, "n7"),
    "Node: a label of another that nothing selects": lambda i, count: machine(77, colour=f"v{i}"),
    "Node: another's rack": lambda i, count: machine(78, rack=f"r{50 + i}"),
    "Node: a reflector's address": lambda i, count: machine(10, host=count + 100 + i),
    "Node: a label of this one": lambda i, count: machine(1, colour=f"v{i}"),
    "BGPPeer of another rack": lambda i, count: peer(5, 64000 + i),
    "BGPPeer of this node's rack": lambda i, count: peer(1, 64000 + i),
    "BlockAffinity moves between other nodes": lambda i, count: block(BLOCKS + 5, 200 + i),
    "BlockAffinity of this node appears": lambda i, count: block(BLOCKS + 100 + i, 1),
    "IPPool: masquerading": lambda i, count: ip_pool("16.0.0.0/8", natOutgoing=bool(i % 2)),
    "IPPool appears": lambda i, count: ip_pool(f"18.{i}.0.0/16", name=f"pool-{i}"),
}


def changes(factor=1.0, kinds=tuple(CHANGES), counted=True):
    """Rows: the start, and each kind of change; with counted, its instructions too."""
    count, blocks, peers = int(NODES * factor), int(BLOCKS * factor), int(PEERS * factor)
    with Cluster(mesh=False, families=(4,), pools=False) as cluster:
        node = cluster.add_node("node-1", config={"node": {"name": "n1"}, "log": {"level": "info"}}, publish=False)
        pods = [interface_name(f"pod-{index}") for index in range(WORKLOADS)]
        node.ip(*(line for pod in pods for line in (f"link add {pod} type veth peer name p{pod[4:]}", f"link set {pod} up",
                                                    f"link set p{pod[4:]} up")))
        everything = [bgp_configuration(mesh=False), ip_pool("16.0.0.0/8"), ip_pool("17.0.0.0/16", name="pods"),
                      bgp_peer("reflectors", nodeSelector="all()", peerSelector="route-reflector == 'true'"),
                      *map(machine, range(count)), *(block(index, index % count) for index in range(blocks)),
                      *(peer(index, 65000 + index % RACKS) for index in range(peers))]
        cluster.write(*everything)
        began = time.monotonic()
        node.start()
        wait_for(lambda: node.show("status")["datastore"]["in_sync"], "in sync", PATIENCE)
        took = time.monotonic() - began
        spend(node.process)
        rows = [{"what": "start, to in sync", "time": took, "CPU": cpu(node.process), "memory": node.resident() / 1024}]
        done = {}
        for what in kinds:
            spent = []
            for index in range(TIMES):
                thing = CHANGES[what](index, count)
                spent.append(spend(node.process, lambda thing=thing: cluster.write(thing)))
            done[what] = {key: statistics.median(one[key] for one in spent) for key in spent[0]}
        node.terminate()
        if counted and shutil.which("valgrind"):
            counter = Instructions(node)
            wait_for(lambda: node.show("status")["datastore"]["in_sync"], "in sync", PATIENCE)
            spend(node.process)
            counter.begin()
            for what in kinds:
                things = [CHANGES[what](TIMES + index, count) for index in range(COUNTED)]
                done[what]["instructions"] = min(counter.of(lambda thing=thing: cluster.write(thing)) for thing in things)
    return rows + [{"what": what, **figures} for what, figures in done.items()]
