/*
 * Changes of the index between two shards, step by step: the moments that a real process passes too
 * quickly to be met by chance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gw/journal/writer.h>
#include <gw/token/writer.h>
#include <gw/uplink/uplink.h>

#include "shard_internal.h"

#include "still_ring.h"

/* Shard 0 owns the even devices; the sessions are in shard 1. */
enum { SHARDS = 2, DEVICES = 6, OWNER = 0, HOLDER = 1, DEVICE = 2, OTHER_DEVICE = 4 };

enum { PRODUCT = 1, NOW_S = 1700000000 };

static char base[64], path[96];
static struct gw_index *shared;
static struct gw_shard *shards[SHARDS];

/* ---- an index, changed by a process of its own as tollgatectl does ---- */

static const uint8_t *token_of(uint32_t device)
{
    static uint8_t token[GW_TOKEN_BYTES];

    memset(token, (int)device, sizeof token);
    return token;
}

static int fill(struct gw_index_writer *writer, uint32_t product)
{
    struct gw_product_spec spec = {.id = gw_bytes_text("TMPLx"), .flags = GW_PRODUCT_PLAIN_ALLOWED};
    uint32_t number;
    int err = gw_index_org_add(writer, gw_bytes_text("acme"), &spec.org);

    if (err == 0)
        err = gw_index_product_add(writer, &spec, &number);
    for (uint32_t i = 1; err == 0 && i <= DEVICES; i++) {
        struct gw_device_spec device = {.product = product, .token = token_of(i)};

        err = gw_index_device_add(writer, &device, &number);
    }
    return err;
}

static int disable(struct gw_index_writer *writer, uint32_t device)
{
    return gw_index_device_set_disabled(writer, device, true);
}

static int enable(struct gw_index_writer *writer, uint32_t device)
{
    return gw_index_device_set_disabled(writer, device, false);
}

static int close_product(struct gw_index_writer *writer, uint32_t number)
{
    return gw_index_product_set_closed(writer, number, true);
}

