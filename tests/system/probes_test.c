/*
 * What TLS the port speaks, found out as a scanner does: by hellos made by hand, each of which
 * offers everything there could be, again without what was taken, until it is refused. So what is
 * accepted is known to be this and nothing else. And what is recorded of a connection, said again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"

enum {
    SOON_MS = 5000,
    HELLO_ROOM = 16384,
    OFFERS_MAX = 4096, /* in one hello, which has a limit */
    FALLBACK_SCSV = 0x5600,
    X25519 = 0x1d,
    P256 = 0x17,
    ALERT_HANDSHAKE_FAILURE = 40,
    ALERT_PROTOCOL_VERSION = 70,
    ALERT_INAPPROPRIATE_FALLBACK = 86,
};

/* RFC 8446 4.2, RFC 6520, RFC 5746, draft-agl-tls-nextprotoneg. */
enum extension {
    EXT_GROUPS = 10,
    EXT_POINTS = 11,
    EXT_SIGNATURES = 13,
    EXT_HEARTBEAT = 15,
    EXT_MASTER_SECRET = 23,
    EXT_TICKET = 35,
    EXT_PSK = 41,
    EXT_EARLY_DATA = 42,
    EXT_VERSIONS = 43,
    EXT_PSK_MODES = 45,
    EXT_KEY_SHARE = 51,
    EXT_NPN = 13172,
    EXT_RENEGOTIATION = 0xff01,
};

static struct sys_gateway gateway;
static struct sys_device device;

/* ---- hellos ---- */

struct writer {
    uint8_t at[HELLO_ROOM];
    size_t size;
};

static void put(struct writer *w, const void *bytes, size_t size)
{
    assert_true(w->size + size <= sizeof w->at);
    memcpy(w->at + w->size, bytes, size);
    w->size += size;
}

static void put8(struct writer *w, unsigned v)
{
    uint8_t byte = (uint8_t)v;

    put(w, &byte, 1);
}

static void put16(struct writer *w, unsigned v)
{
    uint8_t bytes[2];

    gw_store_be16(bytes, (uint16_t)v);
    put(w, bytes, sizeof bytes);
}

/* A length of two bytes, filled in by close_length. */
static size_t open_length(struct writer *w)
{
    put16(w, 0);
    return w->size;
}

static void close_length(struct writer *w, size_t begin)
{
    gw_store_be16(w->at + begin - 2, (uint16_t)(w->size - begin));
}

static void put_list(struct writer *w, const uint16_t *items, size_t count)
{
    size_t length = open_length(w);

    for (size_t i = 0; i < count; i++)
        put16(w, items[i]);
    close_length(w, length);
}

struct offer {
    uint16_t version; /* in the old field                                          */
    uint16_t newer;   /* in supported_versions; 0: without that extension          */
    const uint16_t *suites, *groups;
    size_t suite_count, group_count;
    const uint8_t *compressions;
    size_t compression_count;
    bool share;      /* a key share for X25519                                    */
    bool everything; /* extensions that nobody should answer                      */
    bool early;      /* early data, for a ticket that is none                     */
};

static const uint16_t common_suites[] = {0x1301, 0xc02f, 0xc02b};
static const uint16_t common_groups[] = {X25519, P256};
static const uint8_t no_compression[] = {0};

static struct offer common_offer(uint16_t newer)
{
    return (struct offer){.version = 0x0303,
                          .newer = newer,
                          .suites = common_suites,
                          .suite_count = GW_ARRAY_COUNT(common_suites),
                          .groups = common_groups,
                          .group_count = GW_ARRAY_COUNT(common_groups),
                          .compressions = no_compression,
                          .compression_count = 1,
                          .share = true};
}

