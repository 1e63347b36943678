/*
 * tollgate-ways: what a message costs a server, by the way in which it talks to the kernel.
 *
 * A question is one load and a list of ways to serve it. Each way gets a server process on one core
 * and a client process on the other, joined by loopback connections that stay; then the ways take
 * turns of a second or less, several rounds of them, so that what else the machine does falls on
 * all of them alike. A figure is a median over rounds, a ratio the median of
 * ratios to the first way within a round.
 */
#ifndef WAYS_H
#define WAYS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <gw/base/clock.h>
#include <gw/base/defs.h>

#include "histogram.h"

enum ways_receive {
    WAYS_POLL_RECV,   /* multishot poll; on readiness one recv into a provided buffer */
    WAYS_RECV_MULTI,  /* multishot recv into provided buffers                         */
    WAYS_RECV_BUNDLE, /* the same with IORING_RECVSEND_BUNDLE                         */
    WAYS_EPOLL,       /* no ring at all                                               */
    WAYS_IDLE,        /* accepted and left alone: what a bare socket costs            */
};

enum ways_wait {
    WAYS_WAIT_ONE,   /* sleep until there is one completion                              */
    WAYS_WAIT_MIN,   /* until there are `batch`, or one after `wait_us`                  */
    WAYS_WAIT_COUNT, /* until there are `batch`, or `wait_us` are over; for ever if idle */
    WAYS_WAIT_SPIN,  /* look for up to `wait_us` before sleeping, less when it is no use */
};

enum ways_send { WAYS_SEND, WAYS_SEND_WAITALL, WAYS_SEND_ZC, WAYS_SEND_BUNDLE };

struct ways_way {
    const char *name;
    enum ways_receive receive;
    enum ways_wait wait;
    enum ways_send send;
    uint32_t batch, wait_us;
    uint32_t buffer_count, buffer_bytes; /* 0: what the gateway has */
    bool incremental; /* IOU_PBUF_RING_INC                                                     */
    bool merge;       /* operations that end at once are submitted by the very call that waits */
    bool sqpoll;      /* a kernel thread submits                                               */
    bool coop;        /* COOP_TASKRUN in place of DEFER_TASKRUN                                */
    bool no_iowait;   /* sleep is not accounted as waiting for a disk                          */
    bool napi;        /* IORING_REGISTER_NAPI                                                  */
    bool quickack;    /* TCP_QUICKACK, once after accept                                       */
    bool delay;       /* without TCP_NODELAY                                                   */
    const char *congestion;
    uint32_t busy_poll_us, rcvbuf_bytes;
};

struct ways_load {
    uint32_t connections;
    uint32_t rate; /* messages a second, exponential gaps; 0: none */
    uint32_t bytes;
    bool echo; /* the server answers each with as many bytes */
};

struct ways_question {
    const char *name, *text;
    struct ways_load load;
    bool memory; /* of the kernel, in place of time */
    const struct ways_way *ways;
    uint32_t way_count;
};

extern const struct ways_question ways_questions[];
extern const uint32_t ways_question_count;

/*
 * What server, client and the one who measures share, in a page all three have mapped. Each counter
 * has a single writer.
 */
struct ways_board {
    /* the server's */
    _Atomic uint64_t messages; /* taken whole                                             */
    _Atomic uint64_t enters;   /* system calls that submit or wait                        */
    _Atomic uint64_t rearms;   /* multishots that ended by themselves                     */
    _Atomic uint32_t armed;    /* connections that are being read                         */
    _Atomic uint32_t port;     /* where the server listens; 0: not yet                    */
    _Atomic bool refused;      /* the kernel lacks the feature: `why`                     */
    char why[128];
    struct swarm_histogram delay; /* one-way: from the client's send to the server's hands   */
    /* the client's */
    _Atomic uint64_t sent, skipped; /* skipped: the client was so late that it let them go   */
    _Atomic uint32_t connected;
    struct swarm_histogram answer; /* echo: from send to the whole answer                   */
    /* the measurer's */
    _Atomic bool measuring; /* the histograms are fed                                          */
    _Atomic bool sending;   /* a client that was told to begin goes on                         */
};

static inline void ways_add(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

/* The server process: never returns. Ends when it is killed, or with its parent. */
GW_NORETURN void ways_serve(const struct ways_way *way, const struct ways_load *load,
                            struct ways_board *board);
/* The client process: sends while told to, by a byte on `control`, answers each with a byte. */
GW_NORETURN void ways_load(const struct ways_load *load, struct ways_board *board, int control);

struct ways_options {
    const char *only; /* part of a question's name; NULL: all                        */
    const char *way;  /* part of a way's name; NULL: all. The first is always there  */
    double seconds;   /* of a slice                                                  */
    uint32_t rounds;
};

/* Figures of a way: name in JSON, digits behind the point, head of its column. */
#define WAYS_FIGURES(X)                                                                            \
    X(cpu_us, 2, "us of CPU a message")                                                            \
    X(busy_percent, 1, "% of a core")                                                              \
    X(messages_per_enter, 2, "messages an enter")                                                  \
    X(sleeps_per_message, 3, "sleeps a message")                                                   \
    X(p50_us, 0, "p50 us")                                                                         \
    X(p99_us, 0, "p99 us")                                                                         \
    X(messages_per_s, 0, "messages/s")                                                             \
    X(skipped_percent, 1, "% let go")                                                              \
    X(kernel_bytes, 0, "bytes a connection, both ends")

enum ways_figure {
#define X(name, digits, head) WAYS_FIGURE_##name,
    WAYS_FIGURES(X)
#undef X
        WAYS_FIGURE_COUNT,
};

enum { WAYS_ROUNDS_MAX = 64, WAYS_PER_QUESTION_MAX = 24 };

struct ways_result {
    const struct ways_way *way;
    bool refused; /* the kernel lacks it: `why` */
    char why[128];
    uint64_t rearms; /* multishots that ended by themselves */
    double slices[WAYS_ROUNDS_MAX][WAYS_FIGURE_COUNT];
};

/* Server and client need a core each: one that spins would keep the other from running. */
bool ways_have_cores(void);

/* Asks one question; results come in the order of its ways. 0 or -errno. */
GW_MUST_USE int ways_ask(const struct ways_question *question, const struct ways_options *options,
                         struct ways_result *results);

struct ways_spread {
    double median, smallest, largest;
};

/* Of one figure over the rounds; of its ratios to `base`, round by round, if that is not NULL. */
struct ways_spread ways_spread(const struct ways_result *result, const struct ways_result *base,
                               enum ways_figure figure, uint32_t rounds);

/* As tables in Markdown on stdout. */
void ways_print(const struct ways_question *question, const struct ways_result *results,
                uint32_t rounds);

struct ways_document;
/* A result for programs; NULL when memory is out. */
struct ways_document *ways_document_begin(const struct ways_options *options);
void ways_document_add(struct ways_document *document, const struct ways_question *question,
                       const struct ways_result *results, uint32_t rounds);
/* Writes and frees it. 0 or -errno. */
GW_MUST_USE int ways_document_end(struct ways_document *document, const char *path);

#endif
