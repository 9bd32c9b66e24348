#include "common/diff_meaning.h"
#include "common/diff_ignore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/*
 * Mostly few values need a hash, and fresh memory for all would cost more than the rest
 * of the comparison.
 */
#define BLOCK_TOKENS 512

#define HASH_IGNORED 1
#define PRIME_ONE 0x9e3779b185ebca87ull
#define PRIME_TWO 0xc2b2ae3d27d4eb4full

static uint64_t round_of(uint64_t state, uint64_t value)
{
	state += value * PRIME_TWO;
	state = state << 31 | state >> 33;
	return state * PRIME_ONE;
}

/* XXH64's: every bit of the state reaches every bit of the hash. */
static uint64_t finish(uint64_t state)
{
	state ^= state >> 33;
	state *= PRIME_TWO;
	state ^= state >> 29;
	state *= PRIME_ONE;
	return state ^ state >> 32;
}

static uint64_t hash_of(const struct meaning *meaning, uint32_t token)
{
	const uint64_t *block = meaning->hashes[token / BLOCK_TOKENS];

	return block ? block[token % BLOCK_TOKENS] : 0;
}

static void keep_hash(struct meaning *meaning, uint32_t token, uint64_t hash)
{
	uint64_t **block = &meaning->hashes[token / BLOCK_TOKENS];

	if (!*block)
		*block = calloc(BLOCK_TOKENS, sizeof(**block));
	if (*block)
		(*block)[token % BLOCK_TOKENS] = hash;
	else
		meaning->failed = true;
}

static uint64_t hash_array(const struct meaning *meaning, uint32_t array)
{
	const struct document_token *tokens = meaning->document->tokens;
	uint64_t state = meaning->seed + DOCUMENT_ARRAY;

	for (uint32_t i = array + 1; i < tokens[array].next; i = tokens[i].next)
		state = round_of(state, hash_of(meaning, i));
	return finish(state);
}

/* A sum, so that the order of the members does not count. */
static uint64_t hash_object(const struct meaning *meaning, uint32_t object)
{
	const struct document_token *tokens = meaning->document->tokens;
	uint64_t sum = meaning->seed + DOCUMENT_OBJECT;

	for (uint32_t i = object + 1; i < tokens[object].next; i = tokens[i + 1].next) {
		uint64_t member = round_of(meaning->seed, hash_of(meaning, i));

		if (!meaning_has(meaning, i + 1, MEANING_IGNORED))
			sum += finish(round_of(member, hash_of(meaning, i + 1)));
	}
	return finish(sum);
}

/* What the token holds is hashed already. */
static uint64_t hash_token(const struct meaning *meaning, uint32_t token)
{
	const struct document *document = meaning->document;
	const struct document_token *value = &document->tokens[token];
	uint64_t hash;

	if (meaning_has(meaning, token, MEANING_IGNORED))
		return HASH_IGNORED;
	if (value->type == DOCUMENT_STRING)
		hash = document_string_hash(document, token, meaning->seed);
	else if (value->type == DOCUMENT_ARRAY)
		hash = hash_array(meaning, token);
	else if (value->type == DOCUMENT_OBJECT)
		hash = hash_object(meaning, token);
	else
		hash = XXH3_64bits_withSeed(document->bytes + value->start, value->length,
			meaning->seed + value->type);
	return hash > HASH_IGNORED ? hash : hash + 2;
}

static bool same_bytes(const struct meaning *a, uint32_t a_token, const struct meaning *b,
	uint32_t b_token)
{
	const struct document_token *one = &a->document->tokens[a_token];
	const struct document_token *two = &b->document->tokens[b_token];

	return one->length == two->length &&
		memcmp(a->document->bytes + one->start, b->document->bytes + two->start,
			one->length) == 0;
}

int meaning_init(struct meaning *meaning, const struct document *document,
	const struct diff_rules *rules, uint64_t seed)
{
	meaning->document = document;
	meaning->seed = seed;
	meaning->marks = NULL;
	meaning->failed = false;
	meaning->hashes =
		calloc(document->count / BLOCK_TOKENS + 1, sizeof(*meaning->hashes));
	if (!meaning->hashes)
		return -ENOMEM;
	if (rules->ignore_count == 0)
		return 0;
	meaning->marks = calloc(document->count, sizeof(*meaning->marks));
	if (!meaning->marks)
		return -ENOMEM;
	return ignore_mark(rules, document, meaning->marks);
}

void meaning_fini(struct meaning *meaning)
{
	uint32_t blocks =
		meaning->hashes ? meaning->document->count / BLOCK_TOKENS + 1 : 0;

	for (uint32_t i = 0; i < blocks; i++)
		free(meaning->hashes[i]);
	free(meaning->hashes);
	free(meaning->marks);
}

bool meaning_has(const struct meaning *meaning, uint32_t token, enum meaning_mark mark)
{
	return meaning->marks && meaning->marks[token] & mark;
}

/* What a container holds comes after it on the tape, so backwards nothing is missing. */
uint64_t meaning_hash(struct meaning *meaning, uint32_t token)
{
	uint64_t hash = hash_of(meaning, token);

	if (hash)
		return hash;
	for (uint32_t i = meaning->document->tokens[token].next; i-- > token;) {
		if (!hash_of(meaning, i))
			keep_hash(meaning, i, hash_token(meaning, i));
	}
	return hash_of(meaning, token);
}

bool meaning_same(
	struct meaning *a, uint32_t a_token, struct meaning *b, uint32_t b_token)
{
	const struct document_token *one = &a->document->tokens[a_token];
	const struct document_token *two = &b->document->tokens[b_token];

	if (meaning_has(a, a_token, MEANING_IGNORED))
		return true;
	if (one->type != two->type)
		return false;
	if (one->type == DOCUMENT_STRING)
		return document_strings_equal(a->document, a_token, b->document, b_token);
	if (one->type < DOCUMENT_STRING)
		return same_bytes(a, a_token, b, b_token);
	/* Where both are hashed a container above has been compared byte by byte. */
	if (!(hash_of(a, a_token) && hash_of(b, b_token)) &&
		same_bytes(a, a_token, b, b_token))
		return true;
	return meaning_hash(a, a_token) == meaning_hash(b, b_token);
}

bool meaning_same_at_once(const struct meaning *a, uint32_t a_token,
	const struct meaning *b, uint32_t b_token)
{
	uint64_t a_hash = hash_of(a, a_token), b_hash = hash_of(b, b_token);

	if (a_hash && b_hash)
		return a_hash == b_hash;
	return a->document->tokens[a_token].length <= MEANING_SMALL &&
		same_bytes(a, a_token, b, b_token);
}
