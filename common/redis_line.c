#include "common/redis_line.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/network.h"
#include "common/random.h"

#define RETRY_FIRST_MS 100
#define RETRY_MOST_MS 1000
#define RETRY_REFUSED_MS 10000
#define COMPLAIN_EVERY_MS 1000
#define NO_ROOM_EVERY_MS 60000
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const char *const state_names[] = {
	[REDIS_LINE_IDLE] = "idle",
	[REDIS_LINE_GREETING] = "greeting",
	[REDIS_LINE_READY] = "ready",
	[REDIS_LINE_ENDED] = "ended",
};

/* The only writer of line->state. */
static void line_enter(struct redis_line *line, enum redis_line_state state)
{
	log_debug("redis %s %s -> %s", line->name, state_names[line->state],
		state_names[state]);
	line->state = state;
}

static int64_t now_ms(const struct redis_line *line)
{
	return clock_now_ms(line->settings->clock);
}

/* ---- what error replies mean ---- */

static const struct {
	const char *code;
	int error;
} error_codes[] = {
	{"LOADING", -EAGAIN},
	{"BUSY", -EAGAIN},
	{"READONLY", -EAGAIN},
	{"MASTERDOWN", -EAGAIN},
	{"CLUSTERDOWN", -EAGAIN},
	{"NOREPLICAS", -EAGAIN},
	{"OOM", -ENOSPC},
	{"MISCONF", -ENOSPC},
	{"NOAUTH", -EACCES},
	{"WRONGPASS", -EACCES},
	{"NOPERM", -EACCES},
	{"WRONGTYPE", -EACCES},
	{"DENIED", -EACCES},
};

static bool has_code(const char *text, const char *code)
{
	size_t length = strlen(code);

	return strncmp(text, code, length) == 0 &&
		(text[length] == ' ' || text[length] == '\0');
}

static int error_of(const char *text)
{
	for (size_t i = 0; i < COUNT(error_codes); i++) {
		if (has_code(text, error_codes[i].code))
			return error_codes[i].error;
	}
	return -EPROTO;
}

/* ---- commands ---- */

struct redis_command *redis_command_new(redis_reply_fn on_reply, void *user)
{
	struct redis_command *command = xcalloc(1, sizeof(*command));

	list_init(&command->link);
	command->on_reply = on_reply;
	command->user = user;
	command->question = -1;
	return command;
}

/* The last thing that happens to a command, which must be on no list. */
static void command_finish(
	struct redis_command *command, int error, const redisReply *reply)
{
	redis_reply_fn on_reply = command->on_reply;
	void *user = command->user;

	redis_args_fini(&command->args);
	free(command);
	if (on_reply)
		on_reply(error, reply, user);
}

static const char *command_name(const struct redis_command *command, int *length)
{
	if (command->script) {
		*length = (int)strlen(command->script->name);
		return command->script->name;
	}
	*length = (int)command->args.lengths[0];
	return command->args.bytes;
}

static size_t append_word(const char **words, size_t *lengths, size_t count,
	const char *word, size_t length)
{
	words[count] = word;
	lengths[count] = length;
	return count + 1;
}

/* Puts the command's words together and hands them to the socket. */
static size_t write_command(struct redis_line *line, const struct redis_command *command)
{
	const struct redis_args *args = &command->args;
	const struct redis_script_text *script = command->script;
	const char **words = xcalloc(args->count + 4, sizeof(*words));
	size_t *lengths = xcalloc(args->count + 4, sizeof(*lengths));
	const char *next = args->bytes;
	size_t count = 0, bytes;

	if (script) {
		bool known = line->known_scripts & command->script_bit;
		const char *verb = known ? "EVALSHA" : "EVAL";
		const char *which = known ? script->sha1 : script->text;
		const char *key = line->settings->key;

		count = append_word(words, lengths, count, verb, strlen(verb));
		count = append_word(words, lengths, count, which, strlen(which));
		count = append_word(words, lengths, count, "1", 1);
		count = append_word(words, lengths, count, key, strlen(key));
	}
	for (size_t i = 0; i < args->count; i++) {
		count = append_word(words, lengths, count, next, args->lengths[i]);
		next += args->lengths[i];
	}
	bytes = redis_socket_send(line->socket, (int)count, words, lengths);
	free(words);
	free(lengths);
	return bytes;
}

