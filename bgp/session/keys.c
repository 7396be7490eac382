/* The keys of RFC 2385 on the listening sockets. The kernel holds one per prefix (TCP_MD5SIG_EXT), while several
 * sessions may have one remote address: the first to claim a prefix has its password there, the next one follows when
 * it is gone. Connections have keys of their own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bgp/session/internal.h"
#include "bgp/session/socket.h"

struct key {
	struct key_of of;
	uint32_t hash;
	bool refused;				  /* by the kernel, for some listening socket */
	TAILQ_HEAD(key_claims, key_claim) claims; /* the first is in force */
};

static bool is_equal(const struct key_of *a, const struct key_of *b)
{
	return prefix_equal(&a->prefix, &b->prefix) && memcmp(a->vrf, b->vrf, sizeof a->vrf) == 0;
}

static bool key_is(const void *item, const void *of)
{
	return is_equal(&((const struct key *)item)->of, of);
}

static struct key *key_get(struct bgp_engine *e, const struct key_of *of)
{
	uint32_t hash = (uint32_t)hash_bytes(of, sizeof *of);
	struct key *k = htab_find(&e->keys, hash, key_is, of);

	if (k)
		return k;
	k = mem_calloc(1, sizeof *k);
	k->of = *of;
	k->hash = hash;
	TAILQ_INIT(&k->claims);
	htab_insert(&e->keys, hash, k);
	return k;
}

/* A socket outside of VRFs may hear them, too, but holds only one key for an address: that of the peer outside. */
static bool hears(const struct listener *l, const struct key *k)
{
	return strcmp(l->at.vrf, k->of.vrf) == 0;
}

static void put(struct key *k, struct listener *l, const char *name, const char *password)
{
	if (l->at.addr.af != k->of.prefix.addr.af || !hears(l, k) || socket_password(l->fd, &k->of.prefix, password))
		return;
	k->refused = true;
	log_error(LOG_BGP, "%s: cannot %s the password of the listening socket: %s%s", name,
		  password ? "set" : "remove", strerror(errno),
		  errno == ENOMEM ? "; raise net.core.optmem_max, it limits the number of passwords" : "");
}

/* Brings all listening sockets to what the first claim says. */
static void put_everywhere(struct bgp_engine *e, struct key *k, const char *name)
{
	const struct key_claim *first = TAILQ_FIRST(&k->claims);
	struct listener *l;

	k->refused = false;
	LIST_FOREACH(l, &e->listeners, entry)
	put(k, l, name, first ? first->password : NULL);
}

static void warn_of_another(const struct key *k, const struct key_claim *c)
{
	const struct key_claim *first = TAILQ_FIRST(&k->claims);
	char text[PREFIX_STRLEN];

	if (first != c && strcmp(first->password, c->password) != 0)
		log_warn(LOG_BGP, "%s: connections from %s must have the password of %s: this session can only dial",
			 c->name, prefix_format(&k->of.prefix, text), first->name);
}

static void claim_drop(struct bgp_engine *e, struct key_claim *c)
{
	struct key *k = c->key;
	bool was_first = k && TAILQ_FIRST(&k->claims) == c;

	if (!k)
		return;
	TAILQ_REMOVE(&k->claims, c, entry);
	if (was_first)
		put_everywhere(e, k, c->name);
	if (TAILQ_EMPTY(&k->claims)) {
		htab_remove(&e->keys, k->hash, k);
		free(k);
	}
	*c = (struct key_claim){0};
}

void key_claim(struct bgp_engine *e, struct key_claim *c, const struct key_of *of, const char *password,
	       const char *name)
{
	bool same = c->key && password && is_equal(&c->key->of, of);
	bool changed = !same || strcmp(c->password, password) != 0;

	if (!same)
		claim_drop(e, c);
	if (!password)
		return;
	c->password = password;
	c->name = name;
	if (!same) {
		c->key = key_get(e, of);
		TAILQ_INSERT_TAIL(&c->key->claims, c, entry);
	}
	if (!changed)
		return;
	if (TAILQ_FIRST(&c->key->claims) == c)
		put_everywhere(e, c->key, name);
	warn_of_another(c->key, c);
}

bool key_in_force(const struct key_claim *c)
{
	const struct key_claim *first = c->key ? TAILQ_FIRST(&c->key->claims) : NULL;

	return first && !c->key->refused && strcmp(first->password, c->password) == 0;
}

void key_listener(struct listener *l)
{
	struct key *k;
	uint32_t pos = 0;

	while ((k = htab_next(&l->engine->keys, &pos))) {
		const struct key_claim *first = TAILQ_FIRST(&k->claims);
		put(k, l, first->name, first->password);
	}
}
