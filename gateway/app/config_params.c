/*
 * The table of parameters, as data, and what can be said of a row without a file.
 */
#include "config_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

/* A default is a number or a text; the column that does not apply stays 0. */
#define NUMBER(v)             .preset = (uint64_t)(v)
#define TEXT(v)               .preset_text = (v)
#define PRESET_U32(v)         NUMBER(v)
#define PRESET_POW2(v)        NUMBER(v)
#define PRESET_U64(v)         NUMBER(v)
#define PRESET_BOOL(v)        NUMBER(v)
#define PRESET_FEATURES(v)    NUMBER(v)
#define PRESET_TLS_PROFILE(v) NUMBER(v)
#define PRESET_LOCKOUT(v)     NUMBER(v)
#define PRESET_LOG_FORMAT(v)  NUMBER(v)
#define PRESET_LOG_LEVEL(v)   NUMBER(v)
#define PRESET_TEXT(v)        TEXT(v)
#define PRESET_PATH(v)        TEXT(v)
#define PRESET_ADDRESS(v)     TEXT(v)

const struct gw_param gw_params[GW_PARAM_COUNT] = {
#define GW_PARAM(f, n, k, d, lo, hi, u, h)                                                         \
    {.name = (n),                                                                                  \
     .kind = GW_KIND_##k,                                                                          \
     .offset = offsetof(struct gw_config, f),                                                      \
     PRESET_##k(d),                                                                                \
     .min = (lo),                                                                                  \
     .max = (hi),                                                                                  \
     .unit = (u),                                                                                  \
     .help = (h)},
#include <gw/app/params.def>
#undef GW_PARAM
};

static const char *const tls_profiles[] = {[GW_TLS_MODERN] = "modern", [GW_TLS_COMPAT] = "compat"};
static const char *const lockouts[] = {
    [GW_LOCKOUT_NAT] = "nat", [GW_LOCKOUT_LITERAL] = "literal", [GW_LOCKOUT_OFF] = "off"};
static const char *const log_formats[] = {[GW_LOG_LOGFMT] = "logfmt", [GW_LOG_JSON] = "json"};
static const char *const log_levels[] = {[GW_LOG_ERROR] = "error",
                                         [GW_LOG_WARN] = "warn",
                                         [GW_LOG_INFO] = "info",
                                         [GW_LOG_DEBUG] = "debug"};

void gw_param_group(const struct gw_param *param, char out[GW_PARAM_NAME_BYTES])
{
    size_t bytes = (size_t)(gw_param_leaf(param) - param->name);

    bytes -= bytes > 0; /* the dot */
    gw_assert(bytes < GW_PARAM_NAME_BYTES);
    memcpy(out, param->name, bytes);
    out[bytes] = '\0';
}

const char *gw_param_leaf(const struct gw_param *param)
{
    const char *dot = strchr(param->name, '.');

    return dot == NULL ? param->name : dot + 1;
}

bool gw_param_is_text(const struct gw_param *param)
{
    return param->kind == GW_KIND_TEXT || param->kind == GW_KIND_PATH ||
           param->kind == GW_KIND_ADDRESS;
}

const char *const *gw_param_words(enum gw_param_kind kind, size_t *count)
{
    *count = 0;
    switch (kind) {
    case GW_KIND_TLS_PROFILE:
        *count = GW_ARRAY_COUNT(tls_profiles);
        return tls_profiles;
    case GW_KIND_LOCKOUT:
        *count = GW_ARRAY_COUNT(lockouts);
        return lockouts;
    case GW_KIND_LOG_FORMAT:
        *count = GW_ARRAY_COUNT(log_formats);
        return log_formats;
    case GW_KIND_LOG_LEVEL:
        *count = GW_ARRAY_COUNT(log_levels);
        return log_levels;
    case GW_KIND_U32:
    case GW_KIND_POW2:
    case GW_KIND_U64:
    case GW_KIND_BOOL:
    case GW_KIND_TEXT:
    case GW_KIND_PATH:
    case GW_KIND_ADDRESS:
    case GW_KIND_FEATURES:
        return NULL;
    }
    gw_unreachable("a kind without an entry");
}

uint64_t gw_param_number(const struct gw_config *config, const struct gw_param *param)
{
    const char *field = (const char *)config + param->offset;

    switch (param->kind) {
    case GW_KIND_U32:
    case GW_KIND_POW2:
        return *(const uint32_t *)field;
    case GW_KIND_U64:
        return *(const uint64_t *)field;
    case GW_KIND_BOOL:
        return *(const bool *)field;
    case GW_KIND_TLS_PROFILE:
        return *(const enum gw_tls_profile *)field;
    case GW_KIND_LOCKOUT:
        return *(const enum gw_lockout_profile *)field;
    case GW_KIND_LOG_FORMAT:
        return *(const enum gw_log_format *)field;
    case GW_KIND_LOG_LEVEL:
        return *(const enum gw_log_level *)field;
    case GW_KIND_TEXT:
    case GW_KIND_PATH:
    case GW_KIND_ADDRESS:
    case GW_KIND_FEATURES:
        break;
    }
    gw_unreachable("a number was asked of a parameter that is none");
}

