"""Dumps in MRT format: bgpdump reads what `calidris show routes` shows, a second daemon that is given a dump again has the
same routes, and files on a schedule come and go without disturbing anybody."""

import ipaddress
import json
import os
import re
import signal
import struct
import subprocess
from pathlib import Path

import pytest

import ns
from harness import Host, programs
from mrtfile import read_dump
from netns import SLOWNESS, run, wait_for
from objects import bgp_peer
from speaker import Speaker, announcement, attribute, capability

TAKES = 40  # s: it begins early

AS = 64512
OPTIONAL, TRANSITIVE = 0x80, 0xc0


def as_path(*numbers):
    return bytes([2, len(numbers)]) + b"".join(struct.pack("!I", number) for number in numbers) if numbers else b""


def address(text):
    return ipaddress.ip_address(text).packed


# What a peer inside the AS may say: each a list of attributes (without the next hop), made different by a number.
LISTS = [
    # As little as there may be.
    lambda n: attribute(1, b"\0") + attribute(2, b"") + attribute(5, struct.pack("!I", n)),
    # Everything that has a row of its own, an unknown attribute, and lists of several.
    lambda n: b"".join([
        attribute(1, bytes([n % 3])),
        attribute(2, as_path(65010, 4200000000 + n)),
        attribute(4, struct.pack("!I", 1000 + n), OPTIONAL),
        attribute(5, struct.pack("!I", 4294967295 - n)),
        attribute(6, b""),
        attribute(7, struct.pack("!I", 4200000001) + address("10.9.9.9"), TRANSITIVE),
        attribute(8, struct.pack("!HHHH", 65010, n, 65010, 7), TRANSITIVE),
        attribute(9, address("10.7.7.7"), OPTIONAL),
        attribute(10, address("10.8.8.8") + address("10.8.8.9"), OPTIONAL),
        attribute(16, bytes.fromhex("0002fde800000064") + struct.pack("!HHI", 0x4304, 1, n), TRANSITIVE),
        attribute(25, bytes.fromhex("0002" + "20010db8000000000000000000000001" + "0005"), TRANSITIVE),
        attribute(26, bytes.fromhex("01000b0000000000000010"), OPTIONAL),
        attribute(32, struct.pack("!6I", 65010, 1, n, 4200000000, 2, 3), TRANSITIVE),
        attribute(35, struct.pack("!I", 65010), TRANSITIVE),
        attribute(40, bytes.fromhex("01000700000000000001"), TRANSITIVE),
        attribute(200, struct.pack("!I", n), TRANSITIVE)]),
    # Long ones.
    lambda n: b"".join([
        attribute(1, b"\0"),
        attribute(2, as_path(*range(100000, 100200)) + as_path(n + 1)),
        attribute(5, struct.pack("!I", 100)),
        attribute(8, b"".join(struct.pack("!HH", 65010, index) for index in range(150)), TRANSITIVE)]),
]


def prefixes(family, start, count):
    if family == 4:
        return [f"{ipaddress.ip_address(0x0b000000 + (index << 8))}/24" for index in range(start, start + count)]
    return [str(ipaddress.ip_network(f"2001:db8:{index:x}::/48")) for index in range(start, start + count)]


def table(family, next_hop, runs=60, size=25):
    """UPDATEs for so many lists of attributes, each shared by `size` prefixes."""
    return [announcement(LISTS[index % len(LISTS)](index), prefixes(family, index * size, size), next_hop)
            for index in range(runs)]


# Reading

# What bgpdump prints of an entry, by the key of `show routes` that says the same.
LINES = {
    "FROM": "from", "ORIGIN": "origin", "ASPATH": "as_path", "NEXT_HOP": "next_hop", "MULTI_EXIT_DISC": "med",
    "LOCAL_PREF": "local_pref", "AGGREGATOR": "aggregator", "ORIGINATOR_ID": "originator_id",
    "CLUSTER_LIST": "cluster_list", "COMMUNITY": "communities", "LARGE_COMMUNITY": "large_communities",
}
# What it does not know itself, by type code.
CODES = {16: "extended_communities", 25: "ipv6_extended_communities", 26: "aigp", 35: "otc", 40: "prefix_sid",
         200: "unknown_attributes"}


