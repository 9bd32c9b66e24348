#pragma once

/*
 * Usage: which providers our resources are polled from.
 *
 * So that what is kept for a provider goes with the last of its resources. Loop thread
 * only.
 */

#include "common/catalog.h"

struct usage;
struct provider_use;

/** Nothing of ours is polled from the provider of that @name any more. */
typedef void (*usage_ended_fn)(const char *name, void *user);

struct usage *usage_new(usage_ended_fn on_ended, void *user);

/** Every use must have been left. Accepts NULL. */
void usage_free(struct usage *usage);

/**
 * One resource is polled from @provider, and from no other any more.
 *
 * @use  the resource's own, NULL to begin with
 */
void usage_join(struct usage *usage, const struct catalog_provider *provider,
	struct provider_use **use);

/** It is polled from nowhere; @use is NULL afterwards, and may be before. */
void usage_leave(struct provider_use **use);
