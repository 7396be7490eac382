/* The body of an OPEN. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/bgp/stable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *wrong = stable_open((struct span){data, size});

	if (wrong) {
		fprintf(stderr, "%s\n", wrong);
		abort();
	}
	return 0;
}
