#pragma once

/*
 * Site: what is where on the clients' port, and who may ask for it.
 *
 *   /          the dashboard; with /assets/ and /uricast.js, see assets.h
 *   /fleet     a picture of the fleet, see fleet_page.h
 *   /resource  one state by plain HTTP, see resource.h; as a stream of events, sse.h
 *   /ws        WebSockets, see upgrade.h
 */

#include "common/membership.h"
#include "gateway/client.h"
#include "gateway/forwarded.h"
#include "gateway/http.h"

#include <stdbool.h>

struct fleet_page;
struct sse;

#define SITE_FIELD_MAX 1024 /* bytes of a header that access goes by */

/** What becomes one. */
struct site_websocket {
	int fd; /* its socket, request unread */
	struct network_address client;
	struct peer *peer; /* that it counts for */
	bool single;       /* see client.h */
	bool authenticated;
};

#define SITE_DRAINING_TEXT "this gateway is stopping: ask another, or again"

struct site {
	struct client_shared *shared;
	struct membership *membership;
	struct sse *sse;
	struct fleet_page *fleet;
	struct document document; /* for what is read of error objects */
	bool draining;            /* nobody new is served */
	struct peers *peers;
	struct forwarded_trust trust;
	/* A request that may become a WebSocket. */
	void (*on_websocket)(const struct site_websocket *websocket, void *user);
	void *user;
};

/** A request that passed the rules of origin and host. Valid inside on_request. */
struct site_request {
	struct site *site;
	struct http_connection *connection;
	const struct head *head;
	struct network_address client;      /* whose it is, behind trusted proxies */
	char origin[SITE_FIELD_MAX];        /* "" where there is none */
	char headers[SITE_FIELD_MAX + 512]; /* that every answer to it carries */
};

/** Passes for on_request of struct http_events; @user is a struct site. */
void site_on_request(
	struct http_connection *connection, const struct head *head, void *user);

/** Answers with an error, and counts it. */
void site_refuse(struct site_request *request, unsigned status, const char *code,
	const char *message);

/** Answers with why @uri, as written, is not served. Every code has its status. */
void site_refuse_uri(
	struct site_request *request, struct bytes uri, const struct refusal *refusal);

/** The token in "Authorization: Bearer TOKEN"; start NULL where there is none. */
struct bytes site_bearer(const struct head *head);
