#include "common/document.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define XXH_INLINE_ALL
#include <xxhash.h>

#define COUNT_MAX ((1u << 28) - 1) /* what document_token.count can hold */
#define CAPACITY_FIRST 64          /* tokens */
#define COMPARED_PAIRWISE 8        /* members; above, hashing their names is faster */

struct scan {
	struct document *document;
	const unsigned char *at; /* on an error: where it went wrong */
	const unsigned char *end;
	uint64_t seed; /* of the hash of names; 0 until needed */
	uint32_t depth;
	uint32_t open[DOCUMENT_DEPTH_MAX];   /* the containers we are in */
	uint32_t closed[DOCUMENT_DEPTH_MAX]; /* the object last closed at each depth, or 0
					      */
};

/* One place in the set of an object's names. */
struct slot {
	uint32_t name; /* its token; 0 is free, the root is no name */
	uint32_t hash;
};

static enum document_error fail(
	struct scan *scan, const unsigned char *at, enum document_error error)
{
	scan->at = at;
	return error;
}

static enum document_error ends_early(struct scan *scan)
{
	return fail(scan, scan->end, DOCUMENT_ENDS_EARLY);
}

/* Makes room for @more tokens after the last one. */
static bool reserve(struct document *document, size_t more)
{
	size_t capacity = document->capacity ? document->capacity : CAPACITY_FIRST;
	struct document_token *tokens;

	if (document->capacity - document->count >= more)
		return true;
	while (capacity - document->count < more)
		capacity *= 2;
	if (capacity > UINT32_MAX)
		return false;
	tokens = realloc(document->tokens, capacity * sizeof(*tokens));
	if (!tokens)
		return false;
	document->tokens = tokens;
	document->capacity = (uint32_t)capacity;
	return true;
}

/* Adds a value or name that starts at scan->at and ends before @end. */
static enum document_error push_token(struct scan *scan, enum document_type type,
	const unsigned char *end, bool escaped)
{
	struct document *document = scan->document;
	struct document_token *token;

	if (document->count == document->capacity && !reserve(document, 1))
		return DOCUMENT_NO_MEMORY;
	token = &document->tokens[document->count++];
	token->start = (uint32_t)(scan->at - (const unsigned char *)document->bytes);
	token->length = (uint32_t)(end - scan->at);
	token->next = document->count;
	token->count = 0;
	token->type = type;
	token->escaped = escaped;
	scan->at = end;
	return DOCUMENT_OK;
}

static bool is_digit(unsigned char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_space(unsigned char byte)
{
	return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

/* Ends at a byte that is no white space; false where there is none. */
static bool skip_space(struct scan *scan)
{
	const unsigned char *at = scan->at;

	while (at < scan->end && is_space(*at)) {
		uint64_t eight;

		at++;
		while (scan->end - at >= 8 && memcpy(&eight, at, 8) &&
			eight == 0x2020202020202020)
			at += 8;
	}
	scan->at = at;
	return at < scan->end;
}

/* The first byte from @at on that is a quote, a backslash, a control byte or not ASCII.
 */
static const unsigned char *skip_plain(const unsigned char *at, const unsigned char *end)
{
#ifdef __SSE2__
	while (end - at >= 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)at);
		__m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
		__m128i slashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
		/* Signed: bytes from 0x80 on are below as well. */
		__m128i others = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
		int found = _mm_movemask_epi8(
			_mm_or_si128(_mm_or_si128(quotes, slashes), others));

		if (found)
			return at + __builtin_ctz((unsigned)found);
		at += 16;
	}
#endif
	while (at < end && *at >= ' ' && *at < 0x80 && *at != '"' && *at != '\\')
		at++;
	return at;
}

/* Unicode's table of well-formed UTF-8 (3-7); the second byte's range is the subtle part.
 */
static enum document_error scan_utf8(struct scan *scan, const unsigned char **at)
{
	const unsigned char *lead = *at;
	unsigned char low = 0x80, high = 0xbf;
	int more;

	if (*lead >= 0xc2 && *lead <= 0xdf) {
		more = 1;
	} else if ((*lead & 0xf0) == 0xe0) {
		more = 2;
		low = *lead == 0xe0 ? 0xa0 : 0x80;
		high = *lead == 0xed ? 0x9f : 0xbf;
	} else if (*lead >= 0xf0 && *lead <= 0xf4) {
		more = 3;
		low = *lead == 0xf0 ? 0x90 : 0x80;
		high = *lead == 0xf4 ? 0x8f : 0xbf;
	} else {
		return fail(scan, lead, DOCUMENT_BAD_UTF8);
	}
	for (int i = 1; i <= more; i++) {
		if (lead + i == scan->end)
			return ends_early(scan);
		if (lead[i] < low || lead[i] > high)
			return fail(scan, lead, DOCUMENT_BAD_UTF8);
		low = 0x80;
		high = 0xbf;
	}
	*at = lead + more + 1;
	return DOCUMENT_OK;
}

