/*
 * A ring without a kernel: implements gw/io/ring.h over pretend connections, a virtual clock and a
 * seed. What the kernel may do, it does at random: short reads, completions late and in another
 * order, buffers that run out, multishots that end, cancels that race with data, errors on accept.
 */
#ifndef SIM_PRETEND_RING_H
#define SIM_PRETEND_RING_H

#include <gw/io/ring.h>

#include "random.h"

enum { PIPE_BYTES_MAX = 1 << 13 };

/* One way of a connection. */
struct pipe {
    uint8_t bytes[PIPE_BYTES_MAX];
    uint32_t head, tail; /* filled: [head, tail); moved to the front when it is empty */
};

/* A connection between a pretend device and a shard. Owned by the device, who frees it. */
struct connection {
    bool device_closed;  /* FIN from the device                              */
    bool reset;          /* either side is gone for good                     */
    bool gateway_shut;   /* FIN from the gateway                             */
    bool gateway_closed; /* the gateway's file is closed                     */
    bool accepted;
    uint64_t accepted_ns;
    struct gw_ring *ring; /* where it is or waits to be accepted              */
    uint32_t slot;        /* its file there, once accepted                    */
    uint16_t port;        /* tells it apart in records                        */
    uint32_t number;      /* of all connections of the run, from 1            */
    struct pipe up, down; /* device to gateway, gateway to device             */
};

struct pretend_world {
    struct chance chance;
    uint64_t now_ns, wall_us;
    bool calm; /* no more faults: everything that can complete does */
    bool hush; /* devices say nothing more on their own */
    uint32_t connections;
    uint64_t trace; /* hash of everything that was decided, to compare two runs */
    struct {
        uint64_t completions, short_reads, no_buffers, ended_multishots, accept_errors, overflows,
            index_gaps, index_failed_ns;
    } seen;
};

extern struct pretend_world pretend;

static inline void pretend_trace(uint64_t what)
{
    pretend.trace = (pretend.trace ^ what) * UINT64_C(0x100000001B3);
}

/* The device's side. */
struct connection *connection_open(struct gw_ring *ring, uint32_t listener, uint16_t port);
/* False when the pipe is full or the gateway is gone. */
bool connection_write(struct connection *connection, const void *bytes, uint32_t count);
uint32_t connection_read(struct connection *connection, void *bytes, uint32_t count);
void connection_close(struct connection *connection, bool reset);
/* Nothing refers to it any more. */
bool connection_is_over(const struct connection *connection);

/* The kernel does what it can of what was submitted. */
void pretend_ring_run(struct gw_ring *ring);
/* Would a wait end at once? */
bool pretend_ring_has_work(const struct gw_ring *ring);
/* Its process is dead: every connection is cut off, and nothing completes any more. */
void pretend_ring_kill(struct gw_ring *ring);
/* Receive buffers that are neither free nor in a completion that was not taken yet. */
uint32_t pretend_ring_buffers_on_loan(const struct gw_ring *ring);

#endif
