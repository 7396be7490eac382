"""Calidris on a Kubernetes API server: what is listed and watched becomes routes, whatever happens to the server."""

import base64
import json
import os
import time
from ipaddress import ip_network

import pytest

from harness import wait_for
from kube import (ACCOUNT, ADDRESS, PORT, Kube, hears, marker, problems, routes, stand_in, status, wait_in_sync, wait_no_problem,
                  wait_problem)
from kube_client import as_kept
from objects import bgp_configuration, bgp_peer, block_affinity, ip_pool, node_object, thing

@pytest.fixture(scope="module")
def cluster(new_shared_cluster):
    cluster = new_shared_cluster(datastore=Kube)
    for number in (1, 2):
        cluster.add_node(f"node-{number}", labels={"rack": f"r{number}"}).add_pod(f"a-{number}")
    cluster.start()
    cluster.wait_converged()
    return cluster


@pytest.fixture
def one(cluster):
    """A node in sync, whose routes a test leaves as they were."""
    node = cluster.nodes[0]
    wait_in_sync(node)
    before, since = routes(node), node.show("status")["kernel"]["deletes"]
    node.deletes = 0  # what a test takes away itself
    yield node
    wait_in_sync(node)
    wait_for(lambda: routes(node) == before, lambda: f"the routes {before}, not {routes(node)}")
    assert node.show("status")["kernel"]["deletes"] - since <= node.deletes


@pytest.fixture
def api(cluster):
    yield cluster.datastore.api
    if cluster.datastore.api:
        cluster.datastore.api.faults.clear()


def kinds(node):
    return {row["kind"] for row in node.show("objects")["objects"]}


# A Service whose endpoint is on node-1 alone. Its address is the server's to choose.
SERVICE = [
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
     "spec": {"type": "NodePort", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}},
    {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"port": 80}],
     "metadata": {"name": "web-x", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
     "endpoints": [{"addresses": ["10.244.1.5"], "nodeName": "node-1", "conditions": {"ready": True}}]},
]


# ---- Lists and watches ----

@stand_in
def test_only_what_matters_is_asked_for(cluster, one, api):
    assert api.count(r"GET /api/v1/pods\?.*fieldSelector=spec.nodeName%3Dnode-1")
    assert not api.count(r"^GET /api/v1/pods\?(?!.*fieldSelector)")
    assert not api.count(r"/(services|endpointslices|secrets|ipamblocks)\?")
    cluster.write(bgp_configuration(serviceClusterIPs=[{"cidr": "10.96.0.0/12"}]))
    wait_for(lambda: api.count(r"services\?.*watch") and api.count(r"endpointslices\?.*watch"), "services are watched")
    for object in SERVICE:
        cluster.write(object)
    wait_for(lambda: kinds(one) >= {"Service", "EndpointSlice"}, "they are known")
    cluster.write(bgp_configuration())
    wait_for(lambda: not kinds(one) & {"Service", "EndpointSlice"}, "they are forgotten")
    for object in SERVICE:
        cluster.delete(object)
    one.deletes = 1  # of the tunnel's
    cluster.write(ip_pool("10.245.0.0/16", name="vxlan", vxlanMode="Always"))
    wait_for(lambda: api.count(r"ipamblocks\?.*watch"), "blocks are watched where VXLAN is used")
    wait_for(lambda: "IPAMBlock" in kinds(one), "blocks are known")
    cluster.delete(ip_pool("10.245.0.0/16", name="vxlan"))
    wait_for(lambda: "IPAMBlock" not in kinds(one), "and forgotten")


def test_changes_are_heard(cluster, one):
    hears(cluster, one)


def test_services_are_announced(cluster, one):
    """By the node with an endpoint, as the server keeps Services: with an address of its choice, and its defaults."""
    one.deletes = 4  # what another node announces before this one knows that it is the cluster's
    cluster.write(*SERVICE)
    address = cluster.datastore.client.get("Service", "web", "default")["spec"]["clusterIP"]
    cluster.write(bgp_configuration(serviceClusterIPs=[{"cidr": str(ip_network(f"{address}/24", strict=False))}]))

    def announces(node):
        return f"{address}/32" in {row["prefix"] for row in node.show("routes")["routes"] if row["from"] == "local"}
    wait_for(lambda: announces(one), lambda: f"{address} is announced\n{one.log_tail()}")
    assert not announces(cluster.nodes[1])
    for object in SERVICE:
        cluster.delete(object)
    wait_for(lambda: not announces(one), "it is withdrawn")
    cluster.write(bgp_configuration())
    wait_for(lambda: not kinds(one) & {"Service", "EndpointSlice"}, "Services are forgotten")
    # The other node may be the first to hear of the range, and the last: then its route is there for a moment.
    one.deletes = 2


