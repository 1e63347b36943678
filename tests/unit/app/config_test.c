/*
 * The configuration: what loads, what is refused and with which words, and that the dump and the
 * manual say what the table says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gw/app/config.h>

/* libconfig 1.5 does not free the string it was reading when a file ends inside of it. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig";
}

static char folder[] = "/tmp/gw_config_test.XXXXXX";
static char file[128];
static struct gw_config config;
static struct gw_config_errors errors;

#define PLAIN "listeners = ( { address = \"127.0.0.1:0\"; tls = false; } );\n"

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(file, sizeof file, "%s/tollgate.conf", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(folder);
}

static int load_bytes(const char *text, size_t bytes)
{
    FILE *out = fopen(file, "w");

    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, bytes, out), bytes);
    assert_int_equal(fclose(out), 0);
    return gw_config_load(file, &config, &errors);
}

static int load(const char *text)
{
    return load_bytes(text, strlen(text));
}

static void assert_loads(const char *text)
{
    int err = load(text);

    for (uint32_t i = 0; i < errors.count; i++)
        print_error("%s\n", errors.rows[i].text);
    assert_int_equal(err, 0);
    assert_int_equal(errors.count, 0);
}

/* The one error, with its place in front. */
static void assert_refused(const char *text, uint32_t line, const char *words)
{
    char expected[2 * GW_CONFIG_ERROR_BYTES];

    if (load(text) == 0)
        fail_msg("loads, but should say: %s", words);
    for (uint32_t i = 1; i < errors.count; i++)
        print_error("and: %s\n", errors.rows[i].text);
    assert_int_equal(errors.count, 1);
    assert_int_equal(errors.rows[0].line, line);
    if (line == 0)
        snprintf(expected, sizeof expected, "%s: %s", file, words);
    else
        snprintf(expected, sizeof expected, "%s:%u: %s", file, line, words);
    assert_string_equal(errors.rows[0].text, expected);
    gw_config_free(&config); /* holds nothing: freeing it again must be harmless */
}

static void an_empty_file_with_a_plain_listener_gives_the_defaults(void **state)
{
    (void)state;
    assert_loads(PLAIN);
    assert_int_equal(config.shards, 0);
    assert_int_equal(config.sessions_per_shard, 8192);
    assert_int_equal(config.journal_bytes_max, UINT64_C(17179869184));
    assert_int_equal(config.tls_profile, GW_TLS_MODERN);
    assert_int_equal(config.log_level, GW_LOG_INFO);
    assert_string_equal(config.admin_listen, "127.0.0.1:9480");
    assert_null(config.tls_rsa_chain);
    assert_null(config.index_pepper);
    assert_int_equal(config.ring_disable.count, 0);
    assert_int_equal(config.listener_count, 1);
    assert_false(config.listeners_are_default);
    assert_false(config.listeners[0].tls);
    gw_config_free(&config);
    gw_config_free(&config);
}

static void every_kind_of_parameter_is_read(void **state)
{
    (void)state;
    assert_loads(
        "shards = 3; // comment\n"
        "listeners = ( { address = \"0.0.0.0:9443\"; }, # another\n"
        "              { address = \"[::1]:8080\"; tls = false;\n"
        "                proxy_from = [\"10.0.0.0/8\", \"::1\"]; } );\n"
        "tls = { profile = \"compat\"; ec_chain = \"certs/ec.pem\"; ec_key = \"/k.pem\"; };\n"
        "ring : { receive_buffers = 64; disable = [ \"msg_ring\" ]; };\n"
        "admin = { listen = \"[::]:0\"; allow_remote = true; };\n"
        "log = { format = \"json\"; level = \"debug\"; };\n"
        "tcp = { congestion = \"cu\" \"bic\"; };\n"
        "index = { high_water = \"\"; };\n");
    assert_int_equal(config.shards, 3);
    assert_int_equal(config.listener_count, 2);
    assert_true(config.listeners[0].tls);
    assert_int_equal(config.listeners[0].address.storage.ss_family, AF_INET);
    assert_int_equal(gw_address_port(&config.listeners[0].address), 9443);
    assert_false(config.listeners[1].tls);
    assert_int_equal(config.listeners[1].address.storage.ss_family, AF_INET6);
    assert_int_equal(config.listeners[0].proxy_count, 0);
    assert_int_equal(config.listeners[1].proxy_count, 2);
    assert_int_equal(config.listeners[1].proxy_from[0].bits, 8);
    assert_true(config.listeners[1].proxy_from[1].is_v6);
    assert_int_equal(config.tls_profile, GW_TLS_COMPAT);
    assert_string_equal(config.tls_ec_key, "/k.pem");
    assert_int_equal(config.ring_receive_buffers, 64);
    assert_int_equal(config.ring_disable.count, 1);
    assert_string_equal(config.ring_disable.names[0], "msg_ring");
    assert_true(config.admin_allow_remote);
    assert_int_equal(config.log_format, GW_LOG_JSON);
    assert_int_equal(config.log_level, GW_LOG_DEBUG);
    assert_string_equal(config.tcp_congestion, "cubic");
    assert_null(config.index_high_water);
    gw_config_free(&config);
}

