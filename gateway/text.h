#pragma once

/*
 * Text: a growing run of bytes, for JSON answers and HTTP heads.
 *
 * Running out of memory is noted and everything after it ignored, so that a writer checks
 * once, at the end. Zero it to begin.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *start; /* not NUL terminated */
	size_t length;
	size_t capacity;
	bool failed; /* out of memory: what was written is not whole */
};

void text_fini(struct text *text);

void text_add(struct text *text, const char *bytes, size_t length);
void text_add_words(struct text *text, const char *words); /* NUL terminated */
void text_add_number(struct text *text, uint64_t number);

/**
 * Adds @bytes as a JSON string with its quotes. What is not UTF-8 becomes U+FFFD, so the
 * result can always go out in a text frame.
 */
void text_add_quoted(struct text *text, const char *bytes, size_t length);
