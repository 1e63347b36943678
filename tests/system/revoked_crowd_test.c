/*
 * Tokens taken away from among thousands of devices that are connected, every other one while its
 * device logs in: how soon that is felt, as tollgate-bench measures it. The same at 100,000 is
 * `bench/run revoke` (SECURITY.md).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "group.h"

#define DEVICES "2000"
#define REVOKED "150"

enum { LATE_US = 1000000 };

static struct sys_gateway gateway;
static char *tokens, *result;

static json_int_t number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    sys_check(&gateway, json_is_integer(value), "the result has no whole number %s", key);
    return json_integer_value(value);
}

static void all_of_them_are_gone_within_a_second(void **state)
{
    char *port = sys_text("%u", gateway.tls_port);
    const char *const command[] = {
        TOLLGATE_BENCH,  "revoke",    "--port",   port,      "--ca",
        gateway.ca_path, "--tokens",  tokens,     "--index", gateway.index_path,
        "--devices",     DEVICES,     "--revoke", REVOKED,   "--ramp",
        "1000",          "--seconds", "3",        "--json",  result,
        "--template",    SYS_PRODUCT, "--quiet",  NULL};
    struct sys_output output;
    json_t *run, *revoked, *delay;

    (void)state;
    assert_true(sys_run(command, NULL, &output));
    sys_check(&gateway, output.exit_code == 0, "exit code %d\n%s%s", output.exit_code, output.out,
              output.err);
    print_message("%s", output.out);
    run = json_load_file(result, 0, NULL);
    sys_check(&gateway, run != NULL, "no result in %s", result);
    revoked = json_object_get(run, "revoked");
    delay = json_object_get(revoked, "delay_us");
    assert_int_equal(number(revoked, "committed"), atoi(REVOKED));
    assert_int_equal(number(revoked, "left"), 0);
    /* Those that were only connected were all there to be closed. */
    assert_true(number(delay, "count") >= atoi(REVOKED) / 2);
    assert_int_equal(number(run, "sessions"), atoi(DEVICES) - atoi(REVOKED));
    sys_check(&gateway, sys_is_sanitized() || number(delay, "max") <= LATE_US,
              "the last went after %lld us", (long long)number(delay, "max"));
    json_decref(run);
    sys_output_release(&output);
    free(port);
}

static void make_devices(void)
{
    tokens = sys_text("%s/tokens", gateway.dir);
    result = sys_text("%s/result", gateway.dir);
    free(sys_ctl(&gateway, NULL, "index", "generate", "--devices", DEVICES, "--product",
                 SYS_PRODUCT, "--tokens", tokens, NULL));
}

int main(void)
{
    static const struct sys_group group = {
        .name = "revoked_crowd",
        .gateway = &gateway,
        .options = {.shards = 4},
        .prepare = make_devices,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_them_are_gone_within_a_second),
    };
    int failed = SYS_GROUP_RUN(&group, tests);

    free(tokens);
    free(result);
    return failed;
}
