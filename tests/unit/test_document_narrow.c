/*
 * Narrowed documents against whole ones: over many small edits of random documents, what
 * comes of a comparison must be the same, byte for byte.
 */

#include "common/diff.h"
#include "common/document_narrow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define TEXT_MAX 65536
#define DOCUMENTS 3000
#define EDITS 40 /* of each */

struct text {
	char bytes[TEXT_MAX];
	size_t length;
};

/* One pair of texts at work, both ways. */
struct bench {
	struct document whole[2];
	struct document narrow[2];
	struct diff_patch whole_patch;
	struct diff_patch narrow_patch;
	size_t narrowed, wrong, cut; /* how often */
};

static uint64_t random_state = 8259;

static uint32_t draw(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % below;
}

/* ---- random documents ---- */

#define SLASHES "\\\\\\\\\\\\\\\\" /* four, escaped */

static const char *const scalars[] = {"0", "1", "-1", "1.0", "10", "1e5", "true", "false",
	"null", "\"\"", "\"a\"", "\"ACTIVE\"", "\"\\u00e9\"", "\"\xc3\xa9\"",
	"\"\xc3\xa8\"", "\"\xf0\x9f\x98\x80\"", "\"\xf0\x9f\x98\x81\"", "\"\\\\\"",
	"\"\\\\\\\"\"", "\"[{,]}\"", "\"\\\"},{\\\"\"", "\"\\ud83d\\ude00\"",
	"\"a rather long text, longer than sixteen bytes, and than a block of the "
	"skimmer\"",
	"\"" SLASHES SLASHES SLASHES "\\n" SLASHES SLASHES "\""};
static const char *const names[] = {"id", "name", "uuid", "status", "a", "b", "a/b", "~",
	"\\u0061bc", "\xc3\xa9", "", "key~with/many~~~~////"};
static const char *const spaces[] = {"", "", "", "", "", "", " ", "\n\t", "\r\n  "};

static void add(struct text *text, const char *more)
{
	size_t length = strlen(more);

	assert_true(text->length + length < TEXT_MAX);
	memcpy(text->bytes + text->length, more, length);
	text->length += length;
}

static void add_space(struct text *text)
{
	add(text, spaces[draw(COUNT(spaces))]);
}

/* Rows mostly have an identity; alike ones have the same meaning and other bytes. */
static void add_row(struct text *text)
{
	char row[512];

	switch (draw(4)) {
	case 0:
		add(text, "{\"a\":1,\"b\":2}");
		return;
	case 1:
		add(text, "{\"b\":2,\"a\":1}");
		return;
	default:
		snprintf(row, sizeof(row),
			"{\"id\":\"row "
			"%u\",\"status\":%s,\"in\":{\"x\":%s,\"y\":[%s,%s]}}",
			draw(50), scalars[draw(COUNT(scalars))],
			scalars[draw(COUNT(scalars))], scalars[draw(COUNT(scalars))],
			scalars[draw(COUNT(scalars))]);
		add(text, row);
	}
}

static void add_value(struct text *text, int depth)
{
	uint32_t kind = draw(8), count = draw(depth > 2 ? 6 : 4);
	uint32_t first = draw(COUNT(names));

	if (text->length > TEXT_MAX / 4)
		kind = 0;
	if (depth == 0 || kind < 2) {
		add(text, scalars[draw(COUNT(scalars))]);
		return;
	}
	if (kind == 2) {
		add_row(text);
		return;
	}
	add(text, kind < 6 ? "[" : "{");
	if (kind == 3)
		count = draw(40);
	for (uint32_t i = 0; i < count; i++) {
		add_space(text);
		add(text, i > 0 ? "," : "");
		add_space(text);
		if (kind == 3) {
			add_row(text);
			continue;
		}
		if (kind >= 6) {
			add(text, "\"");
			add(text, names[(first + i) % COUNT(names)]);
			add(text, "\"");
			add_space(text);
			add(text, ":");
			add_space(text);
		}
		add_value(text, depth - 1);
	}
	add_space(text);
	add(text, kind < 6 ? "]" : "}");
}

