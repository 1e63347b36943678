/*
 * Who may say "unknown": the judgement over an index by its own head row and by what this gateway
 * remembers to have served (the high-water mark, a small file outside the index).
 */
#ifndef GW_TOKEN_AUTHORITY_INTERNAL_H
#define GW_TOKEN_AUTHORITY_INTERNAL_H

#include "row_internal.h"

struct gw_high_water {
    bool known; /* false: nothing was remembered yet */
    uint8_t lineage[GW_LINEAGE_BYTES];
    uint64_t generation, tokens;
};

enum gw_authority_level {
    GW_AUTHORITY_FULL, /* a miss is final                                         */
    GW_AUTHORITY_HITS, /* what is there may be granted; what is not, is not known */
    GW_AUTHORITY_NONE, /* nothing it says may be served                           */
};

struct gw_authority {
    enum gw_authority_level level;
    const char *why_not; /* a text unless FULL */
};

/* `token_rows` is what the table itself counts. */
struct gw_authority gw_authority_judge(const struct gw_meta *meta, uint64_t token_rows,
                                       const struct gw_high_water *mark);

/* A missing file is no error: *out is then not known. -EPROTO: the file is damaged. */
GW_MUST_USE int gw_high_water_load(const char *file, struct gw_high_water *out);
GW_MUST_USE int gw_high_water_store(const char *file, const struct gw_high_water *mark);

#endif
