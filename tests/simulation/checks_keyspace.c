#include "tests/simulation/checks_keyspace.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/simulation/simulation.h"

#define RETENTION_MS 60000 /* as in common/scripts/prelude.lua */

/* ---- looking ---- */

static struct keyspace_entry *find(
	struct keyspace *keyspace, const char *kind, const char *suffix)
{
	char name[256];
	int length = snprintf(name, sizeof(name), "%s:%s%s", SERVER_PREFIX, kind, suffix);

	return keyspace_find(keyspace, name, (size_t)length);
}

static const struct keyspace_field *find_field(struct keyspace *keyspace,
	const char *kind, const char *suffix, const char *field)
{
	struct keyspace_entry *entry = find(keyspace, kind, suffix);

	return entry ? keyspace_field_find(entry, field, strlen(field)) : NULL;
}

const char *keyspace_lock(struct keyspace *keyspace, const char *address)
{
	struct keyspace_entry *entry = find(keyspace, "lock:", address);

	return entry ? entry->value.bytes : NULL;
}

const char *keyspace_stored(
	struct keyspace *keyspace, const char *address, const char *field)
{
	const struct keyspace_field *found =
		find_field(keyspace, "resource:", address, field);

	return found ? found->value.bytes : NULL;
}

const char *keyspace_share(
	struct keyspace *keyspace, const char *address, const char *gateway)
{
	const struct keyspace_field *found =
		find_field(keyspace, "interest:", address, gateway);

	return found ? found->value.bytes : NULL;
}

int64_t keyspace_lease_end_ms(
	struct keyspace *keyspace, const char *set, const char *session)
{
	const struct keyspace_field *found = find_field(keyspace, set, "", session);

	return found ? (int64_t)found->score : -1;
}

/* ---- each entry has its counterpart ---- */

static bool is_lock_of(
	struct keyspace *keyspace, const char *address, const char *session)
{
	const char *holder = keyspace_lock(keyspace, address);

	return holder && strcmp(holder, session) == 0;
}

/* Somebody will find it: it is offered, or its holder is known and alive, or to be
 * reaped.
 */
static bool is_findable(struct keyspace *keyspace, const char *address)
{
	const char *holder = keyspace_lock(keyspace, address);

	if (find_field(keyspace, "unclaimed", "", address))
		return true;
	return holder && keyspace_lease_end_ms(keyspace, "pollers", holder) >= 0;
}

static void check_lock(struct simulation *simulation, const char *address,
	const struct keyspace_entry *entry)
{
	struct keyspace *keyspace = &simulation->server.keyspace;
	const char *session = entry->value.bytes;

	if (!find_field(keyspace, "owned:", session, address))
		world_fail(&simulation->world,
			"lock:%s names %s, owned:%s does not name it", address, session,
			session);
	else if (keyspace_lease_end_ms(keyspace, "pollers", session) < 0)
		world_fail(&simulation->world,
			"lock:%s names %s, which is not in pollers", address, session);
}

static void check_owned(struct simulation *simulation, const char *session,
	const struct keyspace_entry *entry)
{
	for (size_t i = 0; i < entry->field_count; i++) {
		const char *address = entry->fields[i].name.bytes;

		if (!is_lock_of(&simulation->server.keyspace, address, session))
			world_fail(&simulation->world,
				"owned:%s has %s, whose lock does not name it", session,
				address);
	}
}

static void check_interest(struct simulation *simulation, const char *address,
	const struct keyspace_entry *entry)
{
	struct keyspace *keyspace = &simulation->server.keyspace;

	for (size_t i = 0; i < entry->field_count; i++) {
		const char *gateway = entry->fields[i].name.bytes;

		if (!find_field(keyspace, "interests:", gateway, address))
			world_fail(&simulation->world,
				"interest:%s has %s, interests:%s does not have it",
				address, gateway, gateway);
	}
	if (!is_findable(keyspace, address))
		world_fail(&simulation->world,
			"%s has interest, and no poller would find it", address);
}

static void check_interests(struct simulation *simulation, const char *gateway,
	const struct keyspace_entry *entry)
{
	struct keyspace *keyspace = &simulation->server.keyspace;

	for (size_t i = 0; i < entry->field_count; i++) {
		const char *address = entry->fields[i].name.bytes;

		if (!find_field(keyspace, "interest:", address, gateway))
			world_fail(&simulation->world,
				"interests:%s has %s, interest:%s does not have it",
				gateway, address, address);
	}
	if (keyspace_lease_end_ms(keyspace, "gateways", gateway) < 0)
		world_fail(&simulation->world,
			"interests:%s is there, and it is not in gateways", gateway);
}

/* What nobody wants and nobody holds does not stay longer than its retention. */
static void check_resource(struct simulation *simulation, const char *address,
	const struct keyspace_entry *entry)
{
	struct keyspace *keyspace = &simulation->server.keyspace;
	int64_t left_ms = entry->expires_at_ms - keyspace->now_us / 1000;

	if (left_ms > RETENTION_MS && !keyspace_lock(keyspace, address) &&
		!find(keyspace, "interest:", address))
		world_fail(&simulation->world,
			"resource:%s stays, and nobody wants or holds it", address);
}

