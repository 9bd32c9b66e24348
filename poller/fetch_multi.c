#include "poller/fetch_multi.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/list.h"
#include "common/log.h"
#include "common/memory.h"

/*
 * A descriptor that libcurl has, or had, us watch.
 *
 * Connections keep their poll handle from socket() to close(), and stay registered for
 * reading between two transfers: each change costs two system calls. Descriptors that
 * libcurl opens and closes by itself (its resolver's) live as long as it wants events.
 */
struct watch {
	uv_poll_t poll;
	struct fetch_multi *multi;
	int fd;
	int wanted;          /* UV_READABLE | UV_WRITABLE, by libcurl */
	int registered;      /* likewise, with the loop */
	int64_t heard_at_ms; /* when it was readable last */
	bool is_connection;
	bool closing;
};

struct fetch_multi {
	uv_loop_t *loop;
	struct clock *clock;
	CURLM *curl;
	struct fetch_multi_events events;
	void *user;
	struct clock_timer timer;
	bool timeout_due; /* libcurl asked for 0 ms: soon, not now */
	bool round_due;
	uv_idle_t idle;         /* keeps the loop from waiting while a round is due */
	uv_check_t check;       /* runs the round after the turn's events */
	int open_handles;       /* idle and check */
	struct watch **watches; /* by descriptor, NULL where there is none */
	size_t watch_capacity;
};

/* NULL where there is none. */
static struct watch *watch_of(const struct fetch_multi *multi, int fd)
{
	return (size_t)fd < multi->watch_capacity ? multi->watches[fd] : NULL;
}

/* ---- rounds ---- */

static void act(struct fetch_multi *multi, curl_socket_t fd, int events)
{
	int running;

	if (curl_multi_socket_action(multi->curl, fd, events, &running) != CURLM_OK)
		log_error("libcurl could not go on with its transfers fd=%d", fd);
}

static void act_if_due(struct fetch_multi *multi)
{
	if (!multi->timeout_due)
		return;
	multi->timeout_due = false;
	act(multi, CURL_SOCKET_TIMEOUT, 0);
}

/*
 * Ends the connection on which @easy timed out, if nothing was heard on it all the while.
 * libcurl itself goes on using one that multiplexes: where the other side is gone without
 * a word, every poll would time out until the kernel gives it up after many minutes.
 */
static void end_if_silent(struct fetch_multi *multi, CURL *easy)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	curl_off_t took_us = 0;
	struct watch *watch;

	curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
	curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &took_us);
	watch = fd == CURL_SOCKET_BAD ? NULL : watch_of(multi, fd);
	if (watch && watch->is_connection &&
		clock_now_ms(multi->clock) - watch->heard_at_ms >= took_us / 1000)
		shutdown(fd, SHUT_RDWR);
}

static void collect(struct fetch_multi *multi)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(multi->curl, &left))) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		if (code == CURLE_OPERATION_TIMEDOUT)
			end_if_silent(multi, easy);
		curl_multi_remove_handle(multi->curl, easy);
		multi->events.on_finished(easy, code, multi->user);
	}
}

static void run_round(struct fetch_multi *multi)
{
	multi->round_due = false;
	act_if_due(multi);
	collect(multi);
	multi->events.on_round(multi->user);
	/* What was begun above goes out in this turn. */
	act_if_due(multi);
	collect(multi);
	if (multi->timeout_due || multi->round_due)
		return;
	uv_idle_stop(&multi->idle);
	uv_check_stop(&multi->check);
}

static void on_idle(uv_idle_t *idle)
{
	run_round(idle->data);
}

static void on_check(uv_check_t *check)
{
	run_round(check->data);
}

static void arm(struct fetch_multi *multi)
{
	uv_idle_start(&multi->idle, on_idle);
	uv_check_start(&multi->check, on_check);
}

void fetch_multi_soon(struct fetch_multi *multi)
{
	multi->round_due = true;
	arm(multi);
}

/* ---- the timer ---- */

static void on_due(struct clock_timer *timer)
{
	struct fetch_multi *multi = container_of(timer, struct fetch_multi, timer);

	multi->timeout_due = true;
	arm(multi);
}

static int on_timeout(CURLM *curl, long timeout_ms, void *user)
{
	struct fetch_multi *multi = user;

	(void)curl;
	clock_timer_stop(&multi->timer);
	multi->timeout_due = timeout_ms == 0;
	if (timeout_ms > 0)
		clock_timer_start_in(&multi->timer, timeout_ms);
	else if (timeout_ms == 0)
		arm(multi);
	return 0;
}

/* ---- descriptors ---- */

static void on_watch_closed(uv_handle_t *handle)
{
	free(container_of((uv_poll_t *)handle, struct watch, poll));
}

