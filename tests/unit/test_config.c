#include "common/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/catalog_build.h"
#include "common/config_mistake.h"
#include "common/config_value.h"
#include "common/log.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* What one call of config_read() did and said. */
static struct config config;
static char said[16384], answered[16384];

static const char *const variables[] = {"URICAST_LISTEN", "URICAST_REDIS",
	"URICAST_CONFIG", "URICAST_METRICS", "URICAST_UPSTREAM", "URICAST_INTERVAL",
	"URICAST_INSECURE", "URICAST_LOG_LEVEL", "URICAST_TOKEN_FILE", "URICAST_ORIGIN",
	"URICAST_IGNORE", "URICAST_BODY_MAX", "URICAST_PREFIX", "URICAST_CHECK_CONFIG"};

static int clean_environment(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(variables); i++)
		unsetenv(variables[i]);
	return 0;
}

struct capture {
	FILE *file;
	int saved;
	int fd;
};

static void capture_begin(struct capture *capture, FILE *stream)
{
	fflush(stream);
	capture->fd = fileno(stream);
	capture->saved = dup(capture->fd);
	capture->file = tmpfile();
	dup2(fileno(capture->file), capture->fd);
}

static void capture_end(struct capture *capture, FILE *stream, char *text, size_t size)
{
	fflush(stream);
	dup2(capture->saved, capture->fd);
	close(capture->saved);
	rewind(capture->file);
	text[fread(text, 1, size - 1, capture->file)] = '\0';
	fclose(capture->file);
}

/* Runs config_read() with the words of @line. */
static enum config_outcome read_line(enum config_program program, const char *line)
{
	static char words[1024], *argv[32];
	char *rest = words;
	struct capture errors, output;
	enum config_outcome outcome;
	int argc = 1;

	snprintf(words, sizeof(words), "%s", line);
	argv[0] = "uricast";
	for (char *word; (word = strsep(&rest, " "));) {
		if (*word)
			argv[argc++] = word;
	}
	capture_begin(&errors, stderr);
	capture_begin(&output, stdout);
	outcome = config_read(&config, program, argc, argv);
	capture_end(&output, stdout, answered, sizeof(answered));
	capture_end(&errors, stderr, said, sizeof(said));
	return outcome;
}

static void assert_read(enum config_program program, const char *line)
{
	assert_int_equal(read_line(program, line), CONFIG_OK);
	assert_string_equal(said, "");
}

static void assert_said(const char *part)
{
	if (!strstr(said, part))
		fail_msg("\"%s\" is not in: %s", part, said);
}

static void assert_wrong(enum config_program program, const char *line, const char *part)
{
	assert_int_equal(read_line(program, line), CONFIG_EXIT_WRONG);
	assert_said(part);
}

static char file_name[] = "/tmp/uricast-test-XXXXXX";

static int make_file(void **state)
{
	(void)state;
	close(mkstemp(file_name));
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(file_name);
}

static void write_file(const char *text)
{
	FILE *file = fopen(file_name, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* Reads @text as the file, in a program that takes all of it. */
static enum config_outcome read_file_as(
	enum config_program program, const char *text, const char *more)
{
	char line[512];

	write_file(text);
	snprintf(line, sizeof(line), "--config %s %s", file_name, more);
	return read_line(program, line);
}

static void assert_file(enum config_program program, const char *text)
{
	enum config_outcome outcome = read_file_as(program, text, "");

	assert_string_equal(said, "");
	assert_int_equal(outcome, CONFIG_OK);
}

/* @part is what follows the file's name in a mistake. */
static void assert_file_wrong(const char *text, const char *part)
{
	char whole[1024];

	assert_int_equal(read_file_as(CONFIG_POLLER, text, ""), CONFIG_EXIT_WRONG);
	snprintf(whole, sizeof(whole), "uricast-poller: %s:%s", file_name, part);
	assert_said(whole);
}

static const struct catalog_provider *provider(const char *name)
{
	const struct catalog_provider *found = catalog_provider(config.catalog, name);

	assert_non_null(found);
	return found;
}

static enum catalog_outcome resolve(const char *text, struct catalog_target *target)
{
	struct address address;

	assert_int_equal(address_parse(&address, text, strlen(text)), ADDRESS_OK);
	return catalog_resolve(config.catalog, &address, target);
}

/* ---- values ---- */

struct value {
	config_value_fn read;
	const char *text;
	const char *wrong; /* part of what is said; NULL where it is fine */
};

static const struct value text_values[] = {
	{config_value_redis, "redis://localhost", NULL},
	{config_value_redis, "redis://127.0.0.1:6379/0", NULL},
	{config_value_redis, "redis://user:pass@host:1/15", NULL},
	{config_value_redis, "redis://:p@ss@host", NULL},
	{config_value_redis, "redis://[::1]:6379", NULL},
	{config_value_redis, "redis://host/", NULL},
	{config_value_redis, "unix:/run/redis.sock", NULL},
	{config_value_redis, "unix:///run/redis.sock", NULL},
	{config_value_redis, "rediss://host", "hiredis >= 1.0"},
	{config_value_redis, "host:6379", "redis://"},
	{config_value_redis, "http://host", "redis://"},
	{config_value_redis, "redis://", "no host"},
	{config_value_redis, "redis://host:0", "port"},
	{config_value_redis, "redis://host:65536", "65535"},
	{config_value_redis, "redis://host:x", "no port"},
	{config_value_redis, "redis://host/x", "database"},
	{config_value_redis, "redis://host/0?x", "database"},
	{config_value_redis, "redis://host /0", "space"},
	{config_value_redis, "redis://:a/b@host", "%2F"},
	{config_value_redis, "redis://::1", "brackets"},
	{config_value_redis, "unix:redis.sock", "unix:/path"},
	{config_value_redis, "", "redis://"},
	{config_value_listen, "127.0.0.1:7070", NULL},
	{config_value_listen, "[::1]:7070", NULL},
	{config_value_listen, "[::]:0", NULL},
	{config_value_listen, "localhost:65535", NULL},
	{config_value_listen, "7070", "HOST:PORT"},
	{config_value_listen, ":7070", "0.0.0.0:PORT"},
	{config_value_listen, "localhost", "names no port"},
	{config_value_listen, "localhost:", "no port"},
	{config_value_listen, "localhost:http", "no port"},
	{config_value_listen, "localhost:70700", "65535"},
	{config_value_listen, "localhost:123456", "no port"},
	{config_value_listen, "::1:7070", "brackets"},
	{config_value_listen, "[::1]", "names no port"},
	{config_value_listen, "[::1]7070", "after its ]"},
	{config_value_listen, "[::g]:7070", "IPv6"},
	{config_value_listen, "[::1:7070", "IPv6"},
	{config_value_listen, "http://localhost:7070", "no port"},
	{config_value_listen, "a b:1", "host name"},
	{config_value_listen, "", "host name"},
	{config_value_upstream, "http://host", NULL},
	{config_value_upstream, "https://host:5080/2", NULL},
	{config_value_upstream, "HTTPS://host/%2F/a%20b", NULL},
	{config_value_upstream, "http://[::1]:80/", NULL},
	{config_value_upstream, "host", "http(s)://"},
	{config_value_upstream, "ftp://host", "http(s)://"},
	{config_value_upstream, "http:/host", "http(s)://"},
	{config_value_upstream, "http://", "host name"},
	{config_value_upstream, "http:///path", "host name"},
	{config_value_upstream, "http://user@host", "\"basic\""},
	{config_value_upstream, "http://user:pass@host/x", "\"basic\""},
	{config_value_upstream, "http://@host", "\"basic\""},
	{config_value_upstream, "http://host?x", "query"},
	{config_value_upstream, "http://host/?", "query"},
	{config_value_upstream, "http://host/a#b", "query or a fragment"},
	{config_value_upstream, "http://host:0", "port"},
	{config_value_upstream, "http://host:80:80", "port"},
	{config_value_upstream, "http://ho\\st", "host name"},
	{config_value_upstream, "http://h%6fst", "host name"},
	{config_value_upstream, "http://h\xc3\xb6st", "host name"},
	{config_value_upstream, "http://host/a/../b", "dot segments"},
	{config_value_upstream, "http://host//b", "double slashes"},
	{config_value_upstream, "http://host/a b", "percent-encoded"},
	{config_value_network, "10.0.0.0/8", NULL},
	{config_value_network, "2001:db8::1", NULL},
	{config_value_network, "10.0.0.0/33", "is no address and no block"},
	{config_value_network, "localhost", "is no address and no block"},
	{config_value_origin, "https://panel.example.com", NULL},
	{config_value_origin, "http://localhost:8080", NULL},
	{config_value_origin, "https://panel.example.com/", "is no origin"},
	{config_value_origin, "panel.example.com", "is no origin"},
	{config_value_origin, "*", "is no origin"},
	{config_value_origin, "null", "is no origin"},
	{config_value_origin, "https://user@host", "host name"},
	{config_value_prefix, "{uricast:3}", NULL},
	{config_value_prefix, "", "1 to 64"},
	{config_value_prefix, "a*", "may only hold"},
	{config_value_prefix, "a b", "may only hold"},
	{config_value_uri, "/servers/detail?all=1", NULL},
	{config_value_uri, "servers", "must start with /"},
	{config_value_uri, "dns:/x", "must start with /"},
	{config_value_uri, "/a/%7e", "canonical"},
	{config_value_uri, "/a/../b", "dot segments"},
	{config_value_uri, "", "must start with /"},
	{config_value_item, "/servers/{id}", NULL},
	{config_value_item, "/servers({id})/x?y=1", NULL},
	{config_value_item, "/servers", "{id} once"},
	{config_value_item, "/{id}/{id}", "{id} once"},
	{config_value_item, "/servers?id={id}", "before any ?"},
	{config_value_item, "/servers/.{id}", "dot before"},
	{config_value_item, "/%2{id}", "percent-encoded"},
	{config_value_item, "{id}", "dot before"},
	{config_value_item, "servers/{id}", "must start with /"},
	{config_value_pointer, "/servers/*/updated", NULL},
	{config_value_pointer, "/a~1b/~0", NULL},
	{config_value_pointer, "servers", "JSON pointer"},
	{config_value_pointer, "/a~b", "~0"},
	{config_value_pointer, "/a~", "~0"},
	{config_value_identity, "id", NULL},
	{config_value_identity, "", "is empty"},
	{config_value_path, "", "is empty"},
};

static void every_text_is_judged_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(text_values); i++) {
		const struct value *value = &text_values[i];
		char *field = NULL;
		const char *wrong = value->read(value->text, &field);

		if (!wrong != !value->wrong || (wrong && !strstr(wrong, value->wrong)))
			fail_msg("%s: %s", value->text, wrong ? wrong : "passed");
		assert_int_equal(field == NULL, wrong != NULL);
		free(field);
	}
}

