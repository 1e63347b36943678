/*
 * Events from many threads to one file. Each thread has a queue that it alone pushes to, so putting
 * an event is a copy; the writer looks into them ten times a second and is woken by nobody, for a
 * wake-up costs the shard more than the event does.
 *
 *   I1  An event that was put has a line, or is part of the count of one, or is counted as lost and
 *       told of by a line of its own as soon as one can be written.
 *   I2  Only the writer touches the file and the folds.
 */
#include "audit_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gw/base/assert.h>
#include <gw/base/counter.h>
#include <gw/base/log.h>
#include <gw/base/spsc.h>

enum { LOOK_EVERY_MS = 100, SYNC_EVERY_MS = 1000 };

static const struct {
    const char *word;
    enum gw_log_level level;
    bool folded;
} kinds[] = {
#define EACH                                            false
#define FOLDED                                          true
#define GW_AUDIT(name, word, level_name, folding, text) {word, GW_LOG_##level_name, folding},
#include <gw/audit/events.def>
#undef GW_AUDIT
#undef EACH
#undef FOLDED
};

struct put_ring {
    struct gw_spsc queue; /* of struct gw_audit_event */
    struct gw_counter lost;
};

struct gw_audit {
    struct put_ring *rings;
    uint32_t ring_count;
    struct audit_file file;
    struct fold fold;
    uint64_t unwritten; /* the disk did not take them */
    uint64_t lost_told;
    struct gw_instant next_sync;
    struct gw_counter written, lost;
    _Atomic bool reopen_asked, stop_asked;
    pthread_t thread;
    bool started;
};

const char *gw_audit_word(enum gw_audit_kind kind)
{
    gw_assert(kind < GW_AUDIT_KINDS);
    return kinds[kind].word;
}

/* ---- a line ---- */

static size_t format_line(const struct gw_audit_event *event, uint64_t sequence, uint32_t thread,
                          char line[GW_LOG_LINE_BYTES_MAX])
{
    char address[INET6_ADDRSTRLEN] = "", token[9] = "";
    struct gw_log_field fields[12] = {GW_U64("seq", sequence)};
    size_t count = 1, bytes;

    if (event->address_bytes != 0)
        (void)inet_ntop(event->address_bytes == 4 ? AF_INET : AF_INET6, event->address, address,
                        sizeof address);
    if (event->token_tag != 0)
        (void)snprintf(token, sizeof token, "%08x", event->token_tag);
    if (address[0] != '\0')
        fields[count++] = GW_TEXT("source", address);
    if (event->device != 0)
        fields[count++] = GW_U64("device", event->device);
    if (token[0] != '\0')
        fields[count++] = GW_TEXT("token", token);
    if (event->reason[0] != '\0')
        fields[count++] = GW_TEXT("reason", event->reason);
    if (event->subject[0] != '\0')
        fields[count++] = GW_TEXT("subject", event->subject);
    if (event->not_after_s != 0)
        fields[count++] = GW_U64("not_after", event->not_after_s);
    if (event->detail[0] != '\0')
        fields[count++] = GW_TEXT("detail", event->detail);
    if (event->ms != 0)
        fields[count++] = GW_U64("ms", event->ms);
    if (event->count != 0)
        fields[count++] = GW_U64("count", event->count);
    fields[count++] = GW_U64("thread", thread);
    gw_assert(count <= GW_ARRAY_COUNT(fields));
    bytes = gw_log_format_line(line, GW_LOG_LINE_BYTES_MAX - 1, GW_LOG_JSON, event->wall_us,
                               kinds[event->kind].level, kinds[event->kind].word, fields, count);
    line[bytes++] = '\n';
    return bytes;
}

static bool write_event(struct gw_audit *audit, const struct gw_audit_event *event, uint32_t thread)
{
    char line[GW_LOG_LINE_BYTES_MAX];
    size_t bytes = format_line(event, audit->file.sequence + 1, thread, line);

    if (!audit_file_append(&audit->file, gw_bytes_of(line, bytes)))
        return false;
    gw_counter_add(&audit->written, 1);
    return true;
}

/* ---- the writer ---- */

static void take(struct gw_audit *audit, const struct gw_audit_event *event, uint32_t thread,
                 struct gw_instant now)
{
    if (kinds[event->kind].folded && !fold_take(&audit->fold, event, now))
        return;
    if (!write_event(audit, event, thread))
        audit->unwritten++;
}

static void tell_folded(struct gw_audit *audit, struct gw_instant now, uint64_t wall_us, bool all)
{
    struct gw_audit_event event;
    uint32_t cursor = 0;

    while (fold_due(&audit->fold, now, all, &cursor, &event)) {
        event.wall_us = wall_us;
        if (!write_event(audit, &event, audit->ring_count))
            audit->unwritten += event.count;
    }
}

