#include "gateway/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HOST "Host: gw\r\n"

static const char *parse(struct head *head, const char *text)
{
	size_t length = head_length(text, strlen(text));

	assert_int_equal(length, strlen(text));
	return head_parse(head, text, length);
}

static void a_head_is_whole_with_its_empty_line(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\n" HOST "\r\nmore";

	(void)state;
	assert_int_equal(head_length(text, sizeof(text) - 1), sizeof(text) - 5);
	for (size_t length = 0; length < sizeof(text) - 5; length++)
		assert_int_equal(head_length(text, length), 0);
}

static void target_and_fields_are_found(void **state)
{
	struct head head;

	(void)state;
	assert_null(parse(&head,
		"GET /resource?uri=/a?b HTTP/1.1\r\n" HOST
		"X-Empty:\r\nUPGRADE: \t h2c, WebSocket \r\n\r\n"));
	assert_int_equal(head.method, HEAD_METHOD_GET);
	assert_true(bytes_are(head.path, "/resource"));
	assert_true(bytes_are(head.query, "uri=/a?b"));
	assert_true(head.keep_alive);
	assert_false(head.has_body);
	assert_true(bytes_are(head_field(&head, "x-empty"), ""));
	assert_null(head_field(&head, "x-absent").start);
	assert_true(head_has_word(&head, "upgrade", "websocket"));
	assert_false(head_has_word(&head, "upgrade", "socket"));
}

static void a_proxys_form_of_the_target_is_the_same_page(void **state)
{
	struct head head;

	(void)state;
	assert_null(parse(&head, "GET http://gw:7070/ws HTTP/1.1\r\n" HOST "\r\n"));
	assert_true(bytes_are(head.path, "/ws"));
	assert_null(head.query.start);
}

static void keep_alive_is_as_version_and_field_say(void **state)
{
	struct head head;

	(void)state;
	assert_null(parse(&head, "GET / HTTP/1.0\r\n\r\n"));
	assert_false(head.keep_alive);
	assert_null(parse(&head, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
	assert_true(head.keep_alive);
	assert_null(
		parse(&head, "GET / HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n"));
	assert_false(head.keep_alive);
}

static void a_body_is_noticed(void **state)
{
	struct head head;

	(void)state;
	assert_null(parse(&head, "GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"));
	assert_false(head.has_body);
	assert_null(parse(&head, "GET / HTTP/1.1\r\n" HOST "Content-Length: 00\r\n\r\n"));
	assert_true(head.has_body);
	assert_null(
		parse(&head, "GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: x\r\n\r\n"));
	assert_true(head.has_body);
}

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
	static const char *const heads[] = {
		"\r\n\r\n",
		"GET /\r\n" HOST "\r\n",
		"GET  / HTTP/1.1\r\n" HOST "\r\n",
		"GET / HTTP/1.1 \r\n" HOST "\r\n",
		"GET / HTTP/2.0\r\n" HOST "\r\n",
		"PRI * HTTP/2.0\r\n\r\n",
		"G T / HTTP/1.1\r\n" HOST "\r\n",
		"GET nodes HTTP/1.1\r\n" HOST "\r\n",
		"GET * HTTP/1.1\r\n" HOST "\r\n",
		"CONNECT gw:80 HTTP/1.1\r\n" HOST "\r\n",
		"GET http://gw HTTP/1.1\r\n" HOST "\r\n",
		"GET /\xc3\xbc HTTP/1.1\r\n" HOST "\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST HOST "\r\n",
		"GET / HTTP/1.1\r\n" HOST "Origin: a\r\nORIGIN: b\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nUpgrade: h2c\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST
		"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "X : y\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST ": no name\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "X: a\nY: b\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "X: \x7f\r\n\r\n",
	};
	struct head head;

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		assert_non_null(parse(&head, heads[i]));
}

static void there_is_a_limit_to_the_fields(void **state)
{
	char text[4096] = "GET / HTTP/1.1\r\n" HOST;
	struct head head;

	(void)state;
	for (int i = 1; i < HEAD_FIELDS_MAX; i++)
		strcat(text, "X: y\r\n");
	strcat(text, "\r\n");
	assert_null(parse(&head, text));
	strcpy(text + strlen(text) - 2, "X: y\r\n\r\n");
	assert_non_null(parse(&head, text));
}

static void parameters_are_taken_one_by_one(void **state)
{
	struct bytes query = {"a=1&b&=c&&d=x=y", 15}, name, value;

	(void)state;
	assert_true(head_next_parameter(&query, &name, &value));
	assert_true(bytes_are(name, "a") && bytes_are(value, "1"));
	assert_true(head_next_parameter(&query, &name, &value));
	assert_true(bytes_are(name, "b") && bytes_are(value, ""));
	assert_true(head_next_parameter(&query, &name, &value));
	assert_true(bytes_are(name, "") && bytes_are(value, "c"));
	assert_true(head_next_parameter(&query, &name, &value));
	assert_true(bytes_are(name, ""));
	assert_true(head_next_parameter(&query, &name, &value));
	assert_true(bytes_are(name, "d") && bytes_are(value, "x=y"));
	assert_false(head_next_parameter(&query, &name, &value));
}

static void a_value_is_decoded_once(void **state)
{
	static const struct {
		const char *text;
		const char *want; /* NULL: a broken escape */
	} cases[] = {{"%2Fa%3fb", "/a?b"}, {"%252e", "%2e"}, {"a+b%2B", "a b+"},
		{"%", NULL}, {"%4", NULL}, {"%zz", NULL}, {"%4g", NULL}, {"%41", "A"}};
	char buffer[16];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bytes text = {cases[i].text, strlen(cases[i].text)};
		long length = head_decode(text, buffer);

		if (cases[i].want == NULL) {
			assert_true(length < 0);
			continue;
		}
		assert_int_equal(length, strlen(cases[i].want));
		assert_memory_equal(buffer, cases[i].want, (size_t)length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_is_whole_with_its_empty_line),
		cmocka_unit_test(target_and_fields_are_found),
		cmocka_unit_test(a_proxys_form_of_the_target_is_the_same_page),
		cmocka_unit_test(keep_alive_is_as_version_and_field_say),
		cmocka_unit_test(a_body_is_noticed),
		cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
		cmocka_unit_test(there_is_a_limit_to_the_fields),
		cmocka_unit_test(parameters_are_taken_one_by_one),
		cmocka_unit_test(a_value_is_decoded_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
