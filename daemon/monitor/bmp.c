#include "daemon/monitor/bmp.h"

#include <stdlib.h>

#include "daemon/base/mem.h"
#include "daemon/base/mono.h"
#include "daemon/cluster/cluster.h"
#include "daemon/monitor/bmp_core.h"
#include "daemon/peers/speaker.h"

/* ---- What happens: the RIB's observer ---- */

static void on_route(void *arg, const struct rib_path *path, bool received, bool accepted)
{
	struct bmp *b = arg;
	const struct peer *p = rib_peer_arg(path->peer);
	struct bgp_nlri nlri = {path->prefix, path->path_id};

	if (!p || !p->bmp)
		return;
	if (received && b->set.views[BMP_ADJ_IN_PRE])
		packer_add(&b->live, &p->bmp->id, BMP_ADJ_IN_PRE, &nlri, path->received, 0);
	if (accepted && b->set.views[BMP_ADJ_IN_POST])
		packer_add(&b->live, &p->bmp->id, BMP_ADJ_IN_POST, &nlri, path->accepted, 0);
	bmp_schedule(b);
}

static void on_best(void *arg, const struct prefix *p, const struct rib_path *best)
{
	struct bmp *b = arg;
	struct bgp_nlri nlri = {.prefix = *p};

	if (!b->loc_rib.up)
		return;
	packer_add(&b->live, &b->loc_rib.id, BMP_LOC_RIB, &nlri, best ? best->accepted : NULL, 0);
	bmp_schedule(b);
}

static void on_sent(void *arg, struct rib_peer *rib, const struct slice *s)
{
	struct bmp *b = arg;
	const struct peer *p = rib_peer_arg(rib);

	if (!p || !p->bmp || !b->set.views[BMP_ADJ_OUT_POST])
		return;
	packer_stream(&b->live, &p->bmp->id, BMP_ADJ_OUT_POST, p->bmp->as2,
		      (struct span){s->buf->data + s->off, s->len});
	bmp_schedule(b);
}

void bmp_watch(struct bmp *b)
{
	bool any = feed_is_read(&b->feed);

	rib_observe(b->d->rib, any ? &b->observer : NULL);
	if (!any)
		packer_clear(&b->live);
}

static void emit_live(void *arg, struct span message)
{
	struct bmp *b = arg;

	feed_write(&b->feed, message);
}

static bool work(void *arg, uint64_t deadline)
{
	struct bmp *b = arg;
	struct bmp_stations done = TAILQ_HEAD_INITIALIZER(done);
	struct station *st;
	bool more = false;

	packer_flush(&b->live);
	/* Who had a turn goes behind the others, so that none takes all the time. */
	while ((st = TAILQ_FIRST(&b->stations))) {
		more = station_write(st, deadline) || more;
		TAILQ_REMOVE(&b->stations, st, link);
		TAILQ_INSERT_TAIL(&done, st, link);
		if (mono_now() >= deadline)
			break;
	}
	more = more || !TAILQ_EMPTY(&b->stations);
	TAILQ_CONCAT(&b->stations, &done, link);
	return more;
}

/* ---- What happens: sessions ---- */

void bmp_peer_up(struct bmp *b, struct peer *p)
{
	if (p->instance)
		return;
	p->bmp = source_of_peer(b, p);
	source_tell_up(b, p->bmp);
}

/* RFC 4271 8.1: the other side or the network ended the connection, RFC 7854 4.9 does not tell them apart. */
#define TCP_FAILS 18

static struct bmp_peer_down down_of(const struct bgp_end *end)
{
	struct bmp_peer_down down = {.notification = end->notification, .event = end->event};

	if (end->received)
		down.reason = BMP_DOWN_REMOTE_NOTIFICATION;
	else if (end->notification.len)
		down.reason = BMP_DOWN_LOCAL_NOTIFICATION;
	else
		down.reason = end->event == TCP_FAILS ? BMP_DOWN_REMOTE : BMP_DOWN_LOCAL;
	return down;
}

void bmp_peer_end(struct bmp *b, struct peer *p, const struct bgp_end *end)
{
	struct bmp_peer_down down = down_of(end);

	if (!p->bmp)
		return;
	source_tell_down(b, p->bmp, &down);
	source_free(b, p->bmp);
	p->bmp = NULL;
}

void bmp_end_of_rib(struct bmp *b, const struct peer *p, enum family f)
{
	if (!p->bmp)
		return;
	packer_flush(&b->live);
	if (b->set.views[BMP_ADJ_IN_PRE])
		packer_end_of_rib(&b->live, &p->bmp->id, BMP_ADJ_IN_PRE, f);
	if (b->set.views[BMP_ADJ_IN_POST])
		packer_end_of_rib(&b->live, &p->bmp->id, BMP_ADJ_IN_POST, f);
	bmp_schedule(b);
}

