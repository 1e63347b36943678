/*
 * A stop in good order: nothing that was read is lost, who was online is told to be offline, and
 * the next start serves on the same ports. What a kill leaves is crash_test.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness.h"
#include "ledger.h"
#include "updates.h"

enum { DEVICES = 36, WRITES = 60, SOON_MS = 5000 };

static struct sys_gateway gateway;
static struct sys_ledger ledger;

/* No PING asks for durability here: what the gateway has read, the stop itself must save. */
static void a_stop_under_load_saves_what_was_read(void **state)
{
    struct sys_updates updates = {NULL, 0, 0};
    double before;

    (void)state;
    sys_gateway_start(&gateway);
    sys_ledger_log_in(&ledger);
    before = sys_metric(&gateway, "tollgate_updates_total");
    for (size_t i = 0; i < DEVICES; i++)
        sys_ledger_write(&ledger, &ledger.accounts[i], WRITES);
    for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);
         sys_metric(&gateway, "tollgate_updates_total") < before + DEVICES * WRITES;)
        sys_check(&gateway, sys_now_ms() < deadline, "the gateway did not read everything");
    sys_gateway_stop(&gateway);
    for (size_t i = 0; i < DEVICES; i++)
        ledger.accounts[i].answered = ledger.accounts[i].sent; /* nothing less will do */
    sys_ledger_read(&ledger);
    sys_updates_read(&gateway, &updates);
    for (size_t i = 0; i < DEVICES; i++) {
        const struct sys_update *last = NULL;

        (void)sys_updates_count(&updates, ledger.accounts[i].device.number, GW_RECORD_OFFLINE,
                                &last);
        assert_non_null(last);
        assert_true(gw_bytes_are(last->record.name, "shutdown"));
    }
    sys_ledger_hang_up(&ledger);
    sys_updates_release(&updates);
}

/*
 * However little time a stop is given, and however long devices take to hang up: who was online is
 * told to be offline, or readers of the log would believe it online for ever.
 */
static void a_stop_in_a_hurry_tells_who_went_offline(void **state)
{
    static const uint32_t seconds[] = {0, 1};
    struct sys_updates updates = {NULL, 0, 0};

    (void)state;
    for (size_t n = 0; n < GW_ARRAY_COUNT(seconds); n++) {
        gateway.options.drain_s = seconds[n];
        sys_gateway_configure(&gateway, NULL);
        sys_gateway_start(&gateway);
        sys_ledger_log_in(&ledger);
        sys_gateway_stop(&gateway); /* no client hangs up before it is over */
        sys_updates_read(&gateway, &updates);
        for (size_t i = 0; i < DEVICES; i++) {
            const struct sys_update *online = NULL, *offline = NULL;
            uint32_t number = ledger.accounts[i].device.number;

            (void)sys_updates_count(&updates, number, GW_RECORD_ONLINE, &online);
            (void)sys_updates_count(&updates, number, GW_RECORD_OFFLINE, &offline);
            sys_check(&gateway,
                      offline != NULL && offline->record.session == online->record.session,
                      "drain.s_max %u: device %u is online in the log", seconds[n], number);
            sys_client_close(&ledger.accounts[i].client);
        }
    }
    sys_updates_release(&updates);
}

static void a_restart_serves_on_the_same_ports(void **state)
{
    uint16_t plain = gateway.plain_port, tls = gateway.tls_port;
    struct sys_client c;

    (void)state;
    sys_gateway_start(&gateway);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_login(&c, ledger.accounts[0].device.token, GW_RESPONSE_OK));
    sys_gateway_kill(&gateway);
    sys_gateway_start(&gateway); /* at once: the old process's connections are still dying */
    assert_int_equal(gateway.plain_port, plain);
    assert_int_equal(gateway.tls_port, tls);
    sys_client_close(&c);
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        sys_must(&gateway, &c,
                 sys_client_login(&c, ledger.accounts[0].device.token, GW_RESPONSE_OK));
        sys_must(&gateway, &c, sys_client_ping(&c, 2));
        sys_client_close(&c);
    }
    sys_gateway_stop(&gateway);
}

static const struct sys_gateway_options options = {.shards = 2};
static const struct sys_ledger_options books = {.devices = DEVICES};

static int set_up(void **state)
{
    (void)state;
    sys_gateway_create(&gateway, &options);
    /* Ports of the kernel's choice once, then the same ones for every start. */
    sys_gateway_start(&gateway);
    sys_gateway_stop(&gateway);
    sys_gateway_configure(&gateway, NULL);
    sys_ledger_create(&ledger, &gateway, &books);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sys_ledger_destroy(&ledger);
    sys_gateway_destroy(&gateway);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_under_load_saves_what_was_read),
        cmocka_unit_test(a_restart_serves_on_the_same_ports),
        cmocka_unit_test(a_stop_in_a_hurry_tells_who_went_offline),
    };

    return cmocka_run_group_tests_name("durability", tests, set_up, tear_down);
}
