#include "gateway/site.h"

#include "common/log.h"
#include "gateway/assets.h"
#include "gateway/fleet_page.h"
#include "gateway/resource.h"
#include "gateway/upgrade.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define URI_ECHO_MAX 2048 /* bytes of an address that an answer repeats */

struct page {
	const char *path;
	bool wants_token;
	void (*answer)(struct site_request *request);
};

/* Where the dashboard is not in the program. */
static void answer_without_dashboard(struct site_request *request)
{
	static const char format[] =
		"This is a uricast gateway: it makes HTTP APIs live that can only be "
		"polled.\n"
		"\n"
		"There is no dashboard: %s.\n"
		"Everything else works:\n"
		"\n"
		"WebSocket  /ws, then {\"action\":\"subscribe\",\"uri\":\"/nodes\"}\n"
		"HTTP       /resource?uri=/nodes (the address percent-encoded)\n"
		"           with If-None-Match and Prefer: wait=30, when it changes\n"
		"           with Accept: text/event-stream, every change\n";
	char text[sizeof(format) + 512];

	snprintf(text, sizeof(text), format, assets_missing());
	http_answer(request->connection,
		&(struct answer){.status = 200,
			.type = "text/plain; charset=utf-8",
			.headers = request->headers,
			.body = {text, strlen(text)}});
}

static void answer_asset(struct site_request *request)
{
	asset_answer(request, asset_find(request->head->path));
}

static void answer_fleet(struct site_request *request)
{
	fleet_page_answer(request->site->fleet, request);
}

/* Shows its token in other ways too, and later: see upgrade.h. */
static const struct page pages[] = {
	{"/", false, answer_without_dashboard},
	{"/fleet", true, answer_fleet},
	{"/resource", true, resource_answer},
	{"/ws", false, upgrade_answer},
};

static const struct page *find_page(struct bytes path)
{
	static const struct page asset = {NULL, false, answer_asset};

	if (asset_find(path) != NULL)
		return &asset;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (bytes_are(path, pages[i].path))
			return &pages[i];
	return NULL;
}

void site_refuse(struct site_request *request, unsigned status, const char *code,
	const char *message)
{
	struct refusal refusal;
	char headers[sizeof(request->headers) + 64], client[NETWORK_TEXT_SIZE];

	snprintf(headers, sizeof(headers), "%s%s", request->headers,
		status == 401           ? "WWW-Authenticate: Bearer\r\n"
			: status == 405 ? "Allow: GET, HEAD\r\n"
			: status == 429 ? "Retry-After: 10\r\n"
			: status == 503 ? "Retry-After: 1\r\n"
					: "");
	refusal_set(&refusal, code, "%s", message);
	log_debug("request refused status=%u code=%s client=%s", status, code,
		network_address_text(&request->client, client));
	http_refuse(request->connection, status, &refusal, headers);
}

static unsigned status_of(const char *code)
{
	static const struct {
		const char *code;
		unsigned status;
	} statuses[] = {
		{"raw_denied", 403},
		{"unknown_address", 404},
		{"too_many_addresses", 503},
	};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (strcmp(code, statuses[i].code) == 0)
			return statuses[i].status;
	return 400;
}

/* The address as meant, or as written where it means nothing. */
static void write_uri(struct text *body, struct bytes uri)
{
	char decoded[HEAD_BYTES_MAX];
	long length = head_decode(uri, decoded);

	if (length >= 0)
		uri = (struct bytes){decoded, (size_t)length};
	if (uri.length > URI_ECHO_MAX)
		uri.length = URI_ECHO_MAX;
	text_add_quoted(body, uri.start, uri.length);
}

void site_refuse_uri(
	struct site_request *request, struct bytes uri, const struct refusal *refusal)
{
	struct text body = {0};

	text_add_words(&body, "{\"uri\":");
	write_uri(&body, uri);
	text_add_words(&body, ",\"error\":");
	refusal_write(refusal, &body);
	text_add_words(&body, "}\n");
	http_answer(request->connection,
		&(struct answer){.status = status_of(refusal->code),
			.type = "application/json",
			.headers = request->headers,
			.body = {body.start, body.failed ? 0 : body.length}});
	text_fini(&body);
}

struct bytes site_bearer(const struct head *head)
{
	static const char scheme[] = "Bearer ";
	struct bytes value = head_field(head, "authorization");
	size_t length = sizeof(scheme) - 1;

	if (value.length < length || strncasecmp(value.start, scheme, length) != 0)
		return (struct bytes){NULL, 0};
	return (struct bytes){value.start + length, value.length - length};
}

