/* show bmp. */
#include <inttypes.h>

#include "daemon/base/mono.h"
#include "daemon/monitor/bmp.h"
#include "daemon/show/show.h"

static void put_info(const struct bmp_station_info *i, struct strbuf *out)
{
	char text[16];

	strbuf_puts(out, "");
	if (i->overruns)
		strbuf_printf(out, "fell behind %" PRIu64 " times; ", i->overruns);
	if (*i->last_error)
		strbuf_printf(out, "%s %s ago; ", i->last_error, mono_format(show_age(i->last_error_at), text));
	if (i->retry_in)
		strbuf_printf(out, "next attempt in %s; ", mono_format(i->retry_in, text));
	/* Without the separator at its end. */
	if (out->len)
		out->s[out->len -= 2] = '\0';
}

static void put_station(struct request *r, const struct bmp_station_info *i)
{
	char at[ENDPOINT_STRLEN];
	struct strbuf info = {0};
	struct out *o = &r->out;

	put_info(i, &info);
	out_row(o);
	out_text(o, "station", "STATION", endpoint_format(&i->at, at));
	out_text(o, "state", "STATE", i->state);
	out_duration(o, "since", "SINCE", show_age(i->since));
	out_number(o, "messages", "MESSAGES", i->messages);
	out_number(o, "bytes_sent", NULL, i->bytes);
	out_number(o, "bytes_queued", "QUEUED", i->queued);
	out_number(o, "connected", NULL, i->connected);
	out_number(o, "overruns", NULL, i->overruns);
	out_text(o, "last_error", NULL, i->last_error);
	if (i->last_error_at)
		out_duration(o, "last_error_ago", NULL, show_age(i->last_error_at));
	out_duration(o, "retry_in", NULL, i->retry_in);
	out_text(o, NULL, "INFO", info.s);
	out_end(o);
	strbuf_free(&info);
}

static bool bmp_start(struct request *r)
{
	struct bmp_station_info info;

	out_table(&r->out, "stations", NULL, "no BMP stations; bmp.stations of the configuration lists them");
	for (unsigned i = 0; bmp_station_info(r->d->bmp, i, &info); i++)
		put_station(r, &info);
	out_end(&r->out);
	return true;
}
const struct command_ops command_show_bmp = {.start = bmp_start};
