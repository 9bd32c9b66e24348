#include "gateway/topic.h"

#include "common/instant.h"
#include "common/memory.h"
#include "gateway/protocol.h"
#include "gateway/relay_link.h"
#include "gateway/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define FAN_OUT_SLICE                                                                    \
	1000         /* subscriptions told per turn of the loop; docs/benchmarks.md */
#define LOOK_AHEAD 8 /* subscriptions; 4 and 16 take longer */
#define SUBSCRIPTIONS_LEAST 2 /* that there is room for */

/* By name: catalogs come and go. */
struct provider_count {
	UT_hash_handle hh;
	uint32_t watched; /* raw addresses with subscriptions; never 0 */
	char name[];
};

/* Who is told what its topics need. */
struct feeder {
	struct topic_events events;
	void *user;
};

struct topic_table {
	struct clock *clock;
	struct feeder relay;
	struct feeder aggregates;
	struct topic *topics;   /* by address */
	struct topic *replaced; /* the same, of what is to be forgotten */
	struct provider_count *providers;
	size_t subscription_count;
	size_t fanning_out; /* topics that are */
};

struct topic {
	UT_hash_handle hh;
	struct topic_table *table;
	char *raw_provider; /* its name, of a raw address; else NULL */
	const struct feeder *feeder;
	struct catalog_interval interval; /* default_ms is 0 where it is not known */
	uint32_t asking_ms; /* granted to who subscribes just now; else UINT32_MAX */
	bool unknown;  /* the catalog does not have it; the doubt says so and stays */
	bool replaced; /* another has its address and its subscriptions */
	struct relay_link link;

	struct subscription **subscriptions;
	uint32_t subscription_count;
	uint32_t subscription_capacity;
	uint32_t visible_count; /* not paused */
	uint32_t told_count;    /* the first so many have been told, while fanning out */
	bool fanning_out;
	struct clock_timer fan_out;

	uint64_t version; /* the newest known; its content may not be here */
	uint64_t revision;
	int64_t checked_at_ms;
	uint32_t interval_ms; /* the owner's */
	enum resource_state stored_state;
	char *stored_error;       /* JSON, or NULL */
	const char *doubt;        /* code, or NULL */
	char *doubt_error;        /* JSON; NULL where there is no doubt */
	uint32_t state_serial;    /* counts what is told of the state; from 1 */
	struct frame *state;      /* made when first owed */
	struct frame *no_content; /* the same for who holds nothing, as an error */
	struct frame *patch;      /* to version, or NULL */
	uint64_t patch_base;      /* what it starts from */
	size_t patch_length;
	struct frame *content;    /* NULL: none yet */
	uint64_t content_version; /* below version where only the patch has come */
	size_t content_length;
	char *media_type; /* of a text; NULL: JSON */
	char *text;       /* the content where it is a text; else it lies in the frame */
	int64_t answered_at_ms; /* what is being served came with this answer; 0: none */
	bool awaits_content;    /* somebody was not served: it has to be read first */
	bool read_first;        /* somebody claims to hold something newer */
	char address[];
};

/* ---- the table ---- */

struct topic_table *topic_table_new(
	struct clock *clock, const struct topic_events *events, void *user)
{
	struct topic_table *table = xcalloc(1, sizeof(*table));

	table->clock = clock;
	table->relay = (struct feeder){*events, user};
	return table;
}

void topic_table_aggregates(
	struct topic_table *table, const struct topic_events *events, void *user)
{
	table->aggregates = (struct feeder){*events, user};
}

void topic_table_free(struct topic_table *table)
{
	struct topic *topic, *next;
	struct provider_count *count, *next_count;

	if (table == NULL)
		return;
	HASH_ITER(hh, table->topics, topic, next)
	topic_forget(topic);
	HASH_ITER(hh, table->replaced, topic, next)
	topic_forget(topic);
	HASH_ITER(hh, table->providers, count, next_count)
	{
		HASH_DEL(table->providers, count);
		free(count);
	}
	free(table);
}

