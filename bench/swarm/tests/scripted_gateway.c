#include "scripted_gateway.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gw/wire/frame.h>

static void put_frame(const struct scripted_gateway *gateway, int fd, const struct gw_frame *frame)
{
    uint8_t out[512];
    size_t bytes = gw_frame_encode(out, sizeof out, frame);
    size_t step = gateway->script.byte_by_byte ? 1 : bytes;

    for (size_t at = 0; at < bytes; at += step)
        (void)send(fd, out + at, step, MSG_NOSIGNAL);
}

static void answer(const struct scripted_gateway *gateway, int fd, uint16_t id, uint16_t status)
{
    put_frame(gateway, fd,
              &(struct gw_frame){.type = GW_FRAME_RESPONSE, .msg_id = id, .status = status});
}

/* Bodies that are writes, one that is none, and a value that is too long to be shown whole. */
static void tell(const struct scripted_gateway *gateway, int fd)
{
    static const char hello[] = "vw\0002\0hello", several[] = "dw\0007\0red\0\x1b\0\xc2\xb0";
    char longer[5 + 201] = "vw\0003";
    const struct gw_bytes bodies[] = {gw_bytes_of(hello, sizeof hello - 1),
                                      gw_bytes_of(several, sizeof several - 1), gw_bytes_text("pm"),
                                      gw_bytes_of(longer, sizeof longer)};

    memset(longer + 5, 'x', sizeof longer - 5);
    for (size_t i = 0; i < GW_ARRAY_COUNT(bodies); i++)
        put_frame(gateway, fd,
                  &(struct gw_frame){
                      .type = GW_FRAME_HARDWARE, .msg_id = (uint16_t)(i + 1), .body = bodies[i]});
}

/* False: the connection is over. */
static bool on_frame(struct scripted_gateway *gateway, struct scripted_peer *peer,
                     const struct gw_frame *frame)
{
    peer->frames++;
    switch (frame->type) {
    case GW_FRAME_HW_LOGIN:
        answer(gateway, peer->fd, frame->msg_id, gateway->script.login_status);
        break;
    case GW_FRAME_INTERNAL:
        if (gateway->script.speaks_id_zero)
            answer(gateway, peer->fd, 0, 200);
        answer(gateway, peer->fd, frame->msg_id, 200);
        if (gateway->script.tells)
            tell(gateway, peer->fd);
        break;
    case GW_FRAME_PING:
        if (peer->pongs++ < gateway->script.pongs)
            answer(gateway, peer->fd, frame->msg_id, 200);
        break;
    case GW_FRAME_HARDWARE: /* "vw", pin, value, with NULs between them */
        gateway->updates++;
        gateway->of_pin[strtoul((const char *)frame->body.data + 3, NULL, 10) % PINS]++;
        break;
    default:
        break;
    }
    return gateway->script.frames == 0 || peer->frames < gateway->script.frames;
}

static void say(const struct scripted_peer *peer, const void *bytes, size_t count)
{
    (void)send(peer->fd, bytes, count, MSG_NOSIGNAL);
}

/* An update arrived, with QoS 1 if there is an id. */
static void on_update(struct scripted_gateway *gateway, struct scripted_peer *peer,
                      const uint8_t *id)
{
    unsigned late = gateway->script.late_acks;

    gateway->updates++;
    peer->updates++;
    if (id != NULL) {
        gateway->asked++;
        if (peer->asked < LATE_ACKS_MAX)
            memcpy(peer->acks[peer->asked++], (uint8_t[]){0x40, 2, id[0], id[1]}, 4);
        if (late == 0)
            say(peer, (uint8_t[]){0x40, 2, id[0], id[1]}, 4);
    }
    if (late != 0 && peer->updates == LATE_UPDATES)
        say(peer, peer->acks, 4 * (size_t)late);
}

/* One MQTT packet; the device's are shorter than 128 bytes, so the length is one. */
static void on_packet(struct scripted_gateway *gateway, struct scripted_peer *peer,
                      const uint8_t *packet)
{
    switch (packet[0]) {
    case 0x10:
        say(peer, (uint8_t[]){0x20, 2, 0, gateway->script.connack}, 4);
        break;
    case 0x30:
        on_update(gateway, peer, NULL);
        break;
    case 0x32: /* QoS 1: the id stands behind the topic */
        on_update(gateway, peer, packet + 4 + packet[3]);
        break;
    case 0xc0:
        say(peer, (uint8_t[]){0xd0, 0}, 2);
        break;
    case 0xe0:
        gateway->goodbyes++;
        break;
    default:
        gateway->strange++;
        break;
    }
}

