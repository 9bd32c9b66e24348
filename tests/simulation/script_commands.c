#include "tests/simulation/script_commands.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/simulation/sha1.h"

/* One redis.call(): arguments are strings on the stack, the command's name at 1. */
struct call {
	lua_State *lua;
	struct script_context *context;
	struct keyspace *keyspace;
	int count; /* arguments with the name */
};

enum command_flag {
	COMMAND_WRITES = 1,
	COMMAND_NEEDS_MEMORY = 2, /* refused by a Redis that is out of it */
};

struct command {
	const char *name;
	int (*run)(struct call *call);
	int arguments_min; /* with the name */
	int flags;
};

/* ---- arguments ---- */

static struct keyspace_text argument(const struct call *call, int index)
{
	struct keyspace_text text;

	text.bytes = (char *)lua_tolstring(call->lua, index, &text.length);
	return text;
}

static bool argument_is(const struct call *call, int index, const char *word)
{
	return index <= call->count && strcasecmp(argument(call, index).bytes, word) == 0;
}

static int fail(struct call *call, const char *message)
{
	lua_newtable(call->lua);
	lua_pushstring(call->lua, message);
	lua_setfield(call->lua, -2, "err");
	return lua_error(call->lua);
}

static double number_argument(struct call *call, int index)
{
	struct keyspace_text text = argument(call, index);
	char *end;
	double number = strtod(text.bytes, &end);

	if (text.length == 0 || *end != '\0' || isnan(number))
		fail(call, "ERR value is not a valid float");
	return number;
}

static int64_t integer_argument(struct call *call, int index)
{
	struct keyspace_text text = argument(call, index);
	char *end;
	long long number = strtoll(text.bytes, &end, 10);

	if (text.length == 0 || *end != '\0')
		fail(call, "ERR value is not an integer or out of range");
	return number;
}

static int unknown_option(struct call *call, int index)
{
	fprintf(stderr, "simulated Redis: unknown option of %s: %s\n",
		argument(call, 1).bytes, argument(call, index).bytes);
	abort();
}

/* ---- answers ---- */

static int answer_nil(struct call *call)
{
	lua_pushboolean(call->lua, 0);
	return 1;
}

static int answer_integer(struct call *call, int64_t number)
{
	lua_pushnumber(call->lua, (lua_Number)number);
	return 1;
}

static int answer_ok(struct call *call)
{
	lua_newtable(call->lua);
	lua_pushliteral(call->lua, "OK");
	lua_setfield(call->lua, -2, "ok");
	return 1;
}

static int answer_text(struct call *call, const struct keyspace_text *text)
{
	lua_pushlstring(call->lua, text->bytes, text->length);
	return 1;
}

static void push_score(lua_State *lua, double score)
{
	char text[32];

	if (isinf(score))
		snprintf(text, sizeof(text), score > 0 ? "inf" : "-inf");
	else if (score == floor(score) && fabs(score) < 1e17)
		snprintf(text, sizeof(text), "%lld", (long long)score);
	else
		snprintf(text, sizeof(text), "%.17g", score);
	lua_pushstring(lua, text);
}

/* An array under construction: the table lies on the stack, elements are pushed on it. */
struct array {
	lua_State *lua;
	int count;
};

static struct array array_begin(struct call *call)
{
	lua_newtable(call->lua);
	return (struct array){.lua = call->lua};
}

/* Takes the value on top of the stack. */
static void array_take(struct array *array)
{
	lua_rawseti(array->lua, -2, ++array->count);
}

static void array_text(struct array *array, const struct keyspace_text *text)
{
	lua_pushlstring(array->lua, text->bytes, text->length);
	array_take(array);
}

/* ---- keys ---- */

static struct keyspace_entry *find_any(struct call *call, int index)
{
	struct keyspace_text name = argument(call, index);

	return keyspace_find(call->keyspace, name.bytes, name.length);
}

