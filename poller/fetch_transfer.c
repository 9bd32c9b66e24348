#define XXH_INLINE_ALL

#include "poller/fetch_transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <xxhash.h>

#include "common/memory.h"
#include "poller/fetch_failure.h"
#include "poller/media_type.h"

#define HEADER_LINES_MAX 256
#define HEADER_BYTES_MAX (64u << 10)
#define DISCARD_MAX_BYTES (64u << 10) /* of a body nobody reads */
#define REDIRECTS_MAX 3
#define WAIT_MAX_S (FETCH_WAIT_MAX_MS / 1000) /* that an upstream may ask for */

/** Why we ended a transfer in the middle. */
enum stop {
	STOP_NOT,
	STOP_ENOUGH, /* the status says it all */
	STOP_BODY_TOO_LARGE,
	STOP_HEADERS_TOO_LARGE,
	STOP_NO_MEMORY,
};

/** What the upstream said. Texts are "" where it did not. */
struct answer {
	long status;      /* of the last status line */
	bool headers_end; /* what follows is the body, or another status line */
	enum stop stop;
	size_t header_lines;
	size_t header_bytes;
	size_t discarded_bytes;
	char content_type[256]; /* cut where longer */
	char etag[512];         /* dropped where longer, as the next two */
	char last_modified[64];
	char location[ADDRESS_MAX + 512];
	char cache_control[256];
	char age[16];
	char poll_interval[16];
	struct body body;
};

struct transfer {
	CURL *easy;
	struct provider *provider;
	struct transfer_shared *shared;
	void *owner;
	bool decodes; /* only what libcurl can decode is asked for */

	/* the request */
	int64_t started_at_ms;
	struct text_room target; /* as in the request line */
	struct header_set *headers;
	struct curl_slist lines[4]; /* in front of the provider's headers */
	size_t line_count;
	size_t condition_count;         /* of these lines, the first ones */
	struct text_room conditions[2]; /* their texts */
	int redirects;
	bool renewed; /* asked again with other credentials */

	/* the answer */
	struct answer answer;
	CURLcode code;
	struct fetch_failure failure; /* code is NULL where there is none */
	char detail[CURL_ERROR_SIZE];
};

/* ---- the answer's headers ---- */

struct header {
	const char *name;
	size_t name_length;
	const char *value;
	size_t value_length;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool split_header(const char *line, size_t length, struct header *header)
{
	const char *end = line + length;
	const char *colon = memchr(line, ':', length);

	if (!colon)
		return false;
	header->name = line;
	header->name_length = (size_t)(colon - line);
	header->value = colon + 1;
	while (header->value < end && is_space(*header->value))
		header->value++;
	while (end > header->value && is_space(end[-1]))
		end--;
	header->value_length = (size_t)(end - header->value);
	return true;
}

static bool header_is(const struct header *header, const char *name)
{
	return header->name_length == strlen(name) &&
		strncasecmp(header->name, name, header->name_length) == 0;
}

/* Values go on to Redis and back into requests: no control bytes pass. */
static bool is_plain(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	}
	return true;
}

static void keep_value(const struct header *header, char *text, size_t size, bool cut)
{
	size_t length = header->value_length;

	text[0] = '\0';
	if (cut && length >= size)
		length = size - 1;
	if (length >= size || !is_plain(header->value, length))
		return;
	memcpy(text, header->value, length);
	text[length] = '\0';
}

/* RFC 9110, 5.3: lines of one name are one list. One that is too long for it is left out.
 */
static void keep_list(const struct header *header, char *text, size_t size)
{
	size_t length = strlen(text);

	if (length > 0 && length + header->value_length + 3 > size)
		return;
	if (length > 0)
		length = (size_t)(stpcpy(text + length, ", ") - text);
	keep_value(header, text + length, size - length, false);
}

static void keep_header(struct answer *answer, const struct header *header)
{
	if (header_is(header, "content-type"))
		keep_value(
			header, answer->content_type, sizeof(answer->content_type), true);
	else if (header_is(header, "etag"))
		keep_value(header, answer->etag, sizeof(answer->etag), false);
	else if (header_is(header, "last-modified"))
		keep_value(header, answer->last_modified, sizeof(answer->last_modified),
			false);
	else if (header_is(header, "location"))
		keep_value(header, answer->location, sizeof(answer->location), false);
	else if (header_is(header, "cache-control"))
		keep_list(header, answer->cache_control, sizeof(answer->cache_control));
	else if (header_is(header, "age"))
		keep_value(header, answer->age, sizeof(answer->age), false);
	else if (header_is(header, "x-poll-interval"))
		keep_value(header, answer->poll_interval, sizeof(answer->poll_interval),
			false);
}

