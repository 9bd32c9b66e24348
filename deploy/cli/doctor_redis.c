#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <uv.h>

#include "common/keys.h"
#include "common/random.h"
#include "common/redis_url.h"
#include "deploy/cli/doctor.h"

#define DEADLINE_S 2
#define VERSION_LEAST 7
#define CLOCK_APART_MS 1000 /* beyond, instants in answers and logs mislead */
#define PINGS 100
#define PING_SLOW_MS 50 /* of a lease of 3 s, and a deadline of 1 s */
#define IDLE_LEAST_S 10
#define BUFFER_LEAST (8LL << 20) /* a few of the largest changes */
#define FULL 0.9
#define MISSING_MAX 64 /* more than there are rights */

struct patient {
	struct doctor *doctor;
	redisContext *context;
	struct key scratch; /* a name that nothing else ever has, as key and as channel */
	const char *missing[MISSING_MAX]; /* rights */
	size_t missing_count;
};

/* ---- asking ---- */

/* The caller frees the reply; NULL where the connection is gone. */
static redisReply *ask(struct patient *patient, const char *format, ...)
{
	va_list arguments;
	redisReply *reply;

	va_start(arguments, format);
	reply = redisvCommand(patient->context, format, arguments);
	va_end(arguments);
	return reply;
}

static bool is_error(const redisReply *reply, const char *code)
{
	return reply && reply->type == REDIS_REPLY_ERROR &&
		strncmp(reply->str, code, strlen(code)) == 0;
}

/* What follows NAME: in an INFO text, up to the end of its line; "" where it is not
 * there. */
static const char *info_field(
	const redisReply *info, const char *name, char *value, size_t size)
{
	const char *at = info && info->type == REDIS_REPLY_STRING ? info->str : "";
	size_t length = strlen(name);

	for (; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
		if (strncmp(at, name, length) != 0 || at[length] != ':')
			continue;
		at += length + 1;
		snprintf(value, size, "%.*s", (int)strcspn(at, "\r\n"), at);
		return value;
	}
	*value = '\0';
	return value;
}

static double info_number(const redisReply *info, const char *name)
{
	char value[64];

	return strtod(info_field(info, name, value, sizeof(value)), NULL);
}

/* The value of a setting, or NULL where Redis does not tell. */
static const char *setting(
	struct patient *patient, const char *name, char *value, size_t size)
{
	redisReply *reply = ask(patient, "CONFIG GET %s", name);
	const char *found = NULL;

	if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
		snprintf(value, size, "%s", reply->element[1]->str);
		found = value;
	}
	freeReplyObject(reply);
	return found;
}

/* ---- getting in ---- */

static void unreachable(struct doctor *doctor, const char *place, const char *what)
{
	doctor->unreachable = true;
	doctor_say(doctor, FINDING_ERROR, "redis",
		"Start Redis there, or name another by --redis URL or URICAST_REDIS.",
		"%s cannot be reached: %s", place, what);
}

static bool connect_to(struct patient *patient, const struct redis_url *url)
{
	struct timeval deadline = {.tv_sec = DEADLINE_S};
	redisContext *context = url->path
		? redisConnectUnixWithTimeout(url->path, deadline)
		: redisConnectWithTimeout(url->host, url->port, deadline);

	patient->context = context;
	if (!context || context->err) {
		unreachable(patient->doctor, url->place,
			context ? context->errstr : "out of memory");
		return false;
	}
	redisSetTimeout(context, deadline);
	return true;
}

static bool refused(struct patient *patient, redisReply *reply, const char *fix)
{
	bool wrong = !reply || reply->type == REDIS_REPLY_ERROR;

	if (wrong) {
		patient->doctor->unreachable = true;
		doctor_say(patient->doctor, FINDING_ERROR, "redis", fix,
			"Redis does not let us in: %s",
			reply ? reply->str : "it does not answer");
	}
	freeReplyObject(reply);
	return wrong;
}

