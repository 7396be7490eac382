"""Network namespaces, commands in them, waiting for conditions, and pings that count."""

import contextlib
import fcntl
import ipaddress
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import ns

POLL = 0.03
# Deadlines are written for a machine with nothing else to do, and hold on one that is so much slower.
SLOWNESS = 4
SIOCGIFFLAGS, SIOCGIFHWADDR, SIOCGIFINDEX = 0x8913, 0x8927, 0x8933
IFF_RUNNING = 0x40


class Timeout(AssertionError):
    """A condition did not come true in time."""


def wait_for(condition, what, timeout=20.0):
    """Polls until condition() is true and returns its value; what may be a function that describes the state."""
    deadline = time.monotonic() + timeout * SLOWNESS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"not within {timeout * SLOWNESS:.0f} s: {what() if callable(what) else what}")
        time.sleep(POLL)


def run(command, check=True, text=None, timeout=30):
    """Runs a command to its end and returns its output; an error holds what it said."""
    done = subprocess.run([str(word) for word in command], input=text, capture_output=True, text=True,
                          timeout=timeout * SLOWNESS, check=False, **({} if text is not None else {"stdin": subprocess.DEVNULL}))
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout if check else done


def ip_batch(lines, namespace=None):
    run(["ip", *(["-n", namespace] if namespace else []), "-batch", "-"], text="\n".join(lines) + "\n")


def is_only_user():
    """In an ordinary user's namespace there is nobody else to become."""
    return Path("/proc/self/uid_map").read_text().split()[2] == "1"


def is6(address):
    return ":" in str(address)


class Namespace:
    """A network namespace by name, as `ip netns` knows it."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.path = f"/run/netns/{name}"
        cluster.namespaces.append(self)
        run(["ip", "netns", "add", name])
        with self.inside():
            for key in ("default", "all"):
                self.sysctl(f"net.ipv6.conf.{key}.disable_ipv6", 0)
                self.sysctl(f"net.ipv6.conf.{key}.accept_dad", 0)
        self.ip("link set lo up")

    def delete(self):
        run(["ip", "netns", "del", self.name], check=False)

    @contextlib.contextmanager
    def inside(self):
        """This thread in the namespace: for sockets, and for /proc/sys/net."""
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(self.path, os.O_RDONLY)
        try:
            ns.call("setns", there, ns.CLONE_NEWNET)
            yield
        finally:
            ns.call("setns", back, ns.CLONE_NEWNET)
            os.close(there)
            os.close(back)

    @staticmethod
    def sysctl(key, value=None):
        """Of the namespace the caller is inside of; dots in interface names are not supported."""
        if key.startswith("net.ipv6.") and not Path("/proc/sys/net/ipv6").exists():
            return None  # a kernel without IPv6
        path = Path("/proc/sys") / key.replace(".", "/")
        if value is None:
            return path.read_text().strip()
        path.write_text(f"{value}\n")
        return None

    def command(self, words):
        return ["nsenter", f"--net={self.path}", "--", *map(str, words)]

    def run(self, *words, check=True, timeout=30):
        return run(self.command(words), check, timeout=timeout)

    def popen(self, words, **arguments):
        return self.cluster.popen(self.command(words), **arguments)

    def ip(self, *lines):
        ip_batch(lines, self.name)

    def routes(self, family=None, table="main"):
        """The kernel's routes as `ip -j route` gives them; both families unless one (4 or 6) is asked for."""
        found = []
        for number in (family,) if family else (4, 6):
            text = run(["ip", "-n", self.name, f"-{number}", "-j", "-d", "route", "show", "table", table])
            found += json.loads(text or "[]")
        return found

    def route(self, prefix):
        """The route of exactly this prefix, with the lowest metric; None if there is none."""
        prefix = re.sub(r"/(32|128)$", "", str(prefix))
        found = [route for route in self.routes(6 if is6(prefix) else 4) if route["dst"] == prefix]
        return min(found, key=lambda route: route.get("metric", 0), default=None)


def hardware_address(sock, device):
    return fcntl.ioctl(sock.fileno(), SIOCGIFHWADDR, struct.pack("256s", device.encode()))[18:24]


def socket_index(sock, device):
    return struct.unpack("16si", fcntl.ioctl(sock.fileno(), SIOCGIFINDEX, struct.pack("16si", device.encode(), 0)))[1]


def is_running(sock, device):
    """Whether it has its carrier: until then what is sent is dropped."""
    return struct.unpack("16sh", fcntl.ioctl(sock.fileno(), SIOCGIFFLAGS, struct.pack("256s", device.encode()))[:18])[1] & IFF_RUNNING


def announce(namespace, address, device="eth0"):
    """Tells the network who has the address now, as operating systems do: somebody else may have had it a moment ago, and
    whoever spoke with him believes him to be there for up to a minute."""
    packed = ipaddress.ip_address(address).packed
    with namespace.inside():
        if is6(address):
            sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        else:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
    with sock:
        wait_for(lambda: is_running(sock, device), f"{namespace.name}: {device} has its carrier")
        mac = hardware_address(sock, device)
        if is6(address):
            # A neighbour advertisement that nobody asked for, with the override flag (RFC 4861 7.2.6).
            index = socket_index(sock, device)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            sock.sendto(bytes([136, 0, 0, 0, 0x20, 0, 0, 0]) + packed + bytes([2, 1]) + mac, ("ff02::1", 0, 0, index))
        else:
            sock.bind((device, 0x0806))
            sock.send(b"\xff" * 6 + mac + bytes.fromhex("0806" "0001" "0800" "06" "04" "0001") + mac + packed +
                      b"\0" * 6 + packed)


class Ping:
    """A ping that goes on until stopped, and counts exactly: what has not been answered when the next one goes is lost."""

    def __init__(self, pod, address, interval):
        self.path = pod.cluster.directory / f"ping-{next(pod.cluster.numbers)}"
        with self.path.open("w") as output:
            self.process = pod.popen(["ping", "-n", "-O", "-D", "-W", "1", "-i", interval, address], stdout=output,
                                     stderr=subprocess.STDOUT)

    def rows(self):
        return self.path.read_text().splitlines()

    def numbers(self, text):
        return {int(number) for row in self.rows() if text in row for number in re.findall(r"icmp_seq=(\d+)", row)}

    @property
    def received(self):
        return len(self.numbers("bytes from"))

    @property
    def lost(self):
        """Those that have no answer, though a later one was sent and waited for."""
        return len(self.numbers("") - self.numbers("bytes from"))

    def wait_received(self, count, timeout=10):
        wait_for(lambda: self.received >= count, lambda: f"{count} answers; so far:\n" + "\n".join(self.rows()[-5:]), timeout)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(5 * SLOWNESS)
        return self
