/* poller/fetch.h on the model upstream. */
#include "poller/fetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/list.h"
#include "common/memory.h"
#include "tests/simulation/upstream.h"
#include "tests/simulation/world.h"

struct fetcher {
	struct clock *clock;
	struct actor *actor;
	struct upstream *upstream;
	struct fetcher_events events;
	void *user;
	struct list fetches;
};

enum fetch_stage {
	FETCH_WAITS,
	FETCH_ASKS,    /* the request is on its way */
	FETCH_ANSWERS, /* the answer is */
};

struct fetch {
	struct event event; /* the next stage */
	struct list link;
	struct fetcher *fetcher;
	size_t number; /* of the resource */
	struct upstream_resource *resource;
	enum fetch_stage stage;
	bool under_way; /* its event will run or be dropped */
	bool cancelled; /* it ends with its event */
	fetch_done_fn on_done;
	void *user;
	bool has_digest;
	struct digest digest;
	char *etag;
	int64_t started_at_ms;
	char *body; /* as the upstream has read it; NULL until then */
	size_t length;
	long status;
};

/* ---- what the upstream says ---- */

/* Stable and, over these few short bodies, without collisions. */
static struct digest digest_of(const char *body, size_t length)
{
	uint64_t hash = 14695981039346656037u;
	struct digest digest;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)body[i]) * 1099511628211u;
	snprintf(digest.text, sizeof(digest.text), "%016" PRIx64 "%016" PRIx64, hash,
		~hash);
	return digest;
}

/* The moment at which the upstream reads its state. */
static void look(struct fetch *fetch)
{
	const struct upstream_resource *resource = fetch->resource;

	fetch->body = upstream_body(resource);
	fetch->length = strlen(fetch->body);
	fetch->status = resource->fails ? 503 : resource->gone ? 404 : 200;
}

static void fail_result(struct fetch_result *result, long status)
{
	result->outcome = FETCH_FAILED;
	result->error_code = "upstream_status";
	result->error_message = status == 503 ? "503 from the upstream" : "404";
}

static void content_result(
	struct fetch *fetch, struct fetch_result *result, const char *etag)
{
	if (fetch->fetcher->upstream->has_etags) {
		result->etag = etag;
		if (fetch->etag && strcmp(fetch->etag, etag) == 0) {
			result->outcome = FETCH_UNCHANGED;
			result->status = 304;
			return;
		}
	}
	result->digest = digest_of(fetch->body, fetch->length);
	if (fetch->has_digest && strcmp(fetch->digest.text, result->digest.text) == 0) {
		result->outcome = FETCH_UNCHANGED;
		return;
	}
	result->outcome = FETCH_CONTENT;
	result->body = fetch->body;
	result->length = fetch->length;
	result->content_type = "application/json";
}

/* ---- stages ---- */

static void fetch_free(struct fetch *fetch)
{
	list_remove(&fetch->link);
	free(fetch->etag);
	free(fetch->body);
	free(fetch);
}

/* Its process has died; the fetcher still has it. */
static void drop_fetch(struct event *event)
{
	struct fetch *fetch = container_of(event, struct fetch, event);

	fetch->under_way = false;
	if (fetch->cancelled)
		fetch_free(fetch);
}

static void finish(struct fetch *fetch, struct fetch_result *result)
{
	fetch_done_fn on_done = fetch->on_done;
	void *user = fetch->user;

	/* A cancel from inside the callback must not find it. */
	list_remove(&fetch->link);
	on_done(result, user);
	fetch_free(fetch);
}

static void answer(struct fetch *fetch)
{
	char *url = fetch_url(NULL, fetch->resource->uri);
	char etag[16];
	struct fetch_result result = {
		.status = fetch->status,
		.url = url,
		.error_code = "",
		.error_message = "",
		.started_at_ms = fetch->started_at_ms,
	};

	snprintf(etag, sizeof(etag), "\"%.8s\"",
		digest_of(fetch->body, fetch->length).text);
	if (fetch->status != 200)
		fail_result(&result, fetch->status);
	else
		content_result(fetch, &result, etag);
	finish(fetch, &result);
	free(url);
}

static void go_on(struct fetch *fetch, enum fetch_stage stage, int64_t most_us)
{
	struct world *world = fetch->fetcher->upstream->world;

	fetch->stage = stage;
	fetch->under_way = true;
	world_schedule(
		world, &fetch->event, random_stream_between(&world->random, 0, most_us));
}

