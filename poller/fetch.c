#include "poller/fetch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/list.h"
#include "common/memory.h"
#include "poller/fetch_multi.h"
#include "poller/fetch_transfer.h"
#include "poller/provider.h"

#define IDLE_TRANSFERS_MAX 256 /* kept per provider, about 12 KB each */
#define SPARE_FETCHES_MAX 256
#define FETCH_TEXTS_LEAST 256 /* bytes of texts that most fetches do with */
#define DELIVER_NS 2000000    /* until Redis and the sockets get their turn, too */
#define SPARE_CONNECTIONS 8   /* kept open beyond what the caps allow at once */

/*
 * A provider's waiting line, and its transfers that are not in use.
 *
 * Found by what the settings say, not by where they are: a reload makes new ones, maybe
 * at the same place in memory. The old line stays until its last fetch has ended.
 */
struct line {
	struct list link;  /* fetcher->lines */
	struct list ready; /* fetcher->ready while a fetch may begin */
	struct fetcher *fetcher;
	struct provider *provider;
	struct list waiting;    /* first in, first out */
	struct transfer **idle; /* as many as may be in use at once, within bounds */
	size_t idle_count;
	size_t idle_max;
	size_t begun;   /* fetches with a transfer; at most the provider's concurrency */
	size_t fetches; /* all that are not freed */
	bool over;      /* goes with its last fetch */
};

enum fetch_state {
	FETCH_WAITING,   /* on its line */
	FETCH_UNDER_WAY, /* in libcurl's hands */
	FETCH_ENDED,     /* its callback runs in the next round */
	FETCH_APART,     /* on no list: being made, delivered or freed */
};

struct fetch {
	struct list
		link; /* by state: line->waiting, fetcher->under_way, fetcher->ended */
	enum fetch_state state;
	struct line *line;
	struct transfer *transfer; /* from its beginning; NULL where it did not begin */
	bool refused;              /* may_start said no */
	fetch_done_fn on_done;
	void *user;
	bool has_digest;
	struct digest digest;
	const char *uri; /* in texts, as the next two */
	const char *etag;
	const char *last_modified;
	size_t texts_size;
	char texts[];
};

struct fetcher {
	struct clock *clock;
	struct fetcher_events events;
	void *user;
	struct transfer_shared shared;
	struct list lines;
	struct list ready;
	struct list under_way;
	struct list ended;
	struct list spare; /* fetches that are over, to be used again */
	size_t spare_count;
	struct text_room url; /* of the fetch being delivered */
	uint64_t under_way_count;
	uint64_t waiting_count;
};

/* ---- lines ---- */

static size_t line_concurrency(const struct line *line)
{
	size_t concurrency = line->provider->settings.limits.concurrency;

	return concurrency > 0 ? concurrency : 1;
}

static bool line_may_begin(const struct line *line)
{
	return !list_empty(&line->waiting) && line->begun < line_concurrency(line);
}

/* To be called whenever a fetch came to the line or a place became free. */
static void line_update(struct line *line)
{
	if (!line_may_begin(line))
		return;
	list_remove(&line->ready);
	list_append(&line->fetcher->ready, &line->ready);
	fetch_multi_soon(line->fetcher->shared.multi);
}

/* A connection in use is worth keeping; it is for the next poll. */
static void keep_connections(struct fetcher *fetcher)
{
	size_t connections = SPARE_CONNECTIONS;

	list_each (link, &fetcher->lines) {
		struct line *line = container_of(link, struct line, link);

		connections += line_concurrency(line);
	}
	fetch_multi_keep(fetcher->shared.multi, connections);
}

static struct line *line_new(
	struct fetcher *fetcher, const struct catalog_provider *settings)
{
	struct line *line = xcalloc(1, sizeof(*line));

	line->fetcher = fetcher;
	line->provider = provider_new(settings);
	line->idle_max = line_concurrency(line);
	if (line->idle_max > IDLE_TRANSFERS_MAX)
		line->idle_max = IDLE_TRANSFERS_MAX;
	line->idle = xcalloc(line->idle_max, sizeof(*line->idle));
	list_init(&line->ready);
	list_init(&line->waiting);
	list_append(&fetcher->lines, &line->link);
	keep_connections(fetcher);
	return line;
}

