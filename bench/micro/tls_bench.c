/*
 * TLS: where nearly all of a login's CPU goes, and most of a record's in user space. Our side only:
 * a recorded ClientHello is answered again and again, and the client works while the clock stands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <gw/base/clock.h>
#include <gw/tls/ticket.h>
#include <gw/tls/tls.h>

#include "bench.h"
#include "certificate.h"

enum { HELLO_BYTES_MAX = 2048, RECORDS_AT_ONCE = 256, RECORD_ROOM_BYTES = 1536 };

extern const struct gw_bench_case bench_tls_cases[];

/* ---- certificates, made once ---- */

static struct gw_tls_context *ec_context, *rsa_context, *lean_context;
static struct gw_tls_context *ticket_context; /* EC, lean, and its devices may come back */

static bool write_pem(const char *path, X509 *certificate, EVP_PKEY *key)
{
    FILE *file = fopen(path, "we");
    bool ok = file != NULL && (certificate == NULL || PEM_write_X509(file, certificate)) &&
              (key == NULL || PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));

    return file != NULL && fclose(file) == 0 && ok;
}

static struct gw_tls_context *create_context(const char *dir, EVP_PKEY *key, bool ec, bool lean,
                                             struct gw_ticket_keys *ticket_keys)
{
    static const char *const host = "gateway.test";
    char chain_path[64], key_path[64], why[256];
    struct gw_tls_options options = {.profile = GW_TLS_MODERN,
                                     .lean = lean,
                                     .session_tickets = ticket_keys != NULL,
                                     .ticket_keys = ticket_keys};
    struct gw_tls_context *context = NULL;
    X509 *root = gw_certificate_root(key, "bench", 1);
    X509 *leaf = root == NULL ? NULL : gw_certificate_leaf(key, &host, 1, 1, root, key);

    (void)snprintf(chain_path, sizeof chain_path, "%s/chain.pem", dir);
    (void)snprintf(key_path, sizeof key_path, "%s/key.pem", dir);
    *(ec ? &options.ec_chain : &options.rsa_chain) = chain_path;
    *(ec ? &options.ec_key : &options.rsa_key) = key_path;
    if (leaf != NULL && write_pem(chain_path, leaf, NULL) && write_pem(key_path, NULL, key) &&
        gw_tls_context_create(&options, &context, why, sizeof why) != 0)
        (void)fprintf(stderr, "%s\n", why);
    (void)unlink(chain_path);
    (void)unlink(key_path);
    X509_free(root);
    X509_free(leaf);
    return context;
}

static struct gw_tls_context *create_ticket_context(const char *dir, EVP_PKEY *key)
{
    struct gw_tls_context *context;
    struct gw_ticket_keys *keys = NULL;
    struct gw_ticket_ring ring;

    gw_ticket_ring_draw(&ring, gw_clock_wall_us() / 1000000);
    if (gw_ticket_keys_create(&ring, &keys) != 0)
        return NULL;
    context = create_context(dir, key, true, true, keys);
    gw_ticket_keys_release(keys);
    return context;
}

static bool create_contexts(struct gw_bench *b)
{
    char dir[] = "/tmp/tls_bench_XXXXXX";
    EVP_PKEY *rsa, *ec;

    if (ec_context != NULL && rsa_context != NULL && lean_context != NULL && ticket_context != NULL)
        return true;
    rsa = gw_key_generate_rsa();
    ec = gw_key_generate_ec();
    if (rsa != NULL && ec != NULL && mkdtemp(dir) != NULL) {
        rsa_context = create_context(dir, rsa, false, false, NULL);
        ec_context = create_context(dir, ec, true, false, NULL);
        lean_context = create_context(dir, ec, true, true, NULL);
        ticket_context = create_ticket_context(dir, ec);
        (void)rmdir(dir);
    }
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    if (ec_context == NULL || rsa_context == NULL || lean_context == NULL ||
        ticket_context == NULL) {
        gw_bench_fail(b, "no certificates");
        return false;
    }
    return true;
}

/* ---- the other end ---- */

static SSL *client_create(uint16_t version, int group)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    SSL *client;

    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_max_proto_version(ctx, version);
    /* P-256 stays in the list: without it a TLS 1.2 client could not use an EC certificate. */
    SSL_CTX_set1_curves(ctx, (const int[]){group, NID_X9_62_prime256v1},
                        group == NID_X9_62_prime256v1 ? 1 : 2);
    client = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(client), -1);
    SSL_set_connect_state(client);
    return client;
}