/* What an amount is read as, or -1 where it is refused. */
struct amount {
	config_value_fn read;
	const char *text;
	int64_t value;
};

static const struct amount amounts[] = {
	{config_value_interval, "5", 5000},
	{config_value_interval, "0.25", 250},
	{config_value_interval, "5s", 5000},
	{config_value_interval, "250ms", 250},
	{config_value_interval, "10m", 600000},
	{config_value_interval, "1.5h", 5400000},
	{config_value_interval, "24h", 86400000},
	{config_value_interval, "50ms", 50},
	{config_value_interval, "49ms", -1},
	{config_value_interval, "24.1h", -1},
	{config_value_interval, "0", -1},
	{config_value_interval, "-5", -1},
	{config_value_interval, "+5", -1},
	{config_value_interval, " 5", -1},
	{config_value_interval, "5 s", -1},
	{config_value_interval, "5S", -1},
	{config_value_interval, "5x", -1},
	{config_value_interval, "5.", -1},
	{config_value_interval, ".5", -1},
	{config_value_interval, "1h30m", -1},
	{config_value_interval, "1e3", -1},
	{config_value_interval, "0x10", -1},
	{config_value_interval, "inf", -1},
	{config_value_interval, "nan", -1},
	{config_value_interval, "", -1},
	{config_value_interval, "s", -1},
	{config_value_interval, "99999999999999999999999999", -1},
	{config_value_lease, "3", 3000},
	{config_value_lease, "1s", 1000},
	{config_value_lease, "0.9", -1},
	{config_value_lease, "11m", -1},
	{config_value_timeout, "10s", 10000},
	{config_value_timeout, "11m", -1},
	{config_value_concurrency, "16", 16},
	{config_value_concurrency, "0", -1},
	{config_value_concurrency, "1.5", -1},
	{config_value_concurrency, "16x", -1},
	{config_value_addresses, "1000", 1000},
	{config_value_addresses, "0", -1},
	{config_value_clients, "18000", 18000},
	{config_value_clients, "1000001", -1},
	{config_value_subscriptions, "128", 128},
	{config_value_subscriptions, "0", -1},
	{config_value_message, "64KiB", 65536},
	{config_value_message, "16MiB", 16 << 20},
	{config_value_message, "1GiB", -1},
	{config_value_message, "1", -1},
	{config_value_messages, "50/s", 50},
	{config_value_messages, "50", 50},
	{config_value_messages, "0.5/s", -1},
	{config_value_messages, "50/m", -1},
};

static void every_amount_is_read_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(amounts); i++) {
		uint32_t field = 77;
		const char *wrong = amounts[i].read(amounts[i].text, &field);

		if (!wrong != (amounts[i].value >= 0) ||
			field != (wrong ? 77 : (uint32_t)amounts[i].value))
			fail_msg("%s: %s, %u", amounts[i].text, wrong ? wrong : "passed",
				field);
	}
}

static void sizes_rates_flags_and_levels_are_read(void **state)
{
	size_t size = 0;
	double rate = 0;
	bool flag = false;
	struct log_levels levels;

	(void)state;
	assert_null(config_value_body("8MiB", &size));
	assert_int_equal(size, 8 << 20);
	assert_null(config_value_body("1GiB", &size));
	assert_non_null(config_value_body("8MB", &size));
	assert_non_null(config_value_body("1.5", &size));
	assert_int_equal(size, 1 << 30);
	assert_null(config_value_rate("0.5/s", &rate));
	assert_true(rate == 0.5);
	assert_non_null(config_value_rate("0/s", &rate));
	assert_non_null(config_value_rate("50/m", &rate));
	assert_null(config_value_flag("YES", &flag));
	assert_true(flag);
	assert_null(config_value_flag("0", &flag));
	assert_false(flag);
	assert_non_null(config_value_flag("maybe", &flag));
	assert_null(config_value_log_level("debug", &levels));
	assert_int_equal(levels.level, LOG_DEBUG);
	assert_null(config_value_log_level("warn,relay=debug", &levels));
	assert_string_equal(levels.subsystems[0].name, "relay");
	assert_null(config_value_log_level("claim=debug,redis_line=info", &levels));
	assert_non_null(config_value_log_level("loud", &levels));
	assert_non_null(config_value_log_level("info,relai=debug", &levels));
	assert_int_equal(levels.count, 2);
	assert_null(config_value_log_format("json", &flag));
	assert_true(flag);
	assert_null(config_value_log_format("text", &flag));
	assert_false(flag);
	assert_non_null(config_value_log_format("xml", &flag));
}

