#include "common/document.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

struct verdict {
	const char *bytes;
	size_t length;
	enum document_error error;
	size_t offset; /* of the error */
};

/* Literals, so that a NUL inside is a byte like any other. */
#define ACCEPTED(text)                                                                   \
	{                                                                                \
		text, sizeof(text) - 1, DOCUMENT_OK, 0                                   \
	}
#define REFUSED(text, error, offset)                                                     \
	{                                                                                \
		text, sizeof(text) - 1, DOCUMENT_##error, offset                         \
	}
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct verdict structures[] = {
	ACCEPTED("null"),
	ACCEPTED("true"),
	ACCEPTED("false"),
	ACCEPTED("0"),
	ACCEPTED("\"\""),
	ACCEPTED("[]"),
	ACCEPTED("{}"),
	ACCEPTED(" \t\r\n[ \t\r\n] \t\r\n"),
	ACCEPTED(" \t\r\n{ \t\r\n} \t\r\n"),
	ACCEPTED("[1]"),
	ACCEPTED("[1,2]"),
	ACCEPTED("[ 1 , 2 ]"),
	ACCEPTED("[\n                                        1]"),
	ACCEPTED("[[],[[]],{},[{}]]"),
	ACCEPTED("{\"a\":1}"),
	ACCEPTED("{ \"a\" : 1 , \"b\" : [ ] }"),
	ACCEPTED("{\"\":0}"),
	ACCEPTED("{\"a\":{\"a\":{\"a\":null}}}"),
	ACCEPTED("[{\"a\":1},{\"a\":1}]"),
	ACCEPTED("{\"a\":1,\"A\":2}"),
	ACCEPTED("{\"a\":1,\"a \":2}"),
	ACCEPTED("[true,false,null]"),
	REFUSED("", ENDS_EARLY, 0),
	REFUSED(" ", ENDS_EARLY, 1),
	REFUSED("[", ENDS_EARLY, 1),
	REFUSED("{", ENDS_EARLY, 1),
	REFUSED("[1", ENDS_EARLY, 2),
	REFUSED("[1,", ENDS_EARLY, 3),
	REFUSED("[1, ", ENDS_EARLY, 4),
	REFUSED("{\"a\"", ENDS_EARLY, 4),
	REFUSED("{\"a\":", ENDS_EARLY, 5),
	REFUSED("{\"a\": ", ENDS_EARLY, 6),
	REFUSED("{\"a\":1", ENDS_EARLY, 6),
	REFUSED("{\"a\":1,", ENDS_EARLY, 7),
	REFUSED("[[]", ENDS_EARLY, 3),
	REFUSED("t", ENDS_EARLY, 1),
	REFUSED("nul", ENDS_EARLY, 3),
	REFUSED("[fals", ENDS_EARLY, 5),
	REFUSED("]", UNEXPECTED_BYTE, 0),
	REFUSED("}", UNEXPECTED_BYTE, 0),
	REFUSED(",", UNEXPECTED_BYTE, 0),
	REFUSED(":", UNEXPECTED_BYTE, 0),
	REFUSED("[,", UNEXPECTED_BYTE, 1),
	REFUSED("[,1]", UNEXPECTED_BYTE, 1),
	REFUSED("[1,]", UNEXPECTED_BYTE, 3),
	REFUSED("[1,,2]", UNEXPECTED_BYTE, 3),
	REFUSED("[1 2]", UNEXPECTED_BYTE, 3),
	REFUSED("[1}", UNEXPECTED_BYTE, 2),
	REFUSED("[1:2]", UNEXPECTED_BYTE, 2),
	REFUSED("{,}", UNEXPECTED_BYTE, 1),
	REFUSED("{]", UNEXPECTED_BYTE, 1),
	REFUSED("{\"a\"}", UNEXPECTED_BYTE, 4),
	REFUSED("{\"a\",1}", UNEXPECTED_BYTE, 4),
	REFUSED("{\"a\" 1}", UNEXPECTED_BYTE, 5),
	REFUSED("{\"a\"::1}", UNEXPECTED_BYTE, 5),
	REFUSED("{\"a\":}", UNEXPECTED_BYTE, 5),
	REFUSED("{\"a\":1,}", UNEXPECTED_BYTE, 7),
	REFUSED("{\"a\":1,,\"b\":2}", UNEXPECTED_BYTE, 7),
	REFUSED("{\"a\":1 \"b\":2}", UNEXPECTED_BYTE, 7),
	REFUSED("{\"a\":1]", UNEXPECTED_BYTE, 6),
	REFUSED("{a:1}", UNEXPECTED_BYTE, 1),
	REFUSED("{1:1}", UNEXPECTED_BYTE, 1),
	REFUSED("{null:1}", UNEXPECTED_BYTE, 1),
	REFUSED("{[]:1}", UNEXPECTED_BYTE, 1),
	REFUSED("{'a':1}", UNEXPECTED_BYTE, 1),
	REFUSED("'a'", UNEXPECTED_BYTE, 0),
	REFUSED("nulx", UNEXPECTED_BYTE, 3),
	REFUSED("True", UNEXPECTED_BYTE, 0),
	REFUSED("tRue", UNEXPECTED_BYTE, 1),
	REFUSED("NULL", UNEXPECTED_BYTE, 0),
	REFUSED("[undefined]", UNEXPECTED_BYTE, 1),
	REFUSED("[1]//", TRAILING_BYTES, 3),
	REFUSED("/**/1", UNEXPECTED_BYTE, 0),
	REFUSED("[1/**/]", UNEXPECTED_BYTE, 2),
	REFUSED("#1", UNEXPECTED_BYTE, 0),
	REFUSED("1 2", TRAILING_BYTES, 2),
	REFUSED("[]]", TRAILING_BYTES, 2),
	REFUSED("{}{}", TRAILING_BYTES, 2),
	REFUSED("[] \n,", TRAILING_BYTES, 4),
	REFUSED("nulll", TRAILING_BYTES, 4),
	REFUSED("1\0", TRAILING_BYTES, 1),
	REFUSED("\0", UNEXPECTED_BYTE, 0),
	REFUSED("[\0]", UNEXPECTED_BYTE, 1),
	REFUSED("[\f]", UNEXPECTED_BYTE, 1),
	REFUSED("[\v]", UNEXPECTED_BYTE, 1),
	REFUSED("[\b]", UNEXPECTED_BYTE, 1),
	REFUSED("\xc2\xa0"
		"1",
		UNEXPECTED_BYTE, 0),
	REFUSED("\xe2\x80\xa8[]", UNEXPECTED_BYTE, 0),
	REFUSED("\xef\xbb\xbf{}", UNEXPECTED_BYTE, 0),
	REFUSED("\xfe\xff\0[\0]", UNEXPECTED_BYTE, 0),
	REFUSED("[\0]\0", UNEXPECTED_BYTE, 1),
	REFUSED("[\xff]", UNEXPECTED_BYTE, 1),
	REFUSED("[\xe2\x82\xac]", UNEXPECTED_BYTE, 1),
};

