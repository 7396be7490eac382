/* A file of MRT records. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/mrt/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct walked seen;
	const char *wrong = walk_file((struct span){data, size}, &seen);

	if (wrong) {
		fprintf(stderr, "%s\n", wrong);
		abort();
	}
	return 0;
}
