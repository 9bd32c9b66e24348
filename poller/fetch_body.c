#include "poller/fetch_body.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BODY_FIRST_BYTES (16u << 10) /* what libcurl hands over at once */

static void take_kept(struct body_pool *pool, struct body *body)
{
	if (pool->count > 0)
		*body = pool->kept[--pool->count];
}

static size_t larger(const struct body *body, size_t needed, size_t max)
{
	size_t capacity = body->capacity ? body->capacity : BODY_FIRST_BYTES;

	while (capacity < needed && capacity < max / 2)
		capacity *= 2;
	return capacity < needed ? max : capacity;
}

int body_append(struct body_pool *pool, struct body *body, const void *bytes,
	size_t length, size_t max)
{
	size_t needed = body->length + length;

	assert(needed <= max);
	if (!body->bytes)
		take_kept(pool, body);
	if (needed > body->capacity) {
		size_t capacity = larger(body, needed, max);
		char *grown = realloc(body->bytes, capacity);

		if (!grown)
			return -ENOMEM;
		body->bytes = grown;
		body->capacity = capacity;
	}
	if (length > 0)
		memcpy(body->bytes + body->length, bytes, length);
	body->length = needed;
	return 0;
}

void body_give_back(struct body_pool *pool, struct body *body)
{
	body->length = 0;
	if (body->bytes && body->capacity <= BODY_KEEP_MAX_BYTES &&
		pool->count < BODY_POOL_MAX)
		pool->kept[pool->count++] = *body;
	else
		free(body->bytes);
	*body = (struct body){0};
}

void body_pool_fini(struct body_pool *pool)
{
	while (pool->count > 0)
		free(pool->kept[--pool->count].bytes);
}
