#include "datastore/remote/json_stream.h"

#include <string.h>

/* The path of the value that comes next is in s->path: the keys of the maps around it, with dots. Lists add nothing, so
 * what is in a list is told apart by depth. */

static const char too_deep[] = "lists and maps are nested too deep", too_large[] = "an object is too large",
		  no_object[] = "is not a sequence of JSON objects";

bool json_stream_is_open(const struct json_stream *s)
{
	return s->depth > 0;
}

void json_stream_reset(struct json_stream *s)
{
	struct json_stream fresh = {.member = s->member, .max = s->max, .on_piece = s->on_piece, .arg = s->arg};

	strbuf_free(&s->object);
	strbuf_free(&s->element);
	*s = fresh;
}

/* Large pieces are rare: their room is given back. */
static void empty(struct strbuf *b)
{
	if (b->cap > 65536)
		strbuf_free(b);
	else
		strbuf_reset(b);
}

static bool tell(struct json_stream *s, enum json_piece what, struct strbuf *text)
{
	bool good = s->on_piece(s->arg, what, text->s ? text->s : "", text->len);

	empty(text);
	return good;
}

/* The next octets belong to the element, or to the object around the list. */
static bool keep(struct json_stream *s, const char *data, size_t len)
{
	struct strbuf *b = s->in_element ? &s->element : &s->object;

	if (s->too_large)
		return true;
	if (b->len + len <= s->max) {
		strbuf_add(b, data, len);
		return true;
	}
	if (!s->in_element)
		return false;
	s->too_large = true;
	if (b->len < JSON_STREAM_BEGINNING)
		strbuf_add(b, data, len < JSON_STREAM_BEGINNING - b->len ? len : JSON_STREAM_BEGINNING - b->len);
	else
		b->len = JSON_STREAM_BEGINNING;
	return true;
}

static bool element_end(struct json_stream *s)
{
	bool large = s->too_large;

	s->in_element = s->too_large = false;
	return tell(s, large ? JSON_TOO_LARGE : JSON_ELEMENT, &s->element);
}

/* The key that just ended becomes the last part of the path. */
static void take_key(struct json_stream *s)
{
	unsigned end = s->depth > 1 ? s->path_end[s->depth - 2] : 0;

	if (!s->key_cut && end + 1 + s->key_len < JSON_STREAM_PATH && end != JSON_STREAM_PATH) {
		if (end)
			s->path[end++] = '.';
		memcpy(s->path + end, s->key, s->key_len);
		end += s->key_len;
	} else {
		end = JSON_STREAM_PATH; /* too long to be the one */
	}
	s->path_end[s->depth - 1] = end;
}

/* Is the list that begins the one whose elements are wanted? It stands in maps only. */
static bool is_member(const struct json_stream *s)
{
	unsigned end;

	if (!s->member || s->list_depth || s->depth == 0)
		return false;
	for (unsigned i = 0; i < s->depth; i++)
		if (!s->in_map[i])
			return false;
	end = s->path_end[s->depth - 1];
	return end == strlen(s->member) && memcmp(s->path, s->member, end) == 0;
}

static bool open_bracket(struct json_stream *s, char c, const char **error)
{
	if (s->depth == JSON_STREAM_DEPTH) {
		*error = too_deep;
		return false;
	}
	if (s->depth == 0 && c != '{') {
		*error = no_object;
		return false;
	}
	if (c == '[' && is_member(s))
		s->list_depth = s->depth + 1;
	else if (s->list_depth && s->depth == s->list_depth)
		s->in_element = true;
	s->in_map[s->depth] = c == '{';
	s->path_end[s->depth] = s->depth ? s->path_end[s->depth - 1] : 0;
	s->depth++;
	s->wants_key = c == '{';
	return true;
}

/* After the bracket was kept. */
static bool close_bracket(struct json_stream *s)
{
	if (s->list_depth && s->depth == s->list_depth)
		s->list_depth = 0;
	else if (s->list_depth && s->depth == s->list_depth + 1 && !element_end(s))
		return false;
	s->depth--;
	s->wants_key = false;
	return s->depth > 0 || tell(s, JSON_OBJECT, &s->object);
}

/* What is in a string. Returns how many octets of it. */
static size_t string_part(struct json_stream *s, const char *data, size_t len)
{
	size_t i = 0;

	while (i < len) {
		char c = data[i++];
		if (s->is_key && s->key_len < sizeof s->key)
			s->key[s->key_len++] = c;
		else
			s->key_cut = s->is_key;
		if (s->escaped) {
			s->escaped = false;
		} else if (c == '\\') {
			s->escaped = true;
		} else if (c == '"') {
			s->in_string = false;
			if (s->is_key && !s->key_cut) {
				s->key_len--; /* the quote */
			}
			if (s->is_key)
				take_key(s);
			s->is_key = false;
			break;
		}
	}
	return i;
}

/* A character outside of strings. */
static bool character(struct json_stream *s, char c, const char **error)
{
	bool in_list = s->list_depth && s->depth == s->list_depth; /* between elements */

	switch (c) {
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		return true; /* means nothing here */
	case '{':
	case '[':
		if (!open_bracket(s, c, error))
			return false;
		break;
	case '}':
	case ']':
		if (s->depth == 0 || s->in_map[s->depth - 1] != (c == '}')) {
			*error = no_object;
			return false;
		}
		if (!keep(s, &c, 1)) {
			*error = too_large;
			return false;
		}
		return close_bracket(s);
	case '"':
		s->in_string = true;
		s->is_key = s->depth && s->in_map[s->depth - 1] && s->wants_key;
		s->key_len = 0;
		s->key_cut = false;
		break;
	case ',':
		s->wants_key = s->depth && s->in_map[s->depth - 1];
		if (in_list)
			return true;
		break;
	case ':':
		s->wants_key = false;
		break;
	default:
		break;
	}
	if (s->depth == 0 || (in_list && !s->in_element)) {
		*error = no_object;
		return false;
	}
	if (keep(s, &c, 1))
		return true;
	*error = too_large;
	return false;
}

bool json_stream_feed(struct json_stream *s, const char *data, size_t len, const char **error)
{
	size_t i = 0;

	*error = NULL;
	while (i < len) {
		size_t n;
		if (!s->in_string) {
			if (!character(s, data[i++], error))
				return false;
			continue;
		}
		n = string_part(s, data + i, len - i);
		if (!keep(s, data + i, n)) {
			*error = too_large;
			return false;
		}
		i += n;
	}
	return true;
}
