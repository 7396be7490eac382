"""What a supervisor sees: notification, watchdog, reload, stop, and a daemon that gives up root."""

import os
import pwd
import re
import shlex
import socket
from pathlib import Path

import pytest

from harness import programs, wait_for
from netns import is_only_user, run

UNIT = Path(__file__).resolve().parents[2] / "systemd/calidrisd.service"


class NotifySocket:
    """Stands in for systemd: collects what is sent to NOTIFY_SOCKET."""

    def __init__(self, directory):
        self.path = str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.seen = []

    def has(self, line, times=1):
        try:
            while True:
                self.seen += self.socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            return self.seen.count(line) >= times

    def wait(self, line, times=1):
        wait_for(lambda: self.has(line, times), lambda: f"{times} x {line}; seen: {self.seen}", 10)


def test_notifications(new_cluster):
    cluster = new_cluster()
    node = cluster.add_node("node-1")
    notify = NotifySocket(node.directory)
    node.start(env={**os.environ, "NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "200000"})
    notify.wait("READY=1")
    notify.wait("WATCHDOG=1", times=5)
    node.configure({"log": {"level": "info"}})
    node.reload()
    notify.wait("RELOADING=1")
    notify.wait("READY=1", times=2)
    assert node.terminate() == 0
    assert notify.has("STOPPING=1")


def test_reload_by_the_unit(new_cluster):
    """What `systemctl reload` runs: a bad configuration makes it fail with the reason, and the daemon hears nothing of it."""
    node = new_cluster().add_node("node-1")
    node.start()
    good = node.config_file.read_text()
    commands = re.findall(r"^ExecReload=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert len(commands) == 2
    commands = [command.replace("/usr/sbin/calidrisd", str(programs() / "calidrisd"))
                .replace("/etc/calidris/calidris.yaml", str(node.config_file))
                .replace("$MAINPID", str(node.process.pid)) for command in commands]

    def reload():
        for command in commands:
            done = run(node.command(shlex.split(command)), check=False)
            if done.returncode != 0:
                break
        return done

    node.write_config("bgp:\n  hold_time: 1\n")
    done = reload()
    assert done.returncode == 78 and not done.stdout
    assert re.search(r"calidris\.yaml:2:14: bgp\.hold_time: .* 3 to 65535", done.stderr), done.stderr
    node.write_config(good.replace("level: debug", "level: warning"))
    done = reload()
    assert done.returncode == 0 and not done.stdout + done.stderr
    node.wait_log(r"log\.level: debug -> warning")
    assert "hold_time" not in node.log_text()


def test_watchdog_of_another_process_is_left_alone(new_cluster):
    cluster = new_cluster()
    node = cluster.add_node("node-1")
    notify = NotifySocket(node.directory)
    node.start(env={**os.environ, "NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "50000", "WATCHDOG_PID": "1"})
    notify.wait("READY=1")
    node.terminate()
    notify.wait("STOPPING=1")
    assert not notify.has("WATCHDOG=1")


def test_stop_leaves_the_kernel_as_it_is(new_cluster):
    cluster = new_cluster()
    one, two = cluster.add_node("node-1"), cluster.add_node("node-2")
    one.add_pod("a")
    two.add_pod("b")
    cluster.start()
    cluster.wait_converged()
    before = one.routes()
    assert one.terminate() == 0
    assert one.routes() == before


def capabilities(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    return int(fields["CapEff"], 16), fields["Uid"].split()[0]


def test_ordinary_user_with_three_capabilities(new_cluster):
    """`user: nobody`: routes, veth settings and the privileged port all work without root."""
    if is_only_user():
        pytest.skip("a user namespace with a single user has nobody else to become; run as root")
    cluster = new_cluster()
    one, two = cluster.add_node("node-1"), cluster.add_node("node-2")
    one.add_pod("a")
    two.add_pod("b")
    for node in (one, two):
        node.config["user"] = "nobody"
        node.configure({})
    cluster.start()
    cluster.wait_converged()
    cluster.assert_all_ping()
    effective, uid = capabilities(one.process.pid)
    assert uid == str(pwd.getpwnam("nobody").pw_uid)
    # CAP_NET_BIND_SERVICE 10, CAP_NET_ADMIN 12, CAP_NET_RAW 13
    assert effective == 1 << 10 | 1 << 12 | 1 << 13


def test_unknown_user_is_refused(new_cluster):
    cluster = new_cluster()
    node = cluster.add_node("node-1")
    node.config["user"] = "no-such-user"
    node.configure({})
    node.start(wait=False)
    assert node.process.wait(20) == 71
    assert 'user "no-such-user" does not exist: create it, or leave `user` empty' in node.log_text()
