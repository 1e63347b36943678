/*
 * The books of a test. See ledger.h.
 */
#include "ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

#include <gw/journal/cursor.h>
#include <gw/journal/reader.h>

enum {
    SOON_MS = 5000,
    PING_ID_FIRST = 60001, /* writes have the ids below */
    PING_IDS = 4096,
    VALUE_BYTES_MAX = 4000,
    FRAME_BYTES_MAX = VALUE_BYTES_MAX + 32,
    HTTP_VALUE_BYTES_MAX = 1000, /* http.value_bytes_max is 1024 */
    HTTP_BYTES_MAX = VALUE_BYTES_MAX + 512,
};

#define CURSOR "ledger"

/* ---- dice ---- */

static uint64_t dice_state;

void sys_dice_seed(uint64_t seed)
{
    const char *given = getenv("TOLLGATE_TEST_SEED");

    if (seed == 0 && given != NULL)
        seed = strtoull(given, NULL, 10);
    while (seed == 0)
        if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
            abort();
    dice_state = seed;
    print_message("TOLLGATE_TEST_SEED=%llu\n", (unsigned long long)seed);
}

uint32_t sys_dice(uint32_t below)
{
    dice_state = dice_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(dice_state >> 33) % below;
}

/* ---- the accounts ---- */

void sys_ledger_create(struct sys_ledger *l, struct sys_gateway *gateway,
                       const struct sys_ledger_options *options)
{
    struct sys_device *devices =
        (struct sys_device *)calloc(options->devices, sizeof(struct sys_device));

    *l = (struct sys_ledger){.gateway = gateway, .options = *options};
    l->accounts = (struct sys_account *)calloc(options->devices, sizeof(struct sys_account));
    assert_true(devices != NULL && l->accounts != NULL);
    assert_true(options->value_bytes <= VALUE_BYTES_MAX);
    sys_devices_add(gateway, SYS_PRODUCT, devices, options->devices);
    for (uint32_t i = 0; i < options->devices; i++) {
        struct sys_account *a = &l->accounts[i];

        a->device = devices[i];
        a->client = SYS_CLIENT_NONE;
        a->transport = (enum sys_transport)(i % SYS_TRANSPORTS);
        a->http = i < options->http_devices;
    }
    free(devices);
}

void sys_ledger_destroy(struct sys_ledger *l)
{
    for (uint32_t i = 0; l->accounts != NULL && i < l->options.devices; i++)
        sys_client_close(&l->accounts[i].client);
    free(l->accounts);
    free(l->seen);
    *l = (struct sys_ledger){.gateway = NULL};
}

static void connect_account(struct sys_ledger *l, struct sys_account *a)
{
    sys_must(l->gateway, &a->client, sys_connect(l->gateway, &a->client, a->transport));
    if (!a->http)
        sys_must(l->gateway, &a->client,
                 sys_client_login(&a->client, a->device.token, GW_RESPONSE_OK));
}

void sys_ledger_log_in(struct sys_ledger *l)
{
    for (uint32_t i = 0; i < l->options.devices; i++) {
        struct sys_account *a = &l->accounts[i];

        a->bursts = a->bursts_done = 0;
        a->round_first = a->sent + 1;
        connect_account(l, a);
    }
}

/* ---- writing ---- */

/* A value: its number, then dots up to the size that was asked for. */
static size_t put_value(const struct sys_ledger *l, const struct sys_account *a, uint32_t value,
                        char out[VALUE_BYTES_MAX + 16])
{
    size_t bytes = (size_t)snprintf(out, 16, "%u", value);
    size_t wanted = l->options.value_bytes;

    if (a->http && wanted > HTTP_VALUE_BYTES_MAX)
        wanted = HTTP_VALUE_BYTES_MAX;
    if (bytes < wanted) {
        memset(out + bytes, '.', wanted - bytes);
        bytes = wanted;
    }
    return bytes;
}

static size_t put_write(const struct sys_ledger *l, const struct sys_account *a, uint32_t value,
                        uint8_t *out, size_t capacity)
{
    char body[FRAME_BYTES_MAX];
    struct gw_frame frame = {.type = GW_FRAME_HARDWARE,
                             .msg_id = (uint16_t)(value % (PING_ID_FIRST - 1) + 1)};
    int head = snprintf(body, sizeof body, "vw%c%u%c", 0, SYS_LEDGER_PIN, 0);

    frame.body = gw_bytes_of(body, (size_t)head + put_value(l, a, value, body + head));
    return gw_frame_encode(out, capacity, &frame);
}

