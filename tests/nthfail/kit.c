/*
 * One gateway whose calls fail, and its ledger. See kit.h.
 */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <cmocka.h>

#include "../system/updates.h"

enum { LOGIN_ID = 1, PING_ID = 2, LOGIN_MS = 5000, NUMBER_BYTES = 16 };

struct sys_gateway kit_gateway;
struct nthfail *kit_nthfail;
bool kit_all;

/* Small enough that segments end, and old ones are deleted, while a test runs. */
static const char journal_lines[] =
    "segment_bytes = 1048576; bytes_max = 6291456; batches_per_lane = 8;";

static uint64_t seed;
static char *control_path, *control_env;
static const char *environment[2]; /* control_env, and the end */

bool kit_arguments(int argc, char **argv)
{
    const char *given = getenv("TOLLGATE_TEST_SEED");

    kit_all = argc == 2 && strcmp(argv[1], "--all") == 0;
    if (argc > 2 || (argc == 2 && !kit_all)) {
        (void)fprintf(stderr, "usage: %s [--all]\n", argv[0]);
        return false;
    }
    if (given != NULL)
        seed = strtoull(given, NULL, 10);
    else if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return false;
    (void)printf("TOLLGATE_TEST_SEED=%llu\n", (unsigned long long)seed);
    return true;
}

/* ---- the installation ---- */

static void map_control(void)
{
    char name[] = "/tmp/tollgate-nthfail-XXXXXX";
    int fd = mkstemp(name);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, sizeof *kit_nthfail), 0);
    kit_nthfail = (struct nthfail *)mmap(NULL, sizeof *kit_nthfail, PROT_READ | PROT_WRITE,
                                         MAP_SHARED, fd, 0);
    assert_true((void *)kit_nthfail != MAP_FAILED);
    (void)close(fd);
    control_path = strdup(name);
    control_env = sys_text("NTHFAIL=%s", name);
}

void kit_create(const char *config)
{
    struct sys_gateway_options options = {
        .shards = 2, .config = config, .journal = journal_lines, .program = TOLLGATE_NTHFAIL};

    map_control();
    environment[0] = control_env;
    options.env = environment;
    sys_gateway_create(&kit_gateway, &options);
    sys_gateway_start(&kit_gateway);
    sys_gateway_stop(&kit_gateway);
    sys_gateway_configure(&kit_gateway, config);
}

void kit_destroy(void)
{
    sys_gateway_destroy(&kit_gateway);
    (void)munmap(kit_nthfail, sizeof *kit_nthfail);
    (void)unlink(control_path);
    free(control_path);
    free(control_env);
}

void kit_arm(uint32_t classes, int error, uint64_t first, uint64_t count)
{
    atomic_store(&kit_nthfail->classes, 0);
    atomic_store(&kit_nthfail->error, error);
    atomic_store(&kit_nthfail->first, first);
    atomic_store(&kit_nthfail->count, count);
    atomic_store(&kit_nthfail->calls, 0);
    atomic_store(&kit_nthfail->failed, 0);
    atomic_store(&kit_nthfail->classes, classes);
}

void kit_disarm(void)
{
    atomic_store(&kit_nthfail->classes, 0);
}

uint64_t kit_stride(uint64_t calls, uint32_t points)
{
    return kit_all || calls <= points ? 1 : calls / points;
}

uint64_t kit_first(uint64_t calls, uint32_t points)
{
    return 1 + seed % kit_stride(calls, points);
}

/* ---- devices ---- */

void kit_account_open(struct kit_account *account)
{
    *account = (struct kit_account){.sent = 0};
    sys_devices_add(&kit_gateway, SYS_PRODUCT, &account->device, 1);
}

uint16_t kit_status(struct sys_client *c, uint16_t msg_id, uint32_t ms)
{
    uint64_t deadline = sys_now_ms() + ms, now;
    struct gw_frame frame;

    while ((now = sys_now_ms()) < deadline &&
           sys_client_frame(c, &frame, (uint32_t)(deadline - now))) {
        if (frame.type != GW_FRAME_RESPONSE)
            continue;
        sys_check(&kit_gateway, frame.status != GW_RESPONSE_INVALID_TOKEN,
                  "message %u of a good token is answered 9", frame.msg_id);
        if (frame.msg_id == msg_id)
            return frame.status;
    }
    return 0;
}

uint16_t kit_login(struct sys_client *c, const struct kit_account *account)
{
    const char *token = account->device.token;

    if (!sys_client_send_frame(c, GW_FRAME_HW_LOGIN, LOGIN_ID, token, strlen(token)))
        return 0;
    return kit_status(c, LOGIN_ID, sys_ms(LOGIN_MS));
}

bool kit_write(struct sys_client *c, struct kit_account *account, size_t padding)
{
    char body[4096];
    int bytes = snprintf(body, sizeof body, "vw%c%d%c%u ", 0, KIT_PIN, 0, account->sent + 1);

    assert_true(bytes > 0 && (size_t)bytes + padding <= sizeof body);
    assert_true(account->sent + 1 < KIT_VALUES_MAX);
    memset(body + bytes, 'x', padding);
    account->sent++;
    return sys_client_send_frame(c, GW_FRAME_HARDWARE, (uint16_t)(1000 + account->sent % 50000),
                                 body, (size_t)bytes + padding);
}

bool kit_ping(struct sys_client *c, struct kit_account *account, uint32_t from, uint32_t ms)
{
    if (!sys_client_send_frame(c, GW_FRAME_PING, PING_ID, NULL, 0) ||
        kit_status(c, PING_ID, ms) != GW_RESPONSE_OK)
        return false;
    for (uint32_t value = from; value <= account->sent; value++)
        account->acknowledged[value] = true;
    return true;
}

/* ---- the ledger ---- */

static uint32_t number_of(const struct gw_record *record)
{
    char text[NUMBER_BYTES] = "";
    size_t bytes = record->value.size < sizeof text - 1 ? record->value.size : sizeof text - 1;

    memcpy(text, record->value.data, bytes);
    return (uint32_t)strtoul(text, NULL, 10);
}

static void account_holds(struct kit_account *account, const struct sys_updates *updates)
{
    uint32_t last = 0;

    for (size_t i = 0; i < updates->count; i++) {
        const struct gw_record *record = &updates->items[i].record;
        uint32_t number;

        if (record->device != account->device.number || record->kind != GW_RECORD_PIN_WRITE ||
            record->pin != KIT_PIN)
            continue;
        number = number_of(record);
        sys_check(&kit_gateway, number > last && number <= account->sent,
                  "device %u: %u follows %u, and %u were sent", record->device, number, last,
                  account->sent);
        for (uint32_t lost = (last > account->checked ? last : account->checked) + 1; lost < number;
             lost++)
            sys_check(&kit_gateway, !account->acknowledged[lost],
                      "device %u: %u was acknowledged, and %u follows %u in the log",
                      record->device, lost, number, last);
        last = number;
    }
    for (uint32_t lost = (last > account->checked ? last : account->checked) + 1;
         lost <= account->sent; lost++)
        sys_check(&kit_gateway, !account->acknowledged[lost],
                  "device %u: %u was acknowledged, and the log ends at %u", account->device.number,
                  lost, last);
    if (last > account->checked)
        account->checked = last;
}

void kit_ledger_holds(struct kit_account *const *accounts, size_t count)
{
    struct sys_updates updates = {NULL, 0, 0};

    sys_updates_read(&kit_gateway, &updates);
    for (size_t i = 0; i < count; i++)
        account_holds(accounts[i], &updates);
    sys_updates_release(&updates);
}