/* I1: told once the disk takes it. */
static void tell_lost(struct gw_audit *audit, uint64_t wall_us)
{
    struct gw_audit_event event = {.kind = GW_AUDIT_LOST, .wall_us = wall_us};
    uint64_t lost = audit->unwritten;

    for (uint32_t i = 0; i < audit->ring_count; i++)
        lost += gw_counter_read(&audit->rings[i].lost);
    gw_counter_set(&audit->lost, lost);
    event.count = lost - audit->lost_told;
    if (event.count > 0 && write_event(audit, &event, audit->ring_count))
        audit->lost_told = lost;
}

static void step(struct gw_audit *audit, struct gw_instant now, uint64_t wall_us, bool last)
{
    struct gw_audit_event event;

    if (atomic_exchange_explicit(&audit->reopen_asked, false, memory_order_relaxed))
        audit_file_reopen(&audit->file);
    for (uint32_t i = audit->ring_count; i-- > 0;) { /* who starts the others comes first */
        /* No more than are there now: a flood of one thread does not keep the others waiting. */
        for (uint32_t n = gw_spsc_count(&audit->rings[i].queue); n > 0; n--)
            if (gw_spsc_pop(&audit->rings[i].queue, &event))
                take(audit, &event, i, now);
    }
    tell_folded(audit, now, wall_us, last);
    tell_lost(audit, wall_us);
    if (last || now.ns >= audit->next_sync.ns) {
        audit_file_sync(&audit->file);
        if (audit->file.fd < 0)
            audit_file_reopen(&audit->file);
        audit->next_sync = gw_instant_after(now, SYNC_EVERY_MS * GW_NS_PER_MS);
    }
}

void gw_audit_step(struct gw_audit *audit, struct gw_instant now, uint64_t wall_us)
{
    step(audit, now, wall_us, false);
}

static void *writer_main(void *argument)
{
    const struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};
    struct gw_audit *audit = argument;

    (void)pthread_setname_np(pthread_self(), "audit");
    while (!atomic_load_explicit(&audit->stop_asked, memory_order_acquire)) {
        step(audit, gw_clock_now(), gw_clock_wall_us(), false);
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

/* ---- life ---- */

int gw_audit_open(const struct gw_audit_options *options, struct gw_audit **out, char *why,
                  size_t why_bytes)
{
    struct gw_audit *audit = calloc(1, sizeof *audit);
    int err = audit == NULL ? -ENOMEM : 0;

    *out = NULL;
    if (err == 0) {
        audit->file.fd = -1;
        audit->rings = aligned_alloc(GW_CACHE_LINE, options->threads * sizeof *audit->rings);
        err = audit->rings == NULL ? -ENOMEM : 0;
    }
    for (uint32_t i = 0; err == 0 && i < options->threads; i++) {
        audit->rings[i].lost = (struct gw_counter){0};
        err = gw_spsc_init(&audit->rings[i].queue, sizeof(struct gw_audit_event),
                           options->pending_max);
        audit->ring_count += err == 0;
    }
    if (err == 0)
        err = audit_file_open(&audit->file, options->path, options->bytes_max);
    if (err != 0) {
        (void)snprintf(why, why_bytes, "audit.path %s: %s", options->path, strerror(-err));
        gw_audit_close(audit);
        return err;
    }
    *out = audit;
    return 0;
}

int gw_audit_start(struct gw_audit *audit)
{
    int err = pthread_create(&audit->thread, NULL, writer_main, audit);

    audit->started = err == 0;
    return -err;
}

void gw_audit_stop(struct gw_audit *audit)
{
    if (audit == NULL)
        return;
    atomic_store_explicit(&audit->stop_asked, true, memory_order_release);
    if (audit->started)
        (void)pthread_join(audit->thread, NULL);
    audit->started = false;
    step(audit, gw_clock_now(), gw_clock_wall_us(), true);
}

void gw_audit_close(struct gw_audit *audit)
{
    if (audit == NULL)
        return;
    audit_file_close(&audit->file);
    for (uint32_t i = 0; i < audit->ring_count; i++)
        gw_spsc_fini(&audit->rings[i].queue);
    free(audit->rings);
    free(audit);
}

/* ---- other threads ---- */

void gw_audit_put(struct gw_audit *audit, uint32_t thread, const struct gw_audit_event *event)
{
    if (audit == NULL)
        return;
    gw_assert(thread < audit->ring_count);
    if (!gw_spsc_push(&audit->rings[thread].queue, event))
        gw_counter_add(&audit->rings[thread].lost, 1);
}

void gw_audit_reopen(struct gw_audit *audit)
{
    if (audit != NULL)
        atomic_store_explicit(&audit->reopen_asked, true, memory_order_relaxed);
}

void gw_audit_stat(const struct gw_audit *audit, struct gw_audit_stat *out)
{
    *out = (struct gw_audit_stat){.written = gw_counter_read(&audit->written),
                                  .lost = gw_counter_read(&audit->lost)};
}
