#include "common/document_narrow.h"
#include "common/document_part.h"
#include "common/document_skim.h"

#include <string.h>

#define EQUAL_AT_ONCE 256 /* bytes */
#define TRIES_MAX 4       /* parts scanned, each around the one before; bounds the work */

/* Bytes. An array in a longer text could have more elements than a token can count. */
#define NARROW_MAX (DOCUMENT_BYTES_MAX / 4)

struct text {
	const char *bytes;
	size_t length;
};

/* A container that the text before is in where it begins to differ. */
struct around {
	uint32_t start;
	uint32_t end;
	uint32_t comma; /* the last one in it before the difference, or its start */
	uint32_t count; /* of its elements or members that end there */
};

struct narrow {
	struct text before;
	struct text after;
	size_t part_max;
	uint32_t differ_start; /* in both */
	uint32_t differ_end;   /* in the text before */
	uint32_t depth;        /* where the search is */
	uint32_t open;  /* containers around the start of the difference, not yet ended */
	uint32_t count; /* containers around all of the difference */
	struct around around[DOCUMENT_DEPTH_MAX]; /* outermost first */
};

/*
 * What is to be scanned: an object, or elements of an array. That array and what is
 * around it stand for themselves, and for what is the same in them.
 */
struct part {
	bool elements;
	uint32_t around; /* how many containers are */
	uint32_t start;  /* in both */
	uint32_t end;    /* in the text before, or of what may be in it */
};

/* ---- the bytes that differ ---- */

static size_t equal_at_start(const char *a, const char *b, size_t length)
{
	size_t at = 0;

	while (length - at >= EQUAL_AT_ONCE && memcmp(a + at, b + at, EQUAL_AT_ONCE) == 0)
		at += EQUAL_AT_ONCE;
	while (at < length && a[at] == b[at])
		at++;
	return at;
}

static size_t equal_at_end(const char *a_end, const char *b_end, size_t length)
{
	size_t back = 0;

	while (length - back >= EQUAL_AT_ONCE &&
		memcmp(a_end - back - EQUAL_AT_ONCE, b_end - back - EQUAL_AT_ONCE,
			EQUAL_AT_ONCE) == 0)
		back += EQUAL_AT_ONCE;
	while (back < length &&
		a_end[-1 - (ptrdiff_t)back] == b_end[-1 - (ptrdiff_t)back])
		back++;
	return back;
}

static void find_difference(struct narrow *narrow)
{
	const struct text *before = &narrow->before, *after = &narrow->after;
	size_t shorter = before->length < after->length ? before->length : after->length;
	size_t start = equal_at_start(before->bytes, after->bytes, shorter);
	size_t end = equal_at_end(before->bytes + before->length,
		after->bytes + after->length, shorter - start);

	narrow->differ_start = (uint32_t)start;
	narrow->differ_end = (uint32_t)(before->length - end);
}

/* ---- the containers around it ---- */

/* How much longer the text after is; as offsets are, modulo 2^32. */
static uint32_t longer(const struct narrow *narrow)
{
	return (uint32_t)(narrow->after.length - narrow->before.length);
}

/* Up to the difference: which containers are open, and where in them we are. */
static bool go_in(struct narrow *narrow, const struct skim_block *block, uint64_t wanted,
	uint32_t offset)
{
	uint64_t found = (block->opens | block->closes | block->commas) & wanted;

	for (; found; found &= found - 1) {
		uint64_t bit = found & -found;
		uint32_t at = offset + (uint32_t)__builtin_ctzll(found);

		if (block->opens & bit) {
			if (narrow->depth == DOCUMENT_DEPTH_MAX)
				return false;
			narrow->around[narrow->depth++] =
				(struct around){.start = at, .comma = at};
		} else if (narrow->depth == 0) {
			return false;
		} else if (block->closes & bit) {
			narrow->depth--;
		} else {
			narrow->around[narrow->depth - 1].comma = at;
			narrow->around[narrow->depth - 1].count++;
		}
	}
	narrow->open = narrow->count = narrow->depth;
	return true;
}