static uint16_t ping_id(uint32_t burst)
{
    return (uint16_t)(PING_ID_FIRST + burst % PING_IDS);
}

static bool send_burst(struct sys_ledger *l, struct sys_account *a)
{
    static uint8_t room[(SYS_LEDGER_WRITES + 1) * FRAME_BYTES_MAX];
    struct gw_frame ping = {.type = GW_FRAME_PING, .msg_id = ping_id(a->bursts)};
    size_t bytes = 0;

    for (int i = 0; i < SYS_LEDGER_WRITES; i++)
        bytes += put_write(l, a, ++a->sent, room + bytes, sizeof room - bytes);
    bytes += gw_frame_encode(room + bytes, sizeof room - bytes, &ping);
    a->covered[a->bursts++ % SYS_LEDGER_BURSTS] = a->sent;
    return sys_client_send(&a->client, room, bytes);
}

static bool send_request(struct sys_ledger *l, struct sys_account *a)
{
    char value[VALUE_BYTES_MAX + 16], request[HTTP_BYTES_MAX];
    size_t bytes = put_value(l, a, ++a->sent, value);
    int length = snprintf(request, sizeof request,
                          "GET /external/api/update?token=%s&v%u=%.*s HTTP/1.1\r\n"
                          "Host: gateway.example\r\n\r\n",
                          a->device.token, SYS_LEDGER_PIN, (int)bytes, value);

    a->bursts++;
    return sys_client_send(&a->client, request, (size_t)length);
}

void sys_ledger_write(struct sys_ledger *l, struct sys_account *a, uint32_t count)
{
    static uint8_t room[FRAME_BYTES_MAX];

    for (uint32_t i = 0; i < count; i++) {
        size_t bytes = put_write(l, a, ++a->sent, room, sizeof room);

        sys_must(l->gateway, &a->client, sys_client_send(&a->client, room, bytes));
    }
}

/* ---- answers ---- */

static bool is_deaf(const struct sys_ledger *l)
{
    return l->deaf != NULL && atomic_load(l->deaf);
}

static void answer_ping(struct sys_ledger *l, struct sys_account *a, uint16_t msg_id)
{
    struct gw_frame frame = {.type = GW_FRAME_RESPONSE, .msg_id = msg_id, .status = GW_RESPONSE_OK};
    uint8_t bytes[GW_FRAME_HEADER_BYTES];

    l->own_pings++;
    /* Where this fails the connection has ended, which is seen by who looks at it next. */
    (void)!sys_client_send(&a->client, bytes, gw_frame_encode(bytes, sizeof bytes, &frame));
}

/* The answer to a PING covers all before it; older ones are then answered no more. */
static void take_ping_answer(struct sys_ledger *l, struct sys_account *a,
                             const struct gw_frame *frame)
{
    uint32_t burst = a->bursts_done;

    while (burst < a->bursts && ping_id(burst) != frame->msg_id)
        burst++;
    sys_check(
        l->gateway,
        frame->type == GW_FRAME_RESPONSE && frame->status == GW_RESPONSE_OK && burst < a->bursts,
        "device %u: frame %u with id %u and status %u, bursts %u to %u are unanswered",
        a->device.number, frame->type, frame->msg_id, frame->status, a->bursts_done, a->bursts);
    if (!is_deaf(l))
        a->answered = a->covered[burst % SYS_LEDGER_BURSTS];
    a->bursts_done = burst + 1;
}

