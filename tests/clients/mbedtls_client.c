/*
 * A board on an ESP32: mbedTLS 2.28, TLS 1.2, the server's certificate checked against one root.
 */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <stdio.h>

#include "device.h"

static bool send_plaintext(void *tls, const uint8_t *data, size_t size)
{
    while (size > 0) {
        const int n = mbedtls_ssl_write(tls, data, size);

        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static int receive_plaintext(void *tls, uint8_t *out, size_t capacity)
{
    return mbedtls_ssl_read(tls, out, capacity);
}

static int refuse(const char *step, int err)
{
    char text[128];

    mbedtls_strerror(err, text, sizeof text);
    (void)fprintf(stderr, "%s: %s (-0x%04x)\n", step, text, (unsigned)-err);
    return 1;
}

int main(int argc, char **argv)
{
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_ssl_config config;
    mbedtls_x509_crt ca;
    mbedtls_ssl_context tls;
    mbedtls_net_context net;
    struct device_arguments arguments;
    bool good;
    int err;

    if (!device_arguments(argc, argv, &arguments))
        return 1;
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    mbedtls_ssl_config_init(&config);
    mbedtls_x509_crt_init(&ca);
    mbedtls_ssl_init(&tls);
    mbedtls_net_init(&net);
    if ((err = mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0)) != 0)
        return refuse("random", err);
    if ((err = mbedtls_x509_crt_parse_file(&ca, arguments.ca)) != 0)
        return refuse(arguments.ca, err);
    if ((err = mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT,
                                           MBEDTLS_SSL_TRANSPORT_STREAM,
                                           MBEDTLS_SSL_PRESET_DEFAULT)) != 0)
        return refuse("configuration", err);
    mbedtls_ssl_conf_min_version(&config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&config, &ca, NULL);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
    mbedtls_ssl_conf_read_timeout(&config, 20000);
    if ((err = mbedtls_ssl_setup(&tls, &config)) != 0 ||
        (err = mbedtls_ssl_set_hostname(&tls, arguments.host)) != 0)
        return refuse("set-up", err);
    if ((err = mbedtls_net_connect(&net, arguments.host, arguments.port, MBEDTLS_NET_PROTO_TCP)) !=
        0)
        return refuse("connect", err);
    mbedtls_ssl_set_bio(&tls, &net, mbedtls_net_send, NULL, mbedtls_net_recv_timeout);
    if ((err = mbedtls_ssl_handshake(&tls)) != 0)
        return refuse("handshake", err);
    printf("mbedTLS: %s %s\n", mbedtls_ssl_get_version(&tls), mbedtls_ssl_get_ciphersuite(&tls));
    good = device_run(&(struct device_link){&tls, send_plaintext, receive_plaintext}, &arguments);
    (void)mbedtls_ssl_close_notify(&tls);
    mbedtls_net_free(&net);
    mbedtls_ssl_free(&tls);
    mbedtls_x509_crt_free(&ca);
    mbedtls_ssl_config_free(&config);
    mbedtls_ctr_drbg_free(&random);
    mbedtls_entropy_free(&entropy);
    return good ? 0 : 1;
}
