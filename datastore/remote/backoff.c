#include "datastore/remote/backoff.h"

#include <stdlib.h>

#include <bsd/stdlib.h>

uint64_t backoff_jitter(uint64_t time)
{
	uint64_t half = time / 2, chance = (uint64_t)arc4random() << 32 | arc4random();

	return half + chance % (time - half + 1);
}

uint64_t backoff_delay(struct backoff *b)
{
	uint64_t due = b->next ? b->next : b->least;

	b->next = due > b->most / 2 ? b->most : due * 2;
	return backoff_jitter(due);
}

void backoff_reset(struct backoff *b)
{
	b->next = 0;
}
