#include "poller/provider.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/address.h"
#include "common/memory.h"

/* libcurl parses a CA file once and keeps the result this long. */
#define CA_CACHE_S 60L

/* ---- settings ---- */

static bool text_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool header_equal(const struct catalog_header *a, const struct catalog_header *b)
{
	return a->source == b->source && text_equal(a->name, b->name) &&
		text_equal(a->value, b->value);
}

static bool limits_equal(const struct catalog_limits *a, const struct catalog_limits *b)
{
	return a->concurrency == b->concurrency &&
		a->body_max_bytes == b->body_max_bytes && a->timeout_ms == b->timeout_ms;
}

bool provider_has_settings(
	const struct provider *provider, const struct catalog_provider *settings)
{
	const struct catalog_provider *own = &provider->settings;

	if (!text_equal(own->name, settings->name) ||
		!text_equal(own->url, settings->url) ||
		!limits_equal(&own->limits, &settings->limits) ||
		own->tls_verify != settings->tls_verify ||
		!text_equal(own->tls_ca, settings->tls_ca) ||
		!text_equal(own->tls_certificate, settings->tls_certificate) ||
		!text_equal(own->tls_key, settings->tls_key) ||
		!header_equal(&own->basic, &settings->basic) ||
		own->header_count != settings->header_count)
		return false;
	for (size_t i = 0; i < own->header_count; i++) {
		if (!header_equal(&own->headers[i], &settings->headers[i]))
			return false;
	}
	return true;
}

/* ---- the base URL ---- */

/* A part of @url, freed by the caller, or NULL where it has none. */
static char *url_part(const CURLU *url, CURLUPart part, unsigned int flags)
{
	char *text = NULL;
	char *copy;

	if (curl_url_get((CURLU *)url, part, &text, flags) != CURLUE_OK)
		return NULL;
	copy = xstrdup(text);
	curl_free(text);
	return copy;
}

static char *join(const char *a, const char *b, const char *c)
{
	size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
	char *text = xcalloc(1, size);

	snprintf(text, size, "%s%s%s", a, b, c);
	return text;
}

/* user:password, decoded, or NULL. */
static char *url_userinfo(const CURLU *url)
{
	char *user = url_part(url, CURLUPART_USER, CURLU_URLDECODE);
	char *password = url_part(url, CURLUPART_PASSWORD, CURLU_URLDECODE);
	char *userinfo = NULL;

	if (user || password)
		userinfo = join(user ? user : "", ":", password ? password : "");
	free(user);
	free(password);
	return userinfo;
}

/* scheme://host:port, the port only where it is written, or NULL. */
static char *url_origin(const CURLU *url)
{
	char *scheme = url_part(url, CURLUPART_SCHEME, 0);
	char *host = url_part(url, CURLUPART_HOST, 0);
	char *port = url_part(url, CURLUPART_PORT, 0);
	char *start = scheme && host ? join(scheme, "://", host) : NULL;
	char *origin = start ? join(start, port ? ":" : "", port ? port : "") : NULL;

	free(scheme);
	free(host);
	free(port);
	free(start);
	return origin;
}

static char *url_authority(const CURLU *url)
{
	char *host = url_part(url, CURLUPART_HOST, 0);
	char *port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	char *authority = join(host ? host : "", ":", port ? port : "");

	free(host);
	free(port);
	return authority;
}

/* Leaves scheme, host and port; the rest goes into the request target and the headers. */
static bool url_strip(CURLU *url)
{
	return curl_url_set(url, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
		curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
		curl_url_set(url, CURLUPART_OPTIONS, NULL, 0) == CURLUE_OK &&
		curl_url_set(url, CURLUPART_QUERY, NULL, 0) == CURLUE_OK &&
		curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
		curl_url_set(url, CURLUPART_PATH, "/", 0) == CURLUE_OK;
}

static bool url_has(const CURLU *url, CURLUPart part)
{
	char *text = url_part(url, part, 0);
	bool has = text != NULL;

	free(text);
	return has;
}

static char *without_trailing_slashes(char *path)
{
	size_t length = strlen(path);

	while (length > 0 && path[length - 1] == '/')
		path[--length] = '\0';
	return path;
}

/* Returns NULL, or why the base URL cannot be used. */
static const char *parse_base(
	struct provider *provider, CURLU *url, char **userinfo, const char *text)
{
	CURLUcode code =
		curl_url_set(url, CURLUPART_URL, text ? text : "", CURLU_PATH_AS_IS);
	char *path;

	if (code != CURLUE_OK)
		return curl_url_strerror(code);
	if (url_has(url, CURLUPART_QUERY) || url_has(url, CURLUPART_FRAGMENT))
		return "it has a query or a fragment";
	path = url_part(url, CURLUPART_PATH, 0);
	provider->path = without_trailing_slashes(path ? path : xcalloc(1, 1));
	*userinfo = url_userinfo(url);
	if (!url_strip(url))
		return "its parts cannot be set";
	provider->origin = url_origin(url);
	provider->authority = url_authority(url);
	if (!provider->origin)
		return "it names no host";
	provider->secure = strncasecmp(provider->origin, "https:", 6) == 0;
	if (!provider->secure && strncasecmp(provider->origin, "http:", 5) != 0)
		return "it is neither http nor https";
	return NULL;
}

/* A pool of its own for each provider, so that it can be closed when nobody asks any
 * more: what one multi has is closed only where there are too many. */
static CURLSH *connections_new(void)
{
	CURLSH *share = curl_share_init();

	if (share && curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT)) {
		curl_share_cleanup(share);
		share = NULL;
	}
	return share;
}

struct provider *provider_new(const struct catalog_provider *settings)
{
	struct provider *provider = xcalloc(1, sizeof(*provider));
	CURLU *url = curl_url();
	char *userinfo = NULL;
	const char *why = "no memory";

