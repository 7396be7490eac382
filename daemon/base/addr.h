/* Addresses and prefixes of both families, in one type each.
 *
 * Both are plain values: copy them, compare them with the functions here (unused bytes are always zero, so memcmp of
 * two values made by these functions is also exact). Text forms are RFC 5952 for IPv6. */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An IPv4 or IPv6 address in network byte order. af is AF_INET, AF_INET6, or AF_UNSPEC (0) for "none".
 *
 * An IPv6 link-local address means something on its link only: one that is used has the interface's index as its scope,
 * and is another address than the same octets on another link. What was only written down (an object, a message) has
 * none, as have all other addresses. */
struct addr {
	uint8_t af;
	uint8_t b[16];
	uint8_t scope[4]; /* see addr_scope() */
};

/* A prefix. Host bits beyond len are zero for every prefix that prefix_make() or prefix_parse() returned. */
struct prefix {
	struct addr addr;
	uint8_t len;
};

#define ADDR_STRLEN 62	 /* longest text of an address, NUL included */
#define PREFIX_STRLEN 66 /* longest text of a prefix, NUL included */

/* The two families the daemon routes, as a dense index. */
enum family { FAM_IPV4, FAM_IPV6, FAM_COUNT };

/* AF_INET or AF_INET6 to the dense index and back. */
static inline enum family family_of_af(uint8_t af)
{
	return af == AF_INET6 ? FAM_IPV6 : FAM_IPV4;
}
static inline uint8_t family_af(enum family f)
{
	return f == FAM_IPV6 ? AF_INET6 : AF_INET;
}
/* "ipv4" or "ipv6". */
const char *family_name(enum family f);

/* Bytes (4, 16; 0 for none) and bits of an address of this af. */
static inline unsigned addr_bytes(uint8_t af)
{
	return af == AF_INET ? 4 : af == AF_INET6 ? 16 : 0;
}
static inline unsigned addr_bits(uint8_t af)
{
	return addr_bytes(af) * 8;
}

/* Makes an address from 4 or 16 bytes in network order. */
struct addr addr_make(uint8_t af, const void *bytes);
/* An IPv4 address from a host-order number, and back (0 if not IPv4). */
struct addr addr_from_u32(uint32_t host_order);
uint32_t addr_to_u32(const struct addr *a);
/* The interface of a link-local address, 0 if it says none. */
uint32_t addr_scope(const struct addr *a);
/* The address on this link (0: on none), if it is an IPv6 link-local one; any other stays as it is. */
struct addr addr_on_link(const struct addr *a, uint32_t ifindex);
/* Parses a numeric address of either family, without a scope. False, and *a untouched, if the text is anything else. */
bool addr_parse(struct addr *a, const char *text);
/* Writes the text form ("none" for AF_UNSPEC, "fe80::1%eth0" with a scope) and returns buf. */
const char *addr_format(const struct addr *a, char buf[static ADDR_STRLEN]);
/* Total order: none < IPv4 < IPv6, then by bytes, then by scope. */
int addr_cmp(const struct addr *a, const struct addr *b);
bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_is_none(const struct addr *a);
/* Loopback, multicast, unspecified, broadcast, class E: what can never be a next hop or a peer (martians). */
bool addr_is_martian(const struct addr *a);
bool addr_is_link_local(const struct addr *a);
/* The address n above base, wrapping within its family. */
struct addr addr_add(const struct addr *base, uint64_t n);

/* The prefix of len bits around addr; host bits are cleared. len above the family's bits is clamped. */
struct prefix prefix_make(const struct addr *addr, unsigned len);
/* Parses "10.0.0.0/26", or a bare address as a host prefix. Host bits are cleared. False if malformed. */
bool prefix_parse(struct prefix *p, const char *text);
/* Parses "10.0.0.7/26" and keeps both the address as written and the length; a bare address is /32 or /128. */
bool prefix_parse_host(struct addr *a, unsigned *len, const char *text);
const char *prefix_format(const struct prefix *p, char buf[static PREFIX_STRLEN]);
/* Total order: by address, then shorter first. */
int prefix_cmp(const struct prefix *a, const struct prefix *b);
bool prefix_equal(const struct prefix *a, const struct prefix *b);
/* Inside of 0.0.0.0/8, loopback, multicast, the broadcast address, IPv6 link-local or ::/127: nothing that a route
 * leads to. What merely contains them, such as a default route, is not. */
bool prefix_is_martian(const struct prefix *p);
/* Is b equal to or more specific than a? Families must match. */
bool prefix_covers(const struct prefix *a, const struct prefix *b);
/* A prefix of link-local addresses without a scope contains those of all links. */
bool prefix_contains(const struct prefix *p, const struct addr *a);
/* Is it a /32 or /128? */
bool prefix_is_host(const struct prefix *p);

/* A MAC address, "ee:ee:ee:ee:ee:ee". False (out untouched) if the text, which may be NULL, is none. */
bool mac_parse(uint8_t out[static 6], const char *text);

#endif
