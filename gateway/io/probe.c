/*
 * What this kernel offers, asked by trying: never by its version number.
 */
#include <gw/io/ring.h>

#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/defs.h>

#include "restrict_internal.h"

static const struct {
    const char *name;
    uint32_t bit;
} features[] = {{"msg_ring", GW_RING_MSG_RING},
                {"min_wait", GW_RING_MIN_WAIT},
                {"restrictions", GW_RING_RESTRICTIONS}};

uint32_t gw_ring_feature_by_name(const char *name)
{
    for (size_t i = 0; i < GW_ARRAY_COUNT(features); i++)
        if (strcmp(features[i].name, name) == 0)
            return features[i].bit;
    return 0;
}

const char *gw_ring_library_version(void)
{
    return "liburing " GW_URING_VERSION;
}

static bool sets_up(uint32_t flags)
{
    struct io_uring_params params = {.flags = flags};
    struct io_uring uring;

    if (io_uring_queue_init_params(4, &uring, &params) != 0)
        return false;
    io_uring_queue_exit(&uring);
    return true;
}

static bool restricts(void)
{
    struct io_uring_params params = {.flags = IORING_SETUP_R_DISABLED};
    struct io_uring uring;
    bool restricted;

    if (io_uring_queue_init_params(4, &uring, &params) != 0)
        return false;
    restricted = ring_restrict(&uring) == 0;
    io_uring_queue_exit(&uring);
    return restricted;
}

size_t gw_ring_probe(uint32_t disabled, struct gw_ring_probe_row *rows, size_t capacity)
{
    struct io_uring_probe *probe = io_uring_get_probe();
    struct io_uring uring;
    bool files = false, buffers = false, min_wait = false, restrictions = restricts();

    if (io_uring_queue_init(4, &uring, 0) == 0) {
        min_wait = (uring.features & (1u << 15)) != 0; /* IORING_FEAT_MIN_TIMEOUT */
        struct io_uring_buf_ring *memory = NULL;

        files = io_uring_register_files_sparse(&uring, 16) == 0;
        if (posix_memalign((void **)&memory, 4096, 4096) == 0) {
            struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)(uintptr_t)memory,
                                           .ring_entries = 16};

            buffers = io_uring_register_buf_ring(&uring, &reg, 0) == 0;
        }
        io_uring_queue_exit(&uring);
        free(memory);
    }
#define HAS(op) (probe != NULL && io_uring_opcode_supported(probe, IORING_OP_##op))
    const struct gw_ring_probe_row table[] = {
        {"io_uring", "5.1", "none", true, probe != NULL, true},
        {"single issuer, deferred task work", "6.1", "none", true,
         sets_up(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN), true},
        {"direct descriptors", "5.19", "none", true, files && HAS(ACCEPT), true},
        {"provided buffer rings", "5.19", "none", true, buffers, true},
        {"multishot poll", "5.13", "none", true, HAS(POLL_ADD), true},
        {"cancel", "5.5", "none", true, HAS(ASYNC_CANCEL), true},
        {"msg_ring", "5.18", "eventfd read on the ring", false, HAS(MSG_RING),
         HAS(MSG_RING) && (disabled & GW_RING_MSG_RING) == 0},
        {"min_wait", "6.12", "two waits in place of one while busy", false, min_wait,
         min_wait && (disabled & GW_RING_MIN_WAIT) == 0},
        {"restrictions", "5.10", "any operation may be asked for", false, restrictions,
         restrictions && (disabled & GW_RING_RESTRICTIONS) == 0},
    };
#undef HAS
    size_t count = GW_ARRAY_COUNT(table) < capacity ? GW_ARRAY_COUNT(table) : capacity;

    memcpy(rows, table, count * sizeof table[0]);
    if (probe != NULL)
        io_uring_free_probe(probe);
    return count;
}
