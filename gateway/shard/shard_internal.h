/*
 * The shard's data and the parts of its loop. Every function here runs in the shard's thread.
 *
 *   shard.c      the loop, timers, start and stop
 *   accept.c     listeners to sessions
 *   proxied.c    the header with which a trusted proxy begins
 *   admit.c      who may begin a TLS handshake, and when
 *   receive.c    socket to plaintext to frames
 *   frames.c     frames to records, answers, closes: does what the session's to-do list says
 *   asks.c       what frames ask of the index besides logins: time zone, metadata, events
 *   http.c       HTTP connections: requests out of plaintext, answers in their order
 *   http_api.c   what the requests of devices mean: a table of endpoints
 *   http_points.c   values with times of their own, out of a batch
 *   http_check.c    does it suit the product's datastreams and events?
 *   http_values.c   last values as bodies of answers
 *   http_forward.c  what is written over HTTP, to the connected device
 *   answers.c    answers that wait for the disk
 *   sync.c       last values for a device that asks for them
 *   send.c       answers to records of TLS to the socket
 *   retire.c     close as a join: from the first reason to a free slot
 *   audit.c      what the audit log is told of sessions
 *   directory.c  where each device that this shard owns is connected
 *   mail.c       messages between shards
 *   downlink.c   frames to devices on any shard, and what became of them
 *   bridge.c     devices that write to other devices
 */
#ifndef GW_SHARD_SHARD_INTERNAL_H
#define GW_SHARD_SHARD_INTERNAL_H

#include <stdatomic.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/base/chunk.h>
#include <gw/base/slab.h>
#include <gw/base/spsc.h>
#include <gw/base/timer_wheel.h>
#include <gw/shard/downlink.h>
#include <gw/shard/shard.h>
#include <gw/wire/body.h>

#include "http_internal.h"

/* ---- directory: where the devices that this shard owns are connected ---- */

struct place {
    uint32_t device; /* 0: nowhere */
    uint32_t shard, slot;
    uint32_t generation; /* as operations carry it: GW_OP_GENERATION_BITS of the slot's */
};

/* A place, packed: there are more of these than sessions. */
struct directory_cell {
    uint32_t device; /* 0: an empty cell */
    uint32_t slot;
    uint32_t shard : 8;
    uint32_t generation : GW_OP_GENERATION_BITS;
};
_Static_assert(GW_SHARDS_MAX <= 1 << 8, "a shard's number has 8 bits");

struct directory {
    struct directory_cell *cells; /* open addressing, linear probing */
    uint32_t cell_count;
    uint32_t count, count_max;
};

/* What is mapped for so many entries. */
uint64_t directory_bytes(uint32_t entries_max);
GW_MUST_USE int directory_init(struct directory *directory, uint32_t entries_max);
void directory_fini(struct directory *directory);
/*
 * Puts the device's new place and gives the one it had (device 0 if none). False: full, nothing
 * changed.
 */
GW_MUST_USE bool directory_claim(struct directory *directory, struct place place,
                                 struct place *before);
/* Where the device is; device 0: nowhere. */
struct place directory_find(const struct directory *directory, uint32_t device);
/* Forgets the device if it is still at this place; a late release of an old life changes nothing.
 */
void directory_release(struct directory *directory, struct place place);

/* ---- mail ---- */

struct mail {
    enum { MAIL_CLAIM, MAIL_RELEASE, MAIL_EVICT, MAIL_REFUSE, MAIL_ASK, MAIL_TELL } kind;
    bool connected;     /* TELL: what ASK wanted to know                                       */
    struct place place; /* ASK, TELL: the device, and who asks                             */
};

/* Sends, or handles at once when it is for this shard. False: that queue is full, try next turn. */
GW_MUST_USE bool mail_send(struct gw_shard *sh, uint32_t shard, const struct mail *mail);
void mail_read_all(struct gw_shard *sh);
/* Is there something to do that is known of? */
bool mail_is_due(const struct gw_shard *sh);
/* The same, looking into every box. */
bool mail_waits(const struct gw_shard *sh);

/* ---- the shard ---- */

/* The devices that one session writes to. */
struct bridge_set {
    uint32_t slot; /* the session's */
    uint32_t count;
    uint32_t devices[GW_BRIDGES_MAX]; /* by the number that it gave them; 0: none */
};

