/*
 * A board on an ESP8266: BearSSL with 2048 bytes to receive and 512 to send, which makes it ask for
 * records of 512 bytes, and roots of its own. Profile "basic" is the small build of that board,
 * which knows nothing but RSA key exchange with CBC.
 */
#include <bearssl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bearssl_anchors.h"
#include "device.h"

/* The board's two figures, and what a record needs around its content (RFC 5246 6.2.3). */
enum { RECEIVE_BYTES = 2048, SEND_BYTES = 512, RECEIVE_OVERHEAD = 325, SEND_OVERHEAD = 85 };

static int read_socket(void *context, unsigned char *out, size_t capacity)
{
    ssize_t n;

    do {
        n = recv(*(int *)context, out, capacity, 0);
    } while (n < 0 && errno == EINTR);
    return n <= 0 ? -1 : (int)n;
}

static int write_socket(void *context, const unsigned char *data, size_t size)
{
    ssize_t n;

    do {
        n = send(*(int *)context, data, size, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n <= 0 ? -1 : (int)n;
}

static bool send_plaintext(void *tls, const uint8_t *data, size_t size)
{
    return br_sslio_write_all(tls, data, size) == 0 && br_sslio_flush(tls) == 0;
}

static int receive_plaintext(void *tls, uint8_t *out, size_t capacity)
{
    return br_sslio_read(tls, out, capacity);
}

int main(int argc, char **argv)
{
    static unsigned char receive_buffer[RECEIVE_BYTES + RECEIVE_OVERHEAD];
    static unsigned char send_buffer[SEND_BYTES + SEND_OVERHEAD];
    static const uint16_t basic_suites[] = {
        BR_TLS_RSA_WITH_AES_128_CBC_SHA256, BR_TLS_RSA_WITH_AES_256_CBC_SHA256,
        BR_TLS_RSA_WITH_AES_128_CBC_SHA, BR_TLS_RSA_WITH_AES_256_CBC_SHA};
    br_x509_trust_anchor anchors[8];
    br_ssl_client_context client;
    br_x509_minimal_context x509;
    br_ssl_session_parameters session;
    br_sslio_context io;
    struct device_arguments arguments;
    size_t anchor_count;
    bool good;
    int fd;

    if (!device_arguments(argc, argv, &arguments) ||
        (anchor_count = bearssl_anchors_load(arguments.ca, anchors, 8)) == 0 ||
        (fd = device_connect(arguments.host, arguments.port)) < 0)
        return 1;
    br_ssl_client_init_full(&client, &x509, anchors, anchor_count);
    if (strcmp(arguments.profile, "basic") == 0)
        br_ssl_engine_set_suites(&client.eng, basic_suites,
                                 sizeof basic_suites / sizeof basic_suites[0]);
    br_ssl_engine_set_buffers_bidi(&client.eng, receive_buffer, sizeof receive_buffer, send_buffer,
                                   sizeof send_buffer);
    br_ssl_client_reset(&client, arguments.host, 0);
    br_sslio_init(&io, &client.eng, read_socket, &fd, write_socket, &fd);
    good = device_run(&(struct device_link){&io, send_plaintext, receive_plaintext}, &arguments);
    br_ssl_engine_get_session_parameters(&client.eng, &session);
    printf("BearSSL: version %04x suite %04x curve %d error %d\n", session.version,
           session.cipher_suite, br_ssl_engine_get_ecdhe_curve(&client.eng),
           br_ssl_engine_last_error(&client.eng));
    if (good)
        (void)br_sslio_close(&io);
    (void)close(fd);
    bearssl_anchors_release(anchors, anchor_count);
    return good ? 0 : 1;
}
