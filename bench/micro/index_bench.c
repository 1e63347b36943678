/*
 * The token index at a login: a million devices, page cache warm, HMAC and comparison included.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gw/token/writer.h>

#include "bench.h"

enum { DEVICES = 1000000, NOW_S = 1 };

extern const struct gw_bench_case bench_index_cases[];

/* Made by the first benchmark that asks, shared by all, removed when the program ends. */
static struct {
    char path[64];
    uint8_t (*tokens)[GW_TOKEN_BYTES];
    struct gw_index *index;
    struct gw_index_reader *reader;
} made;

static void remove_index(void)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "pepper"};

    gw_index_reader_close(made.reader);
    gw_index_close(made.index);
    free(made.tokens);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char file[96];

        (void)snprintf(file, sizeof file, "%s/%s", made.path, names[i]);
        (void)unlink(file);
    }
    (void)rmdir(made.path);
}

static bool fill_index(FILE *texts)
{
    const struct gw_index_create_options options = {.path = made.path};
    struct gw_product_spec product = {.id = gw_bytes_text("TMPLbench")};
    struct gw_index_writer *writer = NULL;
    const char *why;
    uint32_t number, first;
    bool good = gw_index_create(&options, &why) == 0 &&
                gw_index_writer_open(made.path, NULL, &writer, &why) == 0 &&
                gw_index_begin(writer) == 0 &&
                gw_index_org_add(writer, gw_bytes_text("bench"), &product.org) == 0 &&
                gw_index_product_add(writer, &product, &number) == 0 &&
                gw_index_generate(writer, number, DEVICES, texts, NULL, NULL, &first) == 0 &&
                gw_index_commit(writer) == 0;

    gw_index_writer_close(writer);
    return good;
}

static bool read_tokens(FILE *texts)
{
    char line[GW_TOKEN_TEXT_BYTES + 2];

    rewind(texts);
    for (size_t i = 0; i < DEVICES; i++)
        if (fgets(line, sizeof line, texts) == NULL ||
            !gw_token_from_text(gw_bytes_of(line, GW_TOKEN_TEXT_BYTES), made.tokens[i]))
            return false;
    return true;
}

static bool make_index(void)
{
    FILE *texts;
    bool good;

    if (made.reader != NULL)
        return true;
    (void)snprintf(made.path, sizeof made.path, "/tmp/tollgate-microbench.XXXXXX");
    if (mkdtemp(made.path) == NULL || atexit(remove_index) != 0)
        return false;
    made.tokens = calloc(DEVICES, sizeof *made.tokens);
    texts = tmpfile();
    good = made.tokens != NULL && texts != NULL && fill_index(texts) && read_tokens(texts);
    if (texts != NULL)
        (void)fclose(texts);
    if (good) {
        const struct gw_index_options options = {.path = made.path};
        const char *why;

        good = gw_index_open(&options, &made.index, &why) == 0 &&
               gw_index_reader_open(made.index, &made.reader) == 0;
    }
    return good;
}

/* Asks for tokens at random, `flip` altered in each, and pauses after each as a shard's turn does.
 */
static void ask(struct gw_bench *b, uint8_t flip, enum gw_login expected)
{
    uint64_t seed = 7;

    if (!make_index()) {
        gw_bench_fail(b, "the index cannot be made");
        return;
    }
    b->memory_bytes = (uint64_t)DEVICES * sizeof *made.tokens;
    while (gw_bench_next(b)) {
        uint8_t token[GW_TOKEN_BYTES];
        struct gw_grant grant;

        memcpy(token, made.tokens[gw_bench_random(&seed) % DEVICES], sizeof token);
        token[0] ^= flip;
        if (gw_index_login(made.reader, token, true, NOW_S, &grant) != expected) {
            gw_bench_fail(b, "a login got another answer than it must");
            return;
        }
        gw_index_reader_pause(made.reader);
    }
}

/*
 * Question: what does a login ask of the index, beside a handshake of 245 us?
 * Expected: 2.0 us: 1.0 for the walk down a tree of a million keys, most of it cache misses, 0.7
 * for HMAC-SHA-256 of 24 bytes (four blocks), the rest for two small rows, checksums, renew.
 */
static void index_login_hit(struct gw_bench *b)
{
    ask(b, 0, GW_LOGIN_GRANTED);
}

/*
 * Question: does a miss cost what a hit costs?
 * Expected: the same 2.0 us: the same walk, the same HMAC, a dummy row.
 */
static void index_login_miss(struct gw_bench *b)
{
    ask(b, 0x55, GW_LOGIN_UNKNOWN);
}

const struct gw_bench_case bench_index_cases[] = {
    {"index_login_hit", index_login_hit},
    {"index_login_miss", index_login_miss},
    {0},
};
