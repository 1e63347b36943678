/*
 * ticket-keys: the file with the keys of session tickets. What a ring is and how it turns:
 * gw/tls/ticket.h.
 */
#include "ctl.h"

#include <stdint.h>

#include <gw/base/clock.h>
#include <gw/crypto/crypto.h>
#include <gw/tls/ticket.h>

static uint64_t now_s(void)
{
    return gw_clock_wall_us() / 1000000;
}

int ctl_ticket_keys_init(int argc, char **argv)
{
    char why[512];
    int word_count;
    int code = ctl_options(argc, argv, NULL, 0, 1, 1, &word_count);
    int err;

    if (code != CTL_OK)
        return code;
    err = gw_ticket_file_create(argv[1], now_s(), why, sizeof why);
    if (err != 0)
        return ctl_fail(ctl_exit_of(err), "%s", why);
    ctl_note("%s: made; the gateway needs tls.ticket_keys, and this file as its own", argv[1]);
    return CTL_OK;
}

int ctl_ticket_keys_rotate(int argc, char **argv)
{
    bool force = false, rotated;
    const struct ctl_option options[] = {{.name = "now", .flag = &force}};
    struct gw_ticket_ring ring;
    char why[512];
    int word_count;
    int code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &word_count);
    int err;

    if (code != CTL_OK)
        return code;
    err = gw_ticket_file_rotate(argv[1], now_s(), force, &rotated, &ring, why, sizeof why);
    if (err != 0)
        return ctl_fail(ctl_exit_of(err), "%s", why);
    if (rotated)
        ctl_note("%s: rotated; send the gateway SIGHUP", argv[1]);
    else
        ctl_note("%s: not due for another %llu s", argv[1],
                 (unsigned long long)(ring.keys[GW_TICKET_CURRENT].since_s + GW_TICKET_ROTATE_S -
                                      now_s()));
    gw_wipe(&ring, sizeof ring);
    return CTL_OK;
}
