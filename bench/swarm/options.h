/*
 * What the command line said, checked.
 */
#ifndef SWARM_OPTIONS_H
#define SWARM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <gw/base/defs.h>

struct swarm_dialect;

enum swarm_mode {
    SWARM_HOLD,     /* connect and stay, with heartbeats                 */
    SWARM_PUBLISH,  /* the same, with pin writes at a total rate         */
    SWARM_LOGIN,    /* connect, log in, close, again and again           */
    SWARM_STORM,    /* everyone at the same moment                       */
    SWARM_MIXED,    /* a fleet on an ordinary day: updates, reconnects   */
    SWARM_REVOKE,   /* hold, and tokens are taken away                   */
    SWARM_OVERLOAD, /* some stay, all others log in without end          */
};

struct swarm_options {
    enum swarm_mode mode;
    const char *host, *port;
    struct sockaddr_storage address; /* of host and port */
    socklen_t address_bytes;
    bool tls, insecure, allow_remote, quiet;
    const struct swarm_dialect *dialect; /* what the devices speak */
    const char *ca;
    uint16_t tls_version_min, tls_version_max; /* as on the wire: 0x0303, 0x0304 */
    const char *tokens, *product;
    uint32_t devices;     /* 0: as many as there are tokens                                   */
    uint32_t pin, pins;   /* they write these, in turn: `pin` and those that follow           */
    uint32_t value_bytes; /* 0: as short as a stamped value can be                            */
    uint32_t threads;     /* 0: as many as descriptors require                                */
    uint32_t sources;     /* addresses 127.x.y.z to connect from; 0: as many as ports require */
    uint32_t ping_every;  /* updates of a device between two barriers; 0: heartbeats only     */
    uint32_t heartbeat_s, give_up_s, back_off_s;
    double rate;        /* updates or logins a second, all devices together; 0 unlimited    */
    double ramp;        /* new connections a second                                         */
    uint32_t gather_us; /* a thread that has nothing due sleeps so long before it looks again */
    double at_once;     /* ramp: attempts under way at most; 0: any number. < 0: one second of it */
    double interval_s;  /* mixed: between two updates of a device                           */
    double churn;       /* mixed: connections lost and made again a second                  */
    bool drop;          /* storm: of a fleet that was up and is cut off                      */
    const char *congestion; /* control of TCP; NULL: the system's                            */
    const char *restart;    /* storm: a folder in which to agree on a restart of the gateway   */
    uint32_t resume;        /* percent of the devices that come back with their session ticket */
    double seconds;         /* measured, after the ramp; 0: until a signal. storm: its patience */
    const char *index; /* revoke: the gateway's                                                */
    uint32_t revoke;   /* revoke: how many of the devices lose their tokens                    */
    uint32_t settled;  /* overload: devices that come up before, and stay                      */
    double times;      /* overload: the attempts a second that are offered, in capacities      */
    const char *json, *ledger, *told;
    pid_t gateway_pid;        /* 0: not watched                                                   */
    uint64_t empty_rss_bytes; /* of the gateway made for no sessions; 0: not known          */
    uint64_t planned_bytes;   /* what the gateway means to spend on a session; 0: not known */
    const char *commit;       /* what the result says was measured; or NULL                 */
};

/*
 * argv[0] is the subcommand. 0, or the exit code after the reason was printed: 64 for a usage
 * error, 69 when the host cannot be found, -1 when help was asked for and given (exit 0).
 */
GW_MUST_USE int swarm_options_parse(int argc, char **argv, struct swarm_options *out);

/* Do the devices come up one by one before anything is measured? */
bool swarm_has_ramp(const struct swarm_options *options);

/* Do devices log in only to leave again? */
bool swarm_comes_and_goes(const struct swarm_options *options);

void swarm_usage(bool to_stderr);

#endif
