/*
 * An ESP8266 as far as TLS goes. See mfln_client.h. Without BearSSL at build time every run fails,
 * and says so.
 */
#include "mfln_client.h"

#include <stdio.h>
#include <string.h>

#ifdef HAVE_BEARSSL
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bearssl.h>

#include "process.h"

enum {
    RUN_MS = 10000,
    RECORD_HEADER_BYTES = 5,
    LOGIN_FRAME_BYTES = 37,
    LOGIN_ANSWER_BYTES = 5,
    /* What BearSSL's engine wants beside the plaintext; the ESP8266 library adds the same. */
    IN_OVERHEAD = 325,
    OUT_OVERHEAD = 85,
};

/* ---- an X.509 engine that takes the leaf's key and asks nothing ---- */

struct trusting {
    const br_x509_class *vtable;
    br_x509_decoder_context decoder;
    unsigned certificate;
};

static void start_chain(const br_x509_class **ctx, const char *server_name)
{
    (void)server_name;
    ((struct trusting *)(void *)ctx)->certificate = 0;
}

static void start_cert(const br_x509_class **ctx, uint32_t length)
{
    struct trusting *t = (struct trusting *)(void *)ctx;

    (void)length;
    if (t->certificate == 0)
        br_x509_decoder_init(&t->decoder, NULL, NULL);
}

static void append(const br_x509_class **ctx, const unsigned char *buf, size_t len)
{
    struct trusting *t = (struct trusting *)(void *)ctx;

    if (t->certificate == 0)
        br_x509_decoder_push(&t->decoder, buf, len);
}

static void end_cert(const br_x509_class **ctx)
{
    ((struct trusting *)(void *)ctx)->certificate++;
}

static unsigned end_chain(const br_x509_class **ctx)
{
    return ((struct trusting *)(void *)ctx)->certificate > 0 ? 0 : BR_ERR_X509_EMPTY_CHAIN;
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
    struct trusting *t = (struct trusting *)(void *)(uintptr_t)ctx;

    if (usages != NULL)
        *usages = BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN;
    return br_x509_decoder_get_pkey(&t->decoder);
}

static const br_x509_class trusting_class = {
    .context_size = sizeof(struct trusting),
    .start_chain = start_chain,
    .start_cert = start_cert,
    .append = append,
    .end_cert = end_cert,
    .end_chain = end_chain,
    .get_pkey = get_pkey,
};

/* ---- the run ---- */

struct run {
    br_ssl_client_context client;
    br_x509_minimal_context minimal; /* replaced at once, but the full profile wants one */
    struct trusting trusting;
    unsigned char in[2048 + IN_OVERHEAD], out[512 + OUT_OVERHEAD];
    int fd;
    uint8_t header[RECORD_HEADER_BYTES];
    size_t header_bytes, record_left;
    size_t plaintext_bytes; /* that came */
    struct mfln_report *report;
};

static bool failed(struct run *r, const char *what, int number)
{
    (void)snprintf(r->report->failure, sizeof r->report->failure, "BearSSL client: %s (%d)", what,
                   number);
    return false;
}

static void watch(struct run *r, const unsigned char *in, size_t size)
{
    while (size > 0) {
        if (r->record_left > 0) {
            size_t taken = size < r->record_left ? size : r->record_left;

            r->record_left -= taken;
            in += taken;
            size -= taken;
            continue;
        }
        r->header[r->header_bytes++] = *in++;
        size--;
        if (r->header_bytes < RECORD_HEADER_BYTES)
            continue;
        r->header_bytes = 0;
        r->record_left = (size_t)r->header[3] << 8 | r->header[4];
        if (r->header[0] == 23 && r->record_left > r->report->record_bytes_max)
            r->report->record_bytes_max = r->record_left;
    }
}

