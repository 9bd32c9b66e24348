#include "common/diff.h"
#include "common/diff_meaning.h"
#include "common/diff_rows.h"
#include "common/diff_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/*
 * Two containers of the same type that are to be compared. They wait on a stack; one
 * that is being compared stays on it below what it holds, until that is done.
 */
struct pair {
	uint32_t before;
	uint32_t after;
	struct step step; /* from the container around them */
	bool begun;
	size_t patch_length; /* what was written when it was begun */
	size_t pointer_length;
};

struct diff {
	struct meaning before;
	struct meaning after;
	const struct diff_rules *rules;
	struct writer writer;
	struct diff_rows rows;
	struct pair *pairs;
	size_t pair_count;
	size_t pair_capacity;
	size_t begun[DOCUMENT_DEPTH_MAX]; /* the pairs begun, outermost first */
	size_t depth;
	int outcome; /* DIFF_LARGER, DIFF_CUT or -ENOMEM end it; 0 goes on */
};

/* The bounds of an array's part that differs. */
struct range {
	uint32_t head; /* elements equal at the start */
	uint32_t before_token;
	uint32_t after_token;
	uint32_t before_count;
	uint32_t after_count;
};

/*
 * Moves above this make the array be sent whole: each costs whoever applies the patch a
 * walk over the array.
 */
#define MOVES_MAX 1000

static const struct document_token *token_of(
	const struct meaning *meaning, uint32_t token)
{
	return &meaning->document->tokens[token];
}

static uint32_t next_of(const struct meaning *meaning, uint32_t token)
{
	return token_of(meaning, token)->next;
}

static struct pair *current_pair(struct diff *diff)
{
	return &diff->pairs[diff->begun[diff->depth - 1]];
}

static struct step step_to(uint32_t index)
{
	return (struct step){.index = index};
}

static struct step name_of(const struct meaning *meaning, uint32_t name)
{
	return (struct step){.document = meaning->document, .index = name};
}

static void fail(struct diff *diff)
{
	diff->outcome = -ENOMEM;
}

/* Whether @pair's operations take more than putting its new value there whole. */
static bool is_verbose(const struct diff *diff, const struct pair *pair)
{
	return diff->writer.patch.length - pair->patch_length >
		writer_replace_length(pair->pointer_length,
			token_of(&diff->after, pair->after)->length);
}

/* Takes back all that was written since the pair at @level was begun, and what waits. */
static void replace_whole(struct diff *diff, size_t level)
{
	struct pair *pair = &diff->pairs[diff->begun[level]];

	/* The root whole is the content itself. */
	if (level == 0) {
		diff->outcome = DIFF_LARGER;
		return;
	}
	diff->writer.patch.length = pair->patch_length;
	diff->writer.pointer.length = pair->pointer_length;
	writer_replace(&diff->writer, NULL, diff->after.document, pair->after);
	diff->pair_count = diff->begun[level] + 1;
	diff->depth = level + 1;
}

/*
 * To be called after each operation. False: the container at work is done with, or the
 * whole comparison is.
 *
 * The outermost verbose container gives way when the limit is reached, so what is over
 * the limit then cannot get below it any more.
 */
static bool go_on(struct diff *diff)
{
	size_t limit = diff->after.document->length - 1; /* and the closing bracket */
	size_t level = diff->depth - 1;

	if (diff->writer.failed)
		fail(diff);
	if (diff->outcome)
		return false;
	if (diff->writer.patch.length >= limit) {
		for (level = 1; level < diff->depth; level++) {
			if (is_verbose(diff, &diff->pairs[diff->begun[level]]))
				break;
		}
		if (level == diff->depth)
			level = 0;
	} else if (!is_verbose(diff, current_pair(diff))) {
		return true;
	}
	replace_whole(diff, level);
	return false;
}

