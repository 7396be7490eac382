"""Routes with several next hops: how many there may be, and which flows move when one of them leaves or comes back. Flows are
counted: each of many addresses of a prefix is sent to, and it is seen which member of the group got it."""

import contextlib
import select
import socket
import time

import pytest

from flood import Flood, Floods, RouteWatch
from harness import Host
from netns import is6, wait_for
from objects import bgp_peer
from speaker import UPDATE, MP_UNREACH, Speaker, attribute, message, nlri, update

TAKES = 40  # s: it begins early

MEMBERS, FLOWS, PORT, SENDER_PORT = 4, 250, 9999, 9998
PREFIXES = {4: "20.0.0.0/24", 6: "2001:db8:20::/64"}


def address(family, number):
    return f"20.0.0.{number}" if family == 4 else f"2001:db8:20::{number:x}"


def withdrawal(family):
    routes = nlri(PREFIXES[family])
    if family == 4:
        return message(UPDATE, len(routes).to_bytes(2, "big") + routes + b"\0\0")
    value = attribute(MP_UNREACH, b"\0\2\1" + routes, 0x80)
    return message(UPDATE, b"\0\0" + len(value).to_bytes(2, "big") + value)


class Member(Host):
    """A machine that announces the prefixes and answers for all their addresses."""

    def join(self, node):
        for prefix in PREFIXES.values():
            self.ip(f"route add local {prefix} dev lo")
        self.ip(*(f"route add {block} via {node.address(6 if is6(block) else 4)}" for block in node.blocks))
        self.announcements = {family: update([PREFIXES[family]], self.address(family), [65001], None) for family in (4, 6)}
        with self.inside():
            self.sockets = [socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)]
        self.sockets[1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for sock, any_address in zip(self.sockets, ("0.0.0.0", "::")):
            sock.bind((any_address, PORT))
        self.speaker = Speaker(self)
        self.speaker.__enter__()
        self.peer = self.speaker.add(self.ip4, 65001, families=(4, 6), updates=self.announcements.values())

    def announce(self, family):
        self.speaker.say(self.peer, self.announcements[family])

    def withdraw(self, family):
        self.speaker.say(self.peer, withdrawal(family))


class Scene:
    def __init__(self, cluster):
        self.node = cluster.add_node("node-1")
        self.pod = self.node.add_pod("pod-1")
        self.members = [cluster.add_host(Member, f"member-{number}", blocks=[], publish=False) for number in range(MEMBERS)]
        for member in self.members:
            member.join(self.node)
            cluster.write(bgp_peer(member.name, peerIP=member.ip4, asNumber=65001, families=["IPv4", "IPv6"]))
        self.node.start()
        self.wait_members(self.members)
        wait_for(lambda: not self.node.show("status")["restart"]["in_progress"], "the start is over")
        with self.pod.inside():
            self.senders = {}
            for family, own in ((4, self.pod.ip4), (6, self.pod.ip6)):
                self.senders[family] = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
                # A port of its own, as IPv6's flow labels are made of it.
                self.senders[family].bind((own, SENDER_PORT))
        self.watch = RouteWatch(self.node)

    def hops(self, family):
        route = self.node.route(PREFIXES[family]) or {}
        return [hop["gateway"] for hop in route.get("nexthops", [route]) if "gateway" in hop]

    def wait_members(self, members, families=(4, 6)):
        for family in families:
            wait_for(lambda family=family: sorted(self.hops(family)) == sorted(member.address(family) for member in members),
                     lambda family=family: f"all members: {self.hops(family)}\n{self.node.log_tail()}")

    def flows(self, family):
        """{flow: name of the member that got it}."""
        sockets = {sock: member for member in self.members for sock in member.sockets}
        got, deadline, mark = {}, time.monotonic() + 10, time.monotonic_ns()
        while len(got) < FLOWS:
            assert time.monotonic() < deadline, f"only {len(got)} flows of {FLOWS} arrive"
            for number in range(1, FLOWS + 1):
                if number not in got:
                    self.senders[family].sendto(f"{mark} {number}".encode(), (address(family, number), PORT))
            while ready := select.select(list(sockets), [], [], 0.05)[0]:
                for sock in ready:
                    sent_at, number = sock.recv(100).split()
                    if int(sent_at) == mark:
                        got[int(number)] = sockets[sock].name
        return got

    def written(self, count=0):
        """(routes written, removed) since the last time; waits for so many."""
        wait_for(lambda: len(self.watch.times(RouteWatch.NEW)) >= count, f"{count} routes are written")
        events = [kind for _at, kind in self.watch.events]
        self.watch.events.clear()
        return events.count(RouteWatch.NEW), events.count(RouteWatch.DELETED)


@pytest.fixture(scope="module")
def scene(new_shared_cluster):
    made = Scene(new_shared_cluster(mesh=False))
    yield made
    for member in made.members:
        with contextlib.suppress(OSError):
            member.speaker.__exit__()


def shares(flows):
    return [sum(member == name for member in flows.values()) / len(flows) for name in sorted(set(flows.values()))]


@pytest.mark.parametrize("family", [4, 6])
def test_flows_when_a_member_leaves(scene, family):
    """The group shrinks and grows by one message each; what moves of the flows of the others is what the kernel's own
    distribution moves (RFC 2992: between a quarter and a half of all); a member that comes back finds its flows, and so does
    everybody else, whatever the order in which they came. No packet is lost: a member goes on forwarding."""
    before = scene.flows(family)
    assert len(set(before.values())) == MEMBERS and min(shares(before)) > 0.12, shares(before)
    pings = Floods(Flood(scene.pod, {f"{number}": address(family, number) for number in range(1, 9)}))
    pings.wait_flowing(0, 20)
    for leaver in scene.members:
        rest = [member for member in scene.members if member is not leaver]
        scene.written()
        leaver.withdraw(family)
        scene.wait_members(rest, [family])
        after = scene.flows(family)
        assert scene.written(1) == (1, 0)
        assert set(after.values()) == {member.name for member in rest}
        others = [number for number, name in before.items() if name != leaver.name]
        moved = sum(before[number] != after[number] for number in others)
        print(f"IPv{family}, {leaver.name} leaves: {moved} of {len(others)} flows of the others move")
        assert moved <= 0.55 * len(others)
        leaver.announce(family)
        scene.wait_members(scene.members, [family])
        assert scene.flows(family) == before
        assert scene.written(1) == (1, 0)
    pings.wait_flowing(time.monotonic(), 20)
    lost = {name: gaps for name, (_count, gaps) in pings.report().items() if gaps}
    assert not lost


def test_width(scene):
    """As many as are configured, changed on the fly, in place."""
    before = {family: scene.flows(family) for family in (4, 6)}
    for width in (2, 1, 3, MEMBERS):
        scene.written()
        scene.node.configure({"bgp": {"max_paths": width}})
        scene.node.calidris("reload")
        for family in (4, 6):
            wait_for(lambda family=family: len(scene.hops(family)) == width, lambda: f"{width} next hops: {scene.hops(4)}")
            assert len(set(scene.flows(family).values())) == width
        assert scene.written(2) == (2, 0)
    assert {family: scene.flows(family) for family in (4, 6)} == before
