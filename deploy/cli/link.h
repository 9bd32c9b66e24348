#pragma once

/*
 * Link: a loop and the link to Redis on it, for a command that only looks.
 */

#include "common/clock.h"
#include "common/fleet.h"
#include "common/redis.h"
#include "deploy/cli/commands.h"
#include "deploy/cli/options.h"

#include <uv.h>

struct link {
	uv_loop_t loop;
	struct clock *clock;
	struct redis *redis;
	bool opened;
	struct clock_timer patience; /* for Redis to be there */
	enum exit_status status;     /* what to leave with, if not EXIT_FINE */
	bool reading;
	void (*on_read)(const struct fleet *fleet, void *user);
	void *user;
};

/** Connects. Returns EXIT_FINE, or what to leave with; then it has been said why. */
enum exit_status link_open(struct link *link, const struct options *options);

/** Reads the fleet and runs @on_read. Returns as link_open(). */
enum exit_status link_read(struct link *link, const struct fleet_query *query,
	void (*on_read)(const struct fleet *fleet, void *user), void *user);

/** Lets @ms pass, while the link stays alive. */
void link_wait(struct link *link, int64_t ms);

void link_close(struct link *link);