static bool push_pair(
	struct diff *diff, struct step step, uint32_t before, uint32_t after)
{
	if (diff->pair_count == diff->pair_capacity) {
		size_t capacity = diff->pair_capacity ? 2 * diff->pair_capacity : 64;
		struct pair *pairs =
			realloc(diff->pairs, capacity * sizeof(*diff->pairs));

		if (!pairs) {
			fail(diff);
			return false;
		}
		diff->pairs = pairs;
		diff->pair_capacity = capacity;
	}
	diff->pairs[diff->pair_count++] = (struct pair){
		.before = before, .after = after, .step = step, .begun = false};
	return true;
}

/* Two values at the same place. Like all below, false where go_on() says so. */
static bool compare_values(
	struct diff *diff, struct step step, uint32_t before, uint32_t after)
{
	enum document_type type = token_of(&diff->after, after)->type;

	if (meaning_has(&diff->after, after, MEANING_IGNORED))
		return true;
	if (type != token_of(&diff->before, before)->type || type < DOCUMENT_ARRAY) {
		if (meaning_same(&diff->before, before, &diff->after, after))
			return true;
		writer_replace(&diff->writer, &step, diff->after.document, after);
		return go_on(diff);
	}
	if (meaning_same_at_once(&diff->before, before, &diff->after, after))
		return true;
	return push_pair(diff, step, before, after);
}

static bool add_value(struct diff *diff, struct step step, uint32_t value)
{
	if (meaning_has(&diff->after, value, MEANING_IGNORED))
		return true;
	writer_add(&diff->writer, &step, diff->after.document, value);
	return go_on(diff);
}

static bool remove_member(struct diff *diff, uint32_t name)
{
	struct step step = name_of(&diff->before, name);

	if (meaning_has(&diff->before, name + 1, MEANING_IGNORED))
		return true;
	writer_remove(&diff->writer, &step);
	return go_on(diff);
}

static void gather_members(
	struct meaning *meaning, struct diff_row *rows, uint32_t count, uint32_t name)
{
	for (uint32_t i = 0; i < count; i++, name = next_of(meaning, name + 1)) {
		rows[i].token = name;
		rows[i].key =
			document_string_hash(meaning->document, name, meaning->seed);
	}
}

/* The last members of two objects, from the names @before and @after on. */
static void join_members(struct diff *diff, uint32_t before, uint32_t before_count,
	uint32_t after, uint32_t after_count)
{
	struct diff_rows *rows = &diff->rows;
	bool unique;

	if (rows_begin(rows, before_count, after_count)) {
		fail(diff);
		return;
	}
	gather_members(&diff->before, rows->before, before_count, before);
	gather_members(&diff->after, rows->after, after_count, after);
	if (rows_match(rows, &unique)) {
		fail(diff);
		return;
	}
	for (uint32_t i = 0; i < before_count; i++) {
		if (rows->before[i].partner == ROWS_NONE &&
			!remove_member(diff, rows->before[i].token))
			return;
	}
	for (uint32_t i = 0; i < after_count; i++) {
		uint32_t name = rows->after[i].token, partner = rows->after[i].partner;
		struct step step = name_of(&diff->after, name);

		if (partner == ROWS_NONE
				? !add_value(diff, step, name + 1)
				: !compare_values(diff, step,
					  rows->before[partner].token + 1, name + 1))
			return;
	}
}

/* Mostly the members come in the same order on both sides. */
static void compare_objects(struct diff *diff, uint32_t before, uint32_t after)
{
	uint32_t before_left = token_of(&diff->before, before)->count;
	uint32_t after_left = token_of(&diff->after, after)->count;

	for (before++, after++; before_left && after_left; before_left--, after_left--) {
		if (!document_strings_equal(
			    diff->before.document, before, diff->after.document, after))
			break;
		if (!compare_values(
			    diff, name_of(&diff->after, after), before + 1, after + 1))
			return;
		before = next_of(&diff->before, before + 1);
		after = next_of(&diff->after, after + 1);
	}
	if (before_left || after_left)
		join_members(diff, before, before_left, after, after_left);
}