static void a_base_url_loses_its_last_slashes(void **state)
{
	static const char *const pairs[][2] = {{"http://host/", "http://host"},
		{"http://host//", "http://host"}, {"https://host/2/", "https://host/2"},
		{"https://host/2", "https://host/2"}};
	char *url = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		assert_null(config_value_upstream(pairs[i][0], &url));
		assert_string_equal(url, pairs[i][1]);
	}
	free(url);
}

static void an_origin_is_kept_as_browsers_send_it(void **state)
{
	char *origin = NULL;

	(void)state;
	assert_null(config_value_origin("HTTPS://Panel.Example.com:443", &origin));
	assert_string_equal(origin, "https://panel.example.com");
	assert_null(config_value_origin("http://host:80", &origin));
	assert_string_equal(origin, "http://host");
	assert_null(config_value_origin("http://host:443", &origin));
	assert_string_equal(origin, "http://host:443");
	free(origin);
}

static void durations_are_written_as_one_would(void **state)
{
	char text[32];

	(void)state;
	assert_string_equal(config_duration_text(text, sizeof(text), 250), "250ms");
	assert_string_equal(config_duration_text(text, sizeof(text), 1500), "1.5s");
	assert_string_equal(config_duration_text(text, sizeof(text), 5000), "5s");
	assert_string_equal(config_duration_text(text, sizeof(text), 600000), "10m");
	assert_string_equal(config_duration_text(text, sizeof(text), 86400000), "24h");
}

static void a_quoted_value_shows_no_password_and_no_control_byte(void **state)
{
	char quoted[CONFIG_QUOTED_MAX], value[300];

	(void)state;
	assert_string_equal(
		config_quote(quoted, "redis://u:p@h/0", 15), "\"redis://***@h/0\"");
	assert_string_equal(config_quote(quoted, "u:p@h", 5), "\"***@h\"");
	assert_string_equal(config_quote(quoted, "x@y", 3), "\"x@y\"");
	assert_string_equal(config_quote(quoted, "a\x1b[1m\n", 6), "\"a?[1m?\"");
	memset(value, 'a', sizeof(value));
	assert_in_range(strlen(config_quote(quoted, value, sizeof(value))), 50,
		CONFIG_QUOTED_MAX - 1);
}

/* ---- options and environment ---- */

static void a_gateway_runs_without_any_option(void **state)
{
	struct catalog_target target;

	(void)state;
	assert_read(CONFIG_GATEWAY, "");
	assert_string_equal(config.listen, "127.0.0.1:7070");
	assert_string_equal(config.redis, "redis://127.0.0.1:6379/0");
	assert_string_equal(config.prefix, "uricast");
	assert_int_equal(config.lease_ms, 3000);
	assert_int_equal(config.log_levels.level, LOG_INFO);
	assert_null(config.metrics_listen);
	assert_null(config.token_file);
	assert_null(config.file);
	assert_int_equal(config.limits.clients, 18000);
	assert_int_equal(config.limits.subscriptions, 128);
	assert_int_equal(config.limits.message_max_bytes, 65536);
	assert_int_equal(config.limits.messages_per_s, 50);
	assert_int_equal(config.limits.clients_per_address, 0);
	assert_int_equal(config.drain.delay_ms, 0);
	assert_int_equal(config.drain.spread_ms, 5000);
	assert_int_equal(resolve("/nodes", &target), CATALOG_OK);
	assert_string_equal(target.provider->name, "default");
	assert_null(target.provider->url);
	assert_int_equal(target.interval.default_ms, 5000);
	assert_int_equal(target.interval.min_ms, 1000);
	assert_int_equal(target.interval.max_ms, 3600000);
	assert_int_equal(target.provider->limits.raw_addresses_max, 10000);
	config_fini(&config);
}

static void every_option_of_a_gateway_is_read(void **state)
{
	(void)state;
	assert_read(CONFIG_GATEWAY,
		"--listen 0.0.0.0:80 --redis unix:/r.sock --metrics [::1]:9090 --prefix "
		"p "
		"--lease 5 --log-level debug --token-file /t --origin https://a.example "
		"--origin=https://b.example");
	assert_string_equal(config.listen, "0.0.0.0:80");
	assert_string_equal(config.redis, "unix:/r.sock");
	assert_string_equal(config.metrics_listen, "[::1]:9090");
	assert_string_equal(config.prefix, "p");
	assert_int_equal(config.lease_ms, 5000);
	assert_int_equal(config.log_levels.level, LOG_DEBUG);
	assert_string_equal(config.token_file, "/t");
	assert_int_equal(config.origin_count, 2);
	assert_string_equal(config.origins[1], "https://b.example");
	config_fini(&config);
}

static void every_option_of_a_poller_is_read(void **state)
{
	const struct catalog_provider *upstream;

	(void)state;
	assert_read(CONFIG_POLLER,
		"--upstream https://host/2/ --interval 0.5 --insecure --ca /ca.pem "
		"--ignore /a "
		"--ignore /b/*/c --identity key --timeout 2 --body-max 1MiB "
		"--concurrency 3 "
		"--redis redis://r --metrics h:1 --prefix p --lease 2 --log-level warn");
	upstream = provider("default");
	assert_string_equal(upstream->url, "https://host/2");
	assert_true(upstream->is_default && upstream->raw);
	assert_int_equal(upstream->interval.default_ms, 500);
	assert_int_equal(upstream->interval.min_ms, 500);
	assert_false(upstream->tls_verify);
	assert_string_equal(upstream->tls_ca, "/ca.pem");
	assert_int_equal(upstream->ignore_count, 2);
	assert_string_equal(upstream->ignore[1], "/b/*/c");
	assert_string_equal(upstream->identity, "key");
	assert_int_equal(upstream->limits.timeout_ms, 2000);
	assert_int_equal(upstream->limits.body_max_bytes, 1 << 20);
	assert_int_equal(upstream->limits.concurrency, 3);
	assert_null(config.listen);
	config_fini(&config);
}

static void a_variable_stands_in_for_its_option(void **state)
{
	(void)state;
	setenv("URICAST_UPSTREAM", "http://host", 1);
	setenv("URICAST_INTERVAL", "2", 1);
	setenv("URICAST_INSECURE", "1", 1);
	setenv("URICAST_LOG_LEVEL", "error", 1);
	setenv("URICAST_BODY_MAX", "2MiB", 1);
	setenv("URICAST_IGNORE", "/a, /b /c", 1);
	setenv("URICAST_METRICS", "", 1);
	setenv("URICAST_LISTEN", "nonsense, but not the poller's", 1);
	assert_read(CONFIG_POLLER, "");
	assert_string_equal(provider("default")->url, "http://host");
	assert_int_equal(provider("default")->interval.default_ms, 2000);
	assert_false(provider("default")->tls_verify);
	assert_int_equal(provider("default")->limits.body_max_bytes, 2 << 20);
	assert_int_equal(provider("default")->ignore_count, 3);
	assert_string_equal(provider("default")->ignore[2], "/c");
	assert_int_equal(config.log_levels.level, LOG_ERROR);
	assert_null(config.metrics_listen);
	config_fini(&config);

	setenv("URICAST_INSECURE", "0", 1);
	assert_read(CONFIG_POLLER, "");
	assert_true(provider("default")->tls_verify);
	config_fini(&config);
}

