#include "gateway/client.h"

#include "common/memory.h"
#include "gateway/protocol.h"

#include <stdlib.h>

/* More than any canonical address with all its bytes escaped: a longer one is refused. */
#define URI_TEXT_MAX (ADDRESS_MAX * 6 + 1)

/* One subscription of a client. */
struct hold {
	struct subscription subscription;
	struct client *client;
	struct list in_owing;
	struct list in_client;
	int64_t refreshed_at_ms; /* 0: never */
	uint32_t serial;         /* of the message that last subscribed to it */
};

struct answer {
	struct list link;
	struct frame *frame;
};

/* ---- sending ---- */

static bool send_frame(struct client *client, struct frame *frame,
	const struct subscription *subscription)
{
	struct metrics *metrics = client->shared->metrics;

	if (!client->wire->send(client, frame, subscription))
		return false;
	metrics_add(metrics, METRIC_FRAMES, 1);
	metrics_add(metrics, METRIC_FRAME_BYTES, (int64_t)frame->length);
	return true;
}

static void answer_free(struct client *client, struct answer *answer)
{
	list_remove(&answer->link);
	client->answer_count--;
	client->answer_bytes -= answer->frame->length;
	frame_release(answer->frame);
	free(answer);
}

/* Takes @frame over; NULL is an answer that found no memory. */
static void answer_with(struct client *client, struct frame *frame)
{
	struct answer *answer;

	if (frame == NULL) {
		client->wire->drop(client, "out of memory");
		return;
	}
	if (list_empty(&client->answers) && send_frame(client, frame, NULL)) {
		frame_release(frame);
		return;
	}
	if (client->answer_count > 0 &&
		(client->answer_count == CLIENT_ANSWERS_MAX ||
			client->answer_bytes + frame->length > CLIENT_ANSWER_BYTES_MAX)) {
		frame_release(frame);
		metrics_add(client->shared->metrics, METRIC_SLOW_CLOSED, 1);
		client->wire->drop(client, "asks more than it takes answers");
		return;
	}
	answer = xcalloc(1, sizeof(*answer));
	answer->frame = frame;
	list_append(&client->answers, &answer->link);
	client->answer_count++;
	client->answer_bytes += frame->length;
}

static bool send_answers(struct client *client)
{
	list_each (link, &client->answers) {
		struct answer *answer = container_of(link, struct answer, link);

		if (!send_frame(client, answer->frame, NULL))
			return false;
		answer_free(client, answer);
	}
	return true;
}

static bool send_owed(struct hold *hold)
{
	struct frame *frame;

	while ((frame = subscription_owed(&hold->subscription)) != NULL) {
		if (!send_frame(hold->client, frame, &hold->subscription))
			return false;
		subscription_given(&hold->subscription);
	}
	list_remove(&hold->in_owing);
	return true;
}

static void send_all(struct client *client)
{
	if (!send_answers(client))
		return;
	list_each (link, &client->owing)
		if (!send_owed(container_of(link, struct hold, in_owing)))
			return;
}

/* One answer or subscription is the rule: that goes the short way. */
static bool has_several(const struct client *client)
{
	const struct list *owing = &client->owing;

	return !list_empty(&client->answers) || owing->next != owing->previous;
}

void client_flush(struct client *client)
{
	const struct client_wire *wire = client->wire;

	if (client->handling)
		return;
	if (wire->hold_back == NULL || !has_several(client)) {
		send_all(client);
		return;
	}
	wire->hold_back(client);
	send_all(client);
	wire->let_go(client);
}

static void owe(struct hold *hold)
{
	if (list_empty(&hold->in_owing))
		list_append(&hold->client->owing, &hold->in_owing);
}

/*
 * With @hold, what else of its client changed in this turn of the loop. What then does
 * not go out is left to its own topic's fan-out, which is still to come.
 */
static void flush_changed(struct hold *hold)
{
	struct client *client = hold->client;

	owe(hold);
	list_each (link, &client->holds) {
		struct hold *other = container_of(link, struct hold, in_client);

		if (subscription_is_next(&other->subscription))
			owe(other);
	}
	client_flush(client);
	list_each (link, &client->owing)
		if (link != &hold->in_owing)
			list_remove(link);
}

static void on_owed(struct subscription *subscription)
{
	struct hold *hold = container_of(subscription, struct hold, subscription);
	struct client *client = hold->client;

	if (!list_empty(&hold->in_owing))
		metrics_add(client->shared->metrics, METRIC_CONFLATED, 1);
	else if (list_empty(&client->owing) &&
		topics_fanning_out(relay_topics(client->shared->relay)) > 1)
		flush_changed(hold);
	else if (!list_empty(&client->owing) || !list_empty(&client->answers)) {
		owe(hold);
		client_flush(client);
	} else if (!send_owed(hold)) /* the usual case: nothing else waits */
		owe(hold);
}

