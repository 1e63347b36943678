/*
 * Single connections that mean ill, against the real process: cut at every step, half closed,
 * speaking what is no TLS, reading nothing. Each is closed for its reason and leaves nothing; who
 * is connected beside them does not notice. What records do after the handshake is
 * tests/unit/tls's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <gw/base/chunk.h>

#include "control_link.h"
#include "group.h"
#include "websocket_client.h"

enum {
    SOON_MS = 3000,
    HANDSHAKE_S = 2,
    SEND_S = 2,
    HELLO_ROOM = 2048,
    HELD_BYTES_MAX = 65536, /* of one that reads nothing */
};

static struct sys_gateway gateway;
static struct sys_updates updates;
static struct sys_device bystander_device;
static struct sys_client bystander;

static void nothing_is_left(void)
{
    for (uint64_t deadline = sys_now_ms() + sys_ms(3 * SOON_MS);
         sys_metric(&gateway, "tollgate_sessions") > 1; sys_pause_ms(20))
        sys_check(&gateway, sys_now_ms() < deadline, "%g sessions are left",
                  sys_metric(&gateway, "tollgate_sessions"));
    assert_true(sys_metric(&gateway, "tollgate_handshakes") == 0);
    assert_true(sys_metric(&gateway, "tollgate_chunks_taken") == 0);
    sys_must(&gateway, &bystander, sys_client_ping(&bystander, 2));
}

/* ---- an end at every step ---- */

enum end { RESET, HALF_CLOSE, CLOSE, ENDS };

/* What a device sends, a step after the other. Answers are read only where a step needs them. */
enum step {
    CONNECTED,
    HALF_LOGIN,
    LOGIN,
    GRANTED,
    INFO,
    WRITE,
    HALF_WRITE,
    PING,
    SYNC,
    STEPS,
};

static bool go(struct sys_client *c, enum step to, const struct sys_device *device)
{
    static const char info[] = "ver\0001.4.0\0h-beat\00040\0tmpl\0" SYS_PRODUCT;
    static const uint8_t half[] = {0x14, 0, 9, 0, 9, 'v', 'w'};

    for (enum step step = HALF_LOGIN; step <= to; step++) {
        bool went = true;

        switch (step) {
        case HALF_LOGIN:
            went = to != step || sys_client_send(c, "\x1d\0\1\0\x20guess", 10);
            break;
        case LOGIN:
            went = sys_client_send_frame(c, GW_FRAME_HW_LOGIN, 1, device->token, 32);
            break;
        case GRANTED:
            went = sys_client_expect_response(c, 1, GW_RESPONSE_OK, sys_ms(SOON_MS));
            break;
        case INFO:
            went = sys_client_send_frame(c, GW_FRAME_INTERNAL, 2, info, sizeof info - 1);
            break;
        case WRITE:
            went = sys_client_send_frame(c, GW_FRAME_HARDWARE, 3, "vw\0001\0007", 6);
            break;
        case HALF_WRITE:
            went = to != step || sys_client_send(c, half, sizeof half);
            break;
        case PING:
            went = sys_client_send_frame(c, GW_FRAME_PING, 4, NULL, 0);
            break;
        case SYNC:
            went = sys_client_send_frame(c, GW_FRAME_HARDWARE_SYNC, 5, "vr\0001", 4);
            break;
        case CONNECTED:
        case STEPS:
            break;
        }
        if (!went)
            return false;
    }
    return true;
}

static void end_it(struct sys_client *c, enum end end)
{
    switch (end) {
    case RESET:
        sys_client_cut(c);
        break;
    case HALF_CLOSE: /* whatever it is still told, the other side ends as well */
        assert_int_equal(shutdown(c->fd, SHUT_WR), 0);
        for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS); sys_client_receive(c, 20);)
            sys_check(&gateway, sys_now_ms() < deadline, "a half-closed connection stays");
        sys_client_close(c);
        break;
    case CLOSE:
    case ENDS:
        sys_client_close(c);
        break;
    }
}

