/*
 * How a swarm and whoever runs it agree on a restart of the gateway between them: by two files in a
 * folder. `up` says that everyone is up and the gateway may end; `back` holds the process id of the
 * gateway that serves now.
 */
#ifndef SWARM_RESTART_H
#define SWARM_RESTART_H

#include <stdbool.h>
#include <sys/types.h>

#include <gw/base/defs.h>

/* False with errno set. */
GW_MUST_USE bool swarm_restart_ask(const char *folder);
/* 0: not yet. */
pid_t swarm_restart_answer(const char *folder);

#endif
