/* OPEN (RFC 4271 4.2) and its capabilities (RFC 5492).
 *
 *	+---------+-------+-----------+------------+------------------+- - - - - - - - - - -
 *	| version | My AS | hold time | identifier | parameter length | optional parameters
 *	|    1    |   2   |     2     |     4      |        1         |
 *	+---------+-------+-----------+------------+------------------+- - - - - - - - - - -
 *
 * An optional parameter is type, length, value. Type 2 holds capabilities, each of them code, length, value. */
#include "bgp/codec/msg.h"

#include "bgp/codec/private.h"

#define VERSION 4
#define PARAM_CAPABILITIES 2
#define PARAM_EXTENDED 255 /* RFC 9072 */

#define GR_RESTARTING 0x8000u
#define GR_NOTIFICATION 0x4000u
#define GR_TIME_MASK 0x0fffu
#define GR_FORWARDING 0x80 /* of a family, in both graceful restarts */
#define LLGR_TIME_MASK 0xffffffu

static struct wr_mark capability_begin(struct wr *w, const struct bgp_capability_row *row)
{
	wr_u8(w, row->code);
	return wr_mark8(w);
}

/* AFI and SAFI of a tuple: the family's bit, 0 for one that is not ours. */
static uint8_t family_bit(struct rd *value)
{
	uint16_t afi = rd_u16(value);
	int f = bgp_family(afi, rd_u8(value));

	return f < 0 ? 0 : (uint8_t)(1u << f);
}

static void family_write(struct wr *w, enum family f)
{
	wr_u16(w, bgp_afi(f));
	wr_u8(w, BGP_SAFI_UNICAST);
}

/* RFC 4760 8: AFI, reserved octet, SAFI. */
static bool mp_decode(struct bgp_open *o, struct rd *value)
{
	uint16_t afi = rd_u16(value);
	int f;

	rd_u8(value);
	f = bgp_family(afi, rd_u8(value));
	o->has_mp = true;
	if (f >= 0)
		o->families |= (uint8_t)(1u << f);
	return true;
}

static void mp_encode(struct wr *w, const struct bgp_open *o, const struct bgp_capability_row *row)
{
	/* Without any, IPv4 alone is understood. */
	if (!o->has_mp && o->families == 1u << FAM_IPV4)
		return;
	for (enum family f = 0; f < FAM_COUNT; f++) {
		struct wr_mark m;

		if (!(o->families >> f & 1))
			continue;
		m = capability_begin(w, row);
		wr_u16(w, bgp_afi(f));
		wr_u8(w, 0);
		wr_u8(w, BGP_SAFI_UNICAST);
		wr_close8(w, m);
	}
}

/* A capability that is there or not, and says no more. */
#define FLAG(name)                                                                                              \
	static bool name##_decode(struct bgp_open *o, struct rd *value)                                         \
	{                                                                                                       \
		o->name = rd_done(value);                                                                       \
		return o->name;                                                                                 \
	}                                                                                                       \
	static void name##_encode(struct wr *w, const struct bgp_open *o, const struct bgp_capability_row *row) \
	{                                                                                                       \
		if (o->name)                                                                                    \
			wr_close8(w, capability_begin(w, row));                                                 \
	}
FLAG(route_refresh)
FLAG(enhanced_refresh)
FLAG(extended_message)

/* RFC 8950 4: AFI, SAFI (2 octets here), AFI of the next hop. */
static bool ext_next_hop_decode(struct bgp_open *o, struct rd *value)
{
	while (rd_left(value)) {
		uint16_t afi = rd_u16(value), safi = rd_u16(value), next_hop = rd_u16(value);
		int f = safi <= UINT8_MAX ? bgp_family(afi, (uint8_t)safi) : -1;

		if (f >= 0 && next_hop == bgp_afi(FAM_IPV6))
			o->ext_next_hop |= (uint8_t)(1u << f);
	}
	return true;
}

