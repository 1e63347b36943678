/*
 * What an operator may say of a product: its datastreams, its event codes, and by which numbers
 * HTTP clients name datastreams and metadata fields.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include <gw/token/details.h>

#include "ctl_index.h"

/* "V1", "v1" or "1". */
static bool read_pin(const char *word, uint8_t *pin)
{
    unsigned long long number;

    if (!ctl_number(word + (word[0] == 'V' || word[0] == 'v'), "PIN", 0, UINT8_MAX, &number))
        return false;
    *pin = (uint8_t)number;
    return true;
}

/* One by which HTTP clients name something. */
static bool read_http_number(const char *word, const char *what, unsigned long long *number)
{
    return ctl_number(word, what, 1, UINT16_MAX, number);
}

static bool read_bound(const char *text, const char *what, bool *has, double *out)
{
    *has = text != NULL;
    if (text == NULL || gw_stream_number(gw_bytes_text(text), out))
        return true;
    (void)ctl_fail(CTL_USAGE, "%s must be a number, not '%s'", what, text);
    return false;
}

/* ---- datastreams ---- */

struct stream_words {
    const char *type, *name, *min, *max, *decimals, *initial, *number;
};

static int read_stream(const struct stream_words *words, const char *pin, struct gw_stream *out,
                       char initial[GW_STREAM_INITIAL_BYTES_MAX + 1])
{
    unsigned long long decimals = 0, number = 0;
    size_t bytes;
    char *comma;

    if (words->type == NULL)
        return ctl_fail(CTL_USAGE, "--type says what the values are: int, double, string, enum or "
                                   "location");
    if (!gw_stream_type_of(words->type, &out->type))
        return ctl_fail(CTL_USAGE, "--type is int, double, string, enum or location, not '%s'",
                        words->type);
    if (!read_pin(pin, &out->pin) || !read_bound(words->min, "--min", &out->has_min, &out->min) ||
        !read_bound(words->max, "--max", &out->has_max, &out->max) ||
        (words->decimals != NULL &&
         !ctl_number(words->decimals, "--decimals", 0, GW_STREAM_DECIMALS_MAX, &decimals)) ||
        (words->number != NULL && !read_http_number(words->number, "--number", &number)))
        return CTL_USAGE;
    out->number = (uint16_t)number;
    out->has_decimals = words->decimals != NULL;
    out->decimals = (uint8_t)decimals;
    out->name = gw_bytes_text(words->name == NULL ? "" : words->name);
    if (words->initial == NULL)
        return CTL_OK;
    bytes = strlen(words->initial);
    if (bytes > GW_STREAM_INITIAL_BYTES_MAX)
        return ctl_fail(CTL_USAGE, "--default has up to %d bytes", GW_STREAM_INITIAL_BYTES_MAX);
    memcpy(initial, words->initial, bytes + 1);
    out->initial = gw_bytes_of(initial, bytes);
    /* On the wire the parts of a value are joined by NULs. */
    if (out->type == GW_STREAM_LOCATION && (comma = strchr(initial, ',')) != NULL)
        *comma = '\0';
    return CTL_OK;
}

static int stream_add(struct ctl_index *ix, const char *product, const struct gw_stream *stream)
{
    struct gw_stream other;
    uint32_t number = 0;
    char what[64];
    int err, code = ctl_index_write(ix);

    if (code != CTL_OK || (code = ctl_find_product(ix, product, &number)) != CTL_OK)
        return code;
    err = gw_index_stream_add(ix->writer, number, stream);
    if (err == -EINVAL)
        return ctl_fail(CTL_USAGE,
                        "--name has up to %d bytes without control characters; --min and --max are "
                        "for numbers, in order; --decimals is for a double; --default must suit "
                        "the type and the bounds",
                        GW_STREAM_NAME_BYTES_MAX);
    if (err == -EEXIST && stream->number != 0 &&
        gw_catalog_stream_numbered(ix->view, number, stream->number, &other) == 0 &&
        other.pin != stream->pin)
        return ctl_fail(CTL_FAILED, "datastream V%u has the number %u already", (unsigned)other.pin,
                        (unsigned)stream->number);
    (void)snprintf(what, sizeof what, "datastream V%u", (unsigned)stream->pin);
    return err != 0 ? ctl_index_fail(ix, what, err) : ctl_index_commit(ix);
}

