#include "common/redis_lookup.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/list.h"
#include "common/memory.h"

/* What loop and thread share. Freed by the one who is done last. */
struct question {
	char *host;
	char port[16];

	pthread_mutex_t lock; /* of all below */
	uv_async_t *asker;    /* NULL once nobody waits for the answer */
	bool answered;
	int error;        /* EAI_…, or 0 */
	int system_error; /* where that is EAI_SYSTEM */
	struct addrinfo *addresses;
};

struct redis_lookup {
	struct question *question;
	uv_async_t answered;
	redis_lookup_fn on_done;
	void *user;
};

static struct question *question_new(const char *host, int port, uv_async_t *asker)
{
	struct question *question = xcalloc(1, sizeof(*question));

	question->host = xstrdup(host);
	snprintf(question->port, sizeof(question->port), "%d", port);
	pthread_mutex_init(&question->lock, NULL);
	question->asker = asker;
	return question;
}

static void question_free(struct question *question)
{
	uv_freeaddrinfo(question->addresses);
	pthread_mutex_destroy(&question->lock);
	free(question->host);
	free(question);
}

/* ---- the thread ---- */

/* Under the lock the asker is not closed, so that it can be woken. */
static void *answer(void *user)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct question *question = user;
	struct addrinfo *addresses = NULL;
	int error = getaddrinfo(question->host, question->port, &hints, &addresses);
	int system_error = errno;
	bool awaited;

	pthread_mutex_lock(&question->lock);
	question->answered = true;
	question->error = error;
	question->system_error = system_error;
	question->addresses = addresses;
	awaited = question->asker != NULL;
	if (awaited)
		uv_async_send(question->asker);
	pthread_mutex_unlock(&question->lock);
	if (!awaited)
		question_free(question);
	return NULL;
}

static bool start_thread(struct question *question)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int r;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attributes, answer, question);
	pthread_attr_destroy(&attributes);
	return r == 0;
}

/* ---- the loop ---- */

static void on_closed(uv_handle_t *handle)
{
	free(container_of(handle, struct redis_lookup, answered));
}

static void lookup_close(struct redis_lookup *lookup)
{
	uv_close((uv_handle_t *)&lookup->answered, on_closed);
}

static const char *reason_of(const struct question *question)
{
	if (question->error == 0)
		return NULL;
	if (question->error == EAI_SYSTEM)
		return strerror(question->system_error);
	return gai_strerror(question->error);
}

static void on_answered(uv_async_t *answered)
{
	struct redis_lookup *lookup =
		container_of(answered, struct redis_lookup, answered);
	struct question *question = lookup->question;
	struct addrinfo *addresses;
	const char *reason;

	/* The thread touches none of it once it has let go of the lock. */
	pthread_mutex_lock(&question->lock);
	reason = reason_of(question);
	addresses = question->addresses;
	question->addresses = NULL;
	pthread_mutex_unlock(&question->lock);
	question_free(question);
	lookup_close(lookup);
	lookup->on_done(addresses, reason, lookup->user);
}

struct redis_lookup *redis_lookup_begin(
	uv_loop_t *loop, const char *host, int port, redis_lookup_fn on_done, void *user)
{
	struct redis_lookup *lookup = xcalloc(1, sizeof(*lookup));

	if (uv_async_init(loop, &lookup->answered, on_answered) < 0) {
		free(lookup);
		return NULL;
	}
	lookup->on_done = on_done;
	lookup->user = user;
	lookup->question = question_new(host, port, &lookup->answered);
	if (start_thread(lookup->question))
		return lookup;
	question_free(lookup->question);
	lookup_close(lookup);
	return NULL;
}

void redis_lookup_cancel(struct redis_lookup *lookup)
{
	struct question *question;
	bool answered;

	if (!lookup)
		return;
	question = lookup->question;
	pthread_mutex_lock(&question->lock);
	question->asker = NULL;
	answered = question->answered;
	pthread_mutex_unlock(&question->lock);
	if (answered)
		question_free(question);
	lookup_close(lookup);
}
