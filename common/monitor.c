#include "common/monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/listener.h"
#include "common/memory.h"
#include "common/web.h"

/* Operators are few; whoever else finds the port takes no more than this. */
#define CONNECTIONS_MAX 64
#define HEADER_BYTES_MAX 2048
#define REQUEST_TIMEOUT_S 5
#define KEEPALIVE_S 75 /* above the usual 60 s between two scrapes */

struct monitor {
	struct monitor_events events;
	void *user;
	struct listener *listener;
	struct web *web;
	struct lws_protocols protocols[2];
};

/* One answer on its way, per connection. */
struct session {
	char *body; /* behind LWS_PRE bytes; NULL while there is none to write */
	size_t length;
};

/* ---- answering ---- */

static void drop_body(struct session *session)
{
	if (!session)
		return;
	free(session->body);
	session->body = NULL;
}

static int write_headers(
	struct lws *wsi, const struct session *session, unsigned status, const char *type)
{
	unsigned char buffer[LWS_PRE + 512];
	unsigned char *start = buffer + LWS_PRE, *at = start;
	unsigned char *end = buffer + sizeof(buffer) - 1;
	static const char no_store[] = "no-store";

	if (lws_add_http_common_headers(wsi, status, type, session->length, &at, end))
		return -1;
	if (lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_CACHE_CONTROL,
		    (const unsigned char *)no_store, sizeof(no_store) - 1, &at, end))
		return -1;
	return lws_finalize_write_http_header(wsi, start, &at, end);
}

/* Returns what the libwebsockets callback returns: -1 ends the connection. */
static int answer(struct lws *wsi, struct session *session, unsigned status,
	const char *type, const char *text, size_t length)
{
	drop_body(session);
	session->length = length;
	if (write_headers(wsi, session, status, type))
		return -1;
	session->body = xcalloc(LWS_PRE + length + 1, 1);
	memcpy(session->body + LWS_PRE, text, length);
	lws_callback_on_writable(wsi);
	return 0;
}

/* At once and for good: whatever else comes on this connection is not read. */
static int refuse(struct lws *wsi, unsigned status)
{
	lws_return_http_status(wsi, status, NULL);
	return -1;
}

static int answer_line(
	struct lws *wsi, struct session *session, unsigned status, const char *line)
{
	char text[512];
	int length = snprintf(text, sizeof(text), "%.500s\n", line);

	return answer(
		wsi, session, status, "text/plain; charset=utf-8", text, (size_t)length);
}

static int answer_metrics(
	struct monitor *monitor, struct lws *wsi, struct session *session)
{
	size_t length;
	char *text = monitor->events.metrics(&length, monitor->user);
	int r;

	r = answer(wsi, session, HTTP_STATUS_OK,
		"text/plain; version=0.0.4; charset=utf-8", text, length);
	free(text);
	return r;
}

static int on_request(struct monitor *monitor, struct lws *wsi, struct session *session)
{
	const char *reason;
	char *uri;
	int length, method = lws_http_get_uri_and_method(wsi, &uri, &length);

	if (method != LWSHUMETH_GET)
		return refuse(wsi, HTTP_STATUS_METHOD_NOT_ALLOWED);
	if (strcmp(uri, "/metrics") == 0)
		return answer_metrics(monitor, wsi, session);
	if (strcmp(uri, "/healthz") == 0)
		return answer_line(wsi, session, HTTP_STATUS_OK, "ok");
	if (strcmp(uri, "/readyz") != 0)
		return answer_line(wsi, session, HTTP_STATUS_NOT_FOUND,
			"here are /healthz, /readyz and /metrics");
	reason = monitor->events.not_ready(monitor->user);
	return answer_line(wsi, session,
		reason ? HTTP_STATUS_SERVICE_UNAVAILABLE : HTTP_STATUS_OK,
		reason ? reason : "ready");
}

static int on_writable(struct lws *wsi, struct session *session)
{
	int written;

	if (!session->body)
		return 0;
	/* What the socket does not take now, libwebsockets keeps and sends. */
	written = lws_write(wsi, (unsigned char *)session->body + LWS_PRE,
		session->length, LWS_WRITE_HTTP_FINAL);
	drop_body(session);
	return written < 0 || lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* What is neither of these libwebsockets has answered by itself. */
static int refuse_upgrade(struct lws *wsi, const char *protocol)
{
	if (strcasecmp(protocol, "websocket") == 0 || strcasecmp(protocol, "h2c") == 0)
		return refuse(wsi, HTTP_STATUS_FORBIDDEN);
	return -1;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	void *in, size_t length)
{
	struct monitor *monitor = lws_context_user(lws_get_context(wsi));
	struct session *session = user;

	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return on_request(monitor, wsi, session);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return on_writable(wsi, session);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return refuse_upgrade(wsi, in);
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
		drop_body(session);
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, length);
	}
}

/* ---- public ---- */

static void on_accept(int fd, void *user)
{
	web_adopt(((struct monitor *)user)->web, fd);
}

struct monitor *monitor_new(uv_loop_t *loop, const char *listen,
	const struct monitor_events *events, void *user, const char **error)
{
	struct monitor *monitor = xcalloc(1, sizeof(*monitor));
	struct lws_context_creation_info info = {
		.protocols = monitor->protocols,
		.user = monitor,
		.server_string = "uricast",
		.max_http_header_data = HEADER_BYTES_MAX,
		.max_http_header_pool = CONNECTIONS_MAX,
		.fd_limit_per_thread = CONNECTIONS_MAX,
		.timeout_secs = REQUEST_TIMEOUT_S,
		.keepalive_timeout = KEEPALIVE_S,
	};

	monitor->events = *events;
	monitor->user = user;
	monitor->protocols[0] = (struct lws_protocols){.name = "http",
		.callback = on_event,
		.per_session_data_size = sizeof(struct session)};
	monitor->listener = listener_new(loop, listen, on_accept, monitor, error);
	if (!monitor->listener) {
		free(monitor);
		return NULL;
	}
	monitor->web = web_new(loop, &info, error);
	if (!monitor->web) {
		listener_free(monitor->listener);
		free(monitor);
		return NULL;
	}
	return monitor;
}

void monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return;
	listener_free(monitor->listener);
	web_free(monitor->web, free, monitor);
}
