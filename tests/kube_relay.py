"""Runs the tests of the Kubernetes datastore against the API server that KUBECONFIG names (its current context, which must
be an administrator's), or, without KUBECONFIG, against the stand-in:  kube_relay.py [PYTEST-ARGUMENT...]

The tests live in network namespaces without a way out: connections to the server pass a Unix socket. They create Nodes
(without a kubelet), Pods, Services and EndpointSlices in the namespace default, Secrets in kube-system, the definitions of
Calico's resources and objects of them, and the service account and roles of etc/kubernetes/rbac.yaml; and they delete what
they made, and nothing else. Definitions that are there already are replaced: the cluster must be a throw-away.
"""

import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

import yaml

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests/net"))
from kube_client import ApiError, KubeClient, client_context  # noqa: E402 (where it is, the line above says)

SUITE = ["tests/net/test_kubernetes.py", "tests/net/test_backends.py", "tests/net/test_node_address.py", "-k",
         "kubernetes"]
# What is left when the tests have cleaned up after themselves: what all of them need.
LASTING = ["CustomResourceDefinition", "ClusterRoleBinding", "ClusterRole", "RoleBinding", "Role", "ServiceAccount"]


def named(entries, name, what):
    return next(entry[what] for entry in entries if entry["name"] == name)


def pem(section, key, directory):
    """KEY-data, or the file that KEY names; None if neither is there."""
    if f"{key}-data" in section:
        return base64.b64decode(section[f"{key}-data"]).decode()
    return (directory / section[key]).read_text() if key in section else None


def read_kubeconfig(path):
    """Where the server is, and how to ask it."""
    config = yaml.safe_load(path.read_text())
    context = named(config["contexts"], config["current-context"], "context")
    cluster = named(config["clusters"], context["cluster"], "cluster")
    user = named(config["users"], context["user"], "user")
    url = urlsplit(cluster["server"])
    if url.scheme != "https":
        sys.exit(f"{path}: {cluster['server']}: only https is supported")
    access = {"ca": pem(cluster, "certificate-authority", path.parent), "token": user.get("token"),
              "server_name": cluster.get("tls-server-name", url.hostname),
              "cert": pem(user, "client-certificate", path.parent), "key": pem(user, "client-key", path.parent)}
    if not access["ca"] or not (access["token"] or access["cert"]):
        sys.exit(f"{path}: the current context needs a certificate authority, and a token or client certificate")
    return (url.hostname, url.port or 443), access


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(listener, address):
    while True:
        client, _peer = listener.accept()
        try:
            server = socket.create_connection(address, 10)
            server.settimeout(None)
        except OSError as error:
            print(f"kube_relay: {address[0]}:{address[1]}: {error}", file=sys.stderr)
            client.close()
            continue
        for ends in ((client, server), (server, client)):
            threading.Thread(target=pump, args=ends, daemon=True).start()


def client_of(address, access, directory):
    """The administrator's own, from outside."""
    certificate = None
    if access["cert"]:
        certificate = (Path(directory) / "admin.cert", Path(directory) / "admin.key")
        for path, key in zip(certificate, ("cert", "key")):
            path.touch(0o600)
            path.write_text(access[key])
    return KubeClient(lambda: socket.create_connection(address, 10), access["server_name"],
                      client_context(access["ca"], certificate), access["token"])


def check_access(client):
    """Before a hundred tests say it each in its own way."""
    try:
        version = client.request("GET", "/version")
        client.request("GET", client.path("ClusterRole"))
        print(f"kube_relay: Kubernetes {version.get('gitVersion')}", flush=True)
    except (OSError, ApiError) as error:
        sys.exit(f"kube_relay: the API server cannot be used, as an administrator: {error}")


def run_on_server(kubeconfig, command, env, directory):
    address, access = read_kubeconfig(Path(kubeconfig).resolve())
    client = client_of(address, access, directory)
    check_access(client)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{directory}/relay")
    listener.listen(64)
    threading.Thread(target=serve, args=(listener, address), daemon=True).start()
    env.update(CALIDRIS_KUBE_RELAY=f"{directory}/relay", CALIDRIS_KUBE_ACCESS=json.dumps(access))
    try:
        return subprocess.run(command, cwd=TOP, env=env, check=False).returncode
    finally:
        client.delete_made(LASTING)


def main():
    env = dict(os.environ)
    command = [sys.executable, "-B", str(TOP / "tests/ns.py"), sys.executable, "-B", "-m", "pytest", "-q", "-p",
               "no:cacheprovider", *(sys.argv[1:] or SUITE)]
    kubeconfig = env.pop("KUBECONFIG", "")
    if not kubeconfig:
        sys.exit(subprocess.run(command, cwd=TOP, env=env, check=False).returncode)
    with tempfile.TemporaryDirectory(prefix="calidris-kube-") as directory:
        sys.exit(run_on_server(kubeconfig, command, env, directory))


if __name__ == "__main__":
    main()
