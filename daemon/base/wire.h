/* The bounded reader and writer: the only place where bytes of a message are counted.
 *
 * Both are sticky: once a read or write does not fit, `bad` is set, nothing more is consumed or produced, and reads
 * return zero. A decoder may therefore read a whole structure and test `bad` once. Numbers are in network byte order.
 * No cursor arithmetic happens outside this header. */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that somebody else owns; valid as long as the owner says. */
struct span {
	const uint8_t *p;
	size_t len;
};

struct rd {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct rd rd_make(const void *data, size_t len)
{
	/* An empty span may be NULL, and not even 0 may be added to that. */
	return (struct rd){.p = data, .end = len ? (const uint8_t *)data + len : data};
}
static inline struct rd rd_span(struct span s)
{
	return rd_make(s.p, s.len);
}
static inline size_t rd_left(const struct rd *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}
/* True when everything was consumed and nothing was missing. */
static inline bool rd_done(const struct rd *r)
{
	return !r->bad && r->p == r->end;
}
/* The next n bytes without copying; NULL (and bad) if there are fewer. */
static inline const uint8_t *rd_take(struct rd *r, size_t n)
{
	const uint8_t *at = r->p;

	if (r->bad || rd_left(r) < n) {
		r->bad = true;
		return NULL;
	}
	if (n)
		r->p += n;
	return at;
}
static inline uint8_t rd_u8(struct rd *r)
{
	const uint8_t *b = rd_take(r, 1);

	return b ? b[0] : 0;
}
static inline uint16_t rd_u16(struct rd *r)
{
	const uint8_t *b = rd_take(r, 2);

	return b ? (uint16_t)(b[0] << 8 | b[1]) : 0;
}
static inline uint32_t rd_u32(struct rd *r)
{
	const uint8_t *b = rd_take(r, 4);

	return b ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3] : 0;
}
/* Copies n bytes to out; on underflow out is zeroed. */
static inline void rd_bytes(struct rd *r, void *out, size_t n)
{
	const uint8_t *b = rd_take(r, n);

	if (b)
		memcpy(out, b, n);
	else
		memset(out, 0, n);
}
/* Makes *sub a reader over exactly the next n bytes, which this reader skips. On underflow both are bad. */
static inline void rd_split(struct rd *r, size_t n, struct rd *sub)
{
	const uint8_t *b = rd_take(r, n);

	sub->p = b;
	sub->end = b && n ? b + n : b;
	sub->bad = !b;
}
/* The same as a value. Where it goes straight into another struct, as for each attribute of an UPDATE, the processor
 * waits for the copy of what it has just put together. */
static inline struct rd rd_sub(struct rd *r, size_t n)
{
	struct rd sub;

	rd_split(r, n, &sub);
	return sub;
}
/* The next n bytes as a span (empty on underflow), and all that is left. */
static inline struct span rd_take_span(struct rd *r, size_t n)
{
	const uint8_t *b = rd_take(r, n);

	return b ? (struct span){b, n} : (struct span){0};
}
static inline struct span rd_rest(struct rd *r)
{
	return rd_take_span(r, rd_left(r));
}

struct wr {
	uint8_t *start, *p, *end;
	bool bad;
};

static inline struct wr wr_make(void *data, size_t cap)
{
	return (struct wr){.start = data, .p = data, .end = (uint8_t *)data + cap};
}
static inline size_t wr_len(const struct wr *w)
{
	return (size_t)(w->p - w->start);
}
static inline size_t wr_room(const struct wr *w)
{
	return w->bad ? 0 : (size_t)(w->end - w->p);
}
/* Reserves n bytes to be filled by the caller; NULL (and bad) if they do not fit. */
static inline uint8_t *wr_take(struct wr *w, size_t n)
{
	uint8_t *at = w->p;

	if (w->bad || wr_room(w) < n) {
		w->bad = true;
		return NULL;
	}
	if (n)
		w->p += n;
	return at;
}
static inline void wr_u8(struct wr *w, uint8_t v)
{
	uint8_t *b = wr_take(w, 1);

	if (b)
		b[0] = v;
}
static inline void wr_u16(struct wr *w, uint16_t v)
{
	uint8_t *b = wr_take(w, 2);

	if (b) {
		b[0] = (uint8_t)(v >> 8);
		b[1] = (uint8_t)v;
	}
}
static inline void wr_u32(struct wr *w, uint32_t v)
{
	wr_u16(w, (uint16_t)(v >> 16));
	wr_u16(w, (uint16_t)v);
}
static inline void wr_bytes(struct wr *w, const void *data, size_t n)
{
	uint8_t *b = wr_take(w, n);

	if (b && n)
		memcpy(b, data, n);
}
/* A length field to be filled in later: mark reserves it, close writes the count of bytes written since. A count that
 * does not fit the field makes the writer bad. Marks nest; close in reverse order. */
struct wr_mark {
	size_t at;
};
static inline struct wr_mark wr_mark8(struct wr *w)
{
	struct wr_mark m = {wr_len(w)};

	wr_u8(w, 0);
	return m;
}
static inline struct wr_mark wr_mark16(struct wr *w)
{
	struct wr_mark m = {wr_len(w)};

	wr_u16(w, 0);
	return m;
}
static inline struct wr_mark wr_mark32(struct wr *w)
{
	struct wr_mark m = {wr_len(w)};

	wr_u32(w, 0);
	return m;
}
/* Writes what is known only now into a field that was reserved, if that is there. */
static inline void wr_fill16(struct wr *w, struct wr_mark m, uint16_t v)
{
	if (w->bad)
		return;
	w->start[m.at] = (uint8_t)(v >> 8);
	w->start[m.at + 1] = (uint8_t)v;
}
static inline void wr_fill32(struct wr *w, struct wr_mark m, uint32_t v)
{
	wr_fill16(w, m, (uint16_t)(v >> 16));
	wr_fill16(w, (struct wr_mark){m.at + 2}, (uint16_t)v);
}
static inline void wr_close8(struct wr *w, struct wr_mark m)
{
	size_t n = wr_len(w) - m.at - 1;

	if (w->bad || n > UINT8_MAX)
		w->bad = true;
	else
		w->start[m.at] = (uint8_t)n;
}
static inline void wr_close16(struct wr *w, struct wr_mark m)
{
	size_t n = wr_len(w) - m.at - 2;

	if (w->bad || n > UINT16_MAX)
		w->bad = true;
	else
		wr_fill16(w, m, (uint16_t)n);
}
static inline void wr_close32(struct wr *w, struct wr_mark m)
{
	size_t n = wr_len(w) - m.at - 4;

	if (w->bad || n > UINT32_MAX)
		w->bad = true;
	else
		wr_fill32(w, m, (uint32_t)n);
}
/* Remember a position, and go back to it (bad is cleared: what did not fit is undone too). */
static inline size_t wr_save(const struct wr *w)
{
	return wr_len(w);
}
static inline void wr_undo(struct wr *w, size_t saved)
{
	/* A writer that has no room yet has no start to add to either. */
	w->p = saved ? w->start + saved : w->start;
	w->bad = false;
}

#endif
