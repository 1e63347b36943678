/*
 * The gateway as its operator meets it: command line, configuration file, exit codes, signals and
 * the admin port.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/x509.h>

#include "harness.h"

enum {
    SOON_MS = 5000,
    /* sysexits.h, as `tollgate --help` lists them */
    EXIT_USAGE = 2,
    EXIT_UNAVAILABLE = 69,
    EXIT_BUSY = 75,
    EXIT_CONFIG = 78,
};

static struct sys_gateway gateway;
static struct sys_device device;

/* tollgate with these arguments (a NULL ends them), run to its end. */
static struct sys_output tollgate(const char *first, ...) __attribute__((sentinel));

static struct sys_output tollgate(const char *first, ...)
{
    const char *argv[12] = {TOLLGATE, first};
    struct sys_output output;
    size_t count = 2;
    va_list list;

    va_start(list, first);
    while (count < GW_ARRAY_COUNT(argv) && (argv[count] = va_arg(list, const char *)) != NULL)
        count++;
    va_end(list);
    sys_check(&gateway, sys_run(argv, NULL, &output), "cannot run %s", argv[0]);
    return output;
}

static char *file_in_dir(const char *name, const char *text)
{
    char *path = sys_text("%s/%s", gateway.dir, name);

    sys_check(&gateway, sys_file_write(path, text), "%s: %s", path, strerror(errno));
    return path;
}

static void expect_text(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        sys_fail(&gateway, __FILE__, __LINE__, "no \"%s\" in:\n%s", part, text);
}

/* ---- the file ---- */

static void check_reports_all_errors_at_once(void **state)
{
    char *path = file_in_dir("bad.conf", "shards = 2;\n"
                                         "sesions_per_shard = 100;\n"
                                         "login_s_max = 100000;\n"
                                         "tls: { profile = \"ancient\"; };\n"
                                         "heartbeat: { min_s = \"soon\"; };\n"
                                         "listeners = ( { address = \"127.0.0.1:0\"; } );\n");
    struct sys_output output = tollgate("--config", path, "-t", NULL);

    (void)state;
    assert_int_equal(output.exit_code, EXIT_CONFIG);
    expect_text(output.err, "bad.conf:2");
    expect_text(output.err, "sessions_per_shard"); /* did you mean */
    expect_text(output.err, "bad.conf:3");
    expect_text(output.err, "bad.conf:4");
    expect_text(output.err, "bad.conf:5");
    sys_output_release(&output);

    output = tollgate("--config", path, NULL); /* what cannot be checked cannot be run */
    assert_int_equal(output.exit_code, EXIT_CONFIG);
    expect_text(output.err, "bad.conf:2");
    sys_output_release(&output);
    free(path);
}

static void check_accepts_what_runs(void **state)
{
    struct sys_output output = tollgate("--config", gateway.config_path, "-t", NULL);

    (void)state;
    sys_check(&gateway, output.exit_code == 0, "exit code %d: %s", output.exit_code, output.err);
    sys_output_release(&output);
}

static void check_opens_the_certificates(void **state)
{
    char *path = sys_text("%s/other.conf", gateway.dir);
    char *text = sys_file_text(gateway.config_path), *key = strstr(text, "rsa.key"), *changed;
    struct sys_output output;

    (void)state;
    assert_non_null(key);
    *key = '\0'; /* the EC key for the RSA leaf */
    changed = sys_text("%sec.key%s", text, key + strlen("rsa.key"));
    sys_check(&gateway, sys_file_write(path, changed), "%s", path);
    free(changed);
    output = tollgate("--config", path, "-t", NULL);
    assert_int_equal(output.exit_code, EXIT_CONFIG);
    expect_text(output.err, "ec.key");
    sys_output_release(&output);
    free(text);
    free(path);
}

