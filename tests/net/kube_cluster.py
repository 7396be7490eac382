"""A cluster whose objects are kept by a Kubernetes API server: the stand-in (kube_api.py), or a real one that KUBECONFIG
names (make check-kubernetes). Nodes reach either through a proxy at the fabric's router, which can fail in all ways in
which networks fail."""

import base64
import contextlib
import json
import os
import socket
import threading
from pathlib import Path

import yaml

from harness import Cluster, run
from kube_api import KubeApi
from kube_client import CALICO_KINDS, ApiError, KubeClient, as_kept, client_context, definition

RBAC = Path(__file__).resolve().parents[2] / "etc/kubernetes/rbac.yaml"
ACCOUNT = ("kube-system", "calidris")
ADDRESS, PORT = "172.18.0.254", 6443
# A real server: where a relay to it listens, and how it wants to be asked (tests/kube_relay.py).
RELAY = os.environ.get("CALIDRIS_KUBE_RELAY")


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


class KubeCluster(Cluster):
    """Objects go to the API server. real: is it one?"""

    def __init__(self, *arguments, crds=("crd.projectcalico.org", "v1"), rbac=True, **options):
        self.kube = self.api = self.proxy = None
        self.pending = []
        super().__init__(*arguments, **options)
        self.group, self.version = crds
        self.real = bool(RELAY)
        if self.real:
            self.use_real_server()
        else:
            self.use_stand_in()
        self.prepare(rbac)
        waiting, self.pending = self.pending, None
        self.write(*waiting)

    def use_stand_in(self):
        make_certificates(self.directory)
        target = self.directory / "api.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(target))
        listener.listen(64)
        self.api = KubeApi(listener, (f"{self.directory}/server.crt", f"{self.directory}/server.key"),
                           f"{self.directory}/ca.crt", {"the-admin": "admin"})
        self.authorities, self.server_name = (self.directory / "ca.crt").read_text(), "kubernetes"
        self.target = target
        self.kube = KubeClient(self.connect, self.server_name, client_context(self.authorities), "the-admin")

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
        self.kube = KubeClient(self.connect, self.server_name, client_context(self.authorities, certificate),
                               access.get("token"))

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.target))
        return connection

    def prepare(self, rbac):
        """What a cluster with Calico has: its definitions, and the role of its nodes."""
        for kind in CALICO_KINDS:
            self.kube.apply(definition(kind, self.group, self.version))
        for kind in CALICO_KINDS:
            self.wait_defined(kind)
        self.clean()
        if rbac:
            for thing in yaml.safe_load_all(RBAC.read_text()):
                self.kube.apply(thing)
            self.token = self.kube.token_for(*ACCOUNT)

    def wait_defined(self, kind):
        from netns import wait_for

        def is_there():
            try:
                self.kube.request("GET", self.kube.path(kind, version=f"{self.group}/{self.version}"))
                return True
            except ApiError as error:
                if error.status == 404:
                    return False
                raise
        wait_for(is_there, f"the resource of {kind}")

    def clean(self):
        """What an earlier test left in a real server."""
        if not self.real:
            return
        for kind in [*CALICO_KINDS, "Node", "Pod"]:
            version = f"{self.group}/{self.version}" if kind in CALICO_KINDS else None
            for thing in self.kube.request("GET", self.kube.path(kind, version=version))["items"]:
                thing.setdefault("kind", kind)
                thing.setdefault("apiVersion", version or "v1")
                if kind != "Pod" or thing["metadata"]["namespace"] == "default":
                    self.kube.delete(thing)

    def close(self):
        super().close()
        if self.proxy and self.proxy.listener:
            self.proxy.stop()
        if self.api:
            self.api.close()

    # Objects

    def write(self, *things):
        if self.pending is not None and not self.kube:
            self.pending += things
            return
        for thing in things:
            self.kube.apply(as_kept(thing, f"{self.group}/{self.version}"))

    def delete(self, thing):
        self.kube.delete(as_kept(thing, f"{self.group}/{self.version}"))

    # Nodes

    def segment(self, *arguments, **options):
        segment = super().segment(*arguments, **options)
        if not self.proxy:
            self.proxy = Proxy(self.fabric, ADDRESS, PORT, self.target)
        return segment

    def kubeconfig(self, user, **cluster):
        """The text of a kubeconfig; user: what stands there about the user."""
        return json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {
                "server": f"https://{ADDRESS}:{PORT}", "tls-server-name": self.server_name,
                "certificate-authority-data": base64.b64encode(self.authorities.encode()).decode(), **cluster}}],
            "users": [{"name": "u", "user": user}]})

    def add_node(self, name, user=None, config=None, **options):
        node = super().add_node(name, config=config, **options)
        path = node.directory / "kubeconfig"
        path.write_text(self.kubeconfig(user or {"token": self.token}))
        node.configure({"datastore": {"type": "kubernetes", "directory": None, "cache": str(node.directory / "cache"),
                                      "kubernetes": {"kubeconfig": str(path), **(config or {}).get("kubernetes", {})}}})
        return node


