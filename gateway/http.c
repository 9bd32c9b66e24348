#include "gateway/http.h"

#include "common/list.h"
#include "common/memory.h"
#include "gateway/text.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum http_state {
	HTTP_READING,   /* waits for a head */
	HTTP_ANSWERING, /* a request is under way: somebody has to answer it */
	HTTP_SENDING,   /* the rest of an answer */
	HTTP_STREAMING, /* what its stream sends */
	HTTP_LINGERING, /* has said its last, reads what still comes */
	HTTP_CLOSING,   /* uv_close() was called */
};

struct http {
	uv_loop_t *loop;
	struct clock *clock;
	struct http_events events;
	void *user;
	struct list connections;
	bool draining;
	char bytes[HEAD_BYTES_MAX]; /* the head being looked at */
	struct head head;
};

struct http_connection {
	struct http *http;
	struct list link;
	uv_poll_t poll;
	int fd;
	int events; /* that are polled for */
	enum http_state state;
	struct clock_timer timer; /* of the state */
	struct http_waiter *waiter;
	struct http_stream *stream;
	size_t head_length; /* of the request under way, not yet taken; 0: taken */
	size_t head_seen;   /* bytes of the next one that have come */
	bool head_only;     /* a HEAD */
	bool close;         /* after the answer */
	struct network_address address;
	struct peer *peer; /* that it counts for, or NULL */
	bool served;       /* an answer before */
	bool handed_over;
	bool stream_blocked; /* it did not take all that the stream sent */
	bool stream_ended;
	struct taking taking; /* of an answer, or a stream */

	struct text head; /* of the answer */
	struct bytes body;
	struct frame *frame; /* that the body lies in, or */
	char *copy;          /* where there is none */
	size_t sent;
};

