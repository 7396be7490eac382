"""A client of a Kubernetes API server for tests, and Calico's objects as such a server keeps them.

Speaks HTTP by itself, over whatever connection it is given: to the stand-in in another network namespace, or through a
relay to a real server outside of all of them."""

import copy
import http.client
import json
import ssl
import time

CRD = "crd.projectcalico.org/v1"
V3 = "projectcalico.org/v3"
PLURALS = {
    "Namespace": ("v1", "namespaces"), "Node": ("v1", "nodes"), "Pod": ("v1", "pods"), "Secret": ("v1", "secrets"),
    "Service": ("v1", "services"), "ServiceAccount": ("v1", "serviceaccounts"),
    "EndpointSlice": ("discovery.k8s.io/v1", "endpointslices"),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "Role": ("rbac.authorization.k8s.io/v1", "roles"), "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings"),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "IPPool": (CRD, "ippools"), "BGPConfiguration": (CRD, "bgpconfigurations"), "BGPPeer": (CRD, "bgppeers"),
    "BGPFilter": (CRD, "bgpfilters"), "BlockAffinity": (CRD, "blockaffinities"), "IPAMBlock": (CRD, "ipamblocks"),
    "CalicoNodeStatus": (CRD, "caliconodestatuses"), "FelixConfiguration": (CRD, "felixconfigurations"),
}
# On all that tests make, so that they delete nothing else. Calidris reads no such annotations.
MADE = {"tests.example.org/made-by": "calidris"}
PATIENCE = 60  # s: for what a server is busy with
CALICO_KINDS = [kind for kind, (version, _plural) in PLURALS.items() if version == CRD]
WITH_STATUS = ("Node", "Pod", "Service", "CalicoNodeStatus")

# Where a Calico Node's fields are among the annotations of a Node of Kubernetes.
NODE_ANNOTATIONS = {
    ("bgp", "asNumber"): "ASNumber", ("bgp", "ipv4Address"): "IPv4Address", ("bgp", "ipv6Address"): "IPv6Address",
    ("bgp", "ipv4IPIPTunnelAddr"): "IPv4IPIPTunnelAddr", ("bgp", "routeReflectorClusterID"): "RouteReflectorClusterID",
    ("ipv4VXLANTunnelAddr",): "IPv4VXLANTunnelAddr", ("ipv6VXLANTunnelAddr",): "IPv6VXLANTunnelAddr",
    ("vxlanTunnelMACAddr",): "VXLANTunnelMACAddr", ("vxlanTunnelMACAddrV6",): "VXLANTunnelMACAddrV6",
}


class ApiError(AssertionError):
    def __init__(self, status, answer):
        super().__init__(f"{status}: {answer}")
        self.status, self.answer = status, answer


class KubeClient:
    """connect() returns a connected socket; authority is what the certificate is for."""

    def __init__(self, connect, authority, context=None, token=None):
        self.connect, self.authority, self.context, self.token = connect, authority, context, token

    def request(self, method, path, body=None, content_type="application/json"):
        """Servers that are busy, or still starting, are asked again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.request_once(method, path, body, content_type)
            except ApiError as error:
                if error.status not in (429, 503) or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def request_once(self, method, path, body, content_type):
        connection = http.client.HTTPConnection(self.authority)
        connection.sock = self.connect()
        connection.sock.settimeout(60)
        if self.context:
            connection.sock = self.context.wrap_socket(connection.sock, server_hostname=self.authority)
        headers = {"Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        text = None if body is None else json.dumps(body)
        if text is not None:
            headers["Content-Type"] = content_type
        try:
            connection.request(method, path, text, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        try:
            parsed = json.loads(content) if content else {}
        except ValueError:
            parsed = content.decode(errors="replace")
        if answer.status >= 300:
            raise ApiError(answer.status, parsed)
        return parsed

    @staticmethod
    def path(kind, name=None, namespace=None, version=None):
        api, plural = PLURALS[kind]
        api = version or api
        root = f"/apis/{api}" if "/" in api else f"/api/{api}"
        return "/".join(filter(None, [root, f"namespaces/{namespace}" if namespace else None, plural, name]))

    def path_of(self, thing, name=True):
        metadata = thing["metadata"]
        return self.path(thing["kind"], metadata["name"] if name else None, metadata.get("namespace"), thing["apiVersion"])

    def get(self, kind, name, namespace=None, version=None):
        return self.request("GET", self.path(kind, name, namespace, version))

    def find(self, thing):
        try:
            return self.request("GET", self.path_of(thing))
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def apply(self, thing):
        """Creates the object, or makes it what it should be; its status, too. Controllers change objects, too: then it is
        done again."""
        thing = copy.deepcopy(thing)
        metadata, kind = thing["metadata"], thing["kind"]
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **MADE}
        status = thing.pop("status", None) if kind in WITH_STATUS else None
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.put_in_place(thing)
                break
            except ApiError as error:
                if error.status != 409 or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        if status:
            self.request("PATCH", self.path_of(thing) + "/status", {"status": status}, "application/merge-patch+json")

    def put_in_place(self, thing):
        found = self.find(thing)
        if found is None:
            self.request("POST", self.path_of(thing, name=False), thing)
            return
        # What others have put there (defaults, bindings, finalizers) stays.
        kept = {key: found["metadata"][key] for key in ("resourceVersion", "finalizers") if key in found["metadata"]}
        fresh = {**found, **thing, "metadata": {**thing["metadata"], **kept}}
        if isinstance(found.get("spec"), dict) and thing["apiVersion"] == "v1":
            # A Pod's never changes.
            fresh["spec"] = found["spec"] if thing["kind"] == "Pod" else {**found["spec"], **thing.get("spec", {})}
        self.request("PUT", self.path_of(thing), fresh)

    def patch(self, thing, patch):
        return self.request("PATCH", self.path_of(thing), patch, "application/merge-patch+json")

    def delete(self, thing):
        """Gone when this returns: finalizers may take a moment, and what is made anew meanwhile would go with it."""
        try:
            self.request("DELETE", self.path_of(thing), {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})
        except ApiError as error:
            if error.status != 404:
                raise
            return
        deadline = time.monotonic() + PATIENCE
        while self.find(thing) and time.monotonic() < deadline:
            time.sleep(0.05)

    def delete_made(self, kinds, version=None):
        """Whatever of these kinds tests have made."""
        for kind in kinds:
            calico = kind in CALICO_KINDS
            try:
                items = self.request("GET", self.path(kind, version=version if calico else None))["items"]
            except ApiError as error:
                if error.status != 404:
                    raise
                continue
            for thing in items:
                if MADE.items() <= (thing["metadata"].get("annotations") or {}).items():
                    self.delete({"kind": kind, "apiVersion": (version if calico else None) or PLURALS[kind][0],
                                 "metadata": thing["metadata"]})

    def token_for(self, namespace, name):
        """A fresh token of a service account."""
        answer = self.request("POST", self.path("ServiceAccount", name, namespace) + "/token", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}})
        return answer["status"]["token"]


def definition(kind, group="crd.projectcalico.org", version="v1", subresource=True):
    """A CustomResourceDefinition that takes any spec and status. That of CalicoNodeStatus has the subresource status, or,
    as Calico's own, not."""
    plural = PLURALS[kind][1]
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}", "annotations": {
                # Names below *.k8s.io need it; others do not mind.
                "api-approved.kubernetes.io": "unapproved, for tests"}},
            "spec": {"group": group, "scope": "Cluster",
                     "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
                     "versions": [{"name": version, "served": True, "storage": True,
                                   "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                                       "spec": anything, "status": anything}}},
                                   **({"subresources": {"status": {}}} if kind == "CalicoNodeStatus" and subresource else {})}]}}


