#include "values_kit.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gw/journal/batch.h>
#include <gw/journal/cursor.h>

enum { BATCH_BYTES = 70000 };

void kit_make(struct kit *kit)
{
    /* In memory where that is possible: none of these tests is about a real disk. */
    const char *top = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    *kit = (struct kit){.checkpoint_s = 3600, .segment_bytes = 1 << 20};
    (void)snprintf(kit->path, sizeof kit->path, "%s/gw_values_XXXXXX", top);
    assert_non_null(mkdtemp(kit->path));
    (void)snprintf(kit->store, sizeof kit->store, "%s/values", kit->path);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void kit_remove(struct kit *kit)
{
    assert_int_equal(nftw(kit->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void kit_open(struct kit *kit)
{
    struct gw_journal_options journal = {
        .path = kit->path, .segment_bytes = kit->segment_bytes, .io = kit->io};
    struct gw_values_options options = {.path = kit->store,
                                        .journal_path = kit->path,
                                        .memory_bytes = 4 << 20,
                                        .checkpoint_s = kit->checkpoint_s};
    struct gw_journal_recovery recovery;
    char why[512] = "";

    if (gw_journal_writer_open(&journal, &kit->writer, &recovery, why, sizeof why) != 0)
        fail_msg("%s", why);
    options.journal_end = kit_durable(kit);
    if (gw_values_open(&options, &kit->values, &kit->found, why, sizeof why) != 0)
        fail_msg("%s", why);
    assert_int_equal(gw_values_reader_open(kit->values, &kit->reader), 0);
    kit->sequence = 0;
}

static void close_all(struct kit *kit, bool clean)
{
    gw_values_reader_close(kit->reader);
    if (clean)
        gw_values_stop(kit->values);
    gw_values_close(kit->values);
    gw_journal_writer_close(kit->writer, clean);
}

void kit_stop(struct kit *kit)
{
    close_all(kit, true);
}

void kit_crash(struct kit *kit)
{
    close_all(kit, false);
}

void kit_record(struct kit *kit, const struct gw_record *record, bool untold)
{
    static uint8_t buffer[BATCH_BYTES];
    struct gw_batch batch = {
        .kind = GW_BATCH_RECORDS,
        .count = 1,
        .epoch = gw_journal_writer_epoch(kit->writer),
        .sequence = ++kit->sequence,
        .body = gw_bytes_of(NULL, gw_record_bytes(record)),
    };
    struct gw_bytes sealed;
    uint32_t durable;

    gw_record_encode(buffer + GW_BATCH_HEADER_BYTES, record);
    sealed =
        gw_bytes_of(buffer, gw_batch_seal(buffer, &batch, gw_journal_writer_seed(kit->writer)));
    assert_int_equal(gw_journal_writer_write(kit->writer, &sealed, 1, &durable), 0);
    if (!untold)
        gw_values_observe(kit->values, &sealed, 1, kit_durable(kit));
}

void kit_write(struct kit *kit, uint32_t device, uint8_t pin, const char *value)
{
    struct gw_record record = {.device = device,
                               .kind = GW_RECORD_PIN_WRITE,
                               .time_us = kit->sequence + 1,
                               .bank = 'v',
                               .pin = pin,
                               .pin_count = 1,
                               .value = gw_bytes_text(value)};

    kit_record(kit, &record, false);
}

void kit_expect(struct kit *kit, uint32_t device, uint8_t pin, const char *value)
{
    struct gw_value got;
    int err = gw_values_get(kit->reader, device, 'v', pin, &got);

    if (value == NULL) {
        assert_int_equal(err, -ENOENT);
    } else {
        assert_int_equal(err, 0);
        assert_int_equal(got.bank, 'v');
        assert_int_equal(got.pin, pin);
        assert_int_equal(got.origin, GW_VALUE_FROM_DEVICE);
        if (!gw_bytes_are(got.bytes, value))
            fail_msg("device %u pin %u: \"%.*s\", not \"%s\"", device, pin, (int)got.bytes.size,
                     (const char *)got.bytes.data, value);
    }
    gw_values_reader_pause(kit->reader);
}

static bool print_pin(void *context, const struct gw_value *value)
{
    char *text = context;
    size_t at = strlen(text);

    (void)snprintf(text + at, 8192 - at, "%u=%.*s ", value->pin, (int)value->bytes.size,
                   (const char *)value->bytes.data);
    return true;
}

const char *kit_pins(struct kit *kit, uint32_t device, uint8_t from)
{
    static char text[8192];

    text[0] = '\0';
    assert_int_equal(gw_values_each(kit->reader, device, 'v', from, print_pin, text), 0);
    gw_values_reader_pause(kit->reader);
    return text;
}

struct gw_journal_position kit_cursor(const struct kit *kit)
{
    struct gw_journal_position position;

    assert_int_equal(gw_cursor_read(NULL, kit->path, GW_VALUES_CURSOR, &position), 0);
    return position;
}

struct gw_journal_position kit_durable(const struct kit *kit)
{
    struct gw_journal_writer_stat stat;

    gw_journal_writer_stat(kit->writer, &stat);
    return stat.durable;
}
