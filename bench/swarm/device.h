/*
 * One simulated device, with the habits of the real clients: gives up a login after 6 s, comes back
 * 5 s later, sends its info frame after login, a PING after a heartbeat of silence in either
 * direction, again every 6 s until answered, and hangs up after the heartbeat and 18 s of silence.
 *
 *   IDLE --start--> CONNECTING --TCP--> HANDSHAKE --TLS--> LOGIN --200--> LIVE
 *    ^                  |                   |                |             |
 *    |                  +-------------------+------ fails ---+-------------+
 *    |                                                       v
 *    +--- login mode, or leaving ---              WAITING --back-off--> CONNECTING
 *                                                 OUT (status 9: for good)
 *
 * An update counts as acknowledged when a PING written behind it was answered 200. One PING is
 * under way at a time; what falls due meanwhile goes out, as one, the moment it is answered, with
 * its latency counted from when it was first due. With MQTT the update asks itself, at once, by its
 * QoS, and a broker answers in order (3.1.1, 4.6): of those that ask while an earlier one waits,
 * the last is awaited after it, with the latency of the first.
 */
#ifndef SWARM_DEVICE_H
#define SWARM_DEVICE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include <gw/base/timer_wheel.h>

#include "fleet.h"
#include "link.h"

enum swarm_device_state {
    SWARM_IDLE,
    SWARM_CONNECTING,
    SWARM_HANDSHAKE,
    SWARM_LOGIN_SENT,
    SWARM_LIVE,
    SWARM_WAITING,
    SWARM_OUT,
};

struct swarm_carry; /* the front of a frame whose rest is yet to come */

struct swarm_device {
    struct gw_timer_node timer;
    uint32_t generation; /* of its connection: events of an older one are stale */
    struct swarm_link link;
    struct swarm_carry *carry;
    struct gw_instant due;          /* of the attempt under way; LIVE: of the PING */
    struct gw_instant owed_due;     /* of the PING to follow it; 0: none          */
    uint32_t rx_ms, tx_ms, ping_ms; /* last traffic, as now_ms tells time      */
    uint32_t session;               /* logins so far                              */
    uint32_t counter;               /* updates sent, over all sessions            */
    uint32_t session_first;         /* counter of this session's first update     */
    uint32_t acked;                 /* counter up to which this session is acked  */
    uint32_t ping_covers;           /* counter when the PING under way was sent   */
    uint16_t msg_id, ping_id;       /* ping_id 0: none under way                  */
    uint16_t unbarred;              /* updates since the last PING was due        */
    uint8_t state;                  /* enum swarm_device_state                    */
};

static_assert(sizeof(struct swarm_device) <= 112, "a million devices are 112 MB");

/* `resumes`: it asks for session tickets and comes back with them, which stock firmware does not.
 */
void swarm_device_init(struct swarm_device *device, bool resumes);

/* IDLE or WAITING: a connection attempt that was due at `due`. */
void swarm_device_start(struct swarm_fleet *fleet, struct swarm_device *device,
                        struct gw_instant due);

/* Its connection, if it has one, breaks without a word, and a new attempt is made at once. Does
   nothing to a device that waits for its next attempt, or is out of service. */
void swarm_device_reconnect(struct swarm_fleet *fleet, struct swarm_device *device,
                            struct gw_instant due);

/* What epoll said of its descriptor. */
void swarm_device_ready(struct swarm_fleet *fleet, struct swarm_device *device, uint32_t events);
void swarm_device_timer(struct swarm_fleet *fleet, struct swarm_device *device);

/* One pin write, and with every ping_every-th a PING. False when it is not live or has no room. */
bool swarm_device_publish(struct swarm_fleet *fleet, struct swarm_device *device,
                          struct gw_instant due);

/* The end is near: asks for what is not acknowledged, or leaves at once. */
void swarm_device_drain(struct swarm_fleet *fleet, struct swarm_device *device);
/* Leaves, whatever state it is in. */
void swarm_device_leave(struct swarm_fleet *fleet, struct swarm_device *device);

#endif
