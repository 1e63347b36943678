#include "pretend_memory.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <gw/base/assert.h>

enum { PAGE_BYTES = 4096, KEPT_PAGES_MAX = 512 };

void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t bytes);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *address, size_t bytes);

/* An area that nobody has: its first bytes name the next one of its size. */
struct spare {
    struct spare *next;
};

static struct spare *spares[KEPT_PAGES_MAX + 1]; /* by pages */
static uint32_t areas;

uint32_t pretend_memory_areas(void)
{
    return areas;
}

static size_t pages_of(size_t bytes)
{
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
}

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    size_t pages = pages_of(bytes);
    struct spare *area;

    gw_assert(address == NULL && (flags & MAP_ANONYMOUS) != 0 && pages > 0);
    areas++;
    if (pages > KEPT_PAGES_MAX)
        return __real_mmap(address, bytes, protection, flags, fd, offset);
    area = spares[pages];
    if (area != NULL)
        spares[pages] = area->next;
    else
        area = aligned_alloc(PAGE_BYTES, pages * PAGE_BYTES);
    gw_assert(area != NULL);
    return memset(area, 0, pages * PAGE_BYTES);
}

int __wrap_munmap(void *address, size_t bytes)
{
    size_t pages = pages_of(bytes);
    struct spare *area = address;

    gw_assert(areas > 0);
    areas--;
    if (pages > KEPT_PAGES_MAX)
        return __real_munmap(address, bytes);
    area->next = spares[pages];
    spares[pages] = area;
    return 0;
}
