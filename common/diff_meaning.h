#pragma once

/*
 * Meaning: which values of two documents are the same, whatever their bytes look like.
 *
 * Member order, white space and string escapes mean nothing, numbers are compared as
 * text, and what the rules ignore is left out. Values whose bytes differ are compared by
 * 64 bit hashes under a random seed, each computed at most once, so that comparing a
 * value at every level above it stays linear.
 */

#include "common/diff.h"

/*
 * Bytes. Values up to this size are compared byte by byte at every level, which costs
 * less than walking their tokens and keeps the sum over all levels linear in the tokens.
 */
#define MEANING_SMALL 4096

/** What the rules say about a token. */
enum meaning_mark {
	MEANING_IGNORED = 1,    /* differences in this value do not count */
	MEANING_POSITIONAL = 2, /* an array whose elements the rules name by index */
};

struct meaning {
	const struct document *document;
	uint64_t **hashes; /* of each token, in blocks; a block NULL, a hash 0 until
			      needed */
	uint8_t *marks; /* of each token, enum meaning_mark; NULL if nothing is ignored */
	uint64_t seed;
	bool failed; /* there was no memory: from then on nothing told here holds */
};

/**
 * @seed  the same for both documents, else nothing would be equal
 *
 * Returns 0 or -ENOMEM; meaning_fini() is due in both cases.
 */
int meaning_init(struct meaning *meaning, const struct document *document,
	const struct diff_rules *rules, uint64_t seed);
void meaning_fini(struct meaning *meaning);

bool meaning_has(const struct meaning *meaning, uint32_t token, enum meaning_mark mark);

/** Never 0, but where it failed. */
uint64_t meaning_hash(struct meaning *meaning, uint32_t token);

/** Whether the two values, at the same path but for array indexes, are the same. */
bool meaning_same(
	struct meaning *a, uint32_t a_token, struct meaning *b, uint32_t b_token);

/** The same, where that can be told at once; false may mean that it is not known. */
bool meaning_same_at_once(const struct meaning *a, uint32_t a_token,
	const struct meaning *b, uint32_t b_token);
