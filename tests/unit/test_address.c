#include "common/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What becomes of one address. */
struct expectation {
	const char *text;
	size_t length;
	enum address_error error;
	int kind;              /* enum address_kind, or -1 for any */
	const char *canonical; /* NULL where it is refused */
};

#define FINE(kind, text)                                                                 \
	{                                                                                \
		text, sizeof(text) - 1, ADDRESS_OK, ADDRESS_##kind, text                 \
	}
#define BECOMES(text, canonical)                                                         \
	{                                                                                \
		text, sizeof(text) - 1, ADDRESS_NOT_CANONICAL, -1, canonical             \
	}
#define REFUSED(error, text)                                                             \
	{                                                                                \
		text, sizeof(text) - 1, ADDRESS_##error, -1, NULL                        \
	}

/* clang-format off */
static const struct expectation expectations[] = {
	/* URIs as they should be */
	FINE(URI, "/"),
	FINE(URI, "/nodes"),
	FINE(URI, "/nodes?bulk=1"),
	FINE(URI, "/nodes/"),
	FINE(URI, "/a/b/c"),
	FINE(URI, "/a//b"),
	FINE(URI, "/a/b//"),
	FINE(URI, "/a;v=1/b"),
	FINE(URI, "/a;x=../b"),
	FINE(URI, "/;x"),
	FINE(URI, "/a/;/b"),
	FINE(URI, "/@host"),
	FINE(URI, "/user@host/x"),
	FINE(URI, "/a:b"),
	FINE(URI, "/a/b:/c"),
	FINE(URI, "/:/x"),
	FINE(URI, "/http://host/"),
	FINE(URI, "/http:/host"),
	FINE(URI, "/2/instances/web-1.example.com"),
	FINE(URI, "/~user"),
	FINE(URI, "/-._~"),
	FINE(URI, "/a!$&'()*+,;=:@b"),
	FINE(URI, "/..."),
	FINE(URI, "/.../x"),
	FINE(URI, "/..a"),
	FINE(URI, "/a.."),
	FINE(URI, "/.a"),
	FINE(URI, "/a."),
	FINE(URI, "/a/..b/c"),
	FINE(URI, "/a/.b./c"),
	FINE(URI, "/.well-known/x"),
	FINE(URI, "/a;./b"),
	FINE(URI, "/a;../b"),
	BECOMES("/a;%2e%2e/b", "/a;../b"),
	FINE(URI, "/a[1]"),
	FINE(URI, "/a%20b"),
	FINE(URI, "/a%3Fb"),
	FINE(URI, "/a%23b"),
	FINE(URI, "/a%5Bb%5D"),
	FINE(URI, "/%C3%A9"),
	FINE(URI, "/%E2%82%AC"),
	FINE(URI, "/%FF"),
	FINE(URI, "/a%25b"),
	FINE(URI, "/a%3Bb"),
	FINE(URI, "/a%5Cb"),
	FINE(URI, "/a%2Fb"),
	FINE(URI, "/%2F"),
	FINE(URI, "/%2F%2F"),
	FINE(URI, "/%2Fhost"),
	FINE(URI, "/%5Chost"),
	FINE(URI, "/%40host"),
	FINE(URI, "/api/queues/%2F/q"),
	FINE(URI, "/api/queues/%2F%2F/q"),
	FINE(URI, "/a%2F/b"),
	FINE(URI, "/a%3B../b"),
	FINE(URI, "/a/%20/b"),
	FINE(URI, "/a/%25/b"),

	/* queries are compared as written */
	FINE(URI, "/a?x"),
	FINE(URI, "/a?x=1&y=2"),
	FINE(URI, "/a?y=2&x=1"),
	FINE(URI, "/a?../.."),
	FINE(URI, "/a?%2e%2e/"),
	FINE(URI, "/a?x=%2f"),
	FINE(URI, "/a?x=%2F"),
	FINE(URI, "/a?%41"),
	FINE(URI, "/a?x=/../y"),
	FINE(URI, "/a?\?"),
	FINE(URI, "/a?x?y"),
	FINE(URI, "/a?x=http://h/"),
	FINE(URI, "/a?x=user@host"),
	FINE(URI, "/a?x=%C3%A9"),
	FINE(URI, "/a?x=%ff"),
	FINE(URI, "/a?;..;"),
	FINE(URI, "/a?x[]=1"),
	FINE(URI, "/a?filter[name]=b"),
	FINE(URI, "/a?+"),
	FINE(URI, "/a?x=//"),
	FINE(URI, "/?x"),
	FINE(URI, "/a?%25"),
	FINE(URI, "/a?%2525"),
	FINE(URI, "/a?%5C.."),

	/* once decoded is what is judged: these hold no dot segments but odd names */
	FINE(URI, "/%252e%252e/x"),
	FINE(URI, "/%252e%252e%252fx"),
	FINE(URI, "/%252e"),
	FINE(URI, "/%252E"),
	FINE(URI, "/%25252e"),
	FINE(URI, "/%C0%AE%C0%AE/x"),
	FINE(URI, "/%C0%AE"),
	FINE(URI, "/%E0%80%AE/x"),
	FINE(URI, "/%F0%80%80%AE/x"),
	FINE(URI, "/..%C0%AF"),
	FINE(URI, "/..%C1%9C"),
	FINE(URI, "/..%20"),
	FINE(URI, "/%20.."),
	FINE(URI, "/..%25"),
	FINE(URI, "/...;x"),
	FINE(URI, "/..a;x"),
	FINE(URI, "/a..;x/b"),
	FINE(URI, "/%EF%BC%8E%EF%BC%8E/x"),
	FINE(URI, "/..%EF%BC%8F"),
	FINE(URI, "/..%EF%BC%8Fx"),
	FINE(URI, "/..:"),
	FINE(URI, "/..@"),
	FINE(URI, "/..,"),
	FINE(URI, "/..="),
	FINE(URI, "/..&"),
	FINE(URI, "/..+"),
	FINE(URI, "/..!"),
	FINE(URI, "/..*"),
	FINE(URI, "/..~"),
	FINE(URI, "/..-"),
	FINE(URI, "/..%3F"),
	FINE(URI, "/..%23"),
	FINE(URI, "/.%3A./"),
	FINE(URI, "/..%255c"),
	FINE(URI, "/..%252f"),
	FINE(URI, "/%2525"),
	FINE(URI, "/..%7C"),
	FINE(URI, "/..%22"),
	FINE(URI, "/..'"),

	/* raw URIs */
	FINE(RAW, "dns:/"),
	FINE(RAW, "dns:/zones"),
	FINE(RAW, "dns:/zones?x=1"),
	FINE(RAW, "compute/dfw:/servers?limit=5"),
	FINE(RAW, "compute/dfw:/a//b"),
	FINE(RAW, "a/b:/c:/d"),
	FINE(RAW, "a/b:/@x"),
	FINE(RAW, "1:/x"),
	FINE(RAW, "_:/x"),
	FINE(RAW, "-:/x"),
	FINE(RAW, "a.b/c.d:/x"),
	FINE(RAW, "http:/x"),
	FINE(RAW, "http:/host/x"),
	FINE(RAW, "compute/dfw:/%2F/q"),
	FINE(RAW, "a:/x?y=b:/c"),
	FINE(RAW, "A/B:/C"),
	FINE(RAW, "a:/..."),
	FINE(RAW, "a..b:/x"),

	/* names */
	FINE(NAMES, "dns/domains"),
	FINE(NAMES, "dns/domains/17"),
	FINE(NAMES, "compute/dfw/servers"),
	FINE(NAMES, "compute/dfw/servers/0a1b"),
	FINE(NAMES, "compute/servers"),
	FINE(NAMES, "a/b/c"),
	FINE(NAMES, "a/b/c/d"),
	FINE(NAMES, "a-b/c_d/e.f"),
	FINE(NAMES, "0/1/2/3"),
	FINE(NAMES, "a/b/c:d"),
	FINE(NAMES, "a/b/c/d:e"),
	FINE(NAMES, "a/b/c@d"),
	FINE(NAMES, "a/b/c/user@host"),
	FINE(NAMES, "a/b/c;x"),
	FINE(NAMES, "a/b/c/d;x=.."),
	FINE(NAMES, "a/b/c/a%20b"),
	FINE(NAMES, "a/b/c/%C3%A9"),
	FINE(NAMES, "a/b/c/%25"),
	FINE(NAMES, "a/b/c/%3F"),
	FINE(NAMES, "a/b/c/~x"),
	FINE(NAMES, "a/b/c/..."),
	FINE(NAMES, "a/b/c/.x"),
	FINE(NAMES, "a/b/.x"),
	FINE(NAMES, "a/b/c/x=1&y"),
	FINE(NAMES, "a/b/c/%5C"),
	FINE(NAMES, "_a/-b/c"),
	FINE(NAMES, "a/b/c/(1)"),
	FINE(NAMES, "a/b/c/*"),
	FINE(NAMES, "a/b/c/a+b"),
	FINE(NAMES, "a/b/c/a,b"),
	FINE(NAMES, "a/b/c/$"),
	FINE(NAMES, "a/b/c/!"),
	FINE(NAMES, "a/b/c/'"),
	FINE(NAMES, "a/b/c/:"),
	FINE(NAMES, "a/b/..x"),

	/* brought into canonical form */
	BECOMES("/a?", "/a"),
	BECOMES("/?", "/"),
	BECOMES("/%41", "/A"),
	BECOMES("/%61%62", "/ab"),
	BECOMES("/%7Euser", "/~user"),
	BECOMES("/%7euser", "/~user"),
	BECOMES("/%2d%2e%5f%7e", "/-._~"),
	BECOMES("/a%2fb", "/a%2Fb"),
	BECOMES("/a%2f", "/a%2F"),
	BECOMES("/%c3%a9", "/%C3%A9"),
	BECOMES("/%5b%5d", "/%5B%5D"),
	BECOMES("/a%3ab", "/a%3Ab"),
	BECOMES("/%30%39", "/09"),
	BECOMES("/%5A%7A", "/Zz"),
	BECOMES("/a%3fb", "/a%3Fb"),
	BECOMES("/%61?%61", "/a?%61"),
	BECOMES("/a%2fb?c%2fd", "/a%2Fb?c%2fd"),
	BECOMES("/..%61", "/..a"),
	BECOMES("/%2e%2e%2e", "/..."),
	BECOMES("/.%2e.", "/..."),
	BECOMES("/a%2e%2e", "/a.."),
	BECOMES("/%2ea", "/.a"),
	BECOMES("/a%5cb", "/a%5Cb"),
	BECOMES("/%252e%6E", "/%252en"),
	FINE(URI, "/%2541"),
	BECOMES("dns:/zones?", "dns:/zones"),
	BECOMES("dns:/%7a", "dns:/z"),
	BECOMES("dns%2dx:/a", "dns-x:/a"),
	BECOMES("%64ns/domains", "dns/domains"),
	BECOMES("compute/%64fw/servers", "compute/dfw/servers"),
	BECOMES("a/b/c%2d", "a/b/c-"),
	BECOMES("a/b/c/%7e", "a/b/c/~"),
	BECOMES("a/b/c/%c3%a9", "a/b/c/%C3%A9"),
	BECOMES("a/b/c?", "a/b/c"),
	BECOMES("a/b?", "a/b"),
	BECOMES("/a%ff", "/a%FF"),
	BECOMES("/api/queues/%2f/q", "/api/queues/%2F/q"),
	BECOMES("/%2f%2f", "/%2F%2F"),
	BECOMES("/%2fhost", "/%2Fhost"),
	BECOMES("/%40host%3a80", "/%40host%3A80"),

	/* nothing, and shapes that are none */
	REFUSED(EMPTY, ""),
	REFUSED(SHAPE, "nodes"),
	REFUSED(SHAPE, "a"),
	REFUSED(SHAPE, "-"),
	REFUSED(SHAPE, "?"),
	REFUSED(SHAPE, "?x"),
	REFUSED(NAME, "a?x=1/b"),
	REFUSED(SHAPE, "a?x"),
	REFUSED(SHAPE, "*"),
	REFUSED(SHAPE, "!"),
	REFUSED(SHAPE, "a/b/c/d/e"),
	REFUSED(SHAPE, "a/b/c/d/e/f"),
	REFUSED(SHAPE, "a/b/c:/x"),
	REFUSED(SHAPE, "a/b/c/d:/x"),
	REFUSED(SHAPE, "a/b/c/d/"),
	REFUSED(SHAPE, "http%3A%2F%2Fx"),

	/* names that are not plain */
	REFUSED(NAME, "a/"),
	REFUSED(NAME, "a//b"),
	REFUSED(NAME, "a/b/"),
	REFUSED(NAME, "a//b/c"),
	REFUSED(NAME, ":/x"),
	REFUSED(NAME, "a/:/x"),
	REFUSED(NAME, "a%20b/c"),
	REFUSED(NAME, "a/b?x=1"),
	REFUSED(NAME, "a/b?x"),
	REFUSED(NAME, "a/b/c?x=1"),
	REFUSED(NAME, "a/b/c/d?x"),
	REFUSED(NAME, "a/b/c%2Fd"),
	REFUSED(NAME, "a/b/c/d%2fe"),
	REFUSED(NAME, "a/b/c/%2F"),
	REFUSED(NAME, "a/b/%2F"),
	REFUSED(NAME, "~a/b"),
	REFUSED(NAME, "a/~b"),
	REFUSED(NAME, "a~/b"),
	REFUSED(NAME, ".a/b"),
	REFUSED(NAME, "a/.b"),
	REFUSED(NAME, ".a:/x"),
	REFUSED(NAME, "a/.b:/x"),
	REFUSED(NAME, "a%2Fb/c"),
	REFUSED(NAME, "a/b%2Fc"),
	REFUSED(NAME, "a/b;x"),
	REFUSED(NAME, "a;x/b"),
	REFUSED(NAME, "a/b;x/c"),
	REFUSED(NAME, "a!/b"),
	REFUSED(NAME, "a/b!"),
	REFUSED(NAME, "a+b/c"),
	REFUSED(NAME, "a/b=c"),
	REFUSED(NAME, "a,b/c"),
	REFUSED(NAME, "(a)/b"),
	REFUSED(NAME, "a/[b]"),
	REFUSED(NAME, "a/%C3%A9"),
	REFUSED(NAME, "%C3%A9/b"),
	REFUSED(NAME, "%25/b"),
	REFUSED(NAME, "a/b%25/c"),
	REFUSED(NAME, "a/b@c"),
	REFUSED(NAME, "a/b:c"),
	REFUSED(NAME, "a/b@c/d"),
	REFUSED(NAME, "a/b:c/d"),
	REFUSED(NAME, "a/b/c/"),
	REFUSED(NAME, "a/b//d"),
	REFUSED(NAME, "%2Ea/b"),
	REFUSED(NAME, "a/b?:/c"),
	REFUSED(NAME, "a?:/c"),
	REFUSED(NAME, "a/b?../c"),
	REFUSED(NAME, "..:/x"),
	REFUSED(NAME, "a/..:/x"),
	REFUSED(NAME, "[1]/x"),

	/* whatever names a host, a user or a scheme */
	REFUSED(USERINFO, "http://host/"),
	REFUSED(USERINFO, "https://host/x"),
	REFUSED(USERINFO, "HTTP://HOST/"),
	REFUSED(USERINFO, "ftp://host/"),
	REFUSED(USERINFO, "file:///etc/passwd"),
	REFUSED(USERINFO, "gopher://host/"),
	REFUSED(USERINFO, "javascript://x"),
	REFUSED(USERINFO, "dict://host:1/"),
	REFUSED(USERINFO, "redis://host"),
	REFUSED(USERINFO, "ws://host/ws"),
	REFUSED(USERINFO, "unix://x"),
	REFUSED(USERINFO, "a://b"),
	REFUSED(USERINFO, "dns://zones"),
	REFUSED(USERINFO, "http:///x"),
	REFUSED(USERINFO, "http:////x"),
	REFUSED(USERINFO, "user@host/x"),
	REFUSED(USERINFO, "user:pass@host/x"),
	REFUSED(USERINFO, "user:pass@host:/x"),
	REFUSED(USERINFO, "user@host:/x"),
	REFUSED(USERINFO, "user@host"),
	REFUSED(USERINFO, "@host"),
	REFUSED(USERINFO, "@host/x"),
	REFUSED(USERINFO, ":@host/x"),
	REFUSED(USERINFO, "host:80/x"),
	REFUSED(USERINFO, "host:80"),
	REFUSED(USERINFO, "localhost:5080/2"),
	REFUSED(USERINFO, "a:b/c"),
	REFUSED(USERINFO, "http:host"),
	REFUSED(USERINFO, "http:host/x"),
	REFUSED(USERINFO, "mailto:x"),
	REFUSED(USERINFO, "javascript:alert(1)"),
	REFUSED(USERINFO, "data:,x"),
	REFUSED(USERINFO, "a@b:/c"),
	REFUSED(USERINFO, "@:/x"),
	REFUSED(USERINFO, "x:@y/z"),
	REFUSED(USERINFO, "[::1]:80/x"),
	REFUSED(USERINFO, "[::1]/x"),
	REFUSED(USERINFO, "http:%2F%2Fhost/x"),
	REFUSED(USERINFO, "http:%5C%5Chost"),
	REFUSED(USERINFO, "http:%2f/x"),
	REFUSED(USERINFO, "1.2.3.4:80/x"),
	REFUSED(USERINFO, "a:..x/b"),
	REFUSED(USERINFO, "host:0/x/y/z/a/b"),
	REFUSED(USERINFO, "u@h/a/b/c/d/e"),

	/* // at the start is another host's */
	REFUSED(DOUBLE_SLASH, "//"),
	REFUSED(DOUBLE_SLASH, "//host"),
	REFUSED(DOUBLE_SLASH, "//host/x"),
	REFUSED(DOUBLE_SLASH, "///"),
	REFUSED(DOUBLE_SLASH, "///x"),
	REFUSED(DOUBLE_SLASH, "//@host"),
	REFUSED(DOUBLE_SLASH, "//user@host/"),
	REFUSED(DOUBLE_SLASH, "//host:80/"),
	REFUSED(DOUBLE_SLASH, "//?x"),
	REFUSED(DOUBLE_SLASH, "//a//b"),
	REFUSED(DOUBLE_SLASH, "////host"),
	REFUSED(DOUBLE_SLASH, "compute/dfw://"),
	REFUSED(DOUBLE_SLASH, "compute/dfw://host/x"),
	REFUSED(DOUBLE_SLASH, "a/b:///x"),
	REFUSED(DOUBLE_SLASH, "//%2Fhost"),
	REFUSED(DOUBLE_SLASH, "//;x"),
	REFUSED(DOUBLE_SLASH, "//:80"),

	/* fragments */
	REFUSED(FRAGMENT, "#"),
	REFUSED(FRAGMENT, "/#"),
	REFUSED(FRAGMENT, "/a#b"),
	REFUSED(FRAGMENT, "/a#"),
	REFUSED(FRAGMENT, "/a?x#y"),
	REFUSED(FRAGMENT, "/a#?x"),
	REFUSED(FRAGMENT, "a/b#c"),
	REFUSED(FRAGMENT, "dns:/x#"),
	REFUSED(FRAGMENT, "/a#../b"),
	REFUSED(FRAGMENT, "a/b/c/#"),

	/* escapes that are none */
	REFUSED(BROKEN_ESCAPE, "%"),
	REFUSED(BROKEN_ESCAPE, "/%"),
	REFUSED(BROKEN_ESCAPE, "/%2"),
	REFUSED(BROKEN_ESCAPE, "/%g0"),
	REFUSED(BROKEN_ESCAPE, "/%0g"),
	REFUSED(BROKEN_ESCAPE, "/%zz"),
	REFUSED(BROKEN_ESCAPE, "/a%"),
	REFUSED(BROKEN_ESCAPE, "/a%2"),
	REFUSED(BROKEN_ESCAPE, "/a%%"),
	REFUSED(BROKEN_ESCAPE, "/%%32%65"),
	REFUSED(BROKEN_ESCAPE, "/%2%65"),
	REFUSED(BROKEN_ESCAPE, "/%u002e%u002e"),
	REFUSED(BROKEN_ESCAPE, "/%U002e"),
	REFUSED(BROKEN_ESCAPE, "/a?%"),
	REFUSED(BROKEN_ESCAPE, "/a?x=%4"),
	REFUSED(BROKEN_ESCAPE, "/a?%zz"),
	REFUSED(BROKEN_ESCAPE, "/%2x"),
	REFUSED(BROKEN_ESCAPE, "/%-1"),
	REFUSED(BROKEN_ESCAPE, "/% 41"),
	REFUSED(BROKEN_ESCAPE, "/%+2"),
	REFUSED(BROKEN_ESCAPE, "/%0x"),
	REFUSED(BROKEN_ESCAPE, "dns:/%"),
	REFUSED(BROKEN_ESCAPE, "a/b/c%"),
	REFUSED(BROKEN_ESCAPE, "a/b/c/%2"),
	REFUSED(BROKEN_ESCAPE, "%/b"),
	REFUSED(BROKEN_ESCAPE, "/%2e%2"),
	REFUSED(BROKEN_ESCAPE, "/%25%"),
	REFUSED(BROKEN_ESCAPE, "/a%2/"),
	REFUSED(BROKEN_ESCAPE, "/a%/b"),
	REFUSED(BROKEN_ESCAPE, "/a%2?x"),
	REFUSED(BROKEN_ESCAPE, "/%?"),
	REFUSED(BROKEN_ESCAPE, "/%#"),
	REFUSED(BROKEN_ESCAPE, "/%.."),

	/* bytes that must be escaped */
	REFUSED(RAW_BYTE, "/ "),
	REFUSED(RAW_BYTE, "/a b"),
	REFUSED(RAW_BYTE, "/a?x= "),
	REFUSED(RAW_BYTE, "dns:/ "),
	REFUSED(RAW_BYTE, "a/b/c "),
	REFUSED(RAW_BYTE, " /b"),
	REFUSED(RAW_BYTE, "/\""),
	REFUSED(RAW_BYTE, "/a\"b"),
	REFUSED(RAW_BYTE, "/a?x=\""),
	REFUSED(RAW_BYTE, "dns:/\""),
	REFUSED(RAW_BYTE, "a/b/c\""),
	REFUSED(RAW_BYTE, "\"/b"),
	REFUSED(RAW_BYTE, "/<"),
	REFUSED(RAW_BYTE, "/a<b"),
	REFUSED(RAW_BYTE, "/a?x=<"),
	REFUSED(RAW_BYTE, "dns:/<"),
	REFUSED(RAW_BYTE, "a/b/c<"),
	REFUSED(RAW_BYTE, "</b"),
	REFUSED(RAW_BYTE, "/>"),
	REFUSED(RAW_BYTE, "/a>b"),
	REFUSED(RAW_BYTE, "/a?x=>"),
	REFUSED(RAW_BYTE, "dns:/>"),
	REFUSED(RAW_BYTE, "a/b/c>"),
	REFUSED(RAW_BYTE, ">/b"),
	REFUSED(RAW_BYTE, "/\\"),
	REFUSED(RAW_BYTE, "/a\\b"),
	REFUSED(RAW_BYTE, "/a?x=\\"),
	REFUSED(RAW_BYTE, "dns:/\\"),
	REFUSED(RAW_BYTE, "a/b/c\\"),
	REFUSED(RAW_BYTE, "\\/b"),
	REFUSED(RAW_BYTE, "/^"),
	REFUSED(RAW_BYTE, "/a^b"),
	REFUSED(RAW_BYTE, "/a?x=^"),
	REFUSED(RAW_BYTE, "dns:/^"),
	REFUSED(RAW_BYTE, "a/b/c^"),
	REFUSED(RAW_BYTE, "^/b"),
	REFUSED(RAW_BYTE, "/`"),
	REFUSED(RAW_BYTE, "/a`b"),
	REFUSED(RAW_BYTE, "/a?x=`"),
	REFUSED(RAW_BYTE, "dns:/`"),
	REFUSED(RAW_BYTE, "a/b/c`"),
	REFUSED(RAW_BYTE, "`/b"),
	REFUSED(RAW_BYTE, "/{"),
	REFUSED(RAW_BYTE, "/a{b"),
	REFUSED(RAW_BYTE, "/a?x={"),
	REFUSED(RAW_BYTE, "dns:/{"),
	REFUSED(RAW_BYTE, "a/b/c{"),
	REFUSED(RAW_BYTE, "{/b"),
	REFUSED(RAW_BYTE, "/|"),
	REFUSED(RAW_BYTE, "/a|b"),
	REFUSED(RAW_BYTE, "/a?x=|"),
	REFUSED(RAW_BYTE, "dns:/|"),
	REFUSED(RAW_BYTE, "a/b/c|"),
	REFUSED(RAW_BYTE, "|/b"),
	REFUSED(RAW_BYTE, "/}"),
	REFUSED(RAW_BYTE, "/a}b"),
	REFUSED(RAW_BYTE, "/a?x=}"),
	REFUSED(RAW_BYTE, "dns:/}"),
	REFUSED(RAW_BYTE, "a/b/c}"),
	REFUSED(RAW_BYTE, "}/b"),
	REFUSED(RAW_BYTE, "/\x80"),
	REFUSED(RAW_BYTE, "/a?\x80"),
	REFUSED(RAW_BYTE, "/\x85"),
	REFUSED(RAW_BYTE, "/a?\x85"),
	REFUSED(RAW_BYTE, "/\x9f"),
	REFUSED(RAW_BYTE, "/a?\x9f"),
	REFUSED(RAW_BYTE, "/\xa0"),
	REFUSED(RAW_BYTE, "/a?\xa0"),
	REFUSED(RAW_BYTE, "/\xad"),
	REFUSED(RAW_BYTE, "/a?\xad"),
	REFUSED(RAW_BYTE, "/\xc0"),
	REFUSED(RAW_BYTE, "/a?\xc0"),
	REFUSED(RAW_BYTE, "/\xc2"),
	REFUSED(RAW_BYTE, "/a?\xc2"),
	REFUSED(RAW_BYTE, "/\xe9"),
	REFUSED(RAW_BYTE, "/a?\xe9"),
	REFUSED(RAW_BYTE, "/\xef"),
	REFUSED(RAW_BYTE, "/a?\xef"),
	REFUSED(RAW_BYTE, "/\xfe"),
	REFUSED(RAW_BYTE, "/a?\xfe"),
	REFUSED(RAW_BYTE, "/\xff"),
	REFUSED(RAW_BYTE, "/a?\xff"),
	REFUSED(RAW_BYTE, "/\xc3\xa9"),
	REFUSED(RAW_BYTE, "/\xe2\x82\xac"),
	REFUSED(RAW_BYTE, "/\xef\xbc\x8e\xef\xbc\x8e/x"),
	REFUSED(RAW_BYTE, "/..\xef\xbc\x8fx"),
	REFUSED(RAW_BYTE, "/\xc0\xae\xc0\xae/x"),
	REFUSED(RAW_BYTE, "/\xe2\x80\xae"),
	REFUSED(RAW_BYTE, "/\xef\xbb\xbf"),
	REFUSED(RAW_BYTE, "\xef\xbb\xbf/a"),
	REFUSED(RAW_BYTE, "/\\host"),
	REFUSED(RAW_BYTE, "\\\\host"),
	REFUSED(RAW_BYTE, "\\host"),
	REFUSED(RAW_BYTE, "/a\\..\\b"),
	REFUSED(RAW_BYTE, "/..\\"),
	REFUSED(RAW_BYTE, "/..\\x"),
	REFUSED(RAW_BYTE, "..\\x"),
	REFUSED(RAW_BYTE, "/a/\\../b"),
	REFUSED(RAW_BYTE, "http:\\\\host"),
	REFUSED(RAW_BYTE, "/{id}"),
	REFUSED(RAW_BYTE, "/a?x y"),
	REFUSED(RAW_BYTE, " /a"),
	REFUSED(RAW_BYTE, "/a "),
	REFUSED(RAW_BYTE, "/<script>"),

	/* control bytes, raw and escaped */
	REFUSED(CONTROL_BYTE, "/a\x00""b"),
	REFUSED(CONTROL_BYTE, "/a%00"),
	REFUSED(CONTROL_BYTE, "/a?x=%00b"),
	REFUSED(CONTROL_BYTE, "/a\x01""b"),
	REFUSED(CONTROL_BYTE, "/a%01"),
	REFUSED(CONTROL_BYTE, "/a?x=%01b"),
	REFUSED(CONTROL_BYTE, "/a\x02""b"),
	REFUSED(CONTROL_BYTE, "/a%02"),
	REFUSED(CONTROL_BYTE, "/a?x=%02b"),
	REFUSED(CONTROL_BYTE, "/a\x03""b"),
	REFUSED(CONTROL_BYTE, "/a%03"),
	REFUSED(CONTROL_BYTE, "/a?x=%03b"),
	REFUSED(CONTROL_BYTE, "/a\x04""b"),
	REFUSED(CONTROL_BYTE, "/a%04"),
	REFUSED(CONTROL_BYTE, "/a?x=%04b"),
	REFUSED(CONTROL_BYTE, "/a\x05""b"),
	REFUSED(CONTROL_BYTE, "/a%05"),
	REFUSED(CONTROL_BYTE, "/a?x=%05b"),
	REFUSED(CONTROL_BYTE, "/a\x06""b"),
	REFUSED(CONTROL_BYTE, "/a%06"),
	REFUSED(CONTROL_BYTE, "/a?x=%06b"),
	REFUSED(CONTROL_BYTE, "/a\x07""b"),
	REFUSED(CONTROL_BYTE, "/a%07"),
	REFUSED(CONTROL_BYTE, "/a?x=%07b"),
	REFUSED(CONTROL_BYTE, "/a\x08""b"),
	REFUSED(CONTROL_BYTE, "/a%08"),
	REFUSED(CONTROL_BYTE, "/a?x=%08b"),
	REFUSED(CONTROL_BYTE, "/a\x09""b"),
	REFUSED(CONTROL_BYTE, "/a%09"),
	REFUSED(CONTROL_BYTE, "/a?x=%09b"),
	REFUSED(CONTROL_BYTE, "/a\x0a""b"),
	REFUSED(CONTROL_BYTE, "/a%0A"),
	REFUSED(CONTROL_BYTE, "/a?x=%0ab"),
	REFUSED(CONTROL_BYTE, "/a\x0b""b"),
	REFUSED(CONTROL_BYTE, "/a%0B"),
	REFUSED(CONTROL_BYTE, "/a?x=%0bb"),
	REFUSED(CONTROL_BYTE, "/a\x0c""b"),
	REFUSED(CONTROL_BYTE, "/a%0C"),
	REFUSED(CONTROL_BYTE, "/a?x=%0cb"),
	REFUSED(CONTROL_BYTE, "/a\x0d""b"),
	REFUSED(CONTROL_BYTE, "/a%0D"),
	REFUSED(CONTROL_BYTE, "/a?x=%0db"),
	REFUSED(CONTROL_BYTE, "/a\x0e""b"),
	REFUSED(CONTROL_BYTE, "/a%0E"),
	REFUSED(CONTROL_BYTE, "/a?x=%0eb"),
	REFUSED(CONTROL_BYTE, "/a\x0f""b"),
	REFUSED(CONTROL_BYTE, "/a%0F"),
	REFUSED(CONTROL_BYTE, "/a?x=%0fb"),
	REFUSED(CONTROL_BYTE, "/a\x10""b"),
	REFUSED(CONTROL_BYTE, "/a%10"),
	REFUSED(CONTROL_BYTE, "/a?x=%10b"),
	REFUSED(CONTROL_BYTE, "/a\x11""b"),
	REFUSED(CONTROL_BYTE, "/a%11"),
	REFUSED(CONTROL_BYTE, "/a?x=%11b"),
	REFUSED(CONTROL_BYTE, "/a\x12""b"),
	REFUSED(CONTROL_BYTE, "/a%12"),
	REFUSED(CONTROL_BYTE, "/a?x=%12b"),
	REFUSED(CONTROL_BYTE, "/a\x13""b"),
	REFUSED(CONTROL_BYTE, "/a%13"),
	REFUSED(CONTROL_BYTE, "/a?x=%13b"),
	REFUSED(CONTROL_BYTE, "/a\x14""b"),
	REFUSED(CONTROL_BYTE, "/a%14"),
	REFUSED(CONTROL_BYTE, "/a?x=%14b"),
	REFUSED(CONTROL_BYTE, "/a\x15""b"),
	REFUSED(CONTROL_BYTE, "/a%15"),
	REFUSED(CONTROL_BYTE, "/a?x=%15b"),
	REFUSED(CONTROL_BYTE, "/a\x16""b"),
	REFUSED(CONTROL_BYTE, "/a%16"),
	REFUSED(CONTROL_BYTE, "/a?x=%16b"),
	REFUSED(CONTROL_BYTE, "/a\x17""b"),
	REFUSED(CONTROL_BYTE, "/a%17"),
	REFUSED(CONTROL_BYTE, "/a?x=%17b"),
	REFUSED(CONTROL_BYTE, "/a\x18""b"),
	REFUSED(CONTROL_BYTE, "/a%18"),
	REFUSED(CONTROL_BYTE, "/a?x=%18b"),
	REFUSED(CONTROL_BYTE, "/a\x19""b"),
	REFUSED(CONTROL_BYTE, "/a%19"),
	REFUSED(CONTROL_BYTE, "/a?x=%19b"),
	REFUSED(CONTROL_BYTE, "/a\x1a""b"),
	REFUSED(CONTROL_BYTE, "/a%1A"),
	REFUSED(CONTROL_BYTE, "/a?x=%1ab"),
	REFUSED(CONTROL_BYTE, "/a\x1b""b"),
	REFUSED(CONTROL_BYTE, "/a%1B"),
	REFUSED(CONTROL_BYTE, "/a?x=%1bb"),
	REFUSED(CONTROL_BYTE, "/a\x1c""b"),
	REFUSED(CONTROL_BYTE, "/a%1C"),
	REFUSED(CONTROL_BYTE, "/a?x=%1cb"),
	REFUSED(CONTROL_BYTE, "/a\x1d""b"),
	REFUSED(CONTROL_BYTE, "/a%1D"),
	REFUSED(CONTROL_BYTE, "/a?x=%1db"),
	REFUSED(CONTROL_BYTE, "/a\x1e""b"),
	REFUSED(CONTROL_BYTE, "/a%1E"),
	REFUSED(CONTROL_BYTE, "/a?x=%1eb"),
	REFUSED(CONTROL_BYTE, "/a\x1f""b"),
	REFUSED(CONTROL_BYTE, "/a%1F"),
	REFUSED(CONTROL_BYTE, "/a?x=%1fb"),
	REFUSED(CONTROL_BYTE, "/a\x7f""b"),
	REFUSED(CONTROL_BYTE, "/a%7F"),
	REFUSED(CONTROL_BYTE, "/a?x=%7fb"),
	REFUSED(CONTROL_BYTE, "\x00"),
	REFUSED(CONTROL_BYTE, "/\x00"),
	REFUSED(CONTROL_BYTE, "/a\x00"),
	REFUSED(CONTROL_BYTE, "/a\x00/../b"),
	REFUSED(CONTROL_BYTE, "/..\x00/"),
	REFUSED(CONTROL_BYTE, "/..%00/x"),
	REFUSED(CONTROL_BYTE, "/%00"),
	REFUSED(CONTROL_BYTE, "/%00/.."),
	REFUSED(CONTROL_BYTE, "/a%00.json"),
	REFUSED(CONTROL_BYTE, "/a?\x00"),
	REFUSED(CONTROL_BYTE, "/a?%00"),
	REFUSED(CONTROL_BYTE, "/%0d%0aHost:%20evil"),
	REFUSED(CONTROL_BYTE, "/\x0d\x0aHost: evil"),
	REFUSED(CONTROL_BYTE, "/a?x=%0D%0ASet-Cookie:x"),
	REFUSED(CONTROL_BYTE, "/%0a"),
	REFUSED(CONTROL_BYTE, "/%09.."),
	REFUSED(CONTROL_BYTE, "/..%09"),
	REFUSED(CONTROL_BYTE, "/..%0d/"),
	REFUSED(CONTROL_BYTE, "/..%0a"),
	REFUSED(CONTROL_BYTE, "/.%0d./"),
	REFUSED(CONTROL_BYTE, "/a\x0a"),
	REFUSED(CONTROL_BYTE, "\x0a/a"),
	REFUSED(CONTROL_BYTE, "\x09/a"),
	REFUSED(CONTROL_BYTE, "/a\x09"),
	REFUSED(CONTROL_BYTE, "dns:/%00"),
	REFUSED(CONTROL_BYTE, "dns\x00:/x"),
	REFUSED(CONTROL_BYTE, "a/b\x00"),
	REFUSED(CONTROL_BYTE, "a/b/c/%00"),
	REFUSED(CONTROL_BYTE, "a/b/c/%0A"),
	REFUSED(CONTROL_BYTE, "/%7F"),
	REFUSED(CONTROL_BYTE, "/%7f%7F"),
	REFUSED(CONTROL_BYTE, "/%1b[31m"),
	REFUSED(CONTROL_BYTE, "/%00%00"),

	/* dot segments in every spelling, place and company */
	REFUSED(DOT_SEGMENT, "/."),
	REFUSED(DOT_SEGMENT, "/./"),
	REFUSED(DOT_SEGMENT, "/a/."),
	REFUSED(DOT_SEGMENT, "/a/./b"),
	REFUSED(DOT_SEGMENT, "/.;x"),
	REFUSED(DOT_SEGMENT, "/a/.;/b"),
	REFUSED(DOT_SEGMENT, "/.%3Bx"),
	REFUSED(DOT_SEGMENT, "/a%2F."),
	REFUSED(DOT_SEGMENT, "/.%2Fb"),
	REFUSED(DOT_SEGMENT, "/a%5C.%5cb"),
	REFUSED(DOT_SEGMENT, "/.?x"),
	REFUSED(DOT_SEGMENT, "/.%2f./x"),
	REFUSED(DOT_SEGMENT, "dns:/."),
	REFUSED(DOT_SEGMENT, "a/b:/x/./y"),
	REFUSED(DOT_SEGMENT, "a/b/c/."),
	REFUSED(DOT_SEGMENT, "a/b/.;x"),
	REFUSED(DOT_SEGMENT, "./b"),
	REFUSED(DOT_SEGMENT, "/%2e"),
	REFUSED(DOT_SEGMENT, "/%2e/"),
	REFUSED(DOT_SEGMENT, "/a/%2e"),
	REFUSED(DOT_SEGMENT, "/a/%2e/b"),
	REFUSED(DOT_SEGMENT, "/%2e;x"),
	REFUSED(DOT_SEGMENT, "/a/%2e;/b"),
	REFUSED(DOT_SEGMENT, "/%2e%3Bx"),
	REFUSED(DOT_SEGMENT, "/a%2F%2e"),
	REFUSED(DOT_SEGMENT, "/%2e%2Fb"),
	REFUSED(DOT_SEGMENT, "/a%5C%2e%5cb"),
	REFUSED(DOT_SEGMENT, "/%2e?x"),
	REFUSED(DOT_SEGMENT, "/%2e%2f%2e/x"),
	REFUSED(DOT_SEGMENT, "dns:/%2e"),
	REFUSED(DOT_SEGMENT, "a/b:/x/%2e/y"),
	REFUSED(DOT_SEGMENT, "a/b/c/%2e"),
	REFUSED(DOT_SEGMENT, "a/b/%2e;x"),
	REFUSED(DOT_SEGMENT, "%2e/b"),
	REFUSED(DOT_SEGMENT, "/%2E"),
	REFUSED(DOT_SEGMENT, "/%2E/"),
	REFUSED(DOT_SEGMENT, "/a/%2E"),
	REFUSED(DOT_SEGMENT, "/a/%2E/b"),
	REFUSED(DOT_SEGMENT, "/%2E;x"),
	REFUSED(DOT_SEGMENT, "/a/%2E;/b"),
	REFUSED(DOT_SEGMENT, "/%2E%3Bx"),
	REFUSED(DOT_SEGMENT, "/a%2F%2E"),
	REFUSED(DOT_SEGMENT, "/%2E%2Fb"),
	REFUSED(DOT_SEGMENT, "/a%5C%2E%5cb"),
	REFUSED(DOT_SEGMENT, "/%2E?x"),
	REFUSED(DOT_SEGMENT, "/%2E%2f%2E/x"),
	REFUSED(DOT_SEGMENT, "dns:/%2E"),
	REFUSED(DOT_SEGMENT, "a/b:/x/%2E/y"),
	REFUSED(DOT_SEGMENT, "a/b/c/%2E"),
	REFUSED(DOT_SEGMENT, "a/b/%2E;x"),
	REFUSED(DOT_SEGMENT, "%2E/b"),
	REFUSED(DOT_SEGMENT, "/.."),
	REFUSED(DOT_SEGMENT, "/../"),
	REFUSED(DOT_SEGMENT, "/a/.."),
	REFUSED(DOT_SEGMENT, "/a/../b"),
	REFUSED(DOT_SEGMENT, "/..;x"),
	REFUSED(DOT_SEGMENT, "/a/..;/b"),
	REFUSED(DOT_SEGMENT, "/..%3Bx"),
	REFUSED(DOT_SEGMENT, "/a%2F.."),
	REFUSED(DOT_SEGMENT, "/..%2Fb"),
	REFUSED(DOT_SEGMENT, "/a%5C..%5cb"),
	REFUSED(DOT_SEGMENT, "/..?x"),
	REFUSED(DOT_SEGMENT, "/..%2f../x"),
	REFUSED(DOT_SEGMENT, "dns:/.."),
	REFUSED(DOT_SEGMENT, "a/b:/x/../y"),
	REFUSED(DOT_SEGMENT, "a/b/c/.."),
	REFUSED(DOT_SEGMENT, "a/b/..;x"),
	REFUSED(DOT_SEGMENT, "../b"),
	REFUSED(DOT_SEGMENT, "/.%2e"),
	REFUSED(DOT_SEGMENT, "/.%2e/"),
	REFUSED(DOT_SEGMENT, "/a/.%2e"),
	REFUSED(DOT_SEGMENT, "/a/.%2e/b"),
	REFUSED(DOT_SEGMENT, "/.%2e;x"),
	REFUSED(DOT_SEGMENT, "/a/.%2e;/b"),
	REFUSED(DOT_SEGMENT, "/.%2e%3Bx"),
	REFUSED(DOT_SEGMENT, "/a%2F.%2e"),
	REFUSED(DOT_SEGMENT, "/.%2e%2Fb"),
	REFUSED(DOT_SEGMENT, "/a%5C.%2e%5cb"),
	REFUSED(DOT_SEGMENT, "/.%2e?x"),
	REFUSED(DOT_SEGMENT, "/.%2e%2f.%2e/x"),
	REFUSED(DOT_SEGMENT, "dns:/.%2e"),
	REFUSED(DOT_SEGMENT, "a/b:/x/.%2e/y"),
	REFUSED(DOT_SEGMENT, "a/b/c/.%2e"),
	REFUSED(DOT_SEGMENT, "a/b/.%2e;x"),
	REFUSED(DOT_SEGMENT, ".%2e/b"),
	REFUSED(DOT_SEGMENT, "/%2e."),
	REFUSED(DOT_SEGMENT, "/%2e./"),
	REFUSED(DOT_SEGMENT, "/a/%2e."),
	REFUSED(DOT_SEGMENT, "/a/%2e./b"),
	REFUSED(DOT_SEGMENT, "/%2e.;x"),
	REFUSED(DOT_SEGMENT, "/a/%2e.;/b"),
	REFUSED(DOT_SEGMENT, "/%2e.%3Bx"),
	REFUSED(DOT_SEGMENT, "/a%2F%2e."),
	REFUSED(DOT_SEGMENT, "/%2e.%2Fb"),
	REFUSED(DOT_SEGMENT, "/a%5C%2e.%5cb"),
	REFUSED(DOT_SEGMENT, "/%2e.?x"),
	REFUSED(DOT_SEGMENT, "/%2e.%2f%2e./x"),
	REFUSED(DOT_SEGMENT, "dns:/%2e."),
	REFUSED(DOT_SEGMENT, "a/b:/x/%2e./y"),
	REFUSED(DOT_SEGMENT, "a/b/c/%2e."),
	REFUSED(DOT_SEGMENT, "a/b/%2e.;x"),
	REFUSED(DOT_SEGMENT, "%2e./b"),
	REFUSED(DOT_SEGMENT, "/%2E%2e"),
	REFUSED(DOT_SEGMENT, "/%2E%2e/"),
	REFUSED(DOT_SEGMENT, "/a/%2E%2e"),
	REFUSED(DOT_SEGMENT, "/a/%2E%2e/b"),
	REFUSED(DOT_SEGMENT, "/%2E%2e;x"),
	REFUSED(DOT_SEGMENT, "/a/%2E%2e;/b"),
	REFUSED(DOT_SEGMENT, "/%2E%2e%3Bx"),
	REFUSED(DOT_SEGMENT, "/a%2F%2E%2e"),
	REFUSED(DOT_SEGMENT, "/%2E%2e%2Fb"),
	REFUSED(DOT_SEGMENT, "/a%5C%2E%2e%5cb"),
	REFUSED(DOT_SEGMENT, "/%2E%2e?x"),
	REFUSED(DOT_SEGMENT, "/%2E%2e%2f%2E%2e/x"),
	REFUSED(DOT_SEGMENT, "dns:/%2E%2e"),
	REFUSED(DOT_SEGMENT, "a/b:/x/%2E%2e/y"),
	REFUSED(DOT_SEGMENT, "a/b/c/%2E%2e"),
	REFUSED(DOT_SEGMENT, "a/b/%2E%2e;x"),
	REFUSED(DOT_SEGMENT, "%2E%2e/b"),
	REFUSED(DOT_SEGMENT, "/%2e%2E"),
	REFUSED(DOT_SEGMENT, "/%2e%2E/"),
	REFUSED(DOT_SEGMENT, "/a/%2e%2E"),
	REFUSED(DOT_SEGMENT, "/a/%2e%2E/b"),
	REFUSED(DOT_SEGMENT, "/%2e%2E;x"),
	REFUSED(DOT_SEGMENT, "/a/%2e%2E;/b"),
	REFUSED(DOT_SEGMENT, "/%2e%2E%3Bx"),
	REFUSED(DOT_SEGMENT, "/a%2F%2e%2E"),
	REFUSED(DOT_SEGMENT, "/%2e%2E%2Fb"),
	REFUSED(DOT_SEGMENT, "/a%5C%2e%2E%5cb"),
	REFUSED(DOT_SEGMENT, "/%2e%2E?x"),
	REFUSED(DOT_SEGMENT, "/%2e%2E%2f%2e%2E/x"),
	REFUSED(DOT_SEGMENT, "dns:/%2e%2E"),
	REFUSED(DOT_SEGMENT, "a/b:/x/%2e%2E/y"),
	REFUSED(DOT_SEGMENT, "a/b/c/%2e%2E"),
	REFUSED(DOT_SEGMENT, "a/b/%2e%2E;x"),
	REFUSED(DOT_SEGMENT, "%2e%2E/b"),
	REFUSED(DOT_SEGMENT, "/%2E."),
	REFUSED(DOT_SEGMENT, "/%2E./"),
	REFUSED(DOT_SEGMENT, "/a/%2E."),
	REFUSED(DOT_SEGMENT, "/a/%2E./b"),
	REFUSED(DOT_SEGMENT, "/%2E.;x"),
	REFUSED(DOT_SEGMENT, "/a/%2E.;/b"),
	REFUSED(DOT_SEGMENT, "/%2E.%3Bx"),
	REFUSED(DOT_SEGMENT, "/a%2F%2E."),
	REFUSED(DOT_SEGMENT, "/%2E.%2Fb"),
	REFUSED(DOT_SEGMENT, "/a%5C%2E.%5cb"),
	REFUSED(DOT_SEGMENT, "/%2E.?x"),
	REFUSED(DOT_SEGMENT, "/%2E.%2f%2E./x"),
	REFUSED(DOT_SEGMENT, "dns:/%2E."),
	REFUSED(DOT_SEGMENT, "a/b:/x/%2E./y"),
	REFUSED(DOT_SEGMENT, "a/b/c/%2E."),
	REFUSED(DOT_SEGMENT, "a/b/%2E.;x"),
	REFUSED(DOT_SEGMENT, "%2E./b"),
	REFUSED(DOT_SEGMENT, "/.%2E"),
	REFUSED(DOT_SEGMENT, "/.%2E/"),
	REFUSED(DOT_SEGMENT, "/a/.%2E"),
	REFUSED(DOT_SEGMENT, "/a/.%2E/b"),
	REFUSED(DOT_SEGMENT, "/.%2E;x"),
	REFUSED(DOT_SEGMENT, "/a/.%2E;/b"),
	REFUSED(DOT_SEGMENT, "/.%2E%3Bx"),
	REFUSED(DOT_SEGMENT, "/a%2F.%2E"),
	REFUSED(DOT_SEGMENT, "/.%2E%2Fb"),
	REFUSED(DOT_SEGMENT, "/a%5C.%2E%5cb"),
	REFUSED(DOT_SEGMENT, "/.%2E?x"),
	REFUSED(DOT_SEGMENT, "/.%2E%2f.%2E/x"),
	REFUSED(DOT_SEGMENT, "dns:/.%2E"),
	REFUSED(DOT_SEGMENT, "a/b:/x/.%2E/y"),
	REFUSED(DOT_SEGMENT, "a/b/c/.%2E"),
	REFUSED(DOT_SEGMENT, "a/b/.%2E;x"),
	REFUSED(DOT_SEGMENT, ".%2E/b"),
	REFUSED(DOT_SEGMENT, "/%2e%2e"),
	REFUSED(DOT_SEGMENT, "/%2e%2e/"),
	REFUSED(DOT_SEGMENT, "/a/%2e%2e"),
	REFUSED(DOT_SEGMENT, "/a/%2e%2e/b"),
	REFUSED(DOT_SEGMENT, "/%2e%2e;x"),
	REFUSED(DOT_SEGMENT, "/a/%2e%2e;/b"),
	REFUSED(DOT_SEGMENT, "/%2e%2e%3Bx"),
	REFUSED(DOT_SEGMENT, "/a%2F%2e%2e"),
	REFUSED(DOT_SEGMENT, "/%2e%2e%2Fb"),
	REFUSED(DOT_SEGMENT, "/a%5C%2e%2e%5cb"),
	REFUSED(DOT_SEGMENT, "/%2e%2e?x"),
	REFUSED(DOT_SEGMENT, "/%2e%2e%2f%2e%2e/x"),
	REFUSED(DOT_SEGMENT, "dns:/%2e%2e"),
	REFUSED(DOT_SEGMENT, "a/b:/x/%2e%2e/y"),
	REFUSED(DOT_SEGMENT, "a/b/c/%2e%2e"),
	REFUSED(DOT_SEGMENT, "a/b/%2e%2e;x"),
	REFUSED(DOT_SEGMENT, "%2e%2e/b"),
	REFUSED(DOT_SEGMENT, "/%2E%2E"),
	REFUSED(DOT_SEGMENT, "/%2E%2E/"),
	REFUSED(DOT_SEGMENT, "/a/%2E%2E"),
	REFUSED(DOT_SEGMENT, "/a/%2E%2E/b"),
	REFUSED(DOT_SEGMENT, "/%2E%2E;x"),
	REFUSED(DOT_SEGMENT, "/a/%2E%2E;/b"),
	REFUSED(DOT_SEGMENT, "/%2E%2E%3Bx"),
	REFUSED(DOT_SEGMENT, "/a%2F%2E%2E"),
	REFUSED(DOT_SEGMENT, "/%2E%2E%2Fb"),
	REFUSED(DOT_SEGMENT, "/a%5C%2E%2E%5cb"),
	REFUSED(DOT_SEGMENT, "/%2E%2E?x"),
	REFUSED(DOT_SEGMENT, "/%2E%2E%2f%2E%2E/x"),
	REFUSED(DOT_SEGMENT, "dns:/%2E%2E"),
	REFUSED(DOT_SEGMENT, "a/b:/x/%2E%2E/y"),
	REFUSED(DOT_SEGMENT, "a/b/c/%2E%2E"),
	REFUSED(DOT_SEGMENT, "a/b/%2E%2E;x"),
	REFUSED(DOT_SEGMENT, "%2E%2E/b"),
	REFUSED(DOT_SEGMENT, "."),
	REFUSED(DOT_SEGMENT, ".."),
	REFUSED(DOT_SEGMENT, "../.."),
	REFUSED(DOT_SEGMENT, "./a"),
	REFUSED(DOT_SEGMENT, "../a"),
	REFUSED(DOT_SEGMENT, "a/.."),
	REFUSED(DOT_SEGMENT, "a/./b"),
	REFUSED(DOT_SEGMENT, "a/b/../c"),
	REFUSED(DOT_SEGMENT, "/..;a=b/c"),
	REFUSED(DOT_SEGMENT, "/..;;"),
	REFUSED(DOT_SEGMENT, "/..;/..;/..;/etc"),
	REFUSED(DOT_SEGMENT, "/a/..%3b/b"),
	REFUSED(DOT_SEGMENT, "/a;x/../b"),
	REFUSED(DOT_SEGMENT, "/a;/.."),
	REFUSED(DOT_SEGMENT, "/a/%2e%2e;x=1/b"),
	REFUSED(DOT_SEGMENT, "/a/%2e%2e%3b/b"),
	REFUSED(DOT_SEGMENT, "/../../../../etc/passwd"),
	REFUSED(DOT_SEGMENT, "/%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
	REFUSED(DOT_SEGMENT, "/..%2f..%2f..%2fetc%2fpasswd"),
	REFUSED(DOT_SEGMENT, "/%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
	REFUSED(DOT_SEGMENT, "/..%5c..%5cwindows"),
	REFUSED(DOT_SEGMENT, "/%2e%2e%5c%2e%2e%5cwindows"),
	REFUSED(DOT_SEGMENT, "/a/..%5C..%2F.."),
	REFUSED(DOT_SEGMENT, "/a%2F.%2Fb"),
	REFUSED(DOT_SEGMENT, "/a%2f.."),
	REFUSED(DOT_SEGMENT, "/%2F.."),
	REFUSED(DOT_SEGMENT, "/%2F..%2F"),
	REFUSED(DOT_SEGMENT, "/%5C.."),
	REFUSED(DOT_SEGMENT, "/%5c.%5c"),
	REFUSED(DOT_SEGMENT, "/.//"),
	REFUSED(DOT_SEGMENT, "/..//"),
	REFUSED(DOT_SEGMENT, "/a//.."),
	REFUSED(DOT_SEGMENT, "/a//../b"),
	REFUSED(DOT_SEGMENT, "/a//.//b"),
	REFUSED(DOT_SEGMENT, "//.."),
	REFUSED(DOT_SEGMENT, "//../x"),
	REFUSED(DOT_SEGMENT, "//./"),
	REFUSED(DOT_SEGMENT, "/a/b/c/../../../.."),
	REFUSED(DOT_SEGMENT, "/a/..?x"),
	REFUSED(DOT_SEGMENT, "/a/.?"),
	REFUSED(DOT_SEGMENT, "/..?"),
	REFUSED(DOT_SEGMENT, "/.%2F"),
	REFUSED(DOT_SEGMENT, "/..%2F%2F"),
	REFUSED(DOT_SEGMENT, "/a/.%3B"),
	REFUSED(DOT_SEGMENT, "/a%2F..%3Bx"),
	REFUSED(DOT_SEGMENT, "/a%5C..%3bx"),
	REFUSED(DOT_SEGMENT, "/a%2f%2e"),
	REFUSED(DOT_SEGMENT, "/a%5c%2e%2e"),
	REFUSED(DOT_SEGMENT, "/.;/x"),
	REFUSED(DOT_SEGMENT, "/a/.;x/b"),
	REFUSED(DOT_SEGMENT, "/%2e;/x"),
	REFUSED(DOT_SEGMENT, "/%2e%3b/x"),
	REFUSED(DOT_SEGMENT, "dns:/../x"),
	REFUSED(DOT_SEGMENT, "dns:/a/.."),
	REFUSED(DOT_SEGMENT, "dns:/..;x"),
	REFUSED(DOT_SEGMENT, "compute/dfw:/.."),
	REFUSED(DOT_SEGMENT, "compute/dfw:/%2e%2e/"),
	REFUSED(DOT_SEGMENT, "compute/../dns:/x"),
	REFUSED(DOT_SEGMENT, "../compute:/x"),
	REFUSED(DOT_SEGMENT, "compute/.."),
	REFUSED(DOT_SEGMENT, "compute/%2e%2e/servers"),
	REFUSED(DOT_SEGMENT, "compute/dfw/.."),
	REFUSED(DOT_SEGMENT, "compute/dfw/servers/.."),
	REFUSED(DOT_SEGMENT, "compute/dfw/servers/%2e%2e"),
	REFUSED(DOT_SEGMENT, "compute/dfw/servers/..%2Fx"),
	REFUSED(DOT_SEGMENT, "compute/dfw/servers/..%5Cx"),
	REFUSED(DOT_SEGMENT, "compute/dfw/servers/x%2F.."),
	REFUSED(DOT_SEGMENT, "compute/dfw/servers/x%5c.."),
	REFUSED(DOT_SEGMENT, "compute/dfw/servers/..;x"),
	REFUSED(DOT_SEGMENT, "compute/dfw/servers/."),
	REFUSED(DOT_SEGMENT, "a/../../b/c/d/e"),
	REFUSED(DOT_SEGMENT, "http:/../x"),
	REFUSED(DOT_SEGMENT, "http://host/.."),
	REFUSED(DOT_SEGMENT, "user@host/.."),
	REFUSED(DOT_SEGMENT, "/%2e%2e/%252e%252e/"),
	REFUSED(DOT_SEGMENT, "/a/%252e%252e/../b"),
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static struct address address, again;

/* Parses a copy without a NUL after it, so that the sanitizer sees what reads too far. */
static enum address_error parse(const char *text, size_t length)
{
	char *copy = malloc(length ? length : 1);
	enum address_error error;

	memcpy(copy, text, length);
	error = address_parse(&address, copy, length);
	free(copy);
	return error;
}

static enum address_error parse_text(const char *text)
{
	return parse(text, strlen(text));
}

static bool is_met(const struct expectation *expectation)
{
	if (parse(expectation->text, expectation->length) != expectation->error)
		return false;
	if (!expectation->canonical)
		return true;
	return strcmp(address.text, expectation->canonical) == 0 &&
		address.length == strlen(expectation->canonical) &&
		(expectation->kind < 0 || expectation->kind == (int)address.kind);
}

static void every_address_of_the_table_is_judged_as_it_says(void **state)
{
	size_t failures = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(expectations); i++) {
		if (is_met(&expectations[i]))
			continue;
		print_error("\"%.*s\" -> %s, text \"%s\"\n", (int)expectations[i].length,
			expectations[i].text,
			address_error_text(
				parse(expectations[i].text, expectations[i].length)),
			address.text);
		failures++;
	}
	assert_int_equal(failures, 0);
}

static const char *const dot_segments[] = {".", "%2e", "%2E", "..", ".%2e", ".%2E",
	"%2e.", "%2E.", "%2e%2e", "%2E%2e", "%2e%2E", "%2E%2E"};
static const char *const separators[] = {"/", "%2f", "%2F", "%5c", "%5C"};
static const char *const params[] = {"", ";", ";x=1", "%3b", "%3Bx", ";..", ";%2e;"};
static const char *const hosts[] = {"", "dns:", "compute/dfw:"};

static void no_spelling_of_a_dot_segment_gets_through(void **state)
{
	char text[256];

	(void)state;
	for (size_t h = 0; h < COUNT(hosts); h++)
		for (size_t d = 0; d < COUNT(dot_segments); d++)
			for (size_t p = 0; p < COUNT(params); p++)
				for (size_t s = 0; s < COUNT(separators); s++)
					for (size_t t = 0; t < COUNT(separators); t++) {
						snprintf(text, sizeof(text),
							"%s/a%s%s%s%sb", hosts[h],
							separators[s], dot_segments[d],
							params[p], separators[t]);
						assert_int_equal(parse_text(text),
							ADDRESS_DOT_SEGMENT);
						/* The same at the end of the path. */
						snprintf(text, sizeof(text),
							"%s/a%s%s%s%s", hosts[h],
							separators[s], dot_segments[d],
							params[p], t ? "?x" : "");
						assert_int_equal(parse_text(text),
							ADDRESS_DOT_SEGMENT);
					}
}

static void an_address_may_be_2048_bytes_long_and_not_one_more(void **state)
{
	char text[ADDRESS_MAX + 2];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	assert_int_equal(parse(text, ADDRESS_MAX), ADDRESS_OK);
	assert_int_equal(address.length, ADDRESS_MAX);
	assert_int_equal(parse(text, ADDRESS_MAX + 1), ADDRESS_TOO_LONG);

	/* What is too long before canonicalising is refused, however short it would be.
	 */
	for (size_t i = 1; i + 3 <= sizeof(text); i += 3)
		memcpy(text + i, "%61", 3);
	assert_int_equal(parse(text, 1 + 3 * 683), ADDRESS_TOO_LONG);
	assert_int_equal(parse(text, 1 + 3 * 682), ADDRESS_NOT_CANONICAL);
	assert_int_equal(address.length, 683);
}

static void assert_part(const struct address_part *part, const char *text)
{
	assert_int_equal(part->length, strlen(text));
	assert_memory_equal(part->start, text, part->length);
	assert_true(part->start >= address.text);
	assert_true(part->start + part->length <= address.text + address.length);
}

static void parts_point_into_the_canonical_text(void **state)
{
	(void)state;
	assert_int_equal(parse_text("/a%2fb?c=%2f"), ADDRESS_NOT_CANONICAL);
	assert_int_equal(address.kind, ADDRESS_URI);
	assert_int_equal(address.name_count, 0);
	assert_part(&address.uri, "/a%2Fb?c=%2f");

	assert_int_equal(parse_text("compute/dfw:/servers?limit=5"), ADDRESS_OK);
	assert_int_equal(address.name_count, 2);
	assert_part(&address.names[0], "compute");
	assert_part(&address.names[1], "dfw");
	assert_part(&address.uri, "/servers?limit=5");

	assert_int_equal(parse_text("dns:/"), ADDRESS_OK);
	assert_int_equal(address.name_count, 1);
	assert_part(&address.names[0], "dns");
	assert_part(&address.uri, "/");

	assert_int_equal(parse_text("compute/dfw/servers/a%7eb"), ADDRESS_NOT_CANONICAL);
	assert_int_equal(address.kind, ADDRESS_NAMES);
	assert_int_equal(address.name_count, 4);
	assert_part(&address.names[2], "servers");
	assert_part(&address.names[3], "a~b");
	assert_int_equal(address.uri.length, 0);
}

static void every_error_has_a_sentence(void **state)
{
	(void)state;
	for (int error = ADDRESS_OK; error <= ADDRESS_NOT_CANONICAL; error++) {
		const char *text = address_error_text((enum address_error)error);

		assert_non_null(text);
		assert_true(strlen(text) > 10);
		assert_int_not_equal(text[strlen(text) - 1], '.');
	}
}

/* xorshift64*: the same addresses on every run. */
static uint32_t next_random(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (uint32_t)((*seed * 0x2545f4914f6cdd1d) >> 32);
}

/* Pieces that matter to some rule, and now and then any byte or any escape. */
static size_t make_address(uint64_t *seed, char *text)
{
	static const char *const pieces[] = {"/", "/", "/", "a", "b-1", ".", "..", "%2e",
		"%2E", "%2f", "%5C", "%41", "%7e", "%c3%a9", "%25", ";", "?", ":", "@",
		":/", "x=1", "&", "~", "_", "dns", "compute/", "%3B", "%2", "[", "]"};
	size_t count = next_random(seed) % 12, length = 0;

	if (next_random(seed) % 3)
		text[length++] = '/';
	for (size_t i = 0; i < count; i++) {
		uint32_t pick = next_random(seed) % (COUNT(pieces) + 2);

		if (pick < COUNT(pieces))
			length += (size_t)sprintf(text + length, "%s", pieces[pick]);
		else if (pick == COUNT(pieces))
			length += (size_t)sprintf(
				text + length, "%%%02x", next_random(seed) & 0xff);
		else if (next_random(seed) % 8 == 0)
			text[length++] = (char)next_random(seed);
	}
	return length;
}

static void canonicalising_twice_changes_nothing(void **state)
{
	uint64_t seed = 20240229;
	size_t accepted = 0;
	char text[256];

	(void)state;
	for (int i = 0; i < 500000; i++) {
		size_t length = make_address(&seed, text);
		enum address_error error = parse(text, length);

		if (error != ADDRESS_OK && error != ADDRESS_NOT_CANONICAL)
			continue;
		accepted++;
		assert_int_equal(error == ADDRESS_OK,
			address.length == length &&
				memcmp(text, address.text, length) == 0);
		assert_int_equal(
			address_parse(&again, address.text, address.length), ADDRESS_OK);
		assert_string_equal(again.text, address.text);
		assert_int_equal(again.kind, address.kind);
		assert_int_equal(again.name_count, address.name_count);
	}
	assert_in_range(accepted, 50000, 450000);
}

/* Decodes escapes once, as a server does. */
static size_t decode(const char *text, size_t length, char *decoded)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++, count++) {
		char digits[3] = {0};

		decoded[count] = text[i];
		if (text[i] != '%')
			continue;
		memcpy(digits, text + i + 1, 2);
		decoded[count] = (char)strtoul(digits, NULL, 16);
		i += 2;
	}
	decoded[count] = '\0';
	return count;
}