static void put_key_share(struct writer *w, bool share)
{
    size_t extension, shares;
    uint8_t point[32];

    put16(w, EXT_KEY_SHARE);
    extension = open_length(w);
    shares = open_length(w);
    if (share) {
        memset(point, 9, sizeof point); /* of no small order */
        put16(w, X25519);
        put16(w, sizeof point);
        put(w, point, sizeof point);
    }
    close_length(w, shares);
    close_length(w, extension);
}

/* Behind all others. The binder cannot be right: there is no such ticket. */
static void put_early_data(struct writer *w)
{
    uint8_t identity[100], binder[32];
    size_t extension, list;

    memset(identity, 0x5a, sizeof identity);
    memset(binder, 0xa5, sizeof binder);
    put16(w, EXT_EARLY_DATA);
    put16(w, 0);
    put16(w, EXT_PSK);
    extension = open_length(w);
    list = open_length(w);
    put16(w, sizeof identity);
    put(w, identity, sizeof identity);
    put16(w, 0), put16(w, 1000); /* its age */
    close_length(w, list);
    list = open_length(w);
    put8(w, sizeof binder);
    put(w, binder, sizeof binder);
    close_length(w, list);
    close_length(w, extension);
}

static void put_extensions(struct writer *w, const struct offer *offer)
{
    static const uint16_t signatures[] = {0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501,
                                          0x0806, 0x0601, 0x0201, 0x0203, 0x0807};
    size_t all = open_length(w), one;

    put16(w, EXT_GROUPS);
    one = open_length(w);
    put_list(w, offer->groups, offer->group_count);
    close_length(w, one);
    put16(w, EXT_POINTS);
    put(w, "\0\2\1\0", 4);
    put16(w, EXT_SIGNATURES);
    one = open_length(w);
    put_list(w, signatures, GW_ARRAY_COUNT(signatures));
    close_length(w, one);
    put16(w, EXT_MASTER_SECRET);
    put16(w, 0);
    put16(w, EXT_RENEGOTIATION);
    put(w, "\0\1\0", 3);
    if (offer->everything) {
        put16(w, EXT_HEARTBEAT);
        put(w, "\0\1\1", 3);
        put16(w, EXT_NPN);
        put16(w, 0);
        put16(w, EXT_TICKET);
        put16(w, 0);
    }
    if (offer->newer != 0) {
        put16(w, EXT_VERSIONS);
        put(w, "\0\3\2", 3);
        put16(w, offer->newer);
        put16(w, EXT_PSK_MODES);
        put(w, "\0\2\1\1", 4);
        put_key_share(w, offer->share);
    }
    if (offer->early)
        put_early_data(w);
    close_length(w, all);
}

static void write_hello(struct writer *w, const struct offer *offer)
{
    size_t record, message;

    w->size = 0;
    put(w, "\x16\3\1", 3);
    record = open_length(w);
    put(w, "\1\0", 2); /* ClientHello, and the first byte of its length */
    message = open_length(w);
    put16(w, offer->version);
    for (int i = 0; i < 32; i++)
        put8(w, 0x40 + (unsigned)i);
    put8(w, 0);
    put_list(w, offer->suites, offer->suite_count);
    put8(w, (unsigned)offer->compression_count);
    put(w, offer->compressions, offer->compression_count);
    put_extensions(w, offer);
    close_length(w, message);
    close_length(w, record);
}

/* ---- answers ---- */

struct verdict {
    unsigned alert; /* its description; 0: a ServerHello came                    */
    unsigned version, suite, compression, group;
    bool retry, downgrade_marked;
    bool has_early_data, has_psk, has_heartbeat, has_npn, has_renegotiation, has_master_secret;
};

struct reader {
    const uint8_t *at;
    size_t left;
};

static const uint8_t *take(struct reader *r, size_t size)
{
    const uint8_t *at = r->at;

    assert_true(size <= r->left);
    r->at += size;
    r->left -= size;
    return at;
}

static unsigned take16(struct reader *r)
{
    return gw_load_be16(take(r, 2));
}

