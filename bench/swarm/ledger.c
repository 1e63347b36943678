/*
 * Ledger and stamps, as text: a person can read both, and grep finds an update in a journal.
 */
#include "ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

size_t swarm_value_write(char out[SWARM_VALUE_BYTES_MAX], struct swarm_stamp stamp, size_t wanted)
{
    /* A triangle between 18.0 and 26.0 that differs from device to device, so that a person who
       watches sees something like rooms. */
    uint32_t phase = (stamp.counter + stamp.device * 37) % 160;
    uint32_t tenths = 180 + (phase < 80 ? phase : 160 - phase);
    char value[SWARM_STAMPED_BYTES_MAX];
    size_t bytes = (size_t)snprintf(value, sizeof value, "%u.%u %08x.%u.%u", tenths / 10,
                                    tenths % 10, stamp.run, stamp.device, stamp.counter);
    size_t padding = wanted > bytes ? wanted - bytes : 0;

    gw_assert(wanted <= SWARM_VALUE_BYTES_MAX);
    if (wanted != 0 && wanted < bytes)
        bytes = wanted;
    memset(out, '0', padding);
    memcpy(out + padding, value, bytes);
    return padding + bytes;
}

/* Digits at *at, up to `stop` or the end; moves *at behind the stop. */
static bool read_number(struct gw_bytes text, size_t *at, uint32_t base, size_t digits_max,
                        uint8_t stop, uint32_t *out)
{
    uint64_t value = 0;
    size_t digits = 0;

    for (; *at < text.size && text.data[*at] != stop; (*at)++, digits++) {
        uint8_t c = text.data[*at];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                                                : 99;

        if (digit >= base || digits == digits_max)
            return false;
        value = value * base + digit;
    }
    if (digits == 0 || value > UINT32_MAX || (stop != 0 && *at == text.size))
        return false;
    *at += stop != 0;
    *out = (uint32_t)value;
    return true;
}

bool swarm_value_read(struct gw_bytes value, struct swarm_stamp *out)
{
    const uint8_t *blank = value.size == 0 ? NULL : memrchr(value.data, ' ', value.size);
    size_t at;

    if (blank == NULL)
        return false;
    at = (size_t)(blank - value.data) + 1;
    return read_number(value, &at, 16, 8, '.', &out->run) &&
           read_number(value, &at, 10, 10, '.', &out->device) &&
           read_number(value, &at, 10, 10, 0, &out->counter) && out->counter > 0;
}

void swarm_ledger_write_head(FILE *file, uint32_t run, uint32_t devices)
{
    fprintf(file, "# tollgate-bench ledger 1 run %08x devices %u\n", run, devices);
}

void swarm_ledger_write(FILE *file, const struct swarm_ledger_line *line)
{
    fprintf(file, "%u %u %u %u %u\n", line->device, line->session, line->first, line->sent,
            line->acked);
}

/* Five numbers and nothing else. */
static bool parse_line(const char *text, struct swarm_ledger_line *line)
{
    uint32_t *const fields[] = {&line->device, &line->session, &line->first, &line->sent,
                                &line->acked};
    struct gw_bytes bytes = gw_bytes_text(text);
    size_t at = 0;

    if (bytes.size == 0 || bytes.data[bytes.size - 1] != '\n')
        return false; /* cut short: whoever wrote it was killed */
    for (size_t i = 0; i < GW_ARRAY_COUNT(fields); i++) {
        if (!read_number(bytes, &at, 10, 10, i + 1 < GW_ARRAY_COUNT(fields) ? ' ' : '\n',
                         fields[i]))
            return false;
    }
    return at == bytes.size && line->session > 0 && line->first > 0 &&
           line->sent >= line->first - 1 && line->acked >= line->first - 1 &&
           line->acked <= line->sent;
}

static bool parse_head(const char *text, struct swarm_ledger *out)
{
    int end = 0;

    return sscanf(text, "# tollgate-bench ledger 1 run %8x devices %9u%n", &out->run, &out->devices,
                  &end) == 2 &&
           text[end] == '\n';
}

int swarm_ledger_read(FILE *file, struct swarm_ledger *out, size_t *bad_line)
{
    char text[128];
    size_t number = 0, room = 0;
    int err = -EINVAL;

    *out = (struct swarm_ledger){.lines = NULL};
    while (fgets(text, sizeof text, file) != NULL) {
        struct swarm_ledger_line line;

        number++;
        if (number == 1) {
            if (!parse_head(text, out))
                goto fail;
            continue;
        }
        if (!parse_line(text, &line) || line.device >= out->devices)
            goto fail;
        if (out->line_count == room) {
            struct swarm_ledger_line *grown;

            room = room == 0 ? 1024 : room * 2;
            grown = realloc(out->lines, room * sizeof *grown);
            if (grown == NULL) {
                err = -ENOMEM;
                goto fail;
            }
            out->lines = grown;
        }
        out->lines[out->line_count++] = line;
    }
    if (number == 0)
        number = 1;
    else if (!ferror(file))
        return 0;
    else
        err = -EIO;
fail:
    *bad_line = number;
    swarm_ledger_fini(out);
    return err;
}

void swarm_ledger_fini(struct swarm_ledger *ledger)
{
    free(ledger->lines);
    *ledger = (struct swarm_ledger){.lines = NULL};
}
