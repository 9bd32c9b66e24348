#include "common/fleet.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/address.h"
#include "common/fleet_picture.h"
#include "common/list.h"
#include "common/memory.h"
#include "common/reply.h"

#define SCAN_COUNT 1000 /* per call: half a ms of Redis */
#define LOOK_COUNT 100  /* per call: 1 to 2 ms of Redis */
#define REST_MOST_MS 5  /* a link that is slow is no reason to be slower */

/* Which addresses were looked at: hashes, open addressing, never more than half full. */
struct seen {
	uint64_t *hashes; /* 0: free */
	size_t room;      /* a power of two */
	size_t count;
};

struct fleet_reading {
	struct redis *redis;
	struct clock *clock;
	struct fleet_query query;
	char *addresses_from;
	char *pattern;
	fleet_read_fn on_read;
	void *user;
	struct fleet fleet;

	size_t source; /* the index being walked: owned…, unclaimed, interests… */
	char *cursor;  /* "0" before a source is begun, and at its end */
	struct bytes *found; /* not yet looked at; copies */
	size_t found_count;
	size_t found_room;
	size_t looking; /* of them, asked about in the call under way */
	struct seen seen;

	struct clock_timer rest;
	int64_t sent_at_ms;
	size_t in_flight;
	bool ended; /* cancelled, or told: goes when nothing is in flight */
};

static void go_on(struct fleet_reading *reading);

/* ---- what was seen ---- */

static size_t place_of(const struct seen *seen, uint64_t hash)
{
	size_t place = hash & (seen->room - 1);

	while (seen->hashes[place] && seen->hashes[place] != hash)
		place = (place + 1) & (seen->room - 1);
	return place;
}

static void grow(struct seen *seen)
{
	struct seen larger = {.room = seen->room ? 2 * seen->room : 1024};

	larger.hashes = xcalloc(larger.room, sizeof(*larger.hashes));
	for (size_t i = 0; i < seen->room; i++) {
		if (seen->hashes[i])
			larger.hashes[place_of(&larger, seen->hashes[i])] =
				seen->hashes[i];
	}
	larger.count = seen->count;
	free(seen->hashes);
	*seen = larger;
}

/* Whether it is new. That two of a million addresses share a hash does not happen. */
static bool see(struct seen *seen, struct bytes address)
{
	uint64_t hash = XXH3_64bits(address.start, address.length) | 1;
	size_t place;

	if (2 * seen->count >= seen->room)
		grow(seen);
	place = place_of(seen, hash);
	if (seen->hashes[place])
		return false;
	seen->hashes[place] = hash;
	seen->count++;
	return true;
}

/* ---- life ---- */

static void drop_found(struct fleet_reading *reading, size_t count)
{
	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++)
		free((char *)(uintptr_t)reading->found[i].start);
	reading->found_count -= count;
	memmove(reading->found, reading->found + count,
		reading->found_count * sizeof(*reading->found));
}

static void free_if_over(struct fleet_reading *reading)
{
	if (!reading->ended || reading->in_flight > 0)
		return;
	clock_timer_stop(&reading->rest);
	drop_found(reading, reading->found_count);
	free(reading->found);
	free(reading->seen.hashes);
	free(reading->cursor);
	free(reading->pattern);
	free(reading->addresses_from);
	fleet_fini(&reading->fleet);
	free(reading);
}

static void tell(struct fleet_reading *reading, int error)
{
	if (reading->ended)
		return;
	reading->ended = true;
	reading->on_read(error, error == 0 ? &reading->fleet : NULL, reading->user);
}

/* Begins what every answer begins with; false where nobody waits for it any more. */
static bool answered(struct fleet_reading *reading, int error)
{
	reading->in_flight--;
	if (error != 0)
		tell(reading, error);
	return !reading->ended;
}

static void ask(struct fleet_reading *reading, enum redis_script script,
	struct redis_args *args, redis_reply_fn on_reply)
{
	reading->in_flight++;
	reading->sent_at_ms = clock_now_ms(reading->clock);
	redis_script(reading->redis, script, args, REDIS_NORMAL, on_reply, reading);
}