static void read_extension(struct verdict *v, unsigned type, struct reader body)
{
    switch ((enum extension)type) {
    case EXT_VERSIONS:
        v->version = take16(&body);
        break;
    case EXT_KEY_SHARE:
        v->group = take16(&body);
        break;
    case EXT_EARLY_DATA:
        v->has_early_data = true;
        break;
    case EXT_PSK:
        v->has_psk = true;
        break;
    case EXT_HEARTBEAT:
        v->has_heartbeat = true;
        break;
    case EXT_NPN:
        v->has_npn = true;
        break;
    case EXT_RENEGOTIATION:
        v->has_renegotiation = true;
        break;
    case EXT_MASTER_SECRET:
        v->has_master_secret = true;
        break;
    default:
        break;
    }
}

static void read_server_hello(struct verdict *v, struct reader r)
{
    /* RFC 8446 4.1.3: the SHA-256 of "HelloRetryRequest" */
    static const uint8_t retry[] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11};
    static const uint8_t downgrade[] = {'D', 'O', 'W', 'N', 'G', 'R', 'D', 1};
    const uint8_t *nonce;

    (void)take(&r, 4);
    v->version = take16(&r);
    nonce = take(&r, 32);
    v->retry = memcmp(nonce, retry, sizeof retry) == 0;
    v->downgrade_marked = memcmp(nonce + 24, downgrade, sizeof downgrade) == 0;
    (void)take(&r, *take(&r, 1));
    v->suite = take16(&r);
    v->compression = *take(&r, 1);
    if (r.left == 0)
        return;
    r.left = take16(&r);
    while (r.left > 0) {
        unsigned type = take16(&r);
        size_t size = take16(&r);

        read_extension(v, type, (struct reader){take(&r, size), size});
    }
}

static void connect_bare(struct sys_client *c)
{
    struct sys_client_options options = sys_client_options(&gateway, SYS_PLAIN);

    options.port = gateway.tls_port;
    sys_must(&gateway, c, sys_client_open(c, &options));
}

/* Waits for so many raw bytes. */
static bool await_bytes(struct sys_client *c, size_t size)
{
    uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);

    while (c->in_bytes < size && sys_client_receive(c, 50))
        sys_check(&gateway, sys_now_ms() < deadline, "nothing comes");
    return c->in_bytes >= size;
}

static struct verdict probe(const struct offer *offer)
{
    enum { HEADER = 5, ALERT = 21, HANDSHAKE = 22, SERVER_HELLO = 2 };
    static struct writer w;
    struct verdict verdict = {.alert = 0};
    struct sys_client c;
    size_t body;

    write_hello(&w, offer);
    connect_bare(&c);
    sys_must(&gateway, &c, sys_client_send(&c, w.at, w.size));
    assert_true(await_bytes(&c, HEADER));
    body = gw_load_be16(c.in + 3);
    assert_true(await_bytes(&c, HEADER + body));
    if (c.in[0] == ALERT) {
        verdict.alert = c.in[HEADER + 1];
    } else {
        assert_int_equal(c.in[0], HANDSHAKE);
        assert_int_equal(c.in[HEADER], SERVER_HELLO);
        read_server_hello(
            &verdict, (struct reader){c.in + HEADER, 4 + (size_t)gw_load_be16(c.in + HEADER + 2)});
    }
    sys_client_cut(&c);
    return verdict;
}

/* ---- what is accepted ---- */

