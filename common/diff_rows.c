#include "common/diff_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	uint64_t key;
	uint32_t first; /* row before with this key not yet taken, or ROWS_NONE */
	bool used;
	bool seen; /* by a row after */
};

struct table {
	struct slot *slots;
	size_t mask;
};

/* Memory kept from one use to the next; what it held is lost. */
static void *reserve(void **memory, size_t *size, size_t wanted)
{
	void *grown;

	if (wanted <= *size)
		return *memory;
	if (wanted < *size * 2)
		wanted = *size * 2;
	grown = malloc(wanted);
	if (!grown)
		return NULL;
	free(*memory);
	*memory = grown;
	*size = wanted;
	return grown;
}

int rows_begin(struct diff_rows *rows, uint32_t before_count, uint32_t after_count)
{
	size_t count = (size_t)before_count + after_count;

	/* One more, so that there is memory even where there are no rows. */
	if (!reserve(&rows->rows_memory, &rows->rows_size,
		    (count + 1) * sizeof(struct diff_row)))
		return -ENOMEM;
	rows->before = rows->rows_memory;
	rows->after = rows->before + before_count;
	rows->before_count = before_count;
	rows->after_count = after_count;
	rows->moved = 0;
	for (size_t i = 0; i < count; i++) {
		rows->before[i].partner = ROWS_NONE;
		rows->before[i].kept = false;
		rows->before[i].paired = false;
	}
	return 0;
}

void rows_fini(struct diff_rows *rows)
{
	free(rows->rows_memory);
	free(rows->work_memory);
}

static int table_begin(struct diff_rows *rows, struct table *table)
{
	size_t count = 8;

	while (count < 2 * ((size_t)rows->before_count + rows->after_count))
		count *= 2;
	table->mask = count - 1;
	table->slots = reserve(
		&rows->work_memory, &rows->work_size, count * sizeof(*table->slots));
	if (!table->slots)
		return -ENOMEM;
	memset(table->slots, 0, count * sizeof(*table->slots));
	return 0;
}

static struct slot *table_slot(struct table *table, uint64_t key)
{
	size_t place = key & table->mask;

	while (table->slots[place].used && table->slots[place].key != key)
		place = (place + 1) & table->mask;
	if (!table->slots[place].used) {
		table->slots[place].used = true;
		table->slots[place].key = key;
		table->slots[place].first = ROWS_NONE;
	}
	return &table->slots[place];
}

int rows_match(struct diff_rows *rows, bool *unique)
{
	struct table table;

	if (table_begin(rows, &table))
		return -ENOMEM;
	*unique = true;
	for (uint32_t i = rows->before_count; i-- > 0;) {
		struct slot *slot = table_slot(&table, rows->before[i].key);

		*unique &= slot->first == ROWS_NONE;
		rows->before[i].partner = ROWS_NONE;
		rows->before[i].chain = slot->first;
		slot->first = i;
	}
	for (uint32_t i = 0; i < rows->after_count; i++) {
		struct slot *slot = table_slot(&table, rows->after[i].key);
		uint32_t partner = slot->first;

		*unique &= !slot->seen;
		slot->seen = true;
		rows->after[i].partner = partner;
		if (partner != ROWS_NONE) {
			rows->before[partner].partner = i;
			slot->first = rows->before[partner].chain;
		}
	}
	return 0;
}

/*
 * The longest increasing subsequence of the partners, by patience sorting: ends[n] is the
 * row that ends the best sequence of n + 1 rows, previous[i] the row before row i in its.
 */
int rows_keep_in_order(struct diff_rows *rows)
{
	struct diff_row *after = rows->after;
	uint32_t count = rows->after_count, length = 0, matched = 0;
	uint32_t *ends = reserve(&rows->work_memory, &rows->work_size,
		(2 * (size_t)count + 1) * sizeof(*ends));
	uint32_t *previous;

	if (!ends)
		return -ENOMEM;
	previous = ends + count;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t low = 0, high = length;

		if (after[i].partner == ROWS_NONE)
			continue;
		matched++;
		/* Mostly in order already. */
		if (length && after[ends[length - 1]].partner < after[i].partner)
			low = length;
		while (low < high) {
			uint32_t middle = low + (high - low) / 2;

			if (after[ends[middle]].partner < after[i].partner)
				low = middle + 1;
			else
				high = middle;
		}
		previous[i] = low ? ends[low - 1] : ROWS_NONE;
		ends[low] = i;
		length += low == length;
	}
	rows->moved = matched - length;
	for (uint32_t i = length ? ends[length - 1] : ROWS_NONE; i != ROWS_NONE;
		i = previous[i]) {
		after[i].kept = true;
		rows->before[after[i].partner].kept = true;
	}
	return 0;
}