def bgpdump(file):
    """The routes in a dump: dicts with keys as `show routes` has them; attributes that bgpdump does not know as octets."""
    done = run(["bgpdump", "-v", file], check=False)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr
    routes = []
    for text in filter(None, done.stdout.split("\n\n")):
        fields = {}
        for line in text.strip().splitlines():
            name, _, value = line.partition(": ")
            unknown = re.fullmatch(r" +UNKNOWN_ATTR\((\d+), (\d+), \d+\)", name)
            if unknown:
                fields[CODES[int(unknown.group(2))]] = bytes.fromhex(value)
            elif line == "ATOMIC_AGGREGATE":
                fields["atomic_aggregate"] = "set"
            else:
                fields[LINES.get(name, name)] = value.strip()
        assert fields["TYPE"] in ("TABLE_DUMP_V2/IPV4_UNICAST", "TABLE_DUMP_V2/IPV6_UNICAST"), fields
        fields["prefix"] = fields["PREFIX"]
        routes.append(fields)
    return routes


def expected(route):
    """A route of `show routes all` as bgpdump must print it."""
    hop = route["next_hop"] or ("::" if ":" in route["prefix"] else "0.0.0.0")
    fields = {"prefix": route["prefix"], "local_pref": str(route["local_pref"]), "next_hop": hop}
    for key in [*LINES.values(), "atomic_aggregate"]:
        if key in route and key not in ("next_hop", "local_pref", "from"):
            fields[key] = route[key]
    if "aggregator" in route:
        fields["aggregator"] = "AS" + route["aggregator"]
    if "extended_communities" in route:
        fields["extended_communities"] = b"".join(map(extended_community, route["extended_communities"].split()))
    for key in ("ipv6_extended_communities", "aigp", "prefix_sid", "unknown_attributes"):
        if key in route:
            fields[key] = bytes.fromhex(route[key].removeprefix("200:").removeprefix("0x"))
    if "otc" in route:
        fields["otc"] = struct.pack("!I", int(route["otc"]))
    return fields


def extended_community(text):
    if text.startswith("rt:"):
        return struct.pack("!HHI", 2, *map(int, text.split(":")[1:]))
    return bytes.fromhex(text.removeprefix("0x"))


NOT_SHOWN = ("TIME", "TYPE", "PREFIX", "SEQUENCE", "from", "ORIGINATED", "MP_REACH_NLRI(IPv6 Unicast)")


def by_prefix(routes):
    assert len({route["prefix"] for route in routes}) == len(routes)
    return {route["prefix"]: route for route in routes}


# Daemons

class Replay:
    """mrt_replay on a host; its events as they come."""

    def __init__(self, host, file, remote, local, *options):
        number = next(host.cluster.numbers)
        self.said = host.directory / f"replay-{number}.json"
        with self.said.open("wb") as output, (host.directory / f"replay-{number}.log").open("wb") as log:
            self.process = host.popen([programs() / "tests/tools/mrt_replay", "-l", local, *options, file, remote],
                                      stdin=subprocess.PIPE, stdout=output, stderr=log)

    def events(self, name=None):
        lines = [json.loads(line) for line in self.said.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if name in (None, line["event"])]

    def wait(self, name, timeout=30):
        wait_for(lambda: self.events(name), lambda: f"mrt_replay says {name}: {self.said.read_text()}", timeout)
        return self.events(name)[-1]

    def end(self, timeout=5):
        self.process.stdin.close()
        return self.process.wait(timeout * SLOWNESS)


def add_router(cluster, name, **config):
    return cluster.add_node(name, blocks=[], config={"kernel": {"programming": False}, **config})


@pytest.fixture
def router(new_cluster):
    """A node, and beside it a host whose addresses are its peers."""
    cluster = new_cluster(mesh=False)
    node = add_router(cluster, "node-1")
    node.peers = cluster.add_host(Host, "peers-2", publish=False, blocks=[])
    for family in (4, 6):
        cluster.write(bgp_peer(f"peer{family}", peerIP=node.peers.address(family), asNumber=AS))
    return node


def wait_routes(node, count, timeout=60):
    wait_for(lambda: sum(node.show("status")[family]["routes"] for family in ("ipv4", "ipv6")) == count,
             lambda: f"{count} routes\n{node.calidris('show', 'status')}", timeout)


def peers_with_tables(speaker, host):
    """Both peers, with a table each; returns how many routes there are."""
    for family, identifier in ((4, "10.2.2.4"), (6, "10.2.2.6")):
        speaker.add(host.address(family), AS, identifier, families=(family,), updates=table(family, host.address(family)))
    return 2 * 60 * 25


