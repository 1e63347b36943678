/*
 * Log lines: nothing a peer sends can forge one, a cut one is still a line, and a full pipe is
 * counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include <gw/base/log.h>

#define WALL_US UINT64_C(1767225600123456) /* 2026-01-01T00:00:00.123456Z */

static const char *const prefixes[] = {
    [GW_LOG_LOGFMT] = "ts=2026-01-01T00:00:00.123Z level=info event=it_is",
    [GW_LOG_JSON] = "{\"ts\":\"2026-01-01T00:00:00.123Z\",\"level\":\"info\",\"event\":\"it_is\"",
};

static const char *format(char line[GW_LOG_LINE_BYTES_MAX + 1], size_t capacity,
                          enum gw_log_format format, struct gw_log_field field)
{
    size_t bytes =
        gw_log_format_line(line, capacity, format, WALL_US, GW_LOG_INFO, "it_is", &field, 1);

    assert_true(bytes <= capacity);
    line[bytes] = '\0';
    assert_int_equal(strlen(line), bytes);
    return line;
}

#define TEXT(bytes) GW_BYTES("k", gw_bytes_of("" bytes, sizeof(bytes) - 1))

static void fields_are_written_and_escaped(void **state)
{
    const struct {
        struct gw_log_field field;
        const char *logfmt, *json;
    } rows[] = {
        {{.key = NULL}, "", "}"},
        {GW_U64("k", UINT64_MAX), " k=18446744073709551615", ",\"k\":18446744073709551615}"},
        {GW_I64("k", INT64_MIN), " k=-9223372036854775808", ",\"k\":-9223372036854775808}"},
        {TEXT("plain/1.2:3"), " k=plain/1.2:3", ",\"k\":\"plain/1.2:3\"}"},
        {TEXT(""), " k=\"\"", ",\"k\":\"\"}"},
        {TEXT("a b"), " k=\"a b\"", ",\"k\":\"a b\"}"},
        {TEXT("a=b"), " k=\"a=b\"", ",\"k\":\"a=b\"}"},
        {TEXT("say \"x\\y\""), " k=\"say \\\"x\\\\y\\\"\"", ",\"k\":\"say \\\"x\\\\y\\\"\"}"},
        {TEXT("a\nevent=forged"), " k=\"a\\nevent=forged\"", ",\"k\":\"a\\nevent=forged\"}"},
        {TEXT("\r\t\x1b[31m\x7f"), " k=\"\\u000d\\u0009\\u001b[31m\\u007f\"",
         ",\"k\":\"\\u000d\\u0009\\u001b[31m\\u007f\"}"},
        {TEXT("nul\0!"), " k=\"nul\\u0000!\"", ",\"k\":\"nul\\u0000!\"}"},
        {TEXT("22.5\xC2\xB0"), " k=\"22.5\xC2\xB0\"", ",\"k\":\"22.5\xC2\xB0\"}"},
        {TEXT("\xF0\x9F\x98\x80"), " k=\"\xF0\x9F\x98\x80\"", ",\"k\":\"\xF0\x9F\x98\x80\"}"},
        /* What readers of lines or terminals obey: NEL, CSI, line and paragraph separator. */
        {TEXT("\xC2\x85\xC2\x9B"), " k=\"\\u0085\\u009b\"", ",\"k\":\"\\u0085\\u009b\"}"},
        {TEXT("\xE2\x80\xA8\xE2\x80\xA9"), " k=\"\\u2028\\u2029\"", ",\"k\":\"\\u2028\\u2029\"}"},
        /* No UTF-8: alone, cut, overlong, a surrogate, beyond the last character. */
        {TEXT("\xFF\x80"), " k=\"\\u00ff\\u0080\"", ",\"k\":\"\\u00ff\\u0080\"}"},
        {TEXT("\xE2\x82"), " k=\"\\u00e2\\u0082\"", ",\"k\":\"\\u00e2\\u0082\"}"},
        {TEXT("\xC0\xAF"), " k=\"\\u00c0\\u00af\"", ",\"k\":\"\\u00c0\\u00af\"}"},
        {TEXT("\xED\xA0\x80"), " k=\"\\u00ed\\u00a0\\u0080\"", ",\"k\":\"\\u00ed\\u00a0\\u0080\"}"},
        {TEXT("\xF4\x90\x80\x80"), " k=\"\\u00f4\\u0090\\u0080\\u0080\"",
         ",\"k\":\"\\u00f4\\u0090\\u0080\\u0080\"}"},
    };
    char line[GW_LOG_LINE_BYTES_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int f = GW_LOG_LOGFMT; f <= GW_LOG_JSON; f++) {
            size_t head = strlen(prefixes[f]);

            (void)format(line, GW_LOG_LINE_BYTES_MAX, (enum gw_log_format)f, rows[i].field);
            assert_memory_equal(line, prefixes[f], head);
            assert_string_equal(line + head, f == GW_LOG_JSON ? rows[i].json : rows[i].logfmt);
        }
}

