/*
 * Target  gw_tls_read and gw_tls_seal after the handshake, of a lean session
 *
 * Input   a script: which suite, then operations of a client that holds the right keys (seal
 *         anything, change keys, alter, send garbage, cut what it sends) and of our side
 *
 * Oracle  a second session that keeps its SSL object and gets the same bytes: BoringSSL fails no
 *         session that lives on lean, both deliver the same plaintext, which is what was sealed,
 *         and no record that was sealed well fails its check; what our side seals opens to what it
 *         was given
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <gw/base/assert.h>
#include <gw/tls/tls.h>

#include "certificate.h"
#include "fuzz.h"
#include "keys_internal.h"

enum { OPERATIONS_MAX = 200, STREAM_BYTES_MAX = 1 << 16 };

/* ---- the two sessions ---- */

struct end {
    struct gw_tls *server;
    SSL *client; /* of the handshake */
    enum gw_tls_result result;
    size_t got_bytes;
    uint8_t got[STREAM_BYTES_MAX];
    uint8_t out[GW_TLS_OUT_BYTES_MAX]; /* what our side has to send, and the client has not read */
    size_t out_bytes;
    union { /* of the client */
        struct gw_keys keys;
        uint8_t room[GW_KEYS_BYTES_MAX];
    };
};

static struct gw_tls_context *contexts[2]; /* kept, lean */
static SSL_CTX *client_ctx;
static const struct gw_keys_shape *shape;
static uint8_t secrets[2][GW_KEYS_SECRET_BYTES_MAX]; /* of the handshake under way */

static void on_keylog(const SSL *ssl, const char *line)
{
    static const char *const labels[2] = {"CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 "};

    (void)ssl;
    for (size_t side = 0; side < 2; side++) {
        const char *hex = line + strlen(labels[side]) + 65;

        if (strncmp(line, labels[side], strlen(labels[side])) != 0)
            continue;
        for (size_t i = 0; hex[2 * i] != '\0' && i < sizeof secrets[side]; i++) {
            const char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

            secrets[side][i] = (uint8_t)strtoul(byte, NULL, 16);
        }
    }
}

static void begin_once(void)
{
    static const char *const host = "gateway.test";
    char dir[] = "/tmp/tls_fuzz_XXXXXX", chain[64], key_path[64], why[256];
    EVP_PKEY *key = gw_key_generate_ec();
    X509 *root = gw_certificate_root(key, "fuzz", 1);
    X509 *leaf = gw_certificate_leaf(key, &host, 1, 1, root, key);
    struct gw_tls_options options = {
        .profile = GW_TLS_MODERN, .ec_chain = chain, .ec_key = key_path};
    FILE *file;

    gw_assert(leaf != NULL && mkdtemp(dir) != NULL);
    (void)snprintf(chain, sizeof chain, "%s/chain.pem", dir);
    (void)snprintf(key_path, sizeof key_path, "%s/key.pem", dir);
    file = fopen(chain, "we");
    gw_assert(file != NULL && PEM_write_X509(file, leaf) && fclose(file) == 0);
    file = fopen(key_path, "we");
    gw_assert(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) &&
              fclose(file) == 0);
    for (size_t i = 0; i < 2; i++) {
        options.lean = i == 1;
        gw_assert(gw_tls_context_create(&options, &contexts[i], why, sizeof why) == 0);
    }
    client_ctx = SSL_CTX_new(TLS_method());
    gw_assert(client_ctx != NULL);
    SSL_CTX_set_keylog_callback(client_ctx, on_keylog);
    (void)unlink(chain);
    (void)unlink(key_path);
    (void)rmdir(dir);
    X509_free(leaf);
    X509_free(root);
    EVP_PKEY_free(key);
}

