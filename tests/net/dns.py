"""A DNS server for tests: a few records, by UDP, in a namespace; and who asks it.

    dns = Dns(cluster.fabric, "172.18.0.254")
    dns.records["_etcd-client._tcp.example.test", SRV] = [(10, 0, 2379, "m0.example.test")]
"""

import contextlib
import os
import socket
import struct
import threading
from pathlib import Path

import ns

A, SRV = 1, 33
MS_BIND, MNT_DETACH = 0x1000, 2


def name_bytes(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.strip(".").split(".") if part) + b"\0"


class Dns:
    """Answers until its namespace ends. records: {(name, type): [data]}; without records there is no such name."""

    def __init__(self, namespace, address):
        self.records, self.asked = {}, []
        self.address = address
        with namespace.inside():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((address, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def serve(self):
        while True:
            try:
                packet, client = self.socket.recvfrom(4096)
                if not packet:
                    return  # closed
                self.socket.sendto(self.answer(packet), client)
            except OSError:
                return

    def answer(self, packet):
        at, parts = 12, []
        while packet[at]:
            parts.append(packet[at + 1:at + 1 + packet[at]].decode())
            at += packet[at] + 1
        question = packet[12:at + 5]
        name, kind = ".".join(parts).lower(), struct.unpack("!H", packet[at + 1:at + 3])[0]
        self.asked.append((name, kind))
        found = self.records.get((name, kind), [])
        known = any(key[0] == name for key in self.records)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 5, len(data)) + data
                        for data in (self.data(kind, record) for record in found))
        flags = 0x8580 | (0 if known else 3)
        return packet[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0) + question + body

    @staticmethod
    def data(kind, record):
        if kind == A:
            return socket.inet_aton(record)
        priority, weight, port, target = record
        return struct.pack("!HHH", priority, weight, port) + name_bytes(target)


@contextlib.contextmanager
def resolver(directory, *servers):
    """All programs of the test ask these servers, and nobody and nothing else, as long as this lasts."""
    files = {"resolv.conf": "".join(f"nameserver {server}\n" for server in servers) + "options timeout:1 attempts:2\n",
             "nsswitch.conf": "hosts: files dns\n"}
    mounted = []
    for name, text in files.items():
        path = Path(directory) / name
        path.write_text(text)
        there = os.path.realpath(f"/etc/{name}")
        if os.path.exists(there):
            ns.mount(str(path), there, None, MS_BIND)
            mounted.append(there)
    try:
        yield
    finally:
        for there in mounted:
            ns.call("umount2", there.encode(), MNT_DETACH)
