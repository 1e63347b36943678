/*
 * The shard's data and the parts of its loop. Every function here runs in the shard's thread.
 *
 *   shard.c      the loop, timers, start and stop
 *   accept.c     listeners to sessions
 *   proxied.c    the header with which a trusted proxy begins
 *   admit.c      who may begin a TLS handshake, and when
 *   strangers.c  who has not logged in, and makes room when there is none
 *   receive.c    socket to plaintext to frames
 *   frames.c     frames to records, answers, closes: does what the session's to-do list says
 *   asks.c       what frames ask of the index besides logins: time zone, metadata, events
 *   http.c       HTTP connections: requests out of plaintext
 *   http_serve.c    who asks, may he, and what he asks for is done
 *   http_answers.c  answers, and their order
 *   http_route.c    which endpoint a request is for: a table
 *   http_params.c   what stands in a query, and records in the making
 *   http_writes.c   requests to be recorded, read
 *   http_questions.c   requests that ask something, read
 *   http_points.c   values with times of their own, out of a batch
 *   http_numbers.c  which pin or field it means, where it gave a number
 *   http_check.c    does it suit the product's datastreams and events?
 *   http_values.c   last values as bodies of answers
 *   http_forward.c  what is written over HTTP, to the connected device
 *   websocket.c  devices whose frames come in WebSocket messages: between receive.c and frames.c
 *   http_challenge.c   answers to ACME, out of a folder
 *   answers.c    answers that wait for the disk
 *   sync.c       last values for a device that asks for them, or comes online
 *   pin_values.c what value a pin has: the last written, or its datastream's initial one
 *   send.c       answers to records of TLS to the socket
 *   retire.c     close as a join: from the first reason to a free slot
 *   audit.c      what the audit log is told of sessions
 *   directory.c  where each device that this shard owns is connected
 *   mail.c       messages between shards
 *   gate.c       addresses that are locked out, tokens that log in too often
 *   revoke.c     changes of the token index, to sessions that live
 *   downlink.c   frames to devices on any shard, and what became of them
 *   owed.c       pins whose values a device is told later
 *   written.c    what is written to a device by others, in the log
 *   bridge.c     devices that write to other devices
 *   binding.c    devices that are yet to be bound to their product
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
#include <gw/websocket/handshake.h>
#include <gw/websocket/stream.h>
#include <gw/wire/body.h>

#include "directory.h"
#include "http_internal.h"
#include "pin_values.h"

/* ---- mail ---- */

struct mail {
    enum {
        MAIL_CLAIM,
        MAIL_RELEASE,
        MAIL_EVICT,
        MAIL_REFUSE,
        MAIL_RECHECK,
        MAIL_ASK,
        MAIL_TELL,
    } kind;
    union {
        uint32_t judged_by;  /* CLAIM: the newest change that the login knew of, its low bits */
        uint32_t changed_ms; /* RECHECK: when the change was made: wall time, its low bits    */
        bool connected;      /* TELL: what ASK wanted to know                                 */
    };
    uint32_t at_us;     /* CLAIM: when the login was granted: monotonic time, its low bits */
    struct place place; /* ASK, TELL: the device, and who asks                             */
};
_Static_assert(sizeof(struct mail) == 28, "there are MAIL_PER_PAIR for each pair of shards");

/* What the owner remembers of the newest claim of a device. */
struct heard_claim {
    uint32_t device; /* 0: none */
    uint32_t at_us;
    struct gw_instant heard;
};

/* The live session that was meant, or NULL: it has closed. */
struct gw_session *live_at(const struct gw_shard *sh, const struct place *place);
/* To the shard of mail->place; it waits here when that one's queue is full. */
void mail_send_late(struct gw_shard *sh, const struct mail *mail);
/* Sends, or handles at once when it is for this shard. False: that queue is full, try next turn. */
GW_MUST_USE bool mail_send(struct gw_shard *sh, uint32_t shard, const struct mail *mail);
void mail_read_all(struct gw_shard *sh);
/* While false, many answers are late: nothing is to be begun that could need one. */
bool mail_has_room(const struct gw_shard *sh);
/* Is there something to do that is known of? */
bool mail_is_due(const struct gw_shard *sh);
/* The same, looking into every box. */
bool mail_waits(const struct gw_shard *sh);

/* ---- the shard ---- */