static void relative_paths_start_at_the_file(void **state)
{
    char expected[PATH_MAX];

    (void)state;
    assert_loads(PLAIN "journal = { path = \"log\"; };");
    snprintf(expected, sizeof expected, "%s/log", folder);
    assert_string_equal(config.journal_path, expected);
    gw_config_free(&config);
}

static void large_numbers_need_no_suffix(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } rows[] = {
        {"5000000000", UINT64_C(5000000000)},   {"5000000000L", UINT64_C(5000000000)},
        {"5000000000LL", UINT64_C(5000000000)}, {"0x12A05F200", UINT64_C(5000000000)},
        {"2147483648", UINT64_C(2147483648)},   {"4294967296", UINT64_C(4294967296)},
        {"2147483647", UINT64_C(2147483647)},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        char text[256];

        snprintf(text, sizeof text,
                 PLAIN "/* 9999999999 \" */ journal = { # 9999999999 \"\n"
                       "segment_bytes = 1048576; path = \"\\\"/9999999999\"; bytes_max = %s; };",
                 rows[i].text);
        assert_loads(text);
        assert_int_equal(config.journal_bytes_max, rows[i].value);
        assert_string_equal(strrchr(config.journal_path, '/'), "/9999999999");
        gw_config_free(&config);
    }
}

static void a_number_beyond_64_bits_is_refused_as_such(void **state)
{
    (void)state;
    assert_int_equal(load(PLAIN "journal = { bytes_max = 99999999999999999999; };"), -EINVAL);
    assert_non_null(strstr(errors.rows[0].text, ":2: a number beyond 64 bits"));
    assert_int_equal(load(PLAIN "rate = { burst = 0xffffffffffffffffff; };"), -EINVAL);
    assert_non_null(strstr(errors.rows[0].text, ":2: a number beyond 64 bits"));
}

