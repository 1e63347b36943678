/*
 * A journal's directory and the live mark in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include <gw/base/assert.h>

#include "journal_internal.h"

int gw_journal_path(char out[GW_JOURNAL_PATH_BYTES], const char *dir, const char *name)
{
    int length = snprintf(out, GW_JOURNAL_PATH_BYTES, "%s/%s", dir, name);

    return length < 0 || length >= GW_JOURNAL_PATH_BYTES ? -ENAMETOOLONG : 0;
}

static int add_segment(void *visitor, const char *name)
{
    struct gw_segment_list *list = visitor;
    uint64_t number;

    if (!gw_segment_name_parse(name, &number))
        return 0;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        uint64_t *numbers = realloc(list->numbers, capacity * sizeof(*numbers));

        if (numbers == NULL)
            return -ENOMEM;
        list->numbers = numbers;
        list->capacity = capacity;
    }
    list->numbers[list->count++] = number;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

int gw_segment_list_read(const struct gw_journal_io *io, const char *dir,
                         struct gw_segment_list *list)
{
    int err;

    list->count = 0;
    err = io->list(io->context, dir, add_segment, list);
    if (err == 0 && list->count > 1)
        qsort(list->numbers, list->count, sizeof(*list->numbers), by_number);
    return err;
}

void gw_segment_list_fini(struct gw_segment_list *list)
{
    free(list->numbers);
    *list = GW_SEGMENT_LIST_EMPTY;
}

int gw_segment_open(const struct gw_journal_io *io, const char *dir, uint64_t number, int flags)
{
    char name[GW_SEGMENT_NAME_BYTES], path[GW_JOURNAL_PATH_BYTES];
    int err;

    gw_segment_name(name, number);
    err = gw_journal_path(path, dir, name);
    return err != 0 ? err : io->open(io->context, path, flags, 0640);
}

/* The second copy is for the day on which the first was hit. */
int gw_segment_header_read(const struct gw_journal_io *io, int fd, uint64_t number,
                           struct gw_segment_header *header)
{
    uint8_t page[GW_SEGMENT_HEADER_BYTES];

    for (uint64_t copy = 0; copy < 2; copy++) {
        ssize_t got = io->pread(io->context, fd, page, sizeof(page), copy * sizeof(page));

        if (got < 0 && got != -EIO)
            return (int)got;
        if (got == (ssize_t)sizeof(page) && gw_segment_header_decode(page, header) &&
            header->number == number)
            return 0;
    }
    return -EBADMSG;
}

int gw_journal_write_all(const struct gw_journal_io *io, int fd, const void *data, size_t bytes,
                         uint64_t offset)
{
    const uint8_t *from = data;

    while (bytes > 0) {
        struct iovec iov = {.iov_base = (void *)(uintptr_t)from, .iov_len = bytes};
        ssize_t put = io->pwritev(io->context, fd, &iov, 1, offset);

        if (put <= 0)
            return put < 0 ? (int)put : -EIO;
        from += put;
        offset += (uint64_t)put;
        bytes -= (size_t)put;
    }
    return 0;
}

/*
 * The mark: | magic 8 "TGMARK01" | hash 8 | epoch 8 | segment 8 | offset 8 | closed 8 |, written
 * over itself by one pwrite after each sync and never synced itself, but for the first time, which
 * takes the room that it needs for good. A reader that meets a half-written one sees a wrong hash
 * and looks again. It is a file that is read and not a mapping, because a store into a mapped page
 * dies of SIGBUS when the disk has no room for it.
 *
 * What reaches the disk of it is late but never wrong: it always names bytes that were synced
 * before, so recovery may use it as proof.
 */
static const uint8_t mark_magic[8] = {'T', 'G', 'M', 'A', 'R', 'K', '0', '1'};

void gw_journal_mark_encode(uint8_t out[GW_JOURNAL_MARK_BYTES], const struct gw_journal_mark *mark)
{
    memcpy(out, mark_magic, 8);
    gw_store_le64(out + 16, mark->epoch);
    gw_store_le64(out + 24, mark->durable.segment);
    gw_store_le64(out + 32, mark->durable.offset);
    gw_store_le64(out + 40, mark->closed ? 1 : 0);
    gw_store_le64(out + 8, XXH3_64bits(out + 16, GW_JOURNAL_MARK_BYTES - 16));
}

int gw_journal_mark_read(const struct gw_journal_io *io, int fd, struct gw_journal_mark *mark)
{
    enum { TRIES = 8 };
    uint8_t in[GW_JOURNAL_MARK_BYTES];

    for (int i = 0; i < TRIES; i++) {
        ssize_t got = io->pread(io->context, fd, in, sizeof(in), 0);

        if (got < 0 && got != -EIO)
            return (int)got;
        if (got == (ssize_t)sizeof(in) && memcmp(in, mark_magic, 8) == 0 &&
            gw_load_le64(in + 8) == XXH3_64bits(in + 16, sizeof(in) - 16) &&
            gw_load_le64(in + 40) <= 1) {
            *mark = (struct gw_journal_mark){
                .epoch = gw_load_le64(in + 16),
                .durable = {.segment = gw_load_le64(in + 24), .offset = gw_load_le64(in + 32)},
                .closed = gw_load_le64(in + 40) != 0,
            };
            return 0;
        }
    }
    return -ENOENT;
}

void gw_lane_marks_raise(struct gw_lane_marks *marks, uint32_t lane, uint64_t sequence)
{
    gw_assert(lane < GW_JOURNAL_LANES_MAX);
    while (marks->lanes <= lane)
        marks->last[marks->lanes++] = 0;
    marks->last[lane] = gw_max_u64(marks->last[lane], sequence);
}

void gw_lane_marks_prove(struct gw_lane_marks *marks, const struct gw_batch *batch)
{
    if (batch->kind == GW_BATCH_CLOSING) {
        for (uint32_t lane = 0; lane < batch->body.size / 8 && lane < GW_JOURNAL_LANES_MAX; lane++)
            gw_lane_marks_raise(marks, lane, gw_load_le64(batch->body.data + 8 * (size_t)lane));
    } else {
        gw_lane_marks_raise(marks, batch->lane, batch->durable);
    }
}

uint64_t gw_lane_marks_missing(const struct gw_lane_marks *from, const struct gw_lane_marks *to)
{
    uint64_t missing = 0;

    for (uint32_t lane = 0; lane < to->lanes; lane++) {
        uint64_t have = gw_lane_marks_at(from, lane);

        if (to->last[lane] > have)
            missing += to->last[lane] - have;
    }
    return missing;
}
