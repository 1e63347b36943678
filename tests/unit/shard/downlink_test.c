/*
 * Messages to devices in one shard whose kernel does nothing: every result, and that each message
 * comes home once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shard_internal.h"

enum {
    DEVICE = 12,
    SLOT_GENERATION = 7,
    PENDING_MAX = 4,
    BYTES_MAX = 600,
    BODY_MAX = 1024,
    ROUND_BYTES = 6 * PENDING_MAX
};

/* ---- a ring that takes everything and completes nothing ---- */

static unsigned sends;

void gw_ring_accept(struct gw_ring *r, int l, uint32_t s, uint32_t g, struct sockaddr_storage *p,
                    socklen_t *n)
{
    (void)r, (void)l, (void)s, (void)g, (void)p, (void)n;
}

void gw_ring_poll(struct gw_ring *r, uint32_t s, uint32_t g)
{
    (void)r, (void)s, (void)g;
}

void gw_ring_recv(struct gw_ring *r, uint32_t s, uint32_t g)
{
    (void)r, (void)s, (void)g;
}

void gw_ring_recv_front(struct gw_ring *r, uint32_t s, uint32_t g, uint32_t n, bool t)
{
    (void)r, (void)s, (void)g, (void)n, (void)t;
}

void gw_ring_buffer_release(struct gw_ring *r, uint16_t b)
{
    (void)r, (void)b;
}

void gw_ring_shutdown(struct gw_ring *r, uint32_t s, uint32_t g)
{
    (void)r, (void)s, (void)g;
}

void gw_ring_cancel(struct gw_ring *r, enum gw_op_kind k, uint32_t s, uint32_t g)
{
    (void)r, (void)k, (void)s, (void)g;
}

void gw_ring_close(struct gw_ring *r, uint32_t s, uint32_t g)
{
    (void)r, (void)s, (void)g;
}

void gw_ring_destroy(struct gw_ring *r)
{
    (void)r;
}

void gw_ring_wake(struct gw_ring *r)
{
    (void)r;
}

void gw_ring_wake_from(struct gw_ring *from, struct gw_ring *r)
{
    (void)from, (void)r;
}

void gw_ring_stat(const struct gw_ring *r, struct gw_ring_stat *out)
{
    (void)r, (void)out;
}

void gw_ring_send(struct gw_ring *r, uint32_t s, uint32_t g, struct gw_bytes bytes)
{
    (void)r, (void)s, (void)g, (void)bytes;
    sends++;
}

int gw_ring_create(const struct gw_ring_options *o, struct gw_ring **out, char *why, size_t n)
{
    (void)o, (void)out, (void)why, (void)n;
    return -1;
}

int gw_ring_listener_add(struct gw_ring *r, int fd)
{
    (void)r, (void)fd;
    return -1;
}

int gw_ring_wait(struct gw_ring *r, uint64_t ns)
{
    (void)r, (void)ns;
    return -1;
}

bool gw_ring_next(struct gw_ring *r, struct gw_completion *out)
{
    (void)r, (void)out;
    return false;
}

struct gw_instant gw_ring_now(const struct gw_ring *r)
{
    (void)r;
    return (struct gw_instant){.ns = 100 * GW_NS_PER_S};
}

uint64_t gw_ring_wall_us(const struct gw_ring *r)
{
    (void)r;
    return UINT64_C(1700000000000000);
}

/* ---- one shard with one device, logged in 40 s ago ---- */

static struct gw_shard *sh;
static struct gw_session *s;
static unsigned wakes;

static void count_wake(void *context)
{
    (*(unsigned *)context)++;
}

static int start(void **state)
{
    const struct gw_shard_options options = {
        .count = 1,
        .sessions_max = 4,
        .accepts_pending = 1,
        .chunk_count = 16,
        .answers_max = 16,
        .rate_frames_per_s = 10,
        .login_s_max = 10,
        .downlink_pending_max = PENDING_MAX,
        .downlink_bytes_max = BYTES_MAX,
        .limits = {.frame_body_bytes_max = BODY_MAX},
    };
    struct place before;
    uint32_t slot;

    (void)state;
    assert_int_equal(gw_shard_create(&options, &sh), 0);
    gw_timer_wheel_init(&sh->wheel, &session_at(sh, 0)->timer, sizeof *s,
                        (struct gw_instant){.ns = 0});
    slot = gw_slab_acquire(&sh->sessions);
    s = session_at(sh, slot);
    *s = (struct gw_session){.generation = SLOT_GENERATION,
                             .device = DEVICE,
                             .rx = GW_CHUNK_QUEUE_EMPTY,
                             .tx = GW_CHUNK_QUEUE_EMPTY,
                             .idle_s = 23,
                             .state = GW_SESSION_LIVE};
    sh->cold[slot] = (struct gw_session_cold){
        .held = GW_CHUNK_QUEUE_EMPTY,
        .buffer_bytes = 300,
        .deadline_tick = (uint32_t)((60 + 10) * GW_NS_PER_S / TICK_NS),
    };
    assert_true(directory_claim(
        &sh->directory,
        (struct place){.device = DEVICE, .slot = slot, .generation = SLOT_GENERATION}, &before));
    sends = wakes = 0;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    assert_int_equal(sh->asked.taken_count, 0); /* every message came home */
    gw_shard_destroy(sh);
    return 0;
}

