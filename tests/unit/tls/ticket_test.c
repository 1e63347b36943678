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

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <gw/base/clock.h>
#include <gw/tls/ticket.h>

#include "peer.h"

enum { HOUR_S = 3600, SLACK_S = 60 };

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
        assert_true(SSL_set_session(p.client, session));
    pair_pump(&p);
    assert_true(gw_tls_is_established(p.server));
    gw_tls_facts(p.server, &facts);
    assert_int_equal(SSL_session_reused(p.client), facts.resumed);
    pair_client_write(&p, "hello", 5);
    pair_pump(&p);
    assert_int_equal(p.server_got.size, 5);
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
    gw_ticket_ring_draw(&before, true_s() - HOUR_S);
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

        /* The client is told: TLS 1.2 gives it as a hint, TLS 1.3 as a bound that it keeps. */
        assert_int_equal(versions[i] == TLS1_2_VERSION
                             ? SSL_SESSION_get_ticket_lifetime_hint(session)
                             : SSL_SESSION_get_timeout(session),
                         GW_TICKET_AGE_S_MAX);
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

            gw_ticket_ring_draw(&ring, true_s() - UINT64_C(40) * HOUR_S);
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

/* ---- files ---- */

static char *file_text(const char *path)
{
    static char text[2 * GW_TICKET_FILE_BYTES_MAX];
    FILE *file = fopen(path, "re");
    size_t bytes;

    assert_non_null(file);
    bytes = fread(text, 1, sizeof text - 1, file);
    text[bytes] = '\0';
    assert_int_equal(fclose(file), 0);
    return text;
}

