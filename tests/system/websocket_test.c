/*
 * Devices over WebSocket: the handshake, the conformance table in messages, what frames of ours are
 * wrapped in, and how connections end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance_cases.h"
#include "group.h"
#include "websocket_client.h"

enum { SOON_MS = 3000, FENCE_ID = 0x7abc, BYTES_MAX = 8192, FIN = SYS_WEBSOCKET_FIN };

static struct sys_gateway gateway;
static struct sys_updates updates;

/* ---- a client ---- */

struct bytes {
    uint8_t at[BYTES_MAX];
    size_t size;
};

static void add(struct bytes *out, const void *bytes, size_t size)
{
    assert_true(out->size + size <= sizeof out->at);
    if (size > 0)
        memcpy(out->at + out->size, bytes, size);
    out->size += size;
}

/* A frame as a client sends it. */
static void wrap(struct bytes *out, unsigned first, const void *payload, size_t size)
{
    assert_true(out->size + size + SYS_WEBSOCKET_WRAP_BYTES <= sizeof out->at);
    out->size += sys_websocket_wrap(out->at + out->size, first, payload, size);
}

static void send_all(struct sys_client *c, const struct bytes *bytes)
{
    sys_must(&gateway, c, sys_client_send(c, bytes->at, bytes->size));
}

static void send_message(struct sys_client *c, unsigned first, const void *payload, size_t size)
{
    sys_must(&gateway, c, sys_websocket_send(c, first, payload, size));
}

/* What the gateway sends: not masked, whole. */
static void add_expected(struct bytes *out, enum gw_websocket_opcode opcode, const void *payload,
                         size_t size)
{
    uint8_t header[GW_WEBSOCKET_HEADER_BYTES_MAX];

    add(out, header, gw_websocket_header(opcode, size, header));
    add(out, payload, size);
}

static void expect(struct sys_client *c, const struct bytes *bytes)
{
    sys_must(&gateway, c, sys_client_expect(c, bytes->at, bytes->size, sys_ms(SOON_MS)));
}

static void expect_message(struct sys_client *c, enum gw_websocket_opcode opcode,
                           const void *payload, size_t size)
{
    sys_must(&gateway, c, sys_websocket_expect(c, opcode, payload, size));
}

static void expect_status(struct sys_client *c, uint16_t msg_id, uint16_t status)
{
    sys_must(&gateway, c, sys_websocket_expect_response(c, msg_id, status));
}

static void expect_close(struct sys_client *c, uint16_t code)
{
    sys_must(&gateway, c, sys_websocket_expect_close(c, code));
}

static void open_websocket(struct sys_client *c, enum sys_transport transport)
{
    sys_must(&gateway, c, sys_connect(&gateway, c, transport));
    sys_must(&gateway, c, sys_websocket_open(c));
}

static size_t frame_of(uint8_t *out, uint8_t type, uint16_t msg_id, const void *body, size_t size)
{
    struct gw_frame frame = {.type = type, .msg_id = msg_id, .body = gw_bytes_of(body, size)};

    return gw_frame_encode(out, BYTES_MAX, &frame);
}

static void send_frame(struct sys_client *c, uint8_t type, uint16_t msg_id, const void *body,
                       size_t size)
{
    sys_must(&gateway, c, sys_websocket_send_frame(c, type, msg_id, body, size));
}

static void log_in(struct sys_client *c, const struct sys_device *device,
                   enum sys_transport transport)
{
    open_websocket(c, transport);
    sys_must(&gateway, c, sys_websocket_login(c, device->token, GW_RESPONSE_OK));
}

/* PING of the device protocol: nothing else was said before its answer. */
static void fence(struct sys_client *c)
{
    sys_must(&gateway, c, sys_websocket_ping(c, FENCE_ID));
}

static struct sys_device *new_device(void)
{
    static struct sys_device device;

    sys_devices_add(&gateway, SYS_PRODUCT, &device, 1);
    return &device;
}

/* ---- the handshake ---- */

