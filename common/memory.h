#pragma once

/*
 * Memory for our own small structures: never fails, but logs and aborts.
 *
 * What a peer sizes is not allocated here: there, running out costs only that peer.
 */

#include <stddef.h>

/** Zeroed. Never NULL. */
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));

/** Never NULL, unless both @count and @size make nothing. What is new is not zeroed. */
void *xreallocarray(void *pointer, size_t count, size_t size);

/** A copy of @text, or NULL for NULL. */
char *xstrdup(const char *text);

/** A copy of the first @length bytes of @text, which hold no NUL, and a NUL. */
char *xstrndup(const char *text, size_t length);