/* Returns 0 where @line is no status line. */
static long parse_status(const char *line, size_t length)
{
	const char *space = memchr(line, ' ', length);
	long status = 0;

	if (length < 5 || memcmp(line, "HTTP/", 5) != 0 || !space)
		return 0;
	for (const char *digit = space + 1; digit < space + 4; digit++) {
		if (digit >= line + length || *digit < '0' || *digit > '9')
			return 0;
		status = status * 10 + (*digit - '0');
	}
	return status;
}

/* An interim answer (1xx) comes before the one that counts. */
static void begin_answer(struct answer *answer, long status)
{
	answer->status = status;
	answer->headers_end = false;
	answer->content_type[0] = '\0';
	answer->etag[0] = '\0';
	answer->last_modified[0] = '\0';
	answer->location[0] = '\0';
	answer->cache_control[0] = '\0';
	answer->age[0] = '\0';
	answer->poll_interval[0] = '\0';
}

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
	struct answer *answer = &((struct transfer *)user)->answer;
	size_t length = size * count;
	long status = parse_status(line, length);
	struct header header;

	answer->header_lines++;
	answer->header_bytes += length;
	if (answer->header_lines > HEADER_LINES_MAX ||
		answer->header_bytes > HEADER_BYTES_MAX) {
		answer->stop = STOP_HEADERS_TOO_LARGE;
		return 0;
	}

	if (status)
		begin_answer(answer, status);
	else if (length == 2 && memcmp(line, "\r\n", 2) == 0)
		answer->headers_end = true;
	else if (!answer->headers_end && split_header(line, length, &header))
		keep_header(answer, &header); /* what comes later is a trailer */
	return length;
}

/* ---- the answer's body ---- */

static enum stop take_body(struct transfer *transfer, const char *bytes, size_t length)
{
	struct answer *answer = &transfer->answer;
	size_t max = transfer->provider->settings.limits.body_max_bytes;

	if (answer->status != 200) {
		/* A little is read to the end, so that the connection can be kept. */
		answer->discarded_bytes += length;
		return answer->discarded_bytes > DISCARD_MAX_BYTES ? STOP_ENOUGH
								   : STOP_NOT;
	}
	transfer->shared->body_bytes += length;
	if (answer->body.length > max || length > max - answer->body.length)
		return STOP_BODY_TOO_LARGE;
	if (body_append(&transfer->shared->bodies, &answer->body, bytes, length, max) < 0)
		return STOP_NO_MEMORY;
	return STOP_NOT;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
	struct transfer *transfer = user;

	transfer->answer.stop = take_body(transfer, bytes, size * count);
	return transfer->answer.stop == STOP_NOT ? size * count : 0;
}

static void answer_forget(struct transfer *transfer)
{
	struct answer *answer = &transfer->answer;

	body_give_back(&transfer->shared->bodies, &answer->body);
	begin_answer(answer, 0);
	answer->stop = STOP_NOT;
	answer->header_lines = 0;
	answer->header_bytes = 0;
	answer->discarded_bytes = 0;
	transfer->failure.code = NULL;
	transfer->detail[0] = '\0';
}

/* ---- making one ---- */

static bool can_decode(void)
{
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

	return (info->features & CURL_VERSION_LIBZ) != 0;
}

/* What is the same for every transfer of every provider. Returns 0 or -EINVAL. */
static int configure(struct transfer *transfer)
{
	CURL *easy = transfer->easy;

	if (curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) ||
		curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) ||
		curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer) ||
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) ||
		curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) ||
		curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->detail) ||
		/* Nowhere but where the provider's base URL says. */
		curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") ||
		curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) ||
		curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) ||
		/* Not through what the environment says. */
		curl_easy_setopt(easy, CURLOPT_PROXY, "") ||
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") ||
		curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) ||
		/* A thread that still resolves a name is left behind, not waited for. */
		curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) ||
		curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) ||
		curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING,
			transfer->decodes ? "gzip" : NULL) ||
		curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
			fetch_connect_timeout_ms(transfer->provider)))
		return -EINVAL;
	/* Refused where libcurl has no HTTP/2; then it is 1.1. */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	if (fetch_multi_prepare(transfer->shared->multi, easy) < 0)
		return -EINVAL;
	return provider_configure(transfer->provider, easy);
}

