#include "tests/simulation/keyspace.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

/* FNV-1a: the same in every run, unlike a seeded hash. */
static uint32_t hash_of(const char *bytes, size_t length)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
	return hash;
}

static bool is_named(const struct keyspace_text *text, const char *name, size_t length)
{
	return text->length == length && memcmp(text->bytes, name, length) == 0;
}

static void field_fini(struct keyspace_field *field)
{
	free(field->name.bytes);
	free(field->value.bytes);
}

static void entry_fini(struct keyspace_entry *entry)
{
	for (size_t i = 0; i < entry->field_count; i++)
		field_fini(&entry->fields[i]);
	free(entry->fields);
	free(entry->name.bytes);
	free(entry->value.bytes);
}

void keyspace_init(struct keyspace *keyspace, uint64_t seed)
{
	*keyspace = (struct keyspace){.random_state = seed};
}

void keyspace_flush(struct keyspace *keyspace)
{
	for (size_t i = 0; i < keyspace->entry_count; i++)
		entry_fini(&keyspace->entries[i]);
	free(keyspace->entries);
	keyspace->entries = NULL;
	keyspace->entry_count = 0;
	keyspace->entry_capacity = 0;
}

static void copy_text(struct keyspace_text *copy, const struct keyspace_text *text)
{
	copy->bytes = NULL;
	copy->length = 0;
	if (text->bytes)
		keyspace_text_set(copy, text->bytes, text->length);
}

static void copy_entry(struct keyspace_entry *copy, const struct keyspace_entry *entry)
{
	*copy = *entry;
	copy_text(&copy->name, &entry->name);
	copy_text(&copy->value, &entry->value);
	copy->field_capacity = entry->field_count;
	copy->fields = xreallocarray(NULL, entry->field_count, sizeof(*copy->fields));
	for (size_t i = 0; i < entry->field_count; i++) {
		copy->fields[i] = entry->fields[i];
		copy_text(&copy->fields[i].name, &entry->fields[i].name);
		copy_text(&copy->fields[i].value, &entry->fields[i].value);
	}
}

void keyspace_copy(struct keyspace *copy, const struct keyspace *keyspace)
{
	keyspace_flush(copy);
	copy->entry_count = copy->entry_capacity = keyspace->entry_count;
	copy->entries =
		xreallocarray(NULL, keyspace->entry_count, sizeof(*copy->entries));
	for (size_t i = 0; i < keyspace->entry_count; i++)
		copy_entry(&copy->entries[i], &keyspace->entries[i]);
}

static bool is_expired(
	const struct keyspace *keyspace, const struct keyspace_entry *entry)
{
	return entry->expires_at_ms <= keyspace->now_us / 1000;
}

void keyspace_expire(struct keyspace *keyspace)
{
	for (size_t i = keyspace->entry_count; i-- > 0;) {
		if (is_expired(keyspace, &keyspace->entries[i]))
			keyspace_remove(keyspace, &keyspace->entries[i]);
	}
}

/* splitmix64 */
size_t keyspace_random_below(struct keyspace *keyspace, size_t below)
{
	uint64_t mix = keyspace->random_state += 0x9e3779b97f4a7c15u;

	mix = (mix ^ (mix >> 30)) * 0xbf58476d1ce4e5b9u;
	mix = (mix ^ (mix >> 27)) * 0x94d049bb133111ebu;
	return (size_t)((mix ^ (mix >> 31)) % below);
}

/* ---- keys ---- */

struct keyspace_entry *keyspace_find(
	struct keyspace *keyspace, const char *name, size_t length)
{
	uint32_t hash = hash_of(name, length);

	for (size_t i = 0; i < keyspace->entry_count; i++) {
		struct keyspace_entry *entry = &keyspace->entries[i];

		if (entry->hash != hash || !is_named(&entry->name, name, length))
			continue;
		if (!is_expired(keyspace, entry))
			return entry;
		keyspace_remove(keyspace, entry);
		return NULL;
	}
	return NULL;
}

struct keyspace_entry *keyspace_add(struct keyspace *keyspace, enum keyspace_type type,
	const char *name, size_t length)
{
	struct keyspace_entry *entry;

	if (keyspace->entry_count == keyspace->entry_capacity) {
		keyspace->entry_capacity += 32 + keyspace->entry_capacity;
		keyspace->entries = xreallocarray(keyspace->entries,
			keyspace->entry_capacity, sizeof(*keyspace->entries));
	}
	entry = &keyspace->entries[keyspace->entry_count++];
	*entry = (struct keyspace_entry){
		.hash = hash_of(name, length),
		.type = type,
		.expires_at_ms = KEYSPACE_FOREVER,
	};
	keyspace_text_set(&entry->name, name, length);
	return entry;
}

void keyspace_remove(struct keyspace *keyspace, struct keyspace_entry *entry)
{
	entry_fini(entry);
	*entry = keyspace->entries[--keyspace->entry_count];
}

void keyspace_text_set(struct keyspace_text *text, const char *bytes, size_t length)
{
	if (!text->bytes || text->length < length)
		text->bytes = xreallocarray(text->bytes, length + 1, 1);
	memcpy(text->bytes, bytes, length);
	text->bytes[length] = '\0';
	text->length = length;
}

/* ---- fields and members ---- */

struct keyspace_field *keyspace_field_find(
	const struct keyspace_entry *entry, const char *name, size_t length)
{
	uint32_t hash = hash_of(name, length);

	for (size_t i = 0; i < entry->field_count; i++) {
		struct keyspace_field *field = &entry->fields[i];

		if (field->hash == hash && is_named(&field->name, name, length))
			return field;
	}
	return NULL;
}

struct keyspace_field *keyspace_field_put(
	struct keyspace_entry *entry, const char *name, size_t length, bool *added)
{
	struct keyspace_field *field = keyspace_field_find(entry, name, length);

	if (added)
		*added = field == NULL;
	if (field)
		return field;
	if (entry->field_count == entry->field_capacity) {
		entry->field_capacity += 8 + entry->field_capacity;
		entry->fields = xreallocarray(
			entry->fields, entry->field_capacity, sizeof(*entry->fields));
	}
	field = &entry->fields[entry->field_count++];
	*field = (struct keyspace_field){.hash = hash_of(name, length)};
	keyspace_text_set(&field->name, name, length);
	return field;
}

void keyspace_field_remove(struct keyspace_entry *entry, struct keyspace_field *field)
{
	field_fini(field);
	*field = entry->fields[--entry->field_count];
}

/* The smallest hash that is at least @least, or UINT64_MAX. */
static uint64_t next_hash(const struct keyspace_entry *entry, uint64_t least)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < entry->field_count; i++) {
		if (entry->fields[i].hash >= least && entry->fields[i].hash < next)
			next = entry->fields[i].hash;
	}
	return next;
}

uint64_t keyspace_scan(const struct keyspace_entry *entry, uint64_t cursor, size_t count,
	void (*visit)(const struct keyspace_field *field, void *user), void *user)
{
	uint64_t hash = next_hash(entry, cursor);

	while (hash != UINT64_MAX && count > 0) {
		for (size_t i = 0; i < entry->field_count; i++) {
			if (entry->fields[i].hash != hash)
				continue;
			visit(&entry->fields[i], user);
			count -= count > 0;
		}
		hash = next_hash(entry, hash + 1);
	}
	return hash == UINT64_MAX ? 0 : hash;
}
