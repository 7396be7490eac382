"""etcd's members by the DNS (ETCD_DISCOVERY_SRV)."""

import pytest

from dns import A, SRV, Dns, resolver
from etcd import Etcd, Pki
from harness import wait_for
from objects import ip_pool

DOMAIN = "cluster.test"
PLAIN, TLS = f"_etcd-client._tcp.{DOMAIN}", f"_etcd-client-ssl._tcp.{DOMAIN}"


def status(node):
    return node.show("status")["datastore"]


def wait_sync(node):
    wait_for(lambda: status(node)["in_sync"], lambda: f"in sync\n{node.log_tail()}")


def wait_problem(node, *words):
    wait_for(lambda: all(word in (status(node)["problem"] or "") for word in words),
             lambda: f"{words} in {status(node)['problem']!r}\n{node.log_tail()}")


@pytest.fixture
def make(new_cluster):
    """A cluster with a node that knows nothing of etcd but its domain, and the domain's server."""
    servers = []

    def make_with(pki=lambda _directory: None, **options):
        cluster = new_cluster(datastore=lambda cluster: Etcd(cluster, pki=pki(cluster.directory), **options), families=(4,))
        node = cluster.add_node("node-1")
        section = {key: value for key, value in node.config["datastore"]["etcd"].items() if key != "endpoints"}
        node.configure({"datastore": {"etcd": {**section, "discovery_srv": DOMAIN}}})
        dns = Dns(cluster.fabric, Etcd.address)
        servers.append(dns)
        for member in cluster.datastore.members:
            dns.records[f"{member.name}.{DOMAIN}", A] = [Etcd.address]
        return cluster, node, dns
    yield make_with
    for server in servers:
        server.close()


def test_members_by_their_records(make):
    """In the order of their priorities; and looked up again when none of them does."""
    cluster, node, dns = make(members=2)
    first, second = cluster.datastore.members
    dns.records[PLAIN, SRV] = [(20, 0, second.port, f"m1.{DOMAIN}"), (10, 0, first.port, f"m0.{DOMAIN}")]
    with resolver(cluster.directory, Etcd.address):
        cluster.start()
        wait_sync(node)
        assert status(node)["location"] == f"http://m0.{DOMAIN}:{first.port}"
        assert (TLS, SRV) in dns.asked
        wait_for(lambda: node.route("10.244.1.0/26"), "its block's route")
        # Two members are no majority when one is gone: all of it moves to another place.
        for member in (first, second):
            member.kill()
        wait_for(lambda: not status(node)["in_sync"], "the outage is noticed")
        for member in (first, second):
            member.port += 5
            member.wipe()
        dns.records[PLAIN, SRV] = [(10, 0, first.port, f"m0.{DOMAIN}"), (10, 0, second.port, f"m1.{DOMAIN}")]
        cluster.datastore.start()
        cluster.datastore.put_many(cluster.datastore.written.items())
        cluster.write(ip_pool("10.70.0.0/16", name="there"))
        wait_for(lambda: any(row["name"] == "there" for row in node.show("objects")["objects"]),
                 lambda: f"the new place is found\n{node.log_tail()}", 40)
        wait_sync(node)


def certificates(directory):
    """etcd's is for its name, too."""
    pki = Pki(directory / "pki").issue("etcd", Etcd.address).issue("node")
    (pki.directory / "etcd.ext").write_text(f"subjectAltName=DNS:m0.{DOMAIN},IP:{Etcd.address}\n")
    pki.openssl("x509", "-req", "-in", "etcd.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
                "-extfile", "etcd.ext", "-out", "etcd.pem")
    return pki


def test_a_domain_without_records(make):
    """What is missing is said, and looked up again; what counts is TLS, where both are offered."""
    cluster, node, dns = make(pki=certificates)
    port = cluster.datastore.members[0].port
    with resolver(cluster.directory, Etcd.address):
        node.start()
        wait_problem(node, TLS, "_etcd-client._tcp)", "Unknown host")
        dns.records[TLS, SRV] = [(0, 0, 0, ".")]
        dns.records[PLAIN, SRV] = [(0, 0, port + 1, f"m0.{DOMAIN}")]
        wait_problem(node, "onnect")
        dns.records[TLS, SRV] = [(0, 0, port, f"m0.{DOMAIN}")]
        wait_sync(node)
        assert status(node)["location"] == f"https://m0.{DOMAIN}:{port}"