static void step(void)
{
    for (int i = 0; i < 4; i++) /* asked, found, answered */
        downlinks_handle(sh, downlinks_take(sh));
}

static enum gw_downlink_result ask(uint32_t device, size_t body_bytes, bool question)
{
    static uint8_t body[BODY_MAX * 2];
    struct gw_downlink_desk desk = {.wake = count_wake, .context = &wakes};
    struct gw_downlink downlink = {
        .desk = &desk,
        .device = device,
        .question = question,
        .frame = {.type = GW_FRAME_HARDWARE, .body = gw_bytes_of(body, body_bytes)}};
    unsigned before = wakes;

    gw_shard_downlink(sh, &downlink);
    step();
    assert_int_equal(wakes, before + 1);
    assert_ptr_equal(gw_inbox_take(&desk.answers), &downlink);
    assert_null(downlink.item.next);
    if (question && downlink.result == GW_DOWNLINK_DELIVERED) {
        assert_int_equal(downlink.shard, 0);
        assert_in_range(UINT64_C(1700000000000000) - downlink.since_us, 40000000 - 64000,
                        40000000 + 64000);
    }
    return downlink.result;
}

static void each_result_has_its_cause(void **state)
{
    struct gw_session_cold *cold = cold_of(sh, s);

    (void)state;
    assert_int_equal(ask(DEVICE, 10, false), GW_DOWNLINK_DELIVERED);
    assert_int_equal(sends, 1);
    assert_int_equal(ask(DEVICE, 10, true), GW_DOWNLINK_DELIVERED);
    assert_int_equal(sends, 1); /* a question sends nothing */
    assert_int_equal(cold->tx_bytes, 15);
    assert_int_equal(ask(DEVICE + 1, 10, false), GW_DOWNLINK_OFFLINE);
    assert_int_equal(ask(DEVICE, 296, false), GW_DOWNLINK_TOO_BIG);
    assert_int_equal(ask(DEVICE, 295, false), GW_DOWNLINK_DELIVERED);
    cold->buffer_bytes = UINT16_MAX;
    assert_int_equal(ask(DEVICE, BYTES_MAX - 15 - 300 - 5 + 1, false), GW_DOWNLINK_BUSY);
    assert_int_equal(ask(DEVICE, BYTES_MAX - 15 - 300 - 5, false), GW_DOWNLINK_DELIVERED);
    assert_int_equal(ask(DEVICE, 0, false), GW_DOWNLINK_BUSY);

    gw_chunk_queue_clear(&sh->chunks, &s->tx);
    cold->tx_bytes = 0;
    assert_int_equal(ask(DEVICE, BODY_MAX, false), GW_DOWNLINK_DELIVERED); /* alone: any size */
    while (sh->chunks.slot_count - sh->chunks.taken_count > 2)
        assert_true(gw_slab_acquire(&sh->chunks) != GW_NONE);
    cold->tx_bytes = 0;
    assert_int_equal(ask(DEVICE, 10, false), GW_DOWNLINK_BUSY); /* rather than close it */
    assert_int_equal(s->state, GW_SESSION_LIVE);
    assert_int_equal(gw_counter_read(&sh->metrics.downlinks_sent), 4);
    assert_int_equal(gw_counter_read(&sh->metrics.downlinks_busy), 3);
}

