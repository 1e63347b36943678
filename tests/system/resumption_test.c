/*
 * Whether a device that comes back is known again: at any shard, after a reload, after a rotation,
 * after a restart; and that it is not where it must not be.
 *
 * The kernel spreads connections over the shards, so with keys of their own two shards would resume
 * about every second one; 95 of 100 are only seen when they share them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

enum { SHARDS = 2, DEVICES = 8, ROUNDS = 5, CONNECTS = DEVICES * ROUNDS };

static struct sys_gateway gateway;
static struct sys_device devices[DEVICES];
static char *keys_path;

/* ---- one device's memory of its sessions ---- */

static SSL_SESSION *sessions[DEVICES];
static SSL_SESSION *given; /* the newest of the connection under way */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(given);
    given = session;
    return 1;
}

static void forget_sessions(void)
{
    for (size_t i = 0; i < DEVICES; i++) {
        SSL_SESSION_free(sessions[i]);
        sessions[i] = NULL;
    }
}

/* Connects as device `i` with what it remembers, logs in, hangs up. True when it was resumed. */
static bool come_back(size_t i, enum sys_transport transport)
{
    struct sys_client_options options = sys_client_options(&gateway, transport);
    struct sys_client c;
    bool resumed;

    options.session = sessions[i];
    sys_must(&gateway, &c, sys_client_open(&c, &options));
    resumed = SSL_session_reused(c.ssl) == 1;
    sys_must(&gateway, &c, sys_client_login(&c, devices[i].token, GW_RESPONSE_OK));
    sys_must(&gateway, &c, sys_client_ping(&c, 2));
    sys_client_close(&c);
    if (given != NULL) {
        SSL_SESSION_free(sessions[i]);
        sessions[i] = given;
        given = NULL;
    }
    return resumed;
}

static unsigned come_back_all(enum sys_transport transport)
{
    unsigned resumed = 0;

    for (unsigned n = 0; n < CONNECTS; n++)
        resumed += come_back(n % DEVICES, transport);
    return resumed;
}

static void expect_resumption(enum sys_transport transport, const char *when)
{
    const unsigned resumed = come_back_all(transport);

    sys_check(&gateway, resumed * 100 >= CONNECTS * 95, "%s, %s: %u of %d were resumed", when,
              sys_transport_text(transport), resumed, CONNECTS);
}

/* Everyone's first connection, or the first after their keys are gone. */
static void expect_full_handshakes(enum sys_transport transport, const char *when)
{
    for (size_t i = 0; i < DEVICES; i++)
        sys_check(&gateway, !come_back(i, transport), "%s, %s: device %zu was resumed", when,
                  sys_transport_text(transport), i);
    for (size_t i = 0; i < DEVICES; i++)
        assert_true(SSL_SESSION_has_ticket(sessions[i]));
}

/* ---- what the gateway is put through ---- */

/* SIGHUP, the nth (from 0) of this start; returns when everything was read. */
static void reload(unsigned nth)
{
    assert_int_equal(kill(gateway.pid, SIGHUP), 0);
    for (unsigned at = 0;; at++) { /* certificates come last */
        char *what = sys_gateway_log_wait(&gateway, "reloaded", at, "what");
        const bool is_last = strcmp(what, "certificates") == 0;

        free(what);
        if (is_last && nth-- == 0)
            return;
    }
}

