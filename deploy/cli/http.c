#include "deploy/cli/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/document.h"
#include "common/memory.h"
#include "deploy/cli/output.h"

#define CONNECT_MS 10000L
#define TOKEN_LINE_MAX 8192

/* ---- the request ---- */

static char *make_url(CURL *easy, const struct options *options, const char *parameters)
{
	char *url = NULL;
	size_t length;
	FILE *out = open_memstream(&url, &length);

	fprintf(out, "%s/resource?", options->gateway);
	for (size_t i = 0; i < options->address_count; i++) {
		char *escaped = curl_easy_escape(easy, options->addresses[i], 0);

		fprintf(out, "%suri=%s", i > 0 ? "&" : "", escaped);
		curl_free(escaped);
	}
	fprintf(out, "%s", parameters);
	fclose(out);
	return url;
}

/* The first token of a file as gateways read them: one a line, # begins a comment. */
static bool read_token(const char *path, char *line)
{
	FILE *file = fopen(path, "r");
	bool found = false;

	if (!file) {
		output_say("--token-file: cannot read %s: %s", path, strerror(errno));
		return false;
	}
	while (!found && fgets(line, TOKEN_LINE_MAX, file)) {
		line[strcspn(line, "#\r\n")] = '\0';
		memmove(line, line + strspn(line, " \t"), strlen(line) + 1);
		line[strcspn(line, " \t")] = '\0';
		found = *line != '\0';
	}
	fclose(file);
	if (!found)
		output_say("--token-file: there is no token in %s", path);
	return found;
}

static bool add_token(struct http *http, const char *path)
{
	char token[TOKEN_LINE_MAX], header[TOKEN_LINE_MAX + 32];

	if (!read_token(path, token))
		return false;
	snprintf(header, sizeof(header), "Authorization: Bearer %s", token);
	http_header(http, header);
	return true;
}

enum exit_status http_init(
	struct http *http, const struct options *options, const char *parameters)
{
	CURL *easy = curl_easy_init();

	*http = (struct http){.easy = easy};
	http->url = make_url(easy, options, parameters);
	curl_easy_setopt(easy, CURLOPT_URL, http->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "uricast/" URICAST_VERSION);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->error);
	if (!options->token_file || add_token(http, options->token_file))
		return EXIT_FINE;
	http_fini(http);
	return EXIT_WRONG;
}

void http_fini(struct http *http)
{
	curl_easy_cleanup(http->easy);
	curl_slist_free_all(http->headers);
	free(http->url);
}

void http_header(struct http *http, const char *line)
{
	http->headers = curl_slist_append(http->headers, line);
	curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, http->headers);
}

/* ---- the answer ---- */

void http_refused(struct http *http, const char *bytes, size_t length)
{
	size_t room = HTTP_REFUSAL_MAX - http->refusal_length;

	length = length < room ? length : room;
	memcpy(http->refusal + http->refusal_length, bytes, length);
	http->refusal_length += length;
}

long http_status(const struct http *http)
{
	long status = 0;

	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* The text of a member, which the caller frees; NULL where there is none. */
static char *member_text(
	const struct document *document, uint32_t object, const char *name)
{
	uint32_t member = document_member(document, object, name);
	char *text;

	if (!member || document->tokens[member].type != DOCUMENT_STRING)
		return NULL;
	text = xcalloc(document->tokens[member].length + 1, 1);
	document_string(document, member, text, document->tokens[member].length + 1);
	return text;
}

void http_print_error(FILE *stream, const char *json, size_t length)
{
	struct document document;
	uint32_t object;
	char *message = NULL, *code = NULL;

	document_init(&document);
	if (document_scan(&document, json, length, NULL) == DOCUMENT_OK) {
		object = document_member(&document, 0, "error");
		message = member_text(&document, object, "message");
		code = member_text(&document, object, "code");
	}
	if (message)
		output_text(stream, message, strlen(message), 0);
	else
		output_text(stream, json, length, 300);
	if (code) {
		fputs(" (", stream);
		output_text(stream, code, strlen(code), 0);
		fputs(")", stream);
	}
	free(message);
	free(code);
	document_fini(&document);
}

static const struct {
	long status;
	enum exit_status exit;
	const char *advice;
} answers[] = {
	{400, EXIT_BAD, ""},
	{401, EXIT_UNREACHABLE, "; give one of the gateway's tokens by --token-file"},
	{403, EXIT_UNREACHABLE, "; give one of the gateway's tokens by --token-file"},
	{404, EXIT_BAD, "; `uricast status` lists what is watched"},
	{410, EXIT_BAD, ""},
	{502, EXIT_BAD, "; the upstream failed, and nothing is stored"},
	{503, EXIT_BAD, "; `uricast doctor` may find out why"},
	{504, EXIT_BAD, "; `uricast doctor` may find out why"},
};

enum exit_status http_explain(const struct http *http, const struct options *options)
{
	long status = http_status(http);

	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		if (answers[i].status != status)
			continue;
		fputs("uricast: ", stderr);
		http_print_error(stderr, http->refusal, http->refusal_length);
		fprintf(stderr, "%s\n", answers[i].advice);
		return answers[i].exit;
	}
	output_say("%s answered with status %ld, as no gateway does; --gateway URL or "
		   "URICAST_GATEWAY names another",
		options->gateway, status);
	return EXIT_UNREACHABLE;
}
