/*
 * A peer that seals whatever a test wants with the right keys, and opens what our side answers:
 * BoringSSL has no way to send what a hostile one would.
 */
#ifndef GW_TLS_TEST_ATTACKER_H
#define GW_TLS_TEST_ATTACKER_H

#include "keys_internal.h"
#include "peer.h"

struct attacker {
    const struct gw_keys_shape *shape;
    struct pair *pair;
    size_t seen_bytes; /* of pair->sent, read by attacker_next */
    union {
        struct gw_keys keys;
        uint8_t room[GW_KEYS_BYTES_MAX];
    };
};

/* Learns the secrets of every connection of this peer; before any of them. */
void attacker_listen(SSL_CTX *peer);
/* Takes over from the BoringSSL end of a pair that is connected and quiet. */
void attacker_begin(struct attacker *a, struct pair *p);

/* Both seal with the next number, hand the record to our side, and leave its answer in pair->sent.
   `padding` counts zeros behind the inner type; TLS 1.3 only. */
void attacker_send(struct attacker *a, uint8_t type, const void *content, size_t size);
void attacker_send_padded(struct attacker *a, uint8_t type, const void *content, size_t size,
                          size_t padding);
/* A KeyUpdate, and the next keys after it. */
void attacker_update_keys(struct attacker *a, bool request);

struct answer {
    uint8_t type; /* inner type in TLS 1.3 */
    size_t size;
    uint8_t data[GW_TLS_PLAINTEXT_BYTES_MAX + 1];
};
/* The next record our side has sent since attacker_begin, opened. A KeyUpdate changes the keys for
   the records behind it. False: no more. */
bool attacker_next(struct attacker *a, struct answer *out);

#endif
