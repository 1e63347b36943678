/*
 * What a fuzz target and its two drivers agree on: libFuzzer, and replay.c without any engine.
 * A target states its oracle with gw_assert, which both drivers report as a crash.
 */
#ifndef GW_FUZZ_H
#define GW_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Always 0. `data` may not be written, and bytes behind `size` may not be read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