	provider->settings = catalog_provider_copy(settings);
	if (url)
		why = parse_base(provider, url, &userinfo, settings->url);
	provider->headers = provider_headers_new(&provider->settings, userinfo);
	provider->connections = connections_new();
	free(userinfo);
	if (!why) {
		provider->base = url;
		return provider;
	}

	snprintf(provider->problem, sizeof(provider->problem),
		"the base URL of %s cannot be used: %s", provider->settings.name, why);
	curl_url_cleanup(url);
	return provider;
}

void provider_free(struct provider *provider)
{
	if (!provider)
		return;
	curl_share_cleanup(provider->connections);
	provider_headers_free(provider->headers);
	curl_url_cleanup(provider->base);
	free(provider->origin);
	free(provider->authority);
	free(provider->path);
	catalog_provider_fini(&provider->settings);
	free(provider);
}

int provider_configure(const struct provider *provider, CURL *easy)
{
	const struct catalog_provider *settings = &provider->settings;
	long verify = settings->tls_verify ? 1L : 0L;

	if (!provider->connections ||
		curl_easy_setopt(easy, CURLOPT_SHARE, provider->connections) ||
		curl_easy_setopt(easy, CURLOPT_CURLU, provider->base) ||
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify) ||
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L) ||
		/* One connection that multiplexes rather than many at once. */
		curl_easy_setopt(easy, CURLOPT_PIPEWAIT, provider->secure ? 1L : 0L))
		return -EINVAL;
	if (settings->tls_ca && curl_easy_setopt(easy, CURLOPT_CAINFO, settings->tls_ca))
		return -EINVAL;
	if (settings->tls_certificate &&
		curl_easy_setopt(easy, CURLOPT_SSLCERT, settings->tls_certificate))
		return -EINVAL;
	if (settings->tls_key &&
		curl_easy_setopt(easy, CURLOPT_SSLKEY, settings->tls_key))
		return -EINVAL;
	/* Not known to every TLS library. */
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_S);
	return 0;
}

/* ---- what is asked ---- */

/* Judged like an address: no control bytes, no dot segments, however they are written. */
static const char *refuse_uri(const char *uri)
{
	struct address address;
	enum address_error error = address_parse(&address, uri, strlen(uri));

	if (error != ADDRESS_OK && error != ADDRESS_NOT_CANONICAL)
		return address_error_text(error);
	if (address.kind != ADDRESS_URI)
		return "it does not start with /";
	return NULL;
}

enum provider_outcome provider_target(const struct provider *provider, const char *uri,
	struct text_room *target, const char **reason)
{
	*reason = refuse_uri(uri);
	if (*reason)
		return PROVIDER_REFUSED;
	text_room_join(target, provider->path, uri, "");
	return PROVIDER_OK;
}

static bool same_origin(const struct provider *provider, const CURLU *url)
{
	char *scheme = url_part(url, CURLUPART_SCHEME, 0);
	char *authority = url_authority(url);
	bool same = scheme &&
		strcasecmp(scheme, provider->secure ? "https" : "http") == 0 &&
		strcasecmp(authority, provider->authority) == 0;

	free(scheme);
	free(authority);
	return same;
}

/* @location as seen from @target, or NULL where it is no URL. */
static CURLU *resolve(
	const struct provider *provider, const char *target, const char *location)
{
	CURLU *url = curl_url();
	char *asked = join(provider->origin, target, "");

	/* The one way to resolve it as RFC 3986 says; only path and query are taken from
	 * the result. */
	if (url &&
		(curl_url_set(url, CURLUPART_URL, asked, CURLU_PATH_AS_IS) ||
			curl_url_set(url, CURLUPART_URL, location, 0))) {
		curl_url_cleanup(url);
		url = NULL;
	}
	free(asked);
	return url;
}

static char *path_and_query(const CURLU *url)
{
	char *path = url_part(url, CURLUPART_PATH, 0);
	char *query = url_part(url, CURLUPART_QUERY, 0);
	char *text = join(path ? path : "/", query ? "?" : "", query ? query : "");

	free(path);
	free(query);
	return text;
}

static bool below_base(const struct provider *provider, const char *target)
{
	size_t length = strlen(provider->path);

	return strncmp(target, provider->path, length) == 0 &&
		!refuse_uri(target + length);
}

enum provider_outcome provider_redirect(const struct provider *provider,
	const char *target, const char *location, char **next, char **place)
{
	CURLU *url = resolve(provider, target, location);
	enum provider_outcome outcome = PROVIDER_REFUSED;

	*place = NULL;
	if (!url)
		return PROVIDER_REFUSED;
	if (same_origin(provider, url)) {
		*next = path_and_query(url);
		if (below_base(provider, *next))
			outcome = PROVIDER_OK;
		else
			free(*next);
	}
	if (outcome == PROVIDER_REFUSED)
		*place = url_origin(url);
	curl_url_cleanup(url);
	return outcome;
}

const char *provider_url(
	const struct provider *provider, const char *uri, struct text_room *url)
{
	if (!provider->base)
		return text_room_join(url, uri, "", "");
	return text_room_join(url, provider->origin, provider->path, uri);
}

char *provider_settings_url(const struct catalog_provider *settings, const char *uri)
{
	struct provider parsed = {0};
	CURLU *url = curl_url();
	struct text_room room = {0};
	char *userinfo = NULL;

	if (url && !parse_base(&parsed, url, &userinfo, settings->url))
		parsed.base = url;
	provider_url(&parsed, uri, &room);
	curl_url_cleanup(url);
	free(userinfo);
	free(parsed.origin);
	free(parsed.authority);
	free(parsed.path);
	return room.text;
}
