#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <gw/base/defs.h>

#include "dialect.h"
#include "ledger.h"

static const struct swarm_dialect *const mqtt = &swarm_dialect_mqtt;

static struct swarm_speaker speaker(void)
{
    return (struct swarm_speaker){
        .token = gw_bytes_text("0123456789abcdefghijklmnopqrstuv"),
        .device = 17,
        .heartbeat_s = 300,
        .pin = 4,
    };
}

#define assert_wrote(out, bytes, text)                                                             \
    do {                                                                                           \
        assert_int_equal(bytes, sizeof(text) - 1);                                                 \
        assert_memory_equal(out, text, sizeof(text) - 1);                                          \
    } while (0)

/* The bytes are written by hand from the standard, 3.1 to 3.14. */
static void packets_are_those_of_the_standard(void **state)
{
    struct swarm_speaker who = speaker();
    struct gw_bytes value = gw_bytes_text("21.4 x");
    uint8_t out[SWARM_WRITE_BYTES_MAX];

    (void)state;
    assert_wrote(out, mqtt->put_login(out, sizeof out, &who),
                 "\x10\x42"
                 "\0\4MQTT\4\xc2\1\x2c"
                 "\0\x09"
                 "device-17"
                 "\0\x09"
                 "device-17"
                 "\0\x20"
                 "0123456789abcdefghijklmnopqrstuv");
    assert_wrote(out, mqtt->put_update(out, sizeof out, 0x1234, false, &who, value),
                 "\x30\x14\0\x0c"
                 "device-17/v4"
                 "21.4 x");
    assert_wrote(out, mqtt->put_update(out, sizeof out, 0x1234, true, &who, value),
                 "\x32\x16\0\x0c"
                 "device-17/v4"
                 "\x12\x34"
                 "21.4 x");
    assert_wrote(out, mqtt->put_ping(out, sizeof out, 9, &who), "\xc0\0");
    assert_wrote(out, mqtt->put_goodbye(out, sizeof out), "\xe0\0");
}

/* The longest of everything: each length still fits one byte, and an update leaves a ping room. */
static void the_longest_packets_fit(void **state)
{
    struct swarm_speaker who = speaker();
    uint8_t out[SWARM_WRITE_BYTES_MAX];
    char value[SWARM_VALUE_BYTES_MAX];
    struct swarm_stamp stamp = {.run = UINT32_MAX, .device = UINT32_MAX, .counter = UINT32_MAX};
    size_t bytes = swarm_value_write(value, stamp, 0);

    (void)state;
    who.device = UINT32_MAX;
    who.pin = 255;
    who.heartbeat_s = 3600;
    bytes = mqtt->put_update(out, sizeof out, 1, true, &who, gw_bytes_of(value, bytes));
    assert_int_equal(out[1], bytes - 2);
    assert_true(bytes <= 2 + 127);
    bytes = mqtt->put_login(out, sizeof out, &who);
    assert_int_equal(out[1], bytes - 2);
    assert_true(bytes <= 2 + 127);
}

struct answer {
    const char *bytes;
    size_t size;
    uint16_t id, status;
};

#define ANSWER(text, id, status)                                                                   \
    {                                                                                              \
        text, sizeof(text) - 1, id, status                                                         \
    }

static const struct answer answers[] = {
    ANSWER("\x20\2\0\0", SWARM_LOGIN_ID, GW_RESPONSE_OK),
    ANSWER("\x20\2\0\1", SWARM_LOGIN_ID, GW_RESPONSE_ILLEGAL_COMMAND),
    ANSWER("\x20\2\0\2", SWARM_LOGIN_ID, GW_RESPONSE_ILLEGAL_COMMAND),
    ANSWER("\x20\2\0\3", SWARM_LOGIN_ID, GW_RESPONSE_SERVER_EXCEPTION),
    ANSWER("\x20\2\0\4", SWARM_LOGIN_ID, GW_RESPONSE_NOT_AUTHENTICATED),
    ANSWER("\x20\2\0\5", SWARM_LOGIN_ID, GW_RESPONSE_NOT_ALLOWED),
    ANSWER("\x40\2\0\x0a", 10, GW_RESPONSE_OK),
    ANSWER("\x40\2\xff\xfe", 0xfffe, GW_RESPONSE_OK),
    ANSWER("\xd0\0", 0xffff, GW_RESPONSE_OK),
};

static void answers_are_responses_at_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(answers); i++) {
        const struct answer *answer = &answers[i];
        struct gw_frame frame;
        size_t used = 99;

        for (size_t cut = 0; cut < answer->size; cut++) {
            assert_int_equal(mqtt->decode(gw_bytes_of(answer->bytes, cut), &frame, &used), GW_MORE);
            assert_int_equal(used, 0);
        }
        assert_int_equal(mqtt->decode(gw_bytes_of(answer->bytes, answer->size), &frame, &used),
                         GW_OK);
        assert_int_equal(used, answer->size);
        assert_int_equal(frame.type, GW_FRAME_RESPONSE);
        assert_int_equal(frame.msg_id, answer->id);
        assert_int_equal(frame.status, answer->status);
        assert_int_equal(frame.body.size, 0);
    }
}

/* Nothing that was sent is awaited under the id of pings. */
static void the_id_of_pings_is_that_of_their_answer(void **state)
{
    struct gw_frame frame;
    size_t used;

    (void)state;
    assert_int_equal(mqtt->decode(gw_bytes_of("\xd0", 2), &frame, &used), GW_OK);
    assert_int_equal(frame.msg_id, mqtt->ping_id);
}

static void what_is_no_answer_is_refused(void **state)
{
    /* Every first byte but the three, and every length but theirs. */
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        for (unsigned length = 0; length < 256; length++) {
            uint8_t in[] = {(uint8_t)type, (uint8_t)length, 0, 1};
            bool known =
                ((type == 0x20 || type == 0x40) && length == 2) || (type == 0xd0 && length == 0);
            struct gw_frame frame;
            size_t used;

            assert_int_equal(mqtt->decode(gw_bytes_of(in, sizeof in), &frame, &used),
                             known ? GW_OK : GW_BAD_FRAME);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_those_of_the_standard),
        cmocka_unit_test(the_longest_packets_fit),
        cmocka_unit_test(answers_are_responses_at_every_cut),
        cmocka_unit_test(the_id_of_pings_is_that_of_their_answer),
        cmocka_unit_test(what_is_no_answer_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
