/*
 * TLS for device sessions: ciphertext in, plaintext out, and back. Never sees a descriptor.
 *
 * One gw_tls_context per shard (nothing in it is shared between threads). A session (gw_tls) is fed
 * what the socket gave and asked for plaintext until it wants more; what it has to send is left in
 * the io's output, which the caller takes after each call. A session is an SSL object during
 * the handshake and afterwards, where the suite allows and `lean` is set, little more than its
 * keys.
 *
 *     io.in = bytes from the socket
 *     while ((r = gw_tls_read(tls, &io, room, sizeof room, &n)) == GW_TLS_DATA) use(room, n);
 *     send(io.out, io.out_bytes)
 *
 * This is the server's face; gw/tls/client.h opens sessions of the other end.
 *
 * Versions 1.2 and 1.3 only; no renegotiation, no 0-RTT, no client certificates.
 * Sources: RFC 8446 (TLS 1.3), RFC 5246 (TLS 1.2), RFC 6066 section 4 (max_fragment_length).
 */
#ifndef GW_TLS_TLS_H
#define GW_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/clock.h>
#include <gw/base/defs.h>

struct gw_tls_context; /* certificates and policy; one per shard          */
struct gw_tls;         /* one session                                     */
struct gw_ticket_keys; /* gw/tls/ticket.h                                 */

enum {
    GW_TLS_PLAINTEXT_BYTES_MAX = 16384, /* RFC 8446 5.1 */
    GW_TLS_RECORD_BYTES_MAX = 16384 + 256 + 5,
    /* More than any one call can leave in the output: a server's first flight with both chains, or
       16 KiB of plaintext in records of 512 bytes. */
    GW_TLS_OUT_BYTES_MAX = 32768,
};

enum gw_tls_profile {
    GW_TLS_MODERN, /* ECDHE with AEAD                                                        */
    GW_TLS_COMPAT, /* adds CBC and RSA key exchange, for old boards that have nothing else   */
};

struct gw_tls_options {
    enum gw_tls_profile profile;
    /* PEM files: certificate chain (leaf first) and key. Either pair may be NULL, not both. */
    const char *rsa_chain, *rsa_key;
    const char *ec_chain, *ec_key;
    uint32_t session_tickets; /* TLS 1.3 tickets after a handshake, 4 at most; 0: no resumption */
    uint32_t sessions_max;    /* at once; 0 stands for 65,536. Address space is taken for all.   */
    bool lean;                /* sessions part with their SSL object after the handshake         */
    /* What tickets are sealed with; the context holds it. NULL: a key of the context's own, which
       no other context opens. */
    struct gw_ticket_keys *ticket_keys;
};

/*
 * Reads and checks everything (a key must match its leaf); on failure nothing is created and `why`
 * (at least 256 bytes) says which file and what is wrong with it. 0 or -errno (-EINVAL, -ENOENT).
 */
GW_MUST_USE int gw_tls_context_create(const struct gw_tls_options *options,
                                      struct gw_tls_context **out, char *why, size_t why_bytes);
/*
 * The same for `count` contexts at once: the files are read once, so that all of them show the same
 * certificates whatever happens to the files meanwhile. All are created, or none.
 */
GW_MUST_USE int gw_tls_contexts_create(const struct gw_tls_options *options,
                                       struct gw_tls_context **out, size_t count, char *why,
                                       size_t why_bytes);
/*
 * Sessions keep what they need of it: it may go before them. NULL is fine. A context is made on any
 * thread and handed over; from its first session on, it and they belong to one.
 */
void gw_tls_context_destroy(struct gw_tls_context *context);

/*
 * For the memory plan: what a context takes for `sessions_max` sessions that have parted with their
 * SSL objects, partial records and all; and the most that one of them takes of it. A session with
 * an SSL object takes some 2,650 bytes of the heap besides, 8 KiB while its handshake runs.
 */
uint64_t gw_tls_context_bytes(uint32_t sessions_max);
uint32_t gw_tls_session_bytes(void);

/* For the log and for expiry alarms: which leaf, until when (seconds since 1970), serial in hex. */
struct gw_tls_leaf {
    bool present;
    uint64_t not_after_s;
    char serial[65];
    char subject[128];
    char root[128];     /* subject of the root that the chain ends in, or is to be continued with */
    char root_key[129]; /* that root's key identifier in hex; "" where the chain names none     */
    bool root_is_rsa;   /* the root signs with an RSA key                                       */
};
void gw_tls_context_leaves(const struct gw_tls_context *context, struct gw_tls_leaf *rsa,
                           struct gw_tls_leaf *ec);
