/*
 * The process as a whole: what main.c starts, watches and stops.
 *
 *   main.c      the command line
 *   plan.c      parameters to shards, bytes and descriptors; refuses what cannot be held
 *   listen.c    listening sockets, one per shard and address
 *   gateway.c   threads: start, control loop, reload, stop
 *   certificates.c  of every shard, loaded or loaded again
 *   reload.c    what is read again, because of a signal or because it has changed
 *   audited.c   what the control thread tells the audit log
 *   confined.c  what the process gives up once it has what it needs
 *   values.c    last values: open, and what the log says of it
 *   tickets.c   the keys of session tickets: from their file, or drawn and rotated here
 *   commands.c  what is asked on the control socket, and sent to devices
 *   locked.c    addresses that are locked out: the table, and commands about it
 *   provision.c devices to be bound to their product, to the process that writes the index
 *   pages.c     /metrics, /livez, /readyz
 */
#ifndef GW_APP_GATEWAY_INTERNAL_H
#define GW_APP_GATEWAY_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include <gw/app/admin.h>
#include <gw/app/config.h>
#include <gw/app/control.h>
#include <gw/audit/audit.h>
#include <gw/journal/writer.h>
#include <gw/shard/shard.h>
#include <gw/tls/ticket.h>
#include <gw/uplink/uplink.h>
#include <gw/values/values.h>
#include <gw/zone/zone.h>

enum { WHY_BYTES = 512 };

/* Exit codes, after sysexits.h. */
enum {
    EXIT_OK = 0,
    EXIT_USAGE = 2,
    EXIT_UNAVAILABLE = 69, /* the kernel lacks something, or the index is missing */
    EXIT_INTERNAL = 70,
    EXIT_SYSTEM = 71,
    EXIT_BUSY = 75, /* another gateway holds the log: trying again later may help */
    EXIT_PERMISSION = 77,
    EXIT_CONFIG = 78,
};

/* ---- plan.c ---- */

struct plan {
    uint32_t shards;
    uint64_t sessions;
    uint32_t session_bytes;   /* of one session in our own arrays, with its TLS keys            */
    uint64_t shard_bytes;     /* one shard's pools, its TLS context's among them                */
    uint64_t lane_bytes;      /* one shard's batches                                            */
    uint64_t values_bytes;    /* for last values; 0 without them                                */
    uint64_t lockout_bytes;   /* for addresses that have failed, tokens that log in too often  */
    uint64_t total_bytes;     /* of all shards, the values and the lock-out                     */
    uint64_t kernel_bytes;    /* what the kernel takes for as many sockets, about               */
    uint64_t descriptors_max; /* RLIMIT_NOFILE, which also bounds each ring's table             */
};

/* 0, or an exit code with `why` naming the limit that is in the way. */
int plan_make(const struct gw_config *config, struct plan *out, char *why);
void plan_log(const struct plan *plan);
struct gw_ring_options plan_ring(const struct gw_config *config);
struct gw_shard_options plan_shard(const struct gw_config *config, const struct plan *plan,
                                   uint32_t number);

/* ---- listen.c ---- */

struct listener {
    struct gw_address address; /* with the port that was bound */
    bool tls;
    int *fds; /* one per shard */
};

struct listeners {
    uint32_t count, shards;
    struct listener rows[GW_CONFIG_LISTENERS_MAX];
};

/* 0, or an exit code with `why` naming address and port. On failure nothing stays open. */
int listeners_open(const struct gw_config *config, uint32_t shards, struct listeners *out,
                   char *why);
void listeners_close(struct listeners *listeners);

/* ---- what reload.c looks at ---- */

enum { WATCH_FILES_MAX = 4 };

struct file_stamp {
    uint64_t device, number, bytes;
    int64_t modified_ns, changed_ns;
};

/* Files that belong together, and what they were when they were last read. */
struct watch {
    const char *paths[WATCH_FILES_MAX];
    size_t count;
    bool changed; /* since they were read: `seen` is what they were at the last look */
    struct file_stamp known[WATCH_FILES_MAX], seen[WATCH_FILES_MAX];
};

/* ---- gateway.c ---- */

struct gateway;

struct shard_thread {
    struct gateway *gateway;
    struct gw_shard *shard;
    pthread_t thread;
    bool started;
    int err; /* of gw_shard_begin */
    char why[WHY_BYTES];
    _Atomic bool ended;   /* by itself, or because it was stopped */
    uint64_t turns_seen;  /* at the last beat          */
    uint32_t beats_still; /* beats in a row in which it did not turn */
};

struct gateway {
    const struct gw_config *config;
    struct plan plan;
    struct listeners listeners;
    struct gw_index *index;
    struct gw_index_reader *reader; /* of the control thread */
    struct gw_zones *zones;         /* NULL: no tz database  */
    struct gw_journal_writer *writer;
    struct gw_journal_recovery recovery;
    struct gw_values *values; /* NULL: they are off */
    struct gw_uplink *uplink;
    struct gw_penalty_table *penalties;
    struct gw_lockout *lockout, *flapping;
    struct shard_thread *threads;
    struct gw_shard **shards;
    struct gw_audit *audit; /* NULL: there is no audit log */
    struct gw_admin *admin;
    struct commands *commands;   /* NULL: no control socket    */
    struct provision *provision; /* NULL: nobody binds devices */
    struct gw_tls_leaf rsa_leaf, ec_leaf;
    struct gw_ticket_keys *ticket_keys; /* NULL: nobody resumes */
    bool ticket_keys_old;               /* and reported         */
    struct watch certificate_files, ticket_files;
    uint64_t reloads, reloads_refused; /* of certificates and of ticket keys */
    sem_t begun, go;
    int signal_fd;
    bool draining;
    bool index_replaced;         /* and reported */
    uint64_t changes_told;       /* newest change of the index that the shards know of            */
    int landlock;                /* its version; 0: files are not confined */
    uint64_t handshakes_seen;    /* done, at the last beat                                */
    uint64_t handshakes_trimmed; /* and when memory was last given back                   */
    struct gw_instant started;
};

