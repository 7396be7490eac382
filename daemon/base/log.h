/* Logging to stderr, one line a message; journald picks the level up from the "<N>" prefix when it is the reader.
 *
 * A line is "LEVEL subsystem: what, where, why, what to do". Text from outside is made printable. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LVL_ERROR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG, LOG_LVL_COUNT };

/* Lines above this level are dropped. journald: prefix "<N>" instead of a timestamp. */
void log_setup(enum log_level level, bool journald);
/* The level in force, and another one. */
enum log_level log_level(void);
void log_set_level(enum log_level level);
/* "error", "warning", "info", "debug". */
const char *log_level_name(enum log_level level);
/* Sends every line that passes the level to fn instead of stderr (tests); NULL goes back. */
void log_redirect(void (*fn)(void *arg, enum log_level level, const char *line), void *arg);

/* A line, if its level is not below what is logged; log_error() and so on for short. */
void log_msg(enum log_level level, const char *subsystem, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define log_error(sub, ...) log_msg(LOG_LVL_ERROR, sub, __VA_ARGS__)
#define log_warn(sub, ...) log_msg(LOG_LVL_WARN, sub, __VA_ARGS__)
#define log_info(sub, ...) log_msg(LOG_LVL_INFO, sub, __VA_ARGS__)
#define log_debug(sub, ...)                                       \
	do {                                                      \
		if (log_level() >= LOG_LVL_DEBUG)                 \
			log_msg(LOG_LVL_DEBUG, sub, __VA_ARGS__); \
	} while (0)

/* For messages that a peer can provoke at will: true at most `burst` times per `per` nanoseconds; the first line after
 * a silence should say how many were left out (in *suppressed, then reset). Zero-initialise the state. */
struct log_limit {
	uint64_t window;
	uint32_t seen, suppressed;
};
bool log_allowed(struct log_limit *l, uint32_t burst, uint64_t per, uint32_t *suppressed);

#endif
