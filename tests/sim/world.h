/*
 * One simulated run: shards, uplink, disk and devices in one thread, from one seed.
 *
 * Held true all along:
 *   - a PING is answered 200 only when every update sent before it is on the disk;
 *   - the disk has each device's updates in the order in which they were sent, without gaps inside
 *     a connection;
 *   - a valid token is never answered 9, an unknown one never 200;
 *   - over a WebSocket each frame of the gateway's is one message, and its Close is the last;
 *   - what one device writes to another arrives there and nowhere else, with an id;
 *   - the shards' own invariants (gw_shard_check).
 * And at the end: at most one live session per token, every slot, chunk, buffer and message back
 * home.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <gw/token/index.h>

#include "pretend_ring.h"

enum { TOKENS_MAX = 64, DEVICES_MAX = 96, VALUE_BYTES_MAX = 24, BRIDGES_MAX = 4 };

/* A valid token of the world's index; one more that is in no index. */
struct world_tokens {
    uint32_t count;
    char text[TOKENS_MAX + 1][GW_TOKEN_TEXT_BYTES];
};

/* A pretend device: connects, logs in, writes counters to a pin, pings, leaves, comes back. */
struct device {
    uint32_t number;               /* in the world, from 0 */
    uint32_t token;                /* index in world_tokens; some devices share one */
    struct connection *connection; /* NULL while it is away */
    struct gw_ring *const *rings;
    uint32_t ring_count;
    uint64_t back_ns; /* when it connects again */
    bool stranger;    /* never finishes a login */
    bool websocket;   /* speaks in messages of a WebSocket */
    bool opened;      /* and was answered 101 */
    bool told_close;  /* and then the gateway's Close */
    bool logged_in;
    bool refused_for_good; /* told 9 */
    uint16_t next_id;
    uint32_t sent;        /* updates so far, all connections: the newest value */
    bool sent_here;       /* some of them on this connection */
    uint32_t durable;     /* the newest value that the disk has */
    uint16_t ping_id;     /* 0: none waits */
    uint32_t ping_covers; /* value of `sent` when it was sent */
    uint32_t acked;
    uint32_t named[BRIDGES_MAX]; /* by its bridges: indices in world_tokens                */
    uint32_t bridged;            /* frames that other devices sent it                      */
    uint8_t in[512];
    uint32_t in_bytes;
    uint8_t out[256]; /* what the last write did not take */
    uint32_t out_bytes;
};

void device_step(struct device *device, const struct world_tokens *tokens, struct chance *chance,
                 bool calm);

struct world_result {
    uint64_t trace, completions, updates_acked, updates_durable, logins, takeovers, faults, bridged,
        websockets;
};

/* Runs one seed; asserts what must hold. `index` is shared by all runs: they only read it. */
struct world_result world_run(uint64_t seed, struct gw_index *index,
                              const struct world_tokens *tokens);

#endif
