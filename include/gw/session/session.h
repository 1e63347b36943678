/*
 * The life of one device connection, without its input and output: events go in, a short to-do
 * list comes out. Calls nobody back, allocates nothing, knows no clock but what it is told.
 *
 *   FREE --> ACCEPTING --> HANDSHAKE --> LOGIN --> LIVE or HTTP
 *    ^           |             |           |           |
 *    |           +--(no TLS)---|---------->|           |
 *    |                                     +<-(WebSocket)-- HTTP
 *    +---- CLOSING <-----------+-----------+-----------+
 *
 *   ACCEPTING  the slot waits for a connection; no peer yet
 *   HANDSHAKE  TLS runs, or waits for its turn (no TLS state yet); handshake deadline
 *   LOGIN      the first frame must be a login; login deadline
 *   LIVE       device set, registered in the directory, heartbeat deadline
 *   HTTP       it began with a letter: requests, each with a token of its own; `device` is the
 *              newest one's, and not registered; a deadline for the request, or for the next one.
 *              One that asks for a WebSocket leads back to LOGIN, with WEBSOCKET set
 *   CLOSING    reason set (the first one wins), nothing new starts; last bytes get a short time,
 *              then everything is cancelled; FREE after the last completion
 *
 * Source of the rules: docs/protocol.md.
 */
#ifndef GW_SESSION_SESSION_H
#define GW_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/chunk.h>
#include <gw/base/defs.h>
#include <gw/base/timer_wheel.h>
#include <gw/journal/record.h>
#include <gw/token/details.h>
#include <gw/token/index.h>
#include <gw/wire/frame.h>
#include <gw/wire/internal.h>
#include <gw/zone/zone.h>

enum gw_close_reason {
    GW_CLOSE_NONE,
#define GW_CLOSE(name, fault, text) GW_CLOSE_##name,
#include <gw/session/close_reasons.def>
#undef GW_CLOSE
    GW_CLOSE_REASONS,
};

/* "heartbeat_lost": the log word and the metric label. */
const char *gw_close_reason_word(enum gw_close_reason reason);
const char *gw_close_reason_text(enum gw_close_reason reason);

enum gw_session_state {
    GW_SESSION_FREE,
    GW_SESSION_ACCEPTING,
    GW_SESSION_HANDSHAKE,
    GW_SESSION_LOGIN,
    GW_SESSION_LIVE,
    GW_SESSION_HTTP,
    GW_SESSION_CLOSING,
    GW_SESSION_STATES,
};

