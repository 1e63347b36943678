/*
 * Sockets and TLS of the swarm. One BIO is shared by all connections of a thread: before a call
 * into BoringSSL it is loaded with what the socket gave, and after it what it collected goes to the
 * socket, so a wake-up costs one recv and at most one send whatever BoringSSL does in between.
 *
 * L1: `in` holds bytes of link `reader` only, and is emptied before another link is read.
 * L2: `out` is empty between calls into this file.
 */
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <gw/base/assert.h>

enum { IO_BYTES = 32768, PLAINTEXT_BYTES = 16384, BACKLOG_BYTES_MAX = 16384 };

struct swarm_backlog {
    size_t start, end, capacity;
    uint8_t bytes[];
};

struct swarm_links {
    const struct swarm_options *options;
    SSL_CTX *tls;
    BIO *bio;
    BIO_METHOD *bio_method;
    const struct swarm_link *reader;
    bool drained; /* the last recv for `reader` took all there was */
    size_t in_start, in_end, out_bytes;
    char failure[256];
    uint8_t in[IO_BYTES];
    uint8_t out[IO_BYTES];
    uint8_t plaintext[PLAINTEXT_BYTES];
};

static int on_bio_read(BIO *bio, char *out, int capacity)
{
    struct swarm_links *links = BIO_get_data(bio);
    size_t bytes = links->in_end - links->in_start;

    BIO_clear_retry_flags(bio);
    if (bytes == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    bytes = gw_min_u64(bytes, (size_t)capacity);
    memcpy(out, links->in + links->in_start, bytes);
    links->in_start += bytes;
    return (int)bytes;
}

static int on_bio_write(BIO *bio, const char *in, int bytes)
{
    struct swarm_links *links = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    /* A client's flight is below 4 KiB and a write of ours below 5 KiB. */
    gw_assert((size_t)bytes <= IO_BYTES - links->out_bytes);
    memcpy(links->out + links->out_bytes, in, (size_t)bytes);
    links->out_bytes += (size_t)bytes;
    return bytes;
}

static long on_bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static bool is_address(const char *host)
{
    uint8_t scratch[16];

    return inet_pton(AF_INET, host, scratch) == 1 || inet_pton(AF_INET6, host, scratch) == 1;
}

/* The name or address that the gateway's certificate must carry. */
static bool expect_host(SSL_CTX *tls, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(tls);

    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    return X509_VERIFY_PARAM_set1_host(param, host, strlen(host)) == 1;
}

static bool create_tls(struct swarm_links *links, char *why, size_t why_bytes)
{
    const struct swarm_options *options = links->options;

    links->tls = SSL_CTX_new(TLS_method());
    links->bio_method = BIO_meth_new(0, "swarm");
    if (links->tls == NULL || links->bio_method == NULL ||
        !BIO_meth_set_read(links->bio_method, on_bio_read) ||
        !BIO_meth_set_write(links->bio_method, on_bio_write) ||
        !BIO_meth_set_ctrl(links->bio_method, on_bio_control) ||
        (links->bio = BIO_new(links->bio_method)) == NULL ||
        !SSL_CTX_set_min_proto_version(links->tls, options->tls_version_min) ||
        !SSL_CTX_set_max_proto_version(links->tls, options->tls_version_max)) {
        snprintf(why, why_bytes, "out of memory");
        return false;
    }
    BIO_set_data(links->bio, links);
    BIO_set_init(links->bio, 1);
    SSL_CTX_set_session_cache_mode(links->tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(links->tls, SSL_OP_NO_TICKET); /* stock firmware never resumes */
    if (options->insecure)
        return true;
    SSL_CTX_set_verify(links->tls, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(links->tls, options->ca, NULL) != 1) {
        snprintf(why, why_bytes, "%s: no PEM certificate could be read", options->ca);
        return false;
    }
    if (!expect_host(links->tls, options->host)) {
        snprintf(why, why_bytes, "%s: no host name or address", options->host);
        return false;
    }
    return true;
}

bool swarm_links_create(const struct swarm_options *options, struct swarm_links **out, char *why,
                        size_t why_bytes)
{
    struct swarm_links *links = calloc(1, sizeof *links);

    *out = NULL;
    if (links == NULL) {
        snprintf(why, why_bytes, "out of memory");
        return false;
    }
    links->options = options;
    if (options->tls && !create_tls(links, why, why_bytes)) {
        swarm_links_destroy(links);
        return false;
    }
    *out = links;
    return true;
}

void swarm_links_destroy(struct swarm_links *links)
{
    if (links == NULL)
        return;
    SSL_CTX_free(links->tls);
    BIO_free(links->bio);
    BIO_meth_free(links->bio_method);
    free(links);
}

/* Source number n is the n-th address of 127.0.0.0/8; its port is chosen when the peer is known, so
   that each address has all ports towards each peer. */
static int bind_source(int fd, uint32_t source)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int one = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + source);
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return -errno;
    return 0;
}

