/*
 * Runs seeds, one world after the other, and says what each found; --help for more.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/simulation/breakage.h"
#include "tests/simulation/simulation.h"

#define RUNS_DEFAULT 300
#define FAILURES_MAX 10 /* then the rest is not worth the time */

struct options {
	uint64_t seed; /* the first */
	uint64_t runs;
	uint64_t workers;
	bool verbose;
	const struct breakage *breakage; /* NULL: none */
};

struct totals {
	uint64_t runs;
	uint64_t failures;
	uint64_t scripts;
	uint64_t polls;
	uint64_t contents;
	uint64_t takeovers;
	double virtual_s;
};

static void print_help(void)
{
	const struct breakage *breakage;

	puts("usage: simulation [--seed FIRST] [--runs COUNT] [--workers COUNT]\n"
	     "                  [--verbose] [--break NAME]\n\n"
	     "Each run is a fleet in virtual time; its seed decides everything. "
	     "--verbose\n"
	     "writes the event log to stderr; without --runs it runs one seed. --break "
	     "puts a\n"
	     "known bug in, and it is a failure if no run finds it:");
	for (size_t i = 0; (breakage = breakage_at(i)) != NULL; i++)
		printf("  %-9s %s\n", breakage->name, breakage->what);
}

/* ---- options ---- */

static uint64_t number(const char *option, const char *text)
{
	char *end = NULL;
	uint64_t value = text ? strtoull(text, &end, 10) : 0;

	if (!text || *text == '\0' || *end != '\0') {
		fprintf(stderr, "%s needs a number\n", option);
		exit(2);
	}
	return value;
}

static const struct breakage *breakage_named(const char *name)
{
	const struct breakage *breakage = name ? breakage_find(name) : NULL;

	if (breakage)
		return breakage;
	fprintf(stderr, "--break needs one of the names that --help lists\n");
	exit(2);
}

static struct options read_options(char **argv)
{
	struct options options = {.seed = 1, .workers = 1};
	bool counted = false;

	for (argv++; *argv; argv++) {
		if (strcmp(*argv, "--help") == 0) {
			print_help();
			exit(0);
		} else if (strcmp(*argv, "--verbose") == 0) {
			options.verbose = true;
			continue;
		} else if (strcmp(*argv, "--seed") == 0) {
			options.seed = number(*argv, argv[1]);
		} else if (strcmp(*argv, "--runs") == 0) {
			options.runs = number(*argv, argv[1]);
			counted = true;
		} else if (strcmp(*argv, "--workers") == 0) {
			options.workers = number(*argv, argv[1]);
		} else if (strcmp(*argv, "--break") == 0) {
			options.breakage = breakage_named(argv[1]);
		} else {
			fprintf(stderr, "unknown option %s\n", *argv);
			exit(2);
		}
		argv++;
	}
	if (!counted)
		options.runs = options.verbose ? 1 : RUNS_DEFAULT;
	return options;
}

/* ---- runs ---- */

static void add_up(struct totals *totals, const struct simulation *simulation)
{
	totals->runs++;
	totals->failures += simulation->world.failed;
	totals->scripts += simulation->checks.scripts;
	totals->polls += simulation->checks.polls;
	totals->contents += simulation->checks.contents;
	totals->takeovers += simulation->checks.takeovers;
	totals->virtual_s += (double)simulation->world.now_us / 1e6;
}

static void run_seed(const struct options *options, uint64_t seed,
	struct script_host *host, struct totals *totals)
{
	static struct simulation simulation;

	simulation_init(&simulation, seed, host, options->verbose);
	if (options->breakage && options->breakage->apply)
		options->breakage->apply(&simulation);
	simulation_run(&simulation);
	add_up(totals, &simulation);
	if (simulation.world.failed) {
		printf("seed %" PRIu64 " at %.3f s: %s\n", seed,
			(double)simulation.world.now_us / 1e6, simulation.world.failure);
		if (!options->verbose)
			printf("  the whole story: simulation --seed %" PRIu64
			       " --verbose%s%s\n",
				seed, options->breakage ? " --break " : "",
				options->breakage ? options->breakage->name : "");
		fflush(stdout);
	}
	simulation_fini(&simulation);
}

/* Every @stride-th seed from the @first on. */
static struct totals run_seeds(
	const struct options *options, uint64_t first, uint64_t stride)
{
	uint64_t failures_max = options->breakage ? 1 : FAILURES_MAX;
	struct script_host *host =
		script_host_new(options->breakage ? options->breakage->edit : NULL);
	struct totals totals = {0};

	for (uint64_t i = first; i < options->runs; i += stride) {
		run_seed(options, options->seed + i, host, &totals);
		if (totals.failures >= failures_max)
			break;
	}
	script_host_free(host);
	return totals;
}

/* ---- workers ---- */

static void merge(struct totals *totals, const struct totals *part)
{
	totals->runs += part->runs;
	totals->failures += part->failures;
	totals->scripts += part->scripts;
	totals->polls += part->polls;
	totals->contents += part->contents;
	totals->takeovers += part->takeovers;
	totals->virtual_s += part->virtual_s;
}

/* Returns the end of a pipe from which the worker's totals will come. */
static int start_worker(const struct options *options, uint64_t first)
{
	struct totals totals;
	int ends[2];

	if (pipe(ends) < 0 || fflush(stdout) != 0) {
		perror("simulation");
		exit(2);
	}
	if (fork() != 0) {
		close(ends[1]);
		return ends[0];
	}
	totals = run_seeds(options, first, options->workers);
	if (write(ends[1], &totals, sizeof(totals)) != sizeof(totals))
		perror("simulation");
	exit(0);
}

/* A worker that tells nothing has crashed. */
static void collect(struct totals *totals, int end)
{
	struct totals part;

	if (read(end, &part, sizeof(part)) == sizeof(part))
		merge(totals, &part);
	else
		totals->failures++;
	close(end);
}

#define WORKERS_MAX 64

static struct totals run_workers(const struct options *options)
{
	struct totals totals = {0};
	int ends[WORKERS_MAX];

	for (uint64_t i = 0; i < options->workers; i++)
		ends[i] = start_worker(options, i);
	for (uint64_t i = 0; i < options->workers; i++)
		collect(&totals, ends[i]);
	while (wait(NULL) > 0 || errno == EINTR)
		continue;
	return totals;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(const struct totals *totals, double passed_s)
{
	printf("%" PRIu64 " runs, %" PRIu64
	       " failed; %.0f virtual s in %.1f s (%.1f runs/s); "
	       "%" PRIu64 " scripts, %" PRIu64 " polls, %" PRIu64 " claims, %" PRIu64
	       " contents shown\n",
		totals->runs, totals->failures, totals->virtual_s, passed_s,
		(double)totals->runs / passed_s, totals->scripts, totals->polls,
		totals->takeovers, totals->contents);
}

int main(int argc, char **argv)
{
	struct options options = read_options(argv);
	double began_s = seconds();
	struct totals totals;

	(void)argc;
	log_setup("simulation", options.verbose ? LOG_DEBUG : LOG_ERROR);
	if (options.workers > 1 && options.workers <= WORKERS_MAX)
		totals = run_workers(&options);
	else
		totals = run_seeds(&options, 0, 1);
	report(&totals, seconds() - began_s);
	if (options.breakage)
		return totals.failures > 0 ? 0 : 1;
	return totals.failures > 0 ? 1 : 0;
}
