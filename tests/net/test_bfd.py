"""BFD against the distribution's FRR and BIRD: one hop and several, both families, link-local addresses; detection,
restarts, administrative states and changing intervals, as both sides see them. Our side is tests/tools/bfd_peer.c."""

import json
import time

import pytest

from bfdpeer import BfdPeer
from harness import Host
from netns import run, wait_for
from peer_bird import BirdNode
from peer_frr import prepare_frr
from watched import prefer

TAKES = 90  # s: it begins early

FAST = 100  # ms


class Frr(Host):
    """A host with FRR's zebra and bfdd."""

    own_name = "frr"

    def begin(self):
        prepare_frr()
        self.launch("zebra")
        self.restart()

    def restart(self):
        self.daemon = self.launch("bfdd", "--bfdctl", self.directory / "bfdd.sock")

    def launch(self, daemon, *words):
        config, vty = self.directory / f"{daemon}.conf", self.directory / f"{daemon}.vty"
        config.write_text("log stdout informational\n")
        vty.unlink(missing_ok=True)
        process = self.spawn([f"/usr/lib/frr/{daemon}", "-u", "root", "-g", "root", "-f", config, "-i",
                              self.directory / f"{daemon}.pid", "-z", self.directory / "zserv.api", "--vty_socket",
                              self.directory, "-P", 0, *words], f"{daemon}.log")
        wait_for(vty.exists, f"{self.name}: {daemon}'s socket")
        return process

    def vtysh(self, *commands):
        return run(["vtysh", "--vty_socket", self.directory, *(word for line in commands for word in ("-c", line))])

    def session(self, remote, *lines, local=None, multihop=False, tx=FAST, rx=FAST, multiplier=3):
        words = f"peer {remote}" + (" multihop" if multihop else "") + (f" local-address {local}" if local else "")
        words += "" if multihop else " interface eth0"
        self.vtysh("configure terminal", "bfd", words, f"transmit-interval {tx}", f"receive-interval {rx}",
                   f"detect-multiplier {multiplier}", *lines)

    def sessions(self):
        return json.loads(self.vtysh("show bfd peers json"))

    def state(self, remote):
        """Up or Down, and FRR's word for why."""
        found = [one for one in self.sessions() if one["peer"] == remote]
        if not found:
            return None, None
        status = "AdminDown" if found[0]["status"] == "shutdown" else found[0]["status"].capitalize()
        return status, found[0].get("diagnostic")

    def remote_interval(self, remote):
        """What we announced, as it has understood it, in milliseconds."""
        found = next(one for one in self.sessions() if one["peer"] == remote)
        return found["remote-transmit-interval"], found["remote-receive-interval"], found["remote-detect-multiplier"]


class Bird(BirdNode):
    """A host with BIRD, its BFD protocol alone."""

    own_name = "bird"

    def begin(self):
        self.text = "router id 10.0.0.2;\nprotocol device {}\n"
        self.start(self.text)
        self.daemon = self.processes[-1]

    def restart(self):
        self.socket.unlink()
        self.start(self.config_file.read_text())
        self.daemon = self.processes[-1]

    def session(self, remote, local=None, multihop=False, tx=FAST, rx=FAST, multiplier=3):
        timers = f"min tx interval {tx} ms; min rx interval {rx} ms; idle tx interval 1 s; multiplier {multiplier};"
        where = f"local {local} multihop" if multihop else "dev \"eth0\"" + (f" local {local}" if local else "")
        options = f"multihop {{ {timers} }};" if multihop else f"interface \"eth0\" {{ {timers} }};"
        self.config_file.write_text(f"{self.text}protocol bfd {{\n{options}\nneighbor {remote} {where};\n}}\n")
        output = self.birdc("configure")
        assert "Reconfigured" in output or "in progress" in output, output

    def state(self, remote):
        for line in self.birdc("show", "bfd", "sessions").splitlines():
            words = line.split()
            if words and words[0] == remote:
                return words[2], None
        return None, None


