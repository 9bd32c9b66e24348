#pragma once

/*
 * Paths of the scripted origin: what each of them answers now, and how often it was
 * asked.
 *
 * A path exists from the first time it is asked for. Values come from the clock alone:
 * path by path they change at a phase of their own, so that nothing has to run for them.
 */

#include "tests/bench/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct path {
	char *text; /* as asked, with the query */
	size_t length;
	uint64_t hash;
	uint64_t requests;
	uint64_t not_modified;
	uint64_t value;
	int64_t changed_at_us; /* when it took this value */
	int64_t served_at_us;  /* when this value was first asked for */
};

struct paths_settings {
	int64_t change_every_us; /* 0: nothing ever changes */
	double changing_share;   /* 0 to 1: which paths do */
	int64_t polled_every_ms; /* 0: no schedule to compare requests with */
};

struct paths {
	struct paths_settings settings;
	struct path *slots; /* open addressing; text NULL where empty */
	size_t slot_count;  /* a power of two */
	size_t count;
	uint64_t requests;
	uint64_t not_modified;
	uint64_t changes;          /* new values that were served */
	struct histogram lateness; /* of requests, against the schedule */
	int64_t started_at_us;
	int64_t frozen_at_us; /* 0 while values change */
};

void paths_init(struct paths *paths, const struct paths_settings *settings);
void paths_fini(struct paths *paths);

/** Counts one request and brings the path's value up to date. Valid until the next call.
 */
struct path *paths_ask(struct paths *paths, const char *text, size_t length);

void paths_count_not_modified(struct paths *paths, struct path *path);

/** Nothing changes from now on. */
void paths_freeze(struct paths *paths);

/** Counts from 0 again; the paths stay. */
void paths_reset(struct paths *paths);

/** Writes the totals as members of a JSON object, without its braces. */
void paths_write_totals(const struct paths *paths, FILE *file);

/** Writes {"/path":{"requests":…,"not_modified":…,"value":…},…}. */
void paths_write_each(const struct paths *paths, FILE *file);
