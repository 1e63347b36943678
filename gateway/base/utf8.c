/*
 * Well-formed UTF-8, as RFC 3629 4 has it: no overlong forms, no surrogates, nothing above
 * U+10FFFF.
 */
#include <gw/base/utf8.h>

size_t gw_utf8_bytes(struct gw_bytes in)
{
    uint8_t first = in.data[0];
    size_t length = first < 0x80   ? 1
                    : first < 0xC2 ? 0
                    : first < 0xE0 ? 2
                    : first < 0xF0 ? 3
                    : first < 0xF5 ? 4
                                   : 0;

    if (length == 0 || length > in.size)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((in.data[i] & 0xC0) != 0x80)
            return 0;
    if ((first == 0xE0 && in.data[1] < 0xA0) || (first == 0xED && in.data[1] > 0x9F) ||
        (first == 0xF0 && in.data[1] < 0x90) || (first == 0xF4 && in.data[1] > 0x8F))
        return 0;
    return length;
}
