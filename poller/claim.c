#include "poller/claim.h"

#include "common/keys.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CLAIM_BATCH 200    /* addresses per claim or release call: some ms of Redis */
#define CALLS_MAX 4        /* of them under way at once */
#define LOOK_MS 1000       /* between two looks for what nobody owns */
#define SCAN_COUNT 1000    /* addresses per SSCAN or HSCAN */
#define UNKNOWN_MS 10000   /* between two looks at what our catalog does not know */
#define TURN_MS 250        /* how long the better ranked are waited for, each */
#define TURNS_MAX 8        /* the last in a large fleet do not wait for ever */
#define LINGER_MS 5000     /* a resource without viewers stays ours that long */
#define CHECK_BATCH 300    /* addresses per sweep call */
#define TICK_MS 250        /* between two calls of a sweep */
#define SWEEP_MS 10000     /* a whole sweep, where there are few enough */
#define TOUCH_MS 300000    /* a third of what keys live; TTL in scripts/prelude.lua */
#define NOTE_MS 10000      /* how often checked_at of one resource goes to Redis */
#define NOTES_MAX 5000     /* resources noted with one renewal */
#define SURPLUS_RENEWALS 3 /* with more owned in Redis than here, before we look */
#define SPREAD_PER_S 2000  /* first polls a second after a large takeover */

struct claim {
	struct clock *clock;
	struct redis *redis;
	struct membership *membership;
	const struct catalog *catalog;
	struct metrics *metrics;
	struct claim_events events;
	void *user;

	struct resource *resources; /* by address */
	uint64_t last_claim_id;
	struct list sweep; /* all resources, the one checked longest ago first */
	struct list notes; /* resources whose checked_at Redis should hear of */
	bool was_valid;    /* the lease, a tick ago */
	double sweep_debt;
	size_t resync_left; /* to be checked without pause after a reconnect */
	bool sweeping;
	bool draining;

	struct candidate *candidates; /* by address */
	struct list ready;            /* candidates whose turn has come */
	struct list releases;         /* to be sent */
	struct release *releasing;    /* those and the ones under way, by address */
	int calls;                    /* claim and release calls under way */
	struct clock_timer flush;
	struct clock_timer tick;
	struct clock_timer look;
	int scans; /* under way */
	size_t unknown; /* that the last look through all unclaimed has found */
	int64_t unclaimed_read_at_ms; /* monotonic; when that was */
	int surplus_renewals;
};

/* An address without a living owner, or one to be read again. */
struct candidate {
	UT_hash_handle hh;
	struct claim *claim;
	struct list on_ready; /* empty while waiting for its turn or in a call */
	struct clock_timer turn;
	bool again; /* asked for while its call was under way */
	char address[];
};

/* A release until its answer; the resource is gone already. No claim of the address is
 * sent meanwhile: after a NOSCRIPT a later command may overtake. */
struct release {
	UT_hash_handle hh;
	struct list link;
	int64_t checked_at_ms;
	char address[];
};

/* ---- ranking ---- */

static uint64_t weight(const struct member *member, const char *address, size_t length)
{
	uint64_t seed = XXH3_64bits(member->session, strlen(member->session));

	return XXH3_64bits_withSeed(address, length, seed);
}

/* How many living pollers rank above us for @address: rendezvous hashing. One at least
 * until the first renewal has told who is there. */
static unsigned rank_of_us(const struct claim *claim, const char *address)
{
	const char *session = membership_session(claim->membership);
	size_t length = strlen(address);
	const struct member *members;
	size_t count = membership_pollers(claim->membership, &members);
	uint64_t ours = 0;
	unsigned above = 1;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(members[i].session, session) != 0)
			continue;
		ours = weight(&members[i], address, length);
		above = 0;
	}
	for (size_t i = 0; i < count; i++) {
		if (members[i].alive && strcmp(members[i].session, session) != 0 &&
			weight(&members[i], address, length) > ours)
			above++;
	}
	return above;
}

/* Valid until the next call with the same @target. */
static bool resolve(
	const struct catalog *catalog, const char *text, struct catalog_target *target)
{
	static struct address address;

	return address_parse(&address, text, strlen(text)) == ADDRESS_OK &&
		catalog_resolve(catalog, &address, target) == CATALOG_OK;
}

static bool known_to_catalog(const struct claim *claim, const char *text)
{
	static struct catalog_target target;

	return resolve(claim->catalog, text, &target);
}

static void set_interval(struct claim *claim, struct resource *resource,
	uint64_t wished_ms, bool default_wanted)
{
	static struct catalog_target target;
	struct catalog_interval bounds;

	resource->wished_ms = wished_ms;
	resource->default_wanted = default_wanted;
	if (!resolve(claim->catalog, resource->address, &target))
		return;
	bounds = target.interval;
	if (wished_ms == 0 || (default_wanted && wished_ms > bounds.default_ms))
		wished_ms = bounds.default_ms;
	if (wished_ms < bounds.min_ms)
		wished_ms = bounds.min_ms;
	if (wished_ms > bounds.max_ms)
		wished_ms = bounds.max_ms;
	resource->interval_ms = (uint32_t)wished_ms;
}

