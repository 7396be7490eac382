/* A hop limit, an octet that says whether the source is link-local, then an ICMPv6 message. */
#include <stdlib.h>

#include "bgp/session/radv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_make(data, size);
	int hop_limit = rd_u8(&in);
	uint8_t bytes[16] = {0x20, 1};
	struct addr from;
	enum radv_kind kind;

	if (rd_u8(&in) & 1) {
		bytes[0] = 0xfe;
		bytes[1] = 0x80;
	}
	from = addr_make(AF_INET6, bytes);
	kind = radv_judge(in, hop_limit, &from);
	/* Nothing from elsewhere, nor shorter than the least there is. */
	if (kind != RADV_OF_NO_USE && (hop_limit != 255 || rd_left(&in) < 8))
		abort();
	if (kind == RADV_ADVERTISEMENT && (!addr_is_link_local(&from) || rd_left(&in) < 16))
		abort();
	return 0;
}
