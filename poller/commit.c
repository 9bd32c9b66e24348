#include "poller/commit.h"

#include "common/instant.h"
#include "common/keys.h"
#include "common/list.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/reply.h"
#include "poller/backoff.h"
#include "poller/content.h"
#include "poller/judge.h"
#include "poller/media_type.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKER_BYTES (64u << 10) /* larger bodies are judged on the worker pool */

struct commits {
	uv_loop_t *loop;
	struct clock *clock;
	struct redis *redis;
	struct membership *membership;
	struct metrics *metrics;
	struct commits_events events;
	void *user;
	struct contents contents;
	struct judge_scratch scratch; /* of the loop's thread */
};

/* What is to be stored of one poll; texts are borrowed for the call that sends them. */
struct verdict {
	bool changed; /* content is new */
	bool failed;
	enum resource_state state;
	char failure[sizeof(((struct resource *)0)->failure)];
	const char *error; /* JSON, or "" */
	int64_t retry_ms;
};

/*
 * One poll's answer, from the fetch to what Redis said of it. Holds its resource by name:
 * that may be dropped and claimed again meanwhile.
 */
struct answer {
	struct commits *commits;
	uint64_t claim_id;
	struct verdict verdict; /* error is not kept */
	long status;
	struct digest digest;
	char *url;
	char *etag;
	char *last_modified;
	int64_t checked_at_ms;
	int64_t answered_at_ms; /* by this host's wall clock; 0: nobody was asked */
	uint32_t apart_ms;
	int64_t not_before_ms; /* by Redis's clock; 0: the upstream asked for nothing */

	char *body; /* on FETCH_CONTENT */
	size_t length;
	char media_type[64]; /* "json", or the type of a text */
	char *base;          /* what is stored, where it is known */
	size_t base_length;
	struct judgement judgement;
	struct catalog *catalog; /* held while the judgement's rules point into it */
	uv_work_t work;
	char address[];
};

static void answer_free(struct answer *answer)
{
	free(answer->url);
	free(answer->etag);
	free(answer->last_modified);
	free(answer->body);
	free(answer->base);
	diff_patch_fini(&answer->judgement.patch);
	catalog_free(answer->catalog);
	free(answer);
}

/* The resource that @answer is about, or NULL where it is not ours by the same claim. */
static struct resource *answer_resource(const struct answer *answer)
{
	struct commits *commits = answer->commits;
	struct resource *resource = commits->events.find(answer->address, commits->user);

	if (resource == NULL || resource->claim_id != answer->claim_id)
		return NULL;
	return resource;
}

/* ---- types ---- */

static bool is_json(
	const struct catalog_target *target, const struct fetch_result *result)
{
	return target->type != NULL || media_type_is_json(result->content_type);
}

