#pragma once

/*
 * Taking: whether a client takes what it is sent, by what its side of TCP acknowledges.
 *
 * That a socket becomes writable says too little: what is buffered before it can be
 * minutes of a slow line. Zero it to begin.
 */

#include <stdbool.h>
#include <stdint.h>

struct taking {
	uint64_t acknowledged; /* bytes, at the last look */
	bool took;             /* something between the last two looks */
	bool left;             /* the kernel still has something for it */
};

/** Looks at the socket @fd. */
void taking_look(struct taking *taking, int fd);
