#pragma once

/*
 * Progress: what the other side of a socket has taken, by the kernel's own count.
 *
 * Apart from everything else because the structure that has these numbers is in a header
 * of the kernel's that cannot stand beside the C library's.
 */

#include <stdbool.h>
#include <stdint.h>

struct progress {
	uint64_t acknowledged_bytes; /* since the connection began */
	uint32_t unsent_bytes;	     /* in the socket's buffer, not yet on their way */
};

/** False where the kernel does not tell. */
bool progress_of(int fd, struct progress *progress);
