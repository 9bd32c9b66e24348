#include "common/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"

#define BACKLOG 4096
#define ACCEPTS_PER_TURN 64 /* then the clients that are already here get their turn */
#define REST_MS 100 /* after file descriptors ran out: the backlog would spin us */

struct listener {
	int fd;
	int port;
	listener_accept_fn on_accept;
	void *user;
	uv_poll_t poll;
	uv_timer_t rest;
	int open_handles;
};

static char error_text[256];

/* ---- opening ---- */

struct host_port {
	char host[256]; /* empty for every address */
	char port[8];
};

/* "host:port", "[v6]:port", ":port" or "*:port". */
static int split(struct host_port *parts, const char *address)
{
	const char *colon = strrchr(address, ':');
	const char *port = colon ? colon + 1 : "";
	size_t digits = strspn(port, "0123456789");
	size_t length;

	if (digits < 1 || digits > 5 || port[digits] || atoi(port) > 65535)
		return -EINVAL;
	memcpy(parts->port, port, digits + 1);
	length = (size_t)(colon - address);
	if (length > 0 && *address == '[') {
		if (length < 3 || colon[-1] != ']')
			return -EINVAL;
		address++;
		length -= 2;
	} else if (memchr(address, ':', length)) {
		return -EINVAL; /* IPv6 wants its brackets */
	}
	if (length >= sizeof(parts->host))
		return -EINVAL;
	if (length == 1 && *address == '*')
		length = 0;
	memcpy(parts->host, address, length);
	parts->host[length] = '\0';
	return 0;
}

/* A listening socket, or -errno. Without SO_REUSEPORT: an old process that was forgotten
 * on the port is a mistake to be told, not one to share clients with. */
static int open_socket(const struct addrinfo *info)
{
	const int on = 1, off = 0;
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	/* What is accepted inherits it. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static const struct addrinfo *first_of(const struct addrinfo *infos, int family)
{
	while (infos && infos->ai_family != family)
		infos = infos->ai_next;
	return infos;
}

/* The first address of the host that can be bound. Every address means [::], which takes
 * IPv4 as well, where there is IPv6. */
static int open_first(const struct addrinfo *infos, bool every)
{
	const struct addrinfo *ipv6 = every ? first_of(infos, AF_INET6) : NULL;
	int fd = ipv6 ? open_socket(ipv6) : -EAFNOSUPPORT;

	if (fd >= 0 || fd == -EADDRINUSE)
		return fd;
	for (; infos && fd < 0; infos = infos->ai_next)
		fd = open_socket(infos);
	return fd;
}

static const char *advice(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "something else listens there: stop it, or choose another port";
	case EADDRNOTAVAIL:
		return "this host has no such address";
	case EACCES:
		return "ports below 1024 are not for everyone: choose another, or give "
		       "the "
		       "process CAP_NET_BIND_SERVICE";
	default:
		return strerror(error);
	}
}

/* A listening socket, or -1 with the reason in error_text. */
static int listen_on(const char *address)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *infos;
	struct host_port parts;
	int fd, r;

	if (split(&parts, address) < 0) {
		snprintf(error_text, sizeof(error_text),
			"cannot listen on %.80s: write HOST:PORT or [IPV6]:PORT",
			address);
		return -1;
	}
	r = getaddrinfo(*parts.host ? parts.host : NULL, parts.port, &hints, &infos);
	if (r != 0) {
		snprintf(error_text, sizeof(error_text), "cannot listen on %.80s: %s",
			address, gai_strerror(r));
		return -1;
	}
	fd = open_first(infos, !*parts.host);
	freeaddrinfo(infos);
	if (fd >= 0)
		return fd;
	snprintf(error_text, sizeof(error_text), "cannot listen on %.80s: %s", address,
		advice(-fd));
	return -1;
}

static int port_of(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} address = {0};
	socklen_t length = sizeof(address);

	getsockname(fd, &address.any, &length);
	return ntohs(address.any.sa_family == AF_INET6 ? address.ipv6.sin6_port
						       : address.ipv4.sin_port);
}

/* ---- accepting ---- */

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_rested(uv_timer_t *rest)
{
	struct listener *listener = rest->data;

	uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

/* The connection stays in the backlog: looking at once again would only spin. */
static void take_a_rest(struct listener *listener, int error)
{
	log_warn("cannot take a connection now, trying again in %d ms error=\"%s\"",
		REST_MS, strerror(error));
	uv_poll_stop(&listener->poll);
	uv_timer_start(&listener->rest, on_rested, REST_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN && uv_is_active((uv_handle_t *)poll); i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			listener->on_accept(fd, listener->user);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			errno == ENOMEM) {
			take_a_rest(listener, errno);
			return;
		}
		/* Anything else is the end of that one connection (accept(2)). */
	}
}

static void on_closed(uv_handle_t *handle)
{
	struct listener *listener = handle->data;

	if (--listener->open_handles == 0)
		free(listener);
}

/* ---- public ---- */

struct listener *listener_new(uv_loop_t *loop, const char *address,
	listener_accept_fn on_accept, void *user, const char **error)
{
	int fd = listen_on(address);
	struct listener *listener;
	int r;

	if (fd < 0) {
		*error = error_text;
		return NULL;
	}
	listener = xcalloc(1, sizeof(*listener));
	r = uv_poll_init(loop, &listener->poll, fd);
	if (r < 0) {
		snprintf(error_text, sizeof(error_text), "cannot listen on %.80s: %s",
			address, uv_strerror(r));
		*error = error_text;
		close(fd);
		free(listener);
		return NULL;
	}
	listener->fd = fd;
	listener->port = port_of(fd);
	listener->on_accept = on_accept;
	listener->user = user;
	uv_timer_init(loop, &listener->rest);
	listener->poll.data = listener;
	listener->rest.data = listener;
	listener->open_handles = 2;
	uv_poll_start(&listener->poll, UV_READABLE, on_readable);
	return listener;
}

int listener_port(const struct listener *listener)
{
	return listener->port;
}

void listener_free(struct listener *listener)
{
	if (!listener)
		return;
	uv_close((uv_handle_t *)&listener->poll, on_closed);
	uv_close((uv_handle_t *)&listener->rest, on_closed);
	close(listener->fd);
}
