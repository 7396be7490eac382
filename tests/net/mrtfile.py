"""Reads MRT table dumps (RFC 6396, TABLE_DUMP_V2): the form in which a daemon shows every octet of its routes."""

import struct
from pathlib import Path

from routes import addresses, read_prefixes, route_of

TABLE_DUMP_V2 = 13
PEER_INDEX_TABLE = 1
RIB = {2: (4, False), 4: (6, False), 8: (4, True), 10: (6, True)}  # subtype: (family, with path identifiers: RFC 8050)


def records(data):
    at = 0
    while at < len(data):
        _time, kind, subtype, length = struct.unpack_from("!IHHI", data, at)
        yield kind, subtype, data[at + 12:at + 12 + length]
        at += 12 + length


def read_peers(body):
    """[address]"""
    name_length, = struct.unpack_from("!H", body, 4)
    count, = struct.unpack_from("!H", body, 6 + name_length)
    at, out = 8 + name_length, []
    for _ in range(count):
        kind = body[at]
        size = 16 if kind & 1 else 4
        out.append(addresses(body[at + 5:at + 5 + size], size)[0])
        at += 5 + size + (4 if kind & 2 else 2)
    return out


def read_entries(body, family, add_path, peers):
    """[(peer's address, Route)]"""
    size = 5 + (body[4] + 7) // 8
    prefix = read_prefixes(body[4:size], family, False)[0][0]
    count, = struct.unpack_from("!H", body, size)
    at, out = size + 2, []
    for _ in range(count):
        peer, = struct.unpack_from("!H", body, at)
        path_id = struct.unpack_from("!I", body, at + 6)[0] if add_path else 0
        at += 10 if add_path else 6
        length, = struct.unpack_from("!H", body, at)
        out.append((peers[peer], route_of(body[at + 2:at + 2 + length], prefix, path_id)))
        at += 2 + length
    return out


def read_dump(path):
    """[(peer's address, Route)] of a whole file."""
    peers, out = [], []
    for kind, subtype, body in records(Path(path).read_bytes()):
        assert kind == TABLE_DUMP_V2, kind
        if subtype == PEER_INDEX_TABLE:
            peers = read_peers(body)
        elif subtype in RIB:
            out += read_entries(body, *RIB[subtype], peers)
    return out