static void a_dump_is_a_configuration_that_dumps_the_same(void **state)
{
    struct sys_output first = tollgate("--config", gateway.config_path, "--dump-config", NULL);
    struct sys_output check, second;
    char *path;

    (void)state;
    assert_int_equal(first.exit_code, 0);
    expect_text(first.out, "sessions_per_shard = 2048");
    path = file_in_dir("dumped.conf", first.out);
    check = tollgate("--config", path, "-t", NULL);
    sys_check(&gateway, check.exit_code == 0, "exit code %d: %s", check.exit_code, check.err);
    second = tollgate("--config", path, "--dump-config", NULL);
    assert_int_equal(second.exit_code, 0);
    assert_string_equal(first.out, second.out);
    sys_output_release(&first);
    sys_output_release(&check);
    sys_output_release(&second);
    free(path);
}

static void usage_errors_exit_with_2(void **state)
{
    static const char *const arguments[][2] = {
        {"--nonsense", NULL}, {"surplus", NULL}, {"--config", NULL}, {"-t", NULL}};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(arguments); i++) {
        struct sys_output output = tollgate(arguments[i][0], NULL);

        assert_int_equal(output.exit_code, EXIT_USAGE);
        expect_text(output.err, "tollgate --help");
        sys_output_release(&output);
    }
}

static void version_and_probe_say_what_is_there(void **state)
{
    struct sys_output output = tollgate("--version", NULL);

    (void)state;
    assert_int_equal(output.exit_code, 0);
    expect_text(output.out, "tollgate ");
    expect_text(output.out, "BoringSSL");
    expect_text(output.out, "liburing");
    expect_text(output.out, "LMDB");
    sys_output_release(&output);
    output = tollgate("--probe", NULL);
    assert_int_equal(output.exit_code, 0);
    expect_text(output.out, "feature");
    sys_output_release(&output);
}

static void a_missing_file_is_named(void **state)
{
    struct sys_output output = tollgate("--config", "/nonexistent/tollgate.conf", NULL);

    (void)state;
    assert_int_equal(output.exit_code, EXIT_CONFIG);
    expect_text(output.err, "/nonexistent/tollgate.conf");
    sys_output_release(&output);
}

static void a_missing_index_is_named_with_its_cure(void **state)
{
    char *text = sys_file_text(gateway.config_path), *index = strstr(text, "\"index\""), *changed;
    struct sys_output output;
    char *path;

    (void)state;
    assert_non_null(index);
    *index = '\0';
    changed = sys_text("%s\"nowhere\"%s", text, index + strlen("\"index\""));
    path = file_in_dir("noindex.conf", changed);
    free(changed);
    output = tollgate("--config", path, NULL);
    assert_int_equal(output.exit_code, EXIT_UNAVAILABLE);
    expect_text(output.err, "nowhere");
    expect_text(output.err, "tollgatectl index init");
    sys_output_release(&output);
    free(path);
    free(text);
}

/* ---- the running process ---- */