/* The key at @index, or NULL; a key of another type is an error. */
static struct keyspace_entry *find(struct call *call, int index, enum keyspace_type type)
{
	struct keyspace_entry *entry = find_any(call, index);

	if (entry && entry->type != type)
		fail(call,
			"WRONGTYPE Operation against a key holding the wrong kind of "
			"value");
	return entry;
}

static struct keyspace_entry *find_or_add(
	struct call *call, int index, enum keyspace_type type)
{
	struct keyspace_entry *entry = find(call, index, type);
	struct keyspace_text name = argument(call, index);

	if (entry)
		return entry;
	return keyspace_add(call->keyspace, type, name.bytes, name.length);
}

static struct keyspace_field *field_at(
	struct call *call, const struct keyspace_entry *entry, int index)
{
	struct keyspace_text name = argument(call, index);

	return entry ? keyspace_field_find(entry, name.bytes, name.length) : NULL;
}

/* A key without fields is no key. */
static void drop_if_empty(struct call *call, struct keyspace_entry *entry)
{
	if (entry->field_count == 0)
		keyspace_remove(call->keyspace, entry);
}

static int64_t now_ms(const struct call *call)
{
	return call->keyspace->now_us / 1000;
}

static int command_del(struct call *call)
{
	int64_t removed = 0;

	for (int i = 2; i <= call->count; i++) {
		struct keyspace_entry *entry = find_any(call, i);

		if (!entry)
			continue;
		keyspace_remove(call->keyspace, entry);
		removed++;
	}
	return answer_integer(call, removed);
}

static int command_exists(struct call *call)
{
	int64_t count = 0;

	for (int i = 2; i <= call->count; i++)
		count += find_any(call, i) != NULL;
	return answer_integer(call, count);
}

/* NX, XX, GT and LT: whether the present expiry lets @expires_at_ms in. */
static bool expiry_allowed(
	struct call *call, const struct keyspace_entry *entry, int64_t expires_at_ms)
{
	if (call->count < 4)
		return true;
	if (argument_is(call, 4, "NX"))
		return entry->expires_at_ms == KEYSPACE_FOREVER;
	if (argument_is(call, 4, "XX"))
		return entry->expires_at_ms != KEYSPACE_FOREVER;
	if (argument_is(call, 4, "GT"))
		return expires_at_ms > entry->expires_at_ms;
	if (argument_is(call, 4, "LT"))
		return expires_at_ms < entry->expires_at_ms;
	return unknown_option(call, 4);
}

static int expire_in(struct call *call, int64_t unit_ms)
{
	int64_t expires_at_ms = now_ms(call) + integer_argument(call, 3) * unit_ms;
	struct keyspace_entry *entry = find_any(call, 2);

	if (!entry || !expiry_allowed(call, entry, expires_at_ms))
		return answer_integer(call, 0);
	entry->expires_at_ms = expires_at_ms;
	return answer_integer(call, 1);
}

static int command_expire(struct call *call)
{
	return expire_in(call, 1000);
}

static int command_pexpire(struct call *call)
{
	return expire_in(call, 1);
}

static int command_persist(struct call *call)
{
	struct keyspace_entry *entry = find_any(call, 2);

	if (!entry || entry->expires_at_ms == KEYSPACE_FOREVER)
		return answer_integer(call, 0);
	entry->expires_at_ms = KEYSPACE_FOREVER;
	return answer_integer(call, 1);
}

static int command_ttl(struct call *call)
{
	struct keyspace_entry *entry = find_any(call, 2);

	if (!entry)
		return answer_integer(call, -2);
	if (entry->expires_at_ms == KEYSPACE_FOREVER)
		return answer_integer(call, -1);
	return answer_integer(call, (entry->expires_at_ms - now_ms(call) + 500) / 1000);
}

