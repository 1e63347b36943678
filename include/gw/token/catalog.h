/*
 * What stands in a token index, for people: organisations, products, devices, and a check of all
 * of it. Read through a view: one consistent state, got from a reader (good until its pause) or
 * from a writer (good until commit or abort, and showing what was changed so far).
 */
#ifndef GW_TOKEN_CATALOG_H
#define GW_TOKEN_CATALOG_H

#include <gw/token/index.h>

struct gw_index_view;
struct gw_index_writer;

/* NULL when the index cannot be read now. */
const struct gw_index_view *gw_index_reader_view(struct gw_index_reader *reader);
const struct gw_index_view *gw_index_writer_view(struct gw_index_writer *writer);

struct gw_org_info {
    uint32_t number;
    bool closed;
    uint64_t created_s;
    char name[GW_DEVICE_NAME_BYTES_MAX + 1];
};

struct gw_product_info {
    uint32_t number, org;
    bool closed;
    uint8_t flags; /* enum gw_product_flags */
    uint8_t quota_class;
    uint64_t created_s;
    char id[GW_PRODUCT_ID_BYTES_MAX + 1];
    char name[GW_DEVICE_NAME_BYTES_MAX + 1];
};

struct gw_device_info {
    uint32_t number, product, org;
    uint32_t owner;      /* 0: nobody                                                          */
    uint32_t generation; /* grows with rotate, revoke and move                                 */
    bool disabled;
    bool has_token; /* false once revoked                                                 */
    uint64_t not_before_s, not_after_s; /* the token's time window; 0: no bound                */
    uint64_t created_s;
    char name[GW_DEVICE_NAME_BYTES_MAX + 1];
};

/*
 * One row by number; or the first whose number is greater than `after`, for a walk from 0.
 * 0, -ENOENT when there is none, -EBADMSG when the row is damaged (out->number is set then, so
 * that a walk can go on), another -errno.
 */
GW_MUST_USE int gw_catalog_org(const struct gw_index_view *view, uint32_t number,
                               struct gw_org_info *out);
GW_MUST_USE int gw_catalog_org_next(const struct gw_index_view *view, uint32_t after,
                                    struct gw_org_info *out);
GW_MUST_USE int gw_catalog_product(const struct gw_index_view *view, uint32_t number,
                                   struct gw_product_info *out);
GW_MUST_USE int gw_catalog_product_next(const struct gw_index_view *view, uint32_t after,
                                        struct gw_product_info *out);
GW_MUST_USE int gw_catalog_device(const struct gw_index_view *view, uint32_t number,
                                  struct gw_device_info *out);
GW_MUST_USE int gw_catalog_device_next(const struct gw_index_view *view, uint32_t after,
                                       struct gw_device_info *out);

/* The number behind a name or an id; -ENOENT when nobody has it. */
GW_MUST_USE int gw_catalog_org_find(const struct gw_index_view *view, struct gw_bytes name,
                                    uint32_t *number);
GW_MUST_USE int gw_catalog_product_find(const struct gw_index_view *view, struct gw_bytes id,
                                        uint32_t *number);

/*
 * Reads every row of every table: shapes, checksums, references both ways, counts against the
 * head row. `finding` is called with one sentence for each fault, at most `findings_max` times.
 * *faults is how many there were. 0 when the walk came to its end, or -errno.
 */
GW_MUST_USE int gw_catalog_verify(const struct gw_index_view *view, uint64_t findings_max,
                                  void (*finding)(void *context, const char *sentence),
                                  void *context, uint64_t *faults);

#endif