/* ---- candidates ---- */

static void candidate_free(struct candidate *candidate)
{
	HASH_DEL(candidate->claim->candidates, candidate);
	clock_timer_stop(&candidate->turn);
	list_remove(&candidate->on_ready);
	free(candidate);
}

static void candidate_ready(struct candidate *candidate)
{
	list_remove(&candidate->on_ready);
	list_append(&candidate->claim->ready, &candidate->on_ready);
	clock_timer_start_in(&candidate->claim->flush, 0);
}

static void on_turn(struct clock_timer *timer)
{
	candidate_ready(container_of(timer, struct candidate, turn));
}

static struct candidate *candidate_find(struct claim *claim, const char *address)
{
	struct candidate *candidate;

	HASH_FIND_STR(claim->candidates, address, candidate);
	return candidate;
}

static struct candidate *candidate_new(struct claim *claim, const char *address)
{
	size_t length = strlen(address);
	struct candidate *candidate = xcalloc(1, sizeof(*candidate) + length + 1);

	candidate->claim = claim;
	memcpy(candidate->address, address, length + 1);
	list_init(&candidate->on_ready);
	clock_timer_init(&candidate->turn, claim->clock, on_turn);
	HASH_ADD(hh, claim->candidates, address[0], (unsigned)length, candidate);
	return candidate;
}

/*
 * Claims @address when our turn has come: at once where we rank first. Returns whether it
 * may become ours.
 */
static bool consider(struct claim *claim, const char *address)
{
	struct candidate *candidate;
	unsigned rank;

	if (claim->draining || !known_to_catalog(claim, address))
		return false;
	if (claim_find(claim, address) != NULL || candidate_find(claim, address) != NULL)
		return true;
	candidate = candidate_new(claim, address);
	rank = rank_of_us(claim, address);
	if (rank == 0)
		candidate_ready(candidate);
	else
		clock_timer_start_in(&candidate->turn,
			(int64_t)TURN_MS * (rank < TURNS_MAX ? rank : TURNS_MAX));
	return true;
}

/* Reads @address again by claiming it, whoever ranks first. */
static void read_again(struct claim *claim, const char *address)
{
	struct candidate *candidate = candidate_find(claim, address);

	if (claim->draining)
		return;
	if (candidate == NULL)
		candidate_ready(candidate_new(claim, address));
	else if (clock_timer_running(&candidate->turn))
		clock_timer_start_in(&candidate->turn, 0);
	else
		candidate->again = true;
}

/* ---- resources ---- */

static void drop(struct claim *claim, struct resource *resource)
{
	claim->events.dropped(resource, claim->user);
	clock_timer_stop(&resource->linger);
	list_remove(&resource->on_sweep);
	list_remove(&resource->on_notes);
	HASH_DEL(claim->resources, resource);
	free(resource->etag);
	free(resource->last_modified);
	free(resource);
}

static void release_address(
	struct claim *claim, const char *address, int64_t checked_at_ms)
{
	size_t length = strlen(address);
	struct release *release = xcalloc(1, sizeof(*release) + length + 1);

	memcpy(release->address, address, length + 1);
	release->checked_at_ms = checked_at_ms;
	list_append(&claim->releases, &release->link);
	HASH_ADD(hh, claim->releasing, address[0], (unsigned)length, release);
	metrics_add(claim->metrics, METRIC_RELEASES, 1);
	clock_timer_start_in(&claim->flush, 0);
}

static void release(struct claim *claim, struct resource *resource)
{
	release_address(claim, resource->address, resource->checked_at_ms);
	drop(claim, resource);
}

static void release_free(struct claim *claim, struct release *release)
{
	HASH_DEL(claim->releasing, release);
	free(release);
}

static bool is_releasing(struct claim *claim, const char *address)
{
	struct release *release;

	HASH_FIND_STR(claim->releasing, address, release);
	return release != NULL;
}

static void on_linger(struct clock_timer *timer)
{
	struct resource *resource = container_of(timer, struct resource, linger);

	release(resource->claim, resource);
}

static void set_wanted(struct claim *claim, struct resource *resource, bool wanted)
{
	if (wanted) {
		clock_timer_stop(&resource->linger);
		resource->hold = HOLD_KEPT;
	} else if (resource->hold == HOLD_KEPT) {
		resource->hold = HOLD_LINGERING;
		clock_timer_start_in(&resource->linger, LINGER_MS);
		claim->events.unwanted(resource, claim->user);
	}
}

static struct resource *resource_new(struct claim *claim, const char *address)
{
	size_t length = strlen(address);
	struct resource *resource = xcalloc(1, sizeof(*resource) + length + 1);

	memcpy(resource->address, address, length + 1);
	resource->claim = claim;
	resource->claim_id = ++claim->last_claim_id;
	resource->touched_at_ms = clock_now_ms(claim->clock);
	clock_timer_init(&resource->linger, claim->clock, on_linger);
	list_append(&claim->sweep, &resource->on_sweep);
	list_init(&resource->on_notes);
	list_init(&resource->on_contents);
	HASH_ADD(hh, claim->resources, address[0], (unsigned)length, resource);
	return resource;
}

