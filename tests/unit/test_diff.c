#include "common/diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Around the documents of most tests, so that the patch is the smaller of the two. */
#define PADDING                                                                          \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"               \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"               \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"               \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"               \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"               \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define IGNORE(...)                                                                      \
	(struct diff_rules)                                                              \
	{                                                                                \
		.ignore = (const char *const[]){__VA_ARGS__},                            \
		.ignore_count =                                                          \
			sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *),     \
	}

/* Compares two whole documents; @patch as for diff_documents(). */
static int diff_texts(struct diff_patch *patch, const char *before, const char *after,
	const struct diff_rules *rules)
{
	struct document documents[2];
	int outcome;

	document_init(&documents[0]);
	document_init(&documents[1]);
	assert_int_equal(
		document_scan(&documents[0], before, strlen(before), NULL), DOCUMENT_OK);
	assert_int_equal(
		document_scan(&documents[1], after, strlen(after), NULL), DOCUMENT_OK);
	outcome = diff_documents(patch, &documents[0], &documents[1], rules);
	document_fini(&documents[0]);
	document_fini(&documents[1]);
	return outcome;
}

/* @text with one more member or element; what is neither becomes the member v. */
static char *padded(const char *text)
{
	size_t last = strlen(text) - 1;
	char *result;
	int r;

	if (text[last] == '}')
		r = asprintf(&result, "%.*s%s\"padding\":\"%s\"}", (int)last, text,
			last > 1 ? "," : "", PADDING);
	else if (text[last] == ']')
		r = asprintf(&result, "%.*s%s\"%s\"]", (int)last, text,
			last > 1 ? "," : "", PADDING);
	else
		r = asprintf(&result, "{\"v\":%s,\"padding\":\"%s\"}", text, PADDING);
	assert_true(r > 0);
	return result;
}

/* Both are padded; @expected NULL: they are the same. */
static void check_with(const struct diff_rules *rules, const char *before,
	const char *after, const char *expected)
{
	struct diff_patch patch = {0};
	char *texts[] = {padded(before), padded(after)};
	int outcome = diff_texts(&patch, texts[0], texts[1], rules);

	assert_int_equal(outcome, expected ? DIFF_PATCH : DIFF_SAME);
	if (expected) {
		char *text = strndup(patch.bytes, patch.length);

		assert_string_equal(text, expected);
		free(text);
	}
	diff_patch_fini(&patch);
	free(texts[0]);
	free(texts[1]);
}

static void assert_starts_with(const struct diff_patch *patch, const char *start)
{
	assert_true(patch->length > strlen(start));
	assert_memory_equal(patch->bytes, start, strlen(start));
}

static void check(const char *before, const char *after, const char *expected)
{
	check_with(NULL, before, after, expected);
}

static void check_same(const char *before, const char *after)
{
	check_with(NULL, before, after, NULL);
}

static void equal_meaning_is_no_change(void **state)
{
	(void)state;
	check_same("[1,true,null,\"a\",{\"b\":[]}]", "[1,true,null,\"a\",{\"b\":[]}]");
	check_same("{\"a\":1,\"b\":2}", "{ \"b\" : 2 ,\n\t\"a\" : 1 }");
	check_same("[\"\\u0061\\/\\n\\u00e9\\ud83d\\ude00\"]",
		"[\"a/\\u000a\xc3\xa9\xf0\x9f\x98\x80\"]");
	check_same("{\"\\u0061\":{\"b\":1}}", "{\"a\":{\"\\u0062\":1}}");
	check_same("[{\"a\":1,\"b\":{\"c\":2,\"d\":[3]}},4]",
		"[{\"b\":{\"d\":[ 3 ],\"c\":2},\"a\":1},4]");
}

static void numbers_are_compared_as_text(void **state)
{
	(void)state;
	check_same("123456789012345678901234567890", "123456789012345678901234567890");
	check("123456789012345678901234567890", "123456789012345678901234567891",
		"[{\"op\":\"replace\",\"path\":\"/v\","
		"\"value\":123456789012345678901234567891}]");
	check("1", "1.0", "[{\"op\":\"replace\",\"path\":\"/v\",\"value\":1.0}]");
	check("[1]", "[\"1\"]", "[{\"op\":\"replace\",\"path\":\"/0\",\"value\":\"1\"}]");
}

static void a_changed_member_is_one_replace(void **state)
{
	(void)state;
	check("{\"a\":1,\"b\":{\"c\":2}}", "{\"a\":1,\"b\":{\"c\":3}}",
		"[{\"op\":\"replace\",\"path\":\"/b/c\",\"value\":3}]");
	check("{\"a\":1}", "{\"a\":null}",
		"[{\"op\":\"replace\",\"path\":\"/a\",\"value\":null}]");
	check("{\"a\":true}", "{\"a\":false}",
		"[{\"op\":\"replace\",\"path\":\"/a\",\"value\":false}]");
	check("{\"a\":{}}", "{\"a\":[]}",
		"[{\"op\":\"replace\",\"path\":\"/a\",\"value\":[]}]");
	check("{\"a\":\"x\",\"b\":\"x\"}", "{\"b\":\"y\",\"a\":\"x\"}",
		"[{\"op\":\"replace\",\"path\":\"/b\",\"value\":\"y\"}]");
}