int ctl_product_stream_add(int argc, char **argv)
{
    struct ctl_index ix = {0};
    struct stream_words given = {0};
    struct gw_stream stream = {0};
    char initial[GW_STREAM_INITIAL_BYTES_MAX + 1];
    const struct ctl_option options[] = {{"type", &given.type, NULL},
                                         {"name", &given.name, NULL},
                                         {"min", &given.min, NULL},
                                         {"max", &given.max, NULL},
                                         {"decimals", &given.decimals, NULL},
                                         {"default", &given.initial, NULL},
                                         {"number", &given.number, NULL},
                                         {"sync", NULL, &stream.sync},
                                         CTL_INDEX_OPTIONS(&ix)};
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 2, 2, &words);

    if (code == CTL_OK && (code = read_stream(&given, argv[2], &stream, initial)) == CTL_OK)
        code = stream_add(&ix, argv[1], &stream);
    ctl_index_close(&ix);
    return code;
}

/* A value as people write it: its parts with commas between them. */
static const char *value_words(struct gw_bytes value, char out[GW_STREAM_INITIAL_BYTES_MAX + 1])
{
    for (size_t i = 0; i < value.size; i++)
        out[i] = value.data[i] == '\0' ? ',' : (char)value.data[i];
    out[value.size] = '\0';
    return out;
}

static const char *bound_words(bool has, double bound, char out[32])
{
    (void)snprintf(out, 32, "%.15g", bound);
    return has ? out : "-";
}

static json_t *stream_json(const struct gw_stream *stream, const char *initial)
{
    json_t *row = json_pack("{s:i, s:s, s:o, s:b}", "pin", (int)stream->pin, "type",
                            gw_stream_type_word(stream->type), "name",
                            json_stringn((const char *)stream->name.data, stream->name.size),
                            "sync", (int)stream->sync);

    if (row != NULL && stream->number != 0)
        (void)json_object_set_new(row, "number", json_integer(stream->number));
    if (row != NULL && stream->has_min)
        (void)json_object_set_new(row, "min", json_real(stream->min));
    if (row != NULL && stream->has_max)
        (void)json_object_set_new(row, "max", json_real(stream->max));
    if (row != NULL && stream->has_decimals)
        (void)json_object_set_new(row, "decimals", json_integer(stream->decimals));
    if (row != NULL && stream->initial.size != 0)
        (void)json_object_set_new(row, "default", json_string(initial));
    return row;
}

static int stream_list(struct ctl_index *ix, const char *product, bool json)
{
    json_t *list = json ? json_array() : NULL;
    char initial[GW_STREAM_INITIAL_BYTES_MAX + 1], min[32], max[32], numbered[8];
    struct gw_stream stream;
    uint32_t number = 0;
    int err, pin = -1, code = ctl_find_product(ix, product, &number);

    if (code != CTL_OK) {
        json_decref(list);
        return code;
    }
    if (!json)
        (void)printf("%-4s  %-8s  %12s  %12s  %-4s  %-12s  %6s  %s\n", "PIN", "TYPE", "MIN", "MAX",
                     "SYNC", "DEFAULT", "NUMBER", "NAME");
    while ((err = gw_catalog_stream_next(ix->view, number, pin, &stream)) == 0) {
        pin = stream.pin;
        (void)value_words(stream.initial, initial);
        (void)snprintf(numbered, sizeof numbered, "%u", (unsigned)stream.number);
        if (json)
            (void)json_array_append_new(list, stream_json(&stream, initial));
        else
            (void)printf(
                "V%-3d  %-8s  %12s  %12s  %-4s  %-12s  %6s  %.*s\n", pin,
                gw_stream_type_word(stream.type), bound_words(stream.has_min, stream.min, min),
                bound_words(stream.has_max, stream.max, max), stream.sync ? "yes" : "no",
                stream.initial.size == 0 ? "-" : initial, stream.number == 0 ? "-" : numbered,
                (int)stream.name.size, (const char *)stream.name.data);
    }
    if (err != -ENOENT) {
        json_decref(list);
        return ctl_index_fail(ix, "the list of datastreams", err);
    }
    return json ? ctl_json_print(list) : CTL_OK;
}