static void a_busy_port_is_named(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint16_t plain = gateway.plain_port;
    struct sys_output output;
    char *port;

    (void)state;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    gateway.plain_port = ntohs(address.sin_port);
    sys_gateway_configure(&gateway, NULL);
    gateway.plain_port = plain;
    output = tollgate("--config", gateway.config_path, NULL);
    port = sys_text("127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(output.exit_code, EXIT_BUSY);
    expect_text(output.err, port);
    sys_output_release(&output);
    free(port);
    close(fd);
    sys_gateway_configure(&gateway, NULL);
}

/* Two gateways on one port would share its devices without a word: SO_REUSEPORT allows it. */
static void a_second_gateway_does_not_start(void **state)
{
    struct sys_output output;
    char *port;

    (void)state;
    sys_gateway_start(&gateway);
    sys_gateway_configure(&gateway, NULL); /* now with the ports that the first one has */
    output = tollgate("--config", gateway.config_path, NULL);
    port = sys_text("127.0.0.1:%u", gateway.plain_port);
    assert_int_equal(output.exit_code, EXIT_BUSY);
    expect_text(output.err, port);
    sys_output_release(&output);
    free(port);
    sys_gateway_stop(&gateway);
}

/* Other ports, but the same log: it has one writer. */
static void a_log_has_one_writer(void **state)
{
    struct sys_output output;

    (void)state;
    sys_gateway_start(&gateway);
    gateway.plain_port = gateway.tls_port = 0;
    sys_gateway_configure(&gateway, NULL);
    output = tollgate("--config", gateway.config_path, NULL);
    assert_int_equal(output.exit_code, EXIT_BUSY);
    expect_text(output.err, "journal");
    sys_output_release(&output);
    sys_gateway_stop(&gateway);
}

static void admin_pages_answer(void **state)
{
    struct sys_client c;
    char *body;

    (void)state;
    sys_gateway_start(&gateway);
    assert_int_equal(sys_admin_get(&gateway, "/livez", NULL), 200);
    assert_int_equal(sys_admin_get(&gateway, "/readyz", NULL), 200);
    assert_int_equal(sys_admin_get(&gateway, "/nothing", NULL), 404);
    assert_int_equal((int)sys_metric(&gateway, "tollgate_sessions_live"), 0);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_login(&c, device.token, GW_RESPONSE_OK));
    sys_must(&gateway, &c, sys_client_ping(&c, 2));
    assert_int_equal((int)sys_metric(&gateway, "tollgate_sessions_live"), 1);
    assert_int_equal((int)sys_metric(&gateway, "tollgate_logins_total"), 1);
    assert_true(sys_metric(&gateway, "tollgate_pings_total") >= 1);
    assert_true(sys_metric(&gateway, "tollgate_index_authoritative") == 1);

    assert_int_equal(sys_admin_get(&gateway, "/metrics", &body), 200);
    assert_null(strstr(body, device.token)); /* a page for many eyes */
    expect_text(body, "# TYPE tollgate_logins_total counter");
    free(body);
    sys_client_close(&c);
    for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);
         sys_metric(&gateway, "tollgate_sessions_live") > 0;)
        sys_check(&gateway, sys_now_ms() < deadline, "the session is still counted");
    sys_gateway_stop(&gateway);
}

/* The serial number of the certificate that a new TLS 1.3 connection is shown, in hexadecimal. */
static char *shown_serial(struct sys_client *c)
{
    X509 *leaf = SSL_get_peer_certificate(c->ssl);
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get_serialNumber(leaf), NULL);
    char *hex = BN_bn2hex(number), *copy = strdup(hex);

    OPENSSL_free(hex);
    BN_free(number);
    X509_free(leaf);
    return copy;
}

static char *new_connections_serial(void)
{
    struct sys_client c;
    char *serial;

    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    serial = shown_serial(&c);
    sys_client_close(&c);
    return serial;
}

static void sighup_takes_new_certificates_and_keeps_sessions(void **state)
{
    struct sys_client old;
    char *before, *after;

    (void)state;
    sys_gateway_start(&gateway);
    sys_must(&gateway, &old, sys_connect(&gateway, &old, SYS_TLS13));
    sys_must(&gateway, &old, sys_client_login(&old, device.token, GW_RESPONSE_OK));
    before = shown_serial(&old);
    /* The same CA, new leaves. */
    free(sys_ctl(&gateway, NULL, "dev-cert", "--host", "127.0.0.1", "--out", gateway.dir, "--force",
                 NULL));
    kill(gateway.pid, SIGHUP);
    free(sys_gateway_log_wait(&gateway, "reloaded", 0, NULL));
    after = new_connections_serial();
    assert_string_not_equal(before, after);
    sys_must(&gateway, &old, sys_client_ping(&old, 2)); /* who is in stays in */
    sys_client_close(&old);
    free(before);
    free(after);
    sys_gateway_stop(&gateway);
}