static void versions_older_than_1_2_are_refused(void **state)
{
    static const struct {
        uint16_t version, newer;
        unsigned alert, taken;
    } rows[] = {
        {0x0300, 0, ALERT_PROTOCOL_VERSION, 0},
        {0x0301, 0, ALERT_PROTOCOL_VERSION, 0},
        {0x0302, 0, ALERT_PROTOCOL_VERSION, 0},
        {0x0303, 0, 0, 0x0303},
        {0x0304, 0, 0, 0x0303},
        {0x03ff, 0, 0, 0x0303},
        {0x0303, 0x0300, ALERT_PROTOCOL_VERSION, 0},
        {0x0303, 0x0301, ALERT_PROTOCOL_VERSION, 0},
        {0x0303, 0x0302, ALERT_PROTOCOL_VERSION, 0},
        {0x0303, 0x0303, 0, 0x0303},
        {0x0303, 0x0304, 0, 0x0304},
        {0x0303, 0x7f1c, ALERT_PROTOCOL_VERSION, 0},
        {0x0303, 0x0305, ALERT_PROTOCOL_VERSION, 0},
        {0x0301, 0x0304, 0, 0x0304},
    };

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(rows); i++) {
        struct offer offer = common_offer(rows[i].newer);
        struct verdict verdict;

        offer.version = rows[i].version;
        verdict = probe(&offer);
        sys_check(&gateway, verdict.alert == rows[i].alert && verdict.version == rows[i].taken,
                  "%04x, %04x: alert %u, version %04x", rows[i].version, rows[i].newer,
                  verdict.alert, verdict.version);
        /* RFC 8446 4.1.3: who was talked down from 1.3 is told. */
        if (verdict.version == 0x0303)
            assert_true(verdict.downgrade_marked);
    }
}

/* Offers all of `items` but those in `taken`, adds what is chosen to these; false: nothing was. */
static bool one_more(struct offer *offer, bool groups, const uint16_t *items, size_t count,
                     uint16_t *taken, size_t *taken_count)
{
    uint16_t left[OFFERS_MAX];
    struct verdict verdict;
    size_t left_count = 0;

    for (size_t i = 0; i < count; i++) {
        bool is_taken = items[i] == FALLBACK_SCSV;

        for (size_t k = 0; k < *taken_count && !is_taken; k++)
            is_taken = items[i] == taken[k];
        if (!is_taken)
            left[left_count++] = items[i];
    }
    *(groups ? &offer->groups : &offer->suites) = left;
    *(groups ? &offer->group_count : &offer->suite_count) = left_count;
    verdict = probe(offer);
    if (verdict.alert != 0) {
        assert_int_equal(verdict.alert, ALERT_HANDSHAKE_FAILURE);
        return false;
    }
    taken[(*taken_count)++] = (uint16_t)(groups ? verdict.group : verdict.suite);
    return true;
}

