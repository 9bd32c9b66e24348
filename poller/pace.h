#pragma once

/*
 * Pace: when a poll that is due may begin.
 *
 * Polls wait here, first come, first served, for a place under their provider's
 * concurrency cap and, where the provider has a request rate, for a slot. Slots stand
 * evenly on Redis's clock, the same for the whole fleet; a poller takes its part of a
 * second's slots with one script call, while it has polls, and none while Redis is away.
 * What is kept of a provider goes when it is idle and the catalog changes. Pure against
 * clock.h and redis.h: the simulation runs it.
 */

#include "common/catalog.h"
#include "common/clock.h"
#include "common/list.h"
#include "common/membership.h"
#include "common/redis.h"

#include <stdbool.h>

struct budget;
struct pace;

/** One poll's place in the line; embedded in its owner, to begin with zeroed. */
struct pace_ticket {
	struct list link;      /* among those that wait */
	struct budget *budget; /* where it waits or has begun; else NULL */
	bool begun;
};

/** The poll of @ticket may begin now. It holds its place until pace_leave(), maybe here.
 */
typedef void (*pace_turn_fn)(struct pace_ticket *ticket, void *user);

struct pace *pace_new(struct clock *clock, struct redis *redis,
	struct membership *membership, pace_turn_fn on_turn, void *user);

/** Every ticket must have left. Accepts NULL. */
void pace_free(struct pace *pace);

/** Forgets the providers that nobody waits for: they may be gone from the catalog. */
void pace_reload(struct pace *pace);

/** Puts @ticket in the line of @provider; its turn may come before this returns. */
void pace_wait(struct pace *pace, const struct catalog_provider *provider,
	struct pace_ticket *ticket);

/**
 * Gives up the place of @ticket, or its waiting for one. Calls on nobody before it
 * returns.
 *
 * @requests  what its poll has sent the provider in all; more than one (redirects) cost
 *            slots to come. 0 where it waited or was not begun
 */
void pace_leave(struct pace_ticket *ticket, unsigned requests);

/** Calls on all that wait for @provider at once, which must not ask but leave. */
void pace_dissolve(struct pace *pace, const struct catalog_provider *provider);

/** Tickets that wait, of all providers. */
size_t pace_waiting(const struct pace *pace);
