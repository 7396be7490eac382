"""What a cluster's kernels must hold, computed from its objects by Calico's rules alone.

Written from the rules (confd's peering and filters, RFC 4271 and 4456), and knowing nothing of how calidrisd does it: nodes,
the sessions they want of each other and get, the routes that travel over these until nothing changes any more, and the
kernel's table that follows. What it covers is what the tests use: the mesh, BGPPeers by address and by selector, reflectors,
IPPools, block affinities, workloads, borrowed addresses, route priorities, nodes of several ASes.
"""

import collections
import functools
import ipaddress
import re

TOP_PREFERENCE = 2147483647
MAX_PATHS = 64


class Machine:
    """What the objects do not say of a node: whether its daemon runs, writes routes, and which interfaces are up."""

    def __init__(self, interfaces=(), programming=True):
        self.interfaces, self.programming = set(interfaces), programming


Want = collections.namedtuple("Want", "remote remote_as passive families client sibling next_hop_self")
Link = collections.namedtuple("Link", "node address external families client self_next_hop next_hop_self")
# peer: the node it was learned from, None if it originates here.
Route = collections.namedtuple("Route", "next_hop as_path preference originator clusters peer external")


@functools.lru_cache(None)
def network(text):
    return ipaddress.ip_network(text)


@functools.lru_cache(None)
def number(address):
    return int(ipaddress.ip_address(address))


def family_of(text):
    return 6 if ":" in text else 4


@functools.lru_cache(None)
def inside(prefix, cidr):
    return family_of(prefix) == family_of(cidr) and network(prefix).subnet_of(network(cidr))


def host_prefix(address):
    return f"{address}/{128 if ':' in address else 32}"


def selects(selector, labels):
    """The part of the grammar that the tests use: all(), key == 'value', joined by &&."""
    for term in selector.split("&&"):
        match = re.fullmatch(r"\s*([\w./-]+)\s*==\s*'([^']*)'\s*", term)
        if match is None and term.strip() != "all()":
            raise ValueError(f"selector {selector!r}")
        if match and labels.get(match.group(1)) != match.group(2):
            return False
    return True


class Node:
    """A Node object with what BGPConfiguration adds to it."""

    def __init__(self, thing, default_as):
        bgp = thing["spec"].get("bgp", {})
        self.name = thing["metadata"]["name"]
        self.labels = thing["metadata"].get("labels", {})
        self.address = {family: bgp[key].split("/")[0] for family, key in ((4, "ipv4Address"), (6, "ipv6Address"))
                        if bgp.get(key)}
        self.own_as = bgp.get("asNumber")
        self.as_number = self.own_as or default_as
        self.cluster_id = bgp.get("routeReflectorClusterID")
        self.router_id = number(self.address[4]) if 4 in self.address else None