/* When to look whether @command was answered. Redis is not silent while it works off what
 * came before: to give up then would only make it do the same again. */
static int64_t look_at_ms(
	const struct redis_line *line, const struct redis_command *command)
{
	int64_t since_ms = command->sent_at_ms,
		most_ms = since_ms + REDIS_DEADLINE_MOST_MS;

	if (line->heard_at_ms > since_ms)
		since_ms = line->heard_at_ms;
	since_ms += REDIS_DEADLINE_MS;
	return (since_ms < most_ms ? since_ms : most_ms) - REDIS_SECOND_LOOK_MS;
}

static void send_now(struct redis_line *line, struct redis_command *command)
{
	struct redis_counters *counters = line->settings->counters;

	command->bytes = write_command(line, command);
	line->known_scripts |= command->script_bit;
	command->sent_at_ms = now_ms(line);
	command->overdue = false;
	command->sent_at_ns = uv_hrtime();
	list_append(&line->in_flight, &command->link);
	line->in_flight_count++;
	line->in_flight_bytes += command->bytes;
	counters->in_flight++;
	counters->bytes_out += command->bytes;
	if (command->question < 0 && !command->sent_again)
		counters->commands++;
	if (!clock_timer_running(&line->deadline))
		clock_timer_start(&line->deadline, look_at_ms(line, command));
}

static void take_from_flight(struct redis_line *line, struct redis_command *command)
{
	list_remove(&command->link);
	line->in_flight_count--;
	line->in_flight_bytes -= command->bytes;
	line->settings->counters->in_flight--;
}

static bool has_room(const struct redis_line *line)
{
	return line->in_flight_count < REDIS_IN_FLIGHT_COMMANDS &&
		line->in_flight_bytes < REDIS_IN_FLIGHT_BYTES;
}

static void send_waiting(struct redis_line *line)
{
	struct list *link;

	while (line->state == REDIS_LINE_READY && has_room(line)) {
		link = list_take(&line->waiting);
		if (!link)
			return;
		line->settings->counters->waiting--;
		send_now(line, container_of(link, struct redis_command, link));
	}
}

void redis_line_submit(struct redis_line *line, struct redis_command *command)
{
	if (line->state != REDIS_LINE_READY) {
		redis_line_end_later(line, command, -ENOTCONN);
		return;
	}
	if (command->priority == REDIS_URGENT ||
		(list_empty(&line->waiting) && has_room(line))) {
		send_now(line, command);
		return;
	}
	list_append(&line->waiting, &command->link);
	line->settings->counters->waiting++;
}

void redis_line_end_later(
	struct redis_line *line, struct redis_command *command, int error)
{
	command->error = error;
	list_append(&line->ended, &command->link);
	if (line->state != REDIS_LINE_ENDED && !clock_timer_running(&line->ending))
		clock_timer_start_in(&line->ending, 0);
}

/* Commands that a callback adds wait for the next round, so that the loop goes on. */
static bool run_ended(struct redis_line *line)
{
	struct list ended;
	struct list *link;
	bool any = false;

	list_init(&ended);
	while ((link = list_take(&line->ended)))
		list_append(&ended, link);
	while ((link = list_take(&ended))) {
		struct redis_command *command =
			container_of(link, struct redis_command, link);

		any = true;
		command_finish(command, command->error, NULL);
	}
	return any;
}

static void on_ending(struct clock_timer *timer)
{
	run_ended(container_of(timer, struct redis_line, ending));
}

/* ---- losing and finding the connection ---- */