static void what_is_no_handshake_is_refused(void **state)
{
    static const struct {
        const char *request, *head;
    } rows[] = {
        {"GET /websocket HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 Upgrade Required\r\n"},
        {"GET /websocket HTTP/1.1\r\nHost: a\r\n" SYS_WEBSOCKET_UPGRADE
         "Sec-WebSocket-Version: 8\r\n" SYS_WEBSOCKET_KEY "\r\n",
         "HTTP/1.1 426 Upgrade Required\r\n"},
        {"GET /websocket HTTP/1.1\r\nHost: a\r\n" SYS_WEBSOCKET_UPGRADE
         "Sec-WebSocket-Version: 13\r\n\r\n",
         "HTTP/1.1 400 Bad Request\r\n"},
        {"GET /websocket HTTP/1.1\r\nHost: a\r\n" SYS_WEBSOCKET_UPGRADE
         "Sec-WebSocket-Version: 13\r\n" SYS_WEBSOCKET_KEY SYS_WEBSOCKET_KEY "\r\n",
         "HTTP/1.1 400 Bad Request\r\n"},
        {"GET /dashws HTTP/1.1\r\nHost: a\r\n" SYS_WEBSOCKET_UPGRADE
         "Sec-WebSocket-Version: 13\r\n" SYS_WEBSOCKET_KEY "\r\n",
         "HTTP/1.1 404 Not Found\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct sys_client c;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
        sys_must(&gateway, &c, sys_client_send(&c, rows[i].request, strlen(rows[i].request)));
        sys_must(&gateway, &c,
                 sys_client_expect(&c, rows[i].head, strlen(rows[i].head), sys_ms(SOON_MS)));
        if (strstr(rows[i].head, "426") != NULL) {
            while (c.in_bytes < 200 && sys_client_receive(&c, 20))
                continue;
            assert_non_null(memmem(c.in, c.in_bytes, "\r\nsec-websocket-version: 13\r\n", 29));
        }
        sys_client_close(&c);
    }
}

/* The second request is the WebSocket's, and its first message is in the same segment. */
static void it_may_follow_requests_and_be_followed_at_once(void **state)
{
    const struct sys_device *device = new_device();
    const struct sys_update *online, *written;

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        char *first = sys_text("GET /external/api/update?token=%s&v9=http HTTP/1.1\r\n"
                               "Host: a\r\n\r\n" SYS_WEBSOCKET_OPEN,
                               device->token);
        struct bytes out = {.size = 0};
        uint8_t login[64];
        struct sys_client c;
        const uint8_t *end;

        add(&out, first, strlen(first));
        wrap(&out, FIN | GW_WEBSOCKET_BINARY, login,
             frame_of(login, GW_FRAME_HW_LOGIN, 1, device->token, 32));
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        send_all(&c, &out);
        while (memmem(c.in == NULL ? (uint8_t *)"" : c.in, c.in_bytes, "\r\n\r\n", 4) == NULL)
            assert_true(sys_client_receive(&c, sys_ms(SOON_MS)));
        assert_memory_equal(c.in, "HTTP/1.1 200 ", 13);
        end = (const uint8_t *)memmem(c.in, c.in_bytes, "\r\n\r\n", 4) + 4;
        out.size = 0;
        add(&out, c.in, (size_t)(end - c.in));
        add(&out, SYS_WEBSOCKET_OPENED, strlen(SYS_WEBSOCKET_OPENED));
        expect(&c, &out);
        expect_status(&c, 1, GW_RESPONSE_OK);
        fence(&c);
        sys_client_close(&c);
        free(first);
        /* What was written over HTTP is another session's. */
        sys_updates_wait(&gateway, &updates, device->number, GW_RECORD_ONLINE, (size_t)t + 1);
        (void)sys_updates_count(&updates, device->number, GW_RECORD_ONLINE, &online);
        (void)sys_updates_count(&updates, device->number, GW_RECORD_PIN_WRITE, &written);
        assert_int_equal(online->record.sequence, 1);
        assert_int_not_equal(online->record.session, written->record.session);
    }
}

/* ---- frames ---- */

enum delivery { A_MESSAGE_A_FRAME, ONE_MESSAGE, MESSAGES_OF_A_BYTE, FRAGMENTS, DELIVERIES };

static size_t read_frames(const char *text, const char *token, uint8_t *bytes, size_t *ends)
{
    size_t count = 0, at = 0;

    for (; *text != '\0'; text += *text == ' ') {
        for (; *text != '\0' && *text != ' ';) {
            if (*text == 'T' || *text == 't') {
                size_t size = *text++ == 'T' ? 32 : 31;

                memcpy(bytes + at, token, size);
                at += size;
            } else {
                char pair[3] = {text[0], text[1], '\0'};

                at += sys_hex(pair, bytes + at, 1);
                text += 2;
            }
        }
        ends[count++] = at;
    }
    return count;
}

