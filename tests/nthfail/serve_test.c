/*
 * The nth failure while a gateway serves. One gateway, and a scene that is played again and again
 * with another call failing each time: a device comes, is heard and goes; HTTP, the control socket,
 * the admin port. Whatever fails, only that device's own connection may suffer, and it is never
 * told 9; devices that were there before are answered; what was acknowledged is in the log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../system/control_link.h"
#include "kit.h"

enum {
    BYSTANDERS = 4,
    VISITOR_MS = 3000,  /* for an answer that may never come     */
    PATIENT_MS = 10000, /* for one that must                     */
    FILL_WRITES = 290,  /* of some 4,000 bytes: more than a segment */
    FILL_BYTES = 3900,
    FILL_PINGS = 29,
    CHECKPOINT_MS = 1300, /* values.checkpoint_s, and some        */
    SILENCE_MS = 400,
    HTTP_ROOM = 512,
};

static struct kit_account bystanders[BYSTANDERS], visitor, writer, filler;
static struct sys_client stays[BYSTANDERS];
static char *control_path;

/* ---- scenes: every call of them may fail, so nothing here is taken for granted ---- */

static void play_device(void)
{
    static unsigned turn;
    struct sys_client c;
    uint32_t from = visitor.sent + 1;

    if (sys_connect(&kit_gateway, &c, (enum sys_transport)(turn++ % SYS_TRANSPORTS)) &&
        kit_login(&c, &visitor) == GW_RESPONSE_OK && kit_write(&c, &visitor, 0))
        (void)!kit_ping(&c, &visitor, from, sys_ms(VISITOR_MS));
    sys_client_close(&c);
}

/* Its status; 0 without an answer. The body must not call the token invalid. */
static int ask_http(const char *request)
{
    struct sys_client c;
    uint64_t deadline = sys_now_ms() + sys_ms(VISITOR_MS);
    char answer[HTTP_ROOM];
    int status = 0;

    if (sys_connect(&kit_gateway, &c, SYS_TLS13) && sys_client_send(&c, request, strlen(request))) {
        while (sys_now_ms() < deadline && sys_client_receive(&c, 20)) /* until it is closed */
            continue;
        (void)snprintf(answer, sizeof answer, "%.*s", (int)c.in_bytes,
                       c.in_bytes > 0 ? (const char *)c.in : "");
        (void)sscanf(answer, "HTTP/1.1 %3d", &status);
        sys_check(&kit_gateway, strstr(answer, "nvalid token") == NULL, "%s", answer);
    }
    sys_client_close(&c);
    return status;
}

static void play_http(void)
{
    char *get = sys_text("GET /external/api/get?token=%s&v%d HTTP/1.1\r\nHost: h\r\n"
                         "Connection: close\r\n\r\n",
                         writer.device.token, KIT_PIN);
    char *update = sys_text("GET /external/api/update?token=%s&v%d=%u HTTP/1.1\r\nHost: h\r\n"
                            "Connection: close\r\n\r\n",
                            writer.device.token, KIT_PIN, writer.sent + 1);

    writer.sent++;
    if (ask_http(update) == 200)
        writer.acknowledged[writer.sent] = true;
    (void)ask_http(get);
    free(get);
    free(update);
}

static void play_control(void)
{
    char answer[CONTROL_ANSWER_BYTES];
    struct control_link link;

    if (control_open(&link, control_path)) {
        (void)!control_say(&link, "{\"id\":1,\"cmd\":\"status\",\"device\":%u}",
                           bystanders[0].device.number);
        (void)!control_say(&link,
                           "{\"id\":2,\"cmd\":\"send\",\"device\":%u,\"pin\":\"V1\",\"value\":1}",
                           visitor.device.number);
        for (int i = 0; i < 2 && control_hear(&link, answer, sys_ms(VISITOR_MS)); i++)
            continue;
    }
    control_close(&link);
}

static void play_all(void)
{
    play_device();
    play_http();
    play_control();
    (void)sys_admin_get(&kit_gateway, "/metrics", NULL);
    (void)sys_admin_get(&kit_gateway, "/readyz", NULL);
}