/* ---- what claim answers ---- */

enum claimed_field {
	CLAIMED_REVISION = 1,
	CLAIMED_VERSION,
	CLAIMED_FLOOR,
	CLAIMED_DIGEST,
	CLAIMED_TYPE,
	CLAIMED_STATE,
	CLAIMED_ETAG,
	CLAIMED_LAST_MODIFIED,
	CLAIMED_CHECKED_AT,
	CLAIMED_ERROR,
	CLAIMED_WISHED,
	CLAIMED_DEFAULT,
	CLAIMED_WANTED,
	CLAIMED_FORMER,
	CLAIMED_POLLS,
	CLAIMED_INTERVAL,
	CLAIMED_URL,
	CLAIMED_NOT_BEFORE,
};

/* Takes over what is stored; the error's text is not compared, only written anew. */
static void take_stored(struct resource *resource, const redisReply *entry)
{
	struct bytes state = reply_bytes(entry, CLAIMED_STATE);

	resource->revision = reply_number(entry, CLAIMED_REVISION);
	resource->version = reply_number(entry, CLAIMED_VERSION);
	resource->state = resource_state_parse(state.start, state.length);
	resource->failure[0] = '\0';
	resource->told_ms = (uint32_t)reply_number(entry, CLAIMED_INTERVAL);
	resource->told_for_ms = resource->told_ms;
	snprintf(resource->digest.text, sizeof(resource->digest.text), "%s",
		reply_word(entry, CLAIMED_DIGEST));
	free(resource->etag);
	free(resource->last_modified);
	resource->etag = reply_copy(entry, CLAIMED_ETAG);
	resource->last_modified = reply_copy(entry, CLAIMED_LAST_MODIFIED);
	if (resource->polls == 0)
		resource->polls = reply_number(entry, CLAIMED_POLLS);
}

static void take_floor(struct resource *resource, const redisReply *entry)
{
	uint64_t floor = reply_number(entry, CLAIMED_FLOOR);

	if (floor <= resource->version)
		return;
	resource->floor = floor;
	resource->whole = true;
}

/*
 * Where the fleet is half reloaded, the former owner may have asked another upstream: its
 * validators and its word that nothing has changed say nothing of ours.
 */
static bool was_elsewhere(
	const struct claim *claim, const char *address, const redisReply *entry)
{
	static struct catalog_target target;
	struct bytes stored = reply_bytes(entry, CLAIMED_URL);
	bool elsewhere;
	char *url;

	if (stored.length == 0 || !resolve(claim->catalog, address, &target))
		return false;
	url = fetch_url(target.provider, target.uri);
	elsewhere = strlen(url) != stored.length ||
		memcmp(url, stored.start, stored.length) != 0;
	free(url);
	return elsewhere;
}

/* What its upstream told the former owner holds for us. */
static void take_wait(
	struct claim *claim, struct resource *resource, const redisReply *entry)
{
	int64_t wait_ms = (int64_t)reply_number(entry, CLAIMED_NOT_BEFORE) -
		membership_redis_ms(claim->membership);

	if (wait_ms <= 0 || resource->moved)
		return;
	if (wait_ms > FETCH_WAIT_MAX_MS)
		wait_ms = FETCH_WAIT_MAX_MS;
	resource->not_before_ms = clock_now_ms(claim->clock) + wait_ms;
	resource->failures = 1;
}

static void take_new(struct claim *claim, const char *address, const redisReply *entry,
	int64_t spread_ms)
{
	struct resource *resource = resource_new(claim, address);
	bool wanted = reply_is(entry, CLAIMED_WANTED, "1");

	take_stored(resource, entry);
	take_floor(resource, entry);
	resource->moved = was_elsewhere(claim, address, entry);
	take_wait(claim, resource, entry);
	resource->checked_at_ms = (int64_t)reply_number(entry, CLAIMED_CHECKED_AT);
	resource->noted_at_ms = resource->checked_at_ms;
	set_interval(claim, resource, reply_number(entry, CLAIMED_WISHED),
		reply_is(entry, CLAIMED_DEFAULT, "1"));
	metrics_add(claim->metrics, METRIC_CLAIMS, 1);
	if (reply_bytes(entry, CLAIMED_FORMER).length > 0)
		metrics_add(claim->metrics, METRIC_TAKEOVERS, 1);
	claim->events.claimed(resource, spread_ms, claim->user);
	set_wanted(claim, resource, wanted);
}

/* We had it: what is stored may be other than we thought, or viewers want another pace.
 */
static void take_again(
	struct claim *claim, struct resource *resource, const redisReply *entry)
{
	bool wanted = reply_is(entry, CLAIMED_WANTED, "1");
	uint64_t revision = reply_number(entry, CLAIMED_REVISION);

	/* Of a newer one a commit under way will tell itself. */
	if (revision < resource->revision ||
		(!resource->busy && revision != resource->revision)) {
		take_stored(resource, entry);
		resource->whole = true;
	}
	take_floor(resource, entry);
	set_interval(claim, resource, reply_number(entry, CLAIMED_WISHED),
		reply_is(entry, CLAIMED_DEFAULT, "1"));
	set_wanted(claim, resource, wanted);
	if (wanted)
		claim->events.reread(resource, claim->user);
}

