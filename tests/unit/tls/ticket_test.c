/*
 * Who may come back without a full handshake: with which key, where, and until when. Time is ours:
 * the server's clock, BoringSSL's as well as the gateway's, is moved while the server works, and
 * the client's stays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <gw/base/clock.h>
#include <gw/tls/ticket.h>

#include "peer.h"

enum { SLACK_S = 60 };
#define HOUR_S INT64_C(3600)

static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* ---- the clock ---- */

static _Atomic int64_t server_ahead_s; /* how far the server's clock is ahead of the client's */
static _Atomic bool server_works;

static uint64_t true_us(void)
{
    struct timespec ts;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &ts), 0);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t shown_us(void)
{
    return true_us() + (server_works ? (uint64_t)server_ahead_s * 1000000 : 0);
}

/* The linker puts this in the place of gw_clock_wall_us (--wrap). */
uint64_t __wrap_gw_clock_wall_us(void);
uint64_t __wrap_gw_clock_wall_us(void)
{
    return shown_us();
}

/* What libssl calls: the program's own comes before the C library's. */
int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    const uint64_t us = shown_us();

    (void)zone;
    *out =
        (struct timeval){.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
    return 0;
}

static void on_server(bool begins)
{
    server_works = begins;
}

static uint64_t true_s(void)
{
    return true_us() / 1000000;
}

/* ---- rings, servers, clients ---- */

static struct gw_ticket_keys *keys_of(const struct gw_ticket_ring *ring)
{
    struct gw_ticket_keys *keys = NULL;

    assert_int_equal(gw_ticket_keys_create(ring, &keys), 0);
    return keys;
}

static struct gw_tls_context *server_with(struct gw_ticket_keys *keys)
{
    struct gw_tls_options options = server_options(LEAF_BOTH, GW_TLS_MODERN);
    struct gw_tls_context *context = NULL;
    char why[256] = "";

    options.session_tickets = 1;
    options.ticket_keys = keys;
    if (gw_tls_context_create(&options, &context, why, sizeof why) != 0)
        fail_msg("%s", why);
    return context;
}

static SSL_SESSION *got_session; /* the newest that a client was given */

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(got_session);
    got_session = session;
    return 1;
}

static SSL_CTX *client_of(uint16_t version)
{
    SSL_CTX *client = client_create(version, version);

    SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(client, keep_session);
    return client;
}

/* One connection; `session` may be NULL. True when it was resumed. *out: what it brought back. */
static bool connect_with(struct gw_tls_context *server, SSL_CTX *client, SSL_SESSION *session,
                         SSL_SESSION **out)
{
    struct gw_tls_facts facts;
    struct pair p;

    SSL_SESSION_free(got_session);
    got_session = NULL;
    pair_open(&p, server, client, 0);
    if (session != NULL)
        assert_true(SSL_set_session(p.peer, session));
    pair_pump(&p);
    assert_true(gw_tls_is_established(p.ours));
    gw_tls_facts(p.ours, &facts);
    assert_int_equal(SSL_session_reused(p.peer), facts.resumed);
    pair_peer_write(&p, "hello", 5);
    pair_pump(&p);
    assert_int_equal(p.got.size, 5);
    pair_close(&p);
    if (out != NULL) {
        *out = got_session;
        got_session = NULL;
    }
    return facts.resumed;
}

/* A session with a ticket, from a full handshake. */
static SSL_SESSION *first_session(struct gw_tls_context *server, SSL_CTX *client)
{
    SSL_SESSION *session = NULL;

    assert_false(connect_with(server, client, NULL, &session));
    assert_non_null(session);
    assert_true(SSL_SESSION_has_ticket(session));
    return session;
}

static void name_of(const SSL_SESSION *session, uint8_t out[GW_TICKET_NAME_BYTES])
{
    const uint8_t *ticket = NULL;
    size_t bytes = 0;

    SSL_SESSION_get0_ticket(session, &ticket, &bytes);
    assert_true(bytes > GW_TICKET_NAME_BYTES);
    memcpy(out, ticket, GW_TICKET_NAME_BYTES);
}

static void assert_sealed_with(const SSL_SESSION *session, const struct gw_ticket_key *key)
{
    uint8_t name[GW_TICKET_NAME_BYTES];

    name_of(session, name);
    assert_memory_equal(name, key->name, sizeof name);
}

