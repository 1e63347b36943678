/*
 * What a process and those it started have used, from /proc.
 */
#ifndef SWARM_PROCESS_H
#define SWARM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <gw/base/defs.h>

struct swarm_process_usage {
    uint64_t cpu_us; /* user and system */
    uint64_t rss_bytes;
};

/* Children are taken with it, their children are not. False when one of them is gone. */
GW_MUST_USE bool swarm_process_read(pid_t pid, struct swarm_process_usage *out);

#endif
