/*
 * One shard's ring: operations are left here, completions are taken from here. Nothing above this
 * room sees a submission entry, and nothing in it has heard of frames or TLS. A simulation links
 * its own version of these functions, with a virtual clock.
 *
 * The thread that creates a ring is the one that uses it. Operations are queued and reach the
 * kernel in gw_ring_wait, all at once. Every operation names a slot and the slot's generation and
 * completes with them; multishot ones complete more than once, `last` on the last.
 *
 * A session's file has the number of its slot in the ring's table of direct descriptors.
 */
#ifndef GW_IO_RING_H
#define GW_IO_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <gw/base/bytes.h>
#include <gw/base/clock.h>
#include <gw/base/defs.h>

struct gw_ring;

enum { GW_OP_GENERATION_BITS = 24, GW_OP_GENERATION_MASK = (1 << GW_OP_GENERATION_BITS) - 1 };

enum gw_op_kind {
    GW_OP_ACCEPT, /* res = 0: the file in `slot` is open; -errno                            */
    GW_OP_POLL,   /* res = revents; multishot                                               */
    GW_OP_RECV,   /* res = bytes, 0 at end of stream, -errno; `buffer` holds the bytes      */
    GW_OP_SEND,   /* res = bytes; the kernel sends all of it unless the connection fails    */
    GW_OP_SHUTDOWN,
    GW_OP_CLOSE, /* the file is closed                                                     */
    GW_OP_WAKE,  /* another thread woke this ring; no slot                                 */
};

struct gw_completion {
    enum gw_op_kind kind;
    uint32_t slot;
    uint32_t generation; /* low GW_OP_GENERATION_BITS bits of what the operation was given */
    int32_t res;
    uint16_t buffer;       /* RECV with res > 0: give it back with gw_ring_buffer_release      */
    bool last;             /* no further completion of this operation follows                  */
    bool nonempty;         /* RECV: more bytes wait in the socket                              */
    struct gw_bytes bytes; /* RECV with res > 0: the bytes, until the buffer is given back  */
};

/* Newer features, each with a fall-back; a set bit in `disabled` keeps the fall-back. */
enum gw_ring_feature {
    GW_RING_MSG_RING = 1, /* wakes another ring without an eventfd; always wakes by eventfd     */
    GW_RING_MIN_WAIT = 2, /* gw_ring_wait gathers completions in one call (6.12); in two          */
    GW_RING_RESTRICTIONS = 4, /* the kernel refuses what this room does not ask for; it does not  */
};

/* The bit of a feature's name ("msg_ring"), 0 for a name we do not know. */
uint32_t gw_ring_feature_by_name(const char *name);

struct gw_ring_options {
    uint32_t sq_entries;
    uint32_t cq_entries;
    uint32_t files;   /* size of the direct descriptor table                         */
    uint32_t buffers; /* receive buffers, a power of two <= 32768                    */
    uint32_t buffer_bytes;
    /* gw_ring_wait: so many completions are worth ending it; fewer, once gather_us have passed. */
    uint32_t gather, gather_us;
    uint32_t disabled; /* enum gw_ring_feature bits                                   */
};

/*
 * 0 or -errno; `why` (>= 256 bytes) names the cause in words an operator can act on (the sysctl
 * kernel.io_uring_disabled, a container's seccomp profile, memlock, RLIMIT_NOFILE).
 */
GW_MUST_USE int gw_ring_create(const struct gw_ring_options *options, struct gw_ring **out,
                               char *why, size_t why_bytes);
void gw_ring_destroy(struct gw_ring *ring);

/* A listening socket for gw_ring_accept; returns its number, or -errno. */
int gw_ring_listener_add(struct gw_ring *ring, int fd);

/*
 * Accepts one connection from the listener into `slot`'s file. The kernel writes the peer's address
 * to `peer`, which must stay valid until the completion: a direct descriptor has no getpeername.
 */
void gw_ring_accept(struct gw_ring *ring, int listener, uint32_t slot, uint32_t generation,
                    struct sockaddr_storage *peer, socklen_t *peer_bytes);
/* Multishot POLLIN | POLLRDHUP: an edge, see gateway/README.md. */
void gw_ring_poll(struct gw_ring *ring, uint32_t slot, uint32_t generation);
/*
 * One recv with MSG_DONTWAIT into a buffer of the ring's. -ENOBUFS: all are on loan, which on Linux
 * 6.1 they also are to recvs that found nothing (-EAGAIN), until the completion is taken.
 */
void gw_ring_recv(struct gw_ring *ring, uint32_t slot, uint32_t generation);
/* The same, of at most `bytes`, which fit a buffer. Unless they are taken they stay in the socket.
 */
void gw_ring_recv_front(struct gw_ring *ring, uint32_t slot, uint32_t generation, uint32_t bytes,
                        bool take);
void gw_ring_buffer_release(struct gw_ring *ring, uint16_t buffer);
/*
 * After a peak: gives back the pages of the receive buffers, none of which may be on loan. False: a
 * recv is under way, and nothing was done.
 */
GW_MUST_USE bool gw_ring_trim(struct gw_ring *ring);
/* `bytes` stay valid until the completion. One send per slot at a time. */
void gw_ring_send(struct gw_ring *ring, uint32_t slot, uint32_t generation, struct gw_bytes bytes);
void gw_ring_shutdown(struct gw_ring *ring, uint32_t slot, uint32_t generation);
/*
 * Tells an operation of the slot (ACCEPT, POLL, SEND) to end: its last completion comes, with
 * -ECANCELED unless it was done before. Nothing completes for the telling itself.
 */
void gw_ring_cancel(struct gw_ring *ring, enum gw_op_kind kind, uint32_t slot, uint32_t generation);
void gw_ring_close(struct gw_ring *ring, uint32_t slot, uint32_t generation);

/*
 * Submits what is queued and waits until something completed, or `timeout_ns` passed (UINT64_MAX:
 * for ever; 0: does not wait). Returns 0 or -errno (never -EINTR, -ETIME or -EBUSY, which is a
 * completion queue that has to be drained first). The turn's time is read here.
 */
GW_MUST_USE int gw_ring_wait(struct gw_ring *ring, uint64_t timeout_ns);
/* Takes the next completion of this turn; false when there is none. */
GW_MUST_USE bool gw_ring_next(struct gw_ring *ring, struct gw_completion *out);

/* Time of the current turn. */
struct gw_instant gw_ring_now(const struct gw_ring *ring);
uint64_t gw_ring_wall_us(const struct gw_ring *ring);

/* What the owning thread has had of the processor. A call of the kernel: not for each message. */
uint64_t gw_ring_cpu_ns(const struct gw_ring *ring);

/* Any thread: makes `ring` complete a GW_OP_WAKE soon. Wakes may be merged. */
void gw_ring_wake(struct gw_ring *ring);
/* The same from the thread of another ring, by MSG_RING where there is one. */
void gw_ring_wake_from(struct gw_ring *from, struct gw_ring *ring);

struct gw_ring_stat {
    uint64_t enters; /* system calls            */
    uint64_t completions;
    uint64_t overflows;  /* completion queue        */
    uint64_t no_buffers; /* recv that found none    */
};
void gw_ring_stat(const struct gw_ring *ring, struct gw_ring_stat *out);

/* Rows of `tollgate --probe`. */
struct gw_ring_probe_row {
    const char *feature, *since, *fallback;
    bool required, present, used;
};
size_t gw_ring_probe(uint32_t disabled, struct gw_ring_probe_row *rows, size_t capacity);

/* "liburing 2.3": for --version. */
const char *gw_ring_library_version(void);

#endif
