/*
 * What devices are told: a line for each write to a pin, for whoever wants to see it arrive.
 *
 *     device 1 is told V2 = hello
 *     device 1 is told V3 = red, 7, 0.5
 *
 * Devices count from 1, in the order of their tokens, as `tollgatectl index generate` numbers them.
 */
#ifndef SWARM_TOLD_H
#define SWARM_TOLD_H

#include <stdint.h>
#include <stdio.h>

#include <gw/base/bytes.h>

/*
 * Writes the line for the body of a HARDWARE frame; nothing when it is no write. `device` counts
 * from 0. What is not printable is shown as '?', a value that is very long by its beginning. Any
 * thread.
 */
void swarm_told_write(FILE *file, uint32_t device, struct gw_bytes body);

#endif
