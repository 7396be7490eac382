#include "daemon/policy/policies.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/policy/export.h"
#include "daemon/policy/filter.h"

/* A list of filters that peers have. */
struct entry {
	LIST_ENTRY(entry) link;
	char *filters; /* NULL: none */
	struct peer_policy policy;
	bool used; /* asked for since the last update */
};

struct policies {
	const struct store *store;
	struct self self;
	LIST_HEAD(, entry) entries;
	struct rules built_in; /* Calico's export filter, the same for all */
	char *node;	       /* this one, whose blocks these are, sorted */
	struct prefix *blocks;
	unsigned block_count;
	bool untidy; /* since policies_sweep() entries were made */
	struct strbuf problems;
};

/* ---- Filters ---- */

/* Refused, with no earlier version in force. */
static bool is_refused(const struct store *s, const char *name)
{
	char *object = mem_printf("BGPFilter %s", name);
	const struct store_refusal *r;
	bool found = false;

	for (unsigned i = 0; !found && (r = store_refusal(s, i)); i++)
		found = !r->warning && !r->last_good && strcmp(r->object, object) == 0;
	free(object);
	return found;
}

/* Calico skips a filter that is not there. One that is there and makes no sense was to hold something back, or change
 * it: until it can be read its peers' routes stay where they are. */
static void add_filter(struct rules *r, const struct store *s, const char *name, enum filter_direction d)
{
	const struct object *o = store_get(s, OBJ_BGP_FILTER, "", name);
	struct policy_rule closed = {.action = RULE_REJECT};

	if (o) {
		filter_rules(r, (const struct obj_bgp_filter *)(const void *)o, d);
	} else if (is_refused(s, name)) {
		closed.why = rules_text(r, "BGPFilter %.100s is refused, and was never read", name);
		rules_add(r, &closed);
	}
}

static void each_filter(const char *filters, void (*fn)(void *arg, const char *name), void *arg)
{
	while (filters && *filters) {
		size_t n = strcspn(filters, "\n");
		char *name = mem_strndup(filters, n);

		fn(arg, name);
		free(name);
		filters += n + (filters[n] == '\n');
	}
}

struct adding {
	struct rules *rules;
	const struct store *store;
	enum filter_direction direction;
};

static void on_filter(void *arg, const char *name)
{
	struct adding *a = arg;

	add_filter(a->rules, a->store, name, a->direction);
}

static struct policy *make_import(const struct policies *p, const char *filters)
{
	struct rules r = {0};
	struct adding a = {&r, p->store, FILTER_IMPORT};
	struct policy *made;

	each_filter(filters, on_filter, &a);
	made = r.count ? rules_policy(&r, "import", RULE_ACCEPT) : NULL;
	rules_free(&r);
	return made;
}

static struct policy *make_export(const struct policies *p, const char *filters)
{
	struct rules r = {0};
	struct adding a = {&r, p->store, FILTER_EXPORT};
	struct policy *made;

	each_filter(filters, on_filter, &a);
	for (unsigned i = 0; i < p->built_in.count; i++)
		rules_add(&r, &p->built_in.rule[i]);
	made = rules_policy(&r, "export", RULE_REJECT);
	rules_free(&r);
	return made;
}

/* ---- This node's blocks, of all that there are ---- */

static unsigned block_place(const struct policies *p, const struct prefix *block)
{
	unsigned i = 0;

	while (i < p->block_count && prefix_cmp(&p->blocks[i], block) < 0)
		i++;
	return i;
}

static void block_add(struct policies *p, const struct prefix *block)
{
	unsigned i = block_place(p, block);

	p->blocks = mem_realloc(p->blocks, (p->block_count + 1) * sizeof *p->blocks);
	memmove(p->blocks + i + 1, p->blocks + i, (p->block_count - i) * sizeof *p->blocks);
	p->blocks[i] = *block;
	p->block_count++;
}

static void block_remove(struct policies *p, const struct prefix *block)
{
	unsigned i = block_place(p, block);

	memmove(p->blocks + i, p->blocks + i + 1, (p->block_count - i - 1) * sizeof *p->blocks);
	p->block_count--;
}

static const struct prefix *own_block(const struct policies *p, const struct object *o)
{
	return o && p->node && export_is_block(o, p->node) ? &((const struct obj_block_affinity *)(const void *)o)->cidr
							   : NULL;
}

bool policies_on_affinity(struct policies *p, const struct object *before, const struct object *after)
{
	const struct prefix *old = own_block(p, before), *now = own_block(p, after);

	if (old && now && prefix_equal(old, now))
		return false;
	if (old)
		block_remove(p, old);
	if (now)
		block_add(p, now);
	return old || now;
}

