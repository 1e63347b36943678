/*
 * A device's connection: a non-blocking socket, in plain or under TLS. What a thread's connections
 * share (the TLS context, the buffers) is one swarm_links; an idle connection owns a descriptor,
 * its TLS state (160 to 224 bytes, as the gateway's own) and nothing else. A backlog exists only
 * while the socket takes nothing more.
 *
 * Everything here belongs to the thread that created the swarm_links.
 */
#ifndef SWARM_LINK_H
#define SWARM_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

#include "options.h"

struct swarm_links;
struct gw_tls;
struct gw_tls_ticket;
struct swarm_backlog;

struct swarm_link {
    int fd; /* -1: closed */
    bool established;
    bool answered;                 /* something has come                         */
    bool resumes;                  /* asks for a ticket, and comes back with it  */
    struct gw_tls *tls;            /* NULL in plain                              */
    struct swarm_backlog *backlog; /* bytes the socket did not take, or NULL     */
    struct gw_tls_ticket *ticket;  /* of an earlier connection, or NULL          */
};

#define SWARM_LINK_CLOSED ((struct swarm_link){.fd = -1})

enum swarm_link_result {
    SWARM_LINK_WANT,        /* nothing more for now                                 */
    SWARM_LINK_DATA,        /* *plaintext holds bytes, until the next call          */
    SWARM_LINK_ENDED,       /* the peer has closed                                  */
    SWARM_LINK_RESET,       /* the connection broke                                 */
    SWARM_LINK_REFUSED,     /* nobody listens                                       */
    SWARM_LINK_UNREACHABLE, /* it could not be made                                 */
    SWARM_LINK_CERTIFICATE, /* the peer's certificate was not accepted              */
    SWARM_LINK_TLS,         /* TLS failed otherwise                                 */
};

/* For at most `links_max` at once. False with a reason in `why`. */
GW_MUST_USE bool swarm_links_create(const struct swarm_options *options, uint32_t links_max,
                                    struct swarm_links **out, char *why, size_t why_bytes);
void swarm_links_destroy(struct swarm_links *links); /* every link closed; NULL is fine */

/*
 * Begins to connect, from source address number `source` (0: the system's choice). 0 or -errno; the
 * connection is still being made when it returns.
 */
GW_MUST_USE int swarm_link_open(struct swarm_links *links, struct swarm_link *link,
                                uint32_t source);

/* The socket became writable for the first time: did the connection come about (WANT)? */
GW_MUST_USE enum swarm_link_result swarm_link_connected(struct swarm_link *link);

/* An event came for this link: swarm_link_read may be called for it now. */
void swarm_link_begin(struct swarm_links *links, const struct swarm_link *link);

/*
 * Moves the link forward: sends what waits, shakes hands, reads. Returns WANT also when the
 * handshake has just ended: `link->established` then says that frames may be written, and reading
 * goes on after that. Otherwise call it until it is not DATA. `ended`: the poll said that the peer
 * hung up, so a short read is not the end of what there is to see.
 */
GW_MUST_USE enum swarm_link_result swarm_link_read(struct swarm_links *links,
                                                   struct swarm_link *link, bool ended,
                                                   struct gw_bytes *plaintext);

/* Sends what an earlier write left. Anything but WANT: the link has failed. */
GW_MUST_USE enum swarm_link_result swarm_link_flush(struct swarm_links *links,
                                                    struct swarm_link *link);

/* May more be written? False while a slow peer leaves too much behind. */
bool swarm_link_has_room(const struct swarm_link *link);

enum { SWARM_LINK_WRITE_BYTES_MAX = 4160 };

/* At most so many bytes, one TLS record. False: the link has failed. */
GW_MUST_USE bool swarm_link_write(struct swarm_links *links, struct swarm_link *link,
                                  struct gw_bytes plaintext);

/* `politely`: with a close_notify. Does nothing on a closed link. The ticket stays. */
void swarm_link_close(struct swarm_links *links, struct swarm_link *link, bool politely);
void swarm_link_forget_ticket(struct swarm_link *link);

/* How the handshake went; all empty in plain. */
struct swarm_link_facts {
    uint16_t version; /* 0x0303 or 0x0304                     */
    bool resumed;     /* by a ticket                          */
    uint16_t bytes;   /* of memory; 0: it has an SSL object   */
};
struct swarm_link_facts swarm_link_facts(const struct swarm_link *link);

/* Why the last CERTIFICATE or TLS result came, for a person; static or until the next call. */
const char *swarm_links_failure(const struct swarm_links *links);

#endif
