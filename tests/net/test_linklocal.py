"""Peers on a link: by link-local address, and unnumbered, found by router advertisements; IPv4 routes over IPv6 next hops.

Two machines with a cable between them (eth1), which has link-local addresses and nothing else. Whether pods reach each other
over it is seen by pings."""

import json
import re
import time

import pytest

from harness import Node
from netns import wait_for
from objects import bgp_peer
from peers import BirdNode, FrrNode, GobgpNode
from test_resources import cpu_seconds

TAKES = 30  # s: it begins early


def wire(left, right, name="eth1", addresses=None):
    """A cable; both ends have this name, and these link-local addresses instead of those of their MACs."""
    left.ip(f"link add {name} type veth peer name {name} netns {right.name}")
    for number, host in enumerate((left, right)):
        if addresses:
            with host.inside():
                host.sysctl(f"net.ipv6.conf.{name}.addr_gen_mode", 1)
            host.ip(f"addr add {addresses[number]}/64 dev {name} nodad")
        host.ip(f"link set {name} up")


def link_local(host, name="eth1"):
    """The address that the host has there; a moment after the link came up."""
    def find():
        found = re.search(r"inet6 (fe80\S+)/64", host.run("ip", "-6", "addr", "show", "dev", name, "scope", "link"))
        return found and found.group(1)
    return wait_for(find, f"{host.name}: a link-local address on {name}")


def route_to(host, block):
    """The block's route as `ip -j route` has it: {"via": {"family": "inet6", "host": ...}} for an IPv4 route."""
    return host.route(block) or {}


def gateway(route):
    return route.get("gateway") or route.get("via", {}).get("host")


def peers(node):
    return {peer["name"]: peer for peer in node.show("peers")["peers"]}


def wait_up(node, name):
    return wait_for(lambda: peers(node).get(name, {}).get("state") == "Established" and peers(node)[name],
                    lambda: json.dumps(peers(node), indent=1))


class Pair:
    """node-1 in AS 64512, and another machine in AS 65001, each with a pod."""

    def __init__(self, cluster, kind=Node, cables=1):
        self.cluster = cluster
        self.one = cluster.add_node("node-1")
        self.two = cluster.add_host(kind, "node-2", as_number=65001)
        wire(self.one, self.two)
        if cables > 1:
            wire(self.one, self.two, "eth2")
        self.pods = [host.add_pod(f"pod-{host.index}", cni=not isinstance(host, Node)) for host in (self.one, self.two)]

    def peer(self, name, node, **spec):
        self.cluster.write(bgp_peer(name, node=node.name, **spec))

    def check_traffic(self, device="eth1"):
        """Both families cross the cable, both ways."""
        for host, other in ((self.one, self.two), (self.two, self.one)):
            for block in other.blocks:
                wait_for(lambda host=host, block=block: route_to(host, block).get("dev") == device,
                         lambda host=host, block=block: f"{host.name}: {block} over {device}: {route_to(host, block)}")
                assert gateway(route_to(host, block)).startswith("fe80::")
        for source, target in (self.pods, reversed(self.pods)):
            for address in target.addresses:
                assert source.pings(address), f"{source.pod} to {address}"


@pytest.fixture
def pair(new_cluster):
    return Pair(new_cluster(mesh=False))


def test_link_local_peers(pair):
    """By address and interface; IPv4 and IPv6 over one session, without an address of either on the cable."""
    one, two = link_local(pair.one), link_local(pair.two)
    pair.peer("to-two", pair.one, peerIP=two, interface="eth1", asNumber=65001)
    pair.peer("to-one", pair.two, peerIP=one, interface="eth1", asNumber=64512)
    pair.cluster.start()
    name = f"Node_{two.replace(':', '_')}_eth1"
    peer = wait_up(pair.one, name)
    assert peer["address"] == f"{two}%eth1"
    pair.check_traffic()
    detail = pair.one.show("peers", f"{two}%eth1")["peer"]
    assert detail["interface"] == "eth1" and detail["local_address"] == f"{one}%eth1"
    assert detail["capabilities"]["families"] == "ipv4, ipv6"
    assert pair.one.show("peers", two)["peer"]["name"] == name
    # The interface loses its name, and the session its peer; then it has it again.
    pair.one.ip("link set eth1 down", "link set eth1 name other", "link set other up")
    wait_for(lambda: "there is no interface eth1" in peers(pair.one)[name]["info"], lambda: peers(pair.one)[name])
    wait_for(lambda: not route_to(pair.one, pair.two.blocks[0]), "its routes go")
    pair.one.ip("link set other down", "link set other name eth1", "link set eth1 up")
    wait_up(pair.one, name)
    pair.check_traffic()
    # It goes, and comes back with another index.
    pair.one.ip("link del eth1")
    wait_for(lambda: peers(pair.one)[name]["state"] != "Established", lambda: peers(pair.one)[name])
    wire(pair.one, pair.two, addresses=(one, two))
    wait_up(pair.one, name)
    pair.check_traffic()