static int compare(const void *a, const void *b)
{
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* Of all 65,536 numbers exactly these are taken. */
static void expect_exactly(struct offer offer, bool groups, const uint16_t *wanted,
                           size_t wanted_count)
{
    uint16_t taken[64], items[OFFERS_MAX];
    size_t taken_count = 0;

    for (unsigned first = 0; first < 65536; first += OFFERS_MAX) {
        for (unsigned i = 0; i < OFFERS_MAX; i++)
            items[i] = (uint16_t)(first + i);
        while (one_more(&offer, groups, items, OFFERS_MAX, taken, &taken_count))
            assert_true(taken_count < GW_ARRAY_COUNT(taken));
    }
    qsort(taken, taken_count, sizeof taken[0], compare);
    for (size_t i = 0; i < taken_count; i++)
        sys_check(&gateway, i < wanted_count && taken[i] == wanted[i], "%04x is taken", taken[i]);
    assert_int_equal(taken_count, wanted_count);
}

static void suites_are_these_and_no_others(void **state)
{
    static const uint16_t of_12[] = {0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9};
    static const uint16_t of_13[] = {0x1301, 0x1302, 0x1303};

    (void)state;
    expect_exactly(common_offer(0), false, of_12, GW_ARRAY_COUNT(of_12));
    expect_exactly(common_offer(0x0304), false, of_13, GW_ARRAY_COUNT(of_13));
}

static void groups_are_these_and_no_others(void **state)
{
    static const uint16_t wanted[] = {P256, X25519};
    struct offer offer = common_offer(0x0304);

    (void)state;
    offer.share = false; /* which one is wanted is then asked for */
    expect_exactly(offer, true, wanted, GW_ARRAY_COUNT(wanted));
}

static void nothing_is_agreed_upon_that_is_of_no_use(void **state)
{
    static const uint8_t deflate_first[] = {1, 0}, deflate[] = {1};
    static const uint16_t fallback[] = {0xc02f, FALLBACK_SCSV};
    static const uint16_t newers[] = {0, 0x0304};
    struct offer offer;
    struct verdict verdict;

    (void)state;
    for (size_t i = 0; i < GW_ARRAY_COUNT(newers); i++) {
        offer = common_offer(newers[i]);
        offer.everything = true;
        verdict = probe(&offer);
        assert_int_equal(verdict.alert, 0);
        assert_false(verdict.has_heartbeat || verdict.has_npn || verdict.has_early_data ||
                     verdict.has_psk);
        assert_int_equal(verdict.compression, 0);
        if (newers[i] == 0) /* RFC 5746, RFC 7627 */
            assert_true(verdict.has_renegotiation && verdict.has_master_secret);
    }
    offer = common_offer(0);
    offer.compressions = deflate_first;
    offer.compression_count = sizeof deflate_first;
    verdict = probe(&offer);
    assert_int_equal(verdict.alert, 0);
    assert_int_equal(verdict.compression, 0);
    offer.compressions = deflate;
    offer.compression_count = sizeof deflate;
    assert_int_not_equal(probe(&offer).alert, 0);
    /* RFC 7507: 1.3 was possible. */
    offer = common_offer(0);
    offer.suites = fallback;
    offer.suite_count = GW_ARRAY_COUNT(fallback);
    assert_int_equal(probe(&offer).alert, ALERT_INAPPROPRIATE_FALLBACK);
}

/* ---- early data, and what was said before ---- */

static void early_data_is_not_read(void **state)
{
    static const uint8_t early[] = {0x17, 0x03, 0x03, 0x00, 0x20, [36] = 0x01};
    double logins = sys_metric(&gateway, "tollgate_logins_total");
    struct offer offer = common_offer(0x0304);
    static struct writer w;
    struct verdict verdict;
    struct sys_client c;

    (void)state;
    offer.early = true;
    verdict = probe(&offer);
    assert_int_equal(verdict.alert, 0);
    assert_false(verdict.has_early_data || verdict.has_psk);
    /* As much of it as there may be is passed over, and then no more. */
    write_hello(&w, &offer);
    connect_bare(&c);
    sys_must(&gateway, &c, sys_client_send(&c, w.at, w.size));
    for (int i = 0; i < 2000 && c.end == SYS_OPEN; i++)
        if (!sys_client_send(&c, early, sizeof early))
            break;
    for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS); sys_client_receive(&c, 20);)
        sys_check(&gateway, sys_now_ms() < deadline, "it stays open");
    sys_client_close(&c);
    assert_true(sys_metric(&gateway, "tollgate_logins_total") == logins);
}

struct tape {
    uint8_t *at;
    size_t size;
};

/* Carries what the two ends say; what ours says stands on the tape. False: the end. */
static bool carry(SSL *ssl, struct sys_client *c, struct tape *tape)
{
    uint8_t room[16384];
    int got;

    while ((got = BIO_read(SSL_get_wbio(ssl), room, sizeof room)) > 0) {
        tape->at = realloc(tape->at, tape->size + (size_t)got);
        assert_non_null(tape->at);
        memcpy(tape->at + tape->size, room, (size_t)got);
        tape->size += (size_t)got;
        sys_must(&gateway, c, sys_client_send(c, room, (size_t)got));
    }
    if (!sys_client_receive(c, 20))
        return false;
    if (c->in_bytes > 0)
        assert_int_equal(BIO_write(SSL_get_rbio(ssl), c->in, (int)c->in_bytes), c->in_bytes);
    c->in_bytes = 0;
    return true;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION **kept = SSL_get_app_data(ssl);

    SSL_SESSION_free(*kept);
    *kept = session;
    return 1; /* it is ours */
}

