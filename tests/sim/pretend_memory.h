/*
 * Memory that the gateway maps for itself, kept from one life to the next: a world lasts a few
 * milliseconds, and would spend as many in the kernel for the hundreds of small areas it maps and
 * unmaps. The linker gives calls of mmap and munmap to this (--wrap).
 *
 * An area is all zeros when it is handed out. Large ones, of which a world touches a few pages, are
 * left to the kernel.
 */
#ifndef SIM_PRETEND_MEMORY_H
#define SIM_PRETEND_MEMORY_H

#include <stdint.h>

/* Areas that are mapped now. */
uint32_t pretend_memory_areas(void);

#endif
