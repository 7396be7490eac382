#include "daemon/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

static void reserve(struct strbuf *b, size_t more)
{
	if (b->len + more + 1 > b->cap) {
		b->cap = (b->len + more + 1) * 3 / 2 + 32;
		b->s = mem_realloc(b->s, b->cap);
	}
}

void strbuf_add(struct strbuf *b, const void *data, size_t len)
{
	reserve(b, len);
	if (len)
		memcpy(b->s + b->len, data, len);
	b->len += len;
	b->s[b->len] = '\0';
}

void strbuf_puts(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

void strbuf_putc(struct strbuf *b, char c)
{
	strbuf_add(b, &c, 1);
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	reserve(b, 80);
	va_start(ap, fmt);
	n = vsnprintf(b->s + b->len, b->cap - b->len, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= b->cap - b->len) {
		reserve(b, (size_t)n);
		va_start(ap, fmt);
		vsnprintf(b->s + b->len, b->cap - b->len, fmt, ap);
		va_end(ap);
	}
	b->len += (size_t)n;
}

void strbuf_consume(struct strbuf *b, size_t n)
{
	if (n >= b->len) {
		strbuf_reset(b);
		return;
	}
	memmove(b->s, b->s + n, b->len - n + 1);
	b->len -= n;
}

void strbuf_reset(struct strbuf *b)
{
	b->len = 0;
	if (b->s)
		b->s[0] = '\0';
}

void strbuf_free(struct strbuf *b)
{
	free(b->s);
	*b = (struct strbuf){0};
}

char *strbuf_take(struct strbuf *b)
{
	/* A copy, and not the same block made smaller: what is free then is one piece, for the next text. */
	char *text = b->s ? mem_dup(b->s, b->len + 1) : NULL;

	strbuf_free(b);
	return text;
}

struct buf *buf_new(const void *data, size_t len)
{
	struct buf *b = mem_alloc(sizeof *b + len);

	b->refs = 1;
	b->len = (uint32_t)len;
	if (data && len)
		memcpy(b->data, data, len);
	return b;
}

struct buf *buf_ref(struct buf *b)
{
	b->refs++;
	return b;
}

void buf_unref(struct buf *b)
{
	if (!b)
		return;
	if (b->refs == 0)
		abort(); /* a reference was dropped twice: going on would corrupt what peers receive */
	if (--b->refs == 0)
		free(b);
}
