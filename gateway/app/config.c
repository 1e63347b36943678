/*
 * Loading the configuration: read, parsed by libconfig, held against the table, then against
 * itself. Nothing stops at the first mistake: an operator gets all of them in one run.
 *
 * I1: a parameter keeps its default unless its setting was found right, so that checks between
 *     parameters never work on values that were refused.
 */
#include "config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gw/base/assert.h>
#include <gw/http/response.h>
#include <gw/io/ring.h>

struct loader {
    const char *path; /* as the caller named it, for messages */
    char folder[PATH_MAX];
    struct gw_config *out;
    struct gw_config_errors *errors;
    uint32_t lines[GW_PARAM_COUNT]; /* where each was set; 0: not in the file */
    uint32_t tls_listener_line;
};

static const char *const listener_words[] = {"address", "tls", "proxy_from"};

static void complain(struct loader *l, uint32_t line, const char *format, ...) GW_PRINTF(3, 4);

static void complain(struct loader *l, uint32_t line, const char *format, ...)
{
    struct gw_config_error *row;
    size_t used;
    va_list args;

    if (l->errors->count == GW_CONFIG_ERRORS_MAX) {
        l->errors->left_out++;
        return;
    }
    row = &l->errors->rows[l->errors->count++];
    row->line = line;
    if (line > 0)
        snprintf(row->text, sizeof row->text, "%.200s:%u: ", l->path, line);
    else
        snprintf(row->text, sizeof row->text, "%.200s: ", l->path);
    used = strlen(row->text);
    va_start(args, format);
    vsnprintf(row->text + used, sizeof row->text - used, format, args);
    va_end(args);
    for (char *c = row->text; *c != '\0'; c++) /* the file's bytes do not reach the terminal raw */
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
}

static void complain_unknown(struct loader *l, uint32_t line, const char *name,
                             const char *suggestion)
{
    if (suggestion != NULL)
        complain(l, line, "unknown parameter '%.64s'; did you mean '%s'?", name, suggestion);
    else
        complain(l, line, "unknown parameter '%.64s'", name);
}

static const char *type_text(const config_setting_t *setting)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_GROUP:
        return "a group";
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return "a whole number";
    case CONFIG_TYPE_FLOAT:
        return "a number with a fraction";
    case CONFIG_TYPE_STRING:
        return "a text";
    case CONFIG_TYPE_BOOL:
        return "true or false";
    case CONFIG_TYPE_ARRAY:
    case CONFIG_TYPE_LIST:
        return "a list";
    default:
        return "nothing";
    }
}

/* A setting that the parser gave up on: its error is reported already. */
static bool is_half_read(const config_setting_t *setting)
{
    return config_setting_type(setting) == CONFIG_TYPE_NONE;
}

static bool is_a(struct loader *l, const config_setting_t *setting, const char *name, bool right,
                 const char *wanted)
{
    if (!right)
        complain(l, config_setting_source_line(setting), "%s: %s where %s belongs", name,
                 type_text(setting), wanted);
    return right;
}

static void set_number(struct loader *l, const struct gw_param *param,
                       const config_setting_t *setting)
{
    int type = config_setting_type(setting);
    long long value;

    if (!is_a(l, setting, param->name, type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64,
              "a whole number"))
        return;
    value = config_setting_get_int64(setting);
    if (value < 0 || (uint64_t)value < param->min || (uint64_t)value > param->max) {
        complain(l, config_setting_source_line(setting),
                 "%s: %lld is out of range, which is %llu to %llu %s", param->name, value,
                 (unsigned long long)param->min, (unsigned long long)param->max, param->unit);
        return;
    }
    if (param->kind == GW_KIND_POW2 && (value & (value - 1)) != 0) {
        complain(l, config_setting_source_line(setting), "%s: %lld is no power of two", param->name,
                 value);
        return;
    }
    gw_param_number_set(l->out, param, (uint64_t)value);
}

