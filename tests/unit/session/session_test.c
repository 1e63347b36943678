/*
 * The session's rules as tables: edges of the machine, login answers, the to-do list of each frame.
 */
#include "session_kit.h"

static void only_the_drawn_edges_are_legal(void **state)
{
    static const char drawn[GW_SESSION_STATES][GW_SESSION_STATES + 1] = {
        /*                          F A H L L H C */
        [GW_SESSION_FREE] = "-+-----",      [GW_SESSION_ACCEPTING] = "+-++---",
        [GW_SESSION_HANDSHAKE] = "---+--+", [GW_SESSION_LOGIN] = "----+++",
        [GW_SESSION_LIVE] = "------+",      [GW_SESSION_HTTP] = "---+--+",
        [GW_SESSION_CLOSING] = "+------",
    };

    (void)state;
    for (int from = 0; from < GW_SESSION_STATES; from++)
        for (int to = 0; to < GW_SESSION_STATES; to++)
            assert_int_equal(
                gw_session_may_move((enum gw_session_state)from, (enum gw_session_state)to),
                drawn[from][to] == '+');
}

static void every_way_through_the_machine_keeps_what_its_states_promise(void **state)
{
    static const struct {
        size_t steps;
        enum gw_session_state to[6];
    } ways[] = {
        {2, {GW_SESSION_ACCEPTING, GW_SESSION_FREE}},
        {4, {GW_SESSION_ACCEPTING, GW_SESSION_HANDSHAKE, GW_SESSION_CLOSING, GW_SESSION_FREE}},
        {6,
         {GW_SESSION_ACCEPTING, GW_SESSION_HANDSHAKE, GW_SESSION_LOGIN, GW_SESSION_HTTP,
          GW_SESSION_CLOSING, GW_SESSION_FREE}},
        {6,
         {GW_SESSION_ACCEPTING, GW_SESSION_LOGIN, GW_SESSION_HTTP, GW_SESSION_LOGIN,
          GW_SESSION_CLOSING, GW_SESSION_FREE}},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(ways); i++) {
        struct gw_session s = {.rx = GW_CHUNK_QUEUE_EMPTY, .tx = GW_CHUNK_QUEUE_EMPTY};

        for (size_t step = 0; step < ways[i].steps; step++) {
            if (ways[i].to[step] == GW_SESSION_CLOSING)
                s.close_reason = GW_CLOSE_PEER_CLOSED;
            gw_session_move(&s, ways[i].to[step]);
            assert_int_equal(s.state, ways[i].to[step]);
        }
    }
}

static void a_live_session_may_send_more_in_a_frame(void **state)
{
    const struct life in = in_login(), on = in_live(0);

    (void)state;
    assert_int_equal(gw_session_body_bytes_max(&in.s, &limits), GW_LOGIN_BODY_BYTES_MAX);
    assert_int_equal(gw_session_body_bytes_max(&on.s, &limits), limits.frame_body_bytes_max);
}

