#include "tests/bench/origin_paths.h"

#include <stdlib.h>
#include <string.h>

#include "tests/bench/tool.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FIRST_SLOTS 1024

static struct path *find_slot(struct path *slots, size_t slot_count, uint64_t hash,
	const char *text, size_t length)
{
	size_t at = hash & (slot_count - 1);

	while (slots[at].text != NULL &&
		(slots[at].hash != hash || slots[at].length != length ||
			memcmp(slots[at].text, text, length) != 0))
		at = (at + 1) & (slot_count - 1);
	return &slots[at];
}

static void grow(struct paths *paths)
{
	size_t slot_count = paths->slot_count * 2;
	struct path *slots = calloc(slot_count, sizeof(*slots));

	if (slots == NULL)
		tool_die("no memory for %zu paths", slot_count);
	for (size_t i = 0; i < paths->slot_count; i++) {
		struct path *path = &paths->slots[i];

		if (path->text != NULL)
			*find_slot(slots, slot_count, path->hash, path->text,
				path->length) = *path;
	}
	free(paths->slots);
	paths->slots = slots;
	paths->slot_count = slot_count;
}

static void fill_slot(struct paths *paths, struct path *path, uint64_t hash,
	const char *text, size_t length)
{
	*path = (struct path){.hash = hash, .length = length};
	path->text = strndup(text, length);
	if (path->text == NULL)
		tool_die("no memory for a path");
	path->value = UINT64_MAX;
	paths->count++;
}

static bool changes(const struct paths *paths, const struct path *path)
{
	return paths->settings.change_every_us > 0 &&
		(double)(path->hash >> 32) / 4294967296.0 <
		paths->settings.changing_share;
}

static void bring_up_to_date(struct paths *paths, struct path *path)
{
	int64_t every_us = paths->settings.change_every_us, phase_us, now_us, value = 0;
	int64_t changed_at_us = paths->started_at_us;

	now_us = paths->frozen_at_us != 0 ? paths->frozen_at_us : tool_wall_us();
	if (changes(paths, path)) {
		phase_us = (int64_t)(path->hash % (uint64_t)every_us);
		value = (now_us + phase_us) / every_us;
		changed_at_us = value * every_us - phase_us;
	}
	if ((uint64_t)value == path->value)
		return;
	if (path->value != UINT64_MAX)
		paths->changes++;
	path->value = (uint64_t)value;
	path->changed_at_us = changed_at_us;
	path->served_at_us = tool_wall_us();
}

/*
 * Pollers ask for a resource at the phase that the hash of its address names, by Redis's
 * clock; see poller/schedule.c. What comes just before that was meant for it, too: they
 * only estimate that clock.
 */
static void note_lateness(struct paths *paths, const struct path *path)
{
	int64_t every_ms = paths->settings.polled_every_ms;
	int64_t phase_us = (int64_t)(path->hash % (uint64_t)every_ms) * 1000;
	int64_t late_us = (tool_wall_us() - phase_us) % (every_ms * 1000);

	histogram_add(&paths->lateness, late_us > every_ms * 1000 * 9 / 10 ? 0 : late_us);
}

void paths_init(struct paths *paths, const struct paths_settings *settings)
{
	*paths = (struct paths){.settings = *settings, .slot_count = FIRST_SLOTS};
	paths->started_at_us = tool_wall_us();
	paths->slots = calloc(paths->slot_count, sizeof(*paths->slots));
	if (paths->slots == NULL)
		tool_die("no memory for paths");
}

void paths_fini(struct paths *paths)
{
	for (size_t i = 0; i < paths->slot_count; i++)
		free(paths->slots[i].text);
	free(paths->slots);
}

struct path *paths_ask(struct paths *paths, const char *text, size_t length)
{
	uint64_t hash = XXH3_64bits(text, length);
	struct path *path;

	if (paths->count * 2 >= paths->slot_count)
		grow(paths);
	path = find_slot(paths->slots, paths->slot_count, hash, text, length);
	if (path->text == NULL)
		fill_slot(paths, path, hash, text, length);
	bring_up_to_date(paths, path);
	if (paths->settings.polled_every_ms > 0)
		note_lateness(paths, path);
	path->requests++;
	paths->requests++;
	return path;
}

void paths_count_not_modified(struct paths *paths, struct path *path)
{
	path->not_modified++;
	paths->not_modified++;
}

void paths_freeze(struct paths *paths)
{
	if (paths->frozen_at_us == 0)
		paths->frozen_at_us = tool_wall_us();
}

void paths_reset(struct paths *paths)
{
	for (size_t i = 0; i < paths->slot_count; i++) {
		paths->slots[i].requests = 0;
		paths->slots[i].not_modified = 0;
	}
	paths->requests = 0;
	paths->not_modified = 0;
	paths->changes = 0;
	paths->lateness = (struct histogram){0};
}

void paths_write_totals(const struct paths *paths, FILE *file)
{
	uint64_t least = paths->count > 0 ? UINT64_MAX : 0, most = 0;

	for (size_t i = 0; i < paths->slot_count; i++) {
		const struct path *path = &paths->slots[i];

		if (path->text == NULL)
			continue;
		least = path->requests < least ? path->requests : least;
		most = path->requests > most ? path->requests : most;
	}
	fprintf(file,
		"\"requests\":%llu,\"not_modified\":%llu,\"changes\":%llu,\"paths\":%zu,"
		"\"least_per_path\":%llu,\"most_per_path\":%llu",
		(unsigned long long)paths->requests,
		(unsigned long long)paths->not_modified,
		(unsigned long long)paths->changes, paths->count,
		(unsigned long long)least, (unsigned long long)most);
	fputs(",\"lateness\":", file);
	histogram_write(&paths->lateness, file);
}

void paths_write_each(const struct paths *paths, FILE *file)
{
	const char *comma = "";

	fputc('{', file);
	for (size_t i = 0; i < paths->slot_count; i++) {
		const struct path *path = &paths->slots[i];

		if (path->text == NULL)
			continue;
		fprintf(file,
			"%s\"%s\":{\"requests\":%llu,\"not_modified\":%llu,\"value\":%"
			"llu}",
			comma, path->text, (unsigned long long)path->requests,
			(unsigned long long)path->not_modified,
			(unsigned long long)path->value);
		comma = ",";
	}
	fputc('}', file);
}
