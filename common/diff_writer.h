#pragma once

/*
 * Writer: the text of a patch, and the JSON pointer of the container at work.
 *
 * A failed allocation is remembered in @failed; what is written after it is lost.
 */

#include "common/document.h"

struct text {
	char *bytes;
	size_t length;
	size_t capacity;
};

/** One step from a container to something in it. */
struct step {
	const struct document *document; /* where the name is; NULL: an index */
	uint32_t index;                  /* of the element, or the token of the name */
};

struct writer {
	struct text patch;   /* '[' and the operations so far */
	struct text pointer; /* of the container at work, escaped as in a JSON string */
	struct text name;    /* while it is being escaped */
	bool failed;
};

/** Starts a patch, in memory that @writer->patch may bring along. */
void writer_begin(struct writer *writer);

/** Ends the patch. */
void writer_finish(struct writer *writer);

/** Frees all but the patch. */
void writer_fini(struct writer *writer);

/** The bytes of an operation that puts @value_length bytes at a path of @path_length. */
size_t writer_replace_length(size_t path_length, size_t value_length);

/** Sets the pointer to its first @length bytes and @step. */
void writer_descend(struct writer *writer, size_t length, const struct step *step);

void writer_add(struct writer *writer, const struct step *step,
	const struct document *document, uint32_t value);
void writer_remove(struct writer *writer, const struct step *step);
void writer_move(struct writer *writer, const struct step *from, const struct step *to);

/** @step NULL: the container at work itself */
void writer_replace(struct writer *writer, const struct step *step,
	const struct document *document, uint32_t value);
