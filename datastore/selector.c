/* The grammar, as Calico reads it:
 *
 *	or    := and ("||" and)*
 *	and   := op ("&&" op)*
 *	op    := "!"* ( "(" or ")" | "all()" | "global()" | "has(" key ")" | key comparison )
 *	comparison := ("==" | "!=" | "contains" | "starts with" | "ends with") value | ("in" | "not in") "{" values "}"
 *
 * Words that are operators are labels where a label is expected, and functions only if a parenthesis follows at once.
 */
#include "datastore/selector.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

#define MAX_TEXT 16384u
#define MAX_DEPTH 64u /* parentheses inside each other: the parser, match and free recurse */
#define MAX_KEY 512u

enum op { OP_ALL, OP_HAS, OP_EQ, OP_NE, OP_CONTAINS, OP_STARTS, OP_ENDS, OP_IN, OP_NOT_IN, OP_AND, OP_OR };

struct term {
	enum op op;
	bool negated;
	char *key;
	char **values; /* one, or a set */
	unsigned value_count;
	struct term *first; /* OP_AND, OP_OR: what is joined */
	struct term *next;  /* the sibling */
};

struct selector {
	struct term *root; /* NULL matches everything */
};

struct parser {
	const char *text, *at;
	unsigned depth;
	char *err;
	size_t err_size;
};

