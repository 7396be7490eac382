"""Routers of a fabric that speak BGP with BFD to one node: the distribution's FRR and BIRD, configured alike."""

import contextlib
import json
import os
import re

from harness import Node, wait_for
from peers import BirdNode, FrrNode

FAST = 100  # ms: detection within 300 ms, which leaves a busy machine some room
AS = 65001

FRR_BGP = """
router bgp {own_as}
 bgp router-id {router_id}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 no bgp network import-check
 bgp graceful-restart
 neighbor {peer} remote-as 64512
 neighbor {peer} timers connect 1
 {multihop}
 neighbor {peer} bfd
 neighbor {peer} bfd profile fast
 address-family ipv{family} unicast
  network {prefix}
  neighbor {peer} activate
 exit-address-family
"""
FRR_BFD = """
bfd
 profile fast
  transmit-interval {interval}
  receive-interval {interval}
  detect-multiplier 3
"""

BIRD = """
log stderr all;
router id {router_id};
protocol device {{}}
protocol kernel kernel4 {{ ipv4 {{ import none; export all; }}; persist; graceful restart; }}
protocol kernel kernel6 {{ ipv6 {{ import none; export all; }}; persist; graceful restart; }}
protocol static own4 {{ ipv4; route {prefix4} blackhole; }}
protocol static own6 {{ ipv6; route {prefix6} blackhole; }}
protocol bfd {{
  interface "eth0" {{ min tx interval {interval} ms; min rx interval {interval} ms; multiplier 3; }};
  multihop {{ min tx interval {interval} ms; min rx interval {interval} ms; multiplier 3; }};
}}
protocol bgp node {{
  local {own} as {own_as};
  neighbor {peer} as 64512;
  {multihop}
  connect delay time 1; connect retry time 2; error wait time 1, 2;
  graceful restart; bfd {bfd};
  ipv{family} {{ import all; {recursive} export where source = RTS_STATIC; }};
}}
"""


def prefer(*processes):
    """Detection times of 300 ms and less are about these processes, and not about what else runs on the machine: it shall not decide,
    where we may say so. All their threads: the one of FRR's that sees a connection's end must not come after BFD's word."""
    for process in processes:
        for thread in os.listdir(f"/proc/{process.pid}/task"):
            with contextlib.suppress(PermissionError, ProcessLookupError):
                os.sched_setscheduler(int(thread), os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


class PromptNode(Node):
    def start(self, wait=True, **options):
        super().start(wait=False, **options)
        prefer(self.process)
        if wait:
            self.wait_up()


class Router:
    """What both have in common. `begin` starts it with a session to the node on addresses of this family; it announces one
    prefix."""

    own_as = AS

    def describe(self, node, family, multihop=False, interval=FAST, **options):
        self.family, self.peer, self.own, self.interval = family, node.address(family), self.address(family), interval
        prefix4, prefix6 = "10.99.0.0/24", "fd00:99::/64"
        self.prefix = prefix6 if family == 6 else prefix4
        return {"prefix4": prefix4, "prefix6": prefix6, "prefix": self.prefix, "family": family, "own": self.own,
                "peer": self.peer, "own_as": self.own_as, "interval": interval, "router_id": f"10.0.9.{self.index}",
                "multihop": multihop, **options}


class FrrRouter(FrrNode, Router):
    own_name = "frr"

    def begin(self, node, family, **options):
        words = self.describe(node, family, **options)
        words["multihop"] = f"neighbor {self.peer} ebgp-multihop 4" if words["multihop"] else ""
        self.start(FRR_BGP.format(**words), bfdd=FRR_BFD.format(**words))
        prefer(*self.processes)

    def bfd_state(self):
        """Up or down, as FRR says it; None if there is no session."""
        return next((one["status"] for one in json.loads(self.vtysh("show bfd peers json")) if one["peer"] == self.peer), None)

    def is_bfd_up(self):
        return self.bfd_state() == "up"

    def bgp_info(self):
        return json.loads(self.vtysh("show bgp neighbors json"))[self.peer]

    def times_established(self):
        return self.bgp_info().get("connectionsEstablished", 0)


class BirdRouter(BirdNode, Router):
    own_name = "bird"

    def begin(self, node, family, bfd="on", **options):
        words = self.describe(node, family, bfd=bfd, **options)
        words["recursive"] = "gateway recursive;" if words["multihop"] else ""
        words["multihop"] = "multihop 4;" if words["multihop"] else "direct;"
        self.start(BIRD.format(**words))
        prefer(*self.processes)

    def bfd_state(self):
        found = re.search(rf"(?m)^{re.escape(self.peer)}\s+\S+\s+(\w+)\s", self.birdc("show", "bfd", "sessions"))
        return found and found.group(1)

    def is_bfd_up(self):
        return self.bfd_state() == "Up"


def watched_peer(router, **spec):
    """What the node's BGPPeer says of it."""
    return {"peerIP": router.own, "asNumber": router.own_as,
            "bfd": {"enabled": True, "transmitInterval": router.interval, "receiveInterval": router.interval, **spec}}


def bfd_of(node, router):
    """The node's side of the session; None if there is none."""
    return next((one for one in node.show("bfd")["bfd"] if one["address"] == router.own), None)


def wait_watched(node, *routers, timeout=15):
    """Both sides have it up, and at the speed that was asked for."""
    for router in routers:
        def settled(router=router):
            session = bfd_of(node, router)
            return (session and session["state"] == "Up" and session["detection_time_ms"] == 3 * router.interval and
                    router.is_bfd_up())
        wait_for(settled, lambda router=router: f"{node.name} watches {router.name}: {bfd_of(node, router)}, and there: "
                 f"{router.bfd_state()}\n{node.log_tail()}", timeout)


__all__ = ["AS", "FAST", "BirdRouter", "FrrRouter", "PromptNode", "bfd_of", "prefer", "wait_watched", "watched_peer"]
