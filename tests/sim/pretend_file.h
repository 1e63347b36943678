/*
 * The bytes of a file as a program sees them, and as the disk has them: what was written since the
 * last sync may reach the disk or not, sector by sector, in any order.
 */
#ifndef SIM_PRETEND_FILE_H
#define SIM_PRETEND_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "random.h"

enum { FILE_EXTENTS_MAX = 64 };

struct file_extent {
    size_t from, to;
};

struct file_bytes {
    uint8_t *at;
    size_t size, capacity; /* zeros from size to capacity */
};

struct pretend_file {
    struct file_bytes seen;                     /* what a read gives                              */
    struct file_bytes stable;                   /* what is there after the power was lost         */
    struct file_extent dirty[FILE_EXTENTS_MAX]; /* written since the last sync; none touch      */
    uint32_t dirty_count;
    size_t cut; /* the shortest it has been since then */
};

void pretend_file_init(struct pretend_file *file);
void pretend_file_free(struct pretend_file *file);
size_t pretend_file_read(const struct pretend_file *file, void *out, size_t bytes, size_t offset);
void pretend_file_write(struct pretend_file *file, const void *in, size_t bytes, size_t offset);
void pretend_file_resize(struct pretend_file *file, size_t size);

/* All of it is on the disk; what had been dirty is for the caller to see before. */
void pretend_file_sync(struct pretend_file *file);
/*
 * The sync failed: each dirty sector is on the disk, or is again what the disk has, or goes on to
 * be read as it was written; and the kernel has forgotten that there was anything to write.
 */
void pretend_file_sync_failed(struct pretend_file *file, struct chance *chance);
/* What is read from here on is what the disk has; only of a file that is not dirty. */
void pretend_file_forget(struct pretend_file *file, size_t offset);
/* The kernel writes some of what is dirty on its own. */
void pretend_file_write_back(struct pretend_file *file, struct chance *chance);
/* Of what is dirty the disk has all, nothing, or any sectors; of two sizes one. */
void pretend_file_lose_power(struct pretend_file *file, struct chance *chance);

#endif
