"""The distribution's etcd as Calico's datastore: members in a namespace, and the keys and values that Calico writes.

    cluster = new_cluster(datastore=Etcd)          # in the fabric's namespace, where all nodes reach it
    cluster.write(bgp_peer(...))                   # as with files
    cluster.datastore.members[0].kill()

Objects are given as for the file datastore; where IPAM has formats of its own in etcd they are put into these.
"""

import base64
import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess

from netns import wait_for

RESOURCES = "/calico/resources/v3/projectcalico.org"
PLURALS = {"Node": "nodes", "IPPool": "ippools", "BGPConfiguration": "bgpconfigurations", "BGPPeer": "bgppeers",
           "BGPFilter": "bgpfilters", "WorkloadEndpoint": "workloadendpoints", "Profile": "profiles",
           "FelixConfiguration": "felixconfigurations"}


def cidr_key(cidr):
    return f"ipv{6 if ':' in cidr else 4}/block/{cidr.replace('/', '-')}"


def block_value(spec):
    """As ipam.AllocationBlock is marshalled: other names than the Kubernetes resource has for some fields."""
    renamed = {"affinityClaimTime": "affinity_claim_time", "strictAffinity": "strict_affinity"}
    return {renamed.get(key, key): value for key, value in spec.items()}


def key_value(thing):
    """The key of an object and its value, as Calico has them."""
    kind, metadata, spec = thing["kind"], thing["metadata"], thing.get("spec", {})
    if kind == "IPAMBlock":
        return f"/calico/ipam/v2/assignment/{cidr_key(spec['cidr'])}", block_value(spec)
    if kind == "BlockAffinity":
        return (f"/calico/ipam/v2/host/{spec['node']}/{cidr_key(spec['cidr'])}",
                {"state": spec.get("state", "confirmed"), "deleted": bool(spec.get("deleted"))})
    value = {**thing, "metadata": {key: text for key, text in metadata.items() if key != "resourceVersion"}}
    return "/".join(filter(None, [RESOURCES, PLURALS[kind], metadata.get("namespace"), metadata["name"]])), value


