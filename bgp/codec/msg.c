#include "bgp/codec/msg.h"

#include "bgp/codec/private.h"

/* A message:
 *
 *	+----------------------+---------------------+-----------+- - -
 *	| marker, 16 times 0xff | length, header too | type      | body
 *	+----------------------+---------------------+-----------+- - -
 *	0                      16                    18          19
 */
#define MARKER_LEN 16

const char *const bgp_type_names[] = {[BGP_OPEN] = "OPEN",
				      [BGP_UPDATE] = "UPDATE",
				      [BGP_NOTIFICATION] = "NOTIFICATION",
				      [BGP_KEEPALIVE] = "KEEPALIVE",
				      [BGP_ROUTE_REFRESH] = "ROUTE-REFRESH"};

/* The lengths a message of each type may have. Only RFC 8654's types grow beyond 4096 octets. */
static const struct {
	uint32_t min, max;
} type_limits[] = {[BGP_OPEN] = {29, BGP_MAX_MESSAGE},
		   [BGP_UPDATE] = {23, BGP_MAX_EXTENDED},
		   [BGP_NOTIFICATION] = {21, BGP_MAX_EXTENDED},
		   [BGP_KEEPALIVE] = {BGP_HEADER_LEN, BGP_HEADER_LEN},
		   [BGP_ROUTE_REFRESH] = {23, BGP_MAX_EXTENDED}};

static const uint16_t family_afi[FAM_COUNT] = {[FAM_IPV4] = 1, [FAM_IPV6] = 2};

int bgp_family(uint16_t afi, uint8_t safi)
{
	for (int f = 0; f < FAM_COUNT; f++)
		if (family_afi[f] == afi && safi == BGP_SAFI_UNICAST)
			return f;
	return -1;
}

uint16_t bgp_afi(enum family f)
{
	return family_afi[f];
}

static int header_error(struct bgp_error *err, uint8_t subcode, struct span data, const char *reason)
{
	*err = (struct bgp_error){
	    .action = BGP_RESET, .code = BGP_ERR_HEADER, .subcode = subcode, .data = data, .reason = reason};
	return -1;
}

