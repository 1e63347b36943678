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
#include <openssl/bytestring.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/obj.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

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

/*
 * Whose key signed the last certificate of the chain: its issuer's, which is itself when the root
 * stands in the file.
 */
static void describe_root(X509 *last, struct gw_tls_leaf *facts)
{
    X509_NAME *issuer = X509_get_issuer_name(last);
    const ASN1_OCTET_STRING *id = X509_get0_authority_key_id(last);
    int key_type = NID_undef;

    if (id == NULL && X509_NAME_cmp(issuer, X509_get_subject_name(last)) == 0)
        id = X509_get0_subject_key_id(last);
    X509_NAME_oneline(issuer, facts->root, sizeof facts->root);
    for (int i = 0;
         id != NULL && i < ASN1_STRING_length(id) && (size_t)(2 * i) + 3 <= sizeof facts->root_key;
         i++)
        snprintf(facts->root_key + (size_t)(2 * i), 3, "%02x", ASN1_STRING_get0_data(id)[i]);
    facts->root_is_rsa = OBJ_find_sigid_algs(X509_get_signature_nid(last), NULL, &key_type) == 1 &&
                         key_type == NID_rsaEncryption;
}

/* The two ends of a chain while it is read. */
struct chain_ends {
    X509 *first, *last;
};

static void chain_ends_fini(struct chain_ends *ends)
{
    X509_free(ends->first);
    X509_free(ends->last);
}

/* Appends one certificate to the chain; the leaf is the first. Takes nothing. */
static int add_certificate(struct gw_leaf *leaf, const char *path, const uint8_t *der, size_t size,
                           struct chain_ends *ends, char *why, size_t why_bytes)
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
    if (err != 0) {
        X509_free(certificate);
        return err;
    }
    X509_free(ends->last);
    ends->last = certificate;
    if (ends->first == NULL) {
        X509_up_ref(certificate);
        ends->first = certificate;
    }
    return 0;
}

static int load_chain(struct gw_leaf *leaf, const char *path, struct chain_ends *ends, char *why,
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
            err = add_certificate(leaf, path, der, (size_t)size, ends, why, why_bytes);
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
    return -1; /* 0 is an empty one to BoringSSL of today */
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

/* A library that has none left says of the file that it cannot be parsed, but said this before. */
static bool memory_was_missing(void)
{
    uint32_t error;

    while ((error = ERR_get_error()) != 0)
        if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
            return true;
    return false;
}

int gw_leaf_load(enum gw_leaf_kind kind, const char *chain_path, const char *key_path,
                 struct gw_leaf *out, char *why, size_t why_bytes)
{
    struct chain_ends ends = {0};
    int err;

    *out = (struct gw_leaf){0};
    ERR_clear_error();
    if (chain_path == NULL || key_path == NULL) {
        err = refuse(why, why_bytes, "%s: a certificate chain and its key go together",
                     chain_path != NULL ? chain_path : key_path);
    } else if ((err = load_chain(out, chain_path, &ends, why, why_bytes)) == 0 &&
               (err = load_key(out, key_path, why, why_bytes)) == 0 &&
               (err = check_kind(kind, out, key_path, why, why_bytes)) == 0) {
        if (X509_check_private_key(ends.first, out->key) != 1)
            err =
                refuse(why, why_bytes,
                       "%s: does not belong to the first certificate of %s (the leaf comes first)",
                       key_path, chain_path);
        else if (!describe(ends.first, &out->facts))
            err = refuse(why, why_bytes, "%s: serial number or dates do not parse", chain_path);
        else
            describe_root(ends.last, &out->facts);
    }
    chain_ends_fini(&ends);
    if (err != 0 && err != -ENOMEM && memory_was_missing()) {
        snprintf(why, why_bytes, "%s, %s: out of memory", chain_path, key_path);
        err = -ENOMEM;
    }
    ERR_clear_error();
    if (err != 0)
        gw_leaf_fini(out);
    return err;
}

static EVP_PKEY *copy_key(const EVP_PKEY *from)
{
    EVP_PKEY *key = NULL;
    uint8_t *der = NULL;
    size_t size = 0;
    CBB out;
    CBS in;

    if (CBB_init(&out, 2048) && EVP_marshal_private_key(&out, from) &&
        CBB_finish(&out, &der, &size)) {
        CBS_init(&in, der, size);
        key = EVP_parse_private_key(&in);
    } else {
        CBB_cleanup(&out);
    }
    OPENSSL_free(der); /* cleanses */
    return key;
}

int gw_leaf_copy(const struct gw_leaf *from, struct gw_leaf *out)
{
    *out = (struct gw_leaf){.facts = from->facts};
    if (from->chain_count == 0)
        return 0;
    out->key = copy_key(from->key);
    for (size_t i = 0; out->key != NULL && i < from->chain_count; i++) {
        out->chain[i] = CRYPTO_BUFFER_new(CRYPTO_BUFFER_data(from->chain[i]),
                                          CRYPTO_BUFFER_len(from->chain[i]), NULL);
        if (out->chain[i] == NULL)
            break;
        out->chain_count++;
    }
    if (out->chain_count == from->chain_count)
        return 0;
    ERR_clear_error();
    gw_leaf_fini(out);
    return -ENOMEM;
}

bool gw_tls_leaves_fit(const struct gw_tls_leaf *rsa, const struct gw_tls_leaf *ec, char *why,
                       size_t why_bytes)
{
    if (!rsa->present || !ec->present)
        return true;
    if (strcmp(rsa->root, ec->root) != 0 || (rsa->root_key[0] != '\0' && ec->root_key[0] != '\0' &&
                                             strcmp(rsa->root_key, ec->root_key) != 0)) {
        snprintf(why, why_bytes,
                 "the RSA certificate chains to %s (key %.16s), the EC certificate to %s (key "
                 "%.16s): a device that trusts one of them and can use both leaves is shown the EC "
                 "one; take both from one RSA root",
                 rsa->root, rsa->root_key, ec->root, ec->root_key);
        return false;
    }
    if (!rsa->root_is_rsa || !ec->root_is_rsa) {
        snprintf(why, why_bytes,
                 "the root of the certificates, %s, has no RSA key: small clients take an EC leaf "
                 "but trust RSA roots alone",
                 rsa->root);
        return false;
    }
    return true;
}

void gw_leaf_fini(struct gw_leaf *leaf)
{
    for (size_t i = 0; i < leaf->chain_count; i++)
        CRYPTO_BUFFER_free(leaf->chain[i]);
    EVP_PKEY_free(leaf->key);
    *leaf = (struct gw_leaf){0};
}
