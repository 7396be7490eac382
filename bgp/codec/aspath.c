/* AS paths (RFC 4271 4.3 b, 5065, 6793).
 *
 *	+---------------+----------------+------------------ - - -
 *	| type, 1 octet | count, 1 octet | count AS numbers
 *	+---------------+----------------+------------------ - - -
 *
 * The canonical form is a chain of such segments with 4-octet numbers. What comes from a peer goes through
 * as_path_check() first; the functions that attr.h offers rely on that, but stop at the end of the span in any case. */
#include "bgp/codec/private.h"

struct segment {
	uint8_t type, count;
	struct rd numbers; /* exactly count of them */
};

const char *const as_path_faults[] = {
    [AS_PATH_FINE] = NULL,
    [AS_PATH_ZERO] = "AS path contains AS 0",
    [AS_PATH_SET] = "AS path contains a set",
    [AS_PATH_TYPE] = "AS path segment of a wrong type",
    [AS_PATH_EMPTY] = "AS path segment without any AS",
    [AS_PATH_OVERRUN] = "AS path segment runs past the end",
};

/* The next segment; false at the end, and (with r->bad) if it runs past it. */
static bool segment_next(struct segment *s, struct rd *r, unsigned width)
{
	if (!rd_left(r))
		return false;
	s->type = rd_u8(r);
	s->count = rd_u8(r);
	rd_split(r, (size_t)s->count * width, &s->numbers);
	return !r->bad;
}

static void segment_write(struct wr *w, uint8_t type, unsigned count, const struct segment *from)
{
	struct rd numbers = from->numbers;
	size_t len = (size_t)count * 4;

	wr_u8(w, type);
	wr_u8(w, (uint8_t)count);
	wr_bytes(w, rd_take(&numbers, len), len);
}

static bool segment_is_set(uint8_t type)
{
	return type == BGP_AS_SET || type == BGP_AS_CONFED_SET;
}

/* How much a segment adds to the length of the path (RFC 4271 9.1.2.2 a, RFC 5065 5.3). */
static unsigned segment_weight(const struct segment *s)
{
	return s->type == BGP_AS_SEQUENCE ? s->count : s->type == BGP_AS_SET ? 1 : 0;
}

static enum as_path_fault segment_check(struct segment *s, unsigned width, bool confed)
{
	enum as_path_fault fault = AS_PATH_FINE;

	if (s->count == 0)
		return AS_PATH_EMPTY;
	if (segment_is_set(s->type))
		fault = AS_PATH_SET;
	else if (s->type != BGP_AS_SEQUENCE && !(confed && s->type == BGP_AS_CONFED_SEQUENCE))
		return AS_PATH_TYPE;
	for (unsigned i = 0; i < s->count; i++)
		if ((width == 4 ? rd_u32(&s->numbers) : rd_u16(&s->numbers)) == 0 && fault == AS_PATH_FINE)
			fault = AS_PATH_ZERO;
	return fault;
}

enum as_path_fault as_path_check(struct span path, unsigned width, bool confed)
{
	enum as_path_fault worst = AS_PATH_FINE, fault;
	struct rd r = rd_span(path);
	struct segment s;

	while (segment_next(&s, &r, width)) {
		fault = segment_check(&s, width, confed);
		if (fault > worst)
			worst = fault;
	}
	return r.bad ? AS_PATH_OVERRUN : worst;
}

struct span as_path_widen(struct span path, struct arena *arena)
{
	/* A segment of n numbers grows from 2 + 2n to 2 + 4n octets. */
	size_t cap = path.len * 2;
	struct wr w = wr_make(arena_alloc(arena, cap), cap);
	struct rd r = rd_span(path);
	struct segment s;

	while (segment_next(&s, &r, 2)) {
		wr_u8(&w, s.type);
		wr_u8(&w, s.count);
		for (unsigned i = 0; i < s.count; i++)
			wr_u32(&w, rd_u16(&s.numbers));
	}
	return (struct span){w.start, wr_len(&w)};
}

static bool segment_is_confed(uint8_t type)
{
	return type == BGP_AS_CONFED_SEQUENCE || type == BGP_AS_CONFED_SET;
}

struct span as_path_without_confed(struct span path, struct arena *arena)
{
	struct rd r = rd_span(path);
	bool any = false;
	struct segment s;
	struct wr w;

	while (!any && segment_next(&s, &r, 4))
		any = segment_is_confed(s.type);
	if (!any)
		return path;
	w = wr_make(arena_alloc(arena, path.len), path.len);
	as_path_write_as4(&w, path);
	return (struct span){w.start, wr_len(&w)};
}

/* Writes the leading ASes of path that count n in its length; a confederation segment beside them goes with them. */
static void merge_head(struct wr *w, struct span path, unsigned n)
{
	struct rd r = rd_span(path);
	struct segment s;

	while (segment_next(&s, &r, 4) && (n > 0 || s.type == BGP_AS_CONFED_SEQUENCE)) {
		unsigned take = s.type == BGP_AS_SEQUENCE && s.count > n ? n : s.count;

		segment_write(w, s.type, take, &s);
		if (take < s.count)
			return;
		n -= segment_weight(&s);
	}
}