/* True when a whole response was there. 503 records nothing: the same value is sent again. */
static bool take_response(struct sys_ledger *l, struct sys_account *a)
{
    const struct sys_client *c = &a->client;
    const char *end =
        c->in_bytes == 0 ? NULL : (const char *)memmem(c->in, c->in_bytes, "\r\n\r\n", 4);
    char response[1024];
    const char *length;
    size_t bytes;
    int status = 0;

    if (end == NULL)
        return false;
    bytes = (size_t)(end + 4 - (const char *)c->in);
    assert_true(bytes < sizeof response);
    memcpy(response, c->in, bytes);
    response[bytes] = '\0';
    assert_int_equal(sscanf(response, "HTTP/1.1 %3d ", &status), 1);
    length = strstr(response, "\r\ncontent-length: ");
    if (length != NULL)
        bytes += strtoul(length + strlen("\r\ncontent-length: "), NULL, 10);
    assert_true(bytes < sizeof response);
    if (c->in_bytes < bytes)
        return false;
    memcpy(response, c->in, bytes);
    sys_must(l->gateway, c, sys_client_expect(&a->client, response, bytes, 0));
    sys_check(l->gateway, status == 200 || status == 503, "HTTP %d: %.*s", status, (int)bytes,
              response);
    a->bursts_done++;
    if (status == 200) {
        a->answered = is_deaf(l) ? a->answered : a->sent;
    } else {
        assert_non_null(strstr(response, "\r\nretry-after: "));
        a->sent--;
        l->refused++;
    }
    return true;
}

static bool is_unanswered(const struct sys_account *a)
{
    return a->bursts > a->bursts_done;
}

/* Takes what has come; true if that was anything. */
static bool take_answers(struct sys_ledger *l, struct sys_account *a, uint32_t ms)
{
    bool any = false;

    (void)sys_client_receive(&a->client, ms);
    while (a->http && take_response(l, a))
        any = true;
    while (!a->http && a->client.in_bytes >= GW_FRAME_HEADER_BYTES) {
        struct gw_frame frame;

        sys_must(l->gateway, &a->client, sys_client_frame(&a->client, &frame, 0));
        if (frame.type == GW_FRAME_PING)
            answer_ping(l, a, frame.msg_id);
        else
            take_ping_answer(l, a, &frame);
        any = true;
    }
    return any;
}

/* The end of a connection is no failure when the round is over; who ends it says so just after. */
static bool is_over(const atomic_bool *over)
{
    for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS); !atomic_load(over);) {
        if (sys_now_ms() > deadline)
            return false;
        sys_pause_ms(1);
    }
    return true;
}

static bool may_write(const struct sys_account *a)
{
    return a->bursts - a->bursts_done < (a->http ? 1 : SYS_LEDGER_BURSTS);
}

bool sys_ledger_pass(struct sys_ledger *l, const atomic_bool *over, bool write)
{
    bool any = false;

    for (uint32_t i = 0; i < l->options.devices; i++) {
        struct sys_account *a = &l->accounts[i];
        bool sent = true;

        any = take_answers(l, a, 0) || any;
        if (a->client.end == SYS_OPEN && write && may_write(a)) {
            sent = a->http ? send_request(l, a) : send_burst(l, a);
            any = true;
        }
        if (a->client.end != SYS_OPEN || !sent)
            sys_check(l->gateway, is_over(over), "device %u: its connection ended (%d): %s",
                      a->device.number, a->client.end, a->client.failure);
    }
    return any;
}

void sys_ledger_play(struct sys_ledger *l, const atomic_bool *over)
{
    while (!atomic_load(over))
        if (!sys_ledger_pass(l, over, true))
            sys_pause_ms(1);
}

bool sys_ledger_settle(struct sys_ledger *l, uint32_t ms)
{
    static const atomic_bool never = false;

    for (uint64_t deadline = sys_now_ms() + ms;;) {
        bool unanswered = false;

        (void)sys_ledger_pass(l, &never, false);
        for (uint32_t i = 0; i < l->options.devices; i++)
            unanswered = unanswered || is_unanswered(&l->accounts[i]);
        if (!unanswered || sys_now_ms() > deadline)
            return !unanswered;
        sys_pause_ms(1);
    }
}

void sys_ledger_hang_up(struct sys_ledger *l)
{
    for (uint32_t i = 0; i < l->options.devices; i++) {
        struct sys_account *a = &l->accounts[i];

        for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS); a->client.end == SYS_OPEN;) {
            sys_check(l->gateway, sys_now_ms() < deadline, "device %u: still connected",
                      a->device.number);
            (void)take_answers(l, a, 100);
        }
        sys_client_close(&a->client);
    }
}

uint64_t sys_ledger_sent(const struct sys_ledger *l)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < l->options.devices; i++)
        sum += l->accounts[i].sent;
    return sum;
}

uint64_t sys_ledger_answered(const struct sys_ledger *l)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < l->options.devices; i++)
        sum += l->accounts[i].answered;
    return sum;
}

