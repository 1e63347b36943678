/*
 * Details as bytes. They stand in the table `meta`, beside the head row, and not in tables of their
 * own: LMDB opens a table by its name in a transaction that no other thread runs beside, so a
 * gateway could not begin to see tables that a later writer made, and would have to be restarted.
 *
 *     key      kind, 1 | number of the product or device, 4 BE | pin, code or name
 *     value    XXH3-64 of key and rest, 8 LE | version, 1 | rest
 *
 *     kind     number    text       rest
 *     E        product   code       name
 *     F        device    name       value
 *     N        product   number, 2  name of the field
 *     S        product   pin, 1     a stream, see below
 *     Z        device    -          name of the zone
 *
 *     a stream: type, 1 | flags, 1 | decimals, 1 | bytes of the name, 1 | number, 2 BE | 0, 1
 *               | min, 8 LE | max, 8 LE (IEEE 754) | name, initial value
 *
 * The head row's key begins with another letter. A walk over one number's rows of a kind is a walk
 * over neighbours.
 */
#ifndef GW_TOKEN_DETAILS_INTERNAL_H
#define GW_TOKEN_DETAILS_INTERNAL_H

#include <gw/token/details.h>

#include "store_internal.h"

enum gw_detail_kind {
    GW_DETAIL_EVENT = 'E',
    GW_DETAIL_FIELD = 'F',
    GW_DETAIL_FIELD_NAME = 'N',
    GW_DETAIL_STREAM = 'S',
    GW_DETAIL_ZONE = 'Z',
};

enum {
    GW_DETAIL_HEAD_BYTES = 9, /* checksum and version */
    GW_DETAIL_STREAM_BYTES = 23,
    GW_DETAIL_TEXT_BYTES_MAX = 64,
    GW_DETAIL_KEY_BYTES_MAX = 5 + GW_DETAIL_TEXT_BYTES_MAX,
    GW_DETAIL_ROW_BYTES_MAX = GW_DETAIL_HEAD_BYTES + GW_DETAIL_STREAM_BYTES +
                              GW_STREAM_NAME_BYTES_MAX + GW_STREAM_INITIAL_BYTES_MAX,
};

struct gw_detail_key {
    uint8_t bytes[GW_DETAIL_KEY_BYTES_MAX];
    size_t size;
};

/* False: the text is longer than any there is. */
GW_MUST_USE bool gw_detail_key(enum gw_detail_kind kind, uint32_t number, struct gw_bytes text,
                               struct gw_detail_key *out);
struct gw_detail_key gw_detail_stream_key(uint32_t product, uint8_t pin);
struct gw_detail_key gw_detail_field_name_key(uint32_t product, uint16_t number);
struct gw_detail_key gw_detail_zone_key(uint32_t device);

/* Completes a row whose rest stands at row + GW_DETAIL_HEAD_BYTES. `size` is that of the whole. */
void gw_detail_seal(struct gw_bytes key, uint8_t *row, size_t size);
/* The rest; false when the row is damaged. */
GW_MUST_USE bool gw_detail_open(struct gw_bytes key, struct gw_bytes row, struct gw_bytes *rest);

size_t gw_stream_pack(const struct gw_stream *stream, uint8_t out[GW_DETAIL_ROW_BYTES_MAX]);
GW_MUST_USE bool gw_stream_unpack(uint8_t pin, struct gw_bytes rest, struct gw_stream *out);

/* For the check of the whole index: is this row of the table `meta` sound? NULL, or what is not. */
const char *gw_detail_fault(const struct gw_index_view *view, struct gw_bytes key,
                            struct gw_bytes row);

#endif
