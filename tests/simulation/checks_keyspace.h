#pragma once

/*
 * What must hold of the keyspace alone: facts and their indexes agree after every script,
 * and nothing is kept for ever.
 */

#include "tests/simulation/keyspace.h"

#include <stdint.h>

struct simulation;

/** Every entry of an index has its fact, and the reverse; every key that may go will. */
void checks_keyspace(struct simulation *simulation);

/** Only who lives has a session, and `unclaimed` is empty. */
void checks_sessions(struct simulation *simulation);

/** Nobody lives and time has passed: only the session sets and `unclaimed` are left. */
void checks_leftovers(struct simulation *simulation);

/* ---- looking; texts are valid until the next script ---- */

/** The session that holds @address, or NULL. */
const char *keyspace_lock(struct keyspace *keyspace, const char *address);

/** A field of the resource at @address, or NULL. */
const char *keyspace_stored(
	struct keyspace *keyspace, const char *address, const char *field);

/** What @gateway has registered for @address, or NULL. */
const char *keyspace_share(
	struct keyspace *keyspace, const char *address, const char *gateway);

/** The end of the lease of @session in the set "pollers" or "gateways"; -1 without one.
 */
int64_t keyspace_lease_end_ms(
	struct keyspace *keyspace, const char *set, const char *session);
