#pragma once

/*
 * Options of the commands, and the environment variable beside each setting of them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum command { COMMAND_WATCH, COMMAND_GET, COMMAND_STATUS, COMMAND_DOCTOR, COMMAND_COUNT };

struct options {
	char *gateway;	  /* base URL; doctor: NULL where none is to be reached */
	char *token_file; /* or NULL */
	char *redis;
	char *prefix;
	char **metrics; /* HOST:PORT each */
	size_t metrics_count;
	uint32_t count;	     /* 0: no end */
	uint32_t timeout_ms; /* 0: none */
	uint32_t interval_ms;
	uint32_t limit;
	bool patch;
	bool json;
	bool watch;
	bool verbose;
	char **addresses; /* of watch and get; status: one that addresses begin with */
	size_t address_count;
};

enum options_outcome {
	OPTIONS_OK = 0,
	OPTIONS_ANSWERED = 1, /* --help or --version */
	OPTIONS_WRONG = 2,    /* a mistake, already said on stderr */
};

/** By its name, or COMMAND_COUNT. */
enum command command_find(const char *name);

/** "watch", and what it does in a line. */
const char *command_name(enum command command);
const char *command_summary(enum command command);

/**
 * Reads what follows the command's name: argv[0] is that name. @options is filled on
 * OPTIONS_OK only, and released by options_fini().
 */
enum options_outcome options_read(
	struct options *options, enum command command, int argc, char **argv);

void options_fini(struct options *options);