/* The media type without parameters, as one word that needs no escapes anywhere. */
static void set_media_type(struct answer *answer, const char *type)
{
	static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789!#$&^_.+-/";
	size_t length = strspn(type, word);

	if (length == 0 || length >= sizeof(answer->media_type) ||
		memchr(type, '/', length) == NULL)
		snprintf(answer->media_type, sizeof(answer->media_type), "text/plain");
	else
		snprintf(answer->media_type, sizeof(answer->media_type), "%.*s",
			(int)length, type);
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

static void keep_validators(struct resource *resource, struct answer *answer)
{
	free(resource->etag);
	free(resource->last_modified);
	resource->etag = answer->etag;
	resource->last_modified = answer->last_modified;
	answer->etag = NULL;
	answer->last_modified = NULL;
}

/* The body is what is stored now. What has changed once will change again: keep it. */
static void keep_content(
	struct commits *commits, struct resource *resource, struct answer *answer)
{
	bool again = resource->version != 0;

	resource->digest = answer->digest;
	resource->whole = false;
	contents_drop(&commits->contents, resource);
	if (!again || !answer->judgement.is_json)
		return;
	contents_keep(&commits->contents, resource, answer->body, answer->length);
	answer->body = NULL;
}

static void count_change(const struct answer *answer)
{
	struct metrics *metrics = answer->commits->metrics;
	size_t patch_length = answer->judgement.patch.length;

	if (patch_length == 0) {
		metrics_add(metrics, METRIC_CHANGES_WHOLE, 1);
		return;
	}
	metrics_add(metrics, METRIC_CHANGES_PATCH, 1);
	metrics_add(metrics, METRIC_PATCH_BYTES, (int64_t)patch_length);
	metrics_add(metrics, METRIC_PATCHED_BYTES, (int64_t)answer->length);
}

static void on_committed(
	struct resource *resource, struct answer *answer, const redisReply *reply)
{
	if (answer->verdict.changed) {
		count_change(answer);
		keep_content(answer->commits, resource, answer);
	}
	if (!answer->verdict.failed) {
		resource->uncommitted = false;
		keep_validators(resource, answer);
	}
	resource->revision = reply_number(reply, 1);
	resource->version = reply_number(reply, 2);
	if (answer->verdict.changed)
		resource->floor = 0;
	resource->state = answer->verdict.state;
	memcpy(resource->failure, answer->verdict.failure, sizeof(resource->failure));
	resource->checked_at_ms = answer->checked_at_ms;
	resource->noted_at_ms = answer->checked_at_ms;
	resource->told_ms = answer->apart_ms;
	resource->confirm = false;
}

/* Another revision is stored than we thought: go on from it, and commit whole. */
static void on_behind(
	struct commits *commits, struct resource *resource, const redisReply *reply)
{
	struct bytes state = reply_bytes(reply, 5);

	contents_drop(&commits->contents, resource);
	resource->revision = reply_number(reply, 1);
	resource->version = reply_number(reply, 2);
	resource->floor = reply_number(reply, 3);
	resource->state = resource_state_parse(state.start, state.length);
	resource->failure[0] = '\0';
	resource->whole = true;
	resource->uncommitted = true;
	resource->refresh = true;
}

static void conclude(struct commits *commits, struct resource *resource,
	struct answer *answer, int error, const redisReply *reply)
{
	const char *word = error == 0 ? reply_word(reply, 0) : "";
	bool failed = answer->verdict.failed;

	if (strcmp(word, "committed") == 0) {
		metrics_add(commits->metrics, METRIC_COMMITS, 1);
		on_committed(resource, answer, reply);
	} else if (strcmp(word, "held") == 0) {
		metrics_add(commits->metrics, METRIC_COMMITS_REFUSED, 1);
		log_info("commit refused, another poller owns the resource uri=%s",
			resource->address);
		commits->events.not_ours(resource, commits->user);
		return;
	} else if (strcmp(word, "behind") == 0) {
		metrics_add(commits->metrics, METRIC_COMMITS_REFUSED, 1);
		on_behind(commits, resource, reply);
	} else {
		/* It may have run all the same: then the next one finds itself behind. */
		if (strcmp(word, "lost") == 0)
			metrics_add(commits->metrics, METRIC_COMMITS_REFUSED, 1);
		resource->uncommitted = true;
	}
	commits->events.done(resource, failed, answer->verdict.retry_ms, commits->user);
}

static void on_answer(int error, const redisReply *reply, void *user)
{
	struct answer *answer = user;
	struct resource *resource = answer_resource(answer);

	if (resource != NULL)
		conclude(answer->commits, resource, answer, error, reply);
	answer_free(answer);
}

/* ---- sending ---- */

static struct answer *answer_new(struct commits *commits, const struct resource *resource,
	const struct fetch_result *result)
{
	size_t length = strlen(resource->address);
	struct answer *answer = xcalloc(1, sizeof(*answer) + length + 1);
	/* A 304 need not repeat them. */
	bool keep = result->outcome == FETCH_UNCHANGED;

	answer->commits = commits;
	answer->claim_id = resource->claim_id;
	answer->status = result->status;
	answer->digest = result->digest;
	if (result->outcome != FETCH_SPARED)
		answer->answered_at_ms = clock_wall_ms(commits->clock);
	answer->apart_ms = resource->apart_ms > resource->interval_ms
		? resource->apart_ms
		: resource->interval_ms;
	answer->url = xstrdup(result->url);
	answer->etag = xstrdup(result->etag || !keep ? result->etag : resource->etag);
	answer->last_modified =
		xstrdup(result->last_modified || !keep ? result->last_modified
						       : resource->last_modified);
	memcpy(answer->address, resource->address, length + 1);
	return answer;
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
	return resource->floor > resource->revision ? resource->floor
						    : resource->revision;
}

/* The validators that are stored are always of the content and the URL beside them. */
static void add_fields(struct redis_args *args, const struct resource *resource,
	const struct answer *answer)
{
	const struct verdict *verdict = &answer->verdict;

	if (answer->url[0] != '\0')
		add_field(args, "url", answer->url);
	add_number(args, "status", answer->status);
	add_number(args, "not_before", answer->not_before_ms);
	if (verdict->failed) {
		add_number(args, "error_since",
			membership_redis_ms(answer->commits->membership));
		add_field(args, "etag", resource->etag);
		add_field(args, "last_modified", resource->last_modified);
		return;
	}
	add_field(args, "etag", answer->etag);
	add_field(args, "last_modified", answer->last_modified);
	if (verdict->changed) {
		add_field(args, "digest", answer->digest.text);
		add_field(args, "type", answer->media_type);
	}
}

/* Takes @answer, which Redis's reply ends. */
static void send_commit(struct resource *resource, struct answer *answer)
{
	struct commits *commits = answer->commits;
	const struct verdict *verdict = &answer->verdict;
	const struct diff_patch *patch = &answer->judgement.patch;
	struct redis_args args = {0};

	redis_args_text(&args, membership_session(commits->membership));
	redis_args_text(&args, resource->address);
	redis_args_number(&args, (int64_t)resource->revision);
	redis_args_number(&args, (int64_t)newest_known(resource));
	redis_args_text(&args, verdict->changed ? "1" : "0");
	redis_args_add(&args, answer->body, verdict->changed ? answer->length : 0);
	redis_args_add(&args, patch->bytes, verdict->changed ? patch->length : 0);
	redis_args_text(&args, resource_state_name(verdict->state));
	redis_args_text(&args, verdict->error);
	redis_args_number(&args, answer->checked_at_ms);
	redis_args_number(&args, answer->apart_ms);
	redis_args_number(&args, (int64_t)resource->polls);
	redis_args_number(&args, answer->answered_at_ms);
	add_fields(&args, resource, answer);
	answer->verdict.error = NULL;
	redis_script(commits->redis, REDIS_SCRIPT_COMMIT, &args, REDIS_NORMAL, on_answer,
		answer);
}

/* Whoever owns it next should heed it, too. */
static void send_not_before(
	struct commits *commits, const struct resource *resource, int64_t not_before_ms)
{
	struct redis_args args = {0};

	redis_args_text(&args, membership_session(commits->membership));
	redis_args_text(&args, resource->address);
	redis_args_number(&args, not_before_ms);
	redis_script(commits->redis, REDIS_SCRIPT_DEFER, &args, REDIS_NORMAL, NULL, NULL);
}

/* ---- what became of a poll ---- */

/* Takes @answer. */
static void take_failure(struct resource *resource, struct answer *answer,
	const char *code, const char *message, int64_t retry_after_ms)
{
	struct commits *commits = answer->commits;
	struct verdict *verdict = &answer->verdict;
	struct json_object *object;

	verdict->failed = true;
	if (retry_after_ms > 0)
		answer->not_before_ms =
			membership_redis_ms(commits->membership) + retry_after_ms;
	answer->checked_at_ms = resource->checked_at_ms;
	verdict->retry_ms = backoff_ms(
		resource, resource->failures + 1, answer->status, retry_after_ms);
	verdict->state = failed_state(resource, answer->status);
	snprintf(verdict->failure, sizeof(verdict->failure), "%s %ld", code,
		answer->status);
	if (resource->state == verdict->state &&
		strcmp(resource->failure, verdict->failure) == 0) {
		if (answer->not_before_ms != 0)
			send_not_before(commits, resource, answer->not_before_ms);
		commits->events.done(resource, true, verdict->retry_ms, commits->user);
		answer_free(answer);
		return;
	}
	log_info("poll failed, the last content stays uri=%s code=%s status=%ld "
		 "retry_ms=%lld error=\"%s\"",
		resource->address, code, answer->status, (long long)verdict->retry_ms,
		message);
	verdict->error = error_object(
		&object, commits, code, answer->status, message, verdict->retry_ms);
	send_commit(resource, answer);
	json_object_put(object);
}

/* Takes @answer. */
static void take_success(struct resource *resource, struct answer *answer, bool changed)
{
	struct commits *commits = answer->commits;

	answer->verdict.changed = changed;
	answer->verdict.state = RESOURCE_FRESH;
	answer->verdict.error = "";
	/* True of the resource once Redis has taken it: what is not stored is not
	 * confirmed. */
	answer->checked_at_ms = membership_redis_ms(commits->membership);
	metrics_add(commits->metrics,
		changed ? METRIC_POLLS_CHANGED : METRIC_POLLS_UNCHANGED, 1);
	if (!changed && resource->state == RESOURCE_FRESH && !resource->confirm) {
		resource->checked_at_ms = answer->checked_at_ms;
		commits->events.done(resource, false, 0, commits->user);
		answer_free(answer);
		return;
	}
	if (resource->state != RESOURCE_FRESH && resource->state != RESOURCE_UNKNOWN)
		log_info("poll succeeds again uri=%s", resource->address);
	send_commit(resource, answer);
}

/* The same in other bytes: what is stored stays, and these bytes are known from now on.
 */
static void take_same(struct resource *resource, struct answer *answer)
{
	struct commits *commits = answer->commits;

	resource->digest = answer->digest;
	if (answer->base != NULL)
		contents_keep(
			&commits->contents, resource, answer->base, answer->base_length);
	answer->base = NULL;
	if (resource->state == RESOURCE_FRESH && !resource->confirm)
		keep_validators(resource, answer);
	take_success(resource, answer, false);
}

static void take_judgement(struct answer *answer)
{
	struct resource *resource = answer_resource(answer);

	if (resource == NULL) {
		answer_free(answer);
		return;
	}
	switch (answer->judgement.outcome) {
	case JUDGE_SAME:
		take_same(resource, answer);
		break;
	case JUDGE_CHANGED:
		take_success(resource, answer, true);
		break;
	case JUDGE_WRONG:
		metrics_add(answer->commits->metrics, METRIC_POLLS_FAILED, 1);
		take_failure(
			resource, answer, "upstream_body", answer->judgement.message, 0);
		break;
	}
}

static void on_work(uv_work_t *work)
{
	struct answer *answer = container_of(work, struct answer, work);
	struct judge_scratch scratch;

	judge_scratch_init(&scratch);
	judge(&answer->judgement, &scratch);
	judge_scratch_fini(&scratch);
}

static void on_worked(uv_work_t *work, int status)
{
	struct answer *answer = container_of(work, struct answer, work);

	if (status == 0)
		take_judgement(answer);
	else
		answer_free(answer);
}

static void judge_answer(struct answer *answer)
{
	struct commits *commits = answer->commits;
	struct judgement *judgement = &answer->judgement;

	judgement->body = answer->body;
	judgement->length = answer->length;
	judgement->base = answer->base;
	judgement->base_length = answer->base_length;
	if (commits->loop != NULL && answer->length > WORKER_BYTES) {
		uv_queue_work(commits->loop, &answer->work, on_work, on_worked);
		return;
	}
	judge(judgement, &commits->scratch);
	take_judgement(answer);
}

/* ---- what a body is compared with ---- */

static void on_base(int error, const redisReply *reply, void *user)
{
	struct answer *answer = user;
	struct resource *resource = answer_resource(answer);

	if (resource == NULL) {
		answer_free(answer);
		return;
	}
	/* Another revision is not what we compare with: the commit will say so. And who
	 * holds a text holds a string, whatever stands in it: no patch leads from there.
	 */
	if (error == 0 && reply_number(reply, 0) == resource->revision &&
		reply_is(reply, 2, "json")) {
		struct bytes base = reply_bytes(reply, 1);

		answer->base = malloc(base.length + 1);
		if (answer->base != NULL && base.length > 0)
			memcpy(answer->base, base.start, base.length);
		answer->base_length = base.length;
	}
	judge_answer(answer);
}

static void read_base(struct answer *answer)
{
	struct commits *commits = answer->commits;
	struct redis_args args = {0};
	struct key key;

	key_write(&key, redis_prefix(commits->redis), KEYS_RESOURCE, answer->address);
	redis_args_text(&args, "HMGET");
	redis_args_add(&args, key.text, key.length);
	redis_args_text(&args, "revision");
	redis_args_text(&args, "content");
	redis_args_text(&args, "type");
	redis_command(commits->redis, &args, on_base, answer);
}

static void set_rules(struct answer *answer, const struct catalog_target *target)
{
	struct diff_rules *rules = &answer->judgement.rules;

	answer->catalog = catalog_keep(target->catalog);
	if (target->type != NULL)
		*rules = (struct diff_rules){target->type->identity,
			(const char *const *)target->type->ignore,
			target->type->ignore_count};
	else
		*rules = (struct diff_rules){target->provider->identity,
			(const char *const *)target->provider->ignore,
			target->provider->ignore_count};
}

/* Takes @answer. */
static void take_body(struct commits *commits, struct resource *resource,
	struct answer *answer, const struct catalog_target *target,
	const struct fetch_result *result)
{
	answer->body = malloc(result->length + 1);
	if (answer->body == NULL) {
		metrics_add(commits->metrics, METRIC_POLLS_FAILED, 1);
		take_failure(resource, answer, "upstream_too_large",
			"no memory for the body", 0);
		return;
	}
	memcpy(answer->body, result->body, result->length);
	answer->length = result->length;
	answer->judgement.is_json = is_json(target, result);
	snprintf(answer->media_type, sizeof(answer->media_type), "json");
	if (!answer->judgement.is_json)
		set_media_type(answer, result->content_type);
	set_rules(answer, target);
	/* What is kept may not be what is stored when a whole body is wanted. */
	if (resource->whole || resource->version == 0 || !answer->judgement.is_json) {
		judge_answer(answer);
		return;
	}
	answer->base = contents_take(&commits->contents, resource, &answer->base_length);
	answer->judgement.base_judged = answer->base != NULL;
	if (answer->base == NULL)
		read_base(answer);
	else
		judge_answer(answer);
}

/* ---- public ---- */

struct commits *commits_new(uv_loop_t *loop, struct clock *clock, struct redis *redis,
	struct membership *membership, struct metrics *metrics,
	const struct commits_events *events, void *user)
{
	struct commits *commits = xcalloc(1, sizeof(*commits));

	commits->loop = loop;
	commits->clock = clock;
	commits->redis = redis;
	commits->membership = membership;
	commits->metrics = metrics;
	commits->events = *events;
	commits->user = user;
	contents_init(&commits->contents);
	judge_scratch_init(&commits->scratch);
	return commits;
}

void commits_free(struct commits *commits)
{
	if (commits == NULL)
		return;
	judge_scratch_fini(&commits->scratch);
	free(commits);
}

void commits_take(struct commits *commits, struct resource *resource,
	const struct catalog_target *target, const struct fetch_result *result)
{
	struct answer *answer;

	resource->polls += result->outcome != FETCH_SPARED;
	/* Nothing is allocated for the usual poll, which finds nothing new. */
	if (result->outcome == FETCH_UNCHANGED && resource->state == RESOURCE_FRESH &&
		!resource->confirm) {
		resource->checked_at_ms = membership_redis_ms(commits->membership);
		metrics_add(commits->metrics, METRIC_POLLS_UNCHANGED, 1);
		commits->events.done(resource, false, 0, commits->user);
		return;
	}
	answer = answer_new(commits, resource, result);
	switch (result->outcome) {
	case FETCH_UNCHANGED:
		take_success(resource, answer, false);
		break;
	case FETCH_CONTENT:
		take_body(commits, resource, answer, target, result);
		break;
	case FETCH_FAILED:
	case FETCH_NOT_STARTED:
	case FETCH_SPARED:
		metrics_add(commits->metrics,
			result->outcome == FETCH_SPARED ? METRIC_POLLS_SPARED
							: METRIC_POLLS_FAILED,
			1);
		take_failure(resource, answer, result->error_code, result->error_message,
			result->retry_after_ms);
		break;
	}
}

void commits_dropped(struct commits *commits, struct resource *resource)
{
	contents_drop(&commits->contents, resource);
}