/* From there on: where these containers end. */
static bool go_out(struct narrow *narrow, const struct skim_block *block, uint64_t wanted,
	uint32_t offset)
{
	uint64_t found = (block->opens | block->closes) & wanted;

	for (; found; found &= found - 1) {
		uint32_t at = offset + (uint32_t)__builtin_ctzll(found);

		if (block->opens & found & -found) {
			narrow->depth++;
			continue;
		}
		if (narrow->depth == 0)
			return false;
		if (--narrow->depth >= narrow->open)
			continue;
		narrow->open = narrow->depth;
		narrow->around[narrow->depth].end = at + 1;
		if (at < narrow->differ_end)
			narrow->count = narrow->depth;
	}
	return true;
}

static bool is_array(const struct narrow *narrow, uint32_t around)
{
	return narrow->before.bytes[narrow->around[around].start] == '[';
}

/* What may be scanned of the container, to its end. */
static struct part part_in(const struct narrow *narrow, uint32_t around)
{
	const struct around *container = &narrow->around[around];

	if (is_array(narrow, around))
		return (struct part){.elements = true,
			.around = around + 1,
			.start = container->comma + 1,
			.end = container->end - 1};
	return (struct part){
		.around = around, .start = container->start, .end = container->end};
}

/* @start, @end  in the text before */
static bool is_small(const struct narrow *narrow, uint32_t start, uint32_t end)
{
	return end - start <= narrow->part_max &&
		end + longer(narrow) - start <= narrow->part_max;
}

/* Once the difference is passed: whether what is around it can be small enough. */
static bool is_promising(const struct narrow *narrow)
{
	return narrow->count > 0 &&
		is_small(narrow, part_in(narrow, narrow->count - 1).start,
			narrow->differ_end);
}

static struct skim_block skim_at(
	const struct narrow *narrow, struct skim *skim, uint32_t offset)
{
	size_t left = narrow->before.length - offset;
	char last[SKIM_BYTES];

	if (left >= SKIM_BYTES)
		return skim_next(skim, narrow->before.bytes + offset);
	memset(last, ' ', sizeof(last));
	memcpy(last, narrow->before.bytes + offset, left);
	return skim_next(skim, last);
}

/* The bits of the bytes before @place in the block at @offset. */
static uint64_t bits_before(uint32_t place, uint32_t offset)
{
	if (place <= offset)
		return 0;
	return place - offset >= SKIM_BYTES ? UINT64_MAX
					    : ((uint64_t)1 << (place - offset)) - 1;
}

static bool find_around(struct narrow *narrow)
{
	struct skim skim = {0};

	for (uint32_t at = 0; at < narrow->before.length; at += SKIM_BYTES) {
		struct skim_block block = skim_at(narrow, &skim, at);
		uint64_t in = bits_before(narrow->differ_start, at);

		if (in && !go_in(narrow, &block, in, at))
			return false;
		if (~in && !go_out(narrow, &block, ~in, at))
			return false;
		if (at >= narrow->differ_end && !is_promising(narrow))
			return false;
	}
	return narrow->open == 0;
}

/* ---- the tapes ---- */

/* Stands for an element that is the same in both texts: a value of no bytes. */
static void add_same(struct document *document)
{
	document->tokens[document->count] = (struct document_token){
		.type = DOCUMENT_NULL, .next = document->count + 1};
	document->count++;
}

/* Adds a container around the part, and what tells where in it the part is. */
static bool add_around(struct document *document, const struct around *around,
	uint32_t end, uint32_t depth)
{
	bool is_array = document->bytes[around->start] == '[';
	uint32_t same_count = is_array ? around->count : 0;

	if (!document_reserve(document, 1 + (size_t)same_count))
		return false;
	document->tokens[document->count++] = (struct document_token){
		.start = around->start,
		.length = end - around->start,
		.count = same_count + 1,
		.type = is_array ? DOCUMENT_ARRAY : DOCUMENT_OBJECT,
	};
	for (uint32_t i = 0; i < same_count; i++)
		add_same(document);
	return is_array ||
		document_scan_part(document, around->comma + 1, end, depth + 1) != 0;
}

