#include "common/config_value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "common/address.h"
#include "common/catalog.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/network.h"
#include "log_subsystems.h"

#define ENDPOINT_MAX 255     /* a DNS name's limit */
#define REDIS_DATABASE_MAX 5 /* digits */

/* ---- texts ---- */

static const char *replace(void *field, const char *text)
{
	char **place = field;

	free(*place);
	*place = xstrdup(text);
	return NULL;
}

const char *config_value_add(
	const char *text, config_value_fn read, char ***texts, size_t *count)
{
	char *value = NULL;
	const char *wrong = read(text, &value);

	if (wrong)
		return wrong;
	*texts = xreallocarray(*texts, *count + 1, sizeof(**texts));
	(*texts)[(*count)++] = value;
	return NULL;
}

void config_texts_free(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if (!isgraph((unsigned char)*text))
			return false;
	}
	return true;
}

const char *config_value_path(const char *text, void *field)
{
	if (!*text)
		return "is empty; name a file";
	return replace(field, text);
}

const char *config_value_prefix(const char *text, void *field)
{
	size_t length = strlen(text);

	if (length == 0 || length > 64)
		return "must be 1 to 64 bytes long";
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)text[i]) && !strchr("._:{}-", text[i]))
			return "may only hold letters, digits and . _ : { } -";
	}
	return replace(field, text);
}

const char *config_value_identity(const char *text, void *field)
{
	if (!*text)
		return "is empty; name the member that tells rows apart, such as id";
	return replace(field, text);
}

const char *config_value_pointer(const char *text, void *field)
{
	if (*text != '/')
		return "is no JSON pointer; write for example /servers/*/updated";
	for (const char *tilde = text; (tilde = strchr(tilde, '~')); tilde++) {
		if (tilde[1] != '0' && tilde[1] != '1')
			return "is no JSON pointer: ~ is written ~0 there";
	}
	return replace(field, text);
}

const char *config_value_log_level(const char *text, void *field)
{
	struct log_levels levels;

	if (log_levels_parse(text, &levels) < 0)
		return "is no log level; write error, warn, info or debug, and for parts "
		       "of the program as in info,relay=debug";
	if (!log_levels_known(&levels))
		return "names a part that no program has; the parts are " LOG_SUBSYSTEMS;
	*(struct log_levels *)field = levels;
	return NULL;
}

const char *config_value_log_format(const char *text, void *field)
{
	if (strcmp(text, "text") != 0 && strcmp(text, "json") != 0)
		return "is no format of the log; write text or json";
	*(bool *)field = text[0] == 'j';
	return NULL;
}

const char *config_value_flag(const char *text, void *field)
{
	static const char *const yes[] = {"1", "true", "yes", "on"};
	static const char *const no[] = {"0", "false", "no", "off"};

	for (size_t i = 0; i < 4; i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*(bool *)field = strcasecmp(text, yes[i]) == 0;
			return NULL;
		}
	}
	return "is neither true nor false";
}

bool config_is_name(const char *text)
{
	struct address address;
	char names[ADDRESS_MAX + 1];
	int length = snprintf(names, sizeof(names), "%s/x", text);

	return length < (int)sizeof(names) &&
		address_parse(&address, names, (size_t)length) == ADDRESS_OK &&
		address.kind == ADDRESS_NAMES && address.name_count == 2;
}

/* ---- amounts ---- */

struct unit {
	const char *name;
	double factor;
};