/* A whole visit: handshake, login and its answer. *session is what resumes, before and after. */
static void visit(uint16_t version, SSL_SESSION **session, struct tape *tape)
{
    struct gw_frame login = {
        .type = GW_FRAME_HW_LOGIN, .msg_id = 1, .body = gw_bytes_of(device.token, 32)};
    uint8_t frame[64], answer[GW_FRAME_HEADER_BYTES];
    uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS);
    SSL *ssl = SSL_new(gateway.tls);
    struct sys_client c;
    size_t size = gw_frame_encode(frame, sizeof frame, &login);
    int got = 0;

    assert_non_null(ssl);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(ssl), -1);
    assert_true(SSL_set_min_proto_version(ssl, version) && SSL_set_max_proto_version(ssl, version));
    assert_true(SSL_set_app_data(ssl, session));
    if (*session != NULL)
        assert_true(SSL_set_session(ssl, *session));
    connect_bare(&c);
    while (SSL_connect(ssl) != 1) {
        assert_true(carry(ssl, &c, tape));
        assert_true(sys_now_ms() < deadline);
    }
    assert_int_equal(SSL_write(ssl, frame, (int)size), size);
    while ((got = SSL_read(ssl, answer, sizeof answer)) <= 0) {
        assert_true(carry(ssl, &c, tape));
        assert_true(sys_now_ms() < deadline);
    }
    assert_int_equal(got, sizeof answer);
    assert_int_equal(gw_load_be16(answer + 3), GW_RESPONSE_OK);
    sys_client_close(&c);
    SSL_free(ssl);
}

/* Whole handshakes and resumed ones, word for word: whoever has listened gets nowhere. */
static void a_connection_cannot_be_said_again(void **state)
{
    static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    SSL_CTX_set_session_cache_mode(gateway.tls, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(gateway.tls, keep_session);
    for (size_t v = 0; v < GW_ARRAY_COUNT(versions); v++) {
        SSL_SESSION *session = NULL;

        for (int resumed = 0; resumed < 2; resumed++) {
            double before = sys_metric(&gateway, "tollgate_handshakes_resumed_total"), logins;
            struct tape tape = {.at = NULL};
            struct sys_client c;

            visit(versions[v], &session, &tape);
            assert_non_null(session);
            assert_false(SSL_SESSION_early_data_capable(session));
            assert_true(sys_metric(&gateway, "tollgate_handshakes_resumed_total") ==
                        before + resumed);
            logins = sys_metric(&gateway, "tollgate_logins_total");
            connect_bare(&c);
            (void)!sys_client_send(&c, tape.at, tape.size);
            for (uint64_t deadline = sys_now_ms() + sys_ms(SOON_MS); sys_client_receive(&c, 20);)
                sys_check(&gateway, sys_now_ms() < deadline, "it stays open");
            sys_client_close(&c);
            assert_true(sys_metric(&gateway, "tollgate_logins_total") == logins);
            free(tape.at);
        }
        SSL_SESSION_free(session);
    }
}

int main(void)
{
    static const struct sys_group group = {
        .name = "probes",
        .gateway = &gateway,
        .options = {.shards = 1, .config = "handshake_s_max = 3;\n"},
        .devices = &device,
        .device_count = 1,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_older_than_1_2_are_refused),
        cmocka_unit_test(suites_are_these_and_no_others),
        cmocka_unit_test(groups_are_these_and_no_others),
        cmocka_unit_test(nothing_is_agreed_upon_that_is_of_no_use),
        cmocka_unit_test(early_data_is_not_read),
        cmocka_unit_test(a_connection_cannot_be_said_again),
    };

    return SYS_GROUP_RUN(&group, tests);
}
