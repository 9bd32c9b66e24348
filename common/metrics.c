#include "common/metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

static const struct metric_entry {
	enum metrics_process process;
	const char *kind;
	const char *name; /* with its labels */
	const char *help;
} entries[METRIC_COUNT] = {
#define METRIC(c_name, process, kind, name, help)                                        \
	[METRIC_##c_name] = {process, #kind, name, help},
	METRICS_EACH(METRIC)
#undef METRIC
};

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

char *metrics_write(
	const struct metrics *metrics, enum metrics_process process, size_t *length)
{
	const struct metric_entry *before = NULL;
	char *text;
	FILE *stream = open_memstream(&text, length);

	if (!stream) {
		log_error("out of memory, giving up");
		abort();
	}
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		const struct metric_entry *entry = &entries[i];

		if (!(entry->process & process))
			continue;
		if (!before || !same_name(entry, before))
			fprintf(stream, "# HELP %.*s %s\n# TYPE %.*s %s\n",
				name_length(entry), entry->name, entry->help,
				name_length(entry), entry->name, entry->kind);
		fprintf(stream, "%s %" PRId64 "\n", entry->name, metrics->values[i]);
		before = entry;
	}
	fclose(stream);
	return text;
}
