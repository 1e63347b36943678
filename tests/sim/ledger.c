#include "ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/journal/reader.h>

enum { SESSIONS_MAX = 1 << 12 };

enum { EVERY = 1, ACKNOWLEDGED = 2, REFUSED = 4, LOST = 8 };

struct update {
    uint32_t version;         /* 0: not durable                 */
    uint32_t read;            /* the latest reading that met it */
    uint32_t connection, nth; /* the nth of its connection      */
    uint8_t token, pin, flags;
};

/* What the log has of a session so far. */
struct seen_session {
    uint64_t session; /* 0: an empty place */
    uint64_t epoch;   /* of its batches    */
    uint32_t device, sequence;
    uint32_t connection, nth; /* of its last update */
};

struct ledger {
    const struct world_tokens *tokens;
    struct update updates[UPDATES_MAX];
    uint32_t count; /* numbers [1, count) are used */
    uint32_t versions, readings;
    uint32_t last[TOKENS_MAX][PINS];
    struct seen_session sessions[SESSIONS_MAX];
    uint32_t session_count;
    uint64_t acknowledged, lost;
};

struct ledger *ledger_create(const struct world_tokens *tokens)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);

    gw_assert(ledger != NULL);
    ledger->tokens = tokens;
    ledger->count = 1;
    return ledger;
}

void ledger_destroy(struct ledger *ledger)
{
    free(ledger);
}

static struct update *update_at(struct ledger *ledger, uint32_t number)
{
    gw_assert(number > 0 && number < ledger->count);
    return &ledger->updates[number];
}

uint32_t ledger_write(struct ledger *ledger, uint32_t connection, uint32_t nth, bool every,
                      uint32_t token, uint8_t pin)
{
    if (ledger->count == UPDATES_MAX)
        return 0;
    ledger->updates[ledger->count] = (struct update){.connection = connection,
                                                     .nth = nth,
                                                     .token = (uint8_t)token,
                                                     .pin = pin,
                                                     .flags = every ? EVERY : 0};
    return ledger->count++;
}

void ledger_acknowledged(struct ledger *ledger, uint32_t number)
{
    struct update *update = update_at(ledger, number);

    gw_assert(update->version > 0); /* acknowledged means durable */
    update->flags |= ACKNOWLEDGED;
    ledger->acknowledged++;
}

void ledger_refused(struct ledger *ledger, uint32_t number)
{
    struct update *update = update_at(ledger, number);

    gw_assert(update->version == 0); /* nothing of it is recorded */
    update->flags |= REFUSED;
}

uint32_t ledger_number(const struct ledger *ledger, struct gw_bytes value, uint32_t token,
                       uint8_t pin)
{
    uint32_t number = 0;

    gw_assert(value.size > 0 && value.size < 9);
    for (size_t i = 0; i < value.size; i++) {
        gw_assert(value.data[i] >= '0' && value.data[i] <= '9');
        number = 10 * number + (uint32_t)(value.data[i] - '0');
    }
    gw_assert(number > 0 && number < ledger->count);
    const struct update *update = &ledger->updates[number];

    gw_assert(update->token == token && update->pin == pin); /* nobody else's */
    return number;
}

uint32_t ledger_version(const struct ledger *ledger, uint32_t number)
{
    return ledger->updates[number].version;
}

uint32_t ledger_last(const struct ledger *ledger, uint32_t token, uint8_t pin)
{
    return ledger->last[token][pin - PIN_FIRST];
}

/* ---- the log ---- */

static struct seen_session *session_of(struct ledger *ledger, uint64_t session)
{
    uint32_t at = (uint32_t)(session * UINT64_C(0x9E3779B97F4A7C15) >> 52);

    while (ledger->sessions[at].session != 0 && ledger->sessions[at].session != session)
        at = (at + 1) % SESSIONS_MAX;
    if (ledger->sessions[at].session == 0) {
        gw_assert(++ledger->session_count < SESSIONS_MAX / 2);
        ledger->sessions[at].session = session;
    }
    return &ledger->sessions[at];
}

/* Written to a device by another, or by the operator: in the log under a number of the shard's, and
   to pins that devices do not write themselves. */
static bool is_from_others(const struct gw_record *record)
{
    bool others = (record->flags & (GW_RECORD_FROM_BRIDGE | GW_RECORD_FROM_CONTROL)) != 0;

    gw_assert(!others || record->pin < PIN_FIRST || record->pin >= PIN_FIRST + PINS);
    return others;
}

