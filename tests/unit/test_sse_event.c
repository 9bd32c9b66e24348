#include "gateway/sse_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct frame *frame_of(const char *payload)
{
	struct frame_part part = {payload, strlen(payload)};
	struct frame *frame = frame_new(&part, 1);

	assert_non_null(frame);
	return frame;
}

/* Takes the whole event, at most @step bytes and @most parts at a time. */
static void take_all(
	struct sse_event *event, size_t step, size_t most, struct text *taken)
{
	struct iovec parts[SSE_EVENT_PARTS_MAX];

	while (sse_event_busy(event)) {
		size_t count = sse_event_parts(event, parts, most), bytes = 0;

		assert_in_range(count, 1, most);
		for (size_t i = 0; i < count && bytes < step; i++) {
			size_t length = parts[i].iov_len;

			assert_int_not_equal(length, 0);
			if (length > step - bytes)
				length = step - bytes;
			text_add(taken, parts[i].iov_base, length);
			bytes += length;
		}
		sse_event_sent(event, bytes);
	}
	text_add(taken, "", 1);
}

static void assert_written(const char *payload, const char *id, const char *want)
{
	static const size_t steps[] = {1, 2, 3, 7, 100000}, mosts[] = {1, 2, 5, 512};
	struct frame *frame = frame_of(payload);

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		for (size_t j = 0; j < sizeof(mosts) / sizeof(mosts[0]); j++) {
			struct sse_event event = {0};
			struct text taken = {0};

			assert_int_equal(sse_event_begin(&event, frame, id), 0);
			take_all(&event, steps[i], mosts[j], &taken);
			assert_string_equal(taken.start, want);
			assert_null(event.frame);
			text_fini(&taken);
		}
	assert_int_equal(frame->references, 1);
	frame_release(frame);
}

static void a_payload_of_one_line_is_one_data_line(void **state)
{
	(void)state;
	assert_written("{\"n\":1}", NULL, "data: {\"n\":1}\n\n");
	assert_written("{\"n\":1}", "17", "id: 17\ndata: {\"n\":1}\n\n");
	assert_written("", "1,0", "id: 1,0\ndata: \n\n");
}

static void every_line_of_a_payload_is_a_data_line(void **state)
{
	static const struct {
		const char *payload;
		const char *want;
	} cases[] = {
		{"a\nb", "data: a\ndata: b\n\n"},
		{"a\r\nb", "data: a\ndata: b\n\n"},
		{"a\rb", "data: a\ndata: b\n\n"},
		{"a\n\rb", "data: a\ndata: \ndata: b\n\n"},
		{"a\r\r\nb", "data: a\ndata: \ndata: b\n\n"},
		{"a\n\n", "data: a\ndata: \ndata: \n\n"},
		{"\na", "data: \ndata: a\n\n"},
		{"\r", "data: \ndata: \n\n"},
		{"\r\n", "data: \ndata: \n\n"},
		{"a\rb\nc\rd", "data: a\ndata: b\ndata: c\ndata: d\n\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_written(cases[i].payload, NULL, cases[i].want);
}

static void a_text_goes_out_as_it_is(void **state)
{
	struct sse_event event = {0};
	struct text taken = {0};

	(void)state;
	assert_int_equal(sse_event_begin_text(&event, ":\n\n"), 0);
	take_all(&event, 2, 1, &taken);
	assert_string_equal(taken.start, ":\n\n");
	text_fini(&taken);
}

static void an_event_given_up_half_way_lets_go_of_its_frame(void **state)
{
	struct frame *frame = frame_of("a\nb");
	struct sse_event event = {0};

	(void)state;
	assert_int_equal(sse_event_begin(&event, frame, "1"), 0);
	sse_event_sent(&event, 3);
	assert_int_equal(frame->references, 2);
	sse_event_fini(&event);
	assert_false(sse_event_busy(&event));
	assert_int_equal(frame->references, 1);
	frame_release(frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_payload_of_one_line_is_one_data_line),
		cmocka_unit_test(every_line_of_a_payload_is_a_data_line),
		cmocka_unit_test(a_text_goes_out_as_it_is),
		cmocka_unit_test(an_event_given_up_half_way_lets_go_of_its_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
