#pragma once

/*
 * Relay: keeps every topic what Redis holds.
 *
 * Registers interest, listens to the channels, re-reads what was missed, sweeps, and says
 * when the gateway itself cannot vouch for a topic. The order that makes it safe stands
 * in docs/architecture.md: subscribe, acknowledgement, interest, then whatever has a
 * higher revision. Owns the topic table. Pure against clock.h and redis.h: the simulation
 * runs it.
 */

#include "common/clock.h"
#include "common/membership.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "gateway/topic.h"

struct relay;

struct relay *relay_new(struct clock *clock, struct redis *redis,
	struct membership *membership, struct metrics *metrics, uint32_t lease_ms);
void relay_free(struct relay *relay);

struct topic_table *relay_topics(struct relay *relay);

/* What main passes on from redis.h and membership.h. */
void relay_on_up(struct relay *relay);
void relay_on_entered(struct relay *relay); /* a new session: register everything again */
void relay_on_peers(
	struct relay *relay); /* the set of pollers, or who is alive, changed */
void relay_on_renewed(struct relay *relay, size_t held);
void relay_on_message(struct relay *relay, const char *channel, size_t channel_length,
	const char *payload, size_t length);

/** What @catalog says of one topic from now on: its target, or that it is not known. */
void relay_look_up(
	struct topic *topic, const struct catalog *catalog, int64_t wall_ms);

/** @catalog is in force now: says what it means to every topic. */
void relay_reload(struct relay *relay, const struct catalog *catalog);

/**
 * Whether @topic shows what Redis held when it was last registered, or a doubt about it:
 * not so before the first answer, and again after everybody was paused.
 */
bool relay_has_read(struct topic *topic);