static void a_wrong_setting_is_named_with_its_line(void **state)
{
    static const struct {
        const char *text;
        uint32_t line;
        const char *words;
    } rows[] = {
        {PLAIN "\nshrads = 2;", 3, "unknown parameter 'shrads'; did you mean 'shards'?"},
        {PLAIN "hartbeat = { min_s = 5; };", 2,
         "unknown parameter 'hartbeat'; did you mean 'heartbeat'?"},
        {PLAIN "heartbeat = {\n mni_s = 5;\n};", 3,
         "unknown parameter 'heartbeat.mni_s'; did you mean 'heartbeat.min_s'?"},
        {PLAIN "heartbeat = {\n min = 5;\n};", 3,
         "unknown parameter 'heartbeat.min'; did you mean 'heartbeat.min_s'?"},
        {PLAIN "profile = \"modern\";", 2,
         "unknown parameter 'profile'; did you mean 'tls.profile'?"},
        {PLAIN "log = { lvel = \"info\"; };", 2,
         "unknown parameter 'log.lvel'; did you mean 'log.level'?"},
        {PLAIN "listener = ();", 2, "unknown parameter 'listener'; did you mean 'listeners'?"},
        {PLAIN "zebra = 1;", 2, "unknown parameter 'zebra'"},
        {PLAIN "shards = \"2\";", 2, "shards: a text where a whole number belongs"},
        {PLAIN "shards = 1.5;", 2, "shards: a number with a fraction where a whole number belongs"},
        {PLAIN "shards = 4294967297;", 2,
         "shards: 4294967297 is out of range, which is 0 to 256 shards"},
        {PLAIN "shards = -1;", 2, "shards: -1 is out of range, which is 0 to 256 shards"},
        {PLAIN "handshake_s_max = 0;", 2,
         "handshake_s_max: 0 is out of range, which is 1 to 300 s"},
        {PLAIN "ring = { receive_buffers = 100; };", 2,
         "ring.receive_buffers: 100 is no power of two"},
        {PLAIN "ring = { disable = [\"msgring\"]; };", 2,
         "ring.disable: \"msgring\" is no feature that can be switched off; see tollgate --probe"},
        {PLAIN "ring = { disable = \"msg_ring\"; };", 2,
         "ring.disable: a text where a list of names, [\"one\", \"two\"], belongs"},
        {PLAIN "ring = { disable = [1]; };", 2,
         "ring.disable: a whole number where a name belongs"},
        {PLAIN "tls = 1;", 2, "tls: a whole number where a group, { ... }, belongs"},
        {PLAIN "shards = { };", 2, "shards: a group where a whole number belongs"},
        {PLAIN "admin = { allow_remote = 1; };", 2,
         "admin.allow_remote: a whole number where true or false belongs"},
        {PLAIN "log = { level = \"infos\"; };", 2,
         "log.level: \"infos\" is none of error, warn, info, debug; did you mean \"info\"?"},
        {PLAIN "log = { level = \"loud\"; };", 2,
         "log.level: \"loud\" is none of error, warn, info, debug"},
        {PLAIN "log = { level = 3; };", 2, "log.level: a whole number where a text belongs"},
        {PLAIN "index = { path = 3; };", 2, "index.path: a whole number where a text belongs"},
        {PLAIN "index = { path = \"\"; };", 2, "index.path is empty"},
        {PLAIN "journal = { path = \"\"; };", 2, "journal.path is empty"},
        {PLAIN "index = { path = \"/i\"; high_water = \"/i/high\"; };", 2,
         "index.high_water lies inside index.path: an index restored from a backup would bring its "
         "own memory along"},
        {PLAIN "admin = { listen = \"localhost:80\"; };", 2,
         "admin.listen: \"localhost:80\": an address is a number and a port: 192.0.2.1:9443, or "
         "[2001:db8::1]:9443"},
        {PLAIN "admin = { listen = \"0.0.0.0:9480\"; };", 2,
         "admin.listen: 0.0.0.0:9480 can be reached from outside and asks nobody who they are; use "
         "127.0.0.1 or [::1], or set admin.allow_remote = true"},
        {PLAIN "heartbeat = { min_s = 20;\n default_s = 15; };", 3,
         "heartbeat.min_s = 20 is above heartbeat.default_s = 15"},
        {PLAIN "mismatch = { delay_s_max = 2; };", 2,
         "mismatch.delay_s = 5 is above mismatch.delay_s_max = 2"},
        {PLAIN "journal = { bytes_max = 300000000; };", 2,
         "journal.bytes_max = 300000000 does not hold two segments of 268435456 bytes"},
        {PLAIN "@include \"/etc/passwd\"\n", 2,
         "@include is not supported: one file holds everything"},
        {PLAIN "tls = { rsa_key = \"k\"; };", 2, "tls.rsa_key without tls.rsa_chain"},
        {PLAIN "tls = { ec_chain = \"k\"; };", 2, "tls.ec_chain without tls.ec_key"},
        {PLAIN "shards = 1;\nshards = 2;", 3, "duplicate setting name"},
        {PLAIN "shards = ;", 2, "syntax error"},
        {"listeners = (\n { address = \"[::]:443\"; } );", 2,
         "this listener speaks TLS: set tls.rsa_chain and tls.rsa_key, or tls.ec_chain and "
         "tls.ec_key"},
        {"shards = 1;", 0,
         "the default listeners speak TLS: set tls.rsa_chain and tls.rsa_key, or tls.ec_chain and "
         "tls.ec_key, or name listeners with tls = false"},
        {"listeners = ();", 1, "listeners: the list is empty, nothing could connect"},
        {"listeners = 9443;", 1,
         "listeners: a whole number where a list, ( { ... }, { ... } ), belongs"},
        {"listeners = ( 9443 );", 1,
         "listeners: a whole number where a group, { address = \"0.0.0.0:9443\"; tls = true; }, "
         "belongs"},
        {"listeners = ( { tls = false; } );", 1, "listeners: an address is missing"},
        {"listeners = ( { address = 80; tls = false; } );", 1,
         "listeners.address: a whole number where a text belongs"},
        {"listeners = ( { address = \"1.2.3.4:80\"; tls = \"no\"; } );\n"
         "tls = { ec_chain = \"a\"; ec_key = \"b\"; };",
         1, "listeners.tls: a text where true or false belongs"},
        {"listeners = ( { address = \"1.2.3.4:80\"; tsl = false; } );\n"
         "tls = { ec_chain = \"a\"; ec_key = \"b\"; };",
         1, "unknown parameter 'tsl'; did you mean 'listeners.tls'?"},
        {"listeners = ( { address = \"1.2.3.4:80\"; tls = false; },\n"
         " { address = \"1.2.3.4:80\"; tls = false; } );",
         2, "listeners.address: \"1.2.3.4:80\" stands here twice"},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++)
        assert_refused(rows[i].text, rows[i].line, rows[i].words);
}