static bool log_in(struct patient *patient, const struct redis_url *url)
{
	static const char password_fix[] =
		"Put user and password into the URL: redis://user:password@host; special "
		"characters percent-encoded.";
	redisReply *reply;

	if (url->password) {
		reply = url->user ? ask(patient, "AUTH %s %s", url->user, url->password)
				  : ask(patient, "AUTH %s", url->password);
		if (refused(patient, reply, password_fix))
			return false;
	}
	if (url->database > 0 &&
		refused(patient, ask(patient, "SELECT %d", url->database),
			"Name another database after the / of the URL, or allow "
			"+select."))
		return false;
	reply = ask(patient, "PING");
	/* Of these more is said below. */
	if (is_error(reply, "NOPERM") || is_error(reply, "MISCONF")) {
		freeReplyObject(reply);
		return true;
	}
	return !refused(patient, reply,
		is_error(reply, "NOAUTH") ? password_fix
					  : "Wait until it can serve, or see its log.");
}

/* ---- what it is ---- */

static void check_version(struct patient *patient, const redisReply *server)
{
	char version[64];
	bool old;

	info_field(server, "redis_version", version, sizeof(version));
	if (!*version)
		return;
	old = strtol(version, NULL, 10) < VERSION_LEAST;
	doctor_say(patient->doctor, old ? FINDING_ERROR : FINDING_FINE, "version",
		old ? "Install Redis 7.0 or newer." : "", "Redis is version %s", version);
}

static void check_role(struct patient *patient, const redisReply *replication)
{
	char role[32];
	bool replica;

	info_field(replication, "role", role, sizeof(role));
	if (!*role)
		return;
	replica = strcmp(role, "slave") == 0;
	doctor_say(patient->doctor, replica ? FINDING_ERROR : FINDING_FINE, "role",
		replica ? "Name the master by --redis, or promote this one: REPLICAOF NO "
			  "ONE."
			: "",
		"Redis is a %s", replica ? "replica, which takes no writes" : "master");
}

static void check_persistence(struct patient *patient, const redisReply *persistence)
{
	char bgsave[16], aof[16], stop[16];
	bool failing;

	info_field(persistence, "rdb_last_bgsave_status", bgsave, sizeof(bgsave));
	info_field(persistence, "aof_last_write_status", aof, sizeof(aof));
	failing = strcmp(bgsave, "err") == 0 || strcmp(aof, "err") == 0;
	if (!*bgsave)
		return;
	if (!failing)
		doctor_say(patient->doctor, FINDING_FINE, "persistence", "",
			"what it saves, if anything, is saved");
	else
		doctor_say(patient->doctor, FINDING_WARNING, "persistence",
			"Make room on its disk, or turn saving off, which uricast does "
			"not need: CONFIG SET save '' and CONFIG SET appendonly no; or "
			"CONFIG SET stop-writes-on-bgsave-error no.",
			"Redis cannot save to its disk%s",
			setting(patient, "stop-writes-on-bgsave-error", stop,
				sizeof(stop)) &&
					strcmp(stop, "yes") == 0
				? ", and refuses writes while that is so"
				: "");
}

static void check_memory(struct patient *patient, const redisReply *memory)
{
	double used = info_number(memory, "used_memory"),
	       most = info_number(memory, "maxmemory");
	bool full = most > 0 && used > FULL * most;

	if (used == 0)
		return;
	doctor_say(patient->doctor, full ? FINDING_WARNING : FINDING_FINE, "memory",
		full ? "Raise maxmemory, or let less be watched." : "",
		"%.1f MiB used of %s", used / 1048576,
		most > 0 ? "maxmemory" : "what the machine has");
}

static void check_clients(struct patient *patient, const redisReply *clients)
{
	double now = info_number(clients, "connected_clients"),
	       most = info_number(clients, "maxclients");
	bool full = most > 0 && now > FULL * most;

	if (now == 0)
		return;
	doctor_say(patient->doctor, full ? FINDING_WARNING : FINDING_FINE, "maxclients",
		full ? "CONFIG SET maxclients 10000; each process needs two connections."
		     : "",
		"%.0f of %.0f connections are taken", now, most);
}

static void check_info(struct patient *patient)
{
	static const struct {
		const char *section;
		void (*check)(struct patient *patient, const redisReply *info);
	} sections[] = {
		{"server", check_version},
		{"replication", check_role},
		{"persistence", check_persistence},
		{"memory", check_memory},
		{"clients", check_clients},
	};

	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		redisReply *info = ask(patient, "INFO %s", sections[i].section);

		sections[i].check(patient, info);
		freeReplyObject(info);
	}
}

