/* What the load programs have in common in talking to who started them: times, and a line at a time on standard input.
 */
#ifndef TESTS_BENCH_LOAD_TALK_H
#define TESTS_BENCH_LOAD_TALK_H

#include <time.h>
#include <unistd.h>

#define TALK_LINE 64

static inline double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* "" at the end of input; what is too long is cut. */
static inline void talk_read(char line[static TALK_LINE])
{
	size_t len = 0;

	while (len + 1 < TALK_LINE && read(STDIN_FILENO, line + len, 1) == 1 && line[len++] != '\n')
		;
	line[len] = '\0';
}

#endif