static void tickets_are_good_at_every_shard_and_after_all_that_happens(void **state)
{
    static const enum sys_transport transports[] = {SYS_TLS12, SYS_TLS13};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(transports); i++) {
        const enum sys_transport transport = transports[i];
        sys_gateway_start(&gateway);
        expect_full_handshakes(transport, "at first");
        assert_true(sys_metric(&gateway, "tollgate_handshakes_resumed_total") == 0);
        expect_resumption(transport, "over shards");
        assert_true(sys_metric(&gateway, "tollgate_handshakes_resumed_total") >= CONNECTS * 0.95);

        reload(0);
        expect_resumption(transport, "after SIGHUP");

        free(sys_ctl(&gateway, NULL, "ticket-keys", "rotate", keys_path, "--now", NULL));
        expect_resumption(transport, "rotated, not yet reloaded");
        reload(1);
        expect_resumption(transport, "rotated and reloaded");

        sys_gateway_stop(&gateway);
        sys_gateway_start(&gateway);
        expect_resumption(transport, "after a restart");

        assert_int_equal(unlink(keys_path), 0);
        free(sys_ctl(&gateway, NULL, "ticket-keys", "init", keys_path, NULL));
        reload(0);
        expect_full_handshakes(transport, "with other keys");
        sys_gateway_stop(&gateway);
        forget_sessions();
    }
}

/* A reload takes the whole of a file or nothing of it; the certificates are another matter. */
static void a_bad_file_leaves_the_keys_in_use(void **state)
{
    char *error;

    (void)state;
    sys_gateway_start(&gateway);
    expect_full_handshakes(SYS_TLS13, "at first");
    assert_int_equal(chmod(keys_path, 0644), 0);
    reload(0);
    error = sys_gateway_log_wait(&gateway, "reload_refused", 0, "error");
    sys_check(&gateway, strstr(error, "mode 0644") != NULL, "error: %s", error);
    free(error);
    expect_resumption(SYS_TLS13, "with a bad file");
    sys_gateway_stop(&gateway);

    sys_gateway_launch(&gateway); /* and a start is refused */
    int exit_code = -1;

    sys_check(&gateway, sys_wait(gateway.pid, sys_ms(5000), &exit_code) && exit_code == 78,
              "exit code %d", exit_code);
    gateway.pid = 0;
    sys_check(&gateway, sys_gateway_log_has(&gateway, "chmod 600"), "the log does not say why");
    assert_int_equal(chmod(keys_path, 0600), 0);
    forget_sessions();
}

static void without_a_file_tickets_end_with_the_process(void **state)
{
    static const enum sys_transport transports[] = {SYS_TLS12, SYS_TLS13};

    (void)state;
    gateway.options.tls = NULL;
    sys_gateway_configure(&gateway, NULL);
    for (size_t i = 0; i < GW_ARRAY_COUNT(transports); i++) {
        sys_gateway_start(&gateway);
        expect_full_handshakes(transports[i], "at first");
        expect_resumption(transports[i], "over shards");
        reload(0);
        expect_resumption(transports[i], "after SIGHUP");
        sys_gateway_stop(&gateway);
        sys_gateway_start(&gateway);
        expect_full_handshakes(transports[i], "after a restart");
        sys_gateway_stop(&gateway);
        forget_sessions();
    }
}

static const struct sys_gateway_options options = {.shards = SHARDS,
                                                   .tls = "ticket_keys = \"ticket-keys\";"};

/* A test that failed leaves nothing behind for the next. */
static int clear(void **state)
{
    (void)state;
    if (gateway.pid != 0)
        sys_gateway_kill(&gateway);
    forget_sessions();
    return 0;
}

static int begin(void **state)
{
    (void)state;
    sys_gateway_create(&gateway, &options);
    keys_path = sys_text("%s/ticket-keys", gateway.dir);
    free(sys_ctl(&gateway, NULL, "ticket-keys", "init", keys_path, NULL));
    sys_devices_add(&gateway, SYS_PRODUCT, devices, DEVICES);
    SSL_CTX_set_session_cache_mode(gateway.tls, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(gateway.tls, on_session);
    return 0;
}

static int end(void **state)
{
    (void)state;
    forget_sessions();
    SSL_SESSION_free(given);
    sys_gateway_destroy(&gateway);
    free(keys_path);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(tickets_are_good_at_every_shard_and_after_all_that_happens,
                                  clear),
        cmocka_unit_test_teardown(a_bad_file_leaves_the_keys_in_use, clear),
        cmocka_unit_test_teardown(without_a_file_tickets_end_with_the_process, clear),
    };

    return cmocka_run_group_tests_name("resumption", tests, begin, end);
}
