"""A mesh of three nodes with calidrisd and three with BIRD, these configured as Calico's templates do it: a BIRD for each
family, every peer with ADD-PATH, graceful restart and multihop, the higher of two addresses as strings go dials, LOCAL_PREF
stands for the priority and the kernel's metric for LOCAL_PREF. Then nodes restart, and move from BIRD to calidrisd, under traffic.
"""

import pytest

from harness import Node, wait_for
from netns import is6, run
from test_restart import Traffic, Watch, wait_settled

SHARED = "10.244.200.0/26"  # what several of BIRD's nodes may announce
NORMAL, ELEVATED = 2147483647 - 1024, 2147483647 - 512

GLOBAL = """
log stderr all;
router id {router_id};
protocol device {{ scan time 2; }}
protocol direct {{ ipv{family}; interface -"cali*", "*"; }}
protocol static blocks {{ ipv{family}; {blocks} }}
protocol static shared {{ disabled; ipv{family}; {shared} }}
filter to_kernel {{
  if source = RTS_BGP then {{
    krt_metric = 1024;
    if defined(bgp_local_pref) && bgp_local_pref <= 2147483647 then krt_metric = 2147483647 - bgp_local_pref;
    if krt_metric < 1024 then preference = 200;
    accept;
  }}
  if source = RTS_STATIC then {{ krt_metric = 0; accept; }}
  reject;
}}
protocol kernel {{
  learn; persist; scan time 2; graceful restart; merge paths on; metric 0;
  ipv{family} {{ import all; export filter to_kernel; }};
}}
filter to_peers {{
  bgp_local_pref = {normal};
  if defined(krt_metric) && source != RTS_STATIC then bgp_local_pref = 2147483647 - krt_metric;
{inside}  if net ~ {pool} then accept;
  reject;
}}
filter from_peers {{
  if bgp_local_pref > {normal} then preference = 200;
  accept;
}}
template bgp calico {{
  local {own} as 64512;
  multihop; connect delay time 2; connect retry time 5; error wait time 5, 30; graceful restart;
  ipv{family} {{ add paths on; gateway recursive; import filter from_peers; export filter to_peers; }};
}}
"""

# Of a block itself and of what has a better priority the peers are told, but of nothing else in it.
INSIDE = """  if net = {block} then accept;
  if net ~ {block} && bgp_local_pref > {normal} then accept;
  if net ~ {block} then reject;
"""


class CalicoNode(Node):
    """A node that runs BIRD as Calico's does, or calidrisd: `bird` says which."""

    def __init__(self, *arguments, bird=False, **options):
        super().__init__(*arguments, **options)
        self.bird = bird

    def start(self, wait=True, **options):
        if not self.bird:
            super().start(wait, **options)
            return
        for family in (4, 6):
            config, control = self.directory / f"bird{family}.cfg", self.directory / f"bird{family}.ctl"
            config.write_text(self.bird_config(family))
            control.unlink(missing_ok=True)
            self.spawn(["bird", "-R", "-f", "-c", config, "-s", control, "-P", self.directory / f"bird{family}.pid"],
                       f"bird{family}.log")
        for family in (4, 6):
            wait_for((self.directory / f"bird{family}.ctl").exists, f"{self.name}: bird's socket")

    def wait_up(self, timeout=10):
        if not self.bird:
            super().wait_up(timeout)

    def bird_config(self, family):
        own = self.address(family)
        blocks = [block for block in self.blocks if is6(block) == (family == 6)]
        text = GLOBAL.format(
            router_id=self.ip4, family=family, own=own, normal=NORMAL, pool={4: "10.244.0.0/16", 6: "fd00:10:244::/48"}[family],
            blocks=" ".join(f"route {block} blackhole;" for block in blocks),
            shared=f"route {SHARED} blackhole;" if family == 4 else "",
            inside="".join(INSIDE.format(block=block, normal=NORMAL) for block in blocks))
        for other in self.cluster.hosts:
            if other is not self:
                peer = other.address(family)
                name = "Mesh_" + peer.replace(".", "_").replace(":", "_")
                passive = " passive on;" if peer > own else ""
                text += f"protocol bgp {name} from calico {{ neighbor {peer} as 64512;{passive} }}\n"
        return text

    def birdc(self, family, *words):
        return run(["birdc", "-s", self.directory / f"bird{family}.ctl", *words])

    def kill(self):
        """kill -9, of whatever runs."""
        if not self.bird:
            super().kill()
            return
        for process in self.processes:
            process.kill()
            process.wait(20)
            self.cluster.processes.remove(process)
        self.processes.clear()

    def add_calico_pod(self, name):
        """With the routes that the CNI plugin and Felix make where it is not calidrisd that makes them."""
        pod = self.add_pod(name)
        if self.bird:
            pod.cni_host_side_settings()
            self.ip(*(f"route add {address} dev {pod.interface} scope link metric 1024" for address in pod.addresses))
        return pod

    def up(self, other, family):
        """Whether it has a session with the other for the family."""
        address = other.address(family)
        if self.bird:
            name = "Mesh_" + address.replace(".", "_").replace(":", "_")
            return "Established" in self.birdc(family, "show", "protocols", name)
        return self.show("peers", address)["peer"]["state"] == "Established"