static void line_free(struct line *line)
{
	assert(line->fetches == 0);
	list_remove(&line->ready);
	list_remove(&line->link);
	while (line->idle_count > 0)
		transfer_free(line->idle[--line->idle_count]);
	free(line->idle);
	provider_free(line->provider);
	keep_connections(line->fetcher);
	free(line);
}

static void line_free_if_over(struct line *line)
{
	if (line->over && line->fetches == 0)
		line_free(line);
}

static struct line *line_of(
	struct fetcher *fetcher, const struct catalog_provider *settings)
{
	list_each (link, &fetcher->lines) {
		struct line *line = container_of(link, struct line, link);

		if (strcmp(line->provider->settings.name, settings->name) != 0)
			continue;
		line->over = !provider_has_settings(line->provider, settings);
		if (!line->over)
			return line;
		line_free_if_over(line);
	}
	return line_new(fetcher, settings);
}

static struct transfer *line_take_transfer(struct line *line)
{
	if (line->idle_count > 0)
		return line->idle[--line->idle_count];
	return transfer_new(line->provider, &line->fetcher->shared);
}

static void line_give_back(struct line *line, struct transfer *transfer)
{
	transfer_end(transfer);
	if (line->idle_count < line->idle_max)
		line->idle[line->idle_count++] = transfer;
	else
		transfer_free(transfer);
}

/* ---- fetches ---- */

/* The only writer of fetch->state. */
static void fetch_enter(struct fetch *fetch, enum fetch_state state)
{
	struct fetcher *fetcher = fetch->line->fetcher;

	fetcher->waiting_count -= fetch->state == FETCH_WAITING;
	fetcher->under_way_count -= fetch->state == FETCH_UNDER_WAY;
	list_remove(&fetch->link);
	fetch->state = state;
	switch (state) {
	case FETCH_WAITING:
		fetcher->waiting_count++;
		list_append(&fetch->line->waiting, &fetch->link);
		line_update(fetch->line);
		break;
	case FETCH_UNDER_WAY:
		fetcher->under_way_count++;
		list_append(&fetcher->under_way, &fetch->link);
		break;
	case FETCH_ENDED:
		list_append(&fetcher->ended, &fetch->link);
		fetch_multi_soon(fetcher->shared.multi);
		break;
	case FETCH_APART:
		break;
	}
}

/* With room for @size bytes of texts; all else is 0. */
static struct fetch *fetch_new(struct fetcher *fetcher, size_t size)
{
	struct list *link = list_take(&fetcher->spare);
	struct fetch *fetch = link ? container_of(link, struct fetch, link) : NULL;

	fetcher->spare_count -= link != NULL;
	if (fetch && fetch->texts_size < size) {
		free(fetch);
		fetch = NULL;
	}
	if (fetch) {
		size = fetch->texts_size;
		memset(fetch, 0, sizeof(*fetch));
	} else {
		if (size < FETCH_TEXTS_LEAST)
			size = FETCH_TEXTS_LEAST;
		fetch = xcalloc(1, sizeof(*fetch) + size);
	}
	fetch->texts_size = size;
	list_init(&fetch->link);
	return fetch;
}

static void fetch_put_by(struct fetcher *fetcher, struct fetch *fetch)
{
	if (fetcher->spare_count == SPARE_FETCHES_MAX) {
		free(fetch);
		return;
	}
	fetcher->spare_count++;
	list_append(&fetcher->spare, &fetch->link);
}

static void fetch_free(struct fetch *fetch)
{
	struct line *line = fetch->line;

	fetch_enter(fetch, FETCH_APART);
	if (fetch->transfer) {
		line_give_back(line, fetch->transfer);
		line->begun--;
	}
	fetch_put_by(line->fetcher, fetch);
	line->fetches--;
	line_update(line);
	line_free_if_over(line);
}

