/*
 * A pretend device: connects, logs in, writes to its pins, asks for their last values, writes to
 * other devices, pings, leaves, comes back. It judges all that it is told:
 *
 *   - what a PING, or any answer that waits for the disk, covers is durable;
 *   - a token that was never unknown while it was asked for is not answered 9, one that was never
 *     good not 200; firmware that names its product is believed;
 *   - a value it did not ask for was written to this pin of its token over HTTP;
 *   - a value it asked for is not older than what it could know of, and comes before the answer to
 *     a PING behind the question;
 *   - what another device writes to it names it.
 */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include "ledger.h"
#include "wrapping.h"

enum { BRIDGES_MAX = 4, BRIDGED_PIN = 2, UNANSWERED_MAX = 48 };

/* Where a device, or a client, connects to, and what it draws from. */
struct surroundings {
    const struct world_tokens *tokens;
    struct ledger *ledger;
    struct chance *chance;
    struct gw_ring *const *rings;
    uint32_t ring_count;
};

/* A frame whose answer says that the first `covers` of the unanswered updates are durable. */
struct barrier {
    uint16_t id; /* 0: none waits */
    uint32_t covers;
};

/* A question for last values. */
struct sync {
    uint16_t id; /* 0: none, or it was answered     */
    bool pinged; /* a PING that waits came after it */
    uint64_t asked_ns;
    struct {
        bool asked, answered;
        uint32_t version; /* at least this one            */
        uint32_t own;     /* and this update, or a later one */
    } pins[PINS];
};

struct device {
    uint32_t number;                /* in the world, from 0 */
    uint32_t token;                 /* index in world_tokens; some devices share one */
    char text[GW_TOKEN_TEXT_BYTES]; /* as somebody typed it in; it may have been replaced since */
    uint32_t drawn;                 /* which one of its tokens that is */
    uint64_t asked_ns;              /* when all of its login was sent */
    struct wire wire;               /* to nowhere while it is away */
    uint64_t back_ns;               /* when it connects again */
    uint64_t deaf_until_ns;         /* it reads nothing before */
    bool stranger;                  /* never finishes a login */
    bool seals, wraps;              /* comes by TLS, by WebSocket */
    struct wrapping wrapping;
    bool logged_in;
    bool refused_for_good; /* told 9 */
    uint16_t next_id;
    uint32_t sent;                       /* updates on this connection */
    uint32_t unanswered[UNANSWERED_MAX]; /* their numbers, oldest first */
    uint32_t unanswered_count;
    uint32_t newest[PINS];          /* of this connection */
    uint32_t begun;                 /* the first update that was written since it is logged in */
    uint8_t heard[UPDATES_MAX / 8]; /* updates of others that this connection was told of */
    struct barrier ping, property;
    struct {
        uint16_t id; /* of the first that was not answered; 0: none */
        bool wrong;  /* one of this connection named another product */
    } info;
    struct sync sync;
    uint64_t named[BRIDGES_MAX];               /* by its bridges: a bit a token */
    uint64_t bridged, forwarded, synced, told; /* frames that it was sent        */
    uint8_t in[512];
    uint32_t in_bytes;
    uint8_t out[256]; /* what the last write did not take */
    uint32_t out_bytes;
};

/* Somebody types in the token that it has now. */
/* It has just said who it is, and waits for the answer. */
bool device_asks_to_be_let_in(const struct device *device);
void device_take_token(struct device *device, const struct world_tokens *tokens);
/* It is logged in, as far as it knows. */
bool device_is_served(const struct device *device);
/* What others have written last to a pin since it is logged in, it was told of. */
bool device_is_up_to_date(const struct device *device, const struct ledger *ledger, uint8_t pin);
void device_step(struct device *device, const struct surroundings *around);

#endif
