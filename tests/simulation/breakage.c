#include "tests/simulation/breakage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "tests/simulation/scenario.h"

/* @text with @before, which must be in it, replaced by @after. */
static char *replace(const char *text, const char *before, const char *after)
{
	const char *at = strstr(text, before);
	size_t size = strlen(text) + strlen(after) + 1;
	char *edited;

	if (!at) {
		fprintf(stderr, "a script has changed, and this bug with it: no \"%s\"\n",
			before);
		exit(2);
	}
	edited = xcalloc(size, 1);
	snprintf(edited, size, "%.*s%s%s", (int)(at - text), text, after,
		at + strlen(before));
	return edited;
}

static void ignore_fence(struct simulation *simulation)
{
	simulation->upstream.ignores_fence = true;
}

static void ignore_kill(struct simulation *simulation)
{
	simulation->server.ignores_kill = true;
	scenario_favour(simulation, "cut off");
}

static void cut_off_often(struct simulation *simulation)
{
	scenario_favour(simulation, "cut off");
}

/* Each of the three conditions alone would stop a former owner. */
static char *commit_for_anybody(enum redis_script script, const char *text)
{
	char *without_lease, *without_lock, *without_base;

	if (script != REDIS_SCRIPT_COMMIT)
		return NULL;
	without_lease =
		replace(text, "if not alive('poller', session) then", "if false then");
	without_lock =
		replace(without_lease, "if owner ~= session then", "if false then");
	without_base = replace(without_lock, "revision ~= base", "false");
	free(without_lease);
	free(without_lock);
	return without_base;
}

static char *claim_what_is_held(enum redis_script script, const char *text)
{
	if (script != REDIS_SCRIPT_CLAIM)
		return NULL;
	return replace(text, "and stands(holder) then", "and false then");
}

static char *sweep_nothing(enum redis_script script, const char *text)
{
	if (script != REDIS_SCRIPT_CHECK)
		return NULL;
	return replace(text, "local kind,", "do return {} end local kind,");
}

static char *reap_nothing(enum redis_script script, const char *text)
{
	if (script != REDIS_SCRIPT_REAP)
		return NULL;
	return replace(text, "local ends =", "do return 0 end local ends =");
}

static char *forget_index(enum redis_script script, const char *text)
{
	if (script != REDIS_SCRIPT_INTEREST)
		return NULL;
	return replace(text, "redis.call('SADD', key.interests .. gateway, address)", "");
}

static char *keep_for_ever(enum redis_script script, const char *text)
{
	if (script != REDIS_SCRIPT_COMMIT)
		return NULL;
	return replace(
		text, "redis.call('EXPIRE', name, TTL)", "redis.call('PERSIST', name)");
}

static char *version_by_count(enum redis_script script, const char *text)
{
	if (script != REDIS_SCRIPT_COMMIT)
		return NULL;
	return replace(text, "now_us() - 1) + 1)", "0) + 1)");
}

static const struct breakage breakages[] = {
	{"fence", "polls go on when the lease has run out", NULL, ignore_fence},
	{"owner", "anybody may commit", commit_for_anybody, cut_off_often},
	{"claim", "locks are taken from who lives", claim_what_is_held, NULL},
	{"sweep", "sweeps find nothing", sweep_nothing, NULL},
	{"reap", "nothing is cleaned up after the dead", reap_nothing, NULL},
	{"index", "a gateway's interest is not indexed", forget_index, NULL},
	{"expiry", "a resource is kept for ever", keep_for_ever, NULL},
	{"late", "abandoned commands run late", NULL, ignore_kill},
	{"version", "versions begin again when Redis forgets", version_by_count, NULL},
};

const struct breakage *breakage_at(size_t index)
{
	return index < sizeof(breakages) / sizeof(*breakages) ? &breakages[index] : NULL;
}

const struct breakage *breakage_find(const char *name)
{
	const struct breakage *breakage;

	for (size_t i = 0; (breakage = breakage_at(i)) != NULL; i++) {
		if (strcmp(breakage->name, name) == 0)
			return breakage;
	}
	return NULL;
}
