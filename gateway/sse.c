#include "gateway/sse.h"

#include "common/memory.h"
#include "common/random.h"
#include "gateway/sse_event.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define WALK_MS 1000
#define BEATS_PER_WALK 1000 /* a herd of streams does not beat all at once */

struct sse {
	struct client_shared *shared;
	struct clock_timer walk;
	struct list streams;
};

struct stream {
	struct client client;
	struct http_stream http;
	struct http_connection *connection;
	struct sse *sse;
	struct list in_all;
	struct sse_event event; /* on its way */
	bool ending;            /* after the event on its way, and a last word */
	bool last_word_said;
	bool outstanding;       /* the client may not have taken all that was sent */
	int64_t moved_at_ms;    /* when it last took something, or began to have to */
};

/* ---- sending ---- */

static void begin_to_send(struct stream *stream)
{
	if (stream->outstanding)
		return;
	stream->outstanding = true;
	stream->moved_at_ms = clock_now_ms(stream->sse->shared->clock);
}

static size_t length_of(const struct iovec *parts, size_t count)
{
	size_t length = 0;

	for (size_t i = 0; i < count; i++)
		length += parts[i].iov_len;
	return length;
}

/* Sends of the event what the client takes. */
static void push(struct stream *stream)
{
	struct iovec parts[SSE_EVENT_PARTS_MAX];

	while (sse_event_busy(&stream->event)) {
		size_t count =
			sse_event_parts(&stream->event, parts, SSE_EVENT_PARTS_MAX);
		size_t sent = http_stream_send(stream->connection, parts, count);

		sse_event_sent(&stream->event, sent);
		if (sent < length_of(parts, count))
			return;
	}
}

static void end(struct stream *stream)
{
	http_stream_end(stream->connection);
}

static int begin_event(struct stream *stream, struct frame *frame,
	const struct subscription *subscription)
{
	struct text versions = {0};
	int r;

	/* A state changes nothing of what the client holds. */
	if (subscription->version_given == subscription_version_owed(subscription))
		return sse_event_begin(&stream->event, frame, NULL);
	client_write_versions(&stream->client, subscription, &versions);
	text_add(&versions, "", 1);
	r = versions.failed ? -ENOMEM
			    : sse_event_begin(&stream->event, frame, versions.start);
	text_fini(&versions);
	return r;
}

static bool wire_send(struct client *client, struct frame *frame,
	const struct subscription *subscription)
{
	struct stream *stream = container_of(client, struct stream, client);

	if (stream->ending || sse_event_busy(&stream->event))
		return false;
	if (begin_event(stream, frame, subscription) < 0) {
		end(stream);
		return false;
	}
	begin_to_send(stream);
	push(stream);
	return true;
}

static void wire_drop(struct client *client, const char *reason)
{
	(void)reason;
	end(container_of(client, struct stream, client));
}

static const struct client_wire wire = {.send = wire_send, .drop = wire_drop};

static void send_text(struct stream *stream, const char *text)
{
	if (sse_event_begin_text(&stream->event, text) < 0) {
		end(stream);
		return;
	}
	begin_to_send(stream);
	push(stream);
}

/* How long the client shall wait before it connects again, for this once. */
static void send_retry(struct stream *stream, unsigned least_ms, unsigned most_ms)
{
	char retry[32];

	snprintf(retry, sizeof(retry), "retry: %u\n\n",
		least_ms + (unsigned)random_below(most_ms - least_ms + 1));
	send_text(stream, retry);
}

/* Nothing is on its way. */
static void go_on_ending(struct stream *stream)
{
	if (!stream->last_word_said) {
		stream->last_word_said = true;
		send_retry(stream, SSE_MOVE_LEAST_MS, SSE_MOVE_MOST_MS);
	}
	if (!sse_event_busy(&stream->event))
		end(stream);
}

/* ---- the stream ---- */

static void stream_free(struct stream *stream)
{
	metrics_add(stream->sse->shared->metrics, METRIC_CLIENTS_SSE, -1);
	client_fini(&stream->client);
	sse_event_fini(&stream->event);
	list_remove(&stream->in_all);
	free(stream);
}

static void on_writable(struct http_stream *http_stream)
{
	struct stream *stream = container_of(http_stream, struct stream, http);

	push(stream);
	if (sse_event_busy(&stream->event))
		return;
	if (stream->ending)
		go_on_ending(stream);
	else
		client_flush(&stream->client);
}

static void on_gone(struct http_stream *http_stream)
{
	stream_free(container_of(http_stream, struct stream, http));
}

static struct stream *stream_new(struct sse *sse, struct http_connection *connection)
{
	struct stream *stream = xcalloc(1, sizeof(*stream));

