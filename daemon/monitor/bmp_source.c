/* Whose routes are reported: sessions that are up, and Loc-RIB; what is told of themselves. */
#include <stdlib.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/monitor/bmp_core.h"
#include "daemon/peers/speaker.h"

/* RFC 9069 5.2.1: the name of the only instance. */
#define TABLE_NAME "global"
/* Both OPENs, and what is around them, texts included. */
#define PEER_UP_MAX (2u * BGP_MAX_MESSAGE + 8192u)

static struct buf *message_make(void (*write)(struct wr *w, const void *arg), const void *arg)
{
	uint8_t room[PEER_UP_MAX];
	struct wr w = wr_make(room, sizeof room);

	write(&w, arg);
	return buf_new(room, w.bad ? 0 : wr_len(&w));
}

static void emit(struct bmp *b, const struct buf *message)
{
	/* What has been reported of its routes comes before what is said of itself. */
	packer_flush(&b->live);
	feed_write(&b->feed, (struct span){message->data, message->len});
	bmp_schedule(b);
}

/* ---- Sessions ---- */

struct up {
	const struct bmp_source *source;
	struct bmp_peer_up up;
};

static void up_write(struct wr *w, const void *arg)
{
	const struct up *u = arg;

	bmp_peer_up_encode(w, &u->source->id.peer, bmp_time_of(u->source->since), &u->up);
}

static struct buf *peer_up_make(struct bmp_source *s)
{
	struct bgp_session_info info = bgp_session_info(s->of->session);
	uint8_t ours[BGP_MAX_MESSAGE], peers[BGP_MAX_MESSAGE];
	struct wr sent = wr_make(ours, sizeof ours), received = wr_make(peers, sizeof peers);
	struct up u = {
	    .source = s,
	    .up = {.local = info.local,
		   .local_port = info.local_port,
		   .remote_port = info.remote_port,
		   .admin_label = s->of->want.name},
	};

	s->since = info.since;
	bgp_session_opens(s->of->session, &sent, &received);
	u.up.sent_open = (struct span){ours, wr_len(&sent)};
	u.up.received_open = (struct span){peers, wr_len(&received)};
	return message_make(up_write, &u);
}

struct bmp_source *source_of_peer(struct bmp *b, struct peer *p)
{
	const struct bgp_codec *codec = bgp_session_codec(p->session);
	const struct bgp_open *open = bgp_session_peer(p->session);
	struct bmp_source *s = mem_calloc(1, sizeof *s);

	s->of = p;
	s->families = codec->families;
	s->as2 = !codec->as4;
	s->id = (struct pack_source){
	    .peer = {.type = BMP_PEER_GLOBAL,
		     .address = bgp_session_config(p->session)->remote,
		     .as = open->as,
		     .router_id = open->router_id},
	    .number = ++b->last_number,
	    .add_path = codec->add_path_rx,
	    .max_message = codec->max_message,
	};
	s->up = peer_up_make(s);
	TAILQ_INSERT_TAIL(&b->sources, s, link);
	return s;
}

void source_free(struct bmp *b, struct bmp_source *s)
{
	packer_flush(&b->live);
	TAILQ_REMOVE(&b->sources, s, link);
	buf_unref(s->up);
	free(s);
}

const struct bmp_source *source_next(const struct bmp *b, uint64_t above, uint64_t limit)
{
	const struct bmp_source *s;

	TAILQ_FOREACH(s, &b->sources, link)
	if (s->id.number > above)
		return s->id.number <= limit ? s : NULL;
	return NULL;
}

/* ---- Loc-RIB ---- */

/* RFC 9069 5.2: a made-up OPEN, which says what the routes need and nothing else, in place of both. */
void source_make_loc_rib(struct bmp *b, uint32_t as, uint32_t router_id)
{
	struct bmp_source *s = &b->loc_rib;
	struct bgp_open open = {.as = as, .router_id = router_id, .families = 1u << FAM_IPV4 | 1u << FAM_IPV6};
	uint8_t room[BGP_MAX_MESSAGE];
	struct wr w = wr_make(room, sizeof room);
	struct up u = {.source = s};

	open.has_mp = open.as4 = true;
	bgp_open_encode(&w, &open);
	*s = (struct bmp_source){
	    .id = {.peer = {.type = BMP_PEER_LOC_RIB, .as = as, .router_id = router_id},
		   .max_message = BGP_MAX_MESSAGE},
	    .families = open.families,
	    .since = b->d->started,
	};
	u.up.sent_open = u.up.received_open = (struct span){room, wr_len(&w)};
	u.up.table_name = TABLE_NAME;
	s->up = message_make(up_write, &u);
}

