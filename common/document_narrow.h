#pragma once

/*
 * Narrow: scans two texts only where they differ, where that is in one small place.
 *
 * What is the same at the start and at the end of both is valid in the one, so it is in
 * the other, if what lies between is. Of the first only the structure is skimmed, to find
 * the innermost container around all that differs: that object, or those elements of that
 * array, are scanned in both. Of the containers around them the tapes hold what says
 * where in them they stand: the name, or as many values of no bytes as there are elements
 * before.
 */

#include "common/document.h"

/* Byte by byte, skimming takes longer than scanning both texts whole. */
#ifdef __SSE2__
#define DOCUMENT_NARROW_PAYS true
#else
#define DOCUMENT_NARROW_PAYS false
#endif

/**
 * Fills two documents with all that diff_documents() needs for the same answer as it has
 * for whole ones. They are good for nothing else.
 *
 * @before, @after  initialised; of each the bytes must outlive what is done with it
 * @before_bytes    JSON by document_scan()
 * @part_max        bytes; false where the part to be scanned is larger, in one of them
 *
 * False: what they hold is of no use, both texts are to be scanned whole. That may be
 * because @after_bytes are not JSON.
 */
bool document_narrow(struct document *before, const char *before_bytes,
	size_t before_length, struct document *after, const char *after_bytes,
	size_t after_length, size_t part_max);