/* False when the joined path does not fit. */
static bool resolve(const struct loader *l, const char *path, char out[PATH_MAX])
{
    int bytes = path[0] == '/' ? snprintf(out, PATH_MAX, "%s", path)
                               : snprintf(out, PATH_MAX, "%s/%s", l->folder, path);

    return bytes >= 0 && bytes < PATH_MAX;
}

static void set_text(struct loader *l, const struct gw_param *param,
                     const config_setting_t *setting)
{
    uint32_t line = config_setting_source_line(setting);
    char **field = gw_param_text(l->out, param);
    char path[PATH_MAX];
    const char *text, *why;
    char *copy = NULL;
    struct gw_address address;

    if (!is_a(l, setting, param->name, config_setting_type(setting) == CONFIG_TYPE_STRING,
              "a text"))
        return;
    text = config_setting_get_string(setting);
    if (text[0] != '\0') {
        if (param->kind == GW_KIND_ADDRESS && !gw_address_parse(text, &address, &why)) {
            complain(l, line, "%s: \"%.80s\": %s", param->name, text, why);
            return;
        }
        if (param->kind == GW_KIND_PATH) {
            if (!resolve(l, text, path)) {
                complain(l, line, "%s: the path is too long", param->name);
                return;
            }
            text = path;
        }
        copy = strdup(text);
        if (copy == NULL) {
            complain(l, line, "%s: out of memory", param->name);
            return;
        }
    }
    free(*field);
    *field = copy;
}

static void set_choice(struct loader *l, const struct gw_param *param,
                       const config_setting_t *setting)
{
    size_t count;
    const char *const *words = gw_param_words(param->kind, &count);
    char list[128] = "";
    const char *text, *suggestion;

    if (!is_a(l, setting, param->name, config_setting_type(setting) == CONFIG_TYPE_STRING,
              "a text"))
        return;
    text = config_setting_get_string(setting);
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(list);

        if (strcmp(text, words[i]) == 0) {
            gw_param_number_set(l->out, param, i);
            return;
        }
        snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "" : ", ", words[i]);
    }
    suggestion = gw_suggest(text, words, count);
    complain(l, config_setting_source_line(setting), "%s: \"%.64s\" is none of %s%s%s%s",
             param->name, text, list, suggestion == NULL ? "" : "; did you mean \"",
             suggestion == NULL ? "" : suggestion, suggestion == NULL ? "" : "\"?");
}

static void set_features(struct loader *l, const struct gw_param *param,
                         const config_setting_t *setting)
{
    struct gw_config_features *features =
        (struct gw_config_features *)((char *)l->out + param->offset);
    int type = config_setting_type(setting);

    if (!is_a(l, setting, param->name, type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST,
              "a list of names, [\"one\", \"two\"],"))
        return;
    for (unsigned i = 0; i < (unsigned)config_setting_length(setting); i++) {
        const config_setting_t *element = config_setting_get_elem(setting, i);
        uint32_t line = config_setting_source_line(element);
        const char *name = config_setting_get_string(element);

        if (!is_a(l, element, param->name, config_setting_type(element) == CONFIG_TYPE_STRING,
                  "a name"))
            continue;
        if (strlen(name) >= GW_CONFIG_FEATURE_BYTES || gw_ring_feature_by_name(name) == 0) {
            complain(l, line,
                     "%s: \"%.64s\" is no feature that can be switched off; see "
                     "tollgate --probe",
                     param->name, name);
        } else if (features->count == GW_CONFIG_FEATURES_MAX) {
            complain(l, line, "%s: more than %d names", param->name, GW_CONFIG_FEATURES_MAX);
            return;
        } else {
            memcpy(features->names[features->count++], name, strlen(name) + 1);
        }
    }
}

