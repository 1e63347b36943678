/*
 * A device as the gateway sees one. See client.h.
 */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "process.h"

enum {
    CONNECT_MS = 5000,
    SEND_MS = 30000,
    ANSWER_MS = 5000,
    DRIBBLE_GAP_US = 100, /* long enough for a waiting reader to take one byte alone */
    SHOWN_BYTES = 96,
    SHOWN_ROOM = 2 * SHOWN_BYTES + 32,
};

const char *sys_transport_text(enum sys_transport transport)
{
    static const char *const texts[] = {"plain", "TLS 1.2", "TLS 1.3"};

    return texts[transport];
}

static bool failed(struct sys_client *c, const char *format, ...) GW_PRINTF(2, 3);

static bool failed(struct sys_client *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(c->failure, sizeof c->failure, format, args);
    va_end(args);
    return false;
}

static const char *end_text(enum sys_end end)
{
    static const char *const texts[] = {"open", "closed", "closed without close_notify", "reset"};

    return texts[end];
}

/* Bytes as a failure shows them. The buffer is the caller's: threads fail at the same time. */
static const char *shown(const void *bytes, size_t size, char out[SHOWN_ROOM])
{
    const uint8_t *p = (const uint8_t *)bytes;
    size_t count = size < SHOWN_BYTES ? size : SHOWN_BYTES;

    out[0] = '\0';
    for (size_t i = 0; i < count; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", p[i]);
    if (count < size)
        (void)snprintf(out + 2 * count, SHOWN_ROOM - 2 * count, "... (%zu)", size);
    return size == 0 ? "nothing" : out;
}

size_t sys_hex(const char *text, uint8_t *out, size_t capacity)
{
    size_t count = strlen(text) / 2;

    if (count > capacity || strlen(text) % 2 != 0)
        abort(); /* a test's own table */
    for (size_t i = 0; i < count; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
        char *rest;

        out[i] = (uint8_t)strtoul(pair, &rest, 16);
        if (*rest != '\0')
            abort();
    }
    return count;
}

SSL_CTX *sys_tls_create(const char *ca_path)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

    if (tls == NULL || SSL_CTX_load_verify_locations(tls, ca_path, NULL) != 1 ||
        X509_VERIFY_PARAM_set1_ip_asc(SSL_CTX_get0_param(tls), "127.0.0.1") != 1) {
        ERR_print_errors_fp(stderr);
        abort();
    }
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    return tls;
}

/*
 * Follows the record headers of what came. The version field is no concern: every record of a
 * server that we speak to has one.
 */
static void watch_records(struct sys_client *c, const uint8_t *in, size_t size)
{
    while (size > 0) {
        size_t take;

        if (c->record_left == 0) {
            c->record_header[c->record_header_bytes++] = *in++;
            size--;
            if (c->record_header_bytes == sizeof c->record_header) {
                c->record_header_bytes = 0;
                c->record_left = gw_load_be16(c->record_header + 3);
                if (c->record_header[0] == 23 && c->record_left > c->record_bytes_max)
                    c->record_bytes_max = c->record_left;
            }
            continue;
        }
        take = size < c->record_left ? size : c->record_left;
        c->record_left -= take;
        in += take;
        size -= take;
    }
}

static void keep(struct sys_client *c, const uint8_t *bytes, size_t size)
{
    if (c->in_bytes + size > c->in_capacity) {
        c->in_capacity = (c->in_bytes + size) * 2;
        c->in = (uint8_t *)realloc(c->in, c->in_capacity);
        if (c->in == NULL)
            abort();
    }
    memcpy(c->in + c->in_bytes, bytes, size);
    c->in_bytes += size;
}

static void take(struct sys_client *c, size_t size)
{
    memmove(c->in, c->in + size, c->in_bytes - size);
    c->in_bytes -= size;
}

/* Moves what TLS has decrypted into `in`, and notes a close_notify. */
static void decrypt(struct sys_client *c)
{
    uint8_t room[16384];
    int got;

    ERR_clear_error();
    while ((got = SSL_read(c->ssl, room, sizeof room)) > 0)
        keep(c, room, (size_t)got);
    switch (SSL_get_error(c->ssl, got)) {
    case SSL_ERROR_WANT_READ:
        break;
    case SSL_ERROR_ZERO_RETURN:
        c->notified = true;
        break;
    default:
        ERR_error_string_n(ERR_peek_last_error(), c->failure, sizeof c->failure);
        c->end = SYS_RESET;
    }
}