static bool is_polled_already(const struct fetch *fetch)
{
	list_each (link, &fetch->fetcher->fetches) {
		const struct fetch *other = container_of(link, struct fetch, link);

		if (other != fetch && other->resource == fetch->resource &&
			other->stage != FETCH_WAITS)
			return true;
	}
	return false;
}

static void begin(struct fetch *fetch)
{
	struct fetcher *fetcher = fetch->fetcher;
	struct fetch_result result = {
		.outcome = FETCH_NOT_STARTED,
		.url = "",
		.error_code = "",
		.error_message = "",
		.started_at_ms = clock_now_ms(fetcher->clock),
	};

	if (!fetcher->events.may_start(fetcher->user) &&
		!fetcher->upstream->ignores_fence) {
		finish(fetch, &result);
		return;
	}
	fetch->started_at_ms = clock_now_ms(fetcher->clock);
	fetcher->upstream->events.on_poll(fetch->number, fetcher->actor,
		is_polled_already(fetch), fetcher->upstream->user);
	/* The upstream answers while the poller stands still, too. */
	fetch->event.actor = NULL;
	go_on(fetch, FETCH_ASKS, fetcher->upstream->slowest_us / 2);
}

static void on_stage(struct event *event)
{
	struct fetch *fetch = container_of(event, struct fetch, event);

	fetch->under_way = false;
	if (fetch->cancelled) {
		fetch_free(fetch);
	} else if (fetch->stage == FETCH_WAITS) {
		begin(fetch);
	} else if (fetch->stage == FETCH_ASKS) {
		look(fetch);
		fetch->event.actor = fetch->fetcher->actor;
		go_on(fetch, FETCH_ANSWERS, fetch->fetcher->upstream->slowest_us / 2);
	} else {
		answer(fetch);
	}
}

/* ---- public ---- */

struct fetcher *fetcher_new(uv_loop_t *loop, struct clock *clock,
	const struct fetcher_events *events, void *user)
{
	struct fetcher *fetcher = xcalloc(1, sizeof(*fetcher));

	(void)loop;
	fetcher->clock = clock;
	fetcher->actor = the_world->current;
	fetcher->upstream = the_world->upstream;
	fetcher->events = *events;
	fetcher->user = user;
	list_init(&fetcher->fetches);
	return fetcher;
}

void fetcher_free(struct fetcher *fetcher)
{
	if (!fetcher)
		return;
	while (!list_empty(&fetcher->fetches))
		fetch_cancel(container_of(fetcher->fetches.next, struct fetch, link));
	free(fetcher);
}

char *fetch_url(const struct catalog_provider *provider, const char *uri)
{
	size_t size = strlen(uri) + sizeof("http://upstream");
	char *url = xcalloc(1, size);

	(void)provider;
	snprintf(url, size, "http://upstream%s", uri);
	return url;
}

/* It keeps nothing. */
void fetcher_leave(struct fetcher *fetcher, const char *name)
{
	(void)fetcher;
	(void)name;
}

struct fetch *fetch_start(struct fetcher *fetcher, const struct fetch_request *request,
	fetch_done_fn on_done, void *user)
{
	struct fetch *fetch = xcalloc(1, sizeof(*fetch));
	struct world *world = fetcher->upstream->world;

	fetch->fetcher = fetcher;
	fetch->number = upstream_find(fetcher->upstream, request->uri);
	fetch->resource = &fetcher->upstream->resources[fetch->number];
	fetch->on_done = on_done;
	fetch->user = user;
	fetch->has_digest = request->digest != NULL;
	if (request->digest)
		fetch->digest = *request->digest;
	fetch->etag = xstrdup(request->etag);
	fetch->event.actor = fetcher->actor;
	fetch->event.run = on_stage;
	fetch->event.drop = drop_fetch;
	list_append(&fetcher->fetches, &fetch->link);
	go_on(fetch, FETCH_WAITS,
		random_stream_chance(&world->random, 90)
			? 0
			: fetcher->upstream->longest_wait_us);
	return fetch;
}

void fetch_cancel(struct fetch *fetch)
{
	fetch->cancelled = true;
	list_remove(&fetch->link);
	if (!fetch->under_way)
		fetch_free(fetch);
}

void fetcher_counters(const struct fetcher *fetcher, struct fetcher_counters *counters)
{
	*counters = (struct fetcher_counters){0};
	list_each (link, &fetcher->fetches)
		counters->under_way++;
}
