#pragma once

/*
 * Relay link: where a topic stands with Redis. The relay's data, kept in each topic.
 */

#include "common/list.h"

#include <stdbool.h>
#include <stdint.h>

enum relay_link_state {
	LINK_OFF,           /* nothing of it is in Redis */
	LINK_SUBSCRIBING,   /* the channel's acknowledgement is awaited */
	LINK_WAITING,       /* to be registered, or registered and read again */
	LINK_REGISTERING,   /* interest was sent */
	LINK_LIVE,          /* registered, and what is held was read after that */
	LINK_LEAVING,       /* to be unregistered */
	LINK_UNREGISTERING, /* uninterest was sent */
};

struct relay_link {
	enum relay_link_state state;
	struct list on_list;        /* of the relay's list for this state */
	struct list suspect;        /* among those that may have no poller */
	bool registered;            /* Redis may know our interest */
	bool read_again;            /* while REGISTERING: once more afterwards */
	bool held;                  /* named in a check under way: must not be freed */
	bool read;                  /* what is held was read since it was last OFF */
	bool needed;                /* the content is missing and somebody is owed it */
	bool reading;               /* it is being read */
	uint32_t subscribers;       /* as registered */
	uint32_t interval_ms;       /* as registered */
	int64_t waiting_since_ms;   /* monotonic; when it was last wanted anew */
	int64_t ownerless_since_ms; /* monotonic; 0 while it has a living owner */
	int64_t doubted_at_ms;      /* monotonic */
	int64_t touched_at_ms;      /* monotonic; when its keys were extended */
};

static inline void relay_link_init(struct relay_link *link)
{
	list_init(&link->on_list);
	list_init(&link->suspect);
}

static inline void relay_link_fini(struct relay_link *link)
{
	list_remove(&link->on_list);
	list_remove(&link->suspect);
}