enum waiting_kind {
    WAITING_STATUS,
    WAITING_PING, /* give cold.ping_id, the newest                  */
    WAITING_SYNC, /* read on: the sync in front can be answered now */
    WAITING_HTTP, /* an empty 200                                   */
};

/* An answer that waits until `sequence` of the lane is durable. */
struct waiting_answer {
    uint64_t sequence;
    uint32_t slot, generation;
    uint16_t msg_id, status;
    enum waiting_kind kind;
};

/* Sessions that wait for the same thing, linked by cold.park_next; PARKED while in one. */
struct slot_list {
    uint32_t head, tail, count;
};

#define SLOT_LIST_EMPTY ((struct slot_list){.head = GW_NONE, .tail = GW_NONE})

struct accept_peer {
    struct sockaddr_storage address;
    socklen_t bytes;
};

enum {
    PLAIN_BYTES_MAX = GW_TLS_PLAINTEXT_BYTES_MAX,
    REPLY_BYTES_MAX = GW_TLS_PLAINTEXT_BYTES_MAX,
    /* A partial login: its header and less than the largest body. */
    PRELOGIN_BYTES_MAX = GW_FRAME_HEADER_BYTES + GW_LOGIN_BODY_BYTES_MAX,
    /* What take_frames may see at once: held frames, a partial frame, one receive, and the records
       of TLS that it completes; gw_shard_create checks it against the parameters. */
    JOINED_BYTES_MAX = 1 << 20,
    MAIL_PER_PAIR = 1024,
    MAIL_LATE_MAX = 256,
};

struct gw_shard {
    struct gw_shard_options options;
    struct gw_ring *ring;
    struct gw_index_reader *reader;
    struct gw_values_reader *values; /* NULL: last values are off */
    struct gw_lane *lane;
    struct gw_tls_context *tls;
    struct gw_shard *const *peers; /* all shards; NULL while there is only this one */

    /* sessions: three parallel arrays, one slot number */
    struct gw_slab sessions; /* of struct gw_session */
    struct gw_session_cold *cold;
    uint8_t (*prelogin)[PRELOGIN_BYTES_MAX]; /* partial logins; pages are touched when used    */
    struct gw_slab chunks;
    struct gw_timer_wheel wheel;
    struct gw_instant start;
    uint32_t live_count, http_count, open_count, handshake_count, accepting_count;
    uint64_t login_count; /* for session epochs */

    /* work that waits */
    struct slot_list lane_parked;   /* for room in the lane or among the answers              */
    struct slot_list buffer_parked; /* for a receive buffer                                   */
    struct slot_list hellos;        /* for their handshake to begin                           */
    struct slot_list retiring;      /* closed, but still owing a record or a message          */
    uint32_t receives_inflight;
    struct waiting_answer *answers; /* a ring */
    uint32_t answers_mask, answers_head, answers_tail;
    bool flush_urgent; /* somebody waits for the lane's open batch               */
    uint32_t accepting[GW_SHARD_LISTENERS_MAX]; /* accepts queued per listener                 */
    struct gw_slab accept_peers;                /* of struct accept_peer                       */
    struct gw_instant accept_retry;             /* none before this, after an error            */

    struct directory directory;
    struct gw_spsc *mailboxes; /* from each shard; this shard pops */
    struct mail mail_late[MAIL_LATE_MAX];
    uint32_t mail_late_count;
    bool mail_arrived; /* woken since the boxes were last looked into, or there was too much     */
    struct gw_inbox downlinks; /* of struct gw_downlink, from anybody                             */
    struct bridge_set *bridges; /* [0, bridge_count) are in use */
    uint32_t bridge_count;
    struct gw_slab asked; /* those of this shard's own asking, wherever they are             */

    /* stop */
    enum { SHARD_SERVING, SHARD_DRAINING, SHARD_CLOSING, SHARD_ENDED } phase;
    struct gw_instant drain_deadline;
    bool listening;

