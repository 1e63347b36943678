/*
 * A test program whose tests share one gateway: made, given its devices and started before the
 * first of them; stopped and removed after the last, whatever became of them.
 */
#ifndef TESTS_SYSTEM_GROUP_H
#define TESTS_SYSTEM_GROUP_H

#include <stddef.h>

#include "harness.h"
#include "updates.h"

struct CMUnitTest;

struct sys_group {
    const char *name;
    struct sys_gateway *gateway;
    struct sys_gateway_options options;
    struct sys_device *devices; /* of SYS_PRODUCT, `device_count`; NULL: none                   */
    size_t device_count;
    /* NULL, or the first of these: connected over TLS 1.3 all the time with a heartbeat so long
       that it is heard of only when a test has it say something. */
    struct sys_client *bystander;
    struct sys_updates *updates; /* NULL, or what is released at the end                        */
    /* Each NULL, or called: once the devices are there and before the start, once it serves, and
       before the stop. */
    void (*prepare)(void);
    void (*started)(void);
    void (*finish)(void);
};

/* How many tests failed: main's answer. */
int sys_group_run(const struct sys_group *group, const struct CMUnitTest *tests, size_t count);

/*
 * A crowd of clients, none of them connected: as many as the environment variable
 * TOLLGATE_TEST_CROWD says, or `otherwise`, which is *count then; for free(). NULL when this
 * process may not open so many, which a line on stderr tells. The group's gateway, of two shards,
 * gets slots for two thirds of them, handshakes for a third of the slots, and the patience of a
 * second.
 */
struct sys_client *sys_crowd_create(struct sys_group *group, size_t otherwise, size_t *count);

#define SYS_GROUP_RUN(group, tests) sys_group_run((group), (tests), GW_ARRAY_COUNT(tests))

#endif
