#pragma once

/*
 * Histogram of durations, with buckets of under 2 % of their value, from 1 µs to hours.
 */

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_STEPS 64 /* buckets per doubling */
#define HISTOGRAM_DOUBLINGS 34

struct histogram {
	uint64_t buckets[HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS];
	uint64_t count;
	int64_t most_us;
};

/** Counts @duration_us; below 0 (clocks that were set) counts as 0. */
void histogram_add(struct histogram *histogram, int64_t duration_us);

/** Writes {"count":…,"p50_ms":…,"p99_ms":…,"max_ms":…}. */
void histogram_write(const struct histogram *histogram, FILE *file);
