/* A station that connects is told the state: every route of every session that is up, what each has been sent, the
 * selection; then End-of-RIB for each of the tables (RFC 7854 5, RFC 9069 5.4). What changes meanwhile it hears from
 * the feed, so places that the walk has passed need no second look. */
#include "daemon/base/mono.h"
#include "daemon/monitor/bmp_core.h"
#include "daemon/peers/speaker.h"

/* Routes, or sources, of one piece. */
#define PIECE_ROUTES 512u
#define PIECE_MARKS 64u

static void next_phase(struct dump *d)
{
	d->phase++;
	d->f = FAM_IPV4;
	d->pos = d->at = 0;
}

/* ---- Routes ---- */

/* The RIB keeps whole seconds: no route is older than the session that told it. The millisecond is for what the clocks
 * may have moved against each other since Peer Up was made. */
static uint64_t time_of(const struct rib_path *path, const struct bmp_source *s)
{
	return path->since > s->since ? path->since : s->since + MONO_MSEC;
}

static void dump_path(void *arg, const struct rib_path *path)
{
	struct station *st = arg;
	struct bmp *b = st->b;
	const struct peer *p = rib_peer_arg(path->peer);
	struct bgp_nlri nlri = {.prefix = path->prefix};

	if (path->best && b->loc_rib.up)
		packer_add(&b->dump, &b->loc_rib.id, BMP_LOC_RIB, &nlri, path->accepted, time_of(path, &b->loc_rib));
	/* What is kept of a session that was is nothing this session has said. */
	if (!p || !p->bmp || path->stale)
		return;
	nlri.path_id = path->path_id;
	if (b->set.views[BMP_ADJ_IN_PRE])
		packer_add(&b->dump, &p->bmp->id, BMP_ADJ_IN_PRE, &nlri, path->received, time_of(path, p->bmp));
	if (b->set.views[BMP_ADJ_IN_POST] && path->accepted)
		packer_add(&b->dump, &p->bmp->id, BMP_ADJ_IN_POST, &nlri, path->accepted, time_of(path, p->bmp));
}

static void dump_paths(struct station *st)
{
	struct dump *d = &st->dump;

	if (rib_walk_paths(st->b->d->rib, d->f, &d->pos, PIECE_ROUTES, dump_path, st))
		return;
	d->pos = 0;
	if (++d->f == FAM_COUNT)
		next_phase(d);
}

/* ---- What was sent ---- */

struct sent {
	struct packer *k;
	const struct bmp_source *source;
};

static void dump_slice(void *arg, const struct slice *s)
{
	const struct sent *x = arg;

	packer_stream(x->k, &x->source->id, BMP_ADJ_OUT_POST, x->source->as2,
		      (struct span){s->buf->data + s->off, s->len});
}

static void dump_sent(struct station *st)
{
	struct dump *d = &st->dump;
	struct sent x = {&st->b->dump, source_next(st->b, d->at, d->limit)};

	if (!x.source || !st->b->set.views[BMP_ADJ_OUT_POST]) {
		next_phase(d);
		return;
	}
	if (d->walking != x.source->id.number) {
		/* Another one than before: its session may just have ended. */
		d->walking = x.source->id.number;
		d->f = FAM_IPV4;
		d->pos = 0;
	}
	if (rib_walk_sent(x.source->of->rib, d->f, &d->pos, dump_slice, &x))
		return;
	d->pos = 0;
	if (++d->f < FAM_COUNT)
		return;
	d->at = x.source->id.number;
}

/* ---- End-of-RIB ---- */

static void mark(struct station *st, const struct bmp_source *s, enum bmp_view v)
{
	for (int f = 0; f < FAM_COUNT; f++)
		if (s->families >> f & 1)
			packer_end_of_rib(&st->b->dump, &s->id, v, (enum family)f);
}

static void dump_marks(struct station *st)
{
	struct dump *d = &st->dump;

	for (unsigned n = 0; n < PIECE_MARKS; n++) {
		const struct bmp_source *s = source_next(st->b, d->at, d->limit);

		if (!s) {
			next_phase(d);
			return;
		}
		for (int v = 0; v < BMP_VIEWS; v++)
			if (v != BMP_LOC_RIB && st->b->set.views[v])
				mark(st, s, (enum bmp_view)v);
		d->at = s->id.number;
	}
}

static void dump_loc_rib_marks(struct station *st)
{
	if (st->b->loc_rib.up)
		mark(st, &st->b->loc_rib, BMP_LOC_RIB);
	next_phase(&st->dump);
}

static void (*const phases[DUMP_DONE])(struct station *st) = {
    [DUMP_PATHS] = dump_paths,
    [DUMP_SENT] = dump_sent,
    [DUMP_MARKS] = dump_marks,
    [DUMP_LOC_RIB_MARKS] = dump_loc_rib_marks,
};

void dump_step(struct station *st)
{
	struct packer *k = &st->b->dump;

	if (st->dump.phase == DUMP_DONE)
		return;
	k->arg = st;
	phases[st->dump.phase](st);
	packer_flush(k);
	if (st->dump.phase == DUMP_DONE)
		packer_clear(k);
}