static void take_entry(struct claim *claim, const char *address, const redisReply *entry,
	int64_t spread_ms)
{
	struct resource *resource = claim_find(claim, address);

	if (reply_is(entry, 0, "claimed")) {
		/* A reload came between, or before the lock that names us was found. */
		if (resource == NULL && !known_to_catalog(claim, address))
			release_address(claim, address,
				(int64_t)reply_number(entry, CLAIMED_CHECKED_AT));
		else if (resource == NULL)
			take_new(claim, address, entry, spread_ms);
		else
			take_again(claim, resource, entry);
	} else if (resource != NULL) {
		drop(claim, resource);
	}
}

struct claim_call {
	struct claim *claim;
	char session[SESSION_MAX + 1];
	size_t count;
	struct candidate *candidates[CLAIM_BATCH];
};

/* The candidates of a call are done with, or tried again where the call did not run. */
static void settle_candidate(struct candidate *candidate, bool done)
{
	if (candidate->again || !done) {
		candidate->again = false;
		candidate_ready(candidate);
	} else {
		candidate_free(candidate);
	}
}

static void on_claimed(int error, const redisReply *reply, void *user)
{
	struct claim_call *call = user;
	struct claim *claim = call->claim;
	bool ours = strcmp(call->session, membership_session(claim->membership)) == 0;
	bool done = error == 0 && reply->type == REDIS_REPLY_ARRAY &&
		reply->elements == call->count + 1 && ours;

	claim->calls--;
	for (size_t i = 0; i < call->count; i++) {
		/* Given up since it was sent: the answer is about a claim that has ended.
		 */
		if (is_releasing(claim, call->candidates[i]->address))
			call->candidates[i]->again = true;
		else if (done && !claim->draining)
			take_entry(claim, call->candidates[i]->address,
				reply->element[i + 1], (int64_t)i * 1000 / SPREAD_PER_S);
		settle_candidate(call->candidates[i], done || !ours || claim->draining);
	}
	clock_timer_start_in(&claim->flush, done ? 0 : TICK_MS);
	free(call);
}

/* Returns whether there was anything to claim. */
static bool claim_some(struct claim *claim)
{
	struct claim_call *call = xcalloc(1, sizeof(*call));
	struct redis_args args = {0};

	call->claim = claim;
	snprintf(call->session, sizeof(call->session), "%s",
		membership_session(claim->membership));
	redis_args_text(&args, call->session);
	redis_args_text(&args, membership_may_bury(claim->membership) ? "1" : "0");
	redis_args_text(&args, "0");
	list_each (link, &claim->ready) {
		struct candidate *candidate =
			container_of(link, struct candidate, on_ready);

		if (is_releasing(claim, candidate->address))
			continue;
		list_remove(link);
		candidate->again = false;
		redis_args_text(&args, candidate->address);
		call->candidates[call->count++] = candidate;
		if (call->count == CLAIM_BATCH)
			break;
	}
	if (call->count == 0) {
		redis_args_fini(&args);
		free(call);
		return false;
	}
	claim->calls++;
	redis_script(
		claim->redis, REDIS_SCRIPT_CLAIM, &args, REDIS_NORMAL, on_claimed, call);
	return true;
}

/* ---- releasing ---- */

struct release_call {
	struct claim *claim;
	struct list releases; /* sent, put back where the call did not run */
};

static void on_released(int error, const redisReply *reply, void *user)
{
	struct release_call *call = user;
	struct claim *claim = call->claim;
	struct list *link;

	(void)reply;
	claim->calls--;
	while ((link = list_take(&call->releases)) != NULL) {
		struct release *release = container_of(link, struct release, link);

		if (error != 0)
			list_append(&claim->releases, link);
		else
			release_free(claim, release);
	}
	clock_timer_start_in(&claim->flush, error == 0 ? 0 : TICK_MS);
	free(call);
}

static void release_some(struct claim *claim)
{
	struct release_call *call = xcalloc(1, sizeof(*call));
	struct redis_args args = {0};

	call->claim = claim;
	list_init(&call->releases);
	redis_args_text(&args, membership_session(claim->membership));
	for (int i = 0; i < CLAIM_BATCH && !list_empty(&claim->releases); i++) {
		struct list *link = list_take(&claim->releases);
		struct release *release = container_of(link, struct release, link);

		redis_args_text(&args, release->address);
		redis_args_number(&args, release->checked_at_ms);
		list_append(&call->releases, link);
	}
	claim->calls++;
	redis_script(claim->redis, REDIS_SCRIPT_RELEASE, &args, REDIS_NORMAL, on_released,
		call);
}

static void on_flush(struct clock_timer *timer)
{
	struct claim *claim = container_of(timer, struct claim, flush);

	if (!membership_valid(claim->membership))
		return;
	while (claim->calls < CALLS_MAX && !list_empty(&claim->releases))
		release_some(claim);
	while (claim->calls < CALLS_MAX && claim_some(claim))
		;
}

/* ---- looking for what nobody owns ---- */

