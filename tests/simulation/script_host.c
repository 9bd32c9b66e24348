#define REDIS_SCRIPTS_TEXT /* common/redis.h shows the texts only to who asks */
#include "tests/simulation/script_host.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "tests/simulation/script_commands.h"

#define INSTRUCTIONS_MAX 10000000 /* of one script: far more than any needs */

struct script_host {
	lua_State *lua;
	struct script_context context;
	int scripts[REDIS_SCRIPT_COUNT]; /* references to compiled functions */
	int command; /* likewise, of the one that runs a plain command */
};

/* ---- setting up ---- */

static void on_instructions(lua_State *lua, lua_Debug *debug)
{
	(void)debug;
	luaL_error(lua, "BUSY the script runs for ever");
}

static int refuse_global(lua_State *lua)
{
	return luaL_error(lua,
		"Script attempted to access nonexistent global variable '%s'",
		lua_tostring(lua, 2));
}

static void open_library(lua_State *lua, lua_CFunction open, const char *name)
{
	lua_pushcfunction(lua, open);
	lua_pushstring(lua, name);
	lua_call(lua, 1, 0);
}

/* Raw writes from here still pass: KEYS and ARGV are set so. */
static void protect_globals(lua_State *lua)
{
	lua_newtable(lua);
	lua_pushcfunction(lua, refuse_global);
	lua_setfield(lua, -2, "__index");
	lua_pushcfunction(lua, refuse_global);
	lua_setfield(lua, -2, "__newindex");
	lua_setmetatable(lua, LUA_GLOBALSINDEX);
}

/* The first line of some scripts speaks to Redis, not to Lua. */
#define ALLOW_OOM "#!lua flags=allow-oom"

static bool allows_oom(enum redis_script script)
{
	return strncmp(redis_script_texts[script].text, ALLOW_OOM, strlen(ALLOW_OOM)) ==
		0;
}

static int compile(lua_State *lua, const char *name, const char *text)
{
	if (strncmp(text, "#!", 2) == 0)
		text = strchr(text, '\n'); /* kept, for the numbers of the lines */
	if (luaL_loadbuffer(lua, text, strlen(text), name) != 0) {
		fprintf(stderr, "script does not compile: %s\n", lua_tostring(lua, -1));
		exit(2);
	}
	return luaL_ref(lua, LUA_REGISTRYINDEX);
}

struct script_host *script_host_new(
	char *(*edit)(enum redis_script script, const char *text))
{
	struct script_host *host = xcalloc(1, sizeof(*host));
	lua_State *lua = host->lua = luaL_newstate();

	open_library(lua, luaopen_base, "");
	open_library(lua, luaopen_table, LUA_TABLIBNAME);
	open_library(lua, luaopen_string, LUA_STRLIBNAME);
	open_library(lua, luaopen_math, LUA_MATHLIBNAME);
	script_commands_register(lua, &host->context);
	for (int i = 0; i < REDIS_SCRIPT_COUNT; i++) {
		const struct redis_script_text *script = &redis_script_texts[i];
		char *edited = edit ? edit((enum redis_script)i, script->text) : NULL;

		host->scripts[i] =
			compile(lua, script->name, edited ? edited : script->text);
		free(edited);
	}
	host->command = compile(lua, "command", "return redis.call(unpack(ARGV))");
	protect_globals(lua);
	return host;
}

void script_host_free(struct script_host *host)
{
	if (!host)
		return;
	lua_close(host->lua);
	free(host);
}

const char *script_host_name(enum redis_script script)
{
	return redis_script_texts[script].name;
}

const char *script_host_digest(enum redis_script script)
{
	return redis_script_texts[script].sha1;
}

const char *script_host_text(enum redis_script script)
{
	return redis_script_texts[script].text;
}

/* ---- replies ---- */

static redisReply *text_reply(int type, const char *bytes, size_t length)
{
	redisReply *reply = xcalloc(1, sizeof(*reply));

	reply->type = type;
	reply->len = length;
	reply->str = xreallocarray(NULL, length + 1, 1);
	memcpy(reply->str, bytes, length);
	reply->str[length] = '\0';
	return reply;
}

static redisReply *reply_of(lua_State *lua, int index);

/* {ok = …} and {err = …}; NULL for any other table. */
static redisReply *tagged_reply(lua_State *lua, int index, const char *tag, int type)
{
	redisReply *reply = NULL;

	lua_pushstring(lua, tag);
	lua_rawget(lua, index);
	if (lua_type(lua, -1) == LUA_TSTRING) {
		size_t length;
		const char *bytes = lua_tolstring(lua, -1, &length);

		reply = text_reply(type, bytes, length);
	}
	lua_pop(lua, 1);
	return reply;
}

