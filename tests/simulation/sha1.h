#pragma once

/*
 * SHA-1 (FIPS 180-4): for redis.sha1hex() of the simulated Redis.
 */

#include <stddef.h>

#define SHA1_HEX_LENGTH 40

/** Writes the digest of @bytes in lower-case hex, with a NUL. */
void sha1_hex(char text[SHA1_HEX_LENGTH + 1], const char *bytes, size_t length);