/* ---- providers, the last step ---- */

static void on_providers(int error, const redisReply *reply, void *user)
{
	struct fleet_reading *reading = user;

	if (answered(reading, error)) {
		if (reply->type == REDIS_REPLY_ARRAY) {
			fleet_take_providers(&reading->fleet, reply);
			fleet_finish(&reading->fleet, &reading->query);
			tell(reading, 0);
		} else {
			tell(reading, -EPROTO);
		}
	}
	free_if_over(reading);
}

static void ask_providers(struct fleet_reading *reading)
{
	struct redis_args args = {0};

	for (size_t i = 0; i < reading->fleet.provider_count; i++)
		redis_args_text(&args, reading->fleet.providers[i].name);
	ask(reading, REDIS_SCRIPT_FLEET_PROVIDERS, &args, on_providers);
}

/* ---- resources ---- */

static void on_rested(struct clock_timer *timer)
{
	go_on(container_of(timer, struct fleet_reading, rest));
}

/* Redis is left to the others for as long as we had it. */
static void rest(struct fleet_reading *reading)
{
	int64_t took_ms = clock_now_ms(reading->clock) - reading->sent_at_ms;

	if (took_ms == 0)
		go_on(reading);
	else
		clock_timer_start_in(
			&reading->rest, took_ms < REST_MOST_MS ? took_ms : REST_MOST_MS);
}

static bool take_looks(struct fleet_reading *reading, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != reading->looking)
		return false;
	for (size_t i = 0; i < reading->looking; i++) {
		if (!fleet_take_resource(&reading->fleet, &reading->query,
			    reading->found[i], reply->element[i]))
			return false;
	}
	return true;
}

static void on_looked(int error, const redisReply *reply, void *user)
{
	struct fleet_reading *reading = user;

	if (answered(reading, error)) {
		if (take_looks(reading, reply)) {
			drop_found(reading, reading->looking);
			rest(reading);
		} else {
			tell(reading, -EPROTO);
		}
	}
	free_if_over(reading);
}

static void look(struct fleet_reading *reading)
{
	struct redis_args args = {0};

	reading->looking =
		reading->found_count < LOOK_COUNT ? reading->found_count : LOOK_COUNT;
	for (size_t i = 0; i < reading->looking; i++)
		redis_args_add(&args, reading->found[i].start, reading->found[i].length);
	ask(reading, REDIS_SCRIPT_FLEET_LOOK, &args, on_looked);
}

/* ---- addresses ---- */

static void add_found(struct fleet_reading *reading, struct bytes address)
{
	char *copy;

	if (address.length == 0 || !see(&reading->seen, address))
		return;
	if (reading->found_count == reading->found_room) {
		reading->found_room = reading->found_room ? 2 * reading->found_room : 256;
		reading->found = xreallocarray(
			reading->found, reading->found_room, sizeof(*reading->found));
	}
	copy = xcalloc(address.length, 1);
	memcpy(copy, address.start, address.length);
	reading->found[reading->found_count++] = (struct bytes){copy, address.length};
}

static void next_source(struct fleet_reading *reading)
{
	reading->source++;
	free(reading->cursor);
	reading->cursor = xstrdup("0");
}

static bool take_scan(struct fleet_reading *reading, const redisReply *reply)
{
	if (!*reply_word(reply, 0))
		return false;
	free(reading->cursor);
	reading->cursor = reply_copy(reply, 0);
	for (size_t i = 1; i < reply->elements; i++)
		add_found(reading, reply_bytes(reply, i));
	if (reply_is(reply, 0, "0"))
		next_source(reading);
	return true;
}

static void on_scanned(int error, const redisReply *reply, void *user)
{
	struct fleet_reading *reading = user;

	if (answered(reading, error)) {
		if (take_scan(reading, reply))
			go_on(reading);
		else
			tell(reading, -EPROTO);
	}
	free_if_over(reading);
}

