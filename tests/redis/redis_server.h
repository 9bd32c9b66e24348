#pragma once

/*
 * A real redis-server of a test's own: a child process on a free port, in a new
 * directory.
 */

#include <hiredis/hiredis.h>
#include <sys/types.h>

struct redis_server {
	pid_t pid;
	int port;
	char directory[64];
	char socket_path[96];
	redisContext *direct; /* a blocking connection of the test */
};

/** Starts it and waits until it answers. @arguments: more of them, up to a NULL; or NULL.
 */
void redis_server_start(struct redis_server *server, const char *const *arguments);

/** Kills it, as a crash would. */
void redis_server_kill(struct redis_server *server);

/** Starts it again on the same port, empty. */
void redis_server_again(struct redis_server *server, const char *const *arguments);

/** Kills it and removes what it left. */
void redis_server_end(struct redis_server *server);

/** Asks over the direct connection; the reply is the caller's. Never NULL, nor an error.
 */
redisReply *redis_server_ask(struct redis_server *server, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** The same where the reply does not matter. */
void redis_server_do(struct redis_server *server, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** The same for a reply that is a whole number. */
long long redis_server_number(struct redis_server *server, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