/* Records of a session are counted without gaps, in one life of one gateway. */
static void note_record(struct ledger *ledger, const struct gw_batch_name *batch,
                        const struct gw_record *record)
{
    struct seen_session *seen = session_of(ledger, record->session);

    if (seen->sequence == 0) {
        seen->epoch = batch->epoch;
        seen->device = is_from_others(record) ? 0 : record->device;
    }
    gw_assert(seen->epoch == batch->epoch);
    gw_assert(seen->device == (is_from_others(record) ? 0 : record->device));
    gw_assert(record->sequence == seen->sequence + 1);
    seen->sequence = record->sequence;
    if (record->kind != GW_RECORD_PIN_WRITE || is_from_others(record))
        return;
    uint32_t token = ledger->tokens->of_device[record->device];
    uint32_t number = ledger_number(ledger, record->value, token, record->pin);
    struct update *update = update_at(ledger, number);

    gw_assert((update->flags & (REFUSED | LOST)) == 0);
    gw_assert(seen->connection == 0 || seen->connection == update->connection);
    /* Of a device's connection no update is left out. */
    gw_assert((update->flags & EVERY) != 0 ? update->nth == seen->nth + 1
                                           : update->nth > seen->nth);
    seen->connection = update->connection;
    seen->nth = update->nth;
    gw_assert(update->read != ledger->readings || update->version == 0); /* it is there once */
    update->read = ledger->readings;
    if (update->version == 0)
        update->version = ++ledger->versions;
    ledger->last[token][record->pin - PIN_FIRST] = number;
}

void ledger_durable(struct ledger *ledger, const struct gw_batch_name *batch,
                    const struct gw_record *record)
{
    note_record(ledger, batch, record);
}

/* All that a reader finds; with `note`, of a log that was just opened. How many updates it was. */
static uint32_t read_records(struct ledger *ledger, const char *path,
                             const struct gw_journal_io *io, bool note)
{
    struct gw_journal_reader_options options = {
        .path = path, .from = GW_JOURNAL_FROM_BEGINNING, .io = io};
    struct gw_journal_reader *reader;
    struct gw_journal_item item;
    uint32_t version = 0, count = 0;
    char why[256];
    int err = gw_journal_reader_open(&options, &reader, why, sizeof why);

    gw_assert(err == 0);
    for (;;) {
        err = gw_journal_reader_next(reader, &item);
        gw_assert(err == 0);
        if (item.kind == GW_JOURNAL_END)
            break;
        gw_assert(item.kind == GW_JOURNAL_RECORD); /* nothing that was durable is damaged */
        if (note)
            note_record(ledger, &item.batch, &item.record);
        if (item.record.kind != GW_RECORD_PIN_WRITE || is_from_others(&item.record))
            continue;
        uint32_t token = ledger->tokens->of_device[item.record.device];
        uint32_t now = ledger_version(
            ledger, ledger_number(ledger, item.record.value, token, item.record.pin));

        gw_assert(now > version); /* durable, and in the order in which it became so */
        version = now;
        count++;
    }
    gw_journal_reader_close(reader);
    return count;
}

void ledger_read_log(struct ledger *ledger, const char *path, const struct gw_journal_io *io)
{
    memset(ledger->sessions, 0, sizeof ledger->sessions);
    memset(ledger->last, 0, sizeof ledger->last);
    ledger->session_count = 0;
    ledger->readings++;
    (void)read_records(ledger, path, io, true);
    for (uint32_t number = 1; number < ledger->count; number++) {
        struct update *update = &ledger->updates[number];

        gw_assert(update->version == 0 || update->read == ledger->readings); /* none was lost */
        if (update->version > 0 || (update->flags & (REFUSED | LOST)) != 0)
            continue;
        update->flags |= LOST;
        ledger->lost++;
    }
}

void ledger_follow_log(struct ledger *ledger, const char *path, const struct gw_journal_io *io,
                       bool marked)
{
    uint32_t count = read_records(ledger, path, io, false);

    gw_assert(!marked || count == ledger->versions);
}

void ledger_check_values(const struct ledger *ledger, struct gw_values_reader *reader)
{
    for (uint32_t token = 0; token < ledger->tokens->count; token++)
        for (unsigned i = 0; i < PINS; i++) {
            uint32_t number = ledger->last[token][i];
            uint8_t pin = (uint8_t)(PIN_FIRST + i);
            struct gw_value value;
            int err = gw_values_get(reader, ledger->tokens->device[token], 'v', pin, &value);

            gw_assert(err == (number == 0 ? -ENOENT : 0));
            gw_assert(err != 0 || ledger_number(ledger, value.bytes, token, pin) == number);
        }
    gw_values_reader_pause(reader);
}

uint64_t ledger_durable_count(const struct ledger *ledger)
{
    return ledger->versions;
}

uint64_t ledger_acknowledged_count(const struct ledger *ledger)
{
    return ledger->acknowledged;
}

uint64_t ledger_lost_count(const struct ledger *ledger)
{
    return ledger->lost;
}
