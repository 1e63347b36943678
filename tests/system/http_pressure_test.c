/*
 * HTTP while something is short: the log takes nothing more, chunks are taken, a device cannot be
 * told. Who comes then is told to come again, and what was answered with 200 is kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/chunk.h>
#include <gw/wire/body.h>

#include "group.h"
#include "http_client.h"

static struct sys_gateway gateway;
static struct sys_device devices[3];
static struct sys_updates updates;

static size_t writes_of(const struct sys_device *device)
{
    sys_updates_read(&gateway, &updates);
    return sys_updates_count(&updates, device->number, GW_RECORD_PIN_WRITE, NULL);
}

/* ---- the log takes nothing more ---- */

enum { CONNECTIONS = 12, POINTS = 9000 };

/* Batches on a disk that does not move, more than the lane has room for. */
static void fill_lane(struct sys_client clients[CONNECTIONS], const struct sys_device *device)
{
    char *batch = http_batch(POINTS, http_wall_ms(), device->token, "pin=V7");

    for (int i = 0; i < CONNECTIONS; i++) {
        sys_must(&gateway, &clients[i], sys_connect(&gateway, &clients[i], SYS_PLAIN));
        sys_must(&gateway, &clients[i], sys_client_send(&clients[i], batch, strlen(batch)));
    }
    free(batch);
    for (uint64_t until = sys_now_ms() + sys_ms(500); sys_now_ms() < until;)
        for (int i = 0; i < CONNECTIONS; i++)
            (void)sys_client_receive(&clients[i], 5);
}

/* 503 with its Retry-After, or the status. */
static int read_status(struct sys_client *c)
{
    struct http_answer answer;

    http_read(&gateway, c, &answer, false);
    if (answer.status == 503) {
        assert_string_equal(answer.body, LATER);
        assert_non_null(strstr(answer.head, "\r\nretry-after: "));
        assert_non_null(strstr(answer.head, "\r\nconnection: keep-alive\r\n"));
    }
    return answer.status;
}

static void a_full_lane_is_told_and_nothing_taken_is_lost(void **state)
{
    const struct sys_device *device = &devices[0];
    struct sys_client clients[CONNECTIONS];
    size_t before = writes_of(device), taken = 0, refused = 0;

    (void)state;
    sys_disk_stall(&gateway);
    fill_lane(clients, device);
    sys_disk_resume(&gateway);
    for (int i = 0; i < CONNECTIONS; i++) {
        int status = read_status(&clients[i]);

        assert_true(status == 200 || status == 503);
        taken += status == 200;
        refused += status == 503;
        sys_client_close(&clients[i]);
    }
    assert_true(taken > 0 && refused > 0);
    assert_int_equal(writes_of(device), before + taken * POINTS);
}

/*
 * An update that finds no room is refused at once on a connection that waits for nothing. Behind
 * one that waits its turn comes when that was answered, and by then there may be room.
 */
static void an_update_without_room_is_refused_in_its_turn(void **state)
{
    const struct sys_device *device = &devices[1];
    struct sys_client clients[CONNECTIONS], waiting, fresh;
    size_t before = writes_of(device), taken = 1;

    (void)state;
    sys_disk_stall(&gateway);
    sys_must(&gateway, &waiting, sys_connect(&gateway, &waiting, SYS_TLS13));
    http_send(&gateway, &waiting, device, "GET /external/api/update?token={T}&v1=first" END);
    sys_must(&gateway, &waiting, sys_client_expect_silence(&waiting, 100));
    fill_lane(clients, &devices[0]);

    sys_must(&gateway, &fresh, sys_connect(&gateway, &fresh, SYS_PLAIN));
    http_send(&gateway, &fresh, device, "GET /external/api/update?token={T}&v1=refused" END);
    assert_int_equal(read_status(&fresh), 503);
    http_must(&gateway, &fresh, device, "GET /external/api/get?token={T}&v99" END, 400, NO_VALUE);
    http_send(&gateway, &waiting, device,
              "GET /external/api/update?token={T}&v2=second" END
              "GET /external/api/get?token={T}&v1" END);
    sys_must(&gateway, &waiting, sys_client_expect_silence(&waiting, 100));

    sys_disk_resume(&gateway);
    http_expect(&gateway, &waiting, 200, "");
    taken += read_status(&waiting) == 200;
    http_expect(&gateway, &waiting, 200, "first");
    for (int i = 0; i < CONNECTIONS; i++) {
        (void)read_status(&clients[i]);
        sys_client_close(&clients[i]);
    }
    /* And on the connection that was refused, once there is room. */
    http_must(&gateway, &fresh, device, "GET /external/api/update?token={T}&v1=again" END, 200, "");
    sys_client_close(&fresh);
    sys_client_close(&waiting);
    assert_int_equal(writes_of(device), before + taken + 1);
}

