/* What a session hears, in any order with what its owner does. The input is a row of steps: an octet that says which,
 * then for a packet an octet of length and the octets, whose Your Discriminator may be made the session's own.
 *
 * After each step the session's variables (RFC 5880 6.8.1) agree with each other, and a packet that was accepted is
 * encoded as it came. Nothing is sent: the engine listens at an address that is not there. */
#include <stdlib.h>
#include <string.h>

#include "bgp/bfd/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct bfd_engine *engine;
	struct bfd_session *session;
	struct bfd_session_conf conf;
	enum bfd_state state; /* as the callbacks told */
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void on_change(void *arg, struct bfd_session *s, const struct bfd_change *c)
{
	struct fuzz *f = arg;

	require(f->state == c->was && s->state == c->state);
	require(c->was != c->state || s->remote_state == c->remote_state);
	require(c->state == BFD_UP || c->was == c->state || c->state == BFD_INIT || strlen(c->reason) < 128);
	f->state = c->state;
}

static void check_stable(struct span s, const struct bfd_packet *p)
{
	uint8_t bytes[BFD_PACKET_LEN];
	struct wr w = wr_make(bytes, sizeof bytes);

	bfd_encode(&w, p);
	require(!w.bad && wr_len(&w) == BFD_PACKET_LEN);
	bytes[3] = s.p[3];
	require(memcmp(bytes, s.p, sizeof bytes) == 0);
}

static void check_session(const struct fuzz *f)
{
	const struct bfd_session *s = f->session;
	struct bfd_session_info i = bfd_session_info(s);

	require(s->state == f->state && bfd_engine_stats(f->engine)->up == (s->state == BFD_UP));
	require(i.times_up == i.times_down + (s->state == BFD_UP));
	require((s->remote_discr == 0) == (s->remote_multiplier == 0));
	require(s->remote_discr || (!s->polling && s->remote_state == BFD_DOWN));
	require(s->polling || (s->used_tx == s->min_tx && s->used_rx == s->min_rx));
	require(s->state == BFD_UP || s->used_tx >= 1000000);
	require(s->state != BFD_UP || s->remote_discr);
	/* A packet is heard by the timer that it arms. */
	require(loop_timer_is_set(&s->detect) == (s->remote_multiplier != 0));
	require(loop_timer_is_set(&s->tx));
	require(i.state == f->state && (i.tx_interval == 0 || i.tx_interval >= BFD_MIN_INTERVAL));
}

static void step_packet(struct fuzz *f, struct rd *r)
{
	uint8_t how = rd_u8(r), bytes[UINT8_MAX];
	size_t len = rd_u8(r);
	struct wr discr = wr_make(bytes + 8, 4);
	struct bfd_arrival a = {.ttl = 255, .min_ttl = 255, .found = true};

	len = len < rd_left(r) ? len : rd_left(r);
	rd_bytes(r, bytes, len);
	if (how & 1 && len >= 12)
		wr_u32(&discr, f->session->discr);
	if (bfd_decode((struct span){bytes, len}, &a) != BFD_ACCEPTED)
		return;
	check_stable((struct span){bytes, len}, &a.packet);
	require(bfd_admit(&a) == BFD_ACCEPTED);
	bfd_session_receive(f->session, &a.packet);
	require(f->session->remote_discr == a.packet.my_discr);
}

static void step_timeout(struct fuzz *f, struct rd *r)
{
	(void)r;
	if (f->session->remote_multiplier)
		bfd_session_timeout(f->session);
}

static void step_admin_down(struct fuzz *f, struct rd *r)
{
	bfd_session_admin_down(f->session, rd_u8(r) & 1);
}

static void step_configure(struct fuzz *f, struct rd *r)
{
	f->conf.min_tx = rd_u32(r);
	f->conf.min_rx = rd_u32(r);
	f->conf.multiplier = rd_u8(r);
	f->conf.passive = rd_u8(r) & 1;
	require(bfd_session_configure(f->session, &f->conf) == !bfd_session_conf_check(&f->conf));
	f->conf = *bfd_session_config(f->session);
}

static void (*const steps[])(struct fuzz *f, struct rd *r) = {step_packet, step_timeout, step_admin_down,
							      step_configure};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct bfd_ops ops = {on_change};
	static struct loop *loop;
	struct fuzz f = {.state = BFD_DOWN, .conf = {.min_tx = 50000, .min_rx = 50000, .multiplier = 3}};
	struct rd r = rd_make(data, size);
	struct addr nowhere;
	const char *why;

	log_setup(LOG_LVL_ERROR, false);
	if (!loop)
		loop = loop_new();
	require(addr_parse(&f.conf.remote, "240.0.0.1") && addr_parse(&nowhere, "240.0.0.2"));
	f.engine = bfd_engine_new(loop, &ops);
	bfd_engine_listen(f.engine, FAM_IPV4, &nowhere);
	f.session = bfd_session_new(f.engine, &f.conf, &f, &why);
	require(f.session && bfd_session_info(f.session).error[0]);
	while (rd_left(&r)) {
		steps[rd_u8(&r) % (sizeof steps / sizeof steps[0])](&f, &r);
		check_session(&f);
	}
	bfd_session_free(f.session, size & 1);
	bfd_engine_free(f.engine);
	return 0;
}
