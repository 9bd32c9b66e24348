#include "gateway/aggregate.h"

#include "common/address.h"
#include "common/memory.h"
#include "gateway/aggregate_text.h"
#include "gateway/relay.h"
#include "gateway/relay_link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define RETRY_MS 1000         /* after running out of memory */
#define STEP_MAX (1 << 20)    /* of a version from one set of regions to the next */
#define READ_AGAIN UINT64_MAX /* a version that nobody has: see topic_was_read() */

static const char no_answer[] =
	"{\"code\":\"no_content\",\"message\":\"no answer has come yet\"}";

/* One region, and what is shown of it. */
struct region {
	struct subscription subscription;
	struct aggregate *aggregate;
	char *name;
	char *address;
	uint64_t revision; /* 0: nothing has come yet */
	uint64_t version;  /* 0: no content */
	enum resource_state state;
	char *error; /* JSON, or NULL */
};

struct aggregate {
	UT_hash_handle hh;
	struct aggregates *aggregates;
	struct topic *topic;
	struct clock_timer update;   /* so that what comes in one round goes out once */
	struct clock_timer patience; /* with those that have not answered yet */
	uint32_t interval_ms;        /* asked of the regions; 0: the default */
	bool gathered;               /* the first content may go out */
	bool whole;  /* no patch leads to what is shown: the content must */
	bool needed; /* somebody is owed a content that is not here */
	bool behind; /* somebody holds something newer */
	bool asked;  /* the regions are being read for that */
	bool remade; /* of other regions, and not shown since */
	uint64_t retired; /* stands for regions that are no more: versions only grow */
	size_t region_count;
	struct region *regions; /* in configuration order */
};

struct aggregates {
	struct clock *clock;
	struct topic_table *topics;
	const struct catalog *catalog;
	struct aggregate *table; /* by topic */
};

#define each_region(region, aggregate)                                                   \
	for (struct region *region = (aggregate)->regions;                               \
		region < (aggregate)->regions + (aggregate)->region_count; region++)

static struct aggregate *find(
	const struct aggregates *aggregates, const struct topic *topic)
{
	struct aggregate *aggregate;

	HASH_FIND_PTR(aggregates->table, &topic, aggregate);
	return aggregate;
}

/* ---- what is shown ---- */

static struct bytes error_of(const struct region *region)
{
	return (struct bytes){
		region->error, region->error != NULL ? strlen(region->error) : 0};
}

static struct aggregate_part part_shown(const struct region *region)
{
	const struct topic *topic = region->subscription.topic;

	return (struct aggregate_part){.region = region->name,
		.version = region->version,
		.state = region->state,
		.error = error_of(region),
		.content = topic_content(topic),
		.is_text = topic_media_type(topic).length > 0};
}

/* Grows with every change of any region. 63 bits hold microseconds of 5000 regions. */
static uint64_t version_shown(const struct aggregate *aggregate)
{
	uint64_t version = aggregate->retired;

	each_region (region, aggregate)
		version += region->revision;
	return version;
}

static bool is_complete(const struct aggregate *aggregate)
{
	each_region (region, aggregate)
		if (region->version == 0 || region->state != RESOURCE_FRESH)
			return false;
	return true;
}

static bool content_is_here(const struct region *region)
{
	const struct topic *topic = region->subscription.topic;

	return topic_content(topic).start != NULL &&
		topic_version(topic) == region->version;
}

/* Never more than it is: a patch that is larger is not sent. */
static size_t length_shown(const struct aggregate *aggregate)
{
	size_t length = strlen("{\"complete\":true,\"regions\":{}}");

	each_region (region, aggregate) {
		length += AGGREGATE_TEXT_LEAST + strlen(region->name) +
			error_of(region).length;
		if (region->version == 0)
			continue;
		/* What was not in a message is larger than that. */
		length += content_is_here(region)
			? topic_content(region->subscription.topic).length
			: CHANGE_CONTENT_MAX;
	}
	return length;
}

/* ---- taking what came ---- */

/* The patch from what is shown of @region, or empty. */
static struct bytes patch_from_shown(const struct region *region)
{
	uint64_t base;
	struct bytes patch = topic_patch(region->subscription.topic, &base);

	return region->version != 0 && base == region->version ? patch
							       : (struct bytes){NULL, 0};
}

static bool has_news(const struct region *region)
{
	return topic_revision(region->subscription.topic) > region->revision;
}