static void fetch_begin(struct fetch *fetch)
{
	struct fetcher *fetcher = fetch->line->fetcher;
	struct transfer_request request = {
		.uri = fetch->uri,
		.etag = fetch->etag,
		.last_modified = fetch->last_modified,
	};
	int64_t now_ms = clock_now_ms(fetcher->clock);

	fetch->refused = !fetcher->events.may_start(fetcher->user);
	if (!fetch->refused)
		fetch->transfer = line_take_transfer(fetch->line);
	if (!fetch->transfer) {
		fetch_enter(fetch, FETCH_ENDED);
		return;
	}

	fetch->line->begun++;
	if (!transfer_begin(fetch->transfer, &request, now_ms, fetch)) {
		fetch_enter(fetch, FETCH_ENDED);
		return;
	}
	fetch_enter(fetch, FETCH_UNDER_WAY);
	if (fetch_multi_add(fetcher->shared.multi, transfer_easy(fetch->transfer)) < 0) {
		transfer_continues(fetch->transfer, CURLE_OUT_OF_MEMORY, now_ms);
		fetch_enter(fetch, FETCH_ENDED);
	}
}

static void fill_not_begun(const struct fetch *fetch, struct fetch_result *result)
{
	*result = (struct fetch_result){
		.outcome = fetch->refused ? FETCH_NOT_STARTED : FETCH_FAILED,
		.body = "",
		.error_code = fetch->refused ? "" : "upstream_protocol",
		.error_message = fetch->refused ? "" : "not asked: out of memory",
		.started_at_ms = clock_now_ms(fetch->line->fetcher->clock),
	};
}

static void fetch_deliver(struct fetch *fetch)
{
	struct fetcher *fetcher = fetch->line->fetcher;
	struct fetch_result result;

	fetch_enter(fetch, FETCH_APART);
	if (fetch->transfer)
		transfer_result(fetch->transfer,
			fetch->has_digest ? &fetch->digest : NULL, &result);
	else
		fill_not_begun(fetch, &result);
	result.url = provider_url(fetch->line->provider, fetch->uri, &fetcher->url);
	fetch->on_done(&result, fetch->user);
	fetch_free(fetch);
}

/* ---- from the multi ---- */

static void on_finished(CURL *easy, CURLcode code, void *user)
{
	struct fetcher *fetcher = user;
	struct fetch *fetch = transfer_owner(easy);
	int64_t now_ms = clock_now_ms(fetcher->clock);

	if (!transfer_continues(fetch->transfer, code, now_ms)) {
		fetch_enter(fetch, FETCH_ENDED);
		return;
	}
	if (fetch_multi_add(fetcher->shared.multi, easy) < 0) {
		transfer_continues(fetch->transfer, CURLE_OUT_OF_MEMORY, now_ms);
		fetch_enter(fetch, FETCH_ENDED);
	}
}

/* Large bodies take a while to judge: what they brought first need not wait for all. */
static void deliver_some(struct fetcher *fetcher)
{
	uint64_t until_ns = uv_hrtime() + DELIVER_NS;
	struct list *link;

	while ((link = list_take(&fetcher->ended))) {
		fetch_deliver(container_of(link, struct fetch, link));
		if (list_empty(&fetcher->ended) || uv_hrtime() < until_ns)
			continue;
		fetch_multi_soon(fetcher->shared.multi);
		return;
	}
}

static void on_round(void *user)
{
	struct fetcher *fetcher = user;
	struct list *link;

	if (!list_empty(&fetcher->ended))
		deliver_some(fetcher);
	while ((link = list_take(&fetcher->ready))) {
		struct line *line = container_of(link, struct line, ready);

		while (line_may_begin(line))
			fetch_begin(container_of(line->waiting.next, struct fetch, link));
	}
}

/* ---- public ---- */