static void all_errors_are_reported_at_once_in_order(void **state)
{
    (void)state;
    assert_int_equal(load("log = { level = \"x\"; };\n"
                          "shards = -1;\n"
                          "listeners = ( { address = \"x\"; },\n"
                          "              { tls = false; } );\n"
                          "nonsense = 1;\n"
                          "tls = { ec_key = \"k\"; };\n"),
                     -EINVAL);
    assert_int_equal(errors.count, 6);
    for (uint32_t i = 0; i < errors.count; i++)
        assert_int_equal(errors.rows[i].line, i + 1);
}

static void what_stands_before_a_syntax_error_is_still_checked(void **state)
{
    (void)state;
    assert_int_equal(load("shards = -1;\nzebra = 1;\nlog = { level = \"x\"; };\ntls = { ;\n"),
                     -EINVAL);
    assert_int_equal(errors.count, 4);
    assert_int_equal(errors.rows[3].line, 4);
}

static void too_many_errors_are_counted(void **state)
{
    char text[8192] = PLAIN;

    (void)state;
    for (int i = 0; i < GW_CONFIG_ERRORS_MAX + 10; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "zebra_%d = 1;\n", i);
    assert_int_equal(load(text), -EINVAL);
    assert_int_equal(errors.count, GW_CONFIG_ERRORS_MAX);
    assert_int_equal(errors.left_out, 10);
}

static void too_many_listeners_are_refused(void **state)
{
    char text[8192] = "listeners = (";

    (void)state;
    for (int i = 0; i <= GW_CONFIG_LISTENERS_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "%s{ address = \"127.0.0.1:0\"; tls = false; }", i == 0 ? "" : ",\n");
    snprintf(text + strlen(text), sizeof text - strlen(text), ");");
    assert_refused(text, 1, "listeners: more than 16");
}

static void an_error_does_not_carry_control_characters(void **state)
{
    (void)state;
    assert_int_equal(load(PLAIN "log = { level = \"\\x1b[31m\\n\"; };"), -EINVAL);
    assert_null(strpbrk(errors.rows[0].text, "\x1b\n"));
}

static void files_that_cannot_be_read_are_refused(void **state)
{
    char *big = calloc(1, GW_CONFIG_FILE_BYTES_MAX + 2);

    (void)state;
    assert_int_equal(gw_config_load("/no/such/file", &config, &errors), -ENOENT);
    assert_string_equal(errors.rows[0].text, "/no/such/file: No such file or directory");
    assert_int_equal(gw_config_load(folder, &config, &errors), -EISDIR);
    assert_int_equal(errors.count, 1);
    assert_non_null(big);
    memset(big, '\n', GW_CONFIG_FILE_BYTES_MAX + 1);
    assert_int_equal(load(big), -EFBIG);
    free(big);
    assert_int_equal(load_bytes("shards = 1;\n\0x", 14), -EINVAL);
}

