#pragma once

/*
 * Diff: two scanned documents to one RFC 6902 patch, in the new document's own bytes.
 *
 * What stays true: applied to @before, or to anything that differs from it in ignored
 * parts only, the patch makes @after up to ignored parts. It never points into an ignored
 * part; values it brings hold theirs as @after has them. Member order, white space and
 * string escapes mean nothing; numbers are compared as text, so 1.0 is not 1.
 */

#include "common/document.h"

/**
 * What makes rows the same, and what does not count. Pointers are not owned.
 *
 * An ignored member may also come and go. Of an array whose elements are ignored, the
 * number of elements still counts. Where a pointer names an element by its index, the
 * array is compared by position.
 */
struct diff_rules {
	const char *identity;      /* member that names a row; NULL: id, uuid, name */
	const char *const *ignore; /* JSON pointers; a segment * matches any */
	size_t ignore_count;
};

struct diff_patch {
	char *bytes; /* a JSON array; owned, freed by diff_patch_fini() */
	size_t length;
	size_t capacity;
};

enum diff_outcome {
	DIFF_PATCH = 0,  /* @patch holds it */
	DIFF_SAME = 1,   /* equal in meaning, or only ignored parts differ */
	DIFF_LARGER = 2, /* a patch would be as large as the new document: send that */
	DIFF_CUT = 3,    /* that depends on what document_narrow() has left out */
};

/**
 * Compares @before and @after.
 *
 * @patch  zeroed or used before; its memory is used again
 * @rules  NULL: the usual identities, nothing ignored
 *
 * Returns an outcome, or -ENOMEM.
 */
int diff_documents(struct diff_patch *patch, const struct document *before,
	const struct document *after, const struct diff_rules *rules);

void diff_patch_fini(struct diff_patch *patch);
