"""Dynamic neighbours: a reflector that knows its clients by ranges of addresses, and clients that dial it by the thousand."""

import json
import re
import socket
import subprocess
import time

import pytest

from harness import Host, programs
from netns import SLOWNESS, wait_for
from objects import bgp_peer, ip_pool
from speaker import KEEPALIVE, MARKER, NOTIFICATION, OPEN, end_of_rib, message, open_message, update
from test_resources import cpu_seconds

TAKES = 42  # s: it begins early

CROWD = "10.128.0.0/16"
FIRST = "10.128.0.1"


class Reflector:
    """A reflector without other peers than those of ranges, and a host that is a crowd of clients."""

    def __init__(self, cluster, log="info"):
        self.cluster = cluster
        self.node = cluster.add_reflector("reflector", peers=False,
                                          config={"log": {"level": log}, "bgp": {"hold_time": 90}})
        self.host = cluster.add_host(Host, "crowd", publish=False)
        # All of the range is the host's, without an address that is named.
        self.host.ip(f"route add local {CROWD} dev lo")
        self.node.ip(f"route add {CROWD} via {self.host.ip4}")

    def range(self, name="clients", **spec):
        self.cluster.write(bgp_peer(name, **{"nodeSelector": "route-reflector == 'true'", "peerRange": CROWD, **spec}))

    def peers(self):
        return {peer["address"]: peer for peer in self.node.show("peers")["peers"]}

    def up(self):
        return self.node.show("status")["peers"]["up"]

    def storm(self, count, *options):
        words = [programs() / "tests/tools/bgp_storm", "-t", self.node.ip4, "-f", FIRST, "-n", count, "-w", -1, *options]
        return Storm(self.host.popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True), count)

    def wait_ranges(self, count=1):
        """They are in force."""
        wait_for(lambda: len(self.node.show("dynamic")["ranges"]) == count, lambda: self.node.show("dynamic"))

    def call(self, source):
        """A client of the test's own, at this address."""
        return Client(self, source)


class Storm:
    def __init__(self, process, count):
        self.process, self.count = process, count
        self.milliseconds = {}

    def wait(self, what):
        """Until all are so far; how long that took since the first dial."""
        for line in self.process.stdout:
            word, number, *time_ = line.split()
            assert word in ("connected", "established", "synced", "complete"), line
            self.milliseconds[word] = float(time_[0])
            assert int(number) == self.count, line
            if word == what:
                return self.milliseconds[word]
        raise AssertionError(f"the crowd ended before {what}; it said {self.milliseconds}")

    def end(self):
        self.process.terminate()
        rest = self.process.communicate(timeout=60)[0]
        self.lost = int(re.search(r"lost (\d+)", rest).group(1))
        return self


class Client:
    """One scripted client, which dials."""

    def __init__(self, reflector, source):
        self.reflector, self.source = reflector, source
        with reflector.host.inside():
            self.sock = socket.create_connection((reflector.node.ip4, 179), timeout=5, source_address=(source, 0))
        self.inbox = b""

    def say(self, *messages):
        self.sock.sendall(b"".join(messages))

    def hear(self):
        """The next message; None at the end of the connection."""
        while len(self.inbox) < 19 or len(self.inbox) < int.from_bytes(self.inbox[16:18], "big"):
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self.inbox += data
        assert self.inbox.startswith(MARKER)
        length = int.from_bytes(self.inbox[16:18], "big")
        kind, body, self.inbox = self.inbox[18], self.inbox[19:length], self.inbox[length:]
        return kind, body

    def hear_of(self, kind):
        """The next message of this kind."""
        while True:
            heard = self.hear()
            assert heard, f"the connection ended before a message of type {kind}"
            if heard[0] == kind:
                return heard[1]

    def establish(self, as_number=64512, updates=(), **options):
        self.say(open_message(as_number, self.source, families=(4,), **options))
        self.hear_of(OPEN)
        self.say(message(KEEPALIVE), *updates, end_of_rib(4))
        self.hear_of(KEEPALIVE)
        return self

    def close(self):
        self.sock.close()


@pytest.fixture
def reflector(new_cluster):
    return Reflector(new_cluster(mesh=False, families=(4,)))


