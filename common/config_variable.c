#include "common/config_variable.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>

const char *config_variable_name(char name[CONFIG_VARIABLE_SIZE], const char *option)
{
	char *at = name + sprintf(name, "URICAST_");

	for (; *option; option++)
		*at++ = *option == '-' ? '_' : (char)toupper((unsigned char)*option);
	*at = '\0';
	return name;
}

char *config_variable_help(const char *help, const char *option)
{
	char name[CONFIG_VARIABLE_SIZE], *with;

	if (asprintf(&with, "%s [%s]", help, config_variable_name(name, option)) < 0)
		return (char *)(uintptr_t)help;
	return with;
}
