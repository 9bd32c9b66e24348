#include "common/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "common/memory.h"

#define HEAP_CHILDREN 4 /* flatter than a binary heap: fewer cache misses a start */

/* Timers started for the past while the clock runs wait outside the heap, so that the
 * round that started them ends. Their place says so. */
#define PLACE_LATER (SIZE_MAX / 2)

struct timers {
	struct clock_timer **items; /* item at place - 1 */
	size_t count;
	size_t capacity;
};

struct clock {
	uv_loop_t *loop;  /* NULL: virtual */
	uv_timer_t timer; /* armed for the earliest */
	int64_t armed_ms; /* INT64_MAX while it is not */
	int64_t now_ms;   /* virtual clocks only */
	int64_t wall_ms;  /* virtual clocks only */
	int64_t round_ms; /* what is due by then runs in this round */
	bool running;
	struct timers heap;
	struct timers later;
};

/* ---- time ---- */

static int64_t read_ms(clockid_t id)
{
	struct timespec now;

	if (clock_gettime(id, &now) < 0)
		return -1;
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* CLOCK_MONOTONIC stands still while the host sleeps; a lease does not. */
static int64_t monotonic_ms(void)
{
	int64_t now_ms = read_ms(CLOCK_BOOTTIME);

	return now_ms >= 0 ? now_ms : read_ms(CLOCK_MONOTONIC);
}

/* ---- the heap ---- */

static void timers_put(struct timers *timers, size_t place, struct clock_timer *timer)
{
	timers->items[place - 1] = timer;
	timer->place = place;
}

/* Makes room for one more at the end; returns its place. */
static size_t timers_grow(struct timers *timers)
{
	if (timers->count == timers->capacity) {
		timers->capacity = timers->capacity ? timers->capacity * 2 : 16;
		timers->items = xreallocarray(
			timers->items, timers->capacity, sizeof(*timers->items));
	}
	return ++timers->count;
}

static size_t heap_parent(size_t place)
{
	return (place - 2) / HEAP_CHILDREN + 1;
}

static void heap_rise(struct timers *heap, size_t place, struct clock_timer *timer)
{
	while (place > 1) {
		struct clock_timer *parent = heap->items[heap_parent(place) - 1];

		if (parent->due_ms <= timer->due_ms)
			break;
		timers_put(heap, place, parent);
		place = heap_parent(place);
	}
	timers_put(heap, place, timer);
}

/* The place of the earliest child of @place, or 0. */
static size_t heap_earliest_child(const struct timers *heap, size_t place)
{
	size_t first = (place - 1) * HEAP_CHILDREN + 2;
	size_t best = 0;

	for (size_t child = first; child < first + HEAP_CHILDREN; child++) {
		if (child > heap->count)
			break;
		if (!best ||
			heap->items[child - 1]->due_ms < heap->items[best - 1]->due_ms)
			best = child;
	}
	return best;
}

static void heap_sink(struct timers *heap, size_t place, struct clock_timer *timer)
{
	size_t child = heap_earliest_child(heap, place);

	while (child && heap->items[child - 1]->due_ms < timer->due_ms) {
		timers_put(heap, place, heap->items[child - 1]);
		place = child;
		child = heap_earliest_child(heap, place);
	}
	timers_put(heap, place, timer);
}

static void heap_remove(struct timers *heap, struct clock_timer *timer)
{
	size_t place = timer->place;
	struct clock_timer *last = heap->items[--heap->count];

	timer->place = 0;
	if (last == timer)
		return;
	if (place > 1 && heap->items[heap_parent(place) - 1]->due_ms > last->due_ms)
		heap_rise(heap, place, last);
	else
		heap_sink(heap, place, last);
}

/* ---- what waits for the next round ---- */

static void later_add(struct clock *clock, struct clock_timer *timer)
{
	size_t place = timers_grow(&clock->later);

	clock->later.items[place - 1] = timer;
	timer->place = PLACE_LATER + place;
}

static void later_remove(struct clock *clock, struct clock_timer *timer)
{
	struct clock_timer *last = clock->later.items[--clock->later.count];

	clock->later.items[timer->place - PLACE_LATER - 1] = last;
	last->place = timer->place;
	timer->place = 0;
}

static void heap_add(struct clock *clock, struct clock_timer *timer)
{
	heap_rise(&clock->heap, timers_grow(&clock->heap), timer);
}

/* ---- on a loop ---- */

static void on_timer(uv_timer_t *timer)
{
	struct clock *clock = timer->data;

	clock->armed_ms = INT64_MAX;
	clock_run(clock);
}

/* An earlier alarm than needed is left as it is: it costs one empty round at most. */
static void arm(struct clock *clock, int64_t least_delay_ms)
{
	int64_t due_ms = clock_next_due_ms(clock);
	int64_t delay_ms;

	if (!clock->loop || due_ms >= clock->armed_ms)
		return;
	delay_ms = due_ms - clock_now_ms(clock);
	if (delay_ms < least_delay_ms)
		delay_ms = least_delay_ms;
	clock->armed_ms = due_ms;
	uv_update_time(clock->loop); /* libuv counts from a time it read before */
	uv_timer_start(&clock->timer, on_timer, (uint64_t)delay_ms, 0);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* ---- public ---- */

struct clock *clock_new(uv_loop_t *loop)
{
	struct clock *clock = xcalloc(1, sizeof(*clock));

	clock->loop = loop;
	clock->armed_ms = INT64_MAX;
	if (loop) {
		uv_timer_init(loop, &clock->timer);
		clock->timer.data = clock;
	}
	return clock;
}

void clock_free(struct clock *clock)
{
	if (!clock)
		return;
	assert(clock->heap.count == 0 && clock->later.count == 0);
	free(clock->heap.items);
	free(clock->later.items);
	if (clock->loop)
		uv_close((uv_handle_t *)&clock->timer, on_closed);
	else
		free(clock);
}

int64_t clock_now_ms(const struct clock *clock)
{
	return clock->loop ? monotonic_ms() : clock->now_ms;
}

int64_t clock_wall_ms(const struct clock *clock)
{
	return clock->loop ? read_ms(CLOCK_REALTIME) : clock->wall_ms;
}

void clock_timer_init(
	struct clock_timer *timer, struct clock *clock, clock_timer_fn on_due)
{
	timer->clock = clock;
	timer->on_due = on_due;
	timer->due_ms = 0;
	timer->place = 0;
}

void clock_timer_start(struct clock_timer *timer, int64_t due_ms)
{
	struct clock *clock = timer->clock;

	clock_timer_stop(timer);
	timer->due_ms = due_ms;
	if (clock->running && due_ms <= clock->round_ms) {
		later_add(clock, timer);
		return;
	}
	heap_add(clock, timer);
	if (!clock->running)
		arm(clock, 0);
}

void clock_timer_start_in(struct clock_timer *timer, int64_t delay_ms)
{
	clock_timer_start(timer, clock_now_ms(timer->clock) + delay_ms);
}

void clock_timer_stop(struct clock_timer *timer)
{
	if (timer->place > PLACE_LATER)
		later_remove(timer->clock, timer);
	else if (timer->place > 0)
		heap_remove(&timer->clock->heap, timer);
}

bool clock_timer_running(const struct clock_timer *timer)
{
	return timer->place > 0;
}

int64_t clock_next_due_ms(const struct clock *clock)
{
	int64_t due_ms = clock->heap.count ? clock->heap.items[0]->due_ms : INT64_MAX;

	for (size_t i = 0; i < clock->later.count; i++) {
		if (clock->later.items[i]->due_ms < due_ms)
			due_ms = clock->later.items[i]->due_ms;
	}
	return due_ms;
}

void clock_run(struct clock *clock)
{
	struct timers *heap = &clock->heap;

	assert(!clock->running);
	clock->running = true;
	clock->round_ms = clock_now_ms(clock);
	while (heap->count && heap->items[0]->due_ms <= clock->round_ms) {
		struct clock_timer *timer = heap->items[0];

		heap_remove(heap, timer);
		timer->on_due(timer);
	}
	while (clock->later.count) {
		struct clock_timer *timer = clock->later.items[clock->later.count - 1];

		later_remove(clock, timer);
		heap_add(clock, timer);
	}
	clock->running = false;
	/* With no delay libuv 1.44 would call us again before it looks at any socket. */
	arm(clock, 1);
}

void clock_move(struct clock *clock, int64_t now_ms, int64_t wall_ms)
{
	assert(!clock->loop);
	clock->now_ms = now_ms;
	clock->wall_ms = wall_ms;
}
