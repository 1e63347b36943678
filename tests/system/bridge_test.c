/*
 * From device to device: BRIDGE.
 */
#include "downlink_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAIRS = 3 * SYS_TRANSPORTS };

static void bridge(struct sys_client *c, uint16_t msg_id, const char *body, size_t size)
{
    sys_must(&gateway, c, sys_client_send_frame(c, GW_FRAME_BRIDGE, msg_id, body, size));
}

static void name_target(struct sys_client *c, uint16_t msg_id, unsigned number, const char *token,
                        uint16_t status)
{
    char body[64];
    int size = snprintf(body, sizeof body, "%u%ci%c%s", number, 0, 0, token);

    bridge(c, msg_id, body, (size_t)size);
    sys_must(&gateway, c, sys_client_expect_response(c, msg_id, status, sys_ms(SOON_MS)));
}

static void a_device_writes_to_those_of_its_organisation(void **state)
{
    static const char write64[] = "64\0vw\0001\0005", write65[] = "65\0vw\0001\0006";
    struct sys_client from, to;
    struct sys_device stranger;
    struct gw_frame frame;

    (void)state;
    free(sys_ctl(&gateway, NULL, "org", "add", "Others", NULL));
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", "TMPLothers", "--org", "Others",
                 "--plain", NULL));
    sys_devices_add(&gateway, "TMPLothers", &stranger, 1);
    for (size_t i = 0; i < PAIRS; i++) { /* so many that some cross shards */
        log_in(&from, &devices[5], i);
        log_in(&to, &devices[6], i + 1);
        bridge(&from, 20, write64, sizeof write64 - 1); /* F62: nothing was named */
        sys_must(&gateway, &from,
                 sys_client_expect_response(&from, 20, GW_RESPONSE_NOT_ALLOWED, sys_ms(SOON_MS)));
        name_target(&from, 21, 64, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", GW_RESPONSE_NOT_ALLOWED);
        name_target(&from, 22, 64, "no token", GW_RESPONSE_NOT_ALLOWED);
        name_target(&from, 23, 64, stranger.token, GW_RESPONSE_NOT_ALLOWED);
        name_target(&from, 24, 64, devices[6].token, GW_RESPONSE_OK);
        name_target(&from, 25, 65, devices[7].token, GW_RESPONSE_OK);
        name_target(&from, 26, 66, devices[8].token, GW_RESPONSE_NOT_ALLOWED); /* two may be */
        name_target(&from, 27, 65, devices[8].token, GW_RESPONSE_OK); /* in place of another */
        bridge(&from, 28, write64, sizeof write64 - 1);
        sys_must(&gateway, &to, sys_client_frame(&to, &frame, sys_ms(SOON_MS)));
        assert_int_equal(frame.type, GW_FRAME_BRIDGE);
        assert_int_equal(frame.msg_id, 28);
        assert_int_equal(frame.body.size, 6);
        assert_memory_equal(frame.body.data, write64 + 3, 6);
        bridge(&from, 29, write65, sizeof write65 - 1); /* F63: it is offline */
        sys_must(
            &gateway, &from,
            sys_client_expect_response(&from, 29, GW_RESPONSE_NOT_IN_NETWORK, sys_ms(SOON_MS)));
        bridge(&from, 30, "64\0dr\0005", 7);
        sys_must(
            &gateway, &from,
            sys_client_expect_response(&from, 30, GW_RESPONSE_ILLEGAL_COMMAND, sys_ms(SOON_MS)));
        sys_must(&gateway, &from, sys_client_ping(&from, 31)); /* a write is not answered */
        sys_client_close(&from);
        sys_client_close(&to);
    }
    /* More devices than there are places, one after the other: places come back. */
    for (size_t i = 0; i < 20; i++) {
        log_in(&from, &devices[5], i);
        name_target(&from, 21, 1, devices[6].token, GW_RESPONSE_OK);
        sys_client_close(&from);
    }
}

static void what_a_device_writes_to_another_is_recorded_as_the_others(void **state)
{
    static const char write64[] = "64\0vw\0001\0bridged";
    struct sys_device added[2], *from = &added[0], *to = &added[1];
    const struct gw_record *record;
    struct sys_client writer, board;

    (void)state;
    sys_devices_add(&gateway, SYS_PRODUCT, added, GW_ARRAY_COUNT(added));
    log_in(&writer, from, SYS_TLS13);
    name_target(&writer, 21, 64, to->token, GW_RESPONSE_OK);
    bridge(&writer, 22, write64, sizeof write64 - 1); /* F63: the value is stored all the same */
    sys_must(&gateway, &writer,
             sys_client_expect_response(&writer, 22, GW_RESPONSE_NOT_IN_NETWORK, sys_ms(SOON_MS)));
    record = newest_write(to, 1);
    assert_int_equal(record->flags, GW_RECORD_FROM_BRIDGE);
    assert_int_equal(record->msg_id, 22);
    assert_true(gw_bytes_are(record->value, "bridged"));
    assert_int_equal(sys_updates_count(&updates, from->number, GW_RECORD_PIN_WRITE, NULL), 0);
    log_in(&board, to, SYS_PLAIN);
    expect_synced(&board, 3, "vw|1|bridged");
    sys_client_close(&board);
    sys_client_close(&writer);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_writes_to_those_of_its_organisation),
        cmocka_unit_test(what_a_device_writes_to_another_is_recorded_as_the_others),
    };

    return run_downlink_tests("bridge", tests, GW_ARRAY_COUNT(tests));
}
