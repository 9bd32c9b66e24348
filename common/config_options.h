#pragma once

/*
 * Options of the command line, and the environment variable beside each of them.
 */

#include "common/config_draft.h"

#include <stdbool.h>

struct options;

/**
 * Reads the command line and the environment. Mistakes are said and counted in @draft;
 * values are not judged before they are applied. Never returns NULL.
 *
 * @answered  set where --help or --version was asked for, and has been answered
 */
struct options *options_read(
	struct config_draft *draft, int argc, char **argv, bool *answered);

/** Sets draft->config.file, if --config or its variable was given. */
void options_apply_file(const struct options *options, struct config_draft *draft);

/** Sets everything else that was given, over what is in @draft. */
void options_apply(const struct options *options, struct config_draft *draft);

/** Says of each given option that describes an upstream that it is one too many. */
void options_refuse_upstream(const struct options *options, struct config_draft *draft);

void options_free(struct options *options);

/** "uricast-gateway" or "uricast-poller". */
const char *options_program_name(enum config_program program);
