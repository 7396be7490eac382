"""What really goes over the wire, as tshark dissects it.

    capture = Capture(host)
    ...
    for message in capture.messages():          # BGP, BMP and BFD, in the order of their coming
        assert message.source == host.ip4 and not message.complaints
"""

import collections
import socket
import struct
import subprocess
import tempfile
import xml.etree.ElementTree

from netns import wait_for

# Severities of tshark's "expert information", from where on it is a complaint.
WARN = 0x600000
JUDGED = {"bgp", "bmp", "bfd"}
FENCE_PORT = 9


class Message(collections.namedtuple("Message", "frame protocol source target fields complaints")):
    """One message. fields: {name as in tshark's filters: [values as it shows them]}; complaints: of severity Warning or
    Error, and what is malformed."""

    def has(self, wanted):
        """All of these fields: with this value, or of a set with all its values; None: not at all; a function: with a
        value of which it is true."""
        def one(name, value):
            have = self.fields.get(name, ())
            if value is None:
                return not have
            if callable(value):
                return any(map(value, have))
            return {str(each) for each in value} <= set(have) if isinstance(value, set) else str(value) in have
        return all(one(name, value) for name, value in wanted.items())

    @property
    def kind(self):
        """The type of a BGP message, None of others."""
        return int(self.fields["bgp.type"][0]) if self.protocol == "bgp" and "bgp.type" in self.fields else None

    @property
    def notification(self):
        """(code, subcode), None if it is no NOTIFICATION."""
        if self.kind != 3:
            return None
        minor = [shown for name, shown in self.fields.items() if name.startswith("bgp.notify.minor_error")]
        return int(self.fields["bgp.notify.major_error"][0]), int(minor[0][0]) if minor else 0


def walk(element, fields, complaints):
    for field in element:
        name = field.get("name")
        if name == "_ws.expert":
            parts = {part.get("name"): part.get("show") for part in field}
            if int(parts.get("_ws.expert.severity", "0"), 0) >= WARN:
                complaints.append(parts.get("_ws.expert.message", field.get("showname")))
            continue
        if name:
            fields[name].append(field.get("show") if field.get("show") else field.get("value", ""))
        walk(field, fields, complaints)


def dissect(path, options=()):
    """The messages in a capture file; options: further words for tshark."""
    words = ["tshark", "-n", "-2", "-r", str(path), "-Y", " || ".join(sorted(JUDGED)), "-T", "pdml", *options]
    found = []
    with tempfile.TemporaryFile() as errors, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors) as process:
        for _event, packet in xml.etree.ElementTree.iterparse(process.stdout):
            if packet.tag == "packet":
                found += messages_of(packet)
                packet.clear()
        status = process.wait()
        errors.seek(0)
        assert status == 0, errors.read().decode()
    return found


def messages_of(packet):
    address, frame, found = {}, None, []
    for proto in packet:
        name = proto.get("name")
        if name == "geninfo":
            frame = next(int(field.get("show")) for field in proto if field.get("name") == "num")
        elif name in ("ip", "ipv6"):
            address = {end: next(field.get("show") for field in proto if field.get("name") == f"{name}.{end}")
                       for end in ("src", "dst")}
        elif name in JUDGED:
            fields, complaints = collections.defaultdict(list), []
            walk(proto, fields, complaints)
            found.append(Message(frame, name, address["src"], address["dst"], fields, complaints))
        elif name == "_ws.malformed" and found:
            found[-1].complaints.append("malformed packet")
    return found


class Capture:
    """All of a host's traffic, from now on; the first interface is one that has the segment's router."""

    def __init__(self, host, *interfaces):
        self.host = host
        self.path = host.directory / f"capture-{next(host.cluster.numbers)}.pcap"
        log = self.path.with_suffix(".log")
        # Not tcpdump: it insists on setting its groups, which a user namespace does not allow.
        what = f"tcp or udp port {FENCE_PORT} or udp port 3784 or udp port 4784"
        words = [word for interface in interfaces or ["eth0"] for word in ("-i", interface, "-f", what)]
        self.process = host.spawn(["dumpcap", "-q", *words, "-w", self.path], log.name)
        wait_for(lambda: "File: " in log.read_text(), "dumpcap listens")

    def end(self):
        """When everything that was sent is in the file: a datagram that is sent now is."""
        if not self.process:
            return
        fence = b"fence " + struct.pack("!d", id(self)) + self.path.name.encode()
        with self.host.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            def seen():
                sock.sendto(fence, (str(self.host.segment.gateways[0]).split("/", maxsplit=1)[0], FENCE_PORT))
                return fence in self.path.read_bytes()
            wait_for(seen, "the capture is complete")
        self.host.cluster.end(self.process)
        self.host.processes.remove(self.process)
        self.process = None

    def messages(self, two_octets=(), options=()):
        """two_octets: addresses of peers to whom AS numbers have 2 octets; of BMP's messages each says so itself. tshark's
        own guess errs with short paths, and it can be told only for the whole file."""
        def is_narrow(message):
            return bool({message.source, message.target} & set(two_octets)) or message.has({"bmp.peer.flags.as_path": 1})
        self.end()
        found = []
        for narrow in (False, True):
            preference = f"bgp.asn_len:{2 if narrow else 4} octet"
            found += [each for each in dissect(self.path, [*options, "-o", preference]) if is_narrow(each) == narrow]
        return found
