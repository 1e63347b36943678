/*
 * What glibc's heap keeps of a peak. Each thread has a part of its own there: malloc_trim gives
 * back what is free in the middle of each, but of the end of the main one alone.
 */
#ifndef GW_BASE_HEAP_H
#define GW_BASE_HEAP_H

/* Before there is another thread: fixes how much stays at an end, which glibc moves about. */
void gw_heap_begin(void);

/* Gives back the free end of the calling thread's part. */
void gw_heap_trim(void);

#endif