/* Only when this node has another name all have to be looked at. */
static void name_node(struct policies *p, const char *node)
{
	const struct object *o;
	unsigned pos = 0;

	if (p->node && strcmp(p->node, node) == 0)
		return;
	free(p->node);
	p->node = mem_strdup(node);
	p->block_count = 0;
	while ((o = store_next(p->store, OBJ_BLOCK_AFFINITY, &pos)))
		policies_on_affinity(p, NULL, o);
}

/* ---- Entries ---- */

static bool same_text(const char *a, const char *b)
{
	return !a || !b ? a == b : strcmp(a, b) == 0;
}

/* Peers and their groups compare policies by content, but only the same object at once. */
static void replace(struct policy **place, struct policy *made)
{
	if (policy_equal(made, *place) && !made == !*place) {
		policy_unref(made);
		return;
	}
	policy_unref(*place);
	*place = made;
}

static void entry_make(struct policies *p, struct entry *e)
{
	replace(&e->policy.import, make_import(p, e->filters));
	replace(&e->policy.export, make_export(p, e->filters));
}

static void entry_free(struct entry *e)
{
	LIST_REMOVE(e, link);
	policy_unref(e->policy.import);
	policy_unref(e->policy.export);
	free(e->filters);
	free(e);
}

const struct peer_policy *policies_get(struct policies *p, const char *filters)
{
	struct entry *e;

	LIST_FOREACH(e, &p->entries, link)
	if (same_text(e->filters, filters))
		break;
	if (!e) {
		e = mem_calloc(1, sizeof *e);
		e->filters = filters ? mem_strdup(filters) : NULL;
		p->untidy = true;
		LIST_INSERT_HEAD(&p->entries, e, link);
		entry_make(p, e);
	}
	e->used = true;
	return &e->policy;
}

void policies_update(struct policies *p, const struct self *self)
{
	struct entry *e;

	p->self = *self;
	p->untidy = true;
	name_node(p, self->name);
	rules_free(&p->built_in);
	export_rules(&p->built_in, p->store, self, p->blocks, p->block_count);
	LIST_FOREACH(e, &p->entries, link)
	{
		entry_make(p, e);
		e->used = false;
	}
}

/* ---- Problems ---- */

struct noting {
	const struct store *store;
	struct strbuf *out;
};

static void note_filter(void *arg, const char *name)
{
	struct noting *n = arg;
	char *line;

	if (store_get(n->store, OBJ_BGP_FILTER, "", name))
		return;
	line = mem_printf(is_refused(n->store, name)
			      ? "BGPFilter %s is refused, and was never read: nothing is taken from the peers that "
				"have it, and nothing sent to them\n"
			      : "BGPFilter %s, which BGPPeers name, is not there: skipped, as Calico does\n",
			  name);
	if (!n->out->s || !strstr(n->out->s, line))
		strbuf_puts(n->out, line);
	free(line);
}

/* Those that were not there before. */
static void log_new(const struct strbuf *now, const struct strbuf *before)
{
	for (const char *at = now->s; at && *at;) {
		size_t n = strcspn(at, "\n") + 1;
		char *line = mem_strndup(at, n);

		if (!before->s || !strstr(before->s, line))
			log_warn("cluster", "%.*s", (int)n - 1, line);
		free(line);
		at += n;
	}
}

void policies_sweep(struct policies *p)
{
	struct noting now = {p->store, &(struct strbuf){0}};
	struct entry *e = LIST_FIRST(&p->entries), *next;

	if (!p->untidy)
		return;
	p->untidy = false;
	for (; e; e = next) {
		next = LIST_NEXT(e, link);
		if (e->used)
			each_filter(e->filters, note_filter, &now);
		else
			entry_free(e);
	}
	export_problems(p->store, &p->self, now.out);
	log_new(now.out, &p->problems);
	strbuf_free(&p->problems);
	p->problems = *now.out;
}

void policies_problems(const struct policies *p, struct strbuf *out)
{
	strbuf_add(out, p->problems.s, p->problems.len);
}

/* ---- Life ---- */

struct policies *policies_new(const struct store *s)
{
	struct policies *p = mem_calloc(1, sizeof *p);

	p->store = s;
	LIST_INIT(&p->entries);
	return p;
}

void policies_free(struct policies *p)
{
	while (!LIST_EMPTY(&p->entries))
		entry_free(LIST_FIRST(&p->entries));
	rules_free(&p->built_in);
	strbuf_free(&p->problems);
	free(p->node);
	free(p->blocks);
	free(p);
}