static void make_document(struct text *text)
{
	text->length = 0;
	add_space(text);
	add_value(text, 1 + (int)draw(6));
	add_space(text);
}

/* ---- small edits ---- */

/* Puts @more instead of the @length bytes at @start. */
static void splice(struct text *text, size_t start, size_t length, const char *more,
	size_t more_length)
{
	size_t rest = start + length;

	assert_true(text->length + more_length < TEXT_MAX);
	memmove(text->bytes + start + more_length, text->bytes + rest,
		text->length - rest);
	memcpy(text->bytes + start, more, more_length);
	text->length = text->length - length + more_length;
}

static void edit_bytes(struct text *text)
{
	static const char bytes[] = "[]{},:\"\\ 01-.eEtn\x80\xa9\xc3\xff\x01";
	char more[3];
	size_t start = draw((uint32_t)text->length + 1), length = draw(3);

	for (size_t i = 0; i < sizeof(more); i++)
		more[i] = bytes[draw(sizeof(bytes) - 1)];
	if (length > text->length - start)
		length = text->length - start;
	splice(text, start, length, more, draw(sizeof(more)));
}

/* Something else instead of a value or name, or before it, or nothing. */
static void edit_value(struct text *text, const struct document *document)
{
	static struct text value;
	const struct document_token *token = &document->tokens[draw(document->count)];
	size_t start = token->start, length = token->length;

	value.length = 0;
	switch (draw(6)) {
	case 0:
		add_row(&value);
		break;
	case 1:
		add_value(&value, 2);
		break;
	case 2: /* the same again, before it */
		splice(&value, 0, 0, text->bytes + start, length);
		add(&value, ",");
		length = 0;
		break;
	case 3:
		add_row(&value);
		add(&value, ",");
		length = 0;
		break;
	case 4: /* gone, with what separates it from the next */
		length += start + length < text->length;
		break;
	default:
		add_space(&value);
		add(&value, scalars[draw(COUNT(scalars))]);
	}
	splice(text, start, length, value.bytes, value.length);
}

/* ---- both ways ---- */

static void bench_init(struct bench *bench)
{
	memset(bench, 0, sizeof(*bench));
	for (int i = 0; i < 2; i++) {
		document_init(&bench->whole[i]);
		document_init(&bench->narrow[i]);
	}
}

static void bench_fini(struct bench *bench)
{
	for (int i = 0; i < 2; i++) {
		document_fini(&bench->whole[i]);
		document_fini(&bench->narrow[i]);
	}
	diff_patch_fini(&bench->whole_patch);
	diff_patch_fini(&bench->narrow_patch);
}

/* The text before is bench->whole[0]. True: what was narrowed gave an answer. */
static bool check(struct bench *bench, const char *bytes, size_t length, size_t part_max,
	const struct diff_rules *rules)
{
	const struct document *before = &bench->whole[0];
	enum document_error error = document_scan(&bench->whole[1], bytes, length, NULL);
	int outcome, narrow_outcome;

	if (!document_narrow(&bench->narrow[0], before->bytes, before->length,
		    &bench->narrow[1], bytes, length, part_max)) {
		bench->wrong += error != DOCUMENT_OK;
		return false;
	}
	assert_int_equal(error, DOCUMENT_OK);
	outcome = diff_documents(&bench->whole_patch, before, &bench->whole[1], rules);
	narrow_outcome = diff_documents(
		&bench->narrow_patch, &bench->narrow[0], &bench->narrow[1], rules);
	if (narrow_outcome == DIFF_CUT) {
		bench->cut++;
		return false;
	}
	bench->narrowed++;
	assert_int_equal(narrow_outcome, outcome);
	assert_int_equal(bench->narrow_patch.length, bench->whole_patch.length);
	if (outcome == DIFF_PATCH)
		assert_memory_equal(bench->narrow_patch.bytes, bench->whole_patch.bytes,
			bench->whole_patch.length);
	return true;
}