/*
 * A ClientHello does not say which roots its sender trusts, and a small client that takes an EC
 * leaf may know RSA roots alone: both leaves should chain to one RSA root. False, with `why` (at
 * least 512 bytes), when two leaves are there and do not.
 */
bool gw_tls_leaves_fit(const struct gw_tls_leaf *rsa, const struct gw_tls_leaf *ec, char *why,
                       size_t why_bytes);

/* What a session reads from and writes to during one call. */
struct gw_tls_io {
    struct gw_bytes in; /* ciphertext not read yet; advanced by the call                    */
    uint8_t *out;       /* the caller's room, GW_TLS_OUT_BYTES_MAX                          */
    size_t out_capacity;
    size_t out_bytes; /* filled part of it: to be sent, in order, before anything later   */
    /* Of the call. Where it is 0, what is counted per minute is not limited.             */
    struct gw_instant now;
};

enum gw_tls_result {
    GW_TLS_WANT,   /* all input is consumed, more is needed                                  */
    GW_TLS_DATA,   /* plaintext was produced; call again                                     */
    GW_TLS_CLOSED, /* the peer said close_notify; ours is in the output; io->in is dropped   */
    GW_TLS_FAILED, /* fatal; the alert, if one is due, is in the output; io->in is dropped   */
};

/* NULL when out of memory or beyond sessions_max. Released by gw_tls_close. */
GW_MUST_USE struct gw_tls *gw_tls_open(struct gw_tls_context *context);
void gw_tls_close(struct gw_tls *tls); /* NULL is fine; keys are cleansed */

/*
 * Moves the session forward over io->in: handshake, alerts, and at most one record of plaintext
 * into out[0..out_capacity) (out_capacity >= GW_TLS_PLAINTEXT_BYTES_MAX), *out_bytes > 0 for DATA.
 */
GW_MUST_USE enum gw_tls_result gw_tls_read(struct gw_tls *tls, struct gw_tls_io *io, uint8_t *out,
                                           size_t out_capacity, size_t *out_bytes);

/*
 * Protects plaintext (at most GW_TLS_PLAINTEXT_BYTES_MAX) as one record, or as several of what the
 * peer's max_fragment_length allows, behind io->out_bytes. Only once established.
 * False: out of sequence numbers, memory or room; the session must be closed.
 */
GW_MUST_USE bool gw_tls_seal(struct gw_tls *tls, struct gw_tls_io *io, struct gw_bytes plaintext);

/* Puts close_notify into the output, if the handshake got that far. */
void gw_tls_shutdown(struct gw_tls *tls, struct gw_tls_io *io);

/* The handshake has ended well; stays true whatever comes later. */
bool gw_tls_is_established(const struct gw_tls *tls);

/* Facts for log lines and counters; texts are static. */
struct gw_tls_facts {
    const char *version;     /* "TLSv1.3"                                                        */
    uint16_t version_number; /* as on the wire                                               */
    const char *suite;       /* "TLS_AES_128_GCM_SHA256"                                         */
    const char *group;       /* "X25519", or "" for RSA key exchange                             */
    bool resumed;
    bool ec_leaf;
    bool lean;                 /* lives without an SSL object: some 160 bytes, not 2,500     */
    uint16_t lean_bytes;       /* of memory, where it is lean                                */
    uint16_t record_bytes_max; /* what max_fragment_length asked for, else 16384             */
};
void gw_tls_facts(const struct gw_tls *tls, struct gw_tls_facts *out);

/*
 * Why it failed, in words an operator can act on ("peer offers no suite of the modern profile; see
 * tls.profile", "peer does not trust this certificate: alert unknown_ca"). Static or valid until
 * the session is closed.
 */
const char *gw_tls_failure(const struct gw_tls *tls);

/* Classes of failure, for counters. */
enum gw_tls_failure_kind {
    GW_TLS_FAILURE_NONE,
    GW_TLS_FAILURE_VERSION,     /* 1.1 or older                           */
    GW_TLS_FAILURE_NO_SUITE,    /* nothing in common                      */
    GW_TLS_FAILURE_PEER_ALERT,  /* the peer refused us                    */
    GW_TLS_FAILURE_NOT_TLS,     /* first bytes are no ClientHello         */
    GW_TLS_FAILURE_RECORD,      /* bad record, bad MAC, overflow          */
    GW_TLS_FAILURE_CERTIFICATE, /* a client does not trust the peer's     */
    GW_TLS_FAILURE_OTHER,
};
enum gw_tls_failure_kind gw_tls_failure_kind(const struct gw_tls *tls);

#endif
