"""Traffic between pods that should flow, flows: pings every millisecond between pods of one node, of two nodes by plain
routes and of two nodes by VXLAN, in both families, while a node's daemon and its network have to take what nodes have to
take. One cluster for all; a row of EVENTS is what is done, which traffic that may touch at all, and what the kernel must
have when it is over (always the same: what it had before)."""

import json
import re
import shutil
import signal
import time

import pytest

import blinks
from blinks import NEAR, PLAIN, Event, World
from flood import RouteWatch
from harness import programs
from netns import is6, run, wait_for
from objects import ip_pool, workload_endpoint

TAKES = 60  # s: it begins early

VXLAN, DEVICES = blinks.VXLAN.kinds, blinks.VXLAN.devices
REMOTE, ALL = PLAIN | VXLAN, NEAR | PLAIN | VXLAN


# ---- what is done: each returns when nothing but the daemon stood in the way any more; None: it never did ----

def nothing(_world):
    """What the machine itself loses."""
    time.sleep(0.5)


def kill(world):
    world.one.kill()
    world.one.start()


def stop_and_start(world):
    assert world.one.terminate() == 0
    world.one.start()


def crash_with(number):
    def crash(world):
        process = world.one.process
        process.send_signal(number)
        assert process.wait(10) == -number
        world.one.processes.remove(process)
        world.one.start()
    crash.__name__ = f"crash_{number.name}"
    return crash


def kill_all(world):
    for node in (world.one, world.two):
        node.kill()
    for node in (world.one, world.two):
        node.start(wait=False)
    for node in (world.one, world.two):
        node.wait_up()


def upgrade(world):
    """As packages and service managers do it: the file is replaced by another one of its name while the daemon runs, then
    the daemon is stopped and started."""
    program = world.one.directory / "sbin-calidrisd"
    shutil.copy2(programs() / "calidrisd", program)
    world.one.terminate()
    world.one.start(program=program)
    world.settle()
    code = program.read_bytes()
    newer = program.with_suffix(".new")
    assert code.count(world.version.encode() + b"\0") >= 1
    newer.write_bytes(code.replace(world.version.encode() + b"\0", b"9.9.9\0"))
    newer.chmod(0o755)
    newer.rename(program)
    assert world.one.show("status")["version"] == world.version
    world.one.terminate()
    world.one.start(program=program)
    assert world.one.show("status")["version"] == "9.9.9"
    world.settle()
    stop_and_start(world)


def reload(world):
    for changes in ({"bgp": {"hold_time": 30}}, {"kernel": {"onlink": False}}, {"kernel": {"onlink": None}, "bgp": {"hold_time": None}}):
        world.one.configure(changes)
        world.one.calidris("reload")


def reload_metrics(world):
    for changes in ({"kernel": {"metric": 77}}, {"kernel": {"metric": None}}):
        world.one.configure(changes)
        world.one.calidris("reload")
        wait_for(world.whole, "all is written")


def bad_configuration(world):
    text = world.one.config_file.read_text()
    world.one.write_config("bgp: {hold_time: soon}\n")
    assert world.one.calidris("reload", check=False).returncode
    world.one.reload()
    world.one.write_config(text)
    world.one.calidris("reload")


def datastore_away(world):
    away = world.cluster.objects.rename(world.cluster.objects.with_name("away"))
    for node in (world.one, world.two):
        wait_for(lambda node=node: not node.show("status")["datastore"]["in_sync"], "it is missed")
    kill(world)
    away.rename(world.cluster.objects)


def peers_away(world):
    """Every peer is gone, and comes back before its restart time is over."""
    world.two.kill()
    wait_for(lambda: not world.one.show("status")["peers"]["up"], "the session ends")
    kill(world)
    world.two.start()


