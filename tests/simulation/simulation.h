#pragma once

/*
 * Simulation: one run, the whole of it. A seed decides everything that happens.
 *
 * The parts: scenario.c lets things happen, subscriber.c is the clients, checks.c judges.
 */

#include "tests/simulation/checks.h"
#include "tests/simulation/program.h"
#include "tests/simulation/promises.h"
#include "tests/simulation/server.h"
#include "tests/simulation/upstream.h"
#include "tests/simulation/world.h"

#define SIMULATION_POLLERS_MAX 4
#define SIMULATION_GATEWAYS_MAX 3

/** What a seed has chosen. */
struct scenario {
	size_t pollers;       /* at most, at once */
	size_t gateways;      /* likewise */
	size_t addresses;     /* of the upstream */
	uint32_t interval_ms; /* default */
	uint32_t interval_min_ms;
	int64_t fault_ms;        /* length of the phase in which things go wrong */
	int64_t fault_every_ms;  /* on average */
	int64_t churn_every_ms;  /* of subscribers, on average */
	int64_t change_every_ms; /* of the upstream's contents, on average */
	uint64_t faults;         /* bit per kind that may happen */
	bool values_return;      /* contents go back to what they were */
	bool lives_long;         /* a long quiet time in the end, beyond what keys live */
	bool ends_abruptly; /* everything dies with its interest and locks in place */
	bool gentle; /* processes die, leave and start, and nothing else goes wrong */
	bool calm;   /* faults and changes are over */
};

/** What a client held whose gateway died; version 0: nothing. */
struct orphan {
	uint64_t version;
	uint64_t value;
};

struct simulation {
	struct world world;
	struct server server;
	struct upstream upstream;
	struct catalog *catalog;
	struct program_settings settings;
	struct scenario scenario;
	struct poller_program *pollers[SIMULATION_POLLERS_MAX];    /* NULL: not running */
	struct gateway_program *gateways[SIMULATION_GATEWAYS_MAX]; /* likewise */
	unsigned incarnations;
	struct list subscribers;
	struct orphan orphans[UPSTREAM_RESOURCES_MAX];
	struct checks checks;
	struct promises promises;
};

/**
 * Makes the world of @seed; one at a time, since it becomes the_world.
 *
 * @host     not owned
 * @verbose  the event log goes to stderr
 */
void simulation_init(struct simulation *simulation, uint64_t seed,
	struct script_host *host, bool verbose);

/** Runs it from beginning to end; what went wrong is in simulation->world. */
void simulation_run(struct simulation *simulation);

void simulation_fini(struct simulation *simulation);

/* ---- between the parts ---- */

struct poller_program *simulation_start_poller(
	struct simulation *simulation, size_t slot);
struct gateway_program *simulation_start_gateway(
	struct simulation *simulation, size_t slot);
void simulation_kill_poller(struct simulation *simulation, size_t slot, bool silently);
void simulation_kill_gateway(struct simulation *simulation, size_t slot, bool silently);

/** Ends those that have left by themselves. */
void simulation_bury_left(struct simulation *simulation);
