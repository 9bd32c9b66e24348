#pragma once

/*
 * Reads a JSON file with comments by tables of what may stand where, and says every
 * mistake with line, column and path. Knows nothing of what the members mean.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config_mistake.h"
#include "common/config_value.h"
#include "common/document.h"

/** What was said so far, and in which file: of all files that make one configuration. */
struct reader_places;

struct reader {
	struct config_mistakes *mistakes;
	struct reader_places *places;
	const char *file;
	struct document document;
	char *bytes; /* with comments blanked out */
	size_t length;
	char path[512]; /* of what is being read: $.services.compute */
	void *user;     /* the caller's */
};

/** A member that may stand in an object: one value, or a tree of its own. */
struct member {
	const char *name;
	unsigned types; /* TAKES_ bits, for a value */
	config_value_fn value;
	void (*tree)(struct reader *reader, uint32_t token, void *field);
	size_t field; /* offset in the target */
	bool parts;   /* an object that several files may each say a part of */
};

#define TAKES(type) (1u << (type))
#define TAKES_TEXT TAKES(DOCUMENT_STRING)
#define TAKES_COUNT TAKES(DOCUMENT_NUMBER)
#define TAKES_AMOUNT (TAKES_TEXT | TAKES_COUNT)
#define TAKES_FLAG (TAKES(DOCUMENT_TRUE) | TAKES(DOCUMENT_FALSE))
#define TAKES_ARRAY TAKES(DOCUMENT_ARRAY)
#define TAKES_OBJECT TAKES(DOCUMENT_OBJECT)

#define MEMBER_VALUE(name, types, read, type, field)                                     \
	{                                                                                \
		name, types, read, NULL, offsetof(type, field), false                    \
	}
#define MEMBER_TREE(name, read, offset)                                                  \
	{                                                                                \
		name, 0, NULL, read, offset, false                                       \
	}
#define MEMBER_PARTS(name, read, offset)                                                 \
	{                                                                                \
		name, 0, NULL, read, offset, true                                        \
	}
#define MEMBER_END                                                                       \
	{                                                                                \
	}

struct reader_places *reader_places_new(void);
void reader_places_free(struct reader_places *places);

/**
 * Loads @file and checks that it is JSON, every mistake being said.
 *
 * @file    must outlive @places
 * @places  shared by all files that are read together
 * @user    becomes reader->user
 *
 * Returns the root's token, 0, or -1. Either way reader_close() releases the memory.
 */
int reader_open(struct reader *reader, const char *file, struct config_mistakes *mistakes,
	struct reader_places *places, void *user);
void reader_close(struct reader *reader);

/** Says a mistake of what is at @token, under the current path. */
void reader_mistake(struct reader *reader, uint32_t token, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * Notes that the current path is said here, at @token. False, and said, where another
 * file has said it already.
 */
bool reader_first_place(struct reader *reader, uint32_t token);

/** Goes down to member @name. Returns what brings reader_leave() back up. */
size_t reader_enter(struct reader *reader, const char *name);
void reader_leave(struct reader *reader, size_t up);

/** Whether the value at @token is of one of @types (TAKES_ bits), else says so. */
bool reader_takes(struct reader *reader, uint32_t token, unsigned types);

/** The value at @token as text, freed by the caller; NULL, and said, if it holds a NUL.
 */
char *reader_text(struct reader *reader, uint32_t token);

/** Reads one value of @types by @read into @field. */
void reader_value(struct reader *reader, uint32_t token, unsigned types,
	config_value_fn read, void *field);

/**
 * Reads the object at @token into @target. Other members are said to be unknown, and
 * those that another file has are said to be one too many.
 */
void reader_members(struct reader *reader, uint32_t token, const struct member *members,
	void *target);

/** @token is the member's value, the token before it its name; the path is its own. */
typedef void (*reader_each_fn)(
	struct reader *reader, const char *name, uint32_t token, void *user);

/** Runs @each for every member of the object at @token. */
void reader_each(struct reader *reader, uint32_t token, reader_each_fn each, void *user);

/** Reads an array of strings, each by @read, to the end of a list. */
void reader_texts(struct reader *reader, uint32_t token, config_value_fn read,
	char ***texts, size_t *count);
