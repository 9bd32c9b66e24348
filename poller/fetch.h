#pragma once

/*
 * Fetch: HTTP transfers by libcurl's multi interface on the loop.
 *
 * Knows providers, URLs, headers, limits of one transfer; nothing of resources, schedules
 * or Redis. A pool of easy handles and a waiting line per provider (its concurrency cap)
 * are inside. The simulation links its own implementation of this header.
 */

#include "common/catalog.h"
#include "common/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/** No upstream is left alone for longer, whatever it asks for. */
#define FETCH_WAIT_MAX_MS 86400000

struct fetcher;
struct fetch;

/** XXH3-128 of a body, as 32 hex digits and a NUL; "" where there is none. */
struct digest {
	char text[33];
};

struct fetch_request {
	const struct catalog_provider *provider; /* must outlive the transfer */
	const char *uri;             /* path and query below the provider's URL, copied */
	const char *etag;            /* of the last content, or NULL; copied */
	const char *last_modified;   /* likewise */
	const struct digest *digest; /* of the last content, or NULL; copied */
};

enum fetch_outcome {
	FETCH_UNCHANGED,   /* 304, or a 200 whose bytes have the digest asked with */
	FETCH_CONTENT,     /* 200 with a body */
	FETCH_FAILED,      /* anything else; see error_code */
	FETCH_NOT_STARTED, /* may_start said no: the upstream was not asked */
	FETCH_SPARED, /* not by a fetcher: failed without asking; see poller/health.h */
};

/** Valid during the callback. Texts are never NULL unless said. */
struct fetch_result {
	enum fetch_outcome outcome;
	long status;      /* HTTP status, 0 where none came */
	const char *body; /* decoded; on FETCH_CONTENT */
	size_t length;
	struct digest digest;      /* on FETCH_CONTENT and on a 200 FETCH_UNCHANGED */
	const char *content_type;  /* as sent, or NULL */
	const char *etag;          /* or NULL */
	const char *last_modified; /* or NULL */
	const char *url;           /* what was asked, without userinfo; "": nothing */
	/* On FETCH_FAILED: upstream_connect, upstream_dns, upstream_tls,
	 * upstream_timeout, upstream_closed (reset, or half an answer), upstream_status,
	 * upstream_too_large, upstream_redirect, upstream_protocol, or upstream_secret (a
	 * header's value could not be read; not asked). */
	const char *error_code;
	const char *error_message; /* one plain line, no secrets */
	bool unreached; /* on FETCH_FAILED: no name, connection or TLS to ask through */
	int64_t retry_after_ms; /* from Retry-After, seconds or date; 0 where none */
	int64_t fresh_for_ms;   /* X-Poll-Interval or what is left of Cache-Control's
				 * max-age, the longer; 0 where none */
	unsigned requests;      /* sent: more than one with redirects */
	int64_t started_at_ms;  /* when the transfer was begun, monotonic */
};

/** Runs once per fetch_start(), from the loop, unless cancelled; may start other fetches.
 */
typedef void (*fetch_done_fn)(const struct fetch_result *result, void *user);

struct fetcher_events {
	/* Asked right before each transfer begins: whether we may still ask upstreams. */
	bool (*may_start)(void *user);
};

struct fetcher *fetcher_new(uv_loop_t *loop, struct clock *clock,
	const struct fetcher_events *events, void *user);

/**
 * Cancels everything under way; its handles close in the next turns of the loop. Not from
 * inside a callback. Accepts NULL.
 */
void fetcher_free(struct fetcher *fetcher);

/**
 * Lets go of what is kept for providers that @catalog does not have, or has with other
 * settings; transfers of theirs that are under way end as they began.
 */
void fetcher_reload(struct fetcher *fetcher, const struct catalog *catalog);

/**
 * Nothing of the provider of that @name will be asked for long: lets go of what is kept
 * for it, connections too, at once or with its last transfer.
 */
void fetcher_leave(struct fetcher *fetcher, const char *name);

/** Begins a transfer, or queues it behind the provider's concurrency cap. Never NULL. */
struct fetch *fetch_start(struct fetcher *fetcher, const struct fetch_request *request,
	fetch_done_fn on_done, void *user);

/** Ends it without the callback. Not from inside its own callback. */
void fetch_cancel(struct fetch *fetch);

/** The URL that asking @provider for @uri means, as in results; freed by the caller. */
char *fetch_url(const struct catalog_provider *provider, const char *uri);

struct fetcher_counters {
	uint64_t body_bytes; /* decoded, received since the start */
	uint64_t under_way;  /* now */
	uint64_t waiting;    /* now */
};
void fetcher_counters(const struct fetcher *fetcher, struct fetcher_counters *counters);