static void members_come_and_go_by_add_and_remove(void **state)
{
	(void)state;
	check("{\"a\":1}", "{\"a\":1,\"b\":[2]}",
		"[{\"op\":\"add\",\"path\":\"/b\",\"value\":[2]}]");
	check("{\"a\":1,\"b\":[2]}", "{\"a\":1}",
		"[{\"op\":\"remove\",\"path\":\"/b\"}]");
	check("{\"a\":1,\"b\":2,\"c\":3}", "{\"d\":2,\"c\":3,\"a\":1}",
		"[{\"op\":\"remove\",\"path\":\"/b\"},"
		"{\"op\":\"add\",\"path\":\"/d\",\"value\":2}]");
	check("{\"a\":null}", "{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]");
}

static void values_are_the_new_bodys_own_bytes(void **state)
{
	(void)state;
	check("{\"v\":1}", "{\"v\":{ \"\\u0061\" : [ 1.50 , \"\\/\" ] }}",
		"[{\"op\":\"replace\",\"path\":\"/v\","
		"\"value\":{ \"\\u0061\" : [ 1.50 , \"\\/\" ] }}]");
}

static void names_are_escaped_as_pointers_and_as_json(void **state)
{
	static const struct {
		const char *name, *path;
	} names[] = {
		{"", "/"},
		{"a/b", "/a~1b"},
		{"a~b", "/a~0b"},
		{"~1", "/~01"},
		{"\\u007e\\u002f", "/~0~1"},
		{"\\/", "/~1"},
		{"\\\"", "/\\\""},
		{"\\\\", "/\\\\"},
		{"\\n\\u0000\\u001f", "/\\u000a\\u0000\\u001f"},
		{"\\u007f ", "/\x7f "},
		{"\\u00e9\xc3\xa9", "/\xc3\xa9\xc3\xa9"},
		{"\\ud83d\\ude00", "/\xf0\x9f\x98\x80"},
		{"-", "/-"},
		{"0", "/0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char before[64], after[64], expected[128];

		snprintf(before, sizeof(before), "{\"%s\":{\"x\":1}}", names[i].name);
		snprintf(after, sizeof(after), "{\"%s\":{\"x\":2}}", names[i].name);
		snprintf(expected, sizeof(expected),
			"[{\"op\":\"replace\",\"path\":\"%s/x\",\"value\":2}]",
			names[i].path);
		check(before, after, expected);
		snprintf(expected, sizeof(expected),
			"[{\"op\":\"remove\",\"path\":\"%s\"}]", names[i].path);
		check(before, "{}", expected);
		snprintf(expected, sizeof(expected),
			"[{\"op\":\"add\",\"path\":\"%s\",\"value\":{\"x\":2}}]",
			names[i].path);
		check("{}", after, expected);
	}
}

static void a_changed_row_is_one_small_operation(void **state)
{
	(void)state;
	check("[{\"id\":1,\"s\":\"up\"},{\"id\":2,\"s\":\"up\"},{\"id\":3,\"s\":\"up\"}]",
		"[{\"id\":1,\"s\":\"up\"},{\"id\":2,\"s\":\"down\"},{\"id\":3,\"s\":"
		"\"up\"}]",
		"[{\"op\":\"replace\",\"path\":\"/1/s\",\"value\":\"down\"}]");
}

static void rows_are_removed_and_added_where_they_were(void **state)
{
	(void)state;
	check("[{\"id\":1},{\"id\":2},{\"id\":3}]", "[{\"id\":1},{\"id\":3}]",
		"[{\"op\":\"remove\",\"path\":\"/1\"}]");
	check("[{\"id\":1},{\"id\":3}]", "[{\"id\":1},{\"id\":2},{\"id\":3}]",
		"[{\"op\":\"add\",\"path\":\"/1\",\"value\":{\"id\":2}}]");
	check("[]", "[{\"id\":1},{\"id\":2}]",
		"[{\"op\":\"add\",\"path\":\"/0\",\"value\":{\"id\":1}},"
		"{\"op\":\"add\",\"path\":\"/1\",\"value\":{\"id\":2}}]");
	/* Changes are addressed by where the row is after all rows are in place. */
	check("[{\"id\":1},{\"id\":2,\"x\":0},{\"id\":3},{\"id\":4,\"x\":0}]",
		"[{\"id\":2,\"x\":1},{\"id\":5},{\"id\":3},{\"id\":6},{\"id\":4,\"x\":1}"
		"]",
		"[{\"op\":\"remove\",\"path\":\"/0\"},"
		"{\"op\":\"add\",\"path\":\"/1\",\"value\":{\"id\":5}},"
		"{\"op\":\"add\",\"path\":\"/3\",\"value\":{\"id\":6}},"
		"{\"op\":\"replace\",\"path\":\"/0/x\",\"value\":1},"
		"{\"op\":\"replace\",\"path\":\"/4/x\",\"value\":1}]");
}

static void a_row_in_another_rows_place_is_replaced_whole(void **state)
{
	(void)state;
	check("[{\"id\":1,\"a\":1},{\"id\":2,\"a\":1},{\"id\":3,\"a\":1}]",
		"[{\"id\":1,\"a\":1},{\"id\":4,\"a\":1},{\"id\":3,\"a\":1}]",
		"[{\"op\":\"replace\",\"path\":\"/1\",\"value\":{\"id\":4,\"a\":1}}]");
}

static void the_fewest_rows_are_moved(void **state)
{
	(void)state;
	check("[{\"id\":1},{\"id\":2},{\"id\":3},{\"id\":4}]",
		"[{\"id\":4},{\"id\":1},{\"id\":2},{\"id\":3}]",
		"[{\"op\":\"move\",\"from\":\"/3\",\"path\":\"/0\"}]");
	check("[{\"id\":1},{\"id\":2},{\"id\":3},{\"id\":4}]",
		"[{\"id\":2},{\"id\":3},{\"id\":4},{\"id\":1}]",
		"[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/3\"}]");
	check("[{\"id\":1},{\"id\":2},{\"id\":3},{\"id\":4,\"x\":0}]",
		"[{\"id\":4,\"x\":1},{\"id\":1},{\"id\":9},{\"id\":3}]",
		"[{\"op\":\"move\",\"from\":\"/3\",\"path\":\"/0\"},"
		"{\"op\":\"replace\",\"path\":\"/2\",\"value\":{\"id\":9}},"
		"{\"op\":\"replace\",\"path\":\"/0/x\",\"value\":1}]");
}

static void rows_are_matched_by_id_then_uuid_then_name(void **state)
{
	(void)state;
	check("[{\"uuid\":\"a\",\"name\":\"x\"},{\"uuid\":\"b\",\"name\":\"y\"}]",
		"[{\"uuid\":\"b\",\"name\":\"y\"},{\"uuid\":\"a\",\"name\":\"z\"}]",
		"[{\"op\":\"move\",\"from\":\"/1\",\"path\":\"/0\"},"
		"{\"op\":\"replace\",\"path\":\"/1/name\",\"value\":\"z\"}]");
	/* One row without id. */
	check("[{\"id\":1,\"name\":\"x\"},{\"name\":\"y\"}]",
		"[{\"name\":\"y\"},{\"id\":1,\"name\":\"x\"}]",
		"[{\"op\":\"move\",\"from\":\"/1\",\"path\":\"/0\"}]");
	/* An id that repeats. */
	check("[{\"id\":1,\"name\":\"x\"},{\"id\":1,\"name\":\"y\"}]",
		"[{\"id\":1,\"name\":\"y\"},{\"id\":1,\"name\":\"x\"}]",
		"[{\"op\":\"move\",\"from\":\"/1\",\"path\":\"/0\"}]");
	check("[{\"id\":1,\"name\":\"x\"},{\"id\":2,\"name\":\"y\"}]",
		"[{\"id\":3,\"name\":\"y\"},{\"id\":3,\"name\":\"x\"}]",
		"[{\"op\":\"move\",\"from\":\"/1\",\"path\":\"/0\"},"
		"{\"op\":\"replace\",\"path\":\"/0/id\",\"value\":3},"
		"{\"op\":\"replace\",\"path\":\"/1/id\",\"value\":3}]");
	check("[{\"id\":1,\"name\":\"x\"},{\"id\":1,\"name\":\"y\"}]",
		"[{\"id\":1,\"name\":\"y\"},{\"id\":2,\"name\":\"x\"}]",
		"[{\"op\":\"move\",\"from\":\"/1\",\"path\":\"/0\"},"
		"{\"op\":\"replace\",\"path\":\"/1/id\",\"value\":2}]");
	/* An id that is no scalar. */
	check("[{\"id\":null,\"name\":\"x\"},{\"id\":[],\"name\":\"y\"}]",
		"[{\"id\":[],\"name\":\"y\"},{\"id\":null,\"name\":\"x\"}]",
		"[{\"op\":\"move\",\"from\":\"/1\",\"path\":\"/0\"}]");
}

static void the_number_1_and_the_string_1_are_two_identities(void **state)
{
	(void)state;
	check("[{\"id\":1,\"a\":\"x\"},{\"id\":\"1\",\"a\":\"y\"}]",
		"[{\"id\":\"1\",\"a\":\"y\"},{\"id\":1,\"a\":\"x\"}]",
		"[{\"op\":\"move\",\"from\":\"/1\",\"path\":\"/0\"}]");
}

static void the_configured_identity_is_the_only_one(void **state)
{
	static const struct diff_rules rules = {.identity = "key"};

	(void)state;
	check_with(&rules, "[{\"key\":1,\"id\":1},{\"key\":2,\"id\":2}]",
		"[{\"key\":2,\"id\":1},{\"key\":1,\"id\":2}]",
		"[{\"op\":\"move\",\"from\":\"/1\",\"path\":\"/0\"},"
		"{\"op\":\"replace\",\"path\":\"/0/id\",\"value\":1},"
		"{\"op\":\"replace\",\"path\":\"/1/id\",\"value\":2}]");
	check_with(&rules, "[{\"id\":1},{\"id\":2}]", "[{\"id\":2},{\"id\":1}]",
		"[{\"op\":\"remove\",\"path\":\"/1\"},"
		"{\"op\":\"add\",\"path\":\"/0\",\"value\":{\"id\":2}}]");
}

static void elements_without_identity_are_compared_in_place(void **state)
{
	(void)state;
	check("[1,2,3]", "[1,5,3]", "[{\"op\":\"replace\",\"path\":\"/1\",\"value\":5}]");
	check("[{\"a\":1,\"b\":1},{\"a\":2,\"b\":1}]",
		"[{\"a\":1,\"b\":2},{\"a\":2,\"b\":2}]",
		"[{\"op\":\"replace\",\"path\":\"/0/b\",\"value\":2},"
		"{\"op\":\"replace\",\"path\":\"/1/b\",\"value\":2}]");
	check("[[1,[2,3]],4]", "[[1,[2,9]],4]",
		"[{\"op\":\"replace\",\"path\":\"/0/1/1\",\"value\":9}]");
	check("[1,2,3]", "[1,3]", "[{\"op\":\"remove\",\"path\":\"/1\"}]");
	check("[1,1,1]", "[1,1,1,1]", "[{\"op\":\"add\",\"path\":\"/3\",\"value\":1}]");
	check("[1,2,3,4,5]", "[1,9,8,7,5]",
		"[{\"op\":\"replace\",\"path\":\"/1\",\"value\":9},"
		"{\"op\":\"replace\",\"path\":\"/2\",\"value\":8},"
		"{\"op\":\"replace\",\"path\":\"/3\",\"value\":7}]");
}

static void a_window_that_slides_costs_two_operations(void **state)
{
	(void)state;
	check("[[1,5],[2,5],[3,7],[4,5]]", "[[2,5],[3,7],[4,5],[5,6]]",
		"[{\"op\":\"remove\",\"path\":\"/0\"},"
		"{\"op\":\"add\",\"path\":\"/3\",\"value\":[5,6]}]");
}

static void equal_elements_are_found_whatever_their_spelling(void **state)
{
	(void)state;
	check("[{\"a\":1,\"b\":1},{\"a\":2,\"b\":2},{\"a\":3,\"b\":\"3\"}]",
		"[{\"b\":2,\"a\":2},{ \"b\":\"\\u0033\",\"a\":3}]",
		"[{\"op\":\"remove\",\"path\":\"/0\"}]");
	check("[[1,2],[3,4]]", "[[2,1],[3,4]]",
		"[{\"op\":\"replace\",\"path\":\"/0\",\"value\":[2,1]}]");
}

static void a_name_may_be_long_and_all_escapes(void **state)
{
	enum { CHARACTERS = 2000 };
	char name[CHARACTERS * 6 + 1] = "", before[sizeof(name) + 16];
	char after[sizeof(name) + 16], expected[sizeof(name) + 64];

	(void)state;
	for (char *at = name; at < name + sizeof(name) - 1;)
		at = stpcpy(at, "\\u0001");
	sprintf(before, "{\"%s\":1}", name);
	sprintf(after, "{\"%s\":2}", name);
	sprintf(expected, "[{\"op\":\"replace\",\"path\":\"/%s\",\"value\":2}]", name);
	check(before, after, expected);
}

static void values_that_repeat_are_kept_in_their_order(void **state)
{
	(void)state;
	check("[0,7,5,6,7,8]", "[7,5,7,8,1]",
		"[{\"op\":\"remove\",\"path\":\"/3\"},{\"op\":\"remove\",\"path\":\"/"
		"0\"},"
		"{\"op\":\"add\",\"path\":\"/4\",\"value\":1}]");
}

static void what_costs_more_than_its_value_is_replaced_whole(void **state)
{
	(void)state;
	check("{\"v\":[1,2,3,4,5,6,7,8,9]}", "{\"v\":[9,8,7,6,4,5,3,2,1]}",
		"[{\"op\":\"replace\",\"path\":\"/v\",\"value\":[9,8,7,6,4,5,3,2,1]}]");
	check("{\"v\":{\"o\":{\"x\":1},\"a\":1,\"b\":1}}",
		"{\"v\":{\"o\":{\"x\":2},\"a\":2,\"b\":2}}",
		"[{\"op\":\"replace\",\"path\":\"/"
		"v\",\"value\":{\"o\":{\"x\":2},\"a\":2,\"b\":2}}]");
	check("{\"v\":{\"a\":{\"x\":1},\"b\":{\"x\":1}}}",
		"{\"v\":{\"a\":{\"x\":2},\"b\":{\"x\":2}}}",
		"[{\"op\":\"replace\",\"path\":\"/"
		"v\",\"value\":{\"a\":{\"x\":2},\"b\":{\"x\":2}}}]");
	check("{\"a\":{\"b\":1,\"c\":1},\"d\":1}", "{\"a\":{\"b\":2,\"c\":2},\"d\":2}",
		"[{\"op\":\"replace\",\"path\":\"/d\",\"value\":2},"
		"{\"op\":\"replace\",\"path\":\"/a\",\"value\":{\"b\":2,\"c\":2}}]");
}

/* @count members with an object each, all to hold @value. */
static char *objects_text(int count, int value)
{
	char *text = malloc((size_t)count * 32 + 64), *at = stpcpy(text, "{\"v\":{");

	for (int i = 0; i < count; i++)
		at += sprintf(at, "%s\"%d\":{\"x\":%d}", i ? "," : "", i, value);
	strcpy(at, "}}");
	return text;
}

/* The operations are larger than the document before v is done with. */
static void a_container_gives_way_before_the_document_does(void **state)
{
	enum { OBJECTS = 100 };
	char *before = objects_text(OBJECTS, 1), *after = objects_text(OBJECTS, 2);
	char expected[4096];

	(void)state;
	sprintf(expected, "[{\"op\":\"replace\",\"path\":\"/v\",\"value\":%.*s}]",
		(int)strlen(after) - 6, after + 5);
	check(before, after, expected);
	free(before);
	free(after);
}

static void a_patch_as_large_as_the_document_is_not_made(void **state)
{
	static const char *const pairs[][2] = {
		{"1", "2"},
		{"[]", "{}"},
		{"{\"a\":1}", "{\"a\":2}"},
		{"[1,2,3,4,5,6,7,8,9,10]", "[10,9,8,7,6,5,4,3,2,1]"},
		{"{\"a\":\"" PADDING "\"}", "{\"a\":\"" PADDING PADDING "\"}"},
		{"{\"b\":\"" PADDING "\"}", "{\"b\":1}"},
	};
	struct diff_patch patch = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		assert_int_equal(
			diff_texts(&patch, pairs[i][0], pairs[i][1], NULL), DIFF_LARGER);
		assert_int_equal(patch.length, 0);
	}
	diff_patch_fini(&patch);
}

