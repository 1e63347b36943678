#include "pretend_file.h"

#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

enum { SECTOR_BYTES = 512, CAPACITY_MIN = 4096 };

void pretend_file_init(struct pretend_file *file)
{
    *file = (struct pretend_file){.cut = SIZE_MAX};
}

void pretend_file_free(struct pretend_file *file)
{
    free(file->seen.at);
    free(file->stable.at);
    pretend_file_init(file);
}

static void reserve(struct file_bytes *bytes, size_t size)
{
    size_t capacity = bytes->capacity == 0 ? CAPACITY_MIN : bytes->capacity;

    if (size <= bytes->capacity)
        return;
    while (capacity < size)
        capacity *= 2;
    bytes->at = realloc(bytes->at, capacity);
    gw_assert(bytes->at != NULL);
    memset(bytes->at + bytes->capacity, 0, capacity - bytes->capacity);
    bytes->capacity = capacity;
}

static void resize(struct file_bytes *bytes, size_t size)
{
    reserve(bytes, size);
    if (size < bytes->size)
        memset(bytes->at + size, 0, bytes->size - size);
    bytes->size = size;
}

size_t pretend_file_read(const struct pretend_file *file, void *out, size_t bytes, size_t offset)
{
    if (offset >= file->seen.size)
        return 0;
    if (bytes > file->seen.size - offset)
        bytes = file->seen.size - offset;
    memcpy(out, file->seen.at + offset, bytes);
    return bytes;
}

static void note_dirty(struct pretend_file *file, size_t from, size_t to)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < file->dirty_count; i++) {
        struct file_extent extent = file->dirty[i];

        if (extent.to < from || extent.from > to) {
            file->dirty[kept++] = extent;
            continue;
        }
        from = extent.from < from ? extent.from : from;
        to = extent.to > to ? extent.to : to;
    }
    gw_assert(kept < FILE_EXTENTS_MAX);
    file->dirty[kept] = (struct file_extent){.from = from, .to = to};
    file->dirty_count = kept + 1;
}

void pretend_file_write(struct pretend_file *file, const void *in, size_t bytes, size_t offset)
{
    if (bytes == 0)
        return;
    if (offset + bytes > file->seen.size)
        resize(&file->seen, offset + bytes);
    memcpy(file->seen.at + offset, in, bytes);
    note_dirty(file, offset, offset + bytes);
}

void pretend_file_resize(struct pretend_file *file, size_t size)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < file->dirty_count; i++) {
        struct file_extent extent = file->dirty[i];

        if (extent.from >= size)
            continue;
        extent.to = extent.to < size ? extent.to : size;
        file->dirty[kept++] = extent;
    }
    file->dirty_count = kept;
    file->cut = size < file->cut ? size : file->cut;
    resize(&file->seen, size);
}

/* The size it has now is on the disk, and that it was shorter once. */
static void settle_size(struct pretend_file *file)
{
    if (file->cut < file->stable.capacity)
        memset(file->stable.at + file->cut, 0, file->stable.capacity - file->cut);
    file->cut = SIZE_MAX;
    resize(&file->stable, file->seen.size);
}

static void copy(struct file_bytes *to, const struct file_bytes *from, size_t begin, size_t end)
{
    reserve(to, end);
    if (end > from->capacity) { /* the other one was never that long */
        size_t have = from->capacity > begin ? from->capacity - begin : 0;

        memset(to->at + begin + have, 0, end - begin - have);
        end = begin + have;
    }
    if (end > begin)
        memcpy(to->at + begin, from->at + begin, end - begin);
}

void pretend_file_sync(struct pretend_file *file)
{
    settle_size(file);
    for (uint32_t i = 0; i < file->dirty_count; i++)
        copy(&file->stable, &file->seen, file->dirty[i].from, file->dirty[i].to);
    file->dirty_count = 0;
}

/* Calls `act` for each piece of a sector that is dirty. */
static void each_piece(struct pretend_file *file, struct chance *chance,
                       void (*act)(struct pretend_file *file, struct chance *chance, size_t from,
                                   size_t to))
{
    for (uint32_t i = 0; i < file->dirty_count; i++) {
        size_t from = file->dirty[i].from, end = file->dirty[i].to;

        while (from < end) {
            size_t to = (from / SECTOR_BYTES + 1) * SECTOR_BYTES;

            to = to < end ? to : end;
            act(file, chance, from, to);
            from = to;
        }
    }
}

static void reach_disk(struct pretend_file *file, struct chance *chance, size_t from, size_t to)
{
    (void)chance;
    copy(&file->stable, &file->seen, from, to);
}

static void reach_disk_or_not(struct pretend_file *file, struct chance *chance, size_t from,
                              size_t to)
{
    if (chance_one_in(chance, 2))
        copy(&file->stable, &file->seen, from, to);
}

static void reach_disk_or_not_any_more(struct pretend_file *file, struct chance *chance,
                                       size_t from, size_t to)
{
    switch (chance_below(chance, 3)) {
    case 0:
        copy(&file->stable, &file->seen, from, to);
        break;
    case 1:
        copy(&file->seen, &file->stable, from, to);
        break;
    default: /* memory goes on to show it */
        break;
    }
}

void pretend_file_sync_failed(struct pretend_file *file, struct chance *chance)
{
    settle_size(file);
    each_piece(file, chance, reach_disk_or_not_any_more);
    file->dirty_count = 0;
}

void pretend_file_forget(struct pretend_file *file, size_t offset)
{
    if (file->dirty_count == 0 && offset < file->seen.size)
        copy(&file->seen, &file->stable, offset, file->seen.size);
}

void pretend_file_write_back(struct pretend_file *file, struct chance *chance)
{
    each_piece(file, chance, reach_disk_or_not);
}

void pretend_file_lose_power(struct pretend_file *file, struct chance *chance)
{
    size_t size = file->stable.size;

    if (chance_one_in(chance, 2)) {
        settle_size(file);
        size = file->seen.size;
    }
    file->cut = SIZE_MAX;
    switch (chance_below(chance, 3)) {
    case 0:
        break;
    case 1:
        each_piece(file, chance, reach_disk);
        break;
    default:
        each_piece(file, chance, reach_disk_or_not);
        break;
    }
    /* What is behind the end it has now is gone; and what a longer end shows was written, or 0. */
    reserve(&file->stable, size);
    if (file->stable.capacity > size)
        memset(file->stable.at + size, 0, file->stable.capacity - size);
    file->stable.size = size;
    resize(&file->seen, size);
    if (size > 0)
        memcpy(file->seen.at, file->stable.at, size);
    file->dirty_count = 0;
}
