#pragma once

/*
 * Topics: the resources this gateway has subscribers for, and their newest state.
 *
 * A topic exists from its first subscription to its last, and until Redis has been told.
 * The table knows nothing of Redis or of sockets: the relay acts on its events and feeds
 * it (aggregates do so for their topics: aggregate.h); wires subscribe and are told that
 * there is something newer. Loop thread only.
 */

#include "common/catalog.h"
#include "common/change.h"
#include "common/clock.h"
#include "common/list.h"
#include "gateway/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct topic;
struct topic_table;
struct subscription;

/** Runs when @subscription is owed something: see subscription_owed(). It may send, and
 * may drop any subscription but must not make one. */
typedef void (*subscription_owed_fn)(struct subscription *subscription);

/** Runs for some subscriptions in a row that are about to be told: reads what on_owed
 * will need, and does nothing else. After a send little of that is left in the CPU's
 * cache; read in a row, it is waited for together and not each for itself. */
typedef void (*subscription_soon_fn)(const struct subscription *subscription);

/** One wire's hold on a topic; embedded in its owner. Zero it before subscribing. */
struct subscription {
	struct topic *topic; /* NULL while not subscribed */
	subscription_owed_fn on_owed;
	subscription_soon_fn on_soon; /* NULL: none; the owner may set it */
	uint64_t version_given;       /* what the subscriber holds; 0 for nothing */
	uint32_t state_given; /* serial of the last state handed over; 0 for none */
	uint32_t place;       /* among the topic's subscriptions */
	uint32_t interval_ms; /* granted; 0: the default, which is not known */
	uint32_t asked_ms;    /* 0: the default */
	bool patches;         /* takes patches where it sits at their base */
	bool paused;          /* by subscription_pause() only */
};

/** By Redis's clock, ms since 1970; 0: not known. */
struct topic_times {
	int64_t checked_at_ms; /* when the content was last confirmed */
	int64_t changed_at_ms; /* when it came to be what it is */
};

/** Told to who feeds the topic: the relay, or the aggregates. */
struct topic_events {
	/* The first subscription came, or interest changed (count, fastest interval). */
	void (*wanted)(struct topic *topic, void *user);
	/* The last subscription left; the relay ends with topic_forget(). */
	void (*unwanted)(struct topic *topic, void *user);
	/* Somebody is owed a content that is not here: the relay reads it. Idempotent. */
	void (*needed)(struct topic *topic, void *user);
	/* Somebody asks for a poll now. */
	void (*refreshed)(struct topic *topic, void *user);
	/* Everybody there is was served what an upstream's answer, which ended then by
	 * the wall clock of a poller's host, has changed. NULL: nobody measures. */
	void (*served)(int64_t answered_at_ms, void *user);
	/* Somebody asks when, or how often; NULL: by what was applied. */
	struct topic_times (*times)(const struct topic *topic, void *user);
	uint32_t (*interval)(const struct topic *topic, void *user);
};

struct topic_table *topic_table_new(
	struct clock *clock, const struct topic_events *events, void *user);

/** Who is told of the topics that are aggregates; without it there can be none. */
void topic_table_aggregates(
	struct topic_table *table, const struct topic_events *events, void *user);
void topic_table_free(struct topic_table *table); /* no subscription may be left */

enum topic_outcome {
	TOPIC_OK = 0,
	TOPIC_PROVIDER_FULL = 1, /* the provider's raw_addresses_max is reached */
};

/**
 * Subscribes to @address, making the topic if it is the first.
 *
 * @target        from catalog_resolve(); not kept
 * @interval_ms   what the subscriber asks for, 0 for the default; the granted one (within
 *                the target's bounds) is in subscription->interval_ms afterwards
 * @subscription  zeroed; on_owed is set by this call
 *
 * Does not call on_owed: the caller looks at subscription_owed() when it is ready to
 * send.
 */
enum topic_outcome topic_subscribe(struct topic_table *table, const char *address,
	const struct catalog_target *target, uint32_t interval_ms,
	struct subscription *subscription, subscription_owed_fn on_owed);

/** Accepts one that is not subscribed. */
void topic_unsubscribe(struct subscription *subscription);

/**
 * The interval to tell the subscriber: the fleet's, where that is faster than the granted
 * one. 0: not known.
 */
uint32_t subscription_told_ms(const struct subscription *subscription);

/** Changes what a live subscription asks for; 0 for the default. */
void subscription_set_interval(struct subscription *subscription, uint32_t interval_ms);

/** A paused subscription neither counts as interest nor is owed anything. */
void subscription_pause(struct subscription *subscription, bool paused);

/** Makes the content owed once more (subscribing again). */
void subscription_again(struct subscription *subscription);

/**
 * What a subscriber says it holds ("since"): if it is current, no content is owed. If it
 * is newer than what is here, Redis is read before anything is said.
 */
void subscription_holds(struct subscription *subscription, uint64_t version);

/**
 * The frame that @subscription should get next, or NULL when it has everything there is
 * now: the patch or content first, then a state that is not fresh or newly fresh. The
 * frame belongs to the topic; keep it with frame_keep() beyond the next turn. When it was
 * handed over (whole, or to somebody who will finish), call subscription_given().
 */
struct frame *subscription_owed(struct subscription *subscription);
void subscription_given(struct subscription *subscription);

