/*
 * A scripted HTTP origin that costs almost nothing: any path answers JSON.
 *
 * Values change on the clock (see origin_paths.h). A body tells when its value came about
 * ("at") and when it was first asked for ("served"), so that a client at the far end can
 * tell what the way from here took. GET /-/counts tells what was asked, /-/freeze ends
 * all change, /-/reset counts from 0 again.
 */

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/origin_paths.h"
#include "tests/bench/tool.h"

#define REQUEST_MAX 16384
#define EVENTS_MAX 256
#define BESIDE_ROWS 256 /* bytes of a body that are not rows, about */
#define ROWS_START ",\"rows\":["
#define ROW_START "{\"id\":\"row-%06zu\",\"state\":\"running\",\"load\":"
#define LOAD "0.%03zu"
#define CHANGING_IN 5 /* values, until every row has changed */

struct origin {
	int epoll;
	int listener;
	int signals;
	uint16_t port;
	size_t size; /* of a body */
	bool etag;
	bool changing_rows;
	struct paths_settings settings;
	struct paths paths;
	uint64_t accepted;
	uint64_t received_bytes;
	uint64_t sent_bytes;
	uint64_t connections; /* now */
	char *rows;           /* the part that all bodies share */
	size_t rows_length;
	size_t row_count;
	char *answer; /* the one being made */
	size_t answer_capacity;
};

struct connection {
	int fd;
	size_t read; /* bytes in request */
	char request[REQUEST_MAX];
	char *unsent; /* of an answer that the socket did not take whole; or NULL */
	size_t unsent_at;
	size_t unsent_length;
	bool last; /* the client wants nothing after the answer under way */
};

struct request {
	const char *target;
	size_t target_length;
	const char *match; /* If-None-Match, or NULL */
	size_t match_length;
	bool close;
};

/* ---- bodies ---- */

/* All of one length, so that a load can be written over another. */
static void make_rows(struct origin *origin)
{
	size_t room = origin->size > BESIDE_ROWS ? origin->size - BESIDE_ROWS : 0;
	FILE *file = open_memstream(&origin->rows, &origin->rows_length);
	size_t row = 0;

	fputs(ROWS_START, file);
	for (; (size_t)ftell(file) + 64 < room; row++)
		fprintf(file, "%s" ROW_START LOAD "}", row > 0 ? "," : "", row,
			row % 1000);
	fputs("],\"pad\":\"", file);
	fclose(file);
	origin->row_count = row;
}

/* With each value another fifth of the rows takes another load. */
static void change_rows(const struct origin *origin, uint64_t value)
{
	size_t row_length =
		(size_t)snprintf(NULL, 0, "," ROW_START LOAD "}", (size_t)0, (size_t)0);
	size_t load_length = (size_t)snprintf(NULL, 0, LOAD, (size_t)0);
	char *end = origin->rows + strlen(ROWS_START) - 1, load[16];

	for (size_t row = 0; row < origin->row_count; row++) {
		uint64_t since = (value + CHANGING_IN - row % CHANGING_IN) % CHANGING_IN;

		end += row_length;
		snprintf(load, sizeof(load), LOAD, (size_t)((value - since) % 1000));
		memcpy(end - 1 - load_length, load, load_length);
	}
}

/* Addresses in canonical form hold nothing that JSON would escape. */
static size_t write_body(const struct origin *origin, const struct path *path, char *body)
{
	size_t length = (size_t)sprintf(body,
		"{\"at\":%lld,\"served\":%lld,\"value\":%llu,\"path\":\"%.*s\"",
		(long long)path->changed_at_us, (long long)path->served_at_us,
		(unsigned long long)path->value, (int)path->length, path->text);

	if (origin->changing_rows)
		change_rows(origin, path->value);
	memcpy(body + length, origin->rows, origin->rows_length);
	length += origin->rows_length;
	if (length + 2 < origin->size) {
		memset(body + length, '.', origin->size - length - 2);
		length = origin->size - 2;
	}
	memcpy(body + length, "\"}", 2);
	return length + 2;
}

