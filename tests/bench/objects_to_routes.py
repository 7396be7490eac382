"""From an object in the datastore to the route that it asks for, in the kernel or with a peer: one after the other, and a crowd."""

import ipaddress
import json
import time

from etcd import Etcd, key_value
from harness import Cluster, Files, Host, interface_name
from kube import Kube
from kube_client import as_kept
from measure import PATIENCE, RTM_NEWROUTE, Kernel, cpu, middle, spend
from netns import Timeout, wait_for
from objects import bgp_peer, block_affinity, to_yaml, workload_endpoint
from speaker import UPDATE, Speaker, nlri

SINGLES, CROWD = 200, 500


class TimedSpeaker(Speaker):
    """Keeps when each UPDATE came."""

    def __init__(self, host):
        super().__init__(host)
        self.heard = []

    def react(self, connection, kind, body):
        if kind == UPDATE:
            self.heard.append((time.monotonic(), body))
        super().react(connection, kind, body)

    def wait(self, since, prefixes):
        """When the last of these prefixes was announced, of what was heard after the first `since` UPDATEs."""
        missing, when, deadline = {nlri(prefix) for prefix in prefixes}, 0, time.monotonic() + PATIENCE
        while missing:
            if len(self.heard) == since:
                if time.monotonic() > deadline:
                    raise Timeout(f"{len(missing)} blocks are not announced")
                time.sleep(0.0002)  # when it came is kept
                continue
            when, body = self.heard[since]
            missing = {one for one in missing if one not in body}
            since += 1
        return when


# How objects are put into each kind of datastore: everything that takes time of its own is done before put_in_place().

class FileStore:
    name, datastore = "files", Files

    def prepare(self, cluster, things):
        for thing in things:
            path = cluster.file_of(thing)
            hidden = path.with_name(f".{path.name}")
            hidden.write_text(to_yaml(thing))
            yield hidden, path

    def put_in_place(self, _cluster, prepared):
        for hidden, path in prepared:
            hidden.rename(path)


class EtcdStore:
    name, datastore = "etcd", Etcd

    def prepare(self, _cluster, things):
        for thing in things:
            key, value = key_value(thing)
            yield key, json.dumps(value)

    def put_in_place(self, cluster, prepared):
        cluster.datastore.put_many(prepared)


class KubeStore:
    """The stand-in for an API server; what it takes to tell its watchers is part of the time."""

    name, datastore = "Kubernetes (stand-in)", Kube

    def prepare(self, cluster, things):
        for thing in things:
            kept = as_kept(thing, cluster.datastore.version)
            resource = next(one for one in cluster.datastore.api.resources.values()
                            if (one.kind, one.api_version) == (kept["kind"], kept["apiVersion"]))
            yield resource, (kept["metadata"].get("namespace"), kept["metadata"]["name"]), kept

    def put_in_place(self, cluster, prepared):
        api = cluster.datastore.api
        with api.changed:
            for row in prepared:
                api.store(*row, new=True)


STORES = (FileStore(), EtcdStore(), KubeStore())


def pods(node, count):
    """Veths for so many pods, all in place: (pod's name, interface, address)."""
    rows = [(f"pod-{index}", interface_name(f"pod-{index}"), str(ipaddress.ip_address("10.244.128.0") + index))
            for index in range(count)]
    node.ip(*(line for _pod, interface, _address in rows
              for line in (f"link add {interface} type veth peer name p{interface[4:]}", f"link set {interface} up",
                           f"link set p{interface[4:]} up")))
    return rows


class Scene:
    """A node with a peer that only listens."""

    def __init__(self, store, cluster):
        self.store, self.cluster = store, cluster
        self.node = cluster.add_node("node-1", config={"log": {"level": "info"}})
        host = cluster.add_host(Host, "peer", blocks=[])
        cluster.write(bgp_peer("peer", node="node-1", peerIP=host.ip4, asNumber=64512))
        self.speaker = TimedSpeaker(host)
        self.speaker.add(host.ip4, 64512, families=(4,))

    def start(self):
        self.node.start()
        wait_for(lambda: self.speaker.established() == 1, "the session")
        wait_for(lambda: not self.node.show("status")["restart"]["in_progress"], "the start is complete")
        spend(self.node.process)

    def act(self, things, wait):
        """Seconds until wait() says that it was, and CPU."""
        prepared = list(self.store.prepare(self.cluster, things))
        spend(self.node.process)
        before, began = cpu(self.node.process), time.monotonic()
        self.store.put_in_place(self.cluster, prepared)
        took = wait() - began
        spend(self.node.process)
        return took, cpu(self.node.process) - before

    def one_by_one(self, things, wait):
        """The figures of these, each after the one before it is done."""
        prepared, times = list(self.store.prepare(self.cluster, things)), []
        spend(self.node.process)
        before = cpu(self.node.process)
        for index, row in enumerate(prepared):
            began = time.monotonic()
            self.store.put_in_place(self.cluster, [row])
            times.append(wait(index) - began)
        return {**middle(times), "CPU": (cpu(self.node.process) - before) / len(prepared)}


def from_objects(singles=SINGLES, crowd=CROWD, stores=STORES):
    rows = []
    for store in stores:
        with Cluster(mesh=False, families=(4,), datastore=store.datastore) as cluster:
            scene = Scene(store, cluster)
            with scene.speaker as speaker, Kernel(scene.node) as kernel:
                machines = pods(scene.node, singles + crowd)
                things = [workload_endpoint("node-1", *row[:2], [row[2]]) for row in machines]
                routes = [f"{row[2]}/32" for row in machines]
                blocks = [f"10.244.{32 + index // 4}.{index % 4 * 64}/26" for index in range(singles)]
                scene.start()
                kernel.quiet()
                if singles:
                    rows.append({"what": f"{store.name}: a workload's object → its route in the kernel",
                                 **scene.one_by_one(things[:singles], lambda i: kernel.wait(RTM_NEWROUTE, [routes[i]]))})
                    mark = len(speaker.heard)
                    rows.append({"what": f"{store.name}: a block's object → it is announced to a peer",
                                 **scene.one_by_one([block_affinity("node-1", block) for block in blocks],
                                                    lambda i: speaker.wait(mark, [blocks[i]]))})
                took, spent = scene.act(things[singles:], lambda: kernel.wait(RTM_NEWROUTE, routes[singles:]))
                rows.append({"what": f"{store.name}: {crowd} workloads' objects at once → the last route",
                             "time": took, "CPU": spent, "units": crowd})
    return rows
