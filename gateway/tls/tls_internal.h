/*
 * What the files of this room know of each other: certificates, the context, the session.
 */
#ifndef GW_TLS_INTERNAL_H
#define GW_TLS_INTERNAL_H

#include <assert.h>

#include <openssl/ssl.h>

#include <gw/tls/tls.h>

#include "keys_internal.h"
#include "pool_internal.h"
#include "ticket_internal.h"

enum {
    GW_CHAIN_CERTIFICATES_MAX = 8,
    /* The server's first flight is the chain and less than 4 KiB beside it. In records of 512 bytes
       (22 bytes of overhead each) this and the tickets still fit GW_TLS_OUT_BYTES_MAX. */
    GW_CHAIN_BYTES_MAX = 16384,
    GW_SESSION_TICKETS_MAX = 4,
    GW_SESSIONS_MAX_DEFAULT = 65536,
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
    struct gw_tls_pool *pool;
    enum gw_tls_profile profile;
    uint32_t session_tickets;
    bool lean;
    bool out_was_full; /* in the call under way BoringSSL had more to send than fitted     */
    struct gw_ticket_view tickets;
    char *server_name;            /* client: what it asks for, or NULL                     */
    struct gw_tls_ticket *ticket; /* client: the newest that nobody has taken, or NULL     */
    size_t holder_count;
};

/* What server and client have in common: pool, SSL_CTX and BIO, of a context that has none yet. 0
   or -ENOMEM; what was made is the context's. */
GW_MUST_USE int gw_tls_context_init(struct gw_tls_context *context, uint32_t sessions_max,
                                    char *why, size_t why_bytes);

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
 *   FAILED     a failure is set, nothing else is left; input is thrown away
 *
 * A lean session has no SSL object. It becomes lean on entering OPEN or never, and holds keys while
 * it is OPEN or SHUT, and a partial record only between calls.
 */
enum gw_tls_state {
    GW_TLS_STATE_HANDSHAKE,
    GW_TLS_STATE_OPEN,
    GW_TLS_STATE_SHUT,
    GW_TLS_STATE_CLOSED,
    GW_TLS_STATE_FAILED,
};

/* What a ClientHello left behind, for the words of a failure. */
struct gw_tls_hello_facts {
    uint8_t first_byte; /* of the stream: tells a plain device from garbage         */
    bool first_byte_seen : 1;
    bool seen : 1;        /* the first message was a ClientHello                      */
    bool rsa_missing : 1; /* the hello asks for an RSA leaf, and none is configured   */
    bool ec_missing : 1;  /* the hello would take an EC leaf, and none is configured  */
};

/* How the peer of a lean session behaves; see record.c for the limits. */
struct gw_tls_conduct {
    uint32_t empty_count : 6;    /* records without content, in a row                     */
    uint32_t update_count : 6;   /* KeyUpdates without data between them                  */
    uint32_t warning_count : 3;  /* warnings without data between them                    */
    uint32_t message_bytes : 3;  /* of a message that is spread over records; see record.c */
    uint32_t answer_due : 1;     /* our own KeyUpdate, which the peer has asked for       */
    uint32_t minute : 6;         /* of the clock, its low bits                            */
    uint32_t minute_updates : 7; /* KeyUpdates in it                                      */
};

/* There are as many as devices. The facts stand here because the SSL object goes. */
struct gw_tls {
    union {
        struct gw_tls_context *context; /* held; with an SSL object                         */
        struct gw_tls_pool *pool;       /* held; lean                                       */
    };
    union {
        SSL *ssl;
        struct {
            uint32_t keys;    /* slot in the pool, or GW_NONE                               */
            uint32_t partial; /* the first bytes of a record, or GW_NONE                    */
        };
        const char *failure; /* static text; FAILED, whether lean or not                   */
    };
    uint16_t version; /* as on the wire; 0 until established                      */
    uint16_t suite;   /* as on the wire                                           */
    uint16_t group;   /* as on the wire; 0 for RSA key exchange                   */
    union {
        uint16_t record_bytes_max; /* server: plaintext of one record we send              */
        uint16_t skip_bytes;       /* client, lean: of a ticket, yet to come               */
    };
    uint8_t state;        /* enum gw_tls_state                                        */
    uint8_t failure_kind; /* enum gw_tls_failure_kind                                 */
    uint8_t shape;        /* row of the shape of the keys; lean                       */
    bool established : 1; /* the handshake ended well, whatever came later            */
    bool lean : 1;
    bool ec_leaf : 1;
    bool resumed : 1;
    bool client : 1;
    bool keeps_ticket : 1; /* client: whatever ticket comes is kept                         */
    bool ticket_due : 1;   /* client, TLS 1.3: not lean before its ticket came, or data     */
    union {
        struct gw_tls_hello_facts hello; /* with an SSL object                             */
        struct gw_tls_conduct conduct;   /* lean                                           */
    };
};
static_assert(sizeof(struct gw_tls) == 32, "two sessions to a cache line");