	stream->sse = sse;
	stream->connection = connection;
	stream->http = (struct http_stream){on_writable, on_gone};
	client_init(&stream->client, sse->shared, &wire, false, true);
	list_append(&sse->streams, &stream->in_all);
	metrics_add(sse->shared->metrics, METRIC_CLIENTS_SSE, 1);
	return stream;
}

static bool subscribe(struct stream *stream, struct bytes uri,
	const struct client_wish *wish, struct refusal *refusal)
{
	uint32_t before = stream->client.hold_count;
	struct address address;

	if (!query_parse_address(refusal, &address, uri) ||
		!client_subscribe(&stream->client, &address, wish, refusal))
		return false;
	if (stream->client.hold_count > before)
		return true;
	refusal_set(refusal, "bad_request", "the address stands more than once");
	return false;
}

/* False after an answer that says why not: a stream has all its addresses or is none. */
static bool subscribe_all(
	struct stream *stream, struct site_request *request, const struct query *query)
{
	struct client_wish wish = {
		.interval_ms = query->interval_ms, .patches = query->patches};
	struct bytes cursor = {query->cursor, query->cursor_length};
	struct bytes uris = query->uris, uri;
	struct refusal refusal;

	while (query_next_uri(&uris, &uri)) {
		wish.since = query_next_version(&cursor);
		if (subscribe(stream, uri, &wish, &refusal))
			continue;
		site_refuse_uri(request, uri, &refusal);
		return false;
	}
	return true;
}

static void begin_stream(struct stream *stream, struct site_request *request)
{
	static const char format[] =
		"%sCache-Control: no-store\r\nX-Accel-Buffering: no\r\n";
	char headers[sizeof(request->headers) + sizeof(format)];

	snprintf(headers, sizeof(headers), format, request->headers);
	http_begin_stream(stream->connection,
		&(struct answer){
			.status = 200, .type = "text/event-stream", .headers = headers},
		&stream->http);
	send_retry(stream, SSE_RETRY_LEAST_MS, SSE_RETRY_MOST_MS);
	client_flush(&stream->client);
}

void sse_answer(struct sse *sse, struct site_request *request, const struct query *query)
{
	struct stream *stream = stream_new(sse, request->connection);

	if (subscribe_all(stream, request, query))
		begin_stream(stream, request);
	else
		stream_free(stream);
}

size_t sse_drain(struct sse *sse, size_t most)
{
	size_t told = 0;

	list_each (link, &sse->streams) {
		struct stream *stream = container_of(link, struct stream, in_all);

		if (told == most)
			break;
		if (stream->ending)
			continue;
		stream->ending = true;
		/* Out of the way of the next turn. */
		list_remove(link);
		list_append(&sse->streams, link);
		if (!sse_event_busy(&stream->event))
			go_on_ending(stream);
		told++;
	}
	return told;
}

/* ---- the walk ---- */

static void look_whether_it_takes(struct stream *stream, int64_t at_ms)
{
	const struct taking *taking = http_stream_look(stream->connection);

	if (taking->took)
		stream->moved_at_ms = at_ms;
	stream->outstanding = taking->left || sse_event_busy(&stream->event);
}

static void drop_slow(struct stream *stream)
{
	metrics_add(stream->sse->shared->metrics, METRIC_SLOW_CLOSED, 1);
	end(stream);
}

/* Returns the beats sent. Whoever has something to take gets none, dead or slow. */
static int look_after(struct stream *stream, int64_t at_ms, bool may_beat)
{
	if (stream->outstanding)
		look_whether_it_takes(stream, at_ms);
	if (stream->outstanding && at_ms - stream->moved_at_ms >= SSE_SLOW_MS)
		drop_slow(stream);
	if (stream->outstanding || !may_beat || at_ms - stream->moved_at_ms < SSE_BEAT_MS)
		return 0;
	send_text(stream, ":\n\n");
	return 1;
}

static void on_walk(struct clock_timer *timer)
{
	struct sse *sse = container_of(timer, struct sse, walk);
	int64_t at_ms = clock_now_ms(sse->shared->clock);
	int beats = 0;

	list_each (link, &sse->streams)
		beats += look_after(container_of(link, struct stream, in_all), at_ms,
			beats < BEATS_PER_WALK);
	clock_timer_start_in(&sse->walk, WALK_MS);
}

/* ---- the whole ---- */

struct sse *sse_new(struct client_shared *shared)
{
	struct sse *sse = xcalloc(1, sizeof(*sse));

	sse->shared = shared;
	list_init(&sse->streams);
	clock_timer_init(&sse->walk, shared->clock, on_walk);
	clock_timer_start_in(&sse->walk, WALK_MS);
	return sse;
}

void sse_free(struct sse *sse)
{
	if (sse == NULL)
		return;
	clock_timer_stop(&sse->walk);
	free(sse);
}
