#pragma once

/*
 * Server: one simulated Redis with its clients, its channels, and its faults.
 *
 * Runs what arrives in order, on its keyspace, by the product's own scripts. It can stand
 * still, crash, come back empty or as an older copy of itself, and refuse to serve.
 */

#include "tests/simulation/keyspace.h"
#include "tests/simulation/network.h"
#include "tests/simulation/script_host.h"
#include "tests/simulation/world.h"

#include <stdbool.h>
#include <stdint.h>

#define SERVER_PREFIX "uricast"

/** Told about every script as it runs. */
struct server_events {
	void (*before_script)(
		enum redis_script script, const struct redis_args *args, void *user);
	void (*after_script)(enum redis_script script, const struct redis_args *args,
		const redisReply *reply, void *user);
};

struct server {
	struct world *world;
	struct network network;
	struct script_host *host;
	struct keyspace keyspace;
	struct keyspace replica; /* what a failover would bring back */
	struct list connections; /* open ones, oldest first */
	struct list inbox;       /* what arrived while it stands still */
	int64_t wall_ahead_us;   /* its clock minus the true one */
	uint64_t run_id;
	long long last_client_id;
	bool known_scripts[REDIS_SCRIPT_COUNT]; /* the script cache */
	bool up;
	bool silent; /* while down: the host is gone, nothing answers */
	bool paused;
	bool loading;           /* answers, but serves nothing */
	unsigned loss_permille; /* messages of channels that get lost, each on its own */
	int64_t amnesia_at_us;  /* when it last forgot something; -1: never */
	bool ignores_kill;      /* --break: CLIENT KILL does nothing */
	struct server_events events;
	void *user; /* of the events */
	uint64_t scripts_run;
	uint64_t messages_lost;
};

/** Begins up and empty. @host is not owned. */
void server_init(struct server *server, struct world *world, struct script_host *host);
void server_fini(struct server *server);

/** Moves the keyspace's clock to now: before anybody looks at it. */
void server_move_clock(struct server *server);

/* ---- faults ---- */

void server_pause(struct server *server);
void server_resume(struct server *server);

/** @silently: the host is gone with it, and no connection is closed. */
void server_crash(struct server *server, bool silently);

/** What a crashed server has when it comes back. */
enum server_memory {
	SERVER_KEEPS,
	SERVER_IS_EMPTY,
	SERVER_IS_REPLICA,
	SERVER_MEMORY_COUNT
};

/** Up again, as another run; whatever clock the new host has. */
void server_start(struct server *server, enum server_memory memory);

/** Keeps a copy for SERVER_IS_REPLICA. */
void server_replicate(struct server *server);

/** The connection of @actor that is subscribed to something, or any; NULL without one. */
struct connection *server_connection_of(
	struct server *server, const struct actor *actor, bool subscribed);

/* ---- for the network ---- */

bool server_accepts(const struct server *server);
bool server_is_silent(const struct server *server);
void server_accept(struct server *server, struct connection *connection);

/** Keeps @event for later where the server stands still; returns whether it does. */
bool server_defer(struct server *server, struct event *event);

/** Runs one command; takes the memory of @words. */
void server_take(
	struct server *server, struct connection *connection, struct redis_args *words);
