/*
 * Session ticket keys: what a device's ticket is sealed with, so that it can come back to any
 * shard, after a reload or a restart, and to any gateway of a fleet, without a full handshake.
 *
 * A ring holds three keys. `current` seals; all three open. Rotation moves each one place: what is
 * `next` today is already known to every gateway of the fleet when it becomes `current`, so they
 * need not change over at the same moment; what was `current` opens its tickets a while longer. A
 * ticket opened by another key than `current` is given anew.
 *
 *     next --rotation--> current --rotation--> previous --rotation--> forgotten
 *
 * A key seals for GW_TICKET_ROTATE_S, a ticket is good for GW_TICKET_AGE_S_MAX after it was sealed,
 * and so a ring that is rotated in time opens every ticket that is still good.
 *
 * The file of a ring is text, four lines, readable by its owner alone (mode 0400 or 0600):
 *
 *     tollgate-ticket-keys 1
 *     next 0 NAME SECRET
 *     current SINCE NAME SECRET
 *     previous SINCE NAME SECRET
 *
 * SINCE is the second since 1970 in which the key began to seal, decimal. NAME is 16 bytes, SECRET
 * 64 (AES key, then MAC key), in lower-case hexadecimal.
 *
 * Whoever has a ring can read what was sent in TLS 1.2 sessions that were resumed with its tickets,
 * and can pose as the gateway to their owners until the tickets expire.
 *
 * Sources: RFC 5077 section 4 (the ticket), RFC 9325 section 3.4 (keys are changed).
 */
#ifndef GW_TLS_TICKET_H
#define GW_TLS_TICKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/defs.h>

enum {
    GW_TICKET_NAME_BYTES = 16,
    GW_TICKET_SECRET_BYTES = 64,
    GW_TICKET_ROTATE_S = 12 * 3600,
    GW_TICKET_AGE_S_MAX = 24 * 3600,
    GW_TICKET_FILE_BYTES_MAX = 1024,
};

enum gw_ticket_place { GW_TICKET_NEXT, GW_TICKET_CURRENT, GW_TICKET_PREVIOUS, GW_TICKET_PLACES };

struct gw_ticket_key {
    uint64_t since_s;                   /* when it began to seal; 0: not yet                  */
    uint8_t name[GW_TICKET_NAME_BYTES]; /* stands in clear at the head of each ticket         */
    uint8_t cipher[32];                 /* AES-256                                            */
    uint8_t mac[32];                    /* HMAC-SHA-256                                       */
};

/* A value: whoever copies it wipes the copy (gw_wipe). */
struct gw_ticket_ring {
    struct gw_ticket_key keys[GW_TICKET_PLACES];
};

/* Three random keys, the current one as of `now_s` (seconds since 1970). */
void gw_ticket_ring_draw(struct gw_ticket_ring *out, uint64_t now_s);
/* The current key has sealed for GW_TICKET_ROTATE_S, or claims to come from the future. */
bool gw_ticket_ring_is_due(const struct gw_ticket_ring *ring, uint64_t now_s);
void gw_ticket_ring_rotate(struct gw_ticket_ring *ring, uint64_t now_s);

/*
 * Files: 0, or -errno with a sentence in `why` (at least 256 bytes) that begins with the path.
 * Loading takes the whole of a file or nothing of it: -EPERM when others may read it, -EBADMSG when
 * it is not what it should be. `out` is wiped on failure.
 */
GW_MUST_USE int gw_ticket_file_load(const char *path, struct gw_ticket_ring *out, char *why,
                                    size_t why_bytes);
/* A new ring in a new file of mode 0600; -EEXIST where there is one. */
GW_MUST_USE int gw_ticket_file_create(const char *path, uint64_t now_s, char *why,
                                      size_t why_bytes);
/*
 * Rotates the ring of a file that is due, or in any case with `force`; *rotated says whether it
 * was. The file is replaced in one step and keeps its mode and owner; of two that rotate at the
 * same time the second sees what the first did. *ring_out is the ring as it is now; the caller
 * wipes it.
 */
GW_MUST_USE int gw_ticket_file_rotate(const char *path, uint64_t now_s, bool force, bool *rotated,
                                      struct gw_ticket_ring *ring_out, char *why, size_t why_bytes);

/*
 * The ring in use, shared by the contexts of all shards (gw_tls_options.ticket_keys), each of which
 * holds it: it may be released before them. Any thread may set it; a context sees the new ring at
 * the next ticket it has to do with.
 */
struct gw_ticket_keys;

GW_MUST_USE int gw_ticket_keys_create(const struct gw_ticket_ring *ring,
                                      struct gw_ticket_keys **out); /* 0 or -ENOMEM */
struct gw_ticket_keys *gw_ticket_keys_hold(struct gw_ticket_keys *keys);
void gw_ticket_keys_release(struct gw_ticket_keys *keys); /* NULL is fine */

void gw_ticket_keys_set(struct gw_ticket_keys *keys, const struct gw_ticket_ring *ring);
/* Rotates the ring in use when it is due; true when it did. */
bool gw_ticket_keys_rotate_if_due(struct gw_ticket_keys *keys, uint64_t now_s);
/* Since when the current key seals, in seconds since 1970. */
uint64_t gw_ticket_keys_since_s(struct gw_ticket_keys *keys);

#endif