def test_they_come_and_go(reflector):
    """A session for each who calls, of any AS where none is named; it goes with its connection."""
    reflector.range(peerLimit=3)
    reflector.node.start()
    reflector.wait_ranges()
    assert reflector.peers() == {}
    inside = reflector.call("10.128.0.9").establish(64512, [update(["10.244.70.0/26"], "10.128.0.9")])
    outside = reflector.call("10.128.1.1").establish(65001, [update(["10.244.71.0/26"], "10.128.1.1", [65001], None)])
    wait_for(lambda: reflector.up() == 2, reflector.peers)
    peers = reflector.peers()
    assert {peer["name"] for peer in peers.values()} == {"Dynamic_10_128_0_9", "Dynamic_10_128_1_1"}
    assert [peers[address]["as"] for address in ("10.128.0.9", "10.128.1.1")] == [64512, 65001]
    # The reflector's cluster id makes internal ones clients, and external ones not.
    clients = {name: reflector.node.show("peers", name)["peer"]["reflector_client"] for name in ("10.128.0.9", "10.128.1.1")}
    assert clients == {"10.128.0.9": True, "10.128.1.1": False}
    # What one says, the other hears: its AS in front for the external one.
    wait_for(lambda: b"\x1a\x0a\xf4\x46\x00" in inside_out(outside), "the route is passed on")
    outside.close()
    wait_for(lambda: list(reflector.peers()) == ["10.128.0.9"], reflector.peers)
    inside.close()
    wait_for(lambda: reflector.peers() == {}, reflector.peers)
    assert reflector.node.show("status")["ipv4"]["routes"] == 0


def inside_out(client):
    """The next UPDATE's octets."""
    return client.hear_of(2)


def test_refused(reflector):
    """By the limit, by no range, by the wrong AS: told so where there is something to tell, logged, and not too often."""
    reflector.range(peerLimit=2, asNumber=64512, peerRange="10.128.0.0/24")
    reflector.node.start()
    reflector.wait_ranges()
    kept = [reflector.call(f"10.128.0.{number}").establish() for number in (1, 2)]
    # The limit: Cease, Connection Rejected.
    for _ in range(20):
        extra = reflector.call("10.128.0.3")
        assert extra.hear() == (NOTIFICATION, bytes([6, 5]))
        assert extra.hear() is None
    reflector.node.wait_log(r"connection from 10\.128\.0\.3 refused: its 2 peers are there \(peerLimit\)")
    assert len(re.findall(r"connection from 10\.128\.0\.3 refused", reflector.node.log_text())) <= 5
    assert reflector.node.show("dynamic")["ranges"][0]["refused"] == 20
    # No range: closed.
    stranger = reflector.call("10.128.1.1")
    assert stranger.hear() is None
    # The wrong AS: a place is free, the OPEN is not what it should be.
    kept.pop().close()
    wait_for(lambda: len(reflector.peers()) == 1, reflector.peers)
    wrong = reflector.call("10.128.0.4")
    wrong.say(open_message(65009, "10.128.0.4", families=(4,)))
    assert wrong.hear_of(NOTIFICATION)[:2] == bytes([2, 2])
    wait_for(lambda: list(reflector.peers()) == ["10.128.0.1"], reflector.peers)
    # Nothing of all this concerned who was there.
    assert reflector.peers()["10.128.0.1"]["state"] == "Established"


def test_ranges_in_ranges(reflector):
    """The longest range wins, a configured neighbour beats them all; ranges come, change and go under their peers."""
    reflector.range("wide", asNumber=64512)
    reflector.range("narrow", peerRange="10.128.7.0/24", asNumber=65007)
    reflector.cluster.write(bgp_peer("named", nodeSelector="route-reflector == 'true'", peerIP="10.128.7.7", asNumber=65077))
    reflector.node.start()
    reflector.wait_ranges(2)
    wide = reflector.call("10.128.0.1").establish(64512)
    narrow = reflector.call("10.128.7.1").establish(65007)
    named = reflector.call("10.128.7.7").establish(65077)
    wait_for(lambda: reflector.up() == 3, reflector.peers)
    assert {peer["name"]: peer["origin"] for peer in reflector.peers().values()} == {
        "Dynamic_10_128_0_1": "BGPPeer wide", "Dynamic_10_128_7_1": "BGPPeer narrow", "Node_10_128_7_7": "BGPPeer named"}
    since = reflector.peers()["10.128.0.1"]["since"]

    # The wide range's limit changes: its peer does not notice. The narrow one goes: its peer is in the wrong AS for the other.
    reflector.range("wide", asNumber=64512, peerLimit=7)
    reflector.cluster.delete(bgp_peer("narrow"))
    assert narrow.hear_of(NOTIFICATION)[0] == 6
    wait_for(lambda: set(reflector.peers()) == {"10.128.0.1", "10.128.7.7"}, reflector.peers)
    assert reflector.node.show("dynamic")["ranges"][0]["limit"] == 7
    assert reflector.peers()["10.128.0.1"]["since"] >= since

    # A neighbour is configured that is there already: it stays, under its new name. And the last range goes.
    reflector.cluster.write(bgp_peer("new", nodeSelector="route-reflector == 'true'", peerIP="10.128.0.1", asNumber=64512))
    wait_for(lambda: reflector.peers()["10.128.0.1"]["name"] == "Node_10_128_0_1", reflector.peers)
    assert reflector.peers()["10.128.0.1"]["state"] == "Established"
    reflector.cluster.delete(bgp_peer("wide"))
    reflector.wait_ranges(0)
    assert reflector.peers()["10.128.0.1"]["state"] == "Established"
    for client in (wide, named):
        client.close()


