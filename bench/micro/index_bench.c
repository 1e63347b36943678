/*
 * The token index at a login, page cache warm, HMAC and comparison included.
 *
 * A million devices, or as many as TOLLGATE_BENCH_INDEX_ROWS says. They are made by the writer as
 * an operator's are, in a directory below TMPDIR (/var/tmp without one) whose files lose their
 * names as soon as they are open: however the program ends, they are gone. A row takes some 190
 * bytes of disk while they are made, and as many of page cache afterwards; making them takes 48
 * bytes of memory each.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gw/base/clock.h>
#include <gw/token/writer.h>

#include "bench.h"

enum {
    ROWS_DEFAULT = 1000000,
    ROWS_MAX = 200000000,
    LINE_BYTES = GW_TOKEN_TEXT_BYTES + 1,
    /* Drawn from all rows. Read in a row, so that where tokens come from costs nothing. */
    TOKENS = 1 << 20,
    NOW_S = 1,
};

extern const struct gw_bench_case bench_index_cases[];

/* Made by the first benchmark that asks, shared by all. */
static struct {
    char path[256];
    uint32_t rows;
    uint64_t file_bytes;
    uint8_t tokens[TOKENS][GW_TOKEN_BYTES];
    size_t next; /* of `tokens`; goes on where the last benchmark ended */
    struct gw_index *index;
    struct gw_index_reader *reader;
} made;

static void remove_files(void)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "pepper", "tokens"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char file[300];

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
                gw_index_generate(writer, number, made.rows, texts, NULL, NULL, &first) == 0 &&
                gw_index_commit(writer) == 0;

    gw_index_writer_close(writer);
    return good;
}

static bool draw_tokens(int texts)
{
    uint64_t seed = 7;

    for (size_t i = 0; i < TOKENS; i++) {
        const off_t line = (off_t)(gw_bench_random(&seed) % made.rows);
        char text[GW_TOKEN_TEXT_BYTES];

        if (pread(texts, text, sizeof text, line * LINE_BYTES) != (ssize_t)sizeof text ||
            !gw_token_from_text(gw_bytes_of(text, sizeof text), made.tokens[i]))
            return false;
    }
    return true;
}

/* Every token once: afterwards the pages are in the page cache and in our page table. */
static bool warm_up(void)
{
    for (size_t i = 0; i < TOKENS; i++) {
        struct gw_grant grant;

        if (gw_index_login(made.reader, made.tokens[i], true, NOW_S, &grant) != GW_LOGIN_GRANTED)
            return false;
    }
    gw_index_reader_pause(made.reader);
    return true;
}

static bool open_index(void)
{
    const struct gw_index_options options = {.path = made.path};
    char file[300];
    struct stat stats;
    const char *why;

    (void)snprintf(file, sizeof file, "%s/data.mdb", made.path);
    if (stat(file, &stats) != 0)
        return false;
    made.file_bytes = (uint64_t)stats.st_size;
    return gw_index_open(&options, &made.index, &why) == 0 &&
           gw_index_reader_open(made.index, &made.reader) == 0;
}

static uint32_t rows_wanted(void)
{
    const char *text = getenv("TOLLGATE_BENCH_INDEX_ROWS");
    const unsigned long rows = text == NULL ? ROWS_DEFAULT : strtoul(text, NULL, 10);

    return rows < 1 || rows > ROWS_MAX ? 0 : (uint32_t)rows;
}

static bool make_index(void)
{
    static bool tried;
    const char *top = getenv("TMPDIR");
    char file[300];
    FILE *texts;
    uint64_t began_ns = gw_clock_now().ns, ended_ns;
    bool good;

    if (tried)
        return made.reader != NULL;
    tried = true;
    made.rows = rows_wanted();
    (void)snprintf(made.path, sizeof made.path, "%.200s/tollgate-microbench.XXXXXX",
                   top != NULL ? top : "/var/tmp");
    if (made.rows == 0 || mkdtemp(made.path) == NULL)
        return false;
    (void)snprintf(file, sizeof file, "%s/tokens", made.path);
    texts = fopen(file, "w+e");
    good = texts != NULL && fill_index(texts);
    ended_ns = gw_clock_now().ns;
    good = good && draw_tokens(fileno(texts)) && open_index();
    if (texts != NULL)
        (void)fclose(texts);
    remove_files();
    good = good && warm_up();
    if (good)
        (void)fprintf(stderr,
                      "index: %" PRIu32 " rows made in %.1f s; a file of %" PRIu64
                      " bytes, %.1f a row\n",
                      made.rows, (double)(ended_ns - began_ns) / 1e9, made.file_bytes,
                      (double)made.file_bytes / made.rows);
    return good;
}

enum turn { EACH_ITS_TURN, ONE_TURN };

/* Asks for tokens at random, `flip` altered in each; a turn of a shard ends after each, or never.
 */
static void ask(struct gw_bench *b, enum turn turn, uint8_t flip, enum gw_login expected)
{
    if (!make_index()) {
        gw_bench_fail(b, "the index cannot be made");
        return;
    }
    b->memory_bytes = made.file_bytes;
    while (gw_bench_next(b)) {
        uint8_t token[GW_TOKEN_BYTES];
        struct gw_grant grant;

        memcpy(token, made.tokens[made.next++ % TOKENS], sizeof token);
        token[0] ^= flip;
        if (gw_index_login(made.reader, token, true, NOW_S, &grant) != expected) {
            gw_bench_fail(b, "a login got another answer than it must");
            break;
        }
        if (turn == EACH_ITS_TURN)
            gw_index_reader_pause(made.reader);
    }
    gw_index_reader_pause(made.reader);
}

/*
 * Question: what does a login ask of the index, beside a handshake of 245 us?
 * Expected: 2.0 us: 1.0 for the walk down a tree of a million keys, most of it cache misses, 0.7
 * for HMAC-SHA-256 of 24 bytes (four blocks), the rest for two small rows, checksums, renew.
 * Found: 1.5 us. HMAC took 340 ns, and 140 since its key is prepared once; product and organisation
 * cost nothing since the reader keeps them. What is left is the walk: 65% of the time of ten
 * million rows was in two loads of LMDB's, which wait for memory.
 */
static void index_login_hit(struct gw_bench *b)
{
    ask(b, EACH_ITS_TURN, 0, GW_LOGIN_GRANTED);
}

/*
 * Question: does a miss cost what a hit costs?
 * Expected: the same 2.0 us: the same walk, the same HMAC, a dummy row.
 */
static void index_login_miss(struct gw_bench *b)
{
    ask(b, EACH_ITS_TURN, 0x55, GW_LOGIN_UNKNOWN);
}

/*
 * Question: what is a transaction's share, when many logins come in one turn of a shard?
 * Expected: 0.3 us less: renewing looks the tables' roots up by name, one by one.
 * Found: 0.1 us less.
 */
static void index_login_hit_in_one_turn(struct gw_bench *b)
{
    ask(b, ONE_TURN, 0, GW_LOGIN_GRANTED);
}

const struct gw_bench_case bench_index_cases[] = {
    {"index_login_hit", index_login_hit},
    {"index_login_miss", index_login_miss},
    {"index_login_hit_in_one_turn", index_login_hit_in_one_turn},
    {0},
};
