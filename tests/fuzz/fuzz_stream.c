/* An octet of options (see stable_codec(); its highest bit: extended messages), then a stream of messages as a peer
 * sends it: framed, and each decoded as its type. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/bgp/stable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is shown to people is text of one line, whatever was sent. */
static const char *notification_wrong(struct rd body)
{
	char text[256], name[96];
	struct bgp_notification n, again;
	uint8_t message[BGP_MAX_MESSAGE];
	struct wr w = wr_make(message, sizeof message);
	struct bgp_error err;
	struct bgp_msg m;

	if (!bgp_notification_decode(&n, body))
		return "a framed NOTIFICATION is too short";
	bgp_shutdown_text(&n, text);
	bgp_error_name(n.code, n.subcode, name);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return "a control character is shown";
	bgp_notification_encode(&w, n.code, n.subcode, n.data);
	if (w.bad || bgp_msg_next(&m, message, wr_len(&w), BGP_MAX_MESSAGE, &err) != (int)wr_len(&w) ||
	    !bgp_notification_decode(&again, m.body) || again.code != n.code || again.subcode != n.subcode ||
	    again.data.len > n.data.len || memcmp(again.data.p, n.data.p, again.data.len) != 0)
		return "a NOTIFICATION changes";
	return NULL;
}

static const char *refresh_wrong(const struct bgp_msg *m)
{
	uint8_t subtype;
	int family;
	struct bgp_error err = bgp_refresh_decode(&family, &subtype, m);

	if (err.action == BGP_OK)
		return family >= FAM_COUNT ? "a family there is not" : NULL;
	if (err.action != BGP_RESET || !err.reason || !err.data.len || err.data.len > m->len)
		return "a ROUTE-REFRESH error without its data";
	return NULL;
}

static const char *message_wrong(const struct bgp_msg *m, const struct bgp_codec *codec)
{
	struct rd body = m->body;

	switch (m->type) {
	case BGP_OPEN:
		return stable_open(rd_rest(&body));
	case BGP_UPDATE:
		return stable_update(rd_rest(&body), codec);
	case BGP_NOTIFICATION:
		return notification_wrong(body);
	case BGP_ROUTE_REFRESH:
		return refresh_wrong(m);
	case BGP_KEEPALIVE:
		return m->len == BGP_HEADER_LEN ? NULL : "a KEEPALIVE with a body";
	default:
		return "a type there is not";
	}
}

static const char *stream_wrong(struct span stream, const struct bgp_codec *codec)
{
	while (stream.len) {
		struct bgp_error err = {0};
		struct bgp_msg m;
		int n = bgp_msg_next(&m, stream.p, stream.len, codec->max_message, &err);
		const char *wrong;
		struct rd r = rd_span(stream);

		if (n == 0)
			return NULL;
		if (n < 0)
			return err.action != BGP_RESET || err.code != BGP_ERR_HEADER || !err.subcode || !err.reason
				   ? "an odd error"
				   : NULL;
		if ((size_t)n > stream.len || m.len != (uint32_t)n || m.whole.len != m.len || m.whole.p != stream.p ||
		    rd_left(&m.body) != m.len - BGP_HEADER_LEN)
			return "a message larger than what there is";
		wrong = message_wrong(&m, codec);
		if (wrong)
			return wrong;
		rd_take(&r, (size_t)n);
		stream = rd_rest(&r);
	}
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd input = rd_make(data, size);
	uint8_t options = rd_u8(&input);
	struct bgp_codec codec = stable_codec(options & 0x7f);
	const char *wrong;

	codec.max_message = options & 0x80 ? BGP_MAX_EXTENDED : BGP_MAX_MESSAGE;
	wrong = stream_wrong(rd_rest(&input), &codec);
	if (wrong) {
		fprintf(stderr, "%s\n", wrong);
		abort();
	}
	return 0;
}
