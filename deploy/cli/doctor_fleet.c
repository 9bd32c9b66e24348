#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_value.h"
#include "common/memory.h"
#include "deploy/cli/doctor.h"
#include "deploy/cli/http.h"
#include "deploy/cli/link.h"
#include "deploy/cli/output.h"

#define LOOK_MAX 1000 /* of the worst */
#define NAMED_MAX 5   /* addresses in a finding */
#define AGAIN_MS 4000 /* a lease and a little: what mends itself is no finding */
#define REACH_MS 5000L

/* What a first look found in doubt, to be confirmed by a second one. */
struct fleet_look {
	struct doctor *doctor;
	bool second;
	char **unowned; /* of the first look */
	size_t unowned_count;
	size_t dead;   /* sessions past their lease */
	size_t buried; /* with something left */
	size_t alive_pollers;
	bool doubt;
};

static bool was_unowned(const struct fleet_look *look, const char *address)
{
	for (size_t i = 0; i < look->unowned_count; i++) {
		if (strcmp(look->unowned[i], address) == 0)
			return true;
	}
	return false;
}

static void count_sessions(
	struct fleet_look *look, const struct fleet_session *sessions, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		look->dead += sessions[i].life == FLEET_LATE;
		look->buried += sessions[i].life == FLEET_BURIED && sessions[i].held > 0;
	}
}

static void count_all(struct fleet_look *look, const struct fleet *fleet)
{
	look->dead = look->buried = look->alive_pollers = 0;
	count_sessions(look, fleet->pollers, fleet->poller_count);
	count_sessions(look, fleet->gateways, fleet->gateway_count);
	for (size_t i = 0; i < fleet->poller_count; i++)
		look->alive_pollers += fleet->pollers[i].life == FLEET_ALIVE;
}

/* ---- the first look ---- */

static void remember_unowned(struct fleet_look *look, const struct fleet *fleet)
{
	look->unowned = xcalloc(fleet->resource_count + 1, sizeof(*look->unowned));
	for (size_t i = 0; i < fleet->resource_count; i++) {
		if (fleet->resources[i].health == FLEET_UNOWNED)
			look->unowned[look->unowned_count++] =
				xstrdup(fleet->resources[i].address);
	}
}

static void on_first(const struct fleet *fleet, void *user)
{
	struct fleet_look *look = user;

	count_all(look, fleet);
	remember_unowned(look, fleet);
	look->doubt = look->unowned_count + look->dead + look->buried > 0;
}

/* ---- findings ---- */

static void find_processes(struct fleet_look *look, const struct fleet *fleet)
{
	struct doctor *doctor = look->doctor;
	size_t alive = 0;

	for (size_t i = 0; i < fleet->gateway_count; i++)
		alive += fleet->gateways[i].life == FLEET_ALIVE;
	if (look->alive_pollers == 0)
		doctor_say(doctor, FINDING_WARNING, "pollers",
			"Start uricast-poller with the same --redis and --prefix.",
			"no poller is alive under the prefix %s, so nothing is polled",
			doctor->options->prefix);
	if (alive == 0)
		doctor_say(doctor, FINDING_WARNING, "gateways",
			"Start uricast-gateway with the same --redis and --prefix.",
			"no gateway is alive under the prefix %s",
			doctor->options->prefix);
	if (look->alive_pollers > 0 && alive > 0)
		doctor_say(doctor, FINDING_FINE, "processes", "",
			"%zu pollers and %zu gateways are alive", look->alive_pollers,
			alive);
}

static void find_dead(struct fleet_look *look)
{
	if (look->dead > 0)
		doctor_say(look->doctor, FINDING_WARNING, "dead-sessions",
			look->alive_pollers > 0
				? "See the logs of the pollers: they bury who is dead."
				: "Start a poller: pollers bury who is dead.",
			"%zu sessions are past their lease, and nobody has buried them",
			look->dead);
	if (look->buried > 0)
		doctor_say(look->doctor, FINDING_WARNING, "buried-sessions",
			look->alive_pollers > 0
				? "See the logs of the pollers: they clean up."
				: "Start a poller: pollers clean up.",
			"%zu buried sessions still hold something", look->buried);
	if (look->dead + look->buried == 0)
		doctor_say(look->doctor, FINDING_FINE, "dead-sessions", "",
			"nobody is dead without being buried");
}

