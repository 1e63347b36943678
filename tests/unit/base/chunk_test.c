/*
 * Queues of bytes against one flat buffer, with a pool that runs dry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <gw/base/chunk.h>

enum { CHUNKS = 6, POOL_BYTES = CHUNKS * GW_CHUNK_DATA_BYTES };

static struct gw_slab pool;

static int make_pool(void **state)
{
    (void)state;
    return gw_slab_init(&pool, GW_CHUNK_BYTES, CHUNKS);
}

static int drop_pool(void **state)
{
    int leaked = pool.taken_count != 0;

    (void)state;
    gw_slab_check(&pool);
    gw_slab_fini(&pool);
    return leaked; /* every test gives all chunks back */
}

/* Bytes that differ from their neighbours and from those a chunk away. */
static void fill(uint8_t *bytes, size_t count, uint32_t from)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)((from + i) * 31 + (from + i) / 251);
}

static void holds(const struct gw_chunk_queue *queue, const uint8_t *bytes, size_t count)
{
    size_t at = 0;

    assert_int_equal(gw_chunk_queue_bytes(&pool, queue), count);
    assert_int_equal(gw_chunk_queue_is_empty(queue), count == 0);
    for (uint32_t slot = queue->head; slot != GW_NONE; slot = gw_chunk_at(&pool, slot)->next) {
        const struct gw_chunk *chunk = gw_chunk_at(&pool, slot);
        size_t part = (size_t)(chunk->end - chunk->begin);

        assert_true(part > 0 && part <= count - at);
        assert_memory_equal(chunk->data + chunk->begin, bytes + at, part);
        at += part;
        assert_true(chunk->next != GW_NONE || queue->tail == slot);
    }
    assert_int_equal(at, count);
    if (count > 0) {
        struct gw_bytes front = gw_chunk_queue_front(&pool, queue);

        assert_true(front.size > 0);
        assert_memory_equal(front.data, bytes, front.size);
    } else {
        assert_int_equal(gw_chunk_queue_front(&pool, queue).size, 0);
    }
}

static void what_goes_in_comes_out_at_every_cut(void **state)
{
    static const size_t appends[] = {1,    GW_CHUNK_DATA_BYTES - 1,     GW_CHUNK_DATA_BYTES,
                                     2041, 2 * GW_CHUNK_DATA_BYTES + 1, 700};
    static uint8_t bytes[POOL_BYTES];

    (void)state;
    fill(bytes, sizeof bytes, 0);
    for (size_t i = 0; i < GW_ARRAY_COUNT(appends); i++)
        for (size_t cut = 0; cut <= appends[i]; cut += cut < 3 || appends[i] - cut < 4 ? 1 : 97) {
            struct gw_chunk_queue queue = GW_CHUNK_QUEUE_EMPTY;

            assert_true(gw_chunk_queue_append(&pool, &queue, gw_bytes_of(bytes, cut), false));
            assert_true(gw_chunk_queue_append(&pool, &queue,
                                              gw_bytes_of(bytes + cut, appends[i] - cut), false));
            holds(&queue, bytes, appends[i]);
            gw_chunk_queue_drop(&pool, &queue, cut);
            holds(&queue, bytes + cut, appends[i] - cut);
            gw_chunk_queue_clear(&pool, &queue);
            holds(&queue, bytes, 0);
            assert_int_equal(pool.taken_count, 0);
        }
}

