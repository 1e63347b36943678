/*
 * Devices that come with a token and tell what they are: bound by tollgatectl provision serve, by
 * their info frame or over HTTP; and what becomes of them when nobody can bind them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "group.h"
#include "http_client.h"

#define NEWCOMERS "newcomers"
#define TLS_ONLY  "TMPLtlsonly"

enum { SOON_MS = 5000, INFO_ID = 2, WEEK_S = 604800 };

static struct sys_gateway gateway;
static struct sys_updates updates;
static char *socket_path, *log_path;
static pid_t binder;

/* ---- who binds ---- */

static void start_binder(void)
{
    const char *const argv[] = {TOLLGATECTL, "provision",        "serve", "--socket", socket_path,
                                "--index",   gateway.index_path, NULL};
    uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);
    struct stat file;

    binder = sys_spawn(argv, NULL, log_path);
    assert_true(binder > 0);
    while (stat(socket_path, &file) != 0) {
        assert_true(sys_now_ms() < deadline);
        sys_pause_ms(10);
    }
    assert_int_equal(file.st_mode & 0777, 0660);
}

static void stop_binder(void)
{
    int exit_code = -1;

    if (binder <= 0)
        return;
    assert_int_equal(kill(binder, SIGTERM), 0);
    assert_true(sys_wait(binder, sys_ms(SOON_MS), &exit_code));
    assert_int_equal(exit_code, 0);
    binder = 0;
}

/* ---- devices ---- */

/* As tollgatectl adds it, for 7 days. */
static void add_newcomer(struct sys_device *device)
{
    char *text = sys_ctl(&gateway, NULL, "device", "add", "--product", NEWCOMERS, "--json", NULL);
    json_t *object = json_loads(text, 0, NULL);

    assert_non_null(object);
    device->number = (uint32_t)json_integer_value(json_object_get(object, "device"));
    (void)snprintf(device->token, sizeof device->token, "%s",
                   json_string_value(json_object_get(object, "token")));
    assert_int_equal(strlen(device->token), 32);
    json_decref(object);
    free(text);
}

static json_t *shown(const struct sys_device *device)
{
    char *number = sys_text("%u", device->number);
    char *text = sys_ctl(&gateway, NULL, "device", "show", number, "--json", NULL);
    json_t *object = json_loads(text, 0, NULL);

    assert_non_null(object);
    free(text);
    free(number);
    return object;
}

static void expect_product(const struct sys_device *device, const char *product)
{
    json_t *object = shown(device);

    assert_string_equal(json_string_value(json_object_get(object, "product")), product);
    json_decref(object);
}

/* '|' stands for NUL. */
static void say(struct sys_client *c, uint8_t type, uint16_t msg_id, const char *text)
{
    char body[256];
    size_t bytes = strlen(text);

    assert_true(bytes <= sizeof body);
    for (size_t i = 0; i < bytes; i++)
        body[i] = text[i] == '|' ? '\0' : text[i];
    sys_must(&gateway, c, sys_client_send_frame(c, type, msg_id, body, bytes));
}

static void expect_status(struct sys_client *c, uint16_t msg_id, uint16_t status)
{
    sys_must(&gateway, c, sys_client_expect_response(c, msg_id, status, sys_ms(2 * SOON_MS)));
}

static void log_in(struct sys_client *c, const struct sys_device *device,
                   enum sys_transport transport)
{
    sys_must(&gateway, c, sys_connect(&gateway, c, transport));
    sys_must(&gateway, c, sys_client_login(c, device->token, GW_RESPONSE_OK));
}

static void expect_updates(const struct sys_device *device, const char *expected)
{
    char *text;

    sys_updates_read(&gateway, &updates);
    text = sys_updates_text(&updates, device->number);
    assert_string_equal(text, expected);
    free(text);
}

