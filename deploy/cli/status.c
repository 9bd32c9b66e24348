#include <stdio.h>
#include <unistd.h>

#include "deploy/cli/commands.h"
#include "deploy/cli/link.h"
#include "deploy/cli/output.h"
#include "deploy/cli/status_print.h"

#define LIMIT_DEFAULT 20
#define ROWS_FOR_OTHERS 12 /* processes and headings, usually */
#define REST_TIMES 4       /* of the time at most a quarter is spent reading */

static size_t choose_limit(const struct options *options)
{
	size_t rows = output_rows();

	if (options->limit > 0)
		return options->limit;
	return rows > LIMIT_DEFAULT + ROWS_FOR_OTHERS ? rows - ROWS_FOR_OTHERS
						      : LIMIT_DEFAULT;
}

static void print(const struct fleet *fleet, void *user)
{
	const struct options *options = user;

	if (options->watch)
		fputs("\033[H\033[2J", stdout);
	if (options->json)
		status_json(fleet);
	else
		status_table(fleet, options);
	output_flush();
}

enum exit_status status_run(const struct options *options)
{
	const struct fleet_query query = {
		.addresses_from = options->address_count > 0 ? options->addresses[0] : "",
		.limit = choose_limit(options),
		.order = FLEET_WORST_FIRST,
	};
	struct link link;
	enum exit_status status;

	if (options->watch && !isatty(STDOUT_FILENO)) {
		output_say("--watch is for a terminal; without it, status prints once");
		return EXIT_WRONG;
	}
	status = link_open(&link, options);
	while (status == EXIT_FINE) {
		int64_t begun_ms = clock_now_ms(link.clock), took_ms;

		status = link_read(&link, &query, print, (void *)(uintptr_t)options);
		if (!options->watch)
			break;
		took_ms = clock_now_ms(link.clock) - begun_ms;
		if (status == EXIT_UNREACHABLE)
			status = EXIT_FINE; /* it comes back, or was refused */
		link_wait(&link,
			took_ms * REST_TIMES > options->interval_ms
				? took_ms * REST_TIMES
				: options->interval_ms);
	}
	link_close(&link);
	return status;
}
