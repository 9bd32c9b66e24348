#include "gateway/resource.h"

#include "common/instant.h"
#include "common/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_HEADER_MAX 512 /* bytes of an error object in a header */

/* How the answer is to look. */
struct asked {
	struct site *site;
	char *headers;       /* that every answer carries */
	char *if_none_match; /* as sent; "" where it was not */
	bool hit;            /* the content was here already */
};

/* A request whose content has to come first. */
struct wait {
	struct http_waiter waiter;
	struct http_connection *connection;
	struct subscription subscription;
	struct asked asked;
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
	struct frame *frame =
		subscription != NULL ? subscription_owed(subscription) : NULL;
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
	/* Only text that is UTF-8 becomes state. A browser runs none of it: see write_headers(). */
	snprintf(type, size, "%.*s; charset=utf-8", (int)media_type.length,
		media_type.start);
	return type;
}

static void answer_content(struct http_connection *connection, const struct asked *asked,
	struct topic *topic, struct subscription *subscription)
{
	struct text headers = {0};
	char type[128];
	struct answer answer = {
		.status = 200, .type = content_type(topic, type, sizeof(type)),
		.body = topic_content(topic)};

	write_headers(&headers, asked, topic);
	answer.headers = headers.failed ? NULL : headers.start;
	answer.frame = frame_around(subscription, answer.body);
	if (has_it_already(asked, topic))
		answer = (struct answer){.status = 304, .headers = answer.headers};
	http_answer(connection, &answer);
	text_fini(&headers);
}

