/*
 * A shard: one thread, one ring, its sessions. The room that sees both sides, sockets and meaning.
 *
 * Nothing on the data path is shared between shards; they talk through bounded queues, one for each
 * ordered pair. A device's owner shard (device mod shards) knows where it is connected: newest
 * wins.
 */
#ifndef GW_SHARD_SHARD_H
#define GW_SHARD_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/audit/audit.h>
#include <gw/base/counter.h>
#include <gw/base/defs.h>
#include <gw/base/lockout.h>
#include <gw/base/prefix.h>
#include <gw/http/request.h>
#include <gw/io/ring.h>
#include <gw/session/session.h>
#include <gw/shard/binding.h>
#include <gw/shard/penalty.h>
#include <gw/tls/tls.h>
#include <gw/token/index.h>
#include <gw/uplink/lane.h>
#include <gw/values/values.h>
#include <gw/zone/zone.h>

struct gw_shard;

enum { GW_SHARD_LISTENERS_MAX = 16, GW_SHARDS_MAX = 256, GW_SHARD_PROXIES_MAX = 16 };

struct gw_shard_listener {
    int fd; /* bound and listening, this shard's own (SO_REUSEPORT); the caller closes it */
    bool tls;
    uint32_t proxy_count; /* who connects from one of these networks begins with a PROXY header */
    struct gw_prefix proxy_from[GW_SHARD_PROXIES_MAX];
};

/* HTTP on the devices' ports. */
struct gw_shard_http_options {
    bool enabled;
    struct gw_http_limits limits;
    uint32_t value_bytes_max;  /* of one value, resolved                                       */
    uint32_t answer_bytes_max; /* of last values in one answer */
    uint32_t points_max;       /* in one batch                                                 */
    uint32_t point_age_s_max;  /* how far a point's time may be from ours, either way          */
    uint32_t request_s_max;    /* from a request's first byte to its last                      */
    uint32_t idle_s_max;       /* for the next request                                         */
    bool websocket;            /* devices may log in inside of one                             */
    uint32_t websocket_message_bytes_max;
    const char *cors_origin; /* NULL: pages of other origins may not read our answers        */
    const char *acme_folder; /* NULL: no challenge of ACME is answered                       */
};

struct gw_shard_options {
    uint32_t number, count; /* this shard, all shards                                     */
    uint32_t sessions_max;
    uint32_t handshakes_max; /* in progress at once                                        */
    uint32_t handshakes_per_turn;
    uint32_t handshake_us_per_turn; /* of the processor, for all that begin in one          */
    uint32_t handshake_age_s_max;   /* a connection that waited longer is closed instead      */
    uint32_t accepts_pending;       /* accept operations kept queued, per listener                */
    uint32_t chunk_count;
    uint32_t answers_max;          /* answers that wait for the disk                             */
    uint32_t tx_bytes_max;         /* unsent bytes at which a session is no longer read          */
    uint32_t held_bytes_max;       /* frames kept for a late info frame                          */
    uint32_t downlink_pending_max; /* messages of this shard's asking under way to devices  */
    uint32_t owed_max;             /* sessions that take no message now, and are told later */
    uint32_t bridge_sessions_max;  /* sessions that may write to other devices              */
    uint32_t bridge_targets_max;   /* devices that one of them may write to                 */
    uint32_t bindings_max;         /* devices that wait at once to be bound to a product    */
    uint32_t downlink_bytes_max;   /* unsent bytes above which a session takes no message   */
    uint32_t handshake_s_max, login_s_max;
    uint32_t stranger_s_max; /* who has not logged in may keep others out                   */
    uint32_t linger_ms_max;  /* for the peer to take our last bytes and hang up            */
    uint32_t send_s_max;     /* for the peer to take anything at all                       */
    uint32_t drain_s_max;    /* at a stop: for the disk and for the peers                  */
    uint32_t rate_frames_per_s, rate_burst, rate_over_s_max;
    uint32_t mismatch_delay_s, mismatch_delay_s_max;
    struct gw_session_limits limits;
    struct gw_shard_http_options http;
    uint64_t epoch; /* when this process's life of the log began, in us: session epochs count on */
    struct gw_ring_options ring;
    struct gw_shard_listener listeners[GW_SHARD_LISTENERS_MAX];
    uint32_t listener_count;
    struct gw_tls_context *tls; /* this shard's own, given away; NULL without TLS listeners   */
    struct gw_index *index;
    const struct gw_zones *zones; /* of all shards; NULL: no device's zone is known but UTC    */
    struct gw_lane *lane;
    struct gw_penalty_table *penalties;
    struct gw_lockout *lockout;  /* of all shards, of addresses; NULL: nobody is locked out    */
    struct gw_lockout *flapping; /* of all shards, of tokens; NULL: they log in as they like   */
    struct gw_values *values;    /* NULL: HARDWARE_SYNC brings nothing back */
    struct gw_binder *binder;    /* NULL: no device can be bound            */
    struct gw_audit *audit;      /* NULL: there is no audit log; this shard puts as its number */
};

