#pragma once

/*
 * Promises: how long things may take. Looked at all the time, while faults go on.
 *
 * Some hold whatever happens: nobody is told that an old content is fresh, and nobody
 * waits without a word. Others hold where processes die and leave but all else is well:
 * takeovers are quick, and what nobody wants is not polled for long.
 */

#include "tests/simulation/upstream.h"

#include <stdbool.h>
#include <stdint.h>

struct simulation;

/** Since when something is as it is; by the world's clock. */
struct promise_address {
	int64_t polled_us;   /* last */
	int64_t wanted_us;   /* INT64_MAX while it is not */
	int64_t unwanted_us; /* INT64_MAX while it is wanted */
};

struct promises {
	struct promise_address addresses[UPSTREAM_RESOURCES_MAX];
	int64_t poller_died_us;  /* last, or left */
	int64_t poller_lives_us; /* since when there always was one; INT64_MAX: there is
				    none */
};

void promises_init(struct simulation *simulation);

/** Begins to look four times a second. */
void promises_begin(struct simulation *simulation);

/* ---- what is noted as it happens ---- */

void promises_on_poll(struct simulation *simulation, size_t address);

/** A subscriber to @address has come, gone, paused or gone on. */
void promises_on_interest(struct simulation *simulation, size_t address);

/** A poller has started, died or been told to leave. */
void promises_on_pollers(struct simulation *simulation, bool fewer);
