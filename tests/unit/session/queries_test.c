/*
 * What a device asks for and only its shard can answer: the time of its zone, fields, values,
 * whether its product has an event.
 */
#include "session_kit.h"

/* The answer to a question for the time, with its NULs as '|'; "" for none. */
static const char *told(struct life *l, const struct gw_zone *zone, uint64_t wall_us,
                        struct gw_bytes body)
{
    static char text[GW_SESSION_ANSWER_BYTES_MAX + 1];
    struct gw_frame frame = {.type = 17, .msg_id = 14, .body = body};
    uint8_t out[GW_SESSION_ANSWER_BYTES_MAX];

    give(l, 17, 14, body);
    assert_int_equal(l->todo.ask, GW_ASK_ZONE);
    assert_int_equal(l->todo.answer, GW_ANSWER_NONE);
    gw_session_time(&frame, zone, wall_us, out, &l->todo);
    assert_int_equal(l->todo.msg_id, 14);
    assert_false(l->todo.publish);
    text[0] = '\0';
    if (l->todo.answer == GW_ANSWER_NONE)
        return text;
    assert_int_equal(l->todo.answer, GW_ANSWER_BODY);
    assert_in_range(l->todo.body.size, 1, GW_SESSION_ANSWER_BYTES_MAX);
    for (size_t i = 0; i < l->todo.body.size; i++)
        text[i] = l->todo.body.data[i] == '\0' ? '|' : (char)l->todo.body.data[i];
    text[l->todo.body.size] = '\0';
    return text;
}

static const struct {
    const char *question;
    size_t bytes;
} questions[] = {
#define QUESTION(text)                                                                             \
    {                                                                                              \
        "" text, sizeof(text) - 1                                                                  \
    }
    QUESTION("rtc"),          QUESTION("rtc\0sync"),     QUESTION("utc\0time"),
    QUESTION("utc\0iso"),     QUESTION("utc\0tz"),       QUESTION("utc\0tz_name"),
    QUESTION("utc\0tz_rule"), QUESTION("utc\0dst_next"), QUESTION("utc\0moon"),
    QUESTION("utc"),
};

static void time_is_told_as_the_zone_has_it(void **state)
{
    static const struct {
        const char *zone; /* NULL: one that nobody knows */
        uint64_t wall_us;
        const char *answers[GW_ARRAY_COUNT(questions)];
    } rows[] = {
        {"UTC",
         NOW_US,
         {"rtc|1700000000", "rtc|1700000000", "utc|time|1700000000000",
          "utc|iso|2023-11-14T22:13:20+00:00", "utc|tz|0|0", "utc|tz_name|UTC", "utc|tz_rule|UTC0",
          "utc|dst_next", "", ""}},
        /* The vendor's example. */
        {"Europe/Kiev",
         UINT64_C(1601968586694000),
         {"rtc|1601979386", "rtc|1601979386", "utc|time|1601968586694",
          "utc|iso|2020-10-06T10:16:26+03:00", "utc|tz|120|60", "utc|tz_name|Europe/Kiev",
          "utc|tz_rule|EET-2EEST,M3.5.0/3,M10.5.0/4", "utc|dst_next|1603587600|120|1616893200|180",
          "", ""}},
        /* A second before summer ends in Berlin, and the second in which it has. */
        {"Europe/Berlin",
         UINT64_C(1698541199000000),
         {"rtc|1698548399", "rtc|1698548399", "utc|time|1698541199000",
          "utc|iso|2023-10-29T02:59:59+02:00", "utc|tz|60|60", "utc|tz_name|Europe/Berlin",
          "utc|tz_rule|CET-1CEST,M3.5.0,M10.5.0/3", "utc|dst_next|1698541200|60|1711846800|120", "",
          ""}},
        {"Europe/Berlin",
         UINT64_C(1698541200000000),
         {"rtc|1698544800", "rtc|1698544800", "utc|time|1698541200000",
          "utc|iso|2023-10-29T02:00:00+01:00", "utc|tz|60|0", "utc|tz_name|Europe/Berlin",
          "utc|tz_rule|CET-1CEST,M3.5.0,M10.5.0/3", "utc|dst_next|1711846800|120|1729990800|60", "",
          ""}},
        {"America/St_Johns",
         NOW_US,
         {"rtc|1699987400", "rtc|1699987400", "utc|time|1700000000000",
          "utc|iso|2023-11-14T18:43:20-03:30", "utc|tz|-210|0", "utc|tz_name|America/St_Johns",
          "utc|tz_rule|NST3:30NDT,M3.2.0,M11.1.0", "utc|dst_next|1710048600|-150|1730608200|-210",
          "", ""}},
        {"Asia/Kathmandu",
         NOW_US,
         {"rtc|1700020700", "rtc|1700020700", "utc|time|1700000000000",
          "utc|iso|2023-11-15T03:58:20+05:45", "utc|tz|345|0", "utc|tz_name|Asia/Kathmandu",
          "utc|tz_rule|<+0545>-5:45", "utc|dst_next", "", ""}},
        {NULL, NOW_US, {"", "", "utc|time|1700000000000", "", "", "", "", "", "", ""}},
    };
    struct life l = in_live(0);

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct gw_zone *zone = NULL;

        if (rows[i].zone != NULL && strcmp(rows[i].zone, "UTC") != 0 &&
            gw_zone_load(GW_ZONES_PATH, gw_bytes_text(rows[i].zone), &zone) != 0)
            skip(); /* no tz database here */
        for (size_t q = 0; q < GW_ARRAY_COUNT(questions); q++)
            assert_string_equal(
                told(&l, zone != NULL || rows[i].zone == NULL ? zone : gw_zone_utc(),
                     rows[i].wall_us, gw_bytes_of(questions[q].question, questions[q].bytes)),
                rows[i].answers[q]);
        gw_zone_destroy(zone);
    }
}

