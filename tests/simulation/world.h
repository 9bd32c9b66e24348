#pragma once

/*
 * World: virtual time, what happens in it, and the processes that live through it.
 *
 * Everything that happens is an event at an instant, or a timer of a process's own clock;
 * the world runs them one after the other in one order of time. An actor is a process
 * seen from outside: it can be paused (events wait for it) and it can die (they are
 * dropped).
 */

#include "common/clock.h"
#include "common/list.h"
#include "tests/simulation/random_stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_ACTORS_MAX 16             /* alive at once */
#define WORLD_EPOCH_US 1700000000000000 /* true wall clock at the beginning */

struct network;
struct actor;
struct upstream;
struct world;

/** Something that will happen; embedded in its owner. Zero it before scheduling. */
struct event {
	struct list waiting; /* while its process is paused */
	int64_t at_us;
	uint64_t order;      /* of two at one instant */
	struct actor *actor; /* it happens to; NULL for the world's own */
	/* Ends the event's owner, if it is to end. */
	void (*run)(struct event *event);
	/* Instead of run where the process has died, or the world ends; may be NULL. */
	void (*drop)(struct event *event);
};

struct actor {
	struct world *world;
	char name[24]; /* "poller 2.1": number, incarnation */
	struct clock *clock;
	int64_t monotonic_ahead_us; /* its monotonic clock minus the world's */
	int64_t wall_ahead_us;      /* its wall clock minus the true one */
	bool alive;
	bool paused;
	int64_t resumed_us; /* when it last went on, or began */
	bool cut_off;       /* no packet reaches the network, or comes from it */
	struct list inbox;
};

struct world {
	uint64_t seed;
	int64_t now_us;                      /* since the beginning */
	struct random_stream random;         /* for what happens */
	struct random_stream product_random; /* for common/random.h */
	struct event **events;               /* a heap */
	size_t event_count;
	size_t event_capacity;
	uint64_t event_order;
	struct actor *actors[WORLD_ACTORS_MAX]; /* alive */
	size_t actor_count;
	struct actor *current; /* whose code runs now, or NULL */
	struct network *network;
	struct upstream *upstream;
	int64_t instant_ms; /* the millisecond that steps_in_instant counts */
	int steps_in_instant;
	bool verbose;
	bool failed;
	char failure[512];
};

/** The world of the running simulation: for headers whose functions carry no context. */
extern struct world *the_world;

void world_init(struct world *world, uint64_t seed);

/** Drops what has not happened yet; every process must have died. */
void world_fini(struct world *world);

/** Lets @event happen in @delay_us; the owner keeps it alive until it ran or was dropped.
 */
void world_schedule(struct world *world, struct event *event, int64_t delay_us);

/** Lets @event happen at once, or as soon as its actor goes on. */
void world_happen(struct event *event);

/** Runs until @until_us or a failure. */
void world_run(struct world *world, int64_t until_us);

/** The true wall clock, µs since 1970. */
int64_t world_wall_us(const struct world *world);

/** A random delay of the network, µs. */
int64_t world_latency_us(struct world *world);

/** Notes the first violation; the run ends. */
void world_fail(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** A line of the event log, where it is wanted. */
void world_note(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- actors ---- */

/** Begins a process with clocks of its own; @name is copied. */
void actor_init(struct actor *actor, struct world *world, const char *name);

/** It vanishes: what waits for it is dropped. Its clock stays until actor_fini(). */
void actor_die(struct actor *actor);
void actor_fini(struct actor *actor);

void actor_pause(struct actor *actor);
void actor_resume(struct actor *actor);

/** Runs @fn as code of @actor, with its clock set to now. Not for a paused one. */
void actor_run(struct actor *actor, void (*fn)(void *user), void *user);
