#pragma once

/*
 * Fetch body: growing buffers for answers, kept for the next ones.
 *
 * A buffer is taken when the first byte comes and given back after delivery, so there
 * are as many as answers are being received, not as there are transfers.
 */

#include <stddef.h>

#define BODY_POOL_MAX 32                 /* buffers kept */
#define BODY_KEEP_MAX_BYTES (256u << 10) /* larger ones are freed at once */

/** Zero it to begin. */
struct body {
	char *bytes; /* NULL while there are none */
	size_t length;
	size_t capacity;
};

struct body_pool {
	struct body kept[BODY_POOL_MAX];
	size_t count;
};

/** Appends; @max bounds what is allocated, and is not below the new length. 0 or -ENOMEM.
 */
int body_append(struct body_pool *pool, struct body *body, const void *bytes,
	size_t length, size_t max);

/** Ends the use of @body, which is then as zeroed. */
void body_give_back(struct body_pool *pool, struct body *body);

void body_pool_fini(struct body_pool *pool);
