#include "daemon/config/endpoint.h"

#include <stdio.h>
#include <string.h>

#define SEPARATORS " ,"

/* The address of "ADDRESS:" or "[ADDRESS]:"; the rest behind the colon, or NULL. */
static const char *address_parse(struct addr *a, const char *text, size_t len)
{
	bool v6 = *text == '[';
	const char *end = memchr(text, v6 ? ']' : ':', len);
	char buf[ADDR_STRLEN];
	size_t n;

	text += v6;
	n = end && end > text ? (size_t)(end - text) : 0;
	if (!n || n >= sizeof buf)
		return NULL;
	memcpy(buf, text, n);
	buf[n] = '\0';
	if (!addr_parse(a, buf) || a->af != (v6 ? AF_INET6 : AF_INET))
		return NULL;
	end += v6;
	return *end == ':' ? end + 1 : NULL;
}

static bool port_parse(uint16_t *port, const char *digits, const char *end)
{
	uint32_t n = 0;

	if (digits == end || end - digits > 5)
		return false;
	for (; digits < end; digits++) {
		if (*digits < '0' || *digits > '9')
			return false;
		n = n * 10 + (uint32_t)(*digits - '0');
	}
	*port = (uint16_t)n;
	return n > 0 && n <= UINT16_MAX;
}

static bool is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = {[15] = 1};

	return a->af == AF_INET ? a->b[0] == 127 : memcmp(a->b, one, sizeof one) == 0;
}

bool endpoint_next(struct endpoint *e, const char **text)
{
	struct endpoint found = {0};
	const char *port;
	size_t len;

	*text += strspn(*text, SEPARATORS);
	len = strcspn(*text, SEPARATORS);
	if (!len)
		return false;
	port = address_parse(&found.addr, *text, len);
	if (!port || !port_parse(&found.port, port, *text + len))
		return false;
	if (addr_is_link_local(&found.addr) || (addr_is_martian(&found.addr) && !is_loopback(&found.addr)))
		return false;
	*e = found;
	*text += len;
	return true;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

const char *endpoint_format(const struct endpoint *e, char buf[static ENDPOINT_STRLEN])
{
	char text[ADDR_STRLEN];

	snprintf(buf, ENDPOINT_STRLEN, e->addr.af == AF_INET6 ? "[%s]:%u" : "%s:%u", addr_format(&e->addr, text),
		 e->port);
	return buf;
}