static void gather_elements(const struct meaning *meaning, struct diff_row *rows,
	uint32_t count, uint32_t token)
{
	for (uint32_t i = 0; i < count; i++, token = next_of(meaning, token))
		rows[i].token = token;
}

static bool same_rows(struct diff *diff, uint32_t before, uint32_t after)
{
	return meaning_same(&diff->before, before, &diff->after, after);
}

/* Walks over the elements that are equal at the start. */
static struct range trim_head(struct diff *diff, uint32_t before, uint32_t after)
{
	struct range range = {
		.before_token = before + 1,
		.after_token = after + 1,
		.before_count = token_of(&diff->before, before)->count,
		.after_count = token_of(&diff->after, after)->count,
	};

	while (range.before_count && range.after_count &&
		same_rows(diff, range.before_token, range.after_token)) {
		range.before_token = next_of(&diff->before, range.before_token);
		range.after_token = next_of(&diff->after, range.after_token);
		range.before_count--;
		range.after_count--;
		range.head++;
	}
	return range;
}

static void trim_tail(struct diff *diff)
{
	struct diff_rows *rows = &diff->rows;

	while (rows->before_count && rows->after_count &&
		same_rows(diff, rows->before[rows->before_count - 1].token,
			rows->after[rows->after_count - 1].token)) {
		rows->before_count--;
		rows->after_count--;
	}
}

/* Keys the rows by their member @name; false where one has no such scalar. */
static bool key_by_member(
	struct meaning *meaning, struct diff_row *rows, uint32_t count, const char *name)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t value;

		if (token_of(meaning, rows[i].token)->type != DOCUMENT_OBJECT)
			return false;
		value = document_member(meaning->document, rows[i].token, name);
		if (!value ||
			(token_of(meaning, value)->type != DOCUMENT_STRING &&
				token_of(meaning, value)->type != DOCUMENT_NUMBER))
			return false;
		rows[i].key = meaning_hash(meaning, value);
	}
	return true;
}

/* Makes partners of rows with the same identity; false where not all have a unique one.
 */
static bool match_by_identity(struct diff *diff)
{
	static const char *const usual[] = {"id", "uuid", "name"};
	const char *const *names = diff->rules->identity ? &diff->rules->identity : usual;
	size_t count = diff->rules->identity ? 1 : sizeof(usual) / sizeof(*usual);
	struct diff_rows *rows = &diff->rows;

	for (size_t i = 0; i < count && !diff->outcome; i++) {
		bool unique = false;

		if (!key_by_member(
			    &diff->before, rows->before, rows->before_count, names[i]) ||
			!key_by_member(
				&diff->after, rows->after, rows->after_count, names[i]))
			continue;
		if (rows_match(rows, &unique))
			fail(diff);
		if (unique)
			return true;
	}
	return false;
}

/* Makes partners of rows that are the same. */
static void match_by_content(struct diff *diff)
{
	struct diff_rows *rows = &diff->rows;
	bool unique;

	for (uint32_t i = 0; i < rows->before_count; i++)
		rows->before[i].key = meaning_hash(&diff->before, rows->before[i].token);
	for (uint32_t i = 0; i < rows->after_count; i++)
		rows->after[i].key = meaning_hash(&diff->after, rows->after[i].token);
	if (rows_match(rows, &unique))
		fail(diff);
}

/* Finds which rows belong together. Only rows with an identity may move. */
static bool match_rows(struct diff *diff, bool positional, bool *identity)
{
	struct diff_rows *rows = &diff->rows;

	*identity = false;
	if (!positional && rows->before_count && rows->after_count) {
		*identity = match_by_identity(diff);
		if (!*identity && !diff->outcome)
			match_by_content(diff);
		if (!diff->outcome && rows_keep_in_order(rows))
			fail(diff);
		if (diff->outcome)
			return false;
		if (!*identity)
			rows_part_moved(rows);
	}
	rows_pair_gaps(rows);
	if (rows->moved > MOVES_MAX) {
		replace_whole(diff, diff->depth - 1);
		return false;
	}
	if (rows_place_begin(rows))
		fail(diff);
	return !diff->outcome;
}