static void wrap_in_way(struct bytes *out, enum delivery delivery, const uint8_t *bytes,
                        const size_t *ends, size_t count)
{
    size_t all = ends[count - 1], from = 0;

    switch (delivery) {
    case A_MESSAGE_A_FRAME:
        for (size_t i = 0; i < count; from = ends[i++])
            wrap(out, FIN | GW_WEBSOCKET_BINARY, bytes + from, ends[i] - from);
        break;
    case ONE_MESSAGE:
        wrap(out, FIN | GW_WEBSOCKET_BINARY, bytes, all);
        break;
    case MESSAGES_OF_A_BYTE:
        for (size_t i = 0; i < all; i++)
            wrap(out, FIN | GW_WEBSOCKET_BINARY, bytes + i, 1);
        break;
    case FRAGMENTS:
        for (size_t i = 0; i < all; i += 3) {
            wrap(out, i == 0 ? GW_WEBSOCKET_BINARY : GW_WEBSOCKET_CONTINUATION, bytes + i,
                 gw_min_u64(3, all - i));
            wrap(out, FIN | GW_WEBSOCKET_PONG, "nobody asked", 12);
        }
        wrap(out, FIN | GW_WEBSOCKET_CONTINUATION, NULL, 0);
        break;
    case DELIVERIES:
        break;
    }
}

static void run_case(const struct conformance_case *item, enum sys_transport transport,
                     enum delivery delivery)
{
    const struct sys_device *device = new_device();
    bool login = item->number[0] != 'A';
    char *client = sys_text("%s%s", login ? "1d00010020T " : "", item->client);
    char *answer = sys_text("%s%s", login ? "00000100c8 " : "", item->answer);
    static uint8_t bytes[BYTES_MAX], answers[BYTES_MAX];
    size_t ends[16], answer_ends[16], count, answer_count, from = 0;
    struct bytes out = {.size = 0}, expected = {.size = 0};
    struct sys_client c;
    char *seen;

    count = read_frames(client, device->token, bytes, ends);
    answer_count = read_frames(answer, device->token, answers, answer_ends);
    wrap_in_way(&out, delivery, bytes, ends, count);
    for (size_t i = 0; i < answer_count; from = answer_ends[i++])
        add_expected(&expected, GW_WEBSOCKET_BINARY, answers + from, answer_ends[i] - from);
    open_websocket(&c, transport);
    if (!sys_client_send(&c, out.at, out.size) && !item->closes)
        sys_fail(&gateway, __FILE__, __LINE__, "%s", c.failure);
    expect(&c, &expected);
    if (item->closes)
        expect_close(&c, GW_WEBSOCKET_POLICY);
    else
        fence(&c);
    sys_client_close(&c);
    if (item->closes && login)
        sys_updates_wait(&gateway, &updates, device->number, GW_RECORD_OFFLINE, 1);
    sys_updates_read(&gateway, &updates);
    seen = sys_updates_text(&updates, device->number);
    sys_check(&gateway, strcmp(seen, item->updates) == 0,
              "%s: the log should hold \"%s\", it holds \"%s\"", item->number, item->updates, seen);
    free(seen);
    free(client);
    free(answer);
}

/* Each delivery and each transport sees each case once, in turn. */
static void the_conformance_cases_hold_in_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(conformance_cases); i++)
        for (int d = 0; d < DELIVERIES; d++)
            run_case(&conformance_cases[i], (enum sys_transport)((i + (size_t)d) % SYS_TRANSPORTS),
                     (enum delivery)d);
}

/* Every byte a record and a segment of its own, Pings of all lengths between the frames. */
static void a_stream_may_come_byte_by_byte(void **state)
{
    static const size_t pings[] = {125, 0, 1, 4, 60, 124, 125}; /* the first is a stranger's */

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        const struct sys_device *device = new_device();
        uint8_t frame[64], payload[125];
        struct sys_client c;
        char *text;

        memset(payload, 'p', sizeof payload);
        open_websocket(&c, (enum sys_transport)t);
        for (size_t i = 0; i < GW_ARRAY_COUNT(pings); i++) {
            struct bytes out = {.size = 0};
            size_t size =
                i == 0 ? frame_of(frame, GW_FRAME_HW_LOGIN, 1, device->token, 32)
                       : frame_of(frame, GW_FRAME_HARDWARE, (uint16_t)(i + 1), "vw\0001\0007", 6);

            wrap(&out, GW_WEBSOCKET_BINARY, frame, 4);
            wrap(&out, FIN | GW_WEBSOCKET_PING, payload, pings[i]);
            wrap(&out, FIN | GW_WEBSOCKET_CONTINUATION, frame + 4, size - 4);
            sys_must(&gateway, &c, sys_client_dribble(&c, out.at, out.size));
            expect_message(&c, GW_WEBSOCKET_PONG, payload, pings[i]);
            if (i == 0)
                expect_status(&c, 1, GW_RESPONSE_OK);
        }
        fence(&c);
        sys_client_close(&c);
        sys_updates_read(&gateway, &updates);
        text = sys_updates_text(&updates, device->number);
        assert_string_equal(text, "write v1 37; write v1 37; write v1 37; write v1 37; "
                                  "write v1 37; write v1 37");
        free(text);
    }
}

