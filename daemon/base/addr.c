#include "daemon/base/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *family_name(enum family f)
{
	return f == FAM_IPV6 ? "ipv6" : "ipv4";
}

struct addr addr_make(uint8_t af, const void *bytes)
{
	struct addr a = {.af = af};

	memcpy(a.b, bytes, addr_bytes(af));
	return a;
}

struct addr addr_from_u32(uint32_t host_order)
{
	uint32_t n = htonl(host_order);

	return addr_make(AF_INET, &n);
}

uint32_t addr_to_u32(const struct addr *a)
{
	uint32_t n;

	if (a->af != AF_INET)
		return 0;
	memcpy(&n, a->b, 4);
	return ntohl(n);
}

uint32_t addr_scope(const struct addr *a)
{
	uint32_t ifindex;

	memcpy(&ifindex, a->scope, sizeof ifindex);
	return ifindex;
}

struct addr addr_on_link(const struct addr *a, uint32_t ifindex)
{
	struct addr out = *a;

	if (a->af == AF_INET6 && addr_is_link_local(a))
		memcpy(out.scope, &ifindex, sizeof ifindex);
	return out;
}

bool addr_parse(struct addr *a, const char *text)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1)
		*a = addr_make(AF_INET, bytes);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		*a = addr_make(AF_INET6, bytes);
	else
		return false;
	return true;
}

const char *addr_format(const struct addr *a, char buf[static ADDR_STRLEN])
{
	uint32_t scope = addr_scope(a);
	size_t len;

	if (addr_is_none(a) || !inet_ntop(a->af, a->b, buf, ADDR_STRLEN)) {
		memcpy(buf, "none", sizeof "none");
	} else if (scope) {
		len = strlen(buf);
		buf[len++] = '%';
		if (!if_indextoname(scope, buf + len))
			snprintf(buf + len, ADDR_STRLEN - len, "%u", scope);
	}
	return buf;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	int c;

	if (a->af != b->af)
		return a->af < b->af ? -1 : 1;
	c = memcmp(a->b, b->b, addr_bytes(a->af));
	return c ? c : memcmp(a->scope, b->scope, sizeof a->scope);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_cmp(a, b) == 0;
}

bool addr_is_none(const struct addr *a)
{
	return a->af == AF_UNSPEC;
}

bool addr_is_martian(const struct addr *a)
{
	static const uint8_t zero[15];

	if (a->af == AF_INET) /* 0/8, 127/8, multicast and class E with broadcast */
		return a->b[0] == 0 || a->b[0] == 127 || a->b[0] >= 224;
	if (a->af == AF_INET6) /* ::, ::1, ff00::/8 */
		return a->b[0] == 0xff || (memcmp(a->b, zero, 15) == 0 && a->b[15] <= 1);
	return true;
}

bool prefix_is_martian(const struct prefix *p)
{
	static const uint8_t zero[15];
	const uint8_t *b = p->addr.b;

	if (p->addr.af == AF_INET)
		return (p->len >= 8 && (b[0] == 0 || b[0] == 127)) || (p->len >= 4 && b[0] >> 4 == 14) ||
		       (p->len == 32 && addr_to_u32(&p->addr) == UINT32_MAX);
	return (p->len >= 8 && b[0] == 0xff) || (p->len >= 10 && addr_is_link_local(&p->addr)) ||
	       (p->len >= 127 && memcmp(b, zero, 15) == 0 && b[15] <= 1);
}

bool addr_is_link_local(const struct addr *a)
{
	if (a->af == AF_INET)
		return a->b[0] == 169 && a->b[1] == 254;
	return a->af == AF_INET6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

struct addr addr_add(const struct addr *base, uint64_t n)
{
	struct addr a = *base;

	for (int i = (int)addr_bytes(a.af) - 1; i >= 0 && n; i--) {
		n += a.b[i];
		a.b[i] = (uint8_t)n;
		n >>= 8;
	}
	return a;
}

struct prefix prefix_make(const struct addr *addr, unsigned len)
{
	struct prefix p = {.addr = *addr};
	unsigned bits = addr_bits(addr->af);

	p.len = (uint8_t)(len > bits ? bits : len);
	for (unsigned i = p.len / 8; i < bits / 8; i++)
		p.addr.b[i] &= i == p.len / 8 ? (uint8_t)(0xff00 >> (p.len % 8)) : 0;
	return p;
}

bool prefix_parse_host(struct addr *a, unsigned *len, const char *text)
{
	char copy[ADDR_STRLEN];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	struct addr parsed;
	unsigned long bits;
	char *end;

	if (n >= sizeof copy)
		return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	if (!addr_parse(&parsed, copy))
		return false;
	bits = addr_bits(parsed.af);
	if (slash) {
		if (slash[1] < '0' || slash[1] > '9')
			return false;
		unsigned long given = strtoul(slash + 1, &end, 10);
		if (*end || given > bits)
			return false;
		bits = given;
	}
	*a = parsed;
	*len = (unsigned)bits;
	return true;
}

bool prefix_parse(struct prefix *p, const char *text)
{
	struct addr a;
	unsigned len;

	if (!prefix_parse_host(&a, &len, text))
		return false;
	*p = prefix_make(&a, len);
	return true;
}

const char *prefix_format(const struct prefix *p, char buf[static PREFIX_STRLEN])
{
	char a[ADDR_STRLEN];

	snprintf(buf, PREFIX_STRLEN, "%s/%u", addr_format(&p->addr, a), p->len);
	return buf;
}

int prefix_cmp(const struct prefix *a, const struct prefix *b)
{
	int c = addr_cmp(&a->addr, &b->addr);

	return c ? c : (int)a->len - (int)b->len;
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->len == b->len && addr_equal(&a->addr, &b->addr);
}

bool prefix_contains(const struct prefix *p, const struct addr *a)
{
	struct prefix host = {.addr = *a, .len = (uint8_t)addr_bits(a->af)};

	return prefix_covers(p, &host);
}

bool prefix_covers(const struct prefix *a, const struct prefix *b)
{
	unsigned whole = a->len / 8, rest = a->len % 8;

	if (a->addr.af != b->addr.af || a->len > b->len || memcmp(a->addr.b, b->addr.b, whole) != 0)
		return false;
	if (addr_scope(&a->addr) && addr_scope(&a->addr) != addr_scope(&b->addr))
		return false;
	return rest == 0 || ((a->addr.b[whole] ^ b->addr.b[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

bool prefix_is_host(const struct prefix *p)
{
	return p->len == addr_bits(p->addr.af);
}

bool mac_parse(uint8_t out[static 6], const char *text)
{
	uint8_t b[6];
	char end;

	if (!text ||
	    sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6)
		return false;
	memcpy(out, b, sizeof b);
	return true;
}