struct span as_path_merge(struct span path, struct span as4_path, struct arena *arena)
{
	struct span as4 = as_path_without_confed(as4_path, arena);
	unsigned len = as_path_length(path), len4 = as_path_length(as4);
	size_t cap = path.len + as4.len;
	struct wr w;

	if (len < len4 || len4 == 0)
		return path;
	w = wr_make(arena_alloc(arena, cap), cap);
	merge_head(&w, path, len - len4);
	wr_bytes(&w, as4.p, as4.len);
	return (struct span){w.start, wr_len(&w)};
}

bool as_path_is_wide(struct span path)
{
	struct rd r = rd_span(path);
	struct segment s;

	while (segment_next(&s, &r, 4))
		for (unsigned i = 0; i < s.count; i++)
			if (rd_u32(&s.numbers) > UINT16_MAX)
				return true;
	return false;
}

void as_path_write_narrow(struct wr *w, struct span path)
{
	struct rd r = rd_span(path);
	struct segment s;

	while (segment_next(&s, &r, 4)) {
		wr_u8(w, s.type);
		wr_u8(w, s.count);
		for (unsigned i = 0; i < s.count; i++) {
			uint32_t as = rd_u32(&s.numbers);
			wr_u16(w, (uint16_t)(as > UINT16_MAX ? BGP_AS_TRANS : as));
		}
	}
}

void as_path_write_as4(struct wr *w, struct span path)
{
	struct rd r = rd_span(path);
	struct segment s;

	while (segment_next(&s, &r, 4))
		if (s.type == BGP_AS_SEQUENCE || s.type == BGP_AS_SET)
			segment_write(w, s.type, s.count, &s);
}

unsigned as_path_length(struct span path)
{
	struct rd r = rd_span(path);
	struct segment s;
	unsigned n = 0;

	while (segment_next(&s, &r, 4))
		n += segment_weight(&s);
	return n;
}

uint32_t as_path_first(struct span path)
{
	struct rd r = rd_span(path);
	struct segment s;

	do
		if (!segment_next(&s, &r, 4))
			return 0;
	while (segment_is_confed(s.type));
	return segment_is_set(s.type) ? 0 : rd_u32(&s.numbers);
}

unsigned as_path_count(struct span path, uint32_t as)
{
	struct rd r = rd_span(path);
	struct segment s;
	unsigned n = 0;

	while (segment_next(&s, &r, 4))
		for (unsigned i = 0; i < s.count; i++)
			n += rd_u32(&s.numbers) == as;
	return n;
}

bool as_path_begins(struct span path, const uint32_t *as, unsigned n)
{
	struct rd r = rd_span(path);
	struct segment s;

	while (n > 0) {
		if (!segment_next(&s, &r, 4))
			return false;
		if (segment_is_confed(s.type))
			continue;
		if (s.type != BGP_AS_SEQUENCE)
			return false;
		for (unsigned i = 0; n > 0 && i < s.count; i++, n--)
			if (rd_u32(&s.numbers) != *as++)
				return false;
	}
	return true;
}

struct span as_path_prepend(struct span path, uint32_t as, unsigned n, struct arena *arena)
{
	size_t cap = path.len + n * 4u + (n / UINT8_MAX + 1) * 2u;
	struct wr w = wr_make(arena_alloc(arena, cap), cap);
	struct rd r = rd_span(path), rest = r;
	struct span tail;
	struct segment s;
	bool join = segment_next(&s, &r, 4) && s.type == BGP_AS_SEQUENCE && n <= UINT8_MAX - s.count + 0u;

	if (join) { /* RFC 4271 5.1.2 a 1: into the sequence that is there, as long as it fits */
		wr_u8(&w, BGP_AS_SEQUENCE);
		wr_u8(&w, (uint8_t)(s.count + n));
		for (unsigned i = 0; i < n; i++)
			wr_u32(&w, as);
		tail = rd_rest(&s.numbers);
		wr_bytes(&w, tail.p, tail.len);
		rest = r;
	}
	while (!join && n > 0) {
		unsigned part = n > UINT8_MAX ? UINT8_MAX : n;

		wr_u8(&w, BGP_AS_SEQUENCE);
		wr_u8(&w, (uint8_t)part);
		for (unsigned i = 0; i < part; i++)
			wr_u32(&w, as);
		n -= part;
	}
	tail = rd_rest(&rest);
	wr_bytes(&w, tail.p, tail.len);
	return (struct span){w.start, wr_len(&w)};
}

void as_path_format(struct strbuf *out, struct span path)
{
	static const char brackets[][2] = {
	    [BGP_AS_SET] = "{}", [BGP_AS_SEQUENCE] = "", [BGP_AS_CONFED_SEQUENCE] = "()", [BGP_AS_CONFED_SET] = "[]"};
	struct rd r = rd_span(path);
	struct segment s;
	const char *gap = "";

	while (segment_next(&s, &r, 4)) {
		const char *around = s.type < sizeof brackets / sizeof *brackets ? brackets[s.type] : brackets[0];

		strbuf_puts(out, gap);
		if (around[0])
			strbuf_putc(out, around[0]);
		for (unsigned i = 0; i < s.count; i++)
			strbuf_printf(out, "%s%u", i ? " " : "", rd_u32(&s.numbers));
		if (around[1])
			strbuf_putc(out, around[1]);
		gap = " ";
	}
}
