#include "poller/schedule.h"

#include "common/list.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/random.h"
#include "poller/commit.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define BACKOFF_MS 15000 /* a failing resource waits this long at most, or its interval  \
			  */
#define FENCED_RETRY_MS 1000 /* until we look again whether the lease runs */
#define REFRESH_LEAST_MS                                                                 \
	1000 /* between two polls of one resource that somebody asked for */

struct schedule {
	struct clock *clock;
	struct membership *membership;
	const struct catalog *catalog;
	struct fetcher *fetcher;
	struct commits *commits;
	struct metrics *metrics;
};

/* A transfer under way; resource is NULL once it is not ours any more. */
struct poll {
	struct schedule *schedule;
	struct resource *resource;
};

/* ---- when ---- */

/* The first phase point of @resource after @after_ms, both by Redis's clock. */
static int64_t phase_after(const struct resource *resource, int64_t after_ms)
{
	int64_t interval_ms = resource->interval_ms;
	int64_t phase_ms =
		(int64_t)(XXH3_64bits(resource->address, strlen(resource->address)) %
			(uint64_t)interval_ms);
	int64_t since_ms = (after_ms - phase_ms) % interval_ms;

	if (since_ms < 0)
		since_ms += interval_ms;
	return after_ms - since_ms + interval_ms;
}

static void set_due(
	struct schedule *schedule, struct resource *resource, int64_t redis_ms)
{
	int64_t delay_ms = redis_ms - membership_redis_ms(schedule->membership);

	clock_timer_start_in(&resource->due, delay_ms > 0 ? delay_ms : 0);
}

/* A quarter of the interval at least lies between a poll out of turn and the next. */
static void set_due_in_turn(struct schedule *schedule, struct resource *resource)
{
	int64_t now_ms = membership_redis_ms(schedule->membership);
	int64_t age_ms = clock_now_ms(schedule->clock) - resource->started_at_ms;

	set_due(schedule, resource,
		phase_after(resource, now_ms - age_ms + resource->interval_ms / 4));
}

int64_t schedule_backoff_ms(
	const struct resource *resource, uint32_t failures, int64_t retry_after_ms)
{
	int64_t most_ms =
		resource->interval_ms > BACKOFF_MS ? resource->interval_ms : BACKOFF_MS;
	int64_t delay_ms = resource->interval_ms;

	for (uint32_t i = 1; i < failures && delay_ms < most_ms; i++)
		delay_ms *= 2;
	if (delay_ms > most_ms)
		delay_ms = most_ms;
	delay_ms =
		delay_ms * 4 / 5 + (int64_t)random_below((uint64_t)delay_ms * 2 / 5 + 1);
	return delay_ms > retry_after_ms ? delay_ms : retry_after_ms;
}

/* ---- polls ---- */

static struct catalog_target *resolve(
	struct schedule *schedule, const struct resource *resource)
{
	static struct catalog_target target;
	static struct address address;

	if (address_parse(&address, resource->address, strlen(resource->address)) !=
			ADDRESS_OK ||
		catalog_resolve(schedule->catalog, &address, &target) != CATALOG_OK)
		return NULL;
	return &target;
}

/* Whether the lease ran all through: else the lock may have been another's meanwhile. */
static bool counts(const struct schedule *schedule, const struct resource *resource)
{
	return membership_valid_since_ms(schedule->membership) <= resource->started_at_ms;
}

static void on_fetched(const struct fetch_result *result, void *user)
{
	struct poll *poll = user;
	struct schedule *schedule = poll->schedule;
	struct resource *resource = poll->resource;
	struct catalog_target *target;

	free(poll);
	resource->fetch = NULL;
	if (result->outcome == FETCH_NOT_STARTED) {
		resource->busy = false;
		clock_timer_start_in(&resource->due, FENCED_RETRY_MS);
		return;
	}
	resource->started_at_ms = result->started_at_ms;
	if (resource->moved || !counts(schedule, resource)) {
		metrics_add(schedule->metrics, METRIC_POLLS_DISCARDED, 1);
		resource->busy = false;
		clock_timer_start_in(
			&resource->due, resource->moved ? 0 : FENCED_RETRY_MS);
		return;
	}
	target = resolve(schedule, resource);
	if (target != NULL)
		commits_take(schedule->commits, resource, target, result);
}

/* What another upstream said of its content says nothing of this one's. */
static void forget_validators(struct resource *resource)
{
	free(resource->etag);
	free(resource->last_modified);
	resource->etag = NULL;
	resource->last_modified = NULL;
	resource->moved = false;
}