static void a_grant_that_is_no_longer_good_closes_with_its_reason(void **state)
{
    enum { GENERATION = 5, LAST_ID = 77 };
    static const struct {
        enum gw_login login;
        uint32_t generation;
        uint16_t status; /* 0: nothing is said */
        enum gw_close_reason close;
    } rows[] = {
        {GW_LOGIN_GRANTED, GENERATION, 0, GW_CLOSE_NONE},
        {GW_LOGIN_UNAVAILABLE, 0, 0, GW_CLOSE_NONE},
        {GW_LOGIN_UNKNOWN, 0, 9, GW_CLOSE_TOKEN_REVOKED},
        {GW_LOGIN_GRANTED, GENERATION + 1, 0, GW_CLOSE_DEVICE_MOVED},
        {GW_LOGIN_DISABLED, 0, 6, GW_CLOSE_DEVICE_DISABLED},
        {GW_LOGIN_CLOSED, 0, 6, GW_CLOSE_PRODUCT_CLOSED},
        {GW_LOGIN_NOT_NOW, 0, 6, GW_CLOSE_TOKEN_NOT_NOW},
        {GW_LOGIN_PLAIN, 0, 6, GW_CLOSE_PLAIN_REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct life l = in_login();
        struct gw_grant grant = {.device = 7, .product = 3, .org = 1, .generation = GENERATION};

        gw_session_login(&l.s, &l.cold, &limits, 1, GW_LOGIN_GRANTED, &grant, &l.todo);
        give(&l, GW_FRAME_PING, LAST_ID, BODY(""));
        grant.generation = rows[i].generation;
        gw_session_rechecked(&l.cold, rows[i].login, &grant, &l.todo);
        assert_int_equal(l.todo.close, rows[i].close);
        assert_int_equal(l.todo.answer, rows[i].status == 0 ? GW_ANSWER_NONE : GW_ANSWER_NOW);
        assert_int_equal(l.todo.status, rows[i].status);
        assert_int_equal(l.todo.msg_id, LAST_ID);
        assert_false(l.todo.publish);
    }
}

static void only_an_authoritative_miss_is_answered_9(void **state)
{
    static const struct {
        enum gw_login login;
        uint16_t status;
        enum gw_close_reason close;
    } rows[] = {
        {GW_LOGIN_UNKNOWN, 9, GW_CLOSE_TOKEN_UNKNOWN},
        {GW_LOGIN_DISABLED, 6, GW_CLOSE_DEVICE_DISABLED},
        {GW_LOGIN_CLOSED, 6, GW_CLOSE_PRODUCT_CLOSED},
        {GW_LOGIN_NOT_NOW, 6, GW_CLOSE_TOKEN_NOT_NOW},
        {GW_LOGIN_PLAIN, 6, GW_CLOSE_PLAIN_REFUSED},
        {GW_LOGIN_UNAVAILABLE, 19, GW_CLOSE_INDEX_UNAVAILABLE},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct life l = in_login();

        gw_session_login(&l.s, &l.cold, &limits, 4660, rows[i].login, NULL, &l.todo);
        assert_int_equal(l.todo.answer, GW_ANSWER_NOW);
        assert_int_equal(l.todo.msg_id, 4660);
        assert_int_equal(l.todo.status, rows[i].status);
        assert_int_equal(l.todo.close, rows[i].close);
        assert_int_equal(l.s.state, GW_SESSION_LOGIN);
        assert_int_equal(l.s.device, 0);
    }
}

static void a_granted_login_is_live_with_the_default_heartbeat(void **state)
{
    struct life l = in_live(0);

    (void)state;
    assert_int_equal(l.s.state, GW_SESSION_LIVE);
    assert_int_equal(l.s.device, 7);
    assert_int_equal(l.s.idle_s, 23);
    assert_int_equal(l.todo.status, 200);
    assert_int_equal(l.todo.close, GW_CLOSE_NONE);
}

static void before_login_only_a_login_is_taken(void **state)
{
    (void)state;
    for (int type = 0; type < 256; type++) {
        struct life l = in_login();

        give(&l, (uint8_t)type, 1, BODY("x"));
        if (type == GW_FRAME_HW_LOGIN || type == GW_FRAME_LOGIN) {
            assert_int_equal(l.todo.ask, GW_ASK_LOGIN);
        } else {
            assert_int_equal(l.todo.close, GW_CLOSE_NOT_LOGGED_IN);
            assert_int_equal(l.todo.answer, GW_ANSWER_NONE);
        }
    }
}

static void the_first_byte_tells_devices_from_the_rest(void **state)
{
    (void)state;
    assert_int_equal(gw_session_first_byte(29), GW_CLOSE_NONE);
    assert_int_equal(gw_session_first_byte(2), GW_CLOSE_NONE);
    assert_int_equal(gw_session_first_byte('G'), GW_CLOSE_UNKNOWN_PROTOCOL);
    assert_int_equal(gw_session_first_byte(6), GW_CLOSE_NOT_LOGGED_IN);
    assert_int_equal(gw_session_first_byte(GW_FRAME_EVENT_CLEAR), GW_CLOSE_NOT_LOGGED_IN);
    assert_true(gw_session_is_http('G') && gw_session_is_http('B') && gw_session_is_http('Z'));
    assert_false(gw_session_is_http(GW_FRAME_EVENT_CLEAR) || gw_session_is_http('g'));
    assert_false(gw_session_is_http(29) || gw_session_is_http('@') || gw_session_is_http('['));
}

/* What a live session makes of a frame. Records: kind, else 0. */
static void every_frame_has_its_answer(void **state)
{
    static const struct {
        const char *what;
        uint8_t type;
        struct gw_bytes body;
        int answer;
        uint16_t status;
        uint8_t record;
        enum gw_close_reason close;
    } rows[] = {
        {"write",
         20,
         {(const uint8_t *)"vw\0"
                           "1\0"
                           "5",
          6},
         GW_ANSWER_NONE,
         0,
         GW_RECORD_PIN_WRITE,
         0},
        {"write without value",
         20,
         {(const uint8_t *)"vw\0"
                           "1",
          4},
         GW_ANSWER_NOW,
         2,
         0,
         0},
        {"empty value",
         20,
         {(const uint8_t *)"vw\0"
                           "1\0",
          5},
         GW_ANSWER_NOW,
         2,
         0,
         0},
        {"pin 256",
         20,
         {(const uint8_t *)"vw\0"
                           "256\0"
                           "1",
          8},
         GW_ANSWER_NOW,
         2,
         0,
         0},
        {"poll is ignored",
         20,
         {(const uint8_t *)"dr\0"
                           "5",
          4},
         GW_ANSWER_NONE,
         0,
         0,
         0},
        {"ping", 6, {NULL, 0}, GW_ANSWER_PING, 200, 0, 0},
        {"response", 0, {NULL, 0}, GW_ANSWER_NONE, 0, 0, 0},
        {"second login", 29, {(const uint8_t *)"x", 1}, GW_ANSWER_NOW, 4, 0, 0},
        {"property",
         19,
         {(const uint8_t *)"1\0color\0#fff", 12},
         GW_ANSWER_DURABLE,
         200,
         GW_RECORD_PROPERTY,
         0},
        {"property without value", 19, {(const uint8_t *)"1\0color", 7}, GW_ANSWER_NOW, 11, 0, 0},
        {"event",
         64,
         {(const uint8_t *)"hot\0desc", 8},
         GW_ANSWER_DURABLE,
         200,
         GW_RECORD_EVENT,
         0},
        {"empty event", 64, {NULL, 0}, GW_ANSWER_NOW, 2, 0, 0},
        {"event clear",
         65,
         {(const uint8_t *)"hot\0all", 7},
         GW_ANSWER_DURABLE,
         200,
         GW_RECORD_EVENT_CLEAR,
         0},
        {"empty internal", 17, {NULL, 0}, GW_ANSWER_NOW, 2, 0, 0},
        {"unknown internal",
         17,
         {(const uint8_t *)"zzz\0"
                           "1",
          5},
         GW_ANSWER_NONE,
         0,
         0,
         0},
        {"meta set",
         17,
         {(const uint8_t *)"meta\0set\0F\0v", 12},
         GW_ANSWER_DURABLE,
         200,
         GW_RECORD_META_SET,
         0},
        {"sync without pins", 16, {(const uint8_t *)"vr", 2}, GW_ANSWER_NOW, 2, 0, 0},
        {"sync of a pin",
         16,
         {(const uint8_t *)"vr\0"
                           "9",
          4},
         GW_ANSWER_NONE,
         0,
         0,
         0},
        {"bridge to nowhere", 15, {(const uint8_t *)"64\0i", 4}, GW_ANSWER_NOW, 2, 0, 0},
        {"legacy mail", 13, {(const uint8_t *)"a", 1}, GW_ANSWER_NOW, 2, 0, 0},
        {"unknown 99", 99, {(const uint8_t *)"a", 1}, GW_ANSWER_NOW, 2, 0, 0},
        {"command 100", 100, {NULL, 0}, GW_ANSWER_NONE, 0, 0, GW_CLOSE_BAD_COMMAND},
        {"command 255", 255, {NULL, 0}, GW_ANSWER_NONE, 0, 0, GW_CLOSE_BAD_COMMAND},
        {"group end alone", 21, {(const uint8_t *)"e", 1}, GW_ANSWER_NONE, 0, 0, 0},
        {"group begin", 21, {(const uint8_t *)"b", 1}, GW_ANSWER_NONE, 0, GW_RECORD_GROUP_BEGIN, 0},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct life l = in_live(0);

        print_message("  %s\n", rows[i].what);
        give(&l, rows[i].type, 9, rows[i].body);
        assert_int_equal(l.todo.answer, rows[i].answer);
        if (rows[i].answer != GW_ANSWER_NONE)
            assert_int_equal(l.todo.status, rows[i].status);
        assert_int_equal(l.todo.publish, rows[i].record != 0);
        if (rows[i].record != 0)
            assert_int_equal(l.todo.record.kind, rows[i].record);
        assert_int_equal(l.todo.close, rows[i].close);
    }
}

static void bridges_are_the_shards(void **state)
{
    struct life l = in_live(0);

    (void)state;
    give(&l, 15, 9, BODY("64\0i\0x"));
    assert_int_equal(l.todo.ask, GW_ASK_BRIDGE);
    assert_true(gw_bytes_equal(l.todo.asked, BODY("64\0i\0x")));
    assert_int_equal(l.todo.answer, GW_ANSWER_NONE);
    l = in_live(GW_PRODUCT_INFO_REQUIRED); /* nobody writes before it has named its product */
    give(&l, 15, 9, BODY("64\0i\0x"));
    assert_int_equal(l.todo.ask, GW_ASK_NOTHING);
    assert_true(l.todo.hold);
}

static void members_of_a_group_share_its_time(void **state)
{
    struct life l = in_live(0);

    (void)state;
    give(&l, 21, 1,
         BODY("t\0"
              "1700000000123"));
    give(&l, 20, 2,
         BODY("vw\0"
              "1\0"
              "1"));
    assert_true(l.todo.record.time_us == UINT64_C(1700000000123000));
    assert_int_equal(l.todo.record.flags, GW_RECORD_GROUPED | GW_RECORD_DEVICE_TIME);
    give(&l, 21, 3, BODY("b"));
    give(&l, 20, 4,
         BODY("vw\0"
              "2\0"
              "1"));
    assert_true(l.todo.record.time_us == NOW_US);
    assert_int_equal(l.todo.record.flags, GW_RECORD_GROUPED);
    give(&l, 21, 5, BODY("e"));
    assert_int_equal(l.todo.record.kind, GW_RECORD_GROUP_END);
    give(&l, 20, 6,
         BODY("vw\0"
              "3\0"
              "1"));
    assert_int_equal(l.todo.record.flags, 0);
}

static void heartbeats_are_clamped_and_never_overflow(void **state)
{
    static const struct {
        int64_t beat;
        uint16_t idle_s;
    } rows[] = {{0, 12},      {-5, 12},        {5, 12},
                {10, 23},     {40, 92},        {45, 104},
                {3600, 8280}, {4000000, 8280}, {INT64_C(1) << 31, 8280}};

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++)
        assert_int_equal(gw_session_idle_s(&limits, rows[i].beat), rows[i].idle_s);
}

