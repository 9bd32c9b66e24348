#pragma once

/*
 * Provider: one upstream API endpoint as the poller asks it.
 *
 * Where it is, what may be asked of it, its headers and its TLS settings. Built from the
 * catalog's description and independent of it afterwards. Whatever is asked goes to the
 * provider's own scheme, host and port: those are set once, from the base URL, and only
 * the request target differs from one request to the next.
 */

#include "common/catalog.h"
#include "poller/provider_headers.h"
#include "poller/text_room.h"

#include <curl/curl.h>
#include <stdbool.h>

/** Read only outside provider.c. */
struct provider {
	struct catalog_provider settings; /* own copy */
	CURLU *base;     /* scheme, host, port and the path /; NULL where not usable */
	char *origin;    /* "https://host:5080": no userinfo, no slash */
	char *authority; /* "host:5080", for messages */
	char *path;      /* of the base URL, without a slash at the end; "" for / */
	bool secure;     /* https */
	struct provider_headers *headers;
	CURLSH *connections; /* kept for the next request; NULL: out of memory */
	char problem[160];   /* why it cannot be asked; "" where it can */
};

enum provider_outcome {
	PROVIDER_OK = 0,
	PROVIDER_REFUSED = 1, /* not a plain URI, or not below the provider's base URL */
};

/** Never NULL; whether it can be asked is in its problem. */
struct provider *provider_new(const struct catalog_provider *settings);

/** Closes its connections; none may be in use. Accepts NULL. */
void provider_free(struct provider *provider);

/** Whether @provider was made from the same settings, wherever they are in memory. */
bool provider_has_settings(
	const struct provider *provider, const struct catalog_provider *settings);

/** Sets on @easy where it connects to and how it trusts it. Returns 0 or -EINVAL. */
int provider_configure(const struct provider *provider, CURL *easy);

/**
 * What to put into the request line to ask for @uri.
 *
 * @target  written on PROVIDER_OK only
 * @reason  set on PROVIDER_REFUSED only: a few static words
 */
enum provider_outcome provider_target(const struct provider *provider, const char *uri,
	struct text_room *target, const char **reason);

/**
 * Where a redirect leads that answered @target.
 *
 * @location  as sent by the upstream
 * @next      the new target, set on PROVIDER_OK only, freed by the caller
 * @place     set on PROVIDER_REFUSED only, freed by the caller: where it leads, without
 *            userinfo, path and query, which may hold secrets; NULL where it cannot be
 * read
 */
enum provider_outcome provider_redirect(const struct provider *provider,
	const char *target, const char *location, char **next, char **place);

/** Writes the URL asked for @uri, without userinfo, to @url; returns its text. */
const char *provider_url(
	const struct provider *provider, const char *uri, struct text_room *url);

/** The same where nothing is to be asked; freed by the caller. */
char *provider_settings_url(const struct catalog_provider *settings, const char *uri);
