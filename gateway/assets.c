#include "gateway/assets.h"

#include "gateway/assets_embedded.h"

#include <stdio.h>
#include <string.h>

/* Another release has other files under the same names: a browser asks each time whether
 * its own are still right, and behind a load balancer it may ask another release. */
#define HEADERS_FORMAT                                                                   \
	"%sETag: \"%s%s\"\r\n"                                                           \
	"Cache-Control: no-cache\r\n"                                                    \
	"%s"                                                                             \
	"%s"                                                                             \
	"Content-Security-Policy: default-src 'none'; script-src 'self'; "               \
	"style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "        \
	"form-action 'none'; frame-ancestors 'none'\r\n"                                 \
	"Referrer-Policy: no-referrer\r\n"

const struct asset *asset_find(struct bytes path)
{
	for (size_t i = 0; i < assets_embedded_count; i++)
		if (bytes_are(path, assets_embedded[i].path))
			return &assets_embedded[i];
	return NULL;
}

const char *assets_missing(void)
{
	return assets_embedded_missing;
}

/* RFC 9110, 13.1.2: a list of tags, weak ones too, or *. Ours hold no quotes. */
static bool has_it_already(const struct head *head, const char *tag, const char *suffix)
{
	struct bytes tags = head_field(head, "if-none-match");
	char quoted[64];
	int length = snprintf(quoted, sizeof(quoted), "\"%s%s\"", tag, suffix);

	if (tags.length == 0)
		return false;
	return bytes_are(tags, "*") ||
		memmem(tags.start, tags.length, quoted, (size_t)length) != NULL;
}

void asset_answer(struct site_request *request, const struct asset *asset)
{
	/* A client that gives gzip a weight gets the plain form: right, if larger. */
	bool gzipped = asset->gzipped.start != NULL &&
		head_has_word(request->head, "accept-encoding", "gzip");
	const char *suffix = gzipped ? "-gzip" : "";
	bool same = has_it_already(request->head, asset->tag, suffix);
	char headers[sizeof(request->headers) + 640];

	snprintf(headers, sizeof(headers), HEADERS_FORMAT, request->headers, asset->tag,
		suffix, asset->gzipped.start != NULL ? "Vary: Accept-Encoding\r\n" : "",
		gzipped && !same ? "Content-Encoding: gzip\r\n" : "");
	http_answer(request->connection,
		&(struct answer){.status = same ? 304 : 200,
			.type = same ? NULL : asset->type,
			.headers = headers,
			.body = same      ? (struct bytes){NULL, 0}
				: gzipped ? asset->gzipped
					  : asset->plain,
			.lasting = true});
}
