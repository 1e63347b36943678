/*
 * Who may log in, as what, and what a refusal says. The rule behind all of it: status 9 takes real
 * devices out of service for good, so only an index that can be trusted may give it, and only for a
 * token that is gone for good.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"

#define TLS_ONLY      "TMPLtlsonly01"
#define INFO_REQUIRED "TMPLinfoneed1"

enum { SOON_MS = 3000 };

static struct sys_gateway gateway;
static struct sys_updates updates;

/* A login with this token is answered with `status`; then the gateway closes, unless it is 200. */
static void expect_login(const char *token, enum sys_transport transport, uint16_t status)
{
    struct sys_client c;

    sys_must(&gateway, &c, sys_connect(&gateway, &c, transport));
    sys_must(&gateway, &c, sys_client_login(&c, token, status));
    if (status == GW_RESPONSE_OK)
        sys_must(&gateway, &c, sys_client_ping(&c, 2));
    else
        sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
    sys_client_close(&c);
}

static struct sys_device new_device(const char *product)
{
    struct sys_device device;

    sys_devices_add(&gateway, product, &device, 1);
    return device;
}

/* An info frame that names this product. */
static void send_info(struct sys_client *c, uint16_t msg_id, const char *product)
{
    char body[64];
    int bytes = snprintf(body, sizeof body, "ver|1.4.0|h-beat|45|tmpl|%s", product);

    for (int i = 0; i < bytes; i++)
        body[i] = body[i] == '|' ? '\0' : body[i];
    sys_must(&gateway, c, sys_client_send_frame(c, GW_FRAME_INTERNAL, msg_id, body, (size_t)bytes));
}

static void write_one(struct sys_client *c, uint16_t msg_id)
{
    sys_must(&gateway, c, sys_client_send_frame(c, GW_FRAME_HARDWARE, msg_id, "vw\0001\0007", 6));
}

static void expect_updates(const struct sys_device *device, const char *expected)
{
    char *text;

    sys_updates_read(&gateway, &updates);
    text = sys_updates_text(&updates, device->number);
    assert_string_equal(text, expected);
    free(text);
}

/* ---- the product that the info frame names ---- */

/* Logs in and names another product: 5, closed. Returns when that was. */
static uint64_t mismatch(const struct sys_device *device)
{
    struct sys_client c;

    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_login(&c, device->token, GW_RESPONSE_OK));
    send_info(&c, 2, "TMPLxxxxxxxx");
    sys_must(&gateway, &c,
             sys_client_expect_response(&c, 2, GW_RESPONSE_NOT_AUTHENTICATED, sys_ms(SOON_MS)));
    sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
    sys_client_close(&c);
    return sys_now_ms();
}

/* Refused with 6 while the delay lasts, granted once it is over. */
static void the_token_waits(const struct sys_device *device, uint64_t since, uint32_t delay_ms)
{
    enum { MARGIN_MS = 700 };

    expect_login(device->token, SYS_TLS13, GW_RESPONSE_NOT_ALLOWED);
    while (sys_now_ms() < since + delay_ms - MARGIN_MS)
        sys_pause_ms(50);
    if (sys_now_ms() < since + delay_ms - MARGIN_MS / 2) /* else the machine slept over it */
        expect_login(device->token, SYS_PLAIN, GW_RESPONSE_NOT_ALLOWED);
    while (sys_now_ms() < since + delay_ms + 200)
        sys_pause_ms(50);
    expect_login(device->token, SYS_TLS13, GW_RESPONSE_OK);
}

static void a_mismatch_delays_its_token_and_no_other(void **state)
{
    struct sys_device wrong = new_device(SYS_PRODUCT), right = new_device(SYS_PRODUCT);
    uint64_t since;

    (void)state;
    since = mismatch(&wrong);
    expect_login(right.token, SYS_TLS13, GW_RESPONSE_OK);
    the_token_waits(&wrong, since, 5000);
    since = mismatch(&wrong); /* again: twice as long */
    the_token_waits(&wrong, since, 10000);
    expect_login(right.token, SYS_PLAIN, GW_RESPONSE_OK);
}

static void an_info_frame_of_the_right_product_costs_nothing(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct sys_client c;

        sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS12));
        sys_must(&gateway, &c, sys_client_login(&c, device.token, GW_RESPONSE_OK));
        send_info(&c, 2, SYS_PRODUCT);
        sys_must(&gateway, &c, sys_client_expect_response(&c, 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
        sys_client_close(&c);
    }
}