def dump(node, name="table.mrt"):
    file = node.directory / name
    node.calidris("dump", "mrt", file)
    return file


def test_bgpdump_reads_what_we_show(router):
    with Speaker(router.peers) as speaker:
        count = peers_with_tables(speaker, router.peers)
        router.start()
        wait_routes(router, count)
        shown = by_prefix(router.show("routes", "all")["routes"])
        dumped = by_prefix(bgpdump(dump(router)))
    assert len(shown) == count and shown.keys() == dumped.keys()
    names = {peer["name"]: f"{peer['address']} AS{AS}" for peer in router.show("peers")["peers"]}
    seen = set()
    for prefix, route in shown.items():
        entry = dumped[prefix]
        assert entry["from"] == names[route["from"]], entry
        have = {key: value for key, value in entry.items() if key not in NOT_SHOWN}
        assert have == expected(route), f"{prefix}: {route}"
        seen |= have.keys()
    # Every attribute was there.
    assert seen == {"prefix", *LINES.values(), *CODES.values(), "atomic_aggregate"} - {"from"}
    assert sorted(int(entry["SEQUENCE"]) for entry in dumped.values()) == list(range(count))


def test_our_own_routes(new_cluster):
    cluster = new_cluster()
    node = cluster.add_node("node-1")
    node.add_pod("pod-1")
    cluster.start()
    cluster.wait_local()
    entries = by_prefix(bgpdump(dump(node)))
    assert entries.keys() == {route["prefix"] for route in node.show("routes")["routes"]} > set(node.blocks)
    for entry in entries.values():
        assert entry["from"] == f"0.0.0.0 AS{AS}"
        assert entry["next_hop"] == ("::" if ":" in entry["prefix"] else "0.0.0.0")
        assert (entry["as_path"], entry["origin"], entry["local_pref"]) == ("", "IGP", "2147482623")
    # To standard output, the same octets but for the time.
    output = subprocess.run([programs() / "calidris", "-s", node.socket, "dump", "mrt", "-"], capture_output=True, check=True)
    again = node.directory / "again.mrt"
    again.write_bytes(output.stdout)
    assert by_prefix(bgpdump(again)).keys() == entries.keys()


@pytest.mark.parametrize("family", [4, 6])
def test_several_paths_of_a_prefix(router, family):
    """RFC 8050: with their identifiers, and again the same after a replay."""
    host, own, identifier = router.peers, router.peers.address(family), f"10.2.2.{family}"
    offer = capability(69, struct.pack("!HBB", 1 if family == 4 else 2, 1, 3))
    paths = {7: LISTS[1](7), 8: LISTS[2](8), 4294967295: LISTS[0](9)}
    with Speaker(host) as speaker:
        speaker.add(own, AS, identifier, families=(family,), more=offer, updates=[
            announcement(attributes, prefixes(family, 0, 10), own, path_id=number) for number, attributes in paths.items()])
        router.start()
        wait_routes(router, 30)
        file = dump(router)
    wait_routes(router, 0)
    found = sorted(read_dump(file), key=repr)
    assert {peer for peer, _route in found} == {own}
    assert {(route.prefix, route.path_id) for _peer, route in found} == {
        (prefix, number) for prefix in prefixes(family, 0, 10) for number in paths}
    assert len({route.as_path for _peer, route in found}) == 3
    replay = Replay(host, file, router.address(family), own, "-w", "-m", "-s", own, "-i", identifier)
    wait_routes(router, 30)
    assert replay.wait("established")["additional_paths"]
    assert sorted(read_dump(dump(router, "again.mrt")), key=repr) == found
    # bgpdump knows these records as well, though not the identifiers.
    assert run(["bgpdump", "-v", "-m", file]).count(f"|{prefixes(family, 0, 1)[0]}|") == 3
    replay.end()


def comparable(entries):
    return {prefix: {key: value for key, value in entry.items() if key not in ("TIME", "SEQUENCE", "ORIGINATED")}
            for prefix, entry in entries.items()}