def link_cut(world):
    """The cable of the node is pulled: that ends sessions, but the routes are kept."""
    world.one.segment.cut(world.one)
    wait_for(lambda: "NO-CARRIER" in run(["ip", "-n", world.one.name, "link", "show", "eth0"]), "the carrier is gone")
    time.sleep(0.2)
    moment = time.monotonic()
    world.one.segment.cut(world.one, down=False)
    return moment


def uplink_renamed(world):
    """Names are the user's business; the kernel sends by index."""
    for name, new in (("eth0", "uplink"), ("uplink", "eth0")):
        world.one.ip(f"link set {name} name {new}")
        assert wait_for(lambda new=new: world.one.route(world.two.blocks[0])["dev"] == new, "the route follows")
        wait_for(world.whole, "all is as before")


def uplink_settings(world):
    """The node's addresses and default routes, as the network manager has them."""
    lines = ["link set eth0 up"]
    lines += [f"addr add {address} dev eth0{' nodad' if is6(address) else ''}" for address in world.one.addresses]
    lines += [f"route replace default via {gateway.split('/')[0]} dev eth0" for gateway in world.one.segment.gateways]
    return lines


def uplink_down(world):
    world.one.ip("link set eth0 down")
    wait_for(lambda: not world.one.route(world.two.blocks[0]), "the kernel has dropped the routes")
    moment = time.monotonic()
    # The kernel keeps IPv4 addresses of an interface that is down.
    world.one.ip("link set eth0 up", *(line for line in uplink_settings(world)[1:] if "addr" not in line or ":" in line))
    return moment


def uplink_through_another_namespace(world):
    world.one.ip("link set eth0 netns fabric name guest")
    wait_for(lambda: not world.one.route(world.two.blocks[0]), "the kernel has dropped the routes")
    time.sleep(0.1)
    moment = time.monotonic()
    world.cluster.fabric.ip(f"link set guest netns {world.one.name} name eth0")
    world.one.ip(*uplink_settings(world))
    return moment


def uplink_made_anew(world):
    """As when its driver is loaded anew: the same name, the same MAC address, another interface."""
    port, lan = world.one.port, world.one.segment.name
    mac = json.loads(world.one.run("ip", "-j", "link", "show", "eth0"))[0]["address"]
    world.one.ip("link del eth0")
    wait_for(lambda: not world.one.route(world.two.blocks[0]), "the kernel has dropped the routes")
    time.sleep(0.1)
    moment = time.monotonic()
    world.cluster.fabric.ip(f"link add {port} type veth peer name eth0 address {mac} netns {world.one.name}",
                            f"link set {port} master {lan} up")
    world.one.ip(*uplink_settings(world))
    return moment


def uplink_to_another_bridge(world):
    """And back. The MAC addresses of the others are somewhere else, now, and the sessions outlive it."""
    port, lan = world.one.port, world.one.segment.name
    world.cluster.fabric.ip("link add elsewhere type bridge", "link set elsewhere up", f"link set {port} master elsewhere")
    time.sleep(0.3)
    moment = time.monotonic()
    world.cluster.fabric.ip(f"link set {port} master {lan}", "link del elsewhere")
    return moment


def further_address(world):
    """It comes and goes beside the one that is used."""
    lines = ["172.18.0.77/24", "172.31.0.1/24", "fd00:18::77/64", "fd00:31::1/64"]
    for verb in ("add", "del"):
        world.one.ip(*(f"addr {verb} {address} dev eth0" + (" nodad" if verb == "add" and is6(address) else "") for address in lines))
        time.sleep(0.1)


def address_flaps(world):
    """The addresses in use go, and come back: the kernel drops all IPv4 routes of an interface without an address."""
    world.one.ip("addr flush dev eth0")
    wait_for(lambda: not world.one.route(world.two.blocks[0]), "the kernel has dropped the routes")
    moment = time.monotonic()
    world.one.ip(*uplink_settings(world))
    return moment


def routes_deleted(world):
    moment = time.monotonic()
    world.one.ip(*(f"route del {block}" for block in world.two.blocks), *(f"route del {address}" for address in world.beside.addresses))
    return moment