void rows_part_moved(struct diff_rows *rows)
{
	for (uint32_t i = 0; i < rows->before_count; i++) {
		if (!rows->before[i].kept)
			rows->before[i].partner = ROWS_NONE;
	}
	for (uint32_t i = 0; i < rows->after_count; i++) {
		if (!rows->after[i].kept)
			rows->after[i].partner = ROWS_NONE;
	}
	rows->moved = 0;
}

static bool is_moved(const struct diff_row *row)
{
	return row->partner != ROWS_NONE && !row->kept;
}

void rows_pair_gaps(struct diff_rows *rows)
{
	uint32_t i = 0, k = 0;

	while (i < rows->before_count && k < rows->after_count) {
		struct diff_row *before = &rows->before[i], *after = &rows->after[k];

		if (before->kept == after->kept && !is_moved(before) &&
			!is_moved(after)) {
			if (!before->kept) {
				before->partner = k;
				after->partner = i;
				before->kept = before->paired = true;
				after->kept = after->paired = true;
			}
			i++;
			k++;
		} else if (is_moved(before) || (after->kept && !before->kept)) {
			i++;
		} else {
			k++;
		}
	}
}

static void waiting_add(struct diff_rows *rows, uint32_t row, uint32_t change)
{
	for (uint32_t i = row + 1; i <= rows->before_count; i += i & -i)
		rows->waiting[i] += change;
}

static uint32_t waiting_below(const struct diff_rows *rows, uint32_t row)
{
	uint32_t sum = 0;

	for (uint32_t i = row; rows->moved && i > 0; i -= i & -i)
		sum += rows->waiting[i];
	return sum;
}

int rows_place_begin(struct diff_rows *rows)
{
	size_t size = ((size_t)rows->before_count + 1) * sizeof(*rows->waiting);
	uint32_t following = rows->after_count, kept = 0;

	rows->passed = 0;
	rows->added = 0;
	if (rows->moved == 0)
		return 0;
	rows->waiting = reserve(&rows->work_memory, &rows->work_size, size);
	if (!rows->waiting)
		return -ENOMEM;
	memset(rows->waiting, 0, size);
	for (uint32_t i = 0; i < rows->before_count; i++) {
		rows->before[i].kept_below = kept;
		kept += rows->before[i].kept;
		if (is_moved(&rows->before[i]))
			waiting_add(rows, i, 1);
	}
	for (uint32_t i = rows->before_count; i-- > 0;) {
		rows->before[i].following = following;
		if (rows->before[i].kept)
			following = rows->before[i].partner;
	}
	return 0;
}

/*
 * In the list as it stands now, the rows placed come in their final order, each directly
 * after the one placed before it or, if kept, where it was. The moved rows still waiting
 * stand behind whatever was placed after the kept row that precedes them.
 */
enum rows_step rows_place(
	struct diff_rows *rows, uint32_t after, uint32_t *from, uint32_t *to)
{
	struct diff_row *row = &rows->after[after];
	const struct diff_row *source;

	row->added_below = rows->added;
	if (row->kept) {
		rows->passed = row->partner + 1;
		return ROWS_STAY;
	}
	rows->added++;
	*to = after + waiting_below(rows, rows->passed);
	if (row->partner == ROWS_NONE)
		return ROWS_ADD;

	source = &rows->before[row->partner];
	*from = source->kept_below + waiting_below(rows, row->partner);
	*from += source->following < after ? rows->after[source->following].added_below
					   : row->added_below;
	waiting_add(rows, row->partner, UINT32_MAX);
	*to -= *from < *to;
	return ROWS_MOVE;
}
