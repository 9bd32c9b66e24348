#pragma once

/*
 * Variables of the environment, each of which means the same as an option.
 */

#define CONFIG_VARIABLE_SIZE 64 /* of a name with its NUL */

/** Writes the variable of --log-level, which is URICAST_LOG_LEVEL, and returns @name. */
const char *config_variable_name(char name[CONFIG_VARIABLE_SIZE], const char *option);

/**
 * @help with the variable of @option in brackets behind it, as a help_filter of argp
 * returns it: from malloc(), or @help itself without memory for more.
 */
char *config_variable_help(const char *help, const char *option);
