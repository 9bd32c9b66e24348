#include "common/document.h"
#include "common/document_part.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/*
 * What scans a part takes the place it begins at and returns the place after it, or NULL
 * after fail().
 */

#define COUNT_MAX ((1u << 28) - 1) /* what document_token.count can hold */
#define CAPACITY_FIRST 64          /* tokens */
#define COMPARED_PAIRWISE 8        /* members; above, hashing their names is faster */

/*
 * Containers up to this size are looked for in the document that is alike, larger ones
 * by what they hold: so the sum of all comparisons stays linear.
 */
#define COPIED_MAX 4096 /* bytes */
#define COPIED_AHEAD 4  /* elements; where fewer are gone the next is found again */
#define NO_TWIN UINT32_MAX

/*
 * The rows of a list mostly carry the same names in the same order. So each container has
 * a model, where there is one: the container in its place in the row before. Names that
 * are the model's, byte by byte, need not be judged again, and are known to differ.
 */
#define NO_MODEL 0 /* the root is nobody's */

typedef const unsigned char *place;

/* A container we are in. */
struct level {
	uint32_t container;
	uint32_t count; /* of its elements or members so far */
	bool object;
	/* Of an object: the names of the model, from the one that may come next to the
	 * end. Both 0: there is no model, or the names have parted from it. */
	uint32_t model_name;
	uint32_t model_end;
	uint32_t sibling; /* a container perhaps like the next one in here, or 0 */
	/* Of the container that stands here in the document that is alike, if any: what
	 * may come next, and its end. */
	uint32_t twin;
	uint32_t twin_end;
	uint32_t missed; /* elements since one was found there, to COPIED_AHEAD - 1 */
};

struct scan {
	struct document *document;
	const struct document *like; /* or NULL */
	place end;
	uint64_t seed; /* of the hash of names; 0 until needed */
	enum document_error error;
	place failed_at;
	uint32_t depth;
	struct level levels[DOCUMENT_DEPTH_MAX];
};

/* One place in the set of an object's names. */
struct slot {
	uint32_t name; /* its token; 0 is free, the root is no name */
	uint32_t hash;
};

static __attribute__((cold)) place fail(
	struct scan *scan, place at, enum document_error error)
{
	scan->error = error;
	scan->failed_at = at;
	return NULL;
}

static place ends_early(struct scan *scan)
{
	return fail(scan, scan->end, DOCUMENT_ENDS_EARLY);
}

static place start_of(const struct document *document)
{
	return (place)document->bytes;
}

/* ---- the tape ---- */

