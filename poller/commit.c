#include "poller/commit.h"

#include "common/document.h"
#include "common/instant.h"
#include "common/list.h"
#include "common/log.h"
#include "common/memory.h"
#include "poller/schedule.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NO_ROOM_LOG_MS 60000

struct commits {
	struct clock *clock;
	struct redis *redis;
	struct membership *membership;
	struct metrics *metrics;
	struct commits_events events;
	void *user;
	struct document document; /* its memory is used again and again */
	int64_t no_room_logged_ms;
};

/* What is to be stored; texts are borrowed for the call that sends them. */
struct verdict {
	bool changed; /* content is new */
	bool failed;
	bool is_text;
	enum resource_state state;
	char failure[sizeof(((struct resource *)0)->failure)];
	const char *error; /* JSON, or "" */
	int64_t retry_ms;
};

/* One commit under way. Holds what becomes true of the resource if Redis takes it. */
struct commit {
	struct commits *commits;
	uint64_t claim_id;
	struct verdict verdict; /* error is not kept */
	struct digest digest;
	char *etag;
	char *last_modified;
	int64_t checked_at_ms;
	char address[];
};

/* ---- judging ---- */

static bool type_is_json(const char *type)
{
	size_t length;

	if (type == NULL)
		return true;
	length = strcspn(type, "; \t");
	return (length == 16 && strncasecmp(type, "application/json", 16) == 0) ||
	       (length >= 5 && strncasecmp(type + length - 5, "+json", 5) == 0) || length == 0;
}

static bool is_json(const struct catalog_target *target, const struct fetch_result *result)
{
	return target->type != NULL || type_is_json(result->content_type);
}

/* Text is carried as a JSON string to some clients: it must be UTF-8, so it is scanned as
 * the string it will be. Returns an error's text, or NULL. */
static const char *judge_text(const char *body, size_t length)
{
	return document_utf8_valid(body, length) ? NULL : "the body is neither JSON nor UTF-8";
}

/* Returns NULL for a body that may become state, else why not. */
static const char *judge_body(struct commits *commits, const struct catalog_target *target,
	const struct fetch_result *result, char *message, size_t size)
{
	enum document_error error;
	size_t offset;

	if (!is_json(target, result))
		return judge_text(result->body, result->length);
	error = document_scan(&commits->document, result->body, result->length, &offset);
	if (error == DOCUMENT_OK)
		return NULL;
	snprintf(message, size, "the body is not valid JSON: %s at byte %zu",
		document_error_text(error), offset);
	return message;
}

/* ---- failures ---- */

