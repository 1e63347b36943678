/*
 * What a device is told later, in one shard whose kernel does nothing: when, which value, and how
 * much. Lanes and last values are the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "shard_internal.h"

#include "still_ring.h"

enum { DEVICE = 12, SESSIONS = 4, OWED_MAX = 2, LANES_MAX = 4, TX_BYTES_MAX = 64, LOOK_MS = 64 };

static uint64_t durable; /* of every lane */

static struct {
    const char *text; /* of any pin that is asked for; NULL: it has none */
    enum gw_value_origin origin;
    int err;
} kept;

uint64_t __wrap_gw_lane_durable(const struct gw_lane *lane);
int __wrap_gw_values_get(struct gw_values_reader *reader, uint32_t device, char bank, uint8_t pin,
                         struct gw_value *out);

uint64_t __wrap_gw_lane_durable(const struct gw_lane *lane)
{
    (void)lane;
    return durable;
}

int __wrap_gw_values_get(struct gw_values_reader *reader, uint32_t device, char bank, uint8_t pin,
                         struct gw_value *out)
{
    assert_ptr_equal(reader, &kept);
    assert_int_equal(device, DEVICE);
    if (kept.text == NULL)
        return kept.err;
    *out = (struct gw_value){
        .bank = bank, .pin = pin, .origin = kept.origin, .bytes = gw_bytes_text(kept.text)};
    return 0;
}

static struct gw_shard *sh;

static int start(void **state)
{
    const struct gw_shard_options options = {
        .count = 1,
        .sessions_max = SESSIONS,
        .accepts_pending = 1,
        .chunk_count = 16,
        .answers_max = 16,
        .rate_frames_per_s = 10,
        .tx_bytes_max = TX_BYTES_MAX,
        .downlink_pending_max = 1,
        .owed_max = OWED_MAX,
    };

    (void)state;
    assert_int_equal(gw_shard_create(&options, &sh), 0);
    sh->values = (struct gw_values_reader *)&kept;
    gw_timer_wheel_init(&sh->wheel, &session_at(sh, 0)->timer, sizeof(struct gw_session),
                        (struct gw_instant){.ns = 0});
    for (uint32_t i = 0; i < SESSIONS; i++) {
        uint32_t slot = gw_slab_acquire(&sh->sessions);

        *session_at(sh, slot) = (struct gw_session){.device = DEVICE,
                                                    .rx = GW_CHUNK_QUEUE_EMPTY,
                                                    .tx = GW_CHUNK_QUEUE_EMPTY,
                                                    .state = GW_SESSION_LIVE};
        sh->cold[slot] =
            (struct gw_session_cold){.held = GW_CHUNK_QUEUE_EMPTY, .buffer_bytes = 300};
    }
    sh->open_count = sh->live_count = SESSIONS;
    durable = 0;
    kept.text = "new";
    kept.origin = GW_VALUE_FROM_HTTP;
    kept.err = -ENOENT;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sh->values = NULL;
    gw_shard_destroy(sh);
    return 0;
}

static struct gw_downlink write_of(const char *body, size_t bytes, uint64_t kept_at,
                                   uint32_t kept_by)
{
    return (struct gw_downlink){
        .device = DEVICE,
        .kept_at = kept_at,
        .kept_by = kept_by,
        .frame = {.type = GW_FRAME_HARDWARE, .body = gw_bytes_of(body, bytes)}};
}

static struct gw_downlink write_to(uint8_t pin, uint64_t kept_at, uint32_t kept_by)
{
    static char body[16];
    int bytes = snprintf(body, sizeof body, "vw%c%u%cold", 0, pin, 0);

    return write_of(body, (size_t)bytes, kept_at, kept_by);
}

static bool owe_to(uint32_t slot, uint8_t pin, uint64_t kept_at, uint32_t kept_by)
{
    struct gw_downlink write = write_to(pin, kept_at, kept_by);

    return owe(sh, session_at(sh, slot), &write);
}

/* The next look, and the pins that session 0 is told there. */
static const char *look(void)
{
    static char said[64];
    struct gw_session *s = session_at(sh, 0);
    struct gw_bytes front;
    size_t at = 0, used;
    struct gw_frame frame;

    still_ring_now_ns += LOOK_MS * GW_NS_PER_MS;
    pay_owed(sh);
    front = gw_chunk_queue_front(&sh->chunks, &s->tx);
    said[0] = '\0';
    while (front.size > 0) {
        struct gw_pin_write write;

        assert_int_equal(gw_frame_decode(front, 100, &frame, &used), GW_OK);
        assert_int_equal(gw_hardware_parse(frame.body, &write), GW_HARDWARE_WRITE);
        assert_true(frame.msg_id != 0 && gw_bytes_are(write.value, "new"));
        at += (size_t)snprintf(said + at, sizeof said - at, "%c%u ", write.bank, write.pin);
        front = gw_bytes_after(front, used);
    }
    gw_chunk_queue_clear(&sh->chunks, &s->tx);
    cold_of(sh, s)->tx_bytes = 0;
    return said;
}

static void it_is_told_when_it_is_durable_and_not_before(void **state)
{
    (void)state;
    assert_int_equal(owed_due_ns(sh), UINT64_MAX);
    assert_true(owe_to(0, 7, 5, 0));
    assert_true(owe_to(0, 200, 4, 0));
    assert_int_equal(owed_due_ns(sh), LOOK_MS * GW_NS_PER_MS);
    durable = 4;
    assert_string_equal(look(), "");
    durable = 5;
    pay_owed(sh); /* the next look is not due */
    assert_int_equal(sh->owed_count, 1);
    assert_string_equal(look(), "v7 v200 ");
    assert_int_equal(sh->owed_count, 0);
    assert_int_equal(gw_counter_read(&sh->metrics.owed_told), 2);
    assert_string_equal(look(), "");
}