static const struct {
	unsigned status;
	const char *reason;
} reasons[] = {
	{200, "OK"},
	{204, "No Content"},
	{304, "Not Modified"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{410, "Gone"},
	{426, "Upgrade Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
};

static const char *reason_of(unsigned status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Error";
}

/* ---- the connection ---- */

static void on_closed(uv_handle_t *handle)
{
	struct http_connection *connection =
		container_of((uv_poll_t *)handle, struct http_connection, poll);
	struct http *http = connection->http;
	bool handed_over = connection->handed_over;

	if (!handed_over)
		close(connection->fd);
	list_remove(&connection->link);
	free(connection);
	if (!handed_over)
		http->events.on_closed(http->user);
}

static void drop_answer(struct http_connection *connection)
{
	text_fini(&connection->head);
	frame_release(connection->frame);
	free(connection->copy);
	connection->frame = NULL;
	connection->copy = NULL;
	connection->body = (struct bytes){NULL, 0};
	connection->sent = 0;
}

static void close_connection(struct http_connection *connection)
{
	struct http_waiter *waiter = connection->waiter;
	struct http_stream *stream = connection->stream;

	if (connection->state == HTTP_CLOSING)
		return;
	connection->state = HTTP_CLOSING;
	connection->waiter = NULL;
	connection->stream = NULL;
	clock_timer_stop(&connection->timer);
	drop_answer(connection);
	peer_release(connection->peer);
	connection->peer = NULL;
	uv_close((uv_handle_t *)&connection->poll, on_closed);
	if (waiter != NULL)
		waiter->on_gone(waiter);
	if (stream != NULL)
		stream->on_gone(stream);
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Each start costs two system calls, so nothing is started that runs. */
static void poll_for(struct http_connection *connection, int events)
{
	if (connection->events == events)
		return;
	connection->events = events;
	uv_poll_start(&connection->poll, events, on_poll);
}

/* The only writer of connection->state, but for closing. */
static void enter(struct http_connection *connection, enum http_state state,
	int64_t patience_ms, int events)
{
	if (connection->state == HTTP_CLOSING)
		return;
	connection->state = state;
	clock_timer_start_in(&connection->timer, patience_ms);
	poll_for(connection, events);
}

static bool takes_slowly(struct http_connection *connection)
{
	taking_look(&connection->taking, connection->fd);
	return connection->taking.took;
}

static void on_timer(struct clock_timer *timer)
{
	struct http_connection *connection =
		container_of(timer, struct http_connection, timer);
	struct http_waiter *waiter = connection->waiter;

	if (waiter != NULL)
		waiter->on_patience(waiter);
	else if (connection->state == HTTP_SENDING && takes_slowly(connection))
		clock_timer_start_in(&connection->timer, HTTP_SLOW_MS);
	else
		close_connection(connection);
}

const struct network_address *http_address(const struct http_connection *connection)
{
	return &connection->address;
}

bool http_count_for(struct http_connection *connection, struct peers *peers,
	const struct network_address *client, uint32_t most)
{
	struct peer *before = connection->peer;

	/* Given back first: it may be the same one's last. */
	connection->peer = NULL;
	peer_release(before);
	connection->peer = peers_hold(peers, client, most);
	return connection->peer != NULL;
}

/* ---- answering ---- */

static void write_head(struct http_connection *connection, const struct answer *answer)
{
	struct text *head = &connection->head;

	text_add_words(head, "HTTP/1.1 ");
	text_add_number(head, answer->status);
	text_add_words(head, " ");
	text_add_words(head, reason_of(answer->status));
	/* What comes from upstream must never run as a page of ours. */
	text_add_words(head, "\r\nX-Content-Type-Options: nosniff\r\n");
	if (answer->type != NULL) {
		text_add_words(head, "Content-Type: ");
		text_add_words(head, answer->type);
		text_add_words(head, "\r\n");
	}
	/* RFC 9110, 8.6: neither has a body, and a length would be that of one. That of a
	 * stream ends with the connection (RFC 9112, 6.3). */
	if (answer->status != 304 && answer->status != 204 &&
		connection->stream == NULL) {
		text_add_words(head, "Content-Length: ");
		text_add_number(head, answer->body.length);
		text_add_words(head, "\r\n");
	}
	if (answer->headers != NULL)
		text_add_words(head, answer->headers);
	if (connection->close)
		text_add_words(head, "Connection: close\r\n");
	text_add_words(head, "\r\n");
}

static size_t unsent(const struct http_connection *connection)
{
	return connection->head.length + connection->body.length - connection->sent;
}

/* Sends what the socket takes. Returns 0, or -errno where the connection is broken. */
static int push(struct http_connection *connection)
{
	size_t head_length = connection->head.length;
	size_t head_sent =
		connection->sent < head_length ? connection->sent : head_length;
	size_t body_sent = connection->sent - head_sent;
	struct iovec parts[2] = {
		{connection->head.start + head_sent, head_length - head_sent},
		{(char *)connection->body.start + body_sent,
			connection->body.length - body_sent}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t sent = sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
	connection->sent += (size_t)sent;
	return 0;
}

/* Makes the body last as long as it takes to send it. */
static int hold_body(struct http_connection *connection, const struct answer *answer)
{
	if (connection->body.length == 0 || answer->lasting)
		return 0;
	if (answer->frame != NULL) {
		connection->frame = frame_keep(answer->frame);
		return 0;
	}
	connection->copy = malloc(connection->body.length);
	if (connection->copy == NULL)
		return -ENOMEM;
	memcpy(connection->copy, connection->body.start, connection->body.length);
	connection->body.start = connection->copy;
	return 0;
}

static void await_request(struct http_connection *connection)
{
	connection->head_seen = 0;
	enter(connection, HTTP_READING, HTTP_IDLE_MS, UV_READABLE);
}

static void answered(struct http_connection *connection)
{
	drop_answer(connection);
	if (!connection->close) {
		await_request(connection);
		return;
	}
	/* Closing with bytes unread would reset the connection, and the answer with it.
	 */
	shutdown(connection->fd, SHUT_WR);
	enter(connection, HTTP_LINGERING, HTTP_LINGER_MS, UV_READABLE);
}

void http_answer(struct http_connection *connection, const struct answer *answer)
{
	int r;

	assert(connection->state == HTTP_ANSWERING);
	connection->waiter = NULL;
	connection->close |= answer->close || connection->http->draining;
	connection->served = true;
	write_head(connection, answer);
	if (!connection->head_only)
		connection->body = answer->body;
	r = connection->head.failed ? -ENOMEM : push(connection);
	if (r == 0 && unsent(connection) == 0) {
		answered(connection);
		return;
	}
	if (r == 0)
		r = hold_body(connection, answer);
	if (r < 0) {
		close_connection(connection);
		return;
	}
	taking_look(&connection->taking, connection->fd);
	enter(connection, HTTP_SENDING, HTTP_SLOW_MS, UV_WRITABLE);
}

void http_refuse(struct http_connection *connection, unsigned status,
	const struct refusal *refusal, const char *headers)
{
	struct text body = {0};

	text_add_words(&body, "{\"error\":");
	refusal_write(refusal, &body);
	text_add_words(&body, "}\n");
	if (body.failed)
		close_connection(connection);
	else
		http_answer(connection,
			&(struct answer){.status = status,
				.type = "application/json",
				.headers = headers,
				.body = {body.start, body.length}});
	text_fini(&body);
}

void http_wait(struct http_connection *connection, struct http_waiter *waiter,
	int64_t patience_ms)
{
	assert(connection->state == HTTP_ANSWERING);
	connection->waiter = waiter;
	enter(connection, HTTP_ANSWERING, patience_ms, UV_DISCONNECT);
}

/* ---- streams ---- */

/* Not at once: whoever sends may be in the middle of something. */
void http_stream_end(struct http_connection *connection)
{
	connection->stream_ended = true;
	clock_timer_start_in(&connection->timer, 0);
}

void http_begin_stream(struct http_connection *connection, const struct answer *answer,
	struct http_stream *stream)
{
	assert(connection->state == HTTP_ANSWERING);
	connection->stream = stream;
	connection->close = true;
	write_head(connection, answer);
	connection->state = HTTP_STREAMING;
	clock_timer_stop(&connection->timer);
	if (connection->head.failed || push(connection) < 0)
		http_stream_end(connection);
	if (unsent(connection) == 0)
		drop_answer(connection);
	connection->stream_blocked = unsent(connection) > 0;
	poll_for(connection,
		connection->stream_blocked ? UV_DISCONNECT | UV_WRITABLE : UV_DISCONNECT);
}

size_t http_stream_send(
	struct http_connection *connection, const struct iovec *parts, size_t count)
{
	struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
	size_t length = 0;
	ssize_t sent;

	assert(connection->state == HTTP_STREAMING);
	if (connection->stream_ended || unsent(connection) > 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		length += parts[i].iov_len;
	sent = sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
		http_stream_end(connection);
		return 0;
	}
	if (sent < 0)
		sent = 0;
	if ((size_t)sent < length) {
		connection->stream_blocked = true;
		poll_for(connection, UV_DISCONNECT | UV_WRITABLE);
	}
	return (size_t)sent;
}

const struct taking *http_stream_look(struct http_connection *connection)
{
	taking_look(&connection->taking, connection->fd);
	return &connection->taking;
}

/* Polls for no more than it must: each change of mind costs system calls. */
static void stream_more(struct http_connection *connection)
{
	if (unsent(connection) > 0) {
		if (push(connection) < 0)
			http_stream_end(connection);
		if (unsent(connection) > 0)
			return;
		drop_answer(connection);
	}
	connection->stream_blocked = false;
	connection->stream->on_writable(connection->stream);
	if (!connection->stream_blocked)
		poll_for(connection, UV_DISCONNECT);
}

static void on_stream_event(struct http_connection *connection, int events)
{
	if ((events & UV_DISCONNECT) != 0)
		close_connection(connection);
	else if (!connection->stream_ended)
		stream_more(connection);
}

int http_hand_over(struct http_connection *connection, struct peer **peer)
{
	int fd = connection->fd;

	*peer = connection->peer;
	connection->peer = NULL;
	connection->handed_over = true;
	close_connection(connection);
	return fd;
}

static void send_more(struct http_connection *connection)
{
	size_t before = connection->sent;

	if (push(connection) < 0)
		close_connection(connection);
	else if (unsent(connection) == 0)
		answered(connection);
	else if (connection->sent > before)
		clock_timer_start_in(&connection->timer, HTTP_SLOW_MS);
}

/* ---- reading ---- */

/* The socket stays quiet until there is more than @bytes to read. */
static void await_more_than(struct http_connection *connection, size_t bytes)
{
	int mark = (int)bytes + 1;

	setsockopt(connection->fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
}

static void take_head(struct http_connection *connection)
{
	/* For TCP, MSG_TRUNC throws the bytes away. */
	if (connection->head_length > 0 &&
		recv(connection->fd, NULL, connection->head_length, MSG_TRUNC) < 0)
		close_connection(connection);
	connection->head_length = 0;
}

static void refuse_head(
	struct http_connection *connection, unsigned status, const char *why)
{
	struct refusal refusal;

	connection->close = true;
	refusal_set(&refusal, "bad_request", "%s", why);
	http_refuse(connection, status, &refusal, NULL);
}

static void on_head(struct http_connection *connection, size_t length)
{
	struct http *http = connection->http;
	const char *wrong = head_parse(&http->head, http->bytes, length);

	if (connection->head_seen > 0)
		await_more_than(connection, 0);
	connection->state = HTTP_ANSWERING;
	connection->head_length = length;
	connection->head_only = wrong == NULL && http->head.method == HEAD_METHOD_HEAD;
	/* Nothing here takes a body: what follows one that was not read is not a request.
	 */
	connection->close =
		wrong != NULL || !http->head.keep_alive || http->head.has_body;
	if (wrong != NULL)
		refuse_head(connection, 400, wrong);
	else
		http->events.on_request(connection, &http->head, http->user);
	assert(connection->state != HTTP_ANSWERING || connection->waiter != NULL);
	if (!connection->handed_over && connection->state != HTTP_CLOSING)
		take_head(connection);
}

static void on_half_head(struct http_connection *connection, size_t length)
{
	if (length == HEAD_BYTES_MAX) {
		await_more_than(connection, 0);
		connection->state = HTTP_ANSWERING;
		refuse_head(connection, 431, "the head of the request is above 16 KiB");
		return;
	}
	/* Woken for nothing more than was there: the client has closed its side. */
	if (length == connection->head_seen) {
		close_connection(connection);
		return;
	}
	if (connection->head_seen == 0)
		clock_timer_start_in(&connection->timer, HTTP_HEAD_MS);
	connection->head_seen = length;
	await_more_than(connection, length);
}

static void read_head(struct http_connection *connection)
{
	char *bytes = connection->http->bytes;
	ssize_t length =
		recv(connection->fd, bytes, HEAD_BYTES_MAX, MSG_PEEK | MSG_DONTWAIT);
	size_t head;

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length <= 0) {
		close_connection(connection);
		return;
	}
	head = head_length(bytes, (size_t)length);
	if (head > 0)
		on_head(connection, head);
	else
		on_half_head(connection, (size_t)length);
}

static void read_away(struct http_connection *connection)
{
	ssize_t length = recv(connection->fd, NULL, 1 << 20, MSG_TRUNC | MSG_DONTWAIT);

	if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR))
		close_connection(connection);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct http_connection *connection =
		container_of(poll, struct http_connection, poll);

	if (status < 0) {
		close_connection(connection);
		return;
	}
	switch (connection->state) {
	case HTTP_READING:
		read_head(connection);
		break;
	case HTTP_ANSWERING: /* only asked whether the client is still there */
		close_connection(connection);
		break;
	case HTTP_SENDING:
		send_more(connection);
		break;
	case HTTP_STREAMING:
		on_stream_event(connection, events);
		break;
	case HTTP_LINGERING:
		read_away(connection);
		break;
	case HTTP_CLOSING:
		break;
	}
}

/* ---- the whole ---- */

struct http *http_new(uv_loop_t *loop, struct clock *clock,
	const struct http_events *events, void *user)
{
	struct http *http = xcalloc(1, sizeof(*http));

	http->loop = loop;
	http->clock = clock;
	http->events = *events;
	http->user = user;
	list_init(&http->connections);
	return http;
}

void http_drain(struct http *http)
{
	http->draining = true;
	list_each (link, &http->connections) {
		struct http_connection *connection =
			container_of(link, struct http_connection, link);

		/* Whoever has only just come is told by an answer. */
		if (connection->state == HTTP_READING && connection->served &&
			connection->head_seen == 0)
			close_connection(connection);
	}
}

size_t http_drain_waiters(struct http *http, size_t most)
{
	size_t told = 0;

	list_each (link, &http->connections) {
		struct http_waiter *waiter =
			container_of(link, struct http_connection, link)->waiter;

		if (told == most)
			break;
		if (waiter == NULL)
			continue;
		waiter->on_drain(waiter);
		told++;
	}
	return told;
}

void http_close_all(struct http *http)
{
	list_each (link, &http->connections)
		close_connection(container_of(link, struct http_connection, link));
}

void http_free(struct http *http)
{
	free(http);
}

void http_serve(struct http *http, int fd)
{
	struct http_connection *connection = xcalloc(1, sizeof(*connection));

	connection->http = http;
	connection->fd = fd;
	if (uv_poll_init(http->loop, &connection->poll, fd) < 0) {
		close(fd);
		free(connection);
		http->events.on_closed(http->user);
		return;
	}
	network_address_of_peer(&connection->address, fd);
	list_append(&http->connections, &connection->link);
	clock_timer_init(&connection->timer, http->clock, on_timer);
	/* The first request has to come as quickly as the rest of any other. */
	enter(connection, HTTP_READING, HTTP_HEAD_MS, UV_READABLE);
}