struct topic *topic_find(struct topic_table *table, const char *address, size_t length)
{
	struct topic *topic;

	HASH_FIND(hh, table->topics, address, length, topic);
	return topic;
}

struct topic *topic_find_fed(
	struct topic_table *table, const char *address, size_t length)
{
	struct topic *topic = topic_find(table, address, length);

	return topic != NULL && topic->feeder == &table->relay ? topic : NULL;
}

size_t topic_count(const struct topic_table *table)
{
	return HASH_COUNT(table->topics);
}

size_t topic_subscription_count(const struct topic_table *table)
{
	return table->subscription_count;
}

void topic_each(struct topic_table *table, void (*visit)(struct topic *topic, void *user),
	void *user)
{
	struct topic *topic, *next;

	HASH_ITER(hh, table->topics, topic, next)
	{
		if (topic->feeder == &table->relay)
			visit(topic, user);
	}
}

static struct provider_count *find_count(struct topic_table *table, const char *provider)
{
	struct provider_count *count;

	HASH_FIND_STR(table->providers, provider, count);
	return count;
}

static void count_one_more(struct topic_table *table, const char *provider)
{
	struct provider_count *count = find_count(table, provider);
	size_t length = strlen(provider);

	if (count == NULL) {
		count = xcalloc(1, sizeof(*count) + length + 1);
		memcpy(count->name, provider, length + 1);
		HASH_ADD(hh, table->providers, name[0], (unsigned)length, count);
	}
	count->watched++;
}

static void count_one_less(struct topic_table *table, const char *provider)
{
	struct provider_count *count = find_count(table, provider);

	if (--count->watched > 0)
		return;
	HASH_DEL(table->providers, count);
	free(count);
}

/* ---- fan-out ---- */

static void stop_fan_out(struct topic *topic)
{
	topic->table->fanning_out -= topic->fanning_out;
	topic->fanning_out = false;
	clock_timer_stop(&topic->fan_out);
}

static void all_served(struct topic *topic)
{
	const struct feeder *feeder = topic->feeder;

	if (topic->answered_at_ms == 0 || topic->awaits_content)
		return;
	if (feeder->events.served != NULL && topic->visible_count > 0)
		feeder->events.served(topic->answered_at_ms, feeder->user);
	topic->answered_at_ms = 0;
}

/* At those that are told next, all at once: see subscription_soon_fn. */
static void look_ahead(const struct topic *topic)
{
	uint32_t left = topic->subscription_count - topic->told_count;
	uint32_t end = topic->told_count + (left < LOOK_AHEAD ? left : LOOK_AHEAD);

	for (uint32_t place = topic->told_count; place < end; place++) {
		const struct subscription *subscription = topic->subscriptions[place];

		if (!subscription->paused && subscription->on_soon != NULL)
			subscription->on_soon(subscription);
	}
}

/* Tells the next slice of subscriptions. */
static void fan_out_slice(struct topic *topic)
{
	for (int told = 0; told < FAN_OUT_SLICE; told++) {
		struct subscription *subscription;

		if (topic->told_count == topic->subscription_count) {
			stop_fan_out(topic);
			all_served(topic);
			return;
		}
		if (told % LOOK_AHEAD == 0)
			look_ahead(topic);
		/* Counted first: the callback may drop any subscription, this one too.
		 */
		subscription = topic->subscriptions[topic->told_count++];
		if (!subscription->paused)
			subscription->on_owed(subscription);
	}
	clock_timer_start_in(&topic->fan_out, 0);
}

static void on_fan_out(struct clock_timer *timer)
{
	fan_out_slice(container_of(timer, struct topic, fan_out));
}

/*
 * Everyone again from the first, in the loop's next round, so that what comes in one
 * round goes out once. Who was told of it already is owed nothing.
 */
static void fan_out(struct topic *topic)
{
	topic->table->fanning_out += !topic->fanning_out;
	topic->fanning_out = true;
	topic->told_count = 0;
	clock_timer_start_in(&topic->fan_out, 0);
}

/* ---- topics ---- */