def test_same_address_on_two_links(pair):
    """fe80::1 at the end of each of two cables: two peers, and what each has told leads over its own."""
    pair.one.ip("link del eth1")
    third = pair.cluster.add_host(Node, "node-3", as_number=65002)
    wire(pair.one, pair.two, "eth1", ("fe80::aa", "fe80::1"))
    wire(pair.one, third, "eth2", ("fe80::bb", "fe80::1"))
    pair.peer("two", pair.one, peerIP="fe80::1", interface="eth1", asNumber=65001)
    pair.peer("three", pair.one, peerIP="fe80::1", interface="eth2", asNumber=65002)
    pair.peer("one-of-two", pair.two, peerIP="fe80::aa", interface="eth1", asNumber=64512)
    pair.peer("one-of-three", third, peerIP="fe80::bb", interface="eth2", asNumber=64512)
    pair.cluster.start()
    for name in ("Node_fe80__1_eth1", "Node_fe80__1_eth2"):
        wait_up(pair.one, name)
    for host, device in ((pair.two, "eth1"), (third, "eth2")):
        for block in host.blocks:
            wait_for(lambda block=block, device=device: route_to(pair.one, block).get("dev") == device,
                     lambda: pair.one.show("routes"))
            assert gateway(route_to(pair.one, block)) == "fe80::1"
    # What it passes on from the one to the other has its own address on the other's link as next hop.
    for block in third.blocks:
        wait_for(lambda block=block: gateway(route_to(pair.two, block)) == "fe80::aa", lambda: pair.two.show("routes"))
    pair.check_traffic()


def test_unnumbered(pair):
    """Nothing is said but the interface: not the address, not the AS."""
    pair.peer("fabric", pair.one, interface="eth1")
    pair.peer("cluster", pair.two, interface="eth1")
    pair.one.start()
    wait_for(lambda: "router advertisement on eth1" in peers(pair.one).get("Node_eth1", {}).get("info", ""),
             lambda: peers(pair.one))
    pair.two.start()
    peer = wait_up(pair.one, "Node_eth1")
    assert (peer["address"], peer["as"]) == (f"{link_local(pair.two)}%eth1", 65001)
    pair.check_traffic()
    # The other machine is replaced by one with another address.
    pair.two.terminate()
    pair.one.ip("link del eth1")
    wire(pair.one, pair.two, addresses=("fe80::a", "fe80::b"))
    pair.two.start()
    wait_for(lambda: peers(pair.one)["Node_eth1"]["address"] == "fe80::b%eth1", lambda: peers(pair.one))
    wait_up(pair.one, "Node_eth1")
    pair.check_traffic()


def test_advertisements(pair):
    """What is sent is what RFC 4861 says, and takes nobody for a default router."""
    capture = pair.two.popen(["tshark", "-i", "eth1", "-c", "1", "-f", "icmp6 and ip6[40] == 134", "-T", "json"],
                             stdout=-1, stderr=-3, text=True)
    pair.peer("fabric", pair.one, interface="eth1")
    pair.one.start()
    packet = json.loads(capture.communicate(timeout=120)[0])[0]["_source"]["layers"]
    assert packet["ipv6"]["ipv6.hlim"] == "255" and packet["ipv6"]["ipv6.dst"] == "ff02::1"
    assert packet["ipv6"]["ipv6.src"] == link_local(pair.one)
    assert packet["icmpv6"]["icmpv6.nd.ra.router_lifetime"] == "0"
    assert packet["icmpv6"]["icmpv6.checksum.status"] == "1"
    assert "_ws.expert" not in json.dumps(packet["icmpv6"])


FRR = """
frr defaults datacenter
router bgp 65001
 bgp router-id {ip4}
 no bgp ebgp-requires-policy
 neighbor eth1 interface remote-as external
 address-family ipv4 unicast
  network {block4}
 exit-address-family
 address-family ipv6 unicast
  network {block6}
  neighbor eth1 activate
 exit-address-family
"""