/* ---- resumption ---- */

static void a_ticket_of_one_shard_is_good_at_another(void **state)
{
    struct gw_ticket_ring ring;

    (void)state;
    gw_ticket_ring_draw(&ring, true_s());
    for (size_t i = 0; i < GW_ARRAY_COUNT(versions); i++) {
        struct gw_ticket_keys *keys = keys_of(&ring);
        struct gw_tls_context *first = server_with(keys), *second = server_with(keys);
        SSL_CTX *client = client_of(versions[i]);
        SSL_SESSION *session = first_session(first, client);

        gw_ticket_keys_release(keys); /* the contexts hold them */
        assert_sealed_with(session, &ring.keys[GW_TICKET_CURRENT]);
        assert_true(connect_with(second, client, session, NULL));
        assert_true(connect_with(first, client, session, NULL));
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
        gw_tls_context_destroy(first);
        gw_tls_context_destroy(second);
    }
}

static void a_ticket_is_good_after_a_restart_with_the_same_file(void **state)
{
    char why[256] = "";

    (void)state;
    unlink(pki_path("ring"));
    assert_int_equal(gw_ticket_file_create(pki_path("ring"), true_s(), why, sizeof why), 0);
    for (size_t i = 0; i < GW_ARRAY_COUNT(versions); i++) {
        SSL_CTX *client = client_of(versions[i]);
        SSL_SESSION *session = NULL;

        for (unsigned life = 0; life < 2; life++) {
            struct gw_ticket_ring ring;
            struct gw_ticket_keys *keys;
            struct gw_tls_context *server;

            assert_int_equal(gw_ticket_file_load(pki_path("ring"), &ring, why, sizeof why), 0);
            keys = keys_of(&ring);
            server = server_with(keys);
            if (life == 0)
                session = first_session(server, client);
            else
                assert_true(connect_with(server, client, session, NULL));
            gw_tls_context_destroy(server);
            gw_ticket_keys_release(keys);
        }
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
    }
    unlink(pki_path("ring"));
}

static void another_ring_means_a_full_handshake(void **state)
{
    struct gw_ticket_ring ours, theirs;

    (void)state;
    gw_ticket_ring_draw(&ours, true_s());
    gw_ticket_ring_draw(&theirs, true_s());
    for (size_t i = 0; i < GW_ARRAY_COUNT(versions); i++) {
        struct gw_ticket_keys *our_keys = keys_of(&ours), *their_keys = keys_of(&theirs);
        struct gw_tls_context *first = server_with(our_keys), *second = server_with(their_keys);
        struct gw_tls_context *third = server_with(NULL); /* a key of its own */
        SSL_CTX *client = client_of(versions[i]);
        SSL_SESSION *session = first_session(first, client);

        assert_false(connect_with(second, client, session, NULL));
        assert_false(connect_with(third, client, session, NULL));
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
        gw_tls_context_destroy(first);
        gw_tls_context_destroy(second);
        gw_tls_context_destroy(third);
        gw_ticket_keys_release(our_keys);
        gw_ticket_keys_release(their_keys);
    }
}

/* The name is right, the secret is not: nothing is opened, nobody fails. */
static void the_right_name_with_the_wrong_secret_is_a_full_handshake(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(versions); i++) {
        for (unsigned part = 0; part < 2; part++) {
            struct gw_ticket_ring ring;
            struct gw_ticket_keys *keys;
            struct gw_tls_context *server;
            SSL_CTX *client = client_of(versions[i]);
            SSL_SESSION *session;

            gw_ticket_ring_draw(&ring, true_s());
            keys = keys_of(&ring);
            server = server_with(keys);
            session = first_session(server, client);
            *(part == 0 ? ring.keys[GW_TICKET_CURRENT].mac : ring.keys[GW_TICKET_CURRENT].cipher) ^=
                1;
            gw_ticket_keys_set(keys, &ring);
            assert_false(connect_with(server, client, session, NULL));
            SSL_SESSION_free(session);
            SSL_CTX_free(client);
            gw_tls_context_destroy(server);
            gw_ticket_keys_release(keys);
        }
    }
}

/*
 * Of a fleet that is being given a rotated file, the one gateway has it and the other does not yet:
 * each opens what the other seals, and what it seals anew is sealed with its own current key.
 */