/* Takes the connection away and moves what it had to @commands, errors set. */
static void disconnect(struct redis_line *line, struct list *commands)
{
	struct list *link;

	redis_socket_close(line->socket);
	line->socket = NULL;
	clock_timer_stop(&line->deadline);
	while ((link = line->in_flight.next) != &line->in_flight) {
		struct redis_command *command =
			container_of(link, struct redis_command, link);

		take_from_flight(line, command);
		command->error = -ECONNRESET;
		list_append(commands, link);
	}
	while ((link = list_take(&line->waiting))) {
		container_of(link, struct redis_command, link)->error = -ENOTCONN;
		line->settings->counters->waiting--;
		list_append(commands, link);
	}
}

/* A copy, for @reason may lie in what is about to go. */
static void keep_reason(struct redis_line *line, const char *reason)
{
	snprintf(line->reason, sizeof(line->reason), "%s: %s", line->settings->url->place,
		reason);
}

static bool is_connected(const struct redis_line *line)
{
	return line->state == REDIS_LINE_GREETING || line->state == REDIS_LINE_READY;
}

/* For line->reason. */
static void lose(struct redis_line *line, int64_t retry_ms)
{
	struct list lost;
	struct list *link;

	if (line->state == REDIS_LINE_READY) {
		line->settings->counters->reconnects++;
		line->predecessor = line->identity;
	}
	list_init(&lost);
	disconnect(line, &lost);
	line_enter(line, REDIS_LINE_IDLE);
	clock_timer_start_in(&line->reconnect, retry_ms);
	line->settings->events.on_lost(line, line->reason);
	while ((link = list_take(&lost))) {
		struct redis_command *command =
			container_of(link, struct redis_command, link);

		command_finish(command, command->error, NULL);
	}
}

/* 100 ms, 200 ms, … 1 s, of which up to a half is left out: a fleet does not march. */
static int64_t next_retry_ms(struct redis_line *line)
{
	int64_t most_ms = RETRY_MOST_MS;

	if (line->attempts < 4)
		most_ms = RETRY_FIRST_MS << line->attempts;
	line->attempts++;
	return most_ms / 2 + (int64_t)random_below((uint64_t)most_ms / 2 + 1);
}

void redis_line_lose(struct redis_line *line, const char *reason)
{
	if (!is_connected(line))
		return;
	keep_reason(line, reason);
	lose(line, next_retry_ms(line));
}

void redis_line_refuse(struct redis_line *line, const char *reason)
{
	if (!is_connected(line))
		return;
	keep_reason(line, reason);
	/* First, so that whoever hears of the loss knows better than to call it one. */
	line->settings->events.on_refused(line, line->reason);
	lose(line, RETRY_REFUSED_MS);
}

/* Timers run before sockets are read: after a pause of our own, a look too early would
 * take answers that lie there for silence. So the verdict falls a little after a first
 * look. */
static void on_deadline(struct clock_timer *timer)
{
	struct redis_line *line = container_of(timer, struct redis_line, deadline);
	struct redis_command *oldest;
	char reason[96];
	int64_t due_ms;

	if (line->lookup) {
		snprintf(reason, sizeof(reason),
			"its name was not looked up within %d ms", REDIS_DEADLINE_MS);
		redis_line_lose(line, reason);
		return;
	}
	if (list_empty(&line->in_flight))
		return;
	oldest = container_of(line->in_flight.next, struct redis_command, link);
	due_ms = look_at_ms(line, oldest);
	if (due_ms > now_ms(line)) {
		oldest->overdue = false;
		clock_timer_start(timer, due_ms);
		return;
	}
	if (!oldest->overdue) {
		oldest->overdue = true;
		clock_timer_start_in(timer, REDIS_SECOND_LOOK_MS);
		return;
	}
	line->settings->counters->timeouts++;
	snprintf(reason, sizeof(reason), "no answer within %d ms (%s)", REDIS_DEADLINE_MS,
		line->name);
	redis_line_lose(line, reason);
}

/* ---- the greeting ---- */

enum question {
	ASK_AUTH,
	ASK_SELECT,
	ASK_NAME,
	ASK_PING, /* is refused while Redis cannot serve: loading, busy; or not write */
	ASK_SERVER,
	ASK_ROLE,
	ASK_ID,
	ASK_KILL,
};

