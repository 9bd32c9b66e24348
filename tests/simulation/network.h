#pragma once

/*
 * Network: connections of processes to the simulated Redis.
 *
 * What is sent arrives after a random time, in order, one connection's independent of the
 * other's. A connection may break at either end, at different times; what is on its way
 * to Redis then may still arrive and run. While a process is cut off its packets are
 * held, as TCP does, and come through some time after it is not cut off any more.
 */

#include "common/redis.h"
#include "tests/simulation/world.h"

struct server;
struct connection;

/** The client's end. All run as code of the process; it may close inside. */
struct connection_events {
	void (*on_reply)(const redisReply *reply, void *user);
	void (*on_broken)(const char *reason, void *user);
};

/** A subscribed channel, at the server's end. */
struct channel {
	struct list link;
	size_t length;
	char name[];
};

/** One direction of a connection. */
struct wire {
	int64_t last_us;  /* when the last packet sent arrives */
	struct list held; /* packets that have arrived at a cut */
};

struct connection {
	struct list link;   /* of the server's open ones, oldest first */
	struct list in_all; /* of the network's */
	int references;     /* the client's, packets'; open_at_server is the server's */
	struct world *world;
	struct server *server;
	struct actor *actor;                    /* NULL once it has died */
	const struct connection_events *events; /* NULL once the client has closed */
	void *user;
	struct wire up;   /* to the server */
	struct wire down; /* to the client */
	bool reset;       /* what is on its way to the client is lost */
	bool deaf;        /* messages of channels do not get through */

	/* The server's. */
	bool open_at_server;
	long long client_id;
	struct list channels;
	size_t channel_count;
};

struct network {
	struct world *world;
	struct server *server;
	struct list connections; /* all that somebody still refers to, in order of age */
};

/** How a connection comes to its end by a fault. */
enum cut {
	CUT_BOTH,      /* both ends at once; all that is on its way is lost */
	CUT_AT_CLIENT, /* the client hears of it first: what it sent may still run */
	CUT_AT_SERVER, /* the server closes, after its last replies */
	CUT_COUNT
};

void network_init(struct network *network, struct world *world, struct server *server);
void network_fini(struct network *network);

/** Begins connecting; what is sent meanwhile comes after. The client closes it. */
struct connection *connection_open(struct network *network, struct actor *actor,
	const struct connection_events *events, void *user);

/** The client sends; takes the memory of @words. */
void connection_send(struct connection *connection, struct redis_args *words);

/** The client closes: what it sent before still arrives. */
void connection_close(struct connection *connection);

/** The server sends; takes the memory of @reply. */
void connection_answer(struct connection *connection, redisReply *reply);

/** The server closes it; @tell where the client is to know. */
void connection_end(struct connection *connection, bool tell);

void connection_cut(struct connection *connection, enum cut cut);

/** @actor has died; its host with it where @silently, so that nobody is told. */
void network_on_death(struct network *network, struct actor *actor, bool silently);

/** @actor is not cut off any more: what was held goes on its way. */
void network_on_healed(struct network *network, struct actor *actor);