def test_a_dump_replayed_gives_the_same_dump(router):
    """The same peers' addresses, as whom mrt_replay speaks, give a second daemon the same routes, attribute by attribute."""
    host, cluster = router.peers, router.cluster
    with Speaker(host) as speaker:
        count = peers_with_tables(speaker, host)
        router.start()
        wait_routes(router, count)
        file = dump(router)
    second = add_router(cluster, "node-3", bgp={"connect_retry_time": 1})
    second.start()
    replays = [Replay(host, file, second.address(family), host.address(family), "-w", "-s", host.address(family), "-i",
                      f"10.2.2.{family}") for family in (4, 6)]
    wait_routes(second, count)
    for replay in replays:
        assert replay.wait("loaded")["routes"] == count / 2
        sent = replay.wait("sent")
        # A message for a list of attributes: prefixes that share one are packed.
        assert sent["prefixes"] == count / 2 and sent["messages"] == 60 + 1 and sent["skipped"] == 0
    assert comparable(by_prefix(bgpdump(file))) == comparable(by_prefix(bgpdump(dump(second))))
    for replay in replays:
        assert replay.end() == 0
    wait_for(lambda: "Administrative Shutdown" in second.log_text(), "the replay has said goodbye")


def test_replay_of_both_peers(router):
    """All of a file on one session: here the first route of each prefix, since there are no additional paths."""
    host = router.peers
    file = host.directory / "synthetic.mrt"
    with file.open("wb") as output:
        subprocess.run([programs() / "tests/tools/mrt_generate", "-4", "2000", "-6", "500", "-p", "3", "-n", host.ip4],
                       stdout=output, check=True)
    router.start()
    replay = Replay(host, file, router.ip4, host.ip4, "-w")
    wait_routes(router, 2000)
    assert replay.wait("loaded")["routes"] == 3 * 2500
    assert replay.wait("sent")["prefixes"] == 2000, "the session carries one family, and a prefix once"
    assert {route["local_pref"] for route in router.show("routes")["routes"]} == {100}, "the first peer's"
    replay.end()
    wait_routes(router, 0)
    # A certain one's, by its place.
    replay = Replay(host, file, router.ip4, host.ip4, "-w", "-s", "2")
    wait_routes(router, 2000)
    assert {route["local_pref"] for route in router.show("routes")["routes"]} == {102}
    replay.end()


# Recorded messages (BGP4MP), as a collector writes them.

def recorded(subtype, peer, local, message, kind=16, extra=b""):
    """A BGP4MP record, of a speaker with 4-octet AS numbers if the subtype says so."""
    form = "!IIHH" if subtype in (4, 7) else "!HHHH"
    body = extra + struct.pack(form, AS, AS, 0, 1) + address(peer) + address(local) + message
    return struct.pack("!IHHI", 1600000000, kind, subtype, len(body)) + body


def test_replay_of_recorded_messages(router):
    host = router.peers
    narrow = attribute(1, b"\0") + attribute(2, b"\x02\x02" + struct.pack("!HH", 65010, 23456)) + attribute(
        17, b"\x02\x01" + struct.pack("!I", 4200000000), TRANSITIVE) + attribute(5, struct.pack("!I", 5))
    wide = LISTS[1](1)
    withdrawal = struct.pack("!H", 4) + b"\x18\x0b\x00\x02" + struct.pack("!H", 0)
    file = host.directory / "recorded.mrt"
    file.write_bytes(b"".join([
        recorded(4, host.ip4, "10.0.0.9", announcement(wide, ["11.0.0.0/24", "11.0.2.0/24"], host.ip4)),
        recorded(1, host.ip4, "10.0.0.9", announcement(narrow, ["11.0.1.0/24"], host.ip4), 17, struct.pack("!I", 999999)),
        recorded(7, "10.0.0.9", host.ip4, announcement(wide, ["11.0.8.0/24"], host.ip4)),  # the collector's own
        recorded(4, "10.0.0.8", "10.0.0.9", announcement(wide, ["11.0.9.0/24"], host.ip4)),  # another peer's
        struct.pack("!IHHI", 1600000000, 16, 5, 4) + b"\0" * 4,  # a change of state
        recorded(4, host.ip4, "10.0.0.9", b"\xff" * 16 + struct.pack("!HB", 19 + len(withdrawal), 2) + withdrawal)]))
    router.start()
    replay = Replay(host, file, router.ip4, host.ip4, "-w", "-s", host.ip4)
    wait_routes(router, 2)
    routes = by_prefix(router.show("routes")["routes"])
    assert routes.keys() == {"11.0.0.0/24", "11.0.1.0/24"}
    assert routes["11.0.1.0/24"]["as_path"] == "65010 4200000000", "put together again from AS4_PATH"
    assert routes["11.0.0.0/24"]["aggregator"] == "4200000001 10.9.9.9"
    assert replay.wait("sent")["skipped"] == 1
    replay.end()


