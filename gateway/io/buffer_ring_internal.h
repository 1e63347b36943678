/*
 * The receive buffers of one ring: provided to the kernel, which picks one per recv, and on loan to
 * the shard between a completion and gw_ring_buffer_release.
 *
 * The kernel takes them in turn, so all that it has are touched sooner or later. So it has no more
 * than there are receives under way; what comes home stays here until it is wanted, the last one
 * first, and one that was never used is only taken when none is here. Memory follows what happens
 * at once, not what is allowed, and a shard with little to do works in few buffers.
 *
 *     count = never used + spare + at the kernel's + on loan
 */
#ifndef GW_IO_BUFFER_RING_INTERNAL_H
#define GW_IO_BUFFER_RING_INTERNAL_H

#include <liburing.h>
#include <stdint.h>

#include <gw/base/defs.h>

enum { BUFFER_GROUP = 0 };

struct buffer_ring {
    struct io_uring_buf_ring *ring; /* shared with the kernel */
    uint8_t *memory;
    uint16_t *spares; /* [0, spare_count): numbers of buffers     */
    uint32_t count;   /* a power of two                           */
    uint32_t bytes;   /* of one buffer                            */
    uint32_t fresh;   /* buffers from this one on were never used */
    uint32_t spare_count;
    uint32_t given; /* at the kernel's                          */
    uint32_t loans;
    size_t ring_bytes, memory_bytes;
};

GW_MUST_USE int buffer_ring_init(struct buffer_ring *buffers, struct io_uring *uring,
                                 uint32_t count, uint32_t bytes);
void buffer_ring_fini(struct buffer_ring *buffers, struct io_uring *uring);

/* Provides more, until there are enough for so many receives, or no more. */
void buffer_ring_reserve(struct buffer_ring *buffers, uint32_t receives);
/* A completion brought it: ours until released. */
const uint8_t *buffer_ring_take(struct buffer_ring *buffers, uint16_t id);
void buffer_ring_release(struct buffer_ring *buffers, uint16_t id);
/* No receive is under way, and nothing on loan: gives back the pages of all of them. */
void buffer_ring_trim(struct buffer_ring *buffers);

#endif