/* More than a segment of the log holds, so that one is ended, one begun, and an old one deleted. */
static void play_segment(void)
{
    struct sys_client c;
    uint32_t from = filler.sent + 1;
    bool goes_on =
        sys_connect(&kit_gateway, &c, SYS_PLAIN) && kit_login(&c, &filler) == GW_RESPONSE_OK;

    for (int i = 1; i <= FILL_WRITES && goes_on; i++) {
        goes_on = kit_write(&c, &filler, FILL_BYTES);
        if (goes_on && i % FILL_PINGS == 0)
            goes_on = kit_ping(&c, &filler, from, sys_ms(PATIENT_MS));
    }
    sys_client_close(&c);
}

/* A segment's worth of values reaches their store. */
static void play_checkpoint(void)
{
    play_device();
    sys_pause_ms(CHECKPOINT_MS);
}

static unsigned certificates_told(void)
{
    char *log = sys_gateway_log(&kit_gateway);
    unsigned count = 0;

    for (const char *at = log; (at = strstr(at, "what=certificates")) != NULL; at++)
        count++;
    free(log);
    return count;
}

static void play_reload(void)
{
    unsigned before = certificates_told();
    uint64_t deadline = sys_now_ms() + sys_ms(PATIENT_MS);

    kill(kit_gateway.pid, SIGHUP);
    while (certificates_told() == before) {
        sys_check(&kit_gateway, sys_now_ms() < deadline, "SIGHUP has no effect");
        sys_pause_ms(2);
    }
}

/* ---- what must hold between scenes ---- */

static void bystanders_come(void)
{
    for (size_t i = 0; i < BYSTANDERS; i++) {
        sys_must(&kit_gateway, &stays[i],
                 sys_connect(&kit_gateway, &stays[i], (enum sys_transport)(i % SYS_TRANSPORTS)));
        assert_int_equal(kit_login(&stays[i], &bystanders[i]), GW_RESPONSE_OK);
    }
}

static void bystanders_leave(void)
{
    for (size_t i = 0; i < BYSTANDERS; i++)
        sys_client_close(&stays[i]);
}

static void bystanders_are_served(void)
{
    for (size_t i = 0; i < BYSTANDERS; i++) {
        uint32_t from = bystanders[i].sent + 1;

        sys_must(&kit_gateway, &stays[i], kit_write(&stays[i], &bystanders[i], 0));
        sys_must(&kit_gateway, &stays[i],
                 kit_ping(&stays[i], &bystanders[i], from, sys_ms(PATIENT_MS)));
    }
}

static void the_ledger_holds(void)
{
    struct kit_account *const accounts[] = {
        &bystanders[0], &bystanders[1], &bystanders[2], &bystanders[3], &visitor, &writer, &filler};

    kit_ledger_holds(accounts, GW_ARRAY_COUNT(accounts));
}

/* ---- the tests ---- */

static const struct scene {
    const char *name;
    void (*play)(void);
    uint32_t classes;
    int error;
    uint32_t points; /* calls that are tried unless all are           */
    bool look_often; /* the log is read each time: it is soon deleted */
    bool alone;      /* whose connection fails cannot be chosen           */
} scenes[] = {
    {"memory", play_all, NTHFAIL_MEMORY, ENOMEM, 40, false, false},
    {"LMDB", play_all, NTHFAIL_LMDB, EIO, 20, false, false},
    {"descriptors", play_all, NTHFAIL_SYSTEM, EMFILE, 8, false, false},
    {"entering rings: busy", play_all, NTHFAIL_ENTER, EBUSY, 6, false, false},
    {"entering rings: interrupted", play_all, NTHFAIL_ENTER, EINTR, 6, false, false},
    {"entering rings: no memory", play_all, NTHFAIL_ENTER, EAGAIN, 6, false, false},
    {"completions", play_device, NTHFAIL_DONE, ECONNRESET, 10, false, true},
    {"files: I/O error", play_segment, NTHFAIL_FILE, EIO, 8, true, false},
    {"files: disk full", play_segment, NTHFAIL_FILE, ENOSPC, 6, true, false},
    {"last values", play_checkpoint, NTHFAIL_LMDB | NTHFAIL_FILE, EIO, 3, true, false},
    {"certificates, memory", play_reload, NTHFAIL_MEMORY, ENOMEM, 10, false, false},
    {"certificates, files", play_reload, NTHFAIL_FILE, EIO, 5, false, false},
};

