#include "gateway/forwarded.h"

#include "common/memory.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- one hop ---- */

static bool is_port(struct bytes text)
{
	if (text.length < 2 || text.length > 6 || text.start[0] != ':')
		return false;
	for (size_t i = 1; i < text.length; i++)
		if (text.start[i] < '0' || text.start[i] > '9')
			return false;
	return true;
}

/* ADDRESS, IPV4:PORT, [IPV6] or [IPV6]:PORT. */
static bool read_node(struct bytes text, struct network_address *address)
{
	const char *end =
		memchr(text.start, text.start[0] == '[' ? ']' : ':', text.length);
	struct bytes inner = text, rest = {NULL, 0};

	if (text.start[0] == '[' && end == NULL)
		return false;
	if (text.start[0] == '[') {
		inner = (struct bytes){text.start + 1, (size_t)(end - text.start) - 1};
		rest = (struct bytes){
			end + 1, text.length - (size_t)(end + 1 - text.start)};
		if (memchr(inner.start, ':', inner.length) == NULL)
			return false;
	} else if (end != NULL &&
		memchr(end + 1, ':', text.length - (size_t)(end + 1 - text.start)) ==
			NULL) {
		inner.length = (size_t)(end - text.start);
		rest = (struct bytes){end, text.length - inner.length};
	}
	return (rest.length == 0 || is_port(rest)) &&
		network_address_parse(address, inner.start, inner.length);
}

static bool read_plain_hop(struct bytes text, struct network_address *address)
{
	return text.length > 0 && read_node(text, address);
}

/* The value of @pair where its name is "for"; its quotes are off. */
static bool read_for(struct bytes pair, struct bytes *value)
{
	if (pair.length < 5 || strncasecmp(pair.start, "for=", 4) != 0)
		return false;
	*value = (struct bytes){pair.start + 4, pair.length - 4};
	if (value->start[0] != '"')
		return true;
	if (value->length < 3 || value->start[value->length - 1] != '"')
		return false;
	value->start++;
	value->length -= 2;
	return true;
}

/* for=ADDRESS among pairs with semicolons between (RFC 7239, 4), once. */
static bool read_forwarded_hop(struct bytes text, struct network_address *address)
{
	struct bytes node = {NULL, 0}, pair, value;

	while (bytes_next_entry(&text, ';', &pair)) {
		if (!read_for(pair, &value))
			continue;
		if (node.start != NULL)
			return false;
		node = value;
	}
	return node.start != NULL && read_node(node, address);
}

/* ---- the way ---- */

typedef bool (*read_hop_fn)(struct bytes text, struct network_address *address);

struct walk {
	const struct forwarded_trust *trust;
	read_hop_fn read_hop;
	struct network_address client; /* as far as we are */
};

static bool is_trusted(
	const struct forwarded_trust *trust, const struct network_address *address)
{
	for (size_t i = 0; i < trust->count; i++)
		if (network_has(&trust->proxies[i], address))
			return true;
	return false;
}

/* Goes on from the right of @list. False where the walk ends. */
static bool walk_list(struct walk *walk, struct bytes list)
{
	for (;;) {
		const char *comma = memrchr(list.start, ',', list.length);
		size_t before = comma != NULL ? (size_t)(comma - list.start) : 0;
		const char *hop = comma != NULL ? comma + 1 : list.start;
		struct bytes text = {hop, list.length - (size_t)(hop - list.start)};

		if (!walk->read_hop(bytes_trim(text), &walk->client) ||
			!is_trusted(walk->trust, &walk->client))
			return false;
		if (comma == NULL)
			return true;
		list.length = before;
	}
}

/* Whether the header is there at all; several of one name are one list. */
static bool walk_header(struct walk *walk, const struct head *head, const char *name)
{
	bool found = false, goes_on = true;

	for (size_t i = head->field_count; i > 0; i--) {
		if (!bytes_are_any_case(head->fields[i - 1].name, name))
			continue;
		found = true;
		goes_on = goes_on && walk_list(walk, head->fields[i - 1].value);
	}
	return found;
}

/* ---- public ---- */

void forwarded_trust_init(struct forwarded_trust *trust, char *const *texts, size_t count)
{
	trust->count = 0;
	trust->proxies = count > 0 ? xcalloc(count, sizeof(*trust->proxies)) : NULL;
	for (size_t i = 0; i < count; i++)
		if (network_parse(&trust->proxies[trust->count], texts[i]))
			trust->count++;
}

void forwarded_trust_fini(struct forwarded_trust *trust)
{
	free(trust->proxies);
	*trust = (struct forwarded_trust){0};
}

struct network_address forwarded_client(const struct forwarded_trust *trust,
	const struct network_address *peer, const struct head *head)
{
	struct walk plain = {trust, read_plain_hop, *peer};
	struct walk forwarded = {trust, read_forwarded_hop, *peer};
	bool is_plain, is_forwarded;

	if (!is_trusted(trust, peer))
		return *peer;
	is_plain = walk_header(&plain, head, "x-forwarded-for");
	is_forwarded = walk_header(&forwarded, head, "forwarded");
	if (!is_plain || !is_forwarded)
		return is_plain ? plain.client : forwarded.client;
	return network_address_same(&plain.client, &forwarded.client) ? plain.client
								      : *peer;
}
