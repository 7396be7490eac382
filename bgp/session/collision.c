/* Two connections to one peer: RFC 4271 6.8, RFC 6286 for equal identifiers, RFC 4724 5 for restarting peers.
 *
 * Of two connections the one that the dominant side dialled survives; both sides come to the same answer whenever they
 * ask. We ask as soon as the peer's OPEN has told its identifier, even if the other connection is only in OpenSent:
 * waiting until both are in OpenConfirm, as the RFC's letter has it, lets one side reach Established on the connection
 * that the other is about to close.
 *
 * An Established connection yields only to one that reaches Established too, and only with graceful restart: then the
 * peer must have restarted without the old connection having noticed. A mere TCP connection, or an OPEN that was under
 * way when the first connection came up, proves nothing.
 *
 * Who is refused although there is no rival is told why, and our OPEN goes before: RFC 4271 4.2 wants it to be each
 * side's first message, and FRR takes a NOTIFICATION before any OPEN for an error of the state machine, as 8.2.2 says,
 * and shows its operator that instead of the reason. A rival's caller gets no OPEN, which would make it run its own
 * collision detection once more. */
#include <stdio.h>
#include <unistd.h>

#include "bgp/session/fsm.h"
#include "bgp/session/internal.h"
#include "bgp/session/socket.h"
#include "daemon/base/mono.h"

static const struct cause collision = {.code = BGP_ERR_CEASE, .subcode = BGP_CEASE_COLLISION};

static struct fsm *other_fsm(struct bgp_session *s, const struct fsm *f)
{
	return f == &s->own ? &s->incoming : &s->own;
}

/* Whether the connection we dialled survives one the peer dialled. */
static bool ours_wins(const struct bgp_session *s, const struct bgp_open *peer)
{
	if (s->conf.router_id != peer->router_id)
		return s->conf.router_id > peer->router_id;
	return s->conf.local_as > peer->as;
}

static bool wins(const struct conn *c, const struct bgp_open *peer)
{
	return ours_wins(c->session, peer) == c->outgoing;
}

static void dump(struct bgp_session *s, struct fsm *f)
{
	fsm_event(s, f, EV_COLLISION_DUMP, &collision);
}

static void refuse(struct bgp_session *s, int fd, const char *why, uint8_t subcode, struct span data)
{
	bool rival = subcode == BGP_CEASE_COLLISION;
	struct bgp_open open;
	const char *what;
	uint32_t more;

	/* A peer that looks at the TTL is to hear it; what cannot be set is no reason to say nothing. */
	socket_apply(fd, &s->conf, &what);
	if (!rival)
		open_make(s, &open);
	engine_refuse(s->engine, fd, rival ? NULL : &open, subcode, data);
	if (log_allowed(&session_logs(s)->refuse, 1, 60 * MONO_SEC, &more))
		log_info(LOG_BGP, "%s: connection from the peer refused: %s (%u more not shown)", s->conf.name, why,
			 more);
}

/* The peer dials although we think we are connected. If it lost its state this makes its kernel reset our connection
 * at once, instead of the hold timer noticing in minutes. */
static void probe(struct bgp_session *s)
{
	struct conn *c = s->own.conn;

	if (mono_now() - c->sent >= MONO_SEC)
		fsm_event(s, c->fsm, EV_KEEPALIVE_TIMER, NULL);
}

static bool both_restart_gracefully(const struct conn *c)
{
	return c->mine.gr && c->peer.gr;
}

/* Idle refuses (RFC 4271 8.2.2), but a peer whose last error was no protocol error is just back from a restart, and
 * even the others are heard once per idle hold time: their configuration may be right by now. */
static bool too_early(const struct bgp_session *s)
{
	return s->own.state == BGP_IDLE && s->damped && mono_now() - s->failed_at < s->conf.idle_hold * MONO_SEC;
}

void collision_incoming(struct bgp_session *s, int fd, const struct addr *local)
{
	struct conn *own = s->own.conn;
	uint8_t data[256];
	const char *what;

	/* The end of the old connection may wait unread beside the new one. */
	if (own && !own->connecting) {
		conn_read(own);
		own = s->own.conn;
	}
	if (s->dead) {
		close(fd);
		return;
	}
	if (s->conf.password && !key_in_force(session_key(s))) {
		refuse(s, fd, "its password is not in force on the listening sockets", BGP_CEASE_REJECTED,
		       (struct span){0});
		return;
	}
	if (s->conf.admin_down) {
		refuse(s, fd, "the session is administratively down", BGP_CEASE_SHUTDOWN,
		       session_shutdown_data(s, data));
		return;
	}
	if (too_early(s)) {
		refuse(s, fd, "waiting after the last error", BGP_CEASE_REJECTED, (struct span){0});
		return;
	}
	if (s->own.state == BGP_ESTABLISHED) {
		probe(s);
		if (!both_restart_gracefully(own)) {
			refuse(s, fd, "the session is Established", BGP_CEASE_COLLISION, (struct span){0});
			return;
		}
	} else if (s->own.state == BGP_OPENCONFIRM && wins(own, &own->peer)) {
		refuse(s, fd, "our own connection wins the collision", BGP_CEASE_COLLISION, (struct span){0});
		return;
	}
	/* The peer has one connection in the making: the last. */
	if (s->incoming.conn)
		dump(s, &s->incoming);
	if (s->dead || s->incoming.conn) {
		close(fd);
		return;
	}
	if (!socket_apply(fd, &s->conf, &what))
		log_warn(LOG_BGP, "%s: cannot %s on the peer's connection: %m", s->conf.name, what);
	/* A machine born in Active: RFC 4271 8.2.1. */
	s->incoming.state = BGP_ACTIVE;
	conn_new(s, &s->incoming, fd, false, local);
	fsm_event(s, &s->incoming, EV_TCP_CONFIRMED, NULL);
}

bool collision_dialled(struct conn *c)
{
	struct bgp_session *s = c->session;
	const struct conn *rival = s->incoming.conn;

	if (rival && rival->have_peer && !wins(c, &rival->peer))
		dump(s, c->fsm);
	return conn_is_open(c);
}

bool collision_open(struct conn *c, const struct bgp_open *o)
{
	struct bgp_session *s = c->session;
	struct fsm *rival = other_fsm(s, c->fsm);

	switch (rival->state) {
	case BGP_CONNECT: /* our dial under way: no longer needed */
		dump(s, rival);
		break;
	case BGP_OPENSENT:
	case BGP_OPENCONFIRM:
		dump(s, wins(c, o) ? rival : c->fsm);
		break;
	default:
		break;
	}
	return conn_is_open(c);
}

void collision_won(struct conn *c)
{
	struct bgp_session *s = c->session;
	struct fsm *rival = other_fsm(s, c->fsm);

	if (rival->state == BGP_ESTABLISHED)
		fsm_event(s, rival, EV_REPLACED, &(struct cause){.text = "the peer restarted and connected anew"});
	else if (rival->state != BGP_IDLE)
		dump(s, rival);
	if (!conn_is_open(c))
		return;
	loop_timer_stop(s->engine->loop, &s->timer);
	if (c->fsm == &s->own)
		return;
	s->own = s->incoming;
	s->incoming = (struct fsm){0};
	c->fsm = &s->own;
}
