"""What a Kubernetes API server demands of objects, beyond its conventions for all of them: required fields, fields that
cannot change, defaults, values that others hold, what is pruned by a CustomResourceDefinition's schema. For kube_api.py,
which refuses what these rules refuse; they are those of a real server, as far as objects here have to do with them.

A rule says what is wrong by raising Invalid, with the path of the field."""

import base64
import copy
import ipaddress
import re

LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SERVICE_RANGE = ipaddress.ip_network("10.96.0.0/12")
NODE_PORTS = range(30000, 32768)


class Invalid(Exception):
    def __init__(self, path, why):
        super().__init__(f"{path}: {why}")


def at(thing, path):
    for part in path.split("."):
        thing = thing.get(part) if isinstance(thing, dict) else None
    return thing


def demand(good, path, why):
    if not good:
        raise Invalid(path, why)


def required(thing, path):
    value = at(thing, path)
    demand(value not in (None, "", [], {}), path, "Required value")
    return value


def immutable(before, thing, path):
    demand(at(before, path) == at(thing, path), path, "Invalid value: field is immutable")


def set_default(thing, path, value):
    *parents, last = path.split(".")
    for part in parents:
        thing = thing.setdefault(part, {})
    if thing.get(last) in (None, ""):
        thing[last] = copy.deepcopy(value)


def is_address(text, version=None):
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return version in (None, address.version)


# ---- All objects ----

def check_key(key, path):
    """A label's or annotation's: NAME or SUBDOMAIN/NAME."""
    prefix, slash, name = key.rpartition("/")
    demand(not slash or (SUBDOMAIN.fullmatch(prefix) and len(prefix) <= 253), path, f"Invalid value: {key!r}: prefix part")
    demand(LABEL_NAME.fullmatch(name), path, f"Invalid value: {key!r}: name part must consist of alphanumeric characters, "
                                             "'-', '_' or '.', and be no more than 63 characters")


def check_metadata(metadata):
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    for key, value in labels.items():
        check_key(key, "metadata.labels")
        demand(not value or LABEL_NAME.fullmatch(value), "metadata.labels", f"Invalid value: {value!r}")
    for key in annotations:
        check_key(key.lower(), "metadata.annotations")
    size = sum(len(key) + len(value) for key, value in annotations.items())
    demand(size <= 256 * 1024, "metadata.annotations", "Too long: must have at most 262144 bytes")


# ---- Kubernetes' own kinds: check(api, thing, before); before is None for a new object ----

def node(_api, thing, before):
    if before and at(before, "spec.podCIDR"):
        immutable(before, thing, "spec.podCIDR")
        immutable(before, thing, "spec.podCIDRs")
    if before and at(before, "spec.providerID"):
        immutable(before, thing, "spec.providerID")
    cidrs = at(thing, "spec.podCIDRs") or []
    demand(not cidrs or cidrs[0] == at(thing, "spec.podCIDR"), "spec.podCIDRs", "the first must be spec.podCIDR")
    for cidr in cidrs:
        demand(SUBDOMAIN.fullmatch(cidr) is None and "/" in cidr, "spec.podCIDRs", f"Invalid value: {cidr!r}")


def pod_defaults(thing):
    for path, value in {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
                        "serviceAccountName": "default", "terminationGracePeriodSeconds": 30, "securityContext": {},
                        "enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority", "priority": 0}.items():
        if path not in thing["spec"]:
            thing["spec"][path] = value
    for container in thing["spec"]["containers"]:
        untagged = ":" not in container["image"].rpartition("/")[2]
        for key, value in {"resources": {}, "terminationMessagePath": "/dev/termination-log",
                           "terminationMessagePolicy": "File",
                           "imagePullPolicy": "Always" if untagged else "IfNotPresent"}.items():
            container.setdefault(key, value)