static void ext_next_hop_encode(struct wr *w, const struct bgp_open *o, const struct bgp_capability_row *row)
{
	struct wr_mark m;

	if (!o->ext_next_hop)
		return;
	m = capability_begin(w, row);
	for (enum family f = 0; f < FAM_COUNT; f++) {
		if (!(o->ext_next_hop >> f & 1))
			continue;
		wr_u16(w, bgp_afi(f));
		wr_u16(w, BGP_SAFI_UNICAST);
		wr_u16(w, bgp_afi(FAM_IPV6));
	}
	wr_close8(w, m);
}

/* RFC 4724 3, RFC 8538 2: flags and time in 2 octets, then AFI, SAFI, flags of each family. Of several instances the
 * last one counts. */
static bool gr_decode(struct bgp_open *o, struct rd *value)
{
	uint16_t head = rd_u16(value);

	o->gr = true;
	o->gr_restarting = head & GR_RESTARTING;
	o->gr_notification = head & GR_NOTIFICATION;
	o->gr_time = head & GR_TIME_MASK;
	o->gr_families = o->gr_forwarding = 0;
	while (rd_left(value)) {
		uint8_t bit = family_bit(value), flags = rd_u8(value);

		o->gr_families |= bit;
		if (flags & GR_FORWARDING)
			o->gr_forwarding |= bit;
	}
	return true;
}

static void gr_encode(struct wr *w, const struct bgp_open *o, const struct bgp_capability_row *row)
{
	struct wr_mark m;

	if (!o->gr)
		return;
	m = capability_begin(w, row);
	wr_u16(w, (uint16_t)((o->gr_restarting ? GR_RESTARTING : 0) | (o->gr_notification ? GR_NOTIFICATION : 0) |
			     (o->gr_time < GR_TIME_MASK ? o->gr_time : GR_TIME_MASK)));
	for (enum family f = 0; f < FAM_COUNT; f++) {
		if (!(o->gr_families >> f & 1))
			continue;
		family_write(w, f);
		wr_u8(w, o->gr_forwarding >> f & 1 ? GR_FORWARDING : 0);
	}
	wr_close8(w, m);
}

static bool as4_decode(struct bgp_open *o, struct rd *value)
{
	o->as4 = true;
	o->as = rd_u32(value);
	return true;
}

static void as4_encode(struct wr *w, const struct bgp_open *o, const struct bgp_capability_row *row)
{
	struct wr_mark m;

	if (!o->as4)
		return;
	m = capability_begin(w, row);
	wr_u32(w, o->as);
	wr_close8(w, m);
}

/* RFC 7911 4: AFI, SAFI, send/receive; a value of the latter that nobody knows makes the tuple void. */
static bool add_path_decode(struct bgp_open *o, struct rd *value)
{
	while (rd_left(value)) {
		uint8_t bit = family_bit(value), ways = rd_u8(value);

		for (enum family f = 0; f < FAM_COUNT; f++)
			if (bit >> f & 1 && ways >= 1 && ways <= (BGP_ADD_PATH_RECEIVE | BGP_ADD_PATH_SEND))
				o->add_path[f] = ways;
	}
	return true;
}

static void add_path_encode(struct wr *w, const struct bgp_open *o, const struct bgp_capability_row *row)
{
	size_t start = wr_save(w);
	struct wr_mark m = capability_begin(w, row);
	bool any = false;

	for (enum family f = 0; f < FAM_COUNT; f++) {
		if (!o->add_path[f])
			continue;
		any = true;
		family_write(w, f);
		wr_u8(w, o->add_path[f]);
	}
	if (any)
		wr_close8(w, m);
	else if (!w->bad)
		wr_undo(w, start);
}

static void llgr_clear(struct bgp_open *o)
{
	o->llgr = false;
	o->llgr_families = o->llgr_forwarding = 0;
	memset(o->llgr_time, 0, sizeof o->llgr_time);
}