def text64(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


class EtcdError(Exception):
    """What etcd answered instead of doing it."""


class Pki:
    """A certificate authority and what it has signed, by openssl(1)."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                     "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")

    def openssl(self, *words):
        subprocess.run(["openssl", *words], cwd=self.directory, check=True, capture_output=True, stdin=subprocess.DEVNULL)

    def issue(self, name, *addresses, days=30):
        """NAME.pem and NAME.key, for a server at these addresses and for a client."""
        names = ",".join([f"DNS:{name}", *(f"IP:{address}" for address in addresses)])
        (self.directory / f"{name}.ext").write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        return self

    def path(self, name):
        return str(self.directory / name)


class Member:
    """One process. Its data outlives it; wipe() ends that."""

    def __init__(self, etcd, index, namespace, address, port):
        self.etcd, self.index, self.namespace = etcd, index, namespace
        self.name, self.address, self.port = f"m{index}", address, port
        self.directory = etcd.cluster.directory / f"etcd-{self.name}"
        self.process = None

    @property
    def url(self):
        return f"{'https' if self.etcd.pki else 'http'}://{self.address}:{self.port}"

    @property
    def peer_url(self):
        return f"http://{self.address}:{self.port + 1000}"

    def start(self, wait=True):
        words = ["etcd", "--name", self.name, "--data-dir", self.directory,
                 "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
                 "--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url,
                 "--initial-cluster", ",".join(f"{member.name}={member.peer_url}" for member in self.etcd.members),
                 "--heartbeat-interval", "50", "--election-timeout", "500", "--logger", "zap",
                 "--experimental-watch-progress-notify-interval", "1s", *self.etcd.options]
        if self.etcd.pki:
            pki = self.etcd.pki
            words += ["--cert-file", pki.path("etcd.pem"), "--key-file", pki.path("etcd.key"),
                      "--trusted-ca-file", pki.path("ca.pem"), "--client-cert-auth"]
        with (self.etcd.cluster.directory / f"etcd-{self.name}.log").open("ab") as log:
            self.process = self.namespace.popen(words, stdout=log, stderr=subprocess.STDOUT,
                                                env={**os.environ, "GOMAXPROCS": "2"})
        if wait:
            self.wait_up()

    def wait_up(self):
        def is_up():
            try:
                return self.call("kv/range", {"key": text64("up")})
            except EtcdError as error:
                return "user name is empty" in str(error)
            except (OSError, http.client.HTTPException):
                return False
        wait_for(is_up, lambda: f"etcd {self.name} answers\n{self.log_tail()}", 20)

    def log_tail(self):
        return "\n".join((self.etcd.cluster.directory / f"etcd-{self.name}.log").read_text().splitlines()[-20:])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.etcd.cluster.processes.remove(self.process)
        self.process = None

    def restart(self):
        self.kill()
        self.start()

    def wipe(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def connection(self):
        if not self.etcd.pki:
            return http.client.HTTPConnection(self.address, self.port, timeout=20)
        context = ssl.create_default_context(cafile=self.etcd.pki.path("ca.pem"))
        context.load_cert_chain(self.etcd.pki.path("etcd.pem"), self.etcd.pki.path("etcd.key"))
        return http.client.HTTPSConnection(self.address, self.port, timeout=20, context=context)

    def call(self, path, body, token=None):
        with self.namespace.inside():
            connection = self.connection()
            connection.connect()
        with contextlib.closing(connection):
            connection.request("POST", f"/v3/{path}", json.dumps(body), {"Authorization": token} if token else {})
            answer = connection.getresponse()
            text = answer.read()
        if answer.status != 200:
            raise EtcdError(text.decode(errors="replace"))
        return json.loads(text)


class Etcd:
    """A datastore as harness.Cluster takes it."""

    kind = "etcdv3"
    address = "172.18.0.254"

    def __init__(self, cluster, members=1, pki=None, options=(), start=True, namespaces=None):
        self.cluster, self.pki, self.options, self.token = cluster, pki, list(options), None
        self.written = {}
        places = namespaces or [(cluster.fabric, self.address)] * members
        self.members = [Member(self, index, namespace, address, 2379 + 10 * index)
                        for index, (namespace, address) in enumerate(places)]
        if start:
            self.start()

    def start(self):
        # The address is the segment's, and the segment is there with the first node.
        self.cluster.segment()
        for member in self.members:
            member.start(wait=False)
        for member in self.members:
            member.wait_up()

    @property
    def endpoints(self):
        return ",".join(member.url for member in self.members)

    def config(self, node):
        """The section `datastore` of a node's configuration."""
        etcd = {"endpoints": self.endpoints}
        if self.pki:
            etcd.update(ca_file=self.pki.path("ca.pem"), cert_file=self.pki.path("node.pem"),
                        key_file=self.pki.path("node.key"))
        return {"type": self.kind, "cache": str(node.directory / "datastore.cache"), "etcd": etcd}

    def call(self, path, body):
        """By any member that does."""
        error = None
        for member in self.members:
            if member.process:
                try:
                    return member.call(path, body, self.token)
                except (OSError, EtcdError, http.client.HTTPException) as problem:
                    error = problem
        raise error or EtcdError("no member runs")

    def put(self, key, value):
        text = value if isinstance(value, (str, bytes)) else json.dumps(value)
        return int(self.call("kv/put", {"key": text64(key), "value": text64(text)})["header"]["revision"])

    def remove(self, key):
        return int(self.call("kv/deleterange", {"key": text64(key)})["header"]["revision"])

    def put_many(self, pairs):
        """128 in a transaction, which is what etcd takes. Values are texts."""
        pairs = list(pairs)
        for at in range(0, len(pairs), 128):
            self.call("kv/txn", {"success": [{"request_put": {"key": text64(key), "value": text64(text)}}
                                             for key, text in pairs[at:at + 128]]})

    def revision(self):
        return int(self.call("kv/range", {"key": text64("up")})["header"]["revision"])

    def compact(self, revision=None):
        self.call("kv/compaction", {"revision": str(revision or self.revision()), "physical": True})

    def enable_auth(self, user, password):
        """root, and a user who may read everything. Whatever writes is root from now on."""
        for name, word, role in (("root", "root", "root"), (user, password, "reader")):
            self.call("auth/user/add", {"name": name, "password": word})
            self.call("auth/role/add", {"name": role})
            self.call("auth/user/grant", {"user": name, "role": role})
        self.call("auth/role/grant", {"name": "reader", "perm": {"permType": "READ", "key": text64("/calico/"),
                                                                 "range_end": text64("/calico0")}})
        self.call("auth/enable", {})
        self.token = self.call("auth/authenticate", {"name": "root", "password": "root"})["token"]

    # As harness.Cluster has it

    def write(self, *things):
        for thing in things:
            key, value = key_value(thing)
            text = json.dumps(value)
            if self.written.get(key) != text:
                self.put(key, text)
                self.written[key] = text

    def delete(self, thing):
        key, _value = key_value(thing)
        self.written.pop(key, None)
        self.remove(key)

    def close(self):
        """Its members are the cluster's processes."""

    def leader(self):
        """The member that leads."""
        for member in self.members:
            with contextlib.suppress(OSError, EtcdError, http.client.HTTPException):
                status = member.call("maintenance/status", {}) if member.process else {}
                if status.get("leader") and status["leader"] == status["header"]["member_id"]:
                    return member
        return None


def is_open(namespace, address, port):
    with namespace.inside(), socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0