static void a_patch_of_one_byte_less_than_the_document_is_made(void **state)
{
	static const char expected[] =
		"[{\"op\":\"replace\",\"path\":\"/a\",\"value\":1}]";
	static const char format[] = "{\"a\":%d,\"b\":\"%.*s\"}";
	size_t around = strlen("{\"a\":1,\"b\":\"\"}");
	struct diff_patch patch = {0};

	(void)state;
	for (size_t more = 0; more < 2; more++) {
		int filling = (int)(strlen(expected) + more - around);
		char before[64], after[64];

		sprintf(before, format, 0, filling, PADDING);
		sprintf(after, format, 1, filling, PADDING);
		assert_int_equal(strlen(after), strlen(expected) + more);
		assert_int_equal(diff_texts(&patch, before, after, NULL),
			more ? DIFF_PATCH : DIFF_LARGER);
	}
	assert_int_equal(patch.length, strlen(expected));
	assert_memory_equal(patch.bytes, expected, patch.length);
	diff_patch_fini(&patch);
}

/* @count rows of some size, from the last to the first if @reversed. */
static char *rows_text(size_t count, bool reversed, const char *before, const char *after)
{
	char *text = malloc(count * 256 + strlen(before) + strlen(after) + 16);
	char *at = text + sprintf(text, "%s[", before);

	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "%s{\"id\":%zu,\"name\":\"%.150s\"}", i ? "," : "",
			reversed ? count - i : i + 1, PADDING);
	sprintf(at, "]%s", after);
	return text;
}

