/*
 * A whole installation in a directory of its own: certificates and index made by the real
 * tollgatectl, served by the real tollgate, looked at through libgw's journal reader. Nothing of it
 * survives the test.
 *
 *     sys_gateway_create(&g, &options);       certificates, index, the product SYS_PRODUCT
 *     sys_devices_add(&g, SYS_PRODUCT, d, 3);
 *     sys_gateway_start(&g);                  returns once it serves
 *     sys_must(&g, &c, sys_connect(&g, &c, SYS_TLS13));
 *     sys_must(&g, &c, sys_client_login(&c, d[0].token, GW_RESPONSE_OK));
 *     ...
 *     sys_gateway_stop(&g);                   SIGTERM; it must exit with 0
 *     sys_gateway_destroy(&g);
 *
 * These functions fail the running cmocka test themselves, and show the end of the gateway's log
 * when they do: main thread only. What threads may call is in client.h.
 */
#ifndef TESTS_SYSTEM_HARNESS_H
#define TESTS_SYSTEM_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <gw/base/defs.h>

#include "client.h"
#include "process.h"

#define SYS_PRODUCT "TMPL0vFkFmJM7"

struct sys_gateway_options {
    uint32_t shards;          /* 0: two                                                     */
    uint32_t sessions;        /* sessions_per_shard; 0: 2048                                */
    uint32_t drain_s;         /* drain.s_max; 0: five                                       */
    const char *config;       /* further groups of the configuration file, or NULL          */
    const char *lockout;      /* of its group lockout; NULL: off, for tests guess tokens    */
    const char *flapping;     /* of its group flapping; NULL: off, for tests log in often   */
    const char *tls;          /* further settings of its group tls, or NULL                 */
    const char *listener;     /* further settings of each listener, or NULL                 */
    const char *listeners;    /* further listeners, a comma in front of each, or NULL       */
    const char *const *env;   /* further "NAME=value" for it; NULL with slow_disk           */
    const char *journal;      /* those of its group journal but for the path, or NULL       */
    const char *journal_path; /* of the log's folder; NULL: one in the installation's     */
    const char *program;      /* NULL: the gateway                                          */
    bool slow_disk;           /* preloads the library whose fdatasync sys_disk_stall stops  */
    bool debug;               /* log.level = debug                                          */
};

struct sys_gateway {
    struct sys_gateway_options options;
    char *dir, *config_path, *log_path, *index_path, *journal_path, *stall_path, *ca_path;
    SSL_CTX *tls; /* of clients */
    pid_t pid;    /* 0: not running */
    uint16_t plain_port, tls_port, admin_port;
    size_t log_mark; /* where the log of this start begins */
    uint32_t device_names;
};

struct sys_device {
    char token[33];
    char name[24];
    uint32_t number; /* what the index calls it, and what records carry */
};

void sys_gateway_create(struct sys_gateway *g, const struct sys_gateway_options *options);
/* Kills what still runs, removes the directory. */
void sys_gateway_destroy(struct sys_gateway *g);

/* Writes the configuration file anew; ports are those of the last start, if there was one. */
void sys_gateway_configure(struct sys_gateway *g, const char *config);
void sys_gateway_start(struct sys_gateway *g);
/* Its two halves: only starts the process; and waits until it serves. */
void sys_gateway_launch(struct sys_gateway *g);
void sys_gateway_await(struct sys_gateway *g);
/* SIGTERM, then exit code 0. */
void sys_gateway_stop(struct sys_gateway *g);
/* SIGKILL, and the process is gone. */
void sys_gateway_kill(struct sys_gateway *g);

/* A sanitizer's findings are findings of the test, however the process ended. */
void sys_gateway_expect_no_report(struct sys_gateway *g);

/* The running gateway's log so far, owned by the caller. */
char *sys_gateway_log(const struct sys_gateway *g);
/*
 * Waits until the log has the nth (from 0) line with `event` and, when `key` is not NULL, returns
 * that key's value (owned). Fails the test when it does not come.
 */
char *sys_gateway_log_wait(struct sys_gateway *g, const char *event, unsigned nth, const char *key);
bool sys_gateway_log_has(const struct sys_gateway *g, const char *text);

/*
 * tollgatectl with these arguments (a NULL ends them) and the index's path; its standard output,
 * owned by the caller. Fails the test unless it exits with 0.
 */
char *sys_ctl(struct sys_gateway *g, const char *input, ...) __attribute__((sentinel));
/* The same without the failing: exit code, both outputs. */
void sys_ctl_try(struct sys_gateway *g, const char *input, struct sys_output *out,
                 const char *const *args);
/* The same of a command that the running gateway is asked for, by its control socket. */
void sys_ctl_over(struct sys_gateway *g, const char *socket, struct sys_output *out,
                  const char *const *words);

/* Adds devices with random tokens to a product. */
void sys_devices_add(struct sys_gateway *g, const char *product, struct sys_device *devices,
                     size_t count);
/* One device whose token is given. */
void sys_device_add(struct sys_gateway *g, const char *product, const char *token,
                    struct sys_device *device);

/* Devices of SYS_PRODUCT that nobody has: when a test takes less than a tenth of all away, the
   index keeps its authority. */
void sys_devices_fill(struct sys_gateway *g, uint32_t count);

/* Gives it a new token. */
void sys_device_rotate(struct sys_gateway *g, struct sys_device *device);

/* Connects to the listener that speaks this transport. */
GW_MUST_USE bool sys_connect(const struct sys_gateway *g, struct sys_client *c,
                             enum sys_transport transport);
/* The options that sys_connect uses, to be changed. */
struct sys_client_options sys_client_options(const struct sys_gateway *g,
                                             enum sys_transport transport);

/* With options.slow_disk: syncs begun from now on do not return before sys_disk_resume. */
void sys_disk_stall(struct sys_gateway *g);
void sys_disk_resume(struct sys_gateway *g);

/* GET on the admin port: the status code (0: no answer), the body in *body (owned; may be NULL). */
int sys_admin_get(const struct sys_gateway *g, const char *path, char **body);
/* The sum of a metric over its labels; fails the test when /metrics has no such name. */
double sys_metric(struct sys_gateway *g, const char *name);

#define sys_must(g, client, call)                                                                  \
    ((call) ? (void)0 : sys_fail((g), __FILE__, __LINE__, "%s: %s", #call, (client)->failure))
#define sys_check(g, condition, ...)                                                               \
    ((condition) ? (void)0 : sys_fail((g), __FILE__, __LINE__, __VA_ARGS__))

/* Shows the end of the gateway's log and fails the running test. */
void sys_fail(struct sys_gateway *g, const char *file, int line, const char *format, ...)
    GW_PRINTF(4, 5);

#endif
