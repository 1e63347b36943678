/*
 * The control socket over a real unix socket, with the clock in the test's hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gw/app/control.h>

enum { HELD_MAX = 1024, TWICE_PENDING = 2 * GW_CONTROL_PENDING_MAX };

static struct gw_control *control;
static struct gw_instant now = {.ns = 1000 * GW_NS_PER_S};
static char folder[] = "/tmp/control_test.XXXXXX";
static char path[64];
static char why[GW_CONTROL_WHY_BYTES];
static struct gw_control_client held[HELD_MAX]; /* whose lines were not answered at once */
static size_t held_count, line_count;
static size_t answer_bytes; /* of an answer given at once; 0: it is held */

static void on_line(void *context, struct gw_control_client from, struct gw_bytes line)
{
    static char text[GW_CONTROL_LINE_BYTES_MAX];

    assert_ptr_equal(context, path);
    line_count++;
    if (answer_bytes > 0) {
        memset(text, 'a', answer_bytes);
        gw_control_answer(control, now, from, gw_bytes_of(text, answer_bytes));
    } else if (gw_bytes_are(line, "hold")) {
        assert_true(held_count < HELD_MAX);
        held[held_count++] = from;
    } else {
        gw_control_answer(control, now, from, line);
    }
}

static int create(struct gw_control **out)
{
    const struct gw_control_options options = {
        .path = path, .line = on_line, .context = path, .too_long = "too long"};

    return gw_control_create(&options, out, why);
}

static int start(void **state)
{
    (void)state;
    held_count = line_count = answer_bytes = 0;
    return create(&control);
}

static int stop(void **state)
{
    (void)state;
    gw_control_destroy(control);
    return access(path, F_OK) == 0; /* its file went with it */
}

static void turn(void)
{
    struct pollfd fds[GW_CONTROL_FDS_MAX];

    for (int i = 0; i < 8; i++) { /* until all that one thing leads to is done */
        size_t count = gw_control_fds(control, now, fds);

        (void)poll(fds, (nfds_t)count, 0);
        gw_control_step(control, now, fds, count);
    }
}

static int connect_to(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    turn();
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    turn();
}

static void expect(int fd, const char *text)
{
    char in[256] = "";
    ssize_t n;

    turn();
    n = recv(fd, in, sizeof in - 1, MSG_DONTWAIT);
    assert_string_equal(n < 0 ? "" : in, text);
}

static bool has_hung_up(int fd)
{
    char in[4096];
    ssize_t n;

    turn();
    while ((n = recv(fd, in, sizeof in, MSG_DONTWAIT)) > 0)
        continue;
    return n == 0 || errno != EAGAIN;
}

static void lines_are_answered_however_they_are_cut(void **state)
{
    int fd = connect_to();

    (void)state;
    say(fd, "on");
    expect(fd, "");
    say(fd, "e\ntwo\n\nthr"); /* an empty line is none */
    expect(fd, "one\ntwo\n");
    say(fd, "ee\n");
    expect(fd, "three\n");
    assert_int_equal(line_count, 3);
    say(fd, "four\nhalf");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect(fd, "four\n");
    assert_true(has_hung_up(fd));
    assert_int_equal(line_count, 4); /* half a line is none either */
    (void)close(fd);
}

static void an_answer_comes_late_or_to_nobody(void **state)
{
    int fd = connect_to(), other = connect_to();

    (void)state;
    say(fd, "hold\n");
    say(other, "hold\nthere\n");
    expect(other, "there\n");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_false(has_hung_up(fd)); /* it is owed one */
    (void)close(other);
    turn();
    int next = connect_to(); /* perhaps in the place of the one that left */

    for (size_t i = 0; i < held_count; i++)
        gw_control_answer(control, now, held[i], gw_bytes_text("late"));
    expect(fd, "late\n");
    assert_true(has_hung_up(fd));
    expect(next, "");
    (void)close(next);
    (void)close(fd);
}

static void a_client_has_so_many_commands_pending(void **state)
{
    static char many[TWICE_PENDING * 5 + 1];
    int fd = connect_to();

    (void)state;
    for (size_t i = 0; i < TWICE_PENDING; i++)
        (void)snprintf(many + i * 5, sizeof many - i * 5, "hold\n");
    say(fd, many);
    assert_int_equal(held_count, GW_CONTROL_PENDING_MAX);
    gw_control_answer(control, now, held[0], gw_bytes_text("x"));
    expect(fd, "x\n");
    assert_int_equal(held_count, GW_CONTROL_PENDING_MAX + 1);
    for (size_t i = 1; i < TWICE_PENDING; i++) {
        turn();
        gw_control_answer(control, now, held[i], gw_bytes_text("x"));
    }
    turn();
    assert_int_equal(held_count, TWICE_PENDING);
    (void)close(fd);
}