static const struct verdict numbers[] = {
	ACCEPTED("-0"),
	ACCEPTED("-1"),
	ACCEPTED("10"),
	ACCEPTED("1234567890"),
	ACCEPTED("0.0"),
	ACCEPTED("0.000"),
	ACCEPTED("-0.5"),
	ACCEPTED("1.25"),
	ACCEPTED("1e1"),
	ACCEPTED("1E1"),
	ACCEPTED("1e+1"),
	ACCEPTED("1e-1"),
	ACCEPTED("0e0"),
	ACCEPTED("0e+00"),
	ACCEPTED("1.5e300"),
	ACCEPTED("1e999999999999"),
	ACCEPTED("-1e-999999999999"),
	ACCEPTED("123456789012345678901234567890123456789012345678901234567890"),
	ACCEPTED("0.123456789012345678901234567890123456789012345678901234567890"),
	ACCEPTED("[0,-0,0.1]"),
	REFUSED("-", ENDS_EARLY, 1),
	REFUSED("1.", ENDS_EARLY, 2),
	REFUSED("1e", ENDS_EARLY, 2),
	REFUSED("1e+", ENDS_EARLY, 3),
	REFUSED("1e-", ENDS_EARLY, 3),
	REFUSED("[-]", BAD_NUMBER, 2),
	REFUSED("[1.]", BAD_NUMBER, 3),
	REFUSED("[1e]", BAD_NUMBER, 3),
	REFUSED("[1e+]", BAD_NUMBER, 4),
	REFUSED("00", BAD_NUMBER, 1),
	REFUSED("01", BAD_NUMBER, 1),
	REFUSED("-01", BAD_NUMBER, 2),
	REFUSED("[-00.5]", BAD_NUMBER, 3),
	REFUSED("--1", BAD_NUMBER, 1),
	REFUSED("-a", BAD_NUMBER, 1),
	REFUSED("-.5", BAD_NUMBER, 1),
	REFUSED("-Infinity", BAD_NUMBER, 1),
	REFUSED("1.e1", BAD_NUMBER, 2),
	REFUSED("1.-1", BAD_NUMBER, 2),
	REFUSED("1e++1", BAD_NUMBER, 3),
	REFUSED("1e.5", BAD_NUMBER, 2),
	REFUSED("- 1", BAD_NUMBER, 1),
	REFUSED("+1", UNEXPECTED_BYTE, 0),
	REFUSED(".5", UNEXPECTED_BYTE, 0),
	REFUSED("Infinity", UNEXPECTED_BYTE, 0),
	REFUSED("NaN", UNEXPECTED_BYTE, 0),
	REFUSED("\xef\xbc\x91", UNEXPECTED_BYTE, 0),
	REFUSED("[1.5.5]", UNEXPECTED_BYTE, 4),
	REFUSED("[1e1e1]", UNEXPECTED_BYTE, 4),
	REFUSED("[1e1.5]", UNEXPECTED_BYTE, 4),
	REFUSED("[0x1]", UNEXPECTED_BYTE, 2),
	REFUSED("[1a]", UNEXPECTED_BYTE, 2),
	REFUSED("[1_000]", UNEXPECTED_BYTE, 2),
	REFUSED("[1-1]", UNEXPECTED_BYTE, 2),
	REFUSED("0x1", TRAILING_BYTES, 1),
	REFUSED("1n", TRAILING_BYTES, 1),
};