/* From the last to the first, so that the indexes stay what they were. */
static bool remove_rows(struct diff *diff, uint32_t head)
{
	const struct diff_rows *rows = &diff->rows;

	for (uint32_t i = rows->before_count; i-- > 0;) {
		struct step step = step_to(head + i);

		if (rows->before[i].partner != ROWS_NONE)
			continue;
		writer_remove(&diff->writer, &step);
		if (!go_on(diff))
			return false;
	}
	return true;
}

/* Rows are added even where their content is ignored: their number is the array's. */
static bool place_rows(struct diff *diff, uint32_t head)
{
	struct diff_rows *rows = &diff->rows;

	for (uint32_t i = 0; i < rows->after_count; i++) {
		uint32_t from = 0, to = 0;
		enum rows_step kind = rows_place(rows, i, &from, &to);
		struct step source = step_to(head + from), place = step_to(head + to);

		if (kind == ROWS_STAY)
			continue;
		if (kind == ROWS_ADD)
			writer_add(&diff->writer, &place, diff->after.document,
				rows->after[i].token);
		else
			writer_move(&diff->writer, &source, &place);
		if (!go_on(diff))
			return false;
	}
	return true;
}

/* All rows are in their final places now. */
static void compare_rows(struct diff *diff, uint32_t head, bool identity)
{
	struct diff_rows *rows = &diff->rows;

	for (uint32_t i = 0; i < rows->after_count; i++) {
		const struct diff_row *row = &rows->after[i];
		struct step step = step_to(head + i);
		uint32_t before;

		if (row->partner == ROWS_NONE)
			continue;
		before = rows->before[row->partner].token;
		/* Comparing what a small row holds is cheaper than hashing all of it. */
		if ((token_of(&diff->after, row->token)->length > MEANING_SMALL ||
			    (identity && row->paired)) &&
			same_rows(diff, before, row->token))
			continue;
		if (identity && row->paired) {
			/* Another row took its place. */
			writer_replace(
				&diff->writer, &step, diff->after.document, row->token);
			if (!go_on(diff))
				return;
		} else if (!compare_values(diff, step, before, row->token)) {
			return;
		}
	}
}

/*
 * The elements that a narrowed array lacks are the same on both sides, and as many. So
 * they would all be trimmed from the tail, but if they are compared with others: where
 * those before them run out on one side, or by position.
 */
static bool depends_on_cut(const struct range *range, bool positional)
{
	return range->before_count != range->after_count &&
		(positional || range->before_count == 0 || range->after_count == 0);
}

static void compare_arrays(struct diff *diff, uint32_t before, uint32_t after)
{
	bool positional = meaning_has(&diff->after, after, MEANING_POSITIONAL);
	struct diff_rows *rows = &diff->rows;
	struct range range = trim_head(diff, before, after);
	bool identity;

	if (diff->after.document->cut == after + 1 &&
		depends_on_cut(&range, positional)) {
		diff->outcome = DIFF_CUT;
		return;
	}
	if (rows_begin(rows, range.before_count, range.after_count)) {
		fail(diff);
		return;
	}
	gather_elements(
		&diff->before, rows->before, rows->before_count, range.before_token);
	gather_elements(&diff->after, rows->after, rows->after_count, range.after_token);
	if (!positional)
		trim_tail(diff);
	if (match_rows(diff, positional, &identity) && remove_rows(diff, range.head) &&
		place_rows(diff, range.head))
		compare_rows(diff, range.head, identity);
}

static void begin_pair(struct diff *diff)
{
	struct pair *pair = &diff->pairs[diff->pair_count - 1];
	size_t around = diff->depth ? current_pair(diff)->pointer_length : 0;

	if (diff->depth > 0)
		writer_descend(&diff->writer, around, &pair->step);
	pair->begun = true;
	pair->patch_length = diff->writer.patch.length;
	pair->pointer_length = diff->writer.pointer.length;
	diff->begun[diff->depth++] = diff->pair_count - 1;
}