/* ---- chunks ---- */

enum { SHARE = 32 }; /* half of them */
#define FEW_CHUNKS                                                                                 \
    "chunks_per_shard = 64;\n"                                                                     \
    "http: { value_bytes_max = 8192; head_bytes_max = 16384; };\n"                                 \
    "rate: { burst = 100000; };\n"

static void await_chunks(unsigned count)
{
    for (int i = 0; i < 200 && sys_metric(&gateway, "tollgate_chunks_taken") != count; i++)
        sys_pause_ms(20);
    assert_true(sys_metric(&gateway, "tollgate_chunks_taken") == count);
}

/* A request whose body is on its way, and takes so many chunks meanwhile. */
static void hold_chunks(struct sys_client *c, unsigned chunks)
{
    char *head =
        sys_text("PUT /external/api/update/pin?token=%s&v1" JSON "Content-Length: 200000\r\n\r\n",
                 devices[2].token);
    size_t bytes = (size_t)chunks * GW_CHUNK_DATA_BYTES - 100;
    char *all = malloc(bytes);

    assert_non_null(all);
    memset(all, ' ', bytes);
    memcpy(all, head, strlen(head));
    await_chunks(0);
    sys_must(&gateway, c, sys_connect(&gateway, c, SYS_PLAIN));
    sys_must(&gateway, c, sys_client_send(c, all, bytes));
    await_chunks(chunks);
    free(all);
    free(head);
}

/* Gives a pin a value of so many bytes. */
static void fill_pin(struct sys_client *c, int pin, size_t bytes)
{
    char *request =
        sys_text("GET /external/api/update?token={T}&v%d=%0*d" END, pin, (int)bytes, pin);

    http_must(&gateway, c, &devices[2], request, 200, "");
    free(request);
}

static void expect_pin(struct sys_client *c, int pin, size_t bytes, bool served)
{
    char *request = sys_text("GET /external/api/get?token={T}&v%d" END, pin);
    char *value = sys_text("%0*d", (int)bytes, pin);

    http_must(&gateway, c, &devices[2], request, served ? 200 : 503, served ? value : LATER);
    free(request);
    free(value);
}

/*
 * To the byte: an answer that a chunk holds is always given; a longer one only while all that HTTP
 * holds stays within half of the chunks.
 */
static void a_long_answer_takes_no_more_than_its_share(void **state)
{
    enum { ONE = GW_CHUNK_DATA_BYTES };
    struct sys_client c, holder;

    (void)state;
    sys_gateway_stop(&gateway);
    sys_gateway_configure(&gateway, FEW_CHUNKS);
    sys_gateway_start(&gateway);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    fill_pin(&c, 1, ONE);
    fill_pin(&c, 2, ONE + 1);
    fill_pin(&c, 3, 2 * ONE - 1);
    fill_pin(&c, 4, 2 * ONE);
    hold_chunks(&holder, SHARE - 2); /* two are left, and one is spare: for ends of records */
    expect_pin(&c, 1, ONE, true);
    expect_pin(&c, 2, ONE + 1, true);
    expect_pin(&c, 3, 2 * ONE - 1, true);
    expect_pin(&c, 4, 2 * ONE, false);
    sys_client_close(&holder);
    hold_chunks(&holder, SHARE - 1);
    expect_pin(&c, 1, ONE, true);
    expect_pin(&c, 2, ONE + 1, false);
    sys_client_close(&holder);
    await_chunks(0);
    expect_pin(&c, 4, 2 * ONE, true);
    sys_client_close(&c);
}

