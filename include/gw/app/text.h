/*
 * A text that grows: what the admin port answers with. Appending never fails towards the caller;
 * once memory ran out the text stays as it is and says so at the end, in `failed`.
 */
#ifndef GW_APP_TEXT_H
#define GW_APP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

struct gw_text {
    char *data; /* not NUL-terminated; NULL while nothing was appended */
    size_t bytes;
    size_t capacity;
    bool failed;
};

#define GW_TEXT_EMPTY ((struct gw_text){.data = NULL})

void gw_text_append(struct gw_text *text, struct gw_bytes bytes);
void gw_text_print(struct gw_text *text, const char *format, ...) GW_PRINTF(2, 3);

/* Safe on an empty text, and twice. */
void gw_text_fini(struct gw_text *text);

#endif
