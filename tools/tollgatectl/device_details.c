/*
 * What an operator sets of a device beside its token: time zone and metadata.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/token/details.h>
#include <gw/zone/zone.h>

#include "ctl_index.h"

/* Is it a zone of this machine's tz database? Says so when it is not. */
static int check_zone(const char *name)
{
    const char *folder = getenv("TZDIR");
    struct gw_zone *zone;
    int err;

    if (strcmp(name, "UTC") == 0)
        return CTL_OK;
    if (folder == NULL || folder[0] == '\0')
        folder = GW_ZONES_PATH;
    err = gw_zone_load(folder, gw_bytes_text(name), &zone);
    if (err == 0) {
        gw_zone_destroy(zone);
        return CTL_OK;
    }
    if (err == -ENOENT || err == -EINVAL || err == -ENOTDIR)
        return ctl_fail(CTL_FAILED,
                        "there is no time zone '%.80s' in %s; names are as Europe/Berlin, and "
                        "Debian's package tzdata has them",
                        name, folder);
    return ctl_fail(CTL_CONFIG, "the time zone '%.80s' in %s cannot be used: %s", name, folder,
                    strerror(-err));
}

static int commit_for(struct ctl_index *ix, uint32_t device, int err)
{
    char what[32];

    return err != 0 ? ctl_index_fail(ix, ctl_device_words(device, what), err)
                    : ctl_index_commit(ix);
}

int ctl_device_set(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const char *zone = NULL;
    const struct ctl_option options[] = {{"time-zone", &zone, NULL}, CTL_INDEX_OPTIONS(&ix)};
    uint32_t device = 0;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code != CTL_OK)
        return code;
    if (zone == NULL)
        return ctl_fail(CTL_USAGE, "--time-zone says which one the device is in");
    if ((code = ctl_read_device(argv[1], &device)) == CTL_OK &&
        (code = check_zone(zone)) == CTL_OK && (code = ctl_index_write(&ix)) == CTL_OK)
        code = commit_for(&ix, device,
                          gw_index_zone_set(ix.writer, device,
                                            gw_bytes_text(strcmp(zone, "UTC") == 0 ? "" : zone)));
    ctl_index_close(&ix);
    return code;
}

int ctl_device_meta_set(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const struct ctl_option options[] = {CTL_INDEX_OPTIONS(&ix)};
    uint32_t device = 0;
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 3, 3, &words);

    if (code == CTL_OK && (code = ctl_read_device(argv[1], &device)) == CTL_OK &&
        (code = ctl_index_write(&ix)) == CTL_OK) {
        err = gw_index_field_set(ix.writer, device, gw_bytes_text(argv[2]), gw_bytes_text(argv[3]));
        if (err == -EINVAL)
            code = ctl_fail(CTL_USAGE,
                            "a field has a name of 1 to %d bytes and a value of up to "
                            "%d, without control characters",
                            GW_FIELD_NAME_BYTES_MAX, GW_FIELD_VALUE_BYTES_MAX);
        else
            code = commit_for(&ix, device, err);
    }
    ctl_index_close(&ix);
    return code;
}

static int no_field(const struct ctl_index *ix, uint32_t device, const char *name, int err)
{
    if (err == -ENOENT)
        return ctl_fail(CTL_FAILED, "device %" PRIu32 " has no field '%.80s'", device, name);
    return ctl_index_fail(ix, "the field", err);
}

int ctl_device_meta_remove(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const struct ctl_option options[] = {CTL_INDEX_OPTIONS(&ix)};
    uint32_t device = 0;
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 2, 2, &words);

    if (code == CTL_OK && (code = ctl_read_device(argv[1], &device)) == CTL_OK &&
        (code = ctl_index_write(&ix)) == CTL_OK) {
        err = gw_index_field_remove(ix.writer, device, gw_bytes_text(argv[2]));
        code = err != 0 ? no_field(&ix, device, argv[2], err) : ctl_index_commit(&ix);
    }
    ctl_index_close(&ix);
    return code;
}

static json_t *json_of(struct gw_bytes text)
{
    return json_stringn((const char *)text.data, text.size);
}

static int print_field(struct ctl_index *ix, uint32_t device, const char *name, bool json)
{
    struct gw_bytes value;
    const int err = gw_catalog_field(ix->view, device, gw_bytes_text(name), &value);

    if (err != 0)
        return no_field(ix, device, name, err);
    if (json)
        return ctl_json_print(json_pack("{s:o}", name, json_of(value)));
    (void)printf("%.*s\n", (int)value.size, (const char *)value.data);
    return CTL_OK;
}

static int print_fields(struct ctl_index *ix, uint32_t device, bool json)
{
    json_t *fields = json ? json_object() : NULL;
    struct gw_bytes name = gw_bytes_of(NULL, 0), value;
    char key[GW_FIELD_NAME_BYTES_MAX + 1];
    int err;

    while ((err = gw_catalog_field_next(ix->view, device, name, &name, &value)) == 0) {
        (void)snprintf(key, sizeof key, "%.*s", (int)name.size, (const char *)name.data);
        if (json)
            (void)json_object_set_new(fields, key, json_of(value));
        else
            (void)printf("%-24s  %.*s\n", key, (int)value.size, (const char *)value.data);
    }
    if (err != -ENOENT) {
        json_decref(fields);
        return ctl_index_fail(ix, "the fields", err);
    }
    return json ? ctl_json_print(fields) : CTL_OK;
}

static int meta_get(struct ctl_index *ix, uint32_t device, const char *name, bool json)
{
    struct gw_device_info info;
    const int err = gw_catalog_device(ix->view, device, &info);
    char what[32];

    if (err != 0)
        return ctl_index_fail(ix, ctl_device_words(device, what), err);
    return name != NULL ? print_field(ix, device, name, json) : print_fields(ix, device, json);
}

int ctl_device_meta_get(int argc, char **argv)
{
    struct ctl_index ix = {0};
    bool json = false;
    const struct ctl_option options[] = {{"json", NULL, &json}, CTL_INDEX_OPTIONS(&ix)};
    uint32_t device = 0;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 2, &words);

    if (code == CTL_OK && (code = ctl_read_device(argv[1], &device)) == CTL_OK &&
        (code = ctl_index_read(&ix)) == CTL_OK)
        code = meta_get(&ix, device, words == 2 ? argv[2] : NULL, json);
    ctl_index_close(&ix);
    return code;
}
