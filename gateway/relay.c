#include "gateway/relay.h"

#include "common/keys.h"
#include "common/list.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/reply.h"
#include "gateway/refusal.h"
#include "gateway/relay_link.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64              /* addresses per interest or uninterest call */
#define CALLS_MAX 4           /* of them under way at once */
#define CHECK_BATCH 300       /* addresses per sweep call */
#define TICK_MS 250           /* the pace of sweeps: at most 1200 addresses a second */
#define SWEEP_MS 10000        /* a whole sweep, where there are few enough */
#define TOUCH_MS 300000       /* a third of what keys live; TTL in scripts/prelude.lua */
#define UNAVAILABLE_MS 2000   /* Redis may be away this long before anybody is told */
#define GRACE_MS 2000         /* beyond the lease, before no_poller is said */
#define NOTED_MS 11000        /* how old checked_at in Redis may be for a living owner */
#define AGE_MS 2000           /* between two looks at how old everything is */
#define SURPLUS_RENEWALS 3    /* with more interest in Redis than here, before we look */
#define SUSPECT_CHECK_MS 1000 /* between two looks at what may have no poller */

struct relay {
	struct clock *clock;
	struct redis *redis;
	struct membership *membership;
	struct metrics *metrics;
	struct topic_table *topics;
	uint32_t lease_ms;

	struct list waiting; /* LINK_WAITING */
	struct list live;    /* LINK_LIVE, the one swept longest ago first */
	struct list leaving; /* LINK_LEAVING */
	struct list idle;    /* LINK_OFF and without subscriptions: to be freed */
	struct list suspects;
	size_t live_count;
	size_t registered_count; /* topics whose interest Redis may know */
	int surplus_renewals;
	int calls; /* interest and uninterest under way */
	bool sweeping;

	struct clock_timer flush;
	struct clock_timer tick;
	double sweep_debt; /* addresses due by now, of the sweep in progress */
	int64_t suspects_checked_at_ms;
	int64_t ages_judged_at_ms;
	int64_t unwell_since_ms; /* monotonic; 0 while Redis answers and the lease runs */
	bool told_unavailable;
	int64_t pollerless_since_ms; /* monotonic; 0 while a poller is alive */
};

/* Topics of one call. They stay in a state that keeps them from being freed. */
struct batch {
	struct relay *relay;
	size_t count;
	struct topic *topics[];
};

/* ---- states ---- */

/* The only writer of link->state. */
static void link_enter(
	struct relay *relay, struct topic *topic, enum relay_link_state state)
{
	struct relay_link *link = topic_relay_link(topic);
	struct list *lists[] = {
		[LINK_WAITING] = &relay->waiting,
		[LINK_LIVE] = &relay->live,
		[LINK_LEAVING] = &relay->leaving,
		[LINK_UNREGISTERING] = NULL,
	};

	if (link->state == LINK_LIVE)
		relay->live_count--;
	if (state == LINK_LIVE)
		relay->live_count++;
	link->state = state;
	list_remove(&link->on_list);
	if (lists[state] != NULL)
		list_append(lists[state], &link->on_list);
	if (state == LINK_OFF && topic_subscribers(topic) == 0)
		list_append(&relay->idle, &link->on_list);
	if (state == LINK_OFF) {
		list_remove(&link->suspect);
		link->read = false;
	}
	clock_timer_start_in(&relay->flush, 0);
}

static void set_registered(struct relay *relay, struct relay_link *link, bool registered)
{
	relay->registered_count += (size_t)registered - (size_t)link->registered;
	link->registered = registered;
}

static struct topic *topic_on_list(struct list *link)
{
	return topic_of_relay_link(container_of(link, struct relay_link, on_list));
}

static void suspect(struct relay *relay, struct topic *topic)
{
	struct relay_link *link = topic_relay_link(topic);

	if (list_empty(&link->suspect))
		list_append(&relay->suspects, &link->suspect);
}

/* It has an owner, and what it shows is confirmed. */
static void trust(struct topic *topic)
{
	struct relay_link *link = topic_relay_link(topic);

	link->ownerless_since_ms = 0;
	list_remove(&link->suspect);
	topic_doubt(topic, NULL, NULL, 0);
}

/* Doubted topics are suspects, so that they are looked at again soon. */
static void doubt(
	struct relay *relay, struct topic *topic, const char *code, const char *message)
{
	struct relay_link *link = topic_relay_link(topic);

	if (topic_doubt_code(topic) != NULL && strcmp(topic_doubt_code(topic), code) == 0)
		return;
	link->doubted_at_ms = clock_now_ms(relay->clock);
	suspect(relay, topic);
	topic_doubt(topic, code, message, clock_wall_ms(relay->clock));
}

/* ---- a topic's channel ---- */

static void change_channel(struct relay *relay, struct topic *topic, struct key *key)
{
	key_write(key, redis_prefix(relay->redis), KEYS_CHANGE, topic_address(topic));
}

struct acknowledgement {
	struct relay *relay;
	char address[];
};

static void read_unregistered(struct relay *relay, struct topic *topic);

