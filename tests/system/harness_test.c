/*
 * The harness against a scripted peer: its expectations must fail when they should, or every test
 * that stands on them would pass for nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "harness.h"
#include "process.h"

#define PATIENCE "patience" /* the argument that makes this program a case of its own test */

enum { SOON_MS = 2000, MOMENT_MS = 60 };

/* The peer is this thread: a listener, and the side of the connection that it accepted. */
static int listener = -1, peer = -1;
static struct sys_client client;

static int connect_both(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct sys_client_options options = {.transport = SYS_PLAIN};
    socklen_t size = sizeof address;

    (void)state;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 4) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return -1;
    options.port = ntohs(address.sin_port);
    if (!sys_client_open(&client, &options))
        return -1;
    peer = accept(listener, NULL, NULL);
    return peer < 0 ? -1 : 0;
}

static int disconnect_both(void **state)
{
    (void)state;
    sys_client_close(&client);
    if (peer >= 0)
        close(peer);
    close(listener);
    peer = -1;
    return 0;
}

static void say(const char *hex)
{
    uint8_t bytes[64];
    size_t size = sys_hex(hex, bytes, sizeof bytes);

    assert_int_equal(send(peer, bytes, size, MSG_NOSIGNAL), size);
}

static void expect_takes_exactly_its_bytes(void **state)
{
    (void)state;
    say("00000100c806");
    assert_true(sys_client_expect(&client, "\0\0\1\0\xc8", 5, SOON_MS));
    assert_true(sys_client_expect(&client, "\6", 1, SOON_MS));
}

static void expect_waits_for_bytes_in_pieces(void **state)
{
    (void)state;
    say("0000");
    assert_false(sys_client_expect(&client, "\0\0\1\0\xc8", 5, MOMENT_MS));
    say("0100c8");
    assert_true(sys_client_expect(&client, "\0\0\1\0\xc8", 5, SOON_MS));
}

static void expect_refuses_other_bytes_at_once(void **state)
{
    uint64_t from = sys_now_ms();

    (void)state;
    say("0000010009");
    assert_false(sys_client_expect(&client, "\0\0\1\0\xc8", 5, 60000));
    assert_true(sys_now_ms() - from < 30000);
    assert_non_null(strstr(client.failure, "0000010009"));
    assert_non_null(strstr(client.failure, "00000100c8"));
}

static void expect_refuses_an_early_end(void **state)
{
    (void)state;
    say("000001");
    close(peer);
    peer = -1;
    assert_false(sys_client_expect(&client, "\0\0\1\0\xc8", 5, SOON_MS));
}

static void end_is_no_end_while_open(void **state)
{
    (void)state;
    assert_false(sys_client_expect_end(&client, MOMENT_MS));
}

static void end_is_no_end_when_something_came_before(void **state)
{
    (void)state;
    say("00");
    close(peer);
    peer = -1;
    assert_false(sys_client_expect_end(&client, SOON_MS));
}

