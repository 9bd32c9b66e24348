#include "poller/fetch_failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000

struct known_failure {
	CURLcode curl;
	const char *code;
	const char *text; /* after "host:port " */
};

static const struct known_failure known_failures[] = {
	{CURLE_COULDNT_RESOLVE_HOST, "upstream_dns",
		"is not a name that can be resolved"},
	{CURLE_PARTIAL_FILE, "upstream_closed", "closed before its answer was whole"},
	{CURLE_GOT_NOTHING, "upstream_closed", "closed without an answer"},
	{CURLE_RECV_ERROR, "upstream_closed", "broke the connection off"},
	{CURLE_SEND_ERROR, "upstream_closed", "broke the connection off"},
	{CURLE_HTTP2_STREAM, "upstream_closed", "broke the answer off"},
	{CURLE_SSL_CONNECT_ERROR, "upstream_tls", "did not agree on TLS with us"},
	{CURLE_SSL_CIPHER, "upstream_tls", "offers no cipher that we have"},
	{CURLE_SSL_INVALIDCERTSTATUS, "upstream_tls", "has a revoked certificate"},
	{CURLE_SSL_CERTPROBLEM, "upstream_tls",
		"cannot be asked: our client certificate or its key cannot be used"},
	{CURLE_SSL_CACERT_BADFILE, "upstream_tls",
		"cannot be asked: the CA file cannot be read"},
	{CURLE_HTTP2, "upstream_protocol", "does not keep to HTTP/2"},
	{CURLE_WEIRD_SERVER_REPLY, "upstream_protocol", "does not speak HTTP"},
	{CURLE_UNSUPPORTED_PROTOCOL, "upstream_protocol", "does not speak HTTP/1.1 or 2"},
	{CURLE_BAD_CONTENT_ENCODING, "upstream_protocol",
		"sent a body that cannot be decoded"},
	{CURLE_WRITE_ERROR, "upstream_protocol", "sent a body that cannot be decoded"},
	{CURLE_OUT_OF_MEMORY, "upstream_too_large",
		"sent a header line too long for us, or memory has run out"},
#if LIBCURL_VERSION_NUM >= 0x080600
	{CURLE_TOO_LARGE, "upstream_too_large", "sent a header line too long for us"},
#endif
};

static void make_plain(char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

void fetch_failure_set(
	struct fetch_failure *failure, const char *code, const char *format, ...)
{
	va_list arguments;

	failure->code = code;
	failure->unreached = strcmp(code, "upstream_connect") == 0 ||
		strcmp(code, "upstream_dns") == 0 || strcmp(code, "upstream_tls") == 0;
	va_start(arguments, format);
	vsnprintf(failure->message, sizeof(failure->message), format, arguments);
	va_end(arguments);
	make_plain(failure->message);
}

long fetch_connect_timeout_ms(const struct provider *provider)
{
	uint32_t timeout_ms = provider->settings.limits.timeout_ms;

	return timeout_ms < CONNECT_TIMEOUT_MS ? (long)timeout_ms : CONNECT_TIMEOUT_MS;
}

static void say_connect(
	struct fetch_failure *failure, CURL *easy, const struct provider *provider)
{
	long error = 0;

	curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
	if (error == ECONNREFUSED)
		fetch_failure_set(failure, "upstream_connect", "connection refused by %s",
			provider->authority);
	else if (error)
		fetch_failure_set(failure, "upstream_connect", "no connection to %s: %s",
			provider->authority, strerror((int)error));
	else
		fetch_failure_set(failure, "upstream_connect", "no connection to %s",
			provider->authority);
}

static void say_timeout(
	struct fetch_failure *failure, CURL *easy, const struct provider *provider)
{
	curl_off_t asked_after_us = 0;

	curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &asked_after_us);
	if (asked_after_us > 0)
		fetch_failure_set(failure, "upstream_timeout",
			"no whole answer from %s within %g s", provider->authority,
			provider->settings.limits.timeout_ms / 1000.0);
	else
		fetch_failure_set(failure, "upstream_timeout",
			"no connection to %s within %g s", provider->authority,
			fetch_connect_timeout_ms(provider) / 1000.0);
	failure->unreached = asked_after_us == 0;
}

/* @detail is "SSL certificate problem: self-signed certificate" or the like. */
static void say_untrusted(struct fetch_failure *failure, const struct provider *provider,
	const char *detail)
{
	const char *colon = strstr(detail, ": ");
	const char *why = colon ? colon + 2 : detail;

	fetch_failure_set(failure, "upstream_tls",
		"the certificate of %s is not trusted (%s); pass --insecure or "
		"configure its tls",
		provider->authority, *why ? why : "no reason given");
}

void fetch_failure_from_curl(struct fetch_failure *failure, CURL *easy, CURLcode code,
	const struct provider *provider, const char *detail)
{
	size_t count = sizeof(known_failures) / sizeof(known_failures[0]);

	if (code == CURLE_COULDNT_CONNECT) {
		say_connect(failure, easy, provider);
		return;
	}
	if (code == CURLE_OPERATION_TIMEDOUT) {
		say_timeout(failure, easy, provider);
		return;
	}
	if (code == CURLE_PEER_FAILED_VERIFICATION) {
		say_untrusted(failure, provider, detail);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct known_failure *known = &known_failures[i];

		if (known->curl != code)
			continue;
		fetch_failure_set(
			failure, known->code, "%s %s", provider->authority, known->text);
		return;
	}
	fetch_failure_set(failure, "upstream_protocol", "asking %s failed: %s",
		provider->authority, curl_easy_strerror(code));
}
