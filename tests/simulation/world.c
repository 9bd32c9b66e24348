#include "tests/simulation/world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/memory.h"

#define STEPS_IN_INSTANT_MAX 20000 /* in one virtual millisecond: something spins */

struct world *the_world;

/* ---- the heap of events ---- */

static bool is_before(const struct event *a, const struct event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void heap_add(struct world *world, struct event *event)
{
	size_t place = world->event_count++;

	if (world->event_count > world->event_capacity) {
		world->event_capacity = 2 * world->event_count;
		world->events = xreallocarray(
			world->events, world->event_capacity, sizeof(*world->events));
	}
	while (place > 0 && is_before(event, world->events[(place - 1) / 2])) {
		world->events[place] = world->events[(place - 1) / 2];
		place = (place - 1) / 2;
	}
	world->events[place] = event;
}

static struct event *heap_take(struct world *world)
{
	struct event *first = world->events[0];
	struct event *last = world->events[--world->event_count];
	size_t place = 0;

	for (size_t child = 1; child < world->event_count; child = 2 * place + 1) {
		if (child + 1 < world->event_count &&
			is_before(world->events[child + 1], world->events[child]))
			child++;
		if (!is_before(world->events[child], last))
			break;
		world->events[place] = world->events[child];
		place = child;
	}
	world->events[place] = last;
	return first;
}

/* ---- time of actors ---- */

static void move_clock(struct actor *actor)
{
	int64_t now_us = actor->world->now_us;

	clock_move(actor->clock, (now_us + actor->monotonic_ahead_us) / 1000,
		(WORLD_EPOCH_US + now_us + actor->wall_ahead_us) / 1000);
}

/* When the world has to run the timers of @actor; INT64_MAX where it has none. */
static int64_t timers_due_us(const struct actor *actor)
{
	int64_t due_ms = clock_next_due_ms(actor->clock);
	int64_t due_us;

	if (actor->paused || due_ms == INT64_MAX)
		return INT64_MAX;
	due_us = due_ms * 1000 - actor->monotonic_ahead_us;
	return due_us > actor->world->now_us ? due_us : actor->world->now_us;
}

static struct actor *first_actor(struct world *world, int64_t *due_us)
{
	struct actor *first = NULL;

	*due_us = INT64_MAX;
	for (size_t i = 0; i < world->actor_count; i++) {
		int64_t at_us = timers_due_us(world->actors[i]);

		if (at_us >= *due_us)
			continue;
		*due_us = at_us;
		first = world->actors[i];
	}
	return first;
}

static void run_timers(struct actor *actor)
{
	actor->world->current = actor;
	move_clock(actor);
	clock_run(actor->clock);
	actor->world->current = NULL;
}

/* ---- events ---- */

static void drop(struct event *event)
{
	if (event->drop)
		event->drop(event);
}

static void count_step(struct world *world)
{
	if (world->instant_ms != world->now_us / 1000) {
		world->instant_ms = world->now_us / 1000;
		world->steps_in_instant = 0;
	}
	if (++world->steps_in_instant > STEPS_IN_INSTANT_MAX)
		world_fail(world, "something spins: time does not go on");
}

/* Runs the earliest of what is due by @until_us. Returns false where nothing is. */
static bool step(struct world *world, int64_t until_us)
{
	int64_t timers_us;
	struct actor *actor = first_actor(world, &timers_us);
	int64_t event_us = world->event_count ? world->events[0]->at_us : INT64_MAX;

	if (timers_us > until_us && event_us > until_us)
		return false;
	if (event_us <= timers_us) {
		world->now_us = event_us;
		world_happen(heap_take(world));
	} else {
		world->now_us = timers_us;
		run_timers(actor);
	}
	count_step(world);
	return true;
}

/* ---- the world ---- */

void world_init(struct world *world, uint64_t seed)
{
	*world = (struct world){.seed = seed};
	world->random.state = seed * 2;
	world->product_random.state = seed * 2 + 1;
	/* Neighbouring seeds shall have nothing in common. */
	world->random.state = random_stream_u64(&world->random);
	world->product_random.state = random_stream_u64(&world->product_random);
}

void world_fini(struct world *world)
{
	assert(world->actor_count == 0);
	while (world->event_count)
		drop(heap_take(world));
	free(world->events);
}

void world_schedule(struct world *world, struct event *event, int64_t delay_us)
{
	assert(!event->actor || event->actor->alive);
	event->at_us = world->now_us + delay_us;
	event->order = ++world->event_order;
	list_init(&event->waiting);
	heap_add(world, event);
}

void world_happen(struct event *event)
{
	struct actor *actor = event->actor;

	if (!actor) {
		event->run(event);
		return;
	}
	if (actor->paused) {
		list_append(&actor->inbox, &event->waiting);
		return;
	}
	actor->world->current = actor;
	move_clock(actor);
	event->run(event);
	actor->world->current = NULL;
}

void world_run(struct world *world, int64_t until_us)
{
	while (!world->failed && step(world, until_us))
		continue;
	if (!world->failed)
		world->now_us = until_us;
}

int64_t world_wall_us(const struct world *world)
{
	return WORLD_EPOCH_US + world->now_us;
}

/* Mostly a good network, now and then a bad moment: 0.1 to 50 ms. */
int64_t world_latency_us(struct world *world)
{
	if (random_stream_chance(&world->random, 90))
		return random_stream_between(&world->random, 100, 2000);
	return random_stream_between(&world->random, 2000, 50000);
}

static void note(struct world *world, const char *format, va_list arguments)
{
	fprintf(stderr, "%12.6f %-11s ", (double)world->now_us / 1e6,
		world->current ? world->current->name : "-");
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

void world_note(struct world *world, const char *format, ...)
{
	va_list arguments;

	if (!world->verbose)
		return;
	va_start(arguments, format);
	note(world, format, arguments);
	va_end(arguments);
}

void world_fail(struct world *world, const char *format, ...)
{
	va_list arguments;

	if (world->failed)
		return;
	world->failed = true;
	va_start(arguments, format);
	vsnprintf(world->failure, sizeof(world->failure), format, arguments);
	va_end(arguments);
	world_note(world, "VIOLATION: %s", world->failure);
}

/* ---- actors ---- */

void actor_init(struct actor *actor, struct world *world, const char *name)
{
	assert(world->actor_count < WORLD_ACTORS_MAX);
	*actor = (struct actor){
		.world = world, .alive = true, .resumed_us = world->now_us};
	snprintf(actor->name, sizeof(actor->name), "%s", name);
	list_init(&actor->inbox);
	actor->clock = clock_new(NULL);
	actor->monotonic_ahead_us =
		random_stream_between(&world->random, 1000000, 1000000000);
	/* A host without NTP may be far off; nothing may depend on it. */
	actor->wall_ahead_us = random_stream_between(&world->random, -1, 1) *
		random_stream_between(&world->random, 0, 100000000);
	world->actors[world->actor_count++] = actor;
	move_clock(actor);
}

/* Events that are still to come for @actor must find nobody. */
static void drop_future(struct actor *actor)
{
	struct world *world = actor->world;
	struct event **events = world->events;
	size_t count = world->event_count;

	world->events = NULL;
	world->event_count = 0;
	world->event_capacity = 0;
	for (size_t i = 0; i < count; i++) {
		if (events[i]->actor == actor)
			drop(events[i]);
		else
			heap_add(world, events[i]);
	}
	free(events);
}

void actor_die(struct actor *actor)
{
	struct world *world = actor->world;
	struct list *link;

	actor->alive = false;
	actor->paused = false;
	for (size_t i = 0; i < world->actor_count; i++) {
		if (world->actors[i] == actor)
			world->actors[i] = world->actors[--world->actor_count];
	}
	while ((link = list_take(&actor->inbox)) != NULL)
		drop(container_of(link, struct event, waiting));
	drop_future(actor);
}

void actor_fini(struct actor *actor)
{
	clock_free(actor->clock);
}

void actor_pause(struct actor *actor)
{
	actor->paused = true;
}

void actor_resume(struct actor *actor)
{
	struct list *link;

	actor->paused = false;
	actor->resumed_us = actor->world->now_us;
	/* A loop may look at its timers first, or at its sockets. */
	if (random_stream_chance(&actor->world->random, 50))
		run_timers(actor);
	while ((link = list_take(&actor->inbox)) != NULL)
		world_happen(container_of(link, struct event, waiting));
}

void actor_run(struct actor *actor, void (*fn)(void *user), void *user)
{
	struct actor *before = actor->world->current;

	assert(!actor->paused);
	actor->world->current = actor;
	move_clock(actor);
	fn(user);
	actor->world->current = before;
}
