#include "datastore/remote/cache_record.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define WINDOW (256u * 1024)

/* CRC-32 (IEEE 802.3), four bits at a time. */
static uint32_t checksum(uint32_t crc, const void *data, size_t len)
{
	static const uint32_t table[16] = {
	    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
	    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *p = data;

	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

static uint32_t head_checksum(const struct record_head *h)
{
	return checksum(0, &h->type, sizeof *h - offsetof(struct record_head, type));
}

uint32_t record_write(struct strbuf *out, enum record_type type, const char *key, const char *text, size_t text_len)
{
	size_t key_len = strlen(key);
	struct record_head h = {.type = type, .key_len = (uint32_t)key_len, .text_len = (uint32_t)text_len};

	h.check = checksum(checksum(head_checksum(&h), key, key_len), text, text_len);
	strbuf_add(out, &h, sizeof h);
	strbuf_add(out, key, key_len);
	strbuf_add(out, text, text_len);
	return (uint32_t)(sizeof h + key_len + text_len);
}

/* The octets [offset, offset + len) of the file, from the window, which is moved there if need be. NULL: *error. */
static const char *look(struct record_walk *w, uint64_t offset, size_t len, const char **error)
{
	size_t want = len > WINDOW ? len : WINDOW;

	if (offset >= w->at && offset + len <= w->at + w->window.len)
		return w->window.s + (offset - w->at);
	strbuf_reset(&w->window);
	w->at = offset;
	while (w->window.len < len) {
		char piece[16384];
		size_t left = want - w->window.len;
		ssize_t n =
		    pread(w->fd, piece, left < sizeof piece ? left : sizeof piece, (off_t)(offset + w->window.len));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*error = n < 0 ? strerror(errno) : "it ends in the middle of a record";
			return NULL;
		}
		strbuf_add(&w->window, piece, (size_t)n);
	}
	return w->window.s + (offset - w->at);
}

static bool is_sane(const struct record_head *h)
{
	return h->type > 0 && h->type < RECORD_TYPE_END && h->key_len <= RECORD_MAX_KEY &&
	       h->text_len <= RECORD_MAX_TEXT;
}

bool record_next(struct record_walk *w, struct record *r, const char **error)
{
	struct record_head h;
	const char *at;
	size_t body;

	*error = NULL;
	if (w->offset == w->end)
		return false;
	*error = "it ends in the middle of a record";
	if (w->end - w->offset < sizeof h)
		return false;
	at = look(w, w->offset, sizeof h, error);
	if (!at)
		return false;
	memcpy(&h, at, sizeof h);
	*error = "it is damaged";
	if (!is_sane(&h))
		return false;
	body = (size_t)h.key_len + h.text_len;
	*error = "it ends in the middle of a record";
	if (w->end - w->offset - sizeof h < body)
		return false;
	at = look(w, w->offset + sizeof h, body, error);
	if (!at)
		return false;
	*error = "it is damaged";
	if (checksum(head_checksum(&h), at, body) != h.check || memchr(at, '\0', h.key_len))
		return false;
	*error = NULL;
	strbuf_reset(&w->record);
	strbuf_add(&w->record, at, h.key_len);
	strbuf_putc(&w->record, '\0');
	strbuf_add(&w->record, at + h.key_len, h.text_len);
	*r = (struct record){.type = (enum record_type)h.type,
			     .key = w->record.s,
			     .text = w->record.s + h.key_len + 1,
			     .key_len = h.key_len,
			     .text_len = h.text_len,
			     .offset = w->offset,
			     .len = (uint32_t)(sizeof h + body)};
	w->offset += r->len;
	return true;
}

void record_walk_free(struct record_walk *w)
{
	strbuf_free(&w->window);
	strbuf_free(&w->record);
}