static void watch_close(struct watch *watch)
{
	watch->multi->watches[watch->fd] = NULL;
	watch->closing = true;
	uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static void make_room(struct fetch_multi *multi, int fd)
{
	size_t capacity = multi->watch_capacity ? multi->watch_capacity : 64;

	if ((size_t)fd < multi->watch_capacity)
		return;
	while (capacity <= (size_t)fd)
		capacity *= 2;
	multi->watches = xreallocarray(multi->watches, capacity, sizeof(struct watch *));
	memset(multi->watches + multi->watch_capacity, 0,
		(capacity - multi->watch_capacity) * sizeof(struct watch *));
	multi->watch_capacity = capacity;
}

/* Returns NULL where the loop cannot watch @fd. */
static struct watch *watch_new(struct fetch_multi *multi, int fd, bool is_connection)
{
	struct watch *watch = watch_of(multi, fd);

	if (watch)
		watch_close(watch); /* closed without our being told */
	watch = xcalloc(1, sizeof(*watch));
	if (uv_poll_init(multi->loop, &watch->poll, fd) < 0) {
		free(watch);
		return NULL;
	}
	make_room(multi, fd);
	watch->multi = multi;
	watch->fd = fd;
	watch->is_connection = is_connection;
	multi->watches[fd] = watch;
	return watch;
}

static void on_event(uv_poll_t *poll, int status, int events);

static void watch_register(struct watch *watch, int events)
{
	if (events == watch->registered)
		return;
	watch->registered = events;
	if (events)
		uv_poll_start(&watch->poll, events, on_event);
	else
		uv_poll_stop(&watch->poll);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = container_of(poll, struct watch, poll);
	int curl_events = 0;

	if (status < 0) {
		/* libuv has stopped watching. What came before the error is still to be
		 * read, and then libcurl meets the error itself. */
		watch->registered = 0;
		events = UV_READABLE | UV_WRITABLE;
	}
	if (!watch->wanted) {
		/* The other side closed an idle connection, or talks out of turn: libcurl
		 * finds out when it wants to use it again. */
		watch_register(watch, 0);
		return;
	}

	if (events & UV_READABLE) {
		watch->heard_at_ms = clock_now_ms(watch->multi->clock);
		curl_events |= CURL_CSELECT_IN;
	}
	if (events & UV_WRITABLE)
		curl_events |= CURL_CSELECT_OUT;
	act(watch->multi, watch->fd, curl_events);
	arm(watch->multi);
	if (!watch->closing && watch->wanted)
		watch_register(watch, watch->wanted);
}

static int on_want(CURL *easy, curl_socket_t fd, int what, void *user, void *unused)
{
	struct fetch_multi *multi = user;
	struct watch *watch = watch_of(multi, fd);

	(void)easy;
	(void)unused;
	if (what == CURL_POLL_REMOVE) {
		if (!watch)
			return 0;
		watch->wanted = 0;
		if (!watch->is_connection)
			watch_close(watch);
		else if (watch->registered != UV_READABLE)
			watch_register(watch, 0);
		return 0;
	}

	if (!watch)
		watch = watch_new(multi, fd, false);
	if (!watch) {
		/* An error here would end every transfer; so only this one will time out.
		 */
		log_error("a descriptor of libcurl cannot be watched fd=%d", fd);
		return 0;
	}
	watch->wanted = (what & CURL_POLL_IN ? UV_READABLE : 0) |
		(what & CURL_POLL_OUT ? UV_WRITABLE : 0);
	watch_register(watch, watch->wanted);
	return 0;
}

static curl_socket_t on_open(void *user, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct fetch_multi *multi = user;
	int fd = socket(
		to->family, to->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->protocol);

	(void)purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	if (!watch_new(multi, fd, true)) {
		close(fd);
		return CURL_SOCKET_BAD;
	}
	return fd;
}

static int on_close(void *user, curl_socket_t fd)
{
	struct watch *watch = watch_of(user, fd);

	if (watch)
		watch_close(watch);
	return close(fd);
}

/* ---- public ---- */

int fetch_multi_prepare(struct fetch_multi *multi, CURL *easy)
{
	if (curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open) ||
		curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, multi) ||
		curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close) ||
		curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, multi))
		return -EINVAL;
	return 0;
}

int fetch_multi_add(struct fetch_multi *multi, CURL *easy)
{
	return curl_multi_add_handle(multi->curl, easy) == CURLM_OK ? 0 : -ENOMEM;
}

void fetch_multi_remove(struct fetch_multi *multi, CURL *easy)
{
	curl_multi_remove_handle(multi->curl, easy);
}

void fetch_multi_keep(struct fetch_multi *multi, size_t connections)
{
	long count = connections < LONG_MAX ? (long)connections : LONG_MAX;

	curl_multi_setopt(multi->curl, CURLMOPT_MAXCONNECTS, count);
}

static CURLM *curl_new(struct fetch_multi *multi)
{
	CURLM *curl;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	curl = curl_multi_init();
	if (!curl)
		return NULL;
	curl_multi_setopt(curl, CURLMOPT_SOCKETFUNCTION, on_want);
	curl_multi_setopt(curl, CURLMOPT_SOCKETDATA, multi);
	curl_multi_setopt(curl, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(curl, CURLMOPT_TIMERDATA, multi);
	return curl;
}

struct fetch_multi *fetch_multi_new(uv_loop_t *loop, struct clock *clock,
	const struct fetch_multi_events *events, void *user)
{
	struct fetch_multi *multi = xcalloc(1, sizeof(*multi));

	multi->loop = loop;
	multi->clock = clock;
	multi->events = *events;
	multi->user = user;
	clock_timer_init(&multi->timer, clock, on_due);
	uv_idle_init(loop, &multi->idle);
	uv_check_init(loop, &multi->check);
	multi->idle.data = multi;
	multi->check.data = multi;
	multi->open_handles = 2;
	multi->curl = curl_new(multi);
	if (!multi->curl) {
		log_error("libcurl cannot be started, giving up");
		abort();
	}
	return multi;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct fetch_multi *multi = handle->data;

	if (--multi->open_handles == 0)
		free(multi);
}

void fetch_multi_free(struct fetch_multi *multi)
{
	if (!multi)
		return;
	curl_multi_cleanup(multi->curl);
	curl_global_cleanup();
	for (size_t fd = 0; fd < multi->watch_capacity; fd++) {
		if (multi->watches[fd])
			watch_close(multi->watches[fd]);
	}
	free(multi->watches);
	clock_timer_stop(&multi->timer);
	uv_close((uv_handle_t *)&multi->idle, on_handle_closed);
	uv_close((uv_handle_t *)&multi->check, on_handle_closed);
}