enum gw_session_flags {
    GW_SESSION_TLS = 1 << 0,          /* came in on a TLS listener                           */
    GW_SESSION_READABLE = 1 << 1,     /* the socket may hold bytes: only a recv clears it    */
    GW_SESSION_RECV = 1 << 2,         /* a recv is in flight                                 */
    GW_SESSION_SEND = 1 << 3,         /* a send is in flight                                 */
    GW_SESSION_POLL = 1 << 4,         /* the multishot poll is armed                         */
    GW_SESSION_PARKED = 1 << 5,       /* in a park list of the shard, waiting to read        */
    GW_SESSION_SLOWED = 1 << 6,       /* over its rate: reads again when its timer says so   */
    GW_SESSION_INFO_SEEN = 1 << 7,    /* the info frame came and named the right product     */
    GW_SESSION_PING_WAITS = 1 << 8,   /* cold.ping_id waits for the disk                     */
    GW_SESSION_REGISTERED = 1 << 9,   /* the directory was told; it must be told of the end  */
    GW_SESSION_ONLINE = 1 << 10,      /* an ONLINE record was written; OFFLINE is owed       */
    GW_SESSION_SHUT = 1 << 11,        /* CLOSING: our side of the stream is shut             */
    GW_SESSION_CANCELLED = 1 << 12,   /* CLOSING: operations were told to end                */
    GW_SESSION_CLOSED = 1 << 13,      /* CLOSING: the close was queued                       */
    GW_SESSION_GROUPED = 1 << 14,     /* between GROUP b/t and e                             */
    GW_SESSION_GROUP_TIME = 1 << 15,  /* the group's time came from the device               */
    GW_SESSION_PEER_GONE = 1 << 16,   /* end of stream or an error was read                  */
    GW_SESSION_HELD = 1 << 17,        /* frames wait for the info frame in cold.held         */
    GW_SESSION_GOODBYE = 1 << 18,     /* the peer ended TLS; what it said before comes first */
    GW_SESSION_SYNC_WAITS = 1 << 19,  /* a HARDWARE_SYNC waits for the disk, before the rest */
    GW_SESSION_BRIDGES = 1 << 20,     /* it has named devices to write to                    */
    GW_SESSION_SPEAKS_HTTP = 1 << 21, /* was in HTTP, and is in it or CLOSING               */
    GW_SESSION_WEBSOCKET = 1 << 22,   /* its frames are in WebSocket messages                */
    GW_SESSION_IDLE = 1 << 23,        /* not logged in, and waits, or is waited for          */
    GW_SESSION_GREETING = 1 << 24,    /* HANDSHAKE: its hello is not whole yet               */
    GW_SESSION_ANSWERED = 1 << 25,    /* HANDSHAKE: its hello was answered                   */
    GW_SESSION_ENDING = 1 << 26,      /* the poll told of an end that no recv has read yet   */
    GW_SESSION_SYNC_OWED = 1 << 27,   /* it said who it is, and is to get the marked values */
    GW_SESSION_BINDING = 1 << 28,     /* it named its product, and waits to be bound to it  */
    GW_SESSION_PROXIED = 1 << 29,     /* a PROXY header comes first                          */
    GW_SESSION_PROXY_TAKEN = 1 << 30, /* it was looked at, and is on its way out of the socket */
};

/* Of a connection that speaks HTTP: what stands between it and its next request. */
enum gw_session_http_flags {
    GW_SESSION_HTTP_ASKED = 1 << 0,   /* another shard was asked for the answer                */
    GW_SESSION_HTTP_BLOCKED = 1 << 1, /* the next answer must not overtake those that wait     */
    GW_SESSION_HTTP_LAST = 1 << 2,    /* it is to be closed after the answers that wait        */
    GW_SESSION_HTTP_HEAD = 1 << 3,    /* the answer asked for is one to HEAD                   */
    GW_SESSION_HTTP_PARTIAL = 1 << 4, /* part of a request is here, its deadline runs          */
    GW_SESSION_HTTP_LOOKED = 1 << 5,  /* its head was looked at, and its body may come         */
    GW_SESSION_HTTP_UNBOUND = 1 << 6, /* the device in front could not be bound: it is told so  */
};

/* What every event touches: one cache line. */
struct gw_session {
    _Alignas(64) struct gw_tls *tls; /* NULL for plain sessions and until the handshake begins */
    uint32_t generation;             /* which life of this slot                               */
    uint32_t device;                 /* number in the index; 0 until the login succeeded      */
    struct gw_chunk_queue rx;        /* a partial frame                                       */
    struct gw_chunk_queue tx;        /* bytes for the socket                                  */
    struct gw_timer_node timer;
    uint32_t alive_tick;  /* when the last byte came, in wheel ticks since the shard's start  */
    uint32_t flags;       /* enum gw_session_flags                                            */
    uint16_t idle_s;      /* silence that closes it                                           */
    uint8_t ops_inflight; /* operations whose last completion is yet to come                  */
    uint8_t state;        /* enum gw_session_state; gw_session_move writes it                 */
    uint8_t close_reason; /* enum gw_close_reason; written once, entering CLOSING             */
    union {
        uint8_t listener; /* before the login                                                 */
        uint8_t sync_at;  /* LIVE: how far the sync in front, or what is owed, was answered   */
    };
    uint16_t own_id;    /* counter for frames of ours, never 0                                */
    uint32_t send_tick; /* when the send in flight must have got somewhere                 */
};
_Static_assert(sizeof(struct gw_session) == 64, "one cache line: a million sessions are 64 MB");

/* Of numbers of batches of a lane, and logins of a shard: 34 years of a thousand a second. */
enum { GW_NUMBER_BITS = 40 };

