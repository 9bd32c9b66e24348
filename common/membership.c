#include "common/membership.h"

#include "common/keys.h"
#include "common/list.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/random.h"
#include "common/reply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REAP_BATCH 500 /* addresses per call: a few ms of Redis */
#define RETRY_MS 500   /* after an answer that Redis cannot now */

enum membership_state {
	MEMBERSHIP_OUT,      /* no session is registered */
	MEMBERSHIP_ENTERING, /* enter was sent */
	MEMBERSHIP_IN,       /* registered; the lease may have run out all the same */
	MEMBERSHIP_LEAVING,  /* buried ourselves, giving up what we held */
};

static const char *const state_names[] = {"out", "entering", "in", "leaving"};

struct membership {
	struct clock *clock;
	struct redis *redis;
	struct membership_settings settings;
	struct membership_events events;
	void *user;

	enum membership_state state;
	char session[SESSION_MAX + 1];
	struct clock_timer beat; /* the next enter or renew */
	bool renewing;           /* one is under way */
	int64_t sent_at_ms;      /* the renewal under way */
	int64_t lease_end_ms;    /* monotonic */
	int64_t valid_since_ms;  /* monotonic */
	int64_t bury_from_ms;    /* monotonic */
	int64_t redis_ahead_ms;  /* Redis's clock minus our monotonic one */

	struct member *pollers;
	size_t poller_count;
	size_t fleet_size; /* sessions of both kinds */

	struct redis_args args; /* the renewal being built */
	struct redis_args facts;
	struct redis_args checked;

	void (*on_left)(void *user);
	void *left_user;
};

static void beat(struct membership *membership);

static const char *kind_name(const struct membership *membership)
{
	return membership->settings.kind == MEMBERSHIP_POLLER ? "poller" : "gateway";
}

/* The only writer of membership->state. */
static void membership_enter(struct membership *membership, enum membership_state state)
{
	log_debug("membership %s -> %s session=%s", state_names[membership->state],
		state_names[state], membership->session);
	membership->state = state;
}

static void new_session(struct membership *membership)
{
	snprintf(membership->session, sizeof(membership->session), "%c%016" PRIx64,
		kind_name(membership)[0], random_u64());
}

static void listen_on_own_channel(struct membership *membership)
{
	struct key key;

	key_write(&key, redis_prefix(membership->redis), KEYS_TO, membership->session);
	redis_listen(membership->redis, key.text, key.length);
}

/* Whoever was silent for a while does not bury: the others may have been cut off too. */
static void hold_back_burying(struct membership *membership)
{
	membership->bury_from_ms =
		clock_now_ms(membership->clock) + membership->settings.lease_ms;
}

static void lose(struct membership *membership)
{
	log_warn("session was buried, starting over under a new one session=%s",
		membership->session);
	membership_enter(membership, MEMBERSHIP_OUT);
	new_session(membership);
	listen_on_own_channel(membership);
	membership->events.on_lost(membership->user);
	beat(membership);
}

/* ---- what a renewal answers ---- */

static void note_redis_time(struct membership *membership, const char *now)
{
	membership->redis_ahead_ms = strtoll(now, NULL, 10) - membership->sent_at_ms;
}

static int compare_members(const void *a, const void *b)
{
	return strcmp(
		((const struct member *)a)->session, ((const struct member *)b)->session);
}

/* Returns whether the set of pollers, or who of them is alive, changed. */
static bool take_pollers(struct membership *membership, const redisReply *list)
{
	size_t count = list->type == REDIS_REPLY_ARRAY ? list->elements / 2 : 0;
	struct member *pollers = xcalloc(count + 1, sizeof(*pollers));
	bool changed = count != membership->poller_count;

	for (size_t i = 0; i < count; i++) {
		snprintf(pollers[i].session, sizeof(pollers[i].session), "%s",
			reply_word(list, 2 * i));
		pollers[i].lease_end_ms = strtoll(reply_word(list, 2 * i + 1), NULL, 10);
		pollers[i].alive =
			pollers[i].lease_end_ms > membership_redis_ms(membership);
	}
	qsort(pollers, count, sizeof(*pollers), compare_members);
	for (size_t i = 0; i < count && !changed; i++) {
		const struct member *before = &membership->pollers[i];

		changed = strcmp(pollers[i].session, before->session) != 0 ||
			pollers[i].alive != before->alive;
	}
	free(membership->pollers);
	membership->pollers = pollers;
	membership->poller_count = count;
	return changed;
}

static void reap(struct membership *membership, const char *kind, const char *session)
{
	struct redis_args args = {0};

	redis_args_text(&args, kind);
	redis_args_text(&args, session);
	redis_args_text(&args, membership_may_bury(membership) ? "1" : "0");
	redis_args_number(&args, REAP_BATCH);
	redis_script(
		membership->redis, REDIS_SCRIPT_REAP, &args, REDIS_NORMAL, NULL, NULL);
}