struct transfer *transfer_new(struct provider *provider, struct transfer_shared *shared)
{
	struct transfer *transfer = xcalloc(1, sizeof(*transfer));

	transfer->provider = provider;
	transfer->shared = shared;
	transfer->decodes = can_decode();
	transfer->easy = curl_easy_init();
	if (!transfer->easy || configure(transfer) < 0) {
		transfer_free(transfer);
		return NULL;
	}
	return transfer;
}

void transfer_free(struct transfer *transfer)
{
	if (!transfer)
		return;
	transfer_end(transfer);
	curl_easy_cleanup(transfer->easy);
	free(transfer->target.text);
	free(transfer->conditions[0].text);
	free(transfer->conditions[1].text);
	free(transfer);
}

/* ---- asking ---- */

/* A condition whose value cannot stand in a request is left out: we get the whole. */
static void add_condition(struct transfer *transfer, const char *name, const char *value)
{
	struct text_room *line = &transfer->conditions[transfer->condition_count];

	if (!value || !*value || !is_plain(value, strlen(value)))
		return;
	text_room_join(line, name, value, "");
	transfer->lines[transfer->line_count++].data = line->text;
	transfer->condition_count++;
}

static bool provider_says(
	const struct transfer *transfer, const char *name, size_t length)
{
	const struct curl_slist *line = transfer->headers->list;

	for (; line; line = line->next) {
		if (strncasecmp(line->data, name, length) == 0)
			return true;
	}
	return false;
}

/* Where the provider's headers do not say otherwise. */
static void add_usual(struct transfer *transfer, char *line)
{
	size_t name_length = strcspn(line, ":") + 1;

	if (!provider_says(transfer, line, name_length))
		transfer->lines[transfer->line_count++].data = line;
}

/*
 * libcurl would write the usual two into a line of their own first, and from there into
 * the request, byte by byte both times: a tenth of what a poll costs.
 */
static void make_lines(struct transfer *transfer, const struct transfer_request *request)
{
	static char agent[] = "User-Agent: uricast/" URICAST_VERSION;
	static char encoding[] = "Accept-Encoding: gzip";

	transfer->line_count = 0;
	transfer->condition_count = 0;
	add_condition(transfer, "If-None-Match: ", request->etag);
	add_condition(transfer, "If-Modified-Since: ", request->last_modified);
	add_usual(transfer, agent);
	if (transfer->decodes)
		add_usual(transfer, encoding);
}

/* Ours in front, the provider's headers behind. */
static struct curl_slist *header_lines(struct transfer *transfer)
{
	struct curl_slist *lines = transfer->headers->list;

	for (size_t i = transfer->line_count; i > 0; i--) {
		transfer->lines[i - 1].next = lines;
		lines = &transfer->lines[i - 1];
	}
	return lines;
}

/* Sets what differs from one request to the next. */
static bool ask(struct transfer *transfer, int64_t now_ms)
{
	const struct catalog_limits *limits = &transfer->provider->settings.limits;
	int64_t left_ms = transfer->started_at_ms + limits->timeout_ms - now_ms;
	CURL *easy = transfer->easy;

	if (left_ms <= 0) {
		fetch_failure_from_curl(&transfer->failure, easy,
			CURLE_OPERATION_TIMEDOUT, transfer->provider, "");
		return false;
	}
	if (curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, transfer->target.text) ||
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, header_lines(transfer)) ||
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms)) {
		fetch_failure_set(&transfer->failure, "upstream_protocol",
			"the request cannot be made: out of memory");
		return false;
	}
	return true;
}

bool transfer_begin(struct transfer *transfer, const struct transfer_request *request,
	int64_t now_ms, void *owner)
{
	struct provider *provider = transfer->provider;
	const char *problem = provider->problem;

	transfer->owner = owner;
	transfer->started_at_ms = now_ms;
	transfer->redirects = 0;
	transfer->renewed = false;
	if (*problem) {
		fetch_failure_set(&transfer->failure, "upstream_protocol", "%s", problem);
		return false;
	}
	if (provider_target(provider, request->uri, &transfer->target, &problem)) {
		fetch_failure_set(&transfer->failure, "upstream_protocol",
			"not asked, the URI is not plain: %s", problem);
		return false;
	}
	transfer->headers = provider_headers_take(provider->headers, now_ms, &problem);
	if (!transfer->headers) {
		fetch_failure_set(&transfer->failure, "upstream_secret", "%s", problem);
		return false;
	}
	make_lines(transfer, request);
	return ask(transfer, now_ms);
}

