/*
 * The real program against a scripted gateway, or a scripted broker, in this process, in plain:
 * does it count what was answered, and only that, and does it fail for the right reasons?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include <gw/wire/frame.h>

#include "ledger.h"
#include "scripted_gateway.h"

enum { DEVICES = 8 };

static char folder[] = "/tmp/swarm-test-XXXXXX";
static char tokens_path[64], ledger_path[64], json_path[64], told_path[64];

static int make_folder(void **state)
{
    FILE *file;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(tokens_path, sizeof tokens_path, "%s/tokens", folder);
    snprintf(ledger_path, sizeof ledger_path, "%s/ledger", folder);
    snprintf(json_path, sizeof json_path, "%s/json", folder);
    snprintf(told_path, sizeof told_path, "%s/told", folder);
    file = fopen(tokens_path, "we");
    assert_non_null(file);
    for (int i = 0; i < DEVICES; i++)
        fprintf(file, "xw7ITVneg1DifRRQuPGcA7fJvV8-FA%02d\n", i);
    return fclose(file);
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(tokens_path);
    unlink(ledger_path);
    unlink(json_path);
    unlink(told_path);
    return rmdir(folder);
}

/* Runs a command line after "tollgate-bench"; returns its exit code. */
static int run(const char *arguments, uint16_t port)
{
    char command[1024];
    int status;

    snprintf(command, sizeof command,
             "exec '%s' %s --port %u --plain --tokens %s --json %s --quiet >/dev/null 2>&1",
             TOLLGATE_BENCH, arguments, port, tokens_path, json_path);
    status = system(command); /* NOLINT: fixed words and paths of our own */
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static json_int_t number(const char *group, const char *name)
{
    json_t *json = json_load_file(json_path, 0, NULL), *value;
    json_int_t result;

    assert_non_null(json);
    value = json_object_get(json_object_get(json, group), name);
    if (value == NULL) /* a cause that never came up is not listed */
        value = json_object_get(json_object_get(json_object_get(json, group), "failures"), name);
    result = json_integer_value(value);
    json_decref(json);
    return result;
}

/* One of the figures; NAN for null. */
static double figure(const char *name)
{
    json_t *json = json_load_file(json_path, 0, NULL), *value = json_object_get(json, name);
    double result = json_is_null(value) ? (double)NAN : json_number_value(value);

    assert_non_null(value);
    json_decref(json);
    return result;
}

static struct scripted_gateway gateway;

static void what_is_answered_is_acknowledged(void **state)
{
    struct swarm_ledger ledger;
    size_t bad_line;
    FILE *file;
    char arguments[256];

    (void)state;
    scripted_gateway_start(
        &gateway, (struct script){.login_status = 200, .pongs = UINT32_MAX, .byte_by_byte = true});
    snprintf(arguments, sizeof arguments, "publish --rate 200 --seconds 1 --ledger %s",
             ledger_path);
    assert_int_equal(run(arguments, gateway.port), 0);
    scripted_gateway_stop(&gateway);
    assert_true(number("total", "sent") > 100);
    assert_int_equal(number("total", "sent"), gateway.updates);
    assert_int_equal(number("total", "acked"), gateway.updates);
    assert_int_equal(number("total", "failed"), 0);
    assert_int_equal(number("total", "logins"), DEVICES);

    file = fopen(ledger_path, "re");
    assert_non_null(file);
    assert_int_equal(swarm_ledger_read(file, &ledger, &bad_line), 0);
    fclose(file);
    assert_int_equal(ledger.line_count, DEVICES);
    for (size_t i = 0; i < ledger.line_count; i++)
        assert_int_equal(ledger.lines[i].acked, ledger.lines[i].sent);
    swarm_ledger_fini(&ledger);
}

static void what_devices_are_told_is_shown(void **state)
{
    unsigned hello = 0, several = 0, longer = 0, lines = 0, devices = 0, number;
    char arguments[256], line[512], *text;
    FILE *file;

    (void)state;
    scripted_gateway_start(
        &gateway, (struct script){.login_status = 200, .pongs = UINT32_MAX, .tells = true});
    snprintf(arguments, sizeof arguments, "hold --seconds 1 --told %s", told_path);
    assert_int_equal(run(arguments, gateway.port), 0);
    scripted_gateway_stop(&gateway);
    file = fopen(told_path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        assert_int_equal(sscanf(line, "device %u ", &number), 1);
        assert_in_range(number, 1, DEVICES);
        devices |= 1u << number;
        text = strchr(line + sizeof "device", ' ');
        hello += strcmp(text, " is told V2 = hello\n") == 0;
        several += strcmp(text, " is told D7 = red, ?, \xc2\xb0\n") == 0;
        longer += strstr(text, " is told V3 = xxx") != NULL && strstr(text, "xxx...\n") != NULL;
        lines++;
    }
    fclose(file);
    assert_int_equal(devices, (1u << (DEVICES + 1)) - 2);
    assert_int_equal(hello, DEVICES);
    assert_int_equal(several, DEVICES);
    assert_int_equal(longer, DEVICES);
    assert_int_equal(lines, 3 * DEVICES);
    assert_int_equal(run("hold --seconds 1 --told /nowhere/told", gateway.port), 73);
}

static void without_an_answer_nothing_is_acknowledged(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 200, .pongs = 1});
    assert_int_equal(run("publish --rate 400 --seconds 1 --ping-every 5 --give-up 1", gateway.port),
                     0);
    scripted_gateway_stop(&gateway);
    assert_int_equal(number("total", "sent"), gateway.updates);
    assert_int_equal(number("total", "pongs"), DEVICES);
    assert_int_equal(number("total", "acked"), DEVICES * 5);
}

