/* Bytes that grow (strbuf) and bytes that are shared (buf).
 *
 * A strbuf builds text. A buf is a finished piece of a byte stream that several peers send: it is encoded once and
 * reference-counted; whoever queues it holds one reference. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

/* Growable text; always NUL-terminated once something was added. Zero-initialise; strbuf_free() when done. */
struct strbuf {
	char *s;
	size_t len, cap;
};

/* Each adds at the end: octets, a text, a character, what printf() makes. What is added must not be part of b. */
void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_putc(struct strbuf *b, char c);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Forgets the first n bytes. */
void strbuf_consume(struct strbuf *b, size_t n);
/* Empties it, and keeps its memory for what comes. */
void strbuf_reset(struct strbuf *b);
/* Empties it, and frees its memory. It may be used again. */
void strbuf_free(struct strbuf *b);
/* The same, and what it held is the caller's: text to be kept, in no more memory than it needs. NULL if nothing was
 * ever added. */
char *strbuf_take(struct strbuf *b);

/* A shared piece of a byte stream. */
struct buf {
	uint32_t refs;
	uint32_t len;
	uint8_t data[];
};

/* A fresh buffer with one reference, holding len bytes (copied from data, or uninitialised if data is NULL). */
struct buf *buf_new(const void *data, size_t len);
/* One more reference. Returns b. */
struct buf *buf_ref(struct buf *b);
/* Drops a reference; frees with the last. NULL is allowed. */
void buf_unref(struct buf *b);

/* A part of a shared buffer; whoever holds the slice holds a reference to buf. */
struct slice {
	struct buf *buf;
	uint32_t off, len;
};

#endif