static void set_param(struct loader *l, size_t index, const config_setting_t *setting)
{
    const struct gw_param *param = &gw_params[index];

    l->lines[index] = config_setting_source_line(setting);
    switch (param->kind) {
    case GW_KIND_U32:
    case GW_KIND_POW2:
    case GW_KIND_U64:
        set_number(l, param, setting);
        return;
    case GW_KIND_BOOL:
        if (is_a(l, setting, param->name, config_setting_type(setting) == CONFIG_TYPE_BOOL,
                 "true or false"))
            gw_param_number_set(l->out, param, (uint64_t)config_setting_get_bool(setting));
        return;
    case GW_KIND_TEXT:
    case GW_KIND_PATH:
    case GW_KIND_ADDRESS:
        set_text(l, param, setting);
        return;
    case GW_KIND_FEATURES:
        set_features(l, param, setting);
        return;
    case GW_KIND_TLS_PROFILE:
    case GW_KIND_LOCKOUT:
    case GW_KIND_LOG_FORMAT:
    case GW_KIND_LOG_LEVEL:
        set_choice(l, param, setting);
        return;
    }
}

static void read_proxies(struct loader *l, const config_setting_t *setting,
                         struct gw_config_listener *listener)
{
    int type = config_setting_type(setting);

    if (!is_a(l, setting, "listeners.proxy_from",
              type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST,
              "a list of networks, [\"192.0.2.0/24\", \"2001:db8::1\"],"))
        return;
    for (unsigned i = 0; i < (unsigned)config_setting_length(setting); i++) {
        const config_setting_t *element = config_setting_get_elem(setting, i);
        uint32_t line = config_setting_source_line(element);
        const char *text = config_setting_get_string(element);

        if (!is_a(l, element, "listeners.proxy_from",
                  config_setting_type(element) == CONFIG_TYPE_STRING, "a network as a text"))
            continue;
        if (listener->proxy_count == GW_CONFIG_PROXIES_MAX) {
            complain(l, line, "listeners.proxy_from: more than %d networks", GW_CONFIG_PROXIES_MAX);
            return;
        }
        if (gw_prefix_parse(text, &listener->proxy_from[listener->proxy_count]))
            listener->proxy_count++;
        else
            complain(l, line,
                     "listeners.proxy_from: \"%.64s\" is no network; one is an address, or the "
                     "first bits of one and zeros: 192.0.2.0/24",
                     text);
    }
}

static void read_listener(struct loader *l, const config_setting_t *group)
{
    uint32_t line = config_setting_source_line(group);
    struct gw_config_listener *listener = &l->out->listeners[l->out->listener_count];
    const config_setting_t *setting;
    const char *text, *why;

    if (!is_a(l, group, "listeners", config_setting_is_group(group) != 0,
              "a group, { address = \"0.0.0.0:9443\"; tls = true; },"))
        return;
    for (unsigned i = 0; i < (unsigned)config_setting_length(group); i++) {
        const config_setting_t *member = config_setting_get_elem(group, i);
        const char *name = config_setting_name(member), *suggestion;
        char near[GW_PARAM_NAME_BYTES];

        if (strcmp(name, "address") == 0 || strcmp(name, "tls") == 0 ||
            strcmp(name, "proxy_from") == 0)
            continue;
        suggestion = gw_suggest(name, listener_words, GW_ARRAY_COUNT(listener_words));
        if (suggestion != NULL)
            snprintf(near, sizeof near, "listeners.%s", suggestion);
        complain_unknown(l, config_setting_source_line(member), name,
                         suggestion == NULL ? NULL : near);
    }

    listener->tls = true;
    setting = config_setting_get_member(group, "tls");
    if (setting != NULL && is_a(l, setting, "listeners.tls",
                                config_setting_type(setting) == CONFIG_TYPE_BOOL, "true or false"))
        listener->tls = config_setting_get_bool(setting) != 0;
    setting = config_setting_get_member(group, "proxy_from");
    if (setting != NULL)
        read_proxies(l, setting, listener);
    setting = config_setting_get_member(group, "address");
    if (setting == NULL) {
        complain(l, line, "listeners: an address is missing");
        return;
    }
    if (!is_a(l, setting, "listeners.address", config_setting_type(setting) == CONFIG_TYPE_STRING,
              "a text"))
        return;
    text = config_setting_get_string(setting);
    if (!gw_address_parse(text, &listener->address, &why)) {
        complain(l, config_setting_source_line(setting), "listeners.address: \"%.80s\": %s", text,
                 why);
        return;
    }
    for (uint32_t i = 0; i < l->out->listener_count; i++) {
        const struct gw_address *other = &l->out->listeners[i].address;

        if (gw_address_port(other) != 0 && other->bytes == listener->address.bytes &&
            memcmp(&other->storage, &listener->address.storage, other->bytes) == 0)
            complain(l, config_setting_source_line(setting),
                     "listeners.address: \"%.80s\" stands here twice", text);
    }
    if (listener->tls && l->tls_listener_line == 0)
        l->tls_listener_line = line;
    l->out->listener_count++;
}

