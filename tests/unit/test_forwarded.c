#include "gateway/forwarded.h"
#include "gateway/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char *trusted[] = {"10.0.0.0/8", "192.0.2.7", "2001:db8:1::/48"};

/* @headers, each line with CRLF. */
static void assert_client(const char *peer, const char *headers, const char *expected)
{
	struct forwarded_trust trust;
	struct network_address address, client;
	struct head head;
	char request[1024], shown[NETWORK_TEXT_SIZE];
	int length = snprintf(request, sizeof(request),
		"GET / HTTP/1.1\r\nHost: gateway\r\n%s\r\n", headers);

	forwarded_trust_init(&trust, trusted, COUNT(trusted));
	assert_true(network_address_parse(&address, peer, strlen(peer)));
	assert_null(head_parse(&head, request, (size_t)length));
	client = forwarded_client(&trust, &address, &head);
	if (strcmp(network_address_text(&client, shown), expected) != 0)
		fail_msg("%s, %s is %s, not %s", peer, headers, shown, expected);
	forwarded_trust_fini(&trust);
}

#define XFF "X-Forwarded-For: "

static void what_trusted_proxies_say_is_believed_and_nothing_else(void **state)
{
	static const struct {
		const char *peer, *headers, *client;
	} cases[] = {
		/* nobody says anything, or nobody who is trusted */
		{"203.0.113.5", "", "203.0.113.5"},
		{"203.0.113.5", XFF "198.51.100.1\r\n", "203.0.113.5"},
		{"203.0.113.5", "Forwarded: for=198.51.100.1\r\n", "203.0.113.5"},
		{"10.1.2.3", "", "10.1.2.3"},
		{"11.0.0.1", XFF "198.51.100.1\r\n", "11.0.0.1"},
		{"192.0.2.8", XFF "198.51.100.1\r\n", "192.0.2.8"},
		/* one hop */
		{"10.1.2.3", XFF "198.51.100.1\r\n", "198.51.100.1"},
		{"192.0.2.7", "x-forwarded-for:198.51.100.1 \r\n", "198.51.100.1"},
		{"2001:db8:1::9", XFF "2001:db8:ffff::1\r\n", "2001:db8:ffff::1"},
		{"::ffff:10.1.2.3", XFF "198.51.100.1\r\n", "198.51.100.1"},
		/* what stands left of the first stranger may be anything */
		{"10.1.2.3", XFF "1.1.1.1, 198.51.100.1\r\n", "198.51.100.1"},
		{"10.1.2.3", XFF "junk, 198.51.100.1\r\n", "198.51.100.1"},
		{"10.1.2.3", XFF "10.9.9.9, 198.51.100.1\r\n", "198.51.100.1"},
		/* several hops, in one field or in several */
		{"10.1.2.3", XFF "198.51.100.1, 10.4.4.4, 192.0.2.7\r\n", "198.51.100.1"},
		{"10.1.2.3", XFF "198.51.100.1\r\n" XFF "10.4.4.4\r\n", "198.51.100.1"},
		{"10.1.2.3", XFF "10.4.4.4\r\n" XFF "198.51.100.1\r\n", "198.51.100.1"},
		{"10.1.2.3", XFF "10.5.5.5, 10.4.4.4\r\n", "10.5.5.5"},
		/* ports and brackets */
		{"10.1.2.3", XFF "198.51.100.1:4711\r\n", "198.51.100.1"},
		{"10.1.2.3", XFF "[2001:db8::1]:4711\r\n", "2001:db8::1"},
		{"10.1.2.3", XFF "[2001:db8::1]\r\n", "2001:db8::1"},
		{"10.1.2.3", XFF "2001:db8::1\r\n", "2001:db8::1"},
		{"10.1.2.3", XFF "::ffff:198.51.100.1\r\n", "198.51.100.1"},
		/* what is no address ends the way at who said it */
		{"10.1.2.3", XFF "\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "unknown\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "198.51.100.1,\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "198.51.100.1, ,10.4.4.4\r\n", "10.4.4.4"},
		{"10.1.2.3", XFF "198.51.100.1, x, 10.4.4.4\r\n", "10.4.4.4"},
		{"10.1.2.3", XFF "198.51.100.1\r\n" XFF "x\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "198.51.100.256\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "198.51.100.1:\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "198.51.100.1:123456\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "198.51.100.1:1x\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "[198.51.100.1]\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "[2001:db8::1\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "[2001:db8::1]x\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "fe80::1%eth0\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "198.51.100.1/32\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "\"198.51.100.1\"\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "3325256705\r\n", "10.1.2.3"},
		{"10.1.2.3", XFF "[\r\n", "10.1.2.3"},
		/* RFC 7239 */
		{"10.1.2.3", "Forwarded: for=198.51.100.1\r\n", "198.51.100.1"},
		{"10.1.2.3", "Forwarded: proto=https;For=198.51.100.1;by=10.1.2.3\r\n",
			"198.51.100.1"},
		{"10.1.2.3", "Forwarded: for=\"[2001:db8::1]:4711\"; proto=http\r\n",
			"2001:db8::1"},
		{"10.1.2.3", "Forwarded: for=1.1.1.1, for=198.51.100.1, for=10.4.4.4\r\n",
			"198.51.100.1"},
		{"10.1.2.3", "Forwarded: for=\"x, for=198.51.100.1\r\n", "198.51.100.1"},
		{"10.1.2.3", "Forwarded: for=_hidden\r\n", "10.1.2.3"},
		{"10.1.2.3", "Forwarded: for=\"\"\r\n", "10.1.2.3"},
		{"10.1.2.3", "Forwarded: for=\"\r\n", "10.1.2.3"},
		{"10.1.2.3", "Forwarded: for=\r\n", "10.1.2.3"},
		{"10.1.2.3", "Forwarded: ;;\r\n", "10.1.2.3"},
		{"10.1.2.3", "Forwarded: by=198.51.100.1\r\n", "10.1.2.3"},
		{"10.1.2.3", "Forwarded: for=198.51.100.1;for=198.51.100.2\r\n",
			"10.1.2.3"},
		/* both: only what they agree on */
		{"10.1.2.3", XFF "198.51.100.1\r\nForwarded: for=198.51.100.1\r\n",
			"198.51.100.1"},
		{"10.1.2.3", XFF "198.51.100.1\r\nForwarded: for=198.51.100.2\r\n",
			"10.1.2.3"},
		{"10.1.2.3", XFF "x\r\nForwarded: for=198.51.100.2\r\n", "10.1.2.3"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_client(cases[i].peer, cases[i].headers, cases[i].client);
}

static void blocks_are_read_strictly(void **state)
{
	static const char *const good[] = {"10.0.0.0/8", "0.0.0.0/0", "1.2.3.4",
		"1.2.3.4/32", "::/0", "2001:db8::/32", "::1/128", "::1"};
	static const char *const bad[] = {"", "10.0.0.0/", "10.0.0.0/33", "10/8",
		"10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/ 8", "::/129", "localhost",
		"10.0.0.0/8/8", "010.0.0.1", "::1/0008", "10.0.0.1:80"};
	struct network network;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		if (!network_parse(&network, good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (network_parse(&network, bad[i]))
			fail_msg("accepted: %s", bad[i]);
}

static bool within(const char *block, const char *text)
{
	struct network network;
	struct network_address address;

	assert_true(network_parse(&network, block));
	assert_true(network_address_parse(&address, text, strlen(text)));
	return network_has(&network, &address);
}

static void a_block_has_what_its_first_bits_say(void **state)
{
	(void)state;
	assert_true(within("10.0.0.0/8", "10.255.1.1"));
	assert_false(within("10.0.0.0/8", "11.0.0.0"));
	assert_true(within("172.16.0.0/12", "172.31.255.255"));
	assert_false(within("172.16.0.0/12", "172.32.0.0"));
	assert_true(within("0.0.0.0/0", "203.0.113.1"));
	assert_false(within("0.0.0.0/0", "2001:db8::1"));
	assert_true(within("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(within("2001:db8::/33", "2001:db8:8000::1"));
	assert_true(within("::1", "::1"));
	assert_false(within("::1", "::2"));
}

static struct peer *hold(struct peers *peers, const char *text, uint32_t most)
{
	struct network_address address;

	assert_true(network_address_parse(&address, text, strlen(text)));
	return peers_hold(peers, &address, most);
}

static void an_address_has_as_many_connections_as_it_may_and_no_more(void **state)
{
	struct peers *peers = peers_new();
	struct peer *a, *b, *other, *sixth, *neighbour;

	(void)state;
	a = hold(peers, "203.0.113.1", 2);
	b = hold(peers, "203.0.113.1", 2);
	assert_non_null(a);
	assert_ptr_equal(a, b);
	assert_null(hold(peers, "203.0.113.1", 2));
	other = hold(peers, "203.0.113.2", 2);
	assert_non_null(other);
	assert_non_null(hold(peers, "203.0.113.1", 0));
	peer_release(a);
	peer_release(a);
	assert_non_null(hold(peers, "203.0.113.1", 2));
	/* One subscriber of IPv6 has a whole /64. */
	sixth = hold(peers, "2001:db8:0:1::1", 1);
	assert_null(hold(peers, "2001:db8:0:1:ffff::2", 1));
	neighbour = hold(peers, "2001:db8:0:2::1", 1);
	assert_non_null(neighbour);
	peer_release(a);
	peer_release(b);
	peer_release(other);
	peer_release(sixth);
	peer_release(neighbour);
	peer_release(NULL);
	peers_free(peers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_trusted_proxies_say_is_believed_and_nothing_else),
		cmocka_unit_test(blocks_are_read_strictly),
		cmocka_unit_test(a_block_has_what_its_first_bits_say),
		cmocka_unit_test(
			an_address_has_as_many_connections_as_it_may_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
