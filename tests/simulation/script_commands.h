#pragma once

/*
 * Script commands: redis.call() against a simulated keyspace.
 *
 * Answers are pushed on the Lua stack as Redis converts them. A command or an option that
 * is not there ends the program with its name: a silent difference from Redis would cost
 * more than adding it.
 */

#include <lua.h>
#include <stdbool.h>

#include "tests/simulation/keyspace.h"

/** What the running script works on. */
struct script_context {
	struct keyspace *keyspace;
	bool wrote; /* from then on, or where allowed, memory is not refused, as in Redis
		     */
};

/**
 * Registers the global table `redis`.
 *
 * @context  read at each call; its keyspace is changed between scripts
 */
void script_commands_register(lua_State *lua, struct script_context *context);