/* Nothing goes out soon to who waits already. */
static void on_soon(const struct subscription *subscription)
{
	const struct hold *hold = container_of(subscription, struct hold, subscription);
	const struct client *client = hold->client;

	if (list_empty(&hold->in_owing) && list_empty(&client->answers) &&
		client->wire->soon != NULL)
		client->wire->soon(client);
}

/* ---- subscriptions ---- */

static struct hold *find_hold(struct client *client, const char *address, size_t length)
{
	struct topic *topic =
		topic_find(relay_topics(client->shared->relay), address, length);

	if (topic == NULL)
		return NULL;
	list_each (link, &client->holds) {
		struct hold *hold = container_of(link, struct hold, in_client);

		if (hold->subscription.topic == topic)
			return hold;
	}
	return NULL;
}

static void hold_free(struct hold *hold)
{
	topic_unsubscribe(&hold->subscription);
	list_remove(&hold->in_owing);
	list_remove(&hold->in_client);
	hold->client->hold_count--;
	free(hold);
}

/* What became of one address of a message. */
struct outcome {
	uint32_t interval_ms;      /* to tell; 0: not known, or nothing to say of it */
	const struct topic *topic; /* whose status was asked for, or NULL */
	struct refusal refusal;
};

static bool refuse(struct outcome *outcome, const char *code, const char *message)
{
	refusal_set(&outcome->refusal, code, "%s", message);
	return false;
}

static void subscribe_again(struct hold *hold, const struct client_wish *wish)
{
	subscription_set_interval(&hold->subscription, wish->interval_ms);
	subscription_again(&hold->subscription);
	hold->subscription.patches = wish->patches;
	subscription_holds(&hold->subscription, wish->since);
	owe(hold);
}

static bool subscribe_new(struct client *client, const struct client_wish *wish,
	const struct address *address, struct outcome *outcome)
{
	struct client_shared *shared = client->shared;
	struct catalog_target target;
	struct hold *hold;

	if (!refusal_resolve(&outcome->refusal, shared->catalog, address, &target))
		return false;
	/* What a single one replaces goes after this: it does not count. */
	if (!client->single && client->hold_count >= shared->limits.subscriptions)
		return refuse(outcome, "too_many_subscriptions",
			"this connection has as many subscriptions as it may have");
	hold = xcalloc(1, sizeof(*hold));
	hold->client = client;
	hold->subscription.on_soon = on_soon;
	list_init(&hold->in_owing);
	subscription_pause(&hold->subscription, client->paused);
	if (topic_subscribe(relay_topics(shared->relay), address->text, &target,
		    wish->interval_ms, &hold->subscription, on_owed) != TOPIC_OK) {
		free(hold);
		return refuse(outcome, "too_many_addresses",
			"the gateway watches as many addresses of this provider as it "
			"may");
	}
	list_append(&client->holds, &hold->in_client);
	client->hold_count++;
	hold->serial = client->serial;
	hold->subscription.patches = wish->patches;
	subscription_holds(&hold->subscription, wish->since);
	outcome->interval_ms = subscription_told_ms(&hold->subscription);
	owe(hold);
	return true;
}

static bool subscribe_as_wished(struct client *client, const struct client_wish *wish,
	const struct address *address, struct outcome *outcome)
{
	struct hold *hold = find_hold(client, address->text, address->length);

	/* Asked for once more it is refused like any address that was never known. */
	if (hold != NULL && !topic_is_known(hold->subscription.topic)) {
		hold_free(hold);
		hold = NULL;
	}
	if (hold == NULL)
		return subscribe_new(client, wish, address, outcome);
	hold->serial = client->serial;
	subscribe_again(hold, wish);
	outcome->interval_ms = subscription_told_ms(&hold->subscription);
	return true;
}

static bool subscribe(struct client *client, const struct protocol_message *message,
	const struct address *address, struct outcome *outcome)
{
	struct client_wish wish = {.interval_ms = message->interval_ms,
		.since = message->since,
		.patches = message->patches};

	return subscribe_as_wished(client, &wish, address, outcome);
}

static bool not_subscribed(struct outcome *outcome)
{
	return refuse(
		outcome, "not_subscribed", "this connection is not subscribed to it");
}

static bool unsubscribe(struct client *client, const struct protocol_message *message,
	const struct address *address, struct outcome *outcome)
{
	struct hold *hold = find_hold(client, address->text, address->length);

	(void)message;
	if (hold == NULL)
		return not_subscribed(outcome);
	hold_free(hold);
	return true;
}

