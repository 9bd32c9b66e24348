#include "gateway/fleet_text.h"

#include "common/document.h"
#include "common/instant.h"

#include <stdio.h>
#include <string.h>

/* Members are written with a comma in front; the first of an object has none. */

static void add_name(struct text *text, const char *name)
{
	text_add_words(text, "\"");
	text_add_words(text, name);
	text_add_words(text, "\":");
}

static void add_text(struct text *text, const char *name, const char *value)
{
	text_add_words(text, ",");
	add_name(text, name);
	text_add_quoted(text, value, strlen(value));
}

static void add_number(struct text *text, const char *name, uint64_t number)
{
	text_add_words(text, ",");
	add_name(text, name);
	text_add_number(text, number);
}

static void add_signed(struct text *text, const char *name, int64_t number)
{
	char digits[32];

	snprintf(digits, sizeof(digits), "%lld", (long long)number);
	text_add_words(text, ",");
	add_name(text, name);
	text_add_words(text, digits);
}

/* Seconds with their fraction, as intervals are told on every wire. */
static void add_seconds(struct text *text, const char *name, int64_t ms)
{
	char digits[32];

	if (ms <= 0)
		return;
	snprintf(digits, sizeof(digits), "%.10g", (double)ms / 1000);
	text_add_words(text, ",");
	add_name(text, name);
	text_add_words(text, digits);
}

static void add_instant(struct text *text, const char *name, int64_t at_ms)
{
	char instant[INSTANT_SIZE];

	if (at_ms > 0)
		add_text(text, name, instant_write(instant, at_ms));
}

static void add_told(struct text *text, const char *name, int64_t count)
{
	if (count != FLEET_UNTOLD)
		add_signed(text, name, count);
}

/* ---- what is in the fleet ---- */

static void write_session(const struct fleet_session *session, struct text *text)
{
	static const char *const lives[] = {[FLEET_ALIVE] = "alive",
		[FLEET_LATE] = "late",
		[FLEET_BURIED] = "buried"};

	text_add_words(text, "{");
	add_name(text, "session");
	text_add_quoted(text, session->session, strlen(session->session));
	add_text(text, "life", lives[session->life]);
	add_signed(text, "lease_left_ms", session->lease_left_ms);
	add_text(text, "host", session->host);
	add_text(text, "version", session->version);
	if (session->pid > 0)
		add_signed(text, "pid", session->pid);
	add_instant(text, "started", session->started_at_ms);
	add_signed(text, "resources", session->held);
	add_told(text, "polls", session->polls);
	add_told(text, "commits", session->commits);
	add_told(text, "clients", session->clients);
	add_told(text, "subscriptions", session->subscriptions);
	text_add_words(text, "}");
}

static void write_sessions(const char *name, const struct fleet_session *sessions,
	size_t count, struct text *text)
{
	text_add_words(text, ",");
	add_name(text, name);
	text_add_words(text, "[");
	for (size_t i = 0; i < count; i++) {
		text_add_words(text, i == 0 ? "\n" : ",\n");
		write_session(&sessions[i], text);
	}
	text_add_words(text, "]");
}

/* As clients are told it; what somebody else wrote there may be anything. */
static void write_error(const char *error, struct document *document, struct text *text)
{
	size_t length = error == NULL ? 0 : strlen(error);

	if (length == 0)
		return;
	text_add_words(text, ",\"error\":");
	if (document_scan(document, error, length, NULL) == DOCUMENT_OK &&
		document->tokens[0].type == DOCUMENT_OBJECT) {
		text_add(text, error, length);
		return;
	}
	text_add_words(text, "{\"message\":");
	text_add_quoted(text, error, length);
	text_add_words(text, "}");
}

static void write_resource(const struct fleet_resource *resource,
	struct document *document, struct text *text)
{
	text_add_words(text, "{");
	add_name(text, "address");
	text_add_quoted(text, resource->address, strlen(resource->address));
	add_text(text, "health", fleet_health_name(resource->health));
	add_text(text, "state", resource_state_name(resource->state));
	if (resource->owner[0] != '\0')
		add_text(text, "owner", resource->owner);
	text_add_words(text,
		resource->owner_alive ? ",\"owner_alive\":true"
				      : ",\"owner_alive\":false");
	add_number(text, "viewers", resource->viewers);
	add_number(text, "gateways", resource->gateways);
	add_seconds(text, "interval", resource->interval_ms);
	add_instant(text, "checked_at", resource->checked_at_ms);
	add_instant(text, "changed_at", resource->changed_at_ms);
	write_error(resource->error, document, text);
	text_add_words(text, "}");
}

static void write_resources(const struct fleet *fleet, struct text *text)
{
	struct document document;

	document_init(&document);
	text_add_words(text, ",\"resources\":[");
	for (size_t i = 0; i < fleet->resource_count; i++) {
		text_add_words(text, i == 0 ? "\n" : ",\n");
		write_resource(&fleet->resources[i], &document, text);
	}
	text_add_words(text, "]");
	document_fini(&document);
}

static void write_provider(const struct fleet_provider *provider, struct text *text)
{
	text_add_words(text, "{");
	add_name(text, "name");
	text_add_quoted(text, provider->name, strlen(provider->name));
	add_number(text, "resources", provider->resources);
	add_number(text, "unwell", provider->unwell);
	add_number(text, "down", provider->down);
	add_seconds(text, "interval", (int64_t)provider->interval_ms);
	add_seconds(text, "interval_min", (int64_t)provider->interval_min_ms);
	add_seconds(text, "interval_max", (int64_t)provider->interval_max_ms);
	text_add_words(text, "}");
}

static void write_providers(const struct fleet *fleet, struct text *text)
{
	text_add_words(text, ",\"providers\":[");
	for (size_t i = 0; i < fleet->provider_count; i++) {
		text_add_words(text, i == 0 ? "\n" : ",\n");
		write_provider(&fleet->providers[i], text);
	}
	text_add_words(text, "]");
}

static void write_summary(const struct fleet *fleet, struct text *text)
{
	const struct fleet_summary *summary = &fleet->summary;

	text_add_words(text, ",\"summary\":{");
	add_name(text, "resources");
	text_add_number(text, summary->resources);
	add_number(text, "viewers", summary->viewers);
	text_add_words(text, ",\"health\":{");
	for (size_t i = 0; i < FLEET_HEALTHS; i++) {
		if (i > 0)
			text_add_words(text, ",");
		add_name(text, fleet_health_name((enum fleet_health)i));
		text_add_number(text, summary->healths[i]);
	}
	text_add_words(text, "}}");
}

void fleet_write(const struct fleet *fleet, struct text *text)
{
	char instant[INSTANT_SIZE];

	text_add_words(text, "{\"now\":\"");
	text_add_words(text, instant_write(instant, fleet->now_ms));
	text_add_words(text, "\"");
	write_summary(fleet, text);
	text_add_words(text,
		!fleet->complete || fleet->resource_count < fleet->summary.resources
			? ",\"more\":true"
			: ",\"more\":false");
	add_number(text, "gateways_total", fleet->gateway_total);
	write_sessions("gateways", fleet->gateways, fleet->gateway_count, text);
	add_number(text, "pollers_total", fleet->poller_total);
	write_sessions("pollers", fleet->pollers, fleet->poller_count, text);
	write_providers(fleet, text);
	write_resources(fleet, text);
	text_add_words(text, "}\n");
}