static void write_ring(const char *text, size_t bytes)
{
    FILE *file;

    unlink(pki_path("ring"));
    file = fopen(pki_path("ring"), "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(pki_path("ring"), 0600), 0);
}

static void assert_wiped(const struct gw_ticket_ring *ring)
{
    static const struct gw_ticket_ring nothing;

    assert_memory_equal(ring, &nothing, sizeof nothing);
}

static void assert_refused(int err, const char *words)
{
    struct gw_ticket_ring ring;
    char why[256] = "";

    memset(&ring, 0xa5, sizeof ring);
    assert_int_equal(gw_ticket_file_load(pki_path("ring"), &ring, why, sizeof why), err);
    if (strncmp(why, pki_path("ring"), strlen(pki_path("ring"))) != 0 || strstr(why, words) == NULL)
        fail_msg("'%s' has no '%s'", why, words);
    assert_wiped(&ring);
}

static void a_file_comes_back_as_it_was_written(void **state)
{
    struct gw_ticket_ring first, second;
    char why[256];
    struct stat status;
    bool rotated = false;

    (void)state;
    unlink(pki_path("ring"));
    assert_int_equal(gw_ticket_file_create(pki_path("ring"), 1000000, why, sizeof why), 0);
    assert_int_equal(stat(pki_path("ring"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(gw_ticket_file_load(pki_path("ring"), &first, why, sizeof why), 0);
    assert_int_equal(first.keys[GW_TICKET_CURRENT].since_s, 1000000);
    assert_int_equal(gw_ticket_file_create(pki_path("ring"), 2000000, why, sizeof why), -EEXIST);
    assert_int_equal(gw_ticket_file_load(pki_path("ring"), &second, why, sizeof why), 0);
    assert_memory_equal(&first, &second, sizeof first);

    assert_int_equal(chmod(pki_path("ring"), 0400), 0);
    assert_int_equal(
        gw_ticket_file_rotate(pki_path("ring"), 1000001, false, &rotated, &second, why, sizeof why),
        0);
    assert_false(rotated);
    assert_memory_equal(&first, &second, sizeof first);
    assert_int_equal(gw_ticket_file_rotate(pki_path("ring"), 1000000 + GW_TICKET_ROTATE_S, false,
                                           &rotated, &second, why, sizeof why),
                     0);
    assert_true(rotated);
    assert_memory_equal(&second.keys[GW_TICKET_PREVIOUS], &first.keys[GW_TICKET_CURRENT],
                        sizeof first.keys[0]);
    assert_int_equal(gw_ticket_file_load(pki_path("ring"), &first, why, sizeof why), 0);
    assert_memory_equal(&first, &second, sizeof first);
    assert_int_equal(stat(pki_path("ring"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0400); /* kept */
    assert_int_equal(
        gw_ticket_file_rotate(pki_path("ring"), 500, true, &rotated, &second, why, sizeof why), 0);
    assert_true(rotated); /* by a clock that was set back, and it still loads */
    assert_int_equal(gw_ticket_file_load(pki_path("ring"), &first, why, sizeof why), 0);
    assert_int_equal(access(pki_path("ring.new"), F_OK), -1);
}

static void a_file_that_others_may_touch_is_refused(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0444, 0620, 0700, 0610};
    char why[256];

    (void)state;
    unlink(pki_path("ring"));
    assert_int_equal(gw_ticket_file_create(pki_path("ring"), 1, why, sizeof why), 0);
    for (size_t i = 0; i < GW_ARRAY_COUNT(modes); i++) {
        struct gw_ticket_ring ring;
        bool rotated;

        assert_int_equal(chmod(pki_path("ring"), modes[i]), 0);
        assert_refused(-EPERM, "chmod 600");
        assert_int_equal(
            gw_ticket_file_rotate(pki_path("ring"), 1, true, &rotated, &ring, why, sizeof why),
            -EPERM);
        assert_false(rotated);
        assert_wiped(&ring);
    }
}

/* Every prefix, every byte altered: refused whole, or a ring with another key in it. */
static void a_damaged_file_is_refused_at_every_byte(void **state)
{
    char good[2 * GW_TICKET_FILE_BYTES_MAX], bad[sizeof good];
    char why[256];
    size_t bytes;

    (void)state;
    unlink(pki_path("ring"));
    assert_int_equal(gw_ticket_file_create(pki_path("ring"), 1000000, why, sizeof why), 0);
    strcpy(good, file_text(pki_path("ring")));
    bytes = strlen(good);
    for (size_t cut = 0; cut < bytes; cut++) {
        write_ring(good, cut);
        assert_refused(-EBADMSG, "line");
    }
    for (size_t at = 0; at < bytes; at++) {
        memcpy(bad, good, bytes);
        bad[at] = '#';
        write_ring(bad, bytes);
        assert_refused(-EBADMSG, "line");
        bad[at] = '\0';
        write_ring(bad, bytes);
        assert_refused(-EBADMSG, "line");
    }
}

static void a_file_with_wrong_contents_is_refused_in_words(void **state)
{
    char text[2 * GW_TICKET_FILE_BYTES_MAX], good[sizeof text], why[256];
    char *line[4];
    const size_t name_at = strlen("current 1000000 ");

    (void)state;
    unlink(pki_path("ring"));
    assert_refused(-ENOENT, "tollgatectl ticket-keys init");
    assert_int_equal(mkdir(pki_path("ring"), 0600), 0);
    assert_refused(-EBADMSG, "not a file");
    assert_int_equal(rmdir(pki_path("ring")), 0);

    assert_int_equal(gw_ticket_file_create(pki_path("ring"), 1000000, why, sizeof why), 0);
    strcpy(good, file_text(pki_path("ring")));
    memset(text, 'x', sizeof text);
    write_ring(text, sizeof text);
    assert_refused(-EBADMSG, "more than a ring");
    (void)snprintf(text, sizeof text, "%s\n", good);
    write_ring(text, strlen(text));
    assert_refused(-EBADMSG, "follows line 4");

    strcpy(text, good);
    line[0] = text;
    for (size_t i = 1; i < 4; i++)
        line[i] = strchr(line[i - 1], '\n') + 1;
    memcpy(strchr(line[1], '0'), "7", 1); /* next 7 */
    write_ring(text, strlen(text));
    assert_refused(-EBADMSG, "in use already");
    strcpy(text, good);
    memcpy(line[3] + strlen("previous "), "1000001", 7);
    write_ring(text, strlen(text));
    assert_refused(-EBADMSG, "not since before the previous");
    strcpy(text, good);
    memcpy(line[1] + strlen("next 0 "), line[2] + name_at, 2 * GW_TICKET_NAME_BYTES);
    write_ring(text, strlen(text));
    assert_refused(-EBADMSG, "same name");
    unlink(pki_path("ring"));
}

static int setup(void **state)
{
    pair_server_hook = on_server;
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
        cmocka_unit_test(the_previous_key_opens_nothing_once_its_last_ticket_is_old),
        cmocka_unit_test(a_ring_turns_when_it_is_due),
        cmocka_unit_test(rings_turn_while_shards_work),
        cmocka_unit_test(a_file_comes_back_as_it_was_written),
        cmocka_unit_test(a_file_that_others_may_touch_is_refused),
        cmocka_unit_test(a_damaged_file_is_refused_at_every_byte),
        cmocka_unit_test(a_file_with_wrong_contents_is_refused_in_words),
    };

    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, setup, teardown);
}
