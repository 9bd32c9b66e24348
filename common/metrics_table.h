#pragma once

/*
 * The list behind common/metrics.h, /metrics and docs/metrics.md. A name may carry fixed
 * labels; entries of one name stand together and share the first one's help.
 *
 *   METRIC(name in C, process, kind, name and labels, help)
 *   HISTOGRAM(name in C, process, name, help), in seconds
 */

/* clang-format off */
#define METRICS_EACH(METRIC, HISTOGRAM) \
	METRIC(BUILD, METRICS_BOTH, gauge, \
		"uricast_build_info{version=\"" URICAST_VERSION "\"}", \
		"Always 1; the label is the version of the software.") \
	METRIC(START_TIME, METRICS_BOTH, gauge, "process_start_time_seconds", \
		"When the process started, seconds since 1970.") \
	METRIC(CPU, METRICS_BOTH, counter_of_microseconds, "process_cpu_seconds_total", \
		"Processor time used, in user and system mode together.") \
	METRIC(RESIDENT, METRICS_BOTH, gauge, "process_resident_memory_bytes", \
		"Resident memory.") \
	METRIC(VIRTUAL, METRICS_BOTH, gauge, "process_virtual_memory_bytes", \
		"Virtual memory.") \
	METRIC(OPEN_FILES, METRICS_BOTH, gauge, "process_open_fds", \
		"Open file descriptors: connections are among them.") \
	METRIC(FILES_MOST, METRICS_BOTH, gauge, "process_max_fds", \
		"File descriptors that may be open.") \
	METRIC(REDIS_UP, METRICS_BOTH, gauge, "uricast_redis_up", \
		"Whether both connections to Redis stand (1) or not (0).") \
	METRIC(REDIS_COMMANDS, METRICS_BOTH, counter, "uricast_redis_commands_total", \
		"Commands sent to Redis, a script counted as one.") \
	HISTOGRAM(REDIS_COMMAND, METRICS_BOTH, "uricast_redis_command_duration_seconds", \
		"From sending a command to Redis to its answer.") \
	METRIC(REDIS_WAITING, METRICS_BOTH, gauge, "uricast_redis_commands_waiting", \
		"Commands not yet sent, because enough are in flight.") \
	METRIC(REDIS_RECONNECTS, METRICS_BOTH, counter, "uricast_redis_reconnects_total", \
		"Connections to Redis that had to be replaced.") \
	METRIC(REDIS_TIMEOUTS, METRICS_BOTH, counter, "uricast_redis_timeouts_total", \
		"Connections to Redis given up because it was silent for too long.") \
	METRIC(REDIS_MESSAGES, METRICS_BOTH, counter, "uricast_redis_messages_total", \
		"Messages received on Redis channels.") \
	METRIC(SESSIONS, METRICS_BOTH, counter, "uricast_sessions_total", \
		"Sessions this process has had; above 1 it was buried or Redis forgot.") \
	METRIC(RELOADS_TAKEN, METRICS_BOTH, counter, \
		"uricast_config_reloads_total{outcome=\"taken\"}", \
		"Times the configuration was read again at SIGHUP, by outcome.") \
	METRIC(RELOADS_FAILED, METRICS_BOTH, counter, \
		"uricast_config_reloads_total{outcome=\"failed\"}", "") \
	METRIC(CLIENTS_WEBSOCKET, METRICS_GATEWAY, gauge, \
		"uricast_gateway_clients{wire=\"websocket\"}", \
		"Connections of clients now, by wire. \"http\" are those that are none of " \
		"the others: between two requests, or not yet known.") \
	METRIC(CLIENTS_SSE, METRICS_GATEWAY, gauge, \
		"uricast_gateway_clients{wire=\"sse\"}", "") \
	METRIC(CLIENTS_LONGPOLL, METRICS_GATEWAY, gauge, \
		"uricast_gateway_clients{wire=\"longpoll\"}", "") \
	METRIC(CLIENTS_HTTP, METRICS_GATEWAY, gauge, \
		"uricast_gateway_clients{wire=\"http\"}", "") \
	METRIC(REFUSED_CAP, METRICS_GATEWAY, counter, \
		"uricast_gateway_clients_refused_total{reason=\"too_many\"}", \
		"Connections and requests refused, by reason: the cap of clients, that of " \
		"clients per address, Origin and " \
		"Host, a missing or wrong token, a handshake that is none, or a gateway that " \
		"is about to stop.") \
	METRIC(REFUSED_ADDRESS, METRICS_GATEWAY, counter, \
		"uricast_gateway_clients_refused_total{reason=\"address\"}", "") \
	METRIC(REFUSED_ORIGIN, METRICS_GATEWAY, counter, \
		"uricast_gateway_clients_refused_total{reason=\"origin\"}", "") \
	METRIC(REFUSED_TOKEN, METRICS_GATEWAY, counter, \
		"uricast_gateway_clients_refused_total{reason=\"token\"}", "") \
	METRIC(REFUSED_HANDSHAKE, METRICS_GATEWAY, counter, \
		"uricast_gateway_clients_refused_total{reason=\"handshake\"}", "") \
	METRIC(REFUSED_DRAINING, METRICS_GATEWAY, counter, \
		"uricast_gateway_clients_refused_total{reason=\"draining\"}", "") \
	METRIC(SUBSCRIPTIONS, METRICS_GATEWAY, gauge, "uricast_gateway_subscriptions", \
		"Subscriptions of all clients now.") \
	METRIC(TOPICS, METRICS_GATEWAY, gauge, "uricast_gateway_resources", \
		"Distinct addresses with subscribers here now.") \
	METRIC(CHANGES, METRICS_GATEWAY, counter, "uricast_gateway_changes_total", \
		"Changes received from Redis and applied.") \
	HISTOGRAM(DELAY, METRICS_GATEWAY, "uricast_gateway_delivery_delay_seconds", \
		"End to end: from the end of the upstream's answer, by the poller's clock, to " \
		"when the last subscriber here was served, by the gateway's. The clocks of the " \
		"hosts must agree; what would be negative counts as 0.") \
	METRIC(RESYNCS, METRICS_GATEWAY, counter, "uricast_gateway_resyncs_total", \
		"Times a resource was read again because a message was lost or did not fit.") \
	METRIC(FRAMES, METRICS_GATEWAY, counter, "uricast_gateway_frames_total", \
		"Frames handed to clients.") \
	METRIC(FRAME_BYTES, METRICS_GATEWAY, counter, "uricast_gateway_frame_bytes_total", \
		"Bytes of frames handed to clients.") \
	METRIC(CONFLATED, METRICS_GATEWAY, counter, "uricast_gateway_conflated_total", \
		"Frames a slow client was spared because a newer one replaced them.") \
	METRIC(SLOW_CLOSED, METRICS_GATEWAY, counter, "uricast_gateway_slow_closed_total", \
		"Clients closed because they took nothing for too long.") \
	METRIC(MESSAGES_REFUSED, METRICS_GATEWAY, counter, \
		"uricast_gateway_messages_refused_total", \
		"Client messages answered with an error.") \
	METRIC(OWNED, METRICS_POLLER, gauge, "uricast_poller_resources", \
		"Resources this poller owns now.") \
	METRIC(POLLS_UNCHANGED, METRICS_POLLER, counter, \
		"uricast_poller_polls_total{outcome=\"unchanged\"}", \
		"Finished polls by outcome. \"discarded\" are answers that came after the " \
		"lease had run out, or from where the resource no longer is.") \
	METRIC(POLLS_CHANGED, METRICS_POLLER, counter, \
		"uricast_poller_polls_total{outcome=\"changed\"}", "") \
	METRIC(POLLS_FAILED, METRICS_POLLER, counter, \
		"uricast_poller_polls_total{outcome=\"failed\"}", "") \
	METRIC(POLLS_DISCARDED, METRICS_POLLER, counter, \
		"uricast_poller_polls_total{outcome=\"discarded\"}", "") \
	HISTOGRAM(POLL, METRICS_POLLER, "uricast_poller_poll_duration_seconds", \
		"From when a request to the upstream began to the end of its answer, or of " \
		"waiting for it.") \
	HISTOGRAM(POLL_LATE, METRICS_POLLER, "uricast_poller_poll_lateness_seconds", \
		"From when a poll was due to when its request began: what waiting for the " \
		"provider's rate and concurrency costs, and a busy poller.") \
	METRIC(POLLS_SPARED, METRICS_POLLER, counter, "uricast_poller_polls_spared_total", \
		"Polls not made because the provider as a whole was down.") \
	METRIC(POLLS_WAITING, METRICS_POLLER, gauge, "uricast_poller_polls_waiting", \
		"Polls that are due and wait for their provider's rate or concurrency.") \
	METRIC(PROVIDERS_DOWN, METRICS_POLLER, gauge, "uricast_poller_providers_down", \
		"Providers that this poller finds down as a whole.") \
	METRIC(POLL_BYTES, METRICS_POLLER, counter, "uricast_poller_body_bytes_total", \
		"Decoded bytes of bodies received.") \
	METRIC(CHANGES_PATCH, METRICS_POLLER, counter, \
		"uricast_poller_changes_total{form=\"patch\"}", \
		"Changed contents that Redis took, by what describes the change: a patch, or " \
		"nothing but the content (the first one, or a patch would be larger).") \
	METRIC(CHANGES_WHOLE, METRICS_POLLER, counter, \
		"uricast_poller_changes_total{form=\"whole\"}", "") \
	METRIC(PATCH_BYTES, METRICS_POLLER, counter, "uricast_poller_patch_bytes_total", \
		"Bytes of these patches.") \
	METRIC(PATCHED_BYTES, METRICS_POLLER, counter, \
		"uricast_poller_patched_content_bytes_total", \
		"Bytes of the contents that these patches stand for.") \
	METRIC(COMMITS, METRICS_POLLER, counter, "uricast_poller_commits_total", \
		"Commits that Redis took, of contents and of states.") \
	METRIC(COMMITS_REFUSED, METRICS_POLLER, counter, \
		"uricast_poller_commits_refused_total", \
		"Commits that Redis refused: another owner, or another revision.") \
	METRIC(CLAIMS, METRICS_POLLER, counter, "uricast_poller_claims_total", \
		"Resources claimed.") \
	METRIC(TAKEOVERS, METRICS_POLLER, counter, "uricast_poller_takeovers_total", \
		"Claims of what a dead poller held.") \
	METRIC(RELEASES, METRICS_POLLER, counter, "uricast_poller_releases_total", \
		"Resources released.") \
	METRIC(FENCED, METRICS_POLLER, counter, "uricast_poller_fenced_total", \
		"Times the lease ran out by the own clock and polling stopped.") \
	METRIC(LOST, METRICS_POLLER, counter, "uricast_poller_buried_total", \
		"Times this poller found itself buried and started over.")
/* clang-format on */
