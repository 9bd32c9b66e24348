#include "deploy/cli/status_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/document.h"
#include "common/memory.h"
#include "deploy/cli/output.h"

#define COLUMNS_MAX 10
#define CELL_MAX 4200

/* Columns as wide as their widest cell; the last one gets what the terminal leaves. */
struct table {
	size_t columns;
	size_t widths[COLUMNS_MAX];
	bool numbers[COLUMNS_MAX]; /* to the right */
	char **cells;              /* columns × rows */
	size_t count, room;
};

static void add_cell(struct table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add_cell(struct table *table, const char *format, ...)
{
	char text[CELL_MAX];
	size_t *width = &table->widths[table->count % table->columns], wide;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	wide = output_width(text);
	*width = wide > *width ? wide : *width;
	if (table->count == table->room) {
		table->room = table->room ? 2 * table->room : 64;
		table->cells =
			xreallocarray(table->cells, table->room, sizeof(*table->cells));
	}
	table->cells[table->count++] = xstrdup(text);
}

static void add_age(struct table *table, int64_t now_ms, int64_t then_ms)
{
	char age[OUTPUT_AGE_SIZE];
	int64_t since_ms = now_ms > then_ms ? now_ms - then_ms : 0;

	add_cell(table, "%s", output_age(age, then_ms > 0 ? since_ms : -1));
}

static void add_count(struct table *table, int64_t count)
{
	if (count == FLEET_UNTOLD)
		add_cell(table, "-");
	else
		add_cell(table, "%" PRId64, count);
}

static void print_padding(size_t width)
{
	for (size_t i = 0; i < width; i++)
		putchar(' ');
}

/* The widest text column that is not the last one gives way first: an address of 2000
 * bytes must not push everything else away. */
static void fit(struct table *table, size_t columns)
{
	size_t used = 0, last = table->columns - 1;

	for (size_t i = 0; i < last; i++)
		used += table->widths[i] + 2;
	if (columns == 0)
		return;
	if (used + 12 > columns && table->widths[0] > 20) {
		size_t others = used - table->widths[0];
		size_t room = columns > others + 12 ? columns - others - 12 : 20;

		table->widths[0] = room > 20 ? room : 20;
		used = others + table->widths[0];
	}
	table->widths[last] = columns > used + 8 ? columns - used : 8;
}

static void print_table(
	struct table *table, const char *const *titles, const bool *numbers)
{
	size_t columns = output_columns();

	for (size_t i = 0; i < table->columns; i++) {
		size_t wide = strlen(titles[i]);

		table->widths[i] = table->widths[i] > wide ? table->widths[i] : wide;
	}
	fit(table, columns);
	for (size_t i = 0; i < table->columns + table->count; i++) {
		size_t column = i % table->columns, width = table->widths[column];
		const char *text =
			i < table->columns ? titles[i] : table->cells[i - table->columns];
		bool last = column == table->columns - 1;
		size_t wide = output_width(text);

		if (numbers[column] && wide < width)
			print_padding(width - wide);
		output_text(stdout, text, strlen(text), last && columns == 0 ? 0 : width);
		if (!last && !numbers[column] && wide < width)
			print_padding(width - wide);
		fputs(last ? "\n" : "  ", stdout);
	}
}

static void free_table(struct table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
}

/* ---- processes ---- */

static const char *lease_text(
	char text[OUTPUT_AGE_SIZE], const struct fleet_session *session)
{
	char age[OUTPUT_AGE_SIZE];

	if (session->life == FLEET_BURIED)
		return "buried";
	if (session->life == FLEET_LATE)
		snprintf(text, OUTPUT_AGE_SIZE, "dead %.10s",
			output_age(age, -session->lease_left_ms));
	else
		snprintf(text, OUTPUT_AGE_SIZE, "%.1fs", session->lease_left_ms / 1000.0);
	return text;
}

static void add_session(struct table *table, const struct fleet *fleet,
	const struct fleet_session *session, bool poller)
{
	char lease[OUTPUT_AGE_SIZE];

	add_cell(table, "%s", session->session);
	add_cell(table, "%s", lease_text(lease, session));
	add_cell(table, "%s", *session->host ? session->host : "-");
	add_count(table, session->pid ? session->pid : FLEET_UNTOLD);
	add_age(table, fleet->now_ms, session->started_at_ms);
	add_count(table, session->held);
	add_count(table, poller ? session->polls : session->clients);
	add_count(table, poller ? session->commits : session->subscriptions);
	add_cell(table, "%s", *session->version ? session->version : "-");
}

static void print_sessions(const struct fleet *fleet, bool poller)
{
	static const char *const poller_titles[] = {"POLLER", "LEASE", "HOST", "PID",
		"UP", "OWNS", "POLLS", "COMMITS", "VERSION"};
	static const char *const gateway_titles[] = {"GATEWAY", "LEASE", "HOST", "PID",
		"UP", "WATCHES", "CLIENTS", "SUBSCRIBED", "VERSION"};
	static const bool numbers[] = {
		false, false, false, true, true, true, true, true, false};
	const struct fleet_session *sessions = poller ? fleet->pollers : fleet->gateways;
	size_t count = poller ? fleet->poller_count : fleet->gateway_count;
	size_t total = poller ? fleet->poller_total : fleet->gateway_total;
	struct table table = {.columns = 9};

	for (size_t i = 0; i < count; i++)
		add_session(&table, fleet, &sessions[i], poller);
	print_table(&table, poller ? poller_titles : gateway_titles, numbers);
	if (count == 0)
		puts("(none)");
	if (total > count)
		printf("(and %zu more)\n", total - count);
	putchar('\n');
	free_table(&table);
}

/* ---- resources ---- */

/* The message of the error, which is JSON, or all of it. */
static void add_reason(struct table *table, const struct fleet_resource *resource)
{
	struct document document;
	uint32_t message = 0;
	char text[CELL_MAX] = "";

	if (!resource->error) {
		add_cell(table, "%s",
			resource->health != FLEET_UNOWNED ? ""
				: *resource->owner        ? "its owner is dead"
							  : "nobody polls it");
		return;
	}
	document_init(&document);
	if (document_scan(&document, resource->error, strlen(resource->error), NULL) ==
		DOCUMENT_OK)
		message = document_member(&document, 0, "message");
	if (!message || document.tokens[message].type != DOCUMENT_STRING ||
		document_string(&document, message, text, sizeof(text)) < 0)
		snprintf(text, sizeof(text), "%s", resource->error);
	add_cell(table, "%s", text);
	document_fini(&document);
}

static void add_resource(struct table *table, const struct fleet *fleet,
	const struct fleet_resource *resource)
{
	add_cell(table, "%s", resource->address);
	add_cell(table, "%s", fleet_health_name(resource->health));
	add_age(table, fleet->now_ms, resource->error_since_ms);
	add_age(table, fleet->now_ms, resource->checked_at_ms);
	add_age(table, fleet->now_ms, resource->changed_at_ms);
	if (resource->interval_ms > 0)
		add_cell(table, "%gs", resource->interval_ms / 1000.0);
	else
		add_cell(table, "-");
	add_cell(table, "%" PRIu64, resource->viewers);
	add_cell(table, "%s", *resource->owner ? resource->owner : "-");
	add_reason(table, resource);
}

static void print_resources(const struct fleet *fleet)
{
	static const char *const titles[] = {"RESOURCE", "HEALTH", "SINCE", "CHECKED",
		"CHANGED", "EVERY", "VIEWERS", "OWNER", "WHY"};
	static const bool numbers[] = {
		false, false, true, true, true, true, true, false, false};
	struct table table = {.columns = 9};

	for (size_t i = 0; i < fleet->resource_count; i++)
		add_resource(&table, fleet, &fleet->resources[i]);
	print_table(&table, titles, numbers);
	if (fleet->summary.resources > fleet->resource_count)
		printf("(and %zu more, none of them worse; --limit shows more)\n",
			fleet->summary.resources - fleet->resource_count);
	free_table(&table);
}

/* ---- providers ---- */

static void print_providers(const struct fleet *fleet)
{
	static const char *const titles[] = {
		"PROVIDER", "WATCHED", "UNWELL", "DOWN FOR", "EVERY", "BUDGET"};
	static const bool numbers[] = {false, true, true, false, true, false};
	struct table table = {.columns = 6};

	if (fleet->provider_count == 0)
		return;
	for (size_t i = 0; i < fleet->provider_count; i++) {
		const struct fleet_provider *provider = &fleet->providers[i];

		add_cell(&table, "%s", provider->name);
		add_cell(&table, "%zu", provider->resources);
		add_cell(&table, "%zu", provider->unwell);
		if (provider->down > 0)
			add_cell(&table, "%zu poller%s", provider->down,
				provider->down == 1 ? "" : "s");
		else
			add_cell(&table, "-");
		add_cell(&table, "%gs", (double)provider->interval_ms / 1000.0);
		if (provider->budget_second > 0)
			add_cell(&table,
				"%" PRIu64 " pollers with %" PRIu64 " requests to make",
				provider->budget_pollers, provider->budget_demand);
		else
			add_cell(&table, "-");
	}
	print_table(&table, titles, numbers);
	putchar('\n');
	free_table(&table);
}

/* ---- summary ---- */

static void print_summary(const struct fleet *fleet, const struct options *options)
{
	const struct fleet_summary *summary = &fleet->summary;
	char age[OUTPUT_AGE_SIZE];
	int64_t oldest_ms = summary->oldest_checked_at_ms;

	printf("%s%zu resource%s", fleet->complete ? "" : "more than ",
		summary->resources, summary->resources == 1 ? "" : "s");
	if (options->address_count > 0) {
		fputs(" that begin with ", stdout);
		output_text(
			stdout, options->addresses[0], strlen(options->addresses[0]), 0);
	}
	for (size_t i = FLEET_HEALTHS; i > 0; i--) {
		enum fleet_health health = (enum fleet_health)(i - 1);

		if (summary->healths[health] > 0)
			printf(", %zu %s", summary->healths[health],
				fleet_health_name(health));
	}
	printf("; %" PRIu64 " viewer%s", summary->viewers,
		summary->viewers == 1 ? "" : "s");
	if (oldest_ms > 0)
		printf("; oldest check %s ago",
			output_age(age,
				fleet->now_ms - oldest_ms < 0
					? 0
					: fleet->now_ms - oldest_ms));
	if (summary->odd > 0)
		printf("; %zu entries are no addresses", summary->odd);
	fputs("\n\n", stdout);
}

void status_table(const struct fleet *fleet, const struct options *options)
{
	print_summary(fleet, options);
	print_sessions(fleet, true);
	print_sessions(fleet, false);
	print_providers(fleet);
	if (fleet->resource_count > 0)
		print_resources(fleet);
}