static void only_the_session_that_was_meant_gets_it(void **state)
{
    (void)state;
    s->generation++; /* another life of the slot */
    assert_int_equal(ask(DEVICE, 10, false), GW_DOWNLINK_GONE);
    s->generation--;
    s->device++; /* the generation has gone round */
    assert_int_equal(ask(DEVICE, 10, false), GW_DOWNLINK_GONE);
    s->device--;
    s->state = GW_SESSION_CLOSING;
    s->close_reason = GW_CLOSE_REPLACED;
    s->flags = GW_SESSION_SHUT;
    assert_int_equal(ask(DEVICE, 10, false), GW_DOWNLINK_GONE);
    s->state = GW_SESSION_LIVE;
    for (uint32_t flag = GW_SESSION_SHUT; flag != 0;
         flag = flag == GW_SESSION_SHUT        ? GW_SESSION_PEER_GONE
                : flag == GW_SESSION_PEER_GONE ? GW_SESSION_GOODBYE
                                               : 0) { /* live still, but nothing is said to it */
        s->flags = flag;
        assert_int_equal(ask(DEVICE, 10, false), GW_DOWNLINK_GONE);
    }
    s->flags = 0;
    cold_of(sh, s)->product_flags = GW_PRODUCT_INFO_REQUIRED;
    assert_int_equal(ask(DEVICE, 10, false), GW_DOWNLINK_OFFLINE);
    s->flags = GW_SESSION_INFO_SEEN;
    assert_int_equal(ask(DEVICE, 10, false), GW_DOWNLINK_DELIVERED);
    assert_int_equal(sends, 1);
    gw_slab_release(&sh->sessions, 0);
    assert_int_equal(ask(DEVICE, 10, false), GW_DOWNLINK_GONE);
}

static struct {
    unsigned count;
    uint32_t tags[PENDING_MAX * 4];
    enum gw_downlink_result last;
} done;

static void on_done(struct gw_shard *shard, const struct downlink_origin *origin,
                    enum gw_downlink_result result)
{
    assert_ptr_equal(shard, sh);
    assert_int_equal(origin->slot, 3);
    assert_int_equal(origin->generation, 33);
    done.tags[done.count++] = origin->tag;
    done.last = result;
}

static void a_shard_asks_so_much_at_once_and_hears_of_each(void **state)
{
    struct downlink_origin origin = {.slot = 3, .generation = 33, .done = on_done};
    uint8_t body[BODY_MAX + 1] = "a";
    struct gw_frame frame = {.type = GW_FRAME_BRIDGE, .msg_id = 9, .body = gw_bytes_of(body, 1)};

    (void)state;
    done.count = 0;
    for (unsigned round = 0; round < 3; round++) {
        for (origin.tag = 0; origin.tag < PENDING_MAX; origin.tag++)
            assert_int_equal(downlink_send(sh, &origin, DEVICE, &frame), GW_DOWNLINK_UNDER_WAY);
        assert_int_equal(downlink_send(sh, &origin, DEVICE, &frame), GW_DOWNLINK_BUSY);
        body[0]++; /* it has been copied */
        step();
        assert_int_equal(done.count, PENDING_MAX * (round + 1));
        assert_int_equal(done.last, GW_DOWNLINK_DELIVERED);
        for (uint32_t i = 0; i < PENDING_MAX; i++)
            assert_int_equal(done.tags[PENDING_MAX * round + i], i);
    }
    frame.body.size = sizeof body;
    assert_int_equal(downlink_send(sh, &origin, DEVICE, &frame), GW_DOWNLINK_TOO_BIG);
    const struct gw_bytes front = gw_chunk_queue_front(&sh->chunks, &s->tx);

    assert_int_equal(front.size, 3 * ROUND_BYTES);
    assert_memory_equal(front.data,
                        "\x0f\0\x09\0\x01"
                        "a",
                        6); /* with the id that it came with */
    assert_memory_equal(front.data + ROUND_BYTES,
                        "\x0f\0\x09\0\x01"
                        "b",
                        6);
}

static void ids_of_our_own_are_never_0(void **state)
{
    (void)state;
    cold_of(sh, s)->own_id = UINT16_MAX - 1;
    assert_int_equal(ask(DEVICE, 0, false), GW_DOWNLINK_DELIVERED);
    assert_int_equal(ask(DEVICE, 0, false), GW_DOWNLINK_DELIVERED);
    assert_memory_equal(gw_chunk_queue_front(&sh->chunks, &s->tx).data,
                        "\x14\xff\xff\0\0\x14\0\x01\0\0", 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    static const struct CMUnitTest tests[] = {
        TEST(each_result_has_its_cause),
        TEST(only_the_session_that_was_meant_gets_it),
        TEST(a_shard_asks_so_much_at_once_and_hears_of_each),
        TEST(ids_of_our_own_are_never_0),
    };
#undef TEST

    return cmocka_run_group_tests_name("shard.downlink", tests, NULL, NULL);
}
