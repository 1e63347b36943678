#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "certificate.h"

struct pki pki;
void (*pair_hook)(bool begins);

const char *pki_path(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", pki.dir, name);
    return path;
}

void pki_write(const char *name, const char *text)
{
    FILE *file = fopen(pki_path(name), "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void write_pair(const char *chain_path, X509 *leaf, const char *key_path, EVP_PKEY *key)
{
    FILE *file = fopen(chain_path, "we");

    assert_non_null(file);
    assert_true(PEM_write_X509(file, leaf));
    assert_int_equal(fclose(file), 0);
    file = fopen(key_path, "we");
    assert_non_null(file);
    assert_true(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
    assert_int_equal(fclose(file), 0);
}

int pki_create(void **state)
{
    static const char *const hosts[] = {"gateway.test", "127.0.0.1"};
    EVP_PKEY *ca_key = gw_key_generate_rsa();
    EVP_PKEY *rsa_key = gw_key_generate_rsa();
    EVP_PKEY *ec_key = gw_key_generate_ec();
    X509 *ca = gw_certificate_root(ca_key, "Test CA", 10);
    X509 *rsa = gw_certificate_leaf(rsa_key, hosts, 2, 5, ca, ca_key);
    X509 *ec = gw_certificate_leaf(ec_key, hosts, 2, 5, ca, ca_key);

    (void)state;
    assert_true(ca != NULL && rsa != NULL && ec != NULL);
    snprintf(pki.dir, sizeof pki.dir, "/tmp/tls_test_XXXXXX");
    assert_non_null(mkdtemp(pki.dir));
    snprintf(pki.ca, sizeof pki.ca, "%s/ca.pem", pki.dir);
    snprintf(pki.rsa_chain, sizeof pki.rsa_chain, "%s/rsa.pem", pki.dir);
    snprintf(pki.rsa_key, sizeof pki.rsa_key, "%s/rsa.key", pki.dir);
    snprintf(pki.ec_chain, sizeof pki.ec_chain, "%s/ec.pem", pki.dir);
    snprintf(pki.ec_key, sizeof pki.ec_key, "%s/ec.key", pki.dir);
    write_pair(pki.ca, ca, pki_path("ca.key"), ca_key);
    write_pair(pki.rsa_chain, rsa, pki.rsa_key, rsa_key);
    write_pair(pki.ec_chain, ec, pki.ec_key, ec_key);
    X509_free(ca);
    X509_free(rsa);
    X509_free(ec);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(rsa_key);
    EVP_PKEY_free(ec_key);
    return 0;
}

int pki_remove(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf -- '%s'", pki.dir);
    return system(command); /* NOLINT(concurrency-mt-unsafe): a test with one thread */
}

bool server_is_lean = true;

void server_choose(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "kept") == 0)
        server_is_lean = false;
}

struct gw_tls_options server_options(unsigned leaves, enum gw_tls_profile profile)
{
    struct gw_tls_options options = {.profile = profile, .lean = server_is_lean};

    if ((leaves & LEAF_RSA) != 0) {
        options.rsa_chain = pki.rsa_chain;
        options.rsa_key = pki.rsa_key;
    }
    if ((leaves & LEAF_EC) != 0) {
        options.ec_chain = pki.ec_chain;
        options.ec_key = pki.ec_key;
    }
    return options;
}

struct gw_tls_context *server_create(unsigned leaves, enum gw_tls_profile profile,
                                     uint32_t session_tickets)
{
    struct gw_tls_options options = server_options(leaves, profile);
    struct gw_tls_context *context = NULL;
    char why[256] = "";

    options.session_tickets = session_tickets;
    if (gw_tls_context_create(&options, &context, why, sizeof why) != 0)
        fail_msg("%s", why);
    return context;
}

SSL_CTX *client_create(uint16_t version_min, uint16_t version_max)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());

    assert_non_null(ctx);
    assert_true(SSL_CTX_load_verify_locations(ctx, pki.ca, NULL));
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    assert_true(SSL_CTX_set_min_proto_version(ctx, version_min));
    assert_true(SSL_CTX_set_max_proto_version(ctx, version_max));
    return ctx;
}

