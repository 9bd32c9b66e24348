#include "tests/redis/redis_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 32
#define ANSWER_TRIES 500
#define ANSWER_EVERY_US 10000

static int free_port(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&address, length) < 0 ||
		getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		abort();
	close(fd);
	return ntohs(address.sin_port);
}

static _Noreturn void become_redis(
	const struct redis_server *server, const char *const *more)
{
	char port[16];
	const char *arguments[ARGUMENTS_MAX] = {"redis-server", "--port", port, "--bind",
		"127.0.0.1", "--save", "", "--dir", server->directory, "--unixsocket",
		server->socket_path, "--logfile", "redis.log", "--enable-debug-command",
		"yes"};
	size_t count = 0;

	while (arguments[count])
		count++;
	for (; more && *more && count < ARGUMENTS_MAX - 1; more++)
		arguments[count++] = *more;
	snprintf(port, sizeof(port), "%d", server->port);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing of a test that died stays */
	execvp(arguments[0], (char *const *)(uintptr_t)arguments);
	_exit(127);
}

static void wait_for_answer(struct redis_server *server)
{
	for (int i = 0; i < ANSWER_TRIES; i++) {
		server->direct = redisConnectUnix(server->socket_path);
		if (server->direct && !server->direct->err)
			return;
		redisFree(server->direct);
		usleep(ANSWER_EVERY_US);
	}
	fprintf(stderr, "redis-server does not start\n");
	abort();
}

void redis_server_again(struct redis_server *server, const char *const *arguments)
{
	unlink(server->socket_path);
	server->pid = fork();
	if (server->pid == 0)
		become_redis(server, arguments);
	wait_for_answer(server);
}

void redis_server_start(struct redis_server *server, const char *const *arguments)
{
	*server = (struct redis_server){.port = free_port()};
	snprintf(server->directory, sizeof(server->directory),
		"/tmp/uricast-redis-XXXXXX");
	if (!mkdtemp(server->directory))
		abort();
	snprintf(server->socket_path, sizeof(server->socket_path), "%s/socket",
		server->directory);
	redis_server_again(server, arguments);
}

void redis_server_kill(struct redis_server *server)
{
	redisFree(server->direct);
	server->direct = NULL;
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
}

void redis_server_end(struct redis_server *server)
{
	char path[128];

	redis_server_kill(server);
	unlink(server->socket_path);
	snprintf(path, sizeof(path), "%s/redis.log", server->directory);
	unlink(path);
	rmdir(server->directory);
}

static redisReply *ask(struct redis_server *server, const char *format, va_list arguments)
{
	redisReply *reply = redisvCommand(server->direct, format, arguments);

	if (!reply || reply->type == REDIS_REPLY_ERROR) {
		fprintf(stderr, "%s: %s\n", format,
			reply ? reply->str : server->direct->errstr);
		abort();
	}
	return reply;
}

redisReply *redis_server_ask(struct redis_server *server, const char *format, ...)
{
	redisReply *reply;
	va_list arguments;

	va_start(arguments, format);
	reply = ask(server, format, arguments);
	va_end(arguments);
	return reply;
}

void redis_server_do(struct redis_server *server, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	freeReplyObject(ask(server, format, arguments));
	va_end(arguments);
}

long long redis_server_number(struct redis_server *server, const char *format, ...)
{
	redisReply *reply;
	va_list arguments;
	long long number;

	va_start(arguments, format);
	reply = ask(server, format, arguments);
	va_end(arguments);
	assert(reply->type == REDIS_REPLY_INTEGER);
	number = reply->integer;
	freeReplyObject(reply);
	return number;
}
