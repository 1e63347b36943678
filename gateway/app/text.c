/*
 * Growing texts, for pages.
 */
#include <gw/app/text.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <gw/base/assert.h>

enum { FIRST_BYTES = 4096 };

/* Room for `more` bytes behind what is there; false, with the text marked, when there is none. */
static bool reserve(struct gw_text *text, size_t more)
{
    size_t capacity = text->capacity == 0 ? FIRST_BYTES : text->capacity;
    char *grown;

    if (text->failed)
        return false;
    if (more <= text->capacity - text->bytes)
        return true;
    while (capacity - text->bytes < more && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    grown = capacity - text->bytes < more ? NULL : realloc(text->data, capacity);
    if (grown == NULL) {
        text->failed = true;
        return false;
    }
    text->data = grown;
    text->capacity = capacity;
    return true;
}

void gw_text_append(struct gw_text *text, struct gw_bytes bytes)
{
    if (bytes.size == 0 || !reserve(text, bytes.size))
        return;
    memcpy(text->data + text->bytes, bytes.data, bytes.size);
    text->bytes += bytes.size;
}

void gw_text_print(struct gw_text *text, const char *format, ...)
{
    va_list args;
    int bytes;

    va_start(args, format);
    bytes = vsnprintf(NULL, 0, format, args);
    va_end(args);
    gw_assert(bytes >= 0);
    if (!reserve(text, (size_t)bytes + 1)) /* vsnprintf writes a NUL, which is not counted */
        return;
    va_start(args, format);
    vsnprintf(text->data + text->bytes, (size_t)bytes + 1, format, args);
    va_end(args);
    text->bytes += (size_t)bytes;
}

void gw_text_fini(struct gw_text *text)
{
    free(text->data);
    *text = GW_TEXT_EMPTY;
}
