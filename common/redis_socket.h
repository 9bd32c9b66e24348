#pragma once

/*
 * Redis socket: one connection on the loop, replies in the order they come.
 *
 * hiredis writes and parses the protocol, on its plain non-blocking context. Its
 * asynchronous layer is not used: it drops an error that answers SUBSCRIBE, allows
 * nothing in its connect callback, and asserts on replies that it did not expect.
 */

#include "common/redis_url.h"

#include <hiredis/hiredis.h>
#include <stddef.h>
#include <uv.h>

struct redis_socket;

/** All run from the loop; redis_socket_close() may be called inside. */
struct redis_socket_events {
	/* Also for error replies. @reply is valid during the call. */
	void (*on_reply)(const redisReply *reply, void *user);
	/* A part of a large command went out, or a part of a large reply came. */
	void (*on_progress)(void *user);
	/* It will not work any more and must be closed. */
	void (*on_broken)(const char *reason, void *user);
};

/**
 * Begins connecting; what is sent meanwhile is kept.
 *
 * @address  in place of the url's host, a numeric one: a name would be looked up, which
 *           blocks; ignored for a unix socket
 * @reason   filled where NULL is returned
 */
struct redis_socket *redis_socket_open(uv_loop_t *loop, const struct redis_url *url,
	const char *address, const struct redis_socket_events *events, void *user,
	char *reason, size_t reason_size);

/** Queues a command for this turn of the loop. Returns its bytes on the wire. */
size_t redis_socket_send(struct redis_socket *socket, int count, const char **words,
	const size_t *lengths);

/** No callback runs any more; freed after one more turn of the loop. Accepts NULL. */
void redis_socket_close(struct redis_socket *socket);
