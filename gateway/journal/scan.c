/*
 * Where does a segment end that no successor describes? At the first place that holds no sound
 * batch and was not provably durable. Behind an unsound place (a hole) the scan goes on, because
 * what comes later may prove that the hole was on disk once:
 *
 *   - a batch says that its lane was durable up to a sequence that was not met before the hole;
 *   - a closing batch stands behind it: everything before a clean stop was synced;
 *   - the live mark lies behind it.
 *
 * A proven hole is damage: it is reported, and the batches behind it are kept. The first hole that
 * stays unproven is the end: everything behind it is the tail, written by the last write before a
 * crash and never acknowledged.
 *
 * I1  Holes are kept in order, and a hole's proof proves all holes before it.
 * I2  Each hole carries the state as it was before it, so that dropping the tail is an assignment.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

#include "journal_internal.h"

enum { LARGE_PAGE_BYTES = 2 << 20 };

struct state {
    uint64_t batches, batches_lost;
    bool closed;
    struct gw_lane_marks last;   /* highest sequence met     */
    struct gw_lane_marks proven; /* highest sequence claimed */
};

struct hole {
    struct gw_byte_range range;
    struct state before;
};

struct holes {
    struct hole *items;
    size_t count, capacity;
};

static int holes_push(struct holes *holes, struct gw_byte_range range, const struct state *before)
{
    if (holes->count == holes->capacity) {
        size_t capacity = holes->capacity == 0 ? 4 : 2 * holes->capacity;
        struct hole *items = realloc(holes->items, capacity * sizeof(*items));

        if (items == NULL)
            return -ENOMEM;
        holes->items = items;
        holes->capacity = capacity;
    }
    holes->items[holes->count].range = range;
    holes->items[holes->count].before = *before;
    holes->count++;
    return 0;
}

static int damage_push(struct gw_segment_scan *scan, struct gw_byte_range range)
{
    if (scan->damage_count == scan->damage_capacity) {
        size_t capacity = scan->damage_capacity == 0 ? 16 : 2 * scan->damage_capacity;
        struct gw_byte_range *damage = realloc(scan->damage, capacity * sizeof(*damage));

        if (damage == NULL)
            return -ENOMEM;
        scan->damage = damage;
        scan->damage_capacity = capacity;
    }
    scan->damage[scan->damage_count++] = range;
    return 0;
}

/* The first `count` holes are damage (I1). */
static int prove_holes(struct gw_segment_scan *scan, struct holes *holes, size_t count)
{
    int err = 0;

    if (count == 0)
        return 0;
    for (size_t i = 0; i < count && err == 0; i++)
        err = damage_push(scan, holes->items[i].range);
    memmove(holes->items, holes->items + count, (holes->count - count) * sizeof(*holes->items));
    holes->count -= count;
    return err;
}

static size_t holes_proven_by(const struct holes *holes, const struct gw_batch *batch)
{
    size_t count = holes->count;

    if (batch->kind == GW_BATCH_CLOSING)
        return count;
    while (count > 0 &&
           gw_lane_marks_at(&holes->items[count - 1].before.last, batch->lane) >= batch->durable)
        count--;
    return count;
}

static size_t holes_before(const struct holes *holes, uint64_t offset)
{
    size_t count = holes->count;

    while (count > 0 && holes->items[count - 1].range.begin >= offset)
        count--;
    return count;
}

static void state_take(struct state *state, const struct gw_batch *batch)
{
    state->batches++;
    state->closed = batch->kind == GW_BATCH_CLOSING;
    gw_lane_marks_prove(&state->proven, batch);
    if (!state->closed) {
        uint64_t last = gw_lane_marks_at(&state->last, batch->lane);

        if (batch->sequence > last + 1)
            state->batches_lost += batch->sequence - last - 1;
        gw_lane_marks_raise(&state->last, batch->lane, batch->sequence);
    }
}

/* How many bytes from `begin` until only zeros follow. */
static int tail_measure(struct gw_segment_walk *walk, uint64_t begin, uint64_t *out)
{
    uint8_t page[4096];
    uint64_t size = 0;

    for (uint64_t at = begin; at < walk->end;) {
        size_t wanted = (size_t)gw_min_u64(sizeof(page), walk->end - at);
        ssize_t got = walk->io->pread(walk->io->context, walk->fd, page, wanted, at);

        if (got == -EIO) {
            at += wanted;
            continue;
        }
        if (got <= 0)
            return (int)got;
        for (ssize_t i = got; i > 0; i--) {
            if (page[i - 1] != 0) {
                size = at + (uint64_t)i - begin;
                break;
            }
        }
        at += (uint64_t)got;
    }
    *out = size;
    return 0;
}

