#include "poller/engine.h"

#include "common/list.h"
#include "common/log.h"

#define LEAVE_MS 5000 /* a Redis that does not answer holds nobody up longer */

/* ---- from the link to Redis ---- */

static void on_up(void *user)
{
	struct engine *engine = user;

	log_info("connected to Redis");
	engine->events.up(engine->user);
	membership_on_up(engine->membership);
	claim_on_up(engine->claim);
}

static void on_down(const char *reason, void *user)
{
	struct engine *engine = user;

	log_warn("Redis is away, reconnecting reason=\"%s\"", reason);
	membership_on_down(engine->membership);
}

static void on_message(const char *channel, size_t channel_length, const char *payload,
	size_t length, void *user)
{
	struct engine *engine = user;

	if (engine->events.message != NULL &&
		engine->events.message(
			channel, channel_length, payload, length, engine->user))
		return;
	claim_on_message(engine->claim, channel, channel_length, payload, length);
}

static void on_refused(const char *reason, void *user)
{
	struct engine *engine = user;

	engine->events.refused(reason, engine->user);
}

/* ---- from the session ---- */

static void on_entered(void *user)
{
	struct engine *engine = user;

	metrics_add(engine->metrics, METRIC_SESSIONS, 1);
	claim_on_entered(engine->claim);
	engine->events.entered(engine->user);
}

static void on_lost(void *user)
{
	struct engine *engine = user;

	claim_on_lost(engine->claim);
}

static void on_peers(void *user)
{
	struct engine *engine = user;

	claim_on_peers(engine->claim);
}

static void on_renewing(void *user)
{
	struct engine *engine = user;

	claim_on_renewing(engine->claim);
	if (engine->events.renewing != NULL)
		engine->events.renewing(engine->user);
}

static void on_renewed(size_t held, void *user)
{
	struct engine *engine = user;

	claim_on_renewed(engine->claim, held);
}

/* ---- from claim to the schedule ---- */

static void on_claimed(struct resource *resource, int64_t spread_ms, void *user)
{
	struct engine *engine = user;

	log_debug("resource is ours uri=%s", resource->address);
	schedule_claimed(engine->schedule, resource, spread_ms);
}

static void on_reread(struct resource *resource, void *user)
{
	struct engine *engine = user;

	schedule_reread(engine->schedule, resource);
}

static void on_unwanted(struct resource *resource, void *user)
{
	struct engine *engine = user;

	schedule_unwanted(engine->schedule, resource);
}

static void on_dropped(struct resource *resource, void *user)
{
	struct engine *engine = user;

	log_debug("resource is not ours any more uri=%s", resource->address);
	schedule_dropped(engine->schedule, resource);
}

static void on_refresh(struct resource *resource, void *user)
{
	struct engine *engine = user;

	schedule_refresh(engine->schedule, resource);
}

/* ---- from commits and the fetcher ---- */

static void on_poll_done(
	struct resource *resource, bool failed, int64_t retry_ms, void *user)
{
	struct engine *engine = user;

	schedule_done(engine->schedule, resource, failed, retry_ms);
	claim_polled(engine->claim, resource);
}

static void on_not_ours(struct resource *resource, void *user)
{
	struct engine *engine = user;

	claim_drop(engine->claim, resource);
}

/* What comes off the worker pool after engine_close() finds nothing any more. */
static struct resource *on_find(const char *address, void *user)
{
	struct engine *engine = user;

	return engine->claim != NULL ? claim_find(engine->claim, address) : NULL;
}

static bool may_start(void *user)
{
	struct engine *engine = user;

	return membership_valid(engine->membership);
}

/* ---- leaving ---- */

static void on_left(void *user)
{
	struct engine *engine = user;

	log_info("everything is handed over, leaving");
	engine->events.left(engine->user);
}

static void on_leave_deadline(struct clock_timer *timer)
{
	struct engine *engine = container_of(timer, struct engine, leave);

	log_warn("Redis did not answer in time, leaving all the same; others take over "
		 "when the lease has run out");
	engine->events.left(engine->user);
}

/* ---- public ---- */

void engine_init(struct engine *engine, uv_loop_t *loop, struct clock *clock,
	struct metrics *metrics, const struct engine_settings *settings,
	const struct engine_events *events, void *user)
{
	const struct redis_settings redis = {
		settings->redis, settings->prefix, "uricast-poller"};
	const struct redis_events redis_events = {on_up, on_down, on_message, on_refused};
	const struct membership_settings member = {
		MEMBERSHIP_POLLER, settings->lease_ms, settings->host, URICAST_VERSION};
	const struct membership_events member_events = {
		on_entered, on_lost, on_peers, on_renewing, on_renewed};
	const struct fetcher_events fetcher_events = {may_start};
	const struct commits_events commits_events = {on_poll_done, on_not_ours, on_find};
	const struct claim_events claim_events = {
		on_claimed, on_reread, on_unwanted, on_dropped, on_refresh};

	*engine = (struct engine){
		.clock = clock, .metrics = metrics, .events = *events, .user = user};
	clock_timer_init(&engine->leave, clock, on_leave_deadline);
	engine->redis = redis_new(loop, clock, &redis, &redis_events, engine);
	engine->membership =
		membership_new(clock, engine->redis, &member, &member_events, engine);
	engine->fetcher = fetcher_new(loop, clock, &fetcher_events, engine);
	engine->commits = commits_new(loop, clock, engine->redis, engine->membership,
		metrics, &commits_events, engine);
	engine->schedule = schedule_new(clock, engine->redis, engine->membership,
		settings->catalog, engine->fetcher, engine->commits, metrics);
	engine->claim = claim_new(clock, engine->redis, engine->membership,
		settings->catalog, metrics, &claim_events, engine);
}

void engine_leave(struct engine *engine)
{
	engine->leaving = true;
	claim_drain(engine->claim);
	clock_timer_start_in(&engine->leave, LEAVE_MS);
	membership_leave(engine->membership, on_left, engine);
}

/* The link goes first: it ends what is under way, so the others must still be there. */
void engine_close(struct engine *engine)
{
	redis_free(engine->redis);
	claim_free(engine->claim);
	engine->claim = NULL;
	schedule_free(engine->schedule);
	fetcher_free(engine->fetcher);
	membership_free(engine->membership);
	clock_timer_stop(&engine->leave);
}

void engine_fini(struct engine *engine)
{
	commits_free(engine->commits);
}
