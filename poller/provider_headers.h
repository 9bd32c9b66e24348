#pragma once

/*
 * Provider headers: what every request to one provider carries beyond what we ask.
 *
 * Values are literals or come from the environment or from files. Files are looked at
 * once a second at most and read again when they changed. Values go to the provider only,
 * never into messages or logs.
 */

#include "common/catalog.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#define PROVIDER_HEADERS_CHECK_MS 1000        /* between two looks at the files */
#define PROVIDER_SECRET_MAX_BYTES (64u << 10) /* of a file */

struct provider_headers;

/** Headers as of one moment, shared by the transfers that send them. */
struct header_set {
	size_t users;
	struct curl_slist *list; /* NULL where there are no headers */
};

/**
 * @settings  of the provider; must outlive the result
 * @userinfo  user:password from the base URL, or NULL; copied; "basic" goes before it
 */
struct provider_headers *provider_headers_new(
	const struct catalog_provider *settings, const char *userinfo);

/** Sets that are still in use stay. Accepts NULL. */
void provider_headers_free(struct provider_headers *headers);

/**
 * The headers to send now.
 *
 * @problem  set where NULL is returned: which header has no value and why, one plain line
 *           that is valid until the next call
 *
 * Returns a set that the caller gives back by header_set_release(), or NULL.
 */
struct header_set *provider_headers_take(
	struct provider_headers *headers, int64_t now_ms, const char **problem);

/**
 * Reads the files again because the provider answered 401 to @sent; once, until it takes
 * what we send or a value changes. Returns whether there are other headers to send.
 */
bool provider_headers_refused(
	struct provider_headers *headers, const struct header_set *sent, int64_t now_ms);

/** The provider took what we sent. */
void provider_headers_accepted(struct provider_headers *headers);

/** Accepts NULL. */
void header_set_release(struct header_set *set);