static int scan_batches(struct gw_segment_walk *walk, struct gw_segment_scan *scan,
                        struct holes *holes, struct state *state)
{
    struct gw_batch batch;
    uint64_t before = walk->at, found_at;
    int result, err;

    while ((result = gw_segment_walk_next(walk, &batch, &found_at)) == 1) {
        struct gw_byte_range skipped = {.begin = before, .end = found_at};

        if (found_at > before && (err = holes_push(holes, skipped, state)) != 0)
            return err;
        if ((err = prove_holes(scan, holes, holes_proven_by(holes, &batch))) != 0)
            return err;
        state_take(state, &batch);
        before = walk->at;
    }
    return result;
}

/* Behind the last batch: does the mark prove more, and which holes remain? */
static int scan_finish(struct gw_segment_walk *walk, struct gw_segment_scan *scan,
                       struct holes *holes, struct state *state, uint64_t mark_offset)
{
    uint64_t end = walk->at;
    struct gw_lane_marks known;
    int err = prove_holes(scan, holes, holes_before(holes, mark_offset));

    if (err != 0)
        return err;
    if (holes->count > 0) {
        end = holes->items[0].range.begin;
        *state = holes->items[0].before;
    } else if (mark_offset > end) {
        err = damage_push(scan, (struct gw_byte_range){.begin = end, .end = mark_offset});
        if (err != 0)
            return err;
        end = mark_offset;
    }
    scan->end = end;
    scan->batches = state->batches;
    scan->closed = state->closed;
    scan->batches_lost = state->batches_lost + gw_lane_marks_missing(&state->last, &state->proven);
    known = state->last;
    for (uint32_t lane = 0; lane < state->proven.lanes; lane++)
        gw_lane_marks_raise(&known, lane, state->proven.last[lane]);
    scan->last = known;
    scan->unreadable_bytes = walk->unreadable_bytes;
    return end < walk->end ? tail_measure(walk, end, &scan->tail_bytes) : 0;
}

/*
 * A killed writer leaves batches in memory only; what the journal keeps, it keeps on disk. A sync
 * that fails, now or in the life before, is no reason not to go on: what it lost was never
 * acknowledged. But memory still has it, and would show it until it needs the room; so the disk is
 * asked from the mark on, less one page of the largest kind.
 */
static int settle(const struct gw_journal_io *io, int fd, uint64_t mark_offset)
{
    int err = io->fdatasync(io->context, fd);

    if (io->forget != NULL)
        io->forget(io->context, fd, mark_offset & ~(uint64_t)(LARGE_PAGE_BYTES - 1));
    switch (-err) {
    case EIO:
    case EINVAL:
    case EROFS:
    case ENOSPC: /* of a disk that promises more than it has */
    case EDQUOT:
        return 0;
    default:
        return err;
    }
}

int gw_segment_scan(const struct gw_journal_io *io, int fd, const struct gw_segment_header *header,
                    uint64_t mark_offset, struct gw_segment_scan *scan)
{
    struct gw_segment_walk walk;
    struct holes holes = {.items = NULL};
    struct state *state = calloc(1, sizeof(*state));
    int64_t size = io->size(io->context, fd);
    int err;

    *scan = (struct gw_segment_scan){.end = GW_SEGMENT_DATA_AT};
    if (state == NULL)
        return -ENOMEM;
    if (size < 0 || (err = settle(io, fd, mark_offset)) != 0) {
        free(state);
        return size < 0 ? (int)size : err;
    }
    if ((err = gw_segment_walk_init(&walk, io)) == 0) {
        gw_segment_walk_to(&walk, fd, header, GW_SEGMENT_DATA_AT,
                           gw_max_u64((uint64_t)size, GW_SEGMENT_DATA_AT));
        for (uint32_t lane = 0; lane < header->lanes; lane++)
            gw_lane_marks_raise(&state->last, lane, header->last[lane]);
        err = scan_batches(&walk, scan, &holes, state);
        if (err == 0)
            err = scan_finish(&walk, scan, &holes, state, mark_offset);
    }
    gw_segment_walk_fini(&walk);
    free(holes.items);
    free(state);
    if (err != 0)
        gw_segment_scan_fini(scan);
    return err;
}

void gw_segment_scan_fini(struct gw_segment_scan *scan)
{
    free(scan->damage);
    scan->damage = NULL;
    scan->damage_count = scan->damage_capacity = 0;
}
