#include "common/diff_ignore.h"
#include "common/diff_meaning.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64

struct pattern {
	char **segments; /* unescaped */
	size_t count;
};

/* A container on the way down, and where we are in it. */
struct level {
	uint32_t cursor; /* the next element, or name of a member */
	uint32_t end;
	uint32_t index; /* of that element */
	bool object;
};

struct ignore {
	const struct document *document;
	uint8_t *marks;
	struct pattern *patterns;
	size_t count;
	size_t words; /* of one set of patterns */
	/* For each depth, the patterns whose first segments match the path there. */
	uint64_t *sets;
	struct level levels[DOCUMENT_DEPTH_MAX];
	size_t depth;
};

/* ~1 is a slash, ~0 a tilde, in that order (RFC 6901). */
static void unescape_segment(char *segment)
{
	char *out = segment;

	for (; *segment; segment++) {
		if (segment[0] == '~' && (segment[1] == '0' || segment[1] == '1'))
			*out++ = *++segment == '0' ? '~' : '/';
		else
			*out++ = *segment;
	}
	*out = '\0';
}

static int pattern_init(struct pattern *pattern, const char *pointer)
{
	size_t length = strlen(pointer), count = 0;
	char *text;

	for (const char *at = pointer; *at; at++)
		count += *at == '/';
	/* The texts follow the array that points to them. */
	pattern->segments = malloc(count * sizeof(char *) + length + 1);
	if (!pattern->segments)
		return -ENOMEM;
	text = memcpy(&pattern->segments[count], pointer, length + 1);
	for (text = strchr(text, '/'); text; text = strchr(text, '/')) {
		*text++ = '\0';
		pattern->segments[pattern->count++] = text;
	}
	for (size_t i = 0; i < count; i++)
		unescape_segment(pattern->segments[i]);
	return 0;
}

static bool is_any(const char *segment)
{
	return strcmp(segment, "*") == 0;
}

static bool is_index(const char *segment)
{
	return *segment && segment[strspn(segment, "0123456789")] == '\0';
}

static bool segment_matches(
	const struct ignore *ignore, const struct level *level, const char *segment)
{
	char index[16];

	if (is_any(segment))
		return true;
	if (level->object)
		return document_string_is(ignore->document, level->cursor, segment);
	snprintf(index, sizeof(index), "%u", level->index);
	return strcmp(segment, index) == 0;
}

static uint64_t *set_at(struct ignore *ignore, size_t depth)
{
	return &ignore->sets[depth * ignore->words];
}

static bool set_has(const uint64_t *set, size_t pattern)
{
	return set[pattern / WORD_BITS] >> (pattern % WORD_BITS) & 1;
}

/*
 * Fills the set of the depth below with what goes on matching at the child under the
 * cursor. Returns whether any does; marks the child if one ends there.
 */
static bool match_child(struct ignore *ignore, uint32_t child)
{
	const struct level *level = &ignore->levels[ignore->depth - 1];
	const uint64_t *set = set_at(ignore, ignore->depth - 1);
	uint64_t *below = set_at(ignore, ignore->depth);
	bool any = false;

	memset(below, 0, ignore->words * sizeof(*below));
	for (size_t i = 0; i < ignore->count; i++) {
		const struct pattern *pattern = &ignore->patterns[i];

		if (!set_has(set, i) ||
			!segment_matches(
				ignore, level, pattern->segments[ignore->depth - 1]))
			continue;
		if (pattern->count == ignore->depth) {
			ignore->marks[child] |= MEANING_IGNORED;
			return false;
		}
		below[i / WORD_BITS] |= (uint64_t)1 << (i % WORD_BITS);
		any = true;
	}
	return any;
}

/* Goes into the container at @token, whose set is in place. */
static void descend(struct ignore *ignore, uint32_t token)
{
	const struct document_token *container = &ignore->document->tokens[token];
	const uint64_t *set = set_at(ignore, ignore->depth);
	struct level *level;

	if (container->type < DOCUMENT_ARRAY)
		return;
	for (size_t i = 0; container->type == DOCUMENT_ARRAY && i < ignore->count; i++) {
		if (set_has(set, i) &&
			is_index(ignore->patterns[i].segments[ignore->depth]))
			ignore->marks[token] |= MEANING_POSITIONAL;
	}
	level = &ignore->levels[ignore->depth++];
	level->cursor = token + 1;
	level->end = container->next;
	level->index = 0;
	level->object = container->type == DOCUMENT_OBJECT;
}

static void mark_all(struct ignore *ignore)
{
	uint64_t *set = set_at(ignore, 0);

	for (size_t i = 0; i < ignore->count; i++) {
		if (ignore->patterns[i].count > 0)
			set[i / WORD_BITS] |= (uint64_t)1 << (i % WORD_BITS);
		else
			ignore->marks[0] |= MEANING_IGNORED;
	}
	descend(ignore, 0);
	while (ignore->depth > 0) {
		struct level *level = &ignore->levels[ignore->depth - 1];
		uint32_t child = level->cursor + level->object;
		bool matches;

		if (level->cursor == level->end) {
			ignore->depth--;
			continue;
		}
		matches = match_child(ignore, child);
		level->cursor = ignore->document->tokens[child].next;
		level->index++;
		if (matches)
			descend(ignore, child);
	}
}

static int ignore_init(struct ignore *ignore, const struct diff_rules *rules)
{
	int r = 0;

	ignore->words = (rules->ignore_count + WORD_BITS - 1) / WORD_BITS;
	ignore->sets = calloc((DOCUMENT_DEPTH_MAX + 1) * ignore->words, sizeof(uint64_t));
	ignore->patterns = calloc(rules->ignore_count, sizeof(*ignore->patterns));
	if (!ignore->sets || !ignore->patterns)
		return -ENOMEM;
	for (size_t i = 0; i < rules->ignore_count && !r; i++) {
		assert(!*rules->ignore[i] || *rules->ignore[i] == '/');
		r = pattern_init(&ignore->patterns[ignore->count++], rules->ignore[i]);
	}
	return r;
}

static void ignore_fini(struct ignore *ignore)
{
	for (size_t i = 0; i < ignore->count; i++)
		free(ignore->patterns[i].segments);
	free(ignore->patterns);
	free(ignore->sets);
}

int ignore_mark(
	const struct diff_rules *rules, const struct document *document, uint8_t *marks)
{
	struct ignore ignore = {.document = document, .marks = marks};
	int r = ignore_init(&ignore, rules);

	if (!r)
		mark_all(&ignore);
	ignore_fini(&ignore);
	return r;
}