/* ---- how it is set up ---- */

static void check_eviction(struct patient *patient)
{
	char policy[64];
	bool evicts;

	if (!setting(patient, "maxmemory-policy", policy, sizeof(policy))) {
		doctor_say(patient->doctor, FINDING_FINE, "maxmemory-policy", "",
			"Redis does not tell (+config|get)");
		return;
	}
	evicts = strcmp(policy, "noeviction") != 0;
	doctor_say(patient->doctor, evicts ? FINDING_WARNING : FINDING_FINE,
		"maxmemory-policy",
		evicts ? "CONFIG SET maxmemory-policy noeviction" : "",
		"when its memory is full, Redis goes by %s%s", policy,
		evicts ? ", which drops locks and interest like cached pages" : "");
}

/* "… pubsub 33554432 8388608 60": hard limit, soft limit, its seconds. */
static void check_buffers(struct patient *patient)
{
	char limits[256], *pubsub;
	long long hard;

	if (!setting(patient, "client-output-buffer-limit", limits, sizeof(limits)))
		return;
	pubsub = strstr(limits, "pubsub ");
	if (!pubsub)
		return;
	hard = strtoll(pubsub + strlen("pubsub "), NULL, 10);
	if (hard == 0)
		doctor_say(patient->doctor, FINDING_WARNING, "output-buffer",
			"CONFIG SET client-output-buffer-limit 'pubsub 32mb 8mb 60'",
			"nothing limits what Redis keeps for a subscriber that does not "
			"read: a gateway that hangs may fill its memory");
	else if (hard < BUFFER_LEAST)
		doctor_say(patient->doctor, FINDING_WARNING, "output-buffer",
			"CONFIG SET client-output-buffer-limit 'pubsub 32mb 8mb 60'",
			"a gateway that lags by %lld bytes of changes is cut off, and "
			"reads everything again",
			hard);
	else
		doctor_say(patient->doctor, FINDING_FINE, "output-buffer", "",
			"a gateway may lag by %lld MiB of changes", hard >> 20);
}

static void check_idle(struct patient *patient)
{
	char seconds[32];
	long idle;
	bool hasty;

	if (!setting(patient, "timeout", seconds, sizeof(seconds)))
		return;
	idle = strtol(seconds, NULL, 10);
	hasty = idle > 0 && idle < IDLE_LEAST_S;
	doctor_say(patient->doctor, hasty ? FINDING_WARNING : FINDING_FINE, "timeout",
		hasty ? "CONFIG SET timeout 0" : "", "idle connections are closed %s%s%s",
		idle > 0 ? "after " : "never", idle > 0 ? seconds : "",
		idle > 0 ? " s" : "");
}

/* ---- how it answers ---- */

static void check_clock(struct patient *patient)
{
	struct timeval before, after;
	redisReply *reply;
	double here_ms, there_ms, apart_ms, took_ms;
	bool apart;

	gettimeofday(&before, NULL);
	reply = ask(patient, "TIME");
	gettimeofday(&after, NULL);
	if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
		took_ms = (double)(after.tv_sec - before.tv_sec) * 1e3 +
			(double)(after.tv_usec - before.tv_usec) / 1e3;
		here_ms = (double)before.tv_sec * 1e3 + (double)before.tv_usec / 1e3 +
			took_ms / 2;
		there_ms = strtod(reply->element[0]->str, NULL) * 1e3 +
			strtod(reply->element[1]->str, NULL) / 1e3;
		apart_ms = there_ms - here_ms;
		apart = apart_ms > CLOCK_APART_MS + took_ms ||
			-apart_ms > CLOCK_APART_MS + took_ms;
		doctor_say(patient->doctor, apart ? FINDING_WARNING : FINDING_FINE,
			"clock",
			apart ? "Let chrony or systemd-timesyncd keep both machines' "
				"clocks."
			      : "",
			"Redis's clock is %.3f s %s of this machine's%s",
			(apart_ms < 0 ? -apart_ms : apart_ms) / 1e3,
			apart_ms < 0 ? "behind" : "ahead",
			apart ? "; ages and instants that people see are wrong by that"
			      : "");
	}
	freeReplyObject(reply);
}