/* One SSCAN or HSCAN going through a key. */
struct scan {
	struct claim *claim;
	const char *command;
	size_t stride; /* 1 for a set, 2 for a hash */
	bool own;      /* our own session: adopt what we do not know of */
	bool reap;     /* a dead session: clean up when nothing of it is left */
	bool found;
	size_t unknown; /* addresses that our catalog does not have */
	char session[SESSION_MAX + 1];
	struct key key;
};

static void scan_on(struct scan *scan, const char *cursor);

static void reap_poller(struct claim *claim, const char *session)
{
	struct redis_args args = {0};

	redis_args_text(&args, "poller");
	redis_args_text(&args, session);
	redis_args_text(&args, membership_may_bury(claim->membership) ? "1" : "0");
	redis_args_number(&args, CLAIM_BATCH);
	redis_script(claim->redis, REDIS_SCRIPT_REAP, &args, REDIS_NORMAL, NULL, NULL);
}

static void scan_end(struct scan *scan, bool whole)
{
	struct claim *claim = scan->claim;

	claim->scans--;
	if (whole && scan->stride == 1)
		claim->unknown = scan->unknown;
	/* Found something: without pause as long as there is more. */
	if (scan->found)
		clock_timer_start_in(&claim->look, TURN_MS);
	else if (scan->reap && whole)
		reap_poller(claim, scan->session);
	free(scan);
}

/* Redis says that we own @address: claiming it finds out. */
static void adopt(struct claim *claim, const char *address)
{
	if (claim_find(claim, address) == NULL && !is_releasing(claim, address))
		read_again(claim, address);
}

/* Nobody here will claim them and find out that nobody wants them any more. */
static void prune(struct scan *scan, struct redis_args *unknown)
{
	scan->unknown += unknown->count;
	if (unknown->count > 0 && scan->stride == 1)
		redis_script(scan->claim->redis, REDIS_SCRIPT_PRUNE, unknown,
			REDIS_NORMAL, NULL, NULL);
	redis_args_fini(unknown);
}

static void on_scanned(int error, const redisReply *reply, void *user)
{
	struct scan *scan = user;
	struct redis_args unknown = {0};
	const redisReply *page;

	if (error != 0 || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
		reply->element[1]->type != REDIS_REPLY_ARRAY) {
		scan_end(scan, false);
		return;
	}
	page = reply->element[1];
	for (size_t i = 0; i < page->elements; i += scan->stride) {
		char *address = reply_copy(page, i);

		if (address != NULL && scan->own)
			adopt(scan->claim, address);
		else if (address != NULL && consider(scan->claim, address))
			scan->found = true;
		else if (address != NULL && !known_to_catalog(scan->claim, address))
			redis_args_text(&unknown, address);
		free(address);
	}
	prune(scan, &unknown);
	if (reply_is(reply, 0, "0"))
		scan_end(scan, true);
	else
		scan_on(scan, reply->element[0]->str);
}

static void scan_on(struct scan *scan, const char *cursor)
{
	struct redis_args args = {0};

	redis_args_text(&args, scan->command);
	redis_args_add(&args, scan->key.text, scan->key.length);
	redis_args_text(&args, cursor);
	redis_args_text(&args, "COUNT");
	redis_args_number(&args, SCAN_COUNT);
	redis_command(scan->claim->redis, &args, on_scanned, scan);
}

static struct scan *scan_new(struct claim *claim, const char *command, size_t stride)
{
	struct scan *scan = xcalloc(1, sizeof(*scan));

	scan->claim = claim;
	scan->command = command;
	scan->stride = stride;
	claim->scans++;
	return scan;
}

/* As many as our catalog did not know are most likely the same. */
static void on_counted(int error, const redisReply *reply, void *user)
{
	struct scan *scan = user;
	struct claim *claim = scan->claim;
	int64_t now_ms = clock_now_ms(claim->clock);
	bool counted = error == 0 && reply->type == REDIS_REPLY_INTEGER;

	if (!counted || reply->integer == 0 ||
		((size_t)reply->integer == claim->unknown &&
			now_ms - claim->unclaimed_read_at_ms < UNKNOWN_MS)) {
		scan_end(scan, false);
		return;
	}
	claim->unclaimed_read_at_ms = now_ms;
	scan_on(scan, "0");
}

static void scan_unclaimed(struct claim *claim)
{
	struct scan *scan = scan_new(claim, "SSCAN", 1);
	struct redis_args args = {0};

	key_write(&scan->key, redis_prefix(claim->redis), KEYS_UNCLAIMED, "");
	redis_args_text(&args, "SCARD");
	redis_args_add(&args, scan->key.text, scan->key.length);
	redis_command(claim->redis, &args, on_counted, scan);
}

static void scan_owned(struct claim *claim, const char *session)
{
	struct scan *scan = scan_new(claim, "HSCAN", 2);

	scan->own = strcmp(session, membership_session(claim->membership)) == 0;
	scan->reap = !scan->own;
	snprintf(scan->session, sizeof(scan->session), "%s", session);
	key_write(&scan->key, redis_prefix(claim->redis), KEYS_OWNED, session);
	scan_on(scan, "0");
}