/*
 * What is read at login, at close and for the rarer frames. A *tick* is one of the timer wheel's
 * (64 ms), since the shard's start; a deadline in ticks is never early and at most one late.
 */
struct gw_session_cold {
    uint64_t updates_at : GW_NUMBER_BITS; /* lane sequence that holds its newest record */
    uint64_t ping_id : 16;                /* newest PING that waits for the disk        */
    uint64_t product_flags : 8;
    uint64_t login : GW_NUMBER_BITS; /* which of the shard's: its epoch follows from it */
    uint64_t last_id : 16;           /* of the newest frame, for a status that answers no frame */
    uint64_t prelogin_bytes : 7;     /* of a partial login or request, in the shard's own array */
    uint64_t peer_is_v6 : 1;
    uint64_t rate_ns; /* when the frames taken so far are paid for, at the allowed rate */
    union {
        uint64_t group_us; /* LIVE: time of the members of the open group                     */
        struct {
            uint32_t need;  /* fewer bytes than this are no reason to look at the request again */
            uint16_t waits; /* answers that wait for the disk                                 */
            uint8_t flags;  /* enum gw_session_http_flags                                     */
        } http;
    };
    uint32_t deadline_tick; /* of the handshake, the login, the request or the held frames: in
                               LIVE always login_s_max after the login                        */
    union {
        uint32_t ping_tick;  /* LIVE: when the next PING of ours is due while one of theirs waits */
        uint32_t hello_tick; /* HANDSHAKE: when it began to wait for its turn                     */
        uint32_t http_done;  /* HTTP: points of the request under way that were recorded          */
    };
    uint32_t slow_tick; /* over its rate, and closed if it still is then; 0: it is not    */
    uint32_t sequence;  /* of the last record                                             */
    uint32_t product;
    uint32_t park_next; /* link in a park list                                        */
    uint32_t tx_bytes;  /* in the tx queue                                            */
    uint32_t token_tag; /* what logs may say of the token                             */
    union {
        struct {
            struct gw_chunk_queue held; /* LIVE: frames that wait for the info frame            */
            uint32_t token_generation;  /* LIVE: of the login's grant: is it still good?        */
        };
        struct {
            uint32_t next, prev; /* slots, in a list of the shard's                          */
            uint32_t since_tick; /* it has kept us waiting since then                        */
        } stranger;              /* with IDLE, GREETING or ANSWERED                          */
    };
    uint16_t buffer_bytes; /* "buff-in": no longer frame is ever sent to this device     */
    uint16_t peer_port;
    uint8_t peer[16]; /* network order; v4 in the first four bytes                            */
};
_Static_assert(sizeof(struct gw_session_cold) == 96, "planned bytes per session");

struct gw_session_limits {
    uint32_t frame_body_bytes_max;
    uint16_t heartbeat_default_s, heartbeat_min_s, heartbeat_max_s;
};

/* A login body is refused at its header above this. */
enum { GW_LOGIN_BODY_BYTES_MAX = 64 };

/* The longest body of ours: "meta", the name of a field and its value, each behind a NUL. */
enum {
    GW_SESSION_ANSWER_BYTES_MAX = 4 + 1 + GW_FIELD_NAME_BYTES_MAX + 1 + GW_FIELD_VALUE_BYTES_MAX
};

/* What a device takes that has told no "buff-in": a frame with a body of 250 bytes. */
enum { GW_SESSION_BUFFER_BYTES_DEFAULT = GW_FRAME_HEADER_BYTES + 250 };

/*
 * What one event asks of the shard, in the order in which it is done: ask, publish, answer, close.
 */
