"""Routers beside a node, for tests of tables of its kernel: BIRD, each in an AS of its own, with routes to announce."""

import re

from netns import run, wait_for
from peers import BirdNode

TEXT = """
log stderr all;
router id {address};
protocol device {{ scan time 2; }}
protocol static {{ ipv4; {routes} }}
protocol kernel {{ ipv4 {{ import none; export where source = RTS_BGP; }}; }}
protocol bgp node {{
  local {address} as {own};
  neighbor {remote} as 64512;
  {options}
  connect delay time 1; connect retry time 2; error wait time 1, 2;
  ipv4 {{ import all; export where source = RTS_STATIC; }};
}}
"""


class Router(BirdNode):
    """Announces the prefixes, and has an address in each of them that answers pings."""

    @property
    def own(self):
        return 65100 + self.index

    def begin(self, remote, prefixes, options="", more=""):
        """more: of the configuration."""
        for prefix in prefixes:
            self.ip(f"addr add {prefix.replace('.0/24', '.1/32')} dev lo")
        self.remote, self.prefixes, self.more = remote, prefixes, more
        self.begin_again(options)

    def begin_again(self, options=""):
        self.start(TEXT.format(address=self.ip4, own=self.own, remote=self.remote, options=options,
                               routes="".join(f"route {prefix} blackhole;" for prefix in self.prefixes)) + self.more)

    def has(self, prefix):
        """Has the node announced it?"""
        shown = run(["birdc", "-s", self.socket, "show", "route", prefix, "protocol", "node"], check=False).stdout
        return re.search(rf"^{re.escape(prefix)}", shown, re.MULTILINE) is not None

    def wait_has(self, prefix):
        wait_for(lambda: self.has(prefix), f"{self.name} has {prefix}", 30)


def table_of(node, table):
    """{prefix: (next hop or device or type, protocol)}"""
    return {route["dst"]: (route.get("gateway") or (route.get("dev") if route.get("type") != "blackhole" else "blackhole"),
                           route["protocol"]) for route in node.routes(4, table)}


MARK = "192.0.0.8"


def ours(node, table):
    """The same, of this daemon's alone, without the mark by which it knows its tables."""
    found = {prefix: way for prefix, (way, protocol) in table_of(node, table).items() if protocol == "bgp"}
    found.pop(MARK, None)
    return found
