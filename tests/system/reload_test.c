/*
 * Certificates and ticket keys are read again under load, good ones and bad ones: no session ends,
 * no handshake fails, and what is bad is refused whole.
 *
 *     system_reload                 a few reloads
 *     system_reload --reloads 1000  as many
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/x509.h>

#include "harness.h"
#include "long_run.h"

enum {
    SOON_MS = 10000,
    SETS = 3, /* of certificates, of one CA */
    FILES = 4,
    STAYING = 8,  /* devices that stay connected                */
    COMING = 2,   /* threads that connect, log in, leave, again */
    RELOADS = 24, /* without --reloads                          */
    GROWTH_AT = 200,
};

static const char *const names[FILES] = {"rsa.pem", "rsa.key", "ec.pem", "ec.key"};

static struct sys_gateway gateway;
static struct sys_device devices[STAYING + COMING];
static char *sets[SETS][FILES];
static uint64_t reloads = RELOADS;

/* ---- files ---- */

/* As every tool that renews certificates should: written aside, then renamed. */
static void put(const char *name, const char *text)
{
    char *path = sys_text("%s/%s", gateway.dir, name), *aside = sys_text("%s.new", path);

    sys_check(&gateway, sys_file_write(aside, text), "%s: %s", aside, strerror(errno));
    sys_check(&gateway, rename(aside, path) == 0, "%s: %s", path, strerror(errno));
    free(aside);
    free(path);
}

static void put_set(unsigned set)
{
    for (size_t i = 0; i < FILES; i++)
        put(names[i], sets[set][i]);
}

/* One of the ways to do it wrong, over a good set. */
static void spoil(unsigned way, unsigned set)
{
    char *cut;

    switch (way % 5) {
    case 0: /* the key of another certificate */
        put("rsa.key", sets[(set + 1) % SETS][1]);
        break;
    case 1: /* half of the file */
        cut = strndup(sets[set][2], strlen(sets[set][2]) / 2);
        put("ec.pem", cut);
        free(cut);
        break;
    case 2:
        put("ec.key", "");
        break;
    case 3: /* each other's */
        put("rsa.pem", sets[set][2]);
        put("rsa.key", sets[set][3]);
        break;
    default: /* gone */
        cut = sys_text("%s/rsa.pem", gateway.dir);
        (void)unlink(cut);
        free(cut);
        break;
    }
}

static void make_sets(void)
{
    for (unsigned set = 0; set < SETS; set++) {
        free(sys_ctl(&gateway, NULL, "dev-cert", "--host", "127.0.0.1", "--out", gateway.dir,
                     "--force", NULL));
        for (size_t i = 0; i < FILES; i++) {
            char *path = sys_text("%s/%s", gateway.dir, names[i]);

            sets[set][i] = sys_file_text(path);
            free(path);
        }
    }
}

/* ---- what the gateway says ---- */

static unsigned done(void)
{
    return (unsigned)sys_metric(&gateway, "tollgate_reloads_total");
}

static unsigned refused(void)
{
    return (unsigned)sys_metric(&gateway, "tollgate_reloads_refused_total");
}

static void wait_until(unsigned (*count)(void), unsigned expected)
{
    for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS); count() != expected; sys_pause_ms(2))
        sys_check(&gateway, sys_now_ms() < deadline, "%u reloads, expected %u", count(), expected);
}

static char *shown_serial(void)
{
    struct sys_client c;
    char *serial, *copy;
    BIGNUM *number;
    X509 *leaf;

    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_TLS13));
    leaf = SSL_get_peer_certificate(c.ssl);
    number = ASN1_INTEGER_to_BN(X509_get_serialNumber(leaf), NULL);
    serial = BN_bn2hex(number);
    copy = strdup(serial);
    OPENSSL_free(serial);
    BN_free(number);
    X509_free(leaf);
    sys_client_close(&c);
    return copy;
}

/* ---- load ---- */

struct comer {
    pthread_t thread;
    const struct sys_device *device;
    atomic_uint logins;
    char failure[1100]; /* with what a client says of it */
};

static atomic_bool enough;