static const struct feeder *feeder_of(
	const struct topic_table *table, const struct catalog_target *target)
{
	return target->aggregate != NULL ? &table->aggregates : &table->relay;
}

static struct topic *topic_new(struct topic_table *table, const char *address,
	const struct catalog_target *target)
{
	size_t length = strlen(address);
	struct topic *topic = xcalloc(1, sizeof(*topic) + length + 1);

	memcpy(topic->address, address, length + 1);
	topic->table = table;
	topic->feeder = feeder_of(table, target);
	assert(topic->feeder->events.wanted != NULL);
	if (target->aggregate == NULL && target->type == NULL)
		topic->raw_provider = xstrdup(target->provider->name);
	topic->interval = target->interval;
	topic->asking_ms = UINT32_MAX;
	topic->state_serial = 1;
	clock_timer_init(&topic->fan_out, table->clock, on_fan_out);
	relay_link_init(&topic->link);
	HASH_ADD(hh, table->topics, address[0], (unsigned)length, topic);
	return topic;
}

void topic_forget(struct topic *topic)
{
	struct topic_table *table = topic->table;

	assert(topic->subscription_count == 0);
	stop_fan_out(topic);
	relay_link_fini(&topic->link);
	if (topic->replaced)
		HASH_DEL(table->replaced, topic);
	else
		HASH_DEL(table->topics, topic);
	frame_release(topic->content);
	frame_release(topic->patch);
	frame_release(topic->state);
	frame_release(topic->no_content);
	free(topic->subscriptions);
	free(topic->raw_provider);
	free(topic->media_type);
	free(topic->text);
	free(topic->stored_error);
	free(topic->doubt_error);
	free(topic);
}

/* ---- subscriptions ---- */

static void set_capacity(struct topic *topic, uint32_t capacity)
{
	topic->subscriptions = xreallocarray(
		topic->subscriptions, capacity, sizeof(*topic->subscriptions));
	topic->subscription_capacity = capacity;
}

static void put(struct topic *topic, uint32_t place, struct subscription *subscription)
{
	topic->subscriptions[place] = subscription;
	subscription->place = place;
}

static void add(struct topic *topic, struct subscription *subscription)
{
	uint32_t capacity = topic->subscription_capacity;

	if (topic->subscription_count == capacity)
		set_capacity(topic, capacity > 0 ? capacity * 2 : SUBSCRIPTIONS_LEAST);
	put(topic, topic->subscription_count++, subscription);
}

/* The last takes its place. Those that were told stay in front. */
static void take_out(struct topic *topic, const struct subscription *subscription)
{
	uint32_t capacity = topic->subscription_capacity, place = subscription->place;

	if (topic->fanning_out && place < topic->told_count) {
		put(topic, place, topic->subscriptions[--topic->told_count]);
		place = topic->told_count;
	}
	put(topic, place, topic->subscriptions[--topic->subscription_count]);
	if (capacity > SUBSCRIPTIONS_LEAST && topic->subscription_count < capacity / 4)
		set_capacity(topic, capacity / 2);
}

static uint32_t granted_interval(const struct topic *topic, uint32_t asked_ms)
{
	if (asked_ms == 0)
		return topic->interval.default_ms;
	if (asked_ms < topic->interval.min_ms)
		return topic->interval.min_ms;
	if (asked_ms > topic->interval.max_ms)
		return topic->interval.max_ms;
	return asked_ms;
}

/* Subscriptions that the fleet should poll for. */
static uint32_t interested(const struct topic *topic)
{
	return topic->unknown ? 0 : topic->visible_count;
}

static void tell_interest(struct topic *topic)
{
	const struct feeder *feeder = topic->feeder;

	if (interested(topic) > 0)
		feeder->events.wanted(topic, feeder->user);
	else
		feeder->events.unwanted(topic, feeder->user);
}

static void tell_asked(struct subscription *subscription)
{
	struct topic *topic = subscription->topic;

	if (!subscription->paused && subscription->interval_ms != 0)
		topic->asking_ms = subscription->interval_ms;
	tell_interest(topic);
	topic->asking_ms = UINT32_MAX;
}