class Scene:
    """A cluster of two, or three with a router between, and the words for both sides' sessions."""

    def __init__(self, new_cluster, kind, case):
        self.cluster = new_cluster(mesh=False, pools=False)
        self.case = case
        if case == "multihop":
            near, far = (self.cluster.segment(name, [gateway]) for name, gateway in
                         (("near", "10.1.0.254/24"), ("far", "10.2.0.254/24")))
            places = [{"segment": near, "addresses": ["10.1.0.1/24"]}, {"segment": far, "addresses": ["10.2.0.1/24"]}]
        else:
            places = [{}, {}]
        self.ours, self.theirs = (self.cluster.add_host(sort, name, blocks=[], publish=False, **place) for sort, name, place
                                  in ((Host, "ours", places[0]), (kind, "theirs", places[1])))
        self.local, self.remote = (self.address(host) for host in (self.ours, self.theirs))
        self.theirs.begin()

    def address(self, host):
        if self.case != "link-local":
            return host.address(6 if self.case == "ipv6" else 4)
        links = json.loads(run(["ip", "-n", host.name, "-j", "-6", "addr", "show", "dev", "eth0", "scope", "link"]))
        return next(address["local"] for link in links for address in link.get("addr_info", ())
                    if "local" in address)

    def speak(self, *words):
        # BIRD sends with the system's usual 64, FRR with 255.
        options = {"multihop": ["-m", "-T", 60], "link-local": ["-i", "eth0"]}.get(self.case, [])
        self.speaker = BfdPeer(self.ours, *options, "-l", self.local, *words, self.remote)
        prefer(self.speaker.process)
        return self.speaker

    def expect(self, **options):
        """The other daemon's side of the session."""
        if self.case in ("multihop", "ipv6", "link-local"):
            options["local"] = self.remote
        prefer(*self.theirs.processes)
        self.theirs.session(self.local, multihop=self.case == "multihop", **options)

    def theirs_is(self, state):
        return self.theirs.state(self.local)[0] == state

    def wait_theirs(self, state, timeout=8):
        wait_for(lambda: self.theirs_is(state), lambda: f"{state}: {self.theirs.state(self.local)}", timeout)

    def up(self):
        self.expect()
        speaker = self.speak()
        speaker.wait_settled(tx_interval=FAST * 1000, rx_interval=FAST * 1000, detection_time=3 * FAST * 1000)
        self.wait_theirs("Up")
        speaker.changes.clear()
        return speaker


@pytest.fixture(params=[Frr, Bird], ids=lambda kind: kind.own_name)
def kind(request):
    return request.param


@pytest.fixture
def scene(new_cluster, kind):
    return Scene(new_cluster, kind, "ipv4")


def assert_steady(scene, seconds=1.0):
    before = scene.speaker.info()
    time.sleep(seconds)
    after = scene.speaker.info()
    assert scene.theirs_is("Up") and after["state"] == "Up" and after["down"] == before["down"], scene.speaker.changes
    assert after["discarded"] == before["discarded"]
    return after["in"] - before["in"], after["out"] - before["out"]


@pytest.mark.parametrize("case", ["ipv4", "ipv6", "link-local", "multihop"])
def test_up(new_cluster, kind, case):
    scene = Scene(new_cluster, kind, case)
    scene.up()
    heard, sent = assert_steady(scene, 2)
    assert 15 <= heard <= 40 and 15 <= sent <= 40


def test_they_vanish(scene):
    """kill -9: nobody says goodbye. Then it is back, with a discriminator that we do not know."""
    speaker = scene.up()
    scene.theirs.daemon.kill()
    down = speaker.wait_down(2)
    assert down["failure"] and down["diag"] == "Control Detection Time Expired"
    assert 0.3 <= down["at"] - down["heard_at"] < 0.6
    scene.theirs.processes.remove(scene.theirs.daemon)
    scene.theirs.restart()
    scene.expect()
    speaker.wait_settled(tx_interval=FAST * 1000, detection_time=3 * FAST * 1000)
    scene.wait_theirs("Up")
    assert_steady(scene)


def test_we_vanish(scene):
    speaker = scene.up()
    speaker.end("die")
    scene.wait_theirs("Down", 2)
    scene.speak().wait_settled(tx_interval=FAST * 1000, detection_time=3 * FAST * 1000)
    scene.wait_theirs("Up")
    assert_steady(scene)


def test_we_restart_at_once(scene):
    """Before they could notice: they are told by our new session's Down."""
    scene.up().end("die")
    speaker = scene.speak()
    speaker.wait_settled(tx_interval=FAST * 1000, detection_time=3 * FAST * 1000)
    scene.wait_theirs("Up")
    assert_steady(scene)


def test_cable(scene):
    speaker = scene.up()
    scene.ours.segment.cut(scene.theirs)
    down = speaker.wait_down(2)
    assert down["failure"] and 0.3 <= down["at"] - down["heard_at"] < 0.6
    scene.wait_theirs("Down", 2)
    scene.ours.segment.cut(scene.theirs, down=False)
    speaker.wait_settled(tx_interval=FAST * 1000, detection_time=3 * FAST * 1000)
    scene.wait_theirs("Up")
    assert_steady(scene)


