/*
 * Organisations and products.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include <gw/crypto/crypto.h>

#include "ctl_index.h"

static int org_add(struct ctl_index *ix, const char *name)
{
    uint32_t number = 0;
    char what[160];
    int err, code = ctl_index_write(ix);

    if (code != CTL_OK)
        return code;
    err = gw_index_org_add(ix->writer, gw_bytes_text(name), &number);
    if (err == -EINVAL)
        return ctl_fail(CTL_USAGE, "a name has 1 to 64 bytes and no control characters");
    (void)snprintf(what, sizeof what, "organisation '%.80s'", name);
    if (err != 0)
        return ctl_index_fail(ix, what, err);
    code = ctl_index_commit(ix);
    if (code == CTL_OK)
        (void)printf("org %" PRIu32 "\n", number);
    return code;
}

int ctl_org_add(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const struct ctl_option options[] = {CTL_INDEX_OPTIONS(&ix)};
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code == CTL_OK)
        code = org_add(&ix, argv[1]);
    ctl_index_close(&ix);
    return code;
}

static int org_set_closed(int argc, char **argv, bool closed)
{
    struct ctl_index ix = {0};
    const struct ctl_option options[] = {CTL_INDEX_OPTIONS(&ix)};
    uint32_t number = 0;
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code == CTL_OK && (code = ctl_index_write(&ix)) == CTL_OK &&
        (code = ctl_find_org(&ix, argv[1], &number)) == CTL_OK) {
        err = gw_index_org_set_closed(ix.writer, number, closed);
        code = err != 0 ? ctl_index_fail(&ix, argv[1], err) : ctl_index_commit(&ix);
    }
    ctl_index_close(&ix);
    return code;
}

int ctl_org_close(int argc, char **argv)
{
    return org_set_closed(argc, argv, true);
}

int ctl_org_open(int argc, char **argv)
{
    return org_set_closed(argc, argv, false);
}

static int org_list(struct ctl_index *ix, bool json)
{
    json_t *list = json ? json_array() : NULL;
    struct gw_org_info org = {.number = 0};
    char created[32];
    int err;

    if (!json)
        (void)printf("%10s  %-6s  %-20s  %s\n", "ORG", "STATE", "CREATED", "NAME");
    while ((err = gw_catalog_org_next(ix->view, org.number, &org)) == 0)
        if (json)
            (void)json_array_append_new(list, json_pack("{s:I, s:s, s:b, s:I}", "org",
                                                        (json_int_t)org.number, "name", org.name,
                                                        "closed", org.closed, "created",
                                                        (json_int_t)org.created_s));
        else
            (void)printf("%10" PRIu32 "  %-6s  %-20s  %s\n", org.number,
                         org.closed ? "closed" : "open", ctl_time(org.created_s, created),
                         org.name);
    if (err != -ENOENT) {
        json_decref(list);
        return ctl_index_fail(ix, "the list of organisations", err);
    }
    return json ? ctl_json_print(list) : CTL_OK;
}

int ctl_org_list(int argc, char **argv)
{
    struct ctl_index ix = {0};
    bool json = false;
    const struct ctl_option options[] = {{"json", NULL, &json}, CTL_INDEX_OPTIONS(&ix)};
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);

    if (code == CTL_OK && (code = ctl_index_read(&ix)) == CTL_OK)
        code = org_list(&ix, json);
    ctl_index_close(&ix);
    return code;
}

/* "TMPL" and nine letters or digits, as the ids that devices know. */
static void draw_product_id(char out[14])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    uint8_t random[9];

    gw_random(random, sizeof random);
    memcpy(out, "TMPL", 4);
    for (size_t i = 0; i < sizeof random; i++)
        out[4 + i] = letters[random[i] % 64];
    out[13] = '\0';
}

static int product_add(struct ctl_index *ix, const char *org, struct gw_product_spec spec)
{
    char what[160], drawn[14];
    uint32_t number = 0;
    int err, code = ctl_index_write(ix);

    if (code != CTL_OK || (code = ctl_find_org(ix, org, &spec.org)) != CTL_OK)
        return code;
    if (spec.id.size == 0) {
        draw_product_id(drawn);
        spec.id = gw_bytes_text(drawn);
    }
    err = gw_index_product_add(ix->writer, &spec, &number);
    if (err == -EINVAL)
        return ctl_fail(CTL_USAGE, "an id has 1 to 32 of A-Z a-z 0-9 _ and -, a name up to 64 "
                                   "bytes without control characters");
    (void)snprintf(what, sizeof what, "product '%.*s'", (int)spec.id.size,
                   (const char *)spec.id.data);
    if (err != 0)
        return ctl_index_fail(ix, what, err);
    code = ctl_index_commit(ix);
    if (code == CTL_OK)
        (void)printf("product %.*s\n", (int)spec.id.size, (const char *)spec.id.data);
    return code;
}