/* The devices that one session writes to. */
struct bridge_set {
    uint32_t slot; /* the session's */
    uint32_t count;
    uint32_t devices[GW_BRIDGES_MAX];     /* by the number that it gave them; 0: none */
    uint32_t generations[GW_BRIDGES_MAX]; /* of the tokens that they were named by    */
};

/* A look at every session and every bridge: is what was granted still good? */
struct sweep {
    bool asked; /* to begin one, after the one under way */
    bool running;
    uint32_t asked_ms;      /* when the change was made that asks first, as in MAIL_RECHECK */
    uint32_t changed_ms;    /* of the one under way                                         */
    uint32_t slot, bridges; /* the next session, and the bridges left                       */
    uint32_t looked, closed, untold;
    struct gw_instant begun;
};

/* Of a session with WEBSOCKET. What is kept of its input ends with bytes that are not unwrapped. */
struct websocket {
    struct gw_websocket stream;
    uint32_t wrapped_bytes;
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

/* What a connection that has not logged in keeps us waiting for: strangers.c. */
enum stranger_kind { STRANGER_IDLE, STRANGER_GREETING, STRANGER_ANSWERED, STRANGER_KINDS };

/* Linked both ways by cold.stranger. */
struct stranger_list {
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
    HEARD_CLAIMS = 256,
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
    struct websocket *websockets;            /* likewise                                       */
    struct gw_slab chunks;
    struct gw_timer_wheel wheel;
    struct gw_instant start;
    uint32_t live_count, http_count, websocket_count, open_count, handshake_count, accepting_count;
    uint64_t login_count;   /* for epoch_of */
    uint64_t written_epoch; /* of records of what others wrote to our devices */
    uint32_t written_sequence;

    /* work that waits */
    struct slot_list lane_parked;   /* for room in the lane or among the answers              */
    struct slot_list asked_parked;  /* for messages to a device                               */
    bool asked_resumes;             /* the first of them goes on                              */
    struct slot_list buffer_parked; /* for a receive buffer                                   */
    struct slot_list hellos;        /* for their handshake to begin                           */
    uint64_t handshake_ns;          /* of the processor until our flight, as of the last ones */
    uint32_t handshakes_answered;
    struct stranger_list strangers[STRANGER_KINDS];
    struct slot_list retiring; /* closed, but still owing a record or a message          */
    uint32_t receives_inflight;
    struct waiting_answer *answers; /* a ring */
    uint32_t answers_mask, answers_head, answers_tail;
    bool flush_urgent; /* somebody waits for the lane's open batch               */
    uint32_t accepting[GW_SHARD_LISTENERS_MAX]; /* accepts queued per listener                 */
    struct gw_slab accept_peers;                /* of struct accept_peer                       */
    struct gw_instant accept_retry;             /* none before this, after an error            */

    struct directory directory;
    struct heard_claim heard_claims[HEARD_CLAIMS]; /* by device; a later device takes the place */
    struct gw_spsc *mailboxes;                     /* from each shard; this shard pops */
    struct mail mail_late[MAIL_LATE_MAX];
    uint32_t mail_late_count;
    bool mail_arrived; /* woken since the boxes were last looked into, or there was too much     */
    struct gw_inbox downlinks; /* of struct gw_downlink, from anybody                             */
    struct bridge_set *bridges; /* [0, bridge_count) are in use */
    uint32_t bridge_count;
    struct gw_slab asked; /* those of this shard's own asking, wherever they are             */
    struct owed *owed;    /* [0, owed_count) are in use                                      */
    uint32_t owed_count;
    struct gw_instant owed_look; /* when they are looked at again */
    struct gw_inbox bound;       /* of struct gw_binding, answered                              */
    struct gw_slab bindings;     /* wherever they are                                           */