/* Hands over what the client has to say, and the answer back; false once our side has failed. */
static bool carry(SSL *client, struct gw_tls *server)
{
    static uint8_t from_client[16384], out[GW_TLS_OUT_BYTES_MAX];
    static uint8_t plaintext[GW_TLS_PLAINTEXT_BYTES_MAX];
    int n = BIO_read(SSL_get_wbio(client), from_client, sizeof from_client);
    struct gw_tls_io io = {.in = gw_bytes_of(from_client, n > 0 ? (size_t)n : 0),
                           .out = out,
                           .out_capacity = sizeof out};
    size_t bytes;

    if (gw_tls_read(server, &io, plaintext, sizeof plaintext, &bytes) != GW_TLS_WANT)
        return false;
    return io.out_bytes == 0 ||
           BIO_write(SSL_get_rbio(client), out, (int)io.out_bytes) == (int)io.out_bytes;
}

static struct gw_tls *establish(struct gw_bench *b, SSL *client, struct gw_tls_context *context)
{
    struct gw_tls *server = gw_tls_open(context);

    for (int flight = 0; flight < 4 && server != NULL; flight++) {
        (void)SSL_do_handshake(client);
        if (!carry(client, server))
            break;
    }
    if (server == NULL || !gw_tls_is_established(server) || SSL_do_handshake(client) != 1) {
        gw_bench_fail(b, "the handshake failed");
        gw_tls_close(server);
        server = NULL;
    }
    return server;
}

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

/* ---- records ---- */

static void seal_records(struct gw_bench *b, struct gw_tls_context **context, size_t size)
{
    static uint8_t out[GW_TLS_OUT_BYTES_MAX], plaintext[RECORD_ROOM_BYTES];
    SSL *client = client_create(TLS1_3_VERSION, NID_X25519);
    struct gw_tls *server = create_contexts(b) ? establish(b, client, *context) : NULL;

    b->bytes_each = size;
    while (server != NULL && gw_bench_next(b)) {
        struct gw_tls_io io = {.out = out, .out_capacity = sizeof out};

        if (!gw_tls_seal(server, &io, gw_bytes_of(plaintext, size))) {
            gw_bench_fail(b, "a record could not be sealed");
            break;
        }
        gw_bench_keep(out);
    }
    gw_tls_close(server);
    SSL_free(client);
}

/*
 * Question: what does an answer cost to protect?
 * Expected: 660 ns through SSL_write, of which AES-128-GCM is 150.
 */
static void tls_seal_64(struct gw_bench *b)
{
    seal_records(b, &ec_context, 64);
}

/* Expected: 1,230 ns, of which AES-128-GCM is 640. */
static void tls_seal_1400(struct gw_bench *b)
{
    seal_records(b, &ec_context, 1400);
}

/* Records in a row, each with the next sequence number: none can be opened twice. */
static size_t refill(SSL *client, size_t size, uint8_t *records, size_t capacity)
{
    static const uint8_t plaintext[RECORD_ROOM_BYTES];
    int n;

    for (size_t i = 0; i < RECORDS_AT_ONCE; i++) {
        if (SSL_write(client, plaintext, (int)size) != (int)size)
            return 0;
    }
    n = BIO_read(SSL_get_wbio(client), records, (int)capacity);
    return n > 0 ? (size_t)n / RECORDS_AT_ONCE : 0;
}

static void open_records(struct gw_bench *b, struct gw_tls_context **context, size_t size)
{
    static uint8_t records[RECORDS_AT_ONCE * RECORD_ROOM_BYTES];
    static uint8_t out[GW_TLS_OUT_BYTES_MAX], plaintext[GW_TLS_PLAINTEXT_BYTES_MAX];
    SSL *client = client_create(TLS1_3_VERSION, NID_X25519);
    struct gw_tls *server = create_contexts(b) ? establish(b, client, *context) : NULL;
    size_t record_bytes = server == NULL ? 0 : refill(client, size, records, sizeof records);
    size_t at = 0;

    b->bytes_each = size;
    while (record_bytes > 0 && gw_bench_next(b)) {
        struct gw_tls_io io = {.out = out, .out_capacity = sizeof out};
        size_t bytes = 0;

        if (at == RECORDS_AT_ONCE) {
            gw_bench_pause(b);
            record_bytes = refill(client, size, records, sizeof records);
            at = 0;
            gw_bench_resume(b);
        }
        io.in = gw_bytes_of(records + at++ * record_bytes, record_bytes);
        if (gw_tls_read(server, &io, plaintext, sizeof plaintext, &bytes) != GW_TLS_DATA ||
            bytes != size) {
            gw_bench_fail(b, "a record could not be opened");
            break;
        }
        gw_bench_keep(plaintext);
    }
    if (server == NULL || record_bytes == 0)
        gw_bench_fail(b, "no records to open");
    gw_tls_close(server);
    SSL_free(client);
}