def pod_admission(thing):
    """What is added to a Pod once, when it is created."""
    spec = thing["spec"]
    spec["volumes"] = [*spec.get("volumes", ()), {"name": "kube-api-access-x", "projected": {"sources": []}}]
    for container in spec["containers"]:
        container["volumeMounts"] = [*container.get("volumeMounts", ()), {
            "name": "kube-api-access-x", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]
    spec["tolerations"] = [*spec.get("tolerations", ()), *(
        {"key": f"node.kubernetes.io/{why}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for why in ("not-ready", "unreachable"))]


def pod(api, thing, before):
    names = set()
    for container in required(thing, "spec.containers"):
        for key in ("name", "image"):
            demand(container.get(key), f"spec.containers[*].{key}", "Required value")
        demand(DNS_LABEL.fullmatch(container["name"]), "spec.containers[*].name", "a lowercase RFC 1123 label")
        demand(container["name"] not in names, "spec.containers[*].name", "Duplicate value")
        names.add(container["name"])
    pod_defaults(thing)
    if not before:
        account = (thing["metadata"]["namespace"], thing["spec"]["serviceAccountName"])
        demand(account in api.find("serviceaccounts").objects, "spec.serviceAccountName",
               f"error looking up service account {'/'.join(account)}: not found")
        pod_admission(thing)
        return
    # Images, deadlines and further tolerations may change; nothing else.
    def fixed(pod):
        return {**pod["spec"], "tolerations": None, "activeDeadlineSeconds": None,
                "containers": [{**container, "image": None} for container in pod["spec"]["containers"]]}
    demand(fixed(before) == fixed(thing), "spec", "Forbidden: pod updates may not change fields other than "
           "`spec.containers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions)")
    for toleration in before["spec"].get("tolerations") or ():
        demand(toleration in (thing["spec"].get("tolerations") or ()), "spec.tolerations", "Forbidden: only additions")


def pod_status(_api, thing, _before):
    status = thing.get("status") or {}
    listed = [entry.get("ip") for entry in status.get("podIPs") or ()]
    for address in listed:
        demand(is_address(address), "status.podIPs", f"Invalid value: {address!r}: must be a valid IP address")
    demand(len(listed) <= 1 or len({":" in address for address in listed}) == len(listed) == 2, "status.podIPs",
           "may specify no more than one IP for each IP family")
    demand(len(set(listed)) == len(listed), "status.podIPs", "Duplicate value")
    if listed:
        # Kept in step by the server's own conversion: a podIP that is another one wins.
        demand(status.get("podIP") == listed[0], "status.podIP", "is not the first of podIPs")


def allocate(used, choices, given, path):
    if given is not None:
        demand(given in choices, path, f"Invalid value: {given!r}: the provided value is not in the valid range")
        demand(given not in used, path, f"Invalid value: {given!r}: provided value is already allocated")
        return given
    return next(value for value in choices if value not in used)


def service(api, thing, before):
    spec = thing.setdefault("spec", {})
    set_default(thing, "spec.type", "ClusterIP")
    set_default(thing, "spec.sessionAffinity", "None")
    demand(spec["type"] in ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"), "spec.type", "Unsupported value")
    if spec["type"] == "ExternalName":
        required(thing, "spec.externalName")
        return
    headless = spec.get("clusterIP") == "None"
    ports = spec.get("ports") or []
    demand(ports or headless, "spec.ports", "Required value")
    for port in ports:
        demand(isinstance(port.get("port"), int) and 0 < port["port"] < 65536, "spec.ports[*].port", "Required value")
        demand(len(ports) == 1 or port.get("name"), "spec.ports[*].name", "Required value")
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port["port"])
    external = spec["type"] in ("NodePort", "LoadBalancer")
    if external:
        set_default(thing, "spec.externalTrafficPolicy", "Cluster")
    else:
        demand("externalTrafficPolicy" not in spec or spec.get("externalIPs"), "spec.externalTrafficPolicy",
               "Invalid value: may only be set for externally-accessible services")
    set_default(thing, "spec.internalTrafficPolicy", "Cluster")
    others = [other["spec"] for other in api.find("services").objects.values()
              if other["metadata"]["name"] != thing["metadata"]["name"]]
    if external:
        used = {port.get("nodePort") for other in others for port in other.get("ports", ())}
        for port in ports:
            port["nodePort"] = allocate(used, NODE_PORTS, port.get("nodePort"), "spec.ports[*].nodePort")
            used.add(port["nodePort"])
    for address in spec.get("externalIPs") or ():
        demand(is_address(address), "spec.externalIPs", f"Invalid value: {address!r}")
    if before:
        for field in ("clusterIP", "clusterIPs"):
            if field in spec or before["spec"].get("clusterIP") == "None":
                immutable(before, thing, f"spec.{field}")
            elif field in before["spec"]:
                spec[field] = before["spec"][field]
        spec.setdefault("ipFamilies", before["spec"].get("ipFamilies"))
        spec.setdefault("ipFamilyPolicy", before["spec"].get("ipFamilyPolicy"))
        return
    given = spec.get("clusterIP") or (spec.get("clusterIPs") or [None])[0]
    if not headless:
        demand(given is None or is_address(given), "spec.clusterIP", f"Invalid value: {given!r}")
        used = {ipaddress.ip_address(other["clusterIP"]) for other in others if is_address(other.get("clusterIP"))}
        used |= {SERVICE_RANGE[0], SERVICE_RANGE[1]}  # the second one is the server's own Service
        wanted = ipaddress.ip_address(given) if given else None
        if wanted and wanted.version == 4:
            demand(wanted in SERVICE_RANGE, "spec.clusterIPs", f"Invalid value: {given!r}: failed to allocate IP: the "
                   "provided IP is not in the valid range")
            demand(wanted not in used, "spec.clusterIPs", f"Invalid value: {given!r}: provided IP is already allocated")
        demand(wanted is None or wanted.version == 4, "spec.clusterIPs", "this cluster has IPv4 Services alone")
        given = str(wanted or next(address for address in SERVICE_RANGE.hosts() if address not in used))
    demand(len(spec.get("clusterIPs") or [given]) == 1 and (spec.get("clusterIPs") or [given])[0] == given, "spec.clusterIPs",
           "first value must match `clusterIP`")
    spec["clusterIP"], spec["clusterIPs"] = given, [given]
    set_default(thing, "spec.ipFamilies", ["IPv4"])
    set_default(thing, "spec.ipFamilyPolicy", "SingleStack")


def endpoint_slice(_api, thing, before):
    family = thing.get("addressType")
    demand(family in ("IPv4", "IPv6", "FQDN"), "addressType", "Required value")
    if before:
        immutable(before, thing, "addressType")
    demand(isinstance(thing.setdefault("endpoints", []), list), "endpoints", "must be a list")
    for endpoint in thing["endpoints"]:
        addresses = endpoint.get("addresses") or []
        demand(0 < len(addresses) <= 100, "endpoints[*].addresses", "Required value: must contain at least 1 endpoint")
        version = {"IPv4": 4, "IPv6": 6}.get(family)
        for address in addresses if version else ():
            demand(is_address(address, version), "endpoints[*].addresses", f"Invalid value: {address!r}: {family}")
        name = endpoint.get("nodeName")
        demand(name is None or SUBDOMAIN.fullmatch(name), "endpoints[*].nodeName", f"Invalid value: {name!r}")
    names = set()
    for port in thing.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")
        demand(port["name"] not in names, "ports[*].name", "Duplicate value")
        names.add(port["name"])


def secret(_api, thing, before):
    set_default(thing, "type", "Opaque")
    for key, value in (thing.get("data") or {}).items():
        demand(re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key), f"data[{key}]", "Invalid value")
        try:
            base64.b64decode(value, validate=True)
        except (ValueError, TypeError):
            raise Invalid(f"data[{key}]", "illegal base64 data") from None
    if before:
        immutable(before, thing, "type")


def role(_api, thing, _before):
    for rule in thing.get("rules") or ():
        demand(rule.get("verbs"), "rules[*].verbs", "Required value: verbs must contain at least one value")
        demand(rule.get("apiGroups") is not None or rule.get("nonResourceURLs"), "rules[*].apiGroups", "Required value: "
               "resource rules must supply at least one api group")
        demand(rule.get("resources") or rule.get("nonResourceURLs"), "rules[*].resources", "Required value: resource rules "
               "must supply at least one resource")


def binding(_api, thing, before):
    demand(at(thing, "roleRef.kind") in ("Role", "ClusterRole"), "roleRef.kind", "Unsupported value")
    required(thing, "roleRef.name")
    set_default(thing, "roleRef.apiGroup", "rbac.authorization.k8s.io")
    for subject in thing.get("subjects") or ():
        demand(subject.get("kind") in ("User", "Group", "ServiceAccount"), "subjects[*].kind", "Unsupported value")
        demand(subject.get("name"), "subjects[*].name", "Required value")
        demand(subject["kind"] != "ServiceAccount" or subject.get("namespace"), "subjects[*].namespace", "Required value")
    if before:
        demand(before["roleRef"] == thing["roleRef"], "roleRef", "Invalid value: cannot change roleRef")


def structural(schema, path):
    """What apiextensions.k8s.io/v1 demands of a schema."""
    kind = schema.get("type")
    demand(kind in ("object", "array", "string", "integer", "number", "boolean") or schema.get("x-kubernetes-int-or-string"),
           f"{path}.type", "Required value: must not be empty for specified object fields")
    for name, below in (schema.get("properties") or {}).items():
        structural(below, f"{path}.properties[{name}]")
    if isinstance(schema.get("items"), dict):
        structural(schema["items"], f"{path}.items")
    demand(kind != "array" or "items" in schema, f"{path}.items", "Required value: must be specified")


def definition(_api, thing, before):
    group, names = required(thing, "spec.group"), required(thing, "spec.names")
    for key in ("plural", "kind"):
        required(thing, f"spec.names.{key}")
    demand(DNS_LABEL.fullmatch(names["plural"]), "spec.names.plural", "a lowercase RFC 1035 label")
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", names["kind"] + "List")
    demand(thing["metadata"]["name"] == f"{names['plural']}.{group}", "metadata.name", "must be spec.names.plural+\".\"+spec.group")
    demand(at(thing, "spec.scope") in ("Cluster", "Namespaced"), "spec.scope", "Unsupported value")
    versions = required(thing, "spec.versions")
    demand(sum(bool(version.get("storage")) for version in versions) == 1, "spec.versions", "must have exactly one version "
           "marked as storage version")
    for version in versions:
        demand(version.get("name") and isinstance(version.get("served"), bool), "spec.versions[*]", "Required value: name, served")
        schema = at(version, "schema.openAPIV3Schema")
        demand(schema, "spec.versions[*].schema.openAPIV3Schema", "Required value: schemas are required")
        demand(schema.get("type") == "object", "spec.versions[*].schema.openAPIV3Schema.type", "must be object at the root")
        structural(schema, "spec.versions[*].schema.openAPIV3Schema")
    if group.endswith((".k8s.io", ".kubernetes.io")):
        demand("api-approved.kubernetes.io" in (thing["metadata"].get("annotations") or {}), "metadata.annotations",
               "Required value: protected groups must have approval annotation")
    if before:
        immutable(before, thing, "spec.scope")
        immutable(before, thing, "spec.group")
    set_default(thing, "spec.conversion", {"strategy": "None"})


CHECKS = {"Node": node, "Pod": pod, "Service": service, "EndpointSlice": endpoint_slice, "Secret": secret, "Role": role,
          "ClusterRole": role, "RoleBinding": binding, "ClusterRoleBinding": binding, "CustomResourceDefinition": definition}
STATUS_CHECKS = {"Pod": pod_status}


# ---- Custom resources: their schema ----

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}


def shape(value, schema, path, root=False):
    """The value as the schema has it: what it does not know is pruned; what it knows must be of its type."""
    if value is None and not schema.get("nullable") and not schema.get("x-kubernetes-preserve-unknown-fields"):
        raise Invalid(path, "Invalid value: \"null\"")
    kind = schema.get("type")
    good = value is None or (isinstance(value, TYPES.get(kind, object)) and (kind == "boolean" or not isinstance(value, bool)
                                                                              or kind is None))
    demand(good, path, f"Invalid value: {value!r}: must be of type {kind}")
    if "enum" in schema:
        demand(value in schema["enum"], path, f"Unsupported value: {value!r}")
    if isinstance(value, dict):
        known = schema.get("properties") or {}
        for name in schema.get("required") or ():
            demand(name in value, f"{path}.{name}", "Required value")
        kept = {}
        for name, below in value.items():
            if root and name in ("apiVersion", "kind", "metadata"):
                kept[name] = below
            elif name in known:
                kept[name] = shape(below, known[name], f"{path}.{name}".lstrip("."))
            elif isinstance(schema.get("additionalProperties"), dict):
                kept[name] = shape(below, schema["additionalProperties"], f"{path}.{name}")
            elif schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("additionalProperties"):
                kept[name] = below
        return kept
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [shape(item, schema["items"], f"{path}[{number}]") for number, item in enumerate(value)]
    return value


# ---- What the server asks for ----

def admit(api, resource, thing, before):
    """The object as it is stored: checked, with defaults, pruned."""
    thing = copy.deepcopy(thing)
    check_metadata(thing["metadata"])
    if resource.custom:
        return shape(thing, resource.schema, "", root=True)
    check = CHECKS.get(resource.kind)
    if check:
        check(api, thing, before)
    return thing


def admit_status(api, resource, thing, before):
    if resource.custom:
        return shape(thing, resource.schema, "", root=True)
    check = STATUS_CHECKS.get(resource.kind)
    if check:
        check(api, thing, before)
    return thing


class Controllers:
    """What happens to objects in a cluster without anybody asking: new Nodes are tainted, given annotations and a
    status, so their resource version is soon another one; Pods bound to no Node are collected."""

    DELAY = 0.15
    ORPHAN = 4

    def __init__(self, api):
        self.api, self.due, self.orphans = api, [], {}

    def created(self, resource, key, now):
        if resource.plural == "nodes" and not resource.custom:
            self.due.append((now + self.DELAY, key))

    def run(self, now):
        """The lock is held."""
        nodes, pods = self.api.find("nodes"), self.api.find("pods")
        for row in [row for row in self.due if row[0] <= now]:
            self.due.remove(row)
            found = nodes.objects.get(row[1])
            if found:
                self.settle(nodes, row[1], found)
        for key, found in list(pods.objects.items()):
            name = at(found, "spec.nodeName")
            if not name or (None, name) in nodes.objects:
                self.orphans.pop(key, None)
            elif now > self.orphans.setdefault(key, now) + self.ORPHAN:
                self.orphans.pop(key)
                self.api.store(pods, key, None)

    def settle(self, nodes, key, found):
        taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
        annotations = {**(found["metadata"].get("annotations") or {}), "node.alpha.kubernetes.io/ttl": "0"}
        self.api.store(nodes, key, {**found, "metadata": {**found["metadata"], "annotations": annotations},
                                    "spec": {**found.get("spec", {}), "taints": [taint]},
                                    "status": {**found.get("status", {}), "conditions": [
                                        {"type": "Ready", "status": "Unknown", "reason": "NodeStatusNeverUpdated"}]}})
