"""A stand-in for a Kubernetes API server: the API's conventions, and no cluster behind them.

It knows resources by group, version and plural (some of Kubernetes' own, others once a CustomResourceDefinition is
created), and nothing of what they mean. List with pages, watch with bookmarks, selectors, subresource status, optimistic
locking, RBAC, service accounts' tokens, client certificates; and it is strict: what a real server refuses, it refuses
(kube_rules.py), and what a real server does not promise (order, number-like resource versions) does not hold here either.

KubeApi.faults says what goes wrong; everything else a test does through the API, as with a real server."""

import copy
import datetime
import gzip
import json
import re
import secrets
import socket
import socketserver
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

import kube_rules

MASK, FACTOR = 0xFFFFFFFF, 0x9E3779B1
INVERSE = pow(FACTOR, -1, MASK + 1)
ADMIN = "admin"
GZIP_LEAST = 128 * 1024  # octets of an answer that is compressed for those who take it
BUILT_IN = [
    # group, version, plural, kind, namespaced, subresource status
    ("", "v1", "namespaces", "Namespace", False, True),
    ("", "v1", "nodes", "Node", False, True),
    ("", "v1", "pods", "Pod", True, True),
    ("", "v1", "secrets", "Secret", True, False),
    ("", "v1", "services", "Service", True, True),
    ("", "v1", "serviceaccounts", "ServiceAccount", True, False),
    ("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True, False),
    ("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False, False),
    ("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", False, False),
    ("rbac.authorization.k8s.io", "v1", "roles", "Role", True, False),
    ("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", True, False),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False, True),
]
# By what else than name and namespace a resource can be selected; custom resources by nothing else.
FIELDS = {"pods": ("spec.nodeName", "status.phase"), "secrets": ("type",), "nodes": ("spec.unschedulable",)}
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
           406: "NotAcceptable", 409: "Conflict", 410: "Expired", 415: "UnsupportedMediaType", 422: "Invalid",
           429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}


class Refusal(Exception):
    def __init__(self, code, message, reason=None, headers=None, name=None):
        super().__init__(message)
        self.code, self.headers = code, headers or {}
        self.status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
                       "reason": reason or REASONS.get(code, "Unknown"), "code": code,
                       # Whether it is the object that is missing, or the resource, only this tells.
                       "details": {"name": name} if name else {}}


class Resource:
    def __init__(self, group, version, plural, kind, namespaced, status):
        self.group, self.version, self.plural, self.kind = group, version, plural, kind
        self.namespaced, self.status = namespaced, status
        self.custom, self.schema = False, None
        self.objects = {}  # (namespace, name) -> object; an object is never changed, only replaced

    @property
    def api_version(self):
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self):
        return f"{self.plural}.{self.group}" if self.group else self.plural


def at(thing, path):
    for part in path.split("."):
        thing = thing.get(part) if isinstance(thing, dict) else None
    return thing


def version_of(sequence):
    """Opaque: no number, and not in order."""
    return f"x{sequence * FACTOR & MASK:08x}"


def sequence_of(version):
    if not re.fullmatch(r"x[0-9a-f]{8}", version):
        raise Refusal(400, f'Invalid value: "{version}": not a resource version of this server')
    return int(version[1:], 16) * INVERSE & MASK