static void updates_wait_for_a_required_info_frame(void **state)
{
    struct sys_device device = new_device(INFO_REQUIRED);
    struct sys_client c;
    bool ping_answered = false, info_answered = false;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_login(&c, device.token, GW_RESPONSE_OK));
    write_one(&c, 2);
    sys_must(&gateway, &c, sys_client_send_frame(&c, GW_FRAME_EVENT_LOG, 3, "hot\0desc", 8));
    sys_must(&gateway, &c, sys_client_send_frame(&c, GW_FRAME_PING, 4, NULL, 0));
    /* Neither the event nor the PING is acknowledged: what they vouch for is nowhere yet. */
    sys_must(&gateway, &c, sys_client_expect_silence(&c, 700));
    expect_updates(&device, "");
    send_info(&c, 5, INFO_REQUIRED);
    for (bool event = false; !event || !ping_answered || !info_answered;) {
        struct gw_frame frame;

        sys_must(&gateway, &c, sys_client_frame(&c, &frame, sys_ms(SOON_MS)));
        assert_int_equal(frame.type, GW_FRAME_RESPONSE);
        assert_int_equal(frame.status, GW_RESPONSE_OK);
        event = event || frame.msg_id == 3;
        ping_answered = ping_answered || frame.msg_id == 4;
        info_answered = info_answered || frame.msg_id == 5;
        assert_in_range(frame.msg_id, 3, 5);
    }
    expect_updates(&device, "write v1 37; event hot 64657363");
    write_one(&c, 6);
    sys_must(&gateway, &c, sys_client_ping(&c, 7));
    expect_updates(&device, "write v1 37; event hot 64657363; write v1 37");
    sys_client_close(&c);
}

static void what_waited_is_not_forwarded_for_another_product(void **state)
{
    struct sys_device device = new_device(INFO_REQUIRED);
    struct sys_client c;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_login(&c, device.token, GW_RESPONSE_OK));
    write_one(&c, 2);
    send_info(&c, 3, SYS_PRODUCT); /* it exists, but it is not this token's */
    sys_must(&gateway, &c,
             sys_client_expect_response(&c, 3, GW_RESPONSE_NOT_AUTHENTICATED, sys_ms(SOON_MS)));
    sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
    sys_client_close(&c);
    sys_updates_wait(&gateway, &updates, device.number, GW_RECORD_OFFLINE, 1);
    expect_updates(&device, "");
}

/* ---- the index ---- */

static void what_an_operator_can_undo_gets_6(void **state)
{
    struct sys_device device = new_device(SYS_PRODUCT);
    char *number = sys_text("%u", device.number);

    (void)state;
    expect_login(device.token, SYS_TLS13, GW_RESPONSE_OK);
    free(sys_ctl(&gateway, NULL, "device", "disable", number, NULL));
    expect_login(device.token, SYS_TLS13, GW_RESPONSE_NOT_ALLOWED);
    free(sys_ctl(&gateway, NULL, "device", "enable", number, NULL));
    expect_login(device.token, SYS_TLS13, GW_RESPONSE_OK);
    free(sys_ctl(&gateway, NULL, "product", "close", SYS_PRODUCT, NULL));
    expect_login(device.token, SYS_TLS13, GW_RESPONSE_NOT_ALLOWED);
    free(sys_ctl(&gateway, NULL, "product", "open", SYS_PRODUCT, NULL));
    expect_login(device.token, SYS_TLS13, GW_RESPONSE_OK);
    free(sys_ctl(&gateway, NULL, "org", "close", "Test", NULL));
    expect_login(device.token, SYS_TLS13, GW_RESPONSE_NOT_ALLOWED);
    free(sys_ctl(&gateway, NULL, "org", "open", "Test", NULL));
    expect_login(device.token, SYS_TLS13, GW_RESPONSE_OK);
    free(sys_ctl(&gateway, NULL, "token", "window", number, "--not-after", "1700000000", NULL));
    expect_login(device.token, SYS_TLS13, GW_RESPONSE_NOT_ALLOWED);
    free(sys_ctl(&gateway, NULL, "token", "window", number, "--not-before", "4000000000", NULL));
    expect_login(device.token, SYS_TLS13, GW_RESPONSE_NOT_ALLOWED);
    free(sys_ctl(&gateway, NULL, "token", "window", number, NULL));
    expect_login(device.token, SYS_TLS13, GW_RESPONSE_OK);
    free(number);
}

