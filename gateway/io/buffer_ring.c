/*
 * Provided receive buffers. While a buffer is not on loan it is poisoned under AddressSanitizer, so
 * that a read through a stale loan is seen.
 */
#include "buffer_ring_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <gw/base/assert.h>
#include <gw/base/poison.h>

static void *map_pages(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static uint8_t *buffer_at(const struct buffer_ring *buffers, uint16_t id)
{
    return buffers->memory + (size_t)id * buffers->bytes;
}

static void give(struct buffer_ring *buffers, uint16_t id)
{
    uint8_t *buffer = buffer_at(buffers, id);

    gw_poison(buffer, buffers->bytes);
    buffers->given++;
    io_uring_buf_ring_add(buffers->ring, buffer, buffers->bytes, id,
                          io_uring_buf_ring_mask(buffers->count), 0);
    io_uring_buf_ring_advance(buffers->ring, 1);
}

int buffer_ring_init(struct buffer_ring *buffers, struct io_uring *uring, uint32_t count,
                     uint32_t bytes)
{
    struct io_uring_buf_reg reg;
    int err;

    gw_assert(count > 0 && count <= 32768 && (count & (count - 1)) == 0);
    *buffers = (struct buffer_ring){.count = count, .bytes = bytes};
    buffers->ring_bytes = count * sizeof(struct io_uring_buf);
    buffers->memory_bytes = (size_t)count * bytes;
    buffers->ring = map_pages(buffers->ring_bytes);
    buffers->memory = map_pages(buffers->memory_bytes);
    buffers->spares = malloc(count * sizeof *buffers->spares);
    if (buffers->ring == NULL || buffers->memory == NULL || buffers->spares == NULL) {
        buffer_ring_fini(buffers, NULL);
        return -ENOMEM;
    }
    memset(&reg, 0, sizeof reg); /* newer liburing has `flags` where 2.3 has padding */
    reg.ring_addr = (uint64_t)(uintptr_t)buffers->ring;
    reg.ring_entries = count;
    reg.bgid = BUFFER_GROUP;
    if ((err = io_uring_register_buf_ring(uring, &reg, 0)) != 0) {
        buffer_ring_fini(buffers, NULL);
        return err;
    }
    io_uring_buf_ring_init(buffers->ring);
    return 0;
}

void buffer_ring_reserve(struct buffer_ring *buffers, uint32_t receives)
{
    while (buffers->given < receives &&
           (buffers->spare_count > 0 || buffers->fresh < buffers->count))
        give(buffers, buffers->spare_count > 0 ? buffers->spares[--buffers->spare_count]
                                               : (uint16_t)buffers->fresh++);
}

void buffer_ring_fini(struct buffer_ring *buffers, struct io_uring *uring)
{
    if (buffers->ring != NULL && uring != NULL)
        (void)io_uring_unregister_buf_ring(uring, BUFFER_GROUP);
    if (buffers->ring != NULL)
        (void)munmap(buffers->ring, buffers->ring_bytes);
    free(buffers->spares);
    if (buffers->memory != NULL) {
        gw_unpoison(buffers->memory, buffers->memory_bytes);
        (void)munmap(buffers->memory, buffers->memory_bytes);
    }
    *buffers = (struct buffer_ring){0};
}

const uint8_t *buffer_ring_take(struct buffer_ring *buffers, uint16_t id)
{
    uint8_t *buffer = buffer_at(buffers, id);

    gw_assert(id < buffers->fresh && buffers->given > 0);
    gw_unpoison(buffer, buffers->bytes);
    buffers->given--;
    buffers->loans++;
    return buffer;
}

void buffer_ring_release(struct buffer_ring *buffers, uint16_t id)
{
    gw_assert(id < buffers->fresh && buffers->loans > 0);
    gw_poison(buffer_at(buffers, id), buffers->bytes);
    buffers->loans--;
    buffers->spares[buffers->spare_count++] = id;
}

void buffer_ring_trim(struct buffer_ring *buffers)
{
    gw_assert(buffers->loans == 0);
    (void)madvise(buffers->memory, (size_t)buffers->fresh * buffers->bytes, MADV_DONTNEED);
}
