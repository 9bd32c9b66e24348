#include "gateway/fleet_page.h"

#include "common/fleet.h"
#include "common/list.h"
#include "common/log.h"
#include "common/memory.h"
#include "gateway/fleet_text.h"

#include <stdlib.h>
#include <string.h>

/* What is asked for. */
struct asked {
	char prefix[ADDRESS_MAX + 1]; /* of addresses; "" for all */
	uint64_t limit;
};

/* A request that waits for a picture. */
struct viewer {
	struct http_waiter waiter;
	struct list link;
	struct fleet_page *page;
	struct http_connection *connection;
	char *headers;
	struct asked asked;
};

struct fleet_page {
	struct redis *redis;
	struct clock *clock;
	struct list viewers; /* who wait, the longest first */
	struct clock_timer next;
	struct fleet_reading *reading; /* NULL where none is under way */
	struct asked asked;            /* of the reading, or the picture */
	struct frame *picture;         /* NULL: none */
	int64_t begun_at_ms;           /* the last reading */
	int64_t good_until_ms;         /* the picture, and the pause after it */
};

static bool asks_for(const struct asked *one, const struct asked *other)
{
	return one->limit == other->limit && strcmp(one->prefix, other->prefix) == 0;
}

/* ---- answering ---- */

static void answer_picture(
	struct http_connection *connection, const char *headers, struct frame *picture)
{
	struct text all = {0};

	text_add_words(&all, headers);
	text_add_words(&all, "Cache-Control: no-store\r\n");
	text_add(&all, "", 1);
	http_answer(connection,
		&(struct answer){.status = 200,
			.type = "application/json",
			.headers = all.failed ? NULL : all.start,
			.body = {frame_payload(picture), frame_payload_length(picture)},
			.frame = picture});
	text_fini(&all);
}

static void viewer_free(struct viewer *viewer)
{
	list_remove(&viewer->link);
	free(viewer->headers);
	free(viewer);
}

static void refuse_viewer(
	struct viewer *viewer, unsigned status, const char *code, const char *message)
{
	struct refusal refusal;

	refusal_set(&refusal, code, "%s", message);
	http_refuse(viewer->connection, status, &refusal, viewer->headers);
	viewer_free(viewer);
}

/* All who wait for what the reading was of: with the picture, or why there is none. */
static void answer_viewers(struct fleet_page *page)
{
	list_each (link, &page->viewers) {
		struct viewer *viewer = container_of(link, struct viewer, link);

		if (!asks_for(&viewer->asked, &page->asked))
			continue;
		if (page->picture == NULL) {
			refuse_viewer(viewer, 503, "redis_unavailable",
				"the fleet cannot be read from Redis now");
			continue;
		}
		answer_picture(viewer->connection, viewer->headers, page->picture);
		viewer_free(viewer);
	}
}

/* ---- reading ---- */

static void begin_reading(struct fleet_page *page);

static void keep_picture(struct fleet_page *page, const struct fleet *fleet)
{
	struct text text = {0};
	struct frame_part part;

	frame_release(page->picture);
	page->picture = NULL;
	if (fleet == NULL)
		return;
	fleet_write(fleet, &text);
	part = (struct frame_part){text.start, text.length};
	if (!text.failed)
		page->picture = frame_new(&part, 1);
	text_fini(&text);
}

static void on_read(int error, const struct fleet *fleet, void *user)
{
	struct fleet_page *page = user;
	int64_t now_ms = clock_now_ms(page->clock);
	int64_t took_ms = now_ms - page->begun_at_ms;

	page->reading = NULL;
	if (error != 0)
		log_debug("the fleet could not be read error=\"%s\"", strerror(-error));
	keep_picture(page, fleet);
	page->good_until_ms = now_ms +
		(took_ms < FLEET_PAGE_EVERY_MS / 2 ? FLEET_PAGE_EVERY_MS - took_ms
						   : took_ms);
	answer_viewers(page);
	begin_reading(page);
}

/* For whoever waits longest, as soon as it may. */
static void begin_reading(struct fleet_page *page)
{
	struct viewer *first;
	struct fleet_query query;

	if (page->reading != NULL || list_empty(&page->viewers))
		return;
	if (clock_now_ms(page->clock) < page->good_until_ms) {
		clock_timer_start(&page->next, page->good_until_ms);
		return;
	}
	first = container_of(page->viewers.next, struct viewer, link);
	page->asked = first->asked;
	page->begun_at_ms = clock_now_ms(page->clock);
	query = (struct fleet_query){.addresses_from = page->asked.prefix,
		.limit = page->asked.limit,
		.order = FLEET_WORST_FIRST};
	page->reading = fleet_read(page->redis, page->clock, &query, on_read, page);
}