static const struct unit duration_units[] = {
	{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {0}};
static const struct unit size_units[] = {
	{"", 1}, {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {0}};
static const struct unit rate_units[] = {{"", 1}, {"/s", 1}, {0}};
static const struct unit count_units[] = {{"", 1}, {0}};

/* Digits, perhaps a point and digits, a unit. strtod() alone takes far more than that. */
static bool parse_amount(const char *text, const struct unit *units, double *amount)
{
	size_t digits = strspn(text, "0123456789"), length = digits;

	if (digits == 0)
		return false;
	if (text[length] == '.') {
		digits = strspn(text + length + 1, "0123456789");
		if (digits == 0)
			return false;
		length += 1 + digits;
	}
	for (; units->name; units++) {
		if (strcmp(units->name, text + length) == 0) {
			*amount = strtod(text, NULL) * units->factor;
			return true;
		}
	}
	return false;
}

/* A whole amount from @minimum to @maximum. */
static const char *read_whole(const char *text, const struct unit *units, double minimum,
	double maximum, const char *wrong, uint32_t *field)
{
	double amount;

	if (!parse_amount(text, units, &amount) || amount < minimum || amount > maximum ||
		amount != (double)(uint32_t)amount)
		return wrong;
	*field = (uint32_t)amount;
	return NULL;
}

#define DURATION_HINT "write seconds, or for example 250ms, 5s, 10m, 1h"
#define SIZE_HINT "write bytes, or for example 64KiB, 8MiB"

/* As read_whole(); what is finer than a millisecond is rounded. */
static const char *read_duration(const char *text, uint32_t minimum, uint32_t maximum,
	const char *outside, uint32_t *field)
{
	double ms;

	if (!parse_amount(text, duration_units, &ms))
		return "is no duration; " DURATION_HINT;
	if (ms < minimum || ms > maximum)
		return outside;
	*field = (uint32_t)(ms + 0.5);
	return NULL;
}

const char *config_value_lease(const char *text, void *field)
{
	return read_duration(text, 1000, 600000, "is no lease from 1s to 10m", field);
}

const char *config_value_drain(const char *text, void *field)
{
	return read_duration(text, 0, 600000, "is above 10m", field);
}

const char *config_value_interval(const char *text, void *field)
{
	return read_duration(text, CATALOG_INTERVAL_LEAST_MS, CATALOG_INTERVAL_MOST_MS,
		"is no interval from 50ms to 24h", field);
}

const char *config_value_timeout(const char *text, void *field)
{
	return read_duration(text, 10, 600000, "is no timeout from 10ms to 10m", field);
}

const char *config_value_span(const char *text, void *field)
{
	return read_duration(text, 50, 86400000, "is no time from 50ms to 24h", field);
}

const char *config_value_count(const char *text, void *field)
{
	return read_whole(text, count_units, 1, 1000000,
		"is no number; write one from 1 to 1000000", field);
}

const char *config_value_concurrency(const char *text, void *field)
{
	return read_whole(text, count_units, 1, 10000,
		"is no number of transfers at once; write one from 1 to 10000", field);
}

const char *config_value_addresses(const char *text, void *field)
{
	return read_whole(text, count_units, 1, 10000000,
		"is no number of addresses; write one from 1 to 10000000", field);
}

const char *config_value_clients(const char *text, void *field)
{
	return read_whole(text, count_units, 1, 1000000,
		"is no number of clients; write one from 1 to 1000000", field);
}

const char *config_value_subscriptions(const char *text, void *field)
{
	return read_whole(text, count_units, 1, 100000,
		"is no number of subscriptions; write one from 1 to 100000", field);
}

const char *config_value_message(const char *text, void *field)
{
	return read_whole(text, size_units, 1 << 10, 16 << 20,
		"is no size from 1KiB to 16MiB; " SIZE_HINT, field);
}

const char *config_value_messages(const char *text, void *field)
{
	return read_whole(text, rate_units, 1, 100000,
		"is no rate from 1/s to 100000/s; write for example 50/s", field);
}

const char *config_value_body(const char *text, void *field)
{
	uint32_t bytes;
	const char *wrong = read_whole(text, size_units, 1 << 10, 1 << 30,
		"is no size from 1KiB to 1GiB; " SIZE_HINT, &bytes);

	if (!wrong)
		*(size_t *)field = bytes;
	return wrong;
}

const char *config_value_rate(const char *text, void *field)
{
	double rate;

	if (!parse_amount(text, rate_units, &rate) || rate < 0.001 || rate > 1000000)
		return "is no rate from 0.001/s to 1000000/s; write for example 50/s";
	*(double *)field = rate;
	return NULL;
}

const char *config_duration_text(char *buffer, size_t size, uint32_t ms)
{
	if (ms < 1000)
		snprintf(buffer, size, "%ums", ms);
	else if (ms % 3600000 == 0)
		snprintf(buffer, size, "%uh", ms / 3600000);
	else if (ms % 60000 == 0)
		snprintf(buffer, size, "%um", ms / 60000);
	else
		snprintf(buffer, size, "%gs", ms / 1000.0);
	return buffer;
}

/* ---- endpoints and URLs ---- */

enum endpoint_port { PORT_OPTIONAL, PORT_REQUIRED };

static const char *judge_port(const char *port, size_t length, unsigned long least)
{
	unsigned long number = 0;

	if (length == 0 || length > 5 || strspn(port, "0123456789") < length)
		return "has no port number after the colon";
	for (size_t i = 0; i < length; i++)
		number = number * 10 + (unsigned long)(port[i] - '0');
	if (number < least || number > 65535)
		return "has a port that does not exist; the last one is 65535";
	return NULL;
}

static bool is_ipv6(const char *text, size_t length)
{
	struct in6_addr address;
	char copy[INET6_ADDRSTRLEN];

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return inet_pton(AF_INET6, copy, &address) == 1;
}

static bool is_host(const char *text, size_t length)
{
	if (length == 0 || length > ENDPOINT_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)text[i]) && !strchr("-._", text[i]))
			return false;
	}
	return true;
}

