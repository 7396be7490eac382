/* Labels and Calico's selector language (libcalico-go/lib/selector): `rack == 'r1' && !has(gpu)`. */
#ifndef DATASTORE_SELECTOR_H
#define DATASTORE_SELECTOR_H

#include <stdbool.h>
#include <stddef.h>

struct labels {
	char **keys, **values; /* sorted by key */
	unsigned count;
};
/* NULL if there is no such label. */
const char *labels_get(const struct labels *l, const char *key);

struct selector;

/* Parses. The empty text matches everything. NULL on a syntax error, with err filled ("at 12: expected a value"). */
struct selector *selector_parse(const char *text, char *err, size_t err_size);
bool selector_match(const struct selector *s, const struct labels *l);
/* Calls back with each label that it asks about, with some more than once. NULL asks about none. */
void selector_labels(const struct selector *s, void (*each)(void *arg, const char *key), void *arg);
void selector_free(struct selector *s);

#endif