def test_frr_unnumbered(new_cluster):
    """FRR's `neighbor eth1 interface remote-as external`."""
    pair = Pair(new_cluster(mesh=False), FrrNode)
    frr = pair.two
    names = {"ip4": frr.ip4, "block4": frr.blocks[0], "block6": frr.blocks[1]}
    pair.peer("fabric", pair.one, interface="eth1")
    pair.one.start()
    # FRR's static routes are staticd's; blackholes of the kernel serve as well.
    frr.ip(f"route add blackhole {frr.blocks[0]}", f"route add blackhole {frr.blocks[1]}")
    frr.start(FRR.format(**names), "interface eth1\n ipv6 nd ra-interval 3\n")
    wait_up(pair.one, "Node_eth1")
    pair.check_traffic()
    summary = json.loads(frr.vtysh("show bgp neighbors eth1 json"))["eth1"]
    assert summary["bgpState"] == "Established"
    assert summary["neighborCapabilities"]["extendedNexthop"] == "advertisedAndReceived"


GOBGP = """
[global.config]
  as = 65001
  router-id = "{ip4}"
[[neighbors]]
[neighbors.config]
  peer-as = 64512
  neighbor-interface = "eth1"
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
  afi-safi-name = "ipv4-unicast"
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
  afi-safi-name = "ipv6-unicast"
"""


def test_gobgp_unnumbered(new_cluster):
    """GoBGP's `neighbor-interface`: it asks its kernel who is there, which must have spoken to us before."""
    pair = Pair(new_cluster(mesh=False), GobgpNode)
    gobgp, ours = pair.two, link_local(pair.one)
    pair.peer("fabric", pair.one, interface="eth1")
    pair.one.start()
    wait_for(lambda: gobgp.run("ping", "-c", 1, "-W", 1, f"{ours}%eth1", check=False).returncode == 0, "GoBGP's kernel knows us")
    gobgp.start(GOBGP.format(ip4=gobgp.ip4))
    for block in gobgp.blocks:
        gobgp.originate(block)
    # It does not write to its kernel.
    gobgp.ip(*(f"route add {block} via {'' if ':' in block else 'inet6 '}{ours} dev eth1" for block in pair.one.blocks))
    wait_up(pair.one, "Node_eth1")
    pair.check_traffic()


BIRD = """
log stderr all;
router id {ip4};
protocol device {{ scan time 2; }}
protocol direct {{ ipv4; ipv6; interface "cali*"; }}
protocol kernel kernel4 {{ ipv4 {{ import all; export all; }}; learn; }}
protocol kernel kernel6 {{ ipv6 {{ import all; export all; }}; learn; }}
protocol static blocks4 {{ ipv4; route {block4} blackhole; }}
protocol static blocks6 {{ ipv6; route {block6} blackhole; }}
protocol bgp fabric {{
  local as 65001;
  neighbor range fe80::/10 external;
  interface "eth1";
  dynamic name "client";
  ipv4 {{ extended next hop on; import all; export where source = RTS_STATIC; next hop self; }};
  ipv6 {{ import all; export where source = RTS_STATIC; next hop self; }};
}}
"""


def test_bird_dynamic(new_cluster):
    """BIRD's `neighbor range fe80::/10 external; interface "eth1"`, which waits: it is named, and found."""
    pair = Pair(new_cluster(mesh=False), BirdNode)
    bird = pair.two
    bird.start(BIRD.format(ip4=bird.ip4, block4=bird.blocks[0], block6=bird.blocks[1]))
    pair.peer("fabric", pair.one, peerIP=link_local(bird), interface="eth1", asNumber=65001)
    pair.one.start()
    wait_up(pair.one, f"Node_{link_local(bird).replace(':', '_')}_eth1")
    pair.check_traffic()


def test_bird_unnumbered(new_cluster):
    """The same without a name: BIRD advertises itself by its protocol radv."""
    pair = Pair(new_cluster(mesh=False), BirdNode)
    bird = pair.two
    bird.start(BIRD.format(ip4=bird.ip4, block4=bird.blocks[0], block6=bird.blocks[1]) + """
protocol radv { interface "eth1" { max ra interval 4; min ra interval 3; default lifetime 0; }; }
""")
    pair.peer("fabric", pair.one, interface="eth1")
    pair.one.start()
    peer = wait_up(pair.one, "Node_eth1")
    assert peer["address"] == f"{link_local(bird)}%eth1"
    pair.check_traffic()


