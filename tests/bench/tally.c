#include "tests/bench/tally.h"

#include <stdlib.h>
#include <string.h>

#include "tests/bench/tool.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define VERSION_DIGITS_MAX 19
#define INSTANT_WITHIN 256 /* bytes at the start that may tell instants */
#define PATCH_OF(name) "\"path\":\"/" name "\",\"value\":"

static const char *const state_names[TALLY_STATES] = {"fresh", "stale", "error", "gone"};

/* What is left to read of a message. */
struct cursor {
	const char *at;
	const char *end;
};

/* ---- reading ---- */

static bool skip(struct cursor *cursor, const char *words)
{
	size_t length = strlen(words);

	if ((size_t)(cursor->end - cursor->at) < length ||
		memcmp(cursor->at, words, length) != 0)
		return false;
	cursor->at += length;
	return true;
}

static bool read_digits(struct cursor *cursor, size_t digits_max, uint64_t *number)
{
	const char *start = cursor->at;

	*number = 0;
	while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9')
		*number = *number * 10 + (uint64_t)(*cursor->at++ - '0');
	return cursor->at > start && (size_t)(cursor->at - start) <= digits_max;
}

static bool read_address(const struct tally *tally, struct cursor *cursor, size_t *number)
{
	uint64_t digits = 0;

	if ((size_t)(cursor->end - cursor->at) < tally->prefix_length ||
		memcmp(cursor->at, tally->settings.pattern, tally->prefix_length) != 0)
		return false;
	cursor->at += tally->prefix_length;
	if (tally->suffix != NULL &&
		(!read_digits(cursor, 9, &digits) || !skip(cursor, tally->suffix)))
		return false;
	*number = digits;
	return digits < tally->settings.addresses && skip(cursor, "\"");
}

/* What @client holds of address @number, or NULL where it does not watch it. */
static struct tally_held *find_held(
	const struct tally *tally, size_t client, size_t number)
{
	const struct tally_settings *settings = &tally->settings;
	size_t first = tally_number(tally, client, 0);
	size_t index = (number + settings->addresses - first) % settings->addresses;

	if (index >= settings->per_client)
		return NULL;
	return &tally->held[client * settings->per_client + index];
}

/* An instant of the origin's, such as "at": 0 where the content has none. */
static int64_t find_instant(const char *content, size_t length, const char *name)
{
	size_t within = length < INSTANT_WITHIN ? length : INSTANT_WITHIN;
	const char *found = memmem(content, within, name, strlen(name));
	struct cursor cursor = {found, content + length};
	uint64_t instant;

	if (found == NULL || !skip(&cursor, name) || !read_digits(&cursor, 19, &instant))
		return 0;
	return (int64_t)instant;
}

static void note(char *kept, const struct cursor *message)
{
	if (kept[0] == '\0')
		snprintf(kept, TALLY_NOTE_MAX, "%.*s", (int)(message->end - message->at),
			message->at);
}

/* ---- versions ---- */

/* What a message says of a version: its content, or the patch to it. */
struct news {
	uint64_t version;
	uint64_t base; /* 0: it is a content */
	struct cursor body;
};

static void end_version(struct tally *tally, struct tally_address *newest)
{
	if (newest->changed_at_us != 0 && newest->last_arrival_us != 0)
		histogram_add(&tally->last_client_delay,
			newest->last_arrival_us - newest->changed_at_us);
	if (newest->served_at_us != 0 && newest->last_arrival_us != 0)
		histogram_add(&tally->last_client_relay_delay,
			newest->last_arrival_us - newest->served_at_us);
}

static void measure(struct tally *tally, struct tally_address *newest,
	const struct news *news, int64_t now_us)
{
	const struct cursor *body = &news->body;
	size_t length = (size_t)(body->end - body->at);
	bool patch = news->base != 0;
	int64_t changed_at_us =
		find_instant(body->at, length, patch ? PATCH_OF("at") : "\"at\":");
	int64_t served_at_us = find_instant(
		body->at, length, patch ? PATCH_OF("served") : "\"served\":");

	if (changed_at_us != 0)
		histogram_add(&tally->delay, now_us - changed_at_us);
	if (served_at_us != 0)
		histogram_add(&tally->relay_delay, now_us - served_at_us);
	if (news->version == newest->version) {
		newest->changed_at_us = changed_at_us;
		newest->served_at_us = served_at_us;
		newest->last_arrival_us = now_us;
	}
}

