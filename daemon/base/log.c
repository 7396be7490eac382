#include "daemon/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/mono.h"

/* The log is the one facility every module shares; its settings are the process's. */
static enum log_level max_level = LOG_LVL_INFO;
static bool to_journald;
static void (*redirect)(void *, enum log_level, const char *);
static void *redirect_arg;

static const char *const names[LOG_LVL_COUNT] = {
    [LOG_LVL_ERROR] = "error",
    [LOG_LVL_WARN] = "warning",
    [LOG_LVL_INFO] = "info",
    [LOG_LVL_DEBUG] = "debug",
};
static const int syslog_level[LOG_LVL_COUNT] = {3, 4, 6, 7};

void log_setup(enum log_level level, bool journald)
{
	max_level = level;
	to_journald = journald;
}

void log_set_level(enum log_level level)
{
	max_level = level;
}

enum log_level log_level(void)
{
	return max_level;
}

const char *log_level_name(enum log_level level)
{
	return names[level];
}

void log_redirect(void (*fn)(void *arg, enum log_level level, const char *line), void *arg)
{
	redirect = fn;
	redirect_arg = arg;
}

void log_msg(enum log_level level, const char *subsystem, const char *fmt, ...)
{
	char line[1024], stamp[40] = "";
	va_list ap;
	int n;

	if (level > max_level)
		return;
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	if (redirect) {
		redirect(redirect_arg, level, line);
		return;
	}
	if (to_journald) {
		snprintf(stamp, sizeof stamp, "<%d>", syslog_level[level]);
	} else {
		struct timespec ts;
		struct tm tm;
		clock_gettime(CLOCK_REALTIME, &ts);
		gmtime_r(&ts.tv_sec, &tm);
		n = (int)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
		snprintf(stamp + n, sizeof stamp - (size_t)n, ".%03ldZ ", ts.tv_nsec / 1000000);
	}
	dprintf(STDERR_FILENO, "%s%s %s: %s\n", stamp, names[level], subsystem, line);
}

bool log_allowed(struct log_limit *l, uint32_t burst, uint64_t per, uint32_t *suppressed)
{
	uint64_t window = mono_now() / per + 1;

	if (l->window != window) {
		l->window = window;
		l->seen = 0;
	}
	if (l->seen >= burst) {
		l->suppressed++;
		return false;
	}
	l->seen++;
	*suppressed = l->suppressed;
	l->suppressed = 0;
	return true;
}