def missing(cluster):
    """(node, block, route) for each block of another that the kernel does not have as it should."""
    out = []
    for node in cluster.hosts:
        routes = {route["dst"]: route for route in node.routes()}
        for other in cluster.hosts:
            for block in other.blocks if other is not node else ():
                route = routes.get(block, {})
                if (route.get("gateway"), route.get("metric")) != (other.address(6 if is6(block) else 4), 1024):
                    out.append((node.name, block, route))
    return out


def wait_exchanged(cluster, timeout=40):
    wait_for(lambda: not missing(cluster), lambda: f"missing {missing(cluster)[:5]}", timeout)


@pytest.fixture(scope="module")
def mesh(new_shared_cluster):
    cluster = new_shared_cluster()
    # Addresses of one and of two digits: "172.18.0.9" is above "172.18.0.10", as strings go.
    for number, bird in ((3, False), (9, True), (10, False), (11, True), (20, False), (100, True)):
        node = cluster.add_host(CalicoNode, f"{'bird' if bird else 'ours'}-{number}", bird=bird,
                                addresses=[f"172.18.0.{number}/24", f"fd00:18::{number:x}/64"],
                                blocks=[f"10.244.{number}.0/26", f"fd00:10:244:{number:x}::/122"])
        node.add_calico_pod(f"pod-{number}")
    cluster.start()
    wait_exchanged(cluster)
    wait_settled(*of_kind(cluster, False))
    return cluster


def of_kind(mesh, bird):
    return [node for node in mesh.hosts if node.bird == bird]


def test_exchange(mesh):
    """Everybody's blocks, with the priorities as both understand them; one session a family with BIRD, one for both with us."""
    mesh.assert_all_ping()
    for node in of_kind(mesh, False):
        for other in mesh.hosts:
            if other is not node:
                for family in (4, 6) if other.bird else (4,):
                    assert node.up(other, family), (node.name, other.name, family)
                    peer = node.show("peers", other.address(family))["peer"]
                    dials = node.address(family) > other.address(family)
                    assert peer["dialled_by"] == ("this node" if dials else "the peer"), (node.name, other.name)
                route, = node.show("routes", other.blocks[0], "all")["routes"]
                assert (route["next_hop"], route["local_pref"]) == (other.ip4, NORMAL)
    for node in of_kind(mesh, True):
        for family in (4, 6):
            text = node.birdc(family, "show", "route", "all")
            for other in mesh.hosts:
                if other is not node:
                    assert f"BGP.next_hop: {other.address(family)}" in text
            assert f"BGP.local_pref: {NORMAL}" in text