static bool can_take(const struct region *region)
{
	const struct topic *topic = region->subscription.topic;

	return topic_version(topic) == region->version ||
		topic_content(topic).start != NULL || patch_from_shown(region).length > 0;
}

/* Has the content read: the answer comes by on_owed(). */
static void read_content(struct region *region)
{
	subscription_again(&region->subscription);
	subscription_owed(&region->subscription);
}

static void take(struct region *region)
{
	const struct topic *topic = region->subscription.topic;
	struct bytes error = topic_stored_error(topic);

	region->revision = topic_revision(topic);
	region->version = topic_version(topic);
	region->state = topic_stored_state(topic);
	free(region->error);
	region->error = error.length > 0 ? xstrndup(error.start, error.length) : NULL;
}

/* Takes the news of @region, and adds the steps to it unless they are useless. */
static void take_with_steps(struct region *region, struct text *steps)
{
	struct aggregate_part before = part_shown(region), after;
	struct bytes patch = patch_from_shown(region);
	char *error = region->error;

	/* take() is not to free what the steps still compare. */
	region->error = NULL;
	take(region);
	after = part_shown(region);
	if (!region->aggregate->whole)
		aggregate_steps_part(steps, &before, &after, patch);
	free(error);
}

static bool take_news(struct aggregate *aggregate, struct text *steps)
{
	bool was_complete = is_complete(aggregate);
	bool any = false;

	aggregate_steps_begin(steps);
	each_region (region, aggregate) {
		if (!has_news(region))
			continue;
		if (can_take(region)) {
			take_with_steps(region, steps);
			any = true;
		} else {
			read_content(region);
		}
	}
	if (is_complete(aggregate) != was_complete)
		aggregate_steps_complete(steps, !was_complete);
	aggregate_steps_end(steps);
	return any;
}

/* ---- showing it ---- */

/*
 * How far the version moves with another set of regions: as far on all gateways that came
 * the same way. One that was reloaded more often shows other versions from then on, and
 * none of them may mean here what it does not mean there.
 */
static uint64_t step_of(const struct aggregate *aggregate, uint64_t held)
{
	uint64_t hash = held;

	each_region (region, aggregate)
		hash = XXH3_64bits_withSeed(region->name, strlen(region->name), hash);
	return 1 + hash % STEP_MAX;
}

/* What stands for regions that are no more is given up as soon as versions grow without:
 * then they are those of a gateway that never knew them. */
static void settle_version(struct aggregate *aggregate)
{
	uint64_t held = topic_version(aggregate->topic);
	uint64_t sum = version_shown(aggregate) - aggregate->retired;

	if (sum > held)
		aggregate->retired = 0;
	else if (aggregate->remade)
		aggregate->retired = held + step_of(aggregate, held) - sum;
	aggregate->remade = false;
}

static int apply(struct aggregate *aggregate, struct bytes content, struct bytes patch)
{
	struct change change = {.previous_version = topic_version(aggregate->topic),
		.state = RESOURCE_FRESH,
		.content = content,
		.patch = patch};

	settle_version(aggregate);
	change.version = version_shown(aggregate);
	change.revision = change.version;
	return topic_apply(aggregate->topic, &change);
}

/* False where something has to be read first, and will be. */
static bool contents_are_here(struct aggregate *aggregate)
{
	bool here = true;

	each_region (region, aggregate) {
		if (region->version == 0 || content_is_here(region))
			continue;
		read_content(region);
		here = false;
	}
	return here;
}

static void show_whole(struct aggregate *aggregate)
{
	struct text text = {0};

	if (version_shown(aggregate) == 0 || !contents_are_here(aggregate))
		return;
	aggregate_text_begin(&text, is_complete(aggregate));
	each_region (region, aggregate) {
		struct aggregate_part part = part_shown(region);

		aggregate_text_part(&text, &part);
	}
	aggregate_text_end(&text);
	if (!text.failed &&
		apply(aggregate, (struct bytes){text.start, text.length},
			(struct bytes){NULL, 0}) == 0)
		aggregate->whole = false;
	else
		clock_timer_start_in(&aggregate->update, RETRY_MS);
	text_fini(&text);
}

