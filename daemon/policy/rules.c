#include "daemon/policy/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

void rules_add(struct rules *r, const struct policy_rule *rule)
{
	if (r->count == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 16;
		r->rule = mem_realloc(r->rule, r->cap * sizeof *r->rule);
	}
	r->rule[r->count++] = *rule;
}

void rules_add_prefix(struct rules *r, const struct prefix *p, enum match_operator op, struct policy_rule rule)
{
	rule.has_prefix = true;
	rule.prefix = *p;
	rule.op = op;
	rules_add(r, &rule);
}

const char *rules_text(struct rules *r, const char *fmt, ...)
{
	char text[200], *copy;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	copy = arena_alloc(&r->arena, strlen(text) + 1);
	return strcpy(copy, text);
}

struct policy_op *rules_ops(struct rules *r, unsigned n)
{
	struct policy_op *ops = arena_alloc(&r->arena, n * sizeof *ops);

	memset(ops, 0, n * sizeof *ops);
	return ops;
}

struct policy_op rules_community_op(const struct community *c)
{
	if (c->parts == 2)
		return (struct policy_op){OP_ADD_COMMUNITY, {c->part[0] << 16 | c->part[1]}};
	return (struct policy_op){OP_ADD_LARGE_COMMUNITY, {c->part[0], c->part[1], c->part[2]}};
}

struct policy *rules_policy(const struct rules *r, const char *name, enum rule_action fallback)
{
	return policy_new(name, r->rule, r->count, fallback);
}

void rules_free(struct rules *r)
{
	free(r->rule);
	arena_free(&r->arena);
	*r = (struct rules){0};
}
