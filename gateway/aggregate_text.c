#include "gateway/aggregate_text.h"

#include "common/document.h"

#include <stdio.h>
#include <string.h>

/* A member's value, as JSON. */
struct word {
	char text[32];
};

static struct bytes version_word(struct word *word, uint64_t version)
{
	if (version == 0)
		return (struct bytes){NULL, 0};
	snprintf(word->text, sizeof(word->text), "\"%llu\"", (unsigned long long)version);
	return (struct bytes){word->text, strlen(word->text)};
}

static struct bytes state_word(struct word *word, enum resource_state state)
{
	snprintf(word->text, sizeof(word->text), "\"%s\"", resource_state_name(state));
	return (struct bytes){word->text, strlen(word->text)};
}

static void add_content(struct text *text, const struct aggregate_part *part)
{
	if (part->is_text)
		text_add_quoted(text, part->content.start, part->content.length);
	else
		text_add(text, part->content.start, part->content.length);
}

/* ---- whole ---- */

void aggregate_text_begin(struct text *text, bool complete)
{
	text_add_words(text, "{\"complete\":");
	text_add_words(text, complete ? "true" : "false");
	text_add_words(text, ",\"regions\":{");
}

static void add_member(struct text *text, const char *name, struct bytes value)
{
	if (value.length == 0)
		return;
	if (text->length > 0 && text->start[text->length - 1] != '{')
		text_add_words(text, ",");
	text_add_words(text, "\"");
	text_add_words(text, name);
	text_add_words(text, "\":");
	text_add(text, value.start, value.length);
}

void aggregate_text_part(struct text *text, const struct aggregate_part *part)
{
	struct word version, state;

	add_member(text, part->region, (struct bytes){"{", 1});
	add_member(text, "version", version_word(&version, part->version));
	add_member(text, "state", state_word(&state, part->state));
	add_member(text, "error", part->error);
	if (part->version != 0) {
		text_add_words(text, ",\"content\":");
		add_content(text, part);
	}
	text_add_words(text, "}");
}

void aggregate_text_end(struct text *text)
{
	text_add_words(text, "}}");
}

/* ---- steps ---- */

void aggregate_steps_begin(struct text *steps)
{
	text_add_words(steps, "[");
}

static void next_step(struct text *steps)
{
	if (steps->length > 1)
		text_add_words(steps, ",");
}

static void begin_step(
	struct text *steps, const char *step, const char *region, const char *member)
{
	next_step(steps);
	text_add_words(steps, "{\"op\":\"");
	text_add_words(steps, step);
	text_add_words(steps, "\",\"path\":\"/regions/");
	text_add_words(steps, region);
	text_add_words(steps, "/");
	text_add_words(steps, member);
	text_add_words(steps, "\"");
}

static void step_member(struct text *steps, const char *region, const char *member,
	struct bytes before, struct bytes after)
{
	if (before.length == after.length &&
		(before.length == 0 ||
			memcmp(before.start, after.start, before.length) == 0))
		return;
	begin_step(steps,
		before.length == 0          ? "add"
			: after.length == 0 ? "remove"
					    : "replace",
		region, member);
	if (after.length > 0) {
		text_add_words(steps, ",\"value\":");
		text_add(steps, after.start, after.length);
	}
	text_add_words(steps, "}");
}

/* Copies the step at @object, its pointers moved below the region's content. */
static void add_moved_step(struct text *steps, const struct document *patch,
	uint32_t object, const char *region)
{
	const struct document_token *tokens = patch->tokens;
	size_t at = tokens[object].start;

	next_step(steps);
	for (uint32_t name = object + 1; name < tokens[object].next;
		name = tokens[name + 1].next) {
		size_t pointer = tokens[name + 1].start + 1; /* behind the quote */

		if (!document_string_is(patch, name, "path") &&
			!document_string_is(patch, name, "from"))
			continue;
		text_add(steps, patch->bytes + at, pointer - at);
		text_add_words(steps, "/regions/");
		text_add_words(steps, region);
		text_add_words(steps, "/content");
		at = pointer;
	}
	text_add(steps, patch->bytes + at,
		tokens[object].start + tokens[object].length - at);
}

static bool is_patch(const struct document *patch)
{
	const struct document_token *tokens = patch->tokens;

	if (tokens[0].type != DOCUMENT_ARRAY)
		return false;
	for (uint32_t step = 1; step < patch->count; step = tokens[step].next) {
		uint32_t path = tokens[step].type == DOCUMENT_OBJECT
			? document_member(patch, step, "path")
			: 0;

		if (path == 0 || tokens[path].type != DOCUMENT_STRING)
			return false;
	}
	return true;
}

/* False where @bytes are no patch, and nothing was added. */
static bool add_moved(struct text *steps, struct bytes bytes, const char *region)
{
	struct document patch;
	bool usable;

	if (bytes.length == 0)
		return false;
	document_init(&patch);
	usable = document_scan(&patch, bytes.start, bytes.length, NULL) == DOCUMENT_OK &&
		is_patch(&patch);
	for (uint32_t step = 1; usable && step < patch.count;
		step = patch.tokens[step].next)
		add_moved_step(steps, &patch, step, region);
	document_fini(&patch);
	return usable;
}

static void step_content(struct text *steps, const struct aggregate_part *before,
	const struct aggregate_part *after, struct bytes patch)
{
	if (before->version == after->version || add_moved(steps, patch, after->region))
		return;
	if (after->content.start == NULL) {
		steps->failed = true;
		return;
	}
	begin_step(steps, before->version == 0 ? "add" : "replace", after->region,
		"content");
	text_add_words(steps, ",\"value\":");
	add_content(steps, after);
	text_add_words(steps, "}");
}

void aggregate_steps_part(struct text *steps, const struct aggregate_part *before,
	const struct aggregate_part *after, struct bytes patch)
{
	struct word old, new;

	step_member(steps, after->region, "version", version_word(&old, before->version),
		version_word(&new, after->version));
	step_member(steps, after->region, "state", state_word(&old, before->state),
		state_word(&new, after->state));
	step_member(steps, after->region, "error", before->error, after->error);
	step_content(steps, before, after, patch);
}

void aggregate_steps_complete(struct text *steps, bool complete)
{
	next_step(steps);
	text_add_words(steps, "{\"op\":\"replace\",\"path\":\"/complete\",\"value\":");
	text_add_words(steps, complete ? "true}" : "false}");
}

void aggregate_steps_end(struct text *steps)
{
	text_add_words(steps, "]");
}