static bool begin_tape(const struct part *part, const struct narrow *narrow,
	struct document *document, const struct text *text, uint32_t longer_by)
{
	document->bytes = text->bytes;
	document->length = text->length;
	document->count = 0;
	for (uint32_t i = 0; i < part->around; i++) {
		const struct around *around = &narrow->around[i];

		if (!add_around(document, around, around->end + longer_by, i))
			return false;
	}
	return true;
}

/*
 * Nothing comes after the part in any container around it.
 *
 * @count  elements in it, if it is of an array
 * @more   which has more of them
 */
static void end_tape(
	struct document *document, const struct part *part, uint32_t count, bool more)
{
	uint32_t around = 0, next = 0;

	for (uint32_t i = 0; i < part->around; i++) {
		struct document_token *token = &document->tokens[next];

		around = next;
		token->next = document->count;
		/* After the elements before it, or after its name. */
		next += token->count + (token->type == DOCUMENT_OBJECT);
	}
	document->cut = part->elements && more ? around + 1 : 0;
	if (part->elements)
		document->tokens[around].count += count - 1;
}

/*
 * Scans what the part holds: up to the first value that ends at @enough or after.
 *
 * @end    what is not to be looked at
 * @count  set to the number of values
 *
 * Returns the offset of what comes next, or 0.
 */
static size_t scan_values(struct document *document, const struct part *part,
	size_t enough, size_t end, uint32_t *count)
{
	size_t at = part->start;

	for (*count = 1;; ++*count) {
		at = document_scan_part(document, at, end, part->around);
		if (at == 0 || at >= enough)
			return at;
		if (!part->elements || document->bytes[at] != ',')
			return 0;
		at++;
	}
}

/* Fills both documents with @part, of which the end is not yet known. */
static bool scan_both(const struct narrow *narrow, struct part part,
	struct document *before, struct document *after)
{
	size_t end = part.end, after_end;
	uint32_t count;
	bool more;

	if (end - part.start > narrow->part_max)
		end = part.start + narrow->part_max;
	if (!begin_tape(&part, narrow, before, &narrow->before, 0))
		return false;
	end = scan_values(before, &part, narrow->differ_end, end, &count);
	more = end < part.end;
	/* A number at the end of what was looked at may go on. */
	if (end == 0 || (more && before->bytes[end] != ',') ||
		!is_small(narrow, part.start, (uint32_t)end))
		return false;
	end_tape(before, &part, count, more);

	after_end = (uint32_t)end + longer(narrow);
	if (!begin_tape(&part, narrow, after, &narrow->after, longer(narrow)) ||
		scan_values(after, &part, after_end, after_end, &count) != after_end)
		return false;
	end_tape(after, &part, count, more);
	return true;
}

/*
 * Where what is new begins like its neighbour, the innermost container may be only part
 * of that, and not a whole container in the text after.
 */
static bool scan_innermost(
	const struct narrow *narrow, struct document *before, struct document *after)
{
	uint32_t around = narrow->count;

	for (int i = 0; i < TRIES_MAX && around > 0; i++) {
		struct part part;

		around--;
		/* An object in an array is one of its elements. */
		if (around > 0 && !is_array(narrow, around) &&
			is_array(narrow, around - 1))
			around--;
		part = part_in(narrow, around);
		if (!is_small(narrow, part.start, narrow->differ_end))
			return false;
		if (scan_both(narrow, part, before, after))
			return true;
	}
	return false;
}

bool document_narrow(struct document *before, const char *before_bytes,
	size_t before_length, struct document *after, const char *after_bytes,
	size_t after_length, size_t part_max)
{
	struct narrow narrow;

	if (after_length > NARROW_MAX)
		return false;
	/* All but the containers, which may cost more than the rest. */
	memset(&narrow, 0, offsetof(struct narrow, around));
	narrow.before = (struct text){before_bytes, before_length};
	narrow.after = (struct text){after_bytes, after_length};
	narrow.part_max = part_max;
	find_difference(&narrow);
	return is_small(&narrow, narrow.differ_start, narrow.differ_end) &&
		find_around(&narrow) && scan_innermost(&narrow, before, after);
}
