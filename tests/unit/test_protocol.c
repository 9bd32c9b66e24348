#include "gateway/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct reading {
	struct document document;
	struct protocol_message message;
	struct refusal refusal;
	bool ok;
};

static void read_message(struct reading *reading, const char *text)
{
	document_init(&reading->document);
	reading->ok = protocol_parse(&reading->document, text, strlen(text),
		&reading->message, &reading->refusal);
}

static void assert_frame(struct frame *frame, const char *want)
{
	assert_non_null(frame);
	assert_int_equal(frame_payload_length(frame), strlen(want));
	assert_memory_equal(frame_payload(frame), want, strlen(want));
	frame_release(frame);
}

static void a_subscribe_is_read_with_all_its_members(void **state)
{
	struct reading reading;

	(void)state;
	read_message(&reading,
		"{\"action\":\"subscribe\",\"uri\":\"/a\",\"id\":\"x\\n\","
		"\"interval\":2.5,\"mode\":\"full\",\"since\":\"77\",\"z\":[1]}");
	assert_true(reading.ok);
	assert_int_equal(reading.message.action, PROTOCOL_SUBSCRIBE);
	assert_int_equal(reading.message.interval_ms, 2500);
	assert_int_equal(reading.message.since, 77);
	assert_int_equal(protocol_uri_count(&reading.message), 1);
	assert_int_equal(reading.message.id.length, 5);
	assert_memory_equal(reading.message.id.start, "\"x\\n\"", 5);
	document_fini(&reading.document);
}

static void null_is_as_good_as_absent(void **state)
{
	struct reading reading;

	(void)state;
	read_message(&reading,
		"{\"action\":\"subscribe\",\"uri\":\"/a\",\"id\":null,"
		"\"interval\":null,\"mode\":null,\"since\":null,\"uris\":null}");
	assert_true(reading.ok);
	assert_null(reading.message.id.start);
	assert_int_equal(reading.message.interval_ms, 0);
	document_fini(&reading.document);
}

static void a_version_of_never_is_not_the_current_one(void **state)
{
	static const char *const versions[] = {
		"nonsense", "99999999999999999999", "0x7", "-1", "", "007"};

	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct reading reading;
		char text[128];

		snprintf(text, sizeof(text),
			"{\"action\":\"subscribe\",\"uri\":\"/a\",\"since\":\"%s\"}",
			versions[i]);
		read_message(&reading, text);
		assert_true(reading.ok);
		assert_int_equal(reading.message.since, 0);
		document_fini(&reading.document);
	}
}

static void many_addresses_are_walked_in_order(void **state)
{
	static const char *const want[] = {"/a", "/b", "/a"};
	struct reading reading;
	size_t count = 0;

	(void)state;
	read_message(
		&reading, "{\"uris\":[\"/a\",\"/b\",\"/a\"],\"action\":\"unsubscribe\"}");
	assert_true(reading.ok);
	assert_int_equal(protocol_uri_count(&reading.message), 3);
	for (uint32_t uri = protocol_first_uri(&reading.message); uri != 0;
		uri = protocol_next_uri(&reading.message, uri))
		assert_true(document_string_is(&reading.document, uri, want[count++]));
	assert_int_equal(count, 3);
	document_fini(&reading.document);
}