static bool refresh(struct client *client, const struct protocol_message *message,
	const struct address *address, struct outcome *outcome)
{
	struct hold *hold = find_hold(client, address->text, address->length);
	int64_t now_ms = clock_now_ms(client->shared->clock);

	(void)message;
	if (hold == NULL)
		return not_subscribed(outcome);
	if (hold->refreshed_at_ms != 0 &&
		now_ms - hold->refreshed_at_ms < CLIENT_REFRESH_MS)
		return refuse(
			outcome, "rate_limited", "one refresh a second and resource");
	hold->refreshed_at_ms = now_ms;
	topic_refresh(hold->subscription.topic);
	return true;
}

static bool tell_status(struct client *client, const struct protocol_message *message,
	const struct address *address, struct outcome *outcome)
{
	struct hold *hold = find_hold(client, address->text, address->length);

	(void)message;
	if (hold == NULL)
		return not_subscribed(outcome);
	outcome->topic = hold->subscription.topic;
	outcome->interval_ms = topic_interval_ms(outcome->topic);
	if (outcome->interval_ms == 0)
		outcome->interval_ms = subscription_told_ms(&hold->subscription);
	return true;
}

/* ---- messages ---- */

typedef bool (*do_address_fn)(struct client *client,
	const struct protocol_message *message, const struct address *address,
	struct outcome *outcome);

static bool do_uri(struct client *client, const struct protocol_message *message,
	uint32_t uri, do_address_fn do_address, struct outcome *outcome)
{
	char text[URI_TEXT_MAX + 1];
	struct address address;
	int64_t length = document_string(message->document, uri, text, sizeof(text));

	if (length < 0)
		return refuse(
			outcome, "bad_address", address_error_text(ADDRESS_TOO_LONG));
	return refusal_parse_address(&outcome->refusal, &address, text, (size_t)length) &&
		do_address(client, message, &address, outcome);
}

static void count_refused(struct client *client)
{
	metrics_add(client->shared->metrics, METRIC_MESSAGES_REFUSED, 1);
}

static void answer_outcome(
	struct protocol_answer *answer, uint32_t uri, const struct outcome *outcome)
{
	struct protocol_status status;
	struct topic_times times;

	if (outcome->topic == NULL) {
		protocol_answer_done(answer, uri, outcome->interval_ms);
		return;
	}
	times = topic_times(outcome->topic);
	status = (struct protocol_status){topic_state(outcome->topic),
		topic_version(outcome->topic), outcome->interval_ms, times.checked_at_ms,
		times.changed_at_ms};
	protocol_answer_status(answer, uri, &status);
}

/* With an id there is one answer; without one only the errors go out. */
static void do_uris(struct client *client, const struct protocol_message *message,
	do_address_fn do_address)
{
	bool answered = message->id.start != NULL;
	struct protocol_answer answer;

	if (answered)
		protocol_answer_begin(&answer, message);
	for (uint32_t uri = protocol_first_uri(message); uri != 0;
		uri = protocol_next_uri(message, uri)) {
		struct outcome outcome = {0};
		bool done = do_uri(client, message, uri, do_address, &outcome);

		if (!done)
			count_refused(client);
		if (answered && done)
			answer_outcome(&answer, uri, &outcome);
		else if (answered)
			protocol_answer_refused(&answer, uri, &outcome.refusal);
		else if (!done)
			answer_with(client,
				protocol_refused_frame(message, uri, &outcome.refusal));
	}
	if (answered)
		answer_with(client, protocol_answer_end(&answer));
}

static void answer_done(struct client *client, const struct protocol_message *message)
{
	if (message->id.start != NULL)
		answer_with(client, protocol_done_frame(message));
}

/* Drops what the message just handled did not name, if it named anything that exists. */
static void keep_newest(struct client *client)
{
	bool any = false;

	list_each (link, &client->holds)
		any |= container_of(link, struct hold, in_client)->serial ==
			client->serial;
	if (!any)
		return;
	list_each (link, &client->holds) {
		struct hold *hold = container_of(link, struct hold, in_client);

		if (hold->serial != client->serial)
			hold_free(hold);
	}
}

static void on_subscribe(struct client *client, const struct protocol_message *message)
{
	do_uris(client, message, subscribe);
	if (client->single)
		keep_newest(client);
}

static void on_unsubscribe(struct client *client, const struct protocol_message *message)
{
	do_uris(client, message, unsubscribe);
}

static void on_refresh(struct client *client, const struct protocol_message *message)
{
	do_uris(client, message, refresh);
}

static void on_status(struct client *client, const struct protocol_message *message)
{
	do_uris(client, message, tell_status);
}