def merge_patch(target, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


class Selector:
    def __init__(self, resource, query):
        self.fields, self.labels = [], []
        for term in filter(None, query.get("fieldSelector", "").split(",")):
            match = re.fullmatch(r"([\w.]+)(=|==|!=)(.*)", term)
            if not match:
                raise Refusal(400, f"invalid field selector: {term}")
            allowed = ("metadata.name", "metadata.namespace", *(() if resource.custom else FIELDS.get(resource.plural, ())))
            if match.group(1) not in allowed:
                raise Refusal(400, f'field label not supported: {match.group(1)}')
            self.fields.append((match.group(1), match.group(2) != "!=", match.group(3)))
        for term in re.findall(r"(?:[^,(]|\([^)]*\))+", query.get("labelSelector", "")):
            self.labels.append(self.parse_label(term.strip()))

    @staticmethod
    def parse_label(term):
        match = re.fullmatch(r"([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)", term)
        if match:
            values = {value.strip() for value in match.group(3).split(",")}
            return lambda labels: (labels.get(match.group(1)) in values) == (match.group(2) == "in")
        match = re.fullmatch(r"([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)", term)
        if match:
            return lambda labels: (labels.get(match.group(1)) == match.group(3)) == (match.group(2) != "!=")
        match = re.fullmatch(r"(!?)([\w./-]+)", term)
        if match:
            return lambda labels: (match.group(2) in labels) != bool(match.group(1))
        raise Refusal(400, f"unable to parse requirement: {term}")

    @property
    def name(self):
        return next((value for field, equal, value in self.fields if field == "metadata.name" and equal), None)

    def matches(self, thing):
        labels = thing["metadata"].get("labels") or {}
        return (all(((at(thing, field) or "") == value) == equal for field, equal, value in self.fields) and
                all(test(labels) for test in self.labels))


class Fault:
    """What goes wrong with the next `count` requests whose line ("GET /api/v1/nodes?...") matches."""

    def __init__(self, pattern, status=None, headers=None, cut=None, delay=0, error=None, count=1):
        self.pattern, self.status, self.headers = re.compile(pattern), status, headers or {}
        self.cut = cut        # close the connection after so many bytes of the body
        self.delay = delay    # seconds before the answer, and before each event of a watch
        self.error = error    # a watch gets an event ERROR with this code, and ends
        self.count = count
        self.met = 0
        self.first = None     # when it was met first

    def take(self, line):
        if self.met == self.count or not self.pattern.search(line):
            return False
        self.met += 1
        self.first = self.first or time.monotonic()
        return True


class Rbac:
    """Who may do what, as the RBAC objects say; the admin everything."""

    def __init__(self, api):
        self.api = api

    def rules(self, user, namespace):
        groups = ["system:authenticated"]
        match = re.fullmatch(r"system:serviceaccount:([^:]+):([^:]+)", user)
        if match:
            groups += ["system:serviceaccounts", f"system:serviceaccounts:{match.group(1)}"]

        def bound(binding):
            return any((subject["kind"] == "User" and subject["name"] == user) or
                       (subject["kind"] == "Group" and subject["name"] in groups) or
                       (subject["kind"] == "ServiceAccount" and match and
                        (subject["namespace"], subject["name"]) == match.groups())
                       for subject in binding.get("subjects", ()))

        bindings = [(binding, None) for binding in self.objects("clusterrolebindings")]
        if namespace:
            bindings += [(binding, namespace) for binding in self.objects("rolebindings")
                         if binding["metadata"]["namespace"] == namespace]
        for binding, inside in bindings:
            if bound(binding):
                role = binding["roleRef"]
                plural = {"ClusterRole": "clusterroles", "Role": "roles"}[role["kind"]]
                place = inside if role["kind"] == "Role" else None
                found = self.api.find(plural).objects.get((place, role["name"]), {})
                yield from found.get("rules") or ()

    def objects(self, plural):
        return self.api.find(plural).objects.values()

    def check(self, user, verb, resource, subresource, namespace, name):
        if user == ADMIN:
            return
        what = resource.plural + (f"/{subresource}" if subresource else "")
        for rule in self.rules(user, namespace):
            names = rule.get("resourceNames")
            if ({verb, "*"} & set(rule["verbs"]) and {resource.group, "*"} & set(rule.get("apiGroups", ())) and
                    {what, "*"} & set(rule.get("resources", ())) and (not names or name in names)):
                return
        where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        subject = f'{resource.name} "{name}"' if name and verb not in ("list", "watch") else resource.name
        raise Refusal(403, f'{subject} is forbidden: User "{user}" cannot {verb} resource "{what}" in API group '
                           f'"{resource.group}" {where}')


class Call:
    """What a request's path and query mean."""

    def __init__(self, api, method, target):
        path, _, query = target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
        self.resource, self.namespace, self.name, self.subresource = None, None, None, None
        self.discovery = None
        if parts[0] == "api" and len(parts) >= 2:
            group, version, rest = "", parts[1], parts[2:]
        elif parts[0] == "apis" and len(parts) >= 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            self.discovery = parts
            return
        if not rest:
            self.discovery = parts
            return
        if rest[0] == "namespaces" and len(rest) >= 3:
            self.namespace, rest = rest[1], rest[2:]
        self.resource = api.resources.get((group, version, rest[0]))
        if not self.resource or (self.namespace and not self.resource.namespaced):
            raise Refusal(404, "the server could not find the requested resource")
        self.name = rest[1] if len(rest) > 1 else None
        self.subresource = rest[2] if len(rest) > 2 else None
        if self.name and self.resource.namespaced and not self.namespace:
            raise Refusal(404, "the server could not find the requested resource")
        if self.subresource and not (self.subresource == "status" and self.resource.status) and not (
                self.subresource == "token" and self.resource.plural == "serviceaccounts"):
            if self.resource.custom:
                # As if the object were missing.
                raise Refusal(404, f'{self.resource.name} "{self.name}" not found', name=self.name)
            raise Refusal(404, "the server could not find the requested resource")
        self.is_watch = self.query.get("watch") in ("true", "1")
        verbs = {"GET": "get" if self.name else "watch" if self.is_watch else "list", "POST": "create", "PUT": "update",
                 "PATCH": "patch", "DELETE": "delete" if self.name else "deletecollection"}
        if method not in verbs or (method in ("PUT", "PATCH") and not self.name):
            raise Refusal(405, "the server does not allow this method on the requested resource")
        self.verb = verbs[method]
        self.selector = Selector(self.resource, self.query)


class KubeApi:
    """The server. Options: address and port; tls (certificate file, key file), client_ca (file): whoever has a
    certificate of it is the user that its common name says. Tokens: {token: user}."""

    def __init__(self, listener, tls=None, client_ca=None, tokens=None, page_seconds=60):
        self.resources = {}
        for row in BUILT_IN:
            self.register(*row)
        self.tokens = dict(tokens or {})
        self.faults, self.requests = [], []
        self.page_seconds, self.bookmark_seconds = page_seconds, 60
        self.most = 10000  # objects on a page, whatever is asked for
        self.pages = {}
        self.changed = threading.Condition()
        self.sequence, self.oldest = secrets.randbelow(1000) + 100, 0
        self.history = []  # (sequence, resource, before, after)
        self.breaks = self.bookmarks = self.compressed = 0
        self.rbac, self.controllers = Rbac(self), kube_rules.Controllers(self)
        self.stopping = False
        with self.changed:
            for name in ("default", "kube-system"):
                self.store(self.find("namespaces"), (None, name), {
                    "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, new=True)
                self.store(self.find("serviceaccounts"), (name, "default"), {
                    "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}, new=True)
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)
            if client_ca:
                self.context.load_verify_locations(client_ca)
                self.context.verify_mode = ssl.CERT_OPTIONAL
        self.connections = set()
        self.server = Server(listener, self)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self.thread.start()
        threading.Thread(target=self.control, daemon=True).start()

    def control(self):
        while not self.stopping:
            with self.changed:
                self.controllers.run(time.monotonic())
            time.sleep(0.05)

    def close(self):
        self.stopping = True
        self.server.shutdown()
        self.server.server_close()
        self.drop_connections()

    def register(self, *row):
        resource = Resource(*row)
        self.resources[resource.group, resource.version, resource.plural] = resource
        return resource

    def find(self, plural):
        return next(resource for resource in self.resources.values() if resource.plural == plural and not resource.custom)

    # For tests: what goes wrong

    def fail(self, pattern, **options):
        self.faults.append(Fault(pattern, **options))
        return self.faults[-1]

    def drop_connections(self):
        """All of them break, in the middle of whatever is being said."""
        with self.changed:
            self.breaks += 1
            self.changed.notify_all()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def compact(self):
        """Nothing that happened until now can be watched any more, and unfinished listings have expired."""
        with self.changed:
            self.oldest = self.sequence
            self.history.clear()
            self.pages.clear()

    def count(self, pattern):
        return sum(1 for line in list(self.requests) if re.search(pattern, line))

    # Objects

    def store(self, resource, key, thing, new=False):
        """Puts the object in place, with the metadata that is the server's; None deletes. The lock is held."""
        self.sequence += 1
        before = resource.objects.get(key)
        if thing is not None:
            thing = copy.deepcopy(thing)
            metadata = thing["metadata"]
            if new:
                metadata["uid"] = "-".join(secrets.token_hex(n) for n in (4, 2, 2, 2, 6))
                metadata["creationTimestamp"] = timestamp()
                metadata["generation"] = 1
            metadata["resourceVersion"] = version_of(self.sequence)
            metadata["managedFields"] = [{"manager": "somebody", "operation": "Update", "time": timestamp()}]
            resource.objects[key] = thing
        else:
            resource.objects.pop(key)
        self.history.append((self.sequence, resource, before, thing))
        if resource.plural == "customresourcedefinitions" and thing:
            self.define(thing)
        self.changed.notify_all()
        return thing

    def define(self, crd):
        spec = crd["spec"]
        for version in spec["versions"]:
            key = (spec["group"], version["name"], spec["names"]["plural"])
            if version["served"] and key not in self.resources:
                resource = self.register(*key, spec["names"]["kind"], spec["scope"] == "Namespaced",
                                         "status" in (version.get("subresources") or {}))
                resource.custom, resource.schema = True, version["schema"]["openAPIV3Schema"]

    def validate(self, call, thing):
        resource, metadata = call.resource, thing.get("metadata") if isinstance(thing, dict) else None
        if not isinstance(metadata, dict):
            raise Refusal(400, "the object provided has no metadata")
        if (thing.get("apiVersion"), thing.get("kind")) != (resource.api_version, resource.kind):
            raise Refusal(400, f"the API version or kind in the data ({thing.get('apiVersion')}, {thing.get('kind')}) does "
                               f"not match the expected ({resource.api_version}, {resource.kind})")
        name = metadata.get("name") or ""
        if not kube_rules.SUBDOMAIN.fullmatch(name) or len(name) > 253:
            # Names of RBAC objects are path segments, and may have more in them.
            if resource.group != "rbac.authorization.k8s.io" or not name or re.search(r"[/%]", name):
                raise Refusal(422, f'{resource.kind} "{name}" is invalid: metadata.name: a lowercase RFC 1123 subdomain '
                                   "must consist of lower case alphanumeric characters, '-' or '.'")
        if call.name and name != call.name:
            raise Refusal(400, f"the name of the object ({name}) does not match the name on the URL ({call.name})")
        if resource.namespaced and metadata.setdefault("namespace", call.namespace) != call.namespace:
            raise Refusal(400, "the namespace of the provided object does not match the namespace sent on the request")
        if not resource.namespaced and metadata.get("namespace"):
            raise Refusal(400, f"{resource.kind} is not namespaced")
        if resource.namespaced and (None, call.namespace) not in self.find("namespaces").objects:
            raise Refusal(404, f'namespaces "{call.namespace}" not found')
        for part in ("labels", "annotations"):
            for value in (metadata.get(part) or {}).values():
                if not isinstance(value, str):
                    raise Refusal(400, f"json: cannot unmarshal into Go struct field ObjectMeta.metadata.{part} of type string")

    def admit(self, call, thing, before, how=kube_rules.admit):
        try:
            return how(self, call.resource, thing, before)
        except kube_rules.Invalid as error:
            raise Refusal(422, f'{call.resource.kind}.{call.resource.group} "{thing["metadata"]["name"]}" is invalid: '
                               f"{error}") from None

    def create(self, call, thing):
        self.validate(call, thing)
        if thing["metadata"].get("resourceVersion"):
            raise Refusal(500, "resourceVersion should not be set on objects to be created")
        key = (call.namespace, thing["metadata"]["name"])
        if key in call.resource.objects:
            raise Refusal(409, f'{call.resource.name} "{key[1]}" already exists', "AlreadyExists")
        if call.resource.status:
            thing = {part: value for part, value in thing.items() if part != "status"}
        stored = self.store(call.resource, key, self.admit(call, thing, None), new=True)
        self.controllers.created(call.resource, key, time.monotonic())
        return stored

    def existing(self, call):
        found = call.resource.objects.get((call.namespace, call.name))
        if not found:
            raise Refusal(404, f'{call.resource.name} "{call.name}" not found', name=call.name)
        return found

    def replace(self, call, thing, patched=False):
        before = self.existing(call)
        self.validate(call, thing)
        metadata, old = thing["metadata"], before["metadata"]
        given = metadata.get("resourceVersion")
        if given and given != old["resourceVersion"]:
            raise Refusal(409, f'Operation cannot be fulfilled on {call.resource.name} "{call.name}": the object has been '
                               "modified; please apply your changes to the latest version and try again")
        if not given and call.resource.custom and not patched:
            raise Refusal(422, "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update")
        if metadata.get("uid", old["uid"]) != old["uid"]:
            raise Refusal(409, "Precondition failed: UID in precondition")
        if call.subresource == "status":
            # Nodes, alone, may have their metadata changed this way.
            metadata = metadata if call.resource.plural == "nodes" else old
            thing = {**before, "metadata": metadata, "status": thing.get("status")}
            thing = self.admit(call, thing, before, kube_rules.admit_status)
        elif call.resource.status:
            thing = {key: value for key, value in thing.items() if key != "status"}
            if "status" in before:
                thing["status"] = before["status"]
        if call.subresource != "status":
            thing = self.admit(call, thing, before)
        generation = old["generation"] + (thing.get("spec") != before.get("spec"))
        thing = {**thing, "metadata": {**thing["metadata"], "uid": old["uid"], "generation": generation,
                                       "creationTimestamp": old["creationTimestamp"]}}
        if self.is_same(before, thing):
            return before
        return self.store(call.resource, (call.namespace, call.name), thing)

    @staticmethod
    def is_same(a, b):
        def bare(thing):
            return {**thing, "metadata": {key: value for key, value in thing["metadata"].items()
                                          if key not in ("resourceVersion", "managedFields")}}
        return bare(a) == bare(b)

    def delete(self, call, options):
        before = self.existing(call)
        if options and (options.get("kind") not in (None, "DeleteOptions") or options.get("apiVersion") not in (None, "v1",
                                                                                                             "meta.k8s.io/v1")):
            raise Refusal(400, f"cannot unmarshal {options.get('kind')} into DeleteOptions")
        wanted = at(options, "preconditions.uid")
        if wanted and wanted != before["metadata"]["uid"]:
            raise Refusal(409, "Precondition failed: UID in precondition")
        key = (call.namespace, call.name)
        grace = options.get("gracePeriodSeconds", call.query.get("gracePeriodSeconds"))
        if call.resource.plural == "pods" and at(before, "spec.nodeName") and str(grace) != "0":
            # The kubelet ends it; there is none here.
            return self.store(call.resource, key, {**before, "metadata": {
                **before["metadata"], "deletionTimestamp": timestamp(), "deletionGracePeriodSeconds": int(grace or 30)}})
        self.store(call.resource, key, None)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}

    def token(self, call, thing):
        self.existing(call)
        if thing.get("kind") != "TokenRequest":
            raise Refusal(400, "expected a TokenRequest")
        if not 600 <= at(thing, "spec.expirationSeconds"):
            raise Refusal(422, "spec.expirationSeconds: Invalid value: may not specify a duration less than 10 minutes")
        token = secrets.token_urlsafe(30)
        self.tokens[token] = f"system:serviceaccount:{call.namespace}:{call.name}"
        return {**thing, "status": {"token": token, "expirationTimestamp": timestamp(3600)}}

    # Lists

    def list(self, call):
        query, resource = call.query, call.resource
        limit = int(query.get("limit") or 0)
        limit = min(limit, self.most) if limit else 0
        if query.get("continue"):
            if query.get("resourceVersion") not in (None, "", "0"):
                raise Refusal(400, "resourceVersion is forbidden: specifying resource version is not allowed when using "
                                   "continue")
            items, sequence, made = self.pages.pop(query["continue"], (None, 0, 0))
            if items is None or time.monotonic() > made + self.page_seconds:
                raise Refusal(410, "The provided continue parameter is too old to display a consistent list result. You "
                                   "must start a new list without the continue parameter.")
        else:
            version = query.get("resourceVersion") or "0"
            if version != "0" and sequence_of(version) > self.sequence:
                raise Refusal(504, "Too large resource version")
            items = [thing for (namespace, _name), thing in sorted(resource.objects.items(), key=str)
                     if call.namespace in (None, namespace) and call.selector.matches(thing)]
            sequence = self.sequence
        metadata = {"resourceVersion": version_of(sequence)}
        if limit and len(items) > limit:
            token = secrets.token_urlsafe(12)
            self.pages[token] = (items[limit:], sequence, time.monotonic())
            metadata["continue"] = token
            if not query.get("fieldSelector") and not query.get("labelSelector"):
                metadata["remainingItemCount"] = len(items) - limit
            items = items[:limit]
        # The elements of a list have neither kind nor apiVersion, unless they are custom resources.
        if not resource.custom:
            items = [{key: value for key, value in thing.items() if key not in ("kind", "apiVersion")} for thing in items]
        return {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata, "items": items}

    # Watches

    def watch_start(self, call):
        """The number after which events are wanted, and the synthetic ones before."""
        version = call.query.get("resourceVersion") or "0"
        if "sendInitialEvents" in call.query:
            raise Refusal(422, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList "
                               "feature gate is enabled")
        if version == "0":
            first = [{"type": "ADDED", "object": thing} for (namespace, _name), thing in call.resource.objects.items()
                     if call.namespace in (None, namespace) and call.selector.matches(thing)]
            return self.sequence, first
        sequence = sequence_of(version)
        if sequence > self.sequence:
            raise Refusal(504, "Too large resource version")
        if sequence < self.oldest:
            raise Refusal(410, f"too old resource version: {version} ({version_of(self.oldest)})")
        return sequence, []

    @staticmethod
    def event_of(call, number, before, after):
        """What somebody sees who watches through a selector: what leaves the selection is deleted."""
        def visible(thing):
            return (thing is not None and call.namespace in (None, thing["metadata"].get("namespace")) and
                    call.selector.matches(thing))
        if visible(after):
            return {"type": "MODIFIED" if visible(before) else "ADDED", "object": after}
        if visible(before):
            return {"type": "DELETED", "object": {**before, "metadata": {**before["metadata"],
                                                                         "resourceVersion": version_of(number)}}}
        return None

    def bookmark_of(self, call, number):
        if call.query.get("allowWatchBookmarks") not in ("true", "1"):
            return None
        self.bookmarks += 1
        return {"type": "BOOKMARK", "object": {"kind": call.resource.kind, "apiVersion": call.resource.api_version,
                                               "metadata": {"resourceVersion": version_of(number), "creationTimestamp": None}}}

    def watch_events(self, call, sequence):
        """The events after a number, for ever; None when there was none for a moment."""
        deadline = time.monotonic() + float(call.query.get("timeoutSeconds") or 1800)
        next_bookmark = time.monotonic() + self.bookmark_seconds
        breaks = self.breaks
        while not self.stopping:
            with self.changed:
                if not any(row[0] > sequence for row in self.history[-1:]):
                    self.changed.wait(0.2)
                if sequence < self.oldest and self.history:
                    raise Refusal(410, "too old resource version")
                fresh = []
                for row in reversed(self.history):
                    if row[0] <= sequence:
                        break
                    fresh.append(row)
                if self.breaks != breaks:
                    raise ConnectionAbortedError
            for number, resource, before, after in reversed(fresh):
                sequence = number
                if resource is call.resource:
                    yield self.event_of(call, number, before, after)
            if time.monotonic() > next_bookmark:
                next_bookmark += self.bookmark_seconds
                yield self.bookmark_of(call, sequence)
            if time.monotonic() > deadline:
                return

    # Discovery

    def discover(self, parts):
        resources = self.resources.values()
        if parts == ["version"]:
            return {"major": "1", "minor": "30", "gitVersion": "v1.30.0-stand-in"}
        if parts == ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        if parts == ["apis"]:
            groups = {}
            for resource in resources:
                if resource.group:
                    groups.setdefault(resource.group, set()).add(resource.version)
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group_of(*row) for row in groups.items()]}
        if len(parts) == 2 and parts[0] == "apis":
            versions = {resource.version for resource in resources if resource.group == parts[1]}
            if versions:
                return {"kind": "APIGroup", "apiVersion": "v1", **group_of(parts[1], versions)}
        group, version = (parts[1:] if parts[0] == "apis" and len(parts) == 3 else ("", parts[-1]))
        found = [resource for resource in resources if (resource.group, resource.version) == (group, version)]
        if not found:
            raise Refusal(404, "the server could not find the requested resource")
        verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": found[0].api_version,
                "resources": [{"name": resource.plural, "singularName": "", "namespaced": resource.namespaced,
                               "kind": resource.kind, "verbs": verbs} for resource in found]}


