#pragma once

/*
 * Fleet: a picture of the whole fleet, read from Redis for people to look at.
 *
 * A reading walks the indexes of all sessions (owned, interests, unclaimed), a hundred
 * addresses per call, one call at a time and with pauses as long as the calls, so that
 * Redis serves the others in between. It writes nothing. The picture is not of one
 * instant, and whatever somebody put under our keys by hand is read as far as it makes
 * sense. Nothing here decides anything.
 */

#include "common/change.h" /* enum resource_state */
#include "common/clock.h"
#include "common/membership.h" /* SESSION_MAX, enum membership_kind */
#include "common/redis.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLEET_SESSIONS_MAX 1000       /* of a kind; there may be more */
#define FLEET_ADDRESSES_MAX (1u << 20) /* one reading looks at */
#define FLEET_PROVIDERS_MAX 256
#define FLEET_LIMIT_MAX 100000 /* resources listed */
#define FLEET_DOWN_MAX 256     /* bytes of names that a poller tells, with the NUL */

enum fleet_life {
	FLEET_ALIVE,
	FLEET_LATE,   /* its lease has run out, and nobody has buried it */
	FLEET_BURIED, /* and something of it is left */
};

#define FLEET_UNTOLD (-1) /* of a count that the session does not tell */

/** A process that is, or was, in the fleet. Texts are as it wrote them, cut; or "". */
struct fleet_session {
	char session[SESSION_MAX + 1];
	enum fleet_life life;
	int64_t lease_left_ms; /* by Redis's clock; negative once run out; 0: buried */
	char host[256];
	char version[64];
	int64_t pid;           /* 0: not told */
	int64_t started_at_ms; /* by Redis's clock; 0: not told */
	int64_t held;          /* addresses in its index: owned, or of interest */
	int64_t resources;     /* what it says it holds, or FLEET_UNTOLD; so are these: */
	int64_t polls;         /* since it was started; pollers only */
	int64_t commits;
	int64_t clients; /* now; gateways only */
	int64_t subscriptions;
	char down[FLEET_DOWN_MAX]; /* providers it finds down, with spaces; pollers only */
};

/** From best to worst. */
enum fleet_health {
	FLEET_FINE,
	FLEET_WAITING, /* nothing was answered yet */
	FLEET_GONE,    /* the upstream says it is no more */
	FLEET_OVERDUE, /* fresh, but not checked for three intervals and a while */
	FLEET_STALE,
	FLEET_FAILED, /* an error, and no content */
	FLEET_UNOWNED, /* wanted, and no living poller owns it */
	FLEET_HEALTHS
};

/** "fine", "waiting", … */
const char *fleet_health_name(enum fleet_health health);

/** One address that is owned or watched. Texts are owned by the picture. */
struct fleet_resource {
	char *address; /* canonical */
	enum fleet_health health;
	enum resource_state state;
	char owner[SESSION_MAX + 1]; /* whom the lock names; "": nobody */
	bool owner_alive;
	uint64_t viewers;  /* subscribers that are not paused, of all gateways */
	uint64_t gateways; /* with interest */
	int64_t interval_ms;
	int64_t checked_at_ms; /* by Redis's clock, as are the others; 0: never, or unknown */
	int64_t changed_at_ms;
	int64_t error_since_ms;
	uint64_t status;  /* HTTP, of the poll behind the last commit; 0: none */
	uint64_t version; /* 0: no content */
	char *error;	  /* as stored, up to 4096 bytes, perhaps no JSON; NULL: none */
	char *url;	  /* what is asked, or NULL */
};

/** A provider of something that is watched. */
struct fleet_provider {
	char *name;	 /* "compute/dfw", "dns"; "default" for addresses that begin with / */
	size_t resources;
	size_t unwell; /* of them: waiting or worse */
	size_t down;   /* living pollers that find it down as a whole */
	uint64_t interval_ms; /* default and bounds, as pollers wrote; 0: not told */
	uint64_t interval_min_ms;
	uint64_t interval_max_ms;
	uint64_t budget_second;	 /* since 1970, last one parted; 0: it has no budget */
	uint64_t budget_pollers; /* with a part of that second */
	uint64_t budget_demand;	 /* requests they had for it */
};

struct fleet_summary {
	size_t resources; /* all that match */
	size_t healths[FLEET_HEALTHS];
	uint64_t viewers;
	int64_t oldest_checked_at_ms; /* of the fine and overdue; 0: there is none */
	size_t odd; /* members of indexes that are no addresses */
};

struct fleet {
	int64_t now_ms; /* by Redis's clock, when the reading began */
	struct fleet_session *pollers; /* by their lease's end */
	size_t poller_count;
	size_t poller_total; /* there are; more than FLEET_SESSIONS_MAX are not listed */
	struct fleet_session *gateways;
	size_t gateway_count;
	size_t gateway_total;
	struct fleet_resource *resources; /* in the order asked for, up to the limit */
	size_t resource_count;		  /* summary.resources says how many there are */
	size_t resource_room;
	struct fleet_provider *providers; /* by name */
	size_t provider_count;
	struct fleet_summary summary;
	bool complete; /* false: more than FLEET_ADDRESSES_MAX, the rest was not looked at */
};

enum fleet_order {
	FLEET_WORST_FIRST, /* by health, then by how long ago it was checked */
	FLEET_BY_ADDRESS,
};

struct fleet_query {
	const char *addresses_from; /* only addresses that begin so; "" for all; copied */
	size_t limit;		    /* resources listed, FLEET_LIMIT_MAX at most; the summary
				     * counts all */
	enum fleet_order order;
};

/**
 * Told once, from the loop; the reading is over then.
 *
 * @error  0, or as in redis_reply_fn; -EPROTO also for an answer of another shape
 * @fleet  valid during the call; NULL where @error is not 0
 */
typedef void (*fleet_read_fn)(int error, const struct fleet *fleet, void *user);

struct fleet_reading;

/** Begins a reading. Never returns NULL; what it returns ends with @on_read. */
struct fleet_reading *fleet_read(struct redis *redis, struct clock *clock,
	const struct fleet_query *query, fleet_read_fn on_read, void *user);

/** Ends a reading whose @on_read has not run, and will not. Before redis_free(). */
void fleet_read_cancel(struct fleet_reading *reading);
