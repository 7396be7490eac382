"""The cluster's objects as `calicoctl get -o yaml` prints them (IPAM blocks as `kubectl` does: calicoctl prints none)."""

import ipaddress
import json
import re
import uuid

PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./:()-]*")
RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"}


def scalar(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    text = str(value)
    plain = PLAIN.fullmatch(text) and not text.endswith(":") and text.lower() not in RESERVED
    # Addresses and CIDRs go unquoted too, as there.
    return text if plain or re.fullmatch(r"\d+\.\d+\.\d+\.\d+(/\d+)?", text) else json.dumps(text)


def to_yaml(value, indent=0):
    """Block style, keys sorted, lists not indented further than their key: as the Go library writes it."""
    pad = "  " * indent
    lines = []
    if isinstance(value, dict):
        for key in sorted(value):
            item = value[key]
            if isinstance(item, (dict, list)) and item:
                lines.append(f"{pad}{scalar(key)}:\n{to_yaml(item, indent + isinstance(item, dict))}")
            else:
                lines.append(f"{pad}{scalar(key)}: {'{}' if item == {} else '[]' if item == [] else scalar(item)}\n")
    else:
        for item in value:
            if isinstance(item, dict) and item:
                lines.append(f"{pad}- {to_yaml(item, indent + 1)[len(pad) + 2:]}")
            else:
                lines.append(f"{pad}- {scalar(item)}\n")
    return "".join(lines)


def thing(kind, name, spec, version="projectcalico.org/v3", namespace=None, labels=None, **more):
    """Values that are None are left out of the spec."""
    metadata = {"name": name, "creationTimestamp": "2026-08-01T10:00:00Z", "resourceVersion": "1042",
                "uid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind}/{namespace}/{name}"))}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": version, "kind": kind, "metadata": metadata,
            "spec": {key: value for key, value in spec.items() if value is not None}, **more}


def node_object(name, addresses, as_number=None, labels=None, cluster_id=None, **spec):
    bgp = {"asNumber": as_number, "routeReflectorClusterID": cluster_id,
           "ipv4Address": next((address for address in addresses if ":" not in address), None),
           "ipv6Address": next((address for address in addresses if ":" in address), None)}
    return thing("Node", name, {
        "addresses": [{"address": address, "type": "CalicoNodeIP"} for address in addresses],
        "bgp": {key: value for key, value in bgp.items() if value is not None},
        "orchRefs": [{"nodeName": name, "orchestrator": "k8s"}], **spec,
    }, labels={"kubernetes.io/hostname": name, **(labels or {})}, status={})


def ip_pool(cidr, name=None, **spec):
    six = ":" in cidr
    return thing("IPPool", name or f"default-ipv{6 if six else 4}-ippool", {
        "allowedUses": ["Workload", "Tunnel"], "assignmentMode": "Automatic", "blockSize": 122 if six else 26, "cidr": cidr,
        "ipipMode": "Never", "natOutgoing": not six, "nodeSelector": "all()", "vxlanMode": "Never", **spec})


def bgp_configuration(mesh=True, as_number=64512, name="default", **spec):
    return thing("BGPConfiguration", name, {"asNumber": as_number, "logSeverityScreen": "Info",
                                            "nodeToNodeMeshEnabled": mesh, **spec})


def bgp_peer(name, **spec):
    return thing("BGPPeer", name, spec)


def doubled(text):
    return text.replace("-", "--")


def workload_endpoint(node, pod, interface, addresses, namespace="default", **spec):
    networks = [f"{address}/{128 if ':' in address else 32}" for address in addresses]
    return thing("WorkloadEndpoint", f"{doubled(node)}-k8s-{doubled(pod)}-eth0", {
        "containerID": uuid.uuid5(uuid.NAMESPACE_OID, pod).hex * 2, "endpoint": "eth0", "interfaceName": interface,
        "ipNetworks": networks, "node": node, "orchestrator": "k8s", "pod": pod,
        "profiles": [f"kns.{namespace}", f"ksa.{namespace}.default"], **spec,
    }, namespace=namespace, labels={"projectcalico.org/namespace": namespace, "projectcalico.org/orchestrator": "k8s"})


def pod(node, name, addresses, namespace="default", **status):
    """As `kubectl get -o yaml` prints it, as far as anybody looks at it here."""
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
            "spec": {"nodeName": node, "containers": [{"name": "main", "image": "pause"}], "serviceAccountName": "default"},
            "status": {"phase": "Running", "hostIP": "192.0.2.1", "podIP": addresses[0],
                       "podIPs": [{"ip": address} for address in addresses], **status}}


def cidr_name(cidr):
    return re.sub(r"[.:/]", "-", cidr)


def block_affinity(node, cidr, state="confirmed", **spec):
    return thing("BlockAffinity", f"{node}-{cidr_name(cidr)}",
                 {"cidr": cidr, "deleted": False, "node": node, "state": state, "type": "host", **spec})


def ipam_block(node, cidr, pods):
    """With the allocations of those pods whose addresses lie in it, wherever they run."""
    network = ipaddress.ip_network(cidr)
    allocations, attributes = [None] * network.num_addresses, []
    for pod in pods:
        for address in map(ipaddress.ip_address, pod.addresses):
            if address.version == network.version and address in network:
                allocations[int(address) - int(network[0])] = len(attributes)
                attributes.append({
                    "handle_id": f"k8s-pod-network.{uuid.uuid5(uuid.NAMESPACE_OID, pod.pod).hex * 2}",
                    "secondary": {"namespace": pod.kube_namespace, "node": pod.node.name, "pod": pod.pod,
                                  "timestamp": "2026-08-01 10:00:03.000000000 +0000 UTC"}})
    return thing("IPAMBlock", cidr_name(cidr), {
        "affinity": f"host:{node}", "allocations": allocations, "attributes": attributes, "cidr": cidr, "deleted": False,
        "sequenceNumber": 0, "sequenceNumberForAllocation": {}, "strictAffinity": False,
        "unallocated": [index for index, used in enumerate(allocations) if used is None],
    }, version="crd.projectcalico.org/v1")