static void status_9_takes_devices_out_for_good(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 9});
    assert_int_equal(run("hold --seconds 2 --back-off 1 --give-up 1", gateway.port), 1);
    scripted_gateway_stop(&gateway);
    assert_int_equal(number("total", "attempts"), DEVICES);
    assert_int_equal(number("total", "login_9_invalid_token"), DEVICES);
}

static void any_other_refusal_brings_devices_back(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 6});
    assert_int_equal(run("hold --seconds 1 --back-off 1 --give-up 1", gateway.port), 1);
    scripted_gateway_stop(&gateway);
    assert_true(number("total", "login_6_not_allowed") > DEVICES);
}

static void a_gateway_that_hangs_up_is_counted_and_met_again(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 200, .frames = 4});
    assert_int_equal(run("publish --rate 100 --seconds 3 --back-off 1 --give-up 1", gateway.port),
                     0);
    scripted_gateway_stop(&gateway);
    assert_true(number("total", "closed_live") + number("total", "reset") > DEVICES);
    assert_true(number("total", "logins") > DEVICES);
    assert_true(number("total", "skipped") > 0);
}

static void a_frame_with_id_0_ends_a_session(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 200, .speaks_id_zero = true});
    assert_int_equal(run("hold --seconds 1 --devices 3 --back-off 1 --give-up 1", gateway.port), 0);
    scripted_gateway_stop(&gateway);
    assert_true(number("total", "bad_frame") >= 3);
}

static void heartbeats_come_when_they_are_due(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 200, .pongs = UINT32_MAX});
    assert_int_equal(run("hold --seconds 4 --heartbeat 1", gateway.port), 0);
    scripted_gateway_stop(&gateway);
    /* One is due a second, each within a tick of 64 ms after it. */
    assert_in_range(number("measured", "heartbeats"), 3 * DEVICES, 5 * DEVICES);
    assert_int_equal(number("total", "failed"), 0);
}

static void logins_come_at_their_rate(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 200});
    assert_int_equal(run("login --rate 50 --seconds 2", gateway.port), 0);
    scripted_gateway_stop(&gateway);
    /* A busy machine ends it late, and what was due until then has come. */
    assert_in_range(number("measured", "logins"), 90, 130);
    assert_int_equal(number("total", "failed"), 0);
}

static void a_storm_is_over_when_the_last_is_in(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 200, .pongs = UINT32_MAX});
    assert_int_equal(run("storm --give-up 1 --back-off 1", gateway.port), 0);
    scripted_gateway_stop(&gateway);
    assert_true(figure("sessions") == DEVICES);
    assert_true(figure("last_in_s") > 0 && figure("last_in_s") < 60);
    assert_int_equal(number("measured", "logins"), DEVICES);
    assert_int_equal(number("total", "churned"), 0);
}

static void who_is_cut_off_comes_back(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 200, .pongs = UINT32_MAX});
    assert_int_equal(run("storm --drop", gateway.port), 0);
    scripted_gateway_stop(&gateway);
    assert_int_equal(number("total", "churned"), DEVICES);
    assert_int_equal(number("measured", "logins"), DEVICES);
    assert_int_equal(number("total", "logins"), 2 * DEVICES);
    assert_true(figure("sessions") == DEVICES);
}