def test_bird_calls(new_cluster):
    """An unnumbered peer that does not advertise itself calls, and that is enough."""
    pair = Pair(new_cluster(mesh=False), BirdNode)
    bird = pair.two
    config = BIRD.format(ip4=bird.ip4, block4=bird.blocks[0], block6=bird.blocks[1])
    config = config.replace("neighbor range fe80::/10 external;", f"neighbor {link_local(pair.one)} as 64512;")
    config = config.replace('  dynamic name "client";\n', "  connect delay time 1; connect retry time 1;\n")
    pair.peer("fabric", pair.one, interface="eth1")
    pair.one.start()
    bird.start(config)
    wait_up(pair.one, "Node_eth1")
    pair.check_traffic()


def test_link_local_range(pair):
    """Whoever is on the link may call."""
    pair.peer("link", pair.one, peerRange="fe80::/10", interface="eth1", ttlSecurity=1)
    pair.peer("one", pair.two, peerIP=link_local(pair.one), interface="eth1", asNumber=64512)
    pair.cluster.start()
    name = f"Dynamic_{link_local(pair.two).replace(':', '_')}_eth1"
    peer = wait_up(pair.one, name)
    assert peer["address"] == f"{link_local(pair.two)}%eth1"
    pair.check_traffic()
    pair.two.kill()
    wait_for(lambda: peers(pair.one) == {} or peers(pair.one)[name]["state"] != "Established", lambda: peers(pair.one))


def test_link_down(pair):
    """A cable that is pulled ends the session over it at once, not by its hold timer; one that is moved does not."""
    pair.peer("fabric", pair.one, interface="eth1")
    pair.peer("cluster", pair.two, interface="eth1")
    pair.cluster.start()
    wait_up(pair.one, "Node_eth1")
    pair.check_traffic()
    for _attempt in range(5):  # a busy machine may be slow to tell that the cable is back
        since = time.monotonic() - peers(pair.one)["Node_eth1"]["since"]
        pair.two.ip("link set eth1 down", "link set eth1 up")
        pair.check_traffic()
        if time.monotonic() - peers(pair.one)["Node_eth1"]["since"] < since + 0.5:
            break
    else:
        raise AssertionError(f"each move ended the session\n{pair.one.log_tail()}")
    begun = time.monotonic()
    pair.two.ip("link set eth1 down")
    wait_for(lambda: peers(pair.one)["Node_eth1"]["state"] != "Established", lambda: peers(pair.one))
    assert time.monotonic() - begun < 10
    assert "interface eth1 is down" in peers(pair.one)["Node_eth1"]["last_error"]
    assert not [route for route in pair.one.show("routes")["routes"] if route["prefix"] in pair.two.blocks]
    pair.two.ip("link set eth1 up")
    wait_up(pair.one, "Node_eth1")
    pair.check_traffic()


def test_flood_of_advertisements(pair):
    """A link full of routers that are none: each gets its chance, one at a time; it costs little, the log stays readable, and
    once it is over the one that is a peer comes up."""
    pair.peer("fabric", pair.one, interface="eth1")
    pair.peer("cluster", pair.two, interface="eth1")
    flood = pair.two.popen(["/usr/bin/python3", "-c", FLOOD], stdout=-1, text=True)
    assert flood.stdout.readline() == "begun\n"
    pair.one.start()
    wait_for(lambda: len(set(re.findall("the peer is (.*?%eth1)", pair.one.log_text()))) == 2, pair.one.log_tail, 30)
    assert flood.poll() is None
    assert len(re.findall("no answer", pair.one.log_text())) < 10
    assert cpu_seconds(pair.one) < 1
    pair.cluster.end(flood)
    pair.two.start()
    wait_up(pair.one, "Node_eth1")
    pair.check_traffic()


# From ever other addresses, 200 a second.
FLOOD = """
import itertools, socket, struct, time
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
index = socket.if_nametoindex("eth1")
to = socket.inet_pton(socket.AF_INET6, "ff02::1")
print("begun", flush=True)
for number in itertools.count(1):
    source = socket.inet_pton(socket.AF_INET6, f"fe80::bad:{number & 0xffff:x}")
    body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0)
    words = source + to + struct.pack("!II", len(body), 58) + body
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    body = body[:2] + struct.pack("!H", ~total & 0xffff) + body[4:]
    packet = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source + to + body
    try:
        raw.sendto(packet, ("ff02::1", 0, 0, index))
    except OSError as error:  # the link has just come up
        print(error, flush=True)
    time.sleep(0.005)
"""