static void a_device_becomes_what_its_info_frame_names(void **state)
{
    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        struct sys_device device;
        struct sys_client c;
        json_t *object;

        add_newcomer(&device);
        log_in(&c, &device, (enum sys_transport)t);
        say(&c, GW_FRAME_INTERNAL, 5, "rtc|sync"); /* nothing is told */
        say(&c, GW_FRAME_INTERNAL, 6, "meta|set|Name|x");
        sys_must(&gateway, &c, sys_client_ping(&c, 7));
        say(&c, GW_FRAME_HARDWARE, 3, "vw|1|early"); /* it waits */
        say(&c, GW_FRAME_INTERNAL, INFO_ID, "ver|1.4.0|h-beat|40|tmpl|" SYS_PRODUCT);
        say(&c, GW_FRAME_HARDWARE, 4, "vw|1|behind");
        expect_status(&c, INFO_ID, GW_RESPONSE_OK);
        sys_must(&gateway, &c, sys_client_ping(&c, 8));
        expect_updates(&device, "write v1 6561726c79; write v1 626568696e64");
        expect_product(&device, SYS_PRODUCT);
        say(&c, GW_FRAME_INTERNAL, 9, "rtc|sync"); /* now it is told */
        struct gw_frame frame;

        sys_must(&gateway, &c, sys_client_frame(&c, &frame, sys_ms(SOON_MS)));
        assert_int_equal(frame.type, GW_FRAME_INTERNAL);
        sys_client_close(&c);

        /* Its token is one like any other: without an end, and of that product alone. */
        object = shown(&device);
        assert_int_equal(json_integer_value(json_object_get(object, "not_after")), 0);
        json_decref(object);
        log_in(&c, &device, SYS_TLS13);
        say(&c, GW_FRAME_INTERNAL, INFO_ID, "tmpl|" SYS_PRODUCT);
        expect_status(&c, INFO_ID, GW_RESPONSE_OK);
        sys_client_close(&c);
        log_in(&c, &device, SYS_TLS13);
        say(&c, GW_FRAME_INTERNAL, INFO_ID, "tmpl|" TLS_ONLY);
        expect_status(&c, INFO_ID, GW_RESPONSE_NOT_AUTHENTICATED);
        sys_client_close(&c);
    }
}

static void a_token_for_provisioning_is_good_for_7_days(void **state)
{
    struct sys_device device;
    struct sys_client c;
    char *number;
    json_t *object;
    int64_t until;

    (void)state;
    add_newcomer(&device);
    object = shown(&device);
    until = json_integer_value(json_object_get(object, "not_after"));
    assert_in_range(until, time(NULL) + WEEK_S - 60, time(NULL) + WEEK_S);
    json_decref(object);
    number = sys_text("%u", device.number);
    free(sys_ctl(&gateway, NULL, "token", "window", number, "--not-after", "1000000000", NULL));
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_login(&c, device.token, GW_RESPONSE_NOT_ALLOWED));
    sys_client_close(&c);
    free(number);
}

static void what_may_not_be_named_gets_5_and_changes_nothing(void **state)
{
    static const struct {
        const char *info;
        enum sys_transport transport;
    } rows[] = {
        {"ver|1.4.0", SYS_TLS13}, /* names none */
        {"ver|1.4.0|tmpl|", SYS_TLS13},  {"tmpl|TMPLnobody", SYS_TLS13},
        {"tmpl|TMPLforeign", SYS_TLS13}, {"tmpl|" NEWCOMERS, SYS_TLS13},
        {"tmpl|TMPLclosed", SYS_TLS13},  {"tmpl|" TLS_ONLY, SYS_PLAIN},
    };
    struct sys_device device;
    struct sys_client c;

    (void)state;
    add_newcomer(&device);
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        log_in(&c, &device, rows[i].transport);
        say(&c, GW_FRAME_HARDWARE, 3, "vw|1|never");
        say(&c, GW_FRAME_INTERNAL, INFO_ID, rows[i].info);
        expect_status(&c, INFO_ID, GW_RESPONSE_NOT_AUTHENTICATED);
        sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
        sys_client_close(&c);
    }
    expect_product(&device, NEWCOMERS);
    expect_updates(&device, "");
    log_in(&c, &device, SYS_TLS12); /* and then it names one that it may have */
    say(&c, GW_FRAME_INTERNAL, INFO_ID, "tmpl|" TLS_ONLY);
    expect_status(&c, INFO_ID, GW_RESPONSE_OK);
    sys_client_close(&c);
    expect_product(&device, TLS_ONLY);
}

/* As many as there are shards, and more than are asked about at once. */
static void many_are_bound_at_once(void **state)
{
    enum { MANY = 24 };
    struct sys_device devices[MANY];
    struct sys_client clients[MANY];

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        add_newcomer(&devices[i]);
        log_in(&clients[i], &devices[i], (enum sys_transport)(i % SYS_TRANSPORTS));
    }
    for (size_t i = 0; i < MANY; i++)
        say(&clients[i], GW_FRAME_INTERNAL, INFO_ID, "tmpl|" SYS_PRODUCT);
    for (size_t i = 0; i < MANY; i++) {
        expect_status(&clients[i], INFO_ID, GW_RESPONSE_OK);
        sys_client_close(&clients[i]);
        expect_product(&devices[i], SYS_PRODUCT);
    }
}