static void sighup_refuses_bad_certificates_whole(void **state)
{
    static const char *const bad[] = {"", "-----BEGIN CERTIFICATE-----\nAAAA\n", "no PEM at all\n"};
    char *chain = sys_text("%s/ec.pem", gateway.dir);
    char *good = sys_file_text(chain), *before, *after;

    (void)state;
    sys_gateway_start(&gateway);
    before = new_connections_serial();
    for (unsigned i = 0; i < GW_ARRAY_COUNT(bad); i++) {
        char *error;

        sys_check(&gateway, sys_file_write(chain, bad[i]), "%s", chain);
        kill(gateway.pid, SIGHUP);
        error = sys_gateway_log_wait(&gateway, "reload_refused", i, "error");
        expect_text(error, "ec.pem");
        after = new_connections_serial();
        assert_string_equal(before, after);
        free(error);
        free(after);
    }
    sys_check(&gateway, sys_file_write(chain, good), "%s", chain);
    kill(gateway.pid, SIGHUP);
    free(sys_gateway_log_wait(&gateway, "reloaded", 0, NULL));
    sys_gateway_stop(&gateway);
    free(before);
    free(good);
    free(chain);
}

static void no_token_reaches_the_log(void **state)
{
    struct sys_client c;
    char *log;

    (void)state;
    gateway.options.debug = true;
    sys_gateway_configure(&gateway, NULL);
    sys_gateway_start(&gateway);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    sys_must(&gateway, &c, sys_client_login(&c, device.token, GW_RESPONSE_OK));
    sys_client_close(&c);
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    sys_must(&gateway, &c,
             sys_client_login(&c, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", GW_RESPONSE_INVALID_TOKEN));
    sys_client_close(&c);
    sys_gateway_stop(&gateway);
    log = sys_gateway_log(&gateway);
    assert_null(strstr(log, device.token));
    assert_null(strstr(log, "AAAAAAAAAAAAAAAA"));
    free(log);
}

static const struct sys_gateway_options options = {.shards = 2};

static int set_up(void **state)
{
    (void)state;
    sys_gateway_create(&gateway, &options);
    sys_devices_add(&gateway, SYS_PRODUCT, &device, 1);
    return 0;
}

/* Each test begins with a gateway that does not run and a configuration that is good. */
static int restore(void **state)
{
    (void)state;
    if (gateway.pid != 0)
        sys_gateway_kill(&gateway);
    gateway.plain_port = gateway.tls_port = 0;
    sys_gateway_configure(&gateway, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sys_gateway_destroy(&gateway);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(check_reports_all_errors_at_once, restore),
        cmocka_unit_test_teardown(check_accepts_what_runs, restore),
        cmocka_unit_test_teardown(check_opens_the_certificates, restore),
        cmocka_unit_test_teardown(a_dump_is_a_configuration_that_dumps_the_same, restore),
        cmocka_unit_test_teardown(usage_errors_exit_with_2, restore),
        cmocka_unit_test_teardown(version_and_probe_say_what_is_there, restore),
        cmocka_unit_test_teardown(a_missing_file_is_named, restore),
        cmocka_unit_test_teardown(a_missing_index_is_named_with_its_cure, restore),
        cmocka_unit_test_teardown(a_busy_port_is_named, restore),
        cmocka_unit_test_teardown(a_second_gateway_does_not_start, restore),
        cmocka_unit_test_teardown(a_log_has_one_writer, restore),
        cmocka_unit_test_teardown(admin_pages_answer, restore),
        cmocka_unit_test_teardown(sighup_takes_new_certificates_and_keeps_sessions, restore),
        cmocka_unit_test_teardown(sighup_refuses_bad_certificates_whole, restore),
        cmocka_unit_test_teardown(no_token_reaches_the_log, restore),
    };

    return cmocka_run_group_tests_name("config", tests, set_up, tear_down);
}