static int command_type(struct call *call)
{
	static const char *const names[] = {
		[KEYSPACE_STRING] = "string",
		[KEYSPACE_HASH] = "hash",
		[KEYSPACE_SET] = "set",
		[KEYSPACE_ZSET] = "zset",
	};
	struct keyspace_entry *entry = find_any(call, 2);

	lua_newtable(call->lua);
	lua_pushstring(call->lua, entry ? names[entry->type] : "none");
	lua_setfield(call->lua, -2, "ok");
	return 1;
}

/* ---- strings ---- */

static int command_get(struct call *call)
{
	struct keyspace_entry *entry = find(call, 2, KEYSPACE_STRING);

	return entry ? answer_text(call, &entry->value) : answer_nil(call);
}

struct set_options {
	int64_t expires_at_ms;
	bool keep_expiry;
	bool only_new;
	bool only_old;
};

static struct set_options set_options(struct call *call)
{
	struct set_options options = {.expires_at_ms = KEYSPACE_FOREVER};

	for (int i = 4; i <= call->count; i++) {
		if (argument_is(call, i, "NX"))
			options.only_new = true;
		else if (argument_is(call, i, "XX"))
			options.only_old = true;
		else if (argument_is(call, i, "KEEPTTL"))
			options.keep_expiry = true;
		else if (argument_is(call, i, "EX") && i < call->count)
			options.expires_at_ms =
				now_ms(call) + integer_argument(call, ++i) * 1000;
		else if (argument_is(call, i, "PX") && i < call->count)
			options.expires_at_ms =
				now_ms(call) + integer_argument(call, ++i);
		else
			unknown_option(call, i);
	}
	return options;
}

static int command_set(struct call *call)
{
	struct set_options options = set_options(call);
	struct keyspace_text name = argument(call, 2), value = argument(call, 3);
	struct keyspace_entry *entry = find_any(call, 2);

	if ((entry && options.only_new) || (!entry && options.only_old))
		return answer_nil(call);
	if (entry && options.keep_expiry)
		options.expires_at_ms = entry->expires_at_ms;
	if (entry && entry->type != KEYSPACE_STRING) {
		keyspace_remove(call->keyspace, entry);
		entry = NULL;
	}
	if (!entry)
		entry = keyspace_add(
			call->keyspace, KEYSPACE_STRING, name.bytes, name.length);
	keyspace_text_set(&entry->value, value.bytes, value.length);
	entry->expires_at_ms = options.expires_at_ms;
	return answer_ok(call);
}

/* ---- hashes ---- */

static int command_hget(struct call *call)
{
	struct keyspace_field *field = field_at(call, find(call, 2, KEYSPACE_HASH), 3);

	return field ? answer_text(call, &field->value) : answer_nil(call);
}

static int command_hmget(struct call *call)
{
	struct keyspace_entry *entry = find(call, 2, KEYSPACE_HASH);
	struct array array = array_begin(call);

	for (int i = 3; i <= call->count; i++) {
		struct keyspace_field *field = field_at(call, entry, i);

		if (field)
			answer_text(call, &field->value);
		else
			answer_nil(call);
		array_take(&array);
	}
	return 1;
}

static int command_mget(struct call *call)
{
	struct array array = array_begin(call);

	for (int i = 2; i <= call->count; i++) {
		struct keyspace_entry *entry = find(call, i, KEYSPACE_STRING);

		if (entry)
			answer_text(call, &entry->value);
		else
			answer_nil(call);
		array_take(&array);
	}
	return 1;
}

static int command_hset(struct call *call)
{
	struct keyspace_entry *entry;
	int64_t count = 0;

	if (call->count % 2 != 0)
		return fail(call, "ERR wrong number of arguments for 'hset' command");
	entry = find_or_add(call, 2, KEYSPACE_HASH);
	for (int i = 3; i < call->count; i += 2) {
		struct keyspace_text name = argument(call, i);
		struct keyspace_text value = argument(call, i + 1);
		bool added;
		struct keyspace_field *field =
			keyspace_field_put(entry, name.bytes, name.length, &added);

		keyspace_text_set(&field->value, value.bytes, value.length);
		count += added;
	}
	return answer_integer(call, count);
}