void gw_param_number_set(struct gw_config *config, const struct gw_param *param, uint64_t number)
{
    char *field = (char *)config + param->offset;

    switch (param->kind) {
    case GW_KIND_U32:
    case GW_KIND_POW2:
        *(uint32_t *)field = (uint32_t)number;
        return;
    case GW_KIND_U64:
        *(uint64_t *)field = number;
        return;
    case GW_KIND_BOOL:
        *(bool *)field = number != 0;
        return;
    case GW_KIND_TLS_PROFILE:
        *(enum gw_tls_profile *)field = (enum gw_tls_profile)number;
        return;
    case GW_KIND_LOCKOUT:
        *(enum gw_lockout_profile *)field = (enum gw_lockout_profile)number;
        return;
    case GW_KIND_LOG_FORMAT:
        *(enum gw_log_format *)field = (enum gw_log_format)number;
        return;
    case GW_KIND_LOG_LEVEL:
        *(enum gw_log_level *)field = (enum gw_log_level)number;
        return;
    case GW_KIND_TEXT:
    case GW_KIND_PATH:
    case GW_KIND_ADDRESS:
    case GW_KIND_FEATURES:
        break;
    }
    gw_unreachable("a number was given to a parameter that is none");
}

char **gw_param_text(struct gw_config *config, const struct gw_param *param)
{
    gw_assert(gw_param_is_text(param));
    return (char **)((char *)config + param->offset);
}

int gw_config_default(struct gw_config *out)
{
    *out = (struct gw_config){.listeners_are_default = true};
    for (size_t i = 0; i < GW_PARAM_COUNT; i++) {
        const struct gw_param *param = &gw_params[i];

        if (gw_param_is_text(param)) {
            char **text = gw_param_text(out, param);

            if (param->preset_text != NULL && (*text = strdup(param->preset_text)) == NULL) {
                gw_config_free(out);
                return -ENOMEM;
            }
        } else if (param->kind != GW_KIND_FEATURES) { /* none, by the zeroing above */
            gw_param_number_set(out, param, param->preset);
        }
    }
    static const struct {
        const char *text;
        bool tls;
    } listeners[] = {
        {"[::]:443", true}, {"0.0.0.0:443", true}, {"[::]:80", false}, {"0.0.0.0:80", false}};

    for (size_t i = 0; i < GW_ARRAY_COUNT(listeners); i++) {
        struct gw_config_listener *listener = &out->listeners[out->listener_count++];
        const char *why;

        listener->tls = listeners[i].tls;
        if (!gw_address_parse(listeners[i].text, &listener->address, &why))
            gw_unreachable("a default listener is no address");
    }
    return 0;
}

void gw_config_free(struct gw_config *config)
{
    for (size_t i = 0; i < GW_PARAM_COUNT; i++)
        if (gw_param_is_text(&gw_params[i]))
            free(*gw_param_text(config, &gw_params[i]));
    *config = (struct gw_config){.listener_count = 0};
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/*
 * Edits that turn one word into the other: insert, delete, replace, swap neighbours. What does not
 * fit the rows is too long to be a typing mistake of one of our names.
 */
static size_t edit_distance(const char *a, const char *b)
{
    size_t rows[3][GW_PARAM_NAME_BYTES + 1];
    size_t a_bytes = strlen(a), b_bytes = strlen(b);

    if (a_bytes > GW_PARAM_NAME_BYTES || b_bytes > GW_PARAM_NAME_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_bytes; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t *now = rows[i % 3];
        const size_t *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = min3(now[j], before[j - 2] + 1, SIZE_MAX);
        }
    }
    return rows[a_bytes % 3][b_bytes];
}

/* Up to a third of a word may be mistyped; further away it is another word. */
static bool is_near(const char *word, size_t distance)
{
    return distance <= strlen(word) / 3 + (strlen(word) < 3);
}

const char *gw_suggest(const char *word, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;

    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(word, candidates[i]);

        if (distance < best_distance) {
            best_distance = distance;
            best = candidates[i];
        }
    }
    return best != NULL && is_near(word, best_distance) ? best : NULL;
}

/* How far a leaf is from another; one that was cut short is as near as one with a single typo. */
static size_t leaf_distance(const char *word, const char *leaf)
{
    size_t bytes = strlen(word);

    if (bytes >= 3 && strncmp(word, leaf, bytes) == 0)
        return strcmp(word, leaf) != 0;
    return edit_distance(word, leaf);
}

/*
 * Mistyped, or in the wrong group: a leaf that fits elsewhere is one mistake more than its own
 * typing mistakes. The group alone is no reason to suggest one of its members.
 */
bool gw_param_suggest(const char *name, char out[GW_PARAM_NAME_BYTES])
{
    const char *dot = strrchr(name, '.');
    const char *leaf = dot == NULL ? name : dot + 1;
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < GW_PARAM_COUNT; i++) {
        const char *candidate = gw_param_leaf(&gw_params[i]);
        size_t distance = leaf_distance(leaf, candidate);
        char group[GW_PARAM_NAME_BYTES] = "";

        gw_param_group(&gw_params[i], group);
        if (is_near(leaf, distance)) {
            size_t name_group_bytes = (size_t)(leaf - name) - (dot != NULL);
            bool same_group =
                strlen(group) == name_group_bytes && strncmp(group, name, name_group_bytes) == 0;

            distance += !same_group;
            if (distance < best) {
                best = distance;
                snprintf(out, GW_PARAM_NAME_BYTES, "%s", gw_params[i].name);
            }
        }
        distance = edit_distance(name, group);
        if (dot == NULL && group[0] != '\0' && is_near(name, distance) && distance < best) {
            best = distance;
            memcpy(out, group, sizeof group);
        }
    }
    if (dot == NULL && is_near(name, edit_distance(name, "listeners")) &&
        edit_distance(name, "listeners") < best) {
        best = 0;
        memcpy(out, "listeners", sizeof "listeners");
    }
    return best < SIZE_MAX;
}
