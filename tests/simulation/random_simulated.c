#include "common/random.h"

#include "tests/simulation/world.h"

uint64_t random_u64(void)
{
	return random_stream_u64(&the_world->product_random);
}

uint64_t random_below(uint64_t below)
{
	return random_stream_below(&the_world->product_random, below);
}
