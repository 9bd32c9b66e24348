#pragma once

/*
 * One event of a stream, printed in the way that was asked for.
 */

#include "deploy/cli/options.h"

#include <stdbool.h>
#include <stddef.h>

/** Prints an event's data, JSON of @length bytes. False where it is not as we know it. */
bool watch_print(const struct options *options, const char *data, size_t length);
