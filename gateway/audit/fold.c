/*
 * A source that floods gets ten lines a minute and then one with a count. A source is an address,
 * for each kind of event and each reason. There is a fixed number of rows; who finds none shares
 * one with all others of the kind, so that what a flood from any number of addresses can write is
 * bounded: FOLD_SINGLE + 1 lines a row and minute.
 */
#include "audit_internal.h"

#include <string.h>

enum { LOOK_AT = 8 };

static uint32_t hash_of(const struct gw_audit_event *event)
{
    uint32_t hash = 2166136261u; /* FNV-1a: who collides shares a count and nothing else */

    for (size_t i = 0; i < sizeof event->address; i++)
        hash = (hash ^ event->address[i]) * 16777619u;
    for (const char *at = event->reason; *at != '\0'; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    return (hash ^ (uint32_t)event->kind) * 16777619u;
}

static bool is_same(const struct gw_audit_event *a, const struct gw_audit_event *b)
{
    return a->kind == b->kind && strcmp(a->reason, b->reason) == 0 &&
           a->address_bytes == b->address_bytes &&
           memcmp(a->address, b->address, sizeof a->address) == 0;
}

static struct fold_row *row_for(struct fold *fold, const struct gw_audit_event *event)
{
    uint32_t at = hash_of(event);
    struct fold_row *free_row = NULL;

    for (uint32_t i = 0; i < LOOK_AT; i++) {
        struct fold_row *row = &fold->rows[(at + i) % FOLD_ROWS];

        if (row->taken && is_same(&row->last, event))
            return row;
        if (!row->taken && free_row == NULL)
            free_row = row;
    }
    return free_row != NULL ? free_row : &fold->others[event->kind];
}

bool fold_take(struct fold *fold, const struct gw_audit_event *event, struct gw_instant now)
{
    struct fold_row *row = row_for(fold, event);
    uint64_t held = row->taken ? row->last.count : 0;
    uint64_t ms = held > 0 ? gw_max_u64(row->last.ms, event->ms) : event->ms;

    if (!row->taken) {
        row->taken = true;
        row->others = row == &fold->others[event->kind];
        row->since = now;
        row->single = 0;
    }
    row->last = *event;
    if (row->single < FOLD_SINGLE) {
        row->single++;
        row->last.count = 0;
        return true;
    }
    row->last.count = held + 1;
    row->last.ms = ms;
    return false;
}

/* What one line can say of many. */
static void tell(const struct fold_row *row, struct gw_audit_event *out)
{
    *out = row->last;
    out->token_tag = 0;
    out->device = 0;
    if (row->others) {
        out->address_bytes = 0;
        out->reason[0] = '\0';
    }
}

bool fold_due(struct fold *fold, struct gw_instant now, bool all, uint32_t *cursor,
              struct gw_audit_event *out)
{
    while (*cursor < FOLD_ROWS + GW_AUDIT_KINDS) {
        uint32_t number = (*cursor)++;
        struct fold_row *row =
            number < FOLD_ROWS ? &fold->rows[number] : &fold->others[number - FOLD_ROWS];

        if (!row->taken || (!all && gw_ns_between(row->since, now) < FOLD_WINDOW_S * GW_NS_PER_S))
            continue;
        row->taken = false;
        if (row->last.count == 0)
            continue;
        tell(row, out);
        return true;
    }
    return false;
}