struct gw_session_todo {
    enum {
        GW_ASK_NOTHING,
        GW_ASK_LOGIN,   /* look `asked` up as a token, then gw_session_login            */
        GW_ASK_PRODUCT, /* is `asked` the session's product? then gw_session_info       */
        GW_ASK_VALUES,  /* `asked` is a HARDWARE_SYNC's body: the values that it names  */
        GW_ASK_ZONE,    /* what is the device's time zone? then gw_session_time         */
        GW_ASK_FIELD,   /* what is its metadata field `asked`? then gw_session_field    */
        GW_ASK_EVENT,   /* has its product other events than `asked`? then
                           gw_session_event_unknown; else what is said here is done     */
        GW_ASK_BRIDGE,  /* do what the body `asked` says; answer and status are yours   */
    } ask;
    struct gw_bytes asked;
    bool publish; /* `record` lacks epoch, sequence and device: the shard's             */
    struct gw_record record;
    enum {
        GW_ANSWER_NONE,
        GW_ANSWER_NOW,     /* RESPONSE `status` to msg_id                                     */
        GW_ANSWER_DURABLE, /* the same, once every record of the session is durable           */
        GW_ANSWER_PING,    /* the same, but only the newest waiting one is given              */
        GW_ANSWER_BODY,    /* INTERNAL with `body`, same id                                   */
    } answer;
    uint16_t msg_id; /* 0: nothing may be answered                                            */
    uint16_t status;
    struct gw_bytes body;
    bool hold;                  /* keep the frame until the info frame came                   */
    enum gw_close_reason close; /* after the answer                                           */
};

/* Sole writer of s->state; asserts that the machine has this edge. */
void gw_session_move(struct gw_session *s, enum gw_session_state to);
/* Asserts what the picture above says of each state. */
void gw_session_check(const struct gw_session *s);
bool gw_session_may_move(enum gw_session_state from, enum gw_session_state to);

/* Largest body that the next frame may announce. */
uint32_t gw_session_body_bytes_max(const struct gw_session *s,
                                   const struct gw_session_limits *limits);

/* May this byte begin a device's stream? Otherwise the reason to close. */
enum gw_close_reason gw_session_first_byte(uint8_t byte);
/* Does it begin a request? Only asked of the first byte: what speaks HTTP does so to its end. */
bool gw_session_is_http(uint8_t byte);

/* A frame arrived in LOGIN or LIVE. */
void gw_session_frame(struct gw_session *s, struct gw_session_cold *cold,
                      const struct gw_session_limits *limits, const struct gw_frame *frame,
                      uint64_t wall_us, struct gw_session_todo *todo);

/* The answer to GW_ASK_LOGIN: moves to LIVE when granted. */
void gw_session_login(struct gw_session *s, struct gw_session_cold *cold,
                      const struct gw_session_limits *limits, uint16_t msg_id, enum gw_login answer,
                      const struct gw_grant *grant, struct gw_session_todo *todo);

/*
 * What gw_index_recheck said of a live session's grant: to be closed, unless it is still good, or
 * nothing is known, which takes nothing away.
 */
void gw_session_rechecked(const struct gw_session_cold *cold, enum gw_login login,
                          const struct gw_grant *grant, struct gw_session_todo *todo);

/* The answer to GW_ASK_PRODUCT, for the info frame that asked. */
void gw_session_info(struct gw_session *s, struct gw_session_cold *cold,
                     const struct gw_session_limits *limits, const struct gw_frame *frame,
                     bool product_matches, struct gw_session_todo *todo);

/*
 * The answer to GW_ASK_ZONE, for the "rtc" or "utc" frame that asked. `zone` NULL: the device has
 * one that this machine knows nothing of, and gets what can be told without. Both write the body
 * into `out`, on loan to `todo`.
 */
void gw_session_time(const struct gw_frame *frame, const struct gw_zone *zone, uint64_t wall_us,
                     uint8_t out[GW_SESSION_ANSWER_BYTES_MAX], struct gw_session_todo *todo);

/* The answer to GW_ASK_FIELD: `value` NULL when the device has no such field. */
void gw_session_field(const struct gw_session_cold *cold, struct gw_bytes name,
                      const struct gw_bytes *value, uint8_t out[GW_SESSION_ANSWER_BYTES_MAX],
                      struct gw_session_todo *todo);

/* The answer to GW_ASK_EVENT, when the product has events, and not this one. */
void gw_session_event_unknown(struct gw_session_todo *todo);

/* ceil(2.3 * heartbeat), the heartbeat clamped to the limits first. */
uint16_t gw_session_idle_s(const struct gw_session_limits *limits, int64_t heartbeat_s);

#endif