static void on_acknowledged(int error, const redisReply *reply, void *user)
{
	struct acknowledgement *wait = user;
	struct topic *topic =
		topic_find_fed(wait->relay->topics, wait->address, strlen(wait->address));

	(void)reply;
	/* On an error, on_up begins anew. */
	if (error == 0 && topic != NULL &&
		topic_relay_link(topic)->state == LINK_SUBSCRIBING) {
		link_enter(wait->relay, topic, LINK_WAITING);
		if (wait->relay->told_unavailable)
			read_unregistered(wait->relay, topic);
	}
	free(wait);
}

static void listen_to(struct relay *relay, struct topic *topic)
{
	size_t length = strlen(topic_address(topic));
	struct acknowledgement *wait = xcalloc(1, sizeof(*wait) + length + 1);
	struct key key;

	wait->relay = relay;
	memcpy(wait->address, topic_address(topic), length + 1);
	link_enter(relay, topic, LINK_SUBSCRIBING);
	change_channel(relay, topic, &key);
	redis_subscribe(relay->redis, key.text, key.length, on_acknowledged, wait);
}

static void stop_listening(struct relay *relay, struct topic *topic)
{
	struct key key;

	change_channel(relay, topic, &key);
	redis_unsubscribe(relay->redis, key.text, key.length);
	link_enter(relay, topic, LINK_OFF);
	/* Everybody is paused: what is held ages unheard until somebody looks again. */
	if (topic_subscribers(topic) > 0 && topic_doubt_code(topic) == NULL)
		doubt(relay, topic, "unconfirmed", "nobody has looked for a while");
}

/* ---- what interest answers ---- */

enum entry_field {
	ENTRY_REVISION,
	ENTRY_VERSION,
	ENTRY_STATE,
	ENTRY_TYPE,
	ENTRY_CHECKED_AT,
	ENTRY_INTERVAL,
	ENTRY_ERROR,
	ENTRY_OWNER,
	ENTRY_CONTENT,
	ENTRY_COUNT
};

static void read_entry(struct change *change, const redisReply *entry)
{
	struct bytes state = reply_bytes(entry, ENTRY_STATE);
	struct bytes type = reply_bytes(entry, ENTRY_TYPE);

	*change = (struct change){
		.revision = reply_number(entry, ENTRY_REVISION),
		.version = reply_number(entry, ENTRY_VERSION),
		.state = resource_state_parse(state.start, state.length),
		.checked_at_ms = (int64_t)reply_number(entry, ENTRY_CHECKED_AT),
		.interval_ms = (uint32_t)reply_number(entry, ENTRY_INTERVAL),
		.error = reply_bytes(entry, ENTRY_ERROR),
		.content = reply_bytes(entry, ENTRY_CONTENT),
	};
	if (!change_media_type(&change->media_type, type))
		change->state = RESOURCE_UNKNOWN;
}

static bool confirmed_within(
	struct relay *relay, int64_t checked_at_ms, int64_t tolerance_ms)
{
	return membership_redis_ms(relay->membership) - checked_at_ms <= tolerance_ms;
}

/* All of them every SWEEP_MS, or as fast as our share of the fleet's sweeps allows. */
static int64_t sweep_length_ms(const struct relay *relay)
{
	int64_t paced_ms = (int64_t)(relay->live_count *
		membership_fleet_size(relay->membership) * 1000 / MEMBERSHIP_SWEEP_PER_S);

	return paced_ms > SWEEP_MS ? paced_ms : SWEEP_MS;
}

static void judge_ownerless(struct relay *relay, struct topic *topic)
{
	struct relay_link *link = topic_relay_link(topic);
	int64_t now_ms = clock_now_ms(relay->clock);

	suspect(relay, topic);
	if (link->ownerless_since_ms == 0)
		link->ownerless_since_ms = now_ms;
	else if (now_ms - link->ownerless_since_ms >= relay->lease_ms + GRACE_MS)
		doubt(relay, topic, "no_poller", "no poller has taken this resource");
}

/* How old a check may be of what is fresh: notes and sweeps are late, polls fail. */
static int64_t oldest_check_ms(const struct relay *relay, struct topic *topic)
{
	return NOTED_MS + sweep_length_ms(relay) + 3 * (int64_t)topic_pace_ms(topic);
}

/* By ages: at the time of the doubt Redis's clock may have been unknown. */
static bool dispels_doubt(struct relay *relay, struct topic *topic, int64_t checked_at_ms)
{
	int64_t doubted_for_ms =
		clock_now_ms(relay->clock) - topic_relay_link(topic)->doubted_at_ms;

	return (confirmed_within(relay, checked_at_ms, doubted_for_ms) &&
		       confirmed_within(
			       relay, checked_at_ms, oldest_check_ms(relay, topic))) ||
		confirmed_within(
			relay, checked_at_ms, topic_interval_ms(topic) + GRACE_MS);
}

/* Decides whether we can vouch for @topic again, by what Redis just said of it. */
static void judge(
	struct relay *relay, struct topic *topic, bool owned, int64_t checked_at_ms)
{
	struct relay_link *link = topic_relay_link(topic);