/* Judged by other means than the module's: decode, cut, compare. */
static void assert_stays_below_the_base(const char *path, size_t length)
{
	char decoded[512];

	assert_true(length > 0 && path[0] == '/');
	assert_true(length == 1 || path[1] != '/');
	length = decode(path, length, decoded);
	assert_int_equal(strlen(decoded), length);
	for (size_t i = 0; i < length; i++)
		assert_true((unsigned char)decoded[i] >= 0x20 && decoded[i] != 0x7f);
	for (char *segment = decoded, *next; segment; segment = next) {
		next = strpbrk(segment, "/\\");
		if (next)
			*next++ = '\0';
		segment[strcspn(segment, ";")] = '\0';
		assert_string_not_equal(segment, ".");
		assert_string_not_equal(segment, "..");
	}
}

static void whatever_passes_stays_below_the_base(void **state)
{
	uint64_t seed = 19700101;
	char text[256];

	(void)state;
	for (int i = 0; i < 500000; i++) {
		enum address_error error = parse(text, make_address(&seed, text));
		const char *query;

		if (error != ADDRESS_OK && error != ADDRESS_NOT_CANONICAL)
			continue;
		assert_null(strpbrk(address.text, "#\\ \"<>^`{|}"));
		if (address.kind == ADDRESS_NAMES)
			continue;
		query = memchr(address.uri.start, '?', address.uri.length);
		assert_stays_below_the_base(address.uri.start,
			query ? (size_t)(query - address.uri.start) : address.uri.length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_address_of_the_table_is_judged_as_it_says),
		cmocka_unit_test(no_spelling_of_a_dot_segment_gets_through),
		cmocka_unit_test(an_address_may_be_2048_bytes_long_and_not_one_more),
		cmocka_unit_test(parts_point_into_the_canonical_text),
		cmocka_unit_test(every_error_has_a_sentence),
		cmocka_unit_test(canonicalising_twice_changes_nothing),
		cmocka_unit_test(whatever_passes_stays_below_the_base),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