def routes_replaced(world):
    """By routes of somebody else that lead nowhere, at the same metric and at a better one."""
    moment = time.monotonic()
    world.one.ip(*(f"route replace unreachable {block} metric 1024 proto static" for block in world.two.blocks),
                 *(f"route replace unreachable {address} metric 1024 proto static" for address in world.beside.addresses))
    return moment


def routes_flushed(world):
    moment = time.monotonic()
    for family in (4, 6):
        world.one.run("ip", f"-{family}", "route", "flush", "proto", 186)
    return moment


def pods_interface_down(world):
    world.one.ip(f"link set {world.beside.interface} down")
    wait_for(lambda: not world.one.route(world.beside.ip4), "the kernel has dropped the route")
    moment = time.monotonic()
    world.one.ip(f"link set {world.beside.interface} up")
    return moment


def pods_interface_renamed(world):
    name = world.beside.interface
    world.one.ip(f"link set {name} name calielsewhere")
    wait_for(lambda: not world.one.route(world.beside.ip4), "its route goes, since the object names an interface that is not there")
    moment = time.monotonic()
    world.one.ip(f"link set calielsewhere name {name}")
    return moment


def pods_interface_made_anew(world):
    """The pod keeps its addresses and gets another veth of the same name, as when its sandbox is made anew."""
    world.one.ip(f"link del {world.beside.interface}")
    moment = time.monotonic()
    world.beside.wire()
    return moment


def pods_interface_through_another_namespace(world):
    name = world.beside.interface
    world.one.ip(f"link set {name} netns fabric")
    wait_for(lambda: not world.one.route(world.beside.ip4), "the kernel has dropped the route")
    moment = time.monotonic()
    world.cluster.fabric.ip(f"link set {name} netns {world.one.name}")
    world.one.ip(f"link set {name} up")
    return moment


def pod_renamed_with_its_object(world):
    """Another name for the interface, and the object says so."""
    old = world.beside.interface
    world.one.ip(f"link set {old} name calianother")
    world.cluster.write(workload_endpoint(world.one.name, world.beside.pod, "calianother", world.beside.addresses))
    wait_for(lambda: world.one.route(world.beside.ip4), "its route")
    moment = time.monotonic()
    world.one.ip(f"link set calianother name {old}")
    world.cluster.write(world.beside.object())
    return moment


def tunnels_deleted(world):
    moment = time.monotonic()
    world.one.ip(*(f"link del {device}" for device in DEVICES))
    return moment


def tunnels_down(world):
    moment = time.monotonic()
    world.one.ip(*(f"link set {device} down" for device in DEVICES))
    return moment


def tunnel_entries_deleted(world):
    """Neighbours and forwarding entries of the tunnels."""
    moment = time.monotonic()
    for device in DEVICES:
        world.one.run("ip", "neigh", "flush", "dev", device, "nud", "permanent")
        for row in json.loads(world.one.run("bridge", "-j", "fdb", "show", "dev", device)):
            if "dst" in row:
                world.one.run("bridge", "fdb", "del", row["mac"], "dev", device, "dst", row["dst"])
    return moment


def events_lost(world):
    """More happens than the socket's buffer holds while the daemon does not look; some of it is about our routes."""
    node, before = world.one, world.counters()
    victims = [world.two.blocks[0], world.two.blocks[1], world.beside.ip4]
    node.process.send_signal(signal.SIGSTOP)
    try:
        storm(node, 40000)
        node.ip(*(f"route del {prefix}" for prefix in victims))
    finally:
        moment = time.monotonic()
        node.process.send_signal(signal.SIGCONT)
    node.wait_log("events from the kernel were lost")
    world.settle()
    after = world.counters()
    assert after["resyncs"] > before["resyncs"]
    assert (after["writes"] - before["writes"], after["deletes"] - before["deletes"]) == (len(victims), 0), (before, after)
    assert after["repaired"] - before["repaired"] == len(victims)
    storm(node, 40000, "del")
    return moment


