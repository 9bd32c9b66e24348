#pragma once

/*
 * Clock: monotonic time and every timer of a process, in one heap.
 *
 * A clock on a loop keeps one libuv timer for the earliest of its timers. A clock without
 * a loop stands still until it is moved: the simulation runs the same state machines on
 * such clocks. Timers are embedded in their owners and cost nothing while stopped.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct clock;
struct clock_timer;

/** Runs from clock_run(); the timer is stopped before and may be started again inside. */
typedef void (*clock_timer_fn)(struct clock_timer *timer);

struct clock_timer {
	struct clock *clock;
	clock_timer_fn on_due;
	int64_t due_ms;
	size_t place; /* in the heap, from 1; 0 while stopped */
};

/** @loop may be NULL for a clock that is moved by clock_move(). Never returns NULL. */
struct clock *clock_new(uv_loop_t *loop);

/** Every timer must have been stopped. Accepts NULL. */
void clock_free(struct clock *clock);

/** Milliseconds that never go back and go on while the process or host sleeps. */
int64_t clock_now_ms(const struct clock *clock);

/** Milliseconds since 1970 by this host. What decides is Redis's clock: membership.h. */
int64_t clock_wall_ms(const struct clock *clock);

void clock_timer_init(
	struct clock_timer *timer, struct clock *clock, clock_timer_fn on_due);

/** (Re)starts @timer for @due_ms, monotonic; the past means the next round. */
void clock_timer_start(struct clock_timer *timer, int64_t due_ms);
void clock_timer_start_in(struct clock_timer *timer, int64_t delay_ms);
void clock_timer_stop(struct clock_timer *timer);
bool clock_timer_running(const struct clock_timer *timer);

/** When the earliest timer is due, or INT64_MAX. */
int64_t clock_next_due_ms(const struct clock *clock);

/** Runs what is due, earliest first. Timers started inside run in the next round. */
void clock_run(struct clock *clock);

/** Virtual clocks only: sets both times. Does not run anything. */
void clock_move(struct clock *clock, int64_t now_ms, int64_t wall_ms);