static void options_win_over_variables_and_variables_over_the_file(void **state)
{
	static const char file[] = "{\"redis\":\"redis://file\",\"prefix\":\"file\","
				   "\"lease\":4,\"gateway\":{\"listen\":\"file:1\","
				   "\"origins\":[\"http://file\",\"http://too\"]}}";

	(void)state;
	setenv("URICAST_PREFIX", "variable", 1);
	setenv("URICAST_REDIS", "redis://variable", 1);
	setenv("URICAST_ORIGIN", "http://variable", 1);
	assert_int_equal(
		read_file_as(CONFIG_GATEWAY, file, "--redis redis://option"), CONFIG_OK);
	assert_string_equal(config.redis, "redis://option");
	assert_string_equal(config.prefix, "variable");
	assert_int_equal(config.lease_ms, 4000);
	assert_string_equal(config.listen, "file:1");
	assert_int_equal(config.origin_count, 1);
	assert_string_equal(config.origins[0], "http://variable");
	config_fini(&config);
}

static void the_file_may_be_named_by_a_variable(void **state)
{
	(void)state;
	write_file("{\"prefix\":\"file\"}");
	setenv("URICAST_CONFIG", file_name, 1);
	assert_read(CONFIG_GATEWAY, "");
	assert_string_equal(config.prefix, "file");
	assert_string_equal(config.file, file_name);
	config_fini(&config);
}

static void a_mistake_names_the_option_or_the_variable_and_the_value(void **state)
{
	(void)state;
	assert_wrong(CONFIG_POLLER, "--upstream http://h --interval 5x",
		"uricast-poller: --interval: \"5x\" is no duration; write");
	setenv("URICAST_INTERVAL", "5y", 1);
	assert_wrong(CONFIG_POLLER, "--upstream http://h",
		"uricast-poller: URICAST_INTERVAL: \"5y\" is no duration; write");
}

static void all_mistakes_are_said_at_once(void **state)
{
	(void)state;
	assert_wrong(CONFIG_GATEWAY, "--listen 1 --redis x --lease y", "--listen: ");
	assert_said("--redis: ");
	assert_said("--lease: ");
}

static void a_poller_needs_something_to_poll(void **state)
{
	(void)state;
	assert_wrong(CONFIG_POLLER, "", "--upstream URL");
	assert_said("--config FILE");
	assert_int_equal(read_file_as(CONFIG_POLLER, "{}", ""), CONFIG_EXIT_WRONG);
	assert_said("describes no services");
	assert_int_equal(
		read_file_as(CONFIG_POLLER, "{}", "--upstream http://h"), CONFIG_OK);
	config_fini(&config);
}

static void upstream_options_and_services_do_not_mix(void **state)
{
	static const char file[] = "{\"services\":{\"a\":{\"url\":\"http://a\"}}}";

	(void)state;
	assert_int_equal(read_file_as(CONFIG_POLLER, file, "--upstream http://h"),
		CONFIG_EXIT_WRONG);
	assert_said("--upstream: cannot be joined with the services");
	assert_int_equal(
		read_file_as(CONFIG_POLLER, file, "--interval 5"), CONFIG_EXIT_WRONG);
	assert_said("--interval: cannot be joined");
}

static void an_unknown_option_suggests_the_right_one(void **state)
{
	(void)state;
	assert_wrong(CONFIG_POLLER, "--intreval 5", "Did you mean --interval?");
	assert_wrong(
		CONFIG_POLLER, "--upstream=http://h --radis=x", "Did you mean --redis?");
	assert_wrong(
		CONFIG_POLLER, "--listen x", "--listen is an option of uricast-gateway");
	assert_wrong(CONFIG_GATEWAY, "--redis", "requires an argument");
	assert_wrong(CONFIG_GATEWAY, "serve", "serve: is not an option");
}

static void help_names_every_option_and_its_variable(void **state)
{
	static const char *const words[] = {"--listen", "--redis", "--config",
		"--metrics", "--token-file", "--prefix", "--lease", "--log-level",
		"--drain-delay", "--drain=", "--trusted-proxy", "--origin",
		"--check-config", "--help", "--version", "[URICAST_LISTEN]",
		"[URICAST_TOKEN_FILE]", "[URICAST_LOG_LEVEL]", "127.0.0.1:7070",
		"Example:"};

	(void)state;
	assert_int_equal(read_line(CONFIG_GATEWAY, "--help"), CONFIG_EXIT_OK);
	for (size_t i = 0; i < COUNT(words); i++)
		assert_non_null(strstr(answered, words[i]));
	assert_null(strstr(answered, "--upstream"));
	assert_string_equal(said, "");
	assert_int_equal(read_line(CONFIG_POLLER, "--help"), CONFIG_EXIT_OK);
	assert_non_null(strstr(answered, "--upstream"));
	assert_null(strstr(answered, "--listen"));
}

static void version_is_one_line(void **state)
{
	(void)state;
	assert_int_equal(read_line(CONFIG_POLLER, "--version"), CONFIG_EXIT_OK);
	assert_string_equal(answered, "uricast-poller " URICAST_VERSION "\n");
}

/* ---- the file ---- */

static const char example[] =
	"{\n"
	"  // one line\n"
	"  \"redis\": \"redis://127.0.0.1:6379/0\", /* several\n"
	"  lines, \"quoted\" */\n"
	"  \"gateway\": { \"listen\": \"0.0.0.0:7070\", \"origins\": "
	"[\"https://panel.example.com\"],\n"
	"    \"token_file\": \"/t\", \"metrics\": \"h:1\", \"limits\": { \"clients\": 9, "
	"\"clients_per_address\": 3, "
	"\"subscriptions\": 8, \"message\": \"2KiB\", \"messages\": \"7/s\" },\n"
	"    \"drain\": { \"delay\": \"2.5s\", \"spread\": 0 },\n"
	"    \"trusted_proxies\": [\"10.0.0.0/8\", \"::1\"] },\n"
	"  \"poller\": { \"metrics\": \"h:2\" },\n"
	"  \"services\": {\n"
	"    \"ganeti\":  { \"url\": \"https://localhost:5080/2//\", \"default\": true,\n"
	"      \"raw\": true, \"interval\": \"7s\", \"tls\": { \"verify\": false } },\n"
	"    \"compute\": {\n"
	"      \"regions\": { \"dfw\": { \"url\": \"https://dfw.example.com/v2\" },\n"
	"        \"ord\": { \"url\": \"https://ord.example.com/v2\",\n"
	"          \"headers\": { \"x-auth-token\": \"env:ORD\", \"X-More\": \"1\" },\n"
	"          \"tls\": { \"ca\": \"/ca\" }, \"limits\": { \"rate\": 5 } } },\n"
	"      \"headers\": { \"X-Auth-Token\": \"file:/run/secrets/token\" },\n"
	"      \"limits\": { \"concurrency\": 17, \"rate\": \"50/s\", \"body\": "
	"\"9MiB\",\n"
	"        \"timeout\": \"11s\", \"raw_addresses\": 1000 },\n"
	"      \"resources\": {\n"
	"        \"servers\": { \"path\": \"/servers/detail\", \"item\": "
	"\"/servers/{id}\",\n"
	"          \"identity\": \"id\", \"interval\": \"6s\", \"ignore\": "
	"[\"/servers/*/updated\"] },\n"
	"        \"flavors\": { \"path\": \"/flavors\", \"interval\": { \"default\": "
	"\"10m\", \"min\": \"1m\", \"max\": \"1h\" } }\n"
	"      }\n"
	"    },\n"
	"    \"dns\": { \"url\": \"http://dns\", \"basic\": \"file:/basic\", \"raw\": "
	"true,\n"
	"      \"ignore\": [\"/t//u\"], \"identity\": \"zone\", \"interval\": 0.5,\n"
	"      \"tls\": { \"certificate\": \"/c\", \"key\": \"/k\" },\n"
	"      \"resources\": { \"zones\": { \"path\": \"/zones\" } } }\n"
	"  }\n"
	"}\n";

