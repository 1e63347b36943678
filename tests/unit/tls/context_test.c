/* What an operator can get wrong with certificates, and what he is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ec_key.h>
#include <openssl/nid.h>
#include <openssl/pem.h>

#include "certificate.h"
#include "peer.h"

/* Everything is refused whole: no context, the error named, and the words of the answer fit. */
static void refused(const struct gw_tls_options *options, int err, const char *word,
                    const char *aim)
{
    struct gw_tls_context *context = (struct gw_tls_context *)options;
    char why[256];

    memset(why, 'x', sizeof why);
    assert_int_equal(gw_tls_context_create(options, &context, why, sizeof why), err);
    assert_null(context);
    assert_non_null(memchr(why, 0, sizeof why));
    if (strstr(why, word) == NULL || strstr(why, aim) == NULL)
        fail_msg("\"%s\" names neither \"%s\" nor \"%s\"", why, word, aim);
}

static void a_missing_file_is_named(void **state)
{
    struct gw_tls_options options = server_options(LEAF_BOTH, GW_TLS_MODERN);

    (void)state;
    options.ec_chain = pki_path("nowhere.pem");
    refused(&options, -ENOENT, "nowhere.pem", "No such file");
    options = server_options(LEAF_BOTH, GW_TLS_MODERN);
    options.rsa_key = pki_path("nowhere.key");
    refused(&options, -ENOENT, "nowhere.key", "No such file");
}

static void half_a_pair_or_none_is_refused(void **state)
{
    struct gw_tls_options options = server_options(LEAF_BOTH, GW_TLS_MODERN);

    (void)state;
    options.ec_key = NULL;
    refused(&options, -EINVAL, "ec.pem", "go together");
    options = server_options(LEAF_BOTH, GW_TLS_MODERN);
    options.rsa_chain = NULL;
    refused(&options, -EINVAL, "rsa.key", "go together");
    options = server_options(0, GW_TLS_MODERN);
    refused(&options, -EINVAL, "neither", "certificate");
}

static void a_key_of_another_certificate_is_refused(void **state)
{
    struct gw_tls_options options = server_options(LEAF_BOTH, GW_TLS_MODERN);

    (void)state;
    options.rsa_key = pki_path("ca.key");
    refused(&options, -EINVAL, "ca.key", "does not belong");
}

static void the_root_in_front_of_the_leaf_is_refused(void **state)
{
    struct gw_tls_options options = server_options(LEAF_RSA, GW_TLS_MODERN);
    char command[512];

    (void)state;
    snprintf(command, sizeof command, "cat %s %s > %s", pki.ca, pki.rsa_chain,
             pki_path("wrong_order.pem"));
    assert_int_equal(system(command), 0); /* NOLINT(concurrency-mt-unsafe) */
    options.rsa_chain = pki_path("wrong_order.pem");
    refused(&options, -EINVAL, "wrong_order.pem", "leaf comes first");
}

static void a_pair_of_the_other_kind_is_refused(void **state)
{
    struct gw_tls_options options = {.rsa_chain = pki.ec_chain, .rsa_key = pki.ec_key};

    (void)state;
    refused(&options, -EINVAL, "ec.key", "not an RSA key");
    options = (struct gw_tls_options){.ec_chain = pki.rsa_chain, .ec_key = pki.rsa_key};
    refused(&options, -EINVAL, "rsa.key", "not an EC key");
}

static void another_curve_is_refused(void **state)
{
    const struct gw_tls_options options = {.ec_chain = pki.ec_chain,
                                           .ec_key = pki_path("p384.key")};
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_secp384r1);
    FILE *file = fopen(options.ec_key, "we");

    (void)state;
    assert_true(ec != NULL && EC_KEY_generate_key(ec) && file != NULL);
    assert_true(PEM_write_ECPrivateKey(file, ec, NULL, NULL, 0, NULL, NULL));
    assert_int_equal(fclose(file), 0);
    EC_KEY_free(ec);
    refused(&options, -EINVAL, "p384.key", "P-256");
}

static void a_key_with_a_pass_phrase_is_refused_without_asking(void **state)
{
    const struct gw_tls_options options = {.ec_chain = pki.ec_chain,
                                           .ec_key = pki_path("locked.key")};
    EVP_PKEY *key = gw_key_generate_ec();
    FILE *file = fopen(options.ec_key, "we");

    (void)state;
    assert_true(key != NULL && file != NULL);
    assert_true(
        PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), (uint8_t *)"secret", 6, NULL, NULL));
    assert_int_equal(fclose(file), 0);
    EVP_PKEY_free(key);
    refused(&options, -EINVAL, "locked.key", "pass phrase");
}