def test_replay_of_broken_files(tmp_path):
    """Cut off anywhere, or something else: said, and nothing is sent. Records that are wrong inside are left out."""
    tool, file = programs() / "tests/tools/mrt_replay", tmp_path / "file"
    whole = subprocess.run([programs() / "tests/tools/mrt_generate", "-4", "3", "-6", "2"], capture_output=True,
                           check=True).stdout
    starts = [0]
    while starts[-1] < len(whole):
        starts.append(starts[-1] + 12 + struct.unpack_from("!I", whole, starts[-1] + 8)[0])
    last = starts[-2] + 8  # the length of the last record
    contents = [whole[:cut] for cut in range(1, len(whole), 7) if cut not in starts]
    contents += [whole[:last] + length + whole[last + 4:] for length in (b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\0\0\xff\xff")]
    contents += [b"no such file", bytes(11), b"\xff" * 100]
    for content in contents:
        file.write_bytes(content)
        done = subprocess.run([tool, file, "127.0.0.1"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        assert (done.returncode, done.stdout) == (2, ""), content
        assert done.stderr == f"mrt_replay: {file}: it is cut off, or no MRT file\n"
    # A count of entries that are not there.
    count = starts[1] + 12 + 4 + 4
    file.write_bytes(whole[:count] + b"\xff\xff" + whole[count + 2:])
    done = subprocess.run([tool, "-p", "1", file, "127.0.0.1"], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=20, check=True)
    assert json.loads(done.stdout.splitlines()[0]).items() >= {"event": "loaded", "routes": 4, "skipped": 1}.items()


# Size

def test_a_large_dump_disturbs_nobody(router):
    """100,000 routes, while sessions have the shortest hold time there is, and a reader that stops."""
    host, file = router.peers, router.directory / "synthetic.mrt"
    with file.open("wb") as output:
        subprocess.run([programs() / "tests/tools/mrt_generate", "-4", "100000", "-n", host.ip4], stdout=output, check=True)
    with Speaker(host) as speaker:
        speaker.add(host.ip6, AS, "10.2.2.6", families=(6,), hold=3)
        router.configure({"mrt": {"table_interval": 1, "table_file": str(router.directory / "scheduled.mrt")}})
        router.start()
        replay = Replay(host, file, router.ip4, host.ip4, "-w")
        wait_routes(router, 100000)
        # A client that takes nothing, and one that leaves in the middle.
        pipe = router.directory / "pipe"
        os.mkfifo(pipe)
        idle = subprocess.Popen([programs() / "calidris", "-s", router.socket, "dump", "mrt", pipe])
        with pipe.open("rb") as reader:
            assert len(reader.read(100000)) == 100000
            idle.send_signal(signal.SIGKILL)
            idle.wait(20)
        entries = by_prefix(bgpdump(dump(router)))
        assert len(entries) == 100000
        wait_for(lambda: router.show("status")["mrt"]["last_routes"] == 100000, "a scheduled dump has all of them", 30)
        assert len(bgpdump(router.directory / "scheduled.mrt")) == 100000
        peers = {peer["address"]: peer for peer in router.show("peers")["peers"]}
        assert {peer["state"] for peer in peers.values()} == {"Established"}
        for peer in peers:
            assert router.show("peers", peer)["peer"]["established"] == 1, "and has never been anything else"
        replay.end()


# On a schedule

def mrt_files(directory):
    return sorted(path.name for path in directory.iterdir())


def test_schedule_rotates(router):
    place = router.directory / "dumps"
    place.mkdir()
    mine = [".hidden", "rib.20200101000000.mrt.gz", "rib.99999999999999.mrt", "notes"]
    for name in mine:
        (place / name).write_text("somebody else's")
    # What a daemon that was killed has left, and an old dump.
    (place / ".rib.20200101000001.mrt.new").write_text("half")
    (place / "rib.20200101000002.mrt").write_text("old")
    os.utime(place / "rib.20200101000002.mrt", (1577836802, 1577836802))
    router.configure({"mrt": {"table_interval": 1, "table_keep": 3, "table_file": str(place / "rib.%Y%m%d%H%M%S.mrt")}})
    router.start()
    ours = re.compile(r"rib\.20[2-9]\d{11}\.mrt")

    def kept():
        return [name for name in mrt_files(place) if name not in mine and not name.startswith(".rib")]
    wait_for(lambda: len(router.log_text().split(" routes of ")) > 6, "six dumps", 30)
    wait_for(lambda: len(kept()) == 3, lambda: f"three are kept: {mrt_files(place)}")
    assert all(ours.fullmatch(name) for name in kept()) and "rib.20200101000002.mrt" not in kept()
    assert set(mine) < set(mrt_files(place)) and ".rib.20200101000001.mrt.new" not in mrt_files(place)
    status = router.show("status")["mrt"]
    assert status["last_file"].startswith(str(place)) and status["problem"] == ""
    assert "Table dumps" in router.calidris("show", "status")
    # A reload changes the place at once; never is never.
    other = router.directory / "other"
    other.mkdir()
    router.configure({"mrt": {"table_file": str(other / "rib.mrt")}})
    router.calidris("reload")
    wait_for((other / "rib.mrt").exists, "a dump at the new place")
    assert bgpdump(other / "rib.mrt") == []
    router.configure({"mrt": {"table_interval": "never"}})
    router.calidris("reload")
    assert "mrt" not in router.show("status")
    assert router.terminate() == 0
    assert not [name for name in mrt_files(place) + mrt_files(other) if name.endswith(".new")]


def mrt_problems(node):
    return [line for line in node.show("problems")["problems"] if line.startswith("table dump")]


def test_schedule_cannot_write(router):
    """No directory, no permission to replace: said with what to do, and over when the reason is gone."""
    place, host = router.directory / "dumps", router.peers
    router.configure({"mrt": {"table_interval": 1, "table_file": str(place / "rib.mrt")}})
    with Speaker(host) as speaker:
        count = peers_with_tables(speaker, host)
        router.start()
        wait_routes(router, count)
        wait_for(lambda: mrt_problems(router), "a problem")
        assert mrt_problems(router) == [f"table dump {place}/rib.mrt: its directory: No such file or directory; "
                                        "make the directory, or set mrt.table_file"]
        place.mkdir()
        wait_for(lambda: not mrt_problems(router) and (place / "rib.mrt").exists(), "a dump")
        # A directory has the file's name.
        (place / "rib.mrt").unlink()
        (place / "rib.mrt").mkdir()
        wait_for(lambda: mrt_problems(router), "a problem")
        assert "rib.mrt: cannot be finished: Is a directory" in mrt_problems(router)[0]
        assert mrt_files(place) == ["rib.mrt"]
        (place / "rib.mrt").rmdir()
        router.configure({"mrt": {"table_interval": None, "table_file": None}})
        router.calidris("reload")
        assert not mrt_problems(router)


@pytest.fixture
def small_disk():
    place = Path("/run/small-disk")
    place.mkdir(exist_ok=True)
    ns.mount("tmpfs", str(place), "tmpfs", data="size=64k")
    yield place
    run(["umount", place])


def test_full_disk(router, small_disk):
    """Nothing half is left, by the schedule or by the client, and nothing else is touched."""
    file = small_disk / "rib.mrt"
    router.configure({"mrt": {"table_interval": 1, "table_file": str(file)}})
    with Speaker(router.peers) as speaker:
        count = peers_with_tables(speaker, router.peers)
        router.start()
        wait_routes(router, count)
        wait_for(lambda: mrt_problems(router), "a problem")
        assert mrt_problems(router) == [f"table dump {file}: cannot be written: No space left on device; "
                                        "make room, or keep fewer files with mrt.table_keep"]
        done = router.calidris("dump", "mrt", small_disk / "table.mrt", check=False)
        assert done.returncode == 1
        assert done.stderr == f"calidris: {small_disk}/table.mrt: cannot be written: No space left on device\n"
        router.configure({"mrt": {"table_interval": None}})
        router.calidris("reload")
        # What was there in time was of few routes, and whole.
        assert not [name for name in mrt_files(small_disk) if name != "rib.mrt"]
        peers = router.show("peers")["peers"]
        assert [peer["state"] for peer in peers] == ["Established"] * 2
        assert len(router.show("routes")["routes"]) == count