static void what_is_sent_to_a_device_is_one_message(void **state)
{
    char *path = sys_text("%s/control", gateway.dir);
    const struct sys_device *device = new_device();
    char *number = sys_text("%u", device->number);
    static char value[600];

    (void)state;
    memset(value, 'v', sizeof value - 1);
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        static const char info[] = "h-beat\00045\0buff-in\0004096\0tmpl\0" SYS_PRODUCT;
        uint8_t frame[BYTES_MAX], body[640] = "vw\0001";
        struct sys_client c;
        size_t size;

        log_in(&c, device, (enum sys_transport)t);
        send_frame(&c, GW_FRAME_INTERNAL, 2, info, sizeof info - 1);
        expect_status(&c, 2, GW_RESPONSE_OK);
        /* From the control socket, with an id of ours. */
        free(sys_ctl(&gateway, NULL, "send", number, "V1", value, "--socket", path, NULL));
        memcpy(body + 5, value, sizeof value - 1);
        size = frame_of(frame, GW_FRAME_HARDWARE, 1, body, 5 + sizeof value - 1);
        expect_message(&c, GW_WEBSOCKET_BINARY, frame, size);
        /* A last value, in answer to a sync. */
        send_frame(&c, GW_FRAME_HARDWARE, 3, body, 5 + sizeof value - 1);
        send_frame(&c, GW_FRAME_HARDWARE_SYNC, 4, "vr\0001", 4);
        size = frame_of(frame, GW_FRAME_HARDWARE, 4, body, 5 + sizeof value - 1);
        expect_message(&c, GW_WEBSOCKET_BINARY, frame, size);
        fence(&c);
        sys_client_close(&c);
    }
    free(number);
    free(path);
}

/* ---- the end ---- */

static void it_ends_with_the_code_that_says_why(void **state)
{
    static const struct {
        unsigned first;
        const char *payload;
        size_t size;
        uint16_t code;
    } rows[] = {
        {FIN | GW_WEBSOCKET_CLOSE, "\x03\xe8", 2, 1000},
        {FIN | GW_WEBSOCKET_CLOSE, "", 0, 1000},
        {FIN | GW_WEBSOCKET_CLOSE, "\x03\xe9leaving", 9, 1001},
        {FIN | GW_WEBSOCKET_CLOSE, "\x03\xed", 2, 1002},
        {FIN | GW_WEBSOCKET_CONTINUATION, "", 0, 1002},
        {FIN | 0x40 | GW_WEBSOCKET_BINARY, "", 0, 1002},
        {FIN | GW_WEBSOCKET_BINARY, "\x14\0\x02\xff\xff", 5, 1008}, /* no frame is so long */
    };
    static uint8_t long_payload[1025];

    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        const struct sys_device *device = new_device();
        struct sys_client c;

        for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
            struct bytes out = {.size = 0};
            uint8_t frame[64];

            log_in(&c, device, (enum sys_transport)t);
            /* What came before the end is taken. */
            wrap(&out, FIN | GW_WEBSOCKET_TEXT, "\x1d\0\1\0\1?", 6); /* whatever it says */
            wrap(&out, FIN | GW_WEBSOCKET_BINARY, frame,
                 frame_of(frame, GW_FRAME_HARDWARE, 2, "vw\0001\0007", 6));
            wrap(&out, rows[i].first, rows[i].payload, rows[i].size);
            send_all(&c, &out);
            expect_close(&c, rows[i].code);
            sys_client_close(&c);
        }
        /* Above http.websocket_message_bytes_max; a client that does not mask; a stranger. */
        log_in(&c, device, (enum sys_transport)t);
        send_message(&c, FIN | GW_WEBSOCKET_BINARY, long_payload, sizeof long_payload);
        expect_close(&c, 1009);
        sys_client_close(&c);
        open_websocket(&c, (enum sys_transport)t);
        sys_must(&gateway, &c, sys_client_send(&c, "\x82\x01x", 3));
        expect_close(&c, 1002);
        sys_client_close(&c);
        open_websocket(&c, (enum sys_transport)t);
        send_message(&c, FIN | GW_WEBSOCKET_BINARY, "GET / HTTP/1.1\r\n\r\n", 18);
        expect_close(&c, 1008);
        sys_client_close(&c);
        sys_updates_wait(&gateway, &updates, device->number, GW_RECORD_OFFLINE,
                         GW_ARRAY_COUNT(rows) + 1);
        assert_int_equal(sys_updates_count(&updates, device->number, GW_RECORD_PIN_WRITE, NULL),
                         GW_ARRAY_COUNT(rows));
    }
}

