/*
 * Devices and their tokens. A token is drawn here or read from standard input, printed once after
 * the commit, and wiped.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include <gw/base/clock.h>
#include <gw/crypto/crypto.h>
#include <gw/token/details.h>

#include "ctl_index.h"

enum { PROVISIONING_S = 7 * 86400 }; /* how long a token is good that is for provisioning */

static int get_token(bool from_stdin, uint8_t token[GW_TOKEN_BYTES])
{
    if (from_stdin)
        return ctl_token_read(token);
    gw_random(token, GW_TOKEN_BYTES);
    return CTL_OK;
}

static int device_add(struct ctl_index *ix, const char *product, struct gw_device_spec *spec,
                      uint8_t token[GW_TOKEN_BYTES], bool json)
{
    struct gw_product_info info;
    uint32_t number = 0;
    int err, code = ctl_index_write(ix);

    if (code != CTL_OK || (code = ctl_find_product(ix, product, &spec->product)) != CTL_OK)
        return code;
    if (spec->not_after_s == 0 && gw_catalog_product(ix->view, spec->product, &info) == 0 &&
        (info.flags & GW_PRODUCT_PROVISIONS) != 0)
        spec->not_after_s = gw_clock_wall_us() / 1000000 + PROVISIONING_S;
    spec->token = token;
    err = gw_index_device_add(ix->writer, spec, &number);
    if (err == -EINVAL)
        return ctl_fail(CTL_USAGE, "a name has up to 64 bytes and no control characters, and "
                                   "--not-after lies after --not-before");
    if (err != 0)
        return ctl_index_fail(ix, "the token", err);
    code = ctl_index_commit(ix);
    return code != CTL_OK ? code : ctl_token_print(number, token, json);
}

int ctl_device_add(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const char *product = NULL, *name = NULL, *owner = NULL, *before = NULL, *after = NULL;
    bool from_stdin = false, json = false;
    const struct ctl_option options[] = {
        {"product", &product, NULL}, {"name", &name, NULL},
        {"owner", &owner, NULL},     {"not-before", &before, NULL},
        {"not-after", &after, NULL}, {"token-stdin", NULL, &from_stdin},
        {"json", NULL, &json},       CTL_INDEX_OPTIONS(&ix)};
    unsigned long long owner_number = 0, not_before = 0, not_after = 0;
    uint8_t token[GW_TOKEN_BYTES];
    struct gw_device_spec spec;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);

    if (code != CTL_OK)
        return code;
    if (product == NULL)
        return ctl_fail(CTL_USAGE, "--product names what the device is; see 'tollgatectl product "
                                   "list'");
    if ((owner != NULL && !ctl_number(owner, "--owner", 0, UINT32_MAX, &owner_number)) ||
        (before != NULL && !ctl_number(before, "--not-before", 0, INT64_MAX, &not_before)) ||
        (after != NULL && !ctl_number(after, "--not-after", 0, INT64_MAX, &not_after)))
        return CTL_USAGE;
    spec = (struct gw_device_spec){.owner = (uint32_t)owner_number,
                                   .name = gw_bytes_text(name == NULL ? "" : name),
                                   .not_before_s = not_before,
                                   .not_after_s = not_after};
    code = get_token(from_stdin, token);
    if (code == CTL_OK)
        code = device_add(&ix, product, &spec, token, json);
    gw_wipe(token, sizeof token);
    ctl_index_close(&ix);
    return code;
}

static json_t *device_json(const struct gw_device_info *device, const char *product)
{
    return json_pack("{s:I, s:s, s:s, s:I, s:I, s:b, s:b, s:I, s:I, s:I, s:I}", "device",
                     (json_int_t)device->number, "name", device->name, "product", product, "org",
                     (json_int_t)device->org, "owner", (json_int_t)device->owner, "disabled",
                     device->disabled, "has_token", device->has_token, "generation",
                     (json_int_t)device->generation, "not_before", (json_int_t)device->not_before_s,
                     "not_after", (json_int_t)device->not_after_s, "created",
                     (json_int_t)device->created_s);
}

static const char *device_state(const struct gw_device_info *device)
{
    if (!device->has_token)
        return "revoked";
    return device->disabled ? "disabled" : "active";
}

/* The id of a product, remembered: a list names the same one again and again. */
static const char *product_id(struct ctl_index *ix, uint32_t number, struct gw_product_info *last)
{
    if (last->number != number && gw_catalog_product(ix->view, number, last) != 0)
        (void)snprintf(last->id, sizeof last->id, "?");
    return last->id;
}