/** What the subscriber holds once it was given that frame; a state changes nothing. */
uint64_t subscription_version_owed(const struct subscription *subscription);

/** Whether it may be owed something that its topic is about to tell its subscribers. */
bool subscription_is_next(const struct subscription *subscription);

/** Asks for a poll now. Rate limiting is the caller's. */
void topic_refresh(struct topic *topic);

/* ---- looking ---- */

const char *topic_address(const struct topic *topic);

/** The state to tell: the relay's own doubt where it has one, else the stored one. */
enum resource_state topic_state(const struct topic *topic);

/** The error object as JSON text; empty where there is none. */
struct bytes topic_error(const struct topic *topic);

/** The same without the gateway's own doubt: alike on every gateway. */
enum resource_state topic_stored_state(const struct topic *topic);
struct bytes topic_stored_error(const struct topic *topic);

/** The content's own bytes; start is NULL where the newest is not here. */
struct bytes topic_content(const struct topic *topic);
/** The patch to the version held, and what it starts from; start is NULL for none. */
struct bytes topic_patch(const struct topic *topic, uint64_t *base);
/** Of a text; empty for JSON. */
struct bytes topic_media_type(const struct topic *topic);
uint64_t topic_version(const struct topic *topic);  /* 0: none */
uint64_t topic_revision(const struct topic *topic); /* 0: none */
struct topic_times topic_times(const struct topic *topic);
int64_t topic_checked_at_ms(const struct topic *topic); /* of its times */
/** How often it is polled, by its owner's last commit; 0: not known. */
uint32_t topic_interval_ms(const struct topic *topic);

struct topic *topic_find(struct topic_table *table, const char *address, size_t length);

/** The same, but NULL for an aggregate: of those Redis knows nothing. */
struct topic *topic_find_fed(
	struct topic_table *table, const char *address, size_t length);
size_t topic_count(const struct topic_table *table);
size_t topic_subscription_count(const struct topic_table *table);

/** Topics that are telling their subscribers of something new. */
size_t topics_fanning_out(const struct topic_table *table);

/* ---- for who feeds it ---- */

/** What is registered in Redis for a topic. */
struct topic_interest {
	uint32_t subscribers; /* that are not paused */
	uint32_t interval_ms; /* the fastest asked for, 0: the default will do */
};
struct topic_interest topic_interest(const struct topic *topic);

/** Subscriptions of any kind, paused ones too. */
uint32_t topic_subscribers(const struct topic *topic);

/**
 * Whether somebody asks, just now, for polls faster than every @registered_ms (0: the
 * default). In events.wanted only.
 */
bool topic_wants_faster(const struct topic *topic, uint32_t registered_ms);

/** The interval that polls keep to at most: the owner's, or what our viewers were
 * granted. */
uint32_t topic_pace_ms(const struct topic *topic);

/** The relay's own data in each topic, and back. */
struct relay_link *topic_relay_link(struct topic *topic);
struct topic *topic_of_relay_link(struct relay_link *link);

/**
 * Applies stored state, from a change or a re-read, and tells the subscriptions. Ignored
 * unless its revision is above the one held, or it brings the content that is missing.
 *
 * @change  with the content of its version; or with a patch from the version held; or
 * with neither, where the version is the one held
 *
 * Returns 0, TOPIC_AHEAD where Redis has forgotten the version held and has an older one
 * (ignored: registering makes ours a floor), -ENOMEM (nothing changed), or -ESTALE where
 * what is held and @change do not fit: the caller re-reads.
 */
#define TOPIC_AHEAD 1
int topic_apply(struct topic *topic, const struct change *change);

/**
 * Redis was read: everybody is asked again, and whoever claimed to hold something newer
 * than this is given it.
 */
void topic_was_read(struct topic *topic);

/** Notes a confirmation that no change came with (from a sweep). */
void topic_checked(struct topic *topic, int64_t checked_at_ms);

/**
 * Sets or withdraws (@code NULL) the gateway's own doubt: it cannot vouch for the topic.
 * Tells the subscriptions once per change of @code.
 *
 * @code     "no_poller", "redis_unavailable" or "unconfirmed"; not copied
 * @message  one plain sentence
 * @since_ms wall clock, for the error object
 */
void topic_doubt(
	struct topic *topic, const char *code, const char *message, int64_t since_ms);

/** The code of the doubt, or NULL. */
const char *topic_doubt_code(const struct topic *topic);

/**
 * The catalog is another, and @target is what it says of the topic: what subscribers are
 * granted follows. One that was unknown is wanted again; its doubt stays until Redis was
 * asked. Where the address is an aggregate's now and was none, or the reverse, another
 * topic takes over its subscriptions, and this one ends as any that nobody wants.
 */
void topic_retarget(struct topic *topic, const struct catalog_target *target);

/**
 * The catalog knows the topic no more: it counts as interest no longer, and its
 * subscribers hear of that, and of nothing else until topic_retarget(). Arguments as in
 * topic_doubt(), which has no effect meanwhile.
 */
void topic_set_unknown(
	struct topic *topic, const char *code, const char *message, int64_t since_ms);

bool topic_is_known(const struct topic *topic);

/** Frees a topic without subscriptions. */
void topic_forget(struct topic *topic);

/**
 * Walks all topics but the aggregates; @visit must not forget any but the one it is
 * given.
 */
void topic_each(struct topic_table *table, void (*visit)(struct topic *topic, void *user),
	void *user);
