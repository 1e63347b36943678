/*
 * The audit log: one JSON object a line for each event that bears on security. Threads put events
 * into rings of their own and never wait; one thread writes them. What does not fit is counted, and
 * told of as an event. Lines are numbered without a gap, over restarts and rotations: a line that
 * is missing was taken away. No token, key or value goes through here.
 *
 *     gw_audit_open(&options, &audit, why, sizeof why);      opens the file
 *     gw_audit_start(audit);                                  its thread
 *     gw_audit_put(audit, 2, &(struct gw_audit_event){...});  from thread number 2
 *     gw_audit_stop(audit);                                   everything that was put is written
 *     gw_audit_close(audit);
 */
#ifndef GW_AUDIT_AUDIT_H
#define GW_AUDIT_AUDIT_H

#include <stddef.h>
#include <stdint.h>

#include <gw/base/clock.h>
#include <gw/base/defs.h>

enum { GW_AUDIT_REASON_BYTES = 32, GW_AUDIT_TEXT_BYTES = 160 };

enum gw_audit_kind {
#define GW_AUDIT(name, word, level, folding, text) GW_AUDIT_##name,
#include <gw/audit/events.def>
#undef GW_AUDIT
    GW_AUDIT_KINDS,
};

/* "login_refused" */
const char *gw_audit_word(enum gw_audit_kind kind);

/* Zero and "" are left out of the line. */
struct gw_audit_event {
    enum gw_audit_kind kind;
    uint32_t device;
    uint32_t token_tag;                 /* what may be said of a token                        */
    uint8_t address_bytes;              /* 4 or 16                                            */
    uint8_t address[16];                /* of the peer, network order                         */
    uint64_t wall_us;                   /* when, since 1970                                   */
    uint64_t not_after_s;               /* of a certificate                                   */
    uint64_t ms;                        /* how long it took                                   */
    uint64_t count;                     /* how many it stands for                             */
    char reason[GW_AUDIT_REASON_BYTES]; /* one word. This and the next two are C strings      */
    char subject[GW_AUDIT_TEXT_BYTES];  /* what it is about                                   */
    char detail[GW_AUDIT_TEXT_BYTES];
};

struct gw_audit;

struct gw_audit_options {
    const char *path;
    uint32_t threads;     /* that put events: 0 up to this */
    uint32_t pending_max; /* events of one thread that may wait to be written */
    uint64_t bytes_max;   /* then the file is renamed to path.1, in place of an older one */
};

/* 0 or -errno with `why`. */
GW_MUST_USE int gw_audit_open(const struct gw_audit_options *options, struct gw_audit **out,
                              char *why, size_t why_bytes);
GW_MUST_USE int gw_audit_start(struct gw_audit *audit);
void gw_audit_stop(struct gw_audit *audit);  /* NULL is fine, and one that was not started */
void gw_audit_close(struct gw_audit *audit); /* NULL is fine */

/* Thread number `thread` alone; NULL is fine: then there is no audit log. */
void gw_audit_put(struct gw_audit *audit, uint32_t thread, const struct gw_audit_event *event);

/* Any thread: the file was renamed; the path is opened anew. NULL is fine. */
void gw_audit_reopen(struct gw_audit *audit);

struct gw_audit_stat {
    uint64_t written; /* lines                                           */
    uint64_t lost;    /* events that no line tells of but that of LOST   */
};
void gw_audit_stat(const struct gw_audit *audit, struct gw_audit_stat *out);

/* What the thread does ten times a second: for tests, in its place. */
void gw_audit_step(struct gw_audit *audit, struct gw_instant now, uint64_t wall_us);

#endif
