/*
 * The audit log of the real gateway: what bears on security is told of, in order, numbered without
 * a gap, without a token, and a flood does not fill the disk.
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

#include <jansson.h>

#include "harness.h"

#define UNKNOWN "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

enum {
    SOON_MS = 5000,
    FLOOD = 200,
    FLOOD_LINES_MAX = 12,
    LOSERS = 3, /* who lose their access in turn */
    HELD_MS = 400,
};

static struct sys_gateway gateway;
static struct sys_device device, losers[LOSERS];
static char *path, *old_path;

/* The lines so far, each an object, numbered from `first` on. */
static json_t *lines_of(const char *file, json_int_t first)
{
    char *text = sys_file_text(file), *rest = NULL;
    json_t *lines = json_array();

    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        json_error_t why;
        json_t *object = json_loads(line, 0, &why);

        sys_check(&gateway, object != NULL, "%s: %s", why.text, line);
        sys_check(&gateway, json_integer_value(json_object_get(object, "seq")) == first++,
                  "not number %lld: %s", (long long)first - 1, line);
        (void)json_array_append_new(lines, object);
    }
    free(text);
    return lines;
}

static const char *word(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));

    return text == NULL ? "" : text;
}

/* How many lines tell of this. */
static unsigned count_of(const json_t *lines, const char *event, const char *reason)
{
    unsigned count = 0;
    size_t i;
    json_t *line;

    json_array_foreach(lines, i, line) count +=
        strcmp(word(line, "event"), event) == 0 && strcmp(word(line, "reason"), reason) == 0;
    return count;
}

static void wait_for(const char *event, const char *reason)
{
    for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);; sys_pause_ms(20)) {
        json_t *lines = lines_of(path, 1);
        unsigned count = count_of(lines, event, reason);

        json_decref(lines);
        if (count > 0)
            return;
        sys_check(&gateway, sys_now_ms() < deadline, "no %s (%s)", event, reason);
    }
}

static void fail_to_log_in(void)
{
    struct sys_client c;

    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c, sys_client_login(&c, UNKNOWN, GW_RESPONSE_INVALID_TOKEN));
    sys_client_close(&c);
}

static void ask_over_http(void)
{
    static const char request[] = "GET /external/api/get?token=" UNKNOWN "&v1 HTTP/1.1\r\n"
                                  "Host: localhost\r\nConnection: close\r\n\r\n";
    struct sys_client c;

    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c, sys_client_send(&c, request, sizeof request - 1));
    while (sys_client_receive(&c, 50))
        continue;
    sys_client_close(&c);
}

static void take_over(void)
{
    struct sys_client older, newer;

    sys_must(&gateway, &older, sys_connect(&gateway, &older, SYS_TLS13));
    sys_must(&gateway, &older, sys_client_login(&older, device.token, GW_RESPONSE_OK));
    sys_must(&gateway, &newer, sys_connect(&gateway, &newer, SYS_PLAIN));
    sys_must(&gateway, &newer, sys_client_login(&newer, device.token, GW_RESPONSE_OK));
    sys_must(&gateway, &older, sys_client_expect_end(&older, sys_ms(SOON_MS)));
    sys_client_close(&older);
    sys_client_close(&newer);
}

static void what_happens_is_told(void **state)
{
    char *number = sys_text("%u", device.number), *socket = sys_text("%s/control", gateway.dir);
    struct sys_output output;
    json_t *lines;
    char *text;

    (void)state;
    sys_gateway_start(&gateway);
    fail_to_log_in();
    wait_for("login_refused", "token_unknown");
    ask_over_http();
    wait_for("http_refused", "token_unknown");
    take_over();
    wait_for("taken_over", "replaced");
    kill(gateway.pid, SIGHUP);
    wait_for("reloaded", "signal");
    sys_ctl_try(&gateway, NULL, &output,
                (const char *const[]){"reboot", "--socket", socket, number, NULL});
    sys_output_release(&output); /* the device has left */
    wait_for("command", "offline");
    sys_gateway_stop(&gateway);

    lines = lines_of(path, 1);
    assert_string_equal(word(json_array_get(lines, 0), "event"), "start");
    assert_int_equal(count_of(lines, "reloaded", "start"), 2); /* an RSA and an EC certificate */
    assert_int_equal(count_of(lines, "reloaded", "signal"), 2);
    assert_string_equal(word(json_array_get(lines, json_array_size(lines) - 1), "event"), "stop");
    json_decref(lines);
    text = sys_file_text(path);
    assert_null(strstr(text, UNKNOWN));
    assert_null(strstr(text, device.token));
    assert_non_null(strstr(text, "\"source\":\"127.0.0.1\""));
    assert_non_null(strstr(text, "\"detail\":\"serial "));
    free(text);
    free(socket);
    free(number);
}

/* What the log says that it took to end the session of this device; 0: it says nothing of it. */
static json_int_t told_delay_ms(uint32_t number, const char *reason)
{
    json_t *lines = lines_of(path, 1), *line;
    json_int_t ms = 0;
    size_t i;

    json_array_foreach(lines, i, line)
    {
        if (strcmp(word(line, "event"), "session_ended") == 0 &&
            strcmp(word(line, "reason"), reason) == 0 &&
            json_integer_value(json_object_get(line, "device")) == number)
            ms = json_integer_value(json_object_get(line, "ms"));
    }
    json_decref(lines);
    return ms;
}

