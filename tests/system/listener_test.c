/*
 * A client that we did not write is written to: system_listener PROGRAM. The program logs in, takes
 * COUNT numbers on V1 and three values on V2, and ends with 0 if they were what tollgatectl sent;
 * 77 says that what it needs is not installed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

enum { EXIT_SKIPPED = 77, WRITES = 20, ONLINE_MS = 60000, SOON_MS = 10000 };

static struct sys_gateway gateway;
static const char *program;
static bool skipped;

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

static void it_gets_what_tollgatectl_sends(void **state)
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
    const char *const argv[] = {program,      "127.0.0.1", port,  gateway.ca_path,
                                device.token, SYS_PRODUCT, count, NULL};
    pid_t child = sys_spawn(argv, NULL, log);

    assert_true(child > 0);
    skipped = !wait_until_online(child, number, path, &exit_code) && exit_code == EXIT_SKIPPED;
    if (skipped)
        skip();
    for (int i = 0; i < WRITES && exit_code == 0; i++) {
        char *value = sys_text("%d", i);

        free(sys_ctl(&gateway, NULL, "send", number, "V1", value, "--socket", path, NULL));
        free(value);
    }
    if (exit_code == 0) {
        free(sys_ctl(&gateway, NULL, "send", number, "V2", "that", "is", "all", "--socket", path,
                     NULL));
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

static int set_up(void **state)
{
    (void)state;
    sys_gateway_create(&gateway, &(struct sys_gateway_options){
                                     .shards = 2, .config = "control: { path = \"control\"; };\n"});
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
    static const struct CMUnitTest tests[] = {cmocka_unit_test(it_gets_what_tollgatectl_sends)};
    int failed;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: system_listener PROGRAM\n");
        return 2;
    }
    program = argv[1];
    failed = cmocka_run_group_tests_name("listener", tests, set_up, tear_down);
    return failed == 0 && skipped ? EXIT_SKIPPED : failed;
}
