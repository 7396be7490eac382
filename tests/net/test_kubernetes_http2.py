"""Real API servers speak HTTP/2: all that a node asks for shares a connection, and lives and dies with it. nghttpx, before
the stand-in, speaks it here."""

import signal

import pytest

from harness import wait_for
from kube import Kube, hears, routes, status, wait_in_sync
from objects import thing

FILTERS, PAGES = 2000, 4


@pytest.fixture(scope="module")
def cluster(new_shared_cluster):
    cluster = new_shared_cluster(datastore=lambda cluster: Kube(cluster, http2=True), families=(4,))
    for number in (1, 2):
        cluster.add_node(f"node-{number}")
    cluster.start()
    cluster.wait_converged()
    yield cluster
    cluster.close()


@pytest.fixture
def one(cluster):
    node = cluster.nodes[0]
    wait_in_sync(node)
    before = routes(node)
    yield node
    wait_in_sync(node)
    assert routes(node) == before


def watches(cluster):
    return cluster.datastore.api.count(r"watch=true")


def listings(cluster):
    return cluster.datastore.api.count(r"limit=500")


def test_everything_shares_a_connection(cluster, one):
    hears(cluster, one)
    # The tests' own connections do not pass the proxy.
    wait_for(lambda: len(cluster.datastore.proxy.pairs) == len(cluster.nodes),
             lambda: f"{len(cluster.datastore.proxy.pairs)} connections of {len(cluster.nodes)} nodes")
    asked = (cluster.directory / "access.log").read_text().splitlines()
    ours = [line for line in asked if line.startswith("h2 ")]
    assert len(ours) >= 2 * 6 and not [line for line in asked if "limit=500" in line and not line.startswith("h2 ")]


def test_more_than_fits_into_any_window(cluster, one):
    """A listing and a burst of events of several megabytes each, beside quiet watches on the same connection."""
    api = cluster.datastore.api
    resource = api.resources["crd.projectcalico.org", "v1", "bgpfilters"]
    rules = {"importV4": [{"action": "Accept", "cidr": f"10.{n}.0.0/16", "matchOperator": "In"} for n in range(20)]}
    names = [f"filter-{number}" for number in range(FILTERS)]

    def known():
        return sum(row["kind"] == "BGPFilter" for row in one.show("objects", "BGPFilter")["objects"])

    def pages():
        return api.count(r"bgpfilters\?.*limit=500")
    with api.changed:
        for name in names:
            api.store(resource, (None, name), {**thing("BGPFilter", name, rules, version="crd.projectcalico.org/v1")}, new=True)
    wait_for(lambda: known() == FILTERS, lambda: f"{known()} filters are known", 60)
    hears(cluster, one)
    before = pages()
    api.fail(r"bgpfilters\?watch", error=410, count=2)
    cluster.datastore.proxy.cut()
    wait_for(lambda: pages() == before + 2 * PAGES, lambda: f"{pages() - before} pages are listed, by both nodes", 60)
    wait_in_sync(one)
    assert known() == FILTERS
    api.faults.clear()
    with api.changed:
        for name in names:
            api.store(resource, (None, name), None)
    wait_for(lambda: known() == 0, lambda: f"{known()} filters are left", 60)
    hears(cluster, one)


def test_a_lost_connection_takes_all_watches(cluster, one):
    """They are taken up where they were, without a listing."""
    before, asked = watches(cluster), listings(cluster)
    cluster.datastore.proxy.cut()
    wait_for(lambda: watches(cluster) >= before + 12, lambda: f"{watches(cluster) - before} watches are asked for again")
    hears(cluster, one)
    assert listings(cluster) == asked


def test_a_server_that_says_goodbye(cluster, one):
    """GOAWAY: what is being answered goes on there, and what is asked for from now on goes to the next server. When the
    old one ends, nothing is missed."""
    old, asked = cluster.datastore.front, listings(cluster)
    cluster.datastore.start_front()
    cluster.datastore.proxy.target = str(cluster.datastore.target)
    old.send_signal(signal.SIGQUIT)
    hears(cluster, one)
    cluster.end(old)
    wait_for(lambda: status(one)["in_sync"], "in sync")
    hears(cluster, one)
    hears(cluster, cluster.nodes[0], "further")
    assert listings(cluster) == asked
