/*
 * Sources that keep failing are locked out for a while: `failures` failures from one source within
 * `window_s` lock it for `lock_s`. Who counts as failing, and what a locked source may still do, is
 * the caller's.
 *
 * A source is an IPv4 address or the /64 of an IPv6 address. One table for all threads: counts are
 * exact across them, for a failure takes the lock of its set of GW_LOCKOUT_WAYS sources for some
 * dozen instructions; a look takes none. Memory is fixed: IPv4 and IPv6 have a half each. A set
 * that is full forgets the source that has failed least, the one that failed longest ago first, and
 * never one that is locked; so a flood of sources that fail once each displaces no other.
 *
 * Times are CLOCK_MONOTONIC, or whatever a test calls so. Locks end with the process.
 */
#ifndef GW_BASE_LOCKOUT_H
#define GW_BASE_LOCKOUT_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/clock.h>
#include <gw/base/defs.h>

enum {
    GW_LOCKOUT_WAYS = 8,
    GW_LOCKOUT_FAILURES_MAX = 8,
    GW_SOURCE_TEXT_BYTES = 64, /* "2001:db8::/64" and its NUL */
};

enum gw_lockout_profile {
    GW_LOCKOUT_NAT,     /* a secret that failed counts once; whoever has a good one is let in  */
    GW_LOCKOUT_LITERAL, /* every failure counts; a locked source is refused whatever it brings */
    GW_LOCKOUT_OFF,     /* nothing counts; what was locked by hand is refused all the same     */
};

struct gw_lockout_options {
    enum gw_lockout_profile profile;
    uint32_t failures; /* 1 to GW_LOCKOUT_FAILURES_MAX            */
    uint32_t window_s, lock_s;
    uint32_t sources; /* of each kind                                */
    uint64_t seed;    /* random: nobody shall know which sources share a set */
};

struct gw_lockout;

/* An address, or whatever has a number; a table holds one sort. Never 0. */
struct gw_source {
    uint64_t key;
};

/* Of an address in network order. IPv4 in IPv6 (::ffff:0:0/96, 64:ff9b::/96) is the IPv4 address.
 */
struct gw_source gw_source_v4(const uint8_t address[4]);
struct gw_source gw_source_v6(const uint8_t address[16]);
/* A table of such leaves its half for IPv6 untouched. */
struct gw_source gw_source_number(uint32_t number);
/* "192.0.2.1", "2001:db8:1:2::/64". */
void gw_source_text(struct gw_source source, char out[GW_SOURCE_TEXT_BYTES]);
/* What gw_source_text gives, and any address. */
GW_MUST_USE bool gw_source_parse(const char *text, struct gw_source *out);

/* 0 or -ENOMEM. */
GW_MUST_USE int gw_lockout_create(const struct gw_lockout_options *options,
                                  struct gw_lockout **out);
void gw_lockout_destroy(struct gw_lockout *lockout); /* NULL is fine */
uint64_t gw_lockout_bytes(uint32_t sources);

enum gw_lockout_state {
    GW_LOCKOUT_OPEN,
    GW_LOCKOUT_GUARDED, /* locked, profile nat: who has a good secret is let in */
    GW_LOCKOUT_SHUT,    /* locked, and nobody is let in                         */
};

enum gw_lockout_state gw_lockout_look(const struct gw_lockout *lockout, struct gw_source source,
                                      struct gw_instant now);

enum gw_lockout_failure {
    GW_LOCKOUT_COUNTED,    /* or not, as the profile has it                                 */
    GW_LOCKOUT_LOCKED_NOW, /* it was the last one that was allowed                          */
    GW_LOCKOUT_LOCKED,     /* it was locked already, which this failure does not lengthen   */
};

/* The source has failed with a secret of this tag. Exact: of all threads, one hears LOCKED_NOW. */
enum gw_lockout_failure gw_lockout_fail(struct gw_lockout *lockout, struct gw_source source,
                                        uint32_t tag, struct gw_instant now);

/* By hand: shut until then, whatever the profile. 0, or -ENOSPC: its set is full of such. */
GW_MUST_USE int gw_lockout_ban(struct gw_lockout *lockout, struct gw_source source,
                               struct gw_instant now, uint32_t seconds);
/* Lets it in again and forgets its failures. False: it was not locked. */
bool gw_lockout_unban(struct gw_lockout *lockout, struct gw_source source, struct gw_instant now);

struct gw_lockout_row {
    struct gw_source source;
    uint32_t seconds_left; /* rounded up                */
    bool by_hand;
};

/*
 * Writes the locked sources to `rows`, at most `capacity`; returns how many there are. Walks the
 * whole table: for the control thread.
 */
uint32_t gw_lockout_list(const struct gw_lockout *lockout, struct gw_instant now,
                         struct gw_lockout_row *rows, uint32_t capacity);

/* Failures that were not counted, because every source of their set was locked. */
uint64_t gw_lockout_overflows(const struct gw_lockout *lockout);

#endif