/* One recv; false when the connection has ended. EAGAIN is no end. */
static bool receive_now(struct sys_client *c)
{
    uint8_t room[16384];
    ssize_t got = recv(c->fd, room, sizeof room, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got < 0) {
        c->end = SYS_RESET;
        return false;
    }
    if (got == 0) {
        c->end = c->ssl == NULL || c->notified ? SYS_CLOSED : SYS_TRUNCATED;
        return false;
    }
    if (c->ssl == NULL) {
        keep(c, room, (size_t)got);
        return true;
    }
    watch_records(c, room, (size_t)got);
    if (BIO_write(SSL_get_rbio(c->ssl), room, (int)got) != (int)got)
        abort();
    if (!SSL_in_init(c->ssl))
        decrypt(c);
    return c->end == SYS_OPEN;
}

bool sys_client_receive(struct sys_client *c, uint32_t ms)
{
    struct pollfd fd = {.fd = c->fd, .events = POLLIN};

    if (c->end != SYS_OPEN || c->fd < 0)
        return false;
    if (poll(&fd, 1, (int)ms) > 0)
        return receive_now(c);
    return true;
}

/*
 * Puts bytes on the wire, in the client's cuts. While the gateway does not read (it may hold us
 * back), what it sends is taken in, so that the two never wait for each other.
 */
static bool write_out(struct sys_client *c, const uint8_t *bytes, size_t size)
{
    uint64_t deadline = sys_now_ms() + sys_ms(SEND_MS);

    while (size > 0) {
        size_t piece = c->cut != 0 && c->cut < size ? c->cut : size;
        ssize_t sent = send(c->fd, bytes, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        struct pollfd fd = {.fd = c->fd, .events = POLLIN | POLLOUT};

        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
            continue;
        }
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            /* What it said before it closed is still to be read. */
            while (c->end == SYS_OPEN && receive_now(c) && poll(&fd, 1, 0) > 0)
                continue;
            return failed(c, "send: %s", strerror(errno));
        }
        if (sys_now_ms() > deadline)
            return failed(c, "the gateway took no bytes for %d s", SEND_MS / 1000);
        if (poll(&fd, 1, 100) > 0 && (fd.revents & POLLIN) != 0 && !receive_now(c))
            return failed(c, "%s while sending", end_text(c->end));
    }
    return true;
}

/* What TLS wants to say. */
static bool flush_tls(struct sys_client *c)
{
    uint8_t room[16384];
    int got;

    while ((got = BIO_read(SSL_get_wbio(c->ssl), room, sizeof room)) > 0)
        if (!write_out(c, room, (size_t)got))
            return false;
    return true;
}

static bool handshake(struct sys_client *c, const struct sys_client_options *options)
{
    uint64_t deadline = sys_now_ms() + sys_ms(CONNECT_MS);
    uint16_t version = options->version;
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

    if (version == 0)
        version = options->transport == SYS_TLS12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    c->ssl = SSL_new(options->tls);
    if (c->ssl == NULL || in == NULL || out == NULL)
        abort();
    BIO_set_mem_eof_return(in, -1);
    BIO_set_mem_eof_return(out, -1);
    SSL_set_bio(c->ssl, in, out);
    if (SSL_set_min_proto_version(c->ssl, version) != 1 ||
        SSL_set_max_proto_version(c->ssl, version) != 1 ||
        (options->session != NULL && SSL_set_session(c->ssl, options->session) != 1))
        abort();
    for (;;) {
        int done, error;

        ERR_clear_error();
        done = SSL_connect(c->ssl);
        if (!flush_tls(c))
            return false;
        if (done == 1) {
            decrypt(c);
            return true;
        }
        error = SSL_get_error(c->ssl, done);
        if (error != SSL_ERROR_WANT_READ) {
            char why[200];

            ERR_error_string_n(ERR_peek_last_error(), why, sizeof why);
            return failed(c, "handshake: %s", why);
        }
        if (sys_now_ms() > deadline)
            return failed(c, "handshake: no end after %d s", CONNECT_MS / 1000);
        if (!sys_client_receive(c, 100))
            return failed(c, "handshake: %s", end_text(c->end));
    }
}

size_t sys_client_hello(SSL_CTX *tls, uint16_t version, uint8_t *out, size_t capacity)
{
    SSL *ssl = SSL_new(tls);
    BIO *in = BIO_new(BIO_s_mem()), *sent = BIO_new(BIO_s_mem());
    int bytes;

    if (ssl == NULL || in == NULL || sent == NULL)
        abort();
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, sent);
    if (SSL_set_min_proto_version(ssl, version) != 1 ||
        SSL_set_max_proto_version(ssl, version) != 1 || SSL_connect(ssl) == 1)
        abort();
    bytes = BIO_read(sent, out, (int)capacity);
    SSL_free(ssl);
    ERR_clear_error();
    if (bytes <= 0 || (size_t)bytes == capacity)
        abort();
    return (size_t)bytes;
}