	topic_checked(topic, checked_at_ms);
	if (!owned) {
		judge_ownerless(relay, topic);
		return;
	}
	link->ownerless_since_ms = 0;
	if (topic_revision(topic) != 0 &&
		(topic_doubt_code(topic) == NULL ||
			dispels_doubt(relay, topic, checked_at_ms)))
		trust(topic);
}

/* By our own clock alone: Redis may be too unwell to say anything. It is asked once more.
 */
static void judge_age(struct topic *topic, void *user)
{
	struct relay *relay = user;
	int64_t age_ms =
		membership_redis_ms(relay->membership) - topic_checked_at_ms(topic);
	int64_t most_ms;

	/* Cheap for most of them. */
	if (topic_state(topic) != RESOURCE_FRESH || age_ms <= NOTED_MS)
		return;
	most_ms = oldest_check_ms(relay, topic);
	if (age_ms > most_ms)
		doubt(relay, topic, "unconfirmed",
			"nothing has checked the content for three intervals");
	else if (age_ms > most_ms - AGE_MS)
		suspect(relay, topic);
}

/* Those nothing was ever said of, though there was time enough. */
static void judge_waiting(struct relay *relay, struct topic *topic)
{
	struct relay_link *link = topic_relay_link(topic);

	if (topic_revision(topic) == 0 && topic_doubt_code(topic) == NULL &&
		clock_now_ms(relay->clock) - link->waiting_since_ms >=
			relay->lease_ms + GRACE_MS)
		doubt(relay, topic, "unconfirmed", "no answer has come yet");
}

/* Content that was kept for a viewer who comes back may be of another time. */
static void judge_retained(
	struct relay *relay, struct topic *topic, const struct change *change, bool owned)
{
	int64_t noted_ms = owned ? NOTED_MS : 0;

	if (change->state == RESOURCE_FRESH &&
		!confirmed_within(relay, change->checked_at_ms,
			2 * (int64_t)change->interval_ms + noted_ms))
		doubt(relay, topic, "unconfirmed",
			"the content has not been checked lately");
}

/* ---- contents that were not in a message ---- */

struct reading {
	struct relay *relay;
	char address[];
};

/* The fields of an entry of interest, in its order; an owner is not among them. */
static const char *const content_fields[] = {"revision", "version", "state", "type",
	"checked_at", "interval_ms", "error", "owner", "content"};

/*
 * Redis did not answer, or has forgotten the content: registering once more reads what
 * there is, and makes what is held a floor. Not at once, so that it is no loop.
 */
static void register_later(struct relay *relay, struct topic *topic)
{
	struct relay_link *link = topic_relay_link(topic);

	link->needed = true;
	if (link->state != LINK_LIVE)
		return;
	link_enter(relay, topic, LINK_WAITING);
	clock_timer_start_in(&relay->flush, TICK_MS);
}

/* Where it is up, its lease has run out: it refuses to store, the lease included. */
static void doubt_redis(struct relay *relay, struct topic *topic)
{
	doubt(relay, topic, "redis_unavailable",
		redis_is_up(relay->redis) ? "Redis stores nothing for now"
					  : "Redis cannot be reached");
}

static void on_read(int error, const redisReply *reply, void *user)
{
	struct reading *reading = user;
	struct relay *relay = reading->relay;
	struct topic *topic =
		topic_find_fed(relay->topics, reading->address, strlen(reading->address));
	struct change change = {.state = RESOURCE_UNKNOWN};
	bool first;

	free(reading);
	if (topic == NULL)
		return;
	first = topic_revision(topic) == 0;
	topic_relay_link(topic)->reading = false;
	if (relay->told_unavailable)
		doubt_redis(relay, topic);
	if (error == 0 && reply->type == REDIS_REPLY_ARRAY &&
		reply->elements >= ENTRY_COUNT)
		read_entry(&change, reply);
	if (change.state != RESOURCE_UNKNOWN)
		topic_apply(topic, &change);
	if (first && !relay->told_unavailable)
		judge_retained(relay, topic, &change, true);
	if (topic_content(topic).start != NULL)
		topic_was_read(topic);
	else
		register_later(relay, topic);
}

static void read_content(struct relay *relay, struct topic *topic)
{
	struct relay_link *link = topic_relay_link(topic);
	size_t length = strlen(topic_address(topic));
	struct redis_args args = {0};
	struct reading *reading;
	struct key key;

	link->needed = false;
	if (link->reading)
		return;
	link->reading = true;
	reading = xcalloc(1, sizeof(*reading) + length + 1);
	reading->relay = relay;
	memcpy(reading->address, topic_address(topic), length + 1);
	key_write(&key, redis_prefix(relay->redis), KEYS_RESOURCE, topic_address(topic));
	redis_args_text(&args, "HMGET");
	redis_args_add(&args, key.text, key.length);
	for (size_t i = 0; i < ENTRY_COUNT; i++)
		redis_args_text(&args, content_fields[i]);
	redis_command(relay->redis, &args, on_read, reading);
}

/* Redis takes no interest for now, but may hold what is watched. */
static void read_unregistered(struct relay *relay, struct topic *topic)
{
	if (topic_relay_link(topic)->state == LINK_WAITING && topic_revision(topic) == 0)
		read_content(relay, topic);
}

