/* Changing a session's configuration while it lives: one table says what a change of each field takes. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "bgp/session/fsm.h"
#include "bgp/session/internal.h"
#include "bgp/session/socket.h"

enum effect {
	EFFECT_NONE,	  /* nothing depends on it before it is used again */
	EFFECT_NEXT_OPEN, /* a live session keeps what was negotiated */
	EFFECT_TIMERS,	  /* at once */
	EFFECT_SOCKET,	  /* at once, on the live sockets */
	EFFECT_PASSWORD,  /* at once, listening sockets included */
	EFFECT_PATHS,	  /* at once; the peer is asked for its routes again, which are judged otherwise now */
	EFFECT_RESET,	  /* RFC 4271 has no other way, unless the row's predicate finds that nothing differs */
};

enum kind { PLAIN, STRING };

struct field {
	size_t offset, size;
	enum kind kind;
	enum effect effect;
	/* With the new configuration in place: what is established fits it. */
	bool (*fits)(struct bgp_session *s, const struct conn *c);
};

static bool local_fits(struct bgp_session *s, const struct conn *c)
{
	return addr_is_none(&s->conf.local) || addr_equal(&s->conf.local, &c->local);
}

static bool remote_as_fits(struct bgp_session *s, const struct conn *c)
{
	return !s->conf.remote_as || s->conf.remote_as == c->peer.as;
}

/* We know the peer's OPEN: a new one of ours may lead to the same result. */
static bool outcome_fits(struct bgp_session *s, const struct conn *c)
{
	struct bgp_open mine;
	struct bgp_codec new;

	open_make(s, &mine);
	new = open_negotiate(&mine, &c->peer, s->conf.local_as);
	return new.families == c->codec.families &&new.add_path_rx == c->codec.add_path_rx &&new.add_path_tx ==
	       c->codec.add_path_tx &&new.ext_next_hop == c->codec.ext_next_hop;
}

#define CONF(name) offsetof(struct bgp_session_conf, name), sizeof((struct bgp_session_conf *)0)->name

static const struct field fields[] = {
    {CONF(name), STRING, EFFECT_NONE},
    {CONF(remote), PLAIN, EFFECT_RESET},
    {CONF(remote_port), PLAIN, EFFECT_NEXT_OPEN},
    {CONF(local), PLAIN, EFFECT_RESET, local_fits},
    {CONF(ifname), STRING, EFFECT_NONE}, /* itself: on another link the remote is another */
    {CONF(local_as), PLAIN, EFFECT_RESET},
    {CONF(remote_as), PLAIN, EFFECT_RESET, remote_as_fits},
    {CONF(router_id), PLAIN, EFFECT_RESET},
    {CONF(hold_time), PLAIN, EFFECT_NEXT_OPEN},
    {CONF(keepalive_time), PLAIN, EFFECT_TIMERS},
    {CONF(connect_retry), PLAIN, EFFECT_TIMERS},
    {CONF(idle_hold), PLAIN, EFFECT_TIMERS},
    {CONF(idle_hold_max), PLAIN, EFFECT_TIMERS},
    {CONF(send_hold), PLAIN, EFFECT_TIMERS},
    {CONF(passive), PLAIN, EFFECT_NEXT_OPEN},
    {CONF(ttl), PLAIN, EFFECT_SOCKET},
    {CONF(min_ttl), PLAIN, EFFECT_SOCKET},
    {CONF(password), STRING, EFFECT_PASSWORD},
    {CONF(families), PLAIN, EFFECT_RESET, outcome_fits},
    {CONF(gr), PLAIN, EFFECT_NEXT_OPEN},
    {CONF(gr_time), PLAIN, EFFECT_NEXT_OPEN},
    {CONF(gr_forwarding), PLAIN, EFFECT_NEXT_OPEN},
    {CONF(llgr), PLAIN, EFFECT_NEXT_OPEN},
    {CONF(llgr_time), PLAIN, EFFECT_NEXT_OPEN},
    {CONF(add_path_tx), PLAIN, EFFECT_RESET, outcome_fits},
    {CONF(add_path_rx), PLAIN, EFFECT_RESET, outcome_fits},
    {CONF(ext_next_hop), PLAIN, EFFECT_RESET, outcome_fits},
    {CONF(extended_messages), PLAIN, EFFECT_NEXT_OPEN},
    {CONF(any_first_as), PLAIN, EFFECT_PATHS},
    {CONF(admin_down), PLAIN, EFFECT_NEXT_OPEN}, /* itself: see change_admin_state() */
    {CONF(shutdown_text), STRING, EFFECT_NONE},
    {CONF(range), PLAIN, EFFECT_NONE},
};
#define FIELDS (sizeof fields / sizeof fields[0])
#define EFFECT(e) (1u << (e))