@stand_in
def test_a_watch_goes_on_where_it_was(cluster, one, api):
    """Not even a listing follows a broken connection."""
    lists = api.count("limit=500")
    api.drop_connections()
    hears(cluster, one)
    assert api.count("limit=500") == lists


@stand_in
def test_bookmarks_keep_quiet_watches_alive(cluster, one, api):
    """A watch on which nothing happens could not be taken up after a compaction, but for them. One may be on its way
    while the connection breaks: then it is tried again."""
    def is_taken_up_after_a_compaction():
        hears(cluster, one)  # others change, pools do not
        lists, watches, sent = api.count(r"ippools\?limit"), api.count(r"ippools\?watch"), api.bookmarks
        wait_for(lambda: api.bookmarks > sent + 50, "bookmarks are sent")
        api.compact()
        api.drop_connections()
        wait_for(lambda: api.count(r"ippools\?watch") > watches + 1, "both nodes take up their watch")
        wait_in_sync(one)
        return api.count(r"ippools\?limit") == lists
    wait_for(is_taken_up_after_a_compaction, "a watch that goes on without a listing")


@stand_in
@pytest.mark.parametrize("how", ["answer", "event"])
def test_gone_means_a_new_listing(cluster, one, api, how):
    """410, as an answer or in the stream: the listing is a diff, and nothing flaps."""
    lists = api.count(r"nodes\?limit")
    if how == "answer":
        cluster.write(thing("BGPFilter", "some", {}))
        cluster.delete(thing("BGPFilter", "some", {}))
        api.compact()
    else:
        api.fail(r"GET /api/v1/nodes\?watch", error=410)
    api.drop_connections()
    wait_for(lambda: api.count(r"nodes\?limit") > lists, "nodes are listed anew")
    wait_in_sync(one)
    hears(cluster, one)


BROKEN_WATCHES = {
    "bgppeers": {"cut": 40}, "nodes": {"cut": 0}, "pods": {"delay": 0.3}, "ippools": {"status": 500},
    "blockaffinities": {"status": 503, "headers": {"Retry-After": "1"}}, "bgpconfigurations": {"error": 500},
    "bgpfilters": {"cut": 1},
}


@stand_in
def test_watches_that_break(cluster, one, api):
    """In the middle of an event, at its beginning, with an error as answer and as event; each watch in its own way."""
    for resource, fault in BROKEN_WATCHES.items():
        api.fail(rf"/{resource}\?watch", count=3, **fault)
    api.drop_connections()
    cluster.write(as_kept(node_object("node-3", ["172.18.0.3/24"])), ip_pool("10.246.0.0/16", name="third"))
    hears(cluster, one)
    wait_for(lambda: "172.18.0.3" in {row["address"] for row in one.show("peers")["peers"]}, "the new node is heard of")
    cluster.delete(as_kept(node_object("node-3", ["172.18.0.3/24"])))
    cluster.delete(ip_pool("10.246.0.0/16", name="third"))
    wait_for(lambda: "172.18.0.3" not in {row["address"] for row in one.show("peers")["peers"]}, "it is gone")
    wait_in_sync(one)


@stand_in
def test_listings_that_break(cluster, one, api):
    for resource, fault in {"nodes": {"cut": 300}, "ippools": {"status": 500},
                            "bgppeers": {"status": 429, "headers": {"Retry-After": "1"}}}.items():
        api.fail(rf"/{resource}\?limit", count=2, **fault)
        api.fail(rf"/{resource}\?watch", count=2, error=410)
    api.drop_connections()
    wait_for(lambda: all(fault.met == 2 for fault in api.faults), "each of them happens to both nodes")
    wait_in_sync(one)
    hears(cluster, one)