static bool matches(const struct request *request, const char *etag)
{
	return request->match != NULL && request->match_length == strlen(etag) &&
		memcmp(request->match, etag, request->match_length) == 0;
}

/* ---- answers ---- */

/* The body is made first, behind room for the head, which tells its length. */
#define HEAD_ROOM 256

static size_t join_head(struct origin *origin, const char *head, size_t body_length)
{
	size_t head_length = strlen(head);

	memmove(origin->answer + head_length, origin->answer + HEAD_ROOM, body_length);
	memcpy(origin->answer, head, head_length);
	return head_length + body_length;
}

static size_t answer_path(struct origin *origin, const struct request *request)
{
	struct path *path =
		paths_ask(&origin->paths, request->target, request->target_length);
	char head[HEAD_ROOM], etag[32], etag_line[64] = "";
	size_t body_length;

	snprintf(etag, sizeof(etag), "\"%llu\"", (unsigned long long)path->value);
	if (origin->etag && matches(request, etag)) {
		paths_count_not_modified(&origin->paths, path);
		return (size_t)sprintf(origin->answer,
			"HTTP/1.1 304 Not Modified\r\nETag: %s\r\n\r\n", etag);
	}
	if (origin->etag)
		snprintf(etag_line, sizeof(etag_line), "ETag: %s\r\n", etag);
	body_length = write_body(origin, path, origin->answer + HEAD_ROOM);
	snprintf(head, sizeof(head),
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%s"
		"Content-Length: %zu\r\n\r\n",
		etag_line, body_length);
	return join_head(origin, head, body_length);
}

static char *write_counts(const struct origin *origin, bool each, size_t *length)
{
	char *text = NULL;
	FILE *file = open_memstream(&text, length);

	fputc('{', file);
	paths_write_totals(&origin->paths, file);
	fprintf(file,
		",\"accepted\":%llu,\"connections\":%llu,\"received_bytes\":%llu,"
		"\"sent_bytes\":%llu",
		(unsigned long long)origin->accepted,
		(unsigned long long)origin->connections,
		(unsigned long long)origin->received_bytes,
		(unsigned long long)origin->sent_bytes);
	if (each) {
		fputs(",\"by_path\":", file);
		paths_write_each(&origin->paths, file);
	}
	fputs("}\n", file);
	fclose(file);
	return text;
}

static bool target_is(const struct request *request, const char *text)
{
	return request->target_length == strlen(text) &&
		memcmp(request->target, text, request->target_length) == 0;
}

static size_t answer_control(struct origin *origin, const struct request *request)
{
	char head[HEAD_ROOM], *counts;
	size_t length;

	counts = write_counts(origin, target_is(request, "/-/counts?paths=1"), &length);
	if (target_is(request, "/-/freeze"))
		paths_freeze(&origin->paths);
	if (target_is(request, "/-/reset"))
		paths_reset(&origin->paths);
	if (length + HEAD_ROOM > origin->answer_capacity) {
		origin->answer_capacity = length + HEAD_ROOM;
		origin->answer = realloc(origin->answer, origin->answer_capacity);
		if (origin->answer == NULL)
			tool_die("no memory for an answer");
	}
	memcpy(origin->answer + HEAD_ROOM, counts, length);
	free(counts);
	snprintf(head, sizeof(head),
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\n\r\n",
		length);
	return join_head(origin, head, length);
}

/* ---- requests ---- */

static bool field_is(const char *line, size_t length, const char *name)
{
	return length > strlen(name) && strncasecmp(line, name, strlen(name)) == 0;
}

static void read_field(struct request *request, const char *line, size_t length)
{
	static const char match[] = "If-None-Match:", connection[] = "Connection:";

	if (field_is(line, length, match)) {
		request->match = line + strlen(match);
		request->match_length = length - strlen(match);
		while (request->match_length > 0 && *request->match == ' ') {
			request->match++;
			request->match_length--;
		}
	} else if (field_is(line, length, connection)) {
		request->close = memmem(line, length, "close", 5) != NULL;
	}
}

