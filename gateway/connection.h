#pragma once

/*
 * Connection: a socket that libwebsockets has, from its adoption to its end.
 *
 * What libwebsockets carries of ours (its opaque pointer). Owned by the server.
 */

#include "common/list.h"
#include "gateway/peers.h"

#include <libwebsockets.h>
#include <stdbool.h>

struct server;
struct websocket;

struct connection {
	struct list in_server;
	struct server *server;
	struct lws *wsi;             /* NULL until libwebsockets has taken it */
	struct peer *peer;           /* that it counts for */
	struct websocket *websocket; /* from the handshake until it is closed */
	int fd;
	struct network_address client;
	bool single;        /* see client.h */
	bool authenticated; /* likewise */
	bool failed;        /* libwebsockets did not take it */
};

/**
 * Ends @connection on the next turn of the loop, without ceremony: it is dead, or
 * harmful. May be called from anywhere; nothing may be sent on it afterwards.
 */
void connection_kill(struct connection *connection);