static void show_news(struct aggregate *aggregate)
{
	struct text steps = {0};
	bool any = take_news(aggregate, &steps);

	if (any && !aggregate->whole &&
		(steps.failed || steps.length > length_shown(aggregate) ||
			apply(aggregate, (struct bytes){NULL, 0},
				(struct bytes){steps.start, steps.length}) != 0))
		aggregate->whole = true;
	text_fini(&steps);
	if (aggregate->whole)
		show_whole(aggregate);
}

/* ---- what somebody is owed and is not here ---- */

static bool being_read(const struct aggregate *aggregate)
{
	each_region (region, aggregate)
		if (region->subscription.version_given == READ_AGAIN)
			return true;
	return false;
}

/* Redis is read before anything is said to who is ahead. */
static void catch_up(struct aggregate *aggregate)
{
	each_region (region, aggregate) {
		if (aggregate->asked || region->version == 0)
			continue;
		subscription_holds(&region->subscription, READ_AGAIN);
		subscription_owed(&region->subscription);
	}
	aggregate->asked = being_read(aggregate);
	aggregate->behind = aggregate->asked;
	if (!aggregate->asked)
		topic_was_read(aggregate->topic);
}

static void answer_need(struct aggregate *aggregate)
{
	const struct topic *topic = aggregate->topic;

	if (aggregate->needed && topic_content(topic).start == NULL)
		show_whole(aggregate);
	aggregate->needed = aggregate->needed && topic_content(topic).start == NULL;
	if (aggregate->behind)
		catch_up(aggregate);
}

/* ---- whether it can be vouched for ---- */

static void vouch(struct aggregate *aggregate)
{
	struct relay_link *link = topic_relay_link(aggregate->topic);
	bool empty = version_shown(aggregate) == 0;
	const char *code = NULL;
	bool read = true;

	each_region (region, aggregate) {
		struct topic *topic = region->subscription.topic;

		read = read && relay_has_read(topic);
		/* Of the others it says already that nothing has come. */
		if (code == NULL && (empty || region->revision != 0))
			code = topic_doubt_code(topic);
	}
	topic_doubt(aggregate->topic, code, "not every region can be vouched for",
		clock_wall_ms(aggregate->aggregates->clock));
	if (read && !link->read) {
		link->read = true;
		topic_was_read(aggregate->topic);
	}
}

/* ---- the first content ---- */

static bool has_answered(const struct region *region)
{
	struct topic *topic = region->subscription.topic;

	return topic_doubt_code(topic) != NULL ||
		(relay_has_read(topic) && topic_revision(topic) != 0);
}

/* Whether there was time enough for everybody to answer. */
static bool gather(struct aggregate *aggregate)
{
	size_t answered = 0;

	if (aggregate->gathered)
		return true;
	each_region (region, aggregate)
		answered += has_answered(region);
	if (answered > 0 && !clock_timer_running(&aggregate->patience))
		clock_timer_start_in(&aggregate->patience, AGGREGATE_PATIENCE_MS);
	if (answered < aggregate->region_count)
		return false;
	clock_timer_stop(&aggregate->patience);
	aggregate->gathered = true;
	return true;
}

/* ---- its life ---- */

static void on_owed(struct subscription *subscription)
{
	struct aggregate *aggregate =
		container_of(subscription, struct region, subscription)->aggregate;

	clock_timer_start_in(&aggregate->update, 0);
}

static void subscribe(struct region *region)
{
	struct aggregates *aggregates = region->aggregate->aggregates;
	enum catalog_outcome outcome;
	struct catalog_target target;
	struct address address;

	address_parse(&address, region->address, strlen(region->address));
	outcome = catalog_resolve(aggregates->catalog, &address, &target);
	assert(outcome == CATALOG_OK);
	(void)outcome;
	/* Never refused: no region's resource is a raw address. */
	topic_subscribe(aggregates->topics, region->address, &target,
		region->aggregate->interval_ms, &region->subscription, on_owed);
}

/* The regions are wanted as the aggregate is. */
static void pass_on_interest(struct aggregate *aggregate)
{
	struct topic_interest interest = topic_interest(aggregate->topic);
	bool paused = interest.subscribers == 0;
	bool paced_anew = interest.interval_ms != aggregate->interval_ms;

	aggregate->interval_ms = interest.interval_ms;
	if (paused)
		topic_relay_link(aggregate->topic)->read = false;
	each_region (region, aggregate) {
		subscription_pause(&region->subscription, paused);
		if (region->subscription.topic == NULL)
			subscribe(region);
		else if (paced_anew && !paused)
			subscription_set_interval(
				&region->subscription, interest.interval_ms);
	}
}