struct fetcher *fetcher_new(uv_loop_t *loop, struct clock *clock,
	const struct fetcher_events *events, void *user)
{
	static const struct fetch_multi_events multi_events = {
		.on_finished = on_finished,
		.on_round = on_round,
	};
	struct fetcher *fetcher = xcalloc(1, sizeof(*fetcher));

	fetcher->clock = clock;
	fetcher->events = *events;
	fetcher->user = user;
	list_init(&fetcher->lines);
	list_init(&fetcher->ready);
	list_init(&fetcher->under_way);
	list_init(&fetcher->ended);
	list_init(&fetcher->spare);
	fetcher->shared.multi = fetch_multi_new(loop, clock, &multi_events, fetcher);
	return fetcher;
}

static void cancel_all(struct list *fetches)
{
	list_each (link, fetches)
		fetch_cancel(container_of(link, struct fetch, link));
}

void fetcher_free(struct fetcher *fetcher)
{
	if (!fetcher)
		return;
	list_each (link, &fetcher->lines)
		container_of(link, struct line, link)->over = false; /* stays */
	cancel_all(&fetcher->under_way);
	cancel_all(&fetcher->ended);
	list_each (link, &fetcher->lines) {
		struct line *line = container_of(link, struct line, link);

		cancel_all(&line->waiting);
		line_free(line);
	}
	fetch_multi_free(fetcher->shared.multi);
	body_pool_fini(&fetcher->shared.bodies);
	list_each (link, &fetcher->spare)
		free(container_of(link, struct fetch, link));
	free(fetcher->url.text);
	free(fetcher);
}

void fetcher_reload(struct fetcher *fetcher, const struct catalog *catalog)
{
	list_each (link, &fetcher->lines) {
		struct line *line = container_of(link, struct line, link);
		const struct catalog_provider *settings =
			catalog_provider(catalog, line->provider->settings.name);

		line->over |= settings == NULL ||
			!provider_has_settings(line->provider, settings);
		line_free_if_over(line);
	}
}

void fetcher_leave(struct fetcher *fetcher, const char *name)
{
	list_each (link, &fetcher->lines) {
		struct line *line = container_of(link, struct line, link);

		if (strcmp(line->provider->settings.name, name) != 0)
			continue;
		line->over = true;
		line_free_if_over(line);
	}
}

/* Copies @text to @place, which moves on. NULL stays NULL. */
static const char *copy_text(const char *text, char **place)
{
	char *copy = *place;

	if (!text)
		return NULL;
	*place = stpcpy(copy, text) + 1;
	return copy;
}

static size_t text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

struct fetch *fetch_start(struct fetcher *fetcher, const struct fetch_request *request,
	fetch_done_fn on_done, void *user)
{
	size_t size = text_size(request->uri) + text_size(request->etag) +
		text_size(request->last_modified);
	struct fetch *fetch = fetch_new(fetcher, size);
	char *place = fetch->texts;

	fetch->line = line_of(fetcher, request->provider);
	fetch->line->fetches++;
	fetch->on_done = on_done;
	fetch->user = user;
	fetch->uri = copy_text(request->uri, &place);
	fetch->etag = copy_text(request->etag, &place);
	fetch->last_modified = copy_text(request->last_modified, &place);
	fetch->has_digest = request->digest != NULL;
	if (request->digest)
		fetch->digest = *request->digest;
	fetch->state = FETCH_APART;
	fetch_enter(fetch, FETCH_WAITING);
	return fetch;
}

void fetch_cancel(struct fetch *fetch)
{
	assert(fetch->state != FETCH_APART);
	if (fetch->state == FETCH_UNDER_WAY)
		fetch_multi_remove(fetch->line->fetcher->shared.multi,
			transfer_easy(fetch->transfer));
	fetch_free(fetch);
}

char *fetch_url(const struct catalog_provider *settings, const char *uri)
{
	return provider_settings_url(settings, uri);
}

void fetcher_counters(const struct fetcher *fetcher, struct fetcher_counters *counters)
{
	*counters = (struct fetcher_counters){
		.body_bytes = fetcher->shared.body_bytes,
		.under_way = fetcher->under_way_count,
		.waiting = fetcher->waiting_count,
	};
}