/* Row by row, so that a list of millions needs no memory. */
static int device_list(struct ctl_index *ix, uint32_t product, bool json)
{
    struct gw_product_info last = {.number = 0};
    struct gw_device_info device = {.number = 0};
    bool first = true;
    char created[32];
    int err;

    if (json)
        (void)printf("[");
    else
        (void)printf("%10s  %-8s  %-32s  %-20s  %s\n", "DEVICE", "STATE", "PRODUCT", "CREATED",
                     "NAME");
    while ((err = gw_catalog_device_next(ix->view, device.number, &device)) == 0) {
        if (product != 0 && device.product != product)
            continue;
        if (json) {
            json_t *row = device_json(&device, product_id(ix, device.product, &last));

            (void)printf(first ? "\n" : ",\n");
            if (row == NULL || json_dumpf(row, stdout, 0) != 0)
                return ctl_fail(CTL_FAILED, "device %" PRIu32 " could not be printed",
                                device.number);
            json_decref(row);
        } else {
            (void)printf("%10" PRIu32 "  %-8s  %-32s  %-20s  %s\n", device.number,
                         device_state(&device), product_id(ix, device.product, &last),
                         ctl_time(device.created_s, created), device.name);
        }
        first = false;
    }
    if (err != -ENOENT)
        return ctl_index_fail(ix, ctl_device_words(device.number, created), err);
    if (json)
        (void)printf("\n]\n");
    return CTL_OK;
}

int ctl_device_list(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const char *product = NULL;
    bool json = false;
    const struct ctl_option options[] = {
        {"product", &product, NULL}, {"json", NULL, &json}, CTL_INDEX_OPTIONS(&ix)};
    uint32_t number = 0;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);

    if (code == CTL_OK && (code = ctl_index_read(&ix)) == CTL_OK &&
        (product == NULL || (code = ctl_find_product(&ix, product, &number)) == CTL_OK))
        code = device_list(&ix, number, json);
    ctl_index_close(&ix);
    return code;
}

static int device_show(struct ctl_index *ix, uint32_t number, bool json)
{
    struct gw_product_info product = {.number = 0};
    struct gw_device_info device;
    char what[32], created[32], from[32], until[32];
    struct gw_bytes zone = gw_bytes_text("UTC");
    int err = gw_catalog_device(ix->view, number, &device);

    if (err == 0 && (err = gw_catalog_zone(ix->view, number, &zone)) == -ENOENT) {
        zone = gw_bytes_text("UTC");
        err = 0;
    }
    if (err != 0)
        return ctl_index_fail(ix, ctl_device_words(number, what), err);
    if (json) {
        json_t *row = device_json(&device, product_id(ix, device.product, &product));

        if (row != NULL)
            (void)json_object_set_new(row, "time_zone",
                                      json_stringn((const char *)zone.data, zone.size));
        return ctl_json_print(row);
    }
    (void)printf("device      %" PRIu32 "\nname        %s\nstate       %s\nproduct     %s\n"
                 "org         %" PRIu32 "\nowner       %" PRIu32 "\ngeneration  %" PRIu32
                 "\nnot before  %s\nnot after   %s\ncreated     %s\ntime zone   %.*s\n",
                 device.number, device.name, device_state(&device),
                 product_id(ix, device.product, &product), device.org, device.owner,
                 device.generation, ctl_time(device.not_before_s, from),
                 ctl_time(device.not_after_s, until), ctl_time(device.created_s, created),
                 (int)zone.size, (const char *)zone.data);
    return CTL_OK;
}

int ctl_device_show(int argc, char **argv)
{
    struct ctl_index ix = {0};
    bool json = false;
    const struct ctl_option options[] = {{"json", NULL, &json}, CTL_INDEX_OPTIONS(&ix)};
    uint32_t number = 0;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code == CTL_OK && (code = ctl_read_device(argv[1], &number)) == CTL_OK &&
        (code = ctl_index_read(&ix)) == CTL_OK)
        code = device_show(&ix, number, json);
    ctl_index_close(&ix);
    return code;
}

static int device_set_disabled(int argc, char **argv, bool disabled)
{
    struct ctl_index ix = {0};
    const struct ctl_option options[] = {CTL_INDEX_OPTIONS(&ix)};
    uint32_t number = 0;
    char what[32];
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code == CTL_OK && (code = ctl_read_device(argv[1], &number)) == CTL_OK &&
        (code = ctl_index_write(&ix)) == CTL_OK) {
        err = gw_index_device_set_disabled(ix.writer, number, disabled);
        code = err != 0 ? ctl_index_fail(&ix, ctl_device_words(number, what), err)
                        : ctl_index_commit(&ix);
    }
    ctl_index_close(&ix);
    return code;
}