static void an_array_with_too_many_moves_is_sent_whole(void **state)
{
	struct diff_patch patch = {0};
	char *padding = malloc(20000), *end, *before, *after;

	(void)state;
	memset(padding, 'x', 20000);
	end = memcpy(padding, ",\"", 2);
	strcpy(padding + 20000 - 6, "\":1}");
	before = rows_text(3000, false, "{\"v\":", end);
	after = rows_text(3000, true, "{\"v\":", end);
	assert_int_equal(diff_texts(&patch, before, after, NULL), DIFF_PATCH);
	assert_starts_with(&patch, "[{\"op\":\"replace\",\"path\":\"/v\"");
	free(before);
	free(after);

	before = rows_text(3000, false, "{\"v\":", "}");
	after = rows_text(3000, true, "{\"v\":", "}");
	assert_int_equal(diff_texts(&patch, before, after, NULL), DIFF_LARGER);
	free(before);
	free(after);

	before = rows_text(3000, false, "", "");
	after = rows_text(3000, true, "", "");
	assert_int_equal(diff_texts(&patch, before, after, NULL), DIFF_LARGER);
	free(before);
	free(after);
	free(padding);
	diff_patch_fini(&patch);
}

static void ignored_members_may_differ_come_and_go(void **state)
{
	struct diff_rules rules = IGNORE("/*/t", "/0/u");
	struct diff_rules member = IGNORE("/t");

	(void)state;
	check_with(&rules, "[{\"id\":1,\"t\":1}]", "[{\"id\":1,\"t\":2}]", NULL);
	check_with(&rules, "[{\"id\":1,\"t\":{\"x\":[1]}}]",
		"[{\"id\":1,\"t\":{\"x\":[2]}}]", NULL);
	check_with(&rules, "[{\"id\":1,\"t\":1}]", "[{\"id\":1}]", NULL);
	check_with(&rules, "[{\"id\":1}]", "[{\"t\":{\"x\":[]},\"id\":1}]", NULL);
	check_with(&rules, "[{\"id\":1,\"t\":1,\"s\":1}]", "[{\"id\":1,\"t\":2,\"s\":2}]",
		"[{\"op\":\"replace\",\"path\":\"/0/s\",\"value\":2}]");
	check_with(&rules, "[{\"t\":1,\"s\":{\"t\":1}}]", "[{\"t\":2,\"s\":{\"t\":2}}]",
		"[{\"op\":\"replace\",\"path\":\"/0/s/t\",\"value\":2}]");
	check_with(&member, "{\"t\":{\"x\":1}}", "{\"t\":{\"x\":2}}", NULL);
}