static void what_is_wrong_has_its_code(void **state)
{
	static const struct {
		const char *text;
		const char *code;
	} cases[] = {
		{"", "bad_message"},
		{"{", "bad_message"},
		{"[]", "bad_message"},
		{"null", "bad_message"},
		{"\xff", "bad_message"},
		{"{\"action\":\"pause\",\"action\":\"pause\"}", "bad_message"},
		{"{}", "bad_message"},
		{"{\"action\":1}", "bad_message"},
		{"{\"action\":\"dance\"}", "unknown_action"},
		{"{\"action\":\"subscribe\"}", "bad_message"},
		{"{\"action\":\"refresh\"}", "bad_message"},
		{"{\"action\":\"status\",\"id\":1}", "bad_message"},
		{"{\"action\":\"status\",\"uri\":\"/a\"}", "bad_message"},
		{"{\"action\":\"authenticate\"}", "bad_message"},
		{"{\"action\":\"authenticate\",\"token\":1}", "bad_message"},
		{"{\"action\":\"subscribe\",\"uri\":7}", "bad_message"},
		{"{\"action\":\"subscribe\",\"uri\":\"/a\",\"uris\":[\"/b\"]}",
			"bad_message"},
		{"{\"action\":\"subscribe\",\"uris\":[]}", "bad_message"},
		{"{\"action\":\"subscribe\",\"uris\":[\"/a\",1]}", "bad_message"},
		{"{\"action\":\"subscribe\",\"uris\":{\"a\":1}}", "bad_message"},
		{"{\"action\":\"subscribe\",\"uri\":\"/a\",\"interval\":0}",
			"bad_message"},
		{"{\"action\":\"subscribe\",\"uri\":\"/a\",\"interval\":-1}",
			"bad_message"},
		{"{\"action\":\"subscribe\",\"uri\":\"/a\",\"interval\":\"1\"}",
			"bad_message"},
		{"{\"action\":\"subscribe\",\"uri\":\"/a\",\"since\":5}", "bad_message"},
		{"{\"action\":\"subscribe\",\"uri\":\"/a\",\"mode\":5}", "bad_message"},
		{"{\"action\":\"subscribe\",\"uri\":\"/a\",\"mode\":\"loud\"}",
			"unsupported_mode"},
		{"{\"action\":\"pause\",\"id\":[1]}", "bad_message"},
		{"{\"action\":\"pause\",\"id\":true}", "bad_message"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reading reading;

		read_message(&reading, cases[i].text);
		assert_false(reading.ok);
		assert_string_equal(reading.refusal.code, cases[i].code);
		document_fini(&reading.document);
	}
}

static void an_interval_never_overflows(void **state)
{
	struct reading reading;

	(void)state;
	read_message(
		&reading, "{\"action\":\"subscribe\",\"uri\":\"/a\",\"interval\":1e999}");
	assert_true(reading.ok);
	assert_int_equal(reading.message.interval_ms, 4000000000u);
	document_fini(&reading.document);
	read_message(
		&reading, "{\"action\":\"subscribe\",\"uri\":\"/a\",\"interval\":1e-9}");
	assert_true(reading.ok);
	assert_int_equal(reading.message.interval_ms, 1);
	document_fini(&reading.document);
}

static void a_huge_id_is_refused_and_not_echoed(void **state)
{
	struct reading reading;
	char text[PROTOCOL_ID_MAX + 64];
	int length = snprintf(text, sizeof(text), "{\"action\":\"pause\",\"id\":");

	(void)state;
	memset(text + length, '7', PROTOCOL_ID_MAX + 1);
	strcpy(text + length + PROTOCOL_ID_MAX + 1, "}");
	read_message(&reading, text);
	assert_false(reading.ok);
	assert_null(reading.message.id.start);
	document_fini(&reading.document);
}

static void one_address_is_answered_flat(void **state)
{
	struct protocol_answer answer;
	struct reading reading;

	(void)state;
	read_message(
		&reading, "{\"action\":\"subscribe\",\"uri\":\"\\/a\",\"id\":1.0e2}");
	protocol_answer_begin(&answer, &reading.message);
	protocol_answer_done(&answer, reading.message.uri, 2500);
	assert_frame(protocol_answer_end(&answer),
		"{\"id\":1.0e2,\"ok\":true,\"uri\":\"\\/a\",\"interval\":2.5}");
	protocol_answer_begin(&answer, &reading.message);
	refusal_set(&reading.refusal, "not_subscribed", "no");
	protocol_answer_refused(&answer, reading.message.uri, &reading.refusal);
	assert_frame(protocol_answer_end(&answer),
		"{\"id\":1.0e2,\"error\":{\"code\":\"not_subscribed\",\"message\":\"no\"}"
		"}");
	document_fini(&reading.document);
}

static void many_addresses_are_answered_in_one_array(void **state)
{
	struct protocol_answer answer;
	struct reading reading;
	uint32_t first, second;

	(void)state;
	read_message(&reading,
		"{\"action\":\"subscribe\",\"uris\":[\"/a\",\"/%61\"],\"id\":2}");
	first = protocol_first_uri(&reading.message);
	second = protocol_next_uri(&reading.message, first);
	refusal_set(&reading.refusal, "not_canonical", "say /a");
	strcpy(reading.refusal.canonical, "/a");
	protocol_answer_begin(&answer, &reading.message);
	protocol_answer_done(&answer, first, 5000);
	protocol_answer_refused(&answer, second, &reading.refusal);
	assert_frame(protocol_answer_end(&answer),
		"{\"id\":2,\"ok\":true,\"uris\":[{\"uri\":\"/a\",\"interval\":5},"
		"{\"uri\":\"/"
		"%61\",\"error\":{\"code\":\"not_canonical\",\"message\":\"say /a\","
		"\"canonical\":\"/a\"}}]}");
	document_fini(&reading.document);
}

static void intervals_have_as_many_decimals_as_they_need(void **state)
{
	static const struct {
		uint32_t interval_ms;
		const char *want;
	} cases[] = {
		{50, "0.05"}, {1234, "1.234"}, {10000, "10"}, {100, "0.1"}, {1, "0.001"}};
	struct reading reading;

	(void)state;
	read_message(&reading, "{\"action\":\"subscribe\",\"uri\":\"/a\",\"id\":1}");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct protocol_answer answer;
		char want[128];

		protocol_answer_begin(&answer, &reading.message);
		protocol_answer_done(&answer, reading.message.uri, cases[i].interval_ms);
		snprintf(want, sizeof(want),
			"{\"id\":1,\"ok\":true,\"uri\":\"/a\",\"interval\":%s}",
			cases[i].want);
		assert_frame(protocol_answer_end(&answer), want);
	}
	document_fini(&reading.document);
}

