#include "common/change.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char whole[] =
	"12 11 10 9 fresh json 1795300980674 2000 7 4 0 1795300980675\n{\"a\":1}[{}]";

static int parse(struct change *change, const char *message)
{
	return change_parse(change, message, strlen(message));
}

static void a_change_gives_its_numbers_and_its_three_runs_of_bytes(void **state)
{
	struct change change;

	(void)state;
	assert_int_equal(parse(&change, whole), 0);
	assert_int_equal(change.revision, 12);
	assert_int_equal(change.previous_revision, 11);
	assert_int_equal(change.version, 10);
	assert_int_equal(change.previous_version, 9);
	assert_int_equal(change.state, RESOURCE_FRESH);
	assert_int_equal(change.media_type.length, 0);
	assert_int_equal(change.checked_at_ms, 1795300980674);
	assert_int_equal(change.interval_ms, 2000);
	assert_int_equal(change.answered_at_ms, 1795300980675);
	assert_int_equal(change.content.length, 7);
	assert_memory_equal(change.content.start, "{\"a\":1}", 7);
	assert_memory_equal(change.patch.start, "[{}]", 4);
	assert_int_equal(change.error.length, 0);
}

static void a_dash_says_that_the_content_is_not_in_the_message(void **state)
{
	struct change change;

	(void)state;
	assert_int_equal(
		parse(&change,
			"12 11 10 10 stale text/plain 5 2000 - 0 10\n{\"code\":1}"),
		0);
	assert_null(change.content.start);
	assert_memory_equal(change.media_type.start, "text/plain", 10);
	assert_int_equal(change.state, RESOURCE_STALE);
	assert_memory_equal(change.error.start, "{\"code\":1}", 10);
}

static void an_empty_content_is_a_content(void **state)
{
	struct change change;

	(void)state;
	assert_int_equal(parse(&change, "12 11 12 10 fresh text/html 5 2000 0 0 0\n"), 0);
	assert_non_null(change.content.start);
	assert_int_equal(change.content.length, 0);
}

static void a_message_that_does_not_say_when_the_answer_came_is_understood(void **state)
{
	struct change change;

	(void)state;
	assert_int_equal(parse(&change, "12 11 12 10 fresh json 5 2000 2 1 0\n{}x"), 0);
	assert_int_equal(change.answered_at_ms, 0);
	assert_memory_equal(change.content.start, "{}", 2);
	assert_memory_equal(change.patch.start, "x", 1);
}

static void what_is_not_a_change_is_refused(void **state)
{
	static const char *const messages[] = {
		"",
		"\n",
		"12 11 10 9 fresh json 1 2000 0 0 0",       /* no newline */
		"12 11 10 9 fresh json 1 2000 0 0\n",       /* a field short */
		"12 11 10 9 fresh json 1 2000 0 0 0 0 0\n", /* one too many */
		"12 11 10 9 fresh json 1 2000 0 0 0 \n",    /* an empty one */
		"12 11 10 9 fresh json 1 2000 0 0 0 -1\n",
		"12 11 10 9 fine json 1 2000 0 0 0\n",    /* no such state */
		"12 11 10 9 unknown json 1 2000 0 0 0\n", /* never published */
		"12 11 10 9 fresh xml 1 2000 0 0 0\n",    /* no such type */
		"-2 11 10 9 fresh json 1 2000 0 0 0\n",
		"012 11 10 9 fresh json 1 2000 0 0 0\n",
		"1.5 11 10 9 fresh json 1 2000 0 0 0\n",
		"9223372036854775808 11 10 9 fresh json 1 2000 0 0 0\n",
		"12 11 10 9 fresh json 1 4294967296 0 0 0\n",
		"12 11 10 9 fresh json 1 2000 5 0 0\n1234", /* shorter than it says */
		"12 11 10 9 fresh json 1 2000 3 0 0\n1234", /* longer than it says */
		"12 11 10 9 fresh json 1 2000 2 2 1\n1234",
		"12 11 10 9 fresh json 1 2000 9223372036854775807 1 0\n1234",
	};
	struct change change;

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		if (parse(&change, messages[i]) != -EBADMSG)
			fail_msg("accepted: %s", messages[i]);
	}
}

static void every_cut_of_a_change_is_refused(void **state)
{
	struct change change;

	(void)state;
	for (size_t length = 0; length < strlen(whole); length++)
		assert_int_equal(change_parse(&change, whole, length), -EBADMSG);
}

static void states_have_names_and_come_back_from_them(void **state)
{
	(void)state;
	for (int i = RESOURCE_FRESH; i <= RESOURCE_GONE; i++) {
		const char *name = resource_state_name(i);

		assert_int_equal(resource_state_parse(name, strlen(name)), i);
	}
	assert_int_equal(resource_state_parse("unknown", 7), RESOURCE_UNKNOWN);
	assert_int_equal(resource_state_parse("freshly", 7), RESOURCE_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_gives_its_numbers_and_its_three_runs_of_bytes),
		cmocka_unit_test(a_dash_says_that_the_content_is_not_in_the_message),
		cmocka_unit_test(an_empty_content_is_a_content),
		cmocka_unit_test(
			a_message_that_does_not_say_when_the_answer_came_is_understood),
		cmocka_unit_test(what_is_not_a_change_is_refused),
		cmocka_unit_test(every_cut_of_a_change_is_refused),
		cmocka_unit_test(states_have_names_and_come_back_from_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
