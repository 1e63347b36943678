/*
 * Networks, read and asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include <gw/base/prefix.h>

static bool has(const char *network, const char *address)
{
    struct gw_prefix prefix;
    uint8_t bytes[16];
    bool is_v6 = inet_pton(AF_INET6, address, bytes) == 1;

    assert_true(gw_prefix_parse(network, &prefix));
    assert_true(is_v6 || inet_pton(AF_INET, address, bytes) == 1);
    return gw_prefix_has(&prefix, bytes, is_v6);
}

static void a_network_has_its_addresses(void **state)
{
    (void)state;
    assert_true(has("192.0.2.0/24", "192.0.2.0"));
    assert_true(has("192.0.2.0/24", "192.0.2.255"));
    assert_false(has("192.0.2.0/24", "192.0.3.0"));
    assert_true(has("192.0.2.128/25", "192.0.2.129"));
    assert_false(has("192.0.2.128/25", "192.0.2.127"));
    assert_true(has("192.0.2.1", "192.0.2.1"));
    assert_false(has("192.0.2.1", "192.0.2.2"));
    assert_true(has("0.0.0.0/0", "203.0.113.9"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(has("::/0", "::1"));
    assert_false(has("::/0", "127.0.0.1"));
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const refused[] = {"",
                                          "192.0.2",
                                          "192.0.2.0/",
                                          "192.0.2.0/33",
                                          "192.0.2.0/x",
                                          "192.0.2.0/024x",
                                          "::/129",
                                          "192.0.2.1/24",
                                          "2001:db8::1/32",
                                          "localhost",
                                          "10.0.0.0/-1",
                                          "10.0.0.0/8/8",
                                          "[::1]/128"};
    struct gw_prefix prefix;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(refused); i++)
        if (gw_prefix_parse(refused[i], &prefix))
            fail_msg("\"%s\" is taken", refused[i]);
}

static void a_network_is_written_as_it_is_read(void **state)
{
    static const char *const networks[] = {"192.0.2.0/24", "10.0.0.1/32", "2001:db8::/32", "::/0"};
    char text[GW_PREFIX_TEXT_BYTES];
    struct gw_prefix prefix;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(networks); i++) {
        assert_true(gw_prefix_parse(networks[i], &prefix));
        gw_prefix_format(&prefix, text);
        assert_string_equal(text, networks[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_has_its_addresses),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(a_network_is_written_as_it_is_read),
    };

    return cmocka_run_group_tests_name("prefix", tests, NULL, NULL);
}
