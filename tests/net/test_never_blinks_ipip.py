"""As test_never_blinks, with IP-in-IP in the place of VXLAN: what that has of its own, and restarts over it.

Runs on a kernel of its own (uml.py), since the host's may have no IP-in-IP."""

import time

import pytest

import blinks
from blinks import PLAIN, Event, World
from netns import is6, wait_for

KERNEL = "uml"
TAKES = 40  # s: it begins early

IPIP = blinks.IPIP.kinds


def kill(world):
    world.one.kill()
    world.one.start()


def mode_changes(world):
    """Both ways are there all the time: not one packet."""
    block = world.two.blocks[2]
    for mode, device in (("Never", "eth0"), ("Always", "tunl0"), ("CrossSubnet", "eth0"), ("Always", "tunl0")):
        world.cluster.write(*world.encapsulation.pools(mode))
        wait_for(lambda device=device: world.one.route(block)["dev"] == device, f"{mode}: through {device}")


def device_down(world):
    moment = time.monotonic()
    world.one.ip("link set tunl0 down")
    return moment


def address_flaps(world):
    world.one.ip("addr flush dev tunl0")


def routes_deleted(world):
    moment = time.monotonic()
    world.one.ip(*(f"route del {block}" for block in world.two.blocks))
    return moment


def uplink_through_another_namespace(world):
    world.one.ip("link set eth0 netns fabric name guest")
    wait_for(lambda: not world.one.route(world.two.blocks[0]), "the kernel has dropped the routes")
    moment = time.monotonic()
    world.cluster.fabric.ip(f"link set guest netns {world.one.name} name eth0")
    world.one.ip("link set eth0 up",
                 *(f"addr add {address} dev eth0{' nodad' if is6(address) else ''}" for address in world.one.addresses),
                 *(f"route replace default via {gateway.split('/')[0]} dev eth0" for gateway in world.one.segment.gateways))
    return moment


EVENTS = [
    Event(kill),
    Event(mode_changes, rewrites=True),
    Event(address_flaps, IPIP, rewrites=True),
    Event(device_down, IPIP),
    Event(routes_deleted, PLAIN | IPIP),
    Event(uplink_through_another_namespace, PLAIN | IPIP),
]


@pytest.fixture(scope="module")
def world(new_shared_cluster):
    return World(new_shared_cluster(), blinks.IPIP)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_event(world, event):
    blinks.happen(world, event)