struct gw_shard_metrics {
#define GW_METRIC(name, kind, help, advice) struct gw_counter name;
#include <gw/shard/metrics.def>
#undef GW_METRIC
    struct gw_counter closed[GW_CLOSE_REASONS];
};

/* What gw_shard_create will allocate for these options, in bytes: for the memory plan. */
uint64_t gw_shard_bytes(const struct gw_shard_options *options);
/* Of these, what one session takes: hot and cold part, partial login, share of the directory. */
uint32_t gw_shard_session_bytes(const struct gw_shard_options *options);

/* 0 or -errno. */
GW_MUST_USE int gw_shard_create(const struct gw_shard_options *options, struct gw_shard **out);
void gw_shard_destroy(struct gw_shard *shard); /* its thread has ended; NULL is fine */

/* Every shard of the process, this one among them; before gw_shard_begin. */
void gw_shard_peers_set(struct gw_shard *shard, struct gw_shard *const *shards);

/*
 * In the shard's own thread: gw_shard_begin makes the ring, gw_shard_listen starts to accept once
 * every peer has begun, then gw_shard_turn until it says false, then gw_shard_end.
 * gw_shard_turn takes one turn of the loop, waiting at most wait_ns_max for something to do.
 */
GW_MUST_USE int gw_shard_begin(struct gw_shard *shard, char *why, size_t why_bytes);
void gw_shard_listen(struct gw_shard *shard);
GW_MUST_USE bool gw_shard_turn(struct gw_shard *shard, uint64_t wait_ns_max);
void gw_shard_end(struct gw_shard *shard);

/* Any thread, once it has begun. */
void gw_shard_wake(struct gw_shard *shard);
/* A peak is over: gives back, in a turn without a receive under way, what it made grow. Any thread.
 */
void gw_shard_trim(struct gw_shard *shard);
/* Stop accepting, wait for the disk, close the sessions, end. Any thread. */
void gw_shard_stop(struct gw_shard *shard);
/* The index has changed; `newest` is gw_index_change_newest. Any one thread. */
void gw_shard_index_changed(struct gw_shard *shard, uint64_t newest);
/* New certificates for new sessions; the context is given away. Any one thread. */
void gw_shard_tls_set(struct gw_shard *shard, struct gw_tls_context *context);

const struct gw_shard_metrics *gw_shard_metrics(const struct gw_shard *shard);

/* For tests and simulations, from the shard's own thread. */

/* Asserts every invariant of the shard; walks everything. */
void gw_shard_check(const struct gw_shard *shard);
struct gw_ring *gw_shard_ring(const struct gw_shard *shard);
/*
 * How long nothing can happen that nobody wakes it for: what the next turn would wait. Every wake
 * that it needs was asked for.
 */
uint64_t gw_shard_sleep_ns(struct gw_shard *shard);
/* Devices with a live session, one a call; *cursor starts at 0. 0 after the last. */
uint32_t gw_shard_next_live(const struct gw_shard *shard, uint32_t *cursor);

#endif
