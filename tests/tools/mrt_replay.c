/* Replays an MRT file: a BGP speaker that sends the routes of a table (RFC 6396 TABLE_DUMP_V2), and then the UPDATEs of
 * recorded messages (BGP4MP), as one peer and as fast as the receiver takes them. Events are JSON lines on standard
 * output, commands come on standard input.
 *
 *   mrt_replay [-a AS] [-r REMOTE_AS] [-i ROUTER_ID] [-l LOCAL] [-p PORT] [-t HOLD_TIME] [-w] [-m] [-s PEER] FILE
 * REMOTE
 *
 * -a our AS, default 64512; -r the remote's, default ours; -i default: LOCAL, or 192.0.2.1; -p the remote's port, or
 * with -w (wait to be called instead of calling) ours; -s only what this peer of the file had said, an address or its
 * number in the index; -m offers additional paths, so that the routes of several peers to one prefix are all sent.
 * Without them it is the first route of each prefix. Routes that no peer had sent, those of the collector itself, are
 * left out.
 *
 * Attributes are sent octet for octet as the file has them; a recorded message of a speaker with 2-octet AS numbers is
 * made anew. Commands: "info"; the end of the input ends it with a Cease. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bgp/mrt/mrt.h"
#include "bgp/session/session.h"
#include "daemon/base/hash.h"
#include "daemon/base/mono.h"

/* Octets of messages in one buffer, about. */
#define CHUNK 65536u

/* A route of the table; what it says borrows the file. */
struct route {
	struct span attrs;
	struct bgp_nlri nlri;
	uint64_t hash; /* of attrs */
	uint32_t order;
	bool first; /* of its prefix */
};

struct replay {
	const char *file;
	struct rd records;
	/* Whose routes: an address, a place in the index, or all. */
	struct addr peer;
	int place;
	struct mrt_peer *peers;
	unsigned n_peers;
	struct route *routes;
	size_t n_routes, cap_routes;
	unsigned skipped; /* records that are malformed or not understood */

	struct loop *loop;
	struct bgp_engine *engine;
	struct bgp_session *session;
	struct bgp_session_conf conf;
	bool wait;
	struct loop_io input;
	struct arena arena;

	struct buf **chunks; /* what is to be sent */
	size_t n_chunks, cap_chunks, next_chunk;
	uint64_t n_prefixes, n_messages, n_octets, started;
	bool sending;

	uint64_t updates_in, announced_in, withdrawn_in;
};

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "mrt_replay: %s: %s\n", what, why);
	exit(2);
}

static void *grown(void *array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	*cap = *cap ? *cap * 2 : 64;
	return mem_realloc(array, *cap * size);
}

/* ---- The file ---- */

static bool is_wanted(const struct replay *r, unsigned place)
{
	const struct mrt_peer *p = &r->peers[place];

	if (r->place >= 0)
		return place == (unsigned)r->place;
	if (!addr_is_none(&r->peer))
		return addr_equal(&p->addr, &r->peer);
	return p->addr.af == AF_INET6 || addr_to_u32(&p->addr);
}

static void load_index(struct replay *r, const struct mrt_record *rec)
{
	struct mrt_index x;

	if (!mrt_index_decode(&x, rec)) {
		r->skipped++;
		return;
	}
	r->n_peers = 0;
	r->peers = mem_realloc(r->peers, x.count * sizeof *r->peers + 1);
	while (mrt_peer_next(&r->peers[r->n_peers], &x))
		if (++r->n_peers == x.count)
			break;
}