static void values_sent_whole_hold_what_is_ignored(void **state)
{
	struct diff_rules rules = IGNORE("/*/t");

	(void)state;
	check_with(&rules, "[{\"id\":1,\"t\":1}]",
		"[{\"id\":1,\"t\":2},{\"id\":2,\"t\":2}]",
		"[{\"op\":\"add\",\"path\":\"/1\",\"value\":{\"id\":2,\"t\":2}}]");
	check_with(&rules, "[{\"id\":1,\"t\":1,\"a\":[1]}]",
		"[{\"id\":1,\"t\":2,\"a\":{}}]",
		"[{\"op\":\"replace\",\"path\":\"/0/a\",\"value\":{}}]");
}

static void rows_are_matched_whatever_they_ignore(void **state)
{
	struct diff_rules rules = IGNORE("/*/t");

	(void)state;
	check_with(&rules, "[{\"id\":1,\"t\":1},{\"id\":2,\"t\":1},{\"id\":3,\"t\":1}]",
		"[{\"id\":3,\"t\":2},{\"id\":1,\"t\":2},{\"id\":2,\"t\":2}]",
		"[{\"op\":\"move\",\"from\":\"/2\",\"path\":\"/0\"}]");
	check_with(&rules, "[{\"a\":1,\"t\":1},{\"a\":2,\"t\":1},{\"a\":3,\"t\":1}]",
		"[{\"a\":2,\"t\":2},{\"a\":3,\"t\":2}]",
		"[{\"op\":\"remove\",\"path\":\"/0\"}]");
}

