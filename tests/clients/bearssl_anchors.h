/* Roots of trust for BearSSL, from a PEM file. */
#ifndef GW_CLIENTS_BEARSSL_ANCHORS_H
#define GW_CLIENTS_BEARSSL_ANCHORS_H

#include <bearssl.h>
#include <stddef.h>

/* Reads up to `capacity` certificates; returns how many, 0 after saying what is wrong. */
size_t bearssl_anchors_load(const char *path, br_x509_trust_anchor *out, size_t capacity);
void bearssl_anchors_release(br_x509_trust_anchor *anchors, size_t count);

#endif
