/*
 * Fuzzes the diff: the patch made of two documents, applied to the first, must give the
 * second, up to ignored parts. Also, what is scanned with the help of the other document
 * is judged the same and has the same tape; and what is scanned only where it differs
 * from it is JSON and has the same patch. An input is one byte that chooses the rules, a
 * document, a NUL, and another document or an edit of the first: where (two bytes), how
 * many bytes go (one), which come.
 *
 * clang -fsanitize=fuzzer,address,undefined; see tests/fuzz/corpus/diff.
 */

#include "common/diff.h"
#include "common/document_narrow.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct node {
	enum document_type type;
	char *text; /* a number as it is, a string unescaped */
	size_t length;
	struct member *members; /* elements have no name */
	size_t count;
};

struct member {
	struct node name;
	struct node value;
};

static void node_free(struct node *node)
{
	for (size_t i = 0; i < node->count; i++) {
		node_free(&node->members[i].name);
		node_free(&node->members[i].value);
	}
	free(node->members);
	free(node->text);
	memset(node, 0, sizeof(*node));
}

static struct node node_make(const struct document *document, uint32_t index)
{
	const struct document_token *token = &document->tokens[index];
	struct node node = {.type = token->type, .count = token->count};
	uint32_t child = index + 1;

	if (token->type == DOCUMENT_STRING) {
		node.text = malloc(token->length);
		node.length = (size_t)document_string(
			document, index, node.text, token->length);
	} else if (token->type == DOCUMENT_NUMBER) {
		node.text = memcpy(malloc(token->length), document->bytes + token->start,
			token->length);
		node.length = token->length;
	}
	node.members = calloc(node.count + 1, sizeof(*node.members));
	for (size_t i = 0; i < node.count; i++) {
		if (token->type == DOCUMENT_OBJECT)
			node.members[i].name = node_make(document, child++);
		node.members[i].value = node_make(document, child);
		child = document->tokens[child].next;
	}
	return node;
}

static bool same_text(const struct node *a, const struct node *b)
{
	return a->length == b->length &&
		(a->length == 0 || memcmp(a->text, b->text, a->length) == 0);
}

static struct member *member_named(const struct node *object, const struct node *name)
{
	for (size_t i = 0; i < object->count; i++) {
		if (same_text(&object->members[i].name, name))
			return &object->members[i];
	}
	return NULL;
}

static bool node_equal(const struct node *a, const struct node *b)
{
	if (a->type != b->type || a->count != b->count || !same_text(a, b))
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct member *other = &b->members[i];

		if (a->type == DOCUMENT_OBJECT)
			other = member_named(b, &a->members[i].name);
		if (!other || !node_equal(&a->members[i].value, &other->value))
			return false;
	}
	return true;
}

static void insert_at(struct node *node, size_t place, struct member member)
{
	assert(place <= node->count);
	node->members =
		realloc(node->members, (node->count + 1) * sizeof(*node->members));
	memmove(&node->members[place + 1], &node->members[place],
		(node->count - place) * sizeof(*node->members));
	node->members[place] = member;
	node->count++;
}

static struct node take_at(struct node *node, size_t place)
{
	struct member member;

	assert(place < node->count);
	member = node->members[place];
	memmove(&node->members[place], &node->members[place + 1],
		(node->count - place - 1) * sizeof(*node->members));
	node->count--;
	node_free(&member.name);
	return member.value;
}

/* The next segment of the pointer at @at, unescaped in place. */
static struct node next_segment(char **at, const char *end)
{
	struct node segment = {.type = DOCUMENT_STRING, .text = *at + 1};

	assert(**at == '/');
	for ((*at)++; *at < end && **at != '/'; (*at)++) {
		char byte = **at;

		if (byte == '~') {
			(*at)++;
			assert(*at < end && (**at == '0' || **at == '1'));
			byte = **at == '0' ? '~' : '/';
		}
		segment.text[segment.length++] = byte;
	}
	return segment;
}

static size_t index_of(const struct node *segment)
{
	size_t index = 0;

	assert(segment->length > 0 && segment->length < 10);
	assert(segment->text[0] != '0' || segment->length == 1);
	for (size_t i = 0; i < segment->length; i++) {
		assert(segment->text[i] >= '0' && segment->text[i] <= '9');
		index = index * 10 + (size_t)(segment->text[i] - '0');
	}
	return index;
}