def test_our_intervals_change(scene):
    """Each change is a Poll Sequence: announced, confirmed, in force on both sides, and no flap."""
    speaker = scene.up()
    for tx, rx, multiplier in ((200, FAST, 3), (200, 300, 5), (FAST, FAST, 3), (20, 20, 10), (FAST, FAST, 3)):
        speaker.intervals(tx, rx, multiplier)
        speaker.wait_settled(tx_interval=max(tx, FAST) * 1000, rx_interval=max(rx, FAST) * 1000)
        if isinstance(scene.theirs, Frr):
            wait_for(lambda: scene.theirs.remote_interval(scene.local) == (tx, rx, multiplier),
                     lambda: f"{tx, rx, multiplier}: {scene.theirs.remote_interval(scene.local)}", 3)
        assert_steady(scene, 0.7)
    assert not speaker.changes


def test_their_intervals_change(scene):
    speaker = scene.up()
    for tx, rx, multiplier in ((200, FAST, 3), (100, 300, 5), (FAST, FAST, 3)):
        scene.expect(tx=tx, rx=rx, multiplier=multiplier)
        speaker.wait_settled(tx_interval=max(rx, FAST) * 1000, rx_interval=max(tx, FAST) * 1000,
                             remote_min_tx=tx * 1000, remote_min_rx=rx * 1000, remote_multiplier=multiplier)
        assert_steady(scene, 0.7)
    assert not speaker.changes


def test_we_are_administratively_down(scene):
    speaker = scene.up()
    speaker.tell("admin-down")
    scene.wait_theirs("Down", 1)
    if isinstance(scene.theirs, Frr):
        assert scene.theirs.state(scene.local)[1] == "neighbor signaled session down"
    time.sleep(3.5)
    assert scene.theirs_is("Down") and speaker.info()["state"] == "AdminDown"
    speaker.tell("admin-up")
    speaker.wait_settled(tx_interval=FAST * 1000)
    scene.wait_theirs("Up")
    assert not any(change["failure"] for change in speaker.changes)


def test_we_say_goodbye(scene):
    scene.up().end("bye")
    scene.wait_theirs("Down", 1)
    if isinstance(scene.theirs, Frr):
        assert scene.theirs.state(scene.local)[1] == "neighbor signaled session down"


def test_they_are_administratively_down(new_cluster):
    """Which is no failure, and nothing is lost track of."""
    scene = Scene(new_cluster, Frr, "ipv4")
    speaker = scene.up()
    scene.theirs.session(scene.local, "shutdown")
    down = speaker.wait_down(1)
    assert not down["failure"] and down["remote_state"] == "AdminDown" and down["state"] == "Down"
    scene.theirs.session(scene.local, "no shutdown")
    speaker.wait_settled(tx_interval=FAST * 1000, detection_time=3 * FAST * 1000)
    scene.wait_theirs("Up")
    assert not any(change["failure"] for change in speaker.changes)


def test_passive(scene):
    scene.expect()
    speaker = scene.speak("-p")
    speaker.wait_settled(tx_interval=FAST * 1000, detection_time=3 * FAST * 1000)
    assert_steady(scene)


def test_dissected(scene):
    """tshark finds nothing to say about what both of us send."""
    capture = scene.ours.directory / "bfd.pcap"
    # Not tcpdump: it insists on setting its groups, which a user namespace does not allow.
    dumpcap = scene.ours.spawn(["dumpcap", "-q", "-i", "eth0", "-f", "udp port 3784", "-w", capture], "dumpcap.log")
    wait_for(lambda: "File: " in scene.ours.logs()["dumpcap.log"], "dumpcap listens")
    speaker = scene.up()
    speaker.intervals(100, 100, 3)
    speaker.wait_settled(tx_interval=100000)
    assert_steady(scene)
    speaker.end("bye")
    time.sleep(0.5)
    scene.cluster.end(dumpcap)
    scene.ours.processes.remove(dumpcap)
    text = run(["tshark", "-r", capture, "-Y", f"ip.src == {scene.local}", "-T", "fields", "-e", "bfd.version", "-e",
                "ip.ttl", "-e", "udp.srcport", "-e", "_ws.expert.message", "-e", "bfd.sta"])
    rows = [line.split("\t") for line in text.splitlines()]
    assert len(rows) > 10
    assert {(row[0], row[1], row[3]) for row in rows} == {("1", "255", "")}
    assert len({row[2] for row in rows}) == 1 and int(rows[0][2]) >= 49152
    assert {int(row[4], 0) for row in rows} >= {0, 1, 3}