@stand_in
def test_retry_after_is_obeyed(cluster, one, api):
    before = api.count(r"bgpfilters\?watch")
    fault = api.fail(r"bgpfilters\?watch", status=429, headers={"Retry-After": "2"}, count=2)
    api.drop_connections()
    wait_for(lambda: fault.met == 2, "both nodes were told to wait")
    wait_for(lambda: api.count(r"bgpfilters\?watch") > before + 2, "they come back")
    assert time.monotonic() - fault.first >= 2
    wait_in_sync(one)


@stand_in
def test_pages(cluster, one, api):
    """Each listing takes several; and if the next page is no more, all is listed in one piece."""
    filters = [thing("BGPFilter", f"filter-{number}", {}) for number in range(5)]
    cluster.write(*filters)
    api.most = 2
    for pattern in (None, r"bgpfilters\?limit=500&continue"):
        whole = api.count(r"bgpfilters$|bgpfilters\?$")
        if pattern:
            api.fail(pattern, status=410)
        pages = api.count(r"bgpfilters\?limit=500&continue")
        api.fail(r"bgpfilters\?watch", error=410)
        api.drop_connections()
        wait_for(lambda: api.count(r"bgpfilters\?limit=500&continue") > pages, "further pages are asked for")
        if pattern:
            wait_for(lambda: api.count(r"bgpfilters$|bgpfilters\?$") > whole, "all is listed in one piece")
        wait_in_sync(one)
    api.most = 10000
    for filter in filters:
        cluster.delete(filter)


# ---- Outages ----

def test_an_outage_changes_no_route_and_what_was_missed_is_made_up_for(cluster, one):
    proxy, node = cluster.datastore.proxy, cluster.nodes[1]
    before = routes(one)
    proxy.stop()
    wait_for(lambda: not status(one)["in_sync"], "the outage is noticed")
    wait_problem(one, "datastore https://", "what was known stays in force")
    cluster.write(block_affinity("node-1", "10.244.66.0/26"), marker("missed"))
    assert routes(one) == before
    proxy.start()
    wait_for(lambda: one.route("10.244.66.0/26"), lambda: f"the new block is heard of\n{one.log_tail()}")
    wait_for(lambda: node.route("10.244.66.0/26"), "and announced")
    cluster.delete(block_affinity("node-1", "10.244.66.0/26"))
    cluster.delete(marker("missed"))
    one.deletes = 1
    wait_for(lambda: not one.route("10.244.66.0/26"), "it goes")


@stand_in
def test_what_was_deleted_meanwhile_goes(cluster, one, api):
    cluster.write(block_affinity("node-1", "10.244.67.0/26"))
    wait_for(lambda: one.route("10.244.67.0/26"), "the block is there")
    cluster.datastore.proxy.stop()
    wait_for(lambda: not status(one)["in_sync"], "the outage is noticed")
    cluster.delete(block_affinity("node-1", "10.244.67.0/26"))
    api.compact()
    assert one.route("10.244.67.0/26")
    one.deletes = 1
    cluster.datastore.proxy.start()
    wait_for(lambda: not one.route("10.244.67.0/26"), "the block is gone")


def test_a_node_starts_without_the_server(cluster, one):
    """From its cache; and with the server back it is as if nothing had been."""
    before = routes(one)
    one.kill()
    cluster.datastore.proxy.stop()
    one.start()
    wait_for(lambda: status(one)["cached"], lambda: f"the cache stands in\n{one.log_tail()}", 30)
    assert routes(one) == before
    wait_for(lambda: not one.show("status")["restart"]["in_progress"], "the start is complete", 30)
    assert routes(one) == before and one.show("status")["kernel"]["deletes"] == 0
    cluster.datastore.proxy.start()
    wait_for(lambda: status(one)["in_sync"] and not status(one)["cached"], "in sync", 40)
    hears(cluster, one)


# ---- Who we are ----

@stand_in
def test_tokens_rotate(cluster, one, api):
    path = one.directory / "token"
    path.write_text(cluster.datastore.token + "\n")
    config = one.directory / "kubeconfig"
    text = config.read_text()
    config.write_text(cluster.datastore.kubeconfig({"tokenFile": "token"}))
    api.drop_connections()
    fresh = cluster.datastore.client.token_for(*ACCOUNT)
    other = cluster.datastore.token
    del api.tokens[other]
    try:
        api.drop_connections()
        wait_problem(one, "401 Unauthorized")
        path.write_text(fresh + "\n")
        wait_in_sync(one)
        wait_no_problem(one, "401")
        hears(cluster, one)
    finally:
        api.tokens[other] = f"system:serviceaccount:{':'.join(ACCOUNT)}"
        config.write_text(text)
        wait_in_sync(cluster.nodes[1])