int ctl_device_disable(int argc, char **argv)
{
    return device_set_disabled(argc, argv, true);
}

int ctl_device_enable(int argc, char **argv)
{
    return device_set_disabled(argc, argv, false);
}

int ctl_device_move(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const char *product = NULL;
    const struct ctl_option options[] = {{"product", &product, NULL}, CTL_INDEX_OPTIONS(&ix)};
    uint32_t number = 0, target = 0;
    char what[32];
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code == CTL_OK && product == NULL)
        code = ctl_fail(CTL_USAGE, "--product says where the device moves to");
    if (code == CTL_OK && (code = ctl_read_device(argv[1], &number)) == CTL_OK &&
        (code = ctl_index_write(&ix)) == CTL_OK &&
        (code = ctl_find_product(&ix, product, &target)) == CTL_OK) {
        err = gw_index_device_move(ix.writer, number, target);
        code = err != 0 ? ctl_index_fail(&ix, ctl_device_words(number, what), err)
                        : ctl_index_commit(&ix);
    }
    ctl_index_close(&ix);
    return code;
}

static int token_rotate(struct ctl_index *ix, uint32_t number, uint8_t token[GW_TOKEN_BYTES],
                        bool json)
{
    char what[32];
    int err, code = ctl_index_write(ix);

    if (code != CTL_OK)
        return code;
    err = gw_index_token_rotate(ix->writer, number, token);
    if (err != 0)
        return ctl_index_fail(ix, err == -EEXIST ? "the token" : ctl_device_words(number, what),
                              err);
    code = ctl_index_commit(ix);
    return code != CTL_OK ? code : ctl_token_print(number, token, json);
}

int ctl_token_rotate(int argc, char **argv)
{
    struct ctl_index ix = {0};
    bool from_stdin = false, json = false;
    const struct ctl_option options[] = {
        {"token-stdin", NULL, &from_stdin}, {"json", NULL, &json}, CTL_INDEX_OPTIONS(&ix)};
    uint8_t token[GW_TOKEN_BYTES];
    uint32_t number = 0;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code == CTL_OK && (code = ctl_read_device(argv[1], &number)) == CTL_OK &&
        (code = get_token(from_stdin, token)) == CTL_OK)
        code = token_rotate(&ix, number, token, json);
    gw_wipe(token, sizeof token);
    ctl_index_close(&ix);
    return code;
}

int ctl_token_revoke(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const struct ctl_option options[] = {CTL_INDEX_OPTIONS(&ix)};
    struct gw_device_info device;
    uint32_t number = 0;
    char what[32];
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code == CTL_OK && (code = ctl_read_device(argv[1], &number)) == CTL_OK &&
        (code = ctl_index_write(&ix)) == CTL_OK) {
        err = gw_index_token_revoke(ix.writer, number);
        if (err == -ENOENT && gw_catalog_device(ix.view, number, &device) == 0)
            code = ctl_fail(CTL_FAILED, "device %" PRIu32 " has no token to revoke", number);
        else
            code = err != 0 ? ctl_index_fail(&ix, ctl_device_words(number, what), err)
                            : ctl_index_commit(&ix);
    }
    ctl_index_close(&ix);
    return code;
}

int ctl_token_window(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const char *before = NULL, *after = NULL;
    const struct ctl_option options[] = {
        {"not-before", &before, NULL}, {"not-after", &after, NULL}, CTL_INDEX_OPTIONS(&ix)};
    unsigned long long not_before = 0, not_after = 0;
    uint32_t number = 0;
    char what[32];
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code == CTL_OK &&
        ((before != NULL && !ctl_number(before, "--not-before", 0, INT64_MAX, &not_before)) ||
         (after != NULL && !ctl_number(after, "--not-after", 0, INT64_MAX, &not_after))))
        code = CTL_USAGE;
    if (code == CTL_OK && (code = ctl_read_device(argv[1], &number)) == CTL_OK &&
        (code = ctl_index_write(&ix)) == CTL_OK) {
        err = gw_index_token_window(ix.writer, number, not_before, not_after);
        if (err == -EINVAL)
            code = ctl_fail(CTL_USAGE, "--not-after lies before --not-before");
        else
            code = err != 0 ? ctl_index_fail(&ix, ctl_device_words(number, what), err)
                            : ctl_index_commit(&ix);
    }
    ctl_index_close(&ix);
    return code;
}
