/*
 * Loads a certificate chain and its key from PEM files, and says in words what is wrong with them.
 * Start-up and reload only; a file is read once and never looked at again.
 */
#include "tls_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

/* Older devices hold roots of 2048 bits; below that no current client agrees. */
enum { RSA_BITS_MIN = 2048 };

static GW_PRINTF(3, 4) int refuse(char *why, size_t why_bytes, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, why_bytes, format, args);
    va_end(args);
    return -EINVAL;
}

static int open_pem(const char *path, BIO **out, char *why, size_t why_bytes)
{
    FILE *file = fopen(path, "re");
    int err;

    if (file == NULL) {
        err = -errno;
        snprintf(why, why_bytes, "%s: %s", path, strerror(-err));
        return err;
    }
    *out = BIO_new_fp(file, BIO_CLOSE);
    if (*out == NULL) {
        fclose(file);
        snprintf(why, why_bytes, "%s: out of memory", path);
        return -ENOMEM;
    }
    return 0;
}

/* Serial in hex, subject and expiry of the leaf: for log lines and alarms. */
static bool describe(X509 *leaf, struct gw_tls_leaf *facts)
{
    BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL);
    char *hex = serial == NULL ? NULL : BN_bn2hex(serial);
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0;
    int seconds = 0;
    bool ok = hex != NULL && epoch != NULL &&
              ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(leaf)) == 1;

    if (ok) {
        const int64_t since_1970 = (int64_t)days * 86400 + seconds;

        facts->present = true;
        facts->not_after_s = since_1970 < 0 ? 0 : (uint64_t)since_1970;
        snprintf(facts->serial, sizeof facts->serial, "%s", hex);
        X509_NAME_oneline(X509_get_subject_name(leaf), facts->subject, sizeof facts->subject);
    }
    ASN1_TIME_free(epoch);
    OPENSSL_free(hex);
    BN_free(serial);
    return ok;
}

/* Appends one certificate to the chain; the leaf is the first. Takes nothing. */
static int add_certificate(struct gw_leaf *leaf, const char *path, const uint8_t *der, size_t size,
                           X509 **first, char *why, size_t why_bytes)
{
    const uint8_t *end = der;
    X509 *certificate;
    int err = 0;

    if (leaf->chain_count == GW_CHAIN_CERTIFICATES_MAX)
        return refuse(why, why_bytes, "%s: more than %d certificates", path,
                      GW_CHAIN_CERTIFICATES_MAX);
    certificate = d2i_X509(NULL, &end, (long)size);
    if (certificate == NULL || end != der + size) {
        err = refuse(why, why_bytes, "%s: certificate %zu does not parse", path,
                     leaf->chain_count + 1);
    } else if ((leaf->chain[leaf->chain_count] = CRYPTO_BUFFER_new(der, size, NULL)) == NULL) {
        snprintf(why, why_bytes, "%s: out of memory", path);
        err = -ENOMEM;
    } else {
        leaf->chain_count++;
    }
    if (err == 0 && *first == NULL)
        *first = certificate;
    else
        X509_free(certificate);
    return err;
}

static int load_chain(struct gw_leaf *leaf, const char *path, X509 **first, char *why,
                      size_t why_bytes)
{
    BIO *file = NULL;
    char *name = NULL;
    char *header = NULL;
    uint8_t *der = NULL;
    long size = 0;
    size_t chain_bytes = 0;
    int err = open_pem(path, &file, why, why_bytes);

    while (err == 0 && PEM_read_bio(file, &name, &header, &der, &size)) {
        /* Other blocks (parameters, a key in the same file) are somebody else's. */
        if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0) {
            chain_bytes += (size_t)size;
            err = add_certificate(leaf, path, der, (size_t)size, first, why, why_bytes);
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    BIO_free(file);
    if (err != 0)
        return err;
    /* The only way a file ends well is that no further block starts. */
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return refuse(why, why_bytes, "%s: broken PEM after certificate %zu", path,
                      leaf->chain_count);
    if (leaf->chain_count == 0)
        return refuse(why, why_bytes, "%s: no certificate in it", path);
    if (chain_bytes > GW_CHAIN_BYTES_MAX)
        return refuse(why, why_bytes, "%s: a chain of %zu bytes, more than the %d a flight carries",
                      path, chain_bytes, GW_CHAIN_BYTES_MAX);
    return 0;
}

/* A daemon has nobody to ask for a pass phrase. */
static int no_pass_phrase(char *buffer, int size, int writing, void *user)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)user;
    return 0;
}

