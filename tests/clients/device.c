#include "device.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    RESPONSE = 0,
    PING = 6,
    INTERNAL = 17,
    HARDWARE = 20,
    HW_LOGIN = 29,
    STATUS_OK = 200,
    HEADER_BYTES = 5,
    BODY_BYTES_MAX = 8192,
};

struct frame {
    uint8_t type;
    uint16_t msg_id;
    uint16_t field; /* status of a RESPONSE, else length */
    uint8_t body[BODY_BYTES_MAX];
};

static uint8_t received[HEADER_BYTES + BODY_BYTES_MAX];
static size_t received_bytes;

bool device_arguments(int argc, char **argv, struct device_arguments *out)
{
    char *end = NULL;

    if (argc == 7 || argc == 8) {
        *out = (struct device_arguments){
            .host = argv[1],
            .port = argv[2],
            .ca = argv[3],
            .token = argv[4],
            .product = argv[5],
            .write_count = (unsigned)strtoul(argv[6], &end, 10),
            .profile = argc == 8 ? argv[7] : "full",
        };
        if (*argv[6] != '\0' && *end == '\0')
            return true;
    }
    (void)fprintf(stderr, "usage: %s HOST PORT CA.pem TOKEN TMPL COUNT [PROFILE]\n", argv[0]);
    return false;
}

int device_connect(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval deadline = {.tv_sec = 20};
    struct addrinfo *list = NULL;
    const int err = getaddrinfo(host, port, &hints, &list);
    int fd = -1;

    if (err != 0) {
        (void)fprintf(stderr, "%s:%s: %s\n", host, port, gai_strerror(err));
        return -1;
    }
    for (const struct addrinfo *at = list; at != NULL && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd < 0) {
        perror("connect");
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
    return fd;
}

static bool send_frame(const struct device_link *link, uint8_t type, uint16_t msg_id,
                       uint16_t field, const void *body, size_t body_bytes)
{
    uint8_t bytes[HEADER_BYTES + 512];

    if (body_bytes > 512)
        return false;
    bytes[0] = type;
    bytes[1] = (uint8_t)(msg_id >> 8);
    bytes[2] = (uint8_t)msg_id;
    bytes[3] = (uint8_t)(field >> 8);
    bytes[4] = (uint8_t)field;
    if (body_bytes > 0)
        memcpy(bytes + HEADER_BYTES, body, body_bytes);
    return link->send(link->tls, bytes, HEADER_BYTES + body_bytes);
}

static bool receive_frame(const struct device_link *link, struct frame *out)
{
    for (;;) {
        const size_t body = received_bytes < HEADER_BYTES || received[0] == RESPONSE
                                ? 0
                                : (size_t)received[3] << 8 | received[4];
        int n;

        if (body > BODY_BYTES_MAX) {
            (void)fprintf(stderr, "a frame of %zu bytes\n", body);
            return false;
        }
        if (received_bytes >= HEADER_BYTES + body) {
            out->type = received[0];
            out->msg_id = (uint16_t)(received[1] << 8 | received[2]);
            out->field = (uint16_t)(received[3] << 8 | received[4]);
            memcpy(out->body, received + HEADER_BYTES, body);
            received_bytes -= HEADER_BYTES + body;
            memmove(received, received + HEADER_BYTES + body, received_bytes);
            return true;
        }
        n = link->receive(link->tls, received + received_bytes, sizeof received - received_bytes);
        if (n <= 0) {
            (void)fprintf(stderr, "the gateway hung up or kept silent\n");
            return false;
        }
        received_bytes += (size_t)n;
    }
}

/* Answers what a board answers on the way, and counts the downlink it sees. */
static bool expect_ok(const struct device_link *link, const char *what, uint16_t msg_id)
{
    static struct frame frame;
    size_t downlink_bytes = 0;
    unsigned downlink_count = 0;

    while (receive_frame(link, &frame)) {
        if (frame.type == PING) {
            if (!send_frame(link, RESPONSE, frame.msg_id, STATUS_OK, NULL, 0))
                return false;
            continue;
        }
        if (frame.type != RESPONSE) {
            downlink_count++;
            downlink_bytes += frame.field;
            continue;
        }
        printf("%s: status %u for id %u", what, frame.field, frame.msg_id);
        if (downlink_count > 0)
            printf(" (after %u frames of %zu bytes)", downlink_count, downlink_bytes);
        printf("\n");
        return frame.msg_id == msg_id && frame.field == STATUS_OK;
    }
    (void)fprintf(stderr, "%s: no answer\n", what);
    return false;
}

/* The next write has this body, in which | stands for NUL. */
static bool expect_write(const struct device_link *link, const char *expected)
{
    static struct frame frame;
    const size_t size = strlen(expected);

    do {
        if (!receive_frame(link, &frame))
            return false;
        if (frame.type == PING && !send_frame(link, RESPONSE, frame.msg_id, STATUS_OK, NULL, 0))
            return false;
    } while (frame.type == PING);
    for (size_t i = 0; i < frame.field && frame.type != RESPONSE; i++)
        frame.body[i] = frame.body[i] == '\0' ? '|' : frame.body[i];
    if (frame.type == HARDWARE && frame.field == size && memcmp(frame.body, expected, size) == 0)
        return true;
    (void)fprintf(stderr, "a frame of type %u with %u bytes in place of %s\n", frame.type,
                  frame.field, expected);
    return false;
}

static bool listen_to_writes(const struct device_link *link, unsigned count)
{
    char expected[32];

    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(expected, sizeof expected, "vw|1|%u", i);
        if (!expect_write(link, expected))
            return false;
    }
    if (!expect_write(link, "vw|2|that|is|all"))
        return false;
    printf("%u values\n", count);
    return true;
}

bool device_run(const struct device_link *link, const struct device_arguments *arguments)
{
    char body[512];
    size_t at;
    uint16_t msg_id = 1;

    if (!send_frame(link, HW_LOGIN, msg_id, (uint16_t)strlen(arguments->token), arguments->token,
                    strlen(arguments->token)) ||
        !expect_ok(link, "login", msg_id))
        return false;
    msg_id++;
    /* snprintf counts no NUL bytes in a text, so they are put in afterwards. */
    at = (size_t)snprintf(body, sizeof body,
                          "mcu|1.1.0|fw-type|%s|build|Jan  1 2026 00:00:00|blynk|1.3.2|h-beat|45|"
                          "buff-in|1024|dev|ESP8266|con|WiFi|tmpl|%s",
                          arguments->product, arguments->product);
    for (size_t i = 0; i < at; i++) {
        if (body[i] == '|')
            body[i] = '\0';
    }
    if (!send_frame(link, INTERNAL, msg_id, (uint16_t)at, body, at) ||
        !expect_ok(link, "info", msg_id))
        return false;
    if (strcmp(arguments->profile, "listen") == 0)
        return listen_to_writes(link, arguments->write_count);
    for (unsigned i = 0; i < arguments->write_count; i++) {
        at = (size_t)snprintf(body, sizeof body, "vw|1|%u", i);
        body[2] = body[4] = '\0';
        if (!send_frame(link, HARDWARE, ++msg_id, (uint16_t)at, body, at))
            return false;
    }
    printf("%u writes sent\n", arguments->write_count);
    msg_id++;
    return send_frame(link, PING, msg_id, 0, NULL, 0) && expect_ok(link, "ping", msg_id);
}
