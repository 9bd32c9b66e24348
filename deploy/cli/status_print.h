#pragma once

/*
 * A picture of the fleet, printed for people or for programs.
 */

#include "common/fleet.h"
#include "deploy/cli/options.h"

/** Tables that fit the terminal's width; in a pipe nothing is cut. */
void status_table(const struct fleet *fleet, const struct options *options);

/** One JSON object and a line feed. */
void status_json(const struct fleet *fleet);
