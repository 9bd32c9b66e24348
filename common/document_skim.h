#pragma once

/*
 * Skim: finds the brackets and commas of a text that is known to be JSON, so many bytes
 * at a time, and looks at nothing else but where strings begin and end.
 */

#include <stdint.h>

#define SKIM_BYTES 64

/** How a block begins; zeroed for the first one. */
struct skim {
	uint64_t in_string; /* all bits set where it begins inside of a string, or 0 */
	uint64_t escaped;   /* 1 where a backslash stands before its first byte, or 0 */
};

/** One bit for each byte, the lowest is the first one's. What is in strings is left out.
 */
struct skim_block {
	uint64_t opens;  /* [ and { */
	uint64_t closes; /* ] and } */
	uint64_t commas;
};

/** Skims the next SKIM_BYTES at @bytes; after the end of a text come spaces. */
struct skim_block skim_next(struct skim *skim, const char *bytes);
