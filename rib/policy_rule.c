/* Conditions and operations are tables of functions, a rule's content is a table of fields: a new one is a row in one
 * of them (tests/unit/rib/test_policy.c walks them). */
#include "rib/policy_rule.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/mem.h"
#include "rib/attrs.h"

/* ---- Conditions ---- */

static const struct bgp_attrs *match_attrs(struct match *m)
{
	if (!m->decoded) {
		if (m->in->attrs)
			attrs_get(m->in->attrs, &m->attrs);
		else
			m->attrs = (struct bgp_attrs){0};
		m->decoded = true;
	}
	return &m->attrs;
}

static bool match_family(const struct policy_rule *r, struct match *m)
{
	return !r->families || r->families >> family_of_af(m->in->prefix.addr.af) & 1;
}

/* An upper bound of 0 is none: a rule for exactly the default route has a prefix. */
static bool fits_length(const struct policy_rule *r, uint8_t len)
{
	return len >= r->min_len && (!r->max_len || len <= r->max_len);
}

/* What is not in a range of prefixes may still be within the prefix. */
static bool match_prefix(const struct policy_rule *r, struct match *m)
{
	const struct prefix *prefix = &m->in->prefix;
	bool fits = fits_length(r, prefix->len);

	if (!r->has_prefix)
		return fits;
	switch (r->op) {
	case MATCH_EQUAL:
		return fits && prefix_equal(&r->prefix, prefix);
	case MATCH_NOT_EQUAL:
		return !(fits && prefix_equal(&r->prefix, prefix));
	case MATCH_IN:
		return fits && prefix_covers(&r->prefix, prefix);
	case MATCH_NOT_IN:
		return !(fits && prefix_covers(&r->prefix, prefix));
	}
	return false;
}

