#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/list.h"
#include "common/random.h"

#define MANY 5000

struct probe {
	struct clock_timer timer;
	struct clock_timer *other; /* what on_due acts on */
	int64_t again_at_ms;
	int64_t fired_at_ms;
	int fired;
};

static int64_t last_due_ms;

static struct probe *probe_of(struct clock_timer *timer)
{
	return container_of(timer, struct probe, timer);
}

static void count(struct clock_timer *timer)
{
	struct probe *probe = probe_of(timer);

	assert_false(clock_timer_running(timer));
	assert_true(timer->due_ms >= last_due_ms);
	last_due_ms = timer->due_ms;
	probe->fired++;
	probe->fired_at_ms = clock_now_ms(timer->clock);
}

static void count_and_start_again(struct clock_timer *timer)
{
	probe_of(timer)->fired++;
	clock_timer_start(timer, probe_of(timer)->again_at_ms);
}

static void count_and_stop_the_other(struct clock_timer *timer)
{
	probe_of(timer)->fired++;
	clock_timer_stop(probe_of(timer)->other);
}

static int setup(void **state)
{
	*state = clock_new(NULL);
	last_due_ms = INT64_MIN;
	return 0;
}

static int teardown(void **state)
{
	clock_free(*state);
	return 0;
}

static void timers_run_in_the_order_they_are_due(void **state)
{
	struct clock *clock = *state;
	struct probe *probes = calloc(MANY, sizeof(*probes));
	int fired = 0;

	for (int i = 0; i < MANY; i++) {
		clock_timer_init(&probes[i].timer, clock, count);
		clock_timer_start(&probes[i].timer, (int64_t)random_below(1000));
	}
	for (int i = 0; i < MANY; i += 3)
		clock_timer_start(&probes[i].timer, (int64_t)random_below(1000));
	for (int i = 0; i < MANY; i += 5)
		clock_timer_stop(&probes[i].timer);

	while (clock_next_due_ms(clock) != INT64_MAX) {
		clock_move(clock, clock_next_due_ms(clock), 0);
		clock_run(clock);
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(probes[i].fired, i % 5 ? 1 : 0);
		assert_int_equal(
			probes[i].fired_at_ms, i % 5 ? probes[i].timer.due_ms : 0);
		fired += probes[i].fired;
	}
	assert_int_equal(fired, MANY - MANY / 5);
	free(probes);
}

static void nothing_runs_before_it_is_due(void **state)
{
	struct clock *clock = *state;
	struct probe probe = {0};

	clock_timer_init(&probe.timer, clock, count);
	clock_timer_start_in(&probe.timer, 10);
	assert_int_equal(clock_next_due_ms(clock), 10);
	clock_move(clock, 9, 0);
	clock_run(clock);
	assert_int_equal(probe.fired, 0);
	clock_move(clock, 10, 0);
	clock_run(clock);
	assert_int_equal(probe.fired, 1);
	assert_int_equal(clock_next_due_ms(clock), INT64_MAX);
}

static void a_timer_started_for_the_past_waits_for_the_next_round(void **state)
{
	struct clock *clock = *state;
	struct probe probe = {.again_at_ms = -5};

	clock_timer_init(&probe.timer, clock, count_and_start_again);
	clock_timer_start(&probe.timer, 0);
	clock_run(clock);
	assert_int_equal(probe.fired, 1);
	assert_true(clock_timer_running(&probe.timer));
	assert_int_equal(clock_next_due_ms(clock), -5);
	clock_run(clock);
	assert_int_equal(probe.fired, 2);
	clock_timer_stop(&probe.timer);
}

static void a_timer_stopped_in_the_same_round_does_not_run(void **state)
{
	struct clock *clock = *state;
	struct probe first = {0}, second = {0};

	clock_timer_init(&first.timer, clock, count_and_stop_the_other);
	clock_timer_init(&second.timer, clock, count);
	first.other = &second.timer;
	clock_timer_start(&first.timer, 1);
	clock_timer_start(&second.timer, 2);
	clock_move(clock, 5, 0);
	clock_run(clock);
	assert_int_equal(first.fired, 1);
	assert_int_equal(second.fired, 0);
}

static void a_timer_that_waits_for_the_next_round_can_be_stopped(void **state)
{
	struct clock *clock = *state;
	struct probe again = {.again_at_ms = 0}, stopper = {0};

	clock_timer_init(&again.timer, clock, count_and_start_again);
	clock_timer_init(&stopper.timer, clock, count_and_stop_the_other);
	stopper.other = &again.timer;
	clock_timer_start(&again.timer, 1);
	clock_timer_start(&stopper.timer, 2);
	clock_move(clock, 5, 0);
	clock_run(clock);
	assert_int_equal(again.fired, 1);
	assert_int_equal(stopper.fired, 1);
	assert_false(clock_timer_running(&again.timer));
	assert_int_equal(clock_next_due_ms(clock), INT64_MAX);
}

static void a_moved_clock_tells_both_times(void **state)
{
	struct clock *clock = *state;

	clock_move(clock, 42, 1700000000000);
	assert_int_equal(clock_now_ms(clock), 42);
	assert_int_equal(clock_wall_ms(clock), 1700000000000);
}

/* On a loop: the earliest timer is started last, after the loop's time has gone stale. */
static void a_loop_runs_timers_when_they_are_due(void **state)
{
	struct probe late = {0}, early = {0};
	struct clock *clock;
	int64_t begun_ms;
	uv_loop_t loop;

	(void)state;
	last_due_ms = INT64_MIN;
	uv_loop_init(&loop);
	clock = clock_new(&loop);
	clock_timer_init(&late.timer, clock, count);
	clock_timer_init(&early.timer, clock, count);
	begun_ms = clock_now_ms(clock);
	while (clock_now_ms(clock) < begun_ms + 30)
		;
	clock_timer_start_in(&late.timer, 60);
	clock_timer_start_in(&early.timer, 20);
	uv_run(&loop, UV_RUN_DEFAULT);

	assert_int_equal(early.fired, 1);
	assert_int_equal(late.fired, 1);
	assert_true(early.fired_at_ms >= early.timer.due_ms);
	assert_true(late.fired_at_ms >= late.timer.due_ms);
	assert_true(early.fired_at_ms < late.timer.due_ms);
	clock_free(clock);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void on_async(uv_async_t *async)
{
	uv_stop(async->loop);
}

/* A timer that always starts itself for now must leave room for everything else. */
static void a_busy_timer_does_not_starve_the_loop(void **state)
{
	struct probe probe = {.again_at_ms = 0};
	struct clock *clock;
	uv_async_t async;
	uv_loop_t loop;

	(void)state;
	uv_loop_init(&loop);
	uv_async_init(&loop, &async, on_async);
	clock = clock_new(&loop);
	clock_timer_init(&probe.timer, clock, count_and_start_again);
	clock_timer_start(&probe.timer, 0);
	uv_async_send(&async);
	uv_run(&loop, UV_RUN_DEFAULT); /* until the async is seen */

	assert_true(probe.fired > 0);
	clock_timer_stop(&probe.timer);
	clock_free(clock);
	uv_close((uv_handle_t *)&async, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			timers_run_in_the_order_they_are_due, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nothing_runs_before_it_is_due, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_timer_started_for_the_past_waits_for_the_next_round, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			a_timer_stopped_in_the_same_round_does_not_run, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_timer_that_waits_for_the_next_round_can_be_stopped, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			a_moved_clock_tells_both_times, setup, teardown),
		cmocka_unit_test(a_loop_runs_timers_when_they_are_due),
		cmocka_unit_test(a_busy_timer_does_not_starve_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