/* A client asks for no max_fragment_length. */
static inline size_t gw_tls_record_bytes_max(const struct gw_tls *tls)
{
    return tls->client ? GW_TLS_PLAINTEXT_BYTES_MAX : tls->record_bytes_max;
}

/* session.c: an open session with its SSL object, which does not know yet which end it is. NULL
   when out of memory. */
struct gw_tls *gw_session_open(struct gw_tls_context *context);
/* One call into BoringSSL: the handshake, or one record. */
GW_MUST_USE enum gw_tls_result gw_session_read(struct gw_tls *tls, struct gw_tls_io *io,
                                               uint8_t *out, size_t out_capacity,
                                               size_t *out_bytes);

/* client.c: reads for an open session whose ticket is due. */
GW_MUST_USE enum gw_tls_result gw_client_read(struct gw_tls *tls, struct gw_tls_io *io,
                                              uint8_t *out, size_t out_capacity, size_t *out_bytes);
/* Why this end does not take the peer's certificate, of a handshake that failed with `error`; NULL
   when that was not it. */
const char *gw_client_distrust(const SSL *ssl, uint32_t error);

/* RFC 8446 6 */
enum gw_tls_alert {
    GW_ALERT_CLOSE_NOTIFY = 0,
    GW_ALERT_UNEXPECTED_MESSAGE = 10,
    GW_ALERT_BAD_RECORD_MAC = 20,
    GW_ALERT_RECORD_OVERFLOW = 22,
    GW_ALERT_ILLEGAL_PARAMETER = 47,
    GW_ALERT_DECODE_ERROR = 50,
    GW_ALERT_PROTOCOL_VERSION = 70,
    GW_ALERT_INTERNAL_ERROR = 80,
    GW_ALERT_USER_CANCELED = 90,
    GW_ALERT_NO_RENEGOTIATION = 100,
};

/* handover.c: the secrets of TLS 1.3, as the handshake reveals them, and the end of the SSL object.
 */
void gw_handover_watch(SSL_CTX *ctx);
/*
 * Moves the keys of a session that has just become OPEN out of its SSL object, of which nothing was
 * read, and frees that. The session stays as it was where that cannot be done.
 */
void gw_handover(struct gw_tls *tls);
void gw_handover_forgo(struct gw_tls *tls);    /* it will keep its SSL object: no secrets wait */
void gw_handover_ssl_free(struct gw_tls *tls); /* the SSL object, and secrets that wait beside it */

/* record.c: the same faces as in gw/tls/tls.h, for lean sessions that are OPEN or SHUT. */
GW_MUST_USE enum gw_tls_result gw_record_read(struct gw_tls *tls, struct gw_tls_io *io,
                                              uint8_t *out, size_t out_capacity, size_t *out_bytes);
GW_MUST_USE bool gw_record_seal(struct gw_tls *tls, struct gw_tls_io *io,
                                struct gw_bytes plaintext);
void gw_record_shutdown(struct gw_tls *tls, struct gw_tls_io *io);
/* Keys and partial record go back to the pool; twice is fine. */
void gw_record_release(struct gw_tls *tls);

/* Sets tls->failure and its kind; what stood in its place must be gone. */
void gw_tls_failure_put(struct gw_tls *tls, enum gw_tls_failure_kind kind, const char *text);
void gw_tls_failure_put_alert(struct gw_tls *tls, uint8_t alert); /* one the peer sent */
/* What the error queue holds after a failed call, packed; 0: nothing. */
uint32_t gw_tls_failure_take(void);
/* Names it, in tls->failure and tls->failure_kind. */
void gw_tls_failure_set(struct gw_tls *tls, uint32_t packed);

#endif