/* Gives our side bytes, as often as it has plaintext. */
static void give(struct end *e, const uint8_t *data, size_t size)
{
    static uint8_t plaintext[GW_TLS_PLAINTEXT_BYTES_MAX];
    struct gw_tls_io io = {.in = gw_bytes_of(data, size),
                           .out = e->out,
                           .out_capacity = sizeof e->out,
                           .out_bytes = e->out_bytes};
    size_t n = 0;

    do {
        e->result = gw_tls_read(e->server, &io, plaintext, sizeof plaintext, &n);
        gw_assert((e->result == GW_TLS_DATA) == (n > 0));
        gw_assert(n <= sizeof e->got - e->got_bytes);
        memcpy(e->got + e->got_bytes, plaintext, n);
        e->got_bytes += n;
    } while (e->result == GW_TLS_DATA);
    gw_assert(io.in.size == 0);
    e->out_bytes = io.out_bytes;
}

static void connect_end(struct end *e, struct gw_tls_context *context)
{
    uint8_t flight[4096];

    e->server = gw_tls_open(context);
    gw_assert(e->server != NULL);
    while (!gw_tls_is_established(e->server) || SSL_in_init(e->client)) {
        int n;

        (void)SSL_do_handshake(e->client);
        while ((n = BIO_read(SSL_get_wbio(e->client), flight, sizeof flight)) > 0)
            give(e, flight, (size_t)n);
        gw_assert(e->result == GW_TLS_WANT);
        gw_assert(BIO_write(SSL_get_rbio(e->client), e->out, (int)e->out_bytes) ==
                  (int)e->out_bytes);
        e->out_bytes = 0;
    }
    if (shape->tls13) {
        gw_assert(gw_keys_from_secrets(shape, secrets[1], secrets[0], &e->keys));
    } else {
        gw_assert(gw_keys_from_block(shape, e->client, &e->keys));
    }
    e->keys.sequence[GW_KEYS_READ] = (uint32_t)SSL_get_read_sequence(e->client);
    e->keys.sequence[GW_KEYS_WRITE] = (uint32_t)SSL_get_write_sequence(e->client);
}

static void open_end(struct end *e, struct gw_tls_context *context, uint16_t version,
                     const char *suite, uint16_t suite_id)
{
    const int row = gw_keys_shape_find(version, suite_id);
    struct gw_tls_facts facts;

    gw_assert(row >= 0);
    shape = gw_keys_shape_at((unsigned)row);
    e->got_bytes = e->out_bytes = 0;
    e->client = SSL_new(client_ctx);
    gw_assert(e->client != NULL);
    gw_assert(SSL_set_min_proto_version(e->client, version) &&
              SSL_set_max_proto_version(e->client, version));
    gw_assert(suite == NULL || SSL_set_strict_cipher_list(e->client, suite));
    SSL_set_bio(e->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(e->client), -1);
    SSL_set_connect_state(e->client);
    connect_end(e, context);
    gw_tls_facts(e->server, &facts);
    gw_assert(facts.lean == (context == contexts[1]));
}

static void close_end(struct end *e)
{
    gw_tls_close(e->server);
    SSL_free(e->client);
}

/* ---- the script ---- */

struct script {
    const uint8_t *data;
    size_t size;
};

static uint8_t take(struct script *s)
{
    if (s->size == 0)
        return 0;
    s->size--;
    return *s->data++;
}

/* Up to 255 bytes of the script, or a run of one byte up to the longest record and beyond. */
static struct gw_bytes take_content(struct script *s)
{
    static uint8_t content[GW_TLS_PLAINTEXT_BYTES_MAX + 300];
    const uint8_t length = take(s);
    size_t size = length;

    if (length >= 250) {
        size = (length - 250u) * 3200u + take(s) * 2u;
        memset(content, take(s), size);
    } else {
        for (size_t i = 0; i < size; i++)
            content[i] = take(s);
    }
    return gw_bytes_of(content, size);
}