static void the_neighbours_of_the_current_key_open_and_renew(void **state)
{
    struct gw_ticket_ring before, after;

    (void)state;
    gw_ticket_ring_draw(&before, true_s() - (uint64_t)HOUR_S);
    after = before;
    gw_ticket_ring_rotate(&after, true_s());
    for (size_t i = 0; i < GW_ARRAY_COUNT(versions); i++) {
        const struct {
            const struct gw_ticket_ring *sealer, *opener;
            bool is_renewed_in_12;
        } cases[] = {
            {&before, &before, false},
            {&before, &after, true}, /* previous */
            {&after, &before, true}, /* next     */
        };

        for (size_t c = 0; c < GW_ARRAY_COUNT(cases); c++) {
            struct gw_ticket_keys *sealing = keys_of(cases[c].sealer);
            struct gw_ticket_keys *opening = keys_of(cases[c].opener);
            struct gw_tls_context *first = server_with(sealing), *second = server_with(opening);
            SSL_CTX *client = client_of(versions[i]);
            SSL_SESSION *session = first_session(first, client), *anew = NULL;

            assert_true(connect_with(second, client, session, &anew));
            /* In TLS 1.3 each handshake brings a ticket. */
            assert_int_equal(anew != NULL,
                             versions[i] == TLS1_3_VERSION || cases[c].is_renewed_in_12);
            if (anew != NULL) {
                assert_sealed_with(anew, &cases[c].opener->keys[GW_TICKET_CURRENT]);
                assert_true(connect_with(second, client, anew, NULL));
            }
            SSL_SESSION_free(anew);
            SSL_SESSION_free(session);
            SSL_CTX_free(client);
            gw_tls_context_destroy(first);
            gw_tls_context_destroy(second);
            gw_ticket_keys_release(sealing);
            gw_ticket_keys_release(opening);
        }
    }
}

/* Contexts that have sessions see a ring that is set, at once, and the third key back is gone. */
static void a_key_is_forgotten_after_two_rotations(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(versions); i++) {
        struct gw_ticket_ring ring;
        struct gw_ticket_keys *keys;
        struct gw_tls_context *server;
        SSL_CTX *client = client_of(versions[i]);
        SSL_SESSION *session;

        gw_ticket_ring_draw(&ring, true_s());
        keys = keys_of(&ring);
        server = server_with(keys);
        session = first_session(server, client);
        for (unsigned rotations = 1; rotations <= 2; rotations++) {
            gw_ticket_ring_rotate(&ring, true_s());
            gw_ticket_keys_set(keys, &ring);
            assert_int_equal(connect_with(server, client, session, NULL), rotations < 2);
        }
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
        gw_tls_context_destroy(server);
        gw_ticket_keys_release(keys);
    }
}

static void a_ticket_is_good_for_a_day_and_no_longer(void **state)
{
    static const struct {
        int64_t ahead_s;
        bool resumes;
    } cases[] = {
        {0, true},
        {12 * HOUR_S, true},
        {GW_TICKET_AGE_S_MAX - SLACK_S, true},
        {GW_TICKET_AGE_S_MAX + SLACK_S, false},
        {48 * HOUR_S, false},
    };
    struct gw_ticket_ring ring;

    (void)state;
    gw_ticket_ring_draw(&ring, true_s()); /* never rotated: the ticket's own age decides */
    for (size_t i = 0; i < GW_ARRAY_COUNT(versions); i++) {
        struct gw_ticket_keys *keys = keys_of(&ring);
        struct gw_tls_context *server = server_with(keys);
        SSL_CTX *client = client_of(versions[i]);
        SSL_SESSION *session = first_session(server, client);

        /*
         * The client is told: TLS 1.2 gives it as a hint, TLS 1.3 as a bound that it keeps. Less
         * the second that may have begun since the handshake did.
         */
        assert_in_range(versions[i] == TLS1_2_VERSION
                            ? SSL_SESSION_get_ticket_lifetime_hint(session)
                            : SSL_SESSION_get_timeout(session),
                        GW_TICKET_AGE_S_MAX - SLACK_S, GW_TICKET_AGE_S_MAX);
        for (size_t c = 0; c < GW_ARRAY_COUNT(cases); c++) {
            server_ahead_s = cases[c].ahead_s;
            assert_int_equal(connect_with(server, client, session, NULL), cases[c].resumes);
        }
        server_ahead_s = 0;
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
        gw_tls_context_destroy(server);
        gw_ticket_keys_release(keys);
    }
}

