/*
 * Fuzzes the document scanner: what it accepts must make a sound tape, and stay accepted
 * in white space and in an array.
 *
 * clang -fsanitize=fuzzer,address,undefined; see tests/fuzz/corpus/document.
 */

#include "common/document.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_string(const struct document *document, uint32_t token)
{
	size_t size = document->tokens[token].length;
	char *buffer = malloc(size);
	int64_t length = document_string(document, token, buffer, size);

	assert(length >= 0 && (size_t)length < size);
	assert(document_string(document, token, buffer, (size_t)length) == -ENOSPC);
	assert(document_string(document, token, buffer, (size_t)length + 1) == length);
	assert(document_string_is(document, token, buffer) ==
		(strlen(buffer) == (size_t)length));
	free(buffer);
}

/* Each token lies in its container, and each container ends where its last child does. */
static void check_token(const struct document *document, uint32_t index)
{
	const struct document_token *token = &document->tokens[index], *child;
	size_t end = (size_t)token->start + token->length;
	uint32_t i = index + 1, children = 0;

	assert(token->length > 0 && end <= document->length);
	assert(token->next > index && token->next <= document->count);
	if (token->type == DOCUMENT_STRING)
		check_string(document, index);
	if (token->type < DOCUMENT_ARRAY) {
		assert(token->next == index + 1 && token->count == 0);
		return;
	}
	for (; i < token->next; i = child->next, children++) {
		child = &document->tokens[i];
		assert(child->start > token->start && child->start + child->length < end);
		if (token->type == DOCUMENT_OBJECT && children % 2 == 0)
			assert(child->type == DOCUMENT_STRING);
	}
	assert(i == token->next);
	assert(children == token->count * (token->type == DOCUMENT_OBJECT ? 2u : 1u));
}

static void check_tape(const struct document *document)
{
	assert(document->count > 0 && document->tokens[0].next == document->count);
	for (uint32_t i = 0; i < document->count; i++)
		check_token(document, i);
}

/* The same text in an array is accepted, but for its depth. */
static void check_wrapped(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size + 4);
	struct document document;
	enum document_error error;

	document_init(&document);
	bytes[0] = ' ';
	bytes[1] = '[';
	memcpy(bytes + 2, data, size);
	bytes[size + 2] = ']';
	bytes[size + 3] = '\n';
	error = document_scan(&document, bytes, size + 4, NULL);
	assert(error == DOCUMENT_OK || error == DOCUMENT_TOO_DEEP);
	document_fini(&document);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct document document;
	size_t offset = SIZE_MAX;

	document_init(&document);
	if (document_scan(&document, (const char *)data, size, &offset)) {
		assert(offset <= size && document.count == 0);
	} else {
		check_tape(&document);
		check_wrapped(data, size);
	}
	document_fini(&document);
	return 0;
}
