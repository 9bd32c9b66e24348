#pragma once

/*
 * Schedule: when each owned resource is polled.
 *
 * Polls stand at a phase of each resource's own, pinned to Redis's clock, so that a
 * restart does not bunch them. One poll of a resource at a time; none while the lease
 * does not run. Failures back off, and an upstream may ask for more time. When a poll is
 * due, pace says when it may begin, and health whether it need. Pure against clock.h,
 * redis.h and fetch.h: the simulation runs it.
 */

#include "common/catalog.h"
#include "common/clock.h"
#include "common/membership.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "poller/fetch.h"
#include "poller/resource.h"

struct commits;
struct schedule;

struct schedule *schedule_new(struct clock *clock, struct redis *redis,
	struct membership *membership, const struct catalog *catalog,
	struct fetcher *fetcher, struct commits *commits, struct metrics *metrics);
void schedule_free(struct schedule *schedule);

/** From the next poll of each resource on, @catalog says how it is asked. */
void schedule_reload(struct schedule *schedule, const struct catalog *catalog);

/* Claim's events; see claim.h. */
void schedule_claimed(
	struct schedule *schedule, struct resource *resource, int64_t spread_ms);
void schedule_reread(struct schedule *schedule, struct resource *resource);
void schedule_unwanted(struct schedule *schedule, struct resource *resource);
void schedule_dropped(struct schedule *schedule, struct resource *resource);
void schedule_refresh(struct schedule *schedule, struct resource *resource);

/** Commits' event: the poll under way is over, with or without success. */
void schedule_done(struct schedule *schedule, struct resource *resource, bool failed,
	int64_t retry_ms);

/** For metrics: polls that are due and wait for their turn; providers that are down. */
size_t schedule_waiting(const struct schedule *schedule);
size_t schedule_down(const struct schedule *schedule);

/** For people: as health_down_names(). */
const char *schedule_down_names(const struct schedule *schedule, char *text, size_t size);
