#include "tests/bench/tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 4096

int64_t tool_wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void tool_die(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, error != 0 ? ": %s\n" : "\n", strerror(error));
	exit(1);
}

uint64_t tool_number(
	struct argp_state *state, const char *text, uint64_t least, uint64_t most)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (end == text || *end != '\0' || *text == '-' || errno != 0 || number < least ||
		number > most)
		argp_error(state, "%s is not a number from %llu to %llu", text,
			(unsigned long long)least, (unsigned long long)most);
	return number;
}

struct sockaddr_in tool_endpoint(struct argp_state *state, const char *text)
{
	struct sockaddr_in endpoint = {.sin_family = AF_INET};
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN] = "";

	if (colon != NULL && (size_t)(colon - text) < sizeof(host))
		memcpy(host, text, (size_t)(colon - text));
	if (inet_pton(AF_INET, host, &endpoint.sin_addr) != 1)
		argp_error(state, "%s is not like 127.0.0.1:7070", text);
	else
		endpoint.sin_port =
			htons((uint16_t)tool_number(state, colon + 1, 1, UINT16_MAX));
	return endpoint;
}

void tool_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		tool_die("cannot read the limit of open files");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		tool_die("cannot raise the limit of open files");
}

int tool_listen(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
		bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fd, BACKLOG) < 0)
		tool_die("cannot listen on 127.0.0.1:%u", port);
	return fd;
}

int tool_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			tool_die("cannot accept");
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	return fd;
}

int tool_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		tool_die("cannot watch signals");
	return fd;
}

int tool_take_signal(int signals)
{
	struct signalfd_siginfo info = {0};

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		tool_die("cannot read a signal");
	return (int)info.ssi_signo;
}

void tool_watch(int epoll, int fd, uint32_t events, void *pointer)
{
	struct epoll_event event = {.events = events, .data.ptr = pointer};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		tool_die("cannot watch a descriptor");
}

void tool_rewatch(int epoll, int fd, uint32_t events, void *pointer)
{
	struct epoll_event event = {.events = events, .data.ptr = pointer};

	if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) < 0)
		tool_die("cannot watch a descriptor");
}
