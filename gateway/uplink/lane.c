/*
 * The shard's side of a lane. Everything but gw_lane_init, gw_lane_fini and gw_lane_wake_is_due
 * runs on the one thread that owns the lane.
 *
 * I1  A record never spans batches, and a sealed batch holds at least one.
 * I2  Sequences are given out when a batch is opened, in order, without gaps: an open batch is
 * always sealed later.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <gw/base/assert.h>
#include <gw/journal/batch.h>

#include "uplink_internal.h"

enum {
    BODY_BYTES_MAX = GW_LANE_BATCH_BYTES - GW_BATCH_HEADER_BYTES,
};

int gw_lane_init(struct gw_lane *lane, struct gw_uplink *uplink, uint32_t number,
                 uint32_t buffer_count)
{
    int err;

    lane->uplink = uplink;
    lane->number = number;
    lane->buffer_count = buffer_count;
    lane->epoch = gw_journal_writer_epoch(uplink->options.writer);
    lane->seed = gw_journal_writer_seed(uplink->options.writer);
    lane->open = GW_NONE;
    atomic_init(&lane->durable, 0);
    atomic_init(&lane->wake_at, GW_LANE_NO_WAKE);
    atomic_init(&lane->wake_room, 0);
    lane->buffers = aligned_alloc(4096, (size_t)buffer_count * GW_LANE_BATCH_BYTES);
    lane->spares = calloc(buffer_count, sizeof *lane->spares);
    if (lane->buffers == NULL || lane->spares == NULL)
        return -ENOMEM;
    if ((err = gw_spsc_init(&lane->sealed, sizeof(struct gw_sealed), buffer_count)) != 0 ||
        (err = gw_spsc_init(&lane->home, sizeof(uint32_t), buffer_count)) != 0)
        return err;
    for (uint32_t buffer = 0; buffer < buffer_count; buffer++)
        lane->spares[buffer] = buffer;
    atomic_init(&lane->spare_count, buffer_count);
    return 0;
}

void gw_lane_fini(struct gw_lane *lane)
{
    gw_spsc_fini(&lane->sealed);
    gw_spsc_fini(&lane->home);
    free(lane->spares);
    free(lane->buffers);
    lane->spares = NULL;
    lane->buffers = NULL;
}

static_assert((int)GW_LANE_RECORD_BYTES_MAX <= (int)BODY_BYTES_MAX, "a record fits a batch");
static_assert((int)GW_LANE_ROOM_BYTES_MAX <= 2 * (int)BODY_BYTES_MAX,
              "three buffers are room enough");
static_assert(GW_LANE_BATCHES_MIN / 2 >= 3, "half of the buffers are room enough");

/* Any thread; exact for the shard's, never too few for the uplink's while the shard is asleep. */
static uint32_t home_count(const struct gw_lane *lane)
{
    return atomic_load_explicit(&lane->spare_count, memory_order_relaxed) +
           gw_spsc_count(&lane->home);
}

enum gw_pressure gw_lane_pressure(const struct gw_lane *lane)
{
    uint32_t home = home_count(lane);

    return home == 0                       ? GW_PRESSURE_FULL
           : home < lane->buffer_count / 2 ? GW_PRESSURE_SLOW
                                           : GW_PRESSURE_NONE;
}

/* How many spares there are, with what has just come home. */
static uint32_t take_home(struct gw_lane *lane)
{
    uint32_t count = atomic_load_explicit(&lane->spare_count, memory_order_relaxed);

    for (uint32_t came = gw_spsc_count(&lane->home); came > 0; came--) {
        atomic_store_explicit(&lane->spare_count, count + 1, memory_order_relaxed);
        bool popped = gw_spsc_pop(&lane->home, &lane->spares[count++]);

        gw_assert(popped);
    }
    return count;
}

