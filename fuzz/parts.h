/*
 * The models' own way to take a body apart, unlike the gateway's: all parts at once, by looking at
 * every byte, with a copy of each that C's string functions can read.
 */
#ifndef GW_FUZZ_PARTS_H
#define GW_FUZZ_PARTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/base/bytes.h>

enum { PARTS_BYTES_MAX = 4096 };

struct parts {
    char text[PARTS_BYTES_MAX + 1]; /* the body, and a NUL of ours */
    size_t size;
    size_t count;
    size_t at[PARTS_BYTES_MAX + 1]; /* where each part begins */
};

/* Splits the body; false when it is too long for the model. */
static inline bool parts_split(struct parts *parts, const uint8_t *data, size_t size)
{
    if (size > PARTS_BYTES_MAX)
        return false;
    parts->size = size;
    parts->count = 0;
    for (size_t i = 0; i < size; i++) {
        parts->text[i] = (char)data[i];
        if (i == 0 || data[i - 1] == 0)
            parts->at[parts->count++] = i;
    }
    parts->text[size] = '\0';
    return true;
}

/* The part as a C string; "" behind the last. A NUL ends each part, so this is the whole of it. */
static inline const char *parts_text(const struct parts *parts, size_t i)
{
    return i < parts->count ? parts->text + parts->at[i] : "";
}

/* How many bytes stand behind part i and its NUL. */
static inline size_t parts_left_after(const struct parts *parts, size_t i)
{
    size_t end = parts->at[i] + strlen(parts_text(parts, i)) + 1;

    return end < parts->size ? parts->size - end : 0;
}

/* Is `view` the `size` bytes of the input that begin at `offset`? */
static inline bool parts_view_is(const struct parts *parts, struct gw_bytes view, size_t offset,
                                 size_t size)
{
    return view.size == size && (size == 0 || memcmp(view.data, parts->text + offset, size) == 0);
}

/* Is `view` the last `size` bytes of the input? */
static inline bool parts_view_is_rest(const struct parts *parts, struct gw_bytes view, size_t size)
{
    return parts_view_is(parts, view, parts->size - size, size);
}

static inline bool parts_all_digits(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static inline bool parts_is_pin(const char *text)
{
    return parts_all_digits(text) && strlen(text) <= 3 && strtoul(text, NULL, 10) <= 255;
}

#endif
