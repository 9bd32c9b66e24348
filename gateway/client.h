#pragma once

/*
 * Client: what a connected client watches, whatever wire it is on.
 *
 * Owns the client's subscriptions and decides what goes out next: answers first, in
 * order, so that the acknowledgement of a subscribe is always ahead of its content; then
 * what the subscriptions are owed, oldest first, always the newest of each. Nothing is
 * queued for a client that is behind but a bounded number of answers.
 */

#include "common/catalog.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/document.h"
#include "common/list.h"
#include "common/metrics.h"
#include "gateway/access.h"
#include "gateway/frame.h"
#include "gateway/refusal.h"
#include "gateway/relay.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_ANSWERS_MAX 256               /* that wait to be sent */
#define CLIENT_ANSWER_BYTES_MAX (256u << 10) /* likewise */
#define CLIENT_REFRESH_MS 1000               /* between two of one client and resource */

/** What all clients of a gateway share; outlives them. */
struct client_shared {
	struct clock *clock;
	struct relay *relay;
	struct access *access;
	const struct catalog *catalog;
	struct config_gateway_limits limits;
	struct metrics *metrics;
	struct document document; /* every message is read into it, one at a time */
};

struct client;

/** How a wire sends. No function may free the client before it returns to the loop.
 */
struct client_wire {
	/* Hands @frame over, keeping it if it must. True: it will reach the client whole,
	 * or the connection ends. False: not now; the wire calls client_flush() when it
	 * can. @subscription is what it is about, not yet given it; NULL: an answer. */
	bool (*send)(struct client *client, struct frame *frame,
		const struct subscription *subscription);
	/* Around several calls of send(): what they hand over may go out together, at the
	 * latest in let_go(). Both NULL where the wire gains nothing by it. */
	void (*hold_back)(struct client *client);
	void (*let_go)(struct client *client);
	/* Reads what send() will need: see subscription_soon_fn. NULL: the wire gains
	 * nothing by it. */
	void (*soon)(const struct client *client);
	/* The client takes too little: end the connection. */
	void (*drop)(struct client *client, const char *reason);
};

/** Embedded in its wire. */
struct client {
	/* What a delivery needs comes first. */
	struct client_shared *shared;
	const struct client_wire *wire;
	struct list owing; /* those that are owed something, the longest waiting first */
	struct list answers; /* that wait to be sent */
	struct list holds;   /* its subscriptions */
	uint32_t answer_count;
	uint32_t answer_bytes;
	uint32_t hold_count;
	uint32_t serial; /* of the message being handled */
	bool single;     /* each subscribe replaces the one before */
	bool paused;
	bool authenticated; /* has shown a token, or none is wanted */
	bool handling;      /* a message: nothing but answers goes out before its end */
};

/**
 * @authenticated  it has shown a token while connecting; without effect where none is
 *                 wanted
 */
void client_init(struct client *client, struct client_shared *shared,
	const struct client_wire *wire, bool single, bool authenticated);

/** Ends all its subscriptions. */
void client_fini(struct client *client);

/** Does what a whole message asks for, and answers. */
void client_message(struct client *client, const char *bytes, size_t length);

/** Answers a message that is not done, unread where @bytes is NULL. */
void client_refuse(struct client *client, const char *bytes, size_t length,
	const struct refusal *refusal);

/** How a client wants to watch an address. */
struct client_wish {
	uint32_t interval_ms; /* 0: the default */
	uint64_t since;       /* the version it holds; 0: none, or none of ours */
	bool patches;         /* takes them where it sits at their base */
};

/**
 * Subscribes to @address, or changes how it is watched, as a message would. What is owed
 * then goes out with the next client_flush().
 *
 * False with the reason in @refusal.
 */
bool client_subscribe(struct client *client, const struct address *address,
	const struct client_wish *wish, struct refusal *refusal);

/**
 * Writes what the client holds once @about, one of its subscriptions, was given what it
 * is owed: a version per subscription (0: none), in the order they were made, with
 * commas.
 */
void client_write_versions(
	const struct client *client, const struct subscription *about, struct text *text);

/** Sends what is waiting, as far as the wire takes it. */
void client_flush(struct client *client);