static void on_needed(struct topic *topic, void *user)
{
	struct relay_link *link = topic_relay_link(topic);

	/* Before it is registered, what is read could be overtaken unheard. */
	if (link->state == LINK_LIVE)
		read_content(user, topic);
	else
		link->needed = true;
}

static void take_entry(struct relay *relay, struct topic *topic, const redisReply *entry)
{
	struct relay_link *link = topic_relay_link(topic);
	bool first = topic_revision(topic) == 0;
	struct change change;
	bool owned;
	int r = 0;

	if (entry->type != REDIS_REPLY_ARRAY || entry->elements < ENTRY_COUNT) {
		link_enter(relay, topic, LINK_WAITING);
		return;
	}
	read_entry(&change, entry);
	if (change.state != RESOURCE_UNKNOWN)
		r = topic_apply(topic, &change);
	if (r < 0 || link->read_again) {
		link->read_again = false;
		link_enter(relay, topic, LINK_WAITING);
		return;
	}
	owned = reply_bytes(entry, ENTRY_OWNER).length > 0;
	link->touched_at_ms = clock_now_ms(relay->clock);
	link->read = true;
	link_enter(relay, topic, LINK_LIVE);
	if (first)
		judge_retained(relay, topic, &change, owned);
	/* Redis with an older version confirms nothing of ours. */
	if (r != TOPIC_AHEAD || !owned)
		judge(relay, topic, owned, change.checked_at_ms);
	topic_was_read(topic);
	if (link->needed)
		read_content(relay, topic);
}

static void on_registered(int error, const redisReply *reply, void *user)
{
	struct batch *batch = user;
	struct relay *relay = batch->relay;
	bool done = error == 0 && reply->type == REDIS_REPLY_ARRAY &&
		reply->elements == batch->count + 1;

	relay->calls--;
	for (size_t i = 0; i < batch->count; i++) {
		struct topic *topic = batch->topics[i];
		struct relay_link *link = topic_relay_link(topic);

		/* After a loss of the link, listening comes first again. */
		if (link->state != LINK_REGISTERING)
			continue;
		if (!done)
			link_enter(relay, topic, LINK_WAITING);
		else
			take_entry(relay, topic, reply->element[i + 1]);
		if (link->state != LINK_OFF && topic_interest(topic).subscribers == 0)
			link_enter(relay, topic, LINK_LEAVING);
	}
	/* Not at once: the session may have to be renewed or entered first. */
	if (!done)
		clock_timer_start_in(&relay->flush, TICK_MS);
	free(batch);
}

static void on_unregistered(int error, const redisReply *reply, void *user)
{
	struct batch *batch = user;
	struct relay *relay = batch->relay;
	bool done = error == 0 && reply->type == REDIS_REPLY_STRING;

	relay->calls--;
	for (size_t i = 0; i < batch->count; i++) {
		struct topic *topic = batch->topics[i];

		if (topic_relay_link(topic)->state != LINK_UNREGISTERING)
			continue;
		if (done)
			set_registered(relay, topic_relay_link(topic), false);
		/* Somebody came back; the channel may have gone with a connection. */
		if (topic_interest(topic).subscribers > 0)
			listen_to(relay, topic);
		else if (done)
			stop_listening(relay, topic);
		else
			link_enter(relay, topic, LINK_LEAVING);
	}
	if (!done)
		clock_timer_start_in(&relay->flush, TICK_MS);
	free(batch);
}

/* ---- registering ---- */

static void add_share(struct relay *relay, struct redis_args *args, struct topic *topic)
{
	struct relay_link *link = topic_relay_link(topic);
	struct topic_interest interest = topic_interest(topic);

	set_registered(relay, link, true);
	link->subscribers = interest.subscribers;
	link->interval_ms = interest.interval_ms;
	redis_args_text(args, topic_address(topic));
	redis_args_number(args, link->subscribers);
	redis_args_number(args, link->interval_ms);
	redis_args_number(args, (int64_t)topic_version(topic));
	redis_args_number(args, (int64_t)topic_revision(topic));
}

static struct batch *take_batch(
	struct relay *relay, struct list *list, enum relay_link_state next)
{
	struct batch *batch = xcalloc(1, sizeof(*batch) + BATCH * sizeof(struct topic *));

	batch->relay = relay;
	while (batch->count < BATCH && !list_empty(list)) {
		struct topic *topic = topic_on_list(list->next);

		link_enter(relay, topic, next);
		batch->topics[batch->count++] = topic;
	}
	return batch;
}

static void register_some(struct relay *relay)
{
	struct batch *batch = take_batch(relay, &relay->waiting, LINK_REGISTERING);
	struct redis_args args = {0};

	redis_args_text(&args, membership_session(relay->membership));
	for (size_t i = 0; i < batch->count; i++)
		add_share(relay, &args, batch->topics[i]);
	relay->calls++;
	redis_script(relay->redis, REDIS_SCRIPT_INTEREST, &args, REDIS_NORMAL,
		on_registered, batch);
}

