/*
 * The smallest server for the clients here: one connection at a time, blocking sockets, gw_tls
 * between. It grants every login, answers what a board waits for, and before it answers a PING it
 * writes one long value down, longer than a board with small buffers takes in one record.
 *
 *     frame_server DIR modern|compat      prints its port; DIR as tollgatectl dev-cert fills it
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gw/tls/tls.h>

enum {
    RESPONSE = 0,
    PING = 6,
    INTERNAL = 17,
    HARDWARE = 20,
    HW_LOGIN = 29,
    HEADER_BYTES = 5,
    DOWNLINK_BYTES = 4000,
};

struct connection {
    int fd;
    struct gw_tls *tls;
    struct gw_tls_io io;
    uint8_t out[GW_TLS_OUT_BYTES_MAX];
    uint8_t frames[65536];
    size_t frame_bytes;
};

static bool send_out(struct connection *c)
{
    size_t at = 0;

    while (at < c->io.out_bytes) {
        const ssize_t n = send(c->fd, c->out + at, c->io.out_bytes - at, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            return false;
        at += n < 0 ? 0 : (size_t)n;
    }
    c->io.out_bytes = 0;
    return true;
}

static bool seal(struct connection *c, const uint8_t *data, size_t size)
{
    return gw_tls_seal(c->tls, &c->io, gw_bytes_of(data, size)) && send_out(c);
}

static bool answer(struct connection *c, const uint8_t *header)
{
    const uint8_t ok[HEADER_BYTES] = {RESPONSE, header[1], header[2], 0, 200};
    static uint8_t downlink[HEADER_BYTES + DOWNLINK_BYTES] = {HARDWARE, 0, 99, DOWNLINK_BYTES >> 8,
                                                              DOWNLINK_BYTES & 0xff};

    switch (header[0]) {
    case PING:
        memset(downlink + HEADER_BYTES, 'x', DOWNLINK_BYTES);
        memcpy(downlink + HEADER_BYTES, "vw\0001", 5);
        return seal(c, downlink, sizeof downlink) && seal(c, ok, sizeof ok);
    case HW_LOGIN:
    case INTERNAL:
        return seal(c, ok, sizeof ok);
    default:
        return true;
    }
}

static bool take_frames(struct connection *c)
{
    size_t at = 0;
    bool alive = true;

    while (alive && c->frame_bytes - at >= HEADER_BYTES) {
        const uint8_t *header = c->frames + at;
        const size_t body = header[0] == RESPONSE ? 0 : gw_load_be16(header + 3);

        if (c->frame_bytes - at < HEADER_BYTES + body)
            break;
        alive = answer(c, header);
        at += HEADER_BYTES + body;
    }
    c->frame_bytes -= at;
    memmove(c->frames, c->frames + at, c->frame_bytes);
    return alive;
}

/* False: the connection is over. */
static bool take_bytes(struct connection *c, const uint8_t *data, size_t size)
{
    static uint8_t plaintext[GW_TLS_PLAINTEXT_BYTES_MAX];
    enum gw_tls_result result;
    size_t n = 0;

    c->io.in = gw_bytes_of(data, size);
    while ((result = gw_tls_read(c->tls, &c->io, plaintext, sizeof plaintext, &n)) == GW_TLS_DATA) {
        if (n > sizeof c->frames - c->frame_bytes)
            return false;
        memcpy(c->frames + c->frame_bytes, plaintext, n);
        c->frame_bytes += n;
        if (!take_frames(c))
            return false;
    }
    return send_out(c) && result == GW_TLS_WANT;
}

static void serve(int fd, struct gw_tls_context *context)
{
    static struct connection c;
    static uint8_t received[4096];
    struct gw_tls_facts facts;
    ssize_t n;

    c = (struct connection){.fd = fd, .tls = gw_tls_open(context)};
    c.io = (struct gw_tls_io){.out = c.out, .out_capacity = sizeof c.out};
    if (c.tls == NULL)
        return;
    do {
        n = recv(fd, received, sizeof received, 0);
    } while (n > 0 && take_bytes(&c, received, (size_t)n));
    gw_tls_facts(c.tls, &facts);
    (void)fprintf(stderr, "server: %s %s %s leaf=%s record_bytes_max=%u %s\n", facts.version,
                  facts.suite, facts.group, facts.ec_leaf ? "ec" : "rsa", facts.record_bytes_max,
                  gw_tls_failure(c.tls));
    gw_tls_close(c.tls);
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 16) != 0 || getsockname(fd, (struct sockaddr *)&address, &address_bytes) != 0) {
        perror("listen");
        return -1;
    }
    printf("%u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    static char paths[4][512];
    static const char *const names[4] = {"rsa.pem", "rsa.key", "ec.pem", "ec.key"};
    struct gw_tls_context *context = NULL;
    char why[256];
    int listener;

    if (argc != 3)
        return 2;
    for (size_t i = 0; i < 4; i++)
        (void)snprintf(paths[i], sizeof paths[i], "%s/%s", argv[1], names[i]);
    if (gw_tls_context_create(&(struct gw_tls_options){.profile = strcmp(argv[2], "compat") == 0
                                                                      ? GW_TLS_COMPAT
                                                                      : GW_TLS_MODERN,
                                                       .rsa_chain = paths[0],
                                                       .rsa_key = paths[1],
                                                       .ec_chain = paths[2],
                                                       .ec_key = paths[3],
                                                       .session_tickets = 1,
                                                       .lean = true},
                              &context, why, sizeof why) != 0) {
        (void)fprintf(stderr, "%s\n", why);
        return 1;
    }
    listener = listen_on_loopback();
    while (listener >= 0) {
        const int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            break;
        serve(fd, context);
        (void)close(fd);
    }
    gw_tls_context_destroy(context);
    return 1;
}