/* Runs until a signal ends it; returns an exit code. */
int gateway_run(const struct gw_config *config);

/* ---- certificates.c ---- */

/* The same certificates and `ticket_keys` (or NULL) for each of `count` shards. 0, or an exit code
   with `why`. */
int gateway_tls_create(const struct gw_config *config, struct gw_ticket_keys *ticket_keys,
                       struct gw_tls_context **out, uint32_t count, char *why);
bool gateway_has_tls(const struct gw_config *config);
/* Those in use. */
void certificates_log(const struct gateway *g);
/* The files again, all of them, or those in use stay, and it is false. `cause`: for the log. */
bool certificates_reload(struct gateway *g, const char *cause);

/* ---- reload.c ---- */

/* Before anything is read that can be read again. */
void reload_init(struct gateway *g);
/* At once; `cause`: for the log. */
void reload(struct gateway *g, const char *cause);
/* Once a second: what has changed, and has stayed the same since. */
void reload_if_changed(struct gateway *g);

/* ---- audited.c ---- */

/* g->audit is NULL when none is configured. 0, or an exit code with `why`. */
int audit_create(struct gateway *g, char *why);
/* Words that are "" are left out. */
void audit_tell(const struct gateway *g, enum gw_audit_kind kind, const char *reason,
                const char *subject, const char *detail);
/* Of each certificate in use. */
void audit_certificates(const struct gateway *g, enum gw_audit_kind kind, const char *reason);
void audit_command(const struct gateway *g, const char *command, uint32_t device,
                   const char *result);

/* ---- confined.c ---- */

/* Each 0, or an exit code with `why`. The ports are bound: from here on as the configured user. */
int confine_identity(const struct gw_config *config, char *why);
/* Everything is open or made, and no thread runs. */
int confine_files(struct gateway *g, char *why);
/* Every thread runs and every ring is made. */
int confine_calls(struct gateway *g, char *why);

/* ---- values.c ---- */

/* The log is open and nothing was written to it. 0, or an exit code with `why`. */
int values_open(struct gateway *g, char *why);

/* ---- tickets.c ---- */

/* The ring that is configured: its file, or one drawn here. 0, or an exit code with `why`. */
int tickets_create(const struct gw_config *config, struct gw_ticket_keys **out, char *why);
/* Is there a ring, and does it come from a file? */
bool tickets_have_file(const struct gateway *g);
/* The file again, whole, or the ring in use stays, and it is false. `cause`: for the log. */
bool tickets_reload(struct gateway *g, const char *cause);
/* Now and then: rotates a ring that was drawn here, reports one from a file that nobody rotates. */
void tickets_tend(struct gateway *g);

/* ---- commands.c ---- */

enum { COMMANDS_FDS_MAX = GW_CONTROL_FDS_MAX + 1 };

/* *out is NULL when no socket is configured. 0, or an exit code with `why`; destroy it either way.
 */
int commands_create(struct gateway *g, struct commands **out, char *why);
/* Once the shards' threads have ended. NULL is fine. */
void commands_destroy(struct commands *commands);
/* At most COMMANDS_FDS_MAX rows, and what they lead to; see gw/app/control.h. */
size_t commands_fds(const struct commands *commands, struct gw_instant now, struct pollfd *fds);
void commands_step(struct commands *commands, struct gw_instant now, const struct pollfd *fds,
                   size_t count);

/* ---- locked.c ---- */

/* 0, or an exit code with `why`. */
int lockout_create(const struct gw_config *config, struct gw_lockout **out, char *why);
int flapping_create(const struct gw_config *config, struct gw_lockout **out, char *why);

struct json_t;
/* Answers to the commands of these names, owned by the caller; NULL: refused, and *why says it. */
struct json_t *lockout_locked(struct gateway *g, const struct json_t *command, const char **why);
struct json_t *lockout_ban(struct gateway *g, const struct json_t *command, const char **why);
struct json_t *lockout_unban(struct gateway *g, const struct json_t *command, const char **why);

/* ---- provision.c ---- */

enum { PROVISION_FDS_MAX = 2 };

/* *out is NULL when no socket is configured. 0, or an exit code with `why`; destroy it either way.
 */
int provision_create(struct gateway *g, struct provision **out, char *why);
/* Once the shards' threads have ended. NULL is fine. */
void provision_destroy(struct provision *provision);
/* Whom the shards ask. */
struct gw_binder *provision_binder(struct provision *provision);
/* PROVISION_FDS_MAX rows, and what they lead to. */
size_t provision_fds(const struct provision *provision, struct pollfd *fds);
void provision_step(struct provision *provision, struct gw_instant now, const struct pollfd *fds);

/* ---- pages.c ---- */

extern const struct gw_admin_route gateway_routes[];
extern const size_t gateway_route_count;

#endif
