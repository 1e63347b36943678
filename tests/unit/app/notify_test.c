/*
 * What systemd hears from us, over a socket of our own in its place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gw/app/notify.h>
#include <gw/base/clock.h>

static char folder[] = "/tmp/gw_notify_test.XXXXXX";
static int listener = -1;

/* A path, or an abstract name when it begins with '@'; $NOTIFY_SOCKET says where. */
static void listen_at(const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    assert_true(strlen(name) < sizeof at.sun_path);
    memcpy(at.sun_path, name, strlen(name));
    if (name[0] == '@')
        at.sun_path[0] = '\0';
    listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&at,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
}

static int stop_listening(void **state)
{
    (void)state;
    if (listener >= 0)
        close(listener);
    listener = -1;
    unsetenv("NOTIFY_SOCKET");
    return 0;
}

static const char *heard(void)
{
    static char text[512];
    ssize_t n = recv(listener, text, sizeof text - 1, 0);

    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

static void assert_each_word_is_heard(void)
{
    uint64_t before = gw_clock_now().ns / GW_NS_PER_US, after;
    unsigned long long at;

    assert_int_equal(gw_notify_ready(), 1);
    assert_string_equal(heard(), "READY=1");
    assert_int_equal(gw_notify_stopping(), 1);
    assert_string_equal(heard(), "STOPPING=1");
    assert_int_equal(gw_notify_status("8000 sessions"), 1);
    assert_string_equal(heard(), "STATUS=8000 sessions");
    assert_int_equal(gw_notify_reloading(), 1);
    assert_int_equal(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%llu", &at), 1);
    after = gw_clock_now().ns / GW_NS_PER_US;
    assert_true(before <= at && at <= after);
}

static void a_socket_with_a_path_is_told(void **state)
{
    char path[64];

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/notify", folder);
    listen_at(path);
    assert_each_word_is_heard();
    unlink(path);
    rmdir(folder);
}

static void an_abstract_socket_is_told(void **state)
{
    char name[64];

    (void)state;
    snprintf(name, sizeof name, "@gw_notify_test.%d", (int)getpid());
    listen_at(name);
    assert_each_word_is_heard();
}

static void nobody_asking_is_no_error(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(gw_notify_ready(), 0);
    setenv("NOTIFY_SOCKET", "", 1);
    assert_int_equal(gw_notify_ready(), 0);
}

static void a_socket_that_cannot_be_told_is_an_error(void **state)
{
    char longest[256];

    (void)state;
    setenv("NOTIFY_SOCKET", "/no/such/socket", 1);
    assert_int_equal(gw_notify_ready(), -ENOENT);
    setenv("NOTIFY_SOCKET", "relative", 1);
    assert_int_equal(gw_notify_ready(), -EINVAL);
    memset(longest, '/', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    setenv("NOTIFY_SOCKET", longest, 1);
    assert_int_equal(gw_notify_ready(), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_socket_with_a_path_is_told, stop_listening),
        cmocka_unit_test_teardown(an_abstract_socket_is_told, stop_listening),
        cmocka_unit_test_teardown(nobody_asking_is_no_error, stop_listening),
        cmocka_unit_test_teardown(a_socket_that_cannot_be_told_is_an_error, stop_listening),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
