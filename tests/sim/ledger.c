#include "ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/journal/reader.h>

enum { SESSIONS_MAX = 1 << 12 };

enum { EVERY = 1, ACKNOWLEDGED = 2, REFUSED = 4, LOST = 8, PASSED_ON = 16 };

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
    bool may_be_cut;
    uint32_t disposable; /* versions up to this one may be gone from the log */
};

struct ledger *ledger_create(const struct world_tokens *tokens, bool may_be_cut)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);

    gw_assert(ledger != NULL);
    ledger->tokens = tokens;
    ledger->count = 1;
    ledger->may_be_cut = may_be_cut;
    return ledger;
}

bool ledger_may_be_cut(const struct ledger *ledger)
{
    return ledger->may_be_cut;
}

void ledger_dispose(struct ledger *ledger, uint32_t version)
{
    if (version > ledger->disposable)
        ledger->disposable = version;
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

void ledger_pass_on(struct ledger *ledger, uint32_t number)
{
    update_at(ledger, number)->flags |= PASSED_ON;
}

bool ledger_is_passed_on(const struct ledger *ledger, uint32_t number)
{
    gw_assert(number > 0 && number < ledger->count);
    return (ledger->updates[number].flags & PASSED_ON) != 0;
}

uint32_t ledger_next(const struct ledger *ledger)
{
    return ledger->count;
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

/*
 * Records of a session are counted without gaps, in one life of one gateway. With `begins_late` the
 * first ones may be gone.
 */
static void note_record(struct ledger *ledger, const struct gw_batch_name *batch,
                        const struct gw_record *record, bool begins_late)
{
    struct seen_session *seen = session_of(ledger, record->session);
    bool first_update;

    if (seen->sequence == 0) {
        seen->sequence = begins_late ? record->sequence - 1 : 0;
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
    first_update = seen->nth == 0;
    gw_assert((update->flags & EVERY) != 0 && !(begins_late && first_update)
                  ? update->nth == seen->nth + 1
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
    note_record(ledger, batch, record, false);
}

uint32_t ledger_record_version(const struct ledger *ledger, const struct gw_record *record)
{
    uint32_t token, version;

    if (record->kind != GW_RECORD_PIN_WRITE || is_from_others(record))
        return 0;
    token = ledger->tokens->of_device[record->device];
    version = ledger_version(ledger, ledger_number(ledger, record->value, token, record->pin));
    gw_assert(version != 0); /* a reader sees what is durable */
    return version;
}

/* What a reader found: versions in [first, last], all of them; both 0: none. */
struct found {
    uint32_t first, last;
};

/* All that a reader finds; with `note`, of a log that was just opened. */
static struct found read_records(struct ledger *ledger, const char *path,
                                 const struct gw_journal_io *io, bool note)
{
    struct gw_journal_reader_options options = {
        .path = path, .from = GW_JOURNAL_FROM_BEGINNING, .io = io};
    struct gw_journal_reader *reader;
    struct gw_journal_item item;
    struct found found = {.first = 0};
    char why[256];
    int err = gw_journal_reader_open(&options, &reader, why, sizeof why);

    gw_assert(err == 0);
    for (;;) {
        err = gw_journal_reader_next(reader, &item);
        gw_assert(err == 0);
        if (item.kind == GW_JOURNAL_END)
            break;
        /* Nothing that was durable is damaged; but what retention took, before the first update
         * that is left, may be told of as a gap. */
        if (item.kind == GW_JOURNAL_DAMAGE && item.bytes == 0 && ledger->may_be_cut &&
            found.last == 0)
            continue;
        gw_assert(item.kind == GW_JOURNAL_RECORD);
        if (note)
            note_record(ledger, &item.batch, &item.record, ledger->may_be_cut);
        uint32_t version = ledger_record_version(ledger, &item.record);

        if (version == 0)
            continue;
        gw_assert(found.last == 0 || version == found.last + 1); /* as it became durable */
        if (found.first == 0)
            found.first = version;
        found.last = version;
    }
    gw_journal_reader_close(reader);
    return found;
}

/* Before what was found nothing is missing that anybody needs. */
static void check_beginning(const struct ledger *ledger, struct found found)
{
    uint32_t missing = found.first == 0 ? ledger->versions : found.first - 1;

    gw_assert(missing == 0 || (ledger->may_be_cut && missing <= ledger->disposable));
}

void ledger_read_log(struct ledger *ledger, const char *path, const struct gw_journal_io *io)
{
    struct found found;

    memset(ledger->sessions, 0, sizeof ledger->sessions);
    ledger->session_count = 0;
    ledger->readings++;
    found = read_records(ledger, path, io, true);
    check_beginning(ledger, found);
    for (uint32_t number = 1; number < ledger->count; number++) {
        struct update *update = &ledger->updates[number];

        gw_assert(update->version == 0 || update->read == ledger->readings ||
                  update->version < found.first || found.first == 0); /* none was lost */
        if (update->version > 0 || (update->flags & (REFUSED | LOST)) != 0)
            continue;
        update->flags |= LOST;
        ledger->lost++;
    }
}

void ledger_follow_log(struct ledger *ledger, const char *path, const struct gw_journal_io *io,
                       bool marked)
{
    struct found found = read_records(ledger, path, io, false);

    if (found.first != 0)
        check_beginning(ledger, found);
    gw_assert(!marked || found.last == ledger->versions ||
              (found.last == 0 && ledger->versions <= ledger->disposable));
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
