#pragma once

/*
 * Judge: whether a body may become state, and what changed in it.
 *
 * Pure work on bytes, on any thread: large bodies are judged on libuv's worker pool.
 */

#include "common/diff.h"
#include "common/document.h"

#include <stdbool.h>
#include <stddef.h>

enum judge_outcome {
	JUDGE_SAME,    /* equal in meaning to what is stored */
	JUDGE_CHANGED, /* patch holds the difference, where there is one worth sending */
	JUDGE_WRONG,   /* message says why it must not become state */
};

/** Two documents whose memory is used again. */
struct judge_scratch {
	struct document before;
	struct document after;
};

struct judgement {
	/* what is asked; bytes are not owned */
	bool is_json; /* else text, which must be UTF-8 */
	const char *body;
	size_t length;
	const char *base; /* the stored content, JSON too; NULL where there is none */
	size_t base_length;
	bool base_judged; /* the base was a body that became state, here */
	struct diff_rules rules;

	/* what is answered */
	enum judge_outcome outcome;
	struct diff_patch patch; /* empty: none; owned by the caller */
	char message[160];
};

void judge_scratch_init(struct judge_scratch *scratch);
void judge_scratch_fini(struct judge_scratch *scratch);

/** Fills in the answer. @judgement->patch is zeroed or was used before. */
void judge(struct judgement *judgement, struct judge_scratch *scratch);
