#pragma once

/*
 * The commands of uricast, one file each, and what they leave with.
 */

#include "deploy/cli/options.h"

enum exit_status {
	EXIT_FINE = 0,
	EXIT_DOUBTFUL = 1, /* content that is not confirmed; warnings */
	EXIT_WRONG = 2,	   /* the command line, as with the other programs */
	EXIT_BAD = 3,	   /* no content; errors */
	EXIT_UNREACHABLE = 4, /* no gateway, no Redis, or they refuse us */
	EXIT_TIMEOUT = 5,     /* the time ran out before the count was reached */
};

enum exit_status watch_run(const struct options *options);
enum exit_status get_run(const struct options *options);
enum exit_status status_run(const struct options *options);
enum exit_status doctor_run(const struct options *options);
