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

#include "still_ring.h"

enum {
    DEVICE = 12,
    SLOT_GENERATION = 7,
    PENDING_MAX = 4,
    BYTES_MAX = 600,
    BODY_MAX = 1024,
    ROUND_BYTES = 6 * PENDING_MAX
};

/* ---- a lane that is the test's ---- */

static struct {
    bool full;
    unsigned count;
    struct gw_record last;
    uint8_t value[BODY_MAX];
} lane_log;

bool __wrap_gw_lane_has_room(const struct gw_lane *lane, size_t bytes);
uint64_t __wrap_gw_lane_append(struct gw_lane *lane, const struct gw_record *record,
                               uint64_t wall_us, struct gw_instant now);

bool __wrap_gw_lane_has_room(const struct gw_lane *lane, size_t bytes)
{
    (void)lane, (void)bytes;
    return !lane_log.full;
}

uint64_t __wrap_gw_lane_append(struct gw_lane *lane, const struct gw_record *record,
                               uint64_t wall_us, struct gw_instant now)
{
    (void)lane, (void)wall_us, (void)now;
    lane_log.last = *record;
    assert_true(record->value.size <= sizeof lane_log.value);
    memcpy(lane_log.value, record->value.data, record->value.size);
    lane_log.last.value.data = lane_log.value;
    return ++lane_log.count;
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
    still_ring_sends = wakes = 0;
    lane_log.full = false;
    lane_log.count = 0;
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
    assert_int_equal(still_ring_sends, 1);
    assert_int_equal(ask(DEVICE, 10, true), GW_DOWNLINK_DELIVERED);
    assert_int_equal(still_ring_sends, 1); /* a question sends nothing */
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
    assert_int_equal(still_ring_sends, 1);
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

/* By the control socket: what it asks, and how the log has it. */
static enum gw_downlink_result write_pin(uint32_t device, const char *body, size_t bytes)
{
    struct gw_downlink_desk desk = {.wake = count_wake, .context = &wakes};
    struct gw_downlink downlink = {
        .desk = &desk,
        .device = device,
        .recorded_as = GW_RECORD_FROM_CONTROL,
        .frame = {.type = GW_FRAME_HARDWARE, .body = gw_bytes_of(body, bytes)}};

    gw_shard_downlink(sh, &downlink);
    step();
    assert_ptr_equal(gw_inbox_take(&desk.answers), &downlink);
    return downlink.result;
}

static void what_others_write_is_recorded_whatever_becomes_of_it(void **state)
{
    static const char body[] = "vw\0"
                               "200\0a\0b";
    uint64_t session;

    (void)state;
    assert_int_equal(write_pin(DEVICE, body, sizeof body - 1), GW_DOWNLINK_DELIVERED);
    assert_int_equal(still_ring_sends, 1);
    assert_int_equal(lane_log.count, 1);
    assert_int_equal(lane_log.last.kind, GW_RECORD_PIN_WRITE);
    assert_int_equal(lane_log.last.device, DEVICE);
    assert_int_equal(lane_log.last.bank, 'v');
    assert_int_equal(lane_log.last.pin, 200);
    assert_int_equal(lane_log.last.flags, GW_RECORD_FROM_CONTROL);
    assert_int_equal(lane_log.last.msg_id, 0);
    assert_int_equal(lane_log.last.sequence, 1);
    assert_int_equal(lane_log.last.time_us, UINT64_C(1700000000000000));
    assert_true(gw_bytes_equal(lane_log.last.value, gw_bytes_of("a\0b", 3)));
    session = lane_log.last.session;
    assert_int_equal(write_pin(DEVICE + 1, body, sizeof body - 1), GW_DOWNLINK_OFFLINE);
    assert_int_equal(lane_log.last.device, DEVICE + 1);
    cold_of(sh, s)->buffer_bytes = 10;
    assert_int_equal(write_pin(DEVICE, body, sizeof body - 1), GW_DOWNLINK_TOO_BIG);
    assert_int_equal(lane_log.count, 3);
    assert_int_equal(lane_log.last.session, session); /* of many devices */
    assert_int_equal(lane_log.last.sequence, 3);
    assert_int_equal(gw_counter_read(&sh->metrics.updates), 3);
    sh->written_sequence =
        UINT32_MAX; /* a session that has no number left is followed by another */
    assert_int_equal(write_pin(DEVICE + 1, body, sizeof body - 1), GW_DOWNLINK_OFFLINE);
    assert_int_equal(lane_log.last.sequence, 1);
    assert_true(lane_log.last.session != session);
    assert_int_equal(ask(DEVICE, 1, false), GW_DOWNLINK_DELIVERED); /* no write that is recorded */
    assert_int_equal(lane_log.count, 4);
}

static void what_cannot_be_recorded_is_not_sent(void **state)
{
    struct downlink_origin origin = {
        .slot = 3, .generation = 33, .recorded_as = GW_RECORD_FROM_BRIDGE, .done = on_done};
    struct gw_frame frame = {.type = GW_FRAME_BRIDGE,
                             .msg_id = 9,
                             .body = gw_bytes_of("vw\0"
                                                 "1\0x",
                                                 6)};

    (void)state;
    done.count = 0;
    lane_log.full = true;
    assert_int_equal(downlink_send(sh, &origin, DEVICE, &frame), GW_DOWNLINK_UNDER_WAY);
    step();
    assert_int_equal(done.last, GW_DOWNLINK_BUSY);
    assert_int_equal(write_pin(DEVICE,
                               "vw\0"
                               "1\0x",
                               6),
                     GW_DOWNLINK_BUSY);
    assert_int_equal(still_ring_sends, 0);
    assert_int_equal(lane_log.count, 0);
    lane_log.full = false;
    assert_int_equal(downlink_send(sh, &origin, DEVICE, &frame), GW_DOWNLINK_UNDER_WAY);
    step();
    assert_int_equal(done.last, GW_DOWNLINK_DELIVERED);
    assert_int_equal(lane_log.last.flags, GW_RECORD_FROM_BRIDGE);
    assert_int_equal(lane_log.last.msg_id, 9);
    assert_int_equal(done.count, 2);
}

static void ids_of_our_own_are_never_0(void **state)
{
    (void)state;
    s->own_id = UINT16_MAX - 1;
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
        TEST(what_others_write_is_recorded_whatever_becomes_of_it),
        TEST(what_cannot_be_recorded_is_not_sent),
        TEST(ids_of_our_own_are_never_0),
    };
#undef TEST

    return cmocka_run_group_tests_name("shard.downlink", tests, NULL, NULL);
}
