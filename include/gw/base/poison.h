/*
 * Memory that nobody may touch for now: seen by AddressSanitizer, free of cost without it.
 */
#ifndef GW_BASE_POISON_H
#define GW_BASE_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define GW_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GW_HAS_ASAN 1
#endif
#endif

#ifdef GW_HAS_ASAN
#include <sanitizer/asan_interface.h>
#endif

static inline void gw_poison(const void *memory, size_t bytes)
{
#ifdef GW_HAS_ASAN
    __asan_poison_memory_region(memory, bytes);
#else
    (void)memory;
    (void)bytes;
#endif
}

static inline void gw_unpoison(const void *memory, size_t bytes)
{
#ifdef GW_HAS_ASAN
    __asan_unpoison_memory_region(memory, bytes);
#else
    (void)memory;
    (void)bytes;
#endif
}

#endif