static uint32_t take_spare(struct gw_lane *lane)
{
    uint32_t count = take_home(lane);

    gw_assert(count > 0); /* gw_lane_has_room was not asked */
    atomic_store_explicit(&lane->spare_count, count - 1, memory_order_relaxed);
    return lane->spares[count - 1];
}

/*
 * Records that fill k new batches, one behind the other, are more than floor(k / 2) bodies long: a
 * batch was only left because the first record of the next did not fit, so two neighbours together
 * hold more than one body. Turned around, `bytes` need at most 2 * ceil(bytes / body) - 1 buffers.
 */
bool gw_lane_has_room(const struct gw_lane *lane, size_t bytes)
{
    size_t bodies = (bytes + BODY_BYTES_MAX - 1) / BODY_BYTES_MAX;

    gw_assert(bytes <= GW_LANE_ROOM_BYTES_MAX);
    return bytes == 0 || home_count(lane) >= 2 * bodies - 1;
}

static uint8_t *buffer_at(const struct gw_lane *lane, uint32_t buffer)
{
    return lane->buffers + (size_t)buffer * GW_LANE_BATCH_BYTES;
}

static uint8_t *open_buffer(const struct gw_lane *lane)
{
    return buffer_at(lane, lane->open);
}

static void open_batch(struct gw_lane *lane, uint64_t wall_us, struct gw_instant now)
{
    lane->open = take_spare(lane);
    lane->sequence++;
    lane->open_bytes = GW_BATCH_HEADER_BYTES;
    lane->open_count = 0;
    lane->first_us = wall_us;
    lane->opened = now;
}

static void seal(struct gw_lane *lane)
{
    struct gw_batch batch = {
        .kind = GW_BATCH_RECORDS,
        .count = lane->open_count,
        .lane = lane->number,
        .epoch = lane->epoch,
        .sequence = lane->sequence,
        .durable = gw_lane_durable(lane),
        .first_us = lane->first_us,
        .last_us = lane->last_us,
        .body = gw_bytes_of(NULL, lane->open_bytes - GW_BATCH_HEADER_BYTES),
    };
    struct gw_sealed sealed = {.buffer = lane->open, .sequence = lane->sequence};
    bool pushed;

    gw_assert(lane->open_count > 0); /* I1 */
    sealed.bytes = (uint32_t)gw_batch_seal(open_buffer(lane), &batch, lane->seed);
    lane->open = GW_NONE;
    lane->wanted = false;
    lane->batches++;
    lane->bytes += sealed.bytes;
    pushed = gw_spsc_push(&lane->sealed, &sealed);
    gw_assert(pushed); /* it has a place for every buffer */
    gw_uplink_poke(lane->uplink);
}

uint64_t gw_lane_append(struct gw_lane *lane, const struct gw_record *record, uint64_t wall_us,
                        struct gw_instant now)
{
    size_t bytes = gw_record_bytes(record);

    gw_assert(bytes <= GW_LANE_RECORD_BYTES_MAX);
    if (lane->open != GW_NONE && lane->open_bytes + bytes > GW_LANE_BATCH_BYTES)
        seal(lane);
    if (lane->open == GW_NONE)
        open_batch(lane, wall_us, now);
    gw_record_encode(open_buffer(lane) + lane->open_bytes, record);
    lane->open_bytes += (uint32_t)bytes;
    lane->open_count++;
    lane->last_us = wall_us;
    lane->records++;
    return lane->sequence;
}

static uint64_t gather_ns(const struct gw_lane *lane)
{
    return lane->uplink->options.gather_us * GW_NS_PER_US;
}

/*
 * All lanes seal what nobody waits for at the same multiples of gather_us, so that one sync serves
 * them all. With a time of its own for each, fifty shards would have the disk sync without a pause.
 */
static uint64_t due_ns(const struct gw_lane *lane)
{
    return (lane->opened.ns / gather_ns(lane) + 1) * gather_ns(lane);
}

static bool is_due(const struct gw_lane *lane, struct gw_instant now)
{
    return lane->wanted || now.ns >= due_ns(lane);
}

