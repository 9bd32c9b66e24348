#pragma once

/*
 * Monitor: the operator's port. /healthz, /readyz and /metrics over plain HTTP.
 *
 * Kept apart from what clients reach. /healthz answers 200 while the loop turns; /readyz
 * 200 or 503 with the reason in one line; /metrics the Prometheus text.
 */

#include <stddef.h>
#include <uv.h>

struct monitor;

struct monitor_events {
	/* NULL when the process can do its work, else why not in one plain line. */
	const char *(*not_ready)(void *user);
	/* A new string with the metrics, which the monitor frees. */
	char *(*metrics)(size_t *length, void *user);
};

/**
 * Opens @listen (HOST:PORT, [v6]:PORT).
 *
 * Returns the monitor, or NULL with a sentence that names what to change in @error, which
 * is static until the next call.
 */
struct monitor *monitor_new(uv_loop_t *loop, const char *listen,
	const struct monitor_events *events, void *user, const char **error);

/** Closes the port and its connections; needs some turns of the loop. Accepts NULL. */
void monitor_free(struct monitor *monitor);