/* Stands for whoever restarts the gateway; here nobody is cut off. */
static void *answer_restart(void *context)
{
    char path[96];
    FILE *file;

    (void)context;
    snprintf(path, sizeof path, "%s/up", folder);
    while (access(path, F_OK) != 0)
        usleep(10000);
    (void)unlink(path);
    usleep(300000);
    snprintf(path, sizeof path, "%s/back", folder);
    file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, "%d\n", (int)getpid());
    assert_int_equal(fclose(file), 0);
    return NULL;
}

static void a_restart_is_asked_for_and_awaited(void **state)
{
    char arguments[128], path[96];
    pthread_t thread;

    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 200, .pongs = UINT32_MAX});
    assert_int_equal(pthread_create(&thread, NULL, answer_restart, NULL), 0);
    snprintf(arguments, sizeof arguments, "storm --restart %s", folder);
    assert_int_equal(run(arguments, gateway.port), 0);
    pthread_join(thread, NULL);
    scripted_gateway_stop(&gateway);
    assert_in_range(1000 * figure("away_s"), 300, 3000);
    assert_true(figure("sessions") == DEVICES);
    assert_int_equal(number("total", "churned"), 0);
    snprintf(path, sizeof path, "%s/back", folder);
    assert_int_equal(unlink(path), 0);

    scripted_gateway_start(&gateway, (struct script){.login_status = 200, .pongs = UINT32_MAX});
    snprintf(arguments, sizeof arguments, "storm --restart %s --seconds 1", folder);
    assert_int_equal(run(arguments, gateway.port), 0); /* nobody answers: it ends all the same */
    scripted_gateway_stop(&gateway);
    snprintf(path, sizeof path, "%s/up", folder);
    assert_int_equal(unlink(path), 0);
}

static void what_does_not_fit_together_is_refused(void **state)
{
    (void)state;
    assert_int_equal(run("storm --drop --restart /tmp", 9), 64);
    assert_int_equal(run("hold --restart /tmp", 9), 64);
    assert_int_equal(run("login --resume 50", 9), 64); /* in plain */
    assert_int_equal(run("login --resume 101", 9), 64);
    assert_int_equal(run("publish --pin 250 --pins 7", 9), 64);
    assert_int_equal(run("revoke --revoke 1", 9), 64);              /* of which index? */
    assert_int_equal(run("revoke --revoke 1 --index /tmp", 9), 64); /* more than a tenth of 8 */
    assert_int_equal(run("hold --revoke 1 --index /tmp", 9), 64);
    assert_int_equal(run("overload --settled 8", 9), 64);
    assert_int_equal(run("storm --settled 2", 9), 64);
}

static void a_storm_that_nobody_answers_has_no_end(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 6});
    assert_int_equal(run("storm --seconds 2 --give-up 1 --back-off 1", gateway.port), 1);
    scripted_gateway_stop(&gateway);
    assert_true(isnan(figure("last_in_s")));
    assert_true(figure("sessions") == 0);
    assert_true(figure("failed") >= 2 * DEVICES);
}

static void an_ordinary_day_has_updates_and_reconnects(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 200, .pongs = UINT32_MAX});
    assert_int_equal(run("mixed --seconds 2 --interval 0.25 --churn 8 --heartbeat 1", gateway.port),
                     0);
    scripted_gateway_stop(&gateway);
    assert_in_range(number("measured", "churned"), 14, 1 + (uintmax_t)(8 * figure("measured_s")));
    /* 32 a second: a busy machine measures a little longer than it was asked to. */
    assert_in_range(number("measured", "sent") + number("measured", "skipped"), 60,
                    1 + (uintmax_t)(32 * figure("measured_s")));
    assert_int_equal(number("total", "logins"), DEVICES + number("total", "churned"));
    assert_int_equal(number("total", "failed"), 0);
    assert_true(figure("updates_per_s") > 20 && figure("updates_per_s") < 33);
    assert_true(isnan(figure("last_in_s")));
}

