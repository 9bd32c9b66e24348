#pragma once

/*
 * Document: a strict RFC 8259 and UTF-8 judge that leaves a flat token tape.
 *
 * The tape refers to the original bytes by offset: no copies, no recursion, numbers kept
 * as text. What passes here is JSON that every strict parser agrees on: no duplicate
 * member names (compared after unescaping), no lone surrogates, depth at most
 * DOCUMENT_DEPTH_MAX, nothing after the value but white space, no byte order mark.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOCUMENT_DEPTH_MAX 512
#define DOCUMENT_BYTES_MAX (1u << 30)

enum document_type {
	DOCUMENT_NULL,
	DOCUMENT_FALSE,
	DOCUMENT_TRUE,
	DOCUMENT_NUMBER,
	DOCUMENT_STRING,
	DOCUMENT_ARRAY,
	DOCUMENT_OBJECT,
};

enum document_error {
	DOCUMENT_OK = 0,
	DOCUMENT_ENDS_EARLY,
	DOCUMENT_UNEXPECTED_BYTE,
	DOCUMENT_BAD_NUMBER,
	DOCUMENT_BAD_ESCAPE,
	DOCUMENT_LONE_SURROGATE,
	DOCUMENT_CONTROL_BYTE,
	DOCUMENT_BAD_UTF8,
	DOCUMENT_TOO_DEEP,
	DOCUMENT_DUPLICATE_NAME,
	DOCUMENT_TRAILING_BYTES,
	DOCUMENT_TOO_LARGE,
	DOCUMENT_NO_MEMORY,
};

/**
 * One value or member name on the tape. A container is followed by what it holds; the
 * members of an object are name, value, name, value.
 */
struct document_token {
	uint32_t start;      /* offset of the first byte, the opening quote for strings */
	uint32_t length;     /* bytes, both quotes or brackets included */
	uint32_t next;       /* index of the token after this value and all it holds */
	uint32_t count : 28; /* elements of an array, members of an object */
	uint32_t type : 3;   /* enum document_type */
	uint32_t escaped : 1; /* a string that holds a backslash */
};

struct document {
	const char *bytes; /* not owned; must outlive the document */
	size_t length;
	struct document_token *tokens; /* tokens[0] is the root */
	uint32_t count;
	uint32_t capacity;
	uint32_t cut; /* 1 + index of an array that lacks its last elements, see
			 document_narrow.h; 0: none */
};

/** Makes an empty document that document_scan() fills, again and again. */
void document_init(struct document *document);
void document_fini(struct document *document);

/**
 * Judges @bytes and builds the tape.
 *
 * @offset  where it went wrong; set on errors only; may be NULL
 *
 * After an error there are no tokens (count is 0); the document can be filled again.
 */
enum document_error document_scan(
	struct document *document, const char *bytes, size_t length, size_t *offset);

/**
 * The same, with the same verdict and tape, faster where @bytes repeat much of @like.
 *
 * @like  scanned before, its bytes still there; not @document; NULL: none
 */
enum document_error document_scan_like(struct document *document,
	const struct document *like, const char *bytes, size_t length, size_t *offset);

/** Whether @bytes are UTF-8 as RFC 3629 has it: no overlong forms, no surrogates. */
bool document_utf8_valid(const char *bytes, size_t length);

/** A few plain words: "lone surrogate", "duplicate member name", … */
const char *document_error_text(enum document_error error);

/** Index of the value of member @name (compared unescaped) of the object at @object, or
 * 0. */
uint32_t document_member(
	const struct document *document, uint32_t object, const char *name);

/**
 * Unescapes the string at @token.
 *
 * @buffer  receives the bytes and a NUL; never more than the token's length
 *
 * Returns the bytes written without the NUL, or -ENOSPC where @size is too small.
 */
int64_t document_string(
	const struct document *document, uint32_t token, char *buffer, size_t size);

/** Whether the string at @token, unescaped, equals the NUL terminated @text. */
bool document_string_is(
	const struct document *document, uint32_t token, const char *text);

/** Whether two strings, of one document or of two, are equal unescaped. */
bool document_strings_equal(const struct document *a, uint32_t a_token,
	const struct document *b, uint32_t b_token);

/** Hash of the string at @token, unescaped: equal strings have equal hashes. */
uint64_t document_string_hash(
	const struct document *document, uint32_t token, uint64_t seed);