def storm(node, count, verb="add"):
    """Routes of somebody else's, that many."""
    node.ip(*(f"route {verb} unreachable 198.{18 + number // 32768}.{number // 128 % 256}.{number % 128 * 2}/31 proto static metric 7"
              for number in range(count)))


def fight(world):
    """A network manager that takes our routes away every 20 ms for two seconds: they are put back, but more and more slowly,
    and people are told."""
    node, before, until = world.one, world.counters(), time.monotonic() + 2
    while time.monotonic() < until:
        for family in (4, 6):
            node.run("ip", f"-{family}", "route", "flush", "root", "10.244.2.0/24" if family == 4 else "fd00:10:244:2::/64")
        time.sleep(0.02)
    moment = time.monotonic()
    problems = "\n".join(node.show("problems")["problems"])
    assert re.search(r"others keep removing or changing \d of our routes", problems), problems
    # The log tells a few, and how many more; the event before may have had its share.
    node.wait_log(r"metric 1024: others have removed or changed our route \d+ times")
    world.settle()
    written = world.counters()["writes"] - before["writes"]
    assert 2 * 4 <= written <= 2 * 15, written
    assert not node.show("problems")["problems"]
    return moment


def pools_become(world, number, mode):
    world.cluster.write(*(world.encapsulation.pools(mode) if number == 245 else
                          [ip_pool(cidr, vxlanMode=mode) for cidr in ("10.244.0.0/16", "fd00:10:244::/48")]))
    device = "vxlan" if mode == "Always" else "eth0"
    for node, other in ((world.one, world.two), (world.two, world.one)):
        for block in other.blocks:
            if block.startswith((f"10.{number}.", f"fd00:10:{number}:")):
                wait_for(lambda node=node, block=block: (node.route(block) or {}).get("dev", "").startswith(device),
                         lambda node=node, block=block: f"{node.name}: {block} through {device}: {node.route(block)}")


def plain_to_tunnels_and_back(world):
    """A pool that has no encapsulation gets it, where another pool has the devices already."""
    pools_become(world, 244, "Always")
    pools_become(world, 244, "Never")
    assert not world.watch.times(RouteWatch.DELETED), "a route was removed before the other one was there"


def tunnels_to_plain(world):
    """The last pools that need the devices, which stay until nobody sends through them any more."""
    pools_become(world, 245, "Never")
    for node in (world.one, world.two):
        wait_for(lambda node=node: not any(node.run("ip", "link", "show", device, check=False).returncode == 0 for device in DEVICES),
                 lambda node=node: f"{node.name}'s devices go")
    assert not any(gaps for _judged, gaps in world.floods.report().values())
    # And back: who is the first to use it sends to those who are not ready yet.
    moment = time.monotonic()
    pools_become(world, 245, "Always")
    return moment


def several_at_once(world):
    """The daemon is killed, and while it is away routes go, the pod's interface is renamed and back, the uplink gets a further
    address, the tunnels' devices go."""
    node = world.one
    node.kill()
    moment = time.monotonic()
    node.ip(f"route del {world.two.blocks[0]}", f"link del {DEVICES[0]}", "addr add 172.18.0.77/24 dev eth0",
            f"link set {world.beside.interface} name calielsewhere", f"link set calielsewhere name {world.beside.interface}",
            f"route replace unreachable {world.two.blocks[1]} metric 1024 proto static")
    world.two.reload()
    node.start()
    node.ip("addr del 172.18.0.77/24 dev eth0")
    return moment


