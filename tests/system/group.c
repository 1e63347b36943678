/*
 * One gateway for a group of tests. See group.h.
 */
#include "group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { SOON_MS = 5000, FILES_ASIDE = 64 };

static const struct sys_group *running;

static void bystander_comes(struct sys_gateway *g, struct sys_client *c, const char *token)
{
    static const char info[] = "h-beat\000600\0tmpl\0" SYS_PRODUCT;

    sys_must(g, c, sys_connect(g, c, SYS_TLS13));
    sys_must(g, c, sys_client_login(c, token, GW_RESPONSE_OK));
    sys_must(g, c, sys_client_send_frame(c, GW_FRAME_INTERNAL, 2, info, sizeof info - 1));
    sys_must(g, c, sys_client_expect_response(c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
}

static int start(void **state)
{
    (void)state;
    if (running->bystander != NULL)
        *running->bystander = SYS_CLIENT_NONE;
    sys_gateway_create(running->gateway, &running->options);
    if (running->device_count > 0)
        sys_devices_add(running->gateway, SYS_PRODUCT, running->devices, running->device_count);
    if (running->prepare != NULL)
        running->prepare();
    sys_gateway_start(running->gateway);
    if (running->bystander != NULL)
        bystander_comes(running->gateway, running->bystander, running->devices[0].token);
    if (running->started != NULL)
        running->started();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (running->finish != NULL)
        running->finish();
    if (running->bystander != NULL)
        sys_client_close(running->bystander);
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

static bool allow_files(size_t count)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_max < count)
        return false;
    files.rlim_cur = files.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &files) == 0;
}

struct sys_client *sys_crowd_create(struct sys_group *group, size_t otherwise, size_t *count)
{
    static char config[64];
    const char *asked = getenv("TOLLGATE_TEST_CROWD");
    struct sys_client *crowd;

    *count = asked != NULL ? strtoul(asked, NULL, 10) : otherwise;
    crowd = allow_files(*count + FILES_ASIDE) ? calloc(*count, sizeof *crowd) : NULL;
    if (crowd == NULL)
        (void)fprintf(stderr, "a crowd of %zu wants more descriptors or memory\n", *count);
    for (size_t i = 0; crowd != NULL && i < *count; i++)
        crowd[i] = SYS_CLIENT_NONE;
    /* Shards get their share by a hash: with a third more connections than slots both are full. */
    group->options.sessions = (uint32_t)*count / 3;
    (void)snprintf(config, sizeof config, "handshakes_max = %u; stranger_s_max = 1;\n",
                   (unsigned)*count / 9);
    group->options.config = config;
    return crowd;
}