static void it_waits_for_all_that_was_said_of_the_pin(void **state)
{
    struct gw_downlink same = write_to(7, 9, 1), other = write_of("vw\0008\0x", 6, 20, 2);
    struct gw_session *s = session_at(sh, 0);

    (void)state;
    same.frame.body = gw_bytes_of("vw\0007\0x", 6);
    assert_true(may_overtake_owed(sh, s, &same)); /* nothing is noted */
    assert_true(owe_to(0, 7, 5, 0));
    assert_true(may_overtake_owed(sh, s, &same));
    assert_true(may_overtake_owed(sh, s, &other));
    durable = 8;
    assert_string_equal(look(), "");
    durable = 9;
    assert_string_equal(look(), "v7 ");
}

static void lanes_are_waited_for_as_far_as_there_is_room(void **state)
{
    struct gw_downlink same = write_to(7, 9, LANES_MAX);

    (void)state;
    for (uint32_t lane = 0; lane < LANES_MAX; lane++)
        assert_true(owe_to(0, 7, 5 + lane, lane));
    assert_true(owe_to(0, 7, 8, 0));                               /* is in there */
    assert_false(may_overtake_owed(sh, session_at(sh, 0), &same)); /* is not */
    assert_false(owe_to(0, 7, 9, LANES_MAX));
    durable = 6; /* lane 1 has got there */
    assert_true(owe_to(0, 7, 9, LANES_MAX));
    durable = 8;
    assert_string_equal(look(), "");
    durable = 9;
    assert_string_equal(look(), "v7 ");
}

static void what_the_device_has_written_since_it_is_not_told(void **state)
{
    (void)state;
    kept.origin = GW_VALUE_FROM_DEVICE;
    assert_true(owe_to(0, 7, 1, 0));
    durable = 1;
    assert_string_equal(look(), "");
    assert_int_equal(sh->owed_count, 0);
    kept.text = NULL; /* nor what is not there */
    assert_true(owe_to(0, 7, 1, 0));
    assert_string_equal(look(), "");
    assert_int_equal(sh->owed_count, 0);
    assert_int_equal(gw_counter_read(&sh->metrics.sync_refused), 0);
    kept.err = -EIO;
    assert_true(owe_to(0, 7, 1, 0));
    assert_string_equal(look(), "");
    assert_int_equal(gw_counter_read(&sh->metrics.sync_refused), 1);
}

/* 13 bytes each; it is asked whether 64 are unsent before each. */
static void no_more_is_told_than_may_be_unsent(void **state)
{
    (void)state;
    durable = 1;
    for (uint8_t pin = 0; pin < 8; pin++)
        assert_true(owe_to(0, pin, 1, 0));
    cold_of(sh, session_at(sh, 0))->tx_bytes = TX_BYTES_MAX + 1;
    assert_string_equal(look(), "");
    assert_string_equal(look(), "v0 v1 v2 v3 v4 ");
    assert_string_equal(look(), "v5 v6 v7 ");
    assert_int_equal(sh->owed_count, 0);
    assert_true(owe_to(0, 1, 1, 0));
    cold_of(sh, session_at(sh, 0))->buffer_bytes = 12; /* would drop the link */
    assert_string_equal(look(), "");
    assert_int_equal(sh->owed_count, 0);
}

static void so_many_devices_are_told_later_and_who_has_gone_is_not(void **state)
{
    (void)state;
    durable = 1;
    assert_true(owe_to(1, 7, 1, 0));
    assert_true(owe_to(0, 7, 1, 0));
    assert_false(owe_to(2, 7, 1, 0));
    close_session(sh, session_at(sh, 1), GW_CLOSE_HEARTBEAT_LOST);
    assert_int_equal(sh->owed_count, 1);
    assert_true(owe_to(2, 7, 1, 0));
    session_at(sh, 0)->flags |= GW_SESSION_GOODBYE; /* nothing is said to it any more */
    assert_string_equal(look(), "");
    assert_int_equal(sh->owed_count, 1);
    assert_int_equal(gw_counter_read(&sh->metrics.owed_told), 1); /* session 2 */
}

static void what_is_not_kept_is_not_told_later(void **state)
{
    struct gw_downlink reboot = write_of("rb", 2, 1, 0);

    (void)state;
    assert_false(owe_to(0, 7, 0, 0));
    assert_false(owe(sh, session_at(sh, 0), &reboot));
    sh->values = NULL; /* last values are off */
    assert_false(owe_to(0, 7, 1, 0));
    assert_int_equal(sh->owed_count, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_told_when_it_is_durable_and_not_before, start, stop),
        cmocka_unit_test_setup_teardown(it_waits_for_all_that_was_said_of_the_pin, start, stop),
        cmocka_unit_test_setup_teardown(lanes_are_waited_for_as_far_as_there_is_room, start, stop),
        cmocka_unit_test_setup_teardown(what_the_device_has_written_since_it_is_not_told, start,
                                        stop),
        cmocka_unit_test_setup_teardown(no_more_is_told_than_may_be_unsent, start, stop),
        cmocka_unit_test_setup_teardown(so_many_devices_are_told_later_and_who_has_gone_is_not,
                                        start, stop),
        cmocka_unit_test_setup_teardown(what_is_not_kept_is_not_told_later, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
