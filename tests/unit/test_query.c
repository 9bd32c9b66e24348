#include "gateway/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char bytes[HEAD_BYTES_MAX];
static struct head head;
static struct query query;
static struct refusal refusal;

/* Reads a request for @target with @fields, each ended by CRLF. */
static bool read_request(const char *target, const char *fields)
{
	int length = snprintf(bytes, sizeof(bytes),
		"GET /resource?%s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, fields);

	assert_null(head_parse(&head, bytes, (size_t)length));
	return query_read(&query, &head, &refusal);
}

#define STREAM "Accept: text/event-stream\r\n"

static void a_plain_request_has_one_address_and_nothing_else(void **state)
{
	(void)state;
	assert_true(read_request("uri=/a%3Fb=1", ""));
	assert_int_equal(query.uri_count, 1);
	assert_false(query.stream);
	assert_int_equal(query.wait_s, -1);
	assert_int_equal(query.if_none_match.length, 0);

	assert_false(read_request("", ""));
	assert_false(read_request("uri=/a&uri=/b", ""));
	assert_false(read_request("uri=/a&mode=patch", ""));
	assert_false(read_request("uri=/a&interval=1", ""));
	assert_false(read_request("uri=/a&last-event-id=1", ""));
	assert_false(read_request("uri=/a&x=1", ""));
	assert_string_equal(refusal.code, "unknown_parameter");
}

static void a_stream_has_many_and_says_how(void **state)
{
	static const char *const want[] = {"/a", "/b%20c", "/d"};
	struct bytes uris, uri;

	(void)state;
	assert_true(read_request(
		"uri=/a&mode=patch&uri=/b%20c&interval=2.5&uri=/d&last-event-id=5%2C7",
		STREAM));
	assert_true(query.stream && query.patches);
	assert_int_equal(query.interval_ms, 2500);
	assert_int_equal(query.uri_count, 3);
	uris = query.uris;
	for (size_t i = 0; i < 3; i++) {
		assert_true(query_next_uri(&uris, &uri));
		assert_true(bytes_are(uri, want[i]));
	}
	assert_false(query_next_uri(&uris, &uri));
	assert_int_equal(query.cursor_length, 3);
	assert_memory_equal(query.cursor, "5,7", 3);
}

static void what_a_stream_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *target;
		const char *code;
	} cases[] = {
		{"uri=/a&mode=", "unsupported_mode"},
		{"uri=/a&mode=PATCH", "unsupported_mode"},
		{"uri=/a&interval=", "bad_request"},
		{"uri=/a&interval=0", "bad_request"},
		{"uri=/a&interval=-1", "bad_request"},
		{"uri=/a&interval=inf", "bad_request"},
		{"uri=/a&interval=nan", "bad_request"},
		{"uri=/a&interval=0x9", "bad_request"},
		{"uri=/a&interval=1.2.3", "bad_request"},
		{"uri=/a&last-event-id=%", "bad_request"},
		{"mode=patch", "bad_request"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(read_request(cases[i].target, STREAM));
		assert_string_equal(refusal.code, cases[i].code);
	}
}

static void events_are_for_who_accepts_them(void **state)
{
	static const struct {
		const char *fields;
		bool stream;
	} cases[] = {
		{"Accept: text/event-stream\r\n", true},
		{"ACCEPT: a/b;q=1 , TEXT/Event-Stream ; q=0.5\r\n", true},
		{"Accept: a/b\r\nAccept: text/event-stream\r\n", true},
		{"Accept: */*\r\n", false},
		{"Accept: text/event-streams\r\n", false},
		{"Accept: x;y=text/event-stream\r\n", false},
		{"X-Accept: text/event-stream\r\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(read_request("uri=/a", cases[i].fields));
		assert_int_equal(query.stream, cases[i].stream);
	}
}

static void the_first_wait_that_can_be_read_counts(void **state)
{
	static const struct {
		const char *fields;
		int64_t wait_s;
	} cases[] = {
		{"", -1},
		{"Prefer: wait=5\r\n", 5},
		{"Prefer: respond-async, WAIT = \"7\" ; x=9\r\n", 7},
		{"Prefer: a\r\nPrefer: wait=3\r\nPrefer: wait=4\r\n", 3},
		{"Prefer: wait=x, wait=4\r\n", 4},
		{"Prefer: wait=0\r\n", 0},
		{"Prefer: wait=60\r\n", 60},
		{"Prefer: wait=61\r\n", 60},
		{"Prefer: wait\r\n", -1},
		{"Prefer: wait=\r\n", -1},
		{"Prefer: wait=\"\r\n", -1},
		{"Prefer: wait=\"\"\r\n", -1},
		{"Prefer: wait=-1\r\n", -1},
		{"Prefer: await=1\r\n", -1},
		{"Prefer:\r\n", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(read_request("uri=/a", cases[i].fields));
		assert_int_equal(query.wait_s, cases[i].wait_s);
	}
}

static void the_header_is_newer_than_the_parameter(void **state)
{
	(void)state;
	assert_true(
		read_request("uri=/a&last-event-id=1", STREAM "Last-Event-ID: 2\r\n"));
	assert_int_equal(query.cursor_length, 1);
	assert_memory_equal(query.cursor, "2", 1);
	assert_true(read_request("uri=/a&last-event-id=1", STREAM "Last-Event-ID:\r\n"));
	assert_memory_equal(query.cursor, "1", 1);
}

static void versions_are_read_one_by_one(void **state)
{
	static const char versions[] = "5,0,x,,9223372036854775807,9223372036854775808,7";
	struct bytes list = {versions, sizeof(versions) - 1};

	(void)state;
	assert_int_equal(query_next_version(&list), 5);
	assert_int_equal(query_next_version(&list), 0);
	assert_int_equal(query_next_version(&list), 0);
	assert_int_equal(query_next_version(&list), 0);
	assert_int_equal(query_next_version(&list), INT64_MAX);
	assert_int_equal(query_next_version(&list), 0);
	assert_int_equal(query_next_version(&list), 7);
	assert_int_equal(query_next_version(&list), 0);
}

static void the_newest_tag_of_a_list_is_found(void **state)
{
	static const struct {
		const char *tags;
		uint64_t newest;
	} cases[] = {
		{"\"5\"", 5},
		{"W/\"5\"", 5},
		{"\"5\", W/\"9\" ,\"7\"", 9},
		{"*", 0},
		{"", 0},
		{"5", 0},
		{"\"", 0},
		{"W/", 0},
		{"\"x\", \"3\"", 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(query_newest_tag((struct bytes){
					 cases[i].tags, strlen(cases[i].tags)}),
			cases[i].newest);
	assert_int_equal(query_newest_tag((struct bytes){NULL, 0}), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_request_has_one_address_and_nothing_else),
		cmocka_unit_test(a_stream_has_many_and_says_how),
		cmocka_unit_test(what_a_stream_cannot_be_is_refused),
		cmocka_unit_test(events_are_for_who_accepts_them),
		cmocka_unit_test(the_first_wait_that_can_be_read_counts),
		cmocka_unit_test(the_header_is_newer_than_the_parameter),
		cmocka_unit_test(versions_are_read_one_by_one),
		cmocka_unit_test(the_newest_tag_of_a_list_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
