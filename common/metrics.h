#pragma once

/*
 * Metrics: every number a process shows, with its unit and meaning, in one table.
 *
 * METRICS_EACH in metrics_table.h is the only list; /metrics and docs/metrics.md come
 * from it. Counters sit beside the event they count.
 */

#include "common/metrics_table.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define METRICS_NOTHING(...)

enum metric {
#define METRIC(c_name, process, kind, name, help) METRIC_##c_name,
	METRICS_EACH(METRIC, METRICS_NOTHING)
#undef METRIC
	METRIC_COUNT
};

enum metrics_histogram_name {
#define HISTOGRAM(c_name, process, name, help) HISTOGRAM_##c_name,
	METRICS_EACH(METRICS_NOTHING, HISTOGRAM)
#undef HISTOGRAM
	HISTOGRAM_COUNT
};

enum metrics_process { METRICS_BOTH = 3, METRICS_GATEWAY = 1, METRICS_POLLER = 2 };

/* One set for all: from a Redis nearby to an upstream that takes a minute. */
#define METRICS_BOUNDS_US                                                                \
	{100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,   \
		1000000, 2500000, 5000000, 10000000, 30000000, 60000000}
#define METRICS_BOUND_COUNT 18

/** Durations, counted by how long they were. Zero it to begin. */
struct metrics_histogram {
	uint64_t counts[METRICS_BOUND_COUNT + 1]; /* not cumulative; the last is beyond */
	uint64_t sum_us;
};

struct metrics {
	int64_t values[METRIC_COUNT];
	struct metrics_histogram histograms[HISTOGRAM_COUNT];
};

static inline void metrics_add(struct metrics *metrics, enum metric metric, int64_t amount)
{
	metrics->values[metric] += amount;
}

static inline void metrics_set(struct metrics *metrics, enum metric metric, int64_t value)
{
	metrics->values[metric] = value;
}

/** Counts a duration; a negative one, which clocks that disagree can give, as 0. */
static inline void metrics_histogram_add(
	struct metrics_histogram *histogram, int64_t duration_us)
{
	static const int64_t bounds_us[] = METRICS_BOUNDS_US;
	size_t bucket = 0;

	if (duration_us < 0)
		duration_us = 0;
	while (bucket < METRICS_BOUND_COUNT && duration_us > bounds_us[bucket])
		bucket++;
	histogram->counts[bucket]++;
	histogram->sum_us += (uint64_t)duration_us;
}

static inline void metrics_observe_ms(
	struct metrics *metrics, enum metrics_histogram_name name, int64_t duration_ms)
{
	metrics_histogram_add(&metrics->histograms[name], duration_ms * 1000);
}

/**
 * Writes what @process shows in Prometheus text format 0.0.4.
 *
 * Returns a new NUL terminated string that the caller frees; @length is without the NUL.
 */
char *metrics_write(
	const struct metrics *metrics, enum metrics_process process, size_t *length);

/** Writes the table of what @process, and no other, shows, for people (Markdown). */
void metrics_document(FILE *stream, enum metrics_process process);
