#include "poller/health.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "common/log.h"
#include "common/memory.h"

#define UNREACHED_MAX 3 /* in a row: less may be one bad host behind a balancer */
#define TIMEOUTS_MAX                                                                     \
	8 /* without any answer between: less may be a few slow resources                \
	   */
#define SILENT_TIMEOUTS 3 /* and for as long as so many timeouts take */

/* What is known of a provider that has not answered since it failed. */
struct illness {
	UT_hash_handle hh;
	struct health *health;
	struct list patients;
	size_t count; /* of patients */
	unsigned unreached;
	unsigned timeouts;
	int64_t since_ms; /* the first failure */
	bool down;
	bool is_default; /* provider */
	bool probing;
	int64_t probe_at_ms; /* the next one, not before */
	const char *code; /* of the last failure; static */
	char message[320];
	char name[];
};

struct health {
	struct clock *clock;
	struct health_events events;
	void *user;
	struct illness *illnesses; /* by name of the provider */
	size_t down;
};

/* ---- illnesses ---- */

static struct illness *find(
	struct health *health, const struct catalog_provider *provider)
{
	struct illness *illness;

	HASH_FIND_STR(health->illnesses, provider->name, illness);
	return illness;
}

static struct illness *begin(
	struct health *health, const struct catalog_provider *provider)
{
	size_t length = strlen(provider->name);
	struct illness *illness = xcalloc(1, sizeof(*illness) + length + 1);

	illness->health = health;
	illness->since_ms = clock_now_ms(health->clock);
	list_init(&illness->patients);
	memcpy(illness->name, provider->name, length + 1);
	HASH_ADD(hh, health->illnesses, name[0], (unsigned)length, illness);
	return illness;
}

static void end(struct illness *illness)
{
	illness->health->down -= illness->down;
	HASH_DEL(illness->health->illnesses, illness);
	free(illness);
}

static void join(struct illness *illness, struct health_patient *patient)
{
	if (patient->illness != NULL)
		return;
	patient->illness = illness;
	list_append(&illness->patients, &patient->link);
	illness->count++;
}

static void note(struct illness *illness, const struct fetch_result *result)
{
	illness->code = result->error_code;
	snprintf(illness->message, sizeof(illness->message), "%s", result->error_message);
	if (result->unreached)
		illness->unreached++;
	else
		illness->timeouts++;
}

static bool is_down(
	const struct illness *illness, const struct catalog_provider *provider)
{
	int64_t silent_ms = clock_now_ms(illness->health->clock) - illness->since_ms;

	return illness->unreached >= UNREACHED_MAX ||
		(illness->timeouts >= TIMEOUTS_MAX &&
			silent_ms >=
				(int64_t)SILENT_TIMEOUTS * provider->limits.timeout_ms);
}

static void go_down(struct illness *illness, const struct catalog_provider *provider)
{
	struct health *health = illness->health;

	log_warn("provider is down, one probe stands for all its resources until it "
		 "answers "
		 "provider=%s code=%s error=\"%s\"",
		illness->name, illness->code, illness->message);
	illness->down = true;
	illness->is_default = provider->is_default;
	health->down++;
	health->events.down(provider, health->user);
}

/* Any answer ends it, at once for all. */
static void recover(struct illness *illness)
{
	struct health *health = illness->health;
	size_t count = illness->down ? illness->count : 0;
	struct list back;

	if (illness->down)
		log_info("provider answers again provider=%s resources=%zu",
			illness->name, count);
	list_init(&back);
	list_each (link, &illness->patients) {
		struct health_patient *patient =
			container_of(link, struct health_patient, link);

		patient->illness = NULL;
		patient->probing = false;
		list_remove(link);
		if (count > 0)
			list_append(&back, link);
	}
	end(illness);
	list_each (link, &back) {
		list_remove(link);
		health->events.back(container_of(link, struct health_patient, link),
			count, health->user);
	}
}

/* ---- public ---- */

struct health *health_new(
	struct clock *clock, const struct health_events *events, void *user)
{
	struct health *health = xcalloc(1, sizeof(*health));

	health->clock = clock;
	health->events = *events;
	health->user = user;
	return health;
}

void health_free(struct health *health)
{
	if (health == NULL)
		return;
	assert(health->illnesses == NULL);
	free(health);
}

void health_patient_init(struct health_patient *patient)
{
	*patient = (struct health_patient){0};
	list_init(&patient->link);
}

bool health_spares(struct health *health, const struct catalog_provider *provider,
	const struct health_patient *patient, struct fetch_result *result)
{
	int64_t now_ms = clock_now_ms(health->clock);
	struct illness *illness = find(health, provider);

	if (illness == NULL || !illness->down || patient->probing)
		return false;
	if (!illness->probing && now_ms >= illness->probe_at_ms)
		return false;
	*result = (struct fetch_result){
		.outcome = FETCH_SPARED,
		.body = "",
		.url = "",
		.error_code = illness->code,
		.error_message = illness->message,
		.started_at_ms = now_ms,
	};
	return true;
}

void health_asks(struct health *health, const struct catalog_provider *provider,
	struct health_patient *patient)
{
	struct illness *illness = find(health, provider);

	if (illness == NULL || !illness->down)
		return;
	join(illness, patient);
	illness->probing = true;
	patient->probing = true;
}

static void end_probe(struct health_patient *patient)
{
	if (patient->probing)
		patient->illness->probing = false;
	patient->probing = false;
}

void health_take(struct health *health, const struct catalog_provider *provider,
	struct health_patient *patient, const struct fetch_result *result)
{
	struct illness *illness = find(health, provider);
	bool silent = result->outcome == FETCH_FAILED && result->status == 0 &&
		(result->unreached ||
			strcmp(result->error_code, "upstream_timeout") == 0);

	end_probe(patient);
	if (!silent) {
		if (illness != NULL && result->status != 0)
			recover(illness);
		return;
	}
	if (illness == NULL)
		illness = begin(health, provider);
	join(illness, patient);
	note(illness, result);
	if (!illness->down && is_down(illness, provider))
		go_down(illness, provider);
}

void health_waits(struct health *health, const struct catalog_provider *provider,
	struct health_patient *patient, int64_t retry_ms)
{
	struct illness *illness = find(health, provider);
	int64_t at_ms = clock_now_ms(health->clock) + retry_ms;

	if (illness == NULL || !illness->down)
		return;
	join(illness, patient);
	if (illness->probing || illness->probe_at_ms > clock_now_ms(health->clock))
		return;
	/* One that is silent may still answer for another resource: that goes first. */
	illness->probe_at_ms =
		illness->unreached >= UNREACHED_MAX ? at_ms : at_ms - retry_ms / 4;
}

void health_leave(struct health_patient *patient)
{
	struct illness *illness = patient->illness;

	if (illness == NULL)
		return;
	end_probe(patient);
	patient->illness = NULL;
	list_remove(&patient->link);
	if (--illness->count == 0)
		end(illness);
}

size_t health_down(const struct health *health)
{
	return health->down;
}

static void add_name(char *text, size_t size, const char *name)
{
	size_t used = strlen(text), length = strlen(name);

	if (used + 1 + length < size)
		snprintf(text + used, size - used, "%s%s", used > 0 ? " " : "", name);
}

const char *health_down_names(const struct health *health, char *text, size_t size)
{
	const struct illness *illness, *next;

	text[0] = '\0';
	HASH_ITER (hh, health->illnesses, illness, next) {
		if (!illness->down)
			continue;
		add_name(text, size, illness->name);
		if (illness->is_default && strcmp(illness->name, "default") != 0)
			add_name(text, size, "default");
	}
	return text;
}
