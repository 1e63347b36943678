/*
 * What the tests of messages to devices share: a gateway of four shards, so that asker, owner and
 * holder are mostly three of them; its devices; tollgatectl, and a client of its control socket.
 */
#ifndef TESTS_DOWNLINK_KIT_H
#define TESTS_DOWNLINK_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control_link.h"
#include "group.h"

enum { SOON_MS = 5000, SHARDS = 4, DEVICES = 24 };

extern struct sys_gateway gateway;
extern struct sys_device devices[DEVICES];
extern struct sys_updates updates;
extern struct control_link desk;
extern char answer[CONTROL_ANSWER_BYTES]; /* the desk's last one */
extern char *socket_path;

/* `i` chooses the transport. */
void log_in(struct sys_client *c, const struct sys_device *device, size_t i);
/* `body` has | for NUL. */
void expect_frame(struct sys_client *c, uint8_t type, const char *body);
const char *number_text(const struct sys_device *device, char out[16]);

/* tollgatectl WORDS... --socket: its exit code; both outputs in *out. */
int ctl(struct sys_output *out, const char *const *words);
void expect_ctl(int code, const char *text, const char *const *words);
#define CTL(out, ...) ctl((out), (const char *const[]){__VA_ARGS__, NULL})
#define EXPECT_CTL(code, text, ...)                                                                \
    expect_ctl((code), (text), (const char *const[]){__VA_ARGS__, NULL})

/* The desk writes to V1; what the gateway said of it. */
const char *send_value(const struct sys_device *device, const char *value);

/* The device's newest write, which is the nth. */
const struct gw_record *newest_write(const struct sys_device *device, size_t count);
/* E44: the one pin that was asked for, V1, with the id of the request. */
void expect_synced(struct sys_client *c, uint16_t msg_id, const char *body);

int run_downlink_tests(const char *name, const struct CMUnitTest *tests, size_t count);

#endif
