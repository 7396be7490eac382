/* Addresses with ports, as configuration keys list them: "10.0.0.9:11019 [fd00::9]:11019". */
#ifndef DAEMON_CONFIG_ENDPOINT_H
#define DAEMON_CONFIG_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"

struct endpoint {
	struct addr addr;
	uint16_t port;
};
#define ENDPOINT_STRLEN (ADDR_STRLEN + 8)

/* Takes the next one of a list that is separated by blanks or commas. False at the end and if what comes next is none
 * (*text then points at it). Only unicast addresses that others can reach: no martians, but loopback is allowed. */
bool endpoint_next(struct endpoint *e, const char **text);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
const char *endpoint_format(const struct endpoint *e, char buf[static ENDPOINT_STRLEN]);

#endif