static redisReply *table_reply(lua_State *lua, int index)
{
	redisReply *reply = tagged_reply(lua, index, "err", REDIS_REPLY_ERROR);
	size_t count = 0;

	if (!reply)
		reply = tagged_reply(lua, index, "ok", REDIS_REPLY_STATUS);
	if (reply)
		return reply;
	/* As in Redis, the first nil ends the array. */
	for (;; count++) {
		bool is_nil;

		lua_rawgeti(lua, index, (int)count + 1);
		is_nil = lua_isnil(lua, -1);
		lua_pop(lua, 1);
		if (is_nil)
			break;
	}
	reply = xcalloc(1, sizeof(*reply));
	reply->type = REDIS_REPLY_ARRAY;
	reply->elements = count;
	reply->element = count ? xcalloc(count, sizeof(redisReply *)) : NULL;
	for (size_t i = 0; i < count; i++) {
		lua_rawgeti(lua, index, (int)i + 1);
		reply->element[i] = reply_of(lua, lua_gettop(lua));
		lua_pop(lua, 1);
	}
	return reply;
}

/* What Redis makes of the Lua value at @index, which counts from the bottom. */
static redisReply *reply_of(lua_State *lua, int index)
{
	redisReply *reply;
	const char *bytes;
	size_t length;

	switch (lua_type(lua, index)) {
	case LUA_TSTRING:
		bytes = lua_tolstring(lua, index, &length);
		return text_reply(REDIS_REPLY_STRING, bytes, length);
	case LUA_TTABLE:
		luaL_checkstack(lua, 4, "reply too deep");
		return table_reply(lua, index);
	default:
		break;
	}
	reply = xcalloc(1, sizeof(*reply));
	reply->type = REDIS_REPLY_NIL;
	if (lua_type(lua, index) == LUA_TNUMBER) {
		reply->type = REDIS_REPLY_INTEGER;
		reply->integer = (long long)lua_tonumber(lua, index);
	} else if (lua_toboolean(lua, index)) {
		reply->type = REDIS_REPLY_INTEGER;
		reply->integer = 1;
	}
	return reply;
}

/* An error that is not a table is Lua's own. */
static redisReply *error_reply(lua_State *lua, int index)
{
	char text[512];

	if (lua_istable(lua, index))
		return reply_of(lua, index);
	snprintf(text, sizeof(text), "ERR %s", lua_tostring(lua, index));
	return text_reply(REDIS_REPLY_ERROR, text, strlen(text));
}

/* ---- running ---- */

static void set_global_raw(lua_State *lua, const char *name)
{
	lua_pushstring(lua, name);
	lua_insert(lua, -2);
	lua_rawset(lua, LUA_GLOBALSINDEX);
}

static void set_arguments(lua_State *lua, const struct redis_args *args)
{
	const char *bytes = args->bytes;

	lua_createtable(lua, (int)args->count, 0);
	for (size_t i = 0; i < args->count; i++) {
		lua_pushlstring(lua, bytes, args->lengths[i]);
		lua_rawseti(lua, -2, (int)i + 1);
		bytes += args->lengths[i];
	}
	set_global_raw(lua, "ARGV");
}

static void set_keys(lua_State *lua, const char *prefix)
{
	lua_newtable(lua);
	lua_pushfstring(lua, "%s:", prefix);
	lua_rawseti(lua, -2, 1);
	set_global_raw(lua, "KEYS");
}

static redisReply *run(struct script_host *host, struct keyspace *keyspace, int function,
	const struct redis_args *args, bool allowed_oom)
{
	lua_State *lua = host->lua;
	redisReply *reply;
	int error;

	host->context =
		(struct script_context){.keyspace = keyspace, .wrote = allowed_oom};
	/* Setting it begins the count anew. */
	lua_sethook(lua, on_instructions, LUA_MASKCOUNT, INSTRUCTIONS_MAX);
	set_arguments(lua, args);
	lua_rawgeti(lua, LUA_REGISTRYINDEX, function);
	error = lua_pcall(lua, 0, 1, 0);
	reply = error ? error_reply(lua, lua_gettop(lua))
		      : reply_of(lua, lua_gettop(lua));
	lua_settop(lua, 0);
	return reply;
}

redisReply *script_host_run(struct script_host *host, struct keyspace *keyspace,
	enum redis_script script, const char *prefix, const struct redis_args *args)
{
	set_keys(host->lua, prefix);
	return run(host, keyspace, host->scripts[script], args, allows_oom(script));
}

redisReply *script_host_command(struct script_host *host, struct keyspace *keyspace,
	const struct redis_args *args)
{
	return run(host, keyspace, host->command, args, false);
}
