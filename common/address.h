#pragma once

/*
 * Addresses: the names of what can be watched, and the one canonical form of each.
 *
 * Pure text work: knows nothing of the catalog beyond what it is asked to split. The
 * canonical form is cache key, channel name and log name; see docs/architecture.md.
 */

#include <stddef.h>

#define ADDRESS_MAX 2048 /* bytes without the NUL, before and after canonicalising */

/** Why an address was refused; address_error_text() says it to a person. */
enum address_error {
	ADDRESS_OK = 0,
	ADDRESS_EMPTY,
	ADDRESS_TOO_LONG,
	ADDRESS_CONTROL_BYTE,  /* in any encoding, NUL too */
	ADDRESS_RAW_BYTE,      /* outside RFC 3986: space, " < > \ ^ ` { | }, non-ASCII */
	ADDRESS_BROKEN_ESCAPE, /* % without two hex digits */
	ADDRESS_DOT_SEGMENT,   /* . or .. as a segment, however encoded */
	ADDRESS_DOUBLE_SLASH,  /* // at the start of a URI */
	ADDRESS_USERINFO,      /* user@host shapes, schemes: anything that names a host */
	ADDRESS_FRAGMENT,      /* # */
	ADDRESS_NAME,  /* a service, region, type or item that is not a plain name */
	ADDRESS_SHAPE, /* neither /uri, names, nor names:/uri */
	ADDRESS_NOT_CANONICAL, /* well formed; the canonical form is in the result */
};

/** What an address looks like; whether such a thing exists is the catalog's to say. */
enum address_kind {
	ADDRESS_URI,   /* /nodes?bulk=1: a URI of the default provider */
	ADDRESS_RAW,   /* compute/dfw:/servers or dns:/zones */
	ADDRESS_NAMES, /* compute/dfw/servers, dns/domains, compute/dfw/servers/<id>, … */
};

#define ADDRESS_NAMES_MAX 4

struct address_part {
	const char *start; /* into address.text; not terminated */
	size_t length;
};

/** A judged address. Parts point into @text: a copy of the struct is parsed anew. */
struct address {
	enum address_kind kind;
	size_t length;
	struct address_part names[ADDRESS_NAMES_MAX]; /* empty for ADDRESS_URI */
	size_t name_count;
	struct address_part uri;    /* path and query, from /; empty for ADDRESS_NAMES */
	char text[ADDRESS_MAX + 1]; /* canonical, NUL terminated */
};

/**
 * Judges @text and brings it into canonical form.
 *
 * @text     any bytes, need not be terminated; NUL inside is refused
 *
 * Returns ADDRESS_OK where @text is canonical already, ADDRESS_NOT_CANONICAL where it is
 * well formed (@address then holds the canonical form and its parts), else the reason it
 * was refused; @address is then unspecified.
 */
enum address_error address_parse(
	struct address *address, const char *text, size_t length);

/** One plain sentence without a full stop, for messages to clients. Never NULL. */
const char *address_error_text(enum address_error error);
