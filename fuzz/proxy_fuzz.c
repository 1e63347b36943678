/*
 * Target  gw_proxy_decode
 *
 * Input   raw bytes, as a proxy would send them
 *
 * Oracle  wherever the input is cut, the answer is MORE until it is whole or refused, and then
 *         stays; what follows a header changes nothing; a client that was named is named again by
 *         the line of version 1 that says the same
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/wire/proxy.h>

#include "fuzz.h"

static void check_cuts(struct gw_bytes in, enum gw_status whole, size_t whole_used)
{
    enum gw_status before = GW_MORE;

    for (size_t size = 0; size <= in.size; size++) {
        struct gw_proxy proxy;
        size_t used;
        enum gw_status status = gw_proxy_decode(gw_bytes_of(in.data, size), &proxy, &used);

        gw_assert(before == GW_MORE || status == before);
        gw_assert(status == GW_OK ? used == whole_used && used <= size : used == 0);
        before = status;
    }
    gw_assert(before == whole);
}

static void check_again(const struct gw_proxy *proxy)
{
    char text[INET6_ADDRSTRLEN], line[GW_PROXY_LINE_BYTES_MAX + 1];
    struct gw_proxy again;
    size_t used;
    int bytes;

    gw_assert(inet_ntop(proxy->is_v6 ? AF_INET6 : AF_INET, proxy->address, text, sizeof text) !=
              NULL);
    bytes = snprintf(line, sizeof line, "PROXY TCP%c %s %s %u 1\r\n", proxy->is_v6 ? '6' : '4',
                     text, text, proxy->port);
    gw_assert(bytes > 0 && (size_t)bytes < sizeof line);
    gw_assert(gw_proxy_decode(gw_bytes_of(line, (size_t)bytes), &again, &used) == GW_OK);
    gw_assert(used == (size_t)bytes && again.is_known && again.is_v6 == proxy->is_v6);
    gw_assert(again.port == proxy->port);
    gw_assert(memcmp(again.address, proxy->address, proxy->is_v6 ? 16 : 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_proxy proxy;
    size_t used;
    enum gw_status status = gw_proxy_decode(gw_bytes_of(data, size), &proxy, &used);

    check_cuts(gw_bytes_of(data, size), status, used);
    gw_assert(status != GW_OK || used <= GW_PROXY_HEADER_BYTES_MAX);
    gw_assert(status != GW_MORE || size < GW_PROXY_HEADER_BYTES_MAX);
    if (status == GW_OK && proxy.is_known)
        check_again(&proxy);
    return 0;
}
