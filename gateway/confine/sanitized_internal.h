/*
 * Is a sanitizer's run time in the process? It reads the program's symbols, starts a symbolizer and
 * stops the other threads to look for leaks: what it asks of the kernel is its own affair.
 */
#ifndef GW_CONFINE_SANITIZED_INTERNAL_H
#define GW_CONFINE_SANITIZED_INTERNAL_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GW_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GW_SANITIZED 1
#endif
#endif
#ifndef GW_SANITIZED
#define GW_SANITIZED 0
#endif

#endif
