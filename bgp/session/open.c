/* Our OPEN, the judgement of theirs, and what follows from both. */
#include <stdio.h>
#include <string.h>

#include "bgp/session/internal.h"
#include "daemon/base/mono.h"

/* Subcodes of the OPEN Message Error (RFC 4271 6.2, RFC 5492 5). */
enum { OPEN_BAD_AS = 2, OPEN_BAD_ID = 3, OPEN_BAD_HOLD_TIME = 6, OPEN_UNSUPPORTED_CAPABILITY = 7 };
#define CAPABILITY_MP 1

/* RFC 5492 3: to a peer that refused capabilities the OPEN is repeated without any. */
static void make_plain(const struct bgp_session_conf *conf, struct bgp_open *o)
{
	*o = (struct bgp_open){
	    .as = conf->local_as,
	    .hold_time = conf->hold_time,
	    .router_id = conf->router_id,
	    .families = 1u << FAM_IPV4,
	};
}

void open_make(struct bgp_session *s, struct bgp_open *o)
{
	const struct bgp_session_conf *conf = &s->conf;
	uint8_t add_path =
	    (uint8_t)((conf->add_path_rx ? BGP_ADD_PATH_RECEIVE : 0) | (conf->add_path_tx ? BGP_ADD_PATH_SEND : 0));

	if (s->plain_open) {
		make_plain(conf, o);
		return;
	}
	*o = (struct bgp_open){
	    .as = conf->local_as,
	    .hold_time = conf->hold_time,
	    .router_id = conf->router_id,
	    .families = conf->families,
	    .has_mp = true,
	    .as4 = true,
	    .route_refresh = true,
	    .enhanced_refresh = true,
	    .extended_message = conf->extended_messages,
	    .gr = conf->gr,
	    .gr_restarting = conf->gr && s->engine->restarting,
	    .gr_notification = conf->gr,
	    .gr_time = conf->gr_time,
	    .gr_families = conf->gr ? conf->families : 0,
	    .gr_forwarding = conf->gr ? conf->gr_forwarding & conf->families : 0,
	    .llgr = conf->gr && conf->llgr,
	    /* RFC 8950 is about IPv4 routes; it needs IPv4 offered. */
	    .ext_next_hop = conf->ext_next_hop ? conf->families & 1u << FAM_IPV4 : 0,
	};
	if (o->llgr && conf->llgr_time) {
		o->llgr_families = conf->families;
		o->llgr_forwarding = o->gr_forwarding;
	}
	for (int f = 0; f < FAM_COUNT; f++) {
		if (conf->families >> f & 1)
			o->add_path[f] = add_path;
		if (o->llgr_families >> f & 1)
			o->llgr_time[f] = conf->llgr_time;
	}
	snprintf(o->hostname, sizeof o->hostname, "%s", s->engine->hostname);
}

static struct bgp_error refuse(uint8_t subcode, struct span data)
{
	return (struct bgp_error){.action = BGP_RESET, .code = BGP_ERR_OPEN, .subcode = subcode, .data = data};
}

static void families_format(uint8_t families, char buf[static 24])
{
	snprintf(buf, 24, "%s%s%s", families & 1u << FAM_IPV4 ? "IPv4" : "",
		 families == (1u << FAM_IPV4 | 1u << FAM_IPV6) ? " and " : "", families & 1u << FAM_IPV6 ? "IPv6" : "");
	if (!families)
		snprintf(buf, 24, "nothing we know");
}

/* RFC 5492 5: the data are the capabilities we miss. */
static struct span missing_families(uint8_t families, uint8_t data[static 32])
{
	struct wr w = wr_make(data, 32);

	for (int f = 0; f < FAM_COUNT; f++) {
		uint16_t afi = bgp_afi((enum family)f);
		const uint8_t capability[6] = {CAPABILITY_MP, 4, (uint8_t)(afi >> 8),
					       (uint8_t)afi,  0, BGP_SAFI_UNICAST};

		if (families >> f & 1)
			wr_bytes(&w, capability, sizeof capability);
	}
	return (struct span){data, wr_len(&w)};
}

struct bgp_error open_judge(const struct conn *c, const struct bgp_open *o, char *text, size_t size,
			    uint8_t data[static 32])
{
	const struct bgp_session_conf *conf = &c->session->conf;
	struct addr id = addr_from_u32(o->router_id);
	char ours[24], theirs[24], id_text[ADDR_STRLEN];

	if (conf->remote_as && o->as != conf->remote_as) {
		snprintf(text, size, "peer AS %u but its OPEN says %u", conf->remote_as, o->as);
		return refuse(OPEN_BAD_AS, (struct span){0});
	}
	/* RFC 6286: across ASes equal identifiers are allowed. */
	if (!o->router_id || (o->as == conf->local_as && o->router_id == conf->router_id)) {
		snprintf(text, size, "the peer's BGP identifier %s is %s", addr_format(&id, id_text),
			 o->router_id ? "also ours: two nodes have the same router ID" : "zero");
		return refuse(OPEN_BAD_ID, (struct span){0});
	}
	if (o->hold_time == 1 || o->hold_time == 2) {
		snprintf(text, size, "the peer proposes a hold time of %u s; the least is 3 s", o->hold_time);
		return refuse(OPEN_BAD_HOLD_TIME, (struct span){0});
	}
	if (!(o->families & c->mine.families)) {
		families_format(c->mine.families, ours);
		families_format(o->families, theirs);
		snprintf(text, size, "no address family in common: we offer %s, the peer %s", ours, theirs);
		return refuse(OPEN_UNSUPPORTED_CAPABILITY, missing_families(c->mine.families, data));
	}
	return (struct bgp_error){0};
}

struct bgp_codec open_negotiate(const struct bgp_open *mine, const struct bgp_open *theirs, uint32_t local_as)
{
	struct bgp_codec codec = {
	    .ebgp = theirs->as != local_as,
	    .as4 = mine->as4 && theirs->as4,
	    .peer_as = theirs->as,
	    .families = mine->families & theirs->families,
	    .llgr = theirs->llgr,
	    .max_message = mine->extended_message && theirs->extended_message ? BGP_MAX_EXTENDED : BGP_MAX_MESSAGE,
	};

	codec.ext_next_hop = mine->ext_next_hop & theirs->ext_next_hop & codec.families;
	for (int f = 0; f < FAM_COUNT; f++) {
		uint8_t bit = (uint8_t)(codec.families & 1u << f);

		if (mine->add_path[f] & BGP_ADD_PATH_RECEIVE && theirs->add_path[f] & BGP_ADD_PATH_SEND)
			codec.add_path_rx |= bit;
		if (mine->add_path[f] & BGP_ADD_PATH_SEND && theirs->add_path[f] & BGP_ADD_PATH_RECEIVE)
			codec.add_path_tx |= bit;
	}
	return codec;
}

void open_first_as(struct conn *c)
{
	c->codec.enforce_first_as = c->codec.ebgp && !c->session->conf.any_first_as;
}

void open_accept(struct conn *c, const struct bgp_open *o)
{
	const struct bgp_session_conf *conf = &c->session->conf;
	uint16_t hold = c->mine.hold_time < o->hold_time ? c->mine.hold_time : o->hold_time;

	c->peer = *o;
	c->have_peer = true;
	c->codec = open_negotiate(&c->mine, o, conf->local_as);
	c->codec.link = addr_scope(&conf->remote);
	open_first_as(c);
	c->hold_time = hold;
	/* Hold time 0 means Established without timers; getting there may not take forever. */
	c->hold = hold ? hold * MONO_SEC : OPEN_HOLD;
	conn_keepalive_set(c);
}
