#include "poller/schedule.h"

#include "common/list.h"
#include "common/memory.h"
#include "common/random.h"
#include "poller/commit.h"
#include "poller/usage.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FENCED_RETRY_MS 1000  /* until we look again whether the lease runs */
#define REFRESH_LEAST_MS 1000 /* between two polls that somebody asked for */
#define BACK_MS 15000   /* those of a provider that is back are asked within this, */
#define BACK_EACH_MS 20 /* or this for each, but within their interval */

struct schedule {
	struct clock *clock;
	struct membership *membership;
	const struct catalog *catalog;
	uint64_t catalog_serial; /* grows with each reload */
	struct fetcher *fetcher;
	struct commits *commits;
	struct metrics *metrics;
	struct pace *pace;
	struct health *health;
	struct usage *usage;
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

static void set_due_unless_deferred(
	struct schedule *schedule, struct resource *resource, int64_t redis_ms)
{
	set_due(schedule, resource, redis_ms);
	if (resource->due.due_ms < resource->not_before_ms)
		clock_timer_start(&resource->due, resource->not_before_ms);
}

/* A quarter of the interval at least lies between a poll out of turn and the next. */
static void set_due_in_turn(struct schedule *schedule, struct resource *resource)
{
	int64_t now_ms = membership_redis_ms(schedule->membership);
	int64_t age_ms = clock_now_ms(schedule->clock) - resource->started_at_ms;

	set_due_unless_deferred(schedule, resource,
		phase_after(resource, now_ms - age_ms + resource->interval_ms / 4));
}

/* In Redis's time, for one whose interval is new or which is wanted anew. */
static int64_t next_full_turn(
	const struct schedule *schedule, const struct resource *resource)
{
	int64_t now_ms = membership_redis_ms(schedule->membership);
	int64_t since_ms = clock_now_ms(schedule->clock) - resource->started_at_ms;
	int64_t last_ms = resource->started_at_ms != 0 ? now_ms - since_ms
						       : resource->checked_at_ms;
	int64_t least_ms = last_ms + (int64_t)resource->interval_ms * 9 / 10;

	return phase_after(resource, least_ms > now_ms ? least_ms : now_ms);
}

/*
 * What gateways are told of polls that stand @apart_ms apart: the interval, which is what
 * they are for, unless they are far from it. Gateways doubt what is not confirmed in its
 * rhythm, and tell clients of it: they must know when it is another.
 */
static void note_rhythm(struct resource *resource, int64_t apart_ms)
{
	int64_t interval_ms = resource->interval_ms, told_ms = resource->told_ms;

	resource->apart_ms =
		(uint32_t)(apart_ms > 2 * interval_ms ? apart_ms : interval_ms);
	resource->confirm |= resource->told_for_ms != resource->interval_ms ||
		apart_ms > 2 * told_ms ||
		(told_ms > 2 * apart_ms && told_ms > interval_ms);
	resource->told_for_ms = resource->interval_ms;
}

/*
 * What the upstream wants, by what it said and by how long it took: one that is slower
 * than the interval gets as long a pause as it needed. Its word on how long a success
 * stays fresh is a hint that the interval's bounds limit; Retry-After after a failure is
 * not.
 */
static void heed(struct schedule *schedule, struct resource *resource,
	const struct catalog_interval *bounds, const struct fetch_result *result)
{
	int64_t now_ms = clock_now_ms(schedule->clock);
	int64_t took_ms = now_ms - result->started_at_ms;
	int64_t waited_ms = result->started_at_ms - resource->queued_at_ms;
	int64_t pause_ms = result->fresh_for_ms;
	int64_t apart_ms = resource->interval_ms;

	if (result->outcome == FETCH_FAILED) {
		resource->not_before_ms = now_ms + result->retry_after_ms;
		return;
	}
	if (pause_ms > bounds->max_ms)
		pause_ms = bounds->max_ms;
	if (took_ms > resource->interval_ms && took_ms > pause_ms)
		pause_ms = took_ms;
	resource->not_before_ms = now_ms + pause_ms;
	if (took_ms + pause_ms > apart_ms)
		apart_ms = took_ms + pause_ms;
	note_rhythm(resource, apart_ms + waited_ms);
}

/* ---- polls ---- */

static const struct catalog_target *resolve(
	const struct schedule *schedule, const struct resource *resource)
{
	static struct catalog_target target;
	static struct address address;

	if (address_parse(&address, resource->address, strlen(resource->address)) !=
			ADDRESS_OK ||
		catalog_resolve(schedule->catalog, &address, &target) != CATALOG_OK)
		return NULL;
	return &target;
}

/* Most addresses end with the URI that they name. */
static void keep_uri(struct resource *resource, const char *uri)
{
	size_t address_length = strlen(resource->address), length = strlen(uri);
	const char *end = resource->address + address_length;

	free(resource->aim.own_uri);
	resource->aim.own_uri = NULL;
	if (length <= address_length && memcmp(end - length, uri, length) == 0)
		resource->aim.uri = end - length;
	else
		resource->aim.uri = resource->aim.own_uri = xstrdup(uri);
}

/* Whom to ask for @resource and how; NULL where the catalog does not know it. */
static const struct aim *aim_of(struct schedule *schedule, struct resource *resource)
{
	struct aim *aim = &resource->aim;
	const struct catalog_target *target;

	if (aim->catalog_serial != schedule->catalog_serial) {
		target = resolve(schedule, resource);
		aim->catalog_serial = schedule->catalog_serial;
		aim->provider = target != NULL ? target->provider : NULL;
		if (target != NULL) {
			aim->interval = target->interval;
			keep_uri(resource, target->uri);
		}
	}
	return aim->provider != NULL ? aim : NULL;
}

/* Whether the lease ran all through: else the lock may have been another's meanwhile. */
static bool counts(const struct schedule *schedule, const struct resource *resource)
{
	return membership_valid_since_ms(schedule->membership) <= resource->started_at_ms;
}

/* Health first: what waits for the place may be spared now. */
static void end_transfer(struct schedule *schedule, struct resource *resource,
	const struct fetch_result *result)
{
	const struct aim *aim = aim_of(schedule, resource);

	metrics_observe_ms(schedule->metrics, HISTOGRAM_POLL,
		clock_now_ms(schedule->clock) - result->started_at_ms);
	metrics_observe_ms(schedule->metrics, HISTOGRAM_POLL_LATE,
		result->started_at_ms - resource->due.due_ms);
	if (aim != NULL) {
		heed(schedule, resource, &aim->interval, result);
		health_take(schedule->health, aim->provider, &resource->patient, result);
	}
	pace_leave(&resource->turn, result->requests);
}

static void on_fetched(const struct fetch_result *result, void *user)
{
	struct resource *resource = user;
	struct schedule *schedule = resource->schedule;

	resource->fetch = NULL;
	if (result->outcome == FETCH_NOT_STARTED) {
		resource->busy = false;
		health_leave(&resource->patient);
		pace_leave(&resource->turn, 0);
		clock_timer_start_in(&resource->due, FENCED_RETRY_MS);
		return;
	}
	end_transfer(schedule, resource, result);
	resource->started_at_ms = result->started_at_ms;
	if (resource->moved || !counts(schedule, resource)) {
		metrics_add(schedule->metrics, METRIC_POLLS_DISCARDED, 1);
		resource->busy = false;
		clock_timer_start_in(
			&resource->due, resource->moved ? 0 : FENCED_RETRY_MS);
		return;
	}
	if (aim_of(schedule, resource) != NULL)
		commits_take(schedule->commits, resource,
			result->outcome == FETCH_CONTENT ? resolve(schedule, resource)
							 : NULL,
			result);
}

/* What another upstream said of its content says nothing of this one's. */
static void forget_validators(struct resource *resource)
{
	free(resource->etag);
	free(resource->last_modified);
	resource->etag = NULL;
	resource->last_modified = NULL;
	resource->moved = false;
	/* Redis should know whose they are. */
	resource->confirm = true;
}

static void start_poll(
	struct schedule *schedule, struct resource *resource, const struct aim *aim)
{
	bool conditional = !resource->whole && resource->digest.text[0] != '\0';
	struct fetch_request request;

