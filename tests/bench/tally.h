#pragma once

/*
 * Tally: what a swarm of clients was told, and whether it was the truth.
 *
 * Reads the gateway's messages (docs/protocol.md) in the form our own gateway writes
 * them; what it does not understand is counted, never guessed. Knows nothing of sockets.
 */

#include "tests/bench/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TALLY_NOTE_MAX 256

enum tally_state { TALLY_FRESH, TALLY_STALE, TALLY_ERROR, TALLY_GONE, TALLY_STATES };

struct tally_settings {
	const char *pattern; /* "/r/%d": addresses by number */
	size_t addresses;
	size_t clients;
	size_t per_client; /* addresses each client watches */
};

/** What one client holds of one address. */
struct tally_held {
	uint64_t version; /* 0: nothing yet */
};

/** The newest version of an address, and how it spread. */
struct tally_address {
	uint64_t version;
	uint64_t content_hash;   /* 0: nobody was told this version by content */
	uint64_t patch_hash;     /* likewise by patch; its base is in it */
	int64_t changed_at_us;   /* from the content; 0 where it does not say */
	int64_t served_at_us;    /* likewise */
	int64_t last_arrival_us; /* at a client that had content before */
};

struct tally {
	struct tally_settings settings;
	size_t prefix_length; /* of the pattern, before %d */
	const char *suffix;   /* of the pattern, after %d; NULL where it has none */
	struct tally_held *held;
	struct tally_address *newest;
	size_t missing; /* pairs of client and address without content */

	uint64_t messages;
	uint64_t bytes; /* of payload */
	uint64_t contents;
	uint64_t patches;
	uint64_t different; /* not what others were told of the same version */
	uint64_t broken;    /* patches whose base the client does not hold */
	uint64_t versions;  /* distinct ones, first contents not counted */
	uint64_t states[TALLY_STATES];
	uint64_t answers;
	uint64_t refusals;
	uint64_t strange;   /* not understood, or not asked for */
	uint64_t repeated;  /* the version the client had already */
	uint64_t backwards; /* a lower one */
	char first_refusal[TALLY_NOTE_MAX];
	char first_strange[TALLY_NOTE_MAX];

	/* From the change at the upstream, and from when the upstream first told of it.
	 */
	struct histogram delay;
	struct histogram relay_delay;
	/* The same to the last client that it reached. */
	struct histogram last_client_delay;
	struct histogram last_client_relay_delay;
};

/** The pattern must outlive @tally. */
void tally_init(struct tally *tally, const struct tally_settings *settings);
void tally_fini(struct tally *tally);

/** Number of the address that @client watches as its @index-th. */
size_t tally_number(const struct tally *tally, size_t client, size_t index);

/** Writes the address of @number; @buffer has room for the pattern and 20 bytes. */
size_t tally_write_address(const struct tally *tally, size_t number, char *buffer);

/** Takes one whole text message to @client. */
void tally_take(struct tally *tally, size_t client, const char *message, size_t length,
	int64_t now_us);

/** Measures from now on; what the clients hold stays. */
void tally_reset(struct tally *tally);

/** Ends it and writes members of a JSON object, without its braces. */
void tally_write(struct tally *tally, FILE *file);
