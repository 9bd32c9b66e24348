#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/process.h"
#include "common/web.h"
#include "deploy/cli/doctor.h"

#define CLIENTS_DEFAULT 18000 /* a gateway's limit unless configured */
#define FILES_MORE 100        /* connections to Redis, listeners, logs */
#define BACKLOG_LEAST 1024    /* what comes back at once after a gateway's death */
#define PORTS_LEAST 10000
#define TCP_MEMORY_LEAST_MIB 128
#define CONNTRACK_FULL 0.8

static void check_files(struct doctor *doctor)
{
	struct rlimit limit;
	unsigned long needed = CLIENTS_DEFAULT + FILES_MORE;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	/* The programs raise the soft limit to the hard one. */
	if (limit.rlim_max < needed)
		doctor_say(doctor, FINDING_WARNING, "file-limit",
			"raise it where gateways are started: LimitNOFILE=65536 in the "
			"systemd unit, or ulimit -Hn 65536; or lower "
			"gateway.limits.clients.",
			"a process started here may open %lu files; a gateway with its "
			"default of %d clients needs %lu",
			(unsigned long)limit.rlim_max, CLIENTS_DEFAULT, needed);
	else
		doctor_say(doctor, FINDING_FINE, "file-limit", "",
			"%lu files may be opened", (unsigned long)limit.rlim_max);
}

/* A context is made only where its event library is found. */
static void check_event_library(struct doctor *doctor)
{
	const struct lws_context_creation_info info = {0};
	const char *error;
	struct web *web;
	uv_loop_t loop;

	uv_loop_init(&loop);
	web = web_new(&loop, &info, &error);
	if (web) {
		doctor_say(doctor, FINDING_FINE, "event-library", "",
			"libwebsockets works on libuv");
		web_free(web, NULL, NULL);
		uv_run(&loop, UV_RUN_DEFAULT);
	} else {
		doctor_say(doctor, FINDING_ERROR, "event-library",
			"apt-get install libwebsockets-evlib-uv",
			"libwebsockets cannot load its libuv event library; neither "
			"program starts without it");
	}
	process_close_loop(&loop);
}

/* ---- the kernel's settings; what cannot be read is not there, and not judged ---- */

static int read_numbers(const char *path, unsigned long *numbers, int most)
{
	FILE *file = fopen(path, "r");
	int count = 0;

	if (!file)
		return 0;
	while (count < most && fscanf(file, "%lu", &numbers[count]) == 1)
		count++;
	fclose(file);
	return count;
}

static void check_backlog(struct doctor *doctor)
{
	unsigned long most;

	if (read_numbers("/proc/sys/net/core/somaxconn", &most, 1) < 1)
		return;
	doctor_say(doctor, most < BACKLOG_LEAST ? FINDING_WARNING : FINDING_FINE,
		"somaxconn",
		most < BACKLOG_LEAST ? "sysctl -w net.core.somaxconn=4096" : "",
		"%lu clients may wait to be accepted", most);
}

static void check_ports(struct doctor *doctor)
{
	unsigned long range[2], ports;
	bool few;

	if (read_numbers("/proc/sys/net/ipv4/ip_local_port_range", range, 2) < 2)
		return;
	ports = range[1] > range[0] ? range[1] - range[0] + 1 : 0;
	few = ports < PORTS_LEAST;
	doctor_say(doctor, few ? FINDING_WARNING : FINDING_FINE, "ip_local_port_range",
		few ? "sysctl -w net.ipv4.ip_local_port_range='32768 60999'" : "",
		"%lu ports for outgoing connections: pollers to upstreams, a proxy to "
		"gateways",
		ports);
}

static void check_tcp_memory(struct doctor *doctor)
{
	unsigned long pages[3], mib;
	bool little;

	if (read_numbers("/proc/sys/net/ipv4/tcp_mem", pages, 3) < 3)
		return;
	mib = pages[2] / 256 * ((unsigned long)sysconf(_SC_PAGESIZE) / 4096);
	little = mib < TCP_MEMORY_LEAST_MIB;
	doctor_say(doctor, little ? FINDING_WARNING : FINDING_FINE, "tcp_mem",
		little ? "sysctl -w net.ipv4.tcp_mem='65536 131072 262144' (pages), or "
			 "give the machine more memory"
		       : "",
		"the kernel keeps at most %lu MiB for all TCP sockets", mib);
}

static void check_conntrack(struct doctor *doctor)
{
	unsigned long count, most;
	bool full;

	if (read_numbers("/proc/sys/net/netfilter/nf_conntrack_count", &count, 1) < 1 ||
		read_numbers("/proc/sys/net/netfilter/nf_conntrack_max", &most, 1) < 1)
		return;
	full = (double)count > CONNTRACK_FULL * (double)most ||
		most < 2 * CLIENTS_DEFAULT;
	doctor_say(doctor, full ? FINDING_WARNING : FINDING_FINE, "conntrack",
		full ? "sysctl -w net.netfilter.nf_conntrack_max=262144" : "",
		"%lu of %lu connections that the firewall can follow are taken", count,
		most);
}

void doctor_host(struct doctor *doctor)
{
	check_files(doctor);
	check_event_library(doctor);
	check_backlog(doctor);
	check_ports(doctor);
	check_tcp_memory(doctor);
	check_conntrack(doctor);
}