static void a_device_may_vanish_at_any_step(void **state)
{
    static struct sys_device devices[STEPS];

    (void)state;
    sys_devices_add(&gateway, SYS_PRODUCT, devices, STEPS);
    for (int t = 0; t < SYS_TRANSPORTS; t++)
        for (int end = 0; end < ENDS; end++)
            for (int step = 0; step < STEPS; step++) {
                struct sys_client c;

                sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
                sys_must(&gateway, &c, go(&c, (enum step)step, &devices[step]));
                end_it(&c, (enum end)end);
            }
    nothing_is_left();
    for (int step = GRANTED; step < STEPS; step++) {
        size_t online;

        sys_updates_wait(&gateway, &updates, devices[step].number, GW_RECORD_OFFLINE,
                         (size_t)SYS_TRANSPORTS * ENDS);
        online = sys_updates_count(&updates, devices[step].number, GW_RECORD_ONLINE, NULL);
        assert_int_equal(online, SYS_TRANSPORTS * ENDS);
    }
}

/* ---- before there is TLS ---- */

static void open_bare(struct sys_client *c)
{
    struct sys_client_options options = sys_client_options(&gateway, SYS_PLAIN);

    options.port = gateway.tls_port;
    sys_must(&gateway, c, sys_client_open(c, &options));
}

static void a_hello_may_end_anywhere(void **state)
{
    uint8_t hello[HELLO_ROOM];
    size_t size = sys_client_hello(gateway.tls, TLS1_2_VERSION, hello, sizeof hello);

    (void)state;
    for (int end = 0; end < ENDS; end++)
        for (size_t cut = 0; cut <= size; cut += cut < 8 ? 1 : 37) {
            struct sys_client c;

            open_bare(&c);
            sys_must(&gateway, &c, sys_client_send(&c, hello, cut));
            end_it(&c, (enum end)end);
        }
    nothing_is_left();
}

struct speech {
    uint8_t *at;
    size_t size;
};

static void say(struct speech *out, const void *bytes, size_t size)
{
    out->at = realloc(out->at, out->size + size);
    assert_non_null(out->at);
    memcpy(out->at + out->size, bytes, size);
    out->size += size;
}

static void say_often(struct speech *out, const char *hex, unsigned times)
{
    uint8_t bytes[256];
    size_t size = sys_hex(hex, bytes, sizeof bytes);

    for (unsigned i = 0; i < times; i++)
        say(out, bytes, size);
}

/* A hello whose handshake message lies in records of `each` bytes. */
static void say_hello_in_pieces(struct speech *out, size_t each)
{
    enum { RECORD_HEADER = 5 };
    uint8_t hello[HELLO_ROOM], header[RECORD_HEADER] = {0x16, 0x03, 0x01};
    size_t size = sys_client_hello(gateway.tls, TLS1_2_VERSION, hello, sizeof hello);

    for (size_t at = RECORD_HEADER; at < size; at += each) {
        size_t piece = size - at < each ? size - at : each;

        gw_store_be16(header + 3, (uint16_t)piece);
        say(out, header, sizeof header);
        say(out, hello + at, piece);
    }
}

/* Says all of it and takes what comes, until the end; false: that did not come in time. */
static bool say_and_hear(const struct speech *speech, size_t *heard)
{
    uint64_t deadline = sys_now_ms() + HANDSHAKE_S * 1000 + sys_ms(1500);
    struct sys_client c;
    bool ended;

    open_bare(&c);
    (void)!sys_client_send(&c, speech->at, speech->size); /* it may hang up meanwhile */
    while (sys_client_receive(&c, 20) && sys_now_ms() < deadline)
        continue;
    *heard = c.in_bytes;
    ended = c.end != SYS_OPEN;
    sys_client_close(&c);
    return ended;
}