static void an_error_names_the_id_else_the_address_else_nothing(void **state)
{
	static const char error[] = "\"error\":{\"code\":\"c\",\"message\":\"m\"}}";
	struct reading reading;
	char want[128];

	(void)state;
	read_message(
		&reading, "{\"action\":\"subscribe\",\"uri\":\"/\\u0007\",\"id\":1}");
	refusal_set(&reading.refusal, "c", "m");
	snprintf(want, sizeof(want), "{\"id\":1,%s", error);
	assert_frame(protocol_refused_frame(
			     &reading.message, reading.message.uri, &reading.refusal),
		want);
	reading.message.id.start = NULL;
	snprintf(want, sizeof(want), "{\"uri\":\"/\\u0007\",%s", error);
	assert_frame(protocol_refused_frame(
			     &reading.message, reading.message.uri, &reading.refusal),
		want);
	snprintf(want, sizeof(want), "{%s", error);
	assert_frame(protocol_refused_frame(&reading.message, 0, &reading.refusal), want);
	assert_frame(protocol_refused_frame(NULL, 0, &reading.refusal), want);
	document_fini(&reading.document);
}

/* The echo must still be a JSON string that a strict parser takes, whatever is cut. */
static void a_long_address_is_cut_between_characters(void **state)
{
	static const char *const units[] = {
		"a", "\\n", "\\u0041", "\\ud83d\\ude00", "\xc3\xbc", "\xf0\x9f\x98\x80"};

	(void)state;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		char text[40000] = "{\"action\":\"subscribe\",\"uri\":\"x";
		struct reading reading;
		struct document echoed;
		struct frame *frame;

		for (int j = 0; j < 3000; j++)
			strcat(text, units[i]);
		strcat(text, "\"}");
		read_message(&reading, text);
		refusal_set(&reading.refusal, "c", "m");
		frame = protocol_refused_frame(
			&reading.message, reading.message.uri, &reading.refusal);
		document_init(&echoed);
		assert_int_equal(document_scan(&echoed, frame_payload(frame),
					 frame_payload_length(frame), NULL),
			DOCUMENT_OK);
		assert_in_range(frame_payload_length(frame), 2048, 2048 + 64);
		document_fini(&echoed);
		frame_release(frame);
		document_fini(&reading.document);
	}
}

static void content_goes_out_byte_for_byte(void **state)
{
	(void)state;
	assert_frame(protocol_content_frame("/nodes", 1700000000000001,
			     bytes_of("{\"z\": 1.0e5 ,\"a\":[ ]}"), bytes_of("")),
		"{\"uri\":\"/nodes\",\"version\":\"1700000000000001\",\"content\":"
		"{\"z\": 1.0e5 ,\"a\":[ ]}}");
}

static void text_goes_out_as_a_string(void **state)
{
	(void)state;
	assert_frame(protocol_content_frame("/t", 7, bytes_of("a\"\\\n\t\x01\xc3\xbc"),
			     bytes_of("text/plain")),
		"{\"uri\":\"/t\",\"version\":\"7\",\"type\":\"text/plain\",\"content\":"
		"\"a\\\"\\\\\\n\\u0009\\u0001\xc3\xbc\"}");
}

