#pragma once

/*
 * The picture while it is being read: answers of the fleet_* scripts into struct fleet.
 * Internal to common/fleet.h.
 */

#include "common/fleet.h"

#include <hiredis/hiredis.h>

/** Takes an answer of fleet_sessions; false where it has another shape. */
bool fleet_take_sessions(
	struct fleet *fleet, enum membership_kind kind, const redisReply *answer);

/**
 * Takes one entry of fleet_look: counts it, and lists it where it may be among the first
 * @query->limit. False where it has another shape.
 */
bool fleet_take_resource(struct fleet *fleet, const struct fleet_query *query,
	struct bytes address, const redisReply *entry);

/** Takes the entries of fleet_providers, one for each of fleet->providers, in order, and
 * drops those that are none. */
void fleet_take_providers(struct fleet *fleet, const redisReply *answer);

/** Brings what is listed into its order and cuts it. */
void fleet_finish(struct fleet *fleet, const struct fleet_query *query);

void fleet_fini(struct fleet *fleet);
