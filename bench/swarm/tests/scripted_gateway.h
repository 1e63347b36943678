/*
 * A gateway, a broker or a web server that does what a script says, in a thread of this process, in
 * plain: what a program that loads it must have counted is then known.
 */
#ifndef SCRIPTED_GATEWAY_H
#define SCRIPTED_GATEWAY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PINS = 256, PEERS_MAX = 64, LATE_UPDATES = 9, LATE_ACKS_MAX = 4 };

/* What it does. */
struct script {
    uint16_t login_status;
    unsigned pongs;      /* PINGs it answers on each connection; then it stays silent      */
    unsigned frames;     /* frames after which it hangs up; 0: never                       */
    bool speaks_id_zero; /* sends a frame no device accepts                                */
    bool byte_by_byte;   /* answers in single bytes, each in a segment of its own          */
    bool tells;          /* writes to pins of whoever has sent its info frame              */
    bool is_broker;      /* speaks MQTT                                                    */
    const char *http;    /* answers requests with this; NULL: it speaks no HTTP             */
    uint8_t connack;     /* MQTT: the return code for a CONNECT                            */
    unsigned late_acks;  /* MQTT: acknowledges so many once LATE_UPDATES came, then no more */
};

struct scripted_peer {
    int fd;
    size_t bytes;
    unsigned pongs, frames;
    unsigned updates, asked;
    uint8_t acks[LATE_ACKS_MAX][4]; /* the first PUBACKs */
    uint8_t in[65536];
};

struct scripted_gateway {
    struct script script;
    int listener;
    uint16_t port;
    pthread_t thread;
    atomic_bool stop;
    uint64_t updates;                  /* received, over all connections */
    uint64_t of_pin[PINS];             /* the same by pin, in the device protocol */
    uint64_t asked, goodbyes, strange; /* MQTT: PUBLISH with QoS 1, DISCONNECTs, all else; HTTP:
                                          requests, and of these others than were expected */
    struct scripted_peer peers[PEERS_MAX];
};

/* On a port of its own, gateway->port. Fails the test when it cannot. */
void scripted_gateway_start(struct scripted_gateway *gateway, struct script script);
/* Then what it has counted may be read. */
void scripted_gateway_stop(struct scripted_gateway *gateway);

#endif
