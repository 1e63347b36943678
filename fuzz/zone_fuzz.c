/*
 * Target  gw_zone_parse, gw_zone_at, gw_zone_changes
 *
 * Input   a TZif file
 *
 * Oracle  every change that is announced is one: the second before it has another offset, which is
 *         the one that held since the last, and its own second has the announced one
 */
#include <gw/base/assert.h>
#include <gw/zone/zone.h>

#include "fuzz.h"

static void check(const struct gw_zone *zone, int64_t from_s)
{
    struct gw_zone_change next[3];
    const size_t count = gw_zone_changes(zone, from_s, next, 3);
    int32_t offset_s = gw_zone_at(zone, from_s).offset_s;

    for (size_t i = 0; i < count; i++) {
        gw_assert(next[i].at_s > (i == 0 ? from_s : next[i - 1].at_s));
        gw_assert(gw_zone_at(zone, next[i].at_s - 1).offset_s == offset_s);
        gw_assert(gw_zone_at(zone, next[i].at_s).offset_s == next[i].offset_s);
        gw_assert(next[i].offset_s != offset_s);
        offset_s = next[i].offset_s;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t from_s[] = {-3000000000, 0, 1700000000, 2145916800, 4102444800};
    struct gw_zone *zone;

    if (gw_zone_parse(gw_bytes_text("A"), gw_bytes_of(data, size), &zone) != 0)
        return 0;
    for (size_t i = 0; i < GW_ARRAY_COUNT(from_s); i++)
        check(zone, from_s[i]);
    gw_zone_destroy(zone);
    return 0;
}
