#pragma once

/*
 * Script host: runs the product's own Lua scripts, and plain commands, on a keyspace.
 *
 * One host serves every simulated Redis of the program: each script is compiled once. A
 * script may not write globals and may not run for ever, as in Redis.
 */

#include "common/redis.h"
#include "tests/simulation/keyspace.h"

struct script_host;

/**
 * Compiles all scripts of common/redis_scripts.h; ends the program where one does not
 * compile.
 *
 * @edit  NULL, or returns the text to compile instead of a script's: a new string that
 * the host frees, or NULL for the script as it is
 */
struct script_host *script_host_new(
	char *(*edit)(enum redis_script script, const char *text));
void script_host_free(struct script_host *host);

const char *script_host_name(enum redis_script script);
const char *script_host_digest(enum redis_script script);
const char *script_host_text(enum redis_script script); /* as it is sent */

/**
 * Runs @script with @args as ARGV and "PREFIX:" as KEYS[1].
 *
 * Returns the reply, which may be an error, as hiredis would; freed by freeReplyObject().
 */
redisReply *script_host_run(struct script_host *host, struct keyspace *keyspace,
	enum redis_script script, const char *prefix, const struct redis_args *args);

/** Runs a plain command; @args begins with its name. */
redisReply *script_host_command(struct script_host *host, struct keyspace *keyspace,
	const struct redis_args *args);