static int open_socket(const struct swarm_options *options, uint32_t source, int *out)
{
    int one = 1, err = 0;
    int fd = socket(options->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (source != 0)
        err = bind_source(fd, source);
    if (err == 0 &&
        connect(fd, (const struct sockaddr *)&options->address, options->address_bytes) != 0 &&
        errno != EINPROGRESS)
        err = -errno;
    if (err != 0)
        close(fd);
    else
        *out = fd;
    return err;
}

int swarm_link_open(struct swarm_links *links, struct swarm_link *link, uint32_t source)
{
    int err = open_socket(links->options, source, &link->fd);

    if (err != 0 || links->tls == NULL)
        return err;
    link->ssl = SSL_new(links->tls);
    if (link->ssl == NULL) {
        swarm_link_close(links, link, false);
        return -ENOMEM;
    }
    SSL_set_shed_handshake_config(link->ssl, 1);
    SSL_set_connect_state(link->ssl);
    BIO_up_ref(links->bio);
    SSL_set_bio(link->ssl, links->bio, links->bio);
    if (!is_address(links->options->host))
        SSL_set_tlsext_host_name(link->ssl, links->options->host);
    return 0;
}

static enum swarm_link_result of_errno(int err)
{
    switch (err) {
    case EAGAIN:
    case ENOTCONN: /* still connecting */
    case EINTR:
        return SWARM_LINK_WANT;
    case ECONNREFUSED:
        return SWARM_LINK_REFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ETIMEDOUT:
        return SWARM_LINK_UNREACHABLE;
    default:
        return SWARM_LINK_RESET;
    }
}

enum swarm_link_result swarm_link_connected(struct swarm_link *link)
{
    int err = 0;
    socklen_t bytes = sizeof err;

    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &err, &bytes) != 0)
        err = errno;
    if (err == 0)
        link->established = link->ssl == NULL;
    return err == 0 ? SWARM_LINK_WANT : of_errno(err);
}

static bool keep(struct swarm_link *link, const uint8_t *bytes, size_t count)
{
    struct swarm_backlog *log = link->backlog;

    if (log == NULL || log->capacity - log->end < count) {
        size_t held = log == NULL ? 0 : log->end - log->start;
        struct swarm_backlog *grown = malloc(sizeof *grown + held + count + 2048);

        if (grown == NULL)
            return false;
        *grown = (struct swarm_backlog){.end = held, .capacity = held + count + 2048};
        if (held > 0)
            memcpy(grown->bytes, log->bytes + log->start, held);
        free(log);
        link->backlog = log = grown;
    }
    memcpy(log->bytes + log->end, bytes, count);
    log->end += count;
    return true;
}

/* Sends `out`, keeping what the socket does not take. */
static enum swarm_link_result send_out(struct swarm_links *links, struct swarm_link *link)
{
    size_t bytes = links->out_bytes;
    ssize_t sent = 0;

    links->out_bytes = 0;
    if (bytes == 0)
        return SWARM_LINK_WANT;
    if (link->backlog == NULL) {
        sent = send(link->fd, links->out, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && of_errno(errno) != SWARM_LINK_WANT)
            return of_errno(errno);
        sent = sent < 0 ? 0 : sent;
    }
    if ((size_t)sent < bytes && !keep(link, links->out + sent, bytes - (size_t)sent))
        return SWARM_LINK_RESET;
    return SWARM_LINK_WANT;
}

enum swarm_link_result swarm_link_flush(struct swarm_links *links, struct swarm_link *link)
{
    struct swarm_backlog *log = link->backlog;
    ssize_t sent;

    (void)links;
    if (log == NULL)
        return SWARM_LINK_WANT;
    sent =
        send(link->fd, log->bytes + log->start, log->end - log->start, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return of_errno(errno);
    log->start += (size_t)sent;
    if (log->start == log->end) {
        free(log);
        link->backlog = NULL;
    }
    return SWARM_LINK_WANT;
}

bool swarm_link_has_room(const struct swarm_link *link)
{
    return link->backlog == NULL || link->backlog->end - link->backlog->start < BACKLOG_BYTES_MAX;
}

/* What an SSL call that returned `result` means; sends what it left, an alert for instance. */
static enum swarm_link_result after_tls(struct swarm_links *links, struct swarm_link *link,
                                        int result)
{
    int error = SSL_get_error(link->ssl, result);
    long verdict = SSL_get_verify_result(link->ssl);
    uint32_t code = ERR_peek_error();
    enum swarm_link_result sent = send_out(links, link);

    if (sent != SWARM_LINK_WANT)
        return sent;
    switch (error) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return SWARM_LINK_WANT;
    case SSL_ERROR_ZERO_RETURN:
        return SWARM_LINK_ENDED;
    default:
        break;
    }
    if (!link->established && !links->options->insecure && verdict != X509_V_OK) {
        snprintf(links->failure, sizeof links->failure, "%s",
                 X509_verify_cert_error_string(verdict));
        return SWARM_LINK_CERTIFICATE;
    }
    ERR_error_string_n(code, links->failure, sizeof links->failure);
    return SWARM_LINK_TLS;
}

