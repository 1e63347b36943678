/*
 * What the servers have in common: connections, and what is done with bytes that came.
 */
#ifndef WAYS_SERVER_INTERNAL_H
#define WAYS_SERVER_INTERNAL_H

#include <sys/socket.h>

#include "ways.h"

struct connection {
    uint64_t stamp;  /* when the client sent the message that is being taken     */
    uint32_t got;    /* bytes of it                                              */
    uint32_t owed;   /* answers that wait for the one that is being sent         */
    uint32_t unsent; /* bytes of the answer that is being sent, not yet taken    */
    int fd;          /* epoll only                                               */
    bool sending, reading, readable;
};

struct server {
    const struct ways_way *way;
    const struct ways_load *load;
    struct ways_board *board;
    struct connection *connections;
    uint8_t *answers; /* load->bytes for each connection; echo only */
    uint64_t now_ns;  /* of this turn                               */
    uint64_t taken;   /* messages of this turn                      */
    bool measuring;
    int listener;
};

/* Ends the process, telling that the kernel does not have it. */
GW_NORETURN void server_refuse(struct server *sv, const char *what, int err);
/* Ends it because something failed that should not. */
GW_NORETURN void server_fail(const char *what, int err);
/* To be called when a wait is over. */
void server_turn_begin(struct server *sv);
void server_turn_end(struct server *sv);
/* Takes what came; how many messages became whole by it. */
GW_MUST_USE uint32_t server_take(struct server *sv, struct connection *c, const uint8_t *data,
                                 uint32_t bytes);
/* The answer to the last message, stamped; load->bytes of it. */
uint8_t *server_answer(struct server *sv, struct connection *c);

GW_NORETURN void serve_ring(struct server *sv);
GW_NORETURN void serve_epoll(struct server *sv);

#endif