static void text_that_is_not_utf8_is_mended(void **state)
{
	static const char *const broken[] = {"\xff", "\xc3", "\xed\xa0\x80", "\xc0\xaf",
		"\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xe0\x80\x80"};

	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct frame *frame = protocol_content_frame(
			"/t", 1, bytes_of(broken[i]), bytes_of("text/plain"));
		struct document document;

		document_init(&document);
		assert_int_equal(document_scan(&document, frame_payload(frame),
					 frame_payload_length(frame), NULL),
			DOCUMENT_OK);
		document_fini(&document);
		frame_release(frame);
	}
}

static void patches_are_asked_for_by_mode(void **state)
{
	struct reading reading;

	(void)state;
	read_message(
		&reading, "{\"action\":\"subscribe\",\"uri\":\"/a\",\"mode\":\"patch\"}");
	assert_true(reading.ok);
	assert_true(reading.message.patches);
	document_fini(&reading.document);
	read_message(
		&reading, "{\"action\":\"subscribe\",\"uri\":\"/a\",\"mode\":\"full\"}");
	assert_true(reading.ok);
	assert_false(reading.message.patches);
	document_fini(&reading.document);
}

static void a_patch_names_what_it_is_from_and_to(void **state)
{
	(void)state;
	assert_frame(protocol_patch_frame("/a", 9, 7, bytes_of("[ ]")),
		"{\"uri\":\"/a\",\"version\":\"9\",\"base\":\"7\",\"patch\":[ ]}");
}

static void a_state_is_told_with_its_error(void **state)
{
	(void)state;
	assert_frame(
		protocol_state_frame("/a", RESOURCE_STALE, bytes_of("{\"code\":\"x\"}")),
		"{\"uri\":\"/a\",\"state\":\"stale\",\"error\":{\"code\":\"x\"}}");
	assert_frame(protocol_state_frame("/a", RESOURCE_FRESH, bytes_of("")),
		"{\"uri\":\"/a\",\"state\":\"fresh\"}");
}

static void a_status_says_what_is_known_and_no_more(void **state)
{
	const struct protocol_status known = {RESOURCE_STALE, 7, 2500, 1000, 1};
	const struct protocol_status unknown = {0};
	struct protocol_answer answer;
	struct reading reading;

	(void)state;
	read_message(&reading, "{\"action\":\"status\",\"uri\":\"/a\",\"id\":1}");
	assert_true(reading.ok);
	protocol_answer_begin(&answer, &reading.message);
	protocol_answer_status(&answer, protocol_first_uri(&reading.message), &known);
	assert_frame(protocol_answer_end(&answer),
		"{\"id\":1,\"ok\":true,\"uri\":\"/a\",\"state\":\"stale\","
		"\"version\":\"7\",\"interval\":2.5,\"checked_at\":\"1970-01-01T00:00:01."
		"000Z\","
		"\"changed_at\":\"1970-01-01T00:00:00.001Z\"}");
	document_fini(&reading.document);
	read_message(&reading, "{\"action\":\"status\",\"uris\":[\"/a\"],\"id\":1}");
	protocol_answer_begin(&answer, &reading.message);
	protocol_answer_status(&answer, protocol_first_uri(&reading.message), &unknown);
	assert_frame(protocol_answer_end(&answer),
		"{\"id\":1,\"ok\":true,\"uris\":[{\"uri\":\"/a\"}]}");
	document_fini(&reading.document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_subscribe_is_read_with_all_its_members),
		cmocka_unit_test(null_is_as_good_as_absent),
		cmocka_unit_test(a_version_of_never_is_not_the_current_one),
		cmocka_unit_test(many_addresses_are_walked_in_order),
		cmocka_unit_test(what_is_wrong_has_its_code),
		cmocka_unit_test(an_interval_never_overflows),
		cmocka_unit_test(a_huge_id_is_refused_and_not_echoed),
		cmocka_unit_test(one_address_is_answered_flat),
		cmocka_unit_test(many_addresses_are_answered_in_one_array),
		cmocka_unit_test(intervals_have_as_many_decimals_as_they_need),
		cmocka_unit_test(an_error_names_the_id_else_the_address_else_nothing),
		cmocka_unit_test(a_long_address_is_cut_between_characters),
		cmocka_unit_test(content_goes_out_byte_for_byte),
		cmocka_unit_test(text_goes_out_as_a_string),
		cmocka_unit_test(text_that_is_not_utf8_is_mended),
		cmocka_unit_test(patches_are_asked_for_by_mode),
		cmocka_unit_test(a_patch_names_what_it_is_from_and_to),
		cmocka_unit_test(a_state_is_told_with_its_error),
		cmocka_unit_test(a_status_says_what_is_known_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