static void ignored_parts_do_not_hide_that_rows_are_equal(void **state)
{
	struct diff_rules members = IGNORE("/*/t"), elements = IGNORE("/*/0");

	(void)state;
	check_with(&members, "[{\"a\":1},{\"a\":2},{\"a\":3,\"t\":1}]",
		"[{\"a\":2,\"t\":1},{\"a\":3}]", "[{\"op\":\"remove\",\"path\":\"/0\"}]");
	check_with(&elements, "[[1,\"a\"],[2,\"b\"],[3,\"c\"]]", "[[8,\"b\"],[9,\"c\"]]",
		"[{\"op\":\"remove\",\"path\":\"/0\"}]");
}

static void pointers_are_followed_each_on_its_own(void **state)
{
	struct diff_rules rules = IGNORE("/a/x", "/b/y");

	(void)state;
	check_with(&rules, "{\"a\":{\"x\":1},\"b\":{\"x\":1}}",
		"{\"a\":{\"x\":2},\"b\":{\"x\":2}}",
		"[{\"op\":\"replace\",\"path\":\"/b/x\",\"value\":2}]");
}

static void ignored_pointers_are_unescaped(void **state)
{
	struct diff_rules rules = IGNORE("/a~1b", "/~0/x", "/~01", "/", "/\xc3\xa9");

	(void)state;
	check_with(&rules,
		"{\"a/b\":1,\"~\":{\"x\":1},\"~1\":1,\"\":1,\"\\u00e9\":1,\"/\":1}",
		"{\"a/b\":2,\"~\":{\"x\":2},\"~1\":2,\"\":2,\"\\u00e9\":2,\"/\":2}",
		"[{\"op\":\"replace\",\"path\":\"/~1\",\"value\":2}]");
}

