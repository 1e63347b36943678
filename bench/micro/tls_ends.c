/*
 * Certificates, contexts, and the device at the other end, for the benchmarks of TLS.
 */
#include "tls_ends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/nid.h>
#include <openssl/pem.h>

#include <gw/base/clock.h>
#include <gw/tls/ticket.h>

#include "certificate.h"

/* ---- certificates, made once ---- */

struct gw_tls_context *ec_context, *rsa_context, *lean_context, *ticket_context;

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

bool create_contexts(struct gw_bench *b)
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

SSL *client_create(uint16_t version, int group)
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
bool carry(SSL *client, struct gw_tls *server)
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
