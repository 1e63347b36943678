/*
 * TLS handshakes, where nearly all of a login's CPU goes. Our side only: a recorded ClientHello is
 * answered again and again, and the client works while the clock stands.
 */
#include <openssl/nid.h>
#include <openssl/ssl.h>

#include <gw/tls/tls.h>

#include "bench.h"
#include "tls_ends.h"

enum { HELLO_BYTES_MAX = 2048 };

extern const struct gw_bench_case bench_tls_cases[];

/* ---- handshakes ---- */

/*
 * Our answer to one ClientHello, session opened and closed. In TLS 1.3 that is all of a handshake's
 * public-key work on our side; in TLS 1.2 the client's share comes later and costs one X25519 more.
 */
static void first_flight(struct gw_bench *b, struct gw_tls_context **context, uint16_t version,
                         int group)
{
    static uint8_t out[GW_TLS_OUT_BYTES_MAX], plaintext[GW_TLS_PLAINTEXT_BYTES_MAX];
    uint8_t hello[HELLO_BYTES_MAX];
    SSL *client;
    int hello_bytes;

    if (!create_contexts(b))
        return;
    client = client_create(version, group);
    (void)SSL_do_handshake(client);
    hello_bytes = BIO_read(SSL_get_wbio(client), hello, sizeof hello);
    SSL_free(client);
    while (gw_bench_next(b)) {
        struct gw_tls *server = gw_tls_open(*context);
        struct gw_tls_io io = {
            .in = gw_bytes_of(hello, (size_t)hello_bytes), .out = out, .out_capacity = sizeof out};
        size_t bytes;

        if (server == NULL ||
            gw_tls_read(server, &io, plaintext, sizeof plaintext, &bytes) != GW_TLS_WANT ||
            io.out_bytes < 500) {
            gw_bench_fail(b, "no flight in answer to a hello");
            gw_tls_close(server);
            return;
        }
        gw_bench_keep(out);
        gw_tls_close(server);
    }
}

/*
 * Question: how many handshakes does a core do?
 * Expected: 220 us: X25519 twice (110), ECDSA with a size-optimised P-256 (94), hashes and the
 * rest.
 */
static void tls_13_ecdsa_x25519(struct gw_bench *b)
{
    first_flight(b, &ec_context, TLS1_3_VERSION, NID_X25519);
}

/*
 * Question: what does a client cost that has no X25519?
 * Expected: 410 us: key generation 62 and agreement 250 in place of 110.
 */
static void tls_13_ecdsa_p256(struct gw_bench *b)
{
    first_flight(b, &ec_context, TLS1_3_VERSION, NID_X9_62_prime256v1);
}

/*
 * Question: what do boards cost that take an RSA certificate only?
 * Expected: 1,020 us: the signature alone is 906.
 */
static void tls_13_rsa_x25519(struct gw_bench *b)
{
    first_flight(b, &rsa_context, TLS1_3_VERSION, NID_X25519);
}

/*
 * Question: and TLS 1.2, which most boards speak?
 * Expected: 145 us: a key pair (42), ECDSA (94), hashes; 68 more when the client's share arrives.
 */
static void tls_12_ecdsa_x25519(struct gw_bench *b)
{
    first_flight(b, &ec_context, TLS1_2_VERSION, NID_X25519);
}

/* Expected: 955 us, as above with RSA's 906. */
static void tls_12_rsa_x25519(struct gw_bench *b)
{
    first_flight(b, &rsa_context, TLS1_2_VERSION, NID_X25519);
}

/* ---- whole handshakes, and those that are resumed ---- */

static SSL_SESSION *kept_session;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(kept_session);
    kept_session = session;
    return 1;
}

/*
 * Both flights of our side, ticket and all, while the clock stands for the client: comparable with
 * each other, and some 3 us dearer than without the stops.
 */