/* An answer is copied in pieces of 16 KiB, head included: around that length it comes whole too. */
static void an_answer_is_whole_at_every_length_around_a_piece(void **state)
{
    enum { PIECE = 16384, FIXED = 8000, MARGIN = 12 };
    struct sys_client c;
    struct http_answer answer;
    size_t head_bytes, rest;

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        fill_pin(&c, 10, FIXED);
        http_ask(&gateway, &c, &devices[2], "GET /external/api/get?token={T}&v10&v11" END, &answer);
        head_bytes = strlen(answer.head) + 1; /* the length will have a digit more */
        /* {"v10":"...","v11":"..."} */
        rest = PIECE - head_bytes - strlen("{\"v10\":\"\",\"v11\":\"\"}") - FIXED;
        for (size_t bytes = rest - MARGIN; bytes <= rest + MARGIN; bytes++) {
            char *expected =
                sys_text("{\"v10\":\"%0*d\",\"v11\":\"%0*d\"}", FIXED, 10, (int)bytes, 11);

            fill_pin(&c, 11, bytes);
            http_must(&gateway, &c, &devices[2], "GET /external/api/get?token={T}&v10&v11" END, 200,
                      expected);
            free(expected);
        }
        sys_client_close(&c);
    }
}

/* ---- the device takes no more at the moment ---- */

enum { PINS = 60 };

/* A batch for pins 0 to count - 1, each with the value "N-"; owned. */
static char *batch_of(unsigned count, char n)
{
    char *text = sys_text("GET /external/api/batch/update?token={T}");

    for (unsigned pin = 0; pin < count; pin++) {
        char *longer = sys_text("%s&v%u=%c-------------", text, pin, n);

        free(text);
        text = longer;
    }
    char *whole = sys_text("%s" END, text);

    free(text);
    return whole;
}

/* A write to one of the pins; what it says of which round the value is. */
static char read_round(struct sys_client *board, uint8_t *pin, uint32_t ms)
{
    struct gw_pin_write write;
    struct gw_frame frame;

    if (!sys_client_frame(board, &frame, ms))
        return 0;
    assert_int_equal(frame.type, GW_FRAME_HARDWARE);
    assert_int_equal(gw_hardware_parse(frame.body, &write), GW_HARDWARE_WRITE);
    assert_true(write.pin < PINS);
    *pin = write.pin;
    return (char)write.value.data[0];
}

/*
 * Three values for each of 60 pins in one breath, for a device of which no more than 512 bytes may
 * be under way: some of them are left out, and never the last.
 */