static void set_paused(struct client *client, bool paused)
{
	client->paused = paused;
	list_each (link, &client->holds) {
		struct hold *hold = container_of(link, struct hold, in_client);

		subscription_pause(&hold->subscription, paused);
		owe(hold);
	}
}

static void on_pause(struct client *client, const struct protocol_message *message)
{
	set_paused(client, true);
	answer_done(client, message);
}

static void on_resume(struct client *client, const struct protocol_message *message)
{
	set_paused(client, false);
	answer_done(client, message);
}

static void answer_refused(struct client *client, const struct protocol_message *message,
	const struct refusal *refusal)
{
	uint32_t uri = message != NULL ? message->uri : 0;

	count_refused(client);
	answer_with(client, protocol_refused_frame(message, uri, refusal));
}

static void on_authenticate(struct client *client, const struct protocol_message *message)
{
	char token[ACCESS_TOKEN_MAX * 6 + 1];
	int64_t length =
		document_string(message->document, message->token, token, sizeof(token));
	struct refusal refusal;

	if (length >= 0 &&
		access_token_valid(client->shared->access, token, (size_t)length)) {
		client->authenticated = true;
		answer_done(client, message);
		return;
	}
	refusal_set(&refusal, "unauthorized", "this token is not among the gateway's");
	answer_refused(client, message, &refusal);
}

typedef void (*action_fn)(struct client *client, const struct protocol_message *message);

static const action_fn action_handlers[PROTOCOL_ACTION_COUNT] = {
	[PROTOCOL_SUBSCRIBE] = on_subscribe,
	[PROTOCOL_UNSUBSCRIBE] = on_unsubscribe,
	[PROTOCOL_PAUSE] = on_pause,
	[PROTOCOL_RESUME] = on_resume,
	[PROTOCOL_REFRESH] = on_refresh,
	[PROTOCOL_STATUS] = on_status,
	[PROTOCOL_AUTHENTICATE] = on_authenticate,
};

static bool may_act(struct client *client, const struct protocol_message *message,
	struct refusal *refusal)
{
	uint32_t most = client->shared->limits.subscriptions;

	if (!client->authenticated && message->action != PROTOCOL_AUTHENTICATE) {
		refusal_set(refusal, "unauthorized",
			"show a token first: action authenticate");
		return false;
	}
	if (protocol_uri_count(message) > most) {
		refusal_set(refusal, "too_many_subscriptions",
			"a connection may have %u subscriptions, so no message names "
			"more",
			most);
		return false;
	}
	return true;
}

void client_message(struct client *client, const char *bytes, size_t length)
{
	struct protocol_message message;
	struct refusal refusal;

	client->handling = true;
	client->serial++;
	if (protocol_parse(
		    &client->shared->document, bytes, length, &message, &refusal) &&
		may_act(client, &message, &refusal))
		action_handlers[message.action](client, &message);
	else
		answer_refused(client, &message, &refusal);
	client->handling = false;
	client_flush(client);
}

void client_refuse(struct client *client, const char *bytes, size_t length,
	const struct refusal *refusal)
{
	struct protocol_message message;
	struct refusal ignored;

	if (bytes != NULL)
		protocol_parse(
			&client->shared->document, bytes, length, &message, &ignored);
	answer_refused(client, bytes != NULL ? &message : NULL, refusal);
}

/* ---- without messages ---- */

bool client_subscribe(struct client *client, const struct address *address,
	const struct client_wish *wish, struct refusal *refusal)
{
	struct outcome outcome;

	if (subscribe_as_wished(client, wish, address, &outcome))
		return true;
	*refusal = outcome.refusal;
	return false;
}

void client_write_versions(
	const struct client *client, const struct subscription *about, struct text *text)
{
	list_each (link, &client->holds) {
		const struct subscription *subscription =
			&container_of(link, struct hold, in_client)->subscription;

		if (link != client->holds.next)
			text_add(text, ",", 1);
		text_add_number(text,
			subscription == about ? subscription_version_owed(subscription)
					      : subscription->version_given);
	}
}

/* ---- the client ---- */

void client_init(struct client *client, struct client_shared *shared,
	const struct client_wire *wire, bool single, bool authenticated)
{
	*client = (struct client){.shared = shared,
		.wire = wire,
		.single = single,
		.authenticated = authenticated || !access_wants_token(shared->access)};
	list_init(&client->holds);
	list_init(&client->owing);
	list_init(&client->answers);
}

void client_fini(struct client *client)
{
	list_each (link, &client->holds)
		hold_free(container_of(link, struct hold, in_client));
	list_each (link, &client->answers)
		answer_free(client, container_of(link, struct answer, link));
}
