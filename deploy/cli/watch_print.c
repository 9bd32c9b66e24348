#include "deploy/cli/watch_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/document.h"
#include "common/memory.h"
#include "deploy/cli/http.h"
#include "deploy/cli/output.h"

struct event {
	struct document document;
	uint32_t uri, version, content, patch, state; /* tokens; 0: not there */
};

/* A token's bytes without the white space between them: on one line. The caller frees. */
static char *compact(const struct document *document, uint32_t token, size_t *length)
{
	const struct document_token *at = &document->tokens[token];
	const char *from = document->bytes + at->start;
	char *text = xcalloc(at->length + 1, 1);
	bool quoted = false;

	*length = 0;
	for (uint32_t i = 0; i < at->length; i++) {
		if (quoted && from[i] == '\\')
			text[(*length)++] = from[i++];
		else if (from[i] == '"')
			quoted = !quoted;
		if (quoted || !strchr(" \t\r\n", from[i]))
			text[(*length)++] = from[i];
	}
	return text;
}

static void print_raw(FILE *stream, const struct document *document, uint32_t token)
{
	size_t length;
	char *text = compact(document, token, &length);

	fwrite(text, 1, length, stream);
	free(text);
}

/* A string without its quotes, anything else as it stands; for people. */
static void print_text(
	const struct document *document, uint32_t token, size_t columns_max)
{
	const struct document_token *at = &document->tokens[token];
	uint32_t quote = at->type == DOCUMENT_STRING;

	output_text(stdout, document->bytes + at->start + quote, at->length - 2 * quote,
		columns_max);
}

static void print_value(
	const struct document *document, uint32_t token, size_t columns_max)
{
	size_t length;
	char *text = compact(document, token, &length);

	output_text(stdout, text, length, columns_max);
	free(text);
}

/* ---- for people ---- */

static void print_head(const struct event *event)
{
	time_t now = time(NULL);
	struct tm local;
	char text[16];

	localtime_r(&now, &local);
	strftime(text, sizeof(text), "%H:%M:%S", &local);
	printf("%s ", text);
	print_text(&event->document, event->uri, 0);
	putchar(' ');
}

static void print_operation(const struct event *event, uint32_t operation, size_t columns)
{
	const struct document *document = &event->document;
	uint32_t verb = document_member(document, operation, "op");
	uint32_t path = document_member(document, operation, "path");
	uint32_t from = document_member(document, operation, "from");
	uint32_t value = document_member(document, operation, "value");

	print_head(event);
	if (verb)
		print_text(document, verb, 0);
	putchar(' ');
	if (path && document->tokens[path].length > 2)
		print_text(document, path, 0);
	else
		fputs("(all of it)", stdout);
	if (from) {
		fputs(" from ", stdout);
		print_text(document, from, 0);
	}
	if (value) {
		putchar(' ');
		print_value(document, value, columns);
	}
	putchar('\n');
}

/* What is printed of a value: on a terminal about a line of it. */
static size_t value_columns(void)
{
	size_t columns = output_columns();

	return columns == 0 ? 0 : columns > 60 ? columns - 20 : 40;
}

static void print_patch(const struct event *event)
{
	const struct document_token *tokens = event->document.tokens;
	uint32_t operation = event->patch + 1;

	for (uint32_t i = 0; i < tokens[event->patch].count; i++) {
		print_operation(event, operation, value_columns());
		operation = tokens[operation].next;
	}
}

static void print_content(const struct event *event)
{
	const struct document_token *token = &event->document.tokens[event->content];

	print_head(event);
	printf("content %u bytes ", token->length);
	print_value(&event->document, event->content, value_columns());
	putchar('\n');
}

static void print_state(
	FILE *stream, const struct event *event, const char *data, size_t length)
{
	const struct document_token *state = &event->document.tokens[event->state];

	fwrite(data + state->start + 1, 1, state->length - 2, stream);
	if (document_member(&event->document, 0, "error")) {
		fputs(": ", stream);
		http_print_error(stream, data, length);
	}
	fputc('\n', stream);
}

static void print_readable(const struct event *event, const char *data, size_t length)
{
	if (event->content)
		print_content(event);
	if (event->patch)
		print_patch(event);
	if (event->state) {
		print_head(event);
		print_state(stdout, event, data, length);
	}
}

/* ---- for programs ---- */

/* A content is the patch that replaces all there is, so that who applies every line to
 * what the lines before made always holds what the fleet does. */
static void print_as_patch(const struct event *event, const char *data, size_t length)
{
	if (event->content) {
		fputs("[{\"op\":\"replace\",\"path\":\"\",\"value\":", stdout);
		print_raw(stdout, &event->document, event->content);
		fputs("}]\n", stdout);
	}
	if (event->patch) {
		print_raw(stdout, &event->document, event->patch);
		putchar('\n');
	}
	if (event->state) {
		fputs("uricast: ", stderr);
		print_state(stderr, event, data, length);
	}
}

static bool read_event(struct event *event, const char *data, size_t length)
{
	struct document *document = &event->document;

	if (document_scan(document, data, length, NULL) != DOCUMENT_OK ||
		document->tokens[0].type != DOCUMENT_OBJECT)
		return false;
	event->uri = document_member(document, 0, "uri");
	event->version = document_member(document, 0, "version");
	event->content = document_member(document, 0, "content");
	event->patch = document_member(document, 0, "patch");
	event->state = document_member(document, 0, "state");
	if (event->patch && document->tokens[event->patch].type != DOCUMENT_ARRAY)
		return false;
	if (event->state && document->tokens[event->state].type != DOCUMENT_STRING)
		return false;
	return event->uri && (event->content || event->patch || event->state);
}

bool watch_print(const struct options *options, const char *data, size_t length)
{
	struct event event = {0};
	bool known;

	document_init(&event.document);
	known = read_event(&event, data, length);
	if (known && options->json) {
		print_raw(stdout, &event.document, 0);
		putchar('\n');
	} else if (known && options->patch) {
		print_as_patch(&event, data, length);
	} else if (known) {
		print_readable(&event, data, length);
	}
	document_fini(&event.document);
	output_flush();
	return known;
}
