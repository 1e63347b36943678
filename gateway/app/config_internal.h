/*
 * What the files of the configuration share: the table of parameters as data.
 */
#ifndef GW_APP_CONFIG_INTERNAL_H
#define GW_APP_CONFIG_INTERNAL_H

#include <stddef.h>

#include <gw/app/config.h>

enum gw_param_kind {
    GW_KIND_U32,
    GW_KIND_POW2,
    GW_KIND_U64,
    GW_KIND_BOOL,
    GW_KIND_TEXT,
    GW_KIND_PATH,
    GW_KIND_ADDRESS,
    GW_KIND_FEATURES,
    GW_KIND_TLS_PROFILE,
    GW_KIND_LOCKOUT,
    GW_KIND_LOG_FORMAT,
    GW_KIND_LOG_LEVEL,
};

/* Index of a parameter in the table, by its field. */
enum {
#define GW_PARAM(field, name, kind, preset, min, max, unit, help) GW_PARAM_##field,
#include <gw/app/params.def>
#undef GW_PARAM
    GW_PARAM_COUNT,
};

struct gw_param {
    const char *name; /* "group.leaf", or "leaf" at the top */
    enum gw_param_kind kind;
    size_t offset; /* of the field in struct gw_config */
    uint64_t preset;
    const char *preset_text; /* of texts */
    uint64_t min, max;
    const char *unit;
    const char *help;
};

extern const struct gw_param gw_params[GW_PARAM_COUNT];

enum { GW_PARAM_NAME_BYTES = 64 }; /* of a group or a whole name, with its NUL */

/* The group's name, "" for a parameter at the top; and the name within the group. */
void gw_param_group(const struct gw_param *param, char out[GW_PARAM_NAME_BYTES]);
const char *gw_param_leaf(const struct gw_param *param);

bool gw_param_is_text(const struct gw_param *param); /* TEXT, PATH or ADDRESS */

/* The words a choice knows, in the order of its enum; NULL for other kinds. */
const char *const *gw_param_words(enum gw_param_kind kind, size_t *count);

/* Of numbers, booleans and choices. */
uint64_t gw_param_number(const struct gw_config *config, const struct gw_param *param);
void gw_param_number_set(struct gw_config *config, const struct gw_param *param, uint64_t number);
/* Of texts. */
char **gw_param_text(struct gw_config *config, const struct gw_param *param);

/* The candidate that was most likely meant by `word`, or NULL when none is near. */
const char *gw_suggest(const char *word, const char *const *candidates, size_t count);
/* The same over the table and its groups; `name` is what stands in the file, with its group. */
bool gw_param_suggest(const char *name, char out[GW_PARAM_NAME_BYTES]);

/*
 * Makes a configuration's text safe for libconfig 1.5, which reads a whole number above 2^31 - 1
 * without the suffix L as another number, silently. Returns the text with the suffix put in, to be
 * freed, or NULL when out of memory. Lines stay where they are. What libconfig would misread is
 * reported instead: numbers beyond 64 bits, @include (a file that cannot be read ends the process).
 */
char *gw_config_text(const char *text, size_t bytes,
                     void (*report)(void *context, uint32_t line, const char *what), void *context);

#endif
