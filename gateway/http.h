#pragma once

/*
 * HTTP: connections before, or without, a WebSocket on them.
 *
 * HTTP/1.1 with keep-alive, spoken here and not by libwebsockets, whose 4.1.6 decodes
 * targets before we see them, spins once a waiting client leaves, and takes upgrades that
 * nobody asked for. The head of a request is looked at without taking it from the socket,
 * so that one that asks for a WebSocket can be handed to libwebsockets untouched.
 * Knows nothing of what is served: see site.h.
 */

#include "common/clock.h"
#include "gateway/frame.h"
#include "gateway/head.h"
#include "gateway/peers.h"
#include "gateway/refusal.h"
#include "gateway/taking.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>
#include <uv.h>

#define HTTP_HEAD_MS 10000  /* for the head of a request to come, from its first byte */
#define HTTP_IDLE_MS 60000  /* between two requests */
#define HTTP_SLOW_MS 30000  /* that a client may take nothing of its answer */
#define HTTP_LINGER_MS 2000 /* to read what we refused, so that the refusal arrives */

struct http_connection;

/** Told to the owner. */
struct http_events {
	/* A request is whole. Answer it, wait, or hand the socket over, before returning;
	 * @head is valid until then. */
	void (*on_request)(
		struct http_connection *connection, const struct head *head, void *user);
	/* A connection was closed; not after http_hand_over(). */
	void (*on_closed)(void *user);
};

struct http;

struct http *http_new(uv_loop_t *loop, struct clock *clock,
	const struct http_events *events, void *user);

/**
 * From now on connections end with their answer, and those between two requests at once.
 */
void http_drain(struct http *http);

/** Has as many as @most of those that wait be answered. Returns how many there were. */
size_t http_drain_waiters(struct http *http, size_t most);

/** Closes all connections; needs some turns of the loop before http_free(). */
void http_close_all(struct http *http);
void http_free(struct http *http); /* accepts NULL */

/** Serves an accepted socket, which is non-blocking and belongs to the callee. */
void http_serve(struct http *http, int fd);

/** Who is at the other end of the socket. */
const struct network_address *http_address(const struct http_connection *connection);

/**
 * Counts the connection for @client from now on, until it ends or counts for another.
 * False where @client has as many as @most already; 0 is any number.
 */
bool http_count_for(struct http_connection *connection, struct peers *peers,
	const struct network_address *client, uint32_t most);

struct answer {
	unsigned status;
	const char *type;    /* Content-Type, or NULL where there is no body */
	const char *headers; /* more of them, each with CRLF; or NULL */
	struct bytes body;
	struct frame
		*frame; /* that the body lies in, or NULL: then it is copied if it must */
	bool lasting;   /* the body outlives every answer: never copied */
	bool close;     /* the connection, afterwards */
};

/** Answers the request under way. To a HEAD, without the body. */
void http_answer(struct http_connection *connection, const struct answer *answer);

/** Answers with {"error":…}. @headers as in struct answer. */
void http_refuse(struct http_connection *connection, unsigned status,
	const struct refusal *refusal, const char *headers);

/** Who waits to answer later. Exactly one of these runs, unless it answers before. */
struct http_waiter {
	/* It took as long as it may: answer now. */
	void (*on_patience)(struct http_waiter *waiter);
	/* The client has to go: answer now. */
	void (*on_drain)(struct http_waiter *waiter);
	/* The client is gone: forget it. */
	void (*on_gone)(struct http_waiter *waiter);
};

/** Leaves the request under way to @waiter, which calls http_answer() some time. */
void http_wait(struct http_connection *connection, struct http_waiter *waiter,
	int64_t patience_ms);

/** Who sends a stream that has no end of its own. */
struct http_stream {
	/* The client takes more. */
	void (*on_writable)(struct http_stream *stream);
	/* The client is gone: forget it. */
	void (*on_gone)(struct http_stream *stream);
};

/**
 * Answers the request under way with a head, whose body is what @stream sends from then
 * on. It ends with the connection.
 */
void http_begin_stream(struct http_connection *connection, const struct answer *answer,
	struct http_stream *stream);

/**
 * Sends what the client takes of @parts now. Where that is not all, on_writable runs when
 * it takes more, or on_gone.
 */
size_t http_stream_send(
	struct http_connection *connection, const struct iovec *parts, size_t count);

/** Looks whether the client takes what the stream sent. Valid until the next look. */
const struct taking *http_stream_look(struct http_connection *connection);

/** Ends a stream; on_gone runs in a later turn of the loop. */
void http_stream_end(struct http_connection *connection);

/**
 * Takes the socket back, request unread; only from on_request. Returns it.
 *
 * @peer  what it counts for, for the caller to release
 */
int http_hand_over(struct http_connection *connection, struct peer **peer);