/* ---- over HTTP ---- */

#define UNPROVISIONED ERROR("The device has to be provisioned first.")
#define NO_TEMPLATE   ERROR("Wrong templateId.")

static void a_device_may_be_provisioned_over_http(void **state)
{
    (void)state;
    for (int t = 0; t < SYS_TRANSPORTS; t++) {
        const struct sys_update *info = NULL;
        struct sys_device device;
        struct sys_client c;

        add_newcomer(&device);
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        http_must(&gateway, &c, &device, "GET /external/api/update?token={T}&v1=1" END, 403,
                  UNPROVISIONED);
        http_must(&gateway, &c, &device, "GET /external/api/provision?token={T}" END, 400,
                  NO_TEMPLATE);
        http_must(&gateway, &c, &device,
                  "GET /external/api/provision?token={T}&templateId=TMPLnobody" END, 400,
                  NO_TEMPLATE);
        http_must(&gateway, &c, &device,
                  "GET /external/api/provision?token=" UNKNOWN "&templateId=" SYS_PRODUCT END, 400,
                  INVALID_TOKEN);
        http_must(&gateway, &c, &device,
                  "GET /external/api/provision?token={T}&templateId=" SYS_PRODUCT
                  "&ver=1.2.3&type=NCP&build=Jan&fwType=porch&blVer=1.4.0&boType=ESP32" END,
                  200, "");
        expect_product(&device, SYS_PRODUCT);
        sys_updates_read(&gateway, &updates);
        assert_int_equal(sys_updates_count(&updates, device.number, GW_RECORD_INFO, &info), 1);
        assert_int_equal(info->record.flags, GW_RECORD_FROM_HTTP);
        assert_true(gw_bytes_equal(
            info->record.value,
            gw_bytes_of("ncp\0001.2.3\0build\0Jan\0fw-type\0porch\0blynk\0001.4.0\0dev\0ESP32\0"
                        "tmpl\0" SYS_PRODUCT,
                        10 + 10 + 14 + 12 + 10 + 5 + sizeof SYS_PRODUCT - 1)));
        http_must(&gateway, &c, &device, "GET /external/api/update?token={T}&v1=1" END, 200, "");
        /* Once more is no harm, and another product is refused. */
        http_must(&gateway, &c, &device,
                  "GET /external/api/provision?token={T}&templateId=" SYS_PRODUCT END, 200, "");
        http_must(&gateway, &c, &device,
                  "GET /external/api/provision?token={T}&templateId=" TLS_ONLY END, 400,
                  ERROR("The device is provisioned for another template."));
        sys_client_close(&c);
    }
}

/* In one piece: what comes behind it is the device's that it has become. */
static void what_is_asked_behind_it_is_answered_behind_it(void **state)
{
    struct sys_device device;
    struct sys_client c;

    (void)state;
    add_newcomer(&device);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    http_send(&gateway, &c, &device,
              "GET /external/api/isHardwareConnected?token={T}" END
              "GET /external/api/provision?token={T}&templateId=" SYS_PRODUCT END
              "GET /external/api/update?token={T}&v1=1" END
              "GET /external/api/get?token={T}&v1" END);
    http_expect(&gateway, &c, 403, UNPROVISIONED);
    http_expect(&gateway, &c, 200, "");
    http_expect(&gateway, &c, 200, "");
    http_expect(&gateway, &c, 200, "1");
    sys_client_close(&c);
}

/* ---- nobody binds ---- */

static void expect_not_bound(const struct sys_device *device)
{
    struct sys_client c;

    log_in(&c, device, SYS_TLS13);
    say(&c, GW_FRAME_INTERNAL, INFO_ID, "tmpl|" SYS_PRODUCT);
    expect_status(&c, INFO_ID, GW_RESPONSE_SERVER_EXCEPTION);
    sys_must(&gateway, &c, sys_client_expect_end(&c, sys_ms(SOON_MS)));
    sys_client_close(&c);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    http_must(&gateway, &c, device,
              "GET /external/api/provision?token={T}&templateId=" SYS_PRODUCT END, 503, LATER);
    sys_client_close(&c);
}

