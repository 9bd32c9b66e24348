#pragma once

/*
 * Where Redis is and who we are to it, as written:
 * redis://[user[:password]@]host[:port][/db] or unix:/path. Internal to the Redis link
 * and the configuration.
 */

#include <stdbool.h>

#define REDIS_PORT_DEFAULT 6379

struct redis_url {
	char *host;     /* NULL for a unix socket */
	char *path;     /* of a unix socket, or NULL */
	char *user;     /* NULL: the default user */
	char *password; /* NULL: no AUTH */
	int port;
	int database;
	char *place; /* "host:port" or the path: what logs may show */
};

/** Returns 0, or -EINVAL where @text is not of that form; @url is then empty. */
int redis_url_parse(struct redis_url *url, const char *text);

void redis_url_fini(struct redis_url *url);