static void updates_wait_for_a_required_info_frame(void **state)
{
    struct life l = in_live(GW_PRODUCT_INFO_REQUIRED);
    struct gw_frame info = {.type = 17,
                            .msg_id = 2,
                            .body = BODY("h-beat\0"
                                         "40\0"
                                         "tmpl\0TMPLx")};

    (void)state;
    give(&l, 20, 3,
         BODY("vw\0"
              "1\0"
              "5"));
    assert_true(l.todo.hold);
    assert_false(l.todo.publish);
    give(&l, 16, 4, BODY("")); /* what is held would be missing in its answer */
    assert_true(l.todo.hold);
    assert_int_equal(l.todo.ask, GW_ASK_NOTHING);
    give(&l, 17, 4,
         BODY("meta\0"
              "set\0Serial\0A7"));
    assert_true(l.todo.hold);
    assert_false(l.todo.publish);
    give(&l, 17, 4,
         BODY("meta\0"
              "get\0Serial"));
    assert_false(l.todo.hold);
    give(&l, 6, 4, BODY(""));
    assert_false(l.todo.hold);
    l.s.flags |= GW_SESSION_HELD;
    give(&l, 6, 4, BODY("")); /* its answer would speak for what is held */
    assert_true(l.todo.hold);
    assert_int_equal(l.todo.answer, GW_ANSWER_NONE);
    gw_session_frame(&l.s, &l.cold, &limits, &info, NOW_US, &l.todo);
    assert_int_equal(l.todo.ask, GW_ASK_PRODUCT);
    assert_true(gw_bytes_are(l.todo.asked, "TMPLx"));
    gw_session_info(&l.s, &l.cold, &limits, &info, true, &l.todo);
    assert_int_equal(l.todo.status, 200);
    assert_int_equal(l.s.idle_s, 92);
    give(&l, 20, 5,
         BODY("vw\0"
              "1\0"
              "5"));
    assert_false(l.todo.hold);
    assert_true(l.todo.publish);
}

