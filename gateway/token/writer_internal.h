/*
 * What the parts of the writer share: one transaction with its head row, and the puts that mark
 * the transaction as failed when LMDB says no.
 */
#ifndef GW_TOKEN_WRITER_INTERNAL_H
#define GW_TOKEN_WRITER_INTERNAL_H

#include <gw/token/writer.h>

#include "store_internal.h"

struct gw_index_writer {
    struct gw_store store;
    struct gw_index_view view; /* txn NULL: none is open                        */
    struct gw_meta meta;       /* as it will stand after the commit             */
    uint64_t now_us;
    bool changed;
    int failed; /* the first error that spoiled the transaction  */
};

/* Both remember an error in writer->failed. */
GW_MUST_USE int gw_writer_put(struct gw_index_writer *writer, enum gw_table table, const void *key,
                              size_t key_bytes, const uint8_t *row, size_t row_bytes,
                              unsigned int flags);
GW_MUST_USE int gw_writer_fail(struct gw_index_writer *writer, int err);

/* No control characters, and not longer than that. */
GW_MUST_USE bool gw_writer_is_text(struct gw_bytes text, size_t bytes_max);

/* Appends to `changes` and forgets the oldest beyond what is kept. */
GW_MUST_USE int gw_writer_note(struct gw_index_writer *writer, enum gw_index_change_kind kind,
                               struct gw_change_row row);

/* A head row for a new index, or a new head of a restored one: identity drawn anew. */
void gw_writer_draw_lineage(struct gw_meta *meta);
GW_MUST_USE int gw_writer_put_meta(struct gw_index_writer *writer);

/* Modes and group of an index's directory and files (writer.h), by path, before anyone opens them.
 */
GW_MUST_USE int gw_files_set_modes(const char *path, bool has_group, gid_t group);

#endif
