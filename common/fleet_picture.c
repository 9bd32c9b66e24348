#include "common/fleet_picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/catalog.h"
#include "common/memory.h"
#include "common/reply.h"

/* A gateway speaks of `unconfirmed` after three intervals and a sweep; a renewal that
 * brings checked_at may add a little. */
#define OVERDUE_INTERVALS 3
#define OVERDUE_MORE_MS 12000

enum session_element {
	SESSION_ID,
	SESSION_LEASE_END,
	SESSION_HELD,
	SESSION_HOST,
	SESSION_PID,
	SESSION_VERSION,
	SESSION_STARTED,
	SESSION_RESOURCES,
	SESSION_POLLS,
	SESSION_COMMITS,
	SESSION_CLIENTS,
	SESSION_SUBSCRIPTIONS,
	SESSION_DOWN,
};

enum look_element {
	LOOK_OWNER,
	LOOK_LIFE,
	LOOK_VIEWERS,
	LOOK_GATEWAYS,
	LOOK_CHECKED_AT,
	LOOK_STATE,
	LOOK_INTERVAL,
	LOOK_CHANGED_AT,
	LOOK_ERROR_SINCE,
	LOOK_STATUS,
	LOOK_VERSION,
	LOOK_ERROR,
	LOOK_URL,
};

const char *fleet_health_name(enum fleet_health health)
{
	static const char *const names[] = {
		[FLEET_FINE] = "fine",
		[FLEET_WAITING] = "waiting",
		[FLEET_GONE] = "gone",
		[FLEET_OVERDUE] = "overdue",
		[FLEET_STALE] = "stale",
		[FLEET_FAILED] = "error",
		[FLEET_UNOWNED] = "unowned",
	};

	return names[health];
}

/* ---- sessions ---- */

static int64_t instant(const redisReply *entry, size_t index)
{
	return (int64_t)reply_number(entry, index);
}

static int64_t count_or_untold(const redisReply *entry, size_t index)
{
	return *reply_word(entry, index) ? instant(entry, index) : FLEET_UNTOLD;
}

static void copy_text(char *text, size_t size, const redisReply *entry, size_t index)
{
	snprintf(text, size, "%s", reply_word(entry, index));
}

static void read_session(
	struct fleet_session *session, int64_t now_ms, const redisReply *entry)
{
	int64_t lease_end_ms = instant(entry, SESSION_LEASE_END);

	copy_text(session->session, sizeof(session->session), entry, SESSION_ID);
	copy_text(session->host, sizeof(session->host), entry, SESSION_HOST);
	copy_text(session->version, sizeof(session->version), entry, SESSION_VERSION);
	session->life = FLEET_BURIED;
	if (lease_end_ms > 0) {
		session->lease_left_ms = lease_end_ms - now_ms;
		session->life = session->lease_left_ms > 0 ? FLEET_ALIVE : FLEET_LATE;
	}
	session->pid = instant(entry, SESSION_PID);
	session->started_at_ms = instant(entry, SESSION_STARTED);
	session->held = instant(entry, SESSION_HELD);
	session->resources = count_or_untold(entry, SESSION_RESOURCES);
	session->polls = count_or_untold(entry, SESSION_POLLS);
	session->commits = count_or_untold(entry, SESSION_COMMITS);
	session->clients = count_or_untold(entry, SESSION_CLIENTS);
	session->subscriptions = count_or_untold(entry, SESSION_SUBSCRIPTIONS);
	copy_text(session->down, sizeof(session->down), entry, SESSION_DOWN);
}

bool fleet_take_sessions(
	struct fleet *fleet, enum membership_kind kind, const redisReply *answer)
{
	bool pollers = kind == MEMBERSHIP_POLLER;
	struct fleet_session *sessions;
	size_t count = 0, entries;

	if (answer->type != REDIS_REPLY_ARRAY || answer->elements < 2)
		return false;
	entries = answer->elements - 2;
	fleet->now_ms = instant(answer, 0);
	sessions = xcalloc(entries + 1, sizeof(*sessions));
	for (size_t i = 0; i < entries; i++) {
		const redisReply *entry = answer->element[i + 2];
		struct bytes id = reply_bytes(entry, SESSION_ID);

		/* What is longer was never a session of ours. */
		if (id.length > 0 && id.length <= SESSION_MAX)
			read_session(&sessions[count++], fleet->now_ms, entry);
	}
	*(pollers ? &fleet->pollers : &fleet->gateways) = sessions;
	*(pollers ? &fleet->poller_count : &fleet->gateway_count) = count;
	*(pollers ? &fleet->poller_total : &fleet->gateway_total) =
		(size_t)reply_number(answer, 1);
	return true;
}

