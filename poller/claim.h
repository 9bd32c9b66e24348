#pragma once

/*
 * Claim: which resources this poller owns.
 *
 * Looks for addresses without a living owner, takes those that rank it first (rendezvous
 * hashing over the live sessions), gives up what nobody wants or what a newcomer ranks
 * higher for, and sweeps what it holds against Redis. Owns the table of resources. Pure
 * against clock.h and redis.h: the simulation runs it.
 */

#include "common/catalog.h"
#include "common/clock.h"
#include "common/membership.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "poller/resource.h"

struct claim;

/** Told to the schedule. */
struct claim_events {
	/* @resource is ours from now on; @spread_ms: wait that much before a first poll.
	 */
	void (*claimed)(struct resource *resource, int64_t spread_ms, void *user);
	/* Read again from Redis: interval, revision or floor may have changed. */
	void (*reread)(struct resource *resource, void *user);
	/* Nobody wants it now: no more polls until claimed or reread tells otherwise. */
	void (*unwanted)(struct resource *resource, void *user);
	/* Not ours any more: freed when this returns. */
	void (*dropped)(struct resource *resource, void *user);
	/* Somebody asks for a poll now. */
	void (*refresh)(struct resource *resource, void *user);
};

struct claim *claim_new(struct clock *clock, struct redis *redis,
	struct membership *membership, const struct catalog *catalog,
	struct metrics *metrics, const struct claim_events *events, void *user);
void claim_free(struct claim *claim);

/**
 * @catalog is in force now: releases what it does not know, and tells the schedule, which
 * has it already, of other intervals. The former catalog must still be there.
 */
void claim_reload(struct claim *claim, const struct catalog *catalog);

/* What the engine passes on. */
void claim_on_up(struct claim *claim);
void claim_on_entered(struct claim *claim);
void claim_on_lost(struct claim *claim);
void claim_on_peers(struct claim *claim);
void claim_on_renewing(struct claim *claim);
void claim_on_renewed(struct claim *claim, size_t held);
void claim_on_message(struct claim *claim, const char *channel, size_t channel_length,
	const char *payload, size_t length);

/** No more claims, and everything that was checked is noted with the next renewal. */
void claim_drain(struct claim *claim);

/** The resource of @address, or NULL. */
struct resource *claim_find(struct claim *claim, const char *address);
size_t claim_count(const struct claim *claim);

/** A poll and its commit are over: the moment to hand over what ranks another first. */
void claim_polled(struct claim *claim, struct resource *resource);

/** The lock does not name us: forgets @resource, and claims it anew if it is free. */
void claim_drop(struct claim *claim, struct resource *resource);
