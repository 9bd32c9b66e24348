#include "gateway/server.h"

#include "common/list.h"
#include "common/listener.h"
#include "common/log.h"
#include "common/memory.h"
#include "gateway/connection.h"
#include "gateway/fleet_page.h"
#include "gateway/site.h"
#include "gateway/sse.h"
#include "gateway/websocket.h"

#include <libwebsockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define STOP_MS 2000      /* for clients to take their close frames */
#define STOP_CHECK_MS 20  /* between two looks whether they have */
#define CLOSING_TURNS 100 /* of the loop, in which libwebsockets closes its handles */

/* What the kernel may hold of a client's unread frames: more, and a slow client would get
 * old states for long before conflation begins. */
#define UNSENT_MAX_BYTES (16 << 10)
#define SEND_BUFFER_BYTES (64 << 10) /* bounds what is sent and unacknowledged, too */

#define FILES_MOST (1u << 20)
#define HANDSHAKE_HEAD_MAX 17000 /* HEAD_BYTES_MAX, and what the parser adds */

struct server {
	struct server_settings settings;
	struct client_shared shared;
	struct http *http;
	struct site site;
	struct websockets *websockets;
	struct listener *listener;
	struct lws_context *context;
	struct lws_vhost *vhost;
	uint32_t client_count;
	struct list connections; /* that libwebsockets has, or failed to take */

	struct clock_timer stopping;
	int64_t stop_by_ms;
	void (*on_stopped)(void *user);
	void *on_stopped_user;
};

static char error_text[256];

/* ---- counting ---- */

static void count_clients(struct server *server, int change)
{
	server->client_count += (uint32_t)change;
	metrics_set(server->settings.metrics, METRIC_CLIENTS, server->client_count);
}

static void on_http_closed(void *user)
{
	count_clients(container_of((struct site *)user, struct server, site), -1);
}

/* ---- what libwebsockets tells ---- */

/* Only what upgrade.c judged comes here; anything else is read differently by the two. */
static int on_confirm_upgrade(struct connection *connection, void *in, size_t length)
{
	char upgrade[32];

	(void)in; /* in 4.1.6 it may point to freed memory */
	(void)length;
	if (lws_hdr_copy(connection->wsi, upgrade, sizeof(upgrade), WSI_TOKEN_UPGRADE) <=
		0)
		return -1;
	return strcasecmp(upgrade, "websocket") == 0 ? 0 : -1;
}

static int on_not_ours(struct connection *connection, void *in, size_t length)
{
	(void)connection;
	(void)in;
	(void)length;
	return -1;
}

static int on_established(struct connection *connection, void *in, size_t length)
{
	(void)in;
	(void)length;
	connection->websocket = websocket_new(connection->server->websockets, connection,
		connection->single, connection->authenticated);
	return 0;
}

static int on_received(struct connection *connection, void *in, size_t length)
{
	if (connection->websocket == NULL)
		return -1;
	return websocket_on_received(connection->websocket, in, length);
}

static int on_pong(struct connection *connection, void *in, size_t length)
{
	(void)in;
	(void)length;
	if (connection->websocket == NULL)
		return -1;
	return websocket_on_pong(connection->websocket);
}

static int on_writable(struct connection *connection, void *in, size_t length)
{
	(void)in;
	(void)length;
	if (connection->websocket == NULL)
		return -1;
	return websocket_on_writable(connection->websocket);
}

static int on_peer_closes(struct connection *connection, void *in, size_t length)
{
	if (connection->websocket == NULL)
		return 0;
	return websocket_on_peer_closes(connection->websocket, in, length);
}

static int on_closed(struct connection *connection, void *in, size_t length)
{
	(void)in;
	(void)length;
	websocket_free(connection->websocket);
	connection->websocket = NULL;
	return 0;
}

static int on_destroyed(struct connection *connection, void *in, size_t length)
{
	struct server *server = connection->server;

	on_closed(connection, in, length);
	if (!connection->failed)
		count_clients(server, -1);
	list_remove(&connection->in_server);
	free(connection);
	return 0;
}

typedef int (*reason_fn)(struct connection *connection, void *in, size_t length);