/* ---- going on after an answer ---- */

static bool is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 ||
		status == 308;
}

static bool follow(struct transfer *transfer, int64_t now_ms)
{
	const char *location = transfer->answer.location;
	char *place = NULL;
	char *next = NULL;

	if (!*location) {
		fetch_failure_set(&transfer->failure, "upstream_redirect",
			"redirected (%ld) to nowhere", transfer->answer.status);
		return false;
	}
	if (transfer->redirects == REDIRECTS_MAX) {
		fetch_failure_set(&transfer->failure, "upstream_redirect",
			"redirected more than %d times", REDIRECTS_MAX);
		return false;
	}
	if (provider_redirect(
		    transfer->provider, transfer->target.text, location, &next, &place)) {
		fetch_failure_set(&transfer->failure, "upstream_redirect",
			"redirected to %s, outside the provider's base URL",
			place ? place : "what is no URL");
		free(place);
		return false;
	}

	transfer->redirects++;
	text_room_join(&transfer->target, next, "", "");
	free(next);
	answer_forget(transfer);
	return ask(transfer, now_ms);
}

/* Returns whether there are other credentials to ask with than those just refused. */
static bool renew_headers(struct transfer *transfer, int64_t now_ms)
{
	struct provider_headers *headers = transfer->provider->headers;
	const char *problem;

	if (transfer->renewed ||
		!provider_headers_refused(headers, transfer->headers, now_ms))
		return false;
	transfer->renewed = true;
	header_set_release(transfer->headers);
	transfer->headers = provider_headers_take(headers, now_ms, &problem);
	if (!transfer->headers) {
		fetch_failure_set(&transfer->failure, "upstream_secret", "%s", problem);
		return false;
	}
	answer_forget(transfer);
	return ask(transfer, now_ms);
}

bool transfer_continues(struct transfer *transfer, CURLcode code, int64_t now_ms)
{
	long status = transfer->answer.status;

	transfer->code = transfer->answer.stop == STOP_ENOUGH ? CURLE_OK : code;
	if (transfer->code != CURLE_OK)
		return false;
	if (is_redirect(status))
		return follow(transfer, now_ms);
	if (status == 401)
		return renew_headers(transfer, now_ms);
	provider_headers_accepted(transfer->provider->headers);
	return false;
}

/* ---- what the answer means ---- */

/* The same bytes as another type are another content; all that is JSON is one type. */
static XXH64_hash_t seed_of(const char *type)
{
	return media_type_is_json(type) ? 0 : XXH3_64bits(type, media_type_length(type));
}

static struct digest digest_of(const struct body *body, const char *type)
{
	static const char digits[] = "0123456789abcdef";
	/* A length of 0 goes with any pointer but NULL. */
	XXH128_hash_t hash = XXH3_128bits_withSeed(
		body->bytes ? body->bytes : "", body->length, seed_of(type));
	XXH128_canonical_t bytes;
	struct digest digest = {0};

	XXH128_canonicalFromHash(&bytes, hash);
	for (size_t i = 0; i < sizeof(bytes.digest); i++) {
		digest.text[2 * i] = digits[bytes.digest[i] >> 4];
		digest.text[2 * i + 1] = digits[bytes.digest[i] & 15];
	}
	return digest;
}

/* Returns whether we ended it ourselves for good reason. */
static bool say_stop(struct transfer *transfer)
{
	const struct provider *provider = transfer->provider;

	switch (transfer->answer.stop) {
	case STOP_BODY_TOO_LARGE:
		fetch_failure_set(&transfer->failure, "upstream_too_large",
			"%s sent a body of more than %zu bytes", provider->authority,
			provider->settings.limits.body_max_bytes);
		return true;
	case STOP_HEADERS_TOO_LARGE:
		fetch_failure_set(&transfer->failure, "upstream_too_large",
			"%s sent more than %d header lines or %u bytes of them",
			provider->authority, HEADER_LINES_MAX, HEADER_BYTES_MAX);
		return true;
	case STOP_NO_MEMORY:
		fetch_failure_set(&transfer->failure, "upstream_too_large",
			"no memory for the body that %s sent", provider->authority);
		return true;
	case STOP_ENOUGH:
	case STOP_NOT:
		break;
	}
	return false;
}