/* Pollers clean up after gateways: they are where polling for nobody would go on. */
static void reap_gateways(struct membership *membership, const redisReply *list)
{
	if (membership->settings.kind != MEMBERSHIP_POLLER ||
		list->type != REDIS_REPLY_ARRAY || !membership_may_bury(membership))
		return;
	for (size_t i = 0; i < list->elements; i++)
		reap(membership, "gateway", reply_word(list, i));
}

static void on_renewed(int error, const redisReply *reply, void *user)
{
	struct membership *membership = user;
	bool was_valid = membership_valid(membership);

	membership->renewing = false;
	if (membership->state != MEMBERSHIP_IN || error != 0)
		return;
	if (reply_is(reply, 0, "lost")) {
		lose(membership);
		return;
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 6)
		return;
	if (!was_valid) {
		hold_back_burying(membership);
		membership->valid_since_ms = clock_now_ms(membership->clock);
	}
	membership->lease_end_ms = membership->sent_at_ms + membership->settings.lease_ms;
	note_redis_time(membership, reply_word(reply, 1));
	if (take_pollers(membership, reply->element[2]))
		membership->events.on_peers(membership->user);
	reap_gateways(membership, reply->element[3]);
	membership->fleet_size = (size_t)reply->element[5]->integer;
	membership->events.on_renewed(
		(size_t)reply->element[4]->integer, membership->user);
}

static void send_renewal(struct membership *membership)
{
	struct redis_args *args = &membership->args;
	size_t at = 0;

	membership->events.on_renewing(membership->user);
	redis_args_text(args, kind_name(membership));
	redis_args_text(args, membership->session);
	redis_args_number(args, membership->settings.lease_ms);
	redis_args_number(args, (int64_t)membership->facts.count / 2);
	for (size_t i = 0; i < membership->facts.count; i++) {
		redis_args_add(
			args, membership->facts.bytes + at, membership->facts.lengths[i]);
		at += membership->facts.lengths[i];
	}
	at = 0;
	for (size_t i = 0; i < membership->checked.count; i++) {
		redis_args_add(args, membership->checked.bytes + at,
			membership->checked.lengths[i]);
		at += membership->checked.lengths[i];
	}
	redis_args_fini(&membership->facts);
	redis_args_fini(&membership->checked);
	membership->renewing = true;
	membership->sent_at_ms = clock_now_ms(membership->clock);
	redis_script(membership->redis, REDIS_SCRIPT_RENEW, args, REDIS_URGENT,
		on_renewed, membership);
}

/* ---- entering ---- */

static void on_entered(int error, const redisReply *reply, void *user)
{
	struct membership *membership = user;

	membership->renewing = false;
	if (membership->state != MEMBERSHIP_ENTERING)
		return;
	if (error != 0) {
		membership_enter(membership, MEMBERSHIP_OUT);
		return;
	}
	if (!reply_is(reply, 0, "entered")) {
		lose(membership);
		return;
	}
	membership->lease_end_ms = membership->sent_at_ms + membership->settings.lease_ms;
	note_redis_time(membership, reply_word(reply, 1));
	membership->valid_since_ms = clock_now_ms(membership->clock);
	hold_back_burying(membership);
	membership_enter(membership, MEMBERSHIP_IN);
	log_info("session entered session=%s lease_ms=%u", membership->session,
		membership->settings.lease_ms);
	membership->events.on_entered(membership->user);
	/* The first renewal brings the list of pollers. */
	clock_timer_start_in(&membership->beat, 0);
}

static void send_enter(struct membership *membership)
{
	struct redis_args args = {0};

	membership_enter(membership, MEMBERSHIP_ENTERING);
	redis_args_text(&args, kind_name(membership));
	redis_args_text(&args, membership->session);
	redis_args_number(&args, membership->settings.lease_ms);
	redis_args_text(&args, "host");
	redis_args_text(&args, membership->settings.host);
	redis_args_text(&args, "pid");
	redis_args_number(&args, getpid());
	redis_args_text(&args, "version");
	redis_args_text(&args, membership->settings.version);
	membership->renewing = true;
	membership->sent_at_ms = clock_now_ms(membership->clock);
	redis_script(membership->redis, REDIS_SCRIPT_ENTER, &args, REDIS_URGENT,
		on_entered, membership);
}

/* Enters or renews, whichever is due; never two at once. */
static void beat(struct membership *membership)
{
	clock_timer_start_in(&membership->beat, membership->settings.lease_ms / 3);
	if (membership->renewing || membership->state == MEMBERSHIP_LEAVING ||
		!redis_is_up(membership->redis))
		return;
	if (membership->state == MEMBERSHIP_IN)
		send_renewal(membership);
	else
		send_enter(membership);
}

static void on_beat(struct clock_timer *timer)
{
	beat(container_of(timer, struct membership, beat));
}

