#include "deploy/cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/cli/commands.h"
#include "deploy/cli/output.h"

static const char *const severity_names[] = {[FINDING_FINE] = "fine",
	[FINDING_WARNING] = "warning",
	[FINDING_ERROR] = "error"};

static void print_json(const struct doctor *doctor, enum severity severity,
	const char *check, const char *fix, const char *what)
{
	size_t before = doctor->counts[FINDING_FINE] + doctor->counts[FINDING_WARNING] +
		doctor->counts[FINDING_ERROR];

	printf("%s{\"severity\":\"%s\",\"check\":", before > 0 ? "," : "",
		severity_names[severity]);
	output_json_text(stdout, check);
	fputs(",\"message\":", stdout);
	output_json_text(stdout, what);
	fputs(",\"fix\":", stdout);
	output_json_text(stdout, fix);
	putchar('}');
}

static void print_line(
	enum severity severity, const char *check, const char *fix, const char *what)
{
	printf("%-8s %s: ", severity_names[severity], check);
	output_text(stdout, what, strlen(what), 0);
	putchar('\n');
	if (*fix)
		printf("         Fix: %s\n", fix);
	output_flush();
}

void doctor_say(struct doctor *doctor, enum severity severity, const char *check,
	const char *fix, const char *format, ...)
{
	va_list arguments;
	char *what;

	va_start(arguments, format);
	if (vasprintf(&what, format, arguments) < 0)
		abort();
	va_end(arguments);
	if (doctor->options->json)
		print_json(doctor, severity, check, fix, what);
	else if (severity != FINDING_FINE || doctor->options->verbose)
		print_line(severity, check, fix, what);
	doctor->counts[severity]++;
	free(what);
}

enum exit_status doctor_run(const struct options *options)
{
	struct doctor doctor = {.options = options};
	size_t warnings, errors;

	if (options->json)
		fputs("{\"findings\":[", stdout);
	doctor_host(&doctor);
	doctor_redis(&doctor);
	doctor_fleet(&doctor);
	warnings = doctor.counts[FINDING_WARNING];
	errors = doctor.counts[FINDING_ERROR];
	if (options->json)
		printf("],\"fine\":%zu,\"warnings\":%zu,\"errors\":%zu}\n",
			doctor.counts[FINDING_FINE], warnings, errors);
	else
		printf("%zu checks were fine, %zu warning%s, %zu error%s\n",
			doctor.counts[FINDING_FINE], warnings,
			warnings == 1 ? "" : "s", errors, errors == 1 ? "" : "s");
	output_flush();
	if (doctor.unreachable)
		return EXIT_UNREACHABLE;
	return errors > 0 ? EXIT_BAD : warnings > 0 ? EXIT_DOUBTFUL : EXIT_FINE;
}
