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

#define DRAINED_MS 2000   /* for clients to take what they were told, and go */
#define DRAIN_STEP_MS 50  /* between two times that some are told */
#define CLOSING_TURNS 100 /* of the loop, in which libwebsockets closes its handles */

/* What the kernel may hold of a client's unread frames: more, and a slow client would get
 * old states for long before conflation begins. */
#define UNSENT_MAX_BYTES (16 << 10)
#define SEND_BUFFER_BYTES (64 << 10) /* bounds what is sent and unacknowledged, too */

#define FILES_MOST (1u << 20)
#define HANDSHAKE_HEAD_MAX 17000 /* HEAD_BYTES_MAX, and what the parser adds */

enum drain_wire { DRAIN_WEBSOCKETS, DRAIN_STREAMS, DRAIN_WAITERS, DRAIN_WIRE_COUNT };

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

	struct clock_timer drain;
	int64_t drain_until_ms;            /* when the last is told to go */
	size_t to_drain[DRAIN_WIRE_COUNT]; /* as far as is known */
	void (*on_drained)(void *user);    /* NULL after it ran */
	void *on_drained_user;
};

static char error_text[256];

static void on_http_closed(void *user)
{
	container_of((struct site *)user, struct server, site)->client_count--;
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
		server->client_count--;
	peer_release(connection->peer);
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

static void on_websocket(const struct site_websocket *websocket, void *user)
{
	struct server *server = user;
	struct connection *connection = xcalloc(1, sizeof(*connection));
	lws_adopt_desc_t adoption = {.vh = server->vhost,
		.type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP,
		.fd = {.sockfd = websocket->fd},
		.opaque = connection};

	connection->server = server;
	connection->fd = websocket->fd;
	connection->client = websocket->client;
	connection->peer = websocket->peer;
	connection->single = websocket->single;
	connection->authenticated = websocket->authenticated;
	connection->failed = true; /* until it is taken: it may be destroyed before */
	list_append(&server->connections, &connection->in_server);
	server->client_count--;
	/* One that fails is destroyed by a callback, now or later, or by no one: then it
	 * stays in the list. */
	if (lws_adopt_descriptor_vhost_via_info(&adoption) == NULL)
		return;
	connection->failed = false;
	server->client_count++;
}

/* Unread and at once: whoever is too many must cost nothing. */
static void refuse_client(struct server *server, int fd)
{
	static const char answer[] =
		"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
		"Retry-After: 10\r\nConnection: close\r\n\r\n"
		"{\"error\":{\"code\":\"too_many_clients\","
		"\"message\":\"this gateway serves as many clients as it may\"}}\n";

	metrics_add(server->settings.metrics, METRIC_REFUSED_CAP, 1);
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
	server->client_count++;
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
		.peers = peers_new(),
		.fleet = fleet_page_new(settings->redis, settings->clock),
		.on_websocket = on_websocket,
		.user = server};
	document_init(&server->site.document);
	forwarded_trust_init(&server->site.trust, settings->config->trusted_proxies,
		settings->config->trusted_proxy_count);
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
	list_each (link, &server->connections) {
		struct connection *connection =
			container_of(link, struct connection, in_server);

		peer_release(connection->peer);
		free(connection);
	}
	websockets_free(server->websockets);
	sse_free(server->site.sse);
	fleet_page_free(server->site.fleet);
	http_free(server->http);
	peers_free(server->site.peers);
	forwarded_trust_fini(&server->site.trust);
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

bool server_reload(struct server *server, const struct config *config, const char **error)
{
	struct access *access = read_access(config, error);

	if (access == NULL)
		return false;
	access_free(server->shared.access);
	server->shared.access = access;
	forwarded_trust_fini(&server->site.trust);
	forwarded_trust_init(&server->site.trust, config->trusted_proxies,
		config->trusted_proxy_count);
	server->shared.limits = config->limits;
	server_set_catalog(server, config->catalog);
	return true;
}

void server_set_catalog(struct server *server, const struct catalog *catalog)
{
	server->shared.catalog = catalog;
}

uint32_t server_count_clients(struct server *server)
{
	struct metrics *metrics = server->settings.metrics;
	const int64_t *values = metrics->values;

	metrics_set(metrics, METRIC_CLIENTS_HTTP,
		server->client_count - values[METRIC_CLIENTS_WEBSOCKET] -
			values[METRIC_CLIENTS_SSE] - values[METRIC_CLIENTS_LONGPOLL]);
	return server->client_count;
}

/* ---- the end ---- */

static size_t drain_some(struct server *server, enum drain_wire wire, size_t most)
{
	switch (wire) {
	case DRAIN_WEBSOCKETS:
		return websockets_drain(server->websockets, most);
	case DRAIN_STREAMS:
		return sse_drain(server->site.sse, most);
	case DRAIN_WAITERS:
		return http_drain_waiters(server->http, most);
	case DRAIN_WIRE_COUNT:
		break;
	}
	return 0;
}

/* So many that the rest is evenly spread over the time that is left. */
static void drain_step(struct server *server, enum drain_wire wire, int64_t left_ms)
{
	size_t *left = &server->to_drain[wire], share = SIZE_MAX, told;

	if (left_ms > 0)
		share = (*left * DRAIN_STEP_MS + (size_t)left_ms - 1) / (size_t)left_ms;
	told = drain_some(server, wire, share);
	*left = told < share || told >= *left ? 0 : *left - told;
}

static void end_drain(struct server *server)
{
	void (*on_drained)(void *user) = server->on_drained;

	listener_free(server->listener);
	server->listener = NULL;
	http_close_all(server->http);
	server->on_drained = NULL;
	on_drained(server->on_drained_user);
}

static void on_drain(struct clock_timer *timer)
{
	struct server *server = container_of(timer, struct server, drain);
	int64_t left_ms = server->drain_until_ms - clock_now_ms(server->settings.clock);

	for (int wire = 0; wire < DRAIN_WIRE_COUNT; wire++)
		drain_step(server, wire, left_ms);
	if (server->client_count == 0 || left_ms < -DRAINED_MS)
		end_drain(server);
	else
		clock_timer_start_in(&server->drain, DRAIN_STEP_MS);
}

void server_drain(struct server *server, int64_t spread_ms,
	void (*on_drained)(void *user), void *user)
{
	const int64_t *values = server->settings.metrics->values;
	bool again = server->site.draining;

	if (again && server->on_drained == NULL)
		return;
	server->on_drained = on_drained;
	server->on_drained_user = user;
	server->drain_until_ms = clock_now_ms(server->settings.clock) + spread_ms;
	if (again) {
		clock_timer_start_in(&server->drain, 0);
		return;
	}
	clock_timer_init(&server->drain, server->settings.clock, on_drain);
	clock_timer_start_in(&server->drain, 0);
	server->site.draining = true;
	server->to_drain[DRAIN_WEBSOCKETS] = (size_t)values[METRIC_CLIENTS_WEBSOCKET];
	server->to_drain[DRAIN_STREAMS] = (size_t)values[METRIC_CLIENTS_SSE];
	server->to_drain[DRAIN_WAITERS] = (size_t)values[METRIC_CLIENTS_LONGPOLL];
	http_drain(server->http);
}

void server_free(struct server *server)
{
	if (server == NULL)
		return;
	clock_timer_stop(&server->drain);
	listener_free(server->listener);
	/* Once to begin closing, once to free, and what it closed needs turns in between.
	 */
	lws_context_destroy(server->context);
	for (int i = 0; i < CLOSING_TURNS; i++)
		uv_run(server->settings.loop, UV_RUN_NOWAIT);
	lws_context_destroy(server->context);
	fini(server);
}
