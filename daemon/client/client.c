/* calidris: asks the daemon through its control socket, and shows the answer. Knows nothing of what the answers mean.
 */
#include "daemon/client/client.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/buf.h"
#include "daemon/base/mem.h"
#include "daemon/client/client_dump.h"
#include "daemon/control/command_table.h"
#include "daemon/control/control.h"

#define EXIT_REFUSED 1	   /* the daemon said error */
#define EXIT_USAGE 2	   /* wrong options, or no such command */
#define EXIT_UNREACHABLE 3 /* no answer from a daemon */

/* The first line of an answer that is a file. */
#define DATA "data\n"
#define WIDTH 100u
#define WIDTH_LEAST 60u

struct options {
	const char *socket;
	bool json, wide;
};

static void usage(FILE *to)
{
#define LINE(words, args, min, max, help, ops) {words, args, help},
	static const struct {
		const char *words, *args, *help;
	} commands[] = {COMMAND_TABLE(LINE)};
#undef LINE

	fputs("usage: calidris [-w] [-o text|json] [-s SOCKET] COMMAND\n"
	      "       calidris --version | --help\n"
	      "  -o json    answer as JSON\n"
	      "  -s SOCKET  control socket, default $CALIDRIS_SOCKET or " CONTROL_SOCKET "\n"
	      "  -w         whole lines, however long\n"
	      "commands:\n",
	      to);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		char *left = mem_printf("%s %s", commands[i].words, commands[i].args);
		fprintf(to, "  %-36s %s\n", left, commands[i].help);
		free(left);
	}
	fputs("exit status: 0 done, 1 the daemon refused, 2 usage, 3 no daemon answers\n", to);
}

