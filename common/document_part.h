#pragma once

/*
 * Part: what the scanner offers to those who put a tape together themselves.
 */

#include "common/document.h"

/** Makes room for @more tokens after the last one. False: there is no memory. */
bool document_reserve(struct document *document, size_t more);

/**
 * Judges the value at @start, and the white space around it, and adds it to the tape.
 *
 * @end    offset; nothing beyond is looked at
 * @depth  how many containers are around it
 *
 * Returns the offset of what comes next, or 0 where there is no such value.
 */
size_t document_scan_part(
	struct document *document, size_t start, size_t end, uint32_t depth);
