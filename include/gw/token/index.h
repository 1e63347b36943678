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
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/clock.h>
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
    GW_PRODUCT_PROVISIONS = 4,    /* none: its devices are bound to the product that they name,
                                     and required to name one                               */
    GW_PRODUCT_FLAGS = 7,
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

/*
 * Looks at the rows of every token, until `until` at the latest, so that the pages they stand in
 * are in memory and in this process's page table: otherwise the first login of each device waits
 * for the disk, in a shard's thread. *rows is how many were seen. 0 or -errno. Call
 * gw_index_reader_pause afterwards.
 */
GW_MUST_USE int gw_index_preload(struct gw_index_reader *reader, struct gw_instant until,
                                 uint64_t *rows);

struct gw_grant {
    uint32_t device;       /* number of the device, from 1; never reused                    */
    uint32_t product;      /* number of the product, from 1                                 */
    uint32_t org;          /* number of the organisation, from 1                            */
    uint32_t generation;   /* of the token's row: changes when it is rotated or rebound     */
    uint8_t product_flags; /* enum gw_product_flags                                         */
    uint8_t quota_class;
};

/*
 * An index whose rows stop short of what was served (incomplete, over a tenth fewer tokens, counts
 * that disagree, replaced) still grants what it holds, and a miss is UNAVAILABLE. An index that is
 * older than what was served, or another one, grants nothing: a revoked token must not come back.
 *
 * May this token log in? `out` is filled for GRANTED only. `token` NULL stands for a text that is
 * no token: the same work is done as for a miss. The caller wipes its copy of the token.
 */
GW_MUST_USE enum gw_login gw_index_login(struct gw_index_reader *reader,
                                         const uint8_t token[GW_TOKEN_BYTES], bool over_tls,
                                         uint64_t now_s, struct gw_grant *out);

/*
 * Does product `number` have this public id? In constant time; one that is unknown has none. 0 with
 * *is, or -errno when it cannot be told: then nobody may be judged by it.
 */
GW_MUST_USE int gw_index_product_is(struct gw_index_reader *reader, uint32_t number,
                                    struct gw_bytes id, bool *is);

/*
 * Is a grant given earlier still good? For sessions that live while the index changes: asked after
 * a session has registered (the change may have come in between), and for every session after a
 * gap in the changes. Needs no token. `generation` is the grant's.
 *   GRANTED      *out as a login would fill it now; another generation in it than the one asked
 *                about means that the device was moved to another product: log in again
 *   UNKNOWN      the token was rotated or revoked since
 *   others       as for a login
 */
GW_MUST_USE enum gw_login gw_index_recheck(struct gw_index_reader *reader, uint32_t device,
                                           uint32_t generation, bool over_tls, uint64_t now_s,
                                           struct gw_grant *out);

enum gw_index_change_kind {
    GW_INDEX_DEVICES_ADDED = 1, /* `count` devices from number `device` on                       */
    GW_INDEX_TOKEN_ROTATED,     /* sessions of `device` with a lower generation are out: 9       */
    GW_INDEX_TOKEN_REVOKED,     /* likewise, and there is no new token                           */
    GW_INDEX_TOKEN_WINDOW,      /* the time window of the device's token changed: recheck        */
    GW_INDEX_DEVICE_REBOUND,    /* `device` belongs to another product: close, let it log in     */
    GW_INDEX_DEVICE_DISABLED,
    GW_INDEX_DEVICE_ENABLED,
    GW_INDEX_PRODUCT_ADDED,
    GW_INDEX_PRODUCT_CLOSED, /* every device of `product`                                     */
    GW_INDEX_PRODUCT_OPENED,
    GW_INDEX_ORG_ADDED,
    GW_INDEX_ORG_CLOSED, /* every device of `org`                                         */
    GW_INDEX_ORG_OPENED,
};

struct gw_index_change {
    uint64_t sequence; /* from 1, without gaps                                                   */
    uint64_t at_us;    /* wall time                                                              */
    enum gw_index_change_kind kind;
    uint32_t device, product, org; /* 0 where the kind has none                                  */
    uint32_t generation;           /* of the device's token after the change                     */
    uint32_t count;
};

/* Sequence number of the newest change; 0 before the first. -errno when it cannot be told. */
GW_MUST_USE int gw_index_change_newest(struct gw_index_reader *reader, uint64_t *out);

/*
 * Changes after sequence number `after`, oldest first, at most `capacity`. 0, with *count = 0 when
 * there is nothing new; -ERANGE when some of them are no longer kept, or `after` is of another
 * index: then compare everything (gw_index_recheck) and go on from gw_index_change_newest, asked
 * for before the comparison.
 */
GW_MUST_USE int gw_index_changes(struct gw_index_reader *reader, uint64_t after,
                                 struct gw_index_change *out, size_t capacity, size_t *count);

/*
 * Has the index as a whole been replaced or removed since it was opened? One stat(2): the control
 * thread asks about once a second. From a true answer on, misses are UNAVAILABLE for every reader,
 * since the rows we still see are no longer the ones that rule; grants go on. A replaced index is
 * adopted by a restart of the gateway, so a true answer must reach the operator and /readyz.
 */
GW_MUST_USE bool gw_index_replaced(struct gw_index *index);

/* What a log line may say of a token, as 8 hexadecimal digits: keyed, so that it leads nowhere. */
uint32_t gw_index_token_tag(const struct gw_index *index, const uint8_t token[GW_TOKEN_BYTES]);

struct gw_index_stat {
    uint64_t generation; /* grows with every commit of the writer */
    uint64_t tokens, products, devices, orgs;
    bool complete;       /* the builder marked it finished                                     */
    bool authoritative;  /* complete, and neither older nor much smaller than what was served  */
    const char *why_not; /* a text when not authoritative                                     */
};

GW_MUST_USE int gw_index_stat(struct gw_index_reader *reader, struct gw_index_stat *out);

/*
 * Remembers what is served now in the high-water file, replaced atomically. The control thread
 * calls it once a minute and before a stop. -ESTALE while the index is not authoritative, since
 * then the old mark must stand; another -errno when it could not be written.
 */
GW_MUST_USE int gw_index_high_water_save(struct gw_index_reader *reader);

#endif
