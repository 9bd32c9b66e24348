#include "common/memory.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"

static _Noreturn void out_of_memory(size_t count, size_t size)
{
	log_error("out of memory, giving up count=%zu size=%zu", count, size);
	abort();
}

void *xcalloc(size_t count, size_t size)
{
	void *pointer = calloc(count, size);

	if (!pointer)
		out_of_memory(count, size);
	return pointer;
}

void *xreallocarray(void *pointer, size_t count, size_t size)
{
	pointer = reallocarray(pointer, count, size);
	if (!pointer && count > 0 && size > 0)
		out_of_memory(count, size);
	return pointer;
}

char *xstrdup(const char *text)
{
	char *copy;

	if (!text)
		return NULL;
	copy = strdup(text);
	if (!copy)
		out_of_memory(strlen(text) + 1, 1);
	return copy;
}

char *xstrndup(const char *text, size_t length)
{
	char *copy = xcalloc(1, length + 1);

	memcpy(copy, text, length);
	return copy;
}
