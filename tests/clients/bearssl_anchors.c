#include "bearssl_anchors.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct growing {
    unsigned char *data;
    size_t size;
};

static void append(void *context, const void *data, size_t size)
{
    struct growing *to = context;
    unsigned char *grown = realloc(to->data, to->size + size);

    if (grown == NULL)
        abort();
    memcpy(grown + to->size, data, size);
    to->data = grown;
    to->size += size;
}

static unsigned char *copy_of(const unsigned char *data, size_t size)
{
    struct growing copy = {0};

    append(&copy, data, size);
    return copy.data;
}

static bool anchor_of(const struct growing *der, br_x509_trust_anchor *out)
{
    struct growing name = {0};
    br_x509_decoder_context decoder;
    const br_x509_pkey *key;

    br_x509_decoder_init(&decoder, append, &name);
    br_x509_decoder_push(&decoder, der->data, der->size);
    key = br_x509_decoder_get_pkey(&decoder);
    if (key == NULL) {
        free(name.data);
        return false;
    }
    out->dn.data = name.data;
    out->dn.len = name.size;
    out->flags = br_x509_decoder_isCA(&decoder) ? BR_X509_TA_CA : 0;
    out->pkey = *key;
    if (key->key_type == BR_KEYTYPE_RSA) {
        out->pkey.key.rsa.n = copy_of(key->key.rsa.n, key->key.rsa.nlen);
        out->pkey.key.rsa.e = copy_of(key->key.rsa.e, key->key.rsa.elen);
    } else {
        out->pkey.key.ec.q = copy_of(key->key.ec.q, key->key.ec.qlen);
    }
    return true;
}

size_t bearssl_anchors_load(const char *path, br_x509_trust_anchor *out, size_t capacity)
{
    static unsigned char text[65536];
    FILE *file = fopen(path, "re");
    size_t text_bytes;
    size_t count = 0;
    struct growing der = {0};
    br_pem_decoder_context pem;

    if (file == NULL) {
        perror(path);
        return 0;
    }
    text_bytes = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    br_pem_decoder_init(&pem);
    for (size_t at = 0; at < text_bytes && count < capacity;) {
        at += br_pem_decoder_push(&pem, text + at, text_bytes - at);
        switch (br_pem_decoder_event(&pem)) {
        case BR_PEM_BEGIN_OBJ:
            br_pem_decoder_setdest(&pem, append, &der);
            break;
        case BR_PEM_END_OBJ:
            count += anchor_of(&der, &out[count]);
            der.size = 0;
            break;
        default:
            break;
        }
    }
    free(der.data);
    if (count == 0)
        (void)fprintf(stderr, "%s: no certificate in it\n", path);
    return count;
}

void bearssl_anchors_release(br_x509_trust_anchor *anchors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(anchors[i].dn.data);
        if (anchors[i].pkey.key_type == BR_KEYTYPE_RSA) {
            free(anchors[i].pkey.key.rsa.n);
            free(anchors[i].pkey.key.rsa.e);
        } else {
            free(anchors[i].pkey.key.ec.q);
        }
    }
}