static void files_that_hold_no_certificate_are_refused(void **state)
{
    static const struct {
        const char *text, *aim;
    } cases[] = {
        {"", "no certificate in it"},
        {"hello\n", "no certificate in it"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n", "broken PEM"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "does not parse"},
    };
    struct gw_tls_options options = server_options(LEAF_RSA, GW_TLS_MODERN);

    (void)state;
    options.rsa_chain = pki_path("odd.pem");
    for (size_t i = 0; i < GW_ARRAY_COUNT(cases); i++) {
        pki_write("odd.pem", cases[i].text);
        refused(&options, -EINVAL, "odd.pem", cases[i].aim);
    }
    options = server_options(LEAF_RSA, GW_TLS_MODERN);
    options.rsa_key = pki.rsa_chain;
    refused(&options, -EINVAL, "rsa.pem", "no private key");
}

static void a_chain_longer_than_a_flight_is_refused(void **state)
{
    struct gw_tls_options options = server_options(LEAF_RSA, GW_TLS_MODERN);
    char command[512];

    (void)state;
    snprintf(command, sizeof command,
             "cd %s && cat rsa.pem ca.pem ca.pem ca.pem ca.pem > x8.pem "
             "&& cat x8.pem x8.pem > long.pem",
             pki.dir);
    assert_int_equal(system(command), 0); /* NOLINT(concurrency-mt-unsafe) */
    options.rsa_chain = pki_path("long.pem");
    refused(&options, -EINVAL, "long.pem", "more than");
}

static void leaves_are_described_for_logs_and_alarms(void **state)
{
    struct gw_tls_context *context = server_create(LEAF_EC, GW_TLS_MODERN, 0);
    const uint64_t due = (uint64_t)time(NULL) + (uint64_t)5 * 86400;
    struct gw_tls_leaf rsa;
    struct gw_tls_leaf ec;

    (void)state;
    gw_tls_context_leaves(context, &rsa, &ec);
    assert_false(rsa.present);
    assert_true(ec.present);
    assert_in_range(ec.not_after_s, due - 600, due + 600);
    assert_int_equal(strlen(ec.serial), 32);
    assert_int_equal(strspn(ec.serial, "0123456789abcdef"), 32);
    assert_string_equal(ec.subject, "/CN=gateway.test");
    gw_tls_context_destroy(context);
}

/* A pipe gives its bytes once: a second look at the file would wait for ever. */
static void contexts_made_at_once_read_each_file_once(void **state)
{
    struct gw_tls_options options = server_options(LEAF_BOTH, GW_TLS_MODERN);
    struct gw_tls_context *contexts[3] = {NULL};
    char command[512], why[256] = "";
    SSL_CTX *client = client_create(TLS1_2_VERSION, TLS1_3_VERSION);
    struct gw_tls_leaf rsa, ec, first;

    (void)state;
    snprintf(command, sizeof command, "cd %s && mkfifo rsa.fifo && (cat rsa.key > rsa.fifo &)",
             pki.dir);
    assert_int_equal(system(command), 0); /* NOLINT(concurrency-mt-unsafe) */
    options.rsa_key = pki_path("rsa.fifo");
    assert_int_equal(gw_tls_contexts_create(&options, contexts, 3, why, sizeof why), 0);
    gw_tls_context_leaves(contexts[0], &first, &ec);
    for (size_t i = 0; i < 3; i++) {
        static const uint16_t rsa_only[] = {SSL_SIGN_RSA_PSS_RSAE_SHA256};
        struct gw_tls_facts facts;
        struct pair p;

        gw_tls_context_leaves(contexts[i], &rsa, &ec);
        assert_string_equal(rsa.serial, first.serial);
        pair_open(&p, contexts[i], client, 0);
        if (i % 2 == 0)
            assert_true(SSL_set_verify_algorithm_prefs(p.peer, rsa_only, 1));
        pair_pump(&p);
        assert_true(gw_tls_is_established(p.ours));
        gw_tls_facts(p.ours, &facts);
        assert_int_equal(facts.ec_leaf, i % 2);
        pair_close(&p);
        gw_tls_context_destroy(contexts[i]);
    }
    SSL_CTX_free(client);
}

static void contexts_are_made_all_or_none(void **state)
{
    struct gw_tls_options options = server_options(LEAF_BOTH, GW_TLS_MODERN);
    struct gw_tls_context *contexts[2];
    char why[256] = "";

    (void)state;
    options.ec_key = pki_path("nowhere.key");
    assert_int_equal(gw_tls_contexts_create(&options, contexts, 2, why, sizeof why), -ENOENT);
    assert_null(contexts[0]);
    assert_non_null(strstr(why, "nowhere.key"));
}

/* The facts of an EC leaf under a root of its own, made here. */
static struct gw_tls_leaf other_leaf(EVP_PKEY *root_key, const char *root_name)
{
    static const char *const hosts[] = {"gateway.test"};
    EVP_PKEY *key = gw_key_generate_ec();
    X509 *root = gw_certificate_root(root_key, root_name, 10);
    X509 *leaf = gw_certificate_leaf(key, hosts, 1, 5, root, root_key);
    const struct gw_tls_options options = {.ec_chain = pki_path("other.pem"),
                                           .ec_key = pki_path("other.key")};
    struct gw_tls_context *context = NULL;
    struct gw_tls_leaf rsa, ec;
    char why[256] = "";
    FILE *file = fopen(options.ec_chain, "we");

    assert_true(file != NULL && PEM_write_X509(file, leaf));
    assert_int_equal(fclose(file), 0);
    file = fopen(options.ec_key, "we");
    assert_true(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(gw_tls_context_create(&options, &context, why, sizeof why), 0);
    gw_tls_context_leaves(context, &rsa, &ec);
    gw_tls_context_destroy(context);
    X509_free(root);
    X509_free(leaf);
    EVP_PKEY_free(key);
    return ec;
}

static void leaves_that_do_not_share_an_rsa_root_are_reported(void **state)
{
    struct gw_tls_context *context = server_create(LEAF_BOTH, GW_TLS_MODERN, 0);
    EVP_PKEY *rsa_root = gw_key_generate_rsa();
    EVP_PKEY *ec_root = gw_key_generate_ec();
    struct gw_tls_leaf rsa, ec, other;
    char why[512] = "";

    (void)state;
    gw_tls_context_leaves(context, &rsa, &ec);
    assert_string_equal(rsa.root, "/CN=Test CA");
    assert_true(rsa.root_is_rsa);
    assert_true(gw_tls_leaves_fit(&rsa, &ec, why, sizeof why));

    other = other_leaf(rsa_root, "Other CA");
    assert_false(gw_tls_leaves_fit(&rsa, &other, why, sizeof why));
    assert_non_null(strstr(why, "/CN=Other CA"));
    /* The same name, and another key behind it. */
    other = other_leaf(rsa_root, "Test CA");
    assert_false(gw_tls_leaves_fit(&rsa, &other, why, sizeof why));

    other = other_leaf(ec_root, "EC CA");
    assert_false(other.root_is_rsa);
    assert_false(gw_tls_leaves_fit(&(struct gw_tls_leaf){.present = true, .root = "/CN=EC CA"},
                                   &other, why, sizeof why));
    assert_non_null(strstr(why, "no RSA key"));
    /* With one leaf there is nothing to compare. */
    assert_true(
        gw_tls_leaves_fit(&(struct gw_tls_leaf){.present = false}, &other, why, sizeof why));
    EVP_PKEY_free(rsa_root);
    EVP_PKEY_free(ec_root);
    gw_tls_context_destroy(context);
}

static void destroying_nothing_is_fine(void **state)
{
    (void)state;
    gw_tls_context_destroy(NULL);
    gw_tls_close(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(half_a_pair_or_none_is_refused),
        cmocka_unit_test(a_key_of_another_certificate_is_refused),
        cmocka_unit_test(the_root_in_front_of_the_leaf_is_refused),
        cmocka_unit_test(a_pair_of_the_other_kind_is_refused),
        cmocka_unit_test(another_curve_is_refused),
        cmocka_unit_test(a_key_with_a_pass_phrase_is_refused_without_asking),
        cmocka_unit_test(files_that_hold_no_certificate_are_refused),
        cmocka_unit_test(a_chain_longer_than_a_flight_is_refused),
        cmocka_unit_test(leaves_are_described_for_logs_and_alarms),
        cmocka_unit_test(contexts_made_at_once_read_each_file_once),
        cmocka_unit_test(contexts_are_made_all_or_none),
        cmocka_unit_test(leaves_that_do_not_share_an_rsa_root_are_reported),
        cmocka_unit_test(destroying_nothing_is_fine),
    };

    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, pki_create, pki_remove);
}