void conf_copy(struct bgp_session_conf *to, const struct bgp_session_conf *from)
{
	*to = *from;
	to->name = mem_strdup(from->name ? from->name : "?");
	to->password = from->password && from->password[0] ? mem_strdup(from->password) : NULL;
	to->shutdown_text = from->shutdown_text ? mem_strdup(from->shutdown_text) : NULL;
}

void conf_clear(struct bgp_session_conf *c)
{
	free(c->name);
	free(c->password);
	free(c->shutdown_text);
	c->name = c->password = c->shutdown_text = NULL;
}

/* What a STRING field holds: a pointer, or for the interface the text itself. */
static const char *string_of(const struct bgp_session_conf *c, const struct field *f)
{
	const char *at = (const char *)c + f->offset;

	return f->size == sizeof(char *) ? *(char *const *)(const void *)at : at;
}

static bool differs(const struct bgp_session_conf *a, const struct bgp_session_conf *b, const struct field *f)
{
	const char *x, *y;

	if (f->kind == PLAIN)
		return memcmp((const char *)a + f->offset, (const char *)b + f->offset, f->size) != 0;
	x = string_of(a, f);
	y = string_of(b, f);
	return strcmp(x ? x : "", y ? y : "") != 0;
}

/* The set of effects that the differences between old and the session's configuration have. */
static unsigned effects(struct bgp_session *s, const struct bgp_session_conf *old)
{
	const struct conn *c = s->own.state == BGP_ESTABLISHED ? s->own.conn : NULL;
	unsigned set = 0;

	for (const struct field *f = fields; f < fields + FIELDS; f++) {
		enum effect e = f->effect;

		if (!differs(old, &s->conf, f))
			continue;
		if (e == EFFECT_RESET && c && f->fits && f->fits(s, c))
			e = EFFECT_NEXT_OPEN;
		set |= EFFECT(e);
	}
	return set;
}

static bool swap_conf(struct bgp_session *s, const struct bgp_session_conf *conf, unsigned *set)
{
	struct bgp_session_conf old = s->conf;
	bool rekey = !addr_equal(&old.remote, &conf->remote);

	if (rekey)
		engine_table_remove(s);
	conf_copy(&s->conf, conf);
	*set = effects(s, &old);
	if (rekey)
		engine_table_add(s);
	session_claim_key(s);
	conf_clear(&old);
	return old.admin_down != s->conf.admin_down;
}

static void judge_paths_again(struct bgp_session *s, struct conn *c)
{
	open_first_as(c);
	for (int f = 0; s->own.conn == c && f < FAM_COUNT; f++)
		bgp_session_request_refresh(s, (enum family)f);
}

/* Puts the new values on a connection that stays; false if the kernel does not let us. */
static bool apply(struct bgp_session *s, struct conn *c, unsigned set)
{
	const char *what = "change the password";
	bool ok = true;

	if (!c || c->connecting)
		return true;
	if (set & EFFECT(EFFECT_SOCKET))
		ok = socket_apply(c->fd, &s->conf, &what);
	if (ok && set & EFFECT(EFFECT_PASSWORD))
		ok = socket_peer_password(c->fd, &s->conf.remote, s->conf.password);
	if (!ok)
		log_warn(LOG_BGP, "%s: cannot %s on the live connection: %m; the session is reset", s->conf.name, what);
	if (set & EFFECT(EFFECT_TIMERS) && c->have_peer)
		conn_keepalive_set(c);
	if (set & EFFECT(EFFECT_PATHS) && c->have_peer)
		judge_paths_again(s, c);
	conn_timer_arm(c);
	return ok;
}

static bool restart(struct bgp_session *s, const char *reason)
{
	bool was_up = s->own.state == BGP_ESTABLISHED;

	bgp_session_reset(s, BGP_ERR_CEASE, BGP_CEASE_CONFIG_CHANGE, reason);
	return was_up;
}

static bool change_admin_state(struct bgp_session *s)
{
	bool was_up = s->own.state == BGP_ESTABLISHED;
	uint8_t data[256];

	if (!s->conf.admin_down) {
		session_start(s);
		return false;
	}
	session_stop(s, &(struct cause){.code = BGP_ERR_CEASE,
					.subcode = BGP_CEASE_SHUTDOWN,
					.data = session_shutdown_data(s, data),
					.text = "administratively down"});
	return was_up;
}

bool bgp_session_configure(struct bgp_session *s, const struct bgp_session_conf *conf)
{
	unsigned set;

	if (s->dead)
		return false;
	if (swap_conf(s, conf, &set))
		return change_admin_state(s);
	if (s->conf.admin_down || !(set & ~EFFECT(EFFECT_NONE)))
		return false;
	/* Nothing is lost by a fresh attempt, and the change may be what it waits for. */
	if (set & EFFECT(EFFECT_RESET) || bgp_session_state(s) < BGP_OPENSENT)
		return restart(s, "its configuration changed");
	if (!apply(s, s->own.conn, set) || !apply(s, s->incoming.conn, set))
		return restart(s, "its configuration changed");
	return false;
}