SSL_CTX *peer_server_create(uint16_t version_min, uint16_t version_max)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());

    assert_non_null(ctx);
    assert_true(SSL_CTX_use_certificate_chain_file(ctx, pki.ec_chain));
    assert_true(SSL_CTX_use_PrivateKey_file(ctx, pki.ec_key, SSL_FILETYPE_PEM));
    assert_true(SSL_CTX_set_min_proto_version(ctx, version_min));
    assert_true(SSL_CTX_set_max_proto_version(ctx, version_max));
    return ctx;
}

struct gw_tls_client_options our_client_options(void)
{
    return (struct gw_tls_client_options){.ca = pki.ca,
                                          .host = "gateway.test",
                                          .version_min = TLS1_2_VERSION,
                                          .version_max = TLS1_3_VERSION,
                                          .sessions_max = 16,
                                          .lean = server_is_lean};
}

struct gw_tls_context *our_client_create(const struct gw_tls_client_options *options)
{
    struct gw_tls_context *context = NULL;
    char why[256] = "";

    if (gw_tls_client_create(options, &context, why, sizeof why) != 0)
        fail_msg("%s", why);
    return context;
}

static void wire_add(struct wire *w, const void *data, size_t size)
{
    if (size == 0)
        return;
    if (w->size + size > w->capacity) {
        w->capacity = 2 * (w->size + size);
        w->data = realloc(w->data, w->capacity);
        assert_non_null(w->data);
    }
    memcpy(w->data + w->size, data, size);
    w->size += size;
}

static void call_hook(bool begins)
{
    if (pair_hook != NULL)
        pair_hook(begins);
}

static void open_peer(struct pair *p, SSL_CTX *ctx)
{
    p->peer = SSL_new(ctx);
    p->peer_in = BIO_new(BIO_s_mem());
    p->peer_out = BIO_new(BIO_s_mem());
    assert_true(p->peer != NULL && p->peer_in != NULL && p->peer_out != NULL);
    BIO_set_mem_eof_return(p->peer_in, -1);
    SSL_set_bio(p->peer, p->peer_in, p->peer_out);
}

void pair_open(struct pair *p, struct gw_tls_context *server, SSL_CTX *client, size_t cut)
{
    *p = (struct pair){.cut = cut};
    call_hook(true);
    p->ours = gw_tls_open(server);
    call_hook(false);
    assert_non_null(p->ours);
    open_peer(p, client);
    SSL_set_connect_state(p->peer);
    SSL_set_tlsext_host_name(p->peer, "gateway.test");
}

void pair_close(struct pair *p)
{
    gw_tls_close(p->ours);
    SSL_free(p->peer);
    free(p->sent.data);
    free(p->got.data);
    free(p->peer_got.data);
    *p = (struct pair){0};
}

static void peer_step(struct pair *p)
{
    uint8_t room[16384];
    int n;

    ERR_clear_error();
    do {
        n = SSL_read(p->peer, room, sizeof room);
        if (n > 0)
            wire_add(&p->peer_got, room, (size_t)n);
    } while (n > 0);
    p->peer_error = SSL_get_error(p->peer, n);
    if (p->peer_error == SSL_ERROR_SSL && p->peer_reason == 0)
        p->peer_reason = ERR_peek_error();
    ERR_clear_error();
}

static void peer_give(struct pair *p, const uint8_t *data, size_t size)
{
    const size_t step = p->cut == 0 ? size : p->cut;

    for (size_t at = 0; at < size; at += step) {
        const size_t n = size - at < step ? size - at : step;

        assert_int_equal(BIO_write(p->peer_in, data + at, (int)n), (int)n);
        peer_step(p);
    }
}