static void what_a_device_cannot_take_now_it_is_told_later(void **state)
{
    static const char undelivered[] = "tollgate_http_writes_undelivered_total";
    const struct sys_device *device = &devices[1];
    double were_undelivered = sys_metric(&gateway, undelivered);
    size_t before = writes_of(device);

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        char rounds[PINS] = {0}, round;
        struct sys_client board, c;
        unsigned told = 0;
        uint8_t pin;

        sys_must(&gateway, &board, sys_connect(&gateway, &board, (enum sys_transport)t));
        sys_must(&gateway, &board, sys_client_login(&board, device->token, GW_RESPONSE_OK));
        sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
        for (int n = 0; n < 3; n++) {
            char *batch = batch_of(PINS, (char)('1' + n));

            http_send(&gateway, &c, device, batch);
            free(batch);
        }
        for (int n = 0; n < 3; n++)
            http_expect(&gateway, &c, 200, "");
        while (told < PINS) {
            round = read_round(&board, &pin, sys_ms(HTTP_SOON_MS));
            assert_true(round >= rounds[pin] && round != 0); /* nothing older follows */
            told += round == '3' && rounds[pin] != '3';
            rounds[pin] = round;
        }
        while ((round = read_round(&board, &pin, sys_ms(300))) != 0)
            assert_int_equal(round, '3');
        sys_client_close(&c);
        sys_client_close(&board);
    }
    assert_true(sys_metric(&gateway, "tollgate_downlinks_owed_total") > 0);
    assert_true(sys_metric(&gateway, "tollgate_owed_told_total") >= PINS);
    assert_true(sys_metric(&gateway, undelivered) == were_undelivered);
    assert_int_equal(writes_of(device), before + (size_t)SYS_TRANSPORTS * 3 * PINS);
}

/* Whatever is written to somebody who is away: all messages of the shard are under way then. */
static void writes_to_one_device_take_nothing_from_another(void **state)
{
    enum { ROUNDS = 20, WRITES = 256, CROWD = 4 };
    static struct sys_client crowd[CROWD];
    char *batch = batch_of(WRITES, '1');
    struct sys_client board, c;
    struct gw_frame frame;

    (void)state;
    sys_must(&gateway, &board, sys_connect(&gateway, &board, SYS_TLS13));
    sys_must(&gateway, &board, sys_client_login(&board, devices[1].token, GW_RESPONSE_OK));
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    for (int i = 0; i < CROWD; i++)
        sys_must(&gateway, &crowd[i], sys_connect(&gateway, &crowd[i], SYS_PLAIN));
    for (int round = 0; round < ROUNDS; round++) {
        char *update = sys_text("GET /external/api/update?token={T}&v9=%d" END, round);
        char *expected = sys_text("vw%c9%c%d", 1, 1, round);

        for (int i = 0; i < CROWD; i++)
            http_send(&gateway, &crowd[i], &devices[0], batch);
        http_must(&gateway, &c, &devices[1], update, 200, "");
        sys_must(&gateway, &board, sys_client_frame(&board, &frame, sys_ms(HTTP_SOON_MS)));
        for (size_t i = 0; i < frame.body.size; i++) /* NUL would end the text */
            ((uint8_t *)expected)[i] = expected[i] == 1 ? 0 : (uint8_t)expected[i];
        assert_true(gw_bytes_equal(frame.body, gw_bytes_of(expected, frame.body.size)));
        for (int i = 0; i < CROWD; i++)
            http_expect(&gateway, &crowd[i], 200, "");
        free(expected);
        free(update);
    }
    assert_true(sys_metric(&gateway, "tollgate_parked_for_downlinks_total") > 0);
    assert_true(sys_metric(&gateway, "tollgate_downlinks_busy_total") == 0);
    for (int i = 0; i < CROWD; i++)
        sys_client_close(&crowd[i]);
    sys_client_close(&c);
    sys_client_close(&board);
    free(batch);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "http pressure",
        .gateway = &gateway,
        .options = {.shards = 1,
                    .slow_disk = true,
                    .config = "downlink: { bytes_max = 512; };\n"
                              "rate: { burst = 100000; };\n"},
        .devices = devices,
        .device_count = GW_ARRAY_COUNT(devices),
        .updates = &updates,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_lane_is_told_and_nothing_taken_is_lost),
        cmocka_unit_test(an_update_without_room_is_refused_in_its_turn),
        cmocka_unit_test(what_a_device_cannot_take_now_it_is_told_later),
        cmocka_unit_test(writes_to_one_device_take_nothing_from_another),
        cmocka_unit_test(a_long_answer_takes_no_more_than_its_share), /* starts the gateway anew */
        cmocka_unit_test(an_answer_is_whole_at_every_length_around_a_piece),
    };

    return SYS_GROUP_RUN(&group, tests);
}
