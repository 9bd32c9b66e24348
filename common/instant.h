#pragma once

/*
 * Instants as people and clients read them: RFC 3339, UTC, milliseconds.
 */

#include <stdint.h>

#define INSTANT_SIZE 32 /* of the text with its NUL */

/** Writes @wall_ms (since 1970) as 2026-11-21T22:10:00.123Z and returns @text. */
const char *instant_write(char text[INSTANT_SIZE], int64_t wall_ms);
