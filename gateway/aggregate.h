#pragma once

/*
 * Aggregates: topics made of the same resource in every region.
 *
 * An aggregate subscribes to its regions' topics as any client does, so that interest,
 * changes and doubts come the usual way, and feeds its own topic with what it makes of
 * them; for the wires it is a topic like any other. What it shows of a region is what
 * Redis holds, and its version the sum of the regions' revisions: both are alike on all
 * gateways that have seen the same. Where this gateway itself cannot vouch for a region,
 * that is a doubt about the aggregate, as for any topic.
 */

#include "common/catalog.h"
#include "common/clock.h"
#include "gateway/topic.h"

#define AGGREGATE_PATIENCE_MS 2000 /* with the slow, from the first answer on */

struct aggregates;

/**
 * Feeds the aggregates of @topics from now on.
 *
 * @catalog  must outlive the aggregates, or be replaced by aggregates_reload()
 */
struct aggregates *aggregates_new(
	struct clock *clock, struct topic_table *topics, const struct catalog *catalog);

/** When nobody subscribes to one any more, and before their topics' table. Accepts NULL.
 */
void aggregates_free(struct aggregates *aggregates);

/**
 * Another catalog counts from now on: aggregates it does not know say so, and one whose
 * regions are others is made of those. After relay_reload(), which does the regions.
 */
void aggregates_reload(struct aggregates *aggregates, const struct catalog *catalog);

/** Subscriptions in the table that are not a client's but an aggregate's. */
size_t aggregates_subscription_count(const struct aggregates *aggregates);