static void end_is_a_hang_up_or_a_reset(void **state)
{
    const struct linger none = {.l_onoff = 1};

    (void)state;
    close(peer);
    peer = -1;
    assert_true(sys_client_expect_end(&client, SOON_MS));
    assert_int_equal(client.end, SYS_CLOSED);

    (void)disconnect_both(NULL);
    assert_int_equal(connect_both(NULL), 0);
    (void)setsockopt(peer, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(peer);
    peer = -1;
    assert_true(sys_client_expect_end(&client, SOON_MS));
    assert_int_equal(client.end, SYS_RESET);
}

static void silence_is_broken_by_a_byte_and_by_an_end(void **state)
{
    (void)state;
    assert_true(sys_client_expect_silence(&client, MOMENT_MS));
    say("06");
    assert_false(sys_client_expect_silence(&client, SOON_MS));
    assert_true(sys_client_expect(&client, "\6", 1, SOON_MS));
    close(peer);
    peer = -1;
    assert_false(sys_client_expect_silence(&client, SOON_MS));
}

static void a_ping_answered_late_by_something_else_is_no_answer(void **state)
{
    (void)state;
    say("0000070002"); /* what an ignored case would have been answered with */
    say("00000900c8");
    assert_false(sys_client_ping(&client, 9));
}

static void frames_are_read_one_by_one(void **state)
{
    struct gw_frame frame;

    (void)state;
    say("140003000776770031003435");
    say("00000100c8");
    assert_true(sys_client_frame(&client, &frame, SOON_MS));
    assert_int_equal(frame.type, GW_FRAME_HARDWARE);
    assert_int_equal(frame.body.size, 7);
    assert_memory_equal(frame.body.data, "vw\0001\00045", 7);
    assert_true(sys_client_frame(&client, &frame, SOON_MS));
    assert_int_equal(frame.status, 200);
    assert_false(sys_client_frame(&client, &frame, MOMENT_MS));
}

static void a_dribble_is_every_byte_in_order(void **state)
{
    uint8_t seen[5];

    (void)state;
    assert_true(sys_client_dribble(&client, "\1\2\3\4\5", 5));
    assert_int_equal(recv(peer, seen, sizeof seen, MSG_WAITALL), 5);
    assert_memory_equal(seen, "\1\2\3\4\5", 5);
}

/* ---- children ---- */

static void run_gives_both_outputs_and_the_exit_code(void **state)
{
    const char *const argv[] = {"/bin/sh", "-c", "cat; echo to-err >&2; exit 7", NULL};
    struct sys_output output;

    (void)state;
    assert_true(sys_run(argv, "to-out\n", &output));
    assert_int_equal(output.exit_code, 7);
    assert_string_equal(output.out, "to-out\n");
    assert_string_equal(output.err, "to-err\n");
    sys_output_release(&output);
}

static void a_program_that_is_missing_is_no_success(void **state)
{
    const char *const argv[] = {"/nonexistent/program", NULL};
    struct sys_output output;

    (void)state;
    assert_true(sys_run(argv, NULL, &output));
    assert_int_equal(output.exit_code, 127);
    sys_output_release(&output);
}

static void a_killed_child_shows_its_signal(void **state)
{
    const char *const argv[] = {"/bin/sleep", "60", NULL};
    pid_t child = sys_spawn(argv, NULL, "/dev/null");
    int exit_code = 0;

    (void)state;
    assert_true(child > 0);
    assert_false(sys_wait(child, MOMENT_MS, &exit_code));
    kill(child, SIGKILL);
    assert_true(sys_wait(child, SOON_MS, &exit_code));
    assert_int_equal(exit_code, 128 + SIGKILL);
}

/* coreutils' sync -d calls fdatasync: it stands in for the gateway here. */
static void a_stalled_disk_returns_no_sync(void **state)
{
    char *dir = sys_tree_create(), *stall = sys_text("%s/stall", dir);
    char *preload = sys_text("LD_PRELOAD=%s", SLOW_DISK);
    char *variable = sys_text("SLOW_DISK_STALL=%s", stall);
    const char *const argv[] = {"/bin/sync", "-d", dir, NULL};
    const char *const env[] = {preload, variable, NULL};
    int exit_code = -1;
    pid_t child;

    (void)state;
    assert_true(sys_file_write(stall, ""));
    child = sys_spawn(argv, env, "/dev/null");
    assert_false(sys_wait(child, 300, &exit_code));
    assert_int_equal(unlink(stall), 0);
    assert_true(sys_wait(child, sys_ms(SOON_MS), &exit_code));
    assert_int_equal(exit_code, 0);
    sys_tree_remove(dir);
    assert_int_not_equal(access(dir, F_OK), 0);
    free(dir);
    free(stall);
    free(preload);
    free(variable);
}

/* This program itself, told to say how long it would wait for 3 ms. */
static void patience_is_stretched_by_the_environment(void **state)
{
    static const struct {
        const char *variable;
        uint32_t factor;
    } cases[] = {{"10", 10}, {"1", 1}, {"100", 100}, {"0", 1}, {"-2", 1}, {"101", 1}, {"much", 1}};
    const char *const argv[] = {"/proc/self/exe", PATIENCE, NULL};
    const char *before = getenv("TOLLGATE_TEST_SLOW");
    char *kept = before != NULL ? strdup(before) : NULL;
    struct sys_output output;
    uint32_t unstretched;

    (void)state;
    unsetenv("TOLLGATE_TEST_SLOW");
    assert_true(sys_run(argv, NULL, &output));
    unstretched = (uint32_t)strtoul(output.out, NULL, 10);
    assert_in_range(unstretched, 3, 18); /* a sanitizer has its own factor */
    sys_output_release(&output);
    for (size_t i = 0; i < GW_ARRAY_COUNT(cases); i++) {
        setenv("TOLLGATE_TEST_SLOW", cases[i].variable, 1);
        assert_true(sys_run(argv, NULL, &output));
        assert_int_equal(strtoul(output.out, NULL, 10), unstretched * cases[i].factor);
        sys_output_release(&output);
    }
    unsetenv("TOLLGATE_TEST_SLOW");
    if (kept != NULL)
        setenv("TOLLGATE_TEST_SLOW", kept, 1);
    free(kept);
}

#define ON_A_CONNECTION(test) cmocka_unit_test_setup_teardown(test, connect_both, disconnect_both)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        ON_A_CONNECTION(expect_takes_exactly_its_bytes),
        ON_A_CONNECTION(expect_waits_for_bytes_in_pieces),
        ON_A_CONNECTION(expect_refuses_other_bytes_at_once),
        ON_A_CONNECTION(expect_refuses_an_early_end),
        ON_A_CONNECTION(end_is_no_end_while_open),
        ON_A_CONNECTION(end_is_no_end_when_something_came_before),
        ON_A_CONNECTION(end_is_a_hang_up_or_a_reset),
        ON_A_CONNECTION(silence_is_broken_by_a_byte_and_by_an_end),
        ON_A_CONNECTION(a_ping_answered_late_by_something_else_is_no_answer),
        ON_A_CONNECTION(frames_are_read_one_by_one),
        ON_A_CONNECTION(a_dribble_is_every_byte_in_order),
        cmocka_unit_test(run_gives_both_outputs_and_the_exit_code),
        cmocka_unit_test(a_program_that_is_missing_is_no_success),
        cmocka_unit_test(a_killed_child_shows_its_signal),
        cmocka_unit_test(a_stalled_disk_returns_no_sync),
        cmocka_unit_test(patience_is_stretched_by_the_environment),
    };

    if (argc == 2 && strcmp(argv[1], PATIENCE) == 0) {
        printf("%u\n", sys_ms(3));
        return 0;
    }
    return cmocka_run_group_tests_name("harness", tests, NULL, NULL);
}