/*
 * More than half of the buffers are on their way, so the disk is slow, and a batch sealed now would
 * only wait behind the others. Sealed when it is full, it takes 64 KiB of updates instead of a few
 * and the lane has room for seconds of a stall instead of milliseconds.
 */
static bool may_seal(const struct gw_lane *lane)
{
    return home_count(lane) >= lane->buffer_count / 2 || gw_uplink_is_idle(lane->uplink);
}

void gw_lane_flush(struct gw_lane *lane, bool urgent, struct gw_instant now)
{
    if (lane->open == GW_NONE)
        return;
    lane->wanted = lane->wanted || urgent;
    if (is_due(lane, now) && may_seal(lane))
        seal(lane);
}

void gw_lane_seal(struct gw_lane *lane)
{
    if (lane->open != GW_NONE)
        seal(lane);
}

void gw_lane_trim(struct gw_lane *lane)
{
    for (uint32_t count = take_home(lane); count > 0; count--)
        (void)madvise(buffer_at(lane, lane->spares[count - 1]), GW_LANE_BATCH_BYTES, MADV_DONTNEED);
}

uint64_t gw_lane_flush_due(const struct gw_lane *lane, struct gw_instant now)
{
    if (lane->open == GW_NONE)
        return UINT64_MAX;
    if (is_due(lane, now))
        return may_seal(lane) ? 0 : gather_ns(lane);
    return due_ns(lane) - now.ns;
}

uint64_t gw_lane_durable(const struct gw_lane *lane)
{
    return atomic_load_explicit(&lane->durable, memory_order_acquire);
}

uint64_t gw_lane_open_sequence(const struct gw_lane *lane)
{
    return lane->sequence;
}

/* Half of them: who waited for room then gets enough to do some work, not one batch at a time. */
static bool enough_are_home(const struct gw_lane *lane)
{
    return home_count(lane) >= lane->buffer_count / 2;
}

static bool wake_at_room(struct gw_lane *lane)
{
    atomic_store_explicit(&lane->wake_room, 1, memory_order_release); /* after spare_count */
    atomic_thread_fence(memory_order_seq_cst);
    if (!enough_are_home(lane))
        return true;
    /* Come already. If the uplink took the flag meanwhile, its wake is on the way. */
    return atomic_exchange(&lane->wake_room, 0) == 0;
}

bool gw_lane_wake_at(struct gw_lane *lane, uint64_t sequence)
{
    uint64_t asked;

    if (sequence == 0)
        return wake_at_room(lane);
    gw_assert(sequence <= lane->sequence);
    asked = atomic_exchange(&lane->wake_at, GW_LANE_NO_WAKE);
    atomic_store_explicit(&lane->wake_at, gw_min_u64(asked, sequence), memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (gw_lane_durable(lane) < sequence)
        return true;
    return atomic_exchange(&lane->wake_at, GW_LANE_NO_WAKE) == GW_LANE_NO_WAKE;
}

bool gw_lane_wake_is_due(struct gw_lane *lane)
{
    uint64_t durable = atomic_load_explicit(&lane->durable, memory_order_relaxed);
    bool due = false;

    if (atomic_load_explicit(&lane->wake_at, memory_order_relaxed) <= durable)
        due = atomic_exchange(&lane->wake_at, GW_LANE_NO_WAKE) != GW_LANE_NO_WAKE;
    if (atomic_load_explicit(&lane->wake_room, memory_order_acquire) != 0 && enough_are_home(lane))
        due = atomic_exchange(&lane->wake_room, 0) != 0 || due;
    return due;
}

void gw_lane_stat(const struct gw_lane *lane, struct gw_lane_stat *out)
{
    *out = (struct gw_lane_stat){
        .batches = lane->batches,
        .records = lane->records,
        .bytes = lane->bytes,
        .buffers_free = home_count(lane),
        .buffers = lane->buffer_count,
    };
}
