#pragma once

/*
 * Forwarded: whose request it is, where it came through proxies.
 *
 * A proxy that is trusted says who it has the request from, in X-Forwarded-For or in
 * Forwarded (RFC 7239). What it says is walked from the right, through trusted proxies
 * only, to the first address that is none of them. Whatever stands left of that, the
 * client may have written itself.
 */

#include "common/network.h"
#include "gateway/head.h"

/** Which proxies are trusted. */
struct forwarded_trust {
	struct network *proxies;
	size_t count;
};

/** @texts  each of a form that network_parse() takes */
void forwarded_trust_init(
	struct forwarded_trust *trust, char *const *texts, size_t count);
void forwarded_trust_fini(struct forwarded_trust *trust);

/**
 * The address of the client whose request came from @peer.
 *
 * Stops before whatever is no address. Where both headers are there and do not agree, one
 * of them is the client's own: then it is @peer.
 */
struct network_address forwarded_client(const struct forwarded_trust *trust,
	const struct network_address *peer, const struct head *head);
