/* The policy engine: which rules match, in which order. What a single rule says is policy_rule.c's.
 *
 * Rules whose condition implies that the rule's prefix covers the route's (EQUAL, IN) are
 * found through a hash of prefixes, one probe per prefix length in use; all others are walked. Both streams of
 * candidates are merged in the order of the rules, so the outcome is that of walking all of them. */
#include "rib/policy.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/mem.h"
#include "rib/policy_ops.h"
#include "rib/policy_rule.h"

/* Below this many rules walking all is quicker than probing. */
#define INDEX_MIN 12u
#define NO_RULE UINT32_MAX

struct policy {
	uint32_t refs, hash;
	char *name;
	enum rule_action fallback;
	uint32_t count;
	bool has_ops, has_interfaces, indexed;
	struct policy_rule *rules;
	/* The index: rules by prefix. next[i] is the next rule with the prefix of rule i, or for the others the next
	 * one that is not in the hash. */
	uint32_t *slots, *next;
	uint32_t mask, first_other;
	uint8_t lengths[FAM_COUNT][129 / 8 + 1]; /* bit per prefix length in use */
};

const char *route_source_name(enum route_source s)
{
	static const char *const names[SOURCE_COUNT] = {[SOURCE_BGP] = "bgp",
							[SOURCE_BLOCK] = "block",
							[SOURCE_WORKLOAD] = "workload",
							[SOURCE_STATIC] = "static",
							[SOURCE_SERVICE] = "service"};

	return (unsigned)s < SOURCE_COUNT ? names[s] : "unknown";
}

/* ---- Content ---- */

bool policy_equal(const struct policy *a, const struct policy *b)
{
	if (a == b)
		return true;
	if (!a || !b || a->hash != b->hash || a->count != b->count || a->fallback != b->fallback)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (!rule_equal(&a->rules[i], &b->rules[i]))
			return false;
	return true;
}

uint32_t policy_hash(const struct policy *p)
{
	return p ? p->hash : 0;
}

/* ---- The index ---- */

static bool is_indexable(const struct policy_rule *r)
{
	return r->has_prefix && (r->op == MATCH_EQUAL || r->op == MATCH_IN);
}

static uint32_t prefix_hash(const struct prefix *p)
{
	return (uint32_t)hash_bytes(p, sizeof *p);
}

/* The slot of the prefix, or the empty one where it belongs. */
static uint32_t *slot_of(const struct policy *p, const struct prefix *prefix)
{
	uint32_t i = prefix_hash(prefix) & p->mask;

	while (p->slots[i] != NO_RULE && !prefix_equal(&p->rules[p->slots[i]].prefix, prefix))
		i = (i + 1) & p->mask;
	return &p->slots[i];
}

static void index_build(struct policy *p)
{
	uint32_t slots = 16;

	while (slots < p->count * 2)
		slots *= 2;
	p->mask = slots - 1;
	p->slots = mem_alloc(slots * sizeof *p->slots);
	p->next = mem_alloc(p->count * sizeof *p->next);
	memset(p->slots, 0xff, slots * sizeof *p->slots);
	p->first_other = NO_RULE;
	/* Backwards, so that every chain is in the order of the rules. */
	for (uint32_t i = p->count; i-- > 0;) {
		const struct policy_rule *r = &p->rules[i];
		uint32_t *head = is_indexable(r) ? slot_of(p, &r->prefix) : &p->first_other;

		p->next[i] = *head;
		*head = i;
		if (is_indexable(r))
			p->lengths[family_of_af(r->prefix.addr.af)][r->prefix.len / 8] |= 1u << r->prefix.len % 8;
	}
	p->indexed = true;
}

/* The chains of candidate rules for one route. */
struct candidates {
	uint32_t heads[130];
	unsigned n;
};

static void candidates_find(const struct policy *p, const struct prefix *prefix, struct candidates *c)
{
	const uint8_t *lengths = p->lengths[family_of_af(prefix->addr.af)];

	c->n = 0;
	if (p->first_other != NO_RULE)
		c->heads[c->n++] = p->first_other;
	for (unsigned len = 0; len <= prefix->len; len++) {
		struct prefix shorter;
		uint32_t rule;

		if (!(lengths[len / 8] >> len % 8 & 1))
			continue;
		shorter = prefix_make(&prefix->addr, len);
		rule = *slot_of(p, &shorter);
		if (rule != NO_RULE)
			c->heads[c->n++] = rule;
	}
}