/* HOST, HOST:PORT, [v6] or [v6]:PORT, from port @least_port on. */
static const char *judge_endpoint(const char *text, size_t length,
	enum endpoint_port port_needed, unsigned long least_port)
{
	const char *end = text + length, *host_end, *colon;

	if (length > 0 && *text == '[') {
		host_end = memchr(text, ']', length);
		if (!host_end || !is_ipv6(text + 1, (size_t)(host_end - text - 1)))
			return "holds no IPv6 address between [ and ]";
		colon = host_end + 1;
	} else {
		if (is_ipv6(text, length))
			return "is an IPv6 address; write it in brackets, as in "
			       "[::1]:7070";
		colon = memchr(text, ':', length);
		host_end = colon ? colon : end;
		if (!is_host(text, (size_t)(host_end - text)))
			return "has no host name in letters, digits, dots and dashes";
		colon = host_end;
	}
	if (colon == end)
		return port_needed == PORT_REQUIRED
			? "names no port; write HOST:PORT, as in 127.0.0.1:7070"
			: NULL;
	if (*colon != ':')
		return "has more than a port after its ]";
	return judge_port(colon + 1, (size_t)(end - colon - 1), least_port);
}

const char *config_value_listen(const char *text, void *field)
{
	const char *wrong;

	if (text[0] == ':' && text[1] != ':')
		return "names no host; write 0.0.0.0:PORT for every interface, "
		       "127.0.0.1:PORT "
		       "for this machine only";
	if (*text && !text[strspn(text, "0123456789")])
		return "names no host; write HOST:PORT, as in 127.0.0.1:7070";
	wrong = judge_endpoint(text, strlen(text), PORT_REQUIRED, 0);
	return wrong ? wrong : replace(field, text);
}

static const char *judge_redis_unix(const char *path)
{
	struct sockaddr_un address;

	if (*path != '/')
		return "names no socket; write unix:/path/to/redis.sock";
	if (strlen(path) >= sizeof(address.sun_path))
		return "names a socket by a path of more than 107 bytes";
	return NULL;
}

static const char *judge_redis_tcp(const char *authority)
{
	const char *at = strrchr(authority, '@');
	const char *endpoint = at ? at + 1 : authority;
	const char *slash = strchrnul(endpoint, '/');
	size_t digits = *slash ? strspn(slash + 1, "0123456789") : 0;

	if (at && memchr(authority, '/', (size_t)(at - authority)))
		return "holds a / in its user or password; write it %2F";
	if (*slash && (digits > REDIS_DATABASE_MAX || slash[1 + digits]))
		return "has more than a database number after the /";
	return judge_endpoint(endpoint, (size_t)(slash - endpoint), PORT_OPTIONAL, 1);
}

const char *config_value_redis(const char *text, void *field)
{
	const char *wrong;

	if (strncasecmp(text, "rediss:", 7) == 0)
		return "asks for TLS, which needs hiredis >= 1.0 and is not built in; "
		       "write "
		       "redis:// and let a local tunnel such as stunnel add the TLS";
	if (!is_printable(text))
		return "holds a space or a byte that is not printable ASCII";
	if (strncmp(text, "unix:", 5) == 0)
		wrong = judge_redis_unix(text + 5);
	else if (strncmp(text, "redis://", 8) == 0)
		wrong = judge_redis_tcp(text + 8);
	else
		wrong = "is no Redis URL; write redis://[user:password@]host[:port][/db] "
			"or "
			"unix:/path";
	return wrong ? wrong : replace(field, text);
}

