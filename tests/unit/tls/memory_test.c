/*
 * What a session costs, and what happens when there is no memory for it. BoringSSL asks the program
 * for its memory where the program has these three functions (they are weak in libcrypto); our side
 * is watched, and starved, while a call into it is under way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "peer.h"

void *OPENSSL_memory_alloc(size_t size);
void OPENSSL_memory_free(void *pointer);
size_t OPENSSL_memory_get_size(void *pointer);

/* In front of each block; as large as malloc's alignment, so that the block keeps it. */
struct block {
    size_t size;
    bool ours; /* allocated while our side was called */
    char padding[16 - sizeof(size_t) - sizeof(bool)];
};

static bool watching;
static size_t watched_bytes, watched_blocks;
static size_t alloc_count, alloc_fails_at = SIZE_MAX;

void *OPENSSL_memory_alloc(size_t size)
{
    struct block *block;

    if (watching && alloc_count++ == alloc_fails_at)
        return NULL;
    block = malloc(sizeof *block + size);
    if (block == NULL)
        return NULL;
    block->size = size;
    block->ours = watching;
    if (block->ours) {
        watched_bytes += size;
        watched_blocks++;
    }
    return block + 1;
}

void OPENSSL_memory_free(void *pointer)
{
    struct block *block = pointer;

    if (block == NULL)
        return;
    block--;
    if (block->ours) {
        watched_bytes -= block->size;
        watched_blocks--;
    }
    memset(block + 1, 0, block->size); /* as BoringSSL expects of whoever takes its place */
    free(block);
}

size_t OPENSSL_memory_get_size(void *pointer)
{
    return pointer == NULL ? 0 : ((struct block *)pointer)[-1].size;
}

static void watch(bool begins)
{
    watching = begins;
}

struct ends {
    struct gw_tls_context *server;
    SSL_CTX *client;
};

static struct ends ends_create(uint16_t version)
{
    struct ends e = {server_create(LEAF_BOTH, GW_TLS_MODERN, 1), client_create(version, version)};
    struct pair p;

    /* What a library allocates once per process or key is not a session's. */
    pair_open(&p, e.server, e.client, 0);
    pair_pump(&p);
    assert_true(gw_tls_is_established(p.ours));
    pair_close(&p);
    watched_bytes = watched_blocks = 0;
    pair_hook = watch;
    return e;
}

static void ends_destroy(struct ends *e)
{
    pair_hook = NULL;
    gw_tls_context_destroy(e->server);
    SSL_CTX_free(e->client);
}

static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/*
 * 2,480 bytes were measured with an SSL object: 168 of SSL, 592 of its state, 456 of session, two
 * times 632 of keys. A lean session has nothing of BoringSSL's.
 */
static void an_idle_session_holds_no_buffers(void **state)
{
    enum { SESSION_BYTES_MAX = 2600, SESSION_BLOCKS_MAX = 6 };

    (void)state;
    for (size_t v = 0; v < GW_ARRAY_COUNT(versions); v++) {
        struct ends e = ends_create(versions[v]);
        struct pair p;

        pair_open(&p, e.server, e.client, 0);
        pair_pump(&p);
        pair_peer_write(&p, "0123456789", 10);
        pair_pump(&p);
        assert_int_equal(p.got.size, 10);
        if (server_is_lean) {
            assert_int_equal(watched_bytes, 0);
            assert_int_equal(watched_blocks, 0);
        } else {
            assert_in_range(watched_bytes, 1000, SESSION_BYTES_MAX);
            assert_in_range(watched_blocks, 1, SESSION_BLOCKS_MAX);
        }
        pair_close(&p);
        assert_int_equal(watched_bytes, 0);
        assert_int_equal(watched_blocks, 0);
        ends_destroy(&e);
    }
}

static void a_session_that_cannot_be_opened_is_none(void **state)
{
    struct ends e = ends_create(TLS1_3_VERSION);
    struct gw_tls *tls = NULL;
    size_t at;

    (void)state;
    for (at = 0; tls == NULL; at++) {
        alloc_count = 0;
        alloc_fails_at = at;
        watch(true);
        tls = gw_tls_open(e.server);
        watch(false);
        alloc_fails_at = SIZE_MAX;
        if (tls == NULL)
            assert_int_equal(watched_blocks, 0); /* all of it came back */
    }
    assert_in_range(at, 2, 100);
    gw_tls_close(tls);
    assert_int_equal(watched_blocks, 0);
    ends_destroy(&e);
}

static void running_out_of_memory_ends_only_that_session(void **state)
{
    (void)state;
    for (size_t v = 0; v < GW_ARRAY_COUNT(versions); v++) {
        struct ends e = ends_create(versions[v]);
        bool starved = true;
        size_t at;

        for (at = 0; starved; at++) {
            struct pair p;

            pair_open(&p, e.server, e.client, 0);
            alloc_count = 0;
            alloc_fails_at = at;
            pair_pump(&p);
            starved = alloc_count > at;
            alloc_fails_at = SIZE_MAX;
            if (gw_tls_is_established(p.ours)) {
                /* Some allocations may fail without harm: a ticket, say. */
                assert_true(p.result == GW_TLS_WANT || p.result == GW_TLS_FAILED);
            } else {
                assert_int_equal(p.result, GW_TLS_FAILED);
                assert_true(gw_tls_failure(p.ours)[0] != 0);
            }
            pair_close(&p);
            assert_int_equal(watched_blocks, 0); /* all of it came back */
        }
        assert_in_range(at, 50, 10000); /* it was tried often, and ended well */
        ends_destroy(&e);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_session_holds_no_buffers),
        cmocka_unit_test(a_session_that_cannot_be_opened_is_none),
        cmocka_unit_test(running_out_of_memory_ends_only_that_session),
    };

    server_choose(argc, argv);
    return cmocka_run_group_tests(tests, pki_create, pki_remove);
}