static void regions_free(struct aggregate *aggregate)
{
	each_region (region, aggregate) {
		topic_unsubscribe(&region->subscription);
		free(region->name);
		free(region->address);
		free(region->error);
	}
	free(aggregate->regions);
}

static void aggregate_free(struct aggregate *aggregate)
{
	regions_free(aggregate);
	clock_timer_stop(&aggregate->update);
	clock_timer_stop(&aggregate->patience);
	HASH_DEL(aggregate->aggregates->table, aggregate);
	topic_forget(aggregate->topic);
	free(aggregate);
}

static void on_update(struct clock_timer *timer)
{
	struct aggregate *aggregate = container_of(timer, struct aggregate, update);

	if (topic_subscribers(aggregate->topic) == 0) {
		aggregate_free(aggregate);
		return;
	}
	pass_on_interest(aggregate);
	if (topic_interest(aggregate->topic).subscribers == 0 || !gather(aggregate))
		return;
	show_news(aggregate);
	answer_need(aggregate);
	vouch(aggregate);
}

static void on_patience(struct clock_timer *timer)
{
	struct aggregate *aggregate = container_of(timer, struct aggregate, patience);

	aggregate->gathered = true;
	clock_timer_start_in(&aggregate->update, 0);
}

static void region_init(struct region *region, struct aggregate *aggregate,
	const struct catalog_provider *provider, const char *type)
{
	size_t size = strlen(provider->name) + strlen(type) + 2;

	region->aggregate = aggregate;
	region->name = xstrdup(provider->region);
	region->address = xcalloc(1, size);
	snprintf(region->address, size, "%s/%s", provider->name, type);
	region->state = RESOURCE_ERROR;
	region->error = xstrdup(no_answer);
}

static size_t count_regions(
	const struct catalog *catalog, const struct catalog_service *service)
{
	const struct catalog_provider *provider = NULL;
	size_t count = 0;

	while ((provider = catalog_next_region(catalog, service, provider)) != NULL)
		count++;
	return count;
}

/* False where the catalog has no such aggregate. */
static bool find_regions(const struct aggregates *aggregates, const struct topic *topic,
	struct catalog_target *target)
{
	const char *text = topic_address(topic);
	struct address address;

	return address_parse(&address, text, strlen(text)) == ADDRESS_OK &&
	       catalog_resolve(aggregates->catalog, &address, target) ==
		       CATALOG_AGGREGATE;
}

static void make_regions(
	struct aggregate *aggregate, const struct catalog_target *target)
{
	const struct catalog *catalog = aggregate->aggregates->catalog;
	const struct catalog_provider *provider = NULL;

	aggregate->regions = xcalloc(
		count_regions(catalog, target->aggregate), sizeof(*aggregate->regions));
	aggregate->region_count = 0;
	while ((provider = catalog_next_region(catalog, target->aggregate, provider)) !=
		NULL)
		region_init(&aggregate->regions[aggregate->region_count++], aggregate,
			provider, target->type->name);
}

static struct aggregate *aggregate_new(struct aggregates *aggregates, struct topic *topic)
{
	struct aggregate *aggregate = xcalloc(1, sizeof(*aggregate));
	struct catalog_target target;
	bool found = find_regions(aggregates, topic, &target);

	assert(found);
	(void)found;
	aggregate->aggregates = aggregates;
	aggregate->topic = topic;
	aggregate->whole = true;
	make_regions(aggregate, &target);
	clock_timer_init(&aggregate->update, aggregates->clock, on_update);
	clock_timer_init(&aggregate->patience, aggregates->clock, on_patience);
	HASH_ADD_PTR(aggregates->table, topic, aggregate);
	return aggregate;
}

/* ---- another catalog ---- */

static bool same_regions(
	const struct aggregate *aggregate, const struct catalog_target *target)
{
	const struct catalog *catalog = aggregate->aggregates->catalog;
	const struct catalog_provider *provider = NULL;

	each_region (region, aggregate) {
		provider = catalog_next_region(catalog, target->aggregate, provider);
		if (provider == NULL || strcmp(provider->region, region->name) != 0)
			return false;
	}
	return catalog_next_region(catalog, target->aggregate, provider) == NULL;
}

