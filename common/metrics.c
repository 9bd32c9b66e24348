#include "common/metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

enum metric_kind { gauge, counter, counter_of_microseconds, histogram };

static const char *const type_names[] = {
	[gauge] = "gauge",
	[counter] = "counter",
	[counter_of_microseconds] = "counter",
	[histogram] = "histogram",
};

static const struct metric_entry {
	enum metrics_process process;
	enum metric_kind kind;
	int index;        /* an enum metric, or enum metrics_histogram_name */
	const char *name; /* with its labels */
	const char *help;
} entries[] = {
#define METRIC(c_name, process, kind, name, help)                                        \
	{process, kind, METRIC_##c_name, name, help},
#define HISTOGRAM(c_name, process, name, help)                                           \
	{process, histogram, HISTOGRAM_##c_name, name, help},
	METRICS_EACH(METRIC, HISTOGRAM)
#undef METRIC
#undef HISTOGRAM
};

#define ENTRY_COUNT (sizeof(entries) / sizeof(entries[0]))

/* Without the labels. */
static int name_length(const struct metric_entry *entry)
{
	return (int)strcspn(entry->name, "{");
}

static bool same_name(const struct metric_entry *a, const struct metric_entry *b)
{
	int length = name_length(a);

	return length == name_length(b) && memcmp(a->name, b->name, (size_t)length) == 0;
}

static bool first_of_name(size_t index)
{
	return index == 0 || !same_name(&entries[index], &entries[index - 1]);
}

/* ---- for Prometheus ---- */

/* In as few digits as say it: 0.0025, not 0.002500. */
static void write_seconds(FILE *stream, uint64_t microseconds)
{
	fprintf(stream, "%" PRIu64, microseconds / 1000000);
	if (microseconds % 1000000 == 0)
		return;
	char digits[8];
	size_t length = (size_t)snprintf(
		digits, sizeof(digits), "%06u", (unsigned)(microseconds % 1000000));

	while (digits[length - 1] == '0')
		length--;
	fprintf(stream, ".%.*s", (int)length, digits);
}

static void write_histogram(
	FILE *stream, const char *name, const struct metrics_histogram *values)
{
	static const uint64_t bounds_us[] = METRICS_BOUNDS_US;
	uint64_t count = 0;

	for (size_t i = 0; i < METRICS_BOUND_COUNT; i++) {
		count += values->counts[i];
		fprintf(stream, "%s_bucket{le=\"", name);
		write_seconds(stream, bounds_us[i]);
		fprintf(stream, "\"} %" PRIu64 "\n", count);
	}
	count += values->counts[METRICS_BOUND_COUNT];
	fprintf(stream, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum ", name, count, name);
	write_seconds(stream, values->sum_us);
	fprintf(stream, "\n%s_count %" PRIu64 "\n", name, count);
}

static void write_value(
	FILE *stream, const struct metric_entry *entry, const struct metrics *metrics)
{
	int64_t value;

	if (entry->kind == histogram) {
		write_histogram(stream, entry->name, &metrics->histograms[entry->index]);
		return;
	}
	value = metrics->values[entry->index];
	fprintf(stream, "%s ", entry->name);
	if (entry->kind == counter_of_microseconds)
		write_seconds(stream, (uint64_t)value);
	else
		fprintf(stream, "%" PRId64, value);
	fputc('\n', stream);
}

char *metrics_write(
	const struct metrics *metrics, enum metrics_process process, size_t *length)
{
	char *text;
	FILE *stream = open_memstream(&text, length);

	if (!stream) {
		log_error("out of memory, giving up");
		abort();
	}
	for (size_t i = 0; i < ENTRY_COUNT; i++) {
		const struct metric_entry *entry = &entries[i];

		if (!(entry->process & process))
			continue;
		if (first_of_name(i))
			fprintf(stream, "# HELP %.*s %s\n# TYPE %.*s %s\n",
				name_length(entry), entry->name, entry->help,
				name_length(entry), entry->name, type_names[entry->kind]);
		write_value(stream, entry, metrics);
	}
	fclose(stream);
	return text;
}

/* ---- for people ---- */

/* `label`: `value`, `value`; a name has one label at most. */
static void document_labels(FILE *stream, size_t index)
{
	const struct metric_entry *entry = &entries[index];
	const char *label = entry->name + name_length(entry);
	int label_length;

	if (*label == '\0')
		return;
	label_length = (int)strcspn(++label, "=");
	fprintf(stream, "`%.*s`", label_length, label);
	/* What is no fixed word says nothing to people. */
	if (entry->index == METRIC_BUILD)
		return;
	for (size_t i = index; i < ENTRY_COUNT && (i == index || !first_of_name(i));
		i++) {
		const char *value = entries[i].name + strcspn(entries[i].name, "\"") + 1;

		fprintf(stream, "%s `%.*s`", i == index ? ":" : ",",
			(int)strcspn(value, "\""), value);
	}
}

void metrics_document(FILE *stream, enum metrics_process process)
{
	fprintf(stream, "| name | type | labels | |\n|---|---|---|---|\n");
	for (size_t i = 0; i < ENTRY_COUNT; i++) {
		const struct metric_entry *entry = &entries[i];

		if (entry->process != process || !first_of_name(i))
			continue;
		fputs("| `", stream);
		fwrite(entry->name, 1, (size_t)name_length(entry), stream);
		fprintf(stream, "` | %s | ", type_names[entry->kind]);
		document_labels(stream, i);
		fprintf(stream, " | %s |\n", entry->help);
	}
}
