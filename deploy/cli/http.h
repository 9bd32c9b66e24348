#pragma once

/*
 * HTTP to a gateway: the request that watch and get have in common, and what its refusals
 * mean.
 */

#include "deploy/cli/commands.h"
#include "deploy/cli/options.h"

#include <curl/curl.h>

#define HTTP_REFUSAL_MAX 65536 /* bytes of an error's body that are read */

struct http {
	CURL *easy;
	struct curl_slist *headers;
	char *url;
	char refusal[HTTP_REFUSAL_MAX + 1];
	size_t refusal_length;
	char error[CURL_ERROR_SIZE];
};

/**
 * Prepares GET /resource for all of options->addresses.
 *
 * @parameters  more of the query, "&mode=patch", or ""
 *
 * Returns EXIT_FINE, or what to leave with; then it has been said why.
 */
enum exit_status http_init(
	struct http *http, const struct options *options, const char *parameters);
void http_fini(struct http *http);

/** Adds a header line. */
void http_header(struct http *http, const char *line);

/** Keeps a part of a body that is not wanted, for http_explain(). */
void http_refused(struct http *http, const char *bytes, size_t length);

/** HTTP status of the answer so far; 0: none. */
long http_status(const struct http *http);

/**
 * Says on stderr what a status that is not 200 means, and how to mend it. Returns what to
 * leave with.
 */
enum exit_status http_explain(const struct http *http, const struct options *options);

/** Prints an error object, JSON of @length bytes, as "message (code)". */
void http_print_error(FILE *stream, const char *json, size_t length);