/* @words ends with NULL. */
static void ask(struct redis_line *line, enum question question, const char *const *words)
{
	struct redis_command *command = redis_command_new(NULL, NULL);

	for (; *words; words++)
		redis_args_text(&command->args, *words);
	command->question = question;
	send_now(line, command);
}
#define ASK(line, question, ...)                                                         \
	ask(line, question, (const char *const[]){__VA_ARGS__, NULL})

/* Only what changes nothing: what an earlier connection sent may still be on its way. */
static void greet(struct redis_line *line)
{
	const struct redis_url *url = line->settings->url;
	char database[16];

	if (url->password && url->user)
		ASK(line, ASK_AUTH, "AUTH", url->user, url->password);
	else if (url->password)
		ASK(line, ASK_AUTH, "AUTH", url->password);
	if (url->database > 0) {
		snprintf(database, sizeof(database), "%d", url->database);
		ASK(line, ASK_SELECT, "SELECT", database);
	}
	ASK(line, ASK_NAME, "CLIENT", "SETNAME", line->settings->client_name);
	ASK(line, ASK_PING, "PING");
	ASK(line, ASK_SERVER, "INFO", "server");
	ASK(line, ASK_ROLE, "INFO", "replication");
	ASK(line, ASK_ID, "CLIENT", "ID");
}

static void become_ready(struct redis_line *line)
{
	line->predecessor = (struct redis_line_identity){0};
	line->attempts = 0;
	line_enter(line, REDIS_LINE_READY);
	line->settings->events.on_ready(line);
}

/* Client ids start again with the server, so the id alone could name another's client. */
static void end_predecessor(struct redis_line *line)
{
	const struct redis_line_identity *old = &line->predecessor;
	char id[24];

	if (!old->run_id[0] || !old->client_id ||
		strcmp(old->run_id, line->identity.run_id) != 0) {
		become_ready(line);
		return;
	}
	snprintf(id, sizeof(id), "%lld", old->client_id);
	ASK(line, ASK_KILL, "CLIENT", "KILL", "ID", id);
}

static void read_run_id(struct redis_line *line, const redisReply *reply)
{
	const char *start = reply->str ? strstr(reply->str, "run_id:") : NULL;
	size_t length;

	if (!start)
		return;
	start += strlen("run_id:");
	length = strcspn(start, "\r\n");
	if (length <= REDIS_RUN_ID_MAX)
		memcpy(line->identity.run_id, start, length);
}

static void on_answer_refused(
	struct redis_line *line, enum question question, const char *text)
{
	bool unlocks = question == ASK_AUTH || question == ASK_SELECT;
	bool overrun = strncmp(text, "ERR max", 7) == 0; /* number of clients reached */
	int error = error_of(text);

	if (error == -EAGAIN || overrun) {
		redis_line_lose(line, text);
		return;
	}
	if (error == -ENOSPC)
		return; /* it reads, and tells of messages */
	if (unlocks || (error == -EACCES && !has_code(text, "NOPERM"))) {
		redis_line_refuse(line, text);
		return;
	}
	/* Whatever else is forbidden, or renamed, we can do without. */
	if (question != ASK_NAME && !line->settings->identity_warned) {
		line->settings->identity_warned = true;
		log_warn("Redis does not let us ask who is who: after a lost connection, "
			 "what was sent on it may run late error=\"%s\"",
			text);
	}
}

static void on_answer(
	struct redis_line *line, enum question question, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR)
		on_answer_refused(line, question, reply->str);
	else if (question == ASK_SERVER)
		read_run_id(line, reply);
	else if (question == ASK_ROLE && reply->str && strstr(reply->str, "role:slave"))
		redis_line_lose(line, "it is a replica, which takes no writes");
	else if (question == ASK_ID)
		line->identity.client_id = reply->integer;

	if (line->state != REDIS_LINE_GREETING)
		return;
	if (question == ASK_ID)
		end_predecessor(line);
	else if (question == ASK_KILL)
		become_ready(line);
}

