"""Calidris on a Kubernetes API server: what is listed and watched becomes routes, whatever happens to the server."""

import pytest

from kube import Kube


@pytest.fixture(scope="module")
def cluster(new_shared_cluster):
    cluster = new_shared_cluster(datastore=Kube)
    cluster.add_node("node-1")
    cluster.add_node("node-2")
    cluster.start()
    cluster.wait_converged()
    return cluster


def test_two_nodes(cluster):
    one, two = cluster.nodes
    one.add_pod("a")
    two.add_pod("b")
    cluster.wait_local()
    status = one.show("status")["datastore"]
    assert status["backend"] == "kubernetes" and status["in_sync"]