int ctl_product_add(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const char *org = NULL, *id = NULL, *name = NULL, *quota = NULL;
    bool plain = false, info_required = false, provisions = false;
    const struct ctl_option options[] = {{"org", &org, NULL},
                                         {"id", &id, NULL},
                                         {"name", &name, NULL},
                                         {"quota-class", &quota, NULL},
                                         {"plain", NULL, &plain},
                                         {"info-required", NULL, &info_required},
                                         {"provisions", NULL, &provisions},
                                         CTL_INDEX_OPTIONS(&ix)};
    unsigned long long quota_class = 0;
    struct gw_product_spec spec;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);

    if (code != CTL_OK)
        return code;
    if (org == NULL)
        return ctl_fail(CTL_USAGE, "--org says whose product it is; add one with 'tollgatectl org "
                                   "add NAME'");
    if (quota != NULL && !ctl_number(quota, "--quota-class", 0, 255, &quota_class))
        return CTL_USAGE;
    if (id != NULL && id[0] == '\0')
        return ctl_fail(CTL_USAGE, "--id is empty; leave it out to have an id drawn");
    spec = (struct gw_product_spec){
        .id = id == NULL ? gw_bytes_of(NULL, 0) : gw_bytes_text(id),
        .name = name == NULL ? gw_bytes_of(NULL, 0) : gw_bytes_text(name),
        .flags = (uint8_t)((plain ? GW_PRODUCT_PLAIN_ALLOWED : 0) |
                           (info_required ? GW_PRODUCT_INFO_REQUIRED : 0) |
                           (provisions ? GW_PRODUCT_PROVISIONS : 0)),
        .quota_class = (uint8_t)quota_class,
    };
    code = product_add(&ix, org, spec);
    ctl_index_close(&ix);
    return code;
}

static int product_set_closed(int argc, char **argv, bool closed)
{
    struct ctl_index ix = {0};
    const struct ctl_option options[] = {CTL_INDEX_OPTIONS(&ix)};
    uint32_t number = 0;
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code == CTL_OK && (code = ctl_index_write(&ix)) == CTL_OK &&
        (code = ctl_find_product(&ix, argv[1], &number)) == CTL_OK) {
        err = gw_index_product_set_closed(ix.writer, number, closed);
        code = err != 0 ? ctl_index_fail(&ix, argv[1], err) : ctl_index_commit(&ix);
    }
    ctl_index_close(&ix);
    return code;
}

int ctl_product_close(int argc, char **argv)
{
    return product_set_closed(argc, argv, true);
}

int ctl_product_open(int argc, char **argv)
{
    return product_set_closed(argc, argv, false);
}

static int product_list(struct ctl_index *ix, bool json)
{
    json_t *list = json ? json_array() : NULL;
    struct gw_product_info product = {.number = 0};
    int err;

    if (!json)
        (void)printf("%-32s  %6s  %-6s  %-5s  %-13s  %-10s  %s\n", "PRODUCT", "ORG", "STATE",
                     "PLAIN", "INFO REQUIRED", "PROVISIONS", "NAME");
    while ((err = gw_catalog_product_next(ix->view, product.number, &product)) == 0) {
        const bool plain = (product.flags & GW_PRODUCT_PLAIN_ALLOWED) != 0;
        const bool info = (product.flags & GW_PRODUCT_INFO_REQUIRED) != 0;
        const bool provisions = (product.flags & GW_PRODUCT_PROVISIONS) != 0;

        if (json)
            (void)json_array_append_new(
                list,
                json_pack("{s:s, s:s, s:I, s:I, s:b, s:b, s:b, s:b, s:i, s:I}", "product",
                          product.id, "name", product.name, "number", (json_int_t)product.number,
                          "org", (json_int_t)product.org, "closed", product.closed, "plain", plain,
                          "info_required", info, "provisions", provisions, "quota_class",
                          (int)product.quota_class, "created", (json_int_t)product.created_s));
        else
            (void)printf("%-32s  %6" PRIu32 "  %-6s  %-5s  %-13s  %-10s  %s\n", product.id,
                         product.org, product.closed ? "closed" : "open", plain ? "yes" : "no",
                         info ? "yes" : "no", provisions ? "yes" : "no", product.name);
    }
    if (err != -ENOENT) {
        json_decref(list);
        return ctl_index_fail(ix, "the list of products", err);
    }
    return json ? ctl_json_print(list) : CTL_OK;
}

int ctl_product_list(int argc, char **argv)
{
    struct ctl_index ix = {0};
    bool json = false;
    const struct ctl_option options[] = {{"json", NULL, &json}, CTL_INDEX_OPTIONS(&ix)};
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &words);

    if (code == CTL_OK && (code = ctl_index_read(&ix)) == CTL_OK)
        code = product_list(&ix, json);
    ctl_index_close(&ix);
    return code;
}
