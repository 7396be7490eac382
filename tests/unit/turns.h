/* Turning the loop of a test's rig (rig.loop, with a timer that ticks), instead of sleeping. */
#ifndef TESTS_TURNS_H
#define TESTS_TURNS_H

#include <check.h>

#include "daemon/base/loop.h"
#include "daemon/base/mono.h"

/* Turns the loop until cond; fails the test after so many seconds. */
#define TURN_UNTIL(cond, seconds)                                                                              \
	do {                                                                                                   \
		uint64_t deadline_ = mono_now() + (uint64_t)((seconds) * (double)MONO_SEC);                    \
		while (!(cond)) {                                                                              \
			ck_assert_msg(mono_now() < deadline_, "did not happen within " #seconds " s: " #cond); \
			loop_turn(rig.loop, true);                                                             \
		}                                                                                              \
	} while (0)

/* Turns the loop for that long, and checks all the while that cond holds. */
#define TURN_WHILE(cond, seconds)                                                           \
	do {                                                                                \
		uint64_t deadline_ = mono_now() + (uint64_t)((seconds) * (double)MONO_SEC); \
		while (mono_now() < deadline_) {                                            \
			ck_assert(cond);                                                    \
			loop_turn(rig.loop, true);                                          \
		}                                                                           \
	} while (0)

#endif