static void start_poll(struct schedule *schedule, struct resource *resource)
{
	struct catalog_target *target = resolve(schedule, resource);
	bool conditional = !resource->whole && resource->digest.text[0] != '\0';
	struct fetch_request request;
	struct poll *poll;

	if (target == NULL)
		return;
	if (resource->moved)
		forget_validators(resource);
	request = (struct fetch_request){
		.provider = target->provider,
		.uri = target->uri,
		.etag = conditional ? resource->etag : NULL,
		.last_modified = conditional ? resource->last_modified : NULL,
		.digest = conditional ? &resource->digest : NULL,
	};
	poll = xcalloc(1, sizeof(*poll));
	poll->schedule = schedule;
	poll->resource = resource;
	resource->busy = true;
	resource->refresh = false;
	resource->started_at_ms = clock_now_ms(schedule->clock);
	resource->fetch = fetch_start(schedule->fetcher, &request, on_fetched, poll);
	resource->poll = poll;
}

static void on_due(struct clock_timer *timer)
{
	struct resource *resource = container_of(timer, struct resource, due);

	if (resource->busy || resource->hold != HOLD_KEPT)
		return;
	if (membership_valid(resource->schedule->membership))
		start_poll(resource->schedule, resource);
	else
		clock_timer_start_in(&resource->due, FENCED_RETRY_MS);
}

/* ---- claim's events ---- */

static void set_first_due(
	struct schedule *schedule, struct resource *resource, int64_t spread_ms)
{
	int64_t now_ms = membership_redis_ms(schedule->membership);
	int64_t overdue_ms = now_ms - resource->checked_at_ms - resource->interval_ms;

	/* Retained content that was told as stale is confirmed even if it is the same. */
	if (resource->checked_at_ms != 0 && overdue_ms > resource->interval_ms)
		resource->confirm = true;
	if (overdue_ms >= 0 || resource->whole)
		set_due(schedule, resource, now_ms + spread_ms);
	else
		set_due(schedule, resource,
			phase_after(resource,
				resource->checked_at_ms + resource->interval_ms / 4));
}

void schedule_claimed(
	struct schedule *schedule, struct resource *resource, int64_t spread_ms)
{
	resource->schedule = schedule;
	clock_timer_init(&resource->due, schedule->clock, on_due);
	set_first_due(schedule, resource, spread_ms);
}

void schedule_reread(struct schedule *schedule, struct resource *resource)
{
	int64_t now_ms = membership_redis_ms(schedule->membership);

	if (resource->busy) {
		resource->refresh |= resource->whole;
		return;
	}
	if (resource->whole || !clock_timer_running(&resource->due)) {
		set_first_due(schedule, resource, 0);
		return;
	}
	/* A faster interval shows at once, a slower one after the next poll. */
	if (resource->failures == 0 &&
		phase_after(resource, now_ms) - now_ms <
			resource->due.due_ms - clock_now_ms(schedule->clock))
		set_due_in_turn(schedule, resource);
}

void schedule_unwanted(struct schedule *schedule, struct resource *resource)
{
	(void)schedule;
	clock_timer_stop(&resource->due);
}

void schedule_dropped(struct schedule *schedule, struct resource *resource)
{
	clock_timer_stop(&resource->due);
	if (resource->fetch != NULL) {
		fetch_cancel(resource->fetch);
		free(resource->poll);
		resource->fetch = NULL;
	}
	commits_dropped(schedule->commits, resource);
}

void schedule_refresh(struct schedule *schedule, struct resource *resource)
{
	int64_t next_ms = resource->started_at_ms + REFRESH_LEAST_MS;

	if (resource->hold != HOLD_KEPT)
		return;
	if (resource->busy) {
		/* Begun before it was asked for, so it may have missed what is looked
		 * for. */
		resource->refresh = true;
		return;
	}
	if (next_ms < clock_now_ms(schedule->clock))
		next_ms = clock_now_ms(schedule->clock);
	if (!clock_timer_running(&resource->due) || next_ms < resource->due.due_ms)
		clock_timer_start(&resource->due, next_ms);
}

void schedule_done(struct schedule *schedule, struct resource *resource, bool failed,
	int64_t retry_ms)
{
	resource->busy = false;
	if (resource->hold != HOLD_KEPT)
		return;
	resource->failures = failed ? resource->failures + 1 : 0;
	if (failed)
		clock_timer_start_in(&resource->due, retry_ms);
	else
		set_due_in_turn(schedule, resource);
	if (resource->refresh) {
		resource->refresh = false;
		schedule_refresh(schedule, resource);
	}
}

/* ---- public ---- */

struct schedule *schedule_new(struct clock *clock, struct membership *membership,
	const struct catalog *catalog, struct fetcher *fetcher, struct commits *commits,
	struct metrics *metrics)
{
	struct schedule *schedule = xcalloc(1, sizeof(*schedule));

	schedule->clock = clock;
	schedule->membership = membership;
	schedule->catalog = catalog;
	schedule->fetcher = fetcher;
	schedule->commits = commits;
	schedule->metrics = metrics;
	return schedule;
}

void schedule_free(struct schedule *schedule)
{
	free(schedule);
}

void schedule_reload(struct schedule *schedule, const struct catalog *catalog)
{
	schedule->catalog = catalog;
}
