#include "common/config_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uthash.h>

#include "common/memory.h"

#define FILE_BYTES_MAX (4u << 20) /* hundreds of services fit many times */
#define DEPTH_SHOWN 16            /* of a path to a syntax error */

/* ---- saying what is wrong ---- */

static void mistake_at_v(
	struct reader *reader, size_t offset, const char *format, va_list arguments)
{
	size_t line = 1, column = 1;
	char *where, *what;

	for (size_t i = 0; i < offset; i++) {
		column = reader->bytes[i] == '\n' ? 1 : column + 1;
		line += reader->bytes[i] == '\n';
	}
	if (vasprintf(&what, format, arguments) < 0 ||
		asprintf(&where, "%s:%zu:%zu: %s", reader->file, line, column,
			reader->path) < 0)
		abort();
	config_mistake(reader->mistakes, where, "%s", what);
	free(where);
	free(what);
}

static void mistake_at(struct reader *reader, size_t offset, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void mistake_at(struct reader *reader, size_t offset, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	mistake_at_v(reader, offset, format, arguments);
	va_end(arguments);
}

void reader_mistake(struct reader *reader, uint32_t token, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	mistake_at_v(reader, reader->document.tokens[token].start, format, arguments);
	va_end(arguments);
}

/* The value at @token as a mistake shows it. */
static const char *quote_token(const struct reader *reader, uint32_t token, char *quoted)
{
	const struct document_token *value = &reader->document.tokens[token];
	const char *bytes = reader->bytes + value->start;

	switch (value->type) {
	case DOCUMENT_STRING:
		return config_quote(quoted, bytes + 1, value->length - 2);
	case DOCUMENT_ARRAY:
		return "an array";
	case DOCUMENT_OBJECT:
		return "an object";
	default:
		/* A number, true, false or null stands without quotes. */
		config_quote(quoted, bytes, value->length);
		quoted[strlen(quoted) - 1] = '\0';
		return quoted + 1;
	}
}

size_t reader_enter(struct reader *reader, const char *name)
{
	size_t length = strlen(reader->path);
	const char *format = name[strcspn(name, ".[]\" ")] || !*name ? "[\"%s\"]" : ".%s";

	snprintf(reader->path + length, sizeof(reader->path) - length, format, name);
	return length;
}

static size_t enter_element(struct reader *reader, size_t index)
{
	size_t length = strlen(reader->path);

	snprintf(reader->path + length, sizeof(reader->path) - length, "[%zu]", index);
	return length;
}

void reader_leave(struct reader *reader, size_t up)
{
	reader->path[up] = '\0';
}

/* ---- what several files say ---- */

struct place {
	UT_hash_handle hh;
	const char *file; /* that was the first to say it */
	char path[];
};

struct reader_places {
	struct place *all; /* by path */
};

struct reader_places *reader_places_new(void)
{
	return xcalloc(1, sizeof(struct reader_places));
}

void reader_places_free(struct reader_places *places)
{
	struct place *place, *next;

	HASH_ITER(hh, places->all, place, next)
	{
		HASH_DEL(places->all, place);
		free(place);
	}
	free(places);
}

bool reader_first_place(struct reader *reader, uint32_t token)
{
	size_t length = strlen(reader->path);
	struct place *place;

	HASH_FIND(hh, reader->places->all, reader->path, length, place);
	if (place == NULL) {
		place = xcalloc(1, sizeof(*place) + length + 1);
		place->file = reader->file;
		memcpy(place->path, reader->path, length + 1);
		HASH_ADD(hh, reader->places->all, path[0], (unsigned)length, place);
		return true;
	}
	/* A path is cut where it is very long, and in one file no member stands twice. */
	if (place->file == reader->file)
		return true;
	reader_mistake(reader, token,
		"stands in %s, too; leave it in one of the two files", place->file);
	return false;
}

static const char *types_text(unsigned types)
{
	switch (types) {
	case TAKES_TEXT:
		return "must be a string";
	case TAKES_COUNT:
		return "must be a number";
	case TAKES_AMOUNT:
		return "must be a number, or a string with a unit";
	case TAKES_FLAG:
		return "must be true or false";
	case TAKES_ARRAY:
		return "must be an array of strings";
	default:
		return "must be an object";
	}
}

bool reader_takes(struct reader *reader, uint32_t token, unsigned types)
{
	char quoted[CONFIG_QUOTED_MAX];

	if (types & TAKES(reader->document.tokens[token].type))
		return true;
	reader_mistake(reader, token, "%s, not %s", types_text(types),
		quote_token(reader, token, quoted));
	return false;
}

static void mistake_unknown(struct reader *reader, uint32_t token, const char *name,
	const struct member *members)
{
	struct config_nearest nearest = {.wrong = name};
	char known[256] = "", quoted[CONFIG_QUOTED_MAX];

	config_quote(quoted, name, strlen(name));
	for (; members->name; members++) {
		size_t length = strlen(known);

		config_nearest_try(&nearest, members->name);
		snprintf(known + length, sizeof(known) - length, "%s%s",
			length ? ", " : "", members->name);
	}
	if (nearest.name)
		reader_mistake(reader, token, "unknown member %s; did you mean \"%s\"?",
			quoted, nearest.name);
	else
		reader_mistake(reader, token, "unknown member %s; known here: %s", quoted,
			known);
}

/* ---- reading by tables ---- */

/* The value at @token as text that the caller frees; NULL, and said, where it cannot be.
 */
char *reader_text(struct reader *reader, uint32_t token)
{
	const struct document_token *value = &reader->document.tokens[token];
	char *text = xcalloc(1, (size_t)value->length + 1);
	int64_t length;

	if (value->type != DOCUMENT_STRING) {
		memcpy(text, reader->bytes + value->start, value->length);
		return text;
	}
	length = document_string(
		&reader->document, token, text, (size_t)value->length + 1);
	if (length >= 0 && strlen(text) == (size_t)length)
		return text;
	reader_mistake(reader, token, "holds a NUL");
	free(text);
	return NULL;
}

void reader_value(struct reader *reader, uint32_t token, unsigned types,
	config_value_fn read, void *field)
{
	char quoted[CONFIG_QUOTED_MAX], *text;
	const char *wrong;

	if (!reader_takes(reader, token, types))
		return;
	text = reader_text(reader, token);
	if (!text)
		return;
	wrong = read(text, field);
	if (wrong)
		reader_mistake(reader, token, "%s %s", quote_token(reader, token, quoted),
			wrong);
	free(text);
}

void reader_each(struct reader *reader, uint32_t object, reader_each_fn each, void *user)
{
	const struct document_token *tokens = reader->document.tokens;
	uint32_t end = tokens[object].next;

	if (!reader_takes(reader, object, TAKES_OBJECT))
		return;
	for (uint32_t i = object + 1; i < end; i = tokens[i + 1].next) {
		char *name = reader_text(reader, i);
		size_t up;

		if (!name)
			continue;
		up = reader_enter(reader, name);
		each(reader, name, i + 1, user);
		reader_leave(reader, up);
		free(name);
	}
}

struct table {
	const struct member *members;
	void *target;
};

static void read_by_table(
	struct reader *reader, const char *name, uint32_t token, void *user)
{
	const struct table *table = user;

	for (const struct member *member = table->members; member->name; member++) {
		void *field = (char *)table->target + member->field;

		if (strcmp(member->name, name) != 0)
			continue;
		if (!member->parts && !reader_first_place(reader, token - 1))
			return;
		if (member->tree)
			member->tree(reader, token, field);
		else
			reader_value(reader, token, member->types, member->value, field);
		return;
	}
	mistake_unknown(reader, token - 1, name, table->members);
}

void reader_members(struct reader *reader, uint32_t object, const struct member *members,
	void *target)
{
	reader_each(reader, object, read_by_table, &(struct table){members, target});
}

void reader_texts(struct reader *reader, uint32_t array, config_value_fn read,
	char ***texts, size_t *count)
{
	const struct document_token *tokens = reader->document.tokens;
	char quoted[CONFIG_QUOTED_MAX];

	if (!reader_takes(reader, array, TAKES_ARRAY))
		return;
	for (uint32_t i = array + 1, n = 0; i < tokens[array].next; i = tokens[i].next) {
		size_t up = enter_element(reader, n++);
		char *text = NULL;
		const char *wrong = NULL;

		if (reader_takes(reader, i, TAKES_TEXT))
			text = reader_text(reader, i);
		if (text)
			wrong = config_value_add(text, read, texts, count);
		if (wrong)
			reader_mistake(reader, i, "%s %s", quote_token(reader, i, quoted),
				wrong);
		free(text);
		reader_leave(reader, up);
	}
}

/* ---- the file's bytes ---- */

/* Reads the whole file; an error as negative errno. */
static int load(struct reader *reader)
{
	int fd = open(reader->file, O_RDONLY | O_CLOEXEC), r = 0;
	ssize_t got = 1;

	if (fd < 0)
		return -errno;
	reader->bytes = xcalloc(1, FILE_BYTES_MAX + 1);
	while (got > 0 && reader->length <= FILE_BYTES_MAX) {
		got = read(fd, reader->bytes + reader->length,
			FILE_BYTES_MAX + 1 - reader->length);
		if (got < 0)
			r = -errno;
		else
			reader->length += (size_t)got;
	}
	close(fd);
	return reader->length > FILE_BYTES_MAX ? -EFBIG : r;
}

/* The byte after the comment at @at; @end where it has none. */
static char *comment_end(char *at, char *end)
{
	char *close;

	if (at[1] == '/') {
		close = memchr(at, '\n', (size_t)(end - at));
		return close ? close : end;
	}
	close = memmem(at + 2, (size_t)(end - at - 2), "*/", 2);
	return close ? close + 2 : NULL;
}

/* Overwrites comments with spaces, so that offsets stay what an editor shows. */
static bool blank_comments(struct reader *reader)
{
	char *end = reader->bytes + reader->length;
	bool in_string = false;

	for (char *at = reader->bytes; at < end; at++) {
		char *after;

		if (*at == '"')
			in_string = !in_string;
		else if (*at == '\\' && in_string)
			at++;
		if (in_string || *at != '/' || at + 1 == end ||
			(at[1] != '/' && at[1] != '*'))
			continue;
		after = comment_end(at, end);
		if (!after) {
			mistake_at(reader, (size_t)(at - reader->bytes),
				"this comment has no end; write */");
			return false;
		}
		for (; at < after; at++)
			*at = *at == '\n' ? '\n' : ' ';
		at--;
	}
	return true;
}

/* A container on the way to a syntax error. */
struct opened {
	bool object;
	size_t index;     /* of the element we are in, in an array */
	const char *name; /* of the member we are in, in an object; raw bytes */
	int name_length;
	bool after_colon;
};

static void write_path(struct reader *reader, const struct opened *opened, size_t depth)
{
	char name[64];

	for (size_t i = 0; i < depth; i++) {
		if (!opened[i].object) {
			enter_element(reader, opened[i].index);
		} else if (opened[i].name) {
			snprintf(name, sizeof(name), "%.*s", opened[i].name_length,
				opened[i].name);
			reader_enter(reader, name);
		}
	}
}

/* Makes the path that of @offset, up to which the bytes are JSON. */
static void find_path(struct reader *reader, size_t offset)
{
	struct opened opened[DEPTH_SHOWN] = {0};
	const char *at = reader->bytes, *end = at + offset;
	size_t depth = 0;

	for (; at < end && depth < DEPTH_SHOWN; at++) {
		struct opened *inner = depth ? &opened[depth - 1] : NULL;
		const char *start = at + 1;

		if (*at == '{' || *at == '[') {
			opened[depth++] = (struct opened){.object = *at == '{'};
		} else if (inner && (*at == '}' || *at == ']')) {
			depth--;
		} else if (inner && *at == ',') {
			inner->index++;
			inner->name = NULL;
			inner->after_colon = false;
		} else if (inner && *at == ':') {
			inner->after_colon = true;
		} else if (*at == '"') {
			for (at++; at < end && *at != '"'; at++)
				at += *at == '\\';
			if (inner && inner->object && !inner->after_colon) {
				inner->name = start;
				inner->name_length = (int)((at < end ? at : end) - start);
			}
		}
	}
	write_path(reader, opened, depth);
}

static bool scan(struct reader *reader)
{
	size_t offset = 0;
	enum document_error error =
		document_scan(&reader->document, reader->bytes, reader->length, &offset);
	char quoted[CONFIG_QUOTED_MAX];
	const char *name;

	if (!error)
		return true;
	find_path(reader, offset);
	if (error == DOCUMENT_DUPLICATE_NAME) {
		name = reader->bytes + offset + 1;
		config_quote(quoted, name, strcspn(name, "\""));
		mistake_at(
			reader, offset, "duplicate member %s; leave one of them", quoted);
	} else {
		mistake_at(reader, offset, "this is no JSON: %s",
			document_error_text(error));
	}
	return false;
}

int reader_open(struct reader *reader, const char *file, struct config_mistakes *mistakes,
	struct reader_places *places, void *user)
{
	int r;

	*reader = (struct reader){.mistakes = mistakes,
		.places = places,
		.file = file,
		.path = "$",
		.user = user};
	document_init(&reader->document);
	r = load(reader);
	if (r < 0) {
		config_mistake(mistakes, file, "cannot be read: %s", strerror(-r));
		return -1;
	}
	return blank_comments(reader) && scan(reader) ? 0 : -1;
}

void reader_close(struct reader *reader)
{
	document_fini(&reader->document);
	free(reader->bytes);
}
