#include "deploy/cli/status_print.h"

#include <inttypes.h>
#include <stdio.h>

#include "deploy/cli/output.h"

static const char *separator(bool *first)
{
	bool was_first = *first;

	*first = false;
	return was_first ? "" : ",";
}

static void text(const char *name, const char *value)
{
	printf(",\"%s\":", name);
	output_json_text(stdout, value);
}

static void number(const char *name, int64_t value)
{
	printf(",\"%s\":%" PRId64, name, value);
}

/* Left out where it is not known. */
static void told(const char *name, int64_t value)
{
	if (value != FLEET_UNTOLD)
		number(name, value);
}

static void instant(const char *name, int64_t value)
{
	if (value > 0)
		number(name, value);
}

static void session(const struct fleet_session *entry)
{
	static const char *const lives[] = {[FLEET_ALIVE] = "alive",
		[FLEET_LATE] = "late",
		[FLEET_BURIED] = "buried"};

	fputs("{\"session\":", stdout);
	output_json_text(stdout, entry->session);
	text("life", lives[entry->life]);
	if (entry->life != FLEET_BURIED)
		number("lease_left_ms", entry->lease_left_ms);
	text("host", entry->host);
	instant("pid", entry->pid);
	text("version", entry->version);
	instant("started_at_ms", entry->started_at_ms);
	number("held", entry->held);
	told("resources", entry->resources);
	told("polls", entry->polls);
	told("commits", entry->commits);
	told("clients", entry->clients);
	told("subscriptions", entry->subscriptions);
	putchar('}');
}

static void sessions(
	const char *name, const struct fleet_session *entries, size_t count, size_t total)
{
	bool first = true;

	printf(",\"%s_total\":%zu,\"%s\":[", name, total, name);
	for (size_t i = 0; i < count; i++) {
		fputs(separator(&first), stdout);
		session(&entries[i]);
	}
	putchar(']');
}

static void resource(const struct fleet_resource *entry)
{
	char version[24];

	fputs("{\"uri\":", stdout);
	output_json_text(stdout, entry->address);
	text("health", fleet_health_name(entry->health));
	text("state", resource_state_name(entry->state));
	text("owner", entry->owner);
	printf(",\"owner_alive\":%s", entry->owner_alive ? "true" : "false");
	number("viewers", (int64_t)entry->viewers);
	number("gateways", (int64_t)entry->gateways);
	number("interval_ms", entry->interval_ms);
	instant("checked_at_ms", entry->checked_at_ms);
	instant("changed_at_ms", entry->changed_at_ms);
	instant("error_since_ms", entry->error_since_ms);
	instant("status", (int64_t)entry->status);
	snprintf(version, sizeof(version), "%" PRIu64, entry->version);
	text("version", version);
	if (entry->error)
		text("error", entry->error);
	if (entry->url)
		text("url", entry->url);
	putchar('}');
}

static void provider(const struct fleet_provider *entry)
{
	fputs("{\"name\":", stdout);
	output_json_text(stdout, entry->name);
	number("resources", (int64_t)entry->resources);
	number("unwell", (int64_t)entry->unwell);
	number("down", (int64_t)entry->down);
	number("interval_ms", (int64_t)entry->interval_ms);
	number("interval_min_ms", (int64_t)entry->interval_min_ms);
	number("interval_max_ms", (int64_t)entry->interval_max_ms);
	instant("budget_second", (int64_t)entry->budget_second);
	if (entry->budget_second > 0) {
		number("budget_pollers", (int64_t)entry->budget_pollers);
		number("budget_demand", (int64_t)entry->budget_demand);
	}
	putchar('}');
}

static void summary(const struct fleet *fleet)
{
	printf("\"summary\":{\"resources\":%zu", fleet->summary.resources);
	for (size_t i = 0; i < FLEET_HEALTHS; i++)
		number(fleet_health_name((enum fleet_health)i),
			(int64_t)fleet->summary.healths[i]);
	number("viewers", (int64_t)fleet->summary.viewers);
	instant("oldest_checked_at_ms", fleet->summary.oldest_checked_at_ms);
	number("odd", (int64_t)fleet->summary.odd);
	printf("},\"complete\":%s", fleet->complete ? "true" : "false");
}

void status_json(const struct fleet *fleet)
{
	bool first = true;

	printf("{\"now_ms\":%" PRId64 ",", fleet->now_ms);
	summary(fleet);
	sessions("pollers", fleet->pollers, fleet->poller_count, fleet->poller_total);
	sessions("gateways", fleet->gateways, fleet->gateway_count, fleet->gateway_total);
	fputs(",\"providers\":[", stdout);
	for (size_t i = 0; i < fleet->provider_count; i++) {
		fputs(separator(&first), stdout);
		provider(&fleet->providers[i]);
	}
	fputs("],\"resources\":[", stdout);
	first = true;
	for (size_t i = 0; i < fleet->resource_count; i++) {
		fputs(separator(&first), stdout);
		resource(&fleet->resources[i]);
	}
	fputs("]}\n", stdout);
}
