#include "common/config.h"
#include "common/log.h"
#include "common/process.h"
#include "gateway/gateway.h"

int main(int argc, char **argv)
{
	struct config config;
	struct gateway *gateway;
	int status = 1;

	switch (config_read(&config, CONFIG_GATEWAY, argc, argv)) {
	case CONFIG_OK:
		break;
	case CONFIG_EXIT_OK:
		return 0;
	case CONFIG_EXIT_WRONG:
		return 2;
	}
	log_setup("gateway", LOG_INFO);
	process_log(&config);
	gateway = gateway_new(&config);
	if (gateway != NULL)
		status = gateway_run(gateway);
	gateway_free(gateway);
	config_fini(&config);
	return status;
}