/* Renewal must not carry a TLS 1.2 master secret over from day to day. */
static void a_renewed_ticket_of_12_is_no_younger_than_its_session(void **state)
{
    struct gw_ticket_ring ring;
    struct gw_ticket_keys *keys;
    struct gw_tls_context *server;
    SSL_CTX *client = client_of(TLS1_2_VERSION);
    SSL_SESSION *session, *renewed = NULL;

    (void)state;
    gw_ticket_ring_draw(&ring, true_s());
    keys = keys_of(&ring);
    server = server_with(keys);
    session = first_session(server, client);
    server_ahead_s = 20 * HOUR_S;
    gw_ticket_ring_rotate(&ring, true_s() + (uint64_t)server_ahead_s);
    gw_ticket_keys_set(keys, &ring);
    assert_true(connect_with(server, client, session, &renewed));
    assert_non_null(renewed);
    server_ahead_s = 23 * HOUR_S;
    assert_true(connect_with(server, client, renewed, NULL));
    server_ahead_s = 25 * HOUR_S;
    assert_false(connect_with(server, client, renewed, NULL));
    server_ahead_s = 0;
    SSL_SESSION_free(renewed);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    gw_tls_context_destroy(server);
    gw_ticket_keys_release(keys);
}

/* Each resumption of TLS 1.3 brings a ticket that is good for a day, and a week ends the chain. */
static void a_device_that_always_resumes_signs_in_anew_after_a_week(void **state)
{
    struct gw_ticket_ring ring;
    struct gw_ticket_keys *keys;
    struct gw_tls_context *server;
    SSL_CTX *client = client_of(TLS1_3_VERSION);
    SSL_SESSION *session;

    (void)state;
    gw_ticket_ring_draw(&ring, true_s());
    keys = keys_of(&ring);
    server = server_with(keys);
    session = first_session(server, client);
    for (int64_t hours = 20; hours <= 180; hours += 20) {
        SSL_SESSION *next = NULL;

        server_ahead_s = hours * HOUR_S;
        assert_int_equal(connect_with(server, client, session, &next), hours < INT64_C(7) * 24);
        assert_non_null(next);
        SSL_SESSION_free(session);
        session = next;
    }
    server_ahead_s = 0;
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    gw_tls_context_destroy(server);
    gw_ticket_keys_release(keys);
}

/* Even if a ticket said that it is young, which a stolen key could make it say. */
static void the_previous_key_opens_nothing_once_its_last_ticket_is_old(void **state)
{
    static const struct {
        uint64_t current_for_s;
        bool resumes;
    } cases[] = {{GW_TICKET_AGE_S_MAX - SLACK_S, true}, {GW_TICKET_AGE_S_MAX + SLACK_S, false}};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(versions); i++) {
        for (size_t c = 0; c < GW_ARRAY_COUNT(cases); c++) {
            struct gw_ticket_ring ring;
            struct gw_ticket_keys *keys;
            struct gw_tls_context *server;
            SSL_CTX *client = client_of(versions[i]);
            SSL_SESSION *session;

            gw_ticket_ring_draw(&ring, true_s() - (uint64_t)(40 * HOUR_S));
            keys = keys_of(&ring);
            server = server_with(keys);
            session = first_session(server, client); /* of this moment */
            gw_ticket_ring_rotate(&ring, true_s() - cases[c].current_for_s);
            gw_ticket_keys_set(keys, &ring);
            assert_int_equal(connect_with(server, client, session, NULL), cases[c].resumes);
            SSL_SESSION_free(session);
            SSL_CTX_free(client);
            gw_tls_context_destroy(server);
            gw_ticket_keys_release(keys);
        }
    }
}

/* ---- rings ---- */