static void the_example_reads_as_it_should(void **state)
{
	struct catalog_target target;

	(void)state;
	assert_file(CONFIG_GATEWAY, example);
	assert_string_equal(config.listen, "0.0.0.0:7070");
	assert_string_equal(config.metrics_listen, "h:1");
	assert_string_equal(config.token_file, "/t");
	assert_string_equal(config.origins[0], "https://panel.example.com");
	assert_int_equal(config.limits.clients, 9);
	assert_int_equal(config.limits.subscriptions, 8);
	assert_int_equal(config.limits.message_max_bytes, 2048);
	assert_int_equal(config.limits.messages_per_s, 7);
	assert_int_equal(config.limits.clients_per_address, 3);
	assert_int_equal(config.trusted_proxy_count, 2);
	assert_string_equal(config.trusted_proxies[1], "::1");
	assert_int_equal(config.drain.delay_ms, 2500);
	assert_int_equal(config.drain.spread_ms, 0);

	assert_int_equal(resolve("/nodes", &target), CATALOG_OK);
	assert_string_equal(target.provider->url, "https://localhost:5080/2");
	assert_int_equal(target.interval.default_ms, 7000);
	assert_false(target.provider->tls_verify);
	assert_int_equal(resolve("compute/ord/servers/5", &target), CATALOG_OK);
	assert_string_equal(target.uri, "/servers/5");
	assert_string_equal(target.type->identity, "id");
	assert_int_equal(target.type->ignore_count, 1);
	assert_int_equal(resolve("compute/ord/flavors", &target), CATALOG_OK);
	assert_int_equal(target.interval.default_ms, 600000);
	assert_int_equal(target.interval.min_ms, 60000);
	assert_int_equal(target.interval.max_ms, 3600000);
	assert_int_equal(resolve("compute/dfw:/x", &target), CATALOG_RAW_DENIED);
	assert_int_equal(resolve("dns:/x", &target), CATALOG_OK);
	assert_string_equal(target.provider->identity, "zone");
	assert_string_equal(target.provider->ignore[0], "/t//u");
	assert_string_equal(target.provider->basic.value, "/basic");
	assert_int_equal(target.provider->basic.source, CATALOG_FILE);
	assert_string_equal(target.provider->tls_key, "/k");
	assert_int_equal(resolve("dns/zones", &target), CATALOG_OK);
	assert_int_equal(target.interval.default_ms, 500);
	config_fini(&config);
}

static void a_poller_reads_the_same_file_for_its_own_part(void **state)
{
	(void)state;
	assert_file(CONFIG_POLLER, example);
	assert_string_equal(config.metrics_listen, "h:2");
	assert_null(config.listen);
	assert_int_equal(config.origin_count, 0);
	assert_string_equal(provider("compute/dfw")->url, "https://dfw.example.com/v2");
	config_fini(&config);
}

static void regions_inherit_from_their_service_and_may_differ(void **state)
{
	const struct catalog_provider *dfw, *ord;

	(void)state;
	assert_file(CONFIG_POLLER, example);
	dfw = provider("compute/dfw");
	ord = provider("compute/ord");
	assert_true(dfw->limits.rate_per_s == 50);
	assert_true(ord->limits.rate_per_s == 5);
	assert_int_equal(ord->limits.concurrency, 17);
	assert_int_equal(ord->limits.body_max_bytes, 9 << 20);
	assert_int_equal(ord->limits.timeout_ms, 11000);
	assert_int_equal(dfw->limits.raw_addresses_max, 1000);
	assert_null(dfw->tls_ca);
	assert_string_equal(ord->tls_ca, "/ca");
	assert_int_equal(dfw->header_count, 1);
	assert_int_equal(dfw->headers[0].source, CATALOG_FILE);
	assert_string_equal(dfw->headers[0].value, "/run/secrets/token");
	assert_int_equal(ord->header_count, 2);
	assert_int_equal(ord->headers[0].source, CATALOG_ENV);
	assert_string_equal(ord->headers[0].value, "ORD");
	assert_int_equal(ord->headers[1].source, CATALOG_LITERAL);
	config_fini(&config);
}

static void credentials_are_sent_once(void **state)
{
	const struct catalog_provider *basic, *bearer, *inherited;

	(void)state;
	assert_file(CONFIG_POLLER,
		"{\"services\":{\"a\":{\"url\":\"http://a\","
		"\"headers\":{\"authorization\":\"env:A\",\"b\":\"\"},"
		"\"regions\":{\"r\":{\"basic\":\"file:/r\"},\"s\":{}}},"
		"\"c\":{\"url\":\"http://c\",\"basic\":\"file:/c\","
		"\"regions\":{\"t\":{\"headers\":{\"AUTHORIZATION\":\"env:T\"}}}}}}");
	basic = provider("a/r");
	inherited = provider("a/s");
	bearer = provider("c/t");
	assert_string_equal(basic->basic.value, "/r");
	assert_int_equal(basic->header_count, 1);
	assert_string_equal(basic->headers[0].name, "b");
	assert_int_equal(inherited->header_count, 2);
	assert_null(bearer->basic.name);
	assert_string_equal(bearer->headers[0].value, "T");
	config_fini(&config);
}

#define SERVICE(text) "{\"services\":{\"a\":{\"url\":\"http://a\"," text "}}}"
#define TYPE(text) SERVICE("\"resources\":{\"t\":{\"path\":\"/t\"," text "}}")

struct file_mistake {
	const char *text;
	const char *said; /* after the file's name */
};

