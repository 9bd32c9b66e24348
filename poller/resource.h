#pragma once

/*
 * Resource: one address this poller holds the lock of, and what it knows of it.
 *
 * Plain data, shared by the poller's three state machines, each the writer of its part:
 * claim owns the table and the hold, schedule the next poll, commit what Redis holds.
 */

#include "common/change.h"
#include "common/clock.h"
#include "common/list.h"
#include "poller/fetch.h"
#include "poller/health.h"
#include "poller/pace.h"

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

enum resource_hold {
	HOLD_KEPT,      /* wanted, or not known not to be */
	HOLD_LINGERING, /* nobody wants it; released soon, not polled */
};

/** What a poll needs of the catalog, looked up once for each catalog. */
struct aim {
	uint64_t catalog_serial;                 /* of the schedule's; 0: not looked up */
	const struct catalog_provider *provider; /* NULL: the address means nothing */
	struct catalog_interval interval;
	const char *uri; /* in the address or in own_uri */
	char *own_uri;   /* or NULL */
};

struct resource {
	UT_hash_handle hh;

	/* claim */
	struct claim *claim;
	uint64_t claim_id; /* never the same again: tells late answers of an earlier claim
			    */
	enum resource_hold hold;
	struct clock_timer linger;
	struct list on_sweep;
	struct list on_notes; /* waiting to be noted with a renewal */
	bool hand_over; /* another poller ranks first: release after the next poll */
	int64_t touched_at_ms; /* monotonic; when its keys were extended */

	/* schedule */
	struct schedule *schedule;
	struct aim aim;
	struct clock_timer due;
	struct pace_ticket turn; /* since it was due until its transfer has ended */
	struct health_patient patient;
	struct provider_use *use; /* of the provider asked last; NULL: not asked yet */
	struct fetch *fetch;      /* under way, or NULL */
	bool busy;                /* a fetch or its commit is under way */
	bool refresh;          /* somebody asked for a poll: once more after this one */
	bool moved;            /* to be asked elsewhere than what is stored came from */
	uint64_t wished_ms;    /* what Redis said that viewers ask for; 0: the default */
	bool default_wanted;   /* likewise: some of them ask for nothing */
	uint32_t interval_ms;  /* granted: what the fastest viewer asks for, in bounds */
	uint32_t failures;     /* in a row */
	int64_t queued_at_ms;  /* when the last poll was due, monotonic */
	int64_t started_at_ms; /* of the last fetch, monotonic */
	int64_t not_before_ms; /* the next one, as the upstream asks; monotonic */
	uint32_t apart_ms;     /* interval_ms, or how far apart polls really are */
	int64_t checked_at_ms; /* last confirmed, by Redis's clock; 0: never */
	int64_t noted_at_ms;   /* the value of checked_at_ms that Redis knows */
	uint64_t polls;

	/* commit */
	uint64_t revision;         /* as stored; 0: nothing */
	uint64_t version;          /* as stored; 0: no content */
	uint64_t floor;            /* the fleet has seen this version; 0: none */
	enum resource_state state; /* as stored */
	char failure[96];          /* what the stored error says: code and status */
	struct digest digest;      /* of the stored content */
	char *etag;                /* of the stored content, or NULL */
	char *last_modified;       /* likewise */
	char *content;             /* as stored, in contents; NULL: not kept */
	size_t content_length;
	struct list on_contents;
	uint32_t told_ms;     /* the apart_ms that Redis knows */
	uint32_t told_for_ms; /* the interval_ms that was for, or will be */
	bool whole;           /* commit the next body even if it is the stored one */
	bool confirm;         /* commit the next success even if nothing changed */
	bool uncommitted;     /* Redis has not taken the last body: poll when it can */

	char address[];
};