static int command_hincrby(struct call *call)
{
	int64_t number = integer_argument(call, 4);
	struct keyspace_entry *entry = find_or_add(call, 2, KEYSPACE_HASH);
	struct keyspace_text name = argument(call, 3);
	struct keyspace_field *field =
		keyspace_field_put(entry, name.bytes, name.length, NULL);
	char text[24];
	int length;

	if (field->value.bytes)
		number += strtoll(field->value.bytes, NULL, 10);
	length = snprintf(text, sizeof(text), "%lld", (long long)number);
	keyspace_text_set(&field->value, text, (size_t)length);
	return answer_integer(call, number);
}

/* HDEL, SREM and ZREM. */
static int remove_fields(struct call *call, enum keyspace_type type)
{
	struct keyspace_entry *entry = find(call, 2, type);
	int64_t removed = 0;

	if (!entry)
		return answer_integer(call, 0);
	for (int i = 3; i <= call->count; i++) {
		struct keyspace_field *field = field_at(call, entry, i);

		if (!field)
			continue;
		keyspace_field_remove(entry, field);
		removed++;
	}
	drop_if_empty(call, entry);
	return answer_integer(call, removed);
}

static int command_hdel(struct call *call)
{
	return remove_fields(call, KEYSPACE_HASH);
}

/* HEXISTS and SISMEMBER. */
static int has_field(struct call *call, enum keyspace_type type)
{
	return answer_integer(call, field_at(call, find(call, 2, type), 3) != NULL);
}

static int command_hexists(struct call *call)
{
	return has_field(call, KEYSPACE_HASH);
}

/* HLEN, SCARD and ZCARD. */
static int count_fields(struct call *call, enum keyspace_type type)
{
	struct keyspace_entry *entry = find(call, 2, type);

	return answer_integer(call, entry ? (int64_t)entry->field_count : 0);
}

static int command_hlen(struct call *call)
{
	return count_fields(call, KEYSPACE_HASH);
}

/* HGETALL, HKEYS, HVALS and SMEMBERS. */
static int list_fields(
	struct call *call, enum keyspace_type type, bool with_names, bool with_values)
{
	struct keyspace_entry *entry = find(call, 2, type);
	struct array array = array_begin(call);

	for (size_t i = 0; entry && i < entry->field_count; i++) {
		if (with_names)
			array_text(&array, &entry->fields[i].name);
		if (with_values)
			array_text(&array, &entry->fields[i].value);
	}
	return 1;
}

static int command_hgetall(struct call *call)
{
	return list_fields(call, KEYSPACE_HASH, true, true);
}

static int command_hkeys(struct call *call)
{
	return list_fields(call, KEYSPACE_HASH, true, false);
}

static int command_hvals(struct call *call)
{
	return list_fields(call, KEYSPACE_HASH, false, true);
}

static void push_scanned(const struct keyspace_field *field, void *user)
{
	struct array *array = user;

	array_text(array, &field->name);
	if (field->value.bytes)
		array_text(array, &field->value);
}

/* HSCAN and SSCAN. */
static int scan(struct call *call, enum keyspace_type type)
{
	struct keyspace_entry *entry = find(call, 2, type);
	uint64_t cursor = (uint64_t)integer_argument(call, 3);
	struct array answer, found;
	size_t count = 10;
	char text[24];

	for (int i = 4; i <= call->count; i += 2) {
		if (!argument_is(call, i, "COUNT") || i == call->count)
			return unknown_option(call, i);
		count = (size_t)integer_argument(call, i + 1);
	}
	answer = array_begin(call);
	lua_pushliteral(call->lua, "0");
	array_take(&answer);
	found = array_begin(call);
	if (entry)
		cursor = keyspace_scan(entry, cursor, count, push_scanned, &found);
	array_take(&answer);
	snprintf(text, sizeof(text), "%llu", entry ? (unsigned long long)cursor : 0);
	lua_pushstring(call->lua, text);
	lua_rawseti(call->lua, -2, 1);
	return 1;
}

