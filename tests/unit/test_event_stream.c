#include "deploy/cli/event_stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What a stream has told, events separated by |. */
static char told[1024];
static int events_most; /* on_event says no from this one on; 0: never */
static int events;

static bool on_event(const char *data, size_t length, void *user)
{
	size_t used = strlen(told);

	(void)user;
	snprintf(told + used, sizeof(told) - used, "%.*s|", (int)length, data);
	return ++events != events_most;
}

static int set_up(void **state)
{
	static struct event_stream stream;

	told[0] = '\0';
	events = events_most = 0;
	event_stream_init(&stream, on_event, NULL);
	*state = &stream;
	return 0;
}

static int tear_down(void **state)
{
	event_stream_fini(*state);
	return 0;
}

static int feed(void **state, const char *text)
{
	return event_stream_feed(*state, text, strlen(text));
}

static void an_event_is_its_data_lines_joined(void **state)
{
	feed(state, "id: 7\ndata: {\"a\":\ndata:  1}\ndata\ndata:x\n\n");
	assert_string_equal(told, "{\"a\":\n 1}\nx|");
}

static void what_has_no_data_is_no_event(void **state)
{
	feed(state, ": a comment\n\nretry: 2472\n\nevent: x\nid: 3\n\n\n");
	assert_string_equal(told, "");
	assert_int_equal(((struct event_stream *)*state)->retry_ms, 2472);
	feed(state, "retry: 99x\nretry: 123456789\nretry:\n\n");
	assert_int_equal(((struct event_stream *)*state)->retry_ms, 2472);
}

static void bytes_may_come_one_by_one(void **state)
{
	const char *text = "id: 1,2\ndata: {\"uri\":\"/a\"}\n\n:\n\ndata: 2\n\n";

	for (; *text; text++)
		assert_int_equal(event_stream_feed(*state, text, 1), 0);
	assert_string_equal(told, "{\"uri\":\"/a\"}|2|");
	assert_string_equal(((struct event_stream *)*state)->id, "1,2");
}

static void an_event_half_said_counts_neither_with_its_data_nor_its_id(void **state)
{
	struct event_stream *stream = *state;

	feed(state, "id: 1\ndata: one\n\nid: 2\ndata: tw");
	assert_string_equal(stream->id, "1");
	event_stream_restart(stream);
	feed(state, "data: three\n\n");
	assert_string_equal(told, "one|three|");
	assert_string_equal(stream->id, "1");
}

static void who_has_enough_gets_no_more(void **state)
{
	events_most = 1;
	assert_int_equal(feed(state, "data: 1\n\ndata: 2\n\n"), -ECANCELED);
	assert_string_equal(told, "1|");
}

static void an_id_too_long_is_ignored(void **state)
{
	char line[EVENT_STREAM_ID_MAX + 16] = "id: ";

	feed(state, "id: 5\ndata: x\n\n");
	memset(line + 4, '9', EVENT_STREAM_ID_MAX + 1);
	strcpy(line + 4 + EVENT_STREAM_ID_MAX + 1, "\n");
	feed(state, line);
	feed(state, "data: y\n\n");
	assert_string_equal(((struct event_stream *)*state)->id, "5");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_event_is_its_data_lines_joined),
		TEST(what_has_no_data_is_no_event),
		TEST(bytes_may_come_one_by_one),
		TEST(an_event_half_said_counts_neither_with_its_data_nor_its_id),
		TEST(who_has_enough_gets_no_more),
		TEST(an_id_too_long_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
