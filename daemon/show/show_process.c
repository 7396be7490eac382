/* show memory, show loop: what the process itself costs, and how long it keeps others waiting. */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mono.h"
#include "daemon/peers/speaker.h"
#include "daemon/show/show.h"

/* ---- Memory ---- */

/* A line of /proc/self/status in bytes; 0 if it is not there. */
static uint64_t process_bytes(const char *field)
{
	FILE *f = fopen("/proc/self/status", "re");
	size_t n = strlen(field);
	uint64_t kib = 0;
	char line[128];

	if (!f)
		return 0;
	while (fgets(line, sizeof line, f))
		if (strncmp(line, field, n) == 0 && line[n] == ':')
			kib = strtoull(line + n + 1, NULL, 10);
	fclose(f);
	return kib * 1024;
}

static void memory_row(struct request *r, const char *key, const char *what, uint64_t bytes, uint64_t count,
		       const char *of)
{
	out_row(&r->out);
	out_text(&r->out, "what", NULL, key);
	out_text(&r->out, NULL, "WHAT", what);
	out_number(&r->out, "bytes", NULL, bytes);
	if (bytes)
		out_printf(&r->out, NULL, "KIB", "%" PRIu64, (bytes + 1023) / 1024);
	else
		out_text(&r->out, NULL, "KIB", NULL);
	out_number(&r->out, "count", "COUNT", count);
	out_text(&r->out, "of", "OF", of);
	out_end(&r->out);
}

static bool memory_start(struct request *r)
{
	struct mallinfo2 heap = mallinfo2();
	struct rib_stats rib = rib_stats(r->d->rib);
	struct fib_stats fib = fib_stats(r->d->fib);
	uint64_t objects = 0;

	for (int k = 0; k < OBJ_KIND_COUNT; k++)
		objects += store_count(r->d->store, (enum object_kind)k);
	out_table(&r->out, "memory", NULL, NULL);
	memory_row(r, "resident", "process, resident", process_bytes("VmRSS"), 1, "process");
	memory_row(r, "resident_peak", "process, resident at its peak", process_bytes("VmHWM"), 1, "process");
	memory_row(r, "heap_used", "heap, in use", heap.uordblks + heap.hblkhd, 1, "heap");
	memory_row(r, "heap_free", "heap, free", heap.fordblks, 1, "heap");
	memory_row(r, "rib", "RIB", rib.bytes, rib.routes[FAM_IPV4] + rib.routes[FAM_IPV6], "routes");
	memory_row(r, "attributes", "attribute sets, in the RIB", 0, rib.attrs, "sets");
	memory_row(r, "groups", "update groups, in the RIB", 0, rib.groups, "groups");
	memory_row(r, "kernel_routes", "kernel routes", fib.bytes, fib.intents + fib.stale, "routes");
	memory_row(r, "foreign_routes", "kernel routes of others", fib.foreign_bytes, fib.foreign, "routes");
	memory_row(r, "peers", "sessions", 0, speaker_count(r->d->speaker), "peers");
	memory_row(r, "objects", "datastore", 0, objects, "objects");
	out_end(&r->out);
	return true;
}
const struct command_ops command_show_memory = {.start = memory_start};

/* ---- The loop ---- */

/* "512us", "1ms", "65ms": the end of a bucket, in the unit in which people read it. */
static void put_bound(struct out *o, uint64_t us)
{
	char text[16];

	if (us < 1000)
		out_printf(o, NULL, "BELOW", "%" PRIu64 "us", us);
	else
		out_text(o, NULL, "BELOW", mono_format(us * MONO_USEC, text));
}

static bool loop_start(struct request *r)
{
	const struct loop_stats *s = loop_stats(r->d->loop);
	unsigned last = LOOP_BUCKETS;
	uint64_t sum = 0;

	out_section(&r->out, "loop", NULL);
	out_number(&r->out, "turns", "Turns", s->turns);
	out_duration(&r->out, "worst_turn", NULL, s->worst);
	out_duration(&r->out, "worst_turn_cpu", NULL, s->worst_cpu);
	out_printf(&r->out, NULL, "Longest", "%.3fms, at most %.3fms of them computing",
		   (double)s->worst / (double)MONO_MSEC, (double)s->worst_cpu / (double)MONO_MSEC);
	out_end(&r->out);
	out_table(&r->out, "histogram", NULL, "no turn has ended yet");
	while (last && !s->bucket[last - 1])
		last--;
	for (unsigned i = 0; i < last; i++) {
		sum += s->bucket[i];
		if (!sum)
			continue;
		out_row(&r->out);
		out_number(&r->out, "below_us", NULL, 1ull << i);
		put_bound(&r->out, 1ull << i);
		out_number(&r->out, "turns", "TURNS", s->bucket[i]);
		out_number(&r->out, "turns_below", NULL, sum);
		out_printf(&r->out, NULL, "OF ALL", "%.4g%%", 100.0 * (double)sum / (double)s->turns);
		out_end(&r->out);
	}
	out_end(&r->out);
	return true;
}
const struct command_ops command_show_loop = {.start = loop_start};