static int command_hscan(struct call *call)
{
	return scan(call, KEYSPACE_HASH);
}

/* ---- sets ---- */

static int command_sadd(struct call *call)
{
	struct keyspace_entry *entry = find_or_add(call, 2, KEYSPACE_SET);
	int64_t count = 0;

	for (int i = 3; i <= call->count; i++) {
		struct keyspace_text name = argument(call, i);
		bool added;

		keyspace_field_put(entry, name.bytes, name.length, &added);
		count += added;
	}
	return answer_integer(call, count);
}

static int command_srem(struct call *call)
{
	return remove_fields(call, KEYSPACE_SET);
}

static int command_sismember(struct call *call)
{
	return has_field(call, KEYSPACE_SET);
}

static int command_smismember(struct call *call)
{
	struct keyspace_entry *entry = find(call, 2, KEYSPACE_SET);
	struct array array = array_begin(call);

	for (int i = 3; i <= call->count; i++) {
		answer_integer(call, field_at(call, entry, i) != NULL);
		array_take(&array);
	}
	return 1;
}

static int command_scard(struct call *call)
{
	return count_fields(call, KEYSPACE_SET);
}

static int command_smembers(struct call *call)
{
	return list_fields(call, KEYSPACE_SET, true, false);
}

static int command_sscan(struct call *call)
{
	return scan(call, KEYSPACE_SET);
}

/* SRANDMEMBER and HRANDFIELD with a count that is not negative: distinct ones. */
static int choose_fields(struct call *call, enum keyspace_type type)
{
	struct keyspace_entry *entry = find(call, 2, type);
	size_t left = entry ? entry->field_count : 0;
	int64_t count;
	struct array array;

	if (call->count != 3)
		return unknown_option(call, call->count);
	count = integer_argument(call, 3);
	if (count < 0)
		return unknown_option(call, 3);
	array = array_begin(call);
	for (size_t i = 0; left > 0; i++, left--) {
		if (keyspace_random_below(call->keyspace, left) >= (size_t)count)
			continue;
		array_text(&array, &entry->fields[i].name);
		count--;
	}
	return 1;
}

static int command_srandmember(struct call *call)
{
	return choose_fields(call, KEYSPACE_SET);
}

static int command_hrandfield(struct call *call)
{
	return choose_fields(call, KEYSPACE_HASH);
}

static int command_spop(struct call *call)
{
	struct keyspace_entry *entry = find(call, 2, KEYSPACE_SET);
	struct keyspace_field *field;

	if (call->count != 2)
		return unknown_option(call, 3);
	if (!entry)
		return answer_nil(call);
	field = &entry->fields[keyspace_random_below(call->keyspace, entry->field_count)];
	answer_text(call, &field->name);
	keyspace_field_remove(entry, field);
	drop_if_empty(call, entry);
	return 1;
}

/* ---- sorted sets ---- */

struct zadd_options {
	bool only_new;
	bool only_old;
	bool count_changed;
	int first; /* index of the first score */
};

static struct zadd_options zadd_options(struct call *call)
{
	struct zadd_options options = {.first = 3};

	for (;; options.first++) {
		if (argument_is(call, options.first, "NX"))
			options.only_new = true;
		else if (argument_is(call, options.first, "XX"))
			options.only_old = true;
		else if (argument_is(call, options.first, "CH"))
			options.count_changed = true;
		else
			return options;
	}
}

static int64_t zadd_member(struct call *call, struct keyspace_entry *entry, int index,
	const struct zadd_options *options)
{
	double score = number_argument(call, index);
	struct keyspace_text name = argument(call, index + 1);
	struct keyspace_field *field = field_at(call, entry, index + 1);
	bool changed = !field || field->score != score;

	if (field ? options->only_new : options->only_old)
		return 0;
	if (!field) {
		field = keyspace_field_put(entry, name.bytes, name.length, NULL);
		field->score = score;
		return 1;
	}
	field->score = score;
	return options->count_changed && changed;
}

