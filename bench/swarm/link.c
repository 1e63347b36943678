/*
 * Sockets and TLS of the swarm. A call into TLS is given what the socket gave, and what it leaves
 * in the output goes to the socket, so a wake-up costs one recv and at most one send.
 *
 * L1: `in` holds bytes of link `reader` only, and is emptied before another link is read.
 * L2: `out` is empty between calls into this file.
 */
#include "link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gw/base/assert.h>
#include <gw/tls/client.h>

enum { IN_BYTES = 32768, BACKLOG_BYTES_MAX = 16384 };

struct swarm_backlog {
    size_t start, end, capacity;
    uint8_t bytes[];
};

struct swarm_links {
    const struct swarm_options *options;
    struct gw_tls_context *tls; /* NULL in plain */
    const struct swarm_link *reader;
    bool drained; /* the last recv for `reader` took all there was */
    size_t in_start, in_end, out_bytes;
    char failure[256];
    uint8_t in[IN_BYTES];
    uint8_t out[GW_TLS_OUT_BYTES_MAX];
    uint8_t plaintext[GW_TLS_PLAINTEXT_BYTES_MAX];
};

static bool create_tls(struct swarm_links *links, uint32_t links_max, char *why, size_t why_bytes)
{
    const struct swarm_options *options = links->options;
    const struct gw_tls_client_options client = {.ca = options->insecure ? NULL : options->ca,
                                                 .host = options->host,
                                                 .version_min = options->tls_version_min,
                                                 .version_max = options->tls_version_max,
                                                 .sessions_max = links_max,
                                                 .lean = true};

    return gw_tls_client_create(&client, &links->tls, why, why_bytes) == 0;
}

bool swarm_links_create(const struct swarm_options *options, uint32_t links_max,
                        struct swarm_links **out, char *why, size_t why_bytes)
{
    struct swarm_links *links = calloc(1, sizeof *links);

    *out = NULL;
    if (links == NULL) {
        snprintf(why, why_bytes, "out of memory");
        return false;
    }
    links->options = options;
    if (options->tls && !create_tls(links, links_max, why, why_bytes)) {
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
    gw_tls_context_destroy(links->tls);
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
    if (options->congestion != NULL &&
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, options->congestion,
                   (socklen_t)strlen(options->congestion)) != 0)
        err = -errno;
    if (err == 0 && source != 0)
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
    link->tls = gw_tls_client_open(links->tls, link->resumes, link->ticket);
    if (link->tls == NULL) {
        swarm_link_close(links, link, false);
        return -ENOMEM;
    }
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
        link->established = link->tls == NULL;
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
    link->answered |= got > 0;
    return got == 0 ? SWARM_LINK_ENDED : SWARM_LINK_DATA;
}

static void keep_ticket(struct swarm_links *links, struct swarm_link *link)
{
    struct gw_tls_ticket *ticket = gw_tls_client_ticket(links->tls);

    if (ticket == NULL)
        return;
    gw_tls_ticket_free(link->ticket);
    link->ticket = ticket;
}

static enum swarm_link_result read_tls(struct swarm_links *links, struct swarm_link *link,
                                       struct gw_bytes *plaintext)
{
    struct gw_tls_io io = {
        .in = gw_bytes_of(links->in + links->in_start, links->in_end - links->in_start),
        .out = links->out,
        .out_capacity = sizeof links->out};
    size_t bytes;
    enum gw_tls_result result =
        gw_tls_read(link->tls, &io, links->plaintext, sizeof links->plaintext, &bytes);
    enum swarm_link_result sent;

    links->in_start = links->in_end - io.in.size;
    links->out_bytes = io.out_bytes;
    link->established = gw_tls_is_established(link->tls);
    if (link->resumes)
        keep_ticket(links, link);
    sent = send_out(links, link);
    if (result != GW_TLS_FAILED && sent != SWARM_LINK_WANT)
        return sent;
    switch (result) {
    case GW_TLS_WANT:
        return SWARM_LINK_WANT;
    case GW_TLS_DATA:
        *plaintext = gw_bytes_of(links->plaintext, bytes);
        return SWARM_LINK_DATA;
    case GW_TLS_CLOSED:
        return SWARM_LINK_ENDED;
    case GW_TLS_FAILED:
        break;
    }
    snprintf(links->failure, sizeof links->failure, "%s", gw_tls_failure(link->tls));
    return gw_tls_failure_kind(link->tls) == GW_TLS_FAILURE_CERTIFICATE ? SWARM_LINK_CERTIFICATE
                                                                        : SWARM_LINK_TLS;
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
        begins = link->tls != NULL && !link->established;
        if (result != SWARM_LINK_DATA && !(result == SWARM_LINK_WANT && begins))
            return result;
        if (link->tls == NULL) {
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
    gw_assert(links->out_bytes == 0 && plaintext.size > 0 &&
              plaintext.size <= SWARM_LINK_WRITE_BYTES_MAX); /* L2 */
    if (link->tls != NULL) {
        struct gw_tls_io io = {.out = links->out, .out_capacity = sizeof links->out};

        if (!gw_tls_seal(link->tls, &io, plaintext))
            return false;
        links->out_bytes = io.out_bytes;
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
    if (politely && link->established && link->tls != NULL) {
        struct gw_tls_io io = {.out = links->out, .out_capacity = sizeof links->out};

        gw_tls_shutdown(link->tls, &io);
        links->out_bytes = io.out_bytes;
        (void)send_out(links, link);
    }
    links->out_bytes = 0;
    gw_tls_close(link->tls);
    free(link->backlog);
    if (link->fd >= 0)
        close(link->fd);
    *link = (struct swarm_link){.fd = -1, .resumes = link->resumes, .ticket = link->ticket};
}

void swarm_link_forget_ticket(struct swarm_link *link)
{
    gw_tls_ticket_free(link->ticket);
    link->ticket = NULL;
}

struct swarm_link_facts swarm_link_facts(const struct swarm_link *link)
{
    struct gw_tls_facts facts;

    if (link->tls == NULL)
        return (struct swarm_link_facts){0};
    gw_tls_facts(link->tls, &facts);
    return (struct swarm_link_facts){
        .version = facts.version_number, .resumed = facts.resumed, .bytes = facts.lean_bytes};
}

const char *swarm_links_failure(const struct swarm_links *links)
{
    return links->failure;
}
