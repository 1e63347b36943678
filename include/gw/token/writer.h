/*
 * Writing the token index: one writer at a time on a machine (LMDB's lock sees to it), while any
 * number of gateways read. Every change stands in a transaction; a commit appends what changed to
 * `changes` and raises the generation by one, all or nothing, and is on the disk when it returns.
 *
 * Files: an index made for a group (see gw_index_create) is a directory of mode 0750 with data.mdb
 * 0640, lock.mdb 0660 and pepper 0440, so that a gateway of another user in that group can read it
 * and take a reader's slot; only the owner can write. Never open these files by other means while
 * a process of yours has the index open: closing them would drop LMDB's locks.
 *
 * Errors are -errno: -EEXIST it is there already, -ENOENT the thing named is not there, -EINVAL a
 * name or id of bad shape, -ENOSPC map or disk are full, -ESTALE the index was replaced meanwhile,
 * -EBADMSG damage, -EUSERS no reader slot. After an error other than -EEXIST, -ENOENT and -EINVAL
 * the transaction can only be aborted, and commit does that.
 */
#ifndef GW_TOKEN_WRITER_H
#define GW_TOKEN_WRITER_H

#include <stdio.h>
#include <sys/types.h>

#include <gw/token/catalog.h>

enum { GW_INDEX_CHANGES_KEPT = 1000000 }; /* older ones are forgotten; followers compare all */

struct gw_index_create_options {
    const char *path;   /* made if it is not there; must not hold an index yet          */
    const char *pepper; /* NULL: <path>/pepper. Used if it exists, else drawn and made  */
    bool has_group;     /* readable by `group`; else by the owner alone                 */
    gid_t group;
};

/* An empty index, complete. 0 or -errno with *why a text. */
GW_MUST_USE int gw_index_create(const struct gw_index_create_options *options, const char **why);

/* As gw_index_open. `pepper` NULL: <path>/pepper. */
GW_MUST_USE int gw_index_writer_open(const char *path, const char *pepper,
                                     struct gw_index_writer **out, const char **why);
void gw_index_writer_close(struct gw_index_writer *writer); /* NULL is fine; aborts what is open */

/* Waits for another writer. Also frees the slots of readers that were killed. */
GW_MUST_USE int gw_index_begin(struct gw_index_writer *writer);
GW_MUST_USE int gw_index_commit(struct gw_index_writer *writer);
void gw_index_abort(struct gw_index_writer *writer);

/* Names: 1 to 64 bytes without control characters. Ids: 1 to 32 of A-Z a-z 0-9 _ and -. */
GW_MUST_USE int gw_index_org_add(struct gw_index_writer *writer, struct gw_bytes name,
                                 uint32_t *number);
GW_MUST_USE int gw_index_org_set_closed(struct gw_index_writer *writer, uint32_t number,
                                        bool closed);

struct gw_product_spec {
    uint32_t org;
    struct gw_bytes id;   /* what a device's info frame calls it    */
    struct gw_bytes name; /* for people; may be empty               */
    uint8_t flags;        /* enum gw_product_flags                  */
    uint8_t quota_class;  /* of its devices                         */
};

GW_MUST_USE int gw_index_product_add(struct gw_index_writer *writer,
                                     const struct gw_product_spec *spec, uint32_t *number);
GW_MUST_USE int gw_index_product_set_closed(struct gw_index_writer *writer, uint32_t number,
                                            bool closed);

struct gw_device_spec {
    uint32_t product;
    uint32_t owner;                     /* 0: nobody                                       */
    struct gw_bytes name;               /* may be empty                                    */
    const uint8_t *token;               /* GW_TOKEN_BYTES; the caller wipes it             */
    uint64_t not_before_s, not_after_s; /* 0: no bound                                     */
};

/* -EEXIST: the token is in the index already. */
GW_MUST_USE int gw_index_device_add(struct gw_index_writer *writer,
                                    const struct gw_device_spec *spec, uint32_t *number);
GW_MUST_USE int gw_index_device_set_disabled(struct gw_index_writer *writer, uint32_t number,
                                             bool disabled);
/* To another product, with its organisation and quota class; the token stays. */
GW_MUST_USE int gw_index_device_move(struct gw_index_writer *writer, uint32_t number,
                                     uint32_t product);

/*
 * Binds a device whose product provisions to the product with this id, as the device itself named
 * it: one of its organisation that is open and does not provision. The bounds of its token in time
 * are gone then, for they were those of the provisioning. -ENOENT: no such device, or no such
 * product to be bound to; -EPERM: it may not be bound, for it is disabled, without a token, or of a
 * product already, which is not this one. Of this one already: 0, and nothing changes.
 */
GW_MUST_USE int gw_index_device_bind(struct gw_index_writer *writer, uint32_t number,
                                     struct gw_bytes product);

/* The old token is final at once: unknown. A device without a token gets one. */
GW_MUST_USE int gw_index_token_rotate(struct gw_index_writer *writer, uint32_t device,
                                      const uint8_t token[GW_TOKEN_BYTES]);
/* -ENOENT also when the device has no token any more. */
GW_MUST_USE int gw_index_token_revoke(struct gw_index_writer *writer, uint32_t device);
GW_MUST_USE int gw_index_token_window(struct gw_index_writer *writer, uint32_t device,
                                      uint64_t not_before_s, uint64_t not_after_s);

/*
 * `count` nameless devices of one product, numbered on from *first, with fresh tokens written to
 * `tokens`, one a line, in the order of their numbers. Sorted before they are put, which makes an
 * index three to six times faster to fill and up to four times smaller. `progress`, if not NULL,
 * hears now and then how many rows stand; false from it ends the work with -ECANCELED.
 */
GW_MUST_USE int gw_index_generate(struct gw_index_writer *writer, uint32_t product, uint32_t count,
                                  FILE *tokens, bool (*progress)(void *context, uint32_t done),
                                  void *context, uint32_t *first);

/* A builder that needs several transactions says so before the first and after the last. */
GW_MUST_USE int gw_index_set_complete(struct gw_index_writer *writer, bool complete);

/*
 * The operator's word that this index, as it stands, is the one to serve, however it compares to
 * what was served before. With `high_water` (a gateway's file) the generation is raised above what
 * that gateway remembers, which an older or another index needs.
 */
GW_MUST_USE int gw_index_accept(struct gw_index_writer *writer, const char *high_water);

/* A compacted copy of the committed state in one file, mode 0600, there whole or not at all. */
GW_MUST_USE int gw_index_backup(const char *path, const char *pepper, const char *file,
                                const char **why);

/*
 * Puts a backup in the place of the index at `path` (or where there is none): copied beside it,
 * checked whole, given a new lineage, then exchanged in one step. The former index is kept as
 * `<path>.old`, which must not exist yet. Gateways refuse the new one until it is accepted
 * (gw_index_accept), since it may miss devices that were added after the backup. The pepper is the
 * former index's own, or `pepper`.
 */
GW_MUST_USE int gw_index_restore(const char *path, const char *pepper, const char *file,
                                 const char **why);

#endif