/* Text that is not ASCII seldom comes as a single character. */
static enum document_error scan_utf8_run(struct scan *scan, const unsigned char **at)
{
	enum document_error error;

	do
		error = scan_utf8(scan, at);
	while (!error && *at < scan->end && **at >= 0x80);
	return error;
}

static int hex_value(unsigned char byte)
{
	if (is_digit(byte))
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Reads \uXXXX at @escape into @unit. */
static enum document_error scan_unit(
	struct scan *scan, const unsigned char *escape, uint32_t *unit)
{
	*unit = 0;
	for (int i = 2; i < 6; i++) {
		int value;

		if (escape + i >= scan->end)
			return ends_early(scan);
		value = hex_value(escape[i]);
		if (value < 0)
			return fail(scan, escape, DOCUMENT_BAD_ESCAPE);
		*unit = *unit << 4 | (uint32_t)value;
	}
	return DOCUMENT_OK;
}

/* Judges the low half that must follow the high surrogate at @high. */
static enum document_error scan_low_surrogate(
	struct scan *scan, const unsigned char *high, const unsigned char **at)
{
	const unsigned char *low = high + 6;
	enum document_error error;
	uint32_t unit;

	for (int i = 0; i < 2; i++) {
		if (low + i == scan->end)
			return ends_early(scan);
		if (low[i] != "\\u"[i])
			return fail(scan, high, DOCUMENT_LONE_SURROGATE);
	}
	error = scan_unit(scan, low, &unit);
	if (error)
		return error;
	if (unit < 0xdc00 || unit > 0xdfff)
		return fail(scan, high, DOCUMENT_LONE_SURROGATE);
	*at = low + 6;
	return DOCUMENT_OK;
}

static enum document_error scan_escape(struct scan *scan, const unsigned char **at)
{
	const unsigned char *escape = *at;
	enum document_error error;
	uint32_t unit;

	if (escape + 1 == scan->end)
		return ends_early(scan);
	if (escape[1] != 'u') {
		if (!escape[1] || !strchr("\"\\/bfnrt", escape[1]))
			return fail(scan, escape, DOCUMENT_BAD_ESCAPE);
		*at = escape + 2;
		return DOCUMENT_OK;
	}
	error = scan_unit(scan, escape, &unit);
	if (error)
		return error;
	if (unit >= 0xd800 && unit <= 0xdbff)
		return scan_low_surrogate(scan, escape, at);
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return fail(scan, escape, DOCUMENT_LONE_SURROGATE);
	*at = escape + 6;
	return DOCUMENT_OK;
}

static enum document_error scan_string(struct scan *scan)
{
	const unsigned char *at = scan->at + 1;
	bool escaped = false;

	while ((at = skip_plain(at, scan->end)) < scan->end && *at != '"') {
		enum document_error error;

		if (*at < ' ')
			return fail(scan, at, DOCUMENT_CONTROL_BYTE);
		if (*at == '\\') {
			escaped = true;
			error = scan_escape(scan, &at);
		} else {
			error = scan_utf8_run(scan, &at);
		}
		if (error)
			return error;
	}
	if (at == scan->end)
		return ends_early(scan);
	return push_token(scan, DOCUMENT_STRING, at + 1, escaped);
}

/* At least one digit at @at. */
static enum document_error scan_digits(struct scan *scan, const unsigned char **at)
{
	const unsigned char *digit = *at;

	if (digit == scan->end)
		return ends_early(scan);
	if (!is_digit(*digit))
		return fail(scan, digit, DOCUMENT_BAD_NUMBER);
	while (digit < scan->end && is_digit(*digit))
		digit++;
	*at = digit;
	return DOCUMENT_OK;
}

static enum document_error scan_number(struct scan *scan)
{
	const unsigned char *at = scan->at + (*scan->at == '-'), *end = scan->end;
	const unsigned char *whole = at;
	enum document_error error;

	error = scan_digits(scan, &at);
	if (error)
		return error;
	if (*whole == '0' && at > whole + 1)
		return fail(scan, whole + 1, DOCUMENT_BAD_NUMBER);
	if (at < end && *at == '.') {
		at++;
		error = scan_digits(scan, &at);
		if (error)
			return error;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		at++;
		if (at < end && (*at == '+' || *at == '-'))
			at++;
		error = scan_digits(scan, &at);
		if (error)
			return error;
	}
	return push_token(scan, DOCUMENT_NUMBER, at, false);
}

static enum document_error scan_literal(
	struct scan *scan, enum document_type type, const char *text)
{
	const unsigned char *at = scan->at;

	for (; *text; text++, at++) {
		if (at == scan->end)
			return ends_early(scan);
		if (*at != (unsigned char)*text)
			return fail(scan, at, DOCUMENT_UNEXPECTED_BYTE);
	}
	return push_token(scan, type, at, false);
}

static enum document_error open_container(struct scan *scan, enum document_type type)
{
	if (scan->depth == DOCUMENT_DEPTH_MAX)
		return DOCUMENT_TOO_DEEP;
	scan->open[scan->depth++] = scan->document->count;
	return push_token(scan, type, scan->at + 1, false);
}

/* A whole scalar, or the start of a container. */
static enum document_error scan_value(struct scan *scan)
{
	switch (*scan->at) {
	case '"':
		return scan_string(scan);
	case '{':
		return open_container(scan, DOCUMENT_OBJECT);
	case '[':
		return open_container(scan, DOCUMENT_ARRAY);
	case 't':
		return scan_literal(scan, DOCUMENT_TRUE, "true");
	case 'f':
		return scan_literal(scan, DOCUMENT_FALSE, "false");
	case 'n':
		return scan_literal(scan, DOCUMENT_NULL, "null");
	case '-':
	case '0' ... '9':
		return scan_number(scan);
	default:
		return DOCUMENT_UNEXPECTED_BYTE;
	}
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
		unit = unit << 4 | (uint32_t)hex_value(escape[i]);
	*at = escape + 6;
	if (unit < 0xd800 || unit > 0xdbff)
		return unit;
	for (int i = 8; i < 12; i++)
		low = low << 4 | (uint32_t)hex_value(escape[i]);
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

/* Same names in the same order; both objects have as many. */
static bool same_names(const struct document *document, uint32_t a, uint32_t b)
{
	const struct document_token *tokens = document->tokens;
	uint32_t end = tokens[b].next;

	for (a++, b++; b < end; a = tokens[a + 1].next, b = tokens[b + 1].next) {
		if (tokens[a].length != tokens[b].length ||
			memcmp(document->bytes + tokens[a].start,
				document->bytes + tokens[b].start, tokens[a].length) != 0)
			return false;
	}
	return true;
}

static enum document_error duplicate(struct scan *scan, uint32_t name)
{
	const struct document *document = scan->document;

	return fail(scan,
		(const unsigned char *)document->bytes + document->tokens[name].start,
		DOCUMENT_DUPLICATE_NAME);
}

static enum document_error compare_names(struct scan *scan, uint32_t object)
{
	const struct document *document = scan->document;
	const struct document_token *tokens = document->tokens;
	uint32_t end = tokens[object].next;

	for (uint32_t name = object + 1; name < end; name = tokens[name + 1].next) {
		for (uint32_t i = object + 1; i < name; i = tokens[i + 1].next) {
			if (document_strings_equal(document, i, document, name))
				return duplicate(scan, name);
		}
	}
	return DOCUMENT_OK;
}

/* Drawn anew for each scan, so that nobody can prepare names that collide. */
static void draw_seed(struct scan *scan)
{
	if (scan->seed)
		return;
	if (getrandom(&scan->seed, sizeof(scan->seed), 0) != sizeof(scan->seed))
		scan->seed = (uintptr_t)scan->document->tokens;
	scan->seed |= 1;
}

/* A set of the names, in the spare room after the last token. */
static enum document_error hash_names(struct scan *scan, uint32_t object)
{
	struct document *document = scan->document;
	size_t slot_count = 2 * COMPARED_PAIRWISE;
	struct slot *slots;
	uint32_t end;

	while (slot_count < 2 * (size_t)document->tokens[object].count)
		slot_count *= 2;
	if (!reserve(document, slot_count * sizeof(*slots) / sizeof(*document->tokens)))
		return DOCUMENT_NO_MEMORY;
	slots = (struct slot *)&document->tokens[document->count];
	memset(slots, 0, slot_count * sizeof(*slots));
	draw_seed(scan);

	end = document->tokens[object].next;
	for (uint32_t name = object + 1; name < end;
		name = document->tokens[name + 1].next) {
		uint64_t hash = document_string_hash(document, name, scan->seed);
		size_t place = hash & (slot_count - 1);

		for (; slots[place].name; place = (place + 1) & (slot_count - 1)) {
			if (slots[place].hash == hash >> 32 &&
				document_strings_equal(
					document, slots[place].name, document, name))
				return duplicate(scan, name);
		}
		slots[place].name = name;
		slots[place].hash = hash >> 32;
	}
	return DOCUMENT_OK;
}

/* Rows of a list mostly carry the names of the row before, which are known to differ. */
static enum document_error check_names(struct scan *scan, uint32_t object)
{
	const struct document_token *tokens = scan->document->tokens;
	uint32_t *closed = &scan->closed[scan->depth];
	uint32_t before = *closed;

	*closed = object;
	if (before && tokens[before].count == tokens[object].count &&
		same_names(scan->document, before, object))
		return DOCUMENT_OK;
	if (tokens[object].count <= COMPARED_PAIRWISE)
		return compare_names(scan, object);
	return hash_names(scan, object);
}

static enum document_error close_container(struct scan *scan)
{
	struct document *document = scan->document;
	uint32_t container = scan->open[--scan->depth];
	struct document_token *token = &document->tokens[container];

	scan->at++;
	token->length = (uint32_t)(scan->at - (const unsigned char *)document->bytes) -
		token->start;
	token->next = document->count;
	return token->type == DOCUMENT_OBJECT ? check_names(scan, container)
					      : DOCUMENT_OK;
}

static enum document_error scan_name(struct scan *scan)
{
	enum document_error error;

	if (*scan->at != '"')
		return DOCUMENT_UNEXPECTED_BYTE;
	error = scan_string(scan);
	if (error)
		return error;
	if (!skip_space(scan))
		return DOCUMENT_ENDS_EARLY;
	if (*scan->at != ':')
		return DOCUMENT_UNEXPECTED_BYTE;
	scan->at++;
	return skip_space(scan) ? DOCUMENT_OK : DOCUMENT_ENDS_EARLY;
}

/* The next element or member of the innermost open container, or its end. */
static enum document_error scan_next(struct scan *scan)
{
	uint32_t container = scan->open[scan->depth - 1];
	struct document_token *token = &scan->document->tokens[container];
	bool object = token->type == DOCUMENT_OBJECT;
	enum document_error error;

	if (!skip_space(scan))
		return DOCUMENT_ENDS_EARLY;
	if (*scan->at == (object ? '}' : ']'))
		return close_container(scan);
	if (token->count > 0) {
		if (*scan->at != ',')
			return DOCUMENT_UNEXPECTED_BYTE;
		scan->at++;
		if (!skip_space(scan))
			return DOCUMENT_ENDS_EARLY;
	}
	if (token->count == COUNT_MAX)
		return DOCUMENT_TOO_LARGE;
	token->count++;
	error = object ? scan_name(scan) : DOCUMENT_OK;
	return error ? error : scan_value(scan);
}

static enum document_error scan_root(struct scan *scan)
{
	enum document_error error;

	if (!skip_space(scan))
		return DOCUMENT_ENDS_EARLY;
	error = scan_value(scan);
	while (!error && scan->depth > 0)
		error = scan_next(scan);
	if (!error && skip_space(scan))
		error = DOCUMENT_TRAILING_BYTES;
	return error;
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

enum document_error document_scan(
	struct document *document, const char *bytes, size_t length, size_t *offset)
{
	struct scan scan = {.document = document};
	enum document_error error = DOCUMENT_TOO_LARGE;

	if (length == 0)
		bytes = "";
	document->bytes = bytes;
	document->length = length;
	document->count = 0;
	scan.at = (const unsigned char *)bytes;
	if (length <= DOCUMENT_BYTES_MAX) {
		scan.end = scan.at + length;
		error = scan_root(&scan);
	}
	if (error) {
		document->count = 0;
		if (offset)
			*offset = (size_t)(scan.at - (const unsigned char *)bytes);
	}
	return error;
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

bool document_utf8_valid(const char *bytes, size_t length)
{
	const unsigned char *at = (const unsigned char *)bytes;
	struct scan scan = {.end = at + length};

	while (at < scan.end) {
		if (*at < 0x80)
			at++;
		else if (scan_utf8(&scan, &at) != DOCUMENT_OK)
			return false;
	}
	return true;
}