/* Moves what the engine has for the socket, or wants from it; false when the run has failed. */
static bool turn(struct run *r)
{
    br_ssl_engine_context *engine = &r->client.eng;
    unsigned state = br_ssl_engine_current_state(engine);
    unsigned char *room;
    size_t size;
    ssize_t moved;

    if ((state & BR_SSL_CLOSED) != 0)
        return failed(r, "closed, engine error", br_ssl_engine_last_error(engine));
    if ((state & BR_SSL_SENDREC) != 0) {
        room = br_ssl_engine_sendrec_buf(engine, &size);
        moved = send(r->fd, room, size, MSG_NOSIGNAL);
        if (moved <= 0)
            return failed(r, "send", errno);
        br_ssl_engine_sendrec_ack(engine, (size_t)moved);
        return true;
    }
    if ((state & BR_SSL_RECVAPP) != 0) {
        (void)br_ssl_engine_recvapp_buf(engine, &size);
        r->plaintext_bytes += size;
        br_ssl_engine_recvapp_ack(engine, size);
        return true;
    }
    if ((state & BR_SSL_RECVREC) != 0) {
        struct pollfd fd = {.fd = r->fd, .events = POLLIN};

        if (poll(&fd, 1, 100) <= 0)
            return true;
        room = br_ssl_engine_recvrec_buf(engine, &size);
        moved = recv(r->fd, room, size, 0);
        if (moved <= 0)
            return failed(r, "the gateway hung up", errno);
        watch(r, room, (size_t)moved);
        br_ssl_engine_recvrec_ack(engine, (size_t)moved);
    }
    return true;
}

/* Writes all of it and turns until `plaintext_bytes` have come. */
static bool exchange(struct run *r, const uint8_t *bytes, size_t size, size_t plaintext_bytes)
{
    uint64_t deadline = sys_now_ms() + sys_ms(RUN_MS);

    while (size > 0 || r->plaintext_bytes < plaintext_bytes) {
        size_t room_bytes = 0;
        unsigned char *room = NULL;

        if (size > 0 && (br_ssl_engine_current_state(&r->client.eng) & BR_SSL_SENDAPP) != 0)
            room = br_ssl_engine_sendapp_buf(&r->client.eng, &room_bytes);
        if (room != NULL) {
            size_t taken = size < room_bytes ? size : room_bytes;

            memcpy(room, bytes, taken);
            br_ssl_engine_sendapp_ack(&r->client.eng, taken);
            bytes += taken;
            size -= taken;
            if (size == 0)
                br_ssl_engine_flush(&r->client.eng, 0);
        } else if (!turn(r)) {
            return false;
        }
        if (sys_now_ms() > deadline)
            return failed(r, "too few bytes came", (int)r->plaintext_bytes);
    }
    return true;
}

static bool play(struct run *r, const char *token, const uint8_t *questions, size_t question_bytes,
                 size_t answer_bytes)
{
    static const uint8_t header[] = {0x1d, 0x00, 0x01, 0x00, 0x20};
    uint8_t login[LOGIN_FRAME_BYTES];

    memcpy(login, header, sizeof header);
    memcpy(login + sizeof header, token, sizeof login - sizeof header);
    br_ssl_client_init_full(&r->client, &r->minimal, NULL, 0);
    r->trusting.vtable = &trusting_class;
    br_ssl_engine_set_x509(&r->client.eng, &r->trusting.vtable);
    br_ssl_engine_set_buffers_bidi(&r->client.eng, r->in, sizeof r->in, r->out, sizeof r->out);
    if (!br_ssl_client_reset(&r->client, "localhost", 0))
        return failed(r, "reset", br_ssl_engine_last_error(&r->client.eng));
    if (!exchange(r, login, sizeof login, LOGIN_ANSWER_BYTES) ||
        !exchange(r, questions, question_bytes, LOGIN_ANSWER_BYTES + answer_bytes))
        return false;
    r->report->answer_bytes = r->plaintext_bytes - LOGIN_ANSWER_BYTES;
    return true;
}

bool mfln_client_run(uint16_t port, const char *token, const uint8_t *questions,
                     size_t question_bytes, size_t answer_bytes, struct mfln_report *report)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    static struct run run;
    bool ran;

    *report = (struct mfln_report){.answer_bytes = 0};
    memset(&run, 0, sizeof run);
    run.report = report;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    run.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ran = run.fd >= 0 && connect(run.fd, (struct sockaddr *)&to, sizeof to) == 0;
    ran = ran ? play(&run, token, questions, question_bytes, answer_bytes)
              : failed(&run, "connect", errno);
    if (run.fd >= 0)
        close(run.fd);
    return ran;
}

#else

bool mfln_client_run(uint16_t port, const char *token, const uint8_t *questions,
                     size_t question_bytes, size_t answer_bytes, struct mfln_report *report)
{
    (void)port;
    (void)token;
    (void)questions;
    (void)question_bytes;
    (void)answer_bytes;
    (void)snprintf(report->failure, sizeof report->failure,
                   "built without BearSSL: install libbearssl-dev");
    return false;
}

#endif
