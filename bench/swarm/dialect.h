/*
 * What a device says, as bytes, and what the other end's bytes mean to it. Three dialects: the
 * device protocol of the gateway; its HTTP, for clients that keep their connections; and
 * MQTT 3.1.1, with which the same devices load a broker at the same rates. Pure functions of their
 * arguments; any thread.
 *
 * A device knows frames only: the others' answers are translated to the RESPONSE that means the
 * same.
 */
#ifndef SWARM_DIALECT_H
#define SWARM_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>
#include <gw/wire/frame.h>

enum {
    SWARM_WRITE_BYTES_MAX = 4160,
    /* What the largest stock client takes; MQTT's answers are shorter. */
    SWARM_BODY_BYTES_MAX = 4096,
    SWARM_LOGIN_ID = 1,
};

/* Who speaks, as far as it is said. */
struct swarm_speaker {
    struct gw_bytes token;
    uint32_t device;     /* counts over all fleets */
    const char *product; /* or NULL                */
    uint32_t heartbeat_s, pin;
};

/*
 * Writers put at most `capacity` bytes at `out` and return how many; SWARM_WRITE_BYTES_MAX is room
 * for an update and a ping behind it.
 */
struct swarm_dialect {
    const char *word;
    /* An update can ask for its own acknowledgement; otherwise a ping behind it does. */
    bool acknowledges_updates;
    /* The id that answers to pings carry: nothing else may have it, but the login, which is long
       answered. 0: pings are numbered with all else. */
    uint16_t ping_id;

    size_t (*put_login)(uint8_t *out, size_t capacity, const struct swarm_speaker *speaker);
    /* Follows a granted login, which is complete when it was answered. NULL: nothing follows. */
    size_t (*put_info)(uint8_t *out, size_t capacity, uint16_t id,
                       const struct swarm_speaker *speaker);
    /* NULL: it publishes nothing. */
    size_t (*put_update)(uint8_t *out, size_t capacity, uint16_t id, bool acknowledge,
                         const struct swarm_speaker *speaker, struct gw_bytes value);
    size_t (*put_ping)(uint8_t *out, size_t capacity, uint16_t id,
                       const struct swarm_speaker *speaker);
    /* Before a live session is closed. NULL: nothing is said. */
    size_t (*put_goodbye)(uint8_t *out, size_t capacity);
    /* As gw_frame_decode with SWARM_BODY_BYTES_MAX. */
    enum gw_status (*decode)(struct gw_bytes in, struct gw_frame *out, size_t *used);
};

extern const struct swarm_dialect swarm_dialect_device, swarm_dialect_http, swarm_dialect_mqtt;

#endif
