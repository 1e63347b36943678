/*
 * A client that we did not write, against the real gateway: system_clients PROGRAM [plain], with
 * TLS unless it is to be plain. The values that
 * the program has written, 0, 1, 2 ..., must stand in the log in this order. A program that is
 * missing, or that says (exit code 77) that what it needs is not installed, makes this test
 * skipped, by name.
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
#include "updates.h"

enum { EXIT_SKIPPED = 77, WRITES = 40 };

static struct sys_gateway gateway;
static const char *program;
static bool plain, skipped;

static void its_writes_are_in_the_log(void **state)
{
    struct sys_updates updates = {NULL, 0, 0};
    struct sys_output output = {.exit_code = EXIT_SKIPPED};
    struct sys_device device;
    uint32_t value = 0;
    char *port, *count = sys_text("%d", WRITES);

    (void)state;
    sys_devices_add(&gateway, SYS_PRODUCT, &device, 1);
    sys_gateway_start(&gateway);
    port = sys_text("%u", plain ? gateway.plain_port : gateway.tls_port);
    if (access(program, X_OK) == 0) {
        const char *const argv[] = {program,      "127.0.0.1", port,  gateway.ca_path,
                                    device.token, SYS_PRODUCT, count, NULL};

        sys_check(&gateway, sys_run(argv, NULL, &output), "cannot run %s", program);
        print_message("%s%s", output.out, output.err);
    } else {
        print_message("%s is not built\n", program);
    }
    skipped = output.exit_code == EXIT_SKIPPED;
    if (skipped)
        skip();
    sys_check(&gateway, output.exit_code == 0, "exit code %d", output.exit_code);

    sys_updates_read(&gateway, &updates);
    for (size_t i = 0; i < updates.count; i++) {
        const struct gw_record *record = &updates.items[i].record;

        if (record->device == device.number && record->kind == GW_RECORD_PIN_WRITE)
            assert_int_equal(strtoul((const char *)record->value.data, NULL, 10), value++);
    }
    assert_int_equal(value, WRITES);
    sys_updates_release(&updates);
    sys_output_release(&output);
    free(port);
    free(count);
}

/* A slow machine makes for slow clients; what the gateway thinks of these is not asked here. */
static int set_up(void **state)
{
    unsigned s = (unsigned)gw_min_u64(sys_ms(10), 300);
    char *config =
        sys_text("handshake_age_s_max = %u; handshake_s_max = %u; login_s_max = %u;\n", s, s, s);

    (void)state;
    sys_gateway_create(&gateway, &(struct sys_gateway_options){.shards = 2, .config = config});
    gateway.options.config = NULL; /* it is written */
    free(config);
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
    static const struct CMUnitTest tests[] = {cmocka_unit_test(its_writes_are_in_the_log)};
    int failed;

    plain = argc == 3 && strcmp(argv[2], "plain") == 0;
    if (argc != 2 && !plain) {
        (void)fprintf(stderr, "usage: system_clients PROGRAM [plain]\n");
        return 2;
    }
    program = argv[1];
    failed = cmocka_run_group_tests_name("clients", tests, set_up, tear_down);
    return failed == 0 && skipped ? EXIT_SKIPPED : failed;
}
