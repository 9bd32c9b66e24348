#include "common/diff_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACE_HEAD "{\"op\":\"replace\",\"path\":\""
#define VALUE_HEAD "\",\"value\":"
#define ESCAPED_MAX 6 /* bytes that one byte of a name can become: \u001f */

/* Room for @more bytes at the end of @text, or NULL. */
static char *text_room(struct writer *writer, struct text *text, size_t more)
{
	size_t capacity = text->capacity ? text->capacity : 256;
	char *bytes;

	while (capacity - text->length < more)
		capacity *= 2;
	if (capacity != text->capacity) {
		bytes = realloc(text->bytes, capacity);
		if (!bytes) {
			writer->failed = true;
			return NULL;
		}
		text->bytes = bytes;
		text->capacity = capacity;
	}
	return text->bytes + text->length;
}

static void text_add(
	struct writer *writer, struct text *text, const char *bytes, size_t length)
{
	char *room = text_room(writer, text, length);

	if (!room || length == 0)
		return;
	memcpy(room, bytes, length);
	text->length += length;
}

static void add_string(struct writer *writer, const char *string)
{
	text_add(writer, &writer->patch, string, strlen(string));
}

/* First as a pointer wants it (RFC 6901), then as a JSON string does. */
static char *escape_byte(char *out, char byte)
{
	switch (byte) {
	case '~':
		return mempcpy(out, "~0", 2);
	case '/':
		return mempcpy(out, "~1", 2);
	case '"':
		return mempcpy(out, "\\\"", 2);
	case '\\':
		return mempcpy(out, "\\\\", 2);
	default:
		if ((unsigned char)byte < ' ')
			return out + sprintf(out, "\\u%04x", (unsigned)byte);
		*out = byte;
		return out + 1;
	}
}

static void add_name(struct writer *writer, struct text *text,
	const struct document *document, uint32_t token)
{
	const struct document_token *name = &document->tokens[token];
	const char *bytes = document->bytes + name->start + 1;
	size_t length = name->length - 2;
	char *out;

	if (name->escaped) {
		out = text_room(writer, &writer->name, name->length);
		if (!out)
			return;
		length = (size_t)document_string(document, token, out, name->length);
		bytes = out;
	}
	/* A NUL for sprintf(), which ends what it writes. */
	out = text_room(writer, text, length * ESCAPED_MAX + 1);
	if (!out)
		return;
	for (size_t i = 0; i < length; i++)
		out = escape_byte(out, bytes[i]);
	text->length = (size_t)(out - text->bytes);
}

static void add_step(struct writer *writer, struct text *text, const struct step *step)
{
	char index[16];

	if (step->document) {
		text_add(writer, text, "/", 1);
		add_name(writer, text, step->document, step->index);
	} else {
		text_add(writer, text, index,
			(size_t)snprintf(index, sizeof(index), "/%u", step->index));
	}
}

static void add_path(struct writer *writer, const struct step *step)
{
	text_add(writer, &writer->patch, writer->pointer.bytes, writer->pointer.length);
	if (step)
		add_step(writer, &writer->patch, step);
}

static void begin_operation(struct writer *writer, const char *head)
{
	if (writer->patch.length > 1)
		add_string(writer, ",");
	add_string(writer, head);
}

static void end_with_value(
	struct writer *writer, const struct document *document, uint32_t value)
{
	const struct document_token *token = &document->tokens[value];

	add_string(writer, VALUE_HEAD);
	text_add(writer, &writer->patch, document->bytes + token->start, token->length);
	add_string(writer, "}");
}

size_t writer_replace_length(size_t path_length, size_t value_length)
{
	return strlen(REPLACE_HEAD VALUE_HEAD ",}") + path_length + value_length;
}

void writer_begin(struct writer *writer)
{
	add_string(writer, "[");
}

void writer_descend(struct writer *writer, size_t length, const struct step *step)
{
	writer->pointer.length = length;
	add_step(writer, &writer->pointer, step);
}

void writer_add(struct writer *writer, const struct step *step,
	const struct document *document, uint32_t value)
{
	begin_operation(writer, "{\"op\":\"add\",\"path\":\"");
	add_path(writer, step);
	end_with_value(writer, document, value);
}

void writer_remove(struct writer *writer, const struct step *step)
{
	begin_operation(writer, "{\"op\":\"remove\",\"path\":\"");
	add_path(writer, step);
	add_string(writer, "\"}");
}

void writer_move(struct writer *writer, const struct step *from, const struct step *to)
{
	begin_operation(writer, "{\"op\":\"move\",\"from\":\"");
	add_path(writer, from);
	add_string(writer, "\",\"path\":\"");
	add_path(writer, to);
	add_string(writer, "\"}");
}

void writer_replace(struct writer *writer, const struct step *step,
	const struct document *document, uint32_t value)
{
	begin_operation(writer, REPLACE_HEAD);
	add_path(writer, step);
	end_with_value(writer, document, value);
}

void writer_finish(struct writer *writer)
{
	add_string(writer, "]");
}

void writer_fini(struct writer *writer)
{
	free(writer->pointer.bytes);
	free(writer->name.bytes);
}