/* False where it is too long. */
static bool copy_field(const struct head *head, const char *name, char *buffer)
{
	struct bytes value = head_field(head, name);

	if (value.length >= SITE_FIELD_MAX)
		return false;
	if (value.length > 0)
		memcpy(buffer, value.start, value.length);
	buffer[value.length] = '\0';
	return true;
}

/* Lets pages of a listed origin read the answer. */
static void allow_reading(struct site_request *request)
{
	if (access_origin_listed(request->site->shared->access, request->origin))
		snprintf(request->headers, sizeof(request->headers),
			"Access-Control-Allow-Origin: %s\r\n"
			"Access-Control-Expose-Headers: Age, Cache-Status, ETag, "
			"Preference-Applied, Retry-After, Uricast-Changed-At, "
			"Uricast-Checked-At, Uricast-Error, Uricast-Interval, "
			"Uricast-State\r\n"
			"Vary: Origin\r\n",
			request->origin);
}

static bool may_come(struct site_request *request)
{
	struct client_shared *shared = request->site->shared;
	char host[SITE_FIELD_MAX];
	enum access_verdict verdict;

	if (!copy_field(request->head, "origin", request->origin) ||
		!copy_field(request->head, "host", host)) {
		request->origin[0] = '\0';
		site_refuse(request, 400, "bad_request",
			"a header is longer than 1023 bytes");
		return false;
	}
	verdict = access_judge(shared->access, request->origin, host);
	if (verdict == ACCESS_OK)
		return true;
	metrics_add(shared->metrics, METRIC_REFUSED_ORIGIN, 1);
	site_refuse(request, 403, "origin_denied", access_verdict_text(verdict));
	return false;
}

/* A browser asks so whether a page may send its token (the preflight of CORS). */
static void answer_options(struct site_request *request)
{
	char headers[sizeof(request->headers) + 256];

	snprintf(headers, sizeof(headers),
		"%sAccess-Control-Allow-Methods: GET, HEAD\r\n"
		"Access-Control-Allow-Headers: Authorization, If-None-Match, "
		"Last-Event-ID, Prefer\r\n"
		"Access-Control-Max-Age: 600\r\n",
		request->headers);
	http_answer(request->connection,
		&(struct answer){.status = 204, .headers = headers, .close = false});
}

static bool shows_token(struct site_request *request)
{
	struct client_shared *shared = request->site->shared;
	struct bytes token = site_bearer(request->head);

	if (!access_wants_token(shared->access))
		return true;
	if (token.start != NULL &&
		access_token_valid(shared->access, token.start, token.length))
		return true;
	metrics_add(shared->metrics, METRIC_REFUSED_TOKEN, 1);
	site_refuse(request, 401, "unauthorized", "this gateway wants a token: Bearer");
	return false;
}

/* False where its address has as many connections as it may have. */
static bool count_client(struct site_request *request)
{
	struct site *site = request->site;
	uint32_t most = site->shared->limits.clients_per_address;

	request->client = forwarded_client(
		&site->trust, http_address(request->connection), request->head);
	return http_count_for(request->connection, site->peers, &request->client, most);
}

static void refuse_one_too_many(struct site_request *request)
{
	metrics_add(request->site->shared->metrics, METRIC_REFUSED_ADDRESS, 1);
	site_refuse(request, 429, "too_many_connections",
		"this address has as many connections to the gateway as it may have");
}

void site_on_request(
	struct http_connection *connection, const struct head *head, void *user)
{
	struct site_request request = {
		.site = user, .connection = connection, .head = head};
	const struct page *page = find_page(head->path);
	bool counts = count_client(&request);

	if (!may_come(&request))
		return;
	allow_reading(&request);
	if (!counts) {
		refuse_one_too_many(&request);
		return;
	}
	if (head->method == HEAD_METHOD_OPTIONS && request.headers[0] != '\0') {
		answer_options(&request);
		return;
	}
	if (request.site->draining) {
		metrics_add(request.site->shared->metrics, METRIC_REFUSED_DRAINING, 1);
		site_refuse(&request, 503, "draining", SITE_DRAINING_TEXT);
		return;
	}
	if (page == NULL) {
		site_refuse(&request, 404, "not_found",
			"there is nothing here; a resource is at /resource?uri=, "
			"WebSockets at /ws");
		return;
	}
	if (head->method != HEAD_METHOD_GET && head->method != HEAD_METHOD_HEAD) {
		site_refuse(&request, 405, "method_not_allowed", "only GET and HEAD are");
		return;
	}
	if (head->has_body) {
		site_refuse(&request, 400, "bad_request", "the request has a body");
		return;
	}
	if (head_has_word(head, "upgrade", "websocket") &&
		page->answer != upgrade_answer) {
		site_refuse(&request, 404, "not_found", "WebSockets are at /ws");
		return;
	}
	if (!page->wants_token || shows_token(&request))
		page->answer(&request);
}