static bool marker_ok(const uint8_t *marker)
{
	static const uint8_t ones[MARKER_LEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
						 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	return memcmp(marker, ones, MARKER_LEN) == 0;
}

int bgp_msg_next(struct bgp_msg *m, const void *data, size_t len, uint32_t max_message, struct bgp_error *err)
{
	struct rd r = rd_make(data, len), start = r, peek;
	struct span length_field, type_field;
	uint32_t total;
	uint8_t type;

	if (len < BGP_HEADER_LEN)
		return 0;
	if (!marker_ok(rd_take(&r, MARKER_LEN)))
		return header_error(err, 1, (struct span){0}, "marker is not all ones");
	peek = r;
	length_field = rd_take_span(&peek, 2);
	type_field = rd_take_span(&peek, 1);
	total = rd_u16(&r);
	type = rd_u8(&r);
	if (total < BGP_HEADER_LEN || total > max_message)
		return header_error(err, 2, length_field, "message length out of range");
	if (type < BGP_OPEN || type > BGP_ROUTE_REFRESH)
		return header_error(err, 3, type_field, "unknown message type");
	if (total < type_limits[type].min || total > type_limits[type].max)
		return header_error(err, 2, length_field, "message length out of range for its type");
	if (len < total)
		return 0;
	m->type = type;
	m->len = total;
	m->whole = rd_take_span(&start, total);
	rd_split(&r, total - BGP_HEADER_LEN, &m->body);
	return (int)total;
}

struct wr_mark bgp_header_write(struct wr *w, enum bgp_type type)
{
	uint8_t *marker = wr_take(w, MARKER_LEN);
	struct wr_mark length;

	if (marker)
		memset(marker, 0xff, MARKER_LEN);
	length = wr_mark16(w);
	wr_u8(w, type);
	return length;
}

void bgp_header_close(struct wr *w, struct wr_mark length)
{
	size_t total = wr_len(w) - length.at + MARKER_LEN;

	if (w->bad || total > BGP_MAX_EXTENDED)
		w->bad = true;
	else
		wr_fill16(w, length, (uint16_t)total);
}

void bgp_keepalive_encode(struct wr *w)
{
	bgp_header_close(w, bgp_header_write(w, BGP_KEEPALIVE));
}

bool bgp_notification_decode(struct bgp_notification *n, struct rd body)
{
	n->code = rd_u8(&body);
	n->subcode = rd_u8(&body);
	if (body.bad)
		return false;
	n->data = rd_rest(&body);
	return true;
}

void bgp_notification_encode(struct wr *w, uint8_t code, uint8_t subcode, struct span data)
{
	/* What is to blame may be larger than a message that any peer takes: the beginning of it will do. */
	size_t room = BGP_MAX_MESSAGE - BGP_HEADER_LEN - 2;
	struct wr_mark length = bgp_header_write(w, BGP_NOTIFICATION);

	wr_u8(w, code);
	wr_u8(w, subcode);
	wr_bytes(w, data.p, data.len < room ? data.len : room);
	bgp_header_close(w, length);
}

/* How many octets of valid, printable UTF-8 the next character has; 0 if there is none such. */
static size_t utf8_next(struct rd r)
{
	static const uint32_t smallest[] = {0, ' ', 0xa0, 0x800, 0x10000};
	uint8_t lead = rd_u8(&r);
	size_t n = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 0;
	uint32_t c = n == 1 ? lead : lead & (0x7fu >> n);

	for (size_t i = 1; i < n; i++) {
		uint8_t more = rd_u8(&r);

		if ((more & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (more & 0x3f);
	}
	if (n == 0 || r.bad || c < smallest[n] || c == 0x7f || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return n;
}

void bgp_printable(char *out, size_t size, struct span text)
{
	struct wr w = wr_make(out, size - 1);
	struct rd r = rd_span(text);

	while (rd_left(&r)) {
		size_t n = utf8_next(r);

		if (wr_room(&w) < (n ? n : 1))
			break;
		if (n)
			wr_bytes(&w, rd_take(&r, n), n);
		else
			wr_u8(&w, rd_u8(&r) ? '?' : ' ');
	}
	out[wr_len(&w)] = '\0';
}

void bgp_shutdown_text(const struct bgp_notification *n, char out[static 256])
{
	struct bgp_notification inner = *n;
	struct span text;
	struct rd r;

	out[0] = '\0';
	/* RFC 8538 3.1: a Hard Reset carries the NOTIFICATION it stands for. */
	if (n->code == BGP_ERR_CEASE && n->subcode == BGP_CEASE_HARD_RESET &&
	    !bgp_notification_decode(&inner, rd_span(n->data)))
		return;
	if (inner.code != BGP_ERR_CEASE || (inner.subcode != BGP_CEASE_SHUTDOWN && inner.subcode != BGP_CEASE_RESET))
		return;
	r = rd_span(inner.data);
	text = rd_take_span(&r, rd_u8(&r));
	if (!r.bad)
		bgp_printable(out, 256, text);
}

/* RFC 2918 3, RFC 7313 3.2:
 *
 *	+--------------+-----------------+--------------+
 *	| AFI, 2 octets | subtype, 1 octet | SAFI, 1 octet |
 *	+--------------+-----------------+--------------+
 */
struct bgp_error bgp_refresh_decode(int *family, uint8_t *subtype, const struct bgp_msg *m)
{
	struct rd r = m->body, header = rd_span(m->whole);
	uint16_t afi = rd_u16(&r);

	*subtype = rd_u8(&r);
	*family = bgp_family(afi, rd_u8(&r));
	rd_take(&header, MARKER_LEN);
	if (r.bad)
		return (struct bgp_error){.action = BGP_RESET,
					  .code = BGP_ERR_HEADER,
					  .subcode = 2,
					  .data = rd_take_span(&header, 2),
					  .reason = "ROUTE-REFRESH is too short"};
	if (rd_left(&r) == 0 || *subtype > BGP_REFRESH_END)
		return (struct bgp_error){.action = BGP_OK};
	if (*subtype == BGP_REFRESH_NORMAL) /* RFC 5291's filters, which this side never offers */
		return (struct bgp_error){.action = BGP_RESET,
					  .code = BGP_ERR_HEADER,
					  .subcode = 2,
					  .data = rd_take_span(&header, 2),
					  .reason = "ROUTE-REFRESH with filters that were not negotiated"};
	return (struct bgp_error){.action = BGP_RESET,
				  .code = BGP_ERR_ROUTE_REFRESH,
				  .subcode = 1,
				  .data = m->whole, /* RFC 7313 5: the complete message */
				  .reason = "ROUTE-REFRESH of a wrong length"};
}

void bgp_refresh_encode(struct wr *w, enum family f, uint8_t subtype)
{
	struct wr_mark length = bgp_header_write(w, BGP_ROUTE_REFRESH);

	wr_u16(w, bgp_afi(f));
	wr_u8(w, subtype);
	wr_u8(w, BGP_SAFI_UNICAST);
	bgp_header_close(w, length);
}
