#pragma once

/*
 * Default interval: how often the pollers poll the default provider, and what they grant.
 *
 * A gateway without a file has it from Redis, where every poller notes it: read when a
 * session is entered and every two seconds, more often until it is there. Loop thread
 * only.
 */

#include "common/catalog.h"
#include "common/clock.h"
#include "common/redis.h"

struct default_interval;

/** Runs when the interval is first known and whenever it is another. */
typedef void (*default_interval_changed_fn)(
	const struct catalog_interval *interval, void *user);

struct default_interval *default_interval_new(struct clock *clock, struct redis *redis,
	default_interval_changed_fn on_changed, void *user);

/** Only after redis_free(), which ends what is under way. Accepts NULL. */
void default_interval_free(struct default_interval *interval);

/** A session was entered: reads now. */
void default_interval_on_entered(struct default_interval *interval);

/** What was last read; until then default_ms is 0, and the bounds are the usual ones. */
const struct catalog_interval *default_interval_known(
	const struct default_interval *interval);
