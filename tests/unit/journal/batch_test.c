/*
 * Batches and records as bytes: every cut, every bit, every bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <gw/journal/batch.h>
#include <gw/journal/segment.h>

enum { SEED = 42 };

static const struct gw_record samples[] = {
    {.device = 1,
     .session = 2,
     .time_us = 3,
     .sequence = 4,
     .msg_id = 5,
     .kind = GW_RECORD_PIN_WRITE,
     .bank = 'v',
     .pin = 6,
     .value = {(const uint8_t *)"42", 2}},
    {.device = UINT32_MAX,
     .session = UINT64_MAX,
     .time_us = UINT64_MAX,
     .sequence = UINT32_MAX,
     .msg_id = UINT16_MAX,
     .kind = GW_RECORD_PROPERTY,
     .bank = 'd',
     .pin = 255,
     .flags = GW_RECORD_GROUPED | GW_RECORD_DEVICE_TIME,
     .pin_count = UINT16_MAX,
     .name = {(const uint8_t *)"isDisabled", 10},
     .value = {(const uint8_t *)"a\0b", 3}},
    {.kind = GW_RECORD_OFFLINE, .name = {(const uint8_t *)"silent", 6}},
    {.kind = GW_RECORD_GROUP_END},
};

static size_t seal_samples(uint8_t *buffer)
{
    size_t filled = GW_BATCH_HEADER_BYTES;

    for (size_t i = 0; i < GW_ARRAY_COUNT(samples); i++) {
        gw_record_encode(buffer + filled, &samples[i]);
        filled += gw_record_bytes(&samples[i]);
    }
    return gw_batch_seal(buffer,
                         &(struct gw_batch){.kind = GW_BATCH_RECORDS,
                                            .count = GW_ARRAY_COUNT(samples),
                                            .lane = 3,
                                            .epoch = 99,
                                            .sequence = 7,
                                            .durable = 5,
                                            .first_us = 10,
                                            .last_us = 20,
                                            .body = {NULL, filled - GW_BATCH_HEADER_BYTES}},
                         SEED);
}

static void assert_records_equal(const struct gw_record *a, const struct gw_record *b)
{
    assert_int_equal(a->device, b->device);
    assert_true(a->session == b->session);
    assert_true(a->time_us == b->time_us);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->msg_id, b->msg_id);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->bank, b->bank);
    assert_int_equal(a->pin, b->pin);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->pin_count, b->pin_count);
    assert_true(gw_bytes_equal(a->name, b->name));
    assert_true(gw_bytes_equal(a->value, b->value));
}

static void batch_gives_back_what_was_sealed(void **state)
{
    uint8_t buffer[1024];
    size_t size = seal_samples(buffer), used;
    struct gw_batch batch;
    struct gw_batch_walk walk;
    struct gw_record record;

    (void)state;
    assert_int_equal(size % GW_BATCH_ALIGN_BYTES, 0);
    assert_int_equal(gw_batch_decode(gw_bytes_of(buffer, sizeof(buffer)), SEED, &batch, &used),
                     GW_OK);
    assert_int_equal(used, size);
    assert_int_equal(batch.lane, 3);
    assert_int_equal(batch.epoch, 99);
    assert_int_equal(batch.sequence, 7);
    assert_int_equal(batch.durable, 5);
    assert_int_equal(batch.first_us, 10);
    assert_int_equal(batch.last_us, 20);
    assert_int_equal(gw_batch_name(buffer).sequence, 7);
    walk = gw_batch_records(&batch);
    for (size_t i = 0; i < GW_ARRAY_COUNT(samples); i++) {
        assert_int_equal(gw_batch_next(&walk, &record), GW_OK);
        assert_records_equal(&record, &samples[i]);
    }
    assert_int_equal(gw_batch_next(&walk, &record), GW_MORE);
}

static void batch_is_more_at_every_cut(void **state)
{
    uint8_t buffer[1024];
    size_t size = seal_samples(buffer), used;
    struct gw_batch batch;

    (void)state;
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(gw_batch_decode(gw_bytes_of(buffer, cut), SEED, &batch, &used), GW_MORE);
        assert_int_equal(used, 0);
    }
}

static void batch_with_any_bit_flipped_is_refused(void **state)
{
    uint8_t buffer[1024] = {0};
    size_t size = seal_samples(buffer), used;
    struct gw_batch batch;

    (void)state;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        buffer[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(
            gw_batch_decode(gw_bytes_of(buffer, sizeof(buffer)), SEED, &batch, &used), GW_OK);
        buffer[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void batch_needs_its_seed(void **state)
{
    uint8_t buffer[1024];
    size_t size = seal_samples(buffer), used;
    struct gw_batch batch;

    (void)state;
    assert_int_equal(gw_batch_decode(gw_bytes_of(buffer, size), SEED + 1, &batch, &used),
                     GW_BAD_FRAME);
}

static void record_is_bad_at_every_cut(void **state)
{
    uint8_t buffer[256];
    struct gw_record record;
    size_t used;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(samples); i++) {
        size_t size = gw_record_bytes(&samples[i]);

        gw_record_encode(buffer, &samples[i]);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(gw_record_decode(gw_bytes_of(buffer, cut), &record, &used),
                             GW_BAD_FRAME);
        assert_int_equal(gw_record_decode(gw_bytes_of(buffer, size), &record, &used), GW_OK);
        assert_int_equal(used, size);
    }
}

static void body_that_holds_fewer_records_than_it_says_is_bad(void **state)
{
    uint8_t buffer[1024];
    struct gw_batch batch;
    struct gw_batch_walk walk;
    struct gw_record record;
    size_t used, size;

    (void)state;
    gw_record_encode(buffer + GW_BATCH_HEADER_BYTES, &samples[0]);
    size = gw_batch_seal(buffer,
                         &(struct gw_batch){.kind = GW_BATCH_RECORDS,
                                            .count = 2,
                                            .sequence = 1,
                                            .body = {NULL, gw_record_bytes(&samples[0])}},
                         SEED);
    assert_int_equal(gw_batch_decode(gw_bytes_of(buffer, size), SEED, &batch, &used), GW_OK);
    walk = gw_batch_records(&batch);
    assert_int_equal(gw_batch_next(&walk, &record), GW_OK);
    assert_int_equal(gw_batch_next(&walk, &record), GW_BAD_FRAME);
    assert_int_equal(gw_batch_next(&walk, &record), GW_MORE);
}

static void every_record_kind_has_a_text(void **state)
{
    (void)state;
    for (int kind = GW_RECORD_PIN_WRITE; kind <= GW_RECORD_OFFLINE; kind++)
        assert_non_null(gw_record_kind_text((uint8_t)kind));
    assert_null(gw_record_kind_text(0));
    assert_null(gw_record_kind_text(GW_RECORD_OFFLINE + 1));
}

static void segment_header_with_any_bit_flipped_is_refused(void **state)
{
    uint8_t page[GW_SEGMENT_HEADER_BYTES];
    static struct gw_segment_header in = {.number = 5,
                                          .epoch = 6,
                                          .seed = 7,
                                          .created_us = 8,
                                          .previous = 4,
                                          .previous_end = 8192,
                                          .lanes = 2,
                                          .last = {11, 12}};
    static struct gw_segment_header out;

    (void)state;
    gw_segment_header_encode(page, &in);
    assert_true(gw_segment_header_decode(page, &out));
    assert_memory_equal(&in, &out, sizeof(in));
    for (size_t bit = 0; bit < sizeof(page) * 8; bit += 7) {
        page[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(gw_segment_header_decode(page, &out));
        page[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void segment_names_are_only_what_we_write(void **state)
{
    static const struct {
        const char *name;
        uint64_t number;
    } rows[] = {
        {"00000000000000000001.seg", 1},
        {"18446744073709551615.seg", UINT64_MAX},
        {"18446744073709551616.seg", 0},
        {"99999999999999999999.seg", 0},
        {"00000000000000000000.seg", 0},
        {"0000000000000000000/.seg", 0},
        {"0000000000000000001.seg", 0},
        {"000000000000000000001.seg", 0},
        {"0000000000000000000x.seg", 0},
        {"00000000000000000001.sag", 0},
        {"new.tmp", 0},
        {"", 0},
    };
    char name[GW_SEGMENT_NAME_BYTES];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        uint64_t number = 0;

        assert_int_equal(gw_segment_name_parse(rows[i].name, &number), rows[i].number != 0);
        if (rows[i].number != 0) {
            assert_true(number == rows[i].number);
            gw_segment_name(name, number);
            assert_string_equal(name, rows[i].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_gives_back_what_was_sealed),
        cmocka_unit_test(batch_is_more_at_every_cut),
        cmocka_unit_test(batch_with_any_bit_flipped_is_refused),
        cmocka_unit_test(batch_needs_its_seed),
        cmocka_unit_test(record_is_bad_at_every_cut),
        cmocka_unit_test(body_that_holds_fewer_records_than_it_says_is_bad),
        cmocka_unit_test(every_record_kind_has_a_text),
        cmocka_unit_test(segment_header_with_any_bit_flipped_is_refused),
        cmocka_unit_test(segment_names_are_only_what_we_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