static void scan(struct fleet_reading *reading, const char *index, const char *session)
{
	struct redis_args args = {0};

	redis_args_text(&args, index);
	redis_args_text(&args, session);
	redis_args_text(&args, reading->cursor);
	redis_args_number(&args, SCAN_COUNT);
	redis_args_text(&args, reading->pattern);
	ask(reading, REDIS_SCRIPT_FLEET_SCAN, &args, on_scanned);
}

/* Owners first: nearly everything is found there, and only once. */
static void go_on(struct fleet_reading *reading)
{
	const struct fleet *fleet = &reading->fleet;
	size_t source = reading->source;

	if (reading->found_count > 0) {
		look(reading);
	} else if (reading->seen.count >= FLEET_ADDRESSES_MAX) {
		reading->fleet.complete = false;
		ask_providers(reading);
	} else if (source < fleet->poller_count) {
		scan(reading, "owned", fleet->pollers[source].session);
	} else if (source == fleet->poller_count) {
		scan(reading, "unclaimed", "");
	} else if ((source -= fleet->poller_count + 1) < fleet->gateway_count) {
		scan(reading, "interests", fleet->gateways[source].session);
	} else {
		ask_providers(reading);
	}
}

/* ---- sessions, the first step ---- */

static void on_gateways(int error, const redisReply *reply, void *user)
{
	struct fleet_reading *reading = user;

	if (answered(reading, error)) {
		if (fleet_take_sessions(&reading->fleet, MEMBERSHIP_GATEWAY, reply))
			go_on(reading);
		else
			tell(reading, -EPROTO);
	}
	free_if_over(reading);
}

static void on_pollers(int error, const redisReply *reply, void *user)
{
	struct fleet_reading *reading = user;

	if (answered(reading, error) &&
		!fleet_take_sessions(&reading->fleet, MEMBERSHIP_POLLER, reply))
		tell(reading, -EPROTO);
	free_if_over(reading);
}

static void ask_sessions(
	struct fleet_reading *reading, const char *kind, redis_reply_fn on_reply)
{
	struct redis_args args = {0};

	redis_args_text(&args, kind);
	redis_args_number(&args, FLEET_SESSIONS_MAX);
	ask(reading, REDIS_SCRIPT_FLEET_SESSIONS, &args, on_reply);
}

/* ---- public ---- */

/* All that begin with @text: what a pattern would take otherwise is escaped. */
static char *pattern_of(const char *text)
{
	char *pattern = xcalloc(2 * strlen(text) + 2, 1), *at = pattern;

	for (; *text; text++) {
		if (strchr("*?[]\\^-", *text))
			*at++ = '\\';
		*at++ = *text;
	}
	*at = '*';
	return pattern;
}

struct fleet_reading *fleet_read(struct redis *redis, struct clock *clock,
	const struct fleet_query *query, fleet_read_fn on_read, void *user)
{
	struct fleet_reading *reading = xcalloc(1, sizeof(*reading));

	reading->redis = redis;
	reading->clock = clock;
	reading->query = *query;
	if (query->limit > FLEET_LIMIT_MAX)
		reading->query.limit = FLEET_LIMIT_MAX;
	reading->addresses_from = xstrdup(query->addresses_from);
	reading->query.addresses_from = reading->addresses_from;
	reading->pattern = pattern_of(query->addresses_from);
	reading->on_read = on_read;
	reading->user = user;
	reading->fleet.complete = true;
	reading->cursor = xstrdup("0");
	clock_timer_init(&reading->rest, clock, on_rested);
	ask_sessions(reading, "poller", on_pollers);
	ask_sessions(reading, "gateway", on_gateways);
	return reading;
}

void fleet_read_cancel(struct fleet_reading *reading)
{
	assert(!reading->ended);
	reading->ended = true;
	clock_timer_stop(&reading->rest);
	free_if_over(reading);
}