static void a_stream_through_the_queue_is_unchanged(void **state)
{
    static uint8_t flat[POOL_BYTES];
    struct gw_chunk_queue queue = GW_CHUNK_QUEUE_EMPTY;
    uint32_t random = 7, came = 0, refused = 0;
    size_t held = 0;

    (void)state;
    for (int turn = 0; turn < 20000; turn++) {
        uint8_t piece[3 * GW_CHUNK_DATA_BYTES];

        random = random * 1664525 + 1013904223;
        size_t size = (random >> 10) % ((random & 256) != 0 ? sizeof piece : 200);

        fill(piece, size, came);
        if ((random & 512) != 0) {
            if (gw_chunk_queue_append(&pool, &queue, gw_bytes_of(piece, size), random & 1024)) {
                memcpy(flat + held, piece, size);
                held += size;
                came += (uint32_t)size;
            } else {
                refused++;
            }
        } else {
            size = size < held ? size : held;
            gw_chunk_queue_drop(&pool, &queue, size);
            held -= size;
            memmove(flat, flat + size, held);
        }
        holds(&queue, flat, held);
    }
    assert_true(refused > 10); /* the pool did run dry */
    gw_chunk_queue_drop(&pool, &queue, held);
    assert_true(gw_chunk_queue_is_empty(&queue));
}

static void a_dry_pool_leaves_the_queue_as_it_was(void **state)
{
    static uint8_t bytes[POOL_BYTES + 1];
    struct gw_chunk_queue queue = GW_CHUNK_QUEUE_EMPTY, other = GW_CHUNK_QUEUE_EMPTY;

    (void)state;
    fill(bytes, sizeof bytes, 0);
    assert_false(gw_chunk_queue_append(&pool, &queue, gw_bytes_of(bytes, sizeof bytes), false));
    holds(&queue, bytes, 0);
    assert_int_equal(pool.taken_count, 0);
    assert_true(gw_chunk_queue_append(&pool, &queue, gw_bytes_of(bytes, POOL_BYTES), false));
    assert_false(gw_chunk_queue_append(&pool, &queue, gw_bytes_of(bytes, 1), false));
    assert_false(gw_chunk_queue_append(&pool, &other, gw_bytes_of(bytes, 1), false));
    assert_true(gw_chunk_queue_append(&pool, &other, gw_bytes_of(NULL, 0), false));
    holds(&other, bytes, 0);
    holds(&queue, bytes, POOL_BYTES);
    gw_chunk_queue_drop(&pool, &queue, GW_CHUNK_DATA_BYTES);
    assert_true(gw_chunk_queue_append(&pool, &other, gw_bytes_of(bytes, 1), false));
    holds(&queue, bytes + GW_CHUNK_DATA_BYTES, POOL_BYTES - GW_CHUNK_DATA_BYTES);
    gw_chunk_queue_clear(&pool, &queue);
    gw_chunk_queue_clear(&pool, &other);
}

static void a_kept_tail_is_not_filled_further(void **state)
{
    static const uint8_t bytes[] = "0123456789";
    struct gw_chunk_queue queue = GW_CHUNK_QUEUE_EMPTY;

    (void)state;
    assert_true(gw_chunk_queue_append(&pool, &queue, gw_bytes_of(bytes, 4), false));
    uint32_t first = queue.tail;

    assert_true(gw_chunk_queue_append(&pool, &queue, gw_bytes_of(bytes + 4, 3), true));
    assert_int_not_equal(queue.tail, first);
    assert_int_equal(gw_chunk_at(&pool, first)->end, 4);
    assert_true(gw_chunk_queue_append(&pool, &queue, gw_bytes_of(bytes + 7, 3), false));
    assert_int_equal(pool.taken_count, 2);
    holds(&queue, bytes, 10);
    gw_chunk_queue_drop(&pool, &queue, 10);
    assert_int_equal(pool.taken_count, 0);
}

int main(void)
{
#define WITH_POOL(test) cmocka_unit_test_setup_teardown(test, make_pool, drop_pool)
    const struct CMUnitTest tests[] = {
        WITH_POOL(what_goes_in_comes_out_at_every_cut),
        WITH_POOL(a_stream_through_the_queue_is_unchanged),
        WITH_POOL(a_dry_pool_leaves_the_queue_as_it_was),
        WITH_POOL(a_kept_tail_is_not_filled_further),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