/* Returns an exit status, or -1 to go on with the words from optind on. */
static int parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"socket", required_argument, NULL, 's'}, {"output", required_argument, NULL, 'o'},
	    {"wide", no_argument, NULL, 'w'},	      {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},      {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "s:o:wh", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			o->socket = optarg;
			break;
		case 'o':
			o->json = strcmp(optarg, "json") == 0;
			if (!o->json && strcmp(optarg, "text") != 0) {
				fprintf(stderr, "calidris: -o %s: there are text and json\n", optarg);
				return EXIT_USAGE;
			}
			break;
		case 'w':
			o->wide = true;
			break;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		case 'V':
			puts("calidris " CALIDRIS_VERSION);
			return EXIT_SUCCESS;
		default:
			fputs("calidris -h says what there is\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		return -1;
	usage(stderr);
	return EXIT_USAGE;
}

/* ---- Talking ---- */

/* The line for the daemon, with "-" instead of a file's name. False if the words make none. */
static bool make_line(struct strbuf *line, const struct options *o, char **words, int count, const char *file)
{
	if (o->json)
		strbuf_puts(line, "json ");
	for (int i = 0; i < count; i++) {
		const char *word = words[i] == file ? "-" : words[i];
		if (strpbrk(word, "\n\r"))
			return false;
		strbuf_printf(line, "%s%s", word, i + 1 < count ? " " : "\n");
	}
	return line->len < CONTROL_LINE_MAX;
}

static int say_unreachable(const char *path, int error)
{
	static const struct {
		int error;
		const char *hint;
	} hints[] = {
	    {ENOENT, "is calidrisd running? With another control.socket, name it with -s or CALIDRIS_SOCKET"},
	    {ECONNREFUSED, "calidrisd left it and is not running; start it again"},
	    {EACCES, "only root and the group set by control.group may use it"},
	    {EPERM, "only root and the group set by control.group may use it"},
	    {EAGAIN, "calidrisd has more clients than it can take; try again"},
	    {ETIMEDOUT, "calidrisd hangs or is stopped; its log may say why"},
	    {ECONNRESET, "calidrisd ended, or closed the connection; its log may say why"},
	};
	const char *hint = NULL;

	for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
		if (hints[i].error == error)
			hint = hints[i].hint;
	fprintf(stderr, "calidris: no answer from a daemon on %s: %s%s%s\n", path, strerror(error), hint ? "; " : "",
		hint ? hint : "");
	return EXIT_UNREACHABLE;
}

/* Does a file follow, instead of an answer to be shown? */
static bool is_data(const struct strbuf *answer)
{
	return answer->len >= sizeof DATA - 1 && memcmp(answer->s, DATA, sizeof DATA - 1) == 0;
}

/* Everything until the daemon closes, or a file begins where one is expected. The whole answer is taken before any is
 * shown, so that a pager does not keep the daemon waiting. Returns 0 or an errno. */
static int read_answer(int fd, struct strbuf *answer, bool file)
{
	char block[65536];

	while (!file || !is_data(answer)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int ready = poll(&p, 1, CLIENT_PATIENCE_MS);
		ssize_t n;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return ready < 0 ? errno : ETIMEDOUT;
		n = recv(fd, block, sizeof block, 0);
		if (n < 0 && errno != EINTR)
			return errno;
		if (n == 0)
			return 0;
		if (n > 0)
			strbuf_add(answer, block, (size_t)n);
	}
	return 0;
}

/* Sends the line and takes the answer; if it is a file (NULL: that is not expected), writes it. Returns 0, an errno, or
 * -1 if the file could not be written. */
static int ask(const char *path, const struct strbuf *line, struct strbuf *answer, const char *file)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, error = 0;

	if (strlen(path) >= sizeof sa.sun_path)
		return ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
		error = errno;
	/* One that has been turned away may find the connection closed, and the reason waiting to be read. */
	else if (send(fd, line->s, line->len, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		error = errno;
	else
		error = read_answer(fd, answer, file != NULL);
	if (!error && file && is_data(answer))
		error = client_dump_receive(fd, answer->s + sizeof DATA - 1, answer->len - (sizeof DATA - 1), file);
	close(fd);
	if (!error && !memchr(answer->s ? answer->s : "", '\n', answer->len))
		error = ECONNRESET;
	return error;
}

/* ---- Showing ---- */

/* Characters, of which UTF-8 makes several bytes. */
static size_t text_width(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

/* The bytes of the first `width` characters. */
static size_t text_bytes(const char *s, size_t len, size_t width)
{
	size_t i = 0;

	for (; i < len; i++)
		if (((unsigned char)s[i] & 0xc0) != 0x80 && width-- == 0)
			break;
	return i;
}

#define COLUMNS 16u

/* Neighbouring lines that hold tabs: they are aligned with each other. */
struct block {
	const char *start, *end;
	size_t width[COLUMNS]; /* of each column's widest cell */
	unsigned columns;
};

/* The next cell of a line, and whether it is the line's last. */
static bool next_cell(const char **at, const char *end, const char **cell, size_t *len)
{
	const char *tab = memchr(*at, '\t', (size_t)(end - *at));

	*cell = *at;
	*len = (size_t)((tab ? tab : end) - *at);
	*at = tab ? tab + 1 : end;
	return tab != NULL;
}

static void block_measure(struct block *b, const char *line, const char *end)
{
	unsigned i = 0;
	bool more = true;

	while (more && i < COLUMNS) {
		const char *cell;
		size_t len, width;
		more = next_cell(&line, end, &cell, &len);
		width = text_width(cell, len);
		if (width > b->width[i])
			b->width[i] = width;
		if (++i > b->columns)
			b->columns = i;
	}
}

/* Narrower than this no column gets: something of it must be left to be read before "...". */
#define LEAST 8u

/* The column that can best spare a character: the widest, where the first, which names things, counts half. */
static unsigned spare_column(const struct block *b)
{
	unsigned best = 0;

	for (unsigned i = 1; i < b->columns; i++)
		if (b->width[i] >= b->width[best] / (best ? 1 : 2))
			best = i;
	return best;
}

/* Makes room until a line fits, as fair as may be: nothing is cut that is shorter than what is cut elsewhere. */
static void block_narrow(struct block *b, size_t limit)
{
	size_t total = 2 * (b->columns - 1);

	for (unsigned i = 0; i < b->columns; i++)
		total += b->width[i];
	for (; total > limit; total--) {
		unsigned i = spare_column(b);
		if (b->width[i] <= LEAST)
			return;
		b->width[i]--;
	}
}

static void put_cell(const char *cell, size_t len, size_t width, bool pad)
{
	size_t have = text_width(cell, len);

	if (have > width) {
		fwrite(cell, 1, text_bytes(cell, len, width - 3), stdout);
		fputs("...", stdout);
		have = width;
	} else {
		fwrite(cell, 1, len, stdout);
	}
	if (pad)
		printf("%*s", (int)(width - have + 2), "");
}

static void put_line(const struct block *b, const char *line, const char *end)
{
	unsigned i = 0;
	bool more = true;

	while (more) {
		const char *cell;
		size_t len;
		more = next_cell(&line, end, &cell, &len);
		put_cell(cell, len, i < COLUMNS ? b->width[i] : text_width(cell, len), more);
		i++;
	}
	putchar('\n');
}

static const char *line_end(const char *line, const char *end)
{
	const char *nl = memchr(line, '\n', (size_t)(end - line));

	return nl ? nl : end;
}

static bool is_tabular(const char *line, const char *end)
{
	return line < end && memchr(line, '\t', (size_t)(line_end(line, end) - line));
}

/* Shows the aligned block that begins here; returns where it ends. */
static const char *show_block(const char *start, const char *end, size_t limit)
{
	struct block b = {0};
	const char *line, *next = start;

	for (line = start; is_tabular(line, end); line = next) {
		next = line_end(line, end);
		block_measure(&b, line, next);
		next += next < end;
	}
	if (limit)
		block_narrow(&b, limit);
	for (line = start; line < next;) {
		const char *stop = line_end(line, end);
		put_line(&b, line, stop);
		line = stop + (stop < end);
	}
	return next;
}

/* A line that is no table's, broken at blanks; what follows the first line stands two columns further in. */
static void show_wrapped(const char *line, size_t len, size_t limit)
{
	size_t indent = 0, at = 0, used;

	while (indent < len && line[indent] == ' ')
		indent++;
	do {
		size_t room = limit - (at ? indent + 2 : 0), n = text_bytes(line + at, len - at, room), cut = n;
		while (n < len - at && cut > (at ? 0 : indent) && line[at + cut] != ' ')
			cut--;
		/* A word that is longer than the line is broken where the line ends. */
		used = cut > (at ? 0 : indent) ? cut : n;
		printf("%*s%.*s\n", at ? (int)indent + 2 : 0, "", (int)used, line + at);
		at += used;
		while (at < len && line[at] == ' ')
			at++;
	} while (at < len);
}

static void show_text(const char *text, const char *end, size_t limit)
{
	while (text < end) {
		const char *stop = line_end(text, end);
		if (is_tabular(text, end)) {
			text = show_block(text, end, limit);
			continue;
		}
		show_wrapped(text, (size_t)(stop - text), limit ? limit : SIZE_MAX);
		text = stop + (stop < end);
	}
}

/* How wide lines may be: the terminal's width if that is known, else 100; 0 without limit. */
static size_t line_limit(const struct options *o)
{
	struct winsize w;

	if (o->wide)
		return 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_col == 0)
		return WIDTH;
	return w.ws_col > WIDTH_LEAST ? w.ws_col : WIDTH_LEAST;
}

static int show_answer(const struct options *o, const struct strbuf *answer)
{
	const char *nl = memchr(answer->s, '\n', answer->len), *body = nl + 1, *end = answer->s + answer->len;
	size_t len = (size_t)(nl - answer->s), word = strcspn(answer->s, " \n");
	bool is_usage = word == 5 && strncmp(answer->s, "usage", word) == 0;

	if (len != 2 || strncmp(answer->s, "ok", len) != 0) {
		fprintf(stderr, "calidris: %.*s\n", (int)(len - word - (len > word)), answer->s + word + (len > word));
		fwrite(body, 1, (size_t)(end - body), stderr);
		return is_usage ? EXIT_USAGE : EXIT_REFUSED;
	}
	if (o->json)
		fwrite(body, 1, (size_t)(end - body), stdout);
	else
		show_text(body, end, line_limit(o));
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "calidris: cannot write the answer: %s\n", strerror(errno));
		return EXIT_REFUSED;
	}
	return EXIT_SUCCESS;
}