static void find_unowned(struct fleet_look *look, const struct fleet *fleet)
{
	char *named = NULL;
	size_t length, count = 0;
	FILE *out = open_memstream(&named, &length);

	for (size_t i = 0; i < fleet->resource_count; i++) {
		const struct fleet_resource *resource = &fleet->resources[i];

		if (resource->health != FLEET_UNOWNED ||
			!was_unowned(look, resource->address))
			continue;
		if (++count <= NAMED_MAX)
			fprintf(out, "%s%s", count > 1 ? ", " : "", resource->address);
	}
	if (count > NAMED_MAX)
		fprintf(out, " and others");
	fclose(out);
	if (count > 0 && look->alive_pollers > 0)
		doctor_say(look->doctor, FINDING_ERROR, "unclaimed",
			"Give the pollers the configuration that the gateways have: "
			"--config, or --upstream for addresses that begin with /.",
			"%zu watched addresses are claimed by no poller, so none of "
			"their "
			"configurations knows them: %s",
			count, named);
	else if (count == 0)
		doctor_say(look->doctor, FINDING_FINE, "unclaimed", "",
			"all that is watched has an owner");
	free(named);
}

static void find_versions(struct fleet_look *look, const struct fleet *fleet)
{
	const char *one = NULL, *other = NULL;
	size_t total = fleet->poller_count + fleet->gateway_count;

	for (size_t i = 0; i < total; i++) {
		const struct fleet_session *session = i < fleet->poller_count
			? &fleet->pollers[i]
			: &fleet->gateways[i - fleet->poller_count];

		if (session->life != FLEET_ALIVE || !*session->version)
			continue;
		if (!one)
			one = session->version;
		else if (strcmp(one, session->version) != 0)
			other = session->version;
	}
	if (other)
		doctor_say(look->doctor, FINDING_WARNING, "versions",
			"Finish the upgrade: restart the older ones, one at a time.",
			"processes of different versions are alive: %s and %s", one,
			other);
	else if (one)
		doctor_say(look->doctor, FINDING_FINE, "versions", "",
			"all processes are version %s", one);
}

static void find_ill(struct fleet_look *look, const struct fleet *fleet)
{
	const struct fleet_summary *summary = &fleet->summary;
	size_t ill = summary->healths[FLEET_FAILED] + summary->healths[FLEET_STALE];
	size_t overdue = summary->healths[FLEET_OVERDUE];

	doctor_say(look->doctor, ill > 0 ? FINDING_WARNING : FINDING_FINE, "resources",
		ill > 0 ? "`uricast status` says what their upstreams answer." : "",
		"%zu of %zu resources are stale or in error", ill, summary->resources);
	if (overdue > 0)
		doctor_say(look->doctor, FINDING_WARNING, "overdue",
			"See the metrics and logs of their owners, which `uricast "
			"status` names: too little concurrency, rate or processor.",
			"%zu resources were not checked for three intervals", overdue);
}

static void on_last(const struct fleet *fleet, void *user)
{
	struct fleet_look *look = user;

	count_all(look, fleet);
	find_processes(look, fleet);
	find_dead(look);
	find_unowned(look, fleet);
	find_versions(look, fleet);
	find_ill(look, fleet);
}