/*
 * Question: what does an update cost to open, on a session that is in the cache?
 * Expected: 850 ns through SSL_read, of which AES-128-GCM is 160.
 */
static void tls_open_64(struct gw_bench *b)
{
    open_records(b, &ec_context, 64);
}

/* Expected: 1,380 ns, of which AES-128-GCM is 640. */
static void tls_open_1400(struct gw_bench *b)
{
    open_records(b, &ec_context, 1400);
}

/*
 * Question: what does a record cost a lean session, which makes its key schedule anew each time?
 * Expected: 400 ns to seal 64 bytes: schedule 126, AES-128-GCM 150, cleansing 600 bytes of stack
 * 30, and no BIO.
 * Found: 480 ns, where the SSL object took 640. (A busy machine: compare within one run.)
 */
static void tls_lean_seal_64(struct gw_bench *b)
{
    seal_records(b, &lean_context, 64);
}

/* Expected: 1,030 ns. */
static void tls_lean_seal_1400(struct gw_bench *b)
{
    seal_records(b, &lean_context, 1400);
}

/* Expected: 420 ns. Found: 550, the SSL object 790. */
static void tls_lean_open_64(struct gw_bench *b)
{
    open_records(b, &lean_context, 64);
}

/* Expected: 1,020 ns. */
static void tls_lean_open_1400(struct gw_bench *b)
{
    open_records(b, &lean_context, 1400);
}

/*
 * Question: and when many sessions are visited at random, as devices are?
 * Expected: 850 ns through SSL_write, with 2,000 sessions whose keys alone fill 2.5 MB; 450 lean,
 * where all of a session is 160 bytes.
 * Found: 765 ns and 395 ns.
 */
static void seal_at_random(struct gw_bench *b, bool lean)
{
    enum { SESSIONS = 2000 };
    static struct gw_tls *sessions[2][SESSIONS]; /* made once: 2,000 handshakes take a second */
    static uint8_t out[GW_TLS_OUT_BYTES_MAX], plaintext[64];
    uint64_t seed = 7;

    for (size_t i = 0; sessions[lean][SESSIONS - 1] == NULL && i < SESSIONS; i++) {
        SSL *client;

        if (!create_contexts(b))
            return;
        client = client_create(TLS1_3_VERSION, NID_X25519);
        sessions[lean][i] = establish(b, client, lean ? lean_context : ec_context);
        SSL_free(client);
        if (sessions[lean][i] == NULL)
            return;
    }
    while (gw_bench_next(b)) {
        struct gw_tls_io io = {.out = out, .out_capacity = sizeof out};

        if (!gw_tls_seal(sessions[lean][gw_bench_random(&seed) % SESSIONS], &io,
                         gw_bytes_of(plaintext, sizeof plaintext))) {
            gw_bench_fail(b, "a record could not be sealed");
            break;
        }
        gw_bench_keep(out);
    }
}

static void tls_seal_64_of_2000(struct gw_bench *b)
{
    seal_at_random(b, false);
}

static void tls_lean_seal_64_of_2000(struct gw_bench *b)
{
    seal_at_random(b, true);
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
    {"tls_seal_64", tls_seal_64},
    {"tls_seal_1400", tls_seal_1400},
    {"tls_open_64", tls_open_64},
    {"tls_open_1400", tls_open_1400},
    {"tls_lean_seal_64", tls_lean_seal_64},
    {"tls_lean_seal_1400", tls_lean_seal_1400},
    {"tls_lean_open_64", tls_lean_open_64},
    {"tls_lean_open_1400", tls_lean_open_1400},
    {"tls_seal_64_of_2000", tls_seal_64_of_2000},
    {"tls_lean_seal_64_of_2000", tls_lean_seal_64_of_2000},
    {0},
};