static void while_nobody_binds_devices_are_told_to_come_again(void **state)
{
    struct sys_device device;
    struct sys_client c;

    (void)state;
    add_newcomer(&device);
    stop_binder();
    expect_not_bound(&device);
    assert_true(sys_gateway_log_has(&gateway, "event=provision_failed"));
    start_binder();
    log_in(&c, &device, SYS_TLS13);
    say(&c, GW_FRAME_INTERNAL, INFO_ID, "tmpl|" SYS_PRODUCT);
    expect_status(&c, INFO_ID, GW_RESPONSE_OK);
    sys_client_close(&c);
    stop_binder(); /* the connection that the gateway has kept is no more: it makes another */
    start_binder();
    add_newcomer(&device);
    log_in(&c, &device, SYS_TLS13);
    say(&c, GW_FRAME_INTERNAL, INFO_ID, "tmpl|" SYS_PRODUCT);
    expect_status(&c, INFO_ID, GW_RESPONSE_OK);
    sys_client_close(&c);
}

/* Something listens there and says nothing, or says what nobody asked for. */
static void who_does_not_answer_is_waited_for_5_s(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct sys_device device;
    struct sys_client c;
    uint64_t begun;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

    (void)state;
    stop_binder();
    assert_true(strlen(socket_path) < sizeof address.sun_path);
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 4), 0);
    add_newcomer(&device);
    log_in(&c, &device, SYS_TLS13);
    begun = sys_now_ms();
    say(&c, GW_FRAME_INTERNAL, INFO_ID, "tmpl|" SYS_PRODUCT);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    expect_status(&c, INFO_ID, GW_RESPONSE_SERVER_EXCEPTION);
    assert_in_range(sys_now_ms() - begun, 4900, 4900 + sys_ms(SOON_MS));
    sys_client_close(&c);
    (void)close(fd);

    log_in(&c, &device, SYS_TLS13);
    say(&c, GW_FRAME_INTERNAL, INFO_ID, "tmpl|" SYS_PRODUCT);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "hello\n", 6), 6);
    expect_status(&c, INFO_ID, GW_RESPONSE_SERVER_EXCEPTION);
    sys_client_close(&c);
    (void)close(fd);

    /* It says that the device is bound, and it is not: the index is believed. */
    log_in(&c, &device, SYS_TLS13);
    say(&c, GW_FRAME_INTERNAL, INFO_ID, "tmpl|" SYS_PRODUCT);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    begun = sys_now_ms();
    assert_int_equal(write(fd, "{\"result\":\"bound\"}\n", 19), 19);
    expect_status(&c, INFO_ID, GW_RESPONSE_SERVER_EXCEPTION);
    assert_true(sys_now_ms() - begun < 4000); /* it did not ask again */
    sys_client_close(&c);
    (void)close(fd);
    (void)close(listener);
    (void)unlink(socket_path);
    start_binder();
}

static void add_products(void)
{
    socket_path = sys_text("%s/provision", gateway.dir);
    log_path = sys_text("%s/binder.log", gateway.dir);
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", NEWCOMERS, "--org", "Test", "--plain",
                 "--provisions", NULL));
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", TLS_ONLY, "--org", "Test", NULL));
    free(sys_ctl(&gateway, NULL, "product", "add", "--id", "TMPLclosed", "--org", "Test", NULL));
    free(sys_ctl(&gateway, NULL, "product", "close", "TMPLclosed", NULL));
    free(sys_ctl(&gateway, NULL, "org", "add", "Foreign", NULL));
    free(
        sys_ctl(&gateway, NULL, "product", "add", "--id", "TMPLforeign", "--org", "Foreign", NULL));
    start_binder();
}

static void end_binder(void)
{
    stop_binder();
    free(socket_path);
    free(log_path);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "provision",
        .gateway = &gateway,
        .options = {.shards = 2, .config = "provision: { socket = \"provision\"; };\n"},
        .updates = &updates,
        .prepare = add_products,
        .finish = end_binder,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_becomes_what_its_info_frame_names),
        cmocka_unit_test(a_token_for_provisioning_is_good_for_7_days),
        cmocka_unit_test(what_may_not_be_named_gets_5_and_changes_nothing),
        cmocka_unit_test(many_are_bound_at_once),
        cmocka_unit_test(a_device_may_be_provisioned_over_http),
        cmocka_unit_test(what_is_asked_behind_it_is_answered_behind_it),
        cmocka_unit_test(while_nobody_binds_devices_are_told_to_come_again),
        cmocka_unit_test(who_does_not_answer_is_waited_for_5_s),
    };

    return SYS_GROUP_RUN(&group, tests);
}