static int command_zadd(struct call *call)
{
	struct zadd_options options = zadd_options(call);
	struct keyspace_entry *entry;
	int64_t count = 0;

	if (options.first >= call->count || (call->count - options.first) % 2 == 0)
		return fail(call, "ERR syntax error");
	for (int i = options.first; i < call->count; i += 2)
		number_argument(call, i);
	entry = find_or_add(call, 2, KEYSPACE_ZSET);
	for (int i = options.first; i < call->count; i += 2)
		count += zadd_member(call, entry, i, &options);
	drop_if_empty(call, entry);
	return answer_integer(call, count);
}

static int command_zrem(struct call *call)
{
	return remove_fields(call, KEYSPACE_ZSET);
}

static int command_zcard(struct call *call)
{
	return count_fields(call, KEYSPACE_ZSET);
}

static int command_zscore(struct call *call)
{
	struct keyspace_field *field = field_at(call, find(call, 2, KEYSPACE_ZSET), 3);

	if (!field)
		return answer_nil(call);
	push_score(call->lua, field->score);
	return 1;
}

static int compare_members(const void *left, const void *right)
{
	const struct keyspace_field *a = *(const struct keyspace_field *const *)left;
	const struct keyspace_field *b = *(const struct keyspace_field *const *)right;

	if (a->score != b->score)
		return a->score < b->score ? -1 : 1;
	return strcmp(a->name.bytes, b->name.bytes);
}

/* Members by score, then name; the array belongs to Lua, so that errors do not leak it.
 */
static const struct keyspace_field **sorted_members(
	struct call *call, const struct keyspace_entry *entry)
{
	const struct keyspace_field **members =
		lua_newuserdata(call->lua, entry->field_count * sizeof(*members));

	for (size_t i = 0; i < entry->field_count; i++)
		members[i] = &entry->fields[i];
	qsort(members, entry->field_count, sizeof(*members), compare_members);
	return members;
}

static void array_member(
	struct array *array, const struct keyspace_field *member, bool with_score)
{
	array_text(array, &member->name);
	if (!with_score)
		return;
	push_score(array->lua, member->score);
	array_take(array);
}

/* From the first to the last rank only; ranks below 0 count from the end. */
static int command_zrange(struct call *call)
{
	struct keyspace_entry *entry = find(call, 2, KEYSPACE_ZSET);
	int64_t first = integer_argument(call, 3), last = integer_argument(call, 4);
	bool with_scores = argument_is(call, 5, "WITHSCORES");
	const struct keyspace_field **members;
	struct array array;

	if (call->count > 4 + with_scores)
		return unknown_option(call, 5 + with_scores);
	if (!entry) {
		array_begin(call);
		return 1;
	}
	members = sorted_members(call, entry);
	first += first < 0 ? (int64_t)entry->field_count : 0;
	last += last < 0 ? (int64_t)entry->field_count : 0;
	array = array_begin(call);
	for (int64_t i = first < 0 ? 0 : first; i <= last; i++) {
		if (i >= (int64_t)entry->field_count)
			break;
		array_member(&array, members[i], with_scores);
	}
	return 1;
}

/* One end of a range by score: "5", "(5", "-inf" or "+inf". */
struct bound {
	double score;
	bool excluded;
};

static struct bound bound_argument(struct call *call, int index)
{
	struct bound bound = {.excluded = *argument(call, index).bytes == '('};
	const char *text = argument(call, index).bytes + bound.excluded;
	char *end;

	bound.score = strtod(text, &end);
	if (*text == '\0' || *end != '\0')
		fail(call, "ERR min or max is not a float");
	return bound;
}

static bool within(double score, struct bound least, struct bound most)
{
	return (least.excluded ? score > least.score : score >= least.score) &&
		(most.excluded ? score < most.score : score <= most.score);
}

