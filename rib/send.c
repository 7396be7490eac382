/* rib_pull(): the next slices of one peer's stream.
 *
 * Per family the peer is a cursor. It waits until the family is released and what was dirty then is decided; walks over
 * the group's sent state (the first walk of a group also fills it); then follows the log. Changes made during a walk
 * are in the log behind the position the cursor had when it began, so whatever the walk sent of an older state is sent
 * again: the newest always comes last. */
#include "rib/send.h"

#include <stdlib.h>

#include "rib/adjout.h"
#include "rib/core.h"
#include "rib/encode.h"
#include "rib/export.h"
#include "rib/group.h"

/* Steps without a single octet to send (nothing of a stretch is for this peer) after which a pull lets others run. */
#define IDLE_STEPS 16

/* ---- Starting, stopping, moving ---- */

void cursor_start(struct rib_peer *p, enum family f, struct stream *s)
{
	struct cursor *c = &p->fam[f].cursor;

	*c = (struct cursor){.stream = s, .state = CURSOR_WAIT, .initial = true, .eor_due = true};
	c->mark = dirty_mark(p->rib, f);
}

void cursor_wait(struct rib_peer *p, enum family f)
{
	struct cursor *c = &p->fam[f].cursor;

	if (c->state == CURSOR_WAIT)
		c->mark = dirty_mark(p->rib, f);
}

/* Ends the comparison with the stream it came from. */
static void move_end(struct cursor *c)
{
	struct stream *from = c->from;

	if (!from)
		return;
	reader_remove(&c->from_at);
	c->from = NULL;
	group_drop(from->group);
}

void cursor_stop(struct rib_peer *p, enum family f)
{
	struct cursor *c = &p->fam[f].cursor;

	if (c->state >= CURSOR_WALK)
		reader_remove(&c->at);
	move_end(c);
	chunk_unref(c->chunk);
	*c = (struct cursor){0};
}

void cursor_move(struct rib_peer *p, enum family f, struct stream *to)
{
	struct cursor *c = &p->fam[f].cursor;
	struct stream *from = c->stream;

	c->stream = to;
	if (c->state == CURSOR_OFF || c->state == CURSOR_WAIT)
		return; /* nothing was sent yet: no difference to a fresh start */
	c->from = from;
	group_hold(from->group);
	c->from_limit = c->state == CURSOR_WALK && c->initial ? c->next : UINT64_MAX;
	/* RFC 7313: between the markers everything must be sent, so a walk between them starts over after the move. */
	if (c->state == CURSOR_WALK && !c->initial) {
		c->resend = true;
		c->resend_marked = c->resend_marked || c->marked;
		c->marked = false;
	}
	reader_remove(&c->at);
	reader_add(from, &c->from_at, c->at.pos);
	reader_add(to, &c->at, to->end);
	c->state = CURSOR_WALK;
	c->next = 0;
}

bool peer_is_moving(const struct rib_peer *p)
{
	for (int f = 0; f < FAM_COUNT; f++)
		if (p->fam[f].cursor.from)
			return true;
	return false;
}

void rib_peer_resend(struct rib_peer *p, enum family f, bool enhanced)
{
	struct cursor *c = &p->fam[f].cursor;

	if (c->state == CURSOR_OFF)
		return;
	c->resend = true;
	c->resend_marked = c->resend_marked || enhanced;
	p->rib->notify = true;
	rib_schedule(p->rib);
}

/* ---- Steps of a cursor: true if it got further (perhaps without a chunk) ---- */

static void walk_begin(struct cursor *c)
{
	c->state = CURSOR_WALK;
	c->next = 0;
}

/* RFC 7313 4: no BoRR before End-of-RIB. A walk between markers is done before the next one begins. */
static bool can_resend(const struct cursor *c)
{
	return c->resend && !c->marked && !(c->resend_marked && c->eor_due);
}

static void resend_begin(struct cursor *c, enum family f)
{
	walk_begin(c);
	c->marked = c->resend_marked;
	c->resend = c->resend_marked = false;
	if (c->marked)
		c->chunk = chunk_markers(f, true, false, false);
}

