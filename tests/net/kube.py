"""A Kubernetes API server as the datastore: the stand-in (kube_api.py), or a real one that KUBECONFIG names (make
check-kubernetes). Nodes reach either through a proxy at the fabric's router, which can fail in all ways in which networks
fail.

    cluster = new_cluster(datastore=Kube)
    cluster.write(bgp_peer(...))                   # as with files
    cluster.datastore.proxy.stop()
    cluster.datastore.api.fail("GET /api/v1/nodes", status=429)
"""

import base64
import contextlib
import json
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from netns import run, wait_for
from objects import bgp_peer
from kube_api import KubeApi
from kube_client import CALICO_KINDS, ApiError, KubeClient, as_kept, client_context, definition

RBAC = Path(__file__).resolve().parents[2] / "etc/kubernetes/rbac.yaml"
ACCOUNT = ("kube-system", "calidris")
ADDRESS, PORT = "172.18.0.254", 6443
# A real server: where a relay to it listens, and how it wants to be asked (tests/kube_relay.py).
RELAY = os.environ.get("CALIDRIS_KUBE_RELAY")

# What is made in it, and deleted: Pods before the Nodes that they are bound to.
CLUSTER_KINDS = [*CALICO_KINDS, "Pod", "EndpointSlice", "Service", "Secret", "Node"]

# What a real server cannot be told to do.
stand_in = pytest.mark.skipif(bool(RELAY), reason="needs the stand-in, which fails as it is told")


class Proxy:
    """Passes connections on to a Unix socket."""

    def __init__(self, namespace, address, port, target):
        self.namespace, self.address, self.target = namespace, (address, port), str(target)
        self.pairs, self.listener, self.stalled = set(), None, threading.Event()
        self.start()

    def start(self):
        with self.namespace.inside():
            self.listener = socket.create_server(self.address)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        """Connections are refused, and those that there are break."""
        listener, self.listener = self.listener, None
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        self.cut()

    def cut(self):
        for pair in list(self.pairs):
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def accept(self, listener):
        while True:
            try:
                client, _peer = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.target)
            except OSError:
                client.close()
                continue
            pair = (client, server)
            self.pairs.add(pair)
            for ends in (pair, pair[::-1]):
                threading.Thread(target=self.pump, args=(*ends, pair), daemon=True).start()

    def pump(self, source, target, pair):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                while self.stalled.is_set():
                    if pair not in self.pairs:
                        return
                    self.stalled.wait(0.05)
                target.sendall(data)
        except OSError:
            pass
        finally:
            self.pairs.discard(pair)
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()


def make_certificates(directory):
    """An authority, a server's certificate for the proxy's address, and a node's that it signed."""
    def openssl(*words):
        run(["openssl", *words])

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=test authority", "-keyout", f"{directory}/ca.key",
            "-out", f"{directory}/ca.crt")
    for name, subject, extension in (("server", "/CN=kube-apiserver", f"subjectAltName=IP:{ADDRESS},DNS:kubernetes"),
                                     ("client", f"/CN=system:serviceaccount:{':'.join(ACCOUNT)}", "keyUsage=digitalSignature")):
        openssl("req", "-new", *key, "-subj", subject, "-addext", extension, "-keyout", f"{directory}/{name}.key",
                "-out", f"{directory}/{name}.csr")
        openssl("x509", "-req", "-in", f"{directory}/{name}.csr", "-CA", f"{directory}/ca.crt", "-CAkey",
                f"{directory}/ca.key", "-CAcreateserial", "-days", "2", "-copy_extensions", "copyall",
                "-out", f"{directory}/{name}.crt")


