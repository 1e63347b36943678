/*
 * A message to a device, wherever in this gateway it is connected, and its result.
 *
 *     asker ---> owner: device mod shards ---> holder: has its session
 *       ^          |  offline, busy              |  delivered, too big, busy, gone
 *       +----------+-----------------------------+
 *
 * The asker's own memory makes the whole way, from thread to thread, and belongs at each moment to
 * the one that has it; so nothing is copied or allocated on the way, no queue can be full, and what
 * was asked is answered exactly once. How much can be under way is what the askers have of it.
 */
#ifndef GW_SHARD_DOWNLINK_H
#define GW_SHARD_DOWNLINK_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/defs.h>
#include <gw/base/inbox.h>
#include <gw/wire/frame.h>

struct gw_shard;

enum gw_downlink_result {
    GW_DOWNLINK_UNDER_WAY, /* no result yet                                                       */
    GW_DOWNLINK_DELIVERED, /* handed to the device's connection; devices acknowledge nothing      */
    GW_DOWNLINK_OFFLINE,   /* not connected, or its product is yet to be named by its info frame  */
    GW_DOWNLINK_TOO_BIG,   /* longer than the device, or the gateway, takes: never sent           */
    GW_DOWNLINK_BUSY,      /* too much is unsent or under way, or the log is full: not now        */
    GW_DOWNLINK_GONE,      /* its connection closed meanwhile                                     */
    GW_DOWNLINK_OWED, /* busy, but the device is told its pin's last value when it takes more */
    GW_DOWNLINK_RESULTS,
};

/* "delivered", "too_big": what commands answer. */
const char *gw_downlink_word(enum gw_downlink_result result);

/* An asker that is no shard: where results come back to. */
struct gw_downlink_desk {
    struct gw_inbox answers;     /* of struct gw_downlink                                 */
    void (*wake)(void *context); /* from a shard's thread, when `answers` is no longer empty */
    void *context;
};

struct gw_downlink {
    struct gw_inbox_item item;     /* first: whose inbox it is in, owns it                        */
    struct gw_downlink_desk *desk; /* who asked; NULL: shard `asker`                              */
    uint32_t asker;
    uint32_t device;
    struct gw_frame
        frame;           /* msg_id 0: the session numbers it. Its body is the asker's memory too */
    bool question;       /* nothing is sent: is the device connected, where, since when?        */
    uint8_t recorded_as; /* GW_RECORD_FROM_..., of a write that its owner records, and refuses as
                            BUSY when it cannot; 0: it is not recorded, or is already        */
    uint64_t kept_at;    /* of a write that is recorded: when the lane of shard `kept_by` is durable
                            up to this sequence, the pin's last value is this one or a newer one  */
    uint32_t kept_by;

    enum { GW_DOWNLINK_ASKED, GW_DOWNLINK_FOUND, GW_DOWNLINK_ANSWERED } step;
    enum gw_downlink_result result;
    uint32_t shard, slot, generation; /* FOUND: where it is connected                             */
    uint64_t since_us; /* DELIVERED: when the device logged in, wall time                */
};

/* Sends what a desk asks, from any thread but a shard's; `any` is any shard of the process. */
void gw_shard_downlink(struct gw_shard *any, struct gw_downlink *downlink);

#endif