/* RFC 9494 3: AFI, SAFI, flags, time in 3 octets. Without any it says that the sender knows what the others mean. */
static bool llgr_decode(struct bgp_open *o, struct rd *value)
{
	llgr_clear(o);
	o->llgr = true;
	while (rd_left(value)) {
		uint8_t bit = family_bit(value);
		uint32_t flags_time = rd_u32(value);

		o->llgr_families |= bit;
		if (flags_time >> 24 & GR_FORWARDING)
			o->llgr_forwarding |= bit;
		for (enum family f = 0; f < FAM_COUNT; f++)
			if (bit >> f & 1)
				o->llgr_time[f] = flags_time & LLGR_TIME_MASK;
	}
	return true;
}

static void llgr_encode(struct wr *w, const struct bgp_open *o, const struct bgp_capability_row *row)
{
	struct wr_mark m;

	if (!o->llgr)
		return;
	m = capability_begin(w, row);
	for (enum family f = 0; f < FAM_COUNT; f++) {
		uint32_t time = o->llgr_time[f] < LLGR_TIME_MASK ? o->llgr_time[f] : LLGR_TIME_MASK;

		if (!(o->llgr_families >> f & 1))
			continue;
		family_write(w, f);
		wr_u32(w, (o->llgr_forwarding >> f & 1 ? (uint32_t)GR_FORWARDING << 24 : 0) | time);
	}
	wr_close8(w, m);
}

/* draft-walton-bgp-hostname-capability: length and text of the host name, then of the domain. */
static bool hostname_decode(struct bgp_open *o, struct rd *value)
{
	struct span host = rd_take_span(value, rd_u8(value)), domain = rd_take_span(value, rd_u8(value));

	(void)domain;
	if (!rd_done(value))
		return false;
	bgp_printable(o->hostname, sizeof o->hostname, host);
	return true;
}

static void hostname_encode(struct wr *w, const struct bgp_open *o, const struct bgp_capability_row *row)
{
	size_t n = strnlen(o->hostname, sizeof o->hostname);
	struct wr_mark m;

	if (!n)
		return;
	m = capability_begin(w, row);
	wr_u8(w, (uint8_t)n);
	wr_bytes(w, o->hostname, n);
	wr_u8(w, 0);
	wr_close8(w, m);
}

const struct bgp_capability_row bgp_capability_table[] = {
    {1, "multiprotocol", 4, 4, 0, mp_decode, mp_encode},
    {2, "route-refresh", 0, 0, 0, route_refresh_decode, route_refresh_encode},
    {5, "extended-next-hop", 0, 252, 6, ext_next_hop_decode, ext_next_hop_encode},
    {6, "extended-message", 0, 0, 0, extended_message_decode, extended_message_encode},
    {64, "graceful-restart", 2, 254, 4, gr_decode, gr_encode},
    {65, "4-octet-as", 4, 4, 0, as4_decode, as4_encode},
    {69, "add-path", 0, 252, 4, add_path_decode, add_path_encode},
    {70, "enhanced-route-refresh", 0, 0, 0, enhanced_refresh_decode, enhanced_refresh_encode},
    {71, "long-lived-graceful-restart", 0, 252, 7, llgr_decode, llgr_encode},
    {73, "hostname", 2, 255, 0, hostname_decode, hostname_encode},
};
const unsigned bgp_capability_count = sizeof bgp_capability_table / sizeof *bgp_capability_table;

static struct bgp_error open_error(uint8_t subcode, struct span data, const char *reason)
{
	return (struct bgp_error){
	    .action = BGP_RESET, .code = BGP_ERR_OPEN, .subcode = subcode, .data = data, .reason = reason};
}

/* One instance. What nobody knows, and what is malformed, is ignored: RFC 5492 4 and row 11 of the malformed-input
 * table. The OPEN is touched only by a good value. */
static void capability_decode(struct bgp_open *o, uint8_t code, struct rd value)
{
	for (unsigned i = 0; i < bgp_capability_count; i++) {
		const struct bgp_capability_row *row = &bgp_capability_table[i];
		size_t len = rd_left(&value);

		if (row->code != code)
			continue;
		if (len >= row->min_len && len <= row->max_len && (!row->unit || (len - row->min_len) % row->unit == 0))
			row->decode(o, &value);
		return;
	}
}