/* Where a pointer leads: the container, and the place in it. */
struct place {
	char *memory;
	struct node *container;
	struct node name; /* not owned */
	size_t index;     /* of an element, or of the member, if it is there */
	bool found;
};

static void place_enter(struct place *place, struct node *container, struct node segment)
{
	place->container = container;
	place->name = segment;
	if (container->type == DOCUMENT_ARRAY) {
		place->index = index_of(&segment);
		place->found = place->index < container->count;
	} else {
		const struct member *member;

		assert(container->type == DOCUMENT_OBJECT);
		member = member_named(container, &segment);
		place->found = member != NULL;
		place->index = member ? (size_t)(member - container->members) : 0;
	}
}

static struct place find_place(
	struct node *root, const struct document *patch, uint32_t token)
{
	size_t size = patch->tokens[token].length;
	struct place place = {.memory = malloc(size)};
	char *at = place.memory;
	char *end = at + document_string(patch, token, at, size);
	struct node *container = root;

	/* The root itself is never patched. */
	assert(at < end);
	for (;;) {
		place_enter(&place, container, next_segment(&at, end));
		if (at == end)
			return place;
		assert(place.found);
		container = &place.container->members[place.index].value;
	}
}

static struct node take(struct node *root, const struct document *patch, uint32_t pointer)
{
	struct place place = find_place(root, patch, pointer);
	struct node value;

	assert(place.found);
	value = take_at(place.container, place.index);
	free(place.memory);
	return value;
}

static void put(struct node *root, const struct document *patch, uint32_t pointer,
	struct node value)
{
	struct place place = find_place(root, patch, pointer);
	struct member member = {.value = value};

	if (place.container->type == DOCUMENT_ARRAY) {
		insert_at(place.container, place.index, member);
	} else {
		/* Ours adds only what is not there. */
		assert(!place.found);
		member.name = place.name;
		member.name.text = memcpy(malloc(place.name.length + 1), place.name.text,
			place.name.length);
		insert_at(place.container, place.container->count, member);
	}
	free(place.memory);
}

static void replace(struct node *root, const struct document *patch, uint32_t pointer,
	struct node value)
{
	struct place place = find_place(root, patch, pointer);

	assert(place.found);
	node_free(&place.container->members[place.index].value);
	place.container->members[place.index].value = value;
	free(place.memory);
}

static void apply(struct node *root, const struct document *patch)
{
	for (uint32_t i = 1; i < patch->count; i = patch->tokens[i].next) {
		uint32_t op = document_member(patch, i, "op");
		uint32_t path = document_member(patch, i, "path");
		uint32_t value = document_member(patch, i, "value");

		assert(op && path);
		if (document_string_is(patch, op, "remove")) {
			struct node taken = take(root, patch, path);

			node_free(&taken);
		} else if (document_string_is(patch, op, "move")) {
			put(root, patch, path,
				take(root, patch, document_member(patch, i, "from")));
		} else if (document_string_is(patch, op, "add")) {
			put(root, patch, path, node_make(patch, value));
		} else {
			assert(document_string_is(patch, op, "replace"));
			replace(root, patch, path, node_make(patch, value));
		}
	}
}

/* Takes away what @pointer names: members, and what elements are. */
static void strip(struct node *node, const char *pointer)
{
	size_t length = strcspn(pointer + 1, "/");
	const char *rest = pointer + 1 + length;
	bool any = length == 1 && pointer[1] == '*';

	for (size_t i = node->count; i-- > 0;) {
		struct member *member = &node->members[i];
		struct node *name = &member->name;

		if (!any && node->type == DOCUMENT_ARRAY &&
			(length != 1 || pointer[1] != '0' || i != 0))
			continue;
		if (!any && node->type == DOCUMENT_OBJECT &&
			(name->length != length ||
				memcmp(name->text, pointer + 1, length) != 0))
			continue;
		if (*rest) {
			strip(&member->value, rest);
		} else if (node->type == DOCUMENT_ARRAY) {
			node_free(&member->value);
		} else {
			struct node taken = take_at(node, i);

			node_free(&taken);
		}
	}
}

static void strip_all(struct node *node, const struct diff_rules *rules)
{
	for (size_t i = 0; i < rules->ignore_count; i++)
		strip(node, rules->ignore[i]);
}