/* The text after http:// or https://, or NULL. */
static const char *skip_http(const char *text)
{
	if (strncasecmp(text, "http://", 7) == 0)
		return text + 7;
	return strncasecmp(text, "https://", 8) == 0 ? text + 8 : NULL;
}

/* Browsers send origins in lower case and without their scheme's own port. */
static void canonicalise_origin(char *origin)
{
	const char *port = strncasecmp(origin, "https:", 6) == 0 ? ":443" : ":80";
	size_t length = strlen(origin), port_length = strlen(port);

	for (char *at = origin; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	if (strcmp(origin + length - port_length, port) == 0)
		origin[length - port_length] = '\0';
}

const char *config_value_origin(const char *text, void *field)
{
	const char *authority = skip_http(text), *wrong;

	if (!authority || strchr(authority, '/'))
		return "is no origin; write only scheme, host and port, as in "
		       "https://panel.example.com";
	wrong = judge_endpoint(authority, strlen(authority), PORT_OPTIONAL, 1);
	if (wrong)
		return wrong;
	replace(field, text);
	canonicalise_origin(*(char **)field);
	return NULL;
}

const char *config_value_network(const char *text, void *field)
{
	struct network network;

	if (!network_parse(&network, text))
		return "is no address and no block of them; write for example 10.0.0.0/8 "
		       "or 2001:db8::1";
	return replace(field, text);
}

static const char *judge_upstream_path(const char *path)
{
	struct address address;
	enum address_error error;

	if (strpbrk(path, "?#"))
		return "has a query or a fragment; a base URL ends before them";
	if (!*path)
		return NULL;
	error = address_parse(&address, path, strlen(path));
	if (error && error != ADDRESS_NOT_CANONICAL)
		return "has a path with dot segments, double slashes, or bytes that must "
		       "be "
		       "percent-encoded";
	return NULL;
}

const char *config_value_upstream(const char *text, void *field)
{
	const char *authority = skip_http(text), *path, *wrong;
	char *url;
	size_t length = strlen(text);

	if (!authority)
		return "is no base URL; write http(s)://host[:port][/path]";
	path = authority + strcspn(authority, "/?#");
	if (memchr(authority, '@', (size_t)(path - authority)))
		return "holds a user or password; put \"basic\": \"file:PATH\" beside "
		       "the "
		       "\"url\" in a --config file instead";
	wrong = judge_endpoint(authority, (size_t)(path - authority), PORT_OPTIONAL, 1);
	if (wrong)
		return wrong;

	while (text + length > path && text[length - 1] == '/')
		length--;
	url = xstrdup(text);
	url[length] = '\0';
	wrong = judge_upstream_path(url + (path - text));
	if (!wrong)
		replace(field, url);
	free(url);
	return wrong;
}

static const char *judge_uri(const char *text)
{
	struct address address;
	enum address_error error = address_parse(&address, text, strlen(text));

	if (*text != '/')
		return "must start with / and go on from the provider's url";
	if (error == ADDRESS_NOT_CANONICAL)
		return "is not in canonical form: escapes in upper case, letters, digits "
		       "and "
		       "- . _ ~ not escaped, no empty ?";
	return error
		? "holds dot segments, a fragment, or bytes that must be percent-encoded"
		: NULL;
}

const char *config_value_uri(const char *text, void *field)
{
	const char *wrong = judge_uri(text);

	return wrong ? wrong : replace(field, text);
}

const char *config_value_item(const char *text, void *field)
{
	const char *gap = strstr(text, "{id}"), *query = strchr(text, '?'), *wrong;
	char *example;

	if (!gap || strstr(gap + 1, "{id}") || (query && query < gap))
		return "must hold {id} once, before any ?, as in /servers/{id}";
	/* Or an id that starts with a dot could make a dot segment. */
	if (gap == text || gap[-1] == '.')
		return "must not have a dot before {id}";
	example = xcalloc(1, strlen(text) + 1);
	sprintf(example, "%.*sx%s", (int)(gap - text), text, gap + strlen("{id}"));
	wrong = judge_uri(example);
	free(example);
	return wrong ? wrong : replace(field, text);
}
