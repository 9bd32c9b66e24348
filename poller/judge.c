#include "poller/judge.h"

#include "common/document_narrow.h"

#include <stdio.h>

/* Shorter bodies are scanned whole as fast. */
#define NARROW_BYTES 4096
/* Of the body: where more of it is to be scanned, that saves less than the search costs.
 */
#define NARROW_SHARE 4

void judge_scratch_init(struct judge_scratch *scratch)
{
	document_init(&scratch->before);
	document_init(&scratch->after);
}

void judge_scratch_fini(struct judge_scratch *scratch)
{
	document_fini(&scratch->before);
	document_fini(&scratch->after);
}

static void wrong(struct judgement *judgement, enum document_error error, size_t offset)
{
	judgement->outcome = JUDGE_WRONG;
	snprintf(judgement->message, sizeof(judgement->message),
		"the body is not valid JSON: %s at byte %zu", document_error_text(error),
		offset);
}

/* Some clients get text as a JSON string, so it must be UTF-8. */
static void judge_text(struct judgement *judgement)
{
	judgement->outcome = JUDGE_CHANGED;
	if (document_utf8_valid(judgement->body, judgement->length))
		return;
	judgement->outcome = JUDGE_WRONG;
	snprintf(judgement->message, sizeof(judgement->message),
		"the body is neither JSON nor UTF-8 text");
}

/* False: the documents were too narrow. */
static bool compare(struct judgement *judgement, struct judge_scratch *scratch)
{
	int r = diff_documents(
		&judgement->patch, &scratch->before, &scratch->after, &judgement->rules);

	judgement->outcome = r == DIFF_SAME ? JUDGE_SAME : JUDGE_CHANGED;
	/* No patch, or no memory for one: the content says it all. */
	if (r != DIFF_PATCH)
		judgement->patch.length = 0;
	return r != DIFF_CUT;
}

/* Mostly little has changed since the base was judged: then little is to be judged. */
static bool judge_little(struct judgement *judgement, struct judge_scratch *scratch)
{
	return DOCUMENT_NARROW_PAYS && judgement->base_judged &&
		judgement->length >= NARROW_BYTES &&
		document_narrow(&scratch->before, judgement->base, judgement->base_length,
			&scratch->after, judgement->body, judgement->length,
			judgement->length / NARROW_SHARE) &&
		compare(judgement, scratch);
}

static void judge_whole(struct judgement *judgement, struct judge_scratch *scratch)
{
	enum document_error error;
	size_t offset = 0;

	error = document_scan(
		&scratch->after, judgement->body, judgement->length, &offset);
	if (error != DOCUMENT_OK) {
		wrong(judgement, error, offset);
		return;
	}
	judgement->outcome = JUDGE_CHANGED;
	/* What is stored was JSON once, but it comes from Redis, which is outside. */
	if (judgement->base != NULL &&
		document_scan_like(&scratch->before, &scratch->after, judgement->base,
			judgement->base_length, NULL) == DOCUMENT_OK)
		compare(judgement, scratch);
}

void judge(struct judgement *judgement, struct judge_scratch *scratch)
{
	judgement->patch.length = 0;
	if (!judgement->is_json)
		judge_text(judgement);
	else if (!judge_little(judgement, scratch))
		judge_whole(judgement, scratch);
}
