#include "gateway/peers.h"

#include "common/memory.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define SUBSCRIBER_BYTES 8 /* of an IPv6 address: a /64 */

struct peer {
	UT_hash_handle hh;
	struct peers *peers;
	struct network_address key;
	uint32_t connections; /* never 0 */
};

struct peers {
	struct peer *all;
	struct network ipv4;
};

static struct network_address key_of(
	const struct peers *peers, const struct network_address *address)
{
	struct network_address key = *address;

	if (!network_has(&peers->ipv4, address))
		memset(key.bytes + SUBSCRIBER_BYTES, 0,
			sizeof(key.bytes) - SUBSCRIBER_BYTES);
	return key;
}

struct peers *peers_new(void)
{
	struct peers *peers = xcalloc(1, sizeof(*peers));

	network_parse(&peers->ipv4, "0.0.0.0/0");
	return peers;
}

void peers_free(struct peers *peers)
{
	free(peers);
}

struct peer *peers_hold(
	struct peers *peers, const struct network_address *address, uint32_t most)
{
	struct network_address key = key_of(peers, address);
	struct peer *peer;

	HASH_FIND(hh, peers->all, &key, sizeof(key), peer);
	if (peer == NULL) {
		peer = xcalloc(1, sizeof(*peer));
		peer->peers = peers;
		peer->key = key;
		HASH_ADD(hh, peers->all, key, sizeof(key), peer);
	}
	if (most > 0 && peer->connections >= most)
		return NULL;
	peer->connections++;
	return peer;
}

void peer_release(struct peer *peer)
{
	if (peer == NULL || --peer->connections > 0)
		return;
	HASH_DEL(peer->peers->all, peer);
	free(peer);
}
