/*
 * A client that we did not write is written to: system_listener PROGRAM tollgatectl|curl. The
 * program logs in, takes COUNT numbers on V1 and three values on V2, and ends with 0 if they were
 * what tollgatectl sent, or what curl wrote over HTTPS; 77 says that what it needs is not
 * installed. What curl wrote last, it reads back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define CURL "/usr/bin/curl"

enum { EXIT_SKIPPED = 77, WRITES = 20, ONLINE_MS = 60000, SOON_MS = 10000 };

static struct sys_gateway gateway;
static const char *program;
static bool by_curl, skipped;

/* False: the program ended first, as *exit_code says. */
static bool wait_until_online(pid_t child, const char *device, const char *path, int *exit_code)
{
    const char *const args[] = {"status", device, "--socket", path, NULL};
    uint64_t end = sys_now_ms() + sys_ms(ONLINE_MS); /* it may have to be installed first */
    struct sys_output output;
    bool online = false;

    while (!online) {
        sys_check(&gateway, sys_now_ms() < end, "the program did not log in");
        if (sys_wait(child, 50, exit_code))
            return false;
        sys_ctl_try(&gateway, NULL, &output, args);
        online = output.exit_code == 0;
        sys_output_release(&output);
    }
    return true;
}

static void send_by_tollgatectl(const char *device, const char *path)
{
    for (int i = 0; i < WRITES; i++) {
        char *value = sys_text("%d", i);

        free(sys_ctl(&gateway, NULL, "send", device, "V1", value, "--socket", path, NULL));
        free(value);
    }
    free(
        sys_ctl(&gateway, NULL, "send", device, "V2", "that", "is", "all", "--socket", path, NULL));
}

/* What curl prints for a request of this query; owned. */
static char *curl(const char *token, const char *query)
{
    char *url =
        sys_text("https://localhost:%u/external/api/%s&token=%s", gateway.tls_port, query, token);
    const char *const argv[] = {
        CURL, "--silent", "--show-error", "--fail", "--cacert", gateway.ca_path, url, NULL};
    struct sys_output output = {.exit_code = -1};
    char *said;

    assert_true(sys_run(argv, NULL, &output));
    sys_check(&gateway, output.exit_code == 0, "%s: exit code %d: %s%s", query, output.exit_code,
              output.out, output.err);
    said = sys_text("%s", output.out);
    sys_output_release(&output);
    free(url);
    return said;
}

static void send_by_curl(const char *token)
{
    char *said;

    for (int i = 0; i < WRITES; i++) {
        char *query = sys_text("update?v1=%d", i);

        free(curl(token, query));
        free(query);
    }
    free(curl(token, "update?pin=V2&value=that&value=is&value=all"));
    said = curl(token, "get?v1&v2");
    assert_string_equal(said, "{\"v1\":19,\"v2\":[\"that\",\"is\",\"all\"]}");
    free(said);
}

static void it_gets_what_it_is_sent(void **state)
{
    char *path = sys_text("%s/control", gateway.dir), *log = sys_text("%s/client", gateway.dir);
    char *count = sys_text("%d", WRITES), *port, *number;
    struct sys_device device;
    int exit_code = 0;

    (void)state;
    sys_devices_add(&gateway, SYS_PRODUCT, &device, 1);
    sys_gateway_start(&gateway);
    port = sys_text("%u", gateway.tls_port);
    number = sys_text("%u", device.number);
    const char *const argv[] = {program,         "127.0.0.1",  port,
                                gateway.ca_path, device.token, SYS_PRODUCT,
                                count,           "listen",     NULL};
    pid_t child = sys_spawn(argv, NULL, log);

    assert_true(child > 0);
    skipped = !wait_until_online(child, number, path, &exit_code) && exit_code == EXIT_SKIPPED;
    if (skipped)
        skip();
    if (exit_code == 0) {
        if (by_curl)
            send_by_curl(device.token);
        else
            send_by_tollgatectl(number, path);
        assert_true(sys_wait(child, sys_ms(SOON_MS), &exit_code));
    }
    char *said = sys_file_text(log);

    sys_check(&gateway, exit_code == 0, "exit code %d: %s", exit_code, said);
    print_message("%s", said);
    free(said);
    free(path);
    free(log);
    free(count);
    free(port);
    free(number);
}

/* Each curl is a connection of its own, and what these write keeps its order on one shard alone. */
static int set_up(void **state)
{
    (void)state;
    sys_gateway_create(
        &gateway, &(struct sys_gateway_options){.shards = by_curl ? 1 : 2,
                                                .config = "control: { path = \"control\"; };\n"});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (gateway.pid != 0)
        sys_gateway_stop(&gateway);
    sys_gateway_destroy(&gateway);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(it_gets_what_it_is_sent)};
    int failed;

    by_curl = argc == 3 && strcmp(argv[2], "curl") == 0;
    if (argc != 3 || (!by_curl && strcmp(argv[2], "tollgatectl") != 0)) {
        (void)fprintf(stderr, "usage: system_listener PROGRAM tollgatectl|curl\n");
        return 2;
    }
    program = argv[1];
    if (access(program, X_OK) != 0 || (by_curl && access(CURL, X_OK) != 0)) {
        (void)fprintf(stderr, "%s or %s is not there\n", program, CURL);
        return EXIT_SKIPPED;
    }
    failed = cmocka_run_group_tests_name("listener", tests, set_up, tear_down);
    return failed == 0 && skipped ? EXIT_SKIPPED : failed;
}
