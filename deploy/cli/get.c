#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/memory.h"
#include "deploy/cli/commands.h"
#include "deploy/cli/http.h"
#include "deploy/cli/output.h"

struct get {
	struct http http;
	char *state; /* NULL: fresh */
	char *error; /* JSON */
	char *version;
	char *age;
	char *changed_at;
	char last; /* byte of the content */
};

static void keep_header(char **field, const char *name, const char *line, size_t length)
{
	size_t name_length = strlen(name);

	if (length <= name_length || strncasecmp(line, name, name_length) != 0 ||
		line[name_length] != ':')
		return;
	line += name_length + 1;
	length -= name_length + 1;
	while (length > 0 && *line == ' ')
		line++, length--;
	while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == '\n'))
		length--;
	if (memchr(line, '\0', length))
		return;
	free(*field);
	*field = xstrndup(line, length);
}

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
	struct get *get = user;

	keep_header(&get->state, "Uricast-State", line, count);
	keep_header(&get->error, "Uricast-Error", line, count);
	keep_header(&get->changed_at, "Uricast-Changed-At", line, count);
	keep_header(&get->version, "ETag", line, count);
	keep_header(&get->age, "Age", line, count);
	return size * count;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
	struct get *get = user;

	if (http_status(&get->http) != 200) {
		http_refused(&get->http, bytes, count);
		return size * count;
	}
	if (count > 0)
		get->last = bytes[count - 1];
	if (fwrite(bytes, 1, count, stdout) != count)
		output_flush();
	return size * count;
}

static void say_state(const struct get *get)
{
	output_say("%s, version %s, checked %s s ago, changed %s",
		get->state ? get->state : "fresh", get->version ? get->version : "-",
		get->age ? get->age : "-", get->changed_at ? get->changed_at : "-");
}

static void say_doubt(const struct get *get, const char *address)
{
	fprintf(stderr, "uricast: %s is %s: ", address, get->state);
	if (get->error) {
		char *wrapped;

		if (asprintf(&wrapped, "{\"error\":%s}", get->error) >= 0) {
			http_print_error(stderr, wrapped, strlen(wrapped));
			free(wrapped);
		}
	}
	fputc('\n', stderr);
}

static enum exit_status finish(
	const struct get *get, const struct options *options, CURLcode code)
{
	if (code != CURLE_OK) {
		output_flush();
		output_say("no whole answer from %s: %s; is a gateway running there? "
			   "--gateway URL or URICAST_GATEWAY names another",
			options->gateway,
			*get->http.error ? get->http.error : curl_easy_strerror(code));
		return EXIT_UNREACHABLE;
	}
	if (http_status(&get->http) != 200)
		return http_explain(&get->http, options);
	if (get->last != '\n' && isatty(STDOUT_FILENO))
		putchar('\n');
	output_flush();
	if (options->verbose)
		say_state(get);
	if (!get->state || strcmp(get->state, "fresh") == 0)
		return EXIT_FINE;
	say_doubt(get, options->addresses[0]);
	return EXIT_DOUBTFUL;
}

enum exit_status get_run(const struct options *options)
{
	struct get get = {0};
	enum exit_status status = http_init(&get.http, options, "");

	if (status != EXIT_FINE)
		return status;
	curl_easy_setopt(get.http.easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
	curl_easy_setopt(get.http.easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(get.http.easy, CURLOPT_HEADERDATA, &get);
	curl_easy_setopt(get.http.easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(get.http.easy, CURLOPT_WRITEDATA, &get);
	status = finish(&get, options, curl_easy_perform(get.http.easy));
	http_fini(&get.http);
	free(get.state);
	free(get.error);
	free(get.version);
	free(get.age);
	free(get.changed_at);
	return status;
}