def test_moved_pod(mesh):
    """A pod that has just moved is announced by itself, with a better priority than its block: by BIRD's node and by ours."""
    ours, bird, third = of_kind(mesh, False)[0], of_kind(mesh, True)[0], of_kind(mesh, False)[1]
    address = ours.blocks[0].replace(".0/26", ".50")
    bird.ip(f"route add {address} dev lo metric 512 scope link")
    for node in mesh.hosts:
        if node is not bird:
            wait_for(lambda n=node: (n.route(address) or {}).get("gateway") == bird.ip4, lambda n=node: f"{n.name}: {n.route(address)}")
            assert node.route(address)["metric"] == 512
    route, = third.show("routes", address, "all")["routes"]
    assert route["local_pref"] == ELEVATED
    bird.ip(f"route del {address} dev lo metric 512")
    for node in mesh.hosts:
        wait_for(lambda n=node: not n.route(address), lambda n=node: f"{n.name}: {n.route(address)}")


def test_prefix_of_two_nodes(mesh):
    """What two of BIRD's nodes announce with one priority leads to both; what one of them withdraws, to the other."""
    birds = of_kind(mesh, True)[:2]

    def wait_gateways(wanted):
        for node in of_kind(mesh, False):
            def found(node=node):
                route = node.route(SHARED)
                return {hop["gateway"] for hop in route.get("nexthops", [route])} if route else set()
            wait_for(lambda f=found: f() == {bird.ip4 for bird in wanted}, lambda n=node: f"{n.name}: {n.route(SHARED)}")

    for bird in birds:
        bird.birdc(4, "enable", "shared")
    wait_gateways(birds)
    for node in of_kind(mesh, False):
        assert node.show("peers", birds[0].ip4)["peer"]["capabilities"]["add_path_receive"] == "ipv4"
    birds[0].birdc(4, "disable", "shared")
    wait_gateways(birds[1:])
    birds[1].birdc(4, "disable", "shared")
    wait_gateways([])


@pytest.mark.parametrize("bird", [True, False], ids=["bird", "ours"])
def test_restart(mesh, bird):
    """Dies and comes back: nothing is lost, and no kernel of ours is written to."""
    node = of_kind(mesh, bird)[1]
    one, two = of_kind(mesh, True)[0], of_kind(mesh, False)[0]
    traffic, watch = Traffic(node.pods[0], one.pods[0], two.pods[0]), Watch(two)
    node.kill()
    for other, families in ((one, (4, 6)), (two, (4, 6) if bird else (4,))):
        for family in families:
            wait_for(lambda o=other, f=family: not o.up(node, f), lambda o=other: f"{o.name} has noticed")
    traffic.check(f"{node.name} died")
    node.start()
    for other, families in ((one, (4, 6)), (two, (4, 6) if bird else (4,))):
        for family in families:
            wait_for(lambda o=other, f=family: o.up(node, f), lambda o=other, f=family: f"{o.name} has it back for IPv{f}", 60)
    wait_exchanged(mesh)
    traffic.end(f"{node.name} came back")
    watch.check(f"{node.name} restarted")


def test_migration(mesh):
    """Each node with BIRD becomes one with calidrisd, which takes over BIRD's kernel routes; the mesh loses nothing."""
    first, *others = of_kind(mesh, True)
    ours = of_kind(mesh, False)[0]
    for node in (first, *others):
        rest = [one for one in mesh.hosts if one.bird and one is not node] or [of_kind(mesh, False)[1]]
        traffic = Traffic(node.pods[0], rest[0].pods[0], ours.pods[0])
        node.kill()
        traffic.check(f"BIRD of {node.name} ended")
        node.bird = False
        node.start()
        for other in (rest[0], ours):
            wait_for(lambda o=other: o.up(node, 4), lambda o=other: f"{o.name} has it back\n{node.log_tail()}", 60)
        wait_settled(node, timeout=40)
        wait_exchanged(mesh)
        traffic.end(f"{node.name} moved to calidrisd")
        protocols = {route["protocol"] for route in node.routes() if route["dst"] in {b for o in mesh.hosts for b in o.blocks}}
        assert protocols == {"bgp"}, protocols
    mesh.assert_all_ping()
