#include "consumer.h"

#include <errno.h>

#include <gw/base/assert.h>
#include <gw/journal/cursor.h>

#include "pretend_ring.h"

enum { ITEMS_PER_STEP_MAX = 24, AWAY_STEPS_MAX = 120 };

void consumer_stop(struct consumer *consumer)
{
    gw_journal_reader_close(consumer->reader);
    consumer->reader = NULL;
}

static bool is_same(struct gw_journal_position a, struct gw_journal_position b)
{
    return a.segment == b.segment && a.offset == b.offset;
}

/* Ended, or stopped in the midst of it. */
static void go_away(struct consumer *consumer)
{
    if (chance_one_in(consumer->chance, 2))
        consumer_stop(consumer);
    consumer->away = chance_below(consumer->chance, AWAY_STEPS_MAX);
}

/* Where its cursor says, which a failure may have left as it was or as it was to be. */
static int go_to_cursor(struct consumer *consumer, const char *path, const struct gw_journal_io *io,
                        struct gw_journal_reader_options *options)
{
    int err = gw_cursor_read(io, path, consumer->cursor, &options->position);
    uint32_t i = 0;

    gw_assert(err != -EBADMSG && err != -ENOENT);
    if (err != 0)
        return err;
    while (i < consumer->place_count && !is_same(consumer->places[i].position, options->position))
        i++;
    gw_assert(i < consumer->place_count);
    options->from = GW_JOURNAL_FROM_POSITION;
    consumer->here = consumer->places[i];
    return 0;
}

static void come_back(struct consumer *consumer, const char *path, const struct gw_journal_io *io)
{
    struct gw_journal_reader_options options = {
        .path = path, .from = GW_JOURNAL_FROM_BEGINNING, .io = io};
    char why[256];
    int err = 0;

    consumer->here = (struct place){.version = 0};
    if (consumer->cursor != NULL)
        err = go_to_cursor(consumer, path, io, &options);
    else if (chance_one_in(consumer->chance, 2))
        options.from = GW_JOURNAL_FROM_END;
    if (err != 0 || gw_journal_reader_open(&options, &consumer->reader, why, sizeof why) != 0)
        consumer->reader = NULL; /* it tries again */
    consumer->version = consumer->here.version;
    consumer->gap_told =
        options.from == GW_JOURNAL_FROM_END ||
        (options.from == GW_JOURNAL_FROM_BEGINNING && ledger_may_be_cut(consumer->ledger));
}

static void take(struct consumer *consumer, const struct gw_journal_item *item)
{
    uint32_t version = ledger_record_version(consumer->ledger, &item->record);

    if (version != 0) {
        gw_assert(version == consumer->version + 1 ||
                  (consumer->gap_told && version > consumer->version));
        consumer->version = version;
        consumer->gap_told = false;
        consumer->read++;
    }
    if (item->last)
        consumer->here = (struct place){.position = item->after, .version = consumer->version};
}

static void miss(struct consumer *consumer)
{
    gw_assert(ledger_may_be_cut(consumer->ledger) && consumer->cursor == NULL);
    consumer->gap_told = true;
    consumer->gaps++;
}

static void read_some(struct consumer *consumer)
{
    uint32_t count = pretend.calm ? UINT32_MAX : chance_below(consumer->chance, ITEMS_PER_STEP_MAX);
    struct gw_journal_item item = {.kind = GW_JOURNAL_RECORD};

    while (count-- > 0 && item.kind != GW_JOURNAL_END &&
           gw_journal_reader_next(consumer->reader, &item) == 0) {
        if (item.kind == GW_JOURNAL_RECORD)
            take(consumer, &item);
        else if (item.kind == GW_JOURNAL_END) /* segments without a record are behind it as well */
            consumer->here =
                (struct place){.position = item.position, .version = consumer->version};
        else if (item.kind == GW_JOURNAL_DAMAGE)
            miss(consumer);
    }
}

static void commit(struct consumer *consumer, const char *path, const struct gw_journal_io *io)
{
    if (consumer->place_count == 1 &&
        is_same(consumer->here.position, consumer->places[0].position))
        return;
    gw_assert(consumer->place_count < PLACES_MAX);
    consumer->places[consumer->place_count++] = consumer->here;
    ledger_dispose(consumer->ledger, consumer->here.version);
    if (gw_cursor_commit(io, path, consumer->cursor, consumer->here.position) != 0)
        return;
    consumer->places[0] = consumer->here;
    consumer->place_count = 1;
}

void consumer_begin(struct consumer *consumer, const char *path, const struct gw_journal_io *io)
{
    int err = consumer->cursor == NULL
                  ? 0
                  : gw_cursor_commit(io, path, consumer->cursor, consumer->here.position);

    gw_assert(err == 0);
    consumer->place_count = 1;
}

static void step(struct consumer *consumer, const char *path, const struct pretend_disk *disk)
{
    const struct gw_journal_io *io = pretend_disk_io(disk);

    if (consumer->power_cuts != pretend_disk_power_cuts(disk)) {
        consumer->power_cuts = pretend_disk_power_cuts(disk);
        consumer_stop(consumer);
    }
    if (consumer->away > 0) {
        consumer->away = pretend.calm ? 0 : consumer->away - 1;
        return;
    }
    if (consumer->reader == NULL)
        come_back(consumer, path, io);
    if (consumer->reader == NULL)
        return;
    read_some(consumer);
    if (consumer->cursor != NULL && chance_one_in(consumer->chance, 4))
        commit(consumer, path, io);
    if (!pretend.calm && chance_one_in(consumer->chance, 60))
        go_away(consumer);
}

void consumer_step(struct consumer *consumer, const char *path, struct pretend_disk *disk)
{
    pretend_disk_elsewhere(disk, true);
    step(consumer, path, disk);
    pretend_disk_elsewhere(disk, false);
}
