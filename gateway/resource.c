#include "gateway/resource.h"

#include "common/instant.h"
#include "common/memory.h"
#include "gateway/protocol.h"
#include "gateway/query.h"
#include "gateway/sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_HEADER_MAX 512 /* bytes of an error object in a header */

/* How the answer is to look. */
struct asked {
	struct site *site;
	char *headers;       /* that every answer carries */
	char *if_none_match; /* as sent; "" where it was not */
	int64_t wait_s;      /* to wait for a change, or for content; -1: not asked */
	bool hit;            /* the content was here already */
};

/* A request that is being answered, now or once there is something to say. */
struct visit {
	struct http_waiter waiter;
	struct http_connection *connection;
	struct subscription subscription;
	struct asked asked;
	bool waits;
};

/* What can be said of a resource now. */
enum finding {
	FINDING_NOTHING,
	FINDING_CONTENT,
	FINDING_NOT_MODIFIED, /* since what the client holds */
	FINDING_FAILURE,
};

/* ---- answering ---- */

static void write_age(
	struct text *headers, const struct asked *asked, const struct topic *topic)
{
	int64_t checked_at_ms = topic_checked_at_ms(topic);
	int64_t age_ms = membership_redis_ms(asked->site->membership) - checked_at_ms;

	if (checked_at_ms == 0)
		return;
	text_add_words(headers, "Age: ");
	text_add_number(headers, age_ms > 0 ? (uint64_t)age_ms / 1000 : 0);
	text_add_words(headers, "\r\n");
}

static void write_instant(struct text *headers, const char *name, int64_t at_ms)
{
	char instant[INSTANT_SIZE];

	if (at_ms == 0)
		return;
	text_add_words(headers, name);
	text_add_words(headers, instant_write(instant, at_ms));
	text_add_words(headers, "\r\n");
}

static void write_times(struct text *headers, const struct topic *topic)
{
	struct topic_times times = topic_times(topic);

	write_instant(headers, "Uricast-Checked-At: ", times.checked_at_ms);
	write_instant(headers, "Uricast-Changed-At: ", times.changed_at_ms);
}

static void write_interval(struct text *headers, const struct topic *topic)
{
	if (topic_interval_ms(topic) == 0)
		return;
	text_add_words(headers, "Uricast-Interval: ");
	protocol_write_seconds(headers, topic_interval_ms(topic));
	text_add_words(headers, "\r\n");
}

static void write_state(struct text *headers, const struct topic *topic)
{
	struct bytes error = topic_error(topic);
	size_t length = error.length < ERROR_HEADER_MAX ? error.length : ERROR_HEADER_MAX;

	if (topic_state(topic) == RESOURCE_FRESH)
		return;
	text_add_words(headers, "Uricast-State: ");
	text_add_words(headers, resource_state_name(topic_state(topic)));
	text_add_words(headers, "\r\n");
	if (length == 0)
		return;
	text_add_words(headers, "Uricast-Error: ");
	for (size_t i = 0; i < length; i++)
		text_add(headers,
			error.start[i] >= ' ' && error.start[i] < 0x7f ? &error.start[i]
								       : "?",
			1);
	text_add_words(headers, "\r\n");
}

static void write_headers(
	struct text *headers, const struct asked *asked, const struct topic *topic)
{
	text_add_words(headers, asked->headers);
	text_add_words(headers, "ETag: \"");
	text_add_number(headers, topic_version(topic));
	text_add_words(headers, "\"\r\nCache-Control: no-cache\r\nCache-Status: ");
	text_add_words(
		headers, asked->hit ? "uricast; hit\r\n" : "uricast; fwd=miss\r\n");
	/* What the upstream sends must not act on the gateway's own origin. */
	if (topic_media_type(topic).length > 0)
		text_add_words(headers, "Content-Security-Policy: sandbox\r\n");
	write_age(headers, asked, topic);
	write_times(headers, topic);
	write_interval(headers, topic);
	write_state(headers, topic);
	text_add(headers, "", 1);
}

/* RFC 9110, 13.1.2: a list of tags, weak ones too, or *. */
static bool has_it_already(const struct asked *asked, const struct topic *topic)
{
	char tag[32];

	if (strcmp(asked->if_none_match, "*") == 0)
		return true;
	snprintf(tag, sizeof(tag), "\"%llu\"", (unsigned long long)topic_version(topic));
	return strstr(asked->if_none_match, tag) != NULL;
}

/* The frame that the content lies in, so that a slow reader needs no copy of it. */
static struct frame *frame_around(struct subscription *subscription, struct bytes content)
{
	struct frame *frame = subscription_owed(subscription);
	const char *payload;

	if (frame == NULL)
		return NULL;
	payload = frame_payload(frame);
	return content.start >= payload &&
			content.start + content.length <=
				payload + frame_payload_length(frame)
		? frame
		: NULL;
}

