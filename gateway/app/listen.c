/*
 * Listening sockets: one per address and shard, all bound to the same port with SO_REUSEPORT, so
 * that the kernel spreads connections and shards share no queue. What is set here is inherited by
 * every connection.
 *
 * SO_REUSEPORT would also let a second gateway of the same user bind the port and take half of the
 * devices, without a word. So each address is first bound alone, which fails when anybody has it.
 */
#include "gateway_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gw/base/log.h>

/* The ports of a killed gateway stay taken until its ring is torn down: some 250 ms. */
enum { BIND_TRIES = 40, BIND_AGAIN_MS = 50 };

static int set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : -errno;
}

static int socket_for(const struct gw_address *address)
{
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    (void)set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address->storage.ss_family == AF_INET6)
        (void)set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    return fd;
}

/* Is the address free? Gives it its port where the kernel chooses one. */
static int probe(struct gw_address *address)
{
    int fd = socket_for(address);
    int err = 0;

    if (fd < 0)
        return fd;
    address->bytes = address->storage.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                            : sizeof(struct sockaddr_in);
    if (bind(fd, (const struct sockaddr *)&address->storage, address->bytes) != 0 ||
        getsockname(fd, (struct sockaddr *)&address->storage, &address->bytes) != 0)
        err = -errno;
    (void)close(fd);
    return err;
}

static int probe_patiently(struct gw_address *address)
{
    const struct timespec again = {.tv_nsec = BIND_AGAIN_MS * 1000000L};
    int err = probe(address);

    for (int i = 0; i < BIND_TRIES && err == -EADDRINUSE; i++) {
        (void)nanosleep(&again, NULL);
        err = probe(address);
    }
    return err;
}

static int listen_on(const struct gw_config *config, const struct gw_address *address)
{
    int fd = socket_for(address);
    int err;

    if (fd < 0)
        return fd;
    if ((err = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1)) != 0)
        goto fail;
    (void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (config->tcp_user_timeout_s != 0)
        (void)set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)config->tcp_user_timeout_s * 1000);
    if (config->tcp_receive_buffer_bytes != 0)
        (void)set_int(fd, SOL_SOCKET, SO_RCVBUF, (int)config->tcp_receive_buffer_bytes);
    if (config->tcp_congestion != NULL &&
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, config->tcp_congestion,
                   (socklen_t)strlen(config->tcp_congestion)) != 0)
        gw_log(GW_LOG_WARN, "congestion_control_unknown",
               GW_TEXT("tcp.congestion", config->tcp_congestion),
               GW_TEXT("error", strerror(errno)));
    if (bind(fd, (const struct sockaddr *)&address->storage, address->bytes) != 0 ||
        listen(fd, (int)config->listen_backlog) != 0) {
        err = -errno;
        goto fail;
    }
    return fd;

fail:
    (void)close(fd);
    return err;
}

static int open_row(const struct gw_config *config, uint32_t shards, struct listener *row)
{
    int err = probe_patiently(&row->address);

    for (uint32_t i = 0; i < shards && err == 0; i++) {
        int fd = listen_on(config, &row->address);

        if (fd < 0)
            err = fd;
        else
            row->fds[i] = fd;
    }
    return err;
}

static void close_row(struct listener *row, uint32_t shards)
{
    for (uint32_t i = 0; row->fds != NULL && i < shards; i++)
        if (row->fds[i] >= 0)
            (void)close(row->fds[i]);
    free(row->fds);
    row->fds = NULL;
}

static void set_port(struct gw_address *address, uint16_t port)
{
    if (address->storage.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&address->storage)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)&address->storage)->sin_port = htons(port);
}

static int explain(const struct gw_address *address, int err, char *why)
{
    char text[GW_ADDRESS_TEXT_BYTES];

    gw_address_format(address, text);
    (void)snprintf(why, WHY_BYTES, "cannot listen on %s: %s%s", text, strerror(-err),
                   err == -EADDRINUSE ? "; another program has this port"
                   : err == -EACCES   ? "; ports below 1024 need CAP_NET_BIND_SERVICE"
                                      : "");
    return err == -EACCES || err == -EPERM ? EXIT_PERMISSION
           : err == -EADDRINUSE            ? EXIT_BUSY
                                           : EXIT_SYSTEM;
}

int listeners_open(const struct gw_config *config, uint32_t shards, struct listeners *out,
                   char *why)
{
    *out = (struct listeners){.shards = shards};
    for (uint32_t i = 0; i < config->listener_count; i++) {
        struct listener *row = &out->rows[i];

        *row = (struct listener){.address = config->listeners[i].address,
                                 .tls = config->listeners[i].tls};
        out->count = i + 1;
        row->fds = malloc(shards * sizeof *row->fds);
        if (row->fds == NULL) {
            (void)snprintf(why, WHY_BYTES, "out of memory for %u listeners", shards);
            listeners_close(out);
            return EXIT_SYSTEM;
        }
        for (uint32_t shard = 0; shard < shards; shard++)
            row->fds[shard] = -1;
        int err = open_row(config, shards, row);

        if ((err == -EADDRINUSE || err == -EACCES) && config->listeners_are_default) {
            gw_log(GW_LOG_WARN, "listening_on_fallback", GW_U64("port", row->tls ? 443 : 80),
                   GW_TEXT("error", strerror(-err)), GW_U64("instead", row->tls ? 9443 : 8080));
            set_port(&row->address, row->tls ? 9443 : 8080);
            err = open_row(config, shards, row);
        }
        if (err == -EAFNOSUPPORT && config->listeners_are_default) {
            close_row(row, shards); /* a host without IPv6 */
            row->fds = NULL;
            continue;
        }
        if (err != 0) {
            int code = explain(&row->address, err, why);

            listeners_close(out);
            return code;
        }
    }
    return EXIT_OK;
}

void listeners_close(struct listeners *listeners)
{
    for (uint32_t i = 0; i < listeners->count; i++)
        close_row(&listeners->rows[i], listeners->shards);
    listeners->count = 0;
}
