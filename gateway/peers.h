#pragma once

/*
 * Peers: how many connections each client's address has here.
 *
 * IPv4 by address, IPv6 by /64: that is what one subscriber gets. Loop thread only.
 */

#include "common/network.h"

#include <stdint.h>

struct peers;
struct peer; /* an address with connections */

struct peers *peers_new(void);
void peers_free(struct peers *peers); /* accepts NULL; nothing may be held */

/**
 * Counts one more connection of @address; peer_release() ends it.
 *
 * @most  it may have; 0: any number
 *
 * Returns NULL where it has as many.
 */
struct peer *peers_hold(
	struct peers *peers, const struct network_address *address, uint32_t most);

void peer_release(struct peer *peer); /* accepts NULL */