static void what_is_no_handshake_ends_soon_and_unheard(void **state)
{
    static const struct {
        const char *what, *hex;
        unsigned times;
    } rows[] = {
        {"a record above every limit", "160301ffff0100", 1},
        {"a record of 2^14 + 1", "1603014001", 1},
        {"records of nothing", "1603010000", 1000},
        {"a message of 16 MiB", "160301000401ffffff", 1},
        {"warnings", "15030100020100", 1000},
        {"a fatal alert", "15030100020228", 1},
        {"cipher changes", "140303000101", 1000},
        {"data", "1703030005aaaaaaaaaa", 1000},
        {"a hello of SSL 2", "802e0100020015000000100100800200800300800400800500800600400700c0", 1},
        {"a record of version 0", "16000000050100000100", 1},
        {"an unknown record", "63030300050100000100", 1},
        {"a ServerHello", "160303002a02000026", 8},
        {"a request in clear", "474554202f20485454502f312e310d0a486f73743a20610d0a0d0a", 1},
        {"a login in clear", "1d00010020", 8},
        {"the second of two messages first", "160301000414000000", 1},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        enum { ALERT_BYTES = 7 };
        struct speech speech = {.at = NULL};
        size_t heard;
        bool ended;

        say_often(&speech, rows[i].hex, rows[i].times);
        ended = say_and_hear(&speech, &heard);
        free(speech.at);
        sys_check(&gateway, ended, "%s: it stays open", rows[i].what);
        sys_check(&gateway, heard <= ALERT_BYTES, "%s: %zu bytes were said", rows[i].what, heard);
    }
    nothing_is_left();
}

/* These are answered as far as they can be, and end by their deadline at the latest. */
static void what_follows_a_hello_ends_in_time(void **state)
{
    static const struct {
        const char *what, *hex;
        unsigned times;
    } rows[] = {
        {"nothing", "", 0},
        {"a second hello", "160303000401000000", 1},
        {"warnings", "15030300020164", 1000},
        {"a fatal alert", "15030300020228", 1},
        {"records of nothing", "1603030000", 1000},
        {"data before its time", "1703030005aaaaaaaaaa", 1000},
        {"cipher changes", "140303000101", 1000},
        {"a key exchange of garbage",
         "1603030025100000212021222324252627282930"
         "31323334353637383940414243444546474849505152",
         1},
        {"an unfinished Finished", "14030300010116030300280000000000000000", 1},
    };
    static const size_t pieces[] = {1, 2, 100, 16384};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++)
        for (size_t p = 0; p < GW_ARRAY_COUNT(pieces); p += i == 0 ? 1 : GW_ARRAY_COUNT(pieces)) {
            enum { FLIGHT_BYTES_MAX = 8192 };
            struct speech speech = {.at = NULL};
            size_t heard;
            bool ended;

            say_hello_in_pieces(&speech, i == 0 ? pieces[p] : 16384);
            say_often(&speech, rows[i].hex, rows[i].times);
            ended = say_and_hear(&speech, &heard);
            free(speech.at);
            sys_check(&gateway, ended, "%s: it stays open", rows[i].what);
            sys_check(&gateway, heard <= FLIGHT_BYTES_MAX, "%s: %zu bytes were said", rows[i].what,
                      heard);
        }
    nothing_is_left();
}

/* ---- who reads nothing ---- */

static double closed_as_slow(void)
{
    return sys_metric(&gateway, "tollgate_closed_total{reason=\"slow_reader\"}");
}