static void look_at_fleet(struct doctor *doctor)
{
	const struct fleet_query query = {"", LOOK_MAX, FLEET_WORST_FIRST};
	struct fleet_look look = {.doctor = doctor};
	struct link link;
	enum exit_status status = link_open(&link, doctor->options);

	if (status == EXIT_FINE)
		status = link_read(&link, &query, on_first, &look);
	if (status == EXIT_FINE && look.doubt)
		link_wait(&link, AGAIN_MS);
	if (status == EXIT_FINE)
		status = link_read(&link, &query, on_last, &look);
	if (status != EXIT_FINE)
		doctor_say(doctor, FINDING_ERROR, "fleet",
			"Mend what was found of Redis first.",
			"the fleet could not be read");
	link_close(&link);
	config_texts_free(look.unowned, look.unowned_count);
}

/* ---- who should be reached ---- */

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
	http_refused(user, bytes, count);
	return size * count;
}

/* Any answer of a gateway's own to a request without an address will do. */
static void reach_gateway(struct doctor *doctor)
{
	const char *gateway = doctor->options->gateway;
	struct http *http;
	CURLcode code;
	long status;

	if (!gateway)
		return;
	http = xcalloc(1, sizeof(*http));
	if (http_init(http, doctor->options, "") != EXIT_FINE) {
		doctor_say(doctor, FINDING_ERROR, "gateway",
			"Name a file with a token by --token-file.",
			"%s could not be asked", gateway);
		free(http);
		return;
	}
	curl_easy_setopt(http->easy, CURLOPT_TIMEOUT_MS, REACH_MS);
	curl_easy_setopt(http->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(http->easy, CURLOPT_WRITEDATA, http);
	code = curl_easy_perform(http->easy);
	status = http_status(http);
	if (code != CURLE_OK)
		doctor_say(doctor, FINDING_ERROR, "gateway",
			"Start it, or see its --listen, the firewall and proxy between.",
			"%s cannot be reached: %s", gateway,
			*http->error ? http->error : curl_easy_strerror(code));
	else if (status == 401 || status == 403)
		doctor_say(doctor, FINDING_ERROR, "gateway",
			"Give one of its tokens by --token-file.",
			"%s refuses us with status %ld", gateway, status);
	else if (status != 400)
		doctor_say(doctor, FINDING_ERROR, "gateway",
			"Look at what listens there, or at the proxy in front.",
			"%s answers with status %ld, as no gateway does", gateway,
			status);
	else
		doctor_say(doctor, FINDING_FINE, "gateway", "", "%s answers", gateway);
	http_fini(http);
	free(http);
}

static void reach_monitor(struct doctor *doctor, const char *place)
{
	struct options options = {.gateway = NULL};
	struct http *http = xcalloc(1, sizeof(*http));
	char url[512];
	CURLcode code;
	long status;

	snprintf(url, sizeof(url), "http://%s/readyz", place);
	options.gateway = url;
	http_init(http, &options, "");
	curl_easy_setopt(http->easy, CURLOPT_URL, url);
	curl_easy_setopt(http->easy, CURLOPT_TIMEOUT_MS, REACH_MS);
	curl_easy_setopt(http->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(http->easy, CURLOPT_WRITEDATA, http);
	code = curl_easy_perform(http->easy);
	status = http_status(http);
	if (code != CURLE_OK)
		doctor_say(doctor, FINDING_ERROR, "metrics",
			"Start it with --metrics HOST:PORT, or name another.",
			"%s cannot be reached: %s", place,
			*http->error ? http->error : curl_easy_strerror(code));
	else if (status != 200)
		doctor_say(doctor, FINDING_ERROR, "metrics",
			"See its log, and mend what was found above.",
			"the process at %s is not ready: %.*s", place,
			(int)strcspn(http->refusal, "\r\n"), http->refusal);
	else
		doctor_say(doctor, FINDING_FINE, "metrics", "", "%s is ready", place);
	http_fini(http);
	free(http);
}

void doctor_fleet(struct doctor *doctor)
{
	if (!doctor->unreachable)
		look_at_fleet(doctor);
	reach_gateway(doctor);
	for (size_t i = 0; i < doctor->options->metrics_count; i++)
		reach_monitor(doctor, doctor->options->metrics[i]);
}
