#pragma once

/*
 * Web: a libwebsockets context on our loop, made and taken down in one way.
 *
 * It opens no port itself: a listener's connections are adopted. What libwebsockets logs
 * is debug to us: what matters to an operator we say ourselves.
 */

#include <libwebsockets.h>
#include <uv.h>

struct web;

/**
 * Makes the context and its one vhost.
 *
 * @info  as the caller wants it; port, options and loop are added to it
 *
 * Returns NULL with a sentence that names what to change in @error, which is static.
 */
struct web *web_new(uv_loop_t *loop, const struct lws_context_creation_info *info,
	const char **error);

/** Hands an accepted connection over; it is closed where libwebsockets does not take it.
 */
struct lws *web_adopt(struct web *web, int fd);

/**
 * Closes every connection, then the context; not from a libwebsockets callback. Needs
 * some turns of the loop, in which the protocols' callbacks still run for what closes.
 *
 * @on_freed  runs from the loop when nothing is left; may be NULL
 */
void web_free(struct web *web, void (*on_freed)(void *user), void *user);