/* A socket that comes from the address that was asked for, and in `to` where it is to go: the
   machine's own address of the same family. */
static bool open_socket(struct sys_client *c, const struct sys_client_options *options,
                        struct sockaddr_storage *to)
{
    struct sockaddr_storage from = {.ss_family = AF_INET};
    struct sockaddr_in *from_v4 = (struct sockaddr_in *)&from, *to_v4 = (struct sockaddr_in *)to;
    struct sockaddr_in6 *from_v6 = (struct sockaddr_in6 *)&from, *to_v6 = (struct sockaddr_in6 *)to;
    const char *source = options->source;
    bool is_v6 = source != NULL && strchr(source, ':') != NULL;
    int on = 1;

    *to = (struct sockaddr_storage){.ss_family = is_v6 ? AF_INET6 : AF_INET};
    from.ss_family = to->ss_family;
    c->fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return failed(c, "socket: %s", strerror(errno));
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (is_v6) {
        to_v6->sin6_port = htons(options->port);
        to_v6->sin6_addr = in6addr_loopback;
    } else {
        to_v4->sin_port = htons(options->port);
        to_v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    if (source == NULL)
        return true;
    (void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (is_v6) /* one of a whole network that is routed here, none of which has a name */
        (void)setsockopt(c->fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
    if (inet_pton(from.ss_family, source,
                  is_v6 ? (void *)&from_v6->sin6_addr : (void *)&from_v4->sin_addr) != 1 ||
        bind(c->fd, (const struct sockaddr *)&from, is_v6 ? sizeof *from_v6 : sizeof *from_v4) != 0)
        return failed(c, "bind %s: %s", source, strerror(errno));
    return true;
}

static bool connect_to(struct sys_client *c, const struct sys_client_options *options)
{
    struct sockaddr_storage to;
    struct pollfd fd;
    int error = 0;
    socklen_t size = sizeof error;

    if (!open_socket(c, options, &to))
        return false;
    if (connect(c->fd, (struct sockaddr *)&to,
                to.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                         : sizeof(struct sockaddr_in)) != 0 &&
        errno != EINPROGRESS)
        return failed(c, "connect: %s", strerror(errno));
    fd = (struct pollfd){.fd = c->fd, .events = POLLOUT};
    if (poll(&fd, 1, (int)sys_ms(CONNECT_MS)) <= 0)
        return failed(c, "connect: not within %d s", CONNECT_MS / 1000);
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
        return failed(c, "connect: %s", strerror(error));
    return true;
}

static void drop(struct sys_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    SSL_free(c->ssl);
    c->ssl = NULL;
    free(c->in);
    c->in = NULL;
    c->in_bytes = c->in_capacity = 0;
}

bool sys_client_open(struct sys_client *c, const struct sys_client_options *options)
{
    *c = SYS_CLIENT_NONE;
    c->cut = options->cut;
    if (connect_to(c, options) && write_out(c, options->preamble.data, options->preamble.size) &&
        (options->transport == SYS_PLAIN || handshake(c, options)))
        return true;
    drop(c);
    return false;
}

void sys_client_close(struct sys_client *c)
{
    if (c->fd >= 0 && c->ssl != NULL && c->end == SYS_OPEN && !SSL_in_init(c->ssl)) {
        (void)SSL_shutdown(c->ssl);
        (void)flush_tls(c);
    }
    drop(c);
}

void sys_client_cut(struct sys_client *c)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};

    if (c->fd >= 0)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    drop(c);
}

bool sys_client_send(struct sys_client *c, const void *bytes, size_t size)
{
    if (c->fd < 0)
        return failed(c, "not connected");
    if (c->ssl == NULL)
        return write_out(c, (const uint8_t *)bytes, size);
    ERR_clear_error();
    if (SSL_write(c->ssl, bytes, (int)size) != (int)size)
        return failed(c, "SSL_write failed");
    return flush_tls(c);
}

bool sys_client_dribble(struct sys_client *c, const void *bytes, size_t size)
{
    const uint8_t *p = (const uint8_t *)bytes;

    for (size_t i = 0; i < size; i++) {
        if (!sys_client_send(c, p + i, 1))
            return false;
        usleep(DRIBBLE_GAP_US);
    }
    return true;
}

bool sys_client_expect(struct sys_client *c, const void *bytes, size_t size, uint32_t ms)
{
    uint64_t deadline = sys_now_ms() + ms;
    char want[SHOWN_ROOM], seen[SHOWN_ROOM];

    for (;;) {
        size_t common = c->in_bytes < size ? c->in_bytes : size;
        bool same = common == 0 || memcmp(c->in, bytes, common) == 0;

        if (same && common == size) {
            take(c, size);
            return true;
        }
        if (!same || c->end != SYS_OPEN || sys_now_ms() >= deadline)
            return failed(c, "expected %s, got %s, %s after %u ms", shown(bytes, size, want),
                          shown(c->in, c->in_bytes, seen), end_text(c->end),
                          (unsigned)(sys_now_ms() + ms - deadline));
        (void)sys_client_receive(c, 20);
    }
}

bool sys_client_expect_end(struct sys_client *c, uint32_t ms)
{
    uint64_t deadline = sys_now_ms() + ms;
    char seen[SHOWN_ROOM];

    while (c->end == SYS_OPEN && c->in_bytes == 0 && sys_now_ms() < deadline)
        (void)sys_client_receive(c, 20);
    if (c->in_bytes > 0)
        return failed(c, "expected the end, got %s", shown(c->in, c->in_bytes, seen));
    if (c->end == SYS_OPEN)
        return failed(c, "expected the end, still open after %u ms", ms);
    return true;
}

bool sys_client_expect_silence(struct sys_client *c, uint32_t ms)
{
    uint64_t deadline = sys_now_ms() + ms;
    char seen[SHOWN_ROOM];

    while (c->end == SYS_OPEN && c->in_bytes == 0 && sys_now_ms() < deadline)
        (void)sys_client_receive(c, 20);
    if (c->in_bytes > 0 || c->end != SYS_OPEN)
        return failed(c, "expected silence, got %s, %s after %u ms",
                      shown(c->in, c->in_bytes, seen), end_text(c->end),
                      (unsigned)(sys_now_ms() + ms - deadline));
    return true;
}

bool sys_client_frame(struct sys_client *c, struct gw_frame *out, uint32_t ms)
{
    /* The frame stays in `frame_room` while its bytes leave `in`: one frame at a time is enough. */
    static _Thread_local uint8_t frame_room[GW_FRAME_HEADER_BYTES + GW_FRAME_FIELD_BYTES_MAX];
    uint64_t deadline = sys_now_ms() + ms;
    char seen[SHOWN_ROOM];

    for (;;) {
        struct gw_bytes in = gw_bytes_of(c->in, c->in_bytes);
        size_t used = 0;

        if (gw_frame_decode(in, GW_FRAME_FIELD_BYTES_MAX, out, &used) == GW_OK) {
            memcpy(frame_room, c->in, used);
            if (gw_frame_decode(gw_bytes_of(frame_room, used), GW_FRAME_FIELD_BYTES_MAX, out,
                                &used) != GW_OK)
                abort();
            take(c, used);
            return true;
        }
        if (c->end != SYS_OPEN || sys_now_ms() >= deadline)
            return failed(c, "expected a frame, got %s, %s after %u ms",
                          shown(c->in, c->in_bytes, seen), end_text(c->end),
                          (unsigned)(sys_now_ms() + ms - deadline));
        (void)sys_client_receive(c, 20);
    }
}

bool sys_client_send_frame(struct sys_client *c, uint8_t type, uint16_t msg_id, const void *body,
                           size_t size)
{
    struct gw_frame frame = {.type = type, .msg_id = msg_id, .body = gw_bytes_of(body, size)};
    uint8_t *room = (uint8_t *)malloc(gw_frame_bytes(&frame));
    size_t bytes;
    bool sent;

    if (room == NULL)
        abort();
    bytes = gw_frame_encode(room, gw_frame_bytes(&frame), &frame);
    sent = sys_client_send(c, room, bytes);
    free(room);
    return sent;
}

bool sys_client_expect_response(struct sys_client *c, uint16_t msg_id, uint16_t status, uint32_t ms)
{
    struct gw_frame frame = {.type = GW_FRAME_RESPONSE, .msg_id = msg_id, .status = status};
    uint8_t want[GW_FRAME_HEADER_BYTES];

    return sys_client_expect(c, want, gw_frame_encode(want, sizeof want, &frame), ms);
}

bool sys_client_login(struct sys_client *c, const char *token, uint16_t status)
{
    return sys_client_send_frame(c, GW_FRAME_HW_LOGIN, 1, token, strlen(token)) &&
           sys_client_expect_response(c, 1, status, sys_ms(ANSWER_MS));
}

bool sys_client_ping(struct sys_client *c, uint16_t msg_id)
{
    return sys_client_send_frame(c, GW_FRAME_PING, msg_id, NULL, 0) &&
           sys_client_expect_response(c, msg_id, GW_RESPONSE_OK, sys_ms(ANSWER_MS));
}
