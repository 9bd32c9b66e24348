#pragma once

/*
 * Keyspace: what one simulated Redis holds, in memory, under virtual time.
 *
 * Strings, hashes, sets and sorted sets, with expiry. Orders come from insertion and from
 * a fixed hash, never from pointers or seeds, so that a run is the same every time. Made
 * for some hundred keys with some dozen fields: a lookup is a walk over hashes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum keyspace_type {
	KEYSPACE_STRING,
	KEYSPACE_HASH,
	KEYSPACE_SET,
	KEYSPACE_ZSET,
};

/** Bytes with a NUL behind them. */
struct keyspace_text {
	char *bytes;
	size_t length;
};

struct keyspace_field {
	uint32_t hash; /* of the name */
	struct keyspace_text name;
	struct keyspace_text value; /* of hashes; bytes NULL elsewhere */
	double score;               /* of sorted sets */
};

#define KEYSPACE_FOREVER INT64_MAX

struct keyspace_entry {
	uint32_t hash; /* of the name */
	enum keyspace_type type;
	int64_t expires_at_ms; /* by the keyspace's clock, or KEYSPACE_FOREVER */
	struct keyspace_text name;
	struct keyspace_text value; /* of strings; bytes NULL elsewhere */
	struct keyspace_field *fields;
	size_t field_count;
	size_t field_capacity;
};

struct keyspace {
	struct keyspace_entry *entries;
	size_t entry_count;
	size_t entry_capacity;
	int64_t now_us;        /* the server's wall clock, set by its owner */
	uint64_t random_state; /* for commands that choose */
	bool refuses_writes;   /* answers OOM to what would need memory */
	/* A PUBLISH: returns how many got it. */
	int64_t (*on_publish)(const struct keyspace_text *channel,
		const struct keyspace_text *payload, void *user);
	void *user;
};

void keyspace_init(struct keyspace *keyspace, uint64_t seed);

/** Drops every key. */
void keyspace_flush(struct keyspace *keyspace);

/** Makes @copy hold what @keyspace holds; the rest of it stays as it is. */
void keyspace_copy(struct keyspace *copy, const struct keyspace *keyspace);

/** Drops what has expired, which lookups also do for what they meet. */
void keyspace_expire(struct keyspace *keyspace);

/** A pseudo-random number from 0 to @below − 1. */
size_t keyspace_random_below(struct keyspace *keyspace, size_t below);

/* ---- keys; pointers are valid until a key is made or removed ---- */

/** The living key, or NULL. */
struct keyspace_entry *keyspace_find(
	struct keyspace *keyspace, const char *name, size_t length);

/** Adds a key, which must not be there, without a value or fields. */
struct keyspace_entry *keyspace_add(struct keyspace *keyspace, enum keyspace_type type,
	const char *name, size_t length);

void keyspace_remove(struct keyspace *keyspace, struct keyspace_entry *entry);

void keyspace_text_set(struct keyspace_text *text, const char *bytes, size_t length);

/* ---- fields and members; pointers are valid until one is added or removed ---- */

struct keyspace_field *keyspace_field_find(
	const struct keyspace_entry *entry, const char *name, size_t length);

/** Finds or adds. @added may be NULL. */
struct keyspace_field *keyspace_field_put(
	struct keyspace_entry *entry, const char *name, size_t length, bool *added);

/** Does not remove the key with the last of its fields. */
void keyspace_field_remove(struct keyspace_entry *entry, struct keyspace_field *field);

/**
 * One step of a scan, with Redis's promise: what is there from the first step to the last
 * is visited.
 *
 * @cursor  0 to begin
 * @count   about how many to visit
 *
 * Returns the next cursor, 0 at the end.
 */
uint64_t keyspace_scan(const struct keyspace_entry *entry, uint64_t cursor, size_t count,
	void (*visit)(const struct keyspace_field *field, void *user), void *user);