static const struct file_mistake file_mistakes[] = {
	/* No JSON. */
	{"", "1:1: $: this is no JSON"},
	{"{\n  \"redis\": nil\n}", "2:13: $.redis: this is no JSON"},
	{"{\"services\":{\"a\":{\"ignore\":[\"/a\",]}}}",
		"1:34: $.services.a.ignore[1]: this is no JSON"},
	{"{\"prefix\":\"a\",\n// x\n}", "3:1: $: this is no JSON"},
	{"{} /* x", "1:4: $: this comment has no end"},
	{"{'redis': 1}", "1:2: $: this is no JSON"},
	{"[]", "1:1: $: must be an object, not an array"},
	/* Twice, unknown, misplaced. */
	{"{\"prefix\":\"a\",\n \"prefix\":\"b\"}", "2:2: $: duplicate member \"prefix\""},
	{"{\"services\":{\"a\":{\"url\":\"http://a\"},\"a\":{}}}",
		"1:37: $.services: duplicate member \"a\""},
	{"{\"services\":{\"a\":{\"limits\":{\"rate\":1,\"r\\u0061te\":2}}}}",
		"1:38: $.services.a.limits: duplicate member \"r\\u0061te\""},
	{"{\"redsi\":1}",
		"1:2: $.redsi: unknown member \"redsi\"; did you mean \"redis\"?"},
	{"{\"Prefix\":1}",
		"1:2: $.Prefix: unknown member \"Prefix\"; did you mean \"prefix\"?"},
	{"{\"listen\":1}",
		"1:2: $.listen: unknown member \"listen\"; known here: redis, prefix"},
	{SERVICE("\"intervall\":5"),
		"1:36: $.services.a.intervall: unknown member \"intervall\"; did you "
		"mean "
		"\"interval\"?"},
	{SERVICE("\"limits\":{\"rates\":5}"),
		"1:46: $.services.a.limits.rates: unknown member \"rates\"; did you mean "
		"\"rate\"?"},
	{SERVICE("\"tls\":{\"verfiy\":true}"), "1:43: $.services.a.tls.verfiy: unknown"},
	{SERVICE("\"regions\":{\"r\":{\"interval\":5}}"),
		"1:52: $.services.a.regions.r.interval: unknown"},
	{TYPE("\"url\":\"http://a\""), "1:66: $.services.a.resources.t.url: unknown"},
	{"{\"gateway\":{\"redis\":\"x\"}}", "1:13: $.gateway.redis: unknown"},
	{"{\"poller\":{\"listen\":\"x\"}}", "1:12: $.poller.listen: unknown"},
	{"{/* x\n */\"redsi\":1}", "2:4: $.redsi: unknown"},
	/* Values. */
	{"{\"redis\":\"http://x\"}", "1:10: $.redis: \"http://x\" is no Redis URL"},
	{"{\"redis\":5}", "1:10: $.redis: must be a string, not 5"},
	{"{\"redis\":null}", "1:10: $.redis: must be a string, not null"},
	{"{\"redis\":[]}", "1:10: $.redis: must be a string, not an array"},
	{"{\"prefix\":\"a\\u0000b\"}", "1:11: $.prefix: holds a NUL"},
	{"{\"lease\":\"0s\"}", "1:10: $.lease: \"0s\" is no lease"},
	{"{\"lease\":true}",
		"1:10: $.lease: must be a number, or a string with a unit, not true"},
	{"{\"log_level\":\"loud\"}", "1:14: $.log_level: \"loud\" is no log level"},
	{"{\"log_level\":\"info,relai=debug\"}",
		"1:14: $.log_level: \"info,relai=debug\" names a part that no program "
		"has; "
		"the parts are access, "},
	{"{\"gateway\":{\"listen\":\"7070\"}}",
		"1:22: $.gateway.listen: \"7070\" names no host"},
	{"{\"gateway\":{\"origins\":[\"http://a\",\"b\"]}}",
		"1:35: $.gateway.origins[1]: \"b\" is no origin"},
	{"{\"gateway\":{\"origins\":[5]}}",
		"1:24: $.gateway.origins[0]: must be a string, not 5"},
	{"{\"gateway\":{\"origins\":\"b\"}}",
		"1:23: $.gateway.origins: must be an array of strings, not \"b\""},
	{"{\"gateway\":{\"limits\":{\"clients\":\"9\"}}}",
		"1:33: $.gateway.limits.clients: must be a number, not \"9\""},
	{"{\"gateway\":{\"limits\":{\"clients\":1.5}}}",
		"1:33: $.gateway.limits.clients: 1.5 is no number of clients"},
	{"{\"services\":[]}", "1:13: $.services: must be an object, not an array"},
	{"{\"services\":{\"a\":5}}", "1:18: $.services.a: must be an object, not 5"},
	{"{\"services\":{\"a b\":{}}}",
		"1:14: $.services[\"a b\"]: this cannot name a service"},
	{"{\"services\":{\"..\":{}}}",
		"1:14: $.services[\"..\"]: this cannot name a service"},
	{"{\"services\":{\"a/b\":{}}}",
		"1:14: $.services.a/b: this cannot name a service"},
	{"{\"services\":{\"\":{}}}",
		"1:14: $.services[\"\"]: this cannot name a service"},
	{"{\"services\":{\"a\":{\"url\":\"a\"}}}",
		"1:25: $.services.a.url: \"a\" is no base URL"},
	{SERVICE("\"default\":1"),
		"1:46: $.services.a.default: must be true or false, not 1"},
	{SERVICE("\"limits\":{\"rate\":\"50/m\"}"),
		"1:53: $.services.a.limits.rate: \"50/m\" is no rate"},
	{SERVICE("\"limits\":{\"body\":\"8MB\"}"),
		"1:53: $.services.a.limits.body: \"8MB\" is no size"},
	{SERVICE("\"interval\":\"10ms\""),
		"1:47: $.services.a.interval: \"10ms\" is no interval"},
	{SERVICE("\"interval\":{\"min\":\"10s\"}"),
		"1:47: $.services.a.interval: min (10000 ms)"},
	{SERVICE("\"interval\":{\"default\":5,\"max\":4}"),
		"1:47: $.services.a.interval: min (1000 ms)"},
	{SERVICE("\"ignore\":[\"x\"]"),
		"1:46: $.services.a.ignore[0]: \"x\" is no JSON pointer"},
	{SERVICE("\"tls\":{\"key\":\"/k\"}"), "1:42: $.services.a.tls: a key needs"},
	{SERVICE("\"regions\":{}"), "1:46: $.services.a.regions: no region is named"},
	{SERVICE("\"regions\":5"),
		"1:46: $.services.a.regions: must be an object, not 5"},
	{SERVICE("\"regions\":{\"a:b\":{}}"),
		"1:47: $.services.a.regions.a:b: this cannot name a region"},
	{SERVICE("\"regions\":{\"t\":{}},\"resources\":{\"t\":{\"path\":\"/t\"}}"),
		"1:47: $.services.a.regions.t: a resource type of this service"},
	{SERVICE("\"resources\":{\"t\":{}}"),
		"1:53: $.services.a.resources.t: the \"path\" is missing"},
	{SERVICE("\"resources\":{\"t\":{\"path\":\"/../t\"}}"),
		"1:61: $.services.a.resources.t.path: \"/../t\" holds dot segments"},
	{TYPE("\"item\":\"/t\""),
		"1:73: $.services.a.resources.t.item: \"/t\" must hold {id}"},
	{TYPE("\"identity\":\"\""),
		"1:77: $.services.a.resources.t.identity: \"\" is empty"},
	/* What must fit together. */
	{"{\"services\":{\"a\":{}}}", "1:18: $.services.a: the \"url\" is missing"},
	{"{\"services\":{\"a\":{\"regions\":{\"r\":{}}}}}",
		"1:34: $.services.a.regions.r: the \"url\" is missing"},
	{"{\"services\":{\"a\":{\"url\":\"http://a\",\"default\":true},"
	 "\n\"b\":{\"url\":\"http://b\",\"default\":true}}}",
		"2:5: $.services.b: there are two defaults, \"a\" and \"b\""},
	{SERVICE("\"default\":true,\"regions\":{\"x\":{},\"y\":{}}"),
		"1:73: $.services.a.regions.y: there are two defaults, \"a/x\" and "
		"\"a/y\""},
};

static void every_mistake_in_the_file_names_place_path_and_value(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(file_mistakes); i++)
		assert_file_wrong(file_mistakes[i].text, file_mistakes[i].said);
}

static void several_mistakes_in_the_file_are_said_at_once(void **state)
{
	(void)state;
	assert_file_wrong("{\"redis\":1,\"lease\":\"x\",\"foo\":1}", "1:10: $.redis");
	assert_said("1:20: $.lease");
	assert_said("1:24: $.foo");
	assert_null(strstr(said, "describes no services"));
}

