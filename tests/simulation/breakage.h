#pragma once

/*
 * Breakage: known bugs, put in on purpose. A simulation that lets one of them pass would
 * let others pass, too.
 */

#include "tests/simulation/simulation.h"

struct breakage {
	const char *name;
	const char *what; /* in a few words */
	/* A script with the bug in it: a new string, or NULL for any other script. */
	char *(*edit)(enum redis_script script, const char *text);
	/* Puts it into a new simulation; may be NULL. */
	void (*apply)(struct simulation *simulation);
};

/** The one called @name, or NULL. */
const struct breakage *breakage_find(const char *name);

/** All of them, one after the other; NULL behind the last. @index from 0. */
const struct breakage *breakage_at(size_t index);