/* 503 where the fleet is at fault, 502 where the upstream is. */
static unsigned failure_status(struct site *site, const struct topic *topic)
{
	static const char *const our_codes[] = {
		"no_poller", "redis_unavailable", "unconfirmed"};
	struct document *document = &site->document;
	struct bytes error = topic_error(topic);
	uint32_t code;

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

static void answer_failure(struct http_connection *connection, const struct asked *asked,
	const struct topic *topic)
{
	struct bytes error = topic_error(topic);
	struct text body = {0};

	text_add_words(&body, "{\"error\":");
	if (error.length > 0)
		text_add(&body, error.start, error.length);
	else
		text_add_words(&body, "{}");
	text_add_words(&body, "}\n");
	http_answer(connection,
		&(struct answer){.status = failure_status(asked->site, topic),
			.type = "application/json",
			.headers = asked->headers,
			.body = {body.start, body.failed ? 0 : body.length}});
	text_fini(&body);
}

/* Whether something can be said of @topic now. */
static bool is_settled(struct topic *topic)
{
	enum resource_state state = topic_state(topic);
	const char *doubt = topic_doubt_code(topic);

	if (topic_content(topic).start != NULL)
		return relay_has_read(topic);
	/* A slow upstream may still answer within the patience of who asks. */
	if (doubt != NULL && strcmp(doubt, "unconfirmed") == 0)
		return false;
	return relay_has_read(topic) &&
		(state == RESOURCE_ERROR || state == RESOURCE_GONE);
}

static void answer_settled(struct http_connection *connection, const struct asked *asked,
	struct topic *topic, struct subscription *subscription)
{
	bool gone = topic_state(topic) == RESOURCE_GONE;

	if (topic_content(topic).start != NULL && !gone)
		answer_content(connection, asked, topic, subscription);
	else
		answer_failure(connection, asked, topic);
}

/* ---- waiting ---- */

static void wait_free(struct wait *wait)
{
	topic_unsubscribe(&wait->subscription);
	free(wait->asked.headers);
	free(wait->asked.if_none_match);
	free(wait);
}

static void on_owed(struct subscription *subscription)
{
	struct wait *wait = container_of(subscription, struct wait, subscription);

	/* Has a content read that is owed and not here. */
	subscription_owed(subscription);
	if (!is_settled(subscription->topic))
		return;
	answer_settled(wait->connection, &wait->asked, subscription->topic, subscription);
	wait_free(wait);
}

static void on_patience(struct http_waiter *waiter)
{
	struct wait *wait = container_of(waiter, struct wait, waiter);
	struct refusal refusal;

	refusal_set(&refusal, "no_content", "no content came within 30 seconds");
	http_refuse(wait->connection, 504, &refusal, wait->asked.headers);
	wait_free(wait);
}

static void on_gone(struct http_waiter *waiter)
{
	wait_free(container_of(waiter, struct wait, waiter));
}

static char *copy_if_none_match(const struct head *head)
{
	struct bytes value = head_field(head, "if-none-match");
	char *copy = xcalloc(1, value.length + 1);

	if (value.length > 0)
		memcpy(copy, value.start, value.length);
	return copy;
}

static void wait_for(struct site_request *request, const struct address *address,
	const struct catalog_target *target)
{
	struct client_shared *shared = request->site->shared;
	struct wait *wait = xcalloc(1, sizeof(*wait));

	wait->waiter = (struct http_waiter){on_patience, on_gone};
	wait->connection = request->connection;
	wait->asked.site = request->site;
	wait->asked.headers = xstrdup(request->headers);
	wait->asked.if_none_match = copy_if_none_match(request->head);
	http_wait(request->connection, &wait->waiter, RESOURCE_PATIENCE_MS);
	if (topic_subscribe(relay_topics(shared->relay), address->text, target, 0,
		    &wait->subscription, on_owed) == TOPIC_OK) {
		on_owed(&wait->subscription);
		return;
	}
	site_refuse(request, 503, "too_many_addresses",
		"the gateway watches as many addresses of this provider as it may");
	wait_free(wait);
}

/* ---- asking ---- */

/* A second parameter is most likely the tail of an address that was not encoded. */
static void refuse_parameter(struct site_request *request, struct bytes name)
{
	char message[160];

	snprintf(message, sizeof(message),
		"unknown parameter \"%.*s\": the address after uri= must be "
		"percent-encoded",
		(int)(name.length < 64 ? name.length : 64), name.start);
	site_refuse(request, 400, "unknown_parameter", message);
}

/* Finds the one uri= in the query. False after an answer that says why not. */
static bool read_query(struct site_request *request, struct bytes *uri)
{
	struct bytes query = request->head->query, name, value;

	*uri = (struct bytes){NULL, 0};
	while (head_next_parameter(&query, &name, &value)) {
		if (!bytes_are(name, "uri")) {
			refuse_parameter(request, name);
			return false;
		}
		if (uri->start != NULL) {
			site_refuse(
				request, 400, "bad_request", "uri stands more than once");
			return false;
		}
		*uri = value;
	}
	if (uri->start != NULL)
		return true;
	site_refuse(request, 400, "bad_request", "the parameter uri is missing");
	return false;
}

static void answer_address(struct site_request *request, const struct address *address,
	const struct catalog_target *target)
{
	struct topic_table *topics = relay_topics(request->site->shared->relay);
	struct topic *topic = topic_find(topics, address->text, address->length);
	struct asked asked = {
		.site = request->site, .headers = request->headers, .hit = true};

	if (topic == NULL || !is_settled(topic)) {
		wait_for(request, address, target);
		return;
	}
	asked.if_none_match = copy_if_none_match(request->head);
	answer_settled(request->connection, &asked, topic, NULL);
	free(asked.if_none_match);
}

void resource_answer(struct site_request *request)
{
	char text[HEAD_BYTES_MAX];
	struct refusal refusal;
	struct address address;
	struct catalog_target target;
	struct bytes uri;
	long length;

	if (!read_query(request, &uri))
		return;
	length = head_decode(uri, text);
	if (length < 0) {
		site_refuse(request, 400, "bad_address",
			"a % without two hex digits in uri=");
		return;
	}
	if (!refusal_parse_address(&refusal, &address, text, (size_t)length))
		http_refuse(request->connection, 400, &refusal, request->headers);
	else if (!refusal_resolve(
			 &refusal, request->site->shared->catalog, &address, &target))
		http_refuse(request->connection,
			strcmp(refusal.code, "not_canonical") == 0        ? 400
				: strcmp(refusal.code, "raw_denied") == 0 ? 403
									  : 404,
			&refusal, request->headers);
	else
		answer_address(request, &address, &target);
}