static bool complete(struct gw_bench *b, uint16_t version, SSL_SESSION *session, bool asks,
                     bool is_timed)
{
    SSL *client = client_create(version, NID_X25519);
    struct gw_tls_facts facts = {0};
    struct gw_tls *server;
    bool ok = true;

    SSL_CTX_set_session_cache_mode(SSL_get_SSL_CTX(client), SSL_SESS_CACHE_CLIENT);
    if (!asks)
        SSL_set_options(client, SSL_OP_NO_TICKET);
    else if (session == NULL)
        SSL_CTX_sess_set_new_cb(SSL_get_SSL_CTX(client), keep_session);
    else
        ok = SSL_set_session(client, session) == 1;
    (void)SSL_do_handshake(client);
    if (is_timed)
        gw_bench_resume(b);
    server = gw_tls_open(ticket_context);
    for (int flight = 0; flight < 2 && ok && server != NULL; flight++) {
        ok = carry(client, server);
        if (is_timed)
            gw_bench_pause(b);
        (void)SSL_do_handshake(client);
        if (is_timed)
            gw_bench_resume(b);
    }
    if (server != NULL)
        gw_tls_facts(server, &facts);
    ok =
        ok && server != NULL && gw_tls_is_established(server) && facts.resumed == (session != NULL);
    gw_tls_close(server);
    if (is_timed)
        gw_bench_pause(b);
    (void)SSL_read(client, (uint8_t[16]){0}, 16); /* TLS 1.3 tickets come after the handshake */
    SSL_free(client);
    return ok;
}

static void complete_handshakes(struct gw_bench *b, uint16_t version, bool asks, bool is_resumed)
{
    SSL_SESSION *session = NULL;

    if (!create_contexts(b))
        return;
    if (is_resumed && (!complete(b, version, NULL, true, false) || kept_session == NULL)) {
        gw_bench_fail(b, "no ticket to come back with");
        return;
    }
    if (is_resumed) {
        session = kept_session;
        kept_session = NULL;
    }
    while (gw_bench_next(b)) {
        bool ok;

        gw_bench_pause(b);
        ok = complete(b, version, session, asks, true);
        gw_bench_resume(b);
        if (!ok) {
            gw_bench_fail(b, "the handshake was not what it should be");
            break;
        }
    }
    SSL_SESSION_free(session);
    SSL_SESSION_free(kept_session);
    kept_session = NULL;
}

/*
 * Question: what does a device cost that comes back with its ticket, beside one that does not?
 * Expected: 270 us in full, with a ticket sealed, and 160 resumed: X25519 twice stays, the
 * signature goes.
 */
static void tls_13_whole(struct gw_bench *b)
{
    complete_handshakes(b, TLS1_3_VERSION, true, false);
}

static void tls_13_resumed(struct gw_bench *b)
{
    complete_handshakes(b, TLS1_3_VERSION, true, true);
}

/* Expected: 250 us in full, and 30 resumed: no public-key operation is left. */
static void tls_12_whole(struct gw_bench *b)
{
    complete_handshakes(b, TLS1_2_VERSION, true, false);
}

/* As stock firmware has it: who asks for no ticket gets none. (In TLS 1.3 it gets one all the
 * same.) */
static void tls_12_unticketed(struct gw_bench *b)
{
    complete_handshakes(b, TLS1_2_VERSION, false, false);
}

static void tls_12_resumed(struct gw_bench *b)
{
    complete_handshakes(b, TLS1_2_VERSION, true, true);
}

const struct gw_bench_case bench_tls_cases[] = {
    {"tls_13_ecdsa_x25519", tls_13_ecdsa_x25519},
    {"tls_13_ecdsa_p256", tls_13_ecdsa_p256},
    {"tls_13_rsa_x25519", tls_13_rsa_x25519},
    {"tls_12_ecdsa_x25519", tls_12_ecdsa_x25519},
    {"tls_12_rsa_x25519", tls_12_rsa_x25519},
    {"tls_13_whole", tls_13_whole},
    {"tls_13_resumed", tls_13_resumed},
    {"tls_12_whole", tls_12_whole},
    {"tls_12_unticketed", tls_12_unticketed},
    {"tls_12_resumed", tls_12_resumed},
    {0},
};