def test_restarting_client(reflector):
    """Its routes are kept over its restart, and so is its session; without its return both go."""
    reflector.range()
    reflector.node.start()
    reflector.wait_ranges()
    routes = [update(["10.244.70.0/26"], "10.128.0.1")]
    client = reflector.call("10.128.0.1").establish(64512, routes, restart_time=2)
    wait_for(lambda: reflector.node.show("status")["ipv4"]["routes"] == 1, "its route")
    client.close()
    wait_for(lambda: reflector.peers()["10.128.0.1"]["state"] != "Established", reflector.peers)
    assert reflector.node.show("status")["ipv4"]["routes"] == 1
    client = reflector.call("10.128.0.1").establish(64512, routes, restart_time=2)
    wait_for(lambda: reflector.up() == 1, reflector.peers)
    client.close()
    wait_for(lambda: reflector.peers() == {}, reflector.peers)
    assert reflector.node.show("status")["ipv4"]["routes"] == 0


def test_signed(reflector):
    """A password for the whole range, another one for a neighbour inside it; who does not know it does not get through."""
    reflector.range(password="open sesame")
    reflector.cluster.write(bgp_peer("named", nodeSelector="route-reflector == 'true'", peerIP="10.128.0.200", asNumber=64512,
                                     password="another", passive=True))
    reflector.node.start()
    reflector.wait_ranges()
    storm = reflector.storm(50, "-k", "open sesame")
    storm.wait("established")
    wait_for(lambda: reflector.up() == 50, reflector.peers)
    with pytest.raises(OSError):
        reflector.call("10.128.1.1")
    wrong = subprocess.run([*map(str, reflector.host.command([programs() / "tests/tools/bgp_storm"])), "-t", reflector.node.ip4,
                            "-f", "10.128.0.200", "-n", "1", "-T", "1", "-k", "open sesame"], check=False)
    assert wrong.returncode == 1
    right = subprocess.run([*map(str, reflector.host.command([programs() / "tests/tools/bgp_storm"])), "-t", reflector.node.ip4,
                            "-f", "10.128.0.200", "-n", "1", "-T", "5", "-k", "another"], check=False)
    assert right.returncode == 0
    assert storm.end().lost == 0


def test_ttl_security(reflector):
    """RFC 5082 for a range: who is too far away is let go before a word is said."""
    reflector.range(ttlSecurity=1)
    reflector.node.start()
    reflector.wait_ranges()
    far = reflector.call("10.128.0.1")
    far.say(open_message(64512, "10.128.0.1", families=(4,)))
    assert far.hear() is None
    reflector.node.wait_log(r"connection from 10\.128\.0\.1 closed: its TTL is 64, too low for ttlSecurity")
    assert reflector.peers() == {}
    with reflector.host.inside():
        reflector.host.sysctl("net.ipv4.ip_default_ttl", 255)
    near = reflector.call("10.128.0.1").establish()
    wait_for(lambda: reflector.up() == 1, reflector.peers)
    near.close()