static const reason_fn reason_handlers[] = {
	[LWS_CALLBACK_HTTP] = on_not_ours,
	[LWS_CALLBACK_RAW_ADOPT] = on_not_ours,
	[LWS_CALLBACK_RAW_RX] = on_not_ours,
	[LWS_CALLBACK_HTTP_CONFIRM_UPGRADE] = on_confirm_upgrade,
	[LWS_CALLBACK_ESTABLISHED] = on_established,
	[LWS_CALLBACK_RECEIVE] = on_received,
	[LWS_CALLBACK_RECEIVE_PONG] = on_pong,
	[LWS_CALLBACK_SERVER_WRITEABLE] = on_writable,
	[LWS_CALLBACK_WS_PEER_INITIATED_CLOSE] = on_peer_closes,
	[LWS_CALLBACK_CLOSED] = on_closed,
	[LWS_CALLBACK_WSI_DESTROY] = on_destroyed,
};

static int on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
	size_t length)
{
	struct connection *connection;

	(void)user;
	if ((size_t)reason >= sizeof(reason_handlers) / sizeof(reason_handlers[0]) ||
		reason_handlers[reason] == NULL)
		return 0;
	/* Its own pipe for waking up comes here too, and carries nothing. */
	connection = lws_get_opaque_user_data(wsi);
	if (connection == NULL)
		return 0;
	connection->wsi = wsi;
	return reason_handlers[reason](connection, in, length);
}

/* One entry serves all: a client's subprotocols are matched against these names. With the
 * small rx buffer a connection takes 1.5 KB; without the large tx packet every write
 * would be cut to it (docs/benchmarks.md). */
static const struct lws_protocols protocols[] = {
	{.name = "uricast.v1",
		.callback = on_lws,
		.rx_buffer_size = 128,
		.tx_packet_size = 1000000},
	{0},
};

/* Its pings are one sorted list: an accept would walk it. We ping ourselves. */
static const lws_retry_bo_t no_pings = {0};