/* It asks for the time until nobody listens any more, and hears none of the answers. */
static void who_reads_no_answers_is_closed(void **state)
{
    static const uint8_t question[] = "\x11\x00\x0d\x00\x08utc\0time";
    enum { QUESTIONS = 200, QUESTION_BYTES = sizeof question - 1 };
    static uint8_t questions[QUESTIONS * QUESTION_BYTES];
    double slow = closed_as_slow();
    struct sys_client c;
    struct sys_device device;
    bool is_open = true;

    (void)state;
    for (size_t i = 0; i < QUESTIONS; i++)
        memcpy(questions + i * QUESTION_BYTES, question, QUESTION_BYTES);
    sys_devices_add(&gateway, SYS_PRODUCT, &device, 1);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c, sys_client_login(&c, device.token, GW_RESPONSE_OK));
    for (uint64_t deadline = sys_now_ms() + sys_ms(20000); is_open;) {
        struct pollfd fd = {.fd = c.fd, .events = POLLOUT};

        if (send(c.fd, questions, sizeof questions, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            is_open = errno == EAGAIN && poll(&fd, 1, 50) >= 0;
        sys_check(&gateway, sys_now_ms() < deadline, "it is read for ever");
        /* What is taken of it in a turn is bounded, and what may be unsent. */
        assert_true(sys_metric(&gateway, "tollgate_chunks_taken") <=
                    HELD_BYTES_MAX / GW_CHUNK_BYTES);
    }
    assert_true(closed_as_slow() == slow + 1);
    sys_client_cut(&c);
    nothing_is_left();
}

/* The same for what others send to it. */
static void who_reads_no_messages_is_closed(void **state)
{
    enum { VALUE = 4000 };
    char *path = sys_text("%s/control", gateway.dir);
    char value[VALUE + 1], answer[CONTROL_ANSWER_BYTES];
    double slow = closed_as_slow();
    static struct control_link desk;
    struct sys_device device;

    (void)state;
    (void)snprintf(value, sizeof value, "%0*d", VALUE, 7);
    assert_true(control_open(&desk, path));
    sys_devices_add(&gateway, SYS_PRODUCT, &device, 1);
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        static const char info[] = "h-beat\00045\0buff-in\0004096\0tmpl\0" SYS_PRODUCT;
        struct sys_client c;
        bool was_busy = false;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        if (t == 0) { /* one of them in messages */
            sys_must(&gateway, &c, sys_websocket_open(&c));
            sys_must(&gateway, &c, sys_websocket_login(&c, device.token, GW_RESPONSE_OK));
            sys_must(&gateway, &c,
                     sys_websocket_send_frame(&c, GW_FRAME_INTERNAL, 2, info, sizeof info - 1));
            sys_must(&gateway, &c, sys_websocket_expect_response(&c, 2, GW_RESPONSE_OK));
        } else {
            sys_must(&gateway, &c, sys_client_login(&c, device.token, GW_RESPONSE_OK));
            sys_must(&gateway, &c,
                     sys_client_send_frame(&c, GW_FRAME_INTERNAL, 2, info, sizeof info - 1));
            sys_must(&gateway, &c,
                     sys_client_expect_response(&c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
        }
        /* Told until it is closed: after a "busy" the kernel may still take what waited. */
        for (uint64_t deadline = sys_now_ms() + 5 * SEND_S * 1000 + sys_ms(SOON_MS);
             closed_as_slow() < slow + t + 1;) {
            const char *result = control_ask(&desk, answer,
                                             "{\"id\":1,\"cmd\":\"send\",\"device\":%u,"
                                             "\"pin\":\"V1\",\"value\":\"%s\"}",
                                             device.number, value);

            was_busy = was_busy || strcmp(result, "busy") == 0;
            if (strcmp(result, "delivered") != 0)
                sys_pause_ms(50);
            assert_true(sys_metric(&gateway, "tollgate_chunks_taken") <=
                        HELD_BYTES_MAX / GW_CHUNK_BYTES);
            sys_check(&gateway, sys_now_ms() < deadline, "it is not closed");
        }
        assert_true(was_busy);
        sys_client_cut(&c);
        nothing_is_left();
    }
    control_close(&desk);
    free(path);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "hostile",
        .gateway = &gateway,
        .options = {.shards = 2,
                    .config = "handshake_s_max = 2; send_s_max = 2;\n" /* HANDSHAKE_S, SEND_S */
                              "rate: { frames_per_s = 1000000; burst = 1000000; };\n"
                              "control: { path = \"control\"; };\n"},
        .devices = &bystander_device,
        .device_count = 1,
        .updates = &updates,
        .bystander = &bystander,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_may_vanish_at_any_step),
        cmocka_unit_test(a_hello_may_end_anywhere),
        cmocka_unit_test(what_is_no_handshake_ends_soon_and_unheard),
        cmocka_unit_test(what_follows_a_hello_ends_in_time),
        cmocka_unit_test(who_reads_no_answers_is_closed),
        cmocka_unit_test(who_reads_no_messages_is_closed),
    };

    return SYS_GROUP_RUN(&group, tests);
}