static void unregister_some(struct relay *relay)
{
	struct batch *batch = take_batch(relay, &relay->leaving, LINK_UNREGISTERING);
	struct redis_args args = {0};

	redis_args_text(&args, membership_session(relay->membership));
	for (size_t i = 0; i < batch->count; i++)
		redis_args_text(&args, topic_address(batch->topics[i]));
	relay->calls++;
	redis_script(relay->redis, REDIS_SCRIPT_UNINTEREST, &args, REDIS_NORMAL,
		on_unregistered, batch);
}

static void free_idle(struct relay *relay)
{
	struct list held;
	struct list *link;

	list_init(&held);
	while ((link = list_take(&relay->idle)) != NULL) {
		struct topic *topic = topic_on_list(link);

		if (topic_relay_link(topic)->held)
			list_append(&held, link);
		else if (topic_subscribers(topic) == 0)
			topic_forget(topic);
	}
	while ((link = list_take(&held)) != NULL)
		list_append(&relay->idle, link);
}

static void flush(struct relay *relay)
{
	free_idle(relay);
	if (!redis_is_up(relay->redis) || !membership_valid(relay->membership))
		return;
	while (relay->calls < CALLS_MAX && !list_empty(&relay->waiting))
		register_some(relay);
	while (relay->calls < CALLS_MAX && !list_empty(&relay->leaving))
		unregister_some(relay);
	/* Started by link_enter() meanwhile; the answers will start it again. */
	clock_timer_stop(&relay->flush);
}

static void on_flush(struct clock_timer *timer)
{
	flush(container_of(timer, struct relay, flush));
}

/* ---- events of the topics ---- */

static void on_wanted(struct topic *topic, void *user)
{
	struct relay *relay = user;
	struct relay_link *link = topic_relay_link(topic);

	if (relay->told_unavailable && !redis_is_up(relay->redis))
		doubt_redis(relay, topic);
	switch (link->state) {
	case LINK_OFF:
		link->waiting_since_ms = clock_now_ms(relay->clock);
		suspect(relay, topic);
		if (redis_is_up(relay->redis))
			listen_to(relay, topic);
		break;
	case LINK_LEAVING:
		/* Its channel may have gone with a connection. */
		listen_to(relay, topic);
		break;
	case LINK_LIVE:
		/* Other numbers are brought to Redis by the sweep. */
		if (topic_wants_faster(topic, link->interval_ms))
			link_enter(relay, topic, LINK_WAITING);
		break;
	case LINK_SUBSCRIBING:
	case LINK_WAITING:
	case LINK_REGISTERING:
	case LINK_UNREGISTERING:
		break; /* the sweep or the answer brings new numbers to Redis */
	}
}

static void on_unwanted(struct topic *topic, void *user)
{
	struct relay *relay = user;

	switch (topic_relay_link(topic)->state) {
	case LINK_OFF:
	case LINK_SUBSCRIBING:
	case LINK_WAITING:
	case LINK_LIVE:
		/* An acknowledgement under way finds it off, or gone. */
		if (topic_relay_link(topic)->registered)
			link_enter(relay, topic, LINK_LEAVING);
		else
			stop_listening(relay, topic);
		break;
	case LINK_REGISTERING:
	case LINK_LEAVING:
	case LINK_UNREGISTERING:
		break;
	}
}

static void on_refreshed(struct topic *topic, void *user)
{
	struct relay *relay = user;
	struct redis_args args = {0};
	struct key wake;
	char hint[ADDRESS_MAX + sizeof("poll ")];

	key_write(&wake, redis_prefix(relay->redis), KEYS_WAKE, "");
	snprintf(hint, sizeof(hint), "poll %s", topic_address(topic));
	redis_args_text(&args, "PUBLISH");
	redis_args_add(&args, wake.text, wake.length);
	redis_args_text(&args, hint);
	redis_command(relay->redis, &args, NULL, NULL);
}

static void on_served(int64_t answered_at_ms, void *user)
{
	struct relay *relay = user;

	metrics_observe_ms(relay->metrics, HISTOGRAM_DELAY,
		clock_wall_ms(relay->clock) - answered_at_ms);
}

/* ---- changes ---- */

static void read_again(struct relay *relay, struct topic *topic)
{
	struct relay_link *link = topic_relay_link(topic);

	metrics_add(relay->metrics, METRIC_RESYNCS, 1);
	if (link->state == LINK_LIVE)
		link_enter(relay, topic, LINK_WAITING);
	else if (link->state == LINK_REGISTERING)
		link->read_again = true;
}

void relay_on_message(struct relay *relay, const char *channel, size_t channel_length,
	const char *payload, size_t length)
{
	const char *prefix = redis_prefix(relay->redis);
	const char *address = key_suffix(prefix, KEYS_CHANGE, channel, channel_length);
	struct topic *topic;
	struct change change;

	if (address == NULL)
		return;
	topic = topic_find_fed(
		relay->topics, address, channel_length - (size_t)(address - channel));
	if (topic == NULL)
		return;
	if (change_parse(&change, payload, length) != 0) {
		log_warn("malformed change ignored, reading the resource again uri=%s",
			topic_address(topic));
		read_again(relay, topic);
		return;
	}
	if (change.revision <= topic_revision(topic))
		return;
	if (topic_apply(topic, &change) != 0) {
		read_again(relay, topic);
		return;
	}
	metrics_add(relay->metrics, METRIC_CHANGES, 1);
	trust(topic);
	/* A commit may have waited long in a Redis that stood still. */
	judge_retained(relay, topic, &change, true);
}

