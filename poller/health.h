#pragma once

/*
 * Health: whether a provider as a whole is down, as this poller sees it.
 *
 * Down is a provider that could not be reached several times in a row (name, connection,
 * TLS), or that has answered nothing for long though much was asked. Then one probe
 * stands for all its resources: the others are told of its failure and are not asked,
 * until any request is answered, with whatever status. Nothing is kept of a provider that
 * is well. Pure against clock.h.
 */

#include "common/catalog.h"
#include "common/clock.h"
#include "common/list.h"
#include "poller/fetch.h"

#include <stdbool.h>

struct health;
struct illness;

/** A resource's part in it; embedded in its owner, given to health_patient_init() first.
 */
struct health_patient {
	struct list link;        /* among those that failed since the last answer */
	struct illness *illness; /* of its provider, once it failed; else NULL */
	bool probing;            /* its fetch is the probe */
};

/** Told to the schedule, which may call everything here but health_free(). */
struct health_events {
	/* @provider is down from now on: what waits to ask it need not. */
	void (*down)(const struct catalog_provider *provider, void *user);
	/* It answers again: @patient, one of @count that had failed, may be asked again.
	 */
	void (*back)(struct health_patient *patient, size_t count, void *user);
};

struct health *health_new(
	struct clock *clock, const struct health_events *events, void *user);

/** Every patient must have left. Accepts NULL. */
void health_free(struct health *health);

void health_patient_init(struct health_patient *patient);

/**
 * Whether @patient need not ask @provider now: it is down, and this is not the next
 * probe.
 *
 * @result  set where that is so: FETCH_SPARED, with what the probe failed with
 */
bool health_spares(struct health *health, const struct catalog_provider *provider,
	const struct health_patient *patient, struct fetch_result *result);

/** The fetch of @patient begins; it is the probe where the provider is down. */
void health_asks(struct health *health, const struct catalog_provider *provider,
	struct health_patient *patient);

/** The fetch of @patient has ended with @result, which is not FETCH_NOT_STARTED. */
void health_take(struct health *health, const struct catalog_provider *provider,
	struct health_patient *patient, const struct fetch_result *result);

/** @patient was told of a failure, its own or the probe's; it will ask in @retry_ms. */
void health_waits(struct health *health, const struct catalog_provider *provider,
	struct health_patient *patient, int64_t retry_ms);

/** It is dropped, or its fetch has ended without asking. */
void health_leave(struct health_patient *patient);

/** Providers that are down. */
size_t health_down(const struct health *health);

/**
 * Their names with a space between, as many as fit; the default one is "default", too.
 * Returns @text.
 */
const char *health_down_names(const struct health *health, char *text, size_t size);