/* ---- resources ---- */

static enum fleet_health judge(const struct fleet_resource *resource, int64_t now_ms)
{
	int64_t late_ms = OVERDUE_INTERVALS * resource->interval_ms + OVERDUE_MORE_MS;

	if (!resource->owner_alive && resource->gateways > 0)
		return FLEET_UNOWNED;
	switch (resource->state) {
	case RESOURCE_ERROR:
		return FLEET_FAILED;
	case RESOURCE_STALE:
		return FLEET_STALE;
	case RESOURCE_GONE:
		return FLEET_GONE;
	case RESOURCE_UNKNOWN:
		return FLEET_WAITING;
	case RESOURCE_FRESH:
		break;
	}
	return now_ms - resource->checked_at_ms > late_ms ? FLEET_OVERDUE : FLEET_FINE;
}

static void read_resource(struct fleet_resource *resource, int64_t now_ms,
	const char *address, const redisReply *entry)
{
	struct bytes state = reply_bytes(entry, LOOK_STATE);

	resource->address = xstrdup(address);
	copy_text(resource->owner, sizeof(resource->owner), entry, LOOK_OWNER);
	resource->owner_alive = reply_is(entry, LOOK_LIFE, "alive");
	resource->viewers = reply_number(entry, LOOK_VIEWERS);
	resource->gateways = reply_number(entry, LOOK_GATEWAYS);
	resource->state = resource_state_parse(state.start, state.length);
	resource->interval_ms = instant(entry, LOOK_INTERVAL);
	/* Beyond what may be configured it is junk, and would overflow sums. */
	if (resource->interval_ms > CATALOG_INTERVAL_MOST_MS)
		resource->interval_ms = 0;
	resource->checked_at_ms = instant(entry, LOOK_CHECKED_AT);
	resource->changed_at_ms = instant(entry, LOOK_CHANGED_AT);
	resource->error_since_ms = instant(entry, LOOK_ERROR_SINCE);
	resource->status = reply_number(entry, LOOK_STATUS);
	resource->version = reply_number(entry, LOOK_VERSION);
	resource->error = reply_copy(entry, LOOK_ERROR);
	resource->url = reply_copy(entry, LOOK_URL);
	resource->health = judge(resource, now_ms);
}

static void fini_resource(struct fleet_resource *resource)
{
	free(resource->address);
	free(resource->error);
	free(resource->url);
}

static int by_address(const void *a, const void *b)
{
	const struct fleet_resource *left = a, *right = b;

	return strcmp(left->address, right->address);
}

static int worst_first(const void *a, const void *b)
{
	const struct fleet_resource *left = a, *right = b;

	if (left->health != right->health)
		return left->health > right->health ? -1 : 1;
	if (left->checked_at_ms != right->checked_at_ms)
		return left->checked_at_ms < right->checked_at_ms ? -1 : 1;
	return by_address(a, b);
}

void fleet_finish(struct fleet *fleet, const struct fleet_query *query)
{
	if (fleet->resource_count > 0)
		qsort(fleet->resources, fleet->resource_count, sizeof(*fleet->resources),
			query->order == FLEET_BY_ADDRESS ? by_address : worst_first);
	while (fleet->resource_count > query->limit)
		fini_resource(&fleet->resources[--fleet->resource_count]);
}

/* The list may grow to twice the limit and a little before it is sorted and cut: so each
 * entry costs the logarithm of the limit. */
static void list_resource(struct fleet *fleet, const struct fleet_query *query,
	const struct fleet_resource *resource)
{
	if (fleet->resource_count == 2 * query->limit + 64)
		fleet_finish(fleet, query);
	if (fleet->resource_count == fleet->resource_room) {
		fleet->resource_room =
			fleet->resource_room ? 2 * fleet->resource_room : 64;
		fleet->resources = xreallocarray(fleet->resources, fleet->resource_room,
			sizeof(*fleet->resources));
	}
	fleet->resources[fleet->resource_count++] = *resource;
}

static void count_resource(struct fleet *fleet, const struct fleet_resource *resource)
{
	struct fleet_summary *summary = &fleet->summary;
	bool fresh = resource->health == FLEET_FINE || resource->health == FLEET_OVERDUE;

	summary->resources++;
	summary->healths[resource->health]++;
	summary->viewers += resource->viewers;
	if (fresh &&
		(summary->oldest_checked_at_ms == 0 ||
			resource->checked_at_ms < summary->oldest_checked_at_ms))
		summary->oldest_checked_at_ms = resource->checked_at_ms;
}

