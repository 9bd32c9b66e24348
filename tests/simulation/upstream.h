#pragma once

/*
 * Upstream: the model of the polled API, and who asks it.
 *
 * Each resource has a content that changes now and then, may fail or be gone for a while,
 * and tells who asks. fetch_simulated.c asks it in place of HTTP.
 */

#include "tests/simulation/world.h"

#include <stdbool.h>
#include <stdint.h>

#define UPSTREAM_RESOURCES_MAX 12
#define UPSTREAM_VALUES_MAX 1024 /* then it changes no more */

struct upstream_resource {
	char uri[24]; /* also its address */
	uint64_t value;
	uint64_t before; /* the value it had before this one */
	uint64_t next;   /* a value it never had */
	size_t padding;  /* bytes that never change, so that patches are worth it */
	int64_t ended_us[UPSTREAM_VALUES_MAX]; /* when it last ceased to be this value */
	bool fails;
	bool gone;
};

struct upstream_events {
	/* A poll begins; @twice where this poller has one of the same resource under way.
	 */
	void (*on_poll)(size_t resource, struct actor *poller, bool twice, void *user);
};

struct upstream {
	struct world *world;
	struct upstream_resource resources[UPSTREAM_RESOURCES_MAX];
	size_t resource_count;
	int64_t slowest_us;      /* a fetch takes up to this */
	int64_t longest_wait_us; /* and waits up to this for others, now and then */
	bool has_etags;
	bool ignores_fence; /* --break: asks without looking whether it may */
	struct upstream_events events;
	void *user;
};

/** @count resources with random contents. */
void upstream_init(struct upstream *upstream, struct world *world, size_t count);

/** The index of the resource at @uri; ends the program where there is none. */
size_t upstream_find(const struct upstream *upstream, const char *uri);

/** A new content, or, where @back, the one before. */
void upstream_change(
	struct upstream *upstream, struct upstream_resource *resource, bool back);

/** How long ago it ceased to have @value; 0 while it has it. */
int64_t upstream_age_us(const struct upstream *upstream,
	const struct upstream_resource *resource, uint64_t value);

/** The body as of now, {"value":N,"padding":"…"}, as a new string. */
char *upstream_body(const struct upstream_resource *resource);