const char *labels_get(const struct labels *l, const char *key)
{
	unsigned low = 0, high = l->count;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;
		int c = strcmp(key, l->keys[mid]);
		if (c == 0)
			return l->values[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

static void term_free(struct term *t)
{
	while (t) {
		struct term *next = t->next;
		term_free(t->first);
		for (unsigned i = 0; i < t->value_count; i++)
			free(t->values[i]);
		free(t->values);
		free(t->key);
		free(t);
		t = next;
	}
}

static struct term *fail(struct parser *p, const char *expected)
{
	snprintf(p->err, p->err_size, "at %zu: expected %s", (size_t)(p->at - p->text) + 1, expected);
	return NULL;
}

static void skip_blanks(struct parser *p)
{
	p->at += strspn(p->at, " \t");
}

/* Takes the symbol if it comes next. */
static bool take(struct parser *p, const char *symbol)
{
	size_t n = strlen(symbol);

	skip_blanks(p);
	if (strncmp(p->at, symbol, n) != 0)
		return false;
	p->at += n;
	return true;
}

static size_t word_length(const char *at)
{
	return strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-");
}

/* Takes the word if it comes next, whole. */
static bool take_word(struct parser *p, const char *word)
{
	size_t n = strlen(word);

	skip_blanks(p);
	if (word_length(p->at) != n || strncmp(p->at, word, n) != 0)
		return false;
	p->at += n;
	return true;
}

static char *parse_key(struct parser *p)
{
	size_t n;
	char *key;

	skip_blanks(p);
	n = word_length(p->at);
	if (n == 0 || n > MAX_KEY)
		return NULL;
	key = mem_strndup(p->at, n);
	p->at += n;
	return key;
}

static bool parse_value(struct parser *p, struct term *t)
{
	const char *end;

	skip_blanks(p);
	if (*p->at != '\'' && *p->at != '"')
		return false;
	end = strchr(p->at + 1, *p->at);
	if (!end)
		return false;
	if ((t->value_count & (t->value_count - 1)) == 0)
		t->values = mem_realloc(t->values, (t->value_count ? t->value_count * 2 : 1) * sizeof *t->values);
	t->values[t->value_count++] = mem_strndup(p->at + 1, (size_t)(end - p->at - 1));
	p->at = end + 1;
	return true;
}

static bool parse_set(struct parser *p, struct term *t)
{
	if (!take(p, "{"))
		return fail(p, "{");
	while (parse_value(p, t) && take(p, ","))
		;
	return take(p, "}") || fail(p, "a value in quotes, or }");
}

/* The comparisons by how they are written: a symbol, or a word with an optional second one. */
static const struct comparison {
	const char *symbol, *word, *second;
	enum op op;
} comparisons[] = {
    {.symbol = "==", .op = OP_EQ},
    {.symbol = "!=", .op = OP_NE},
    {.word = "contains", .op = OP_CONTAINS},
    {.word = "startswith", .op = OP_STARTS},
    {.word = "starts", .second = "with", .op = OP_STARTS},
    {.word = "endswith", .op = OP_ENDS},
    {.word = "ends", .second = "with", .op = OP_ENDS},
    {.word = "in", .op = OP_IN},
    {.word = "notin", .op = OP_NOT_IN},
    {.word = "not", .second = "in", .op = OP_NOT_IN},
};

static const struct comparison *parse_comparison(struct parser *p)
{
	for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
		const struct comparison *c = &comparisons[i];
		if (c->symbol ? take(p, c->symbol) : take_word(p, c->word))
			return !c->second || take_word(p, c->second) ? c : NULL;
	}
	return NULL;
}

static bool parse_test(struct parser *p, struct term *t)
{
	const struct comparison *c;

	t->key = parse_key(p);
	if (!t->key)
		return fail(p, word_length(p->at) > MAX_KEY ? "a label of at most 512 characters" : "a label");
	c = parse_comparison(p);
	if (!c)
		return fail(p, "==, !=, in, not in, contains, starts with or ends with");
	t->op = c->op;
	if (c->op == OP_IN || c->op == OP_NOT_IN)
		return parse_set(p, t);
	return parse_value(p, t) || fail(p, "a value in quotes");
}

static bool parse_has(struct parser *p, struct term *t)
{
	t->op = OP_HAS;
	t->key = parse_key(p);
	if (!t->key)
		return fail(p, "a label");
	return take(p, ")") || fail(p, ")");
}

static struct term *parse_or(struct parser *p);

static struct term *parse_group(struct parser *p)
{
	struct term *t;

	if (++p->depth > MAX_DEPTH)
		return fail(p, "fewer parentheses inside each other");
	t = parse_or(p);
	p->depth--;
	if (t && !take(p, ")")) {
		term_free(t);
		return fail(p, "&&, || or )");
	}
	return t;
}

static struct term *parse_op(struct parser *p)
{
	bool negated = false, ok;
	struct term *t;

	while (take(p, "!"))
		negated = !negated;
	if (take(p, "(")) {
		t = parse_group(p);
	} else {
		t = mem_calloc(1, sizeof *t);
		if (take(p, "all(") || take(p, "global("))
			ok = take(p, ")") || fail(p, ")");
		else if (take(p, "has("))
			ok = parse_has(p, t);
		else
			ok = parse_test(p, t);
		if (!ok) {
			term_free(t);
			return NULL;
		}
	}
	if (t && negated)
		t->negated = !t->negated;
	return t;
}

/* sub (symbol sub)*; a single one stays as it is. */
static struct term *parse_joined(struct parser *p, enum op op, const char *symbol,
				 struct term *(*sub)(struct parser *p))
{
	struct term *first = sub(p), *last = first, *joined;

	while (last && take(p, symbol)) {
		last->next = sub(p);
		last = last->next;
	}
	if (!last) {
		term_free(first);
		return NULL;
	}
	if (first == last)
		return first;
	joined = mem_calloc(1, sizeof *joined);
	joined->op = op;
	joined->first = first;
	return joined;
}

static struct term *parse_and(struct parser *p)
{
	return parse_joined(p, OP_AND, "&&", parse_op);
}

static struct term *parse_or(struct parser *p)
{
	return parse_joined(p, OP_OR, "||", parse_and);
}

struct selector *selector_parse(const char *text, char *err, size_t err_size)
{
	struct parser p = {.text = text, .at = text, .err = err, .err_size = err_size};
	struct term *root = NULL;
	struct selector *s;

	if (strlen(text) > MAX_TEXT) {
		snprintf(err, err_size, "longer than %u characters", MAX_TEXT);
		return NULL;
	}
	skip_blanks(&p);
	if (*p.at) {
		root = parse_or(&p);
		if (!root)
			return NULL;
		skip_blanks(&p);
	}
	if (*p.at) {
		fail(&p, "&&, || or the end");
		term_free(root);
		return NULL;
	}
	s = mem_calloc(1, sizeof *s);
	s->root = root;
	return s;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && memcmp(text + n - m, end, m) == 0;
}

static bool in_set(const struct term *t, const char *value)
{
	for (unsigned i = 0; i < t->value_count; i++)
		if (strcmp(t->values[i], value) == 0)
			return true;
	return false;
}

/* A comparison with a label that is not there is false, except those that say what the label is not. */
static bool test_label(const struct term *t, const char *value)
{
	if (!value)
		return t->op == OP_NE || t->op == OP_NOT_IN;
	switch (t->op) {
	case OP_NE:
	case OP_NOT_IN:
		return !in_set(t, value);
	case OP_EQ:
	case OP_IN:
		return in_set(t, value);
	case OP_CONTAINS:
		return strstr(value, t->values[0]) != NULL;
	case OP_STARTS:
		return strncmp(value, t->values[0], strlen(t->values[0])) == 0;
	case OP_ENDS:
		return ends_with(value, t->values[0]);
	default:
		return true; /* OP_HAS */
	}
}

static bool term_match(const struct term *t, const struct labels *l)
{
	bool result = true;

	if (t->op == OP_AND || t->op == OP_OR) {
		const struct term *sub = t->first;
		/* The first false ends an AND, the first true an OR. */
		while (sub && term_match(sub, l) == (t->op == OP_AND))
			sub = sub->next;
		result = (t->op == OP_AND) == !sub;
	} else if (t->op != OP_ALL) {
		result = test_label(t, labels_get(l, t->key));
	}
	return result != t->negated;
}

bool selector_match(const struct selector *s, const struct labels *l)
{
	return !s->root || term_match(s->root, l);
}

static void each_label(const struct term *t, void (*each)(void *arg, const char *key), void *arg)
{
	for (; t; t = t->next) {
		if (t->key)
			each(arg, t->key);
		each_label(t->first, each, arg);
	}
}

void selector_labels(const struct selector *s, void (*each)(void *arg, const char *key), void *arg)
{
	if (s)
		each_label(s->root, each, arg);
}

void selector_free(struct selector *s)
{
	if (!s)
		return;
	term_free(s->root);
	free(s);
}