static void a_field_is_told_if_the_device_can_take_it(void **state)
{
    static const uint8_t longest[GW_FIELD_VALUE_BYTES_MAX];
    const struct gw_bytes value = BODY("123"), long_value = gw_bytes_of(longest, sizeof longest);
    uint8_t out[GW_SESSION_ANSWER_BYTES_MAX];
    char long_name[GW_FIELD_NAME_BYTES_MAX + 1] = "";
    struct life l = in_live(0);

    (void)state;
    l.cold.buffer_bytes = GW_SESSION_BUFFER_BYTES_DEFAULT; /* as of every new connection */
    give(&l, 17, 12, BODY("meta\0get\0Serial Number"));
    assert_int_equal(l.todo.ask, GW_ASK_FIELD);
    assert_true(gw_bytes_are(l.todo.asked, "Serial Number"));
    gw_session_field(&l.cold, l.todo.asked, &value, out, &l.todo);
    assert_int_equal(l.todo.answer, GW_ANSWER_BODY);
    assert_int_equal(l.todo.msg_id, 12);
    assert_int_equal(l.todo.body.size, 22);
    assert_memory_equal(l.todo.body.data,
                        "meta\0Serial Number\0"
                        "123",
                        22);
    gw_session_field(&l.cold, BODY("F"), NULL, out, &l.todo);
    assert_int_equal(l.todo.answer, GW_ANSWER_NONE);

    /* Before its info frame a device is taken to read 250 bytes; then it says how many. */
    gw_session_field(&l.cold, BODY("F"), &long_value, out, &l.todo);
    assert_int_equal(l.todo.answer, GW_ANSWER_NONE);
    l.cold.buffer_bytes = GW_FRAME_HEADER_BYTES + sizeof longest + 7;
    gw_session_field(&l.cold, BODY("F"), &long_value, out, &l.todo);
    assert_int_equal(l.todo.answer, GW_ANSWER_BODY);
    l.cold.buffer_bytes--;
    gw_session_field(&l.cold, BODY("F"), &long_value, out, &l.todo);
    assert_int_equal(l.todo.answer, GW_ANSWER_NONE);
    memset(long_name, 'N', sizeof long_name - 1);
    l.cold.buffer_bytes = 1024;
    gw_session_field(&l.cold, gw_bytes_text(long_name), &long_value, out, &l.todo);
    assert_int_equal(l.todo.body.size, GW_SESSION_ANSWER_BYTES_MAX);
}

static void an_event_that_the_product_lacks_is_refused(void **state)
{
    struct life l = in_live(0);

    (void)state;
    give(&l, 64, 8, BODY("hot\0desc"));
    assert_int_equal(l.todo.ask, GW_ASK_EVENT);
    assert_true(gw_bytes_are(l.todo.asked, "hot"));
    assert_true(l.todo.publish); /* unless it is refused */
    gw_session_event_unknown(&l.todo);
    assert_false(l.todo.publish);
    assert_int_equal(l.todo.answer, GW_ANSWER_NOW);
    assert_int_equal(l.todo.status, 2);
    assert_int_equal(l.todo.msg_id, 8);
    assert_int_equal(l.todo.close, GW_CLOSE_NONE);
    give(&l, 65, 9, BODY("hot\0all")); /* nobody says that a product must know what it clears */
    assert_int_equal(l.todo.ask, GW_ASK_NOTHING);
}

static void a_sync_asks_for_values(void **state)
{
    struct life l = in_live(0);

    (void)state;
    give(&l, 16, 3, BODY(""));
    assert_int_equal(l.todo.ask, GW_ASK_VALUES);
    assert_int_equal(l.todo.asked.size, 0);
    give(&l, 16, 3, BODY("vr\0009"));
    assert_int_equal(l.todo.ask, GW_ASK_VALUES);
    assert_int_equal(l.todo.asked.size, 4);
    assert_int_equal(l.todo.answer, GW_ANSWER_NONE);
    give(&l, 16, 3, BODY("zz\0009"));
    assert_int_equal(l.todo.ask, GW_ASK_NOTHING);
    assert_int_equal(l.todo.answer, GW_ANSWER_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_is_told_as_the_zone_has_it),
        cmocka_unit_test(a_field_is_told_if_the_device_can_take_it),
        cmocka_unit_test(an_event_that_the_product_lacks_is_refused),
        cmocka_unit_test(a_sync_asks_for_values),
    };

    return cmocka_run_group_tests_name("session queries", tests, NULL, NULL);
}
