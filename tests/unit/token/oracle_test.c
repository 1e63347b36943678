/*
 * How long a login takes says nothing of the token: one that is known, one that differs from it in
 * its last byte, one that was taken away and one that never was take the same time.
 *
 * Noise only ever adds to a time. So of many short measurements of each kind, taken in turns, the
 * faster ones are compared, and a comparison that fails is made again: a machine that was busy is
 * quiet some other time, a look-up that ends early ends early every time.
 */
#include "fixture.h"

#include <time.h>

enum {
    DEVICES = 2000,
    ROUNDS = 1500,
    LOGINS = 16,  /* in a row, for one measurement */
    TRIES = 40,   /* on a machine that does other things as well */
    TOKENS = 256, /* of each kind */
};

#define DIFFERENCE_MAX 0.10 /* of the faster one */

enum kind { KNOWN, NEARLY, TAKEN_AWAY, UNKNOWN, KINDS };

static const char *const kind_words[KINDS] = {
    [KNOWN] = "known",
    [NEARLY] = "known but for a byte",
    [TAKEN_AWAY] = "taken away",
    [UNKNOWN] = "unknown",
};

static uint8_t tokens[KINDS][TOKENS][GW_TOKEN_BYTES];
static double times[KINDS][ROUNDS];

static void make_devices(const struct fixture *f)
{
    struct gw_index_writer *writer = writer_begin(f);

    for (uint32_t n = 0; n < DEVICES; n++) {
        uint32_t device = add_device(writer, f->product, token_of(n));

        if (n >= TOKENS && n < 2 * TOKENS)
            assert_int_equal(gw_index_token_revoke(writer, device), 0);
    }
    writer_commit(writer);
    for (uint32_t n = 0; n < TOKENS; n++) {
        memcpy(tokens[KNOWN][n], token_of(n), GW_TOKEN_BYTES);
        memcpy(tokens[NEARLY][n], token_of(n), GW_TOKEN_BYTES);
        tokens[NEARLY][n][GW_TOKEN_BYTES - 1] ^= 1;
        memcpy(tokens[TAKEN_AWAY][n], token_of(TOKENS + n), GW_TOKEN_BYTES);
        memcpy(tokens[UNKNOWN][n], token_of(UINT32_C(1000000) + n), GW_TOKEN_BYTES);
    }
}

static double measure(struct gw_index_reader *reader, enum kind kind, unsigned round)
{
    struct timespec begin, end;
    struct gw_grant grant;

    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    for (unsigned i = 0; i < LOGINS; i++) {
        const uint8_t *token = tokens[kind][(round * LOGINS + i) % TOKENS];
        enum gw_login answer = gw_index_login(reader, token, true, 1000, &grant);

        if (answer != (kind == KNOWN ? GW_LOGIN_GRANTED : GW_LOGIN_UNKNOWN))
            fail_msg("%s: answer %d", kind_words[kind], answer);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The largest difference between two kinds, as a share of the faster. */
static double look(struct gw_index_reader *reader, double typical[KINDS])
{
    double fastest = 1e18, slowest = 0;

    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned n = 0; n < KINDS; n++) {
            /* Forwards and backwards, beginning with each kind: none always follows another. */
            enum kind kind = (enum kind)(((round % 2 == 0 ? n : KINDS - n) + round / 2) % KINDS);

            times[kind][round] = measure(reader, kind, round);
        }
    for (unsigned kind = 0; kind < KINDS; kind++) {
        qsort(times[kind], ROUNDS, sizeof times[kind][0], by_size);
        typical[kind] = times[kind][ROUNDS / 5] / LOGINS;
        fastest = typical[kind] < fastest ? typical[kind] : fastest;
        slowest = typical[kind] > slowest ? typical[kind] : slowest;
    }
    return (slowest - fastest) / fastest;
}

static void the_time_of_a_login_says_nothing_of_the_token(void **state)
{
    const struct fixture *f = *state;
    double typical[KINDS], difference = 1;
    struct reading r;

    make_devices(f);
    r = reading_begin(f, false);
    for (unsigned try = 0; try < TRIES && difference > DIFFERENCE_MAX; try++)
        difference = look(r.reader, typical);
    reading_end(&r);
    for (unsigned kind = 0; kind < KINDS; kind++)
        print_message("%-22s %.0f ns\n", kind_words[kind], typical[kind]);
    if (difference > DIFFERENCE_MAX)
        fail_msg("they differ by %.0f%%", difference * 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_time_of_a_login_says_nothing_of_the_token,
                                        fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests_name("oracle", tests, NULL, NULL);
}