/* The next look: in a second, or right after the earliest lease that may run out. */
static void plan_look(struct claim *claim)
{
	int64_t now_ms = membership_redis_ms(claim->membership);
	const struct member *members;
	size_t count = membership_pollers(claim->membership, &members);
	int64_t delay_ms = LOOK_MS;

	for (size_t i = 0; i < count; i++) {
		int64_t left_ms = members[i].lease_end_ms - now_ms;

		if (left_ms > 0 && left_ms < delay_ms)
			delay_ms = left_ms + 1;
	}
	clock_timer_start_in(&claim->look, delay_ms);
}

static void on_look(struct clock_timer *timer)
{
	struct claim *claim = container_of(timer, struct claim, look);
	const char *session = membership_session(claim->membership);
	int64_t now_ms = membership_redis_ms(claim->membership);
	const struct member *members;
	size_t count = membership_pollers(claim->membership, &members);

	plan_look(claim);
	if (claim->scans > 0 || claim->draining || !membership_valid(claim->membership))
		return;
	scan_unclaimed(claim);
	for (size_t i = 0; i < count; i++) {
		if (members[i].lease_end_ms < now_ms &&
			(members[i].lease_end_ms == 0 ||
				membership_may_bury(claim->membership)) &&
			strcmp(members[i].session, session) != 0)
			scan_owned(claim, members[i].session);
	}
}

/* ---- the sweep ---- */

struct check_call {
	struct claim *claim;
	size_t count;
	char *addresses[CHECK_BATCH];
};

/* What check answers for one address. */
enum check_field {
	CHECK_REVISION,
	CHECK_FLOOR,
	CHECK_OWNER,
	CHECK_INTEREST,
	CHECK_FIELDS
};

struct check {
	uint64_t revision;
	uint64_t floor;
	bool ours;
	bool wanted;
	uint64_t wished_ms;
	int default_wanted;
};

/* @first  the index of its first field */
static struct check read_check(const redisReply *reply, size_t first)
{
	struct check check = {
		.revision = reply_number(reply, first + CHECK_REVISION),
		.floor = reply_number(reply, first + CHECK_FLOOR),
		.ours = reply_is(reply, first + CHECK_OWNER, "="),
	};

	check.wanted = sscanf(reply_word(reply, first + CHECK_INTEREST), "%" SCNu64 " %d",
			       &check.wished_ms, &check.default_wanted) == 2;
	return check;
}

static bool interest_differs(const struct resource *resource, const struct check *check)
{
	if (check->wanted != (resource->hold == HOLD_KEPT))
		return true;
	return check->wanted &&
		(check->wished_ms != resource->wished_ms ||
			(check->default_wanted != 0) != resource->default_wanted);
}

/* Claiming tells the rest: held by another, ours with other content, unwanted. */
static void take_check(
	struct claim *claim, struct resource *resource, const struct check *check)
{
	/* A newer revision may be of the commit under way; an older one never is. */
	if (!check->ours || check->floor > resource->version ||
		check->revision < resource->revision ||
		(!resource->busy && check->revision != resource->revision) ||
		interest_differs(resource, check))
		read_again(claim, resource->address);
}

static void on_checked(int error, const redisReply *reply, void *user)
{
	struct check_call *call = user;
	struct claim *claim = call->claim;
	bool answered = error == 0 && reply->type == REDIS_REPLY_ARRAY &&
		reply->elements == call->count * CHECK_FIELDS;

	claim->sweeping = false;
	for (size_t i = 0; i < call->count; i++) {
		struct resource *resource = claim_find(claim, call->addresses[i]);

		if (answered && resource != NULL) {
			struct check check = read_check(reply, i * CHECK_FIELDS);

			take_check(claim, resource, &check);
		}
		free(call->addresses[i]);
	}
	free(call);
}

static size_t sweep_due(struct claim *claim)
{
	size_t count = HASH_COUNT(claim->resources);
	double share = (double)MEMBERSHIP_SWEEP_PER_S * TICK_MS / 1000 /
		(double)membership_fleet_size(claim->membership);
	size_t due;

	claim->sweep_debt += (double)count * TICK_MS / SWEEP_MS < share
		? (double)count * TICK_MS / SWEEP_MS
		: share;
	due = (size_t)claim->sweep_debt;
	if (due < claim->resync_left)
		due = claim->resync_left;
	if (due > CHECK_BATCH)
		due = CHECK_BATCH;
	if (due > count)
		due = count;
	if (due > 0)
		claim->sweep_debt = 0;
	claim->resync_left -= due < claim->resync_left ? due : claim->resync_left;
	return due;
}

static void touch(struct claim *claim, struct redis_args *touched)
{
	if (touched->count > 2)
		redis_script(claim->redis, REDIS_SCRIPT_TOUCH, touched, REDIS_NORMAL,
			NULL, NULL);
	redis_args_fini(touched);
}