	if (resource->moved)
		forget_validators(resource);
	usage_join(schedule->usage, aim->provider, &resource->use);
	health_asks(schedule->health, aim->provider, &resource->patient);
	request = (struct fetch_request){
		.provider = aim->provider,
		.uri = aim->uri,
		.etag = conditional ? resource->etag : NULL,
		.last_modified = conditional ? resource->last_modified : NULL,
		.digest = conditional ? &resource->digest : NULL,
	};
	resource->busy = true;
	resource->refresh = false;
	resource->started_at_ms = clock_now_ms(schedule->clock);
	resource->fetch = fetch_start(schedule->fetcher, &request, on_fetched, resource);
}

/* What is asked if anything is, or NULL: told of the provider's failure, or fenced. */
static const struct aim *to_ask(struct schedule *schedule, struct resource *resource)
{
	const struct aim *aim = aim_of(schedule, resource);
	struct fetch_result result;

	if (aim == NULL)
		return NULL;
	if (!membership_valid(schedule->membership)) {
		clock_timer_start_in(&resource->due, FENCED_RETRY_MS);
		return NULL;
	}
	if (!health_spares(schedule->health, aim->provider, &resource->patient, &result))
		return aim;
	resource->busy = true;
	resource->refresh = false;
	commits_take(schedule->commits, resource, NULL, &result);
	return NULL;
}

static void on_turn(struct pace_ticket *ticket, void *user)
{
	struct resource *resource = container_of(ticket, struct resource, turn);
	const struct aim *aim = to_ask(user, resource);

	if (aim != NULL)
		start_poll(user, resource, aim);
	else
		pace_leave(ticket, 0);
}

static bool is_queued(const struct resource *resource)
{
	return resource->turn.budget != NULL;
}

static void on_due(struct clock_timer *timer)
{
	struct resource *resource = container_of(timer, struct resource, due);
	struct schedule *schedule = resource->schedule;
	const struct aim *aim;

	if (resource->busy || is_queued(resource) || resource->hold != HOLD_KEPT)
		return;
	aim = to_ask(schedule, resource);
	if (aim == NULL)
		return;
	resource->queued_at_ms = clock_now_ms(schedule->clock);
	pace_wait(schedule->pace, aim->provider, &resource->turn);
}

/* ---- a provider that is down, and back ---- */

static void on_provider_down(const struct catalog_provider *provider, void *user)
{
	struct schedule *schedule = user;

	pace_dissolve(schedule->pace, provider);
}

/* Not all at once, and no later than they would be asked anyway. */
static void on_provider_back(struct health_patient *patient, size_t count, void *user)
{
	struct resource *resource = container_of(patient, struct resource, patient);
	struct schedule *schedule = user;
	uint64_t spread_ms = count * BACK_EACH_MS;
	int64_t due_ms;

	if (resource->busy || is_queued(resource) || resource->hold != HOLD_KEPT)
		return;
	if (spread_ms < BACK_MS)
		spread_ms = BACK_MS;
	if (spread_ms > resource->interval_ms)
		spread_ms = resource->interval_ms;
	due_ms = clock_now_ms(schedule->clock) + (int64_t)random_below(spread_ms + 1);
	if (due_ms < resource->not_before_ms)
		due_ms = resource->not_before_ms;
	resource->failures = 0;
	if (!clock_timer_running(&resource->due) || due_ms < resource->due.due_ms)
		clock_timer_start(&resource->due, due_ms);
}

/* ---- a provider that none of ours is polled from any more ---- */

static void on_use_ended(const char *provider, void *user)
{
	struct schedule *schedule = user;

	fetcher_leave(schedule->fetcher, provider);
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
	if (overdue_ms >= 0 || resource->whole || resource->moved)
		set_due_unless_deferred(schedule, resource, now_ms + spread_ms);
	else
		set_due_unless_deferred(schedule, resource,
			phase_after(resource,
				resource->checked_at_ms + resource->interval_ms / 4));
}

void schedule_claimed(
	struct schedule *schedule, struct resource *resource, int64_t spread_ms)
{
	resource->schedule = schedule;
	clock_timer_init(&resource->due, schedule->clock, on_due);
	health_patient_init(&resource->patient);
	set_first_due(schedule, resource, spread_ms);
}

static bool asked_lately(const struct schedule *schedule, const struct resource *resource)
{
	return resource->started_at_ms != 0 &&
		clock_now_ms(schedule->clock) - resource->started_at_ms <
		resource->interval_ms;
}

void schedule_reread(struct schedule *schedule, struct resource *resource)
{
	int64_t now_ms = membership_redis_ms(schedule->membership), turn_ms;

	if (resource->busy) {
		resource->refresh |= resource->whole;
		return;
	}
	if (is_queued(resource))
		return;
	if (resource->whole) {
		set_first_due(schedule, resource, 0);
		return;
	}
	if (!clock_timer_running(&resource->due) && !asked_lately(schedule, resource)) {
		set_first_due(schedule, resource, 0);
		return;
	}
	/*
	 * A faster interval shows within two of it, a slower one after the next poll.
	 * Viewers who come and go, or wish for this and that, do not make it faster,
	 * stored or not.
	 */
	turn_ms = next_full_turn(schedule, resource);
	if (!clock_timer_running(&resource->due) ||
		(resource->failures == 0 &&
			turn_ms - now_ms <
				resource->due.due_ms - clock_now_ms(schedule->clock)))
		set_due_unless_deferred(schedule, resource, turn_ms);
}

void schedule_unwanted(struct schedule *schedule, struct resource *resource)
{
	(void)schedule;
	clock_timer_stop(&resource->due);
	if (!resource->turn.begun)
		pace_leave(&resource->turn, 0);
}

void schedule_dropped(struct schedule *schedule, struct resource *resource)
{
	clock_timer_stop(&resource->due);
	if (resource->fetch != NULL) {
		fetch_cancel(resource->fetch);
		resource->fetch = NULL;
	}
	health_leave(&resource->patient);
	pace_leave(&resource->turn, 1);
	usage_leave(&resource->use);
	commits_dropped(schedule->commits, resource);
	free(resource->aim.own_uri);
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
	if (is_queued(resource))
		return;
	if (resource->failures > 0 && next_ms < resource->not_before_ms)
		next_ms = resource->not_before_ms;
	if (next_ms < clock_now_ms(schedule->clock))
		next_ms = clock_now_ms(schedule->clock);
	if (!clock_timer_running(&resource->due) || next_ms < resource->due.due_ms)
		clock_timer_start(&resource->due, next_ms);
}

void schedule_done(struct schedule *schedule, struct resource *resource, bool failed,
	int64_t retry_ms)
{
	const struct aim *aim = failed ? aim_of(schedule, resource) : NULL;

	resource->busy = false;
	if (aim != NULL)
		health_waits(
			schedule->health, aim->provider, &resource->patient, retry_ms);
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

struct schedule *schedule_new(struct clock *clock, struct redis *redis,
	struct membership *membership, const struct catalog *catalog,
	struct fetcher *fetcher, struct commits *commits, struct metrics *metrics)
{
	struct schedule *schedule = xcalloc(1, sizeof(*schedule));
	const struct health_events events = {on_provider_down, on_provider_back};

	schedule->clock = clock;
	schedule->membership = membership;
	schedule->catalog = catalog;
	schedule->catalog_serial = 1;
	schedule->fetcher = fetcher;
	schedule->commits = commits;
	schedule->metrics = metrics;
	schedule->pace = pace_new(clock, redis, membership, on_turn, schedule);
	schedule->health = health_new(clock, &events, schedule);
	schedule->usage = usage_new(on_use_ended, schedule);
	return schedule;
}

void schedule_free(struct schedule *schedule)
{
	pace_free(schedule->pace);
	health_free(schedule->health);
	usage_free(schedule->usage);
	free(schedule);
}

void schedule_reload(struct schedule *schedule, const struct catalog *catalog)
{
	schedule->catalog = catalog;
	schedule->catalog_serial++;
	pace_reload(schedule->pace);
}

size_t schedule_waiting(const struct schedule *schedule)
{
	return pace_waiting(schedule->pace);
}

size_t schedule_down(const struct schedule *schedule)
{
	return health_down(schedule->health);
}

const char *schedule_down_names(const struct schedule *schedule, char *text, size_t size)
{
	return health_down_names(schedule->health, text, size);
}
