#pragma once

/*
 * Commits: what a poll brought becomes state in Redis, or does not.
 *
 * Judges a body (JSON by the strict scanner, or text), finds what changed, runs the
 * commit script, and draws the conclusion of its answer. Pure against redis.h: the
 * simulation runs it.
 */

#include "common/catalog.h"
#include "common/clock.h"
#include "common/membership.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "poller/fetch.h"
#include "poller/resource.h"

#include <uv.h>

struct commits;

/** Told to the schedule and to claim. */
struct commits_events {
	/* The poll is over; a failed one is tried again in @retry_ms. */
	void (*done)(
		struct resource *resource, bool failed, int64_t retry_ms, void *user);
	/* The lock names somebody else: the resource is not ours. */
	void (*not_ours)(struct resource *resource, void *user);
	/* By address, after a commit's answer; NULL where it was dropped meanwhile. */
	struct resource *(*find)(const char *address, void *user);
};

/** @loop may be NULL: large bodies are then judged at once and not on the worker pool. */
struct commits *commits_new(uv_loop_t *loop, struct clock *clock, struct redis *redis,
	struct membership *membership, struct metrics *metrics,
	const struct commits_events *events, void *user);

/** Nothing may be on the worker pool any more: run the loop until it is idle first. */
void commits_free(struct commits *commits);

/**
 * Takes the outcome of a poll; ends with one of the events, at once or after the answer.
 *
 * @target  what was fetched; its catalog is held as long as it is looked at; needed on
 *          FETCH_CONTENT only, else it may be NULL
 * @result  any outcome but FETCH_NOT_STARTED; valid during the call
 */
void commits_take(struct commits *commits, struct resource *resource,
	const struct catalog_target *target, const struct fetch_result *result);

/** Forgets what is kept for @resource, which is about to be freed. */
void commits_dropped(struct commits *commits, struct resource *resource);