static void *come_and_go(void *argument)
{
    struct comer *comer = argument;

    for (unsigned i = 0; !atomic_load(&enough) && comer->failure[0] == '\0'; i++) {
        struct sys_client c;

        if (!sys_connect(&gateway, &c, i % 2 == 0 ? SYS_TLS13 : SYS_TLS12) ||
            !sys_client_login(&c, comer->device->token, GW_RESPONSE_OK) || !sys_client_ping(&c, 2))
            (void)snprintf(comer->failure, sizeof comer->failure, "login %u: %s", i, c.failure);
        sys_client_close(&c);
        atomic_fetch_add(&comer->logins, 1);
    }
    return NULL;
}

static long resident_kib(void)
{
    char *path = sys_text("/proc/%d/status", (int)gateway.pid);
    char *text = sys_file_text(path);
    const char *at = strstr(text, "VmRSS:");
    long kib = at == NULL ? 0 : strtol(at + strlen("VmRSS:"), NULL, 10);

    free(text);
    free(path);
    return kib;
}

/* Every third time with bad files, then with good ones again. */
static void reload_many_times(void)
{
    unsigned bad = 0;
    long before = 0;

    for (uint64_t i = 0; i < reloads; i++) {
        if (i == reloads / 2)
            before = resident_kib();
        put_set(i % SETS);
        if (i % 3 == 2)
            spoil(bad++, i % SETS);
        kill(gateway.pid, SIGHUP);
        wait_until(i % 3 == 2 ? refused : done, i % 3 == 2 ? bad : i + 1 - bad);
    }
    if (reloads >= GROWTH_AT)
        sys_check(&gateway, resident_kib() < before + before / 10, "%ld KiB, then %ld", before,
                  resident_kib());
}

static void reloads_end_no_session_and_fail_no_handshake(void **state)
{
    struct sys_client staying[STAYING];
    struct comer comers[COMING] = {{.failure = ""}};

    (void)state;
    /* Time enough for a signal each; what the watch sees is another test's. */
    gateway.options.tls = "watch = false;";
    sys_gateway_configure(&gateway, NULL);
    sys_gateway_start(&gateway);
    for (size_t i = 0; i < STAYING; i++) {
        sys_must(&gateway, &staying[i],
                 sys_connect(&gateway, &staying[i], i % 2 == 0 ? SYS_TLS13 : SYS_TLS12));
        sys_must(&gateway, &staying[i],
                 sys_client_login(&staying[i], devices[i].token, GW_RESPONSE_OK));
        /* Longer than this takes: nobody answers for them meanwhile. */
        sys_must(&gateway, &staying[i],
                 sys_client_send_frame(&staying[i], GW_FRAME_INTERNAL, 2, "h-beat\0003600", 11));
        sys_must(&gateway, &staying[i],
                 sys_client_expect_response(&staying[i], 2, GW_RESPONSE_OK, sys_ms(SOON_MS)));
    }
    atomic_store(&enough, false);
    for (size_t i = 0; i < COMING; i++) {
        comers[i].device = &devices[STAYING + i];
        assert_int_equal(pthread_create(&comers[i].thread, NULL, come_and_go, &comers[i]), 0);
    }
    reload_many_times();
    atomic_store(&enough, true);
    for (size_t i = 0; i < COMING; i++) {
        assert_int_equal(pthread_join(comers[i].thread, NULL), 0);
        sys_check(&gateway, comers[i].failure[0] == '\0', "%s", comers[i].failure);
        assert_true(atomic_load(&comers[i].logins) > 0);
    }
    for (size_t i = 0; i < STAYING; i++) {
        sys_must(&gateway, &staying[i], sys_client_ping(&staying[i], 9));
        sys_client_close(&staying[i]);
    }
    put_set(0);
    sys_gateway_stop(&gateway);
}

/* ---- by itself ---- */

static void new_files_are_noticed(void **state)
{
    char *before, *after;

    (void)state;
    put_set(0);
    sys_gateway_start(&gateway);
    before = shown_serial();
    put_set(1);
    wait_until(done, 1);
    after = shown_serial();
    assert_string_not_equal(before, after);
    free(before);

    /* Bad ones are refused once, and mended ones noticed. */
    spoil(2, 1);
    wait_until(refused, 1);
    before = shown_serial();
    assert_string_equal(before, after);
    sys_pause_ms(2500);
    assert_int_equal(refused(), 1);
    put_set(2);
    wait_until(done, 2);
    free(after);
    after = shown_serial();
    assert_string_not_equal(before, after);
    free(before);
    free(after);
    sys_gateway_stop(&gateway);
}