def as_kept(thing, version=CRD):
    """A Calico object as a Kubernetes API server keeps it; what is one of Kubernetes' own stays as it is."""
    if not thing["apiVersion"].endswith("projectcalico.org/v3") and not thing["apiVersion"].startswith("crd."):
        return thing
    if thing["kind"] == "Node":
        return kept_node(thing)
    if thing["kind"] == "WorkloadEndpoint":
        return kept_endpoint(thing)
    metadata = {"name": thing["metadata"]["name"]}
    if thing["metadata"].get("annotations"):
        metadata["annotations"] = dict(thing["metadata"]["annotations"])
    if thing["metadata"].get("labels"):
        metadata.setdefault("annotations", {})["projectcalico.org/metadata"] = json.dumps(
            {"labels": thing["metadata"]["labels"], "creationTimestamp": None})
    spec = dict(thing["spec"])
    if thing["kind"] == "BlockAffinity" and version == CRD:
        spec["deleted"] = "true" if spec.get("deleted") else "false"
    return {**{key: value for key, value in thing.items() if key != "metadata"}, "apiVersion": version, "metadata": metadata,
            "spec": spec}


def kept_node(thing):
    annotations = {}
    for path, name in NODE_ANNOTATIONS.items():
        value = thing["spec"]
        for part in path:
            value = (value or {}).get(part)
        if value is not None:
            annotations[f"projectcalico.org/{name}"] = str(value)
    annotations.update({"node.alpha.kubernetes.io/ttl": "0"})
    node = {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": thing["metadata"]["name"], "labels": thing["metadata"].get("labels", {}),
                         "annotations": annotations}, "spec": {}}
    cidrs = (thing.get("status") or {}).get("podCIDRs")
    if cidrs:
        node["spec"] = {"podCIDR": cidrs[0], "podCIDRs": cidrs}
    return node


def kept_endpoint(thing):
    addresses = [network.split("/")[0] for network in thing["spec"]["ipNetworks"]]
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": thing["spec"]["pod"], "namespace": thing["metadata"]["namespace"], "labels": {"app": "test"}},
            # No kubelet reports of the Node, and what cannot stay on such a one would be evicted.
            "spec": {"nodeName": thing["spec"]["node"], "terminationGracePeriodSeconds": 0,
                     "tolerations": [{"operator": "Exists"}],
                     "containers": [{"name": "main", "image": "pause"}]},
            "status": {"phase": "Running", "podIP": addresses[0] if addresses else "",
                       "podIPs": [{"ip": address} for address in addresses]}}


def client_context(authorities, certificate=None):
    """For connections to a server with a certificate of these authorities (a file, or PEM text)."""
    context = ssl.create_default_context(**({"cadata": authorities} if "BEGIN" in authorities else {"cafile": authorities}))
    if certificate:
        context.load_cert_chain(*certificate)
    return context


