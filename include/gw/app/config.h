/*
 * The configuration: one file in libconfig's syntax, one table of parameters (gw/app/params.def)
 * from which the fields below, the checks, the dump and the manual come.
 *
 *     struct gw_config config;
 *     struct gw_config_errors errors;
 *
 *     if (gw_config_load(path, &config, &errors) != 0)
 *         for (uint32_t i = 0; i < errors.count; i++)
 *             fprintf(stderr, "%s\n", errors.rows[i].text);
 *     ...
 *     gw_config_free(&config);
 *
 * Control thread only.
 */
#ifndef GW_APP_CONFIG_H
#define GW_APP_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <gw/app/address.h>
#include <gw/base/defs.h>
#include <gw/base/lockout.h>
#include <gw/base/log.h>
#include <gw/base/prefix.h>
#include <gw/tls/tls.h>

enum {
    GW_CONFIG_LISTENERS_MAX = 16,
    GW_CONFIG_PROXIES_MAX = 16,
    GW_CONFIG_FEATURES_MAX = 16,
    GW_CONFIG_FEATURE_BYTES = 32,
    GW_CONFIG_ERRORS_MAX = 64,
    GW_CONFIG_ERROR_BYTES = 384,
    GW_CONFIG_FILE_BYTES_MAX = 1 << 20,
};

struct gw_config_listener {
    struct gw_address address; /* port 0: the kernel chooses */
    bool tls;
    uint32_t proxy_count; /* networks whose connections begin with a PROXY header */
    struct gw_prefix proxy_from[GW_CONFIG_PROXIES_MAX];
};

/* Features of the ring to do without, by name; every name is known to gw_ring_feature_by_name. */
struct gw_config_features {
    uint32_t count;
    char names[GW_CONFIG_FEATURES_MAX][GW_CONFIG_FEATURE_BYTES];
};

/* The kinds of parameters, and what each is in C. Texts and paths are NULL when empty. */
#define GW_CONFIG_TYPE_U32         uint32_t
#define GW_CONFIG_TYPE_POW2        uint32_t
#define GW_CONFIG_TYPE_U64         uint64_t
#define GW_CONFIG_TYPE_BOOL        bool
#define GW_CONFIG_TYPE_TEXT        char *
#define GW_CONFIG_TYPE_PATH        char * /* absolute, or relative to the configuration file */
#define GW_CONFIG_TYPE_ADDRESS     char * /* gw_address_parse accepts it                     */
#define GW_CONFIG_TYPE_FEATURES    struct gw_config_features
#define GW_CONFIG_TYPE_TLS_PROFILE enum gw_tls_profile
#define GW_CONFIG_TYPE_LOCKOUT     enum gw_lockout_profile
#define GW_CONFIG_TYPE_LOG_FORMAT  enum gw_log_format
#define GW_CONFIG_TYPE_LOG_LEVEL   enum gw_log_level

struct gw_config {
#define GW_PARAM(field, name, kind, preset, min, max, unit, help) GW_CONFIG_TYPE_##kind field;
#include <gw/app/params.def>
#undef GW_PARAM

    uint32_t listener_count;
    struct gw_config_listener listeners[GW_CONFIG_LISTENERS_MAX];
    /*
     * The file names no listeners: these are ports 443 (TLS) and 80 (plain) on [::] and 0.0.0.0,
     * the IPv6 sockets IPv6 only. Whoever cannot bind them may fall back to 9443 and 8080.
     */
    bool listeners_are_default;
};

struct gw_config_error {
    uint32_t line; /* in the configuration file; 0 when it is about the whole of it */
    char text[GW_CONFIG_ERROR_BYTES]; /* "FILE:LINE: what is wrong; what to do", no newline */
};

struct gw_config_errors {
    uint32_t count;
    uint32_t left_out; /* beyond GW_CONFIG_ERRORS_MAX */
    struct gw_config_error rows[GW_CONFIG_ERRORS_MAX];
};

/*
 * Reads and checks the file; NULL: no file, defaults alone, checked. All errors are reported at
 * once, in the order of their lines. 0, -EINVAL for a wrong configuration, or -errno when the file
 * could not be read; there is at least one error then, and `out` holds nothing to free.
 */
GW_MUST_USE int gw_config_load(const char *path, struct gw_config *out,
                               struct gw_config_errors *errors);

/* The table's defaults, unchecked: without certificates they do not pass gw_config_load. -ENOMEM.
 */
GW_MUST_USE int gw_config_default(struct gw_config *out);

/* Safe on an all-zero config, and twice. */
void gw_config_free(struct gw_config *config);

/* Every parameter with its value and help, as a file that loads to the same configuration. */
void gw_config_dump(const struct gw_config *config, FILE *out);

/* docs/configuration.md. */
void gw_config_manual(FILE *out);

#endif
