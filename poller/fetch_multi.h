#pragma once

/*
 * Fetch multi: libcurl's multi interface on the loop.
 *
 * One poll handle per connection, one timer, and a round at the end of each turn of the
 * loop in which something happened. Nothing of the owner runs from inside libcurl: it is
 * told in the round what finished, and may add and remove transfers there.
 */

#include "common/clock.h"

#include <curl/curl.h>
#include <uv.h>

struct fetch_multi;

struct fetch_multi_events {
	/* @easy has ended and was removed; it may be added again here. */
	void (*on_finished)(CURL *easy, CURLcode code, void *user);
	/* Everything that ended by now was told. Once per round. */
	void (*on_round)(void *user);
};

/** Never NULL: without libcurl the process cannot go on. */
struct fetch_multi *fetch_multi_new(uv_loop_t *loop, struct clock *clock,
	const struct fetch_multi_events *events, void *user);

/**
 * Closes all connections; every transfer must have been removed. The loop's handles close
 * in its next turns. Not from inside the events. Accepts NULL.
 */
void fetch_multi_free(struct fetch_multi *multi);

/** Makes @easy fit to be added here: its sockets are ours. Returns 0 or -EINVAL. */
int fetch_multi_prepare(struct fetch_multi *multi, CURL *easy);

/** Begins @easy in this turn of the loop or the next. Returns 0 or -ENOMEM. */
int fetch_multi_add(struct fetch_multi *multi, CURL *easy);

/** Ends @easy, and its connection if it is in the middle of something. */
void fetch_multi_remove(struct fetch_multi *multi, CURL *easy);

/** Asks for a round, soon. */
void fetch_multi_soon(struct fetch_multi *multi);

/** How many connections may be kept open, in use or not. */
void fetch_multi_keep(struct fetch_multi *multi, size_t connections);