struct run {
    struct end ends[2]; /* kept, lean */
    size_t cut;
    bool garbled;      /* something was sent that no client seals */
    bool keys_changed; /* perhaps, by a handshake record that was put together by hand */
    bool shut;         /* our side said goodbye */
    uint8_t sealed[STREAM_BYTES_MAX]; /* what the client put into data records */
    size_t sealed_bytes;
};

static bool is_over(const struct run *r)
{
    return r->ends[0].result != GW_TLS_WANT || r->ends[1].result != GW_TLS_WANT;
}

static void compare(const struct run *r)
{
    const struct end *kept = &r->ends[0], *lean = &r->ends[1];

    for (size_t i = 0; i < 2; i++) {
        gw_assert(r->ends[i].got_bytes <= r->sealed_bytes);
        gw_assert(memcmp(r->ends[i].got, r->sealed, r->ends[i].got_bytes) == 0);
    }
    if (r->garbled)
        return;
    gw_assert(r->keys_changed || strstr(gw_tls_failure(lean->server), "fails its check") == NULL);
    gw_assert(lean->result == kept->result || lean->result == GW_TLS_FAILED);
    gw_assert(lean->got_bytes == kept->got_bytes);
    gw_assert(lean->result != GW_TLS_WANT || lean->got_bytes == r->sealed_bytes);
}

static void send_both(struct run *r, uint8_t records[2][2 * GW_TLS_RECORD_BYTES_MAX],
                      const size_t sizes[2])
{
    for (size_t i = 0; i < 2; i++) {
        const size_t step = r->cut == 0 ? sizes[i] : r->cut;

        for (size_t at = 0; at < sizes[i]; at += step)
            give(&r->ends[i], records[i] + at, gw_min_u64(step, sizes[i] - at));
    }
}

static void client_seals(struct run *r, uint8_t type, struct gw_bytes content, int flip)
{
    static uint8_t records[2][2 * GW_TLS_RECORD_BYTES_MAX];
    size_t sizes[2];

    for (size_t i = 0; i < 2; i++) {
        sizes[i] = gw_keys_seal(shape, &r->ends[i].keys, type, content, records[i]);
        gw_assert(sizes[i] > 0);
        if (flip >= 0)
            records[i][(size_t)flip % sizes[i]] ^= 0x10;
    }
    r->garbled |= flip >= 0;
    if (flip < 0 && content.size <= GW_TLS_PLAINTEXT_BYTES_MAX) {
        /* In TLS 1.3 a type of 0 is padding, and the content ends in its own type and more of it.
         */
        while (shape->tls13 && type == 0 && content.size > 0)
            type = content.data[--content.size];
        r->keys_changed |= type == GW_RECORD_HANDSHAKE;
        if (type == GW_RECORD_DATA && content.size > 0) {
            memcpy(r->sealed + r->sealed_bytes, content.data, content.size);
            r->sealed_bytes += content.size;
        }
    }
    send_both(r, records, sizes);
}

static void client_updates_keys(struct run *r, bool request)
{
    const uint8_t message[] = {24, 0, 0, 1, request};

    const bool changed = r->keys_changed;

    client_seals(r, GW_RECORD_HANDSHAKE, gw_bytes_of(message, sizeof message), -1);
    r->keys_changed = changed;
    for (size_t i = 0; i < 2; i++)
        gw_assert(gw_keys_update(shape, &r->ends[i].keys, GW_KEYS_WRITE));
}

static void client_sends_garbage(struct run *r, struct gw_bytes bytes)
{
    r->garbled = true;
    for (size_t i = 0; i < 2; i++)
        give(&r->ends[i], bytes.data, bytes.size);
}

