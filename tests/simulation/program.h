#pragma once

/*
 * Programs: a poller and a gateway as their main functions put them together, on virtual
 * clocks. The parts are the product's own; what those of a gateway tell each other must
 * follow gateway/gateway.c.
 */

#include "common/catalog.h"
#include "common/membership.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "gateway/relay.h"
#include "poller/engine.h"
#include "tests/simulation/world.h"

#include <stdbool.h>
#include <stdint.h>

struct program_settings {
	const struct catalog *catalog; /* must outlive the program */
	uint32_t lease_ms;
};

/** A poller that runs. Freed by poller_program_kill() only. */
struct poller_program {
	struct actor actor;
	struct metrics metrics;
	struct engine engine;
	bool left;                 /* to be killed: it would have ended by itself */
	uint64_t connected;        /* how often it came up */
	uint64_t troubles_counted; /* by the checks */
};

struct poller_program *poller_program_start(
	struct world *world, const char *name, const struct program_settings *settings);

/** SIGTERM: ends with @left. */
void poller_program_stop(struct poller_program *poller);

/** kill -9, or the end; with its host where @silently. Accepts NULL. */
void poller_program_kill(struct poller_program *poller, bool silently);

/** A gateway that runs. Dies by gateway_program_die() only, and is freed after that. */
struct gateway_program {
	struct actor actor;
	struct metrics metrics;
	struct redis *redis;
	struct membership *membership;
	struct relay *relay;
	struct clock_timer leave;
	bool leaving;
	bool left;
};

struct gateway_program *gateway_program_start(
	struct world *world, const char *name, const struct program_settings *settings);

/** SIGTERM; its subscribers have left. */
void gateway_program_stop(struct gateway_program *gateway);

/** kill -9, or the end; with its host where @silently. Its memory remains. */
void gateway_program_die(struct gateway_program *gateway, bool silently);

/** Its subscribers have been taken from it. */
void gateway_program_free(struct gateway_program *gateway);
