/*
 * A journal's record as a line, for people or as JSON. What a device sent is escaped: it can
 * neither forge a line nor reach the terminal.
 */
#ifndef GW_TOOLS_RECORD_PRINT_H
#define GW_TOOLS_RECORD_PRINT_H

#include <stdio.h>

#include <gw/journal/reader.h>

/*
 *     2026-11-22 14:03:07.125  device 12  V1 = 23.5
 *
 * Local time. Bytes that are not printable UTF-8 stand as \xHH, a backslash as \\; the NUL between
 * the parts of a value as " | ".
 */
void record_print_text(FILE *out, const struct gw_journal_item *item);

/*
 *     {"time":"2026-11-22T14:03:07.125000Z","device":12,...,"kind":"pin_write","pin":"V1",
 *      "value":"23.5","lane":0,"epoch":1795356187000000,"batch":7,"index":0,"after":"1:9216"}
 *
 * (lane, epoch, batch, index) names the record for ever. A value that is not UTF-8 stands under
 * "value_base64" instead of "value", the same for "name". One line; damage is an object of the kind
 * "damage".
 */
void record_print_json(FILE *out, const struct gw_journal_item *item);

/* One sentence on what is gone. */
void damage_print_text(FILE *out, const struct gw_journal_item *item);

#endif
