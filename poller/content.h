#pragma once

/*
 * Contents: what resources that change held last, kept to compare the next body with.
 *
 * Bounded: those that changed longest ago are forgotten first, and read from Redis when
 * they are needed. What never changed is not kept at all.
 */

#include "common/list.h"

#include <stddef.h>

#define CONTENTS_BYTES_MAX (128u << 20)

struct resource;

struct contents {
	struct list kept; /* resources, the one that changed longest ago first */
	size_t bytes;
};

void contents_init(struct contents *contents);

/** Keeps @bytes (from malloc, now owned) as what @resource holds. */
void contents_keep(
	struct contents *contents, struct resource *resource, char *bytes, size_t length);

/** Hands what is kept of @resource to the caller, who frees it; NULL where it is not. */
char *contents_take(struct contents *contents, struct resource *resource, size_t *length);

/** Forgets what is kept of @resource. */
void contents_drop(struct contents *contents, struct resource *resource);