def another_node(cluster, name, env=None, **kubernetes):
    """A node that says in its own way who it is; it takes no part in routing."""
    node = cluster.add_node(f"{name}{next(cluster.numbers)}", blocks=[], config={"kernel": {"programming": False}})
    section = {key: value for key, value in {"kubeconfig": None, **kubernetes}.items() if value is not None}
    node.configure({"datastore": {"kubernetes": section or None}})
    node.start(env=env)
    return node


@stand_in
def test_client_certificates(cluster):
    directory = cluster.directory
    node = another_node(cluster, "node-c", kubeconfig=str(directory / "by-certificate"))
    wait_problem(node, "by-certificate: No such file")
    # In the file, as data; and by name, seen from the kubeconfig's directory.
    data = {f"client-{what}-data": base64.b64encode((directory / f"client.{end}").read_bytes()).decode()
            for what, end in (("certificate", "crt"), ("key", "key"))}
    for user in (data, {"client-certificate": "client.crt", "client-key": str(directory / "client.key")}):
        (directory / "by-certificate").write_text(cluster.datastore.kubeconfig(user))
        wait_in_sync(node)
        node.kill()
        node.start()
    wait_in_sync(node)
    cluster.remove(node)


@stand_in
def test_service_account(cluster):
    """As in a Pod: where the server is the environment says, and who we are the mounted files."""
    place = "/run/secrets/kubernetes.io/serviceaccount"
    os.makedirs(place)
    files = {"token": cluster.datastore.token, "ca.crt": cluster.datastore.authorities, "namespace": ACCOUNT[0]}
    for name, text in files.items():
        with open(f"{place}/{name}", "w", encoding="ascii") as file:
            file.write(text)
    node = another_node(cluster, "node-s", env={"KUBERNETES_SERVICE_HOST": ADDRESS, "KUBERNETES_SERVICE_PORT": str(PORT)})
    wait_in_sync(node)
    cluster.remove(node)


@stand_in
def test_server_by_its_address(cluster):
    (cluster.directory / "plain-token").write_text(cluster.datastore.token)
    node = another_node(cluster, "node-a", server=f"https://{ADDRESS}:{PORT}", ca_file=str(cluster.directory / "ca.crt"),
                        token_file=str(cluster.directory / "plain-token"))
    wait_in_sync(node)
    cluster.remove(node)


def test_a_kubeconfig_that_is_of_no_use(cluster):
    """What it says is said until it says something better."""
    path = cluster.directory / "bad-config"
    path.write_text(cluster.datastore.kubeconfig({"exec": {"command": "aws"}}))
    node = another_node(cluster, "node-b", kubeconfig=str(path))
    wait_problem(node, "exec: not supported here")
    path.write_text(cluster.datastore.kubeconfig({"token": "wrong"}))
    wait_problem(node, "401 Unauthorized")
    path.write_text(cluster.datastore.kubeconfig({"token": cluster.datastore.token}))
    wait_in_sync(node)
    cluster.remove(node)


def test_a_certificate_of_somebody_else(cluster):
    path = cluster.directory / "other-name"
    path.write_text(cluster.datastore.kubeconfig({"token": cluster.datastore.token}, **{"tls-server-name": "else.where"}))
    node = another_node(cluster, "node-t", kubeconfig=str(path))
    wait_problem(node, "else.where")
    path.write_text(cluster.datastore.kubeconfig({"token": cluster.datastore.token}))
    wait_in_sync(node)
    cluster.remove(node)


# ---- What we may ----

@stand_in
def test_what_is_forbidden_is_named_and_does_not_stop_the_rest(cluster, one, api):
    client = cluster.datastore.client
    allowed = client.get("ClusterRole", "calidris")
    less = json.loads(json.dumps(allowed).replace('"bgpfilters", ', ""))
    client.apply(less)
    try:
        api.compact()
        api.drop_connections()
        wait_problem(one, "bgpfilters", "403", "get, list and watch")
        wait_in_sync(one)
        hears(cluster, one)
        # At a start, too.
        one.kill()
        one.start()
        wait_for(lambda: status(one)["in_sync"], lambda: f"in sync without them\n{one.log_tail()}", 30)
        wait_problem(one, "bgpfilters", "403")
    finally:
        client.apply({key: value for key, value in allowed.items() if key != "metadata"} | {"metadata": {"name": "calidris"}})
    one.kill()
    one.start()
    wait_in_sync(one)
    assert "403" not in problems(one)