static void no_file_means_the_defaults_which_lack_a_certificate(void **state)
{
    (void)state;
    assert_int_equal(gw_config_load(NULL, &config, &errors), -EINVAL);
    assert_int_equal(errors.count, 1);
    assert_int_equal(gw_config_default(&config), 0);
    assert_true(config.listeners_are_default);
    assert_int_equal(config.listener_count, 4);
    gw_config_free(&config);
}

static char *printed(void (*print)(const struct gw_config *, FILE *), const struct gw_config *c)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    assert_non_null(out);
    print(c, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void a_dump_loads_to_the_same_configuration(void **state)
{
    static const char *const texts[] = {
        PLAIN,
        "tls = { ec_chain = \"a\"; ec_key = \"b\"; };", /* default listeners */
        "shards = 7; tls = { rsa_chain = \"a\\\\ \\\"b\\x07\"; rsa_key = \"b\"; tickets = 0; };\n"
        "listeners = ( { address = \"[::ffff:1.2.3.4]:1\"; }, { address = \"1.1.1.1:0\"; tls = "
        "false; } );\n"
        "ring = { disable = ( \"msg_ring\" ); }; log = { level = \"error\"; format = \"json\"; };\n"
        "journal = { bytes_max = 99999999999; }; index = { high_water = \"\"; };\n"
        "admin = { listen = \"\"; allow_remote = true; }; tcp = { congestion = \"bbr\"; };",
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(texts); i++) {
        char *first, *second;
        bool were_default;

        assert_loads(texts[i]);
        were_default = config.listeners_are_default;
        first = printed(gw_config_dump, &config);
        gw_config_free(&config);
        assert_loads(first);
        assert_int_equal(config.listeners_are_default, were_default);
        second = printed(gw_config_dump, &config);
        gw_config_free(&config);
        assert_string_equal(first, second);
        free(first);
        free(second);
    }
}

/* Every line of a dump, one at a time, must matter: a value changed there is read back changed. */
static void the_dump_holds_every_parameter(void **state)
{
    static const char *const names[] = {
#define GW_PARAM(field, name, kind, preset, min, max, unit, help) name,
#include <gw/app/params.def>
#undef GW_PARAM
    };
    char *dump;

    (void)state;
    assert_loads(PLAIN);
    dump = printed(gw_config_dump, &config);
    for (size_t i = 0; i < GW_ARRAY_COUNT(names); i++) {
        const char *dot = strchr(names[i], '.'), *place;
        char group[80], leaf[80];

        snprintf(leaf, sizeof leaf, "\n%s%s = ", dot == NULL ? "" : "    ",
                 dot == NULL ? names[i] : dot + 1);
        place = dump;
        if (dot != NULL) {
            snprintf(group, sizeof group, "\n%.*s = {\n", (int)(dot - names[i]), names[i]);
            place = strstr(dump, group);
            assert_non_null(place);
        }
        place = strstr(place, leaf);
        assert_non_null(place);
        if (dot != NULL) /* and before the group ends */
            assert_true(strstr(strstr(dump, group), "\n};") > place);
    }
    free(dump);
    gw_config_free(&config);
}

static void a_file_cut_anywhere_loads_or_is_refused(void **state)
{
    char *whole;

    (void)state;
    assert_loads(PLAIN "ring = { disable = [ \"msg_ring\" ]; };");
    whole = printed(gw_config_dump, &config);
    gw_config_free(&config);
    for (size_t bytes = 0; bytes <= strlen(whole); bytes += bytes % 61 + 1) {
        int err = load_bytes(whole, bytes);

        assert_true(err == 0 || err == -EINVAL);
        assert_int_equal(err == 0, errors.count == 0);
        gw_config_free(&config);
    }
    free(whole);
}

/* Bytes replaced by others, from a fixed seed: whatever comes out, it is an answer. */
static void a_file_with_altered_bytes_loads_or_is_refused(void **state)
{
    static const char alphabet[] = "{}()[]\"#/*;=,.L0x9@-\\\n\0a";
    static const char text[] =
        "shards = 3; /* c */ listeners = ( { address = \"0.0.0.0:9443\"; tls = false; } );\n"
        "journal = { bytes_max = 5000000000; }; ring = { disable = [ \"msg_ring\" ]; }; # x\n"
        "log = { level = \"debug\"; }; rate = { burst = 0x40; }; // y\n";
    uint64_t seed = 42;

    (void)state;
    for (int round = 0; round < 600; round++) {
        char altered[sizeof text];

        memcpy(altered, text, sizeof text);
        for (int i = 0; i <= round % 3; i++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            altered[(seed >> 33) % (sizeof text - 1)] =
                alphabet[(seed >> 17) % (sizeof alphabet - 1)];
        }
        int err = load_bytes(altered, sizeof text - 1);

        assert_true(err == 0 || err == -EINVAL);
        assert_int_equal(err == 0, errors.count == 0);
        gw_config_free(&config);
    }
}

static void print_manual(const struct gw_config *unused, FILE *out)
{
    (void)unused;
    gw_config_manual(out);
}

static void the_manual_in_docs_is_what_the_table_says(void **state)
{
    char *expected = printed(print_manual, NULL), *found = NULL;
    size_t room = 0;
    FILE *in = fopen(GW_MANUAL, "r");

    (void)state;
    assert_non_null(in);
    assert_true(getdelim(&found, &room, '\0', in) > 0);
    fclose(in);
    if (strcmp(found, expected) != 0)
        fail_msg("docs/configuration.md is old: tollgate --manual > docs/configuration.md");
    free(found);
    free(expected);
}

static void the_example_configuration_loads(void **state)
{
    (void)state;
    assert_int_equal(gw_config_load(GW_EXAMPLE, &config, &errors), 0);
    gw_config_free(&config);
}

/* A group that stands in two places of the table would be written twice, and refused by a reader.
 */
static void the_table_keeps_groups_together_and_defaults_in_range(void **state)
{
    const struct {
        const char *name;
        uint64_t preset, low, high;
    } rows[] = {
#define GW_PARAM(field, name, kind, preset, low, high, unit, help)                                 \
    {name, (uint64_t)(uintptr_t)(preset), low, high},
#include <gw/app/params.def>
#undef GW_PARAM
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        size_t group_bytes = strcspn(rows[i].name, ".") + 1;
        bool has_group = group_bytes <= strlen(rows[i].name), left = false;

        if (rows[i].low != rows[i].high) /* the kinds that have a range */
            assert_in_range(rows[i].preset, rows[i].low, rows[i].high);
        for (size_t j = i + 1; j < GW_ARRAY_COUNT(rows); j++) {
            bool same = has_group ? strncmp(rows[i].name, rows[j].name, group_bytes) == 0
                                  : strchr(rows[j].name, '.') == NULL;

            if (same && left)
                fail_msg("%s stands apart from %s", rows[j].name, rows[i].name);
            left = left || !same;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_with_a_plain_listener_gives_the_defaults),
        cmocka_unit_test(every_kind_of_parameter_is_read),
        cmocka_unit_test(relative_paths_start_at_the_file),
        cmocka_unit_test(large_numbers_need_no_suffix),
        cmocka_unit_test(a_number_beyond_64_bits_is_refused_as_such),
        cmocka_unit_test(a_wrong_setting_is_named_with_its_line),
        cmocka_unit_test(all_errors_are_reported_at_once_in_order),
        cmocka_unit_test(what_stands_before_a_syntax_error_is_still_checked),
        cmocka_unit_test(too_many_errors_are_counted),
        cmocka_unit_test(too_many_listeners_are_refused),
        cmocka_unit_test(an_error_does_not_carry_control_characters),
        cmocka_unit_test(files_that_cannot_be_read_are_refused),
        cmocka_unit_test(no_file_means_the_defaults_which_lack_a_certificate),
        cmocka_unit_test(a_dump_loads_to_the_same_configuration),
        cmocka_unit_test(the_dump_holds_every_parameter),
        cmocka_unit_test(a_file_cut_anywhere_loads_or_is_refused),
        cmocka_unit_test(a_file_with_altered_bytes_loads_or_is_refused),
        cmocka_unit_test(the_manual_in_docs_is_what_the_table_says),
        cmocka_unit_test(the_example_configuration_loads),
        cmocka_unit_test(the_table_keeps_groups_together_and_defaults_in_range),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