static int list(int argc, char **argv,
                int (*print)(struct ctl_index *ix, const char *product, bool json))
{
    struct ctl_index ix = {0};
    bool json = false;
    const struct ctl_option options[] = {{"json", NULL, &json}, CTL_INDEX_OPTIONS(&ix)};
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 1, 1, &words);

    if (code == CTL_OK && (code = ctl_index_read(&ix)) == CTL_OK)
        code = print(&ix, argv[1], json);
    ctl_index_close(&ix);
    return code;
}

int ctl_product_stream_list(int argc, char **argv)
{
    return list(argc, argv, stream_list);
}

int ctl_product_stream_remove(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const struct ctl_option options[] = {CTL_INDEX_OPTIONS(&ix)};
    uint32_t product = 0;
    uint8_t pin = 0;
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 2, 2, &words);

    if (code == CTL_OK && !read_pin(argv[2], &pin))
        code = CTL_USAGE;
    if (code == CTL_OK && (code = ctl_index_write(&ix)) == CTL_OK &&
        (code = ctl_find_product(&ix, argv[1], &product)) == CTL_OK) {
        err = gw_index_stream_remove(ix.writer, product, pin);
        code = err != 0 ? ctl_index_fail(&ix, "the datastream", err) : ctl_index_commit(&ix);
    }
    ctl_index_close(&ix);
    return code;
}

/* ---- events ---- */

static int event_add(struct ctl_index *ix, const char *product, const char *code_word,
                     const char *name)
{
    uint32_t number = 0;
    char what[96];
    int err, code = ctl_index_write(ix);

    if (code != CTL_OK || (code = ctl_find_product(ix, product, &number)) != CTL_OK)
        return code;
    err = gw_index_event_add(ix->writer, number, gw_bytes_text(code_word),
                             gw_bytes_text(name == NULL ? "" : name));
    if (err == -EINVAL)
        return ctl_fail(CTL_USAGE,
                        "a code has 1 to %d bytes, a name up to %d, without control characters",
                        GW_EVENT_CODE_BYTES_MAX, GW_EVENT_NAME_BYTES_MAX);
    (void)snprintf(what, sizeof what, "event '%.64s'", code_word);
    return err != 0 ? ctl_index_fail(ix, what, err) : ctl_index_commit(ix);
}

int ctl_product_event_add(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const char *name = NULL;
    const struct ctl_option options[] = {{"name", &name, NULL}, CTL_INDEX_OPTIONS(&ix)};
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 2, 2, &words);

    if (code == CTL_OK)
        code = event_add(&ix, argv[1], argv[2], name);
    ctl_index_close(&ix);
    return code;
}

static int event_list(struct ctl_index *ix, const char *product, bool json)
{
    json_t *rows = json ? json_array() : NULL;
    struct gw_bytes code_word = gw_bytes_of(NULL, 0), name;
    uint32_t number = 0;
    int err, code = ctl_find_product(ix, product, &number);

    if (code != CTL_OK) {
        json_decref(rows);
        return code;
    }
    while ((err = gw_catalog_event_next(ix->view, number, code_word, &code_word, &name)) == 0)
        if (json)
            (void)json_array_append_new(
                rows, json_pack("{s:o, s:o}", "code",
                                json_stringn((const char *)code_word.data, code_word.size), "name",
                                json_stringn((const char *)name.data, name.size)));
        else
            (void)printf("%-24.*s  %.*s\n", (int)code_word.size, (const char *)code_word.data,
                         (int)name.size, (const char *)name.data);
    if (err != -ENOENT) {
        json_decref(rows);
        return ctl_index_fail(ix, "the list of events", err);
    }
    return json ? ctl_json_print(rows) : CTL_OK;
}

