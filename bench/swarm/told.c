/*
 * Lines of what devices are told. One call of stdio writes a whole line, so that lines of several
 * threads stay apart, and in a pipe from those of others.
 */
#include "told.h"

#include <ctype.h>

#include <gw/wire/body.h>

enum { SHOWN_BYTES_MAX = 200 };

void swarm_told_write(FILE *file, uint32_t device, struct gw_bytes body)
{
    char shown[2 * SHOWN_BYTES_MAX + 1], *at = shown;
    struct gw_pin_write write;

    if (gw_hardware_parse(body, &write) != GW_HARDWARE_WRITE)
        return;
    for (size_t i = 0; i < write.value.size && i < SHOWN_BYTES_MAX; i++) {
        uint8_t c = write.value.data[i];

        if (c == '\0')
            *at++ = ',';
        *at++ = c == '\0' ? ' ' : c >= 0x80 || isprint(c) ? (char)c : '?';
    }
    *at = '\0';
    (void)fprintf(file, "device %lu is told %c%u = %s%s\n", (unsigned long)device + 1,
                  toupper((unsigned char)write.bank), write.pin, shown,
                  write.value.size > SHOWN_BYTES_MAX ? "..." : "");
}