static void read_listeners(struct loader *l, const config_setting_t *setting)
{
    uint32_t line = config_setting_source_line(setting);
    int type = config_setting_type(setting), length;

    memset(l->out->listeners, 0, sizeof l->out->listeners);
    l->out->listener_count = 0;
    l->out->listeners_are_default = false;
    if (!is_a(l, setting, "listeners", type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY,
              "a list, ( { ... }, { ... } ),"))
        return;
    length = config_setting_length(setting);
    if (length == 0)
        complain(l, line, "listeners: the list is empty, nothing could connect");
    if (length > GW_CONFIG_LISTENERS_MAX) {
        complain(l, line, "listeners: more than %d", GW_CONFIG_LISTENERS_MAX);
        return;
    }
    for (unsigned i = 0; i < (unsigned)length; i++)
        if (!is_half_read(config_setting_get_elem(setting, i)))
            read_listener(l, config_setting_get_elem(setting, i));
}

static bool group_exists(const char *name)
{
    char group[GW_PARAM_NAME_BYTES];

    for (size_t i = 0; i < GW_PARAM_COUNT; i++) {
        gw_param_group(&gw_params[i], group);
        if (group[0] != '\0' && strcmp(group, name) == 0)
            return true;
    }
    return false;
}

/* The settings of one group; of the top when `group` is "". */
static void read_settings(struct loader *l, const config_setting_t *settings, const char *group)
{
    for (unsigned i = 0; i < (unsigned)config_setting_length(settings); i++) {
        const config_setting_t *setting = config_setting_get_elem(settings, i);
        uint32_t line = config_setting_source_line(setting);
        char name[2 * GW_PARAM_NAME_BYTES], near[GW_PARAM_NAME_BYTES];
        size_t index = 0;

        if (is_half_read(setting))
            continue;
        snprintf(name, sizeof name, "%s%s%.64s", group, group[0] == '\0' ? "" : ".",
                 config_setting_name(setting));
        while (index < GW_PARAM_COUNT && strcmp(gw_params[index].name, name) != 0)
            index++;
        if (index < GW_PARAM_COUNT) {
            set_param(l, index, setting);
        } else if (group[0] == '\0' && group_exists(name)) {
            is_a(l, setting, name, config_setting_is_group(setting) != 0, "a group, { ... },");
        } else if (group[0] != '\0' || strcmp(name, "listeners") != 0) {
            complain_unknown(l, line, name, gw_param_suggest(name, near) ? near : NULL);
        }
    }
}

static void read_groups(struct loader *l, const config_setting_t *root)
{
    read_settings(l, root, "");
    for (unsigned i = 0; i < (unsigned)config_setting_length(root); i++) {
        const config_setting_t *setting = config_setting_get_elem(root, i);

        if (config_setting_is_group(setting) && group_exists(config_setting_name(setting)))
            read_settings(l, setting, config_setting_name(setting));
    }
}

/* The line of whichever of two parameters was set last: there the contradiction came in. */
static uint32_t later(const struct loader *l, size_t a, size_t b)
{
    return l->lines[a] > l->lines[b] ? l->lines[a] : l->lines[b];
}

static void check_order(struct loader *l, size_t low, size_t high)
{
    uint64_t a = gw_param_number(l->out, &gw_params[low]);
    uint64_t b = gw_param_number(l->out, &gw_params[high]);

    if (a > b)
        complain(l, later(l, low, high), "%s = %llu is above %s = %llu", gw_params[low].name,
                 (unsigned long long)a, gw_params[high].name, (unsigned long long)b);
}