/* ---- replies ---- */

/* Any text from Redis that it is a replica now: what DNS or a proxy names may be another.
 */
static bool has_changed_role(const char *text)
{
	return has_code(text, "READONLY") || has_code(text, "MASTERDOWN");
}

static void on_error_reply(
	struct redis_line *line, struct redis_command *command, const redisReply *reply)
{
	int error = error_of(reply->str);
	char reason[REDIS_REASON_MAX];
	bool optional = command->optional;
	const char *name;
	int length;

	name = command_name(command, &length);
	snprintf(reason, sizeof(reason), "%s %.*s: %s",
		command->script ? "script" : "command", length, name, reply->str);
	if (error == -EACCES && !optional)
		line->settings->events.on_refused(line, reason);
	command_finish(command, error, NULL);
	if (optional)
		return;
	if (error == -ENOSPC && now_ms(line) >= line->no_room_at_ms) {
		line->no_room_at_ms = now_ms(line) + NO_ROOM_EVERY_MS;
		log_error("Redis refuses to store, trying again until it does; what it "
			  "holds is served on; see its maxmemory and its disk "
			  "error=\"%s\"",
			reason);
	}
	if (error == -EPROTO && now_ms(line) >= line->complain_at_ms) {
		line->complain_at_ms = now_ms(line) + COMPLAIN_EVERY_MS;
		log_warn("Redis answered with an error error=\"%s\"", reason);
	}
	if (has_changed_role(reply->str))
		redis_line_lose(line, reply->str);
}

/* An UNSUBSCRIBE without channels is answered once for each; the last says none is left.
 */
static bool is_last_answer(const struct redis_command *command, const redisReply *reply)
{
	return command->answers == REDIS_ONE_ANSWER || reply->type != REDIS_REPLY_ARRAY ||
		reply->elements < 3 || reply->element[2]->integer == 0;
}

static bool is_message(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
		reply->element[0]->type == REDIS_REPLY_STRING &&
		reply->element[2]->type == REDIS_REPLY_STRING &&
		strcmp(reply->element[0]->str, "message") == 0;
}

static void on_command_reply(
	struct redis_line *line, struct redis_command *command, const redisReply *reply)
{
	bool failed = reply->type == REDIS_REPLY_ERROR;

	take_from_flight(line, command);
	if (command->question >= 0) {
		enum question question = (enum question)command->question;

		command_finish(command, 0, NULL);
		on_answer(line, question, reply);
		return;
	}
	/* Whatever was refused, Redis may not have kept the text. */
	if (failed)
		line->known_scripts &= ~command->script_bit;
	if (failed && command->script && !command->sent_again &&
		has_code(reply->str, "NOSCRIPT")) {
		command->sent_again = true;
		send_now(line, command);
		return;
	}
	metrics_histogram_add(&line->settings->counters->latency,
		(int64_t)(uv_hrtime() - command->sent_at_ns) / 1000);
	if (failed)
		on_error_reply(line, command, reply);
	else
		command_finish(command, 0, reply);
}

static void on_reply(const redisReply *reply, void *user)
{
	struct redis_line *line = user;
	struct redis_command *oldest;

	if (is_message(reply)) {
		line->settings->events.on_message(line, reply);
		return;
	}
	if (list_empty(&line->in_flight)) {
		redis_line_lose(line,
			reply->type == REDIS_REPLY_ERROR ? reply->str
							 : "unexpected reply");
		return;
	}
	line->heard_at_ms = now_ms(line);
	oldest = container_of(line->in_flight.next, struct redis_command, link);
	if (!is_last_answer(oldest, reply))
		return;
	on_command_reply(line, oldest, reply);
	send_waiting(line);
}

static void on_progress(void *user)
{
	struct redis_line *line = user;

	line->heard_at_ms = now_ms(line);
}

static void on_broken(const char *reason, void *user)
{
	redis_line_lose(user, reason);
}

/* ---- public ---- */

static const struct redis_socket_events socket_events = {
	.on_reply = on_reply,
	.on_progress = on_progress,
	.on_broken = on_broken,
};