static void load_routes(struct replay *r, const struct mrt_record *rec)
{
	/* Of one peer the path identifiers are as they were; of several, numbers that no two routes have. */
	bool one = r->place >= 0 || !addr_is_none(&r->peer), first = true;
	struct mrt_entry e;
	struct mrt_rib x;

	if (!mrt_rib_decode(&x, rec)) {
		r->skipped++;
		return;
	}
	while (mrt_entry_next(&e, &x)) {
		if (e.peer >= r->n_peers || !is_wanted(r, e.peer))
			continue;
		r->routes = grown(r->routes, r->n_routes, &r->cap_routes, sizeof *r->routes);
		r->routes[r->n_routes] = (struct route){
		    .attrs = e.attrs,
		    .nlri = {x.prefix, one && e.path_id ? e.path_id : (uint32_t)r->n_routes + 1},
		    .hash = hash_bytes(e.attrs.p, e.attrs.len),
		    .order = (uint32_t)r->n_routes,
		    .first = first,
		};
		r->n_routes++;
		first = false;
	}
}

/* By family and attributes, so that they share messages; else as in the file. */
static int route_cmp(const void *a, const void *b)
{
	const struct route *x = a, *y = b;
	int c = (x->nlri.prefix.addr.af > y->nlri.prefix.addr.af) - (x->nlri.prefix.addr.af < y->nlri.prefix.addr.af);

	c = c ? c : (x->hash > y->hash) - (x->hash < y->hash);
	c = c ? c : (x->attrs.len > y->attrs.len) - (x->attrs.len < y->attrs.len);
	c = c || !x->attrs.len ? c : memcmp(x->attrs.p, y->attrs.p, x->attrs.len);
	return c ? c : (x->order > y->order) - (x->order < y->order);
}

static bool same_attrs(const struct route *a, const struct route *b)
{
	return a->nlri.prefix.addr.af == b->nlri.prefix.addr.af && a->hash == b->hash && a->attrs.len == b->attrs.len &&
	       (!a->attrs.len || memcmp(a->attrs.p, b->attrs.p, a->attrs.len) == 0);
}

