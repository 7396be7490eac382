/* An octet of codec options (see stable_codec()), then the body of an UPDATE. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/bgp/stable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd input = rd_make(data, size);
	struct bgp_codec codec = stable_codec(rd_u8(&input));
	const char *wrong = stable_update(rd_rest(&input), &codec);

	if (wrong) {
		fprintf(stderr, "%s\n", wrong);
		abort();
	}
	return 0;
}