static bool is_full(struct topic_table *table, const struct catalog_target *target)
{
	const struct provider_count *count;

	if (target->type != NULL)
		return false;
	count = find_count(table, target->provider->name);
	return (count != NULL ? count->watched : 0) >=
		target->provider->limits.raw_addresses_max;
}

enum topic_outcome topic_subscribe(struct topic_table *table, const char *address,
	const struct catalog_target *target, uint32_t interval_ms,
	struct subscription *subscription, subscription_owed_fn on_owed)
{
	struct topic *topic = topic_find(table, address, strlen(address));

	assert(subscription->topic == NULL);
	if ((topic == NULL || topic->subscription_count == 0) && is_full(table, target))
		return TOPIC_PROVIDER_FULL;
	if (topic == NULL)
		topic = topic_new(table, address, target);
	if (topic->subscription_count == 0 && topic->raw_provider != NULL)
		count_one_more(table, topic->raw_provider);
	subscription->topic = topic;
	subscription->on_owed = on_owed;
	subscription->asked_ms = interval_ms;
	subscription->interval_ms = granted_interval(topic, interval_ms);
	add(topic, subscription);
	table->subscription_count++;
	if (!subscription->paused)
		topic->visible_count++;
	tell_asked(subscription);
	return TOPIC_OK;
}

void topic_unsubscribe(struct subscription *subscription)
{
	struct topic *topic = subscription->topic;

	if (topic == NULL)
		return;
	take_out(topic, subscription);
	subscription->topic = NULL;
	topic->table->subscription_count--;
	if (!subscription->paused)
		topic->visible_count--;
	if (topic->subscription_count == 0 && topic->raw_provider != NULL)
		count_one_less(topic->table, topic->raw_provider);
	tell_interest(topic);
}

void subscription_set_interval(struct subscription *subscription, uint32_t interval_ms)
{
	subscription->asked_ms = interval_ms;
	subscription->interval_ms = granted_interval(subscription->topic, interval_ms);
	tell_asked(subscription);
}

uint32_t subscription_told_ms(const struct subscription *subscription)
{
	const struct topic *topic = subscription->topic;
	uint32_t granted_ms = subscription->interval_ms;
	uint32_t fleet_ms = topic_interval_ms(topic);

	if (fleet_ms == 0 || granted_ms == 0)
		return fleet_ms + granted_ms;
	return fleet_ms < granted_ms ? fleet_ms : granted_ms;
}

void subscription_pause(struct subscription *subscription, bool paused)
{
	struct topic *topic = subscription->topic;

	if (subscription->paused == paused)
		return;
	subscription->paused = paused;
	if (topic == NULL)
		return;
	topic->visible_count += paused ? -1 : 1;
	tell_interest(topic);
}

void subscription_again(struct subscription *subscription)
{
	subscription->version_given = 0;
	subscription->state_given = 0;
}

void subscription_holds(struct subscription *subscription, uint64_t version)
{
	struct topic *topic = subscription->topic;

	subscription->version_given = version;
	if (version > topic->version)
		topic->read_first = true;
}

static bool content_is_here(const struct topic *topic)
{
	return topic->content != NULL && topic->content_version == topic->version;
}

static bool owes_version(
	const struct topic *topic, const struct subscription *subscription)
{
	return topic->version != 0 && subscription->version_given != topic->version &&
		!topic->unknown;
}

/*
 * The patch where the subscriber sits at its base, else the content; NULL where that is
 * not here, or where Redis has to be read first.
 */
static struct frame *pick_version(
	const struct topic *topic, const struct subscription *subscription)
{
	if (subscription->patches && topic->patch != NULL &&
		subscription->version_given == topic->patch_base)
		return topic->patch;
	if (subscription->version_given > topic->version || !content_is_here(topic))
		return NULL;
	return topic->content;
}

