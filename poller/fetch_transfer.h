#pragma once

/*
 * Fetch transfer: one request to a provider and its answer.
 *
 * Holds an easy handle that serves one request after the other, with what libcurl's
 * callbacks gather: status, a few headers, the body within its limits. Says what the
 * answer means. Begins and ends nothing by itself; see fetch_multi.
 */

#include "poller/fetch.h"
#include "poller/fetch_body.h"
#include "poller/fetch_multi.h"
#include "poller/provider.h"

#include <curl/curl.h>

struct transfer;

/** What the transfers of a process share; they do not own it. */
struct transfer_shared {
	struct fetch_multi *multi;
	struct body_pool bodies;
	uint64_t body_bytes; /* decoded, received since the start */
};

struct transfer_request {
	const char *uri;
	const char *etag;          /* or NULL */
	const char *last_modified; /* or NULL */
};

/** Returns NULL when out of memory. @provider outlives it. */
struct transfer *transfer_new(struct provider *provider, struct transfer_shared *shared);

/** Must not be in the multi. Accepts NULL. */
void transfer_free(struct transfer *transfer);

/**
 * Makes the easy handle ready to ask.
 *
 * @request  its texts are copied
 * @owner    given back by transfer_owner()
 *
 * Returns whether it can be added to the multi; if not, the failure is in
 * transfer_result().
 */
bool transfer_begin(struct transfer *transfer, const struct transfer_request *request,
	int64_t now_ms, void *owner);

/**
 * Takes notice that the easy handle has ended, with @code.
 *
 * Returns whether it is to be added to the multi again: a redirect within the provider,
 * or a 401 after which a file held other credentials.
 */
bool transfer_continues(struct transfer *transfer, CURLcode code, int64_t now_ms);

/** Fills all of @result but its url. Texts are valid until transfer_end(). */
void transfer_result(struct transfer *transfer, const struct digest *known,
	struct fetch_result *result);

/** Forgets the request and gives its memory back; another one can begin. */
void transfer_end(struct transfer *transfer);

CURL *transfer_easy(const struct transfer *transfer);

/** The owner of the transfer that @easy belongs to. */
void *transfer_owner(CURL *easy);
