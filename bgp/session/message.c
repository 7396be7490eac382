/* Received messages: what each type means in which state. */
#include <stdio.h>
#include <string.h>

#include "bgp/session/fsm.h"
#include "bgp/session/internal.h"
#include "daemon/base/mono.h"

#define OPEN_UNSUPPORTED_PARAMETER 4
#define OPEN_UNSUPPORTED_CAPABILITY 7
#define OPEN_UNSUPPORTED_VERSION 1

const char *message_hex(struct span data, char buf[static 80])
{
	size_t n = data.len < 24 ? data.len : 24;
	char *p = buf;

	*p = '\0';
	for (size_t i = 0; i < n; i++)
		p += snprintf(p, 4, i ? " %02x" : "%02x", data.p[i]);
	if (n < data.len)
		snprintf(p, 5, " ...");
	return buf;
}

/* RFC 4271 8.2.2, the valid and the broken OPEN. */
static void on_open(struct conn *c, struct bgp_msg *m)
{
	struct bgp_session *s = c->session;
	struct bgp_error err;
	struct bgp_open o;
	char text[160];
	uint8_t data[32];

	if (c->fsm->state != BGP_OPENSENT) {
		fsm_event(s, c->fsm, EV_OPEN, NULL);
		return;
	}
	err = bgp_open_decode(&o, m->body);
	if (err.action == BGP_RESET) {
		snprintf(text, sizeof text, "broken OPEN: %s", err.reason);
	} else {
		err = open_judge(c, &o, text, sizeof text, data);
	}
	if (err.action == BGP_RESET) {
		fsm_event(s, c->fsm, EV_OPEN_ERROR,
			  &(struct cause){.code = err.code, .subcode = err.subcode, .data = err.data, .text = text});
		return;
	}
	if (!collision_open(c, &o))
		return;
	if (s->engine->keep_opens) {
		struct span body = rd_rest(&m->body);

		c->peer_open = buf_new(body.p, body.len);
	}
	open_accept(c, &o);
	fsm_event(s, c->fsm, EV_OPEN, NULL);
	conn_timer_arm(c);
}

static void on_keepalive(struct conn *c, struct bgp_msg *m)
{
	(void)m;
	fsm_event(c->session, c->fsm, EV_KEEPALIVE, NULL);
}

static const char *const reactions[] = {
    [BGP_ATTR_DISCARD] = "attribute ignored",
    [BGP_TREAT_AS_WITHDRAW] = "its routes are treated as withdrawn",
    [BGP_AFI_DISABLE] = "its address family is ignored until the session restarts",
};

static const char *attribute_name(uint8_t code, char buf[static 24])
{
	int id = code ? bgp_attr_by_code(code) : -1;

	if (id >= 0)
		return bgp_attr_table[id].name;
	snprintf(buf, 24, code ? "attribute %u" : "no attribute", code);
	return buf;
}

/* RFC 7606: the session survives, and the operator learns of it. */
static void log_update_error(struct bgp_session *s, const struct bgp_error *e)
{
	char hex[80], name[24];
	uint32_t more;

	if (!log_allowed(&session_logs(s)->update, 5, 60 * MONO_SEC, &more))
		return;
	log_warn(LOG_BGP, "%s: malformed UPDATE: %s (%s: %s): %s (%u more not shown)", s->conf.name, e->reason,
		 attribute_name(e->attr, name), message_hex(e->data, hex), reactions[e->action], more);
}

static void update_broken(struct conn *c, const struct bgp_error *e)
{
	char text[256], hex[80], name[24];

	snprintf(text, sizeof text, "broken UPDATE: %s (%s: %s)", e->reason, attribute_name(e->attr, name),
		 message_hex(e->data, hex));
	fsm_event(c->session, c->fsm, EV_UPDATE_ERROR,
		  &(struct cause){.code = e->code, .subcode = e->subcode, .data = e->data, .text = text});
}

static void on_update(struct conn *c, struct bgp_msg *m)
{
	struct bgp_session *s = c->session;
	struct bgp_engine *e = s->engine;
	struct bgp_update u;
	struct bgp_error err;

	if (c->fsm->state != BGP_ESTABLISHED) {
		fsm_event(s, c->fsm, EV_UPDATE, NULL);
		return;
	}
	err = bgp_update_decode(&u, m->body, &c->codec, &e->arena);
	if (err.action == BGP_RESET) {
		update_broken(c, &err);
		arena_reset(&e->arena);
		return;
	}
	fsm_event(s, c->fsm, EV_UPDATE, NULL);
	c->codec.ignored |= u.disable;
	if (err.action != BGP_OK)
		log_update_error(s, &err);
	if (e->ops.on_update)
		e->ops.on_update(s->arg, s, &u, &err);
	arena_reset(&e->arena);
}