static void check_diff(const struct document *before, const struct document *after,
	const struct diff_rules *rules)
{
	struct diff_patch text = {0};
	struct document patch;
	struct node one = node_make(before, 0), two = node_make(after, 0);
	int outcome = diff_documents(&text, before, after, rules);
	bool same;

	document_init(&patch);
	if (outcome == DIFF_PATCH) {
		assert(text.length < after->length);
		assert(document_scan(&patch, text.bytes, text.length, NULL) ==
			DOCUMENT_OK);
		assert(patch.tokens[0].count > 0);
		apply(&one, &patch);
	}
	strip_all(&one, rules);
	strip_all(&two, rules);
	same = node_equal(&one, &two);
	assert(same == (outcome != DIFF_LARGER));
	document_fini(&patch);
	diff_patch_fini(&text);
	node_free(&one);
	node_free(&two);
}

/* @document and @error are the verdict without help. */
static void check_like(const struct document *document, enum document_error error,
	const struct document *like, const char *bytes, size_t length)
{
	struct document helped;

	document_init(&helped);
	assert(document_scan_like(&helped, like, bytes, length, NULL) == error);
	assert(helped.count == document->count);
	assert(helped.count == 0 ||
		memcmp(helped.tokens, document->tokens,
			helped.count * sizeof(*helped.tokens)) == 0);
	document_fini(&helped);
}

static bool same_patch(const struct diff_patch *a, const struct diff_patch *b)
{
	return a->length == b->length &&
		(a->length == 0 || memcmp(a->bytes, b->bytes, a->length) == 0);
}

/* @before without tokens is no JSON: then nothing is promised but that all ends well. */
static void check_narrow(const struct document *before, const struct document *after,
	const struct diff_rules *rules)
{
	struct diff_patch whole = {0}, narrow = {0};
	struct document one, two;

	document_init(&one);
	document_init(&two);
	if (document_narrow(&one, before->bytes, before->length, &two, after->bytes,
		    after->length, SIZE_MAX) &&
		before->count > 0) {
		int outcome = diff_documents(&narrow, &one, &two, rules);

		assert(after->count > 0);
		assert(outcome == DIFF_CUT ||
			outcome == diff_documents(&whole, before, after, rules));
		assert(outcome == DIFF_CUT || same_patch(&whole, &narrow));
	}
	document_fini(&one);
	document_fini(&two);
	diff_patch_fini(&whole);
	diff_patch_fini(&narrow);
}

/* Makes of @text, in new memory, what the @size bytes of @edit say. */
static char *make_edited(
	const char *text, size_t *length, const uint8_t *edit, size_t size)
{
	size_t start = (edit[0] | (size_t)edit[1] << 8) % (*length + 1);
	size_t gone = edit[2] < *length - start ? edit[2] : *length - start;
	size_t come = size - 3;
	char *edited = malloc(*length - gone + come + 1);
	char *at = mempcpy(edited, text, start);

	at = mempcpy(at, edit + 3, come);
	mempcpy(at, text + start + gone, *length - start - gone);
	*length = *length - gone + come;
	return edited;
}

static void check_texts(const char *one, size_t one_length, const char *two,
	size_t two_length, const struct diff_rules *rules)
{
	enum document_error one_error, two_error;
	struct document before, after;

	document_init(&before);
	document_init(&after);
	one_error = document_scan(&before, one, one_length, NULL);
	two_error = document_scan(&after, two, two_length, NULL);
	check_like(&before, one_error, &after, one, one_length);
	check_like(&after, two_error, &before, two, two_length);
	check_narrow(&before, &after, rules);
	if (!one_error && !two_error)
		check_diff(&before, &after, rules);
	document_fini(&before);
	document_fini(&after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const ignore[] = {"/*/t", "/t", "/r/0", "/r/*/s", "/a/0/t"};
	const uint8_t *middle = size ? memchr(data + 1, 0, size - 1) : NULL;
	const char *one = (const char *)data + 1;
	struct diff_rules rules = {0};
	size_t one_length, two_length;

	if (!middle)
		return 0;
	if (data[0] & 1)
		rules.identity = "k";
	if (data[0] & 2) {
		rules.ignore = ignore;
		rules.ignore_count = sizeof(ignore) / sizeof(*ignore);
	}
	one_length = (size_t)(middle - data) - 1;
	two_length = size - one_length - 2;
	if (!(data[0] & 4)) {
		check_texts(
			one, one_length, (const char *)middle + 1, two_length, &rules);
	} else if (two_length >= 3) {
		size_t length = one_length;
		char *edited = make_edited(one, &length, middle + 1, two_length);

		check_texts(one, one_length, edited, length, &rules);
		free(edited);
	}
	return 0;
}
