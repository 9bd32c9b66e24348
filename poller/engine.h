#pragma once

/*
 * Engine: what a poller is in the fleet. Its link to Redis, its session, what it owns,
 * when that is asked and what becomes of it, and what each of these tells the others.
 *
 * Around it stands a process: poller.c the real one, with signals, ports and another
 * configuration now and then; the simulation one of its own.
 */

#include "common/catalog.h"
#include "common/clock.h"
#include "common/membership.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "poller/claim.h"
#include "poller/commit.h"
#include "poller/fetch.h"
#include "poller/schedule.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct engine_settings {
	const char *redis;  /* URL */
	const char *prefix; /* of every key and channel */
	const char *host;   /* ours, for people */
	uint32_t lease_ms;
	const struct catalog *catalog;
};

/** Told to the process, from the loop. */
struct engine_events {
	void (*up)(void *user);
	/* Redis refuses us, see redis.h. */
	void (*refused)(const char *reason, void *user);
	/* Whether a message was meant for the process; NULL where none ever is. */
	bool (*message)(const char *channel, size_t channel_length, const char *payload,
		size_t length, void *user);
	/* Under a new session. */
	void (*entered)(void *user);
	/* The moment for membership_fact(); may be NULL. */
	void (*renewing)(void *user);
	/* engine_leave() is over: everything is handed over, or Redis did not answer. */
	void (*left)(void *user);
};

/** Its parts may be used from outside; everything else is the engine's. */
struct engine {
	struct clock *clock;
	struct metrics *metrics;
	struct redis *redis;
	struct membership *membership;
	struct fetcher *fetcher;
	struct commits *commits;
	struct schedule *schedule;
	struct claim *claim; /* NULL once closed */
	bool leaving;

	struct engine_events events;
	void *user;
	struct clock_timer leave;
};

/**
 * Makes all parts; nothing runs before redis_start().
 *
 * @loop      NULL in the simulation
 * @settings  read during the call; the catalog must last until the parts are told another
 */
void engine_init(struct engine *engine, uv_loop_t *loop, struct clock *clock,
	struct metrics *metrics, const struct engine_settings *settings,
	const struct engine_events *events, void *user);

/** Hands over everything that is owned; ends with the event. Call once. */
void engine_leave(struct engine *engine);

/** Ends all that is under way but what the worker pool does: the loop must then run. */
void engine_close(struct engine *engine);

/** After engine_close(), with nothing on the worker pool any more. */
void engine_fini(struct engine *engine);