/* ---- the log ---- */

static struct sys_account *account_of(struct sys_ledger *l, uint32_t device)
{
    for (uint32_t i = 0; i < l->options.devices; i++)
        if (l->accounts[i].device.number == device)
            return &l->accounts[i];
    return NULL;
}

/* Values rise by one; where a life ended, what was never answered may be missing at its end. */
static void check_value(struct sys_ledger *l, struct sys_account *a, const struct gw_record *record)
{
    char text[VALUE_BYTES_MAX + 16], want[VALUE_BYTES_MAX + 16];
    uint32_t value;

    assert_true(record->value.size < sizeof text);
    memcpy(text, record->value.data, record->value.size);
    text[record->value.size] = '\0';
    value = (uint32_t)strtoul(text, NULL, 10);
    sys_check(l->gateway, value == a->logged + 1 || (value == a->round_first && value > a->logged),
              "device %u: %u follows %u", a->device.number, value, a->logged);
    assert_int_equal(record->value.size, put_value(l, a, value, want));
    assert_memory_equal(text, want, record->value.size);
    a->logged = value;
}

static void check_record(struct sys_ledger *l, const struct gw_record *record)
{
    struct sys_account *a = account_of(l, record->device);

    assert_non_null(a);
    sys_check(l->gateway, record->sequence == (record->session == a->session ? a->sequence + 1 : 1),
              "device %u: record %u of session %llu follows record %u of session %llu",
              record->device, record->sequence, (unsigned long long)record->session, a->sequence,
              (unsigned long long)a->session);
    a->session = record->session;
    a->sequence = record->sequence;
    if (record->kind == GW_RECORD_PIN_WRITE)
        check_value(l, a, record);
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)data;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211); /* FNV-1a */
    return hash;
}

static uint64_t hash_record(uint64_t hash, const struct gw_record *record)
{
    const uint64_t fields[] = {record->device,   record->session, record->time_us,
                               record->sequence, record->msg_id,  record->kind,
                               record->pin,      record->flags,   record->value.size};

    hash = hash_bytes(hash, fields, sizeof fields);
    hash = hash_bytes(hash, record->name.data, record->name.size);
    return hash_bytes(hash, record->value.data, record->value.size);
}

static struct sys_seen_batch *see_batch(struct sys_ledger *l, const struct gw_journal_item *item)
{
    struct sys_seen_batch *batch;

    if (l->seen_count == l->seen_capacity) {
        l->seen_capacity = l->seen_capacity * 2 + 256;
        l->seen = (struct sys_seen_batch *)realloc(l->seen, l->seen_capacity *
                                                                sizeof(struct sys_seen_batch));
        assert_non_null(l->seen);
    }
    batch = &l->seen[l->seen_count++];
    *batch = (struct sys_seen_batch){.name = item->batch, .hash = UINT64_C(14695981039346656037)};
    l->batches++;
    return batch;
}

static struct gw_journal_reader *open_log(struct sys_ledger *l, struct gw_journal_position from)
{
    const struct gw_journal_reader_options options = {
        .path = l->gateway->journal_path,
        .from = from.segment == 0 ? GW_JOURNAL_FROM_BEGINNING : GW_JOURNAL_FROM_POSITION,
        .position = from,
    };
    struct gw_journal_reader *reader = NULL;
    char why[256] = "";
    int err = gw_journal_reader_open(&options, &reader, why, sizeof why);

    sys_check(l->gateway, err == 0, "cannot read the log: %s: %s", strerror(-err), why);
    return reader;
}

/* The next record; false at the end. Damage fails the test. */
static bool next_record(struct sys_ledger *l, struct gw_journal_reader *reader,
                        struct gw_journal_item *item)
{
    int err = gw_journal_reader_next(reader, item);

    sys_check(l->gateway, err == 0, "cannot read the log: %s", strerror(-err));
    sys_check(l->gateway, item->kind != GW_JOURNAL_DAMAGE,
              "the log is damaged at segment %llu offset %llu: %llu bytes, %llu batches lost%s",
              (unsigned long long)item->position.segment, (unsigned long long)item->position.offset,
              (unsigned long long)item->bytes, (unsigned long long)item->batches_lost,
              item->deleted ? ", deleted" : "");
    return item->kind == GW_JOURNAL_RECORD;
}

