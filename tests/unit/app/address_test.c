/*
 * Addresses: what is one, what is not and why, and which are this machine's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <gw/app/address.h>

static const struct {
    const char *text;
    uint16_t port;
    bool loopback;
} addresses[] = {
    {"0.0.0.0:443", 443, false},
    {"127.0.0.1:0", 0, true},
    {"127.255.1.2:65535", 65535, true},
    {"128.0.0.1:1", 1, false},
    {"[::]:80", 80, false},
    {"[::1]:9480", 9480, true},
    {"[::2]:1", 1, false},
    {"[2001:db8::1]:9443", 9443, false},
    {"[::ffff:127.0.0.1]:1", 1, true},
    {"[::ffff:10.0.0.1]:1", 1, false},
    {"[1111:2222:3333:4444:5555:6666:7777:8888]:65535", 65535, false},
};

static void an_address_is_read_and_written_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(addresses); i++) {
        char text[GW_ADDRESS_TEXT_BYTES];
        struct gw_address address;
        const char *why;

        assert_true(gw_address_parse(addresses[i].text, &address, &why));
        assert_int_equal(gw_address_port(&address), addresses[i].port);
        assert_int_equal(gw_address_is_loopback(&address), addresses[i].loopback);
        gw_address_format(&address, text);
        assert_string_equal(text, addresses[i].text);
    }
}

static void what_is_no_address_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } rows[] = {
        {"", "an address is a number"},
        {":", "the port is"},
        {"443", "an address is a number"},
        {":443", "an address is a number"},
        {"localhost:443", "an address is a number"},
        {"1.2.3:443", "an address is a number"},
        {"1.2.3.4.5:443", "an address is a number"},
        {"1.2.3.4", "an address is a number"},
        {"1.2.3.4:", "the port is"},
        {"1.2.3.4:65536", "the port is"},
        {"1.2.3.4:99999999999999999999", "the port is"},
        {"1.2.3.4:-1", "the port is"},
        {"1.2.3.4:+1", "the port is"},
        {"1.2.3.4: 1", "the port is"},
        {"1.2.3.4:1 ", "the port is"},
        {"1.2.3.4:0x10", "the port is"},
        {"::1:443", "an IPv6 address stands in brackets"},
        {"::443", "an IPv6 address stands in brackets"},
        {"[::1]", "an address is a number"},
        {"[::1]443", "an address is a number"},
        {"[::1:443", "an address is a number"},
        {"[:443", "an address is a number"},
        {"[]:443", "an address is a number"},
        {"[1.2.3.4]:443", "an address is a number"},
        {"[::1%lo]:443", "an address is a number"},
        {"[11111111111111111111111111111111111111111111111111111111]:443",
         "an address is a number"},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_address address;
        const char *why;

        if (gw_address_parse(rows[i].text, &address, &why))
            fail_msg("taken for an address: %s", rows[i].text);
        if (strncmp(why, rows[i].why, strlen(rows[i].why)) != 0)
            fail_msg("%s: %s", rows[i].text, why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_read_and_written_back),
        cmocka_unit_test(what_is_no_address_is_refused_with_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