static void map_file(struct replay *r)
{
	int fd = open(r->file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *at;

	if (fd < 0 || fstat(fd, &st) < 0)
		die(r->file, strerror(errno));
	if (!st.st_size)
		return;
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		die(r->file, strerror(errno));
	close(fd);
	r->records = rd_make(at, (size_t)st.st_size);
}

static void load(struct replay *r)
{
	uint64_t began = mono_now();
	struct mrt_record rec;
	struct rd file;

	map_file(r);
	for (file = r->records; mrt_record_next(&rec, &file);) {
		if (!rec.is)
			r->skipped++;
		else if (rec.is->kind == MRT_INDEX)
			load_index(r, &rec);
		else if (rec.is->kind == MRT_RIB)
			load_routes(r, &rec);
	}
	if (file.bad)
		die(r->file, "it is cut off, or no MRT file");
	if (r->n_routes)
		qsort(r->routes, r->n_routes, sizeof *r->routes, route_cmp);
	printf("{\"event\": \"loaded\", \"peers\": %u, \"routes\": %zu, \"skipped\": %u, \"seconds\": %.3f}\n",
	       r->n_peers, r->n_routes, r->skipped, (double)(mono_now() - began) / 1e9);
}

/* ---- What is sent ---- */

static void put_messages(struct replay *r, const struct wr *w, unsigned n)
{
	if (!wr_len(w))
		return;
	r->chunks = grown(r->chunks, r->n_chunks, &r->cap_chunks, sizeof(struct buf *));
	r->chunks[r->n_chunks++] = buf_new(w->start, wr_len(w));
	r->n_messages += n;
	r->n_octets += wr_len(w);
}

/* Room for messages; full ones are put away. */
struct writer {
	struct replay *r;
	const struct bgp_codec *codec;
	struct wr w;
	unsigned messages;
};

static void writer_room(struct writer *x)
{
	if (wr_room(&x->w) >= x->codec->max_message)
		return;
	put_messages(x->r, &x->w, x->messages);
	wr_undo(&x->w, 0);
	x->messages = 0;
}

/* The routes [from, to), which share their attributes. */
static void write_run(struct writer *x, size_t from, size_t to, struct bgp_nlri *nlri)
{
	const struct route *rt = &x->r->routes[from];
	enum family f = family_of_af(rt->nlri.prefix.addr.af);
	bool all = x->codec->add_path_tx >> f & 1;
	size_t n = 0, done = 0, taken;

	if (!(x->codec->families >> f & 1))
		return;
	for (size_t i = from; i < to; i++)
		if (all || x->r->routes[i].first)
			nlri[n++] = x->r->routes[i].nlri;
	for (; done < n; done += taken) {
		size_t start;

		writer_room(x);
		start = wr_save(&x->w);
		taken = mrt_update_encode(&x->w, x->codec, f, rt->attrs, nlri + done, n - done);
		if (!taken) {
			wr_undo(&x->w, start);
			x->r->skipped++;
			return;
		}
		x->messages++;
		x->r->n_prefixes += taken;
	}
}

static void write_table(struct writer *x)
{
	struct replay *r = x->r;
	struct bgp_nlri *nlri = mem_alloc(r->n_routes * sizeof *nlri);

	for (size_t from = 0, to; from < r->n_routes; from = to) {
		for (to = from + 1; to < r->n_routes && same_attrs(&r->routes[from], &r->routes[to]);)
			to++;
		write_run(x, from, to, nlri);
	}
	free(nlri);
}

static void write_end_of_rib(struct writer *x)
{
	for (int f = 0; f < FAM_COUNT; f++) {
		if (!(x->codec->families >> f & 1))
			continue;
		writer_room(x);
		bgp_update_encode_end_of_rib(&x->w, (enum family)f);
		x->messages++;
	}
}

/* A recorded UPDATE that cannot be sent as it is: decoded with the recorded session's options, encoded with ours. */
static void write_again(struct writer *x, const struct mrt_subtype *is, struct rd body)
{
	struct bgp_codec codec = {.as4 = is->as4, .families = 3, .add_path_rx = is->add_path ? 3 : 0};
	struct bgp_update u;

	if (bgp_update_decode(&u, body, &codec, &x->r->arena).action != BGP_OK) {
		x->r->skipped++;
		return;
	}
	for (unsigned i = 0; i < u.runs; i++) {
		const struct bgp_nlri_run *run = &u.run[i];
		struct rd nlri = rd_span(run->nlri);
		struct bgp_nlri one;

		u.attrs.next_hop = run->next_hop;
		while (x->codec->families >> run->family & 1 && bgp_nlri_next(&one, &nlri, run->family, is->add_path)) {
			writer_room(x);
			if (run->reach)
				bgp_update_encode_reach(&x->w, x->codec, run->family, &u.attrs, &one, 1);
			else
				bgp_update_encode_unreach(&x->w, x->codec, run->family, &one, 1);
			x->messages++;
			x->r->n_prefixes++;
		}
	}
	arena_reset(&x->r->arena);
}

static bool is_recorded(const struct replay *r, const struct mrt_record *rec, struct mrt_message *m)
{
	if (!rec->is || rec->is->kind != MRT_MESSAGE || rec->is->local || !mrt_message_decode(m, rec))
		return false;
	if (r->place >= 0)
		return (unsigned)r->place < r->n_peers && addr_equal(&m->peer, &r->peers[r->place].addr);
	return addr_is_none(&r->peer) || addr_equal(&m->peer, &r->peer);
}

static void write_recorded(struct writer *x)
{
	struct rd file = x->r->records;
	struct mrt_record rec;
	struct mrt_message m;
	struct bgp_error err;
	struct bgp_msg msg;

	while (mrt_record_next(&rec, &file)) {
		if (!is_recorded(x->r, &rec, &m))
			continue;
		if (bgp_msg_next(&msg, m.message.p, m.message.len, BGP_MAX_EXTENDED, &err) != (int)m.message.len) {
			x->r->skipped++;
			continue;
		}
		if (msg.type != BGP_UPDATE)
			continue;
		if (!rec.is->as4 || rec.is->add_path != (x->codec->add_path_tx != 0) ||
		    msg.len > x->codec->max_message) {
			write_again(x, rec.is, msg.body);
			continue;
		}
		writer_room(x);
		wr_bytes(&x->w, m.message.p, m.message.len);
		x->messages++;
	}
}

/* Everything, before the first octet goes out: then only the receiver's pace counts. */
static void make_messages(struct replay *r, const struct bgp_codec *codec)
{
	size_t room = CHUNK + codec->max_message;
	struct writer x = {.r = r, .codec = codec, .w = wr_make(mem_alloc(room), room)};

	write_table(&x);
	write_end_of_rib(&x);
	write_recorded(&x);
	put_messages(r, &x.w, x.messages);
	free(x.w.start);
}

static void forget_messages(struct replay *r)
{
	for (size_t i = 0; i < r->n_chunks; i++)
		buf_unref(r->chunks[i]);
	r->n_chunks = r->next_chunk = 0;
	r->n_messages = r->n_octets = r->n_prefixes = 0;
}

/* ---- The session ---- */

static void on_established(void *arg, struct bgp_session *s)
{
	struct replay *r = arg;
	const struct bgp_codec *codec = bgp_session_codec(s);

	make_messages(r, codec);
	printf("{\"event\": \"established\", \"ipv4\": %s, \"ipv6\": %s, \"additional_paths\": %s}\n",
	       codec->families & 1 ? "true" : "false", codec->families & 2 ? "true" : "false",
	       codec->add_path_tx ? "true" : "false");
	r->started = mono_now();
	r->sending = true;
}

static void on_down(void *arg, struct bgp_session *s, const struct bgp_down *why)
{
	struct replay *r = arg;

	(void)s;
	forget_messages(r);
	r->sending = false;
	printf("{\"event\": \"down\", \"reason\": \"%s\"}\n", why->reason);
}

static void on_update(void *arg, struct bgp_session *s, const struct bgp_update *u, const struct bgp_error *e)
{
	struct replay *r = arg;
	const struct bgp_codec *codec = bgp_session_codec(s);

	if (u->end_of_rib >= 0) {
		printf("{\"event\": \"end-of-rib\", \"family\": \"%s\"}\n", family_name((enum family)u->end_of_rib));
		return;
	}
	if (e->action != BGP_OK)
		printf("{\"event\": \"error\", \"text\": \"%s\"}\n", e->reason);
	r->updates_in++;
	for (unsigned i = 0; i < u->runs; i++) {
		struct rd nlri = rd_span(u->run[i].nlri);
		struct bgp_nlri one;

		while (bgp_nlri_next(&one, &nlri, u->run[i].family, codec->add_path_rx >> u->run[i].family & 1))
			++*(u->run[i].reach ? &r->announced_in : &r->withdrawn_in);
	}
}

/* A peer that asks again is sent everything again. */
static void on_refresh(void *arg, struct bgp_session *s, enum family f, uint8_t subtype)
{
	struct replay *r = arg;

	(void)f;
	if (subtype != BGP_REFRESH_NORMAL)
		return;
	r->next_chunk = 0;
	r->started = mono_now();
	r->sending = true;
	bgp_session_kick(s);
}

static unsigned pull(void *arg, struct bgp_session *s, struct slice *out, unsigned max)
{
	struct replay *r = arg;
	unsigned n = 0;

	(void)s;
	for (; n < max && r->next_chunk < r->n_chunks; r->next_chunk++, n++)
		out[n] = (struct slice){.buf = buf_ref(r->chunks[r->next_chunk]), .len = r->chunks[r->next_chunk]->len};
	if (!n && r->sending) {
		r->sending = false;
		printf(
		    "{\"event\": \"sent\", \"prefixes\": %llu, \"messages\": %llu, \"octets\": %llu, \"skipped\": %u, "
		    "\"seconds\": %.3f}\n",
		    (unsigned long long)r->n_prefixes, (unsigned long long)r->n_messages,
		    (unsigned long long)r->n_octets, r->skipped, (double)(mono_now() - r->started) / 1e9);
	}
	return n;
}

static const struct bgp_session_ops ops = {
    .on_established = on_established,
    .on_down = on_down,
    .on_update = on_update,
    .on_refresh = on_refresh,
    .pull = pull,
};

/* ---- People ---- */

static void info(struct replay *r)
{
	struct bgp_session_info i = bgp_session_info(r->session);

	printf("{\"event\": \"info\", \"state\": \"%s\", \"updates\": %llu, \"announced\": %llu, \"withdrawn\": %llu, "
	       "\"queued\": %llu, \"error\": \"%s\"}\n",
	       bgp_state_name(i.state), (unsigned long long)r->updates_in, (unsigned long long)r->announced_in,
	       (unsigned long long)r->withdrawn_in, (unsigned long long)i.queued, i.last_error);
}

static void on_input(void *arg, int events)
{
	struct replay *r = arg;
	char text[256];
	ssize_t n = read(0, text, sizeof text);

	(void)events;
	if (n <= 0) {
		loop_stop(r->loop);
		return;
	}
	/* There is one command, so each line is that. */
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\n')
			info(r);
}

static unsigned number(const char *text, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end || n > max)
		die(text, "not a number in range");
	return (unsigned)n;
}