static void a_newcomer_is_listened_to_once_it_has_named_its_product(void **state)
{
    static const char *const ignored[] = {"rtc", "utc", "meta"};
    struct life l = in_live(GW_PRODUCT_PROVISIONS | GW_PRODUCT_INFO_REQUIRED);

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(ignored); i++) {
        give(&l, 17, 3, gw_bytes_text(ignored[i]));
        assert_int_equal(l.todo.ask, GW_ASK_NOTHING);
        assert_int_equal(l.todo.answer, GW_ANSWER_NONE);
    }
    give(&l, 17, 3, BODY("meta\0set\0Name\0x"));
    assert_false(l.todo.publish);
    assert_int_equal(l.todo.answer, GW_ANSWER_NONE);
    give(&l, 17, 3, BODY("utc\0time"));
    assert_int_equal(l.todo.ask, GW_ASK_NOTHING);
    give(&l, 20, 3,
         BODY("vw\0"
              "1\0"
              "5"));
    assert_true(l.todo.hold);
    give(&l, 17, 3, BODY("ver\0001.4.0")); /* whether it names one is not asked here */
    assert_int_equal(l.todo.ask, GW_ASK_PRODUCT);
    assert_int_equal(l.todo.asked.size, 0);
}

/* Before a required info frame; a PING waits behind what is held, or its answer would cover it. */
static void of_all_frames_those_wait_that_need_the_product(void **state)
{
    (void)state;
    for (int type = 0; type < 256; type++) {
        const bool waits = type == GW_FRAME_HARDWARE || type == GW_FRAME_PROPERTY ||
                           type == GW_FRAME_EVENT_LOG || type == GW_FRAME_EVENT_CLEAR ||
                           type == GW_FRAME_GROUP || type == GW_FRAME_HARDWARE_SYNC ||
                           type == GW_FRAME_BRIDGE;
        struct life l = in_live(GW_PRODUCT_INFO_REQUIRED);

        give(&l, (uint8_t)type, 1, BODY(""));
        assert_int_equal(l.todo.hold, waits);
        l.s.flags |= GW_SESSION_HELD;
        give(&l, (uint8_t)type, 1, BODY(""));
        assert_int_equal(l.todo.hold, waits || type == GW_FRAME_PING);
        l.s.flags |= GW_SESSION_INFO_SEEN;
        give(&l, (uint8_t)type, 1, BODY(""));
        assert_false(l.todo.hold);
    }
}