/* ---- Loc-RIB ---- */

static void loc_rib_down(struct bmp *b)
{
	if (!b->loc_rib.up)
		return;
	source_tell_down(b, &b->loc_rib, &(struct bmp_peer_down){.reason = BMP_DOWN_LOC_RIB});
	buf_unref(b->loc_rib.up);
	b->loc_rib.up = NULL;
}

static void dump_again(struct bmp *b)
{
	struct station *st;

	TAILQ_FOREACH(st, &b->stations, link)
	station_dump(st);
}

void bmp_identity(struct bmp *b, uint32_t as, uint32_t router_id)
{
	const struct bmp_peer *now = &b->loc_rib.id.peer;
	bool wanted = b->set.views[BMP_LOC_RIB] && as && router_id;

	if (wanted == (b->loc_rib.up != NULL) && (!wanted || (now->as == as && now->router_id == router_id)))
		return;
	loc_rib_down(b);
	if (!wanted)
		return;
	source_make_loc_rib(b, as, router_id);
	source_tell_up(b, &b->loc_rib);
	dump_again(b);
}

/* ---- Statistics ---- */

static void on_report(void *arg)
{
	struct bmp *b = arg;
	const struct bmp_source *s;

	loop_timer_set(b->d->loop, &b->report_timer, b->set.report_interval, on_report, b);
	if (!feed_is_read(&b->feed))
		return;
	TAILQ_FOREACH(s, &b->sources, link)
	source_report(b, s);
	if (b->loc_rib.up)
		source_report(b, &b->loc_rib);
}

static void reports_set(struct bmp *b)
{
	if (b->set.report_interval)
		loop_timer_set(b->d->loop, &b->report_timer, b->set.report_interval, on_report, b);
	else
		loop_timer_stop(b->d->loop, &b->report_timer);
}

/* ---- Life ---- */

static struct bmp_settings settings_of(const struct config *c)
{
	return (struct bmp_settings){
	    .views = {[BMP_ADJ_IN_PRE] = c->bmp_adj_rib_in & BMP_IN_PRE_POLICY,
		      [BMP_ADJ_IN_POST] = c->bmp_adj_rib_in & BMP_IN_POST_POLICY,
		      [BMP_ADJ_OUT_POST] = c->bmp_adj_rib_out,
		      [BMP_LOC_RIB] = c->bmp_loc_rib},
	    .report_interval = c->bmp_statistics_interval * MONO_SEC,
	    .retry = c->bmp_connect_retry_time * MONO_SEC,
	    .retry_max = (c->bmp_connect_retry_max > c->bmp_connect_retry_time ? c->bmp_connect_retry_max
									       : c->bmp_connect_retry_time) *
			 MONO_SEC,
	    .buffer = c->bmp_buffer,
	};
}

static struct station *station_find(struct bmp *b, const struct endpoint *at)
{
	struct station *st;

	TAILQ_FOREACH(st, &b->stations, link)
	if (endpoint_equal(&st->at, at))
		return st;
	return NULL;
}

/* Those that are no longer wanted go, new ones come; the others notice nothing. */
static void stations_apply(struct bmp *b, const char *list)
{
	struct station *st, *next;
	struct endpoint at;

	TAILQ_FOREACH(st, &b->stations, link)
	st->wanted = false;
	while (endpoint_next(&at, &list)) {
		st = station_find(b, &at);
		if (!st) {
			st = station_new(b, &at);
			TAILQ_INSERT_TAIL(&b->stations, st, link);
		}
		st->wanted = true;
	}
	TAILQ_FOREACH_SAFE(st, &b->stations, link, next)
	{
		if (st->wanted)
			continue;
		TAILQ_REMOVE(&b->stations, st, link);
		station_free(st, BMP_TERM_ADMIN_FOR_GOOD, "no longer in bmp.stations");
	}
}

/* Other tables are reported from now on. RFC 7854 4.9: that a peer is no longer monitored is a Peer Down of its own
 * kind; it is monitored anew at once. */
static void views_changed(struct bmp *b)
{
	const struct bmp_source *s;

	TAILQ_FOREACH(s, &b->sources, link)
	{
		source_tell_down(b, s, &(struct bmp_peer_down){.reason = BMP_DOWN_DECONFIGURED});
		source_tell_up(b, s);
	}
	dump_again(b);
}

static struct bmp *bmp_new(struct daemon *d)
{
	struct bmp *b = mem_calloc(1, sizeof *b);