    /* scratch of one turn, never holding anything between sessions */
    uint8_t plain[PLAIN_BYTES_MAX];
    uint8_t joined[JOINED_BYTES_MAX];
    uint8_t replies[REPLY_BYTES_MAX];
    uint8_t answer[GW_SESSION_ANSWER_BYTES_MAX];
    uint32_t reply_bytes;
    const struct gw_session *fed; /* its input is being worked on: it sends when that is done */
    bool rescan; /* take_frames put bytes into s->rx that come before what it left */
    uint8_t cipher[GW_TLS_OUT_BYTES_MAX];
    struct http_call call; /* the request that is being answered */
    /* Of a request whose body came in chunks, or of its answer: who sends a body asks nothing. */
    uint8_t content[HTTP_CONTENT_BYTES_MAX];

    struct gw_shard_metrics metrics;

    /* from other threads */
    _Atomic bool stop_asked;
    _Atomic(struct gw_tls_context *) tls_next;
};

#define COUNT(sh, name)        gw_counter_add(&(sh)->metrics.name, 1)
#define COUNT_BY(sh, name, by) gw_counter_add(&(sh)->metrics.name, (by))
#define GAUGE(sh, name, value) gw_counter_set(&(sh)->metrics.name, (value))

static inline struct gw_session *session_at(const struct gw_shard *sh, uint32_t slot)
{
    return (struct gw_session *)gw_slab_at(&sh->sessions, slot);
}

static inline uint32_t slot_of(const struct gw_shard *sh, const struct gw_session *s)
{
    return (uint32_t)(((const uint8_t *)s - sh->sessions.slots) / sizeof *s);
}

static inline struct gw_session_cold *cold_of(const struct gw_shard *sh, const struct gw_session *s)
{
    return &sh->cold[slot_of(sh, s)];
}

static inline struct gw_instant now_of(const struct gw_shard *sh)
{
    return gw_ring_now(sh->ring);
}

#define TICK_NS (GW_TIMER_TICK_MS * GW_NS_PER_MS)

static inline uint32_t tick_of(const struct gw_shard *sh)
{
    return (uint32_t)(gw_ns_between(sh->start, now_of(sh)) / TICK_NS);
}

/* The first tick that begins `ns` from now or later. */
static inline uint32_t tick_after(const struct gw_shard *sh, uint64_t ns)
{
    return (uint32_t)((gw_ns_between(sh->start, now_of(sh)) + ns + TICK_NS - 1) / TICK_NS);
}

static inline uint64_t ns_of_tick(const struct gw_shard *sh, uint32_t tick)
{
    return sh->start.ns + tick * TICK_NS;
}

/* While one of these is set nothing is read of the session, and it is resumed by whoever clears it.
 */
enum { NOT_READ_NOW = GW_SESSION_PARKED | GW_SESSION_SLOWED | GW_SESSION_SYNC_WAITS };

static inline bool has(const struct gw_session *s, uint32_t flag)
{
    return (s->flags & flag) != 0;
}

/* accept.c */
void accept_start(struct gw_shard *sh);
void accept_refill(struct gw_shard *sh);
void accept_stop(struct gw_shard *sh);
void on_accept(struct gw_shard *sh, struct gw_session *s, const struct gw_completion *c);

/* proxied.c */
/* Is its address one that begins with a PROXY header? */
bool comes_from_proxy(const struct gw_shard *sh, const struct gw_session *s);
/* The recv of a session that is PROXIED, and what it brought. */
void read_proxy_header(struct gw_shard *sh, struct gw_session *s);
void on_proxy_header(struct gw_shard *sh, struct gw_session *s, const struct gw_completion *c);

/* admit.c */
/* It has spoken. */
void wait_for_handshake(struct gw_shard *sh, struct gw_session *s);
/* Begins handshakes of those who spoke, as many as a turn and the shard allow. */
void admit_handshakes(struct gw_shard *sh);
/* Could one begin now? */
bool may_admit(const struct gw_shard *sh);

/* In HANDSHAKE: it waits for its turn, and nothing of it has been read. */
static inline bool waits_for_handshake(const struct gw_session *s)
{
    return s->state == GW_SESSION_HANDSHAKE && s->tls == NULL;
}

