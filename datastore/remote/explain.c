#include "datastore/remote/explain.h"

#include <stdio.h>

#include "datastore/remote/json.h"

void explain_answer(const struct http_result *result, const struct strbuf *body, char *out, size_t out_size)
{
	char err[JSON_ERROR_LEN];
	struct arena a = {0};
	const struct yaml_node *status = body->len ? json_parse(body->s, body->len, &a, err) : NULL;
	const char *message = status ? json_text_at(status, "message") : NULL;

	if (!result->status)
		snprintf(out, out_size, "%s", result->error ? result->error : "no answer");
	else if (message)
		snprintf(out, out_size, "%d %s", result->status, message);
	else
		snprintf(out, out_size, "%d%s%s", result->status, result->error ? ", " : "",
			 result->error ? result->error : "");
	arena_free(&a);
}