/* Opens all that our side has sent; what it was in data records must be `expected`. */
static void client_reads(struct end *e, struct gw_bytes expected)
{
    static uint8_t room[GW_TLS_PLAINTEXT_BYTES_MAX + 1];
    size_t at = 0;

    while (at < e->out_bytes) {
        const uint8_t *record = e->out + at;
        const struct gw_bytes body = gw_bytes_of(record + 5, gw_load_be16(record + 3));
        uint8_t type = record[0];
        size_t n = 0;

        at += 5 + body.size;
        gw_assert(at <= e->out_bytes);
        gw_assert(gw_keys_open(shape, &e->keys, record, body, room, &n));
        if (shape->tls13)
            type = room[--n];
        if (type == GW_RECORD_HANDSHAKE)
            gw_assert(gw_keys_update(shape, &e->keys, GW_KEYS_READ));
        if (type != GW_RECORD_DATA)
            continue;
        gw_assert(n <= expected.size);
        gw_assert(gw_bytes_equal(gw_bytes_of(expected.data, n), gw_bytes_of(room, n)));
        expected = gw_bytes_after(expected, n);
    }
    gw_assert(expected.size == 0);
    e->out_bytes = 0;
}

static void server_seals(struct run *r, struct gw_bytes plaintext)
{
    if (r->shut || plaintext.size > GW_TLS_PLAINTEXT_BYTES_MAX)
        return;
    for (size_t i = 0; i < 2; i++) {
        struct end *e = &r->ends[i];
        struct gw_tls_io io = {.out = e->out, .out_capacity = sizeof e->out};

        client_reads(e, gw_bytes_of(NULL, 0));
        gw_assert(gw_tls_seal(e->server, &io, plaintext));
        e->out_bytes = io.out_bytes;
        client_reads(e, plaintext);
    }
}

static void server_shuts_down(struct run *r)
{
    for (size_t i = 0; i < 2; i++) {
        struct end *e = &r->ends[i];
        struct gw_tls_io io = {
            .out = e->out, .out_capacity = sizeof e->out, .out_bytes = e->out_bytes};

        gw_tls_shutdown(e->server, &io);
        e->out_bytes = io.out_bytes;
    }
    r->shut = true;
}

static void operate(struct run *r, struct script *s)
{
    const uint8_t operation = take(s);

    switch (operation % 8) {
    case 0:
    case 1:
        client_seals(r, GW_RECORD_DATA, take_content(s), -1);
        break;
    case 2: {
        const uint8_t type = take(s);

        client_seals(r, type, take_content(s), -1);
        break;
    }
    case 3:
        if (shape->tls13)
            client_updates_keys(r, operation / 8 % 2 == 1);
        break;
    case 4: {
        const uint8_t flip = take(s);

        client_seals(r, GW_RECORD_DATA, take_content(s), flip);
        break;
    }
    case 5:
        client_sends_garbage(r, take_content(s));
        break;
    case 6:
        server_seals(r, take_content(s));
        break;
    default:
        if (operation / 8 % 8 == 7)
            server_shuts_down(r);
        else
            r->cut = operation / 8;
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        uint16_t version, id;
        const char *name;
    } suites[] = {{TLS1_3_VERSION, 0x1301, NULL},
                  {TLS1_2_VERSION, 0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256"},
                  {TLS1_2_VERSION, 0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384"},
                  {TLS1_2_VERSION, 0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305"}};
    static struct run run;
    struct script script = {.data = data, .size = size};
    const size_t suite = take(&script) % GW_ARRAY_COUNT(suites);

    if (contexts[0] == NULL)
        begin_once();
    run.cut = run.sealed_bytes = 0;
    run.garbled = run.keys_changed = run.shut = false;
    for (size_t i = 0; i < 2; i++)
        open_end(&run.ends[i], contexts[i], suites[suite].version, suites[suite].name,
                 suites[suite].id);
    for (size_t i = 0; i < OPERATIONS_MAX && script.size > 0; i++) {
        if (is_over(&run) ||
            run.sealed_bytes > STREAM_BYTES_MAX - 2 * (size_t)GW_TLS_PLAINTEXT_BYTES_MAX)
            break;
        operate(&run, &script);
        compare(&run);
    }
    for (size_t i = 0; i < 2; i++)
        close_end(&run.ends[i]);
    return 0;
}
