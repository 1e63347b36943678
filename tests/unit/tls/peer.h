/*
 * Both ends of a TLS connection in one program: our session on one side, BoringSSL's on the other,
 * and between them bytes that a test can cut, keep and alter.
 */
#ifndef GW_TLS_TEST_PEER_H
#define GW_TLS_TEST_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include <gw/base/clock.h>
#include <gw/tls/client.h>
#include <gw/tls/tls.h>

/* A directory with ca, rsa and ec as PEM files, made once per program and removed at its end. */
struct pki {
    char dir[64];
    char ca[96];
    char rsa_chain[96], rsa_key[96];
    char ec_chain[96], ec_key[96];
};
extern struct pki pki;
int pki_create(void **state);
int pki_remove(void **state);
/* A path in pki.dir; valid until the fourth call after this one. */
const char *pki_path(const char *name);
void pki_write(const char *name, const char *text);

enum { LEAF_RSA = 1, LEAF_EC = 2, LEAF_BOTH = LEAF_RSA | LEAF_EC };
/*
 * Sessions of server_create part with their SSL objects, unless the program was called with the
 * argument "kept": every test holds both ways.
 */
extern bool server_is_lean;
void server_choose(int argc, char **argv);
struct gw_tls_options server_options(unsigned leaves, enum gw_tls_profile profile);
struct gw_tls_context *server_create(unsigned leaves, enum gw_tls_profile profile,
                                     uint32_t session_tickets);

/* Trusts the test CA and checks what it gets. */
SSL_CTX *client_create(uint16_t version_min, uint16_t version_max);

/* The other way round: BoringSSL's server with the EC certificate, and our client, which trusts the
   test CA and is as lean as the sessions of server_create. */
SSL_CTX *peer_server_create(uint16_t version_min, uint16_t version_max);
struct gw_tls_client_options our_client_options(void);
struct gw_tls_context *our_client_create(const struct gw_tls_client_options *options);

struct wire {
    uint8_t *data;
    size_t size, capacity;
};

struct pair {
    SSL *peer;
    BIO *peer_in, *peer_out;
    struct gw_tls *ours;
    size_t cut;                /* bytes handed over at a time, either way; 0: all there are  */
    struct wire sent;          /* everything our side sent, as ciphertext                    */
    struct wire got;           /* plaintext                                                  */
    struct wire peer_got;      /* plaintext                                                  */
    enum gw_tls_result result; /* of our side's last call                                    */
    int peer_error;            /* SSL_ERROR_ of the peer's last call, 0 when it went well    */
    uint32_t peer_reason;      /* packed, of the peer's first real failure                   */
    struct gw_instant now;     /* what our side is told; 0: nothing                          */
};

void pair_open(struct pair *p, struct gw_tls_context *server, SSL_CTX *client, size_t cut);
/* Our side is the client, and has said its hello. */
void pair_open_client(struct pair *p, struct gw_tls_context *client, bool keeps_ticket,
                      const struct gw_tls_ticket *ticket, SSL_CTX *server, size_t cut);
void pair_close(struct pair *p);

/* Carries bytes to and fro until neither side has more to say. */
void pair_pump(struct pair *p);
/* Hands bytes to our side; what it answers waits for the peer in pair_pump. */
void pair_feed(struct pair *p, const void *data, size_t size);
/* Seals on our side and hands the records to the peer's input. False: the seal was refused. */
bool pair_seal(struct pair *p, const void *data, size_t size);
void pair_peer_write(struct pair *p, const void *data, size_t size);
void pair_shutdown(struct pair *p);

/* Called around gw_tls_open and every gw_tls_read, where a test has set it. */
extern void (*pair_hook)(bool begins);

/* Largest record body among the records that stand from `from` on. */
size_t wire_record_bytes_max(const struct wire *w, size_t from);

#endif