/* ---- the sweep ---- */

/* What check answers for one address. */
enum check_field {
	CHECK_REVISION,
	CHECK_FLOOR,
	CHECK_OWNER,
	CHECK_INTEREST,
	CHECK_CHECKED_AT,
	CHECK_FIELDS
};

struct check {
	uint64_t revision;
	uint64_t floor;
	int64_t checked_at_ms;
	bool owned; /* by a poller that is alive */
	bool interested;
};

/* @first  the index of its first field */
static struct check read_check(const redisReply *reply, size_t first)
{
	const redisReply *interest = reply->element[first + CHECK_INTEREST];

	return (struct check){
		.revision = reply_number(reply, first + CHECK_REVISION),
		.floor = reply_number(reply, first + CHECK_FLOOR),
		.checked_at_ms = (int64_t)reply_number(reply, first + CHECK_CHECKED_AT),
		.owned = reply_is(reply, first + CHECK_OWNER, "+"),
		.interested =
			interest->type == REDIS_REPLY_INTEGER && interest->integer == 1,
	};
}

static bool share_differs(struct topic *topic)
{
	struct relay_link *link = topic_relay_link(topic);
	struct topic_interest interest = topic_interest(topic);

	return interest.subscribers != link->subscribers ||
		interest.interval_ms != link->interval_ms;
}

static void take_check(
	struct relay *relay, struct topic *topic, const struct check *check)
{
	uint64_t held = topic_revision(topic);
	/* Redis has forgotten what we hold: registering again makes it a floor. */
	bool forgotten = check->revision < held && check->floor < held;

	if (check->revision > held)
		metrics_add(relay->metrics, METRIC_RESYNCS, 1);
	/* What was checked since is not what is held: it is judged when it has been read.
	 */
	if (check->revision == held || !check->owned)
		judge(relay, topic, check->owned, check->checked_at_ms);
	if (check->revision > held || forgotten || !check->interested ||
		share_differs(topic))
		link_enter(relay, topic, LINK_WAITING);
}

static void on_checked(int error, const redisReply *reply, void *user)
{
	struct batch *batch = user;
	struct relay *relay = batch->relay;
	bool answered = error == 0 && reply->type == REDIS_REPLY_ARRAY &&
		reply->elements == batch->count * CHECK_FIELDS;

	relay->sweeping = false;
	for (size_t i = 0; i < batch->count; i++) {
		struct topic *topic = batch->topics[i];
		struct relay_link *link = topic_relay_link(topic);

		link->held = false;
		if (answered && link->state == LINK_LIVE) {
			struct check check = read_check(reply, i * CHECK_FIELDS);

			take_check(relay, topic, &check);
		}
	}
	free(batch);
	free_idle(relay);
}

static void touch(struct relay *relay, const struct batch *batch)
{
	int64_t now_ms = clock_now_ms(relay->clock);
	struct redis_args args = {0};

	redis_args_text(&args, "gateway");
	redis_args_text(&args, membership_session(relay->membership));
	for (size_t i = 0; i < batch->count; i++) {
		struct relay_link *link = topic_relay_link(batch->topics[i]);

		if (now_ms - link->touched_at_ms < TOUCH_MS)
			continue;
		link->touched_at_ms = now_ms;
		redis_args_text(&args, topic_address(batch->topics[i]));
	}
	if (args.count > 2)
		redis_script(relay->redis, REDIS_SCRIPT_TOUCH, &args, REDIS_NORMAL, NULL,
			NULL);
	redis_args_fini(&args);
}

static void check_batch(struct relay *relay, struct batch *batch)
{
	struct redis_args args = {0};

	if (batch->count == 0) {
		free(batch);
		return;
	}
	redis_args_text(&args, "gateway");
	redis_args_text(&args, membership_session(relay->membership));
	for (size_t i = 0; i < batch->count; i++) {
		topic_relay_link(batch->topics[i])->held = true;
		redis_args_text(&args, topic_address(batch->topics[i]));
	}
	touch(relay, batch);
	relay->sweeping = true;
	redis_script(
		relay->redis, REDIS_SCRIPT_CHECK, &args, REDIS_NORMAL, on_checked, batch);
}

static struct batch *check_batch_new(struct relay *relay, size_t most)
{
	struct batch *batch = xcalloc(1, sizeof(*batch) + most * sizeof(struct topic *));

	batch->relay = relay;
	return batch;
}

static bool can_ask(const struct relay *relay)
{
	return !relay->sweeping && redis_is_up(relay->redis) &&
		membership_valid(relay->membership);
}