static uint64_t hash_of(const struct news *news)
{
	size_t length = (size_t)(news->body.end - news->body.at);

	return XXH3_64bits_withSeed(news->body.at, length, news->base) | 1;
}

/* Whether everybody is told the same of the newest version. */
static void compare(
	struct tally *tally, struct tally_address *newest, const struct news *news)
{
	uint64_t *known = news->base != 0 ? &newest->patch_hash : &newest->content_hash;
	uint64_t hash = hash_of(news);

	if (*known != 0 && *known != hash)
		tally->different++;
	*known = hash;
}

static void take_news(struct tally *tally, struct tally_held *held, size_t number,
	const struct news *news, int64_t now_us)
{
	struct tally_address *newest = &tally->newest[number];
	uint64_t version = news->version;
	bool first = held->version == 0;

	if (news->base == 0)
		tally->contents++;
	else
		tally->patches++;
	if (news->base != 0 && news->base != held->version)
		tally->broken++;
	if (version <= held->version) {
		tally->repeated += version == held->version;
		tally->backwards += version < held->version;
	}
	held->version = version;
	if (version > newest->version) {
		end_version(tally, newest);
		tally->versions += newest->version != 0;
		*newest = (struct tally_address){.version = version};
	}
	if (version == newest->version)
		compare(tally, newest, news);
	if (first)
		tally->missing--;
	else
		measure(tally, newest, news, now_us);
}

/* ---- messages ---- */

static bool take_state(struct tally *tally, struct cursor *cursor)
{
	for (size_t i = 0; i < TALLY_STATES; i++) {
		if (!skip(cursor, state_names[i]))
			continue;
		tally->states[i]++;
		return skip(cursor, "\"");
	}
	return false;
}

static bool take_version(struct tally *tally, struct tally_held *held, size_t number,
	struct cursor *cursor, int64_t now_us)
{
	struct news news = {0};

	if (!read_digits(cursor, VERSION_DIGITS_MAX, &news.version) || news.version == 0)
		return false;
	if (skip(cursor, "\",\"base\":\"")) {
		if (!read_digits(cursor, VERSION_DIGITS_MAX, &news.base) ||
			news.base == 0 || !skip(cursor, "\",\"patch\":"))
			return false;
	} else if (!skip(cursor, "\",\"content\":")) {
		return false;
	}
	cursor->end--; /* the brace */
	news.body = *cursor;
	take_news(tally, held, number, &news, now_us);
	return true;
}

static bool take_refusal(struct tally *tally, const struct cursor *message)
{
	tally->refusals++;
	note(tally->first_refusal, message);
	return true;
}

static bool take_answer(struct tally *tally, const struct cursor *message)
{
	static const char error[] = "\"error\":";
	size_t length = (size_t)(message->end - message->at);

	if (memmem(message->at, length, error, strlen(error)) != NULL)
		return take_refusal(tally, message);
	tally->answers++;
	return true;
}

/* False where @message is not understood, or about what @client did not ask for. */
static bool take_message(
	struct tally *tally, size_t client, const struct cursor *message, int64_t now_us)
{
	struct cursor cursor = *message;
	struct tally_held *held;
	size_t number;

	if (skip(&cursor, "{\"id\":"))
		return take_answer(tally, message);
	if (skip(&cursor, "{\"error\":"))
		return take_refusal(tally, message);
	if (!skip(&cursor, "{\"uri\":\"") || !read_address(tally, &cursor, &number))
		return false;
	held = find_held(tally, client, number);
	if (held == NULL)
		return false;
	if (skip(&cursor, ",\"error\":"))
		return take_refusal(tally, message);
	if (skip(&cursor, ",\"state\":\""))
		return take_state(tally, &cursor);
	if (skip(&cursor, ",\"version\":\""))
		return take_version(tally, held, number, &cursor, now_us);
	return false;
}

void tally_take(struct tally *tally, size_t client, const char *message, size_t length,
	int64_t now_us)
{
	struct cursor whole = {message, message + length};

	tally->messages++;
	tally->bytes += length;
	if (take_message(tally, client, &whole, now_us))
		return;
	tally->strange++;
	note(tally->first_strange, &whole);
}

/* ---- beginning and end ---- */