static void a_ring_turns_when_it_is_due(void **state)
{
    struct gw_ticket_ring before, after;
    struct gw_ticket_keys *keys;

    (void)state;
    gw_ticket_ring_draw(&before, 1000000);
    assert_false(gw_ticket_ring_is_due(&before, 1000000));
    assert_false(gw_ticket_ring_is_due(&before, 1000000 + GW_TICKET_ROTATE_S - 1));
    assert_true(gw_ticket_ring_is_due(&before, 1000000 + GW_TICKET_ROTATE_S));
    assert_true(gw_ticket_ring_is_due(&before, 999999)); /* made by a clock that was wrong */

    after = before;
    gw_ticket_ring_rotate(&after, 1043200);
    assert_memory_equal(&after.keys[GW_TICKET_PREVIOUS], &before.keys[GW_TICKET_CURRENT],
                        sizeof after.keys[0]);
    assert_memory_equal(after.keys[GW_TICKET_CURRENT].name, before.keys[GW_TICKET_NEXT].name,
                        GW_TICKET_NAME_BYTES);
    assert_int_equal(after.keys[GW_TICKET_CURRENT].since_s, 1043200);
    assert_int_equal(after.keys[GW_TICKET_NEXT].since_s, 0);
    for (size_t place = 0; place < GW_TICKET_PLACES; place++)
        assert_memory_not_equal(after.keys[GW_TICKET_NEXT].cipher, before.keys[place].cipher, 32);

    keys = keys_of(&before);
    assert_false(gw_ticket_keys_rotate_if_due(keys, 1000000 + GW_TICKET_ROTATE_S - 1));
    assert_int_equal(gw_ticket_keys_since_s(keys), 1000000);
    assert_true(gw_ticket_keys_rotate_if_due(keys, 1000000 + GW_TICKET_ROTATE_S));
    assert_int_equal(gw_ticket_keys_since_s(keys), 1000000 + GW_TICKET_ROTATE_S);
    assert_false(gw_ticket_keys_rotate_if_due(keys, 1000000 + GW_TICKET_ROTATE_S));
    gw_ticket_keys_release(keys);
}

struct turner {
    struct gw_ticket_keys *keys;
    _Atomic bool stop;
    uint64_t at_s;
};

static void *turn(void *argument)
{
    struct turner *turner = argument;

    for (; !turner->stop; turner->at_s += GW_TICKET_ROTATE_S)
        (void)gw_ticket_keys_rotate_if_due(turner->keys, turner->at_s);
    return NULL;
}

/* No handshake fails while the ring turns under it, resumed or not; under TSan this says more. */
static void rings_turn_while_shards_work(void **state)
{
    struct gw_ticket_ring ring;
    struct turner turner = {.at_s = true_s()};
    struct gw_tls_context *server;
    SSL_CTX *client = client_of(TLS1_3_VERSION);
    SSL_SESSION *session;
    pthread_t thread;

    (void)state;
    gw_ticket_ring_draw(&ring, turner.at_s);
    turner.keys = keys_of(&ring);
    server = server_with(turner.keys);
    assert_int_equal(pthread_create(&thread, NULL, turn, &turner), 0);
    session = first_session(server, client);
    for (unsigned i = 0; i < 50; i++) {
        SSL_SESSION *next = NULL;

        (void)connect_with(server, client, session, &next);
        assert_non_null(next);
        SSL_SESSION_free(session);
        session = next;
    }
    turner.stop = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    gw_tls_context_destroy(server);
    gw_ticket_keys_release(turner.keys);
}

static int setup(void **state)
{
    pair_hook = on_server;
    return pki_create(state);
}

static int teardown(void **state)
{
    SSL_SESSION_free(got_session);
    return pki_remove(state);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_of_one_shard_is_good_at_another),
        cmocka_unit_test(a_ticket_is_good_after_a_restart_with_the_same_file),
        cmocka_unit_test(another_ring_means_a_full_handshake),
        cmocka_unit_test(the_right_name_with_the_wrong_secret_is_a_full_handshake),
        cmocka_unit_test(the_neighbours_of_the_current_key_open_and_renew),
        cmocka_unit_test(a_key_is_forgotten_after_two_rotations),
        cmocka_unit_test(a_ticket_is_good_for_a_day_and_no_longer),
        cmocka_unit_test(a_renewed_ticket_of_12_is_no_younger_than_its_session),
        cmocka_unit_test(a_device_that_always_resumes_signs_in_anew_after_a_week),
        cmocka_unit_test(the_previous_key_opens_nothing_once_its_last_ticket_is_old),
        cmocka_unit_test(a_ring_turns_when_it_is_due),
        cmocka_unit_test(rings_turn_while_shards_work),
    };

    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, setup, teardown);
}
