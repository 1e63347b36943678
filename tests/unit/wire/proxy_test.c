/*
 * PROXY headers: what is one, what is not, cut at every byte and with every byte altered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <gw/wire/proxy.h>

#define SIGNATURE "\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A"
#define HEADER(text)                                                                               \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static const struct {
    struct gw_bytes bytes;
    const char *address; /* NULL: not known */
    uint16_t port;
} good[] = {
    {HEADER("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"), "192.0.2.1", 56324},
    {HEADER("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255",
     65535},
    {HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n"), "1.2.3.4", 0},
    {HEADER("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n"), "2001:db8::1", 1},
    {HEADER("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535},
    {HEADER("PROXY UNKNOWN\r\n"), NULL, 0},
    {HEADER("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     NULL, 0}, /* 107 bytes: the longest */
    {HEADER(SIGNATURE "\x21\x11\x00\x0C\xC0\x00\x02\x01\xC6\x33\x64\x07\xDC\x04\x01\xBB"),
     "192.0.2.1", 56324},
    {HEADER(SIGNATURE "\x21\x21\x00\x24\x20\x01\x0D\xB8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                      "\x01\x20\x01\x0D\xB8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01"
                      "\x00\x02"),
     "2001:db8::1", 1},
    /* with two further values, one of them empty */
    {HEADER(SIGNATURE "\x21\x11\x00\x14\xC0\x00\x02\x01\xC6\x33\x64\x07\xDC\x04\x01\xBB"
                      "\x04\x00\x02\x00\x00\x20\x00\x00"),
     "192.0.2.1", 56324},
    {HEADER(SIGNATURE "\x20\x00\x00\x00"), NULL, 0},                 /* LOCAL */
    {HEADER(SIGNATURE "\x20\x11\x00\x03\x01\x02\x03"), NULL, 0},     /* LOCAL: the rest ignored */
    {HEADER(SIGNATURE "\x21\x00\x00\x04\x01\x02\x03\x04"), NULL, 0}, /* of no family */
};

static const struct {
    struct gw_bytes bytes;
    const char *what;
} bad[] = {
    {HEADER("GET / HTTP/1.1\r\n"), "another protocol"},
    {HEADER("\x16\x03\x01\x02\x00\x01"), "a ClientHello"},
    {HEADER("\x1D\x00\x01\x00\x20"), "a login"},
    {HEADER("proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), "lower case"},
    {HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"), "LF alone"},
    {HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rX"), "CR alone"},
    {HEADER("PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), "two blanks"},
    {HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n"), "a blank at the end"},
    {HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"), "a port is missing"},
    {HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n"), "something more"},
    {HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n"), "a port too high"},
    {HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n"), "a zero in front"},
    {HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n"), "a sign"},
    {HEADER("PROXY TCP4 1.2.3.4 5.6.7.8 1 0x2\r\n"), "hexadecimal"},
    {HEADER("PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n"), "an octet with a zero in front"},
    {HEADER("PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n"), "three octets"},
    {HEADER("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"), "of the other family"},
    {HEADER("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n"), "of the other family"},
    {HEADER("PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n"), "brackets"},
    {HEADER("PROXY TCP6 fe80::1%eth0 2001:db8::2 1 2\r\n"), "a zone"},
    {HEADER("PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n"), "no family"},
    {HEADER("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n"), "UDP"},
    {HEADER("PROXY UNKNOWNX\r\n"), "a longer word"},
    {HEADER("PROXY \r\n"), "nothing"},
    {HEADER("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n"), "a NUL"},
    {HEADER("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535 \r\n"),
     "108 bytes"},
    {HEADER(SIGNATURE "\x11\x11\x00\x0C"), "version 1 in binary"},
    {HEADER(SIGNATURE "\x22"), "another command"},
    {HEADER(SIGNATURE "\x21\x12\x00\x0C"), "UDP"},
    {HEADER(SIGNATURE "\x21\x31\x00\xD8"), "a unix socket"},
    {HEADER(SIGNATURE "\x21\x11\x00\x0B\xC0\x00\x02\x01\xC6\x33\x64\x07\xDC\x04\x01"),
     "a byte short of its addresses"},
    {HEADER(SIGNATURE "\x21\x11\x01\xF1"), "longer than what we take"},
    {HEADER(SIGNATURE "\x20\x00\xFF\xFF"), "as long as it could be"},
    {HEADER(SIGNATURE "\x21\x11\x00\x0E\xC0\x00\x02\x01\xC6\x33\x64\x07\xDC\x04\x01\xBB\x04\x00"),
     "half of a further value"},
    {HEADER(SIGNATURE "\x21\x11\x00\x10\xC0\x00\x02\x01\xC6\x33\x64\x07\xDC\x04\x01\xBB\x04\x00"
                      "\x02\x00"),
     "a further value that is longer than the header"},
};

static void headers_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(good); i++) {
        struct gw_proxy proxy = {.port = 7};
        char address[INET6_ADDRSTRLEN] = "";
        size_t used = 7;

        if (gw_proxy_decode(good[i].bytes, &proxy, &used) != GW_OK)
            fail_msg("header %zu is refused", i);
        assert_int_equal(used, good[i].bytes.size);
        assert_int_equal(proxy.is_known, good[i].address != NULL);
        assert_int_equal(proxy.port, good[i].port);
        if (good[i].address == NULL)
            continue;
        assert_non_null(
            inet_ntop(proxy.is_v6 ? AF_INET6 : AF_INET, proxy.address, address, sizeof address));
        assert_string_equal(address, good[i].address);
    }
}

static void a_header_cut_anywhere_is_awaited(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(good); i++)
        for (size_t size = 0; size < good[i].bytes.size; size++) {
            struct gw_proxy proxy;
            size_t used = 7;

            if (gw_proxy_decode(gw_bytes_of(good[i].bytes.data, size), &proxy, &used) != GW_MORE)
                fail_msg("header %zu is judged after %zu bytes", i, size);
            assert_int_equal(used, 0);
        }
}

static void what_follows_a_header_is_not_its_own(void **state)
{
    uint8_t joined[GW_PROXY_HEADER_BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(good); i++) {
        struct gw_bytes header = good[i].bytes;
        struct gw_proxy proxy;
        size_t used;

        memcpy(joined, header.data, header.size);
        memset(joined + header.size, '\n', 40);
        assert_int_equal(gw_proxy_decode(gw_bytes_of(joined, header.size + 40), &proxy, &used),
                         GW_OK);
        assert_int_equal(used, header.size);
    }
}

/* And once refused it stays refused, whatever comes. */
static void what_is_no_header_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(bad); i++) {
        struct gw_proxy proxy;
        bool refused = false;
        size_t used;

        for (size_t size = 0; size <= bad[i].bytes.size; size++) {
            enum gw_status status =
                gw_proxy_decode(gw_bytes_of(bad[i].bytes.data, size), &proxy, &used);

            if (status == GW_OK || (refused && status != GW_BAD_FRAME))
                fail_msg("%s: %d after %zu bytes", bad[i].what, status, size);
            refused = status == GW_BAD_FRAME;
        }
        if (!refused)
            fail_msg("%s is not refused", bad[i].what);
    }
}

static void a_byte_that_is_altered_never_leads_past_the_end(void **state)
{
    uint8_t altered[GW_PROXY_HEADER_BYTES_MAX];

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(good); i++)
        for (size_t at = 0; at < good[i].bytes.size; at++)
            for (unsigned byte = 0; byte < 256; byte++) {
                struct gw_proxy proxy;
                size_t used;

                memcpy(altered, good[i].bytes.data, good[i].bytes.size);
                altered[at] = (uint8_t)byte;
                if (gw_proxy_decode(gw_bytes_of(altered, good[i].bytes.size), &proxy, &used) ==
                    GW_OK)
                    assert_in_range(used, 1, good[i].bytes.size);
                else
                    assert_int_equal(used, 0);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_read),
        cmocka_unit_test(a_header_cut_anywhere_is_awaited),
        cmocka_unit_test(what_follows_a_header_is_not_its_own),
        cmocka_unit_test(what_is_no_header_is_refused),
        cmocka_unit_test(a_byte_that_is_altered_never_leads_past_the_end),
    };

    return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
