#include "daemon/control/command.h"

#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/peers/speaker.h"

#define COMMAND_ROW(words, args, min, max, help, ops) {words, args, min, max, help, &command_##ops},
static const struct command commands[] = {COMMAND_TABLE(COMMAND_ROW)};
#undef COMMAND_ROW
#define COMMANDS (sizeof commands / sizeof *commands)

/* How well the first words fit a command: each may be abbreviated, mostly. */
enum fit { FIT_NOT, FIT_SHORT, FIT_EXACT };

/* *used is how many words belong to the command itself, as far as they fit. */
static enum fit command_fit(const struct command *c, const char *const *words, unsigned count, unsigned *used)
{
	const char *name = c->words;
	enum fit fit = FIT_EXACT;

	for (*used = 0; *name; ++*used) {
		size_t n = strcspn(name, " ");
		if (*used == count || strncmp(words[*used], name, strlen(words[*used])) != 0 ||
		    strlen(words[*used]) > n)
			return FIT_NOT;
		if (strlen(words[*used]) < n)
			fit = FIT_SHORT;
		name += n + (name[n] == ' ');
	}
	if (fit == FIT_SHORT && c->ops->in_full)
		return FIT_NOT;
	return fit;
}

/* Several commands fit, or none does: name those that could be meant. */
static void say_candidates(struct request *r, const char *const *words, unsigned count, bool ambiguous)
{
	struct strbuf list = {0};

	for (size_t i = 0; i < COMMANDS; i++) {
		unsigned used;
		bool fits = command_fit(&commands[i], words, count, &used) != FIT_NOT;
		if (ambiguous ? fits : used > 0)
			strbuf_printf(&list, "%s%s", list.len ? ", " : "", commands[i].words);
	}
	if (ambiguous)
		snprintf(r->error, sizeof r->error, "ambiguous command; it could be: %s", list.s);
	else if (list.len)
		snprintf(r->error, sizeof r->error, "unknown command; there are: %s", list.s);
	else
		snprintf(r->error, sizeof r->error, "unknown command \"%.60s\"; help lists the commands", words[0]);
	strbuf_free(&list);
}

static bool find_command(struct request *r, const char *const *words, unsigned count, unsigned *used)
{
	enum fit best = FIT_NOT;
	bool ambiguous = false;

	for (size_t i = 0; i < COMMANDS; i++) {
		unsigned n;
		enum fit fit = command_fit(&commands[i], words, count, &n);
		if (fit == FIT_NOT || fit < best)
			continue;
		ambiguous = fit == best;
		best = fit;
		r->command = &commands[i];
		*used = n;
	}
	if (best != FIT_NOT && !ambiguous)
		return true;
	say_candidates(r, words, count, ambiguous);
	return false;
}

/* Splits at blanks; false if there are too many words or bytes that no command has. */
static bool split(struct request *r, char *line, const char **words, unsigned *count)
{
	char *save;

	for (const char *c = line; *c; c++) {
		if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f) {
			snprintf(r->error, sizeof r->error, "a command is made of ASCII letters, digits and signs");
			return false;
		}
	}
	*count = 0;
	for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (*count == REQUEST_WORDS) {
			snprintf(r->error, sizeof r->error, "too many words; help lists the commands");
			return false;
		}
		words[(*count)++] = w;
	}
	return true;
}

bool request_parse(struct request *r, char *line)
{
	const char *words[REQUEST_WORDS];
	unsigned count, used = 0;

	if (strncmp(line, "json ", 5) == 0) {
		r->json = true;
		line += 5;
	}
	if (!split(r, line, words, &count))
		return false;
	if (count == 0) {
		snprintf(r->error, sizeof r->error, "no command; help lists the commands");
		return false;
	}
	if (!find_command(r, words, count, &used))
		return false;
	while (used < count)
		r->argv[r->argc++] = words[used++];
	if (r->argc >= r->command->min_args && r->argc <= r->command->max_args)
		return true;
	snprintf(r->error, sizeof r->error, "too %s arguments; it is: %s%s%s",
		 r->argc < r->command->min_args ? "few" : "many", r->command->words, *r->command->args ? " " : "",
		 r->command->args);
	return false;
}

void request_free(struct request *r)
{
	if (r->free_state)
		r->free_state(r->state);
	strbuf_free(&r->details);
	*r = (struct request){0};
}

/* ---- help, reload, reset ---- */

static bool help_start(struct request *r)
{
	out_table(&r->out, "commands", NULL, NULL);
	for (size_t i = 0; i < COMMANDS; i++) {
		out_row(&r->out);
		out_text(&r->out, "command", NULL, commands[i].words);
		out_text(&r->out, "arguments", NULL, commands[i].args);
		out_printf(&r->out, NULL, "COMMAND", "%s%s%s", commands[i].words, *commands[i].args ? " " : "",
			   commands[i].args);
		out_text(&r->out, "help", "WHAT IT DOES", commands[i].help);
		out_end(&r->out);
	}
	out_end(&r->out);
	return true;
}
const struct command_ops command_help = {.start = help_start};

static bool reload_start(struct request *r)
{
	if (!daemon_reload(r->d, &r->details)) {
		snprintf(r->error, sizeof r->error, "the configuration is not usable, the one in force stays");
		return false;
	}
	out_text(&r->out, "configuration", "Reloaded", r->d->config_file);
	return true;
}
const struct command_ops command_reload = {.start = reload_start};

static bool teardown_start(struct request *r)
{
	daemon_teardown(r->d);
	out_text(&r->out, "teardown", "Teardown",
		 "begun: the sessions end, what is ours leaves the kernel, the daemon stops");
	return true;
}
const struct command_ops command_teardown = {.start = teardown_start, .in_full = true};

static bool reset_start(struct request *r)
{
	struct peer *p = speaker_find(r->d->speaker, r->argv[0]);

	if (!p) {
		snprintf(r->error, sizeof r->error, "there is no peer \"%.80s\"; show peers lists them", r->argv[0]);
		return false;
	}
	speaker_reset(p);
	out_text(&r->out, "reset", "Reset", p->want.name);
	return true;
}
const struct command_ops command_reset = {.start = reset_start};