static bool owes_state(const struct topic *topic, const struct subscription *subscription)
{
	enum resource_state state = topic_state(topic);

	if (state == RESOURCE_UNKNOWN || subscription->state_given == topic->state_serial)
		return false;
	return state != RESOURCE_FRESH || subscription->state_given != 0;
}

static struct frame *owed_state(
	struct topic *topic, const struct subscription *subscription)
{
	struct frame **frame;
	bool lacks;

	if (!owes_state(topic, subscription))
		return NULL;
	lacks = subscription->version_given == 0 && owes_version(topic, subscription);
	frame = lacks ? &topic->no_content : &topic->state;
	if (*frame == NULL)
		*frame = protocol_state_frame(topic->address,
			lacks ? RESOURCE_ERROR : topic_state(topic), topic_error(topic));
	return *frame;
}

/* The content is not here and cannot be read for now: that is said instead. */
static bool awaits_redis(
	const struct topic *topic, const struct subscription *subscription)
{
	return topic->doubt != NULL && strcmp(topic->doubt, "redis_unavailable") == 0 &&
		pick_version(topic, subscription) == NULL;
}

struct frame *subscription_owed(struct subscription *subscription)
{
	struct topic *topic = subscription->topic;
	struct frame *frame;

	if (topic == NULL || subscription->paused)
		return NULL;
	if (!owes_version(topic, subscription))
		return owed_state(topic, subscription);
	frame = pick_version(topic, subscription);
	if (frame != NULL)
		return frame;
	topic->awaits_content = true;
	topic->feeder->events.needed(topic, topic->feeder->user);
	return awaits_redis(topic, subscription) ? owed_state(topic, subscription) : NULL;
}

bool subscription_is_next(const struct subscription *subscription)
{
	return subscription->topic != NULL && !subscription->paused &&
		subscription->topic->fanning_out;
}

static bool owes_state_first(
	const struct topic *topic, const struct subscription *subscription)
{
	return !owes_version(topic, subscription) || awaits_redis(topic, subscription);
}

uint64_t subscription_version_owed(const struct subscription *subscription)
{
	const struct topic *topic = subscription->topic;

	return owes_state_first(topic, subscription) ? subscription->version_given
						     : topic->version;
}

void subscription_given(struct subscription *subscription)
{
	struct topic *topic = subscription->topic;

	if (owes_state_first(topic, subscription)) {
		subscription->state_given = topic->state_serial;
		return;
	}
	/* Whoever was told of an error hears what holds for the content. */
	if (subscription->version_given == 0 && subscription->state_given != 0)
		subscription->state_given = topic->state_serial - 1;
	subscription->version_given = topic->version;
}

size_t topics_fanning_out(const struct topic_table *table)
{
	return table->fanning_out;
}

void topic_refresh(struct topic *topic)
{
	topic->feeder->events.refreshed(topic, topic->feeder->user);
}

/* ---- looking ---- */

const char *topic_address(const struct topic *topic)
{
	return topic->address;
}

enum resource_state topic_state(const struct topic *topic)
{
	bool has_content = topic->version != 0;

	if (topic->doubt != NULL)
		return has_content ? RESOURCE_STALE : RESOURCE_ERROR;
	return topic_stored_state(topic);
}

enum resource_state topic_stored_state(const struct topic *topic)
{
	/* Redis may have forgotten a content that we still hold. */
	if (topic->stored_state == RESOURCE_ERROR && topic->version != 0)
		return RESOURCE_STALE;
	return topic->stored_state;
}

struct bytes topic_error(const struct topic *topic)
{
	return topic->doubt != NULL ? bytes_of(topic->doubt_error)
				    : topic_stored_error(topic);
}

struct bytes topic_stored_error(const struct topic *topic)
{
	return bytes_of(topic->stored_error);
}

/* The @length bytes before the closing brace that such a frame ends with. */
static struct bytes frame_tail(const struct frame *frame, size_t length)
{
	return (struct bytes){
		frame_payload(frame) + frame_payload_length(frame) - 1 - length, length};
}