/* Those that may have no poller are looked at every second, some at a time. */
static void check_suspects(struct relay *relay)
{
	struct batch *batch = check_batch_new(relay, CHECK_BATCH);
	struct list *first = relay->suspects.next;

	relay->suspects_checked_at_ms = clock_now_ms(relay->clock);
	for (int i = 0; i < CHECK_BATCH; i++) {
		struct list *next = relay->suspects.next;
		struct relay_link *link = container_of(next, struct relay_link, suspect);

		if (i > 0 && next == first)
			break;
		list_remove(next);
		list_append(&relay->suspects, next);
		judge_waiting(relay, topic_of_relay_link(link));
		if (link->state == LINK_LIVE)
			batch->topics[batch->count++] = topic_of_relay_link(link);
	}
	if (can_ask(relay))
		check_batch(relay, batch);
	else
		free(batch);
}

/* As many as are due by now for one sweep of all in sweep_length_ms(). */
static void sweep_some(struct relay *relay)
{
	size_t due;
	struct batch *batch;

	relay->sweep_debt +=
		(double)relay->live_count * TICK_MS / (double)sweep_length_ms(relay);
	due = (size_t)relay->sweep_debt;
	if (due > CHECK_BATCH)
		due = CHECK_BATCH;
	if (due > relay->live_count)
		due = relay->live_count;
	if (due == 0)
		return;
	relay->sweep_debt = 0;
	batch = check_batch_new(relay, due);
	while (batch->count < due) {
		struct list *first = list_take(&relay->live);

		list_append(&relay->live, first);
		batch->topics[batch->count++] = topic_on_list(first);
	}
	check_batch(relay, batch);
}

/* ---- when nobody can be vouched for ---- */

static void tell_unavailable(struct topic *topic, void *user)
{
	struct relay *relay = user;

	if (redis_is_up(relay->redis))
		read_unregistered(relay, topic);
	if (!topic_relay_link(topic)->reading)
		doubt_redis(relay, topic);
}

/* What was confirmed since has a poller, though we have not heard of it yet. */
static void doubt_pollers(struct topic *topic, void *user)
{
	struct relay *relay = user;
	int64_t age_ms =
		membership_redis_ms(relay->membership) - topic_checked_at_ms(topic);

	if (topic_relay_link(topic)->state == LINK_LIVE &&
		age_ms > clock_now_ms(relay->clock) - relay->pollerless_since_ms)
		doubt(relay, topic, "no_poller", "no poller is running");
}

static bool any_poller_alive(struct relay *relay)
{
	const struct member *pollers;
	size_t count = membership_pollers(relay->membership, &pollers);

	for (size_t i = 0; i < count; i++) {
		if (pollers[i].alive)
			return true;
	}
	return false;
}

/* Without a lease nothing that Redis says reaches us in order: that is no better than no
 * Redis. */
static void note_health(struct relay *relay)
{
	if (redis_is_up(relay->redis) && membership_valid(relay->membership)) {
		relay->unwell_since_ms = 0;
		relay->told_unavailable = false;
	} else if (relay->unwell_since_ms == 0) {
		relay->unwell_since_ms = clock_now_ms(relay->clock);
	}
}

static void tell_outages(struct relay *relay)
{
	int64_t now_ms = clock_now_ms(relay->clock);

	note_health(relay);
	if (relay->unwell_since_ms != 0 && !relay->told_unavailable &&
		now_ms - relay->unwell_since_ms >= UNAVAILABLE_MS) {
		relay->told_unavailable = true;
		topic_each(relay->topics, tell_unavailable, relay);
	}
	if (relay->pollerless_since_ms != 0 && relay->unwell_since_ms == 0 &&
		now_ms - relay->pollerless_since_ms >= GRACE_MS)
		topic_each(relay->topics, doubt_pollers, relay);
}

static void on_tick(struct clock_timer *timer)
{
	struct relay *relay = container_of(timer, struct relay, tick);
	int64_t now_ms = clock_now_ms(relay->clock);

	clock_timer_start_in(timer, TICK_MS);
	tell_outages(relay);
	flush(relay);
	if (now_ms - relay->ages_judged_at_ms >= AGE_MS) {
		relay->ages_judged_at_ms = now_ms;
		topic_each(relay->topics, judge_age, relay);
	}
	if (!list_empty(&relay->suspects) &&
		now_ms - relay->suspects_checked_at_ms >= SUSPECT_CHECK_MS)
		check_suspects(relay);
	else if (can_ask(relay))
		sweep_some(relay);
}

/* ---- what Redis says is ours ---- */

static void read_interests(struct relay *relay, const char *cursor);

static void drop_interest(struct relay *relay, const redisReply *addresses)
{
	struct redis_args args = {0};

	redis_args_text(&args, membership_session(relay->membership));
	for (size_t i = 0; i < addresses->elements; i++) {
		struct bytes address = reply_bytes(addresses, i);

		if (address.start != NULL &&
			topic_find_fed(relay->topics, address.start, address.length) ==
				NULL)
			redis_args_add(&args, address.start, address.length);
	}
	if (args.count > 1)
		redis_script(relay->redis, REDIS_SCRIPT_UNINTEREST, &args, REDIS_NORMAL,
			NULL, NULL);
	redis_args_fini(&args);
}

