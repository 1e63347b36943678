/*
 * What is left of tokens in the gateway's memory once those who brought them have gone: nothing.
 * Every page that the process can write is searched, for the text and for the 24 bytes it stands
 * for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gw/wire/token_text.h>

#include "group.h"
#include "sanitized_internal.h"

enum { PAGE_BYTES = 4096, AFTER_MS = 1500, DEVICES = 12, SOON_MS = 5000 };

static struct sys_gateway gateway;
static struct sys_device devices[DEVICES];
static uint8_t binaries[DEVICES][GW_TOKEN_BYTES];
static size_t pages_searched;

static void search_page(const uint8_t *page, size_t bytes, const char *where)
{
    for (size_t i = 0; i < DEVICES; i++)
        if (memmem(page, bytes, devices[i].token, GW_TOKEN_TEXT_BYTES) != NULL ||
            memmem(page, bytes, binaries[i], sizeof binaries[i]) != NULL)
            sys_fail(&gateway, __FILE__, __LINE__, "the token of device %zu lies in %s", i, where);
}

/* Pages overlap by a token, so that one across their border is seen. */
static void search_range(int memory, unsigned long begin, unsigned long end, const char *where)
{
    static const uint8_t zero[PAGE_BYTES];
    uint8_t bytes[GW_TOKEN_TEXT_BYTES + PAGE_BYTES] = {0};

    for (unsigned long at = begin; at < end; at += PAGE_BYTES) {
        uint8_t *page = bytes + GW_TOKEN_TEXT_BYTES;

        memmove(bytes, bytes + PAGE_BYTES, GW_TOKEN_TEXT_BYTES);
        if (pread(memory, page, PAGE_BYTES, (off_t)at) != PAGE_BYTES) {
            memset(page, 0, PAGE_BYTES);
            continue;
        }
        pages_searched++;
        if (memcmp(page, zero, PAGE_BYTES) != 0)
            search_page(bytes, sizeof bytes, where);
    }
}

static void search_memory(void)
{
    char *maps_path = sys_text("/proc/%d/maps", (int)gateway.pid);
    char *memory_path = sys_text("/proc/%d/mem", (int)gateway.pid);
    char *maps = sys_file_text(maps_path), *rest = NULL;
    int memory = open(memory_path, O_RDONLY | O_CLOEXEC);

    if (memory < 0 || maps[0] == '\0')
        skip(); /* not ours to look at */
    pages_searched = 0;
    for (char *line = strtok_r(maps, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        unsigned long begin, end;
        char mode[8];

        if (sscanf(line, "%lx-%lx %7s", &begin, &end, mode) == 3 && strncmp(mode, "rw-p", 4) == 0)
            search_range(memory, begin, end, line);
    }
    assert_true(pages_searched > 100);
    (void)close(memory);
    free(maps);
    free(memory_path);
    free(maps_path);
}

static void log_in(const struct sys_device *device, enum sys_transport transport, bool dribbled)
{
    uint8_t frame[64];
    struct gw_frame login = {
        .type = GW_FRAME_HW_LOGIN, .msg_id = 1, .body = gw_bytes_text(device->token)};
    size_t bytes = gw_frame_encode(frame, sizeof frame, &login);
    struct sys_client c;

    sys_must(&gateway, &c, sys_connect(&gateway, &c, transport));
    if (dribbled)
        sys_must(&gateway, &c, sys_client_dribble(&c, frame, bytes));
    else
        sys_must(&gateway, &c, sys_client_send(&c, frame, bytes));
    sys_must(&gateway, &c, sys_client_expect_response(&c, 1, GW_RESPONSE_OK, sys_ms(SOON_MS)));
    sys_client_close(&c);
}

/* Takes the request. */
static void ask(char *request, enum sys_transport transport, bool dribbled)
{
    size_t bytes = strlen(request);
    struct sys_client c;

    sys_must(&gateway, &c, sys_connect(&gateway, &c, transport));
    if (dribbled)
        sys_must(&gateway, &c, sys_client_dribble(&c, request, bytes));
    else
        sys_must(&gateway, &c, sys_client_send(&c, request, bytes));
    while (sys_client_receive(&c, 100) && c.in_bytes == 0)
        continue;
    sys_client_close(&c);
    free(request);
}

/* It leaves in the middle of what it says. Takes the request. */
static void half(char *request)
{
    struct sys_client c;

    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c, sys_client_send(&c, request, strlen(request)));
    sys_pause_ms(50);
    sys_client_close(&c);
    free(request);
}

#define QUERY                                                                                      \
    "GET /external/api/update?token=%s&v1=5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#define BEARER                                                                                     \
    "GET /external/api/update?v1=5 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"            \
    "Connection: close\r\n\r\n"
#define IN_THE_PATH "GET /%s/update/V1?value=5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void nothing_is_left_of_tokens(void **state)
{
    (void)state;
    if (GW_SANITIZED)
        skip(); /* whose shadow memory is terabytes, and who keep what was freed */
    log_in(&devices[0], SYS_PLAIN, false);
    log_in(&devices[1], SYS_TLS12, false);
    log_in(&devices[2], SYS_TLS13, false);
    log_in(&devices[3], SYS_PLAIN, true);
    log_in(&devices[4], SYS_TLS13, true);
    ask(sys_text(QUERY, devices[5].token), SYS_PLAIN, false);
    ask(sys_text(QUERY, devices[6].token), SYS_TLS13, true);
    ask(sys_text(BEARER, devices[7].token), SYS_TLS12, false);
    ask(sys_text(IN_THE_PATH, devices[8].token), SYS_PLAIN, true);
    half(sys_text(
        "GET /external/api/update?token=%s&v1=5 HTTP/1.1\r\nHost: x\r\nX: a long field, which is "
        "more than what a stranger is kept of without a chunk of its own, and then no end",
        devices[9].token));
    half(sys_text("GET /external/api/get?token=%s", devices[10].token));
    sys_pause_ms(AFTER_MS);
    search_memory();
}

static void read_tokens(void)
{
    for (size_t i = 0; i < DEVICES; i++)
        assert_true(gw_token_from_text(gw_bytes_text(devices[i].token), binaries[i]));
}

int main(void)
{
    static const struct sys_group group = {
        .name = "secrets",
        .gateway = &gateway,
        .options = {.shards = 1},
        .devices = devices,
        .device_count = DEVICES,
        .prepare = read_tokens,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left_of_tokens),
    };

    return SYS_GROUP_RUN(&group, tests);
}