/* A few at a time are the capacity; then all come at once, again and again, and two stay. */
static void an_overload_is_measured_beside_those_who_stay(void **state)
{
    enum { SETTLED = 2, CROWD = DEVICES - SETTLED };

    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 200, .pongs = UINT32_MAX});
    assert_int_equal(run("overload --settled 2 --seconds 3 --give-up 1 --back-off 1", gateway.port),
                     0);
    scripted_gateway_stop(&gateway);
    assert_true(figure("capacity_per_s") > CROWD);
    /* Each comes at once, and a second after it left. */
    assert_in_range(number("measured", "attempts"), 2 * CROWD, 4 * CROWD);
    /* But for those who were about to be let in when that began, or when it ended. */
    assert_in_range(number("measured", "logins"), number("measured", "attempts") - CROWD,
                    number("measured", "attempts") + CROWD);
    assert_in_range(number("measured", "heartbeats"), 2 * SETTLED, 4 * SETTLED);
    assert_true(figure("ping_p99_us") > 0);
    assert_true(figure("percent_of_capacity") > 0 && figure("percent_of_capacity") < 100);
    assert_int_equal(number("total", "failed"), 0);
}

static void nobody_listening_is_said(void **state)
{
    uint16_t port;

    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 200});
    port = gateway.port;
    scripted_gateway_stop(&gateway);
    assert_int_equal(run("hold --seconds 1 --devices 2 --back-off 2 --give-up 1", port), 1);
    assert_true(number("total", "connect_refused") >= 2);
}

static void threads_with_their_own_descriptors_share_the_work(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 200, .pongs = UINT32_MAX});
    assert_int_equal(run("publish --rate 300 --seconds 1 --threads 3", gateway.port), 0);
    scripted_gateway_stop(&gateway);
    assert_int_equal(number("total", "logins"), DEVICES);
    assert_int_equal(number("total", "acked"), gateway.updates);
}

/* Each device goes through them in turn. */
static void updates_are_spread_over_pins(void **state)
{
    enum { FIRST = 250, SPREAD = 6 };

    (void)state;
    scripted_gateway_start(&gateway, (struct script){.login_status = 200, .pongs = UINT32_MAX});
    assert_int_equal(run("publish --rate 400 --seconds 1 --pin 250 --pins 6", gateway.port), 0);
    scripted_gateway_stop(&gateway);
    assert_true(gateway.updates > 100);
    for (unsigned pin = 0; pin < PINS; pin++)
        if (pin < FIRST || pin >= FIRST + SPREAD)
            assert_int_equal(gateway.of_pin[pin], 0);
        else
            assert_in_range(gateway.of_pin[pin], gateway.updates / SPREAD - DEVICES,
                            gateway.updates / SPREAD + DEVICES);
    assert_int_equal(number("total", "acked"), gateway.updates);
}

static void a_broker_acknowledges_each_update_of_qos_1(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.is_broker = true});
    assert_int_equal(
        run("publish --protocol mqtt --rate 200 --seconds 1 --ping-every 1", gateway.port), 0);
    scripted_gateway_stop(&gateway);
    assert_true(gateway.updates > 50);
    assert_int_equal(gateway.asked, gateway.updates);
    assert_int_equal(number("total", "sent"), gateway.updates);
    assert_int_equal(number("total", "acked"), gateway.updates);
    assert_int_equal(number("total", "failed"), 0);
    assert_int_equal(gateway.goodbyes, DEVICES);
    assert_int_equal(gateway.strange, 0);
}

/*
 * Of nine updates every second one asks: the first is awaited, then the last that asked meanwhile,
 * which is the eighth. Nothing between them counts, nor what came after it.
 */
static void late_acknowledgements_are_not_counted_early(void **state)
{
    static const struct {
        unsigned acks;
        json_int_t acked;
    } cases[] = {{1, 2}, {2, 2}, {3, 2}, {4, 8}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        scripted_gateway_start(&gateway,
                               (struct script){.is_broker = true, .late_acks = cases[i].acks});
        assert_int_equal(run("publish --protocol mqtt --rate 200 --seconds 1 --ping-every 2 "
                             "--give-up 1",
                             gateway.port),
                         0);
        scripted_gateway_stop(&gateway);
        assert_int_equal(number("total", "acked"), cases[i].acked * DEVICES);
        assert_true(number("total", "merged") > 0);
    }
}

static void with_qos_0_only_pings_ask(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.is_broker = true});
    assert_int_equal(run("publish --protocol mqtt --rate 100 --seconds 3 --ping-every 0 "
                         "--heartbeat 1",
                         gateway.port),
                     0);
    scripted_gateway_stop(&gateway);
    assert_int_equal(gateway.asked, 0);
    assert_in_range(number("measured", "heartbeats"), 2 * DEVICES, 4 * DEVICES);
    assert_int_equal(number("total", "acked"), gateway.updates); /* by the last ping */
    assert_int_equal(number("total", "failed"), 0);
}

