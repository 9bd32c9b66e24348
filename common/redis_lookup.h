#pragma once

/*
 * Redis lookup: the addresses of a host by its name, without blocking the loop.
 *
 * getaddrinfo() cannot be interrupted, and how long it takes is the resolver's affair
 * (resolv.conf). So each lookup has a thread of its own, which nobody waits for: not the
 * work on libuv's pool, whose threads are few, and not a process that ends.
 */

#include <netdb.h>
#include <uv.h>

struct redis_lookup;

/**
 * @addresses  at least one, the caller's to give to uv_freeaddrinfo(); NULL on an error
 * @reason     the error, else NULL
 *
 * Runs once, from the loop; the lookup is gone after it.
 */
typedef void (*redis_lookup_fn)(
	struct addrinfo *addresses, const char *reason, void *user);

/** Returns NULL where it cannot begin; then @on_done does not run. */
struct redis_lookup *redis_lookup_begin(
	uv_loop_t *loop, const char *host, int port, redis_lookup_fn on_done, void *user);

/**
 * @on_done does not run any more; the thread ends when the resolver is done. Needs one
 * more turn of the loop. Accepts NULL.
 */
void redis_lookup_cancel(struct redis_lookup *lookup);