# ---- Passwords ----

def secret(name="bgp-secrets", **data):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "kube-system"}, "type": "Opaque",
            "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}}


def established(node):
    return {row["name"] for row in node.show("peers")["peers"] if row["state"] == "Established"}


def test_passwords_come_from_secrets(cluster):
    """Only the Secret that is named is read, and the session follows its changes."""
    first, second = cluster.nodes[:2]
    reference = {"secretKeyRef": {"name": "bgp-secrets", "key": "mesh"}}
    cluster.write(secret(mesh="first word"))
    cluster.write(bgp_peer("guarded", nodeSelector="has(rack)", peerSelector="has(rack)", password=reference),
                  bgp_configuration(mesh=False))
    wait_for(lambda: established(first) and "mesh" not in str(established(first)).lower(), "the session with a password is up")
    cluster.write(bgp_peer("guarded", nodeSelector="rack == 'r1'", peerSelector="has(rack)", reversePeering="Manual",
                           password={"secretKeyRef": {"name": "bgp-secrets", "key": "absent"}}))
    wait_problem(first, "BGPPeer/guarded", "has no key absent", "no password")
    cluster.write(bgp_peer("guarded", nodeSelector="has(rack)", peerSelector="has(rack)", password=reference))
    wait_no_problem(first, "no password")
    wait_for(lambda: established(first), "up again")
    changes = first.log_text().count("BGPPeer guarded: changed")
    cluster.write(secret(mesh="second word"))
    wait_for(lambda: first.log_text().count("BGPPeer guarded: changed") > changes, "the new password is heard of")
    cluster.wait_converged()
    if cluster.datastore.api:
        asked = {line.partition("?")[2] for line in cluster.datastore.api.requests if "/secrets" in line and "watch" in line}
        assert asked and all("fieldSelector=metadata.name%3Dbgp-secrets" in line for line in asked)
    cluster.write(bgp_configuration())
    cluster.delete(bgp_peer("guarded"))
    cluster.wait_converged()
    cluster.delete(secret())
    assert "second word" not in first.log_text() + second.log_text()


# ---- What a node says of itself ----

def test_node_status_is_filled_in(cluster):
    one = cluster.nodes[0]
    wanted = thing("CalicoNodeStatus", "about-one", {"node": "node-1", "classes": ["Agent", "BGP", "Routes"],
                                                     "updatePeriodSeconds": 1})
    other = thing("CalicoNodeStatus", "about-nobody", {"node": "node-99", "classes": ["BGP"], "updatePeriodSeconds": 1})
    cluster.write(wanted, other)
    client, version = cluster.datastore.client, cluster.datastore.version

    def filled():
        found = client.get("CalicoNodeStatus", "about-one", version=version).get("status") or {}
        ready = found.get("agent", {}).get("birdV4", {}).get("state") == "Ready"
        return found if ready and found.get("bgp", {}).get("numberEstablishedV4") else None
    status = wait_for(filled, lambda: f"the status is filled in\n{one.log_tail()}")
    assert status["agent"]["birdV4"]["routerID"] == one.ip4
    peer = next(row for row in status["bgp"]["peersV4"] if row["peerIP"] == cluster.nodes[1].ip4)
    assert (peer["type"], peer["state"]) == ("NodeMesh", "Established")

    def rows(status):
        return {(row["type"], row["destination"], row["gateway"], row["learnedFrom"]["sourceType"])
                for row in status["routes"]["routesV4"]}
    way = ("10.244.2.0/26", cluster.nodes[1].ip4)
    wait_for(lambda: {("RIB", *way, "NodeMesh"), ("FIB", *way, "Kernel")} <= rows(filled()), lambda: f"{way} in {rows(filled())}")
    wait_for(lambda: filled()["lastUpdated"] != status["lastUpdated"], "it is kept up to date")
    assert not client.get("CalicoNodeStatus", "about-nobody", version=version).get("status")
    cluster.delete(wanted)
    cluster.delete(other)
