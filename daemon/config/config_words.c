/* Keys whose values are words: a list of words for each type, and what is done with such lists. */
#include <string.h>
#include <strings.h>

#include "daemon/config/config_schema.h"
#include "daemon/monitor/bmp.h"
#include "fib/fib.h"

static const struct config_word bools[] = {
    {"true", true}, {"yes", true}, {"on", true}, {"false", false}, {"no", false}, {"off", false}, {NULL},
};
/* Calico's names for levels are all understood. */
static const struct config_word levels[] = {
    {"error", LOG_LVL_ERROR},	    {"warning", LOG_LVL_WARN},
    {"info", LOG_LVL_INFO},	    {"debug", LOG_LVL_DEBUG},
    {"fatal", LOG_LVL_ERROR, true}, {"panic", LOG_LVL_ERROR, true},
    {"none", LOG_LVL_ERROR, true},  {"warn", LOG_LVL_WARN, true},
    {"trace", LOG_LVL_DEBUG, true}, {NULL},
};
/* The words of BGPPeer's addPath, in small letters. */
static const struct config_word add_path_modes[] = {
    {"off", ADD_PATH_OFF},   {"receive", ADD_PATH_RECEIVE}, {"send", ADD_PATH_SEND},
    {"both", ADD_PATH_BOTH}, {"auto", ADD_PATH_AUTO},	    {NULL},
};
static const struct config_word adj_rib_in_views[] = {
    {"pre-policy", BMP_IN_PRE_POLICY},
    {"post-policy", BMP_IN_POST_POLICY},
    {"both", BMP_IN_PRE_POLICY | BMP_IN_POST_POLICY},
    {"off", 0},
    {NULL},
};
/* A list of these, each a bit. */
static const struct config_word owners[] = {{"bird", FIB_OWNER_BIRD}, {"felix", FIB_OWNER_FELIX}, {NULL}};

static const struct config_word *word_find(const struct config_word *w, const char *text, size_t len)
{
	for (; w->word; w++)
		if (strlen(w->word) == len && strncasecmp(w->word, text, len) == 0)
			return w;
	return NULL;
}

static const char *word_of(const struct config_word *w, unsigned value)
{
	while (w->word && w->value != value)
		w++;
	return w->word;
}

static void words_allowed(const struct config_row *row, struct strbuf *out)
{
	const char *before = NULL, *last = NULL;

	for (const struct config_word *w = row->type->words; w->word; w++) {
		if (w->also)
			continue;
		if (last)
			strbuf_printf(out, "%s%s", before ? ", " : "", last);
		before = last;
		last = w->word;
	}
	strbuf_printf(out, " or %s", last);
}

static bool bool_parse(const struct config_row *row, const char *text, void *field)
{
	const struct config_word *w = word_find(row->type->words, text, strlen(text));

	if (w)
		*(bool *)field = w->value;
	return w;
}

static void bool_format(const struct config_row *row, const void *field, struct strbuf *out)
{
	strbuf_puts(out, word_of(row->type->words, *(const bool *)field));
}

const struct config_type config_bool = {bool_parse, bool_format, words_allowed, false, bools};

/* Enumerations and sets: all are kept as unsigned numbers. */
_Static_assert(sizeof(enum log_level) == sizeof(unsigned) && sizeof(enum add_path_mode) == sizeof(unsigned),
	       "one size");

static bool word_parse(const struct config_row *row, const char *text, void *field)
{
	const struct config_word *w = word_find(row->type->words, text, strlen(text));

	if (w)
		memcpy(field, &w->value, sizeof w->value);
	return w;
}

static void word_format(const struct config_row *row, const void *field, struct strbuf *out)
{
	unsigned value;

	memcpy(&value, field, sizeof value);
	strbuf_puts(out, word_of(row->type->words, value));
}

const struct config_type config_level = {word_parse, word_format, words_allowed, false, levels};
const struct config_type config_add_path = {word_parse, word_format, words_allowed, false, add_path_modes};
const struct config_type config_adj_rib_in = {word_parse, word_format, words_allowed, false, adj_rib_in_views};

bool config_level_parse(const char *text, enum log_level *level)
{
	const struct config_word *w = word_find(levels, text, strlen(text));

	if (w)
		*level = (enum log_level)w->value;
	return w;
}

static bool set_parse(const struct config_row *row, const char *text, void *field)
{
	unsigned bits = 0;

	for (const char *at = text; strcasecmp(text, "none") != 0 && *at; at += strspn(at, ", ")) {
		size_t len = strcspn(at, ", ");
		const struct config_word *w = word_find(row->type->words, at, len);
		if (!w)
			return false;
		bits |= w->value;
		at += len;
	}
	*(unsigned *)field = bits;
	return true;
}

static void set_format(const struct config_row *row, const void *field, struct strbuf *out)
{
	unsigned bits = *(const unsigned *)field;

	strbuf_puts(out, bits ? "" : "none");
	for (const struct config_word *w = row->type->words; w->word; w++) {
		if (!(bits & w->value))
			continue;
		bits &= ~w->value;
		strbuf_printf(out, "%s%s", w->word, bits ? " " : "");
	}
}

static void set_allowed(const struct config_row *row, struct strbuf *out)
{
	strbuf_puts(out, "none, ");
	for (const struct config_word *w = row->type->words; w->word; w++)
		strbuf_printf(out, "%s, ", w->word);
	strbuf_puts(out, "or several with blanks between");
}

const struct config_type config_takeover = {set_parse, set_format, set_allowed, false, owners};