static void a_token_revoked_or_rotated_out_gets_9(void **state)
{
    struct sys_device revoked = new_device(SYS_PRODUCT), rotated = new_device(SYS_PRODUCT);
    char *number = sys_text("%u", revoked.number), *fresh;

    (void)state;
    expect_login(revoked.token, SYS_TLS13, GW_RESPONSE_OK);
    free(sys_ctl(&gateway, NULL, "token", "revoke", number, NULL));
    expect_login(revoked.token, SYS_TLS13, GW_RESPONSE_INVALID_TOKEN);
    free(number);

    number = sys_text("%u", rotated.number);
    fresh = sys_ctl(&gateway, NULL, "token", "rotate", number, NULL);
    expect_login(rotated.token, SYS_TLS13, GW_RESPONSE_INVALID_TOKEN);
    /* The new token stands alone in its line, or is its last word. */
    for (char *word = strtok(fresh, " \n"); word != NULL; word = strtok(NULL, " \n"))
        if (strlen(word) == 32) {
            expect_login(word, SYS_TLS13, GW_RESPONSE_OK);
            number[0] = '\0';
        }
    sys_check(&gateway, number[0] == '\0', "token rotate printed no token");
    free(fresh);
    free(number);
}

static void plain_is_for_products_that_allow_it(void **state)
{
    struct sys_device device = new_device(TLS_ONLY);

    (void)state;
    expect_login(device.token, SYS_PLAIN, GW_RESPONSE_NOT_ALLOWED);
    expect_login(device.token, SYS_TLS12, GW_RESPONSE_OK);
    expect_login(device.token, SYS_TLS13, GW_RESPONSE_OK);
}

/*
 * A10. An older backup in the index's place knows tokens, but not all that were sold since: neither
 * a hit nor a miss of it can be trusted until an operator says so.
 */
static void an_older_index_answers_19_until_it_is_accepted(void **state)
{
    struct sys_device known = new_device(SYS_PRODUCT), later;
    char *backup = sys_text("%s/backup.mdb", gateway.dir);
    char *high_water = sys_text("%s/high-water", gateway.dir);

    (void)state;
    free(sys_ctl(&gateway, NULL, "index", "backup", backup, NULL));
    later = new_device(SYS_PRODUCT);
    expect_login(later.token, SYS_TLS13, GW_RESPONSE_OK);
    sys_gateway_stop(&gateway); /* it remembers what it served */
    free(sys_ctl(&gateway, NULL, "index", "restore", backup, NULL));
    sys_gateway_start(&gateway);
    expect_login(known.token, SYS_TLS13, GW_RESPONSE_SERVER_EXCEPTION);
    expect_login(known.token, SYS_PLAIN, GW_RESPONSE_SERVER_EXCEPTION);
    expect_login(later.token, SYS_TLS13, GW_RESPONSE_SERVER_EXCEPTION);
    expect_login("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", SYS_TLS12, GW_RESPONSE_SERVER_EXCEPTION);
    expect_login("no token at all", SYS_TLS12, GW_RESPONSE_SERVER_EXCEPTION);
    assert_int_not_equal(sys_admin_get(&gateway, "/readyz", NULL), 200);
    assert_int_equal(sys_admin_get(&gateway, "/livez", NULL), 200);

    free(sys_ctl(&gateway, NULL, "index", "accept", "--high-water", high_water, NULL));
    expect_login(known.token, SYS_TLS13, GW_RESPONSE_OK);
    expect_login(later.token, SYS_TLS13, GW_RESPONSE_INVALID_TOKEN);
    free(backup);
    free(high_water);
}

static void add_products(void)
{
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", TLS_ONLY, "--org", "Test", "--name",
                 "Lock", NULL));
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", INFO_REQUIRED, "--org", "Test", "--name",
                 "Valve", "--info-required", NULL));
}

int main(void)
{
    static const struct sys_group group = {
        .name = "binding",
        .gateway = &gateway,
        .options = {.shards = 2},
        .updates = &updates,
        .prepare = add_products,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_info_frame_of_the_right_product_costs_nothing),
        cmocka_unit_test(updates_wait_for_a_required_info_frame),
        cmocka_unit_test(what_waited_is_not_forwarded_for_another_product),
        cmocka_unit_test(what_an_operator_can_undo_gets_6),
        cmocka_unit_test(a_token_revoked_or_rotated_out_gets_9),
        cmocka_unit_test(plain_is_for_products_that_allow_it),
        cmocka_unit_test(a_mismatch_delays_its_token_and_no_other),
        cmocka_unit_test(an_older_index_answers_19_until_it_is_accepted),
    };

    return SYS_GROUP_RUN(&group, tests);
}
