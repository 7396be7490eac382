#include "bgp/bmp/bmp.h"

#include "bgp/codec/msg.h"

/* Flags of the per-peer header. Those of Loc-RIB are others (RFC 9069 4.2); ours is not filtered and has none. */
#define FLAG_V 0x80 /* the address is IPv6 */
#define FLAG_L 0x40 /* after policy */
#define FLAG_A 0x20 /* AS_PATH of 2-octet numbers */
#define FLAG_O 0x10 /* Adj-RIB-Out, RFC 8671 4 */

/* Two registries since RFC 9736. */
enum initiation_tlv { INITIATION_STRING = 0, INITIATION_SYS_DESCR = 1, INITIATION_SYS_NAME = 2 };
enum peer_up_tlv { PEER_UP_STRING = 0, PEER_UP_TABLE_NAME = 3, PEER_UP_ADMIN_LABEL = 4 };
enum termination_tlv { TERMINATION_STRING = 0, TERMINATION_REASON = 1 };

#define TABLE_NAME_MAX 255u /* RFC 9069 5.2.1 */
#define TEXT_MAX 4096u

static const uint8_t view_flags[BMP_VIEWS] = {
    [BMP_ADJ_IN_POST] = FLAG_L,
    [BMP_ADJ_OUT_POST] = FLAG_O | FLAG_L,
};

/* ---- Pieces ---- */

/*	version 8, length of the whole 32, type 8 */
static struct wr_mark message_open(struct wr *w, enum bmp_type type)
{
	struct wr_mark length;

	wr_u8(w, BMP_VERSION);
	length = wr_mark32(w);
	wr_u8(w, (uint8_t)type);
	return length;
}

void bmp_close(struct wr *w, struct wr_mark length)
{
	size_t total = wr_len(w) - length.at + 1;

	if (w->bad || total > UINT32_MAX)
		w->bad = true;
	else
		wr_fill32(w, length, (uint32_t)total);
}

/* IPv4 addresses stand in the last 4 of the 16 octets. */
static void address_write(struct wr *w, const struct addr *a)
{
	static const uint8_t zero[16];
	unsigned bytes = addr_bytes(a->af);

	wr_bytes(w, zero, 16 - bytes);
	wr_bytes(w, a->b, bytes);
}

/*	type 8, flags 8, distinguisher 64, address 128, AS 32, BGP ID 32, seconds 32, microseconds 32 */
static struct wr_mark peer_message_open(struct wr *w, enum bmp_type type, const struct bmp_peer *p, uint8_t flags,
					struct bmp_time t)
{
	struct wr_mark length = message_open(w, type);

	if (p->type == BMP_PEER_LOC_RIB)
		flags = 0;
	else if (p->address.af == AF_INET6)
		flags |= FLAG_V;
	wr_u8(w, (uint8_t)p->type);
	wr_u8(w, flags);
	wr_u32(w, 0);
	wr_u32(w, 0);
	address_write(w, &p->address);
	wr_u32(w, p->as);
	wr_u32(w, p->router_id);
	wr_u32(w, t.seconds);
	wr_u32(w, t.micros);
	return length;
}