class Kube:
    """A datastore as harness.Cluster takes it."""

    kind = "kubernetes"

    def __init__(self, cluster, group="crd.projectcalico.org/v1", rbac=True, http2=False, subresource=True):
        self.cluster, self.version, self.directory, self.http2 = cluster, group, cluster.directory, http2
        self.front = None
        self.api = None
        self.real = bool(RELAY)
        if self.real:
            self.use_real_server()
        else:
            self.use_stand_in()
        for kind in CALICO_KINDS:
            self.client.apply(definition(kind, *group.split("/"), subresource))
        for kind in CALICO_KINDS:
            self.wait_defined(kind)
        self.wait_account("default", "default")  # without it there are no Pods
        self.clean()
        if rbac:
            for thing in yaml.safe_load_all(RBAC.read_text()):
                self.client.apply(thing)
            self.token = self.client.token_for(*ACCOUNT)
        # The address is the segment's.
        cluster.segment()
        self.proxy = Proxy(cluster.fabric, ADDRESS, PORT, self.target)

    def close(self):
        if self.proxy.listener:
            self.proxy.stop()
        if self.api:
            self.api.close()
        else:
            self.clean()
        self.api = None

    def use_stand_in(self):
        make_certificates(self.directory)
        self.target = self.directory / "api.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.target))
        listener.listen(64)
        tls = None if self.http2 else (f"{self.directory}/server.crt", f"{self.directory}/server.key")
        self.api = KubeApi(listener, tls, f"{self.directory}/ca.crt", {"the-admin": "admin"})
        if self.http2:
            self.start_front()
        # More often than real servers have them, as everything here happens more often.
        self.api.bookmark_seconds = 0.3
        self.authorities, self.server_name = (self.directory / "ca.crt").read_text(), "kubernetes"
        self.client = KubeClient(self.connect, self.server_name, client_context(self.authorities), "the-admin")

    def start_front(self):
        """nghttpx before the stand-in: TLS and HTTP/2, as real API servers have them. Who was connected to an earlier one
        stays with that."""
        socket_path, log = self.directory / f"front-{next(self.cluster.numbers)}.sock", self.directory / "nghttpx.log"
        self.front = self.cluster.popen([
            "nghttpx", f"--frontend=unix:{socket_path}", f"--backend=unix:{self.directory}/api.sock", "--workers=1",
            "--backend-read-timeout=3600", "--backend-connections-per-host=10000", "--no-ocsp", "--conf=/dev/null",
            f"--errorlog-file={log}", f"--accesslog-file={self.directory}/access.log", "--accesslog-format=$alpn $request",
            f"{self.directory}/server.key", f"{self.directory}/server.crt"], stdout=subprocess.DEVNULL)
        self.target = socket_path
        wait_for(lambda: socket_path.exists() and self.connect(), lambda: log.read_text() if log.exists() else "nghttpx")

    def use_real_server(self):
        """As the administrator whom KUBECONFIG's current context names."""
        self.target = Path(RELAY)
        access = json.loads(os.environ["CALIDRIS_KUBE_ACCESS"])
        self.authorities, self.server_name = access["ca"], access["server_name"]
        certificate = None
        if access.get("cert"):
            for name in ("cert", "key"):
                (self.directory / f"admin.{name}").write_text(access[name])
            certificate = (self.directory / "admin.cert", self.directory / "admin.key")
        self.client = KubeClient(self.connect, self.server_name, client_context(self.authorities, certificate),
                                 access.get("token"))

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self.target))
        except ConnectionRefusedError:
            connection.close()
            if self.api:
                return None
            raise
        return connection

    def wait_defined(self, kind):
        def is_there():
            try:
                return self.client.request("GET", self.client.path(kind, version=self.version))
            except ApiError as error:
                if error.status == 404:
                    return None
                raise
        wait_for(is_there, f"the resource of {kind}")

    def wait_account(self, namespace, name):
        thing = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
        wait_for(lambda: self.client.find(thing), f"the service account {namespace}/{name}")

    def clean(self):
        """What tests made in a real server."""
        if self.real:
            self.client.delete_made(CLUSTER_KINDS, self.version)

    def kubeconfig(self, user, **cluster):
        """The text of a kubeconfig; user: what stands there about the user."""
        return json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {
                "server": f"https://{ADDRESS}:{PORT}", "tls-server-name": self.server_name,
                "certificate-authority-data": base64.b64encode(self.authorities.encode()).decode(), **cluster}}],
            "users": [{"name": "u", "user": user}]})

    # As harness.Cluster has it

    def config(self, node):
        """The section `datastore` of a node's configuration."""
        path = node.directory / "kubeconfig"
        path.write_text(self.kubeconfig({"token": self.token}))
        return {"type": self.kind, "cache": str(node.directory / "datastore.cache"),
                "kubernetes": {"kubeconfig": str(path)}}

    def write(self, *things):
        for thing in things:
            self.client.apply(as_kept(thing, self.version))

    def delete(self, thing):
        self.client.delete(as_kept(thing, self.version))


# What tests of it look at

def status(node):
    return node.show("status")["datastore"]


def wait_in_sync(node):
    wait_for(lambda: status(node)["in_sync"], lambda: f"in sync\n{node.log_tail()}")


def problems(node):
    return "\n".join(node.show("status")["problems"])


def wait_problem(node, *texts):
    wait_for(lambda: all(text in problems(node) for text in texts), lambda: f"{texts} among\n{problems(node)}")


def wait_no_problem(node, text):
    wait_for(lambda: text not in problems(node), lambda: f"no {text} among\n{problems(node)}")


def routes(node):
    return {(route["dst"], route.get("gateway"), route.get("dev"), route.get("type"))
            for route in node.routes() if route.get("protocol") == "bgp"}


def marker(name="marker"):
    """An object by which a test sees that a node hears of changes."""
    return bgp_peer(name, node="node-1", peerIP="172.18.0.99", asNumber=64999)


def hears(cluster, node, name="marker"):
    """A change reaches the node, now."""
    cluster.write(marker(name))
    wait_for(lambda: "172.18.0.99" in {row["address"] for row in node.show("peers")["peers"]},
             lambda: f"the peer is there\n{node.log_tail()}")
    cluster.delete(marker(name))
    wait_for(lambda: "172.18.0.99" not in {row["address"] for row in node.show("peers")["peers"]}, "the peer is gone")