static int command_zrangebyscore(struct call *call)
{
	struct keyspace_entry *entry = find(call, 2, KEYSPACE_ZSET);
	struct bound least = bound_argument(call, 3), most = bound_argument(call, 4);
	const struct keyspace_field **members;
	bool with_scores = false;
	int64_t offset = 0, count = INT64_MAX;
	struct array array;

	for (int i = 5; i <= call->count; i++) {
		if (argument_is(call, i, "WITHSCORES")) {
			with_scores = true;
		} else if (argument_is(call, i, "LIMIT") && i + 2 <= call->count) {
			offset = integer_argument(call, ++i);
			count = integer_argument(call, ++i);
		} else {
			return unknown_option(call, i);
		}
	}
	if (!entry) {
		array_begin(call);
		return 1;
	}
	members = sorted_members(call, entry);
	array = array_begin(call);
	for (size_t i = 0; i < entry->field_count && count > 0; i++) {
		if (!within(members[i]->score, least, most) || offset-- > 0)
			continue;
		array_member(&array, members[i], with_scores);
		count--;
	}
	return 1;
}

/* ---- the rest ---- */

static int command_publish(struct call *call)
{
	struct keyspace_text channel = argument(call, 2), payload = argument(call, 3);

	if (!call->keyspace->on_publish)
		return answer_integer(call, 0);
	return answer_integer(call,
		call->keyspace->on_publish(&channel, &payload, call->keyspace->user));
}

static int command_time(struct call *call)
{
	int64_t parts[] = {
		call->keyspace->now_us / 1000000, call->keyspace->now_us % 1000000};
	struct array array = array_begin(call);

	for (int i = 0; i < 2; i++) {
		char text[24];

		snprintf(text, sizeof(text), "%lld", (long long)parts[i]);
		lua_pushstring(call->lua, text);
		array_take(&array);
	}
	return 1;
}

#define WRITES COMMAND_WRITES
#define GROWS (COMMAND_WRITES | COMMAND_NEEDS_MEMORY)

static const struct command commands[] = {
	{"DEL", command_del, 2, WRITES},
	{"EXISTS", command_exists, 2, 0},
	{"EXPIRE", command_expire, 3, WRITES},
	{"GET", command_get, 2, 0},
	{"HDEL", command_hdel, 3, WRITES},
	{"HEXISTS", command_hexists, 3, 0},
	{"HGET", command_hget, 3, 0},
	{"HGETALL", command_hgetall, 2, 0},
	{"HINCRBY", command_hincrby, 4, GROWS},
	{"HKEYS", command_hkeys, 2, 0},
	{"HLEN", command_hlen, 2, 0},
	{"HMGET", command_hmget, 3, 0},
	{"HRANDFIELD", command_hrandfield, 2, 0},
	{"HSCAN", command_hscan, 3, 0},
	{"HSET", command_hset, 4, GROWS},
	{"HVALS", command_hvals, 2, 0},
	{"MGET", command_mget, 2, 0},
	{"PERSIST", command_persist, 2, WRITES},
	{"PEXPIRE", command_pexpire, 3, WRITES},
	{"PUBLISH", command_publish, 3, 0},
	{"SADD", command_sadd, 3, GROWS},
	{"SCARD", command_scard, 2, 0},
	{"SET", command_set, 3, GROWS},
	{"SMISMEMBER", command_smismember, 3, 0},
	{"SISMEMBER", command_sismember, 3, 0},
	{"SMEMBERS", command_smembers, 2, 0},
	{"SPOP", command_spop, 2, WRITES},
	{"SRANDMEMBER", command_srandmember, 2, 0},
	{"SREM", command_srem, 3, WRITES},
	{"SSCAN", command_sscan, 3, 0},
	{"TIME", command_time, 1, 0},
	{"TTL", command_ttl, 2, 0},
	{"TYPE", command_type, 2, 0},
	{"ZADD", command_zadd, 4, GROWS},
	{"ZCARD", command_zcard, 2, 0},
	{"ZRANGE", command_zrange, 4, 0},
	{"ZRANGEBYSCORE", command_zrangebyscore, 4, 0},
	{"ZREM", command_zrem, 3, WRITES},
	{"ZSCORE", command_zscore, 3, 0},
};

