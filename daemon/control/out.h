/* What commands answer, described once and written as text or JSON.
 *
 * A command opens sections (records of named values) and tables (of rows), and puts values into them; each value has a
 * JSON key and a label for people. NULL as key: only in text; NULL as label: only in JSON.
 *
 * JSON: one object, a section is an object in it, a table an array of objects, one line each.
 * Text: a value of a section is "LABEL<tab>VALUE", a table is a line of labels and a line per row, cells separated by
 * tabs; the client aligns neighbouring lines that hold tabs, so values and tables keep a line's distance. Control
 * characters never get into text cells. */
#ifndef DAEMON_CONTROL_OUT_H
#define DAEMON_CONTROL_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/buf.h"

#define OUT_DEPTH 8u

enum out_kind { OUT_SECTION, OUT_TABLE, OUT_ROW };

struct out_level {
	enum out_kind kind;
	bool filled;   /* something is in it: JSON needs a comma, a table has had its line of labels */
	bool one_line; /* JSON: no line breaks inside */
	bool indent;   /* text: it stands below a heading */
};

struct out {
	struct strbuf *to;
	bool json;
	enum out_line { OUT_NOTHING, OUT_LINE, OUT_VALUE, OUT_CELLS } last; /* text: what the last line is */
	unsigned depth;
	struct out_level level[OUT_DEPTH];
	const char *empty;	   /* what the open table says without rows */
	struct strbuf labels, row; /* text: of the table's first row, which are written together */
};

/* Begins an answer, appended to `to`. */
void out_begin(struct out *o, struct strbuf *to, bool json);
/* Closes whatever is open, and ends the answer. Must be called to free memory, also if the answer is given up. */
void out_finish(struct out *o);

/* A record. A heading (NULL none) gets a line of its own in text. */
void out_section(struct out *o, const char *key, const char *heading);
/* A table; `empty` is the line shown if it gets no row, NULL none. Both texts must stay valid until its end. */
void out_table(struct out *o, const char *key, const char *heading, const char *empty);
/* A row of the open table. All rows have the same labels. */
void out_row(struct out *o);
/* Ends the section, table or row opened last. */
void out_end(struct out *o);

/* Values, in the open section or row. NULL is null, in text "-"; so is "" in text. */
void out_text(struct out *o, const char *key, const char *label, const char *value);
void out_printf(struct out *o, const char *key, const char *label, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void out_number(struct out *o, const char *key, const char *label, uint64_t value);
/* true and false; yes and no. */
void out_bool(struct out *o, const char *key, const char *label, bool value);
/* Nanoseconds: seconds in JSON; "5m07s". */
void out_duration(struct out *o, const char *key, const char *label, uint64_t ns);
/* null if it is none. */
void out_addr(struct out *o, const char *key, const char *label, const struct addr *a);
void out_prefix(struct out *o, const char *key, const char *label, const struct prefix *p);
/* The lines of a text, as an array of strings; in text a line each, or nothing. */
void out_lines(struct out *o, const char *key, const char *heading, const char *text);

/* Only in text: a line of its own. */
void out_note(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
