#include "common/redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

void redis_args_add(struct redis_args *args, const char *bytes, size_t length)
{
	if (args->used + length > args->capacity) {
		args->capacity = (args->used + length) * 2;
		args->bytes = xreallocarray(args->bytes, args->capacity, 1);
	}
	if (args->count == args->lengths_capacity) {
		args->lengths_capacity = args->count ? args->count * 2 : 8;
		args->lengths = xreallocarray(
			args->lengths, args->lengths_capacity, sizeof(*args->lengths));
	}
	if (length > 0)
		memcpy(args->bytes + args->used, bytes, length);
	args->used += length;
	args->lengths[args->count++] = length;
}

void redis_args_text(struct redis_args *args, const char *text)
{
	redis_args_add(args, text, strlen(text));
}

void redis_args_number(struct redis_args *args, int64_t number)
{
	char text[24];

	redis_args_add(
		args, text, (size_t)snprintf(text, sizeof(text), "%" PRId64, number));
}

void redis_args_fini(struct redis_args *args)
{
	free(args->bytes);
	free(args->lengths);
	*args = (struct redis_args){0};
}