static void judge_content(struct transfer *transfer, const struct digest *known,
	struct fetch_result *result)
{
	const struct body *body = &transfer->answer.body;

	result->digest = digest_of(body, transfer->answer.content_type);
	if (known && strcmp(known->text, result->digest.text) == 0) {
		result->outcome = FETCH_UNCHANGED;
		return;
	}
	result->outcome = FETCH_CONTENT;
	result->body = body->bytes ? body->bytes : "";
	result->length = body->length;
}

static void judge_status(struct transfer *transfer, const struct digest *known,
	struct fetch_result *result)
{
	const char *authority = transfer->provider->authority;
	long status = transfer->answer.status;

	if (status == 200)
		judge_content(transfer, known, result);
	else if (status == 304 && transfer->condition_count > 0)
		result->outcome = FETCH_UNCHANGED;
	else if (status == 304)
		fetch_failure_set(&transfer->failure, "upstream_protocol",
			"%s answered 304, not modified, to a request without conditions",
			authority);
	else if (status / 100 == 2)
		fetch_failure_set(&transfer->failure, "upstream_status",
			"%s answered %ld; only a 200 has the content", authority, status);
	else
		fetch_failure_set(&transfer->failure, "upstream_status",
			"%s answered %ld", authority, status);
}

static int64_t retry_after_ms(const struct transfer *transfer)
{
	curl_off_t after_s = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &after_s);
	if (after_s <= 0)
		return 0;
	return (int64_t)(after_s < WAIT_MAX_S ? after_s : WAIT_MAX_S) * 1000;
}

/* Whole seconds as headers give them, 0 where @text does not begin with any. */
static int64_t parse_seconds(const char *text)
{
	int64_t seconds = 0;

	for (; *text >= '0' && *text <= '9' && seconds < WAIT_MAX_S; text++)
		seconds = seconds * 10 + (*text - '0');
	return seconds < WAIT_MAX_S ? seconds : WAIT_MAX_S;
}

/* The value of the directive max-age, 0 where the list has none or forbids keeping. */
static int64_t max_age_s(const char *list)
{
	int64_t seconds = 0;

	while (*list) {
		size_t length = strcspn(list, ",");

		if (strncasecmp(list, "max-age=", 8) == 0)
			seconds = parse_seconds(list + 8);
		else if (strncasecmp(list, "no-cache", 8) == 0 ||
			strncasecmp(list, "no-store", 8) == 0)
			return 0;
		list += length;
		list += strspn(list, ", \t");
	}
	return seconds;
}

static int64_t fresh_for_ms(const struct answer *answer)
{
	int64_t poll_s = parse_seconds(answer->poll_interval);
	int64_t fresh_s = max_age_s(answer->cache_control) - parse_seconds(answer->age);

	if (fresh_s < poll_s)
		fresh_s = poll_s;
	return fresh_s * 1000;
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

void transfer_result(struct transfer *transfer, const struct digest *known,
	struct fetch_result *result)
{
	struct answer *answer = &transfer->answer;

	*result = (struct fetch_result){
		.outcome = FETCH_FAILED,
		.status = answer->status,
		.body = "",
		.content_type = or_null(answer->content_type),
		.etag = or_null(answer->etag),
		.last_modified = or_null(answer->last_modified),
		.error_code = "",
		.error_message = "",
		.fresh_for_ms = fresh_for_ms(answer),
		.requests = 1 + (unsigned)transfer->redirects + transfer->renewed,
		.started_at_ms = transfer->started_at_ms,
	};
	if (answer->status)
		result->retry_after_ms = retry_after_ms(transfer);
	if (!transfer->failure.code && !say_stop(transfer)) {
		if (transfer->code != CURLE_OK)
			fetch_failure_from_curl(&transfer->failure, transfer->easy,
				transfer->code, transfer->provider, transfer->detail);
		else
			judge_status(transfer, known, result);
	}
	if (result->outcome == FETCH_FAILED) {
		result->error_code = transfer->failure.code;
		result->unreached = transfer->failure.unreached;
		result->error_message = transfer->failure.message;
	}
}

void transfer_end(struct transfer *transfer)
{
	answer_forget(transfer);
	header_set_release(transfer->headers);
	transfer->headers = NULL;
	transfer->owner = NULL;
}

CURL *transfer_easy(const struct transfer *transfer)
{
	return transfer->easy;
}

void *transfer_owner(CURL *easy)
{
	struct transfer *transfer = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
	return transfer->owner;
}
