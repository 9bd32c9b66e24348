#pragma once

/*
 * The configuration while it is being read: what config.c and config_file.c share.
 */

#include "common/catalog_build.h"
#include "common/config.h"
#include "common/config_mistake.h"

struct config_draft {
	struct config config;
	struct config_mistakes mistakes;

	/* The provider that --upstream and the options beside it make. */
	struct catalog_provider upstream;
	uint32_t interval_ms;
	bool insecure;
	bool check_only;
};

/**
 * Reads @path, a file or a directory whose *.json are one configuration, into @draft, on
 * top of what is there. Services are added to the catalog.
 * Every mistake is said and counted; each is one that must be mended.
 */
void config_file_read(struct config_draft *draft, const char *path);
