/*
 * What the journal's tests share: a directory of their own, a disk that fails on demand, and small
 * journals with known contents.
 */
#ifndef GW_TESTS_JOURNAL_KIT_H
#define GW_TESTS_JOURNAL_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gw/journal/cursor.h>
#include <gw/journal/reader.h>
#include <gw/journal/writer.h>

enum { KIT_SEED = 0x5eed, KIT_BATCH_BYTES_MAX = 70000 };

struct kit_dir {
    char path[128];
};

/* A fresh directory in memory or below TMPDIR, and its removal with everything in it. */
void kit_dir_make(struct kit_dir *dir);
void kit_dir_remove(struct kit_dir *dir);

/* DIR/NAME for one segment. */
void kit_segment_path(char out[256], const struct kit_dir *dir, uint64_t number);

/* Whole files. kit_file_read allocates. */
uint8_t *kit_file_read(const char *path, size_t *bytes);
void kit_file_write(const char *path, const void *data, size_t bytes);

/*
 * The operating system's files, with one failure: the `fail_at`th call of those that write, sync,
 * create or rename (from 1) answers `fail_with`, and with `fail_forever` every later one too. A
 * failing pwritev may write the first `short_bytes` bytes before. Calls are counted and the order
 * of writes and syncs is noted.
 */
struct kit_disk {
    struct gw_journal_io io;
    uint64_t calls, fail_at;
    int fail_with;
    bool fail_forever;
    bool only_data; /* count only pwritev and fdatasync of segments */
    size_t short_bytes;
    uint64_t syncs, syncs_after_failure;
    int failed_fd; /* descriptor whose fdatasync failed, or -1 */
    uint64_t now_us;
};

void kit_disk_init(struct kit_disk *disk);

/* What most tests have, each anew: a directory, and a disk that works until it is told otherwise.
 */
extern struct kit_dir kit_dir;
extern struct kit_disk kit_disk;
int kit_set_up(void **state);
int kit_tear_down(void **state);
#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, kit_set_up, kit_tear_down)

/* Seals one batch of `count` pin writes into `buffer`; record i of it has the value "LANE-SEQ-i".
 */
struct gw_bytes kit_batch(uint8_t *buffer, const struct gw_journal_writer *writer, uint32_t lane,
                          uint64_t sequence, uint64_t durable, uint32_t count);

/* Opens a writer that must open. */
struct gw_journal_writer *kit_writer(const struct kit_dir *dir, uint64_t segment_bytes,
                                     const struct gw_journal_io *io,
                                     struct gw_journal_recovery *recovery);

/* Writes one batch of one lane; what the writer says. */
int kit_write(struct gw_journal_writer *writer, uint32_t lane, uint64_t sequence, uint64_t durable,
              uint32_t count);

/* Where the next batch goes, also when the segment that is written is empty. */
struct gw_journal_position kit_place(const struct kit_dir *dir,
                                     const struct gw_journal_writer *writer);

/* Writes into a segment that is there, behind its writer's back. */
void kit_put_at(const struct kit_dir *dir, struct gw_journal_position at, struct gw_bytes bytes);

/* What a reader found from a position on. */
struct kit_found {
    uint64_t records, batches, damaged_bytes, batches_lost, damages, deletions;
    uint64_t last[8]; /* highest sequence per lane                              */
    bool in_order;    /* every lane's sequences rose, and every value was right */
    struct gw_journal_position after;
};

struct kit_found kit_read(const struct kit_dir *dir, struct gw_journal_position from);
/* From an open reader until it says GW_JOURNAL_END. */
void kit_drain(struct gw_journal_reader *reader, struct kit_found *found);

/* Calls of a disk that fail, for a struct gw_journal_io. */
int kit_unlink_fails(void *context, const char *path);
int kit_rename_has_no_room(void *context, const char *from, const char *to);
int kit_fsync_of_directories_fails(void *context, int fd);

#endif