/* What waits above @first is begun from the top, but shall come in document order. */
static void reverse_pairs(struct diff *diff, size_t first)
{
	size_t last = diff->pair_count;

	for (; first + 1 < last; first++) {
		struct pair swapped = diff->pairs[--last];

		diff->pairs[last] = diff->pairs[first];
		diff->pairs[first] = swapped;
	}
}

static void compare_pair(struct diff *diff)
{
	size_t waiting = diff->pair_count;
	uint32_t before = diff->pairs[waiting - 1].before;
	uint32_t after = diff->pairs[waiting - 1].after;

	begin_pair(diff);
	if (token_of(&diff->after, after)->type == DOCUMENT_OBJECT)
		compare_objects(diff, before, after);
	else
		compare_arrays(diff, before, after);
	reverse_pairs(diff, waiting);
}

/* All that the pair on top holds is compared. */
static void end_pair(struct diff *diff)
{
	size_t level = diff->depth - 1;

	if (level > 0 && is_verbose(diff, current_pair(diff)))
		replace_whole(diff, level);
	diff->pair_count = diff->begun[level];
	diff->depth = level;
}

static void compare_documents(struct diff *diff)
{
	enum document_type type = token_of(&diff->after, 0)->type;

	if (meaning_has(&diff->after, 0, MEANING_IGNORED))
		return;
	if (type != token_of(&diff->before, 0)->type || type < DOCUMENT_ARRAY) {
		if (!meaning_same(&diff->before, 0, &diff->after, 0))
			diff->outcome = DIFF_LARGER;
		return;
	}
	push_pair(diff, step_to(0), 0, 0);
	while (diff->pair_count > 0 && !diff->outcome) {
		if (diff->pairs[diff->pair_count - 1].begun)
			end_pair(diff);
		else
			compare_pair(diff);
	}
}

/* Nobody shall be able to prepare values that look equal. */
static uint64_t draw_seed(const struct diff *diff)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uintptr_t)diff;
	return seed;
}

static int diff_init(
	struct diff *diff, const struct document *before, const struct document *after)
{
	uint64_t seed = draw_seed(diff);
	int r = meaning_init(&diff->before, before, diff->rules, seed);

	return r ? r : meaning_init(&diff->after, after, diff->rules, seed);
}

static void diff_fini(struct diff *diff)
{
	meaning_fini(&diff->before);
	meaning_fini(&diff->after);
	rows_fini(&diff->rows);
	writer_fini(&diff->writer);
	free(diff->pairs);
}

static bool same_text(const struct document *before, const struct document *after)
{
	return before->length == after->length &&
		memcmp(before->bytes, after->bytes, after->length) == 0;
}

int diff_documents(struct diff_patch *patch, const struct document *before,
	const struct document *after, const struct diff_rules *rules)
{
	static const struct diff_rules no_rules;
	struct diff diff = {.rules = rules ? rules : &no_rules};
	struct text *text = &diff.writer.patch;

	patch->length = 0;
	if (same_text(before, after))
		return DIFF_SAME;
	*text = (struct text){.bytes = patch->bytes, .capacity = patch->capacity};
	writer_begin(&diff.writer);
	diff.outcome = diff_init(&diff, before, after);
	if (!diff.outcome)
		compare_documents(&diff);
	if (!diff.outcome && text->length == 1)
		diff.outcome = DIFF_SAME;
	writer_finish(&diff.writer);
	if (!diff.outcome && text->length >= after->length)
		diff.outcome = DIFF_LARGER;
	if (diff.writer.failed || diff.before.failed || diff.after.failed)
		fail(&diff);
	patch->bytes = text->bytes;
	patch->capacity = text->capacity;
	patch->length = diff.outcome == DIFF_PATCH ? text->length : 0;
	diff_fini(&diff);
	return diff.outcome;
}

void diff_patch_fini(struct diff_patch *patch)
{
	if (!patch)
		return;
	free(patch->bytes);
	memset(patch, 0, sizeof(*patch));
}