/* receive.c */
void on_poll(struct gw_shard *sh, struct gw_session *s, const struct gw_completion *c);
void on_recv(struct gw_shard *sh, struct gw_session *s, const struct gw_completion *c);
/* Reads if there is something to read and nothing speaks against it; otherwise parks. */
void try_receive(struct gw_shard *sh, struct gw_session *s);
/* The peer has left, or is treated as if it had: nothing more is said to it. */
void peer_gone(struct gw_shard *sh, struct gw_session *s, enum gw_close_reason reason);
/* Takes what was kept, then reads. */
void resume_reading(struct gw_shard *sh, struct gw_session *s);
/* Reads again for whoever waits for room or buffers, as far as there is some. */
void resume_parked(struct gw_shard *sh);
/* It is over its rate: nothing more is taken until its timer says so. */
void slow_down(struct gw_shard *sh, struct gw_session *s);
void unslow(struct gw_shard *sh, struct gw_session *s);
/* Is it within its rate? If not, it was slowed. */
bool within_rate(struct gw_shard *sh, struct gw_session *s);
/* One frame, or request, was taken. */
void charge_rate(struct gw_shard *sh, struct gw_session *s);
/* What was kept of its input. */
void forget_input(struct gw_shard *sh, struct gw_session *s);
/* Bytes wait to be taken before any that are yet to be read. */
bool has_kept(const struct gw_shard *sh, const struct gw_session *s);
void slot_list_push(struct gw_shard *sh, struct slot_list *list, uint32_t slot);
uint32_t slot_list_pop(struct gw_shard *sh, struct slot_list *list);

/* frames.c */
/* Takes every whole frame of `in`; returns how many bytes they were. */
size_t take_frames(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in);
void publish_record(struct gw_shard *sh, struct gw_session *s, struct gw_record *record);
/* Could the records of a frame of the largest size be appended? */
bool lane_has_room(const struct gw_shard *sh);
/* The lane is full: the session is not read before it has room. */
void park_for_lane(struct gw_shard *sh, struct gw_session *s);

/* asks.c: do what todo->ask says, for a frame of a live session */
void tell_time(struct gw_shard *sh, const struct gw_session *s, const struct gw_frame *frame,
               struct gw_session_todo *todo);
void tell_field(struct gw_shard *sh, const struct gw_session *s, struct gw_session_todo *todo);
void check_event(struct gw_shard *sh, const struct gw_session *s, struct gw_session_todo *todo);
/* Numbers of logins: unique for ever. */
uint64_t next_epoch(struct gw_shard *sh);

/* http.c */
/* The connection's first byte was a letter. */
void http_begin(struct gw_shard *sh, struct gw_session *s);
/* Takes every whole request of `in` that may be taken; returns how many bytes they were. */
size_t http_take(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in);
/* Keeps what was not taken. */
void http_keep(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in);
/* True: the request cannot be whole yet, or may not be taken; `in` was put behind what is kept. */
bool http_gathers(struct gw_shard *sh, struct gw_session *s, struct gw_bytes in);
/* Nothing more is to be read before an answer was given. */
bool http_must_wait(const struct gw_shard *sh, const struct gw_session *s);
/* An answer that waited may be given. */
void http_give(struct gw_shard *sh, struct gw_session *s);
/* The owner of a device tells whether it is connected. */
void http_told(struct gw_shard *sh, const struct place *asker, bool connected);
void http_over_rate(struct gw_shard *sh, struct gw_session *s);
void http_on_timer(struct gw_shard *sh, struct gw_session *s);

/* http_forward.c: a pin write that was recorded, of the device that the session speaks for */
void http_forward(struct gw_shard *sh, const struct gw_session *s, const struct gw_record *record);

/* answers.c */
void answer_http_when_durable(struct gw_shard *sh, struct gw_session *s);
void answer_when_durable(struct gw_shard *sh, struct gw_session *s, uint16_t msg_id,
                         uint16_t status);
void answer_ping(struct gw_shard *sh, struct gw_session *s, uint16_t msg_id);
/* Its newest record is not durable yet: the frame in front is taken again when it is. */
void wait_for_sync(struct gw_shard *sh, struct gw_session *s);
/* Gives what has become durable. */
void give_durable_answers(struct gw_shard *sh);
bool answers_have_room(const struct gw_shard *sh);
bool answers_wait(const struct gw_shard *sh);
/* Asks the lane for a wake when the oldest can be given; false: it can be given now. */
bool answers_ask_for_wake(struct gw_shard *sh);
/* From now on the device hears a PING of ours every 4 s, until it may be answered or read again. */
void ping_meanwhile(struct gw_shard *sh, struct gw_session *s);
void ping_on_timer(struct gw_shard *sh, struct gw_session *s);

