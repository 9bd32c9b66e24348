#pragma once

/*
 * Fetch failure: what went wrong in libcurl, in our codes and a person's words.
 */

#include "poller/provider.h"

#include <curl/curl.h>
#include <stdbool.h>

struct fetch_failure {
	const char *code;  /* see fetch.h; static */
	bool unreached;    /* there was no way to ask: no name, connection or TLS */
	char message[320]; /* one plain line */
};

/**
 * Says why @easy ended with @code, which is not CURLE_OK.
 *
 * @detail  libcurl's own words (CURLOPT_ERRORBUFFER); used for certificates only
 */
void fetch_failure_from_curl(struct fetch_failure *failure, CURL *easy, CURLcode code,
	const struct provider *provider, const char *detail);

/** Any other failure. Bytes that are not plain text become '?'. */
void fetch_failure_set(struct fetch_failure *failure, const char *code,
	const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Longest time to connect, within the time for the whole transfer. */
long fetch_connect_timeout_ms(const struct provider *provider);