static void on_lws_log(int level, const char *line)
{
	(void)level;
	/* Whatever it calls an error, clients can provoke. */
	log_debug("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

void connection_kill(struct connection *connection)
{
	lws_set_timeout(connection->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	/* Its timers run after its own events only. */
	lws_cancel_service(connection->server->context);
}

/* ---- from accept to WebSocket ---- */

static void limit_buffers(int fd)
{
	int unsent = UNSENT_MAX_BYTES, buffer = SEND_BUFFER_BYTES;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

static void on_websocket(int fd, bool single, bool authenticated, void *user)
{
	struct server *server = user;
	struct connection *connection = xcalloc(1, sizeof(*connection));
	lws_adopt_desc_t adoption = {.vh = server->vhost,
		.type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP,
		.fd = {.sockfd = fd},
		.opaque = connection};

	connection->server = server;
	connection->fd = fd;
	connection->single = single;
	connection->authenticated = authenticated;
	connection->failed = true; /* until it is taken: it may be destroyed before */
	list_append(&server->connections, &connection->in_server);
	count_clients(server, -1);
	/* One that fails is destroyed by a callback, now or later, or by no one: then it
	 * stays in the list. */
	if (lws_adopt_descriptor_vhost_via_info(&adoption) == NULL)
		return;
	connection->failed = false;
	count_clients(server, 1);
}

/* Unread and at once: whoever is too many must cost nothing. */
static void refuse_client(struct server *server, int fd)
{
	static const char answer[] =
		"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
		"Retry-After: 10\r\nConnection: close\r\n\r\n"
		"{\"error\":{\"code\":\"too_many_clients\","
		"\"message\":\"this gateway serves as many clients as it may\"}}\n";

	metrics_add(server->settings.metrics, METRIC_CLIENTS_REFUSED, 1);
	if (send(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		shutdown(fd, SHUT_WR);
	close(fd);
}

static void on_accept(int fd, void *user)
{
	struct server *server = user;

	if (server->client_count >= server->shared.limits.clients) {
		refuse_client(server, fd);
		return;
	}
	limit_buffers(fd);
	count_clients(server, 1);
	http_serve(server->http, fd);
}

/* ---- beginning ---- */

/* Its tables have an entry per file that may be open; below that limit, finding a
 * connection would be linear. So an endless limit is lowered instead. */
static unsigned file_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return 0;
	if (files.rlim_cur > FILES_MOST) {
		files.rlim_cur = FILES_MOST;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return (unsigned)files.rlim_cur;
}

static bool make_context(struct server *server)
{
	void *loops[] = {server->settings.loop};
	struct lws_context_creation_info info = {0};

	lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.protocols = protocols;
	info.gid = (gid_t)-1;
	info.uid = (uid_t)-1;
	info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_VALIDATE_UTF8;
	info.foreign_loops = loops;
	info.retry_and_idle_policy = &no_pings;
	info.timeout_secs = 10;
	info.max_http_header_data2 = HANDSHAKE_HEAD_MAX;
	info.fd_limit_per_thread = file_limit();
	server->context = lws_create_context(&info);
	if (server->context == NULL)
		return false;
	server->vhost = lws_get_vhost_by_name(server->context, "default");
	return server->vhost != NULL;
}

static void share(struct server *server, struct access *access)
{
	const struct server_settings *settings = &server->settings;

	server->shared = (struct client_shared){.clock = settings->clock,
		.relay = settings->relay,
		.access = access,
		.catalog = settings->config->catalog,
		.limits = settings->config->limits,
		.metrics = settings->metrics};
	document_init(&server->shared.document);
	server->site = (struct site){.shared = &server->shared,
		.membership = settings->membership,
		.sse = sse_new(&server->shared),
		.fleet = fleet_page_new(settings->redis, settings->clock),
		.on_websocket = on_websocket,
		.user = server};
	document_init(&server->site.document);
}

static struct access *read_access(const struct config *config, const char **error)
{
	struct access_settings settings = {.listen = config->listen,
		.origins = config->origins,
		.origin_count = config->origin_count,
		.token_file = config->token_file};

	return access_new(&settings, error);
}

static void fini(struct server *server)
{
	list_each (link, &server->connections)
		free(container_of(link, struct connection, in_server));
	websockets_free(server->websockets);
	sse_free(server->site.sse);
	fleet_page_free(server->site.fleet);
	http_free(server->http);
	access_free(server->shared.access);
	document_fini(&server->shared.document);
	document_fini(&server->site.document);
	free(server);
}

struct server *server_new(const struct server_settings *settings, const char **error)
{
	const struct http_events events = {site_on_request, on_http_closed};
	struct access *access = read_access(settings->config, error);
	struct server *server;

	if (access == NULL)
		return NULL;
	server = xcalloc(1, sizeof(*server));
	server->settings = *settings;
	list_init(&server->connections);
	share(server, access);
	server->http = http_new(settings->loop, settings->clock, &events, &server->site);
	server->websockets = websockets_new(&server->shared);
	if (!make_context(server)) {
		snprintf(error_text, sizeof(error_text),
			"libwebsockets cannot run on libuv: is its plugin for libuv "
			"installed "
			"(libwebsockets-evlib-uv)?");
		*error = error_text;
		fini(server);
		return NULL;
	}
	server->listener = listener_new(
		settings->loop, settings->config->listen, on_accept, server, error);
	if (server->listener == NULL) {
		lws_context_destroy(server->context);
		fini(server);
		return NULL;
	}
	return server;
}

bool server_reload(
	struct server *server, const struct config *config, const char **error)
{
	struct access *access = read_access(config, error);

	if (access == NULL)
		return false;
	access_free(server->shared.access);
	server->shared.access = access;
	server->shared.limits = config->limits;
	server_set_catalog(server, config->catalog);
	return true;
}

void server_set_catalog(struct server *server, const struct catalog *catalog)
{
	server->shared.catalog = catalog;
}

int server_port(const struct server *server)
{
	return listener_port(server->listener);
}

/* ---- the end ---- */

static void on_stopping(struct clock_timer *timer)
{
	struct server *server = container_of(timer, struct server, stopping);

	if (server->client_count > 0 &&
		clock_now_ms(server->settings.clock) < server->stop_by_ms) {
		clock_timer_start_in(&server->stopping, STOP_CHECK_MS);
		return;
	}
	server->on_stopped(server->on_stopped_user);
}

void server_stop(struct server *server, void (*on_stopped)(void *user), void *user)
{
	listener_free(server->listener);
	server->listener = NULL;
	http_close_all(server->http);
	websockets_go_away(server->websockets);
	server->on_stopped = on_stopped;
	server->on_stopped_user = user;
	server->stop_by_ms = clock_now_ms(server->settings.clock) + STOP_MS;
	clock_timer_init(&server->stopping, server->settings.clock, on_stopping);
	clock_timer_start_in(&server->stopping, STOP_CHECK_MS);
}

void server_free(struct server *server)
{
	if (server == NULL)
		return;
	clock_timer_stop(&server->stopping);
	/* Once to begin closing, once to free, and what it closed needs turns in between.
	 */
	lws_context_destroy(server->context);
	for (int i = 0; i < CLOSING_TURNS; i++)
		uv_run(server->settings.loop, UV_RUN_NOWAIT);
	lws_context_destroy(server->context);
	fini(server);
}