def renumber(world, addresses, order):
    """The node gets other addresses. `beside`: both are there while everybody changes over; `at_once`: the old ones are gone
    before anybody knows."""
    node, old = world.one, list(world.one.addresses)
    add = [f"addr add {address} dev eth0{' nodad' if is6(address) else ''}" for address in addresses]
    remove = [f"addr del {address} dev eth0" for address in old]
    routes = [line for line in uplink_settings(world) if "route" in line]
    node.addresses, moment = addresses, None
    if order == "beside":
        node.ip(*add)
        # An IPv6 address answers only when the kernel's workers have been through with it, a moment later.
        for address in addresses:
            wait_for(lambda address=address: not world.two.run("ping", "-c", 1, "-W", 1, address.split("/")[0],
                                                               check=False).returncode, f"{address} answers")
        node.publish()
        wait_for(lambda: renumbered(world), lambda: f"everybody uses the new addresses: {sorted(world.picture(world.two))}", 40)
        node.ip(*remove)
    else:
        node.ip(*add, *remove, *routes)
        moment = time.monotonic()
        node.publish()
    wait_for(lambda: renumbered(world), lambda: f"everybody uses the new addresses: {sorted(world.picture(world.two))}", 40)
    wait_for(world.whole, lambda: f"all is there: {world.what_is_missing()}\n{world.one.log_tail()}", 40)
    return moment


def renumbered(world):
    """The other node's routes and forwarding entries lead to the present addresses."""
    rows = world.picture(world.two)
    have = {row[1:3] for row in rows if row[0] == "route"} | {row[3] for row in rows if row[0] == "forwarding"}
    wanted = {(block, world.one.address(6 if is6(block) else 4)) for block in world.one.blocks[:2]}
    return wanted <= have and {world.one.ip4, world.one.ip6} <= have


def renumbered_and_back(order):
    def change(world):
        old = list(world.one.addresses)
        with world.one.inside():
            # What is left of a network when the first address goes becomes the first.
            world.one.sysctl("net.ipv4.conf.all.promote_secondaries", 1)
        renumber(world, ["172.18.0.101/24", "fd00:18::101/64"], order)
        return renumber(world, old, order)
    change.__name__ = f"renumbered_{order}"
    return change


EVENTS = [
    Event(nothing),
    Event(kill),
    Event(stop_and_start),
    Event(crash_with(signal.SIGSEGV)),
    Event(crash_with(signal.SIGABRT)),
    Event(kill_all),
    Event(upgrade),
    Event(reload, rewrites=True),
    Event(reload_metrics, rewrites=True),
    Event(bad_configuration),
    Event(datastore_away),
    Event(peers_away),
    Event(uplink_renamed),
    Event(further_address),
    Event(events_lost, {"plain4", "plain6", "near4"}),
    Event(link_cut, REMOTE),
    Event(uplink_to_another_bridge, REMOTE),
    Event(uplink_down, REMOTE),
    Event(uplink_through_another_namespace, REMOTE),
    Event(uplink_made_anew, REMOTE),
    Event(address_flaps, REMOTE),
    Event(pods_interface_down, NEAR),
    Event(pods_interface_renamed, NEAR),
    Event(pods_interface_made_anew, NEAR),
    Event(pods_interface_through_another_namespace, NEAR),
    Event(pod_renamed_with_its_object, NEAR),
    Event(tunnels_deleted, VXLAN),
    Event(tunnels_down, VXLAN),
    Event(tunnel_entries_deleted, VXLAN),
    Event(plain_to_tunnels_and_back, rewrites=True),
    Event(tunnels_to_plain, VXLAN),
    Event(several_at_once, {"plain4", "plain6", "vxlan4", "near4", "near6"}),
    Event(routes_deleted, NEAR | REMOTE),
    Event(routes_replaced, NEAR | REMOTE),
    Event(routes_flushed, ALL),
    Event(fight, PLAIN, within=8),
    Event(renumbered_and_back("beside")),
    Event(renumbered_and_back("at_once"), REMOTE),
]


@pytest.fixture(scope="module")
def world(new_shared_cluster):
    return World(new_shared_cluster(), blinks.VXLAN)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_event(world, event):
    blinks.happen(world, event)
