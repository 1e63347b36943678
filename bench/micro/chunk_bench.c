/*
 * Chunks: where answers wait until the socket takes them, and a frame until the rest of it comes.
 */
#include <gw/base/chunk.h>

#include "bench.h"

enum { CHUNKS = 4096, SESSIONS = 2048, ANSWER_BYTES = 27 }; /* a sealed RESPONSE in TLS 1.3 */

extern const struct gw_bench_case bench_chunk_cases[];

/* The answer before this one has been sent: dropped, and the next one appended. */
static bool answer(struct gw_slab *pool, struct gw_chunk_queue *queue, size_t bytes)
{
    static uint8_t sealed[GW_CHUNK_DATA_BYTES];

    if (!gw_chunk_queue_is_empty(queue))
        gw_chunk_queue_drop(pool, queue, bytes);
    return gw_chunk_queue_append(pool, queue, gw_bytes_of(sealed, bytes), false);
}

/* Appends an answer and drops it again as a completed send does, on `sessions` queues in turn. */
static void append_and_drop(struct gw_bench *b, uint32_t sessions, size_t bytes)
{
    static struct gw_chunk_queue queues[SESSIONS];
    struct gw_slab pool;
    uint32_t at = 0;
    bool good = true;

    if (gw_slab_init(&pool, GW_CHUNK_BYTES, CHUNKS) != 0) {
        gw_bench_fail(b, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < sessions; i++) {
        queues[i] = GW_CHUNK_QUEUE_EMPTY;
        good = good && answer(&pool, &queues[i], bytes); /* touches the pool's pages, too */
    }
    b->bytes_each = bytes;
    while (good && gw_bench_next(b)) {
        struct gw_chunk_queue *queue = &queues[at++ % sessions];

        good = answer(&pool, queue, bytes);
        gw_bench_keep(queue);
    }
    if (!good)
        gw_bench_fail(b, "the pool is empty");
    gw_slab_fini(&pool);
}

/*
 * Question: what does it cost to hand an answer to the sender, and to have its place back?
 * Expected: 15 ns: a slot from a free list and back, four words of bookkeeping, a copy of 27 bytes,
 * all in the first-level cache.
 */
static void chunk_answer(struct gw_bench *b)
{
    append_and_drop(b, 1, ANSWER_BYTES);
}

/*
 * Question: and when 2,048 sessions have an answer under way, whose chunks fill 4 MiB?
 * Expected: 40 ns: the chunk's two lines come from the second-level cache or from beyond.
 */
static void chunk_answer_of_2048(struct gw_bench *b)
{
    append_and_drop(b, SESSIONS, ANSWER_BYTES);
}

/*
 * Question: a chunk that is full?
 * Expected: 60 ns: 2,040 bytes at some 40 bytes a nanosecond.
 */
static void chunk_answer_2040(struct gw_bench *b)
{
    append_and_drop(b, 1, GW_CHUNK_DATA_BYTES);
}

const struct gw_bench_case bench_chunk_cases[] = {
    {"chunk_answer", chunk_answer},
    {"chunk_answer_of_2048", chunk_answer_of_2048},
    {"chunk_answer_2040", chunk_answer_2040},
    {0},
};
