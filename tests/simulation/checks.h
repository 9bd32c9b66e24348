#pragma once

/*
 * Checks: what must stay true, all the time, and what must have become true in the end.
 *
 * They know the product's state only through its headers and through what lies in Redis.
 * Whatever does not hold goes to world_fail().
 */

#include "common/redis.h"
#include "tests/simulation/upstream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct simulation;
struct subscriber;

/** Contents by version: a version never means two contents. */
struct known_version {
	uint64_t version;
	uint64_t value;
};

#define CHECKS_VERSIONS_MAX 256 /* of one address that are remembered */

/** How often the upstream may be asked for one address. */
struct poll_budget {
	double turns;          /* one each interval, few are kept */
	unsigned out_of_turn;  /* takeovers, refreshes and the like not yet used */
	int64_t counted_at_us; /* up to here in turns */
	uint32_t interval_ms;  /* the fastest that was ever asked for */
	uint64_t polls;
};

struct checks {
	struct poll_budget budgets[UPSTREAM_RESOURCES_MAX];
	struct known_version versions[UPSTREAM_RESOURCES_MAX][CHECKS_VERSIONS_MAX];
	size_t version_counts[UPSTREAM_RESOURCES_MAX];
	char holders[UPSTREAM_RESOURCES_MAX][40]; /* of the locks, before a claim */
	uint64_t scripts;

	/* What was seen, to know that a run is worth something. */
	uint64_t polls;
	uint64_t contents;
	uint64_t takeovers;
};

void checks_init(struct simulation *simulation);

/* ---- as it happens ---- */

void checks_on_poll(size_t resource, struct actor *poller, bool twice, void *user);
void checks_on_content(struct simulation *simulation, struct subscriber *subscriber,
	uint64_t version, uint64_t value);
void checks_on_interest(
	struct simulation *simulation, size_t address, uint32_t interval_ms);
void checks_on_refresh(struct simulation *simulation, size_t address);
void checks_before_script(
	enum redis_script script, const struct redis_args *args, void *user);
void checks_after_script(enum redis_script script, const struct redis_args *args,
	const redisReply *reply, void *user);

/* ---- in the end ---- */

/** Nothing went wrong for a while: everybody who wants something has what is newest. */
void checks_settled(struct simulation *simulation);

/**
 * Lets every content change and some intervals pass, and counts polls: one each interval
 * where there is interest.
 */
void checks_pace(struct simulation *simulation);

/** Nobody has wanted anything for a while: nothing is polled, locked or registered. */
void checks_idle(struct simulation *simulation);