static void look_up_again(struct aggregate *aggregate)
{
	struct aggregates *aggregates = aggregate->aggregates;
	struct catalog_target target;

	relay_look_up(aggregate->topic, aggregates->catalog,
		clock_wall_ms(aggregates->clock));
	if (find_regions(aggregates, aggregate->topic, &target) &&
		!same_regions(aggregate, &target)) {
		regions_free(aggregate);
		make_regions(aggregate, &target);
		aggregate->whole = true;
		aggregate->remade = true;
		aggregate->gathered = false;
	}
	clock_timer_start_in(&aggregate->update, 0);
}

void aggregates_reload(struct aggregates *aggregates, const struct catalog *catalog)
{
	struct aggregate *aggregate, *next;

	aggregates->catalog = catalog;
	HASH_ITER (hh, aggregates->table, aggregate, next)
		look_up_again(aggregate);
}

/* ---- events of its topic ---- */

/* Not at once: whoever calls may be in the middle of a topic's subscriptions. */
static void on_interest(struct topic *topic, void *user)
{
	struct aggregate *aggregate = find(user, topic);

	if (aggregate == NULL)
		aggregate = aggregate_new(user, topic);
	clock_timer_start_in(&aggregate->update, 0);
}

static void on_needed(struct topic *topic, void *user)
{
	struct aggregate *aggregate = find(user, topic);

	bool missing = topic_content(topic).start == NULL;
	bool *need = missing ? &aggregate->needed : &aggregate->behind;

	if (!*need)
		clock_timer_start_in(&aggregate->update, 0);
	*need = true;
}

static void on_refreshed(struct topic *topic, void *user)
{
	struct aggregate *aggregate = find(user, topic);

	each_region (region, aggregate)
		if (region->subscription.topic != NULL)
			topic_refresh(region->subscription.topic);
}

/* Confirmed as a whole when the longest unconfirmed of the living was. */
static struct topic_times on_times(const struct topic *topic, void *user)
{
	const struct aggregate *aggregate = find(user, topic);
	struct topic_times times = {0};

	each_region (region, aggregate) {
		int64_t changed_at_ms = (int64_t)(region->revision / 1000);
		int64_t checked_at_ms;

		if (region->revision == 0)
			continue;
		if (changed_at_ms > times.changed_at_ms)
			times.changed_at_ms = changed_at_ms;
		if (region->state != RESOURCE_FRESH)
			continue;
		checked_at_ms = topic_checked_at_ms(region->subscription.topic);
		if (times.checked_at_ms == 0 || checked_at_ms < times.checked_at_ms)
			times.checked_at_ms = checked_at_ms;
	}
	return times;
}

/* As often as the slowest of them. */
static uint32_t on_interval(const struct topic *topic, void *user)
{
	const struct aggregate *aggregate = find(user, topic);
	uint32_t slowest_ms = 0;

	if (aggregate == NULL)
		return 0;
	each_region (region, aggregate) {
		uint32_t region_ms = region->subscription.topic != NULL
			? topic_interval_ms(region->subscription.topic)
			: 0;

		if (region_ms > slowest_ms)
			slowest_ms = region_ms;
	}
	return slowest_ms;
}

/* ---- all of them ---- */

struct aggregates *aggregates_new(
	struct clock *clock, struct topic_table *topics, const struct catalog *catalog)
{
	struct aggregates *aggregates = xcalloc(1, sizeof(*aggregates));
	const struct topic_events events = {.wanted = on_interest,
		.unwanted = on_interest,
		.needed = on_needed,
		.refreshed = on_refreshed,
		.times = on_times,
		.interval = on_interval};

	aggregates->clock = clock;
	aggregates->topics = topics;
	aggregates->catalog = catalog;
	topic_table_aggregates(topics, &events, aggregates);
	return aggregates;
}

void aggregates_free(struct aggregates *aggregates)
{
	struct aggregate *aggregate, *next;

	if (aggregates == NULL)
		return;
	HASH_ITER(hh, aggregates->table, aggregate, next)
	aggregate_free(aggregate);
	free(aggregates);
}

size_t aggregates_subscription_count(const struct aggregates *aggregates)
{
	struct aggregate *aggregate, *next;
	size_t count = 0;

	HASH_ITER(hh, aggregates->table, aggregate, next)
	count += aggregate->region_count;
	return count;
}