void swarm_link_begin(struct swarm_links *links, const struct swarm_link *link)
{
    gw_assert(links->in_start == links->in_end || links->reader != link);
    links->reader = link; /* L1 */
    links->in_start = links->in_end = 0;
    links->drained = false;
}

/* Fills `in` for the link. DATA when there is something to feed. */
static enum swarm_link_result receive(struct swarm_links *links, struct swarm_link *link,
                                      bool ended)
{
    ssize_t got;

    if (links->in_start < links->in_end)
        return SWARM_LINK_DATA;
    if (links->drained && !ended) /* what comes later raises an event of its own */
        return SWARM_LINK_WANT;
    links->in_start = links->in_end = 0;
    got = recv(link->fd, links->in, sizeof links->in, MSG_DONTWAIT);
    if (got < 0)
        return of_errno(errno);
    links->drained = (size_t)got < sizeof links->in;
    links->in_end = (size_t)got;
    return got == 0 ? SWARM_LINK_ENDED : SWARM_LINK_DATA;
}

static enum swarm_link_result read_tls(struct swarm_links *links, struct swarm_link *link,
                                       struct gw_bytes *plaintext)
{
    int result;

    ERR_clear_error();
    if (!link->established) {
        result = SSL_do_handshake(link->ssl);
        if (result != 1)
            return after_tls(links, link, result);
        link->established = true;
        return send_out(links, link);
    }
    result = SSL_read(link->ssl, links->plaintext, PLAINTEXT_BYTES);
    if (result <= 0)
        return after_tls(links, link, result);
    *plaintext = gw_bytes_of(links->plaintext, (size_t)result);
    return SWARM_LINK_DATA;
}

enum swarm_link_result swarm_link_read(struct swarm_links *links, struct swarm_link *link,
                                       bool ended, struct gw_bytes *plaintext)
{
    enum swarm_link_result result = swarm_link_flush(links, link);
    bool begins;

    if (result != SWARM_LINK_WANT)
        return result;
    gw_assert(links->reader == link);
    for (;;) {
        result = receive(links, link, ended);
        begins = link->ssl != NULL && !link->established;
        if (result != SWARM_LINK_DATA && !(result == SWARM_LINK_WANT && begins))
            return result;
        if (link->ssl == NULL) {
            *plaintext = gw_bytes_of(links->in, links->in_end);
            links->in_start = links->in_end;
            return SWARM_LINK_DATA;
        }
        if (result == SWARM_LINK_WANT) /* the ClientHello goes out without input */
            return read_tls(links, link, plaintext);
        result = read_tls(links, link, plaintext);
        if (result != SWARM_LINK_WANT || (begins && link->established))
            return result;
    }
}

bool swarm_link_write(struct swarm_links *links, struct swarm_link *link, struct gw_bytes plaintext)
{
    gw_assert(links->out_bytes == 0 && plaintext.size > 0 && plaintext.size <= 4096); /* L2 */
    if (link->ssl != NULL) {
        ERR_clear_error();
        if (SSL_write(link->ssl, plaintext.data, (int)plaintext.size) <= 0) {
            links->out_bytes = 0;
            return false;
        }
    } else {
        memcpy(links->out, plaintext.data, plaintext.size);
        links->out_bytes = plaintext.size;
    }
    return send_out(links, link) == SWARM_LINK_WANT;
}

void swarm_link_close(struct swarm_links *links, struct swarm_link *link, bool politely)
{
    if (links->reader == link)
        links->reader = NULL;
    if (politely && link->established && link->ssl != NULL) {
        ERR_clear_error();
        (void)SSL_shutdown(link->ssl);
        (void)send_out(links, link);
    }
    links->out_bytes = 0;
    SSL_free(link->ssl);
    free(link->backlog);
    if (link->fd >= 0)
        close(link->fd);
    *link = SWARM_LINK_CLOSED;
}

uint16_t swarm_link_version(const struct swarm_link *link)
{
    return link->ssl == NULL ? 0 : (uint16_t)SSL_version(link->ssl);
}

const char *swarm_links_failure(const struct swarm_links *links)
{
    return links->failure;
}