/* Reads a whole head. False where it is no GET. */
static bool read_request(struct request *request, const char *head, size_t length)
{
	const char *end = head + length, *line = memchr(head, '\n', length), *next,
		   *blank;

	*request = (struct request){0};
	if (length < 16 || memcmp(head, "GET /", 5) != 0)
		return false;
	request->target = head + 4;
	blank = memchr(request->target, ' ', (size_t)(line - request->target));
	if (blank == NULL)
		return false;
	request->target_length = (size_t)(blank - request->target);
	for (line++; line < end; line = next + 1) {
		next = memchr(line, '\n', (size_t)(end - line));
		if (next == NULL)
			break;
		if (next > line)
			read_field(request, line, (size_t)(next - line) - 1);
	}
	return true;
}

/* ---- connections ---- */

static void close_connection(struct origin *origin, struct connection *connection)
{
	close(connection->fd);
	free(connection->unsent);
	free(connection);
	origin->connections--;
}

/* False where the connection is dead. */
static bool send_answer(
	struct origin *origin, struct connection *connection, size_t length)
{
	ssize_t sent = send(connection->fd, origin->answer, length, MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN)
		return false;
	if (sent < 0)
		sent = 0;
	origin->sent_bytes += (size_t)sent;
	if ((size_t)sent == length)
		return true;
	connection->unsent_length = length - (size_t)sent;
	connection->unsent_at = 0;
	connection->unsent = malloc(connection->unsent_length);
	if (connection->unsent == NULL)
		return false;
	memcpy(connection->unsent, origin->answer + sent, connection->unsent_length);
	tool_rewatch(origin->epoll, connection->fd, EPOLLOUT, connection);
	return true;
}

/* Answers the first request in the buffer. False where the connection ends. */
static bool answer_one(
	struct origin *origin, struct connection *connection, size_t head_length)
{
	struct request request;
	size_t length;

	if (!read_request(&request, connection->request, head_length))
		return false;
	if (request.target_length > 3 && memcmp(request.target, "/-/", 3) == 0)
		length = answer_control(origin, &request);
	else
		length = answer_path(origin, &request);
	connection->last = request.close;
	return send_answer(origin, connection, length) &&
		(!connection->last || connection->unsent != NULL);
}

static bool answer_all(struct origin *origin, struct connection *connection)
{
	char *end;

	while (connection->unsent == NULL &&
		(end = memmem(connection->request, connection->read, "\r\n\r\n", 4)) !=
			NULL) {
		size_t head_length = (size_t)(end - connection->request) + 4;

		if (!answer_one(origin, connection, head_length))
			return false;
		connection->read -= head_length;
		memmove(connection->request, connection->request + head_length,
			connection->read);
	}
	return connection->read < REQUEST_MAX;
}

static bool on_readable(struct origin *origin, struct connection *connection)
{
	ssize_t got = recv(connection->fd, connection->request + connection->read,
		REQUEST_MAX - connection->read, 0);

	if (got < 0)
		return errno == EAGAIN;
	if (got == 0)
		return false;
	connection->read += (size_t)got;
	origin->received_bytes += (size_t)got;
	return answer_all(origin, connection);
}

static bool on_writable(struct origin *origin, struct connection *connection)
{
	ssize_t sent = send(connection->fd, connection->unsent + connection->unsent_at,
		connection->unsent_length - connection->unsent_at, MSG_NOSIGNAL);

	if (sent < 0)
		return errno == EAGAIN;
	connection->unsent_at += (size_t)sent;
	origin->sent_bytes += (size_t)sent;
	if (connection->unsent_at < connection->unsent_length)
		return true;
	free(connection->unsent);
	connection->unsent = NULL;
	if (connection->last)
		return false;
	tool_rewatch(origin->epoll, connection->fd, EPOLLIN, connection);
	return answer_all(origin, connection);
}

