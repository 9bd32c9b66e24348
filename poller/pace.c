#include "poller/pace.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "common/memory.h"
#include "common/random.h"
#include "common/reply.h"

#define SECOND_US 1000000
/* Slots stand this much wider than the rate needs: a request may be sent or received this
 * part of a second late, and no second sees one too many. */
#define SPACING 1.05
#define SLOT_GRACE_US 25000 /* a slot that is this long ago is lost */
#define SLOTS_PER_S_MAX 500 /* above, a slot is worth several requests */
#define AHEAD_MS 700        /* into a second: then the next one is asked for */
#define AHEAD_SPREAD_MS 150
#define RETRY_MS 250 /* after a call that failed */
#define PART_BITS                                                                        \
	20 /* a part is given in 1/2^20 of a second's slots; scripts/budget.lua */

/* The slots of one second that are ours: those that fall between @from and @to. */
struct part {
	int64_t second;
	uint32_t from;
	uint32_t to;
};

struct budget {
	UT_hash_handle hh;
	struct pace *pace;
	struct list waiting; /* tickets, longest first */
	size_t waiting_count;
	size_t begun;
	uint32_t concurrency;
	bool serving; /* tickets are being called: nothing is freed, nobody else calls */

	/* only where there is a rate */
	double rate_per_s; /* 0: none */
	int64_t spacing_us;
	unsigned per_slot;    /* requests */
	unsigned left;        /* requests, of the slot taken last */
	unsigned owed;        /* requests that were sent without a slot */
	int64_t taken;        /* number of the slot taken last */
	int64_t used_second;  /* in which it was */
	unsigned used;        /* requests in that second */
	struct part parts[2]; /* the newest first */
	bool asking;
	int64_t ask_from_ms; /* not before, monotonic: after a call that failed */
	struct clock_timer tick;

	char name[];
};

struct pace {
	struct clock *clock;
	struct redis *redis;
	struct membership *membership;
	pace_turn_fn on_turn;
	void *user;
	struct budget *budgets; /* by name of the provider */
	size_t waiting;
	struct list asks; /* calls under way */
};

/* A call of the script; its budget may be gone when it is answered. */
struct ask {
	struct list link;
	struct budget *budget; /* or NULL */
};

static void budget_go_on(struct budget *budget);

/* ---- slots ---- */

static int64_t redis_us(const struct pace *pace)
{
	return membership_redis_ms(pace->membership) * 1000;
}

/* Neighbours fall far apart, so that every part has its slots evenly over the second. */
static uint32_t slot_place(int64_t slot)
{
	return (uint32_t)(((uint64_t)slot * 0x9E3779B97F4A7C15u) >> (64 - PART_BITS));
}

static const struct part *part_of(const struct budget *budget, int64_t second)
{
	for (size_t i = 0; i < 2; i++) {
		if (budget->parts[i].second == second)
			return &budget->parts[i];
	}
	return NULL;
}

static bool slot_is_ours(const struct budget *budget, int64_t slot)
{
	const struct part *part = part_of(budget, slot * budget->spacing_us / SECOND_US);
	uint32_t place = slot_place(slot);

	return part != NULL && place >= part->from && place < part->to;
}

/* The first slot that is ours and may still be used, or -1. */
static int64_t next_slot(const struct budget *budget)
{
	int64_t from_us = redis_us(budget->pace) - SLOT_GRACE_US;
	int64_t end_us = (budget->parts[0].second + 1) * SECOND_US;
	int64_t slot = (from_us + budget->spacing_us - 1) / budget->spacing_us;

	if (slot <= budget->taken)
		slot = budget->taken + 1;
	for (; slot * budget->spacing_us < end_us; slot++) {
		if (slot_is_ours(budget, slot))
			return slot;
	}
	return -1;
}

/* Returns whether a request may be sent now. */
static bool take_slot(struct budget *budget)
{
	int64_t now_us = redis_us(budget->pace);

	for (;;) {
		int64_t slot = next_slot(budget);

		/* What is left of a slot is as good as the slot was. */
		if (budget->left > 0 &&
			budget->taken * budget->spacing_us >= now_us - SLOT_GRACE_US)
			budget->left--;
		else if (slot >= 0 && slot * budget->spacing_us <= now_us) {
			budget->taken = slot;
			budget->left = budget->per_slot - 1;
		} else
			return false;
		if (budget->owed == 0)
			break;
		budget->owed--;
	}
	if (budget->used_second != now_us / SECOND_US)
		budget->used = 0;
	budget->used_second = now_us / SECOND_US;
	budget->used++;
	return true;
}

