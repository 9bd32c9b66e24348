#include "gateway/frame.h"

#include <libwebsockets.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct frame *frame_of(size_t length)
{
	char *payload = malloc(length + 1);
	struct frame_part part = {payload, length};
	struct frame *frame;

	memset(payload, 'x', length + 1);
	frame = frame_new(&part, 1);
	free(payload);
	assert_non_null(frame);
	assert_int_equal(frame_payload_length(frame), length);
	assert_int_equal(frame->bytes[0], 0x81);
	return frame;
}

static void the_header_is_as_long_as_its_payload_needs(void **state)
{
	static const struct {
		size_t length;
		uint8_t header_length;
		unsigned char header[9]; /* behind the first byte */
	} cases[] = {
		{0, 2, {0}},
		{125, 2, {125}},
		{126, 4, {126, 0, 126}},
		{65535, 4, {126, 255, 255}},
		{65536, 10, {127, 0, 0, 0, 0, 0, 1, 0, 0}},
		{70000, 10, {127, 0, 0, 0, 0, 0, 1, 0x11, 0x70}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame *frame = frame_of(cases[i].length);

		assert_int_equal(frame->header_length, cases[i].header_length);
		assert_memory_equal(
			frame->bytes + 1, cases[i].header, frame->header_length - 1);
		frame_release(frame);
	}
}

static void parts_stand_one_after_the_other(void **state)
{
	const struct frame_part parts[] = {{"ab", 2}, {NULL, 0}, {"c", 1}, {"def", 3}};
	struct frame *frame = frame_new(parts, 4);

	(void)state;
	assert_memory_equal(frame->bytes,
		"\x81\x06"
		"abcdef",
		8);
	assert_int_equal(frame->length, 8);
	assert_memory_equal(frame_payload(frame), "abcdef", 6);
	frame_release(frame);
}

static void the_room_in_front_may_be_written_to(void **state)
{
	struct frame *frame = frame_of(3);

	(void)state;
	memset(frame->bytes - LWS_PRE, 0xff, LWS_PRE);
	assert_int_equal(frame->references, 1);
	assert_memory_equal(frame_payload(frame), "xxx", 3);
	frame_release(frame);
}

static void a_kept_frame_outlives_its_maker(void **state)
{
	struct frame *frame = frame_of(3);

	(void)state;
	assert_ptr_equal(frame_keep(frame), frame);
	frame_release(frame);
	assert_memory_equal(frame_payload(frame), "xxx", 3);
	frame_release(frame);
	frame_release(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_is_as_long_as_its_payload_needs),
		cmocka_unit_test(parts_stand_one_after_the_other),
		cmocka_unit_test(the_room_in_front_may_be_written_to),
		cmocka_unit_test(a_kept_frame_outlives_its_maker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
