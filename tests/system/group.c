/*
 * One gateway for a group of tests. See group.h.
 */
#include "group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct sys_group *running;

static int start(void **state)
{
    (void)state;
    sys_gateway_create(running->gateway, &running->options);
    if (running->device_count > 0)
        sys_devices_add(running->gateway, SYS_PRODUCT, running->devices, running->device_count);
    if (running->prepare != NULL)
        running->prepare();
    sys_gateway_start(running->gateway);
    if (running->started != NULL)
        running->started();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (running->finish != NULL)
        running->finish();
    if (running->options.slow_disk)
        sys_disk_resume(running->gateway); /* a test that failed may have left it stopped */
    if (running->gateway->pid != 0)
        sys_gateway_stop(running->gateway);
    if (running->updates != NULL)
        sys_updates_release(running->updates);
    sys_gateway_destroy(running->gateway);
    return 0;
}

int sys_group_run(const struct sys_group *group, const struct CMUnitTest *tests, size_t count)
{
    running = group;
    return _cmocka_run_group_tests(group->name, tests, count, start, stop);
}
