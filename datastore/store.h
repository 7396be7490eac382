/* The store: what the cluster's objects are now, whatever backend they come from.
 *
 * A backend (backend.h: file, etcdv3, kubernetes) hands over decoded objects and deletions; the store diffs
 * them against what was and calls back once per real change. A refused object leaves its last good version in force.
 * The store is the single source of truth for objects; nobody else keeps copies. */
#ifndef DATASTORE_STORE_H
#define DATASTORE_STORE_H

#include "daemon/base/buf.h"
#include "daemon/base/loop.h"
#include "datastore/objects.h"

struct store;

/* How this node is, for a datastore where people look for that. */
struct store_report {
	unsigned classes;   /* what about: bits, STORE_REPORT_* */
	struct strbuf *out; /* to be appended: JSON */
	char omitted[160];  /* to be filled in: what is left out of it for being too much; "" nothing */
};
/* The bits. */
#define STORE_REPORT_AGENT 1u
#define STORE_REPORT_BGP 2u
#define STORE_REPORT_ROUTES 4u

struct store_ops {
	/* before == NULL: new; after == NULL: gone. `before` is freed after the call. */
	void (*on_change)(void *arg, const struct object *before, const struct object *after);
	/* Everything that was there at the start has been delivered (once per (re)connection; a mere diff later). */
	void (*on_sync)(void *arg);
	/* There are other objects that are refused than before (fields that are not honoured do not count). May be
	 * NULL. */
	void (*on_refusals)(void *arg);
	/* See struct store_report. NULL: nobody says. */
	void (*on_report)(void *arg, struct store_report *r);
};

struct store *store_new(struct loop *loop, const struct store_ops *ops, void *arg);
/* Stops the backend and frees all objects without calling back. */
void store_free(struct store *s);

/* Where the objects come from. The texts are copied where they are kept. */
struct store_conf {
	const char *type;      /* "file", "etcdv3" or "kubernetes" */
	const char *node;      /* this node's name: what is about others alone may be left out */
	const char *directory; /* file: the directory */
	const char *cache;     /* remote: the file of the last known state; "" for none */
	struct {
		const char *endpoints;	   /* "http://10.0.0.1:2379,https://..." */
		const char *discovery_srv; /* a domain whose SRV records name them instead; "" unset */
		const char *ca_file, *cert_file, *key_file, *username, *password; /* "" unset */
	} etcd;
	struct {
		const char *kubeconfig; /* a file; "": server, or the service account */
		const char *server;	/* "https://10.96.0.1:443" */
		const char *ca_file, *cert_file, *key_file, *token_file; /* with server; "" unset */
		bool insecure;						 /* the server's certificate is not looked at */
		const char *api_group;	 /* "projectcalico.org/v3", "crd.projectcalico.org/v1"; "": what there is */
		const char *namespace;	 /* of the Secrets; "": our own, or kube-system */
		bool use_pod_cidr;	 /* nodes' blocks are their podCIDRs */
		bool advertise_services; /* Services are read whatever the BGPConfiguration says */
	} kubernetes;
};

/* Starts the backend of that type. False, with err filled, if there is no such backend, or what it needs is not
 * installed: the remote ones are in a plugin (plugin.h). What is wrong later, status says. */
bool store_start(struct store *s, const struct store_conf *conf, char *err, size_t err_size);

/* Starts the `file` backend on a directory: *.yaml, *.yml and *.json in it, not recursive, hidden files and editors'
 * droppings left out. The directory may not exist yet, vanish, and come back: until it is back and readable, objects
 * are not deleted because it is missing. A file that is empty, cannot be read or ends in broken text deletes nothing
 * either. An object that two files claim comes from the first by file name. Never fails; status says. */
void store_start_file(struct store *s, const char *directory);

/* What a node says of itself, for the other nodes to know it: in its Node object. */
struct store_node {
	struct host_addr addr[FAM_COUNT]; /* none: what the object says stays */
	uint32_t as;			  /* 0: likewise */
};
/* Does the datastore take that from its nodes? */
bool store_can_publish(const struct store *s);
/* The Node object is to say this, until this is called again; NULL: what it says is right. It is written once, and
 * again when that fails (see publish_problem) or if it still does not say so by the next call. */
void store_publish(struct store *s, const struct store_node *n);

/* The object, or NULL. namespace is "" for kinds without. */
const struct object *store_get(const struct store *s, enum object_kind k, const char *namespace, const char *name);
/* Walks all objects of a kind, in the order of their namespaces and names; start with *pos = 0. NULL at the end. */
const struct object *store_next(const struct store *s, enum object_kind k, unsigned *pos);
unsigned store_count(const struct store *s, enum object_kind k);

/* An object (or file) that was refused, or a field that is not honoured. */
struct store_refusal {
	char *source; /* file:line:col */
	char *object; /* "BGPPeer rack1-tor", or "" if a whole file is meant */
	char *field, *reason;
	bool warning;	/* the object is in force, only this field is not honoured */
	bool last_good; /* an earlier version of the object is in force */
};
/* The refusals in force now, oldest first; index from 0. NULL past the end. */
const struct store_refusal *store_refusal(const struct store *s, unsigned index);
/* Adds "SOURCE: OBJECT: FIELD: REASON; what is in force", without the parts that there are not. */
void store_refusal_format(const struct store_refusal *r, struct strbuf *out);

struct store_status {
	const char *backend;  /* its name */
	const char *location; /* the directory, the endpoint */
	bool in_sync;	      /* readable now, and everything has been delivered */
	uint64_t since;	      /* mono time of the last change of in_sync; 0 never */
	const char *problem;  /* why not in sync, NULL if it is */
	uint64_t changes;     /* objects changed since the start */
	unsigned refused;     /* refusals in force that are not mere warnings */
	/* Remote backends alone: */
	const char *revision; /* of the last that was read; NULL if the backend has none */
	uint64_t heard;	      /* mono time when the datastore was last heard of; 0 never */
	int64_t cached;	      /* the objects are those of the cache, of this time (wall clock, s); 0: they are not */
	const char *cache_problem;   /* why the cache is not written; NULL none */
	const char *publish_problem; /* why the Node object could not be made to say what it should; NULL none */
};
struct store_status store_status(const struct store *s);

#endif
