#pragma once

/*
 * The list behind common/metrics.h. A name may carry fixed labels; entries of one name
 * stand together and share the first one's help.
 */

#define METRICS_EACH(METRIC) \
	METRIC(UP_SINCE, METRICS_BOTH, gauge, "uricast_start_time_seconds", \
		"When the process started, seconds since 1970.") \
	METRIC(REDIS_UP, METRICS_BOTH, gauge, "uricast_redis_up", \
		"Whether both connections to Redis stand (1) or not (0).") \
	METRIC(REDIS_COMMANDS, METRICS_BOTH, counter, "uricast_redis_commands_total", \
		"Commands sent to Redis, a script counted as one.") \
	METRIC(REDIS_RECONNECTS, METRICS_BOTH, counter, "uricast_redis_reconnects_total", \
		"Connections to Redis that had to be replaced.") \
	METRIC(REDIS_MESSAGES, METRICS_BOTH, counter, "uricast_redis_messages_total", \
		"Messages received on Redis channels.") \
	METRIC(SESSIONS, METRICS_BOTH, counter, "uricast_sessions_total", \
		"Sessions this process has had; above 1 it was buried or Redis forgot.") \
	METRIC(RELOADS_TAKEN, METRICS_BOTH, counter, \
		"uricast_config_reloads_total{outcome=\"taken\"}", \
		"Times the configuration was read again at SIGHUP, by outcome.") \
	METRIC(RELOADS_FAILED, METRICS_BOTH, counter, \
		"uricast_config_reloads_total{outcome=\"failed\"}", "") \
	METRIC(CLIENTS, METRICS_GATEWAY, gauge, "uricast_gateway_clients", \
		"Connections of clients now.") \
	METRIC(CLIENTS_REFUSED, METRICS_GATEWAY, counter, \
		"uricast_gateway_clients_refused_total", \
		"Connections refused: origin, token, path or cap.") \
	METRIC(SUBSCRIPTIONS, METRICS_GATEWAY, gauge, "uricast_gateway_subscriptions", \
		"Subscriptions of all clients now.") \
	METRIC(TOPICS, METRICS_GATEWAY, gauge, "uricast_gateway_resources", \
		"Distinct addresses with subscribers here now.") \
	METRIC(CHANGES, METRICS_GATEWAY, counter, "uricast_gateway_changes_total", \
		"Changes received from Redis and applied.") \
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
		"Finished polls by outcome.") \
	METRIC(POLLS_CHANGED, METRICS_POLLER, counter, \
		"uricast_poller_polls_total{outcome=\"changed\"}", "") \
	METRIC(POLLS_FAILED, METRICS_POLLER, counter, \
		"uricast_poller_polls_total{outcome=\"failed\"}", "") \
	METRIC(POLLS_DISCARDED, METRICS_POLLER, counter, \
		"uricast_poller_polls_total{outcome=\"discarded\"}", "") \
	METRIC(POLLS_SPARED, METRICS_POLLER, counter, "uricast_poller_polls_spared_total", \
		"Polls not made because the provider as a whole was down.") \
	METRIC(POLLS_WAITING, METRICS_POLLER, gauge, "uricast_poller_polls_waiting", \
		"Polls that are due and wait for their provider's rate or concurrency.") \
	METRIC(PROVIDERS_DOWN, METRICS_POLLER, gauge, "uricast_poller_providers_down", \
		"Providers that this poller finds down as a whole.") \
	METRIC(POLL_BYTES, METRICS_POLLER, counter, "uricast_poller_body_bytes_total", \
		"Decoded bytes of bodies received.") \
	METRIC(COMMITS, METRICS_POLLER, counter, "uricast_poller_commits_total", \
		"Commits that Redis took.") \
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
