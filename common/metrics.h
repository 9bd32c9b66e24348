#pragma once

/*
 * Metrics: every number a process shows, with its unit and meaning, in one table.
 *
 * METRICS_EACH is the only list, and /metrics comes from it. Counters sit
 * beside the event they count. Entries: (name in C, process, kind, name and labels, help).
 */

#include "common/metrics_table.h"

#include <stddef.h>
#include <stdint.h>

enum metric {
#define METRIC(c_name, process, kind, name, help) METRIC_##c_name,
	METRICS_EACH(METRIC)
#undef METRIC
	METRIC_COUNT
};

enum metrics_process { METRICS_BOTH = 3, METRICS_GATEWAY = 1, METRICS_POLLER = 2 };

struct metrics {
	int64_t values[METRIC_COUNT];
};

static inline void metrics_add(struct metrics *metrics, enum metric metric, int64_t amount)
{
	metrics->values[metric] += amount;
}

static inline void metrics_set(struct metrics *metrics, enum metric metric, int64_t value)
{
	metrics->values[metric] = value;
}

/**
 * Writes what @process shows in Prometheus text format 0.0.4.
 *
 * Returns a new NUL terminated string that the caller frees; @length is without the NUL.
 */
char *metrics_write(
	const struct metrics *metrics, enum metrics_process process, size_t *length);