	b->d = d;
	b->set = settings_of(&d->config);
	TAILQ_INIT(&b->sources);
	TAILQ_INIT(&b->stations);
	feed_init(&b->feed, b->set.buffer, station_on_lost, b);
	packer_init(&b->live, false, emit_live, b);
	packer_init(&b->dump, true, station_emit, NULL);
	b->observer = (struct rib_observer){.arg = b, .on_route = on_route, .on_best = on_best, .on_sent = on_sent};
	b->work = (struct loop_work){.run = work, .arg = b, .rank = LOOP_RANK_SEND};
	/* Sessions that were up before. */
	for (unsigned i = 0; i < (d->speaker ? speaker_count(d->speaker) : 0); i++) {
		struct peer *p = speaker_peer(d->speaker, i);

		if (!p->instance && bgp_session_info(p->session).state == BGP_ESTABLISHED)
			p->bmp = source_of_peer(b, p);
	}
	bgp_engine_keep_opens(d->engine, true);
	reports_set(b);
	return b;
}

static void settings_apply(struct bmp *b)
{
	struct bmp_settings was = b->set;

	b->set = settings_of(&b->d->config);
	b->feed.limit = b->set.buffer;
	if (was.report_interval != b->set.report_interval)
		reports_set(b);
	for (int v = 0; v < BMP_VIEWS; v++) {
		if (v != BMP_LOC_RIB && was.views[v] != b->set.views[v]) {
			views_changed(b);
			break;
		}
	}
}

void bmp_configure(struct daemon *d)
{
	const char *list = d->config.bmp_stations;

	if (!*list) {
		bmp_free(d->bmp);
		d->bmp = NULL;
		return;
	}
	if (!d->bmp)
		d->bmp = bmp_new(d);
	else
		settings_apply(d->bmp);
	if (d->cluster)
		bmp_identity(d->bmp, cluster_self(d->cluster)->as, cluster_self(d->cluster)->router_id);
	stations_apply(d->bmp, list);
}

void bmp_free(struct bmp *b)
{
	bool stopping;
	struct bmp_source *s;
	struct station *st;

	if (!b)
		return;
	stopping = *b->d->config.bmp_stations;
	loc_rib_down(b);
	while ((st = TAILQ_FIRST(&b->stations))) {
		TAILQ_REMOVE(&b->stations, st, link);
		station_free(st, stopping ? BMP_TERM_ADMIN : BMP_TERM_ADMIN_FOR_GOOD,
			     stopping ? "the daemon stops" : "no longer in bmp.stations");
	}
	while ((s = TAILQ_FIRST(&b->sources))) {
		s->of->bmp = NULL;
		source_free(b, s);
	}
	rib_observe(b->d->rib, NULL);
	bgp_engine_keep_opens(b->d->engine, false);
	loop_timer_stop(b->d->loop, &b->report_timer);
	loop_work_cancel(b->d->loop, &b->work);
	packer_clear(&b->live);
	packer_clear(&b->dump);
	feed_clear(&b->feed);
	free(b);
}

/* ---- Looking ---- */

static const char *state_name(const struct station *st)
{
	static const char *const names[] = {
	    [STATION_WAITING] = "waiting",
	    [STATION_CONNECTING] = "connecting",
	    [STATION_UP] = "up",
	};

	return st->state == STATION_UP && st->dump.phase != DUMP_DONE ? "dumping" : names[st->state];
}

bool bmp_station_info(const struct bmp *b, unsigned index, struct bmp_station_info *out)
{
	const char *list = b ? b->d->config.bmp_stations : "";
	const struct station *st;
	struct endpoint at;

	/* Stations take turns in their list: the order is the configuration's. */
	do {
		if (!endpoint_next(&at, &list))
			return false;
	} while (index--);
	TAILQ_FOREACH(st, &b->stations, link)
	if (endpoint_equal(&st->at, &at))
		break;
	if (!st)
		return false;
	*out = (struct bmp_station_info){
	    .at = st->at,
	    .state = state_name(st),
	    .is_up = st->state == STATION_UP,
	    .since = st->since,
	    .retry_in = st->state == STATION_WAITING ? loop_timer_left(b->d->loop, &st->timer) : 0,
	    .connected = st->connected,
	    .overruns = st->overruns,
	    .messages = st->messages + (st->state == STATION_UP ? b->feed.messages - st->feed_from : 0),
	    .bytes = st->bytes,
	    .queued = st->own.len - st->own_sent + feed_behind(&b->feed, &st->reader),
	    .last_error = st->last_error ? st->last_error : "",
	    .last_error_at = st->last_error_at,
	};
	return true;
}
