#pragma once

/*
 * Access: who may talk to this gateway. The rules stand in docs/protocol.md.
 *
 * Pages: a request with an Origin header must come from the gateway's own origin (equal
 * to its Host header) or from one of the listed ones. A gateway that listens on loopback,
 * without tokens, also wants a Host that names loopback or a listed origin: otherwise a
 * page whose name is re-bound to 127.0.0.1 would be "its own origin" (DNS rebinding).
 * Tokens: with a token file every client shows one of its tokens. Compared in constant
 * time, read again when the file changes, never logged.
 */

#include <stdbool.h>
#include <stddef.h>

#define ACCESS_TOKEN_MAX 512 /* bytes of one token */

struct access;

struct access_settings {
	const char *listen;   /* HOST:PORT, as configured */
	char *const *origins; /* "https://panel.example.com"; not copied */
	size_t origin_count;
	const char
		*token_file; /* one token a line, # begins a comment; NULL: no tokens */
};

/**
 * Reads the token file.
 *
 * Returns the rules, or NULL with a sentence that names what to change in @error, which
 * is static until the next call.
 */
struct access *access_new(const struct access_settings *settings, const char **error);
void access_free(struct access *access); /* accepts NULL */

enum access_verdict {
	ACCESS_OK = 0,
	ACCESS_ORIGIN_DENIED = 1, /* Origin is neither Host nor listed */
	ACCESS_HOST_DENIED = 2,   /* Host is not a name this gateway goes by */
};

/** Judges a request's @origin and @host headers; NULL or "" where they are absent. */
enum access_verdict access_judge(
	const struct access *access, const char *origin, const char *host);

/** One plain sentence for a client that was denied. */
const char *access_verdict_text(enum access_verdict verdict);

/** Whether @origin is listed, so that another site's pages may read the answers. */
bool access_origin_listed(const struct access *access, const char *origin);

/** Whether clients must show a token. */
bool access_wants_token(const struct access *access);

/** Whether @token is one of them. */
bool access_token_valid(struct access *access, const char *token, size_t length);
