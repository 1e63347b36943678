/*
 * The audit. Each device has a row: how many updates it sent, where its bits begin, the last
 * counter seen. A sorted table from the gateway's device numbers back to rows catches two devices
 * that were taken for one.
 */
#include "audit.h"

#include <errno.h>
#include <stdlib.h>

struct device_row {
    uint64_t first_bit;
    uint32_t sent;   /* counters 1..sent exist                       */
    uint32_t last;   /* highest counter seen so far                  */
    uint32_t number; /* what the gateway calls it; 0 until seen    */
};

struct owner {
    uint32_t number, device; /* number 0: an empty place */
};

struct swarm_audit {
    const struct swarm_ledger *ledger;
    struct device_row *rows;
    uint64_t *bits;
    struct owner *owners; /* open addressing, a power of two of places */
    uint32_t owner_mask;
    struct swarm_audit_result result;
};

/* Rows and bits for what the ledger says was sent; false when a device's sessions do not follow. */
static bool lay_out(struct swarm_audit *audit)
{
    const struct swarm_ledger *ledger = audit->ledger;
    uint64_t bit = 0;

    for (size_t i = 0; i < ledger->line_count; i++) {
        const struct swarm_ledger_line *line = &ledger->lines[i];
        struct device_row *row = &audit->rows[line->device];

        if (line->first != row->sent + 1)
            return false;
        row->sent = line->sent;
        audit->result.sessions++;
        audit->result.sent += line->sent - line->first + 1;
        audit->result.acked += line->acked - line->first + 1;
    }
    for (uint32_t d = 0; d < ledger->devices; d++) {
        audit->rows[d].first_bit = bit;
        bit += audit->rows[d].sent;
    }
    audit->bits = calloc(bit / 64 + 1, sizeof *audit->bits);
    return audit->bits != NULL;
}

struct swarm_audit *swarm_audit_create(const struct swarm_ledger *ledger)
{
    struct swarm_audit *audit = calloc(1, sizeof *audit);
    uint32_t places = 16;

    if (audit == NULL)
        return NULL;
    while (places < 2 * (uint64_t)ledger->devices)
        places *= 2;
    audit->ledger = ledger;
    audit->owner_mask = places - 1;
    audit->rows = calloc((size_t)ledger->devices + 1, sizeof *audit->rows);
    audit->owners = calloc(places, sizeof *audit->owners);
    if (audit->rows == NULL || audit->owners == NULL || !lay_out(audit)) {
        swarm_audit_destroy(audit);
        return NULL;
    }
    return audit;
}

void swarm_audit_destroy(struct swarm_audit *audit)
{
    if (audit == NULL)
        return;
    free(audit->rows);
    free(audit->bits);
    free(audit->owners);
    free(audit);
}

/* Whose is this number? The first to be seen under it owns it; a device owns only one. */
static bool is_attributed(struct swarm_audit *audit, uint32_t number, uint32_t device)
{
    struct device_row *row = &audit->rows[device];
    uint32_t place = number * 2654435761u & audit->owner_mask;

    if (row->number != 0)
        return row->number == number;
    while (audit->owners[place].number != 0 && audit->owners[place].number != number)
        place = (place + 1) & audit->owner_mask;
    if (audit->owners[place].number == number)
        return false; /* another device has it: this one would have been found above */
    audit->owners[place] = (struct owner){.number = number, .device = device};
    row->number = number;
    return true;
}

static bool bit_is_set(const struct swarm_audit *audit, uint64_t bit)
{
    return (audit->bits[bit / 64] >> bit % 64 & 1) != 0;
}

void swarm_audit_saw(struct swarm_audit *audit, uint32_t device_number, struct gw_bytes value)
{
    struct swarm_stamp stamp;
    struct device_row *row;
    uint64_t bit;

    if (!swarm_value_read(value, &stamp) || stamp.run != audit->ledger->run)
        return;
    if (stamp.device >= audit->ledger->devices || stamp.counter > audit->rows[stamp.device].sent) {
        audit->result.invented++;
        return;
    }
    row = &audit->rows[stamp.device];
    audit->result.misattributed +=
        device_number == 0 || !is_attributed(audit, device_number, stamp.device);
    bit = row->first_bit + stamp.counter - 1;
    if (bit_is_set(audit, bit)) {
        audit->result.duplicates++;
        return;
    }
    audit->bits[bit / 64] |= UINT64_C(1) << bit % 64;
    audit->result.durable++;
    if (stamp.counter < row->last)
        audit->result.out_of_order++;
    else
        row->last = stamp.counter;
}

void swarm_audit_finish(struct swarm_audit *audit, struct swarm_audit_result *out)
{
    for (size_t i = 0; i < audit->ledger->line_count; i++) {
        const struct swarm_ledger_line *line = &audit->ledger->lines[i];
        uint64_t before_first = audit->rows[line->device].first_bit - 1;

        for (uint32_t counter = line->first; counter <= line->acked; counter++) {
            if (bit_is_set(audit, before_first + counter))
                continue;
            if (audit->result.lost++ == 0) {
                audit->result.lost_device = line->device;
                audit->result.lost_counter = counter;
            }
        }
    }
    *out = audit->result;
}

bool swarm_audit_is_clean(const struct swarm_audit_result *result)
{
    return result->lost == 0 && result->out_of_order == 0 && result->invented == 0 &&
           result->misattributed == 0;
}