static void arrays_ignored_by_index_are_compared_by_position(void **state)
{
	struct diff_rules rules = IGNORE("/0/t", "/01");

	(void)state;
	check_with(&rules, "[{\"id\":1,\"t\":1},{\"id\":2,\"t\":1}]",
		"[{\"id\":1,\"t\":2},{\"id\":2,\"t\":2}]",
		"[{\"op\":\"replace\",\"path\":\"/1/t\",\"value\":2}]");
	check_with(&rules, "[{\"id\":1,\"t\":1},{\"id\":2,\"t\":1}]",
		"[{\"id\":2,\"t\":1},{\"id\":1}]",
		"[{\"op\":\"replace\",\"path\":\"/0/id\",\"value\":2},"
		"{\"op\":\"replace\",\"path\":\"/1\",\"value\":{\"id\":1}}]");
	rules = IGNORE("/r/0/t");
	check_with(&rules,
		"{\"r\":[{\"id\":1,\"t\":1,\"s\":\"" PADDING
		"\"},{\"id\":2},{\"id\":3}]}",
		"{\"r\":[{\"id\":2,\"t\":2,\"s\":\"" PADDING "\"},{\"id\":3}]}",
		"[{\"op\":\"remove\",\"path\":\"/r/2\"},"
		"{\"op\":\"replace\",\"path\":\"/r/0/id\",\"value\":2},"
		"{\"op\":\"replace\",\"path\":\"/r/1/id\",\"value\":3}]");
}

static void ignored_elements_still_count(void **state)
{
	struct diff_rules rules = IGNORE("/v/*");

	(void)state;
	check_with(&rules, "{\"v\":[1,2]}", "{\"v\":[3,{}]}", NULL);
	check_with(&rules, "{\"v\":[1,2]}", "{\"v\":[3,4,5]}",
		"[{\"op\":\"add\",\"path\":\"/v/2\",\"value\":5}]");
	check_with(&rules, "{\"v\":[1,2]}", "{\"v\":[3]}",
		"[{\"op\":\"remove\",\"path\":\"/v/1\"}]");
	check_with(&rules, "{\"v\":{\"a\":1}}", "{\"v\":{\"b\":2}}", NULL);
}

static void the_whole_document_can_be_ignored(void **state)
{
	struct diff_rules rules = IGNORE("");
	struct diff_patch patch = {0};

	(void)state;
	assert_int_equal(diff_texts(&patch, "[1]", "{}", &rules), DIFF_SAME);
	assert_int_equal(diff_texts(&patch, "{\"a\":1}", "{\"a\":2}", &rules), DIFF_SAME);
	diff_patch_fini(&patch);
}

static void a_hundred_pointers_can_be_ignored(void **state)
{
	enum { POINTERS = 100 };
	char texts[POINTERS][16], before[2048] = "{\"v\":{\"x\":0";
	char after[2048] = "{\"v\":{\"x\":1";
	const char *pointers[POINTERS];
	struct diff_rules rules = {.ignore = pointers, .ignore_count = POINTERS};

	(void)state;
	for (int i = 0; i < POINTERS; i++) {
		sprintf(texts[i], "/v/m%d", i);
		pointers[i] = texts[i];
		sprintf(before + strlen(before), ",\"m%d\":0", i);
		sprintf(after + strlen(after), ",\"m%d\":1", i);
	}
	strcat(before, "}}");
	strcat(after, "}}");
	check_with(&rules, before, after,
		"[{\"op\":\"replace\",\"path\":\"/v/x\",\"value\":1}]");
}

static void a_patchs_memory_is_used_again(void **state)
{
	struct diff_patch patch = {0};
	const char *bytes;

	(void)state;
	assert_int_equal(diff_texts(&patch, "{\"a\":1,\"b\":\"" PADDING "\"}",
				 "{\"a\":2,\"b\":\"" PADDING "\"}", NULL),
		DIFF_PATCH);
	bytes = patch.bytes;
	assert_int_equal(diff_texts(&patch, "[1]", "[1]", NULL), DIFF_SAME);
	assert_int_equal(patch.length, 0);
	assert_int_equal(diff_texts(&patch, "{\"a\":3,\"b\":\"" PADDING "\"}",
				 "{\"a\":4,\"b\":\"" PADDING "\"}", NULL),
		DIFF_PATCH);
	assert_ptr_equal(patch.bytes, bytes);
	assert_starts_with(&patch, "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":4}");
	diff_patch_fini(&patch);
	diff_patch_fini(&patch);
	diff_patch_fini(NULL);
}

