/*
 * A consumer of the journal: journal_consumer DIR CURSOR
 *
 * Takes every update at least once, through restarts and crashes of both sides: the work on a batch
 * is done first, the cursor is moved after. A batch that comes again carries the same identity, so
 * whoever must not do things twice keeps the last identity next to the result, in one transaction.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <gw/journal/cursor.h>
#include <gw/journal/reader.h>

static void work(const struct gw_journal_item *item)
{
    printf("%" PRIu32 "/%" PRIu64 "/%" PRIu64 "/%" PRIu32 " device=%" PRIu32
           " pin=%c%u bytes=%zu\n",
           item->batch.lane, item->batch.epoch, item->batch.sequence, item->index,
           item->record.device, item->record.bank != 0 ? item->record.bank : '-', item->record.pin,
           item->record.value.size);
}

int main(int argc, char **argv)
{
    struct gw_journal_reader_options options = {.path = argc > 1 ? argv[1] : ""};
    struct gw_journal_reader *reader;
    struct gw_journal_item item;
    char why[256];
    int err = 0;

    if (argc != 3)
        return fprintf(stderr, "usage: journal_consumer DIR CURSOR\n"), 2;
    if (gw_cursor_read(NULL, argv[1], argv[2], &options.position) == 0)
        options.from = GW_JOURNAL_FROM_POSITION; /* else from the beginning */
    if (gw_journal_reader_open(&options, &reader, why, sizeof(why)) != 0)
        return fprintf(stderr, "%s\n", why), 1;
    while (err == 0 && (err = gw_journal_reader_next(reader, &item)) == 0) {
        if (item.kind == GW_JOURNAL_RECORD)
            work(&item);
        if (item.kind == GW_JOURNAL_RECORD && item.last && fflush(stdout) == 0)
            err = gw_cursor_commit(NULL, argv[1], argv[2], item.after);
        if (item.kind == GW_JOURNAL_DAMAGE)
            fprintf(stderr, "%" PRIu64 " batches are lost\n", item.batches_lost);
        if (item.kind == GW_JOURNAL_END)
            (void)gw_journal_reader_wait(reader, 1000);
    }
    fprintf(stderr, "%s\n", strerror(-err));
    gw_journal_reader_close(reader);
    return 1;
}
