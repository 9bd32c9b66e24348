#pragma once

/*
 * Listener: a listening TCP socket of our own, on the loop.
 *
 * libwebsockets aborts on a port in use with a foreign loop: so we open, accept, and hand
 * connections to lws_adopt_socket_vhost().
 */

#include <uv.h>

struct listener;

/** @fd is non-blocking with TCP_NODELAY and belongs to the callee. */
typedef void (*listener_accept_fn)(int fd, void *user);

/**
 * Listens on @address: HOST:PORT, [v6]:PORT, :PORT for every address; port 0 for any free
 * one. Backlog 4096.
 *
 * Returns the listener, or NULL with a sentence that names what to change in @error,
 * static until the next call.
 */
struct listener *listener_new(uv_loop_t *loop, const char *address,
	listener_accept_fn on_accept, void *user, const char **error);

/** The port it really listens on. */
int listener_port(const struct listener *listener);

/** Needs one more turn of the loop for its handle. Accepts NULL. */
void listener_free(struct listener *listener);
