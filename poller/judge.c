#include "poller/judge.h"

#include <stdio.h>

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

static void compare(struct judgement *judgement, struct judge_scratch *scratch)
{
	int r = diff_documents(
		&judgement->patch, &scratch->before, &scratch->after, &judgement->rules);

	if (r == DIFF_SAME)
		judgement->outcome = JUDGE_SAME;
	/* No patch, or no memory for one: the content says it all. */
	if (r != DIFF_PATCH)
		judgement->patch.length = 0;
}

void judge(struct judgement *judgement, struct judge_scratch *scratch)
{
	enum document_error error;
	size_t offset = 0;

	judgement->patch.length = 0;
	if (!judgement->is_json) {
		judge_text(judgement);
		return;
	}
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