/* ---- providers ---- */

/* Sorted: many addresses have few providers. */
static struct fleet_provider *find_provider(
	struct fleet *fleet, const char *name, size_t length)
{
	size_t from = 0, to = fleet->provider_count;
	struct fleet_provider *providers;

	while (from < to) {
		size_t middle = (from + to) / 2;
		struct fleet_provider *provider = &fleet->providers[middle];
		int order = strncmp(provider->name, name, length);

		if (order == 0 && provider->name[length] == '\0')
			return provider;
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	if (fleet->provider_count == FLEET_PROVIDERS_MAX)
		return NULL;
	if (!fleet->providers)
		fleet->providers = xcalloc(FLEET_PROVIDERS_MAX, sizeof(*providers));
	providers = fleet->providers;
	memmove(&providers[from + 1], &providers[from],
		(fleet->provider_count++ - from) * sizeof(*providers));
	providers[from] = (struct fleet_provider){.name = xstrndup(name, length)};
	return &providers[from];
}

static void count_for(struct fleet *fleet, const struct fleet_resource *resource,
	const char *name, size_t length)
{
	struct fleet_provider *provider = find_provider(fleet, name, length);

	if (!provider)
		return;
	provider->resources++;
	provider->unwell += resource->health != FLEET_FINE;
}

/* "dns/zones" is a type of "dns", "compute/dfw/servers" one of "compute/dfw": both first
 * words are counted for, and what is no provider is dropped in the end. */
static void count_for_providers(struct fleet *fleet,
	const struct fleet_resource *resource, const struct address *address)
{
	const struct address_part *names = address->names;
	size_t known = address->name_count < 2 ? address->name_count : 2;

	if (address->kind == ADDRESS_URI)
		count_for(fleet, resource, "default", strlen("default"));
	for (size_t i = 0; i < known; i++)
		count_for(fleet, resource, address->text,
			(size_t)(names[i].start - address->text) + names[i].length);
}

static bool finds_down(const struct fleet_session *poller, const char *name)
{
	size_t length = strlen(name);
	const char *at = poller->down;

	if (poller->life != FLEET_ALIVE)
		return false;
	while ((at = strstr(at, name))) {
		bool begins = at == poller->down || at[-1] == ' ';

		at += length;
		if (begins && (*at == '\0' || *at == ' '))
			return true;
	}
	return false;
}

static size_t count_down(const struct fleet *fleet, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < fleet->poller_count; i++)
		count += finds_down(&fleet->pollers[i], name);
	return count;
}

void fleet_take_providers(struct fleet *fleet, const redisReply *answer)
{
	size_t kept = 0;

	for (size_t i = 0; i < fleet->provider_count; i++) {
		const redisReply *entry =
			i < answer->elements ? answer->element[i] : NULL;
		struct fleet_provider provider = fleet->providers[i];

		if (!entry || entry->type != REDIS_REPLY_ARRAY || entry->elements == 0) {
			free(provider.name);
			continue;
		}
		provider.down = count_down(fleet, provider.name);
		provider.interval_ms = reply_number(entry, 0);
		provider.interval_min_ms = reply_number(entry, 1);
		provider.interval_max_ms = reply_number(entry, 2);
		provider.budget_second = reply_number(entry, 3);
		provider.budget_pollers = reply_number(entry, 4);
		provider.budget_demand = reply_number(entry, 5);
		fleet->providers[kept++] = provider;
	}
	fleet->provider_count = kept;
}

/* ---- */

bool fleet_take_resource(struct fleet *fleet, const struct fleet_query *query,
	struct bytes text, const redisReply *entry)
{
	struct fleet_resource resource = {0};
	struct address address;

	if (entry->type != REDIS_REPLY_ARRAY || entry->elements <= LOOK_URL)
		return false;
	if (address_parse(&address, text.start, text.length) != ADDRESS_OK) {
		fleet->summary.odd++;
		return true;
	}
	read_resource(&resource, fleet->now_ms, address.text, entry);
	count_resource(fleet, &resource);
	count_for_providers(fleet, &resource, &address);
	list_resource(fleet, query, &resource);
	return true;
}

void fleet_fini(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->resource_count; i++)
		fini_resource(&fleet->resources[i]);
	for (size_t i = 0; i < fleet->provider_count; i++)
		free(fleet->providers[i].name);
	free(fleet->resources);
	free(fleet->providers);
	free(fleet->pollers);
	free(fleet->gateways);
}