/* From before the command to after the device has seen its end: no delay can be longer. While the
   gateway stands still it cannot know: none can be shorter than that. */
static void a_revocation_is_told_with_its_delay(void **state)
{
    static const struct {
        const char *family, *verb, *reason;
        bool held;
    } rows[LOSERS] = {
        {"token", "revoke", "token_revoked", false},
        {"device", "disable", "device_disabled", false},
        {"token", "revoke", "token_revoked", true},
    };

    (void)state;
    sys_gateway_start(&gateway);
    for (size_t i = 0; i < LOSERS; i++) {
        char *number = sys_text("%u", losers[i].number);
        struct sys_client c;
        uint64_t begin, took;
        json_int_t ms;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
        sys_must(&gateway, &c, sys_client_login(&c, losers[i].token, GW_RESPONSE_OK));
        begin = sys_now_ms();
        if (rows[i].held)
            kill(gateway.pid, SIGSTOP);
        free(sys_ctl(&gateway, NULL, rows[i].family, rows[i].verb, number, NULL));
        if (rows[i].held) {
            sys_pause_ms(HELD_MS);
            kill(gateway.pid, SIGCONT);
        }
        for (uint64_t deadline = begin + sys_ms(SOON_MS); sys_client_receive(&c, 20);)
            sys_check(&gateway, sys_now_ms() < deadline, "device %s stays", number);
        took = sys_now_ms() - begin;
        sys_client_close(&c);
        wait_for("session_ended", rows[i].reason);
        for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);
             (ms = told_delay_ms(losers[i].number, rows[i].reason)) == 0; sys_pause_ms(20))
            sys_check(&gateway, sys_now_ms() < deadline, "no delay of device %s is told", number);
        sys_check(&gateway, ms <= (json_int_t)took + 1, "%lld ms of %llu", (long long)ms,
                  (unsigned long long)took);
        sys_check(&gateway, !rows[i].held || ms >= HELD_MS, "%lld ms", (long long)ms);
        free(number);
    }
    sys_gateway_stop(&gateway);
}

static void a_flood_is_a_few_lines_that_account_for_it(void **state)
{
    unsigned refused = 0;
    json_t *lines, *line;
    size_t i;

    (void)state;
    sys_gateway_start(&gateway);
    for (unsigned n = 0; n < FLOOD; n++)
        fail_to_log_in();
    sys_gateway_stop(&gateway);
    lines = lines_of(path, 1);
    json_array_foreach(lines, i, line)
    {
        json_int_t count = json_integer_value(json_object_get(line, "count"));

        if (strcmp(word(line, "event"), "login_refused") == 0)
            refused += count == 0 ? 1 : (unsigned)count;
    }
    assert_int_equal(refused, FLOOD);
    assert_true(count_of(lines, "login_refused", "token_unknown") <= FLOOD_LINES_MAX);
    json_decref(lines);
}

static void a_rotated_log_goes_on_in_a_new_file(void **state)
{
    json_t *older, *newer;

    (void)state;
    sys_gateway_start(&gateway);
    fail_to_log_in();
    wait_for("login_refused", "token_unknown");
    sys_check(&gateway, rename(path, old_path) == 0, "%s: %s", path, strerror(errno));
    kill(gateway.pid, SIGHUP);
    free(sys_gateway_log_wait(&gateway, "reloaded", 0, NULL));
    sys_gateway_stop(&gateway);
    older = lines_of(old_path, 1);
    newer = lines_of(path, (json_int_t)json_array_size(older) + 1);
    assert_true(json_array_size(newer) > 0);
    assert_int_equal(count_of(newer, "stop", "SIGTERM"), 1);
    json_decref(older);
    json_decref(newer);
}

static int set_up(void **state)
{
    static const struct sys_gateway_options options = {
        .shards = 2,
        .config = "audit: { path = \"audit\"; };\ncontrol: { path = \"control\"; };\n"};

    (void)state;
    sys_gateway_create(&gateway, &options);
    sys_devices_add(&gateway, SYS_PRODUCT, &device, 1);
    sys_devices_add(&gateway, SYS_PRODUCT, losers, LOSERS);
    sys_devices_fill(&gateway, 100);
    path = sys_text("%s/audit", gateway.dir);
    old_path = sys_text("%s/audit.1", gateway.dir);
    return 0;
}

static int restore(void **state)
{
    (void)state;
    if (gateway.pid != 0)
        sys_gateway_kill(&gateway);
    (void)remove(path);
    (void)remove(old_path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sys_gateway_destroy(&gateway);
    free(path);
    free(old_path);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_happens_is_told, restore),
        cmocka_unit_test_teardown(a_revocation_is_told_with_its_delay, restore),
        cmocka_unit_test_teardown(a_flood_is_a_few_lines_that_account_for_it, restore),
        cmocka_unit_test_teardown(a_rotated_log_goes_on_in_a_new_file, restore),
    };

    return cmocka_run_group_tests_name("audit", tests, set_up, tear_down);
}