static void a_url_that_is_wrong_is_not_called_missing(void **state)
{
	(void)state;
	assert_file_wrong("{\"services\":{\"a\":{\"url\":\"http://h?x\"}}}",
		"1:25: $.services.a.url: \"http://h?x\" has a query");
	assert_null(strstr(said, "missing"));
	assert_file_wrong(
		"{\"services\":{\"a\":{\"url\":\"h\",\"regions\":{\"r\":{}}}}}",
		"1:25: $.services.a.url: \"h\" is no base URL");
	assert_null(strstr(said, "missing"));
	assert_file_wrong(
		"{\"services\":{\"a\":{\"regions\":{\"r\":{\"url\":\"h\"}}}}}",
		"1:41: $.services.a.regions.r.url: \"h\" is no base URL");
	assert_null(strstr(said, "missing"));
	assert_file_wrong("{\"services\":{\"a\":{\"regions\":{\"r\":null}}}}",
		"1:34: $.services.a.regions.r: must be an object, not null");
	assert_null(strstr(said, "missing"));
}

static void no_secret_is_ever_shown(void **state)
{
	static const char *const files[] = {SERVICE("\"headers\":{\"A\":\"s3cret\\n\"}"),
		SERVICE("\"headers\":{\"A\":{\"s3cret\":1}}"),
		SERVICE("\"headers\":{\"A\":\"s3cret\\u0000\"}"),
		SERVICE("\"headers\":\"s3cret\""), SERVICE("\"headers\":[\"s3cret\"]"),
		SERVICE("\"headers\":{\"A B\":\"s3cret\"}"),
		SERVICE("\"basic\":\"user:s3cret\""), SERVICE("\"basic\":[\"s3cret\"]"),
		"{\"redis\":\"redis://:s3cret@h:x\"}",
		"{\"services\":{\"a\":{\"url\":\"http://u:s3cret@a\"}}}"};

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		assert_int_equal(
			read_file_as(CONFIG_POLLER, files[i], ""), CONFIG_EXIT_WRONG);
		assert_null(strstr(said, "s3cret"));
		assert_string_not_equal(said, "");
	}
	assert_wrong(CONFIG_GATEWAY, "--redis redis://:s3cret@h:x", "--redis: ");
	assert_null(strstr(said, "s3cret"));
}

static void header_names_and_sources_must_be_whole(void **state)
{
	(void)state;
	assert_file_wrong(SERVICE("\"headers\":{\"A B\":\"x\"}"),
		"1:47: $.services.a.headers[\"A B\"]: this cannot be a header's name");
	assert_file_wrong(SERVICE("\"headers\":{\"Key\":\"x\",\"b\":\"\",\"key\":\"y\"}"),
		"1:64: $.services.a.headers: this header stands there in another case");
	assert_file_wrong(SERVICE("\"headers\":{\"A\":\"env:\"}"),
		"1:51: $.services.a.headers.A: the value names nothing");
	assert_file_wrong(SERVICE("\"headers\":{\"A\":\"a\\r\\nB: c\"}"),
		"1:51: $.services.a.headers.A: the value holds a control byte");
	assert_file_wrong(SERVICE("\"basic\":\"env:B\",\"headers\":{\"Authorization\":\"x\"}"),
		"1:63: $.services.a: \"basic\" is sent as this header, too");
	assert_file_wrong(SERVICE("\"basic\":\"user:pass\""),
		"1:44: $.services.a.basic: the user and password must not stand here");
}

static void a_file_that_cannot_be_read_says_why(void **state)
{
	(void)state;
	assert_wrong(CONFIG_GATEWAY, "--config /nonexistent/file",
		"/nonexistent/file: cannot be read: No such file");
}

/* ---- a directory of files ---- */

static char directory_name[] = "/tmp/uricast-test-d-XXXXXX";

static int make_directory(void **state)
{
	(void)state;
	clean_environment(state);
	strcpy(directory_name + strlen(directory_name) - 6, "XXXXXX");
	assert_non_null(mkdtemp(directory_name));
	return 0;
}

static int remove_directory(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", directory_name);
	return system(command);
}

static void write_part(const char *name, const char *text)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory_name, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static enum config_outcome read_directory(const char *more)
{
	char line[128];

	snprintf(line, sizeof(line), "--config %s %s", directory_name, more);
	return read_line(CONFIG_POLLER, line);
}

/* @part is what follows the directory's name and a slash in a mistake. */
static void assert_directory_wrong(const char *part)
{
	char whole[512];

	assert_int_equal(read_directory(""), CONFIG_EXIT_WRONG);
	snprintf(whole, sizeof(whole), "uricast-poller: %s/%s", directory_name, part);
	assert_said(whole);
}

#define URL "{\"url\":\"http://h\"}"

static void all_files_of_a_directory_are_one_catalog(void **state)
{
	(void)state;
	write_part("20-b.json", "{\"services\":{\"b\":" URL "}}");
	write_part("10-a.json", "{\"redis\":\"redis://r\",\"services\":{\"a\":" URL "}}");
	write_part("30-c.json", "{\"services\":{\"c\":" URL ",\"d\":" URL "}}");
	write_part("notes.txt", "no JSON");
	write_part(".30-c.json", "an editor's own");
	assert_int_equal(read_directory(""), CONFIG_OK);
	assert_string_equal(said, "");
	assert_string_equal(config.redis, "redis://r");
	assert_int_equal(config.catalog->provider_count, 4);
	assert_string_equal(config.catalog->providers[0].name, "a");
	assert_string_equal(config.catalog->providers[3].name, "d");
	config_fini(&config);
}

static void files_may_each_say_a_part_of_the_same_process(void **state)
{
	(void)state;
	write_part("a.json", "{\"$schema\":\"s\",\"gateway\":{\"limits\":{\"clients\":1}}}");
	write_part("b.json",
		"{\"$schema\":\"s\",\"gateway\":{\"limits\":{\"subscriptions\":1}},"
		"\"services\":{\"b\":" URL "}}");
	assert_int_equal(read_directory(""), CONFIG_OK);
	assert_string_equal(said, "");
	config_fini(&config);
}

static void what_two_files_say_is_a_mistake_that_names_both(void **state)
{
	char also[128];

	(void)state;
	write_part("a.json",
		"{\"redis\":\"redis://r\",\"gateway\":{\"limits\":{\"clients\":1}},"
		"\"services\":{\"s\":" URL "}}");
	write_part("b.json",
		"{\"redis\":\"redis://r\",\"gateway\":{\"limits\":{\"clients\":1}},"
		"\n\"services\":{\"s\":" URL "}}");
	assert_directory_wrong("b.json:2:13: $.services.s: stands in ");
	assert_directory_wrong("b.json:1:2: $.redis: stands in ");
	assert_directory_wrong("b.json:1:43: $.gateway.limits.clients: stands in ");
	snprintf(also, sizeof(also), "%s/a.json, too", directory_name);
	assert_said(also);
}

static void two_files_cannot_both_have_the_default(void **state)
{
	(void)state;
	write_part("a.json", "{\"services\":{\"a\":{\"url\":\"http://h\",\"default\":true}}}");
	write_part("b.json", "{\"services\":{\"b\":{\"url\":\"http://h\",\"default\":true}}}");
	assert_directory_wrong("b.json:1:18: $.services.b: there are two defaults");
}

static char heard[256];

static void hear(const char *where, const char *what)
{
	snprintf(heard, sizeof(heard), "%s: %s", where, what);
}

static void what_was_read_can_be_read_again(void **state)
{
	struct config next;

	(void)state;
	write_part("a.json", "{\"services\":{\"a\":" URL "}}");
	assert_int_equal(read_directory("--lease 5"), CONFIG_OK);
	write_part("b.json", "{\"services\":{\"b\":" URL "}}");
	assert_int_equal(config_read_again(&config, hear, &next), CONFIG_OK);
	assert_int_equal(next.lease_ms, 5000);
	assert_int_equal(next.catalog->provider_count, 2);
	assert_int_equal(config.catalog->provider_count, 1);
	config_fini(&next);
	config_fini(&config);
}

