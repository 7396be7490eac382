#include "datastore/remote/base64.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct strbuf *out, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t bits = (uint32_t)p[i] << 16;
		char four[4];

		bits |= left > 1 ? (uint32_t)p[i + 1] << 8 : 0;
		bits |= left > 2 ? p[i + 2] : 0u;
		four[0] = alphabet[bits >> 18];
		four[1] = alphabet[bits >> 12 & 63];
		four[2] = '=';
		four[3] = '=';
		if (left > 1)
			four[2] = alphabet[bits >> 6 & 63];
		if (left > 2)
			four[3] = alphabet[bits & 63];
		strbuf_add(out, four, sizeof four);
	}
}

/* The six bits that a character stands for; -1 if it is none. */
static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The bits of a last group of n characters; the bits that make no byte must be zero. */
static bool decode_rest(struct strbuf *out, uint32_t bits, unsigned n, unsigned padding)
{
	uint8_t two[2];

	if (n == 0)
		return padding == 0;
	if (n + padding != 4 || n < 2 || (bits & (n == 2 ? 0xfu : 3u)))
		return false;
	two[0] = (uint8_t)(n == 2 ? bits >> 4 : bits >> 10);
	two[1] = (uint8_t)(bits >> 2);
	strbuf_add(out, two, n - 1);
	return true;
}

bool base64_decode(struct strbuf *out, const char *text, size_t len)
{
	size_t before = out->len;
	unsigned n = 0, padding = 0;
	uint32_t bits = 0;
	bool good = true;

	strbuf_puts(out, "");
	for (size_t i = 0; good && i < len; i++) {
		int d = digit(text[i]);
		if (isspace((unsigned char)text[i]))
			continue;
		if (text[i] == '=') {
			padding++;
			continue;
		}
		if (d < 0 || padding) {
			good = false;
			break;
		}
		bits = bits << 6 | (uint32_t)d;
		if (++n == 4) {
			uint8_t three[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
			strbuf_add(out, three, sizeof three);
			n = 0;
			bits = 0;
		}
	}
	if (good && decode_rest(out, bits, n, padding))
		return true;
	out->len = before;
	out->s[before] = '\0';
	return false;
}
