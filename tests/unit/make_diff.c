/*
 * Makes patches for property_diff.py: reads, until the end of standard input, strings
 * (length in 32 bits, little endian, then the bytes): identity (empty: the usual ones),
 * number of ignored pointers as one byte and these, before, after. Answers each with one
 * byte (P patch, S same, L larger, E error, or not the same where little is scanned) and
 * the patch as such a string.
 */

#include "common/diff.h"
#include "common/document_narrow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IGNORE_MAX 8

struct string {
	char *bytes;
	uint32_t length;
};

static bool read_string(struct string *string)
{
	unsigned char length[4];

	if (fread(length, 1, sizeof(length), stdin) != sizeof(length))
		return false;
	string->length = length[0] | (uint32_t)length[1] << 8 |
		(uint32_t)length[2] << 16 | (uint32_t)length[3] << 24;
	free(string->bytes);
	string->bytes = malloc((size_t)string->length + 1);
	if (!string->bytes ||
		fread(string->bytes, 1, string->length, stdin) != string->length)
		exit(1);
	string->bytes[string->length] = '\0';
	return true;
}

static void answer(char outcome, const struct diff_patch *patch)
{
	uint32_t length = outcome == 'P' ? (uint32_t)patch->length : 0;

	putchar(outcome);
	for (int shift = 0; shift < 32; shift += 8)
		putchar(length >> shift & 0xff);
	if (length)
		fwrite(patch->bytes, 1, length, stdout);
}

/* Whether the patch is the same where the documents are scanned only where they differ.
 */
static bool same_narrowed(const struct diff_patch *patch, int outcome,
	const struct string texts[2], const struct diff_rules *rules)
{
	struct diff_patch narrow_patch = {0};
	struct document before, after;
	bool same = true;

	document_init(&before);
	document_init(&after);
	if (document_narrow(&before, texts[0].bytes, texts[0].length, &after,
		    texts[1].bytes, texts[1].length, SIZE_MAX)) {
		int narrow = diff_documents(&narrow_patch, &before, &after, rules);

		same = narrow == DIFF_CUT ||
			(narrow == outcome && narrow_patch.length == patch->length &&
				(patch->length == 0 ||
					memcmp(narrow_patch.bytes, patch->bytes,
						patch->length) == 0));
	}
	document_fini(&before);
	document_fini(&after);
	diff_patch_fini(&narrow_patch);
	return same;
}

static char make_diff(struct diff_patch *patch, struct document documents[2],
	const struct string texts[2], const struct diff_rules *rules)
{
	static const char outcomes[] = {'P', 'S', 'L'};
	int outcome;

	/* As the poller does. */
	if (document_scan(&documents[1], texts[1].bytes, texts[1].length, NULL) ||
		document_scan_like(&documents[0], &documents[1], texts[0].bytes,
			texts[0].length, NULL))
		return 'E';
	outcome = diff_documents(patch, &documents[0], &documents[1], rules);
	return outcome < 0 || !same_narrowed(patch, outcome, texts, rules)
		? 'E'
		: outcomes[outcome];
}

int main(void)
{
	struct string identity = {0}, ignored[IGNORE_MAX] = {0}, texts[2] = {0};
	struct document documents[2];
	struct diff_patch patch = {0};

	document_init(&documents[0]);
	document_init(&documents[1]);
	while (read_string(&identity)) {
		const char *pointers[IGNORE_MAX];
		struct diff_rules rules = {
			.identity = identity.length ? identity.bytes : NULL,
			.ignore = pointers,
			.ignore_count = (size_t)getchar(),
		};

		if (rules.ignore_count > IGNORE_MAX)
			return 1;
		for (size_t i = 0; i < rules.ignore_count; i++) {
			read_string(&ignored[i]);
			pointers[i] = ignored[i].bytes;
		}
		read_string(&texts[0]);
		read_string(&texts[1]);
		answer(make_diff(&patch, documents, texts, &rules), &patch);
	}
	for (int i = 0; i < 2; i++) {
		document_fini(&documents[i]);
		free(texts[i].bytes);
	}
	for (int i = 0; i < IGNORE_MAX; i++)
		free(ignored[i].bytes);
	free(identity.bytes);
	diff_patch_fini(&patch);
	return fflush(stdout) ? 1 : 0;
}
