"""Packets as they pass an interface of a namespace."""

import contextlib
import ipaddress
import select
import socket

ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
IPIP = 4


@contextlib.contextmanager
def capture(node, device):
    """A function that gives the IPv4 packets seen on the device since it was called last. Only who listens to all
    protocols sees those that go out."""
    with node.inside():
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        sock.bind((device, ETH_P_ALL))

    def packets():
        found = []
        while select.select([sock], [], [], 0)[0]:
            packet, source = sock.recvfrom(65536)
            if source[1] == ETH_P_IP:
                found.append(packet)
        return found

    yield packets
    sock.close()


def addresses_of(packet):
    return str(ipaddress.ip_address(packet[12:16])), str(ipaddress.ip_address(packet[16:20]))


def protocol_of(packet):
    return packet[9]


def describe(packet):
    """One line, as tcpdump would have it."""
    source, target = addresses_of(packet)
    inner = describe(packet[(packet[0] & 15) * 4:]) if protocol_of(packet) == IPIP else None
    name = {1: "ICMP", 6: "TCP", 17: "UDP"}.get(protocol_of(packet), f"protocol {protocol_of(packet)}")
    return f"{source} > {target}: " + (f"protocol 4 (IP-in-IP), inside: {inner}" if inner else name)
