#pragma once

/*
 * Subscriber: one client of a gateway, quick or slow, and what it has been told.
 */

#include "common/change.h"
#include "gateway/topic.h"
#include "tests/simulation/program.h"

struct simulation;

struct subscriber {
	struct subscription subscription;
	struct list link; /* of the simulation's */
	struct simulation *simulation;
	struct gateway_program *gateway;
	size_t address; /* of the upstream's resources */
	struct event writable;
	bool waits; /* until it is writable */
	bool gone;  /* ends with its event */
	bool slow;
	bool returns; /* it was another gateway's, and holds what that told it */
	int64_t waits_since_us; /* for a first word */
	uint64_t version;       /* of the newest content it has; 0: none */
	uint64_t value;
	enum resource_state state; /* as told */
};

/** A client of @gateway subscribes; @interval_ms 0 for the default. */
void subscriber_join(struct simulation *simulation, struct gateway_program *gateway,
	size_t address, uint32_t interval_ms);

/** It unsubscribes and is no more. The gateway must be running. */
void subscriber_leave(struct subscriber *subscriber);

void subscriber_pause(struct subscriber *subscriber, bool paused);
void subscriber_set_interval(struct subscriber *subscriber, uint32_t interval_ms);

/** All of @gateway's go; it has died. */
void subscribers_lose_gateway(
	struct simulation *simulation, const struct gateway_program *gateway);