static void accept_all(struct origin *origin)
{
	struct connection *connection;
	int fd;

	while ((fd = tool_accept(origin->listener)) >= 0) {
		connection = malloc(sizeof(*connection));
		if (connection == NULL)
			tool_die("no memory for a connection");
		connection->fd = fd;
		connection->read = 0;
		connection->unsent = NULL;
		connection->last = false;
		tool_watch(origin->epoll, fd, EPOLLIN, connection);
		origin->accepted++;
		origin->connections++;
	}
}

/* ---- the program ---- */

static void serve(struct origin *origin)
{
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		int count = epoll_wait(origin->epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++) {
			struct connection *connection = events[i].data.ptr;
			bool alive;

			if (events[i].data.ptr == &origin->signals) {
				if (tool_take_signal(origin->signals) != SIGUSR1)
					return;
				continue;
			}
			if (events[i].data.ptr == &origin->listener) {
				accept_all(origin);
				continue;
			}
			alive = connection->unsent != NULL
				? on_writable(origin, connection)
				: on_readable(origin, connection);
			if (!alive)
				close_connection(origin, connection);
		}
	}
}

static const struct argp_option options[] = {
	{"port", 'p', "PORT", 0, "Listen on 127.0.0.1:PORT", 0},
	{"size", 's', "BYTES", 0, "Length of every body (default 1000)", 0},
	{"etag", 'e', NULL, 0, "Send an ETag, and 304 where it matches", 0},
	{"change-every", 'c', "MS", 0, "Every path takes a new value so often", 0},
	{"changing-share", 'S', "SHARE", 0, "Only so many paths do, 0 to 1 (default 1)",
		0},
	{"changing-rows", 'r', NULL, 0, "With each value a fifth of the rows changes", 0},
	{"polled-every", 'P', "MS", 0, "Tell how late requests are for that", 0},
	{0},
};

static error_t on_option(int key, char *text, struct argp_state *state)
{
	struct origin *origin = state->input;

	switch (key) {
	case 'p':
		origin->port = (uint16_t)tool_number(state, text, 1, UINT16_MAX);
		return 0;
	case 's':
		origin->size = tool_number(state, text, 1, 64u << 20);
		return 0;
	case 'e':
		origin->etag = true;
		return 0;
	case 'c':
		origin->settings.change_every_us =
			(int64_t)tool_number(state, text, 1, 86400000) * 1000;
		return 0;
	case 'S':
		origin->settings.changing_share = strtod(text, NULL);
		return 0;
	case 'r':
		origin->changing_rows = true;
		return 0;
	case 'P':
		origin->settings.polled_every_ms =
			(int64_t)tool_number(state, text, 1, 86400000);
		return 0;
	case ARGP_KEY_END:
		if (origin->port == 0)
			argp_error(state, "--port is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = on_option,
		.doc = "Answers JSON at every path, and counts.",
	};
	struct origin origin = {.size = 1000, .settings.changing_share = 1};
	char *counts;
	size_t length;

	argp_parse(&argp, argc, argv, 0, NULL, &origin);
	tool_raise_files();
	make_rows(&origin);
	origin.answer_capacity = HEAD_ROOM + REQUEST_MAX + origin.size + BESIDE_ROWS;
	origin.answer = malloc(origin.answer_capacity);
	if (origin.answer == NULL)
		tool_die("no memory for answers");
	paths_init(&origin.paths, &origin.settings);
	origin.epoll = epoll_create1(EPOLL_CLOEXEC);
	origin.listener = tool_listen(origin.port);
	origin.signals = tool_signals();
	tool_watch(origin.epoll, origin.listener, EPOLLIN, &origin.listener);
	tool_watch(origin.epoll, origin.signals, EPOLLIN, &origin.signals);

	serve(&origin);

	counts = write_counts(&origin, false, &length);
	fputs(counts, stdout);
	free(counts);
	paths_fini(&origin.paths);
	free(origin.answer);
	free(origin.rows);
	return 0;
}