/* The candidate with the lowest number, taken off its chain; NO_RULE at the end. */
static uint32_t candidates_next(const struct policy *p, struct candidates *c)
{
	unsigned lowest = 0;
	uint32_t rule;

	if (!c->n)
		return NO_RULE;
	for (unsigned i = 1; i < c->n; i++)
		if (c->heads[i] < c->heads[lowest])
			lowest = i;
	rule = c->heads[lowest];
	c->heads[lowest] = p->next[rule];
	if (c->heads[lowest] == NO_RULE)
		c->heads[lowest] = c->heads[--c->n];
	return rule;
}

/* A walk over the rules that match, in order. */
struct walk {
	const struct policy *p;
	struct candidates c;
	uint32_t at;
	struct match match;
};

static void walk_begin(struct walk *w, const struct policy *p, const struct policy_input *in)
{
	w->p = p;
	w->at = 0;
	w->match.in = in;
	w->match.decoded = false;
	if (p->indexed)
		candidates_find(p, &in->prefix, &w->c);
}

static uint32_t walk_candidate(struct walk *w)
{
	if (w->p->indexed)
		return candidates_next(w->p, &w->c);
	return w->at < w->p->count ? w->at++ : NO_RULE;
}

static uint32_t walk_next(struct walk *w)
{
	uint32_t i;

	do
		i = walk_candidate(w);
	while (i != NO_RULE && !rule_matches(&w->p->rules[i], &w->match));
	return i;
}

/* ---- Life ---- */

struct policy *policy_new(const char *name, const struct policy_rule *rules, unsigned count, enum rule_action fallback)
{
	struct policy *p = mem_calloc(1, sizeof *p);

	p->refs = 1;
	p->name = mem_strdup(name ? name : "");
	p->fallback = fallback;
	p->count = count;
	p->rules = mem_calloc(count, sizeof *p->rules);
	p->hash = (uint32_t)fallback * 2654435761u + count;
	for (unsigned i = 0; i < count; i++) {
		rule_copy(&p->rules[i], &rules[i]);
		p->has_ops = p->has_ops || rules[i].op_count;
		p->has_interfaces = p->has_interfaces || rules[i].interface;
		p->hash = rule_hash(&p->rules[i], p->hash);
	}
	if (count >= INDEX_MIN)
		index_build(p);
	return p;
}

struct policy *policy_ref(struct policy *p)
{
	if (p)
		p->refs++;
	return p;
}

void policy_unref(struct policy *p)
{
	if (!p)
		return;
	if (p->refs == 0)
		abort(); /* a reference was dropped twice */
	if (--p->refs)
		return;
	for (uint32_t i = 0; i < p->count; i++)
		rule_clear(&p->rules[i]);
	free(p->rules);
	free(p->slots);
	free(p->next);
	free(p->name);
	free(p);
}

const char *policy_name(const struct policy *p)
{
	return p ? p->name : "";
}

/* ---- Use ---- */

struct policy_result policy_eval(const struct policy *p, const struct policy_input *in)
{
	struct policy_result res = {.accept = true, .why = "no policy", .rule = -1};
	struct walk w;
	uint32_t i;

	if (!p)
		return res;
	walk_begin(&w, p, in);
	while ((i = walk_next(&w)) != NO_RULE) {
		const struct policy_rule *r = &p->rules[i];

		res.changed = res.changed || r->op_count;
		if (r->action == RULE_CONTINUE)
			continue;
		res.accept = r->action == RULE_ACCEPT;
		res.why = r->why;
		res.rule = (int)i;
		return res;
	}
	res.accept = p->fallback != RULE_REJECT;
	res.why = "no rule matched";
	return res;
}

void policy_apply(const struct policy *p, const struct policy_input *in, struct bgp_attrs *a, struct arena *arena)
{
	struct walk w;
	uint32_t i;

	if (!p || !p->has_ops)
		return;
	walk_begin(&w, p, in);
	while ((i = walk_next(&w)) != NO_RULE) {
		const struct policy_rule *r = &p->rules[i];

		rule_apply(r, a, arena);
		if (r->action != RULE_CONTINUE)
			return;
	}
}

bool policy_has_interfaces(const struct policy *p)
{
	return p && p->has_interfaces;
}

bool policy_has_ops(const struct policy *p)
{
	return p && p->has_ops;
}

uint64_t policy_ops_id(const struct policy *p, const struct policy_input *in)
{
	uint64_t id = 0;
	struct walk w;
	uint32_t i;

	if (!p || !p->has_ops)
		return 0;
	walk_begin(&w, p, in);
	while ((i = walk_next(&w)) != NO_RULE) {
		const struct policy_rule *r = &p->rules[i];

		if (r->op_count)
			id = (id ^ (i + 1)) * 0x9e3779b97f4a7c15u;
		if (r->action != RULE_CONTINUE)
			break;
	}
	return id;
}
