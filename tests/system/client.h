/*
 * A device as the gateway sees one: a connection, plain or in TLS, whose bytes are sent in the cuts
 * a test wants and whose answers are awaited within a time. Calls return false and leave a sentence
 * in `failure`; they never end the program, so that threads may use them.
 *
 * TLS runs over memory buffers, so a test decides how ciphertext meets the wire, and what the wire
 * carried can be looked at.
 */
#ifndef TESTS_SYSTEM_CLIENT_H
#define TESTS_SYSTEM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>
#include <gw/wire/frame.h>

enum sys_transport { SYS_PLAIN, SYS_TLS12, SYS_TLS13, SYS_TRANSPORTS };

const char *sys_transport_text(enum sys_transport transport);

enum sys_end {
    SYS_OPEN,
    SYS_CLOSED,    /* plain: FIN. TLS: close_notify, then FIN */
    SYS_TRUNCATED, /* TLS: FIN without close_notify           */
    SYS_RESET,
};

struct sys_client_options {
    uint16_t port;
    enum sys_transport transport;
    SSL_CTX *tls;             /* from sys_tls_create; not for SYS_PLAIN                     */
    uint16_t version;         /* 0: what `transport` says; else a protocol version to offer */
    SSL_SESSION *session;     /* NULL, or what to resume; the caller's                    */
    const char *source;       /* NULL, or an address of 127.0.0.0/8 to come from; or one of IPv6,
                                 which then goes to ::1                                     */
    size_t cut;               /* at most so many bytes a send(2); 0: all that there is      */
    struct gw_bytes preamble; /* sent as it is, before TLS and all else */
};

struct sys_client {
    int fd; /* -1: not connected */
    enum sys_end end;
    SSL *ssl;
    size_t cut;
    uint8_t *in; /* plaintext that came and was not expected yet */
    size_t in_bytes, in_capacity;

    /* Of the records that came: where we are in the stream, and the longest of application data. */
    size_t record_header_bytes, record_left;
    size_t record_bytes_max;
    uint8_t record_header[5];

    bool notified; /* close_notify came */

    char failure[1024];
};

#define SYS_CLIENT_NONE ((struct sys_client){.fd = -1})

/* A client's TLS policy: trusts `ca_path` alone and checks that the peer is 127.0.0.1. */
SSL_CTX *sys_tls_create(const char *ca_path);

/*
 * Connects and, in TLS, finishes the handshake. False leaves a client that is closed (but whose
 * `failure` and `end` say why).
 */
GW_MUST_USE bool sys_client_open(struct sys_client *c, const struct sys_client_options *options);

/* Hangs up politely. Closing a closed client is fine. */
void sys_client_close(struct sys_client *c);
/* Cuts the link: a reset, no close_notify. */
void sys_client_cut(struct sys_client *c);

/* What a client of this version says first, for those who say no more. */
size_t sys_client_hello(SSL_CTX *tls, uint16_t version, uint8_t *out, size_t capacity);

/* One TLS record, where it is TLS. */
GW_MUST_USE bool sys_client_send(struct sys_client *c, const void *bytes, size_t size);
/* One byte a record, one record a segment as far as the network lets us. */
GW_MUST_USE bool sys_client_dribble(struct sys_client *c, const void *bytes, size_t size);

/* Exactly these bytes come next. */
GW_MUST_USE bool sys_client_expect(struct sys_client *c, const void *bytes, size_t size,
                                   uint32_t ms);
/* The gateway closes, and sends nothing before it does. */
GW_MUST_USE bool sys_client_expect_end(struct sys_client *c, uint32_t ms);
/* Nothing comes, and the connection stays. */
GW_MUST_USE bool sys_client_expect_silence(struct sys_client *c, uint32_t ms);
/* The next frame, whatever it is; its body lives until the next call. False at the end, too. */
GW_MUST_USE bool sys_client_frame(struct sys_client *c, struct gw_frame *out, uint32_t ms);

/* Frames by what they say. */
GW_MUST_USE bool sys_client_send_frame(struct sys_client *c, uint8_t type, uint16_t msg_id,
                                       const void *body, size_t size);
GW_MUST_USE bool sys_client_expect_response(struct sys_client *c, uint16_t msg_id, uint16_t status,
                                            uint32_t ms);
/* HW_LOGIN with id 1; the answer has `status`. */
GW_MUST_USE bool sys_client_login(struct sys_client *c, const char *token, uint16_t status);
/* PING and its answer, with nothing before it. */
GW_MUST_USE bool sys_client_ping(struct sys_client *c, uint16_t msg_id);

/* Reads hexadecimal text; returns the bytes written (the caller's room is checked). */
size_t sys_hex(const char *text, uint8_t *out, size_t capacity);

/* Takes what has come, without waiting longer than `ms` for more. False once it ended. */
bool sys_client_receive(struct sys_client *c, uint32_t ms);

#endif