static void on_next(struct clock_timer *timer)
{
	begin_reading(container_of(timer, struct fleet_page, next));
}

static bool is_waited_for(const struct fleet_page *page)
{
	list_each (link, &page->viewers)
		if (asks_for(&container_of(link, struct viewer, link)->asked,
			    &page->asked))
			return true;
	return false;
}

static void give_up_unwanted(struct fleet_page *page)
{
	if (page->reading == NULL || is_waited_for(page))
		return;
	fleet_read_cancel(page->reading);
	page->reading = NULL;
	frame_release(page->picture);
	page->picture = NULL;
	page->good_until_ms = page->begun_at_ms + FLEET_PAGE_EVERY_MS;
	begin_reading(page);
}

/* ---- waiting ---- */

static void on_patience(struct http_waiter *waiter)
{
	struct viewer *viewer = container_of(waiter, struct viewer, waiter);
	struct fleet_page *page = viewer->page;

	refuse_viewer(viewer, 504, "no_content", "the fleet was not read in time");
	give_up_unwanted(page);
}

static void on_gone(struct http_waiter *waiter)
{
	struct viewer *viewer = container_of(waiter, struct viewer, waiter);
	struct fleet_page *page = viewer->page;

	viewer_free(viewer);
	give_up_unwanted(page);
}

static void wait_for_picture(
	struct fleet_page *page, struct site_request *request, const struct asked *asked)
{
	struct viewer *viewer = xcalloc(1, sizeof(*viewer));

	viewer->waiter = (struct http_waiter){on_patience, on_patience, on_gone};
	viewer->page = page;
	viewer->connection = request->connection;
	viewer->headers = xstrdup(request->headers);
	viewer->asked = *asked;
	list_append(&page->viewers, &viewer->link);
	http_wait(request->connection, &viewer->waiter, FLEET_PAGE_PATIENCE_MS);
	begin_reading(page);
}

/* ---- asking ---- */

static bool read_prefix(struct asked *asked, struct bytes value)
{
	char decoded[HEAD_BYTES_MAX];
	long length = head_decode(value, decoded);

	if (length < 0 || length > ADDRESS_MAX || memchr(decoded, 0, (size_t)length))
		return false;
	memcpy(asked->prefix, decoded, (size_t)length);
	asked->prefix[length] = '\0';
	return true;
}

static bool read_limit(struct asked *asked, struct bytes value)
{
	return change_number(value.start, value.length, &asked->limit) &&
		asked->limit <= FLEET_PAGE_LIMIT_MOST;
}

static bool read_query(struct asked *asked, const struct head *head, const char **wrong)
{
	struct bytes rest = head->query, name, value;

	while (head_next_parameter(&rest, &name, &value)) {
		*wrong = NULL;
		if (bytes_are(name, "prefix") && !read_prefix(asked, value))
			*wrong = "prefix= is no beginning of an address";
		else if (bytes_are(name, "limit") && !read_limit(asked, value))
			*wrong = "limit= is no number from 0 to 1000";
		else if (!bytes_are(name, "prefix") && !bytes_are(name, "limit"))
			*wrong = "the parameters are prefix and limit";
		if (*wrong != NULL)
			return false;
	}
	return true;
}

struct fleet_page *fleet_page_new(struct redis *redis, struct clock *clock)
{
	struct fleet_page *page = xcalloc(1, sizeof(*page));

	page->redis = redis;
	page->clock = clock;
	page->good_until_ms = clock_now_ms(clock);
	list_init(&page->viewers);
	clock_timer_init(&page->next, clock, on_next);
	return page;
}

void fleet_page_free(struct fleet_page *page)
{
	if (page == NULL)
		return;
	if (page->reading != NULL)
		fleet_read_cancel(page->reading);
	clock_timer_stop(&page->next);
	frame_release(page->picture);
	free(page);
}

void fleet_page_answer(struct fleet_page *page, struct site_request *request)
{
	struct asked asked = {.limit = FLEET_PAGE_LIMIT_DEFAULT};
	const char *wrong;

	if (!read_query(&asked, request->head, &wrong)) {
		site_refuse(request, 400, "bad_request", wrong);
		return;
	}
	if (page->picture != NULL && page->reading == NULL &&
		clock_now_ms(page->clock) < page->good_until_ms &&
		asks_for(&asked, &page->asked))
		answer_picture(request->connection, request->headers, page->picture);
	else
		wait_for_picture(page, request, &asked);
}