static void check_pair(struct loader *l, size_t chain, size_t key)
{
    bool has_chain = *gw_param_text(l->out, &gw_params[chain]) != NULL;
    bool has_key = *gw_param_text(l->out, &gw_params[key]) != NULL;

    if (has_chain != has_key)
        complain(l, l->lines[has_chain ? chain : key], "%s without %s",
                 gw_params[has_chain ? chain : key].name, gw_params[has_chain ? key : chain].name);
}

static void check_certificates(struct loader *l)
{
    const struct gw_config *c = l->out;
    bool none = c->tls_rsa_chain == NULL && c->tls_rsa_key == NULL && c->tls_ec_chain == NULL &&
                c->tls_ec_key == NULL;

    check_pair(l, GW_PARAM_tls_rsa_chain, GW_PARAM_tls_rsa_key);
    check_pair(l, GW_PARAM_tls_ec_chain, GW_PARAM_tls_ec_key);
    if (none && c->listeners_are_default)
        complain(l, 0,
                 "the default listeners speak TLS: set tls.rsa_chain and tls.rsa_key, or "
                 "tls.ec_chain and tls.ec_key, or name listeners with tls = false");
    else if (none && l->tls_listener_line != 0)
        complain(l, l->tls_listener_line,
                 "this listener speaks TLS: set tls.rsa_chain and tls.rsa_key, or tls.ec_chain "
                 "and tls.ec_key");
}

static void check_admin(struct loader *l)
{
    struct gw_address address;
    const char *why;

    if (l->out->admin_listen == NULL || l->out->admin_allow_remote)
        return;
    if (gw_address_parse(l->out->admin_listen, &address, &why) && !gw_address_is_loopback(&address))
        complain(l, l->lines[GW_PARAM_admin_listen],
                 "admin.listen: %s can be reached from outside and asks nobody who they are; use "
                 "127.0.0.1 or [::1], or set admin.allow_remote = true",
                 l->out->admin_listen);
}

/* It goes into every answer's head as it stands. */
static void check_http(struct loader *l)
{
    const char *origin = l->out->http_cors_origin;
    size_t bytes = 0;

    while (origin != NULL && origin[bytes] > ' ' && origin[bytes] < 0x7f)
        bytes++;
    if (origin != NULL && (origin[bytes] != '\0' || bytes > GW_HTTP_ORIGIN_BYTES_MAX))
        complain(l, l->lines[GW_PARAM_http_cors_origin],
                 "http.cors_origin: one origin of at most %d visible characters, or \"*\"",
                 GW_HTTP_ORIGIN_BYTES_MAX);
}

/* What no row can say on its own. */
static void check_whole(struct loader *l)
{
    const struct gw_config *c = l->out;
    size_t index_bytes = c->index_path == NULL ? 0 : strlen(c->index_path);

    check_order(l, GW_PARAM_heartbeat_min_s, GW_PARAM_heartbeat_max_s);
    check_order(l, GW_PARAM_heartbeat_min_s, GW_PARAM_heartbeat_default_s);
    check_order(l, GW_PARAM_heartbeat_default_s, GW_PARAM_heartbeat_max_s);
    check_order(l, GW_PARAM_mismatch_delay_s, GW_PARAM_mismatch_delay_s_max);
    if (c->journal_bytes_max / 2 < c->journal_segment_bytes)
        complain(l, later(l, GW_PARAM_journal_segment_bytes, GW_PARAM_journal_bytes_max),
                 "journal.bytes_max = %llu does not hold two segments of %llu bytes",
                 (unsigned long long)c->journal_bytes_max,
                 (unsigned long long)c->journal_segment_bytes);
    if (c->index_path == NULL)
        complain(l, l->lines[GW_PARAM_index_path], "index.path is empty");
    if (c->journal_path == NULL)
        complain(l, l->lines[GW_PARAM_journal_path], "journal.path is empty");
    if (c->index_path != NULL && c->index_high_water != NULL &&
        strncmp(c->index_high_water, c->index_path, index_bytes) == 0 &&
        c->index_high_water[index_bytes] == '/')
        complain(l, later(l, GW_PARAM_index_high_water, GW_PARAM_index_path),
                 "index.high_water lies inside index.path: an index restored from a backup would "
                 "bring its own memory along");
    check_certificates(l);
    check_admin(l);
    check_http(l);
}

