"""The route table of a real node: plain routing with BGP, no encapsulation, releases before 3.32 (kernel metric 0).

26 workload routes on cali* interfaces, the other node's block through its address onlink, and the node's own network. A
blackhole for the node's own block may stand in addition; the protocol of workload routes may be another; nothing else."""

import re

import pytest

from harness import interface_name, wait_for
from objects import ip_pool, pod, workload_endpoint

TABLE = """
default via 172.20.70.254 dev eth0
10.100.32.128/26 via 172.20.70.205 dev eth0 proto 80 onlink
10.100.85.192 dev caliab299ca0c34 scope link
10.100.85.197 dev cali61e1f9a06fa scope link
10.100.85.203 dev cali5a4a62eb73c scope link
10.100.85.204 dev cali8bac6c0ff3f scope link
10.100.85.205 dev cali15c7619fccc scope link
10.100.85.206 dev cali11239f98883 scope link
10.100.85.207 dev cali2ecad0b58db scope link
10.100.85.208 dev calie1b5053bbd3 scope link
10.100.85.209 dev cali95fcb44ab02 scope link
10.100.85.210 dev cali0432a2c0a3a scope link
10.100.85.211 dev calibe4e563fb8a scope link
10.100.85.212 dev calid75abf4f5e0 scope link
10.100.85.213 dev cali1abad8afd57 scope link
10.100.85.215 dev cali22a5b0c8530 scope link
10.100.85.223 dev calib0fcb148121 scope link
10.100.85.228 dev calia1f109c0158 scope link
10.100.85.229 dev calicdd26318445 scope link
10.100.85.233 dev cali0761ccbeace scope link
10.100.85.234 dev cali0d7763386da scope link
10.100.85.238 dev caliac7cd485d76 scope link
10.100.85.241 dev cali8284a295f10 scope link
10.100.85.242 dev cali7b8cb8a0d4e scope link
10.100.85.243 dev calif57f257da67 scope link
10.100.85.244 dev cali7e3a1b6756b scope link
10.100.85.245 dev cali8f8d4b79597 scope link
10.100.85.251 dev caliedf44567bf4 scope link
172.20.70.0/24 dev eth0 proto kernel scope link src 172.20.70.215
"""

PODS = {
    "grafana-756fb84d84-25vgx": "10.100.85.223",
    "nfs-client-provisioner-78577dfbf6-5vc8k": "10.100.85.251",
    "nginx-deployment-curl01-5dfbf76b79-wknqh": "10.100.85.203",
    "nginx-deployment-svc01-5cc6946cb4-4sdq7": "10.100.85.228",
    "nginx-deployment-svc01-5cc6946cb4-64z5c": "10.100.85.238",
    "nginx-deployment-svc01-5cc6946cb4-mqb7v": "10.100.85.229",
    "nginx-deployment-svc05-68684b78bd-dk4wt": "10.100.85.242",
    "nginx-deployment-svc05-68684b78bd-k2s8b": "10.100.85.241",
    "nginx-deployment-svc06-6bd95799cf-4hx5h": "10.100.85.244",
    "nginx-deployment-svc06-6bd95799cf-ljp64": "10.100.85.243",
    "onepod-multicontiner02": "10.100.85.245",
    "web-0": "10.100.85.234",
    "web-1": "10.100.85.233",
}

ROWS = [" ".join(line.split()) for line in TABLE.strip().splitlines()]
WORKLOADS = dict(re.fullmatch(r"(\S+) dev (cali\S+) scope link", row).groups() for row in ROWS if " dev cali" in row)


def test_interface_names_of_the_known_pods():
    assert len(WORKLOADS) == 26
    for name, address in PODS.items():
        assert WORKLOADS[address] == interface_name(name)


def table_of(node):
    """The kernel's table as the rows above are written: workload routes without their protocol."""
    rows = []
    for line in node.run("ip", "route").splitlines():
        row = " ".join(line.split())
        if " dev cali" in row:
            row = re.sub(r" proto \S+", "", row)
        rows.append(row)
    return rows


@pytest.fixture
def node(new_cluster):
    cluster = new_cluster(families=(4,), pools=False)
    cluster.write(ip_pool("10.100.0.0/16"))
    segment = cluster.segment("lan", ["172.20.70.254/24"])
    old = {"kernel": {"metric": 0, "protocol": 80}}
    node = cluster.add_node("k8s-node01", segment=segment, addresses=["172.20.70.215/24"], blocks=["10.100.85.192/26"],
                            config=old)
    cluster.add_node("k8s-node02", segment=segment, addresses=["172.20.70.205/24"], blocks=["10.100.32.128/26"],
                     config=old)
    names = {address: name for name, address in PODS.items()}
    for address, interface in WORKLOADS.items():
        number = address.rpartition(".")[2]
        node.ip(f"link add {interface} address ee:ee:ee:ee:ee:ee type veth peer name p{number}",
                f"link set {interface} up", f"link set p{number} up")
        # What is known of a pod besides its address leads to its interface's name.
        cluster.write(pod(node.name, names[address], [address]) if address in names else
                      workload_endpoint(node.name, f"pod-{number}", interface, [address]))
    cluster.start()
    cluster.wait_converged()
    return node


def test_table_row_by_row(node):
    wait_for(lambda: len(table_of(node)) >= len(ROWS) + 1, lambda: "\n".join(table_of(node)))
    found = table_of(node)
    assert found.count("blackhole 10.100.85.192/26 proto 80") == 1
    found.remove("blackhole 10.100.85.192/26 proto 80")
    assert sorted(found) == sorted(ROWS)