/* Makes room for @more tokens after the last one. */
static __attribute__((noinline)) bool grow(struct document *document, size_t more)
{
	size_t capacity = document->capacity ? document->capacity : CAPACITY_FIRST;
	struct document_token *tokens;

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

static inline bool reserve(struct document *document, size_t more)
{
	return document->capacity - document->count >= more || grow(document, more);
}

/* Adds a value or name; returns @end. */
static inline place push_token(
	struct scan *scan, enum document_type type, place at, place end, bool escaped)
{
	struct document *document = scan->document;

	if (!reserve(document, 1))
		return fail(scan, at, DOCUMENT_NO_MEMORY);
	document->tokens[document->count] = (struct document_token){
		.start = (uint32_t)(at - start_of(document)),
		.length = (uint32_t)(end - at),
		.next = document->count + 1,
		.type = type,
		.escaped = escaped,
	};
	document->count++;
	return end;
}

/* ---- scalars ---- */

static inline bool is_digit(unsigned char byte)
{
	return byte >= '0' && byte <= '9';
}

static inline bool is_space(unsigned char byte)
{
	return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static __attribute__((noinline)) place skip_spaces(place at, place end)
{
	while (at < end && is_space(*at)) {
		uint64_t eight;

		at++;
		while (end - at >= 8 && memcpy(&eight, at, 8) &&
			eight == 0x2020202020202020)
			at += 8;
	}
	return at;
}

/* The first byte from @at on that is no white space, or the end. */
static inline place skip_space(place at, place end)
{
	return at<end && * at> ' ' ? at : skip_spaces(at, end);
}

/* The first byte from @at on that is a quote, a backslash, a control byte or not ASCII.
 */
static inline place skip_plain(place at, place end)
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
static place scan_utf8(struct scan *scan, place lead)
{
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
	return lead + more + 1;
}

/* Text that is not ASCII seldom comes as a single character. */
static place scan_utf8_run(struct scan *scan, place at)
{
	do
		at = scan_utf8(scan, at);
	while (at && at < scan->end && *at >= 0x80);
	return at;
}

/* Reads \uXXXX at @escape into @unit. */
static place scan_unit(struct scan *scan, place escape, uint32_t *unit)
{
	*unit = 0;
	for (int i = 2; i < 6; i++) {
		unsigned char digit;

		if (escape + i >= scan->end)
			return ends_early(scan);
		digit = escape[i] | 0x20;
		if (is_digit(escape[i]))
			*unit = *unit << 4 | (uint32_t)(escape[i] - '0');
		else if (digit >= 'a' && digit <= 'f')
			*unit = *unit << 4 | (uint32_t)(digit - 'a' + 10);
		else
			return fail(scan, escape, DOCUMENT_BAD_ESCAPE);
	}
	return escape + 6;
}

/* Judges the low half that must follow the high surrogate at @high. */
static place scan_low_surrogate(struct scan *scan, place high)
{
	place low = high + 6, after;
	uint32_t unit;

	for (int i = 0; i < 2; i++) {
		if (low + i == scan->end)
			return ends_early(scan);
		if (low[i] != "\\u"[i])
			return fail(scan, high, DOCUMENT_LONE_SURROGATE);
	}
	after = scan_unit(scan, low, &unit);
	if (after && (unit < 0xdc00 || unit > 0xdfff))
		return fail(scan, high, DOCUMENT_LONE_SURROGATE);
	return after;
}

static place scan_escape(struct scan *scan, place escape)
{
	place after;
	uint32_t unit;

	if (escape + 1 == scan->end)
		return ends_early(scan);
	if (escape[1] != 'u') {
		if (!escape[1] || !strchr("\"\\/bfnrt", escape[1]))
			return fail(scan, escape, DOCUMENT_BAD_ESCAPE);
		return escape + 2;
	}
	after = scan_unit(scan, escape, &unit);
	if (!after)
		return NULL;
	if (unit >= 0xd800 && unit <= 0xdbff)
		return scan_low_surrogate(scan, escape);
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return fail(scan, escape, DOCUMENT_LONE_SURROGATE);
	return after;
}

/* The rest of the string that begins at @start, from the first byte that is not plain. */
static __attribute__((noinline)) place scan_rich_string(
	struct scan *scan, place start, place at)
{
	bool escaped = false;

	for (; at < scan->end && *at != '"'; at = skip_plain(at, scan->end)) {
		if (*at < ' ')
			return fail(scan, at, DOCUMENT_CONTROL_BYTE);
		escaped |= *at == '\\';
		at = *at == '\\' ? scan_escape(scan, at) : scan_utf8_run(scan, at);
		if (!at)
			return NULL;
	}
	if (at == scan->end)
		return ends_early(scan);
	return push_token(scan, DOCUMENT_STRING, start, at + 1, escaped);
}

static inline place scan_string(struct scan *scan, place start)
{
	place at = skip_plain(start + 1, scan->end);

	if (at < scan->end && *at == '"')
		return push_token(scan, DOCUMENT_STRING, start, at + 1, false);
	return scan_rich_string(scan, start, at);
}

/* At least one digit at @at. */
static inline place scan_digits(struct scan *scan, place at)
{
	if (at == scan->end)
		return ends_early(scan);
	if (!is_digit(*at))
		return fail(scan, at, DOCUMENT_BAD_NUMBER);
	do
		at++;
	while (at < scan->end && is_digit(*at));
	return at;
}

static place scan_number(struct scan *scan, place start)
{
	place whole = start + (*start == '-'), at = scan_digits(scan, whole);

	if (!at)
		return NULL;
	if (*whole == '0' && at > whole + 1)
		return fail(scan, whole + 1, DOCUMENT_BAD_NUMBER);
	if (at < scan->end && *at == '.') {
		at = scan_digits(scan, at + 1);
		if (!at)
			return NULL;
	}
	if (at < scan->end && (*at == 'e' || *at == 'E')) {
		at++;
		if (at < scan->end && (*at == '+' || *at == '-'))
			at++;
		at = scan_digits(scan, at);
		if (!at)
			return NULL;
	}
	return push_token(scan, DOCUMENT_NUMBER, start, at, false);
}

static place scan_literal(
	struct scan *scan, place start, enum document_type type, const char *text)
{
	place at = start;

	for (; *text; text++, at++) {
		if (at == scan->end)
			return ends_early(scan);
		if (*at != (unsigned char)*text)
			return fail(scan, at, DOCUMENT_UNEXPECTED_BYTE);
	}
	return push_token(scan, type, start, at, false);
}

/* ---- names of members ---- */

static bool duplicate(struct scan *scan, uint32_t name)
{
	const struct document *document = scan->document;

	fail(scan, start_of(document) + document->tokens[name].start,
		DOCUMENT_DUPLICATE_NAME);
	return false;
}

static bool compare_names(struct scan *scan, uint32_t object)
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
	return true;
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
static bool hash_names(struct scan *scan, uint32_t object)
{
	struct document *document = scan->document;
	size_t slot_count = 2 * COMPARED_PAIRWISE;
	struct slot *slots;
	uint32_t end;

	while (slot_count < 2 * (size_t)document->tokens[object].count)
		slot_count *= 2;
	if (!reserve(document, slot_count * sizeof(*slots) / sizeof(*document->tokens))) {
		fail(scan, start_of(document) + document->tokens[object].start,
			DOCUMENT_NO_MEMORY);
		return false;
	}
	slots = (struct slot *)&document->tokens[document->count];
	memset(slots, 0, slot_count * sizeof(*slots));
	draw_seed(scan);

	end = document->tokens[object].next;
	for (uint32_t name = object + 1; name < end;
		name = document->tokens[name + 1].next) {
		uint64_t hash = document_string_hash(document, name, scan->seed);
		size_t index = hash & (slot_count - 1);

		for (; slots[index].name; index = (index + 1) & (slot_count - 1)) {
			if (slots[index].hash == hash >> 32 &&
				document_strings_equal(
					document, slots[index].name, document, name))
				return duplicate(scan, name);
		}
		slots[index].name = name;
		slots[index].hash = hash >> 32;
	}
	return true;
}

static bool check_names(struct scan *scan, const struct level *level)
{
	if (level->model_end != NO_MODEL)
		return true;
	if (level->count <= COMPARED_PAIRWISE)
		return compare_names(scan, level->container);
	return hash_names(scan, level->container);
}

/* ---- containers ---- */

/* Notes what in @model, a container of the same type, stands for what comes in @level. */
static void follow_model(const struct scan *scan, struct level *level, uint32_t model)
{
	const struct document_token *token = &scan->document->tokens[model];

	if (level->object) {
		level->model_name = model + 1;
		level->model_end = token->next;
	} else if (token->count > 0) {
		level->sibling = model + 1;
	}
}

static inline place open_container(struct scan *scan, place at, enum document_type type,
	uint32_t twin, uint32_t model)
{
	struct level *level = &scan->levels[scan->depth];

	if (scan->depth == DOCUMENT_DEPTH_MAX)
		return fail(scan, at, DOCUMENT_TOO_DEEP);
	if (scan->depth++ > 0)
		level[-1].sibling = scan->document->count;
	*level = (struct level){
		.container = scan->document->count,
		.object = type == DOCUMENT_OBJECT,
	};
	if (model != NO_MODEL && scan->document->tokens[model].type == type)
		follow_model(scan, level, model);
	if (twin != NO_TWIN && scan->like->tokens[twin].type == type) {
		level->twin = twin + 1;
		level->twin_end = scan->like->tokens[twin].next;
	}
	return push_token(scan, type, at, at + 1, false);
}

/*
 * A whole scalar, or the start of a container.
 *
 * @twin   what stands here in the document that is alike, or NO_TWIN
 * @model  see NO_MODEL
 */
static inline place scan_value(struct scan *scan, place at, uint32_t twin, uint32_t model)
{
	switch (*at) {
	case '"':
		return scan_string(scan, at);
	case '{':
		return open_container(scan, at, DOCUMENT_OBJECT, twin, model);
	case '[':
		return open_container(scan, at, DOCUMENT_ARRAY, twin, model);
	case 't':
		return scan_literal(scan, at, DOCUMENT_TRUE, "true");
	case 'f':
		return scan_literal(scan, at, DOCUMENT_FALSE, "false");
	case 'n':
		return scan_literal(scan, at, DOCUMENT_NULL, "null");
	case '-':
	case '0' ... '9':
		return scan_number(scan, at);
	default:
		return fail(scan, at, DOCUMENT_UNEXPECTED_BYTE);
	}
}

static place close_container(struct scan *scan, place at)
{
	struct document *document = scan->document;
	struct level *level = &scan->levels[--scan->depth];
	struct document_token *token = &document->tokens[level->container];

	at++;
	token->length = (uint32_t)(at - start_of(document)) - token->start;
	token->next = document->count;
	token->count = level->count;
	return level->object && !check_names(scan, level) ? NULL : at;
}

/* Names are short, so a call of memcmp() would cost more than the comparison. */
static inline bool same_name(place before, place at, place end, uint32_t length)
{
#ifdef __SSE2__
	if (length <= 16 && end - at >= 16) {
		__m128i one = _mm_loadu_si128((const __m128i *)before);
		__m128i two = _mm_loadu_si128((const __m128i *)at);
		unsigned differ = ~(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(one, two));

		return (differ & ((1u << length) - 1)) == 0;
	}
#endif
	return length <= (size_t)(end - at) && memcmp(before, at, length) == 0;
}

static inline bool is_model_name(
	const struct scan *scan, const struct level *level, place at)
{
	const struct document_token *name = &scan->document->tokens[level->model_name];

	return level->model_name != level->model_end &&
		same_name(start_of(scan->document) + name->start, at, scan->end,
			name->length);
}

/* The same bytes have been judged before. Sets @model to the model of the value. */
static inline place copy_name(
	struct scan *scan, struct level *level, place at, uint32_t *model)
{
	const struct document_token *name = &scan->document->tokens[level->model_name];

	*model = level->model_name + 1;
	level->model_name = name[1].next;
	return push_token(scan, DOCUMENT_STRING, at, at + name->length, name->escaped);
}

/* A name that is not the model's, so those to come are not either. */
static place scan_own_name(struct scan *scan, struct level *level, place at)
{
	level->model_name = level->model_end = NO_MODEL;
	if (*at != '"')
		return fail(scan, at, DOCUMENT_UNEXPECTED_BYTE);
	return scan_string(scan, at);
}

/* A name and its colon. @model is left alone where the name is not the model's. */
static inline place scan_name(
	struct scan *scan, struct level *level, place at, uint32_t *model)
{
	at = is_model_name(scan, level, at) ? copy_name(scan, level, at, model)
					    : scan_own_name(scan, level, at);
	if (!at)
		return NULL;
	at = skip_space(at, scan->end);
	if (at == scan->end)
		return ends_early(scan);
	if (*at != ':')
		return fail(scan, at, DOCUMENT_UNEXPECTED_BYTE);
	at = skip_space(at + 1, scan->end);
	return at < scan->end ? at : ends_early(scan);
}

/* ---- what a document that is alike tells ---- */

static bool is_like(const struct scan *scan, uint32_t twin, place at)
{
	const struct document_token *token = &scan->like->tokens[twin];

	return token->type >= DOCUMENT_ARRAY && token->length <= COPIED_MAX &&
		token->length <= (size_t)(scan->end - at) &&
		memcmp(scan->like->bytes + token->start, at, token->length) == 0;
}

/* The same bytes at the same depth have been judged before. */
static place copy_value(struct scan *scan, uint32_t twin, place at)
{
	struct document *document = scan->document;
	const struct document_token *from = &scan->like->tokens[twin];
	uint32_t count = from->next - twin, index = document->count;
	uint32_t start = (uint32_t)(at - start_of(document)) - from->start;
	struct document_token *to;

	if (!reserve(document, count))
		return fail(scan, at, DOCUMENT_NO_MEMORY);
	to = &document->tokens[index];
	for (uint32_t i = 0; i < count; i++) {
		to[i] = from[i];
		to[i].start += start;
		to[i].next += index - twin;
	}
	document->count += count;
	scan->levels[scan->depth - 1].sibling = index;
	return at + to->length;
}

/* The member whose name was just scanned; members come in the same order, mostly. */
static uint32_t twin_of_member(struct scan *scan, struct level *level)
{
	const struct document_token *tokens = scan->like->tokens, *name, *twin;

	if (level->twin == level->twin_end)
		return NO_TWIN;
	name = &scan->document->tokens[scan->document->count - 1];
	twin = &tokens[level->twin];
	if (name->length != twin->length ||
		memcmp(scan->document->bytes + name->start,
			scan->like->bytes + twin->start, name->length) != 0)
		return NO_TWIN;
	level->twin = tokens[level->twin + 1].next;
	return twin->next;
}

/*
 * The element at @at: one that is the same, among those that may come next, or else the
 * one in the same place after the last that was the same.
 */
static uint32_t twin_of_element(struct scan *scan, struct level *level, place at)
{
	const struct document_token *tokens = scan->like->tokens;
	uint32_t element = level->twin, same_place = NO_TWIN;

	if (*at != '{' && *at != '[')
		return NO_TWIN;
	for (uint32_t i = 0; i < COPIED_AHEAD && element < level->twin_end; i++) {
		if (is_like(scan, element, at))
			return element;
		if (i == level->missed)
			same_place = element;
		element = tokens[element].next;
	}
	return same_place;
}

static void note_missed(const struct scan *scan, struct level *level)
{
	if (level->missed + 1 < COPIED_AHEAD)
		level->missed++;
	else if (level->twin < level->twin_end)
		level->twin = scan->like->tokens[level->twin].next;
}

static place scan_value_like(
	struct scan *scan, struct level *level, place at, uint32_t model)
{
	uint32_t twin = level->object ? twin_of_member(scan, level)
				      : twin_of_element(scan, level, at);

	if (twin != NO_TWIN && is_like(scan, twin, at)) {
		if (!level->object) {
			level->twin = scan->like->tokens[twin].next;
			level->missed = 0;
		}
		return copy_value(scan, twin, at);
	}
	if (!level->object)
		note_missed(scan, level);
	return scan_value(scan, at, twin, model);
}

/* ---- the whole ---- */

/* The next element or member of the innermost open container, or its end. */
static inline place scan_next(struct scan *scan, place at)
{
	struct level *level = &scan->levels[scan->depth - 1];
	uint32_t model = level->sibling;

	at = skip_space(at, scan->end);
	if (at == scan->end)
		return ends_early(scan);
	if (*at == (level->object ? '}' : ']'))
		return close_container(scan, at);
	if (level->count > 0) {
		if (*at != ',')
			return fail(scan, at, DOCUMENT_UNEXPECTED_BYTE);
		at = skip_space(at + 1, scan->end);
		if (at == scan->end)
			return ends_early(scan);
	}
	if (level->count == COUNT_MAX)
		return fail(scan, at, DOCUMENT_TOO_LARGE);
	level->count++;
	if (level->object) {
		at = scan_name(scan, level, at, &model);
		if (!at)
			return NULL;
	}
	return scan->like ? scan_value_like(scan, level, at, model)
			  : scan_value(scan, at, NO_TWIN, model);
}

/* A value and all it holds. */
static place scan_tree(struct scan *scan, place at)
{
	uint32_t around = scan->depth;

	at = skip_space(at, scan->end);
	at = at < scan->end ? scan_value(scan, at, scan->like ? 0 : NO_TWIN, NO_MODEL)
			    : ends_early(scan);
	while (at && scan->depth > around)
		at = scan_next(scan, at);
	return at;
}

static bool scan_root(struct scan *scan, place at)
{
	at = scan_tree(scan, at);
	if (!at)
		return false;
	at = skip_space(at, scan->end);
	return at == scan->end || fail(scan, at, DOCUMENT_TRAILING_BYTES);
}

/* All but the levels, which would cost more than a short document does. */
static void scan_init(struct scan *scan, struct document *document)
{
	memset(scan, 0, offsetof(struct scan, levels));
	scan->document = document;
}

enum document_error document_scan(
	struct document *document, const char *bytes, size_t length, size_t *offset)
{
	return document_scan_like(document, NULL, bytes, length, offset);
}

enum document_error document_scan_like(struct document *document,
	const struct document *like, const char *bytes, size_t length, size_t *offset)
{
	struct scan scan;
	place at = (place)(length > 0 ? bytes : "");

	scan_init(&scan, document);
	scan.like = like && like->count > 0 ? like : NULL;
	document->bytes = (const char *)at;
	document->length = length;
	document->count = 0;
	document->cut = 0;
	scan.end = at + length;
	if (length > DOCUMENT_BYTES_MAX)
		fail(&scan, at, DOCUMENT_TOO_LARGE);
	else
		scan_root(&scan, at);
	if (scan.error) {
		document->count = 0;
		if (offset)
			*offset = (size_t)(scan.failed_at - at);
	}
	return scan.error;
}

bool document_reserve(struct document *document, size_t more)
{
	return reserve(document, more);
}

size_t document_scan_part(
	struct document *document, size_t start, size_t end, uint32_t depth)
{
	struct scan scan;
	place at = start_of(document) + start;

	scan_init(&scan, document);
	scan.end = start_of(document) + end;
	scan.depth = depth;
	at = scan_tree(&scan, at);
	return at ? (size_t)(skip_space(at, scan.end) - start_of(document)) : 0;
}

bool document_utf8_valid(const char *bytes, size_t length)
{
	place at = (place)bytes;
	struct scan scan;

	scan.end = at + length;
	while (at && at < scan.end)
		at = *at < 0x80 ? at + 1 : scan_utf8(&scan, at);
	return at != NULL;
}
