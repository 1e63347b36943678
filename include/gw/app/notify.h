/*
 * Telling systemd where the process stands, without libsystemd: a datagram to the socket named by
 * $NOTIFY_SOCKET (systemd's sd_notify(3), "Notes"). Without that variable nothing happens.
 */
#ifndef GW_APP_NOTIFY_H
#define GW_APP_NOTIFY_H

#include <gw/base/defs.h>

/* All of these: 1 sent, 0 nobody wants to know, -errno (log it and go on). */
int gw_notify_ready(void);
/* Followed by gw_notify_ready when the reload is over, whatever its outcome. */
int gw_notify_reloading(void);
int gw_notify_stopping(void);
/* A line for `systemctl status`: "8000 sessions"; newlines are not allowed in it. */
int gw_notify_status(const char *status);

#endif