def group_of(name, versions):
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in sorted(versions)]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def timestamp(later=0):
    return (datetime.datetime.utcnow() + datetime.timedelta(seconds=later)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listener, api):
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.api = listener, api

    def finish_request(self, request, client_address):
        # Here it is its own thread that waits for the client's part of the handshake.
        request.settimeout(60)
        if self.api.context:
            try:
                request = self.api.context.wrap_socket(request, server_side=True)
            except OSError:
                return
        self.api.connections.add(request)
        try:
            self.RequestHandlerClass(request, client_address, self)
        except OSError:
            pass
        finally:
            self.api.connections.discard(request)
            try:
                request.close()
            except OSError:
                pass

    def handle_error(self, request, client_address):
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass

    def user(self):
        """Who asks. There is no anonymous access."""
        header = self.headers.get("Authorization", "")
        if header.startswith("Bearer "):
            user = self.server.api.tokens.get(header[7:].strip())
            if user:
                return user
        elif isinstance(self.request, ssl.SSLSocket) and self.request.getpeercert():
            for part in self.request.getpeercert()["subject"]:
                for key, value in part:
                    if key == "commonName":
                        return value
        raise Refusal(401, "Unauthorized")

    def body(self):
        length = self.headers.get("Content-Length")
        text = self.rfile.read(int(length)) if length else b""
        if not text:
            return {}
        try:
            return json.loads(text)
        except ValueError as error:
            raise Refusal(400, f"the body of the request was in an unknown format: {error}") from None

    def handle_call(self):
        api, line = self.server.api, f"{self.command} {self.path}"
        api.requests.append(line)
        fault = next((fault for fault in list(api.faults) if fault.take(line)), None)
        try:
            if fault and fault.delay:
                time.sleep(fault.delay)
            user = self.user()
            accept = self.headers.get("Accept", "*/*")
            if not re.search(r"application/json|application/\*|\*/\*", accept):
                raise Refusal(406, "only the following media types are accepted: application/json")
            if fault and fault.status:
                raise Refusal(fault.status, "as the test wants it", headers=fault.headers)
            call = Call(api, self.command, self.path)
            if call.discovery:
                self.answer(200, api.discover(call.discovery), fault)
                return
            api.rbac.check(user, call.verb, call.resource, call.subresource, call.namespace, call.name or call.selector.name)
            if call.verb == "watch":
                self.watch(call, fault)
            else:
                self.answer(201 if call.verb == "create" else 200, self.act(call), fault)
        except Refusal as refusal:
            self.answer(refusal.code, refusal.status, None, refusal.headers)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_call

    def act(self, call):
        api = self.server.api
        if call.verb in ("create", "update", "patch") and "json" not in self.headers.get("Content-Type", ""):
            raise Refusal(415, "the body of the request was in an unknown format")
        given = self.body() if self.command != "GET" else None
        with api.changed:
            if call.verb == "list":
                return api.list(call)
            if call.verb == "get":
                return api.existing(call)
            if call.verb == "create":
                return api.token(call, given) if call.subresource else api.create(call, given)
            if call.verb == "update":
                return api.replace(call, given)
            if call.verb == "patch":
                if self.headers["Content-Type"] != "application/merge-patch+json":
                    raise Refusal(415, "this stand-in takes application/merge-patch+json alone")
                return api.replace(call, merge_patch(api.existing(call), given), patched=True)
            if call.verb == "delete":
                return api.delete(call, given)
        raise Refusal(405, "the server does not allow this method on the requested resource")

    def answer(self, code, thing, fault=None, headers=None):
        text = json.dumps(thing).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.warn()
        if len(text) > GZIP_LEAST and "gzip" in self.headers.get("Accept-Encoding", ""):
            text = gzip.compress(text, 4)
            self.send_header("Content-Encoding", "gzip")
            self.server.api.compressed += 1
        self.send_header("Content-Length", str(len(text)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if fault and fault.cut is not None:
            self.wfile.write(text[:fault.cut])
            self.abort()
        self.wfile.write(text)

    def warn(self):
        """As of an API that is deprecated: nobody has to act on it."""
        self.send_header("Warning", '299 - "resources of tests are deprecated, \\"unavailable\\" in v9.99+"')

    def abort(self):
        self.wfile.flush()
        self.close_connection = True
        self.request.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError

    def chunk(self, text):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))

    def watch(self, call, fault):
        api = self.server.api
        with api.changed:
            sequence, first = api.watch_start(call)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.warn()
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if fault and fault.error:
            first = [{"type": "ERROR", "object": Refusal(fault.error, "as the test wants it").status}]
        for event in first:
            self.event(event, fault)
        if not (fault and fault.error):
            try:
                for event in api.watch_events(call, sequence):
                    if event:
                        self.event(event, fault)
            except Refusal as refusal:
                self.event({"type": "ERROR", "object": refusal.status}, None)
        self.wfile.write(b"0\r\n\r\n")

    def event(self, event, fault):
        text = json.dumps(event).encode() + b"\n"
        if fault and fault.delay:
            time.sleep(fault.delay)
        if fault and fault.cut is not None:
            self.chunk(text[:fault.cut])
            self.abort()
        # In pieces, as networks have it.
        middle = len(text) // 2
        for part in (text[:middle], text[middle:]):
            self.chunk(part)
