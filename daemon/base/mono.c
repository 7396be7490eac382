#include "daemon/base/mono.h"

#include <stdio.h>
#include <time.h>

static uint64_t faked;

static uint64_t read_clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * MONO_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t mono_now(void)
{
	return faked ? faked : read_clock(CLOCK_MONOTONIC);
}

uint64_t mono_lately(void)
{
	return faked ? faked : read_clock(CLOCK_MONOTONIC_COARSE);
}

uint32_t mono_seconds(void)
{
	return (uint32_t)(mono_lately() / MONO_SEC);
}

uint64_t mono_thread_cpu(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void mono_fake(uint64_t now)
{
	faked = now;
}

int64_t mono_to_wall(uint64_t mono)
{
	return (int64_t)time(NULL) - ((int64_t)mono_now() - (int64_t)mono) / (int64_t)MONO_SEC;
}

uint64_t mono_to_wall_usec(uint64_t mono)
{
	struct timespec ts;
	uint64_t wall, now = mono_now();

	clock_gettime(CLOCK_REALTIME, &ts);
	wall = (uint64_t)ts.tv_sec * MONO_SEC + (uint64_t)ts.tv_nsec;
	return (mono > now ? wall + (mono - now) : wall - (now - mono)) / MONO_USEC;
}

const char *mono_format(uint64_t duration, char buf[static 16])
{
	unsigned long long s = duration / MONO_SEC;

	if (s >= 86400)
		snprintf(buf, 16, "%llud%02lluh", s / 86400 % 100000, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(buf, 16, "%lluh%02llum", s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(buf, 16, "%llum%02llus", s / 60, s % 60);
	else if (s >= 1)
		snprintf(buf, 16, "%llus", s);
	else
		snprintf(buf, 16, "%ums", (unsigned)(duration / MONO_MSEC));
	return buf;
}