static const char *error_object(struct json_object **object, struct commits *commits,
	const char *code, long status, const char *message, int64_t retry_ms)
{
	int64_t now_ms = membership_redis_ms(commits->membership);
	char text[INSTANT_SIZE];

	*object = json_object_new_object();
	json_object_object_add(*object, "code", json_object_new_string(code));
	if (status != 0)
		json_object_object_add(
			*object, "status", json_object_new_int((int)status));
	json_object_object_add(*object, "message", json_object_new_string(message));
	json_object_object_add(
		*object, "since", json_object_new_string(instant_write(text, now_ms)));
	json_object_object_add(*object, "retry_at",
		json_object_new_string(instant_write(text, now_ms + retry_ms)));
	return json_object_to_json_string_ext(
		*object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

static enum resource_state failed_state(const struct resource *resource, long status)
{
	if (resource->version == 0)
		return RESOURCE_ERROR;
	return status == 404 || status == 410 ? RESOURCE_GONE : RESOURCE_STALE;
}

/* ---- what Redis answered ---- */

static struct bytes answer_bytes(const redisReply *reply, size_t index)
{
	if (reply->type != REDIS_REPLY_ARRAY || index >= reply->elements ||
		reply->element[index]->type != REDIS_REPLY_STRING)
		return (struct bytes){"", 0};
	return (struct bytes){reply->element[index]->str, (size_t)reply->element[index]->len};
}

static uint64_t answer_number(const redisReply *reply, size_t index)
{
	struct bytes bytes = answer_bytes(reply, index);
	uint64_t number = 0;

	change_number(bytes.start, bytes.length, &number);
	return number;
}

static void on_committed(
	struct resource *resource, struct commit *commit, const redisReply *reply)
{
	resource->revision = answer_number(reply, 1);
	resource->version = answer_number(reply, 2);
	resource->floor = 0;
	resource->state = commit->verdict.state;
	memcpy(resource->failure, commit->verdict.failure, sizeof(resource->failure));
	resource->noted_at_ms = commit->checked_at_ms;
	resource->confirm = false;
	if (!commit->verdict.failed) {
		resource->uncommitted = false;
		free(resource->etag);
		free(resource->last_modified);
		resource->etag = commit->etag;
		resource->last_modified = commit->last_modified;
		commit->etag = NULL;
		commit->last_modified = NULL;
	}
	if (commit->verdict.changed) {
		resource->digest = commit->digest;
		resource->whole = false;
	}
}

/* Another revision is stored than we thought: go on from it, and commit whole. */
static void on_behind(struct resource *resource, const redisReply *reply)
{
	struct bytes state = answer_bytes(reply, 5);

	resource->revision = answer_number(reply, 1);
	resource->version = answer_number(reply, 2);
	resource->floor = answer_number(reply, 3);
	resource->state = resource_state_parse(state.start, state.length);
	resource->failure[0] = '\0';
	resource->whole = true;
	resource->uncommitted = true;
	resource->refresh = true;
}

static void log_no_room(struct commits *commits)
{
	int64_t now_ms = clock_now_ms(commits->clock);

	if (commits->no_room_logged_ms != 0 &&
		now_ms - commits->no_room_logged_ms < NO_ROOM_LOG_MS)
		return;
	commits->no_room_logged_ms = now_ms;
	log_error("Redis has no room (OOM or MISCONF), changes are not stored; polling goes "
		  "on and tries again; see maxmemory and the disk of Redis");
}

static void conclude(struct commits *commits, struct resource *resource,
	struct commit *commit, int error, const redisReply *reply)
{
	struct bytes word = error == 0 ? answer_bytes(reply, 0) : (struct bytes){"", 0};
	bool failed = commit->verdict.failed;

	if (word.length == 9 && memcmp(word.start, "committed", 9) == 0) {
		metrics_add(commits->metrics, METRIC_COMMITS, 1);
		on_committed(resource, commit, reply);
	} else if (word.length == 4 && memcmp(word.start, "held", 4) == 0) {
		metrics_add(commits->metrics, METRIC_COMMITS_REFUSED, 1);
		log_info("commit refused, another poller owns the resource uri=%s",
			resource->address);
		commits->events.not_ours(resource, commits->user);
		return;
	} else if (word.length == 6 && memcmp(word.start, "behind", 6) == 0) {
		metrics_add(commits->metrics, METRIC_COMMITS_REFUSED, 1);
		on_behind(resource, reply);
	} else {
		/* It may have run all the same: then the next one finds itself behind. */
		if (error == -ENOSPC)
			log_no_room(commits);
		if (word.length == 4)
			metrics_add(commits->metrics, METRIC_COMMITS_REFUSED, 1);
		resource->uncommitted = true;
	}
	commits->events.done(resource, failed, commit->verdict.retry_ms, commits->user);
}

static void on_answer(int error, const redisReply *reply, void *user)
{
	struct commit *commit = user;
	struct commits *commits = commit->commits;
	struct resource *resource = commits->events.find(commit->address, commits->user);

	if (resource != NULL && resource->claim_id == commit->claim_id)
		conclude(commits, resource, commit, error, reply);
	free(commit->etag);
	free(commit->last_modified);
	free(commit);
}

/* ---- sending ---- */

static struct commit *commit_new(struct commits *commits, const struct resource *resource,
	const struct verdict *verdict, const struct fetch_result *result)
{
	size_t length = strlen(resource->address);
	struct commit *commit = xcalloc(1, sizeof(*commit) + length + 1);

	commit->commits = commits;
	commit->claim_id = resource->claim_id;
	commit->verdict = *verdict;
	commit->verdict.error = NULL;
	commit->digest = result->digest;
	commit->checked_at_ms = resource->checked_at_ms;
	if (!verdict->failed) {
		/* A 304 need not repeat them. */
		bool keep = result->outcome == FETCH_UNCHANGED;

		commit->etag = xstrdup(
			result->etag || !keep ? result->etag : resource->etag);
		commit->last_modified = xstrdup(result->last_modified || !keep
							 ? result->last_modified
							 : resource->last_modified);
	}
	memcpy(commit->address, resource->address, length + 1);
	return commit;
}

static void add_field(struct redis_args *args, const char *field, const char *value)
{
	redis_args_text(args, field);
	redis_args_text(args, value != NULL ? value : "");
}

static void add_number(struct redis_args *args, const char *field, int64_t number)
{
	redis_args_text(args, field);
	redis_args_number(args, number);
}

static uint64_t newest_known(const struct resource *resource)
{
	return resource->floor > resource->revision ? resource->floor : resource->revision;
}

static void send_commit(struct commits *commits, struct resource *resource,
	const struct verdict *verdict, const struct fetch_result *result)
{
	struct commit *commit = commit_new(commits, resource, verdict, result);
	struct redis_args args = {0};

	redis_args_text(&args, membership_session(commits->membership));
	redis_args_text(&args, resource->address);
	redis_args_number(&args, (int64_t)resource->revision);
	redis_args_number(&args, (int64_t)newest_known(resource));
	redis_args_text(&args, verdict->changed ? "1" : "0");
	redis_args_add(&args, result->body, verdict->changed ? result->length : 0);
	redis_args_text(&args, ""); /* no patch */
	redis_args_text(&args, resource_state_name(verdict->state));
	redis_args_text(&args, verdict->error);
	redis_args_number(&args, resource->checked_at_ms);
	redis_args_number(&args, resource->interval_ms);
	redis_args_number(&args, (int64_t)resource->polls);
	add_field(&args, "url", result->url);
	add_number(&args, "status", result->status);
	if (verdict->failed)
		add_number(&args, "error_since", membership_redis_ms(commits->membership));
	if (verdict->changed) {
		add_field(&args, "digest", result->digest.text);
		add_field(&args, "type", verdict->is_text ? "text" : "json");
	}
	if (!verdict->failed) {
		add_field(&args, "etag", commit->etag);
		add_field(&args, "last_modified", commit->last_modified);
	}
	redis_script(commits->redis, REDIS_SCRIPT_COMMIT, &args, REDIS_NORMAL, on_answer,
		commit);
}

/* ---- public ---- */

struct commits *commits_new(struct clock *clock, struct redis *redis,
	struct membership *membership, struct metrics *metrics,
	const struct commits_events *events, void *user)
{
	struct commits *commits = xcalloc(1, sizeof(*commits));

	commits->clock = clock;
	commits->redis = redis;
	commits->membership = membership;
	commits->metrics = metrics;
	commits->events = *events;
	commits->user = user;
	document_init(&commits->document);
	return commits;
}

void commits_free(struct commits *commits)
{
	if (commits == NULL)
		return;
	document_fini(&commits->document);
	free(commits);
}

static void take_failure(struct commits *commits, struct resource *resource,
	const struct fetch_result *result, const char *code, const char *message)
{
	struct verdict verdict = {.failed = true};
	struct json_object *object;

	metrics_add(commits->metrics, METRIC_POLLS_FAILED, 1);
	verdict.retry_ms = schedule_backoff_ms(
		resource, resource->failures + 1, result->retry_after_ms);
	verdict.state = failed_state(resource, result->status);
	snprintf(verdict.failure, sizeof(verdict.failure), "%s %ld", code, result->status);
	if (resource->state == verdict.state &&
		strcmp(resource->failure, verdict.failure) == 0) {
		commits->events.done(resource, true, verdict.retry_ms, commits->user);
		return;
	}
	log_info("poll failed, the last content stays uri=%s code=%s status=%ld "
		 "retry_ms=%lld error=\"%s\"",
		resource->address, code, result->status, (long long)verdict.retry_ms, message);
	verdict.error = error_object(
		&object, commits, code, result->status, message, verdict.retry_ms);
	send_commit(commits, resource, &verdict, result);
	json_object_put(object);
}

static void take_success(struct commits *commits, struct resource *resource,
	const struct fetch_result *result, bool changed, bool is_text)
{
	struct verdict verdict = {
		.changed = changed, .is_text = is_text, .state = RESOURCE_FRESH, .error = ""};

	resource->checked_at_ms = membership_redis_ms(commits->membership);
	metrics_add(
		commits->metrics, changed ? METRIC_POLLS_CHANGED : METRIC_POLLS_UNCHANGED, 1);
	if (!changed && resource->state == RESOURCE_FRESH && !resource->confirm) {
		commits->events.done(resource, false, 0, commits->user);
		return;
	}
	if (resource->state != RESOURCE_FRESH && resource->state != RESOURCE_UNKNOWN)
		log_info("poll succeeds again uri=%s", resource->address);
	send_commit(commits, resource, &verdict, result);
}

void commits_take(struct commits *commits, struct resource *resource,
	const struct catalog_target *target, const struct fetch_result *result)
{
	char message[160];
	const char *wrong;

	resource->polls++;
	if (result->outcome == FETCH_FAILED) {
		take_failure(commits, resource, result, result->error_code,
			result->error_message);
		return;
	}
	if (result->outcome == FETCH_UNCHANGED) {
		take_success(commits, resource, result, false, false);
		return;
	}
	wrong = judge_body(commits, target, result, message, sizeof(message));
	if (wrong != NULL) {
		take_failure(commits, resource, result, "upstream_body", wrong);
		return;
	}
	take_success(commits, resource, result, true, !is_json(target, result));
}