static void sweep_some(struct claim *claim)
{
	int64_t now_ms = clock_now_ms(claim->clock);
	const char *session = membership_session(claim->membership);
	size_t due = sweep_due(claim);
	struct redis_args args = {0}, touched = {0};
	struct check_call *call;

	if (due == 0)
		return;
	call = xcalloc(1, sizeof(*call));
	call->claim = claim;
	redis_args_text(&args, "poller");
	redis_args_text(&args, session);
	redis_args_text(&touched, "poller");
	redis_args_text(&touched, session);
	while (call->count < due) {
		struct list *link = list_take(&claim->sweep);
		struct resource *resource = container_of(link, struct resource, on_sweep);

		list_append(&claim->sweep, link);
		redis_args_text(&args, resource->address);
		call->addresses[call->count++] = xstrdup(resource->address);
		if (now_ms - resource->touched_at_ms >= TOUCH_MS) {
			resource->touched_at_ms = now_ms;
			redis_args_text(&touched, resource->address);
		}
	}
	claim->sweeping = true;
	redis_script(
		claim->redis, REDIS_SCRIPT_CHECK, &args, REDIS_NORMAL, on_checked, call);
	touch(claim, &touched);
}

static void on_tick(struct clock_timer *timer)
{
	struct claim *claim = container_of(timer, struct claim, tick);

	clock_timer_start_in(timer, TICK_MS);
	if (claim->was_valid && !membership_valid(claim->membership) &&
		!claim->draining) {
		metrics_add(claim->metrics, METRIC_FENCED, 1);
		log_warn("the lease ran out, polling stops until Redis renews it "
			 "resources=%zu",
			claim_count(claim));
	}
	claim->was_valid = membership_valid(claim->membership);
	if (!list_empty(&claim->ready) || !list_empty(&claim->releases))
		clock_timer_start_in(&claim->flush, 0);
	if (!claim->sweeping && !claim->draining && membership_valid(claim->membership))
		sweep_some(claim);
}

/* ---- public ---- */

struct claim *claim_new(struct clock *clock, struct redis *redis,
	struct membership *membership, const struct catalog *catalog,
	struct metrics *metrics, const struct claim_events *events, void *user)
{
	struct claim *claim = xcalloc(1, sizeof(*claim));

	claim->clock = clock;
	claim->redis = redis;
	claim->membership = membership;
	claim->catalog = catalog;
	claim->metrics = metrics;
	claim->events = *events;
	claim->user = user;
	list_init(&claim->sweep);
	list_init(&claim->notes);
	list_init(&claim->ready);
	list_init(&claim->releases);
	clock_timer_init(&claim->flush, clock, on_flush);
	clock_timer_init(&claim->tick, clock, on_tick);
	clock_timer_init(&claim->look, clock, on_look);
	clock_timer_start_in(&claim->tick, TICK_MS);
	clock_timer_start_in(&claim->look, LOOK_MS);
	return claim;
}

static void drop_all(struct claim *claim)
{
	struct resource *resource, *next;

	HASH_ITER(hh, claim->resources, resource, next)
	drop(claim, resource);
}

static void forget_releases(struct claim *claim)
{
	struct list *link;

	while ((link = list_take(&claim->releases)) != NULL)
		release_free(claim, container_of(link, struct release, link));
}

void claim_free(struct claim *claim)
{
	struct candidate *candidate, *next;

	if (claim == NULL)
		return;
	drop_all(claim);
	forget_releases(claim);
	HASH_ITER(hh, claim->candidates, candidate, next)
	candidate_free(candidate);
	clock_timer_stop(&claim->flush);
	clock_timer_stop(&claim->tick);
	clock_timer_stop(&claim->look);
	free(claim);
}

static bool asked_elsewhere(
	const struct catalog_target *before, const struct catalog_target *now)
{
	const char *former_url = before->provider->url, *url = now->provider->url;

	return strcmp(before->uri, now->uri) != 0 ||
		strcmp(former_url != NULL ? former_url : "", url != NULL ? url : "") != 0;
}

static void reload_resource(
	struct claim *claim, struct resource *resource, const struct catalog *former)
{
	static struct catalog_target before, now;
	uint32_t interval_ms = resource->interval_ms;

	if (!resolve(claim->catalog, resource->address, &now)) {
		release(claim, resource);
		return;
	}
	if (resolve(former, resource->address, &before) && asked_elsewhere(&before, &now))
		resource->moved = true;
	set_interval(claim, resource, resource->wished_ms, resource->default_wanted);
	if (resource->interval_ms != interval_ms && resource->hold == HOLD_KEPT)
		claim->events.reread(resource, claim->user);
}

void claim_reload(struct claim *claim, const struct catalog *catalog)
{
	const struct catalog *former = claim->catalog;
	struct resource *resource, *next;

	claim->catalog = catalog;
	HASH_ITER (hh, claim->resources, resource, next)
		reload_resource(claim, resource, former);
	/* What it knows now and did not before may be waiting. */
		claim->unknown = 0;
		clock_timer_start_in(&claim->look, 0);
}

static void subscribe_wake(struct claim *claim)
{
	struct key key;

	key_write(&key, redis_prefix(claim->redis), KEYS_WAKE, "");
	redis_subscribe(claim->redis, key.text, key.length, NULL, NULL);
}

