/*
 * Close reasons, audit events and metrics: what the code has, docs/ explains, and what docs/
 * explains, the code has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/audit/audit.h>
#include <gw/session/session.h>

#include "../system/conformance_cases.h"

#define METRIC_PREFIX "tollgate_"

enum { NAME_BYTES = 96, METRICS_MAX = 256 };

static const struct {
    const char *name, *whose;
} reasons[] = {
#define NONE                        "Nobody's"
#define PEER                        "The peer's"
#define WORLD                       "The world's"
#define OPERATOR                    "The operator's"
#define GW_CLOSE(name, fault, text) {#name, fault},
#include <gw/session/close_reasons.def>
#undef GW_CLOSE
#undef NONE
#undef PEER
#undef WORLD
#undef OPERATOR
};

#define GAUGE   ""
#define COUNTER "_total"
static const char *const shard_metrics[] = {
#define GW_METRIC(name, kind, help, advice) METRIC_PREFIX #name kind,
#include <gw/shard/metrics.def>
#undef GW_METRIC
};
#undef GAUGE
#undef COUNTER

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text;
    long bytes;

    if (file == NULL) {
        fail_msg("%s cannot be opened", path);
        return NULL;
    }
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    bytes = ftell(file);
    assert_true(bytes > 0);
    rewind(file);
    text = calloc(1, (size_t)bytes + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)bytes, file), (size_t)bytes);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void every_close_reason_has_its_section_with_its_text(void **state)
{
    char *page = read_file(GW_SOURCE "/docs/close-reasons.md");

    (void)state;
    assert_int_equal(GW_ARRAY_COUNT(reasons), GW_CLOSE_REASONS - 1);
    for (int reason = 1; reason < GW_CLOSE_REASONS; reason++) {
        char head[512];
        const char *section, *end;
        static const char *const parts[] = {"\n- Cause: ", "\n- The device sees: ", "\n- Cure: "};

        (void)snprintf(head, sizeof head, "\n## %s\n\n*%s*: %s.\n",
                       gw_close_reason_word((enum gw_close_reason)reason),
                       reasons[reason - 1].whose,
                       gw_close_reason_text((enum gw_close_reason)reason));
        section = strstr(page, head);
        if (section == NULL) {
            fail_msg("docs/close-reasons.md lacks:%s", head);
            return;
        }
        end = strstr(section + strlen(head), "\n## ");
        for (size_t i = 0; i < GW_ARRAY_COUNT(parts); i++) {
            const char *part = strstr(section, parts[i]);

            if (part == NULL || (end != NULL && part > end))
                fail_msg("its section lacks \"%s\":%s", parts[i] + 1, head);
        }
    }
    free(page);
}

static void every_section_of_the_close_reasons_is_one(void **state)
{
    char *page = read_file(GW_SOURCE "/docs/close-reasons.md");
    int sections = 0;

    (void)state;
    for (const char *at = page; (at = strstr(at, "\n## ")) != NULL; at++)
        sections++;
    assert_int_equal(sections, GW_CLOSE_REASONS - 1);
    free(page);
}

static const struct {
    const char *word, *text;
} audit_events[] = {
#define GW_AUDIT(name, word, level, folding, text) {word, text},
#include <gw/audit/events.def>
#undef GW_AUDIT
};

static void every_audit_event_has_its_row(void **state)
{
    char *page = read_file(GW_SOURCE "/docs/audit.md");
    const char *table = strstr(page, "\n| event | what happened |\n");
    size_t rows = 0;

    (void)state;
    assert_non_null(table);
    for (size_t i = 0; i < GW_ARRAY_COUNT(audit_events); i++) {
        char row[256];

        (void)snprintf(row, sizeof row, "\n| `%s` | %s |\n", audit_events[i].word,
                       audit_events[i].text);
        if (strstr(table, row) == NULL)
            fail_msg("docs/audit.md lacks:%s", row);
    }
    for (const char *at = table; (at = strstr(at, "\n| `")) != NULL; at++)
        rows++;
    assert_int_equal(rows, GW_AUDIT_KINDS);
    free(page);
}

struct names {
    char rows[METRICS_MAX][NAME_BYTES];
    size_t count;
};

static bool holds(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->rows[i], name) == 0)
            return true;
    return false;
}

static void add(struct names *names, const char *begin, size_t bytes)
{
    char name[NAME_BYTES];

    assert_true(bytes < sizeof name);
    memcpy(name, begin, bytes);
    name[bytes] = '\0';
    if (holds(names, name))
        return;
    assert_true(names->count < METRICS_MAX);
    memcpy(names->rows[names->count++], name, bytes + 1);
}

/* Every word of `text` that begins as a metric does, behind `before`. */
static void collect(struct names *names, const char *text, const char *before)
{
    char mark[NAME_BYTES];

    (void)snprintf(mark, sizeof mark, "%s" METRIC_PREFIX, before);
    for (const char *at = text; (at = strstr(at, mark)) != NULL;) {
        const char *begin = at + strlen(before), *end = begin;

        while (islower((unsigned char)*end) || isdigit((unsigned char)*end) || *end == '_')
            end++;
        if ((size_t)(end - begin) > strlen(METRIC_PREFIX))
            add(names, begin, (size_t)(end - begin));
        at = end;
    }
}