static void set_rate(struct budget *budget, double rate_per_s)
{
	if (budget->rate_per_s == rate_per_s)
		return;
	budget->rate_per_s = rate_per_s;
	if (rate_per_s <= 0)
		return;
	budget->per_slot = (unsigned)ceil(rate_per_s / SLOTS_PER_S_MAX);
	budget->spacing_us =
		(int64_t)ceil(SPACING * SECOND_US * budget->per_slot / rate_per_s);
	/* Numbers of slots mean other instants now. */
	budget->taken = (redis_us(budget->pace) + SECOND_US) / budget->spacing_us;
	budget->left = 0;
}

/* ---- asking for a part ---- */

static void keep_part(struct budget *budget, const redisReply *reply)
{
	struct part part = {(int64_t)reply_number(reply, 1),
		(uint32_t)reply_number(reply, 2), (uint32_t)reply_number(reply, 3)};

	if (part.second != budget->parts[0].second)
		budget->parts[1] = budget->parts[0];
	budget->parts[0] = part;
}

static void on_part(int error, const redisReply *reply, void *user)
{
	struct ask *ask = user;
	struct budget *budget = ask->budget;

	list_remove(&ask->link);
	free(ask);
	if (budget == NULL)
		return;
	budget->asking = false;
	if (error == 0 && reply->type == REDIS_REPLY_ARRAY && reply->elements == 4)
		keep_part(budget, reply);
	/* Failed, or Redis's clock was set back and we have not heard of it. */
	if (budget->parts[0].second < redis_us(budget->pace) / SECOND_US)
		budget->ask_from_ms = clock_now_ms(budget->pace->clock) + RETRY_MS;
	budget_go_on(budget);
}

static size_t demand(const struct budget *budget)
{
	int64_t second = redis_us(budget->pace) / SECOND_US;
	size_t used = second - budget->used_second <= 1 ? budget->used : 0;

	return budget->waiting_count + used > 0 ? budget->waiting_count + used : 1;
}

static void ask_for(struct budget *budget, int64_t second)
{
	struct pace *pace = budget->pace;
	struct ask *ask = xcalloc(1, sizeof(*ask));
	struct redis_args args = {0};
	int64_t rate = (int64_t)budget->rate_per_s;

	ask->budget = budget;
	list_append(&pace->asks, &ask->link);
	budget->asking = true;
	redis_args_text(&args, membership_session(pace->membership));
	redis_args_text(&args, budget->name);
	redis_args_number(&args, second);
	redis_args_number(&args, (int64_t)demand(budget));
	redis_args_number(&args, rate > 0 ? rate : 1);
	redis_script(pace->redis, REDIS_SCRIPT_BUDGET, &args, REDIS_URGENT, on_part, ask);
}

/* Whether this second has made or will make use of the rate. */
static bool in_use(const struct budget *budget)
{
	return budget->waiting_count > 0 ||
		budget->used_second == redis_us(budget->pace) / SECOND_US;
}

/* Asks if it is time to; returns when it will be, ms from now, or -1. */
static int64_t ask_in_turn(struct budget *budget)
{
	int64_t now_ms = membership_redis_ms(budget->pace->membership);
	int64_t second = now_ms / 1000, into_ms = now_ms % 1000;
	int64_t held_ms = budget->ask_from_ms - clock_now_ms(budget->pace->clock);

	if (budget->asking)
		return -1;
	if (!in_use(budget) || budget->parts[0].second > second)
		return 1000 - into_ms;
	if (held_ms > 0)
		return held_ms;
	if (budget->waiting_count > 0 && budget->parts[0].second < second)
		ask_for(budget, second);
	else if (into_ms >= AHEAD_MS)
		ask_for(budget, second + 1);
	else
		return AHEAD_MS - into_ms + (int64_t)random_below(AHEAD_SPREAD_MS);
	return -1;
}

/* ---- budgets ---- */

static void budget_free(struct budget *budget)
{
	struct pace *pace = budget->pace;

	list_each (link, &pace->asks) {
		struct ask *ask = container_of(link, struct ask, link);

		if (ask->budget == budget)
			ask->budget = NULL;
	}
	HASH_DEL(pace->budgets, budget);
	clock_timer_stop(&budget->tick);
	free(budget);
}

/* Parts are kept until they are over: no slot of theirs may be used twice. */
static bool is_idle(const struct budget *budget)
{
	return budget->waiting_count == 0 && budget->begun == 0 && !budget->asking &&
		(budget->rate_per_s <= 0 ||
			redis_us(budget->pace) / SECOND_US > budget->parts[0].second);
}

static void call_first(struct budget *budget)
{
	struct pace_ticket *ticket =
		container_of(list_take(&budget->waiting), struct pace_ticket, link);

	budget->waiting_count--;
	budget->pace->waiting--;
	budget->begun++;
	ticket->begun = true;
	budget->pace->on_turn(ticket, budget->pace->user);
}