static int compare_ns(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void check_latency(struct patient *patient)
{
	uint64_t took_ns[PINGS];
	double p99_ms;
	bool slow;

	for (size_t i = 0; i < PINGS; i++) {
		uint64_t begun_ns = uv_hrtime();
		redisReply *reply = ask(patient, "PING");

		if (!reply) {
			doctor_say(patient->doctor, FINDING_ERROR, "latency",
				"See what keeps it: SLOWLOG GET, INFO commandstats, "
				"swap.",
				"Redis did not answer a PING within %d s", DEADLINE_S);
			return;
		}
		freeReplyObject(reply);
		took_ns[i] = uv_hrtime() - begun_ns;
	}
	qsort(took_ns, PINGS, sizeof(*took_ns), compare_ns);
	p99_ms = (double)took_ns[PINGS - 2] / 1e6;
	slow = p99_ms > PING_SLOW_MS;
	doctor_say(patient->doctor, slow ? FINDING_WARNING : FINDING_FINE, "latency",
		slow ? "See what keeps it: SLOWLOG GET, INFO commandstats, swap, the "
		       "network between; processes count it as away after 1 s."
		     : "",
		"of %d PINGs, 99 were answered within %.2f ms", PINGS, p99_ms);
}

/* ---- what we may ---- */

/* The commands of gateways and pollers, on a key and a channel of our own. S stands for
 * its name; what the command answers does not matter but for NOPERM. */
static const struct {
	const char *right;
	const char *command;
	bool optional; /* worth a warning only */
} rights[] = {
	{"ping", "PING", false},
	{"info", "INFO server", false},
	{"select", "SELECT 0", true},
	{"client|id", "CLIENT ID", false},
	{"client|setname", "CLIENT SETNAME uricast-doctor", false},
	{"client|kill", "CLIENT KILL ID 0", false},
	{"config|get", "CONFIG GET maxmemory-policy", true},
	{"time", "TIME", false},
	{"eval", "EVAL return 1 S", false},
	{"evalsha", "EVALSHA 0000000000000000000000000000000000000000 1 S", false},
	{"set", "SET S 1 EX 60", false},
	{"get", "GET S", false},
	{"mget", "MGET S", false},
	{"exists", "EXISTS S", false},
	{"expire", "EXPIRE S 60", false},
	{"del", "DEL S", false},
	{"hset", "HSET S f 1", false},
	{"hget", "HGET S f", false},
	{"hmget", "HMGET S f", false},
	{"hdel", "HDEL S g", false},
	{"hexists", "HEXISTS S f", false},
	{"hlen", "HLEN S", false},
	{"hgetall", "HGETALL S", false},
	{"hvals", "HVALS S", false},
	{"hrandfield", "HRANDFIELD S 1", false},
	{"hscan", "HSCAN S 0", false},
	{"del", "DEL S", false},
	{"sadd", "SADD S m", false},
	{"srem", "SREM S n", false},
	{"scard", "SCARD S", false},
	{"srandmember", "SRANDMEMBER S 1", false},
	{"sscan", "SSCAN S 0", false},
	{"del", "DEL S", false},
	{"zadd", "ZADD S 1 m", false},
	{"zcard", "ZCARD S", false},
	{"zscore", "ZSCORE S m", false},
	{"zrange", "ZRANGE S 0 1", false},
	{"zrangebyscore", "ZRANGEBYSCORE S 0 1", false},
	{"zrem", "ZREM S m", false},
	{"del", "DEL S", false},
	{"publish", "PUBLISH S 1", false},
};

#define WORDS_MAX 8

static redisReply *try_command(struct patient *patient, const char *command)
{
	const char *words[WORDS_MAX];
	char copy[128], *rest = copy, *word;
	int count = 0;

	if (strncmp(command, "EVAL ", 5) == 0)
		return ask(patient, "EVAL %s 1 %s", "return 1", patient->scratch.text);
	snprintf(copy, sizeof(copy), "%s", command);
	while (count < WORDS_MAX && (word = strsep(&rest, " ")))
		words[count++] = strcmp(word, "S") == 0 ? patient->scratch.text : word;
	return redisCommandArgv(patient->context, count, words, NULL);
}

static void add_missing(struct patient *patient, const char *right)
{
	for (size_t i = 0; i < patient->missing_count; i++) {
		if (strcmp(patient->missing[i], right) == 0)
			return;
	}
	patient->missing[patient->missing_count++] = right;
}

static void say_refused_write(struct doctor *doctor, const redisReply *reply)
{
	const char *fix = "Name the master by --redis.";

	if (is_error(reply, "OOM"))
		fix = "Raise maxmemory (CONFIG SET maxmemory), or let less be watched.";
	else if (is_error(reply, "MISCONF"))
		fix = "Let it save, or CONFIG SET stop-writes-on-bgsave-error no.";
	doctor_say(doctor, FINDING_ERROR, "writes", fix, "Redis refuses to write: %s",
		reply->str);
}

/* NOPERM names what it is about: a command, a key, a channel. */
static void judge_right(struct patient *patient, const char *right, bool optional,
	const redisReply *reply)
{
	if (!is_error(reply, "NOPERM"))
		return;
	if (strstr(reply->str, "key"))
		add_missing(patient, "~");
	else if (strstr(reply->str, "channel"))
		add_missing(patient, "&");
	else if (optional)
		doctor_say(patient->doctor, FINDING_FINE, "acl", "",
			"+%s is not allowed, which does no harm", right);
	else
		add_missing(patient, right);
}

static bool refuses_writes(const redisReply *reply)
{
	return is_error(reply, "OOM") || is_error(reply, "MISCONF") ||
		is_error(reply, "READONLY");
}

static void say_missing(struct patient *patient)
{
	const char *prefix = patient->doctor->options->prefix;
	char *list = NULL, *fix = NULL;
	size_t length;
	FILE *out = open_memstream(&list, &length);

	for (size_t i = 0; i < patient->missing_count; i++) {
		const char *right = patient->missing[i];

		fputs(i > 0 ? " " : "", out);
		if (*right == '~' || *right == '&')
			fprintf(out, "%c%s:*", *right, prefix);
		else
			fprintf(out, "+%s", right);
	}
	fclose(out);
	if (asprintf(&fix, "ACL SETUSER USER %s (docs/redis.md has the whole line)",
		    list) < 0)
		abort();
	doctor_say(patient->doctor, FINDING_ERROR, "acl", fix,
		"the user lacks rights: %s", list);
	free(fix);
	free(list);
}

static void check_rights(struct patient *patient)
{
	static const char *const channel_commands[] = {"subscribe", "unsubscribe"};
	bool refused_writes = false;

	for (size_t i = 0; i < sizeof(rights) / sizeof(*rights); i++) {
		redisReply *reply = try_command(patient, rights[i].command);

		if (refuses_writes(reply) && !refused_writes) {
			refused_writes = true;
			say_refused_write(patient->doctor, reply);
		}
		judge_right(patient, rights[i].right, rights[i].optional, reply);
		freeReplyObject(reply);
	}
	for (size_t i = 0; i < 2; i++) {
		redisReply *reply =
			ask(patient, "%s %s", channel_commands[i], patient->scratch.text);

		judge_right(patient, channel_commands[i], false, reply);
		freeReplyObject(reply);
	}
	if (patient->missing_count > 0)
		say_missing(patient);
	else
		doctor_say(patient->doctor, FINDING_FINE, "acl", "",
			"the user may do all that uricast needs");
}

void doctor_redis(struct doctor *doctor)
{
	struct patient patient = {.doctor = doctor};
	struct redis_url url;
	char name[32];

	redis_url_parse(&url, doctor->options->redis);
	snprintf(name, sizeof(name), "doctor-%016" PRIx64, random_u64());
	key_write(&patient.scratch, doctor->options->prefix, KEYS_TO, name);
	if (connect_to(&patient, &url) && log_in(&patient, &url)) {
		check_info(&patient);
		check_eviction(&patient);
		check_buffers(&patient);
		check_idle(&patient);
		check_clock(&patient);
		check_latency(&patient);
		check_rights(&patient);
	}
	redisFree(patient.context);
	redis_url_fini(&url);
}
