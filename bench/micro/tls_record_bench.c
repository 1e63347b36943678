/*
 * Records: what each update costs to open and each answer to seal, in every suite, through an SSL
 * object and lean, on one session and on sessions visited at random.
 *
 * Names: tls_open/lean/1.3_aes128/64/of_1000 opens records with 64 bytes of plaintext on one out of
 * 1,000 lean sessions. Crowds of 20,000 and 50,000 are registered when TOLLGATE_BENCH_SESSIONS_MAX
 * says so (1,000 without it): those with SSL objects take half a minute of handshakes each.
 */
#include <stdio.h>
#include <stdlib.h>

#include <gw/base/defs.h>

#include "bench.h"
#include "tls_crowd.h"

enum {
    AHEAD = 256, /* records that wait to be opened; sealed while the clock stands */
    CONTENT_BYTES_MAX = 4096,
    RECORD_BYTES_MAX = CONTENT_BYTES_MAX + 64,
    SESSIONS_MAX_DEFAULT = 1000,
};

extern const struct gw_bench_grid bench_tls_record_grid;

/* The largest first: a crowd serves for visits to a part of it. */
static const uint32_t counts[] = {50000, 20000, 1000, 1};
/* The shortest update; a short one; a few values; a full segment; a full frame. */
static const size_t sizes[] = {33, 64, 256, 1400, 4096};

/* Records in the order in which they will be opened, each of one session drawn at random. */
static struct {
    uint8_t records[AHEAD][RECORD_BYTES_MAX];
    uint32_t numbers[AHEAD];
    size_t record_bytes, next;
} ahead;

static void seal_ahead(size_t size, uint32_t count, uint64_t *seed)
{
    static const uint8_t content[CONTENT_BYTES_MAX];

    for (size_t i = 0; i < AHEAD; i++) {
        ahead.numbers[i] = (uint32_t)(gw_bench_random(seed) % count);
        ahead.record_bytes =
            tls_crowd_seal(ahead.numbers[i], gw_bytes_of(content, size), ahead.records[i]);
    }
    ahead.next = 0;
}

static bool open_next(size_t size)
{
    static uint8_t out[GW_TLS_OUT_BYTES_MAX], plaintext[GW_TLS_PLAINTEXT_BYTES_MAX];
    const size_t at = ahead.next++;
    struct gw_tls_io io = {.in = gw_bytes_of(ahead.records[at], ahead.record_bytes),
                           .out = out,
                           .out_capacity = sizeof out};
    size_t bytes = 0;

    if (gw_tls_read(tls_crowd_session(ahead.numbers[at]), &io, plaintext, sizeof plaintext,
                    &bytes) != GW_TLS_DATA)
        return false;
    gw_bench_keep(plaintext);
    return bytes == size;
}

/*
 * Question: what does an update cost to open?
 * Expected, TLS 1.3 with AES-128-GCM and 64 bytes: 850 ns through SSL_read, of which AES-128-GCM is
 * 160; 420 lean, of which 126 is the key schedule that is made anew for each record. Of 1,400
 * bytes: 1,380 and 1,020. AES-256 costs 20% more a byte and schedule; ChaCha20 has no schedule, and
 * 64 bytes more or less as AES, 1,400 some 500 ns more.
 * Out of 1,000 sessions at random 100 ns more, through SSL_read; out of 20,000: 1,480 and 635; out
 * of 50,000: 2,550 and 900: of an SSL object some 15 cache lines are touched, of a lean session
 * four.
 */
static void open_records(struct gw_bench *b, size_t size, uint32_t count)
{
    uint64_t seed = 7;
    bool good = true;

    ahead.next = AHEAD;
    while (good && gw_bench_next(b)) {
        if (ahead.next == AHEAD) {
            gw_bench_pause(b);
            seal_ahead(size, count, &seed);
            gw_bench_resume(b);
        }
        good = open_next(size);
    }
    while (good && ahead.next < AHEAD) /* or their sessions would miss them next time */
        good = open_next(size);
    if (!good)
        gw_bench_fail(b, "a record could not be opened");
}

/*
 * Question: what does an answer cost to protect?
 * Expected, as above: 660 ns through SSL_write for 64 bytes, 400 lean; 1,230 and 1,030 for 1,400;
 * out of 1,000 sessions 100 ns more, out of 20,000: 920 and 460; out of 50,000: 1,630 and 640.
 */
static void seal_records(struct gw_bench *b, size_t size, uint32_t count)
{
    static uint8_t out[GW_TLS_OUT_BYTES_MAX], content[CONTENT_BYTES_MAX];
    uint64_t seed = 8;

    while (gw_bench_next(b)) {
        struct gw_tls_io io = {.out = out, .out_capacity = sizeof out};
        const uint32_t number = (uint32_t)(gw_bench_random(&seed) % count);

        if (!gw_tls_seal(tls_crowd_session(number), &io, gw_bytes_of(content, size))) {
            gw_bench_fail(b, "a record could not be sealed");
            return;
        }
        gw_bench_keep(out);
    }
}

/* ---- the grid ---- */

struct place {
    const struct tls_crowd_suite *suite;
    size_t row, size;
    uint32_t count;
    bool lean, is_open;
};

static uint32_t sessions_max(void)
{
    const char *text = getenv("TOLLGATE_BENCH_SESSIONS_MAX");

    return text == NULL ? SESSIONS_MAX_DEFAULT : (uint32_t)strtoul(text, NULL, 10);
}

/* Places of one crowd follow each other, so that it is made once. False beyond the last one. */
static bool place_at(size_t at, struct place *out)
{
    *out = (struct place){.is_open = at % 2 == 0};
    at /= 2;
    out->size = sizes[at % GW_ARRAY_COUNT(sizes)];
    at /= GW_ARRAY_COUNT(sizes);
    out->count = counts[at % GW_ARRAY_COUNT(counts)];
    at /= GW_ARRAY_COUNT(counts);
    out->lean = at % 2 == 0;
    out->row = at / 2;
    out->suite = tls_crowd_suite_at(out->row);
    return out->suite != NULL;
}

static enum gw_bench_place name_place(size_t at, char *out, size_t out_bytes)
{
    struct place place;

    if (!place_at(at, &place))
        return GW_BENCH_END;
    if ((!place.lean && !place.suite->has_client) || place.count > sessions_max())
        return GW_BENCH_SKIP;
    (void)snprintf(out, out_bytes, "tls_%s/%s/%s/%zu/of_%u", place.is_open ? "open" : "seal",
                   place.lean ? "lean" : "ssl", place.suite->name, place.size, place.count);
    return GW_BENCH_CASE;
}

static void run_place(struct gw_bench *b, size_t at)
{
    struct place place;

    if (!place_at(at, &place) || !tls_crowd_take(b, place.row, place.lean, place.count))
        return;
    tls_crowd_rewind(place.count);
    b->bytes_each = place.size;
    (place.is_open ? open_records : seal_records)(b, place.size, place.count);
}

const struct gw_bench_grid bench_tls_record_grid = {name_place, run_place};