/* What /metrics shows: the table of the shards, and the names that pages.c writes itself. */
static void served_metrics(struct names *names)
{
    char *pages = read_file(GW_SOURCE "/gateway/app/pages.c");

    *names = (struct names){0};
    for (size_t i = 0; i < GW_ARRAY_COUNT(shard_metrics); i++)
        add(names, shard_metrics[i], strlen(shard_metrics[i]));
    collect(names, pages, "\"");
    free(pages);
    assert_true(holds(names, "tollgate_journal_stalled")); /* the names are still found there */
    assert_true(names->count > GW_ARRAY_COUNT(shard_metrics) + 10);
}

static void every_metric_has_its_row(void **state)
{
    char *page = read_file(GW_SOURCE "/docs/metrics.md");
    static struct names served;

    (void)state;
    served_metrics(&served);
    for (size_t i = 0; i < served.count; i++) {
        char row[NAME_BYTES + 16];
        const char *at;

        (void)snprintf(row, sizeof row, "\n| `%s` | ", served.rows[i]);
        at = strstr(page, row);
        if (at == NULL) {
            fail_msg("docs/metrics.md has no row for %s", served.rows[i]);
            return;
        }
        if (strstr(at + 1, row) != NULL)
            fail_msg("docs/metrics.md has two rows for %s", served.rows[i]);
    }
    free(page);
}

static void the_documents_name_no_metric_that_is_not_served(void **state)
{
    static const char *const documents[] = {"/docs/metrics.md", "/docs/close-reasons.md",
                                            "/gateway/README.md"};
    static struct names served, named;

    (void)state;
    served_metrics(&served);
    for (size_t i = 0; i < GW_ARRAY_COUNT(documents); i++) {
        char path[512];
        char *page;

        (void)snprintf(path, sizeof path, "%s%s", GW_SOURCE, documents[i]);
        page = read_file(path);
        collect(&named, page, "");
        free(page);
    }
    assert_true(named.count > 0);
    for (size_t i = 0; i < named.count; i++)
        if (!holds(&served, named.rows[i]))
            fail_msg("the documents name %s, which /metrics does not show", named.rows[i]);
}

/* The row of docs/protocol.md that a case of tests/system stands in, byte for byte. */
static void case_row(const struct conformance_case *c, char *out, size_t capacity)
{
    int bytes =
        snprintf(out, capacity, "\n| %s | %s | `%s` | %s%s%s%s%s |\n", c->number, c->claim,
                 c->client, c->answer[0] == '\0' ? "" : "`", c->answer,
                 c->answer[0] == '\0' ? "" : "`", c->answer[0] != '\0' && c->closes ? ", " : "",
                 c->closes ? "closed" : (c->answer[0] == '\0' ? "nothing" : ""));

    assert_true(bytes > 0 && (size_t)bytes < capacity);
}

static void every_conformance_case_stands_in_the_protocol(void **state)
{
    char *page = read_file(GW_SOURCE "/docs/protocol.md");

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(conformance_cases); i++) {
        char row[2048];

        case_row(&conformance_cases[i], row, sizeof row);
        if (strstr(page, row) == NULL)
            fail_msg("docs/protocol.md lacks the row:%s", row);
    }
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_close_reason_has_its_section_with_its_text),
        cmocka_unit_test(every_section_of_the_close_reasons_is_one),
        cmocka_unit_test(every_audit_event_has_its_row),
        cmocka_unit_test(every_metric_has_its_row),
        cmocka_unit_test(the_documents_name_no_metric_that_is_not_served),
        cmocka_unit_test(every_conformance_case_stands_in_the_protocol),
    };

    return cmocka_run_group_tests_name("docs.tables", tests, NULL, NULL);
}