static int load_key(struct gw_leaf *leaf, const char *path, char *why, size_t why_bytes)
{
    BIO *file = NULL;
    int err = open_pem(path, &file, why, why_bytes);
    uint32_t reason;

    if (err != 0)
        return err;
    leaf->key = PEM_read_bio_PrivateKey(file, NULL, no_pass_phrase, NULL);
    BIO_free(file);
    if (leaf->key != NULL)
        return 0;
    reason = ERR_peek_last_error();
    if (ERR_GET_LIB(reason) == ERR_LIB_PEM && ERR_GET_REASON(reason) == PEM_R_BAD_PASSWORD_READ)
        return refuse(why, why_bytes, "%s: the key has a pass phrase; store it without one", path);
    return refuse(why, why_bytes, "%s: no private key that can be read", path);
}

static int check_kind(enum gw_leaf_kind kind, const struct gw_leaf *leaf, const char *key_path,
                      char *why, size_t why_bytes)
{
    const int type = EVP_PKEY_id(leaf->key);
    const EC_KEY *ec;

    switch (kind) {
    case GW_LEAF_RSA:
        if (type != EVP_PKEY_RSA)
            return refuse(why, why_bytes, "%s: not an RSA key", key_path);
        if (EVP_PKEY_bits(leaf->key) < RSA_BITS_MIN)
            return refuse(why, why_bytes, "%s: an RSA key of %d bits, below %d", key_path,
                          EVP_PKEY_bits(leaf->key), RSA_BITS_MIN);
        return 0;
    case GW_LEAF_EC:
        if (type != EVP_PKEY_EC)
            return refuse(why, why_bytes, "%s: not an EC key", key_path);
        ec = EVP_PKEY_get0_EC_KEY(leaf->key);
        if (EC_GROUP_get_curve_name(EC_KEY_get0_group(ec)) != NID_X9_62_prime256v1)
            return refuse(why, why_bytes, "%s: not on curve P-256, which devices expect", key_path);
        return 0;
    }
    return -EINVAL;
}

int gw_leaf_load(enum gw_leaf_kind kind, const char *chain_path, const char *key_path,
                 struct gw_leaf *out, char *why, size_t why_bytes)
{
    X509 *first = NULL;
    int err;

    *out = (struct gw_leaf){0};
    ERR_clear_error();
    if (chain_path == NULL || key_path == NULL) {
        err = refuse(why, why_bytes, "%s: a certificate chain and its key go together",
                     chain_path != NULL ? chain_path : key_path);
    } else if ((err = load_chain(out, chain_path, &first, why, why_bytes)) == 0 &&
               (err = load_key(out, key_path, why, why_bytes)) == 0 &&
               (err = check_kind(kind, out, key_path, why, why_bytes)) == 0) {
        if (X509_check_private_key(first, out->key) != 1)
            err =
                refuse(why, why_bytes,
                       "%s: does not belong to the first certificate of %s (the leaf comes first)",
                       key_path, chain_path);
        else if (!describe(first, &out->facts))
            err = refuse(why, why_bytes, "%s: serial number or dates do not parse", chain_path);
    }
    X509_free(first);
    ERR_clear_error();
    if (err != 0)
        gw_leaf_fini(out);
    return err;
}

void gw_leaf_fini(struct gw_leaf *leaf)
{
    for (size_t i = 0; i < leaf->chain_count; i++)
        CRYPTO_BUFFER_free(leaf->chain[i]);
    EVP_PKEY_free(leaf->key);
    *leaf = (struct gw_leaf){0};
}
