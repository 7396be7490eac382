"""A peer dies: until the last of its routes is gone, has moved to another one's, or has one gateway less; and starts beside
routes that are there."""

import ipaddress
import itertools
import socket
import struct
import time

from bfdpeer import BareBfd
from harness import Cluster, Host
from measure import RTM_DELROUTE, RTM_NEWROUTE, Kernel, cpu, spend
from netns import wait_for
from objects import bgp_peer
from speaker import OPEN, Speaker, update

ROUTES = 10000
ADOPTED = 20000
HOLD = 3
BFD = 50  # ms, three of which may be missed
OTHER = "172.18.0.77"


def blocks(count):
    return [str(network) for network in itertools.islice(ipaddress.ip_network("16.0.0.0/8").subnets(new_prefix=26), count)]


def updates(prefixes, next_hop, preference=200):
    return [update(prefixes[at:at + 700], next_hop, local_pref=preference) for at in range(0, len(prefixes), 700)]


class TimedBfd(BareBfd):
    """Keeps when it spoke last."""

    def say(self, final=False):
        super().say(final)
        self.spoke = time.monotonic()


class MortalSpeaker(Speaker):
    """Keeps when each peer spoke last; who is in `dead` says nothing any more."""

    def __init__(self, host):
        super().__init__(host)
        self.dead, self.spoke = set(), {}

    def react(self, connection, kind, body):
        if kind == OPEN:  # is answered
            self.spoke[connection.peer.address] = time.monotonic()
        super().react(connection, kind, body)

    def keep_alive(self):
        now = time.monotonic()
        for peer in list(self.peers.values()):
            connection = peer.connection
            if not connection or connection.next_keepalive is None:
                continue
            if peer.address in self.dead:
                connection.next_keepalive = float("inf")
            elif connection.next_keepalive <= now:
                self.spoke[peer.address] = now
        super().keep_alive()

    def reset(self, peer):
        connection, peer.connection = peer.connection, None
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.selector.unregister(peer.listener)
        peer.listener.close()
        self.selector.unregister(connection.sock)
        connection.sock.close()


class Scene:
    """A node with one or two peers that announce the same prefixes; the first of them is to die."""

    def __init__(self, cluster, speaker, host, node):
        self.cluster, self.speaker, self.host, self.node = cluster, speaker, host, node
        self.victim = self.bfd = None

    def add(self, address, prefixes, preference, watched=False):
        peer = self.speaker.add(address, 64512, families=(4,), hold=HOLD, updates=updates(prefixes, address, preference))
        more = {"bfd": {"enabled": True, "transmitInterval": BFD, "receiveInterval": BFD}} if watched else {}
        self.cluster.write(bgp_peer(f"peer-{address}", node="node-1", peerIP=address, asNumber=64512, **more))
        if watched:
            self.bfd = TimedBfd(self.host, address, self.node.ip4, BFD / 1000)
        return peer


# How a peer dies: each does it, and returns when the daemon could know at the earliest.

def by_reset(scene):
    began = time.monotonic()
    scene.speaker.reset(scene.victim)
    return began


def by_silence(scene):
    scene.speaker.dead.add(scene.victim.address)
    return scene.speaker.spoke[scene.victim.address] + HOLD


def by_bfd(scene):
    scene.bfd.fall_silent()
    return scene.bfd.spoke + 3 * BFD / 1000


DEATHS = {"RST": by_reset, f"hold time ({HOLD} s)": by_silence, f"BFD (3 × {BFD} ms)": by_bfd}
# What becomes of its routes: others who announce them, with which preference; and which message of the kernel's says it.
EFFECTS = {"gone": (None, RTM_DELROUTE), "moved to another peer's": (100, RTM_NEWROUTE),
           "a gateway less (ECMP)": (200, RTM_NEWROUTE)}


def death(how, effect, count):
    other, kind = EFFECTS[effect]
    prefixes = blocks(count)
    with Cluster(mesh=False, families=(4,)) as cluster:
        node = cluster.add_node("node-1", config={"bgp": {"max_paths": 2}, "log": {"level": "info"}})
        host = cluster.add_host(Host, "peers", blocks=[])
        host.ip(f"addr add {OTHER}/24 dev eth0")
        with MortalSpeaker(host) as speaker:
            scene = Scene(cluster, speaker, host, node)
            scene.victim = scene.add(host.ip4, prefixes, 200, watched=how.startswith("BFD"))
            if other:
                scene.add(OTHER, prefixes, other)
            node.start()
            wait_for(lambda: sum(row["received"] for row in node.show("peers")["peers"]) == count * (2 if other else 1) and
                     node.show("status")["kernel"]["installed"] >= count, "all routes", 60)
            wait_for(lambda: not node.show("status")["restart"]["in_progress"], "the start is complete")
            if scene.bfd:
                wait_for(lambda: scene.bfd.state == scene.bfd.UP, "BFD is up")
            with Kernel(node) as kernel:
                wait_for(lambda: not kernel.quiet(), "quiet")
                before = cpu(node.process)
                known = DEATHS[how](scene)
                took = kernel.wait(kind, prefixes) - known
                spend(node.process)
                spent = cpu(node.process) - before
            if scene.bfd and not scene.bfd.silent:
                scene.bfd.fall_silent()
    return {"what": f"{how}: until the last is {effect}" if effect == "gone" else f"{how}: until the last has {effect}",
            "time": took, "CPU": spent, "units": count}


def deaths(count=ROUTES, hows=tuple(DEATHS), effects=tuple(EFFECTS)):
    return [death(how, effect, count) for how in hows for effect in effects]


def adopted(count=ADOPTED):
    """A start beside the routes of the process before."""
    prefixes = blocks(count)
    with Cluster(mesh=False, families=(4,)) as cluster:
        node, host = cluster.add_node("node-1", config={"log": {"level": "info"}}), cluster.add_host(Host, "peer", blocks=[])
        cluster.write(bgp_peer("peer", node="node-1", peerIP=host.ip4, asNumber=64512, maxRestartTime="120s"))
        with Speaker(host) as speaker:
            speaker.add(host.ip4, 64512, families=(4,), restart_time=120, updates=updates(prefixes, host.ip4))
            node.start()
            wait_for(lambda: node.show("status")["kernel"]["installed"] >= count, "all routes", 60)
            spend(node.process)
            node.kill()
            with Kernel(node) as kernel:
                kernel.quiet()
                began = time.monotonic()
                node.start()
                wait_for(lambda: in_sync(node, count), "in sync again", 60)
                took = time.monotonic() - began
                spend(node.process)
                seen = kernel.quiet()
                return [{"what": f"a start beside {count:,} adopted routes, until in sync", "time": took,
                         "CPU": cpu(node.process), "units": count, "written": seen[RTM_NEWROUTE], "removed": seen[RTM_DELROUTE]}]


def in_sync(node, count):
    status = node.show("status")
    return (not status["restart"]["in_progress"] and status["kernel"]["installed"] >= count and
            sum(row["received"] for row in node.show("peers")["peers"]) == count)
