"""What a node announces besides its blocks, beside a fabric that is scripted: Services, workloads that migrate, what
workloads announce themselves; and which address it announces them from. One cluster for all of it: a node, and a peer of its
own AS and one of another."""

import contextlib
import json
import socket

import pytest

from harness import Host, wait_for
from objects import bgp_configuration, bgp_peer, thing, workload_endpoint
from routes import Table
from speaker import KEEPALIVE, MARKER, OPEN, Speaker, end_of_rib, message, open_message, update

NORMAL, ELEVATED = 2147483647 - 1024, 2147483647 - 512
CLUSTER, EXTERNAL = "10.96.0.0/12", "203.0.113.0/24"
PEERING = "169.254.77.1"


class Fabric:
    """A node between a peer of its AS and one of another."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.node = cluster.add_node("node-1")
        self.pod = self.node.add_pod("web-0")
        self.host = cluster.add_host(Host, "fabric-1", blocks=[], publish=False)
        self.host.ip("addr add 172.18.0.200/24 dev eth0", "addr add 172.18.0.201/24 dev eth0")
        self.speaker = Speaker(self.host)
        self.inside = self.speaker.add("172.18.0.200", 64512, families=(4,), keep=True)
        self.outside = self.speaker.add("172.18.0.201", 65001, families=(4,), keep=True)
        cluster.write(bgp_peer("inside", peerIP="172.18.0.200", asNumber=64512),
                      bgp_peer("outside", peerIP="172.18.0.201", asNumber=65001))

    def configure(self, **spec):
        self.cluster.write(bgp_configuration(mesh=False, **spec))

    def told(self, peer):
        """{prefix: LOCAL_PREF} that the peer has been told and not been told to forget."""
        table = Table()
        for body in list(peer.updates):
            table.update(body)
        return {route.prefix: route.local_pref for route in table.routes.values()}

    def wait_told(self, peer, prefix, local_pref=None, timeout=15):
        """local_pref None: that it does not have the prefix."""
        wait_for(lambda: self.told(peer).get(prefix) == local_pref,
                 lambda: f"{prefix} at {local_pref}: {self.told(peer)}\n"
                         f"{self.node.calidris('explain', prefix.split('/')[0])}", timeout)

    def established(self):
        return [peer.established for peer in (self.inside, self.outside)]


@pytest.fixture(scope="module")
def fabric(new_shared_cluster):
    cluster = new_shared_cluster(mesh=False, families=(4,))
    fabric = Fabric(cluster)
    with fabric.speaker:
        cluster.start()
        wait_for(lambda: fabric.speaker.established() == 2, lambda: fabric.node.calidris("show", "peers"), 30)
        fabric.wait_told(fabric.inside, fabric.node.blocks[0], NORMAL)
        yield fabric


def service(name, cluster_ip, **spec):
    return thing("Service", name, {"type": "ClusterIP", "clusterIP": cluster_ip, **spec}, version="v1", namespace="shop")


def endpoint_slice(name, of, nodes):
    """nodes: {name: whether its endpoint is ready}"""
    made = thing("EndpointSlice", name, {}, version="discovery.k8s.io/v1", namespace="shop",
                 labels={"kubernetes.io/service-name": of}, addressType="IPv4",
                 endpoints=[{"addresses": ["10.244.1.9"], "conditions": {"ready": ready}, "nodeName": node}
                            for node, ready in nodes.items()])
    del made["spec"]
    return made


def has_route(node, prefix):
    """Of any protocol and metric: {metric: how it goes on}"""
    return {route.get("metric", 0): route for route in node.routes() if route["dst"] == prefix.removesuffix("/32")}


def test_services(fabric):
    node, inside, outside = fabric.node, fabric.inside, fabric.outside
    sessions = fabric.established()
    fabric.cluster.write(service("web", "10.96.0.7", externalTrafficPolicy="Local", externalIPs=["203.0.113.7"]),
                         service("plain", "10.96.0.8"), endpoint_slice("web-1", "web", {"node-2": True}),
                         endpoint_slice("plain-1", "plain", {"node-1": True}))
    fabric.configure(serviceClusterIPs=[{"cidr": CLUSTER}], serviceExternalIPs=[{"cidr": EXTERNAL}])
    fabric.wait_told(inside, CLUSTER, NORMAL)
    fabric.wait_told(inside, EXTERNAL, NORMAL)
    wait_for(lambda: CLUSTER in fabric.told(outside), lambda: fabric.told(outside))
    assert not {"10.96.0.7/32", "203.0.113.7/32", "10.96.0.8/32"} & set(fabric.told(inside))
    # An endpoint becomes ready here: the Service with policy Local, with all its addresses, and no other.
    fabric.cluster.write(endpoint_slice("web-1", "web", {"node-2": True, "node-1": True}))
    fabric.wait_told(inside, "10.96.0.7/32", NORMAL)
    fabric.wait_told(inside, "203.0.113.7/32", NORMAL)
    assert "10.96.0.8/32" not in fabric.told(inside)
    says = [row["says"] for row in json.loads(node.calidris("-o", "json", "explain", "203.0.113.7"))["objects"]]
    assert says == [f"{EXTERNAL} of its serviceExternalIPs holds it, announced: every node announces it",
                    "its external IP, announced by this node: externalTrafficPolicy is Local, and a ready endpoint is here"]
    rows = {row["address"]: row for row in node.show("services")["services"]}
    assert rows["10.96.0.7"]["announced"] and not rows["10.96.0.8"]["announced"]
    assert rows["10.96.0.8"]["reason"] == "its range stands for it, which every node announces"
    # Nothing of it is in the kernel, nor what other nodes announce of the ranges; and that goes to no other AS.
    fabric.speaker.say(inside, update(["10.96.0.9/32", "10.50.0.0/24"], "172.18.0.200"))
    wait_for(lambda: has_route(node, "10.50.0.0/24"), lambda: node.calidris("show", "routes"))
    assert not [route for route in node.routes() if route["dst"].startswith(("10.96.", "203.0.113."))]
    assert "10.96.0.9/32" not in fabric.told(outside)
    fabric.cluster.write(endpoint_slice("web-1", "web", {"node-2": True, "node-1": False}))
    fabric.wait_told(inside, "10.96.0.7/32")
    fabric.wait_told(inside, "203.0.113.7/32")
    # Without ranges nothing of Services is left, and what was kept from the kernel may get there.
    fabric.configure()
    fabric.wait_told(inside, CLUSTER)
    wait_for(lambda: has_route(node, "10.96.0.9/32"), lambda: node.calidris("explain", "10.96.0.9"))
    assert fabric.established() == sessions


def migrating(fabric, state, address="10.244.99.7"):
    return workload_endpoint("node-1", "vm", "cali0000000vm", [address], liveMigration=state)


def test_live_migration(fabric):
    """A workload comes, and goes: priorities on the wire and in the kernel."""
    node, inside, outside = fabric.node, fabric.inside, fabric.outside
    node.ip("link add cali0000000vm type veth peer name vmpeer", "link set vmpeer up", "link set cali0000000vm up")
    fabric.cluster.write(migrating(fabric, "Target"))
    wait_for(lambda: "vm-eth0" in node.calidris("-o", "json", "show", "objects"), lambda: node.calidris("show", "objects"))
    # It is still where the other node says.
    fabric.speaker.say(inside, update(["10.244.99.0/26"], "172.18.0.200"))
    wait_for(lambda: has_route(node, "10.244.99.0/26"), lambda: node.calidris("show", "routes"))
    assert "10.244.99.7/32" not in fabric.told(inside) and not has_route(node, "10.244.99.7")
    fabric.cluster.write(migrating(fabric, "Live"))
    fabric.wait_told(inside, "10.244.99.7/32", ELEVATED)
    wait_for(lambda: set(has_route(node, "10.244.99.7")) == {512}, node.routes)
    fabric.cluster.write(migrating(fabric, None))
    fabric.wait_told(inside, "10.244.99.7/32", NORMAL)
    wait_for(lambda: set(has_route(node, "10.244.99.7")) == {1024}, node.routes)
    # And now one of this node's own block goes to another node: the BGP route stands beside the workload's own.
    address = fabric.pod.ip4
    before = fabric.told(inside)
    assert f"{address}/32" not in before
    fabric.speaker.say(inside, update([f"{address}/32"], "172.18.0.200", local_pref=NORMAL))
    fabric.speaker.say(inside, update(["10.51.0.0/24"], "172.18.0.200"))
    wait_for(lambda: has_route(node, "10.51.0.0/24"), node.routes)
    assert {metric: route["dev"] for metric, route in has_route(node, address).items()} == {1024: fabric.pod.interface}
    fabric.speaker.say(inside, update([f"{address}/32"], "172.18.0.200", local_pref=ELEVATED))
    wait_for(lambda: {metric: route["dev"] for metric, route in has_route(node, address).items()}
             == {512: "eth0", 1024: fabric.pod.interface}, node.routes)
    # Out of the block it goes on its own, as it outranks what the block stands for.
    wait_for(lambda: f"{address}/32" in fabric.told(outside), lambda: fabric.told(outside))
    fabric.speaker.say(inside, update([f"{address}/32"], "172.18.0.200", local_pref=NORMAL))
    wait_for(lambda: set(has_route(node, address)) == {1024}, node.routes)
    wait_for(lambda: f"{address}/32" not in fabric.told(outside), lambda: fabric.told(outside))
    fabric.cluster.delete(migrating(fabric, None))
    fabric.wait_told(inside, "10.244.99.7/32")


class Router:
    """A workload that speaks BGP."""

    def __init__(self, pod, target):
        self.pod = pod
        with pod.inside():
            self.sock = socket.create_connection((target, 179), timeout=5)
        self.inbox = b""

    def hear_of(self, kind):
        while True:
            while len(self.inbox) < 19 or len(self.inbox) < int.from_bytes(self.inbox[16:18], "big"):
                data = self.sock.recv(65536)
                assert data, f"the connection ended before a message of type {kind}"
                self.inbox += data
            assert self.inbox.startswith(MARKER)
            length = int.from_bytes(self.inbox[16:18], "big")
            heard, body, self.inbox = self.inbox[18], self.inbox[19:length], self.inbox[length:]
            if heard == kind:
                return body

    def establish(self, as_number, *updates):
        self.sock.sendall(open_message(as_number, self.pod.ip4, families=(4,)))
        self.hear_of(OPEN)
        self.sock.sendall(message(KEEPALIVE) + b"".join(updates) + end_of_rib(4))
        self.hear_of(KEEPALIVE)
        return self


def connect(pod, target, timeout=15):
    """The daemon listens there once the objects are in force."""
    made = []

    def dial():
        with contextlib.suppress(OSError):
            made.append(Router(pod, target))
        return made
    wait_for(dial, f"{pod.pod} reaches {target}", timeout)
    return made[0]


def test_local_workload(fabric):
    """A workload that speaks BGP: it is chosen by its labels and connects; what it announces leads to it, and gets to the
    fabric if a pool has it."""
    node, cluster, pod = fabric.node, fabric.cluster, fabric.pod
    fabric.configure(localWorkloadPeeringIPV4=PEERING)
    labelled = pod.object()
    labelled["metadata"]["labels"] = {**labelled["metadata"].get("labels", {}), "app": "router"}
    cluster.write(labelled, bgp_peer("routers", localWorkloadSelector="app == 'router'", asNumber=65500))
    router = connect(pod, PEERING).establish(
        65500, update(["10.244.200.0/24", "192.168.7.0/24"], pod.ip4, [65500], None))
    wait_for(lambda: has_route(node, "10.244.200.0/24"), lambda: node.calidris("explain", "10.244.200.1"))
    route, = has_route(node, "192.168.7.0/24").values()
    assert (route["gateway"], route["dev"]) == (pod.ip4, pod.interface)
    names = {peer["name"]: peer for peer in node.show("peers")["peers"]}
    assert names[f"Local_Workload_{pod.ip4.replace('.', '_')}"]["state"] == "Established"
    wait_for(lambda: "10.244.200.0/24" in fabric.told(fabric.inside), lambda: fabric.told(fabric.inside))
    assert "192.168.7.0/24" not in fabric.told(fabric.inside)
    # Without the label it is no peer any more, and the address is gone.
    cluster.write(pod.object())
    wait_for(lambda: not has_route(node, "10.244.200.0/24"), node.routes)
    wait_for(lambda: PEERING not in node.run("ip", "addr", "show", "dev", "lo"), "the address is gone")
    router.sock.close()


def test_address_of_the_node(fabric):
    """Found among the interfaces, and followed: the session's and the routes' address is another one then."""
    node = fabric.node
    node.configure({"node": {"ip": "autodetect", "ip_autodetection_method": "cidr=172.18.0.128/25,172.18.0.0/24"}})
    before = fabric.established()
    node.reload()
    wait_for(lambda: node.show("status")["ipv4_address_from"] == "autodetection", lambda: node.calidris("show", "status"))
    assert node.show("status")["ipv4_address"] == node.ip4 and fabric.established() == before
    node.ip(f"addr del {node.addresses[0]} dev eth0", "addr add 172.18.0.129/24 dev eth0")
    wait_for(lambda: node.show("status")["ipv4_address"] == "172.18.0.129", lambda: node.calidris("show", "status"))
    wait_for(lambda: [now > then for now, then in zip(fabric.established(), before)] == [True, True],
             lambda: node.calidris("show", "peers"), 30)
    wait_for(lambda: fabric.speaker.established() == 2, lambda: node.calidris("show", "peers"), 30)
