#pragma once

/*
 * Keys: the only place that spells the names of what lies in Redis.
 *
 * KEYS_EACH is also read by common/scripts/build.py, which makes the Lua prelude of it,
 * so that a name stands once. Entries are (C name, Lua name, text after the prefix).
 */

#include <stddef.h>

/* One line per entry: build.py reads them by their shape. */
/* clang-format off */
#define KEYS_EACH(KEY) \
	KEY(KEYS_RESOURCE, resource, "resource:") /* + address: hash */ \
	KEY(KEYS_LOCK, lock, "lock:")             /* + address: string, session */ \
	KEY(KEYS_INTEREST, interest, "interest:") /* + address: hash, gateway to its share */ \
	KEY(KEYS_UNCLAIMED, unclaimed, "unclaimed") /* set of addresses */ \
	KEY(KEYS_POLLERS, pollers, "pollers")       /* zset, session to end of lease */ \
	KEY(KEYS_GATEWAYS, gateways, "gateways")    /* zset, session to end of lease */ \
	KEY(KEYS_POLLER, poller, "poller:")         /* + session: hash, for looking */ \
	KEY(KEYS_GATEWAY, gateway, "gateway:")      /* + session: hash, for looking */ \
	KEY(KEYS_OWNED, owned, "owned:")            /* + session: hash, address to checked_at */ \
	KEY(KEYS_INTERESTS, interests, "interests:") /* + session: set of addresses */ \
	KEY(KEYS_PROVIDER, provider, "provider:")    /* + provider: hash */ \
	KEY(KEYS_CHANGE, change, "change:")          /* + address: channel */ \
	KEY(KEYS_WAKE, wake, "wake")                 /* channel */ \
	KEY(KEYS_TO, to, "to:")                      /* + session: channel */
/* clang-format on */

enum keys_name {
#define KEY(c_name, lua_name, text) c_name,
	KEYS_EACH(KEY)
#undef KEY
};

#define KEYS_PREFIX_MAX 64
#define KEYS_MAX (KEYS_PREFIX_MAX + 1 + 16 + 2048) /* longest key without the NUL */

/** A key or channel name, ready to be sent. */
struct key {
	size_t length;
	char text[KEYS_MAX + 1];
};

/**
 * Writes the name of @name under @prefix ("uricast", or "{uricast:3}") into @key.
 *
 * @suffix  address, session or provider; "" for the names that stand alone
 */
void key_write(
	struct key *key, const char *prefix, enum keys_name name, const char *suffix);

/**
 * The reverse: whether @text of @length bytes is a key of @name under @prefix.
 *
 * Returns the part after it (into @text), or NULL.
 */
const char *key_suffix(
	const char *prefix, enum keys_name name, const char *text, size_t length);
