#pragma once

/*
 * Membership: this process's session, its lease, and who else is alive.
 *
 * A session is a lease under an id never used twice. One renewal a third of the lease
 * keeps it; the lease counts from sending the last acknowledged renewal, by our own
 * monotonic clock. A session found buried is dropped whole and a new one begun. Pure
 * against clock.h and redis.h: the simulation runs it.
 */

#include "common/clock.h"
#include "common/redis.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_MAX 32 /* bytes of an id without the NUL */

enum membership_kind { MEMBERSHIP_POLLER, MEMBERSHIP_GATEWAY };

struct membership;

/*
 * Sweeps of the whole fleet together: so many addresses a second cost Redis about 1 % of
 * its core (tests/bench/run idle). Each process takes its share.
 */
#define MEMBERSHIP_SWEEP_PER_S 1200

/** A poller's session, as of the last renewal. */
struct member {
	char session[SESSION_MAX + 1];
	int64_t lease_end_ms; /* by Redis's clock; 0: buried, and something of it is left
			       */
	bool alive;           /* its lease ran when we were told */
};

struct membership_settings {
	enum membership_kind kind;
	uint32_t lease_ms;
	const char *host;    /* for looking */
	const char *version; /* of the software */
};

struct membership_events {
	/* A session is registered and its lease runs. */
	void (*on_entered)(void *user);
	/* The session was buried or forgotten: whatever it held is not ours any more. */
	void (*on_lost)(void *user);
	/* Pollers came, left, or let their lease run out. */
	void (*on_peers)(void *user);
	/* Before each renewal: name what was checked, by membership_checked(), and fields
	 * for the session's hash, by membership_fact(). */
	void (*on_renewing)(void *user);
	/* A renewal was taken; Redis lists @held addresses as this session's. */
	void (*on_renewed)(size_t held, void *user);
};

struct membership *membership_new(struct clock *clock, struct redis *redis,
	const struct membership_settings *settings,
	const struct membership_events *events, void *user);
void membership_free(struct membership *membership);

/* What main passes on from redis.h. */
void membership_on_up(struct membership *membership);
void membership_on_down(struct membership *membership);

/** The session's id; a new one from each on_lost on. */
const char *membership_session(const struct membership *membership);

/** Whether we are registered and the lease has not run out, right now. */
bool membership_valid(const struct membership *membership);

/** Since when that has been so without a gap, monotonic; INT64_MAX while it is not. */
int64_t membership_valid_since_ms(const struct membership *membership);

/** Whether we may bury others: not in the first lease after a reconnect or a pause. */
bool membership_may_bury(const struct membership *membership);

/** Redis's clock, estimated; milliseconds since 1970. The host's until Redis was heard.
 */
int64_t membership_redis_ms(const struct membership *membership);

/** All pollers of which something is left, sorted by session; valid until the next turn.
 */
size_t membership_pollers(
	const struct membership *membership, const struct member **pollers);

/** Sessions of both kinds as of the last renewal, ours included; at least 1. */
size_t membership_fleet_size(const struct membership *membership);

/** A poller says on `wake` that it leaves: it counts no more, before the next renewal. */
void membership_on_left(struct membership *membership, const char *session);

/** Only from on_renewing: a resource and when it was last checked (Redis's clock). */
void membership_checked(
	struct membership *membership, const char *address, int64_t checked_at_ms);

/** Only from on_renewing: a field of uricast:poller:S or uricast:gateway:G. */
void membership_fact(struct membership *membership, const char *field, int64_t value);
void membership_fact_text(
	struct membership *membership, const char *field, const char *value);

/**
 * Leaves for good: one last renewal (so on_renewing once more),
 * then buries the session and gives up all it holds, in batches.
 *
 * @on_left  runs when nothing is left, or when Redis cannot be reached
 */
void membership_leave(
	struct membership *membership, void (*on_left)(void *user), void *user);