void tally_init(struct tally *tally, const struct tally_settings *settings)
{
	const char *place = strstr(settings->pattern, "%d");
	size_t pairs = settings->clients * settings->per_client;

	*tally = (struct tally){.settings = *settings, .missing = pairs};
	tally->prefix_length =
		place ? (size_t)(place - settings->pattern) : strlen(settings->pattern);
	tally->suffix = place ? place + 2 : NULL;
	tally->held = calloc(pairs, sizeof(*tally->held));
	tally->newest = calloc(settings->addresses, sizeof(*tally->newest));
	if (tally->held == NULL || tally->newest == NULL)
		tool_die("no memory for %zu subscriptions", pairs);
}

void tally_fini(struct tally *tally)
{
	free(tally->held);
	free(tally->newest);
}

size_t tally_number(const struct tally *tally, size_t client, size_t index)
{
	const struct tally_settings *settings = &tally->settings;

	return (client * settings->per_client + index) % settings->addresses;
}

size_t tally_write_address(const struct tally *tally, size_t number, char *buffer)
{
	if (tally->suffix == NULL)
		return (size_t)sprintf(buffer, "%s", tally->settings.pattern);
	return (size_t)sprintf(buffer, "%.*s%zu%s", (int)tally->prefix_length,
		tally->settings.pattern, number, tally->suffix);
}

void tally_reset(struct tally *tally)
{
	struct tally fresh = {
		.settings = tally->settings,
		.prefix_length = tally->prefix_length,
		.suffix = tally->suffix,
		.held = tally->held,
		.newest = tally->newest,
		.missing = tally->missing,
		/* What went wrong stays. */
		.refusals = tally->refusals,
		.strange = tally->strange,
		.repeated = tally->repeated,
		.backwards = tally->backwards,
		.different = tally->different,
		.broken = tally->broken,
	};

	memcpy(fresh.first_refusal, tally->first_refusal, TALLY_NOTE_MAX);
	memcpy(fresh.first_strange, tally->first_strange, TALLY_NOTE_MAX);
	*tally = fresh;
	for (size_t i = 0; i < tally->settings.addresses; i++)
		tally->newest[i].last_arrival_us = 0;
}

static void write_count(FILE *file, const char *name, uint64_t count)
{
	fprintf(file, ",\"%s\":%llu", name, (unsigned long long)count);
}

/* Whether every client holds the newest that any of them was told in the end. */
static void write_agreement(const struct tally *tally, FILE *file)
{
	uint64_t behind = 0;

	for (size_t client = 0; client < tally->settings.clients; client++) {
		for (size_t index = 0; index < tally->settings.per_client; index++) {
			size_t number = tally_number(tally, client, index);

			behind += find_held(tally, client, number)->version !=
				tally->newest[number].version;
		}
	}
	write_count(file, "behind", behind);
	write_count(file, "different", tally->different);
	write_count(file, "broken", tally->broken);
}

/* Quotes and backslashes become apostrophes: it is a note for people. */
static void write_note(FILE *file, const char *name, const char *text)
{
	fprintf(file, ",\"%s\":\"", name);
	for (; *text != '\0'; text++)
		fputc(*text == '"' || *text == '\\' || *text < ' ' ? '\'' : *text, file);
	fputc('"', file);
}

static void write_delays(const struct tally *tally, FILE *file)
{
	fputs(",\"delay\":", file);
	histogram_write(&tally->delay, file);
	fputs(",\"relay_delay\":", file);
	histogram_write(&tally->relay_delay, file);
	fputs(",\"last_client_delay\":", file);
	histogram_write(&tally->last_client_delay, file);
	fputs(",\"last_client_relay_delay\":", file);
	histogram_write(&tally->last_client_relay_delay, file);
}

void tally_write(struct tally *tally, FILE *file)
{
	for (size_t i = 0; i < tally->settings.addresses; i++)
		end_version(tally, &tally->newest[i]);
	fprintf(file, "\"missing\":%zu", tally->missing);
	write_count(file, "messages", tally->messages);
	write_count(file, "bytes", tally->bytes);
	write_count(file, "contents", tally->contents);
	write_count(file, "patches", tally->patches);
	write_count(file, "versions", tally->versions);
	for (size_t i = 0; i < TALLY_STATES; i++)
		write_count(file, state_names[i], tally->states[i]);
	write_count(file, "answers", tally->answers);
	write_count(file, "refusals", tally->refusals);
	write_count(file, "strange", tally->strange);
	write_count(file, "repeated", tally->repeated);
	write_count(file, "backwards", tally->backwards);
	write_agreement(tally, file);
	write_delays(tally, file);
	write_note(file, "first_refusal", tally->first_refusal);
	write_note(file, "first_strange", tally->first_strange);
}