static const char *content_type(const struct topic *topic, char *type, size_t size)
{
	struct bytes media_type = topic_media_type(topic);

	if (media_type.length == 0)
		return "application/json";
	/* Only text that is UTF-8 becomes state. A browser runs none of it: see
	 * write_headers(). */
	snprintf(type, size, "%.*s; charset=utf-8", (int)media_type.length,
		media_type.start);
	return type;
}

static void answer_not_modified(struct visit *visit)
{
	struct text headers = {0};

	write_headers(&headers, &visit->asked, visit->subscription.topic);
	http_answer(visit->connection,
		&(struct answer){
			.status = 304, .headers = headers.failed ? NULL : headers.start});
	text_fini(&headers);
}

static void answer_content(struct visit *visit)
{
	struct topic *topic = visit->subscription.topic;
	struct text headers = {0};
	char type[128];
	struct answer answer = {.status = 200,
		.type = content_type(topic, type, sizeof(type)),
		.body = topic_content(topic)};

	write_headers(&headers, &visit->asked, topic);
	answer.headers = headers.failed ? NULL : headers.start;
	answer.frame = frame_around(&visit->subscription, answer.body);
	http_answer(visit->connection, &answer);
	text_fini(&headers);
}

/* 404 after a reload, 503 where the fleet is at fault, 502 where the upstream is. */
static unsigned failure_status(struct site *site, const struct topic *topic)
{
	static const char *const our_codes[] = {
		"no_poller", "redis_unavailable", "unconfirmed"};
	struct document *document = &site->document;
	struct bytes error = topic_error(topic);
	uint32_t code;

	if (!topic_is_known(topic))
		return 404;
	if (topic_state(topic) == RESOURCE_GONE)
		return 410;
	if (document_scan(document, error.start, error.length, NULL) != DOCUMENT_OK ||
		document->tokens[0].type != DOCUMENT_OBJECT)
		return 502;
	code = document_member(document, 0, "code");
	if (code == 0 || document->tokens[code].type != DOCUMENT_STRING)
		return 502;
	for (size_t i = 0; i < sizeof(our_codes) / sizeof(our_codes[0]); i++)
		if (document_string_is(document, code, our_codes[i]))
			return 503;
	return 502;
}

static void answer_failure(struct visit *visit)
{
	struct topic *topic = visit->subscription.topic;
	struct bytes error = topic_error(topic);
	struct text body = {0};

	text_add_words(&body, "{\"error\":");
	if (error.length > 0)
		text_add(&body, error.start, error.length);
	else
		text_add_words(&body, "{}");
	text_add_words(&body, "}\n");
	http_answer(visit->connection,
		&(struct answer){.status = failure_status(visit->asked.site, topic),
			.type = "application/json",
			.headers = visit->asked.headers,
			.body = {body.start, body.failed ? 0 : body.length}});
	text_fini(&body);
}

/* ---- finding ---- */

static bool is_doubted(const struct topic *topic, const char *code)
{
	const char *doubt = topic_doubt_code(topic);

	return doubt != NULL && strcmp(doubt, code) == 0;
}

/* The client holds something newer than is here: Redis is read first, where it can be. */
static bool is_ahead(const struct visit *visit)
{
	struct topic *topic = visit->subscription.topic;

	return visit->subscription.version_given > topic_version(topic) &&
		!is_doubted(topic, "redis_unavailable");
}

static enum finding find_without_content(struct topic *topic)
{
	/* It may come within the patience of who asks: it is read, or fetched slowly. */
	if (is_doubted(topic, "unconfirmed"))
		return FINDING_NOTHING;
	if (topic_version(topic) != 0 && !is_doubted(topic, "redis_unavailable"))
		return FINDING_NOTHING;
	return topic_error(topic).length > 0 ? FINDING_FAILURE : FINDING_NOTHING;
}

static enum finding look(const struct visit *visit)
{
	struct topic *topic = visit->subscription.topic;

	if (!relay_has_read(topic) || is_ahead(visit))
		return FINDING_NOTHING;
	if (topic_state(topic) == RESOURCE_GONE || !topic_is_known(topic))
		return FINDING_FAILURE;
	if (topic_version(topic) != 0 && has_it_already(&visit->asked, topic))
		return FINDING_NOT_MODIFIED;
	if (topic_content(topic).start != NULL)
		return FINDING_CONTENT;
	return find_without_content(topic);
}

/* ---- waiting ---- */

static void visit_free(struct visit *visit)
{
	if (visit->waits)
		metrics_add(
			visit->asked.site->shared->metrics, METRIC_CLIENTS_LONGPOLL, -1);
	topic_unsubscribe(&visit->subscription);
	free(visit->asked.headers);
	free(visit->asked.if_none_match);
	free(visit);
}