static void any_byte_makes_a_line_of_json_and_one_of_text(void **state)
{
    char line[GW_LOG_LINE_BYTES_MAX + 1];

    (void)state;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            uint8_t value[] = {(uint8_t)first, (uint8_t)second, 0x80};
            struct gw_log_field field = GW_BYTES("k", gw_bytes_of(value, sizeof value));
            json_t *json = json_loads(format(line, GW_LOG_LINE_BYTES_MAX, GW_LOG_JSON, field),
                                      JSON_ALLOW_NUL, NULL);

            assert_non_null(json);
            assert_int_equal(json_object_size(json), 4);
            json_decref(json);
            (void)format(line, GW_LOG_LINE_BYTES_MAX, GW_LOG_LOGFMT, field);
            for (const char *c = line; *c != '\0'; c++)
                assert_true((uint8_t)*c >= 0x20 && *c != 0x7F);
        }
}

/* Every length of a value, and every capacity that holds at least the head of a line. */
static void a_cut_line_says_so_and_is_still_well_formed(void **state)
{
    static char value[GW_LOG_LINE_BYTES_MAX];
    char line[GW_LOG_LINE_BYTES_MAX + 1];
    int cut[2] = {0, 0}, whole[2] = {0, 0};

    (void)state;
    memset(value, 'x', sizeof value);
    for (size_t capacity = 100; capacity <= 160; capacity++)
        for (size_t size = 0; size < 90; size++) {
            struct gw_log_field fields[] = {
                GW_BYTES("a", gw_bytes_of(value, size)),
                GW_TEXT("b", "\n\n"),
                GW_U64("c", 7),
            };

            for (int f = GW_LOG_LOGFMT; f <= GW_LOG_JSON; f++) {
                size_t bytes = gw_log_format_line(line, capacity, (enum gw_log_format)f, WALL_US,
                                                  GW_LOG_INFO, "it_is", fields, 3);

                assert_true(bytes <= capacity);
                line[bytes] = '\0';
                bool is_cut;

                if (f == GW_LOG_JSON) {
                    json_t *json = json_loads(line, 0, NULL);

                    assert_non_null(json);
                    is_cut = json_object_get(json, "cut") != NULL;
                    assert_int_equal(json_object_get(json, "c") == NULL, is_cut);
                    json_decref(json);
                } else {
                    is_cut = bytes >= 4 && strcmp(line + bytes - 4, " ...") == 0;
                    assert_int_equal(strstr(line, " c=7") == NULL, is_cut);
                }
                cut[f] += is_cut;
                whole[f] += !is_cut;
            }
        }
    for (int f = GW_LOG_LOGFMT; f <= GW_LOG_JSON; f++)
        assert_true(cut[f] > 100 && whole[f] > 100);
}

static void a_long_event_name_keeps_its_quotes(void **state)
{
    char line[GW_LOG_LINE_BYTES_MAX + 1];
    char event[200];

    (void)state;
    memset(event, 'e', sizeof event - 1);
    event[sizeof event - 1] = '\0';
    size_t bytes = gw_log_format_line(line, GW_LOG_LINE_BYTES_MAX, GW_LOG_JSON, WALL_US,
                                      GW_LOG_WARN, event, NULL, 0);
    line[bytes] = '\0';
    json_t *json = json_loads(line, 0, NULL);

    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "event")), event);
    json_decref(json);
}

static void a_level_above_the_limit_is_not_written(void **state)
{
    int ends[2];
    char line[256];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    gw_log_init(ends[1], GW_LOG_LOGFMT, GW_LOG_WARN);
    gw_log(GW_LOG_INFO, "unheard");
    gw_log_level_set(GW_LOG_INFO);
    gw_log(GW_LOG_DEBUG, "unheard");
    gw_log(GW_LOG_INFO, "heard", GW_U64("shard", 3));
    ssize_t bytes = read(ends[0], line, sizeof line - 1);

    assert_true(bytes > 0);
    line[bytes] = '\0';
    assert_null(strstr(line, "unheard"));
    assert_non_null(strstr(line, " level=info event=heard shard=3\n"));
    gw_log_init(STDERR_FILENO, GW_LOG_LOGFMT, GW_LOG_INFO);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void a_full_pipe_drops_whole_lines_and_counts_them(void **state)
{
    enum { LINES = 5000 };
    static char text[LINES * 64 + 1];
    uint64_t before = gw_log_dropped();
    size_t bytes = 0, lines = 0;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
    gw_log_init(ends[1], GW_LOG_LOGFMT, GW_LOG_INFO);
    for (int i = 0; i < LINES; i++) /* comes to its end although nobody reads */
        gw_log(GW_LOG_INFO, "flood", GW_U64("n", 1));
    (void)close(ends[1]);
    for (ssize_t got; (got = read(ends[0], text + bytes, sizeof text - 1 - bytes)) > 0;)
        bytes += (size_t)got;
    (void)close(ends[0]);
    gw_log_init(STDERR_FILENO, GW_LOG_LOGFMT, GW_LOG_INFO);
    text[bytes] = '\0';
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++)
        assert_string_equal(line + strlen(line) - 26, "level=info event=flood n=1");
    assert_true(lines > 0 && lines < LINES);
    assert_int_equal(gw_log_dropped() - before, LINES - lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_written_and_escaped),
        cmocka_unit_test(any_byte_makes_a_line_of_json_and_one_of_text),
        cmocka_unit_test(a_cut_line_says_so_and_is_still_well_formed),
        cmocka_unit_test(a_long_event_name_keeps_its_quotes),
        cmocka_unit_test(a_level_above_the_limit_is_not_written),
        cmocka_unit_test(a_full_pipe_drops_whole_lines_and_counts_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
