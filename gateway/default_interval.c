#include "gateway/default_interval.h"

#include "common/catalog_build.h"
#include "common/change.h"
#include "common/keys.h"
#include "common/list.h"
#include "common/memory.h"

#include <stdlib.h>

#define READ_MS 2000
#define UNKNOWN_READ_MS 250

struct default_interval {
	struct redis *redis;
	default_interval_changed_fn on_changed;
	void *user;
	struct clock_timer due;
	struct catalog_interval known;
};

/* The element as a duration that a catalog may have, or 0. */
static uint32_t element_ms(const redisReply *reply, size_t index)
{
	const redisReply *element = reply->element[index];
	uint64_t ms = 0;

	if (element->type != REDIS_REPLY_STRING ||
		!change_number(element->str, (size_t)element->len, &ms) ||
		ms < CATALOG_INTERVAL_LEAST_MS || ms > CATALOG_INTERVAL_MOST_MS)
		return 0;
	return (uint32_t)ms;
}

static void on_read(int error, const redisReply *reply, void *user)
{
	struct default_interval *interval = user;
	struct catalog_interval read, *known = &interval->known;

	if (error != 0 || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
		return;
	read = (struct catalog_interval){
		element_ms(reply, 0), element_ms(reply, 1), element_ms(reply, 2)};
	if (read.min_ms == 0 || read.default_ms < read.min_ms ||
		read.max_ms < read.default_ms)
		return;
	if (read.default_ms == known->default_ms && read.min_ms == known->min_ms &&
		read.max_ms == known->max_ms)
		return;
	*known = read;
	interval->on_changed(known, interval->user);
}

static void on_due(struct clock_timer *timer)
{
	struct default_interval *interval =
		container_of(timer, struct default_interval, due);
	struct redis_args args = {0};
	struct key key;

	clock_timer_start_in(
		timer, interval->known.default_ms != 0 ? READ_MS : UNKNOWN_READ_MS);
	if (!redis_is_up(interval->redis))
		return;
	key_write(&key, redis_prefix(interval->redis), KEYS_PROVIDER, "default");
	redis_args_text(&args, "HMGET");
	redis_args_add(&args, key.text, key.length);
	redis_args_text(&args, "interval_ms");
	redis_args_text(&args, "interval_min_ms");
	redis_args_text(&args, "interval_max_ms");
	redis_command(interval->redis, &args, on_read, interval);
}

struct default_interval *default_interval_new(struct clock *clock, struct redis *redis,
	default_interval_changed_fn on_changed, void *user)
{
	struct default_interval *interval = xcalloc(1, sizeof(*interval));

	interval->redis = redis;
	interval->on_changed = on_changed;
	interval->user = user;
	interval->known = catalog_interval_around(CATALOG_INTERVAL_DEFAULT_MS);
	interval->known.default_ms = 0;
	clock_timer_init(&interval->due, clock, on_due);
	return interval;
}

void default_interval_free(struct default_interval *interval)
{
	if (interval == NULL)
		return;
	clock_timer_stop(&interval->due);
	free(interval);
}

void default_interval_on_entered(struct default_interval *interval)
{
	clock_timer_start_in(&interval->due, 0);
}

const struct catalog_interval *default_interval_known(
	const struct default_interval *interval)
{
	return &interval->known;
}