/* Where the environment says that the daemon is: to this program, or to the daemon, whose container may be ours, too.
 */
static const char *default_socket(void)
{
	static const char *const variables[] = {"CALIDRIS_SOCKET", "CALIDRIS_CONTROL_SOCKET"};

	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
		const char *path = getenv(variables[i]);
		if (path && *path)
			return path;
	}
	return CONTROL_SOCKET;
}

int main(int argc, char **argv)
{
	struct options o = {.socket = default_socket()};
	struct strbuf line = {0}, answer = {0};
	int status = parse_options(&o, argc, argv), error;
	const char *file = NULL;

	if (status >= 0)
		return status;
	if (client_dump_asked(argv + optind, argc - optind))
		file = argv[argc - 1];
	if (!make_line(&line, &o, argv + optind, argc - optind, file)) {
		fputs("calidris: the command is too long, or holds a line break\n", stderr);
		strbuf_free(&line);
		return EXIT_USAGE;
	}
	error = ask(o.socket, &line, &answer, file);
	if (error)
		status = error < 0 ? EXIT_REFUSED : say_unreachable(o.socket, error);
	else
		status = file && is_data(&answer) ? EXIT_SUCCESS : show_answer(&o, &answer);
	strbuf_free(&line);
	strbuf_free(&answer);
	return status;
}