struct bytes topic_content(const struct topic *topic)
{
	if (!content_is_here(topic))
		return (struct bytes){NULL, 0};
	if (topic->media_type != NULL)
		return (struct bytes){topic->text, topic->content_length};
	return frame_tail(topic->content, topic->content_length);
}

struct bytes topic_patch(const struct topic *topic, uint64_t *base)
{
	*base = topic->patch_base;
	if (topic->patch == NULL)
		return (struct bytes){NULL, 0};
	return frame_tail(topic->patch, topic->patch_length);
}

struct bytes topic_media_type(const struct topic *topic)
{
	return bytes_of(topic->media_type);
}

uint64_t topic_version(const struct topic *topic)
{
	return topic->version;
}

uint64_t topic_revision(const struct topic *topic)
{
	return topic->revision;
}

/* A version is the µs of its commit, as long as Redis's clock runs true. */
struct topic_times topic_times(const struct topic *topic)
{
	const struct feeder *feeder = topic->feeder;

	if (feeder->events.times != NULL)
		return feeder->events.times(topic, feeder->user);
	return (struct topic_times){
		topic->checked_at_ms, (int64_t)(topic->version / 1000)};
}

int64_t topic_checked_at_ms(const struct topic *topic)
{
	return topic_times(topic).checked_at_ms;
}

uint32_t topic_interval_ms(const struct topic *topic)
{
	const struct feeder *feeder = topic->feeder;

	if (feeder->events.interval != NULL)
		return feeder->events.interval(topic, feeder->user);
	return topic->interval_ms;
}

/* ---- for the relay ---- */

/* UINT32_MAX where nobody is visible. */
static uint32_t fastest_granted_ms(const struct topic *topic)
{
	uint32_t fastest_ms = UINT32_MAX;

	for (uint32_t place = 0; place < topic->subscription_count; place++) {
		const struct subscription *subscription = topic->subscriptions[place];

		if (!subscription->paused && subscription->interval_ms != 0 &&
			subscription->interval_ms < fastest_ms)
			fastest_ms = subscription->interval_ms;
	}
	return fastest_ms;
}

struct topic_interest topic_interest(const struct topic *topic)
{
	struct topic_interest interest = {interested(topic), fastest_granted_ms(topic)};

	if (interest.interval_ms == topic->interval.default_ms ||
		interest.interval_ms == UINT32_MAX)
		interest.interval_ms = 0;
	return interest;
}

bool topic_wants_faster(const struct topic *topic, uint32_t registered_ms)
{
	if (registered_ms == 0)
		registered_ms = topic->interval.default_ms;
	return topic->asking_ms != UINT32_MAX &&
		(topic->asking_ms < registered_ms || registered_ms == 0);
}

uint32_t topic_pace_ms(const struct topic *topic)
{
	uint32_t fastest_ms = fastest_granted_ms(topic);

	return fastest_ms < topic->interval_ms ? fastest_ms : topic->interval_ms;
}

uint32_t topic_subscribers(const struct topic *topic)
{
	return topic->subscription_count;
}

struct relay_link *topic_relay_link(struct topic *topic)
{
	return &topic->link;
}

struct topic *topic_of_relay_link(struct relay_link *link)
{
	return container_of(link, struct topic, link);
}

/* What is told of the state has changed: everyone is owed it once more. */
static void state_changed(struct topic *topic)
{
	topic->state_serial++;
	frame_release(topic->state);
	frame_release(topic->no_content);
	topic->state = NULL;
	topic->no_content = NULL;
}

static int take_content(struct topic *topic, const struct change *change)
{
	struct frame *frame = protocol_content_frame(
		topic->address, change->version, change->content, change->media_type);
	char *text = NULL;

	if (frame == NULL)
		return -ENOMEM;
	if (change->media_type.length > 0) {
		text = malloc(change->content.length + 1);
		if (text == NULL) {
			frame_release(frame);
			return -ENOMEM;
		}
		memcpy(text, change->content.start, change->content.length);
	}
	frame_release(topic->content);
	free(topic->text);
	free(topic->media_type);
	topic->content = frame;
	topic->text = text;
	topic->content_length = change->content.length;
	topic->media_type = text != NULL
		? xstrndup(change->media_type.start, change->media_type.length)
		: NULL;
	topic->content_version = change->version;
	topic->awaits_content = false;
	return 0;
}

