#pragma once

/*
 * Scenario: what the seed lets happen, from the first start to the last kill.
 */

#include <stdint.h>

struct simulation;

/** Chooses sizes, paces, and which kinds of faults this seed knows. */
void scenario_choose(struct simulation *simulation);

/** Only the fault called @name happens, often; ends the program where there is none. */
void scenario_favour(struct simulation *simulation, const char *name);

/** Starts the processes and the first subscribers, and everything that goes on by itself.
 */
void scenario_begin(struct simulation *simulation);

/** Ends every fault, whatever its kind; nothing of its kind happens any more. */
void scenario_calm(struct simulation *simulation);

/** Every content of the upstream is a new one. */
void scenario_change_all(struct simulation *simulation);

/** How long everybody needs to find together after scenario_calm(). */
int64_t scenario_settle_ms(const struct simulation *simulation);

/** All subscribers leave. */
void scenario_part(struct simulation *simulation);

/** All programs get SIGTERM. */
void scenario_stop(struct simulation *simulation);
