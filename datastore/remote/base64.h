/* Base64 (RFC 4648 section 4), as JSON carries bytes. */
#ifndef DATASTORE_REMOTE_BASE64_H
#define DATASTORE_REMOTE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/buf.h"

/* Appends the encoded bytes, with padding. */
void base64_encode(struct strbuf *out, const void *data, size_t len);
/* Appends the decoded text. Line breaks and blanks between the characters are left out. False, with nothing appended,
 * if it is not base64 with its padding. */
bool base64_decode(struct strbuf *out, const char *text, size_t len);

#endif
