#pragma once

/*
 * Head: the first lines of an HTTP/1.1 request (RFC 9112), judged strictly.
 *
 * Pure text work. What two parsers could read differently is refused: folded lines, space
 * before a colon, bare control bytes, a second Host or Content-Length. Parts point into
 * the bytes that were parsed.
 */

#include "common/bytes.h"

#include <stdbool.h>
#include <stddef.h>

#define HEAD_BYTES_MAX 16384 /* with the empty line */
#define HEAD_FIELDS_MAX 64

enum head_method {
	HEAD_METHOD_GET,
	HEAD_METHOD_HEAD,
	HEAD_METHOD_OPTIONS,
	HEAD_METHOD_OTHER
};

struct head {
	enum head_method method;
	struct bytes path; /* as written, from the first / */
	struct bytes
		query;   /* as written, without the ?; start NULL where there is none */
	bool keep_alive; /* the client wants to send more requests */
	bool has_body;
	size_t field_count;
	struct {
		struct bytes name;
		struct bytes value;
	} fields[HEAD_FIELDS_MAX];
};

/** Length of the head at @bytes with its empty line, or 0 while that has not come. */
size_t head_length(const char *bytes, size_t length);

/** Returns NULL where @bytes are a whole head, else what is wrong with it. */
const char *head_parse(struct head *head, const char *bytes, size_t length);

/** The value of field @name (lower case or not), start NULL where it is absent. */
struct bytes head_field(const struct head *head, const char *name);

/** Whether the comma separated list in field @name has @word in it, in any case. */
bool head_has_word(const struct head *head, const char *name, const char *word);

/** Takes the next "name=value" off @query. False at its end. */
bool head_next_parameter(struct bytes *query, struct bytes *name, struct bytes *value);

/**
 * Decodes @text once, %XX and + for a space, into @buffer (at least as long; no NUL).
 *
 * Returns the bytes written, or -EILSEQ for a % without two hex digits.
 */
long head_decode(struct bytes text, char *buffer);
