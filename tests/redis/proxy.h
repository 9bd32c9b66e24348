#pragma once

/*
 * A TCP proxy in front of a test's Redis that can keep what passes: a network with
 * delays.
 */

#include "common/list.h"

#include <stddef.h>
#include <uv.h>

struct proxy {
	uv_loop_t *loop;
	uv_tcp_t listener;
	int port; /* its own */
	int redis_port;
	struct list pairs; /* in the order they came */
	size_t pair_count;
};

/** Starts on a free port, on the loop of the test. */
void proxy_start(struct proxy *proxy, uv_loop_t *loop, int redis_port);

/**
 * Keeps what the connections that exist now send from here on, their end included, in one
 * direction; later ones pass freely.
 */
void proxy_hold_to_redis(struct proxy *proxy);
void proxy_hold_from_redis(struct proxy *proxy);

/** Lets everything that was kept go on. */
void proxy_release(struct proxy *proxy);

/** Bytes kept on their way to Redis. */
size_t proxy_held(const struct proxy *proxy);

/** Closes everything; needs turns of the loop. */
void proxy_end(struct proxy *proxy);
