#include "tests/bench/tally.h"

#include <stdlib.h>
#include <string.h>

#include "tests/bench/tool.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define VERSION_DIGITS_MAX 19
#define INSTANT_WITHIN 128 /* bytes at the start of a content that may tell instants */

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

/* ---- contents ---- */

static void end_version(struct tally *tally, struct tally_address *newest)
{
	if (newest->changed_at_us != 0 && newest->last_arrival_us != 0)
		histogram_add(&tally->last_client_delay,
			newest->last_arrival_us - newest->changed_at_us);
}

static void measure(struct tally *tally, struct tally_address *newest, uint64_t version,
	const struct cursor *content, int64_t now_us)
{
	size_t length = (size_t)(content->end - content->at);
	int64_t changed_at_us = find_instant(content->at, length, "\"at\":");
	int64_t served_at_us = find_instant(content->at, length, "\"served\":");

	if (changed_at_us != 0)
		histogram_add(&tally->delay, now_us - changed_at_us);
	if (served_at_us != 0)
		histogram_add(&tally->relay_delay, now_us - served_at_us);
	if (version == newest->version) {
		newest->changed_at_us = changed_at_us;
		newest->last_arrival_us = now_us;
	}
}

static void take_content(struct tally *tally, struct tally_held *held, size_t number,
	uint64_t version, const struct cursor *content, int64_t now_us)
{
	struct tally_address *newest = &tally->newest[number];
	bool first = held->version == 0;

	tally->contents++;
	if (version <= held->version) {
		tally->repeated += version == held->version;
		tally->backwards += version < held->version;
	}
	held->version = version;
	held->hash = XXH3_64bits(content->at, (size_t)(content->end - content->at));
	if (version > newest->version) {
		end_version(tally, newest);
		tally->versions += newest->version != 0;
		*newest = (struct tally_address){.version = version, .hash = held->hash};
	}
	if (first)
		tally->missing--;
	else
		measure(tally, newest, version, content, now_us);
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
	uint64_t version;

	if (!read_digits(cursor, VERSION_DIGITS_MAX, &version) || version == 0 ||
		!skip(cursor, "\",\"content\":"))
		return false;
	cursor->end--; /* the brace */
	take_content(tally, held, number, version, cursor, now_us);
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
	};

	memcpy(fresh.first_refusal, tally->first_refusal, TALLY_NOTE_MAX);
	memcpy(fresh.first_strange, tally->first_strange, TALLY_NOTE_MAX);
	*tally = fresh;
	for (size_t i = 0; i < tally->settings.addresses; i++)
		tally->newest[i].last_arrival_us = 0;
}

/* Compares what every client holds in the end with the newest that any of them got. */
static void write_agreement(const struct tally *tally, FILE *file)
{
	uint64_t behind = 0, different = 0;

	for (size_t client = 0; client < tally->settings.clients; client++) {
		for (size_t index = 0; index < tally->settings.per_client; index++) {
			size_t number = tally_number(tally, client, index);
			const struct tally_address *newest = &tally->newest[number];
			const struct tally_held *held = find_held(tally, client, number);

			if (held->version != newest->version)
				behind++;
			else if (held->hash != newest->hash)
				different++;
		}
	}
	fprintf(file, ",\"behind\":%llu,\"different\":%llu", (unsigned long long)behind,
		(unsigned long long)different);
}

static void write_count(FILE *file, const char *name, uint64_t count)
{
	fprintf(file, ",\"%s\":%llu", name, (unsigned long long)count);
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
}

void tally_write(struct tally *tally, FILE *file)
{
	for (size_t i = 0; i < tally->settings.addresses; i++)
		end_version(tally, &tally->newest[i]);
	fprintf(file, "\"missing\":%zu", tally->missing);
	write_count(file, "messages", tally->messages);
	write_count(file, "bytes", tally->bytes);
	write_count(file, "contents", tally->contents);
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
