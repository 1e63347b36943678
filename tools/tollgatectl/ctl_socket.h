/*
 * Commands to the gateway that runs on this machine (docs/downlink.md, docs/access.md).
 */
#ifndef TOLLGATECTL_CTL_SOCKET_H
#define TOLLGATECTL_CTL_SOCKET_H

#include <jansson.h>

#include <gw/base/defs.h>

enum { CTL_ANSWER_BYTES_MAX = 16384 };

/*
 * Sends the command to the socket that `option` names, else TOLLGATE_CONTROL, else the usual one;
 * its answer without the newline. CTL_OK, or an exit code after saying what is wrong.
 */
GW_MUST_USE int ctl_ask(const char *option, const json_t *command,
                        char answer[CTL_ANSWER_BYTES_MAX]);

#endif