static void a_login_at_a_broker_ends_with_its_answer(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.is_broker = true});
    assert_int_equal(run("login --protocol mqtt --rate 50 --seconds 1", gateway.port), 0);
    scripted_gateway_stop(&gateway);
    assert_in_range(number("measured", "logins"), 20, 52);
    assert_int_equal(number("total", "logins"), gateway.goodbyes);
    assert_int_equal(number("total", "failed"), 0);
}

static void a_broker_refuses_for_the_reason_it_gives(void **state)
{
    (void)state;
    scripted_gateway_start(&gateway, (struct script){.is_broker = true, .connack = 5});
    assert_int_equal(run("hold --protocol mqtt --seconds 1 --back-off 1 --give-up 1", gateway.port),
                     1);
    scripted_gateway_stop(&gateway);
    assert_true(number("total", "login_6_not_allowed") >= DEVICES);
    assert_int_equal(run("hold --protocol mqtt --seconds 1 --ledger /dev/null", 9), 64);
}

/* A question for the login, and one each heartbeat, all on one connection. */
static void clients_of_http_keep_their_connections(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse";

    (void)state;
    scripted_gateway_start(&gateway, (struct script){.http = answer});
    assert_int_equal(run("hold --protocol http --seconds 4 --heartbeat 1", gateway.port), 0);
    scripted_gateway_stop(&gateway);
    assert_int_equal(number("total", "logins"), DEVICES);
    assert_int_equal(number("total", "attempts"), DEVICES);
    assert_in_range(number("measured", "heartbeats"), 3 * DEVICES, 5 * DEVICES);
    assert_int_equal(number("total", "failed"), 0);
    assert_int_equal(gateway.asked, number("total", "logins") + number("total", "pings"));
    assert_int_equal(gateway.strange, 0);
    assert_int_equal(run("publish --protocol http --seconds 1", 9), 64);
}

static void clients_of_http_with_a_wrong_token_stay_out(void **state)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}";

    (void)state;
    scripted_gateway_start(&gateway, (struct script){.http = answer});
    assert_int_equal(run("hold --protocol http --seconds 1 --give-up 1", gateway.port), 1);
    scripted_gateway_stop(&gateway);
    assert_int_equal(number("total", "login_9_invalid_token"), DEVICES);
}

static void strangers_are_not_loaded(void **state)
{
    (void)state;
    assert_int_equal(run("hold --host 192.0.2.1 --seconds 1", 9), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_answered_is_acknowledged),
        cmocka_unit_test(what_devices_are_told_is_shown),
        cmocka_unit_test(without_an_answer_nothing_is_acknowledged),
        cmocka_unit_test(status_9_takes_devices_out_for_good),
        cmocka_unit_test(any_other_refusal_brings_devices_back),
        cmocka_unit_test(a_gateway_that_hangs_up_is_counted_and_met_again),
        cmocka_unit_test(a_frame_with_id_0_ends_a_session),
        cmocka_unit_test(heartbeats_come_when_they_are_due),
        cmocka_unit_test(logins_come_at_their_rate),
        cmocka_unit_test(a_storm_is_over_when_the_last_is_in),
        cmocka_unit_test(who_is_cut_off_comes_back),
        cmocka_unit_test(a_restart_is_asked_for_and_awaited),
        cmocka_unit_test(what_does_not_fit_together_is_refused),
        cmocka_unit_test(a_storm_that_nobody_answers_has_no_end),
        cmocka_unit_test(an_ordinary_day_has_updates_and_reconnects),
        cmocka_unit_test(an_overload_is_measured_beside_those_who_stay),
        cmocka_unit_test(nobody_listening_is_said),
        cmocka_unit_test(threads_with_their_own_descriptors_share_the_work),
        cmocka_unit_test(updates_are_spread_over_pins),
        cmocka_unit_test(a_broker_acknowledges_each_update_of_qos_1),
        cmocka_unit_test(late_acknowledgements_are_not_counted_early),
        cmocka_unit_test(with_qos_0_only_pings_ask),
        cmocka_unit_test(a_login_at_a_broker_ends_with_its_answer),
        cmocka_unit_test(a_broker_refuses_for_the_reason_it_gives),
        cmocka_unit_test(clients_of_http_keep_their_connections),
        cmocka_unit_test(clients_of_http_with_a_wrong_token_stay_out),
        cmocka_unit_test(strangers_are_not_loaded),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