static void a_newer_login_closes_the_older_with_1000(void **state)
{
    const struct sys_device *device = new_device();
    struct sys_client older, newer;

    (void)state;
    log_in(&older, device, SYS_PLAIN);
    sys_must(&gateway, &newer, sys_connect(&gateway, &newer, SYS_TLS13)); /* TCP's are the same */
    sys_must(&gateway, &newer, sys_client_login(&newer, device->token, GW_RESPONSE_OK));
    expect_close(&older, 1000);
    sys_client_close(&older);
    sys_client_close(&newer);
}

/* Pings cost as frames do: who sends nothing else is held to the rate, too. */
static void a_flood_of_pings_is_over_the_rate(void **state)
{
    const struct sys_device *device = new_device();
    double slowed = sys_metric(&gateway, "tollgate_slowed_total");
    struct bytes out = {.size = 0};
    struct sys_client c;

    (void)state;
    log_in(&c, device, SYS_PLAIN);
    for (int i = 0; i < 160; i++)
        wrap(&out, FIN | GW_WEBSOCKET_PING, "", 0);
    send_all(&c, &out);
    for (int i = 0; i < SOON_MS / 20 && sys_metric(&gateway, "tollgate_slowed_total") == slowed;
         i++)
        sys_pause_ms(20);
    assert_true(sys_metric(&gateway, "tollgate_slowed_total") > slowed);
    sys_client_close(&c);
}

static void a_stop_says_1001_and_nothing_is_left(void **state)
{
    const struct sys_device *device = new_device();
    struct sys_client c[SYS_TRANSPORTS];

    (void)state;
    for (int i = 0; i < SOON_MS / 20 && sys_metric(&gateway, "tollgate_sessions") > 0; i++)
        sys_pause_ms(20);
    assert_true(sys_metric(&gateway, "tollgate_sessions_websocket") == 0);
    assert_true(sys_metric(&gateway, "tollgate_chunks_taken") == 0);
    assert_true(sys_metric(&gateway, "tollgate_websockets_total") > 0);
    for (int t = 0; t < SYS_TRANSPORTS; t++)
        open_websocket(&c[t], (enum sys_transport)t);
    send_frame(&c[0], GW_FRAME_HW_LOGIN, 1, device->token, 32);
    expect_status(&c[0], 1, GW_RESPONSE_OK);
    assert_true(sys_metric(&gateway, "tollgate_sessions_websocket") == SYS_TRANSPORTS);
    assert_int_equal(kill(gateway.pid, SIGTERM), 0);
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        expect_close(&c[t], 1001);
        sys_client_close(&c[t]);
    }
    sys_gateway_stop(&gateway);
}

static void it_can_be_turned_off(void **state)
{
    static const char answer[] = "HTTP/1.1 404 Not Found\r\n";
    struct sys_client c;

    (void)state;
    sys_gateway_configure(&gateway, "http: { websocket = false; };\n");
    sys_gateway_start(&gateway);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_send(&c, SYS_WEBSOCKET_OPEN, strlen(SYS_WEBSOCKET_OPEN)));
    sys_must(&gateway, &c, sys_client_expect(&c, answer, sizeof answer - 1, sys_ms(SOON_MS)));
    sys_client_close(&c);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "websocket",
        .gateway = &gateway,
        .options = {.shards = 2,
                    .debug = true,
                    .config = "http: { websocket_message_bytes_max = 1024; };\n"
                              "control: { path = \"control\"; };\n"},
        .updates = &updates,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_handshake_is_refused),
        cmocka_unit_test(it_may_follow_requests_and_be_followed_at_once),
        cmocka_unit_test(the_conformance_cases_hold_in_messages),
        cmocka_unit_test(a_stream_may_come_byte_by_byte),
        cmocka_unit_test(what_is_sent_to_a_device_is_one_message),
        cmocka_unit_test(it_ends_with_the_code_that_says_why),
        cmocka_unit_test(a_newer_login_closes_the_older_with_1000),
        cmocka_unit_test(a_flood_of_pings_is_over_the_rate),
        cmocka_unit_test(a_stop_says_1001_and_nothing_is_left),
        cmocka_unit_test(it_can_be_turned_off),
    };

    return SYS_GROUP_RUN(&group, tests);
}