/* What Redis could not take while it was away. */
static void offer_uncommitted(struct claim *claim)
{
	struct resource *resource, *next;

	HASH_ITER(hh, claim->resources, resource, next)
	{
		if (resource->uncommitted)
			claim->events.refresh(resource, claim->user);
	}
}

void claim_on_up(struct claim *claim)
{
	subscribe_wake(claim);
	clock_timer_start_in(&claim->look, 0);
	/* What we hold may have changed hands, or been forgotten: look at all of it soon.
	 */
	claim->resync_left = HASH_COUNT(claim->resources);
	offer_uncommitted(claim);
}

void claim_on_entered(struct claim *claim)
{
	clock_timer_start_in(&claim->look, 0);
}

void claim_on_lost(struct claim *claim)
{
	metrics_add(claim->metrics, METRIC_LOST, 1);
	drop_all(claim);
	forget_releases(claim);
}

/* Somebody new may rank first for what we hold: hand it over after its next poll. */
void claim_on_peers(struct claim *claim)
{
	struct resource *resource, *next;

	HASH_ITER(hh, claim->resources, resource, next)
	resource->hand_over = rank_of_us(claim, resource->address) > 0;
	clock_timer_start_in(&claim->look, 0);
}

static void note(struct claim *claim, struct resource *resource)
{
	list_remove(&resource->on_notes);
	resource->noted_at_ms = resource->checked_at_ms;
	membership_checked(claim->membership, resource->address, resource->checked_at_ms);
}

void claim_on_renewing(struct claim *claim)
{
	struct resource *resource, *next;

	membership_fact(claim->membership, "resources", (int64_t)claim_count(claim));
	for (int i = 0; i < NOTES_MAX && !list_empty(&claim->notes); i++)
		note(claim, container_of(claim->notes.next, struct resource, on_notes));
	if (!claim->draining)
		return;
	HASH_ITER(hh, claim->resources, resource, next)
	{
		if (resource->checked_at_ms > resource->noted_at_ms)
			note(claim, resource);
	}
}

/*
 * More than we know of, and not just for a moment: a lost reply, or a replica that took
 * over and knew less of what we gave up.
 */
void claim_on_renewed(struct claim *claim, size_t held)
{
	if (held <= claim_count(claim)) {
		claim->surplus_renewals = 0;
		return;
	}
	if (++claim->surplus_renewals < SURPLUS_RENEWALS || claim->draining)
		return;
	claim->surplus_renewals = 0;
	scan_owned(claim, membership_session(claim->membership));
}

/* The text after "verb " where @payload begins with it, as a new string, else NULL. */
static char *notice_rest(const char *payload, size_t length, const char *verb)
{
	size_t verb_length = strlen(verb);

	if (length <= verb_length || length > verb_length + ADDRESS_MAX ||
		memcmp(payload, verb, verb_length) != 0)
		return NULL;
	return strndup(payload + verb_length, length - verb_length);
}

static void on_claim_notice(struct claim *claim, const char *address)
{
	consider(claim, address);
}

static void on_poll_notice(struct claim *claim, const char *address)
{
	struct resource *resource = claim_find(claim, address);

	if (resource != NULL)
		claim->events.refresh(resource, claim->user);
}

static void on_left_notice(struct claim *claim, const char *session)
{
	membership_on_left(claim->membership, session);
}

static void on_interest_notice(struct claim *claim, const char *address)
{
	if (known_to_catalog(claim, address))
		read_again(claim, address);
}

static const struct {
	const char *verb;
	void (*on_notice)(struct claim *claim, const char *rest);
} notices[] = {
	{"claim ", on_claim_notice},
	{"poll ", on_poll_notice},
	{"left ", on_left_notice},
	{"wanted ", on_interest_notice},
	{"unwanted ", on_interest_notice},
};

void claim_on_message(struct claim *claim, const char *channel, size_t channel_length,
	const char *payload, size_t length)
{
	(void)channel;
	(void)channel_length;
	for (size_t i = 0; i < sizeof(notices) / sizeof(notices[0]); i++) {
		char *rest = notice_rest(payload, length, notices[i].verb);

		if (rest == NULL)
			continue;
		notices[i].on_notice(claim, rest);
		free(rest);
		return;
	}
}

void claim_drain(struct claim *claim)
{
	claim->draining = true;
}

struct resource *claim_find(struct claim *claim, const char *address)
{
	struct resource *resource;

	HASH_FIND_STR(claim->resources, address, resource);
	return resource;
}

size_t claim_count(const struct claim *claim)
{
	return HASH_COUNT(claim->resources);
}

void claim_polled(struct claim *claim, struct resource *resource)
{
	if (resource->checked_at_ms - resource->noted_at_ms >= NOTE_MS &&
		list_empty(&resource->on_notes))
		list_append(&claim->notes, &resource->on_notes);
	/* A failing one stays, or one not stored: when it was asked would be forgotten. */
	if (resource->hand_over && resource->failures == 0 && !resource->uncommitted &&
		resource->hold == HOLD_KEPT && !claim->draining)
		release(claim, resource);
}

void claim_drop(struct claim *claim, struct resource *resource)
{
	char *address = xstrdup(resource->address);

	drop(claim, resource);
	consider(claim, address);
	free(address);
}