/* Redis takes strings and numbers, and writes numbers its own way. */
static void arguments_to_text(struct call *call)
{
	for (int i = 1; i <= call->count; i++) {
		char text[32];

		if (lua_type(call->lua, i) == LUA_TSTRING)
			continue;
		if (lua_type(call->lua, i) != LUA_TNUMBER)
			fail(call,
				"ERR Lua redis lib command arguments must be strings or "
				"integers");
		snprintf(text, sizeof(text), "%.17g", lua_tonumber(call->lua, i));
		lua_pushstring(call->lua, text);
		lua_replace(call->lua, i);
	}
}

static const struct command *find_command(lua_State *lua)
{
	const struct command *command;

	lua_pushvalue(lua, 1);
	lua_rawget(lua, lua_upvalueindex(2));
	command = lua_touserdata(lua, -1);
	lua_pop(lua, 1);
	if (command)
		return command;
	fprintf(stderr, "simulated Redis: unknown command %s\n", lua_tostring(lua, 1));
	abort();
}

/* redis.call(). Upvalues: the context, and the commands by name. */
static int redis_call(lua_State *lua)
{
	struct script_context *context = lua_touserdata(lua, lua_upvalueindex(1));
	struct call call = {
		.lua = lua,
		.context = context,
		.keyspace = context->keyspace,
		.count = lua_gettop(lua),
	};
	const struct command *command;

	if (call.count == 0)
		return fail(&call,
			"ERR Please specify at least one argument for this "
			"redis lib call");
	arguments_to_text(&call);
	command = find_command(lua);
	if (call.count < command->arguments_min)
		return fail(&call, "ERR wrong number of arguments");
	if ((command->flags & COMMAND_NEEDS_MEMORY) && call.keyspace->refuses_writes &&
		!context->wrote)
		return fail(
			&call, "OOM command not allowed when used memory > 'maxmemory'.");
	if (command->flags & COMMAND_WRITES)
		context->wrote = true;
	return command->run(&call);
}

static int redis_sha1hex(lua_State *lua)
{
	size_t length;
	const char *bytes = luaL_checklstring(lua, 1, &length);
	char text[SHA1_HEX_LENGTH + 1];

	sha1_hex(text, bytes, length);
	lua_pushstring(lua, text);
	return 1;
}

static int single_field_table(lua_State *lua, const char *name)
{
	luaL_checkstring(lua, 1);
	lua_newtable(lua);
	lua_pushvalue(lua, 1);
	lua_setfield(lua, -2, name);
	return 1;
}

static int redis_status_reply(lua_State *lua)
{
	return single_field_table(lua, "ok");
}

static int redis_error_reply(lua_State *lua)
{
	return single_field_table(lua, "err");
}

static void push_commands(lua_State *lua)
{
	lua_newtable(lua);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		lua_pushlightuserdata(lua, (void *)&commands[i]);
		lua_setfield(lua, -2, commands[i].name);
	}
}

void script_commands_register(lua_State *lua, struct script_context *context)
{
	lua_newtable(lua);
	lua_pushlightuserdata(lua, context);
	push_commands(lua);
	lua_pushcclosure(lua, redis_call, 2);
	lua_setfield(lua, -2, "call");
	lua_pushcfunction(lua, redis_sha1hex);
	lua_setfield(lua, -2, "sha1hex");
	lua_pushcfunction(lua, redis_status_reply);
	lua_setfield(lua, -2, "status_reply");
	lua_pushcfunction(lua, redis_error_reply);
	lua_setfield(lua, -2, "error_reply");
	lua_setglobal(lua, "redis");
}
