/* The schema of the configuration: a row per key. Everything that is done with keys walks this table. */
#ifndef DAEMON_CONFIG_CONFIG_SCHEMA_H
#define DAEMON_CONFIG_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/config/config.h"

struct config_row;

/* A word and what it means; the first one with a value is how the value is written. */
struct config_word {
	const char *word; /* NULL ends a list */
	unsigned value;
	bool also; /* understood, but not named among what is allowed */
};

/* How a value is read, written and described. `field` points into struct config. */
struct config_type {
	/* Reads the text into the field (freeing what was there). False, with the field untouched, if it is not valid.
	 */
	bool (*parse)(const struct config_row *row, const char *text, void *field);
	/* Writes the text that parse() reads back to the same value. */
	void (*format)(const struct config_row *row, const void *field, struct strbuf *out);
	/* What is allowed, for messages and the manual page: "a number from 1 to 65535". */
	void (*allowed)(const struct config_row *row, struct strbuf *out);
	bool owns;			 /* the field is a char * of its own */
	const struct config_word *words; /* of those types that are words */
};

/* The types: config_type.c, and those whose values are words: config_words.c. */
extern const struct config_type config_number, config_as, config_metric, config_ip4, config_ip6, config_prefix,
    config_detection, config_name, config_path, config_pattern, config_interface, config_datastore, config_router_id,
    config_path_or_none, config_urls, config_secret, config_url, config_api_group, config_stations, config_seconds;
extern const struct config_type config_bool, config_level, config_add_path, config_takeover, config_adj_rib_in;

struct config_row {
	const char *path; /* "bgp.hold_time" */
	const struct config_type *type;
	uint64_t min, max;	  /* numbers: the range; text: the longest length in max */
	const char *or_word;	  /* numbers: what 0 (unsigned) or -1 (metric) may also be written as; NULL none */
	const char *default_text; /* "" with a NULL default_note: empty */
	const char *default_note; /* for the manual page, where the default is found out at start; NULL none */
	const char *alias;	  /* Calico's environment variable, NULL none */
	bool alias_is_list;	  /* of the alias only the first element of a comma-separated list counts */
	bool alias_has_prefix;	  /* the alias with CALICO_ before it counts, too, and first */
	size_t offset, size;	  /* in struct config */
	enum config_effect effect;
	const char *help; /* sentences */
};

extern const struct config_row config_schema[];
extern const unsigned config_rows;

/* CALIDRIS_BGP_HOLD_TIME for bgp.hold_time. */
#define CONFIG_ENV_LEN 64
#define CONFIG_ENV_PREFIX "CALIDRIS_"
const char *config_env_name(const struct config_row *row, char buf[static CONFIG_ENV_LEN]);
/* "at once", "with the next session", "after a restart". */
const char *config_effect_name(enum config_effect e);

static inline void *config_field(struct config *c, const struct config_row *row)
{
	return (char *)c + row->offset;
}
static inline const void *config_field_const(const struct config *c, const struct config_row *row)
{
	return (const char *)c + row->offset;
}

#endif