/* sync.c */
/* Answers GW_ASK_VALUES. False: not now, or not all of it: the frame is to be taken again. */
GW_MUST_USE bool answer_sync(struct gw_shard *sh, struct gw_session *s,
                             const struct gw_session_todo *todo);

/* send.c */
void reply_status(struct gw_shard *sh, struct gw_session *s, uint16_t msg_id, uint16_t status);
void reply_frame(struct gw_shard *sh, struct gw_session *s, const struct gw_frame *frame);
/* Protects the replies of this turn as one record and sends them. */
void flush_replies(struct gw_shard *sh, struct gw_session *s);
/* Queues protected (or plain) bytes for the socket. */
void queue_bytes(struct gw_shard *sh, struct gw_session *s, struct gw_bytes bytes);
void start_send(struct gw_shard *sh, struct gw_session *s);
void on_send(struct gw_shard *sh, struct gw_session *s, const struct gw_completion *c);

/* downlink.c */
/* Who asked: a session of this shard. */
struct downlink_origin {
    uint32_t slot, generation; /* it may have closed when the result comes                        */
    uint32_t tag;              /* the asker's own, to tell its questions apart                    */
    void (*done)(struct gw_shard *sh, const struct downlink_origin *origin,
                 enum gw_downlink_result result);
};

/*
 * Sends a frame to a device, wherever it is connected; msg_id 0: its session numbers it. UNDER_WAY:
 * origin->done is called with the result, in a later step of this shard's. TOO_BIG, BUSY: refused
 * at once, nothing comes. The body is copied.
 */
GW_MUST_USE enum gw_downlink_result downlink_send(struct gw_shard *sh,
                                                  const struct downlink_origin *origin,
                                                  uint32_t device, const struct gw_frame *frame);
/* What has come; from now on the mail that came before it is looked into. */
struct gw_inbox_item *downlinks_take(struct gw_shard *sh);
void downlinks_handle(struct gw_shard *sh, struct gw_inbox_item *items);
/* Of a message in the pool. */
uint32_t downlink_slot_bytes(const struct gw_shard_options *options);
/* For frames to the device that answer none of its own; never 0. */
uint16_t next_own_id(struct gw_session_cold *cold);

/* bridge.c */
void do_bridge(struct gw_shard *sh, struct gw_session *s, struct gw_session_todo *todo);
/* Its targets, if it has any. */
void forget_bridges(struct gw_shard *sh, struct gw_session *s);
uint64_t bridge_bytes(const struct gw_shard_options *options);

/* audit.c */
/* It is being closed, for s->close_reason, out of the state that it has. */
void audit_close(struct gw_shard *sh, const struct gw_session *s);
/* The token of a request was judged. */
void audit_http(struct gw_shard *sh, const struct gw_session *s, enum gw_login login);

/* retire.c */
/* Begins to close; the first reason wins. What was replied before is still sent. */
void close_session(struct gw_shard *sh, struct gw_session *s, enum gw_close_reason reason);
/* Moves a closing session on: shut, linger, cancel, close, free. Call after each completion. */
void retire_if_quiet(struct gw_shard *sh, struct gw_session *s);
/* Its OFFLINE record, if one is owed and the lane has room. */
void tell_offline(struct gw_shard *sh, struct gw_session *s);
void retire_stuck(struct gw_shard *sh);

/* shard.c: the session's one timer goes off at `ns` or before; on_timer sees what is due. */
void arm_by(struct gw_shard *sh, struct gw_session *s, uint64_t ns);
/* HANDSHAKE, LOGIN: closed unless it has got further within `seconds`. */
void set_deadline(struct gw_shard *sh, struct gw_session *s, uint32_t seconds);

static inline uint64_t rate_frame_ns(const struct gw_shard *sh)
{
    return GW_NS_PER_S / sh->options.rate_frames_per_s;
}

static inline uint64_t rate_burst_ns(const struct gw_shard *sh)
{
    return sh->options.rate_burst * rate_frame_ns(sh);
}

#endif