static void a_line_without_an_end_is_the_last(void **state)
{
    static char much[GW_CONTROL_LINE_BYTES_MAX];
    int fd = connect_to();

    (void)state;
    memset(much, 'x', sizeof much);
    much[sizeof much - 1] = '\n'; /* just short enough */
    answer_bytes = 1;
    assert_int_equal(send(fd, much, sizeof much, MSG_NOSIGNAL), sizeof much);
    expect(fd, "a\n");
    much[sizeof much - 1] = 'x';
    assert_int_equal(send(fd, much, sizeof much, MSG_NOSIGNAL), sizeof much);
    expect(fd, "too long\n");
    assert_true(has_hung_up(fd));
    (void)close(fd);
}

static void one_that_reads_nothing_is_not_read_and_then_closed(void **state)
{
    int fd = connect_to(), other = connect_to();
    size_t before;
    unsigned said = 0;

    (void)state;
    say(fd, "hold\n");
    answer_bytes = 8000;
    do {
        before = line_count;
        for (int i = 0; i < 64 && send(fd, "more\n", 5, MSG_NOSIGNAL | MSG_DONTWAIT) == 5; i++)
            said++;
        turn();
    } while (line_count > before);
    assert_true(line_count < said);
    answer_bytes = 0;
    say(other, "me\n");
    expect(other, "me\n");
    now = gw_instant_after(now, GW_CONTROL_SLOW_NS - 1);
    turn();
    assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), 1);
    now = gw_instant_after(now, 1);
    assert_true(has_hung_up(fd));
    say(other, "still\n"); /* idle is not slow */
    expect(other, "still\n");
    int next = connect_to(); /* in its place, and owed nothing */

    assert_int_equal(held_count, 1);
    gw_control_answer(control, now, held[0], gw_bytes_text("late"));
    expect(next, "");
    (void)close(next);
    (void)close(other);
    (void)close(fd);
}

static void one_more_takes_the_place_of_the_longest_idle(void **state)
{
    int fds[GW_CONTROL_CLIENTS_MAX + 1];

    (void)state;
    for (size_t i = 0; i < GW_CONTROL_CLIENTS_MAX; i++) {
        now = gw_instant_after(now, 1);
        fds[i] = connect_to();
    }
    now = gw_instant_after(now, 1);
    say(fds[0], "hold\n"); /* not idle */
    say(fds[1], "x\n");    /* not for long */
    fds[GW_CONTROL_CLIENTS_MAX] = connect_to();
    say(fds[GW_CONTROL_CLIENTS_MAX], "new\n");
    expect(fds[GW_CONTROL_CLIENTS_MAX], "new\n");
    for (size_t i = 0; i < GW_CONTROL_CLIENTS_MAX; i++)
        assert_int_equal(has_hung_up(fds[i]), i == 2);
    for (size_t i = 0; i <= GW_CONTROL_CLIENTS_MAX; i++)
        (void)close(fds[i]);
}

static void the_file_is_the_groups_and_only_an_abandoned_one_is_replaced(void **state)
{
    struct gw_control *second = NULL;
    struct stat file;
    char other[80];
    FILE *precious;

    (void)state;
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0660);
    assert_int_equal(create(&second), -EADDRINUSE);
    assert_null(second);
    assert_non_null(strstr(why, path));

    (void)snprintf(other, sizeof other, "%s.kept", path);
    assert_int_equal(link(path, other), 0); /* outlives its listener, as after a kill */
    gw_control_destroy(control);
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(create(&control), 0);
    gw_control_destroy(control);

    precious = fopen(path, "w");
    assert_non_null(precious);
    assert_int_equal(fclose(precious), 0);
    assert_int_equal(create(&second), -EADDRINUSE);
    assert_int_equal(unlink(path), 0); /* it was still there */
    assert_int_equal(create(&control), 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/control", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    static const struct CMUnitTest tests[] = {
        TEST(lines_are_answered_however_they_are_cut),
        TEST(an_answer_comes_late_or_to_nobody),
        TEST(a_client_has_so_many_commands_pending),
        TEST(a_line_without_an_end_is_the_last),
        TEST(one_that_reads_nothing_is_not_read_and_then_closed),
        TEST(one_more_takes_the_place_of_the_longest_idle),
        TEST(the_file_is_the_groups_and_only_an_abandoned_one_is_replaced),
    };
#undef TEST

    return cmocka_run_group_tests_name("app.control", tests, make_folder, remove_folder);
}
