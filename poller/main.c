#include "common/config.h"
#include "common/log.h"
#include "common/process.h"
#include "poller/poller.h"

int main(int argc, char **argv)
{
	struct config config;
	struct poller *poller;
	int status = 1;

	switch (config_read(&config, CONFIG_POLLER, argc, argv)) {
	case CONFIG_OK:
		break;
	case CONFIG_EXIT_OK:
		return 0;
	case CONFIG_EXIT_WRONG:
		return 2;
	}
	log_setup("poller", LOG_INFO);
	process_log(&config);
	poller = poller_new(&config);
	if (poller != NULL)
		status = poller_run(poller);
	poller_free(poller);
	config_fini(&config);
	return status;
}