static void change(int (*work)(struct gw_index_writer *, uint32_t), uint32_t number)
{
    const pid_t child = fork();
    int status = -1;

    assert_true(child >= 0);
    if (child == 0) {
        struct gw_index_writer *writer;
        const char *why;

        if (gw_index_writer_open(path, NULL, &writer, &why) != 0 || gw_index_begin(writer) != 0)
            _exit(2);
        if (work(writer, number) != 0)
            _exit(3);
        _exit(gw_index_commit(writer) == 0 ? 0 : 4);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- two shards ---- */

static int start(void **state)
{
    const struct gw_index_create_options create = {.path = path};
    const struct gw_index_options options = {.path = path};
    const char *why = "";

    (void)state;
    (void)snprintf(base, sizeof base, "/tmp/gw_revoke_test.XXXXXX");
    assert_non_null(mkdtemp(base));
    (void)snprintf(path, sizeof path, "%s/index", base);
    assert_int_equal(gw_index_create(&create, &why), 0);
    change(fill, PRODUCT);
    assert_int_equal(gw_index_open(&options, &shared, &why), 0);
    for (uint32_t i = 0; i < SHARDS; i++) {
        const struct gw_shard_options shard = {.number = i,
                                               .count = SHARDS,
                                               .sessions_max = 8,
                                               .accepts_pending = 1,
                                               .chunk_count = 64,
                                               .answers_max = 16,
                                               .rate_frames_per_s = 10,
                                               .login_s_max = 10,
                                               .downlink_pending_max = 1,
                                               .bridge_sessions_max = 2,
                                               .bridge_targets_max = 8,
                                               .limits = {.frame_body_bytes_max = 1024},
                                               .index = shared};

        assert_int_equal(gw_shard_create(&shard, &shards[i]), 0);
        gw_shard_peers_set(shards[i], shards);
        gw_timer_wheel_init(&shards[i]->wheel, &session_at(shards[i], 0)->timer,
                            sizeof(struct gw_session), (struct gw_instant){.ns = 0});
        assert_int_equal(gw_index_reader_open(shared, &shards[i]->reader), 0);
        assert_int_equal(gw_index_change_newest(shards[i]->reader, &shards[i]->changes_seen), 0);
        gw_index_reader_pause(shards[i]->reader);
    }
    return 0;
}

static int stop(void **state)
{
    char command[128];

    (void)state;
    for (uint32_t i = 0; i < SHARDS; i++) {
        gw_index_reader_close(shards[i]->reader);
        gw_shard_destroy(shards[i]);
    }
    gw_index_close(shared);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", base);
    assert_int_equal(system(command), 0); /* NOLINT: a fixed command on our own directory */
    return 0;
}

static struct gw_grant grant_of(struct gw_shard *sh, uint32_t device)
{
    struct gw_grant grant = {0};

    assert_int_equal(gw_index_login(sh->reader, token_of(device), false, NOW_S, &grant),
                     GW_LOGIN_GRANTED);
    assert_int_equal(grant.device, device);
    return grant;
}

/* A session of the holder, granted by the index as its reader sees it now. */
static struct gw_session *granted(uint32_t device)
{
    struct gw_shard *sh = shards[HOLDER];
    struct gw_grant grant = grant_of(sh, device);
    uint32_t slot = gw_slab_acquire(&sh->sessions);
    struct gw_session *s = session_at(sh, slot);

    *s = (struct gw_session){.generation = 7,
                             .device = device,
                             .rx = GW_CHUNK_QUEUE_EMPTY,
                             .tx = GW_CHUNK_QUEUE_EMPTY,
                             .idle_s = 23,
                             .state = GW_SESSION_LIVE};
    sh->cold[slot] = (struct gw_session_cold){.held = GW_CHUNK_QUEUE_EMPTY,
                                              .last_id = 3,
                                              .product = grant.product,
                                              .token_generation = grant.generation};
    sh->live_count++;
    return s;
}

static void claim_at(const struct gw_session *s, uint32_t at_us)
{
    struct gw_shard *sh = shards[HOLDER];
    struct mail mail = {.kind = MAIL_CLAIM,
                        .judged_by = judged_by(sh),
                        .at_us = at_us,
                        .place = {.device = s->device,
                                  .shard = HOLDER,
                                  .slot = slot_of(sh, s),
                                  .generation = s->generation}};

    assert_true(mail_send(sh, s->device % SHARDS, &mail));
}

static void claim(const struct gw_session *s)
{
    claim_at(s, 1000);
}

/* What a turn does of it. `told`: the newest change, or 0 when the shard was not told of one. */
static void turn(uint32_t number, uint64_t told)
{
    struct gw_shard *sh = shards[number];

    gw_index_reader_pause(sh->reader);
    if (told != 0)
        gw_shard_index_changed(sh, told);
    follow_changes(sh);
    sh->mail_arrived = true;
    mail_read_all(sh);
}

static uint64_t newest(void)
{
    struct gw_index_reader *reader;
    uint64_t sequence = 0;

    assert_int_equal(gw_index_reader_open(shared, &reader), 0);
    assert_int_equal(gw_index_change_newest(reader, &sequence), 0);
    gw_index_reader_close(reader);
    return sequence;
}

static uint64_t revocations(void)
{
    return gw_counter_read(&shards[HOLDER]->metrics.revocations);
}

/* ---- cases ---- */

static void a_change_reaches_the_session_by_its_owner(void **state)
{
    struct gw_session *s = granted(DEVICE), *other = granted(OTHER_DEVICE);

    (void)state;
    claim(s);
    claim(other);
    turn(OWNER, 0);
    change(gw_index_token_revoke, DEVICE);
    turn(HOLDER, newest()); /* it sees the change, and owns nothing */
    assert_int_equal(s->state, GW_SESSION_LIVE);
    turn(OWNER, newest());
    turn(HOLDER, 0);
    assert_int_equal(s->state, GW_SESSION_CLOSING);
    assert_int_equal(s->close_reason, GW_CLOSE_TOKEN_REVOKED);
    assert_int_equal(other->state, GW_SESSION_LIVE);
    assert_true(revocations() == 1);
}

/* Two logins of a device, heard of the other way round; the low bits of time wrap in between. */
static void of_two_logins_the_later_one_stays_whenever_it_is_heard_of(void **state)
{
    struct gw_session *earlier = granted(DEVICE), *later = granted(DEVICE), *last;

    (void)state;
    claim_at(later, 5);
    claim_at(earlier, UINT32_MAX - 5);
    turn(OWNER, 0);
    turn(HOLDER, 0);
    assert_int_equal(later->state, GW_SESSION_LIVE);
    assert_int_equal(earlier->close_reason, GW_CLOSE_REPLACED);
    assert_int_equal(directory_find(&shards[OWNER]->directory, DEVICE).slot,
                     slot_of(shards[HOLDER], later));
    last = granted(DEVICE);
    claim_at(last, 6);
    turn(OWNER, 0);
    turn(HOLDER, 0);
    assert_int_equal(last->state, GW_SESSION_LIVE);
    assert_int_equal(later->close_reason, GW_CLOSE_REPLACED);
    /* What was heard long ago says nothing of what is heard now. */
    later = granted(DEVICE);
    still_ring_now_ns += 11 * GW_NS_PER_S;
    claim_at(later, 5);
    turn(OWNER, 0);
    turn(HOLDER, 0);
    assert_int_equal(later->state, GW_SESSION_LIVE);
    assert_int_equal(last->close_reason, GW_CLOSE_REPLACED);
}

/* The owner has acted upon a change before it hears of a login that knows nothing of it. */
static void a_claim_that_comes_too_late_is_judged_again(void **state)
{
    struct gw_session *s = granted(DEVICE); /* and the holder's turn goes on */

    (void)state;
    change(gw_index_token_revoke, DEVICE);
    turn(OWNER, newest());
    claim(s);
    turn(OWNER, 0);
    assert_int_equal(s->state, GW_SESSION_LIVE);
    /* Still in that turn of the holder, whose transaction is older than the change. */
    shards[HOLDER]->mail_arrived = true;
    mail_read_all(shards[HOLDER]);
    assert_int_equal(s->close_reason, GW_CLOSE_TOKEN_REVOKED);
    assert_true(revocations() == 1);
}

static void a_claim_that_knows_as_much_is_not(void **state)
{
    struct gw_session *s;
    struct mail mail;

    (void)state;
    change(disable, OTHER_DEVICE);
    turn(OWNER, newest());
    s = granted(DEVICE);
    claim(s);
    turn(OWNER, 0);
    assert_false(gw_spsc_pop(&shards[HOLDER]->mailboxes[OWNER], &mail));
    /* Nor is one that knows more than the owner. */
    change(disable, OTHER_DEVICE + 2);
    gw_index_reader_pause(shards[HOLDER]->reader);
    claim(s);
    turn(OWNER, 0);
    assert_true(gw_spsc_pop(&shards[HOLDER]->mailboxes[OWNER], &mail));
    assert_int_equal(mail.kind, MAIL_EVICT); /* of the claim before */
    assert_false(gw_spsc_pop(&shards[HOLDER]->mailboxes[OWNER], &mail));
}

static void of_two_changes_the_newest_counts(void **state)
{
    struct gw_session *s = granted(DEVICE);

    (void)state;
    claim(s);
    turn(OWNER, 0);
    change(disable, DEVICE);
    change(enable, DEVICE);
    turn(OWNER, newest());
    turn(HOLDER, newest());
    assert_int_equal(s->state, GW_SESSION_LIVE);
    change(disable, DEVICE);
    turn(OWNER, newest());
    turn(HOLDER, newest());
    assert_int_equal(s->close_reason, GW_CLOSE_DEVICE_DISABLED);
}

static void a_closed_product_is_a_sweep_of_each_shard(void **state)
{
    struct gw_session *s = granted(DEVICE), *other = granted(OTHER_DEVICE);

    (void)state;
    change(close_product, PRODUCT);
    turn(HOLDER, newest()); /* no claim is needed */
    assert_int_equal(s->close_reason, GW_CLOSE_PRODUCT_CLOSED);
    assert_int_equal(other->close_reason, GW_CLOSE_PRODUCT_CLOSED);
    assert_false(shards[HOLDER]->sweep.running);
    assert_true(gw_counter_read(&shards[HOLDER]->metrics.sweeps) == 1);
    assert_true(changes_due_ns(shards[HOLDER]) == UINT64_MAX);
}

/* An owner that missed changes cannot say of which devices: everybody looks. */
static void who_misses_changes_has_all_shards_sweep(void **state)
{
    struct gw_session *s = granted(DEVICE);

    (void)state;
    claim(s);
    turn(OWNER, 0);
    change(gw_index_token_revoke, DEVICE);
    turn(HOLDER, newest());
    assert_int_equal(s->state, GW_SESSION_LIVE);
    shards[OWNER]->changes_seen = newest() + 5; /* as if of another index */
    turn(OWNER, newest() + 10);
    assert_true(shards[OWNER]->changes_seen == newest());
    assert_true(changes_due_ns(shards[HOLDER]) == 0);
    turn(HOLDER, 0);
    assert_int_equal(s->close_reason, GW_CLOSE_TOKEN_REVOKED);
}

static void what_cannot_be_told_is_asked_again(void **state)
{
    struct gw_session *s = granted(DEVICE);

    (void)state;
    s->device = 99; /* of which the index knows nothing, and so says nothing */
    change(close_product, PRODUCT);
    turn(HOLDER, newest());
    assert_int_equal(s->state, GW_SESSION_LIVE);
    assert_true(changes_due_ns(shards[HOLDER]) > 0);
    assert_true(changes_due_ns(shards[HOLDER]) <= 10 * GW_NS_PER_S);
    still_ring_now_ns += changes_due_ns(shards[HOLDER]);
    assert_true(changes_due_ns(shards[HOLDER]) == 0);
    s->device = DEVICE;
    turn(HOLDER, 0);
    assert_int_equal(s->close_reason, GW_CLOSE_PRODUCT_CLOSED);
    assert_true(changes_due_ns(shards[HOLDER]) == UINT64_MAX);
}

static void bridges_are_cut_in_every_shard(void **state)
{
    struct gw_shard *sh = shards[OWNER];

    (void)state;
    sh->bridge_count = 2;
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t device = 1; device <= 3; device++) {
            sh->bridges[i].devices[device] = device;
            sh->bridges[i].generations[device] = grant_of(sh, device).generation;
            sh->bridges[i].count++;
        }
    change(gw_index_token_revoke, 1);
    turn(OWNER, newest());
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(sh->bridges[i].count, 2);
        assert_int_equal(sh->bridges[i].devices[1], 0);
        assert_int_equal(sh->bridges[i].devices[2], 2);
    }
    change(close_product, PRODUCT);
    turn(OWNER, newest());
    assert_int_equal(sh->bridges[0].count, 0);
    assert_int_equal(sh->bridges[1].count, 0);
}

