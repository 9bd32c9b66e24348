/* Which subsystems there are, in gateways and pollers: both read the same file. */
#include "common/log.h"

#include <string.h>

#define LOG_SUBSYSTEMS_EACH
#include "log_subsystems.h"

static bool is_known(const char *name)
{
	size_t count = sizeof(log_subsystem_names) / sizeof(*log_subsystem_names);

	for (size_t i = 0; i < count; i++)
		if (strcmp(log_subsystem_names[i], name) == 0)
			return true;
	return false;
}

bool log_levels_known(const struct log_levels *levels)
{
	for (size_t i = 0; i < levels->count; i++)
		if (!is_known(levels->subsystems[i].name))
			return false;
	return true;
}
