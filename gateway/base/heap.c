/*
 * The free end of a thread's heap, given back. What is asked for when no free piece is large enough
 * comes from there: its pages are dropped while it is ours. Were it to come from elsewhere, those
 * pages are as free.
 */
#include <gw/base/heap.h>

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    END_BYTES = 1 << 20,          /* what is beyond this at its end the heap gives back by itself */
    MAPPED_BYTES = 2 * END_BYTES, /* larger pieces have a mapping of their own                    */
};

void gw_heap_begin(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, END_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
}

void gw_heap_trim(void)
{
    uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    uint8_t *end = malloc(END_BYTES);
    uintptr_t skipped = (page_bytes - (uintptr_t)end % page_bytes) % page_bytes;

    if (end == NULL)
        return;
    (void)madvise(end + skipped, (END_BYTES - skipped) / page_bytes * page_bytes, MADV_DONTNEED);
    free(end);
}
