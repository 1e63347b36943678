#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attacker.h"

#include <stdio.h>
#include <string.h>

/* Of the newest connection: the client's, the server's. */
static uint8_t secrets[2][GW_KEYS_SECRET_BYTES_MAX];

static void on_line(const SSL *ssl, const char *line)
{
    static const char *const labels[2] = {"CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 "};

    (void)ssl;
    for (size_t side = 0; side < 2; side++) {
        const char *hex = line + strlen(labels[side]) + 65;

        if (strncmp(line, labels[side], strlen(labels[side])) != 0)
            continue;
        for (size_t i = 0; hex[2 * i] != '\0' && i < sizeof secrets[side]; i++) {
            unsigned byte = 0;

            assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
            secrets[side][i] = (uint8_t)byte;
        }
    }
}

void attacker_listen(SSL_CTX *peer)
{
    SSL_CTX_set_keylog_callback(peer, on_line);
}

void attacker_begin(struct attacker *a, struct pair *p)
{
    const bool is_server = SSL_is_server(p->peer);
    const int row = gw_keys_shape_find((uint16_t)SSL_version(p->peer),
                                       SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(p->peer)));

    assert_true(row >= 0);
    *a = (struct attacker){.shape = gw_keys_shape_at((unsigned)row), .pair = p};
    if (a->shape->tls13)
        assert_true(gw_keys_from_secrets(a->shape, secrets[is_server ? 0 : 1],
                                         secrets[is_server ? 1 : 0], &a->keys));
    else
        assert_true(gw_keys_from_block(a->shape, p->peer, &a->keys));
    a->keys.sequence[GW_KEYS_READ] = (uint32_t)SSL_get_read_sequence(p->peer);
    a->keys.sequence[GW_KEYS_WRITE] = (uint32_t)SSL_get_write_sequence(p->peer);
    a->seen_bytes = p->sent.size;
}

void attacker_send(struct attacker *a, uint8_t type, const void *content, size_t size)
{
    static uint8_t record[2 * GW_TLS_RECORD_BYTES_MAX];
    const size_t n = gw_keys_seal(a->shape, &a->keys, type, gw_bytes_of(content, size), record);

    assert_in_range(n, 5, sizeof record);
    pair_feed(a->pair, record, n);
}

void attacker_send_padded(struct attacker *a, uint8_t type, const void *content, size_t size,
                          size_t padding)
{
    static uint8_t inner[2 * GW_TLS_PLAINTEXT_BYTES_MAX];

    assert_true(a->shape->tls13);
    assert_in_range(size + padding, 0, sizeof inner - 1);
    memset(inner, 0, sizeof inner);
    if (size > 0)
        memcpy(inner, content, size);
    inner[size] = type;
    /* The last byte of the inner plaintext is the one that sealing appends. */
    attacker_send(a, inner[size + padding], inner, size + padding);
}

void attacker_update_keys(struct attacker *a, bool request)
{
    const uint8_t message[] = {24, 0, 0, 1, request};

    attacker_send(a, GW_RECORD_HANDSHAKE, message, sizeof message);
    assert_true(gw_keys_update(a->shape, &a->keys, GW_KEYS_WRITE));
}

bool attacker_next(struct attacker *a, struct answer *out)
{
    const uint8_t *at = a->pair->sent.data + a->seen_bytes;
    const size_t left = a->pair->sent.size - a->seen_bytes;
    size_t body_bytes;

    if (left == 0)
        return false;
    assert_in_range(left, GW_RECORD_HEADER_BYTES, SIZE_MAX);
    body_bytes = gw_load_be16(at + 3);
    assert_in_range(left, GW_RECORD_HEADER_BYTES + body_bytes, SIZE_MAX);
    assert_true(gw_keys_open(a->shape, &a->keys, at,
                             gw_bytes_of(at + GW_RECORD_HEADER_BYTES, body_bytes), out->data,
                             &out->size));
    out->type = at[0];
    if (a->shape->tls13)
        out->type = out->data[--out->size]; /* our side does not pad */
    if (out->type == GW_RECORD_HANDSHAKE && a->shape->tls13) {
        static const uint8_t update[] = {24, 0, 0, 1, 0};

        assert_int_equal(out->size, sizeof update);
        assert_memory_equal(out->data, update, sizeof update);
        assert_true(gw_keys_update(a->shape, &a->keys, GW_KEYS_READ));
    }
    a->seen_bytes += GW_RECORD_HEADER_BYTES + body_bytes;
    return true;
}
