#include "pretend_index.h"

#include <errno.h>

#include <gw/token/index.h>

#include "pretend_lmdb.h"
#include "pretend_ring.h"

int __real_gw_index_changes(struct gw_index_reader *reader, uint64_t after,
                            struct gw_index_change *out, size_t capacity, size_t *count);
int __wrap_gw_index_changes(struct gw_index_reader *reader, uint64_t after,
                            struct gw_index_change *out, size_t capacity, size_t *count);

enum { GAP_ONE_IN = 20 };

static struct {
    struct chance *chance;
    uint32_t fail_one_in;
} failing;

int __wrap_gw_index_changes(struct gw_index_reader *reader, uint64_t after,
                            struct gw_index_change *out, size_t capacity, size_t *count)
{
    if (failing.fail_one_in != 0 && chance_one_in(failing.chance, GAP_ONE_IN)) {
        pretend.seen.index_gaps++;
        pretend.seen.index_failed_ns = pretend.now_ns;
        return -ERANGE;
    }
    return __real_gw_index_changes(reader, after, out, capacity, count);
}

void pretend_index_fail(struct chance *chance, uint32_t one_in)
{
    failing.chance = chance;
    failing.fail_one_in = one_in;
    pretend_lmdb_fail(chance, one_in);
}

uint64_t pretend_index_failures(void)
{
    return pretend.seen.index_gaps + pretend_lmdb_faults();
}

uint64_t pretend_index_failed_ns(void)
{
    return pretend.seen.index_failed_ns;
}
