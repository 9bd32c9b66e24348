#pragma once

/*
 * WebSocket: the wire of clients at /ws.
 *
 * Frames go out whole by send() straight on the socket, as long as the client keeps up;
 * the rest of one that did not fit is left with libwebsockets. Then the client is behind:
 * nothing more goes out before libwebsockets says that it is writable, and then only what
 * is newest. A message too large for that is sent in fragments, and waits here, shared.
 */

#include "gateway/client.h"
#include "gateway/connection.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define WEBSOCKET_PING_MS 25000        /* after so long a silence */
#define WEBSOCKET_PONG_MS 10000        /* within which anything must be heard */
#define WEBSOCKET_SLOW_MS 30000        /* that a client may take nothing */
#define WEBSOCKET_MESSAGE_MS 30000     /* from the first to the last byte of a message */
#define WEBSOCKET_AUTHENTICATE_MS 5000 /* to the first message with a token */
#define WEBSOCKET_CLOSE_MS 2000        /* for the close frame to go out */
#define WEBSOCKET_FRAGMENT_MAX (64u << 10) /* bytes of payload in one frame */

struct websockets;

/** All of them, with the one timer that walks them. */
struct websockets *websockets_new(struct client_shared *shared);
void websockets_free(
	struct websockets *websockets); /* when there are none; accepts NULL */

/** Closes as many as @most of those that are open (1012: service restart). Returns how
 * many there were. */
size_t websockets_drain(struct websockets *websockets, size_t most);

/** Makes @connection a WebSocket, its handshake being done. */
struct websocket *websocket_new(struct websockets *websockets,
	struct connection *connection, bool single, bool authenticated);
void websocket_free(struct websocket *websocket); /* accepts NULL */

/* What libwebsockets tells. The result goes back to it: 0, or -1 to close. */
int websocket_on_received(struct websocket *websocket, const char *bytes, size_t length);
int websocket_on_pong(struct websocket *websocket);
int websocket_on_writable(struct websocket *websocket);
int websocket_on_peer_closes(
	struct websocket *websocket, const char *body, size_t length);