/* ---- What is told of them ---- */

void source_tell_up(struct bmp *b, const struct bmp_source *s)
{
	emit(b, s->up);
}

struct down {
	const struct bmp_source *source;
	struct bmp_peer_down down;
};

static void down_write(struct wr *w, const void *arg)
{
	const struct down *d = arg;

	bmp_peer_down_encode(w, &d->source->id.peer, bmp_time_of(mono_now()), &d->down);
}

void source_tell_down(struct bmp *b, const struct bmp_source *s, const struct bmp_peer_down *down)
{
	struct down d = {s, *down};
	struct buf *message;

	d.down.table_name = TABLE_NAME;
	message = message_make(down_write, &d);
	emit(b, message);
	buf_unref(message);
}

static uint64_t both(const unsigned n[FAM_COUNT])
{
	return (uint64_t)n[FAM_IPV4] + n[FAM_IPV6];
}

static void report_session(struct wr *w, const struct bmp_source *s)
{
	struct rib_peer_stats st = rib_peer_stats(s->of->rib);
	const struct {
		enum bmp_stat type;
		uint64_t value;
	} rows[] = {
	    {BMP_STAT_REJECTED_PREFIXES, st.faults.by_policy},
	    {BMP_STAT_DUPLICATE_PREFIXES, st.faults.duplicates},
	    {BMP_STAT_DUPLICATE_WITHDRAWS, st.faults.duplicate_withdraws},
	    {BMP_STAT_CLUSTER_LOOPS, st.faults.clusters},
	    {BMP_STAT_AS_LOOPS, st.faults.as_loops},
	    {BMP_STAT_ORIGINATORS, st.faults.originators},
	    {BMP_STAT_ADJ_IN, both(st.received)},
	    {BMP_STAT_WITHDRAWN_UPDATES, st.faults.malformed},
	    {BMP_STAT_WITHDRAWN_PREFIXES, st.faults.malformed_prefixes},
	    {BMP_STAT_ADJ_OUT_POST, both(st.sent)},
	};
	struct bmp_report r = bmp_report_open(w, &s->id.peer, bmp_time_of(mono_now()));

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		bmp_report_add(w, &r, rows[i].type, FAM_IPV4, rows[i].value);
	for (int f = 0; f < FAM_COUNT; f++) {
		if (!(s->families >> f & 1))
			continue;
		bmp_report_add(w, &r, BMP_STAT_ADJ_IN_FAMILY, (enum family)f, st.received[f]);
		bmp_report_add(w, &r, BMP_STAT_ADJ_OUT_POST_FAMILY, (enum family)f, st.sent[f]);
	}
	bmp_report_close(w, &r);
}

/* RFC 9069 5.5 */
static void report_loc_rib(struct wr *w, const struct bmp *b)
{
	struct bmp_report r = bmp_report_open(w, &b->loc_rib.id.peer, bmp_time_of(mono_now()));
	struct rib_stats st = rib_stats(b->d->rib);

	bmp_report_add(w, &r, BMP_STAT_LOC_RIB, FAM_IPV4, both(st.best));
	for (int f = 0; f < FAM_COUNT; f++)
		bmp_report_add(w, &r, BMP_STAT_LOC_RIB_FAMILY, (enum family)f, st.best[f]);
	bmp_report_close(w, &r);
}

struct report {
	const struct bmp *b;
	const struct bmp_source *source;
};

static void report_write(struct wr *w, const void *arg)
{
	const struct report *r = arg;

	if (r->source->of)
		report_session(w, r->source);
	else
		report_loc_rib(w, r->b);
}

void source_report(struct bmp *b, const struct bmp_source *s)
{
	struct report r = {b, s};
	struct buf *message = message_make(report_write, &r);

	emit(b, message);
	buf_unref(message);
}
