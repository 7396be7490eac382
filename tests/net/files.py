"""A directory of objects as people and programs keep it: objects on their own, several in a file, as a List, as JSON;
rewritten in every manner an editor has; moved from file to file; and now and then wrong."""

import contextlib
import json
import os
import time

from objects import to_yaml

MOST_IN_A_FILE = 6


def key_of(thing):
    return thing["kind"], thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


def as_documents(things):
    return "---\n".join(map(to_yaml, things))


def as_list(things):
    return to_yaml({"apiVersion": "v1", "kind": "List", "items": list(things)})


def as_json(things):
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(things)}, indent=2)


# What people write. Each leaves what was there before in force.

def cut_off(text):
    """In the middle of a token or a quoted text, so that it cannot be taken for something complete."""
    return text[:len(text) // 2].rstrip() + '\n  "unfinished'


BROKEN = [
    cut_off,
    lambda text: text + "\n\tthis: is: not yaml\n",
    lambda text: "",
    lambda text: text.replace("apiVersion", "{[apiVersion", 1),
]

BAD_OBJECTS = [
    {"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", "metadata": {"name": "bad-peer"},
     "spec": {"peerIP": "not an address", "asNumber": 64512}},
    {"apiVersion": "projectcalico.org/v3", "kind": "BGPPeer", "metadata": {"name": "bad-as"},
     "spec": {"peerIP": "172.18.0.201", "asNumber": -5}},
    {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "bad-pool"},
     "spec": {"cidr": "10.99.0.0/40"}},
    {"apiVersion": "projectcalico.org/v3", "kind": "BlockAffinity", "metadata": {"name": "bad-block"},
     "spec": {"cidr": "10.244.1.0", "node": 7, "state": "perhaps", "deleted": "maybe"}},
    {"apiVersion": "projectcalico.org/v3", "kind": "WorkloadEndpoint",
     "metadata": {"name": "bad--pod", "namespace": "default"},
     "spec": {"node": "node-1", "interfaceName": "a name that is far too long", "ipNetworks": ["10.244.1.1/33"]}},
    {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": "node-bad"},
     "spec": {"bgp": {"ipv4Address": "172.18.0.300/24", "asNumber": "six"}}},
    {"kind": "Node", "spec": {}},
    {"apiVersion": "v9", "kind": "Gadget", "metadata": {"name": "unknown"}},
]


class Files:
    def __init__(self, directory, rng):
        self.directory, self.rng = directory, rng
        self.in_force, self.place, self.content = {}, {}, {}  # by key; by key; {path: [key]}
        self.longest_gap = 0  # for how long, in seconds, a file was not there while it was written anew
        self.broken = set()  # paths whose present text is wrong, and whose last good one counts
        self.number = 0

    # Objects

    def put(self, thing):
        key = key_of(thing)
        if self.in_force.get(key) == thing and self.place[key] not in self.broken:
            return
        self.in_force[key] = thing
        if key not in self.place:
            self.place[key] = self.choose_place(key)
            self.content.setdefault(self.place[key], []).append(key)
        self.write(self.place[key])

    def remove(self, key):
        if key not in self.in_force:
            return
        path = self.place.pop(key)
        del self.in_force[key]
        self.content[path].remove(key)
        self.write(path)

    def move(self, key):
        """To another file; it is in both for a moment, as a careful person does it."""
        old, new = self.place[key], self.new_path()
        self.content[new] = [key]
        self.place[key] = new
        self.write(new)
        self.content[old].remove(key)
        self.write(old)

    def rewrite(self, key):
        """The same again: another form, another order, a comment more."""
        self.rng.shuffle(self.content[self.place[key]])
        self.write(self.place[key])

    def spoil(self, key):
        path = self.place[key]
        text = self.rng.choice(BROKEN)(self.text(path))
        self.broken.add(path)
        self.replace(path, text)

    def mend(self):
        for path in list(self.broken):
            self.write(path)

    def litter(self):
        """Something that gives no object: a bad one in a file of its own, or no object file at all."""
        self.number += 1
        name, text = self.rng.choice([
            (f"bad-{self.number}.yaml", to_yaml(self.rng.choice(BAD_OBJECTS))),
            (f"bad-{self.number}.yaml", "]["),
            (f"bad-{self.number}.json", '{"kind": "Node", "metadata"'),
            (f"empty-{self.number}.yml", ""),
            (f"notes-{self.number}.txt", "kind: Node\nmetadata:\n  name: not-this\n"),
            (f".hidden-{self.number}.yaml", "kind: Node\nmetadata:\n  name: nor-this\n"),
            (f"binary-{self.number}.yaml", "\x00\x01\x02" * 50),
        ])
        (self.directory / name).write_text(text)

    def add_bad_to(self, key):
        """A bad object among the good ones of a file."""
        path = self.place[key]
        if path.suffix != ".json" and path not in self.broken:
            self.replace(path, self.text(path) + "---\n" + to_yaml(self.rng.choice(BAD_OBJECTS)))

    # Files

    def new_path(self):
        self.number += 1
        return self.directory / f"{self.number:04}-objects.{self.rng.choice(['yaml', 'yaml', 'yml', 'json'])}"

    def choose_place(self, key):
        """Mostly a file of its own, sometimes one that has objects of its kind already."""
        shared = [path for path, keys in self.content.items()
                  if 0 < len(keys) < MOST_IN_A_FILE and keys[0][0] == key[0] and path not in self.broken]
        return self.rng.choice(shared) if shared and self.rng.random() < 0.4 else self.new_path()

    def text(self, path):
        things = [self.in_force[key] for key in self.content[path]]
        if path.suffix == ".json":
            return as_json(things)
        text = self.rng.choice([as_documents, as_documents, as_list])(things)
        return self.rng.choice(["", "# somebody was here\n", "---\n"]) + text

    def write(self, path):
        self.broken.discard(path)
        if self.content[path]:
            self.replace(path, self.text(path))
        else:
            del self.content[path]
            path.unlink()

    def replace(self, path, text):
        if not path.exists():
            style = self.rng.choice([self.by_rename, self.in_pieces, self.at_once, self.by_link])
        else:
            style = self.rng.choice([self.by_rename, self.by_rename, self.in_pieces, self.at_once, self.with_backup,
                                     self.unlink_first, self.by_link])
        style(path, text)

    def by_rename(self, path, text):
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(text)
        temporary.rename(path)

    def at_once(self, path, text):
        path.write_text(text)

    def in_pieces(self, path, text):
        """Truncated, then written slowly: everybody may see the halves."""
        with path.open("w") as file:
            for start in range(0, len(text), 200):
                file.write(text[start:start + 200])
                file.flush()

    def with_backup(self, path, text):
        """As vi does it: the old file moves away, a new one takes its name, the old one goes."""
        backup = path.with_name(path.name + "~")
        with self.gap():
            path.rename(backup)
            path.write_text(text)
        backup.unlink()

    def unlink_first(self, path, text):
        with self.gap():
            path.unlink()
            path.write_text(text)

    @contextlib.contextmanager
    def gap(self):
        started = time.monotonic()
        yield
        self.longest_gap = max(self.longest_gap, time.monotonic() - started)

    def by_link(self, path, text):
        temporary = path.with_name(f"{path.name}.new")
        temporary.write_text(text)
        if path.exists():
            os.replace(temporary, path)
        else:
            os.link(temporary, path)
            temporary.unlink()