/* As much of the text as the limit allows, without half a character of UTF-8. */
static size_t text_length(const char *text, size_t max)
{
	size_t n = strlen(text);

	if (n > max)
		for (n = max; n && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
			;
	return n;
}

static void tlv_write(struct wr *w, unsigned type, const char *text, size_t max)
{
	size_t n = text_length(text, max);

	wr_u16(w, (uint16_t)type);
	wr_u16(w, (uint16_t)n);
	wr_bytes(w, text, n);
}

/* ---- Messages ---- */

void bmp_initiation_encode(struct wr *w, const char *sys_name, const char *sys_descr)
{
	struct wr_mark length = message_open(w, BMP_INITIATION);

	tlv_write(w, INITIATION_SYS_DESCR, sys_descr, TEXT_MAX);
	tlv_write(w, INITIATION_SYS_NAME, sys_name, TEXT_MAX);
	bmp_close(w, length);
}

void bmp_termination_encode(struct wr *w, enum bmp_termination reason, const char *text)
{
	struct wr_mark length = message_open(w, BMP_TERMINATION);

	wr_u16(w, TERMINATION_REASON);
	wr_u16(w, 2);
	wr_u16(w, (uint16_t)reason);
	if (*text)
		tlv_write(w, TERMINATION_STRING, text, TEXT_MAX);
	bmp_close(w, length);
}

void bmp_peer_up_encode(struct wr *w, const struct bmp_peer *p, struct bmp_time t, const struct bmp_peer_up *up)
{
	struct wr_mark length = peer_message_open(w, BMP_PEER_UP, p, 0, t);

	address_write(w, &up->local);
	wr_u16(w, up->local_port);
	wr_u16(w, up->remote_port);
	wr_bytes(w, up->sent_open.p, up->sent_open.len);
	wr_bytes(w, up->received_open.p, up->received_open.len);
	if (up->table_name)
		tlv_write(w, PEER_UP_TABLE_NAME, up->table_name, TABLE_NAME_MAX);
	if (up->admin_label)
		tlv_write(w, PEER_UP_ADMIN_LABEL, up->admin_label, TEXT_MAX);
	bmp_close(w, length);
}

void bmp_peer_down_encode(struct wr *w, const struct bmp_peer *p, struct bmp_time t, const struct bmp_peer_down *down)
{
	struct wr_mark length = peer_message_open(w, BMP_PEER_DOWN, p, 0, t);

	wr_u8(w, (uint8_t)down->reason);
	switch (down->reason) {
	case BMP_DOWN_LOCAL_NOTIFICATION:
	case BMP_DOWN_REMOTE_NOTIFICATION:
		wr_bytes(w, down->notification.p, down->notification.len);
		break;
	case BMP_DOWN_LOCAL:
		wr_u16(w, down->event);
		break;
	case BMP_DOWN_LOC_RIB:
		if (down->table_name)
			tlv_write(w, PEER_UP_TABLE_NAME, down->table_name, TABLE_NAME_MAX);
		break;
	case BMP_DOWN_REMOTE:
	case BMP_DOWN_DECONFIGURED:
		break;
	}
	bmp_close(w, length);
}

struct wr_mark bmp_route_monitoring_open(struct wr *w, const struct bmp_peer *p, enum bmp_view v, bool as2,
					 struct bmp_time t)
{
	return peer_message_open(w, BMP_ROUTE_MONITORING, p, (uint8_t)(view_flags[v] | (as2 ? FLAG_A : 0)), t);
}

/* ---- Statistics ---- */

const struct bmp_stat_row bmp_stat_table[] = {
    {BMP_STAT_REJECTED_PREFIXES, 4, false},
    {BMP_STAT_DUPLICATE_PREFIXES, 4, false},
    {BMP_STAT_DUPLICATE_WITHDRAWS, 4, false},
    {BMP_STAT_CLUSTER_LOOPS, 4, false},
    {BMP_STAT_AS_LOOPS, 4, false},
    {BMP_STAT_ORIGINATORS, 4, false},
    {BMP_STAT_ADJ_IN, 8, false},
    {BMP_STAT_LOC_RIB, 8, false},
    {BMP_STAT_ADJ_IN_FAMILY, 8, true},
    {BMP_STAT_LOC_RIB_FAMILY, 8, true},
    {BMP_STAT_WITHDRAWN_UPDATES, 4, false},
    {BMP_STAT_WITHDRAWN_PREFIXES, 4, false},
    {BMP_STAT_ADJ_OUT_POST, 8, false},
    {BMP_STAT_ADJ_OUT_POST_FAMILY, 8, true},
};
const unsigned bmp_stat_count = sizeof bmp_stat_table / sizeof *bmp_stat_table;

static const struct bmp_stat_row *stat_row(enum bmp_stat type)
{
	for (unsigned i = 0; i < bmp_stat_count; i++)
		if (bmp_stat_table[i].type == type)
			return &bmp_stat_table[i];
	return NULL;
}

struct bmp_report bmp_report_open(struct wr *w, const struct bmp_peer *p, struct bmp_time t)
{
	struct bmp_report r = {.length = peer_message_open(w, BMP_STATISTICS_REPORT, p, 0, t)};

	r.count = wr_mark32(w);
	return r;
}

void bmp_report_add(struct wr *w, struct bmp_report *r, enum bmp_stat type, enum family f, uint64_t value)
{
	const struct bmp_stat_row *row = stat_row(type);
	struct wr_mark length;

	if (!row) {
		w->bad = true;
		return;
	}
	wr_u16(w, (uint16_t)type);
	length = wr_mark16(w);
	if (row->by_family) {
		wr_u16(w, bgp_afi(f));
		wr_u8(w, BGP_SAFI_UNICAST);
	}
	if (row->octets == 8)
		wr_u32(w, (uint32_t)(value >> 32));
	wr_u32(w, (uint32_t)value);
	wr_close16(w, length);
	r->n++;
}

void bmp_report_close(struct wr *w, const struct bmp_report *r)
{
	wr_fill32(w, r->count, r->n);
	bmp_close(w, r->length);
}