    /* changes of the index */
    uint64_t changes_seen;           /* every change up to this one was acted upon           */
    uint32_t changed_ms;             /* when the newest of them was made, as in MAIL_RECHECK */
    struct gw_instant changes_retry; /* not read before this, after an error                 */
    struct sweep sweep;
    struct gw_instant sweep_retry; /* for what could not be told; 0: nothing               */

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
    _Atomic bool trim_asked;
    _Atomic(struct gw_tls_context *) tls_next;
    _Atomic uint64_t changes_told; /* there is this change                               */
    _Atomic bool sweep_told;       /* a peer missed changes of devices that may be here  */
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

static inline struct gw_shard *shard_at(const struct gw_shard *sh, uint32_t number)
{
    return sh->peers == NULL ? (struct gw_shard *)sh : sh->peers[number];
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
enum {
    NOT_READ_NOW =
        GW_SESSION_PARKED | GW_SESSION_SLOWED | GW_SESSION_SYNC_WAITS | GW_SESSION_BINDING
};

static inline bool has(const struct gw_session *s, uint32_t flag)
{
    return (s->flags & flag) != 0;
}

/* accept.c */
void accept_start(struct gw_shard *sh);
void accept_refill(struct gw_shard *sh);
void accept_stop(struct gw_shard *sh);
void on_accept(struct gw_shard *sh, struct gw_session *s, const struct gw_completion *c);
/* Is there a listener without a slot for the next connection? */
bool accept_is_starved(const struct gw_shard *sh);

/* strangers.c */
/* It has just begun to keep us waiting for this. */
void stranger_waits(struct gw_shard *sh, struct gw_session *s, enum stranger_kind kind);
/* It is none any more; nothing happens when it was none. */
void stranger_is_known(struct gw_shard *sh, struct gw_session *s);
/* Ends the handshake that has kept us waiting longest. False: none has for long enough. */
GW_MUST_USE bool strangers_end_handshake(struct gw_shard *sh);
/* Closes those who have held a slot for long enough, as many as accepts can be queued. */
void strangers_free_slots(struct gw_shard *sh);
/* How long until one of these is worth another try; UINT64_MAX when nobody wants room. */
uint64_t strangers_due_ns(const struct gw_shard *sh);

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
/* One that began has its answer, at this price of the processor. */
void handshake_took(struct gw_shard *sh, uint64_t ns);
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

/* gate.c */
/* Is it refused whatever it brings? */
bool is_shut_out(const struct gw_shard *sh, const struct gw_session *s);
/* Its token is unknown. True: that is not what it is to be told, for it is locked out. */
bool fail_token(struct gw_shard *sh, const struct gw_session *s, uint32_t token_tag);
/* Its token is good. True: it has been used so often that the device must wait. */
bool is_flapping(struct gw_shard *sh, const struct gw_session *s, uint32_t device);

/* asks.c */
/* Of the device. NULL: it has one, and the machine's tz database does not; or it cannot be read. */
const struct gw_zone *zone_of(struct gw_shard *sh, uint32_t device);
/* These do what todo->ask says, for a frame of a live session. */
void tell_time(struct gw_shard *sh, const struct gw_session *s, const struct gw_frame *frame,
               struct gw_session_todo *todo);
void tell_field(struct gw_shard *sh, const struct gw_session *s, struct gw_session_todo *todo);
void check_event(struct gw_shard *sh, const struct gw_session *s, struct gw_session_todo *todo);
/* Of a login of this shard: unique for ever. */
uint64_t epoch_of(const struct gw_shard *sh, uint64_t login);

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
void http_over_rate(struct gw_shard *sh, struct gw_session *s);
/* Is it we who are late? */
bool http_is_ours(const struct gw_shard *sh, const struct gw_session *s);
void http_on_timer(struct gw_shard *sh, struct gw_session *s);
/* I1: may strangers take chunks for so many bytes? */
bool chunks_may_take(const struct gw_shard *sh, size_t bytes);

/* http_serve.c: a request that is whole, or whose head is. False: it has to wait, and is looked at
   again. */
GW_MUST_USE bool http_serve(struct gw_shard *sh, struct gw_session *s,
                            const struct gw_http_request *request, struct gw_bytes body);
/* It is one for a WebSocket. */
GW_MUST_USE bool http_upgrade(struct gw_shard *sh, struct gw_session *s,
                              const struct gw_http_request *request);
/* Its body is not here: who will be refused anyway need not send it, and who waits to be asked for
   it is asked. */
void http_look_at_head(struct gw_shard *sh, struct gw_session *s,
                       const struct gw_http_request *request);
/* The device that is named in front was bound to its product, or not. */
void http_bound(struct gw_shard *sh, struct gw_session *s, enum gw_binding_result result);

/* http_answers.c */
struct http_answer {
    uint16_t status;
    const char *type; /* NULL: no body */
    struct gw_bytes body;
    const char *allow;
    bool preflight;
    bool head;                   /* the request was HEAD                  */
    bool last;                   /* the connection closes after it        */
    enum gw_close_reason reason; /* with `last` */
};

/* I1: may an answer be given now? If not, the next one that waits and is given resumes. */
GW_MUST_USE bool http_may_answer(struct gw_session_cold *cold);
void http_respond(struct gw_shard *sh, struct gw_session *s, const struct http_answer *answer);
/* {"error":{"message":"..."}}, or the message alone as old servers had it. */
void http_respond_refusal(struct gw_shard *sh, struct gw_session *s, struct http_answer answer,
                          const char *message, bool legacy);
void http_refuse_and_close(struct gw_shard *sh, struct gw_session *s, uint16_t status,
                           const char *message, enum gw_close_reason reason);
/* For an answer that comes later. */
void http_remember(struct gw_session_cold *cold, const struct http_answer *answer);
/* An answer that waited may be given. */
void http_give(struct gw_shard *sh, struct gw_session *s);
/* As remembered: is the device, or are users of an app, connected? */
void http_answer_connected(struct gw_shard *sh, struct gw_session *s, bool connected);
/* The owner of a device tells whether it is connected. */
void http_told(struct gw_shard *sh, const struct place *asker, bool connected);

/* http_forward.c: a pin write that was recorded, of the device that the session speaks for */
void http_forward(struct gw_shard *sh, const struct gw_session *s, const struct gw_record *record);

/* websocket.c */
/* The request was judged 101: it is answered, and what follows it are messages. */
void websocket_begin(struct gw_shard *sh, struct gw_session *s,
                     const struct gw_http_request *request);
/* So many bytes behind that request are here. */
void websocket_follows(struct gw_shard *sh, struct gw_session *s, size_t bytes);
/*
 * Unwraps the last `fresh` bytes of `in`, which is sh->joined, and what was kept wrapped before
 * them. In its place; gives how many bytes at the end of *in are wrapped still.
 */
size_t websocket_unwrap(struct gw_shard *sh, struct gw_session *s, size_t fresh,
                        struct gw_bytes *in);
/* Closes it when its peer has said its last, and all of that was taken that could be. */
void websocket_end_if_told(struct gw_shard *sh, struct gw_session *s);
/* Our Close. */
void websocket_say_close(struct gw_shard *sh, struct gw_session *s);

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
/* Are there chunks for what can wait? Beyond that they are left to what cannot. */
bool may_tell(const struct gw_shard *sh);
/* Not for the disk: the sends under way bring some back. */
bool answers_wait_for_chunks(const struct gw_shard *sh);
/* Asks the lane for a wake when the oldest can be given; false: it can be given now. */
bool answers_ask_for_wake(struct gw_shard *sh);
/* From now on the device hears a PING of ours every 4 s, until it may be answered or read again. */
void ping_meanwhile(struct gw_shard *sh, struct gw_session *s);
void ping_on_timer(struct gw_shard *sh, struct gw_session *s);

/* sync.c */
/* Answers GW_ASK_VALUES. False: not now, or not all of it: the frame is to be taken again. */
GW_MUST_USE bool answer_sync(struct gw_shard *sh, struct gw_session *s,
                             const struct gw_session_todo *todo);
/*
 * Pays GW_SESSION_SYNC_OWED: sends the values of the pins that are marked for it. False: not all of
 * them yet, nothing of the session is taken before, and on_send comes back.
 */
bool give_marked(struct gw_shard *sh, struct gw_session *s);
struct pin_source pins_of(const struct gw_shard *sh, uint32_t device, uint32_t product);
/* Among the replies, as a write to the pin; msg_id 0: the session numbers it. */
enum value_said { VALUE_SAID, VALUE_TOO_BIG, VALUE_NO_ROOM };
enum value_said say_value(struct gw_shard *sh, struct gw_session *s, uint16_t msg_id,
                          const struct gw_value *value);

/* send.c */
/* What goes before a frame of so many bytes, to be followed by it: a header, in a WebSocket. */
void begin_reply(struct gw_shard *sh, const struct gw_session *s, size_t bytes);
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
    uint8_t recorded_as;       /* see struct gw_downlink                                          */
    uint64_t kept_at;          /* the same, of this shard's lane                                  */
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
/* May a request over HTTP ask for so many at once, all of which are taken then? If not, it parks,
   and those that came first go on first. */
GW_MUST_USE bool may_ask_for_downlinks(const struct gw_shard *sh, uint32_t count);
void park_for_downlinks(struct gw_shard *sh, struct gw_session *s);
/* Those that waited, as far as there is room for any. */
void resume_for_downlinks(struct gw_shard *sh);
/* What has come; from now on the mail that came before it is looked into. */
struct gw_inbox_item *downlinks_take(struct gw_shard *sh);
void downlinks_handle(struct gw_shard *sh, struct gw_inbox_item *items);
/* Of a message in the pool. */
uint32_t downlink_slot_bytes(const struct gw_shard_options *options);
/* For frames to the device that answer none of its own; never 0. */
uint16_t next_own_id(struct gw_session *s);

/* owed.c */
uint64_t owed_bytes(const struct gw_shard_options *options);
/* The device takes nothing more now: the pin is noted, and told later. False: it is not. */
GW_MUST_USE bool owe(struct gw_shard *sh, const struct gw_session *s,
                     const struct gw_downlink *downlink);
/* A message that goes out before what is noted. False: it must not. */
GW_MUST_USE bool may_overtake_owed(struct gw_shard *sh, const struct gw_session *s,
                                   const struct gw_downlink *downlink);
void forget_owed(struct gw_shard *sh, const struct gw_session *s);
/* Tells what is noted, where there is room for it by now. */
void pay_owed(struct gw_shard *sh);
/* How long that can wait. */
uint64_t owed_due_ns(const struct gw_shard *sh);

/* written.c: false when the log has no room for it */
GW_MUST_USE bool record_written(struct gw_shard *sh, struct gw_downlink *downlink);

/* bridge.c */
void do_bridge(struct gw_shard *sh, struct gw_session *s, struct gw_session_todo *todo);
/* Takes away targets that are no longer to be written to; how many could not be told. */
uint32_t recheck_bridges_to(struct gw_shard *sh, uint32_t device);
uint32_t recheck_bridge_set(struct gw_shard *sh, uint32_t number, uint32_t *looked);
/* Its targets, if it has any. */
void forget_bridges(struct gw_shard *sh, struct gw_session *s);
uint64_t bridge_bytes(const struct gw_shard_options *options);

/* revoke.c */
/* Acts upon changes of the index that were told of, as many as a turn may. Before anything is read
   of devices, and while no transaction of the index is open. */
void follow_changes(struct gw_shard *sh);
/* How long that can wait. */
uint64_t changes_due_ns(const struct gw_shard *sh);
/* Is the grant of the session at this place still good? */
void recheck_place(struct gw_shard *sh, const struct place *place, uint32_t changed_ms);
/* The low bits of the newest change that this turn's answers of the index are judged by. */
uint32_t judged_by(struct gw_shard *sh);

/* binding.c */
/* An info frame names the session's product. False: it is not taken now, for the device has to be
   bound first, or it was refused. */
GW_MUST_USE bool bind_product(struct gw_shard *sh, struct gw_session *s,
                              const struct gw_session_todo *todo);
/* Asks for the device, which is of `product`, to be bound to the one named. 0: an answer comes;
   else the status that says why not. */
GW_MUST_USE uint16_t ask_binding(struct gw_shard *sh, const struct gw_session *s, uint32_t device,
                                 uint32_t product, struct gw_bytes named);
/* The session's device is of the product of this grant from now on. */
void adopt_product(struct gw_session_cold *cold, const struct gw_grant *grant);
/* What has been answered. */
void bindings_handle(struct gw_shard *sh);

/* audit.c */
/* It is being closed, for s->close_reason, out of the state that it has, `ms` after what gave cause
   (0: at once). */
void audit_close(struct gw_shard *sh, const struct gw_session *s, uint32_t ms);
/* The token of a request was judged. */
void audit_http(struct gw_shard *sh, const struct gw_session *s, enum gw_login login);

/* retire.c */
/* Begins to close; the first reason wins. What was replied before is still sent. */
void close_session(struct gw_shard *sh, struct gw_session *s, enum gw_close_reason reason);
/* The same, `ms` after what gave cause to it, for the audit log. */
void close_session_after(struct gw_shard *sh, struct gw_session *s, enum gw_close_reason reason,
                         uint32_t ms);
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
