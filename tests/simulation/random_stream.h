#pragma once

/*
 * Random stream: numbers that follow from a seed alone (splitmix64).
 */

#include <stdbool.h>
#include <stdint.h>

struct random_stream {
	uint64_t state;
};

static inline uint64_t random_stream_u64(struct random_stream *stream)
{
	uint64_t mix = stream->state += 0x9e3779b97f4a7c15u;

	mix = (mix ^ (mix >> 30)) * 0xbf58476d1ce4e5b9u;
	mix = (mix ^ (mix >> 27)) * 0x94d049bb133111ebu;
	return mix ^ (mix >> 31);
}

/** From 0 to @below − 1; @below at least 1. */
static inline uint64_t random_stream_below(struct random_stream *stream, uint64_t below)
{
	return random_stream_u64(stream) % below;
}

/** From @least to @most, both included. */
static inline int64_t random_stream_between(
	struct random_stream *stream, int64_t least, int64_t most)
{
	return least + (int64_t)random_stream_below(stream, (uint64_t)(most - least + 1));
}

/** True in @percent of 100. */
static inline bool random_stream_chance(struct random_stream *stream, unsigned percent)
{
	return random_stream_below(stream, 100) < percent;
}