static const struct verdict strings[] = {
	ACCEPTED("\"a\""),
	ACCEPTED("\"0123456789abcdef\""),
	ACCEPTED("\"0123456789abcdef0123456789abcdef0123456789abcdef\""),
	ACCEPTED("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
	ACCEPTED("\"\\u0000\\u001f\\uABCD\\uabcd\\uFFFF\""),
	ACCEPTED("\"\\ud800\\udc00\""),
	ACCEPTED("\"\\uDBFF\\uDFFF\""),
	ACCEPTED("\"\\\\u12\""),
	ACCEPTED("\"/\""),
	ACCEPTED("\"\x7f\""),
	ACCEPTED("\"'[]{}:,\""),
	ACCEPTED("\"\xc2\x80\xdf\xbf\""),
	ACCEPTED("\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
	ACCEPTED("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
	ACCEPTED("\"\xef\xbb\xbf\""),
	ACCEPTED("\"\xe2\x80\xa8\xe2\x80\xa9\""),
	REFUSED("\"", ENDS_EARLY, 1),
	REFUSED("\"a", ENDS_EARLY, 2),
	REFUSED("[\"a", ENDS_EARLY, 3),
	REFUSED("\"\\", ENDS_EARLY, 2),
	REFUSED("\"\\\"", ENDS_EARLY, 3),
	REFUSED("\"\\u", ENDS_EARLY, 3),
	REFUSED("\"\\u123", ENDS_EARLY, 6),
	REFUSED("\"\\ud800", ENDS_EARLY, 7),
	REFUSED("\"\\ud800\\", ENDS_EARLY, 8),
	REFUSED("\"\\ud800\\u", ENDS_EARLY, 9),
	REFUSED("\"\\ud800\\udc0", ENDS_EARLY, 12),
	REFUSED("\"\xc3", ENDS_EARLY, 2),
	REFUSED("\"\xf0\x9f\x98", ENDS_EARLY, 4),
	REFUSED("\"\\a\"", BAD_ESCAPE, 1),
	REFUSED("\"\\'\"", BAD_ESCAPE, 1),
	REFUSED("\"\\0\"", BAD_ESCAPE, 1),
	REFUSED("\"\\\0\"", BAD_ESCAPE, 1),
	REFUSED("\"\\x41\"", BAD_ESCAPE, 1),
	REFUSED("\"\\U0041\"", BAD_ESCAPE, 1),
	REFUSED("\"\\N\"", BAD_ESCAPE, 1),
	REFUSED("\"\\\n\"", BAD_ESCAPE, 1),
	REFUSED("\"\\\xc3\xa9\"", BAD_ESCAPE, 1),
	REFUSED("\"ab\\u12\"", BAD_ESCAPE, 3),
	REFUSED("\"\\u12g4\"", BAD_ESCAPE, 1),
	REFUSED("\"\\u 123\"", BAD_ESCAPE, 1),
	REFUSED("\"\\u+123\"", BAD_ESCAPE, 1),
	REFUSED("\"\\u{12}\"", BAD_ESCAPE, 1),
	REFUSED("\"\\u\x11"
		"234\"",
		BAD_ESCAPE, 1),
	REFUSED("\"\\ud800\\uzzzz\"", BAD_ESCAPE, 7),
	REFUSED("\"\\ud800\"", LONE_SURROGATE, 1),
	REFUSED("\"\\ud800a\"", LONE_SURROGATE, 1),
	REFUSED("\"\\ud800\\n\"", LONE_SURROGATE, 1),
	REFUSED("\"\\ud800\\u0041\"", LONE_SURROGATE, 1),
	REFUSED("\"\\ud800\\ue000\"", LONE_SURROGATE, 1),
	REFUSED("\"\\ud800\\ud800\\udc00\"", LONE_SURROGATE, 1),
	REFUSED("\"\\ud800\xed\xb0\x80\"", LONE_SURROGATE, 1),
	REFUSED("\"\\udc00\"", LONE_SURROGATE, 1),
	REFUSED("\"a\\uDFFF\\uD800\"", LONE_SURROGATE, 2),
	REFUSED("\"\\ud83d\\ude00\\ude00\"", LONE_SURROGATE, 13),
	REFUSED("\"\n\"", CONTROL_BYTE, 1),
	REFUSED("\"\t\"", CONTROL_BYTE, 1),
	REFUSED("\"\0\"", CONTROL_BYTE, 1),
	REFUSED("\"a\x1f\"", CONTROL_BYTE, 2),
	REFUSED("\"0123456789abcdef\r\"", CONTROL_BYTE, 17),
	REFUSED("{\"\n\":1}", CONTROL_BYTE, 2),
	REFUSED("\"\x80\"", BAD_UTF8, 1),
	REFUSED("\"\xbf\"", BAD_UTF8, 1),
	REFUSED("\"a\xff\"", BAD_UTF8, 2),
	REFUSED("\"\xfe\"", BAD_UTF8, 1),
	REFUSED("\"\xc0\x80\"", BAD_UTF8, 1),
	REFUSED("\"\xc0\xaf\"", BAD_UTF8, 1),
	REFUSED("\"\xc1\xbf\"", BAD_UTF8, 1),
	REFUSED("\"\xe0\x80\xaf\"", BAD_UTF8, 1),
	REFUSED("\"\xe0\x9f\xbf\"", BAD_UTF8, 1),
	REFUSED("\"\xf0\x80\x80\xaf\"", BAD_UTF8, 1),
	REFUSED("\"\xf0\x8f\xbf\xbf\"", BAD_UTF8, 1),
	REFUSED("\"\xed\xa0\x80\"", BAD_UTF8, 1),
	REFUSED("\"\xed\xbf\xbf\"", BAD_UTF8, 1),
	REFUSED("\"\xed\xa0\xbd\xed\xb8\x80\"", BAD_UTF8, 1),
	REFUSED("\"\xf4\x90\x80\x80\"", BAD_UTF8, 1),
	REFUSED("\"\xf5\x80\x80\x80\"", BAD_UTF8, 1),
	REFUSED("\"\xf8\x88\x80\x80\x80\"", BAD_UTF8, 1),
	REFUSED("\"\xfc\x84\x80\x80\x80\x80\"", BAD_UTF8, 1),
	REFUSED("\"\xc3\"", BAD_UTF8, 1),
	REFUSED("\"\xc3\x28\"", BAD_UTF8, 1),
	REFUSED("\"\xe2\x82\"", BAD_UTF8, 1),
	REFUSED("\"\xe2\x28\xa1\"", BAD_UTF8, 1),
	REFUSED("\"\xf0\x9f\x98\"", BAD_UTF8, 1),
	REFUSED("\"\xf0\x9f\x98\x28\"", BAD_UTF8, 1),
	REFUSED("\"\xc3\xa9\xc3\xa9\xa9\"", BAD_UTF8, 5),
	REFUSED("\"0123456789abcdef\xe9\"", BAD_UTF8, 17),
	REFUSED("{\"\xe9\":1}", BAD_UTF8, 2),
};

static const struct verdict duplicates[] = {
	ACCEPTED("{\"\\u0061\":1,\"\\\\u0061\":2}"),
	ACCEPTED("{\"\\u0000\":1,\"\":2}"),
	ACCEPTED("{\"a\\u0000\":1,\"a\":2,\"a\\u0000b\":3}"),
	ACCEPTED("{\"\xc3\xa9\":1,\"e\xcc\x81\":2}"),
	ACCEPTED("{\"a\":{\"b\":1},\"b\":{\"a\":1}}"),
	REFUSED("{\"a\":1,\"a\":2}", DUPLICATE_NAME, 7),
	REFUSED("{\"a\":1,\"a\":1}", DUPLICATE_NAME, 7),
	REFUSED("{\"\":1,\"\":2}", DUPLICATE_NAME, 6),
	REFUSED("{\"a\":1,\"b\":2,\"a\":3}", DUPLICATE_NAME, 13),
	REFUSED("{\"a\":1,\"\\u0061\":2}", DUPLICATE_NAME, 7),
	REFUSED("{\"\\u0061\":1,\"a\":2}", DUPLICATE_NAME, 12),
	REFUSED("{\"\\u00E9\":1,\"\xc3\xa9\":2}", DUPLICATE_NAME, 12),
	REFUSED("{\"\\u00e9\":1,\"\\u00E9\":2}", DUPLICATE_NAME, 12),
	REFUSED("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", DUPLICATE_NAME, 18),
	REFUSED("{\"\\/\":1,\"/\":2}", DUPLICATE_NAME, 8),
	REFUSED("{\"\\n\":1,\"\\u000a\":2}", DUPLICATE_NAME, 8),
	REFUSED("{\"x\\u0079z\":1,\"\\u0078y\\u007a\":2}", DUPLICATE_NAME, 14),
	REFUSED("[{\"b\":{\"a\":1,\"a\":2}}]", DUPLICATE_NAME, 13),
	REFUSED("[{\"a\":1,\"b\":2},{\"a\":1,\"a\":2}]", DUPLICATE_NAME, 22),
	REFUSED("[{\"a\":1},\"a\",{\"a\":1,\"a\":2}]", DUPLICATE_NAME, 20),
};

static void check_verdicts(const struct verdict *verdicts, size_t count)
{
	struct document document;

	document_init(&document);
	for (size_t i = 0; i < count; i++) {
		const struct verdict *verdict = &verdicts[i];
		/* A copy of the exact size, so that reading past it is seen. */
		char *bytes = malloc(verdict->length);
		size_t offset = 0;
		enum document_error error;

		memcpy(bytes, verdict->bytes, verdict->length);
		error = document_scan(&document, bytes, verdict->length, &offset);
		if (error != verdict->error || offset != verdict->offset)
			fail_msg("%s: %s at %zu, expected %s at %zu", verdict->bytes,
				document_error_text(error), offset,
				document_error_text(verdict->error), verdict->offset);
		free(bytes);
	}
	document_fini(&document);
}

static void structures_are_judged_as_rfc_8259_says(void **state)
{
	(void)state;
	check_verdicts(structures, COUNT(structures));
}

static void numbers_are_judged_as_rfc_8259_says(void **state)
{
	(void)state;
	check_verdicts(numbers, COUNT(numbers));
}

static void strings_are_judged_as_rfc_8259_and_unicode_say(void **state)
{
	(void)state;
	check_verdicts(strings, COUNT(strings));
}

static void duplicate_names_are_found_after_unescaping(void **state)
{
	(void)state;
	check_verdicts(duplicates, COUNT(duplicates));
}

static enum document_error scan_text(struct document *document, const char *text)
{
	return document_scan(document, text, strlen(text), NULL);
}

/* Every byte at every place of a long string: the wide and the narrow path agree. */
static void a_bad_byte_is_found_at_every_place_of_a_string(void **state)
{
	char bytes[80];
	struct document document;

	(void)state;
	document_init(&document);
	for (size_t place = 1; place < sizeof(bytes) - 1; place++) {
		for (int byte = 0; byte < 256; byte++) {
			bool plain =
				byte >= ' ' && byte < 0x80 && byte != '\\' && byte != '"';
			size_t offset = 0;
			enum document_error error;

			memset(bytes, 'a', sizeof(bytes));
			bytes[0] = bytes[sizeof(bytes) - 1] = '"';
			bytes[place] = (char)byte;
			error = document_scan(&document, bytes, sizeof(bytes), &offset);
			assert_int_equal(error == DOCUMENT_OK, plain);
			if (!plain)
				assert_in_range(offset, place, place + 2);
		}
	}
	document_fini(&document);
}

/* @depth arrays, closed again if @closed. */
static char *nested(size_t depth, const char *open, const char *close, bool closed)
{
	size_t open_length = strlen(open), close_length = strlen(close);
	char *text = malloc(depth * (open_length + close_length) + 2), *at = text;

	for (size_t i = 0; i < depth; i++)
		at = stpcpy(at, open);
	*at++ = '0';
	for (size_t i = 0; closed && i < depth; i++)
		at = stpcpy(at, close);
	*at = '\0';
	return text;
}

static void the_deepest_nesting_allowed_is_512(void **state)
{
	struct document document;
	size_t offset = 0;
	char *text;

	(void)state;
	document_init(&document);
	text = nested(DOCUMENT_DEPTH_MAX, "[", "]", true);
	assert_int_equal(scan_text(&document, text), DOCUMENT_OK);
	assert_int_equal(document.count, DOCUMENT_DEPTH_MAX + 1);
	free(text);

	text = nested(DOCUMENT_DEPTH_MAX + 1, "[", "]", true);
	assert_int_equal(
		document_scan(&document, text, strlen(text), &offset), DOCUMENT_TOO_DEEP);
	assert_int_equal(offset, DOCUMENT_DEPTH_MAX);
	free(text);

	text = nested(DOCUMENT_DEPTH_MAX / 2, "{\"a\":[", "]}", true);
	assert_int_equal(scan_text(&document, text), DOCUMENT_OK);
	free(text);

	text = nested(1000000, "[", "]", false);
	assert_int_equal(scan_text(&document, text), DOCUMENT_TOO_DEEP);
	free(text);
	document_fini(&document);
}

static void the_tape_tells_types_places_and_extents(void **state)
{
	static const struct {
		uint32_t start, length, next, count;
		enum document_type type;
		bool escaped;
	} expected[] = {
		{1, 47, 13, 4, DOCUMENT_OBJECT, false},
		{2, 3, 2, 0, DOCUMENT_STRING, false},
		{6, 16, 7, 4, DOCUMENT_ARRAY, false},
		{7, 1, 4, 0, DOCUMENT_NUMBER, false},
		{9, 4, 5, 0, DOCUMENT_TRUE, false},
		{14, 2, 6, 0, DOCUMENT_ARRAY, false},
		{17, 4, 7, 0, DOCUMENT_NULL, false},
		{23, 4, 8, 0, DOCUMENT_STRING, true},
		{28, 2, 9, 0, DOCUMENT_OBJECT, false},
		{31, 3, 10, 0, DOCUMENT_STRING, false},
		{35, 5, 11, 0, DOCUMENT_FALSE, false},
		{41, 2, 12, 0, DOCUMENT_STRING, false},
		{44, 3, 13, 0, DOCUMENT_STRING, false},
	};
	static const char text[] =
		" {\"a\":[1,true,[],null],\"\\n\":{},\"b\":false,\"\":\"x\"}";
	struct document document;

	(void)state;
	document_init(&document);
	assert_int_equal(scan_text(&document, text), DOCUMENT_OK);
	assert_int_equal(document.count, COUNT(expected));
	for (size_t i = 0; i < COUNT(expected); i++) {
		assert_int_equal(document.tokens[i].start, expected[i].start);
		assert_int_equal(document.tokens[i].length, expected[i].length);
		assert_int_equal(document.tokens[i].next, expected[i].next);
		assert_int_equal(document.tokens[i].count, expected[i].count);
		assert_int_equal(document.tokens[i].type, expected[i].type);
		assert_int_equal(document.tokens[i].escaped, expected[i].escaped);
	}
	document_fini(&document);
}

static void a_document_is_filled_again_after_success_and_failure(void **state)
{
	struct document document;

	(void)state;
	document_init(&document);
	assert_int_equal(scan_text(&document, "[1,2,3]"), DOCUMENT_OK);
	assert_int_equal(scan_text(&document, "[1,2"), DOCUMENT_ENDS_EARLY);
	assert_int_equal(document.count, 0);
	assert_int_equal(scan_text(&document, "7"), DOCUMENT_OK);
	assert_int_equal(document.count, 1);
	assert_int_equal(document_scan(&document, NULL, 0, NULL), DOCUMENT_ENDS_EARLY);
	document_fini(&document);
	document_fini(&document);
	document_fini(NULL);
}

/* An object of @count members; the last takes the name of member @again, if there is one.
 */
static char *object_with_members(size_t count, size_t again, bool escaped)
{
	char *text = malloc(count * 32 + 8), *at = text;

	for (size_t i = 0; i < count; i++) {
		size_t number = i + 1 == count && again < count ? again : i;

		at += sprintf(at, "%c\"%s%zu\":0", i ? ',' : '{',
			escaped && i % 2 ? "\\u006eame" : "name", number);
	}
	strcpy(at, "}");
	return text;
}

/* A list of rows with these ids, which end with 0. */
static const char *write_rows(const int *ids)
{
	static char text[4096];
	char *at = text;

	at += sprintf(at, "{\"count\":[1],\"rows\":[");
	for (; *ids; ids++)
		at += sprintf(at,
			"%s{\"id\":%d,\"at\":{\"x\":[%d,2]},\"s\":\"a\\u0020b\"}",
			at[-1] == '[' ? "" : " ,\n", *ids, *ids);
	strcpy(at, "],\"end\":{\"a\":1,\"b\":[]}}");
	return text;
}

static void a_scan_with_help_gives_the_same_tape(void **state)
{
	static const int like_ids[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0};
	static const int cases[][12] = {
		{1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
		{1, 2, 3, 44, 5, 6, 7, 8, 9, 10},
		{1, 22, 33, 44, 55, 66, 77, 8, 9, 10},
		{11, 22, 33, 44, 55, 66, 77, 88, 99, 100},
		{1, 2, 3, 333, 4, 5, 6, 7, 8, 9, 10},
		{1, 2, 3, 5, 6, 7, 8, 9, 10},
		{1, 2, 9, 10},
		{10, 9, 8, 7, 6, 5, 4, 3, 2, 1},
		{4, 1, 2, 3, 5, 6, 9, 7, 8, 10},
		{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
		{0},
	};
	char *like_text = strdup(write_rows(like_ids));
	struct document like, plain, helped;

	(void)state;
	document_init(&like);
	document_init(&plain);
	document_init(&helped);
	assert_int_equal(
		document_scan(&like, like_text, strlen(like_text), NULL), DOCUMENT_OK);
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *text = write_rows(cases[i]);
		size_t length = strlen(text);

		assert_int_equal(document_scan(&plain, text, length, NULL), DOCUMENT_OK);
		assert_int_equal(document_scan_like(&helped, &like, text, length, NULL),
			DOCUMENT_OK);
		assert_int_equal(plain.count, helped.count);
		assert_memory_equal(
			plain.tokens, helped.tokens, plain.count * sizeof(*plain.tokens));
	}
	document_fini(&like);
	document_fini(&plain);
	document_fini(&helped);
	free(like_text);
}

static void a_scan_with_help_misses_no_mistake(void **state)
{
	static const char like_text[] = "[{\"a\":1},{\"b\":[2]},{\"c\":{}}]";
	static const struct verdict cases[] = {
		REFUSED("[{\"a\":1},{\"b\":[2]}{\"c\":{}}]", UNEXPECTED_BYTE, 18),
		REFUSED("[{\"a\":1},{\"b\":[2]},{\"c\":{}}", ENDS_EARLY, 27),
		REFUSED("[{\"a\":1},{\"b\":[2]},{\"c\":{}}]]", TRAILING_BYTES, 28),
		REFUSED("[{\"a\":1},{\"b\":[2],\"b\":[2]}]", DUPLICATE_NAME, 18),
		REFUSED("[{\"a\":1},{\"b\":[2", ENDS_EARLY, 16),
		ACCEPTED("[[{\"a\":1},{\"b\":[2]}],{\"c\":{}}]"),
	};
	struct document like, document;

	(void)state;
	document_init(&like);
	document_init(&document);
	assert_int_equal(document_scan(&like, like_text, sizeof(like_text) - 1, NULL),
		DOCUMENT_OK);
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t offset = 0;

		assert_int_equal(document_scan_like(&document, &like, cases[i].bytes,
					 cases[i].length, &offset),
			cases[i].error);
		assert_int_equal(offset, cases[i].offset);
	}
	document_fini(&like);
	document_fini(&document);
}

static void duplicates_are_found_in_objects_of_any_size(void **state)
{
	struct document document;

	(void)state;
	document_init(&document);
	for (size_t count = 2; count < 100; count++) {
		char *text = object_with_members(count, count, true);

		assert_int_equal(scan_text(&document, text), DOCUMENT_OK);
		free(text);
		for (size_t again = 0; again < count - 1; again++) {
			text = object_with_members(count, again, true);
			assert_int_equal(
				scan_text(&document, text), DOCUMENT_DUPLICATE_NAME);
			free(text);
		}
	}
	document_fini(&document);
}

/* Were it quadratic, this would take minutes. */
static void an_object_of_half_a_million_members_is_no_burden(void **state)
{
	enum { MEMBERS = 500000 };
	struct document document;
	char *text = object_with_members(MEMBERS, MEMBERS, false);

	(void)state;
	document_init(&document);
	assert_int_equal(scan_text(&document, text), DOCUMENT_OK);
	assert_int_equal(document.tokens[0].count, MEMBERS);
	free(text);

	text = object_with_members(MEMBERS, 0, true);
	assert_int_equal(scan_text(&document, text), DOCUMENT_DUPLICATE_NAME);
	free(text);
	document_fini(&document);
}

static void a_body_over_the_limit_is_refused_unread(void **state)
{
	struct document document;
	size_t offset = 1;

	(void)state;
	document_init(&document);
	assert_int_equal(document_scan(&document, "1", DOCUMENT_BYTES_MAX + 1ul, &offset),
		DOCUMENT_TOO_LARGE);
	assert_int_equal(offset, 0);
	document_fini(&document);
}

static void members_are_found_by_their_unescaped_name(void **state)
{
	struct document document;

	(void)state;
	document_init(&document);
	assert_int_equal(scan_text(&document,
				 "{\"a\":[1,2],\"\\u0062\\/\":3,\"\":4,\"c\\u0000\":5,"
				 "\"\\ud83d\\ude00!\":6}"),
		DOCUMENT_OK);
	assert_int_equal(document_member(&document, 0, "a"), 2);
	assert_int_equal(document_member(&document, 0, "b/"), 6);
	assert_int_equal(document_member(&document, 0, ""), 8);
	assert_int_equal(document_member(&document, 0, "\xf0\x9f\x98\x80!"), 12);
	assert_int_equal(document_member(&document, 0, "\xf0\x9f\x98\x80"), 0);
	assert_int_equal(document_member(&document, 0, "c"), 0);
	assert_int_equal(document_member(&document, 0, "b"), 0);
	assert_int_equal(document_member(&document, 0, "b/c"), 0);
	assert_int_equal(document_member(&document, 0, "aa"), 0);
	assert_int_equal(scan_text(&document, "{}"), DOCUMENT_OK);
	assert_int_equal(document_member(&document, 0, ""), 0);
	document_fini(&document);
}

static void check_string(const char *text, const char *content, size_t length)
{
	struct document document;
	char buffer[64];

	document_init(&document);
	assert_int_equal(scan_text(&document, text), DOCUMENT_OK);
	assert_int_equal(document_string(&document, 0, buffer, length + 1), length);
	assert_memory_equal(buffer, content, length + 1);
	assert_true(length < document.tokens[0].length);
	for (size_t size = 0; size <= length; size++)
		assert_int_equal(document_string(&document, 0, buffer, size), -ENOSPC);
	document_fini(&document);
}

static void strings_are_unescaped_into_no_more_than_their_length(void **state)
{
	(void)state;
	check_string("\"\"", "", 0);
	check_string("\"abc\"", "abc", 3);
	check_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
	check_string("\"a\\u0000b\"", "a\0b", 3);
	check_string("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
		"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 11);
	check_string("\"\\uD83D\\uDE00x\\ud800\\udc00\\udbff\\udfff\"",
		"\xf0\x9f\x98\x80x\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 13);
	check_string("\"\xc3\xa9\\n\xc3\xa9\"", "\xc3\xa9\n\xc3\xa9", 5);
}

static void strings_compare_equal_by_content_only(void **state)
{
	static const char *const groups[] = {
		"[\"ab\",\"\\u0061b\",\"a\\u0062\",\"\\u0061\\u0062\"]",
		"[\"\xc3\xa9x\",\"\\u00e9x\",\"\\u00E9\\u0078\",\"\xc3\xa9\\u0078\"]",
		"[\"\xf0\x9f\x98\x80\",\"\\ud83d\\ude00\",\"\\uD83D\\uDE00\"]",
		"[\"a\",\"a\\u0000\",\"a\\u0000a\"]",
		"[\"\",\"\\u0000\",\"\\\\u0000\"]",
		"[\"\\u00e9\",\"\\u00c3\\u00a9\",\"e\"]",
	};

	(void)state;
	for (size_t group = 0; group < COUNT(groups); group++) {
		struct document document;

		document_init(&document);
		assert_int_equal(scan_text(&document, groups[group]), DOCUMENT_OK);
		for (uint32_t a = 1; a < document.count; a++) {
			for (uint32_t b = 1; b < document.count; b++)
				assert_int_equal(document_strings_equal(
							 &document, a, &document, b),
					group < 3 || a == b);
		}
		document_fini(&document);
	}
}

static void equal_strings_have_equal_hashes_for_a_seed(void **state)
{
	/* Longer than what is unescaped at once, and shorter. */
	static const size_t lengths[] = {0, 1, 7, 30, 41, 42, 43, 100, 5000};
	struct document document;

	(void)state;
	document_init(&document);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		char *text = malloc(lengths[i] * 7 + 16), *at = stpcpy(text, "[\"");

		memset(at, 'a', lengths[i]);
		at += lengths[i];
		at = stpcpy(at, "\",\"");
		for (size_t k = 0; k < lengths[i]; k++)
			at = stpcpy(at, "\\u0061");
		strcpy(at, "\"]");
		assert_int_equal(scan_text(&document, text), DOCUMENT_OK);
		assert_true(document_string_hash(&document, 1, 7) ==
			document_string_hash(&document, 2, 7));
		assert_true(document_string_hash(&document, 1, 7) !=
			document_string_hash(&document, 2, 8));
		free(text);
	}
	document_fini(&document);
}

static void every_error_has_words(void **state)
{
	(void)state;
	for (int error = DOCUMENT_OK; error <= DOCUMENT_NO_MEMORY; error++)
		assert_true(strlen(document_error_text(error)) > 3);
	assert_string_equal(
		document_error_text(DOCUMENT_LONE_SURROGATE), "lone surrogate");
	assert_string_equal(
		document_error_text(DOCUMENT_DUPLICATE_NAME), "duplicate member name");
}

/* Bytes that end where the next page may not be read. */
static void nothing_past_the_last_byte_is_read(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static const char text[] = "{\"name\":\"a string of more than "
				   "sixteen\\u00e9\xc3\xa9 bytes\",\"b\":[1.5e7,"
				   "      true]}";
	struct document document;

	(void)state;
	assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
	document_init(&document);
	for (size_t length = 1; length < sizeof(text); length++) {
		char *bytes = pages + page - length;

		memcpy(bytes, text, length);
		assert_int_equal(document_scan(&document, bytes, length, NULL),
			length == sizeof(text) - 1 ? DOCUMENT_OK : DOCUMENT_ENDS_EARLY);
	}
	document_fini(&document);
	munmap(pages, 2 * page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structures_are_judged_as_rfc_8259_says),
		cmocka_unit_test(numbers_are_judged_as_rfc_8259_says),
		cmocka_unit_test(strings_are_judged_as_rfc_8259_and_unicode_say),
		cmocka_unit_test(duplicate_names_are_found_after_unescaping),
		cmocka_unit_test(a_bad_byte_is_found_at_every_place_of_a_string),
		cmocka_unit_test(the_deepest_nesting_allowed_is_512),
		cmocka_unit_test(the_tape_tells_types_places_and_extents),
		cmocka_unit_test(a_document_is_filled_again_after_success_and_failure),
		cmocka_unit_test(a_scan_with_help_gives_the_same_tape),
		cmocka_unit_test(a_scan_with_help_misses_no_mistake),
		cmocka_unit_test(duplicates_are_found_in_objects_of_any_size),
		cmocka_unit_test(an_object_of_half_a_million_members_is_no_burden),
		cmocka_unit_test(a_body_over_the_limit_is_refused_unread),
		cmocka_unit_test(members_are_found_by_their_unescaped_name),
		cmocka_unit_test(strings_are_unescaped_into_no_more_than_their_length),
		cmocka_unit_test(strings_compare_equal_by_content_only),
		cmocka_unit_test(equal_strings_have_equal_hashes_for_a_seed),
		cmocka_unit_test(every_error_has_words),
		cmocka_unit_test(nothing_past_the_last_byte_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