static void check_unclaimed(struct simulation *simulation, const char *nothing,
	const struct keyspace_entry *entry)
{
	struct keyspace *keyspace = &simulation->server.keyspace;

	(void)nothing;
	for (size_t i = 0; i < entry->field_count; i++) {
		const char *address = entry->fields[i].name.bytes;
		const char *holder = keyspace_lock(keyspace, address);

		if (holder && keyspace_lease_end_ms(keyspace, "pollers", holder) > 0)
			world_fail(&simulation->world, "unclaimed has %s, which %s holds",
				address, holder);
	}
}

static const struct {
	const char *kind;
	void (*check)(struct simulation *simulation, const char *suffix,
		const struct keyspace_entry *entry);
	bool stays; /* without a time to live */
} kinds[] = {
	{"gateway:", NULL, false},
	{"gateways", NULL, true},
	{"interest:", check_interest, false},
	{"interests:", check_interests, false},
	{"lock:", check_lock, false},
	{"owned:", check_owned, false},
	{"poller:", NULL, false},
	{"pollers", NULL, true},
	{"provider:", NULL, false},
	{"resource:", check_resource, false},
	{"unclaimed", check_unclaimed, true},
};

/* The kind of a key, by its index in kinds; -1 for a key that is not ours. */
static int kind_of(const struct keyspace_entry *entry)
{
	const char *name = entry->name.bytes + strlen(SERVER_PREFIX) + 1;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		size_t length = strlen(kinds[i].kind);

		if (strncmp(name, kinds[i].kind, length) == 0 &&
			(kinds[i].kind[length - 1] == ':' || name[length] == '\0'))
			return (int)i;
	}
	return -1;
}

static void check_entry(struct simulation *simulation, const struct keyspace_entry *entry)
{
	int kind = kind_of(entry);
	const char *suffix;

	if (kind < 0) {
		world_fail(&simulation->world, "strange key %s", entry->name.bytes);
		return;
	}
	if (entry->expires_at_ms == KEYSPACE_FOREVER && !kinds[kind].stays)
		world_fail(
			&simulation->world, "%s would stay for ever", entry->name.bytes);
	suffix = entry->name.bytes + strlen(SERVER_PREFIX) + 1 + strlen(kinds[kind].kind);
	if (kinds[kind].check)
		kinds[kind].check(simulation, suffix, entry);
}

void checks_keyspace(struct simulation *simulation)
{
	struct keyspace *keyspace = &simulation->server.keyspace;

	/* First, so that no lookup below moves the entries. */
	server_move_clock(&simulation->server);
	keyspace_expire(keyspace);
	for (size_t i = 0; i < keyspace->entry_count; i++)
		check_entry(simulation, &keyspace->entries[i]);
}

/* ---- in the end ---- */

static bool is_session_of_poller(const struct simulation *simulation, const char *session)
{
	for (size_t i = 0; i < SIMULATION_POLLERS_MAX; i++) {
		const struct poller_program *poller = simulation->pollers[i];

		if (poller &&
			strcmp(membership_session(poller->engine.membership), session) ==
				0)
			return true;
	}
	return false;
}

static bool is_session_of_gateway(
	const struct simulation *simulation, const char *session)
{
	for (size_t i = 0; i < SIMULATION_GATEWAYS_MAX; i++) {
		const struct gateway_program *gateway = simulation->gateways[i];

		if (gateway &&
			strcmp(membership_session(gateway->membership), session) == 0)
			return true;
	}
	return false;
}

static void check_set(struct simulation *simulation, const char *set,
	bool (*lives)(const struct simulation *simulation, const char *session))
{
	struct keyspace *keyspace = &simulation->server.keyspace;
	const struct keyspace_entry *entry = find(keyspace, set, "");

	for (size_t i = 0; entry && i < entry->field_count; i++) {
		const char *session = entry->fields[i].name.bytes;

		if (!lives(simulation, session))
			world_fail(&simulation->world, "%s has %s, which is dead", set,
				session);
		else if (entry->fields[i].score <= (double)keyspace->now_us / 1000)
			world_fail(&simulation->world, "%s is not renewed", session);
	}
}

void checks_sessions(struct simulation *simulation)
{
	struct keyspace *keyspace = &simulation->server.keyspace;
	const struct keyspace_entry *unclaimed;

	server_move_clock(&simulation->server);
	keyspace_expire(keyspace);
	unclaimed = find(keyspace, "unclaimed", "");
	check_set(simulation, "pollers", is_session_of_poller);
	check_set(simulation, "gateways", is_session_of_gateway);
	if (unclaimed)
		world_fail(&simulation->world, "%s is still unclaimed",
			unclaimed->fields[0].name.bytes);
}

void checks_leftovers(struct simulation *simulation)
{
	struct keyspace *keyspace = &simulation->server.keyspace;

	server_move_clock(&simulation->server);
	keyspace_expire(keyspace);
	for (size_t i = 0; i < keyspace->entry_count; i++) {
		int kind = kind_of(&keyspace->entries[i]);

		if (kind < 0 || !kinds[kind].stays)
			world_fail(&simulation->world, "%s is still there",
				keyspace->entries[i].name.bytes);
	}
}