static void set_before(struct bench *bench, const char *bytes, size_t length)
{
	assert_int_equal(
		document_scan(&bench->whole[0], bytes, length, NULL), DOCUMENT_OK);
}

static const char *const ignored[] = {
	"/*/status", "/0", "/*/1/a", "/*/in/y/1", "/a", "/*/*"};
static const struct diff_rules rules[] = {
	{0},
	{.identity = "status"},
	{.ignore = ignored, .ignore_count = 1},
	{.ignore = ignored + 1, .ignore_count = 3},
	{.ignore = ignored + 4, .ignore_count = 1},
	{.ignore = ignored + 5, .ignore_count = 1},
};

static void narrowed_documents_give_the_patch_that_whole_ones_give(void **state)
{
	static struct text before, after;
	struct bench bench;

	(void)state;
	bench_init(&bench);
	for (int i = 0; i < DOCUMENTS; i++) {
		make_document(&before);
		set_before(&bench, before.bytes, before.length);
		for (int k = 0; k < EDITS; k++) {
			memcpy(&after, &before, sizeof(after));
			if (draw(2))
				edit_bytes(&after);
			else
				edit_value(&after, &bench.whole[0]);
			check(&bench, after.bytes, after.length,
				draw(4) ? SIZE_MAX : draw(100),
				&rules[draw(COUNT(rules))]);
		}
	}
	assert_true(bench.narrowed > DOCUMENTS * EDITS / 10);
	assert_true(bench.wrong > DOCUMENTS * EDITS / 10);
	assert_true(bench.cut > 0);
	bench_fini(&bench);
}

/* ---- cases ---- */

struct edit {
	const char *before;
	const char *after;
	const char *patch; /* NULL: not narrowed, or not enough */
};

#define REPLACE(path, value)                                                             \
	"[{\"op\":\"replace\",\"path\":\"" path "\",\"value\":" value "}]"
#define PAD "\"something that makes the document longer than its patch, by far\""

static void check_edits(const struct edit *edits, size_t count)
{
	struct bench bench;

	bench_init(&bench);
	for (size_t i = 0; i < count; i++) {
		const struct edit *edit = &edits[i];
		bool narrowed;

		set_before(&bench, edit->before, strlen(edit->before));
		narrowed =
			check(&bench, edit->after, strlen(edit->after), SIZE_MAX, NULL);
		if (narrowed != (edit->patch != NULL))
			fail_msg("edit %zu: %s", i, edit->after);
		if (edit->patch == NULL)
			continue;
		assert_int_equal(bench.narrow_patch.length, strlen(edit->patch));
		assert_memory_equal(
			bench.narrow_patch.bytes, edit->patch, bench.narrow_patch.length);
	}
	bench_fini(&bench);
}

