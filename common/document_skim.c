#include "common/document_skim.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* What is looked for; as in struct skim_block, strings not yet left out. */
struct marks {
	struct skim_block block;
	uint64_t quotes;
	uint64_t slashes;
};

#ifdef __SSE2__

static inline uint64_t equal(__m128i bytes, char wanted)
{
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(wanted)));
}

static inline struct marks mark(const char *text)
{
	struct marks marks = {0};

#pragma GCC unroll 4
	for (int i = 0; i < SKIM_BYTES; i += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(text + i));
		/* One bit makes [ and ] into { and }, and nothing else. */
		__m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));

		marks.block.opens |= equal(folded, '{') << i;
		marks.block.closes |= equal(folded, '}') << i;
		marks.block.commas |= equal(bytes, ',') << i;
		marks.quotes |= equal(bytes, '"') << i;
		marks.slashes |= equal(bytes, '\\') << i;
	}
	return marks;
}

#else

static inline struct marks mark(const char *text)
{
	struct marks marks = {0};

	for (int i = 0; i < SKIM_BYTES; i++) {
		uint64_t bit = (uint64_t)1 << i;

		switch (text[i]) {
		case '[':
		case '{':
			marks.block.opens |= bit;
			break;
		case ']':
		case '}':
			marks.block.closes |= bit;
			break;
		case ',':
			marks.block.commas |= bit;
			break;
		case '"':
			marks.quotes |= bit;
			break;
		case '\\':
			marks.slashes |= bit;
			break;
		}
	}
	return marks;
}

#endif

/* The bytes that a backslash stands before. */
static uint64_t find_escaped(struct skim *skim, uint64_t slashes)
{
	uint64_t escaped = skim->escaped;

	slashes &= ~escaped;
	skim->escaped = 0;
	while (slashes) {
		uint64_t slash = slashes & -slashes;

		escaped |= slash << 1;
		skim->escaped = slash >> 63;
		slashes &= ~(slash | slash << 1);
	}
	return escaped;
}

/* Each opening quote and what follows it up to the closing one. */
static inline uint64_t find_strings(struct skim *skim, uint64_t quotes)
{
	uint64_t strings = quotes;

#pragma GCC unroll 6
	for (int shift = 1; shift < SKIM_BYTES; shift *= 2)
		strings ^= strings << shift;
	strings ^= skim->in_string;
	skim->in_string = strings >> 63 ? UINT64_MAX : 0;
	return strings;
}

struct skim_block skim_next(struct skim *skim, const char *bytes)
{
	struct marks marks = mark(bytes);
	struct skim_block block = marks.block;
	uint64_t strings;

	if (marks.slashes || skim->escaped)
		marks.quotes &= ~find_escaped(skim, marks.slashes);
	strings = find_strings(skim, marks.quotes);
	block.opens &= ~strings;
	block.closes &= ~strings;
	block.commas &= ~strings;
	return block;
}