/* Nobody sits at its base any more once something newer is known. */
static int take_patch(struct topic *topic, const struct change *change)
{
	struct frame *frame = NULL;

	if (change->patch.length > 0 && change->previous_version == topic->version) {
		frame = protocol_patch_frame(topic->address, change->version,
			change->previous_version, change->patch);
		if (frame == NULL)
			return -ENOMEM;
	}
	frame_release(topic->patch);
	topic->patch = frame;
	topic->patch_base = change->previous_version;
	topic->patch_length = change->patch.length;
	return 0;
}

static bool fits(const struct topic *topic, const struct change *change)
{
	if (change->content.start != NULL || change->version <= topic->version)
		return true;
	return change->patch.length > 0 && change->previous_version == topic->version;
}

/* The version of @change is not the one held: its patch, its content, or both. */
static int take_version(struct topic *topic, const struct change *change)
{
	int r = take_patch(topic, change);

	if (r == 0 && change->content.start != NULL)
		r = take_content(topic, change);
	if (r == 0)
		topic->version = change->version;
	return r;
}

static bool same_text(const char *text, struct bytes bytes)
{
	size_t length = text != NULL ? strlen(text) : 0;

	return length == bytes.length &&
		(length == 0 || memcmp(text, bytes.start, length) == 0);
}

static void take_state(struct topic *topic, const struct change *change)
{
	if (topic->stored_state == change->state &&
		same_text(topic->stored_error, change->error))
		return;
	topic->stored_state = change->state;
	free(topic->stored_error);
	topic->stored_error = change->error.length == 0
		? NULL
		: strndup(change->error.start, change->error.length);
	state_changed(topic);
}

/* The content of the version held came later than the version itself. */
static int fill_in(struct topic *topic, const struct change *change)
{
	int r = 0;

	topic_checked(topic, change->checked_at_ms);
	if (change->content.start == NULL || change->version != topic->version ||
		content_is_here(topic))
		return 0;
	r = take_content(topic, change);
	fan_out(topic);
	return r;
}

int topic_apply(struct topic *topic, const struct change *change)
{
	int r = 0;

	if (change->revision <= topic->revision)
		return fill_in(topic, change);
	if (change->version < topic->version && change->state == RESOURCE_FRESH)
		return TOPIC_AHEAD;
	if (!fits(topic, change))
		return -ESTALE;
	if (change->version > topic->version)
		r = take_version(topic, change);
	else if (change->content.start != NULL)
		r = fill_in(topic, change);
	if (r < 0)
		return r;
	topic->revision = change->revision;
	topic->interval_ms = change->interval_ms;
	topic->answered_at_ms = change->answered_at_ms;
	take_state(topic, change);
	topic_checked(topic, change->checked_at_ms);
	fan_out(topic);
	return 0;
}

static void correct_those_ahead(struct topic *topic)
{
	topic->read_first = false;
	for (uint32_t place = 0; place < topic->subscription_count; place++) {
		struct subscription *subscription = topic->subscriptions[place];

		if (subscription->version_given > topic->version)
			subscription->version_given = 0;
	}
}

void topic_was_read(struct topic *topic)
{
	if (topic->read_first)
		correct_those_ahead(topic);
	fan_out(topic);
}

void topic_checked(struct topic *topic, int64_t checked_at_ms)
{
	if (checked_at_ms > topic->checked_at_ms)
		topic->checked_at_ms = checked_at_ms;
}