/* The calls there were. */
static uint64_t play_once(const struct scene *scene, uint64_t first)
{
    uint64_t calls;

    kit_arm(scene->classes, scene->error, first, first == 0 ? 0 : 1);
    scene->play();
    calls = atomic_load(&kit_nthfail->calls);
    kit_disarm();
    if (!scene->alone)
        bystanders_are_served();
    if (scene->look_often)
        the_ledger_holds();
    return calls;
}

static void play_until_all_failed(const struct scene *scene)
{
    if (scene->alone)
        bystanders_leave();
    uint64_t calls = play_once(scene, 0);
    uint64_t stride = kit_stride(calls, scene->points), tried = 0;

    for (uint64_t n = kit_first(calls, scene->points); n <= calls; n += stride, tried++)
        (void)play_once(scene, n);
    print_message("%s: %llu calls, played %llu times\n", scene->name, (unsigned long long)calls,
                  (unsigned long long)tried);
    assert_true(tried > 0);
    if (scene->alone)
        bystanders_come();
}

static void whoever_is_there_is_served_whatever_fails(void **state)
{
    (void)state;
    bystanders_come();
    for (size_t i = 0; i < GW_ARRAY_COUNT(scenes); i++) {
        play_until_all_failed(&scenes[i]);
        /* And nothing of it lasts. */
        uint32_t before = visitor.sent;

        for (int t = 0; t < SYS_TRANSPORTS; t++)
            play_device();
        for (uint32_t value = before + 1; value <= before + SYS_TRANSPORTS; value++)
            sys_check(&kit_gateway, visitor.acknowledged[value], "after \"%s\": no service",
                      scenes[i].name);
        the_ledger_holds();
    }
}

static void nothing_is_acknowledged_while_no_file_can_be_written(void **state)
{
    uint32_t from = bystanders[0].sent + 1;

    (void)state;
    kit_arm(NTHFAIL_FILE, EIO, 1, NTHFAIL_FOR_EVER);
    sys_must(&kit_gateway, &stays[0], kit_write(&stays[0], &bystanders[0], 0));
    sys_check(&kit_gateway, !kit_ping(&stays[0], &bystanders[0], from, SILENCE_MS),
              "acknowledged, and on no disk");
    kit_disarm();
    /* The answer that was owed comes first. */
    assert_int_equal(kit_status(&stays[0], 2, sys_ms(PATIENT_MS)), GW_RESPONSE_OK);
    bystanders_are_served();
    the_ledger_holds();
    assert_true(sys_metric(&kit_gateway, "tollgate_journal_failures_total") > 0);
}

static void it_ends_and_starts_again(void **state)
{
    (void)state;
    sys_gateway_stop(&kit_gateway);
    the_ledger_holds();
    bystanders_leave();
    sys_gateway_start(&kit_gateway);
    bystanders_come();
    bystanders_are_served();
    sys_gateway_stop(&kit_gateway);
    the_ledger_holds();
}

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < BYSTANDERS; i++)
        stays[i] = SYS_CLIENT_NONE;
    kit_create("time: { zones = \"\"; };\n"
               "rate: { frames_per_s = 1000000; burst = 1000000; };\n"
               "values: { checkpoint_s = 1; };\n"
               "handshake_s_max = 2; login_s_max = 2;\n"
               "control: { path = \"control\"; };\n");
    control_path = sys_text("%s/control", kit_gateway.dir);
    for (size_t i = 0; i < BYSTANDERS; i++)
        kit_account_open(&bystanders[i]);
    kit_account_open(&visitor);
    kit_account_open(&writer);
    kit_account_open(&filler);
    sys_gateway_start(&kit_gateway);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bystanders_leave();
    kit_destroy();
    free(control_path);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_is_there_is_served_whatever_fails),
        cmocka_unit_test(nothing_is_acknowledged_while_no_file_can_be_written),
        cmocka_unit_test(it_ends_and_starts_again),
    };

    if (!kit_arguments(argc, argv))
        return 64;
    return cmocka_run_group_tests_name("nthfail serve", tests, set_up, tear_down);
}
