/* Bytes from hexadecimal text, and copies of exactly their size, so that a sanitizer sees the first octet read beyond
 * the end. */
#ifndef TESTS_BGP_BYTES_H
#define TESTS_BGP_BYTES_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/base/wire.h"

/* Writes the octets of "40 0101 00"; blanks are only for the reader. */
static inline void wr_hex(struct wr *w, const char *text)
{
	unsigned v;

	for (; *text; text++) {
		if (*text == ' ')
			continue;
		ck_assert_msg(sscanf(text, "%2x", &v) == 1 && text[1], "bad hex: %s", text);
		wr_u8(w, (uint8_t)v);
		text++;
	}
}

static inline struct span wr_span(const struct wr *w)
{
	return (struct span){w->start, wr_len(w)};
}

static inline struct span exact_copy(struct span s)
{
	return (struct span){mem_dup(s.p, s.len), s.len};
}

static inline void span_free(struct span s)
{
	free((void *)(uintptr_t)s.p);
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline void ck_span_eq(struct span got, struct span want, const char *what)
{
	size_t i = 0;

	while (i < got.len && i < want.len && got.p[i] == want.p[i])
		i++;
	ck_assert_msg(span_equal(got, want), "%s: %zu octets, expected %zu, first difference at %zu", what, got.len,
		      want.len, i);
}

static inline void ck_hex_eq(struct span got, const char *hex, const char *what)
{
	static uint8_t want[65536];
	struct wr w = wr_make(want, sizeof want);

	wr_hex(&w, hex);
	ck_span_eq(got, wr_span(&w), what);
}

/* Calls visit with the sample cut short everywhere, and with every octet of it replaced by every other value. Each
 * input is a copy of exactly its size. */
static inline void mutate(struct span sample, void (*visit)(struct span input, void *arg), void *arg)
{
	for (size_t len = 0; len <= sample.len; len++) {
		struct span copy = exact_copy((struct span){sample.p, len});

		visit(copy, arg);
		span_free(copy);
	}
	for (size_t at = 0; at < sample.len; at++) {
		uint8_t *copy = mem_dup(sample.p, sample.len);

		for (unsigned v = 0; v < 256; v++) {
			copy[at] = (uint8_t)v;
			visit((struct span){copy, sample.len}, arg);
		}
		free(copy);
	}
}

static inline int run_suite(Suite *s)
{
	SRunner *sr = srunner_create(s);
	int failures;

	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}

#endif
