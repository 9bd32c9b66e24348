#pragma once

/*
 * Tool: what the load tools share. They are one thread around epoll, and end at once,
 * with a sentence, where something is wrong.
 */

#include <argp.h>
#include <netinet/in.h>
#include <stdint.h>

/** Microseconds since 1970: the tools of one run stand on one host. */
int64_t tool_wall_us(void);

/** Says what is wrong, and the text of errno where that is set, and leaves with 1. */
void tool_die(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn, cold));

/** An option's value: digits, from @least to @most; argp_error() for anything else. */
uint64_t tool_number(
	struct argp_state *state, const char *text, uint64_t least, uint64_t most);

/** HOST:PORT with a dotted address. argp_error() for anything else. */
struct sockaddr_in tool_endpoint(struct argp_state *state, const char *text);

/** As many open files as the system lets us have. */
void tool_raise_files(void);

/** A listening non-blocking socket on 127.0.0.1. */
int tool_listen(uint16_t port);

/** Next accepted socket, non-blocking, without delay; -1 where nobody waits. */
int tool_accept(int listener);

/** Blocks SIGTERM, SIGINT and SIGUSR1; returns a descriptor they are read from. */
int tool_signals(void);

/** The signal that waits on the descriptor of tool_signals(). */
int tool_take_signal(int signals);

/** Adds @fd to @epoll, or changes it, with @events and @pointer as its data. */
void tool_watch(int epoll, int fd, uint32_t events, void *pointer);
void tool_rewatch(int epoll, int fd, uint32_t events, void *pointer);
