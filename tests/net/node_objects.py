"""Nodes whose objects do not say their addresses, and what their objects say then: in etcd, and in Kubernetes."""

import base64
import json

from etcd import RESOURCES, Etcd
from kube import Kube
from objects import block_affinity, node_object

CALICO = "projectcalico.org/"


class EtcdNodes:
    """A node's object as etcd has it."""

    def __init__(self, cluster):
        self.etcd = cluster.datastore

    def read(self, name):
        answer = self.etcd.call("kv/range", {"key": text64(f"{RESOURCES}/nodes/{name}")})
        return json.loads(plain(answer["kvs"][0]["value"])) if "kvs" in answer else None

    def said(self, name):
        node = self.read(name)
        bgp = node["spec"]["bgp"] if node else {}
        return bgp.get("ipv4Address"), bgp.get("ipv6Address"), bgp.get("asNumber")

    def write(self, name, ipv4):
        node = self.read(name)
        node["spec"]["bgp"]["ipv4Address"] = ipv4
        self.etcd.put(f"{RESOURCES}/nodes/{name}", node)


def text64(text):
    return base64.b64encode(text.encode()).decode()


def plain(text):
    return base64.b64decode(text).decode()


class KubeNodes:
    """As annotations of a Node of Kubernetes."""

    def __init__(self, cluster):
        self.client = cluster.datastore.client

    def read(self, name):
        return self.client.get("Node", name)

    def said(self, name):
        notes = self.read(name)["metadata"].get("annotations") or {}
        number = notes.get(f"{CALICO}ASNumber")
        return notes.get(f"{CALICO}IPv4Address"), notes.get(f"{CALICO}IPv6Address"), number and int(number)

    def write(self, name, ipv4):
        self.client.patch({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}},
                          {"metadata": {"annotations": {f"{CALICO}IPv4Address": ipv4}}})


VIEWS = {Etcd: EtcdNodes, Kube: KubeNodes}


def add_node(cluster, name, **options):
    """One whose Node object, if there is any, says no address."""
    node = cluster.add_node(name, publish=False, **options)
    if cluster.datastore.kind == "kubernetes":
        cluster.write(node_object(name, []))
    cluster.write(*(block_affinity(name, block) for block in node.blocks))
    node.publish_block()
    return node


def status(node):
    return node.show("status")