/* A file of any kind but a folder, up to GW_CONFIG_FILE_BYTES_MAX, with a NUL behind it. */
static int read_file(const char *path, char **out, size_t *out_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
    size_t used = 0;
    char *text;

    if (fd < 0)
        return -errno;
    text = malloc(GW_CONFIG_FILE_BYTES_MAX + 2);
    if (text == NULL)
        err = -ENOMEM;
    while (err == 0) {
        ssize_t n = read(fd, text + used, GW_CONFIG_FILE_BYTES_MAX + 1 - used);

        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            err = -errno;
        if (n > 0 && (used += (size_t)n) > GW_CONFIG_FILE_BYTES_MAX)
            err = -EFBIG;
    }
    close(fd);
    if (err != 0) {
        free(text);
        return err;
    }
    text[used] = '\0';
    *out = text;
    *out_bytes = used;
    return 0;
}

/* Relative paths start where the file lies, or where the process runs if that cannot be told. */
static void find_folder(struct loader *l, const char *path)
{
    char *slash;

    if (realpath(path, l->folder) != NULL && (slash = strrchr(l->folder, '/')) != NULL) {
        slash[slash == l->folder] = '\0'; /* "/etc/x" becomes "/etc", "/x" becomes "/" */
        return;
    }
    if (getcwd(l->folder, sizeof l->folder) == NULL)
        memcpy(l->folder, ".", sizeof "."); /* a deleted folder: opening will say so */
}

static void report_text(void *context, uint32_t line, const char *what)
{
    complain(context, line, "%s", what);
}

/* -ENOMEM; anything else was reported. */
static int parse(struct loader *l, const char *raw, size_t bytes)
{
    char *text = gw_config_text(raw, bytes, report_text, l);
    config_t parsed;
    bool whole;

    if (text == NULL)
        return -ENOMEM;
    config_init(&parsed);
    whole = config_read_string(&parsed, text) == CONFIG_TRUE;
    if (!whole)
        complain(l, (uint32_t)config_error_line(&parsed), "%s", config_error_text(&parsed));
    read_groups(l, config_root_setting(&parsed));
    if (whole) {
        const config_setting_t *listeners = config_lookup(&parsed, "listeners");

        if (listeners != NULL)
            read_listeners(l, listeners);
        check_whole(l);
    }
    config_destroy(&parsed);
    free(text);
    return 0;
}

/* By line, in the order they were found where lines are equal. */
static void sort_errors(struct gw_config_errors *errors)
{
    for (uint32_t i = 1; i < errors->count; i++) {
        struct gw_config_error row = errors->rows[i];
        uint32_t j = i;

        for (; j > 0 && errors->rows[j - 1].line > row.line; j--)
            errors->rows[j] = errors->rows[j - 1];
        errors->rows[j] = row;
    }
}

int gw_config_load(const char *path, struct gw_config *out, struct gw_config_errors *errors)
{
    struct loader l = {.path = path == NULL ? "(no file)" : path, .out = out, .errors = errors};
    char *text = NULL;
    size_t bytes = 0;
    int err;

    errors->count = errors->left_out = 0;
    err = gw_config_default(out);
    if (err == 0 && path == NULL) {
        check_whole(&l);
    } else if (err == 0) {
        err = read_file(path, &text, &bytes);
        if (err == 0) {
            find_folder(&l, path);
            err = parse(&l, text, bytes);
        }
    }
    free(text);
    if (err != 0)
        complain(&l, 0, "%s", strerror(-err));
    else if (errors->count > 0)
        err = -EINVAL;
    sort_errors(errors);
    if (err != 0)
        gw_config_free(out);
    return err;
}