static void a_mistake_while_reading_again_is_told_to_who_asked(void **state)
{
	struct config next;

	(void)state;
	write_part("a.json", "{\"services\":{\"a\":" URL "}}");
	assert_int_equal(read_directory(""), CONFIG_OK);
	write_part("a.json", "{\"redis\":\"ftp://h\",\"services\":{\"a\":" URL "}}");
	assert_int_equal(config_read_again(&config, hear, &next), CONFIG_EXIT_WRONG);
	assert_non_null(strstr(heard, "/a.json:1:10: $.redis: \"ftp://h\" is no"));
	config_fini(&config);
}

static void only_a_gateway_that_is_told_of_no_service_assumes_one(void **state)
{
	const struct catalog_interval interval = {700, 500, 900};
	struct catalog *catalog;

	(void)state;
	assert_read(CONFIG_GATEWAY, "");
	assert_true(config.assumed);
	config_fini(&config);
	assert_read(CONFIG_POLLER, "--upstream http://h");
	assert_false(config.assumed);
	config_fini(&config);
	catalog = config_assumed_catalog(&interval);
	assert_int_equal(catalog_provider(catalog, "default")->interval.default_ms, 700);
	assert_true(catalog_provider(catalog, "default")->raw);
	catalog_free(catalog);
}

static void an_empty_directory_is_a_mistake(void **state)
{
	(void)state;
	assert_int_equal(read_directory(""), CONFIG_EXIT_WRONG);
	assert_said("holds no file whose name ends in .json");
}

static void comments_inside_strings_stay(void **state)
{
	(void)state;
	assert_file(CONFIG_GATEWAY,
		"{\"gateway\":{\"token_file\":\"/a//b/*c*/\\\"//\\\\\" // d \"\n}} // "
		"end");
	assert_string_equal(config.token_file, "/a//b/*c*/\"//\\");
	config_fini(&config);
}

static void a_default_provider_takes_raw_uris_unless_told_not_to(void **state)
{
	(void)state;
	assert_file(CONFIG_GATEWAY, SERVICE("\"default\":true"));
	assert_true(provider("a")->raw);
	config_fini(&config);
	assert_file(CONFIG_GATEWAY, SERVICE("\"default\":true,\"raw\":false"));
	assert_false(provider("a")->raw);
	config_fini(&config);
	assert_file(CONFIG_GATEWAY, SERVICE("\"default\":false"));
	assert_false(provider("a")->raw);
	config_fini(&config);
}

static void a_gateway_needs_no_urls(void **state)
{
	(void)state;
	assert_file(CONFIG_GATEWAY, "{\"services\":{\"a\":{\"regions\":{\"r\":{}}}}}");
	assert_null(provider("a/r")->url);
	config_fini(&config);
}

static void a_type_inherits_its_services_interval(void **state)
{
	struct catalog_target target;

	(void)state;
	assert_file(CONFIG_GATEWAY,
		"{\"services\":{\"a\":{\"resources\":{\"t\":{\"path\":\"/t\"},"
		"\"u\":{\"path\":\"/u\",\"interval\":{\"min\":\"100ms\"}}},"
		"\"interval\":20}}}");
	assert_int_equal(resolve("a/t", &target), CATALOG_OK);
	assert_int_equal(target.interval.default_ms, 20000);
	assert_int_equal(resolve("a/u", &target), CATALOG_OK);
	assert_int_equal(target.interval.default_ms, 20000);
	assert_int_equal(target.interval.min_ms, 100);
	config_fini(&config);
}

/* ---- --check-config ---- */

static void check_config_sums_up_and_leaves(void **state)
{
	(void)state;
	assert_int_equal(
		read_file_as(CONFIG_POLLER, example, "--check-config"), CONFIG_EXIT_OK);
	assert_string_equal(said, "");
	assert_non_null(strstr(answered,
		"ganeti at https://localhost:5080/2, every 7s (1s to 1h), default, raw "
		"URIs, "
		"TLS not verified\n"));
	assert_non_null(strstr(
		answered, "compute/ord/flavors from /flavors, every 10m (1m to 1h)\n"));
	assert_null(strstr(answered, "secrets"));
}

static void check_config_of_a_mistake_is_wrong(void **state)
{
	(void)state;
	assert_int_equal(read_file_as(CONFIG_POLLER, "{\"redis\":1}", "--check-config"),
		CONFIG_EXIT_WRONG);
	assert_string_equal(answered, "");
	assert_said("$.redis");
}

#define TEST(function) cmocka_unit_test_setup(function, clean_environment)
#define DIRECTORY_TEST(function)                                                         \
	cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_text_is_judged_as_the_table_says),
		TEST(every_amount_is_read_as_the_table_says),
		TEST(sizes_rates_flags_and_levels_are_read),
		TEST(a_base_url_loses_its_last_slashes),
		TEST(an_origin_is_kept_as_browsers_send_it),
		TEST(durations_are_written_as_one_would),
		TEST(a_quoted_value_shows_no_password_and_no_control_byte),
		TEST(a_gateway_runs_without_any_option),
		TEST(every_option_of_a_gateway_is_read),
		TEST(every_option_of_a_poller_is_read),
		TEST(a_variable_stands_in_for_its_option),
		TEST(options_win_over_variables_and_variables_over_the_file),
		TEST(the_file_may_be_named_by_a_variable),
		TEST(a_mistake_names_the_option_or_the_variable_and_the_value),
		TEST(all_mistakes_are_said_at_once),
		TEST(a_poller_needs_something_to_poll),
		TEST(upstream_options_and_services_do_not_mix),
		TEST(an_unknown_option_suggests_the_right_one),
		TEST(help_names_every_option_and_its_variable),
		TEST(version_is_one_line),
		TEST(the_example_reads_as_it_should),
		TEST(a_poller_reads_the_same_file_for_its_own_part),
		TEST(regions_inherit_from_their_service_and_may_differ),
		TEST(credentials_are_sent_once),
		TEST(every_mistake_in_the_file_names_place_path_and_value),
		TEST(several_mistakes_in_the_file_are_said_at_once),
		TEST(a_url_that_is_wrong_is_not_called_missing),
		TEST(no_secret_is_ever_shown),
		TEST(header_names_and_sources_must_be_whole),
		TEST(a_file_that_cannot_be_read_says_why),
		DIRECTORY_TEST(all_files_of_a_directory_are_one_catalog),
		DIRECTORY_TEST(files_may_each_say_a_part_of_the_same_process),
		DIRECTORY_TEST(what_two_files_say_is_a_mistake_that_names_both),
		DIRECTORY_TEST(two_files_cannot_both_have_the_default),
		DIRECTORY_TEST(an_empty_directory_is_a_mistake),
		DIRECTORY_TEST(what_was_read_can_be_read_again),
		DIRECTORY_TEST(a_mistake_while_reading_again_is_told_to_who_asked),
		TEST(only_a_gateway_that_is_told_of_no_service_assumes_one),
		TEST(comments_inside_strings_stay),
		TEST(a_default_provider_takes_raw_uris_unless_told_not_to),
		TEST(a_gateway_needs_no_urls),
		TEST(a_type_inherits_its_services_interval),
		TEST(check_config_sums_up_and_leaves),
		TEST(check_config_of_a_mistake_is_wrong),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