void sys_ledger_read(struct sys_ledger *l)
{
    struct gw_journal_reader *reader = open_log(l, l->read_to);
    struct gw_journal_item item;
    struct sys_seen_batch *batch = NULL;

    l->read_from = l->read_to;
    l->seen_count = 0;
    while (next_record(l, reader, &item)) {
        if (item.index == 0)
            batch = see_batch(l, &item);
        batch->hash = hash_record(batch->hash, &item.record);
        check_record(l, &item.record);
        if (item.last)
            l->read_to = item.after;
    }
    gw_journal_reader_close(reader);
    for (uint32_t i = 0; i < l->options.devices; i++) {
        const struct sys_account *a = &l->accounts[i];

        sys_check(l->gateway, a->logged >= a->answered,
                  "device %u: answered up to %u, the log ends at %u", a->device.number, a->answered,
                  a->logged);
        sys_check(l->gateway, a->logged <= a->sent, "device %u: sent up to %u, the log ends at %u",
                  a->device.number, a->sent, a->logged);
    }
}

void sys_ledger_commit(struct sys_ledger *l)
{
    assert_int_equal(gw_cursor_commit(NULL, l->gateway->journal_path, CURSOR, l->read_to), 0);
}

void sys_ledger_replay(struct sys_ledger *l)
{
    struct gw_journal_reader *reader = open_log(l, l->read_from);
    struct gw_journal_item item;
    struct sys_seen_batch again = {.hash = 0};
    size_t count = 0;

    while (next_record(l, reader, &item)) {
        const struct sys_seen_batch *batch = &l->seen[count];

        sys_check(l->gateway, count < l->seen_count, "the log has grown by itself");
        if (item.index == 0)
            again =
                (struct sys_seen_batch){.name = item.batch, .hash = UINT64_C(14695981039346656037)};
        again.hash = hash_record(again.hash, &item.record);
        if (!item.last)
            continue;
        sys_check(l->gateway,
                  again.name.lane == batch->name.lane && again.name.epoch == batch->name.epoch &&
                      again.name.sequence == batch->name.sequence && again.hash == batch->hash,
                  "batch %u.%llu.%llu came again as %u.%llu.%llu", batch->name.lane,
                  (unsigned long long)batch->name.epoch, (unsigned long long)batch->name.sequence,
                  again.name.lane, (unsigned long long)again.name.epoch,
                  (unsigned long long)again.name.sequence);
        count++;
    }
    gw_journal_reader_close(reader);
    sys_check(l->gateway, count == l->seen_count, "%zu batches of %zu came again", count,
              l->seen_count);
}

/* ---- last values ---- */

static void check_last_value(struct sys_ledger *l, const struct sys_account *a,
                             struct sys_client *c)
{
    char value[VALUE_BYTES_MAX + 16], request[256], want[VALUE_BYTES_MAX + 16];
    size_t bytes = put_value(l, a, a->logged, value);
    int length = snprintf(request, sizeof request,
                          "GET /external/api/get?token=%s&v%u HTTP/1.1\r\n"
                          "Host: gateway.example\r\n\r\n",
                          a->device.token, SYS_LEDGER_PIN);

    sys_must(l->gateway, c, sys_client_send(c, request, (size_t)length));
    length = snprintf(want, sizeof want, "\r\n\r\n%.*s", (int)bytes, value);
    for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);;) {
        if (c->in_bytes > (size_t)length &&
            memcmp(c->in + c->in_bytes - (size_t)length, want, (size_t)length) == 0)
            break;
        sys_check(l->gateway, c->end == SYS_OPEN && sys_now_ms() < deadline,
                  "device %u: its last value is %u in the log, and in the answer: %.*s",
                  a->device.number, a->logged, (int)c->in_bytes, (const char *)c->in);
        (void)sys_client_receive(c, 20);
    }
    c->in_bytes = 0;
}

void sys_ledger_values(struct sys_ledger *l)
{
    struct sys_client c;

    sys_must(l->gateway, &c, sys_connect(l->gateway, &c, SYS_PLAIN));
    for (uint32_t i = 0; i < l->options.devices; i++)
        if (l->accounts[i].logged > 0)
            check_last_value(l, &l->accounts[i], &c);
    sys_client_close(&c);
}