/* ---- a shard that owns the device it lets in ---- */

/* Its directory is full. The login is refused as it is granted, and "granted" is not said any more:
   TLS and WebSocket have said goodbye by then. */
static void who_is_turned_away_by_its_owner_is_told_nothing(void **state)
{
    static struct gw_penalty_table penalties;
    struct gw_shard *sh = shards[OWNER];
    char journal_path[96], text[GW_TOKEN_TEXT_BYTES], why[256];
    struct gw_journal_options journal = {
        .path = journal_path, .segment_bytes = 1 << 20, .zero_ahead_bytes = 1 << 18};
    struct gw_uplink_options options = {
        .lane_count = 1, .batches_per_lane = GW_LANE_BATCHES_MIN, .gather_us = 1000};
    struct gw_journal_recovery recovery;
    struct gw_uplink *uplink;
    uint8_t login[GW_FRAME_HEADER_BYTES + GW_TOKEN_TEXT_BYTES];
    struct gw_frame frame = {
        .type = GW_FRAME_HW_LOGIN, .msg_id = 1, .body = gw_bytes_of(text, sizeof text)};
    struct gw_session *s;
    uint32_t slot;

    (void)state;
    (void)snprintf(journal_path, sizeof journal_path, "%s/journal", base);
    assert_int_equal(mkdir(journal_path, 0700), 0);
    assert_int_equal(gw_journal_writer_open(&journal, &options.writer, &recovery, why, sizeof why),
                     0);
    assert_int_equal(gw_uplink_create(&options, &uplink), 0);
    sh->lane = gw_uplink_lane(uplink, 0);
    sh->options.penalties = &penalties;
    sh->options.limits.heartbeat_default_s = 10;
    sh->options.limits.heartbeat_min_s = 5;
    sh->options.limits.heartbeat_max_s = 3600;
    sh->options.limits.heartbeat_default_s = sh->options.limits.heartbeat_min_s =
        sh->options.limits.heartbeat_max_s = 10;
    sh->directory.count_max = 0;
    slot = gw_slab_acquire(&sh->sessions);
    s = session_at(sh, slot);
    *s = (struct gw_session){.generation = 7,
                             .rx = GW_CHUNK_QUEUE_EMPTY,
                             .tx = GW_CHUNK_QUEUE_EMPTY,
                             .state = GW_SESSION_LOGIN};
    sh->cold[slot] = (struct gw_session_cold){.held = GW_CHUNK_QUEUE_EMPTY};
    gw_token_to_text(token_of(DEVICE), text);
    assert_int_equal(gw_frame_encode(login, sizeof login, &frame), sizeof login);

    assert_int_equal(take_frames(sh, s, gw_bytes_of(login, sizeof login)), sizeof login);
    assert_int_equal(s->close_reason, GW_CLOSE_NO_MEMORY);
    flush_replies(sh, s);
    assert_int_equal(sh->cold[slot].tx_bytes, 0);
    gw_uplink_destroy(uplink);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_change_reaches_the_session_by_its_owner),
        CASE(of_two_logins_the_later_one_stays_whenever_it_is_heard_of),
        CASE(a_claim_that_comes_too_late_is_judged_again),
        CASE(a_claim_that_knows_as_much_is_not),
        CASE(of_two_changes_the_newest_counts),
        CASE(a_closed_product_is_a_sweep_of_each_shard),
        CASE(who_misses_changes_has_all_shards_sweep),
        CASE(what_cannot_be_told_is_asked_again),
        CASE(bridges_are_cut_in_every_shard),
        CASE(who_is_turned_away_by_its_owner_is_told_nothing),
    };

    return cmocka_run_group_tests_name("shard.revoke", tests, NULL, NULL);
}
