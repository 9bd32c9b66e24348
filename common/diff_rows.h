#pragma once

/*
 * Rows: finds which rows of two lists belong together, and the steps that make one list
 * of the other. Rows are elements of an array or members of an object; they are told by
 * keys, which the caller sets.
 *
 * Use: rows_begin(), set the keys, rows_match(); for arrays then rows_keep_in_order(),
 * rows_pair_gaps(), and rows_place() for each row after, in order.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROWS_NONE UINT32_MAX

struct diff_row {
	uint64_t key;
	uint32_t token;
	uint32_t partner; /* index on the other side, or ROWS_NONE */
	bool kept;        /* stays where it is among the others kept */
	bool paired;      /* partners by their place only, not by key */
	/* The rest is private. */
	uint32_t chain;       /* the next row before with the same key */
	uint32_t kept_below;  /* how many rows before this one are kept */
	uint32_t following;   /* the row after that the next kept row partners with */
	uint32_t added_below; /* how many rows after, before this one, are not kept */
};

struct diff_rows {
	struct diff_row *before;
	struct diff_row *after;
	uint32_t before_count;
	uint32_t after_count;
	uint32_t moved; /* rows with a partner that are not kept */
	/* The rest is private. */
	void *rows_memory;
	size_t rows_size;
	void *work_memory;
	size_t work_size;
	uint32_t *waiting; /* a Fenwick tree of the moved rows not yet placed */
	uint32_t passed;   /* rows before up to the last kept one passed */
	uint32_t added;    /* rows placed that were not kept */
};

/** One step of rows_place(). */
enum rows_step {
	ROWS_STAY,
	ROWS_ADD,  /* at @to */
	ROWS_MOVE, /* from @from to @to, as counted without the moved row */
};

/** Starts with @rows zeroed, or used before. Returns 0 or -ENOMEM. */
int rows_begin(struct diff_rows *rows, uint32_t before_count, uint32_t after_count);
void rows_fini(struct diff_rows *rows);

/**
 * Makes partners of rows with equal keys; the first with the first, where keys repeat.
 *
 * @unique  set to whether no key repeated on its own side
 *
 * Returns 0 or -ENOMEM.
 */
int rows_match(struct diff_rows *rows, bool *unique);

/** Keeps the most partners whose order is the same in both lists. Returns 0 or -ENOMEM.
 */
int rows_keep_in_order(struct diff_rows *rows);

/** Parts the partners that are not kept: they are to be removed and added. */
void rows_part_moved(struct diff_rows *rows);

/** Pairs rows without a partner that stand between the same kept rows, in order. */
void rows_pair_gaps(struct diff_rows *rows);

/** Readies rows_place(); rows before without a partner are removed by now. */
int rows_place_begin(struct diff_rows *rows);

/** What to do for row @after, once all rows after before it are placed. */
enum rows_step rows_place(
	struct diff_rows *rows, uint32_t after, uint32_t *from, uint32_t *to);
