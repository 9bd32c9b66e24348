#include "gateway/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_fini(struct text *text)
{
	free(text->start);
	*text = (struct text){0};
}

static bool make_room(struct text *text, size_t length)
{
	size_t capacity = text->capacity == 0 ? 256 : text->capacity;
	char *start;

	if (text->failed)
		return false;
	if (text->capacity - text->length >= length)
		return true;
	while (capacity - text->length < length)
		capacity *= 2;
	start = realloc(text->start, capacity);
	if (start == NULL) {
		text->failed = true;
		return false;
	}
	text->start = start;
	text->capacity = capacity;
	return true;
}

void text_add(struct text *text, const char *bytes, size_t length)
{
	if (length == 0 || !make_room(text, length))
		return;
	memcpy(text->start + text->length, bytes, length);
	text->length += length;
}

void text_add_words(struct text *text, const char *words)
{
	text_add(text, words, strlen(words));
}

void text_add_number(struct text *text, uint64_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
	text_add_words(text, digits);
}

/* Length of the UTF-8 character at @at (RFC 3629, 4), or 0 where there is none. */
static size_t character_length(const unsigned char *at, size_t left)
{
	size_t length;
	unsigned char least = 0x80, most = 0xbf; /* of the second byte */

	if (at[0] < 0x80)
		return 1;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	length = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (at[0] == 0xe0)
		least = 0xa0;
	if (at[0] == 0xed)
		most = 0x9f;
	if (at[0] == 0xf0)
		least = 0x90;
	if (at[0] == 0xf4)
		most = 0x8f;
	if (left < length || at[1] < least || at[1] > most)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static bool plain(unsigned char byte)
{
	return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static void add_escaped(struct text *text, unsigned char byte)
{
	char escape[8];

	if (byte == '"' || byte == '\\') {
		snprintf(escape, sizeof(escape), "\\%c", byte);
	} else if (byte == '\n') {
		snprintf(escape, sizeof(escape), "\\n");
	} else {
		snprintf(escape, sizeof(escape), "\\u%04x", byte < 0x80 ? byte : 0xfffd);
	}
	text_add_words(text, escape);
}

void text_add_quoted(struct text *text, const char *bytes, size_t length)
{
	const unsigned char *at = (const unsigned char *)bytes;
	size_t i = 0;

	text_add(text, "\"", 1);
	while (i < length && !text->failed) {
		size_t run = i, character;

		while (run < length && plain(at[run]))
			run++;
		text_add(text, bytes + i, run - i);
		i = run;
		if (i == length)
			break;
		character = character_length(at + i, length - i);
		if (character > 1) {
			text_add(text, bytes + i, character);
			i += character;
		} else {
			add_escaped(text, at[i++]);
		}
	}
	text_add(text, "\"", 1);
}
