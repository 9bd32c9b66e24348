#pragma once

/*
 * Media types: what an upstream's Content-Type says its body is.
 */

#include <stdbool.h>
#include <stddef.h>

/** Whether @type, which may be NULL, means JSON: application/json, +json, or none. */
bool media_type_is_json(const char *type);

/** Bytes of @type before its parameters. */
size_t media_type_length(const char *type);