static void open_socket(struct redis_line *line, const char *address)
{
	char reason[256];

	line->socket = redis_socket_open(line->settings->loop, line->settings->url,
		address, &socket_events, line, reason, sizeof(reason));
	if (line->socket)
		greet(line); /* its deadline is the connection's, too */
	else
		redis_line_lose(line, reason);
}

/* IPv4 first: many a Redis listens there alone, on localhost for one. NULL beyond all. */
static const struct addrinfo *nth_address(const struct addrinfo *addresses, unsigned n)
{
	static const int families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < COUNT(families); i++) {
		for (const struct addrinfo *each = addresses; each;
			each = each->ai_next) {
			if (each->ai_family == families[i] && n-- == 0)
				return each;
		}
	}
	return NULL;
}

/* Each attempt takes another: one that is silent or refuses does not hide the next. */
static const struct addrinfo *choose_address(
	const struct addrinfo *addresses, unsigned attempts)
{
	unsigned count = 0;

	while (nth_address(addresses, count))
		count++;
	return nth_address(addresses, count > 0 ? attempts % count : 0);
}

static void begin_attempt(struct redis_line *line)
{
	clock_timer_stop(&line->reconnect);
	line_enter(line, REDIS_LINE_GREETING);
	line->identity = (struct redis_line_identity){0};
	line->known_scripts = 0;
}

/* An attempt that did not wait for it has been lost: what comes late begins the next. */
static void on_looked_up(struct addrinfo *addresses, const char *reason, void *user)
{
	struct redis_line *line = user;
	const struct addrinfo *chosen = choose_address(addresses, line->attempts);
	char text[NI_MAXHOST];

	line->lookup = NULL;
	clock_timer_stop(&line->deadline);
	if (line->state == REDIS_LINE_IDLE)
		begin_attempt(line);
	if (chosen &&
		getnameinfo(chosen->ai_addr, chosen->ai_addrlen, text, sizeof(text), NULL,
			0, NI_NUMERICHOST) == 0)
		open_socket(line, text);
	else
		redis_line_lose(line, reason ? reason : "its name has no address");
	uv_freeaddrinfo(addresses);
}

static bool is_name(const char *host)
{
	struct network_address address;

	return host && !network_address_parse(&address, host, strlen(host));
}

/* One lookup at a time: what is still under way is waited for once more. */
static void on_reconnect(struct clock_timer *timer)
{
	struct redis_line *line = container_of(timer, struct redis_line, reconnect);
	const struct redis_url *url = line->settings->url;

	begin_attempt(line);
	if (!is_name(url->host)) {
		open_socket(line, url->host);
		return;
	}
	if (!line->lookup)
		line->lookup = redis_lookup_begin(
			line->settings->loop, url->host, url->port, on_looked_up, line);
	if (line->lookup)
		clock_timer_start_in(&line->deadline, REDIS_DEADLINE_MS);
	else
		redis_line_lose(line, "its name cannot be looked up");
}

void redis_line_init(
	struct redis_line *line, struct redis_line_settings *settings, const char *name)
{
	*line = (struct redis_line){.settings = settings, .name = name};
	clock_timer_init(&line->reconnect, settings->clock, on_reconnect);
	clock_timer_init(&line->deadline, settings->clock, on_deadline);
	clock_timer_init(&line->ending, settings->clock, on_ending);
	list_init(&line->in_flight);
	list_init(&line->waiting);
	list_init(&line->ended);
}

void redis_line_start(struct redis_line *line)
{
	clock_timer_start_in(&line->reconnect, 0);
}

void redis_line_end(struct redis_line *line)
{
	redis_lookup_cancel(line->lookup);
	line->lookup = NULL;
	disconnect(line, &line->ended);
	clock_timer_stop(&line->reconnect);
	clock_timer_stop(&line->ending);
	line_enter(line, REDIS_LINE_ENDED);
}

bool redis_line_flush(struct redis_line *line)
{
	assert(line->state == REDIS_LINE_ENDED);
	return run_ended(line);
}