/* @depth arrays and objects around @value. */
static char *deep_text(size_t depth, const char *value)
{
	char *text = malloc(depth * 20 + strlen(value) + 1), *at = text;

	for (size_t i = 0; i < depth; i++)
		at = stpcpy(at, i % 2 ? "[\"element\"," : "{\"a\":");
	at = stpcpy(at, value);
	for (size_t i = depth; i-- > 0;)
		at = stpcpy(at, i % 2 ? "]" : "}");
	return text;
}

static void the_deepest_documents_are_compared(void **state)
{
	struct diff_patch patch = {0};
	char *before = deep_text(DOCUMENT_DEPTH_MAX, "1");
	char *after = deep_text(DOCUMENT_DEPTH_MAX, "2");

	(void)state;
	assert_int_equal(diff_texts(&patch, before, after, NULL), DIFF_PATCH);
	assert_starts_with(&patch, "[{\"op\":\"replace\",\"path\":\"/a/1/a/1/a/1");
	free(before);
	free(after);
	diff_patch_fini(&patch);
}

/* Were any of these quadratic, they would take minutes. */
static void large_documents_without_order_are_no_burden(void **state)
{
	enum { MEMBERS = 200000 };
	struct diff_patch patch = {0};
	char *texts[2];

	(void)state;
	for (int side = 0; side < 2; side++) {
		char *at = texts[side] = malloc(MEMBERS * 32);

		*at++ = '{';
		for (int i = 0; i < MEMBERS; i++)
			at += sprintf(
				at, "\"name %d\":%d,", side ? MEMBERS - i : i, i & 7);
		strcpy(at, "\"\":0}");
	}
	assert_int_equal(diff_texts(&patch, texts[0], texts[1], NULL), DIFF_LARGER);
	for (int side = 0; side < 2; side++) {
		char *at = texts[side];

		*at++ = '[';
		for (int i = 0; i < MEMBERS; i++)
			at += sprintf(at, "\"%d\",", i % 1000 * (side ? 7 : 9) % 1000);
		strcpy(at, "0]");
	}
	assert_int_equal(diff_texts(&patch, texts[0], texts[1], NULL), DIFF_LARGER);
	free(texts[0]);
	free(texts[1]);
	diff_patch_fini(&patch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_meaning_is_no_change),
		cmocka_unit_test(numbers_are_compared_as_text),
		cmocka_unit_test(a_changed_member_is_one_replace),
		cmocka_unit_test(members_come_and_go_by_add_and_remove),
		cmocka_unit_test(values_are_the_new_bodys_own_bytes),
		cmocka_unit_test(names_are_escaped_as_pointers_and_as_json),
		cmocka_unit_test(a_changed_row_is_one_small_operation),
		cmocka_unit_test(rows_are_removed_and_added_where_they_were),
		cmocka_unit_test(a_row_in_another_rows_place_is_replaced_whole),
		cmocka_unit_test(the_fewest_rows_are_moved),
		cmocka_unit_test(rows_are_matched_by_id_then_uuid_then_name),
		cmocka_unit_test(the_number_1_and_the_string_1_are_two_identities),
		cmocka_unit_test(the_configured_identity_is_the_only_one),
		cmocka_unit_test(elements_without_identity_are_compared_in_place),
		cmocka_unit_test(a_window_that_slides_costs_two_operations),
		cmocka_unit_test(equal_elements_are_found_whatever_their_spelling),
		cmocka_unit_test(a_name_may_be_long_and_all_escapes),
		cmocka_unit_test(values_that_repeat_are_kept_in_their_order),
		cmocka_unit_test(what_costs_more_than_its_value_is_replaced_whole),
		cmocka_unit_test(a_container_gives_way_before_the_document_does),
		cmocka_unit_test(a_patch_as_large_as_the_document_is_not_made),
		cmocka_unit_test(a_patch_of_one_byte_less_than_the_document_is_made),
		cmocka_unit_test(an_array_with_too_many_moves_is_sent_whole),
		cmocka_unit_test(ignored_members_may_differ_come_and_go),
		cmocka_unit_test(values_sent_whole_hold_what_is_ignored),
		cmocka_unit_test(rows_are_matched_whatever_they_ignore),
		cmocka_unit_test(ignored_parts_do_not_hide_that_rows_are_equal),
		cmocka_unit_test(pointers_are_followed_each_on_its_own),
		cmocka_unit_test(ignored_pointers_are_unescaped),
		cmocka_unit_test(arrays_ignored_by_index_are_compared_by_position),
		cmocka_unit_test(ignored_elements_still_count),
		cmocka_unit_test(the_whole_document_can_be_ignored),
		cmocka_unit_test(a_hundred_pointers_can_be_ignored),
		cmocka_unit_test(a_patchs_memory_is_used_again),
		cmocka_unit_test(the_deepest_documents_are_compared),
		cmocka_unit_test(large_documents_without_order_are_no_burden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