@pytest.mark.parametrize("count", [1000, 3000])
def test_storm(reflector, count):
    """Thousands dial at once: all are Established soon, for little, and the operator is answered all the while."""
    reflector.range(peerLimit=5000)
    reflector.node.start()
    reflector.wait_ranges()
    before, cpu = reflector.node.resident(), cpu_seconds(reflector.node)
    storm = reflector.storm(count)
    answers, end = [], time.monotonic() + 240
    while reflector_up(reflector, answers) < count:
        assert time.monotonic() < end, (storm.milliseconds, reflector.up())
    storm.wait("established")
    used, grown = cpu_seconds(reflector.node) - cpu, reflector.node.resident() - before
    print(f"{count} clients: Established after {storm.milliseconds} ms, {used:.2f} s of the daemon's time, "
          f"{grown / count:.2f} KiB each; the worst of {len(answers)} answers took {max(answers) * 1000:.0f} ms; "
          f"turns: {reflector.node.show('status')['loop']}")
    # Of its own time: what others kept the processor for is not its doing.
    assert reflector.node.show("status")["loop"]["worst_turn_cpu"] < 0.01 * SLOWNESS
    assert used < 0.0004 * count
    assert grown < 8 * count
    storm.wait("synced")
    listed = time.monotonic()
    assert len(json.loads(reflector.node.calidris("-o", "json", "show", "peers"))["peers"]) == count
    print(f"show peers: {(time.monotonic() - listed) * 1000:.0f} ms")
    assert storm.end().lost == 0
    wait_for(lambda: reflector.peers() == {}, reflector.up)


def test_fan_out(reflector):
    """A thousand clients with eight routes each tell and hear everything while they come up."""
    count, each = 1000, 8
    reflector.cluster.write(ip_pool("11.0.0.0/8", name="theirs"))
    reflector.range(peerLimit=5000)
    reflector.node.start()
    reflector.wait_ranges()
    before, cpu = reflector.node.resident(), cpu_seconds(reflector.node)
    storm = reflector.storm(count, "-r", each, "-x", (count - 1) * each)
    storm.wait("complete")
    used, grown = cpu_seconds(reflector.node) - cpu, reflector.node.resident() - before
    print(f"{storm.milliseconds} ms, {used:.2f} s of the daemon's time, {grown} KiB for {count} clients with {each} routes each")
    assert used < 5
    assert grown < 60000
    assert storm.end().lost == 0


def reflector_up(reflector, answers):
    """How many are up; and how long it took to be told so."""
    begun = time.monotonic()
    up = reflector.up()
    answers.append(time.monotonic() - begun)
    return up


def test_not_enough_descriptors(reflector):
    """More peers may come than there can be: said before they do."""
    reflector.range(peerLimit=5000)
    words = ["prlimit", "--nofile=1000:1000", programs() / "calidrisd", "-f", "-c", reflector.node.config_file]
    reflector.node.process = reflector.node.spawn(words, "calidrisd.log")
    reflector.node.wait_up()
    reflector.wait_ranges()
    said = "sessions may need 5032 descriptors, and the limit is 1000: raise it (LimitNOFILE=), or lower peerLimit"
    assert said in reflector.node.show("status")["problems"]
    assert reflector.node.log_text().count(said) == 1
    reflector.range(peerLimit=500)
    wait_for(lambda: reflector.node.show("dynamic")["ranges"][0]["limit"] == 500, "the other limit")
    assert reflector.node.show("status")["problems"] == []


def test_silent_callers(reflector):
    """Connections that say nothing hold the places for a while, not for ever."""
    reflector.range(peerLimit=3)
    reflector.node.start()
    reflector.wait_ranges()
    up = reflector.call("10.128.0.1").establish()
    silent = [reflector.call(f"10.128.0.{number}") for number in (2, 3)]
    wait_for(lambda: len(reflector.peers()) == 3, reflector.peers)
    early = reflector.call("10.128.0.4")
    assert early.hear() == (NOTIFICATION, bytes([6, 5]))

    def let_in():
        client = reflector.call("10.128.0.4")
        heard = client.hear()
        return client if heard and heard[0] == OPEN else None
    begun = time.monotonic()
    late = wait_for(let_in, reflector.peers)
    assert time.monotonic() - begun > 5
    assert silent[0].hear_of(NOTIFICATION) == bytes([6, 5]) and silent[0].hear() is None
    wait_for(lambda: set(reflector.peers()) == {"10.128.0.1", "10.128.0.3", "10.128.0.4"}, reflector.peers)
    for client in (up, late, *silent):
        client.close()