/* ---- leaving ---- */

static void on_reaped(int error, const redisReply *reply, void *user);

static void left(struct membership *membership)
{
	clock_timer_stop(&membership->beat);
	membership->on_left(membership->left_user);
}

static void reap_self(struct membership *membership)
{
	struct redis_args args = {0};

	redis_args_text(&args, kind_name(membership));
	redis_args_text(&args, membership->session);
	redis_args_text(&args, "0");
	redis_args_number(&args, REAP_BATCH);
	redis_script(membership->redis, REDIS_SCRIPT_REAP, &args, REDIS_URGENT, on_reaped,
		membership);
}

static void on_reaped(int error, const redisReply *reply, void *user)
{
	if (error == 0 && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0)
		reap_self(user);
	else
		left(user);
}

static void on_buried_self(int error, const redisReply *reply, void *user)
{
	(void)reply;
	if (error == 0)
		reap_self(user);
	else
		left(user);
}

static void bury_self(struct membership *membership)
{
	struct redis_args args = {0};

	redis_args_text(&args, kind_name(membership));
	redis_args_text(&args, membership->session);
	redis_script(membership->redis, REDIS_SCRIPT_LEAVE, &args, REDIS_URGENT,
		on_buried_self, membership);
}

void membership_leave(
	struct membership *membership, void (*on_left)(void *user), void *user)
{
	bool registered = membership->state == MEMBERSHIP_IN;

	membership->on_left = on_left;
	membership->left_user = user;
	membership_enter(membership, MEMBERSHIP_LEAVING);
	/* So that the next owner knows when everything was checked last. */
	if (registered)
		send_renewal(membership);
	bury_self(membership);
}

/* ---- public ---- */

struct membership *membership_new(struct clock *clock, struct redis *redis,
	const struct membership_settings *settings,
	const struct membership_events *events, void *user)
{
	struct membership *membership = xcalloc(1, sizeof(*membership));

	membership->clock = clock;
	membership->redis = redis;
	membership->settings = *settings;
	membership->events = *events;
	membership->user = user;
	membership->redis_ahead_ms = clock_wall_ms(clock) - clock_now_ms(clock);
	clock_timer_init(&membership->beat, clock, on_beat);
	new_session(membership);
	listen_on_own_channel(membership);
	return membership;
}

void membership_free(struct membership *membership)
{
	if (membership == NULL)
		return;
	clock_timer_stop(&membership->beat);
	redis_args_fini(&membership->facts);
	redis_args_fini(&membership->checked);
	free(membership->pollers);
	free(membership);
}

void membership_on_up(struct membership *membership)
{
	if (membership->state == MEMBERSHIP_LEAVING)
		return;
	hold_back_burying(membership);
	beat(membership);
}

void membership_on_down(struct membership *membership)
{
	if (membership->state != MEMBERSHIP_LEAVING)
		clock_timer_start_in(&membership->beat, RETRY_MS);
}

const char *membership_session(const struct membership *membership)
{
	return membership->session;
}

bool membership_valid(const struct membership *membership)
{
	return membership->state == MEMBERSHIP_IN &&
		clock_now_ms(membership->clock) < membership->lease_end_ms;
}

int64_t membership_valid_since_ms(const struct membership *membership)
{
	return membership_valid(membership) ? membership->valid_since_ms : INT64_MAX;
}

bool membership_may_bury(const struct membership *membership)
{
	return membership_valid(membership) &&
		clock_now_ms(membership->clock) >= membership->bury_from_ms;
}

int64_t membership_redis_ms(const struct membership *membership)
{
	return clock_now_ms(membership->clock) + membership->redis_ahead_ms;
}

size_t membership_pollers(
	const struct membership *membership, const struct member **pollers)
{
	*pollers = membership->pollers;
	return membership->poller_count;
}

size_t membership_fleet_size(const struct membership *membership)
{
	return membership->fleet_size > 0 ? membership->fleet_size : 1;
}

void membership_on_left(struct membership *membership, const char *session)
{
	for (size_t i = 0; i < membership->poller_count; i++) {
		struct member *member = &membership->pollers[i];

		if (!member->alive || strcmp(member->session, session) != 0)
			continue;
		member->alive = false;
		member->lease_end_ms = 0;
		membership->events.on_peers(membership->user);
	}
}

void membership_checked(
	struct membership *membership, const char *address, int64_t checked_at_ms)
{
	redis_args_text(&membership->checked, address);
	redis_args_number(&membership->checked, checked_at_ms);
}

void membership_fact(struct membership *membership, const char *field, int64_t value)
{
	redis_args_text(&membership->facts, field);
	redis_args_number(&membership->facts, value);
}

void membership_fact_text(
	struct membership *membership, const char *field, const char *value)
{
	redis_args_text(&membership->facts, field);
	redis_args_text(&membership->facts, value);
}