class Model:
    def __init__(self, objects, machines):
        """objects: those in force; machines: {name: Machine} of the nodes whose daemon runs."""
        self.kinds = collections.defaultdict(list)
        for thing in objects:
            self.kinds[thing["kind"]].append(thing)
        self.machines = machines
        default = next((thing["spec"] for thing in self.kinds["BGPConfiguration"]
                        if thing["metadata"]["name"] == "default"), {})
        self.mesh = default.get("nodeToNodeMeshEnabled", True)
        self.priority = {family: default.get(f"ipv{family}NormalRoutePriority") or 1024 for family in (4, 6)}
        default_as = default.get("asNumber") or 64512
        self.nodes = {node.name: node for node in (Node(thing, default_as) for thing in self.kinds["Node"])}
        self.pools = [(thing["spec"]["cidr"], thing["spec"].get("disableBGPExport", False))
                      for thing in self.kinds["IPPool"]]
        self.current = {}
        self.blocks = {name: self.own_blocks(name) for name in machines}
        self.workloads = {name: self.own_workloads(name) for name in machines}

    # What is local to a node

    def own_blocks(self, name):
        return [thing["spec"]["cidr"] for thing in self.kinds["BlockAffinity"]
                if thing["spec"]["node"] == name and thing["spec"].get("state", "confirmed") == "confirmed" and
                not thing["spec"].get("deleted")]

    def own_workloads(self, name):
        """{prefix: interface}"""
        return {prefix: thing["spec"]["interfaceName"] for thing in self.kinds["WorkloadEndpoint"]
                if thing["spec"]["node"] == name for prefix in thing["spec"]["ipNetworks"]}

    def borrowed(self, name):
        """Addresses this node uses in blocks that are not its own."""
        found = []
        for thing in self.kinds["IPAMBlock"]:
            spec = thing["spec"]
            if spec.get("affinity") == f"host:{name}" or spec.get("deleted"):
                continue
            base = network(spec["cidr"]).network_address
            found += [host_prefix(str(base + ordinal)) for ordinal, index in enumerate(spec["allocations"])
                      if index is not None and spec["attributes"][index]["secondary"].get("node") == name]
        return found

    # Sessions

    def wants(self, node):
        """{remote address: Want}: BGPPeers before what they imply for the other side, global before node-specific, by name;
        then the mesh."""
        wants = {}
        peers = sorted(self.kinds["BGPPeer"], key=lambda thing: thing["metadata"]["name"])
        specific = [bool(thing["spec"].get("node") or thing["spec"].get("nodeSelector")) for thing in peers]
        for wanted in (False, True):
            for thing, is_specific in zip(peers, specific):
                if is_specific == wanted and self.chosen(thing["spec"], node):
                    self.add_forward(wants, node, thing["spec"], is_specific)
        for thing in peers:
            self.add_reverse(wants, node, thing["spec"])
        if self.mesh and not node.cluster_id:
            for other in self.nodes.values():
                if other is not node and not other.cluster_id:
                    self.add_node(wants, node, other, other.own_as or node.as_number, mesh=True)
        return wants

    @staticmethod
    def chosen(spec, node):
        if spec.get("node"):
            return spec["node"] == node.name
        return selects(spec["nodeSelector"], node.labels) if spec.get("nodeSelector") else True

    def add_node(self, wants, node, other, remote_as, mesh=False):
        both = 4 in node.address and 4 in other.address and 6 in node.address and 6 in other.address
        for family in (4, 6):
            if family not in node.address or family not in other.address:
                continue
            client = bool(node.cluster_id) and remote_as == node.as_number and other.cluster_id != node.cluster_id
            wants.setdefault(other.address[family], Want(
                remote=other.address[family], remote_as=remote_as,
                passive=mesh and other.address[family] > node.address[family],
                families={4, 6} if family == 4 and both else {family}, client=client,
                sibling=other.address[4] if family == 6 and both else None, next_hop_self=False))

    def add_forward(self, wants, node, spec, specific):
        if spec.get("peerSelector"):
            for other in self.nodes.values():
                if other is not node and selects(spec["peerSelector"], other.labels):
                    self.add_node(wants, node, other, other.as_number)
            return
        remote, family = spec["peerIP"], family_of(spec["peerIP"])
        if remote in node.address.values() or family not in node.address:
            return
        is_node = any(remote in other.address.values() for other in self.nodes.values())
        wants.setdefault(remote, Want(
            remote=remote, remote_as=spec["asNumber"], families={family}, sibling=None, next_hop_self=False,
            passive=not specific and is_node and remote > node.address[family],
            client=bool(node.cluster_id) and spec["asNumber"] == node.as_number))

    def add_reverse(self, wants, node, spec):
        if spec.get("peerSelector"):
            leads_here = selects(spec["peerSelector"], node.labels)
        else:
            leads_here = spec["peerIP"] in node.address.values() and spec["asNumber"] == node.as_number
        if not leads_here:
            return
        for other in self.nodes.values():
            if other is not node and self.chosen(spec, other):
                self.add_node(wants, node, other, other.as_number)

    def links(self):
        """{name: [Link]}: the sessions that come up, each seen from both of its ends."""
        owner = {address: node for node in self.nodes.values() for address in node.address.values()}
        running = [node for node in self.nodes.values() if node.name in self.machines]
        wants = {node.name: self.wants(node) for node in running}
        up = {}
        for family in (4, 6):  # IPv6 sessions come after the IPv4 ones that may make them superfluous
            for node in running:
                for want in wants[node.name].values():
                    other = owner.get(want.remote)
                    if family_of(want.remote) == family and other and other.name in self.machines:
                        self.try_session(up, wants, node, other, want, family)
        found = {node.name: [] for node in running}
        for (name, other_name, _family), (want, families) in up.items():
            node, other = self.nodes[name], self.nodes[other_name]
            found[name].append(Link(other_name, want.remote, want.remote_as != node.as_number, families, want.client,
                                    {family: node.address.get(family) for family in (4, 6)}, want.next_hop_self))
            assert other.name in self.machines
        return found

    def try_session(self, up, wants, node, other, want, family):
        back = wants[other.name].get(node.address.get(family))
        if not back or want.remote_as != other.as_number or back.remote_as != node.as_number:
            return
        if want.passive and back.passive:
            return
        families = want.families & back.families
        first = up.get((node.name, other.name, 4))
        if family == 6 and (want.sibling or back.sibling) and first and 6 in first[1]:
            return
        if families:
            up[node.name, other.name, family] = (want, frozenset(families))

    # Routes

    def tables(self):
        """{name: {(prefix, metric): "blackhole", an interface's name, or the set of gateways}}"""
        self.current = self.links()
        best = self.propagate()
        return {name: self.kernel(name, best[name]) for name, machine in self.machines.items() if machine.programming}

    def origins(self, name):
        """What a node announces of its own."""
        local = {*self.blocks[name], *self.workloads[name], *self.borrowed(name)}
        return {prefix: Route(None, (), TOP_PREFERENCE - self.priority[family_of(prefix)], None, (), None, False)
                for prefix in local}

    def propagate(self):
        """Rounds of telling each other, until no node selects anything else."""
        received = {name: collections.defaultdict(dict) for name in self.machines}
        best = {name: {} for name in self.machines}
        origins = {name: self.origins(name) for name in self.machines}
        changed = {name: set(origins[name]) for name in self.machines}
        for _round in range(50):
            told = {name: set() for name in self.machines}
            for name, prefixes in changed.items():
                for prefix in prefixes:
                    candidates = list(received[name][prefix].values())
                    candidates += [origins[name][prefix]] if prefix in origins[name] else []
                    selected = self.select(name, candidates)
                    if selected != best[name].get(prefix, []):
                        best[name][prefix] = selected
                        self.tell(name, prefix, selected, received, told)
            changed = told
            if not any(changed.values()):
                return best
        raise AssertionError("the routes do not settle")

    def tell(self, name, prefix, selected, received, told):
        for link in self.current.get(name, ()):
            if family_of(prefix) not in link.families:
                continue
            route = self.export(name, prefix, selected[0], link) if selected else None
            if route and not self.imports(link.node, route, link):
                route = None
            mine = received[link.node][prefix]
            if mine.get((name, link.address)) != route:
                mine.pop((name, link.address), None)
                if route:
                    mine[name, link.address] = route
                told[link.node].add(prefix)

    def export(self, name, prefix, route, link):
        """The route as this peer gets it, or None."""
        node = self.nodes.get(name)
        if route.peer == link.node:
            return None
        reflected = route.peer is not None and not route.external and not link.external
        if reflected and not (self.is_client(name, route.peer) or link.client):
            return None
        if not self.may_leave(name, prefix, route):
            return None
        own = link.self_next_hop[family_of(prefix)]
        next_hop = own if route.peer is None or link.external else route.next_hop
        if next_hop is None:
            return None
        originator, clusters = route.originator, route.clusters
        if reflected:
            originator = originator or self.nodes[route.peer].router_id
            clusters = (node.cluster_id, *clusters)
        if link.external:
            return Route(next_hop, (node.as_number, *route.as_path), None, None, (), name, True)
        return Route(next_hop, route.as_path, route.preference, originator, clusters, name, False)

    def is_client(self, name, peer):
        return any(link.node == peer and link.client for link in self.current[name])

    def may_leave(self, name, prefix, route):
        """The built-in export filter: pools that stay inside, own blocks with what they stand for, other pools."""
        if any(disabled and inside(prefix, cidr) for cidr, disabled in self.pools):
            return False
        for block in self.blocks[name]:
            if inside(prefix, block):
                elevated = TOP_PREFERENCE - route.preference < self.priority[family_of(prefix)]
                return prefix == block or elevated
        return any(inside(prefix, cidr) for cidr, _disabled in self.pools)

    def imports(self, name, route, link):
        node = self.nodes[name]
        return not (node.as_number in route.as_path or route.next_hop in node.address.values() or
                    (node.router_id is not None and route.originator == node.router_id) or
                    (node.cluster_id and node.cluster_id in route.clusters)) and link.node == name

    def select(self, name, candidates):
        """RFC 4271 9.1.2.2: the best, and those equal to it as far as the metric, one of each next hop."""
        if not candidates:
            return []
        candidates = [route._replace(preference=100) if route.preference is None else route for route in candidates]

        def rank(route):
            return (-route.preference, route.peer is not None, len(route.as_path), not route.external)

        def last(route):
            peer = self.nodes.get(route.peer)
            router_id = (route.originator or peer.router_id) if peer else 0
            return (router_id or 0, len(route.clusters), number(route.next_hop) if route.next_hop else 0, route.peer or "")

        top = min(map(rank, candidates))
        equal = sorted((route for route in candidates if rank(route) == top), key=last)
        hops = set()
        return [route for route in equal if not (route.next_hop in hops or hops.add(route.next_hop))][:MAX_PATHS]

    def kernel(self, name, best):
        table = {}
        for block in self.blocks[name]:
            if network(block).num_addresses > 1:
                table[block, 0 if family_of(block) == 4 else 1024] = "blackhole"
        for prefix, routes in best.items():
            if routes and routes[0].peer is not None:
                metric = max(0, TOP_PREFERENCE - routes[0].preference)
                table[prefix, metric or (1024 if family_of(prefix) == 6 else 0)] = frozenset(
                    route.next_hop for route in routes)
        for prefix, interface in self.workloads[name].items():
            if interface in self.machines[name].interfaces:
                table[prefix, self.priority[family_of(prefix)]] = interface
        return table
