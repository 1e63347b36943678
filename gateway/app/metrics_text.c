/*
 * The metrics page, line by line.
 */
#include <gw/app/metrics_text.h>

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include <gw/base/assert.h>

static bool is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";

    return name[0] != '\0' && strchr(letters, name[0]) != NULL &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") ==
               strlen(name);
}

/* Backslash and newline, and in a label's value the quote that would end it. */
static void append_escaped(struct gw_text *page, const char *text, const char *special)
{
    while (*text != '\0') {
        size_t plain = strcspn(text, special);

        gw_text_append(page, gw_bytes_of(text, plain));
        text += plain;
        if (*text == '\0')
            return;
        gw_text_print(page, "\\%c", *text == '\n' ? 'n' : *text);
        text++;
    }
}

void gw_metrics_family(struct gw_text *page, const char *name, enum gw_metric_type type,
                       const char *help)
{
    gw_assert(is_name(name));
    gw_text_print(page, "# HELP %s ", name);
    append_escaped(page, help, "\\\n");
    gw_text_print(page, "\n# TYPE %s %s\n", name, type == GW_METRIC_COUNTER ? "counter" : "gauge");
}

static void begin_sample(struct gw_text *page, const char *name,
                         const struct gw_metric_label *labels, size_t label_count)
{
    gw_assert(is_name(name));
    gw_text_append(page, gw_bytes_text(name));
    for (size_t i = 0; i < label_count; i++) {
        gw_assert(is_name(labels[i].name));
        gw_text_print(page, "%c%s=\"", i == 0 ? '{' : ',', labels[i].name);
        append_escaped(page, labels[i].value, "\\\n\"");
        gw_text_print(page, "\"");
    }
    gw_text_print(page, "%s ", label_count > 0 ? "}" : "");
}

void gw_metrics_sample(struct gw_text *page, const char *name, const struct gw_metric_label *labels,
                       size_t label_count, uint64_t value)
{
    begin_sample(page, name, labels, label_count);
    gw_text_print(page, "%" PRIu64 "\n", value);
}

void gw_metrics_sample_real(struct gw_text *page, const char *name,
                            const struct gw_metric_label *labels, size_t label_count, double value)
{
    begin_sample(page, name, labels, label_count);
    if (isnan(value))
        gw_text_print(page, "NaN\n");
    else if (isinf(value))
        gw_text_print(page, "%cInf\n", value > 0 ? '+' : '-');
    else
        gw_text_print(page, "%.17g\n", value);
}