/* False where there is nothing to say yet. */
static bool answer_if_found(struct visit *visit, bool patient)
{
	/* Has a content read that is owed and not here. */
	subscription_owed(&visit->subscription);
	switch (look(visit)) {
	case FINDING_NOTHING:
		return false;
	case FINDING_NOT_MODIFIED:
		if (patient && visit->asked.wait_s > 0)
			return false;
		answer_not_modified(visit);
		break;
	case FINDING_CONTENT:
		answer_content(visit);
		break;
	case FINDING_FAILURE:
		answer_failure(visit);
		break;
	}
	visit_free(visit);
	return true;
}

static void on_owed(struct subscription *subscription)
{
	answer_if_found(container_of(subscription, struct visit, subscription), true);
}

/* Whoever will not wait for a change waits for content as anybody does. */
static int64_t patience_s(const struct visit *visit)
{
	return visit->asked.wait_s > 0 ? visit->asked.wait_s : RESOURCE_PATIENCE_S;
}

static void wait(struct visit *visit)
{
	visit->waits = true;
	metrics_add(visit->asked.site->shared->metrics, METRIC_CLIENTS_LONGPOLL, 1);
	http_wait(visit->connection, &visit->waiter, patience_s(visit) * 1000);
}

static void on_patience(struct http_waiter *waiter)
{
	struct visit *visit = container_of(waiter, struct visit, waiter);
	struct refusal refusal;

	if (answer_if_found(visit, false))
		return;
	refusal_set(&refusal, "no_content", "no content came within %lld seconds",
		(long long)patience_s(visit));
	http_refuse(visit->connection, 504, &refusal, visit->asked.headers);
	visit_free(visit);
}

static void on_drain(struct http_waiter *waiter)
{
	struct visit *visit = container_of(waiter, struct visit, waiter);
	struct refusal refusal;

	if (answer_if_found(visit, false))
		return;
	refusal_set(&refusal, "draining", SITE_DRAINING_TEXT);
	http_refuse(visit->connection, 503, &refusal, visit->asked.headers);
	visit_free(visit);
}

static void on_gone(struct http_waiter *waiter)
{
	visit_free(container_of(waiter, struct visit, waiter));
}

/* ---- asking ---- */

/* With what was preferred and is done (RFC 7240, 3). */
static char *copy_headers(const struct site_request *request, int64_t wait_s)
{
	size_t size = strlen(request->headers) + 64;
	char *headers = xcalloc(1, size);

	if (wait_s >= 0)
		snprintf(headers, size, "%sPreference-Applied: wait=%lld\r\n",
			request->headers, (long long)wait_s);
	else
		memcpy(headers, request->headers, strlen(request->headers));
	return headers;
}

static struct visit *visit_new(
	const struct site_request *request, const struct query *query)
{
	struct visit *visit = xcalloc(1, sizeof(*visit));
	struct bytes tags = query->if_none_match;

	visit->waiter = (struct http_waiter){on_patience, on_drain, on_gone};
	visit->connection = request->connection;
	visit->asked.site = request->site;
	visit->asked.wait_s = query->wait_s;
	visit->asked.headers = copy_headers(request, query->wait_s);
	visit->asked.if_none_match = xcalloc(1, tags.length + 1);
	if (tags.length > 0)
		memcpy(visit->asked.if_none_match, tags.start, tags.length);
	return visit;
}

/* Watches the address as any client does, if only for a moment. False with a refusal. */
static bool subscribe(struct visit *visit, const struct query *query, struct bytes uri,
	struct refusal *refusal)
{
	struct client_shared *shared = visit->asked.site->shared;
	struct address address;
	struct catalog_target target;

	if (!query_parse_address(refusal, &address, uri) ||
		!refusal_resolve(refusal, shared->catalog, &address, &target))
		return false;
	if (topic_subscribe(relay_topics(shared->relay), address.text, &target, 0,
		    &visit->subscription, on_owed) != TOPIC_OK) {
		refusal_set(refusal, "too_many_addresses",
			"the gateway watches as many addresses of this provider as it "
			"may");
		return false;
	}
	subscription_holds(&visit->subscription, query_newest_tag(query->if_none_match));
	return true;
}

static void answer_once(struct site_request *request, const struct query *query)
{
	struct visit *visit = visit_new(request, query);
	struct bytes uris = query->uris, uri;
	struct refusal refusal;

	query_next_uri(&uris, &uri);
	if (!subscribe(visit, query, uri, &refusal)) {
		site_refuse_uri(request, uri, &refusal);
		visit_free(visit);
		return;
	}
	visit->asked.hit = look(visit) != FINDING_NOTHING;
	if (!answer_if_found(visit, true))
		wait(visit);
}

void resource_answer(struct site_request *request)
{
	struct query query;
	struct refusal refusal;

	if (!query_read(&query, request->head, &refusal))
		http_refuse(request->connection, 400, &refusal, request->headers);
	else if (query.stream)
		sse_answer(request->site->sse, request, &query);
	else
		answer_once(request, &query);
}