/* A pattern against a text: '*' and '?'. Where a star failed, the last one takes a character more. */
static bool matches_pattern(const char *pattern, const char *text)
{
	const char *star = NULL, *from = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			from = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static bool match_interface(const struct policy_rule *r, struct match *m)
{
	return !r->interface || matches_pattern(r->interface, m->in->interface);
}

static bool match_source(const struct policy_rule *r, struct match *m)
{
	return !r->sources || r->sources >> m->in->source & 1;
}

static bool match_session(const struct policy_rule *r, struct match *m)
{
	return !(r->ibgp_only && !m->in->ibgp) && !(r->ebgp_only && m->in->ibgp);
}

static bool match_priority(const struct policy_rule *r, struct match *m)
{
	uint32_t priority;

	if (r->priority_match == PRIORITY_ANY)
		return true;
	priority = priority_of_local_pref(m->in->local_pref);
	return r->priority_match == PRIORITY_BETTER ? priority < r->priority : priority == r->priority;
}

static bool match_community(const struct policy_rule *r, struct match *m)
{
	return !r->has_community || bgp_communities_have(match_attrs(m)->communities, r->community);
}

static bool match_large_community(const struct policy_rule *r, struct match *m)
{
	return !r->has_large_community ||
	       bgp_large_communities_have(match_attrs(m)->large_communities, r->large_community);
}

/* Of what will stand in front of the path first, then of the path itself. */
static bool match_as_path(const struct policy_rule *r, struct match *m)
{
	unsigned i = 0;

	for (; i < r->as_path_len && i < m->in->put_count; i++)
		if (r->as_path[i] != m->in->put_as)
			return false;
	return i == r->as_path_len || as_path_begins(match_attrs(m)->as_path, r->as_path + i, r->as_path_len - i);
}

/* The cheap and telling ones first. */
static bool (*const conditions[])(const struct policy_rule *r, struct match *m) = {
    match_family,    match_source,    match_session,	     match_priority, match_prefix,
    match_interface, match_community, match_large_community, match_as_path,
};

bool rule_matches(const struct policy_rule *r, struct match *m)
{
	for (unsigned i = 0; i < sizeof conditions / sizeof *conditions; i++)
		if (!conditions[i](r, m))
			return false;
	return true;
}

/* ---- Operations ---- */

static void set_local_pref(const uint32_t value[3], struct bgp_attrs *a, struct arena *arena)
{
	(void)arena;
	a->local_pref = value[0];
	a->present |= 1u << BA_LOCAL_PREF;
}

/* Communities are a set (RFC 1997, RFC 8092 3): one that is there already stays alone. */
static void add_community(const uint32_t value[3], struct bgp_attrs *a, struct arena *arena)
{
	bgp_attrs_add_community(a, value[0], arena);
}

static void add_large_community(const uint32_t value[3], struct bgp_attrs *a, struct arena *arena)
{
	struct span old = a->large_communities;
	struct wr w;

	if (bgp_large_communities_have(old, value))
		return;
	w = wr_make(arena_alloc(arena, old.len + 12), old.len + 12);
	wr_bytes(&w, old.p, old.len);
	for (unsigned i = 0; i < 3; i++)
		wr_u32(&w, value[i]);
	a->large_communities = (struct span){w.start, wr_len(&w)};
	a->present |= 1u << BA_LARGE_COMMUNITIES;
}

static void prepend_as(const uint32_t value[3], struct bgp_attrs *a, struct arena *arena)
{
	a->as_path = as_path_prepend(a->as_path, value[0], 1, arena);
	a->present |= 1u << BA_AS_PATH;
}

static void (*const operations[OP_KIND_COUNT])(const uint32_t value[3], struct bgp_attrs *a, struct arena *arena) = {
    [OP_SET_LOCAL_PREF] = set_local_pref,
    [OP_ADD_COMMUNITY] = add_community,
    [OP_ADD_LARGE_COMMUNITY] = add_large_community,
    [OP_PREPEND_AS] = prepend_as,
};

void rule_apply(const struct policy_rule *r, struct bgp_attrs *a, struct arena *arena)
{
	for (unsigned i = 0; i < r->op_count; i++)
		operations[r->ops[i].kind](r->ops[i].value, a, arena);
}

/* ---- Content ---- */

#define AT(member) offsetof(struct policy_rule, member)
#define PLAIN(member)                                                    \
	{                                                                \
		AT(member), sizeof(((struct policy_rule *)0)->member), 0 \
	}
#define LIST(member, count)                                                      \
	{                                                                        \
		AT(member), sizeof *((struct policy_rule *)0)->member, AT(count) \
	}
/* Texts follow separately. A new field of struct policy_rule belongs here. */
static const struct field {
	size_t at, size; /* of the field; of one item, if it points at a list */
	size_t count_at; /* where the list's length is; 0: no list */
} fields[] = {
    PLAIN(families),
    PLAIN(has_prefix),
    PLAIN(prefix),
    PLAIN(op),
    PLAIN(min_len),
    PLAIN(max_len),
    PLAIN(sources),
    PLAIN(ibgp_only),
    PLAIN(ebgp_only),
    PLAIN(priority_match),
    PLAIN(priority),
    PLAIN(has_community),
    PLAIN(has_large_community),
    PLAIN(community),
    PLAIN(large_community),
    LIST(as_path, as_path_len),
    PLAIN(action),
    LIST(ops, op_count),
};
#define FIELDS (sizeof fields / sizeof *fields)

static const size_t texts[] = {AT(why), AT(interface)};
#define TEXTS (sizeof texts / sizeof *texts)

static const char *text_of(const struct policy_rule *r, unsigned i)
{
	const char *text;

	memcpy(&text, (const char *)r + texts[i], sizeof text);
	return text;
}

/* The field's bytes, or those of its list. */
static struct span content(const struct policy_rule *r, const struct field *f)
{
	const char *at = (const char *)r + f->at;
	unsigned count;

	if (!f->count_at)
		return (struct span){(const uint8_t *)at, f->size};
	memcpy(&count, (const char *)r + f->count_at, sizeof count);
	return (struct span){*(const uint8_t *const *)(const void *)at, count * f->size};
}

void rule_copy(struct policy_rule *to, const struct policy_rule *from)
{
	*to = *from;
	if (!to->why)
		to->why = "";
	for (unsigned i = 0; i < TEXTS; i++) {
		char *copy = text_of(to, i) ? mem_strdup(text_of(to, i)) : NULL;

		memcpy((char *)to + texts[i], &copy, sizeof copy);
	}
	for (unsigned i = 0; i < FIELDS; i++) {
		struct span c = content(from, &fields[i]);
		void *copy;

		if (!fields[i].count_at)
			continue;
		copy = c.len ? mem_dup(c.p, c.len) : NULL;
		memcpy((char *)to + fields[i].at, &copy, sizeof copy);
	}
}

void rule_clear(struct policy_rule *r)
{
	for (unsigned i = 0; i < TEXTS; i++)
		free((void *)(uintptr_t)text_of(r, i));
	for (unsigned i = 0; i < FIELDS; i++)
		if (fields[i].count_at)
			free((void *)(uintptr_t)content(r, &fields[i]).p);
}

bool rule_equal(const struct policy_rule *a, const struct policy_rule *b)
{
	for (unsigned i = 0; i < FIELDS; i++) {
		struct span x = content(a, &fields[i]), y = content(b, &fields[i]);

		if (x.len != y.len || (x.len && memcmp(x.p, y.p, x.len) != 0))
			return false;
	}
	for (unsigned i = 0; i < TEXTS; i++) {
		const char *x = text_of(a, i), *y = text_of(b, i);

		if (!x != !y || (x && strcmp(x, y) != 0))
			return false;
	}
	return true;
}

uint32_t rule_hash(const struct policy_rule *r, uint32_t h)
{
	for (unsigned i = 0; i < FIELDS; i++) {
		struct span c = content(r, &fields[i]);

		h = h * 31 + (uint32_t)(c.len ? hash_bytes(c.p, c.len) : 0);
	}
	for (unsigned i = 0; i < TEXTS; i++)
		h = h * 31 + (text_of(r, i) ? hash_str(text_of(r, i)) : 0);
	return h;
}