static void on_refresh(struct conn *c, struct bgp_msg *m)
{
	struct bgp_session *s = c->session;
	struct bgp_error err;
	uint8_t subtype;
	int family;
	char text[160];

	if (c->fsm->state != BGP_ESTABLISHED) {
		fsm_event(s, c->fsm, EV_REFRESH, NULL);
		return;
	}
	err = bgp_refresh_decode(&family, &subtype, m);
	if (err.action == BGP_RESET) {
		snprintf(text, sizeof text, "broken ROUTE-REFRESH: %s", err.reason);
		fsm_event(s, c->fsm, EV_REFRESH_ERROR,
			  &(struct cause){.code = err.code, .subcode = err.subcode, .data = err.data, .text = text});
		return;
	}
	fsm_event(s, c->fsm, EV_REFRESH, NULL);
	/* RFC 2918 4, RFC 7313 5: what we did not negotiate or do not know is ignored. */
	if (family < 0 || !(c->codec.families >> family & 1) || subtype > BGP_REFRESH_END)
		return;
	if (s->engine->ops.on_refresh)
		s->engine->ops.on_refresh(s->arg, s, (enum family)family, subtype);
}

/* RFC 8538 3: a Hard Reset carries the NOTIFICATION it stands for. */
static bool unwrap(const struct bgp_notification *n, struct bgp_notification *inner)
{
	return n->code == BGP_ERR_CEASE && n->subcode == BGP_CEASE_HARD_RESET &&
	       bgp_notification_decode(inner, rd_span(n->data));
}

static void notification_text(const struct bgp_notification *n, char *out, size_t size)
{
	char name[96], inner_name[96] = "", text[256], hex[80];
	struct bgp_notification inner = *n;
	bool hard = unwrap(n, &inner);

	if (hard)
		bgp_error_name(inner.code, inner.subcode, inner_name);
	bgp_shutdown_text(&inner, text);
	snprintf(out, size, "received %s%s%s%s", bgp_error_name(n->code, n->subcode, name), hard ? " (" : "",
		 inner_name, hard ? ")" : "");
	if (text[0])
		snprintf(out + strlen(out), size - strlen(out), ": \"%s\"", text);
	else if (inner.data.len && inner.code != BGP_ERR_CEASE)
		snprintf(out + strlen(out), size - strlen(out), " (data %s)", message_hex(inner.data, hex));
}

/* RFC 5492 3: peers from before capabilities say so, and get an OPEN without. With data, Unsupported Capability names
 * what the peer misses in our OPEN: less of it would not help. Nor is anything left of an IPv6-only session. */
static bool should_retry_plain(const struct conn *c, const struct bgp_notification *n)
{
	bool refused =
	    n->subcode == OPEN_UNSUPPORTED_PARAMETER || (n->subcode == OPEN_UNSUPPORTED_CAPABILITY && !n->data.len);

	return n->code == BGP_ERR_OPEN && refused &&
	       (c->fsm->state == BGP_OPENSENT || c->fsm->state == BGP_OPENCONFIRM) && c->mine.has_mp &&
	       c->session->conf.families & 1u << FAM_IPV4;
}

static enum fsm_event judge_notification(struct conn *c, const struct bgp_notification *n)
{
	struct bgp_session *s = c->session;
	const struct fsm *other = c->fsm == &s->own ? &s->incoming : &s->own;

	if (should_retry_plain(c, n)) {
		log_warn(LOG_BGP,
			 "%s: the peer refuses our capabilities: trying without (IPv4 only, 2-octet AS numbers, no "
			 "route refresh, no graceful restart)",
			 s->conf.name);
		s->plain_open = true;
		return EV_NOTIFICATION_VERSION;
	}
	s->plain_open = false;
	if (n->code == BGP_ERR_OPEN && n->subcode == OPEN_UNSUPPORTED_VERSION)
		return EV_NOTIFICATION_VERSION;
	if (n->code == BGP_ERR_CEASE && n->subcode == BGP_CEASE_COLLISION && other->state >= BGP_OPENSENT)
		return EV_COLLISION_DUMP;
	return EV_NOTIFICATION;
}

static void on_notification(struct conn *c, struct bgp_msg *m)
{
	struct bgp_notification n;
	enum fsm_event event;
	char text[640];

	if (!bgp_notification_decode(&n, m->body)) {
		fsm_event(
		    c->session, c->fsm, EV_NOTIFICATION,
		    &(struct cause){.code = BGP_ERR_CEASE, .received = true, .text = "received a broken NOTIFICATION"});
		return;
	}
	notification_text(&n, text, sizeof text);
	event = judge_notification(c, &n);
	fsm_event(c->session, c->fsm, event,
		  &(struct cause){.code = n.code,
				  .subcode = n.subcode,
				  .received = true,
				  .data = n.data,
				  .text = event == EV_COLLISION_DUMP ? NULL : text});
}

static void (*const handlers[])(struct conn *c, struct bgp_msg *m) = {
    [BGP_OPEN] = on_open,	    [BGP_UPDATE] = on_update,	      [BGP_NOTIFICATION] = on_notification,
    [BGP_KEEPALIVE] = on_keepalive, [BGP_ROUTE_REFRESH] = on_refresh,
};

void message_received(struct conn *c, struct bgp_msg *m)
{
	c->session->messages_in[m->type]++;
	handlers[m->type](c, m);
}
