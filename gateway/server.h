#pragma once

/*
 * Server: the clients' port.
 *
 * Accepts, up to the cap of clients; a connection begins as HTTP (http.h, site.h) and
 * moves to libwebsockets when it becomes a WebSocket (websocket.h). Owns all of these.
 */

#include "common/clock.h"
#include "common/config.h"
#include "common/membership.h"
#include "common/metrics.h"
#include "gateway/relay.h"

#include <uv.h>

struct server;

struct server_settings {
	uv_loop_t *loop;
	struct clock *clock;
	const struct config *config; /* must outlive the server */
	struct redis *redis;
	struct relay *relay;
	struct membership *membership;
	struct metrics *metrics;
};

/**
 * Listens on config->listen.
 *
 * Returns the server, or NULL with a sentence that names what to change in @error, which
 * is static until the next call.
 */
struct server *server_new(const struct server_settings *settings, const char **error);

/**
 * Puts the access rules, limits and catalog of @config into force, for what clients do
 * from now on. Its strings must stay until the next time.
 *
 * Returns false with a sentence in @error, as server_new() does: nothing has changed
 * then.
 */
bool server_reload(
	struct server *server, const struct config *config, const char **error);

/** Only the catalog is another. */
void server_set_catalog(struct server *server, const struct catalog *catalog);

/** Sets the metrics of what the wires do not count. Returns the number of connections. */
uint32_t server_count_clients(struct server *server);

/**
 * Sends everybody away, evenly over @spread_ms (0: all at once), each wire in its way,
 * and refuses whoever comes. May be called again, to be quicker.
 *
 * @on_drained  runs once, when nobody is left or two seconds after the last was told
 */
void server_drain(struct server *server, int64_t spread_ms,
	void (*on_drained)(void *user), void *user);

/** Runs the loop for what libwebsockets closes. Accepts NULL. */
void server_free(struct server *server);
