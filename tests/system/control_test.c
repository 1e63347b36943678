/*
 * The control socket: what is refused, who may wait for whom, and its file.
 */
#include "downlink_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void what_is_no_command_is_refused_by_what_is_wrong(void **state)
{
    static const struct {
        const char *line, *error;
    } rows[] = {
        {"{", "not JSON, from byte"},
        {"42", "not JSON, from byte"},
        {"[]", "a command is an object"},
        {"{}", "\"cmd\" is \"send\""},
        {"{\"cmd\":\"launch\",\"device\":1}", "\"cmd\" is \"send\""},
        {"{\"cmd\":\"send\",\"cmd\":\"ota\"}", "not JSON, from byte"},
        {"{\"cmd\":\"reboot\"}", "\"device\" is the number"},
        {"{\"cmd\":\"app\",\"device\":1}", "\"connected\" is true or false"},
        {"{\"cmd\":\"app\",\"device\":1,\"connected\":1}", "\"connected\" is true or false"},
        {"{\"cmd\":\"reboot\",\"device\":0}", "\"device\" is the number"},
        {"{\"cmd\":\"reboot\",\"device\":\"porch\"}", "\"device\" is the number"},
        {"{\"cmd\":\"reboot\",\"device\":4294967296}", "\"device\" is the number"},
        {"{\"cmd\":\"reboot\",\"device\":1,\"now\":true}", "\"reboot\" has no field \"now\""},
        {"{\"cmd\":\"ota\",\"device\":1,\"pin\":\"V1\"}", "\"ota\" has no field \"pin\""},
        {"{\"cmd\":\"send\",\"device\":1,\"value\":\"1\"}", "\"pin\" is a text"},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V256\",\"value\":\"1\"}", "\"pin\" is a text"},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V1\"}", "has a \"value\""},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V1\",\"value\":1,\"values\":[1]}",
         "has a \"value\""},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V1\",\"value\":\"\"}", "a value is a number"},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V1\",\"value\":null}", "a value is a number"},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V1\",\"value\":\"a\\u0000b\"}",
         "not JSON, from byte"},
        {"{\"cmd\":\"send\",\"device\":1,\"pin\":\"V1\",\"values\":[]}", "1 to 64 values"},
        {"{\"id\":[],\"cmd\":\"reboot\",\"device\":1}", "\"id\" is a number or a text"},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        const char *error = control_ask(&desk, answer, "%s", rows[i].line);

        if (strstr(error, rows[i].error) == NULL)
            fail_msg("%s: \"%s\", not \"%s\"", rows[i].line, error, rows[i].error);
    }
    assert_string_equal(send_value(&devices[20], "1"), "offline"); /* and it goes on */
}

static void a_line_that_is_too_long_is_the_last(void **state)
{
    struct control_link own;
    char line[CONTROL_ANSWER_BYTES];
    static char much[20000];

    (void)state;
    memset(much, 'x', sizeof much);
    assert_true(control_open(&own, socket_path));
    (void)control_push(&own, much, sizeof much);
    assert_true(control_hear(&own, line, sys_ms(SOON_MS)));
    assert_non_null(strstr(line, "a line has at most"));
    assert_false(control_hear(&own, line, sys_ms(SOON_MS)));
    control_close(&own);
}

/* It is read no further, everybody else is served, and it gets all its answers in the end. */
static void a_client_that_reads_nothing_waits_for_itself(void **state)
{
    enum { MOST = 40000 };
    struct control_link own;
    char line[CONTROL_ANSWER_BYTES], command[64];
    unsigned said = 0, heard = 0;
    size_t left = 0, bytes;

    (void)state;
    assert_true(control_open(&own, socket_path));
    bytes = (size_t)snprintf(command, sizeof command, "{\"cmd\":\"status\",\"device\":%u}\n",
                             devices[20].number);
    for (unsigned quiet = 0; quiet < 20 && said < MOST;) {
        left = left > 0 ? left : bytes;
        size_t taken = control_push(&own, command + bytes - left, left);

        left -= taken;
        said += left == 0;
        quiet = taken == 0 ? quiet + 1 : 0;
        if (taken == 0)
            sys_pause_ms(20);
    }
    sys_check(&gateway, said < MOST, "all of %u commands were taken", said);
    assert_string_equal(send_value(&devices[20], "1"), "offline");
    while (heard < said && control_hear(&own, line, sys_ms(SOON_MS)))
        heard++;
    assert_int_equal(heard, said);
    control_close(&own);
}

static void the_socket_is_for_its_group_and_survives_a_kill(void **state)
{
    struct stat file;
    char number[16];

    (void)state;
    assert_int_equal(stat(socket_path, &file), 0);
    assert_true(S_ISSOCK(file.st_mode));
    assert_int_equal(file.st_mode & 0777, 0660);
    control_close(&desk);
    sys_gateway_kill(&gateway);
    EXPECT_CTL(69, "no gateway listens on", "reboot", number_text(&devices[0], number));
    sys_gateway_start(&gateway);
    assert_true(control_open(&desk, socket_path));
    assert_string_equal(send_value(&devices[0], "1"), "offline");
    control_close(&desk);
    sys_gateway_stop(&gateway);
    assert_int_not_equal(stat(socket_path, &file), 0);
    /* What is no socket is left alone. */
    assert_true(sys_file_write(socket_path, "precious"));
    sys_gateway_launch(&gateway);
    int exit_code = 0;

    assert_true(sys_wait(gateway.pid, sys_ms(SOON_MS), &exit_code));
    gateway.pid = 0;
    assert_int_equal(exit_code, 75);
    char *text = sys_file_text(socket_path);

    assert_string_equal(text, "precious");
    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_command_is_refused_by_what_is_wrong),
        cmocka_unit_test(a_line_that_is_too_long_is_the_last),
        cmocka_unit_test(a_client_that_reads_nothing_waits_for_itself),
        cmocka_unit_test(the_socket_is_for_its_group_and_survives_a_kill),
    };

    return run_downlink_tests("control", tests, GW_ARRAY_COUNT(tests));
}