/* A folder that is swapped below links, as Kubernetes does: no file of that name is ever written.
 */
static void a_folder_behind_links_is_noticed(void **state)
{
    char *link_path = sys_text("%s/current", gateway.dir);
    char *aside = sys_text("%s/current.new", gateway.dir);
    char *folders[2], *before, *after;

    (void)state;
    for (unsigned set = 0; set < 2; set++) {
        folders[set] = sys_text("%s/set-%u", gateway.dir, set);
        assert_int_equal(mkdir(folders[set], 0700), 0);
        for (size_t i = 0; i < FILES; i++) {
            char *name = sys_text("set-%u/%s", set, names[i]);

            put(name, sets[set][i]);
            free(name);
        }
    }
    assert_int_equal(symlink("set-0", link_path), 0);
    for (size_t i = 0; i < FILES; i++) {
        char *path = sys_text("%s/%s", gateway.dir, names[i]);
        char *to = sys_text("current/%s", names[i]);

        (void)unlink(path);
        assert_int_equal(symlink(to, path), 0);
        free(to);
        free(path);
    }
    sys_gateway_start(&gateway);
    before = shown_serial();
    assert_int_equal(symlink("set-1", aside), 0);
    assert_int_equal(rename(aside, link_path), 0);
    wait_until(done, 1);
    after = shown_serial();
    assert_string_not_equal(before, after);
    sys_gateway_stop(&gateway);
    put_set(0); /* files again, in place of the links */
    free(before);
    free(after);
    free(folders[0]);
    free(folders[1]);
    free(aside);
    free(link_path);
}

static void rotated_ticket_keys_are_noticed(void **state)
{
    char *keys = sys_text("%s/ticket-keys", gateway.dir);
    char *since, *again;

    (void)state;
    free(sys_ctl(&gateway, NULL, "ticket-keys", "init", keys, NULL));
    gateway.options.tls = "ticket_keys = \"ticket-keys\";";
    sys_gateway_configure(&gateway, NULL);
    sys_gateway_start(&gateway);
    free(sys_ctl(&gateway, NULL, "ticket-keys", "rotate", "--now", keys, NULL));
    wait_until(done, 1);
    since = sys_gateway_log_wait(&gateway, "reloaded", 0, "what");
    assert_string_equal(since, "ticket_keys");
    free(since);
    assert_int_equal(chmod(keys, 0644), 0); /* not for others to read */
    wait_until(refused, 1);
    again = sys_gateway_log_wait(&gateway, "reload_refused", 0, "what");
    assert_string_equal(again, "ticket_keys");
    free(again);
    sys_gateway_stop(&gateway);
    free(keys);
}

static int set_up(void **state)
{
    static const struct sys_gateway_options options = {.shards = 2};

    (void)state;
    sys_gateway_create(&gateway, &options);
    sys_devices_add(&gateway, SYS_PRODUCT, devices, GW_ARRAY_COUNT(devices));
    make_sets();
    return 0;
}

static int restore(void **state)
{
    (void)state;
    if (gateway.pid != 0)
        sys_gateway_kill(&gateway);
    gateway.options.tls = NULL;
    sys_gateway_configure(&gateway, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sys_gateway_destroy(&gateway);
    for (unsigned set = 0; set < SETS; set++)
        for (size_t i = 0; i < FILES; i++)
            free(sets[set][i]);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct long_run_option numbers[] = {{"reloads", &reloads}};
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(reloads_end_no_session_and_fail_no_handshake, restore),
        cmocka_unit_test_teardown(new_files_are_noticed, restore),
        cmocka_unit_test_teardown(a_folder_behind_links_is_noticed, restore),
        cmocka_unit_test_teardown(rotated_ticket_keys_are_noticed, restore),
    };

    if (long_run_read(argc, argv, numbers, GW_ARRAY_COUNT(numbers), 0,
                      "system_reload [--reloads N]") < 0)
        return 64;
    return cmocka_run_group_tests_name("reload", tests, set_up, tear_down);
}
