#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/config_mistake.h"
#include "common/log.h"
#include "deploy/cli/commands.h"

static enum exit_status (*const runs[])(const struct options *options) = {
	[COMMAND_WATCH] = watch_run,
	[COMMAND_GET] = get_run,
	[COMMAND_STATUS] = status_run,
	[COMMAND_DOCTOR] = doctor_run,
};

static void help(FILE *stream)
{
	fputs("Usage: uricast COMMAND [OPTION...]\n\nLooks at a uricast fleet.\n\n",
		stream);
	for (enum command command = 0; command < COMMAND_COUNT; command++)
		fprintf(stream, "  %-8s %s\n", command_name(command),
			command_summary(command));
	fputs("\n`uricast COMMAND --help` tells more, with examples.\n\n"
	      "  -h, --help                 Show this text\n"
	      "  -V, --version              Show the version\n",
		stream);
}

static enum exit_status refuse(const char *word)
{
	struct config_nearest nearest = {.wrong = word};

	for (enum command command = 0; command < COMMAND_COUNT; command++)
		config_nearest_try(&nearest, command_name(command));
	fprintf(stderr, "uricast: %s is no command%s%s; see uricast --help\n", word,
		nearest.name ? "; did you mean " : "", nearest.name ? nearest.name : "");
	return EXIT_WRONG;
}

int main(int argc, char **argv)
{
	struct options options;
	enum command command;
	enum options_outcome outcome;
	enum exit_status status;

	if (argc < 2) {
		help(stderr);
		return EXIT_WRONG;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		help(stdout);
		return EXIT_FINE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("uricast %s\n", URICAST_VERSION);
		return EXIT_FINE;
	}
	command = command_find(argv[1]);
	if (command == COMMAND_COUNT)
		return refuse(argv[1]);
	outcome = options_read(&options, command, argc - 1, argv + 1);
	if (outcome != OPTIONS_OK)
		return outcome == OPTIONS_ANSWERED ? EXIT_FINE : EXIT_WRONG;
	signal(SIGPIPE, SIG_IGN); /* of sockets; output.c minds that of stdout */
	log_setup("uricast", LOG_ERROR);
	status = runs[command](&options);
	options_fini(&options);
	return status;
}