static void a_change_is_found_wherever_it_is(void **state)
{
	static const struct edit edits[] = {
		/* a number that goes on, one that ends earlier, the first, the last */
		{"[" PAD ",1,2]", "[" PAD ",12,2]", REPLACE("/1", "12")},
		{"[" PAD ",12,2]", "[" PAD ",1,2]", REPLACE("/1", "1")},
		{"[1," PAD "]", "[3," PAD "]", REPLACE("/0", "3")},
		{"[" PAD ",2]", "[" PAD ",3]", REPLACE("/1", "3")},
		/* characters with the same first, and the same last byte */
		{"[" PAD ",\"\xc3\xa9\"]", "[" PAD ",\"\xc3\xa8\"]",
			REPLACE("/1", "\"\xc3\xa8\"")},
		{"[" PAD ",\"\xc3\xa9\"]", "[" PAD ",\"\xc4\xa9\"]",
			REPLACE("/1", "\"\xc4\xa9\"")},
		/* inside of escapes */
		{"[" PAD ",\"\\u00e9\"]", "[" PAD ",\"\\u00e8\"]",
			REPLACE("/1", "\"\\u00e8\"")},
		{"[" PAD ",\"\\\\\",1]", "[" PAD ",\"\\\\\\\\\",1]",
			REPLACE("/1", "\"\\\\\\\\\"")},
		/* brackets and commas that are text */
		{"[" PAD ",\"],[\",{\"a\":\"}\"}]", "[" PAD ",\"],[\",{\"a\":\"{\"}]",
			REPLACE("/2/a", "\"{\"")},
		/* below names that pointers escape */
		{"{\"x\":[" PAD "],\"a/\\u0062~\" : {\"c\":[5,{\"d\":1}]}}",
			"{\"x\":[" PAD "],\"a/\\u0062~\" : {\"c\":[5,{\"d\":2}]}}",
			REPLACE("/a~1b~0/c/1/d", "2")},
		/* elements that come, go, and come first */
		{"[" PAD ",{\"id\":1},{\"id\":2}]",
			"[" PAD ",{\"id\":1},{\"id\":3},{\"id\":2}]",
			"[{\"op\":\"add\",\"path\":\"/2\",\"value\":{\"id\":3}}]"},
		{"[" PAD ",{\"id\":1},{\"id\":2}]",
			"[" PAD ",{\"id\":1},{\"id\":2},{\"id\":3}]",
			"[{\"op\":\"add\",\"path\":\"/3\",\"value\":{\"id\":3}}]"},
		{"[{\"id\":1},{\"id\":2}," PAD "]", "[{\"id\":2}," PAD "]",
			"[{\"op\":\"remove\",\"path\":\"/0\"}]"},
		{"[[{\"k\":{\"a\":1}}],[{\"k\":{\"a\":2}}]," PAD "," PAD "]",
			"[[{\"k\":{\"a\":1}}],[{\"k\":{\"a\":3}}],[{\"k\":{\"a\":2}}]"
			"," PAD "," PAD "]",
			"[{\"op\":\"add\",\"path\":\"/"
			"1\",\"value\":[{\"k\":{\"a\":3}}]}]"},
		/* a row that is another one */
		{"[" PAD ",{\"id\":1,\"t\":5}]", "[" PAD ",{\"id\":2,\"t\":5}]",
			REPLACE("/1", "{\"id\":2,\"t\":5}")},
	};

	(void)state;
	check_edits(edits, COUNT(edits));
}

static void what_is_not_json_any_more_is_left_to_the_whole_scan(void **state)
{
	static const struct edit edits[] = {
		{"[1,2,3]", "[1,2,3", NULL},
		{"[1,2,3]", "[1,2,3]]", NULL},
		{"[1,2,3]", "[1,2,]", NULL},
		{"[1,2,3]", "[1,,3]", NULL},
		{"[1,2,3]", "[,2,3]", NULL},
		{"[1,2,3]", "[1 2,3]", NULL},
		{"[1,2,3]", "[1,02,3]", NULL},
		{"[[1],[2]]", "[[1],[2}]", NULL},
		{"[[1],[2]]", "[[1]][2]]", NULL},
		{"[\"a\",\"b\"]", "[\"a\",\"b]", NULL},
		{"[\"a\",\"b\"]", "[\"a\\\",\"b\"]", NULL},
		{"[\"\xc3\xa9\"]", "[\"\xc3\"]", NULL},
		{"[\"\xc3\xa9\"]", "[\"\xc3\x41\"]", NULL},
		{"[\"\\ud83d\\ude00\"]", "[\"\\ud83d\\u0e00\"]", NULL},
		{"{\"a\":1,\"b\":2}", "{\"a\":1,\"a\":2}", NULL},
		{"[{\"a\":1,\"b\":2}]", "[{\"a\":1,\"\\u0061\":2}]", NULL},
		{"{\"a\":[1]}", "{\"a\":[1],}", NULL},
		{"{\"a\":[1]}", "{\"a\"[1]}", NULL},
		{"[1]", "", NULL},
		{"1", "12", NULL},
		{"[1] ", "[1]", NULL},
	};

	(void)state;
	check_edits(edits, COUNT(edits));
}