static void on_interests(int error, const redisReply *reply, void *user)
{
	struct relay *relay = user;
	const char *cursor;

	if (error != 0 || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
		reply->element[1]->type != REDIS_REPLY_ARRAY)
		return;
	drop_interest(relay, reply->element[1]);
	cursor = reply_word(reply, 0);
	if (cursor[0] != '\0' && strcmp(cursor, "0") != 0)
		read_interests(relay, cursor);
}

static void read_interests(struct relay *relay, const char *cursor)
{
	struct redis_args args = {0};
	struct key key;

	key_write(&key, redis_prefix(relay->redis), KEYS_INTERESTS,
		membership_session(relay->membership));
	redis_args_text(&args, "SSCAN");
	redis_args_add(&args, key.text, key.length);
	redis_args_text(&args, cursor);
	redis_command(relay->redis, &args, on_interests, relay);
}

static void leave_again(struct topic *topic, void *user)
{
	struct relay_link *link = topic_relay_link(topic);

	/* Everybody is paused, and Redis was told: tell it once more. */
	if (link->state == LINK_OFF) {
		set_registered(user, link, true);
		link_enter(user, topic, LINK_LEAVING);
	}
}

/*
 * More than we know of, and not just for a moment: a lost reply, or a replica that took
 * over and knew less of what we gave up.
 */
void relay_on_renewed(struct relay *relay, size_t held)
{
	if (held <= relay->registered_count) {
		relay->surplus_renewals = 0;
		return;
	}
	if (++relay->surplus_renewals < SURPLUS_RENEWALS)
		return;
	relay->surplus_renewals = 0;
	topic_each(relay->topics, leave_again, relay);
	read_interests(relay, "0");
}

/* ---- public ---- */

struct relay *relay_new(struct clock *clock, struct redis *redis,
	struct membership *membership, struct metrics *metrics, uint32_t lease_ms)
{
	struct relay *relay = xcalloc(1, sizeof(*relay));
	const struct topic_events events = {.wanted = on_wanted,
		.unwanted = on_unwanted,
		.needed = on_needed,
		.refreshed = on_refreshed,
		.served = on_served};

	relay->clock = clock;
	relay->redis = redis;
	relay->membership = membership;
	relay->metrics = metrics;
	relay->lease_ms = lease_ms;
	relay->topics = topic_table_new(clock, &events, relay);
	list_init(&relay->waiting);
	list_init(&relay->live);
	list_init(&relay->leaving);
	list_init(&relay->idle);
	list_init(&relay->suspects);
	clock_timer_init(&relay->flush, clock, on_flush);
	clock_timer_init(&relay->tick, clock, on_tick);
	clock_timer_start_in(&relay->tick, TICK_MS);
	relay->unwell_since_ms = clock_now_ms(clock);
	return relay;
}

void relay_free(struct relay *relay)
{
	if (relay == NULL)
		return;
	clock_timer_stop(&relay->flush);
	clock_timer_stop(&relay->tick);
	topic_table_free(relay->topics);
	free(relay);
}

struct topic_table *relay_topics(struct relay *relay)
{
	return relay->topics;
}

static void begin_anew(struct topic *topic, void *user)
{
	struct relay *relay = user;

	if (topic_interest(topic).subscribers > 0)
		listen_to(relay, topic);
	else if (topic_relay_link(topic)->state != LINK_OFF)
		link_enter(relay, topic, LINK_LEAVING);
}

void relay_on_up(struct relay *relay)
{
	topic_each(relay->topics, begin_anew, relay);
}

static void register_again(struct topic *topic, void *user)
{
	if (topic_relay_link(topic)->state == LINK_LIVE)
		link_enter(user, topic, LINK_WAITING);
}

void relay_on_entered(struct relay *relay)
{
	topic_each(relay->topics, register_again, relay);
	clock_timer_start_in(&relay->flush, 0);
}

void relay_on_peers(struct relay *relay)
{
	if (any_poller_alive(relay))
		relay->pollerless_since_ms = 0;
	else if (relay->pollerless_since_ms == 0)
		relay->pollerless_since_ms = clock_now_ms(relay->clock);
}

struct reload_walk {
	struct relay *relay;
	const struct catalog *catalog;
};

void relay_look_up(struct topic *topic, const struct catalog *catalog, int64_t wall_ms)
{
	const char *text = topic_address(topic);
	struct address address;
	struct catalog_target target;
	struct refusal refusal;

	if (refusal_parse_address(&refusal, &address, text, strlen(text)) &&
		refusal_resolve(&refusal, catalog, &address, &target))
		topic_retarget(topic, &target);
	else
		topic_set_unknown(topic, refusal.code, refusal.message, wall_ms);
}

static void look_up_again(struct topic *topic, void *user)
{
	const struct reload_walk *walk = user;

	relay_look_up(topic, walk->catalog, clock_wall_ms(walk->relay->clock));
}

void relay_reload(struct relay *relay, const struct catalog *catalog)
{
	struct reload_walk walk = {relay, catalog};

	topic_each(relay->topics, look_up_again, &walk);
}

bool relay_has_read(struct topic *topic)
{
	return topic_relay_link(topic)->read || topic_doubt_code(topic) != NULL;
}