static void wait_for_rate(struct budget *budget)
{
	int64_t delay_ms = ask_in_turn(budget);
	int64_t slot = -1;

	if (budget->waiting_count > 0 && budget->begun < budget->concurrency)
		slot = next_slot(budget);
	if (slot >= 0) {
		int64_t slot_us = slot * budget->spacing_us - redis_us(budget->pace);
		int64_t slot_ms = slot_us > 0 ? (slot_us + 999) / 1000 : 0;

		if (delay_ms < 0 || slot_ms < delay_ms)
			delay_ms = slot_ms;
	}
	if (delay_ms >= 0)
		clock_timer_start_in(&budget->tick, delay_ms);
}

/* Calls on whoever's turn it is, then waits for what comes next, or ends. */
static void budget_go_on(struct budget *budget)
{
	if (budget->serving)
		return;
	budget->serving = true;
	while (budget->waiting_count > 0 && budget->begun < budget->concurrency &&
		(budget->rate_per_s <= 0 || take_slot(budget)))
		call_first(budget);
	budget->serving = false;
	if (budget->rate_per_s > 0 && !is_idle(budget))
		wait_for_rate(budget);
}

static void on_tick(struct clock_timer *timer)
{
	budget_go_on(container_of(timer, struct budget, tick));
}

static struct budget *budget_of(
	struct pace *pace, const struct catalog_provider *provider)
{
	size_t length = strlen(provider->name);
	struct budget *budget;

	HASH_FIND_STR(pace->budgets, provider->name, budget);
	if (budget == NULL) {
		budget = xcalloc(1, sizeof(*budget) + length + 1);
		memcpy(budget->name, provider->name, length + 1);
		budget->pace = pace;
		list_init(&budget->waiting);
		clock_timer_init(&budget->tick, pace->clock, on_tick);
		HASH_ADD(hh, pace->budgets, name[0], (unsigned)length, budget);
	}
	/* They may have changed with a reload. */
	budget->concurrency =
		provider->limits.concurrency > 0 ? provider->limits.concurrency : 1;
	set_rate(budget, provider->limits.rate_per_s);
	return budget;
}

/* ---- public ---- */

struct pace *pace_new(struct clock *clock, struct redis *redis,
	struct membership *membership, pace_turn_fn on_turn, void *user)
{
	struct pace *pace = xcalloc(1, sizeof(*pace));

	pace->clock = clock;
	pace->redis = redis;
	pace->membership = membership;
	pace->on_turn = on_turn;
	pace->user = user;
	list_init(&pace->asks);
	return pace;
}

void pace_free(struct pace *pace)
{
	struct budget *budget, *next;

	if (pace == NULL)
		return;
	HASH_ITER(hh, pace->budgets, budget, next)
	{
		assert(budget->waiting_count == 0 && budget->begun == 0);
		budget_free(budget);
	}
	free(pace);
}

void pace_reload(struct pace *pace)
{
	struct budget *budget, *next;

	HASH_ITER(hh, pace->budgets, budget, next)
	{
		if (is_idle(budget))
			budget_free(budget);
	}
}

void pace_wait(struct pace *pace, const struct catalog_provider *provider,
	struct pace_ticket *ticket)
{
	struct budget *budget = budget_of(pace, provider);

	assert(ticket->budget == NULL);
	ticket->budget = budget;
	list_append(&budget->waiting, &ticket->link);
	budget->waiting_count++;
	pace->waiting++;
	budget_go_on(budget);
}

void pace_leave(struct pace_ticket *ticket, unsigned requests)
{
	struct budget *budget = ticket->budget;

	if (budget == NULL)
		return;
	ticket->budget = NULL;
	if (ticket->begun) {
		budget->begun--;
		if (requests > 1 && budget->rate_per_s > 0)
			budget->owed += requests - 1;
	} else {
		list_remove(&ticket->link);
		budget->waiting_count--;
		budget->pace->waiting--;
	}
	ticket->begun = false;
	if (budget->serving)
		return;
	/* Not from here: whoever leaves may be in the middle of ending it all. */
	if (budget->waiting_count > 0)
		clock_timer_start_in(&budget->tick, 0);
}

void pace_dissolve(struct pace *pace, const struct catalog_provider *provider)
{
	struct budget *budget;

	HASH_FIND_STR(pace->budgets, provider->name, budget);
	if (budget == NULL || budget->serving)
		return;
	budget->serving = true;
	while (budget->waiting_count > 0)
		call_first(budget);
	budget->serving = false;
	budget_go_on(budget);
}

size_t pace_waiting(const struct pace *pace)
{
	return pace->waiting;
}