/* False if one of them runs past the end. */
static bool capabilities_decode(struct bgp_open *o, struct rd r)
{
	while (rd_left(&r)) {
		uint8_t code = rd_u8(&r);
		struct rd value = rd_sub(&r, rd_u8(&r));

		if (!r.bad)
			capability_decode(o, code, value);
	}
	return !r.bad;
}

static struct bgp_error params_decode(struct bgp_open *o, struct rd r, bool extended)
{
	while (rd_left(&r)) {
		struct rd start = r, value;
		uint8_t type = rd_u8(&r);

		value = rd_sub(&r, extended ? rd_u16(&r) : rd_u8(&r));
		if (r.bad)
			return open_error(0, rd_rest(&start), "optional parameter runs past the end");
		if (type != PARAM_CAPABILITIES)
			return open_error(4, rd_rest(&start), "unknown optional parameter");
		if (!capabilities_decode(o, value))
			return open_error(0, rd_rest(&start), "capability runs past the end");
	}
	return (struct bgp_error){.action = BGP_OK};
}

/* Finds the optional parameters. RFC 9072 2: a first "type" of 255 means that the length field does not count, and 2
 * octets of the true length follow. */
static struct bgp_error params_find(struct rd *params, bool *extended, struct rd body)
{
	uint8_t len = rd_u8(&body);
	struct rd peek = body;
	size_t total = len;

	*extended = len > 0 && rd_u8(&peek) == PARAM_EXTENDED && !peek.bad;
	if (*extended) {
		body = peek;
		total = rd_u16(&body);
	}
	if (body.bad || total != rd_left(&body))
		return open_error(0, (struct span){0}, "length of the optional parameters does not match");
	*params = body;
	return (struct bgp_error){.action = BGP_OK};
}

struct bgp_error bgp_open_decode(struct bgp_open *o, struct rd body)
{
	static const uint8_t supported_version[2] = {0, VERSION};
	struct bgp_error err;
	uint8_t version = rd_u8(&body);
	uint16_t my_as = rd_u16(&body);
	bool extended;

	*o = (struct bgp_open){.as = my_as};
	o->hold_time = rd_u16(&body);
	o->router_id = rd_u32(&body);
	if (body.bad)
		return open_error(0, (struct span){0}, "OPEN is too short");
	if (version != VERSION)
		return open_error(1, (struct span){supported_version, 2}, "version is not 4");
	err = params_find(&body, &extended, body);
	if (err.action == BGP_OK)
		err = params_decode(o, body, extended);
	if (err.action != BGP_OK)
		return err;
	if (!o->has_mp)
		o->families = 1u << FAM_IPV4;
	if (!o->gr) /* RFC 9494 3: nothing without the other */
		llgr_clear(o);
	if (my_as == 0 || o->as == 0)
		return open_error(2, (struct span){0}, "AS 0");
	if (o->router_id == 0)
		return open_error(3, (struct span){0}, "BGP identifier is 0.0.0.0");
	if (o->hold_time == 1 || o->hold_time == 2)
		return open_error(6, (struct span){0}, "hold time of less than 3 s");
	return (struct bgp_error){.action = BGP_OK};
}

void bgp_open_encode(struct wr *w, const struct bgp_open *o)
{
	struct wr_mark length = bgp_header_write(w, BGP_OPEN), params, capabilities;
	size_t none;

	wr_u8(w, VERSION);
	wr_u16(w, (uint16_t)(o->as > UINT16_MAX ? BGP_AS_TRANS : o->as));
	wr_u16(w, o->hold_time);
	wr_u32(w, o->router_id);
	params = wr_mark8(w);
	none = wr_save(w);
	wr_u8(w, PARAM_CAPABILITIES);
	capabilities = wr_mark8(w);
	for (unsigned i = 0; i < bgp_capability_count; i++)
		bgp_capability_table[i].encode(w, o, &bgp_capability_table[i]);
	if (!w->bad && wr_len(w) == none + 2)
		wr_undo(w, none); /* an empty list of capabilities is none at all */
	else
		wr_close8(w, capabilities);
	wr_close8(w, params);
	bgp_header_close(w, length);
}
