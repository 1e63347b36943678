/*
 * Issues the certificates of a development CA: an RSA root, and leaves of either kind under it. For
 * trying things out and for tests; a real service gets its certificates from a real CA.
 */
#ifndef GW_TOOLS_CERTIFICATE_H
#define GW_TOOLS_CERTIFICATE_H

#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

enum { GW_CERTIFICATE_NAME_BYTES_MAX = 64 }; /* RFC 5280 A.1: ub-common-name */

/* NULL when out of memory. */
EVP_PKEY *gw_key_generate_rsa(void); /* 2048 bits */
EVP_PKEY *gw_key_generate_ec(void);  /* P-256     */

/* A self-signed root that may sign leaves and nothing deeper. NULL when out of memory. */
X509 *gw_certificate_root(EVP_PKEY *key, const char *common_name, unsigned days);

/*
 * A server certificate for `hosts`: names and IP addresses, the first also as the common name. An
 * IP address stands in the list as what it is and as a DNS name too: BearSSL, which compares
 * whatever it was told to connect to with DNS names only, would never accept it otherwise. NULL
 * when out of memory or when a host is no legal name.
 */
X509 *gw_certificate_leaf(EVP_PKEY *key, const char *const *hosts, size_t host_count, unsigned days,
                          X509 *issuer, EVP_PKEY *issuer_key);

#endif