static void a_time_that_no_microseconds_hold_is_none(void **state)
{
    struct life l = in_live(0);

    (void)state;
    give(&l, GW_FRAME_GROUP, 1,
         BODY("t\0"
              "18446744073709552"));
    assert_int_equal(l.todo.record.kind, GW_RECORD_GROUP_BEGIN);
    assert_true(l.todo.record.time_us == NOW_US);
    assert_int_equal(l.todo.record.flags, GW_RECORD_GROUPED);
}

static void another_product_is_answered_5_and_closed(void **state)
{
    struct life l = in_live(0);
    struct gw_frame info = {.type = 17, .msg_id = 2, .body = BODY("tmpl\0TMPLother")};

    (void)state;
    gw_session_info(&l.s, &l.cold, &limits, &info, false, &l.todo);
    assert_int_equal(l.todo.status, 5);
    assert_int_equal(l.todo.close, GW_CLOSE_PRODUCT_MISMATCH);
    assert_false(l.todo.publish);
}

static void every_close_reason_has_a_word_and_a_text(void **state)
{
    (void)state;
    for (int a = 1; a < GW_CLOSE_REASONS; a++) {
        char word[64];

        assert_true(strlen(gw_close_reason_text((enum gw_close_reason)a)) > 10);
        (void)strncpy(word, gw_close_reason_word((enum gw_close_reason)a), sizeof word - 1);
        for (int b = 1; b < a; b++)
            assert_string_not_equal(word, gw_close_reason_word((enum gw_close_reason)b));
    }
    assert_string_equal(gw_close_reason_word(GW_CLOSE_HEARTBEAT_LOST), "heartbeat_lost");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_drawn_edges_are_legal),
        cmocka_unit_test(every_way_through_the_machine_keeps_what_its_states_promise),
        cmocka_unit_test(a_live_session_may_send_more_in_a_frame),
        cmocka_unit_test(only_an_authoritative_miss_is_answered_9),
        cmocka_unit_test(a_grant_that_is_no_longer_good_closes_with_its_reason),
        cmocka_unit_test(a_granted_login_is_live_with_the_default_heartbeat),
        cmocka_unit_test(before_login_only_a_login_is_taken),
        cmocka_unit_test(the_first_byte_tells_devices_from_the_rest),
        cmocka_unit_test(every_frame_has_its_answer),
        cmocka_unit_test(bridges_are_the_shards),
        cmocka_unit_test(members_of_a_group_share_its_time),
        cmocka_unit_test(heartbeats_are_clamped_and_never_overflow),
        cmocka_unit_test(updates_wait_for_a_required_info_frame),
        cmocka_unit_test(a_newcomer_is_listened_to_once_it_has_named_its_product),
        cmocka_unit_test(of_all_frames_those_wait_that_need_the_product),
        cmocka_unit_test(a_time_that_no_microseconds_hold_is_none),
        cmocka_unit_test(another_product_is_answered_5_and_closed),
        cmocka_unit_test(every_close_reason_has_a_word_and_a_text),
    };

    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