/* Elements that are left out might be equal to the new one, where that goes on. */
static void a_comparison_that_needs_what_is_left_out_says_so(void **state)
{
	static const char before[] =
		"[0,{\"a\":1,\"b\":2},{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}," PAD "]";
	static const char after[] = "[0,{\"a\":1,\"b\":2},{\"a\":1,\"b\":2},"
				    "{\"b\" :2,\"a\":1},{\"b\":2,\"a\":1}," PAD "]";
	struct bench bench;

	(void)state;
	bench_init(&bench);
	set_before(&bench, before, strlen(before));
	assert_false(check(&bench, after, strlen(after), SIZE_MAX, NULL));
	assert_int_equal(bench.cut, 1);
	bench_fini(&bench);
}

static void what_gets_too_deep_is_left_to_the_whole_scan(void **state)
{
	char before[2 * DOCUMENT_DEPTH_MAX + 8], after[2 * DOCUMENT_DEPTH_MAX + 8];
	struct bench bench;

	(void)state;
	bench_init(&bench);
	memset(before, '[', DOCUMENT_DEPTH_MAX);
	strcpy(before + DOCUMENT_DEPTH_MAX, "1");
	memset(before + DOCUMENT_DEPTH_MAX + 1, ']', DOCUMENT_DEPTH_MAX);
	before[2 * DOCUMENT_DEPTH_MAX + 1] = '\0';
	set_before(&bench, before, strlen(before));
	strcpy(after, before);
	after[DOCUMENT_DEPTH_MAX] = '2';
	assert_true(check(&bench, after, strlen(after), SIZE_MAX, NULL));
	strcpy(after + DOCUMENT_DEPTH_MAX, "[]");
	strcpy(after + DOCUMENT_DEPTH_MAX + 2, before + DOCUMENT_DEPTH_MAX + 1);
	assert_false(check(&bench, after, strlen(after), SIZE_MAX, NULL));
	bench_fini(&bench);
}

static void a_part_larger_than_allowed_is_left_to_the_whole_scan(void **state)
{
	static const struct {
		const char *before, *after;
		size_t enough;
	} cases[] = {
		{"[1,2,[\"abcdefgh\"],3]", "[1,2,[\"abcdefgi\"],3]", 10},
		{"[1,2,[\"a\"],3]", "[1,2,[\"abcdefgh\"],3]", 10},
		{"[1,2,[\"abcdefgh\"],3]", "[1,2,[\"a\"],3]", 10},
		/* looked at for less, this would be another number */
		{"[1,1234567890,2]", "[1,1334567890,2]", 10},
		{"[1,{\"a\":2345},2]", "[1,{\"a\":2346},2]", 10},
	};
	struct bench bench;

	(void)state;
	bench_init(&bench);
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *after = cases[i].after;

		set_before(&bench, cases[i].before, strlen(cases[i].before));
		for (size_t max = 0; max < 16; max++)
			assert_int_equal(check(&bench, after, strlen(after), max, NULL),
				max >= cases[i].enough);
	}
	bench_fini(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(narrowed_documents_give_the_patch_that_whole_ones_give),
		cmocka_unit_test(a_change_is_found_wherever_it_is),
		cmocka_unit_test(what_is_not_json_any_more_is_left_to_the_whole_scan),
		cmocka_unit_test(a_comparison_that_needs_what_is_left_out_says_so),
		cmocka_unit_test(what_gets_too_deep_is_left_to_the_whole_scan),
		cmocka_unit_test(a_part_larger_than_allowed_is_left_to_the_whole_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