/* NULL when out of memory: the state then goes out without its reason. */
static char *doubt_object(const char *code, const char *message, int64_t since_ms)
{
	struct text text = {0};
	char since[INSTANT_SIZE];

	text_add_words(&text, "{\"code\":\"");
	text_add_words(&text, code);
	text_add_words(&text, "\",\"message\":");
	text_add_quoted(&text, message, strlen(message));
	text_add_words(&text, ",\"since\":\"");
	text_add_words(&text, instant_write(since, since_ms));
	text_add(&text, "\"}", sizeof("\"}"));
	if (!text.failed)
		return text.start;
	text_fini(&text);
	return NULL;
}

void topic_doubt(
	struct topic *topic, const char *code, const char *message, int64_t since_ms)
{
	if (topic->unknown || topic->doubt == code ||
		(topic->doubt != NULL && code != NULL && strcmp(topic->doubt, code) == 0))
		return;
	topic->doubt = code;
	free(topic->doubt_error);
	topic->doubt_error = code != NULL ? doubt_object(code, message, since_ms) : NULL;
	state_changed(topic);
	fan_out(topic);
}

const char *topic_doubt_code(const struct topic *topic)
{
	return topic->doubt;
}

/* ---- another catalog ---- */

static void grant_again(struct topic *topic)
{
	for (uint32_t place = 0; place < topic->subscription_count; place++) {
		struct subscription *subscription = topic->subscriptions[place];

		subscription->interval_ms =
			granted_interval(topic, subscription->asked_ms);
	}
}

static bool same_interval(
	const struct catalog_interval *a, const struct catalog_interval *b)
{
	return a->default_ms == b->default_ms && a->min_ms == b->min_ms &&
		a->max_ms == b->max_ms;
}

/* Another service may be the default now. */
static void set_raw_provider(struct topic *topic, const char *name)
{
	if (strcmp(topic->raw_provider, name) == 0)
		return;
	if (topic->subscription_count > 0) {
		count_one_less(topic->table, topic->raw_provider);
		count_one_more(topic->table, name);
	}
	free(topic->raw_provider);
	topic->raw_provider = xstrdup(name);
}

/* To a topic without any. They hold nothing of what the address means now. */
static void move_subscriptions(struct topic *from, struct topic *to)
{
	to->subscriptions = from->subscriptions;
	to->subscription_count = from->subscription_count;
	to->subscription_capacity = from->subscription_capacity;
	to->visible_count = from->visible_count;
	from->subscriptions = NULL;
	from->subscription_count = 0;
	from->subscription_capacity = 0;
	from->visible_count = 0;
	for (uint32_t place = 0; place < to->subscription_count; place++) {
		to->subscriptions[place]->topic = to;
		subscription_again(to->subscriptions[place]);
	}
	grant_again(to);
}

/* A service was given regions or has lost them: somebody else feeds the address now. */
static void replace(struct topic *topic, const struct catalog_target *target)
{
	struct topic_table *table = topic->table;
	size_t length = strlen(topic->address);
	struct topic *heir;

	stop_fan_out(topic);
	HASH_DEL(table->topics, topic);
	HASH_ADD(hh, table->replaced, address[0], (unsigned)length, topic);
	topic->replaced = true;
	if (topic->subscription_count == 0)
		return;
	heir = topic_new(table, topic->address, target);
	move_subscriptions(topic, heir);
	tell_interest(topic);
	tell_interest(heir);
}

void topic_retarget(struct topic *topic, const struct catalog_target *target)
{
	bool adapts = !same_interval(&topic->interval, &target->interval);

	if (topic->feeder != feeder_of(topic->table, target)) {
		replace(topic, target);
		return;
	}
	if (topic->raw_provider != NULL)
		set_raw_provider(topic, target->provider->name);
	topic->interval = target->interval;
	if (adapts)
		grant_again(topic);
	if (adapts || topic->unknown) {
		topic->unknown = false;
		tell_interest(topic);
	}
}

void topic_set_unknown(
	struct topic *topic, const char *code, const char *message, int64_t since_ms)
{
	if (topic->unknown || topic->subscription_count == 0)
		return;
	topic_doubt(topic, code, message, since_ms);
	topic->unknown = true;
	tell_interest(topic);
}

bool topic_is_known(const struct topic *topic)
{
	return !topic->unknown;
}