static bool take_packets(struct scripted_gateway *gateway, struct scripted_peer *peer)
{
    while (peer->bytes >= 2 && peer->bytes >= 2u + peer->in[1]) {
        size_t used = 2u + peer->in[1];

        on_packet(gateway, peer, peer->in);
        peer->bytes -= used;
        memmove(peer->in, peer->in + used, peer->bytes);
    }
    return true;
}

/* Requests without bodies. */
static bool take_requests(struct scripted_gateway *gateway, struct scripted_peer *peer)
{
    static const char question[] = "GET /external/api/isHardwareConnected?token=xw7ITVneg1DifRRQ";
    const uint8_t *end;

    while (peer->bytes > 0 && (end = memmem(peer->in, peer->bytes, "\r\n\r\n", 4)) != NULL) {
        size_t used = (size_t)(end - peer->in) + 4;

        gateway->strange += memcmp(peer->in, question, sizeof question - 1) != 0;
        gateway->asked++;
        say(peer, gateway->script.http, strlen(gateway->script.http));
        peer->bytes -= used;
        memmove(peer->in, peer->in + used, peer->bytes);
    }
    return true;
}

static bool on_readable(struct scripted_gateway *gateway, struct scripted_peer *peer)
{
    ssize_t got = recv(peer->fd, peer->in + peer->bytes, sizeof peer->in - peer->bytes, 0);
    struct gw_frame frame;
    size_t used;

    if (got <= 0)
        return false;
    peer->bytes += (size_t)got;
    if (gateway->script.is_broker)
        return take_packets(gateway, peer);
    if (gateway->script.http != NULL)
        return take_requests(gateway, peer);
    while (gw_frame_decode(gw_bytes_of(peer->in, peer->bytes), 4096, &frame, &used) == GW_OK) {
        if (!on_frame(gateway, peer, &frame))
            return false;
        peer->bytes -= used;
        memmove(peer->in, peer->in + used, peer->bytes);
    }
    return true;
}

static void *run_gateway(void *context)
{
    struct scripted_gateway *gateway = context;
    struct pollfd fds[PEERS_MAX + 1];

    while (!atomic_load(&gateway->stop)) {
        fds[PEERS_MAX] = (struct pollfd){.fd = gateway->listener, .events = POLLIN};
        for (int i = 0; i < PEERS_MAX; i++)
            fds[i] = (struct pollfd){.fd = gateway->peers[i].fd, .events = POLLIN};
        (void)poll(fds, PEERS_MAX + 1, 20);
        for (int i = 0; i < PEERS_MAX; i++) {
            struct scripted_peer *peer = &gateway->peers[i];

            if (peer->fd < 0 && (fds[PEERS_MAX].revents & POLLIN) != 0) {
                peer->fd = accept(gateway->listener, NULL, NULL);
                peer->bytes = peer->pongs = peer->frames = peer->updates = peer->asked = 0;
                fds[PEERS_MAX].revents = 0;
            } else if (peer->fd >= 0 && fds[i].revents != 0 && !on_readable(gateway, peer)) {
                close(peer->fd);
                peer->fd = -1;
            }
        }
    }
    return NULL;
}

void scripted_gateway_start(struct scripted_gateway *gateway, struct script script)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof address;

    gateway->script = script;
    gateway->updates = gateway->asked = 0;
    memset(gateway->of_pin, 0, sizeof gateway->of_pin);
    gateway->goodbyes = gateway->strange = 0;
    atomic_store(&gateway->stop, false);
    for (int i = 0; i < PEERS_MAX; i++)
        gateway->peers[i].fd = -1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    gateway->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(gateway->listener >= 0);
    assert_int_equal(bind(gateway->listener, (const struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(gateway->listener, 64), 0);
    assert_int_equal(getsockname(gateway->listener, (struct sockaddr *)&address, &bytes), 0);
    gateway->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&gateway->thread, NULL, run_gateway, gateway), 0);
}

void scripted_gateway_stop(struct scripted_gateway *gateway)
{
    atomic_store(&gateway->stop, true);
    pthread_join(gateway->thread, NULL);
    for (int i = 0; i < PEERS_MAX; i++) {
        if (gateway->peers[i].fd >= 0)
            close(gateway->peers[i].fd);
    }
    close(gateway->listener);
}