static struct addr address(const char *text)
{
	struct addr a;

	if (!addr_parse(&a, text))
		die(text, "not an address");
	return a;
}

static void parse_option(struct replay *r, int o, const char *value)
{
	struct bgp_session_conf *c = &r->conf;
	struct addr id;

	switch (o) {
	case 'a':
		c->local_as = number(value, UINT32_MAX);
		break;
	case 'r':
		c->remote_as = number(value, UINT32_MAX);
		break;
	case 'i':
		id = address(value);
		c->router_id = addr_to_u32(&id);
		break;
	case 'l':
		c->local = address(value);
		break;
	case 'p':
		c->remote_port = (uint16_t)number(value, UINT16_MAX);
		break;
	case 't':
		c->hold_time = (uint16_t)number(value, UINT16_MAX);
		break;
	case 'w':
		r->wait = c->passive = true;
		break;
	case 'm':
		c->add_path_tx = true;
		break;
	case 's':
		if (!addr_parse(&r->peer, value))
			r->place = (int)number(value, UINT16_MAX);
		break;
	default:
		exit(2);
	}
}

static void parse(struct replay *r, int argc, char **argv)
{
	struct bgp_session_conf *c = &r->conf;
	int o;

	r->place = -1;
	*c = (struct bgp_session_conf){
	    .local_as = 64512,
	    .remote_port = BGP_PORT,
	    .hold_time = 90,
	    .connect_retry = 1,
	    .idle_hold = 1,
	    .idle_hold_max = 1,
	    .ttl = 64,
	    .families = 3,
	};
	while ((o = getopt(argc, argv, "a:r:i:l:p:t:wms:")) != -1)
		parse_option(r, o, optarg);
	if (optind != argc - 2)
		die("usage", "a file and a remote address are needed");
	r->file = argv[optind];
	c->remote = address(argv[optind + 1]);
	c->name = argv[optind + 1];
	if (!c->remote_as)
		c->remote_as = c->local_as;
	if (!c->router_id)
		c->router_id = c->local.af == AF_INET ? addr_to_u32(&c->local) : 0xc0000201;
}

int main(int argc, char **argv)
{
	struct replay r = {0};
	char why[200] = "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(&r, argc, argv);
	load(&r);
	r.loop = loop_new();
	r.engine = bgp_engine_new(r.loop, &ops);
	if (r.wait &&
	    !bgp_engine_listen(r.engine, &(struct bgp_listen){r.conf.local, r.conf.remote_port}, 1, why, sizeof why))
		die("listen", why);
	r.session = bgp_session_new(r.engine, &r.conf, &r);
	loop_io_set(r.loop, &r.input, 0, LOOP_READ, on_input, &r);
	loop_run(r.loop);
	bgp_session_free(r.session, BGP_CEASE_SHUTDOWN);
	/* The goodbye goes out with the last turn. */
	loop_turn(r.loop, false);
	bgp_engine_free(r.engine);
	return 0;
}
