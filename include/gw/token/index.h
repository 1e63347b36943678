/*
 * The token index: who may log in, as what. One LMDB environment, written by one writer
 * (gw/token/writer.h), read by every gateway thread without locks, changed in place while in use.
 *
 * One environment per process (LMDB forbids opening a file twice in one process); one reader per
 * thread. A reader holds a read transaction only between its first question of a loop turn and
 * gw_index_reader_pause, which every wait must be preceded by: a reader that sleeps inside a
 * transaction keeps the writer from reusing pages.
 *
 * Answers are made so that status 9, which takes real devices out of service for good, can only
 * come from GW_LOGIN_UNKNOWN: a complete, authoritative index that does not hold the token.
 */
#ifndef GW_TOKEN_INDEX_H
#define GW_TOKEN_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>
#include <gw/wire/token_text.h>

enum {
    GW_PRODUCT_ID_BYTES_MAX = 32, /* "TMPL" and what follows, without a NUL */
    GW_DEVICE_NAME_BYTES_MAX = 64,
};

struct gw_index;        /* the environment: one per process */
struct gw_index_reader; /* one per thread                   */

struct gw_index_options {
    const char *path;       /* directory that holds data.mdb, lock.mdb                       */
    const char *pepper;     /* file with the 32-byte verifier key; NULL: <path>/pepper       */
    const char *high_water; /* file that remembers the highest generation and count this gateway
                               served; kept outside the index, so that a rolled-back index is
                               noticed. NULL: no memory, authority rests on the index alone   */
};

/* 0, or -errno (-ENOENT no index there, -EPROTO another schema, -EACCES ...); *why is a text. */
GW_MUST_USE int gw_index_open(const struct gw_index_options *options, struct gw_index **out,
                              const char **why);
void gw_index_close(struct gw_index *index); /* NULL is fine; every reader must be gone */

GW_MUST_USE int gw_index_reader_open(struct gw_index *index, struct gw_index_reader **out);
void gw_index_reader_close(struct gw_index_reader *reader);
/* Ends the turn's read transaction, if one was begun. 14-23 ns. */
void gw_index_reader_pause(struct gw_index_reader *reader);

enum gw_product_flags {
    GW_PRODUCT_PLAIN_ALLOWED = 1, /* its devices may log in without TLS                     */
    GW_PRODUCT_INFO_REQUIRED = 2, /* updates are held back until the info frame named it    */
};

enum gw_login {
    GW_LOGIN_GRANTED,
    GW_LOGIN_UNKNOWN,     /* final: not in an authoritative index, revoked, rotated out     (9)  */
    GW_LOGIN_DISABLED,    /* device disabled: an operator can undo it                       (6)  */
    GW_LOGIN_CLOSED,      /* product or organisation closed                                 (6)  */
    GW_LOGIN_NOT_NOW,     /* outside the token's time window                                (6)  */
    GW_LOGIN_PLAIN,       /* this product's devices must use TLS                            (6)  */
    GW_LOGIN_UNAVAILABLE, /* missing, damaged, not authoritative, out of memory or readers  (19) */
};

struct gw_grant {
    uint32_t device;        /* number of the device, from 1; never reused                    */
    uint32_t product;       /* number of the product, from 1                                 */
    uint32_t org;           /* number of the organisation, from 1                            */
    uint32_t generation;    /* of the token's row: changes when it is rotated or rebound     */
    uint8_t product_flags;  /* enum gw_product_flags                                         */
    uint8_t quota_class;
};

/*
 * May this token log in? `out` is filled for GRANTED only. `token` NULL stands for a text that is
 * no token: the same work is done as for a miss. The caller wipes its copy of the token.
 */
GW_MUST_USE enum gw_login gw_index_login(struct gw_index_reader *reader,
                                         const uint8_t token[GW_TOKEN_BYTES], bool over_tls,
                                         uint64_t now_s, struct gw_grant *out);

/* Does product `number` have this public id? In constant time. False also when it is unknown. */
GW_MUST_USE bool gw_index_product_is(struct gw_index_reader *reader, uint32_t number,
                                     struct gw_bytes id);

/* What a log line may say of a token: 8 hexadecimal digits, keyed, and a NUL. */
void gw_index_token_tag(const struct gw_index *index, const uint8_t token[GW_TOKEN_BYTES],
                        char out[9]);

struct gw_index_stat {
    uint64_t generation; /* grows with every commit of the writer */
    uint64_t tokens, products, devices, orgs;
    bool complete;      /* the builder marked it finished                                     */
    bool authoritative; /* complete, and neither older nor much smaller than what was served  */
    const char *why_not; /* a text when not authoritative                                     */
};

GW_MUST_USE int gw_index_stat(struct gw_index_reader *reader, struct gw_index_stat *out);

/*
 * Remembers what is served now in the high-water file. The control thread calls it once a minute;
 * -errno when it could not be written.
 */
GW_MUST_USE int gw_index_high_water_save(struct gw_index_reader *reader);

#endif
