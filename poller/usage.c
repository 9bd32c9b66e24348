#include "poller/usage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "common/memory.h"

struct provider_use {
	UT_hash_handle hh;
	struct usage *usage;
	size_t resources;
	char name[];
};

struct usage {
	usage_ended_fn on_ended;
	void *user;
	struct provider_use *uses; /* by name of the provider */
};

struct usage *usage_new(usage_ended_fn on_ended, void *user)
{
	struct usage *usage = xcalloc(1, sizeof(*usage));

	usage->on_ended = on_ended;
	usage->user = user;
	return usage;
}

void usage_free(struct usage *usage)
{
	if (usage == NULL)
		return;
	assert(usage->uses == NULL);
	free(usage);
}

static struct provider_use *use_of(struct usage *usage, const char *name)
{
	size_t length = strlen(name);
	struct provider_use *use;

	HASH_FIND_STR(usage->uses, name, use);
	if (use != NULL)
		return use;
	use = xcalloc(1, sizeof(*use) + length + 1);
	use->usage = usage;
	memcpy(use->name, name, length + 1);
	HASH_ADD(hh, usage->uses, name[0], (unsigned)length, use);
	return use;
}

void usage_join(struct usage *usage, const struct catalog_provider *provider,
	struct provider_use **use)
{
	if (*use != NULL && strcmp((*use)->name, provider->name) == 0)
		return;
	usage_leave(use);
	*use = use_of(usage, provider->name);
	(*use)->resources++;
}

void usage_leave(struct provider_use **use)
{
	struct provider_use *left = *use;

	*use = NULL;
	if (left == NULL || --left->resources > 0)
		return;
	HASH_DEL(left->usage->uses, left);
	left->usage->on_ended(left->name, left->usage->user);
	free(left);
}
