#include "tests/bench/histogram.h"

#include <stddef.h>

#define BUCKETS (HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS)

/* Up to 2 * HISTOGRAM_STEPS every value has its own bucket. */
static size_t bucket_of(uint64_t value)
{
	size_t shift = 0, bucket;

	while (value >> shift >= 2 * HISTOGRAM_STEPS)
		shift++;
	bucket = shift * HISTOGRAM_STEPS + (size_t)(value >> shift);
	return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* The largest value in @bucket. */
static uint64_t bucket_end(size_t bucket)
{
	size_t shift = bucket < 2 * HISTOGRAM_STEPS ? 0 : bucket / HISTOGRAM_STEPS - 1;

	return ((uint64_t)(bucket - shift * HISTOGRAM_STEPS + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, int64_t duration_us)
{
	if (duration_us < 0)
		duration_us = 0;
	histogram->buckets[bucket_of((uint64_t)duration_us)]++;
	histogram->count++;
	if (duration_us > histogram->most_us)
		histogram->most_us = duration_us;
}

/* The duration that @share (0 to 1) of all are not above; 0 where there are none. */
static int64_t quantile_us(const struct histogram *histogram, double share)
{
	uint64_t below = 0;

	if (histogram->count == 0)
		return 0;
	for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
		below += histogram->buckets[bucket];
		if ((double)below >= share * (double)histogram->count) {
			int64_t end_us = (int64_t)bucket_end(bucket);

			return end_us < histogram->most_us ? end_us : histogram->most_us;
		}
	}
	return histogram->most_us;
}

void histogram_write(const struct histogram *histogram, FILE *file)
{
	fprintf(file, "{\"count\":%llu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}",
		(unsigned long long)histogram->count,
		(double)quantile_us(histogram, 0.50) / 1000,
		(double)quantile_us(histogram, 0.99) / 1000,
		(double)histogram->most_us / 1000);
}
