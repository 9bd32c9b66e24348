#include "common/document.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Of a digit that has been judged. */
static uint32_t hex_value(unsigned char digit)
{
	return (digit & 0xf) + (digit > '9' ? 9 : 0);
}

/* What a string's content, already judged, says next. */
static uint32_t take_escape(const unsigned char **at)
{
	static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
	const unsigned char *escape = *at;
	const char *letter;
	uint32_t unit = 0, low = 0;

	if (escape[1] != 'u') {
		*at = escape + 2;
		letter = strchr(letters, escape[1]);
		return letter ? (uint32_t)meanings[letter - letters] : escape[1];
	}
	for (int i = 2; i < 6; i++)
		unit = unit << 4 | hex_value(escape[i]);
	*at = escape + 6;
	if (unit < 0xd800 || unit > 0xdbff)
		return unit;
	for (int i = 8; i < 12; i++)
		low = low << 4 | hex_value(escape[i]);
	*at = escape + 12;
	return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

static size_t put_utf8(uint32_t point, char *out)
{
	if (point < 0x80) {
		out[0] = (char)point;
		return 1;
	}
	if (point < 0x800) {
		out[0] = (char)(0xc0 | point >> 6);
		out[1] = (char)(0x80 | (point & 0x3f));
		return 2;
	}
	if (point < 0x10000) {
		out[0] = (char)(0xe0 | point >> 12);
		out[1] = (char)(0x80 | (point >> 6 & 0x3f));
		out[2] = (char)(0x80 | (point & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | point >> 18);
	out[1] = (char)(0x80 | (point >> 12 & 0x3f));
	out[2] = (char)(0x80 | (point >> 6 & 0x3f));
	out[3] = (char)(0x80 | (point & 0x3f));
	return 4;
}

/* A string's content piece by piece: runs of plain bytes, and escapes unescaped. */
struct pieces {
	const unsigned char *at;
	const unsigned char *end;
	const char *bytes;
	size_t length;
	char unescaped[4];
};

static void pieces_init(
	struct pieces *pieces, const struct document *document, uint32_t token)
{
	const struct document_token *string = &document->tokens[token];

	assert(string->type == DOCUMENT_STRING);
	pieces->at = (const unsigned char *)document->bytes + string->start + 1;
	pieces->end = pieces->at + string->length - 2;
	pieces->length = 0;
}

/* Sets bytes and length to the next piece; false at the end. */
static bool next_piece(struct pieces *pieces)
{
	const unsigned char *slash;

	if (pieces->at == pieces->end)
		return false;
	if (*pieces->at == '\\') {
		pieces->length = put_utf8(take_escape(&pieces->at), pieces->unescaped);
		pieces->bytes = pieces->unescaped;
		return true;
	}
	slash = memchr(pieces->at, '\\', (size_t)(pieces->end - pieces->at));
	pieces->bytes = (const char *)pieces->at;
	pieces->at = slash ? slash : pieces->end;
	pieces->length = (size_t)((const char *)pieces->at - pieces->bytes);
	return true;
}

static bool same_pieces(struct pieces *a, struct pieces *b)
{
	for (;;) {
		bool more_a = a->length > 0 || next_piece(a);
		bool more_b = b->length > 0 || next_piece(b);
		size_t common = a->length < b->length ? a->length : b->length;

		if (!more_a || !more_b)
			return more_a == more_b;
		if (memcmp(a->bytes, b->bytes, common) != 0)
			return false;
		a->bytes += common;
		a->length -= common;
		b->bytes += common;
		b->length -= common;
	}
}

void document_init(struct document *document)
{
	memset(document, 0, sizeof(*document));
}

void document_fini(struct document *document)
{
	if (!document)
		return;
	free(document->tokens);
	document_init(document);
}

const char *document_error_text(enum document_error error)
{
	static const char *const texts[] = {
		[DOCUMENT_OK] = "no error",
		[DOCUMENT_ENDS_EARLY] = "ends early",
		[DOCUMENT_UNEXPECTED_BYTE] = "unexpected byte",
		[DOCUMENT_BAD_NUMBER] = "bad number",
		[DOCUMENT_BAD_ESCAPE] = "bad escape",
		[DOCUMENT_LONE_SURROGATE] = "lone surrogate",
		[DOCUMENT_CONTROL_BYTE] = "control byte in a string",
		[DOCUMENT_BAD_UTF8] = "bad UTF-8",
		[DOCUMENT_TOO_DEEP] = "nested too deep",
		[DOCUMENT_DUPLICATE_NAME] = "duplicate member name",
		[DOCUMENT_TRAILING_BYTES] = "bytes after the value",
		[DOCUMENT_TOO_LARGE] = "too large",
		[DOCUMENT_NO_MEMORY] = "out of memory",
	};

	return error < sizeof(texts) / sizeof(*texts) ? texts[error] : "unknown error";
}

uint32_t document_member(
	const struct document *document, uint32_t object, const char *name)
{
	const struct document_token *tokens = document->tokens;

	assert(tokens[object].type == DOCUMENT_OBJECT);
	for (uint32_t i = object + 1; i < tokens[object].next; i = tokens[i + 1].next) {
		if (document_string_is(document, i, name))
			return i + 1;
	}
	return 0;
}

int64_t document_string(
	const struct document *document, uint32_t token, char *buffer, size_t size)
{
	struct pieces pieces;
	size_t length = 0;

	pieces_init(&pieces, document, token);
	while (next_piece(&pieces)) {
		if (size - length < pieces.length)
			return -ENOSPC;
		memcpy(buffer + length, pieces.bytes, pieces.length);
		length += pieces.length;
	}
	if (size == length)
		return -ENOSPC;
	buffer[length] = '\0';
	return (int64_t)length;
}

bool document_string_is(const struct document *document, uint32_t token, const char *text)
{
	struct pieces pieces;
	size_t left = strlen(text);

	if (!document->tokens[token].escaped &&
		document->tokens[token].length - 2 != left)
		return false;
	pieces_init(&pieces, document, token);
	while (next_piece(&pieces)) {
		if (pieces.length > left ||
			memcmp(text, pieces.bytes, pieces.length) != 0)
			return false;
		text += pieces.length;
		left -= pieces.length;
	}
	return left == 0;
}

bool document_strings_equal(const struct document *a, uint32_t a_token,
	const struct document *b, uint32_t b_token)
{
	const struct document_token *one = &a->tokens[a_token],
				    *two = &b->tokens[b_token];
	struct pieces a_pieces, b_pieces;

	if (!one->escaped && !two->escaped)
		return one->length == two->length &&
			memcmp(a->bytes + one->start, b->bytes + two->start,
				one->length) == 0;
	pieces_init(&a_pieces, a, a_token);
	pieces_init(&b_pieces, b, b_token);
	return same_pieces(&a_pieces, &b_pieces);
}

uint64_t document_string_hash(
	const struct document *document, uint32_t token, uint64_t seed)
{
	const struct document_token *string = &document->tokens[token];
	char unescaped[256];
	struct pieces pieces;
	XXH3_state_t state;

	if (!string->escaped)
		return XXH3_64bits_withSeed(
			document->bytes + string->start + 1, string->length - 2, seed);
	if (string->length <= sizeof(unescaped)) {
		int64_t length =
			document_string(document, token, unescaped, sizeof(unescaped));

		return XXH3_64bits_withSeed(unescaped, (size_t)length, seed);
	}
	XXH3_INITSTATE(&state);
	XXH3_64bits_reset_withSeed(&state, seed);
	pieces_init(&pieces, document, token);
	while (next_piece(&pieces))
		XXH3_64bits_update(&state, pieces.bytes, pieces.length);
	return XXH3_64bits_digest(&state);
}
