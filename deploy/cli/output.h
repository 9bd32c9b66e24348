#pragma once

/*
 * Output: what goes to stdout and stderr, for people or for programs.
 *
 * A stdout whose reader has gone ends the process as SIGPIPE would, without a word.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Hands on what was printed; after every line that somebody may be waiting for. */
void output_flush(void);

/** Columns of the terminal on stdout; 0 where it is none. */
size_t output_columns(void);

/** Rows likewise. */
size_t output_rows(void);

/**
 * Prints @length bytes of text that came from elsewhere, on one line: no control character
 * of it reaches a terminal.
 *
 * @columns_max  characters after which it is cut, with … at the end; 0: never
 */
void output_text(FILE *stream, const char *text, size_t length, size_t columns_max);

/** Characters that output_text() prints of the whole. */
size_t output_width(const char *text);

/** Prints @text as a JSON string; "" for NULL. */
void output_json_text(FILE *stream, const char *text);

/** "3s", "12m", "4h", "9d" for an age; "-" for a negative one. Returns @text. */
#define OUTPUT_AGE_SIZE 24
const char *output_age(char text[OUTPUT_AGE_SIZE], int64_t age_ms);

/** Says a mistake or what happened on stderr, behind the program's name. */
void output_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