static bool step_off(struct rib_peer *p, enum family f)
{
	(void)p;
	(void)f;
	return false;
}

static bool can_begin(const struct rib_peer *p, enum family f)
{
	return p->rib->released[f] && dirty_passed(p->rib, f, p->fam[f].cursor.mark);
}

static bool step_wait(struct rib_peer *p, enum family f)
{
	struct cursor *c = &p->fam[f].cursor;

	if (!can_begin(p, f))
		return false;
	reader_add(c->stream, &c->at, c->stream->end);
	/* What is sent first is everything. */
	c->resend = c->resend_marked;
	walk_begin(c);
	return true;
}

/* May End-of-RIB go out once everything before it has? */
static bool can_complete(const struct rib_peer *p, enum family f)
{
	return p->rib->complete[f] && dirty_passed(p->rib, f, p->rib->complete_mark[f]);
}

static void walk_end(struct rib_peer *p, enum family f)
{
	struct cursor *c = &p->fam[f].cursor;

	c->initial = false;
	c->state = CURSOR_LOG;
	if (!c->from)
		return;
	move_end(c);
	if (p->regroup && !peer_is_moving(p))
		group_rejoin(p);
}

static bool step_walk(struct rib_peer *p, enum family f)
{
	struct cursor *c = &p->fam[f].cursor;

	if (place_node(c->next) >= p->rib->table[f].nodes.bound) {
		stream_filled(c->stream);
		walk_end(p, f);
		return true;
	}
	if (c->from)
		c->chunk = chunk_diff(c->stream, p, c->next);
	else
		c->chunk = chunk_walk(c->stream, c->next, &c->at.pos);
	c->next = c->chunk->end;
	return true;
}

static bool has_marker(const struct rib_peer *p, enum family f)
{
	const struct cursor *c = &p->fam[f].cursor;

	return c->marked || (c->eor_due && can_complete(p, f));
}

/* Everything was sent. EoRR and End-of-RIB come here and not right behind the walk: what changed at places that the
 * walk had passed, or came into a shared chunk too late, is only in the log, and the peer drops what it has not been
 * told by then. */
static void put_markers(struct rib_peer *p, enum family f)
{
	struct cursor *c = &p->fam[f].cursor;
	bool eor = c->eor_due && can_complete(p, f);

	c->chunk = chunk_markers(f, false, c->marked, eor);
	c->marked = false;
	if (!eor)
		return;
	c->eor_due = false;
	p->eor_sent |= (uint8_t)(1u << f);
}

static bool step_log(struct rib_peer *p, enum family f)
{
	struct cursor *c = &p->fam[f].cursor;

	if (can_resend(c)) {
		resend_begin(c, f);
		return true;
	}
	if (c->at.pos != c->stream->end) {
		c->chunk = chunk_log(c->stream, c->at.pos);
		c->at.pos = c->chunk->end;
		return true;
	}
	if (!has_marker(p, f))
		return false;
	put_markers(p, f);
	return true;
}

static bool (*const steps[CURSOR_STATES])(struct rib_peer *p, enum family f) = {
    [CURSOR_OFF] = step_off,
    [CURSOR_WAIT] = step_wait,
    [CURSOR_WALK] = step_walk,
    [CURSOR_LOG] = step_log,
};

/* ---- Pulling ---- */

static bool is_for(const struct seg *g, const struct rib_peer *p)
{
	if (g->only)
		return g->source == p->index;
	return g->source != p->index && g->owner != p->index;
}

