#include "journal_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void kit_dir_make(struct kit_dir *dir)
{
    const char *top = getenv("TMPDIR");

    if (top == NULL) /* thousands of small journals: none of these tests is about a real disk */
        top = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(dir->path, sizeof(dir->path), "%.64s/gw_journal_XXXXXX", top);
    assert_non_null(mkdtemp(dir->path));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void kit_dir_remove(struct kit_dir *dir)
{
    assert_int_equal(nftw(dir->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void kit_segment_path(char out[256], const struct kit_dir *dir, uint64_t number)
{
    (void)snprintf(out, 256, "%s/%020" PRIu64 ".seg", dir->path, number);
}

uint8_t *kit_file_read(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data;
    long size;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    data = malloc((size_t)size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, file), size);
    (void)fclose(file);
    *bytes = (size_t)size;
    return data;
}

void kit_file_write(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

/* True when this call is the one to fail. */
static bool fails_now(struct kit_disk *disk, bool data)
{
    if (disk->only_data && !data)
        return false;
    disk->calls++;
    return disk->fail_at != 0 &&
           (disk->calls == disk->fail_at || (disk->fail_forever && disk->calls > disk->fail_at));
}

static int disk_open(void *context, const char *path, int flags, mode_t mode)
{
    struct kit_disk *disk = context;

    if ((flags & O_CREAT) != 0 && fails_now(disk, false) && disk->fail_with != 0)
        return disk->fail_with;
    return gw_journal_io_system.open(NULL, path, flags, mode);
}

static ssize_t disk_pwritev(void *context, int fd, const struct iovec *iov, int count,
                            uint64_t offset)
{
    struct kit_disk *disk = context;

    if (fails_now(disk, true)) {
        if (disk->short_bytes > 0) {
            struct iovec first = {
                .iov_base = iov[0].iov_base,
                .iov_len = iov[0].iov_len < disk->short_bytes ? iov[0].iov_len : disk->short_bytes};

            (void)gw_journal_io_system.pwritev(NULL, fd, &first, 1, offset);
        }
        if (disk->fail_with == 0) { /* a short write instead of an error */
            struct iovec part = {.iov_base = iov[0].iov_base, .iov_len = iov[0].iov_len / 2 + 1};

            return gw_journal_io_system.pwritev(NULL, fd, &part, 1, offset);
        }
        return disk->fail_with;
    }
    return gw_journal_io_system.pwritev(NULL, fd, iov, count, offset);
}

static int disk_fdatasync(void *context, int fd)
{
    struct kit_disk *disk = context;

    disk->syncs++;
    if (disk->failed_fd == fd)
        disk->syncs_after_failure++;
    if (fails_now(disk, true) && disk->fail_with != 0) {
        disk->failed_fd = fd;
        return disk->fail_with;
    }
    return gw_journal_io_system.fdatasync(NULL, fd);
}

static int disk_close(void *context, int fd)
{
    struct kit_disk *disk = context;

    if (disk->failed_fd == fd)
        disk->failed_fd = -1;
    return gw_journal_io_system.close(NULL, fd);
}

static int disk_fsync(void *context, int fd)
{
    struct kit_disk *disk = context;

    return fails_now(disk, false) && disk->fail_with != 0 ? disk->fail_with
                                                          : gw_journal_io_system.fsync(NULL, fd);
}

static int disk_rename(void *context, const char *from, const char *to)
{
    struct kit_disk *disk = context;

    return fails_now(disk, false) && disk->fail_with != 0
               ? disk->fail_with
               : gw_journal_io_system.rename(NULL, from, to);
}

static int disk_truncate(void *context, int fd, uint64_t bytes)
{
    struct kit_disk *disk = context;

    return fails_now(disk, false) && disk->fail_with != 0
               ? disk->fail_with
               : gw_journal_io_system.truncate(NULL, fd, bytes);
}

static uint64_t disk_wall_us(void *context)
{
    struct kit_disk *disk = context;

    return disk->now_us;
}

void kit_disk_init(struct kit_disk *disk)
{
    *disk = (struct kit_disk){
        .io = gw_journal_io_system, .failed_fd = -1, .now_us = UINT64_C(1800000000000000)};
    disk->io.context = disk;
    disk->io.open = disk_open;
    disk->io.close = disk_close;
    disk->io.pwritev = disk_pwritev;
    disk->io.fdatasync = disk_fdatasync;
    disk->io.fsync = disk_fsync;
    disk->io.rename = disk_rename;
    disk->io.truncate = disk_truncate;
    disk->io.wall_us = disk_wall_us;
}

struct kit_dir kit_dir;
struct kit_disk kit_disk;

int kit_set_up(void **state)
{
    (void)state;
    kit_dir_make(&kit_dir);
    kit_disk_init(&kit_disk);
    return 0;
}

int kit_tear_down(void **state)
{
    (void)state;
    kit_dir_remove(&kit_dir);
    return 0;
}

static struct gw_record record_of(uint32_t lane, uint64_t sequence, uint32_t index, char value[64])
{
    int length = snprintf(value, 64, "%" PRIu32 "-%" PRIu64 "-%" PRIu32, lane, sequence, index);

    return (struct gw_record){
        .device = lane + 1,
        .session = 77,
        .time_us = 1000000 + sequence,
        .sequence = (uint32_t)sequence,
        .msg_id = 9,
        .kind = GW_RECORD_PIN_WRITE,
        .bank = 'v',
        .pin = (uint8_t)index,
        .value = gw_bytes_of(value, (size_t)length),
    };
}

struct gw_bytes kit_batch(uint8_t *buffer, const struct gw_journal_writer *writer, uint32_t lane,
                          uint64_t sequence, uint64_t durable, uint32_t count)
{
    size_t filled = GW_BATCH_HEADER_BYTES;
    struct gw_batch batch = {
        .kind = GW_BATCH_RECORDS,
        .count = count,
        .lane = lane,
        .epoch = gw_journal_writer_epoch(writer),
        .sequence = sequence,
        .durable = durable,
        .first_us = 1000000,
        .last_us = 1000001,
    };

    for (uint32_t i = 0; i < count; i++) {
        char value[64];
        struct gw_record record = record_of(lane, sequence, i, value);

        assert_true(filled + gw_record_bytes(&record) <= KIT_BATCH_BYTES_MAX - 8);
        gw_record_encode(buffer + filled, &record);
        filled += gw_record_bytes(&record);
    }
    batch.body = gw_bytes_of(NULL, filled - GW_BATCH_HEADER_BYTES);
    return gw_bytes_of(buffer, gw_batch_seal(buffer, &batch, gw_journal_writer_seed(writer)));
}

struct gw_journal_writer *kit_writer(const struct kit_dir *dir, uint64_t segment_bytes,
                                     const struct gw_journal_io *io,
                                     struct gw_journal_recovery *recovery)
{
    struct gw_journal_options options = {
        .path = dir->path, .segment_bytes = segment_bytes, .seed = KIT_SEED, .io = io};
    struct gw_journal_writer *writer;
    struct gw_journal_recovery unused;
    char why[256] = "";
    int err = gw_journal_writer_open(&options, &writer, recovery != NULL ? recovery : &unused, why,
                                     sizeof(why));

    if (err != 0)
        fail_msg("%s (%d)", why, err);
    return writer;
}

int kit_write(struct gw_journal_writer *writer, uint32_t lane, uint64_t sequence, uint64_t durable,
              uint32_t count)
{
    static uint8_t buffer[KIT_BATCH_BYTES_MAX];
    struct gw_bytes batch = kit_batch(buffer, writer, lane, sequence, durable, count);
    uint32_t written;
    int err = gw_journal_writer_write(writer, &batch, 1, &written);

    assert_int_equal(written, err == 0 ? 1 : 0);
    return err;
}

struct gw_journal_position kit_place(const struct kit_dir *dir,
                                     const struct gw_journal_writer *writer)
{
    struct gw_journal_writer_stat stat;
    char path[256];

    gw_journal_writer_stat(writer, &stat);
    for (;;) { /* the writer calls the end of the one before the end of an empty one */
        kit_segment_path(path, dir, stat.durable.segment + 1);
        if (access(path, F_OK) != 0)
            return stat.durable;
        stat.durable.segment++;
        stat.durable.offset = GW_SEGMENT_DATA_AT;
    }
}

void kit_put_at(const struct kit_dir *dir, struct gw_journal_position at, struct gw_bytes bytes)
{
    char path[256];
    int fd;

    kit_segment_path(path, dir, at.segment);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes.data, bytes.size, (off_t)at.offset), bytes.size);
    (void)close(fd);
}

static void take_record(struct kit_found *found, const struct gw_journal_item *item)
{
    char value[64];
    struct gw_record want = record_of(item->batch.lane, item->batch.sequence, item->index, value);

    found->records++;
    if (!gw_bytes_equal(want.value, item->record.value) || want.device != item->record.device)
        found->in_order = false;
    if (item->index == 0) {
        found->batches++;
        assert_true(item->batch.lane < 8);
        if (item->batch.sequence <= found->last[item->batch.lane])
            found->in_order = false;
        found->last[item->batch.lane] = item->batch.sequence;
    }
    if (item->last)
        found->after = item->after;
}

void kit_drain(struct gw_journal_reader *reader, struct kit_found *found)
{
    struct gw_journal_item item;

    for (;;) {
        assert_int_equal(gw_journal_reader_next(reader, &item), 0);
        switch (item.kind) {
        case GW_JOURNAL_END:
            return;
        case GW_JOURNAL_RECORD:
            take_record(found, &item);
            break;
        case GW_JOURNAL_DAMAGE:
            found->damages++;
            found->deletions += item.deleted;
            found->damaged_bytes += item.bytes;
            found->batches_lost += item.batches_lost;
            break;
        }
    }
}

struct kit_found kit_read(const struct kit_dir *dir, struct gw_journal_position from)
{
    struct gw_journal_reader_options options = {
        .path = dir->path,
        .from = from.segment == 0 ? GW_JOURNAL_FROM_BEGINNING : GW_JOURNAL_FROM_POSITION,
        .position = from,
    };
    struct kit_found found = {.in_order = true};
    struct gw_journal_reader *reader;
    char why[256];

    assert_int_equal(gw_journal_reader_open(&options, &reader, why, sizeof(why)), 0);
    kit_drain(reader, &found);
    gw_journal_reader_close(reader);
    return found;
}

int kit_unlink_fails(void *context, const char *path)
{
    (void)context;
    (void)path;
    return -EIO;
}

int kit_rename_has_no_room(void *context, const char *from, const char *to)
{
    (void)context;
    (void)from;
    (void)to;
    return -ENOSPC;
}

int kit_fsync_of_directories_fails(void *context, int fd)
{
    struct stat st;

    (void)context;
    return fstat(fd, &st) != 0 || S_ISDIR(st.st_mode) ? -EIO : gw_journal_io_system.fsync(NULL, fd);
}
