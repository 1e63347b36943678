/*
 * What the files of this room know of each other: certificates, the context, the session.
 */
#ifndef GW_TLS_INTERNAL_H
#define GW_TLS_INTERNAL_H

#include <assert.h>

#include <openssl/ssl.h>

#include <gw/tls/tls.h>

enum {
    GW_CHAIN_CERTIFICATES_MAX = 8,
    /* The server's first flight is the chain and less than 4 KiB beside it. In records of 512 bytes
       (22 bytes of overhead each) this and the tickets still fit GW_TLS_OUT_BYTES_MAX. */
    GW_CHAIN_BYTES_MAX = 16384,
    GW_SESSION_TICKETS_MAX = 4,
};

/* A certificate chain and the key of its leaf, checked against each other. */
struct gw_leaf {
    CRYPTO_BUFFER *chain[GW_CHAIN_CERTIFICATES_MAX]; /* leaf first, DER */
    size_t chain_count;                              /* 0: not configured */
    EVP_PKEY *key;
    struct gw_tls_leaf facts;
};

enum gw_leaf_kind { GW_LEAF_RSA, GW_LEAF_EC };

GW_MUST_USE int gw_leaf_load(enum gw_leaf_kind kind, const char *chain_path, const char *key_path,
                             struct gw_leaf *out, char *why, size_t why_bytes);
/* Everything its own, down to the key: what threads share they would also count and lock. -ENOMEM.
 */
GW_MUST_USE int gw_leaf_copy(const struct gw_leaf *from, struct gw_leaf *out);
void gw_leaf_fini(struct gw_leaf *leaf); /* an empty one is fine, twice is fine */

/* What a ClientHello says that BoringSSL does not act on by itself. */
struct gw_hello {
    bool takes_ec;             /* an ECDSA P-256 leaf will do                              */
    uint16_t record_bytes_max; /* max_fragment_length, or GW_TLS_PLAINTEXT_BYTES_MAX       */
};
void gw_hello_read(const SSL_CLIENT_HELLO *hello, enum gw_tls_profile profile,
                   struct gw_hello *out);

/*
 * Held by its creator and by every session, so that a reload can drop it while sessions go on. All
 * of them live on one thread: the counts are plain, and the BIO they share belongs to the one call
 * that is under way.
 */
struct gw_tls_context {
    SSL_CTX *ssl_ctx;
    BIO_METHOD *bio_method;
    BIO *bio;               /* the one all sessions read from and write to                 */
    struct gw_tls_io *io;   /* of the call under way, else NULL                            */
    struct gw_tls *session; /* whose call it is, else NULL                                 */
    struct gw_leaf rsa;
    struct gw_leaf ec;
    enum gw_tls_profile profile;
    uint32_t session_tickets;
    size_t holder_count;
};

void gw_tls_context_hold(struct gw_tls_context *context);
void gw_tls_context_release(struct gw_tls_context *context); /* the last one frees it */

/*
 *   HANDSHAKE --finished--> OPEN --close_notify, ours--> SHUT
 *       |                    | \                          |
 *       |                    |  +--close_notify, theirs---+--> CLOSED
 *       +------ FAILED <-----+----------------------------+
 *
 *   HANDSHAKE  nothing can be sealed
 *   OPEN       both ways
 *   SHUT       we said goodbye: nothing can be sealed, the peer may still send
 *   CLOSED     both said goodbye; input is thrown away
 *   FAILED     a failure is set; input is thrown away
 */
enum gw_tls_state {
    GW_TLS_STATE_HANDSHAKE,
    GW_TLS_STATE_OPEN,
    GW_TLS_STATE_SHUT,
    GW_TLS_STATE_CLOSED,
    GW_TLS_STATE_FAILED,
};

/* The facts stand here and not in the SSL object, which is not meant to outlive the handshake. */
struct gw_tls {
    struct gw_tls_context *context;
    SSL *ssl;
    const char *failure;       /* static text, or NULL                                     */
    uint16_t version;          /* as on the wire; 0 until established                      */
    uint16_t suite;            /* as on the wire                                           */
    uint16_t group;            /* as on the wire; 0 for RSA key exchange                   */
    uint16_t record_bytes_max; /* plaintext of one record we send                          */
    uint8_t state;             /* enum gw_tls_state                                        */
    uint8_t failure_kind;      /* enum gw_tls_failure_kind                                 */
    uint8_t first_byte;        /* of the stream: tells a plain device from garbage         */
    bool first_byte_seen;
    bool hello_seen;  /* the first message was a ClientHello                              */
    bool established; /* the handshake ended well, whatever came later                    */
    bool rsa_missing; /* the hello asks for an RSA leaf, and none is configured             */
    bool ec_missing;  /* the hello would take an EC leaf, and none is configured            */
    bool ec_leaf;
    bool resumed;
};
static_assert(sizeof(struct gw_tls) <= 64, "a session is its SSL object and little more");

/* Names what the error queue holds after a failed call, in tls->failure and tls->failure_kind. */
void gw_tls_failure_set(struct gw_tls *tls);

#endif
