#include "certificate.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

/* Clocks of devices start anywhere: a certificate made today is good since yesterday. */
enum { DAY_SECONDS = 86400, RSA_KEY_BITS = 2048, SERIAL_BYTES = 16 };

EVP_PKEY *gw_key_generate_rsa(void)
{
    EVP_PKEY *key = EVP_PKEY_new();
    RSA *rsa = RSA_new();
    BIGNUM *e = BN_new();
    const bool ok = key != NULL && rsa != NULL && e != NULL && BN_set_word(e, RSA_F4) &&
                    RSA_generate_key_ex(rsa, RSA_KEY_BITS, e, NULL) && EVP_PKEY_set1_RSA(key, rsa);

    BN_free(e);
    RSA_free(rsa);
    if (!ok) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

EVP_PKEY *gw_key_generate_ec(void)
{
    EVP_PKEY *key = EVP_PKEY_new();
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    const bool ok =
        key != NULL && ec != NULL && EC_KEY_generate_key(ec) && EVP_PKEY_set1_EC_KEY(key, ec);

    EC_KEY_free(ec);
    if (!ok) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

/* RFC 5280 4.1.2.2: positive and at most 20 bytes; random, so that two CAs never agree on one. */
static bool set_serial(X509 *certificate)
{
    uint8_t bytes[SERIAL_BYTES];
    BIGNUM *number;
    bool ok;

    RAND_bytes(bytes, sizeof bytes);
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
    number = BN_bin2bn(bytes, sizeof bytes, NULL);
    ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return ok;
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    bool ok;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_nconf_nid(NULL, &context, nid, value);
    ok = extension != NULL && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return ok;
}

/* What every certificate has, whoever it is for. */
static X509 *begin(EVP_PKEY *key, const char *common_name, unsigned days)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = certificate == NULL ? NULL : X509_get_subject_name(certificate);
    const time_t now = time(NULL);

    if (certificate != NULL && X509_set_version(certificate, X509_VERSION_3) &&
        set_serial(certificate) && X509_set_pubkey(certificate, key) &&
        ASN1_TIME_set(X509_getm_notBefore(certificate), now - DAY_SECONDS) != NULL &&
        ASN1_TIME_set(X509_getm_notAfter(certificate), now + (time_t)days * DAY_SECONDS) != NULL &&
        X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                   (const uint8_t *)common_name, -1, -1, 0))
        return certificate;
    X509_free(certificate);
    return NULL;
}

X509 *gw_certificate_root(EVP_PKEY *key, const char *common_name, unsigned days)
{
    X509 *root = begin(key, common_name, days);

    if (root != NULL && X509_set_issuer_name(root, X509_get_subject_name(root)) &&
        add_extension(root, root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(root, root, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(root, root, NID_subject_key_identifier, "hash") &&
        X509_sign(root, key, EVP_sha256()) > 0)
        return root;
    X509_free(root);
    return NULL;
}

/* Takes `value` in any case. */
static bool push_name(GENERAL_NAMES *names, int type, ASN1_STRING *value)
{
    GENERAL_NAME *name = value == NULL ? NULL : GENERAL_NAME_new();

    if (name == NULL) {
        ASN1_STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(name, type, value);
    if (sk_GENERAL_NAME_push(names, name) > 0)
        return true;
    GENERAL_NAME_free(name);
    return false;
}

static bool push_text(GENERAL_NAMES *names, int type, int string_type, const void *data,
                      size_t size)
{
    ASN1_STRING *value = ASN1_STRING_type_new(string_type);

    if (value != NULL && !ASN1_STRING_set(value, data, (int)size)) {
        ASN1_STRING_free(value);
        value = NULL;
    }
    return push_name(names, type, value);
}

static bool push_host(GENERAL_NAMES *names, const char *host)
{
    uint8_t address[16];

    if (inet_pton(AF_INET, host, address) == 1 &&
        !push_text(names, GEN_IPADD, V_ASN1_OCTET_STRING, address, 4))
        return false;
    if (inet_pton(AF_INET6, host, address) == 1 &&
        !push_text(names, GEN_IPADD, V_ASN1_OCTET_STRING, address, 16))
        return false;
    return push_text(names, GEN_DNS, V_ASN1_IA5STRING, host, strlen(host));
}

static bool add_hosts(X509 *certificate, const char *const *hosts, size_t host_count)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool ok = names != NULL;

    for (size_t i = 0; ok && i < host_count; i++)
        ok = push_host(names, hosts[i]);
    ok = ok && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT);
    GENERAL_NAMES_free(names);
    return ok;
}

X509 *gw_certificate_leaf(EVP_PKEY *key, const char *const *hosts, size_t host_count, unsigned days,
                          X509 *issuer, EVP_PKEY *issuer_key)
{
    /* An RSA key also takes part in the key exchange of very old clients. */
    const char *usage = EVP_PKEY_id(key) == EVP_PKEY_RSA
                            ? "critical,digitalSignature,keyEncipherment"
                            : "critical,digitalSignature";
    X509 *leaf = host_count == 0 ? NULL : begin(key, hosts[0], days);

    if (leaf != NULL && X509_set_issuer_name(leaf, X509_get_subject_name(issuer)) &&
        add_extension(leaf, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(leaf, issuer, NID_key_usage, usage) &&
        add_extension(leaf, issuer, NID_ext_key_usage, "serverAuth") &&
        add_extension(leaf, issuer, NID_subject_key_identifier, "hash") &&
        add_extension(leaf, issuer, NID_authority_key_identifier, "keyid") &&
        add_hosts(leaf, hosts, host_count) && X509_sign(leaf, issuer_key, EVP_sha256()) > 0)
        return leaf;
    X509_free(leaf);
    return NULL;
}
