/*
 * What it costs to compare two documents: see diff.py.
 *
 *     bench-diff BEFORE AFTER SECONDS
 *
 * Reads the two files and works on them in turns, as a poller does: judges the new body,
 * which changed since the one before was judged; and, to compare with, scans and copies
 * it. After that json-c parses it, on its own: it leaves the heap to be paged in again by
 * whoever comes next. Prints one line of JSON: medians of µs of CPU, and bytes.
 */

#include "poller/judge.h"
#include "tests/bench/tool.h"

#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TURNS_MIN 5
#define TURNS_MAX 20000
#define TURN_BYTES 100000 /* about; of less there is more than one in a turn */

struct text {
	char *bytes;
	size_t length;
};

enum step { STEP_COPY, STEP_SCAN, STEP_PATCH, STEP_JSON_C, STEP_COUNT };

typedef double times_us[TURNS_MAX];

struct bench {
	struct text before;
	struct text after;
	struct judgement judgement;
	struct judge_scratch scratch;
	char *copy;
	struct json_tokener *tokener;
	times_us us[STEP_COUNT];
	size_t turns[STEP_COUNT];
};

static double cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static struct text read_file(const char *path)
{
	struct text text = {0};
	FILE *file = fopen(path, "r");
	size_t capacity = 0;

	if (file == NULL)
		tool_die("cannot open %s", path);
	text.length = (size_t)getdelim(&text.bytes, &capacity, EOF, file);
	if (ferror(file) || text.length == (size_t)-1)
		tool_die("cannot read %s", path);
	fclose(file);
	return text;
}

static void copy_body(struct bench *bench)
{
	memcpy(bench->copy, bench->after.bytes, bench->after.length);
	__asm__ volatile("" : : "r"(bench->copy) : "memory");
}

static void scan_body(struct bench *bench)
{
	if (document_scan(&bench->scratch.after, bench->after.bytes, bench->after.length,
		    NULL) != DOCUMENT_OK)
		tool_die("this is not JSON");
}

/* All that a change costs. */
static void make_patch(struct bench *bench)
{
	judge(&bench->judgement, &bench->scratch);
	if (bench->judgement.patch.length == 0)
		tool_die("there is no patch");
}

static void parse_with_json_c(struct bench *bench)
{
	struct json_object *parsed;

	json_tokener_reset(bench->tokener);
	parsed = json_tokener_parse_ex(
		bench->tokener, bench->after.bytes, (int)bench->after.length);
	if (parsed == NULL)
		tool_die("json-c cannot parse this");
	json_object_put(parsed);
}

static void take_turn(struct bench *bench, enum step step)
{
	static void (*const steps[])(struct bench *) = {
		[STEP_COPY] = copy_body,
		[STEP_SCAN] = scan_body,
		[STEP_PATCH] = make_patch,
		[STEP_JSON_C] = parse_with_json_c,
	};
	size_t times = TURN_BYTES / bench->after.length + 1;
	double start_us = cpu_us();

	for (size_t i = 0; i < times; i++)
		steps[step](bench);
	bench->us[step][bench->turns[step]++] = (cpu_us() - start_us) / (double)times;
}

static void take_turns(
	struct bench *bench, enum step first, enum step last, double seconds)
{
	double end_us = cpu_us() + seconds * 1e6;

	while (bench->turns[first] < TURNS_MAX &&
		(bench->turns[first] < TURNS_MIN || cpu_us() < end_us)) {
		for (enum step step = first; step <= last; step++)
			take_turn(bench, step);
	}
}

static int compare_times(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

static double median_us(struct bench *bench, enum step step)
{
	qsort(bench->us[step], bench->turns[step], sizeof(double), compare_times);
	return bench->us[step][bench->turns[step] / 2];
}

int main(int argc, char **argv)
{
	static struct bench bench;
	double seconds;

	if (argc != 4)
		tool_die("give BEFORE AFTER SECONDS");
	bench.before = read_file(argv[1]);
	bench.after = read_file(argv[2]);
	seconds = atof(argv[3]);
	bench.judgement = (struct judgement){
		.is_json = true,
		.body = bench.after.bytes,
		.length = bench.after.length,
		.base = bench.before.bytes,
		.base_length = bench.before.length,
		.base_judged = true,
	};
	judge_scratch_init(&bench.scratch);
	bench.copy = malloc(bench.after.length);
	bench.tokener = json_tokener_new();
	if (bench.copy == NULL || bench.tokener == NULL)
		tool_die("no memory");
	take_turns(&bench, STEP_COPY, STEP_PATCH, seconds);
	take_turns(&bench, STEP_JSON_C, STEP_JSON_C, seconds);
	printf("{\"memcpy_us\":%.3f,\"scan_us\":%.3f,\"patch_us\":%.3f,"
	       "\"json_c_us\":%.3f,\"body_bytes\":%zu,\"patch_bytes\":%zu}\n",
		median_us(&bench, STEP_COPY), median_us(&bench, STEP_SCAN),
		median_us(&bench, STEP_PATCH), median_us(&bench, STEP_JSON_C),
		bench.after.length, bench.judgement.patch.length);
	json_tokener_free(bench.tokener);
	diff_patch_fini(&bench.judgement.patch);
	judge_scratch_fini(&bench.scratch);
	free(bench.copy);
	free(bench.before.bytes);
	free(bench.after.bytes);
	return 0;
}