int ctl_product_event_list(int argc, char **argv)
{
    return list(argc, argv, event_list);
}

int ctl_product_event_remove(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const struct ctl_option options[] = {CTL_INDEX_OPTIONS(&ix)};
    uint32_t product = 0;
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 2, 2, &words);

    if (code == CTL_OK && (code = ctl_index_write(&ix)) == CTL_OK &&
        (code = ctl_find_product(&ix, argv[1], &product)) == CTL_OK) {
        err = gw_index_event_remove(ix.writer, product, gw_bytes_text(argv[2]));
        code = err != 0 ? ctl_index_fail(&ix, "the event", err) : ctl_index_commit(&ix);
    }
    ctl_index_close(&ix);
    return code;
}

/* ---- numbers of metadata fields ---- */

static int field_add(struct ctl_index *ix, const char *product, uint16_t number, const char *name)
{
    uint32_t found = 0;
    char what[32];
    int err, code = ctl_index_write(ix);

    if (code != CTL_OK || (code = ctl_find_product(ix, product, &found)) != CTL_OK)
        return code;
    err = gw_index_field_name_add(ix->writer, found, number, gw_bytes_text(name));
    if (err == -EINVAL)
        return ctl_fail(CTL_USAGE, "a field's name has 1 to %d bytes, without control characters",
                        GW_FIELD_NAME_BYTES_MAX);
    (void)snprintf(what, sizeof what, "field %u", (unsigned)number);
    return err != 0 ? ctl_index_fail(ix, what, err) : ctl_index_commit(ix);
}

int ctl_product_field_add(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const struct ctl_option options[] = {CTL_INDEX_OPTIONS(&ix)};
    unsigned long long number = 0;
    int words, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 3, 3, &words);

    if (code == CTL_OK && !read_http_number(argv[2], "NUMBER", &number))
        code = CTL_USAGE;
    if (code == CTL_OK)
        code = field_add(&ix, argv[1], (uint16_t)number, argv[3]);
    ctl_index_close(&ix);
    return code;
}

static int field_list(struct ctl_index *ix, const char *product, bool json)
{
    json_t *rows = json ? json_array() : NULL;
    struct gw_bytes name;
    uint32_t found = 0;
    uint16_t number = 0;
    int err, code = ctl_find_product(ix, product, &found);

    if (code != CTL_OK) {
        json_decref(rows);
        return code;
    }
    while ((err = gw_catalog_field_name_next(ix->view, found, number, &number, &name)) == 0)
        if (json)
            (void)json_array_append_new(
                rows, json_pack("{s:i, s:o}", "number", (int)number, "name",
                                json_stringn((const char *)name.data, name.size)));
        else
            (void)printf("%-6u  %.*s\n", (unsigned)number, (int)name.size, (const char *)name.data);
    if (err != -ENOENT) {
        json_decref(rows);
        return ctl_index_fail(ix, "the list of fields", err);
    }
    return json ? ctl_json_print(rows) : CTL_OK;
}

int ctl_product_field_list(int argc, char **argv)
{
    return list(argc, argv, field_list);
}

int ctl_product_field_remove(int argc, char **argv)
{
    struct ctl_index ix = {0};
    const struct ctl_option options[] = {CTL_INDEX_OPTIONS(&ix)};
    unsigned long long number = 0;
    uint32_t product = 0;
    int words, err, code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 2, 2, &words);

    if (code == CTL_OK && !read_http_number(argv[2], "NUMBER", &number))
        code = CTL_USAGE;
    if (code == CTL_OK && (code = ctl_index_write(&ix)) == CTL_OK &&
        (code = ctl_find_product(&ix, argv[1], &product)) == CTL_OK) {
        err = gw_index_field_name_remove(ix.writer, product, (uint16_t)number);
        code = err != 0 ? ctl_index_fail(&ix, "the field's number", err) : ctl_index_commit(&ix);
    }
    ctl_index_close(&ix);
    return code;
}
