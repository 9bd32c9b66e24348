#pragma once

/*
 * Ignore: finds what the rules' JSON pointers name in a document.
 */

#include "common/diff.h"

/**
 * Sets the marks (enum meaning_mark) of what @rules ignore. Values inside an ignored one
 * are not marked.
 *
 * @marks  one byte for each token of @document, zeroed
 *
 * Returns 0 or -ENOMEM.
 */
int ignore_mark(
	const struct diff_rules *rules, const struct document *document, uint8_t *marks);