/* One call of the kind the shard makes: all of the input, as often as plaintext comes out. */
static void give_ours(struct pair *p, const uint8_t *data, size_t size)
{
    static uint8_t room[GW_TLS_PLAINTEXT_BYTES_MAX];
    static uint8_t out[GW_TLS_OUT_BYTES_MAX];
    struct gw_tls_io io = {
        .in = gw_bytes_of(data, size), .out = out, .out_capacity = sizeof out, .now = p->now};
    size_t n = 0;

    do {
        call_hook(true);
        p->result = gw_tls_read(p->ours, &io, room, sizeof room, &n);
        call_hook(false);
        if (p->result == GW_TLS_DATA)
            assert_in_range(n, 1, sizeof room);
        wire_add(&p->got, room, n);
    } while (p->result == GW_TLS_DATA);
    assert_int_equal(n, 0);
    assert_in_range(io.out_bytes, 0, GW_TLS_OUT_BYTES_MAX);
    assert_int_equal(io.in.size, 0); /* read, or thrown away */
    wire_add(&p->sent, out, io.out_bytes);
    if (io.out_bytes > 0)
        assert_int_equal(BIO_write(p->peer_in, out, (int)io.out_bytes), (int)io.out_bytes);
}

void pair_open_client(struct pair *p, struct gw_tls_context *client, bool keeps_ticket,
                      const struct gw_tls_ticket *ticket, SSL_CTX *server, size_t cut)
{
    *p = (struct pair){.cut = cut};
    p->ours = gw_tls_client_open(client, keeps_ticket, ticket);
    assert_non_null(p->ours);
    open_peer(p, server);
    SSL_set_accept_state(p->peer);
    give_ours(p, NULL, 0);
}

void pair_feed(struct pair *p, const void *data, size_t size)
{
    const size_t step = p->cut == 0 ? size : p->cut;

    for (size_t at = 0; at < size; at += step)
        give_ours(p, (const uint8_t *)data + at, size - at < step ? size - at : step);
}

static uint8_t *bio_take(BIO *bio, size_t *size)
{
    uint8_t *copy;

    *size = BIO_pending(bio);
    copy = malloc(*size + 1);
    assert_non_null(copy);
    if (*size > 0)
        assert_int_equal(BIO_read(bio, copy, (int)*size), (int)*size);
    return copy;
}

void pair_pump(struct pair *p)
{
    bool moved = true;

    while (moved) {
        const size_t sent_before = p->sent.size;
        size_t to_client = 0;
        size_t to_server = 0;
        uint8_t *bytes = bio_take(p->peer_in, &to_client);

        peer_give(p, bytes, to_client);
        free(bytes);
        peer_step(p);
        bytes = bio_take(p->peer_out, &to_server);
        pair_feed(p, bytes, to_server);
        free(bytes);
        moved = to_server > 0 || p->sent.size > sent_before;
    }
}

bool pair_seal(struct pair *p, const void *data, size_t size)
{
    static uint8_t out[GW_TLS_OUT_BYTES_MAX];
    struct gw_tls_io io = {.out = out, .out_capacity = sizeof out};

    if (!gw_tls_seal(p->ours, &io, gw_bytes_of(data, size)))
        return false;
    wire_add(&p->sent, out, io.out_bytes);
    peer_give(p, out, io.out_bytes);
    return true;
}

void pair_peer_write(struct pair *p, const void *data, size_t size)
{
    assert_int_equal(SSL_write(p->peer, data, (int)size), (int)size);
}

void pair_shutdown(struct pair *p)
{
    static uint8_t out[GW_TLS_OUT_BYTES_MAX];
    struct gw_tls_io io = {.out = out, .out_capacity = sizeof out};

    gw_tls_shutdown(p->ours, &io);
    wire_add(&p->sent, out, io.out_bytes);
    peer_give(p, out, io.out_bytes);
}

size_t wire_record_bytes_max(const struct wire *w, size_t from)
{
    size_t max = 0;

    while (from + 5 <= w->size) {
        const size_t body = (size_t)w->data[from + 3] << 8 | w->data[from + 4];

        max = body > max ? body : max;
        from += 5 + body;
    }
    assert_int_equal(from, w->size); /* whole records only */
    return max;
}