/* Hands out the rest of the cursor's chunk, as far as there is room; done with it, drops it. */
static unsigned chunk_emit(struct rib_peer *p, struct cursor *c, struct slice *out, unsigned max)
{
	struct chunk *ch = c->chunk;
	unsigned n = 0;

	for (; c->seg < ch->n_segs; c->seg++) {
		const struct seg *g = &ch->segs[c->seg];

		if (!is_for(g, p))
			continue;
		if (n && out[n - 1].off + out[n - 1].len == g->off) {
			out[n - 1].len += g->len;
		} else if (n < max) {
			out[n++] = (struct slice){buf_ref(ch->buf), g->off, g->len};
		} else {
			return n;
		}
		p->updates_out += g->reach;
		p->withdraws_out += g->unreach;
	}
	c->seg = 0;
	c->chunk = NULL;
	chunk_unref(ch);
	return n;
}

static unsigned cursor_pull(struct rib_peer *p, enum family f, struct slice *out, unsigned max)
{
	struct cursor *c = &p->fam[f].cursor;
	unsigned idle = 0, n = 0;

	while (n < max) {
		unsigned before = n;

		if (c->chunk)
			n += chunk_emit(p, c, out + n, max - n);
		else if (!steps[c->state](p, f))
			break;
		idle = n > before ? 0 : idle + 1;
		if (idle > IDLE_STEPS) {
			p->rib->notify = true;
			rib_schedule(p->rib);
			break;
		}
	}
	return n;
}

unsigned rib_pull(struct rib_peer *p, struct slice *out, unsigned max)
{
	unsigned n = 0;

	if (!p->up)
		return 0;
	for (int f = 0; f < FAM_COUNT; f++)
		n += cursor_pull(p, (enum family)f, out + n, max - n);
	p->idle = n < max;
	if (p->rib->observer && p->rib->observer->on_sent)
		for (unsigned i = 0; i < n; i++)
			p->rib->observer->on_sent(p->rib->observer->arg, p, &out[i]);
	if (n)
		loop_work_schedule(p->rib->loop, &p->rib->reap_work);
	return n;
}

bool rib_walk_sent(struct rib_peer *p, enum family f, uint64_t *pos, void (*cb)(void *arg, const struct slice *s),
		   void *arg)
{
	const struct cursor *c = &p->fam[f].cursor;
	bool walked = c->state == CURSOR_LOG || (!c->initial && !c->from), more;
	struct chunk *ch;

	if (!p->up || c->state < CURSOR_WALK)
		return false;
	/* Moving between groups: beyond the walk it has what the old stream says. */
	if (c->from && *pos >= c->next)
		ch = chunk_sent(c->from, *pos, c->from_limit);
	else
		ch = chunk_sent(c->stream, *pos, walked ? UINT64_MAX : c->next);
	for (unsigned i = 0; i < ch->n_segs; i++)
		if (is_for(&ch->segs[i], p))
			cb(arg, &(struct slice){ch->buf, ch->segs[i].off, ch->segs[i].len});
	more = ch->end > *pos;
	*pos = ch->end;
	chunk_unref(ch);
	return more;
}

static bool cursor_has_more(const struct rib_peer *p, enum family f)
{
	const struct cursor *c = &p->fam[f].cursor;

	if (c->chunk)
		return true;
	switch ((enum cursor_state)c->state) {
	case CURSOR_WAIT:
		return can_begin(p, f);
	case CURSOR_WALK:
		return true;
	case CURSOR_LOG:
		return can_resend(c) || c->at.pos != c->stream->end || has_marker(p, f);
	default:
		return false;
	}
}

bool peer_has_more(const struct rib_peer *p)
{
	for (int f = 0; f < FAM_COUNT; f++)
		if (cursor_has_more(p, (enum family)f))
			return true;
	return false;
}

bool peer_is_up_to_date(const struct rib_peer *p)
{
	for (int f = 0; f < FAM_COUNT; f++)
		if (p->fam[f].cursor.state == CURSOR_WAIT || cursor_has_more(p, (enum family)f))
			return false;
	return true;
}

unsigned peer_sent(const struct rib_peer *p, enum family f)
{
	const struct stream *s = p->fam[f].cursor.stream;

	if (!s || p->fam[f].cursor.state == CURSOR_WAIT)
		return 0;
	return s->sent - (p->index < s->n_sent_by ? s->sent_by[p->index] : 0);
}
